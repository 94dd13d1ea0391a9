/* host_libevent: the client of mtasts.h with all adapters, against the world.
 *
 *   t_host_libevent PATH-OF-MTASTS-WORLD */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "host_libevent.h"
#include "world.h"

enum { LONG_MS = 30000, MANY = 50 };

/* ---- the world */

static struct event_base *base;

static void write_world(const char *text)
{
    FILE *f = fopen(in_dir("world"), "w");
    if (!f || fputs(text, f) < 0 || fclose(f))
        abort();
}

static void change_world(const char *text)
{
    write_world(text);
    kill(world_pid, SIGHUP);
    wait_for_line("reloaded");
}

static const char usual_world[] =
    "domain good.test mode=enforce mx=*.good.test max_age=86400 id=one\n"
    "domain other.test mode=testing\n"
    "domain slow.test\nhttps mta-sts.slow.test mode=enforce mx=mx1.slow.test fault=silent\n"
    "domain drop.test\ndns _mta-sts.drop.test fault=drop\n"
    "domain expired.test\nhttps mta-sts.expired.test mode=enforce mx=a.test cert=expired\n"
    "dns _mta-sts.servfail.test fault=servfail\n"
    "many m 50 many.test\n";

/* ---- a host, and look-ups */

typedef struct question {
    mtasts_lookup lookup;
    int calls;
} question;

static unsigned told[MTASTS_EVENT_COUNT];
static uint32_t check_after, timeout;

static void on_event(void *user, const mtasts_event *event)
{
    assert_ptr_equal(user, &told);
    told[event->kind]++;
}

static void adjust(void *user, mtasts_host *host)
{
    (void)user;
    host->check_after = check_after;
    host->dns_timeout = host->https_timeout = timeout;
}

static host_libevent *open_host(int with_store)
{
    char error[256], store[512];
    host_libevent_options o;
    host_libevent *host;
    memset(&o, 0, sizeof o);
    memset(told, 0, sizeof told);
    snprintf(store, sizeof store, "%s", in_dir("store"));
    o.base = base;
    o.dns.servers = dns_server;
    o.https.port = https_port;
    o.https.allow_private = 1;
    o.ca_file = ca;
    o.store = with_store ? store : NULL;
    o.memory = 1 << 20;
    o.import = with_store == 2;
    o.event = on_event;
    o.adjust = adjust;
    o.user = &told;
    host = host_libevent_open(&o, error, sizeof error);
    if (!host)
        fail_msg("%s", error);
    return host;
}

static const mtasts_counters *counters(host_libevent *host)
{
    return &host_libevent_client(host)->counters;
}

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_answer(void *user, mtasts_lookup *lookup)
{
    question *q = user;
    assert_ptr_equal(lookup, &q->lookup);
    q->calls++;
}

/* Returns 1 if the answer is there at once. */
static int ask(host_libevent *host, question *q, const char *domain, unsigned flags)
{
    mtasts_err err;
    memset(q, 0, sizeof *q);
    q->lookup.done = on_answer;
    q->lookup.user = q;
    err = host_libevent_lookup(host, &q->lookup, domain, strlen(domain), flags);
    assert_true(err == MTASTS_OK || err == MTASTS_MORE);
    assert_int_equal(q->calls, 0);
    return err == MTASTS_OK;
}

static int turn(int64_t end)
{
    return milliseconds() < end && event_base_loop(base, EVLOOP_ONCE) == 0;
}

/* A little while of the loop, whatever happens in it. */
static int run_a_little(int64_t end)
{
    struct timeval little = {0, 20000};
    event_base_loopexit(base, &little);
    return milliseconds() < end && event_base_dispatch(base) >= 0;
}

static void wait_answer(question *q)
{
    int64_t end = milliseconds() + LONG_MS;
    while (!q->calls && turn(end)) {
    }
    assert_int_equal(q->calls, 1);
}

static const mtasts_lookup *look_up(host_libevent *host, question *q, const char *domain,
                                    unsigned flags)
{
    if (!ask(host, q, domain, flags))
        wait_answer(q);
    return &q->lookup;
}

