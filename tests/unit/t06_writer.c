/* Section 6: policy writer.
 * Goal: what is written is exact, complete or nothing at all, and parses strictly to what was
 * asked. Method: tables; every buffer size up to a fence; what is written is read back by section 4
 * or 5. */
#include "test.h"

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }

#define L63   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253  L63 "." L63 "." L63 ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define X32   "abcdefghijklmnopqrstuvwxyz012345"
#define BIG   131072
#define YEAR  31557600u
#define EMAX  MTASTS_ERR_POLICY_MAX_AGE
#define EMX   MTASTS_ERR_POLICY_MX
#define EMODE MTASTS_ERR_POLICY_MODE

/* A buffer of `cap` octets that ends at a fence, with 0xff in and before it. */
static char *buffer(size_t cap)
{
    static char dirt[BIG];
    memset(dirt, 0xff, sizeof dirt);
    return (char *)(uintptr_t)fenced(3, 1, dirt, cap + 1) + 1;
}

typedef mtasts_err (*writer)(char *out, size_t cap, size_t *len, const void *what);

/* At every size: the same text whole, or "" and the length that it takes. */
static void check_sizes(writer write, const void *what, const char *expected, size_t expected_len)
{
    size_t cap, len = SIZE_MAX;
    assert_int_equal(write(NULL, 0, &len, what), MTASTS_ERR_SPACE);
    assert_int_equal(len, expected_len);
    for (cap = 1; cap <= expected_len + 2; cap++) {
        char *out = buffer(cap);
        mtasts_err err = write(out, cap, &len, what);
        assert_int_equal(err, cap > expected_len ? MTASTS_OK : MTASTS_ERR_SPACE);
        assert_int_equal(len, expected_len);
        assert_string_equal(out, err ? "" : expected);
        assert_int_equal((unsigned char)out[-1], 0xff);
    }
}

/* After any other error there is no text, no length, and nothing was written past the first octet.
 */
static void check_nothing(writer write, const void *what, mtasts_err expected)
{
    static const size_t caps[] = {0, 1, 2, 16, 40, 4096, BIG - 1};
    size_t i, len;
    for (i = 0; i < COUNT(caps); i++) {
        char *out = buffer(caps[i]);
        len = SIZE_MAX;
        assert_int_equal(write(caps[i] ? out : NULL, caps[i], &len, what), expected);
        assert_int_equal(len, 0);
        assert_true(!caps[i] || !*out);
        assert_int_equal((unsigned char)out[-1], 0xff);
    }
}

/* ---- mtasts_policy_compose */

typedef struct composed {
    const char *rule;
    int mode;
    uint32_t max_age;
    mtasts_str mx[4]; /* until one without a name */
    const char *text;
    mtasts_err err;
    size_t line, offset;
    const char *hint;
} composed;

static size_t count_mx(const composed *c)
{
    size_t n = 0;
    while (n < COUNT(c->mx) && c->mx[n].ptr)
        n++;
    return n;
}

static mtasts_err compose(char *out, size_t cap, size_t *len, const void *what)
{
    const composed *c = what;
    mtasts_str mx[4];
    mtasts_diag d;
    mtasts_err err;
    size_t i;
    for (i = 0; i < 3; i++) {
        mx[i].len = c->mx[i].len;
        mx[i].ptr = c->mx[i].ptr ? fenced((int)i, (int)cap & 1, c->mx[i].ptr, mx[i].len) : NULL;
    }
    DIRTY(d);
    err = mtasts_policy_compose(out, cap, len, c->mode, c->max_age, mx, count_mx(c), &d);
    assert_diag(&d, err, c->line ? c->mx[c->line - 1].len : 0);
    if (err != MTASTS_ERR_SPACE && (d.line != c->line || d.offset != c->offset))
        fail_msg("%s: at %u:%u", c->rule, (unsigned)d.line, (unsigned)d.column);
    assert_int_equal(d.column, d.line ? d.offset + 1 : 0);
    assert_string_equal(d.text, c->hint && err == c->err ? c->hint : "");
    return err;
}

#define HEAD(mode) "version: STSv1\r\nmode: " mode "\r\n"

