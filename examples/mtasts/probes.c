#include "probes.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is remembered though nobody uses it just now: some megabytes. */
enum { KNOWN_MAX = 4096 };

static void start_more(probe_pool *pool);

static int compare(const void *a, const void *b)
{
    return strcmp(((const probe *)a)->host, ((const probe *)b)->host);
}

static void free_probe(void *user)
{
    probe *p = user;
    size_t i;
    if (p->running)
        smtp_probe_cancel(p->running);
    for (i = 0; i < p->kept; i++)
        free(p->names[i]);
    free(p->host);
    free(p);
}

void probes_init(probe_pool *pool, const network *net, unsigned at_once)
{
    memset(pool, 0, sizeof *pool);
    pool->net = net;
    pool->at_once = at_once;
    pool->last = &pool->first;
}

/* tdestroy is not everywhere. */
void probes_clear(probe_pool *pool)
{
    while (pool->tree) {
        probe *p = *(probe **)pool->tree;
        tdelete(p, &pool->tree, compare);
        free_probe(p);
    }
}

static void keep_names(probe *p, const smtp_probe_result *result)
{
    size_t i;
    p->name_count = result->name_count;
    for (i = 0; i < result->name_count && i < PROBE_NAMES; i++) {
        const mtasts_str *name = &result->names[i];
        size_t len = name->len < MTASTS_NAME_SIZE ? name->len : MTASTS_NAME_SIZE;
        p->names[i] = malloc(len + 1);
        if (!p->names[i])
            return;
        memcpy(p->names[i], name->ptr, len);
        p->lens[i] = len;
        p->kept++;
    }
}

/* Whoever is told may release the probe, so that it is not looked at after the last. */
static void tell(probe *p)
{
    probe_wait *wait = p->waiting;
    p->waiting = NULL;
    while (wait) {
        probe_wait *next = wait->next;
        wait->done(wait->user);
        wait = next;
    }
}

static void finished(void *user, const smtp_probe_result *result)
{
    probe *p = user;
    probe_pool *pool = p->pool;
    p->running = NULL;
    p->done = 1;
    p->stage = result->stage;
    p->dns = result->dns;
    p->session = result->session;
    p->reached = result->reached;
    p->code = result->code;
    p->not_before = result->not_before;
    p->not_after = result->not_after;
    snprintf(p->why, sizeof p->why, "%s", result->why);
    snprintf(p->tls, sizeof p->tls, "%s", result->tls_version);
    keep_names(p, result);
    pool->running--;
    tell(p);
    start_more(pool);
}

static void start_more(probe_pool *pool)
{
    while (pool->first && pool->running < pool->at_once) {
        probe *p = pool->first;
        pool->first = p->next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->made++;
        p->running = smtp_probe_start(&pool->net->smtp, p->host, finished, p);
        if (p->running) {
            pool->running++;
        } else {
            p->done = 1;
            p->stage = SMTP_PROBE_CONNECT;
            snprintf(p->why, sizeof p->why, "out of memory");
            tell(p);
        }
    }
}

static probe *make(probe_pool *pool, const char *host)
{
    probe *p = calloc(1, sizeof *p);
    size_t i;
    if (!p)
        return NULL;
    p->pool = pool;
    p->host = malloc(strlen(host) + 1);
    if (p->host)
        for (i = 0; i == 0 || host[i - 1]; i++)
            p->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] - 'A' + 'a' : host[i]);
    return p;
}

probe *probes_get(probe_pool *pool, const char *host, probe_wait *wait)
{
    probe *p = make(pool, host), **found;
    found = p && p->host ? tsearch(p, &pool->tree, compare) : NULL;
    if (!found) {
        if (p)
            free_probe(p);
        return NULL;
    }
    if (*found != p) {
        free_probe(p);
        p = *found;
    } else {
        pool->known++;
        *pool->last = p;
        pool->last = &p->next;
    }
    p->users++;
    start_more(pool);
    if (!p->done) {
        wait->next = p->waiting;
        p->waiting = wait;
    }
    return p;
}

void probes_release(probe *p)
{
    probe_pool *pool = p->pool;
    if (--p->users == 0 && p->done && pool->known > KNOWN_MAX) {
        tdelete(p, &pool->tree, compare);
        pool->known--;
        free_probe(p);
    }
}
