/* Section 9, certificate names (RFC 8461 4.2, RFC 9525, RFC 5280; rules C1 to C6).
 * Goal: a certificate stands for a host by a well-formed dNSName and by nothing else.
 * Method: tables; DER made here, cut and mutated everywhere; mbedTLS's reading of the same. */
#include "test.h"

#include <mbedtls/ecp.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#define HOST "mx.example.com"

/* ---- lists of names ---- */

#define S(literal)                  \
    {                               \
        literal, sizeof literal - 1 \
    }

static const struct {
    const char *rule;
    int match;
    mtasts_str presented, host;
} pairs[] = {
    {"same", 1, S(HOST), S(HOST)},
    {"case", 1, S("MX.Example.Com"), S("mx.eXAMPLE.cOM")},
    {"single label", 1, S("localhost"), S("localhost")},
    {"C2 wildcard", 1, S("*.example.com"), S(HOST)},
    {"C2 deep", 1, S("*.b.example.com"), S("a.b.example.com")},
    {"C2 no label", 0, S("*.example.com"), S("example.com")},
    {"C2 two labels", 0, S("*.example.com"), S("a.mx.example.com")},
    {"C2 top-level", 0, S("*.com"), S("example.com")},
    {"C2 top-level and dot", 0, S("*.com."), S("example.com")},
    {"C2 star alone", 0, S("*"), S("com")},
    {"C2 star and dot", 0, S("*."), S("com")},
    {"C2 first of a label", 0, S("*x.example.com"), S(HOST)},
    {"C2 last of a label", 0, S("m*.example.com"), S(HOST)},
    {"C2 inside a label", 0, S("f*o.example.com"), S("foo.example.com")},
    {"C2 second label", 0, S("mx.*.com"), S(HOST)},
    {"C2 two stars", 0, S("*.*.com"), S(HOST)},
    {"C2 A-label with a star", 0, S("xn--*.example.com"), S("xn--a.example.com")},
    {"C2 wildcard against itself", 0, S("*.example.com"), S("*.example.com")},
    {"C3 NUL", 0, S(HOST "\0"), S(HOST)},
    {"C3 NUL and more", 0, S(HOST "\0.evil.org"), S(HOST)},
    {"C3 NUL for the star", 0, S("*.evil.org\0.example.com"), S(HOST)},
    {"C3 blank", 0, S(" " HOST), S(HOST)},
    {"C3 line", 0, S(HOST "\n"), S(HOST)},
    {"C3 high octet", 0, S("b\xfc.example.com"), S("b\xfc.example.com")},
    {"C3 address", 0, S("192.0.2.1"), S("192.0.2.1")},
    {"C3 literal", 0, S("[192.0.2.1]"), S("[192.0.2.1]")},
    {"C3 four octets", 0, S("\xc0\0\2\1"), S("192.0.2.1")},
    {"C3 empty", 0, S(""), S("")},
    {"C3 empty label", 0, S("mx..com"), S("mx..com")},
    {"C4 the recipient's domain", 0, S("example.com"), S(HOST)},
    {"C4 a pattern as reference", 0, S(HOST), S("*.example.com")},
    {"C4 another host", 0, S("mx2.example.com"), S(HOST)},
    {"C4 suffix", 0, S("x.com"), S("mx.com")},
    {"C6 dot on the reference", 1, S(HOST), S(HOST ".")},
    {"C6 dot on the reference, wildcard", 1, S("*.example.com"), S(HOST ".")},
    {"C6 dot on the presented", 0, S(HOST "."), S(HOST)},
    {"C6 dot on both", 0, S(HOST "."), S(HOST ".")},
    {"C6 dot on the wildcard", 0, S("*.example.com."), S(HOST)},
    {"C6 two dots", 0, S(HOST), S(HOST "..")},
    {"C6 underscore", 1, S("_m_x.example.com"), S("_m_x.example.com")},
    {"C6 underscore, wildcard", 1, S("*.ex_ample.com"), S("_m.ex_ample.com")},
};

