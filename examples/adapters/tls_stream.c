#include "tls_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_PSA_CRYPTO_C)
#include <psa/crypto.h>
#define USE_PSA
#endif

enum {
    ADDRESSES_MAX = 32,  /* tried at most: a name can have thousands, none of them its owner's */
    OUT_MAX = 65536,     /* octets that may wait to be sent */
    READ_SIZE = 16384,   /* given to the callback at once; a TLS record has no more */
    READ_BUDGET = 65536, /* read for one stream before others have their turn */
    WHY_SIZE = 256
};

struct tls_context {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt roots;
    mbedtls_x509_crl revoked;
    mbedtls_ssl_config config;
};

typedef enum state { CONNECTING, PLAIN, HANDSHAKE, SECURE, OVER } state;

struct tls_stream {
    tls_stream_options options;
    tls_stream_callback *callback;
    void *user;
    int *alive; /* while the callback runs: it is set to 0 if that closes the stream */
    state state;

    struct sockaddr_storage addresses[ADDRESSES_MAX];
    size_t address_count, address_next;
    int not_public; /* an address was left out */
    int no_means;   /* no descriptor, no memory here */
    int64_t end;    /* monotonic milliseconds */
    struct event deadline, attempt;

    int fd; /* -1: none */
    struct event io;
    short io_events; /* what `io` waits for; 0: it is not added */
    int io_error;    /* errno of the last send or recv that failed */
    size_t budget;   /* of READ_BUDGET, what is left in this turn of the loop */

    unsigned char *out; /* from out_sent to out_len it waits to be sent */
    size_t out_len, out_sent, out_size;
    size_t tls_retry; /* mbedTLS must be given the same octets again after WANT_WRITE */

    int tls_error;   /* of the set-up */
    short tls_wants; /* what mbedTLS waits for */
    mbedtls_ssl_context ssl;

    tls_stream_peer_info peer;
    unsigned char *der;
    char issuer[256], chain_text[512];
    tls_stream_failure failure;
    char why[WHY_SIZE];
};

static const struct sockaddr_storage no_address;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timeval interval(int64_t ms)
{
    struct timeval t;
    t.tv_sec = (time_t)(ms / 1000);
    t.tv_usec = (suseconds_t)(ms % 1000 * 1000);
    return t;
}

/* ---- context */

/* The path may be anything. */
static void say_file(char *error, size_t size, const char *path, const char *what)
{
    char name[256];
    if (!size)
        return;
    mtasts_escape(name, sizeof name, path, strlen(path));
    snprintf(error, size, "%s: %s", name, what);
}

/* mbedTLS does not tell a directory from a lack of memory, nor why it cannot open a file. */
static int readable(const char *path, char *error, size_t error_size)
{
    FILE *f = fopen(path, "rb");
    int ok = f && (fgetc(f) != EOF || !ferror(f));
    if (!ok)
        say_file(error, error_size, path, strerror(errno));
    if (f)
        fclose(f);
    return ok;
}

static void say_parse(char *error, size_t size, const char *path, int code)
{
    char text[128];
    mbedtls_strerror(code, text, sizeof text);
    say_file(error, size, path, text);
}

/* A positive answer of mbedTLS is the number of certificates that it cannot read: bundles have
 * such, and one that can be read is enough. */
static int read_roots(tls_context *context, const char *path, char *error, size_t error_size)
{
    int code;
    if (!readable(path, error, error_size))
        return 0;
    code = mbedtls_x509_crt_parse_file(&context->roots, path);
    if (code >= 0 && context->roots.raw.p)
        return 1;
    say_parse(error, error_size, path, code < 0 ? code : MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT);
    return 0;
}

/* Nobody is to believe that a list of revoked certificates is used when a part of it is not. */
static int read_revoked(tls_context *context, const char *path, char *error, size_t error_size)
{
    int code;
    if (!readable(path, error, error_size))
        return 0;
    code = mbedtls_x509_crl_parse_file(&context->revoked, path);
    if (!code && context->revoked.raw.p)
        return 1;
    say_parse(error, error_size, path, code ? code : MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT);
    return 0;
}

