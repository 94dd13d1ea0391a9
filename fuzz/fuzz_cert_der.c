/* Fuzzes section 9 where it reads the DER of a certificate.
 *
 * Targets: mtasts_cert_der_names, mtasts_cert_next_name, mtasts_cert_der_matches
 *
 * Property: names lie inside the certificate, and each name inside the names; an error lies within
 *           the input; the cursor moves on, stops at the end and stays there.
 * Property: a slow reader, below, that first splits an element into all of its parts, accepts the
 *           same certificates and finds the same names, and nothing else (C1, C5).
 * Property: of an accepted certificate every part is refused, and so is one more octet after it.
 * Property: mbedTLS and OpenSSL, where they accept a certificate too, find the same dNSNames in the
 *           same order. So we never find one that neither of them finds. Where they may differ:
 *           - An entry with the tag [2] constructed (0xa2) is none for us. DER has no such string.
 *             OpenSSL takes it as BER; mbedTLS keeps it with its tag, which is not counted here.
 *           - OpenSSL finds no name at all if any entry cannot be decoded (a directoryName that is
 *             no Name). It then takes the whole certificate for invalid, so here it counts as
 *             refused. We look only at the frame of each entry, as mbedTLS does.
 *           - A certificate that only they accept is not compared: we refuse indefinite lengths,
 *             lengths of more than four octets, tags of two octets, octets after the certificate or
 *             after the names, a second subjectAltName, and fields out of place.
 *           - One that only we accept neither: keys, dates and signatures are not looked at.
 * Property: octets that are not there are told as the host's mistake, no octets as no certificate.
 * Property: mtasts_cert_der_matches says what mtasts_cert_matches says of the names, and no after
 *           an error (C5).
 *
 * Input: 1 octet: length of the host; the host; the rest is the certificate.
 */
#include "fuzz.h"

#include <mbedtls/x509_crt.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- the names as mtasts.h finds them ---- */

typedef struct found {
    mtasts_err err;
    mtasts_str *names;
    size_t count;
    size_t len; /* of the whole list */
} found;

static int same(mtasts_str a, const void *ptr, size_t len)
{
    return a.len == len && (!len || memcmp(a.ptr, ptr, len) == 0);
}

/* Iterate over a copy of the list: an element that is too long would leave it. */
static void check_copied(mtasts_str names, const found *f)
{
    input in;
    mtasts_str copy, name;
    size_t cursor = 0, i;
    if (!names.len)
        return;
    in.at = (const uint8_t *)names.ptr;
    in.left = names.len;
    copy = take_copy(&in, names.len);
    for (i = 0; i < f->count; i++) {
        CHECK(mtasts_cert_next_name(copy, &cursor, &name));
        CHECK(same(name, f->names[i].ptr, f->names[i].len));
    }
    CHECK(!mtasts_cert_next_name(copy, &cursor, &name));
    drop_copy(copy);
}

/* The list of names, which the caller frees. */
static found find_names(const unsigned char *der, size_t len)
{
    found f = {MTASTS_OK, NULL, 0, 0};
    mtasts_str names, name;
    mtasts_diag d;
    size_t cursor = 0, before = 0;
    f.err = mtasts_cert_der_names(der, len, &names, &d);
    CHECK(f.err == MTASTS_OK || f.err == MTASTS_ERR_CERT_DER);
    CHECK(d.err == f.err && d.offset <= len && !d.line && !d.column);
    CHECK(f.err ? !names.ptr && !names.len : d.offset == len);
    CHECK(is_inside(names, der, len));
    f.len = names.len;
    f.names = (mtasts_str *)malloc((names.len / 2 + 1) * sizeof *f.names);
    CHECK(f.names);
    while (mtasts_cert_next_name(names, &cursor, &name)) {
        CHECK(cursor > before && cursor <= names.len);
        CHECK(name.ptr >= names.ptr && is_inside(name, names.ptr + before, cursor - before));
        before = cursor;
        f.names[f.count++] = name;
    }
    CHECK(cursor == names.len);
    CHECK(!mtasts_cert_next_name(names, &cursor, &name));
    CHECK(cursor == names.len && !name.ptr && !name.len);
    check_copied(names, &f);
    return f;
}

/* ---- the slow reader ---- */

typedef struct element {
    unsigned tag;
    const unsigned char *at; /* the content */
    size_t len;
} element;

/* An element and those that it consists of. */
typedef struct parts {
    element *list;
    size_t count;
    size_t len; /* of all of them */
    int good;
} parts;

