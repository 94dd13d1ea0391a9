/* Sections 12 to 16, an attacker against the client (RFC 8461 3.3, 5.1, 10; rules D1 to D17, H5).
 * Goal: who owns DNS and the path to the policy host can delay, or deny a first contact, no more.
 * Method: a seeded attacker plays a million moves, and our own books say what must be held. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mtasts.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
    VICTIMS = 24, /* publish enforced policies */
    KNOWN = 36,   /* with the honest ones in testing, none, and without a policy */
    VERSIONS = 8, /* texts of a domain that are remembered */
    SLOTS = 384,  /* look-ups that the sender can have open */
    PENDING = 1024,
    LATE = 64, /* tickets that were answered, or are too old */
    LOGGED = 40,
    STORED = 8, /* entries of the attacker's domains in the store */
    TEXT = 512
};

/* ---- the dice, the log, and the end ---- */

typedef struct logged {
    long step;
    int64_t now;
    const char *what;
    char domain[48];
    int64_t detail;
} logged;

static uint64_t seed, dice;
static long step, world_number;
static logged log_ring[LOGGED];
static unsigned log_next;
static int64_t now;

static uint64_t roll(void)
{
    uint64_t x = dice += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static unsigned below(unsigned n)
{
    return (unsigned)(roll() % n);
}

/* One time in n. */
static int chance(unsigned n)
{
    return below(n) == 0;
}

static void note(const char *what, const char *domain, int64_t detail)
{
    logged *l = &log_ring[log_next++ % LOGGED];
    l->step = step;
    l->now = now;
    l->what = what;
    l->detail = detail;
    snprintf(l->domain, sizeof l->domain, "%.47s", domain);
}

static void fail(const char *invariant, const char *what, const char *domain)
{
    unsigned i;
    printf("adversary: FAILED: invariant %s: %s (%s)\n", invariant, what, domain);
    printf("adversary: seed %llu, world %ld, step %ld, clock %lld; the last moves:\n",
           (unsigned long long)seed, world_number, step, (long long)now);
    for (i = log_next > LOGGED ? log_next - LOGGED : 0; i < log_next; i++) {
        const logged *l = &log_ring[i % LOGGED];
        printf("  step %ld, clock %lld: %s %s %lld\n", l->step, (long long)l->now, l->what,
               l->domain, (long long)l->detail);
    }
    exit(1);
}

/* ---- the worlds, and what is counted ---- */

typedef struct world {
    const char *name;
    int blocking;      /* callbacks answer before they return */
    size_t octets;     /* the client's bound; of a pool the block's size */
    int pool;          /* memory is a block */
    size_t entries;    /* bound; 0: none */
    uint32_t lookups;  /* at once */
    int store;         /* there is one */
    unsigned big_each; /* one of the attacker's policies in so many may have 64 KiB */
} world;

static const world worlds[] = {
    {"events, 48 KiB", 0, 49152, 0, 0, 8, 0, 200},
    {"events, 128 KiB, store", 0, 131072, 0, 0, 16, 1, 100},
    {"events, 512 KiB", 0, 524288, 0, 0, 64, 0, 60},
    {"events, 4 MiB, store", 0, 4194304, 0, 0, 256, 1, 30},
    {"events, 16 MiB", 0, 16777216, 0, 0, 256, 0, 30},
    {"events, 60 entries, store", 0, 16777216, 0, 60, 32, 1, 60},
    {"events, pool of 64 KiB, store", 0, 65536, 1, 0, 8, 1, 200},
    {"events, pool of 1 MiB", 0, 1048576, 1, 0, 64, 0, 60},
    {"blocking, 48 KiB, store", 1, 49152, 0, 0, 4, 1, 200},
    {"blocking, 256 KiB", 1, 262144, 0, 0, 16, 0, 100},
    {"blocking, 4 MiB, store", 1, 4194304, 0, 0, 64, 1, 30},
    {"blocking, 100 entries", 1, 16777216, 0, 100, 16, 0, 60},
    {"blocking, pool of 64 KiB", 1, 65536, 1, 0, 4, 0, 200},
    {"blocking, pool of 512 KiB, store", 1, 524288, 1, 0, 16, 1, 60},
};

#define MOVES(X)                        \
    X(M_MAIL, "own mail")               \
    X(M_VICTIM, "victim mail")          \
    X(M_AGAIN, "failed delivery")       \
    X(M_TXT, "TXT")                     \
    X(M_HTTPS, "HTTPS")                 \
    X(M_LATE, "late or foreign ticket") \
    X(M_END, "end") X(M_FORGE, "forged MX") X(M_TIME, "time") X(M_CHANGE, "policy change")
#define ENUM(name, text) name,
#define NAME(name, text) text,
enum { MOVES(ENUM) MOVE_COUNT };
static const char *const move_names[] = {MOVES(NAME)};

static const world *w;
static mtasts_client client;
static void *block;
static uint64_t moves[MOVE_COUNT], victim_lookups, held_lookups, judged, deferred, evictions,
    victim_evictions, injected, fetches, found_again, unkept;
static size_t asked_now;      /* octets that the client has from the hooks */
static unsigned pieces_now;   /* in so many pieces */
static unsigned worst_events; /* in one call */
static unsigned worst_allocations, worst_callbacks, worst_evictions, worst_fetches;

/* What one call of the client did. */
static struct {
    unsigned callbacks, allocations, events, evictions;
} work;
static int served; /* a genuine policy was given in this call */
static int lesser; /* the call is about a domain without an enforced policy */

/* ---- the domains that are known by name ---- */

enum { ENFORCED, LENIENT, OFF, BARE }; /* what a domain publishes */

/* One genuine fetch. */
typedef struct fetch {
    unsigned version;
    int64_t fetched, expires;
    char id[MTASTS_ID_MAX + 1];
} fetch;

typedef struct known {
    char name[32];
    int is;
    unsigned version; /* of the policy that the owner publishes now */
    uint32_t max_age;
    char texts[VERSIONS][TEXT];
    size_t text_len[VERSIONS];
    /* the book */
    fetch held, before;             /* the last genuine fetch, and the one before */
    fetch saved, kept;              /* the last one that the store and the memory had room for */
    int in_memory;                  /* it must be: nothing was said of an eviction */
    int in_store;                   /* it is */
    int lost;                       /* a newer one found no room in memory or store */
    fetch coming;                   /* a genuine answer that was given and not yet acted upon */
    int is_coming, no_room;         /* and that found none */
    char txt_id[MTASTS_ID_MAX + 1]; /* that the discovery under way was told */
    char fetch_id[MTASTS_ID_MAX + 1];
    int64_t txt_at, https_at;
    /* the store */
    char stored[TEXT + 1024];
    size_t stored_len;
    int64_t stored_expires;
    /* fetches of late, for H5 */
    struct {
        char id[MTASTS_ID_MAX + 1];
        int64_t at;
        int failed;
        uint64_t forgotten;
    } recent[320];
    unsigned recent_next;
} known;

static known domains[KNOWN];

static void publish(known *k, unsigned version)
{
    static const char *const modes[] = {"enforce", "testing", "none", ""};
    char text[TEXT];
    int len = snprintf(text, sizeof text,
                       "version: STSv1\nmode: %s\nmx: mx%u.%s\nmx: *.pool%u.%s\nmax_age: %lu\n",
                       modes[k->is], version, k->name, version, k->name, (unsigned long)k->max_age);
    k->version = version;
    memcpy(k->texts[version % VERSIONS], text, sizeof text);
    k->text_len[version % VERSIONS] = k->is == BARE ? 0 : (size_t)len;
}

static void found_domains(void)
{
    static const uint32_t ages[] = {7200, 86400, 604800, 2592000, 31557600, 1209600};
    unsigned i;
    memset(domains, 0, sizeof domains);
    for (i = 0; i < KNOWN; i++) {
        known *k = &domains[i];
        k->is = i < VICTIMS ? ENFORCED : (int)(1 + i % 3);
        snprintf(k->name, sizeof k->name, "%c%u.example", i < VICTIMS ? 'v' : 'h', i);
        k->max_age = ages[i % COUNT(ages)];
        publish(k, 1);
    }
}

/* By its name, or NULL: the attacker's. */
static known *known_by(const char *name)
{
    unsigned i;
    if (name[0] != 'v' && name[0] != 'h')
        return NULL;
    i = (unsigned)strtoul(name + 1, NULL, 10);
    return i < KNOWN && strcmp(domains[i].name, name) == 0 ? &domains[i] : NULL;
}

/* Is a policy of the domain held, by the book? */
static int is_held(const known *k)
{
    return k->held.version && now < k->held.expires && (k->in_memory || k->in_store);
}

static int same_text(const known *k, unsigned version, mtasts_str text)
{
    return text.len == k->text_len[version % VERSIONS] &&
           memcmp(text.ptr, k->texts[version % VERSIONS], text.len) == 0;
}

static int same_str(mtasts_str s, const char *text)
{
    return s.len == strlen(text) && (!s.len || memcmp(s.ptr, text, s.len) == 0);
}

static int is_fetch(const known *k, const fetch *f, const mtasts_entry *e)
{
    return same_text(k, f->version, e->policy.text) && e->fetched == f->fetched &&
           e->expires == f->expires && (f->id[0] == '?' || same_str(e->id, f->id));
}

/* What may still be somewhere, the newest first; all but that only if it found no room. */
enum { FETCHES = 4 };

static const fetch *fetch_of(const known *k, unsigned i)
{
    const fetch *all[FETCHES];
    all[0] = &k->held;
    all[1] = &k->before;
    all[2] = &k->saved;
    all[3] = &k->kept;
    return all[i];
}

/* Invariant 2: a policy in memory or store is what a genuine fetch brought, text, id and times. */
static void check_entry(const known *k, const mtasts_entry *e, const char *where)
{
    unsigned i;
    for (i = 0; i < (k->lost ? FETCHES : 1u); i++)
        if (fetch_of(k, i)->version && is_fetch(k, fetch_of(k, i), e))
            return;
    fail("2", where, k->name);
}

/* ---- the attacker's domains: the number says what they publish ---- */

/* Bits 0, 1: mode (3: no record); 2, 3: size; 4, 5: max_age; 6, 7: length of the name. */
static void own_name(char *out, unsigned number)
{
    static const size_t lengths[] = {0, 0, 244, 253};
    size_t want = lengths[number >> 6 & 3];
    size_t len = (size_t)snprintf(out, MTASTS_NAME_SIZE, "a%u.", number);
    while (want && len + 5 < want) {
        size_t label = want - 4 - len - 1 > 63 ? 60 : want - 4 - len - 1;
        memset(out + len, 'x', label);
        out[len + label] = '.';
        len += label + 1;
    }
    memcpy(out + len, "evil", 5);
}

static const char *own_policy(unsigned number, size_t *len)
{
    static char body[MTASTS_POLICY_MAX];
    static const char *const modes[] = {"testing", "enforce", "none", "testing"};
    static const size_t sizes[] = {200, 300, 3000, 12000};
    static const uint32_t ages[] = {0, 600, 604800, 31557600};
    size_t size = sizes[number >> 2 & 3], head;
    if (size == 12000 && number >> 8 & 1)
        size = number % w->big_each ? 2000 : sizeof body;
    memset(body, 'a', size);
    head = (size_t)snprintf(body, sizeof body,
                            "version: STSv1\nmode: %s\nmx: mx%u.evil\nmax_age: %lu\nx: ",
                            modes[number & 3], number, (unsigned long)ages[number >> 4 & 3]);
    body[head] = 'a';
    *len = size;
    return body;
}

/* ---- requests that wait for an answer ---- */

typedef struct request {
    uint64_t ticket;
    mtasts_want want;
    known *domain;    /* NULL: the attacker's */
    unsigned number;  /* then: which */
    unsigned version; /* that the owner published when it was asked for */
    int64_t at;
    unsigned long pauses; /* that had passed then */
    int done;             /* it was answered */
} request;

static request pending[PENDING], late[LATE];
static unsigned pending_count, late_next;
static unsigned phase, flap, target; /* target: the victim that the attacker is after */
static unsigned long pauses;         /* times that passed and were longer than any time-out */
static struct {
    char domain[MTASTS_NAME_SIZE];
    char *text;
    size_t len;
} own_store[STORED];
static unsigned own_store_next;

static request make_request(uint64_t ticket, mtasts_want want, const char *name)
{
    request r;
    memset(&r, 0, sizeof r);
    r.ticket = ticket;
    r.want = want;
    r.domain = known_by(name);
    r.number = r.domain ? 0 : (unsigned)strtoul(name + 1, NULL, 10);
    r.version = r.domain ? r.domain->version : 0;
    r.at = now;
    r.pauses = pauses;
    return r;
}

static request take(unsigned i)
{
    request r = pending[i];
    pending[i] = pending[--pending_count];
    return r;
}

static void keep_ticket(request r, int done)
{
    r.done = done;
    late[late_next++ % LATE] = r;
}

/* Phases: what the attacker is at. */
#define PHASES(X)                                                                           \
    X(P_MIX, "mix")                                                                         \
    X(P_ABSENCES, "flood of absences")                                                      \
    X(P_TESTING, "flood of testing")                                                        \
    X(P_ENFORCED, "flood of enforced")                                                      \
    X(P_FLAP, "id flapping")                                                                \
    X(P_SERVFAIL, "SERVFAIL")                                                               \
    X(P_NXDOMAIN, "NXDOMAIN")                                                               \
    X(P_TWO, "two records")                                                                 \
    X(P_REPLAY, "old TXT")                                                                  \
    X(P_DRIP, "drip") X(P_TICKETS, "foreign tickets") X(P_CHURN, "churn")                   \
        X(P_BLOCK, "blocked refresh, A5") X(P_PIN, "pinned memory") X(P_SLOW, "no answers") \
            X(P_PEACE, "peace")
enum { PHASES(ENUM) PHASE_COUNT };
static const char *const phase_names[] = {PHASES(NAME)};

enum {
    T_GENUINE,
    T_NXDOMAIN,
    T_SERVFAIL,
    T_BOGUS,
    T_CNAME,
    T_TWO,
    T_INVALID,
    T_OLD,
    T_NEW,
    T_FLAP,
    T_HUGE,
    T_EMPTY,
    T_COUNT
};

static unsigned txt_style(const request *r)
{
    if (!r->domain)
        return (r->number & 3) == 3 ? T_NXDOMAIN : chance(12) ? below(T_COUNT) : T_GENUINE;
    switch (phase) {
    case P_FLAP:
        return chance(8) ? T_GENUINE : chance(3) ? T_NEW : T_FLAP;
    case P_SERVFAIL:
        return chance(40) ? T_GENUINE : T_SERVFAIL;
    case P_NXDOMAIN:
        return chance(40) ? T_GENUINE : T_NXDOMAIN;
    case P_TWO:
        return chance(40) ? T_GENUINE : T_TWO;
    case P_REPLAY:
        return T_OLD;
    case P_BLOCK:
        return chance(2) ? T_NEW : below(T_COUNT);
    case P_MIX:
        return chance(2) ? T_GENUINE : below(T_COUNT);
    default:
        return chance(10) ? below(T_COUNT) : T_GENUINE;
    }
}

/* The records of an answer. */
typedef struct answer {
    mtasts_err status;
    uint32_t ttl;
    size_t count;
    char text[3][80];
    mtasts_str strings[64], ends[3];
    mtasts_txt records[64];
} answer;

static void add_record(answer *a, unsigned long n, const char *suffix)
{
    size_t i = a->count++;
    snprintf(a->text[i], sizeof a->text[i], "v=STSv1; id=%lu%s;", n, suffix);
    a->ends[i].ptr = a->text[i];
    a->ends[i].len = strlen(a->text[i]);
    a->records[i].strings = &a->ends[i];
    a->records[i].count = 1;
}

static void make_huge(answer *a)
{
    static char filler[255];
    size_t i;
    memset(filler, ';', sizeof filler);
    for (i = 0; i < 64; i++) {
        a->strings[i].ptr = filler;
        a->strings[i].len = sizeof filler;
        a->records[i].strings = a->strings;
        a->records[i].count = 64;
    }
    a->count = 1 + below(64);
}

static void make_txt(answer *a, const request *r, unsigned style)
{
    unsigned long id = r->domain ? r->domain->version : 1;
    static const uint32_t ttls[] = {0, 1, 60, 300, 86400, UINT32_MAX};
    memset(a, 0, sizeof *a);
    a->ttl = ttls[below(COUNT(ttls))];
    if (style == T_NXDOMAIN)
        a->status = MTASTS_ERR_NO_RECORD, a->ttl = chance(2) ? UINT32_MAX : a->ttl;
    else if (style == T_SERVFAIL)
        a->status = MTASTS_ERR_DNS;
    else if (style == T_BOGUS)
        a->status = MTASTS_ERR_DNS_BOGUS;
    else if (style == T_CNAME)
        a->status = MTASTS_ERR_DNS_CNAME;
    else if (style == T_INVALID)
        add_record(a, id, "-x");
    else if (style == T_OLD)
        add_record(a, id > 1 ? id - 1 - below(2) % id : id, "");
    else if (style == T_NEW)
        add_record(a, below(1000000), "n");
    else if (style == T_FLAP)
        add_record(a, flap++ & 1, "f");
    else if (style == T_HUGE)
        make_huge(a);
    else if (style != T_EMPTY)
        add_record(a, id, "");
    if (style == T_TWO)
        add_record(a, id + 1, "");
    if (r->domain && r->domain->is == BARE && style == T_GENUINE) {
        a->status = MTASTS_ERR_NO_RECORD;
        a->count = 0;
    }
}

/* The books of a TXT answer are written before it is given: giving it may lead on to the fetch. */
static mtasts_err give_txt(const request *r, unsigned style)
{
    static answer a;
    mtasts_record record;
    char before[MTASTS_ID_MAX + 1] = "";
    int64_t txt_at = r->domain ? r->domain->txt_at : 0;
    mtasts_err err;
    make_txt(&a, r, style);
    if (r->domain) {
        memcpy(before, r->domain->txt_id, sizeof before);
        mtasts_record_select(&record, a.records, a.status == MTASTS_OK ? a.count : 0, NULL);
        memcpy(r->domain->txt_id, record.id, sizeof record.id);
        r->domain->txt_at = now;
        injected += style != T_GENUINE;
    }
    note("TXT answer", r->domain ? r->domain->name : "own", style);
    err = mtasts_client_give_txt(&client, r->ticket, a.status, a.records, a.count, a.ttl);
    if (r->domain && err != MTASTS_OK) {
        memcpy(r->domain->txt_id, before, sizeof before);
        r->domain->txt_at = txt_at;
    }
    return err;
}

static const mtasts_err http_errors[] = {MTASTS_OK,
                                         MTASTS_ERR_HTTPS_CONNECT,
                                         MTASTS_ERR_HTTPS_CERT,
                                         MTASTS_ERR_HTTP_STATUS,
                                         MTASTS_ERR_HTTP_REDIRECT,
                                         MTASTS_ERR_HTTP_INCOMPLETE,
                                         MTASTS_ERR_HTTP_MEDIA_TYPE,
                                         MTASTS_ERR_HTTP_SYNTAX,
                                         MTASTS_ERR_HTTP_BODY_SIZE,
                                         MTASTS_ERR_POLICY_SIZE};

static unsigned https_style(const request *r)
{
    if (r->domain && r->domain->is == BARE) /* has no policy host: no certificate either */
        return 1 + below(COUNT(http_errors) - 1);
    if (!r->domain)
        return chance(15) ? below(COUNT(http_errors)) : 0;
    if (phase == P_BLOCK)
        return 1 + below(2);
    if (phase == P_MIX || phase == P_FLAP || phase == P_DRIP || phase == P_PIN)
        return chance(3) ? 1 + below(COUNT(http_errors) - 1) : 0;
    return chance(12) ? below(COUNT(http_errors)) : 0;
}

static mtasts_err give_https(const request *r, unsigned style)
{
    known *k = r->domain;
    const char *body = NULL;
    size_t len = 0;
    mtasts_err err;
    unsigned version = 0;
    if (http_errors[style] == MTASTS_OK && !k)
        body = own_policy(r->number, &len);
    if (http_errors[style] == MTASTS_OK && k) {
        /* it may have been on its way for long */
        version = chance(2) && k->version - r->version < VERSIONS - 1 ? r->version : k->version;
        body = k->texts[version % VERSIONS];
        len = k->text_len[version % VERSIONS];
        k->coming.version = version;
        k->is_coming = served = 1;
        k->no_room = 0;
    }
    injected += style != 0;
    note("HTTPS answer", k ? k->name : "own", style);
    err = mtasts_client_give_https(&client, r->ticket, http_errors[style], body, len);
    if (k && body && err != MTASTS_OK)
        k->is_coming = 0;
    return err;
}

static mtasts_err give_load(const request *r)
{
    const known *k = r->domain;
    unsigned i;
    if (k)
        return mtasts_client_give_load(&client, r->ticket, MTASTS_OK,
                                       k->stored_len ? k->stored : NULL, k->stored_len);
    for (i = 0; i < STORED; i++)
        if (own_store[i].text && own_store[i].domain[0] == 'a' &&
            strtoul(own_store[i].domain + 1, NULL, 10) == r->number)
            return mtasts_client_give_load(&client, r->ticket, MTASTS_OK, own_store[i].text,
                                           own_store[i].len);
    return mtasts_client_give_load(&client, r->ticket, MTASTS_OK, NULL, 0);
}

static mtasts_err give(const request *r)
{
    if (r->want == MTASTS_WANT_TXT)
        return give_txt(r, txt_style(r));
    if (r->want == MTASTS_WANT_HTTPS)
        return give_https(r, https_style(r));
    if (r->want == MTASTS_WANT_LOAD)
        return give_load(r);
    return mtasts_client_give_save(&client, r->ticket, MTASTS_OK);
}

/* ---- the sender's callbacks ---- */

static int64_t clock_read; /* what the client takes for now */

static int64_t on_clock(void *user)
{
    (void)user;
    return clock_read = now;
}

static void ask(uint64_t ticket, mtasts_want want, const char *name)
{
    request r = make_request(ticket, want, name);
    work.callbacks++;
    if (w->blocking || (phase != P_SLOW && chance(8))) {
        if (w->blocking && want != MTASTS_WANT_LOAD && want != MTASTS_WANT_SAVE && chance(12))
            now += below(phase == P_DRIP ? 90 : 25);
        if (give(&r) != MTASTS_OK)
            fail("4", "an answer in time was refused", name);
        keep_ticket(r, 1);
        return;
    }
    if (pending_count == PENDING)
        keep_ticket(take(below(pending_count)), 0);
    pending[pending_count++] = r;
}

static void on_txt(void *user, uint64_t ticket, const char *name)
{
    known *k = known_by(name + 9);
    (void)user;
    if (k)
        k->txt_id[0] = '\0', k->txt_at = now;
    ask(ticket, MTASTS_WANT_TXT, name + 9);
}

/* H5: no second fetch for an id within 300 seconds if the first has failed, nor if it was good and
 * the id is the known one. Fetches for other ids that went well in between make an id a new one.
 * What was put out of memory takes its memory of failures with it. */
static void check_rate(known *k)
{
    const mtasts_cache_stats *s = &mtasts_client_cache(&client)->stats;
    uint64_t forgotten = evictions + s->refused + s->evicted[MTASTS_WORTH_ABSENCE];
    unsigned i, at, n = 1, bad = 0, good_since = 0;
    for (i = 1; i <= COUNT(k->recent) && i <= k->recent_next; i++) {
        at = (k->recent_next - i) % COUNT(k->recent);
        if (now - k->recent[at].at >= MTASTS_RETRY_MIN || k->recent[at].forgotten != forgotten)
            break;
        n++;
        bad += (unsigned)(k->recent[at].failed && !good_since);
        if (strcmp(k->recent[at].id, k->fetch_id) == 0 && !good_since)
            fail("3", "two fetches for one id within 300 seconds (H5)", k->name);
        good_since += !k->recent[at].failed;
    }
    if (bad > 1)
        fail("3", "a third fetch while two ids have failed (H5)", k->name);
    if (n > worst_fetches)
        worst_fetches = n;
    at = k->recent_next++ % COUNT(k->recent);
    memcpy(k->recent[at].id, k->fetch_id, sizeof k->fetch_id);
    k->recent[at].at = now;
    k->recent[at].failed = 0;
    k->recent[at].forgotten = forgotten;
}

static void on_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    known *k = known_by(domain);
    (void)user;
    (void)policy_host;
    fetches++;
    if (k) {
        /* without a record: the id that is known, which of two is hard to tell when one was lost */
        memcpy(k->fetch_id,
               k->txt_id[0] ? k->txt_id
               : k->lost    ? "?"
                            : k->held.id,
               k->txt_id[0] || !k->lost ? sizeof k->fetch_id : 2);
        k->https_at = now;
        check_rate(k);
    }
    ask(ticket, MTASTS_WANT_HTTPS, domain);
}

