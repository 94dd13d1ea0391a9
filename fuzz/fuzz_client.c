/* Any octets as a script: a host with a client, its memory, store, clock, DNS and policy hosts.
 *
 * Targets: all of sections 14 to 16 (pool, cache, client), and through them sections 12 and 13
 * Property: a policy in an answer, in memory or in the store was fetched (or stored) for this
 *           domain, and lives as long as that fetch grants and no longer (D1, D2, D9, D13); one
 *           that was fetched or loaded is in memory and is the answer, whatever fails, until it
 *           expires, is replaced or forgotten, or its eviction is told (D1, D3); evictions go by
 *           worth (D10); no fetch is repeated within 300 s (H5); nothing is said to be absent for
 *           longer than an hour (D8); a look-up has one answer, and has it in bounded time; an
 *           answer with a stale ticket changes nothing; memory is within its bound, is given back
 *           in the sizes that were asked for, and all of it at the end; next and tick agree and
 *           come to rest; an iteration gives each entry once; the counters count; calls that are
 *           not allowed inside callbacks, memory's too, are refused; nobody is told that there is no
 *           policy while a valid one is in memory. (That what is due is begun, and in time, is
 *           for t16 and tests/model: here a client that asks nobody passes.)
 * Input: octet 0: bits 0-1 memory (0 functions, 2 a block, else functions over a pool); bit 2
 *        callbacks answer at once; bit 3 a store; bit 4 overrides; bit 5 no events; bit 6 random;
 *        bit 7 look-ups are ended after clear. Octet 1: octets of memory, in steps. Octet 2: bits
 *        0-3 max_entries, 4-6 max_lookups, 7 short time-outs. Then steps, each an octet that says
 *        which and some that say how; what answers there are stands where they are given.
 */
#include "fuzz.h"

enum {
    DOMAINS = 8,
    SLOTS = 8,
    PENDING = 64,
    GRANTS = 512,
    PIECES = 512,
    STEPS = 200,
    DEPTH = 3,
    ID_SIZE = MTASTS_ID_MAX + 1
};

/* ---- the world and its books ---- */

typedef struct book {
    /* The policy that must be in memory. */
    int sure;
    unsigned code;
    int64_t low; /* when it was fetched, or the least that the clock has said since */
    unsigned long since;
    int imported;
    char id[ID_SIZE];
    /* An answer with a policy that was given and is to be acted upon. */
    int coming, no_room;
    unsigned coming_code;
    int64_t coming_low;
    char coming_id[ID_SIZE];
    /* The discovery under way. */
    char txt_id[ID_SIZE];
    int64_t txt_low;
    int tangled; /* there may be two of them */
    /* The last fetch that failed. */
    char tried_id[ID_SIZE];
    int64_t tried_at;
    int tried_failed;
    uint64_t undisturbed;
    int64_t heard_at; /* when DNS or the store was last heard of it */
    /* The store, and whether the client must know of the policy in it. */
    mtasts_str stored;
    int stored_known;
    int64_t stored_until, stored_age;
    mtasts_override override;
    int pinned; /* 0: no, else a policy's code and 1 */
} book;

/* That a policy was fetched, or was read from the store. */
typedef struct grant {
    int domain;
    unsigned code;
    int64_t fetched;
    char id[ID_SIZE];   /* "": not known */
    unsigned long dead; /* since when it counts no more; 0: it does */
} grant;

typedef struct request {
    uint64_t ticket;
    mtasts_want want;
    int domain;
    int done; /* it was answered */
    int64_t at;
    unsigned long life;
} request;

typedef struct world world;

typedef struct slot {
    world *w;
    mtasts_lookup *lookup; /* NULL: free */
    mtasts_str pinned;
    int domain, waits;
    unsigned long began;
} slot;

struct world {
    input in;
    unsigned options, depth, steps;
    int nested; /* a step has begun another, from inside `done` */
    mtasts_client client;
    mtasts_host host;
    int ready;
    unsigned long serial; /* of what has happened */
    unsigned long life;   /* of the client, how many there were */
    int64_t now, read;    /* the clock, and what it said last */
    book books[DOMAINS];
    grant grants[GRANTS];
    size_t grant_count;
    request pending[PENDING], late[PENDING];
    size_t pending_count, late_count;
    slot slots[SLOTS];
    slot *asking; /* whose look-up is being begun */
    mtasts_str bodies[256];
    struct {
        void *at;
        size_t size;
    } pieces[PIECES];
    size_t piece_count, octets, fail_in, fail_count;
    mtasts_pool pool;
    void *block;
    size_t block_size;
    int forgetting; /* domain, or -1 */
    unsigned about; /* the domains that this call is about */
    uint64_t disturbed;
    uint64_t calls[6], answers, lookups, events[MTASTS_EVENT_COUNT];
    int inside; /* a callback */
};

static const char long_label[] = "x23456789012345678901234567890123456789012345678901234567890123";

/* Of domain i, normalised; static or in `buffer`. */
static const char *name_of(int i, char buffer[MTASTS_NAME_SIZE])
{
    static const char *const names[] = {"a.example.com", "b.example.com", "c.example.net",
                                        "d.example.net", "e.example.org", "f.test",
                                        "g.h.i.example"};
    if ((size_t)i < COUNT(names))
        return names[i];
    snprintf(buffer, MTASTS_NAME_SIZE, "%s.%s.%s.%.47s.test", long_label, long_label, long_label,
             long_label);
    return buffer;
}

static int domain_of(const char *name)
{
    char buffer[MTASTS_NAME_SIZE];
    int i;
    for (i = 0; i < DOMAINS; i++)
        if (strcmp(name, name_of(i, buffer)) == 0)
            return i;
    return -1;
}

