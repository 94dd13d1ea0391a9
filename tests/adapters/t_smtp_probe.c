/* smtp_probe against the world's SMTP server, which fails in every way, and against a server of
 * this program's own that says what a table has.
 *
 *   t_smtp_probe PATH-OF-MTASTS-WORLD */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "smtp_probe.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SHORT_MS = 400, LONG_MS = 30000, SLACK_MS = 5000 };

/* ---- the world, and what is open all the time */

static struct event_base *base;
static dns_cares *dns;
static tls_context *tls;

/* One row per fault and kind of certificate. */
typedef struct row {
    const char *rest; /* of the line "smtp mx<n>.test ..." */
    smtp_probe_stage stage;
    int reached, code;
    mtasts_starttls starttls;
    mtasts_chain chain;
    int name_matches;
    const char *why; /* is in result.why */
    int waits;       /* 1: until the deadline */
} row;

#define NOT_OFFERED MTASTS_STARTTLS_NOT_OFFERED, MTASTS_CHAIN_UNCHECKED, 0
#define FAILED      MTASTS_STARTTLS_FAILED, MTASTS_CHAIN_UNCHECKED, 0
#define DONE(chain) SMTP_PROBE_DONE, 1, 250, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_##chain

static const row rows[] = {
    {"", DONE(TRUSTED), 1, "", 0},
    {"requiretls", DONE(TRUSTED), 1, "", 0},
    {"fault=refuse", SMTP_PROBE_CONNECT, 0, 0, NOT_OFFERED, "refused", 0},
    {"fault=blackhole", SMTP_PROBE_CONNECT, 0, 0, NOT_OFFERED, "connection: ", 1},
    {"fault=silent", SMTP_PROBE_GREETING, 0, 0, NOT_OFFERED, "greeting: ", 1},
    {"fault=reset", SMTP_PROBE_GREETING, 0, 0, NOT_OFFERED, ": ", 0},
    {"fault=no-starttls", SMTP_PROBE_STARTTLS, 1, 250, NOT_OFFERED, "not offered", 0},
    {"fault=starttls-refused", SMTP_PROBE_STARTTLS, 1, 454, FAILED, "STARTTLS: 454", 0},
    {"fault=inject", SMTP_PROBE_STARTTLS, 1, 250, FAILED, "more follows", 0},
    {"fault=starttls-reset", SMTP_PROBE_STARTTLS, 1, -1, FAILED, "TLS", 0},
    {"fault=alert", SMTP_PROBE_STARTTLS, 1, 220, FAILED, "handshake: ", 0},
    {"fault=tls11", SMTP_PROBE_STARTTLS, 1, 220, FAILED, "handshake: ", 0},
    {"fault=greeting-554", SMTP_PROBE_GREETING, 0, 554, NOT_OFFERED, "greeting: 554", 0},
    {"fault=ehlo-refused", SMTP_PROBE_EHLO, 0, -1, NOT_OFFERED, "EHLO: 5", 0},
    {"fault=drip", SMTP_PROBE_GREETING, 0, 0, NOT_OFFERED, "greeting: ", 1},
    {"fault=endless-line", SMTP_PROBE_GREETING, 0, 0, NOT_OFFERED, "too long", 0},
    /* the chain, and the name: C1 dNSName only, C2 "*" only for the whole left-most label */
    {"cert=expired", DONE(EXPIRED), 1, "", 0},
    {"cert=future", DONE(EXPIRED), 1, "", 0},
    {"cert=self", DONE(UNTRUSTED), 1, "", 0},
    {"cert=other-ca", DONE(UNTRUSTED), 1, "", 0},
    {"cert=revoked", DONE(REVOKED), 1, "", 0},
    {"cert=name=elsewhere.test", DONE(TRUSTED), 0, "", 0},
    {"cert=name=*.test", DONE(TRUSTED), 0, "", 0},
    {"cert=wildcard", DONE(TRUSTED), 1, "", 0},
    {"cert=cn-only", DONE(TRUSTED), 0, "", 0},
};

