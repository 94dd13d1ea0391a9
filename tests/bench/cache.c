/* What cache, client and entries cost beside khash and uthash, where those are installed: the same
 * domains in the same run, turn by turn, each kept as a record of its own with the same times, id
 * and policy. Of several rounds the fastest counts, since all else is other load. */
#define _GNU_SOURCE
#include "mtasts.h"

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__has_include)
#if __has_include(<htslib/khash.h>)
#include <htslib/khash.h>
#define HAVE_KHASH
#endif
#if __has_include(<uthash.h>)
#include <uthash.h>
#define HAVE_UTHASH
#endif
#endif

/* 97 of 100 domains have no policy; of those that have one, 7 of 10 share one of twenty. */
typedef enum kind { ABSENT, SHARED, MIX } kind;

enum { START = 1700000000, TEXTS = 20, SLICE = 200000, SLICES = 8, BIG = 65536 };

typedef struct key {
    char text[31];
    unsigned char len;
} key;

/* A way to keep entries by domain. */
typedef struct map {
    const char *name;
    void (*open)(size_t max_octets);
    void (*add)(const mtasts_entry *e);
    size_t (*find)(const key *k); /* 1 or 0, from what the record says */
    size_t (*asked)(void);        /* octets asked of the allocator */
    void (*close)(void);
} map;

static volatile size_t sink;
static int64_t clock_now = START;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void require(int true_, const char *what)
{
    if (true_)
        return;
    fprintf(stderr, "cache: %s\n", what);
    exit(1);
}

