/* The language of FILE (world.c tells it), and what was read of it. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

enum { FILE_MAX = 16 << 20, WORDS_MAX = 256, MANY_MAX = 20000, TTL = 300, MAX_AGE = 604800 };

/* ---- memory that is given back all at once ---- */

struct block {
    struct block *next;
    size_t used, size;
};

static void *get(world *w, size_t size)
{
    struct block *b = w->blocks;
    void *p;
    size = (size + 15) & ~(size_t)15;
    if (!b || b->size - b->used < size) {
        size_t room = size > 65536 ? size : 65536;
        b = malloc(sizeof *b + 16 + room);
        if (!b) {
            fputs("mtasts-world: no memory\n", stderr);
            exit(EXIT_FAILURE);
        }
        b->next = w->blocks;
        b->used = (16 - sizeof *b % 16) % 16;
        b->size = b->used + room;
        w->blocks = b;
    }
    p = (char *)(b + 1) + b->used;
    b->used += size;
    memset(p, 0, size);
    return p;
}

static const char *copy(world *w, const void *octets, size_t len)
{
    char *p = get(w, len + 1);
    if (len)
        memcpy(p, octets, len);
    return p;
}

static text make_text(world *w, const void *octets, size_t len)
{
    text t = {copy(w, octets, len), len};
    return t;
}

/* ---- tables ---- */

static slot *seek(const table *t, const void *key, size_t len)
{
    const unsigned char *octets = key;
    uint64_t hash = 14695981039346656037u;
    size_t i;
    for (i = 0; i < len; i++)
        hash = (hash ^ octets[i]) * 1099511628211u;
    for (i = (size_t)hash & (t->size - 1); t->slots[i].key; i = (i + 1) & (t->size - 1))
        if (t->slots[i].len == len && memcmp(t->slots[i].key, key, len) == 0)
            break;
    return &t->slots[i];
}

static void *find(const table *t, const void *key, size_t len)
{
    return t->size ? seek(t, key, len)->value : NULL;
}

static void grow(world *w, table *t)
{
    table larger = {NULL, t->size ? t->size * 2 : 64, t->count};
    size_t i;
    larger.slots = get(w, larger.size * sizeof *larger.slots);
    for (i = 0; i < t->size; i++)
        if (t->slots[i].key)
            *seek(&larger, t->slots[i].key, t->slots[i].len) = t->slots[i];
    *t = larger;
}

/* The key is kept. */
static void add(world *w, table *t, const void *key, size_t len, void *value)
{
    slot s = {key, len, value};
    if (2 * t->count >= t->size)
        grow(w, t);
    *seek(t, key, len) = s;
    t->count++;
}

/* ---- names ---- */

void lower(void *octets, size_t len)
{
    unsigned char *p = octets;
    for (; len; p++, len--)
        if (*p >= 'A' && *p <= 'Z')
            *p = (unsigned char)(*p + ('a' - 'A'));
}

size_t wire_name(unsigned char out[WIRE_NAME_MAX], const char *name, size_t len)
{
    size_t used = 0;
    int root = len == 1 && *name == '.';
    while (!root) {
        const char *dot = len ? memchr(name, '.', len) : NULL;
        size_t label = dot ? (size_t)(dot - name) : len;
        if (label == 0 || label > 63 || used + label + 2 > WIRE_NAME_MAX)
            return 0;
        out[used++] = (unsigned char)label;
        memcpy(out + used, name, label);
        used += label;
        if (!dot)
            break;
        name = dot + 1;
        len -= label + 1;
    }
    out[used++] = 0;
    return used;
}

node *world_name(const world *w, const unsigned char *name, size_t len)
{
    return find(&w->names, name, len);
}

host *world_host(const world *w, service s, const char *name, size_t len)
{
    return find(&w->hosts[s], name, len);
}

host *world_host_at(const world *w, service s, const char *address)
{
    host *h = strcmp(address, SHARED_ADDRESS) == 0 ? NULL : w->first;
    while (h && (h->service != s || strcmp(h->address, address) != 0))
        h = h->next;
    return h;
}

