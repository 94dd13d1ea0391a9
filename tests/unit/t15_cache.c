/* Section 15, Cache (RFC 8461 10.2; rules D9, D10, D13).
 * Goal: it holds what was put, for that domain alone, within its bounds; what goes is worth least.
 * Method: long seeded histories beside an array of entries, with memory that is counted, that fails
 *         at every place in turn, or that is a pool; then each rule by itself. */
#include "test.h"

static uint64_t seed;

/* xorshift64 */
static size_t below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

/* ---- memory that is counted ---- */

enum { HEAD = 8 };

typedef struct purse {
    mtasts_pool *pool;            /* NULL: the heap */
    size_t out, pieces, bound;    /* octets and pieces held; the most octets there may be, or 0 */
    size_t calls, fail_at, fails; /* the call that fails first, and how many do */
    size_t largest, asked;        /* since they were last set to 0: the largest piece; calls */
} purse;

/* Each piece begins with its size, is at a multiple of eight and of no more. */
static void *purse_allocate(void *user, size_t size)
{
    purse *u = user;
    unsigned char *p;
    assert_true(size > 0);
    if (u->bound && size > u->bound - u->out)
        fail_msg("asked for %zu beyond the bound", size);
    u->calls++;
    u->asked++;
    if (u->fail_at && u->calls >= u->fail_at && u->calls - u->fail_at < u->fails)
        return NULL;
    p = u->pool ? mtasts_pool_allocate(u->pool, size + HEAD) : malloc(size + HEAD);
    if (!p)
        return NULL;
    memcpy(p, &size, sizeof size);
    memset(p + HEAD, 0xdd, size);
    u->out += size;
    u->pieces++;
    u->largest = size > u->largest ? size : u->largest;
    return p + HEAD;
}

static void purse_release(void *user, void *memory, size_t size)
{
    purse *u = user;
    unsigned char *p = (unsigned char *)memory - HEAD;
    size_t was;
    memcpy(&was, p, sizeof was);
    if (was != size)
        fail_msg("%zu octets given back as %zu", was, size);
    memset(p, 0xee, size + HEAD);
    u->out -= size;
    u->pieces--;
    if (u->pool)
        mtasts_pool_release(u->pool, p, size + HEAD);
    else
        free(p);
}

/* ---- entries, as indexes into tables ---- */

static const char long_comment[] =
    "long: 0123456789012345678901234567890123456789012345678901234567";

static const struct {
    const char *head;
    size_t comments; /* lines more */
} bodies[] = {
    {"version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n", 0},
    {"version: STSv1\nmode: testing\nmx: *.example.com\nmax_age: 86400\n", 0},
    {"version: STSv1\r\nmode: none\r\nmax_age: 600\r\n", 0},
    {"version: STSv1\nmode: enforce\nmx: a.example\nmx: b.example\nmax_age: 604800\n", 4},
    {"version: STSv1\nmode: testing\nmx: a.example\nmax_age: 31557600\n", 40},
    {" version: STSv1\nmode: enforce\nmx: mx_1.example\nmax_age: 99999999\n", 90},
    {"version: STSv1\nmode: enforce\nmx: c.example\nmax_age: 1\n", 0},
};

enum { POLICIES = COUNT(bodies), NO_POLICY = -1 };

static mtasts_policy policies[POLICIES];

static const mtasts_str ids[] = {
    {"20260101T000000", 15},
    {"20260202T000000", 15},
    {"a", 1},
    {"B", 1},
    {"12345678901234567890123456789012", 32},
    {NULL, 0}, /* only of what failed */
};

enum { IDS = COUNT(ids) - 1 };

static int make_policies(void **state)
{
    size_t i, n, len;
    (void)state;
    for (i = 0; i < POLICIES; i++) {
        char *body = malloc(strlen(bodies[i].head) + bodies[i].comments * 100 + 1);
        len = (size_t)sprintf(body, "%s", bodies[i].head);
        for (n = 0; n < bodies[i].comments; n++)
            len += (size_t)sprintf(body + len, "%s\n", long_comment);
        if (mtasts_policy_parse(&policies[i], body, len, 0, NULL) != MTASTS_OK)
            return 1;
    }
    return 0;
}

static int free_policies(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < POLICIES; i++)
        free((void *)(uintptr_t)policies[i].text.ptr);
    return 0;
}

typedef struct known {
    int there, policy;
    size_t id, failed_id;
    int64_t fetched, expires, checked, used, refresh, retry;
    uint32_t failures;
    mtasts_err failed;
    int no_record;
} known;

static unsigned worth_of(const known *k)
{
    if (k->policy == NO_POLICY)
        return MTASTS_WORTH_ABSENCE;
    return policies[k->policy].mode == MTASTS_MODE_ENFORCE ? MTASTS_WORTH_ENFORCE
                                                           : MTASTS_WORTH_LENIENT;
}

static int64_t due_of(const known *k)
{
    if (k->policy != NO_POLICY)
        return k->refresh;
    return k->failures && k->retry > k->expires ? k->retry : k->expires;
}

/* The n-th domain, of one of three lengths. Good until the fourth call from now. */
static mtasts_str domain_of(size_t n)
{
    static const char *const tails[] = {"example", "a-longer-name.example.org", "e"};
    static char names[4][64];
    static unsigned turn;
    mtasts_str s;
    s.ptr = names[++turn % 4];
    s.len = (size_t)sprintf(names[turn % 4], "d%zu.%s", n, tails[n % 3]);
    return s;
}

static size_t number_of(mtasts_str domain)
{
    char copy[64];
    size_t n;
    assert_true(domain.len < sizeof copy);
    memcpy(copy, domain.ptr, domain.len);
    copy[domain.len] = '\0';
    assert_int_equal(sscanf(copy, "d%zu.", &n), 1);
    assert_string_equal(domain_of(n).ptr, copy);
    return n;
}

static mtasts_entry entry_of(const known *k, size_t n)
{
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    e.domain = domain_of(n);
    if (k->policy != NO_POLICY) {
        e.policy = policies[k->policy];
        e.id = ids[k->id];
    }
    e.fetched = k->fetched;
    e.expires = k->expires;
    e.checked = k->checked;
    e.used = k->used;
    e.refresh = k->refresh;
    e.failures = k->failures;
    if (k->failures) {
        e.failed = k->failed;
        e.no_record = k->no_record;
        e.failed_id = ids[k->failed_id];
        e.retry = k->retry;
    }
    return e;
}

/* D9: nothing lies after now. What the cache makes of an entry that it is given. */
static void clean(known *k, int64_t now)
{
    int moved;
    if (now < 0)
        now = 0;
    moved = k->fetched > now;
    if (moved)
        k->fetched = k->refresh = now;
    if (k->checked > now)
        k->checked = now;
    if (k->used > now)
        k->used = now;
    if (k->policy != NO_POLICY)
        k->expires = k->fetched + policies[k->policy].max_age;
    else if (moved)
        k->expires = now;
    else if (k->expires > now + MTASTS_ABSENCE_MAX)
        k->expires = now + MTASTS_ABSENCE_MAX;
    if (k->refresh > k->expires || k->policy == NO_POLICY)
        k->refresh = k->expires;
    if (!k->failures)
        k->retry = 0;
    else if (k->retry > now + MTASTS_RETRY_MAX)
        k->retry = now + MTASTS_RETRY_MAX;
}

