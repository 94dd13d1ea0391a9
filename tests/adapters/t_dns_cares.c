/* The DNS adapter (D7, D8, D12, T1, T2, T7, M4, M5).
 * Goal: whatever a DNS server sends, or does not, `done` is called once, in time, with what the
 * header says; and nothing is left behind.
 * Method: a DNS server of the test's own in the same event loop, UDP and TCP, that answers as the
 * test's script says; the adapter's answers as text. */
#include "../unit/test.h"
#include "../../examples/adapters/dns_cares.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    MX = 15,
    TXT = 16,
    AAAA = 28,
    OPT = 41,
    HEADER = 12,
    ANSWER = 0, /* sections */
    AUTHORITY = 1,
    ADDITIONAL = 2,
    /* milliseconds until an answer counts as lost */
    PATIENCE = 60, /* where none comes */
    MIXED = 300,   /* where one comes and another does not */
    DRIP = 4999,   /* where only the deadline ends it */
    LONG = 5000    /* where all come */
};

/* ---- messages */

typedef struct packet {
    unsigned char octets[65535];
    size_t len;
    int drop; /* no answer */
} packet;

typedef struct question {
    char name[256];
    unsigned type;
    int tcp;
    const unsigned char *octets;
    size_t len; /* header and question */
    int edns;   /* the payload size; 0: none */
} question;

static void put(packet *p, const void *octets, size_t len)
{
    assert_true(len <= sizeof p->octets - p->len);
    if (len)
        memcpy(p->octets + p->len, octets, len);
    p->len += len;
}

static void put8(packet *p, unsigned n)
{
    unsigned char octet = (unsigned char)n;
    put(p, &octet, 1);
}

static void put16(packet *p, unsigned n)
{
    put8(p, n >> 8 & 255);
    put8(p, n & 255);
}

static void put32(packet *p, uint32_t n)
{
    put16(p, n >> 16);
    put16(p, n & 0xffff);
}

static void set16(packet *p, size_t at, unsigned n)
{
    p->octets[at] = (unsigned char)(n >> 8);
    p->octets[at + 1] = (unsigned char)n;
}

static unsigned get16(const unsigned char *octets)
{
    return (unsigned)octets[0] << 8 | octets[1];
}

/* Labels, without compression. */
static void put_name(packet *p, const char *name)
{
    size_t len;
    for (; *name; name += len + (name[len] == '.')) {
        len = strcspn(name, ".");
        put8(p, (unsigned)len);
        put(p, name, len);
    }
    put8(p, 0);
}

static void reply(packet *p, const question *q, unsigned rcode)
{
    put(p, q->octets, q->len);
    p->octets[2] |= 0x80;
    p->octets[3] = (unsigned char)(0x80 | rcode);
    memset(p->octets + 6, 0, 6);
}

static void count_record(packet *p, unsigned section)
{
    size_t at = 6 + 2 * (size_t)section;
    set16(p, at, get16(p->octets + at) + 1);
}

/* A record of class IN with these octets as its data. */
static void record(packet *p, unsigned section, const char *owner, unsigned type, uint32_t ttl,
                   const void *data, size_t len)
{
    count_record(p, section);
    put_name(p, owner);
    put16(p, type);
    put16(p, 1);
    put32(p, ttl);
    put16(p, (unsigned)len);
    put(p, data, len);
}

/* One whose data is put behind it, until record_end. */
static size_t record_begin(packet *p, unsigned section, const char *owner, unsigned type,
                           uint32_t ttl)
{
    record(p, section, owner, type, ttl, NULL, 0);
    return p->len;
}

static void record_end(packet *p, size_t begin)
{
    set16(p, begin - 2, (unsigned)(p->len - begin));
}

static void alias(packet *p, const char *owner, const char *target, uint32_t ttl)
{
    size_t begin = record_begin(p, ANSWER, owner, CNAME, ttl);
    put_name(p, target);
    record_end(p, begin);
}

static void mx(packet *p, const char *owner, unsigned preference, const char *host)
{
    size_t begin = record_begin(p, ANSWER, owner, MX, 300);
    put16(p, preference);
    put_name(p, host);
    record_end(p, begin);
}

static void soa(packet *p, uint32_t ttl, uint32_t minimum)
{
    size_t begin = record_begin(p, AUTHORITY, "example", SOA, ttl);
    put_name(p, "ns.example");
    put_name(p, "hostmaster.example");
    put32(p, 1);
    put32(p, 2);
    put32(p, 3);
    put32(p, 4);
    put32(p, minimum);
    record_end(p, begin);
}

/* One string. */
static void txt(packet *p, const char *owner, const char *string)
{
    size_t begin = record_begin(p, ANSWER, owner, TXT, 300);
    put8(p, (unsigned)strlen(string));
    put(p, string, strlen(string));
    record_end(p, begin);
}

static void address(packet *p, const char *owner, unsigned type, unsigned last)
{
    unsigned char octets[16] = {0x20, 1, 0xd, 0xb8};
    if (type == A)
        memcpy(octets, "\xc0\0\2", 4);
    octets[type == A ? 3 : 15] = (unsigned char)last;
    record(p, ANSWER, owner, type, type == A ? 40 : 60, octets, type == A ? 4 : 16);
}

/* ---- the server */

typedef void script(packet *p, const question *q);

static struct {
    struct event_base *base;
    evutil_socket_t udp;
    struct event *udp_event;
    struct evconnlistener *tcp;
    char address[32];
    script *script;
    unsigned udp_count, tcp_count; /* questions */
    int reset;                     /* TCP: hang up instead of answering */
    packet packet;
} server;

static int get_question(question *q, const unsigned char *octets, size_t len)
{
    size_t at = HEADER, out = 0, label;
    if (len < HEADER + 5)
        return 0;
    for (; at < len && octets[at]; at += label + 1) {
        label = octets[at];
        if (label >= len - at || out + label + 1 >= sizeof q->name)
            return 0;
        if (out)
            q->name[out++] = '.';
        memcpy(q->name + out, octets + at + 1, label);
        out += label;
    }
    q->name[out] = '\0';
    if (len - at < 5)
        return 0;
    q->type = get16(octets + at + 1);
    q->len = at + 5;
    q->octets = octets;
    /* what c-ares adds is one OPT record: the root, the type, the payload size */
    q->edns = len - q->len == 11 && octets[q->len + 2] == OPT ? (int)get16(octets + q->len + 3) : 0;
    return 1;
}

static int answer_to(const unsigned char *octets, size_t len, int tcp)
{
    question q;
    memset(&q, 0, sizeof q);
    q.tcp = tcp;
    assert_true(get_question(&q, octets, len));
    server.packet.len = 0;
    server.packet.drop = 0;
    server.script(&server.packet, &q);
    return !server.packet.drop;
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
    unsigned char octets[1024];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t len;
    (void)what;
    (void)arg;
    while ((len = recvfrom(fd, octets, sizeof octets, 0, (struct sockaddr *)&from, &from_len)) >
           0) {
        server.udp_count++;
        if (answer_to(octets, (size_t)len, 0))
            (void)sendto(fd, server.packet.octets, server.packet.len, 0, (struct sockaddr *)&from,
                         from_len);
    }
}

static void on_tcp_event(struct bufferevent *b, short what, void *arg)
{
    (void)what;
    (void)arg;
    bufferevent_free(b);
}