static const char *system_bundle(void)
{
    static const char *const bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt",     "/etc/ssl/cert.pem",
        "/etc/pki/tls/certs/ca-bundle.crt",       "/etc/ssl/ca-bundle.pem",
        "/usr/local/share/certs/ca-root-nss.crt", NULL};
    const char *path = getenv("SSL_CERT_FILE");
    size_t i = 0;
    if (path && *path)
        return path;
    while (bundles[i] && access(bundles[i], R_OK) != 0)
        i++;
    return bundles[i];
}

/* What stands in an issuer's certificate must allow that: mbedTLS looks at the use of the server's
 * own only, and passes over name constraints that are not critical. It cannot check those: better
 * none of that issuer's than one for any name. */
static int check_issuer(void *user, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    static const unsigned char name_constraints[] = {6, 3, 0x55, 0x1d, 0x1e}; /* its OID */
    const mbedtls_x509_buf *extensions = &crt->v3_ext;
    size_t i;
    (void)user;
    if (depth == 0)
        return 0;
    if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
        *flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    for (i = 0; i + sizeof name_constraints <= extensions->len; i++)
        if (memcmp(extensions->p + i, name_constraints, sizeof name_constraints) == 0)
            *flags |= MBEDTLS_X509_BADCERT_OTHER;
    return 0;
}

static int configure(tls_context *context)
{
    mbedtls_ssl_config *config = &context->config;
    int code = mbedtls_ssl_config_defaults(
        config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (code)
        return code;
    mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &context->random);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_verify(config, check_issuer, NULL);
    mbedtls_ssl_conf_ca_chain(config, &context->roots,
                              context->revoked.raw.p ? &context->revoked : NULL);
    /* SHA-256, 256 bits of curve, 2048 of RSA or better, which public CAs must have: the default of
     * 3.x, by a name that 2.28 has too */
    mbedtls_ssl_conf_cert_profile(config, &mbedtls_x509_crt_profile_next);
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
#if MBEDTLS_VERSION_NUMBER < 0x03000000 /* 3.x does all of this by itself */
    {
        /* for the key exchange and for certificates; the cheapest first */
        static const mbedtls_ecp_group_id curves[] = {
            MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
            MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_NONE};
        static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
                                     MBEDTLS_MD_NONE};
        mbedtls_ssl_conf_curves(config, curves);
        mbedtls_ssl_conf_sig_hashes(config, hashes); /* RFC 9155: no SHA-1 */
        mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                     MBEDTLS_SSL_MINOR_VERSION_3);
    }
#endif
    return 0;
}

/* Random numbers and configuration. */
static int prepare(tls_context *context, char *error, size_t error_size)
{
    int code =
        mbedtls_ctr_drbg_seed(&context->random, mbedtls_entropy_func, &context->entropy, NULL, 0);
#if defined(USE_PSA)
    if (!code && psa_crypto_init() != PSA_SUCCESS)
        code = MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#endif
    if (!code)
        code = configure(context);
    if (code && error_size) {
        char text[128];
        mbedtls_strerror(code, text, sizeof text);
        snprintf(error, error_size, "TLS cannot be set up: %s", text);
    }
    return !code;
}

tls_context *tls_context_open(const char *ca_file, const char *crl_file, char *error,
                              size_t error_size)
{
    tls_context *context = calloc(1, sizeof *context);
    const char *path = ca_file ? ca_file : system_bundle();
    if (!context || !path) {
        if (error_size)
            snprintf(error, error_size, "%s",
                     context ? "no CA certificates were found on this system" : "out of memory");
        free(context);
        return NULL;
    }
    mbedtls_entropy_init(&context->entropy);
    mbedtls_ctr_drbg_init(&context->random);
    mbedtls_x509_crt_init(&context->roots);
    mbedtls_x509_crl_init(&context->revoked);
    mbedtls_ssl_config_init(&context->config);
    if (read_roots(context, path, error, error_size) &&
        (!crl_file || read_revoked(context, crl_file, error, error_size)) &&
        prepare(context, error, error_size))
        return context;
    tls_context_close(context);
    return NULL;
}