/* ---- tests */

static void test_found(void **state)
{
    host_libevent *host = open_host(0);
    question q, again, other;
    (void)state;
    look_up(host, &q, "Good.TEST.", 0);
    assert_int_equal(q.lookup.learned, MTASTS_LEARNED_POLICY);
    assert_int_equal(q.lookup.policy->mode, MTASTS_MODE_ENFORCE);
    assert_string_equal(q.lookup.id, "one");
    assert_in_range(q.lookup.expires - time(NULL), 86390, 86400);
    assert_int_equal(q.lookup.cached, 0);
    assert_int_equal(told[MTASTS_EVENT_FOUND], 1);
    /* D16: a known one at once */
    assert_int_equal(ask(host, &again, "good.test", 0), 1);
    assert_int_equal(again.lookup.cached, 1);
    assert_int_equal(look_up(host, &other, "other.test", 0)->policy->mode, MTASTS_MODE_TESTING);
    assert_int_equal(counters(host)->https, 2);
    host_libevent_end(host, &q.lookup);
    host_libevent_end(host, &again.lookup);
    host_libevent_end(host, &other.lookup);
    host_libevent_close(host);
}

static void test_none(void **state)
{
    host_libevent *host = open_host(0);
    question q;
    (void)state;
    look_up(host, &q, "missing.test", 0);
    assert_int_equal(q.lookup.learned, MTASTS_LEARNED_NONE);
    assert_null(q.lookup.policy);
    host_libevent_end(host, &q.lookup);
    look_up(host, &q, "servfail.test", 0); /* D7 */
    assert_int_equal(q.lookup.learned, MTASTS_LEARNED_TEMPORARY);
    host_libevent_end(host, &q.lookup);
    look_up(host, &q, "expired.test", 0); /* H6 */
    assert_int_equal(q.lookup.learned, MTASTS_LEARNED_FAILED);
    assert_int_equal(q.lookup.result, MTASTS_TLSRPT_STS_WEBPKI_INVALID);
    assert_int_equal(told[MTASTS_EVENT_FETCH_FAILED], 1);
    host_libevent_end(host, &q.lookup);
    host_libevent_close(host);
}

/* The longest name that has a policy host is asked for, and a longer one is answered. */
static void test_long_names(void **state)
{
    host_libevent *host = open_host(0);
    char name[MTASTS_NAME_SIZE];
    question q;
    size_t len;
    (void)state;
    for (len = 235; len <= MTASTS_NAME_MAX; len++) {
        memset(name, 'a', len);
        name[len] = '\0';
        name[60] = name[120] = name[180] = '.';
        if (len > 241)
            name[210] = '.';
        look_up(host, &q, name, 0);
        assert_null(q.lookup.policy);
        host_libevent_end(host, &q.lookup);
    }
    host_libevent_close(host);
}

/* D6: who asks at the same time shares one discovery. */
static void test_single_flight(void **state)
{
    host_libevent *host = open_host(0);
    question q[MANY];
    int i;
    (void)state;
    for (i = 0; i < MANY; i++)
        assert_int_equal(ask(host, &q[i], "good.test", 0), 0);
    for (i = 0; i < MANY; i++) {
        wait_answer(&q[i]);
        assert_non_null(q[i].lookup.policy);
        host_libevent_end(host, &q[i].lookup);
    }
    assert_int_equal(counters(host)->txt, 1);
    assert_int_equal(counters(host)->https, 1);
    host_libevent_close(host);
}

static void test_many_domains(void **state)
{
    host_libevent *host = open_host(0);
    question q[MANY];
    char name[32];
    int i;
    (void)state;
    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "m%d.many.test", i + 1);
        assert_int_equal(ask(host, &q[i], name, 0), 0);
    }
    for (i = 0; i < MANY; i++) {
        wait_answer(&q[i]);
        assert_int_equal(q[i].lookup.learned, MTASTS_LEARNED_POLICY);
        host_libevent_end(host, &q[i].lookup);
    }
    assert_int_equal(counters(host)->https, MANY);
    host_libevent_close(host);
}