static void on_tcp_read(struct bufferevent *b, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(b);
    unsigned char octets[1024], prefix[2];
    size_t len;
    (void)arg;
    while (evbuffer_copyout(in, prefix, 2) == 2 &&
           (len = get16(prefix)) + 2 <= evbuffer_get_length(in)) {
        server.tcp_count++;
        if (server.reset) {
            bufferevent_free(b);
            return;
        }
        assert_true(len <= sizeof octets);
        evbuffer_drain(in, 2);
        evbuffer_remove(in, octets, len);
        if (!answer_to(octets, len, 1))
            continue;
        prefix[0] = (unsigned char)(server.packet.len >> 8);
        prefix[1] = (unsigned char)server.packet.len;
        bufferevent_write(b, prefix, 2);
        bufferevent_write(b, server.packet.octets, server.packet.len);
    }
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len,
                      void *arg)
{
    struct bufferevent *b = bufferevent_socket_new(server.base, fd, BEV_OPT_CLOSE_ON_FREE);
    (void)l;
    (void)from;
    (void)len;
    (void)arg;
    assert_non_null(b);
    bufferevent_setcb(b, on_tcp_read, NULL, on_tcp_event, NULL);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

/* The same port for UDP and TCP. 0: it is not free for both. */
static int bind_both(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int size = 1 << 20;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.udp = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(server.udp, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(server.udp, (struct sockaddr *)&a, &len), 0);
    server.tcp = evconnlistener_new_bind(server.base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 5,
                                         (struct sockaddr *)&a, sizeof a);
    if (!server.tcp) {
        close(server.udp);
        return 0;
    }
    (void)setsockopt(server.udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    snprintf(server.address, sizeof server.address, "127.0.0.1:%u", ntohs(a.sin_port));
    return 1;
}

static int start(void **state)
{
    int tries = 20;
    (void)state;
    memset(&server, 0, sizeof server);
    server.base = event_base_new();
    assert_non_null(server.base);
    while (!bind_both())
        assert_true(tries-- > 0);
    evutil_make_socket_nonblocking(server.udp);
    server.udp_event = event_new(server.base, server.udp, EV_READ | EV_PERSIST, on_udp, NULL);
    event_add(server.udp_event, NULL);
    return 0;
}

/* Connections that a test leaves open end here. */
static int stop(void **state)
{
    int i;
    (void)state;
    for (i = 0; i < 10; i++)
        event_base_loop(server.base, EVLOOP_NONBLOCK);
    evconnlistener_free(server.tcp);
    event_free(server.udp_event);
    close(server.udp);
    event_base_free(server.base);
    return 0;
}

/* ---- asking */

typedef struct result {
    int done; /* how often */
    dns_cares_status status;
    uint32_t ttl;
    size_t count, strings, octets; /* TXT: of all records */
    char text[4096];               /* "OK ttl=300: ..." */
} result;

static void say(result *r, const char *octets, size_t len)
{
    size_t at = strlen(r->text);
    mtasts_escape(r->text + at, sizeof r->text - at, octets, len);
}

static void say_z(result *r, const char *text)
{
    say(r, text, strlen(text));
}

static void say_txt(result *r, const mtasts_txt *t)
{
    size_t i;
    say_z(r, " [");
    for (i = 0; i < t->count; i++) {
        say_z(r, i ? "," : "");
        say(r, t->strings[i].ptr, t->strings[i].len);
        r->octets += t->strings[i].len;
    }
    r->strings += t->count;
    say_z(r, "]");
}

static void say_address(result *r, const struct sockaddr_storage *s)
{
    char text[64] = "";
    int err = s->ss_family == AF_INET6
                  ? !inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)s)->sin6_addr,
                               text, sizeof text)
                  : !inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)s)->sin_addr,
                               text, sizeof text);
    assert_false(err);
    assert_int_equal(((const struct sockaddr_in *)(const void *)s)->sin_port, 0);
    say_z(r, " ");
    say_z(r, text);
}

static const char *const status_names[] = {"OK",       "NO_NAME",   "NO_DATA",  "BAD_NAME",
                                           "SERVFAIL", "REFUSED",   "TIMEOUT",  "NO_SERVER",
                                           "ALIASES",  "MALFORMED", "NO_MEMORY"};

static void note(void *user, const dns_cares_answer *a)
{
    result *r = user;
    char head[64];
    size_t i;
    assert_int_equal(r->done++, 0);
    assert_true((size_t)a->status < COUNT(status_names));
    assert_true(a->status == DNS_CARES_OK ? a->count > 0 : a->count == 0);
    assert_non_null(a->name);
    r->status = a->status;
    r->ttl = a->ttl;
    r->count = a->count;
    snprintf(head, sizeof head, "%s ttl=%u", status_names[a->status], (unsigned)a->ttl);
    say_z(r, head);
    if (a->aliases) {
        snprintf(head, sizeof head, " aliases=%u to ", a->aliases);
        say_z(r, head);
        say_z(r, a->name);
    }
    say_z(r, a->count ? ":" : "");
    for (i = 0; i < a->count; i++) {
        if (a->txt)
            say_txt(r, &a->txt[i]);
        if (a->addresses)
            say_address(r, &a->addresses[i]);
        if (a->mx) {
            snprintf(head, sizeof head, " %u ", a->mx[i].preference);
            say_z(r, head);
            say_z(r, a->mx[i].host);
        }
    }
}

static dns_cares *open_with(const char *servers, unsigned max_aliases, unsigned timeout)
{
    dns_cares_options o;
    char error[128] = "";
    dns_cares *dns;
    memset(&o, 0, sizeof o);
    o.servers = servers;
    o.max_aliases = max_aliases;
    o.timeout = timeout;
    o.tries = timeout == PATIENCE || timeout == MIXED ? 1 : 0;
    o.deadline = timeout == DRIP ? PATIENCE : 0;
    dns = dns_cares_open(server.base, &o, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(dns);
    return dns;
}

static dns_cares *open_dns(void)
{
    return open_with(server.address, 0, LONG);
}

static void wait_for(const result *r)
{
    while (!r->done)
        assert_int_equal(event_base_loop(server.base, EVLOOP_ONCE), 0);
}

/* The last question's answer. */
static result last;

static const char *ask_of(dns_cares *dns, dns_cares_type type, const char *name)
{
    memset(&last, 0, sizeof last);
    assert_non_null(dns_cares_ask(dns, type, name, note, &last));
    assert_int_equal(last.done, 0);
    wait_for(&last);
    return last.text;
}

/* With a channel of its own; a server that is silent is waited for only as long as need be. */
static const char *ask_within(unsigned timeout, script *s, dns_cares_type type, const char *name)
{
    dns_cares *dns = open_with(server.address, 0, timeout);
    server.script = s;
    ask_of(dns, type, name);
    dns_cares_close(dns);
    return last.text;
}

static const char *ask(script *s, dns_cares_type type, const char *name)
{
    return ask_within(LONG, s, type, name);
}

/* ---- each status */

/* "rcode17.example": that rcode, the upper bits of it in an OPT record. */
static void script_rcode(packet *p, const question *q)
{
    unsigned rcode = (unsigned)strtoul(q->name + 5, NULL, 10);
    reply(p, q, rcode & 15);
    if (q->edns)
        record(p, ADDITIONAL, "", OPT, (uint32_t)(rcode >> 4) << 24, NULL, 0);
}

static void script_silent(packet *p, const question *q)
{
    (void)q;
    p->drop = 1;
}

/* D7: a failure is not an absence. */
static void test_rcodes(void **state)
{
    static const char *const rows[][2] = {
        {"rcode0.example", "NO_DATA ttl=0"},   {"rcode1.example", "REFUSED ttl=0"},
        {"rcode2.example", "SERVFAIL ttl=0"},  {"rcode3.example", "NO_NAME ttl=0"},
        {"rcode4.example", "REFUSED ttl=0"},   {"rcode5.example", "REFUSED ttl=0"},
        {"rcode6.example", "REFUSED ttl=0"},   {"rcode9.example", "REFUSED ttl=0"},
        {"rcode15.example", "REFUSED ttl=0"},  {"rcode16.example", "REFUSED ttl=0"},
        {"rcode4080.example", "REFUSED ttl=0"}};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_string_equal(ask(script_rcode, DNS_CARES_TXT, rows[i][0]), rows[i][1]);
        assert_string_equal(ask(script_rcode, DNS_CARES_MX, rows[i][0]), rows[i][1]);
        assert_string_equal(ask(script_rcode, DNS_CARES_ADDRESSES, rows[i][0]), rows[i][1]);
    }
}

static void script_plain(packet *p, const question *q)
{
    reply(p, q, 0);
    if (q->type == TXT)
        txt(p, q->name, "v=STSv1; id=1;");
    else if (q->type == MX)
        mx(p, q->name, 10, "mx1.example");
    else
        address(p, q->name, q->type, 1);
}

/* A server from before EDNS: RFC 6891 7. */
static void script_no_edns(packet *p, const question *q)
{
    if (q->edns)
        reply(p, q, 1);
    else
        script_plain(p, q);
}

static void test_old_server(void **state)
{
    (void)state;
    assert_string_equal(ask(script_no_edns, DNS_CARES_MX, "a.example"),
                        "OK ttl=300: 10 mx1.example");
}

static void script_checks_question(packet *p, const question *q)
{
    assert_int_equal(q->edns, 1232);
    assert_int_equal(q->octets[2], 1); /* recursion desired, nothing else */
    assert_int_equal(get16(q->octets + q->len - 2), 1);
    script_plain(p, q);
}