static int name_matches(mtasts_str presented, mtasts_str host)
{
    int got = mtasts_cert_name_matches(fenced(0, 0, presented.ptr, presented.len), presented.len,
                                       fenced(1, 0, host.ptr, host.len), host.len);
    assert_int_equal(mtasts_cert_name_matches(fenced(0, 1, presented.ptr, presented.len),
                                              presented.len, fenced(1, 1, host.ptr, host.len),
                                              host.len),
                     got);
    return got;
}

/* As an mx pattern would, but for trailing dots and "*.com": section 8 has its own tests. */
static void check_name(mtasts_str p, mtasts_str host)
{
    int expected = mtasts_mx_matches(p.ptr, p.len, host.ptr, host.len);
    if (p.len && p.ptr[p.len - 1] == '.')
        expected = 0;
    if (expected && p.ptr[0] == '*' && !memchr(p.ptr + 2, '.', p.len - 2))
        expected = 0;
    if (name_matches(p, host) != expected)
        fail_msg("%.*s for %.*s", (int)p.len, p.ptr, (int)host.len, host.ptr);
}

static void test_C2_C3_C4_C6_names(void **state)
{
    char copy[64];
    size_t i, t, m;
    (void)state;
    for (i = 0; i < COUNT(pairs); i++) {
        mtasts_str p = pairs[i].presented, c = {copy, p.len};
        if (name_matches(p, pairs[i].host) != pairs[i].match)
            fail_msg("%s", pairs[i].rule);
        for (t = 0; t < p.len; t++)
            for (m = 0; m < sizeof mutants; m++) {
                check_name((mtasts_str){p.ptr, t}, pairs[i].host);
                memcpy(copy, p.ptr, p.len);
                copy[t] = mutants[m];
                check_name(c, pairs[i].host);
                check_name(p, c);
            }
    }
}

/* C6: one malformed entry does not spoil the others, and an index is no name. */
static void test_C6_lists(void **state)
{
    static const mtasts_str list[] = {S("mx\0.example.com"), {NULL, 0},        {NULL, 5},
                                      S("f*o.example.com"),  S("*.other.net"), S("mx.example.com")};
    size_t n;
    (void)state;
    for (n = 0; n <= COUNT(list); n++) {
        assert_int_equal(mtasts_cert_matches(list, n, HOST, 14), n == COUNT(list));
        assert_int_equal(mtasts_cert_matches(list, n, "a.other.net.", 12), n > 4);
        assert_int_equal(mtasts_cert_matches(list, n, "", 0), 0);
        assert_int_equal(mtasts_cert_matches(list, n, NULL, 0), 0);
        assert_int_equal(mtasts_cert_matches(NULL, n, HOST, 14), 0);
        assert_int_equal(mtasts_cert_matches(list + 5 - n % 2, n % 2 + 1, HOST, 14), 1);
        assert_int_equal(mtasts_cert_matches(list + 4, 1 + n % 2, "a.other.net", 11), 1);
    }
    assert_int_equal(mtasts_cert_name_matches(NULL, 0, HOST, 14), 0);
    assert_int_equal(mtasts_cert_name_matches(HOST, 14, NULL, 14), 0);
}

/* ---- DER ---- */

typedef struct blob {
    size_t n;
    unsigned char p[700];
} blob;

static blob raw(const char *octets, size_t n)
{
    blob b;
    if (n > sizeof b.p)
        abort();
    memcpy(b.p, octets, b.n = n);
    return b;
}
#define RAW(literal) raw(literal, sizeof literal - 1)
#define NOTHING      RAW("")

static blob cat(blob a, blob b)
{
    if (a.n + b.n > sizeof a.p)
        abort();
    memcpy(a.p + a.n, b.p, b.n);
    a.n += b.n;
    return a;
}

static blob tlv(int tag, blob content)
{
    const char head[] = {(char)tag, (char)0x82, (char)(content.n >> 8), (char)content.n};
    const char small[] = {(char)tag, (char)content.n};
    return cat(content.n < 128 ? raw(small, 2) : raw(head, 4), content);
}

#define DNS(literal) tlv(0x82, RAW(literal))
#define OTHER        RAW("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x82\x00") /* not subjectAltName */
#define SAN_OID      RAW("\x06\x03\x55\x1d\x11")

