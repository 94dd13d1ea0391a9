/* Any function from any thread at any time, on different data; one client, one thread at a time.
 *   threads        every pure function on every pair of inputs, which all threads share, in many
 *                  threads at once; a cache and a client for each thread. What comes out must be
 *                  what one thread alone gets. To be run under TSan.
 *   threads race   a race, to see that TSan tells it */
#include "mtasts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS      8
#define ROUNDS       3
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define POLICY       "version: STSv1\nmode: enforce\nmx: *.example.com\nmx: a.org\nmax_age: 86400\n"
#define HEAD         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define START        INT64_C(1800000000)

/* ---- what all threads read */

/* the outline of a certificate for mx.example.com */
static const char der[] =
    "\x30\x33\x30\x2c\x02\x01\x01\x30\0\x30\0\x30\0\x30\0\x30\0\xa3\x1d\x30\x1b"
    "\x30\x19\x06\x03\x55\x1d\x11\x04\x12\x30\x10\x82\x0emx.example.com"
    "\x30\0\x03\x01\0";

#define INPUT(literal)              \
    {                               \
        literal, sizeof literal - 1 \
    }
static const mtasts_str inputs[] = {
    INPUT(""),
    INPUT("example.com"),
    INPUT("MX.Example.com."),
    INPUT("*.example.com"),
    INPUT("[192.0.2.1]"),
    INPUT("\x7f\0\0\1"),
    INPUT("v=STSv1; id=20260131T1200;"),
    INPUT("v=STSv1; id=;"),
    INPUT(POLICY),
    INPUT("version: STSv1\r\nmode: testing\r\n\r\nmx: b.test\r\nmax_age: 9999999999\r\n"),
    INPUT("version: STSv1\nmode: none\nmax_age: \xff\n"),
    INPUT(HEAD "Content-Length: 5\r\n\r\nabcde"),
    INPUT(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    INPUT("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n"),
    INPUT("text/plain; charset=utf-8"),
    INPUT("enforce"),
    {der, sizeof der - 1},
};
#define PAIRS (COUNT(inputs) * COUNT(inputs))

static mtasts_policy policy; /* both are written before the first thread begins */
static mtasts_entry entry;

/* ---- what came out, as a number */

typedef struct sum {
    uint64_t value;
} sum;

static void add(sum *s, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len--)
        s->value = (s->value ^ *p++) * UINT64_C(0x100000001b3);
}

static void add_number(sum *s, int64_t n)
{
    add(s, &n, sizeof n);
}

static void add_str(sum *s, mtasts_str view)
{
    add_number(s, (int64_t)view.len);
    add(s, view.ptr, view.len);
}

static void add_text(sum *s, const char *text)
{
    add(s, text, strlen(text) + 1);
}

static void add_diag(sum *s, const mtasts_diag *d)
{
    char text[512];
    add_number(s, (int64_t)mtasts_diag_format(text, sizeof text, "input", d));
    add_text(s, text);
}

/* ---- the pure functions: sections 1 to 13 */

static void numbers(sum *s, int n)
{
    add_number(s, mtasts_version());
    add_text(s, mtasts_strerror(n));
    add_text(s, mtasts_err_name(n));
    add_text(s, mtasts_err_section(n));
    add_number(s, (int64_t)mtasts_err_tlsrpt(n));
    add_text(s, mtasts_quirk_name(1u << n % 8));
    add_text(s, mtasts_quirk_text(1u << n % 8));
    add_text(s, mtasts_mode_name(n % 4));
    add_text(s, mtasts_reason_name(n));
    add_text(s, mtasts_reason_text(n));
    add_text(s, mtasts_action_name(n % 4));
    add_text(s, mtasts_tlsrpt_result_name(n));
    add_text(s, mtasts_policy_type_name(n));
    add_text(s, mtasts_learned_name(n % 8));
    add_text(s, mtasts_event_name(n % 32));
    add_text(s, mtasts_event_text(n % 32));
}