static void test_question(void **state)
{
    (void)state;
    assert_string_equal(ask(script_checks_question, DNS_CARES_TXT, "_mta-sts.example."),
                        "OK ttl=300: [v=STSv1; id=1;]");
    assert_int_equal(server.udp_count, 1);
    assert_string_equal(ask(script_checks_question, DNS_CARES_ADDRESSES, "a.example"),
                        "OK ttl=40: 2001:db8::1 192.0.2.1");
    assert_int_equal(server.udp_count, 3);
}

static void test_timeout(void **state)
{
    static const dns_cares_type types[] = {DNS_CARES_TXT, DNS_CARES_MX, DNS_CARES_ADDRESSES};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(types); i++)
        assert_string_equal(ask_within(PATIENCE, script_silent, types[i], "a.example"),
                            "TIMEOUT ttl=0");
}

/* The first try is lost, the second is not. */
static void script_second(packet *p, const question *q)
{
    script_plain(p, q);
    p->drop = server.udp_count == 1;
}

static void test_tries(void **state)
{
    (void)state;
    assert_string_equal(ask_within(100, script_second, DNS_CARES_MX, "a.example"),
                        "OK ttl=300: 10 mx1.example");
    assert_in_range(server.udp_count, 2, 3);
}

/* A port that was free just now. */
static const char *closed_port(void)
{
    static char servers[32];
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&a, &len), 0);
    close(s);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(a.sin_port));
    return servers;
}

static void test_no_server(void **state)
{
    dns_cares *dns = open_with(closed_port(), 0, LONG);
    (void)state;
    assert_string_equal(ask_of(dns, DNS_CARES_TXT, "a.example"), "NO_SERVER ttl=0");
    dns_cares_close(dns);
    dns = open_with(closed_port(), 0, PATIENCE); /* only one of the two learns it */
    assert_string_equal(ask_of(dns, DNS_CARES_ADDRESSES, "a.example"), "NO_SERVER ttl=0");
    dns_cares_close(dns);
}

static void test_second_server(void **state)
{
    char servers[80];
    dns_cares *dns;
    (void)state;
    snprintf(servers, sizeof servers, "%s,%s", closed_port(), server.address);
    dns = open_with(servers, 0, LONG);
    server.script = script_plain;
    assert_string_equal(ask_of(dns, DNS_CARES_MX, "a.example"), "OK ttl=300: 10 mx1.example");
    dns_cares_close(dns);
}

static void test_options(void **state)
{
    static const char *const bad[] = {"", "resolver.example", "127.0.0.1:1,x", "127.0.0.256"};
    dns_cares_options o;
    char error[128];
    dns_cares *dns;
    size_t i;
    (void)state;
    memset(&o, 0, sizeof o);
    for (i = 0; i < COUNT(bad); i++) {
        *error = '\0';
        o.servers = bad[i];
        assert_null(dns_cares_open(server.base, &o, error, sizeof error));
        assert_in_range(strlen(error), 10, sizeof error - 1);
        assert_null(dns_cares_open(server.base, &o, error, 5));
        assert_int_equal(strlen(error), 4);
    }
    dns = dns_cares_open(server.base, NULL, error, sizeof error);
    assert_non_null(dns);
    dns_cares_close(dns);
    dns_cares_close(NULL);
}

#define L63  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253 L63 "." L63 "." L63 ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_names(void **state)
{
    static const char *const bad[] = {"",    ".",       "..",       ".a",        "a..b",
                                      "a..", L63 "a.b", N253 "b",   N253 ".b",   "a b.c",
                                      "a\n", "a\\.b",   "a\\065.b", "\xc3\xa9.b"};
    static const char *const good[] = {"a", "a.", L63 ".b", N253, N253 ".", "_x._y.z", "A/*.b"};
    char huge[5000];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(bad); i++)
        assert_string_equal(ask(script_plain, DNS_CARES_TXT, bad[i]), "BAD_NAME ttl=0");
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_string_equal(ask(script_plain, DNS_CARES_ADDRESSES, huge), "BAD_NAME ttl=0");
    /* RFC 7686 */
    assert_string_equal(ask(script_plain, DNS_CARES_TXT, "x.onion"), "NO_NAME ttl=0");
    assert_int_equal(server.udp_count, 0);
    for (i = 0; i < COUNT(good); i++)
        assert_string_equal(ask(script_plain, DNS_CARES_MX, good[i]), "OK ttl=300: 10 mx1.example");
}

/* D7, D12: what the header's client is told. */
static void test_meaning(void **state)
{
    static const mtasts_err errors[] = {MTASTS_OK,
                                        MTASTS_ERR_NO_RECORD,
                                        MTASTS_ERR_NO_RECORD,
                                        MTASTS_ERR_NO_RECORD,
                                        MTASTS_ERR_DNS,
                                        MTASTS_ERR_DNS,
                                        MTASTS_ERR_DNS,
                                        MTASTS_ERR_DNS,
                                        MTASTS_ERR_DNS_CNAME,
                                        MTASTS_ERR_DNS,
                                        MTASTS_ERR_DNS};
    size_t i, j;
    (void)state;
    for (i = 0; i < COUNT(errors); i++) {
        assert_int_equal(dns_cares_err((dns_cares_status)i), errors[i]);
        for (j = 0; j < i; j++)
            assert_string_not_equal(dns_cares_text((dns_cares_status)i),
                                    dns_cares_text((dns_cares_status)j));
    }
    assert_int_equal(dns_cares_err((dns_cares_status)99), MTASTS_ERR_DNS);
    assert_non_null(dns_cares_text((dns_cares_status)99));
}

/* ---- TXT */

static void strings(packet *p, const char *owner, const char *octets, size_t len)
{
    record(p, ANSWER, owner, TXT, 300, octets, len);
}

#define OCTETS(literal) (literal), sizeof(literal) - 1

static void script_txt(packet *p, const question *q)
{
    char long_string[256];
    reply(p, q, 0);
    memset(long_string, 'x', sizeof long_string);
    long_string[0] = '\xff';
    switch (q->name[0]) {
    case 'a': /* several strings */
        strings(p, q->name, OCTETS("\7v=STSv1\3; i\3d=1"));
        break;
    case 'b': /* empty ones */
        strings(p, q->name, OCTETS("\0\1b\0\0"));
        break;
    case 'c': /* several records, in the order of the answer */
        txt(p, q->name, "one");
        txt(p, q->name, "");
        txt(p, q->name, "three");
        break;
    case 'd': /* octets of all kinds */
        strings(p, q->name, OCTETS("\6a\0b\xff\"\\"));
        break;
    case 'e':
        strings(p, q->name, long_string, sizeof long_string);
        strings(p, q->name, long_string, sizeof long_string);
        break;
    case 'f': /* no string at all */
        strings(p, q->name, NULL, 0);
        break;
    case 'g': /* a string longer than the record, the second record good */
        strings(p, q->name, OCTETS("\4abc"));
        txt(p, q->name, "good");
        break;
    case 'h':
        strings(p, q->name, OCTETS("\3abc\xff"));
        break;
    default:
        break;
    }
}

/* T1, T2, T7: strings and records as sent, joined by nobody yet. */
static void test_txt(void **state)
{
    (void)state;
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "a.example"),
                        "OK ttl=300: [v=STSv1,; i,d=1]");
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "b.example"), "OK ttl=300: [,b,,]");
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "c.example"),
                        "OK ttl=300: [one] [] [three]");
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "d.example"),
                        "OK ttl=300: [a\\x00b\\xff\"\\\\]");
    ask(script_txt, DNS_CARES_TXT, "e.example");
    assert_int_equal(last.status, DNS_CARES_OK);
    assert_int_equal(last.count, 2);
    assert_int_equal(last.strings, 2);
    assert_int_equal(last.octets, 510);
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "f.example"), "MALFORMED ttl=0");
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "g.example"), "MALFORMED ttl=0");
    assert_string_equal(ask(script_txt, DNS_CARES_TXT, "h.example"), "MALFORMED ttl=0");
}

/* ---- TCP */

static void truncate_reply(packet *p, const question *q)
{
    reply(p, q, 0);
    p->octets[2] |= 2;
}

