/* dns_cares: c-ares sends the questions, and this reads the answers itself: c-ares 1.18 tells
 * neither the TTL of a TXT or MX record, nor that of an absence, nor where aliases led to.
 *
 *   - c-ares calls back as it likes, also before ares_query returns. What it says is only noted
 *     there; `done` is called from an event of its own.
 *   - c-ares cannot cancel one query: what is cancelled stays until c-ares has called back.
 *   - The first server that answers counts, whatever it says. (Did c-ares go on to the next after a
 *     SERVFAIL, then the error in the end would be "connection refused".)
 *   - The least final error counts where A and AAAA both fail.
 *   - Only so many questions are sent at once: more would overflow the sockets' buffers, here or at
 *     the server, and what is lost there costs a time-out. The others wait in line. */
#define CARES_NO_DEPRECATED /* newer versions have another ares_query */
#include "dns_cares.h"

#include <ares.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_MX = 15,
    TYPE_TXT = 16,
    TYPE_AAAA = 28,
    TYPE_OPT = 41,
    CLASS_IN = 1,
    NOERROR = 0,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    HEADER = 12,        /* octets */
    NAME_TEXT = 1024,   /* 250 octets as \DDD, dots and the NUL */
    POINTERS_MAX = 127, /* in one name, which has 127 labels at most */
    RECORDS_MAX = 256,  /* of the list in an answer; what is more is left out */
    AT_ONCE = 100,      /* questions sent and not answered */
    UDP_MAX = 1232,     /* octets that no network breaks into fragments */
    ALIASES_MAX = 16,   /* whatever the options say */
    TIMEOUT_MAX = 60000,
    DEADLINE_MAX = 600000,
    TRIES_MAX = 10,
    NEGATIVE_TTL_MAX = 24 * 3600 /* RFC 2308 5 */
};

/* One of c-ares's sockets. */
typedef struct sock {
    struct sock *next;
    ares_socket_t fd;
    struct event event;
} sock;

/* One name and one type, over all aliases. */
typedef struct lookup {
    dns_cares_query *query;
    struct lookup *next; /* in line */
    unsigned type;
    char name[NAME_TEXT]; /* where the aliases have led to until now */
    dns_cares_status status;
    unsigned aliases;
    uint32_t ttl;
    size_t count;
    mtasts_txt *txt; /* one of these three, if there is an answer */
    dns_cares_mx *mx;
    struct sockaddr_storage *addresses;
} lookup;

struct dns_cares_query {
    dns_cares_query *next, **link; /* of the queries that are not cancelled */
    dns_cares *dns;
    void (*done)(void *user, const dns_cares_answer *answer);
    void *user;
    lookup lookups[2];
    unsigned count;   /* of lookups */
    unsigned pending; /* of these, how many c-ares has, or are in line */
    int cancelled;
    struct event ready;
};

struct dns_cares {
    struct event_base *base;
    ares_channel channel;
    struct event timer;
    sock *socks;
    dns_cares_query *queries;
    lookup *line, **line_end; /* that wait to be sent */
    struct event turn;        /* of those in line */
    unsigned sent;            /* and not answered */
    unsigned max_aliases;
    struct timeval deadline; /* of a query */
};

/* ==== Messages */

typedef struct message {
    const unsigned char *octets;
    size_t len;
    unsigned rcode;
    size_t answers; /* where they begin */
    unsigned answer_count;
    int has_soa;
    uint32_t negative_ttl;
} message;

typedef struct record {
    char owner[NAME_TEXT];
    unsigned type, class;
    uint32_t ttl;
    size_t data, data_len;
} record;

static unsigned get16(const message *m, size_t at)
{
    return (unsigned)m->octets[at] << 8 | m->octets[at + 1];
}

static uint32_t get32(const message *m, size_t at)
{
    return (uint32_t)get16(m, at) << 16 | get16(m, at + 2);
}

/* RFC 2181 8: with the highest bit set it is 0. */
static uint32_t get_ttl(const message *m, size_t at)
{
    uint32_t ttl = get32(m, at);
    return ttl & 0x80000000u ? 0 : ttl;
}