static int64_t plus(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static mtasts_str copy_of(const void *text, size_t len)
{
    input in;
    in.at = (const uint8_t *)(text ? text : "");
    in.left = len;
    return take_copy(&in, len);
}

static int same_text(mtasts_str a, mtasts_str b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static int same_id(mtasts_str id, const char *text)
{
    return id.len == strlen(text) && (!id.len || memcmp(id.ptr, text, id.len) == 0);
}

/* ---- policies: a code's bits say what is in it ---- */

static mtasts_mode mode_of(unsigned code)
{
    static const mtasts_mode modes[] = {MTASTS_MODE_ENFORCE, MTASTS_MODE_TESTING, MTASTS_MODE_NONE,
                                        MTASTS_MODE_ENFORCE};
    return modes[code & 3];
}

static uint32_t age_of(unsigned code)
{
    static const uint32_t ages[] = {604800, 7200, 400, 0};
    return ages[code >> 2 & 3];
}

/* The policy with this code. */
static mtasts_str body_of(world *w, unsigned code)
{
    static const size_t sizes[] = {0, 700, 4000, 30000};
    static const char *const words[] = {"none", "testing", "enforce"};
    mtasts_str *body = &w->bodies[code];
    size_t size = sizes[code >> 6 & 3], len;
    char head[160], *text;
    if (body->ptr)
        return *body;
    len = (size_t)snprintf(head, sizeof head,
                           "version: STSv1\nmode: %s\nmx: mx%u.example.com\nmax_age: %lu\n",
                           words[mode_of(code)], code >> 4 & 3, (unsigned long)age_of(code));
    if (size) { /* an extension as long as it takes */
        memcpy(head + len, "x: ", 3);
        len += 3;
    }
    body->len = size > len ? size : len;
    text = (char *)malloc(body->len);
    if (!text)
        abort();
    memset(text, 'a', body->len);
    memcpy(text, head, len);
    body->ptr = text;
    return *body;
}

/* ---- grants ---- */

static grant *add_grant(world *w, int domain, unsigned code, int64_t fetched, const char *id)
{
    grant *g = &w->grants[w->grant_count < GRANTS ? w->grant_count++ : GRANTS - 1];
    g->domain = domain;
    g->code = code;
    g->fetched = fetched;
    g->dead = 0;
    snprintf(g->id, sizeof g->id, "%s", id);
    return g;
}

static void kill_grants(world *w, int domain)
{
    size_t i;
    for (i = 0; i < w->grant_count; i++)
        if ((domain < 0 || w->grants[i].domain == domain) && !w->grants[i].dead)
            w->grants[i].dead = w->serial;
}

/* Was this policy granted to the domain, until `expires` at least? `began`: what was known then
 * may still be told. */
static int is_granted(world *w, int domain, mtasts_str text, mtasts_str id, int64_t expires,
                      unsigned long began)
{
    size_t i;
    for (i = w->grant_count; i-- > 0;) {
        const grant *g = &w->grants[i];
        uint32_t age = age_of(g->code);
        if (g->domain != domain || (g->dead && began > g->dead) ||
            !same_text(text, body_of(w, g->code)))
            continue;
        /* it is for those who waited, and not kept; `done` of one may set the clock back */
        if (!age && (expires <= w->read || expires <= g->fetched))
            return 1;
        if (age && expires <= plus(g->fetched, age) && (!g->id[0] || same_id(id, g->id)))
            return 1;
    }
    return w->grant_count == GRANTS;
}

/* May some policy of the domain be in memory? */
static int has_any(const world *w, int domain)
{
    size_t i;
    for (i = 0; i < w->grant_count; i++)
        if (w->grants[i].domain == domain && !w->grants[i].dead)
            return 1;
    return w->grant_count == GRANTS;
}

/* Is one known that is not older? A discovery under way may still hold it, and bring it back. */
static int has_as_new(const world *w, int domain, int64_t fetched)
{
    size_t i;
    for (i = 0; i < w->grant_count; i++)
        if (w->grants[i].domain == domain && !w->grants[i].dead && w->grants[i].fetched >= fetched)
            return 1;
    return w->grant_count == GRANTS;
}

static int has_enforced(const world *w, unsigned domains)
{
    size_t i;
    for (i = 0; i < w->grant_count; i++)
        if (domains >> w->grants[i].domain & 1 && mode_of(w->grants[i].code) == MTASTS_MODE_ENFORCE)
            return 1;
    return w->grant_count == GRANTS;
}

static void be_sure(world *w, int domain, unsigned code, int64_t low, const char *id)
{
    book *b = &w->books[domain];
    b->code = code;
    b->low = least(low, w->read);
    /* without events nobody says what was put out */
    b->sure = w->read < plus(b->low, age_of(code)) && !(w->options & 0x20);
    b->since = w->serial;
    b->imported = 0;
    memmove(b->id, id, strlen(id) + 1);
}

/* What may have been lost of failures, and so may be tried again? */
static uint64_t disturbances(const world *w)
{
    const mtasts_cache_stats *s = &mtasts_client_cache(&w->client)->stats;
    return w->disturbed + s->evicted[0] + s->evicted[1] + s->evicted[2] + s->refused;
}

/* Inside these, all is refused. */
static void try_the_forbidden(world *w, int deaf)
{
    mtasts_lookup lookup;
    if (!w->ready)
        return;
    memset(&lookup, 0, sizeof lookup);
    CHECK(mtasts_client_lookup(&w->client, &lookup, "a.example.com", 13, 0) == MTASTS_ERR_USAGE);
    CHECK(mtasts_client_tick(&w->client) == INT64_MAX);
    if (deaf && w->pending_count)
        CHECK(mtasts_client_give_txt(&w->client, w->pending[0].ticket, MTASTS_ERR_DNS, NULL, 0,
                                     0) == MTASTS_ERR_USAGE);
}

/* ---- memory ---- */

static void *on_allocate(void *user, size_t size)
{
    world *w = (world *)user;
    void *p;
    size_t i;
    CHECK(size);
    try_the_forbidden(w, 1);
    if (w->fail_in && !--w->fail_in && w->fail_count) {
        w->fail_count--;
        w->fail_in = 1;
        return NULL;
    }
    p = w->block ? mtasts_pool_allocate(&w->pool, size) : malloc(size);
    if (!p || w->piece_count == PIECES) {
        CHECK(w->block);
        return NULL;
    }
    CHECK((uintptr_t)p % 8 == 0);
    for (i = 0; w->block && i < w->piece_count; i++)
        CHECK((char *)p + size <= (char *)w->pieces[i].at ||
              (char *)w->pieces[i].at + w->pieces[i].size <= (char *)p);
    memset(p, 0xa5, size);
    w->pieces[w->piece_count].at = p;
    w->pieces[w->piece_count++].size = size;
    w->octets += size;
    CHECK(!w->host.max_octets || w->octets <= w->host.max_octets);
    return p;
}

static void on_release(void *user, void *memory, size_t size)
{
    world *w = (world *)user;
    size_t i = w->piece_count;
    try_the_forbidden(w, 1);
    while (i && w->pieces[i - 1].at != memory)
        i--;
    CHECK(i && w->pieces[i - 1].size == size);
    w->pieces[i - 1] = w->pieces[--w->piece_count];
    w->octets -= size;
    memset(memory, 0x5a, size);
    if (w->block)
        mtasts_pool_release(&w->pool, memory, size);
    else
        free(memory);
}

/* ---- callbacks that only tell or ask ---- */

static int64_t on_clock(void *user)
{
    world *w = (world *)user;
    int i;
    w->read = w->now < 0 ? 0 : w->now;
    for (i = 0; i < DOMAINS; i++) {
        book *b = &w->books[i];
        b->low = least(b->low, w->read);
        b->txt_low = least(b->txt_low, w->read);
        b->sure &= w->read < plus(b->low, age_of(b->code));
        /* once its time is over it may be forgotten, whatever the clock says later */
        b->tried_failed &= w->read >= b->tried_at && w->read - b->tried_at < MTASTS_RETRY_MIN &&
                           w->read < INT64_MAX;                                 /* no sums there */
        b->stored_until = least(b->stored_until, plus(w->read, b->stored_age)); /* D13 */
        b->stored_known &= w->read < b->stored_until;
    }
    return w->now;
}

static int on_random(void *user, void *out, size_t len)
{
    (void)user;
    memset(out, 7, len);
    return 1;
}

static mtasts_override on_override(void *user, const char *domain, mtasts_str *pinned)
{
    world *w = (world *)user;
    int d = domain_of(domain);
    slot *s = w->asking;
    CHECK(d >= 0 && s && d == s->domain);
    try_the_forbidden(w, 1);
    if (w->books[d].pinned) {
        mtasts_str body = body_of(w, (unsigned)w->books[d].pinned - 1);
        *pinned = s->pinned = copy_of(body.ptr, body.len);
    }
    return w->books[d].override;
}

static void on_drop(void *user, const char *domain)
{
    world *w = (world *)user;
    int d = domain_of(domain);
    book *b;
    CHECK(d >= 0);
    b = &w->books[d];
    try_the_forbidden(w, 1);
    w->calls[MTASTS_WANT_DROP]++;
    CHECK(w->forgetting == d || !b->stored_known);
    drop_copy(b->stored);
    memset(&b->stored, 0, sizeof b->stored);
    b->stored_known = 0;
}

/* A fetch has brought a policy, and it is in memory unless that was said not to be. */
static void came(world *w, int d, const mtasts_event *e)
{
    book *b = &w->books[d];
    CHECK(b->coming || b->tangled);
    if (b->coming) {
        CHECK(e->mode == mode_of(b->coming_code) || b->tangled);
        CHECK(e->left <= age_of(b->coming_code) || b->tangled);
        be_sure(w, d, b->coming_code, b->coming_low, b->coming_id);
    }
    if (b->no_room || b->tangled || !e->left)
        b->sure = 0;
    b->stored_known &= !b->tangled && e->left > 0;
    b->coming = b->no_room = 0;
}

/* D10: an enforced policy goes last, and only for another one. */
static void went(world *w, int d, const mtasts_event *e)
{
    const mtasts_cache_stats *s = &mtasts_client_cache(&w->client)->stats;
    if (e->mode == MTASTS_MODE_ENFORCE) {
        CHECK(s->entries[MTASTS_WORTH_ABSENCE] + s->entries[MTASTS_WORTH_LENIENT] <= 1);
        CHECK(has_enforced(w, w->about & ~(1u << d)));
    }
    w->books[d].sure = 0;
}

static void on_event(void *user, const mtasts_event *e)
{
    world *w = (world *)user;
    int d = domain_of(e->domain);
    book *b;
    CHECK((unsigned)e->kind < MTASTS_EVENT_COUNT);
    w->events[e->kind]++;
    try_the_forbidden(w, 1);
    CHECK(d >= 0 || (e->kind == MTASTS_EVENT_STALE && !e->domain[0]));
    if (d < 0)
        return;
    b = &w->books[d];
    CHECK(e->left >= 0);
    if (e->kind <= MTASTS_EVENT_DOWNGRADED) {
        came(w, d, e);
    } else if (e->kind == MTASTS_EVENT_EVICTED) {
        went(w, d, e);
    } else if (e->kind == MTASTS_EVENT_FETCH_FAILED) {
        b->heard_at = w->read; /* a fetch that is not answered has failed when its time is up */
    } else if (e->kind == MTASTS_EVENT_EXPIRED) {
        CHECK(!b->sure);
    } else if (e->kind == MTASTS_EVENT_NO_ROOM) {
        b->sure = 0;
        b->no_room = b->coming;
        w->disturbed++;
    }
}

/* ---- answers ---- */

static uint32_t take_ttl(world *w)
{
    static const uint32_t ttls[] = {0, 60, 300, 3600, 86400, UINT32_MAX};
    return ttls[take_octet(&w->in) % COUNT(ttls)];
}

/* Which records there are, and what the callee is told of it. */
typedef struct dns {
    mtasts_err status;
    mtasts_str text[2], strings[3];
    mtasts_txt records[3];
    size_t count;
} dns;

static void make_dns(dns *a, unsigned how)
{
    static const mtasts_err errors[] = {MTASTS_ERR_NO_RECORD, MTASTS_ERR_DNS, MTASTS_ERR_DNS_BOGUS,
                                        MTASTS_ERR_DNS_CNAME};
    static const char *const other[] = {"v=spf1 -all", "v=STSv1; id=a-b;", "v=STSv1; id=z;"};
    char record[32];
    size_t cut;
    memset(a, 0, sizeof *a);
    if ((how & 7) == 7) {
        a->status = errors[how >> 3 & 3];
        return;
    }
    snprintf(record, sizeof record, "v=STSv1; id=i%u;", how & 3);
    a->text[0] = copy_of(record, strlen(record));
    cut = how >> 5;
    a->strings[0].ptr = a->text[0].ptr;
    a->strings[0].len = cut;
    a->strings[1].ptr = a->text[0].ptr + cut;
    a->strings[1].len = a->text[0].len - cut;
    a->records[0].strings = a->strings;
    a->records[0].count = 2;
    if (how & 4 && (how >> 3 & 3) < 3) {
        const char *text = other[how >> 3 & 3];
        a->text[1] = a->strings[2] = copy_of(text, strlen(text));
        a->records[1].strings = &a->strings[2];
        a->records[1].count = 1;
        a->count = 2;
    } else {
        a->count = !(how & 4);
    }
}

static mtasts_err give_txt(world *w, const request *r)
{
    book *b = &w->books[r->domain];
    char before[ID_SIZE];
    mtasts_record record;
    unsigned how = take_octet(&w->in);
    uint32_t ttl = take_ttl(w);
    int64_t low = b->txt_low;
    mtasts_err err;
    dns a;
    make_dns(&a, how);
    memcpy(before, b->txt_id, sizeof before);
    mtasts_record_select(&record, a.records, a.count, NULL);
    memcpy(b->txt_id, record.id, sizeof b->txt_id);
    b->txt_low = w->now < 0 ? 0 : w->now;
    b->heard_at = b->heard_at > b->txt_low ? b->heard_at : b->txt_low;
    err = mtasts_client_give_txt(&w->client, r->ticket, a.status, a.count ? a.records : NULL,
                                 a.count, ttl);
    if (err != MTASTS_OK) {
        memcpy(b->txt_id, before, sizeof before);
        b->txt_low = least(low, w->read);
    }
    drop_copy(a.text[0]);
    drop_copy(a.text[1]);
    return err;
}

static mtasts_err give_no_policy(world *w, const request *r, unsigned how)
{
    static const mtasts_err errors[] = {MTASTS_ERR_HTTPS_CONNECT,
                                        MTASTS_ERR_HTTPS_CERT,
                                        MTASTS_ERR_HTTP_STATUS,
                                        MTASTS_ERR_POLICY_SIZE,
                                        MTASTS_ERR_LIMIT,
                                        MTASTS_ERR_USAGE,
                                        MTASTS_OK,
                                        MTASTS_OK};
    book *b = &w->books[r->domain];
    book before = *b;
    mtasts_err err, status = errors[how & 7];
    b->tried_failed = status != MTASTS_ERR_LIMIT && !b->tangled;
    memcpy(b->tried_id, b->txt_id, sizeof b->tried_id);
    b->tried_at = w->now < 0 ? 0 : w->now;
    b->undisturbed = disturbances(w);
    err = mtasts_client_give_https(&w->client, r->ticket, status, "mode: none\n", how & 8 ? 11 : 0);
    if (err != MTASTS_OK) {
        b->tried_failed = before.tried_failed && !b->tangled;
        memcpy(b->tried_id, before.tried_id, sizeof b->tried_id);
        b->tried_at = before.tried_at;
        b->undisturbed = before.undisturbed;
    }
    return err;
}

/* The id that a fetch is for now, as far as we know; "": we do not. */
static const char *fetch_id(const book *b)
{
    return b->tangled ? "" : b->txt_id[0] ? b->txt_id : b->sure ? b->id : "";
}

static mtasts_err give_https(world *w, const request *r)
{
    book *b = &w->books[r->domain];
    unsigned how = take_octet(&w->in), code;
    int failed = b->tried_failed;
    int64_t now = w->now < 0 ? 0 : w->now;
    mtasts_policy policy;
    mtasts_str body;
    mtasts_err err;
    grant *g;
    if (how & 0x80)
        return give_no_policy(w, r, how);
    code = take_octet(&w->in);
    body = body_of(w, code);
    CHECK(mtasts_policy_parse(&policy, body.ptr, body.len, 0, NULL) == MTASTS_OK);
    g = add_grant(w, r->domain, code, least(r->at, now), fetch_id(b));
    if (b->coming)
        b->tangled = 1;
    b->coming = 1;
    b->coming_code = code;
    b->coming_low = least(b->txt_low, least(r->at, now));
    memcpy(b->coming_id, g->id, sizeof g->id);
    b->tried_failed = 0; /* now, as who waits for it may go on before this call returns */
    body = copy_of(body.ptr, body.len);
    err = mtasts_client_give_https(&w->client, r->ticket, MTASTS_OK, body.ptr, body.len);
    drop_copy(body);
    if (err != MTASTS_OK) {
        b->coming = 0;
        b->tried_failed = failed;
        g->fetched = INT64_MIN;
    }
    return err;
}

/* An entry as a person with a text editor could have stored it. */
static mtasts_str forge(world *w, int domain)
{
    static const int64_t ages[] = {0, 10, 299, 3000, 86400, 604799, 604800, -5000};
    static char out[MTASTS_ENTRY_MAX];
    char buffer[MTASTS_NAME_SIZE], id[4];
    unsigned code = take_octet(&w->in), how = take_octet(&w->in);
    mtasts_str body = body_of(w, code);
    mtasts_entry e;
    size_t len;
    memset(&e, 0, sizeof e);
    e.domain.ptr = name_of(domain, buffer);
    e.domain.len = strlen(e.domain.ptr);
    e.fetched = w->now > ages[how & 7] && w->now < INT64_MAX / 2 ? w->now - ages[how & 7] : 0;
    e.checked = e.used = e.fetched;
    e.expires = e.refresh = e.fetched + age_of(code);
    snprintf(id, sizeof id, "i%u", how >> 3 & 3);
    if (!(how & 0x20))
        mtasts_policy_parse(&e.policy, body.ptr, body.len, 0, NULL);
    if (e.policy.text.ptr) {
        e.id.ptr = id;
        e.id.len = 2;
    }
    if (how & 0x40) {
        e.failures = 1 + (how >> 7) * 8;
        e.failed = MTASTS_ERR_HTTPS_CERT;
        e.retry = plus(e.fetched, 1000);
    }
    if (mtasts_entry_write(out, sizeof out, &len, &e) != MTASTS_OK)
        len = 0;
    return copy_of(out, len);
}

/* What is read from the store: mostly what is there. *honest: it is. */
static mtasts_str take_stored(world *w, int domain, int *honest)
{
    mtasts_str s = w->books[domain].stored, copy;
    unsigned how = take_octet(&w->in);
    *honest = how < 0x90;
    if (how >= 0xe0)
        return forge(w, domain);
    if (how >= 0xd0)
        s.len /= 2;
    else if (how >= 0xc0)
        s = w->books[(domain + 1) % DOMAINS].stored;
    else if (how >= 0xb0)
        s.len = 0;
    copy = copy_of(s.ptr, s.len);
    if (how >= 0x90 && how < 0xb0 && s.len)
        ((char *)(uintptr_t)copy.ptr)[(how & 0x1f) * s.len / 32] ^= 1;
    return copy;
}

/* Which policy is it? -1: none of ours. */
static int code_of(world *w, mtasts_str text)
{
    int code;
    for (code = 0; code < 256; code++)
        if (w->bodies[code].ptr && same_text(w->bodies[code], text))
            return code;
    return -1;
}

/* A text from the store comes into memory, it may be: then it grants what it says. Returns the
 * code of its policy if that is valid now, or -1. */
static int grant_stored(world *w, int domain, mtasts_str text, mtasts_entry *e)
{
    char buffer[MTASTS_NAME_SIZE], id[ID_SIZE];
    const char *name = name_of(domain, buffer);
    int64_t now = w->now < 0 ? 0 : w->now;
    int code;
    if (mtasts_entry_read(e, name, strlen(name), text.ptr, text.len, now, NULL) != MTASTS_OK)
        return -1;
    w->books[domain].heard_at = w->books[domain].heard_at > now ? w->books[domain].heard_at : now;
    w->disturbed++;
    if (!e->policy.text.ptr)
        return -1;
    code = code_of(w, e->policy.text);
    CHECK(code >= 0);
    snprintf(id, sizeof id, "%.*s", (int)e->id.len, e->id.ptr);
    add_grant(w, domain, (unsigned)code, e->fetched, id);
    return mtasts_entry_valid(e, now) ? code : -1;
}

static mtasts_err give_load(world *w, const request *r)
{
    book *b = &w->books[r->domain];
    int honest, code, was_sure = b->sure && !b->tangled, any = has_any(w, r->domain);
    mtasts_str text = take_stored(w, r->domain, &honest);
    mtasts_err err, status = take_octet(&w->in) >= 0xf0 ? MTASTS_ERR_STORE : MTASTS_OK;
    unsigned long life = w->life;
    mtasts_entry e;
    char id[ID_SIZE] = "";
    code = status == MTASTS_OK && text.len ? grant_stored(w, r->domain, text, &e) : -1;
    if (code >= 0)
        snprintf(id, sizeof id, "%.*s", (int)e.id.len, e.id.ptr);
    b->stored_known &= honest && status == MTASTS_OK && code >= 0;
    if (code >= 0 && !any && !b->tangled && r->life == w->life)
        be_sure(w, r->domain, (unsigned)code, e.fetched, id);
    else if (code >= 0 && (e.fetched > b->low || b->tangled))
        b->sure = 0; /* one or the other */
    err = mtasts_client_give_load(&w->client, r->ticket, status, text.len ? text.ptr : NULL,
                                  text.len);
    if ((err == MTASTS_ERR_STALE || err == MTASTS_ERR_USAGE) && code >= 0 && life == w->life &&
        !was_sure)
        b->sure = 0;
    drop_copy(text);
    return err;
}

static mtasts_err give(world *w, const request *r)
{
    w->about |= 1u << r->domain;
    if (r->want == MTASTS_WANT_TXT)
        return give_txt(w, r);
    if (r->want == MTASTS_WANT_HTTPS)
        return give_https(w, r);
    if (r->want == MTASTS_WANT_LOAD)
        return give_load(w, r);
    return mtasts_client_give_save(&w->client, r->ticket,
                                   take_octet(&w->in) & 1 ? MTASTS_ERR_STORE : MTASTS_OK);
}

static void keep_late(world *w, request r, int done)
{
    r.done = done;
    w->late[w->late_count++ % PENDING] = r;
}

static void give_pending(world *w, size_t i)
{
    request r = w->pending[i];
    mtasts_err err;
    w->pending[i] = w->pending[--w->pending_count];
    err = give(w, &r);
    CHECK(err == MTASTS_OK || err == MTASTS_ERR_STALE || (!w->ready && err == MTASTS_ERR_USAGE) ||
          (r.want == MTASTS_WANT_LOAD && err != MTASTS_ERR_USAGE));
    keep_late(w, r, 1);
}

/* ---- callbacks that want an answer ---- */

static void on_ask(world *w, uint64_t ticket, mtasts_want want, int domain)
{
    request r;
    size_t i;
    CHECK(domain >= 0 && !w->inside && w->ready);
    for (i = 0; i < w->pending_count; i++)
        CHECK(w->pending[i].ticket != ticket || w->pending[i].life != w->life);
    r.ticket = ticket;
    r.want = want;
    r.domain = domain;
    r.done = 0;
    r.at = w->read;
    r.life = w->life;
    w->calls[want]++;
    w->inside = 1;
    try_the_forbidden(w, 0);
    if (w->options & 4) {
        unsigned how = take_octet(&w->in);
        mtasts_err err;
        if (how & 0x80 && w->now < INT64_MAX / 2)
            w->now += how & 0x7f;
        err = give(w, &r);
        CHECK(err == MTASTS_OK || want == MTASTS_WANT_LOAD);
        CHECK(err != MTASTS_ERR_STALE && err != MTASTS_ERR_USAGE);
        keep_late(w, r, 1);
    } else {
        if (w->pending_count == PENDING)
            keep_late(w, w->pending[--w->pending_count], 0);
        w->pending[w->pending_count++] = r;
    }
    w->inside = 0;
}

static void on_txt(void *user, uint64_t ticket, const char *name)
{
    world *w = (world *)user;
    int d;
    CHECK(strncmp(name, "_mta-sts.", 9) == 0);
    d = domain_of(name + 9);
    CHECK(d >= 0);
    w->books[d].txt_id[0] = '\0';
    w->books[d].txt_low = w->read;
    on_ask(w, ticket, MTASTS_WANT_TXT, d);
}

/* H5, and what is known and fresh is not fetched anew. */
static void on_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    world *w = (world *)user;
    int d = domain_of(domain);
    book *b;
    const char *id;
    CHECK(d >= 0 && strncmp(policy_host, "mta-sts.", 8) == 0);
    CHECK(strcmp(policy_host + 8, domain) == 0);
    b = &w->books[d];
    id = fetch_id(b);
    if (id[0] && b->tried_failed && strcmp(id, b->tried_id) == 0 &&
        b->undisturbed == disturbances(w))
        CHECK(w->read - b->tried_at >= MTASTS_RETRY_MIN);
    if (id[0] && b->sure && !b->imported && strcmp(id, b->id) == 0)
        CHECK(w->read - b->low >= MTASTS_RETRY_MIN || w->read == INT64_MAX);
    on_ask(w, ticket, MTASTS_WANT_HTTPS, d);
}

static void on_load(void *user, uint64_t ticket, const char *domain)
{
    on_ask((world *)user, ticket, MTASTS_WANT_LOAD, domain_of(domain));
}

static void on_save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    world *w = (world *)user;
    int d = domain_of(domain);
    mtasts_entry e;
    book *b;
    CHECK(d >= 0);
    b = &w->books[d];
    CHECK(mtasts_entry_read(&e, domain, strlen(domain), text, len, INT64_MAX, NULL) == MTASTS_OK);
    if (e.policy.text.ptr) {
        CHECK(is_granted(w, d, e.policy.text, e.id, e.expires, w->serial + 1));
        b->stored_known = !(w->options & 0x20);
        b->stored_until = e.expires;
        b->stored_age = e.policy.max_age;
    } else {
        CHECK(!b->stored_known || b->tangled); /* D3: the policy there is still valid */
        b->stored_known = 0;
    }
    drop_copy(b->stored);
    b->stored = copy_of(text, len);
    on_ask(w, ticket, MTASTS_WANT_SAVE, d);
}