static void *take(size_t size)
{
    void *p = malloc(size);
    require(p != NULL, "out of memory");
    return p;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* ---- domains ----------------------------------------------------------------------------- */

static size_t syllable(char *out, uint64_t bits)
{
    out[0] = "bdfghklmnprstvwz"[bits & 15];
    out[1] = "aeio"[bits >> 4 & 3];
    return 2;
}

/* The domain with this number, below 2^27: two or three labels, 16 octets on average. Four
 * syllables and the last label tell it from all others, the rest is for its length. */
static void key_make(key *k, size_t number)
{
    static const char *const last[] = {".com", ".net", ".org",  ".de",
                                       ".fr",  ".com", ".info", ".co.uk"};
    uint64_t id = (number * 0x5851f42d4c957f2du) & ((1u << 27) - 1), extra = mix(number);
    size_t n = 0, i, more = extra % 4;
    memset(k, 0, sizeof *k);
    if ((id & 7) == 5) /* which ".com" it is must show */
        n = (size_t)sprintf(k->text, "mail.");
    for (i = 0; i < 4; i++)
        n += syllable(k->text + n, id >> (3 + 6 * i));
    for (i = 0; i < more; i++)
        n += syllable(k->text + n, extra >> (8 + 6 * i));
    if (extra >> 40 & 1)
        k->text[n++] = 's';
    n += (size_t)sprintf(k->text + n, "%s", last[id & 7]);
    k->len = (unsigned char)n;
}

static key *keys_make(size_t first, size_t count)
{
    key *keys = take(count * sizeof *keys);
    size_t i;
    for (i = 0; i < count; i++)
        key_make(&keys[i], first + i);
    return keys;
}

/* As many at random out of `most` from `first` on. */
static key *keys_draw(size_t first, size_t most, size_t count)
{
    key *keys = take(count * sizeof *keys);
    size_t i;
    for (i = 0; i < count; i++)
        key_make(&keys[i], first + (size_t)(mix(i) % most));
    return keys;
}

/* ---- entries ----------------------------------------------------------------------------- */

static mtasts_policy shared[TEXTS];

static void policies_make(void)
{
    static char text[TEXTS][128];
    size_t i, n;
    for (i = 0; i < TEXTS; i++) {
        n = (size_t)sprintf(text[i],
                            "version: STSv1\r\nmode: enforce\r\nmx: *.mx%02u.example.net\r\n"
                            "max_age: 604800\r\n",
                            (unsigned)i);
        require(mtasts_policy_parse(&shared[i], text[i], n, 0, NULL) == MTASTS_OK, "policy");
    }
}

/* A policy that no other domain has. */
static void policy_own(mtasts_policy *p, uint64_t number)
{
    static char text[] =
        "version: STSv1\r\nmode: testing\r\nmx: 0000000000000000.mail.example.org\r\n"
        "mx: mx1.mail.example.org\r\nmx: mx2.mail.example.org\r\n"
        "mx: *.backup.mail.example.org\r\nmx: mx4.example.org\r\n"
        "max_age: 604800\r\n";
    char *digits = strstr(text, "mx: ") + 4;
    int i;
    for (i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[number >> (4 * i) & 15];
    require(mtasts_policy_parse(p, text, sizeof text - 1, 0, NULL) == MTASTS_OK, "policy");
}

static void entry_make(mtasts_entry *e, const key *k, kind what)
{
    static const char id[] = "20240131T120000Z7";
    uint64_t r;
    memcpy(&r, k->text, sizeof r);
    r = mix(r ^ k->len);
    memset(e, 0, sizeof *e);
    e->domain.ptr = k->text;
    e->domain.len = k->len;
    e->fetched = e->checked = e->used = START;
    if (what == ABSENT || (what == MIX && r % 100 >= 3)) {
        e->expires = e->refresh = START + 1 + (int64_t)(r >> 32) % 3600;
        return;
    }
    e->id.len = 8 + (r >> 24) % 10;
    e->id.ptr = id + sizeof id - 1 - e->id.len;
    e->expires = START + 604800;
    e->refresh = START + 1 + (int64_t)(r >> 32) % 86400;
    if (what == SHARED || (r >> 8) % 10 < 7)
        e->policy = shared[(r >> 16) % TEXTS];
    else
        policy_own(&e->policy, r);
}

/* ---- the cache --------------------------------------------------------------------------- */

static mtasts_cache cache;

static void *host_allocate(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void host_release(void *user, void *memory, size_t size)
{
    (void)user;
    (void)size;
    free(memory);
}

static void cache_open(size_t max_octets)
{
    mtasts_cache_config config;
    memset(&config, 0, sizeof config);
    config.memory.allocate = host_allocate;
    config.memory.release = host_release;
    config.max_octets = max_octets;
    memcpy(config.key, "0123456789abcdef", MTASTS_KEY_SIZE);
    require(mtasts_cache_init(&cache, &config) == MTASTS_OK, "mtasts_cache_init");
}

static void cache_add(const mtasts_entry *e)
{
    sink += (size_t)mtasts_cache_put(&cache, e, START);
}

static size_t cache_find(const key *k)
{
    mtasts_entry e;
    int found = mtasts_cache_get(&cache, k->text, k->len, START, &e);
    return found ? (size_t)(e.expires != 0) : 0;
}

static size_t cache_asked(void)
{
    return cache.stats.octets;
}

static void cache_close(void)
{
    mtasts_cache_clear(&cache);
}

/* ---- the client -------------------------------------------------------------------------- */

static mtasts_client client;
static mtasts_lookup lookup;

static int64_t host_clock(void *user)
{
    (void)user;
    return clock_now;
}

static void host_txt(void *user, uint64_t ticket, const char *name)
{
    static const char text[] = "v=STSv1; id=20240131T120000Z;";
    mtasts_str s = {text, sizeof text - 1};
    mtasts_txt t = {&s, 1};
    (void)user;
    (void)name;
    mtasts_client_give_txt(&client, ticket, MTASTS_OK, &t, 1, 300);
}

static void host_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    (void)user;
    (void)domain;
    (void)policy_host;
    mtasts_client_give_https(&client, ticket, MTASTS_OK, shared[0].text.ptr, shared[0].text.len);
}

static void client_open(size_t max_octets)
{
    mtasts_host host;
    mtasts_host_init(&host);
    host.clock = host_clock;
    host.txt = host_txt;
    host.https = host_https;
    host.memory.allocate = host_allocate;
    host.memory.release = host_release;
    host.max_octets = max_octets;
    memcpy(host.key, "0123456789abcdef", MTASTS_KEY_SIZE);
    clock_now = START;
    memset(&lookup, 0, sizeof lookup);
    require(mtasts_client_init(&client, &host) == MTASTS_OK, "mtasts_client_init");
}

static void client_add(const mtasts_entry *e)
{
    static char text[MTASTS_ENTRY_MAX];
    size_t len;
    require(mtasts_entry_write(text, sizeof text, &len, e) == MTASTS_OK, "mtasts_entry_write");
    require(mtasts_client_import(&client, NULL, 0, text, len, NULL) == MTASTS_OK, "import");
}

static size_t client_find(const key *k)
{
    mtasts_err err = mtasts_client_lookup(&client, &lookup, k->text, k->len, 0);
    mtasts_client_end(&client, &lookup);
    return err == MTASTS_OK ? (size_t)(lookup.learned != MTASTS_LEARNED_NOTHING) : 0;
}

static size_t client_asked(void)
{
    return mtasts_client_cache(&client)->stats.octets;
}

static void client_close(void)
{
    mtasts_client_clear(&client);
}

/* ---- the others -------------------------------------------------------------------------- */

#if defined(HAVE_KHASH) || defined(HAVE_UTHASH)
/* What a program would keep that had a plain hash table: what an entry says and its texts, in one
 * piece, and the policy, which those that share one point to. */
typedef struct record {
    int64_t fetched, expires, checked, used, refresh;
    const mtasts_policy *policy; /* NULL: none */
    char domain[1];              /* and its NUL, then the id */
} record;

static size_t records_asked;

static size_t record_extra(const mtasts_entry *e)
{
    return e->domain.len + 1 + e->id.len;
}

static void record_fill(record *r, const mtasts_entry *e)
{
    mtasts_policy *own;
    r->fetched = e->fetched;
    r->expires = e->expires;
    r->checked = e->checked;
    r->used = e->used;
    r->refresh = e->refresh;
    r->policy = NULL;
    memcpy(r->domain, e->domain.ptr, e->domain.len);
    r->domain[e->domain.len] = '\0';
    if (!e->policy.text.ptr)
        return;
    memcpy(r->domain + e->domain.len + 1, e->id.ptr, e->id.len);
    r->policy = shared;
    while (r->policy < shared + TEXTS && r->policy->text.ptr != e->policy.text.ptr)
        r->policy++;
    if (r->policy < shared + TEXTS)
        return;
    own = take(sizeof *own + e->policy.text.len);
    records_asked += sizeof *own + e->policy.text.len;
    *own = e->policy;
    own->text.ptr = memcpy(own + 1, e->policy.text.ptr, e->policy.text.len);
    r->policy = own;
}

static void record_empty(const record *r)
{
    if (r->policy && (r->policy < shared || r->policy >= shared + TEXTS))
        free((void *)(uintptr_t)r->policy);
}
#endif

#if defined(HAVE_KHASH)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
KHASH_MAP_INIT_STR(domains, record *)
#pragma GCC diagnostic pop
static khash_t(domains) * khash;

static void khash_open(size_t max_octets)
{
    (void)max_octets;
    records_asked = 0;
    khash = kh_init(domains);
}

static void khash_add(const mtasts_entry *e)
{
    size_t size = offsetof(record, domain) + record_extra(e);
    record *r = take(size);
    int is_new;
    khint_t at;
    records_asked += size;
    record_fill(r, e);
    at = kh_put(domains, khash, r->domain, &is_new);
    kh_val(khash, at) = r;
}

static size_t khash_find(const key *k)
{
    khint_t at = kh_get(domains, khash, k->text);
    if (at == kh_end(khash))
        return 0;
    return (size_t)(kh_val(khash, at)->expires != 0);
}

static size_t khash_asked(void)
{
    size_t n = kh_n_buckets(khash);
    return records_asked + sizeof *khash + n / 4 + n * (sizeof(char *) + sizeof(record *));
}

static void khash_close(void)
{
    khint_t at;
    for (at = kh_begin(khash); at != kh_end(khash); at++) {
        if (!kh_exist(khash, at))
            continue;
        record_empty(kh_val(khash, at));
        free(kh_val(khash, at));
    }
    kh_destroy(domains, khash);
}
#endif

#if defined(HAVE_UTHASH)
typedef struct hashed {
    UT_hash_handle hh;
    record r;
} hashed;

static hashed *uthash;

static void uthash_open(size_t max_octets)
{
    (void)max_octets;
    records_asked = 0;
    uthash = NULL;
}

static void uthash_add(const mtasts_entry *e)
{
    size_t size = offsetof(hashed, r.domain) + record_extra(e);
    hashed *h = take(size);
    records_asked += size;
    record_fill(&h->r, e);
    HASH_ADD_KEYPTR(hh, uthash, h->r.domain, e->domain.len, h);
}

static size_t uthash_find(const key *k)
{
    hashed *h;
    HASH_FIND(hh, uthash, k->text, k->len, h);
    if (!h)
        return 0;
    return (size_t)(h->r.expires != 0);
}

static size_t uthash_asked(void)
{
    return records_asked + HASH_OVERHEAD(hh, uthash) - HASH_COUNT(uthash) * sizeof(UT_hash_handle);
}

static void uthash_close(void)
{
    hashed *h = uthash, *next;
    HASH_CLEAR(hh, uthash);
    for (; h; h = next) {
        next = h->hh.next;
        record_empty(&h->r);
        free(h);
    }
}
#endif

static const map maps[] = {
    {"cache", cache_open, cache_add, cache_find, cache_asked, cache_close},
#if defined(HAVE_KHASH)
    {"khash", khash_open, khash_add, khash_find, khash_asked, khash_close},
#endif
#if defined(HAVE_UTHASH)
    {"uthash", uthash_open, uthash_add, uthash_find, uthash_asked, uthash_close},
#endif
};

enum { MAPS = sizeof maps / sizeof maps[0] };

static const map client_map = {"client",    client_open,  client_add,
                               client_find, client_asked, client_close};

/* ---- measuring --------------------------------------------------------------------------- */

/* Octets that malloc has handed out, with what it needs beside them. */
static size_t in_use(void)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
#else
    return 0;
#endif
}

/* What it takes to look at the clock. */
static double clock_cost(void)
{
    double least = 1e18;
    int round, i;
    for (round = 0; round < 20; round++) {
        double start = now();
        for (i = 0; i < 1000; i++)
            sink += now() > 0;
        if ((now() - start) / 1000 < least)
            least = (now() - start) / 1000;
    }
    return least;
}

/* Put all keys in; ns: of each call, if it is less than what is there. A pause that is the map's
 * own comes at the same key in every round, one that another program causes does not. Returns the
 * mean. */
static double fill(const map *m, const key *keys, size_t n, kind what, float *ns)
{
    static double clock_ns;
    double start, end, sum = 0;
    mtasts_entry e;
    size_t i;
    if (clock_ns <= 0)
        clock_ns = clock_cost();
    for (i = 0; i < n; i++) {
        entry_make(&e, &keys[i], what);
        start = now();
        m->add(&e);
        end = now() - start - clock_ns;
        sum += end;
        if (ns && end < (double)ns[i])
            ns[i] = (float)end;
    }
    return sum / (double)n;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

typedef struct growth {
    double mean, p9999, longest; /* ns, us, us */
} growth;

/* The longest ones of n times. */
static void sort(float *ns, size_t n, growth *g)
{
    qsort(ns, n, sizeof *ns, by_size);
    g->p9999 = (double)ns[n - 1 - n / 10000] / 1e3;
    g->longest = (double)ns[n - 1] / 1e3;
}

static float *times_make(size_t n)
{
    float *ns = take(n * sizeof *ns);
    size_t i;
    for (i = 0; i < n; i++)
        ns[i] = 1e18f;
    return ns;
}

static void header(const char *first, const char *const *columns, size_t n)
{
    size_t i;
    printf("\n| %-34s |", first);
    for (i = 0; i < n; i++)
        printf(" %10s |", columns[i]);
    printf("\n|---|");
    for (i = 0; i < n; i++)
        printf("---:|");
    printf("\n");
}

static void row(const char *name, size_t domains)
{
    char text[64];
    if (domains)
        snprintf(text, sizeof text, "%s, %zu %s", name,
                 domains >= 1000000 ? domains / 1000000 : domains / 1000,
                 domains >= 1000000 ? "M" : "k");
    else
        snprintf(text, sizeof text, "%s", name);
    printf("| %-34s |", text);
}

static void ratio(const double *value, size_t count)
{
    double least = 1e18;
    size_t i;
    for (i = 1; i < count; i++)
        least = value[i] < least ? value[i] : least;
    if (count > 1)
        printf(" %10.2f |", value[0] / least);
    printf("\n");
    fflush(stdout);
}

/* ---- the tables -------------------------------------------------------------------------- */

/* In turn: where the next key lies depends on the last answer, so that a processor cannot begin the
 * next look-up before the last one is done, as in a mail server, which does much else in between.
 * Many at once: it can. */
static double find_slice(const map *m, const key *keys, size_t n, size_t expect, int in_turn)
{
    double start = now();
    size_t i, found = 0;
    if (in_turn)
        for (i = 0; i < n; i++)
            found += m->find(&keys[i + (found > n)]);
    else
        for (i = 0; i < n; i++)
            found += m->find(&keys[i]);
    require(found == expect * n, "a look-up went wrong");
    return (now() - start) / (double)n;
}

/* Look-ups in all maps, which hold n domains; the client too, if it is told. */
static void look_up_row(const char *name, size_t n, int hit, int in_turn, int with_client)
{
    size_t slice = n < SLICE ? n : SLICE, rounds = n < SLICE ? 50 : SLICES, i, r;
    size_t count = MAPS + (size_t)(hit && with_client);
    key *keys = keys_draw(hit ? 0 : n, n, slice * SLICES);
    double ns[MAPS + 1];
    for (i = 0; i <= MAPS; i++)
        ns[i] = 1e18;
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < count; i++) {
            double t = find_slice(i < MAPS ? &maps[i] : &client_map, keys + r % SLICES * slice,
                                  slice, (size_t)hit, in_turn);
            ns[i] = t < ns[i] ? t : ns[i];
        }
    }
    row(name, n);
    for (i = 0; i < count; i++)
        printf(" %10.0f |", ns[i]);
    if (count == MAPS)
        printf(" %10s |", "");
    ratio(ns, MAPS);
    free(keys);
}