/* D1, D11: what was stored serves the next process, and DNS and HTTPS may be dead then. */
static void test_store(void **state)
{
    host_libevent *host = open_host(1);
    question q;
    mtasts_entry entry;
    (void)state;
    assert_non_null(look_up(host, &q, "good.test", 0)->policy);
    host_libevent_close(host); /* with the look-up open */

    change_world("dns _mta-sts.good.test fault=servfail\n");
    host = open_host(1);
    assert_int_equal(ask(host, &q, "good.test", 0), 1);
    assert_int_equal(q.lookup.policy->mode, MTASTS_MODE_ENFORCE);
    assert_string_equal(q.lookup.id, "one");
    assert_int_equal(counters(host)->https, 0);
    assert_int_equal(counters(host)->load, 1);
    host_libevent_close(host);

    host = open_host(2); /* imported: in memory before anybody asks */
    assert_int_equal(mtasts_client_entry(host_libevent_client(host), "good.test", 9, &entry), 1);
    assert_int_equal(mtasts_client_forget(host_libevent_client(host), "good.test", 9), 1);
    host_libevent_wake(host);
    assert_int_equal(counters(host)->drop, 1);
    look_up(host, &q, "good.test", 0);
    assert_null(q.lookup.policy);
    host_libevent_close(host);
    change_world(usual_world);
}

/* D1, D2, D3, by way of the timer: nobody calls but the loop. */
static void test_checked_later(void **state)
{
    int64_t end = milliseconds() + LONG_MS;
    host_libevent *host;
    question q;
    (void)state;
    check_after = 1;
    host = open_host(0);
    look_up(host, &q, "good.test", 0);
    host_libevent_end(host, &q.lookup);

    change_world("dns _mta-sts.good.test fault=servfail\n");
    while (counters(host)->txt < 2 && run_a_little(end)) {
        look_up(host, &q, "good.test", 0);
        assert_non_null(q.lookup.policy);
        host_libevent_end(host, &q.lookup);
    }
    assert_true(counters(host)->txt >= 2);

    change_world("domain good.test mode=none id=two\n"); /* D4 */
    while (!told[MTASTS_EVENT_DOWNGRADED] && run_a_little(end)) {
        look_up(host, &q, "good.test", 0);
        host_libevent_end(host, &q.lookup);
    }
    assert_int_equal(told[MTASTS_EVENT_DOWNGRADED], 1);
    look_up(host, &q, "good.test", 0);
    assert_int_equal(q.lookup.policy->mode, MTASTS_MODE_NONE);
    assert_string_equal(q.lookup.id, "two");
    host_libevent_close(host);
    check_after = 0;
    change_world(usual_world);
}

/* A5: asked again at once, and the policy that was open is good until its end. */
static void test_again(void **state)
{
    host_libevent *host = open_host(0);
    question q, again;
    (void)state;
    look_up(host, &q, "good.test", 0);
    look_up(host, &again, "good.test", MTASTS_LOOKUP_AGAIN);
    assert_ptr_equal(again.lookup.policy, q.lookup.policy);
    host_libevent_end(host, &again.lookup);
    change_world("domain good.test mode=testing id=three\n");
    look_up(host, &again, "good.test", MTASTS_LOOKUP_AGAIN);
    assert_int_equal(again.lookup.policy->mode, MTASTS_MODE_TESTING);
    assert_int_equal(q.lookup.policy->mode, MTASTS_MODE_ENFORCE);
    host_libevent_end(host, &q.lookup);
    host_libevent_end(host, &again.lookup);
    host_libevent_close(host);
    change_world(usual_world);
}

