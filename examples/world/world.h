/* world - what the parts of mtasts-world share; world.c says what it is */
#ifndef WORLD_H
#define WORLD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#define SHARED_ADDRESS "127.0.0.1"

enum {
    WIRE_NAME_MAX = 255,
    ADDRESS_MAX = 46, /* INET6_ADDRSTRLEN */
    CONNECTIONS_MAX = 4096,
    IDLE_SECONDS = 120,
    LINGER_SECONDS = 2,
    DRIP_MILLISECONDS = 200,
    ENDLESS_MAX = 64 << 20 /* even what is endless ends */
};

typedef enum service { HTTPS, SMTP, DNS } service;

typedef enum cert_kind {
    CERT_GOOD,
    CERT_EXPIRED,
    CERT_FUTURE,
    CERT_SELF,
    CERT_OTHER_CA,
    CERT_NAME,
    CERT_WILDCARD,
    CERT_REVOKED,
    CERT_CN_ONLY,
    CERT_INTERMEDIATE,
    CERT_NO_INTERMEDIATE
} cert_kind;

typedef enum fault {
    FAULT_NONE,
    FAULT_REFUSE, /* before anything is said */
    FAULT_BLACKHOLE,
    FAULT_SILENT,
    FAULT_RESET,
    FAULT_ALERT, /* in place of the handshake */
    FAULT_TLS11,
    FAULT_PLAIN,
    FAULT_DRIP,
    FAULT_ENDLESS_HEAD, /* HTTPS: the answer */
    FAULT_ENDLESS_BODY,
    FAULT_LARGE,
    FAULT_CUT,
    FAULT_SHORT,
    FAULT_GZIP,
    FAULT_REDIRECT,
    FAULT_CHUNKED,
    FAULT_BAD_CHUNK,
    FAULT_UNTIL_CLOSE,
    FAULT_UNTIL_CUT,
    FAULT_BAD_STATUS_LINE,
    FAULT_NO_STARTTLS, /* SMTP */
    FAULT_STARTTLS_REFUSED,
    FAULT_INJECT,
    FAULT_STARTTLS_RESET,
    FAULT_GREETING_554,
    FAULT_EHLO_REFUSED,
    FAULT_ENDLESS_LINE,
    FAULT_SERVFAIL, /* DNS */
    FAULT_REFUSED,
    FAULT_NXDOMAIN,
    FAULT_DROP,
    FAULT_GARBAGE,
    FAULT_TRUNCATE
} fault;

/* ---- world_file.c: what a FILE says ---- */

typedef struct text {
    const char *ptr; /* NUL-terminated, but may hold more NULs */
    size_t len;
} text;

typedef struct record {
    struct record *next;
    fault fault;   /* else FAULT_NONE, and data */
    unsigned type; /* of a fault: 0 is any */
    uint32_t ttl;
    int bare; /* CNAME: the target's records are not added */
    size_t len;
    const unsigned char *data;
} record;

/* All that there is at a DNS name. */
typedef struct node {
    record *first, *last;
} node;

typedef struct pattern {
    struct pattern *next;
    text text;
} pattern;

typedef struct host {
    struct host *next; /* in the order of the file */
    service service;
    text name; /* lower case */
    char address[ADDRESS_MAX];
    fault fault;
    cert_kind cert;
    text cert_name;
    int requiretls;
    unsigned status;
    text type, policy, mode;
    pattern *mx;
    uint32_t max_age;
    uint64_t serial;
    mbedtls_x509_crt *leaf; /* made when first asked for */
} host;

typedef struct slot {
    const void *key;
    size_t len;
    void *value;
} slot;

typedef struct table {
    slot *slots;
    size_t size, count;
} table;

struct block;

/* One reading of FILE. Connections hold on to the one that they began with. */
typedef struct world {
    unsigned holders;
    struct block *blocks;
    table names;        /* lower-case name in wire format -> node */
    table hosts[2];     /* HTTPS, SMTP: lower-case name -> host */
    host *first, *last; /* of both */
    mbedtls_ssl_config tls[2];
} world;

struct authority;

/* world_load - read FILE; NULL: it cannot be, and why was printed */
world *world_load(const char *path, struct authority *authority);
void world_release(world *w);
node *world_name(const world *w, const unsigned char *name, size_t len);
host *world_host(const world *w, service s, const char *name, size_t len);
/* The host that has this address to itself; NULL: it is known by SNI only. */
host *world_host_at(const world *w, service s, const char *address);
/* wire_name - "a.b" or "." in wire format; returns its length, 0: not possible */
size_t wire_name(unsigned char out[WIRE_NAME_MAX], const char *name, size_t len);
void lower(void *octets, size_t len);
const char *fault_name(fault f);

