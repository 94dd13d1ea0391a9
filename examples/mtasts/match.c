/* mtasts match: what a policy means for MX hosts, before connecting and after STARTTLS. */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

enum { PEM_MAX = 1 << 20 };

/* One --mx and the options behind it. */
typedef struct candidate {
    const char *host;
    const char *cert; /* path, or NULL */
    mtasts_dane dane;
    int dane_ok, no_starttls, no_requiretls;
    /* what became of it */
    mtasts_plan plan;
    mtasts_session session;
    mtasts_verdict worst, best; /* they differ if it depends on TLS, which we were not told about */
    char detail[256];           /* of the certificate */
} candidate;

typedef struct question {
    const char *policy, *ca;
    mtasts_delivery delivery;
    candidate *mx;
    size_t mx_count;
} question;

/* A word of a small set: its index, or -1. */
static int choose(const char *word, const char *const *words)
{
    int i;
    for (i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static int set_dane(candidate *mx, const char *word)
{
    static const char *const words[] = {"none", "usable", "unusable", "failed", "ok", NULL};
    int n = choose(word, words);
    if (n < 0)
        return trouble("match: --dane", word, "none, ok, usable, unusable or failed");
    mx->dane_ok = n == 4;
    mx->dane = n == 4 ? MTASTS_DANE_USABLE : (mtasts_dane)n;
    return 0;
}

static int set_level(int option, question *q, const char *word)
{
    static const char *const levels[] = {"none", "optional", "required", NULL};
    static const char *const overrides[] = {"none", "ignore", "testing", "enforce", NULL};
    int n = choose(word, option == 'o' ? overrides : levels);
    if (n < 0)
        return trouble("match: not a value of this option", word, "see mtasts --help");
    if (option == 'o')
        q->delivery.override = (mtasts_override)n;
    else if (option == 't')
        q->delivery.tls = (mtasts_tls)(n + MTASTS_TLS_NONE);
    else
        q->delivery.verify = (mtasts_verify)n;
    return 0;
}

/* An option that belongs to the --mx before it. */
static int set_for_mx(int option, question *q, const char *word)
{
    candidate *mx = q->mx_count ? &q->mx[q->mx_count - 1] : NULL;
    if (!mx)
        return trouble("match: --cert, --dane and --no-starttls come after an --mx", NULL, NULL);
    if (option == 'n')
        mx->no_starttls = 1;
    else if (option == 'q')
        mx->no_requiretls = 1;
    else if (option == 'c')
        mx->cert = word;
    else
        return set_dane(mx, word);
    return 0;
}

static int read_options(int argc, char **argv, question *q)
{
    static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
                                            {"mx", required_argument, NULL, 'x'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"no-starttls", no_argument, NULL, 'n'},
                                            {"no-requiretls", no_argument, NULL, 'q'},
                                            {"dane", required_argument, NULL, 'd'},
                                            {"ca", required_argument, NULL, 'a'},
                                            {"tls", required_argument, NULL, 't'},
                                            {"verify", required_argument, NULL, 'v'},
                                            {"override", required_argument, NULL, 'o'},
                                            {"requiretls", no_argument, NULL, 'r'},
                                            {"tls-required-no", no_argument, NULL, 'N'},
                                            {NULL, 0, NULL, 0}};
    size_t i;
    int c, bad = 0;
    opterr = 0;
    while (!bad && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            q->policy = optarg;
        else if (c == 'x')
            q->mx[q->mx_count++].host = optarg;
        else if (c == 'c' || c == 'n' || c == 'q' || c == 'd')
            bad = set_for_mx(c, q, optarg);
        else if (c == 'a')
            q->ca = optarg;
        else if (c == 't' || c == 'v' || c == 'o')
            bad = set_level(c, q, optarg);
        else if (c == 'r')
            q->delivery.requiretls = 1;
        else if (c == 'N')
            q->delivery.tls_required_no = 1;
        else
            bad = bad_option(argv);
    }
    if (!bad && optind < argc)
        bad = trouble("match: what is this?", argv[optind], NULL);
    if (bad)
        return bad;
    for (i = 0; i < q->mx_count; i++)
        if (q->mx[i].cert && q->mx[i].no_starttls)
            return trouble("match: --cert and --no-starttls for the same --mx", q->mx[i].host,
                           NULL);
    if (q->policy && q->mx_count)
        return 0;
    trouble("match: --policy and --mx are needed", NULL, NULL);
    return EXIT_TROUBLE;
}

/* PEM or DER from a file, never more than PEM_MAX. */
static int read_certificates(mbedtls_x509_crt *chain, const char *path, int roots)
{
    size_t len;
    char *text = read_some(path, PEM_MAX, &len);
    int error;
    if (!text)
        return EXIT_TROUBLE;
    /* PEM is text with its NUL, which read_some put there */
    if (memchr(text, '-', len) && strstr(text, "-----BEGIN "))
        len++;
    error = len > PEM_MAX ? -1 : mbedtls_x509_crt_parse(chain, (unsigned char *)text, len);
    free(text);
    /* mbedTLS gives the number of certificates that it could not read: fine among many roots, but a
     * server's own must not be another than the first */
    if (error < 0 || (error > 0 && !roots))
        return trouble("no certificate that can be read in", path, NULL);
    return 0;
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

/* Do the dNSNames that mbedTLS read name the host? Writes them to `out` too, escaped, in quotes. */
static int names_match(const mbedtls_x509_crt *cert, const char *host, char *out, size_t cap)
{
    const mbedtls_x509_sequence *s;
    size_t n = 0;
    int matches = 0;
    for (s = &cert->subject_alt_names; s && s->buf.p; s = s->next) {
        mtasts_str name;
        if ((s->buf.tag & 0x1f) != MBEDTLS_X509_SAN_DNS_NAME)
            continue;
        name.ptr = (const char *)s->buf.p;
        name.len = s->buf.len;
        matches |= mtasts_cert_matches(&name, 1, host, strlen(host));
        if (n + mtasts_escape(NULL, 0, name.ptr, name.len) + sizeof " \"\" ..." <= cap) {
            n += (size_t)snprintf(out + n, cap - n, "%s\"", n ? " " : "");
            n += mtasts_escape(out + n, cap - n, name.ptr, name.len);
            n += (size_t)snprintf(out + n, cap - n, "\"");
        } else if (n + sizeof " ..." <= cap) {
            snprintf(out + n, cap - n, " ...");
            cap = 0; /* no more */
        }
    }
    if (!n && cap)
        snprintf(out, cap, "no dNSName");
    return matches;
}

/* Fill in the session from the certificate. Both readings of its names must agree. */
static int read_session(candidate *mx, mbedtls_x509_crt *roots)
{
    mbedtls_x509_crt chain;
    uint32_t flags = 0;
    int result, by_list;
    mbedtls_x509_crt_init(&chain);
    result = read_certificates(&chain, mx->cert, 0);
    if (!result) {
        mtasts_err err = mtasts_cert_der_matches(chain.raw.p, chain.raw.len, mx->plan.host,
                                                 strlen(mx->plan.host), &mx->session.name_matches);
        by_list = names_match(&chain, mx->plan.host, mx->detail, sizeof mx->detail);
        if (err || by_list != mx->session.name_matches)
            result = trouble("mbedTLS and mtasts.h read other names in", mx->cert,
                             mtasts_strerror((int)err));
        mbedtls_x509_crt_verify(&chain, roots, NULL, NULL, &flags, NULL, NULL);
        if (mbedtls_x509_crt_check_extended_key_usage(&chain, MBEDTLS_OID_SERVER_AUTH,
                                                      MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)))
            flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
        mx->session.chain = chain_state(flags);
        mx->session.starttls = MTASTS_STARTTLS_DONE;
    }
    mbedtls_x509_crt_free(&chain);
    return result;
}

static int judge(candidate *mx, const question *q, const mtasts_policy *policy,
                 mbedtls_x509_crt *roots)
{
    mtasts_delivery d = q->delivery;
    int result = 0;
    d.policy = policy;
    d.dane = mx->dane;
    mtasts_apply_plan(&mx->plan, &d, mx->host, strlen(mx->host));
    mx->session.dane_ok = mx->dane_ok;
    mx->session.requiretls = !mx->no_requiretls;
    if (mx->cert)
        result = read_session(mx, roots);
    mtasts_apply_verdict(&mx->worst, &mx->plan, &mx->session);
    if (!mx->cert && !mx->no_starttls) {
        mx->session.starttls = MTASTS_STARTTLS_DONE;
        mx->session.chain = MTASTS_CHAIN_TRUSTED;
        mx->session.name_matches = 1;
    }
    mtasts_apply_verdict(&mx->best, &mx->plan, &mx->session);
    if (mx->plan.dane)
        mx->worst = mx->best; /* we were told what the TLSA check said */
    return result;
}

/* What is known of the certificate, in a word. */
static const char *certificate_word(const candidate *mx)
{
    if (mx->no_starttls)
        return "no STARTTLS";
    if (mx->plan.dane)
        return mx->dane_ok ? "fits TLSA" : "no TLSA fit";
    if (!mx->cert)
        return "not given";
    if (mx->session.chain != MTASTS_CHAIN_TRUSTED)
        return mx->session.chain == MTASTS_CHAIN_EXPIRED   ? "expired"
               : mx->session.chain == MTASTS_CHAIN_REVOKED ? "revoked"
                                                           : "not trusted";
    return mx->session.name_matches ? "good" : "other name";
}

static const char *verdict_word(const candidate *mx)
{
    if (mx->worst.action == mx->best.action)
        return mtasts_action_name((int)mx->best.action);
    return "if TLS is good";
}

static void show(const candidate *mx, int width, int pattern_width)
{
    static const char *const tls[] = {"no TLS", "TLS if offered", "TLS required"};
    static const char *const verify[] = {"", ", check", ", verify"};
    char host[300], pattern[300], ask[64];
    const mtasts_verdict *v = &mx->best;
    mtasts_escape(host, sizeof host, mx->host, strlen(mx->host));
    mtasts_escape(pattern, sizeof pattern, mx->plan.pattern.ptr, mx->plan.pattern.len);
    snprintf(ask, sizeof ask, "%s%s", tls[mx->plan.tls - MTASTS_TLS_NONE],
             mx->plan.dane ? ", DANE" : verify[mx->plan.verify]);
    printf("  %-*s  %-*s  %-23s  %-11s  %-14s  %s", width, host, pattern_width,
           *pattern ? pattern : "-", mx->plan.use ? ask : "do not connect", certificate_word(mx),
           verdict_word(mx), v->result ? mtasts_tlsrpt_result_name((int)v->result) : "-");
    if (v->reason)
        printf(" (%s)", mtasts_reason_text((int)v->reason));
    putchar('\n');
    if (mx->cert)
        printf("  %-*s  certificate names: %s\n", width, "", mx->detail);
}

static int conclude(const question *q)
{
    size_t i, width = 2, pattern_width = 7;
    int some = 0, maybe = 0;
    for (i = 0; i < q->mx_count; i++) {
        size_t n = mtasts_escape(NULL, 0, q->mx[i].host, strlen(q->mx[i].host));
        width = n > width ? n : width;
        n = q->mx[i].plan.pattern.len;
        pattern_width = n > pattern_width ? n : pattern_width;
        some |= q->mx[i].worst.action == MTASTS_ACTION_DELIVER;
        maybe |= q->mx[i].best.action == MTASTS_ACTION_DELIVER;
    }
    width = width > 64 ? 64 : width;
    pattern_width = pattern_width > 64 ? 64 : pattern_width;
    printf("  %-*s  %-*s  %-23s  %-11s  %-14s  %s\n", (int)width, "MX", (int)pattern_width,
           "pattern", "before connecting", "certificate", "verdict", "report");
    for (i = 0; i < q->mx_count; i++)
        show(&q->mx[i], (int)width, (int)pattern_width);
    printf("mail %s\n", some    ? "may be delivered"
                        : maybe ? "may be delivered if TLS is good"
                                : "is not delivered to any of these: it stays in the queue");
    return some ? 0 : maybe ? 1 : 2;
}

/* The roots: those asked for, or this system's if there are any. */
static int read_roots(const question *q, mbedtls_x509_crt *roots)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem",
                                          "/etc/pki/tls/certs/ca-bundle.crt"};
    size_t i;
    int wanted = 0;
    for (i = 0; i < q->mx_count; i++)
        wanted |= q->mx[i].cert != NULL;
    if (!wanted)
        return 0;
    if (q->ca)
        return read_certificates(roots, q->ca, 1);
    for (i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
        if (mbedtls_x509_crt_parse_file(roots, bundles[i]) >= 0)
            return 0;
    return trouble("match: no CA certificates on this system, use --ca", NULL, NULL);
}