/* ---- look-ups ---- */

/* `direct`: nothing has happened since it was answered. */
/* Is there a valid policy in memory? */
static int has_in_memory(const world *w, int domain)
{
    mtasts_cursor cursor;
    mtasts_entry e;
    char buffer[MTASTS_NAME_SIZE];
    const char *name = name_of(domain, buffer);
    memset(&cursor, 0, sizeof cursor);
    while (mtasts_cache_next(mtasts_client_cache(&w->client), &cursor, &e))
        if (e.domain.len == strlen(name) && memcmp(e.domain.ptr, name, e.domain.len) == 0)
            return e.policy.text.ptr && e.fetched <= w->read && mtasts_entry_valid(&e, w->read);
    return 0;
}

static void check_answer(world *w, slot *s, int direct)
{
    const mtasts_lookup *l = s->lookup;
    const book *b = &w->books[s->domain];
    mtasts_str id;
    w->answers++;
    CHECK((unsigned)l->learned <= MTASTS_LEARNED_FAILED);
    if (s->pinned.ptr) {
        CHECK(l->policy && l->policy->text.ptr == s->pinned.ptr);
        return;
    }
    if (l->policy) {
        id.ptr = l->id;
        id.len = strlen(l->id);
        CHECK(is_granted(w, s->domain, l->policy->text, id, l->expires, s->began));
        CHECK(!l->cached || !direct || w->read < l->expires);
        CHECK(!direct || l->expires - w->read <= l->policy->max_age);
        if (direct && b->sure)
            CHECK(same_text(l->policy->text, body_of(w, b->code)));
    } else if (l->learned != MTASTS_LEARNED_NOTHING) {
        CHECK(!b->sure || b->since >= s->began);
        CHECK(!l->cached || w->read - b->heard_at <= MTASTS_ABSENCE_MAX || w->options & 0x20);
        CHECK(w->nested || !has_in_memory(w, s->domain));
    }
}

