/* mtasts list, show, purge: what is stored, as it would be used now. */
#include "common.h"
#include "../adapters/store_dir.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, LEFT_SIZE = 48 };

typedef struct view {
    int64_t now;
    int json, verbose, dry_run;
    int full; /* 1: show; 0: list */
    int result;
    long count;
} view;

int default_store_dir(char *out, size_t cap)
{
    const char *base = getenv("XDG_CACHE_HOME"), *middle = "";
    int n;
    if (!base || *base != '/') {
        base = geteuid() == 0 ? "/var/cache" : getenv("HOME");
        middle = geteuid() == 0 ? "" : "/.cache";
    }
    if (!base || *base != '/')
        return 0;
    n = snprintf(out, cap, "%s%s/mtasts", base, middle);
    return n > 0 && (size_t)n < cap;
}

/* ---- times, for a person */

/* The two largest units, as "6 d 23 h". */
static const char *duration(char *out, int64_t seconds)
{
    static const struct {
        int64_t size;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && seconds < units[i].size)
        i++;
    if (i == 3)
        snprintf(out, LEFT_SIZE, "%" PRId64 " s", seconds);
    else
        snprintf(out, LEFT_SIZE, "%" PRId64 " %s %" PRId64 " %s", seconds / units[i].size,
                 units[i].name, seconds % units[i].size / units[i + 1].size, units[i + 1].name);
    return out;
}

static void put_time(const char *name, int64_t at, int64_t now, const char *is_over)
{
    char when[TIMESTAMP_SIZE], left[LEFT_SIZE];
    if (at > now)
        printf("  %-9s %s, in %s\n", name, timestamp(when, at), duration(left, at - now));
    else
        printf("  %-9s %s, %s ago%s\n", name, timestamp(when, at), duration(left, now - at),
               is_over);
}

/* ---- one entry */

static const char *mode_of(const mtasts_entry *e)
{
    return e->policy.text.ptr ? mtasts_mode_name((int)e->policy.mode) : "-";
}

static void put_why(const mtasts_diag *d)
{
    char message[512];
    mtasts_diag_format(message, sizeof message, NULL, d);
    fputs(d->err == MTASTS_ERR_LIMIT ? d->text : message, stdout); /* the file system's */
}

static void put_failures(const mtasts_entry *e, int64_t now)
{
    printf("  %-9s %" PRIu32 " since the last fetch that was good%s\n", "failures", e->failures,
           e->no_record ? "; there is no record any more" : "");
    printf("  %-9s %s", "failed", mtasts_strerror((int)e->failed));
    if (e->failed_id.len)
        printf("; id %.*s", (int)e->failed_id.len, e->failed_id.ptr);
    putchar('\n');
    put_time("retry", e->retry, now, ": may be tried");
}

static void put_policy(const mtasts_policy *policy)
{
    mtasts_str s;
    size_t cursor = 0;
    char age[LEFT_SIZE];
    printf("  %-9s %" PRIu32 " (%s)\n", "max_age", policy->max_age, duration(age, policy->max_age));
    while (mtasts_policy_next_mx(policy, &cursor, &s)) {
        printf("  %-9s ", "mx");
        put_escaped(stdout, s.ptr, s.len);
        putchar('\n');
    }
    printf("  policy\n");
    for (cursor = 0; mtasts_policy_next_line(policy, &cursor, &s);) {
        printf("    ");
        put_escaped(stdout, s.ptr, s.len);
        putchar('\n');
    }
}

static void show_text(const mtasts_entry *e, int64_t now)
{
    printf("%.*s\n", (int)e->domain.len, e->domain.ptr);
    if (e->policy.text.ptr) {
        printf("  %-9s %s\n", "mode", mode_of(e));
        printf("  %-9s %.*s\n", "id", (int)e->id.len, e->id.ptr);
    } else {
        printf("  no policy is known\n");
    }
    put_time("fetched", e->fetched, now, "");
    put_time("expires", e->expires, now, ": it is not used any more");
    put_time("refresh", e->refresh, now, ": it is due");
    put_time("checked", e->checked, now, "");
    if (e->used)
        put_time("used", e->used, now, "");
    if (e->failures)
        put_failures(e, now);
    if (e->policy.text.ptr)
        put_policy(&e->policy);
}

