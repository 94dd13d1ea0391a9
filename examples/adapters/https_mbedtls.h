/* https_mbedtls - fetch a policy over HTTPS, with mbedTLS and c-ares in a libevent loop
 *
 * Copy https_mbedtls.[ch], tls_stream.[ch] and dns_cares.[ch].
 *
 *   - SNI, certificate chain and name (DNS names only) are checked against the policy host before
 *     the request is sent. TLS 1.2 or newer.
 *   - One deadline for all of it, DNS included; size limits while the answer comes in; no redirect,
 *     no compression (mtasts.h section 7 reads the answer).
 *   - Policy hosts with addresses that are not public are not connected to unless that is allowed.
 *   - Several addresses, IPv6 and IPv4, in turn.
 *
 * One thread. No callback runs before the function that it was given to has returned. */
#ifndef HTTPS_MBEDTLS_H
#define HTTPS_MBEDTLS_H

#include "dns_cares.h"
#include "mtasts.h"
#include "tls_stream.h"

typedef struct https_mbedtls_fetch https_mbedtls_fetch;

typedef struct https_mbedtls_options {
    struct event_base *base;
    dns_cares *dns;
    tls_context *tls;
    unsigned port;          /* 0: 443 */
    unsigned deadline;      /* milliseconds; 0: 1000 * MTASTS_FETCH_TIME_MAX */
    size_t max_body;        /* octets; 0, or more than it: MTASTS_POLICY_MAX */
    int allow_private;      /* 1: addresses that are not public too */
    const char *user_agent; /* NULL: mtasts.h's own */
} https_mbedtls_options;

/* All of it is good until `done` returns. */
typedef struct https_mbedtls_result {
    mtasts_err err;   /* MTASTS_OK; MTASTS_ERR_HTTPS_CONNECT, _CERT; MTASTS_ERR_HTTP_*;
                         MTASTS_ERR_LIMIT: no memory or no descriptor here; for
                         mtasts_client_give_https as it is */
    const char *body; /* the complete body if MTASTS_OK */
    size_t len;
    int status;         /* HTTP's; 0: it did not come so far */
    char why[256];      /* what went wrong, in words: "192.0.2.1 refuses the connection"; "" if OK.
                           Nothing in it that the peer has chosen is unescaped */
    mtasts_chain chain; /* what was wrong with the certificate, if it is MTASTS_ERR_HTTPS_CERT; with
                           TRUSTED it was the name */
    int name_matches;
    const char *tls_version;         /* "TLSv1.2"; "" if it did not come so far */
    struct sockaddr_storage address; /* ss_family 0: it did not come so far */
    int64_t not_before, not_after;   /* of the certificate; 0: it did not come so far */
    unsigned milliseconds;           /* that it took */
} https_mbedtls_result;

/* https_mbedtls_start - fetch the policy of a domain
 *
 *   options   copied; what its pointers point to must outlive the fetch
 *   domain    the policy domain, as mtasts_name_normalise writes it
 *   done      called once, unless it is cancelled before
 *   returns   good until `done` was called or it was cancelled; NULL: no memory, or the domain has
 *             no policy host (too long): `done` is not called
 */
https_mbedtls_fetch *https_mbedtls_start(const https_mbedtls_options *options, const char *domain,
                                         void (*done)(void *user,
                                                      const https_mbedtls_result *result),
                                         void *user);
void https_mbedtls_cancel(https_mbedtls_fetch *fetch);

#endif
