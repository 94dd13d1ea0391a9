/* The DNS server: over UDP and TCP, on one port. It answers the chain of aliases that it knows, as
 * a resolver does. */
#include "world.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 65535,
    UDP_MAX = 4096,
    ALIASES_MAX = 16,
    DELAYED_MAX = 65536,
    BATCH = 64,
    NEGATIVE_TTL = 60,
    T_CNAME = 5,
    T_SOA = 6,
    T_OPT = 41,
    NOERROR = 0,
    FORMERR = 1,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    NOTIMP = 4,
    REFUSED = 5
};

typedef struct question {
    unsigned char id[2];
    unsigned char name[WIRE_NAME_MAX]; /* as asked */
    size_t name_len;
    unsigned type;
    int recursion, edns;
    size_t room; /* over UDP */
    size_t end;  /* of the question, in the message; 0: there is none */
} question;

typedef struct answer {
    unsigned char data[MESSAGE_MAX];
    size_t len;
    int full;
    unsigned rcode, answers, authorities;
    fault fault;
    unsigned char name[WIRE_NAME_MAX]; /* that the chain has come to, lower case */
    size_t name_len;
} answer;

/* An answer that waits for its time. */
struct delayed {
    struct delayed *next, *previous;
    server *server;
    stream *stream; /* NULL: UDP, to peer; or gone */
    int udp;
    struct sockaddr_in peer;
    struct event *timer;
    size_t len;
    unsigned char data[];
};

/* ---- reading a question ---- */

static unsigned get16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* The length of a name without pointers at m[at], or 0. */
static size_t name_at(const unsigned char *m, size_t len, size_t at)
{
    size_t n = at;
    while (n < len && m[n] && m[n] < 64)
        n += m[n] + 1u;
    return n < len && m[n] == 0 && n + 1 - at <= WIRE_NAME_MAX ? n + 1 - at : 0;
}

static void find_opt(question *q, const unsigned char *m, size_t len)
{
    const unsigned char *p = m + q->end;
    q->room = 512;
    if (get16(m + 6) || get16(m + 8) || !get16(m + 10) || len - q->end < 11)
        return;
    if (p[0] || get16(p + 1) != T_OPT)
        return;
    q->edns = 1;
    q->room = get16(p + 3);
    q->room = q->room < 512 ? 512 : q->room > UDP_MAX ? UDP_MAX : q->room;
}

/* The rcode that is due without looking for records, or -1: not to be answered. */
static int parse(question *q, const unsigned char *m, size_t len)
{
    memset(q, 0, sizeof *q);
    q->room = 512;
    if (len < 12 || m[2] & 0x80)
        return -1;
    memcpy(q->id, m, 2);
    q->recursion = m[2] & 1;
    if (m[2] & 0x78)
        return NOTIMP;
    q->name_len = get16(m + 4) == 1 ? name_at(m, len, 12) : 0;
    if (!q->name_len || len - 12 - q->name_len < 4)
        return FORMERR;
    memcpy(q->name, m + 12, q->name_len);
    q->type = get16(m + 12 + q->name_len);
    q->end = 12 + q->name_len + 4;
    find_opt(q, m, len);
    return get16(m + q->end - 2) == 1 ? NOERROR : REFUSED;
}

/* ---- writing an answer ---- */

static void put(answer *a, const void *octets, size_t len)
{
    if (a->full || len > MESSAGE_MAX - a->len) {
        a->full = 1;
        return;
    }
    memcpy(a->data + a->len, octets, len);
    a->len += len;
}

static void put16(answer *a, size_t value)
{
    unsigned char octets[2] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(a, octets, 2);
}

static void put32(answer *a, uint32_t value)
{
    put16(a, value >> 16);
    put16(a, value & 0xffff);
}

static void put_record(answer *a, const unsigned char *name, size_t name_len, const record *r)
{
    put(a, name, name_len);
    put16(a, r->type);
    put16(a, 1);
    put32(a, r->ttl);
    put16(a, r->len);
    put(a, r->data, r->len);
}

/* Of an absence, with how long it may be remembered: the last label plays the zone. */
static void put_soa(answer *a)
{
    static const unsigned char names[] = "\2ns\5world\0\4root\5world";
    unsigned char data[sizeof names + 20] = {0};
    record r = {NULL, FAULT_NONE, T_SOA, 300, 0, sizeof data, data};
    size_t at = 0, last = 0;
    memcpy(data, names, sizeof names);
    data[sizeof names + 3] = 1;           /* serial */
    data[sizeof data - 1] = NEGATIVE_TTL; /* the rest is for secondaries */
    for (; a->name[at]; at += a->name[at] + 1u)
        last = at;
    put_record(a, a->name + last, a->name_len - last, &r);
    a->authorities = 1;
}

