/* Section 2: strings and errors.
 * Goal: every number has its fixed texts, one-line reports are exact, and hostile octets are tamed.
 * Method: a second list of all errors and quirks; every buffer size, written to up to a fence. */
#include "test.h"

#include <limits.h>

/* Numbers are part of the interface: they never change, and are never reused. */
static const struct listed {
    const char *name;
    int number;
    mtasts_tlsrpt_result result; /* H6: what a spoiled look-up is reported as */
} errors[] = {
    {"MTASTS_OK", 0, MTASTS_TLSRPT_OK},
    {"MTASTS_MORE", 1, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_USAGE", 2, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_SPACE", 3, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_STALE", 4, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_LIMIT", 5, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_STORE", 6, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_EMPTY", 10, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_OCTET", 11, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_ULABEL", 12, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_EMPTY_LABEL", 13, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_HYPHEN", 14, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_LONG_LABEL", 15, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_LONG", 16, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NAME_ADDRESS", 17, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_NO_RECORD", 20, MTASTS_TLSRPT_OK}, /* T6: as if there were no record */
    {"MTASTS_ERR_MULTIPLE_RECORDS", 21, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_RECORD_FIELD", 22, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_RECORD_ID", 23, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_RECORD_NO_ID", 24, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_DNS", 25, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_DNS_BOGUS", 26, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_DNS_CNAME", 27, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_POLICY_SIZE", 30, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_POLICY_LINE", 31, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_KEY", 32, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_VALUE", 33, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_VERSION", 34, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_MODE", 35, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_MAX_AGE", 36, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_MX", 37, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_NO_VERSION", 38, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_NO_MODE", 39, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_NO_MAX_AGE", 40, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_NO_MX", 41, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_POLICY_QUIRK", 42, MTASTS_TLSRPT_STS_POLICY_INVALID},
    {"MTASTS_ERR_HTTP_SYNTAX", 50, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_HEAD_SIZE", 51, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_REDIRECT", 52, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_STATUS", 53, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_MEDIA_TYPE", 54, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_CODING", 55, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_FRAMING", 56, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_BODY_SIZE", 57, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTP_INCOMPLETE", 58, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTPS_CONNECT", 60, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR},
    {"MTASTS_ERR_HTTPS_CERT", 61, MTASTS_TLSRPT_STS_WEBPKI_INVALID},
    {"MTASTS_ERR_CERT_DER", 70, MTASTS_TLSRPT_STS_WEBPKI_INVALID},
    {"MTASTS_ERR_ENTRY_VERSION", 80, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_ENTRY_DAMAGED", 81, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_ENTRY_SYNTAX", 82, MTASTS_TLSRPT_OK},
    {"MTASTS_ERR_ENTRY_DOMAIN", 83, MTASTS_TLSRPT_OK},
};

static const struct listed *find_listed(int number)
{
    size_t i;
    for (i = 0; i < COUNT(errors); i++)
        if (errors[i].number == number)
            return &errors[i];
    return NULL;
}

/* Sentences go to logs and terminals: printable ASCII, of a length that fits a line. */
static void check_sentence(const char *text)
{
    assert_in_range(strlen(text), 1, 99);
    for (; *text; text++)
        assert_in_range(*text, ' ', '~');
}

static void check_error(int number)
{
    const struct listed *e = find_listed(number);
    assert_string_equal(mtasts_err_name(number), e ? e->name : "UNKNOWN");
    assert_int_equal(mtasts_err_tlsrpt(number), e ? e->result : MTASTS_TLSRPT_OK);
    check_sentence(mtasts_strerror(number));
    assert_int_equal(strcmp(mtasts_strerror(number), "unknown error") == 0, !e);
    if (number < 10 || number >= 80 || !e) /* ours, not an RFC's */
        assert_string_equal(mtasts_err_section(number), "");
    else
        assert_memory_equal(mtasts_err_section(number), "RFC ", 4);
}

static void test_every_number(void **state)
{
    int number;
    (void)state;
    for (number = -300; number <= 0x8100; number++)
        check_error(number);
    check_error(INT_MIN);
    check_error(INT_MAX);
}

static void test_nothing_unlisted(void **state)
{
#define X(name, number, text, section, result) +1
    (void)state;
    assert_int_equal(COUNT(errors), 0 MTASTS_ERRORS(X));
#undef X
    assert_int_equal(MTASTS_ERR_CERT_DER, 70);
    assert_string_equal(mtasts_err_section(MTASTS_ERR_NAME_LONG), "RFC 1035 2.3.4");
    assert_string_equal(mtasts_err_section(MTASTS_ERR_POLICY_MODE), "RFC 8461 3.2");
    assert_string_equal(mtasts_strerror(MTASTS_OK), "no error");
}

static void test_no_two_alike(void **state)
{
    size_t i, j;
    (void)state;
    for (i = 0; i < COUNT(errors); i++)
        for (j = 0; j < i; j++)
            assert_string_not_equal(mtasts_strerror(errors[i].number),
                                    mtasts_strerror(errors[j].number));
}

static void test_quirks(void **state)
{
    static const char *const names[] = {"bom",          "blank_line", "indent",
                                        "trailing_dot", "underscore", "max_age"};
    static const unsigned none[] = {0, 3, 0x3f, 0x40, 0x21, 0x7fff, 0x80000000u, UINT_MAX};
    unsigned i;
    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        assert_string_equal(mtasts_quirk_name(1u << i), names[i]);
        check_sentence(mtasts_quirk_text(1u << i));
    }
    for (i = 0; i < COUNT(none); i++) {
        assert_string_equal(mtasts_quirk_name(none[i]), "UNKNOWN");
        assert_string_equal(mtasts_quirk_text(none[i]), "");
    }
}

/* A buffer of exactly `size` octets between two values that nobody may touch; the second is the
 * fence itself. */
static char *buffer(size_t size)
{
    static char dirt[4096];
    memset(dirt, 0xff, sizeof dirt);
    return (char *)(uintptr_t)fenced(0, 1, dirt, size + 1) + 1;
}

/* P10: kind, line, column in one line */
static const struct formatted {
    mtasts_diag diag; /* err, quirk, offset, line, column, text */
    const char *source, *expected;
} formats[] = {
    {{MTASTS_ERR_POLICY_MODE, 0, 20, 2, 7, "did you mean \"enforce\"?"},
     "policy.txt",
     "policy.txt:2:7: the mode of the policy is not enforce, testing or none: did you mean "
     "\"enforce\"? (RFC 8461 3.2)"},
    {{MTASTS_ERR_POLICY_MODE, 0, 20, 2, 7, ""},
     NULL,
     "2:7: the mode of the policy is not enforce, testing or none (RFC 8461 3.2)"},
    {{MTASTS_ERR_POLICY_QUIRK, MTASTS_QUIRK_BOM, 0, 1, 1, ""},
     "f",
     "f:1:1: the policy departs from the grammar (strict parsing): a UTF-8 byte order mark at the "
     "start (RFC 8461 3.2)"},
    {{MTASTS_OK, MTASTS_QUIRK_INDENT, 0, 3, 1, ""},
     "f",
     "f:3:1: blanks before the key (RFC 8461 3.2)"},
    {{MTASTS_OK, 0, 0, 3, 1, "a note"}, "f", "f:3:1: a note (RFC 8461 3.2)"},
    {{MTASTS_OK, 0, 0, 0, 0, "a note"}, NULL, "a note (RFC 8461 3.2)"},
    {{MTASTS_OK, MTASTS_QUIRK_BOM, 0, 0, 0, "more"},
     NULL,
     "a UTF-8 byte order mark at the start: more (RFC 8461 3.2)"},
    {{MTASTS_OK, 0, 0, 0, 0, ""}, NULL, "no error"},
    {{MTASTS_OK, 0, 9, 0, 0, ""}, "f", "f: no error"},
    {{MTASTS_ERR_POLICY_SIZE, 0, 65536, 0, 0, ""},
     "f",
     "f: the policy is larger than 65536 octets (RFC 8461 3.3)"},
    {{MTASTS_ERR_SPACE, 0, 0, 0, 0, ""}, NULL, "the output buffer is too small"},
    {{MTASTS_ERR_SPACE, 0, 0, 10, 1234567890, "x"},
     NULL,
     "10:1234567890: the output buffer is too small: x"},
    {{MTASTS_ERR_END_, 0, 0, 0, 0, ""}, "f", "f: unknown error"},
    {{MTASTS_ERR_NO_RECORD, 0, 0, SIZE_MAX, 1, ""}, "", NULL /* only that it is survived */},
};

static void check_format(const struct formatted *f)
{
    size_t cap, len = mtasts_diag_format(NULL, 0, f->source, &f->diag);
    char *out;
    if (f->expected)
        assert_int_equal(len, strlen(f->expected));
    for (cap = 1; cap <= len + 2; cap++) {
        out = buffer(cap);
        assert_int_equal(mtasts_diag_format(out, cap, f->source, &f->diag), len);
        assert_int_equal(strlen(out), cap > len ? len : cap - 1);
        assert_int_equal((unsigned char)out[-1], 0xff);
        if (f->expected)
            assert_memory_equal(out, f->expected, strlen(out));
    }
}

static void test_format(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(formats); i++)
        check_format(&formats[i]);
}

