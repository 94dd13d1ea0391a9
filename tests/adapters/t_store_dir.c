/* store_dir: policies in a directory (D3, D9, D11, D13).
 * Goal: what was saved comes back whole or not at all, whoever else writes, whatever lies in the
 * directory and whatever fails; and nothing outside of it, or not ours, is ever touched.
 * Method: the real file system, in a directory of the test's own; files made by hand; descriptors
 * and file sizes limited; other processes, other users (if root runs it), and a lock that is held
 * for ever. fsync and flock of this program come before the C library's: one fails when told to,
 * the other lets something happen just before. store_kill.c kills writers. */
#include "../unit/test.h"

#include "../../examples/adapters/store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOW    INT64_C(1800000000)
#define AGE    86400
#define POLICY "version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 86400\n"
#define L63    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253   L63 "." L63 "." L63 ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NOBODY 65534
#define OTHER  12345 /* a user who is nobody either */

/* ---- in place of the C library's */

static int syncs, failing_sync; /* how many; the number of the one that fails, 0: none */
static void (*before_lock)(void);

int fsync(int fd)
{
    if (++syncs != failing_sync)
        return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}

int flock(int fd, int operation)
{
    void (*hook)(void) = before_lock;
    before_lock = NULL;
    if (hook)
        hook();
    return (int)syscall(SYS_flock, fd, operation);
}

/* ---- a directory for each test */

static char base[64], dir[80];
static int least_fd;

static int lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

static const char *in_dir(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", dir, name);
    return out;
}

