#include "host_libevent.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum {
    MEMORY = 16 << 20,
    LOOK_AGAIN = 60 /* seconds at most until the clock, which may jump, is looked at again */
};

/* A question under way; one of dns and https. */
typedef struct question {
    host_libevent *host;
    uint64_t ticket;
    dns_cares_query *dns;
    https_mbedtls_fetch *https;
    struct question *next, **link;
} question;

struct host_libevent {
    mtasts_client client;
    host_libevent_options options;
    dns_cares *dns;
    tls_context *tls;
    store_dir *store;
    struct event *timer;
    question *questions;
    void *memory;
};

static question *question_new(host_libevent *host, uint64_t ticket)
{
    question *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->host = host;
    q->ticket = ticket;
    q->next = host->questions;
    q->link = &host->questions;
    if (q->next)
        q->next->link = &q->next;
    host->questions = q;
    return q;
}

static void question_end(question *q)
{
    *q->link = q->next;
    if (q->next)
        q->next->link = q->link;
    free(q);
}

/* ---- what the client asks */

static void txt_done(void *user, const dns_cares_answer *answer)
{
    question *q = user;
    host_libevent *host = q->host;
    mtasts_client_give_txt(&host->client, q->ticket, dns_cares_err(answer->status), answer->txt,
                           answer->count, answer->ttl);
    question_end(q);
    host_libevent_wake(host);
}

static void ask_txt(void *user, uint64_t ticket, const char *name)
{
    host_libevent *host = user;
    question *q = question_new(host, ticket);
    if (q)
        q->dns = dns_cares_ask(host->dns, DNS_CARES_TXT, name, txt_done, q);
    if (q && q->dns)
        return;
    if (q)
        question_end(q);
    mtasts_client_give_txt(&host->client, ticket, MTASTS_ERR_DNS, NULL, 0, 0);
}

static void https_done(void *user, const https_mbedtls_result *result)
{
    question *q = user;
    host_libevent *host = q->host;
    mtasts_client_give_https(&host->client, q->ticket, result->err, result->body, result->len);
    question_end(q);
    host_libevent_wake(host);
}

static void ask_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    host_libevent *host = user;
    question *q = question_new(host, ticket);
    (void)policy_host;
    if (q)
        q->https = https_mbedtls_start(&host->options.https, domain, https_done, q);
    if (q && q->https)
        return;
    if (q)
        question_end(q);
    mtasts_client_give_https(&host->client, ticket, MTASTS_ERR_LIMIT, NULL, 0);
}

static void load(void *user, uint64_t ticket, const char *domain)
{
    host_libevent *host = user;
    const char *text;
    size_t len;
    mtasts_err err = store_dir_load(host->store, domain, &text, &len);
    mtasts_client_give_load(&host->client, ticket, err, text, len);
}

static void save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    host_libevent *host = user;
    mtasts_err err = store_dir_save(host->store, domain, text, len, time(NULL));
    mtasts_client_give_save(&host->client, ticket, err);
}

static void drop(void *user, const char *domain)
{
    host_libevent *host = user;
    store_dir_drop(host->store, domain);
}

static int64_t now(void *user)
{
    (void)user;
    return time(NULL);
}

static int random_octets(void *user, void *out, size_t len)
{
    (void)user;
    return getrandom(out, len, 0) == (ssize_t)len;
}

static void tell(void *user, const mtasts_event *event)
{
    host_libevent *host = user;
    host->options.event(host->options.user, event);
}

static mtasts_override override(void *user, const char *domain, mtasts_str *pinned)
{
    host_libevent *host = user;
    return host->options.override(host->options.user, domain, pinned);
}

/* ---- the clock */