static void write_world(void)
{
    FILE *f = fopen(in_dir("world"), "w");
    size_t i;
    if (!f)
        abort();
    for (i = 0; i < COUNT(rows); i++)
        fprintf(f, "smtp mx%zu.mail.test %s\n", i, rows[i].rest);
    fprintf(f, "dns none.test txt nothing\ndns servfail.test fault=servfail\n"
               "dns drop.test fault=drop\ndns own.test a 127.0.0.1\n");
    if (fclose(f))
        abort();
}

/* But for UDP: c-ares opens and closes its sockets when it likes. */
static int open_descriptors(void)
{
    int fd, n = 0;
    for (fd = 0; fd < 1024; fd++) {
        int type = 0;
        socklen_t len = sizeof type;
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
        n += type != SOCK_DGRAM;
    }
    return n;
}

/* ---- one probe */

typedef struct outcome {
    smtp_probe *probe; /* under way */
    int calls;
    smtp_probe_result result; /* its pointers are no good any more */
    char tls_version[16], name[256];
    int asked, agree; /* smtp_probe_message.ready */
    mtasts_session asked_with;
} outcome;

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_done(void *user, const smtp_probe_result *result)
{
    outcome *out = user;
    size_t i;
    assert_non_null(out->probe);
    out->probe = NULL;
    out->calls++;
    out->result = *result;
    snprintf(out->tls_version, sizeof out->tls_version, "%s", result->tls_version);
    if (result->name_count)
        snprintf(out->name, sizeof out->name, "%.*s", (int)result->names[0].len,
                 result->names[0].ptr);
    assert_non_null(result->cipher);
    assert_non_null(result->issuer);
    assert_non_null(memchr(result->why, '\0', sizeof result->why));
    for (i = 0; result->why[i]; i++)
        assert_in_range(result->why[i], ' ', '~'); /* nothing raw for a terminal */
}

static int is_ready(void *user, const mtasts_session *session)
{
    outcome *out = user;
    out->asked++;
    out->asked_with = *session;
    return out->agree;
}

static smtp_probe_options usual(void)
{
    smtp_probe_options o;
    memset(&o, 0, sizeof o);
    o.base = base;
    o.dns = dns;
    o.tls = tls;
    o.port = smtp_port;
    o.deadline = LONG_MS;
    o.allow_private = 1;
    return o;
}

static void start(outcome *out, const smtp_probe_options *o, const char *host)
{
    out->probe = smtp_probe_start(o, host, on_done, out);
    assert_non_null(out->probe);
    assert_int_equal(out->calls, 0);
}

static const smtp_probe_result *probe_with(outcome *out, const smtp_probe_options *o,
                                           const char *host)
{
    int64_t end = milliseconds() + o->deadline + SLACK_MS;
    start(out, o, host);
    while (!out->calls && milliseconds() < end && event_base_loop(base, EVLOOP_ONCE) == 0) {
    }
    assert_int_equal(out->calls, 1);
    return &out->result;
}

static const smtp_probe_result *probe(const smtp_probe_options *o, const char *host)
{
    static outcome last;
    memset(&last, 0, sizeof last);
    return probe_with(&last, o, host);
}

/* ---- the world's rows */