static void empty(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    char name[512];
    while (d && (e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            if (unlink(name) != 0)
                rmdir(name);
        }
    if (d)
        closedir(d);
}

static int setup(void **state)
{
    (void)state;
    alarm(60); /* nothing here may hang */
    umask(022);
    snprintf(base, sizeof base, "/tmp/t_store_dir.XXXXXX");
    if (!mkdtemp(base) || chmod(base, 0755) != 0)
        return -1;
    snprintf(dir, sizeof dir, "%s/store", base);
    least_fd = lowest_fd();
    return mkdir(dir, 0700);
}

static int teardown(void **state)
{
    (void)state;
    alarm(0);
    empty(dir);
    empty(base);
    return rmdir(base) == 0 && lowest_fd() == least_fd ? 0 : -1;
}

static store_dir *open_store(void)
{
    char error[200];
    store_dir *s = store_dir_open(dir, 0, error, sizeof error);
    if (!s)
        fail_msg("%s", error);
    return s;
}

static void write_file(const char *name, const char *text, size_t len)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static int exists(const char *name)
{
    struct stat st;
    return lstat(in_dir(name), &st) == 0;
}

/* ---- entries */

typedef struct text {
    size_t len;
    char at[MTASTS_ENTRY_MAX + 1];
} text;

/* A policy, or if that is NULL, a fetch that has failed. */
static void write_entry(text *out, const char *domain, int64_t fetched, const char *policy)
{
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    e.domain.ptr = domain;
    e.domain.len = strlen(domain);
    e.fetched = e.checked = e.used = fetched;
    e.expires = e.refresh = e.retry = fetched + 300;
    e.failures = !policy;
    e.failed = MTASTS_ERR_HTTPS_CERT;
    if (policy) {
        if (mtasts_policy_parse(&e.policy, policy, strlen(policy), 0, NULL) != MTASTS_OK)
            abort();
        e.id.ptr = "1";
        e.id.len = 1;
        e.expires = fetched + e.policy.max_age;
    }
    if (mtasts_entry_write(out->at, sizeof out->at, &out->len, &e) != MTASTS_OK)
        abort();
}

static mtasts_err save(store_dir *s, const char *domain, int64_t fetched, const char *policy,
                       int64_t now)
{
    text t;
    write_entry(&t, domain, fetched, policy);
    return store_dir_save(s, domain, t.at, t.len, now);
}

/* When what is stored was fetched, as written; -1: nothing; -2: it does not read back. */
static int64_t stored(store_dir *s, const char *domain)
{
    const char *at;
    size_t len;
    mtasts_entry e;
    if (store_dir_load(s, domain, &at, &len) != MTASTS_OK)
        return -2;
    if (!at)
        return -1;
    if (at[len] != '\0' ||
        mtasts_entry_read(&e, domain, strlen(domain), at, len, INT64_MAX, NULL) != MTASTS_OK)
        return -2;
    return e.fetched;
}

/* ---- saving and loading */

static void test_round_trip(void **state)
{
    static const char *const domains[] = {"example.com", "a", "_x.xn--4gbrim.example", N253};
    static text t;
    struct stat st;
    store_dir *s = open_store();
    const char *at;
    size_t i, len;
    (void)state;
    for (i = 0; i < COUNT(domains); i++) {
        write_entry(&t, domains[i], NOW, POLICY);
        assert_int_equal(store_dir_load(s, domains[i], &at, &len), MTASTS_OK);
        assert_null(at);
        assert_int_equal(store_dir_save(s, domains[i], t.at, t.len, NOW), MTASTS_OK);
        assert_int_equal(store_dir_load(s, domains[i], &at, &len), MTASTS_OK);
        assert_int_equal(len, t.len);
        assert_memory_equal(at, t.at, len + 1);
        assert_int_equal(lstat(in_dir(domains[i]), &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        /* what was loaded may be saved */
        assert_int_equal(store_dir_save(s, domains[i], at, len, NOW), MTASTS_OK);
        assert_int_equal(stored(s, domains[i]), NOW);
        assert_int_equal(store_dir_drop(s, domains[i]), MTASTS_OK);
        assert_int_equal(store_dir_drop(s, domains[i]), MTASTS_OK);
        assert_int_equal(stored(s, domains[i]), -1);
    }
    assert_false(exists(".tmp"));
    store_dir_close(s);
    store_dir_close(NULL);
}

/* The largest policy, and one that is stored by another handle. */
static void test_largest(void **state)
{
    static char policy[MTASTS_POLICY_MAX + 1];
    static const char head[] = POLICY "comment: ";
    store_dir *s = open_store(), *other = open_store();
    (void)state;
    memset(policy, 'x', MTASTS_POLICY_MAX);
    memcpy(policy, head, sizeof head - 1);
    policy[MTASTS_POLICY_MAX] = '\0';
    assert_int_equal(save(s, N253, NOW, policy, NOW), MTASTS_OK);
    assert_int_equal(stored(other, N253), NOW);
    store_dir_close(other);
    store_dir_close(s);
}

/* D13: a name leads nowhere else, and an entry is stored only for its domain. */
static void test_names(void **state)
{
    static const char long_label[] = L63 "a.com", long_name[] = N253 "x";
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "../x",
                                      "/etc/passwd",
                                      "a/b",
                                      ".lock",
                                      ".tmp",
                                      ".hidden",
                                      "Example.com",
                                      "example.com.",
                                      "a..b",
                                      "a b",
                                      "a\n",
                                      "192.0.2.1",
                                      "[::1]",
                                      "\xc3\xa4.com",
                                      "-a.com",
                                      "~",
                                      "a\\b",
                                      "*.example.com",
                                      long_label,
                                      long_name,
                                      "con:",
                                      "a%2fb",
                                      "\x1b[31m"};
    static text t;
    store_dir *s = open_store();
    const char *at;
    size_t i, len;
    (void)state;
    write_entry(&t, "example.com", NOW, POLICY);
    for (i = 0; i < COUNT(bad); i++) {
        at = t.at;
        assert_int_equal(store_dir_load(s, bad[i], &at, &len), MTASTS_ERR_USAGE);
        assert_null(at);
        assert_int_equal(store_dir_save(s, bad[i], t.at, t.len, NOW), MTASTS_ERR_USAGE);
        assert_int_equal(store_dir_drop(s, bad[i]), MTASTS_ERR_USAGE);
        assert_int_equal(store_dir_each(s, bad[i], NOW, NULL, NULL), 0);
        assert_true(*store_dir_why(s) != '\0');
    }
    assert_int_equal(store_dir_save(s, "example.org", t.at, t.len, NOW), MTASTS_ERR_ENTRY_DOMAIN);
    store_dir_close(s);
    assert_int_equal(rmdir(dir), 0); /* it is empty */
}

/* D11: no part of an entry is saved or accepted, and a torn one is replaced. */
static void test_torn(void **state)
{
    static text t;
    store_dir *s = open_store();
    size_t n;
    (void)state;
    write_entry(&t, "example.com", NOW - 10, POLICY);
    for (n = 0; n < t.len; n++) {
        mtasts_err err = store_dir_save(s, "example.com", t.at, n, NOW);
        assert_in_range(err, MTASTS_ERR_ENTRY_VERSION, MTASTS_ERR_ENTRY_DOMAIN);
        assert_false(exists("example.com"));
        write_file("example.com", t.at, n);
        assert_int_equal(stored(s, "example.com"), -2);
        assert_int_equal(store_dir_purge(s, NOW, 1, NULL, NULL), n > 14);
        if (n % 20 == 0) {
            assert_int_equal(save(s, "example.com", NOW - 20, POLICY, NOW), MTASTS_OK);
            assert_int_equal(stored(s, "example.com"), NOW - 20);
        }
        unlink(in_dir("example.com"));
    }
    store_dir_close(s);
}

/* Which one counts: D3 (a fetch that fails leaves a policy in place), D9 (clocks that jump), and
 * several processes that do not save in the order in which they have fetched. */
static void test_which(void **state)
{
    static const struct {
        int64_t old, fresh;
        int old_policy, fresh_policy;
        int is_kept; /* the old one */
    } rows[] = {
        {NOW - 10, NOW - 5, 1, 1, 0},         {NOW - 5, NOW - 10, 1, 1, 1},
        {NOW - 5, NOW - 5, 1, 1, 0},          {NOW, NOW - 1, 1, 1, 1},
        {NOW - 10, NOW - 5, 1, 0, 1}, /* D3 */
        {NOW - 5, NOW - 10, 1, 0, 1},         {NOW - 10, NOW - 5, 0, 1, 0},
        {NOW - 5, NOW - 10, 0, 1, 0}, /* what failed here was had there */
        {NOW - 10, NOW - 5, 0, 0, 0},         {NOW - 5, NOW - 10, 0, 0, 1},
        {NOW - AGE, NOW - 5, 1, 0, 0},                                       /* it has expired */
        {NOW - AGE + 1, NOW - 5, 1, 0, 1},    {NOW - 5, NOW - AGE, 0, 1, 1}, /* that has expired */
        {NOW + 1, NOW - 10, 1, 1, 0}, /* D9: the future does not block what is to come */
        {NOW + 999999999, NOW, 1, 1, 0},      {INT64_MAX - AGE, NOW - 10, 1, 1, 0},
        {NOW + 999999999, NOW - 10, 1, 0, 1}, {NOW + 999999999, NOW - 10, 0, 0, 0},
        {NOW + 999999999, NOW - 10, 0, 1, 0},
    };
    static text t;
    store_dir *s = open_store();
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        write_entry(&t, "example.com", rows[i].old, rows[i].old_policy ? POLICY : NULL);
        write_file("example.com", t.at, t.len);
        assert_int_equal(
            save(s, "example.com", rows[i].fresh, rows[i].fresh_policy ? POLICY : NULL, NOW),
            MTASTS_OK);
        if (stored(s, "example.com") != (rows[i].is_kept ? rows[i].old : rows[i].fresh))
            fail_msg("row %zu: %" PRId64, i, stored(s, "example.com"));
    }
    store_dir_close(s);
}

/* What is no entry of this version yields to a policy; if it may be one, to nothing less. */
static void test_others(void **state)
{
    static const struct {
        const char *text;
        mtasts_err err;
        int yields;  /* to the news that there is none */
        int removed; /* by a purge */
    } rows[] = {
        {"mtasts-entry 2 00000000 000000\n", MTASTS_ERR_ENTRY_VERSION, 0, 0},
        {"mtasts-entry 1 00000000 000003\nabc", MTASTS_ERR_ENTRY_DAMAGED, 1, 1},
        {"", MTASTS_ERR_ENTRY_VERSION, 0, 0}, /* anybody's */
        {"shopping list\n", MTASTS_ERR_ENTRY_VERSION, 0, 0},
        {"mtasts-entrx", MTASTS_ERR_ENTRY_VERSION, 0, 0},
    };
    const struct timespec times[2] = {{NOW - MTASTS_MAX_AGE_MAX, 0}, {NOW - MTASTS_MAX_AGE_MAX, 0}};
    static text t;
    store_dir *s = open_store();
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        write_file("a.example", rows[i].text, strlen(rows[i].text));
        assert_int_equal(save(s, "a.example", NOW, NULL, NOW), MTASTS_OK);
        assert_int_equal(stored(s, "a.example"), rows[i].yields ? NOW : -2);
        write_file("a.example", rows[i].text, strlen(rows[i].text));
        assert_int_equal(store_dir_purge(s, (int64_t)time(NULL), 0, NULL, NULL), rows[i].removed);
        assert_int_equal(exists("a.example"), !rows[i].removed);
        assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
        assert_int_equal(stored(s, "a.example"), NOW);
    }
    write_file("a.example", rows[0].text, strlen(rows[0].text));
    assert_int_equal(utimensat(AT_FDCWD, in_dir("a.example"), times, 0), 0);
    assert_int_equal(store_dir_purge(s, NOW - 1, 0, NULL, NULL), 0);
    assert_int_equal(store_dir_purge(s, NOW, 0, NULL, NULL), 1);
    write_entry(&t, "b.example", NOW, POLICY); /* a copy under another name: D13 */
    write_file("a.example", t.at, t.len);
    assert_int_equal(stored(s, "a.example"), -2);
    assert_int_equal(store_dir_purge(s, NOW, 0, NULL, NULL), 1);
    store_dir_close(s);
}