/* Every error and every quirk can be shown. */
/* A diag of the host's own, for a function that has none. */
static void test_format_zero(void **state)
{
    mtasts_diag d;
    char out[128];
    (void)state;
    memset(&d, 0, sizeof d);
    mtasts_diag_format(out, sizeof out, NULL, &d);
    assert_string_equal(out, "no error");
    d.err = MTASTS_ERR_HTTP_STATUS;
    mtasts_diag_format(out, sizeof out, "example.com", &d);
    assert_string_equal(out, "example.com: the response's status is not 200 (RFC 8461 3.3)");
}

static void test_format_all(void **state)
{
    struct formatted f;
    size_t i;
    (void)state;
    memset(&f, 0, sizeof f);
    f.diag.text = "";
    f.diag.line = f.diag.column = 1;
    for (i = 0; i < COUNT(errors); i++) {
        f.diag.err = (mtasts_err)errors[i].number;
        f.diag.quirk = 1u << i % 8;
        check_format(&f);
    }
}

/* What an escaped text stood for; -1 if it is not one. */
static int unescape(const char *in, char *out)
{
    int n = 0;
    for (; *in; in++, n++) {
        if (*in < ' ' || *in > '~')
            return -1;
        if (*in != '\\') {
            out[n] = *in;
        } else if (*++in == '\\') {
            out[n] = '\\';
        } else {
            char hex[3] = {0, 0, 0};
            if (*in != 'x' || strspn(in + 1, "0123456789abcdef") < 2)
                return -1;
            memcpy(hex, in + 1, 2);
            out[n] = (char)strtol(hex, NULL, 16);
            in += 2;
        }
    }
    return n;
}