static blob ext(blob names)
{
    return tlv(0x30, cat(SAN_OID, tlv(0x04, tlv(0x30, names))));
}

static blob exts(blob list)
{
    return tlv(0xa3, tlv(0x30, list));
}

/* A certificate as far as names go; `rest` follows subjectPublicKeyInfo. */
static blob cert(blob version, blob rest)
{
    blob fields = RAW("\x02\x01\x01\x30\x00\x30\x00\x30\x00\x30\x00\x30\x00");
    blob tbs = tlv(0x30, cat(version, cat(fields, rest)));
    return tlv(0x30, cat(tbs, RAW("\x30\x00\x03\x01\x00")));
}

#define V3       RAW("\xa0\x03\x02\x01\x02")
#define V3S(san) cert(V3, exts(ext(san)))

/* What holds for any octets: said whole, inside the certificate, and one answer for one question.
 */
static mtasts_err check_der(const unsigned char *der, size_t len, char *joined)
{
    mtasts_diag d;
    mtasts_str names, name, before;
    size_t cursor = 0, last = 0, n = 0;
    int any = 0, match = 7;
    mtasts_err err;
    DIRTY(d);
    DIRTY(names);
    err = mtasts_cert_der_names(der, len, &names, &d);
    assert_diag(&d, err, len);
    assert_true(err == MTASTS_OK || err == MTASTS_ERR_CERT_DER);
    if (err || !names.len)
        assert_true(all_zero(&names, sizeof names));
    else
        assert_true(names.ptr > (const char *)der &&
                    names.ptr + names.len <= (const char *)der + len);
    for (DIRTY(name); mtasts_cert_next_name(names, &cursor, &name); last = cursor) {
        assert_true(cursor > last && cursor <= names.len);
        assert_true(name.ptr >= names.ptr + 2 && name.ptr + name.len == names.ptr + cursor);
        any |= mtasts_cert_name_matches(name.ptr, name.len, HOST, 14);
        if (joined)
            n += (size_t)sprintf(joined + n, "%s%.*s", n ? "," : "", (int)name.len, name.ptr);
    }
    if (joined)
        joined[n] = '\0';
    assert_true(all_zero(&name, sizeof name));
    before = names;
    assert_int_equal(mtasts_cert_next_name(before, &cursor, &name), 0);
    assert_int_equal(mtasts_cert_der_matches(der, len, HOST, 14, &match), err);
    assert_int_equal(match, any);
    assert_int_equal(mtasts_cert_der_names(der, len, &before, NULL), err);
    return err;
}

static mtasts_err check_fenced(const unsigned char *der, size_t len, char *joined)
{
    mtasts_err err = check_der((const unsigned char *)fenced(0, 0, der, len), len, joined);
    assert_int_equal(check_der((const unsigned char *)fenced(0, 1, der, len), len, NULL), err);
    return err;
}

typedef struct der_case {
    const char *name;
    const char *names; /* joined by commas; NULL: malformed */
    blob der;
} der_case;

static void check_cases(const der_case *cases, size_t count)
{
    static unsigned char copy[700];
    char joined[700];
    size_t i, t;
    int octet;
    for (i = 0; i < count; i++) {
        const blob *der = &cases[i].der;
        mtasts_err err = check_fenced(der->p, der->n, joined);
        if (err != (cases[i].names ? MTASTS_OK : MTASTS_ERR_CERT_DER))
            fail_msg("%s: %s", cases[i].name, mtasts_err_name((int)err));
        assert_string_equal(joined, cases[i].names ? cases[i].names : "");
        for (t = 0; t < der->n; t++) {
            if (cases[i].names) /* no part of a certificate is one */
                assert_int_equal(check_fenced(der->p, t, NULL), MTASTS_ERR_CERT_DER);
            memcpy(copy, der->p, der->n);
            for (octet = 0; octet < 256; octet++) {
                copy[t] = (unsigned char)octet;
                check_der((const unsigned char *)fenced(0, octet & 1, copy, der->n), der->n, NULL);
            }
        }
    }
}