static const composed compositions[] = {
    {"P3 enforce",
     2,
     604800,
     {S("a.b")},
     HEAD("enforce") "mx: a.b\r\nmax_age: 604800\r\n",
     MTASTS_OK,
     0,
     0,
     NULL},
    {"P3 testing",
     1,
     0,
     {S("a")},
     HEAD("testing") "mx: a\r\nmax_age: 0\r\n",
     MTASTS_OK,
     0,
     0,
     NULL},
    {"P5 none", 0, 1, {{0}}, HEAD("none") "max_age: 1\r\n", MTASTS_OK, 0, 0, NULL},
    {"P5 none with mx",
     0,
     1,
     {S("a")},
     HEAD("none") "mx: a\r\nmax_age: 1\r\n",
     MTASTS_OK,
     0,
     0,
     NULL},
    {"P4 a year", 0, YEAR, {{0}}, HEAD("none") "max_age: 31557600\r\n", MTASTS_OK, 0, 0, NULL},
    {"P6 lower case, no dot",
     2,
     10,
     {S("A.Example."), S("*.B.C."), S("a.example")},
     HEAD("enforce") "mx: a.example\r\nmx: *.b.c\r\nmx: a.example\r\nmax_age: 10\r\n",
     MTASTS_OK,
     0,
     0,
     NULL},
    {"P6 the longest",
     2,
     10,
     {S("*." N253 ".")},
     HEAD("enforce") "mx: *." N253 "\r\nmax_age: 10\r\n",
     MTASTS_OK,
     0,
     0,
     NULL},
};

static void test_compose(void **state)
{
    mtasts_policy p;
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(compositions); i++) {
        const composed *c = &compositions[i];
        check_sizes(compose, c, c->text, strlen(c->text));
        assert_int_equal(mtasts_policy_parse(&p, c->text, strlen(c->text), MTASTS_STRICT, &d),
                         MTASTS_OK);
        assert_int_equal(p.mode, c->mode);
        assert_int_equal(p.max_age, c->max_age);
        assert_int_equal(p.mx_count, count_mx(c));
    }
}

static const composed refusals[] = {
    {"P3 mode -1", -1, 1, {S("a")}, NULL, EMODE, 0, 0, ""},
    {"P3 mode 3", 3, 1, {S("a")}, NULL, EMODE, 0, 0, ""},
    {"P4 more than a year", 2, YEAR + 1, {S("a")}, NULL, EMAX, 0, 0, "it is more than 31557600"},
    {"P4 much more", 0, UINT32_MAX, {{0}}, NULL, EMAX, 0, 0, "it is more than 31557600"},
    {"P5 enforce without mx", 2, 1, {{0}}, NULL, MTASTS_ERR_POLICY_NO_MX, 0, 0, ""},
    {"P5 testing without mx", 1, 1, {{0}}, NULL, MTASTS_ERR_POLICY_NO_MX, 0, 0, ""},
    {"P6 empty", 2, 1, {S("")}, NULL, EMX, 1, 0, "the name is empty"},
    {"P6 wildcard alone", 2, 1, {S("a"), S("*.")}, NULL, EMX, 2, 2, "the name is empty"},
    {"P6 a star", 2, 1, {S("*")}, NULL, EMX, 1, 0, NULL},
    {"P6 two stars", 2, 1, {S("*.*.a")}, NULL, EMX, 1, 2, NULL},
    {"P6 a star without a dot", 2, 1, {S("*a.b")}, NULL, EMX, 1, 0, NULL},
    {"P6 a star inside", 2, 1, {S("a.*.b")}, NULL, EMX, 1, 2, NULL},
    {"P6 two dots",
     2,
     1,
     {S("a"), S("b"), S("c..")},
     NULL,
     EMX,
     3,
     2,
     "a label of the name is empty"},
    {"P6 an underscore",
     2,
     1,
     {S("a"), S("*.b._c.d_")},
     NULL,
     EMX,
     2,
     4,
     "an underscore: some senders refuse the policy for it"},
    {"P6 wildcard, two dots", 2, 1, {S("*..a")}, NULL, EMX, 1, 2, "a label of the name is empty"},
    {"P6 in mode none too", 0, 1, {S("-a")}, NULL, EMX, 1, 0, NULL},
    {"P6 a line's end", 2, 1, {S("a\r\nmx: *.evil.example")}, NULL, EMX, 1, 1, NULL},
    {"P6 NUL", 2, 1, {S("a\0b")}, NULL, EMX, 1, 1, NULL},
    {"P6 a blank", 2, 1, {S("a ")}, NULL, EMX, 1, 1, NULL},
    {"P6 a list", 2, 1, {S("a,b")}, NULL, EMX, 1, 1, NULL},
    {"P6 U-label",
     2,
     1,
     {S("*.\xc3\xa4.b")},
     NULL,
     EMX,
     1,
     2,
     "the name is not ASCII: convert it to A-labels (xn--...)"},
    {"P6 an address",
     2,
     1,
     {S("192.0.2.1")},
     NULL,
     EMX,
     1,
     0,
     "an address, not a name: it has no policy and matches nothing"},
    {"P6 an address literal", 2, 1, {S("[::1]")}, NULL, EMX, 1, 0, NULL},
    {"P6 wildcard, address", 2, 1, {S("*.2.1")}, NULL, EMX, 1, 2, NULL},
    {"P6 label of 64",
     2,
     1,
     {S("*." L63 "a.b")},
     NULL,
     EMX,
     1,
     65,
     "a label of the name is longer than 63 octets"},
    {"P6 name of 254",
     2,
     1,
     {S("a"), S(N253 "b")},
     NULL,
     EMX,
     2,
     253,
     "the name is longer than 253 octets"},
};