/* An octet of a label, so that it cannot be taken for anything else. */
static size_t put_octet(char *text, unsigned octet)
{
    if (octet <= ' ' || octet > '~' || octet == '.' || octet == '\\') {
        /* no sprintf: an answer can have millions of these */
        text[0] = '\\';
        text[1] = (char)('0' + octet / 100);
        text[2] = (char)('0' + octet / 10 % 10);
        text[3] = (char)('0' + octet % 10);
        return 4;
    }
    *text = (char)octet;
    return 1;
}

/* The name at *at, without the dot at its end; *at is then behind it. 0: it is no name. */
static int get_name(const message *m, size_t *at, char text[NAME_TEXT])
{
    size_t from = *at, out = 0, octets = 0, len;
    unsigned pointers = 0;
    for (;;) {
        if (from >= m->len)
            return 0;
        len = m->octets[from++];
        if (len >= 0xc0) {
            if (from >= m->len || pointers == POINTERS_MAX)
                return 0;
            if (pointers++ == 0)
                *at = from + 1;
            from = (len & 0x3f) << 8 | m->octets[from];
            continue;
        }
        octets += len + 1;
        if (len > 63 || len > m->len - from || octets > 255)
            return 0;
        if (len == 0)
            break;
        if (out > 0)
            text[out++] = '.';
        for (; len > 0; len--)
            out += put_octet(text + out, m->octets[from++]);
    }
    text[out] = '\0';
    if (pointers == 0)
        *at = from;
    return 1;
}

/* The record at *at; *at is then behind it. 0: it is none. */
static int get_record(const message *m, size_t *at, record *r)
{
    if (!get_name(m, at, r->owner) || m->len - *at < 10)
        return 0;
    r->type = get16(m, *at);
    r->class = get16(m, *at + 2);
    r->ttl = get_ttl(m, *at + 4);
    r->data_len = get16(m, *at + 8);
    r->data = *at + 10;
    if (r->data_len > m->len - r->data)
        return 0;
    *at = r->data + r->data_len;
    return 1;
}

/* What authority and additional section say of the answer. */
static int get_rest(message *m, size_t at, unsigned authorities, unsigned additionals)
{
    record r;
    uint32_t minimum;
    unsigned i;
    for (i = 0; i < authorities + additionals; i++) {
        if (!get_record(m, &at, &r))
            return 0;
        if (i < authorities && r.type == TYPE_SOA && r.class == CLASS_IN && r.data_len >= 22) {
            minimum = get_ttl(m, r.data + r.data_len - 4);
            m->has_soa = 1;
            m->negative_ttl = r.ttl < minimum ? r.ttl : minimum;
            if (m->negative_ttl > NEGATIVE_TTL_MAX)
                m->negative_ttl = NEGATIVE_TTL_MAX;
        }
        if (i >= authorities && r.type == TYPE_OPT) /* RFC 6891 6.1.3: more of the rcode */
            m->rcode |= get16(m, r.data - 6) >> 8 << 4;
    }
    return 1;
}

/* All of the message is looked at, so that counts that lie are found. 0: it is no answer. */
static int get_message(message *m, const unsigned char *octets, size_t len)
{
    char name[NAME_TEXT];
    record r;
    size_t at = HEADER;
    unsigned i;
    memset(m, 0, sizeof *m);
    m->octets = octets;
    m->len = len;
    /* QR set, an ordinary query, TC not set, one question */
    if (len < HEADER || (octets[2] & 0xfa) != 0x80 || get16(m, 4) != 1)
        return 0;
    m->rcode = octets[3] & 15;
    m->answer_count = get16(m, 6);
    if (!get_name(m, &at, name) || len - at < 4)
        return 0;
    m->answers = at + 4;
    for (at = m->answers, i = 0; i < m->answer_count; i++)
        if (!get_record(m, &at, &r))
            return 0;
    return get_rest(m, at, get16(m, 8), get16(m, 10));
}

/* ==== Answers */