static void assert_same_text(mtasts_str a, mtasts_str b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

static void assert_entries(const mtasts_entry *got, const mtasts_entry *e)
{
    assert_same_text(got->domain, e->domain);
    assert_same_text(got->id, e->id);
    assert_same_text(got->policy.text, e->policy.text);
    assert_int_equal(got->policy.text.ptr == NULL, e->policy.text.ptr == NULL);
    assert_true(got->policy.text.ptr == NULL || got->policy.text.ptr != e->policy.text.ptr);
    assert_int_equal(got->policy.mode, e->policy.mode);
    assert_int_equal(got->policy.max_age, e->policy.max_age);
    assert_int_equal(got->policy.mx_count, e->policy.mx_count);
    assert_int_equal(got->policy.quirks, e->policy.quirks);
    assert_int_equal(got->fetched, e->fetched);
    assert_int_equal(got->expires, e->expires);
    assert_int_equal(got->checked, e->checked);
    assert_int_equal(got->used, e->used);
    assert_int_equal(got->refresh, e->refresh);
    assert_int_equal(got->failures, e->failures);
    assert_int_equal(got->failed, e->failed);
    assert_int_equal(got->no_record, e->no_record);
    assert_same_text(got->failed_id, e->failed_id);
    assert_int_equal(got->retry, e->retry);
}

static void assert_entry(const mtasts_entry *got, const known *k, size_t n)
{
    mtasts_entry e = entry_of(k, n);
    assert_entries(got, &e);
}

/* ---- the cache beside an array ---- */

enum { MANY = 700 };

typedef struct world {
    mtasts_cache cache;
    mtasts_cache_config config;
    purse purse;
    known known[MANY];
    size_t domains;
    int64_t now;
    int loose;  /* memory fails at will: an entry may find no room although there is some */
    int in_put; /* with what is put, and for whom */
    size_t putting;
    known put;
    uint64_t evicted[3], refused;
} world;

static size_t count_worth(const world *w, unsigned worth)
{
    size_t i, count = 0;
    for (i = 0; i < w->domains; i++)
        count += w->known[i].there && worth_of(&w->known[i]) == worth;
    return count;
}

/* Is `v` the one that must go before all others of its worth? */
static int goes_first(const world *w, size_t v)
{
    const known *victim = &w->known[v];
    unsigned worth = worth_of(victim);
    size_t i;
    for (i = 0; i < w->domains; i++) {
        const known *k = &w->known[i];
        if (!k->there || i == w->putting || worth_of(k) != worth)
            continue;
        if (worth == MTASTS_WORTH_ABSENCE ? due_of(k) < due_of(victim) : k->used < victim->used)
            return 0;
    }
    return 1;
}

/* May something be put out for what is being put? It would fit in the place of the old one. */
static int fits_in_place(const world *w)
{
    const known *old = &w->known[w->putting], *k = &w->put;
    if (!old->there || old->policy != k->policy || !old->failures != !k->failures)
        return 0;
    return (k->policy == NO_POLICY || ids[old->id].len == ids[k->id].len) &&
           (!k->failures || ids[old->failed_id].len == ids[k->failed_id].len);
}

/* D10 */
static void on_evicted(void *user, const mtasts_entry *entry)
{
    world *w = user;
    size_t v = number_of(entry->domain), i;
    unsigned worth = worth_of(&w->known[v]), lower;
    assert_true(w->in_put && w->known[v].there && v != w->putting);
    assert_entry(entry, &w->known[v], v);
    assert_true(worth <= worth_of(&w->put));
    assert_false(fits_in_place(w));
    for (i = 0, lower = 0; i < w->domains; i++)
        lower += i != w->putting && w->known[i].there && worth_of(&w->known[i]) < worth;
    assert_int_equal(lower, 0);
    if (worth == MTASTS_WORTH_ABSENCE || count_worth(w, worth) <= 16)
        assert_true(goes_first(w, v));
    if (!w->config.max_octets && !w->loose)
        assert_int_equal(w->cache.stats.entries[0] + w->cache.stats.entries[1] +
                             w->cache.stats.entries[2],
                         w->config.max_entries);
    w->known[v].there = 0;
    w->evicted[worth]++;
}

static void world_make(world *w, size_t domains, size_t max_octets, size_t max_entries)
{
    memset(w, 0, sizeof *w);
    w->domains = domains;
    w->now = 1000000;
    w->purse.bound = w->config.max_octets = max_octets;
    w->config.max_entries = max_entries;
    w->config.memory.user = &w->purse;
    w->config.memory.allocate = purse_allocate;
    w->config.memory.release = purse_release;
    w->config.user = w;
    w->config.evicted = on_evicted;
    memcpy(w->config.key, "0123456789abcdef", MTASTS_KEY_SIZE);
    DIRTY(w->cache);
    assert_int_equal(mtasts_cache_init(&w->cache, &w->config), MTASTS_OK);
}

static void check_stats(const world *w)
{
    const mtasts_cache_stats *s = &w->cache.stats;
    size_t worth, i, texts = 0;
    int there[POLICIES] = {0};
    assert_int_equal(s->octets, w->purse.out);
    assert_int_equal(s->refused, w->refused);
    for (worth = 0; worth < 3; worth++) {
        assert_int_equal(s->entries[worth], count_worth(w, (unsigned)worth));
        assert_int_equal(s->evicted[worth], w->evicted[worth]);
    }
    for (i = 0; i < w->domains; i++)
        if (w->known[i].there && w->known[i].policy != NO_POLICY)
            there[w->known[i].policy] = 1;
    for (i = 0; i < POLICIES; i++)
        texts += (size_t)there[i];
    assert_int_equal(s->policies, texts);
}

static int do_get(world *w, size_t n)
{
    known *k = &w->known[n];
    mtasts_entry e;
    mtasts_str domain = domain_of(n);
    int got;
    DIRTY(e);
    got = mtasts_cache_get(&w->cache, domain.ptr, domain.len, w->now, &e);
    assert_int_equal(got, k->there);
    if (!got) {
        assert_true(all_zero(&e, sizeof e));
        return 0;
    }
    clean(k, w->now);
    assert_entry(&e, k, n);
    return 1;
}

/* Anything else that could have gone? */
static size_t count_lesser(const world *w)
{
    size_t i, count = 0;
    for (i = 0; i < w->domains; i++)
        count +=
            i != w->putting && w->known[i].there && worth_of(&w->known[i]) <= worth_of(&w->put);
    return count;
}

static mtasts_err put_entry(world *w, size_t n, const known *k, const mtasts_entry *e)
{
    mtasts_err err;
    w->in_put = 1;
    w->putting = n;
    w->put = *k;
    err = mtasts_cache_put(&w->cache, e, w->now);
    w->in_put = 0;
    if (err == MTASTS_OK) {
        w->known[n] = *k;
        w->known[n].there = 1;
        clean(&w->known[n], w->now);
    } else {
        assert_int_equal(err, MTASTS_ERR_LIMIT);
        w->refused++;
        if (!w->loose)
            assert_int_equal(count_lesser(w), 0);
    }
    do_get(w, n);
    return err;
}

static char *copied(mtasts_str *s)
{
    char *copy = malloc(s->len + 1);
    if (s->len)
        memcpy(copy, s->ptr, s->len);
    if (s->ptr)
        s->ptr = copy;
    return copy;
}

/* Put from texts that are gone afterwards. */
static mtasts_err do_put(world *w, size_t n, const known *k)
{
    mtasts_entry e = entry_of(k, n);
    mtasts_str *texts[4];
    char *copies[4];
    mtasts_err err;
    size_t i;
    texts[0] = &e.domain;
    texts[1] = &e.id;
    texts[2] = &e.failed_id;
    texts[3] = &e.policy.text;
    for (i = 0; i < 4; i++)
        copies[i] = copied(texts[i]);
    err = put_entry(w, n, k, &e);
    for (i = 0; i < 4; i++)
        free(copies[i]);
    return err;
}

static known random_known(const world *w)
{
    known k;
    int64_t day = 86400;
    memset(&k, 0, sizeof k);
    k.there = 1;
    k.policy = below(3) ? (int)below(POLICIES) : NO_POLICY;
    k.id = below(IDS);
    k.failed_id = below(COUNT(ids));
    k.fetched = w->now - (int64_t)below(2000) + (below(20) ? 0 : (int64_t)below(4000));
    k.checked = k.fetched + (int64_t)below(1000);
    k.used = k.fetched + (int64_t)below(2000) - 500;
    k.refresh = k.fetched + (int64_t)below((size_t)day);
    k.expires = k.fetched + (int64_t)below(5000);
    if (below(3) == 0) {
        k.failures = 1 + (uint32_t)below(5);
        k.failed = below(2) ? MTASTS_ERR_DNS : MTASTS_ERR_HTTPS_CONNECT;
        k.no_record = (int)below(2);
        k.retry = w->now + (int64_t)below(5000);
    }
    return k;
}

/* The entry of the cache with other times, put with the cache's own texts. */
static void do_renew(world *w, size_t n)
{
    known k;
    mtasts_entry e;
    mtasts_str domain = domain_of(n);
    if (!do_get(w, n))
        return;
    assert_true(mtasts_cache_get(&w->cache, domain.ptr, domain.len, w->now, &e));
    k = w->known[n];
    e.fetched = k.fetched = w->now;
    e.checked = k.checked = w->now;
    e.refresh = k.refresh = w->now + (int64_t)below(10000);
    e.expires = k.expires = w->now + (int64_t)below(3000);
    if (below(2)) {
        e.failures = k.failures = 0;
    } else if (k.failures && k.policy != NO_POLICY &&
               k.failed_id < IDS) { /* the text of one, where the other was */
        size_t id = k.id;
        mtasts_str s = e.id;
        e.id = e.failed_id;
        e.failed_id = s;
        k.id = k.failed_id;
        k.failed_id = id;
    }
    put_entry(w, n, &k, &e);
}

static void do_remove(world *w, size_t n)
{
    mtasts_str domain = domain_of(n);
    assert_int_equal(mtasts_cache_remove(&w->cache, domain.ptr, domain.len), w->known[n].there);
    w->known[n].there = 0;
    assert_int_equal(mtasts_cache_remove(&w->cache, domain.ptr, domain.len), 0);
}

static void do_touch(world *w, size_t n)
{
    mtasts_str domain = domain_of(n);
    mtasts_cache_touch(&w->cache, domain.ptr, domain.len, w->now);
    w->known[n].used = w->now < 0 ? 0 : w->now;
}

static void do_due(world *w)
{
    int64_t first = INT64_MAX, now = w->now < 0 ? 0 : w->now;
    mtasts_entry e;
    size_t i;
    int due;
    for (i = 0; i < w->domains; i++)
        if (w->known[i].there && due_of(&w->known[i]) < first)
            first = due_of(&w->known[i]);
    assert_int_equal(mtasts_cache_next_due(&w->cache), first);
    DIRTY(e);
    due = mtasts_cache_due(&w->cache, w->now, &e);
    assert_int_equal(due, first <= now);
    if (!due) {
        assert_true(all_zero(&e, sizeof e));
        return;
    }
    i = number_of(e.domain);
    assert_true(w->known[i].there && due_of(&w->known[i]) == first);
    assert_entry(&e, &w->known[i], i);
}

static void do_walk(const world *w)
{
    char seen[MANY] = {0};
    mtasts_entry e;
    mtasts_cursor cursor;
    size_t n;
    memset(&cursor, 0, sizeof cursor);
    DIRTY(e);
    while (mtasts_cache_next(&w->cache, &cursor, &e)) {
        n = number_of(e.domain);
        assert_true(w->known[n].there && !seen[n]++);
        assert_entry(&e, &w->known[n], n);
        DIRTY(e);
    }
    assert_true(all_zero(&e, sizeof e));
    for (n = 0; n < w->domains; n++)
        assert_int_equal(seen[n], w->known[n].there);
    assert_int_equal(mtasts_cache_next(&w->cache, &cursor, &e), 0);
}

static void do_purge(world *w)
{
    size_t i, count = 0;
    int64_t now = w->now < 0 ? 0 : w->now;
    for (i = 0; i < w->domains; i++) {
        const known *k = &w->known[i];
        if (k->there && k->expires <= now && (!k->failures || k->retry <= now)) { /* H5 */
            w->known[i].there = 0;
            count++;
        }
    }
    assert_int_equal(mtasts_cache_purge(&w->cache, w->now), count);
}

static void do_clear(world *w)
{
    mtasts_cache_clear(&w->cache);
    memset(w->known, 0, sizeof w->known);
    assert_int_equal(w->purse.out, 0);
    assert_int_equal(w->purse.pieces, 0);
    check_stats(w);
}

static void step(world *w)
{
    size_t n = below(w->domains), what = below(1000);
    known k;
    w->now += below(10) ? (int64_t)below(20) : 0;
    if (what < 400) {
        k = random_known(w);
        do_put(w, n, &k);
    } else if (what < 600)
        do_get(w, n);
    else if (what < 700)
        do_renew(w, n);
    else if (what < 780)
        do_touch(w, n);
    else if (what < 900)
        do_remove(w, n);
    else if (what < 985)
        do_due(w);
    else if (what < 990)
        w->now -= (int64_t)below(3000); /* D9: the clock is set back */
    else if (what < 995)
        w->now += (int64_t)below(3000);
    else if (what < 998)
        do_walk(w);
    else
        do_purge(w);
    check_stats(w);
}

static const struct {
    const char *name;
    size_t domains, max_octets, max_entries, steps;
} histories[] = {
    {"a few", 5, 0, 0, 2000},
    {"many", MANY, 0, 0, 8000},
    {"few entries", 100, 0, 10, 6000},
    {"one entry", 20, 0, 1, 2000},
    {"many entries", MANY, 0, 300, 6000},
    {"few octets", 300, 20000, 0, 6000},
    {"many octets", MANY, 60000, 0, 6000},
    {"hardly any octets", 50, 9000, 0, 3000},
    {"no octets", 50, 2000, 0, 500},
    {"octets and entries", 300, 40000, 150, 6000},
};

static void test_histories(void **state)
{
    static world w;
    size_t i, n;
    (void)state;
    for (i = 0; i < COUNT(histories); i++) {
        seed = 100 + i;
        world_make(&w, histories[i].domains, histories[i].max_octets, histories[i].max_entries);
        for (n = 0; n < histories[i].steps; n++)
            step(&w);
        do_walk(&w);
        do_clear(&w);
        for (n = 0; n < 100; n++) /* as good as new */
            step(&w);
        do_clear(&w);
    }
}

/* The same with a pool for memory, and with a bound of nine tenths of it. */
static void test_histories_on_a_pool(void **state)
{
    static world w;
    static mtasts_pool pool;
    static uint64_t block[65536 / 8];
    size_t i, n, size;
    void *p;
    (void)state;
    for (i = 0; i < 4; i++) {
        size = i < 2 ? sizeof block : sizeof block / 4;
        seed = 200 + i;
        mtasts_pool_init(&pool, block, size);
        world_make(&w, 300, i % 2 ? size / 10 * 9 : 0, 0);
        w.purse.pool = &pool;
        w.loose = 1;
        for (n = 0; n < 5000; n++)
            step(&w);
        do_clear(&w);
        p = mtasts_pool_allocate(&pool, size / 4 * 3);
        assert_non_null(p);
        mtasts_pool_release(&pool, p, size / 4 * 3);
    }
}

/* ---- memory that fails ---- */

static known simple(int policy, int64_t now)
{
    known k;
    memset(&k, 0, sizeof k);
    k.there = 1;
    k.policy = policy;
    k.fetched = k.checked = k.used = now;
    k.refresh = now + 500;
    k.expires = now + 1000;
    return k;
}

/* Everything that asks for memory: first ones, segments that are full, other sizes, other worth. */
static void script(world *w)
{
    size_t i;
    known k;
    for (i = 0; i < 8; i++) {
        k = simple((int)(i % 2) + 1, w->now); /* testing, none */
        do_put(w, i, &k);
    }
    k = simple(3, w->now); /* the first to be enforced, in the node that there is */
    do_put(w, 2, &k);
    for (i = 8; i < 16; i++) {
        k = simple(i % 3 ? NO_POLICY : 0, w->now + (int64_t)i);
        do_put(w, i, &k);
    }
    for (i = 0; i < 16; i++) {
        k = simple((int)(i % POLICIES), w->now);
        k.id = i % IDS;
        k.failed_id = i % COUNT(ids);
        k.failures = i % 2;
        k.failed = MTASTS_ERR_DNS;
        do_put(w, i, &k);
        do_renew(w, i);
    }
    for (i = 20; i < 290; i++) {
        k = simple(0, w->now);
        do_put(w, i, &k);
    }
    do_walk(w);
    do_due(w);
    check_stats(w);
}

/* The k-th call fails, for every k; then three in a row; then all from there on. Nothing is lost
 * but what is told to be put out, and nothing leaks. */
static void test_failing_memory(void **state)
{
    static world w;
    static const size_t fails[] = {1, 3, SIZE_MAX};
    size_t k, f, calls = 1;
    uint64_t lost;
    (void)state;
    for (f = 0; f < COUNT(fails); f++)
        for (k = 1; k <= calls; k += k < 120 || k > calls - 20 ? 1 : 11) {
            seed = 300;
            world_make(&w, 300, 0, 0);
            w.loose = 1;
            w.purse.fail_at = k;
            w.purse.fails = fails[f];
            script(&w);
            lost = w.refused + w.evicted[0] + w.evicted[1] + w.evicted[2];
            assert_true(lost <= 8 || fails[f] == SIZE_MAX);
            if (k == 1 && fails[f] == 1) { /* how many there are, in a run without failures */
                do_clear(&w);
                world_make(&w, 300, 0, 0);
                script(&w);
                assert_int_equal(w.refused, 0);
                calls = w.purse.calls;
            }
            do_clear(&w);
        }
    assert_true(calls > 300);
}

/* Not one octet: all answers are LIMIT, none is a crash. */
static void test_no_memory(void **state)
{
    static world w;
    size_t i;
    (void)state;
    seed = 400;
    world_make(&w, 20, 0, 0);
    w.purse.fail_at = 1;
    w.purse.fails = SIZE_MAX;
    for (i = 0; i < 200; i++)
        step(&w);
    assert_true(w.refused > 50);
    assert_int_equal(w.purse.out, 0);
    do_clear(&w);
}

/* When memory is short before the bound is reached, a put does not empty the whole cache for it. */
static void test_gives_up(void **state)
{
    static world w;
    size_t i;
    known k;
    (void)state;
    world_make(&w, MANY, 0, 0);
    k = simple(NO_POLICY, w.now);
    for (i = 0; i < 600; i++)
        assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
    w.loose = 1;
    w.purse.fail_at = 1;
    w.purse.fails = SIZE_MAX;
    assert_int_equal(do_put(&w, 600, &k), MTASTS_ERR_LIMIT);
    assert_true(w.evicted[0] > 0 && w.evicted[0] < 200);
    do_clear(&w);
}

/* ---- what is put out (D10) ---- */

static void fill(world *w, size_t from, size_t to, int policy)
{
    size_t i;
    for (i = from; i < to; i++) {
        known k = simple(policy, w->now);
        assert_int_equal(do_put(w, i, &k), MTASTS_OK);
    }
}

/* D10: however many others are looked up, no enforced policy goes. */
static void test_D10_flood(void **state)
{
    static world w;
    static const int flood[] = {NO_POLICY, 1, 2};
    size_t i, f, by_octets;
    (void)state;
    for (by_octets = 0; by_octets < 2; by_octets++)
        for (f = 0; f < COUNT(flood); f++) {
            world_make(&w, MANY, by_octets ? 16000 : 0, by_octets ? 0 : 40);
            fill(&w, 0, 40, 0);
            w.now += 80000; /* long not used, and nearly expired */
            for (i = 40; i < MANY; i++) {
                known k = simple(flood[f], w.now);
                do_put(&w, i, &k);
            }
            assert_int_equal(w.cache.stats.entries[MTASTS_WORTH_ENFORCE], 40);
            assert_int_equal(w.evicted[MTASTS_WORTH_ENFORCE], 0);
            assert_true(by_octets || w.refused == MANY - 40);
            for (i = 0; i < 40; i++)
                assert_true(do_get(&w, i));
            check_stats(&w);
            do_clear(&w);
        }
}

/* D10, scenario 73 of the collection: absences first, then none and testing, then enforce. */
static void test_D10_order(void **state)
{
    static world w;
    size_t i;
    (void)state;
    world_make(&w, MANY, 0, 30);
    fill(&w, 0, 10, 0);
    fill(&w, 10, 15, 1);
    fill(&w, 15, 20, 2);
    fill(&w, 20, 30, NO_POLICY);
    w.now += 50;
    for (i = 0; i < 20; i += 2)
        do_touch(&w, i);
    fill(&w, 100, 110, 0);
    assert_int_equal(w.evicted[MTASTS_WORTH_ABSENCE], 10);
    assert_int_equal(w.evicted[MTASTS_WORTH_LENIENT], 0);
    fill(&w, 110, 120, 3);
    assert_int_equal(w.evicted[MTASTS_WORTH_LENIENT], 10);
    assert_int_equal(w.evicted[MTASTS_WORTH_ENFORCE], 0);
    fill(&w, 120, 150, 3);
    assert_int_equal(w.evicted[MTASTS_WORTH_ENFORCE], 30);
    check_stats(&w);
    do_clear(&w);
}

/* D10: room is made for an enforced policy as long as anything lesser is there, at every size. */
static void test_D10_enforced_finds_room(void **state)
{
    static world w;
    size_t i, enforced;
    (void)state;
    for (enforced = 0; enforced < 600; enforced += 23) {
        known k;
        world_make(&w, MANY, 160000, 0);
        for (i = 0; i < enforced; i++) {
            k = simple(0, w.now);
            assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
        }
        for (; w.evicted[0] == 0 && i < 600; i++) {
            k = simple(NO_POLICY, w.now);
            do_put(&w, i, &k);
        }
        for (i = 0; i < 30; i++) {
            k = simple(0, w.now);
            assert_int_equal(do_put(&w, 650 + i, &k), MTASTS_OK);
        }
        do_clear(&w);
    }
    world_make(&w, MANY, 24000, 0); /* absences only, then the first policies, large ones */
    for (i = 0; i < 600; i++) {
        known k = simple(NO_POLICY, w.now);
        do_put(&w, i, &k);
    }
    assert_true(w.evicted[0] > 0);
    fill(&w, 600, 610, 5);
    do_clear(&w);
}

/* D10: with more than sixteen the one that goes is not the very oldest, but old. */
static void test_D10_sampled(void **state)
{
    static world w;
    static mtasts_cache_stats before;
    double ranks = 0;
    size_t i, v, older, all;
    (void)state;
    seed = 500;
    world_make(&w, 600, 0, 300);
    fill(&w, 0, 300, 0);
    for (i = 0; i < 300; i++) {
        int64_t now = w.now;
        w.now += 1 + (int64_t)below(50000);
        do_touch(&w, i);
        w.now = now;
    }
    for (i = 300; i < 500; i++) {
        known was[MANY], k = simple(0, w.now + 50000);
        k.fetched = w.now;
        before = w.cache.stats;
        memcpy(was, w.known, sizeof was);
        w.now += 50000;
        assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
        w.now -= 50000;
        assert_int_equal(w.cache.stats.evicted[2], before.evicted[2] + 1);
        for (v = 0; was[v].there == w.known[v].there; v++)
            ;
        for (older = all = 0, k = was[v], v = 0; v < 600; v++) {
            older += was[v].there && was[v].used < k.used;
            all += (size_t)was[v].there;
        }
        ranks += (double)older / (double)all;
    }
    assert_true(ranks / 200 < 0.12); /* 1/17 if the sample were by chance */
    do_clear(&w);
}

static void fill_mixed(world *w)
{
    size_t i;
    for (i = 0; i < 60; i++) {
        known k = simple(i % 2 ? NO_POLICY : (int)(i % POLICIES), w->now);
        k.failures = i % 3 == 0;
        k.failed = MTASTS_ERR_DNS;
        assert_int_equal(do_put(w, i, &k), MTASTS_OK);
    }
}

static void fill_enforced(world *w)
{
    fill(w, 0, 10, 0);
}

/* A world in which there is not one octet more than it takes. */
static void world_make_full(world *w, void (*filled)(world *w))
{
    size_t octets;
    world_make(w, 100, 0, 0);
    filled(w);
    octets = w->purse.out;
    do_clear(w);
    world_make(w, 100, octets, 0);
    filled(w);
    assert_int_equal(w->purse.out, octets);
}

/* One text, and two policies: what the host has made of one of them is not the other's. */
static void test_one_text_of_two_modes(void **state)
{
    static world w;
    known k = simple(0, 1000);
    mtasts_entry a, b, e;
    (void)state;
    world_make(&w, 0, 0, 0);
    a = entry_of(&k, 1);
    b = entry_of(&k, 2);
    a.policy.mode = MTASTS_MODE_NONE;
    a.policy.max_age = 60;
    assert_int_not_equal(b.policy.mode, MTASTS_MODE_NONE);
    assert_int_equal(mtasts_cache_put(&w.cache, &a, 1000), MTASTS_OK);
    assert_int_equal(mtasts_cache_put(&w.cache, &b, 1000), MTASTS_OK);
    assert_int_equal(mtasts_cache_get(&w.cache, a.domain.ptr, a.domain.len, 1000, &e), 1);
    assert_true(e.policy.mode == MTASTS_MODE_NONE && e.policy.max_age == 60 && e.expires == 1060);
    assert_int_equal(mtasts_cache_get(&w.cache, b.domain.ptr, b.domain.len, 1000, &e), 1);
    assert_true(e.policy.mode == b.policy.mode && e.policy.max_age == b.policy.max_age);
    mtasts_cache_clear(&w.cache);
}

/* An update of the same size puts nobody out of a full cache. */
static void test_update_when_full(void **state)
{
    static world w;
    size_t i;
    (void)state;
    world_make_full(&w, fill_mixed);
    for (i = 0; i < 60; i++) {
        known k = w.known[i];
        w.now++;
        k.id = k.id < 2 ? 1 - k.id : k.id;
        k.checked = k.fetched = w.now;
        k.refresh = w.now + (int64_t)(i * 37 % 300);
        assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
        do_due(&w);
    }
    assert_int_equal(w.evicted[0] + w.evicted[1] + w.evicted[2] + w.refused, 0);
    check_stats(&w);
    do_clear(&w);
}

/* One that needs more: nothing lesser is there for a weaker one, and the old one stays as it was;
 * equals go for an enforced one. */
static void test_larger_update_when_full(void **state)
{
    static world w;
    known k;
    (void)state;
    world_make_full(&w, fill_enforced);
    k = simple(1, w.now);
    assert_int_equal(do_put(&w, 3, &k), MTASTS_ERR_LIMIT);
    assert_int_equal(w.known[3].policy, 0);
    k = simple(0, w.now);
    k.id = 4;
    assert_int_equal(do_put(&w, 3, &k), MTASTS_OK);
    assert_true(w.evicted[MTASTS_WORTH_ENFORCE] > 0);
    check_stats(&w);
    do_clear(&w);
}

static void fill_absences(world *w)
{
    size_t i;
    for (i = 0; i < 5; i++) {
        known k = simple(NO_POLICY, w->now);
        k.expires = w->now + 100 + (int64_t)(i * 30 % 50);
        assert_int_equal(do_put(w, i, &k), MTASTS_OK);
    }
}

/* An absence that needs more: of the others the one that expires first goes (on_evicted looks). */
static void test_larger_absence_when_full(void **state)
{
    static world w;
    size_t i;
    (void)state;
    for (i = 0; i < 5; i++) {
        known k;
        world_make_full(&w, fill_absences);
        k = w.known[i];
        k.failures = 1;
        k.failed = MTASTS_ERR_DNS;
        assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
        assert_true(w.evicted[MTASTS_WORTH_ABSENCE] > 0);
        check_stats(&w);
        do_clear(&w);
    }
}

/* D10: what is larger than all there may be is refused, and nobody has to go for it (on_evicted
 * would complain). */
static void test_too_large(void **state)
{
    static world w;
    static char text[MTASTS_POLICY_MAX];
    size_t i;
    (void)state;
    world_make(&w, 100, 30000, 0);
    fill(&w, 0, 10, 0);
    fill(&w, 10, 20, NO_POLICY);
    for (i = 0; i < 40; i += 10) { /* an update, and new ones */
        known k = simple(0, w.now);
        mtasts_entry e = entry_of(&k, i);
        e.policy.text.ptr = text;
        e.policy.text.len = sizeof text;
        assert_int_equal(mtasts_cache_put(&w.cache, &e, w.now), MTASTS_ERR_LIMIT);
        w.refused++;
        do_get(&w, i);
    }
    check_stats(&w);
    do_walk(&w);
    do_clear(&w);
}

/* Scenarios 70 and 72: room for so many, and so many are there; the last ones. */
static void test_capped(void **state)
{
    static const struct {
        size_t room, stored;
    } caps[] = {{2, 3}, {100, 105}, {1, 2}, {16, 40}};
    static world w;
    size_t c, i;
    (void)state;
    for (c = 0; c < COUNT(caps); c++) {
        world_make(&w, MANY, 0, caps[c].room);
        for (i = 0; i < caps[c].stored; i++) {
            known k = simple(0, ++w.now);
            assert_int_equal(do_put(&w, i, &k), MTASTS_OK);
        }
        assert_int_equal(w.cache.stats.entries[2], caps[c].room);
        for (i = caps[c].stored - caps[c].room; i < caps[c].stored && caps[c].room <= 16; i++)
            assert_true(do_get(&w, i));
        do_clear(&w);
    }
}

/* ---- D9, D13, and what else there is to say about single entries ---- */

/* Scenario 12, scenario 17: a hit changes nothing. */
static void test_get_put_get(void **state)
{
    static world w;
    mtasts_cache_stats before;
    mtasts_entry e;
    known k;
    (void)state;
    world_make(&w, 3, 0, 0);
    assert_int_equal(do_get(&w, 0), 0);
    k = simple(0, w.now);
    do_put(&w, 0, &k);
    do_put(&w, 0, &k);
    before = w.cache.stats;
    w.now += 100;
    assert_true(do_get(&w, 0));
    assert_true(do_get(&w, 0));
    assert_memory_equal(&before, &w.cache.stats, sizeof before);
    assert_int_equal(before.entries[MTASTS_WORTH_ENFORCE], 1);
    assert_int_equal(mtasts_cache_get(&w.cache, NULL, 0, 0, &e), 0);
    assert_int_equal(mtasts_cache_get(&w.cache, NULL, 3, 0, &e), 0);
    assert_true(all_zero(&e, sizeof e));
    assert_int_equal(mtasts_cache_remove(&w.cache, NULL, 0), 0);
    assert_int_equal(mtasts_cache_remove(&w.cache, NULL, 3), 0);
    mtasts_cache_touch(&w.cache, NULL, 0, 0);
    mtasts_cache_touch(&w.cache, "e", 1, 0);
    do_get(&w, 0);
    do_clear(&w);
}

/* D13: the domain it was put for, and no other. */
static void test_D13_domain(void **state)
{
    static const mtasts_str others[] = {
        {"d0.exampl", 9},   {"d0.example.", 11},  {"D0.example", 10},
        {"0.example", 9},   {"d0.example\0", 11}, {"d00.example", 11},
        {"example", 7},     {"x.d0.example", 12}, {"", 0},
        {"d0,example", 10}, {"*.example", 9},     {"_.d0.example", 12},
    };
    static world w;
    mtasts_entry e;
    known k;
    size_t i;
    (void)state;
    world_make(&w, 3, 0, 0);
    k = simple(0, w.now);
    do_put(&w, 0, &k);
    for (i = 0; i < COUNT(others); i++) {
        const char *domain = fenced(0, (int)(i % 2), others[i].ptr, others[i].len);
        DIRTY(e);
        assert_int_equal(mtasts_cache_get(&w.cache, domain, others[i].len, w.now, &e), 0);
        assert_true(all_zero(&e, sizeof e));
        mtasts_cache_touch(&w.cache, domain, others[i].len, w.now + 5);
        assert_int_equal(mtasts_cache_remove(&w.cache, domain, others[i].len), 0);
    }
    assert_true(do_get(&w, 0));
    do_clear(&w);
}

static const struct {
    const char *name;
    size_t at;
    mtasts_str text;
} wrong_texts[] = {
    {"upper case", offsetof(mtasts_entry, domain), {"D1.example", 10}},
    {"final dot", offsetof(mtasts_entry, domain), {"d1.example.", 11}},
    {"address", offsetof(mtasts_entry, domain), {"192.0.2.1", 9}},
    {"no domain", offsetof(mtasts_entry, domain), {NULL, 0}},
    {"no id", offsetof(mtasts_entry, id), {NULL, 0}},
    {"bad id", offsetof(mtasts_entry, id), {"a b", 3}},
    {"long id", offsetof(mtasts_entry, id), {"123456789012345678901234567890123", 33}},
    {"bad failed id", offsetof(mtasts_entry, failed_id), {"a;b", 3}},
    {"long failed id",
     offsetof(mtasts_entry, failed_id),
     {"123456789012345678901234567890123", 33}},
    {"absence with an id", offsetof(mtasts_entry, policy.text), {NULL, 0}},
};

static const size_t times_of_entry[] = {
    offsetof(mtasts_entry, fetched), offsetof(mtasts_entry, expires),
    offsetof(mtasts_entry, checked), offsetof(mtasts_entry, used),
    offsetof(mtasts_entry, refresh), offsetof(mtasts_entry, retry),
};

static void refused(world *w, const mtasts_entry *e, const char *name)
{
    size_t calls = w->purse.calls;
    if (mtasts_cache_put(&w->cache, e, w->now) != MTASTS_ERR_USAGE)
        fail_msg("%s", name);
    assert_int_equal(w->purse.calls, calls);
    check_stats(w);
    do_get(w, 1);
}

static void refused_numbers(world *w, const mtasts_entry *good)
{
    mtasts_entry e = *good;
    e.failed = MTASTS_OK;
    refused(w, &e, "failed with OK");
    e.failed = (mtasts_err)99;
    refused(w, &e, "no error");
    e = *good;
    e.no_record = 2;
    refused(w, &e, "no_record 2");
    e.no_record = -1;
    refused(w, &e, "no_record -1");
    e = *good;
    e.policy.max_age = 0; /* D17 */
    refused(w, &e, "max_age 0");
    e.policy.max_age = MTASTS_MAX_AGE_MAX + 1;
    refused(w, &e, "max_age over the maximum");
    e = *good;
    e.policy.text.len = MTASTS_POLICY_MAX + 1;
    refused(w, &e, "too large a policy");
}

/* What no discovery gives is refused, without a trace. */
static void test_usage(void **state)
{
    static world w;
    static const int64_t before_1970 = -1;
    mtasts_entry e;
    size_t i;
    known k;
    (void)state;
    world_make(&w, 3, 0, 0);
    k = simple(0, w.now);
    k.failures = 1;
    k.failed = MTASTS_ERR_DNS;
    do_put(&w, 1, &k);
    for (i = 0; i < COUNT(wrong_texts); i++) {
        e = entry_of(&k, 1);
        memcpy((char *)&e + wrong_texts[i].at, &wrong_texts[i].text, sizeof(mtasts_str));
        refused(&w, &e, wrong_texts[i].name);
    }
    for (i = 0; i < COUNT(times_of_entry); i++) {
        e = entry_of(&k, 1);
        memcpy((char *)&e + times_of_entry[i], &before_1970, sizeof before_1970);
        refused(&w, &e, "before 1970");
    }
    e = entry_of(&k, 1);
    refused_numbers(&w, &e);
    do_clear(&w);
}

static void test_init(void **state)
{
    static world w;
    known k;
    (void)state;
    world_make(&w, 3, 0, 0);
    k = simple(0, w.now);
    w.config.memory.allocate = NULL;
    assert_int_equal(mtasts_cache_init(&w.cache, &w.config), MTASTS_ERR_USAGE);
    w.loose = 1; /* such a cache has room for nothing */
    assert_int_equal(do_put(&w, 0, &k), MTASTS_ERR_LIMIT);
    do_clear(&w);
    w.config.memory.allocate = purse_allocate;
    w.config.memory.release = NULL;
    assert_int_equal(mtasts_cache_init(&w.cache, &w.config), MTASTS_ERR_USAGE);
    w.config.memory.release = purse_release;
    assert_int_equal(mtasts_cache_init(&w.cache, &w.config), MTASTS_OK);
    memset(w.config.key, 0, MTASTS_KEY_SIZE); /* D10: a key that was forgotten */
    assert_int_equal(mtasts_cache_init(&w.cache, &w.config), MTASTS_ERR_USAGE);
    w.config.key[MTASTS_KEY_SIZE - 1] = 1;
    assert_int_equal(mtasts_cache_init(&w.cache, &w.config), MTASTS_OK);
}

/* The longest of everything. */
static void test_longest(void **state)
{
    static world w;
    static char name[253], text[MTASTS_POLICY_MAX + 1];
    mtasts_entry e, got;
    size_t i, n;
    (void)state;
    for (i = 0; i < sizeof name; i++)
        name[i] = (char)(i % 64 == 63 ? '.' : 'a' + (int)(i % 26));
    n = (size_t)sprintf(text, "%s", bodies[0].head);
    while (n < MTASTS_POLICY_MAX)
        text[n] = (char)(n % 80 == 79 ? '\n' : n % 80 == 1 ? ':' : 'a'), n++;
    world_make(&w, 1, 0, 0);
    memset(&e, 0, sizeof e);
    e.domain.ptr = name;
    e.domain.len = sizeof name;
    e.id = e.failed_id = ids[4];
    e.policy = policies[0];
    e.policy.text.ptr = text;
    e.policy.text.len = MTASTS_POLICY_MAX;
    e.fetched = e.checked = e.used = e.refresh = e.retry = 5;
    e.failures = UINT32_MAX;
    e.failed = MTASTS_ERR_DNS;
    e.expires = 5 + e.policy.max_age;
    assert_int_equal(mtasts_cache_put(&w.cache, &e, 10), MTASTS_OK);
    assert_true(mtasts_cache_get(&w.cache, name, sizeof name, 10, &got));
    assert_entries(&got, &e);
    mtasts_cache_clear(&w.cache);
    assert_int_equal(w.purse.pieces, 0);
}

/* D9: the clock is set back. Nothing lives longer from now than it was granted, and what is due is
 * still told in order. */
static void test_D9_clock_set_back(void **state)
{
    static world w;
    size_t i;
    (void)state;
    seed = 600;
    world_make(&w, 400, 0, 0);
    for (i = 0; i < 400; i++) {
        known k = random_known(&w);
        do_put(&w, i, &k);
    }
    w.now -= 1000;
    for (i = 0; i < 400; i += 2) {
        assert_true(do_get(&w, i));
        assert_true(w.known[i].fetched <= w.now && w.known[i].refresh >= w.known[i].fetched);
        do_due(&w);
    }
    w.now = -5; /* before 1970 */
    for (i = 1; i < 400; i += 3) {
        assert_true(do_get(&w, i));
        assert_int_equal(w.known[i].fetched, 0);
        do_due(&w);
    }
    do_walk(&w);
    do_clear(&w);
}

static const struct {
    const char *name;
    int policy;
    int64_t fetched, expires, refresh, now;
    int64_t out_fetched, out_expires, out_refresh; /* as got at now */
} extremes[] = {
    {"all 0", 0, 0, 0, 0, 0, 0, 86400, 0},
    {"before 1970", 0, 5, 0, 50, INT64_MIN, 0, 86400, 0},
    {"the end of time", 0, INT64_MAX, 0, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
    {"nearly the end", 0, INT64_MAX - 86401, 0, INT64_MAX, INT64_MAX, INT64_MAX - 86401,
     INT64_MAX - 1, INT64_MAX - 1},
    {"fetched in the far future", 0, INT64_MAX, 0, INT64_MAX, 1000, 1000, 87400, 1000},
    {"refresh before it was fetched", 0, 5000, 0, 10, 6000, 5000, 91400, 5000},
    {"absence of long ago", NO_POLICY, 0, INT64_MAX, 0, 10000, 0, 13600, 13600},
    {"absence of too long ago", NO_POLICY, 0, INT64_MAX, 0, INT64_MAX, 0, UINT32_MAX, UINT32_MAX},
    {"absence of 35000 years ago", NO_POLICY, 0, INT64_MAX, 0, (int64_t)1 << 40, 0, UINT32_MAX,
     UINT32_MAX},
    {"absence at the end", NO_POLICY, INT64_MAX, INT64_MAX, 0, INT64_MAX, INT64_MAX, INT64_MAX,
     INT64_MAX},
    {"absence of the future", NO_POLICY, 9000, INT64_MAX, 0, 1000, 1000, 1000, 1000},
    {"absence that ended before it began", NO_POLICY, 500, 100, 0, 1000, 500, 500, 500},
};

static void test_D9_extreme_times(void **state)
{
    static world w;
    mtasts_entry e, got;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(extremes); i++) {
        known k = simple(extremes[i].policy, 0);
        world_make(&w, 1, 0, 0);
        e = entry_of(&k, 0);
        e.fetched = e.checked = e.used = extremes[i].fetched;
        e.expires = extremes[i].expires;
        e.refresh = extremes[i].refresh;
        assert_int_equal(mtasts_cache_put(&w.cache, &e, extremes[i].now), MTASTS_OK);
        assert_true(mtasts_cache_get(&w.cache, e.domain.ptr, e.domain.len, extremes[i].now, &got));
        if (got.fetched != extremes[i].out_fetched || got.expires != extremes[i].out_expires ||
            got.refresh != extremes[i].out_refresh)
            fail_msg("%s", extremes[i].name);
        assert_int_equal(mtasts_cache_next_due(&w.cache), got.refresh);
        mtasts_cache_touch(&w.cache, e.domain.ptr, e.domain.len, INT64_MAX);
        mtasts_cache_get(&w.cache, e.domain.ptr, e.domain.len, extremes[i].now, &got);
        assert_true(got.used >= got.fetched);
        mtasts_cache_touch(&w.cache, e.domain.ptr, e.domain.len, INT64_MIN);
        mtasts_cache_get(&w.cache, e.domain.ptr, e.domain.len, extremes[i].now, &got);
        assert_true(got.used >= 0 && got.used <= got.fetched);
        mtasts_cache_clear(&w.cache);
    }
}

/* ---- texts that are shared ---- */

static void test_shared_texts(void **state)
{
    static world w;
    size_t i, with_one, n = 500;
    (void)state;
    world_make(&w, MANY, 0, 0);
    for (i = 0; i < n; i++) {
        known k = simple(5, w.now);
        do_put(&w, i, &k);
        assert_int_equal(w.cache.stats.policies, 1);
    }
    assert_true(w.purse.out < policies[5].text.len + n * 200);
    for (i = 0; i < n - 1; i++)
        do_remove(&w, (i * 7) % n);
    check_stats(&w);
    assert_int_equal(w.cache.stats.policies, 1);
    with_one = w.purse.out;
    assert_true(do_get(&w, (i * 7) % n));
    do_remove(&w, (i * 7) % n);
    assert_int_equal(w.cache.stats.policies, 0);
    assert_true(w.purse.out + policies[5].text.len < with_one);
    do_clear(&w);
}

/* ---- what is due ---- */

static int by_time(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* All that was put, removed and put again from the middle, against a sort. */
static void test_due_is_sorted(void **state)
{
    static world w;
    static int64_t times[MANY];
    mtasts_entry e;
    size_t i, round, n, count;
    (void)state;
    for (round = 0; round < 8; round++) {
        seed = 700 + round;
        world_make(&w, MANY, 0, 0);
        for (i = 0; i < MANY * 3; i++) {
            known k = random_known(&w);
            if (below(4))
                do_put(&w, below(MANY), &k);
            else
                do_remove(&w, below(MANY));
        }
        for (i = count = 0; i < MANY; i++)
            if (w.known[i].there)
                times[count++] = due_of(&w.known[i]);
        qsort(times, count, sizeof *times, by_time);
        for (i = 0; i < count; i++) {
            assert_int_equal(mtasts_cache_next_due(&w.cache), times[i]);
            assert_int_equal(mtasts_cache_due(&w.cache, times[i] - 1, &e), 0);
            assert_int_equal(mtasts_cache_due(&w.cache, times[i], &e), 1);
            n = number_of(e.domain);
            assert_int_equal(due_of(&w.known[n]), times[i]);
            do_remove(&w, n);
        }
        assert_int_equal(mtasts_cache_next_due(&w.cache), INT64_MAX);
        assert_int_equal(mtasts_cache_due(&w.cache, INT64_MAX, &e), 0);
        do_clear(&w);
    }
}

/* ---- iteration ---- */

/* Scenario 71: each exactly once, for any number of them. */
static void test_next_each_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 255, 256, 257, 511, 512, 513, 2000, 10000};
    static world w;
    static char seen[10000];
    size_t c, i, given;
    mtasts_entry e;
    mtasts_cursor cursor;
    (void)state;
    for (c = 0; c < COUNT(counts); c++) {
        known k = simple(NO_POLICY, 1000);
        world_make(&w, 0, 0, 0);
        for (i = 0; i < counts[c]; i++) {
            e = entry_of(&k, i);
            assert_int_equal(mtasts_cache_put(&w.cache, &e, 1000), MTASTS_OK);
        }
        memset(seen, 0, sizeof seen);
        memset(&cursor, 0, sizeof cursor);
        for (given = 0; mtasts_cache_next(&w.cache, &cursor, &e); given++) {
            i = number_of(e.domain);
            assert_true(i < counts[c] && !seen[i]++);
        }
        assert_int_equal(given, counts[c]);
        assert_int_equal(mtasts_cache_purge(&w.cache, 2000), counts[c]);
        mtasts_cache_clear(&w.cache);
    }
}

