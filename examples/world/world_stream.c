/* Listeners, and connections that can turn to TLS: a bufferevent, and mbedTLS between its buffers
 * and stream.in. Only the callbacks of events free a stream, as the last thing that they do. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

enum { BACKLOG = 1024, IN_MAX = 1 << 18, OUT_ENOUGH = 1 << 15 };

static const protocol *const protocols[] = {&https_protocol, &smtp_protocol, &dns_protocol};

/* ---- streams ---- */

static void destroy(stream *s)
{
    if (protocols[s->service]->closed)
        protocols[s->service]->closed(s);
    *(s->previous ? &s->previous->next : &s->server->streams) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    s->server->count--;
    mbedtls_ssl_free(&s->ssl);
    if (s->timer)
        event_free(s->timer);
    if (s->bev)
        bufferevent_free(s->bev);
    if (s->in)
        evbuffer_free(s->in);
    if (s->slow)
        evbuffer_free(s->slow);
    if (s->names)
        evbuffer_free(s->names);
    world_release(s->world);
    free(s);
}

void streams_close(server *s)
{
    while (s->streams)
        destroy(s->streams);
}

static int bio_send(void *user, const unsigned char *octets, size_t len)
{
    stream *s = user;
    return evbuffer_add(bufferevent_get_output(s->bev), octets, len) == 0
               ? (int)len
               : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

static int bio_recv(void *user, unsigned char *octets, size_t len)
{
    stream *s = user;
    int n = evbuffer_remove(bufferevent_get_input(s->bev), octets, len);
    return n > 0 ? n : MBEDTLS_ERR_SSL_WANT_READ;
}

static void write_now(stream *s, const void *data, size_t len)
{
    const unsigned char *p = data;
    if (s->layer != SECURE) {
        evbuffer_add(bufferevent_get_output(s->bev), p, len);
        return;
    }
    while (len) {
        int n = mbedtls_ssl_write(&s->ssl, p, len);
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

static void after(struct event *timer, unsigned milliseconds)
{
    struct timeval t;
    t.tv_sec = (time_t)(milliseconds / 1000);
    t.tv_usec = (suseconds_t)(milliseconds % 1000 * 1000);
    event_add(timer, &t);
}

void stream_wait(stream *s, unsigned milliseconds, void (*on_timer)(stream *s))
{
    s->on_timer = on_timer;
    after(s->timer, milliseconds);
}

static void drip(stream *s)
{
    char octet;
    if (evbuffer_remove(s->slow, &octet, 1) == 1)
        write_now(s, &octet, 1);
    if (evbuffer_get_length(s->slow))
        stream_wait(s, DRIP_MILLISECONDS, drip);
}

void stream_write(stream *s, const void *data, size_t len)
{
    if (!s->drips) {
        write_now(s, data, len);
        return;
    }
    if (!evbuffer_get_length(s->slow))
        stream_wait(s, DRIP_MILLISECONDS, drip);
    evbuffer_add(s->slow, data, len);
}

void stream_puts(stream *s, const char *line)
{
    stream_write(s, line, strlen(line));
}

void stream_end(stream *s, ending how)
{
    if (!s->ending)
        s->ending = how;
}

static void write_endless(stream *s)
{
    size_t len = strlen(s->endless);
    struct evbuffer *out = bufferevent_get_output(s->bev);
    while (evbuffer_get_length(out) < OUT_ENOUGH && s->endless_sent < ENDLESS_MAX) {
        write_now(s, s->endless, len);
        s->endless_sent += len;
    }
    if (s->endless_sent >= ENDLESS_MAX)
        stream_end(s, END_CUT);
}

/* All is sent: FIN. What the peer still says is read, as else the kernel would make it a RST. */
static void linger(stream *s)
{
    struct timeval t = {LINGER_SECONDS, 0};
    s->lingers = 1;
    shutdown(bufferevent_getfd(s->bev), SHUT_WR);
    bufferevent_set_timeouts(s->bev, &t, NULL);
}

static void reset(stream *s)
{
    struct linger now = {1, 0};
    setsockopt(bufferevent_getfd(s->bev), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    destroy(s);
}

void stream_settle(stream *s)
{
    struct evbuffer *out = bufferevent_get_output(s->bev);
    if (s->endless && !s->ending)
        write_endless(s);
    if (!s->ending || s->lingers || (evbuffer_get_length(s->slow) && !s->peer_ended))
        return;
    if (s->ending == END_CLOSE && s->layer == SECURE && !s->notified) {
        s->notified = 1;
        mbedtls_ssl_close_notify(&s->ssl);
    }
    if (evbuffer_get_length(out))
        return;
    if (s->ending == END_RESET)
        reset(s);
    else if (s->peer_ended)
        destroy(s);
    else
        linger(s);
}

/* ---- TLS, or what is in its place ---- */

static void fake_tls(stream *s)
{
    /* A ServerHello of TLS 1.1: no session, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA. A client that
     * wants more goes no further than its version. */
    static const unsigned char hello[49] = {22, 3, 2,   0,   44,  2,   0,   0,           40,
                                            3,  2, 'w', 'o', 'r', 'l', 'd', [44] = 0xc0, 9};
    static const unsigned char alert[] = {21, 3, 3, 0, 2, 2, 40}; /* fatal, handshake_failure */
    struct evbuffer *in = bufferevent_get_input(s->bev);
    int first = !s->state;
    evbuffer_drain(in, evbuffer_get_length(in));
    s->state = 1;
    if (first && s->host->fault == FAULT_TLS11) {
        write_now(s, hello, sizeof hello);
    } else {
        if (first)
            write_now(s, alert, sizeof alert);
        stream_end(s, END_CLOSE);
    }
}

static void handshake(stream *s)
{
    int error = mbedtls_ssl_handshake(&s->ssl);
    if (error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE)
        return;
    if (error) {
        stream_end(s, END_CUT);
        return;
    }
    s->layer = SECURE;
    if (protocols[s->service]->secured)
        protocols[s->service]->secured(s);
}

static int on_sni(void *user, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    authority *a = user;
    stream *s = (stream *)(void *)ssl;
    char key[WIRE_NAME_MAX];
    mbedtls_x509_crt *leaf;
    host *h;
    if (s->service == SMTP && s->host)
        return 0; /* known by its address */
    if (len > sizeof key)
        return -1;
    memcpy(key, name, len);
    lower(key, len);
    h = world_host(s->world, s->service, key, len);
    if (!h) /* mail servers go on with what they have, web servers do not: RFC 8461 3.3, 4 */
        return s->service == SMTP ? 0 : -1;
    s->host = h;
    leaf = authority_leaf(a, h);
    return leaf ? mbedtls_ssl_set_hs_own_cert(ssl, leaf, &a->leaf_key) : -1;
}

void stream_secure(stream *s)
{
    struct evbuffer *out = bufferevent_get_output(s->bev);
    struct evbuffer *in = bufferevent_get_input(s->bev);
    authority *a = &s->server->authority;
    mbedtls_x509_crt *leaf = NULL;
    evbuffer_add_buffer(out, s->slow); /* no handshake in drips */
    event_del(s->timer);
    s->drips = 0;
    s->state = 0;
    if (s->host && (s->host->fault == FAULT_ALERT || s->host->fault == FAULT_TLS11)) {
        s->layer = FAKE;
        return;
    }
    s->layer = HANDSHAKE;
    if (mbedtls_ssl_setup(&s->ssl, &s->world->tls[s->service]) != 0) {
        stream_end(s, END_RESET);
        return;
    }
    mbedtls_ssl_set_bio(&s->ssl, s, bio_send, bio_recv, NULL);
    if (s->service == SMTP && s->host)
        leaf = authority_leaf(a, s->host);
    if (leaf && mbedtls_ssl_set_hs_own_cert(&s->ssl, leaf, &a->leaf_key) != 0)
        stream_end(s, END_RESET);
    if (evbuffer_get_length(in))
        handshake(s);
}

int world_secure(world *w, authority *a)
{
#if MBEDTLS_VERSION_MAJOR < 3
    /* the server's order decides, and 2.28 has the dearest curve first */
    static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_CURVE25519,
                                                  MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
#endif
    host *h = w->first;
    mbedtls_x509_crt *leaf;
    int i;
    for (i = HTTPS; i <= SMTP; i++) {
        mbedtls_ssl_config *c = &w->tls[i];
        if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                        MBEDTLS_SSL_PRESET_DEFAULT) != 0)
            return 0;
#if MBEDTLS_VERSION_MAJOR >= 3
        mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2); /* 1.3 needs PSA */
#else
        mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
        mbedtls_ssl_conf_curves(c, curves);
#endif
        mbedtls_ssl_conf_rng(c, mbedtls_ctr_drbg_random, &a->random);
        mbedtls_ssl_conf_sni(c, on_sni, a);
    }
    while (h && (h->service != SMTP || strcmp(h->address, SHARED_ADDRESS) != 0))
        h = h->next;
    if (!h)
        return 1;
    leaf = authority_leaf(a, h); /* for who sends no SNI */
    return leaf && mbedtls_ssl_conf_own_cert(&w->tls[SMTP], leaf, &a->leaf_key) == 0;
}

/* ---- what comes in ---- */

static void read_secure(stream *s)
{
    unsigned char octets[4096];
    int n;
    while ((n = mbedtls_ssl_read(&s->ssl, octets, sizeof octets)) > 0)
        evbuffer_add(s->in, octets, (size_t)n);
    if (n != MBEDTLS_ERR_SSL_WANT_READ)
        stream_end(s, n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? END_CLOSE : END_CUT);
    protocols[s->service]->received(s);
}

static void on_read(struct bufferevent *bev, void *user)
{
    stream *s = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (s->ending) {
        evbuffer_drain(in, evbuffer_get_length(in));
    } else if (s->layer == PLAIN) {
        evbuffer_add_buffer(s->in, in);
        protocols[s->service]->received(s);
    } else if (s->layer == FAKE) {
        fake_tls(s);
    } else {
        if (s->layer == HANDSHAKE)
            handshake(s);
        if (s->layer == SECURE)
            read_secure(s);
    }
    if (evbuffer_get_length(s->in) > IN_MAX)
        stream_end(s, END_RESET);
    stream_settle(s);
}

static void on_written(struct bufferevent *bev, void *user)
{
    (void)bev;
    stream_settle(user);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    stream *s = user;
    (void)bev;
    if (!(what & BEV_EVENT_EOF) || s->lingers) {
        destroy(s);
        return;
    }
    s->peer_ended = 1;
    stream_end(s, END_CUT);
    stream_settle(s);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    stream *s = user;
    (void)fd;
    (void)what;
    s->on_timer(s);
    stream_settle(s);
}

static int equip(stream *s, int fd)
{
    struct timeval idle = {IDLE_SECONDS, 0};
    s->bev = bufferevent_socket_new(s->server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    s->in = evbuffer_new();
    s->slow = evbuffer_new();
    s->names = evbuffer_new();
    s->timer = evtimer_new(s->server->base, on_timer, s);
    if (!s->bev) {
        close(fd);
        return 0;
    }
    if (!s->in || !s->slow || !s->names || !s->timer)
        return 0;
    bufferevent_setcb(s->bev, on_read, on_written, on_event, s);
    bufferevent_set_timeouts(s->bev, &idle, &idle);
    bufferevent_setwatermark(s->bev, EV_READ, 0, IN_MAX);
    return bufferevent_enable(s->bev, EV_READ | EV_WRITE) == 0;
}

static void on_accept(struct evconnlistener *from, evutil_socket_t fd, struct sockaddr *peer,
                      int len, void *user)
{
    const listener *l = user;
    server *of = l->server;
    stream *s = of->count < of->max ? calloc(1, sizeof *s) : NULL;
    int on = 1;
    (void)from;
    (void)peer;
    (void)len;
    if (!s) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    mbedtls_ssl_init(&s->ssl);
    s->server = of;
    s->world = of->world;
    s->world->holders++;
    s->service = l->service;
    memcpy(s->address, l->address, sizeof s->address);
    s->host = l->service == DNS ? NULL : world_host_at(s->world, l->service, l->address);
    s->next = of->streams;
    if (s->next)
        s->next->previous = s;
    of->streams = s;
    of->count++;
    if (!equip(s, fd)) {
        destroy(s);
        return;
    }
    protocols[s->service]->opened(s);
    stream_settle(s);
}

/* ---- listeners ---- */

static socklen_t make_address(const char *address, unsigned port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    memset(out, 0, sizeof *out);
    if (strchr(address, ':')) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        inet_pton(AF_INET6, address, &v6->sin6_addr);
        return sizeof *v6;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, address, &v4->sin_addr);
    return sizeof *v4;
}

static int make_socket(int family, int type)
{
    int fd = socket(family, type, 0);
    if (fd >= 0 && (evutil_make_socket_nonblocking(fd) || evutil_make_socket_closeonexec(fd))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int bind_port(const char *address, unsigned port, int type)
{
    struct sockaddr_storage a;
    socklen_t len = make_address(address, port, &a);
    int fd = make_socket(a.ss_family, type);
    if (fd < 0)
        return -1;
    if (type == SOCK_STREAM)
        evutil_make_listen_socket_reuseable(fd);
    if (bind(fd, (struct sockaddr *)&a, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

unsigned bound_port(int fd)
{
    struct sockaddr_in a = {0};
    socklen_t len = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &len) == 0 ? ntohs(a.sin_port) : 0;
}

/* A queue of length 0 holds one connection. When ours is in it, no SYN is answered any more. */
static int fill(listener *l, unsigned port)
{
    struct sockaddr_storage a;
    socklen_t len = make_address(l->address, port, &a);
    struct pollfd p = {-1, POLLOUT, 0};
    if (listen(l->fd, 0) != 0)
        return 0;
    l->filler = p.fd = make_socket(a.ss_family, SOCK_STREAM);
    if (p.fd < 0)
        return 0;
    if (connect(p.fd, (struct sockaddr *)&a, len) != 0 && errno != EINPROGRESS)
        return 0;
    return poll(&p, 1, 1000) == 1;
}

static void listener_free(listener *l)
{
    if (l->accepts)
        evconnlistener_free(l->accepts);
    else if (l->fd >= 0)
        close(l->fd);
    if (l->filler >= 0)
        close(l->filler);
    free(l);
}

static int listener_add(server *s, service which, const char *address, int blackhole)
{
    listener *l = calloc(1, sizeof *l);
    int ok = 0;
    if (!l)
        return 0;
    l->server = s;
    l->service = which;
    l->blackhole = blackhole;
    l->filler = -1;
    memcpy(l->address, address, sizeof l->address);
    l->fd = bind_port(address, s->ports[which], SOCK_STREAM);
    if (l->fd >= 0 && !s->ports[which])
        s->ports[which] = bound_port(l->fd);
    if (l->fd >= 0 && blackhole) {
        ok = fill(l, s->ports[which]);
    } else if (l->fd >= 0) {
        l->accepts =
            evconnlistener_new(s->base, on_accept, l, LEV_OPT_CLOSE_ON_FREE, BACKLOG, l->fd);
        ok = l->accepts != NULL;
    }
    if (!ok) {
        listener_free(l);
        return 0;
    }
    l->next = s->listeners;
    s->listeners = l;
    return 1;
}

static listener *listener_at(const server *s, service which, const char *address)
{
    listener *l = s->listeners;
    while (l && (l->service != which || strcmp(l->address, address) != 0))
        l = l->next;
    return l;
}

/* Has a world use for this listener as it is? */
static int wanted(const listener *l, const world *w)
{
    const host *h;
    if (l->service == DNS || strcmp(l->address, SHARED_ADDRESS) == 0)
        return 1;
    h = world_host_at(w, l->service, l->address);
    return h && h->fault != FAULT_REFUSE && (h->fault == FAULT_BLACKHOLE) == l->blackhole;
}

static unsigned need(server *s, service which, const char *address, int blackhole, int report)
{
    char a[ADDRESS_MAX] = "";
    memcpy(a, address, strlen(address) + 1);
    if (listener_at(s, which, a) || listener_add(s, which, a, blackhole))
        return 0;
    if (report)
        fprintf(stderr, "mtasts-world: cannot listen on %s, port %u\n", a, s->ports[which]);
    return 1;
}

/* Close those that w has no use for; NULL: all. */
static void close_unwanted(server *s, const world *w)
{
    listener **l = &s->listeners;
    while (*l) {
        listener *this = *l;
        if (w && wanted(this, w)) {
            l = &this->next;
        } else {
            *l = this->next;
            listener_free(this);
        }
    }
}

void listeners_close(server *s)
{
    close_unwanted(s, NULL);
}

unsigned listeners_update(server *s, const world *w, int report)
{
    unsigned failed = 0;
    const host *h;
    close_unwanted(s, w);
    failed += need(s, DNS, SHARED_ADDRESS, 0, report);
    failed += need(s, HTTPS, SHARED_ADDRESS, 0, report);
    failed += need(s, SMTP, SHARED_ADDRESS, 0, report);
    for (h = w->first; h; h = h->next)
        if (strcmp(h->address, SHARED_ADDRESS) != 0 && h->fault != FAULT_REFUSE)
            failed += need(s, h->service, h->address, h->fault == FAULT_BLACKHOLE, report);
    return failed;
}
