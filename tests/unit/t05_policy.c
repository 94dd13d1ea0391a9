/* Section 5: policy (P1 to P13, max_age 0 of D17).
 * Goal: the grammar and its quirks, exact places of errors, linear work; lint and parse agree.
 * Method: tables with a bar where the error is; a grammar of regular expressions checks all else.
 */
#include "test.h"

#include <regex.h>

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }

#define L63  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253 L63 "." L63 "." L63 ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define K32  "abcdefghijklmnopqrstuvwxyz_-.345"
#define BOM  "\xef\xbb\xbf"

#define BODY_MAX 70000

/* ---- A second reading of RFC 8461 3.2, line by line, with the quirks */

#define LABEL  "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#define VCHAR  "[^\x01-\x20\x7f]"
#define VBLANK "[^\x01-\x1f\x7f]"
enum { BLANK, VERSION, MODE, MAX_AGE, MX, OTHER, KINDS };
static const char *const grammar[KINDS] = {
    "^[ \t]*()$",
    "^[ \t]*version:[ \t]*(STSv1)[ \t]*$",
    "^[ \t]*mode:[ \t]*(none|testing|enforce)[ \t]*$",
    "^[ \t]*max_age:[ \t]*([0-9]{1,10})[ \t]*$",
    "^[ \t]*mx:[ \t]*([*][.])?(" LABEL "([.]" LABEL ")*)[.]?[ \t]*$",
    "^[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}:[ \t]*" VCHAR "(" VBLANK "*" VCHAR ")?[ \t]*$",
};
static const char *const keys[KINDS] = {"", "version", "mode", "max_age", "mx", ""};
static regex_t regex[KINDS];

/* UTF-8 by decoding to a number and encoding that again */
static int is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        unsigned long c = *p, n = c < 0x80 ? 0 : c < 0xc0 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3, i;
        c = n ? c & (0x7fu >> (n + 1)) : c;
        if (n == 9 || *p >= 0xf8)
            return 0;
        for (i = 1; i <= n; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (n != (c < 0x80 ? 0u : c < 0x800 ? 1u : c < 0x10000 ? 2u : 3u))
            return 0;
        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return 0;
        p += n + 1;
    }
    return 1;
}

/* Which key does a line begin with? OTHER if none that is known. */
static int kind_of(const char *line)
{
    int kind;
    line += strspn(line, " \t");
    for (kind = VERSION; kind <= MX; kind++)
        if (strncmp(line, keys[kind], strlen(keys[kind])) == 0 && line[strlen(keys[kind])] == ':')
            return kind;
    return *line ? OTHER : BLANK;
}

/* Is the line all right? *seen and *none (mode) are kept up to date. */
static int line_ok(const char *line, int whole, unsigned *seen, int *none)
{
    regmatch_t m[3];
    int kind = kind_of(line);
    if ((*seen >> kind & 1) && kind >= VERSION && kind <= MAX_AGE)
        return 1;
    *seen |= 1u << kind;
    if (!whole || regexec(&regex[kind], line, 3, m, 0) != 0)
        return 0;
    if (kind == MODE)
        *none = line[m[1].rm_so] == 'n';
    return (kind != MX || m[2].rm_eo - m[2].rm_so <= 253) && is_utf8(line);
}

static int oracle(const char *body, size_t len)
{
    static char line[BODY_MAX + 1];
    const char *end = body + len, *lf;
    unsigned seen = 0;
    int none = 0;
    if (len > 65536)
        return 0;
    if (len >= 3 && memcmp(body, BOM, 3) == 0)
        body += 3;
    for (; body < end; body = lf + 1) {
        size_t n;
        lf = memchr(body, '\n', (size_t)(end - body));
        n = (size_t)((lf ? lf : end) - body);
        if (lf && n && body[n - 1] == '\r')
            n--;
        memcpy(line, body, n);
        line[n] = '\0';
        if (!line_ok(line, strlen(line) == n, &seen, &none))
            return 0;
        if (!lf)
            break;
    }
    return (seen & 0x0e) == 0x0e && (none || (seen >> MX & 1));
}

/* ---- What must hold of any body */

static mtasts_err parse(mtasts_policy *p, const char *body, size_t len, unsigned flags,
                        mtasts_diag *d)
{
    mtasts_err err;
    DIRTY(*p);
    DIRTY(*d);
    err = mtasts_policy_parse(p, body, len, flags, d);
    assert_diag(d, err, len);
    assert_int_equal(!d->line, err == MTASTS_OK || err == MTASTS_ERR_POLICY_SIZE);
    if (err) {
        assert_true(all_zero(p, sizeof *p)); /* P10: not usable in any part */
    } else {
        assert_ptr_equal(p->text.ptr, body); /* P13 */
        assert_int_equal(p->text.len, len);
        assert_int_equal(d->offset, len);
        assert_true(p->max_age <= MTASTS_MAX_AGE_MAX);
        assert_true(p->mx_count || p->mode == MTASTS_MODE_NONE); /* P5 */
    }
    return err;
}

static void check_place(const mtasts_diag *d, const char *body)
{
    size_t i, line = 1, start = 0;
    for (i = 0; i < d->offset; i++)
        if (body[i] == '\n') {
            line++;
            start = i + 1;
        }
    assert_int_equal(d->line, line);
    assert_int_equal(d->column, d->offset - start + 1);
}

/* Lint says what parse says, and says it first. */
static void check_lint(const mtasts_policy *p, const mtasts_diag *d, const char *body, size_t len)
{
    mtasts_lint l;
    mtasts_diag f;
    size_t errors = 0, findings = 0, line = 0;
    unsigned quirks = 0;
    DIRTY(l);
    mtasts_lint_init(&l, body, len);
    for (;; findings++) {
        int more;
        DIRTY(f);
        more = mtasts_lint_next(&l, &f);
        assert_diag(&f, f.err, len);
        if (!more)
            break;
        if (f.err && !errors++) {
            assert_int_equal(f.err, d->err);
            assert_int_equal(f.offset, d->offset);
            assert_int_equal(f.line, d->line);
            assert_int_equal(f.column, d->column);
            assert_string_equal(f.text, d->text);
        }
        assert_true(f.line >= line && findings <= 3 * len + 8);
        assert_true(f.err || f.quirk || *f.text);
        assert_true(!f.quirk || !f.err);
        if (f.line)
            check_place(&f, body);
        line = f.line;
        quirks |= f.quirk;
    }
    assert_int_equal(f.err, MTASTS_OK);
    assert_false(mtasts_lint_next(&l, NULL)); /* it stays at the end */
    assert_int_equal(errors != 0, d->err != MTASTS_OK);
    assert_true(d->err || quirks == p->quirks);
}