static void script_large(packet *p, const question *q)
{
    size_t begin, i;
    char string[256];
    if (!q->tcp) {
        truncate_reply(p, q);
        return;
    }
    reply(p, q, 0);
    memset(string, 'y', sizeof string);
    string[0] = '\xff';
    begin = record_begin(p, ANSWER, q->name, TXT, 300);
    if (*q->name == 'e') /* the most strings that there can be */
        for (i = 0; i < 60000; i++)
            put8(p, 0);
    else
        for (i = 0; i < 240; i++)
            put(p, string, sizeof string);
    record_end(p, begin);
}

static void script_many(packet *p, const question *q)
{
    unsigned i;
    if (!q->tcp) {
        truncate_reply(p, q);
        return;
    }
    reply(p, q, 0);
    for (i = 0; i < 1000; i++) {
        if (q->type == TXT)
            txt(p, q->name, "a");
        else if (q->type == MX)
            mx(p, q->name, 1000 - i, "m");
        else
            address(p, q->name, q->type, i & 255);
    }
}

static void test_tcp(void **state)
{
    (void)state;
    ask(script_large, DNS_CARES_TXT, "large.example");
    assert_int_equal(last.status, DNS_CARES_OK);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.strings, 240);
    assert_int_equal(last.octets, 240 * 255);
    assert_int_equal(server.udp_count, 1);
    assert_int_equal(server.tcp_count, 1);
    ask(script_large, DNS_CARES_TXT, "empty.example");
    assert_int_equal(last.strings, 60000);
    assert_int_equal(last.octets, 0);
}

/* Of what is absurd only the first are kept. */
static void test_many_records(void **state)
{
    (void)state;
    ask(script_many, DNS_CARES_TXT, "a.example");
    assert_int_equal(last.count, 256);
    ask(script_many, DNS_CARES_MX, "a.example");
    assert_int_equal(last.count, 256);
    assert_memory_equal(last.text, "OK ttl=300: 745 m 746 m", 23);
    ask(script_many, DNS_CARES_ADDRESSES, "a.example");
    assert_int_equal(last.count, 512);
}

static void script_truncated(packet *p, const question *q)
{
    truncate_reply(p, q);
    txt(p, q->name, "part of it");
}

static void test_tcp_failures(void **state)
{
    (void)state;
    assert_string_equal(ask(script_truncated, DNS_CARES_TXT, "a.example"), "MALFORMED ttl=0");
    server.reset = 1;
    assert_string_equal(ask(script_large, DNS_CARES_TXT, "a.example"), "NO_SERVER ttl=0");
    assert_true(server.tcp_count > 1);
}

/* ---- aliases (D12; RFC 8461 8.2) */

/* "in5.example": 5 aliases in one answer; "by5.example": one an answer. Each leads to the same name
 * with one less. */
static void script_chain(packet *p, const question *q)
{
    char owner[256], target[256];
    unsigned n = (unsigned)strtoul(q->name + 2, NULL, 10);
    reply(p, q, 0);
    snprintf(owner, sizeof owner, "%s", q->name);
    while (n > 0) {
        snprintf(target, sizeof target, "%.2s%u.example", q->name, n - 1);
        alias(p, owner, target, 100 + n);
        memcpy(owner, target, sizeof owner);
        n--;
        if (*q->name == 'b')
            return;
    }
    if (q->type == TXT)
        txt(p, owner, "end");
    else
        address(p, owner, q->type, 9);
}

static void test_chains(void **state)
{
    static const char *const rows[][2] = {
        {"in0.example", "OK ttl=300: [end]"},
        {"in1.example", "OK ttl=101 aliases=1 to in0.example: [end]"},
        {"in5.example", "OK ttl=101 aliases=5 to in0.example: [end]"},
        {"in6.example", "ALIASES ttl=0 aliases=5 to in1.example"},
        {"in90.example", "ALIASES ttl=0 aliases=5 to in85.example"},
        {"by1.example", "OK ttl=101 aliases=1 to by0.example: [end]"},
        {"by5.example", "OK ttl=101 aliases=5 to by0.example: [end]"},
        {"by6.example", "ALIASES ttl=0 aliases=5 to by1.example"},
        {"by90.example", "ALIASES ttl=0 aliases=5 to by85.example"}};
    size_t i;
    dns_cares *dns;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_string_equal(ask(script_chain, DNS_CARES_TXT, rows[i][0]), rows[i][1]);
    assert_string_equal(ask(script_chain, DNS_CARES_ADDRESSES, "by2.example"),
                        "OK ttl=40 aliases=2 to by0.example: 2001:db8::9 192.0.2.9");
    dns = open_with(server.address, 2, LONG);
    assert_string_equal(ask_of(dns, DNS_CARES_TXT, "by2.example"),
                        "OK ttl=101 aliases=2 to by0.example: [end]");
    assert_string_equal(ask_of(dns, DNS_CARES_TXT, "in3.example"),
                        "ALIASES ttl=0 aliases=2 to in1.example");
    dns_cares_close(dns);
    dns = open_with(server.address, 4000000000u, LONG);
    assert_string_equal(ask_of(dns, DNS_CARES_TXT, "by90.example"),
                        "ALIASES ttl=0 aliases=16 to by74.example");
    dns_cares_close(dns);
}

static void script_alias(packet *p, const question *q)
{
    size_t begin;
    int nxdomain = strncmp(q->name, "nx", 2) == 0 || strncmp(q->name, "dead", 4) == 0;
    reply(p, q, nxdomain ? 3 : 0);
    if (strcmp(q->name, "self.example") == 0) {
        alias(p, q->name, q->name, 300);
    } else if (strcmp(q->name, "circle.example") == 0) {
        alias(p, q->name, "b.example", 300);
        alias(p, "b.example", "CIRCLE.example", 300);
    } else if (strcmp(q->name, "ping.example") == 0) {
        alias(p, q->name, "pong.example", 300);
    } else if (strcmp(q->name, "pong.example") == 0) {
        alias(p, q->name, "ping.example", 300);
    } else if (strcmp(q->name, "stray.example") == 0) { /* data, but not where the alias leads */
        alias(p, q->name, "target.example", 300);
        txt(p, q->name, "at the alias");
        txt(p, "other.example", "elsewhere");
    } else if (strcmp(q->name, "nx.example") == 0) { /* told with the alias */
        alias(p, q->name, "gone.example", 300);
        soa(p, 900, 30);
    } else if (strcmp(q->name, "toward.example") == 0) { /* told by the second answer */
        alias(p, q->name, "dead.example", 300);
    } else if (strcmp(q->name, "dead.example") == 0) {
        soa(p, 20, 900);
    } else if (strcmp(q->name, "nodata.example") == 0) { /* no need to ask again */
        alias(p, q->name, "has-a.example", 7);
        soa(p, 20, 900);
    } else if (strcmp(q->name, "fails.example") == 0) {
        alias(p, q->name, "servfail.example", 300);
    } else if (strcmp(q->name, "servfail.example") == 0) {
        p->octets[3] |= 2;
    } else if (strcmp(q->name, "odd.example") == 0) {
        begin = record_begin(p, ANSWER, q->name, CNAME, 300);
        put(p, OCTETS("\3a b\7example\0"));
        record_end(p, begin);
    } else if (strcmp(q->name, "root.example") == 0) {
        alias(p, q->name, "", 300);
    } else if (strcmp(q->name, "tail.example") == 0) { /* octets behind the name */
        record(p, ANSWER, q->name, CNAME, 300, OCTETS("\1a\0\0"));
    } else if (strcmp(q->name, "none.example") == 0) {
        record(p, ANSWER, q->name, CNAME, 300, NULL, 0);
        txt(p, q->name, "text");
    }
}

static void test_aliases(void **state)
{
    static const char *const rows[][2] = {
        {"self.example", "ALIASES ttl=0 aliases=5 to self.example"},
        {"circle.example", "ALIASES ttl=0 aliases=5 to b.example"},
        {"ping.example", "ALIASES ttl=0 aliases=5 to pong.example"},
        {"stray.example", "NO_DATA ttl=0 aliases=1 to target.example"},
        {"nx.example", "NO_NAME ttl=30 aliases=1 to gone.example"},
        {"toward.example", "NO_NAME ttl=20 aliases=1 to dead.example"},
        {"nodata.example", "NO_DATA ttl=7 aliases=1 to has-a.example"},
        {"fails.example", "SERVFAIL ttl=0 aliases=1 to servfail.example"},
        {"odd.example", "BAD_NAME ttl=0 aliases=1 to a\\\\032b.example"},
        {"root.example", "BAD_NAME ttl=0 aliases=1 to "},
        {"tail.example", "MALFORMED ttl=0"},
        {"none.example", "MALFORMED ttl=0"}};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_string_equal(ask(script_alias, DNS_CARES_TXT, rows[i][0]), rows[i][1]);
    server.udp_count = 0;
    ask(script_alias, DNS_CARES_TXT, "nodata.example");
    assert_int_equal(server.udp_count, 1);
}