static void look_up_table(const size_t *sizes, size_t count, size_t most_for_client)
{
    const char *columns[MAPS + 2];
    size_t i, s;
    for (i = 0; i < MAPS; i++)
        columns[i] = maps[i].name;
    columns[MAPS] = "client";
    columns[MAPS + 1] = "x fastest";
    header("look-up, ns", columns, MAPS + (MAPS > 1 ? 2 : 1));
    for (s = 0; s < count; s++) {
        key *keys = keys_make(0, sizes[s]);
        int with_client = sizes[s] <= most_for_client;
        for (i = 0; i < MAPS; i++) {
            maps[i].open(0);
            fill(&maps[i], keys, sizes[s], MIX, NULL);
        }
        client_open(0);
        if (with_client)
            fill(&client_map, keys, sizes[s], MIX, NULL);
        free(keys);
        look_up_row("hit", sizes[s], 1, 1, with_client);
        look_up_row("hits, many at once", sizes[s], 1, 0, with_client);
        look_up_row("miss", sizes[s], 0, 1, 0);
        look_up_row("misses, many at once", sizes[s], 0, 0, 0);
        for (i = 0; i < MAPS; i++)
            maps[i].close();
        client_close();
    }
}

static growth grow(const map *m, const key *keys, size_t n, kind what)
{
    size_t rounds = n > 1000000 ? 2 : n > 100000 ? 3 : 20, r;
    float *ns = times_make(n);
    growth g = {1e18, 0, 0};
    for (r = 0; r < rounds; r++) {
        double mean;
        m->open(0);
        mean = fill(m, keys, n, what, ns);
        g.mean = mean < g.mean ? mean : g.mean;
        m->close();
    }
    sort(ns, n, &g);
    free(ns);
    return g;
}

