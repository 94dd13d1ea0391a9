/* What `mtasts check` and `mtasts refresh` share: the options about the network, and the adapters
 * set up as they say. */
#ifndef NETWORK_H
#define NETWORK_H

#include <getopt.h>

#include "../adapters/dns_cares.h"
#include "../adapters/https_mbedtls.h"
#include "../adapters/smtp_probe.h"
#include "../adapters/store_dir.h"
#include "../adapters/tls_stream.h"
#include "mtasts.h"

typedef struct network_options {
    const char *dns, *ca, *crl;
    const char *dir; /* of the store; NULL: none */
    unsigned https_port, smtp_port;
    unsigned timeout; /* seconds, for each of DNS, HTTPS and SMTP */
    int allow_private;
} network_options;

/* For the list of getopt_long, and what it returns for them. */
enum {
    OPTION_DNS = 256,
    OPTION_CA,
    OPTION_CRL,
    OPTION_DIR,
    OPTION_HTTPS_PORT,
    OPTION_SMTP_PORT,
    OPTION_TIMEOUT,
    OPTION_ALLOW_PRIVATE
};
#define NETWORK_LONG_OPTIONS                                                                  \
    {"dns", required_argument, NULL, OPTION_DNS}, {"ca", required_argument, NULL, OPTION_CA}, \
        {"crl", required_argument, NULL, OPTION_CRL},                                         \
        {"dir", required_argument, NULL, OPTION_DIR},                                         \
        {"https-port", required_argument, NULL, OPTION_HTTPS_PORT},                           \
        {"smtp-port", required_argument, NULL, OPTION_SMTP_PORT},                             \
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},                                 \
    {                                                                                         \
        "allow-private", no_argument, NULL, OPTION_ALLOW_PRIVATE                              \
    }

/* Take one of them. Returns 0, or EXIT_TROUBLE after saying what is wrong with it, or with another
 * number than these. */
int network_option(network_options *options, int option, const char *value, char **argv);

/* A number and nothing else, from `least` to `most`: 1, or 0 if it is not. */
int parse_number(const char *text, unsigned least, unsigned most, unsigned *number);

typedef struct network {
    struct event_base *base;
    dns_cares *dns;
    tls_context *tls;
    store_dir *store; /* NULL: none */
    https_mbedtls_options https;
    smtp_probe_options smtp;
    char helo[MTASTS_NAME_SIZE];
} network;

/* Returns 0, or EXIT_TROUBLE after saying why. network_close is to be called in both cases. */
int network_open(network *net, const network_options *options);
void network_close(network *net);

/* Seconds for a person: "45 s", "12 min", "7 d". Returns out. */
enum { SPAN_SIZE = 24 };
const char *span(char out[SPAN_SIZE], int64_t seconds);

/* "2027-01-31", in UTC. Returns out. */
enum { DATE_SIZE = 32 };
const char *date(char out[DATE_SIZE], int64_t when);

#endif
