/* Can the tests fail in this environment, and is it the one that it is said to be?
 *   facts    print what the environment is like
 *   fail     one test for each assertion of cmocka.h here, and all must fail
 *   before, behind   read an octet beside a fenced input, which must end the program */
#include "test.h"

static int one = 1; /* nothing that a compiler could warn of */

#define FAILING(name, statement)           \
    static void fails_##name(void **state) \
    {                                      \
        (void)state;                       \
        statement;                         \
    }
FAILING(true, assert_true(one == 2))
FAILING(false, assert_false(one))
FAILING(null, assert_null(&one))
FAILING(non_null, assert_non_null(one ? NULL : &one))
FAILING(int_equal, assert_int_equal(one, 2))
FAILING(int_equal_high, assert_int_equal((uint64_t)one, UINT64_C(0x100000001)))
FAILING(int_not_equal, assert_int_not_equal(one, 1))
FAILING(ptr_equal, assert_ptr_equal(&one, &one + 1))
FAILING(string_equal, assert_string_equal("ab", "abc"))
FAILING(string_not_equal, assert_string_not_equal("ab", "ab"))
FAILING(memory_equal, assert_memory_equal("a\0b", "a\0c", 3))
FAILING(in_range_low, assert_in_range(one, 2, 3))
FAILING(in_range_high, assert_in_range(one + 3, 2, 3))
FAILING(fail_msg, fail_msg("%d", one))

static int failing_setup(void **state)
{
    (void)state;
    return one;
}

static void nothing(void **state)
{
    (void)state;
}

static int fail(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fails_true),
        cmocka_unit_test(fails_false),
        cmocka_unit_test(fails_null),
        cmocka_unit_test(fails_non_null),
        cmocka_unit_test(fails_int_equal),
        cmocka_unit_test(fails_int_equal_high),
        cmocka_unit_test(fails_int_not_equal),
        cmocka_unit_test(fails_ptr_equal),
        cmocka_unit_test(fails_string_equal),
        cmocka_unit_test(fails_string_not_equal),
        cmocka_unit_test(fails_memory_equal),
        cmocka_unit_test(fails_in_range_low),
        cmocka_unit_test(fails_in_range_high),
        cmocka_unit_test(fails_fail_msg),
        cmocka_unit_test_setup_teardown(nothing, failing_setup, NULL),
        cmocka_unit_test_setup_teardown(nothing, NULL, failing_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int facts(void)
{
    const unsigned char *first = (const unsigned char *)&one;
    printf("%d bits, %s-endian, char is %s\n", (int)sizeof(size_t) * 8, *first ? "little" : "big",
           (char)-1 < 0 ? "signed" : "unsigned");
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    const volatile char *input = fenced(0, strcmp(what, "behind") == 0, "x", 1);
    if (strcmp(what, "facts") == 0)
        return facts();
    if (strcmp(what, "fail") == 0)
        return fail();
    puts("reading");
    fflush(stdout);
    printf("read %d\n", input[strcmp(what, "behind") == 0 ? 1 : -1]);
    return 0;
}