static int same_name(mtasts_str a, mtasts_str b)
{
    size_t i;
    for (i = 0; i < a.len && i < b.len; i++)
        if ((a.ptr[i] | 0x20) != (b.ptr[i] | 0x20))
            return 0;
    return a.len == b.len;
}

/* Written and parsed again, a policy says the same. */
static void check_written(const mtasts_policy *p)
{
    static char out[2 * BODY_MAX], again[2 * BODY_MAX];
    size_t n, m, cursor = 0, other = 0, count = 0;
    mtasts_str a, b;
    mtasts_policy q;
    mtasts_diag d;
    assert_int_equal(mtasts_policy_write(out, sizeof out, &n, p), MTASTS_OK);
    assert_int_equal(parse(&q, out, n, 0, &d), MTASTS_OK);
    assert_int_equal(q.mode, p->mode);
    assert_int_equal(q.max_age, p->max_age);
    assert_int_equal(q.mx_count, p->mx_count);
    assert_int_equal(q.quirks, p->quirks & MTASTS_QUIRK_UNDERSCORE);
    for (; mtasts_policy_next_mx(p, &cursor, &a); count++) {
        assert_true(mtasts_policy_next_mx(&q, &other, &b));
        assert_true(same_name(a, b));
    }
    assert_int_equal(count, p->mx_count);
    assert_false(mtasts_policy_next_mx(&q, &other, &b));
    mtasts_policy_write(again, sizeof again, &m, &q);
    assert_int_equal(m, n);
    assert_memory_equal(again, out, n);
}

/* The lines are the text, in order and complete (P13). */
static void check_lines(const mtasts_policy *p)
{
    size_t cursor = 0, at = 0;
    const char *b = p->text.ptr;
    mtasts_str line;
    while (mtasts_policy_next_line(p, &cursor, &line)) {
        assert_ptr_equal(line.ptr, b + at);
        assert_null(memchr(line.ptr, '\n', line.len));
        at += line.len;
        at += at + 1 < p->text.len && b[at] == '\r' && b[at + 1] == '\n';
        at += at < p->text.len;
        assert_int_equal(at, cursor);
    }
    assert_int_equal(at, p->text.len);
    assert_true(!line.ptr && !line.len);
}

static mtasts_err check(mtasts_policy *p, const char *body, size_t len, mtasts_diag *d)
{
    mtasts_policy strict;
    mtasts_diag e;
    mtasts_err err = MTASTS_OK;
    int side;
    for (side = 0; side < 2; side++) {
        const char *b = fenced(0, side, body, len);
        mtasts_err other = parse(&strict, b, len, MTASTS_STRICT, &e);
        err = parse(p, b, len, 0, d);
        assert_int_equal(err == MTASTS_OK, oracle(b, len));
        assert_int_equal(other == MTASTS_OK, err == MTASTS_OK && !p->quirks);
        assert_true((e.quirk != 0) == (other == MTASTS_ERR_POLICY_QUIRK));
        if (!err && e.quirk)
            assert_true(!(e.quirk & (e.quirk - 1)) && (p->quirks & e.quirk));
        assert_int_equal(mtasts_policy_parse(&strict, b, len, 0, NULL), err);
        if (d->line)
            check_place(d, b);
        if (e.line)
            check_place(&e, b);
        check_lint(p, d, b, len);
        if (!err) {
            check_written(p);
            check_lines(p);
        }
    }
    return err;
}

static void check_mutations(const char *body, size_t len)
{
    static char text[BODY_MAX];
    mtasts_policy p;
    mtasts_diag d;
    size_t i, m;
    for (i = 0; i <= len; i++)
        check(&p, body, i, &d);
    memcpy(text, body, len);
    for (i = 0; i < len; i++) {
        for (m = 0; m < sizeof mutants; m++) {
            text[i] = mutants[m];
            check(&p, text, len, &d);
        }
        text[i] = body[i];
    }
}

/* ---- What is accepted */

#define V        "version: STSv1\n"
#define VM       "version: STSv1\nmode: enforce\n"
#define MA       "mx: a\nmax_age: 604800\n"
#define NONE     "version: STSv1\nmode: none\nmax_age: 1\n"
#define ENF      MTASTS_MODE_ENFORCE
#define TST      MTASTS_MODE_TESTING
#define NON      MTASTS_MODE_NONE
#define WEEK     604800
#define YEAR     31557600
#define Q(quirk) MTASTS_QUIRK_##quirk

#define GOOD(rule, text, mode, age, mx, quirks) \
    {                                           \
        rule, S(text), mode, age, mx, quirks    \
    }