/* ---- world_cert.c: certificates ---- */

typedef struct issuer {
    mbedtls_pk_context key;
    mbedtls_x509_crt crt;
} issuer;

typedef struct authority {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    issuer root, other, middle;
    mbedtls_pk_context leaf_key; /* one for all: generating takes longer than all the rest */
    uint64_t serial;             /* the last one given */
} authority;

int authority_open(authority *a); /* 0: failed */
void authority_close(authority *a);
/* authority_leaf - a host's certificate, made if need be; NULL: failed */
mbedtls_x509_crt *authority_leaf(authority *a, host *h);
/* Write DIR/ca.pem, and DIR/crl.pem with all hosts of w that have cert=revoked. 0: failed. */
int authority_write_ca(authority *a, const char *path);
int authority_write_crl(authority *a, const world *w, const char *path);

/* ---- world_stream.c: listeners and connections ---- */

typedef struct server server;
typedef struct stream stream;

typedef struct protocol {
    void (*opened)(stream *s);
    void (*received)(stream *s); /* stream.in has grown */
    void (*secured)(stream *s);
    void (*closed)(stream *s);
} protocol;

extern const protocol https_protocol, smtp_protocol, dns_protocol;

typedef enum ending {
    END_NOT,
    END_CLOSE, /* when all is sent: close_notify, FIN */
    END_CUT,   /* when all is sent: FIN, without close_notify */
    END_RESET  /* when all is sent: RST */
} ending;

typedef enum layer { PLAIN, FAKE, HANDSHAKE, SECURE } layer;

/* One TCP connection, perhaps with TLS. */
struct stream {
    mbedtls_ssl_context ssl; /* first, so that mbedTLS' callbacks find the rest */
    layer layer;
    stream *next, *previous;
    server *server;
    world *world;
    service service;
    char address[ADDRESS_MAX]; /* of ours */
    host *host;                /* NULL: not known yet */
    struct bufferevent *bev;
    struct evbuffer *in;   /* what the peer has said, after TLS */
    struct evbuffer *slow; /* what is still to be dripped */
    struct event *timer;
    void (*on_timer)(stream *s);
    const char *endless; /* repeated for ever */
    size_t endless_sent;
    ending ending;
    int drips, notified, lingers, peer_ended;
    /* the protocols' own */
    int state;
    unsigned recipients;
    struct evbuffer *names; /* SMTP: recipients, one a line */
};

typedef struct listener {
    struct listener *next;
    server *server;
    service service;
    char address[ADDRESS_MAX];
    int blackhole;
    struct evconnlistener *accepts; /* NULL: blackhole */
    int fd, filler;                 /* of a blackhole; else -1 */
} listener;

struct server {
    struct event_base *base;
    authority authority;
    world *world;
    unsigned ports[3]; /* HTTPS, SMTP, DNS */
    unsigned latency[3];
    int log;
    listener *listeners;
    stream *streams;
    unsigned count, max;
    /* DNS over UDP */
    int udp;
    struct event *udp_event;
    struct delayed *delayed;
    unsigned delayed_count;
};

/* listeners_update - listen where the world needs it, and nowhere else; returns how many addresses
 * could not be bound. With report, each is named on standard error. */
unsigned listeners_update(server *s, const world *w, int report);
void listeners_close(server *s);
void streams_close(server *s);

/* world_secure - what TLS needs of a world; 0: failed */
int world_secure(world *w, authority *a);
void stream_write(stream *s, const void *data, size_t len);
void stream_puts(stream *s, const char *line);
void stream_end(stream *s, ending how);
/* Begin TLS, or what the host's fault puts in its place. */
void stream_secure(stream *s);
/* The same on_timer once, after so many milliseconds. */
void stream_wait(stream *s, unsigned milliseconds, void (*on_timer)(stream *s));
/* After a stream was used from outside of its own callbacks. */
void stream_settle(stream *s);

/* ---- world_dns.c ---- */

int dns_open_udp(server *s); /* binds, sets ports[DNS]; 0: failed */
void dns_close(server *s);

/* ---- world.c ---- */

/* A line of the log, if there is one: "what name more", with what is not printable escaped. */
void world_log(const server *s, const char *what, const char *name, size_t len, const char *more);
void put_printable(FILE *f, const char *octets, size_t len);
int bind_port(const char *address, unsigned port, int type); /* a socket, or -1 */
unsigned bound_port(int fd);

#endif