static void on_load(void *user, uint64_t ticket, const char *domain)
{
    (void)user;
    ask(ticket, MTASTS_WANT_LOAD, domain);
}

static void save_own(const char *domain, const char *text, size_t len)
{
    unsigned i = own_store_next++ % STORED;
    free(own_store[i].text);
    own_store[i].text = malloc(len);
    if (!own_store[i].text)
        abort();
    memcpy(own_store[i].text, text, len);
    own_store[i].len = len;
    snprintf(own_store[i].domain, sizeof own_store[i].domain, "%s", domain);
}

static void on_save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    known *k = known_by(domain);
    mtasts_entry e;
    (void)user;
    if (!k) {
        save_own(domain, text, len);
    } else {
        if (mtasts_entry_read(&e, domain, strlen(domain), text, len, now, NULL) != MTASTS_OK ||
            len > sizeof k->stored)
            fail("2", "what is to be saved is no entry", domain);
        if (e.policy.text.ptr)
            check_entry(k, &e, "what is saved is not what was fetched");
        else if (k->in_store && now < k->stored_expires)
            fail("2", "a valid policy in the store is replaced by nothing", domain);
        memcpy(k->stored, text, len);
        k->stored_len = len;
        k->in_store = e.policy.text.ptr && is_fetch(k, &k->held, &e);
        if (k->in_store)
            k->saved = k->held;
        k->stored_expires = e.policy.text.ptr ? e.expires : 0;
    }
    ask(ticket, MTASTS_WANT_SAVE, domain);
}

