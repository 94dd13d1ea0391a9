#include "store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK       ".lock"
#define TEMPORARY  ".tmp" /* one is enough: who writes it holds the lock */
#define TAG        "mtasts-entry "
#define LOCK_TRIES 12000 /* with the pauses two seconds, about */

/* A file that was read, and one octet more than an entry can have, and NUL. */
typedef struct slot {
    char text[MTASTS_ENTRY_MAX + 2];
    size_t len;
    int there;
    int64_t written; /* when, Unix seconds */
} slot;

struct store_dir {
    int dir;
    uid_t owner; /* of the directory */
    gid_t group;
    char why[160];
    slot shown; /* what the caller looks at */
    slot old;   /* what is compared with it */
};

/* ---- open, close */

static void say(char *out, size_t size, const char *what, const char *why)
{
    if (size)
        snprintf(out, size, "%s%s%s", what, *what ? ": " : "", why);
}

static mtasts_err cannot(store_dir *store, const char *what)
{
    say(store->why, sizeof store->why, what, strerror(errno));
    return MTASTS_ERR_LIMIT;
}

static mtasts_err refuse(store_dir *store, mtasts_err err, const char *why)
{
    say(store->why, sizeof store->why, "", why);
    return err;
}

/* The directory and those above it; what is there already is left as it is. */
static int make_directories(const char *path)
{
    char *copy = strdup(path), *end;
    int ok = copy != NULL && *copy;
    for (end = copy; ok && *end; end++) {
        if (*end != '/' || end == copy)
            continue;
        *end = '\0';
        ok = mkdir(copy, 0700) == 0 || errno == EEXIST;
        *end = '/';
    }
    ok = ok && (mkdir(copy, 0700) == 0 || errno == EEXIST);
    free(copy);
    return ok;
}

/* Who can put a file into the directory can switch the protection off. */
static const char *distrust(const struct stat *dir)
{
    if (dir->st_mode & S_IWOTH)
        return "everybody may write to this directory";
    if (dir->st_uid != 0 && dir->st_uid != geteuid() && geteuid() != 0)
        return "this directory belongs to another user";
    return NULL;
}

store_dir *store_dir_open(const char *path, int create, char *error, size_t error_size)
{
    struct stat st = {0};
    const char *why;
    store_dir *store = calloc(1, sizeof *store);
    int dir = -1;
    if (store && (!create || make_directories(path)))
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    why = dir >= 0 && fstat(dir, &st) == 0 ? distrust(&st) : strerror(errno);
    if (!store || dir < 0 || why) {
        say(error, error_size, "cannot use the store", why);
        if (dir >= 0)
            close(dir);
        free(store);
        return NULL;
    }
    store->dir = dir;
    store->owner = st.st_uid;
    store->group = st.st_gid;
    return store;
}

void store_dir_close(store_dir *store)
{
    if (!store)
        return;
    close(store->dir);
    free(store);
}

const char *store_dir_why(const store_dir *store)
{
    return store->why;
}

/* ---- reading */

static int is_domain(const char *name)
{
    char normal[MTASTS_NAME_SIZE];
    return mtasts_name_normalise(normal, name, strlen(name), NULL) == MTASTS_OK &&
           strcmp(normal, name) == 0;
}

