/* https_mbedtls and tls_stream against the world's HTTPS server, which fails in every way, and
 * against sockets of this program's own.
 *
 *   t_https_mbedtls PATH-OF-MTASTS-WORLD */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "https_mbedtls.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SHORT_MS = 700, LONG_MS = 20000, SLACK_MS = 5000 };

/* ---- the rows: one per fault and per kind of certificate */

typedef struct row {
    const char *name;        /* the domain is NAME.test */
    const char *kind, *rest; /* the world's line, with the policy host between them */
    mtasts_err err;
    int status;
    mtasts_chain chain;
    int name_matches;
    const char *why; /* is in result.why */
    int waits;       /* 1: until the deadline */
} row;

#define GOOD      MTASTS_CHAIN_TRUSTED, 1
#define NOT_SEEN  MTASTS_CHAIN_UNCHECKED, 0
#define CONNECT   MTASTS_ERR_HTTPS_CONNECT, 0
#define BAD_CERT  MTASTS_ERR_HTTPS_CERT, 0
#define NOT_NAMED BAD_CERT, MTASTS_CHAIN_TRUSTED, 0, "not for this name", 0

static const row rows[] = {
    {"good", "https", "", MTASTS_OK, 200, GOOD, "", 0},
    {"chunked", "https", "fault=chunked", MTASTS_OK, 200, GOOD, "", 0},
    {"until-close", "https", "fault=until-close", MTASTS_OK, 200, GOOD, "", 0},
    /* H2: 200 only, and no redirect */
    {"s204", "https", "status=204", MTASTS_ERR_HTTP_STATUS, 204, GOOD, "status 204", 0},
    {"s404", "https", "status=404", MTASTS_ERR_HTTP_STATUS, 404, GOOD, "status 404", 0},
    {"s500", "https", "status=500", MTASTS_ERR_HTTP_STATUS, 500, GOOD, "status 500", 0},
    {"s304", "https", "status=304", MTASTS_ERR_HTTP_REDIRECT, 304, GOOD, "status 304", 0},
    {"redirect", "https", "fault=redirect", MTASTS_ERR_HTTP_REDIRECT, 301, GOOD, "redirect", 0},
    /* H3: text/plain, whatever its parameters */
    {"utf8", "https", "type=\"Text/Plain; charset=utf-8\"", MTASTS_OK, 200, GOOD, "", 0},
    {"html", "https", "type=text/html", MTASTS_ERR_HTTP_MEDIA_TYPE, 200, GOOD, "media type", 0},
    {"plainer", "https", "type=text/plainer", MTASTS_ERR_HTTP_MEDIA_TYPE, 200, GOOD, "", 0},
    {"gzip", "https", "fault=gzip", MTASTS_ERR_HTTP_CODING, 200, GOOD, "compressed", 0},
    /* H4: size and time */
    {"large", "https", "fault=large", MTASTS_ERR_HTTP_BODY_SIZE, 200, GOOD, "larger", 0},
    {"endless-body", "https", "fault=endless-body", MTASTS_ERR_HTTP_BODY_SIZE, 200, GOOD, "", 0},
    {"endless-head", "https", "fault=endless-head", MTASTS_ERR_HTTP_HEAD_SIZE, 200, GOOD, "", 0},
    {"drip", "https", "fault=drip", CONNECT, GOOD, "too slow", 1},
    {"silent", "https", "fault=silent", CONNECT, NOT_SEEN, "handshake takes too long", 1},
    {"blackhole", "https", "fault=blackhole", CONNECT, NOT_SEEN, "no answer", 1},
    {"dns-drop", "dns", "fault=drop", CONNECT, NOT_SEEN, "no answer from DNS", 1},
    /* what is cut off is no policy */
    {"cut", "https", "fault=cut", MTASTS_ERR_HTTP_INCOMPLETE, 200, GOOD, "cut off", 0},
    {"short", "https", "fault=short", MTASTS_ERR_HTTP_INCOMPLETE, 200, GOOD, "", 0},
    {"until-cut", "https", "fault=until-cut", MTASTS_ERR_HTTP_INCOMPLETE, 200, GOOD, "cut off", 0},
    {"bad-chunk", "https", "fault=bad-chunk", MTASTS_ERR_HTTP_FRAMING, 200, GOOD, "chunks", 0},
    {"bad-status", "https", "fault=bad-status-line", MTASTS_ERR_HTTP_SYNTAX, 0, GOOD, "1:", 0},
    /* what does not come so far */
    {"refuse", "https", "fault=refuse", CONNECT, NOT_SEEN, "refused", 0},
    {"reset", "https", "fault=reset", CONNECT, NOT_SEEN, " port ", 0},
    {"alert", "https", "fault=alert", CONNECT, NOT_SEEN, "alert", 0},
    {"tls11", "https", "fault=tls11", CONNECT, NOT_SEEN, "TLS", 0},
    {"plain", "https", "fault=plain", CONNECT, NOT_SEEN, "TLS failed", 0},
    {"servfail", "dns", "fault=servfail", CONNECT, NOT_SEEN, "mta-sts.servfail.test: ", 0},
    {"nxdomain", "dns", "fault=nxdomain", CONNECT, NOT_SEEN, "does not exist", 0},
    {"no-address", "dns", "txt nothing", CONNECT, NOT_SEEN, "no such record", 0},
    /* H1: the chain, ... */
    {"expired", "https", "cert=expired", BAD_CERT, MTASTS_CHAIN_EXPIRED, 1, "expired", 0},
    {"future", "https", "cert=future", BAD_CERT, MTASTS_CHAIN_EXPIRED, 1, "future", 0},
    {"self", "https", "cert=self", BAD_CERT, MTASTS_CHAIN_UNTRUSTED, 1, "trusted", 0},
    {"other-ca", "https", "cert=other-ca", BAD_CERT, MTASTS_CHAIN_UNTRUSTED, 1, "trusted", 0},
    {"middle", "https", "cert=intermediate", MTASTS_OK, 200, GOOD, "", 0},
    {"no-middle", "https", "cert=no-intermediate", BAD_CERT, MTASTS_CHAIN_UNTRUSTED, 1, "", 0},
    {"revoked", "https", "cert=revoked", BAD_CERT, MTASTS_CHAIN_REVOKED, 1, "revoked", 0},
    /* ... and the name: dNSName only, "*" only for the whole left-most label */
    {"wildcard", "https", "cert=wildcard", MTASTS_OK, 200, GOOD, "", 0},
    {"cn-only", "https", "cert=cn-only", NOT_NAMED},
    {"domain", "https", "cert=name=domain.test", NOT_NAMED},
    {"upper", "https", "cert=name=MTA-STS.Upper.Test", MTASTS_OK, 200, GOOD, "", 0},
    {"wide", "https", "cert=name=*.test", NOT_NAMED},
    {"part", "https", "cert=name=mta-st*.part.test", NOT_NAMED},
    {"deep", "https", "cert=name=mta-sts.*.test", NOT_NAMED},
};

