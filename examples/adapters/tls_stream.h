/* tls_stream - a TCP connection that can turn to TLS, with mbedTLS in a libevent loop
 *
 * Copy tls_stream.h and tls_stream.c: https_mbedtls and smtp_probe stand on them. They need mbedTLS
 * 2.28 or 3.x and libevent_core.
 *
 *   - Several addresses (32 at most) are tried in turn until one can be connected to; each gets its
 *     share of the time. Addresses that are not public are not connected to unless that is allowed.
 *   - TLS 1.2 or newer. The handshake goes on whatever the certificate is, so that all can be told
 *     about it; the caller looks at tls_stream_peer before it says anything that matters.
 *   - One deadline for everything from open to close, against a peer that drips.
 *   - Revocation: by the CRLs in crl_file only. mbedTLS has no OCSP, neither stapled nor asked for,
 *     and knows nothing of must-staple: a certificate that is on no CRL given here counts as not
 *     revoked.
 *   - An issuer with name constraints is not trusted: mbedTLS cannot check them.
 *
 * One thread. No callback runs before the function that it was given to has returned. */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mtasts.h"

struct event_base;
typedef struct tls_context tls_context;
typedef struct tls_stream tls_stream;

/* tls_context_open, tls_context_close - roots, CRLs and random numbers, for any number of streams
 *
 *   ca_file   PEM, one or more certificates; NULL: this system's bundle, wherever that is, or what
 *             SSL_CERT_FILE names
 *   crl_file  PEM, one or more CRLs; NULL: none
 *   error     error_size octets for a sentence; written after a failure
 *   returns   NULL after a failure
 *   close     after all of its streams. NULL: nothing happens.
 */
tls_context *tls_context_open(const char *ca_file, const char *crl_file, char *error,
                              size_t error_size);
void tls_context_close(tls_context *context);

typedef enum tls_stream_event {
    TLS_STREAM_CONNECTED, /* TCP is up: write, or start TLS */
    TLS_STREAM_SECURED,   /* the handshake is over: tls_stream_peer */
    TLS_STREAM_DATA,      /* octets have come */
    TLS_STREAM_END,   /* the peer has ended it properly: close_notify; without TLS a FIN. Nothing
                             more will come, nothing can be written */
    TLS_STREAM_FAILED /* tls_stream_failure says why; nothing more will come */
} tls_stream_event;

typedef enum tls_stream_failure {
    TLS_STREAM_OK = 0,
    TLS_STREAM_NO_ADDRESS,  /* none was given */
    TLS_STREAM_NOT_PUBLIC,  /* none that may be connected to */
    TLS_STREAM_UNREACHABLE, /* no address could be connected to: refused, no route */
    TLS_STREAM_TIMEOUT,     /* the deadline is over */
    TLS_STREAM_CUT,         /* reset, or ended without close_notify */
    TLS_STREAM_HANDSHAKE,   /* TLS could not be agreed on */
    TLS_STREAM_ALERT,       /* the peer has ended TLS with an alert */
    TLS_STREAM_NO_MEANS     /* no memory, no descriptor: not the peer's fault */
} tls_stream_failure;

/* Called for each event; `data` only with TLS_STREAM_DATA. It may call any function, close too. */
typedef void tls_stream_callback(void *user, tls_stream *stream, tls_stream_event event,
                                 const unsigned char *data, size_t len);

typedef struct tls_stream_options {
    struct event_base *base;
    tls_context *tls;
    unsigned port;
    unsigned deadline;         /* milliseconds for all of it; 0: 60000 */
    unsigned connect_deadline; /* milliseconds for one address at most; 0: 10000. Less if there are
                                  so many addresses that the deadline would not do */
    int allow_private;         /* 1: addresses that are not public (mtasts_address_is_public) too */
} tls_stream_options;

/* tls_stream_open - connect to the first address that can be
 *
 *   options     copied
 *   addresses   copied; their ports do not matter
 *   returns     NULL: no memory. Everything else that goes wrong is an event.
 */
tls_stream *tls_stream_open(const tls_stream_options *options,
                            const struct sockaddr_storage *addresses, size_t count,
                            tls_stream_callback *callback, void *user);

/* tls_stream_secure - begin the handshake, with `host` as SNI (NULL: none); after
 * TLS_STREAM_CONNECTED, once. What was written before is sent first. */
void tls_stream_secure(tls_stream *stream, const char *host);

/* tls_stream_write - send octets; they are copied, 64 KiB at most may wait: returns 1, or 0 if that
 * is too much or the stream has failed; and during the handshake, when nothing can be said yet */
int tls_stream_write(tls_stream *stream, const void *data, size_t len);

/* tls_stream_close - end it, with a close_notify if TLS is up; no event comes any more. NULL:
 * nothing happens. */
void tls_stream_close(tls_stream *stream);

/* What TLS says of the peer. All of it is good until the stream is closed. */
typedef struct tls_stream_peer_info {
    const char *version;      /* "TLSv1.2" */
    const char *cipher;       /* the suite's name */
    mtasts_chain chain;       /* names apart: they are section 9's */
    const char *chain_text;   /* why it is not TRUSTED, in words; "" if it is */
    const unsigned char *der; /* the peer's own certificate; NULL: it gave none */
    size_t der_len;
    int64_t not_before, not_after; /* Unix seconds, of the peer's own certificate */
    const char *issuer;            /* its issuer's name, escaped; "" if there is none */
} tls_stream_peer_info;

/* tls_stream_peer - after TLS_STREAM_SECURED; before, all is zero or "". After a failure
 * TLS_STREAM_HANDSHAKE chain is UNTRUSTED, and chain_text says why, if it was for a certificate
 * that cannot be read */
const tls_stream_peer_info *tls_stream_peer(const tls_stream *stream);

/* tls_stream_address - the address that it is connected to, or tried last; ss_family 0: none */
const struct sockaddr_storage *tls_stream_address(const tls_stream *stream);

/* tls_stream_why, tls_stream_why_text - why it failed; a sentence with what the system or mbedTLS
 * has said, never NULL */
tls_stream_failure tls_stream_why(const tls_stream *stream);
const char *tls_stream_why_text(const tls_stream *stream);

/* tls_stream_address_text - "192.0.2.1", "2001:db8::1"; "" for none. Returns out. */
const char *tls_stream_address_text(const struct sockaddr_storage *address, char *out, size_t cap);

#endif
