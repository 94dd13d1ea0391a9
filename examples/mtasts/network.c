#include "network.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum {
    DEFAULT_TIMEOUT = 30, /* seconds */
    DNS_TRIES = 3,
    DNS_PATIENCE = 7,        /* three tries, each twice as long as the one before: 1 + 2 + 4 */
    DNS_FIRST_TRY_MAX = 3000 /* milliseconds: a lost packet should not cost more */
};

int parse_number(const char *text, unsigned least, unsigned most, unsigned *number)
{
    unsigned long n = 0;
    size_t i;
    for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 9; i++)
        n = n * 10 + (unsigned long)(text[i] - '0');
    *number = (unsigned)n;
    return i && !text[i] && n >= least && n <= most;
}

static int port_option(const char *name, const char *value, unsigned *port)
{
    return parse_number(value, 1, 65535, port) ? 0 : trouble(name, value, "1 to 65535");
}

/* Of "HOST", "HOST:PORT" and "[HOST]:PORT", with commas between several; c-ares takes any number. */
static int ports_fit(const char *servers)
{
    while (*servers) {
        const char *end = servers + strcspn(servers, ",");
        const char *colon = servers + (*servers == '[' ? strcspn(servers, "],") : 0);
        colon += strcspn(colon, ":,");
        /* with two it is an IPv6 address */
        if (*colon == ':' && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
            unsigned long port = strtoul(colon + 1, NULL, 10);
            if (port < 1 || port > 65535)
                return 0;
        }
        servers = end + (*end == ',');
    }
    return 1;
}

int network_option(network_options *options, int option, const char *value, char **argv)
{
    switch (option) {
    case OPTION_DNS:
        options->dns = value;
        return ports_fit(value) ? 0 : trouble("--dns", value, "the port: 1 to 65535");
    case OPTION_CA:
        options->ca = value;
        return 0;
    case OPTION_CRL:
        options->crl = value;
        return 0;
    case OPTION_DIR:
        options->dir = value;
        return 0;
    case OPTION_HTTPS_PORT:
        return port_option("--https-port", value, &options->https_port);
    case OPTION_SMTP_PORT:
        return port_option("--smtp-port", value, &options->smtp_port);
    case OPTION_TIMEOUT:
        return parse_number(value, 1, 600, &options->timeout)
                   ? 0
                   : trouble("--timeout", value, "seconds, 1 to 600");
    case OPTION_ALLOW_PRIVATE:
        options->allow_private = 1;
        return 0;
    default:
        return bad_option(argv);
    }
}

/* The name that this host gives in EHLO, if it has one that is fit for that. */
static const char *own_name(network *net)
{
    char name[MTASTS_NAME_SIZE + 1] = "";
    if (gethostname(name, sizeof name - 1) != 0 ||
        mtasts_name_normalise(net->helo, name, strlen(name), NULL) != MTASTS_OK)
        return NULL;
    return net->helo;
}

int network_open(network *net, const network_options *options)
{
    unsigned milliseconds = 1000 * (options->timeout ? options->timeout : DEFAULT_TIMEOUT);
    dns_cares_options dns;
    char why[256];
    memset(net, 0, sizeof *net);
    memset(&dns, 0, sizeof dns);
    signal(SIGPIPE, SIG_IGN);
    net->base = event_base_new();
    if (!net->base)
        return trouble("no event loop", NULL, NULL);
    dns.servers = options->dns;
    dns.tries = DNS_TRIES;
    dns.deadline = milliseconds;
    dns.timeout = milliseconds / DNS_PATIENCE;
    if (dns.timeout > DNS_FIRST_TRY_MAX)
        dns.timeout = DNS_FIRST_TRY_MAX;
    net->dns = dns_cares_open(net->base, &dns, why, sizeof why);
    if (!net->dns)
        return trouble("DNS", options->dns, why);
    net->tls = tls_context_open(options->ca, options->crl, why, sizeof why);
    if (!net->tls) {
        int no_roots = !options->ca && !(options->crl && strstr(why, options->crl));
        size_t len = strlen(why);
        snprintf(why + len, sizeof why - len, "%s",
                 no_roots ? " (--ca FILE, or install ca-certificates)" : "");
        return trouble("TLS", NULL, why);
    }
    if (options->dir) {
        net->store = store_dir_open(options->dir, 1, why, sizeof why);
        if (!net->store)
            return trouble("the store", options->dir, why);
    }
    net->https.base = net->smtp.base = net->base;
    net->https.dns = net->smtp.dns = net->dns;
    net->https.tls = net->smtp.tls = net->tls;
    net->https.deadline = net->smtp.deadline = milliseconds;
    net->https.allow_private = net->smtp.allow_private = options->allow_private;
    net->https.port = options->https_port;
    net->smtp.port = options->smtp_port;
    net->smtp.helo = own_name(net);
    return 0;
}

void network_close(network *net)
{
    store_dir_close(net->store);
    dns_cares_close(net->dns);
    tls_context_close(net->tls);
    if (net->base)
        event_base_free(net->base);
}

const char *span(char out[SPAN_SIZE], int64_t seconds)
{
    long long n = seconds < 0 ? 0 : seconds;
    if (n < 120)
        snprintf(out, SPAN_SIZE, "%lld s", n);
    else if (n < 7200)
        snprintf(out, SPAN_SIZE, "%lld min", n / 60);
    else if (n < 172800)
        snprintf(out, SPAN_SIZE, "%lld h", n / 3600);
    else
        snprintf(out, SPAN_SIZE, "%lld d", n / 86400);
    return out;
}

const char *date(char out[DATE_SIZE], int64_t when)
{
    time_t t = (time_t)when;
    const struct tm *tm = gmtime(&t);
    if (!tm || !strftime(out, DATE_SIZE, "%Y-%m-%d", tm))
        snprintf(out, DATE_SIZE, "?");
    return out;
}
