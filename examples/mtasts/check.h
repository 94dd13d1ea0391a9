/* One domain as `mtasts check` sees it: what was looked up (check_domain.c), what follows from it
 * (check_judge.c), how it is told (check_report.c). */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

#include "lookup.h"
#include "probes.h"

/* MX records of a domain that are shown, and how many of those hosts are asked. */
enum { CHECK_MX_SHOWN = 20, CHECK_MX_PROBED = 10 };

typedef enum check_verdict {
    CHECK_PROTECTED = 0, /* delivered as an enforced policy asks, and nothing is wrong */
    CHECK_WARNING,       /* delivered, but something is wrong or missing */
    CHECK_UNDELIVERED,
    CHECK_UNKNOWN, /* it cannot be told from here */
    CHECK_VERDICTS
} check_verdict;

/* What one MX host comes to. */
typedef enum check_mx_state {
    CHECK_MX_DELIVER = 0,
    CHECK_MX_REFUSED,     /* the policy forbids it: check_mx.verdict says why */
    CHECK_MX_DEAD,        /* it takes no mail, whatever the policy is */
    CHECK_MX_UNREACHABLE, /* no connection from here, or no final answer: a sender tries again */
    CHECK_MX_NOT_ASKED
} check_mx_state;

typedef struct check_mx {
    char host[MTASTS_NAME_SIZE + 2]; /* as DNS gave it, perhaps cut; hostile */
    unsigned preference;
    probe *probe; /* NULL: it is not asked */
    probe_wait wait;
    mtasts_plan plan;
    mtasts_verdict verdict;
    check_mx_state state;
    mtasts_err err; /* why the host is none that can be asked; MTASTS_OK */
} check_mx;

typedef struct check_domain {
    const char *name; /* normalised */
    lookup policy;
    dns_cares_query *mx_query;
    dns_cares_status mx_status;
    int mx_null;     /* RFC 7505: no mail is accepted */
    int mx_implicit; /* no MX record: its own name is the MX (RFC 5321 5.1) */
    size_t mx_count; /* of the answer */
    size_t mx_shown; /* of them, here */
    check_mx *mx;
    probe_pool *pool; /* NULL: MX hosts are not asked */
    unsigned pending;
    void (*done)(struct check_domain *);
    void *user;
    size_t number;
    struct check_domain *next; /* for whom `done` tells */
    int64_t started;           /* monotonic milliseconds */
    unsigned milliseconds;
    /* by check_judge */
    mtasts_result result;
    check_verdict verdict;
    char *remark; /* what is behind "but", ":" and the like; NULL: no memory */
} check_domain;

/* check_domain_start - look all of it up
 *
 *   name      normalised; must outlive it
 *   number    for the caller
 *   pool      NULL: MX hosts are not asked
 *   done      called once when all is there, perhaps before this has returned
 *   returns   NULL: no memory
 */
check_domain *check_domain_start(const char *name, size_t number, const network *net,
                                 probe_pool *pool, void (*done)(check_domain *), void *user);

/* At any time. */
void check_domain_free(check_domain *d);

/* Fill in verdict, remark, and state, plan and verdict of each MX. */
void check_judge(check_domain *d);

/* "protected", "warning", "not-delivered", "unknown"; no other text is given to a program. */
const char *check_verdict_name(check_verdict verdict);

/* The one sentence about the domain, without a full stop. */
void check_sentence(FILE *f, const check_domain *d);

/* Whether mail to an MX that it would be delivered to is sent without TLS. */
int check_in_clear(const check_mx *mx);

/* A block of lines; a line of a table whose first column has this width, and the line above all; a
 * line of JSON. */
void check_report_block(FILE *f, const check_domain *d);
void check_report_head(FILE *f, int width);
void check_report_line(FILE *f, const check_domain *d, int width);
void check_report_json(FILE *f, const check_domain *d);

int64_t monotonic_milliseconds(void);

#endif
