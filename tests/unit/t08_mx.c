/* Section 8, MX match (RFC 8461 4.1; rules M1 to M5).
 * Goal: a host matches a pattern exactly when RFC 8461 says so, and nothing unclear ever matches.
 * Method: tables, mutations, and a slow second reading on all pairs of short names. */
#include "test.h"

#define S(literal)                  \
    {                               \
        literal, sizeof literal - 1 \
    }

/* ---- the second reading: labels, one by one ---- */

typedef struct reading {
    char text[260]; /* lower case, without a trailing dot and without "*." */
    int ok, star;
} reading;

static int label_ok(const char *p, size_t len)
{
    size_t i;
    if (len == 0 || len > 63 || p[0] == '-' || p[len - 1] == '-')
        return 0;
    for (i = 0; i < len; i++)
        if (!p[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", p[i]))
            return 0;
    return 1;
}

static reading read_name(const char *p, size_t len, int pattern)
{
    reading r = {"", 0, 0};
    size_t i, start = 0;
    if (pattern && len > 1 && memcmp(p, "*.", 2) == 0)
        r.star = 1, p += 2, len -= 2;
    if (len && p[len - 1] == '.')
        len--;
    if (len > 253)
        return r;
    for (i = 0; i < len; i++) {
        r.text[i] = p[i];
        if (p[i] >= 'A' && p[i] <= 'Z')
            r.text[i] = (char)(p[i] - 'A' + 'a');
    }
    for (i = 0; i <= len; i++)
        if (i == len || r.text[i] == '.') {
            if (!label_ok(r.text + start, i - start))
                return r;
            if (i < len)
                start = i + 1;
        }
    r.ok = strspn(r.text + start, "0123456789") != len - start; /* else an address */
    return r;
}

static int expected(const reading *pattern, const reading *host)
{
    const char *h = host->text;
    if (!pattern->ok || !host->ok)
        return 0;
    if (pattern->star) {
        h = strchr(h, '.');
        if (!h)
            return 0;
        h++;
    }
    return strcmp(pattern->text, h) == 0;
}

static int matches(mtasts_str pattern, mtasts_str host)
{
    int got = mtasts_mx_matches(fenced(0, 0, pattern.ptr, pattern.len), pattern.len,
                                fenced(1, 0, host.ptr, host.len), host.len);
    assert_int_equal(mtasts_mx_matches(fenced(0, 1, pattern.ptr, pattern.len), pattern.len,
                                       fenced(1, 1, host.ptr, host.len), host.len),
                     got);
    return got;
}

static int both(mtasts_str pattern, mtasts_str host)
{
    reading p = read_name(pattern.ptr, pattern.len, 1), h = read_name(host.ptr, host.len, 0);
    int got = matches(pattern, host);
    if (got != expected(&p, &h))
        fail_msg("%.*s against %.*s: %d", (int)host.len, host.ptr, (int)pattern.len, pattern.ptr,
                 got);
    return got;
}

/* ---- tables ---- */

static const struct {
    const char *rule;
    int match;
    mtasts_str pattern, host;
} pairs[] = {
    {"M1 same", 1, S("mx.example.com"), S("mx.example.com")},
    {"M1 case", 1, S("MX.example.com"), S("mx.EXAMPLE.com")},
    {"M1 case behind a star", 1, S("*.Example.COM"), S("mX.eXample.com")},
    {"M1 dot on the host", 1, S("mx.example.com"), S("mx.example.com.")},
    {"M1 dot on the pattern", 1, S("mx.example.com."), S("mx.example.com")},
    {"M1 dot on both", 1, S("*.example.com."), S("mx.example.com.")},
    {"M1 two dots", 0, S("mx.example.com"), S("mx.example.com..")},
    {"M1 digits, hyphens, underscores", 1, S("m-1_x.0a.b--c"), S("M-1_X.0A.B--C")},
    {"M1 underscore is not DEL", 0, S("a_b.c"),
     S("a\x7f"
       "b.c")},
    {"M1 hyphen is not CR", 0, S("a-b.c"), S("a\rb.c")},
    {"M1 at sign is no grave accent", 0, S("a@b.c"), S("a`b.c")},
    {"M1 bracket is no brace", 0, S("a[b.c"), S("a{b.c")},
    {"M1 digit is not its bit's neighbour", 0, S("a0.c"), S("a\x10.c")},
    {"M1 other", 0, S("mx.example.com"), S("my.example.com")},
    {"M1 prefix", 0, S("mx.example.com"), S("mx.example.co")},
    {"M1 suffix", 0, S("example.com"), S("mx.example.com")},
    {"M1 longer host", 0, S("mx.example.com"), S("mx.example.com.evil.net")},
    {"M2 one label", 1, S("*.example.com"), S("mail.example.com")},
    {"M2 one label of one octet", 1, S("*.example.com"), S("m.example.com")},
    {"M2 underscore for the star", 1, S("*.example.com"), S("_m.example.com")},
    {"M2 top-level", 1, S("*.com"), S("example.com")},
    {"M2 no label", 0, S("*.example.com"), S("example.com")},
    {"M2 two labels", 0, S("*.example.com"), S("a.b.example.com")},
    {"M2 empty label", 0, S("*.example.com"), S(".example.com")},
    {"M2 no boundary", 0, S("*.example.com"), S("mailexample.com")},
    {"M2 single label", 0, S("*.com"), S("com")},
    {"M2 star alone", 0, S("*"), S("com")},
    {"M2 star and dot", 0, S("*."), S("com")},
    {"M2 star, dot, dot", 0, S("*.."), S("com.")},
    {"M2 two stars", 0, S("*.*.com"), S("a.b.com")},
    {"M2 inner star", 0, S("mx.*.com"), S("mx.example.com")},
    {"M2 star in a label", 0, S("m*.example.com"), S("mx.example.com")},
    {"M2 star with more", 0, S("*x.example.com"), S("mx.example.com")},
    {"M2 star in the host", 0, S("*.example.com"), S("*.example.com")},
    {"M2 no dot behind the star", 0, S("*example.com"), S("mx.example.com")},
    {"M3 both empty", 0, S(""), S("")},
    {"M3 empty host", 0, S("*.example.com"), S("")},
    {"M3 empty pattern", 0, S(""), S("mx.example.com")},
    {"M3 dots", 0, S("."), S(".")},
    {"M3 literal", 0, S("[192.0.2.1]"), S("[192.0.2.1]")},
    {"M3 address", 0, S("192.0.2.1"), S("192.0.2.1")},
    {"M3 address behind a star", 0, S("*.0.2.1"), S("192.0.2.1")},
    {"M3 digits at the end", 0, S("mx.example.1"), S("mx.example.1")},
    {"M3 a number", 0, S("2130706433"), S("2130706433")},
    {"M3 hexadecimal", 1, S("mx.0x7f"), S("mx.0x7f")}, /* a name all the same */
    {"M3 hyphen first", 0, S("-a.b"), S("-a.b")},
    {"M3 hyphen last", 0, S("a-.b"), S("a-.b")},
    {"M3 hyphen for the star", 0, S("*.b"), S("-.b")},
    {"M3 blank", 0, S(" a.b"), S(" a.b")},
    {"M3 NUL", 0, S("a.b\0"), S("a.b\0")},
    {"M3 NUL inside", 0, S("a.b"), S("a.b\0.evil")},
    {"M3 line", 0, S("a.b"), S("a.b\n")},
    {"M4 the domain itself", 1, S("example.com"), S("example.com")},
    {"M5 A-label", 1, S("*.example"), S("xn--bcher-kva.example")},
    {"M5 U-label", 0, S("b\xc3\xbc.de"), S("b\xc3\xbc.de")},
    {"M5 U-label for the star", 0, S("*.de"), S("b\xc3\xbc.de")},
    {"M5 Latin-1", 0, S("b\xfc.de"), S("b\xdc.de")},
    {"M5 ideographic dot", 0, S("a.b"),
     S("a\xe3\x80\x82"
       "b")},
};

static void test_M1_to_M5_table(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(pairs); i++)
        if (both(pairs[i].pattern, pairs[i].host) != pairs[i].match)
            fail_msg("%s", pairs[i].rule);
}

static void test_mutated(void **state)
{
    char copy[64];
    size_t i, t, m;
    (void)state;
    for (i = 0; i < COUNT(pairs); i++) {
        const mtasts_str p = pairs[i].pattern, h = pairs[i].host;
        mtasts_str c = {copy, 0};
        for (t = 0; t <= p.len; t++)
            both((mtasts_str){p.ptr, t}, h);
        for (t = 0; t <= h.len; t++)
            both(p, (mtasts_str){h.ptr, t});
        for (m = 0; m < sizeof mutants; m++) {
            for (t = 0; t < p.len; t++) {
                memcpy(copy, p.ptr, c.len = p.len);
                copy[t] = mutants[m];
                both(c, h);
            }
            for (t = 0; t < h.len; t++) {
                memcpy(copy, h.ptr, c.len = h.len);
                copy[t] = mutants[m];
                both(p, c);
            }
        }
    }
}

/* M3: labels and names at their greatest length. */
static void test_M3_limits(void **state)
{
    static char a[300], b[300];
    size_t len, i, label;
    (void)state;
    for (len = 240; len < 260; len++)
        for (label = 60; label < 66; label++) {
            mtasts_str host = {a, len}, same = {b, len}, star = {b + label - 1, len - label + 1};
            int ok = len <= 253 && label < 64;
            memset(a, 'a', len);
            for (i = label; i < len; i += label + 1)
                a[i] = '.';
            memcpy(b, a, len);
            if (a[len - 1] == '.')
                continue;
            assert_int_equal(both(same, host), ok);
            a[len] = '.';
            host.len++;
            assert_int_equal(both(same, host), ok);
            b[label - 1] = '*'; /* in place of the first label */
            assert_int_equal(both(star, host), ok);
        }
}

static void test_null(void **state)
{
    mtasts_str s;
    (void)state;
    assert_int_equal(mtasts_mx_matches(NULL, 0, NULL, 0), 0);
    assert_int_equal(mtasts_mx_matches(NULL, 3, "a.b", 3), 0);
    assert_int_equal(mtasts_mx_matches(NULL, 1, "a", 1), 0);
    assert_int_equal(mtasts_mx_matches("a.b", 3, NULL, 3), 0);
    DIRTY(s);
    assert_int_equal(mtasts_policy_find(NULL, "a.b", 3, &s), 0);
    assert_true(all_zero(&s, sizeof s));
    assert_int_equal(mtasts_policy_matches(NULL, NULL, 0), 0);
}

/* ---- all short names ---- */

static const char alphabet[] = "aA.*-_1";

typedef struct word {
    char text[6];
    size_t len;
    reading as_pattern, as_host;
} word;

static size_t make_words(word *words, size_t most)
{
    size_t count = 1, from = 0, i, c, end;
    memset(words, 0, sizeof *words);
    for (; most; most--, from = end) {
        end = count;
        for (i = from; i < end; i++)
            for (c = 0; alphabet[c]; c++) {
                words[count] = words[i];
                words[count].text[words[count].len++] = alphabet[c];
                count++;
            }
    }
    for (i = 0; i < count; i++) {
        words[i].as_pattern = read_name(words[i].text, words[i].len, 1);
        words[i].as_host = read_name(words[i].text, words[i].len, 0);
    }
    return count;
}

static void check_pairs(const word *patterns, size_t count, const word *hosts, size_t host_count)
{
    size_t p, h, found = 0;
    for (p = 0; p < count; p++)
        for (h = 0; h < host_count; h++) {
            int got =
                mtasts_mx_matches(patterns[p].text, patterns[p].len, hosts[h].text, hosts[h].len);
            if (got != expected(&patterns[p].as_pattern, &hosts[h].as_host))
                fail_msg("%s against %s: %d", hosts[h].text, patterns[p].text, got);
            found += (size_t)got;
        }
    assert_true(found >= 30);
}

/* Every name of up to four octets against every other, and longer ones against shorter. */
static void test_M2_M3_all_pairs(void **state)
{
    static word words[20000];
    size_t all = make_words(words, 5);
    (void)state;
    assert_int_equal(all, 19608);
    check_pairs(words, 2801, words, 2801);
    check_pairs(words, all, words, 400);
    check_pairs(words, 400, words, all);
}

/* ---- the whole policy ---- */

static mtasts_policy parse(int which, const char *text)
{
    mtasts_policy p;
    DIRTY(p);
    assert_int_equal(
        mtasts_policy_parse(&p, fenced(which, 1, text, strlen(text)), strlen(text), 0, NULL),
        MTASTS_OK);
    return p;
}

static const struct {
    const char *name, *body, *host, *pattern;
} policies[] = {
    {"first of two", "version: STSv1\nmode: enforce\nmx: *.b.c\nmx: a.b.c\nmax_age: 1", "a.b.c",
     "*.b.c"},
    {"second", "version: STSv1\nmode: enforce\nmx: x.b.c\nmx: A.b.c\nmax_age: 1", "a.B.c.",
     "A.b.c"},
    {"repeated", "version: STSv1\r\nmode: testing\r\nmx: A.b\r\nmx: a.b\r\nmax_age: 1\r\n", "a.b",
     "A.b"},
    {"dot, byte order mark", "\xef\xbb\xbfmx: a.b. \nversion: STSv1\nmode: enforce\nmax_age: 1",
     "a.b", "a.b"},
    {"mode none", "version: STSv1\nmode: none\nmx:a.b\nmax_age: 1", "a.b", "a.b"},
    {"behind what is no mx", "version: STSv1\nmode: enforce\nmxx: a.b\nmx: *.b\nmax_age: 1", "a.b",
     "*.b"},
    {"not listed", "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 1", "b", NULL},
    {"no mx", "version: STSv1\nmode: none\nmax_age: 1", "a.b", NULL},
    {"another key", "version: STSv1\nmode: none\nmxx: a.b\nx: mx: a.b\nmax_age: 1", "a.b", NULL},
    {"empty host", "version: STSv1\nmode: enforce\nmx: *.b\nmax_age: 1", "", NULL},
    {"literal", "version: STSv1\nmode: enforce\nmx: *.b\nmax_age: 1", "[192.0.2.1]", NULL},
    {"star as a host", "version: STSv1\nmode: enforce\nmx: *.b\nmax_age: 1", "*.b", NULL},
};

static void test_M4_policy_find(void **state)
{
    size_t i;
    int side;
    (void)state;
    for (i = 0; i < COUNT(policies); i++)
        for (side = 0; side < 2; side++) {
            mtasts_policy p = parse(0, policies[i].body);
            size_t len = strlen(policies[i].host);
            const char *host = fenced(1, side, policies[i].host, len);
            mtasts_str found;
            DIRTY(found);
            if (mtasts_policy_find(&p, host, len, &found) != (policies[i].pattern != NULL))
                fail_msg("%s", policies[i].name);
            assert_int_equal(mtasts_policy_matches(&p, host, len), policies[i].pattern != NULL);
            assert_int_equal(mtasts_policy_find(&p, host, len, NULL), policies[i].pattern != NULL);
            if (!policies[i].pattern) {
                assert_true(all_zero(&found, sizeof found));
                continue;
            }
            assert_str(found, policies[i].pattern);
            assert_true(found.ptr >= p.text.ptr &&
                        found.ptr + found.len <= p.text.ptr + p.text.len);
        }
}

/* A policy matches exactly when one of its patterns does: many patterns, many hosts. */
static void test_policy_is_its_patterns(void **state)
{
    static word words[3000];
    static char body[1 << 16];
    size_t count = make_words(words, 4), i, n, cursor;
    mtasts_policy p;
    mtasts_str mx;
    (void)state;
    n = (size_t)sprintf(body, "version: STSv1\nmode: enforce\nmax_age: 1\n");
    for (i = 0; i < count; i += 5)
        if (words[i].as_pattern.ok)
            n += (size_t)sprintf(body + n, "mx: %s\n", words[i].text);
    p = parse(0, body);
    for (i = 0; i < count; i++) {
        int any = 0;
        for (cursor = 0; mtasts_policy_next_mx(&p, &cursor, &mx);)
            any |= mtasts_mx_matches(mx.ptr, mx.len, words[i].text, words[i].len);
        assert_int_equal(mtasts_policy_matches(&p, words[i].text, words[i].len), any);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_M1_to_M5_table),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_M3_limits),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_M2_M3_all_pairs),
        cmocka_unit_test(test_M4_policy_find),
        cmocka_unit_test(test_policy_is_its_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
