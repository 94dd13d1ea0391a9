/* Section 15, Cache: its hash (D10: names are hashed with a key that an attacker does not know).
 * Goal: it is SipHash-1-3; and domains, policies or look-ups whose hashes are equal are told apart.
 * Method: the vectors of its authors; a second reading of the paper; collisions found by search. */
#define MTASTS_STATIC /* the bodies are here, too: the hash is a private function */
#include "test.h"

/* ---- the second reading (Aumasson, Bernstein: SipHash, 2012, section 2) ---- */

typedef struct sip {
    uint64_t v[4];
} sip;

static uint64_t left(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

static void rounds(sip *s, int n)
{
    uint64_t *v = s->v;
    while (n-- > 0) {
        v[0] += v[1], v[2] += v[3];
        v[1] = left(v[1], 13), v[3] = left(v[3], 16);
        v[1] ^= v[0], v[3] ^= v[2];
        v[0] = left(v[0], 32);
        v[2] += v[1], v[0] += v[3];
        v[1] = left(v[1], 17), v[3] = left(v[3], 21);
        v[1] ^= v[2], v[3] ^= v[0];
        v[2] = left(v[2], 32);
    }
}

/* SipHash-c-d */
static uint64_t sip_c_d(int c, int d, const unsigned char *key, const unsigned char *data,
                        size_t len)
{
    uint64_t k[2] = {0, 0}, m = 0;
    sip s;
    size_t i;
    for (i = 0; i < 16; i++)
        k[i / 8] |= (uint64_t)key[i] << (8 * (i % 8));
    s.v[0] = k[0] ^ 0x736f6d6570736575u;
    s.v[1] = k[1] ^ 0x646f72616e646f6du;
    s.v[2] = k[0] ^ 0x6c7967656e657261u;
    s.v[3] = k[1] ^ 0x7465646279746573u;
    for (i = 0; i < len / 8 * 8 + 8; i++) {
        unsigned char octet = i < len ? data[i] : i % 8 == 7 ? (unsigned char)(len & 255) : 0;
        m |= (uint64_t)octet << (8 * (i % 8));
        if (i % 8 != 7)
            continue;
        s.v[3] ^= m;
        rounds(&s, c);
        s.v[0] ^= m;
        m = 0;
    }
    s.v[2] ^= 0xff;
    rounds(&s, d);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

static uint64_t reading(const unsigned char *key, const unsigned char *data, size_t len)
{
    return sip_c_d(1, 3, key, data, len);
}

/* ---- */

/* Key 00 to 0f, input of so many octets 00, 01, ... Of 2-4 they are the authors' (and for 15 the
 * paper's appendix A), to show that the reading is right; 1-3 is in wide use for hash tables, and
 * these are what all others get. */
static const struct {
    int c, d;
    size_t len;
    uint64_t hash;
} vectors[] = {
    {2, 4, 0, 0x726fdb47dd0e0e31u},  {2, 4, 1, 0x74f839c593dc67fdu},
    {2, 4, 2, 0x0d6c8009d9a94f5au},  {2, 4, 3, 0x85676696d7fb7e2du},
    {2, 4, 7, 0xab0200f58b01d137u},  {2, 4, 15, 0xa129ca6149be45e5u},
    {1, 3, 0, 0xabac0158050fc4dcu},  {1, 3, 1, 0xc9f49bf37d57ca93u},
    {1, 3, 2, 0x82cb9b024dc7d44du},  {1, 3, 3, 0x8bf80ab8e7ddf7fbu},
    {1, 3, 4, 0xcf75576088d38328u},  {1, 3, 7, 0xd3927d989bb11140u},
    {1, 3, 8, 0x369095118d299a8eu},  {1, 3, 9, 0x25a48eb36c063de4u},
    {1, 3, 15, 0xd320d86d2a519956u}, {1, 3, 16, 0xcc4fdd1a7d908b66u},
    {1, 3, 62, 0xc3b2f6154b6694e0u}, {1, 3, 63, 0x9d199062b7bbb3a8u},
};

static void test_vectors(void **state)
{
    unsigned char octets[64];
    size_t i;
    (void)state;
    for (i = 0; i < sizeof octets; i++)
        octets[i] = (unsigned char)i;
    for (i = 0; i < COUNT(vectors); i++) {
        size_t len = vectors[i].len;
        const void *data = fenced(0, (int)(i % 2), octets, len);
        assert_int_equal(sip_c_d(vectors[i].c, vectors[i].d, octets, data, len), vectors[i].hash);
        if (vectors[i].c == 1)
            assert_int_equal(mtastsi_hash(octets, data, len), vectors[i].hash);
    }
}

/* Every length up to 64, and about 256, where the octet for the length wraps; every alignment. */
static void test_second_reading(void **state)
{
    static unsigned char data[600], key[16];
    uint32_t x = 1;
    size_t round, i, len;
    (void)state;
    for (round = 0; round < 50; round++) {
        for (i = 0; i < sizeof data; i++)
            data[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
        memcpy(key, data + 500, sizeof key);
        for (len = 0; len <= 270; len++) {
            const unsigned char *p = data + round % 8;
            if (len == 65)
                len = 250;
            assert_int_equal(mtastsi_hash(key, p, len), reading(key, p, len));
        }
    }
}

/* ---- collisions ---- */

enum { TRIED = 300000 };

static const unsigned char collision_key[MTASTS_KEY_SIZE + 1] = "not so secret...";

typedef struct candidate {
    uint32_t hash, number;
} candidate;

static candidate candidates[TRIED];

static int by_hash(const void *a, const void *b)
{
    const candidate *p = a, *q = b;
    return p->hash < q->hash ? -1 : p->hash > q->hash;
}

static size_t make_text(char *out, uint32_t number, int policy)
{
    unsigned n = number;
    if (policy)
        return (size_t)sprintf(out, "version: STSv1\nmode: enforce\nmx: m%u.e\nmax_age: 99\n", n);
    if (number % 2)
        return (size_t)sprintf(out, "m%u.example", n);
    return (size_t)sprintf(out, "m%u.a-longer-name.example", n);
}

/* Texts in the order of the half of their hash that is used, for who knows the key. */
static void search(const unsigned char *key, int policy)
{
    char text[100];
    uint32_t i;
    for (i = 0; i < TRIED; i++) {
        size_t len = make_text(text, i, policy);
        candidates[i].hash = (uint32_t)reading(key, (const unsigned char *)text, len);
        candidates[i].number = i;
    }
    qsort(candidates, TRIED, sizeof *candidates, by_hash);
}

static void *allocate(void *user, size_t size)
{
    *(size_t *)user += size;
    return malloc(size);
}

static void release(void *user, void *memory, size_t size)
{
    *(size_t *)user -= size;
    free(memory);
}

static void put(mtasts_cache *cache, const char *domain, size_t len, uint32_t number)
{
    char body[100];
    size_t n = make_text(body, number, 1);
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    e.domain.ptr = domain;
    e.domain.len = len;
    e.id.ptr = "1";
    e.id.len = 1;
    assert_int_equal(mtasts_policy_parse(&e.policy, body, n, 0, NULL), MTASTS_OK);
    assert_int_equal(mtasts_cache_put(cache, &e, 5), MTASTS_OK);
}

static void check(mtasts_cache *cache, const char *domain, size_t len, uint32_t number)
{
    char body[100];
    mtasts_entry e;
    make_text(body, number, 1);
    assert_true(mtasts_cache_get(cache, domain, len, 5, &e));
    assert_int_equal(e.domain.len, len);
    assert_memory_equal(e.domain.ptr, domain, len);
    assert_str(e.policy.text, body);
}

/* Two domains with one hash: each has its own entry, and one can go without the other. */
static void two_domains(mtasts_cache *cache, uint32_t a, uint32_t b)
{
    char first[100], second[100];
    size_t m = make_text(first, a, 0), n = make_text(second, b, 0);
    mtasts_entry e;
    put(cache, first, m, 1);
    assert_int_equal(mtasts_cache_get(cache, second, n, 5, &e), 0);
    put(cache, second, n, 2);
    check(cache, first, m, 1);
    check(cache, second, n, 2);
    put(cache, first, m, 3);
    check(cache, second, n, 2);
    assert_int_equal(mtasts_cache_remove(cache, first, m), 1);
    check(cache, second, n, 2);
    assert_int_equal(mtasts_cache_remove(cache, first, m), 0);
    put(cache, first, m, 1);
    assert_int_equal(mtasts_cache_remove(cache, first, m), 1);
    assert_int_equal(mtasts_cache_remove(cache, second, n), 1);
}

/* Two policies with one hash, of two domains: never one's for the other (D13). */
static void two_policies(mtasts_cache *cache, uint32_t a, uint32_t b)
{
    put(cache, "a.example", 9, a);
    put(cache, "b.example", 9, b);
    put(cache, "c.example", 9, a);
    assert_int_equal(cache->stats.policies, 2);
    check(cache, "a.example", 9, a);
    check(cache, "b.example", 9, b);
    check(cache, "c.example", 9, a);
    assert_int_equal(mtasts_cache_remove(cache, "a.example", 9), 1);
    check(cache, "b.example", 9, b);
    check(cache, "c.example", 9, a);
    put(cache, "c.example", 9, b);
    assert_int_equal(cache->stats.policies, 1);
    check(cache, "c.example", 9, b);
    assert_int_equal(mtasts_cache_remove(cache, "b.example", 9), 1);
    assert_int_equal(mtasts_cache_remove(cache, "c.example", 9), 1);
    assert_int_equal(cache->stats.policies, 0);
}

static void try_collisions(int policy)
{
    mtasts_cache cache;
    mtasts_cache_config config;
    size_t octets = 0, i, equal = 0, different = 0;
    char text[100];
    memset(&config, 0, sizeof config);
    config.memory.user = &octets;
    config.memory.allocate = allocate;
    config.memory.release = release;
    memcpy(config.key, collision_key, MTASTS_KEY_SIZE);
    search(config.key, policy);
    assert_int_equal(mtasts_cache_init(&cache, &config), MTASTS_OK);
    for (i = 1; i < TRIED; i++) {
        uint32_t a = candidates[i - 1].number, b = candidates[i].number;
        if (candidates[i - 1].hash != candidates[i].hash)
            continue;
        if (make_text(text, a, policy) == make_text(text, b, policy))
            equal++;
        else
            different++;
        (policy ? two_policies : two_domains)(&cache, a, b);
        (policy ? two_policies : two_domains)(&cache, b, a);
    }
    assert_true(equal > 0 && different > 0); /* of one length, and of two */
    mtasts_cache_clear(&cache);
    assert_int_equal(octets, 0);
}

static void test_D13_domains_that_collide(void **state)
{
    (void)state;
    try_collisions(0);
}

static void test_D13_policies_that_collide(void **state)
{
    (void)state;
    try_collisions(1);
}

/* ---- the same for discoveries (section 16) ---- */

enum { ASKED_MAX = 4 };

static struct {
    uint64_t txt[ASKED_MAX], https[ASKED_MAX];
    char domain[ASKED_MAX][100]; /* of https */
    size_t txts, fetches;
} asked;

static int64_t client_clock(void *user)
{
    (void)user;
    return 5;
}

static void client_txt(void *user, uint64_t ticket, const char *name)
{
    (void)user;
    (void)name;
    assert_true(asked.txts < ASKED_MAX);
    asked.txt[asked.txts++] = ticket;
}

static void client_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    (void)user;
    (void)policy_host;
    assert_true(asked.fetches < ASKED_MAX);
    strcpy(asked.domain[asked.fetches], domain);
    asked.https[asked.fetches++] = ticket;
}

static void done(void *user, mtasts_lookup *lookup)
{
    (void)lookup;
    ++*(int *)user;
}

static void start_client(mtasts_client *client, size_t *octets)
{
    mtasts_host host;
    mtasts_host_init(&host);
    host.memory.user = octets;
    host.clock = client_clock;
    host.txt = client_txt;
    host.https = client_https;
    host.memory.allocate = allocate;
    host.memory.release = release;
    memcpy(host.key, collision_key, MTASTS_KEY_SIZE);
    assert_int_equal(mtasts_client_init(client, &host), MTASTS_OK);
    memset(&asked, 0, sizeof asked);
}

/* The second has a policy, and then the first has none. */
static void two_lookups(mtasts_client *client, const char *first, const char *second)
{
    static const char record[] = "v=STSv1; id=1;";
    mtasts_str string = {record, sizeof record - 1};
    mtasts_txt txt = {&string, 1};
    char body[100];
    size_t n = make_text(body, 7, 1);
    mtasts_lookup a, b;
    int answered = 0;
    memset(&a, 0, sizeof a);
    a.done = done;
    a.user = &answered;
    b = a;
    assert_int_equal(mtasts_client_lookup(client, &a, first, strlen(first), 0), MTASTS_MORE);
    assert_int_equal(mtasts_client_lookup(client, &b, second, strlen(second), 0), MTASTS_MORE);
    assert_int_equal(asked.txts, 2);
    assert_int_equal(client->counters.joined, 0);
    assert_int_equal(mtasts_client_give_txt(client, asked.txt[1], MTASTS_OK, &txt, 1, 60),
                     MTASTS_OK);
    assert_int_equal(asked.fetches, 1);
    assert_string_equal(asked.domain[0], second);
    assert_int_equal(mtasts_client_give_https(client, asked.https[0], MTASTS_OK, body, n),
                     MTASTS_OK);
    assert_int_equal(answered, 1);
    assert_non_null(b.policy);
    mtasts_client_give_txt(client, asked.txt[0], MTASTS_ERR_NO_RECORD, NULL, 0, 60);
    assert_int_equal(answered, 2);
    assert_int_equal(a.learned, MTASTS_LEARNED_NONE);
    assert_null(a.policy);
    mtasts_client_end(client, &a);
    mtasts_client_end(client, &b);
}

static void test_D13_lookups_that_collide(void **state)
{
    mtasts_client client;
    size_t octets = 0, i;
    int pairs = 0;
    (void)state;
    search(collision_key, 0);
    for (i = 1; i < TRIED; i++) {
        char first[100], second[100];
        if (candidates[i - 1].hash != candidates[i].hash)
            continue;
        make_text(first, candidates[i - 1].number, 0);
        make_text(second, candidates[i].number, 0);
        start_client(&client, &octets);
        two_lookups(&client, first, second);
        mtasts_client_clear(&client);
        assert_int_equal(octets, 0);
        pairs++;
    }
    assert_true(pairs > 0);
}

/* D10: of a domain and of a policy all octets count, and so does the key. */
static void test_D10_all_is_hashed(void **state)
{
    char name[MTASTS_NAME_MAX], body[600];
    unsigned char key[MTASTS_KEY_SIZE];
    mtasts_cache cache;
    mtasts_policy policy;
    size_t i, len;
    (void)state;
    memset(&cache, 0, sizeof cache);
    memset(&policy, 0, sizeof policy);
    memset(name, 'a', sizeof name);
    memset(body, 'b', sizeof body);
    for (i = 0; i < 2 * MTASTS_KEY_SIZE; i++) {
        memset(key, 1, sizeof key);
        key[i / 2] = (unsigned char)(1 + i % 2);
        memcpy(cache.config_.key, key, sizeof key);
        for (len = 1; len <= sizeof name; len++)
            assert_int_equal(mtastsi_domain_hash(&cache, name, len),
                             (uint32_t)reading(key, (const unsigned char *)name, len));
        policy.text.ptr = body;
        policy.text.len = sizeof body - i;
        assert_int_equal(mtastsi_text_hash(&cache, &policy),
                         (uint32_t)reading(key, (const unsigned char *)body, sizeof body - i));
    }
}

/* What tickets and times are made of: no two alike, and nothing to be known from the one before
 * without the key. */
static void test_drawn_numbers(void **state)
{
    mtasts_client client;
    size_t octets = 0;
    uint64_t drawn, last = 0, same = ~(uint64_t)0, changed = 0;
    int i;
    (void)state;
    start_client(&client, &octets);
    for (i = 0; i < 1000; i++, last = drawn) {
        drawn = mtastsi_draw(&client);
        assert_int_equal(drawn, reading(collision_key, (unsigned char *)&client.drawn_, 8));
        same &= ~(drawn ^ last);
        changed |= drawn ^ last;
        assert_true(drawn != last);
    }
    assert_true(!same && !~changed);
    mtasts_client_clear(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_second_reading),
        cmocka_unit_test(test_D13_domains_that_collide),
        cmocka_unit_test(test_D13_policies_that_collide),
        cmocka_unit_test(test_D13_lookups_that_collide),
        cmocka_unit_test(test_D10_all_is_hashed),
        cmocka_unit_test(test_drawn_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