void tls_context_close(tls_context *context)
{
    if (!context)
        return;
    mbedtls_ssl_config_free(&context->config);
    mbedtls_x509_crl_free(&context->revoked);
    mbedtls_x509_crt_free(&context->roots);
    mbedtls_ctr_drbg_free(&context->random);
    mbedtls_entropy_free(&context->entropy);
    free(context);
}

/* ---- events and the end */

/* Returns 0 if the callback has closed the stream, which does not exist any more then. */
static int emit(tls_stream *s, tls_stream_event event, const unsigned char *data, size_t len)
{
    int alive = 1;
    s->alive = &alive;
    s->callback(s->user, s, event, data, len);
    if (alive)
        s->alive = NULL;
    return alive;
}

static void on_io(evutil_socket_t fd, short events, void *user);

/* Wait for these, and for nothing else. */
static void wait_for(tls_stream *s, short events)
{
    if (events == s->io_events)
        return;
    if (s->io_events)
        event_del(&s->io);
    s->io_events = events;
    if (events) {
        event_assign(&s->io, s->options.base, s->fd, (short)(events | EV_PERSIST), on_io, s);
        event_add(&s->io, NULL);
    }
}

static void close_socket(tls_stream *s)
{
    wait_for(s, 0);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void hang_up(tls_stream *s)
{
    event_del(&s->deadline);
    event_del(&s->attempt);
    if (s->state == SECURE)
        mbedtls_ssl_close_notify(&s->ssl); /* as far as it can be sent at once */
    mbedtls_ssl_free(&s->ssl);
    close_socket(s);
    free(s->out);
    s->out = NULL;
    s->out_len = s->out_sent = s->out_size = 0;
    s->state = OVER;
}

/* "192.0.2.1 port 443: " and what there is to say. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
explain(tls_stream *s, const char *format, ...)
{
    char address[INET6_ADDRSTRLEN];
    va_list args;
    int n = snprintf(s->why, sizeof s->why, "%s port %u: ",
                     tls_stream_address_text(tls_stream_address(s), address, sizeof address),
                     s->options.port);
    va_start(args, format);
    vsnprintf(s->why + n, sizeof s->why - (size_t)n, format, args);
    va_end(args);
}

/* It returns 0, as all functions do after which the stream is over or gone. */
static int fail(tls_stream *s, tls_stream_failure failure)
{
    s->failure = failure;
    hang_up(s);
    emit(s, TLS_STREAM_FAILED, NULL, 0);
    return 0;
}

static int end(tls_stream *s)
{
    hang_up(s);
    emit(s, TLS_STREAM_END, NULL, 0);
    return 0;
}

static int cut(tls_stream *s, const char *when)
{
    explain(s, "the connection was cut off%s%s%s", when, s->io_error ? ": " : "",
            s->io_error ? strerror(s->io_error) : "");
    return fail(s, TLS_STREAM_CUT);
}

static void on_deadline(evutil_socket_t fd, short events, void *user)
{
    tls_stream *s = user;
    (void)fd;
    (void)events;
    explain(s, "%s",
            s->state == CONNECTING  ? "no answer to the attempt to connect"
            : s->state == HANDSHAKE ? "the TLS handshake takes too long"
                                    : "too slow");
    fail(s, TLS_STREAM_TIMEOUT);
}

/* ---- sending and receiving, without TLS and below it */

static int try_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* After an error the octets count as sent: the peer may have said why it has gone, and reading
 * comes to that, or to the end. */
static ssize_t send_some(tls_stream *s, const unsigned char *data, size_t len)
{
    ssize_t n = send(s->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0 || try_later())
        return n;
    s->io_error = errno;
    return (ssize_t)len;
}

static int ssl_send(void *user, const unsigned char *data, size_t len)
{
    ssize_t n = send_some(user, data, len);
    return n < 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : (int)n;
}

static int ssl_receive(void *user, unsigned char *data, size_t len)
{
    tls_stream *s = user;
    ssize_t n;
    if (!s->budget)
        return MBEDTLS_ERR_SSL_WANT_READ; /* the socket still has it, and wakes us again */
    n = recv(s->fd, data, len < s->budget ? len : s->budget, 0);
    if (n >= 0) {
        s->budget -= (size_t)n;
        return (int)n;
    }
    if (try_later())
        return MBEDTLS_ERR_SSL_WANT_READ;
    s->io_error = errno;
    return MBEDTLS_ERR_NET_CONN_RESET;
}

/* What there is, once: the callback may turn to TLS, and then the next octets are TLS's. */
static int read_plain(tls_stream *s)
{
    unsigned char data[READ_SIZE];
    ssize_t n = recv(s->fd, data, sizeof data, 0);
    if (n > 0)
        return emit(s, TLS_STREAM_DATA, data, (size_t)n);
    if (n == 0 && !s->io_error)
        return end(s);
    if (n < 0 && try_later())
        return 1;
    if (n < 0)
        s->io_error = errno;
    return cut(s, "");
}

static void write_plain(tls_stream *s)
{
    while (s->out_sent < s->out_len) {
        ssize_t n = send_some(s, s->out + s->out_sent, s->out_len - s->out_sent);
        if (n < 0)
            return;
        s->out_sent += (size_t)n;
    }
}

/* ---- TLS */

/* Days from 1970-01-01 in the Gregorian calendar, with years that begin in March. */
static int64_t days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static int64_t seconds(const mbedtls_x509_time *t)
{
    return ((days(t->year, t->mon, t->day) * 24 + t->hour) * 60 + t->min) * 60 + t->sec;
}

static mtasts_chain chain_state(uint32_t flags)
{
    const uint32_t dates = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    if (!flags)
        return MTASTS_CHAIN_TRUSTED;
    if (flags & ~(dates | MBEDTLS_X509_BADCERT_REVOKED))
        return MTASTS_CHAIN_UNTRUSTED;
    return flags & MBEDTLS_X509_BADCERT_REVOKED ? MTASTS_CHAIN_REVOKED : MTASTS_CHAIN_EXPIRED;
}

/* mbedTLS writes a line for each flag; here they are one. */
static void explain_chain(tls_stream *s, uint32_t flags)
{
    char text[sizeof s->chain_text];
    char *c;
    int n = mbedtls_x509_crt_verify_info(text, sizeof text, " ", flags);
    if (n < 2 || (size_t)n >= sizeof text) {
        snprintf(s->chain_text, sizeof s->chain_text, "The certificate is not good");
        return;
    }
    text[n - 1] = '\0'; /* the last line's end */
    for (c = text; *c; c++)
        if (*c == '\n')
            *c = ';';
    snprintf(s->chain_text, sizeof s->chain_text, "%s", text + 1);
}

static int copy_certificate(tls_stream *s, const mbedtls_x509_crt *leaf)
{
    char issuer[1024];
    int n;
    s->der = malloc(leaf->raw.len);
    if (!s->der)
        return 0;
    memcpy(s->der, leaf->raw.p, leaf->raw.len);
    s->peer.der = s->der;
    s->peer.der_len = leaf->raw.len;
    s->peer.not_before = seconds(&leaf->valid_from);
    s->peer.not_after = seconds(&leaf->valid_to);
    n = mbedtls_x509_dn_gets(issuer, sizeof issuer, &leaf->issuer);
    if (n > 0)
        mtasts_escape(s->issuer, sizeof s->issuer, issuer, (size_t)n);
    return 1;
}

/* The names are mtasts.h's: mbedTLS would take the subject's common name too. */
static int look_at_peer(tls_stream *s)
{
    const mbedtls_x509_crt *leaf = mbedtls_ssl_get_peer_cert(&s->ssl);
    uint32_t flags = mbedtls_ssl_get_verify_result(&s->ssl);
    s->peer.version = mbedtls_ssl_get_version(&s->ssl);
    s->peer.cipher = mbedtls_ssl_get_ciphersuite(&s->ssl);
    if (!leaf)
        flags = MBEDTLS_X509_BADCERT_MISSING;
    else if (flags != UINT32_MAX)
        flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    s->peer.chain = chain_state(flags);
    if (flags)
        explain_chain(s, flags);
    return !leaf || copy_certificate(s, leaf);
}

/* Errors of mbedTLS's modules X.509 and PK, which have 0x2080 to 0x3000 and 0x3900 to 0x3f00, with
 * one of ASN.1 in the low seven bits: a certificate or its key is not what mbedTLS can read. */
static int is_certificate_error(int code)
{
    int high = -code & 0xff80;
    return (high >= -MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE &&
            high <= -MBEDTLS_ERR_X509_FATAL_ERROR) ||
           (high >= -MBEDTLS_ERR_PK_SIG_LEN_MISMATCH && high <= -MBEDTLS_ERR_PK_TYPE_MISMATCH);
}

/* mbedTLS has given up. */
static int fail_tls(tls_stream *s, int code, const char *when)
{
    char text[128];
    if (code == 0 || code == MBEDTLS_ERR_SSL_CONN_EOF || code == MBEDTLS_ERR_NET_CONN_RESET ||
        code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return cut(s, when);
    if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        explain(s, "the peer has ended TLS with an alert%s", when);
        return fail(s, TLS_STREAM_ALERT);
    }
    mbedtls_strerror(code, text, sizeof text);
    explain(s, "TLS failed%s: %s", when, text);
    if (code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return fail(s, TLS_STREAM_NO_MEANS);
    if (s->state != HANDSHAKE)
        return fail(s, TLS_STREAM_CUT);
    if (is_certificate_error(code)) {
        s->peer.chain = MTASTS_CHAIN_UNTRUSTED;
        snprintf(s->chain_text, sizeof s->chain_text, "%s", text);
    }
    return fail(s, TLS_STREAM_HANDSHAKE);
}

/* Is it only that something has to be waited for? */
static int tls_waits(tls_stream *s, int code)
{
    if (code != MBEDTLS_ERR_SSL_WANT_READ && code != MBEDTLS_ERR_SSL_WANT_WRITE)
        return 0;
    s->tls_wants |= code == MBEDTLS_ERR_SSL_WANT_READ ? EV_READ : EV_WRITE;
    return 1;
}

static int shake_hands(tls_stream *s)
{
    int code = s->tls_error;
    write_plain(s);
    if (s->out_sent < s->out_len) {
        s->tls_wants = EV_WRITE;
        return 1;
    }
    if (!code)
        code = mbedtls_ssl_handshake(&s->ssl);
    if (tls_waits(s, code))
        return 1;
    if (code)
        return fail_tls(s, code, " in the handshake");
    if (!look_at_peer(s))
        return fail_tls(s, MBEDTLS_ERR_SSL_ALLOC_FAILED, "");
    s->state = SECURE;
    return emit(s, TLS_STREAM_SECURED, NULL, 0);
}

/* All that has come: mbedTLS keeps nothing that it has read when it says WANT_READ, but for a part
 * of a record, whose rest wakes us. */
static int read_tls(tls_stream *s)
{
    unsigned char data[READ_SIZE];
    for (;;) {
        int n = mbedtls_ssl_read(&s->ssl, data, sizeof data);
        if (n > 0) {
            if (!emit(s, TLS_STREAM_DATA, data, (size_t)n))
                return 0;
        } else if (tls_waits(s, n)) {
            return 1;
        } else if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            return end(s);
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        } else if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            continue; /* no session is ever resumed */
#endif
        } else {
            return fail_tls(s, n, "");
        }
    }
}