static const char policy[] = "version: STSv1\nmode: enforce\nmx: mx.example.test\nmax_age: 86400\n";
#define POLICY_WORD "\"version: STSv1\\nmode: enforce\\nmx: mx.example.test\\nmax_age: 86400\\n\""

/* ---- the world, and what is open all the time */

static struct event_base *base;
static dns_cares *dns;
static tls_context *plain_tls, *revoking_tls; /* without and with the CRL */

static char *write_file(const char *name, const char *text, size_t len)
{
    char *path = in_dir(name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(text, 1, len, f) != len || fclose(f))
        abort();
    return path;
}

static void write_world(void)
{
    FILE *f = fopen(in_dir("world"), "w");
    size_t i;
    if (!f)
        abort();
    for (i = 0; i < COUNT(rows); i++) {
        int https = strcmp(rows[i].kind, "https") == 0;
        fprintf(f, "%s mta-sts.%s.test %s %s\n", rows[i].kind, rows[i].name, rows[i].rest,
                https ? "policy=" POLICY_WORD : "");
    }
    fprintf(f, "https mta-sts.six.test address=::1 policy=" POLICY_WORD "\n");
    fprintf(f, "dns mta-sts.two.test a 127.200.200.200\n");
    fprintf(f, "https mta-sts.two.test policy=" POLICY_WORD "\n");
    fprintf(f, "dns mta-sts.private.test a 127.0.0.1 10.0.0.1 ttl=60\n");
    fprintf(f, "dns mta-sts.private.test aaaa ::1 fe80::1 ::ffff:127.0.0.1\n");
    if (fclose(f))
        abort();
}

static int setup(void **state)
{
    char error[256];
    dns_cares_options options;
    (void)state;
    make_dir();
    write_world();
    start_world();
    base = event_base_new();
    memset(&options, 0, sizeof options);
    options.servers = dns_server;
    dns = dns_cares_open(base, &options, error, sizeof error);
    assert_non_null(dns);
    plain_tls = tls_context_open(ca, NULL, error, sizeof error);
    assert_non_null(plain_tls);
    revoking_tls = tls_context_open(ca, crl, error, sizeof error);
    assert_non_null(revoking_tls);
    return 0;
}

/* Whatever has come of the setup. */
static void clean_up(void)
{
    tls_context_close(plain_tls);
    tls_context_close(revoking_tls);
    dns_cares_close(dns);
    if (base)
        event_base_free(base);
    stop_world();
}

/* ---- descriptors: none may be left */

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int descriptors_before;

/* Once every kind of thing has been used: DNS keeps a socket for each server. */
static int count_descriptors(void **state)
{
    (void)state;
    descriptors_before = open_descriptors();
    return 0;
}

static int descriptors_as_before(void **state)
{
    (void)state;
    return open_descriptors() > descriptors_before;
}

/* ---- one fetch */

typedef struct outcome {
    int calls;
    int started; /* https_mbedtls_start has returned */
    https_mbedtls_result result;
    char body[MTASTS_POLICY_MAX];
} outcome;

static https_mbedtls_options usual(void)
{
    https_mbedtls_options o;
    memset(&o, 0, sizeof o);
    o.base = base;
    o.dns = dns;
    o.tls = plain_tls;
    o.port = https_port;
    o.deadline = LONG_MS;
    o.allow_private = 1;
    return o;
}

static void on_done(void *user, const https_mbedtls_result *result)
{
    outcome *out = user;
    assert_true(out->started);
    out->calls++;
    out->result = *result;
    if (!result->err)
        memcpy(out->body, result->body, result->len);
    else
        assert_null(result->body);
}

static outcome last;

static const https_mbedtls_result *fetch(const https_mbedtls_options *o, const char *domain)
{
    memset(&last, 0, sizeof last);
    assert_non_null(https_mbedtls_start(o, domain, on_done, &last));
    last.started = 1;
    while (!last.calls && event_base_loop(base, EVLOOP_ONCE) == 0) {
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(last.calls, 1);
    return &last.result;
}

static void assert_policy(void)
{
    assert_int_equal(last.result.len, sizeof policy - 1);
    assert_memory_equal(last.body, policy, sizeof policy - 1);
}

static void assert_took(const https_mbedtls_result *r, unsigned deadline)
{
    assert_in_range(r->milliseconds, deadline - 20, deadline + SLACK_MS);
}

/* ---- the tests with the world */

/* H1-H4, H6: every row, with the CRL */
static void test_rows(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        const row *t = &rows[i];
        https_mbedtls_options o = usual();
        const https_mbedtls_result *r;
        char domain[64];
        o.tls = revoking_tls;
        o.deadline = t->waits ? SHORT_MS : LONG_MS;
        snprintf(domain, sizeof domain, "%s.test", t->name);
        r = fetch(&o, domain);
        if (r->err != t->err || r->status != t->status || r->chain != t->chain ||
            r->name_matches != t->name_matches || !strstr(r->why, t->why) || !r->why[0] != !r->err)
            fail_msg("%s: %s, status %d, chain %d, name %d, \"%s\"", domain,
                     mtasts_err_name((int)r->err), r->status, (int)r->chain, r->name_matches,
                     r->why);
        if (r->err == MTASTS_OK)
            assert_policy();
        else
            assert_int_not_equal(mtasts_err_tlsrpt((int)r->err), MTASTS_TLSRPT_OK); /* H6 */
        if (t->waits)
            assert_took(r, SHORT_MS);
        else
            assert_in_range(r->milliseconds, 0, LONG_MS / 2);
        assert_int_equal(!r->not_after, t->chain == MTASTS_CHAIN_UNCHECKED);
        assert_int_equal(!*r->tls_version, t->chain == MTASTS_CHAIN_UNCHECKED);
        assert_int_equal(!r->address.ss_family, strcmp(t->kind, "dns") == 0);
    }
}

