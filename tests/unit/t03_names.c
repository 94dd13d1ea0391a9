/* Section 3: names.
 * Goal: exactly RFC 5321 names pass (M1, M3, M5, A9), in the one form in which they are compared.
 * Method: tables; a regular expression as a second opinion on every truncation and changed octet.
 */
#include "test.h"

#include <regex.h>

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }

#define A50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61  A50 "bbbbbbbbbbb"
#define L63  A50 "bbbbbbbbbbbbb"
#define L191 L63 "." L63 "." L63
#define N253 L191 "." L61
#define N254 L191 "." L61 "c"
#define N255 L191 "." L63
#define D50  "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
#define D250 D50 D50 D50 D50 D50

/* An independent reading of a name, without its length and address rules. */
#define LABEL "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
static regex_t name_regex, address_regex;

static int oracle(const char *name, size_t len)
{
    char text[2048];
    if (memchr(name, '\0', len))
        return 0;
    memcpy(text, name, len);
    text[len] = '\0';
    if (regexec(&name_regex, text, 0, NULL, 0) != 0)
        return 0;
    if (text[len - 1] == '.')
        text[--len] = '\0';
    return len <= 253 && regexec(&address_regex, text, 0, NULL, 0) != 0;
}

/* M1: the form in which names are compared is a name itself, its own form, and its case is lower.
 */
static void check_form(const char *form, const char *name, size_t len)
{
    char again[MTASTS_NAME_SIZE];
    size_t i, n = strlen(form);
    assert_int_equal(n, len - (name[len - 1] == '.'));
    for (i = 0; i < n; i++) {
        assert_true(form[i] < 'A' || form[i] > 'Z');
        assert_true(form[i] == name[i] || form[i] == name[i] + 32);
    }
    assert_int_equal(mtasts_name_normalise(again, form, n, NULL), MTASTS_OK);
    assert_string_equal(again, form);
}

/* What must hold of any octets. */
static mtasts_err check(const char *name, size_t len, mtasts_diag *d)
{
    mtasts_err err = MTASTS_OK;
    int side;
    for (side = 0; side < 2; side++) {
        const char *in = fenced(0, side, name, len);
        char *form = (char *)(uintptr_t)fenced(1, 1, N255 N255, MTASTS_NAME_SIZE);
        DIRTY(*d);
        err = mtasts_name_normalise(form, in, len, d);
        assert_diag(d, err, len);
        assert_int_equal(d->line, 0);
        assert_int_equal(err == MTASTS_OK, oracle(name, len));
        assert_int_equal(mtasts_name_normalise(NULL, in, len, NULL), err);
        if (err)
            assert_string_equal(form, "");
        else
            check_form(form, in, len);
        assert_true(!err || (err >= MTASTS_ERR_NAME_EMPTY && err <= MTASTS_ERR_NAME_ADDRESS));
        /* M1, M3, M5: a name matches itself in any case, and what is none matches nothing */
        assert_int_equal(mtasts_mx_matches(in, len, in, len), err == MTASTS_OK);
        assert_int_equal(mtasts_mx_matches(form, strlen(form), in, len), err == MTASTS_OK);
    }
    return err;
}

static void check_mutations(const char *name, size_t len)
{
    char text[2048];
    mtasts_diag d;
    size_t i, m;
    for (i = 0; i <= len; i++)
        check(name, i, &d);
    memcpy(text, name, len);
    for (i = 0; i < len; i++) {
        for (m = 0; m < sizeof mutants; m++) {
            text[i] = mutants[m];
            check(text, len, &d);
        }
        text[i] = name[i];
    }
}