/* Something happens to another entry, or to the one that was given last. */
static void disturb(world *w, size_t given, size_t round, char *changed)
{
    size_t n = round % 2 ? given : below(MANY);
    known k = random_known(w);
    changed[n] = 1;
    if (round % 3 == 0 || below(5) == 0)
        do_remove(w, n);
    else
        do_put(w, n, &k);
}

/* One that stays is given, whatever happens to others between the calls; and once, if the cache
 * does not grow. */
static void test_next_while_others_change(void **state)
{
    static world w;
    mtasts_entry e;
    mtasts_cursor cursor;
    size_t round, i, n;
    (void)state;
    for (round = 0; round < 24; round++) {
        char seen[MANY] = {0}, changed[MANY] = {0};
        seed = 800 + round;
        world_make(&w, MANY, 0, 0);
        fill(&w, 0, MANY / 2, NO_POLICY);
        memset(&cursor, 0, sizeof cursor);
        while (mtasts_cache_next(&w.cache, &cursor, &e)) {
            n = number_of(e.domain);
            assert_true(w.known[n].there);
            assert_entry(&e, &w.known[n], n);
            assert_true(!seen[n] || changed[n] || round % 3);
            seen[n] = 1;
            for (i = below(4); i-- > 0;)
                disturb(&w, n, round, changed);
        }
        for (i = 0; i < MANY / 2; i++)
            if (!changed[i] && !seen[i])
                fail_msg("round %zu: %zu is not given", round, i);
        do_clear(&w);
    }
}