static void check_row(size_t i)
{
    const row *want = &rows[i];
    smtp_probe_options o = usual();
    const smtp_probe_result *r;
    char host[32];
    int fits;
    snprintf(host, sizeof host, "mx%zu.mail.test", i);
    o.deadline = want->waits ? SHORT_MS : LONG_MS;
    r = probe(&o, host);
    /* A reset may come so early that there was no connection to speak of. */
    fits = (r->stage == want->stage ||
            (r->stage == SMTP_PROBE_CONNECT && strcmp(want->rest, "fault=reset") == 0)) &&
           r->reached == want->reached && (want->code < 0 || r->code == want->code) &&
           r->session.starttls == want->starttls && r->session.chain == want->chain &&
           r->session.name_matches == want->name_matches && strstr(r->why, want->why) &&
           (*want->why || !*r->why);
    if (!fits)
        fail_msg("%s %s: stage %d, reached %d, code %d, starttls %d, chain %d, name %d, \"%s\"",
                 host, want->rest, (int)r->stage, r->reached, r->code, (int)r->session.starttls,
                 (int)r->session.chain, r->session.name_matches, r->why);
    assert_int_equal(r->delivered, 0);
    assert_int_equal(r->session.requiretls, strcmp(want->rest, "requiretls") == 0);
    if (want->waits)
        assert_in_range(r->milliseconds, SHORT_MS - 50, SHORT_MS + SLACK_MS);
    else
        assert_in_range(r->milliseconds, 0, SLACK_MS);
}

static void test_world(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        check_row(i);
}

static void test_details(void **state)
{
    smtp_probe_options o = usual();
    outcome out;
    const smtp_probe_result *r;
    (void)state;
    memset(&out, 0, sizeof out);
    r = probe_with(&out, &o, "MX0.mail.test.");
    assert_int_equal(r->stage, SMTP_PROBE_DONE);
    assert_int_equal(r->session.name_matches, 1);
    assert_memory_equal(out.tls_version, "TLSv1.", 6);
    assert_string_equal(out.name, "mx0.mail.test");
    assert_int_equal(r->name_count, 1);
    assert_int_equal(r->address.ss_family, AF_INET);
    assert_true(r->not_before < time(NULL) && time(NULL) < r->not_after);
}

/* No address, and addresses that must not be connected to (H7). */
static void test_no_address(void **state)
{
    static const struct {
        const char *host, *why;
    } hosts[] = {
        {"missing.test", "does not exist"},
        {"none.test", ""},
        {"servfail.test", ""},
        {"a..b", ""},
        {"", ""},
        {"drop.test", ""},
    };
    smtp_probe_options o = usual();
    const smtp_probe_result *r;
    size_t i;
    (void)state;
    o.deadline = SHORT_MS;
    for (i = 0; i < COUNT(hosts); i++) {
        r = probe(&o, hosts[i].host);
        assert_int_equal(r->stage, SMTP_PROBE_ADDRESS);
        assert_int_equal(r->reached, 0);
        assert_int_equal(r->address.ss_family, 0);
        assert_non_null(strstr(r->why, hosts[i].why));
        assert_non_null(strstr(r->why, "the addresses: "));
        assert_in_range(r->milliseconds, 0, SHORT_MS + SLACK_MS);
    }
    o.allow_private = 0;
    r = probe(&o, "mx0.mail.test");
    assert_int_equal(r->stage, SMTP_PROBE_CONNECT);
    assert_int_equal(r->reached, 0);
}

static void test_many_at_once(void **state)
{
    enum { MANY = 200 };
    outcome *out = calloc(MANY, sizeof *out);
    smtp_probe_options o = usual();
    int i, done = 0, before = open_descriptors();
    (void)state;
    assert_non_null(out);
    o.deadline = 10 * LONG_MS; /* all of them have one processor */
    for (i = 0; i < MANY; i++)
        start(&out[i], &o, "mx0.mail.test");
    while (done < MANY && event_base_loop(base, EVLOOP_ONCE) == 0)
        for (i = 0, done = 0; i < MANY; i++)
            done += out[i].calls;
    for (i = 0; i < MANY; i++) {
        assert_int_equal(out[i].calls, 1);
        assert_string_equal(out[i].result.why, "");
        assert_int_equal(out[i].result.stage, SMTP_PROBE_DONE);
    }
    free(out);
    assert_int_equal(open_descriptors(), before);
}