static void grow_table(const size_t *sizes, size_t count)
{
    const char *columns[3 * MAPS];
    char names[2 * MAPS][32];
    size_t i, s, k;
    for (i = 0; i < MAPS; i++) {
        snprintf(names[2 * i], sizeof names[0], "99.99%%");
        snprintf(names[2 * i + 1], sizeof names[0], "longest");
        columns[3 * i] = maps[i].name;
        columns[3 * i + 1] = names[2 * i];
        columns[3 * i + 2] = names[2 * i + 1];
    }
    header("put, ns; single calls, us", columns, 3 * MAPS);
    for (s = 0; s < count; s++) {
        key *keys = keys_make(0, sizes[s]);
        for (k = ABSENT; k <= (sizes[s] > 1000000 ? ABSENT : SHARED); k++) {
            row(k == ABSENT ? "absences" : "shared policies", sizes[s]);
            for (i = 0; i < MAPS; i++) {
                growth g = grow(&maps[i], keys, sizes[s], (kind)k);
                printf(" %10.0f | %10.1f | %10.1f |", g.mean, g.p9999, g.longest);
            }
            printf("\n");
            fflush(stdout);
        }
        free(keys);
    }
}

static uint64_t evicted(void)
{
    return cache.stats.evicted[0] + cache.stats.evicted[1] + cache.stats.evicted[2];
}

