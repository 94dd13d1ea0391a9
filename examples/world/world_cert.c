/* A CA, the certificates of the hosts, and a CRL. mbedTLS writes certificates, but neither
 * subjectAltName (2.28) nor CRLs: those are written here. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/md.h>

enum { CERT_MAX = 2048, SERIAL_SIZE = 8 };

static const char always_from[] = "20200101000000", always_to[] = "20491231235959";

/* ---- DER, written from its end, as lengths come before what they count ---- */

typedef struct der {
    unsigned char *start, *p; /* p: what is written so far; it never goes before start */
    unsigned char *end;
    int full;
} der;

static void der_put(der *d, const void *octets, size_t len)
{
    if ((size_t)(d->p - d->start) < len) {
        d->full = 1;
        return;
    }
    d->p -= len;
    memcpy(d->p, octets, len);
}

static void der_octet(der *d, size_t value)
{
    unsigned char octet = (unsigned char)value;
    der_put(d, &octet, 1);
}

static size_t der_len(const der *d)
{
    return (size_t)(d->end - d->p);
}

/* Put a tag and a length before what was written since der_len was `mark`. */
static void der_wrap(der *d, unsigned char tag, size_t mark)
{
    size_t len = der_len(d) - mark, octets = 0, rest;
    for (rest = len; len > 127 && rest; rest >>= 8, octets++)
        der_octet(d, rest & 0xff);
    der_octet(d, len > 127 ? 0x80 | octets : len);
    der_octet(d, tag);
}

static void der_item(der *d, unsigned char tag, const void *octets, size_t len)
{
    size_t mark = der_len(d);
    der_put(d, octets, len);
    der_wrap(d, tag, mark);
}

/* ---- certificates ---- */

typedef struct order {
    const char *subject; /* its common name */
    mbedtls_pk_context *subject_key;
    const char *issuer;
    mbedtls_pk_context *issuer_key;
    const char *from, *to;
    const char *san; /* NULL: none */
    int is_ca;
    uint64_t serial;
} order;

static void serial_octets(unsigned char out[SERIAL_SIZE], uint64_t serial)
{
    int i;
    for (i = SERIAL_SIZE - 1; i >= 0; i--, serial >>= 8)
        out[i] = (unsigned char)serial;
    out[0] = 0x57; /* one length for all, positive, and not zero */
}

static int set_serial(mbedtls_x509write_cert *c, uint64_t serial)
{
    unsigned char octets[SERIAL_SIZE];
    serial_octets(octets, serial);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(c, octets, sizeof octets);
#else
    {
        mbedtls_mpi n;
        int error;
        mbedtls_mpi_init(&n);
        error = mbedtls_mpi_read_binary(&n, octets, sizeof octets);
        if (!error)
            error = mbedtls_x509write_crt_set_serial(c, &n);
        mbedtls_mpi_free(&n);
        return error;
    }
#endif
}

/* A name as mbedTLS reads it: "CN=..." with what means something to it escaped. What is no text, or
 * too long for a common name, only the subjectAltName has. */
static void distinguished(char out[160], const char *name)
{
    size_t i, n = 3;
    memcpy(out, "CN=", 4);
    for (i = 0; name[i] && i < 65; i++) {
        int plain = (unsigned char)name[i] > ' ' && (unsigned char)name[i] < 0x7f;
        if (!plain && name[i] != ' ')
            break;
        if (strchr(",=+<>#;\"\\", name[i]))
            break;
        out[n++] = name[i];
        out[n] = '\0';
    }
    if (name[i] || i > 64)
        memcpy(out, "CN=see subjectAltName", 22);
}

static int set_names(mbedtls_x509write_cert *c, const order *o)
{
    char subject[160], issuer_name[160];
    int error;
    distinguished(subject, o->subject);
    distinguished(issuer_name, o->issuer);
    error = mbedtls_x509write_crt_set_subject_name(c, subject);
    return error ? error : mbedtls_x509write_crt_set_issuer_name(c, issuer_name);
}

