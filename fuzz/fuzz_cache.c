/* Fuzzes sections 14 and 15: a script of calls, of a pool or of a cache.
 *
 * Targets: mtasts_pool_*, mtasts_cache_*
 *
 * Property: pieces of a pool lie in its block, at multiples of eight, and overlap with none.
 * Property: when all are given back, as much can be had in one piece as in the beginning.
 * Property: a get finds what was put last, all members, with no time after now (D1, D9, D13).
 * Property: memory is asked for within the bounds only, and given back in the sizes that were asked
 *           for; all of it at a clear.
 * Property: what is put out is worth no more than what is put. Absences go first and by time, then
 *           policies by use, of a sample of sixteen; and only for want of room (D10).
 * Property: a put that is refused changes nothing else, and nothing that is worth less is left.
 * Property: what is first due, and when, is the least of all times.
 * Property: an iteration gives all that stays, and each once unless the cache grows.
 * Property: a purge removes what has expired and has no retry pending, and tells how much that was.
 * Property: the counters count.
 * Property: an entry that may not be written (section 12) is not kept.
 *
 * Input: octet 0: bit 0: a cache, else a pool
 *        Pool: octet 0, bits 1 to 3: where the block begins; 2 octets: its size
 *        Cache: 1 octet: max_entries; 2: max_octets
 *        Then steps: 1 octet that says which (see yard_step and step), and some that say how.
 */
#include "fuzz.h"

enum {
    STEPS = 200,
    PIECES = 256,
    HEAD = 8, /* before each piece of the cache: its size */
    DOMAINS = 1280,
    WORK = 20000, /* of the slow kind, in an input */
    POLICIES = 16
};

/* Can a piece of this size be had? */
static int can_have(mtasts_pool *pool, size_t size)
{
    void *p = mtasts_pool_allocate(pool, size);
    mtasts_pool_release(pool, p, size);
    return p != NULL;
}

/* The largest piece that a pool of so many octets ever has. */
static size_t largest(mtasts_pool *pool, size_t size)
{
    while (size && !can_have(pool, size))
        size--;
    return size;
}

/* ---- a pool, and those who hold pieces of it ---- */

typedef struct piece {
    unsigned char *at;
    size_t size;
    unsigned char fill;
} piece;

typedef struct yard {
    mtasts_pool pool;
    unsigned char *block;
    size_t size, fresh, count;
    piece pieces[PIECES];
    unsigned char fill;
} yard;

static void yard_take(yard *y, size_t size)
{
    unsigned char *at;
    piece *p = y->pieces + y->count;
    if (y->count == PIECES)
        return;
    at = (unsigned char *)mtasts_pool_allocate(&y->pool, size);
    if (!at) {
        CHECK(y->count || !size || size > y->fresh);
        return;
    }
    CHECK((uintptr_t)at % 8 == 0);
    CHECK(at >= y->block && size <= y->size && at <= y->block + (y->size - size));
    p->at = at;
    p->size = size;
    p->fill = ++y->fill;
    memset(at, p->fill, size);
    y->count++;
}

/* If another piece overlapped, one of them does not have its octets any more. */
static void yard_give(yard *y, size_t i)
{
    piece p = y->pieces[i];
    CHECK(!p.size || (p.at[0] == p.fill && memcmp(p.at, p.at + 1, p.size - 1) == 0));
    y->pieces[i] = y->pieces[--y->count];
    mtasts_pool_release(&y->pool, p.at, p.size);
}

static void yard_give_all(yard *y, size_t from)
{
    while (y->count)
        yard_give(y, from++ % y->count);
    CHECK(!y->fresh || can_have(&y->pool, y->fresh));
}

static void yard_step(yard *y, input *in)
{
    unsigned what = take_octet(in), how = what >> 3;
    switch (what & 7) {
    case 0:
    case 1:
        yard_take(y, take_octet(in));
        return;
    case 2:
        yard_take(y, (size_t)take_number(in, 2));
        return;
    case 3:
        yard_take(y, SIZE_MAX - how);
        return;
    case 4:
        while (how--)
            yard_take(y, 1 + 8 * how);
        return;
    case 5:
        yard_give_all(y, how);
        return;
    default:
        if (y->count)
            yard_give(y, take_octet(in) % y->count);
    }
}