/* As many octets as there are, at most cap; -1: errno. */
static ssize_t read_all(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n = 1;
    while (n != 0 && len < cap) {
        n = read(fd, out + len, cap - len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            len += (size_t)n;
    }
    return (ssize_t)len;
}

/* Read a file, if it is one. A pipe or a device must not make anybody wait. */
static mtasts_err look(store_dir *store, const char *name, slot *out)
{
    struct stat st;
    mtasts_err err = MTASTS_OK;
    ssize_t n;
    int fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    out->len = 0;
    out->there = fd >= 0 || errno != ENOENT;
    if (!out->there)
        return MTASTS_OK;
    if (fd < 0 && (errno == ELOOP || errno == ENXIO)) /* a link, a socket */
        return refuse(store, MTASTS_ERR_ENTRY_DAMAGED, "it is no regular file");
    if (fd < 0)
        return cannot(store, "it cannot be opened");
    if (fstat(fd, &st) != 0) {
        err = cannot(store, "it cannot be looked at");
    } else if (!S_ISREG(st.st_mode)) {
        err = refuse(store, MTASTS_ERR_ENTRY_DAMAGED, "it is no regular file");
    } else {
        out->written = st.st_mtime;
        n = read_all(fd, out->text, sizeof out->text - 1);
        if (n < 0)
            err = cannot(store, "it cannot be read");
        else
            out->len = (size_t)n;
        if (out->len > MTASTS_ENTRY_MAX)
            err = refuse(store, MTASTS_ERR_ENTRY_DAMAGED, "it is larger than any entry");
    }
    out->text[out->len] = '\0';
    close(fd);
    return err;
}

mtasts_err store_dir_load(store_dir *store, const char *domain, const char **text, size_t *len)
{
    mtasts_err err;
    *text = NULL;
    *len = 0;
    if (!is_domain(domain))
        return refuse(store, MTASTS_ERR_USAGE, "not a domain name in lower case");
    err = look(store, domain, &store->shown);
    if (err == MTASTS_OK && store->shown.there) {
        *text = store->shown.text;
        *len = store->shown.len;
    }
    return err;
}

/* ---- writing */

/* A new file, as much the directory's owner's as that is: root's tools must not lock out a server
 * that runs as somebody else. */
static int create(const store_dir *store, const char *name)
{
    int fd = openat(store->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && store->owner != geteuid() && geteuid() == 0 &&
        fchown(fd, store->owner, store->group) != 0) {
        int why = errno;
        close(fd);
        unlinkat(store->dir, name, 0);
        errno = why;
        return -1;
    }
    return fd;
}

static int open_lock(const store_dir *store)
{
    int fd = openat(store->dir, LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 && errno == ENOENT ? create(store, LOCK) : fd;
}

static void wait_a_little(void)
{
    const struct timespec pause = {0, 100000};
    nanosleep(&pause, NULL);
}

/* The lock; -1: somebody does not let it go. Not one that was removed meanwhile. */
static int lock(store_dir *store)
{
    struct stat st;
    int tries;
    for (tries = 0; tries < LOCK_TRIES; tries++) {
        int fd = open_lock(store);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink)
            return fd;
        cannot(store, "the file .lock cannot be locked");
        if (fd < 0 && errno != EEXIST) /* another has just made it */
            break;
        if (fd >= 0)
            close(fd);
        wait_a_little();
    }
    return -1;
}

/* Who saves again at once would else have it before anybody who waits sees that it is free. */
static void unlock(int fd)
{
    close(fd);
    wait_a_little();
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return 0;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 1;
}

static mtasts_err replace(store_dir *store, const char *domain, const char *text, size_t len)
{
    mtasts_err err = MTASTS_OK;
    int fd;
    unlinkat(store->dir, TEMPORARY, 0); /* of a writer that was killed */
    fd = create(store, TEMPORARY);
    if (fd < 0)
        return cannot(store, "the file .tmp cannot be made");
    if (!write_all(fd, text, len) || fsync(fd) != 0)
        err = cannot(store, "it cannot be written");
    close(fd);
    if (err == MTASTS_OK && renameat(store->dir, TEMPORARY, store->dir, domain) != 0)
        err = cannot(store, "it cannot be replaced");
    if (err != MTASTS_OK)
        unlinkat(store->dir, TEMPORARY, 0);
    else if (fsync(store->dir) != 0)
        err = cannot(store, "the directory cannot be synced");
    return err;
}

static int has_policy(const mtasts_entry *entry, int64_t now)
{
    return entry->policy.text.ptr && mtasts_entry_valid(entry, now);
}

/* Is what is stored to be kept, in place of `fresh`? A policy counts more than the news that none
 * was found, then what was fetched later. What says it is of the future was written by a clock that
 * was wrong: it yields, or nobody could ever replace it. */
static int outlasts(store_dir *store, const mtasts_entry *fresh, const char *domain, int64_t now)
{
    const slot *old = &store->old;
    mtasts_entry e, as_written;
    size_t n = strlen(domain);
    int policy = has_policy(fresh, now);
    mtasts_err err = look(store, domain, &store->old);
    if (err == MTASTS_OK && !old->there)
        return 0;
    if (err == MTASTS_OK)
        err = mtasts_entry_read(&e, domain, n, old->text, old->len, now, NULL);
    if (err == MTASTS_ERR_LIMIT || err == MTASTS_ERR_ENTRY_VERSION)
        return !policy; /* it may be one, for somebody else */
    if (err != MTASTS_OK)
        return 0;
    if (has_policy(&e, now) != policy)
        return !policy;
    mtasts_entry_read(&as_written, domain, n, old->text, old->len, INT64_MAX, NULL);
    return as_written.fetched <= now && e.fetched > fresh->fetched;
}

mtasts_err store_dir_save(store_dir *store, const char *domain, const char *text, size_t len,
                          int64_t now)
{
    mtasts_entry fresh;
    mtasts_err err;
    int fd;
    if (!is_domain(domain))
        return refuse(store, MTASTS_ERR_USAGE, "not a domain name in lower case");
    err = mtasts_entry_read(&fresh, domain, strlen(domain), text, len, now, NULL);
    if (err != MTASTS_OK)
        return refuse(store, err, mtasts_strerror((int)err));
    fd = lock(store);
    if (fd < 0)
        return MTASTS_ERR_LIMIT;
    if (!outlasts(store, &fresh, domain, now))
        err = replace(store, domain, text, len);
    unlock(fd);
    return err;
}

mtasts_err store_dir_drop(store_dir *store, const char *domain)
{
    if (!is_domain(domain))
        return refuse(store, MTASTS_ERR_USAGE, "not a domain name in lower case");
    if (unlinkat(store->dir, domain, 0) == 0)
        return fsync(store->dir) == 0 ? MTASTS_OK : cannot(store, "the directory cannot be synced");
    return errno == ENOENT ? MTASTS_OK : cannot(store, "it cannot be removed");
}

/* ---- all of it */

/* Did a store write this? It never leaves less than all of it, but a file system may. */
static int is_ours(const slot *s)
{
    return s->len >= sizeof TAG - 1 && memcmp(s->text, TAG, sizeof TAG - 1) == 0;
}

/* Is it of use to whoever wrote it? No policy lives longer than a year, in any version. */
static int may_be_used(const slot *s, mtasts_err err, int64_t now)
{
    return err == MTASTS_ERR_ENTRY_VERSION && now - s->written < MTASTS_MAX_AGE_MAX;
}

/* What is there under a name. 0: nothing any more. */
static int examine(store_dir *store, const char *name, slot *in, int64_t now, store_dir_item *item)
{
    memset(item, 0, sizeof *item);
    item->file = name;
    item->keep = 1;
    if (!is_domain(name)) {
        item->err = item->diag.err = MTASTS_ERR_ENTRY_DOMAIN;
        item->diag.text = "the file's name is not a domain in lower case";
        return 1;
    }
    item->err = item->diag.err = look(store, name, in);
    item->diag.text = store->why;
    if (item->err == MTASTS_OK)
        item->err = mtasts_entry_read(&item->entry, name, strlen(name), in->text, in->len, now,
                                      &item->diag);
    if (item->err == MTASTS_OK)
        item->keep = mtasts_entry_keep(&item->entry, now);
    else
        item->keep = !is_ours(in) || may_be_used(in, item->err, now);
    return in->there;
}

typedef struct names {
    char **at;
    size_t count, room;
} names;

static int add_name(names *list, const char *name)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **more = realloc(list->at, room * sizeof *more);
        if (!more)
            return 0;
        list->at = more;
        list->room = room;
    }
    list->at[list->count] = strdup(name);
    return list->at[list->count] ? (list->count++, 1) : 0;
}