static void on_drop(void *user, const char *domain)
{
    known *k = known_by(domain);
    unsigned i;
    (void)user;
    work.callbacks++;
    for (i = 0; i < STORED; i++)
        if (strcmp(own_store[i].domain, domain) == 0)
            own_store[i].domain[0] = '\0';
    if (!k)
        return;
    if (k->stored_len && now < k->stored_expires)
        fail("2", "a valid policy is dropped from the store", domain);
    k->stored_len = 0;
    k->in_store = 0;
    k->stored_expires = 0;
}

/* The client has acted upon a genuine answer. */
static void fetched(known *k, const mtasts_event *e)
{
    if (!k->is_coming)
        fail("2", "a policy that nobody has served", k->name);
    k->before = k->held;
    k->held = k->coming;
    k->held.expires = clock_read + e->left;
    k->held.fetched = k->held.expires - (int64_t)k->max_age;
    memcpy(k->held.id, k->fetch_id, sizeof k->fetch_id);
    if (e->left && (k->held.fetched < k->txt_at - 30 || k->held.fetched > k->https_at))
        fail("2", "the policy's life does not begin with its fetch", k->name);
    k->in_memory = !k->no_room && e->left > 0;
    if (k->in_memory)
        k->kept = k->held;
    k->lost = k->no_room && !w->store;
    k->in_store = 0;
    k->is_coming = k->no_room = 0;
}