/* One element from the front; the octets that it takes, 0 if it is malformed. */
static size_t read_element(const unsigned char *p, size_t len, element *e)
{
    size_t head = 2, n, i;
    if (len < 2 || (p[0] & 0x1f) == 0x1f)
        return 0;
    n = p[1];
    if (n >= 0x80) {
        size_t octets = n - 0x80;
        if (octets < 1 || octets > 4 || len < 2 + octets)
            return 0;
        n = 0;
        for (i = 0; i < octets; i++)
            n = n * 256 + p[2 + i];
        head += octets;
    }
    if (len - head < n)
        return 0;
    e->tag = p[0];
    e->at = p + head;
    e->len = n;
    return head + n;
}

/* All elements that the octets consist of. The caller frees the list. */
static parts split(const unsigned char *p, size_t len)
{
    parts all = {NULL, 0, len, 1};
    size_t n;
    all.list = (element *)malloc((len / 2 + 1) * sizeof *all.list);
    CHECK(all.list);
    for (; len && all.good; p += n, len -= n) {
        n = read_element(p, len, &all.list[all.count]);
        if (!n)
            all.good = 0;
        else
            all.count++;
    }
    return all;
}

static int has_tag(const parts *all, size_t i, unsigned tag)
{
    return i < all->count && all->list[i].tag == tag;
}

/* RFC 5280 4.1: the content of [3], or an empty one if there is none. 0: not as it should be. */
static int find_extensions(const element *tbs, element *extensions)
{
    static const unsigned char fields[] = {0x02, 0x30, 0x30, 0x30, 0x30, 0x30};
    parts all = split(tbs->at, tbs->len);
    size_t i = has_tag(&all, 0, 0xa0) ? 1 : 0, k;
    int good = all.good;
    for (k = 0; k < sizeof fields; k++)
        good = good && has_tag(&all, i++, fields[k]);
    while (has_tag(&all, i, 0x81) || has_tag(&all, i, 0x82))
        i++;
    memset(extensions, 0, sizeof *extensions);
    if (good && i < all.count) {
        good = has_tag(&all, i, 0xa3) && i + 1 == all.count;
        *extensions = all.list[i];
    }
    free(all.list);
    return good;
}

/* RFC 5280 4.2: extnID, critical, extnValue. The value if it is the subjectAltName. */
static int read_extension(const element *extension, element *value, int *is_alt_name)
{
    parts all = split(extension->at, extension->len);
    size_t i = has_tag(&all, 1, 0x01) ? 2 : 1;
    int good = extension->tag == 0x30 && all.good && all.count == i + 1 && has_tag(&all, 0, 0x06) &&
               has_tag(&all, i, 0x04);
    *is_alt_name = good && all.list[0].len == 3 && memcmp(all.list[0].at, "\x55\x1d\x11", 3) == 0;
    if (good)
        *value = all.list[i];
    free(all.list);
    return good;
}

/* The only element of these octets, which must be a SEQUENCE. */
static int read_sequence(const unsigned char *p, size_t len, element *e)
{
    return read_element(p, len, e) == len && len && e->tag == 0x30;
}

/* The content of the subjectAltName, in `names`; one without content if there is none. */
static int find_alt_names(const element *extensions, element *names)
{
    parts all = split(extensions->at, extensions->len);
    size_t i;
    int good = all.good, seen = 0;
    memset(names, 0, sizeof *names);
    for (i = 0; i < all.count && good; i++) {
        element value = {0, NULL, 0};
        int is_alt_name;
        good = read_extension(&all.list[i], &value, &is_alt_name);
        if (is_alt_name)
            good = !seen++ && read_sequence(value.at, value.len, names);
    }
    free(all.list);
    return good;
}

/* All elements of the subjectAltName. */
static parts read_certificate(const unsigned char *der, size_t len)
{
    static const parts refused = {NULL, 0, 0, 0};
    element certificate, tbs, tagged, extensions = {0, NULL, 0}, names = {0, NULL, 0};
    if (!read_sequence(der, len, &certificate) ||
        !read_element(certificate.at, certificate.len, &tbs) || tbs.tag != 0x30 ||
        !find_extensions(&tbs, &tagged))
        return refused;
    if (tagged.tag && !read_sequence(tagged.at, tagged.len, &extensions))
        return refused;
    if (!find_alt_names(&extensions, &names))
        return refused;
    return split(names.at, names.len);
}

