/* What MX hosts do, each asked once in a run whoever wants to know: many domains share them. */
#ifndef PROBES_H
#define PROBES_H

#include "network.h"

enum { PROBE_NAMES = 8 };

typedef struct probe probe;
typedef struct probe_pool probe_pool;

/* One who waits for a probe. */
typedef struct probe_wait {
    void (*done)(void *user);
    void *user;
    struct probe_wait *next;
} probe_wait;

struct probe {
    char *host; /* lower case; the key */
    probe_pool *pool;
    probe *next; /* of those that wait to be started */
    probe_wait *waiting;
    smtp_probe *running;
    unsigned users;
    int done; /* 0: nothing below is set */
    smtp_probe_stage stage;
    dns_cares_status dns;
    mtasts_session session;
    int reached;
    int code; /* of its last answer; 0: there was none */
    char why[256];
    char tls[16];
    char *names[PROBE_NAMES]; /* the first of its certificate; hostile */
    size_t lens[PROBE_NAMES];
    size_t kept;       /* of them, here */
    size_t name_count; /* that it has */
    int64_t not_before, not_after;
};

struct probe_pool {
    const network *net;
    void *tree; /* of tsearch */
    size_t known;
    unsigned running, at_once;
    probe *first, **last; /* those that wait */
    size_t made;          /* how many were started */
};

void probes_init(probe_pool *pool, const network *net, unsigned at_once);
void probes_clear(probe_pool *pool);

/* probes_get - ask for a host, once in a run
 *
 *   wait      done is called once, later; not if the probe is done already
 *   returns   the probe, to be released; NULL: no memory
 */
probe *probes_get(probe_pool *pool, const char *host, probe_wait *wait);
void probes_release(probe *p);

#endif