/* D10: the worst goes first. The entry that is being replaced may be of lesser worth and stay. */
static void evicted(known *k, const mtasts_event *e)
{
    const mtasts_cache_stats *s = &mtasts_client_cache(&client)->stats;
    work.evictions++;
    evictions++;
    if (e->mode == MTASTS_MODE_ENFORCE && lesser)
        fail("2", "an enforced policy is put out for something lesser", e->domain);
    if (e->mode == MTASTS_MODE_ENFORCE &&
        s->entries[MTASTS_WORTH_ABSENCE] + s->entries[MTASTS_WORTH_LENIENT] > 1)
        fail("2", "an enforced policy is put out while there is something lesser", e->domain);
    if (!k)
        return;
    k->in_memory = 0;
    victim_evictions += k->is == ENFORCED;
}

static void not_fetched(known *k, const mtasts_event *e)
{
    k->is_coming = 0;
    if (k->recent_next && e->diag.err != MTASTS_ERR_LIMIT)
        k->recent[(k->recent_next - 1) % COUNT(k->recent)].failed = 1;
}

static void on_event(void *user, const mtasts_event *e)
{
    known *k = known_by(e->domain);
    (void)user;
    work.events++;
    if (pending_count && chance(20) &&
        mtasts_client_give_txt(&client, pending[0].ticket, MTASTS_ERR_DNS, NULL, 0, 0) !=
            MTASTS_ERR_USAGE)
        fail("4", "an answer from inside an event is taken", e->domain);
    if (e->kind == MTASTS_EVENT_EVICTED)
        evicted(k, e);
    if (!k)
        return;
    note(mtasts_event_name((int)e->kind), k->name, e->left);
    if (e->kind == MTASTS_EVENT_FOUND || e->kind == MTASTS_EVENT_RENEWED ||
        e->kind == MTASTS_EVENT_CHANGED || e->kind == MTASTS_EVENT_DOWNGRADED)
        fetched(k, e);
    else if (e->kind == MTASTS_EVENT_FETCH_FAILED || e->kind == MTASTS_EVENT_REFRESH_FAILED)
        not_fetched(k, e);
    else if (e->kind == MTASTS_EVENT_NO_ROOM)
        k->no_room = 1;
    else if (e->kind == MTASTS_EVENT_STORE_FAILED)
        k->lost = 1;
    else if (e->kind == MTASTS_EVENT_EXPIRED && k->held.version && now < k->held.expires &&
             !k->lost)
        fail("2", "expired before its time", k->name);
    if (e->kind == MTASTS_EVENT_DOWNGRADED && k->is == ENFORCED)
        fail("2", "downgraded", k->name);
}