/* The records of one owner and type in the answer section, one after the other. */
typedef struct walk {
    const message *message;
    const char *owner;
    unsigned type;
    unsigned number; /* of the record, among all */
    size_t at;
    size_t found;
    record record;
} walk;

static void walk_start(walk *w, const message *m, const char *owner, unsigned type)
{
    memset(w, 0, sizeof *w);
    w->message = m;
    w->owner = owner;
    w->type = type;
    w->at = m->answers;
}

static int walk_next(walk *w)
{
    const record *r = &w->record;
    while (w->found < RECORDS_MAX && w->number < w->message->answer_count) {
        w->number++;
        if (!get_record(w->message, &w->at, &w->record))
            return 0;
        if (r->type == w->type && r->class == CLASS_IN &&
            evutil_ascii_strcasecmp(r->owner, w->owner) == 0) {
            w->found++;
            return 1;
        }
    }
    return 0;
}

/* A name that is all of a record's data from `at` on. */
static int get_data_name(const walk *w, size_t at, char text[NAME_TEXT])
{
    size_t end = w->record.data + w->record.data_len;
    return at < end && get_name(w->message, &at, text) && at == end;
}

/* How many strings there are; they are written unless NULL. 0: it is no data of a TXT record. */
static size_t get_strings(const unsigned char *data, size_t len, mtasts_str *strings)
{
    size_t count = 0, at;
    for (at = 0; at < len; at += 1u + data[at], count++) {
        if (data[at] >= len - at)
            return 0;
        if (strings) {
            strings[count].ptr = (const char *)data + at + 1;
            strings[count].len = data[at];
        }
    }
    return count;
}

/* One block: records, strings, and the message, which the strings point into. */
static dns_cares_status take_txt(lookup *l, walk *w)
{
    const message *m = w->message;
    size_t strings_count = 0, n;
    mtasts_str *strings;
    unsigned char *copy;
    while (walk_next(w)) {
        n = get_strings(m->octets + w->record.data, w->record.data_len, NULL);
        if (n == 0)
            return DNS_CARES_MALFORMED;
        strings_count += n;
    }
    l->txt = malloc(w->found * sizeof *l->txt + strings_count * sizeof *strings + m->len);
    if (!l->txt)
        return DNS_CARES_NO_MEMORY;
    strings = (mtasts_str *)(void *)(l->txt + w->found);
    copy = (unsigned char *)(strings + strings_count);
    memcpy(copy, m->octets, m->len);
    walk_start(w, m, w->owner, w->type);
    for (; walk_next(w); strings += n) {
        n = get_strings(copy + w->record.data, w->record.data_len, strings);
        l->txt[l->count].strings = strings;
        l->txt[l->count++].count = n;
    }
    return DNS_CARES_OK;
}

/* In a random order, then by preference, which leaves equal ones in that order. */
static void sort_mx(dns_cares_mx *mx, size_t count)
{
    unsigned char random[RECORDS_MAX];
    dns_cares_mx one;
    size_t i, j;
    evutil_secure_rng_get_bytes(random, sizeof random);
    for (i = 1; i < count; i++) {
        j = random[i] % (i + 1);
        one = mx[i];
        mx[i] = mx[j];
        mx[j] = one;
    }
    for (i = 1; i < count; i++) {
        one = mx[i];
        for (j = i; j > 0 && mx[j - 1].preference > one.preference; j--)
            mx[j] = mx[j - 1];
        mx[j] = one;
    }
}

/* One block: records and the text of their names. */
static dns_cares_status take_mx(lookup *l, walk *w)
{
    char host[NAME_TEXT], *text;
    size_t text_size = 0, size;
    while (walk_next(w)) {
        if (!get_data_name(w, w->record.data + 2, host))
            return DNS_CARES_MALFORMED;
        text_size += strlen(host) + 1;
    }
    l->mx = malloc(w->found * sizeof *l->mx + text_size);
    if (!l->mx)
        return DNS_CARES_NO_MEMORY;
    text = (char *)(l->mx + w->found);
    walk_start(w, w->message, w->owner, w->type);
    for (; walk_next(w) && get_data_name(w, w->record.data + 2, host); text += size) {
        size = strlen(host) + 1;
        memcpy(text, host, size);
        l->mx[l->count].preference = get16(w->message, w->record.data);
        l->mx[l->count++].host = text;
    }
    sort_mx(l->mx, l->count);
    return DNS_CARES_OK;
}