/* Cancelled after every number of turns of the loop that a probe has. */
static void test_cancel(void **state)
{
    smtp_probe_options o = usual();
    int turns, i, ended = 0, before = open_descriptors();
    (void)state;
    for (turns = 0; !ended; turns++) {
        outcome out;
        memset(&out, 0, sizeof out);
        start(&out, &o, "mx0.mail.test");
        for (i = 0; i < turns && !out.calls; i++)
            event_base_loop(base, EVLOOP_ONCE);
        ended = out.calls;
        smtp_probe_cancel(out.probe);
        event_base_loop(base, EVLOOP_NONBLOCK);
        assert_int_equal(out.calls, ended);
        assert_int_equal(open_descriptors(), before);
    }
    assert_in_range(turns, 6, 200);
}

/* ---- a server of our own: says what the script has, and writes down what it is told */

typedef struct script {
    const char *name;
    const char
        *say[10]; /* the greeting, then one for each line that it gets. NULL: it closes; "": it
                           says nothing */
    smtp_probe_stage stage;
    int reached, code;
    mtasts_starttls starttls;
    const char *why;  /* is in result.why */
    const char *told; /* all that it was told */
} script;

#define HI       "220 mx ESMTP\r\n"
#define EHLO     "EHLO localhost\r\n"
#define BYE      "221 bye\r\n"
#define NO_TLS   "250 mx\r\n"
#define GREETING SMTP_PROBE_GREETING, 0
#define NOT      MTASTS_STARTTLS_NOT_OFFERED
#define BROKEN   MTASTS_STARTTLS_FAILED
#define PLAIN    SMTP_PROBE_STARTTLS, 1, 250, NOT, "not offered", EHLO "QUIT\r\n"
#define REFUSED  SMTP_PROBE_STARTTLS, 1, 454, BROKEN, "454 no", EHLO "STARTTLS\r\nQUIT\r\n"

