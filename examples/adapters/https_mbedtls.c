#include "https_mbedtls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

enum { REQUEST_SIZE = 1024 };

struct https_mbedtls_fetch {
    https_mbedtls_options options;
    void (*done)(void *user, const https_mbedtls_result *result);
    void *user;
    char domain[MTASTS_NAME_SIZE], host[MTASTS_NAME_SIZE];
    int64_t started;        /* monotonic milliseconds */
    struct event deadline;  /* as long as DNS is asked; then the stream has one */
    dns_cares_query *query; /* one of these two, or none at the end */
    tls_stream *stream;
    mtasts_http http;
    char *body; /* NULL: no octet of the response has come */
    https_mbedtls_result result;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void let_go(https_mbedtls_fetch *f)
{
    event_del(&f->deadline);
    if (f->query)
        dns_cares_cancel(f->query);
    f->query = NULL;
    tls_stream_close(f->stream);
    f->stream = NULL;
}

/* What the stream knows is in the result before it is closed. */
static void remember(https_mbedtls_fetch *f)
{
    const tls_stream_peer_info *peer = tls_stream_peer(f->stream);
    f->result.address = *tls_stream_address(f->stream);
    f->result.chain = peer->chain;
    f->result.tls_version = peer->version;
    f->result.not_before = peer->not_before;
    f->result.not_after = peer->not_after;
}

static void finish(https_mbedtls_fetch *f, mtasts_err err)
{
    https_mbedtls_result *r = &f->result;
    if (f->stream)
        remember(f);
    let_go(f);
    r->err = err;
    r->status = f->http.status;
    r->milliseconds = (unsigned)(now_ms() - f->started);
    if (!err) {
        r->body = f->body;
        r->len = f->http.body_len;
    }
    f->done(f->user, r);
    https_mbedtls_cancel(f);
}

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
finish_because(https_mbedtls_fetch *f, mtasts_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->result.why, sizeof f->result.why, format, args);
    va_end(args);
    finish(f, err);
}

/* The response is over, as it should be or not. */
static void finish_response(https_mbedtls_fetch *f, mtasts_err err, const mtasts_diag *diag)
{
    if (err == MTASTS_ERR_HTTP_STATUS || err == MTASTS_ERR_HTTP_REDIRECT)
        finish_because(f, err, "status %d: %s", f->http.status, mtasts_strerror((int)err));
    else {
        if (err)
            mtasts_diag_format(f->result.why, sizeof f->result.why, "response", diag);
        finish(f, err);
    }
}

/* RFC 8461 3.3: the certificate first; nothing is asked of a host that is not the right one. */
static void send_request(https_mbedtls_fetch *f)
{
    const tls_stream_peer_info *peer = tls_stream_peer(f->stream);
    char request[REQUEST_SIZE];
    size_t len;
    mtasts_err err = mtasts_cert_der_matches(peer->der, peer->der_len, f->host, strlen(f->host),
                                             &f->result.name_matches);
    if (peer->chain != MTASTS_CHAIN_TRUSTED) {
        finish_because(f, MTASTS_ERR_HTTPS_CERT, "%s", peer->chain_text);
        return;
    }
    if (!f->result.name_matches) {
        finish_because(f, MTASTS_ERR_HTTPS_CERT, "The certificate is not for this name%s%s",
                       err ? ": " : "", err ? mtasts_strerror((int)err) : "");
        return;
    }
    err = mtasts_http_request(request, sizeof request, &len, f->domain, strlen(f->domain),
                              f->options.user_agent, NULL);
    if (err || !tls_stream_write(f->stream, request, len))
        finish_because(f, err ? MTASTS_ERR_HTTPS_CONNECT : MTASTS_ERR_LIMIT,
                       "the request cannot be sent: %s",
                       err ? mtasts_strerror((int)err) : "out of memory");
}

static void read_response(https_mbedtls_fetch *f, const unsigned char *data, size_t len)
{
    mtasts_diag diag;
    mtasts_err err;
    if (!f->body) {
        f->body = malloc(f->options.max_body);
        if (!f->body) {
            finish_because(f, MTASTS_ERR_LIMIT, "out of memory");
            return;
        }
        mtasts_http_init(&f->http, f->body, f->options.max_body);
    }
    err = mtasts_http_feed(&f->http, (const char *)data, len, &diag);
    if (err != MTASTS_MORE)
        finish_response(f, err, &diag);
}

/* Nothing more comes. It may be enough, if it was ended properly. */
static void end_response(https_mbedtls_fetch *f)
{
    mtasts_diag diag;
    mtasts_err err = mtasts_http_end(&f->http, 1, &diag);
    finish_response(f, err, &diag);
}