static int write_tls(tls_stream *s)
{
    while (s->out_sent < s->out_len) {
        int n;
        if (!s->tls_retry)
            s->tls_retry = s->out_len - s->out_sent;
        n = mbedtls_ssl_write(&s->ssl, s->out + s->out_sent, s->tls_retry);
        if (tls_waits(s, n))
            return 1;
        if (n < 0)
            return fail_tls(s, n, "");
        s->tls_retry = 0;
        s->out_sent += (size_t)n;
    }
    return 1;
}

/* ---- connecting */

/* Is it connected to, from here? */
static int allowed(const tls_stream_options *options, const struct sockaddr_storage *address)
{
    const void *octets;
    size_t len;
    if (address->ss_family == AF_INET) {
        octets = &((const struct sockaddr_in *)address)->sin_addr;
        len = 4;
    } else if (address->ss_family == AF_INET6) {
        octets = &((const struct sockaddr_in6 *)address)->sin6_addr;
        len = 16;
    } else {
        return 0;
    }
    return options->allow_private || mtasts_address_is_public(octets, len);
}

static void take_addresses(tls_stream *s, const struct sockaddr_storage *addresses, size_t count)
{
    size_t i;
    snprintf(s->why, sizeof s->why, "there is no address to connect to");
    for (i = 0; i < count && s->address_count < ADDRESSES_MAX; i++) {
        struct sockaddr_storage *a = &s->addresses[s->address_count];
        char text[INET6_ADDRSTRLEN];
        if (!allowed(&s->options, &addresses[i])) {
            s->not_public = 1;
            snprintf(s->why, sizeof s->why, "%s: not a public address",
                     tls_stream_address_text(&addresses[i], text, sizeof text));
            continue;
        }
        *a = addresses[i];
        if (a->ss_family == AF_INET)
            ((struct sockaddr_in *)a)->sin_port = htons((uint16_t)s->options.port);
        else
            ((struct sockaddr_in6 *)a)->sin6_port = htons((uint16_t)s->options.port);
        s->address_count++;
    }
}