static void put_header(answer *a, const question *q)
{
    a->len = 0;
    put(a, q->id, 2);
    put16(a, 0x8480u | (q->recursion ? 0x100u : 0));
    put16(a, q->end ? 1 : 0);
    put32(a, 0);
    put16(a, q->edns ? 1 : 0);
    if (q->end) {
        put(a, q->name, q->name_len);
        put16(a, q->type);
        put16(a, 1);
    }
}

/* What is known of a name: records of the type asked for, else the alias. Returns that, if any. */
static const record *put_node(answer *a, const node *n, unsigned type)
{
    const record *r, *alias = NULL;
    unsigned found = 0;
    for (r = n->first; r; r = r->next) {
        if (r->fault && (!r->type || r->type == type)) {
            a->fault = r->fault;
            if (a->fault != FAULT_TRUNCATE) /* that has its records, over TCP */
                return NULL;
        }
        if (r->type == T_CNAME && !r->fault)
            alias = r;
        if (r->type == type && !r->fault) {
            put_record(a, a->name, a->name_len, r);
            found++;
        }
    }
    a->answers += found;
    if (found || !alias)
        return NULL;
    put_record(a, a->name, a->name_len, alias);
    a->answers++;
    return alias;
}

static void resolve(answer *a, const world *w, const question *q)
{
    const record *followed[ALIASES_MAX];
    size_t aliases = 0, i;
    unsigned before;
    memcpy(a->name, q->name, q->name_len);
    a->name_len = q->name_len;
    for (;;) {
        const record *alias;
        const node *n;
        lower(a->name, a->name_len);
        n = world_name(w, a->name, a->name_len);
        before = a->answers;
        alias = n ? put_node(a, n, q->type) : NULL;
        if (!n)
            a->rcode = NXDOMAIN;
        if (!alias || alias->bare)
            break;
        for (i = 0; i < aliases && followed[i] != alias; i++)
            continue;
        if (i < aliases || aliases == ALIASES_MAX)
            return; /* a circle has no end to tell of */
        followed[aliases++] = alias;
        memcpy(a->name, alias->data, alias->len);
        a->name_len = alias->len;
    }
    if (a->answers == before && (!a->fault || a->fault == FAULT_TRUNCATE))
        put_soa(a);
}

static void finish(answer *a, const question *q, int udp)
{
    static const unsigned char opt[11] = {0, 0, T_OPT, UDP_MAX >> 8, UDP_MAX & 0xff};
    int cut = a->full || (udp && a->len + (q->edns ? sizeof opt : 0) > q->room) ||
              (udp && a->fault == FAULT_TRUNCATE);
    if (cut) {
        a->full = 0;
        a->answers = a->authorities = 0;
        put_header(a, q);
        a->data[2] |= 2; /* TC */
    }
    if (q->edns)
        put(a, opt, sizeof opt);
    a->data[3] = (unsigned char)(a->data[3] | a->rcode);
    a->data[6] = (unsigned char)(a->answers >> 8);
    a->data[7] = (unsigned char)a->answers;
    a->data[9] = (unsigned char)a->authorities;
}

static void fail(answer *a, const question *q, unsigned rcode)
{
    a->answers = a->authorities = 0;
    put_header(a, q);
    a->rcode = rcode;
}

static void log_question(const server *s, const question *q)
{
    static const struct {
        unsigned type;
        const char *name;
    } names[] = {{1, "A"},    {2, "NS"},    {5, "CNAME"}, {6, "SOA"},   {15, "MX"},
                 {16, "TXT"}, {28, "AAAA"}, {33, "SRV"},  {52, "TLSA"}, {65, "HTTPS"}};
    char name[WIRE_NAME_MAX], type[20];
    size_t at = 0, used = 0, i;
    for (; q->name[at]; at += q->name[at] + 1u) {
        memcpy(name + used, q->name + at + 1, q->name[at]);
        used += q->name[at];
        name[used++] = '.';
    }
    lower(name, used);
    snprintf(type, sizeof type, "TYPE%u", q->type);
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == q->type)
            snprintf(type, sizeof type, "%s", names[i].name);
    world_log(s, "dns", used ? name : ".", used ? used - 1 : 1, type);
}

/* Write the answer to a message; 0: there is none. */
static int make_answer(server *s, const unsigned char *m, size_t len, int udp, answer *a)
{
    question q;
    int rcode = parse(&q, m, len);
    a->rcode = a->answers = a->authorities = 0;
    a->full = 0;
    a->fault = FAULT_NONE;
    if (rcode < 0)
        return 0;
    put_header(a, &q);
    if (rcode) {
        fail(a, &q, (unsigned)rcode);
    } else {
        log_question(s, &q);
        resolve(a, s->world, &q);
    }
    switch ((int)a->fault) {
    case FAULT_DROP:
        return 0;
    case FAULT_SERVFAIL:
        fail(a, &q, SERVFAIL);
        break;
    case FAULT_REFUSED:
        fail(a, &q, REFUSED);
        break;
    case FAULT_NXDOMAIN:
        fail(a, &q, NXDOMAIN);
        put_soa(a);
        break;
    case FAULT_GARBAGE: /* an answer to this question by its head; then records that are none */
        a->answers = 5;
        put(a, "\xc0\xff\xff\xff\xff garbage \xff\xff", 16);
        break;
    default:
        break;
    }
    finish(a, &q, udp);
    return 1;
}