static void run_pool(input *in, unsigned offset)
{
    static yard y;
    unsigned char *field;
    unsigned steps;
    memset(&y, 0, sizeof y);
    y.size = (size_t)take_number(in, 2);
    field = (unsigned char *)malloc(offset + y.size + 1);
    if (!field)
        abort();
    y.block = field + offset;
    mtasts_pool_init(&y.pool, y.block, y.size);
    y.fresh = largest(&y.pool, y.size);
    CHECK(y.size < 128 || y.fresh + 64 >= y.size);
    for (steps = 0; steps < STEPS && in->left; steps++)
        yard_step(&y, in);
    yard_give_all(&y, 0);
    free(field);
}

/* ---- the world: memory, the cache, and what it has to know ---- */

typedef struct known {
    mtasts_entry e; /* as it is to be found; its domain does not count */
    int there;
    int stays, seen; /* in the iteration under way */
} known;

typedef struct world {
    input in;
    unsigned how; /* four bits of a step */
    mtasts_cache cache;
    mtasts_cache_config config;
    size_t octets;            /* asked for and not given back */
    size_t fail_after, fails; /* so many calls do not fail, then so many do */
    int starved;              /* one did in the last put */
    mtasts_policy policies[POLICIES];
    known *known; /* all that ever were, in no order */
    size_t count, work;
    unsigned short place[DOMAINS]; /* among them, from 1 on */
    const known *putting;          /* NULL: no put is under way */
    unsigned worth;                /* of what is put */
    int64_t now;
    uint64_t evicted[3], refused;
    mtasts_cursor cursor;
    int grew; /* since the iteration began */
} world;

static void *on_allocate(void *user, size_t size)
{
    world *w = (world *)user;
    unsigned char *p = NULL;
    CHECK(size && (!w->config.max_octets || size <= w->config.max_octets - w->octets));
    if (w->fail_after || !w->fails) {
        w->fail_after -= w->fail_after > 0;
        p = (unsigned char *)malloc(size + HEAD);
    } else {
        w->fails--;
    }
    if (!p) {
        w->starved = 1;
        return NULL;
    }
    memcpy(p, &size, sizeof size);
    memset(p + HEAD, 0xa5, size);
    w->octets += size;
    return p + HEAD;
}

static void on_release(void *user, void *memory, size_t size)
{
    world *w = (world *)user;
    unsigned char *p = (unsigned char *)memory - HEAD;
    CHECK(memcmp(p, &size, sizeof size) == 0);
    w->octets -= size;
    free(p);
}

/* Some differ in the last octet only. */
static void make_policies(world *w)
{
    static const size_t sizes[] = {1, 60, 300, 2000};
    static const uint32_t ages[] = {86400, 600, 1, MTASTS_MAX_AGE_MAX};
    static const mtasts_mode modes[] = {MTASTS_MODE_ENFORCE, MTASTS_MODE_TESTING, MTASTS_MODE_NONE,
                                        MTASTS_MODE_ENFORCE};
    unsigned i;
    for (i = 0; i < POLICIES; i++) {
        mtasts_policy *p = &w->policies[i];
        size_t len = sizes[i / 4];
        char *text = (char *)malloc(len);
        if (!text)
            abort();
        memset(text, 'a', len);
        text[len - 1] = (char)('a' + i);
        p->text.ptr = text;
        p->text.len = len;
        p->mode = modes[i % 4];
        p->max_age = ages[i / 2 % 4];
        p->mx_count = p->quirks = i;
    }
}

/* The n-th domain, and its length; some are as long as names may be. */
static size_t name_of(size_t n, char name[MTASTS_NAME_SIZE])
{
    static const char tail[] = ".example.com";
    size_t len = n % 64 == 63 ? MTASTS_NAME_SIZE - 1 : 15 + n % 3, i;
    for (i = 0; i < len; i++)
        name[i] = i % 60 == 59 ? '.' : 'x';
    for (i = 0; i < 3; i++)
        name[i] = (char)('a' + (n >> 4 * i & 15));
    memcpy(name + len - (sizeof tail - 1), tail, sizeof tail - 1);
    return len;
}