static void list_text(const mtasts_entry *e, int64_t now)
{
    char ago[LEFT_SIZE], left[LEFT_SIZE], due[LEFT_SIZE];
    printf("%-30.*s %-8s %-16.*s %12s %12s %12s %8" PRIu32 "\n", (int)e->domain.len, e->domain.ptr,
           mode_of(e), e->id.len ? (int)e->id.len : 1, e->id.len ? e->id.ptr : "-",
           duration(ago, now - e->fetched),
           mtasts_entry_valid(e, now) ? duration(left, e->expires - now) : "expired",
           e->refresh > now ? duration(due, e->refresh - now) : "due", e->failures);
}

static const char *kind(const mtasts_entry *e)
{
    return e->policy.text.ptr ? "policy" : e->failures && !e->no_record ? "failure" : "absence";
}

static void json_entry(const mtasts_entry *e, const view *v)
{
    mtasts_str mx;
    size_t cursor = 0;
    printf("{\"domain\": ");
    put_json(stdout, e->domain.ptr, e->domain.len);
    printf(", \"kind\": \"%s\", \"valid\": %s", kind(e),
           mtasts_entry_valid(e, v->now) ? "true" : "false");
    put_json_time(stdout, "fetched", e->fetched);
    put_json_time(stdout, "expires", e->expires);
    put_json_time(stdout, "refresh", e->refresh);
    put_json_time(stdout, "checked", e->checked);
    put_json_time(stdout, "used", e->used);
    printf(", \"failures\": %" PRIu32, e->failures);
    if (e->failures) {
        printf(", \"failed\": \"%s\", \"failed_id\": ", mtasts_err_name((int)e->failed));
        put_json(stdout, e->failed_id.ptr, e->failed_id.len);
        printf(", \"no_record\": %s", e->no_record ? "true" : "false");
        put_json_time(stdout, "retry", e->retry);
    }
    if (e->policy.text.ptr) {
        printf(", \"mode\": \"%s\", \"id\": ", mode_of(e));
        put_json(stdout, e->id.ptr, e->id.len);
        printf(", \"max_age\": %" PRIu32, e->policy.max_age);
    }
    if (e->policy.text.ptr && v->full) {
        const char *comma = "";
        printf(", \"mx\": [");
        for (; mtasts_policy_next_mx(&e->policy, &cursor, &mx); comma = ", ") {
            fputs(comma, stdout);
            put_json(stdout, mx.ptr, mx.len);
        }
        printf("], \"policy\": ");
        put_json(stdout, e->policy.text.ptr, e->policy.text.len);
    }
    printf("}\n");
}

static void unusable(const store_dir_item *item, int json)
{
    if (json) {
        printf("{\"file\": ");
        put_json_z(stdout, item->file);
        printf(", \"error\": \"%s\", \"message\": ", mtasts_err_name((int)item->err));
        put_json_z(stdout, mtasts_strerror((int)item->err));
        printf(", \"hint\": ");
        put_json_z(stdout, item->diag.text);
        printf("}\n");
    } else {
        put_escaped(stdout, item->file, strlen(item->file));
        printf(": ");
        put_why(&item->diag);
        putchar('\n');
    }
}

static void worse(view *v, int result)
{
    v->result = result > v->result ? result : v->result;
}

static int put_item(void *user, const store_dir_item *item)
{
    view *v = user;
    if (v->count++ == 0 && !v->json && !v->full)
        printf("%-30s %-8s %-16s %12s %12s %12s %8s\n", "DOMAIN", "MODE", "ID", "FETCHED AGO",
               "LEFT", "REFRESH IN", "FAILURES");
    if (item->err != MTASTS_OK)
        unusable(item, v->json);
    else if (v->json)
        json_entry(&item->entry, v);
    else
        (v->full ? show_text : list_text)(&item->entry, v->now);
    if (item->err != MTASTS_OK || (v->full && !mtasts_entry_valid(&item->entry, v->now)))
        worse(v, EXIT_QUIRKS);
    return 0;
}

/* ---- the commands */