/* Without a CRL nobody knows. */
static void test_no_crl(void **state)
{
    https_mbedtls_options o = usual();
    (void)state;
    assert_int_equal(fetch(&o, "revoked.test")->err, MTASTS_OK);
}

/* H6: the TLSRPT results of the two kinds of failure before HTTP */
static void test_tlsrpt(void **state)
{
    https_mbedtls_options o = usual();
    (void)state;
    assert_int_equal(mtasts_err_tlsrpt((int)fetch(&o, "self.test")->err),
                     MTASTS_TLSRPT_STS_WEBPKI_INVALID);
    assert_int_equal(mtasts_err_tlsrpt((int)fetch(&o, "refuse.test")->err),
                     MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR);
}

static void test_dates(void **state)
{
    https_mbedtls_options o = usual();
    const https_mbedtls_result *r;
    int64_t now = (int64_t)time(NULL);
    (void)state;
    r = fetch(&o, "good.test");
    assert_true(r->not_before <= now && now < r->not_after);
    r = fetch(&o, "expired.test");
    assert_true(r->not_before < r->not_after && r->not_after < now);
    r = fetch(&o, "future.test");
    assert_true(now < r->not_before && r->not_before < r->not_after);
}

static int has_ipv6(void)
{
    struct sockaddr_in6 a;
    int fd = socket(AF_INET6, SOCK_STREAM, 0), ok;
    memset(&a, 0, sizeof a);
    a.sin6_family = AF_INET6;
    a.sin6_addr = in6addr_loopback;
    ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void test_ipv6(void **state)
{
    https_mbedtls_options o = usual();
    const https_mbedtls_result *r;
    char text[INET6_ADDRSTRLEN];
    (void)state;
    if (!has_ipv6())
        skip();
    r = fetch(&o, "six.test");
    assert_int_equal(r->err, MTASTS_OK);
    assert_string_equal(tls_stream_address_text(&r->address, text, sizeof text), "::1");
    assert_policy();
}

/* There is nobody at the first address. */
static void test_two_addresses(void **state)
{
    https_mbedtls_options o = usual();
    const https_mbedtls_result *r;
    char text[INET6_ADDRSTRLEN];
    (void)state;
    r = fetch(&o, "two.test");
    assert_int_equal(r->err, MTASTS_OK);
    assert_string_equal(tls_stream_address_text(&r->address, text, sizeof text), "127.0.0.1");
}

/* H7: loopback, private, link-local, mapped */
static void test_private(void **state)
{
    https_mbedtls_options o = usual();
    const https_mbedtls_result *r;
    (void)state;
    o.allow_private = 0;
    r = fetch(&o, "good.test");
    assert_int_equal(r->err, MTASTS_ERR_HTTPS_CONNECT);
    assert_string_equal(r->why, "127.0.0.1: not a public address");
    assert_int_equal(r->address.ss_family, 0);
    r = fetch(&o, "private.test");
    assert_int_equal(r->err, MTASTS_ERR_HTTPS_CONNECT);
    assert_non_null(strstr(r->why, "not a public address"));
}

/* "mta-sts." before it makes it too long; or it is no name at all */
static void test_no_policy_host(void **state)
{
    static const char *const bad[] = {"", "a..test", "[192.0.2.1]", "192.0.2.1", "a b.test"};
    https_mbedtls_options o = usual();
    char domain[254];
    size_t i;
    (void)state;
    for (i = 0; i < sizeof domain; i++)
        domain[i] = i % 50 == 49 ? '.' : 'a';
    domain[sizeof domain - 1] = '\0';
    assert_null(https_mbedtls_start(&o, domain, on_done, &last));
    for (i = 0; i < COUNT(bad); i++)
        assert_null(https_mbedtls_start(&o, bad[i], on_done, &last));
}

/* H4: the limit on the body can be lowered */
static void test_max_body(void **state)
{
    static const char *const domains[] = {"good.test", "chunked.test", "until-close.test"};
    https_mbedtls_options o = usual();
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(domains); i++) {
        o.max_body = sizeof policy - 1;
        assert_int_equal(fetch(&o, domains[i])->err, MTASTS_OK);
        assert_policy();
        o.max_body--;
        assert_int_equal(fetch(&o, domains[i])->err, MTASTS_ERR_HTTP_BODY_SIZE);
        o.max_body = 1;
        assert_int_equal(fetch(&o, domains[i])->err, MTASTS_ERR_HTTP_BODY_SIZE);
        o.max_body = (size_t)MTASTS_POLICY_MAX * 4;
        assert_int_equal(fetch(&o, domains[i])->err, MTASTS_OK);
    }
    assert_int_equal(fetch(&o, "large.test")->err, MTASTS_ERR_HTTP_BODY_SIZE);
}