static void names(sum *s, mtasts_str a)
{
    char out[512];
    mtasts_diag diag;
    size_t len;
    add_number(s, (int64_t)mtasts_escape(out, sizeof out, a.ptr, a.len));
    add_text(s, out);
    add_number(s, (int64_t)mtasts_name_normalise(out, a.ptr, a.len, &diag));
    add_text(s, out);
    add_diag(s, &diag);
    add_number(s, (int64_t)mtasts_txt_name(out, a.ptr, a.len, NULL));
    add_number(s, (int64_t)mtasts_policy_host(out, a.ptr, a.len, NULL));
    add_number(s, (int64_t)mtasts_policy_url(out, a.ptr, a.len, NULL));
    add_number(s, (int64_t)mtasts_http_request(out, sizeof out, &len, a.ptr, a.len, NULL, &diag));
    add_text(s, out);
    add_number(s, mtasts_mode_from_name(a.ptr, a.len));
    add_number(s, mtasts_action_from_name(a.ptr, a.len));
    add_number(s, mtasts_tlsrpt_result_from_name(a.ptr, a.len));
    add_number(s, mtasts_policy_type_from_name(a.ptr, a.len));
}

static void records(sum *s, mtasts_str a, mtasts_str b)
{
    mtasts_str strings[2];
    mtasts_txt txt[2];
    mtasts_record record;
    mtasts_diag diag;
    char out[64];
    size_t len;
    strings[0] = a;
    strings[1] = b;
    txt[0].strings = strings;
    txt[0].count = 2;
    txt[1].strings = strings + 1;
    txt[1].count = 1;
    add_number(s, (int64_t)mtasts_record_select(&record, txt, 2, &diag));
    add_text(s, record.id);
    add_diag(s, &diag);
    add_number(s, (int64_t)mtasts_record_write(out, sizeof out, &len, a.ptr, a.len));
    add_text(s, out);
}

static void policies(sum *s, mtasts_str a, mtasts_str b)
{
    mtasts_policy p;
    mtasts_lint lint;
    mtasts_diag diag;
    mtasts_str view;
    char out[512];
    size_t len, cursor = 0;
    add_number(s, (int64_t)mtasts_policy_parse(&p, a.ptr, a.len, 0, &diag));
    add_diag(s, &diag);
    while (mtasts_policy_next_mx(&p, &cursor, &view))
        add_str(s, view);
    for (cursor = 0; mtasts_policy_next_line(&p, &cursor, &view);)
        add_str(s, view);
    for (mtasts_lint_init(&lint, a.ptr, a.len); mtasts_lint_next(&lint, &diag);)
        add_diag(s, &diag);
    add_number(s, (int64_t)mtasts_policy_write(out, sizeof out, &len, &p));
    add_text(s, out);
    add_number(s, mtasts_policy_matches(&p, b.ptr, b.len));
    add_number(s, mtasts_policy_find(&policy, b.ptr, b.len, &view));
    add_str(s, view);
    add_number(s, (int64_t)mtasts_policy_compose(out, sizeof out, &len, MTASTS_MODE_TESTING, 604800,
                                                 &b, 1, &diag));
    add_text(s, out);
}

static void https(sum *s, mtasts_str a, mtasts_str b)
{
    const mtasts_str none = {NULL, 0};
    mtasts_http http;
    mtasts_diag diag;
    char body[64];
    mtasts_http_init(&http, body, sizeof body);
    add_number(s, (int64_t)mtasts_http_feed(&http, a.ptr, a.len, &diag));
    add_number(s, (int64_t)mtasts_http_feed(&http, b.ptr, b.len, &diag));
    add_number(s, (int64_t)mtasts_http_end(&http, 1, &diag));
    add_diag(s, &diag);
    add(s, body, http.body_len);
    add_number(s, (int64_t)mtasts_http_check(200, a, none, b.len, 1));
    add_number(s, mtasts_media_type_ok(a.ptr, a.len));
    add_number(s, mtasts_address_is_public((const unsigned char *)a.ptr, a.len));
}