/* Begin with one address. Returns 0 if it fails at once. */
static int try_address(tls_stream *s, const struct sockaddr_storage *address)
{
    int on = 1;
    socklen_t len =
        address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    s->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* without this, flights of small records would wait for acknowledgements */
    if (s->fd >= 0)
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (s->fd >= 0 && (connect(s->fd, (const struct sockaddr *)address, len) == 0 ||
                       errno == EINPROGRESS || errno == EINTR)) {
        wait_for(s, EV_WRITE);
        return 1;
    }
    s->no_means =
        s->fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
    explain(s, "%s", strerror(errno));
    close_socket(s);
    return 0;
}

/* The next address that does not fail at once, with its share of the time that is left. */
static void try_next(tls_stream *s)
{
    while (s->address_next < s->address_count) {
        int64_t share = (s->end - now_ms()) / (int64_t)(s->address_count - s->address_next);
        struct timeval time;
        if (!try_address(s, &s->addresses[s->address_next++])) {
            if (s->no_means)
                break; /* for another neither */
            continue;
        }
        if (share > s->options.connect_deadline)
            share = s->options.connect_deadline;
        time = interval(share > 0 ? share : 0);
        event_add(&s->attempt, &time);
        return;
    }
    if (s->no_means) {
        fail(s, TLS_STREAM_NO_MEANS);
        return;
    }
    if (s->address_count > 1) {
        size_t n = strlen(s->why);
        snprintf(s->why + n, sizeof s->why - n, " (the last of %zu addresses)", s->address_count);
    }
    fail(s, s->address_count ? TLS_STREAM_UNREACHABLE
            : s->not_public  ? TLS_STREAM_NOT_PUBLIC
                             : TLS_STREAM_NO_ADDRESS);
}