static const script scripts[] = {
    /* RFC 5321 4.2.1: replies of several lines */
    {"several lines", {"220-a\r\n220-\r\n220 c\r\n", "250-mx\r\n250 SIZE 1\r\n", BYE}, PLAIN},
    {"code only", {"220\r\n", "250\r\n", "221\r\n"}, PLAIN},
    {"bare LF", {"220 hi\n", "250-mx\n250 SIZE\n", "221 bye\n"}, PLAIN},
    /* RFC 3207 4: STARTTLS, in any case, as a word, not in the first line */
    {"lower case", {HI, "250-mx\r\n250 starttls\r\n", "454 no\r\n", BYE}, REFUSED},
    {"parameter", {HI, "250-mx\r\n250-StartTLS now\r\n250 X\r\n", "454 no\r\n", BYE}, REFUSED},
    {"tab", {HI, "250-mx\r\n250 STARTTLS\tx\r\n", "454 no\r\n", BYE}, REFUSED},
    {"other words",
     {HI, "250-mx\r\n250-XSTARTTLS\r\n250-STARTTLSX\r\n250 STARTTL\r\n", BYE},
     PLAIN},
    {"a parameter of another", {HI, "250-mx\r\n250 X STARTTLS\r\n", BYE}, PLAIN},
    {"first line", {HI, "250-STARTTLS\r\n250 X\r\n", BYE}, PLAIN},
    /* refused */
    {"554", {"554 go away\r\n", BYE}, GREETING, 554, NOT, "greeting: 554 go away", "QUIT\r\n"},
    {"421", {"421-busy\r\n421 now\r\n", BYE}, GREETING, 421, NOT, "421 now", "QUIT\r\n"},
    {"250 is no greeting", {"250 hi\r\n", BYE}, GREETING, 250, NOT, "250 hi", "QUIT\r\n"},
    {"EHLO",
     {HI, "502 what\r\n", BYE},
     SMTP_PROBE_EHLO,
     0,
     502,
     NOT,
     "EHLO: 502 what",
     EHLO "QUIT\r\n"},
    {"STARTTLS answered 250",
     {HI, "250-mx\r\n250 STARTTLS\r\n", "250 ok\r\n", BYE},
     SMTP_PROBE_STARTTLS,
     1,
     250,
     BROKEN,
     "STARTTLS: 250 ok",
     EHLO "STARTTLS\r\nQUIT\r\n"},
    /* what is no SMTP */
    {"two digits", {"22 x\r\n"}, GREETING, 0, NOT, "no SMTP reply: 22 x", ""},
    {"four digits", {"2200 x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"no blank", {"220x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"no code", {"hello\r\n"}, GREETING, 0, NOT, "no SMTP reply: hello", ""},
    {"sign", {"-22 x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"blank", {" 220 x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"199", {"199 x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"600", {"600 x\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"empty line", {"\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"two codes", {"220-a\r\n250 b\r\n"}, GREETING, 0, NOT, "no SMTP reply: 250 b", ""},
    {"HTTP", {"HTTP/1.1 400 Bad Request\r\n"}, GREETING, 0, NOT, "no SMTP reply", ""},
    {"control and 8-bit octets",
     {"554 \033[31m\a\377\200\\\r\n", BYE},
     GREETING,
     554,
     NOT,
     "554 \\x1b[31m\\x07\\xff\\x80\\\\",
     "QUIT\r\n"},
    /* more than was asked for; RFC 3207 6 and CVE-2011-0411 */
    {"greeting and more", {"220 x\r\n250 y\r\n"}, GREETING, 0, NOT, "more follows", ""},
    {"EHLO and more",
     {HI, "250-mx\r\n250 STARTTLS\r\n220 go\r\n"},
     SMTP_PROBE_EHLO,
     0,
     220,
     NOT,
     "more follows than was asked for: 220 go",
     EHLO},
    {"STARTTLS and more",
     {HI, "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 evil\033\r\n"},
     SMTP_PROBE_STARTTLS,
     1,
     250,
     BROKEN,
     "asked for: 250 evil\\x1b",
     EHLO "STARTTLS\r\n"},
    {"STARTTLS and one octet",
     {HI, "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n2"},
     SMTP_PROBE_STARTTLS,
     1,
     250,
     BROKEN,
     "more follows",
     EHLO "STARTTLS\r\n"},
    /* closed */
    {"no greeting", {NULL}, GREETING, 0, NOT, "greeting: ", ""},
    {"no EHLO", {HI, NULL}, SMTP_PROBE_EHLO, 0, 220, NOT, "EHLO: ", EHLO},
    {"no STARTTLS",
     {HI, "250-mx\r\n250 STARTTLS\r\n", NULL},
     SMTP_PROBE_STARTTLS,
     1,
     250,
     BROKEN,
     "STARTTLS: ",
     EHLO "STARTTLS\r\n"},
    {"no QUIT", {HI, NO_TLS, NULL}, PLAIN},
};

/* With a message, and without TLS. */
#define MAIL     EHLO "MAIL FROM:<a@b>\r\n"
#define RCPT     MAIL "RCPT TO:<c@d>\r\n"
#define TEXT     RCPT "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"
#define IN_CLEAR SMTP_PROBE_STARTTLS, 1
#define OK       "250 ok\r\n"
#define SERVER   "250-mx\r\n250 STARTTLS\r\n"

static const script deliveries[] = {
    {"delivered",
     {
         HI,
         SERVER,
         OK,
         OK,
         "354 go\r\n",
         "",
         "",
         "",
         OK,
     },
     IN_CLEAR,
     250,
     NOT,
     "",
     TEXT "QUIT\r\n"},
    {"taken, and then the server shuts down",
     {HI, SERVER, OK, OK, "354 go\r\n", "", "", "", "250 ok\r\n421 bye\r\n"},
     IN_CLEAR,
     250,
     NOT,
     "",
     TEXT},
    {"251",
     {HI, SERVER, OK, "251 moved\r\n", "354 go\r\n", "", "", "", OK},
     IN_CLEAR,
     250,
     NOT,
     "",
     TEXT "QUIT\r\n"},
    {"MAIL", {HI, SERVER, "550 no\r\n", BYE}, IN_CLEAR, 550, NOT, "MAIL: 550 no", MAIL "QUIT\r\n"},
    {"RCPT", {HI, SERVER, OK, "450 no\r\n", BYE}, IN_CLEAR, 450, NOT, "RCPT: 450", RCPT "QUIT\r\n"},
    {"DATA",
     {HI, SERVER, OK, OK, "250 no\r\n", BYE},
     IN_CLEAR,
     250,
     NOT,
     "DATA: 250",
     RCPT "DATA\r\nQUIT\r\n"},
    {"text",
     {HI, SERVER, OK, OK, "354 go\r\n", "", "", "", "552 no\r\n"},
     IN_CLEAR,
     552,
     NOT,
     "message: 552",
     TEXT "QUIT\r\n"},
    {"no answer",
     {HI, SERVER, OK, OK, "354 go\r\n", "", "", "", NULL},
     IN_CLEAR,
     354,
     NOT,
     "message: ",
     TEXT},
};

typedef struct server {
    struct evconnlistener *listener;
    unsigned port;
    const char *const *say;
    size_t turn;
    int slow; /* one octet in each turn of the loop */
    struct bufferevent *connection;
    struct evbuffer *out; /* what is still to be said, slowly */
    struct event *next;
    char told[1024];
    size_t told_len;
} server;

static server own;

static void hang_up(server *s)
{
    if (s->connection)
        bufferevent_free(s->connection);
    s->connection = NULL;
    evtimer_del(s->next);
    evbuffer_drain(s->out, evbuffer_get_length(s->out));
}

/* Direct, not by way of the bufferevent: so that each octet or reply is a segment. */
static void on_next(evutil_socket_t fd, short what, void *user)
{
    server *s = user;
    struct timeval at_once = {0, 0};
    (void)fd;
    (void)what;
    evbuffer_write_atmost(s->out, bufferevent_getfd(s->connection), s->slow ? 1 : -1);
    if (evbuffer_get_length(s->out))
        evtimer_add(s->next, &at_once);
}

static void say_next(server *s)
{
    const char *text = s->say[s->turn++];
    if (!text) {
        hang_up(s);
        return;
    }
    if (!*text)
        return;
    evbuffer_add(s->out, text, strlen(text));
    on_next(-1, 0, s);
}

static void on_told(struct bufferevent *bev, void *user)
{
    server *s = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    size_t len;
    char *line;
    while (s->connection && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_CRLF_STRICT))) {
        int n = snprintf(s->told + s->told_len, sizeof s->told - s->told_len, "%s\r\n", line);
        free(line);
        s->told_len += (size_t)n;
        assert_true(s->told_len < sizeof s->told);
        say_next(s);
    }
}

static void on_closed(struct bufferevent *bev, short what, void *user)
{
    (void)bev;
    (void)what;
    hang_up(user);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int len, void *user)
{
    server *s = user;
    int on = 1;
    (void)listener;
    (void)address;
    (void)len;
    hang_up(s);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->connection = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(s->connection, on_told, NULL, on_closed, s);
    bufferevent_enable(s->connection, EV_READ);
    say_next(s);
}

static void server_open(server *s)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    memset(s, 0, sizeof *s);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->out = evbuffer_new();
    s->next = evtimer_new(base, on_next, s);
    s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 8,
                                          (const struct sockaddr *)&at, sizeof at);
    assert_non_null(s->listener);
    getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &len);
    s->port = ntohs(at.sin_port);
}