static void free_names(names *list)
{
    while (list->count)
        free(list->at[--list->count]);
    free(list->at);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_internal(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, LOCK) == 0 ||
           strcmp(name, TEMPORARY) == 0;
}

static int list_names(store_dir *store, names *list)
{
    int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *d;
    int ok = dir != NULL;
    while (ok && (errno = 0, d = readdir(dir)) != NULL)
        ok = is_internal(d->d_name) || add_name(list, d->d_name);
    ok = ok && errno == 0;
    if (!ok)
        cannot(store, "the directory cannot be read");
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (ok && list->count)
        qsort(list->at, list->count, sizeof *list->at, by_name);
    return ok;
}

long store_dir_each(store_dir *store, const char *domain, int64_t now,
                    int (*each)(void *user, const store_dir_item *item), void *user)
{
    names list = {NULL, 0, 0};
    store_dir_item item;
    long looked = 0;
    size_t i;
    int stop = 0;
    if (domain) {
        if (is_domain(domain) && examine(store, domain, &store->shown, now, &item)) {
            each(user, &item);
            looked = 1;
        }
        return looked;
    }
    if (!list_names(store, &list))
        looked = -1;
    for (i = 0; looked >= 0 && i < list.count && !stop; i++)
        if (examine(store, list.at[i], &store->shown, now, &item)) {
            looked++;
            stop = each(user, &item);
        }
    free_names(&list);
    return looked;
}