static void test_user_agent(void **state)
{
    https_mbedtls_options o = usual();
    char agent[4096];
    (void)state;
    o.user_agent = "sender/1.0";
    assert_int_equal(fetch(&o, "good.test")->err, MTASTS_OK);
    o.user_agent = "a\r\nb: c";
    assert_int_equal(fetch(&o, "good.test")->err, MTASTS_ERR_HTTPS_CONNECT);
    memset(agent, 'a', sizeof agent);
    agent[sizeof agent - 1] = '\0';
    o.user_agent = agent;
    assert_int_equal(fetch(&o, "good.test")->err, MTASTS_ERR_HTTPS_CONNECT);
    assert_non_null(strstr(last.result.why, "cannot be sent"));
}

/* Cancelled before any turn of the loop, after one, after two, ... until it is through. */
static void test_cancel(void **state)
{
    static const char *const domains[] = {"good.test",   "drip.test", "self.test", "large.test",
                                          "refuse.test", "cut.test",  "two.test"};
    https_mbedtls_options o = usual();
    size_t i;
    (void)state;
    o.deadline = 300;
    for (i = 0; i < COUNT(domains); i++) {
        unsigned turns = 0;
        memset(&last, 0, sizeof last);
        while (!last.calls && turns < 200) {
            https_mbedtls_fetch *f = https_mbedtls_start(&o, domains[i], on_done, &last);
            unsigned n;
            assert_non_null(f);
            last.started = 1;
            for (n = 0; n < turns && !last.calls; n++)
                event_base_loop(base, EVLOOP_ONCE);
            if (!last.calls) {
                https_mbedtls_cancel(f);
                event_base_loop(base, EVLOOP_NONBLOCK);
                assert_int_equal(last.calls, 0);
            }
            /* one that drips goes through the first turns, and by the rest in steps */
            turns += turns < 20 ? 1 : 9;
        }
        assert_true(turns > 3);
    }
    https_mbedtls_cancel(NULL);
}

enum { MANY = 200 };

static void test_many(void **state)
{
    https_mbedtls_options o = usual();
    outcome *out = calloc(MANY, sizeof *out);
    int i, over = 0;
    (void)state;
    assert_non_null(out);
    o.deadline = 0; /* a minute */
    for (i = 0; i < MANY; i++) {
        const char *domain = i % 2 ? "good.test" : i % 4 ? "self.test" : "chunked.test";
        assert_non_null(https_mbedtls_start(&o, domain, on_done, &out[i]));
        out[i].started = 1;
    }
    while (over < MANY && event_base_loop(base, EVLOOP_ONCE) == 0)
        for (over = 0, i = 0; i < MANY; i++)
            over += out[i].calls;
    for (i = 0; i < MANY; i++) {
        assert_int_equal(out[i].calls, 1);
        assert_int_equal(out[i].result.err, i % 2 || !(i % 4) ? MTASTS_OK : MTASTS_ERR_HTTPS_CERT);
    }
    free(out);
}

/* ---- a relay before the world, which counts and cuts */

typedef struct relay {
    struct evconnlistener *listener;
    unsigned port;
    /* what to do */
    size_t piece;     /* 0: as it comes; else octets to the client at a time */
    size_t cut_after; /* octets of the server's, then the end */
    int reset;        /* by RST, not FIN */
    /* what was seen */
    size_t from_server;
    struct evbuffer *from_client;
    struct bufferevent *near, *far; /* the client and the world */
} relay;