static const struct good {
    const char *rule;
    mtasts_str body;
    mtasts_mode mode;
    uint32_t max_age;
    const char *mx; /* joined by commas */
    unsigned quirks;
} good[] = {
    GOOD("P1 LF", VM MA, ENF, WEEK, "a", 0),
    GOOD("P1 CRLF", "version: STSv1\r\nmode: testing\r\nmx: a\r\nmax_age: 1\r\n", TST, 1, "a", 0),
    GOOD("P1 mixed", "version: STSv1\r\nmode: enforce\nmx: a\r\nmax_age: 1\n", ENF, 1, "a", 0),
    GOOD("P1 no terminator", "version: STSv1\nmode: none\nmax_age: 1", NON, 1, "", 0),
    GOOD("P1 no terminator, blanks", VM "max_age: 1\nmx: a \t", ENF, 1, "a", 0),
    GOOD("P2 no blanks", "version:STSv1\nmode:enforce\nmx:a\nmax_age:1\n", ENF, 1, "a", 0),
    GOOD("P2 blanks", "version:\t STSv1 \t\nmode: \tnone\t\r\nmax_age:  1  \n", NON, 1, "", 0),
    GOOD("P3 any order", "max_age: 1\nmx: a\nmode: enforce\nversion: STSv1\n", ENF, 1, "a", 0),
    GOOD("P4 D17 max_age 0", VM "mx: a\nmax_age: 0\n", ENF, 0, "a", 0),
    GOOD("P4 leading zeros", VM "mx: a\nmax_age: 0000000007\n", ENF, 7, "a", 0),
    GOOD("P4 the maximum", VM "mx: a\nmax_age: 31557600\n", ENF, YEAR, "a", 0),
    GOOD("P4 one more", VM "mx: a\nmax_age: 31557601\n", ENF, YEAR, "a", Q(MAX_AGE)),
    GOOD("P4 over 32 bits", VM "mx: a\nmax_age: 4294967297\n", ENF, YEAR, "a", Q(MAX_AGE)),
    GOOD("P4 ten digits", VM "mx: a\nmax_age: 9999999999", ENF, YEAR, "a", Q(MAX_AGE)),
    GOOD("P5 none without mx", NONE, NON, 1, "", 0),
    GOOD("P5 none with mx", "mx: b\n" NONE "mx: a\n", NON, 1, "b,a", 0),
    GOOD("P5 repeated, the same too", VM "mx: a\nmx: b\nmx: a\n" MA, ENF, WEEK, "a,b,a,a", 0),
    GOOD("P6 wildcard", VM "mx: *.example.com\n" MA, ENF, WEEK, "*.example.com,a", 0),
    GOOD("P6 wildcard, one label", VM "mx: *.a\n" MA, ENF, WEEK, "*.a,a", 0),
    GOOD("P6 case as written", VM "mx: *.Ex-1.xn--p1ai\n" MA, ENF, WEEK, "*.Ex-1.xn--p1ai,a", 0),
    GOOD("P6 an address that is a Domain", VM "mx: 192.0.2.1\n" MA, ENF, WEEK, "192.0.2.1,a", 0),
    GOOD("P6 trailing dot", VM "mx: a.b.\t\n" MA, ENF, WEEK, "a.b,a", Q(TRAILING_DOT)),
    GOOD("P6 wildcard, trailing dot", VM "mx: *.b.\r\n" MA, ENF, WEEK, "*.b,a", Q(TRAILING_DOT)),
    GOOD("P6 trailing dot at the end", VM "max_age: 1\nmx: b.", ENF, 1, "b", Q(TRAILING_DOT)),
    GOOD("P6 underscore", VM "mx: _a.b_c\n" MA, ENF, WEEK, "_a.b_c,a", Q(UNDERSCORE)),
    GOOD("P7 duplicates", VM "mode: none\nversion: STSv2\n" MA "max_age: 9\n", ENF, WEEK, "a", 0),
    GOOD("P7 not examined",
         "mode: none\nmode:\0\xff\r\x01\n" V "version:\nmax_age: 1\nmax_age: x\n", NON, 1, "", 0),
    GOOD("P7 not examined, at the end", NONE "mode: \r", NON, 1, "", 0),
    GOOD("P7 mx in a duplicate", VM "version: \rmx: b\n" MA, ENF, WEEK, "a", 0),
    GOOD("P8 unknown key", VM MA "a.b_c-d: e:f \xc3\xa4 *%=;\n", ENF, WEEK, "a", 0),
    GOOD("P8 another case", NONE "Mode: enforce\nVERSION: 2\nMX: [x]\n", NON, 1, "", 0),
    GOOD("P8 keys that begin as mx", NONE "m: b\nmxx: b\nmx.: b\nmx_: b\n", NON, 1, "", 0),
    GOOD("P8 a key of 32", NONE K32 ": x", NON, 1, "", 0),
    GOOD("P8 a colon alone as value", NONE "a::\n9: :", NON, 1, "", 0),
    GOOD("BOM", BOM NONE, NON, 1, "", Q(BOM)),
    GOOD("BOM, mx first", BOM "mx: b\n" NONE, NON, 1, "b", Q(BOM)),
    GOOD("BOM, blank line", BOM "\r\n" NONE, NON, 1, "", Q(BOM) | Q(BLANK_LINE)),
    GOOD("BOM, indent", BOM " mx: b\n" NONE, NON, 1, "b", Q(BOM) | Q(INDENT)),
    GOOD("blank lines", "\n\r\n" V " \t\n\t\r\nmode: none\nmax_age: 1\n\n", NON, 1, "",
         Q(BLANK_LINE)),
    GOOD("blanks at the end", NONE " \t", NON, 1, "", Q(BLANK_LINE)),
    GOOD("indent", VM " mx: b\n\tmx: c\n" MA " x: y", ENF, WEEK, "b,c,a", Q(INDENT)),
    GOOD("all quirks", BOM "\n\t" VM "mx: a_b.\n  mx:c\nmax_age: 31557601", ENF, YEAR, "a_b,c",
         0x3f),
    GOOD("quirks of one line", NONE " mx: _.\n", NON, 1, "_",
         Q(INDENT) | Q(TRAILING_DOT) | Q(UNDERSCORE)),
    GOOD("quirks of another", V "mode: none\n\tmax_age: 9999999999", NON, YEAR, "",
         Q(INDENT) | Q(MAX_AGE)),
    GOOD("P6 label of 63", VM "mx: *." L63 ".b\n" MA, ENF, WEEK, "*." L63 ".b,a", 0),
    GOOD("P6 name of 253", VM "mx: " N253 ".\n" MA, ENF, 604800, N253 ",a", Q(TRAILING_DOT)),
};

static void check_mx(const struct good *g, const mtasts_policy *p)
{
    const char *expected = g->mx;
    size_t cursor = 0, count = 0, n;
    mtasts_str mx;
    for (; *expected; expected += n + (expected[n] == ','), count++) {
        n = strcspn(expected, ",");
        if (!mtasts_policy_next_mx(p, &cursor, &mx) || mx.len != n ||
            memcmp(mx.ptr, expected, n) != 0)
            fail_msg("%s: mx %u", g->rule, (unsigned)count);
        assert_true(mx.ptr > p->text.ptr && mx.ptr < p->text.ptr + p->text.len);
    }
    DIRTY(mx);
    assert_false(mtasts_policy_next_mx(p, &cursor, &mx));
    assert_true(!mx.ptr && !mx.len && p->mx_count == count);
}

static void test_good(void **state)
{
    mtasts_policy p;
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        const struct good *g = &good[i];
        if (check(&p, g->body.ptr, g->body.len, &d) || p.mode != g->mode ||
            p.max_age != g->max_age || p.quirks != g->quirks)
            fail_msg("%s: %s at %u:%u, mode %d, max_age %u, quirks %u", g->rule,
                     mtasts_err_name((int)d.err), (unsigned)d.line, (unsigned)d.column, (int)p.mode,
                     (unsigned)p.max_age, p.quirks);
        check_mx(g, &p);
    }
}