static void close_slot(slot *s)
{
    free(s->lookup);
    drop_copy(s->pinned);
    s->lookup = NULL;
    memset(&s->pinned, 0, sizeof s->pinned);
    s->waits = 0;
}

static void end_slot(world *w, slot *s)
{
    if (!s->lookup)
        return;
    if (s->lookup->policy && !s->waits)
        CHECK(s->lookup->policy->text.len > 0 && s->lookup->policy->text.ptr[0] == 'v');
    w->serial++;
    mtasts_client_end(&w->client, s->lookup);
    close_slot(s);
}

static void step(world *w);

static void on_done(void *user, mtasts_lookup *lookup)
{
    slot *s = (slot *)user;
    world *w = s->w;
    CHECK(s->lookup == lookup && s->waits == 1 && w->ready && !w->inside);
    s->waits = 0;
    check_answer(w, s, 0);
    if (w->in.left && take_octet(&w->in) & 1)
        step(w);
}

/* What the script calls the domain. */
static mtasts_str take_name(world *w, int domain, unsigned how)
{
    char buffer[MTASTS_NAME_SIZE], name[MTASTS_NAME_SIZE + 2];
    size_t i;
    snprintf(name, sizeof name, "%s%s", name_of(domain, buffer), how & 2 ? "." : "");
    for (i = 0; how & 4 && name[i]; i++)
        if (name[i] >= 'a' && name[i] <= 'z')
            name[i] = (char)(name[i] - 'a' + 'A');
    if ((how & 0x38) == 0x38)
        return take_copy(&w->in, take_octet(&w->in) & 31);
    return copy_of(name, strlen(name));
}

