/* Section 11: TLS reporting.
 * Goal: the words of RFC 8460 4.3 and 4.4 and the numbers of libtlsrpt, in both directions.
 * Method: lists of all; every truncation, changed octet and other case of each word is unknown. */
#include "test.h"

#include <limits.h>

typedef struct word {
    int number;
    const char *name;
} word;

/* H6, A10: RFC 8460 4.3, and "ok", which is ours */
static const word results[] = {
    {0, "ok"},
    {201, "starttls-not-supported"},
    {202, "certificate-host-mismatch"},
    {203, "certificate-not-trusted"},
    {204, "certificate-expired"},
    {205, "validation-failure"},
    {301, "sts-policy-fetch-error"},
    {302, "sts-policy-invalid"},
    {303, "sts-webpki-invalid"},
    {304, "tlsa-invalid"},
    {305, "dnssec-invalid"},
    {306, "dane-required"},
};

/* RFC 8460 4.4 policy-type */
static const word types[] = {{1, "tlsa"}, {2, "sts"}, {9, "no-policy-found"}};

typedef const char *(*namer)(int);
typedef int (*finder)(const char *, size_t);

static const word *by_name(const word *words, size_t count, const char *name, size_t len)
{
    for (; count--; words++)
        if (strlen(words->name) == len && memcmp(words->name, name, len) == 0)
            return words;
    return NULL;
}

static void check_name(const word *words, size_t count, finder find, const char *name, size_t len)
{
    const word *w = by_name(words, count, name, len);
    int side;
    for (side = 0; side < 2; side++)
        assert_int_equal(find(fenced(0, side, name, len), len), w ? w->number : -1);
}

/* One octet more, less or other: never the same word, sometimes another. */
static void check_neighbours(const word *words, size_t count, finder find, const char *name)
{
    char text[64];
    size_t i, m, len = strlen(name);
    for (i = 0; i <= len; i++) {
        check_name(words, count, find, name, i);
        check_name(words, count, find, name + i, len - i);
        for (m = 0; m < sizeof mutants; m++) {
            memcpy(text, name, len + 1);
            text[i] = mutants[m];
            check_name(words, count, find, text, len);
            check_name(words, count, find, text, len + 1);
        }
        memcpy(text, name, len + 1);
        text[i] = (char)(text[i] ^ 0x20);
        check_name(words, count, find, text, len);
    }
}

static void check_words(const word *words, size_t count, namer name, finder find)
{
    size_t i, found = 0;
    int n;
    for (i = 0; i < count; i++) {
        assert_string_equal(name(words[i].number), words[i].name);
        assert_int_equal(find(words[i].name, strlen(words[i].name)), words[i].number);
        check_neighbours(words, count, find, words[i].name);
    }
    for (n = -1000; n <= 1000; n++)
        if (strcmp(name(n), "UNKNOWN") != 0)
            found++;
    assert_int_equal(found, count);
    assert_string_equal(name(INT_MIN), "UNKNOWN");
    assert_string_equal(name(INT_MAX), "UNKNOWN");
    assert_int_equal(find("UNKNOWN", 7), -1);
    assert_int_equal(find("", 0), -1);
    for (i = 0; i < 64; i++)
        assert_int_equal(find(NULL, i), -1);
}

static void test_results(void **state)
{
    (void)state;
    check_words(results, COUNT(results), mtasts_tlsrpt_result_name, mtasts_tlsrpt_result_from_name);
}

static void test_policy_types(void **state)
{
    (void)state;
    check_words(types, COUNT(types), mtasts_policy_type_name, mtasts_policy_type_from_name);
}

/* The enumerators are those numbers: a host casts them to libtlsrpt's. */
static void test_enumerators(void **state)
{
    (void)state;
    assert_int_equal(MTASTS_TLSRPT_OK, 0);
    assert_int_equal(MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED, 201);
    assert_int_equal(MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH, 202);
    assert_int_equal(MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED, 203);
    assert_int_equal(MTASTS_TLSRPT_CERTIFICATE_EXPIRED, 204);
    assert_int_equal(MTASTS_TLSRPT_VALIDATION_FAILURE, 205);
    assert_int_equal(MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR, 301);
    assert_int_equal(MTASTS_TLSRPT_STS_POLICY_INVALID, 302);
    assert_int_equal(MTASTS_TLSRPT_STS_WEBPKI_INVALID, 303);
    assert_int_equal(MTASTS_TLSRPT_TLSA_INVALID, 304);
    assert_int_equal(MTASTS_TLSRPT_DNSSEC_INVALID, 305);
    assert_int_equal(MTASTS_TLSRPT_DANE_REQUIRED, 306);
    assert_int_equal(MTASTS_POLICY_TYPE_TLSA, 1);
    assert_int_equal(MTASTS_POLICY_TYPE_STS, 2);
    assert_int_equal(MTASTS_POLICY_TYPE_NO_POLICY_FOUND, 9);
}

/* Whatever an error is reported as has a word. */
static void test_errors_have_words(void **state)
{
    int err;
    (void)state;
    for (err = 0; err < 100; err++)
        assert_string_not_equal(mtasts_tlsrpt_result_name((int)mtasts_err_tlsrpt(err)), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_policy_types),
        cmocka_unit_test(test_enumerators),
        cmocka_unit_test(test_errors_have_words),
    };
    return cmocka_run_group_tests_name("11 TLS reporting", tests, NULL, NULL);
}