/* ---- what else lies in the directory */

static void make_link(const char *name, const char *to)
{
    assert_int_equal(symlink(to, in_dir(name)), 0);
}

static void make_socket(const char *name)
{
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

/* One of each kind; the entry that the link leads to lies outside. */
static void make_hostile(const text *outside)
{
    char path[128];
    int fd;
    write_file("../outside", outside->at, outside->len);
    snprintf(path, sizeof path, "%s/outside", base);
    make_link("link.example", path);
    snprintf(path, sizeof path, "%s/nowhere", base);
    make_link("dangling.example", path);
    make_link("self.example", "self.example");
    assert_int_equal(mkfifo(in_dir("fifo.example"), 0600), 0);
    assert_int_equal(mkdir(in_dir("folder.example"), 0700), 0);
    make_socket("socket.example");
    write_file("large.example", "mtasts-entry 1 ", 15);
    assert_int_equal(truncate(in_dir("large.example"), (off_t)1 << 30), 0);
    write_file("zeros.example", "", 0);
    assert_int_equal(truncate(in_dir("zeros.example"), MTASTS_ENTRY_MAX), 0);
    fd = open(in_dir("Upper.example~"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, outside->at, outside->len), (ssize_t)outside->len);
    close(fd);
}

static const char *const hostile[] = {"dangling.example", "fifo.example", "folder.example",
                                      "large.example",    "link.example", "self.example",
                                      "socket.example",   "zeros.example"};

static void test_hostile_files(void **state)
{
    static text t;
    store_dir *s = open_store();
    const char *at;
    struct stat st;
    size_t i, len;
    char path[128];
    (void)state;
    write_entry(&t, "link.example", NOW, POLICY);
    make_hostile(&t);
    for (i = 0; i < COUNT(hostile); i++) {
        int folder = strcmp(hostile[i], "folder.example") == 0;
        int zeros = strcmp(hostile[i], "zeros.example") == 0;
        assert_int_equal(store_dir_load(s, hostile[i], &at, &len),
                         zeros ? MTASTS_OK : MTASTS_ERR_ENTRY_DAMAGED);
        assert_int_equal(stored(s, hostile[i]), -2);
        assert_int_equal(save(s, hostile[i], NOW, POLICY, NOW),
                         folder ? MTASTS_ERR_LIMIT : MTASTS_OK);
        assert_int_equal(stored(s, hostile[i]), folder ? -2 : NOW);
        assert_int_equal(store_dir_drop(s, hostile[i]), folder ? MTASTS_ERR_LIMIT : MTASTS_OK);
        assert_int_equal(exists(hostile[i]), folder);
        assert_false(exists(".tmp"));
    }
    snprintf(path, sizeof path, "%s/outside", base);
    assert_int_equal(stat(path, &st), 0); /* what the link led to is as it was */
    assert_int_equal(st.st_size, (off_t)t.len);
    assert_false(exists("../nowhere"));
    store_dir_close(s);
}

/* Our own files' names, taken by somebody else. */
static void test_hostile_own_names(void **state)
{
    store_dir *s = open_store();
    char path[128];
    (void)state;
    write_file("../outside", "as it was", 9);
    snprintf(path, sizeof path, "%s/outside", base);
    make_link(".tmp", path);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    assert_int_equal(stored(s, "a.example"), NOW);
    assert_int_equal(mkdir(in_dir(".tmp"), 0700), 0);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_ERR_LIMIT);
    assert_non_null(strstr(store_dir_why(s), strerror(EEXIST)));
    assert_int_equal(store_dir_purge(s, NOW, 0, NULL, NULL), -1);
    assert_non_null(strstr(store_dir_why(s), ".tmp"));
    assert_int_equal(rmdir(in_dir(".tmp")), 0);
    unlink(in_dir(".lock"));
    make_link(".lock", path);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_ERR_LIMIT);
    assert_non_null(strstr(store_dir_why(s), ".lock"));
    unlink(in_dir(".lock"));
    assert_int_equal(mkfifo(in_dir(".lock"), 0600), 0);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    assert_int_equal(stored(s, "a.example"), NOW);
    store_dir_close(s);
}

