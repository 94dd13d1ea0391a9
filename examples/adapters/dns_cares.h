/* dns_cares - TXT, MX and address look-ups with c-ares, in a libevent loop
 *
 * Copy dns_cares.h and dns_cares.c. They need c-ares 1.16 or newer and libevent_core.
 *
 *   - Aliases (CNAME) are followed, also where a server gives only the alias itself; what is too
 *     many or goes in a circle is told as such.
 *   - Answers cut off over UDP are asked for again over TCP.
 *   - How long an answer may be remembered is the least TTL on the way to it; of an absence what
 *     RFC 2308 says.
 *   - DNSSEC: a validating resolver answers SERVFAIL for what is bogus. c-ares 1.18 cannot tell it
 *     from other failures, so it comes out as DNS_CARES_SERVFAIL; both mean "could not find out".
 *
 * One thread. No callback runs before the function that it was given to has returned. */
#ifndef DNS_CARES_H
#define DNS_CARES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mtasts.h"

struct event_base;
typedef struct dns_cares dns_cares;
typedef struct dns_cares_query dns_cares_query;

typedef struct dns_cares_options {
    const char *servers;  /* "127.0.0.1:5353,[::1]:53"; NULL: those of resolv.conf */
    unsigned max_aliases; /* 0: 5 (RFC 8461 8.2: delegation) */
    unsigned timeout;     /* milliseconds for the first try, doubled with each; 0: 3000 */
    unsigned tries;       /* for each server; 0: 3 */
    unsigned deadline;    /* milliseconds for a question, with all tries and aliases; 0: 30000 */
} dns_cares_options;

typedef enum dns_cares_type {
    DNS_CARES_TXT,
    DNS_CARES_MX,
    DNS_CARES_ADDRESSES /* A and AAAA, asked at the same time; IPv6 first, each as answered */
} dns_cares_type;

typedef enum dns_cares_status {
    DNS_CARES_OK = 0,
    DNS_CARES_NO_NAME,  /* NXDOMAIN */
    DNS_CARES_NO_DATA,  /* the name exists, but has nothing of this type */
    DNS_CARES_BAD_NAME, /* it cannot be asked for: an empty label, too long */
    DNS_CARES_SERVFAIL, /* SERVFAIL; with a validating resolver perhaps bogus */
    DNS_CARES_REFUSED,  /* REFUSED, NOTIMP, FORMERR: the server will not */
    DNS_CARES_TIMEOUT,
    DNS_CARES_NO_SERVER, /* none can be reached, or none is configured */
    DNS_CARES_ALIASES,   /* more than max_aliases, or a circle */
    DNS_CARES_MALFORMED, /* an answer that is no DNS message, or not to this question */
    DNS_CARES_NO_MEMORY
} dns_cares_status;

typedef struct dns_cares_mx {
    unsigned preference;
    /* Without the dot at the end; "" is the null MX (RFC 7505). Any octets but NUL: what is not fit
     * for a name was escaped as \DDD, and so matches nothing. */
    const char *host;
} dns_cares_mx;

/* All of it is good until `done` returns. */
typedef struct dns_cares_answer {
    dns_cares_status status;
    uint32_t ttl;     /* seconds that the answer, or the absence, may be remembered */
    unsigned aliases; /* how many were followed */
    const char *name; /* where they led to, which is the name asked for if there were none */
    size_t count; /* of the one list that was asked for; 0 unless OK. Of more than 256 records of
                         a type the first 256 are given. */
    const mtasts_txt *txt;
    const dns_cares_mx *mx; /* sorted by preference, equal ones in a random order (RFC 5321 5.1) */
    const struct sockaddr_storage *addresses; /* the port is 0 */
} dns_cares_answer;

/* dns_cares_open, dns_cares_close
 *
 *   options   NULL: the defaults
 *   error     error_size octets for a sentence; written after a failure
 *   returns   NULL after a failure
 *   close     ends all queries: their `done` is not called any more. May be called by a `done`.
 *             NULL: nothing happens.
 */
dns_cares *dns_cares_open(struct event_base *base, const dns_cares_options *options, char *error,
                          size_t error_size);
void dns_cares_close(dns_cares *dns);

/* dns_cares_ask - ask one question
 *
 *   name      NUL-terminated
 *   done      called once, from the event loop, unless the query is cancelled before
 *   returns   good until `done` was called or it was cancelled; NULL: no memory, `done` is not
 *             called
 */
dns_cares_query *dns_cares_ask(dns_cares *dns, dns_cares_type type, const char *name,
                               void (*done)(void *user, const dns_cares_answer *answer),
                               void *user);
void dns_cares_cancel(dns_cares_query *query);

/* dns_cares_err - what a status of a TXT query is for mtasts_client_give_txt: MTASTS_OK,
 * MTASTS_ERR_NO_RECORD, MTASTS_ERR_DNS or MTASTS_ERR_DNS_CNAME */
mtasts_err dns_cares_err(dns_cares_status status);

/* dns_cares_text - "the name does not exist", "the DNS server failed (SERVFAIL)"; never NULL */
const char *dns_cares_text(dns_cares_status status);

#endif
