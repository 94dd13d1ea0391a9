/* mtasts refresh: fetch policies now, and store them. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "domains.h"
#include "lookup.h"

enum { AT_ONCE = 16, PATH_SIZE = 4096 };

typedef struct job {
    const char *domain; /* NULL: nothing to do */
    int done;
    lookup lookup;
} job;

typedef struct run {
    network_options options;
    int all; /* --all */
    domains list;
    network net;
    job jobs[AT_ONCE];
    size_t started, finished, failed;
} run;

/* ---- what came out */

/* Is the policy the one that was stored? */
static int is_same(const mtasts_entry *before, const mtasts_policy *policy)
{
    return before->policy.text.len == policy->text.len &&
           memcmp(before->policy.text.ptr, policy->text.ptr, policy->text.len) == 0;
}

static void tell_fetched(const lookup *l, const mtasts_result *result)
{
    const mtasts_policy *policy = &result->policy;
    const char *mode = mtasts_mode_name((int)policy->mode);
    mtasts_entry before;
    char time[SPAN_SIZE];
    int had = l->stored &&
              mtasts_entry_read(&before, NULL, 0, l->stored, l->stored_len, wall_clock(), NULL) ==
                  MTASTS_OK &&
              before.policy.text.ptr;
    if (!had)
        printf("fetched: %s", mode);
    else if (is_same(&before, policy))
        printf("renewed: %s", mode);
    else if (before.policy.mode != policy->mode)
        printf("changed: %s, before it was %s", mode, mtasts_mode_name((int)before.policy.mode));
    else
        printf("changed: %s, as before, with another text", mode);
    if (policy->max_age)
        printf(", valid for %s", span(time, (int64_t)policy->max_age));
    else
        fputs(", max_age 0: not stored", stdout);
}

static void tell_not_fetched(const lookup *l, const mtasts_result *result)
{
    char time[SPAN_SIZE];
    int64_t now = wall_clock();
    if (result->learned == MTASTS_LEARNED_POLICY) {
        printf("too soon: fetched %s ago", span(time, now - result->entry.fetched));
        return;
    }
    fputs(result->learned == MTASTS_LEARNED_NONE ? "no policy: " : "failed: ", stdout);
    lookup_why(stdout, l, result);
    if (result->honour)
        printf("; the stored policy is valid for %s more", span(time, result->entry.expires - now));
}

/* Returns 1 if the policy that is known now is current. */
static int tell(const job *j)
{
    mtasts_result result;
    mtasts_discovery_result(&j->lookup.discovery, wall_clock(), &result);
    printf("%s: ", j->domain);
    if (result.fetched)
        tell_fetched(&j->lookup, &result);
    else
        tell_not_fetched(&j->lookup, &result);
    if (*j->lookup.store_why)
        printf("; the store: %s", j->lookup.store_why);
    putchar('\n');
    fflush(stdout);
    return result.learned == MTASTS_LEARNED_POLICY && !*j->lookup.store_why;
}

/* ---- the run */

static void done(void *user)
{
    job *j = user;
    j->done = 1;
}

/* Returns how many have come to an end. */
static size_t turn(run *r)
{
    size_t i, n = 0;
    for (i = 0; i < AT_ONCE; i++) {
        job *j = &r->jobs[i];
        if (j->done) {
            r->failed += !tell(j);
            r->finished++;
            lookup_clear(&j->lookup);
            memset(j, 0, sizeof *j);
            n++;
        }
        if (!j->domain && r->started < r->list.count) {
            j->domain = r->list.names[r->started++];
            lookup_start(&j->lookup, &r->net, j->domain, done, j);
            n += (size_t)j->done; /* it will be told in the next turn */
        }
    }
    return n;
}

static int refresh_all(run *r)
{
    size_t i;
    while (r->finished < r->list.count && !ferror(stdout))
        if (turn(r) == 0)
            event_base_loop(r->net.base, EVLOOP_ONCE);
    for (i = 0; i < AT_ONCE; i++)
        lookup_clear(&r->jobs[i].lookup);
    return r->list.bad ? EXIT_TROUBLE : r->failed ? 1 : 0;
}

/* A policy whose time to be fetched again has come. */
static int add_due(void *user, const store_dir_item *item)
{
    run *r = user;
    const mtasts_str *name = &item->entry.domain;
    if (item->err || !item->entry.policy.text.ptr || item->entry.refresh > wall_clock())
        return 0;
    return domains_add(&r->list, name->ptr, name->len, NULL, 0);
}

/* ---- the command line */

enum { OPTION_ALL = 1 };

static int read_options(run *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, OPTION_ALL}, NETWORK_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    int c, result = 0;
    opterr = 0;
    while (!result && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == OPTION_ALL)
            r->all = 1;
        else
            result = network_option(&r->options, c, optarg, argv);
    }
    if (!result && (optind < argc) == r->all)
        return trouble("refresh: which DOMAIN? Or --all", NULL, NULL);
    for (; !result && optind < argc; optind++)
        result = domains_add(&r->list, argv[optind], strlen(argv[optind]), NULL, 0);
    return result;
}

static int refresh(run *r)
{
    char path[PATH_SIZE];
    int result;
    if (!r->options.dir && !default_store_dir(path, sizeof path))
        return trouble("neither HOME nor XDG_CACHE_HOME is set", NULL, "where is the store? --dir");
    if (!r->options.dir)
        r->options.dir = path;
    result = network_open(&r->net, &r->options);
    if (!result && r->all && store_dir_each(r->net.store, NULL, wall_clock(), add_due, r) < 0)
        result = trouble("the store", r->options.dir, store_dir_why(r->net.store));
    if (!result)
        result = refresh_all(r);
    network_close(&r->net);
    return result;
}

int command_refresh(int argc, char **argv)
{
    run *r = calloc(1, sizeof *r);
    int result;
    if (!r)
        return trouble("out of memory", NULL, NULL);
    result = read_options(r, argc, argv);
    if (!result)
        result = refresh(r);
    domains_free(&r->list);
    free(r);
    return result;
}