static void *on_allocate(void *user, size_t size)
{
    void *p = malloc(size);
    (void)user;
    work.allocations++;
    if (!p)
        abort();
    asked_now += size;
    pieces_now++;
    if (w->octets && asked_now > w->octets)
        fail("3", "more memory than the bound", "");
    return p;
}

static void on_release(void *user, void *memory, size_t size)
{
    (void)user;
    asked_now -= size;
    pieces_now--;
    free(memory);
}

/* ---- look-ups and deliveries ---- */

typedef struct slot {
    mtasts_lookup lookup;
    known *domain;
    int open;             /* it must be ended */
    int waits;            /* for done */
    int was_held;         /* when it began */
    unsigned long pauses; /* time-outs that had passed then */
} slot;

static slot slots[SLOTS];

/* Does the policy of this version list the MX? Our own reading. */
static int lists(const known *k, unsigned version, const char *host)
{
    char listed[80];
    const char *dot = strchr(host, '.');
    snprintf(listed, sizeof listed, "mx%u.%s", version, k->name);
    if (strcmp(host, listed) == 0)
        return 1;
    snprintf(listed, sizeof listed, ".pool%u.%s", version, k->name);
    return dot && dot != host && strcmp(dot, listed) == 0;
}

static void forge_mx(char *out, size_t size, const known *k, unsigned version)
{
    switch (below(8)) {
    case 0:
        snprintf(out, size, "mx%u.%s", version, k->name);
        break;
    case 1:
        snprintf(out, size, "b.pool%u.%s", version, k->name);
        break;
    case 2:
        snprintf(out, size, "mx%u.%s", version - 1, k->name);
        break;
    case 3:
        snprintf(out, size, "a.b.pool%u.%s", version, k->name);
        break;
    case 4:
        snprintf(out, size, "pool%u.%s", version, k->name);
        break;
    case 5:
        snprintf(out, size, "mx%u.%s.evil", version, k->name);
        break;
    case 6:
        snprintf(out, size, "%s", k->name);
        break;
    default:
        snprintf(out, size, "mx.evil");
    }
}