void host_libevent_wake(host_libevent *host)
{
    struct timeval delay = {LOOK_AGAIN, 0};
    int64_t left = mtasts_client_next(&host->client) - time(NULL);
    if (left < LOOK_AGAIN)
        delay.tv_sec = left > 0 ? (time_t)left : 0;
    evtimer_add(host->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    host_libevent *host = user;
    (void)fd;
    (void)what;
    if (mtasts_client_next(&host->client) <= time(NULL))
        mtasts_client_tick(&host->client);
    host_libevent_wake(host);
}

/* ---- open and close */

static int import_one(void *user, const store_dir_item *item)
{
    host_libevent *host = user;
    size_t len;
    char *text = malloc(MTASTS_ENTRY_MAX);
    if (text && item->keep &&
        mtasts_entry_write(text, MTASTS_ENTRY_MAX, &len, &item->entry) == MTASTS_OK)
        mtasts_client_import(&host->client, NULL, 0, text, len, NULL);
    free(text);
    return 0;
}

static mtasts_err start_client(host_libevent *host)
{
    mtasts_host plugs;
    mtasts_host_init(&plugs);
    plugs.user = host;
    plugs.clock = now;
    plugs.random = random_octets;
    plugs.txt = ask_txt;
    plugs.https = ask_https;
    if (host->store) {
        plugs.load = load;
        plugs.save = save;
        plugs.drop = drop;
    }
    if (host->options.event)
        plugs.event = tell;
    if (host->options.override)
        plugs.override = override;
    plugs.block = host->memory;
    plugs.block_size = host->options.memory;
    if (host->options.adjust)
        host->options.adjust(host->options.user, &plugs);
    return mtasts_client_init(&host->client, &plugs);
}

static int open_parts(host_libevent *host, char *error, size_t error_size)
{
    host_libevent_options *options = &host->options;
    if (!options->memory)
        options->memory = MEMORY;
    host->memory = malloc(options->memory);
    host->timer = evtimer_new(options->base, on_timer, host);
    if (!host->memory || !host->timer) {
        snprintf(error, error_size, "no memory");
        return 0;
    }
    host->dns = dns_cares_open(options->base, &options->dns, error, error_size);
    if (!host->dns)
        return 0;
    host->tls = tls_context_open(options->ca_file, options->crl_file, error, error_size);
    if (!host->tls)
        return 0;
    options->https.base = options->base;
    options->https.dns = host->dns;
    options->https.tls = host->tls;
    if (options->store)
        host->store = store_dir_open(options->store, 1, error, error_size);
    return !options->store || host->store;
}

host_libevent *host_libevent_open(const host_libevent_options *options, char *error,
                                  size_t error_size)
{
    host_libevent *host = calloc(1, sizeof *host);
    mtasts_err err;
    if (!host) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    host->options = *options;
    if (!open_parts(host, error, error_size)) {
        host_libevent_close(host);
        return NULL;
    }
    err = start_client(host);
    if (err != MTASTS_OK) {
        snprintf(error, error_size, "%s", mtasts_strerror((int)err));
        host_libevent_close(host);
        return NULL;
    }
    if (host->store && options->import)
        store_dir_each(host->store, NULL, time(NULL), import_one, host);
    host_libevent_wake(host);
    return host;
}

void host_libevent_close(host_libevent *host)
{
    question *q, *next;
    if (!host)
        return;
    for (q = host->questions; q; q = next) {
        next = q->next;
        if (q->dns)
            dns_cares_cancel(q->dns);
        if (q->https)
            https_mbedtls_cancel(q->https);
        free(q);
    }
    mtasts_client_clear(&host->client);
    if (host->timer)
        event_free(host->timer);
    dns_cares_close(host->dns);
    tls_context_close(host->tls);
    store_dir_close(host->store);
    free(host->memory);
    free(host);
}

mtasts_err host_libevent_lookup(host_libevent *host, mtasts_lookup *lookup, const char *domain,
                                size_t len, unsigned flags)
{
    mtasts_err err = mtasts_client_lookup(&host->client, lookup, domain, len, flags);
    host_libevent_wake(host);
    return err;
}

void host_libevent_end(host_libevent *host, mtasts_lookup *lookup)
{
    mtasts_client_end(&host->client, lookup);
    host_libevent_wake(host);
}

mtasts_client *host_libevent_client(host_libevent *host)
{
    return &host->client;
}

dns_cares *host_libevent_dns(host_libevent *host)
{
    return host->dns;
}

tls_context *host_libevent_tls(host_libevent *host)
{
    return host->tls;
}

store_dir *host_libevent_store(host_libevent *host)
{
    return host->store;
}