static void hang_up(relay *r)
{
    if (r->near && r->reset) {
        struct linger now = {1, 0};
        setsockopt(bufferevent_getfd(r->near), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (r->near)
        bufferevent_free(r->near);
    if (r->far)
        bufferevent_free(r->far);
    r->near = r->far = NULL;
}

static void on_near(struct bufferevent *b, void *user)
{
    relay *r = user;
    struct evbuffer *in = bufferevent_get_input(b);
    evbuffer_add(r->from_client, evbuffer_pullup(in, -1), evbuffer_get_length(in));
    bufferevent_write_buffer(r->far, in);
}

static void on_far(struct bufferevent *b, void *user)
{
    relay *r = user;
    struct evbuffer *in = bufferevent_get_input(b);
    size_t len = evbuffer_get_length(in);
    unsigned char *data = evbuffer_pullup(in, -1);
    size_t i, step;
    int over = len >= r->cut_after - r->from_server;
    if (over)
        len = r->cut_after - r->from_server;
    /* past the buffer of bufferevent, so that nothing is lost when it is freed */
    for (i = 0; i < len; i += step) {
        step = r->piece && r->piece < len - i ? r->piece : len - i;
        if (send(bufferevent_getfd(r->near), data + i, step, MSG_NOSIGNAL) != (ssize_t)step)
            break;
    }
    r->from_server += len;
    evbuffer_drain(in, evbuffer_get_length(in));
    if (over)
        hang_up(r);
}

static void on_relay_event(struct bufferevent *b, short what, void *user)
{
    (void)b;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        hang_up(user);
}

static void on_relay(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                     int len, void *user)
{
    relay *r = user;
    struct sockaddr_in world;
    (void)listener;
    (void)from;
    (void)len;
    memset(&world, 0, sizeof world);
    world.sin_family = AF_INET;
    world.sin_port = htons((uint16_t)https_port);
    world.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    hang_up(r);
    r->near = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    r->far = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(r->near, on_near, NULL, on_relay_event, r);
    bufferevent_setcb(r->far, on_far, NULL, on_relay_event, r);
    bufferevent_enable(r->near, EV_READ | EV_WRITE);
    bufferevent_enable(r->far, EV_READ | EV_WRITE);
    bufferevent_socket_connect(r->far, (struct sockaddr *)&world, sizeof world);
}

static void relay_open(relay *r)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    memset(r, 0, sizeof *r);
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->listener = evconnlistener_new_bind(base, on_relay, r, LEV_OPT_CLOSE_ON_FREE, -1,
                                          (struct sockaddr *)&a, sizeof a);
    assert_non_null(r->listener);
    getsockname(evconnlistener_get_fd(r->listener), (struct sockaddr *)&a, &len);
    r->port = ntohs(a.sin_port);
    r->cut_after = SIZE_MAX;
    r->from_client = evbuffer_new();
}

static void relay_close(relay *r)
{
    hang_up(r);
    evconnlistener_free(r->listener);
    evbuffer_free(r->from_client);
}

static const https_mbedtls_result *fetch_through(relay *r, const char *domain)
{
    https_mbedtls_options o = usual();
    const https_mbedtls_result *result;
    o.port = r->port;
    evbuffer_drain(r->from_client, evbuffer_get_length(r->from_client));
    r->from_server = 0;
    result = fetch(&o, domain);
    hang_up(r);
    return result;
}

/* TLS records of application data that the client has sent */
static unsigned client_records(relay *r)
{
    enum { HEADER = 5, APPLICATION_DATA = 23 };
    const unsigned char *p = evbuffer_pullup(r->from_client, -1);
    size_t len = evbuffer_get_length(r->from_client), i = 0;
    unsigned n = 0;
    while (len - i >= HEADER) {
        n += p[i] == APPLICATION_DATA;
        i += HEADER + ((size_t)p[i + 3] << 8 | p[i + 4]);
        if (i > len)
            break;
    }
    return n;
}

/* H1, RFC 8461 3.3: nothing is asked of a host whose certificate is not good. In TLS 1.3 the end of
 * the handshake and the alert look like data: two records. */
static void test_certificate_first(void **state)
{
    relay r;
    unsigned extra;
    (void)state;
    relay_open(&r);
    assert_int_equal(fetch_through(&r, "good.test")->err, MTASTS_OK);
    extra = strcmp(last.result.tls_version, "TLSv1.3") == 0 ? 2 : 0;
    assert_true(client_records(&r) > extra);
    assert_int_equal(fetch_through(&r, "self.test")->err, MTASTS_ERR_HTTPS_CERT);
    assert_in_range(client_records(&r), 0, extra);
    assert_int_equal(fetch_through(&r, "wide.test")->err, MTASTS_ERR_HTTPS_CERT);
    assert_in_range(client_records(&r), 0, extra);
    relay_close(&r);
}

/* Octet by octet, all is as it was. */
static void test_pieces(void **state)
{
    relay r;
    (void)state;
    relay_open(&r);
    r.piece = 1;
    assert_int_equal(fetch_through(&r, "good.test")->err, MTASTS_OK);
    assert_policy();
    assert_int_equal(fetch_through(&r, "until-close.test")->err, MTASTS_OK);
    assert_policy();
    relay_close(&r);
}

/* Cut off anywhere: never a policy that is not whole. Without a length only close_notify ends it. */
static void cut_everywhere(relay *r, const char *domain, size_t tail)
{
    enum { VARIES = 8 }; /* signatures are not always of the same length */
    size_t total, n;
    r->cut_after = SIZE_MAX;
    assert_int_equal(fetch_through(r, domain)->err, MTASTS_OK);
    total = r->from_server;
    for (n = 0; n <= total; n += n + 120 < total ? 61 : 1) {
        const https_mbedtls_result *result;
        r->cut_after = n;
        if (!n)
            continue; /* the relay looks only when octets come */
        result = fetch_through(r, domain);
        if (result->err == MTASTS_OK) {
            assert_policy();
            assert_true(n + tail + VARIES >= total);
        } else {
            assert_true(result->err == MTASTS_ERR_HTTPS_CONNECT ||
                        result->err == MTASTS_ERR_HTTP_INCOMPLETE);
            assert_true(n < total + VARIES);
        }
    }
}

static void test_cuts(void **state)
{
    enum { NOTIFY_MAX = 64 };
    relay r;
    (void)state;
    relay_open(&r);
    cut_everywhere(&r, "good.test", NOTIFY_MAX);
    cut_everywhere(&r, "until-close.test", 0);
    r.reset = 1;
    cut_everywhere(&r, "until-close.test", NOTIFY_MAX);
    relay_close(&r);
}

/* ---- tls_stream by itself, against a socket of ours */

typedef struct tape {
    int opened; /* tls_stream_open has returned */
    unsigned count, seen[TLS_STREAM_FAILED + 1];
    tls_stream_event last;
    unsigned close_at; /* 1 + event: close the stream when it comes */
    int secure;        /* 1: turn to TLS when connected, for good.test's host */
    size_t len;
    unsigned char data[1 << 17];
} tape;

static tape record;

static void on_stream(void *user, tls_stream *s, tls_stream_event event, const unsigned char *data,
                      size_t len)
{
    tape *t = user;
    assert_true(t->opened);
    t->count++;
    t->seen[event]++;
    t->last = event;
    assert_true(len <= sizeof t->data - t->len);
    if (len)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    if (t->close_at == 1U + event)
        tls_stream_close(s);
    else if (event == TLS_STREAM_CONNECTED && t->secure)
        tls_stream_secure(s, "mta-sts.good.test");
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage s;
    memset(&s, 0, sizeof s);
    if (strchr(text, ':')) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)&s;
        a->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &a->sin6_addr), 1);
    } else {
        struct sockaddr_in *a = (struct sockaddr_in *)&s;
        a->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &a->sin_addr), 1);
    }
    return s;
}

static int listen_at(const char *text, unsigned *port, int backlog)
{
    struct sockaddr_storage s = address(text);
    struct sockaddr_in *a = (struct sockaddr_in *)&s;
    socklen_t len =
        s.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int fd = socket(s.ss_family, SOCK_STREAM, 0);
    a->sin_port = htons((uint16_t)*port);
    assert_int_equal(bind(fd, (struct sockaddr *)&s, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&s, &len), 0);
    *port = ntohs(a->sin_port);
    return fd;
}

static tls_stream_options stream_options(unsigned port)
{
    tls_stream_options o;
    memset(&o, 0, sizeof o);
    o.base = base;
    o.tls = plain_tls;
    o.port = port;
    o.deadline = LONG_MS;
    o.allow_private = 1;
    return o;
}