static int set_san(mbedtls_x509write_cert *c, const char *name)
{
    unsigned char buffer[300];
    der d = {buffer, buffer + sizeof buffer, buffer + sizeof buffer, 0};
    der_item(&d, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2, name, strlen(name)); /* dNSName */
    der_wrap(&d, MBEDTLS_ASN1_SEQUENCE | MBEDTLS_ASN1_CONSTRUCTED, 0);
    if (d.full)
        return MBEDTLS_ERR_X509_BUFFER_TOO_SMALL;
    return mbedtls_x509write_crt_set_extension(c, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                               d.p, der_len(&d));
}

static int set_extensions(mbedtls_x509write_cert *c, const order *o)
{
    static const unsigned char server_auth[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                                                0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    unsigned usage = o->is_ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN
                              : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
    int error = mbedtls_x509write_crt_set_basic_constraints(c, o->is_ca, -1);
    if (!error)
        error = mbedtls_x509write_crt_set_key_usage(c, (unsigned char)usage);
    if (!error)
        error = mbedtls_x509write_crt_set_subject_key_identifier(c);
    if (!error)
        error = mbedtls_x509write_crt_set_authority_key_identifier(c);
    if (!error && !o->is_ca)
        error = mbedtls_x509write_crt_set_extension(
            c, MBEDTLS_OID_EXTENDED_KEY_USAGE, MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
            server_auth, sizeof server_auth);
    if (!error && o->san)
        error = set_san(c, o->san);
    return error;
}

static int make(authority *a, const order *o, mbedtls_x509_crt *out)
{
    unsigned char buffer[CERT_MAX];
    mbedtls_x509write_cert c;
    int n;
    mbedtls_x509write_crt_init(&c);
    mbedtls_x509write_crt_set_version(&c, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&c, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&c, o->subject_key);
    mbedtls_x509write_crt_set_issuer_key(&c, o->issuer_key);
    n = set_names(&c, o);
    if (!n)
        n = set_serial(&c, o->serial);
    if (!n)
        n = mbedtls_x509write_crt_set_validity(&c, o->from, o->to);
    if (!n)
        n = set_extensions(&c, o);
    if (!n)
        n = mbedtls_x509write_crt_der(&c, buffer, sizeof buffer, mbedtls_ctr_drbg_random,
                                      &a->random);
    if (n > 0) /* its length; it stands at the end of the buffer */
        n = mbedtls_x509_crt_parse_der(out, buffer + sizeof buffer - n, (size_t)n);
    mbedtls_x509write_crt_free(&c);
    return n;
}

/* ---- the CA ---- */

static int make_key(authority *a, mbedtls_pk_context *key)
{
    int error = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return error ? error
                 : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key),
                                       mbedtls_ctr_drbg_random, &a->random);
}

static const char root_name[] = "World CA", other_name[] = "Another CA",
                  middle_name[] = "World Intermediate CA";

static int make_issuer(authority *a, issuer *i, const char *name, const char *by,
                       mbedtls_pk_context *by_key)
{
    order o = {name, &i->key, by, by_key, always_from, always_to, NULL, 1, ++a->serial};
    int error = make_key(a, &i->key);
    return error ? error : make(a, &o, &i->crt);
}

int authority_open(authority *a)
{
    static const unsigned char use[] = "mtasts-world";
    int error;
    mbedtls_entropy_init(&a->entropy);
    mbedtls_ctr_drbg_init(&a->random);
    mbedtls_pk_init(&a->leaf_key);
    mbedtls_pk_init(&a->root.key);
    mbedtls_pk_init(&a->other.key);
    mbedtls_pk_init(&a->middle.key);
    mbedtls_x509_crt_init(&a->root.crt);
    mbedtls_x509_crt_init(&a->other.crt);
    mbedtls_x509_crt_init(&a->middle.crt);
    error = mbedtls_ctr_drbg_seed(&a->random, mbedtls_entropy_func, &a->entropy, use, sizeof use);
    if (!error)
        error = make_key(a, &a->leaf_key);
    if (!error)
        error = make_issuer(a, &a->root, root_name, root_name, &a->root.key);
    if (!error)
        error = make_issuer(a, &a->other, other_name, other_name, &a->other.key);
    if (!error)
        error = make_issuer(a, &a->middle, middle_name, root_name, &a->root.key);
    return !error;
}