/* What is not about the question is no answer to it. */
static void script_strays(packet *p, const question *q)
{
    size_t begin, class_at;
    reply(p, q, 0);
    txt(p, "other.example", "elsewhere");
    txt(p, "x.a.example", "below");
    mx(p, q->name, 10, "another.type");
    alias(p, "other.example", q->name, 300);
    begin = record_begin(p, ANSWER, q->name, TXT, 300); /* another class */
    class_at = begin - 8;
    put(p, OCTETS("\5chaos"));
    record_end(p, begin);
    set16(p, class_at, 3);
    record(p, AUTHORITY, q->name, TXT, 300, OCTETS("\1a"));
    record(p, ADDITIONAL, q->name, TXT, 300, OCTETS("\1a"));
}

/* Only the letters' case differs, and the owner is a pointer. */
static void script_case(packet *p, const question *q)
{
    reply(p, q, 0);
    txt(p, "A.EXAMPLE", "upper");
    count_record(p, ANSWER);
    put(p, OCTETS("\xc0\x0c\0\x10\0\1\0\0\0\5\0\3\2hi"));
}

static void test_owners(void **state)
{
    (void)state;
    assert_string_equal(ask(script_strays, DNS_CARES_TXT, "a.example"), "NO_DATA ttl=0");
    assert_string_equal(ask(script_case, DNS_CARES_TXT, "a.example"), "OK ttl=5: [upper] [hi]");
}

/* ---- MX */

static void script_mx(packet *p, const question *q)
{
    size_t begin;
    reply(p, q, 0);
    switch (*q->name) {
    case 'n':
        mx(p, q->name, 0, "");
        break;
    case 's':
        mx(p, q->name, 20, "c");
        mx(p, q->name, 65535, "e");
        mx(p, q->name, 0, "a");
        mx(p, q->name, 30, "d");
        mx(p, q->name, 10, "b");
        break;
    case 'e':
        mx(p, q->name, 10, "a");
        mx(p, q->name, 10, "b");
        mx(p, q->name, 5, "z");
        mx(p, q->name, 10, "c");
        break;
    case 'o': /* octets that no host name has; a dot in a label is not one between labels */
        begin = record_begin(p, ANSWER, q->name, MX, 300);
        put(p, OCTETS("\0\1\5a.b\0\\\3\xffy \7example\0"));
        record_end(p, begin);
        break;
    case 'a': /* M4: the record's name, though it is an alias */
        mx(p, q->name, 10, "Mx1.example");
        alias(p, "mx1.example", "host.example", 300);
        break;
    case '0':
        record(p, ANSWER, q->name, MX, 300, NULL, 0);
        break;
    case '1':
        record(p, ANSWER, q->name, MX, 300, OCTETS("\0"));
        break;
    case '2':
        record(p, ANSWER, q->name, MX, 300, OCTETS("\0\1"));
        break;
    case '3':
        record(p, ANSWER, q->name, MX, 300, OCTETS("\0\1\1a"));
        break;
    default:
        record(p, ANSWER, q->name, MX, 300, OCTETS("\0\1\1a\0b"));
    }
}

static void test_mx(void **state)
{
    int first[3] = {0, 0, 0}, i;
    char name[2] = "0";
    (void)state;
    assert_string_equal(ask(script_mx, DNS_CARES_MX, "null.example"), "OK ttl=300: 0 ");
    assert_string_equal(ask(script_mx, DNS_CARES_MX, "sorted.example"),
                        "OK ttl=300: 0 a 10 b 20 c 30 d 65535 e");
    assert_string_equal(ask(script_mx, DNS_CARES_MX, "odd.example"),
                        "OK ttl=300: 1 a\\\\046b\\\\000\\\\092.\\\\255y\\\\032.example");
    assert_string_equal(ask(script_mx, DNS_CARES_MX, "alias.example"),
                        "OK ttl=300: 10 Mx1.example");
    for (; *name <= '4'; ++*name)
        assert_string_equal(ask(script_mx, DNS_CARES_MX, name), "MALFORMED ttl=0");
    for (i = 0; i < 200; i++) { /* RFC 5321 5.1; one of the three is never first: 1 in 10^35 */
        ask(script_mx, DNS_CARES_MX, "equal.example");
        assert_int_equal(last.count, 4);
        assert_memory_equal(last.text, "OK ttl=300: 5 z 10 ", 19);
        assert_in_range(last.text[19], 'a', 'c');
        first[last.text[19] - 'a']++;
    }
    assert_true(first[0] > 20 && first[1] > 20 && first[2] > 20);
}

/* ---- addresses */

static int address_word(packet *p, const question *q, const char *word)
{
    reply(p, q, 0);
    if (strncmp(word, "ok", 2) == 0) {
        address(p, q->name, q->type, 2);
        address(p, q->name, q->type, 1);
    } else if (strncmp(word, "fail", 4) == 0) {
        p->octets[3] |= 2;
    } else if (strncmp(word, "nx", 2) == 0) {
        p->octets[3] |= 3;
        soa(p, 50, 50);
    } else if (strncmp(word, "none", 4) == 0) {
        soa(p, q->type == A ? 60 : 70, 3600);
    } else if (strncmp(word, "bad", 3) == 0) {
        record(p, ANSWER, q->name, q->type, 300, OCTETS("\1\2\3\4\5"));
    } else if (strncmp(word, "loop", 4) == 0) {
        alias(p, q->name, q->name, 300);
    } else {
        p->drop = 1;
    }
    return 1;
}

/* "ok-nx.example": the answer for A, the answer for AAAA. */
static void script_addresses(packet *p, const question *q)
{
    address_word(p, q, q->type == A ? q->name : strchr(q->name, '-') + 1);
}

static void test_addresses(void **state)
{
    static const char *const rows[][2] = {
        {"ok-ok.example", "OK ttl=40: 2001:db8::2 2001:db8::1 192.0.2.2 192.0.2.1"},
        {"ok-none.example", "OK ttl=40: 192.0.2.2 192.0.2.1"},
        {"none-ok.example", "OK ttl=60: 2001:db8::2 2001:db8::1"},
        {"ok-fail.example", "OK ttl=40: 192.0.2.2 192.0.2.1"},
        {"ok-drop.example", "OK ttl=40: 192.0.2.2 192.0.2.1"},
        {"drop-ok.example", "OK ttl=60: 2001:db8::2 2001:db8::1"},
        {"nx-ok.example", "OK ttl=60: 2001:db8::2 2001:db8::1"},
        {"bad-ok.example", "OK ttl=60: 2001:db8::2 2001:db8::1"},
        {"ok-loop.example", "OK ttl=40: 192.0.2.2 192.0.2.1"},
        {"none-none.example", "NO_DATA ttl=60"},
        {"none-nx.example", "NO_NAME ttl=50"},
        {"nx-fail.example", "NO_NAME ttl=50"},
        {"nx-drop.example", "NO_NAME ttl=50"},
        {"none-fail.example", "SERVFAIL ttl=0"},
        {"fail-none.example", "SERVFAIL ttl=0"},
        {"none-drop.example", "TIMEOUT ttl=0"},
        {"drop-none.example", "TIMEOUT ttl=0"},
        {"bad-none.example", "MALFORMED ttl=0"},
        {"loop-none.example", "ALIASES ttl=0 aliases=5 to loop-none.example"},
        {"fail-loop.example", "SERVFAIL ttl=0"}};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_string_equal(ask_within(strstr(rows[i][0], "drop") ? MIXED : LONG, script_addresses,
                                       DNS_CARES_ADDRESSES, rows[i][0]),
                            rows[i][1]);
}

/* ---- TTL (D8; RFC 2308, RFC 2181 8) */