static tls_stream *open_stream(const tls_stream_options *o, const struct sockaddr_storage *to,
                               size_t count)
{
    tls_stream *s;
    unsigned close_at = record.close_at;
    int secure = record.secure;
    memset(&record, 0, sizeof record);
    record.close_at = close_at;
    record.secure = secure;
    s = tls_stream_open(o, to, count, on_stream, &record);
    assert_non_null(s);
    record.opened = 1;
    return s;
}

/* Turn the loop until there were so many of an event. */
static void await(tls_stream_event event, unsigned n)
{
    while (record.seen[event] < n) {
        if (record.seen[TLS_STREAM_FAILED] || record.seen[TLS_STREAM_END])
            fail_msg("event %d came in place of %d", (int)record.last, (int)event);
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    }
}

static void await_data(size_t len)
{
    while (record.len < len)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

/* A connection: the stream, and the socket at its other end. */
static tls_stream *connect_pair(const tls_stream_options *o, int listener, int *peer)
{
    struct sockaddr_storage to = address("127.0.0.1");
    tls_stream *s = open_stream(o, &to, 1);
    await(TLS_STREAM_CONNECTED, 1);
    *peer = accept(listener, NULL, NULL);
    assert_true(*peer >= 0);
    return s;
}

static void read_all(int fd, unsigned char *data, size_t len)
{
    size_t n = 0;
    while (n < len) {
        ssize_t got = recv(fd, data + n, len - n, MSG_DONTWAIT);
        if (got > 0)
            n += (size_t)got;
        else
            event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

static void test_plain(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer, i;
    tls_stream_options o = stream_options(port);
    static unsigned char big[65536], got[sizeof big];
    tls_stream *s = connect_pair(&o, listener, &peer);
    (void)state;
    assert_int_equal(tls_stream_peer(s)->chain, MTASTS_CHAIN_UNCHECKED);
    assert_string_equal(tls_stream_peer(s)->version, "");
    assert_int_equal(send(peer, "220 hello\r\n", 11, 0), 11);
    await(TLS_STREAM_DATA, 1);
    assert_memory_equal(record.data, "220 hello\r\n", 11);
    for (i = 0; i < (int)sizeof big; i++)
        big[i] = (unsigned char)(i * 7 + i / 256);
    /* 64 KiB may wait, and not an octet more */
    assert_int_equal(tls_stream_write(s, big, 30000), 1);
    assert_int_equal(tls_stream_write(s, big + 30000, sizeof big - 30000), 1);
    assert_int_equal(tls_stream_write(s, big, 1), 0);
    assert_int_equal(tls_stream_write(s, big, 0), 1);
    read_all(peer, got, sizeof got);
    assert_memory_equal(got, big, sizeof big);
    assert_int_equal(tls_stream_write(s, "x", 1), 1);
    read_all(peer, got, 1);
    close(peer);
    await(TLS_STREAM_END, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_OK);
    assert_int_equal(tls_stream_write(s, "x", 1), 0);
    tls_stream_close(s);
    close(listener);
}

/* Reset by the peer: an event and never a signal */
static void test_plain_reset(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer;
    tls_stream_options o = stream_options(port);
    struct linger now = {1, 0};
    tls_stream *s = connect_pair(&o, listener, &peer);
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(peer);
    tls_stream_write(s, "x", 1);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_CUT);
    assert_non_null(strstr(tls_stream_why_text(s), "127.0.0.1 port "));
    tls_stream_close(s);
    signal(SIGPIPE, SIG_IGN);
    close(listener);
}

/* What is written before TLS goes out before it, and what the peer says after it is TLS's. */
static void test_turn_to_tls(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer;
    tls_stream_options o = stream_options(port);
    static unsigned char big[60000], got[sizeof big + 3];
    tls_stream *s = connect_pair(&o, listener, &peer);
    (void)state;
    memset(big, 'a', sizeof big);
    assert_int_equal(tls_stream_write(s, big, sizeof big), 1);
    tls_stream_secure(s, "mta-sts.good.test");
    assert_int_equal(tls_stream_write(s, "secret", 6), 0);
    read_all(peer, got, sizeof got);
    assert_memory_equal(got, big, sizeof big);
    assert_memory_equal(got + sizeof big, "\x16\x03", 2); /* a handshake record */
    assert_int_equal(send(peer, "250 I say more\r\n", 16, 0), 16);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_HANDSHAKE);
    assert_int_equal(tls_stream_peer(s)->chain, MTASTS_CHAIN_UNCHECKED);
    assert_int_equal(record.seen[TLS_STREAM_DATA], 0);
    tls_stream_close(s);
    close(peer);
    close(listener);
}

/* The same, when the octets have come before the handshake begins. */
static void test_injected(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer;
    tls_stream_options o = stream_options(port);
    tls_stream *s = connect_pair(&o, listener, &peer);
    (void)state;
    assert_int_equal(send(peer, "220 go\r\n", 8, 0), 8);
    await(TLS_STREAM_DATA, 1);
    assert_int_equal(send(peer, "250 injected\r\n", 14, 0), 14);
    tls_stream_secure(s, NULL);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_HANDSHAKE);
    assert_int_equal(record.len, 8);
    tls_stream_close(s);
    close(peer);
    close(listener);
}

static void test_stream_deadline(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer, secure;
    tls_stream_options o = stream_options(port);
    (void)state;
    o.deadline = 100;
    for (secure = 0; secure < 2; secure++) {
        tls_stream *s = connect_pair(&o, listener, &peer);
        if (secure)
            tls_stream_secure(s, "a.test");
        await(TLS_STREAM_FAILED, 1);
        assert_int_equal(tls_stream_why(s), TLS_STREAM_TIMEOUT);
        assert_int_equal(record.count, 2);
        tls_stream_close(s);
        close(peer);
    }
    close(listener);
}

