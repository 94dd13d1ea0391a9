/* host_libevent - the client of mtasts.h with everything that it needs, in a libevent loop
 *
 * Copy all files of this folder: this one plugs dns_cares, https_mbedtls and store_dir into
 * mtasts_host, and calls mtasts_client_tick when it is time. What a server has of its own (DNS,
 * TLS, a database) goes here in their place.
 *
 * While a host is open its timer is set, so that event_base_dispatch does not return. A process
 * that waits for one answer:
 *
 *       err = host_libevent_lookup(host, &lookup, domain, len, 0);
 *       while (err == MTASTS_MORE && !answered)         set by lookup.done
 *           event_base_loop(base, EVLOOP_ONCE);
 *
 * CA, CRL, resolv.conf and the store's directory are opened by host_libevent_open, once: for new
 * ones (CRLs expire) open another host and close this one. After a fork only one side may use it.
 *
 * One thread. */
#ifndef HOST_LIBEVENT_H
#define HOST_LIBEVENT_H

#include "dns_cares.h"
#include "https_mbedtls.h"
#include "mtasts.h"
#include "store_dir.h"
#include "tls_stream.h"

typedef struct host_libevent host_libevent;

typedef struct host_libevent_options {
    struct event_base *base;
    https_mbedtls_options https; /* base, dns and tls are set here */
    dns_cares_options dns;
    const char *ca_file, *crl_file; /* see tls_context_open */
    const char *store;              /* directory, made if missing; NULL: policies are forgotten when
                                       the process ends */
    size_t memory;                  /* octets for the client; 0: 16 MiB */
    int import;                     /* 1: read all that is stored at once, so that it is refreshed
                                       even before mail goes there */
    /* Optional, both: see mtasts_host. */
    void (*event)(void *user, const mtasts_event *event);
    mtasts_override (*override)(void *user, const char *domain, mtasts_str *pinned);
    void *user;
    /* Optional: before the client starts, change anything else (timeouts, limits). */
    void (*adjust)(void *user, mtasts_host *host);
} host_libevent_options;

/* host_libevent_open, host_libevent_close
 *
 *   options   copied; strings, base and user must outlive the host
 *   error     error_size octets for a sentence; written after a failure
 *   returns   NULL after a failure
 *   close     ends all look-ups: end none of them afterwards. Not from inside a callback, `done` of
 *             a look-up neither. NULL: nothing happens.
 */
host_libevent *host_libevent_open(const host_libevent_options *options, char *error,
                                  size_t error_size);
void host_libevent_close(host_libevent *host);

/* host_libevent_lookup, host_libevent_end - mtasts_client_lookup and _end, and set the timer */
mtasts_err host_libevent_lookup(host_libevent *host, mtasts_lookup *lookup, const char *domain,
                                size_t len, unsigned flags);
void host_libevent_end(host_libevent *host, mtasts_lookup *lookup);

/* host_libevent_wake - after any other call of the client: set the timer anew */
void host_libevent_wake(host_libevent *host);

/* Its parts, for further use: MX records, probes (smtp_probe_options.dns and .tls are the caller's
 * to set), the client's other functions. */
mtasts_client *host_libevent_client(host_libevent *host);
dns_cares *host_libevent_dns(host_libevent *host);
tls_context *host_libevent_tls(host_libevent *host);
store_dir *host_libevent_store(host_libevent *host); /* NULL: none */

#endif