/* The attacker's MX, or the genuine one behind his wire; never one that may be delivered to. */
static void forge_session(mtasts_session *s, const char *host, const known *k)
{
    int foreign = strstr(host, k->name) == NULL || strstr(host, ".evil") != NULL;
    memset(s, 0, sizeof *s);
    s->starttls = (mtasts_starttls)below(3);
    if (s->starttls != MTASTS_STARTTLS_DONE)
        return;
    s->chain = (mtasts_chain)below(5);
    s->name_matches = s->chain != MTASTS_CHAIN_TRUSTED || foreign;
}

/* Invariant 1, for one enforced policy and a forged way to deliver. */
static void judge(const slot *s, unsigned version)
{
    const known *k = s->domain;
    mtasts_delivery delivery;
    mtasts_session session;
    mtasts_verdict verdict;
    mtasts_plan plan;
    char host[120];
    memset(&delivery, 0, sizeof delivery);
    delivery.policy = s->lookup.policy;
    delivery.override = s->lookup.override;
    forge_mx(host, sizeof host, k, version);
    mtasts_apply_plan(&plan, &delivery, host, strlen(host));
    if (plan.use && !lists(k, version, host))
        fail("1", "a MX that the policy does not list", host);
    if (!plan.use && lists(k, version, host))
        fail("1", "a MX that the policy lists is refused", host);
    if (plan.use && (plan.tls != MTASTS_TLS_REQUIRED || plan.verify != MTASTS_VERIFY_REQUIRED))
        fail("1", "a delivery without verification", host);
    forge_session(&session, host, k);
    mtasts_apply_verdict(&verdict, &plan, &session);
    if (verdict.action != MTASTS_ACTION_NEXT_MX || !verdict.recheck)
        fail("1", "delivered to the attacker", host);
    session.starttls = MTASTS_STARTTLS_DONE;
    session.chain = MTASTS_CHAIN_TRUSTED;
    session.name_matches = 1;
    mtasts_apply_verdict(&verdict, &plan, &session);
    if ((verdict.action == MTASTS_ACTION_DELIVER) != plan.use)
        fail("1", "a good session is judged wrong", host);
    judged++;
    moves[M_FORGE]++;
}

/* Which genuine version is it? Fails if it is none. */
static unsigned version_of(const slot *s)
{
    const known *k = s->domain;
    int old = k->lost || !s->was_held || !s->lookup.cached;
    unsigned i;
    for (i = 0; i < (old ? FETCHES : 1u); i++)
        if (fetch_of(k, i)->version &&
            same_text(k, fetch_of(k, i)->version, s->lookup.policy->text))
            return fetch_of(k, i)->version;
    fail("1", "the policy is not the one that was fetched", k->name);
    return 0;
}

/* An answer has come: a delivery is planned with it. */
static void answered(slot *s)
{
    const known *k = s->domain;
    const mtasts_lookup *l = &s->lookup;
    s->waits = 0;
    if (!k)
        return;
    if (l->policy && k->is == BARE)
        fail("1", "a policy of a domain that has none", k->name);
    if (!l->policy) {
        int defer = l->learned == MTASTS_LEARNED_TEMPORARY && l->diag.err == MTASTS_ERR_LIMIT;
        deferred += (uint64_t)defer;
        if (!defer && k->is == ENFORCED && s->was_held && is_held(k))
            fail("1", "a policy is held, and the answer is that there is none", k->name);
        if (l->cached && now - k->txt_at > MTASTS_ABSENCE_MAX) /* D8, H5 */
            fail("2", "what is not there is remembered for too long", k->name);
        return;
    }
    if (l->cached && now >= l->expires)
        fail("2", "a policy is used after its time", k->name);
    if (!k->in_memory && k->in_store && is_held(k))
        found_again++;
    if (k->held.version && l->expires > k->held.expires && l->expires > k->before.expires)
        fail("2", "the answer lives longer than the policy", k->name);
    if (k->is == ENFORCED)
        judge(s, version_of(s));
    else
        version_of(s);
}

static void on_done(void *user, mtasts_lookup *l)
{
    (void)l;
    answered((slot *)user);
}

/* ---- calls of the client, with their work measured ---- */

/* Genuine answers that were given, and that the client had no memory for. */
static void drop_served(void)
{
    unsigned i;
    for (i = 0; i < KNOWN && served; i++) {
        known *k = &domains[i];
        if (!k->is_coming)
            continue;
        k->is_coming = 0;
        k->recent[(k->recent_next - 1) % COUNT(k->recent)].forgotten = UINT64_MAX;
        unkept++;
    }
    served = 0;
}

static void measure(void)
{
    const mtasts_cache_stats *s = &mtasts_client_cache(&client)->stats;
    drop_served();
    if (work.callbacks > worst_callbacks)
        worst_callbacks = work.callbacks;
    if (work.events > worst_events)
        worst_events = work.events;
    if (work.allocations > worst_allocations)
        worst_allocations = work.allocations;
    if (work.evictions > worst_evictions)
        worst_evictions = work.evictions;
    if (work.callbacks > 4 * w->lookups + 64 || work.evictions > 2500 || work.events > 8000 ||
        work.allocations > 8000)
        fail("3", "too much work in one call", "");
    if (s->octets > w->octets || (!w->pool && s->octets != asked_now))
        fail("3", "more octets than the bound", "");
    if (w->entries && s->entries[0] + s->entries[1] + s->entries[2] > w->entries)
        fail("3", "more entries than the bound", "");
    memset(&work, 0, sizeof work);
}

static void end(slot *s)
{
    if (s->domain && s->domain->is == ENFORCED && !s->waits && s->lookup.policy && chance(4) &&
        (same_text(s->domain, s->domain->held.version, s->lookup.policy->text)))
        judge(s, s->domain->held.version); /* it is as good as at first */
    mtasts_client_end(&client, &s->lookup);
    s->open = s->waits = 0;
    measure();
}