/* Put new entries into a cache that is full. */
static void evict_row(const char *name, const key *keys, size_t n, kind full_of, kind what)
{
    size_t more = n < SLICE ? n : SLICE, full, r;
    uint64_t out = 0;
    float *ns = times_make(more);
    growth g = {1e18, 0, 0};
    cache_open(0);
    fill(&maps[0], keys, n, full_of, NULL);
    full = cache_asked();
    for (r = 0; r < (n > 1000000 ? 2u : 3u); r++) {
        double mean;
        cache_close();
        cache_open(full);
        fill(&maps[0], keys, n, full_of, NULL);
        out = evicted();
        mean = fill(&maps[0], keys + n, more, what, ns);
        g.mean = mean < g.mean ? mean : g.mean;
        out = evicted() - out;
        require(cache.stats.refused == 0, "an entry found no room");
    }
    require(out >= more / 2, "nothing was put out");
    sort(ns, more, &g);
    row(name, n);
    printf(" %10.0f | %10.1f | %10.1f | %10.2f |\n", g.mean, g.p9999, g.longest,
           (double)out / (double)more);
    fflush(stdout);
    cache_close();
    free(ns);
}

static void evict_table(const size_t *sizes, size_t count)
{
    static const char *const columns[] = {"ns", "99.99%, us", "longest, us", "put out"};
    size_t s;
    header("put into a full cache", columns, 4);
    for (s = 0; s < count; s++) {
        key *keys = keys_make(0, sizes[s] + SLICE);
        evict_row("absences", keys, sizes[s], ABSENT, ABSENT);
        if (sizes[s] <= 1000000) {
            evict_row("policies", keys, sizes[s], SHARED, SHARED);
            evict_row("policies for absences", keys, sizes[s], ABSENT, SHARED);
        }
        free(keys);
    }
}