static void test_C5_good_der(void **state)
{
    const der_case cases[] = {
        {"one name", "mx.example.com", V3S(DNS(HOST))},
        {"names", "a.b,*.c.d,e", V3S(cat(DNS("a.b"), cat(DNS("*.c.d"), DNS("e"))))},
        {"version 1", "", cert(NOTHING, NOTHING)},
        {"version 3, no extensions", "", cert(V3, NOTHING)},
        {"empty extensions", "", cert(V3, exts(NOTHING))},
        {"unique identifiers", "a.b",
         cert(V3, cat(RAW("\x81\x02\x00\x01\x82\x01\x00"), exts(ext(DNS("a.b")))))},
        {"unique identifiers alone", "",
         cert(RAW("\xa0\x03\x02\x01\x01"), RAW("\x81\x01\x00\x82\x02\x00\x01"))},
        {"extension before", "a.b", cert(V3, exts(cat(OTHER, ext(DNS("a.b")))))},
        {"extension behind", "a.b", cert(V3, exts(cat(ext(DNS("a.b")), OTHER)))},
        {"extensions, no name", "", cert(V3, exts(cat(OTHER, OTHER)))},
        {"critical", "a.b",
         cert(V3, exts(tlv(0x30, cat(SAN_OID, cat(RAW("\x01\x01\xff"),
                                                  tlv(0x04, tlv(0x30, DNS("a.b"))))))))},
        {"long-form length", "a.b",
         V3S(RAW("\x82\x81\x03"
                 "a.b"))},
        {"four octets of length", "a.b",
         V3S(RAW("\x82\x84\x00\x00\x00\x03"
                 "a.b"))},
        {"no entries", "", V3S(NOTHING)},
        {"empty, long form", "", V3S(RAW("\x82\x81\x00"))},
        {"empty dNSName", "", V3S(DNS(""))},
        {"C1 other kinds", "a.b",
         V3S(cat(RAW("\x87\x04\xc0\x00\x02\x01\x86\x03"
                     "u:x\x81\x03"
                     "m@x\xa4\x02\x30\x00\x88\x01\x2a"),
                 DNS("a.b")))},
        {"C1 a name inside another kind", "", V3S(tlv(0xa0, DNS(HOST)))},
        {"C1 a name inside a directory name", "", V3S(tlv(0xa4, tlv(0x30, DNS(HOST))))},
        {"C1 URI and mail of that host", "", V3S(cat(tlv(0x86, RAW(HOST)), tlv(0x81, RAW(HOST))))},
        {"C1 universal and application tags", "",
         V3S(cat(tlv(0x02, RAW(HOST)), tlv(0x42, RAW(HOST))))},
    };
    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_C5_bad_der(void **state)
{
    const blob good = V3S(DNS(HOST)), dns = DNS(HOST);
    const der_case cases[] = {
        {"nothing", NULL, NOTHING},
        {"one octet", NULL, RAW("\x30")},
        {"empty", NULL, RAW("\x30\x00")},
        {"no TBSCertificate", NULL, RAW("\x30\x02\x31\x00")},
        {"empty TBSCertificate", NULL, RAW("\x30\x02\x30\x00")},
        {"a set", NULL, tlv(0x31, RAW("\x30\x00"))},
        {"NUL behind", NULL, cat(good, RAW("\0"))},
        {"two", NULL, cat(good, good)},
        {"indefinite length", NULL, RAW("\x30\x80\x30\x00\x00\x00")},
        {"indefinite names", NULL,
         cert(V3, exts(tlv(0x30, cat(SAN_OID, RAW("\x04\x07\x30\x80\x82\x01"
                                                  "a\x00\x00")))))},
        {"length 2^32 - 1", NULL, RAW("\x30\x84\xff\xff\xff\xff\x30\x00")},
        {"length 2^31", NULL, RAW("\x30\x84\x80\x00\x00\x00\x30\x00")},
        {"length 2^64 - 1", NULL, RAW("\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff\x30\x00")},
        {"five octets of length", NULL, RAW("\x30\x85\x00\x00\x00\x00\x02\x30\x00")},
        {"127 octets of length", NULL, RAW("\x30\xff\x00\x02\x30\x00")},
        {"length without its octets", NULL, RAW("\x30\x82\x01")},
        {"name length 2^32 - 1", NULL,
         V3S(RAW("\x82\x84\xff\xff\xff\xff"
                 "a.b"))},
        {"name of indefinite length", NULL, V3S(RAW("\x82\x80"))},
        {"name length of five octets", NULL, V3S(RAW("\x82\x85\x00\x00\x00\x00\x01x"))},
        {"name longer than the rest", NULL,
         V3S(RAW("\x82\x04"
                 "a.b"))},
        {"half an entry", NULL, V3S(cat(dns, RAW("\x82")))},
        {"tag of two octets", NULL, V3S(cat(dns, RAW("\x9f\x01\x00")))},
        {"tag of two octets, outside", NULL, RAW("\x3f\x02\x30\x00")},
        {"two versions", NULL, cert(cat(V3, V3), exts(ext(dns)))},
        {"other version tag", NULL, cert(RAW("\xa1\x03\x02\x01\x02"), exts(ext(dns)))},
        {"no sequence in [3]", NULL, cert(V3, tlv(0xa3, tlv(0x31, ext(dns))))},
        {"empty [3]", NULL, cert(V3, RAW("\xa3\x00"))},
        {"two sequences in [3]", NULL,
         cert(V3, tlv(0xa3, cat(tlv(0x30, ext(dns)), RAW("\x30\x00"))))},
        {"[3] twice", NULL, cert(V3, cat(exts(OTHER), exts(ext(dns))))},
        {"[3] not last", NULL, cert(V3, cat(exts(ext(dns)), RAW("\x81\x01\x00")))},
        {"[4]", NULL, cert(V3, cat(RAW("\xa4\x00"), exts(ext(dns))))},
        {"a constructed identifier", NULL, cert(V3, cat(RAW("\xa1\x00"), exts(ext(dns))))},
        {"half an element", NULL, cert(V3, RAW("\x81"))},
        {"extension not a sequence", NULL, cert(V3, exts(cat(ext(dns), RAW("\x31\x00"))))},
        {"half an extension", NULL, cert(V3, exts(cat(ext(dns), RAW("\x30\x05\x06"))))},
        {"extension without OID", NULL, cert(V3, exts(tlv(0x30, tlv(0x04, dns))))},
        {"extension without value", NULL, cert(V3, exts(tlv(0x30, SAN_OID)))},
        {"extension with more", NULL,
         cert(V3, exts(tlv(0x30, cat(SAN_OID, cat(tlv(0x04, tlv(0x30, dns)), RAW("\x05\x00"))))))},
        {"critical behind the value", NULL,
         cert(V3,
              exts(tlv(0x30, cat(SAN_OID, cat(tlv(0x04, tlv(0x30, dns)), RAW("\x01\x01\xff"))))))},
        {"value not octets", NULL,
         cert(V3, exts(tlv(0x30, cat(SAN_OID, tlv(0x03, tlv(0x30, dns))))))},
        {"names not a sequence", NULL, cert(V3, exts(tlv(0x30, cat(SAN_OID, tlv(0x04, dns)))))},
        {"octets behind the names", NULL,
         cert(V3, exts(tlv(0x30, cat(SAN_OID, tlv(0x04, cat(tlv(0x30, dns), RAW("\x00")))))))},
        {"two subjectAltName", NULL, cert(V3, exts(cat(ext(dns), ext(dns))))},
        {"two, one empty", NULL, cert(V3, exts(cat(ext(NOTHING), cat(OTHER, ext(dns)))))},
    };
    (void)state;
    check_cases(cases, COUNT(cases));
}

static void check_offset(blob der, size_t offset)
{
    mtasts_str names;
    mtasts_diag d;
    DIRTY(d);
    assert_int_equal(mtasts_cert_der_names(der.p, der.n, &names, &d), MTASTS_ERR_CERT_DER);
    assert_int_equal(d.offset, offset);
}

/* Where an error is: at the element. */
static void test_C5_offsets(void **state)
{
    const blob good = V3S(DNS("a.b")), half = V3S(cat(DNS("a.b"), RAW("\x82")));
    const blob more = cert(V3, exts(cat(ext(DNS("a.b")), RAW("\x31\x00"))));
    const blob last = cert(V3, cat(exts(ext(DNS("a.b"))), RAW("\x81\x01\x00")));
    mtasts_str names = {HOST, 14};
    mtasts_diag d;
    int matches = 1;
    (void)state;
    check_offset(NOTHING, 0);
    assert_int_equal(mtasts_cert_der_names(NULL, 0, &names, &d), MTASTS_ERR_CERT_DER);
    assert_int_equal(mtasts_cert_der_names(NULL, 5, &names, &d), MTASTS_ERR_USAGE);
    assert_true(!names.ptr && !names.len && d.err == MTASTS_ERR_USAGE && d.offset == 0);
    assert_int_equal(mtasts_cert_der_matches(NULL, 5, HOST, 14, &matches), MTASTS_ERR_USAGE);
    assert_int_equal(matches, 0);
    check_offset(RAW("\x31\x00"), 0);
    check_offset(RAW("\x30\x02\x31\x00"), 2);
    check_offset(cat(good, RAW("\x00")), good.n);
    check_offset(half, half.n - 6);
    check_offset(more, more.n - 7);
    check_offset(cert(V3, RAW("\x81\x01\x00\xa4\x00")), 2 + 2 + 5 + 13 + 3);
    check_offset(last, last.n - 8 - exts(ext(DNS("a.b"))).n);
}

/* C1: what stands behind the signed part is no list of names, whatever it looks like. */
static void test_C1_behind_the_signature(void **state)
{
    blob name = DNS(HOST), signature = RAW("\x30\x00\x03\x01\x00");
    blob tbs = tlv(0x30, cat(V3, RAW("\x02\x01\x01\x30\x00\x30\x00\x30\x00\x30\x00\x30\x00")));
    blob der = tlv(0x30, cat(tbs, cat(signature, name)));
    mtasts_str names;
    int matches;
    (void)state;
    assert_int_equal(mtasts_cert_der_names(der.p, der.n, &names, NULL), MTASTS_OK);
    assert_true(!names.ptr && !names.len);
    assert_int_equal(mtasts_cert_der_matches(der.p, der.n, HOST, 14, &matches), MTASTS_OK);
    assert_int_equal(matches, 0);
}

/* Lists that no certificate was read for, and cursors from elsewhere. */
static void test_C5_next_name(void **state)
{
    const blob list = cat(DNS("a.b"), cat(RAW("\x87\x01\x00"), cat(DNS(""), DNS("c"))));
    mtasts_str names = {NULL, 0}, name;
    size_t len, cursor;
    int side, found, match = 7;
    (void)state;
    for (len = 0; len <= list.n; len++)
        for (side = 0; side < 2; side++) {
            names.ptr = fenced(0, side, list.p, names.len = len);
            for (cursor = 0, found = 0; mtasts_cert_next_name(names, &cursor, &name);)
                found++;
            assert_int_equal(found, (len >= 5) + (len >= 10) + (len >= 13));
            assert_int_equal(cursor, len);
            for (cursor = len; cursor < len + 9; cursor += 3) {
                size_t c = cursor == len + 3 ? SIZE_MAX : cursor;
                assert_int_equal(mtasts_cert_next_name(names, &c, &name), 0);
                assert_true(all_zero(&name, sizeof name));
            }
        }
    names.ptr = NULL;
    names.len = 0;
    cursor = 0;
    assert_int_equal(mtasts_cert_next_name(names, &cursor, &name), 0);
    assert_int_equal(mtasts_cert_der_names(NULL, 0, &names, NULL), MTASTS_ERR_CERT_DER);
    assert_int_not_equal(mtasts_cert_der_names(NULL, 9, &names, NULL), MTASTS_OK);
    assert_int_not_equal(mtasts_cert_der_matches(NULL, 9, HOST, 14, &match), MTASTS_OK);
    assert_int_equal(match, 0);
}

/* ---- certificates by mbedTLS ---- */

static mbedtls_pk_context key;
static unsigned char issued[1 << 17], names_der[1 << 16];

static int pseudorandom(void *state, unsigned char *out, size_t n)
{
    static uint32_t x = 1;
    (void)state;
    while (n--)
        *out++ = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    return 0;
}

static int make_key(void **state)
{
    (void)state;
    mbedtls_pk_init(&key);
    return mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) ||
           mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), pseudorandom, NULL);
}