static void test_compose_refuses(void **state)
{
    size_t i, len = 1;
    (void)state;
    for (i = 0; i < COUNT(refusals); i++) {
        composed c = refusals[i];
        mtasts_diag d;
        if (!c.hint) { /* any sentence, but not none */
            mtasts_policy_compose(NULL, 0, &len, c.mode, c.max_age, c.mx, count_mx(&c), &d);
            assert_string_not_equal(d.text, "");
            c.hint = d.text;
        }
        check_nothing(compose, &c, c.err);
        assert_int_equal(
            mtasts_policy_compose(NULL, 0, &len, c.mode, c.max_age, c.mx, count_mx(&c), NULL),
            c.err);
    }
}

/* Compose takes an mx if and only if a strict parse takes what it would write. */
static void check_as_parsed(const char *mx, size_t len)
{
    char text[512], body[512];
    mtasts_str pattern;
    mtasts_policy p;
    mtasts_err parsed;
    size_t n = sizeof HEAD("enforce") "max_age: 1\nmx: " - 1, out_len;
    memcpy(body, HEAD("enforce") "max_age: 1\nmx: ", n);
    memcpy(body + n, mx, len);
    parsed = memchr(mx, '\n', len) ? EMX : mtasts_policy_parse(&p, body, n + len, 0, NULL);
    pattern.ptr = fenced(0, 1, mx, len);
    pattern.len = len;
    if (mtasts_policy_compose(text, sizeof text, &out_len, 2, 1, &pattern, 1, NULL))
        return;
    assert_int_equal(parsed, MTASTS_OK);
    assert_int_equal(mtasts_policy_parse(&p, text, out_len, 0, NULL), MTASTS_OK);
    assert_int_equal(p.quirks & ~(unsigned)MTASTS_QUIRK_UNDERSCORE, 0);
    assert_int_equal(p.mx_count, 1);
}

static void test_compose_mutations(void **state)
{
    static const char *const names[] = {"*.mail-1.example.com.", "a", "xn--p1ai.x", "1.2.3.a"};
    char text[64];
    size_t i, at, m, len;
    (void)state;
    for (i = 0; i < COUNT(names); i++)
        for (at = 0, len = strlen(names[i]); at < len; at++) {
            check_as_parsed(names[i], at);
            memcpy(text, names[i], len);
            for (m = 0; m < sizeof mutants; m++) {
                text[at] = mutants[m];
                check_as_parsed(text, len);
            }
        }
}