static void test_mutations(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(good); i++)
        check_mutations(good[i].body.ptr, good[i].body.len);
}

/* ---- What is refused: a bar stands before the octet that is wrong (P10) */

#define E(error) MTASTS_ERR_POLICY_##error
#define KEY      "1 to 32 letters, digits, \"_\", \"-\", \".\"; first a letter or a digit"
#define BLANKS   "no blanks before the colon"
#define EMPTY    "the value is empty"
#define OCTET    "a control character, or not UTF-8"
#define DIGITS   "write it in seconds, in digits"
#define HOSTS    "write one mx line for each host: a name, or \"*.\" and a name"

#define NO_NAME "the name holds something else than letters, digits, \"-\", \".\""
#define BAD(rule, text, err, hint)                   \
    {                                                \
        rule, S(text), MTASTS_ERR_POLICY_##err, hint \
    }

static const struct bad {
    const char *rule;
    mtasts_str body;
    mtasts_err err;
    const char *hint;
} bad[] = {
    BAD("P3 empty", "|", NO_VERSION, ""),
    BAD("P3 only a BOM", BOM "|", NO_VERSION, ""),
    BAD("P3 only blank lines", "\n\n|", NO_VERSION, ""),
    BAD("P3 no version", "mode: enforce\n" MA "|", NO_VERSION, ""),
    BAD("P3 no version nor end", "mode: none\nmax_age: 1|", NO_VERSION, ""),
    BAD("P3 no mode", V MA "|", NO_MODE, ""),
    BAD("P3 no mode nor mx", V "max_age: 1\n|", NO_MODE, ""),
    BAD("P3 no max_age", VM "mx: a\n|", NO_MAX_AGE, ""),
    BAD("P3 none without max_age", V "mode: none|", NO_MAX_AGE, ""),
    BAD("P5 enforce without mx", VM "max_age: 1\n|", NO_MX, ""),
    BAD("P5 testing without mx", V "mode: testing\nmax_age: 1|", NO_MX, ""),
    BAD("P3 P2 keys in another case", "Version: STSv1\nmode: none\nmax_age: 1\n|", NO_VERSION, ""),
    BAD("P5 P2 MX is not mx", VM "MX: a\nmax_age: 1\n|", NO_MX, ""),
    BAD("P3 STSv2", "version: |STSv2\n", VERSION, ""),
    BAD("P3 stsv1", "version: |stsv1\n", VERSION, ""),
    BAD("P3 STSv1.0", "version: |STSv1.0\n", VERSION, ""),
    BAD("P3 version and more", "version: |STSv1 x\n", VERSION, ""),
    BAD("P3 version cut short", "version: |STSv", VERSION, ""),
    BAD("P3 version empty", "version:|\n", VERSION, ""),
    BAD("P3 version: the first counts", "version: |1\n" V, VERSION, ""),
    BAD("P1 CR alone", "version: |STSv1\rmode: none\rmax_age: 1\r", VERSION, ""),
    BAD("P1 CR at the end", "max_age: 1|\r", MAX_AGE, DIGITS),
    BAD("P1 CR CR LF", "max_age: 1|\r\r\n", MAX_AGE, DIGITS),
    BAD("P1 CR LF with a blank inside", "max_age: 1|\r \n", MAX_AGE, DIGITS),
    BAD("P2 P3 ENFORCE", "mode: |ENFORCE\n", MODE, "did you mean \"enforce\"?"),
    BAD("P3 enforced", "mode: |enforced\n", MODE, "did you mean \"enforce\"?"),
    BAD("P3 enf", "mode: |enf", MODE, "did you mean \"enforce\"?"),
    BAD("P3 en", "mode: |en", MODE, ""),
    BAD("P3 Test", "mode: |Test\n", MODE, "did you mean \"testing\"?"),
    BAD("P3 tes", "mode: |tes", MODE, "did you mean \"testing\"?"),
    BAD("P3 non", "mode: |non", MODE, "did you mean \"none\"?"),
    BAD("P3 NONE", "mode: |NONE\n", MODE, "did you mean \"none\"?"),
    BAD("P3 none and more", "mode: |none, or so\n", MODE, "did you mean \"none\"?"),
    BAD("P3 none, NUL", "mode: |none\0\n", MODE, "did you mean \"none\"?"),
    BAD("P3 report", "mode: |report\n", MODE, ""),
    BAD("P3 mode quoted", "mode: |\"enforce\"\n", MODE, ""),
    BAD("P3 mode empty", "mode:|\r\n", MODE, ""),
    BAD("P3 mode empty at the end", "mode: |", MODE, ""),
    BAD("P7 the first mode counts", "mode: |off\nmode: none\n", MODE, ""),
    BAD("P4 eleven digits", "max_age: 1234567890|1\n", MAX_AGE, DIGITS),
    BAD("P4 eleven zeros", "max_age: 0000000000|0", MAX_AGE, DIGITS),
    BAD("P4 many digits", "max_age: 0000000000|00000000000000000000000604800", MAX_AGE, DIGITS),
    BAD("P4 negative", "max_age: |-1\n", MAX_AGE, DIGITS),
    BAD("P4 a plus", "max_age: |+1\n", MAX_AGE, DIGITS),
    BAD("P4 empty", "max_age:|\n", MAX_AGE, DIGITS),
    BAD("P4 empty at the end", "max_age:|", MAX_AGE, DIGITS),
    BAD("P4 a unit", "max_age: 7|d\n", MAX_AGE, DIGITS),
    BAD("P4 a fraction", "max_age: 1|.0\n", MAX_AGE, DIGITS),
    BAD("P4 hexadecimal", "max_age: 0|x10\n", MAX_AGE, DIGITS),
    BAD("P4 groups", "max_age: 604 |800\n", MAX_AGE, DIGITS),
    BAD("P4 a comment", "max_age: 1 |# x\n", MAX_AGE, DIGITS),
    BAD("P4 NUL", "max_age: 1|\0\n", MAX_AGE, DIGITS),
    BAD("P6 empty", "mx:|\n", MX, "the name is empty"),
    BAD("P6 empty at the end", "mx: |", MX, "the name is empty"),
    BAD("P6 a dot", "mx: |.\n", MX, "a label of the name is empty"),
    BAD("P6 a dot first", "mx: |.example.com\n", MX, "a label of the name is empty"),
    BAD("P6 two dots last", "mx: a.|.\n", MX, "a label of the name is empty"),
    BAD("P6 wildcard, empty label", "mx: *.|.a\n", MX, "a label of the name is empty"),
    BAD("P6 wildcard alone", "mx: *.|\n", MX, "the name is empty"),
    BAD("P6 wildcard alone at the end", "mx: *.|", MX, "the name is empty"),
    BAD("P6 hyphen first", "mx: |-a.b\n", MX, "a label of the name begins or ends with a hyphen"),
    BAD("P6 hyphen last", "mx: a|-.b\n", MX, "a label of the name begins or ends with a hyphen"),
    BAD("P6 label of 64", "mx: " L63 "|b.c\n", MX, "a label of the name is longer than 63 octets"),
    BAD("P6 name of 254", "mx: " N253 "|c\n", MX, "the name is longer than 253 octets"),
    BAD("P6 wildcard, name of 254", "mx: *." N253 "|c\n", MX, "the name is longer than 253 octets"),
    BAD("P6 a list", "mx: a.example|, b.example\n", MX, HOSTS),
    BAD("P6 a list with blanks", "mx: a.example |b.example\n", MX, HOSTS),
    BAD("P6 a star last", "mx: a.|*\n", MX, HOSTS),
    BAD("P6 a star inside", "mx: a|*b.c\n", MX, HOSTS),
    BAD("P6 a port", "mx: a.b|:25\n", MX, HOSTS),
    BAD("P6 NUL", "mx: a|\0.b\n", MX, HOSTS),
    BAD("P6 U-label",
        "mx: b|\xc3\xbc"
        "cher.example\n",
        MX, "the name is not ASCII: convert it to A-labels (xn--...)"),
    BAD("P6 address literal", "mx: |[192.0.2.1]\n", MX,
        "an address, not a name: it has no policy and matches nothing"),
    BAD("P6 0x80", "mx: a|\x80\n", MX, "the name is not ASCII: convert it to A-labels (xn--...)"),
    BAD("P6 IPv6", "mx: 2001|:db8::1\n", MX, HOSTS),
    BAD("P6 a star alone", "mx: |*\n", MX, NO_NAME),
    BAD("P6 a star without a dot", "mx: |*example.com\n", MX, NO_NAME),
    BAD("P6 two stars", "mx: *.|*.example.com\n", MX, NO_NAME),
    BAD("P6 nothing before CRLF", "mx: |\r\n", MX, "the name is empty"),
    BAD("P6 U-label first", "mx: |\xc3\xa9.example\n", MX,
        "the name is not ASCII: convert it to A-labels (xn--...)"),
    BAD("P6 in mode none too", NONE "mx: |!\n", MX, NULL),
    BAD("P6 in any repetition", VM MA "mx: b\nmx: |@\nmx: c\n", MX, NULL),
    BAD("P8 no colon", "hello| world\n", LINE, ""),
    BAD("P8 no colon at the end", VM "hello|", LINE, ""),
    BAD("P8 mode without colon", "mode|\n", LINE, ""),
    BAD("P8 a comment", "|# x\n", LINE, ""),
    BAD("P8 JSON", "|{\"version\"\n", LINE, ""),
    BAD("P1 CR alone at the end", NONE "|\r", LINE, ""),
    BAD("P8 NUL alone", "|\0", LINE, ""),
    BAD("P8 VT alone", NONE "|\v\n", LINE, ""),
    BAD("P8 VT first", "|\vmode: none\n", KEY, ""),
    BAD("P8 UTF-16", "|\xff\xfev\0\n", LINE, ""),
    BAD("BOM twice", BOM "|" BOM VM MA, KEY, ""),
    BAD("BOM later", "mode: none\n|" BOM V, KEY, ""),
    BAD("BOM behind a blank", " |" BOM V, KEY, ""),
    BAD("BOM cut short", "|\xef\xbbversion: STSv1\n", KEY, ""),
    BAD("P8 no key", "|: x\n", KEY, KEY),
    BAD("P8 no key, indented", "  |: x\n", KEY, KEY),
    BAD("P8 underscore first", "|_a: x\n", KEY, KEY),
    BAD("P8 dot first", "|.a: x\n", KEY, KEY),
    BAD("P8 32, underscore first", "|_bcdefghijklmnopqrstuvwxyz_-.345: x\n", KEY, KEY),
    BAD("P8 hyphen first", "|-a: x\n", KEY, KEY),
    BAD("P8 a key of 33", K32 "|6: x\n", KEY, KEY),
    BAD("P8 a blank before the colon", "mode| : none\n", KEY, BLANKS),
    BAD("P8 a tab before the colon", "a|\t: b\n", KEY, BLANKS),
    BAD("P8 not ASCII", "caf|\xc3\xa9: x\n", KEY, ""),
    BAD("P8 a URL's line", "a|/b: x", KEY, ""),
    BAD("P8 NUL in a key", "mo|\0de: none\n", KEY, ""),
    BAD("P8 empty value", "a:|\n", VALUE, EMPTY),
    BAD("P8 blanks as value", "a: \t|\r\n", VALUE, EMPTY),
    BAD("P8 empty value at the end", "a:|", VALUE, EMPTY),
    BAD("P8 NUL", "a: b|\0\n", VALUE, OCTET),
    BAD("P8 ESC", "a: b|\x1b[2J\n", VALUE, OCTET),
    BAD("P8 DEL", "a: |\x7f\n", VALUE, OCTET),
    BAD("P8 tab inside", "a: b|\tc\n", VALUE, OCTET),
    BAD("P1 P8 CR inside", "a: b|\rc\n", VALUE, OCTET),
    BAD("P1 P8 CR first", "a: |\rc\n", VALUE, OCTET),
    BAD("P1 P8 CR CR LF", "a: b|\r\r\n", VALUE, OCTET),
    BAD("P10 the third line", "version: STSv1\r\n\r\nmode: |x\r\n", MODE, ""),
    BAD("P10 behind a BOM", BOM "mode: |x", MODE, ""),
};

