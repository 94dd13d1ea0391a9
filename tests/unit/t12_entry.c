/* Section 12: entry (D9, D11, D13).
 * Goal: an entry comes back from its text whole or not at all, and never lives longer for it.
 * Method: texts as they must be; a CRC-32 and a clock rule of the test's own as a second opinion;
 * every truncation, changed octet, torn half and buffer size, at fences. */
#include "test.h"

#include <inttypes.h>

#define L63    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253   L63 "." L63 "." L63 ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define X32    "abcdefghijklmnopqrstuvwxyz012345"
#define BIG    131072
#define YEAR   31557600
#define HEAD   31 /* octets of the first line */
#define MAGIC  15 /* those of it that say what this is */
#define SYNTAX MTASTS_ERR_ENTRY_SYNTAX
#define DAMAGE MTASTS_ERR_ENTRY_DAMAGED
#define OTHER  MTASTS_ERR_ENTRY_VERSION

#define POLICY "version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 86400\n"

/* An entry in words, and what it must look like without its first line. */
typedef struct sample {
    const char *name;
    const char *domain, *id, *policy; /* policy NULL: an absence */
    int64_t fetched, expires, checked, used, refresh;
    uint32_t failures;
    mtasts_err failed;
    const char *failed_id;
    int64_t retry;
    const char *rest;
} sample;

/* clang-format off */
#define ABSENCE \
    "domain: a\n" "id: \n" "fetched: 7\n" "expires: 307\n" "checked: 8\n" "used: 9\n" \
    "refresh: 307\n" "failures: 0\n"
#define FULL \
    "domain: example.com\n" "id: 20260131T1200\n" "fetched: 1000\n" "expires: 87400\n" \
    "checked: 1100\n" "used: 1200\n" "refresh: 80000\n" "failures: 2\n" \
    "failed: MTASTS_ERR_HTTPS_CERT\n" "no-record: 0\n" "failed-id: B2\n" "retry: 2000\n" "policy:\n" POLICY
#define MAX "9223372036854775807"


static const sample samples[] = {
    {"absence", "a", "", NULL, 7, 307, 8, 9, 307, 0, MTASTS_OK, "", 0, ABSENCE},
    {"policy and failures", "example.com", "20260131T1200", POLICY, 1000, 87400, 1100, 1200, 80000,
     2, MTASTS_ERR_HTTPS_CERT, "B2", 2000, FULL},
    {"policy without failures", "xn--4gbrim.example", "x", POLICY, 5, 86405, 6, 7, 8, 0,
     MTASTS_ERR_HTTPS_CERT, "left over", -1,
     "domain: xn--4gbrim.example\nid: x\nfetched: 5\nexpires: 86405\nchecked: 6\nused: 7\n"
     "refresh: 8\nfailures: 0\npolicy:\n" POLICY},
    {"failures without policy", "_a.b-c.d9", "", NULL, 10, 20, 10, 10, 20, UINT32_MAX,
     MTASTS_ERR_POLICY_NO_MX, X32, 310,
     "domain: _a.b-c.d9\nid: \nfetched: 10\nexpires: 20\nchecked: 10\nused: 10\nrefresh: 20\n"
     "failures: 4294967295\nfailed: MTASTS_ERR_POLICY_NO_MX\nno-record: 0\nfailed-id: " X32 "\nretry: 310\n"},
    {"failures for more than one id", "a", "", NULL, 3, 3, 3, 3, 3, 2, MTASTS_ERR_POLICY_SIZE, "",
     9, "domain: a\nid: \nfetched: 3\nexpires: 3\nchecked: 3\nused: 3\nrefresh: 3\n"
     "failures: 2\nfailed: MTASTS_ERR_POLICY_SIZE\nno-record: 0\nfailed-id: \nretry: 9\n"},
    {"all times 0", "a.b", X32, POLICY, 0, 86400, 0, 0, 0, 1, MTASTS_ERR_LIMIT, "0", 0,
     "domain: a.b\nid: " X32 "\nfetched: 0\nexpires: 86400\nchecked: 0\nused: 0\nrefresh: 0\n"
     "failures: 1\nfailed: MTASTS_ERR_LIMIT\nno-record: 0\nfailed-id: 0\nretry: 0\npolicy:\n" POLICY},
    {"absence, all times 0", "a.b", "", NULL, 0, 0, 0, 0, 0, 0, MTASTS_OK, "", 0,
     "domain: a.b\nid: \nfetched: 0\nexpires: 0\nchecked: 0\nused: 0\nrefresh: 0\nfailures: 0\n"},
    {"all times the last", N253, "Z9", POLICY, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
     INT64_MAX, 1, MTASTS_ERR_HTTP_STATUS, "1", INT64_MAX,
     "domain: " N253 "\nid: Z9\nfetched: " MAX "\nexpires: " MAX "\nchecked: " MAX "\nused: " MAX
     "\nrefresh: " MAX "\nfailures: 1\nfailed: MTASTS_ERR_HTTP_STATUS\nno-record: 0\nfailed-id: 1\nretry: " MAX
     "\npolicy:\n" POLICY},
    {"absence, all times the last", "a", "", NULL, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
     INT64_MAX, 0, MTASTS_OK, "", 0,
     "domain: a\nid: \nfetched: " MAX "\nexpires: " MAX "\nchecked: " MAX "\nused: " MAX
     "\nrefresh: " MAX "\nfailures: 0\n"},
    {"ends after the last time", "a", "x", POLICY, INT64_MAX - 86399, INT64_MAX, 0, 0, 0, 0,
     MTASTS_OK, "", 0,
     "domain: a\nid: x\nfetched: 9223372036854689408\nexpires: " MAX "\nchecked: 0\nused: 0\n"
     "refresh: 0\nfailures: 0\npolicy:\n" POLICY},
    {"policy with quirks, CRLF and no end", "a", "x",
     "\xef\xbb\xbfversion: STSv1\r\n\r\n mode: none\r\nmax_age: 9999999999", 1, YEAR + 1, 1, 1, 1,
     0, MTASTS_OK, "", 0,
     "domain: a\nid: x\nfetched: 1\nexpires: 31557601\nchecked: 1\nused: 1\nrefresh: 1\n"
     "failures: 0\npolicy:\n"
     "\xef\xbb\xbfversion: STSv1\r\n\r\n mode: none\r\nmax_age: 9999999999"},
    {"policy of one second", "a", "x", "version: STSv1\nmode: none\nmax_age: 1", 9, 10, 9, 9, 9, 0,
     MTASTS_OK, "", 0,
     "domain: a\nid: x\nfetched: 9\nexpires: 10\nchecked: 9\nused: 9\nrefresh: 9\n"
     "failures: 0\npolicy:\nversion: STSv1\nmode: none\nmax_age: 1"},
};
/* clang-format on */