static int free_key(void **state)
{
    (void)state;
    mbedtls_pk_free(&key);
    return 0;
}

/* Issue a certificate whose subjectAltName has these octets (NULL: none); its length, at `issued`.
 */
static size_t issue(const unsigned char *san, size_t san_len, int critical)
{
    mbedtls_x509write_cert w;
    int n;
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_subject_key(&w, &key);
    mbedtls_x509write_crt_set_issuer_key(&w, &key);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&w, "CN=" HOST), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&w, "CN=" HOST), 0);
    assert_int_equal(mbedtls_x509write_crt_set_validity(&w, "20200101000000", "20400101000000"), 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    assert_int_equal(mbedtls_x509write_crt_set_serial_raw(&w, (unsigned char[]){1}, 1), 0);
#else
    {
        mbedtls_mpi serial;
        mbedtls_mpi_init(&serial);
        assert_int_equal(mbedtls_mpi_lset(&serial, 1), 0);
        assert_int_equal(mbedtls_x509write_crt_set_serial(&w, &serial), 0);
        mbedtls_mpi_free(&serial);
    }
#endif
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&w, 0, -1), 0);
    if (san)
        assert_int_equal(
            mbedtls_x509write_crt_set_extension(&w, "\x55\x1d\x11", 3, critical, san, san_len), 0);
    n = mbedtls_x509write_crt_der(&w, issued, sizeof issued, pseudorandom, NULL);
    assert_true(n > 0);
    memmove(issued, issued + sizeof issued - (size_t)n, (size_t)n);
    mbedtls_x509write_crt_free(&w);
    return (size_t)n;
}