static int answer(const question *q, const char *text, size_t len)
{
    mtasts_policy policy;
    mtasts_diag d;
    mbedtls_x509_crt roots;
    char line[512];
    size_t i;
    int result;
    if (mtasts_policy_parse(&policy, text, len, 0, &d)) {
        mtasts_diag_format(line, sizeof line, NULL, &d);
        /* not "none may": without a usable policy mail flows as if there were none */
        return trouble("match: the policy is not usable (mtasts lint says more)", q->policy, line);
    }
    mbedtls_x509_crt_init(&roots);
    result = read_roots(q, &roots);
    for (i = 0; i < q->mx_count && !result; i++)
        result = judge(&q->mx[i], q, &policy, &roots);
    if (!result) {
        printf("policy ");
        put_escaped(stdout, q->policy, strlen(q->policy));
        printf(": mode %s, max_age %lu s, %zu mx\n", mtasts_mode_name((int)policy.mode),
               (unsigned long)policy.max_age, policy.mx_count);
        result = conclude(q);
    }
    mbedtls_x509_crt_free(&roots);
    return result;
}

int command_match(int argc, char **argv)
{
    question q;
    size_t len;
    char *text = NULL;
    int result;
    memset(&q, 0, sizeof q);
    q.mx = calloc((size_t)argc, sizeof *q.mx);
    if (!q.mx)
        return trouble("out of memory", NULL, NULL);
    result = read_options(argc, argv, &q);
    if (!result) {
        text = read_some(q.policy, MTASTS_POLICY_MAX, &len);
        result = text ? answer(&q, text, len) : EXIT_TROUBLE;
    }
    free(text);
    free(q.mx);
    return result;
}
