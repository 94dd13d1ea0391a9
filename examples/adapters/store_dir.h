/* store_dir - policies in a directory, one file for each domain
 *
 * Copy store_dir.h and store_dir.c. They need POSIX and nothing else.
 *
 *   - A file is written beside the old one, synced, renamed over it, and the directory synced:
 *     whoever is killed at whatever moment leaves the old entry or the new one, never half of one.
 *   - Names come from mtasts_name_normalise and are checked again here: none leads out of the
 *     directory, none is hidden. Nothing but regular files is read, no link followed.
 *   - Several processes may share it: writers wait for each other, two seconds at most (flock on
 *     the file ".lock"), and a save replaces neither a valid policy by the news that none was found
 *     nor what was fetched later. Readers wait for nobody.
 *   - What cannot be read back as the entry that it should be is refused, and told.
 *   - Who can write into the directory can switch the protection off. So one that everybody may
 *     write to is refused, and one of another user (but root's, and root may use all). Its group is
 *     trusted if it may write there. What root writes is given to the directory's owner.
 *   - Only what a store has written is ever removed: files whose name is a domain and which begin
 *     like an entry, and ".tmp", which a writer leaves that is killed.
 *
 * Leave ".lock" where it is while a store is open, and open the store again after the directory was
 * replaced by another.
 *
 * Calls block as the file system does; a save syncs twice (some milliseconds on a disk). One thread
 * at a time for each store that was opened. */
#ifndef STORE_DIR_H
#define STORE_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "mtasts.h"

typedef struct store_dir store_dir;

/* store_dir_open, store_dir_close
 *
 *   path      the directory; with `create` it is made, mode 0700, if it is missing, and its parents
 *   error     error_size octets for a sentence; written after a failure
 *   returns   NULL after a failure
 *   close     NULL: nothing happens
 */
store_dir *store_dir_open(const char *path, int create, char *error, size_t error_size);
void store_dir_close(store_dir *store);

/* store_dir_load - the text stored for a domain
 *
 *   text      out: NUL-terminated, good until the next call for this store; NULL: nothing is stored
 *   returns   MTASTS_OK; MTASTS_ERR_USAGE: not a normalised name; MTASTS_ERR_ENTRY_DAMAGED: what is
 *             there is no file, or is larger than any entry; MTASTS_ERR_LIMIT: it could not be read
 *             (store_dir_why)
 *   use       for mtasts_client_give_load as it is. The text is not trusted here.
 */
mtasts_err store_dir_load(store_dir *store, const char *domain, const char **text, size_t *len);

/* store_dir_save - store the text of mtasts_entry_write
 *
 *   now       Unix seconds
 *   returns   MTASTS_OK, also when what is there counts more and is kept; MTASTS_ERR_USAGE,
 *             MTASTS_ERR_ENTRY_*: the text is no entry of that domain; MTASTS_ERR_LIMIT: it could
 *             not be written (store_dir_why), and what was there still is, unless only the last
 *             sync has failed
 *   which     A valid policy counts more than none, then the later `fetched`. What was fetched
 *             after `now` was written by a clock that was wrong, and yields. What cannot be read,
 *             or is of another version of mtasts.h, may be a policy: it yields to a valid one only.
 */
mtasts_err store_dir_save(store_dir *store, const char *domain, const char *text, size_t len,
                          int64_t now);

/* store_dir_drop - remove what is stored for a domain
 *
 *   returns   MTASTS_OK, also if there is nothing; MTASTS_ERR_USAGE: not a normalised name;
 *             MTASTS_ERR_LIMIT: it could not be removed (store_dir_why)
 */
mtasts_err store_dir_drop(store_dir *store, const char *domain);

/* One file of the directory. */
typedef struct store_dir_item {
    const char *file;   /* its name, which is the domain if err is MTASTS_OK; any octets else */
    mtasts_err err;     /* MTASTS_OK, or why it cannot be used */
    mtasts_diag diag;   /* if not: where, and in text what else there is to say, e.g. "it cannot be
                           opened: Permission denied"; good until the callback returns */
    mtasts_entry entry; /* if MTASTS_OK; texts are good until the callback returns */
    int keep;           /* 0: a store wrote it and it is of no use any more: mtasts_entry_keep says
                           so, or it cannot be read back. 1: it is good, or may be (it could not be
                           read; of another version, less than a year old), or is none of ours */
} store_dir_item;

/* store_dir_each - look at every file, in the order of their names
 *
 *   domain    NULL: all; else only that one
 *   each      called for each; returns 0 to go on. It must not call the store.
 *   returns   how many were looked at; -1: the directory cannot be read (store_dir_why)
 */
long store_dir_each(store_dir *store, const char *domain, int64_t now,
                    int (*each)(void *user, const store_dir_item *item), void *user);

/* store_dir_purge - remove what is of no use (item.keep is 0) and what writers that were killed
 * have left behind
 *
 *   dry_run   1: only say what would be removed
 *   each      called for each that is (or would be) removed; may be NULL
 *   returns   how many; -1: something could not be removed (store_dir_why); the others are
 */
long store_dir_purge(store_dir *store, int64_t now, int dry_run,
                     int (*each)(void *user, const store_dir_item *item), void *user);

/* store_dir_why - what went wrong last, in words; never NULL */
const char *store_dir_why(const store_dir *store);

#endif
