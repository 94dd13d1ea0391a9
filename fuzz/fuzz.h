/* What every target has: a check that stops the program, and the input read from its front. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the target. One that does not hold ends the program, as a crash does. */
#define CHECK(property)                                                                   \
    do {                                                                                  \
        if (!(property)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* What has not been read of the input. Past its end all octets are 0. */
typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static inline unsigned take_octet(input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->at++;
}

/* The next `octets` octets as a number, the highest first. */
static inline uint64_t take_number(input *in, unsigned octets)
{
    uint64_t n = 0;
    while (octets--)
        n = n << 8 | take_octet(in);
    return n;
}

/* The next octets, at most `len`, in memory of their own, so that a sanitizer sees a step too far
 * on either side. The caller frees it. */
static inline mtasts_str take_copy(input *in, size_t len)
{
    mtasts_str s;
    char *copy;
    if (len > in->left)
        len = in->left;
    copy = (char *)malloc(len ? len : 1);
    if (!copy)
        abort();
    if (len) {
        memcpy(copy, in->at, len);
        in->at += len;
        in->left -= len;
    }
    s.ptr = copy;
    s.len = len;
    return s;
}

static inline void drop_copy(mtasts_str s)
{
    free((void *)(uintptr_t)s.ptr);
}

/* Is the view empty, or inside these octets? */
static inline int is_inside(mtasts_str view, const void *whole, size_t len)
{
    uintptr_t at = (uintptr_t)view.ptr, from = (uintptr_t)whole;
    return !view.len || (at >= from && at - from <= len && view.len <= len - (at - from));
}

#endif
