/* Writers of store_dir that are killed with SIGKILL at any moment: no entry is ever torn or lost
 * (D11).
 * Method: in each round one or two processes save entries for a few domains as fast as they can and
 * report each save that is done. After 0 to 5 ms they are killed (after more on a slow disk, where
 * nothing is saved by then). Then each domain must have an entry that is octet for octet what was
 * saved, and not older than the last one reported for it.
 *
 *   store_kill [DIR]     the store is made in DIR (/tmp) and removed
 *
 * Prints what it did; exit 1 at the first fault. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../examples/adapters/store_dir.h"

#define FIRST INT64_C(1800000000)
#define NOW   (FIRST + 10000000) /* after all that is ever fetched, and all is valid then */

#define SHORT 5000000 /* nanoseconds */
#define LONG  80000000

enum { DOMAINS = 4, WRITERS = 2, ROUNDS = 500, ROUNDS_AT_LEAST = 100, SECONDS = 15, SAVES = 3000 };

static const char *const domains[DOMAINS] = {"a.example", "b.example", "c.example", "d.example"};

typedef struct text {
    size_t len;
    char at[MTASTS_ENTRY_MAX + 1];
} text;

typedef struct report {
    int64_t fetched; /* -1: a save has failed */
    size_t domain;
} report;

static char dir[256];

static int wrong(int round, const char *what, const char *why)
{
    printf("FAIL round %d: %s: %s\n", round, what, why);
    return 0;
}

/* The entry of a domain that was fetched then: of many sizes, and no two alike. */
static void make(text *out, const char *domain, int64_t fetched)
{
    static char policy[MTASTS_POLICY_MAX];
    static const char head[] =
        "version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 31557600\ncomment: ";
    size_t len = sizeof head - 1 + (size_t)(fetched % 16) * 1024 + 1;
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    memcpy(policy, head, sizeof head - 1);
    memset(policy + sizeof head - 1, (int)('a' + fetched % 26), len - (sizeof head - 1));
    if (mtasts_policy_parse(&e.policy, policy, len, 0, NULL) != MTASTS_OK)
        abort();
    e.domain.ptr = domain;
    e.domain.len = strlen(domain);
    e.id.ptr = "1";
    e.id.len = 1;
    e.fetched = e.checked = e.used = e.refresh = fetched;
    e.expires = fetched + 31557600;
    if (mtasts_entry_write(out->at, sizeof out->at, &out->len, &e) != MTASTS_OK)
        abort();
}

/* Until it is killed, or nobody listens any more (SIGPIPE). */
static void save_for_ever(int out, int64_t from)
{
    static text t;
    store_dir *s = store_dir_open(dir, 0, NULL, 0);
    int i;
    for (i = 0; s && i < SAVES; i++) {
        report r;
        memset(&r, 0, sizeof r);
        r.fetched = from + i * (int64_t)WRITERS;
        r.domain = (size_t)i % DOMAINS;
        make(&t, domains[r.domain], r.fetched);
        if (store_dir_save(s, domains[r.domain], t.at, t.len, NOW) != MTASTS_OK)
            r.fetched = -1;
        if (write(out, &r, sizeof r) != (ssize_t)sizeof r)
            break;
    }
    pause();
}

static int64_t random_below(int64_t n)
{
    static uint64_t x = 1;
    x = x * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(x >> 33) % n;
}

/* Start them, kill them, and see what they have reported. How many saves; -1: one has failed. */
static long round_of(int writers, int64_t from, int64_t *reported, int64_t longest)
{
    struct timespec wait = {0, 0};
    int ends[2], i;
    pid_t pids[WRITERS];
    report r;
    long saves = 0;
    if (pipe(ends) != 0)
        return -1;
    for (i = 0; i < writers; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(ends[0]);
            save_for_ever(ends[1], from + i);
            _exit(1);
        }
    }
    close(ends[1]);
    wait.tv_nsec = random_below(longest);
    nanosleep(&wait, NULL);
    for (i = 0; i < writers; i++)
        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        } else {
            saves = -1;
        }
    while (saves >= 0 && read(ends[0], &r, sizeof r) == (ssize_t)sizeof r) {
        saves = r.fetched < 0 ? -1 : saves + 1;
        if (r.fetched > reported[r.domain])
            reported[r.domain] = r.fetched;
    }
    close(ends[0]);
    return saves;
}

/* Is all there that was reported? *last: the latest that is stored. */
static int check(store_dir *s, int round, const int64_t *reported, int64_t *last)
{
    static text t;
    const char *at;
    size_t i, len;
    for (i = 0; i < DOMAINS; i++) {
        mtasts_entry e;
        mtasts_err err = store_dir_load(s, domains[i], &at, &len);
        if (err == MTASTS_OK && !at && reported[i] == 0)
            continue;
        if (err != MTASTS_OK || !at)
            return wrong(round, domains[i], "lost");
        err = mtasts_entry_read(&e, domains[i], strlen(domains[i]), at, len, NOW, NULL);
        if (err != MTASTS_OK)
            return wrong(round, domains[i], mtasts_strerror((int)err));
        if (e.fetched < reported[i])
            return wrong(round, domains[i], "older than what was saved");
        make(&t, domains[i], e.fetched);
        if (t.len != len || memcmp(t.at, at, len) != 0)
            return wrong(round, domains[i], "not what was saved");
        if (e.fetched > *last)
            *last = e.fetched;
    }
    return 1;
}

static int exists(const char *name)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

static int rounds(store_dir *s)
{
    int64_t reported[DOMAINS] = {0}, last = FIRST, longest = SHORT;
    long saves = 0, inside = 0;
    time_t begun = time(NULL);
    int round = 0, ok = 1;
    while (ok && round < ROUNDS && time(NULL) - begun < SECONDS) {
        long n = round_of(round % WRITERS + 1, last + 1, reported, longest);
        if (n < 0)
            ok = wrong(round, "a writer", "a save has failed");
        saves += n;
        if (n == 0 && longest < LONG)
            longest *= 2;
        else if (n > 0 && longest > SHORT)
            longest /= 2;
        inside += exists(".tmp");
        ok = ok && check(s, round, reported, &last);
        round++;
    }
    printf("store_kill: %d rounds, %ld saves reported, %ld kills inside a save\n", round, saves,
           inside);
    if (ok && (round < ROUNDS_AT_LEAST || saves == 0 || inside == 0))
        ok = wrong(round, "too few", "this has shown nothing");
    return ok;
}

static void clean_up(void)
{
    char path[300];
    size_t i;
    for (i = 0; i < DOMAINS; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, domains[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/.lock", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/.tmp", dir);
    unlink(path);
    if (rmdir(dir) != 0)
        perror(dir);
}

int main(int argc, char **argv)
{
    char error[200] = "";
    store_dir *s = NULL;
    int ok;
    snprintf(dir, sizeof dir, "%s/store_kill.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(dir) || !(s = store_dir_open(dir, 0, error, sizeof error))) {
        printf("FAIL cannot make a store: %s: %s\n", dir, *error ? error : strerror(errno));
        return 1;
    }
    ok = rounds(s);
    if (ok && (store_dir_purge(s, NOW, 0, NULL, NULL) < 0 || exists(".tmp")))
        ok = wrong(0, "purge", "it leaves what is left over");
    store_dir_close(s);
    clean_up();
    return !ok;
}