static void tick_row(const char *name, size_t n, double ns, size_t ticks, size_t done)
{
    row(name, n);
    printf(" %10zu | %10.0f |", ticks, ns / (double)ticks);
    if (done)
        printf(" %10zu | %10.0f |\n", done, ns / (double)done);
    else
        printf(" %10s | %10s |\n", "", "");
}

/* Ticks until nothing is due any more. */
static double ticks_until_idle(size_t *ticks)
{
    double start = now();
    *ticks = 0;
    do
        ++*ticks;
    while (mtasts_client_tick(&client) <= clock_now);
    return now() - start;
}

static void tick_table(size_t n)
{
    static const char *const columns[] = {"ticks", "ns / tick", "entries", "ns / entry"};
    key *keys = keys_make(0, n);
    size_t i, ticks, before;
    double start, ns;
    header("tick", columns, 4);
    client_open(0);
    fill(&client_map, keys, n, ABSENT, NULL);
    start = now();
    for (i = 0; i < 100000; i++)
        require(mtasts_client_tick(&client) > clock_now, "an entry is due too early");
    tick_row("none is due", n, now() - start, i, 0);
    before = mtasts_client_cache(&client)->stats.entries[0];
    clock_now = START + 36;
    ns = ticks_until_idle(&ticks);
    tick_row("absences have expired", n, ns, ticks,
             before - mtasts_client_cache(&client)->stats.entries[0]);
    client_close();
    client_open(0);
    fill(&client_map, keys, n, SHARED, NULL);
    clock_now = START + 864;
    ns = ticks_until_idle(&ticks);
    tick_row("policies are to be refreshed", n, ns, ticks, (size_t)client.counters.refreshes);
    client_close();
    free(keys);
}

