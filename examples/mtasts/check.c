/* mtasts check: what becomes of mail to domains, seen from here and now. */
#include "check.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "domains.h"

enum {
    EXIT_INTERRUPTED = 130,
    JOBS = 16,
    JOBS_MAX = 1000,
    AHEAD = 4,            /* domains that may be done before a slow one: this times the jobs */
    PROBES_FOR_A_JOB = 4, /* connections to MX hosts at once */
    FILES_BESIDE = 64,    /* open files that are none of a job */
    TABLE_WIDTH_MAX = 40,
    BATCH = 10, /* domains that are begun at once: each has three questions for DNS, and too */
    BATCH_EVERY = 10,    /* milliseconds: many in a burst are lost on their way */
    PROGRESS_EVERY = 100 /* milliseconds */
};

typedef struct check_options {
    network_options network;
    unsigned jobs;
    int json, verbose, no_smtp, stats;
} check_options;

/* A domain that is under way, or done and waits for those before it. */
typedef struct slot {
    check_domain *domain;
    char *text; /* what is to be printed of it; NULL: no memory */
    size_t len;
    check_verdict verdict;
    int done;
} slot;

typedef struct run {
    check_options options;
    domains list;
    network net;
    probe_pool pool;
    slot *slots; /* domain n is in slots[n % ahead] */
    size_t ahead;
    size_t started, printed, running;
    int64_t batch;       /* when the last was begun, in BATCH_EVERY */
    unsigned begun;      /* in it */
    check_domain *ready; /* all is looked up, nothing is made of it yet */
    size_t totals[CHECK_VERDICTS];
    int table_width; /* 0: blocks, not a table */
    int progress;    /* 1: on a terminal */
    int64_t progress_at, began;
    int interrupted;
} run;

/* ---- progress */

static void hide_progress(const run *r)
{
    if (r->progress && r->progress_at)
        fputs("\r\033[K", stderr);
}

static void show_progress(run *r)
{
    enum { BAR = 30 };
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    int64_t now = monotonic_milliseconds();
    int n;
    if (!r->progress || !r->list.count || now - r->progress_at < PROGRESS_EVERY)
        return;
    n = (int)(r->printed * BAR / r->list.count);
    r->progress_at = now;
    fprintf(stderr, "\r[%.*s%.*s] %zu of %zu", n, full, BAR - n, empty, r->printed, r->list.count);
}

/* ---- domains, in any order */

static void domain_done(check_domain *d)
{
    run *r = d->user;
    d->next = r->ready;
    r->ready = d;
}

static void report(const run *r, FILE *f, const check_domain *d)
{
    if (r->options.json)
        check_report_json(f, d);
    else if (r->table_width)
        check_report_line(f, d, r->table_width);
    else
        check_report_block(f, d);
}

/* Only the text is kept, which is a few kilobytes. */
static void finish_domain(run *r, check_domain *d)
{
    slot *s = &r->slots[d->number % r->ahead];
    FILE *f = open_memstream(&s->text, &s->len);
    check_judge(d);
    s->verdict = d->verdict;
    if (f) {
        report(r, f, d);
        fclose(f);
    }
    check_domain_free(d);
    s->domain = NULL;
    s->done = 1;
    r->running--;
}

static int finish_ready(run *r)
{
    int n = 0;
    while (r->ready) {
        check_domain *d = r->ready;
        r->ready = d->next;
        finish_domain(r, d);
        n++;
    }
    return n;
}

static void start_more(run *r)
{
    static const struct timeval next_batch = {0, BATCH_EVERY * 1000L};
    int64_t batch = monotonic_milliseconds() / BATCH_EVERY;
    if (batch != r->batch)
        r->begun = 0;
    r->batch = batch;
    while (r->running < r->options.jobs && r->started < r->list.count &&
           r->started < r->printed + r->ahead) {
        slot *s = &r->slots[r->started % r->ahead];
        if (r->begun++ >= BATCH) {
            event_base_loopexit(r->net.base, &next_batch);
            return;
        }
        memset(s, 0, sizeof *s);
        s->domain = check_domain_start(r->list.names[r->started], r->started, &r->net,
                                       r->options.no_smtp ? NULL : &r->pool, domain_done, r);
        s->verdict = CHECK_UNKNOWN;
        s->done = !s->domain;
        r->running += s->domain != NULL;
        r->started++;
    }
}

