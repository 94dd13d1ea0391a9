/* A stand-in for what t09_certificate.c uses of mbedTLS, where there is none: the first step of
 * issuing a certificate skips the test. Nothing behind that step is ever called. */
#ifndef MBEDTLS_X509_CRT_H
#define MBEDTLS_X509_CRT_H

#include <stddef.h>

typedef struct mbedtls_pk_context {
    int none;
} mbedtls_pk_context, mbedtls_mpi, mbedtls_x509write_cert;

typedef struct mbedtls_x509_sequence {
    struct {
        int tag;
        size_t len;
        unsigned char *p;
    } buf;
    struct mbedtls_x509_sequence *next;
} mbedtls_x509_sequence;

typedef struct mbedtls_x509_crt {
    mbedtls_x509_sequence subject_alt_names;
} mbedtls_x509_crt;

typedef int mbedtls_random(void *, unsigned char *, size_t);

static inline int stand_in_gen_key(mbedtls_pk_context *key, mbedtls_random *random)
{
    return !key || !random;
}

static inline int stand_in_none(const void *p)
{
    return !p;
}

#define mbedtls_pk_init(key)                         ((void)(key))
#define mbedtls_pk_free(key)                         ((void)(key))
#define mbedtls_pk_setup(key, info)                  stand_in_none(key)
#define mbedtls_pk_ec(key)                           (&(key))
#define mbedtls_ecp_gen_key(group, key, random, arg) stand_in_gen_key(key, random)

#define mbedtls_x509write_crt_init(w) \
    do {                              \
        (void)(w);                    \
        skip();                       \
    } while (0)
#define mbedtls_x509write_crt_free(w)                            ((void)(w))
#define mbedtls_x509write_crt_set_subject_key(w, key)            ((void)(w))
#define mbedtls_x509write_crt_set_issuer_key(w, key)             ((void)(w))
#define mbedtls_x509write_crt_set_md_alg(w, alg)                 ((void)(w))
#define mbedtls_x509write_crt_set_subject_name(w, name)          stand_in_none(w)
#define mbedtls_x509write_crt_set_issuer_name(w, name)           stand_in_none(w)
#define mbedtls_x509write_crt_set_validity(w, from, to)          stand_in_none(w)
#define mbedtls_x509write_crt_set_serial(w, serial)              stand_in_none(w)
#define mbedtls_x509write_crt_set_basic_constraints(w, ca, path) stand_in_none(w)
#define mbedtls_x509write_crt_set_extension(w, oid, oid_len, critical, value, len) \
    stand_in_none((critical) + (len) ? (value) : NULL)
#define mbedtls_x509write_crt_der(w, out, cap, random, arg) stand_in_none(w)

#define mbedtls_mpi_init(mpi)    ((void)(mpi))
#define mbedtls_mpi_free(mpi)    ((void)(mpi))
#define mbedtls_mpi_lset(mpi, n) stand_in_none(mpi)

#define mbedtls_x509_crt_init(crt)                ((void)(crt))
#define mbedtls_x509_crt_free(crt)                ((void)(crt))
#define mbedtls_x509_crt_parse_der(crt, der, len) stand_in_none((len) ? (der) : NULL)

#endif
