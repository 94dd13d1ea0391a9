/* One domain: its policy and its MX records are looked up at the same time, then its MX hosts. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

int64_t monotonic_milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void one_done(void *user)
{
    check_domain *d = user;
    if (--d->pending == 0) {
        d->milliseconds = (unsigned)(monotonic_milliseconds() - d->started);
        d->done(d);
    }
}

static void add_mx(check_domain *d, unsigned preference, const char *host)
{
    check_mx *mx = &d->mx[d->mx_shown];
    mx->preference = preference;
    snprintf(mx->host, sizeof mx->host, "%s", host);
    mx->wait.done = one_done;
    mx->wait.user = d;
    mx->err = mtasts_name_normalise(NULL, host, strlen(host), NULL);
    if (d->pool && !mx->err && d->mx_shown < CHECK_MX_PROBED) {
        mx->probe = probes_get(d->pool, mx->host, &mx->wait);
        d->pending += mx->probe && !mx->probe->done;
    }
    d->mx_shown++;
}

static void got_mx(void *user, const dns_cares_answer *answer)
{
    check_domain *d = user;
    size_t i, n = answer->count < CHECK_MX_SHOWN ? answer->count : CHECK_MX_SHOWN;
    d->mx_query = NULL;
    d->mx_status = answer->status;
    d->mx_count = answer->count;
    d->mx_null = answer->count == 1 && !*answer->mx[0].host;
    d->mx_implicit = answer->status == DNS_CARES_NO_DATA;
    if (d->mx_implicit)
        d->mx_count = n = 1;
    d->mx = calloc(n ? n : 1, sizeof *d->mx);
    if (!d->mx)
        d->mx_status = DNS_CARES_NO_MEMORY;
    if (d->mx && d->mx_implicit)
        add_mx(d, 0, d->name);
    else if (d->mx && !d->mx_null)
        for (i = 0; i < n; i++)
            add_mx(d, answer->mx[i].preference, answer->mx[i].host);
    one_done(d);
}

check_domain *check_domain_start(const char *name, size_t number, const network *net,
                                 probe_pool *pool, void (*done)(check_domain *), void *user)
{
    check_domain *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->name = name;
    d->number = number;
    d->pool = pool;
    d->done = done;
    d->user = user;
    d->started = monotonic_milliseconds();
    d->mx_status = DNS_CARES_NO_MEMORY;
    d->pending = 2;
    d->mx_query = dns_cares_ask(net->dns, DNS_CARES_MX, name, got_mx, d);
    d->pending += d->mx_query != NULL;
    lookup_start(&d->policy, net, name, one_done, d);
    one_done(d);
    return d;
}

void check_domain_free(check_domain *d)
{
    size_t i;
    if (!d)
        return;
    lookup_clear(&d->policy);
    if (d->mx_query)
        dns_cares_cancel(d->mx_query);
    for (i = 0; i < d->mx_shown; i++)
        if (d->mx[i].probe)
            probes_release(d->mx[i].probe);
    free(d->mx);
    free(d->remark);
    free(d);
}