/* 1: there is an entry with a constructed [2]. */
static int compare_slow(const parts *all, const found *f)
{
    size_t i, n = 0;
    int constructed = 0;
    CHECK(all->good == (f->err == MTASTS_OK) && (!all->good || all->len == f->len));
    for (i = 0; i < all->count && all->good; i++) {
        const element *e = &all->list[i];
        constructed |= e->tag == 0xa2;
        if (e->tag != 0x82)
            continue;
        CHECK(n < f->count);
        CHECK(f->names[n].ptr == (const char *)e->at && f->names[n].len == e->len);
        n++;
    }
    CHECK(n == f->count);
    return constructed;
}

/* ---- the libraries ---- */

static void compare_mbedtls(const unsigned char *der, size_t len, const found *f)
{
    mbedtls_x509_crt crt;
    const mbedtls_x509_sequence *s;
    size_t i = 0;
    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der(&crt, der, len) == 0) {
        for (s = &crt.subject_alt_names; s && s->buf.p; s = s->next)
            if (s->buf.tag == 0x82) {
                CHECK(i < f->count && same(f->names[i], s->buf.p, s->buf.len));
                i++;
            }
        CHECK(i == f->count);
    }
    mbedtls_x509_crt_free(&crt);
}

/* `more`: OpenSSL may know entries that we do not. */
static void compare_general_names(const GENERAL_NAMES *list, const found *f, int more)
{
    size_t n = 0;
    int i;
    for (i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        if (g->type != GEN_DNS)
            continue;
        if (n < f->count && same(f->names[n], ASN1_STRING_get0_data(g->d.dNSName),
                                 (size_t)ASN1_STRING_length(g->d.dNSName)))
            n++;
        else
            CHECK(more);
    }
    CHECK(n == f->count);
}

static void compare_openssl(const unsigned char *der, size_t len, const found *f, int more)
{
    const unsigned char *p = der;
    X509 *x = d2i_X509(NULL, &p, (long)len);
    int critical = 0;
    if (x && p == der + len) {
        GENERAL_NAMES *list =
            (GENERAL_NAMES *)X509_get_ext_d2i(x, NID_subject_alt_name, &critical, NULL);
        CHECK(critical != -2); /* there are several */
        if (list)
            compare_general_names(list, f, more);
        else if (critical == -1) /* there is none */
            CHECK(!f->count);
        GENERAL_NAMES_free(list);
    }
    X509_free(x);
    ERR_clear_error();
}

/* ---- the properties of an accepted certificate ---- */

static void check_whole(const unsigned char *der, size_t len)
{
    unsigned char *longer = (unsigned char *)malloc(len + 1);
    mtasts_str names;
    size_t i;
    CHECK(longer);
    memcpy(longer, der, len);
    longer[len] = 0;
    CHECK(mtasts_cert_der_names(longer, len + 1, &names, NULL) == MTASTS_ERR_CERT_DER);
    free(longer);
    for (i = 0; i < len; i++)
        CHECK(mtasts_cert_der_names(der, i, &names, NULL) == MTASTS_ERR_CERT_DER);
}

static void check_match(const unsigned char *der, size_t len, const found *f, mtasts_str host)
{
    int matches = 7;
    CHECK(mtasts_cert_der_matches(der, len, host.ptr, host.len, &matches) == f->err);
    CHECK(matches == mtasts_cert_matches(f->names, f->count, host.ptr, host.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    mtasts_str host, der, none;
    const unsigned char *p;
    found f;
    parts slow;
    int constructed;
    size_t i;
    in.at = data;
    in.left = size;
    i = take_octet(&in);
    host = take_copy(&in, i);
    der = take_copy(&in, in.left);
    p = (const unsigned char *)der.ptr;
    f = find_names(p, der.len);
    slow = read_certificate(p, der.len);
    constructed = compare_slow(&slow, &f);
    free(slow.list);
    check_match(p, der.len, &f, host);
    for (i = 0; i < f.count && i < 8; i++)
        check_match(p, der.len, &f, f.names[i]);
    CHECK(mtasts_cert_der_names(NULL, der.len, &none, NULL) ==
              (der.len ? MTASTS_ERR_USAGE : MTASTS_ERR_CERT_DER) &&
          !none.ptr);
    if (f.err == MTASTS_OK) {
        check_whole(p, der.len);
        compare_mbedtls(p, der.len, &f);
        compare_openssl(p, der.len, &f, constructed);
    }
    free(f.names);
    drop_copy(der);
    drop_copy(host);
    return 0;
}