static void test_bad(void **state)
{
    static char body[BODY_MAX];
    mtasts_policy p;
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        const struct bad *b = &bad[i];
        const char *bar = memchr(b->body.ptr, '|', b->body.len);
        size_t at = 0, len = b->body.len - 1;
        assert_non_null(bar);
        while (b->body.ptr + at < bar)
            at++;
        memcpy(body, b->body.ptr, at);
        memcpy(body + at, b->body.ptr + at + 1, len - at);
        if (check(&p, body, len, &d) != b->err || d.offset != at ||
            (b->hint && strcmp(d.text, b->hint) != 0))
            fail_msg("%s: %s at %u:%u: %s", b->rule, mtasts_err_name((int)d.err), (unsigned)d.line,
                     (unsigned)d.column, d.text);
        check_mutations(body, len);
    }
}

/* ---- Quirks and notes: every finding in order, a place each */

static const struct lint {
    const char *rule;
    mtasts_str body;
    struct finding {
        unsigned err, quirk;
        size_t line, column;
        const char *text;
    } findings[12];
} lints[] = {
    {"nothing to say", S(VM MA), {{0}}},
    {"quirks have places",
     S(BOM "\n  " VM "mx: a_b.\nmx: *._.\nmax_age: 31557601\n"),
     {{0, Q(BOM), 1, 1, ""},
      {0, Q(BLANK_LINE), 1, 4, ""},
      {0, Q(INDENT), 2, 1, ""},
      {0, Q(TRAILING_DOT), 4, 8, ""},
      {0, Q(UNDERSCORE), 4, 6, ""},
      {0, Q(TRAILING_DOT), 5, 8, ""},
      {0, Q(UNDERSCORE), 5, 7, ""},
      {0, Q(MAX_AGE), 6, 10, ""}}},
    {"P3 P5 all that is missing",
     S("x: y"),
     {{0, 0, 1, 1, "unknown key, ignored"},
      {E(NO_VERSION), 0, 1, 5, ""},
      {E(NO_MODE), 0, 1, 5, ""},
      {E(NO_MAX_AGE), 0, 1, 5, ""},
      {E(NO_MX), 0, 1, 5, ""}}},
    {"P10 an error does not hide others, nor is its field missing",
     S("version: 2\nmode: on\nmax_age: x\nmx: -\n"),
     {{E(VERSION), 0, 1, 10, ""},
      {E(MODE), 0, 2, 7, ""},
      {E(MAX_AGE), 0, 3, 10, DIGITS},
      {E(MX), 0, 4, 5, "a label of the name begins or ends with a hyphen"}}},
    {"a quirk before the error of its line",
     S(NONE " x"),
     {{0, Q(INDENT), 4, 1, ""}, {E(LINE), 0, 4, 3, ""}}},
    {"P2 P8 keys nearly right",
     S(VM MA "Version: x\nMODE: x\nMx: x\nMax-Age: x\nmaxage: x\nMAX_AGE: x\nmodes: x"),
     {{0, 0, 5, 1, "unknown key, ignored; did you mean \"version\"?"},
      {0, 0, 6, 1, "unknown key, ignored; did you mean \"mode\"?"},
      {0, 0, 7, 1, "unknown key, ignored; did you mean \"mx\"?"},
      {0, 0, 8, 1, "unknown key, ignored; did you mean \"max_age\"?"},
      {0, 0, 9, 1, "unknown key, ignored; did you mean \"max_age\"?"},
      {0, 0, 10, 1, "unknown key, ignored; did you mean \"max_age\"?"},
      {0, 0, 11, 1, "unknown key, ignored"}}},
    {"P6 P7 what its owner may not have meant",
     S(VM "mode: none\nmx: 192.0.2.1\nmx: *.2.\n" MA),
     {{0, 0, 3, 1, "given before: this line is ignored"},
      {0, 0, 4, 1, "an address: no MX host ever matches it"},
      {0, Q(TRAILING_DOT), 5, 8, ""},
      {0, 0, 5, 1, "an address: no MX host ever matches it"}}},
    {"P4 less than a week",
     S(VM "mx: a\nmax_age: 604799"),
     {{0, 0, 4, 1, "max_age is less than a week: the RFC expects weeks or more"}}},
    {"P4 less than a week, of a mode that comes later",
     S("version: STSv1\nmx: a\nmax_age: 604799\nmode: none"),
     {{0, 0, 0, 0, NULL}}},
};