/* A peer that sends without end what mbedTLS passes over: others still have their turn. */
static void test_flood(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer;
    tls_stream_options o = stream_options(port);
    tls_stream *s;
    pid_t child;
    (void)state;
    o.deadline = 300;
    s = connect_pair(&o, listener, &peer);
    tls_stream_secure(s, "a.test");
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const char warning[] = "\x15\x03\x03\x00\x02\x01\x5a"; /* an alert: user_canceled */
        char many[700 * (sizeof warning - 1)];
        size_t i;
        for (i = 0; i < sizeof many; i++)
            many[i] = warning[i % (sizeof warning - 1)];
        alarm(LONG_MS / 1000);
        while (send(peer, many, sizeof many, MSG_NOSIGNAL) > 0) {
        }
        _exit(0);
    }
    close(peer);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_TIMEOUT);
    tls_stream_close(s);
    kill(child, SIGKILL); /* it has our end of the connection too */
    waitpid(child, NULL, 0);
    close(listener);
}

/* A listener that lets nobody in: its queue is full. */
typedef struct blackhole {
    int listener, fillers[4];
} blackhole;

static blackhole blackhole_open(const char *text, unsigned *port)
{
    blackhole b;
    struct sockaddr_storage s = address(text);
    size_t i;
    b.listener = listen_at(text, port, 0);
    ((struct sockaddr_in *)&s)->sin_port = htons((uint16_t)*port);
    for (i = 0; i < COUNT(b.fillers); i++) {
        b.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(b.fillers[i], (struct sockaddr *)&s, sizeof(struct sockaddr_in)) != 0)
            assert_int_equal(errno, EINPROGRESS);
    }
    return b;
}

static void blackhole_close(blackhole *b)
{
    size_t i;
    for (i = 0; i < COUNT(b->fillers); i++)
        close(b->fillers[i]);
    close(b->listener);
}

static void test_addresses(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5);
    struct sockaddr_storage to[3];
    tls_stream_options o = stream_options(port);
    char text[INET6_ADDRSTRLEN];
    blackhole hole;
    tls_stream *s;
    (void)state;
    /* the first refuses */
    to[0] = address("127.0.0.77");
    to[1] = address("127.0.0.1");
    s = open_stream(&o, to, 2);
    await(TLS_STREAM_CONNECTED, 1);
    tls_stream_address_text(tls_stream_address(s), text, sizeof text);
    assert_string_equal(text, "127.0.0.1");
    tls_stream_close(s);
    /* the first does not answer: it has its own time, or its share of all */
    hole = blackhole_open("127.0.0.78", &port);
    to[0] = address("127.0.0.78");
    o.connect_deadline = 100;
    s = open_stream(&o, to, 2);
    await(TLS_STREAM_CONNECTED, 1);
    tls_stream_close(s);
    o.connect_deadline = 0;
    o.deadline = 600;
    s = open_stream(&o, to, 2);
    await(TLS_STREAM_CONNECTED, 1);
    tls_stream_close(s);
    /* none answers */
    to[1] = to[0];
    to[2] = to[0];
    o.deadline = LONG_MS;
    o.connect_deadline = 50;
    s = open_stream(&o, to, 3);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_UNREACHABLE);
    assert_non_null(strstr(tls_stream_why_text(s), "127.0.0.78 port "));
    assert_non_null(strstr(tls_stream_why_text(s), "3 addresses"));
    assert_int_equal(record.count, 1);
    tls_stream_close(s);
    blackhole_close(&hole);
    close(listener);
}

/* H7, and none at all */
static void test_no_address(void **state)
{
    static const char *const private[] = {"127.0.0.1", "10.1.2.3", "::1", "fe80::1"};
    struct sockaddr_storage to[COUNT(private) + 1];
    tls_stream_options o = stream_options(1);
    char text[INET6_ADDRSTRLEN];
    tls_stream *s;
    size_t i;
    (void)state;
    s = open_stream(&o, NULL, 0);
    assert_int_equal(tls_stream_address(s)->ss_family, 0);
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_NO_ADDRESS);
    assert_string_not_equal(tls_stream_why_text(s), "");
    tls_stream_close(s);
    for (i = 0; i < COUNT(private); i++)
        to[i] = address(private[i]);
    memset(&to[i], 0, sizeof to[i]);
    to[i].ss_family = AF_UNIX;
    o.allow_private = 0;
    s = open_stream(&o, to, COUNT(to));
    await(TLS_STREAM_FAILED, 1);
    assert_int_equal(tls_stream_why(s), TLS_STREAM_NOT_PUBLIC);
    assert_int_equal(tls_stream_address(s)->ss_family, 0);
    tls_stream_close(s);
    assert_string_equal(tls_stream_address_text(&to[COUNT(private)], text, sizeof text), "");
    assert_string_equal(tls_stream_address_text(&to[3], text, sizeof text), "fe80::1");
    assert_string_equal(tls_stream_address_text(&to[3], text, 3), "");
    tls_stream_close(NULL);
}