/* ---- sending, at once or later ---- */

static void send_tcp(stream *s, const unsigned char *data, size_t len)
{
    unsigned char head[2] = {(unsigned char)(len >> 8), (unsigned char)len};
    stream_write(s, head, 2);
    stream_write(s, data, len);
}

static void unlink_delayed(struct delayed *d)
{
    *(d->previous ? &d->previous->next : &d->server->delayed) = d->next;
    if (d->next)
        d->next->previous = d->previous;
    d->server->delayed_count--;
    event_free(d->timer);
    free(d);
}

static void on_due(evutil_socket_t fd, short what, void *user)
{
    struct delayed *d = user;
    (void)fd;
    (void)what;
    if (d->udp) {
        (void)sendto(d->server->udp, d->data, d->len, 0, (struct sockaddr *)&d->peer,
                     sizeof d->peer);
    } else if (d->stream) {
        send_tcp(d->stream, d->data, d->len);
        stream_settle(d->stream);
    }
    unlink_delayed(d);
}

/* To a stream, or to a peer over UDP. */
static void send_later(server *s, stream *to, const struct sockaddr_in *peer, const answer *a)
{
    struct timeval t;
    struct delayed *d =
        s->delayed_count < DELAYED_MAX ? malloc(sizeof *d + a->len) : NULL; /* as if it got lost */
    if (!d)
        return;
    memset(d, 0, sizeof *d);
    d->timer = evtimer_new(s->base, on_due, d);
    if (!d->timer) {
        free(d);
        return;
    }
    d->server = s;
    d->stream = to;
    d->udp = peer != NULL;
    if (peer)
        d->peer = *peer;
    d->len = a->len;
    memcpy(d->data, a->data, a->len);
    d->next = s->delayed;
    if (d->next)
        d->next->previous = d;
    s->delayed = d;
    s->delayed_count++;
    t.tv_sec = (time_t)(s->latency[DNS] / 1000);
    t.tv_usec = (suseconds_t)(s->latency[DNS] % 1000 * 1000);
    event_add(d->timer, &t);
}

static answer reply; /* large; written and copied before anything else happens */

static void on_udp(evutil_socket_t fd, short what, void *user)
{
    server *s = user;
    unsigned char m[UDP_MAX];
    int i;
    (void)what;
    for (i = 0; i < BATCH; i++) {
        struct sockaddr_in peer;
        socklen_t peer_len = sizeof peer;
        ssize_t n = recvfrom(fd, m, sizeof m, 0, (struct sockaddr *)&peer, &peer_len);
        if (n < 0)
            return;
        if (!make_answer(s, m, (size_t)n, 1, &reply))
            continue;
        if (s->latency[DNS])
            send_later(s, NULL, &peer, &reply);
        else
            (void)sendto(fd, reply.data, reply.len, 0, (struct sockaddr *)&peer, peer_len);
    }
}

static void opened(stream *s)
{
    (void)s; /* the client asks first */
}

static void received(stream *s)
{
    unsigned char head[2];
    while (evbuffer_copyout(s->in, head, 2) == 2) {
        size_t len = get16(head);
        unsigned char *m;
        if (evbuffer_get_length(s->in) < len + 2)
            return;
        evbuffer_drain(s->in, 2);
        m = evbuffer_pullup(s->in, (ev_ssize_t)len);
        if (m && make_answer(s->server, m, len, 0, &reply)) {
            if (s->server->latency[DNS])
                send_later(s->server, s, NULL, &reply);
            else
                send_tcp(s, reply.data, reply.len);
        }
        evbuffer_drain(s->in, len);
    }
}

static void closed(stream *s)
{
    struct delayed *d;
    for (d = s->server->delayed; d; d = d->next)
        if (d->stream == s)
            d->stream = NULL;
}

const protocol dns_protocol = {opened, received, NULL, closed};

int dns_open_udp(server *s)
{
    int size = 4 << 20; /* a thousand questions at once */
    s->udp = bind_port(SHARED_ADDRESS, s->ports[DNS], SOCK_DGRAM);
    if (s->udp < 0)
        return 0;
    s->ports[DNS] = bound_port(s->udp);
    setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    s->udp_event = event_new(s->base, s->udp, EV_READ | EV_PERSIST, on_udp, s);
    return s->udp_event && event_add(s->udp_event, NULL) == 0;
}

void dns_close(server *s)
{
    struct delayed *d, *next;
    for (d = s->delayed; d; d = next) {
        next = d->next;
        event_free(d->timer);
        free(d);
    }
    s->delayed = NULL;
    s->delayed_count = 0;
    if (s->udp_event)
        event_free(s->udp_event);
    s->udp_event = NULL;
    if (s->udp >= 0)
        close(s->udp);
    s->udp = -1;
}
