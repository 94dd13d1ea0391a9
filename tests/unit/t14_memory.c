/* Section 14, Memory.
 * Goal: pieces of a pool are aligned, never overlap, never leave the block, and never get lost.
 * Method: random histories beside a list of what is held; every piece is filled, and looked at when
 *         it is given back; blocks at an unmapped page, or between octets that must not change. */
#include "test.h"

enum { UNIT = 8, MOST = 600 };

static uint64_t seed;

/* xorshift64 */
static size_t below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

typedef struct held {
    unsigned char *at;
    size_t size;
    unsigned char fill;
} held;

/* A pool, and what it is known to have given. */
typedef struct yard {
    mtasts_pool pool;
    unsigned char *block;
    size_t size;
    held held[MOST];
    size_t count;
    unsigned char fill;
} yard;

static void yard_make(yard *y, void *block, size_t size)
{
    memset(y, 0, sizeof *y);
    DIRTY(y->pool);
    y->block = block;
    y->size = size;
    mtasts_pool_init(&y->pool, block, size);
}

static int by_place(const void *a, const void *b)
{
    const unsigned char *p = ((const held *)a)->at, *q = ((const held *)b)->at;
    return p < q ? -1 : p > q;
}

/* The widest gap between the pieces, in units, as far as it can be seen from outside: the first
 * unit and the last two are not for use, and one before each piece is its head. */
static size_t widest(yard *y)
{
    const unsigned char *from = y->block + (-(uintptr_t)y->block & (UNIT - 1)) + UNIT, *end;
    size_t i, gap, best = 0;
    qsort(y->held, y->count, sizeof *y->held, by_place);
    for (i = 0; i <= y->count; i++) {
        end = i < y->count ? y->held[i].at : y->block + y->size - UNIT;
        gap = end - UNIT > from ? (size_t)(end - UNIT - from) / UNIT : 0;
        best = gap > best ? gap : best;
        if (i < y->count)
            from = y->held[i].at + (y->held[i].size + UNIT - 1) / UNIT * UNIT;
    }
    return best;
}

/* A piece must be had where its units and a quarter more are free. One unit of a gap may belong to
 * the piece before. A block of less than nine units may be of no use at all. */
static int must_fit(yard *y, size_t size)
{
    size_t need = (size + UNIT - 1) / UNIT + 1;
    return y->size >= (size_t)9 * UNIT && widest(y) >= need + (need + 3) / 4 + 1;
}

/* Ask for a piece, and check that it is one. */
static int take(yard *y, size_t size)
{
    held h = {NULL, size, ++y->fill};
    size_t i;
    h.at = mtasts_pool_allocate(&y->pool, size);
    if (!h.at) {
        if (size > y->size)
            return 0;
        if (must_fit(y, size))
            fail_msg("no %zu octets in a gap of %zu units", size, widest(y));
        return 0;
    }
    assert_true((uintptr_t)h.at % UNIT == 0);
    assert_true(h.at >= y->block && size <= y->size && (size_t)(h.at - y->block) <= y->size - size);
    for (i = 0; i < y->count; i++)
        if (h.at < y->held[i].at + y->held[i].size && y->held[i].at < h.at + size)
            fail_msg("%zu octets overlap with %zu", size, y->held[i].size);
    memset(h.at, h.fill, size);
    assert_true(y->count < MOST);
    y->held[y->count++] = h;
    return 1;
}

/* Give a piece back, in which nobody has written. */
static void give(yard *y, size_t i)
{
    held h = y->held[i];
    size_t n;
    for (n = 0; n < h.size; n++)
        if (h.at[n] != h.fill)
            fail_msg("octet %zu of %zu has changed", n, h.size);
    y->held[i] = y->held[--y->count];
    mtasts_pool_release(&y->pool, h.at, h.size);
}

static void give_all(yard *y)
{
    while (y->count)
        give(y, below(y->count));
}

/* The largest piece that can be had now. */
static size_t largest(yard *y)
{
    size_t low = 0, high = y->size, middle;
    while (low < high) {
        void *p = mtasts_pool_allocate(&y->pool, middle = (low + high + 1) / 2);
        if (p)
            low = middle;
        else
            high = middle - 1;
        mtasts_pool_release(&y->pool, p, middle);
    }
    return low;
}