/* Closed before any turn, and from inside every event. */
static void test_close_inside(void **state)
{
    unsigned port = 0;
    int listener = listen_at("127.0.0.1", &port, 5), peer;
    tls_stream_options o = stream_options(port);
    struct sockaddr_storage to = address("127.0.0.1");
    (void)state;
    tls_stream_close(open_stream(&o, &to, 1));
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(record.count, 0);
    record.close_at = 1 + TLS_STREAM_CONNECTED;
    connect_pair(&o, listener, &peer);
    close(peer);
    record.close_at = 1 + TLS_STREAM_DATA;
    connect_pair(&o, listener, &peer);
    assert_int_equal(send(peer, "a", 1, 0), 1);
    await(TLS_STREAM_DATA, 1);
    close(peer);
    record.close_at = 1 + TLS_STREAM_END;
    connect_pair(&o, listener, &peer);
    close(peer);
    await(TLS_STREAM_END, 1);
    close(listener);
    record.close_at = 1 + TLS_STREAM_FAILED;
    open_stream(&o, &to, 1);
    await(TLS_STREAM_FAILED, 1);
    record.close_at = 1 + TLS_STREAM_SECURED;
    record.secure = 1;
    o.port = https_port;
    open_stream(&o, &to, 1);
    await(TLS_STREAM_SECURED, 1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(record.last, TLS_STREAM_SECURED);
    record.close_at = 0;
    record.secure = 0;
}

static void test_secure_peer(void **state)
{
    static const char request[] = "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
                                  "Host: mta-sts.good.test\r\nConnection: close\r\n\r\n";
    tls_stream_options o = stream_options(https_port);
    struct sockaddr_storage to = address("127.0.0.1");
    const tls_stream_peer_info *peer;
    tls_stream *s;
    int matches = 0;
    (void)state;
    record.secure = 1;
    s = open_stream(&o, &to, 1);
    await(TLS_STREAM_SECURED, 1);
    peer = tls_stream_peer(s);
    assert_memory_equal(peer->version, "TLSv1.", 6);
    assert_string_not_equal(peer->cipher, "");
    assert_int_equal(peer->chain, MTASTS_CHAIN_TRUSTED);
    assert_string_equal(peer->chain_text, "");
    assert_non_null(strstr(peer->issuer, "CN="));
    assert_int_equal(
        mtasts_cert_der_matches(peer->der, peer->der_len, "mta-sts.good.test", 17, &matches),
        MTASTS_OK);
    assert_int_equal(matches, 1);
    assert_int_equal(tls_stream_write(s, request, sizeof request - 1), 1);
    await(TLS_STREAM_END, 1);
    await_data(sizeof policy - 1);
    assert_memory_equal(record.data + record.len - (sizeof policy - 1), policy, sizeof policy - 1);
    /* all of it is good until the stream is closed */
    assert_int_equal(peer->der[0], 0x30);
    tls_stream_close(s);
    record.secure = 0;
}

/* ---- contexts */

static void refused(const char *ca_file, const char *crl_file, const char *why)
{
    char error[256] = "";
    assert_null(tls_context_open(ca_file, crl_file, error, sizeof error));
    if (!strstr(error, why))
        fail_msg("\"%s\" does not say \"%s\"", error, why);
    assert_null(tls_context_open(ca_file, crl_file, NULL, 0));
    assert_null(tls_context_open(ca_file, crl_file, error, 5));
    assert_int_equal(strlen(error), 4);
}

/* Two files, one after the other, the second one damaged in the middle of its base64. */
static char *damaged_bundle(const char *name, const char *path)
{
    static char text[1 << 16];
    FILE *f = fopen(path, "rb");
    size_t n;
    char *second;
    assert_non_null(f);
    n = fread(text, 1, sizeof text / 2 - 1, f);
    fclose(f);
    second = text + n;
    memcpy(second, text, n);
    memcpy(strchr(second, '\n') + 10, "!!!!!!", 6);
    return write_file(name, text, 2 * n);
}

static void test_context_errors(void **state)
{
    static const char text[] = "no certificate here\n";
    char *empty = write_file("empty", "", 0);
    char *words = write_file("words", text, sizeof text - 1);
    (void)state;
    refused(in_dir("missing"), NULL, "missing: No such file");
    refused(empty, NULL, "empty: ");
    refused(words, NULL, "words: ");
    refused(dir, NULL, "Is a directory");
    refused("/no\x1b[31m/file", NULL, "/no\\x1b[31m/file: ");
    refused(crl, NULL, "crl.pem: ");
    /* a CRL must be good in all its parts */
    refused(ca, in_dir("missing"), "missing: No such file");
    refused(ca, empty, "empty: ");
    refused(ca, words, "words: ");
    refused(ca, ca, "ca.pem: ");
    refused(ca, damaged_bundle("half.crl", crl), "half.crl: ");
    tls_context_close(NULL);
}

/* One certificate that can be read is enough; SSL_CERT_FILE stands for the system's bundle. */
static void test_context_bundles(void **state)
{
    https_mbedtls_options o = usual();
    char error[256] = "";
    (void)state;
    o.tls = tls_context_open(damaged_bundle("half.pem", ca), NULL, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(o.tls);
    assert_int_equal(fetch(&o, "good.test")->err, MTASTS_OK);
    tls_context_close(o.tls);
    setenv("SSL_CERT_FILE", ca, 1);
    o.tls = tls_context_open(NULL, NULL, error, sizeof error);
    assert_non_null(o.tls);
    assert_int_equal(fetch(&o, "good.test")->err, MTASTS_OK);
    tls_context_close(o.tls);
    setenv("SSL_CERT_FILE", in_dir("missing"), 1);
    refused(NULL, NULL, "missing: No such file");
    unsetenv("SSL_CERT_FILE");
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_##name, count_descriptors, descriptors_as_before)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        TEST(rows),
        TEST(no_crl),
        TEST(tlsrpt),
        TEST(dates),
        TEST(ipv6),
        TEST(two_addresses),
        TEST(private),
        TEST(no_policy_host),
        TEST(max_body),
        TEST(user_agent),
        TEST(cancel),
        TEST(many),
        TEST(certificate_first),
        TEST(pieces),
        TEST(cuts),
        TEST(plain),
        TEST(plain_reset),
        TEST(turn_to_tls),
        TEST(injected),
        TEST(stream_deadline),
        TEST(flood),
        TEST(addresses),
        TEST(no_address),
        TEST(close_inside),
        TEST(secure_peer),
        TEST(context_errors),
        TEST(context_bundles),
    };
    int failed;
    if (argc != 2) {
        fprintf(stderr, "usage: %s PATH-OF-MTASTS-WORLD\n", argv[0]);
        return 2;
    }
    world_program = argv[1];
    failed = cmocka_run_group_tests(tests, setup, NULL);
    clean_up();
    return failed;
}