static void test_timeouts(void **state)
{
    host_libevent *host;
    question slow, dropped;
    int64_t start = milliseconds();
    (void)state;
    timeout = 1;
    host = open_host(0);
    ask(host, &slow, "slow.test", 0);
    ask(host, &dropped, "drop.test", 0);
    wait_answer(&slow);
    wait_answer(&dropped);
    assert_int_equal(slow.lookup.learned, MTASTS_LEARNED_FAILED);
    assert_int_equal(slow.lookup.diag.err, MTASTS_ERR_HTTPS_CONNECT);
    assert_int_equal(dropped.lookup.learned, MTASTS_LEARNED_TEMPORARY);
    assert_in_range(milliseconds() - start, 0, 10000);
    host_libevent_close(host); /* the late answers are still under way */
    timeout = 0;
}

/* Closed after each number of turns, with everything under way. */
static void test_close(void **state)
{
    int turns, i;
    (void)state;
    for (turns = 0; turns < 40; turns++) {
        host_libevent *host = open_host(1);
        question q[4];
        ask(host, &q[0], "good.test", 0);
        ask(host, &q[1], "slow.test", 0);
        ask(host, &q[2], "drop.test", 0);
        ask(host, &q[3], "m1.many.test", 0);
        for (i = 0; i < turns && counters(host)->https < 3; i++)
            event_base_loop(base, EVLOOP_ONCE);
        host_libevent_close(host);
        event_base_loop(base, EVLOOP_NONBLOCK);
        assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    }
}

static mtasts_override ignore(void *user, const char *domain, mtasts_str *pinned)
{
    (void)user;
    (void)pinned;
    return strcmp(domain, "good.test") == 0 ? MTASTS_OVERRIDE_IGNORE : MTASTS_OVERRIDE_NONE;
}

/* A11; and what cannot be opened says why and leaves nothing behind. */
static void test_options(void **state)
{
    char error[256] = "";
    host_libevent_options o;
    host_libevent *host;
    question q;
    (void)state;
    memset(&o, 0, sizeof o);
    o.base = base;
    o.dns.servers = dns_server;
    o.https.port = https_port;
    o.https.allow_private = 1;
    o.ca_file = ca;
    o.override = ignore;
    host = host_libevent_open(&o, error, sizeof error);
    assert_non_null(host);
    assert_null(host_libevent_store(host));
    assert_non_null(host_libevent_tls(host));
    look_up(host, &q, "good.test", 0);
    assert_int_equal(q.lookup.override, MTASTS_OVERRIDE_IGNORE);
    host_libevent_close(host);

    o.ca_file = "/nowhere/ca.pem";
    assert_null(host_libevent_open(&o, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere/ca.pem"));
    o.ca_file = ca;
    o.store = "/dev/null/store";
    assert_null(host_libevent_open(&o, error, sizeof error));
    o.store = NULL;
    o.dns.servers = "not an address";
    assert_null(host_libevent_open(&o, error, sizeof error));
    host_libevent_close(NULL);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
}

/* ---- all of it */

static int setup(void **state)
{
    (void)state;
    make_dir();
    write_world(usual_world);
    start_world();
    base = event_base_new();
    return !base;
}

static int teardown(void **state)
{
    (void)state;
    if (base)
        event_base_free(base);
    empty_dir(in_dir("store"));
    rmdir(in_dir("store"));
    stop_world();
    return 0;
}

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static int descriptors_before;

static int count_descriptors(void **state)
{
    (void)state;
    empty_dir(in_dir("store"));
    descriptors_before = open_descriptors();
    return 0;
}

static int descriptors_as_before(void **state)
{
    (void)state;
    event_base_loop(base, EVLOOP_NONBLOCK);
    return open_descriptors() != descriptors_before;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, count_descriptors, descriptors_as_before)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_found),         TEST(test_none),         TEST(test_long_names),
        TEST(test_single_flight), TEST(test_many_domains), TEST(test_store),
        TEST(test_checked_later), TEST(test_again),        TEST(test_timeouts),
        TEST(test_close),         TEST(test_options),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: t_host_libevent PATH-OF-MTASTS-WORLD\n");
        return 3;
    }
    world_program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