/* The time for an address is over; or, without a socket, it begins. */
static void on_attempt(evutil_socket_t fd, short events, void *user)
{
    tls_stream *s = user;
    (void)fd;
    (void)events;
    if (s->fd >= 0) {
        explain(s, "no answer to the attempt to connect");
        close_socket(s);
    }
    try_next(s);
}

/* Is it connected now? */
static int connected(tls_stream *s)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    event_del(&s->attempt);
    if (error) {
        explain(s, "%s", strerror(error));
        close_socket(s);
        try_next(s);
        return 0;
    }
    s->state = PLAIN;
    return emit(s, TLS_STREAM_CONNECTED, NULL, 0);
}

/* ---- a turn of the loop */

static void on_io(evutil_socket_t fd, short events, void *user)
{
    tls_stream *s = user;
    (void)fd;
    s->budget = READ_BUDGET;
    s->tls_wants = 0;
    if (s->state == CONNECTING && !connected(s))
        return;
    if (s->state == PLAIN && (events & EV_READ) && !read_plain(s))
        return;
    if (s->state == HANDSHAKE && !shake_hands(s))
        return;
    if (s->state == SECURE && (!read_tls(s) || !write_tls(s)))
        return;
    if (s->state != PLAIN) {
        wait_for(s, s->tls_wants);
    } else {
        write_plain(s);
        wait_for(s, s->out_sent < s->out_len ? EV_READ | EV_WRITE : EV_READ);
    }
}