static slot *look_up(const char *name, unsigned flags)
{
    slot *s = &slots[below(SLOTS)];
    mtasts_err err;
    int i;
    for (i = 0; i < 8 && s->open && phase == P_PIN; i++)
        s = &slots[below(SLOTS)]; /* nothing that is pinned is let go */
    if (s->open)
        end(s);
    memset(s, 0, sizeof *s);
    s->lookup.done = on_done;
    s->lookup.user = s;
    s->domain = known_by(name);
    s->was_held = s->domain && is_held(s->domain);
    s->pauses = pauses;
    s->waits = 1;
    note(flags ? "look up again" : "look up", name, s->was_held);
    lesser = s->domain ? s->domain->is != ENFORCED : (strtoul(name + 1, NULL, 10) & 3) != 1;
    err = mtasts_client_lookup(&client, &s->lookup, name, strlen(name), flags);
    lesser = 0;
    s->open = err == MTASTS_OK || err == MTASTS_MORE;
    if (err == MTASTS_OK)
        answered(s);
    else if (err == MTASTS_ERR_LIMIT)
        deferred++, s->waits = 0;
    else if (err != MTASTS_MORE)
        fail("4", "a look-up is refused", name);
    victim_lookups += s->domain && s->domain->is == ENFORCED;
    held_lookups += s->domain && s->domain->is == ENFORCED && s->was_held;
    measure();
    return s;
}

static void give_pending(unsigned i)
{
    request r = take(i);
    lesser = r.domain ? r.domain->is != ENFORCED : (r.number & 3) != 1;
    keep_ticket(r, give(&r) == MTASTS_OK);
    lesser = 0;
    measure();
}

/* The store is the sender's own: it answers before time passes. */
static void settle_store(void)
{
    unsigned i;
    for (i = pending_count; i-- > 0;)
        if (i < pending_count &&
            (pending[i].want == MTASTS_WANT_LOAD || pending[i].want == MTASTS_WANT_SAVE))
            give_pending(i);
}

/* Answer what there is, as the attacker likes it; some never. */
static void answer_some(unsigned most)
{
    while (pending_count && most--) {
        unsigned i = below(pending_count);
        if ((phase == P_SLOW || phase == P_DRIP) && !pending[i].domain)
            continue;
        if (now - pending[i].at > 120 && pending[i].want != MTASTS_WANT_LOAD &&
            pending[i].want != MTASTS_WANT_SAVE && !chance(4))
            keep_ticket(take(i), 0);
        else
            give_pending(i);
    }
}

/* Time passes, and the client is called when it wants to be. */
static void pass(int64_t seconds)
{
    int64_t until = now + seconds, next;
    unsigned i;
    note("time passes", "", seconds);
    settle_store();
    for (i = 0; i < 48; i++) {
        next = mtasts_client_tick(&client);
        measure();
        settle_store();
        if (next > until)
            break;
        if (next > now)
            now = next;
        answer_some(2);
        settle_store();
    }
    now = now < until ? until : now;
    pauses += seconds >= 60;
    for (i = 0; i < 48 && mtasts_client_tick(&client) <= now; i++) {
        measure();
        settle_store();
    }
    measure();
}

/* ---- the moves ---- */

static unsigned serial;

static unsigned own_number(void)
{
    unsigned n = serial && chance(3) ? below(serial) : serial++;
    unsigned spec = below(512);
    switch (phase) {
    case P_ABSENCES:
        spec = 3 | 0x80 | (chance(8) ? 0x40 : 0);
        break;
    case P_TESTING:
        spec &= ~3u;
        break;
    case P_ENFORCED:
        spec = (spec & ~3u) | 1 | 0x20;
        break;
    case P_PIN:
        spec = (spec & 1) | 8 | (chance(2) ? 4 : 0) | 0x20;
        break;
    default:
        spec &= chance(4) ? 511u : ~12u;
    }
    return n << 9 | spec;
}

static void move_mail(void)
{
    char name[MTASTS_NAME_SIZE];
    slot *s;
    own_name(name, own_number());
    s = look_up(name, chance(50) ? MTASTS_LOOKUP_AGAIN : 0);
    if (s->open && (phase == P_CHURN || (phase != P_PIN && !s->waits && !chance(20))))
        end(s);
}

static void move_known(unsigned flags)
{
    int aimed = (phase == P_FLAP || phase == P_BLOCK) && !chance(5);
    known *k = &domains[aimed ? target : chance(4) ? below(KNOWN) : below(VICTIMS)];
    slot *s;
    if (flags && (aimed || phase == P_PIN))
        pass(phase == P_PIN ? below(400) : 1);
    s = look_up(k->name, flags);
    if (s->open && !s->waits && !chance(6))
        end(s);
}

/* Most of what the attacker does is to answer. */
static int move_answer(void)
{
    unsigned i;
    if (!pending_count)
        return 0;
    i = below(pending_count);
    if ((phase == P_SLOW || phase == P_DRIP) && !pending[i].domain &&
        pending[i].want != MTASTS_WANT_LOAD && pending[i].want != MTASTS_WANT_SAVE)
        return 0;
    moves[pending[i].want == MTASTS_WANT_HTTPS ? M_HTTPS : M_TXT]++;
    give_pending(i);
    return 1;
}

/* A ticket that was used, is too old, is for something else, or was guessed. */
static void move_late(void)
{
    request r = late[below(LATE)];
    mtasts_err err;
    if (!r.ticket)
        return;
    note("ticket", r.domain ? r.domain->name : "own", (int64_t)r.want * 10 + r.done);
    if (chance(2)) {
        err = give(&r);
        if (err == MTASTS_OK && (r.done || pauses > r.pauses + 1))
            fail("4", "a second or late answer was taken", r.domain ? r.domain->name : "own");
    } else if (chance(2) && r.want != MTASTS_WANT_TXT) {
        err = mtasts_client_give_txt(&client, r.ticket, MTASTS_ERR_NO_RECORD, NULL, 0, UINT32_MAX);
        if (err == MTASTS_OK)
            fail("4", "a TXT answer to another question was taken", "");
    } else {
        size_t len;
        const char *body = own_policy(0x41, &len);
        r.ticket ^= (uint64_t)1 << (31 + below(33)); /* the lower bits count the questions */
        err = mtasts_client_give_https(&client, r.ticket, MTASTS_OK, body, len);
        if (err == MTASTS_OK)
            fail("4", "an answer with a guessed ticket was taken", "");
    }
    measure();
}

static void move_time(void)
{
    static const int64_t spans[] = {60, 300, 301, 600, 3600, 7200, 43200, 86400, 200000};
    const known *k = &domains[below(VICTIMS)];
    if (phase == P_BLOCK) {
        pass(1);
    } else if (phase == P_SERVFAIL && is_held(k) && chance(6)) {
        pass(k->held.expires - now - 1); /* to the last second */
        look_up(k->name, 0);
        pass(1);
        look_up(k->name, 0);
    } else if (chance(phase == P_SERVFAIL || phase == P_NXDOMAIN || phase == P_REPLAY ? 6 : 25)) {
        pass(spans[below(COUNT(spans))]);
    } else {
        pass(below(4));
    }
}