/* ---- growth ---- */

/* 300000 domains: no put asks for much, or often; all are found afterwards. */
static void test_growth(void **state)
{
    static world w;
    size_t i, all = 300000, most = 0, often = 0;
    known k = simple(NO_POLICY, 1000);
    mtasts_entry e;
    mtasts_str domain;
    (void)state;
    world_make(&w, 0, 0, 0);
    for (i = 0; i < all; i++) {
        e = entry_of(&k, i);
        w.purse.largest = w.purse.asked = 0;
        assert_int_equal(mtasts_cache_put(&w.cache, &e, 1000), MTASTS_OK);
        most = w.purse.largest > most ? w.purse.largest : most;
        often = w.purse.asked > often ? w.purse.asked : often;
        /* a segment; or a directory, of one pointer for 256 entries, doubled */
        assert_true(w.purse.largest <= 4096 + i / 256 * 2 * sizeof(void *));
    }
    assert_true(often <= 5); /* a node; segment and directory of heap and of table */
    assert_true(most <= 2 * sizeof(void *) * all / 256 + 4096);
    assert_true(w.purse.out <= all * (48 + 32 + 4 * sizeof(void *)));
    for (i = 0; i < all; i += 3) {
        domain = domain_of(i);
        assert_true(mtasts_cache_get(&w.cache, domain.ptr, domain.len, 1000, &e));
        assert_same_text(e.domain, domain_of(i));
    }
    domain = domain_of(all);
    assert_int_equal(mtasts_cache_get(&w.cache, domain.ptr, domain.len, 1000, &e), 0);
    for (i = 0; i < all; i++) {
        domain = domain_of(i);
        assert_int_equal(mtasts_cache_remove(&w.cache, domain.ptr, domain.len), 1);
    }
    assert_int_equal(w.cache.stats.entries[0], 0);
    mtasts_cache_clear(&w.cache);
    assert_int_equal(w.purse.pieces, 0);
}