/* ---- all files, and purge */

typedef struct seen {
    char names[4096];
    size_t count, unusable, useless, stop_after;
} seen;

static int note(void *user, const store_dir_item *item)
{
    seen *l = user;
    size_t n = strlen(l->names);
    snprintf(l->names + n, sizeof l->names - n, "%s ", item->file);
    l->count++;
    l->unusable += item->err != MTASTS_OK;
    l->useless += !item->keep;
    assert_non_null(item->diag.text);
    assert_int_equal(item->diag.err, item->err);
    if (item->err == MTASTS_OK) {
        assert_str(item->entry.domain, item->file);
        assert_int_equal(item->keep, mtasts_entry_keep(&item->entry, NOW));
    }
    return l->count == l->stop_after;
}

static void fill(store_dir *s)
{
    static text t;
    write_entry(&t, "link.example", NOW, POLICY);
    make_hostile(&t);
    write_file("notes.txt", "mine\n", 5);
    write_file(".hidden", t.at, t.len);
    assert_int_equal(save(s, "good.example", NOW, POLICY, NOW), MTASTS_OK);
    assert_int_equal(save(s, "expired.example", NOW - AGE, POLICY, NOW), MTASTS_OK);
    assert_int_equal(save(s, "waits.example", NOW - 299, NULL, NOW), MTASTS_OK);
    assert_int_equal(save(s, "waited.example", NOW - 300, NULL, NOW), MTASTS_OK);
    write_file("torn.example", t.at, t.len / 2);
    write_file(".tmp", t.at, t.len / 2);
}