static void server_close(server *s)
{
    hang_up(s);
    evconnlistener_free(s->listener);
    event_free(s->next);
    evbuffer_free(s->out);
}

static const smtp_probe_result *converse(const char *const *say, smtp_probe_options *o,
                                         outcome *out)
{
    own.say = say;
    own.turn = own.told_len = 0;
    own.told[0] = '\0';
    o->port = own.port;
    return probe_with(out, o, "own.test");
}

static void check_script(const script *want, smtp_probe_options *o, outcome *out)
{
    const smtp_probe_result *r = converse(want->say, o, out);
    event_base_loop(base, EVLOOP_NONBLOCK);
    if (r->stage != want->stage || r->reached != want->reached || r->code != want->code ||
        r->session.starttls != want->starttls || !strstr(r->why, want->why) ||
        (!*want->why && *r->why) || strcmp(own.told, want->told) != 0)
        fail_msg("%s%s: stage %d, reached %d, code %d, starttls %d, \"%s\", told \"%s\"",
                 want->name, own.slow ? " (slow)" : "", (int)r->stage, r->reached, r->code,
                 (int)r->session.starttls, r->why, own.told);
    assert_in_range(r->milliseconds, 0, SLACK_MS);
}

static void test_scripts(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(scripts); i++) {
        smtp_probe_options o = usual();
        outcome out;
        memset(&out, 0, sizeof out);
        check_script(&scripts[i], &o, &out);
        assert_int_equal(out.result.delivered, 0);
        /* In pieces it is the same; only what follows too early may then be the next answer. */
        if (strstr(scripts[i].name, "more") || strstr(scripts[i].name, "one octet"))
            continue;
        memset(&out, 0, sizeof out);
        own.slow = 1;
        check_script(&scripts[i], &o, &out);
        own.slow = 0;
    }
}