static void get_address(struct sockaddr_storage *out, const walk *w)
{
    const unsigned char *octets = w->message->octets + w->record.data;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    memset(out, 0, sizeof *out);
    if (w->type == TYPE_A) {
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, octets, 4);
    } else {
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, octets, 16);
    }
}

static dns_cares_status take_addresses(lookup *l, walk *w)
{
    size_t size = w->type == TYPE_A ? 4 : 16;
    while (walk_next(w))
        if (w->record.data_len != size)
            return DNS_CARES_MALFORMED;
    l->addresses = malloc(w->found * sizeof *l->addresses);
    if (!l->addresses)
        return DNS_CARES_NO_MEMORY;
    walk_start(w, w->message, w->owner, w->type);
    while (walk_next(w))
        get_address(&l->addresses[l->count++], w);
    return DNS_CARES_OK;
}

static dns_cares_status take(lookup *l, const message *m)
{
    walk w;
    walk_start(&w, m, l->name, l->type);
    if (l->type == TYPE_TXT)
        return take_txt(l, &w);
    if (l->type == TYPE_MX)
        return take_mx(l, &w);
    return take_addresses(l, &w);
}

/* Whether the answer has records of that type at the name. Their TTLs count. */
static int has_records(lookup *l, const message *m, unsigned type, walk *w)
{
    walk_start(w, m, l->name, type);
    while (walk_next(w))
        if (w->record.ttl < l->ttl)
            l->ttl = w->record.ttl;
    return w->found > 0;
}

/* As far as this answer knows. */
static dns_cares_status follow_aliases(lookup *l, const message *m, unsigned *followed)
{
    char target[NAME_TEXT];
    walk w;
    while (has_records(l, m, TYPE_CNAME, &w)) {
        if (l->aliases == l->query->dns->max_aliases)
            return DNS_CARES_ALIASES;
        walk_start(&w, m, l->name, TYPE_CNAME);
        if (!walk_next(&w) || !get_data_name(&w, w.record.data, target))
            return DNS_CARES_MALFORMED;
        memcpy(l->name, target, sizeof target);
        l->aliases++;
        ++*followed;
    }
    return DNS_CARES_OK;
}

static dns_cares_status absent(lookup *l, const message *m, dns_cares_status status)
{
    if (m->negative_ttl < l->ttl)
        l->ttl = m->negative_ttl;
    return status;
}

/* *again: l->name is to be asked for now, since the answer has but an alias for it. */
static dns_cares_status judge(lookup *l, const unsigned char *octets, size_t len, int *again)
{
    message m;
    walk w;
    unsigned followed = 0;
    dns_cares_status status;
    if (!get_message(&m, octets, len))
        return DNS_CARES_MALFORMED;
    if (m.rcode == SERVFAIL)
        return DNS_CARES_SERVFAIL;
    if (m.rcode != NOERROR && m.rcode != NXDOMAIN)
        return DNS_CARES_REFUSED;
    status = follow_aliases(l, &m, &followed);
    if (status != DNS_CARES_OK)
        return status;
    if (m.rcode == NXDOMAIN)
        return absent(l, &m, DNS_CARES_NO_NAME);
    if (has_records(l, &m, l->type, &w))
        return take(l, &m);
    if (followed > 0 && !m.has_soa) {
        *again = 1;
        return DNS_CARES_NO_DATA;
    }
    return absent(l, &m, DNS_CARES_NO_DATA);
}

/* ==== Queries */