/* With nothing held at least four fifths can be had in one piece, but for head and ends. */
static void assert_whole(yard *y)
{
    size_t units = y->size / UNIT;
    assert_int_equal(y->count, 0);
    if (units >= 16)
        assert_true(largest(y) / UNIT >= (units - 3) * 4 / 5 - 1);
}

static void *writable(int which, int side, size_t size)
{
    static const char zeros[FENCE_SIZE];
    return (void *)(uintptr_t)fenced(which, side, zeros, size);
}

/* ---- */

/* Any size, alone in a block: if it fits by the rule it is given, as often as it is asked for. */
static void test_every_size(void **state)
{
    static yard y;
    size_t size, block;
    int side, given;
    (void)state;
    for (block = 2048; block < 2060; block += 3)
        for (side = 0; side < 2; side++) {
            yard_make(&y, writable(0, side, block), block);
            for (size = 1; size <= block + 9; size++) {
                given = take(&y, size);
                if (given)
                    give(&y, 0);
                assert_int_equal(take(&y, size), given);
                give_all(&y);
                if (size < block / 4 * 3)
                    assert_true(given);
                if (size > block - 3 * UNIT)
                    assert_false(given);
            }
            assert_whole(&y);
        }
}

static void wander(yard *y, size_t steps, size_t top)
{
    while (steps--) {
        size_t size = 1 + below(1 + below(top));
        if (y->count < MOST && below(100) < 55)
            take(y, size);
        else if (y->count)
            give(y, below(y->count));
    }
}

static const struct {
    const char *name;
    size_t size, steps, top;
} histories[] = {
    {"small pieces", 8192, 6000, 40},          {"pieces of all sizes", 65536, 4000, 65536},
    {"a few large ones", 65531, 4000, 30000},  {"like entries and policies", 131072, 4000, 3000},
    {"one or two at a time", 1000, 4000, 900},
};

static void test_histories(void **state)
{
    static yard y;
    size_t i, fresh;
    int side;
    (void)state;
    for (i = 0; i < COUNT(histories); i++)
        for (side = 0; side < 2; side++) {
            seed = 1 + 2 * i + (size_t)side;
            yard_make(&y, writable(0, side, histories[i].size), histories[i].size);
            fresh = largest(&y);
            wander(&y, histories[i].steps, histories[i].top);
            give_all(&y);
            if (largest(&y) != fresh)
                fail_msg("%s: %zu of %zu", histories[i].name, largest(&y), fresh);
            assert_whole(&y);
        }
}

/* Blocks of no use or of little, at every alignment, in a field of octets that must not change. */
static void test_tiny_and_misaligned(void **state)
{
    static yard y;
    static unsigned char field[320];
    size_t size, align, fresh, i;
    (void)state;
    seed = 7;
    for (size = 0; size <= 200; size++)
        for (align = 0; align < UNIT; align++) {
            unsigned char *block = field + 64 + align;
            memset(field, 0xa5, sizeof field);
            yard_make(&y, block, size);
            fresh = largest(&y);
            wander(&y, 60, size + 2);
            give_all(&y);
            assert_int_equal(largest(&y), fresh);
            if (size >= 9 * UNIT)
                assert_true(fresh >= UNIT);
            for (i = 0; i < sizeof field; i++)
                if ((field + i < block || field + i >= block + size) && field[i] != 0xa5)
                    fail_msg("block of %zu at %zu: octet %zu", size, align, i);
        }
}

/* The same at the fence: not even read. */
static void test_tiny_at_the_fence(void **state)
{
    static yard y;
    size_t size;
    int side;
    (void)state;
    seed = 8;
    for (size = 0; size <= 200; size++)
        for (side = 0; side < 2; side++) {
            yard_make(&y, writable(0, side, size), size);
            wander(&y, 200, size + 2);
            give_all(&y);
        }
}

/* All of the block can be used, and when it is, the answer is NULL. */
static void test_exhaustion(void **state)
{
    static yard y;
    size_t size, units, block = 4096;
    (void)state;
    seed = 9;
    for (size = 1; size <= 200; size++) {
        yard_make(&y, writable(0, 1, block), block);
        while (take(&y, size))
            ;
        units = (size + UNIT - 1) / UNIT + 1;
        assert_true(y.count * units <= block / UNIT - 3);
        assert_true((y.count + 1) * units + units / 4 + 1 > block / UNIT - 3);
        assert_false(take(&y, size));
        give(&y, below(y.count));
        assert_true(take(&y, size) || units >= 8);
        give_all(&y);
        assert_whole(&y);
    }
    for (size = block; size < block + 4 * UNIT; size += UNIT) {
        yard_make(&y, writable(0, 1, size), size);
        while (take(&y, UNIT)) /* the least: a head and a unit, so that nothing is left over */
            ;
        assert_int_equal(y.count, (size / UNIT - 3) / 2);
        give_all(&y);
    }
}