static void certificates(sum *s, mtasts_str a, mtasts_str b)
{
    const unsigned char *octets = (const unsigned char *)a.ptr;
    mtasts_str list, name;
    mtasts_diag diag;
    size_t cursor = 0;
    int matches;
    add_number(s, mtasts_mx_matches(a.ptr, a.len, b.ptr, b.len));
    add_number(s, mtasts_cert_name_matches(a.ptr, a.len, b.ptr, b.len));
    add_number(s, mtasts_cert_matches(&a, 1, b.ptr, b.len));
    add_number(s, (int64_t)mtasts_cert_der_names(octets, a.len, &list, &diag));
    add_diag(s, &diag);
    while (mtasts_cert_next_name(list, &cursor, &name))
        add_str(s, name);
    add_number(s, (int64_t)mtasts_cert_der_matches(octets, a.len, b.ptr, b.len, &matches));
    add_number(s, matches);
}

static void application(sum *s, mtasts_str a)
{
    mtasts_delivery delivery;
    mtasts_session session;
    mtasts_verdict verdict;
    mtasts_plan plan;
    memset(&delivery, 0, sizeof delivery);
    memset(&session, 0, sizeof session);
    delivery.policy = &policy;
    mtasts_apply_plan(&plan, &delivery, a.ptr, a.len);
    add_text(s, plan.host);
    add_number(s, plan.use);
    add_number(s, mtasts_plan_same(&plan, &plan));
    session.starttls = MTASTS_STARTTLS_DONE;
    session.chain = MTASTS_CHAIN_TRUSTED;
    mtasts_apply_verdict(&verdict, &plan, &session);
    add_number(s, (int64_t)verdict.action);
    add_number(s, (int64_t)verdict.reason);
}

static void entries(sum *s, mtasts_str a)
{
    char text[2048];
    mtasts_entry back;
    mtasts_diag diag;
    size_t len;
    add_number(s, mtasts_entry_valid(&entry, START));
    add_number(s, mtasts_entry_keep(&entry, START));
    add_number(s, (int64_t)mtasts_entry_write(text, sizeof text, &len, &entry));
    add_text(s, text);
    add_number(s, (int64_t)mtasts_entry_read(&back, a.ptr, a.len, text, len, START, &diag));
    add_diag(s, &diag);
}

/* One look-up to its end: the record is a, the policy b. */
static void discovery(sum *s, mtasts_str a, mtasts_str b)
{
    mtasts_discovery d;
    mtasts_request request;
    mtasts_result result;
    mtasts_txt txt;
    int steps;
    txt.strings = &a;
    txt.count = 1;
    add_number(s, (int64_t)mtasts_discovery_init(&d, "example.com", 11, &entry, MTASTS_REFRESH, 1,
                                                 START, NULL));
    for (steps = 0; steps < 8 && mtasts_discovery_want(&d, &request); steps++) {
        add_number(s, (int64_t)request.want);
        if (request.want == MTASTS_WANT_LOAD)
            mtasts_discovery_give_load(&d, request.ticket, START, MTASTS_OK, NULL, 0, NULL);
        else if (request.want == MTASTS_WANT_TXT)
            mtasts_discovery_give_txt(&d, request.ticket, START, MTASTS_OK, &txt, 1, 300);
        else if (request.want == MTASTS_WANT_HTTPS)
            mtasts_discovery_give_https(&d, request.ticket, START, MTASTS_OK, b.ptr, b.len);
        else
            mtasts_discovery_give_save(&d, request.ticket, START, MTASTS_OK);
    }
    mtasts_discovery_result(&d, START, &result);
    add_text(s, mtasts_learned_name((int)result.learned));
    add_number(s, result.honour);
    mtasts_discovery_cancel(&d);
}