/* ---- the words that mean a number ---- */

typedef struct meaning {
    const char *name;
    int value;
    unsigned where;
} meaning;

enum { IN_HTTPS = 1 << HTTPS, IN_SMTP = 1 << SMTP, IN_DNS = 1 << DNS, OWN_ADDRESS = 8 };

static const meaning faults[] = {
    {"none", FAULT_NONE, IN_HTTPS | IN_SMTP},
    {"refuse", FAULT_REFUSE, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"blackhole", FAULT_BLACKHOLE, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"silent", FAULT_SILENT, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"reset", FAULT_RESET, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"alert", FAULT_ALERT, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"tls11", FAULT_TLS11, IN_HTTPS | IN_SMTP | OWN_ADDRESS},
    {"plain", FAULT_PLAIN, IN_HTTPS | OWN_ADDRESS},
    {"drip", FAULT_DRIP, IN_HTTPS | IN_SMTP},
    {"endless-head", FAULT_ENDLESS_HEAD, IN_HTTPS},
    {"endless-body", FAULT_ENDLESS_BODY, IN_HTTPS},
    {"large", FAULT_LARGE, IN_HTTPS},
    {"cut", FAULT_CUT, IN_HTTPS},
    {"short", FAULT_SHORT, IN_HTTPS},
    {"gzip", FAULT_GZIP, IN_HTTPS},
    {"redirect", FAULT_REDIRECT, IN_HTTPS},
    {"chunked", FAULT_CHUNKED, IN_HTTPS},
    {"bad-chunk", FAULT_BAD_CHUNK, IN_HTTPS},
    {"until-close", FAULT_UNTIL_CLOSE, IN_HTTPS},
    {"until-cut", FAULT_UNTIL_CUT, IN_HTTPS},
    {"bad-status-line", FAULT_BAD_STATUS_LINE, IN_HTTPS},
    {"no-starttls", FAULT_NO_STARTTLS, IN_SMTP},
    {"starttls-refused", FAULT_STARTTLS_REFUSED, IN_SMTP},
    {"inject", FAULT_INJECT, IN_SMTP},
    {"starttls-reset", FAULT_STARTTLS_RESET, IN_SMTP},
    {"greeting-554", FAULT_GREETING_554, IN_SMTP},
    {"ehlo-refused", FAULT_EHLO_REFUSED, IN_SMTP},
    {"endless-line", FAULT_ENDLESS_LINE, IN_SMTP},
    {"servfail", FAULT_SERVFAIL, IN_DNS},
    {"refused", FAULT_REFUSED, IN_DNS},
    {"nxdomain", FAULT_NXDOMAIN, IN_DNS},
    {"drop", FAULT_DROP, IN_DNS},
    {"garbage", FAULT_GARBAGE, IN_DNS},
    {"truncate", FAULT_TRUNCATE, IN_DNS},
    {NULL, 0, 0},
};

static const meaning certs[] = {
    {"good", CERT_GOOD, 0},
    {"expired", CERT_EXPIRED, 0},
    {"future", CERT_FUTURE, 0},
    {"self", CERT_SELF, 0},
    {"other-ca", CERT_OTHER_CA, 0},
    {"wildcard", CERT_WILDCARD, 0},
    {"revoked", CERT_REVOKED, 0},
    {"cn-only", CERT_CN_ONLY, 0},
    {"intermediate", CERT_INTERMEDIATE, 0},
    {"no-intermediate", CERT_NO_INTERMEDIATE, 0},
    {NULL, 0, 0},
};

static const meaning types[] = {
    {"a", 1, 0}, {"cname", 5, 0}, {"mx", 15, 0}, {"txt", 16, 0}, {"aaaa", 28, 0}, {NULL, 0, 0},
};

static const meaning *lookup(const meaning *m, const char *name)
{
    while (m->name && strcmp(m->name, name) != 0)
        m++;
    return m->name ? m : NULL;
}