/* Does mbedTLS read the same? 1: yes. 0: it refuses the certificate. -1: only we do. */
static int agree(const unsigned char *der, size_t len)
{
    mbedtls_x509_crt crt;
    const mbedtls_x509_sequence *s;
    mtasts_str names, name;
    size_t cursor = 0;
    int same = 0;
    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der(&crt, der, len) == 0) {
        same = mtasts_cert_der_names(der, len, &names, NULL) ? -1 : 1;
        for (s = &crt.subject_alt_names; same > 0 && s && s->buf.p; s = s->next)
            if ((s->buf.tag & 0x3f) == 2) { /* [2], and not constructed */
                assert_int_equal(mtasts_cert_next_name(names, &cursor, &name), 1);
                assert_int_equal(name.len, s->buf.len);
                assert_memory_equal(name.ptr, s->buf.p, name.len);
            }
        if (same > 0)
            assert_int_equal(mtasts_cert_next_name(names, &cursor, &name), 0);
    }
    mbedtls_x509_crt_free(&crt);
    return same;
}

static void test_C1_issued(void **state)
{
    const struct {
        const char *name, *names;
        int match, accepted;
        blob san;
    } cases[] = {
        {"one name", "mx.example.com", 1, 1, DNS(HOST)},
        {"wildcard", "*.example.com", 1, 1, DNS("*.example.com")},
        {"the last of three", "a.b,*.net,MX.example.com", 1, 1,
         cat(DNS("a.b"), cat(DNS("*.net"), DNS("MX.example.com")))},
        {"others", "a.b", 0, 1, DNS("a.b")},
        {"C3 NUL inside", "mx.example.com", 0, 1, DNS(HOST "\0.evil.org")},
        {"C3 empty", "", 0, 1, DNS("")},
        {"C6 trailing dot", "mx.example.com.", 0, 1, DNS(HOST ".")},
        {"C1 addresses", "", 0, 1,
         cat(RAW("\x87\x04\xc0\x00\x02\x01"),
             tlv(0x87, RAW("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1")))},
        {"C1 URI and mail", "", 0, 1,
         cat(tlv(0x86, RAW("https://" HOST)), tlv(0x81, RAW("postmaster@" HOST)))},
        {"C1 otherName and directoryName, then a name", "mx.example.com", 1, 1,
         cat(tlv(0xa0, RAW("\x06\x03\x2a\x03\x04\xa0\x04\x0c\x02mx")),
             cat(tlv(0xa4, RAW("\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04name")),
                 DNS(HOST)))},
        {"long form", "mx.example.com", 1, 1, cat(RAW("\x82\x82\x00\x0e"), RAW(HOST))},
        {"no entries", "", 0, 0, NOTHING},
    };
    char joined[700];
    size_t i, len;
    int critical, match;
    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        for (critical = 0; critical < 2; critical++) {
            blob san = tlv(0x30, cases[i].san);
            len = issue(san.p, san.n, critical);
            assert_int_equal(check_fenced(issued, len, joined), MTASTS_OK);
            assert_string_equal(joined, cases[i].names);
            assert_int_equal(mtasts_cert_der_matches(issued, len, HOST, 14, &match), MTASTS_OK);
            if (match != cases[i].match)
                fail_msg("%s", cases[i].name);
            if (agree(issued, len) != 1 && cases[i].accepted)
                fail_msg("%s: mbedTLS differs", cases[i].name);
            while (len--)
                assert_int_equal(check_fenced(issued, len, NULL), MTASTS_ERR_CERT_DER);
        }
    len = issue(NULL, 0, 0); /* C1: only a common name */
    assert_int_equal(check_fenced(issued, len, joined), MTASTS_OK);
    assert_string_equal(joined, "");
    assert_int_equal(agree(issued, len), 1);
}