static smtp_probe_message message = {"a@b", "c@d", "Subject: x\r\n\r\n..dot\r\n", is_ready};

static void test_deliveries(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(deliveries); i++) {
        smtp_probe_options o = usual();
        outcome out;
        memset(&out, 0, sizeof out);
        out.agree = 1;
        o.message = &message;
        o.no_tls = 1;
        o.deadline = 10 * SHORT_MS;
        check_script(&deliveries[i], &o, &out);
        assert_int_equal(out.result.delivered, *deliveries[i].why == '\0');
        assert_int_equal(out.asked, 1);
        assert_int_equal(out.asked_with.starttls, MTASTS_STARTTLS_NOT_OFFERED);
    }
}

/* The caller decides (A1); and without TLS of the server's, mail can go in the clear (A3). */
static void test_ready(void **state)
{
    static const char *const say[] = {HI, NO_TLS, OK, OK, "354 go\r\n", "", "", "", OK, BYE};
    static const char *const refusing[] = {HI, SERVER, "454 no\r\n", BYE};
    smtp_probe_options o = usual();
    outcome out;
    (void)state;
    o.message = &message;
    for (int agree = 0; agree <= 1; agree++) {
        memset(&out, 0, sizeof out);
        out.agree = agree;
        converse(say, &o, &out);
        assert_int_equal(out.result.delivered, agree);
        assert_int_equal(out.asked, 1);
        event_base_loop(base, EVLOOP_NONBLOCK);
        assert_string_equal(own.told, agree ? TEXT "QUIT\r\n" : EHLO "QUIT\r\n");
    }
    memset(&out, 0, sizeof out);
    out.agree = 1;
    converse(refusing, &o, &out);
    assert_int_equal(out.asked, 0);
    assert_int_equal(out.result.delivered, 0);
}

/* Silence at each step, within the deadline; after QUIT it does not count. */
static void test_silence(void **state)
{
    static const char *const says[][5] = {{""},
                                          {HI, ""},
                                          {HI, "250-mx\r\n250 STARTTLS\r\n", ""},
                                          {HI, SERVER, "220 go\r\n", ""},
                                          {HI, NO_TLS, ""}};
    static const smtp_probe_stage stages[] = {SMTP_PROBE_GREETING, SMTP_PROBE_EHLO,
                                              SMTP_PROBE_STARTTLS, SMTP_PROBE_STARTTLS,
                                              SMTP_PROBE_STARTTLS};
    static const mtasts_starttls starttls[] = {NOT, NOT, BROKEN, BROKEN, NOT};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(says); i++) {
        smtp_probe_options o = usual();
        outcome out;
        memset(&out, 0, sizeof out);
        o.deadline = SHORT_MS;
        converse(says[i], &o, &out);
        assert_int_equal(out.result.stage, stages[i]);
        assert_int_equal(out.result.session.starttls, starttls[i]);
        assert_in_range(out.result.milliseconds, SHORT_MS - 50, SHORT_MS + SLACK_MS);
        assert_int_equal(out.result.reached, i >= 2);
    }
    assert_string_equal(own.told, EHLO "QUIT\r\n");
}