/* The place of the n-th piece to be given back, of `count` that are held in the order of places. */
static size_t in_order(int order, size_t n, size_t count)
{
    switch (order) {
    case 0:
        return 0; /* first to last */
    case 1:
        return count - 1; /* last to first */
    case 2:
        return n < 40 && n < count ? n : 0; /* every other one, then those between */
    default:
        return below(count);
    }
}

/* Neighbours that are free are one, in whatever order they have become so. */
static void test_joined(void **state)
{
    static yard y;
    size_t fresh, n;
    int order;
    (void)state;
    seed = 10;
    for (order = 0; order < 8; order++) {
        yard_make(&y, writable(0, 1, 8192), 8192);
        fresh = largest(&y);
        while (take(&y, 92))
            ;
        for (n = 0; y.count; n++) {
            qsort(y.held, y.count, sizeof *y.held, by_place);
            give(&y, in_order(order, n, y.count));
        }
        assert_int_equal(largest(&y), fresh);
    }
}

/* Sizes that no block has, whose sum with a head would wrap around. */
static void test_absurd_sizes(void **state)
{
    static yard y;
    size_t i, n;
    (void)state;
    yard_make(&y, writable(0, 1, 4096), 4096);
    for (n = 0; n < 70; n++)
        assert_null(mtasts_pool_allocate(&y.pool, SIZE_MAX - n));
    for (i = 12; i < sizeof(size_t) * 8; i++)
        for (n = 0; n < 20; n++)
            assert_null(mtasts_pool_allocate(&y.pool, ((size_t)1 << i) - 10 + n));
    assert_whole(&y);
}

static void test_null(void **state)
{
    static yard y;
    size_t fresh;
    (void)state;
    yard_make(&y, NULL, 0);
    assert_null(mtasts_pool_allocate(&y.pool, 1));
    mtasts_pool_release(&y.pool, NULL, 1);
    yard_make(&y, NULL, 4096);
    assert_null(mtasts_pool_allocate(&y.pool, 1));
    yard_make(&y, writable(0, 1, 4096), 4096);
    fresh = largest(&y);
    assert_true(take(&y, 100));
    assert_true(take(&y, 0)); /* nobody should, but it does no harm */
    assert_true(take(&y, 100));
    give(&y, 1);
    mtasts_pool_release(&y.pool, NULL, 0);
    mtasts_pool_release(&y.pool, NULL, 100);
    give_all(&y);
    assert_int_equal(largest(&y), fresh);
}

/* Of more than 8 GiB only so much is used. */
static void test_huge(void **state)
{
#if SIZE_MAX > 0xffffffffu
    static mtasts_pool pool;
    size_t giga = (size_t)1 << 30, count;
    char *p, *block = mmap(NULL, 10 * giga, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    (void)state;
    if (block == MAP_FAILED)
        skip();
    mtasts_pool_init(&pool, block, 10 * giga);
    assert_null(mtasts_pool_allocate(&pool, 8 * giga));
    for (count = 0; (p = mtasts_pool_allocate(&pool, giga)) != NULL; count++)
        assert_true(p > block && (size_t)(p - block) <= 7 * giga);
    assert_int_equal(count, 7);
    munmap(block, 10 * giga);
#else
    (void)state;
    skip();
#endif
}

/* The pool as mtasts_memory. */
static void test_as_memory(void **state)
{
    static yard y;
    mtasts_memory memory = {NULL, mtasts_pool_allocate, mtasts_pool_release};
    void *p;
    (void)state;
    yard_make(&y, writable(0, 1, 4096), 4096);
    memory.user = &y.pool;
    p = memory.allocate(memory.user, 3000);
    assert_non_null(p);
    assert_null(memory.allocate(memory.user, 3000));
    memory.release(memory.user, p, 3000);
    assert_whole(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_tiny_and_misaligned),
        cmocka_unit_test(test_tiny_at_the_fence),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_as_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