/* P9: 65536 octets and no more, whatever the buffer */
static void test_compose_size(void **state)
{
    static char name[64], out[BIG];
    static mtasts_str mx[8000];
    size_t i, len, base, count;
    mtasts_policy p;
    mtasts_diag d;
    (void)state;
    memset(name, 'a', sizeof name);
    base = strlen(HEAD("enforce") "max_age: 1\r\n");
    count = (65536 - base) / 9; /* "mx: aaa\r\n" */
    for (i = 0; i < count; i++) {
        mx[i].ptr = name;
        mx[i].len = 3;
    }
    mx[0].len += 65536 - base - 9 * count;
    assert_int_equal(mtasts_policy_compose(out, BIG, &len, 2, 1, mx, count, &d), MTASTS_OK);
    assert_int_equal(len, 65536);
    assert_int_equal(mtasts_policy_parse(&p, out, len, MTASTS_STRICT, &d), MTASTS_OK);
    assert_int_equal(p.mx_count, count);
    mx[count - 1].len++;
    for (i = 0; i < 3; i++) {
        DIRTY(d);
        assert_int_equal(mtasts_policy_compose(out, i * 65536, &len, 2, 1, mx, count, &d),
                         MTASTS_ERR_POLICY_SIZE);
        assert_diag(&d, MTASTS_ERR_POLICY_SIZE, 65536);
        assert_int_equal(len, 0);
        assert_string_equal(out, i ? "" : out);
    }
}

static void test_compose_null(void **state)
{
    static const mtasts_str none[] = {{NULL, 0}, {NULL, 5}, {NULL, SIZE_MAX}};
    char out[128];
    size_t i, len;
    mtasts_diag d;
    (void)state;
    DIRTY(d);
    assert_int_equal(mtasts_policy_compose(out, sizeof out, &len, 2, 1, NULL, 1, &d),
                     MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_string_equal(out, "");
    for (i = 0; i < COUNT(none); i++) {
        DIRTY(d);
        assert_int_equal(mtasts_policy_compose(out, sizeof out, &len, 2, 1, &none[i], 1, &d), EMX);
        assert_diag(&d, EMX, 0);
        assert_int_equal(d.line, 1);
        assert_string_equal(out, "");
    }
    assert_int_equal(mtasts_policy_compose(out, sizeof out, &len, 0, 1, NULL, 0, NULL), MTASTS_OK);
}

/* ---- mtasts_policy_write */

static mtasts_err write_policy(char *out, size_t cap, size_t *len, const void *what)
{
    return mtasts_policy_write(out, cap, len, what);
}

/* Canonical: without quirks, unknown keys and duplicates (P4 to P8), mx in their order. */
static void test_write(void **state)
{
    static const char *const rows[][2] = {
        {"max_age:1\nmode:none\nversion:STSv1", HEAD("none") "max_age: 1\r\n"},
        {"\xef\xbb\xbf\n version: STSv1\nmode: testing\nmode: none\nmx: B.A.\t\nx: "
         "y\nmx:\t*.C\nmx: b.a\nmax_age: 0000000009\n",
         HEAD("testing") "mx: b.a\r\nmx: *.c\r\nmx: b.a\r\nmax_age: 9\r\n"},
        {"version: STSv1\nmode: enforce\nmx: _A\nmx: 1.2\nmax_age: 9999999999",
         HEAD("enforce") "mx: _a\r\nmx: 1.2\r\nmax_age: 31557600\r\n"},
        {"version: STSv1\nmode: enforce\nmx: *." N253 "\nmax_age: 0",
         HEAD("enforce") "mx: *." N253 "\r\nmax_age: 0\r\n"},
    };
    mtasts_policy p;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_int_equal(mtasts_policy_parse(&p, rows[i][0], strlen(rows[i][0]), 0, NULL),
                         MTASTS_OK);
        check_sizes(write_policy, &p, rows[i][1], strlen(rows[i][1]));
    }
}

/* ---- mtasts_record_write */

static mtasts_err write_record(char *out, size_t cap, size_t *len, const void *what)
{
    const mtasts_str *id = what;
    return mtasts_record_write(out, cap, len,
                               id->ptr ? fenced(0, (int)cap & 1, id->ptr, id->len) : NULL, id->len);
}

/* T3, T4: what is written is the one record of that id. */
static void check_record(mtasts_str id)
{
    char text[64];
    size_t len;
    mtasts_str string;
    mtasts_txt txt;
    mtasts_record r;
    snprintf(text, sizeof text, "v=STSv1; id=%.*s;", (int)id.len, id.ptr);
    check_sizes(write_record, &id, text, 13 + id.len);
    assert_int_equal(mtasts_record_write(text, sizeof text, &len, id.ptr, id.len), MTASTS_OK);
    string.ptr = text;
    string.len = len;
    txt.strings = &string;
    txt.count = 1;
    assert_int_equal(mtasts_record_select(&r, &txt, 1, NULL), MTASTS_OK);
    assert_int_equal(strlen(r.id), id.len);
    assert_memory_equal(r.id, id.ptr, id.len);
}