static char *repeated(const char *unit, size_t n, const char *end)
{
    size_t len = strlen(unit), i;
    char *text = malloc(n * len + strlen(end) + 1);
    assert_non_null(text);
    for (i = 0; i < n; i++)
        memcpy(text + i * len, unit, len);
    memcpy(text + n * len, end, strlen(end) + 1);
    return text;
}

static void check_size(const char *unit, size_t n, const char *end, const char *why)
{
    char *text = repeated(unit, n, end);
    const char *say[3] = {NULL, NO_TLS, BYE};
    smtp_probe_options o = usual();
    outcome out;
    say[0] = text;
    memset(&out, 0, sizeof out);
    converse(say, &o, &out);
    assert_non_null(strstr(out.result.why, why));
    free(text);
}

static void test_sizes(void **state)
{
    (void)state;
    check_size("220-x\r\n", 127, "220 x\r\n", "not offered"); /* it went on */
    check_size("220-x\r\n", 128, "220 x\r\n", "too many lines");
    check_size("220-x\r\n", 100000, "", "too many lines");
    check_size("220 xxxxxxxxxxxx", 127, "xxxxxxx\r\n", "not offered");
    check_size("220 xxxxxxxxxxxx", 129, "\r\n", "too long");
    check_size("220-xxxxxxxxxxxx", 60000, "", "too long");
}

/* Lines and replies are bounded, and so is all of it: each answer as large as one may be. */
static void test_all_octets(void **state)
{
    char *line = repeated("x", 2000, "\r\n");
    char *most, *greeting, *ehlo;
    const char *say[3] = {NULL, NULL, BYE};
    smtp_probe_options o = usual();
    outcome out;
    (void)state;
    memcpy(line, "220-", 4);
    most = repeated(line, 100, "");
    greeting = repeated(most, 1, "220 x\r\n");
    memcpy(line, "250-", 4);
    free(most);
    most = repeated(line, 100, "");
    ehlo = repeated(most, 1, "250 x\r\n");
    say[0] = greeting;
    say[1] = ehlo;
    memset(&out, 0, sizeof out);
    converse(say, &o, &out);
    assert_non_null(strstr(out.result.why, "EHLO: the server says too much"));
    free(line), free(most), free(greeting), free(ehlo);
}

/* ---- all of it */

static int setup(void **state)
{
    char error[256];
    dns_cares_options options;
    (void)state;
    make_dir();
    write_world();
    start_world();
    memset(&options, 0, sizeof options);
    options.servers = dns_server;
    base = event_base_new();
    dns = dns_cares_open(base, &options, error, sizeof error);
    tls = tls_context_open(ca, crl, error, sizeof error);
    server_open(&own);
    return !dns || !tls;
}

static int teardown(void **state)
{
    (void)state;
    server_close(&own);
    tls_context_close(tls);
    dns_cares_close(dns);
    if (base)
        event_base_free(base);
    stop_world();
    return 0;
}

static int descriptors_before;

static int count_descriptors(void **state)
{
    smtp_probe_options o = usual();
    (void)state;
    o.deadline = SHORT_MS;
    probe(&o, "mx0.mail.test"); /* DNS keeps a socket for each server */
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
        TEST(test_scripts),    TEST(test_deliveries),   TEST(test_ready),  TEST(test_silence),
        TEST(test_sizes),      TEST(test_all_octets),   TEST(test_world),  TEST(test_details),
        TEST(test_no_address), TEST(test_many_at_once), TEST(test_cancel),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: t_smtp_probe PATH-OF-MTASTS-WORLD\n");
        return 3;
    }
    world_program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