static void script_ttl(packet *p, const question *q)
{
    reply(p, q, *q->name == 'x' ? 3 : 0);
    switch (q->name[1]) {
    case '0':
        record(p, ANSWER, q->name, TXT, 0, OCTETS("\1a"));
        break;
    case '1': /* the least of all */
        record(p, ANSWER, q->name, TXT, 400, OCTETS("\1a"));
        record(p, ANSWER, q->name, TXT, 200, OCTETS("\1b"));
        record(p, ANSWER, "other.example", TXT, 1, OCTETS("\1c"));
        break;
    case '2': /* an alias's */
        alias(p, q->name, "z.example", 100);
        record(p, ANSWER, "z.example", TXT, 200, OCTETS("\1a"));
        break;
    case '3':
        record(p, ANSWER, q->name, TXT, 0x7fffffff, OCTETS("\1a"));
        break;
    case '4':
        record(p, ANSWER, q->name, TXT, 0x80000000u, OCTETS("\1a"));
        break;
    case '5':
        soa(p, 600, 300);
        break;
    case '6':
        soa(p, 300, 600);
        break;
    case '7':
        soa(p, 4000000, 4000000);
        break;
    case '8':
        soa(p, 600, 0xffffffffu);
        break;
    case 'b': /* no SOA record has so few octets */
        record(p, AUTHORITY, "example", SOA, 600, OCTETS("\0\0"));
        break;
    default: /* no SOA: not to be remembered */
        break;
    }
}

static void test_ttl(void **state)
{
    static const char *const rows[][2] = {
        {"a0", "OK ttl=0: [a]"},
        {"a1", "OK ttl=200: [a] [b]"},
        {"a2", "OK ttl=100 aliases=1 to z.example: [a]"},
        {"a3", "OK ttl=2147483647: [a]"},
        {"a4", "OK ttl=0: [a]"},
        {"a5", "NO_DATA ttl=300"},
        {"a6", "NO_DATA ttl=300"},
        {"a7", "NO_DATA ttl=86400"},
        {"a8", "NO_DATA ttl=0"},
        {"a9", "NO_DATA ttl=0"},
        {"ab", "NO_DATA ttl=0"},
        {"x5", "NO_NAME ttl=300"},
        {"x6", "NO_NAME ttl=300"},
        {"x7", "NO_NAME ttl=86400"},
        {"x9", "NO_NAME ttl=0"},
        {"x1", "NO_NAME ttl=0"}}; /* records of a name that does not exist */
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_string_equal(ask(script_ttl, DNS_CARES_TXT, rows[i][0]), rows[i][1]);
}

/* ---- hostile messages */

static void script_forged(packet *p, const question *q)
{
    size_t at = q->len - 4;
    script_plain(p, q);
    if (strcmp(q->name, "id.example") == 0)
        p->octets[0] ^= 1;
    else if (strcmp(q->name, "name.example") == 0)
        p->octets[HEADER + 1] = 'x';
    else if (strcmp(q->name, "type.example") == 0)
        set16(p, at, 99);
    else if (strcmp(q->name, "class.example") == 0)
        set16(p, at + 2, 3);
    else if (strcmp(q->name, "two.example") == 0)
        set16(p, 4, 2);
    else if (strcmp(q->name, "zero.example") == 0)
        set16(p, 4, 0);
    else if (strcmp(q->name, "echo.example") == 0) /* the question sent back */
        p->octets[2] &= 0x7f;
    else if (strcmp(q->name, "opcode.example") == 0)
        p->octets[2] |= 0x20;
    else if (strcmp(q->name, "good.example") != 0)
        p->len = 0;
}

/* c-ares waits on after what is not to its question: TIMEOUT. */
static void test_forged(void **state)
{
    static const char *const rows[][2] = {{"good.example", "OK ttl=300: [v=STSv1; id=1;]"},
                                          {"id.example", "TIMEOUT ttl=0"},
                                          {"name.example", "TIMEOUT ttl=0"},
                                          {"type.example", "TIMEOUT ttl=0"},
                                          {"class.example", "TIMEOUT ttl=0"},
                                          {"two.example", "TIMEOUT ttl=0"},
                                          {"zero.example", "TIMEOUT ttl=0"},
                                          {"echo.example", "MALFORMED ttl=0"},
                                          {"opcode.example", "MALFORMED ttl=0"},
                                          {"empty.example", "TIMEOUT ttl=0"}};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_string_equal(ask_within(strncmp(rows[i][1], "TIME", 4) ? LONG : PATIENCE,
                                       script_forged, DNS_CARES_TXT, rows[i][0]),
                            rows[i][1]);
}

static void bad_record(packet *p, const question *q, const void *octets, size_t len)
{
    reply(p, q, 0);
    count_record(p, ANSWER);
    put(p, octets, len);
}

static void script_malformed(packet *p, const question *q)
{
    unsigned i;
    script_plain(p, q);
    switch (*q->name) {
    case 'a': /* more records than there are */
        set16(p, 6, 2);
        break;
    case 'b':
        set16(p, 8, 1);
        break;
    case 'c':
        set16(p, 10, 65535);
        break;
    case 'd':
        set16(p, 6, 65535);
        set16(p, 8, 65535);
        set16(p, 10, 65535);
        break;
    case 'e': /* a name that points to itself */
        p->len = 0;
        bad_record(p, q, OCTETS("\xc0\x1b\0\x10\0\1\0\0\0\0\0\0"));
        set16(p, q->len, 0xc000u | (unsigned)q->len);
        break;
    case 'f': /* two that point to each other */
        p->len = 0;
        bad_record(p, q, OCTETS("\xc0\0\xc0\0\0\x10\0\1\0\0\0\0\0\0"));
        set16(p, q->len, 0xc000u | (unsigned)(q->len + 2));
        set16(p, q->len + 2, 0xc000u | (unsigned)q->len);
        break;
    case 'g': /* a label and then back to it, for ever */
        p->len = 0;
        bad_record(p, q, OCTETS("\1a\xc0\0\0\x10\0\1\0\0\0\0\0\0"));
        set16(p, q->len + 2, 0xc000u | (unsigned)q->len);
        break;
    case 'h': /* behind the end */
        p->len = 0;
        bad_record(p, q, OCTETS("\xff\xff\0\x10\0\1\0\0\0\0\0\0"));
        break;
    case 'i': /* kinds of labels that there are not */
        p->len = 0;
        bad_record(p, q, OCTETS("\x41q\0\0\x10\0\1\0\0\0\0\0\0"));
        break;
    case 'j': /* 256 octets of name */
        p->len = 0;
        reply(p, q, 0);
        count_record(p, ANSWER);
        for (i = 0; i < 127; i++)
            put(p, OCTETS("\1a"));
        put(p, OCTETS("\1a\0\0\x10\0\1\0\0\0\0\0\0"));
        break;
    case 'k': /* half a record's head */
        p->len = 0;
        bad_record(p, q, OCTETS("\0\0\x10\0\1"));
        break;
    default: /* data that goes on behind the end */
        p->len = 0;
        bad_record(p, q, OCTETS("\0\0\x10\0\1\0\0\0\0\0\2\1"));
    }
}

static void test_malformed(void **state)
{
    char name[] = "a.example";
    (void)state;
    for (; *name <= 'l'; ++*name)
        assert_string_equal(ask(script_malformed, DNS_CARES_TXT, name), "MALFORMED ttl=0");
}

/* A chain of pointers, as long as the message, that each record begins with. */
static void script_slow(packet *p, const question *q)
{
    unsigned i;
    if (!q->tcp) {
        truncate_reply(p, q);
        return;
    }
    reply(p, q, 0);
    count_record(p, ANSWER);
    put(p, OCTETS("\0\0\x10\0\1\0\0\0\0"));
    put16(p, 16000);
    put8(p, 0);
    for (i = 0; i < 7999; i++)
        put16(p, 0xc000u | (unsigned)(p->len - 2));
    put8(p, 0);
    while (p->len < 65000) {
        count_record(p, ANSWER);
        put16(p, 0xc000u | (unsigned)(q->len + 11 + 15990));
        put(p, OCTETS("\0\x10\0\1\0\0\0\0\0\0"));
    }
}

static void test_slow(void **state)
{
    clock_t begin = clock();
    (void)state;
    assert_string_equal(ask(script_slow, DNS_CARES_TXT, "a.example"), "MALFORMED ttl=0");
    assert_true(clock() - begin < CLOCKS_PER_SEC);
}

/* A good answer that has all there is; the same for each name. */
static void script_rich(packet *p, const question *q)
{
    reply(p, q, 0);
    alias(p, q->name, "rich.example", 300);
    alias(p, "rich.example", "mx1.example", 300);
    if (q->type == TXT)
        strings(p, "mx1.example", OCTETS("\7v=STSv1\5;id=1\0"));
    else if (q->type == MX)
        mx(p, "mx1.example", 10, "mx.example");
    else
        address(p, "mx1.example", q->type, 1);
    soa(p, 60, 60);
    record(p, ADDITIONAL, "", OPT, 0, NULL, 0);
}