#define ALL                                                                                       \
    ".hidden Upper.example~ dangling.example expired.example fifo.example folder.example "        \
    "good.example large.example link.example notes.txt self.example socket.example torn.example " \
    "waited.example waits.example zeros.example "
#define REMOVED ".tmp expired.example large.example torn.example waited.example "
#define LEFT                                                                            \
    ".hidden Upper.example~ dangling.example fifo.example folder.example good.example " \
    "link.example notes.txt self.example socket.example waits.example zeros.example "

static void test_each(void **state)
{
    store_dir *s = open_store();
    seen l;
    (void)state;
    memset(&l, 0, sizeof l);
    assert_int_equal(store_dir_each(s, NULL, NOW, note, &l), 0);
    fill(s);
    assert_int_equal(store_dir_each(s, NULL, NOW, note, &l), 16);
    assert_string_equal(l.names, ALL);
    assert_int_equal(l.unusable, 12);
    assert_int_equal(l.useless, 4); /* of REMOVED; .tmp is not looked at here */
    memset(&l, 0, sizeof l);
    l.stop_after = 3;
    assert_int_equal(store_dir_each(s, NULL, NOW, note, &l), 3);
    assert_string_equal(l.names, ".hidden Upper.example~ dangling.example ");
    memset(&l, 0, sizeof l);
    assert_int_equal(store_dir_each(s, "good.example", NOW, note, &l), 1);
    assert_int_equal(store_dir_each(s, "fifo.example", NOW, note, &l), 1);
    assert_int_equal(store_dir_each(s, "nothing.example", NOW, note, &l), 0);
    assert_string_equal(l.names, "good.example fifo.example ");
    store_dir_close(s);
}

static void test_purge(void **state)
{
    store_dir *s = open_store();
    seen l;
    (void)state;
    fill(s);
    memset(&l, 0, sizeof l);
    assert_int_equal(store_dir_purge(s, NOW, 1, note, &l), 5);
    assert_string_equal(l.names, REMOVED);
    memset(&l, 0, sizeof l);
    assert_int_equal(store_dir_each(s, NULL, NOW, note, &l), 16);
    assert_true(exists(".tmp"));
    memset(&l, 0, sizeof l);
    l.stop_after = 2;
    assert_int_equal(store_dir_purge(s, NOW, 0, note, &l), 2);
    assert_int_equal(store_dir_purge(s, NOW, 0, note, &l), 3);
    assert_string_equal(l.names, REMOVED);
    assert_false(exists(".tmp"));
    memset(&l, 0, sizeof l);
    assert_int_equal(store_dir_each(s, NULL, NOW, note, &l), 12);
    assert_string_equal(l.names, LEFT);
    assert_int_equal(store_dir_purge(s, NOW, 0, NULL, NULL), 0);
    store_dir_close(s);
}

/* ---- several writers */

static pid_t start(void)
{
    pid_t pid;
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    return pid;
}

static void finish(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

enum { WRITERS = 4 };

/* Saves for one domain of its own and one that all share. */
static int write_many(int which)
{
    char error[200], own[32];
    store_dir *s = store_dir_open(dir, 0, error, sizeof error);
    int i, ok = s != NULL;
    snprintf(own, sizeof own, "d%d.example", which);
    for (i = 0; ok && i < 50; i++)
        ok = save(s, "shared.example", NOW - 1000 + (int64_t)i * WRITERS + which, POLICY, NOW) ==
                 MTASTS_OK &&
             save(s, own, NOW - 100 + i, POLICY, NOW) == MTASTS_OK;
    if (s && !ok)
        fprintf(stderr, "writer %d: %s\n", which, store_dir_why(s));
    store_dir_close(s);
    return !ok;
}

/* Readers see whole entries, and never an older one after a later one. */
static void test_processes(void **state)
{
    pid_t pids[WRITERS];
    store_dir *s = open_store();
    int64_t last = -1, at;
    char own[32];
    int i, status, running = WRITERS;
    (void)state;
    for (i = 0; i < WRITERS; i++) {
        pids[i] = start();
        if (pids[i] == 0)
            _exit(write_many(i));
    }
    while (running > 0) {
        at = stored(s, "shared.example");
        assert_true(at >= last);
        last = at;
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            running--;
        }
    }
    assert_int_equal(stored(s, "shared.example"), NOW - 1000 + INT64_C(49) * WRITERS + WRITERS - 1);
    for (i = 0; i < WRITERS; i++) {
        snprintf(own, sizeof own, "d%d.example", i);
        assert_int_equal(stored(s, own), NOW - 100 + 49);
    }
    assert_false(exists(".tmp"));
    store_dir_close(s);
}