static const struct good {
    const char *rule;
    mtasts_str name;
    const char *form;
} good[] = {
    {"M1 lower case", S("MAIL.Example.COM"), "mail.example.com"},
    {"M1 one trailing dot", S("mail.example.com."), "mail.example.com"},
    {"M1 all letters", S("ABCDEFGHIJKLMNOPQRSTUVWXYZ.a"), "abcdefghijklmnopqrstuvwxyz.a"},
    {"M5 an A-label", S("xn--bcher-kva.example"), "xn--bcher-kva.example"},
    {"one label", S("localhost"), "localhost"},
    {"one octet", S("a"), "a"},
    {"one octet and a dot", S("A."), "a"},
    {"digits in labels", S("1.2.3.4a"), "1.2.3.4a"},
    {"a digit at either end", S("9a.a9"), "9a.a9"},
    {"M3 digits, then a name", S("1.example"), "1.example"},
    {"M3 a hexadecimal last label", S("1.0x7f"), "1.0x7f"},
    {"hyphens inside", S("a-b.c--d"), "a-b.c--d"},
    {"underscores", S("_a.b_._"), "_a.b_._"},
    {"a label of 63", S(L63 ".a"), L63 ".a"},
    {"a last label of 63", S("a." L63), "a." L63},
    {"a name of 253", S(N253), N253},
    {"a name of 253 and a dot", S(N253 "."), N253},
    {"127 labels", S(D250 "0.a"), D250 "0.a"},
};

static void test_good(void **state)
{
    char form[MTASTS_NAME_SIZE];
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        if (check(good[i].name.ptr, good[i].name.len, &d))
            fail_msg("%s: %s", good[i].rule, mtasts_err_name((int)d.err));
        assert_int_equal(d.offset, good[i].name.len);
        assert_string_equal(d.text, "");
        mtasts_name_normalise(form, good[i].name.ptr, good[i].name.len, NULL);
        assert_string_equal(form, good[i].form);
    }
}

static void test_mutations(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(good); i++)
        check_mutations(good[i].name.ptr, good[i].name.len);
}