/* "n17.example": the first 17 octets of it; "t17.example": over TCP. */
static void script_cut(packet *p, const question *q)
{
    size_t len = strtoul(q->name + 1, NULL, 10);
    if (*q->name == 't' && !q->tcp) {
        truncate_reply(p, q);
        return;
    }
    script_rich(p, q);
    if (len < p->len)
        p->len = len;
}

/* Every beginning of a good message: c-ares waits on after one that is cut within the question;
 * of the others only the whole is OK. Over TCP c-ares has no octet more than were sent, so that
 * sanitizers see what is read behind them. */
static void cut_everywhere(dns_cares_type type, int letter)
{
    enum { MOST = 260, QUESTION_END = 29 };
    static result results[MOST];
    dns_cares *patient = open_with(server.address, 0, LONG);
    dns_cares *impatient = open_with(server.address, 0, letter == 't' ? MIXED : PATIENCE);
    size_t i, good = 0;
    char name[32];
    memset(results, 0, sizeof results);
    for (i = 0; i < MOST; i++) {
        snprintf(name, sizeof name, "%c%zu.example", letter, i);
        assert_non_null(
            dns_cares_ask(i < QUESTION_END ? impatient : patient, type, name, note, &results[i]));
        if (i % 50 == 49) /* no more than sockets hold */
            wait_for(&results[i]);
    }
    for (i = 0; i < MOST; i++) {
        wait_for(&results[i]);
        good += results[i].status == DNS_CARES_OK;
        if (i < QUESTION_END) /* c-ares ends a TCP connection that sends a message of 0 octets */
            assert_true(results[i].status == DNS_CARES_TIMEOUT ||
                        (letter == 't' && results[i].status == DNS_CARES_NO_SERVER));
        else if (good == 0)
            assert_int_equal(results[i].status, DNS_CARES_MALFORMED);
    }
    assert_in_range(good, 10, 150);
    assert_int_equal(results[MOST - good].status, DNS_CARES_OK); /* none but the last */
    dns_cares_close(patient);
    dns_cares_close(impatient);
}

static void test_cut(void **state)
{
    static const dns_cares_type types[] = {DNS_CARES_TXT, DNS_CARES_MX, DNS_CARES_ADDRESSES};
    size_t i;
    (void)state;
    server.script = script_cut;
    for (i = 0; i < COUNT(types); i++) {
        cut_everywhere(types[i], 'n');
        cut_everywhere(types[i], 't');
    }
}

static uint32_t random_state;

static uint32_t pick(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* One to four octets anywhere but in id and question become others, or what is behind goes. */
static void script_mutant(packet *p, const question *q)
{
    static const unsigned char special[] = {0, 1, 5, 12, 16, 28, 63, 64, 0xc0, 0xff};
    unsigned n = 1 + pick(4);
    size_t at;
    script_rich(p, q);
    while (n-- > 0) {
        at = pick(8) ? q->len + pick((uint32_t)(p->len - q->len)) : 3 + pick(9);
        if (at == 4 || at == 5) /* the number of questions */
            continue;
        p->octets[at] = pick(2) ? special[pick(COUNT(special))] : (unsigned char)pick(256);
    }
    if (pick(8) == 0)
        p->len = q->len + pick((uint32_t)(p->len - q->len));
}

static void test_mutants(void **state)
{
    enum { AT_ONCE = 50, ROUNDS = 80 };
    static const dns_cares_type types[] = {DNS_CARES_TXT, DNS_CARES_MX, DNS_CARES_ADDRESSES};
    static result results[AT_ONCE];
    size_t seen[COUNT(status_names)] = {0}, i, round;
    char name[32];
    dns_cares *dns = open_with(server.address, 0, LONG);
    (void)state;
    random_state = 8461;
    server.script = script_mutant;
    for (round = 0; round < ROUNDS; round++) {
        memset(results, 0, sizeof results);
        for (i = 0; i < AT_ONCE; i++) {
            snprintf(name, sizeof name, "n%zu.example", i);
            assert_non_null(dns_cares_ask(dns, types[(round + i) % 3], name, note, &results[i]));
        }
        for (i = 0; i < AT_ONCE; i++) {
            wait_for(&results[i]);
            seen[results[i].status]++;
        }
    }
    dns_cares_close(dns);
    assert_true(seen[DNS_CARES_OK] > 100);
    assert_true(seen[DNS_CARES_NO_DATA] > 100);
    assert_true(seen[DNS_CARES_MALFORMED] > 100);
    assert_int_equal(seen[DNS_CARES_NO_MEMORY] + seen[DNS_CARES_NO_SERVER], 0);
}

/* ---- queries: many, cancelled, left behind */

static void turn(int times)
{
    while (times-- > 0)
        event_base_loop(server.base, EVLOOP_NONBLOCK);
}

static void script_by_name(packet *p, const question *q)
{
    if (strncmp(q->name, "silent", 6) == 0)
        p->drop = 1;
    else if (strncmp(q->name, "by", 2) == 0)
        script_chain(p, q);
    else if (strncmp(q->name, "large", 5) == 0)
        script_large(p, q);
    else
        script_plain(p, q);
}

static void test_many_queries(void **state)
{
    enum { MANY = 500 };
    static result results[MANY];
    dns_cares *dns = open_with(server.address, 0, 500);
    char name[32];
    size_t i;
    (void)state;
    server.script = script_chain;
    memset(results, 0, sizeof results);
    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "by%zu.example", i % 4);
        assert_non_null(dns_cares_ask(dns, DNS_CARES_TXT, name, note, &results[i]));
    }
    for (i = 0; i < MANY; i++) {
        wait_for(&results[i]);
        assert_int_equal(results[i].status, DNS_CARES_OK);
        assert_true(strstr(results[i].text, "[end]") != NULL);
    }
    dns_cares_close(dns);
}

static size_t asked;

static void script_count(packet *p, const question *q)
{
    asked++;
    script_by_name(p, q);
}

static void script_deadline(packet *p, const question *q)
{
    reply(p, q, 0);
    if (strcmp(q->name, "alias.example") == 0)
        alias(p, q->name, "silent.example", 100);
    else if (strcmp(q->name, "half.example") == 0 && q->type == A)
        address(p, q->name, q->type, 9);
    else
        p->drop = 1;
}

/* A question has one deadline, whatever its aliases and its tries do; and what has come by then is
 * an answer. */
static void test_deadline(void **state)
{
    (void)state;
    assert_string_equal(ask_within(DRIP, script_deadline, DNS_CARES_TXT, "silent.example"),
                        "TIMEOUT ttl=0");
    assert_string_equal(ask_within(DRIP, script_deadline, DNS_CARES_TXT, "alias.example"),
                        "TIMEOUT ttl=0 aliases=1 to silent.example");
    ask_within(DRIP, script_deadline, DNS_CARES_ADDRESSES, "half.example");
    assert_int_equal(last.status, DNS_CARES_OK);
    assert_int_equal(last.count, 1);
}

/* No more than 100 are sent at once; those in line may be cancelled, get their turn, or end with
 * the rest. */
static void test_line(void **state)
{
    enum { MANY = 250, AT_ONCE = 100 };
    static result results[MANY], other;
    dns_cares_query *queries[MANY];
    dns_cares *dns = open_with(server.address, 0, PATIENCE);
    size_t i;
    (void)state;
    server.script = script_count;
    asked = 0;
    memset(results, 0, sizeof results);
    memset(&other, 0, sizeof other);
    for (i = 0; i < MANY; i++) {
        queries[i] = dns_cares_ask(dns, DNS_CARES_TXT, "silent.example", note, &results[i]);
        assert_non_null(queries[i]);
    }
    assert_non_null(dns_cares_ask(dns, DNS_CARES_TXT, "a.example", note, &other));
    turn(20);
    assert_int_equal(asked, AT_ONCE);
    dns_cares_cancel(queries[5]);
    dns_cares_cancel(queries[200]);
    wait_for(&other);
    assert_int_equal(other.status, DNS_CARES_OK);
    assert_int_equal(results[AT_ONCE - 1].status, DNS_CARES_TIMEOUT);
    assert_int_equal(results[5].done + results[200].done, 0);
    for (i = 0; i < MANY; i++) /* a line again, to be closed with */
        assert_non_null(dns_cares_ask(dns, DNS_CARES_ADDRESSES, "silent.example", note, &other));
    turn(2);
    dns_cares_close(dns);
    assert_int_equal(other.done, 1);
}