static mtasts_str view(const char *text)
{
    mtasts_str s = {text, text ? strlen(text) : 0};
    return s;
}

static mtasts_entry make(const sample *s)
{
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    e.domain = view(s->domain);
    e.id = view(s->id);
    if (s->policy)
        assert_int_equal(mtasts_policy_parse(&e.policy, s->policy, strlen(s->policy), 0, NULL),
                         MTASTS_OK);
    e.fetched = s->fetched;
    e.expires = s->expires;
    e.checked = s->checked;
    e.used = s->used;
    e.refresh = s->refresh;
    e.failures = s->failures;
    e.failed = s->failed;
    e.failed_id = view(s->failed_id);
    e.retry = s->retry;
    return e;
}

/* CRC-32 as the standards define it: one bit at a time. */
static uint32_t crc32(const char *p, size_t len)
{
    uint32_t crc = 0xffffffffu;
    int bit;
    for (; len--; p++) {
        crc ^= (unsigned char)*p;
        for (bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return crc ^ 0xffffffffu;
}

/* The text with a first line that is right about it. Good until the next call. */
static const char *seal(const char *rest, size_t len, size_t *sealed_len)
{
    static char text[BIG];
    assert_true(len < sizeof text - HEAD);
    assert_int_equal(snprintf(text, sizeof text, "mtasts-entry 1 %08" PRIx32 " %06u\n",
                              crc32(rest, len), (unsigned)len),
                     HEAD);
    memcpy(text + HEAD, rest, len);
    text[HEAD + len] = '\0';
    *sealed_len = HEAD + len;
    return text;
}

/* What must hold of any answer. Of any domain, at both fences. */
static mtasts_err read_any(mtasts_entry *out, const char *text, size_t len, int64_t now,
                           mtasts_diag *d)
{
    mtasts_err err = MTASTS_OK;
    int side;
    for (side = 0; side < 2; side++) {
        const char *at = fenced(0, side, text, len);
        DIRTY(*out);
        DIRTY(*d);
        err = mtasts_entry_read(out, NULL, 0, at, len, now, d);
        assert_diag(d, err, len);
        if (err)
            assert_true(all_zero(out, sizeof *out));
        else
            assert_int_equal(d->offset, len);
    }
    return err;
}

static void assert_same_str(mtasts_str a, mtasts_str b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

static void assert_same(const mtasts_entry *a, const mtasts_entry *b)
{
    assert_same_str(a->domain, b->domain);
    assert_same_str(a->id, b->id);
    assert_int_equal(a->policy.mode, b->policy.mode);
    assert_int_equal(a->policy.max_age, b->policy.max_age);
    assert_int_equal(a->policy.mx_count, b->policy.mx_count);
    assert_int_equal(a->policy.quirks, b->policy.quirks);
    assert_int_equal(!a->policy.text.ptr, !b->policy.text.ptr);
    assert_same_str(a->policy.text, b->policy.text);
    assert_true(a->fetched == b->fetched && a->expires == b->expires && a->checked == b->checked);
    assert_true(a->used == b->used && a->refresh == b->refresh);
    assert_int_equal(a->failures, b->failures);
    if (a->failures) {
        assert_int_equal(a->failed, b->failed);
        assert_same_str(a->failed_id, b->failed_id);
        assert_true(a->retry == b->retry);
    }
}

/* ---- what is written */

/* A buffer of `cap` octets that ends at a fence, with 0xff in and before it. */
static char *buffer(size_t cap)
{
    static char dirt[BIG];
    memset(dirt, 0xff, sizeof dirt);
    return (char *)(uintptr_t)fenced(3, 1, dirt, cap + 1) + 1;
}

/* At this size: the text whole, or "" and the length that it takes. */
static void check_size(const mtasts_entry *e, const char *expected, size_t expected_len, size_t cap)
{
    char *out = buffer(cap);
    size_t len = SIZE_MAX;
    mtasts_err err = mtasts_entry_write(cap ? out : NULL, cap, &len, e);
    assert_int_equal(err, cap > expected_len ? MTASTS_OK : MTASTS_ERR_SPACE);
    assert_int_equal(len, expected_len);
    if (!err)
        assert_memory_equal(out, expected, expected_len + 1);
    else if (cap)
        assert_int_equal(*out, '\0');
    assert_int_equal((unsigned char)out[-1], 0xff);
}

/* D11: the text is exact, and back comes what was written. */
static void test_round_trips(void **state)
{
    mtasts_entry e, back;
    mtasts_diag d;
    size_t i, cap, len;
    (void)state;
    for (i = 0; i < COUNT(samples); i++) {
        const sample *s = &samples[i];
        const char *text = seal(s->rest, strlen(s->rest), &len);
        e = make(s);
        for (cap = 0; cap <= len + 1; cap++)
            check_size(&e, text, len, cap);
        if (read_any(&back, text, len, INT64_MAX, &d))
            fail_msg("%s: %s", s->name, mtasts_err_name((int)d.err));
        assert_same(&back, &e);
        if (s->policy) /* the policy is the end of the text, not a copy */
            assert_ptr_equal(back.policy.text.ptr + back.policy.text.len,
                             fenced(0, 1, text, len) + len);
        check_size(&back, text, len, len + 1);
    }
}

/* The checksum is CRC-32, and nothing about the form moves without a new version. */
static void test_literal(void **state)
{
    static const char text[] = "mtasts-entry 1 04a39fd4 000083\n" ABSENCE;
    mtasts_entry e = make(&samples[0]);
    char out[256];
    size_t len;
    (void)state;
    assert_int_equal(crc32("123456789", 9), 0xcbf43926u);
    assert_int_equal(mtasts_entry_write(out, sizeof out, &len, &e), MTASTS_OK);
    assert_string_equal(out, text);
    assert_int_equal(len, sizeof text - 1);
}

/* A policy of 64 KiB; the longest of everything fits into MTASTS_ENTRY_MAX. */
static const char *long_policy(void)
{
    static char text[MTASTS_POLICY_MAX + 1];
    static const char line[] = "mx: mail.example.com\n";
    size_t n;
    memset(text, 'x', sizeof text - 1);
    memcpy(text, POLICY, sizeof POLICY - 1);
    for (n = sizeof POLICY - 1; n + 2 * (sizeof line - 1) < sizeof text; n += sizeof line - 1)
        memcpy(text + n, line, sizeof line - 1);
    memcpy(text + n, "x: ", 3);
    text[sizeof text - 1] = '\0';
    return text;
}

static void test_longest(void **state)
{
    static char out[MTASTS_ENTRY_MAX];
    sample s = samples[COUNT(samples) - 5]; /* all times the last */
    mtasts_entry e, back;
    mtasts_diag d;
    size_t len, i;
    (void)state;
    s.policy = long_policy();
    s.id = s.failed_id = X32;
    s.failures = UINT32_MAX;
    s.failed = MTASTS_ERR_MULTIPLE_RECORDS; /* the longest name */
    e = make(&s);
    assert_int_equal(e.policy.text.len, MTASTS_POLICY_MAX);
    assert_int_equal(mtasts_entry_write(out, sizeof out, &len, &e), MTASTS_OK);
    assert_int_equal(read_any(&back, out, len, INT64_MAX, &d), MTASTS_OK);
    assert_same(&back, &e);
    check_size(&e, out, len, len);
    check_size(&e, out, len, len + 1);
    for (i = 0; i < len; i += 4099) {
        out[i] = (char)(out[i] ^ 0x10);
        assert_int_equal(read_any(&back, out, len, 0, &d), i < MAGIC ? OTHER : DAMAGE);
        out[i] = (char)(out[i] ^ 0x10);
        assert_int_equal(read_any(&back, out, i, 0, &d), i < MAGIC ? OTHER : DAMAGE);
    }
}

/* One thing each that no discovery, no cache and no reader gives. */
typedef struct refusal {
    const char *name;
    size_t member; /* of mtasts_entry */
    enum { TEXT, TIME, NUMBER, ERROR, TEXT_LEN } kind;
    const char *text;
    int64_t number;
} refusal;

#define AT(member) offsetof(mtasts_entry, member)

/* clang-format off */
static const refusal refusals[] = {
    {"no domain", AT(domain), TEXT, NULL, 0},
    {"D13 empty domain", AT(domain), TEXT, "", 0},
    {"D13 upper case", AT(domain), TEXT, "example.coM", 0},
    {"D13 a dot at the end", AT(domain), TEXT, "example.com.", 0},
    {"an address", AT(domain), TEXT, "192.0.2.1", 0},
    {"a literal", AT(domain), TEXT, "[192.0.2.1]", 0},
    {"a blank", AT(domain), TEXT, "example.com ", 0},
    {"a line more", AT(domain), TEXT, "example.com\nid: x", 0},
    {"a path", AT(domain), TEXT, "a/b", 0},
    {"a domain of 254", AT(domain), TEXT, N253 "b", 0},
    {"no id", AT(id), TEXT, NULL, 0},
    {"empty id", AT(id), TEXT, "", 0},
    {"an id of 33", AT(id), TEXT, X32 "6", 0},
    {"an id with a hyphen", AT(id), TEXT, "a-b", 0},
    {"an id with a line's end", AT(id), TEXT, "a\n", 0},
    {"an id beyond ASCII", AT(id), TEXT, "\xc3\xa4", 0},
    {"fetched before 1970", AT(fetched), TIME, NULL, -1},
    {"fetched at another time", AT(fetched), TIME, NULL, 1001},
    {"expires before 1970", AT(expires), TIME, NULL, -1},
    {"D1 expires too late", AT(expires), TIME, NULL, 87401},
    {"D1 expires too early", AT(expires), TIME, NULL, 87399},
    {"checked before 1970", AT(checked), TIME, NULL, INT64_MIN},
    {"used before 1970", AT(used), TIME, NULL, -1},
    {"refresh before 1970", AT(refresh), TIME, NULL, -1},
    {"retry before 1970", AT(retry), TIME, NULL, -1},
    {"failed for no reason", AT(failed), ERROR, NULL, 0},
    {"failed with -1", AT(failed), ERROR, NULL, -1},
    {"failed with a gap's number", AT(failed), ERROR, NULL, 7},
    {"failed with a number too high", AT(failed), ERROR, NULL, 0x7fff},
    {"a failed id of 33", AT(failed_id), TEXT, X32 "6", 0},
    {"a failed id with a dot", AT(failed_id), TEXT, "a.b", 0},
    {"D17 max_age 0", AT(policy.max_age), NUMBER, NULL, 0},
    {"P4 max_age of more than a year", AT(policy.max_age), NUMBER, NULL, YEAR + 1},
    {"P9 policy too long", AT(policy.text.len), TEXT_LEN, NULL, MTASTS_POLICY_MAX + 1},
    {"an id without policy", AT(policy.text), TEXT, NULL, 0},
};
/* clang-format on */

static void spoil(mtasts_entry *e, const refusal *r)
{
    char *at = (char *)e + r->member;
    mtasts_str text = view(r->text);
    mtasts_err err = (mtasts_err)r->number;
    uint32_t number = (uint32_t)r->number;
    size_t len = (size_t)r->number;
    if (r->kind == TEXT)
        memcpy(at, &text, sizeof text);
    else if (r->kind == TIME)
        memcpy(at, &r->number, sizeof r->number);
    else if (r->kind == ERROR)
        memcpy(at, &err, sizeof err);
    else if (r->kind == TEXT_LEN)
        memcpy(at, &len, sizeof len);
    else
        memcpy(at, &number, sizeof number);
}

/* Of an absence too, where no life has to fit. */
static void test_absences_before_1970(void **state)
{
    static const size_t times_of[] = {AT(fetched), AT(expires), AT(checked), AT(used), AT(refresh)};
    static const int64_t before[] = {-1, INT64_MIN};
    char out[256];
    size_t i, b, len;
    (void)state;
    for (i = 0; i < COUNT(times_of); i++)
        for (b = 0; b < COUNT(before); b++) {
            mtasts_entry e = make(&samples[0]);
            memcpy((char *)&e + times_of[i], &before[b], sizeof before[b]);
            assert_int_equal(mtasts_entry_write(out, sizeof out, &len, &e), MTASTS_ERR_USAGE);
        }
}

static void test_refusals(void **state)
{
    static const size_t caps[] = {0, 1, 2, 40, 4096};
    size_t i, c, len;
    (void)state;
    for (i = 0; i < COUNT(refusals); i++) {
        mtasts_entry e = make(&samples[1]);
        spoil(&e, &refusals[i]);
        for (c = 0; c < COUNT(caps); c++) {
            char *out = buffer(caps[c]);
            len = SIZE_MAX;
            if (mtasts_entry_write(caps[c] ? out : NULL, caps[c], &len, &e) != MTASTS_ERR_USAGE)
                fail_msg("%s", refusals[i].name);
            assert_int_equal(len, 0);
            assert_true(!caps[c] || !*out);
            assert_true(caps[c] < 2 || (unsigned char)out[1] == 0xff);
        }
    }
}

/* ---- what is read */

static void test_truncations(void **state)
{
    mtasts_entry out;
    mtasts_diag d;
    size_t i, n, len;
    (void)state;
    for (i = 0; i < COUNT(samples); i++) {
        const char *text = seal(samples[i].rest, strlen(samples[i].rest), &len);
        for (n = 0; n < len; n++) {
            assert_int_equal(read_any(&out, text, n, 0, &d), n < MAGIC ? OTHER : DAMAGE);
            assert_int_equal(d.line, 1);
            assert_int_equal(d.column, d.offset + 1);
        }
    }
}

/* One octet changed at a time: no other octet is as good as the one that was written. */
static void check_octets(const char *rest, const char *octets, size_t count)
{
    char copy[1024];
    mtasts_entry out;
    mtasts_diag d;
    size_t i, o, len;
    memcpy(copy, seal(rest, strlen(rest), &len), HEAD + strlen(rest));
    for (i = 0; i < len; i++) {
        char was = copy[i];
        for (o = 0; o < count; o++) {
            copy[i] = octets[o];
            if (octets[o] == was)
                continue;
            assert_int_equal(read_any(&out, copy, len, INT64_MAX, &d), i < MAGIC ? OTHER : DAMAGE);
            assert_int_equal(d.line, 1);
            assert_true(d.offset == i || (i >= HEAD && d.offset < HEAD));
        }
        copy[i] = was;
    }
    assert_int_equal(read_any(&out, copy, len, INT64_MAX, &d), MTASTS_OK);
}

static void test_changed_octets(void **state)
{
    char all[256];
    size_t i;
    (void)state;
    for (i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    check_octets(samples[0].rest, all, sizeof all);
    for (i = 1; i < COUNT(samples); i++)
        check_octets(samples[i].rest, mutants, sizeof mutants);
}

/* What a store can do beside: octets put in, taken out, exchanged; halves of two entries. */
static void check_bad(const char *text, size_t len)
{
    mtasts_entry out;
    mtasts_diag d;
    assert_int_not_equal(read_any(&out, text, len, INT64_MAX, &d), MTASTS_OK);
    assert_in_range(d.err, OTHER, DAMAGE);
}

static void test_shifted(void **state)
{
    char text[1024], copy[1024];
    size_t i, m, len;
    (void)state;
    memcpy(text, seal(FULL, sizeof FULL - 1, &len), HEAD + sizeof FULL);
    for (i = 0; i < len; i++) {
        memcpy(copy, text, i);
        memcpy(copy + i, text + i + 1, len - i - 1);
        check_bad(copy, len - 1); /* one taken out */
        memcpy(copy, text, len);
        copy[i] = text[(i + 1) % len];
        copy[(i + 1) % len] = text[i];
        if (copy[i] != text[i])
            check_bad(copy, len); /* two exchanged */
        for (m = 0; m < sizeof mutants; m++) {
            memcpy(copy, text, i);
            copy[i] = mutants[m];
            memcpy(copy + i + 1, text + i, len - i);
            check_bad(copy, len + 1); /* one put in */
        }
    }
    for (m = 0; m < sizeof mutants; m++) {
        copy[0] = text[0];
        memcpy(copy, text, len);
        copy[len] = mutants[m];
        check_bad(copy, len + 1); /* one more */
    }
}

/* Two entries of one domain and one length, the beginning of one and the end of the other. */
static void test_torn(void **state)
{
    char a[1024], b[1024], torn[1024], rest[1024];
    size_t i, len;
    (void)state;
    strcpy(rest, FULL);
    memcpy(a, seal(rest, strlen(rest), &len), HEAD + sizeof FULL);
    memcpy(strstr(rest, "1000"), "1001", 4);
    memcpy(strstr(rest, "87400"), "87401", 5);
    memcpy(strstr(rest, "failures: 2"), "failures: 3", 11);
    memcpy(strstr(rest, "mail."), "evil.", 5);
    memcpy(b, seal(rest, strlen(rest), &len), HEAD + sizeof FULL);
    for (i = 0; i <= len; i++) {
        memcpy(torn, a, i);
        memcpy(torn + i, b + i, len - i);
        if (memcmp(torn, a, len) != 0 && memcmp(torn, b, len) != 0)
            check_bad(torn, len);
        memset(torn + i, 0, len - i); /* blocks that were never written */
        if (i < len)
            check_bad(torn, len);
    }
}

/* First lines: | stands before the octet that is wrong. */
static const struct head {
    const char *name, *text;
    mtasts_err err;
} heads[] = {
    {"nothing", "|", OTHER},
    {"a line's end", "|\n", OTHER},
    {"another file", "|# postfix", OTHER},
    {"another version", "mtasts-entry |2 00000000 000000\n", OTHER},
    {"a version to come", "mtasts-entry 1|0 00000000 000000\n", OTHER},
    {"another case", "|Mtasts-entry 1 00000000 000000\n", OTHER},
    {"a mark before it", "|\xef\xbb\xbfmtasts-entry 1 00000000 000000\n", OTHER},
    {"cut off in the mark", "mtasts-|", OTHER},
    {"another sum", "mtasts-entry 1 |10000000 000000\n", DAMAGE},
    {"another length", "mtasts-entry 1 00000000 00000|1\n", DAMAGE},
    {"blanks for zeros", "mtasts-entry 1 00000000 |     0\n", DAMAGE},
    {"a shorter length", "mtasts-entry 1 00000000 0|\n", DAMAGE},
    {"CR for LF", "mtasts-entry 1 00000000 000000|\r", DAMAGE},
    {"cut off after the mark", "mtasts-entry 1 |", DAMAGE},
    {"cut off before its end", "mtasts-entry 1 00000000 000000|", DAMAGE},
};

static void test_heads(void **state)
{
    char text[64];
    mtasts_entry out;
    mtasts_diag d;
    size_t i, at;
    (void)state;
    for (i = 0; i < COUNT(heads); i++) {
        const char *t = heads[i].text;
        at = strcspn(t, "|");
        memcpy(text, t, at);
        memcpy(text + at, t + at + 1, strlen(t) - at - 1);
        if (read_any(&out, text, strlen(t) - 1, 0, &d) != heads[i].err || d.offset != at)
            fail_msg("%s: %s at %u", heads[i].name, mtasts_err_name((int)d.err),
                     (unsigned)d.offset);
        assert_int_equal(d.line, 1);
    }
}

/* The sum's letters are small ones. */
static void test_sum_in_capitals(void **state)
{
    char text[1024];
    mtasts_entry out;
    mtasts_diag d;
    size_t i, len, letters = 0;
    (void)state;
    memcpy(text, seal(FULL, sizeof FULL - 1, &len), HEAD + sizeof FULL);
    for (i = MAGIC; i < MAGIC + 8; i++)
        if (text[i] >= 'a') {
            text[i] = (char)(text[i] - 'a' + 'A');
            letters++;
        }
    assert_true(letters > 0);
    assert_int_equal(read_any(&out, text, len, 0, &d), DAMAGE);
}

/* Whole and with the right sum, but not what was written: FULL with `to` in place of `from`. */
typedef struct forgery {
    const char *name, *from, *to;
    size_t line; /* that the error names */
} forgery;

#define FIT  0 /* each line is well formed, but together they are not an entry */
#define GOOD SIZE_MAX

static const char to_the_end[] = "policy";

/* clang-format off */
static const forgery forgeries[] = {
    {"as it is", "id", "id", GOOD},
    {"a domain more", "domain", "domain: example.com\ndomain", 3},
    {"no domain", "domain: example.com\n", "", 2},
    {"another name", "domain", "Domain", 2},
    {"no colon", "domain: ", "domain ", 2},
    {"no blank", "domain: ", "domain:", 2},
    {"a tab", "domain: ", "domain:\t", 2},
    {"two blanks", "domain: ", "domain:  ", FIT},
    {"a blank before", "id: ", " id: ", 3},
    {"empty line", "id: ", "\nid: ", 3},
    {"CRLF", "example.com\n", "example.com\r\n", FIT},
    {"D13 empty domain", "example.com", "", FIT},
    {"D13 upper case", "example.com", "Example.com", FIT},
    {"D13 a dot at the end", "example.com", "example.com.", FIT},
    {"D13 an address", "example.com", "192.0.2.1", FIT},
    {"no id", "id: 20260131T1200\n", "", 3},
    {"T4 empty id", "id: 20260131T1200", "id: ", FIT},
    {"T4 a hyphen", "20260131T1200", "2026-01-31", FIT},
    {"T4 an id of 33", "20260131T1200", X32 "6", FIT},
    {"T4 NUL", "20260131T1200", "\1", FIT},
    {"wrong order", "id: 20260131T1200\nfetched: 1000\n", "fetched: 1000\nid: 20260131T1200\n", 3},
    {"no fetched", "fetched: 1000\n", "", 4},
    {"no digits", "fetched: 1000", "fetched: ", 4},
    {"a zero before", "fetched: 1000", "fetched: 01000", 4},
    {"two zeros", "checked: 1100", "checked: 00", 6},
    {"a sign", "fetched: 1000", "fetched: +1000", 4},
    {"before 1970", "fetched: 1000", "fetched: -1000", 4},
    {"a blank after", "fetched: 1000", "fetched: 1000 ", 4},
    {"a fraction", "fetched: 1000", "fetched: 1000.0", 4},
    {"a slash", "fetched: 1000", "fetched: 100/", 4},
    {"a colon", "fetched: 1000", "fetched: 100:", 4},
    {"hexadecimal", "fetched: 1000", "fetched: 0x3e8", 4},
    {"a letter", "fetched: 1000", "fetched: 100O", 4},
    {"beyond ASCII", "fetched: 1000", "fetched: 100\xb0", 4},
    {"2^63", "checked: 1100", "checked: 9223372036854775808", 6},
    {"2^63 - 1", "checked: 1100", "checked: " MAX, GOOD},
    {"2^64", "checked: 1100", "checked: 18446744073709551616", 6},
    {"2^64 + 1100", "checked: 1100", "checked: 18446744073709552716", 6},
    {"long", "used: 1200", "used: 10000000000000000000000000000000000000000000000", 7},
    {"D1 expires a second late", "87400", "87401", FIT},
    {"D1 expires a second early", "87400", "87399", FIT},
    {"D1 never expires", "87400", MAX, FIT},
    {"D1 fetched a second late", "fetched: 1000", "fetched: 1001", FIT},
    {"no checked", "checked: 1100\n", "", 6},
    {"no used", "used: 1200\n", "", 7},
    {"no refresh", "refresh: 80000\n", "", 8},
    {"no failures", "failures: 2\n", "", 9},
    {"2^32 failures", "failures: 2", "failures: 4294967296", 9},
    {"2^32 - 1 failures", "failures: 2", "failures: 4294967295", GOOD},
    {"no failures, but more of them", "failures: 2", "failures: 0", 10},
    {"failures, but no more of them",
     "failed: MTASTS_ERR_HTTPS_CERT\nno-record: 0\nfailed-id: B2\nretry: 2000\n", "", 10},
    {"no reason", "MTASTS_ERR_HTTPS_CERT", "", 10},
    {"no error", "MTASTS_ERR_HTTPS_CERT", "MTASTS_OK", 10},
    {"unknown error", "MTASTS_ERR_HTTPS_CERT", "MTASTS_ERR_HTTPS_CAT", 10},
    {"UNKNOWN", "MTASTS_ERR_HTTPS_CERT", "UNKNOWN", 10},
    {"an error in small letters", "MTASTS_ERR_HTTPS_CERT", "mtasts_err_https_cert", 10},
    {"an error and more", "MTASTS_ERR_HTTPS_CERT", "MTASTS_ERR_HTTPS_CERT_", 10},
    {"an error's number", "MTASTS_ERR_HTTPS_CERT", "61", 10},
    {"another error", "MTASTS_ERR_HTTPS_CERT", "MTASTS_ERR_POLICY_QUIRK", GOOD},
    {"no record any more", "no-record: 0", "no-record: 1", GOOD},
    {"no record twice over", "no-record: 0", "no-record: 2", 11},
    {"nothing about the record", "no-record: 0\n", "", 11},
    {"no failed id", "failed-id: B2\n", "", 12},
    {"any failed id", "failed-id: B2", "failed-id: ", GOOD},
    {"a failed id of 33", "failed-id: B2", "failed-id: " X32 "6", FIT},
    {"a failed id with a blank", "failed-id: B2", "failed-id: B 2", FIT},
    {"no retry", "retry: 2000\n", "", 13},
    {"retry before 1970", "retry: 2000", "retry: -1", 13},
    {"an unknown line", "policy:", "more: 1\npolicy:", 14},
    {"no policy line", "policy:\n", "", 14},
    {"a blank after policy", "policy:\n", "policy: \n", 14},
    {"CRLF after policy", "policy:\n", "policy:\r\n", 14},
    {"cut off in the policy line", "policy:\n", to_the_end, 14},
    {"empty policy", POLICY, "", 15},
    {"an id without policy", "policy:\n" POLICY, "", FIT},
    {"P1 cut off in the policy", "max_age: 86400\n", "max_age", 15},
    {"P2 garbage after the policy", "86400\n", "86400\ngarbage\n", 15},
    {"P2 NUL after the policy", "max_age: 86400\n", "max_age: 86400\n\1", 15},
    {"P3 another version", "STSv1", "STSv2", 15},
    {"P3 no mode", "mode: enforce\n", "", 15},
    {"P4 another max_age", "max_age: 86400", "max_age: 86401", FIT},
    {"P5 no mx", "mx: mail.example.com\n", "", 15},
    {"P8 one more field", "max_age: 86400\n", "max_age: 86400\nfield: text\n", GOOD},
    {"D17 max_age 0", "max_age: 86400", "max_age: 0", FIT},
};
/* clang-format on */

/* FULL as forged; an octet of 1 stands for NUL. */
static size_t forge(char *out, const forgery *f)
{
    static const char full[] = FULL;
    const char *at = strstr(full, f->from);
    size_t i, len;
    assert_non_null(at);
    len = (size_t)sprintf(out, "%.*s%s%s", (int)(at - full), full, f->to, at + strlen(f->from));
    if (f->to == to_the_end)
        len = (size_t)(at - full) + strlen("policy");
    for (i = 0; i < len; i++)
        if (out[i] == '\1')
            out[i] = '\0';
    return len;
}

/* Where a line begins in an entry's text. */
static size_t line_offset(const char *text, size_t line)
{
    const char *p = text;
    while (--line)
        p = strchr(p, '\n') + 1;
    return (size_t)(p - text);
}

static void test_forgeries(void **state)
{
    char rest[1024];
    mtasts_entry out;
    mtasts_diag d;
    size_t i, len;
    (void)state;
    for (i = 0; i < COUNT(forgeries); i++) {
        const forgery *f = &forgeries[i];
        const char *text;
        len = forge(rest, f);
        text = seal(rest, len, &len);
        if (read_any(&out, text, len, INT64_MAX, &d) != (f->line == GOOD ? MTASTS_OK : SYNTAX) ||
            d.line != (f->line == GOOD ? 0 : f->line))
            fail_msg("%s: %s in line %u", f->name, mtasts_err_name((int)d.err), (unsigned)d.line);
        if (f->line != GOOD)
            assert_int_equal(d.offset, f->line == FIT ? HEAD : line_offset(text, f->line));
        assert_string_equal(d.text, f->line == FIT ? "its lines do not fit together" : "");
        assert_true(d.column <= 1);
    }
}

/* An absence has no end but its last line's. */
static void test_forged_absences(void **state)
{
    static const char *const rests[] = {
        "",  "\n", ABSENCE "\n",        ABSENCE " ",       ABSENCE "garbage",
        "a", "d",  ABSENCE "policy:\n", ABSENCE "policy:", ABSENCE ABSENCE,
    };
    mtasts_entry out;
    mtasts_diag d;
    size_t i, n, len;
    (void)state;
    for (i = 0; i < COUNT(rests); i++) {
        const char *text = seal(rests[i], strlen(rests[i]), &len);
        assert_int_equal(read_any(&out, text, len, 0, &d), SYNTAX);
    }
    for (n = 0; n < sizeof ABSENCE - 1; n++) { /* cut off, and a sum made for that */
        const char *text = seal(ABSENCE, n, &len);
        assert_int_equal(read_any(&out, text, len, 0, &d), SYNTAX);
    }
    for (n = 0; n < sizeof FULL - 1; n++) {
        int whole = n == sizeof FULL - 2; /* a policy's last line needs no end (P1) */
        const char *text = seal(FULL, n, &len);
        if (!whole && read_any(&out, text, len, 0, &d) != SYNTAX)
            fail_msg("%u octets", (unsigned)n);
    }
}

/* A line's name is there in full, and nothing but a colon and a blank comes after it. */
static void test_line_names(void **state)
{
    static const char *const names[] = {"fetche",   "fetched\0", "fetched ",
                                        "fetchedd", "f",         "Fetched"};
    static const char absence[] = ABSENCE;
    char rest[300];
    const char *at = strstr(absence, "fetched"), *text;
    size_t i, len, before = (size_t)(at - absence), n;
    mtasts_entry out;
    mtasts_diag d;
    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        n = i == 1 ? 8 : strlen(names[i]);
        memcpy(rest, absence, before);
        memcpy(rest + before, names[i], n);
        strcpy(rest + before + n, at + strlen("fetched"));
        text = seal(rest, before + n + strlen(rest + before + n), &len);
        assert_int_equal(read_any(&out, text, len, 0, &d), SYNTAX);
    }
}

static void test_too_long(void **state)
{
    static char rest[MTASTS_ENTRY_MAX + 1];
    mtasts_entry out;
    mtasts_diag d;
    size_t len;
    const char *text;
    (void)state;
    memset(rest, 'x', sizeof rest);
    memcpy(rest, FULL, sizeof FULL - 1);
    text = seal(rest, MTASTS_ENTRY_MAX - HEAD, &len);
    assert_int_equal(read_any(&out, text, len, 0, &d), SYNTAX);
    text = seal(rest, MTASTS_ENTRY_MAX - HEAD + 1, &len);
    assert_int_equal(read_any(&out, text, len, 0, &d), DAMAGE);
    assert_int_equal(d.offset, MTASTS_ENTRY_MAX);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, SIZE_MAX, 0, &d), DAMAGE);
}

/* D13: the domain that was asked for, and no other. */
static const struct asked {
    const char *name, *domain;
    size_t len;
    int same;
} asked[] = {
    {"any", NULL, 0, 1},
    {"any, whatever the length", NULL, 5, 1},
    {"the same", "example.com", 11, 1},
    {"in capitals", "EXAMPLE.com", 11, 1},
    {"with a dot", "example.com.", 12, 1},
    {"two dots", "example.com..", 13, 0},
    {"empty", "", 0, 0},
    {"a dot", ".", 1, 0},
    {"a subdomain", "a.example.com", 13, 0},
    {"the parent", "com", 3, 0},
    {"another of that length", "example.org", 11, 0},
    {"its beginning", "example.com", 10, 0},
    {"more than it", "example.community", 17, 0},
    {"NUL behind it", "example.com\0", 12, 0},
    {"a path", "example/com", 11, 0},
    {"an address", "192.0.2.1", 9, 0},
    {"a blank", "example.com ", 12, 0},
};

static void test_domains(void **state)
{
    size_t i, len;
    const char *text = seal(FULL, sizeof FULL - 1, &len);
    (void)state;
    for (i = 0; i < COUNT(asked); i++) {
        const struct asked *a = &asked[i];
        mtasts_entry out;
        mtasts_diag d;
        mtasts_err err;
        DIRTY(out);
        DIRTY(d);
        err = mtasts_entry_read(&out, a->domain ? fenced(1, 1, a->domain, a->len) : NULL, a->len,
                                fenced(0, 1, text, len), len, 5000, &d);
        assert_diag(&d, err, len);
        if (err != (a->same ? MTASTS_OK : MTASTS_ERR_ENTRY_DOMAIN))
            fail_msg("%s: %s", a->name, mtasts_err_name((int)err));
        assert_int_equal(d.offset, a->same ? len : HEAD);
        if (a->same)
            assert_str(out.domain, "example.com");
        else
            assert_true(all_zero(&out, sizeof out));
    }
}

/* ---- time */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* D9 said once more, by hand: the entry as it is at this time. */
static mtasts_entry at_time(mtasts_entry e, int64_t now)
{
    int in_future;
    now = now < 0 ? 0 : now;
    in_future = e.fetched > now;
    if (e.policy.text.ptr)
        e.expires = add(least(e.fetched, now), e.policy.max_age);
    else
        e.expires = in_future ? now : least(e.expires, add(now, 3600));
    e.refresh = least(in_future ? now : e.refresh, e.expires);
    e.fetched = least(e.fetched, now);
    e.checked = least(e.checked, now);
    e.used = least(e.used, now);
    e.retry = least(e.retry, add(now, 3600));
    return e;
}

static const int64_t times[] = {
    INT64_MIN,
    -1,
    0,
    1,
    2,
    6,
    7,
    8,
    9,
    10,
    20,
    306,
    307,
    308,
    310,
    999,
    1000,
    1001,
    1099,
    1100,
    1199,
    1200,
    1999,
    2000,
    4599,
    79999,
    80000,
    87399,
    87400,
    87401,
    173799,
    YEAR,
    YEAR + 1,
    INT64_MAX - 86400,
    INT64_MAX - 3600,
    INT64_MAX - 1,
    INT64_MAX,
};

static void test_clock(void **state)
{
    mtasts_entry e, out, expected;
    mtasts_diag d;
    size_t i, t, len;
    (void)state;
    for (i = 0; i < COUNT(samples); i++) {
        const sample *s = &samples[i];
        const char *text = seal(s->rest, strlen(s->rest), &len);
        e = make(s);
        for (t = 0; t < COUNT(times); t++) {
            int64_t now = times[t] < 0 ? 0 : times[t];
            assert_int_equal(read_any(&out, text, len, times[t], &d), MTASTS_OK);
            expected = at_time(e, times[t]);
            assert_same(&out, &expected);
            assert_true(out.fetched <= now && out.checked <= now && out.used <= now);
            assert_true(out.expires <= add(now, s->policy ? e.policy.max_age : 3600));
            assert_true(out.expires <= s->expires && out.refresh <= out.expires);
            assert_int_equal(mtasts_entry_valid(&out, times[t]), now < out.expires);
        }
    }
}

/* D9: written and read again and again while the clock jumps, it never lives longer than it did. */
static void test_clock_that_jumps(void **state)
{
    char text[2][1024];
    size_t i, step, len;
    uint32_t seed = 1;
    mtasts_diag d;
    (void)state;
    for (i = 0; i < COUNT(samples); i++) {
        mtasts_entry e = make(&samples[i]);
        for (step = 0; step < 200; step++) {
            char *at = text[step & 1];
            int64_t end = e.expires;
            seed = seed * 1103515245u + 12345u;
            assert_int_equal(mtasts_entry_write(at, sizeof text[0], &len, &e), MTASTS_OK);
            assert_int_equal(mtasts_entry_read(&e, samples[i].domain, strlen(samples[i].domain), at,
                                               len, times[(seed >> 16) % COUNT(times)], &d),
                             MTASTS_OK);
            assert_true(e.expires <= end);
        }
        assert_true(e.fetched == 0);
    }
}

/* D1: valid before its end, and no later. Worth keeping as long, or while a pause lasts (H5). */
static void test_valid(void **state)
{
    size_t i, r, t;
    (void)state;
    for (i = 0; i < COUNT(times); i++) {
        for (t = 0; t < COUNT(times); t++) {
            int64_t now = times[t] < 0 ? 0 : times[t];
            mtasts_entry e = make(&samples[0]);
            e.expires = times[i] < 0 ? 0 : times[i];
            assert_int_equal(mtasts_entry_valid(&e, times[t]), now < e.expires);
            for (r = 0; r < COUNT(times); r++) {
                e.retry = times[r];
                e.failures = 0;
                assert_int_equal(mtasts_entry_keep(&e, times[t]), now < e.expires);
                e.failures = 1;
                assert_int_equal(mtasts_entry_keep(&e, times[t]), now < e.expires || now < e.retry);
            }
        }
    }
}

static void test_null(void **state)
{
    static const char unfit[] = "domain: a\nid: \nfetched: 0\nexpires: 1\nchecked: 0\nused: 0\n"
                                "refresh: 0\nfailures: 0\npolicy:\n" POLICY;
    mtasts_entry out;
    mtasts_diag d;
    size_t len;
    const char *text = seal(FULL, sizeof FULL - 1, &len);
    (void)state;
    DIRTY(out);
    DIRTY(d);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, NULL, 0, 0, &d), OTHER);
    assert_diag(&d, OTHER, 0);
    assert_true(all_zero(&out, sizeof out));
    DIRTY(out);
    DIRTY(d);
    assert_int_equal(mtasts_entry_read(&out, "a", 1, NULL, 7, 0, &d), MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_true(all_zero(&out, sizeof out));
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, len, 0, NULL), MTASTS_OK);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, 3, 0, NULL), OTHER);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, 30, 0, NULL), DAMAGE);
    assert_int_equal(mtasts_entry_read(&out, "b", 1, text, len, 0, NULL), MTASTS_ERR_ENTRY_DOMAIN);
    text = seal("x", 1, &len);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, len, 0, NULL), SYNTAX);
    text = seal(unfit, sizeof unfit - 1, &len);
    assert_int_equal(mtasts_entry_read(&out, NULL, 0, text, len, 0, NULL), SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_absences_before_1970),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_sum_in_capitals),
        cmocka_unit_test(test_forgeries),
        cmocka_unit_test(test_forged_absences),
        cmocka_unit_test(test_line_names),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_clock_that_jumps),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_null),
    };
    return cmocka_run_group_tests_name("12 Entry", tests, NULL, NULL);
}