void authority_close(authority *a)
{
    mbedtls_x509_crt_free(&a->middle.crt);
    mbedtls_x509_crt_free(&a->other.crt);
    mbedtls_x509_crt_free(&a->root.crt);
    mbedtls_pk_free(&a->middle.key);
    mbedtls_pk_free(&a->other.key);
    mbedtls_pk_free(&a->root.key);
    mbedtls_pk_free(&a->leaf_key);
    mbedtls_ctr_drbg_free(&a->random);
    mbedtls_entropy_free(&a->entropy);
}

/* ---- leaves ---- */

static void order_leaf(authority *a, const host *h, const char *wildcard, order *o)
{
    o->subject = o->san = h->name.ptr;
    switch (h->cert) {
    case CERT_EXPIRED:
        o->to = "20210101000000";
        break;
    case CERT_FUTURE:
        o->from = "20900101000000";
        o->to = "20991231235959";
        break;
    case CERT_SELF:
        o->issuer = o->subject;
        o->issuer_key = &a->leaf_key;
        break;
    case CERT_OTHER_CA:
        o->issuer = other_name;
        o->issuer_key = &a->other.key;
        break;
    case CERT_NAME:
        o->subject = o->san = h->cert_name.ptr;
        break;
    case CERT_WILDCARD:
        o->subject = o->san = wildcard;
        break;
    case CERT_CN_ONLY:
        o->san = NULL;
        break;
    case CERT_INTERMEDIATE:
    case CERT_NO_INTERMEDIATE:
        o->issuer = middle_name;
        o->issuer_key = &a->middle.key;
        break;
    case CERT_GOOD:
    case CERT_REVOKED:
        break;
    }
}

static int make_leaf(authority *a, const host *h, mbedtls_x509_crt *out)
{
    order o = {NULL,      &a->leaf_key, root_name, &a->root.key, always_from,
               always_to, NULL,         0,         h->serial};
    char wildcard[260];
    const char *parent = strchr(h->name.ptr, '.');
    int error;
    snprintf(wildcard, sizeof wildcard, "*%s", parent ? parent : "");
    order_leaf(a, h, wildcard, &o);
    error = make(a, &o, out);
    if (!error && h->cert == CERT_INTERMEDIATE)
        error = mbedtls_x509_crt_parse_der(out, a->middle.crt.raw.p, a->middle.crt.raw.len);
    return error;
}

mbedtls_x509_crt *authority_leaf(authority *a, host *h)
{
    if (h->leaf)
        return h->leaf;
    h->leaf = malloc(sizeof *h->leaf);
    if (!h->leaf)
        return NULL;
    mbedtls_x509_crt_init(h->leaf);
    if (make_leaf(a, h, h->leaf) != 0) {
        mbedtls_x509_crt_free(h->leaf);
        free(h->leaf);
        h->leaf = NULL;
    }
    return h->leaf;
}

/* ---- the CRL: RFC 5280 5.1 ---- */

enum { SEQUENCE = MBEDTLS_ASN1_SEQUENCE | MBEDTLS_ASN1_CONSTRUCTED };

static void put_algorithm(der *d)
{
    size_t mark = der_len(d);
    der_item(d, MBEDTLS_ASN1_OID, MBEDTLS_OID_ECDSA_SHA256,
             MBEDTLS_OID_SIZE(MBEDTLS_OID_ECDSA_SHA256));
    der_wrap(d, SEQUENCE, mark);
}

static void put_revoked(der *d, const world *w)
{
    size_t mark = der_len(d), entry;
    const host *h;
    for (h = w->first; h; h = h->next) {
        unsigned char serial[SERIAL_SIZE];
        if (h->cert != CERT_REVOKED)
            continue;
        entry = der_len(d);
        serial_octets(serial, h->serial);
        der_item(d, MBEDTLS_ASN1_UTC_TIME, "210101000000Z", 13);
        der_item(d, MBEDTLS_ASN1_INTEGER, serial, sizeof serial);
        der_wrap(d, SEQUENCE, entry);
    }
    if (der_len(d) > mark) /* an empty list is left out */
        der_wrap(d, SEQUENCE, mark);
}