typedef struct text_job {
    mtasts_entry entry;
    char *text, *copy;
    size_t len;
} text_job;

static void job_write(text_job *j)
{
    sink += (size_t)mtasts_entry_write(j->copy, MTASTS_ENTRY_MAX, &j->len, &j->entry);
}

static void job_read(text_job *j)
{
    mtasts_entry e;
    sink += (size_t)mtasts_entry_read(&e, j->entry.domain.ptr, j->entry.domain.len, j->text, j->len,
                                      START, NULL);
}

static void job_copy(text_job *j)
{
    memcpy(j->copy, j->text, j->len);
    sink += (size_t)j->copy[j->len - 1];
}

static void text_rows(const char *name, const mtasts_entry *e)
{
    static void (*const jobs[])(text_job *) = {job_write, job_read, job_copy};
    double ns[3] = {1e18, 1e18, 1e18};
    size_t times, round, i, j;
    text_job job;
    job.entry = *e;
    job.text = take(MTASTS_ENTRY_MAX);
    job.copy = take(MTASTS_ENTRY_MAX);
    require(mtasts_entry_write(job.text, MTASTS_ENTRY_MAX, &job.len, e) == MTASTS_OK, "write");
    times = 300000 / job.len + 1;
    for (round = 0; round < 60; round++) {
        for (j = 0; j < 3; j++) {
            double start = now(), t;
            for (i = 0; i < times; i++)
                jobs[j](&job);
            t = (now() - start) / (double)times;
            ns[j] = t < ns[j] ? t : ns[j];
        }
    }
    for (j = 0; j < 2; j++) {
        char text[64];
        snprintf(text, sizeof text, "%s, %s", j ? "read" : "write", name);
        row(text, 0);
        printf(" %10zu | %10.0f | %10.0f | %10.1f | %10.2f |\n", job.len, ns[j], ns[2],
               ns[j] / ns[2], ns[j] / (double)job.len);
    }
    free(job.text);
    free(job.copy);
}

static void text_table(void)
{
    static const char *const columns[] = {"octets", "ns", "memcpy", "ratio", "ns / octet"};
    static char big[BIG];
    size_t n = (size_t)sprintf(big, "version: STSv1\nmode: enforce\nmax_age: 604800\n");
    mtasts_entry e;
    key k;
    key_make(&k, 1);
    header("entry as text", columns, 5);
    entry_make(&e, &k, ABSENT);
    text_rows("absence", &e);
    entry_make(&e, &k, SHARED);
    text_rows("small policy", &e);
    for (; n + 21 <= BIG; n += 21)
        memcpy(big + n, "mx: mail.example.com\n", 21);
    require(mtasts_policy_parse(&e.policy, big, n, 0, NULL) == MTASTS_OK, "policy");
    text_rows("64 KiB policy", &e);
}

static void memory_table(size_t n)
{
    static const char *const names[] = {"absences", "shared policies", "mix"};
    const char *columns[2 * MAPS];
    key *keys = keys_make(0, n);
    size_t i, what;
    for (i = 0; i < MAPS; i++) {
        columns[2 * i] = maps[i].name;
        columns[2 * i + 1] = "of malloc";
    }
    header("octets per domain", columns, 2 * MAPS);
    for (what = ABSENT; what <= MIX; what++) {
        row(names[what], n);
        for (i = 0; i < MAPS; i++) {
            size_t before = in_use();
            maps[i].open(0);
            fill(&maps[i], keys, n, (kind)what, NULL);
            printf(" %10.1f | %10.1f |", (double)maps[i].asked() / (double)n,
                   (double)(in_use() - before) / (double)n);
            maps[i].close();
        }
        printf("\n");
        fflush(stdout);
    }
    free(keys);
}

int main(int argc, char **argv)
{
    size_t most = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 10000000;
    size_t sizes[] = {10000, 1000000, 10000000}, count = 3;
    while (count > 1 && sizes[count - 1] > most)
        count--;
    most = sizes[count - 1];
    policies_make();
    text_table();
    memory_table(most < 1000000 ? most : 1000000);
    look_up_table(sizes, count, 1000000);
    grow_table(sizes, count);
    evict_table(sizes, count);
    tick_table(most < 1000000 ? most : 1000000);
    return 0;
}
