/* One domain's policy, looked up with the adapters and, if there is one, the store; and what was
 * seen on the way, for a report. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <netinet/in.h>
#include <stdio.h>

#include "network.h"

enum { LOOKUP_RECORDS = 5, LOOKUP_RECORD_SIZE = 512 };

typedef struct lookup_txt {
    dns_cares_status status;
    uint32_t ttl;
    unsigned aliases;
    char target[MTASTS_NAME_SIZE]; /* where the aliases led to, perhaps cut; hostile */
    size_t count;                  /* records of the answer */
    size_t kept;                   /* of them, here: strings joined, perhaps cut; hostile */
    char records[LOOKUP_RECORDS][LOOKUP_RECORD_SIZE];
    size_t lens[LOOKUP_RECORDS];
} lookup_txt;

typedef struct lookup_https {
    int asked; /* 0: nothing else is set */
    mtasts_err err;
    int status;
    char why[256];
    char tls[16];
    char address[INET6_ADDRSTRLEN];
    int64_t not_after;
    unsigned milliseconds;
} lookup_https;

typedef struct lookup {
    const network *net;
    mtasts_discovery discovery;
    dns_cares_query *query;
    https_mbedtls_fetch *fetch;
    char *stored, *body; /* the discovery points into them */
    size_t stored_len, body_len;
    lookup_txt txt;
    lookup_https https;
    char store_why[256]; /* what the store could not do; "": nothing */
    void (*done)(void *user);
    void *user;
} lookup;

/* lookup_start - fetch the policy now, even if it is known and current, as far as the rules of
 * mtasts.h section 13 allow; the store is used if the network has one
 *
 *   domain    normalised
 *   done      called once, perhaps before lookup_start has returned. Then the result is in
 *             l->discovery, until lookup_clear.
 */
void lookup_start(lookup *l, const network *net, const char *domain, void (*done)(void *user),
                  void *user);

/* End it, done or not. */
void lookup_clear(lookup *l);

/* Unix seconds. */
int64_t wall_clock(void);

/* Why the result is not MTASTS_LEARNED_POLICY, as the end of a sentence. */
void lookup_why(FILE *f, const lookup *l, const mtasts_result *result);

#endif
