/* What every unit test needs: cmocka, and input that ends at an unmapped page on either side.
 * Each test file is one program and says at its top what it covers. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "mtasts.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FENCE_SIZE   ((size_t)1 << 17)
#define PAGE         ((size_t)4096)

/* Two copies of the last input: one ends at an unmapped page, the other begins behind one. */
typedef struct fence {
    char *low, *high;
} fence;

static inline fence fence_make(void)
{
    fence f;
    char *p = mmap(NULL, FENCE_SIZE + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    if (p == MAP_FAILED || mprotect(p, PAGE, PROT_NONE) ||
        mprotect(p + PAGE + FENCE_SIZE, PAGE, PROT_NONE))
        abort();
    f.low = p + PAGE;
    f.high = p + PAGE + FENCE_SIZE;
    return f;
}

/* A copy of `data` whose end (side 1) or beginning (side 0) is at the fence. Valid until the next
 * call with the same `which`, of which there are four. */
static inline const char *fenced(int which, int side, const void *data, size_t len)
{
    static fence fences[4];
    fence *f = &fences[which];
    char *at;
    if (!f->low)
        *f = fence_make();
    if (len > FENCE_SIZE)
        abort();
    at = side ? f->high - len : f->low;
    if (len)
        memcpy(at, data, len);
    return at;
}

/* Octets that a struct had before a function must have written all of it. */
#define DIRTY(x) memset(&(x), 0xff, sizeof(x))

static inline int all_zero(const void *p, size_t n)
{
    const unsigned char *c = p;
    while (n && !*c)
        c++, n--;
    return !n;
}

/* The octets that every input is tried with, in every place. */
static const char mutants[] = {'\0', '\n', '\r', '\t', ' ', ':',    '*',    '.',   '-',
                               '_',  '=',  ';',  '0',  'A', '\x7f', '\x80', '\xff'};

/* A diag that was written whole, with a place inside the input. */
static inline void assert_diag(const mtasts_diag *d, mtasts_err err, size_t len)
{
    assert_int_equal(d->err, err);
    assert_non_null(d->text);
    assert_true(strlen(d->text) < 100);
    assert_true(d->offset <= len);
    assert_true(!d->line == !d->column);
}

#define assert_str(view, expected)                             \
    do {                                                       \
        assert_int_equal((view).len, strlen(expected));        \
        assert_memory_equal((view).ptr, expected, (view).len); \
    } while (0)

#endif