/* What c-ares says if it has no answer. */
static dns_cares_status status_of(int ares_status)
{
    switch (ares_status) {
    case ARES_ENOTFOUND: /* a name that it does not ask anyone for, such as x.onion */
        return DNS_CARES_NO_NAME;
    case ARES_EBADNAME:
        return DNS_CARES_BAD_NAME;
    case ARES_EBADRESP:
        return DNS_CARES_MALFORMED;
    case ARES_ETIMEOUT:
        return DNS_CARES_TIMEOUT;
    case ARES_ENOMEM:
        return DNS_CARES_NO_MEMORY;
    default:
        return DNS_CARES_NO_SERVER;
    }
}

/* Labels of 1 to 63 octets, 253 in all, that c-ares does not take for escapes. A text that
 * put_octet made escapes in is none: its name cannot be asked for. */
static int askable(const char *name)
{
    size_t len = strlen(name), label = 0, i;
    for (i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '\\')
            return 0;
        if (name[i] == '.' && label == 0)
            return 0;
        label = name[i] == '.' ? 0 : label + 1;
        if (label > 63)
            return 0;
    }
    return label > 0 && len <= 253;
}

static void free_query(dns_cares_query *q)
{
    unsigned i;
    for (i = 0; i < q->count; i++) {
        free(q->lookups[i].txt);
        free(q->lookups[i].mx);
        free(q->lookups[i].addresses);
    }
    free(q);
}

static void unlink_query(dns_cares_query *q)
{
    *q->link = q->next;
    if (q->next)
        q->next->link = q->link;
}

/* c-ares is through with it. */
static void end_lookup(dns_cares_query *q)
{
    if (--q->pending > 0)
        return;
    if (q->cancelled)
        free_query(q);
    else
        event_active(&q->ready, EV_TIMEOUT, 0);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *octets, int len);

static void ask(lookup *l)
{
    dns_cares *dns = l->query->dns;
    if (!askable(l->name)) {
        l->status = DNS_CARES_BAD_NAME;
        end_lookup(l->query);
    } else if (dns->sent == AT_ONCE) {
        l->next = NULL;
        *dns->line_end = l;
        dns->line_end = &l->next;
    } else {
        dns->sent++;
        ares_query(dns->channel, l->name, CLASS_IN, (int)l->type, on_answer, l);
    }
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *octets, int len)
{
    lookup *l = arg;
    dns_cares *dns = l->query->dns;
    int again = 0;
    (void)timeouts;
    dns->sent--;
    if (dns->line)
        event_active(&dns->turn, EV_TIMEOUT, 0);
    if (!l->query->cancelled) {
        if (octets) {
            l->status = judge(l, octets, (size_t)len, &again);
        } else {
            l->status = status_of(status);
            l->ttl = 0;
        }
        if (again) {
            l->status = DNS_CARES_TIMEOUT; /* unless it is answered */
            ask(l);
            return;
        }
    }
    end_lookup(l->query);
}

/* How little final a failure is. That there is no such name is so for every type. */
static int weight(dns_cares_status status)
{
    switch (status) {
    case DNS_CARES_OK:
        return 6;
    case DNS_CARES_NO_NAME:
        return 5;
    case DNS_CARES_NO_SERVER: /* of two queries on a socket only one may learn that */
        return 4;
    case DNS_CARES_ALIASES:
        return 2;
    case DNS_CARES_BAD_NAME:
        return 1;
    case DNS_CARES_NO_DATA:
        return 0;
    default:
        return 3;
    }
}

static const lookup *summary(const lookup *a, const lookup *b)
{
    int difference = weight(a->status) - weight(b->status);
    return difference > 0 || (difference == 0 && a->ttl <= b->ttl) ? a : b;
}