const char *fault_name(fault f)
{
    const meaning *m = faults;
    while (m->name && m->value != (int)f)
        m++;
    return m->name ? m->name : "";
}

static int takes_own_address(const host *h)
{
    size_t i;
    if (h->service == SMTP) /* nothing else tells hosts apart before TLS, or to who sends no SNI */
        return h->fault != FAULT_NONE || h->cert != CERT_GOOD || h->requiretls;
    for (i = 0; faults[i].name; i++)
        if (faults[i].value == (int)h->fault)
            return (faults[i].where & OWN_ADDRESS) != 0;
    return 0;
}

/* ---- lines as words ---- */

typedef struct word {
    char *ptr; /* NUL-terminated */
    size_t len;
    int quoted; /* it began with a quote, and so is no option */
} word;

typedef struct line {
    word words[WORDS_MAX];
    size_t count;
} line;

static int hex(int c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* One octet after a backslash; returns where to go on, or NULL. */
static const char *unescape(const char *p, const char *end, char *out)
{
    if (p == end)
        return NULL;
    switch (*p++) {
    case 'n':
        *out = '\n';
        return p;
    case 'r':
        *out = '\r';
        return p;
    case 't':
        *out = '\t';
        return p;
    case '\\':
    case '"':
        *out = p[-1];
        return p;
    case 'x':
        if (end - p < 2 || hex(p[0]) < 0 || hex(p[1]) < 0)
            return NULL;
        *out = (char)(unsigned char)(hex(p[0]) * 16 + hex(p[1]));
        return p + 2;
    default:
        return NULL;
    }
}

static int blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One word, written over itself with what its quotes and backslashes mean. */
static const char *split_word(const char **from, const char *end, char *out, word *w)
{
    const char *p = *from;
    int quotes = 0;
    w->ptr = out;
    w->quoted = *p == '"';
    for (; p < end && (quotes || !blank(*p)); out++) {
        if (*p == '"') {
            quotes = !quotes;
            p++;
            out--;
        } else if (quotes && *p == '\\') {
            p = unescape(p + 1, end, out);
            if (!p)
                return "a \\ that means nothing";
        } else {
            *out = *p++;
        }
    }
    if (quotes)
        return "a quote without its end";
    w->len = (size_t)(out - w->ptr);
    *from = p;
    return NULL;
}

static const char *split(line *l, char *p, const char *end)
{
    const char *from = p;
    for (l->count = 0;;) {
        const char *error;
        while (from < end && blank(*from))
            from++;
        if (from == end || *from == '#')
            return NULL;
        if (l->count == WORDS_MAX)
            return "too many words";
        error = split_word(&from, end, p, &l->words[l->count]);
        if (error)
            return error;
        from += from < end; /* the blank after it makes room for a NUL; so does the newline */
        p = l->words[l->count].ptr + l->words[l->count].len;
        *p++ = '\0';
        l->count++;
    }
}

/* The value of KEY=VALUE, or NULL. */
static char *option(const word *w, const char *key, size_t *len)
{
    size_t n = strlen(key);
    if (w->quoted || w->len <= n || memcmp(w->ptr, key, n) != 0 || w->ptr[n] != '=')
        return NULL;
    *len = w->len - n - 1;
    return w->ptr + n + 1;
}

static int number(const char *digits, unsigned long max, unsigned long *out)
{
    char *end;
    if (*digits < '0' || *digits > '9')
        return 0;
    errno = 0;
    *out = strtoul(digits, &end, 10);
    return !errno && !*end && *out <= max;
}

/* ---- dns ---- */

static node *name_add(world *w, const unsigned char *wire, size_t len)
{
    unsigned char key[WIRE_NAME_MAX];
    node *n;
    memcpy(key, wire, len);
    lower(key, len);
    n = world_name(w, key, len);
    if (!n) {
        n = get(w, sizeof *n);
        add(w, &w->names, copy(w, key, len), len, n);
    }
    return n;
}

static node *name_add_text(world *w, const char *name, size_t len)
{
    unsigned char wire[WIRE_NAME_MAX];
    size_t wire_len = wire_name(wire, name, len);
    return wire_len ? name_add(w, wire, wire_len) : NULL;
}

static record *record_add(world *w, node *n, unsigned type, uint32_t ttl, const void *data,
                          size_t len)
{
    record *r = get(w, sizeof *r);
    r->type = type;
    r->ttl = ttl;
    r->data = (const unsigned char *)copy(w, data, len);
    r->len = len;
    *(n->last ? &n->last->next : &n->first) = r;
    n->last = r;
    return r;
}

static int has_record(const node *n, unsigned type, const void *data, size_t len)
{
    const record *r;
    for (r = n->first; r; r = r->next)
        if (!r->fault && r->type == type &&
            (!data || (r->len == len && !memcmp(r->data, data, len))))
            return 1;
    return 0;
}

static const char *address_add(world *w, node *n, const char *address, int family, uint32_t ttl)
{
    unsigned char data[16];
    int v6 = family == AF_INET6;
    if (inet_pton(family, address, data) != 1)
        return "not such an address";
    if (!has_record(n, v6 ? 28 : 1, data, v6 ? 16 : 4))
        record_add(w, n, v6 ? 28 : 1, ttl, data, v6 ? 16 : 4);
    return NULL;
}

static const char *txt_add(world *w, node *n, const word *strings, size_t count, uint32_t ttl)
{
    unsigned char data[65536];
    size_t used = 0, i;
    for (i = 0; i < count; i++) {
        if (strings[i].len > 255)
            return "a string of more than 255 octets";
        if (used + strings[i].len + 1 > 65000)
            return "too much for one record";
        data[used++] = (unsigned char)strings[i].len;
        memcpy(data + used, strings[i].ptr, strings[i].len);
        used += strings[i].len;
    }
    record_add(w, n, 16, ttl, data, used);
    return NULL;
}

static const char *mx_add(world *w, node *n, unsigned long preference, const char *name, size_t len,
                          uint32_t ttl)
{
    unsigned char data[2 + WIRE_NAME_MAX];
    size_t used = wire_name(data + 2, name, len);
    if (!used)
        return "the MX host is no name";
    data[0] = (unsigned char)(preference >> 8);
    data[1] = (unsigned char)preference;
    record_add(w, n, 15, ttl, data, used + 2);
    return NULL;
}

static const char *cname_add(world *w, node *n, const line *l, uint32_t ttl)
{
    unsigned char data[WIRE_NAME_MAX];
    size_t used = wire_name(data, l->words[3].ptr, l->words[3].len);
    int bare = l->count == 5 && strcmp(l->words[4].ptr, "bare") == 0;
    if (!used || (l->count != 4 && !bare))
        return "dns NAME cname TARGET [bare] [ttl=N]";
    record_add(w, n, 5, ttl, data, used)->bare = bare;
    return NULL;
}

static const char *dns_fault(world *w, node *n, const char *name, unsigned type)
{
    const meaning *m = lookup(faults, name);
    if (!m || !(m->where & IN_DNS))
        return "no such fault of DNS";
    record_add(w, n, type, 0, NULL, 0)->fault = (fault)m->value;
    return NULL;
}

/* Take ttl=N out of a line. */
static const char *take_ttl(line *l, uint32_t *ttl)
{
    size_t i, kept = 0, len;
    *ttl = TTL;
    for (i = 0; i < l->count; i++) {
        const char *digits = option(&l->words[i], "ttl", &len);
        unsigned long value;
        if (!digits) {
            l->words[kept++] = l->words[i];
            continue;
        }
        if (!number(digits, 0xffffffff, &value))
            return "ttl=N is no number";
        *ttl = (uint32_t)value;
    }
    l->count = kept;
    return NULL;
}

static const char *dns_record(world *w, const line *l, node *n, unsigned type, uint32_t ttl)
{
    const char *error = NULL;
    unsigned long preference;
    size_t i;
    switch (type) {
    case 5:
        return cname_add(w, n, l, ttl);
    case 15:
        if (l->count != 5 || !number(l->words[3].ptr, 65535, &preference))
            return "dns NAME mx PREFERENCE HOST [ttl=N]";
        return mx_add(w, n, preference, l->words[4].ptr, l->words[4].len, ttl);
    case 16:
        return txt_add(w, n, l->words + 3, l->count - 3, ttl);
    default:
        for (i = 3; i < l->count && !error; i++)
            error = address_add(w, n, l->words[i].ptr, type == 28 ? AF_INET6 : AF_INET, ttl);
        return error;
    }
}

static const char *line_dns(world *w, line *l)
{
    const meaning *m;
    const char *value, *error;
    uint32_t ttl;
    size_t len;
    node *n = l->count > 2 ? name_add_text(w, l->words[1].ptr, l->words[1].len) : NULL;
    if (!n)
        return "dns NAME, and what is there";
    value = option(&l->words[2], "fault", &len);
    if (value)
        return l->count == 3 ? dns_fault(w, n, value, 0) : "a word too many";
    m = lookup(types, l->words[2].ptr);
    if (!m)
        return "no such type of record";
    error = take_ttl(l, &ttl);
    if (error)
        return error;
    if (l->count < 4)
        return "a record of nothing";
    value = option(&l->words[3], "fault", &len);
    if (value && l->count == 4)
        return dns_fault(w, n, value, (unsigned)m->value);
    return dns_record(w, l, n, (unsigned)m->value, ttl);
}

/* ---- https, smtp ---- */

static text make_lower(world *w, const char *octets, size_t len)
{
    char *p = get(w, len + 1);
    text t = {p, len};
    memcpy(p, octets, len);
    lower(p, len);
    return t;
}

/* The host of this name, made if need be; NULL: it is no name. */
static host *host_add(world *w, service s, const char *name, size_t len)
{
    unsigned char wire[WIRE_NAME_MAX];
    text key;
    host *h;
    if (wire_name(wire, name, len) < 2 || memchr(name, '\0', len))
        return NULL;
    key = make_lower(w, name, len);
    h = world_host(w, s, key.ptr, len);
    if (h)
        return h;
    h = get(w, sizeof *h);
    h->service = s;
    h->name = key;
    h->status = 200;
    h->type = make_text(w, "text/plain", 10);
    h->max_age = MAX_AGE;
    add(w, &w->hosts[s], key.ptr, len, h);
    *(w->last ? &w->last->next : &w->first) = h;
    w->last = h;
    return h;
}

static const char *set_address(host *h, const char *address)
{
    unsigned char octets[16];
    int v4 = inet_pton(AF_INET, address, octets) == 1 && octets[0] == 127;
    if (!v4 && strcmp(address, "::1") != 0)
        return "address=A is not one of 127.0.0.0/8, nor ::1";
    if (v4)
        inet_ntop(AF_INET, octets, h->address, sizeof h->address);
    else
        memcpy(h->address, "::1", 4);
    return NULL;
}

static const char *set_cert(world *w, host *h, const char *value, size_t len)
{
    const meaning *m = lookup(certs, value);
    if (m) {
        h->cert = (cert_kind)m->value;
        return NULL;
    }
    if (len <= 5 || len > 5 + 253 || memcmp(value, "name=", 5) != 0)
        return "no such kind of certificate";
    h->cert = CERT_NAME;
    h->cert_name = make_text(w, value + 5, len - 5);
    return NULL;
}

static const char *set_fault(host *h, const char *value)
{
    const meaning *m = lookup(faults, value);
    if (!m || !(m->where & 1u << h->service))
        return "no such fault of this service";
    h->fault = (fault)m->value;
    return NULL;
}

/* The options that https and smtp have in common. *taken: it was one of them. */
static const char *host_option(world *w, host *h, const word *o, int *taken)
{
    const char *value;
    size_t len;
    *taken = 1;
    if ((value = option(o, "cert", &len)))
        return set_cert(w, h, value, len);
    if ((value = option(o, "fault", &len)))
        return set_fault(h, value);
    if ((value = option(o, "address", &len)))
        return set_address(h, value);
    *taken = 0;
    return NULL;
}

static void mx_pattern_add(world *w, host *h, const char *value, size_t len)
{
    pattern **end = &h->mx;
    while (*end)
        end = &(*end)->next;
    *end = get(w, sizeof **end);
    (*end)->text = make_text(w, value, len);
}

/* What makes up a policy: mode=, mx=, max_age=. *fresh: the next mx= is the first of this line. */
static const char *policy_option(world *w, host *h, const word *o, int *fresh, int *taken)
{
    const char *value;
    unsigned long n;
    size_t len;
    *taken = 1;
    if ((value = option(o, "mode", &len))) {
        h->mode = make_text(w, value, len);
        h->policy.ptr = NULL;
    } else if ((value = option(o, "mx", &len))) {
        if (*fresh)
            h->mx = NULL;
        *fresh = 0;
        mx_pattern_add(w, h, value, len);
    } else if ((value = option(o, "max_age", &len))) {
        if (!number(value, 0xffffffff, &n))
            return "max_age=N is no number";
        h->max_age = (uint32_t)n;
    } else {
        *taken = 0;
    }
    return NULL;
}

static const char *https_option(world *w, host *h, const word *o, int *fresh)
{
    const char *value, *error;
    unsigned long n;
    size_t len;
    int taken;
    error = host_option(w, h, o, &taken);
    if (!taken)
        error = policy_option(w, h, o, fresh, &taken);
    if (taken)
        return error;
    if ((value = option(o, "policy", &len))) {
        h->policy = make_text(w, value, len);
    } else if ((value = option(o, "type", &len))) {
        h->type = make_text(w, value, len);
    } else if ((value = option(o, "status", &len))) {
        if (!number(value, 999, &n) || n < 100)
            return "status=N is not within 100 and 999";
        h->status = (unsigned)n;
    } else {
        return "no such option of https";
    }
    return NULL;
}

static const char *smtp_option(world *w, host *h, const word *o)
{
    int taken;
    const char *error = host_option(w, h, o, &taken);
    if (taken)
        return error;
    if (strcmp(o->ptr, "requiretls") != 0)
        return "no such option of smtp";
    h->requiretls = 1;
    return NULL;
}

static const char *line_host(world *w, service s, const line *l)
{
    const char *error = NULL;
    int fresh = 1;
    size_t i;
    host *h = l->count > 1 ? host_add(w, s, l->words[1].ptr, l->words[1].len) : NULL;
    if (!h)
        return "a HOST with a name is needed";
    for (i = 2; i < l->count && !error; i++)
        error =
            s == HTTPS ? https_option(w, h, &l->words[i], &fresh) : smtp_option(w, h, &l->words[i]);
    return error;
}

static const char *line_https(world *w, line *l)
{
    return line_host(w, HTTPS, l);
}

static const char *line_smtp(world *w, line *l)
{
    return line_host(w, SMTP, l);
}

/* ---- domain, many ---- */

static const char *domain_txt(world *w, const char *name, const word *options, size_t count)
{
    char owner[300], content[256];
    const char *id = "1";
    word string = {content, 0, 1};
    size_t i, len;
    int written;
    node *n;
    for (i = 0; i < count; i++)
        if (option(&options[i], "id", &len))
            id = option(&options[i], "id", &len);
    snprintf(owner, sizeof owner, "_mta-sts.%s", name);
    written = snprintf(content, sizeof content, "v=STSv1; id=%s;", id);
    n = name_add_text(w, owner, strlen(owner));
    if (!n || written < 0 || (size_t)written >= sizeof content)
        return "the name or the id is too long";
    string.len = (size_t)written;
    return txt_add(w, n, &string, 1, TTL);
}

static const char *domain_https(world *w, const char *name, const char *mx, const word *options,
                                size_t count)
{
    char policy_host[300];
    const char *error = NULL;
    size_t i, len;
    int fresh = 1, taken;
    host *h;
    snprintf(policy_host, sizeof policy_host, "mta-sts.%s", name);
    h = host_add(w, HTTPS, policy_host, strlen(policy_host));
    if (!h)
        return "the name is too long";
    h->mode = make_text(w, "enforce", 7);
    h->mx = NULL;
    for (i = 0; i < count && !error; i++) {
        error = policy_option(w, h, &options[i], &fresh, &taken);
        if (!taken && !option(&options[i], "id", &len))
            error = "no such option of domain";
    }
    if (!h->mx)
        mx_pattern_add(w, h, mx, strlen(mx));
    return error;
}

static const char *domain_add(world *w, const char *name, const word *options, size_t count)
{
    char mx[300];
    const char *error;
    node *n;
    if (!name || strlen(name) > 253)
        return "the name is too long";
    snprintf(mx, sizeof mx, "mx1.%s", name);
    n = name_add_text(w, name, strlen(name));
    if (!n || !host_add(w, SMTP, mx, strlen(mx)))
        return "not a name, or too long";
    error = mx_add(w, n, 10, mx, strlen(mx), TTL);
    if (!error)
        error = domain_txt(w, name, options, count);
    if (!error)
        error = domain_https(w, name, mx, options, count);
    return error;
}

static const char *line_domain(world *w, line *l)
{
    if (l->count < 2)
        return "domain NAME";
    return domain_add(w, l->words[1].ptr, l->words + 2, l->count - 2);
}

static const char *line_many(world *w, line *l)
{
    const char *error = NULL;
    unsigned long count, i;
    if (l->count < 4 || !number(l->words[2].ptr, MANY_MAX, &count) || l->words[1].len > 100 ||
        l->words[3].len > 253)
        return "many PREFIX COUNT SUFFIX";
    for (i = 1; i <= count && !error; i++) {
        char name[400];
        snprintf(name, sizeof name, "%s%lu.%s", l->words[1].ptr, i, l->words[3].ptr);
        error = domain_add(w, name, l->words + 4, l->count - 4);
    }
    return error;
}

/* ---- when all lines are read ---- */

static int address_taken(const world *w, const host *but, const char *address)
{
    const host *h;
    for (h = w->first; h; h = h->next)
        if (h != but && strcmp(h->address, address) == 0)
            return 1;
    return 0;
}

static const char *give_address(world *w, host *h, unsigned *last)
{
    int own = takes_own_address(h);
    if (!*h->address && !own)
        memcpy(h->address, SHARED_ADDRESS, sizeof SHARED_ADDRESS);
    while (!*h->address) {
        char address[ADDRESS_MAX];
        if (++*last > 65000)
            return "too many hosts that need an address of their own";
        snprintf(address, sizeof address, "127.1.%u.%u", *last / 250, *last % 250 + 1);
        if (!address_taken(w, h, address))
            memcpy(h->address, address, sizeof address);
    }
    if (own && strcmp(h->address, SHARED_ADDRESS) == 0)
        return "a fault that needs an address of its own at " SHARED_ADDRESS;
    return NULL;
}

static void publish_address(world *w, const host *h)
{
    node *n = name_add_text(w, h->name.ptr, h->name.len);
    if (n && !has_record(n, 5, NULL, 0)) /* delegated: the target has the address */
        address_add(w, n, h->address, strchr(h->address, ':') ? AF_INET6 : AF_INET, TTL);
}

static void write_policy(world *w, host *h)
{
    size_t size = h->mode.len + 100;
    const pattern *p;
    char *out;
    int used;
    for (p = h->mx; p; p = p->next)
        size += p->text.len + 5;
    out = get(w, size);
    used = snprintf(out, size, "version: STSv1\nmode: %s\n", h->mode.ptr);
    for (p = h->mx; p; p = p->next)
        used += snprintf(out + used, size - (size_t)used, "mx: %s\n", p->text.ptr);
    used += snprintf(out + used, size - (size_t)used, "max_age: %lu\n", (unsigned long)h->max_age);
    h->policy.ptr = out;
    h->policy.len = (size_t)used;
}

static const char *complete(world *w, authority *a)
{
    const char *error = NULL;
    unsigned last = 0;
    host *h;
    for (h = w->first; h && !error; h = h->next) {
        error = give_address(w, h, &last);
        publish_address(w, h);
        if (h->service == HTTPS && !h->policy.ptr && h->mode.ptr)
            write_policy(w, h);
        h->serial = ++a->serial;
    }
    return error;
}

/* ---- all of it ---- */

static const char *read_line(world *w, line *l)
{
    static const struct {
        const char *name;
        const char *(*read)(world *w, line *l);
    } kinds[] = {{"dns", line_dns},
                 {"https", line_https},
                 {"smtp", line_smtp},
                 {"domain", line_domain},
                 {"many", line_many}};
    size_t i;
    for (i = 0; l->count && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(l->words[0].ptr, kinds[i].name) == 0)
            return kinds[i].read(w, l);
    return l->count ? "a line begins with dns, https, smtp, domain or many" : NULL;
}

static int complain(const char *path, size_t number, const char *error)
{
    fputs("mtasts-world: ", stderr);
    put_printable(stderr, path, strlen(path));
    if (number)
        fprintf(stderr, ":%zu", number);
    fprintf(stderr, ": %s\n", error);
    return 0;
}

static int read_lines(world *w, const char *path, char *p, char *end)
{
    static line l; /* large */
    size_t number;
    for (number = 1; p < end; number++) {
        char *newline = memchr(p, '\n', (size_t)(end - p));
        char *next = newline ? newline + 1 : end;
        const char *error = split(&l, p, newline ? newline : end);
        if (!error)
            error = read_line(w, &l);
        if (error)
            return complain(path, number, error);
        p = next;
    }
    return 1;
}

/* All of a file, with room for one octet more; NULL: errno says why. */
static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *octets = f ? malloc(FILE_MAX + 1) : NULL;
    if (octets) {
        *len = fread(octets, 1, FILE_MAX + 1, f);
        if (ferror(f) || *len > FILE_MAX) {
            errno = ferror(f) ? EIO : EFBIG;
            free(octets);
            octets = NULL;
        }
    }
    if (f)
        fclose(f);
    return octets;
}

world *world_load(const char *path, authority *a)
{
    const char *error;
    size_t len = 0;
    char *octets = read_file(path, &len);
    world *w = calloc(1, sizeof *w);
    int ok;
    if (!octets || !w) {
        complain(path, 0, strerror(errno));
        free(octets);
        free(w);
        return NULL;
    }
    w->holders = 1;
    mbedtls_ssl_config_init(&w->tls[HTTPS]);
    mbedtls_ssl_config_init(&w->tls[SMTP]);
    ok = read_lines(w, path, octets, octets + len);
    free(octets);
    error = ok ? complete(w, a) : NULL;
    if (!error && ok && !world_secure(w, a))
        error = "the certificates cannot be made";
    if (error)
        ok = complain(path, 0, error);
    if (!ok) {
        world_release(w);
        return NULL;
    }
    return w;
}

void world_release(world *w)
{
    struct block *b, *next;
    host *h;
    if (--w->holders)
        return;
    for (h = w->first; h; h = h->next) {
        mbedtls_x509_crt_free(h->leaf);
        free(h->leaf);
    }
    mbedtls_ssl_config_free(&w->tls[HTTPS]);
    mbedtls_ssl_config_free(&w->tls[SMTP]);
    for (b = w->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(w);
}