/* ---- output, in the order of the list */

static void print(run *r, slot *s, size_t number)
{
    if (!r->options.json && !r->table_width && r->printed)
        putchar('\n');
    if (r->table_width && !r->options.json && !r->printed)
        check_report_head(stdout, r->table_width);
    if (s->text)
        fwrite(s->text, 1, s->len, stdout);
    else
        trouble("out of memory", r->list.names[number], NULL);
    r->totals[s->verdict]++;
    free(s->text);
    memset(s, 0, sizeof *s);
}

static int print_done(run *r)
{
    int n = 0;
    for (; r->printed < r->started && r->slots[r->printed % r->ahead].done; n++) {
        if (!n)
            hide_progress(r);
        print(r, &r->slots[r->printed % r->ahead], r->printed);
        r->printed++;
    }
    if (n)
        fflush(stdout);
    show_progress(r);
    return n;
}

/* Nothing of those that were not done: what is known of them is no result. */
static void print_rest(run *r)
{
    size_t i;
    for (i = r->printed; i < r->started; i++) {
        slot *s = &r->slots[i % r->ahead];
        if (s->done)
            print(r, s, i);
        check_domain_free(s->domain);
    }
}

static void print_summary(const run *r)
{
    size_t all = 0;
    int i;
    for (i = 0; i < CHECK_VERDICTS; i++)
        all += r->totals[i];
    if (!r->options.json && r->list.count > 1)
        printf("%s%zu domain%s: %zu protected, %zu delivered with something wrong or missing, "
               "%zu not delivered, %zu unknown\n",
               r->table_width ? "" : "\n", all, all == 1 ? "" : "s", r->totals[CHECK_PROTECTED],
               r->totals[CHECK_WARNING], r->totals[CHECK_UNDELIVERED], r->totals[CHECK_UNKNOWN]);
    if (r->interrupted)
        fprintf(stderr, "mtasts: interrupted after %zu of %zu domains\n", all, r->list.count);
}

static void print_stats(const run *r)
{
    struct rusage usage;
    double seconds = (double)(monotonic_milliseconds() - r->began) / 1000;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr,
            "mtasts: %zu domains in %.2f s (%ld.%02ld s of processor), %zu MX hosts asked, "
            "peak memory %ld KiB\n",
            r->printed, seconds, (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec / 10000,
            r->pool.made, usage.ru_maxrss);
}

/* ---- the run */

static void interrupt(evutil_socket_t number, short what, void *user)
{
    run *r = user;
    (void)number;
    (void)what;
    r->interrupted = 1;
}

static void loop(run *r)
{
    while (r->printed < r->list.count && !r->interrupted && !ferror(stdout)) {
        start_more(r);
        if (finish_ready(r) + print_done(r) == 0)
            event_base_loop(r->net.base, EVLOOP_ONCE);
    }
    hide_progress(r);
    print_rest(r);
}

/* Each job has a connection for the policy, and some for MX hosts. */
static void limit_jobs(run *r)
{
    struct rlimit limit;
    rlim_t jobs;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    jobs = limit.rlim_cur > FILES_BESIDE ? (limit.rlim_cur - FILES_BESIDE) / (PROBES_FOR_A_JOB + 1)
                                         : 0;
    if (limit.rlim_cur != RLIM_INFINITY && jobs < r->options.jobs) {
        r->options.jobs = jobs ? (unsigned)jobs : 1;
        fprintf(stderr, "mtasts: only %u jobs: no more files may be open\n", r->options.jobs);
    }
}