static void move_change(void)
{
    known *k = &domains[below(KNOWN)];
    unsigned i, oldest = k->version;
    for (i = 0; i < FETCHES; i++)
        if (fetch_of(k, i)->version && fetch_of(k, i)->version < oldest)
            oldest = fetch_of(k, i)->version;
    if (k->version - oldest >= VERSIONS - 2)
        return;
    note("changes its policy", k->name, (int64_t)k->version + 1);
    publish(k, k->version + 1);
}

/* Invariants 1 and 2 for what is in memory. */
static void check_known(known *k)
{
    mtasts_entry e;
    int has = mtasts_client_entry(&client, k->name, strlen(k->name), &e);
    if (has && e.policy.text.ptr && now < e.expires) {
        check_entry(k, &e, "what is in memory is not what was fetched");
        if (is_fetch(k, &k->held, &e))
            k->in_memory = 1;
    } else if (k->in_memory && is_held(k)) {
        fail("2", "a valid policy is gone from memory, and nobody was told", k->name);
    }
}

static void play_one(void)
{
    unsigned r = below(100), kind = M_TIME;
    int again = phase == P_BLOCK || phase == P_FLAP || phase == P_PIN;
    int flood = phase == P_ABSENCES || phase == P_TESTING || phase == P_ENFORCED ||
                phase == P_CHURN || phase == P_SLOW;
    unsigned mail = flood ? 80 : phase == P_PIN ? 66 : 52;
    if (r < 45 && move_answer())
        kind = MOVE_COUNT;
    else if (r < mail)
        kind = M_MAIL;
    else if (r < (again ? mail + 5 : 86u))
        kind = M_VICTIM;
    else if (r < (again ? 80u : 88u))
        kind = M_AGAIN;
    else if (r < 92 || (phase == P_TICKETS && r < 97))
        kind = M_LATE;
    else if (r < 94)
        kind = M_END;
    else if (r == 94)
        kind = M_CHANGE;
    if (kind < MOVE_COUNT)
        moves[kind]++;
    if (kind == M_MAIL)
        move_mail();
    else if (kind == M_VICTIM || kind == M_AGAIN)
        move_known(kind == M_AGAIN ? MTASTS_LOOKUP_AGAIN : 0);
    else if (kind == M_LATE)
        move_late();
    else if (kind == M_END)
        end(&slots[below(SLOTS)]);
    else if (kind == M_CHANGE)
        move_change();
    else if (kind == M_TIME)
        move_time();
}

/* ---- a world's beginning and end ---- */

static void begin(void)
{
    mtasts_host host;
    mtasts_host_init(&host);
    host.clock = on_clock;
    host.txt = on_txt;
    host.https = on_https;
    host.event = on_event;
    if (w->store) {
        host.load = on_load;
        host.save = on_save;
        host.drop = on_drop;
    }
    if (w->pool) {
        host.block = block = malloc(w->octets);
        host.block_size = w->octets;
        if (!block)
            abort();
    } else {
        host.memory.allocate = on_allocate;
        host.memory.release = on_release;
        host.max_octets = w->octets;
    }
    host.max_entries = w->entries;
    host.max_lookups = w->lookups;
    host.key[0] = (unsigned char)(1 + below(255));
    now = 1700000000 + below(100000000);
    found_domains();
    memset(slots, 0, sizeof slots);
    memset(late, 0, sizeof late);
    pending_count = serial = 0;
    if (mtasts_client_init(&client, &host) != MTASTS_OK)
        fail("4", "no client", w->name);
}

/* Invariant 4: all look-ups are answered, and all memory comes back. */
static void finish(void)
{
    unsigned i, open = below(2);
    phase = P_PEACE;
    for (i = 0; i < 6; i++)
        pass(61);
    for (i = 0; i < SLOTS; i++) {
        if (slots[i].waits)
            fail("4", "a look-up is never answered", slots[i].lookup.domain);
        if (!open)
            end(&slots[i]);
    }
    mtasts_client_clear(&client);
    if (asked_now || pieces_now || mtasts_client_cache(&client)->stats.octets)
        fail("4", "memory is not given back", w->name);
    for (i = 0; i < SLOTS && open; i++)
        mtasts_client_end(&client, &slots[i].lookup);
    for (i = 0; i < STORED; i++) {
        free(own_store[i].text);
        memset(&own_store[i], 0, sizeof own_store[i]);
    }
    free(block);
    block = NULL;
}

static void check_waiting(void)
{
    const slot *s = &slots[step % SLOTS];
    if (s->waits && pauses - s->pauses > 5)
        fail("4", "a look-up waits for too long", s->lookup.domain);
}

static void play(long steps)
{
    long left = 0;
    begin();
    for (; steps--; step++) {
        if (!left--) {
            left = 100 + (long)below(1500);
            phase = below(PHASE_COUNT);
            target = below(VICTIMS);
            note("phase", phase_names[phase], left);
        }
        play_one();
        check_known(&domains[step % KNOWN]);
        check_known(&domains[below(VICTIMS)]);
        check_waiting();
    }
    finish();
}

static void report(double seconds)
{
    unsigned i;
    printf("adversary: %ld steps (", step);
    for (i = 0; i < MOVE_COUNT; i++)
        printf("%s%llu %s", i ? ", " : "", (unsigned long long)moves[i], move_names[i]);
    printf("), %llu victims' look-ups (%llu of a policy that was held), %llu deliveries judged, "
           "%llu deferred, "
           "%llu evictions (%llu of victims), %llu found again, %llu not kept, "
           "%llu failures injected, "
           "%llu fetches, in one call at most %u callbacks, %u events, %u evictions, "
           "%u allocations, in 300 s at most %u fetches of a domain; seed %llu, %.1f s\n",
           (unsigned long long)victim_lookups, (unsigned long long)held_lookups,
           (unsigned long long)judged, (unsigned long long)deferred, (unsigned long long)evictions,
           (unsigned long long)victim_evictions, (unsigned long long)found_again,
           (unsigned long long)unkept, (unsigned long long)injected, (unsigned long long)fetches,
           worst_callbacks, worst_events, worst_evictions, worst_allocations, worst_fetches,
           (unsigned long long)seed, seconds);
}

int main(int argc, char **argv)
{
    long steps = 1008000, each;
    clock_t start = clock();
    int i;
    seed = 8461;
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--steps") == 0)
            steps = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else
            return 2;
    }
    dice = seed;
    each = 12000; /* many short lives rather than a few long ones */
    while (step < steps) {
        w = &worlds[(size_t)world_number % COUNT(worlds)];
        play(each);
        world_number++;
    }
    report((double)(clock() - start) / CLOCKS_PER_SEC);
    return 0;
}