static void look_up(world *w, slot *s)
{
    unsigned how = take_octet(&w->in);
    unsigned flags = how & 0x40 ? MTASTS_LOOKUP_AGAIN : 0;
    char normal[MTASTS_NAME_SIZE];
    unsigned long life = w->life;
    mtasts_err err, named;
    mtasts_str name;
    slot *outer = w->asking;
    int sure;
    end_slot(w, s);
    s->domain = (int)(take_octet(&w->in) % DOMAINS);
    name = take_name(w, s->domain, how);
    named = mtasts_name_normalise(normal, name.ptr, name.len, NULL);
    if (named == MTASTS_OK && domain_of(normal) < 0) {
        drop_copy(name); /* a name that is none of ours */
        return;
    }
    if (named == MTASTS_OK)
        s->domain = domain_of(normal);
    s->lookup = (mtasts_lookup *)calloc(1, sizeof *s->lookup);
    if (!s->lookup)
        abort();
    s->lookup->done = on_done;
    s->lookup->user = s;
    s->waits = 2;
    w->asking = s;
    s->began = ++w->serial;
    w->about |= 1u << s->domain;
    sure = w->books[s->domain].sure;
    err = mtasts_client_lookup(&w->client, s->lookup, name.ptr, name.len, flags);
    w->asking = outer;
    drop_copy(name);
    if (life != w->life || !w->ready) {
        CHECK(err != MTASTS_MORE);
        if (s->lookup && err != MTASTS_OK)
            close_slot(s);
        return;
    }
    w->lookups++;
    if (!s->lookup)
        abort();
    if (named == MTASTS_ERR_NAME_ADDRESS) {
        CHECK(err == MTASTS_OK && !s->lookup->policy);
        s->waits = 0;
        w->answers++;
        return;
    }
    if (err == MTASTS_OK) {
        s->waits = 0;
        check_answer(w, s, w->depth == 1 && s->lookup->cached);
    } else if (err == MTASTS_MORE) {
        s->waits = 1;
    } else {
        CHECK(err == named || err == MTASTS_ERR_LIMIT || s->pinned.ptr);
        CHECK(err != MTASTS_ERR_LIMIT || flags || !sure || !w->books[s->domain].sure);
        close_slot(s);
    }
}