/* ---- purge */

typedef struct purge {
    store_dir *store;
    int64_t now;
    int dry_run, failed;
    char why[sizeof((store_dir *)0)->why]; /* it has failed; looking at others says more */
    long removed;
    int (*each)(void *user, const store_dir_item *item);
    void *user;
} purge;

static int has_failed(purge *p)
{
    p->failed = 1;
    memcpy(p->why, p->store->why, sizeof p->why);
    return 1;
}

/* Tell of one that is removed. */
static int told(purge *p, const store_dir_item *item)
{
    p->removed++;
    return p->each ? p->each(p->user, item) : 0;
}

/* It may have been saved anew since it was looked at: that is seen under the lock, which is not
 * held for longer than one file takes. */
static int purge_one(void *user, const store_dir_item *item)
{
    purge *p = user;
    store_dir_item again;
    int fd, gone = 0;
    if (item->keep)
        return 0;
    if (p->dry_run)
        return told(p, item);
    fd = lock(p->store);
    if (fd < 0)
        return has_failed(p);
    if (examine(p->store, item->file, &p->store->old, p->now, &again) && !again.keep) {
        gone = unlinkat(p->store->dir, item->file, 0) == 0;
        if (!gone) {
            cannot(p->store, "a file cannot be removed");
            has_failed(p);
        }
    }
    unlock(fd);
    return gone ? told(p, item) : 0;
}

/* Who holds the lock is the only writer, and it is not writing: a file is left over. */
static int purge_temporary(purge *p)
{
    struct stat st;
    store_dir_item item;
    int fd, gone;
    memset(&item, 0, sizeof item);
    item.file = TEMPORARY;
    item.err = item.diag.err = MTASTS_ERR_ENTRY_DAMAGED;
    item.diag.text = "its writer was killed";
    if (fstatat(p->store->dir, TEMPORARY, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (p->dry_run)
        return told(p, &item);
    fd = lock(p->store);
    if (fd < 0)
        return has_failed(p);
    gone = unlinkat(p->store->dir, TEMPORARY, 0) == 0;
    if (!gone && errno != ENOENT) {
        cannot(p->store, "the file .tmp cannot be removed");
        has_failed(p);
    }
    unlock(fd);
    return gone ? told(p, &item) : 0;
}

long store_dir_purge(store_dir *store, int64_t now, int dry_run,
                     int (*each)(void *user, const store_dir_item *item), void *user)
{
    purge p;
    memset(&p, 0, sizeof p);
    p.store = store;
    p.now = now;
    p.dry_run = dry_run;
    p.each = each;
    p.user = user;
    if (purge_temporary(&p) == 0 && store_dir_each(store, NULL, now, purge_one, &p) < 0)
        has_failed(&p);
    if (!p.failed)
        return p.removed;
    memcpy(store->why, p.why, sizeof store->why);
    return -1;
}
