/* A stand-in for cmocka, so that the unit tests run where there is none: the macros that tests/unit
 * uses, as cmocka documents them, and no more. One program is one file, so all of it is static.
 * The last line that a group prints is "N run, N skipped, N failed". */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state), (*teardown)(void **state);
};

enum { STAND_IN_FAILED = 1, STAND_IN_SKIPPED };

static jmp_buf stand_in_end; /* of the running test */

#define cmocka_unit_test(test)  \
    {                           \
#test, test, NULL, NULL \
    }
#define cmocka_unit_test_setup_teardown(test, setup, teardown) \
    {                                                          \
#test, test, setup, teardown                           \
    }

#define skip() longjmp(stand_in_end, STAND_IN_SKIPPED)
#define fail_msg(...)                                  \
    do {                                               \
        printf("%s:%d: failed: ", __FILE__, __LINE__); \
        printf(__VA_ARGS__);                           \
        printf("\n");                                  \
        longjmp(stand_in_end, STAND_IN_FAILED);        \
    } while (0)

static inline void stand_in_check(int ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    printf("%s:%d: failed: %s\n", file, line, what);
    longjmp(stand_in_end, STAND_IN_FAILED);
}

static inline void stand_in_compare(uintmax_t a, uintmax_t b, int equal, const char *what,
                                    const char *file, int line)
{
    if ((a == b) != equal)
        printf("%jx and %jx\n", a, b);
    stand_in_check((a == b) == equal, what, file, line);
}

#define STAND_IN_CHECK(condition, what) stand_in_check(condition, what, __FILE__, __LINE__)

#define assert_true(a)     STAND_IN_CHECK((a) ? 1 : 0, #a)
#define assert_false(a)    STAND_IN_CHECK((a) ? 0 : 1, "not " #a)
#define assert_null(a)     STAND_IN_CHECK((a) == NULL, #a " is NULL")
#define assert_non_null(a) STAND_IN_CHECK((a) != NULL, #a " is not NULL")
#define assert_int_equal(a, b) \
    stand_in_compare((uintmax_t)(a), (uintmax_t)(b), 1, #a " == " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
    stand_in_compare((uintmax_t)(a), (uintmax_t)(b), 0, #a " != " #b, __FILE__, __LINE__)
#define assert_ptr_equal(a, b)        STAND_IN_CHECK((uintptr_t)(a) == (uintptr_t)(b), #a " == " #b)
#define assert_string_equal(a, b)     STAND_IN_CHECK(strcmp(a, b) == 0, #a " is " #b)
#define assert_string_not_equal(a, b) STAND_IN_CHECK(strcmp(a, b) != 0, #a " is not " #b)
#define assert_memory_equal(a, b, n) \
    STAND_IN_CHECK(memcmp(a, b, n) == 0, #a " has the octets of " #b)
#define assert_in_range(a, least, most)                                                           \
    STAND_IN_CHECK((uintmax_t)(a) - (uintmax_t)(least) <= (uintmax_t)(most) - (uintmax_t)(least), \
                   #a " is in " #least " to " #most)

/* 0, or why the test ended before its end */
static inline int stand_in_run(void (*test)(void **), void **state)
{
    int why = setjmp(stand_in_end);
    if (why == 0)
        test(state);
    return why;
}

static inline int stand_in_fixture(int (*fixture)(void **), void **state, const char *name)
{
    if (!fixture || fixture(state) == 0)
        return 0;
    printf("%s: its setup or teardown failed\n", name);
    return STAND_IN_FAILED;
}

/* Returns the number of tests that failed; a group's own setup or teardown counts as one. */
static inline int stand_in_group(const char *name, const struct CMUnitTest *tests, size_t count,
                                 int (*setup)(void **), int (*teardown)(void **))
{
    void *shared = NULL;
    int skipped = 0, failed = stand_in_fixture(setup, &shared, name) != 0;
    size_t i, run = 0;
    for (i = 0; i < count && (run || !failed); i++, run++) {
        void *state = shared;
        int why = stand_in_fixture(tests[i].setup, &state, tests[i].name);
        if (!why)
            why = stand_in_run(tests[i].test, &state);
        if (stand_in_fixture(tests[i].teardown, &state, tests[i].name))
            why = STAND_IN_FAILED;
        if (why)
            printf("%s %s\n", why == STAND_IN_SKIPPED ? "skipped" : "FAILED", tests[i].name);
        skipped += why == STAND_IN_SKIPPED;
        failed += why == STAND_IN_FAILED;
    }
    failed += stand_in_fixture(teardown, &shared, name) != 0;
    printf("%d run, %d skipped, %d failed\n", (int)run - skipped, skipped, failed);
    fflush(stdout);
    return failed;
}

#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    stand_in_group(name, tests, sizeof(tests) / sizeof(tests)[0], setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_group_tests_name(__FILE__, tests, setup, teardown)

#endif