/* The one extension that every CRL of version 2 has: its number. */
static void put_number(der *d, uint64_t serial)
{
    unsigned char number[SERIAL_SIZE];
    size_t mark = der_len(d), value;
    serial_octets(number, serial);
    value = der_len(d);
    der_item(d, MBEDTLS_ASN1_INTEGER, number, sizeof number);
    der_wrap(d, MBEDTLS_ASN1_OCTET_STRING, value);
    der_item(d, MBEDTLS_ASN1_OID, "\x55\x1d\x14", 3); /* cRLNumber */
    der_wrap(d, SEQUENCE, mark);
    der_wrap(d, SEQUENCE, mark);
    der_wrap(d, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 0, mark);
}

/* The part that is signed. */
static void put_list(der *d, const authority *a, const world *w)
{
    const mbedtls_x509_buf *name = &a->root.crt.subject_raw;
    put_number(d, a->serial);
    put_revoked(d, w);
    der_item(d, MBEDTLS_ASN1_UTC_TIME, "491231235959Z", 13); /* the next one */
    der_item(d, MBEDTLS_ASN1_UTC_TIME, "210101000000Z", 13); /* this one */
    der_put(d, name->p, name->len);
    put_algorithm(d);
    der_item(d, MBEDTLS_ASN1_INTEGER, "\x01", 1); /* version 2 */
    der_wrap(d, SEQUENCE, 0);
}

static size_t sign(authority *a, const unsigned char *octets, size_t len, unsigned char *out,
                   size_t size)
{
    unsigned char hash[32];
    size_t signature = 0;
    int error = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), octets, len, hash);
#if MBEDTLS_VERSION_MAJOR >= 3
    if (!error)
        error = mbedtls_pk_sign(&a->root.key, MBEDTLS_MD_SHA256, hash, sizeof hash, out, size,
                                &signature, mbedtls_ctr_drbg_random, &a->random);
#else
    if (!error && size >= MBEDTLS_PK_SIGNATURE_MAX_SIZE)
        error = mbedtls_pk_sign(&a->root.key, MBEDTLS_MD_SHA256, hash, sizeof hash, out, &signature,
                                mbedtls_ctr_drbg_random, &a->random);
#endif
    return error ? 0 : signature;
}

static void put_signed(der *d, authority *a, const der *list)
{
    unsigned char signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len = sign(a, list->p, der_len(list), signature, sizeof signature);
    der_put(d, signature, len);
    der_octet(d, 0); /* no unused bits */
    der_wrap(d, MBEDTLS_ASN1_BIT_STRING, 0);
    put_algorithm(d);
    der_put(d, list->p, der_len(list));
    der_wrap(d, SEQUENCE, 0);
    d->full |= list->full || len == 0;
}

/* ---- files ---- */

/* Under its name there is always a whole file. */
static int write_pem(const char *path, const char *begin, const char *end,
                     const unsigned char *octets, size_t len)
{
    size_t size = len / 3 * 5 + 200, used = 0;
    unsigned char *pem = malloc(size);
    char fresh[4096];
    FILE *f = NULL;
    int ok = pem && mbedtls_pem_write_buffer(begin, end, octets, len, pem, size, &used) == 0 &&
             snprintf(fresh, sizeof fresh, "%s.new", path) < (int)sizeof fresh;
    if (ok)
        f = fopen(fresh, "wb");
    if (f) {
        ok = fwrite(pem, 1, used - 1, f) == used - 1; /* its length counts a NUL */
        ok = fclose(f) == 0 && ok && rename(fresh, path) == 0;
    }
    free(pem);
    return ok && f;
}

int authority_write_ca(authority *a, const char *path)
{
    return write_pem(path, "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                     a->root.crt.raw.p, a->root.crt.raw.len);
}

int authority_write_crl(authority *a, const world *w, const char *path)
{
    size_t size = 1000;
    const host *h;
    unsigned char *buffer;
    der list, whole;
    int ok = 0;
    for (h = w->first; h; h = h->next)
        size += h->cert == CERT_REVOKED ? 40 : 0;
    buffer = malloc(2 * size);
    if (!buffer)
        return 0;
    list.start = buffer;
    list.p = list.end = buffer + size;
    list.full = 0;
    whole.start = list.end;
    whole.p = whole.end = buffer + 2 * size;
    whole.full = 0;
    put_list(&list, a, w);
    put_signed(&whole, a, &list);
    if (!whole.full)
        ok = write_pem(path, "-----BEGIN X509 CRL-----\n", "-----END X509 CRL-----\n", whole.p,
                       der_len(&whole));
    free(buffer);
    return ok;
}
