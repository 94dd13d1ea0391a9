/* Section 1: version.
 * Goal: header, linked bodies and build file tell one version, and #if can ask for it.
 * Method: compare all three; MTASTS_PREREQ on both sides of every boundary, in #if and in C. */
#include "test.h"

#ifndef MESON_VERSION
#error "the build gives MESON_VERSION, a string"
#endif

#if !MTASTS_PREREQ(0, 0) || !MTASTS_PREREQ(MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR)
#error "MTASTS_PREREQ is false in #if for a version that this is"
#endif
#if MTASTS_PREREQ(MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR + 1) || \
    MTASTS_PREREQ(MTASTS_VERSION_MAJOR + 1, 0)
#error "MTASTS_PREREQ is true in #if for a version to come"
#endif

static void test_build_and_header_agree(void **state)
{
    char text[64];
    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR,
             MTASTS_VERSION_PATCH);
    assert_string_equal(text, MESON_VERSION);
}

static void test_bodies_and_header_agree(void **state)
{
    (void)state;
    assert_true(mtasts_version() == MTASTS_VERSION);
    assert_true(mtasts_version() == mtasts_version());
}

/* Two digits each for minor and patch: no two versions may have the same number. */
static void test_number(void **state)
{
    (void)state;
    assert_true(MTASTS_VERSION / 10000 == MTASTS_VERSION_MAJOR);
    assert_true(MTASTS_VERSION / 100 % 100 == MTASTS_VERSION_MINOR);
    assert_true(MTASTS_VERSION % 100 == MTASTS_VERSION_PATCH);
    assert_true(MTASTS_VERSION_MINOR < 100 && MTASTS_VERSION_PATCH < 100);
}

static void test_prereq(void **state)
{
    int major, minor, expected;
    (void)state;
    for (major = 0; major <= MTASTS_VERSION_MAJOR + 2; major++)
        for (minor = 0; minor < 100; minor++) {
            expected = major < MTASTS_VERSION_MAJOR ||
                       (major == MTASTS_VERSION_MAJOR && minor <= MTASTS_VERSION_MINOR);
            assert_int_equal(MTASTS_PREREQ(major, minor), expected);
        }
    /* arguments are expressions */
    assert_false(MTASTS_PREREQ(0 + MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR + 1));
    assert_true(MTASTS_PREREQ(1 ? 0 : 9, 1 ? 0 : 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_and_header_agree),
        cmocka_unit_test(test_bodies_and_header_agree),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_prereq),
    };
    return cmocka_run_group_tests_name("1 version", tests, NULL, NULL);
}