static uint64_t pure(size_t pair)
{
    const mtasts_str a = inputs[pair / COUNT(inputs)], b = inputs[pair % COUNT(inputs)];
    sum s = {pair};
    numbers(&s, (int)pair);
    names(&s, a);
    records(&s, a, b);
    policies(&s, a, b);
    https(&s, a, b);
    certificates(&s, a, b);
    application(&s, a);
    entries(&s, a);
    discovery(&s, a, b);
    return s.value;
}

/* ---- a client and a cache for each thread: sections 14 to 16 */

typedef struct world {
    mtasts_client client;
    mtasts_cache cache;
    mtasts_pool pool;
    int64_t now;
    sum sum;
    uint64_t block[8192], cache_block[8192];
    char stored[2048]; /* the last that was saved */
} world;

static int64_t world_clock(void *user)
{
    return ((world *)user)->now;
}

static void world_txt(void *user, uint64_t ticket, const char *name)
{
    const mtasts_str text = {"v=STSv1; id=1", 13};
    const mtasts_txt txt = {&text, 1};
    world *w = user;
    add_text(&w->sum, name);
    mtasts_client_give_txt(&w->client, ticket, name[10] == '3' ? MTASTS_ERR_DNS : MTASTS_OK, &txt,
                           name[10] != '4', 300);
}

static void world_https(void *user, uint64_t ticket, const char *domain, const char *host)
{
    world *w = user;
    add_text(&w->sum, host);
    mtasts_client_give_https(&w->client, ticket,
                             domain[1] == '5' ? MTASTS_ERR_HTTPS_CERT : MTASTS_OK, POLICY,
                             sizeof POLICY - 1);
}

static void world_load(void *user, uint64_t ticket, const char *domain)
{
    world *w = user;
    add_text(&w->sum, domain);
    mtasts_client_give_load(&w->client, ticket, MTASTS_OK, NULL, 0);
}

static void world_save(void *user, uint64_t ticket, const char *domain, const char *text,
                       size_t len)
{
    world *w = user;
    add_text(&w->sum, domain);
    if (len && len < sizeof w->stored)
        memcpy(w->stored, text, len + 1);
    mtasts_client_give_save(&w->client, ticket, MTASTS_OK);
}

static void world_init(world *w)
{
    mtasts_host host;
    mtasts_cache_config config;
    w->now = START;
    mtasts_host_init(&host);
    host.user = w;
    host.clock = world_clock;
    host.txt = world_txt;
    host.https = world_https;
    host.load = world_load;
    host.save = world_save;
    host.block = w->block;
    host.block_size = sizeof w->block;
    host.key[0] = 1;
    memset(&config, 0, sizeof config);
    config.key[0] = 1;
    config.memory.user = &w->pool;
    config.memory.allocate = mtasts_pool_allocate;
    config.memory.release = mtasts_pool_release;
    mtasts_pool_init(&w->pool, w->cache_block, sizeof w->cache_block);
    if (mtasts_client_init(&w->client, &host) || mtasts_cache_init(&w->cache, &config))
        abort();
}

static void use_client(world *w, const char *domain, size_t len)
{
    mtasts_lookup lookup;
    mtasts_entry e;
    memset(&lookup, 0, sizeof lookup);
    add_number(&w->sum, (int64_t)mtasts_client_lookup(&w->client, &lookup, domain, len, 0));
    add_number(&w->sum, lookup.policy ? (int64_t)lookup.policy->mx_count : -1);
    mtasts_client_end(&w->client, &lookup);
    if (mtasts_client_entry(&w->client, domain, len, &e))
        add_number(&w->sum, (int64_t)mtasts_cache_put(&w->cache, &e, w->now));
    add_number(&w->sum, (int64_t)mtasts_client_refresh(&w->client, domain, len));
    add_number(&w->sum, mtasts_client_tick(&w->client));
    add_number(&w->sum, mtasts_client_next(&w->client));
    if (len % 2)
        add_number(&w->sum, mtasts_client_forget(&w->client, domain, len));
    add_number(&w->sum, (int64_t)mtasts_client_import(&w->client, domain, len, w->stored,
                                                      strlen(w->stored), NULL));
}