static void test_lint(void **state)
{
    size_t i, n;
    (void)state;
    for (i = 0; i < COUNT(lints); i++) {
        const struct finding *f = lints[i].findings;
        mtasts_policy p;
        mtasts_diag d;
        mtasts_lint l;
        check(&p, lints[i].body.ptr, lints[i].body.len, &d);
        mtasts_lint_init(&l, lints[i].body.ptr, lints[i].body.len);
        for (n = 1; mtasts_lint_next(&l, &d); f++, n++)
            if (d.err != f->err || d.quirk != f->quirk || d.line != f->line ||
                d.column != f->column || strcmp(d.text, f->text) != 0)
                fail_msg("%s: finding %u: %s %u at %u:%u: %s", lints[i].rule, (unsigned)n,
                         mtasts_err_name((int)d.err), d.quirk, (unsigned)d.line, (unsigned)d.column,
                         d.text);
        assert_int_equal(f->line, 0);
    }
}

/* Under MTASTS_STRICT the first quirk is the error. */
static void test_strict(void **state)
{
    static const struct {
        mtasts_str body;
        unsigned quirk;
        size_t line, column;
    } rows[] = {
        {S(BOM "\n" VM MA), Q(BOM), 1, 1},
        {S(VM " \n" MA), Q(BLANK_LINE), 3, 1},
        {S(VM MA "\n\n"), Q(BLANK_LINE), 5, 1},
        {S(VM "\t" MA), Q(INDENT), 3, 1},
        {S(VM "mx: a.\n" MA), Q(TRAILING_DOT), 3, 6},
        {S(VM "mx: a.b_.\n" MA), Q(TRAILING_DOT), 3, 9},
        {S(VM "mx: a_\n" MA), Q(UNDERSCORE), 3, 6},
        {S(VM "mx: a\nmax_age: 31557601\n"), Q(MAX_AGE), 4, 10},
    };
    mtasts_policy p;
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        mtasts_err err = parse(&p, rows[i].body.ptr, rows[i].body.len, MTASTS_STRICT, &d);
        assert_int_equal(err, E(QUIRK));
        assert_int_equal(d.quirk, rows[i].quirk);
        assert_int_equal(d.line, rows[i].line);
        assert_int_equal(d.column, rows[i].column);
        assert_int_equal(
            mtasts_policy_parse(&p, rows[i].body.ptr, rows[i].body.len, MTASTS_STRICT, NULL),
            E(QUIRK));
    }
}