/* The options, and the directory in `path`. Not 0: an exit code. */
static int read_options(int argc, char **argv, const char *which, char *path, view *v)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"dry-run", no_argument, NULL, 'n'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    const char *dir = NULL;
    int c;
    memset(v, 0, sizeof *v);
    v->now = (int64_t)time(NULL);
    opterr = 0;
    while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        if (!strchr(which, c))
            return bad_option(argv);
        if (c == 'd')
            dir = optarg;
        v->json |= c == 'j';
        v->dry_run |= c == 'n';
        v->verbose |= c == 'v';
    }
    if (dir && strlen(dir) >= PATH_SIZE)
        return trouble("the directory's name is too long", dir, NULL);
    if (dir)
        memcpy(path, dir, strlen(dir) + 1);
    else if (!default_store_dir(path, PATH_SIZE))
        return trouble("neither HOME nor XDG_CACHE_HOME is set", NULL, "where is the store? --dir");
    return 0;
}

/* *store is NULL if there is no such directory, where nothing is stored. Not 0: an exit code. */
static int open_store(const char *path, store_dir **store)
{
    char error[256];
    struct stat st;
    *store = NULL;
    if (stat(path, &st) != 0 && errno == ENOENT)
        return 0;
    *store = store_dir_open(path, 0, error, sizeof error);
    return *store ? 0 : trouble(error, path, NULL);
}

int command_list(int argc, char **argv)
{
    char path[PATH_SIZE];
    store_dir *store;
    view v;
    int result = read_options(argc, argv, "dj", path, &v);
    if (result == 0 && optind < argc)
        result = trouble("list: one word too many", argv[optind], "see mtasts --help");
    if (result == 0)
        result = open_store(path, &store);
    if (result != 0)
        return result;
    if (store && store_dir_each(store, NULL, v.now, put_item, &v) < 0)
        v.result = trouble("cannot list", path, store_dir_why(store));
    else if (v.count == 0 && !v.json) {
        printf("nothing is stored in ");
        put_escaped(stdout, path, strlen(path));
        putchar('\n');
    }
    store_dir_close(store);
    return v.result;
}

static void show_one(store_dir *store, const char *domain, view *v)
{
    char name[MTASTS_NAME_SIZE];
    mtasts_err err = mtasts_name_normalise(name, domain, strlen(domain), NULL);
    if (err != MTASTS_OK) {
        worse(v, trouble("no domain", domain, mtasts_strerror((int)err)));
    } else if (!store || store_dir_each(store, name, v->now, put_item, v) == 0) {
        worse(v, EXIT_UNUSABLE);
        trouble("nothing is stored for", name, NULL);
    }
}

int command_show(int argc, char **argv)
{
    char path[PATH_SIZE];
    store_dir *store;
    view v;
    int result = read_options(argc, argv, "dj", path, &v);
    if (result == 0 && optind == argc)
        result = trouble("show: which DOMAIN?", NULL, NULL);
    if (result == 0)
        result = open_store(path, &store);
    if (result != 0)
        return result;
    v.full = 1;
    for (; optind < argc; optind++)
        show_one(store, argv[optind], &v);
    store_dir_close(store);
    return v.result;
}

static int put_removed(void *user, const store_dir_item *item)
{
    view *v = user;
    char ago[LEFT_SIZE];
    v->count++;
    if (!v->verbose && !v->dry_run)
        return 0;
    put_escaped(stdout, item->file, strlen(item->file));
    printf(": ");
    if (item->err == MTASTS_OK)
        printf("expired %s ago", duration(ago, v->now - item->entry.expires));
    else
        put_why(&item->diag);
    putchar('\n');
    return 0;
}

int command_purge(int argc, char **argv)
{
    char path[PATH_SIZE];
    store_dir *store;
    view v;
    int result = read_options(argc, argv, "dnv", path, &v);
    if (result == 0 && optind < argc)
        result = trouble("purge: one word too many", argv[optind], "see mtasts --help");
    if (result == 0)
        result = open_store(path, &store);
    if (result != 0)
        return result;
    if (store && store_dir_purge(store, v.now, v.dry_run, put_removed, &v) < 0)
        v.result = trouble("not all could be removed from", path, store_dir_why(store));
    printf("%ld %s\n", v.count, v.dry_run ? "would be removed" : "removed");
    store_dir_close(store);
    return v.result;
}