/* A struct that no parser made is refused, or at least gives no policy that others misread. */
static void test_write_made_by_hand(void **state)
{
    static const struct {
        int mode;
        uint32_t max_age;
        mtasts_err err;
    } rows[] = {
        {MTASTS_MODE_NONE, 0, MTASTS_OK},
        {MTASTS_MODE_ENFORCE, MTASTS_MAX_AGE_MAX, MTASTS_OK},
        {MTASTS_MODE_ENFORCE, MTASTS_MAX_AGE_MAX + 1, MTASTS_ERR_USAGE},
        {MTASTS_MODE_NONE, UINT32_MAX, MTASTS_ERR_USAGE},
        {MTASTS_MODE_ENFORCE + 1, 1, MTASTS_ERR_USAGE},
        {0x7fff, 1, MTASTS_ERR_USAGE},
    };
    char out[128];
    size_t i, len = 7;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        mtasts_policy p;
        memset(&p, 0, sizeof p);
        p.mode = (mtasts_mode)rows[i].mode;
        p.max_age = rows[i].max_age;
        p.text.len = 9; /* of nothing */
        assert_int_equal(mtasts_policy_write(out, sizeof out, &len, &p), rows[i].err);
        assert_int_equal(len, strlen(out));
        assert_true(!rows[i].err == !!len);
    }
}

/* The list ends where no policy can hold it, however long it is. */
static void test_compose_endless(void **state)
{
    enum { MANY = 100000 };
    static mtasts_str mx[MANY];
    static char out[MTASTS_POLICY_MAX + 1];
    mtasts_diag d;
    size_t i, len;
    (void)state;
    for (i = 0; i < MANY; i++) {
        mx[i].ptr = "mx.example.com";
        mx[i].len = 14;
    }
    assert_int_equal(
        mtasts_policy_compose(out, sizeof out, &len, MTASTS_MODE_ENFORCE, 1, mx, MANY, &d),
        MTASTS_ERR_POLICY_SIZE);
    assert_int_equal(len, 0);
    assert_string_equal(out, "");
    mx[MANY - 1].ptr = "-"; /* never looked at */
    assert_int_equal(
        mtasts_policy_compose(out, sizeof out, &len, MTASTS_MODE_ENFORCE, 1, mx, MANY, &d),
        MTASTS_ERR_POLICY_SIZE);
}

static void test_record(void **state)
{
    static const mtasts_str ids[] = {S("1"), S("z"), S("20260131T1200"), S(X32), S("ABCXYZ")};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(ids); i++)
        check_record(ids[i]);
}

static void test_record_refuses(void **state)
{
    static const mtasts_str ids[] = {
        {NULL, 0},  {NULL, 1}, {NULL, 32}, {NULL, SIZE_MAX}, S(""),        S(X32 "6"),
        S(X32 X32), S(" 1"),   S("1 "),    S("a_b"),         S("a-b"),     S("a.b"),
        S("1;"),    S("1\n"),  S("\0"),    S("1\0"),         S("\xc3\xa4")};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(ids); i++)
        check_nothing(write_record, &ids[i], MTASTS_ERR_RECORD_ID);
}

/* T4: every octet, in every place */
static void test_record_octets(void **state)
{
    char text[5], out[64];
    size_t at, len;
    int c;
    (void)state;
    for (c = 0; c < 256; c++)
        for (at = 0; at < sizeof text; at++) {
            int good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            memset(text, 'x', sizeof text);
            text[at] = (char)c;
            assert_int_equal(mtasts_record_write(out, sizeof out, &len, text, sizeof text),
                             good ? MTASTS_OK : MTASTS_ERR_RECORD_ID);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_compose_refuses),
        cmocka_unit_test(test_compose_mutations),
        cmocka_unit_test(test_compose_size),
        cmocka_unit_test(test_compose_null),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_made_by_hand),
        cmocka_unit_test(test_compose_endless),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_refuses),
        cmocka_unit_test(test_record_octets),
    };
    return cmocka_run_group_tests_name("6 policy writer", tests, NULL, NULL);
}