/* P8: RFC 3629 4, the bounds of every form */
static const char utf8[] =
    "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xec\xbf\xbf \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf "
    "\xf0\x90\x80\x80 \xf3\xbf\xbf\xbf \xf4\x8f\xbf\xbf \xef\xbb\xbf \xc3\xa4\xe2\x82\xac";
/* alone, overlong, surrogates, over U+10FFFF, cut short, wrong later */
static const char not_utf8[] =
    "\x80 \xbf \xfe \xff \xc0\x80 \xc1\xbf \xe0\x80\x80 \xe0\x9f\xbf \xf0\x80\x80\x80 "
    "\xf0\x8f\xbf\xbf \xed\xa0\x80 \xed\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80 "
    "\xf8\x88\x80\x80 \xc3 \xe2\x82 \xf0\x9f\x98 \xc3z \xe2\x82z \xf0\x9f\x98z \xc3\xc3 "
    "\xe0\xa0\x7f \xf1\x80\x80\xc0 \xf1\x80\x7f\x80";

static void check_utf8(const char *bytes, mtasts_err expected)
{
    static const char *const around[][2] = {{"", ""}, {"a", ""}, {"", "b"}, {"\xc3\xa4 ", " c \n"}};
    mtasts_policy p;
    mtasts_diag d;
    char body[128];
    size_t i, len;
    for (; *bytes; bytes += len + (bytes[len] == ' '))
        for (i = 0, len = strcspn(bytes, " "); i < COUNT(around); i++) {
            int n = snprintf(body, sizeof body, NONE "x: %s%.*s%s", around[i][0], (int)len, bytes,
                             around[i][1]);
            assert_int_equal(check(&p, body, (size_t)n, &d), expected);
            assert_true(!expected || d.column == 4 + strlen(around[i][0]));
        }
}

static void test_utf8(void **state)
{
    static const unsigned char tails[] = {0x7f, 0x80, 0xbf, 0xc0};
    char body[] = NONE "x: ....", *at = body + sizeof body - 5;
    mtasts_policy p;
    mtasts_diag d;
    unsigned i, j;
    (void)state;
    check_utf8(utf8, MTASTS_OK);
    check_utf8(not_utf8, E(VALUE));
    for (i = 0x80 << 8; i <= 0xffff; i++) /* all beginnings */
        for (j = 0; j < 16; j++) {
            at[0] = (char)(i >> 8);
            at[1] = (char)i;
            at[2] = (char)tails[j / 4];
            at[3] = (char)tails[j % 4];
            parse(&p, body, sizeof body - 1, 0, &d);
            assert_int_equal(d.err, oracle(body, sizeof body - 1) ? MTASTS_OK : E(VALUE));
        }
}

/* ---- Size, time, completeness */

static char big[BODY_MAX];

/* A good policy of `len` octets, most of them one value. */
static void make_big(size_t len)
{
    memset(big, 'a', sizeof big);
    memcpy(big, NONE "x: ", sizeof NONE + 2);
    big[len - 1] = '\n';
}

/* P9: 64 KiB and no octet more; more is not even looked at. */
static void test_size(void **state)
{
    mtasts_policy p;
    mtasts_diag d;
    mtasts_lint l;
    (void)state;
    make_big(65536);
    assert_int_equal(check(&p, big, 65536, &d), MTASTS_OK);
    make_big(65537);
    assert_int_equal(check(&p, big, 65537, &d), E(SIZE));
    assert_int_equal(d.offset, 65536);
    big[0] = '!';
    assert_int_equal(check(&p, big, 65537, &d), E(SIZE));
    DIRTY(d);
    assert_int_equal(mtasts_policy_parse(&p, fenced(0, 1, "", 0), SIZE_MAX, 0, &d), E(SIZE));
    assert_diag(&d, E(SIZE), 65536);
    mtasts_lint_init(&l, fenced(0, 1, "", 0), 65537);
    assert_true(mtasts_lint_next(&l, &d) && d.err == E(SIZE) && d.offset == 65536);
    assert_false(mtasts_lint_next(&l, &d));
}

/* P11: forty times each, so that work that is quadratic takes minutes, and that which is not none.
 */
static void test_work(void **state)
{
    static const struct {
        const char *unit;
        size_t findings;
    } rows[] = {
        {"\n", 65536 + 4},
        {":", 1 + 4},
        {"a\n", 32768 + 4},
        {"mx: a\n", 1 + 3}, /* the last is "mx: " */
        {"a", 1 + 4},
        {"x: y\n", 13108 + 4}, /* the last is "x" */
        {" ", 1 + 4},
        {"\r", 1 + 4},
        {"_\n", 32768 + 4},
        {" :\n", 2 * 21845 + 1 + 4},
        {"mx: _.\n", 2 * 9362 + 1 + 3},
        {"mode:", 1 + 3},
        {"mode:\n", 10922 + 1 + 3},
        {"\xef\xbb\xbf", 2 + 4},
        {"mx: a.", 1 + 3},
        {"a.", 1 + 4},
    };
    mtasts_policy p;
    mtasts_diag d;
    mtasts_lint l;
    size_t i, j, n, size;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        for (j = 0, n = strlen(rows[i].unit); j < 65536; j++)
            big[j] = rows[i].unit[j % n];
        for (j = 0; j < 40; j++) {
            size = 0;
            assert_int_not_equal(mtasts_policy_parse(&p, big, 65536, 0, &d), MTASTS_OK);
            for (mtasts_lint_init(&l, big, 65536); mtasts_lint_next(&l, &d); size++)
                ;
        }
        if (size != rows[i].findings)
            fail_msg("row %u: %u findings", (unsigned)i, (unsigned)size);
    }
}

/* P11: the iterators too, over the most lines that there can be */
static void test_work_of_iterators(void **state)
{
    mtasts_policy p;
    mtasts_diag d;
    mtasts_str s;
    size_t cursor, n, i;
    (void)state;
    make_big(65536);
    for (i = sizeof NONE - 1; i < 65536; i++)
        big[i] = "mx:a\n"[(i - sizeof NONE + 1) % 5];
    big[65535] = '\n';
    assert_int_equal(parse(&p, big, 65536 - (65536 - (sizeof NONE - 1)) % 5, 0, &d), MTASTS_OK);
    for (i = 0; i < 40; i++) {
        for (cursor = n = 0; mtasts_policy_next_mx(&p, &cursor, &s); n++)
            assert_true(s.len == 1 && *s.ptr == 'a');
        assert_int_equal(n, p.mx_count);
        for (cursor = n = 0; mtasts_policy_next_line(&p, &cursor, &s); n++)
            ;
        assert_int_equal(n, p.mx_count + 3);
    }
}