/* Who never lets the lock go makes no save hang, and no reader wait. */
static void test_lock_held(void **state)
{
    store_dir *s = open_store(), *other = open_store();
    time_t begun;
    int fd;
    (void)state;
    assert_int_equal(save(s, "a.example", NOW - 10, POLICY, NOW), MTASTS_OK);
    assert_int_equal(save(other, "a.example", NOW - 9, POLICY, NOW), MTASTS_OK);
    fd = open(in_dir(".lock"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    begun = time(NULL);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_ERR_LIMIT);
    assert_in_range(time(NULL) - begun, 1, 10);
    assert_non_null(strstr(store_dir_why(s), ".lock"));
    assert_int_equal(stored(s, "a.example"), NOW - 9);
    assert_int_equal(store_dir_purge(s, NOW + AGE, 1, NULL, NULL), 1);
    assert_int_equal(store_dir_purge(s, NOW + AGE, 0, NULL, NULL), -1);
    assert_int_equal(stored(s, "a.example"), NOW - 9);
    assert_int_equal(store_dir_drop(s, "a.example"), MTASTS_OK);
    close(fd);
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    store_dir_close(other);
    store_dir_close(s);
}

/* What is expired when a purge looks at it may have been saved anew when it has the lock. */
static void save_anew(void)
{
    static text t;
    write_entry(&t, "a.example", NOW, POLICY);
    write_file("a.example", t.at, t.len);
}

static void remove_lock(void)
{
    unlink(in_dir(".lock"));
}

static void test_races(void **state)
{
    store_dir *s = open_store();
    (void)state;
    assert_int_equal(save(s, "a.example", NOW - AGE, POLICY, NOW), MTASTS_OK);
    before_lock = save_anew;
    assert_int_equal(store_dir_purge(s, NOW, 0, NULL, NULL), 0);
    assert_int_equal(stored(s, "a.example"), NOW);
    before_lock = remove_lock; /* what is locked then locks nobody out */
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    assert_true(exists(".lock"));
    store_dir_close(s);
}

/* ---- what fails */

/* What was not synced is not told to be saved. */
static void test_sync(void **state)
{
    store_dir *s = open_store();
    (void)state;
    syncs = 0;
    assert_int_equal(save(s, "a.example", NOW - 9, POLICY, NOW), MTASTS_OK);
    assert_int_equal(syncs, 2); /* the file, and its name */
    failing_sync = 3;
    assert_int_equal(save(s, "a.example", NOW - 8, POLICY, NOW), MTASTS_ERR_LIMIT);
    assert_non_null(strstr(store_dir_why(s), strerror(EIO)));
    assert_int_equal(stored(s, "a.example"), NOW - 9);
    assert_false(exists(".tmp"));
    failing_sync = 5;
    assert_int_equal(save(s, "a.example", NOW - 7, POLICY, NOW), MTASTS_ERR_LIMIT);
    assert_int_equal(stored(s, "a.example"), NOW - 7);
    failing_sync = 6;
    assert_int_equal(store_dir_drop(s, "a.example"), MTASTS_ERR_LIMIT);
    failing_sync = 0;
    store_dir_close(s);
}

/* Files may not grow beyond `most` octets: as on a full disk, a write is cut short, then fails. */
static int save_on_full_disk(rlim_t most)
{
    struct rlimit limit = {most, most};
    char error[200];
    store_dir *s = store_dir_open(dir, 0, error, sizeof error);
    int ok;
    signal(SIGXFSZ, SIG_IGN);
    ok = s && setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
         save(s, "a.example", NOW, POLICY, NOW) == MTASTS_ERR_LIMIT &&
         strstr(store_dir_why(s), strerror(EFBIG)) && stored(s, "a.example") == NOW - 10 &&
         !exists(".tmp");
    store_dir_close(s);
    return !ok;
}

static void test_full_disk(void **state)
{
    static const rlim_t most[] = {0, 1, 100};
    store_dir *s = open_store();
    size_t i;
    pid_t pid;
    (void)state;
    assert_int_equal(save(s, "a.example", NOW - 10, POLICY, NOW), MTASTS_OK);
    for (i = 0; i < COUNT(most); i++) {
        pid = start();
        if (pid == 0)
            _exit(save_on_full_disk(most[i]));
        finish(pid);
    }
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    store_dir_close(s);
}

/* With 0, 1, 2, ... descriptors to spare all fails, is told, and loses nothing; then all works. */
static void test_no_descriptors(void **state)
{
    store_dir *s = open_store();
    struct rlimit before, limit;
    seen l;
    int spare, saved = 0, listed = 0;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(save(s, "a.example", NOW - 10, POLICY, NOW), MTASTS_OK);
    for (spare = 0; spare < 5; spare++) {
        limit = before;
        limit.rlim_cur = (rlim_t)lowest_fd() + (rlim_t)spare;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        saved += save(s, "a.example", NOW + spare, POLICY, NOW + 10) == MTASTS_OK;
        if (!saved)
            assert_non_null(strstr(store_dir_why(s), strerror(EMFILE)));
        memset(&l, 0, sizeof l);
        listed += store_dir_each(s, NULL, NOW, note, &l) == 1 && l.unusable == 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(stored(s, "a.example"), saved ? NOW + spare : NOW - 10);
    }
    assert_int_equal(saved, 3); /* the lock and one file */
    assert_int_equal(listed, 4);
    store_dir_close(s);
}

static int is_refused(const char *path, int create, const char *why)
{
    char error[200] = "";
    store_dir *s = store_dir_open(path, create, error, sizeof error);
    int refused = !s && strstr(error, why);
    if (!refused)
        fprintf(stderr, "%s: %s\n", path, error);
    store_dir_close(s);
    return refused;
}

static void test_open(void **state)
{
    static char longest[8192];
    char path[160];
    struct stat st;
    store_dir *s;
    (void)state;
    write_file("file", "", 0);
    memset(longest, 'x', sizeof longest - 1);
    assert_true(is_refused(in_dir("a/b"), 0, strerror(ENOENT)));
    assert_true(is_refused("", 0, strerror(ENOENT)));
    assert_true(is_refused("", 1, ": "));
    assert_true(is_refused(in_dir("file"), 0, strerror(ENOTDIR)));
    assert_true(is_refused(in_dir("file"), 1, strerror(ENOTDIR)));
    assert_true(is_refused(in_dir("file/b"), 1, strerror(ENOTDIR)));
    assert_true(is_refused(longest, 1, strerror(ENAMETOOLONG)));
    assert_null(store_dir_open(in_dir("file"), 0, NULL, 0));
    umask(0); /* the store is private all the same */
    snprintf(path, sizeof path, "%s/a//b/", dir);
    s = store_dir_open(path, 1, NULL, 0);
    assert_non_null(s);
    assert_string_equal(store_dir_why(s), "");
    store_dir_close(s);
    s = store_dir_open(in_dir("a/b"), 1, NULL, 0); /* it may be there */
    assert_non_null(s);
    store_dir_close(s);
    assert_int_equal(stat(in_dir("a/b"), &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(rmdir(in_dir("a/b")), 0);
    s = store_dir_open(in_dir("a/b"), 1, NULL, 0);
    assert_non_null(s);
    store_dir_close(s);
    assert_int_equal(rmdir(in_dir("a/b")), 0);
}

/* ---- users. These return 0 if all is well, since they may run in a process of their own. */

#define CHECK(what)                                                    \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            return 1;                                                  \
        }                                                              \
    } while (0)

/* Run it as somebody whose rights count. */
static void unprivileged(int (*run)(void))
{
    pid_t pid = start();
    if (pid == 0) {
        if (geteuid() == 0 &&
            (chown(dir, NOBODY, NOBODY) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            _exit(2);
        _exit(run());
    }
    finish(pid);
}

static int run_unreadable(void)
{
    store_dir *s = store_dir_open(dir, 0, NULL, 0);
    const char *at;
    size_t len;
    seen l;
    memset(&l, 0, sizeof l);
    CHECK(s);
    CHECK(save(s, "a.example", NOW - AGE, POLICY, NOW) == MTASTS_OK);
    CHECK(chmod(in_dir("a.example"), 0) == 0);
    CHECK(store_dir_load(s, "a.example", &at, &len) == MTASTS_ERR_LIMIT);
    CHECK(!at && strstr(store_dir_why(s), strerror(EACCES)));
    CHECK(store_dir_each(s, NULL, NOW, note, &l) == 1);
    CHECK(l.unusable == 1 && l.useless == 0);
    CHECK(store_dir_purge(s, NOW, 0, NULL, NULL) == 0);
    /* it may be a policy: only another one replaces it */
    CHECK(save(s, "a.example", NOW, NULL, NOW) == MTASTS_OK);
    CHECK(stored(s, "a.example") == -2);
    CHECK(save(s, "a.example", NOW, POLICY, NOW) == MTASTS_OK);
    CHECK(stored(s, "a.example") == NOW);
    store_dir_close(s);
    return 0;
}

static int run_read_only(void)
{
    store_dir *s = store_dir_open(dir, 0, NULL, 0);
    CHECK(s);
    CHECK(save(s, "a.example", NOW - 10, POLICY, NOW) == MTASTS_OK);
    CHECK(save(s, "old.example", NOW - AGE, POLICY, NOW) == MTASTS_OK);
    CHECK(mkfifo(in_dir("z.example"), 0600) == 0); /* that is no trouble, and looked at last */
    CHECK(chmod(dir, 0500) == 0);
    CHECK(save(s, "a.example", NOW, POLICY, NOW) == MTASTS_ERR_LIMIT);
    CHECK(strstr(store_dir_why(s), strerror(EACCES)));
    CHECK(store_dir_drop(s, "a.example") == MTASTS_ERR_LIMIT);
    CHECK(strstr(store_dir_why(s), strerror(EACCES)));
    CHECK(store_dir_purge(s, NOW, 1, NULL, NULL) == 1);
    CHECK(store_dir_purge(s, NOW, 0, NULL, NULL) == -1);
    CHECK(strstr(store_dir_why(s), strerror(EACCES)));
    CHECK(stored(s, "a.example") == NOW - 10);
    CHECK(chmod(dir, 0300) == 0); /* it cannot be listed, but used */
    CHECK(store_dir_each(s, NULL, NOW, note, NULL) == -1);
    CHECK(strstr(store_dir_why(s), strerror(EACCES)));
    CHECK(store_dir_purge(s, NOW, 0, NULL, NULL) == -1);
    CHECK(save(s, "a.example", NOW, POLICY, NOW) == MTASTS_OK);
    CHECK(stored(s, "a.example") == NOW);
    CHECK(is_refused(dir, 0, strerror(EACCES)));
    CHECK(chmod(dir, 0700) == 0);
    store_dir_close(s);
    return 0;
}

static void test_rights(void **state)
{
    (void)state;
    unprivileged(run_unreadable);
    empty(dir);
    unprivileged(run_read_only);
}

static int run_root_owned(void)
{
    store_dir *s;
    CHECK(is_refused(in_dir("other"), 0, "another user"));
    CHECK(is_refused(in_dir("other"), 1, "another user"));
    s = store_dir_open(in_dir("root"), 0, NULL, 0); /* root is trusted anyhow */
    CHECK(s);
    store_dir_close(s);
    return 0;
}

/* Who can write into the directory can put a policy of mode none there. */
static void test_trust(void **state)
{
    store_dir *s;
    (void)state;
    assert_int_equal(chmod(dir, 0777), 0);
    assert_true(is_refused(dir, 0, "everybody"));
    assert_int_equal(chmod(dir, 01777), 0);
    assert_true(is_refused(dir, 1, "everybody"));
    assert_int_equal(chmod(dir, 0775), 0);
    s = open_store();
    store_dir_close(s);
    if (geteuid() != 0)
        return;
    assert_int_equal(mkdir(in_dir("other"), 0755), 0);
    assert_int_equal(chown(in_dir("other"), OTHER, OTHER), 0);
    assert_int_equal(mkdir(in_dir("root"), 0755), 0);
    unprivileged(run_root_owned);
}

/* What root's tools write into a server's store, the server can read and write. */
static void test_root_gives(void **state)
{
    struct stat st;
    store_dir *s;
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(dir, OTHER, OTHER), 0);
    s = open_store();
    assert_int_equal(save(s, "a.example", NOW, POLICY, NOW), MTASTS_OK);
    assert_int_equal(lstat(in_dir("a.example"), &st), 0);
    assert_int_equal(st.st_uid, OTHER);
    assert_int_equal(lstat(in_dir(".lock"), &st), 0);
    assert_int_equal(st.st_uid, OTHER);
    assert_int_equal(st.st_gid, OTHER);
    store_dir_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),    TEST(test_largest),
        TEST(test_names),         TEST(test_torn),
        TEST(test_which),         TEST(test_others),
        TEST(test_hostile_files), TEST(test_hostile_own_names),
        TEST(test_each),          TEST(test_purge),
        TEST(test_processes),     TEST(test_lock_held),
        TEST(test_races),         TEST(test_sync),
        TEST(test_full_disk),     TEST(test_no_descriptors),
        TEST(test_open),          TEST(test_rights),
        TEST(test_trust),         TEST(test_root_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