/* ---- the rest of the interface */

tls_stream *tls_stream_open(const tls_stream_options *options,
                            const struct sockaddr_storage *addresses, size_t count,
                            tls_stream_callback *callback, void *user)
{
    static const struct timeval now = {0, 0};
    struct timeval time;
    tls_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->options = *options;
    if (!s->options.deadline)
        s->options.deadline = 60000;
    if (!s->options.connect_deadline)
        s->options.connect_deadline = 10000;
    s->callback = callback;
    s->user = user;
    s->fd = -1;
    s->peer.version = s->peer.cipher = "";
    s->peer.chain_text = s->chain_text;
    s->peer.issuer = s->issuer;
    mbedtls_ssl_init(&s->ssl);
    take_addresses(s, addresses, count);
    s->end = now_ms() + s->options.deadline;
    evtimer_assign(&s->deadline, options->base, on_deadline, s);
    evtimer_assign(&s->attempt, options->base, on_attempt, s);
    time = interval(s->options.deadline);
    event_add(&s->deadline, &time);
    event_add(&s->attempt, &now);
    return s;
}

/* Not from inside the callback: then the turn goes on, and sees to it. */
static void wake(tls_stream *s)
{
    if (!s->alive)
        wait_for(s, (short)(s->io_events | EV_WRITE));
}

void tls_stream_secure(tls_stream *s, const char *host)
{
    if (s->state != PLAIN)
        return;
    s->state = HANDSHAKE;
    s->tls_error = mbedtls_ssl_setup(&s->ssl, &s->options.tls->config);
    if (!s->tls_error)
        s->tls_error = mbedtls_ssl_set_hostname(&s->ssl, host);
    mbedtls_ssl_set_bio(&s->ssl, s, ssl_send, ssl_receive, NULL);
    wake(s);
}

int tls_stream_write(tls_stream *s, const void *data, size_t len)
{
    size_t waiting = s->out_len - s->out_sent;
    if ((s->state != PLAIN && s->state != SECURE) || len > OUT_MAX - waiting)
        return 0;
    if (!len)
        return 1;
    if (s->out_sent && waiting)
        memmove(s->out, s->out + s->out_sent, waiting);
    s->out_sent = 0;
    s->out_len = waiting;
    if (waiting + len > s->out_size) {
        unsigned char *out = realloc(s->out, waiting + len);
        if (!out)
            return 0;
        s->out = out;
        s->out_size = waiting + len;
    }
    memcpy(s->out + waiting, data, len);
    s->out_len += len;
    wake(s);
    return 1;
}

void tls_stream_close(tls_stream *s)
{
    if (!s)
        return;
    if (s->alive)
        *s->alive = 0;
    hang_up(s);
    free(s->der);
    free(s);
}

const tls_stream_peer_info *tls_stream_peer(const tls_stream *s)
{
    return &s->peer;
}

const struct sockaddr_storage *tls_stream_address(const tls_stream *s)
{
    return s->address_next ? &s->addresses[s->address_next - 1] : &no_address;
}

tls_stream_failure tls_stream_why(const tls_stream *s)
{
    return s->failure;
}

const char *tls_stream_why_text(const tls_stream *s)
{
    return s->why;
}

const char *tls_stream_address_text(const struct sockaddr_storage *address, char *out, size_t cap)
{
    const void *octets = NULL;
    if (address->ss_family == AF_INET)
        octets = &((const struct sockaddr_in *)address)->sin_addr;
    else if (address->ss_family == AF_INET6)
        octets = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (cap && (!octets || !inet_ntop(address->ss_family, octets, out, (socklen_t)cap)))
        *out = '\0';
    return out;
}