/* The addresses of b behind those of a. */
static int join(lookup *a, const lookup *b)
{
    struct sockaddr_storage *all;
    if (b->count == 0)
        return 1;
    all = realloc(a->addresses, (a->count + b->count) * sizeof *all);
    if (!all)
        return 0;
    memcpy(all + a->count, b->addresses, b->count * sizeof *all);
    a->addresses = all;
    a->count += b->count;
    return 1;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    dns_cares_query *q = arg;
    lookup *first = &q->lookups[0], *second = &q->lookups[1];
    const lookup *l = q->count == 2 ? summary(first, second) : first;
    dns_cares_answer answer;
    (void)fd;
    (void)what;
    memset(&answer, 0, sizeof answer);
    answer.name = l->name;
    answer.aliases = l->aliases;
    answer.status = join(first, second) ? l->status : DNS_CARES_NO_MEMORY;
    if (answer.status == DNS_CARES_OK) {
        answer.count = first->count;
        answer.txt = first->txt;
        answer.mx = first->mx;
        answer.addresses = first->addresses;
    }
    if (answer.status == DNS_CARES_OK || answer.status == DNS_CARES_NO_NAME ||
        answer.status == DNS_CARES_NO_DATA)
        answer.ttl = l->ttl;
    unlink_query(q);
    q->cancelled = 1; /* if the time was up, c-ares has it still */
    q->pending++;
    q->done(q->user, &answer); /* which may close `dns` */
    end_lookup(q);
}

static void set_timer(dns_cares *dns)
{
    struct timeval tv;
    if (ares_timeout(dns->channel, NULL, &tv))
        event_add(&dns->timer, &tv);
    else
        event_del(&dns->timer);
}

static lookup *next_in_line(dns_cares *dns)
{
    lookup *l = dns->line;
    dns->line = l->next;
    if (!dns->line)
        dns->line_end = &dns->line;
    return l;
}

/* Those in line, as many as may be sent now. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    dns_cares *dns = arg;
    (void)fd;
    (void)what;
    while (dns->line && dns->sent < AT_ONCE) {
        lookup *l = next_in_line(dns);
        if (l->query->cancelled)
            end_lookup(l->query);
        else
            ask(l);
    }
    set_timer(dns);
}

static void start_lookup(dns_cares_query *q, unsigned type, const char *name, size_t len)
{
    lookup *l = &q->lookups[q->count++];
    l->query = q;
    l->type = type;
    l->status = DNS_CARES_TIMEOUT; /* unless it is answered */
    l->ttl = UINT32_MAX;
    memcpy(l->name, name, len);
}

dns_cares_query *dns_cares_ask(dns_cares *dns, dns_cares_type type, const char *name,
                               void (*done)(void *user, const dns_cares_answer *answer), void *user)
{
    dns_cares_query *q = calloc(1, sizeof *q);
    size_t len = strlen(name);
    unsigned i;
    if (!q)
        return NULL;
    q->dns = dns;
    q->done = done;
    q->user = user;
    q->next = dns->queries;
    q->link = &dns->queries;
    if (q->next)
        q->next->link = &q->next;
    dns->queries = q;
    event_assign(&q->ready, dns->base, -1, 0, on_ready, q);
    event_add(&q->ready, &dns->deadline); /* or earlier, when all is answered */
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len >= NAME_TEXT)
        len = NAME_TEXT - 1; /* which is still too long */
    start_lookup(q,
                 type == DNS_CARES_TXT  ? TYPE_TXT
                 : type == DNS_CARES_MX ? TYPE_MX
                                        : TYPE_AAAA,
                 name, len);
    if (type == DNS_CARES_ADDRESSES)
        start_lookup(q, TYPE_A, name, len);
    q->pending = q->count;
    for (i = 0; i < q->count; i++)
        ask(&q->lookups[i]);
    set_timer(dns);
    return q;
}

void dns_cares_cancel(dns_cares_query *q)
{
    unlink_query(q);
    q->cancelled = 1;
    event_del(&q->ready);
    if (q->pending == 0)
        free_query(q);
}

/* ==== The loop */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    dns_cares *dns = arg;
    ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    set_timer(dns);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    (void)fd;
    on_socket(-1, 0, arg);
}