/* ---- steps ---- */

typedef struct shown {
    size_t octets, entries;
    uint64_t calls, answers;
    uint32_t discoveries;
} shown;

/* What can be seen of the client from outside. */
static shown look(const world *w)
{
    const mtasts_cache_stats *stats = &mtasts_client_cache(&w->client)->stats;
    shown s;
    unsigned i;
    memset(&s, 0, sizeof s);
    s.octets = stats->octets;
    s.entries = stats->entries[0] + stats->entries[1] + stats->entries[2];
    s.answers = w->answers;
    s.discoveries = w->client.counters.discoveries;
    for (i = 0; i < COUNT(w->calls); i++)
        s.calls += w->calls[i];
    return s;
}

/* A ticket that was used, is of another kind or life, or was invented. */
static void step_stale(world *w)
{
    unsigned how = take_octet(&w->in);
    shown before = look(w), after;
    mtasts_err err;
    request r;
    size_t i;
    memset(&r, 0, sizeof r);
    if (how & 1 && w->pending_count)
        r = w->pending[how / 4 % w->pending_count];
    else if (w->late_count)
        r = w->late[how / 4 % (w->late_count < PENDING ? w->late_count : PENDING)];
    if (how & 2)
        r.ticket ^= (uint64_t)1 << (how >> 2);
    for (i = 0; i < w->pending_count; i++)
        if (w->pending[i].ticket == r.ticket && (!(how & 1) || how & 2))
            return;
    if (how & 1 && !(how & 2) && r.want == MTASTS_WANT_SAVE)
        err = mtasts_client_give_load(&w->client, r.ticket, MTASTS_OK, "x", 1);
    else if (how & 1 && !(how & 2) && r.want == MTASTS_WANT_TXT)
        err = mtasts_client_give_https(&w->client, r.ticket, MTASTS_OK, "x", 1);
    else if (how & 1 && !(how & 2))
        err = mtasts_client_give_txt(&w->client, r.ticket, MTASTS_ERR_NO_RECORD, NULL, 0, 9);
    else if (!(how & 2) && !r.done)
        return;
    else
        err = r.want == MTASTS_WANT_TXT
                  ? mtasts_client_give_txt(&w->client, r.ticket, MTASTS_ERR_NO_RECORD, NULL, 0, 9)
              : r.want == MTASTS_WANT_LOAD
                  ? mtasts_client_give_load(&w->client, r.ticket, MTASTS_OK, NULL, 0)
              : r.want == MTASTS_WANT_SAVE
                  ? mtasts_client_give_save(&w->client, r.ticket, MTASTS_OK)
                  : mtasts_client_give_https(&w->client, r.ticket, MTASTS_OK, "x", 1);
    CHECK(err == MTASTS_ERR_STALE || (how & 1 && err == MTASTS_ERR_USAGE));
    after = look(w);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

static int64_t tick(world *w)
{
    int64_t next = mtasts_client_next(&w->client), then;
    /* not when the clock was set back; a second is what it takes to wait for a place */
    int early = next > plus(w->read, 1) && next > w->now && w->read <= w->now;
    shown before = look(w), after;
    unsigned long life = w->life;
    w->serial++;
    then = mtasts_client_tick(&w->client);
    if (life != w->life || !w->ready)
        return INT64_MAX;
    after = look(w);
    CHECK(then == mtasts_client_next(&w->client));
    CHECK(!early || memcmp(&before, &after, sizeof before) == 0);
    return then;
}

/* Ticks as a host does them: it comes to rest. */
static void step_rest(world *w)
{
    int64_t next = 0;
    unsigned i;
    for (i = 0; w->ready && next <= w->read && next != INT64_MAX; i++) {
        CHECK(i < 6 * DOMAINS);
        next = tick(w);
    }
}

static void step_clock(world *w)
{
    static const int64_t spans[] = {1,    9,     11,    31,    61,     299,     300,      400,
                                    3600, 43200, 86400, 90000, 604800, 2700000, 31557600, 5};
    unsigned how = take_octet(&w->in);
    int64_t span = spans[how & 15];
    if ((how & 0xf0) == 0xf0)
        w->now = how & 1 ? INT64_MAX : how & 2 ? INT64_MIN : 1700000000;
    else if (how >= 0xc0)
        w->now = w->now < INT64_MIN + span ? INT64_MIN : w->now - span;
    else
        w->now = w->now > INT64_MAX - span ? INT64_MAX : w->now + span;
}

static void step_import(world *w)
{
    int d = (int)(take_octet(&w->in) % DOMAINS), honest, had, code, rival = 0;
    char buffer[MTASTS_NAME_SIZE], id[ID_SIZE];
    const char *name = name_of(d, buffer);
    mtasts_str text = take_stored(w, d, &honest);
    mtasts_entry e;
    mtasts_err err;
    if (mtasts_entry_read(&e, name, strlen(name), text.ptr, text.len, w->read, NULL) == MTASTS_OK)
        rival = has_as_new(w, d, e.fetched);
    had = mtasts_client_entry(&w->client, name, strlen(name), &e);
    code = grant_stored(w, d, text, &e);
    if (code >= 0)
        snprintf(id, sizeof id, "%.*s", (int)e.id.len, e.id.ptr);
    w->about |= 1u << d;
    err = mtasts_client_import(&w->client, name, strlen(name), text.ptr, text.len, NULL);
    if (err == MTASTS_OK && !had && !rival && code >= 0) {
        be_sure(w, d, (unsigned)code, e.fetched, id);
        w->books[d].imported = 1;
    }
    drop_copy(text);
}

static void step_refresh(world *w)
{
    char buffer[MTASTS_NAME_SIZE];
    const char *name = name_of((int)(take_octet(&w->in) % DOMAINS), buffer);
    mtasts_err err = mtasts_client_refresh(&w->client, name, strlen(name));
    CHECK(err == MTASTS_OK || err == MTASTS_ERR_LIMIT);
}

static void step_forget(world *w)
{
    int d = (int)(take_octet(&w->in) % DOMAINS), before = w->forgetting, had;
    char buffer[MTASTS_NAME_SIZE];
    const char *name = name_of(d, buffer);
    book *b = &w->books[d];
    mtasts_entry e;
    had = mtasts_client_entry(&w->client, name, strlen(name), &e);
    w->forgetting = d;
    w->serial++;
    b->sure = 0;
    b->tangled = b->tangled || w->client.counters.discoveries;
    b->tried_failed = 0;
    kill_grants(w, d);
    CHECK(mtasts_client_forget(&w->client, name, strlen(name)) == had);
    CHECK(!mtasts_client_entry(&w->client, name, strlen(name), &e));
    w->forgetting = before;
}

static void step_switch(world *w)
{
    unsigned to = take_octet(&w->in) % 4;
    mtasts_client_switch(&w->client, to < 3 ? (mtasts_switch)to : MTASTS_SWITCH_ON);
}

static void step_entry(world *w)
{
    int d = (int)(take_octet(&w->in) % DOMAINS), has;
    char buffer[MTASTS_NAME_SIZE];
    const char *name = name_of(d, buffer);
    const book *b = &w->books[d];
    mtasts_entry e;
    has = mtasts_client_entry(&w->client, name, strlen(name), &e);
    CHECK(!b->sure || (has && same_text(e.policy.text, body_of(w, b->code))));
    if (!has)
        return;
    CHECK(same_id(e.domain, name) && e.fetched <= w->read && e.checked <= w->read);
    CHECK(e.used <= w->read && e.refresh <= e.expires);
    CHECK(!b->sure || (e.expires >= plus(b->low, age_of(b->code)) && w->read < e.expires));
    CHECK(!e.policy.text.ptr || e.expires - w->read <= e.policy.max_age);
}

static void step_override(world *w)
{
    static const mtasts_override overrides[] = {MTASTS_OVERRIDE_NONE, MTASTS_OVERRIDE_IGNORE};
    unsigned how = take_octet(&w->in);
    book *b = &w->books[how % DOMAINS];
    b->override = overrides[how >> 3 & 1];
    b->pinned = how & 0x10 ? (int)take_octet(&w->in) + 1 : 0;
}

/* What is stored is changed by somebody else. */
static void step_store(world *w)
{
    int d = (int)(take_octet(&w->in) % DOMAINS), honest;
    mtasts_str text = take_stored(w, d, &honest);
    book *b = &w->books[d];
    b->stored_known &= honest;
    drop_copy(b->stored);
    b->stored = text;
}

/* D10: whatever happens in the middle of an iteration, what stays is given. */
static void step_iterate(world *w)
{
    unsigned stays = 0, given = 0, i, at = take_octet(&w->in) % DOMAINS;
    unsigned long since = w->serial, life = w->life;
    mtasts_cursor cursor;
    mtasts_entry e;
    char name[MTASTS_NAME_SIZE];
    memset(&cursor, 0, sizeof cursor);
    for (i = 0; mtasts_cache_next(mtasts_client_cache(&w->client), &cursor, &e); i++) {
        snprintf(name, sizeof name, "%.*s", (int)e.domain.len, e.domain.ptr);
        given |= 1u << domain_of(name);
        CHECK(i < 1000);
        if (i == at)
            step(w);
        if (life != w->life || !w->ready)
            return;
    }
    for (i = 0; i < DOMAINS; i++)
        stays |= (unsigned)(w->books[i].sure && w->books[i].since <= since) << i;
    CHECK((stays & ~given) == 0);
}

/* ---- a client's life ---- */

static void clear(world *w)
{
    int i;
    mtasts_client_clear(&w->client);
    CHECK(!w->piece_count && !w->octets && !mtasts_client_cache(&w->client)->stats.octets);
    w->serial++;
    w->life++;
    w->ready = 0;
    kill_grants(w, -1);
    while (w->pending_count)
        keep_late(w, w->pending[--w->pending_count], 0);
    for (i = 0; i < DOMAINS; i++) {
        book *b = &w->books[i];
        b->sure = b->coming = b->no_room = b->tangled = b->tried_failed = b->stored_known = 0;
    }
    for (i = 0; i < SLOTS; i++)
        if (w->slots[i].lookup && w->slots[i].waits != 2) {
            CHECK(!w->slots[i].lookup->policy || w->slots[i].pinned.ptr);
            w->slots[i].waits = 0;
            if (w->options & 0x80)
                mtasts_client_end(&w->client, w->slots[i].lookup);
            close_slot(&w->slots[i]);
        }
}

static void begin(world *w)
{
    memset(w->calls, 0, sizeof w->calls);
    memset(w->events, 0, sizeof w->events);
    w->answers = w->lookups = w->disturbed = 0;
    w->now = w->now < 0 ? 0 : w->now;
    if (w->block)
        mtasts_pool_init(&w->pool, w->block, w->block_size);
    w->late_count = 0;
    CHECK(mtasts_client_init(&w->client, &w->host) == MTASTS_OK);
    w->ready = 1;
}

/* All that must hold between any two calls. */
static void check_memory(world *w)
{
    const mtasts_cache *cache = mtasts_client_cache(&w->client);
    unsigned seen = 0, has = 0;
    size_t worth[3] = {0, 0, 0};
    mtasts_cursor cursor;
    mtasts_entry e;
    char name[MTASTS_NAME_SIZE];
    int d;
    memset(&cursor, 0, sizeof cursor);
    while (mtasts_cache_next(cache, &cursor, &e)) {
        snprintf(name, sizeof name, "%.*s", (int)e.domain.len, e.domain.ptr);
        d = domain_of(name);
        CHECK(d >= 0 && !(seen >> d & 1));
        seen |= 1u << d;
        worth[!e.policy.text.ptr ? 0 : e.policy.mode == MTASTS_MODE_ENFORCE ? 2 : 1]++;
        if (!e.policy.text.ptr)
            continue;
        CHECK(e.expires == plus(e.fetched, e.policy.max_age) && e.policy.max_age);
        CHECK(is_granted(w, d, e.policy.text, e.id, e.expires, w->serial + 1));
        if (w->books[d].sure) {
            CHECK(same_text(e.policy.text, body_of(w, w->books[d].code)));
            CHECK(e.expires >= plus(w->books[d].low, e.policy.max_age));
        }
        has |= 1u << d;
    }
    for (d = 0; d < DOMAINS; d++)
        CHECK(!w->books[d].sure || has >> d & 1);
    CHECK(memcmp(worth, cache->stats.entries, sizeof worth) == 0);
    CHECK(!w->host.max_entries || worth[0] + worth[1] + worth[2] <= w->host.max_entries);
    CHECK(w->host.block || cache->stats.octets == w->octets);
    CHECK(cache->stats.policies <=
          worth[1] + worth[2] + 2 * w->client.counters.discoveries + SLOTS);
}

static void check_counters(const world *w)
{
    const mtasts_counters *c = &w->client.counters;
    uint64_t answers = 0;
    unsigned i;
    for (i = 0; i < COUNT(c->answers); i++)
        answers += c->answers[i];
    CHECK(c->txt == w->calls[MTASTS_WANT_TXT] && c->https == w->calls[MTASTS_WANT_HTTPS]);
    CHECK(c->load == w->calls[MTASTS_WANT_LOAD] && c->save == w->calls[MTASTS_WANT_SAVE]);
    CHECK(c->drop == w->calls[MTASTS_WANT_DROP] && c->lookups == w->lookups);
    CHECK(answers == w->answers && c->hits + c->joined <= c->lookups);
    CHECK(c->discoveries <= w->host.max_lookups || !w->host.max_lookups);
    CHECK(w->options & 0x20 || memcmp(c->events, w->events, sizeof w->events) == 0);
}

/* The books after a step. */
static void check_all(world *w)
{
    int i;
    w->about = 0;
    for (i = 0; i < DOMAINS; i++) {
        book *b = &w->books[i];
        CHECK(!b->coming || b->no_room || b->tangled || w->options & 0x20);
        b->coming = b->no_room = 0;
        b->tangled = b->tangled && w->client.counters.discoveries;
    }
    check_memory(w);
    check_counters(w);
}

enum {
    LOOK_UP,
    END,
    ANSWER,
    STALE,
    TICK,
    REST,
    CLOCK,
    IMPORT,
    REFRESH,
    FORGET,
    SWITCH,
    ENTRY,
    FAIL,
    OVERRIDE,
    STORE,
    ITERATE,
    RESTART
};

static void step_restart(world *w)
{
    clear(w);
    if (w->depth == 1)
        begin(w);
}

static void step_fail(world *w)
{
    unsigned how = take_octet(&w->in);
    w->fail_in = 1 + (how & 15);
    w->fail_count = 1 + (how >> 4) * (how >> 4);
}

static void do_step(world *w, unsigned op)
{
    static void (*const steps[])(world *) = {
        step_stale,  NULL,       step_rest, step_clock,    step_import, step_refresh, step_forget,
        step_switch, step_entry, step_fail, step_override, step_store,  step_iterate, step_restart};
    if (op == LOOK_UP)
        look_up(w, &w->slots[take_octet(&w->in) % SLOTS]);
    else if (op == END)
        end_slot(w, &w->slots[take_octet(&w->in) % SLOTS]);
    else if (op == ANSWER && w->pending_count)
        give_pending(w, take_octet(&w->in) % w->pending_count);
    else if (op == TICK)
        tick(w);
    else if (op > ANSWER)
        steps[op - STALE](w);
}

/* From outside all callbacks, or from inside `done`. */
static void step(world *w)
{
    static const unsigned char ops[32] = {
        LOOK_UP, LOOK_UP, LOOK_UP, LOOK_UP, LOOK_UP,  END,   ANSWER,  ANSWER,
        ANSWER,  ANSWER,  ANSWER,  ANSWER,  ANSWER,   STALE, STALE,   TICK,
        TICK,    TICK,    REST,    CLOCK,   CLOCK,    CLOCK, IMPORT,  REFRESH,
        FORGET,  SWITCH,  ENTRY,   FAIL,    OVERRIDE, STORE, ITERATE, RESTART};
    unsigned op = ops[take_octet(&w->in) % COUNT(ops)];
    if (!w->ready || w->depth == DEPTH || w->steps++ == STEPS)
        return;
    w->serial++;
    w->nested = w->depth++ > 0;
    if (op == TICK || op == REST)
        w->about = ~0u;
    do_step(w, op);
    w->depth--;
}

/* Everything is answered, or its time is up: nobody waits any longer. */
static void finish(world *w)
{
    unsigned i;
    w->in.left = 0;
    w->nested = 0;
    for (i = 0; i < 16; i++) {
        w->about = ~0u;
        while (w->options & 8 && w->pending_count)
            give_pending(w, 0);
        w->now = w->now > INT64_MAX - 61 ? 1700000000 : w->now < 0 ? 0 : w->now + 61;
        tick(w);
    }
    check_all(w);
    for (i = 0; i < SLOTS; i++)
        CHECK(!w->slots[i].lookup || !w->slots[i].waits);
    clear(w);
}

static void set_up(world *w, unsigned size, unsigned limits)
{
    mtasts_host *h = &w->host;
    mtasts_host_init(h);
    h->user = w;
    h->clock = on_clock;
    h->txt = on_txt;
    h->https = on_https;
    h->key[3] = 9;
    if (w->options & 8) {
        h->load = on_load;
        h->save = on_save;
        h->drop = on_drop;
    }
    h->override = w->options & 0x10 ? on_override : NULL;
    h->event = w->options & 0x20 ? NULL : on_event;
    h->random = w->options & 0x40 ? on_random : NULL;
    h->max_entries = limits & 15;
    h->max_lookups = limits >> 4 & 7;
    if (limits & 0x80)
        h->dns_timeout = h->https_timeout = h->store_timeout = 1;
    w->block_size = 14000 + size * 256;
    if ((w->options & 3) != 0) {
        w->block = malloc(w->block_size);
        if (!w->block)
            abort();
    }
    if ((w->options & 3) == 2) {
        h->block = w->block;
        h->block_size = w->block_size;
        return;
    }
    h->memory.user = w;
    h->memory.allocate = on_allocate;
    h->memory.release = on_release;
    h->max_octets = !size ? 0 : w->block ? w->block_size / 10 * 9 : w->block_size;
}

static void run(world *w)
{
    unsigned size, limits, i;
    w->options = take_octet(&w->in);
    size = take_octet(&w->in);
    limits = take_octet(&w->in);
    w->now = 1700000000;
    w->forgetting = -1;
    for (i = 0; i < SLOTS; i++)
        w->slots[i].w = w;
    set_up(w, size, limits);
    begin(w);
    while (w->in.left && w->steps < STEPS) {
        step(w);
        if (!w->ready)
            begin(w);
        check_all(w);
    }
    finish(w);
    for (i = 0; i < DOMAINS; i++)
        drop_copy(w->books[i].stored);
    for (i = 0; i < 256; i++)
        drop_copy(w->bodies[i]);
    free(w->block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world *w = (world *)calloc(1, sizeof *w);
    if (!w)
        abort();
    w->in.at = data;
    w->in.left = size;
    run(w);
    free(w);
    return 0;
}