static void use_cache(world *w, const char *domain, size_t len)
{
    mtasts_cursor cursor;
    mtasts_entry e;
    memset(&cursor, 0, sizeof cursor);
    mtasts_cache_touch(&w->cache, domain, len, w->now);
    add_number(&w->sum, mtasts_cache_get(&w->cache, domain, len, w->now, &e));
    add_number(&w->sum, mtasts_cache_next_due(&w->cache));
    add_number(&w->sum, mtasts_cache_due(&w->cache, w->now, &e));
    while (mtasts_cache_next(&w->cache, &cursor, &e))
        add_str(&w->sum, e.domain);
    add_number(&w->sum, (int64_t)mtasts_cache_purge(&w->cache, w->now));
    if (len % 2)
        add_number(&w->sum, mtasts_cache_remove(&w->cache, domain, len));
}

/* Forty days of 20 domains. */
static uint64_t client(void)
{
    world *w = calloc(1, sizeof *w);
    uint64_t value;
    int day, i;
    if (!w)
        abort();
    world_init(w);
    for (day = 0; day < 40; day++, w->now += 86400)
        for (i = 0; i < 20; i++) {
            char domain[32];
            size_t len = (size_t)snprintf(domain, sizeof domain, "d%d.example", i);
            use_client(w, domain, len);
            use_cache(w, domain, len);
        }
    add_number(&w->sum, (int64_t)mtasts_client_cache(&w->client)->stats.octets);
    mtasts_client_switch(&w->client, MTASTS_SWITCH_OFF);
    mtasts_client_clear(&w->client);
    mtasts_cache_clear(&w->cache);
    value = w->sum.value;
    free(w);
    return value;
}

/* ---- the threads */

static uint64_t expected[PAIRS], expected_of_client;
static pthread_barrier_t all_ready;

/* Each begins at another pair, so that all do different things at a time. Returns NULL if all was
 * as expected. */
static void *work(void *number)
{
    size_t first = *(size_t *)number * PAIRS / THREADS, i;
    void *wrong = NULL;
    int round;
    pthread_barrier_wait(&all_ready);
    for (round = 0; round < ROUNDS; round++) {
        for (i = first; i < first + PAIRS; i++)
            if (pure(i % PAIRS) != expected[i % PAIRS])
                wrong = number;
        if (client() != expected_of_client)
            wrong = number;
    }
    return wrong;
}

static int shared;

static void *race(void *number)
{
    pthread_barrier_wait(&all_ready);
    shared++;
    return number == &shared ? number : NULL;
}

static void prepare(void)
{
    char text[2048];
    size_t i, len;
    entry.domain.ptr = "example.com";
    entry.domain.len = 11;
    entry.id.ptr = "1";
    entry.id.len = 1;
    entry.fetched = START - 100;
    if (mtasts_policy_parse(&policy, POLICY, sizeof POLICY - 1, 0, NULL))
        abort();
    entry.policy = policy;
    entry.expires = entry.refresh = entry.fetched + policy.max_age;
    entry.checked = entry.used = entry.fetched;
    if (mtasts_entry_write(text, sizeof text, &len, &entry))
        abort();
    for (i = 0; i < PAIRS; i++)
        expected[i] = pure(i);
    expected_of_client = client();
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    size_t numbers_of[THREADS], i, wrong = 0;
    prepare();
    if (pthread_barrier_init(&all_ready, NULL, THREADS))
        return 2;
    for (i = 0; i < THREADS; i++) {
        numbers_of[i] = i;
        if (pthread_create(&threads[i], NULL, argc > 1 && !strcmp(argv[1], "race") ? race : work,
                           &numbers_of[i]))
            return 2;
    }
    for (i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += result != NULL;
    }
    printf("%d threads, %d rounds each of %d pairs of inputs and a client: %d got something else\n",
           THREADS, ROUNDS, (int)PAIRS, (int)wrong);
    return wrong != 0;
}