/* c-ares tells what it wants of a socket; nothing: it is about to be closed. Without memory the
 * query that needs it times out. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    dns_cares *dns = arg;
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    sock **link = &dns->socks, *s;
    while (*link && (*link)->fd != fd)
        link = &(*link)->next;
    s = *link;
    if (s) {
        event_del(&s->event);
    } else if (what && (s = calloc(1, sizeof *s)) != NULL) {
        s->fd = fd;
        *link = s;
    }
    if (s && what) {
        event_assign(&s->event, dns->base, fd, (short)(what | EV_PERSIST), on_socket, dns);
        event_add(&s->event, NULL);
    } else if (s) {
        *link = s->next;
        free(s);
    }
}

static unsigned bounded(unsigned value, unsigned if_zero, unsigned max)
{
    if (value == 0)
        return if_zero;
    return value < max ? value : max;
}

static int open_channel(dns_cares *dns, const dns_cares_options *options)
{
    struct ares_options o;
    int status;
    memset(&o, 0, sizeof o);
    o.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP;
    o.ednspsz = UDP_MAX;
    o.timeout = (int)bounded(options->timeout, 3000, TIMEOUT_MAX);
    o.tries = (int)bounded(options->tries, 3, TRIES_MAX);
    o.sock_state_cb = on_state;
    o.sock_state_cb_data = dns;
    status = ares_init_options(&dns->channel, &o,
                               ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS |
                                   ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return status;
    if (options->servers && !*options->servers)
        status = ARES_EBADSTR; /* c-ares would take those of resolv.conf */
    else if (options->servers)
        status = ares_set_servers_ports_csv(dns->channel, options->servers);
    if (status != ARES_SUCCESS)
        ares_destroy(dns->channel);
    return status;
}

dns_cares *dns_cares_open(struct event_base *base, const dns_cares_options *options, char *error,
                          size_t error_size)
{
    static const dns_cares_options defaults;
    dns_cares *dns = calloc(1, sizeof *dns);
    unsigned deadline;
    int status = ARES_ENOMEM;
    if (!options)
        options = &defaults;
    if (dns) {
        dns->base = base;
        dns->max_aliases = bounded(options->max_aliases, 5, ALIASES_MAX);
        deadline = bounded(options->deadline, 30000, DEADLINE_MAX);
        dns->deadline.tv_sec = (time_t)(deadline / 1000);
        dns->deadline.tv_usec = (suseconds_t)(deadline % 1000 * 1000);
        dns->line_end = &dns->line;
        event_assign(&dns->timer, base, -1, 0, on_timer, dns);
        event_assign(&dns->turn, base, -1, 0, on_turn, dns);
        status = ares_library_init(ARES_LIB_INIT_ALL);
        if (status == ARES_SUCCESS) {
            status = open_channel(dns, options);
            if (status != ARES_SUCCESS)
                ares_library_cleanup();
        }
    }
    if (status == ARES_SUCCESS)
        return dns;
    snprintf(error, error_size, "DNS cannot be used: %s", ares_strerror(status));
    free(dns);
    return NULL;
}

void dns_cares_close(dns_cares *dns)
{
    dns_cares_query *q, *next;
    if (!dns)
        return;
    for (q = dns->queries; q; q = next) {
        next = q->next;
        dns_cares_cancel(q);
    }
    while (dns->line)
        end_lookup(next_in_line(dns)->query);
    ares_destroy(dns->channel);
    ares_library_cleanup();
    event_del(&dns->timer);
    event_del(&dns->turn);
    free(dns);
}

/* ==== What a status means */

mtasts_err dns_cares_err(dns_cares_status status)
{
    switch (status) {
    case DNS_CARES_OK:
        return MTASTS_OK;
    case DNS_CARES_NO_NAME:
    case DNS_CARES_NO_DATA:
    case DNS_CARES_BAD_NAME: /* so nothing can be there */
        return MTASTS_ERR_NO_RECORD;
    case DNS_CARES_ALIASES:
        return MTASTS_ERR_DNS_CNAME;
    default:
        return MTASTS_ERR_DNS;
    }
}

const char *dns_cares_text(dns_cares_status status)
{
    static const char *const texts[] = {
        "found",
        "the name does not exist",
        "the name has no such record",
        "the name cannot be asked for",
        "the DNS server failed (SERVFAIL)",
        "the DNS server refuses to answer",
        "no DNS server answered in time",
        "no DNS server can be reached",
        "too many aliases, or a circle of them",
        "the DNS server's answer is malformed",
        "out of memory",
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}