static size_t number_of(mtasts_str domain)
{
    char name[MTASTS_NAME_SIZE];
    size_t n = 0, i;
    CHECK(domain.len >= 15);
    for (i = 3; i--;)
        n = n << 4 | ((size_t)(domain.ptr[i] - 'a') & 15);
    CHECK(n < DOMAINS && domain.len == name_of(n, name));
    CHECK(memcmp(name, domain.ptr, domain.len) == 0);
    return n;
}

static known *known_of(world *w, size_t n)
{
    if (!w->place[n]) {
        memset(&w->known[w->count], 0, sizeof *w->known);
        w->place[n] = (unsigned short)++w->count;
    }
    return &w->known[w->place[n] - 1];
}

/* ---- what a cache makes of an entry ---- */

static int64_t within(int64_t low, int64_t n, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

static int64_t since_1970(int64_t n)
{
    return n < 0 ? 0 : n;
}

/* No sum overflows. `a` is 0 at least. */
static int64_t plus(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* Kept as a difference from `fetched` that goes up to decades. */
static int64_t near(int64_t fetched, int64_t t)
{
    return within(plus(fetched, INT32_MIN), t, plus(fetched, INT32_MAX));
}

static void settle(mtasts_entry *e, int64_t clock)
{
    int64_t now = since_1970(clock);
    int moved = e->fetched > now;
    if (moved)
        e->fetched = e->refresh = now;
    e->checked = near(e->fetched, within(0, e->checked, now));
    e->used = near(e->fetched, within(0, e->used, now));
    e->retry = within(0, e->retry, plus(now, MTASTS_RETRY_MAX));
    if (e->policy.text.ptr) {
        e->expires = plus(e->fetched, e->policy.max_age);
        e->refresh = within(e->fetched, e->refresh, e->expires);
        return;
    }
    e->expires = moved ? now : within(0, e->expires, plus(now, MTASTS_ABSENCE_MAX));
    if (!e->failures)
        e->expires = within(e->fetched, e->expires, plus(e->fetched, UINT32_MAX));
    e->refresh = e->expires;
}

static int64_t due_of(const mtasts_entry *e)
{
    int64_t due = e->refresh;
    if (!e->policy.text.ptr && e->failures && e->retry > due)
        due = e->retry;
    return within(e->fetched, due, plus(e->fetched, UINT32_MAX));
}

static unsigned worth_of(const mtasts_entry *e)
{
    if (!e->policy.text.ptr)
        return MTASTS_WORTH_ABSENCE;
    return e->policy.mode == MTASTS_MODE_ENFORCE ? MTASTS_WORTH_ENFORCE : MTASTS_WORTH_LENIENT;
}

static int same_text(mtasts_str a, mtasts_str b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static void check_entry(const known *k, const mtasts_entry *got)
{
    const mtasts_entry *e = &k->e;
    const mtasts_policy *p = &e->policy, *q = &got->policy;
    CHECK(k->there);
    CHECK(!p->text.ptr == !q->text.ptr && same_text(p->text, q->text));
    CHECK(p->mode == q->mode && p->max_age == q->max_age);
    CHECK(p->mx_count == q->mx_count && p->quirks == q->quirks);
    CHECK(same_text(got->id, e->id));
    CHECK(got->fetched == e->fetched && got->expires == e->expires);
    CHECK(got->checked == e->checked && got->used == e->used);
    CHECK(got->refresh == e->refresh && got->failures == e->failures);
    if (!e->failures)
        return;
    CHECK(got->failed == e->failed && got->no_record == e->no_record);
    CHECK(got->retry == e->retry && same_text(got->failed_id, e->failed_id));
}

/* Was there no room, as far as it can be seen from outside? A put may need a segment of 256
 * places in each of three arrays, and as much again for what they hang on. */
static int is_full(const world *w)
{
    const size_t *entries = w->cache.stats.entries;
    size_t most = 8 * 256 * sizeof(void *) + 2500;
    return w->starved ||
           (w->config.max_entries &&
            entries[0] + entries[1] + entries[2] >= w->config.max_entries) ||
           (w->config.max_octets && w->octets + most > w->config.max_octets);
}

/* Of a sample of sixteen, in which the one that is put may be, it is the first to go. */
static void check_victim(world *w, const known *victim)
{
    unsigned worth = worth_of(&victim->e);
    size_t i, others = 0, behind = 0;
    CHECK(w->putting && victim != w->putting && worth <= w->worth && is_full(w));
    w->work += w->count;
    for (i = 0; i < w->count; i++) {
        const known *k = &w->known[i];
        if (!k->there || k == w->putting || k == victim || worth_of(&k->e) > worth)
            continue;
        CHECK(worth_of(&k->e) == worth);
        others++;
        behind += worth ? victim->e.used <= k->e.used : due_of(&victim->e) <= due_of(&k->e);
    }
    CHECK(behind == others || (worth && behind >= 14));
}

static void on_evicted(void *user, const mtasts_entry *entry)
{
    world *w = (world *)user;
    known *k = known_of(w, number_of(entry->domain));
    check_entry(k, entry);
    check_victim(w, k);
    w->evicted[worth_of(&k->e)]++;
    k->there = 0;
}

static void check_get(world *w, size_t n, mtasts_entry *got)
{
    char name[MTASTS_NAME_SIZE];
    size_t len = name_of(n, name);
    known *k = known_of(w, n);
    CHECK(mtasts_cache_get(&w->cache, name, len, w->now, got) == k->there);
    if (!k->there) {
        CHECK(!got->domain.ptr && !got->policy.text.ptr && !got->failures);
        return;
    }
    CHECK(number_of(got->domain) == n);
    settle(&k->e, w->now);
    check_entry(k, got);
}

/* The counters, and what is due first. */
static void check_all(world *w)
{
    const mtasts_cache_stats *s = &w->cache.stats;
    size_t i, entries[3] = {0, 0, 0}, all = 0, policies = 0;
    int has[POLICIES] = {0}, due;
    int64_t first = INT64_MAX;
    mtasts_entry e;
    w->work += w->count + 64;
    for (i = 0; i < w->count; i++) {
        const known *k = &w->known[i];
        if (!k->there)
            continue;
        all++;
        entries[worth_of(&k->e)]++;
        if (due_of(&k->e) < first)
            first = due_of(&k->e);
        if (k->e.policy.text.ptr && !has[k->e.policy.quirks]++)
            policies++;
    }
    for (i = 0; i < 3; i++)
        CHECK(s->entries[i] == entries[i] && s->evicted[i] == w->evicted[i]);
    CHECK(s->octets == w->octets && s->policies == policies && s->refused == w->refused);
    CHECK(!w->config.max_entries || all <= w->config.max_entries);
    CHECK(mtasts_cache_next_due(&w->cache) == first);
    due = mtasts_cache_due(&w->cache, w->now, &e);
    CHECK(due == (all && first <= since_1970(w->now)));
    if (due) {
        const known *k = known_of(w, number_of(e.domain));
        check_entry(k, &e);
        CHECK(due_of(&k->e) == first);
    }
}

/* ---- the steps ---- */

/* A few domains mostly. */
static size_t take_domain(world *w)
{
    unsigned n = take_octet(&w->in);
    return n < 224 ? n % 32 : (n - 224) * 40 + take_octet(&w->in) % 40;
}

/* How often, as the step says. */
static size_t count_of(const world *w)
{
    static const size_t counts[] = {1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 16, 17, 40, 100, 260, 1100};
    return counts[w->how];
}

static int64_t time_of(const world *w, unsigned how)
{
    static const int64_t deltas[] = {0,     1,    -1,    10,     -10,      300,       -300, 3600,
                                     -3600, 5000, 86400, -86400, 40000000, -40000000, -5000};
    if (how == COUNT(deltas))
        return INT64_MAX;
    return since_1970(plus(since_1970(w->now), deltas[how]));
}

/* Octet 0: bits 0 and 1: 0: an absence; 2 and 3: failures; 4 to 7: which policy. Octet 1: bits 0
 * and 1: id, 2 and 3: failed_id, 4 to 7: checked. Octet 2: fetched; refresh and expires. Octet 3:
 * used; retry. */
static mtasts_entry take_entry(world *w)
{
    static const mtasts_str ids[] = {
        {"20260101T000000", 15}, {"20260202T000000", 15}, {"a", 1}, {NULL, 0}};
    unsigned what = take_octet(&w->in), more = take_octet(&w->in);
    unsigned times = take_octet(&w->in), others = take_octet(&w->in);
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    if (what & 3) {
        e.policy = w->policies[what >> 4];
        e.id = ids[(more & 3) % 3];
    }
    e.failures = what >> 2 & 3;
    e.failed = e.failures == 1 ? MTASTS_ERR_DNS : MTASTS_ERR_LIMIT;
    e.no_record = e.failures == 3;
    e.failed_id = ids[more >> 2 & 3];
    e.checked = time_of(w, more >> 4);
    e.fetched = time_of(w, times & 15);
    e.refresh = e.expires = time_of(w, times >> 4);
    e.used = time_of(w, others & 15);
    e.retry = time_of(w, others >> 4);
    return e;
}

static void take_own(mtasts_str *text, mtasts_str own)
{
    if (same_text(*text, own))
        *text = own;
}

/* The same texts, from where the cache has them. */
static void borrow(world *w, size_t n, mtasts_entry *e)
{
    mtasts_entry own;
    check_get(w, n, &own);
    take_own(&e->domain, own.domain);
    take_own(&e->policy.text, own.policy.text);
    take_own(&e->id, own.id);
    take_own(&e->id, own.failed_id);
    take_own(&e->failed_id, own.failed_id);
    take_own(&e->failed_id, own.id);
}

/* Nothing is left that could have gone for it, if it could have found room at all. */
static void check_refused(const world *w, size_t text_len)
{
    size_t i;
    if (w->starved || (w->config.max_octets && text_len + 1000 > w->config.max_octets))
        return;
    CHECK(is_full(w));
    for (i = 0; i < w->count; i++)
        CHECK(!w->known[i].there || worth_of(&w->known[i].e) > w->worth ||
              &w->known[i] == w->putting);
}

static void put(world *w, size_t n, mtasts_entry e)
{
    char name[MTASTS_NAME_SIZE];
    known *k = known_of(w, n);
    mtasts_entry kept = e, got;
    mtasts_err err;
    e.domain.ptr = name;
    e.domain.len = name_of(n, name);
    if (n % 2)
        borrow(w, n, &e);
    w->starved = 0;
    w->putting = k;
    w->worth = worth_of(&e);
    err = mtasts_cache_put(&w->cache, &e, w->now);
    if (err == MTASTS_OK) {
        w->grew = 1; /* perhaps: its table does, for another one of the same domain too */
        k->e = kept;
        k->there = 1;
        k->stays = k->seen = 0;
        settle(&k->e, w->now);
    } else {
        CHECK(err == MTASTS_ERR_LIMIT);
        w->refused++;
        check_refused(w, kept.policy.text.len);
    }
    w->putting = NULL;
    w->work += 16;
    check_get(w, n, &got);
}

/* Of one domain or many, one after the other, then with times in no order. */
static void put_row(world *w)
{
    size_t n = take_domain(w), count = count_of(w), i;
    mtasts_entry e = take_entry(w), other = e;
    for (i = 0; i < count && n + i < DOMAINS && w->work < WORK; i++) {
        put(w, n + i, other);
        other.refresh = other.expires = since_1970(e.refresh - (int64_t)(i * 37 % 101));
        other.used = since_1970(e.used - (int64_t)(i * 53 % 101));
    }
}

/* One thing in an entry is not as it may be: nothing is done. */
static void put_wrong(world *w)
{
    char name[MTASTS_NAME_SIZE];
    size_t len = name_of(take_domain(w), name);
    mtasts_entry e = take_entry(w);
    int64_t *times[] = {&e.fetched, &e.expires, &e.checked, &e.used, &e.refresh, &e.retry};
    e.domain.ptr = name;
    e.domain.len = len;
    e.failures |= 1;
    if (w->how < COUNT(times)) {
        *times[w->how] = -1;
    } else if (w->how < 11) {
        name[0] = 'A';
        CHECK(!mtasts_cache_remove(&w->cache, name, len));
    } else {
        e.id.ptr = "a"; /* which an absence has not, and a policy must have */
        e.id.len = !e.policy.text.ptr;
    }
    CHECK(mtasts_cache_put(&w->cache, &e, w->now) == MTASTS_ERR_USAGE);
}

static void remove_row(world *w)
{
    char name[MTASTS_NAME_SIZE];
    size_t n = take_domain(w), count = count_of(w);
    for (; count-- && n < DOMAINS; n++) {
        size_t len = name_of(n, name);
        known *k = known_of(w, n);
        CHECK(mtasts_cache_remove(&w->cache, name, len) == k->there);
        k->there = 0;
    }
}

static void touch(world *w)
{
    char name[MTASTS_NAME_SIZE];
    size_t n = take_domain(w), len = name_of(n, name);
    mtasts_entry *e = &known_of(w, n)->e;
    mtasts_cache_touch(&w->cache, name, len, w->now);
    e->used = near(e->fetched, since_1970(w->now));
}

static void begin_iteration(world *w)
{
    size_t i;
    memset(&w->cursor, 0, sizeof w->cursor);
    w->grew = 0;
    for (i = 0; i < w->count; i++) {
        w->known[i].stays = w->known[i].there;
        w->known[i].seen = 0;
    }
}

static void iterate_by(world *w, size_t most)
{
    mtasts_entry e;
    size_t i;
    for (i = 0; i < most && mtasts_cache_next(&w->cache, &w->cursor, &e); i++) {
        known *k = known_of(w, number_of(e.domain));
        check_entry(k, &e);
        CHECK(!k->seen || w->grew);
        k->seen = 1;
    }
    if (i == most)
        return;
    CHECK(!e.domain.ptr && !e.policy.text.ptr);
    for (i = 0; i < w->count; i++)
        CHECK(!w->known[i].there || !w->known[i].stays || w->known[i].seen);
}

static void iterate(world *w)
{
    iterate_by(w, count_of(w));
}

static void purge(world *w)
{
    size_t i, count = 0;
    int64_t now = since_1970(w->now);
    for (i = 0; i < w->count; i++) {
        const mtasts_entry *e = &w->known[i].e;
        if (w->known[i].there && e->expires <= now && (!e->failures || e->retry <= now)) {
            w->known[i].there = 0;
            count++;
        }
    }
    CHECK(mtasts_cache_purge(&w->cache, w->now) == count);
}

static void clear(world *w)
{
    size_t i;
    mtasts_cache_clear(&w->cache);
    for (i = 0; i < w->count; i++)
        w->known[i].there = 0;
    CHECK(!w->octets);
}

static void set_clock(world *w)
{
    static const int64_t times[] = {INT64_MIN,         -5,       1000, (int64_t)1 << 40,
                                    INT64_MAX - 90000, INT64_MAX};
    unsigned how = take_octet(&w->in);
    w->now = how < 240 ? time_of(w, how % 15) : times[how % COUNT(times)];
}

static void fail(world *w)
{
    w->fail_after = take_octet(&w->in);
    w->fails = w->how == 15 ? SIZE_MAX : w->how;
}

static void get(world *w)
{
    mtasts_entry e;
    if (w->how == 15)
        clear(w);
    else
        check_get(w, take_domain(w), &e);
}

static void step(world *w)
{
    static void (*const steps[])(world *) = {
        put_row, put_row, put_row, put_row, put_row,   remove_row, touch,   begin_iteration,
        iterate, iterate, get,     purge,   set_clock, fail,       put_row, put_wrong};
    unsigned what = take_octet(&w->in);
    w->how = what >> 4;
    steps[what & 15](w);
    check_all(w);
}

static void make_world(world *w)
{
    static known all[DOMAINS];
    mtasts_cache_config *config = &w->config;
    w->known = all;
    w->now = 1800000000;
    make_policies(w);
    config->max_entries = take_octet(&w->in);
    config->max_octets = (size_t)take_number(&w->in, 2);
    config->memory.user = config->user = w;
    config->memory.allocate = on_allocate;
    config->memory.release = on_release;
    config->evicted = on_evicted;
    CHECK(mtasts_cache_init(&w->cache, config) == MTASTS_ERR_USAGE); /* no key */
    memset(config->key, 7, sizeof config->key);
    CHECK(mtasts_cache_init(&w->cache, config) == MTASTS_OK);
}

static void run_cache(const input *in)
{
    world w;
    unsigned i;
    memset(&w, 0, sizeof w);
    w.in = *in;
    make_world(&w);
    while (w.in.left && w.work < WORK)
        step(&w);
    begin_iteration(&w);
    iterate_by(&w, SIZE_MAX);
    clear(&w);
    for (i = 0; i < POLICIES; i++)
        drop_copy(w.policies[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    unsigned what;
    in.at = data;
    in.left = size;
    what = take_octet(&in);
    if (what & 1)
        run_cache(&in);
    else
        run_pool(&in, what >> 1 & 7);
    return 0;
}
