/* What OpenSSL, mbedTLS and libcurl say of a certificate's names. The host is a name without a dot
 * behind it, so that it is one for all of them. */
#ifndef PEERS_H
#define PEERS_H

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <openssl/x509v3.h>

#include "obvious.h"

/* A certificate that has only a subjectAltName: nothing else is looked at. */
static inline X509 *openssl_certificate(const mtasts_str *names, size_t count)
{
    X509 *cert = X509_new();
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    size_t i;
    if (!cert || !list)
        abort();
    for (i = 0; i < count; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *octets = ASN1_IA5STRING_new();
        if (!name || !octets || !ASN1_STRING_set(octets, names[i].ptr, (int)names[i].len))
            abort();
        GENERAL_NAME_set0_value(name, GEN_DNS, octets);
        if (!sk_GENERAL_NAME_push(list, name))
            abort();
    }
    if (X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) != 1)
        abort();
    GENERAL_NAMES_free(list);
    return cert;
}

static inline int openssl_matches(const mtasts_str *names, size_t count, mtasts_str host)
{
    X509 *cert = openssl_certificate(names, count);
    int matches = X509_check_host(
        cert, host.ptr, host.len,
        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);
    CHECK(matches >= 0);
    X509_free(cert);
    return matches;
}

/* The same with mbedTLS. Of what it says of the certificate only the name counts. */
static inline int mbedtls_matches(const mtasts_str *names, size_t count, mtasts_str host)
{
    mbedtls_x509_sequence *list = (mbedtls_x509_sequence *)calloc(count + 1, sizeof *list);
    char host_z[MTASTS_NAME_SIZE];
    mbedtls_x509_crt cert;
    uint32_t flags = 0;
    size_t i;
    if (!list || host.len >= sizeof host_z)
        abort();
    memcpy(host_z, host.ptr, host.len);
    host_z[host.len] = '\0';
    mbedtls_x509_crt_init(&cert);
    for (i = 0; i < count; i++) {
        list[i].buf.tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_X509_SAN_DNS_NAME;
        list[i].buf.p = (unsigned char *)(uintptr_t)names[i].ptr;
        list[i].buf.len = names[i].len;
        list[i].next = &list[i + 1];
    }
    cert.subject_alt_names = list[0];
    cert.ext_types = MBEDTLS_X509_EXT_SUBJECT_ALT_NAME;
    mbedtls_x509_crt_verify(&cert, NULL, NULL, host_z, &flags, NULL, NULL);
    free(list);
    return !(flags & MBEDTLS_X509_BADCERT_CN_MISMATCH);
}

/* libcurl's rules as it documents them: a dot behind either name is ignored; "*" is only the whole
 * left-most label, stands for one label, and two dots are in the pattern. */
static inline int libcurl_matches(mtasts_str presented, mtasts_str host)
{
    mtasts_str tail;
    presented = without_dot(presented);
    host = without_dot(host);
    tail = presented;
    cut_at(&tail, '.');
    if (begins(presented, "*.") && tail.len && memchr(tail.ptr, '.', tail.len)) {
        cut_at(&host, '.');
        presented = tail;
    }
    return host.len && same_name(presented, host);
}

#endif