/* What is cleared twice, or was never used. */
static void test_clear(void **state)
{
    static world w;
    mtasts_entry e;
    (void)state;
    world_make(&w, 3, 0, 0);
    assert_int_equal(mtasts_cache_next_due(&w.cache), INT64_MAX);
    assert_int_equal(mtasts_cache_due(&w.cache, INT64_MAX, &e), 0);
    assert_int_equal(mtasts_cache_purge(&w.cache, INT64_MAX), 0);
    do_clear(&w);
    do_clear(&w);
    fill(&w, 0, 3, 0);
    w.config.evicted = NULL;
    do_clear(&w);
}

/* Without a callback. */
static void test_evicted_is_optional(void **state)
{
    static world w;
    mtasts_entry e;
    size_t i;
    known k = simple(1, 1000);
    (void)state;
    world_make(&w, 3, 0, 0);
    w.config.evicted = NULL;
    w.config.max_entries = 2;
    mtasts_cache_init(&w.cache, &w.config);
    for (i = 0; i < 5; i++) {
        e = entry_of(&k, i);
        assert_int_equal(mtasts_cache_put(&w.cache, &e, 1000), MTASTS_OK);
    }
    assert_int_equal(w.cache.stats.evicted[MTASTS_WORTH_LENIENT], 3);
    mtasts_cache_clear(&w.cache);
    assert_int_equal(w.purse.pieces, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_put_get),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_D13_domain),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_D9_clock_set_back),
        cmocka_unit_test(test_D9_extreme_times),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_histories_on_a_pool),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_D10_flood),
        cmocka_unit_test(test_D10_order),
        cmocka_unit_test(test_D10_enforced_finds_room),
        cmocka_unit_test(test_D10_sampled),
        cmocka_unit_test(test_one_text_of_two_modes),
        cmocka_unit_test(test_update_when_full),
        cmocka_unit_test(test_larger_update_when_full),
        cmocka_unit_test(test_larger_absence_when_full),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_capped),
        cmocka_unit_test(test_evicted_is_optional),
        cmocka_unit_test(test_shared_texts),
        cmocka_unit_test(test_due_is_sorted),
        cmocka_unit_test(test_next_each_once),
        cmocka_unit_test(test_next_while_others_change),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, make_policies, free_policies);
}