/* Thousands of names, the last of which is the host. */
static void test_C5_many_names(void **state)
{
    static const unsigned char head[] = {0x30, 0x83, 0, 0, 0};
    size_t n = sizeof head, i, len;
    int match;
    (void)state;
    memcpy(names_der, head, n);
    for (i = 0; i <= 3000; i++) {
        char name[32];
        int l = snprintf(name, sizeof name, i == 3000 ? HOST : "m%u.example.net", (unsigned)i);
        names_der[n++] = 0x82;
        names_der[n++] = (unsigned char)l;
        memcpy(names_der + n, name, (size_t)l);
        n += (size_t)l;
    }
    names_der[3] = (unsigned char)((n - 5) >> 8);
    names_der[4] = (unsigned char)(n - 5);
    len = issue(names_der, n, 0);
    assert_int_equal(check_fenced(issued, len, NULL), MTASTS_OK);
    assert_int_equal(agree(issued, len), 1);
    assert_int_equal(mtasts_cert_der_matches(issued, len, HOST, 14, &match), MTASTS_OK);
    assert_int_equal(match, 1);
}

/* Every octet, every value: where mbedTLS accepts the certificate, we read the same names or,
 * rarely, refuse: it also takes a serial number as [2], constructed identifiers, and tags of two
 * octets. */
