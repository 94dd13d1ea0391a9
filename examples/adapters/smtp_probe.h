/* smtp_probe - what an MX host does: EHLO, STARTTLS, certificate; and one mail, if there is one
 *
 * Copy smtp_probe.[ch], tls_stream.[ch] and dns_cares.[ch].
 *
 *   connect - 220 - EHLO - STARTTLS - handshake - EHLO - QUIT
 *
 * No mail is sent, unless options.message says so. Then it goes out before QUIT, if the caller
 * agrees to the session as it is.
 *
 * What comes out is an mtasts_session, ready for mtasts_apply_verdict, and the rest in words. A
 * server that says more than its answer to STARTTLS before TLS is up (RFC 3207 4.2 and
 * CVE-2011-0411) counts as one whose STARTTLS failed.
 *
 * One thread. No callback runs before the function that it was given to has returned. */
#ifndef SMTP_PROBE_H
#define SMTP_PROBE_H

#include "dns_cares.h"
#include "mtasts.h"
#include "tls_stream.h"

typedef struct smtp_probe smtp_probe;

/* One small mail. The probe takes all texts as they are: they must be fit for SMTP. */
typedef struct smtp_probe_message {
    const char *from, *to; /* addresses without <>; from may be "" */
    const char *text; /* header and body: lines end in CRLF, dots at their start are doubled; 32
                              KiB at most; without the dot at the end */
    /* Called when the mail could be sent, over TLS or in the clear: returns 1 if it shall be. Not
     * called after a STARTTLS that failed: then the way in the clear is another probe with no_tls.
     * It must not cancel the probe. */
    int (*ready)(void *user, const mtasts_session *session);
} smtp_probe_message;

typedef struct smtp_probe_options {
    struct event_base *base;
    dns_cares *dns;
    tls_context *tls;
    const char *helo;  /* the name that this host gives; NULL: "localhost" */
    unsigned port;     /* 0: 25 */
    unsigned deadline; /* milliseconds for all of it; 0: 60000 */
    int allow_private; /* 1: addresses that are not public too */
    int no_tls;        /* 1: no STARTTLS, even if it is offered; the session says nothing then */
    const smtp_probe_message *message; /* NULL: no mail */
} smtp_probe_options;

/* How far it came. */
typedef enum smtp_probe_stage {
    SMTP_PROBE_ADDRESS,  /* no address was found */
    SMTP_PROBE_CONNECT,  /* none could be connected to */
    SMTP_PROBE_GREETING, /* no 220 */
    SMTP_PROBE_EHLO,     /* EHLO was refused, or not answered */
    SMTP_PROBE_STARTTLS, /* not offered, or refused, or the handshake failed; with session.starttls
                            DONE: EHLO over TLS was refused, or not answered */
    SMTP_PROBE_DONE      /* TLS was up, and EHLO over it was answered */
} smtp_probe_stage;

/* All of it is good until `done` returns. */
typedef struct smtp_probe_result {
    smtp_probe_stage stage;
    dns_cares_status dns; /* with SMTP_PROBE_ADDRESS: why there is none; a time-out is no answer */
    mtasts_session session; /* for mtasts_apply_verdict. If TCP did not come up, the MX is not to be
                               judged at all: no mail can go there, with or without TLS */
    int reached;   /* 1: an SMTP server answered EHLO with 250, over TLS too if that is up */
    int delivered; /* 1: it took the message */
    int code;      /* of the last answer, 250 and the like; 0: there was none. 354 and
                      not delivered: all was sent, nothing came back; it may have the mail */
    char why[256]; /* what went wrong, in words; "" if nothing did. Nothing in it that the
                               peer has chosen is unescaped */
    const char *tls_version;         /* "TLSv1.2"; "" without TLS */
    const char *cipher;              /* likewise */
    mtasts_str names[8];             /* the first dNSNames of its certificate, any octets */
    size_t name_count;               /* of all that it has */
    int64_t not_before, not_after;   /* of its certificate; 0 without */
    const char *issuer;              /* of its certificate, escaped; "" without */
    struct sockaddr_storage address; /* ss_family 0: none */
    unsigned milliseconds;
} smtp_probe_result;

/* smtp_probe_start
 *
 *   options   copied; what its pointers point to must outlive the probe
 *   host      the MX record's own name: looked up, sent as SNI, and what the certificate must name
 *   done      called once, unless it is cancelled before
 *   returns   good until `done` was called or it was cancelled; NULL: no memory, `done` is not
 *             called
 */
smtp_probe *smtp_probe_start(const smtp_probe_options *options, const char *host,
                             void (*done)(void *user, const smtp_probe_result *result), void *user);
void smtp_probe_cancel(smtp_probe *probe);

#endif