/* P12: cut short, a policy can be another valid one; so it is never parsed unless known complete.
 */
static void test_incomplete(void **state)
{
    static const char body[] = "version: STSv1\nmode: enforce\nmx: a.example.com\nmax_age: 6048000";
    mtasts_str type = S("text/plain"), none = {NULL, 0};
    mtasts_policy p;
    mtasts_diag d;
    (void)state;
    assert_int_equal(check(&p, body, sizeof body - 2, &d), MTASTS_OK);
    assert_int_equal(p.max_age, 604800);
    assert_int_equal(mtasts_http_check(200, type, none, sizeof body - 2, 0),
                     MTASTS_ERR_HTTP_INCOMPLETE);
    assert_int_equal(mtasts_http_check(200, type, none, sizeof body - 1, 1), MTASTS_OK);
}

/* P13 */
static void test_lines_as_served(void **state)
{
    static const char body[] =
        "version: STSv1 \r\n\n x:\ty\r\nmode: none\nmode: \r\r\nmax_age: 1\t";
    static const char *const lines[] = {"version: STSv1 ", "",         " x:\ty",
                                        "mode: none",      "mode: \r", "max_age: 1\t"};
    mtasts_policy p;
    mtasts_diag d;
    mtasts_str line;
    size_t i, cursor = 0;
    (void)state;
    assert_int_equal(check(&p, body, sizeof body - 1, &d), MTASTS_OK);
    assert_memory_equal(p.text.ptr, body, sizeof body - 1);
    for (i = 0; i < COUNT(lines); i++) {
        assert_true(mtasts_policy_next_line(&p, &cursor, &line));
        assert_str(line, lines[i]);
    }
    assert_false(mtasts_policy_next_line(&p, &cursor, &line));
}

/* A cursor is private, but none makes an iterator leave the text. */
static void test_cursors(void **state)
{
    static const char body[] = BOM " mx: b\r\n" NONE "x: mx: \nmx: *.c.\r\n";
    mtasts_policy p;
    mtasts_diag d;
    mtasts_str s;
    size_t i, cursor;
    (void)state;
    assert_int_equal(check(&p, body, sizeof body - 1, &d), MTASTS_OK);
    for (i = 0; i < 2 * sizeof body; i++) {
        for (cursor = i; mtasts_policy_next_mx(&p, &cursor, &s);)
            assert_true(s.len <= p.text.len - (size_t)(s.ptr - p.text.ptr));
        for (cursor = i; mtasts_policy_next_line(&p, &cursor, &s);)
            assert_true(s.len <= p.text.len - (size_t)(s.ptr - p.text.ptr));
    }
    cursor = SIZE_MAX;
    assert_false(mtasts_policy_next_mx(&p, &cursor, &s));
    assert_false(mtasts_policy_next_line(&p, &cursor, &s));
    memset(&p, 0, sizeof p); /* as after an error */
    cursor = 0;
    assert_false(mtasts_policy_next_mx(&p, &cursor, &s));
    assert_false(mtasts_policy_next_line(&p, &cursor, &s));
}

/* P2, P3: exactly three words */
static void test_mode_names(void **state)
{
    static const char *const names[] = {"none", "testing", "enforce"};
    static const char *const none[] = {"",         "None",    "non",    "nonee",
                                       "enforce ", "Testing", "UNKNOWN"};
    int i;
    (void)state;
    for (i = -5; i < 10; i++)
        assert_string_equal(mtasts_mode_name(i), i >= 0 && i < 3 ? names[i] : "UNKNOWN");
    for (i = 0; i < 3; i++)
        assert_int_equal(mtasts_mode_from_name(names[i], strlen(names[i])), i);
    for (i = 0; i < (int)COUNT(none); i++)
        assert_int_equal(mtasts_mode_from_name(none[i], strlen(none[i])), -1);
    assert_int_equal(mtasts_mode_from_name("none\0", 5), -1);
    assert_int_equal(mtasts_mode_from_name(NULL, 0), -1);
    assert_int_equal(mtasts_mode_from_name(NULL, 4), -1);
    assert_int_equal(mtasts_mode_from_name(NULL, 7), -1);
}

static void test_null(void **state)
{
    mtasts_policy p;
    mtasts_diag d;
    mtasts_lint l;
    mtasts_str part;
    size_t cursor = 0;
    (void)state;
    assert_int_equal(parse(&p, NULL, 0, 0, &d), E(NO_VERSION));
    check_lint(&p, &d, NULL, 0);
    DIRTY(d);
    assert_int_equal(mtasts_policy_parse(&p, NULL, 1, 0, &d), MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_int_equal(mtasts_policy_parse(&p, NULL, SIZE_MAX, 0, NULL), MTASTS_ERR_USAGE);
    assert_int_equal(mtasts_policy_parse(NULL, NONE, 9, 0, NULL), MTASTS_ERR_USAGE);
    /* flags of other functions */
    assert_int_equal(mtasts_policy_parse(&p, NONE, sizeof NONE - 1, MTASTS_REFRESH, &d),
                     MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_int_equal(
        mtasts_policy_parse(&p, NONE, sizeof NONE - 1, MTASTS_STRICT | 0x80000000u, &d),
        MTASTS_ERR_USAGE);
    p.text.ptr = NULL;
    p.text.len = 7;
    assert_false(mtasts_policy_next_line(&p, &cursor, &part));
    assert_false(mtasts_policy_next_mx(&p, &cursor, &part));
    assert_true(!cursor && !part.ptr && !part.len);
    mtasts_lint_init(&l, NULL, 7);
    DIRTY(d);
    assert_true(mtasts_lint_next(&l, &d));
    assert_diag(&d, d.err, 0);
    assert_int_not_equal(d.err, MTASTS_OK);
}

static int setup(void **state)
{
    int i, failed = 0;
    (void)state;
    for (i = 0; i < KINDS; i++)
        failed += regcomp(&regex[i], grammar[i], REG_EXTENDED);
    return failed;
}

static int teardown(void **state)
{
    int i;
    (void)state;
    for (i = 0; i < KINDS; i++)
        regfree(&regex[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lint),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_work_of_iterators),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_lines_as_served),
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_mode_names),
        cmocka_unit_test(test_null),
    };
    return cmocka_run_group_tests_name("5 policy", tests, setup, teardown);
}