static int table_width(const domains *list)
{
    size_t i, width = strlen("DOMAIN");
    for (i = 0; i < list->count; i++) {
        size_t n = strlen(list->names[i]);
        width = n > width ? n : width;
    }
    return width < TABLE_WIDTH_MAX ? (int)width : TABLE_WIDTH_MAX;
}

static int exit_code(const run *r)
{
    if (r->interrupted)
        return EXIT_INTERRUPTED;
    if (r->list.bad)
        return EXIT_TROUBLE;
    return r->totals[CHECK_UNDELIVERED]                           ? 2
           : r->totals[CHECK_WARNING] || r->totals[CHECK_UNKNOWN] ? 1
                                                                  : 0;
}

static int check_all(run *r)
{
    struct event *signal_event;
    limit_jobs(r);
    r->began = monotonic_milliseconds();
    r->ahead = 1 + (size_t)r->options.jobs * AHEAD;
    r->slots = calloc(r->ahead, sizeof *r->slots);
    signal_event = evsignal_new(r->net.base, SIGINT, interrupt, r);
    if (!r->slots || !signal_event || event_add(signal_event, NULL) != 0) {
        if (signal_event)
            event_free(signal_event);
        return trouble("out of memory", NULL, NULL);
    }
    probes_init(&r->pool, &r->net, r->options.jobs * PROBES_FOR_A_JOB);
    if (r->list.count > 1 && !r->options.verbose)
        r->table_width = table_width(&r->list);
    r->progress = r->list.count > 1 && isatty(STDERR_FILENO);
    loop(r);
    print_summary(r);
    if (r->options.stats)
        print_stats(r);
    probes_clear(&r->pool);
    event_free(signal_event);
    return exit_code(r);
}

/* ---- the command line */

enum { OPTION_FROM = 1, OPTION_JOBS, OPTION_JSON, OPTION_NO_SMTP, OPTION_STATS };

static int read_option(run *r, int option, char **argv)
{
    switch (option) {
    case OPTION_FROM:
        return domains_read(&r->list, optarg);
    case OPTION_JOBS:
        return parse_number(optarg, 1, JOBS_MAX, &r->options.jobs)
                   ? 0
                   : trouble("check: --jobs", optarg, "1 to 1000");
    case OPTION_JSON:
        r->options.json = 1;
        return 0;
    case OPTION_NO_SMTP:
        r->options.no_smtp = 1;
        return 0;
    case OPTION_STATS:
        r->options.stats = 1;
        return 0;
    case 'v':
        r->options.verbose = 1;
        return 0;
    default:
        return network_option(&r->options.network, option, optarg, argv);
    }
}

static int read_options(run *r, int argc, char **argv)
{
    static const struct option options[] = {{"from", required_argument, NULL, OPTION_FROM},
                                            {"jobs", required_argument, NULL, OPTION_JOBS},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"no-smtp", no_argument, NULL, OPTION_NO_SMTP},
                                            {"stats", no_argument, NULL, OPTION_STATS},
                                            {"verbose", no_argument, NULL, 'v'},
                                            NETWORK_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    int c, result = 0, from = 0;
    opterr = 0;
    while (!result && (c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        from |= c == OPTION_FROM;
        result = read_option(r, c, argv);
    }
    if (!result && optind == argc && !from)
        return trouble("check: which DOMAIN?", NULL, NULL);
    for (; !result && optind < argc; optind++)
        result = domains_add(&r->list, argv[optind], strlen(argv[optind]), NULL, 0);
    return result;
}

int command_check(int argc, char **argv)
{
    run r;
    int result;
    memset(&r, 0, sizeof r);
    r.options.jobs = JOBS;
    result = read_options(&r, argc, argv);
    if (!result && !r.list.count)
        result = r.list.bad ? EXIT_TROUBLE : trouble("check: no domain", NULL, NULL);
    if (!result) {
        result = network_open(&r.net, &r.options.network);
        if (!result)
            result = check_all(&r);
        network_close(&r.net);
    }
    free(r.slots);
    domains_free(&r.list);
    return result;
}