static const struct bad {
    const char *rule;
    mtasts_str name;
    mtasts_err err;
    size_t offset;
} bad[] = {
    {"M3 empty", S(""), MTASTS_ERR_NAME_EMPTY, 0},
    {"M3 a dot", S("."), MTASTS_ERR_NAME_EMPTY_LABEL, 0},
    {"M3 two dots", S(".."), MTASTS_ERR_NAME_EMPTY_LABEL, 0},
    {"M3 a dot first", S(".example.com"), MTASTS_ERR_NAME_EMPTY_LABEL, 0},
    {"M1 two trailing dots", S("example.com.."), MTASTS_ERR_NAME_EMPTY_LABEL, 12},
    {"M3 two dots inside", S("example..com"), MTASTS_ERR_NAME_EMPTY_LABEL, 8},
    {"M3 A9 an address literal", S("[192.0.2.1]"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 A9 an IPv6 literal", S("[IPv6:2001:db8::1]"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"A9 an unfinished literal", S("["), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 A9 an IPv4 address", S("192.0.2.1"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 A9 the same and a dot", S("192.0.2.1."), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 a number", S("3221225985"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 a digit", S("0"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 a name under a number", S("mail.example.1"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 127 labels", S(D250 "0.0"), MTASTS_ERR_NAME_ADDRESS, 0},
    {"M3 an IPv6 address", S("2001:db8::1"), MTASTS_ERR_NAME_OCTET, 4},
    {"M3 an IPv6 address first", S("::1"), MTASTS_ERR_NAME_OCTET, 0},
    {"M5 a U-label",
     S("b\xc3\xbc"
       "cher.example"),
     MTASTS_ERR_NAME_ULABEL, 1},
    {"M5 a U-label first", S("\xc3\xbc.example"), MTASTS_ERR_NAME_ULABEL, 0},
    {"M5 an ideographic full stop",
     S("a\xe3\x80\x82"
       "b"),
     MTASTS_ERR_NAME_ULABEL, 1},
    {"M5 behind a dot", S("a.\xc3\xbc"), MTASTS_ERR_NAME_ULABEL, 2},
    {"M5 Latin-1", S("a.b\xfc"), MTASTS_ERR_NAME_ULABEL, 3},
    {"M5 0x80", S("\x80"), MTASTS_ERR_NAME_ULABEL, 0},
    {"M3 a wildcard", S("*.example.com"), MTASTS_ERR_NAME_OCTET, 0},
    {"M3 a blank first", S(" example.com"), MTASTS_ERR_NAME_OCTET, 0},
    {"M3 a blank last", S("example.com "), MTASTS_ERR_NAME_OCTET, 11},
    {"M3 a blank behind the dot", S("example.com. "), MTASTS_ERR_NAME_OCTET, 12},
    {"M3 a line", S("example.com\n"), MTASTS_ERR_NAME_OCTET, 11},
    {"M3 NUL", S("example.com\0"), MTASTS_ERR_NAME_OCTET, 11},
    {"M3 NUL inside", S("example\0.com"), MTASTS_ERR_NAME_OCTET, 7},
    {"M3 NUL first", S("\0example.com"), MTASTS_ERR_NAME_OCTET, 0},
    {"M3 DEL", S("a\x7f"), MTASTS_ERR_NAME_OCTET, 1},
    {"M3 an escaped dot", S("a\\.b"), MTASTS_ERR_NAME_OCTET, 1},
    {"A9 a mailbox", S("user@example.com"), MTASTS_ERR_NAME_OCTET, 4},
    {"M3 a port", S("example.com:25"), MTASTS_ERR_NAME_OCTET, 11},
    {"M3 a hyphen first", S("-a.example"), MTASTS_ERR_NAME_HYPHEN, 0},
    {"M3 a hyphen last", S("a-.example"), MTASTS_ERR_NAME_HYPHEN, 1},
    {"M3 a hyphen at the end", S("a.example-"), MTASTS_ERR_NAME_HYPHEN, 9},
    {"M3 a hyphen before the dot", S("a.example-."), MTASTS_ERR_NAME_HYPHEN, 9},
    {"M3 a hyphen behind the dot", S("a.-example"), MTASTS_ERR_NAME_HYPHEN, 2},
    {"M3 a hyphen behind 253 octets", S(D250 "00.-a"), MTASTS_ERR_NAME_HYPHEN, 253},
    {"M3 only a hyphen", S("-"), MTASTS_ERR_NAME_HYPHEN, 0},
    {"M3 a label of 64", S(L63 "c.a"), MTASTS_ERR_NAME_LONG_LABEL, 63},
    {"M3 a last label of 64", S("a." L63 "c"), MTASTS_ERR_NAME_LONG_LABEL, 65},
    {"M3 a label of 100", S("a." A50 A50), MTASTS_ERR_NAME_LONG_LABEL, 65},
    {"M3 a name of 254", S(N254), MTASTS_ERR_NAME_LONG, 253},
    {"P10 a label of 64 that ends with a hyphen", S(L63 "-"), MTASTS_ERR_NAME_LONG_LABEL, 63},
    {"P10 a name of 254, and a hyphen", S(N254 ".-"), MTASTS_ERR_NAME_LONG, 253},
    {"M3 a name of 254 and a dot", S(N254 "."), MTASTS_ERR_NAME_LONG, 253},
    {"M3 a name of 255", S(N255), MTASTS_ERR_NAME_LONG, 253},
    {"M3 a long name, wrong later", S(N255 "." N255 ".\xff"), MTASTS_ERR_NAME_LONG, 253},
    {"M3 the 254th octet is a dot", S(N253 ".a"), MTASTS_ERR_NAME_LONG, 253},
};

static void test_bad(void **state)
{
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        if (check(bad[i].name.ptr, bad[i].name.len, &d) != bad[i].err || d.offset != bad[i].offset)
            fail_msg("%s: %s at %u", bad[i].rule, mtasts_err_name((int)d.err), (unsigned)d.offset);
        check_mutations(bad[i].name.ptr, bad[i].name.len);
    }
}

/* M3: of one octet, only letters, digits (an address) and the underscore are in the alphabet. */
static void test_every_octet(void **state)
{
    mtasts_diag d;
    char name[3];
    int c;
    (void)state;
    for (c = 0; c < 256; c++) {
        int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        int digit = c >= '0' && c <= '9';
        name[0] = name[1] = name[2] = (char)c;
        assert_int_equal(check(name, 1, &d) == MTASTS_OK, letter);
        assert_int_equal(d.err == MTASTS_ERR_NAME_ADDRESS, digit || c == '[');
        assert_int_equal(check(name, 3, &d) == MTASTS_OK, letter);
        name[1] = 'x';
        assert_int_equal(check(name, 3, &d) == MTASTS_OK, letter || digit);
        assert_int_equal(d.err == MTASTS_ERR_NAME_ULABEL, c >= 128);
    }
}

/* Every length of a label, and of a name. */
static void test_lengths(void **state)
{
    char name[300];
    mtasts_diag d;
    size_t len;
    (void)state;
    memset(name, 'a', sizeof name);
    for (len = 1; len <= 200; len++)
        assert_int_equal(check(name, len, &d),
                         len <= MTASTS_LABEL_MAX ? MTASTS_OK : MTASTS_ERR_NAME_LONG_LABEL);
    for (len = 1; len < sizeof name; len += 2)
        name[len] = '.';
    for (len = 1; len <= sizeof name; len++)
        assert_int_equal(check(name, len, &d), len - (len % 2 == 0) <= MTASTS_NAME_MAX
                                                   ? MTASTS_OK
                                                   : MTASTS_ERR_NAME_LONG);
}

/* M1: letters alone have a case; "@" and "`", "[" and "{" are as far apart. */
static void test_comparison(void **state)
{
    static const struct {
        const char *a, *b;
        int same;
    } rows[] = {
        {"a.example", "A.EXAMPLE.", 1},
        {"a.example", "b.example", 0},
        {"a.example", "a.exampl", 0},
        {"a-b", "a\rb", 0},
        {"a_b", "a\177b", 0},
        {"a0b", "a\020b", 0},
        {"k", "\xe2\x84\xaa", 0}, /* the Kelvin sign is no K */
        {"a.1", "a.1", 0},
        {"[192.0.2.1]", "[192.0.2.1]", 0},
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        assert_int_equal(
            mtasts_mx_matches(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b)),
            rows[i].same);
}

static void test_null(void **state)
{
    char form[MTASTS_NAME_SIZE];
    mtasts_diag d;
    (void)state;
    DIRTY(form);
    DIRTY(d);
    assert_int_equal(mtasts_name_normalise(form, NULL, 0, &d), MTASTS_ERR_NAME_EMPTY);
    assert_diag(&d, MTASTS_ERR_NAME_EMPTY, 0);
    assert_string_equal(form, "");
    DIRTY(form);
    DIRTY(d);
    assert_int_equal(mtasts_name_normalise(form, NULL, 5, &d), MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_string_equal(form, "");
    assert_int_equal(mtasts_name_normalise(NULL, NULL, SIZE_MAX, NULL), MTASTS_ERR_USAGE);
    assert_false(mtasts_mx_matches("a", 1, NULL, 0) || mtasts_mx_matches("a", 1, NULL, 1));
}

static int setup(void **state)
{
    (void)state;
    return regcomp(&name_regex, "^" LABEL "(\\." LABEL ")*\\.?$", REG_EXTENDED | REG_NOSUB) ||
           regcomp(&address_regex, "(^|\\.)[0-9]+$", REG_EXTENDED | REG_NOSUB);
}

static int teardown(void **state)
{
    (void)state;
    regfree(&name_regex);
    regfree(&address_regex);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_bad),        cmocka_unit_test(test_every_octet),
        cmocka_unit_test(test_lengths),    cmocka_unit_test(test_null),
        cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests_name("3 names", tests, setup, teardown);
}