static void test_C5_mutated(void **state)
{
    const blob san = tlv(0x30, cat(DNS("a.b"), cat(RAW("\x87\x04\xc0\x00\x02\x01"), DNS("*.c.d"))));
    size_t len = issue(san.p, san.n, 1), t, accepted = 0, refused = 0;
    int octet;
    (void)state;
    for (t = 0; t < len; t++) {
        unsigned char kept = issued[t];
        for (octet = 0; octet < 256; octet++) {
            int same;
            issued[t] = (unsigned char)octet;
            check_der((const unsigned char *)fenced(0, octet & 1, issued, len), len, NULL);
            same = agree(issued, len);
            accepted += same > 0;
            refused += same < 0;
        }
        issued[t] = kept;
    }
    assert_true(accepted > 10000 && refused < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C2_C3_C4_C6_names), cmocka_unit_test(test_C6_lists),
        cmocka_unit_test(test_C5_good_der),       cmocka_unit_test(test_C5_bad_der),
        cmocka_unit_test(test_C5_offsets),        cmocka_unit_test(test_C5_next_name),
        cmocka_unit_test(test_C1_issued),         cmocka_unit_test(test_C5_many_names),
        cmocka_unit_test(test_C5_mutated),        cmocka_unit_test(test_C1_behind_the_signature),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