static void fail(https_mbedtls_fetch *f)
{
    const char *why = tls_stream_why_text(f->stream);
    mtasts_chain chain = tls_stream_peer(f->stream)->chain;
    if (tls_stream_why(f->stream) == TLS_STREAM_NO_MEANS) /* not the policy host's fault */
        finish_because(f, MTASTS_ERR_LIMIT, "%s", why);
    else if (tls_stream_why(f->stream) == TLS_STREAM_HANDSHAKE && chain != MTASTS_CHAIN_UNCHECKED)
        finish_because(f, MTASTS_ERR_HTTPS_CERT, "%s", why);
    else if (f->body && tls_stream_why(f->stream) != TLS_STREAM_TIMEOUT)
        finish_because(f, MTASTS_ERR_HTTP_INCOMPLETE, "%s: %s",
                       mtasts_strerror(MTASTS_ERR_HTTP_INCOMPLETE), why);
    else
        finish_because(f, MTASTS_ERR_HTTPS_CONNECT, "%s", why);
}

static void on_stream(void *user, tls_stream *stream, tls_stream_event event,
                      const unsigned char *data, size_t len)
{
    https_mbedtls_fetch *f = user;
    switch (event) {
    case TLS_STREAM_CONNECTED:
        tls_stream_secure(stream, f->host);
        break;
    case TLS_STREAM_SECURED:
        send_request(f);
        break;
    case TLS_STREAM_DATA:
        read_response(f, data, len);
        break;
    case TLS_STREAM_END:
        end_response(f);
        break;
    case TLS_STREAM_FAILED:
        fail(f);
        break;
    }
}

static void on_addresses(void *user, const dns_cares_answer *answer)
{
    https_mbedtls_fetch *f = user;
    tls_stream_options o;
    int64_t left = f->started + f->options.deadline - now_ms();
    f->query = NULL;
    event_del(&f->deadline);
    if (answer->status != DNS_CARES_OK) {
        finish_because(
            f, answer->status == DNS_CARES_NO_MEMORY ? MTASTS_ERR_LIMIT : MTASTS_ERR_HTTPS_CONNECT,
            "the address of %s: %s", f->host, dns_cares_text(answer->status));
        return;
    }
    memset(&o, 0, sizeof o);
    o.base = f->options.base;
    o.tls = f->options.tls;
    o.port = f->options.port;
    o.deadline = left > 0 ? (unsigned)left : 1;
    o.allow_private = f->options.allow_private;
    f->stream = tls_stream_open(&o, answer->addresses, answer->count, on_stream, f);
    if (!f->stream)
        finish_because(f, MTASTS_ERR_LIMIT, "out of memory");
}

static void on_deadline(evutil_socket_t fd, short events, void *user)
{
    https_mbedtls_fetch *f = user;
    (void)fd;
    (void)events;
    finish_because(f, MTASTS_ERR_HTTPS_CONNECT, "the address of %s: no answer from DNS in time",
                   f->host);
}

https_mbedtls_fetch *https_mbedtls_start(const https_mbedtls_options *options, const char *domain,
                                         void (*done)(void *user,
                                                      const https_mbedtls_result *result),
                                         void *user)
{
    struct timeval time;
    https_mbedtls_fetch *f = calloc(1, sizeof *f);
    size_t len = strlen(domain);
    if (!f || mtasts_name_normalise(f->domain, domain, len, NULL) ||
        mtasts_policy_host(f->host, domain, len, NULL)) {
        free(f);
        return NULL;
    }
    f->options = *options;
    if (!f->options.port)
        f->options.port = 443;
    if (!f->options.deadline)
        f->options.deadline = 1000 * MTASTS_FETCH_TIME_MAX;
    if (!f->options.max_body || f->options.max_body > MTASTS_POLICY_MAX)
        f->options.max_body = MTASTS_POLICY_MAX;
    f->done = done;
    f->user = user;
    f->result.tls_version = "";
    f->started = now_ms();
    time.tv_sec = (time_t)(f->options.deadline / 1000);
    time.tv_usec = (suseconds_t)(f->options.deadline % 1000 * 1000);
    evtimer_assign(&f->deadline, f->options.base, on_deadline, f);
    event_add(&f->deadline, &time);
    f->query = dns_cares_ask(f->options.dns, DNS_CARES_ADDRESSES, f->host, on_addresses, f);
    if (f->query)
        return f;
    https_mbedtls_cancel(f);
    return NULL;
}

void https_mbedtls_cancel(https_mbedtls_fetch *f)
{
    if (!f)
        return;
    let_go(f);
    free(f->body);
    free(f);
}