/* Cut where you like, the text is a whole number of escapes and begins as the input does. */
static void check_escape(const char *data, size_t len)
{
    char back[1024], *out;
    const char *in = fenced(1, 1, data, len);
    size_t cap, whole = mtasts_escape(NULL, 0, in, len);
    assert_in_range(whole, len, 4 * len);
    for (cap = 1; cap <= whole + 2; cap++) {
        int n;
        out = buffer(cap);
        assert_int_equal(mtasts_escape(out, cap, in, len), whole);
        assert_int_equal((unsigned char)out[-1], 0xff);
        n = unescape(out, back);
        assert_in_range(n, 0, len);
        assert_memory_equal(back, in, (size_t)n);
        assert_true(strlen(out) < cap && (cap <= whole || (size_t)n == len));
        assert_true(cap > whole || strlen(out) + 5 > cap); /* no more is left out than need be */
    }
}

static void test_escape_every_octet(void **state)
{
    char c[3];
    int a;
    (void)state;
    for (a = 0; a < 256; a++) {
        c[0] = (char)a;
        c[1] = 'x';
        c[2] = (char)a;
        check_escape(c, 1);
        check_escape(c, 2);
        check_escape(c, 3);
    }
}

static const struct escaped {
    mtasts_str in;
    size_t cap;
    const char *expected;
} escapes[] = {
    {{"mx: a\r\n", 7}, 99, "mx: a\\x0d\\x0a"},
    {{"\\", 1}, 99, "\\\\"},
    {{"\\x41", 4}, 99, "\\\\x41"},
    {{"\0\x1b[2J\x7f\x80\xff", 8}, 99, "\\x00\\x1b[2J\\x7f\\x80\\xff"},
    {{"", 0}, 1, ""},
    {{NULL, 0}, 1, ""},
    {{"a\n", 2}, 6, "a\\x0a"},
    {{"a\n", 2}, 5, "a"},
    {{"a\n", 2}, 2, "a"},
    {{"a\n", 2}, 1, ""},
    {{"\\\\", 2}, 4, "\\\\"},
    {{"\\\\", 2}, 5, "\\\\\\\\"},
    {{"\\\\", 2}, 2, ""},
    {{"~ \t", 3}, 99, "~ \\x09"},
};

static void test_escape(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(escapes); i++) {
        char *out = buffer(escapes[i].cap);
        mtasts_escape(out, escapes[i].cap, escapes[i].in.ptr, escapes[i].in.len);
        assert_string_equal(out, escapes[i].expected);
    }
    check_escape(mutants, sizeof mutants);
    assert_int_equal(mtasts_escape(NULL, 0, NULL, 0), 0);
    assert_int_equal(mtasts_escape(NULL, 0, NULL, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_nothing_unlisted),
        cmocka_unit_test(test_no_two_alike),
        cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_zero),
        cmocka_unit_test(test_format_all),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_every_octet),
    };
    return cmocka_run_group_tests_name("2 strings and errors", tests, NULL, NULL);
}