/* After each number of turns of the loop: before and after it was sent, answered, asked again. */
static void cancel_after_turns(dns_cares_type type, const char *name)
{
    enum { TURNS = 12 };
    static result results[TURNS], other;
    dns_cares *dns = open_dns();
    dns_cares_query *query;
    int done_before[TURNS], i, cancelled = 0;
    memset(results, 0, sizeof results);
    for (i = 0; i < TURNS; i++) {
        query = dns_cares_ask(dns, type, name, note, &results[i]);
        assert_non_null(query);
        turn(i);
        done_before[i] = results[i].done;
        if (!results[i].done) {
            dns_cares_cancel(query);
            cancelled++;
        }
        memset(&other, 0, sizeof other); /* the others go on */
        assert_non_null(dns_cares_ask(dns, DNS_CARES_MX, "b.example", note, &other));
        wait_for(&other);
        assert_int_equal(other.status, DNS_CARES_OK);
    }
    turn(30);
    for (i = 0; i < TURNS; i++)
        assert_int_equal(results[i].done, done_before[i]);
    assert_true(cancelled > 0);
    dns_cares_close(dns);
}

static void test_cancel(void **state)
{
    static const char *const names[] = {"a.example",     "by3.example", "silent.example",
                                        "large.example", "a..b",        "in6.example"};
    static const dns_cares_type types[] = {DNS_CARES_TXT, DNS_CARES_MX, DNS_CARES_ADDRESSES};
    size_t i, t;
    (void)state;
    server.script = script_by_name;
    for (i = 0; i < COUNT(names); i++)
        for (t = 0; t < COUNT(types); t++)
            cancel_after_turns(types[t], names[i]);
}

/* Cancelled queries time out like others; then c-ares gives back what they took. */
static void test_cancelled_to_the_end(void **state)
{
    dns_cares *dns = open_with(server.address, 0, PATIENCE);
    result r, other;
    dns_cares_query *query;
    (void)state;
    server.script = script_by_name;
    memset(&r, 0, sizeof r);
    memset(&other, 0, sizeof other);
    query = dns_cares_ask(dns, DNS_CARES_ADDRESSES, "silent.example", note, &r);
    assert_non_null(query);
    assert_non_null(dns_cares_ask(dns, DNS_CARES_TXT, "silent.example", note, &other));
    turn(2);
    dns_cares_cancel(query);
    wait_for(&other);
    assert_int_equal(other.status, DNS_CARES_TIMEOUT);
    assert_int_equal(r.done, 0);
    dns_cares_close(dns);
}

/* `done` that asks, and cancels what is ready and what is on its way. */
static struct {
    dns_cares *dns;
    dns_cares_query *ready, *waiting;
    result first, ready_result, waiting_result, next;
} busy;

static void done_busily(void *user, const dns_cares_answer *a)
{
    note(user, a);
    dns_cares_cancel(busy.ready);
    dns_cares_cancel(busy.waiting);
    assert_non_null(dns_cares_ask(busy.dns, DNS_CARES_TXT, "", note, &busy.next));
    assert_int_equal(busy.next.done, 0);
    assert_string_equal(a->name, "a..b"); /* still good */
}

static void test_within_done(void **state)
{
    (void)state;
    memset(&busy, 0, sizeof busy);
    server.script = script_plain;
    busy.dns = open_dns();
    assert_non_null(dns_cares_ask(busy.dns, DNS_CARES_TXT, "a..b", done_busily, &busy.first));
    busy.ready = dns_cares_ask(busy.dns, DNS_CARES_MX, "c..d", note, &busy.ready_result);
    busy.waiting = dns_cares_ask(busy.dns, DNS_CARES_MX, "e.f", note, &busy.waiting_result);
    wait_for(&busy.first);
    wait_for(&busy.next);
    turn(10);
    assert_int_equal(busy.next.status, DNS_CARES_BAD_NAME);
    assert_int_equal(busy.ready_result.done + busy.waiting_result.done, 0);
    dns_cares_close(busy.dns);
}

/* Whatever is under way is silent from then on. */
static void test_close(void **state)
{
    static const char *const names[] = {"a.example", "silent.example", "by4.example",
                                        "large.example", "a..b"};
    result results[COUNT(names)];
    dns_cares_query *query;
    dns_cares *dns;
    size_t i;
    int turns, before;
    (void)state;
    server.script = script_by_name;
    for (turns = 0; turns < 12; turns++) {
        memset(results, 0, sizeof results);
        dns = open_dns();
        for (i = 0; i < COUNT(names); i++) {
            query = dns_cares_ask(dns, DNS_CARES_ADDRESSES, names[i], note, &results[i]);
            assert_non_null(query);
            if (i == 1) { /* one that is cancelled and still known to c-ares */
                dns_cares_cancel(query);
                assert_non_null(dns_cares_ask(dns, DNS_CARES_TXT, names[i], note, &results[i]));
            }
        }
        turn(turns);
        for (before = 0, i = 0; i < COUNT(names); i++)
            before += results[i].done;
        dns_cares_close(dns);
        turn(10);
        for (i = 0; i < COUNT(names); i++)
            before -= results[i].done;
        assert_int_equal(before, 0);
    }
}

static void done_closes(void *user, const dns_cares_answer *a)
{
    note(user, a);
    dns_cares_close(busy.dns);
    assert_string_equal(a->name, "a.example"); /* still good */
}

static void test_close_within_done(void **state)
{
    (void)state;
    memset(&busy, 0, sizeof busy);
    server.script = script_by_name;
    busy.dns = open_dns();
    assert_non_null(dns_cares_ask(busy.dns, DNS_CARES_TXT, "a.example", done_closes, &busy.first));
    assert_non_null(dns_cares_ask(busy.dns, DNS_CARES_MX, "silent.c", note, &busy.next));
    assert_non_null(dns_cares_ask(busy.dns, DNS_CARES_ADDRESSES, "silent.d", note, &busy.next));
    wait_for(&busy.first);
    turn(10);
    assert_int_equal(busy.next.done, 0);
}

/* A loop that has nothing else to do ends by itself: neither an answer nor close leaves events. */
static void test_nothing_left(void **state)
{
    struct event_base *base = event_base_new();
    dns_cares_options o;
    char error[128];
    dns_cares *dns;
    result r;
    (void)state;
    memset(&o, 0, sizeof o);
    memset(&r, 0, sizeof r);
    o.servers = closed_port();
    dns = dns_cares_open(base, &o, error, sizeof error);
    assert_non_null(dns);
    assert_non_null(dns_cares_ask(dns, DNS_CARES_TXT, "a.example", note, &r));
    assert_int_equal(event_base_dispatch(base), 1);
    assert_int_equal(r.status, DNS_CARES_NO_SERVER);
    assert_non_null(dns_cares_ask(dns, DNS_CARES_MX, "a.example", note, &r));
    assert_true(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) > 0);
    dns_cares_close(dns);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(base);
}

static int descriptors(void)
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

static int group_start(void **state)
{
    (void)state;
    descriptors_before = descriptors();
    alarm(240); /* a test that hangs fails */
    return 0;
}

static int group_stop(void **state)
{
    (void)state;
    return descriptors() != descriptors_before;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rcodes),        TEST(test_old_server),   TEST(test_question),
        TEST(test_timeout),       TEST(test_tries),        TEST(test_no_server),
        TEST(test_second_server), TEST(test_options),      TEST(test_names),
        TEST(test_meaning),       TEST(test_txt),          TEST(test_tcp),
        TEST(test_many_records),  TEST(test_tcp_failures), TEST(test_chains),
        TEST(test_aliases),       TEST(test_owners),       TEST(test_mx),
        TEST(test_addresses),     TEST(test_ttl),          TEST(test_forged),
        TEST(test_malformed),     TEST(test_slow),         TEST(test_cut),
        TEST(test_mutants),       TEST(test_many_queries), TEST(test_line),
        TEST(test_deadline),      TEST(test_cancel),       TEST(test_cancelled_to_the_end),
        TEST(test_within_done),   TEST(test_close),        TEST(test_close_within_done),
        TEST(test_nothing_left),
    };
    return cmocka_run_group_tests_name("dns_cares", tests, group_start, group_stop);
}
