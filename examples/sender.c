/* A sending mail server in small: what a real one does with mtasts.h, from the policy to the
 * delivery, with the adapters beside this file. It reads commands, one a line:
 *
 *     send DOMAIN      one small mail to postmaster@DOMAIN
 *     show DOMAIN      the policy to honour, and where it comes from
 *     refresh DOMAIN   fetch the policy again, soon (see mtasts_client_refresh)
 *     forget DOMAIN    drop what is known of it
 *     quit             at once; the end of the input: when all that is under way has ended
 *
 * and writes a line for each outcome, each MX that was tried, and each event of the client.
 *
 * What it leaves out, and a real one must have:
 *   - a queue: "deferred" is the end here. With several recipients, one look-up and one plan for
 *     each domain; what is asked of an MX is never shared between domains;
 *   - connections that are kept: only for a delivery with the same plan (mtasts_plan_same);
 *   - DANE, REQUIRETLS, "TLS-Required: No": members of mtasts_delivery, set before each plan;
 *   - TLS reports: mtasts_verdict.result, and mtasts_lookup.result where there is no policy;
 *   - the time-outs of RFC 5321 4.5.3.2 (here one deadline for all), HELO, a bound on its mails,
 *     and its own name taken out of the list of MX hosts (RFC 5321 5.1). */
#define MTASTS_IMPLEMENTATION
#include "host_libevent.h"
#include "smtp_probe.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MX_MAX = 32, INPUT_MAX = 65536 };

typedef struct sender {
    struct event_base *base;
    host_libevent *host;
    host_libevent_options options;
    smtp_probe_options smtp;
    uint32_t timeout, check_after; /* seconds; 0: the defaults */
    struct evbuffer *input;
    struct event *on_input;
    struct mail *mails;
    int ended; /* the input */
} sender;

/* One mail under way, or a question that `show` asks. */
typedef struct mail {
    sender *sender;
    int show;
    mtasts_lookup lookup, again; /* again: before it is given up, RFC 8461 5.1 */
    mtasts_delivery delivery;
    mtasts_plan plan;
    dns_cares_query *query;
    smtp_probe *probe;
    smtp_probe_message message;
    char to[sizeof "postmaster@" + MTASTS_NAME_SIZE];
    char *mx[MX_MAX];
    size_t mx_count, mx_next;
    int in_clear;           /* on a new connection, since TLS has failed and need not be */
    int refused;            /* the verdict on this session was no */
    int begun;              /* the verdict was yes, and MAIL was sent */
    int recheck, rechecked; /* an enforced policy has refused; a newer one was looked for */
    const char *reason;     /* why the last MX did not do */
    char text[256];
    struct mail *next, **link;
} mail;

static void end_mail(mail *m)
{
    sender *s = m->sender;
    host_libevent_end(s->host, &m->lookup);
    host_libevent_end(s->host, &m->again);
    if (m->query)
        dns_cares_cancel(m->query);
    smtp_probe_cancel(m->probe);
    while (m->mx_count)
        free(m->mx[--m->mx_count]);
    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    free(m);
    if (s->ended && !s->mails)
        event_base_loopbreak(s->base);
}

static void give_up(mail *m, const char *how, const char *reason, const char *text)
{
    printf("%s %s %s: %s\n", m->lookup.domain, how, reason, text);
    end_mail(m);
}

/* ---- one MX after the other */

static void try_next_mx(mail *m);

/* The MX that is tried, escaped; good until the next call. */
static const char *mx_text(const mail *m)
{
    static char text[512];
    const char *mx = m->mx[m->mx_next - 1];
    mtasts_escape(text, sizeof text, mx, strlen(mx));
    return text;
}

static void not_here(mail *m, const char *reason, const char *text)
{
    m->reason = reason;
    snprintf(m->text, sizeof m->text, "%s", text);
    printf("mx %s %s next-mx %s: %s\n", m->lookup.domain, mx_text(m), reason, text);
}

/* 1: deliver over this session, or in the clear if it has failed. 0: why not has been told. */
static int judge(mail *m, const mtasts_session *session)
{
    mtasts_verdict verdict;
    const char *reason;
    mtasts_apply_verdict(&verdict, &m->plan, session);
    reason = mtasts_reason_name((int)verdict.reason);
    m->recheck |= verdict.recheck;
    m->refused = verdict.action != MTASTS_ACTION_DELIVER;
    if (m->refused)
        not_here(m, reason, mtasts_reason_text((int)verdict.reason));
    else
        printf("mx %s %s deliver %s\n", m->lookup.domain, mx_text(m), reason);
    return !m->refused;
}

static int is_ready(void *user, const mtasts_session *session)
{
    mail *m = user;
    m->begun = m->in_clear || judge(m, session);
    return m->begun;
}

static void delivered(mail *m, const smtp_probe_result *result)
{
    const mtasts_session *session = &result->session;
    int tls = session->starttls == MTASTS_STARTTLS_DONE;
    int verified = tls && session->chain == MTASTS_CHAIN_TRUSTED && session->name_matches;
    printf("%s delivered %s tls=%s %s policy=%s\n", m->lookup.domain, mx_text(m),
           tls ? result->tls_version : "none", verified ? "verified" : "unverified",
           mtasts_mode_name((int)m->plan.mode));
    end_mail(m);
}

static void on_probe(void *user, const smtp_probe_result *result);

static void connect_mx(mail *m)
{
    smtp_probe_options options = m->sender->smtp;
    options.no_tls = m->in_clear || m->plan.tls == MTASTS_TLS_NONE;
    options.message = &m->message;
    m->refused = m->begun = 0;
    m->probe = smtp_probe_start(&options, m->mx[m->mx_next - 1], on_probe, m);
    if (!m->probe)
        give_up(m, "deferred", "smtp", "no memory");
}

static void on_probe(void *user, const smtp_probe_result *result)
{
    mail *m = user;
    m->probe = NULL;
    if (result->delivered) {
        delivered(m, result);
        return;
    }
    if (m->begun && result->code >= 500) { /* no other MX will say anything else */
        give_up(m, "failed", "smtp", result->why);
        return;
    }
    if (m->begun && result->code == 354) { /* it may have the mail: not at once again (RFC 1047) */
        give_up(m, "deferred", "smtp", result->why);
        return;
    }
    if (result->session.starttls == MTASTS_STARTTLS_FAILED && judge(m, &result->session)) {
        m->in_clear = 1;
        connect_mx(m);
        return;
    }
    if (!m->refused)
        not_here(m, "smtp", result->why);
    try_next_mx(m);
}

/* The next one that the policy allows. 0: there is none left. */
static int connect_next_mx(mail *m)
{
    while (m->mx_next < m->mx_count) {
        const char *mx = m->mx[m->mx_next++];
        m->in_clear = 0;
        mtasts_apply_plan(&m->plan, &m->delivery, mx, strlen(mx));
        if (m->plan.use) {
            connect_mx(m);
            return 1;
        }
        judge(m, NULL);
    }
    return 0;
}

/* The answer to the second look-up: 1 if there is another policy, to try all MX hosts with. */
static int is_newer(mail *m)
{
    /* An owner who gives MTA-STS up publishes mode none. That nothing is found now is no newer
     * policy: it may be an attacker's doing. */
    int newer = m->again.policy && m->again.policy != m->lookup.policy;
    printf("recheck %s %s\n", m->lookup.domain, newer ? "newer" : "same");
    if (newer) {
        m->delivery.policy = m->again.policy;
        m->delivery.override = m->again.override;
        m->mx_next = 0;
    }
    return newer;
}

static void on_lookup_again(void *user, mtasts_lookup *again)
{
    mail *m = user;
    (void)again;
    if (is_newer(m))
        try_next_mx(m);
    else
        give_up(m, "deferred", m->reason, m->text);
}

static void try_next_mx(mail *m)
{
    while (!connect_next_mx(m)) {
        mtasts_err err = MTASTS_ERR_STALE;
        if (m->recheck && !m->rechecked) {
            /* RFC 8461 5.1: before mail fails because of a policy, look for a newer one. */
            m->rechecked = 1;
            m->again.done = on_lookup_again;
            m->again.user = m;
            err = host_libevent_lookup(m->sender->host, &m->again, m->lookup.domain,
                                       strlen(m->lookup.domain), MTASTS_LOOKUP_AGAIN);
            if (err == MTASTS_MORE)
                return;
        }
        if (err != MTASTS_OK || !is_newer(m)) {
            give_up(m, "deferred", m->reason, m->text);
            return;
        }
    }
}

/* ---- policy and MX records */

static void add_mx(mail *m, const char *host)
{
    if (m->mx_count < MX_MAX && (m->mx[m->mx_count] = strdup(host)))
        m->mx_count++;
}

static void on_mx(void *user, const dns_cares_answer *answer)
{
    mail *m = user;
    size_t i;
    m->query = NULL;
    if (answer->status == DNS_CARES_NO_NAME) {
        give_up(m, "failed", "no-name", dns_cares_text(answer->status));
        return;
    }
    if (answer->status == DNS_CARES_NO_DATA) {
        add_mx(m, m->lookup.domain); /* RFC 5321 5.1 */
    } else if (answer->status != DNS_CARES_OK) {
        give_up(m, "deferred", "mx-lookup", dns_cares_text(answer->status));
        return;
    }
    if (answer->count == 1 && *answer->mx->host == '\0') {
        give_up(m, "failed", "null-mx", "the domain takes no mail (RFC 7505)");
        return;
    }
    for (i = 0; i < answer->count; i++)
        add_mx(m, answer->mx[i].host);
    m->reason = "mx-lookup";
    snprintf(m->text, sizeof m->text, "no memory");
    try_next_mx(m);
}

static void print_policy(mail *m, const mtasts_lookup *lookup)
{
    printf("show %s mode=%s id=%s expires=%" PRId64 " cached=%d learned=%s: %s\n", lookup->domain,
           lookup->policy ? mtasts_mode_name((int)lookup->policy->mode) : "-",
           lookup->policy ? lookup->id : "-", lookup->expires, lookup->cached,
           mtasts_learned_name((int)lookup->learned), mtasts_strerror((int)lookup->diag.err));
    end_mail(m);
}

static void on_lookup(void *user, mtasts_lookup *lookup)
{
    mail *m = user;
    if (m->show) {
        print_policy(m, lookup);
        return;
    }
    if (!lookup->policy && lookup->learned == MTASTS_LEARNED_TEMPORARY &&
        (lookup->diag.err == MTASTS_ERR_LIMIT || lookup->diag.err == MTASTS_ERR_STORE)) {
        give_up(m, "deferred", "policy-lookup", mtasts_strerror((int)lookup->diag.err));
        return;
    }
    /* Any other TEMPORARY: this sender goes on as if there were no policy, as mail to a domain with
     * broken DNS always did. To defer is the other choice. */
    m->delivery.policy = lookup->policy;
    m->delivery.override = lookup->override;
    m->query =
        dns_cares_ask(host_libevent_dns(m->sender->host), DNS_CARES_MX, lookup->domain, on_mx, m);
    if (!m->query)
        give_up(m, "deferred", "mx-lookup", "no memory");
}

/* ---- commands */

static void say_bad_name(const char *name, mtasts_err err)
{
    char text[512];
    mtasts_escape(text, sizeof text, name, strlen(name));
    printf("%s failed bad-name: %s\n", text, mtasts_strerror((int)err));
}

static void start_mail(sender *s, const char *domain, int show)
{
    mail *m = calloc(1, sizeof *m);
    mtasts_err err;
    if (!m) {
        printf("%s deferred memory: no memory\n", domain); /* of our own input */
        return;
    }
    m->sender = s;
    m->show = show;
    m->lookup.done = on_lookup;
    m->lookup.user = m;
    m->next = s->mails;
    m->link = &s->mails;
    if (m->next)
        m->next->link = &m->next;
    s->mails = m;
    snprintf(m->to, sizeof m->to, "postmaster@%s", domain);
    m->message.from = "";
    m->message.to = m->to;
    m->message.text = "Subject: a small mail\r\n\r\nSent with MTA-STS.\r\n";
    m->message.ready = is_ready;
    err = host_libevent_lookup(s->host, &m->lookup, domain, strlen(domain), 0);
    if (err == MTASTS_OK)
        on_lookup(m, &m->lookup);
    else if (err != MTASTS_MORE)
        give_up(m, "deferred", "policy-lookup", mtasts_strerror((int)err));
}

static void command(sender *s, char *line)
{
    char domain[MTASTS_NAME_SIZE] = "", *verb = strtok(line, " \t\r"),
         *name = strtok(NULL, " \t\r");
    mtasts_client *client = host_libevent_client(s->host);
    mtasts_err err;
    if (!verb)
        return;
    if (strcmp(verb, "quit") == 0) {
        event_base_loopbreak(s->base);
        s->ended = 1;
        return;
    }
    err = mtasts_name_normalise(domain, name, name ? strlen(name) : 0, NULL);
    if (err != MTASTS_OK)
        say_bad_name(name ? name : "", err);
    else if (strcmp(verb, "send") == 0 || strcmp(verb, "show") == 0)
        start_mail(s, domain, strcmp(verb, "show") == 0);
    else if (strcmp(verb, "refresh") == 0)
        printf("refresh %s: %s\n", domain,
               mtasts_strerror((int)mtasts_client_refresh(client, domain, strlen(domain))));
    else if (strcmp(verb, "forget") == 0)
        printf("forget %s %d\n", domain, mtasts_client_forget(client, domain, strlen(domain)));
    else
        printf("unknown command\n");
    host_libevent_wake(s->host);
}

static void on_input(evutil_socket_t fd, short what, void *user)
{
    sender *s = user;
    char *line;
    int n = evbuffer_read(s->input, fd, INPUT_MAX);
    (void)what;
    while (!s->ended && (line = evbuffer_readln(s->input, NULL, EVBUFFER_EOL_LF))) {
        command(s, line);
        free(line);
    }
    if (n > 0 && evbuffer_get_length(s->input) < INPUT_MAX)
        return;
    event_del(s->on_input);
    s->ended = 1;
    if (!s->mails)
        event_base_loopbreak(s->base);
}

static void on_event(void *user, const mtasts_event *event)
{
    (void)user;
    printf("event %s %s mode=%s before=%s left=%" PRId64 ": %s\n",
           mtasts_event_name((int)event->kind), event->domain, mtasts_mode_name((int)event->mode),
           mtasts_mode_name((int)event->before), event->left,
           mtasts_strerror((int)event->diag.err));
}

/* ---- main */

static void adjust(void *user, mtasts_host *host)
{
    const sender *s = user;
    host->check_after = s->check_after;
    host->dns_timeout = host->https_timeout = s->timeout;
}

static int number(const char *text, unsigned long max, uint32_t *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    *out = (uint32_t)n;
    return *text >= '0' && *text <= '9' && *end == '\0' && n > 0 && n <= max;
}

static int set_option(sender *s, int option, const char *value)
{
    uint32_t n = 0;
    switch (option) {
    case 'd':
        s->options.dns.servers = value;
        return 1;
    case 'a':
        s->options.ca_file = value;
        return 1;
    case 'r':
        s->options.crl_file = value;
        return 1;
    case 'D':
        s->options.store = value;
        return 1;
    case 'p':
        s->options.https.allow_private = s->smtp.allow_private = 1;
        return 1;
    case 'h':
        return number(value, 65535, &n) && (s->options.https.port = n);
    case 's':
        return number(value, 65535, &n) && (s->smtp.port = n);
    case 't':
        return number(value, 3600, &s->timeout);
    case 'c':
        return number(value, 86400, &s->check_after);
    default:
        return 0;
    }
}

static int parse_options(sender *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"dns", 1, NULL, 'd'},         {"ca", 1, NULL, 'a'},
        {"crl", 1, NULL, 'r'},         {"https-port", 1, NULL, 'h'},
        {"smtp-port", 1, NULL, 's'},   {"allow-private", 0, NULL, 'p'},
        {"dir", 1, NULL, 'D'},         {"timeout", 1, NULL, 't'},
        {"check-after", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!set_option(s, option, optarg))
            return 0;
    /* Two tries for DNS, the second twice as long as the first. */
    s->options.dns.deadline = s->timeout * 1000;
    s->options.dns.tries = s->timeout ? 2 : 0;
    s->options.dns.timeout = s->timeout * 1000 / 3;
    s->options.https.deadline = s->smtp.deadline = s->timeout * 1000;
    return optind == argc;
}

static int open_sender(sender *s)
{
    char error[256];
    struct event_config *config = event_config_new();
    if (config)
        event_config_avoid_method(config, "epoll"); /* which does not take files as input */
    s->base = config ? event_base_new_with_config(config) : NULL;
    event_config_free(config);
    s->input = evbuffer_new();
    if (!s->base || !s->input)
        return 0;
    s->options.base = s->smtp.base = s->base;
    s->options.event = on_event;
    s->options.adjust = adjust;
    s->options.user = s;
    s->host = host_libevent_open(&s->options, error, sizeof error);
    if (!s->host) {
        fprintf(stderr, "sender: %s\n", error);
        return 0;
    }
    s->smtp.dns = host_libevent_dns(s->host);
    s->smtp.tls = host_libevent_tls(s->host);
    s->on_input = event_new(s->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, s);
    return s->on_input && event_add(s->on_input, NULL) == 0;
}

static void close_sender(sender *s)
{
    mail *m, *next;
    for (m = s->mails; m; m = next) {
        next = m->next;
        end_mail(m);
    }
    host_libevent_close(s->host);
    if (s->on_input)
        event_free(s->on_input);
    if (s->input)
        evbuffer_free(s->input);
    if (s->base)
        event_base_free(s->base);
}

int main(int argc, char **argv)
{
    sender s = {0};
    int good;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse_options(&s, argc, argv)) {
        fprintf(stderr, "usage: sender [--dns HOST:PORT] [--ca FILE] [--crl FILE] [--dir DIR] "
                        "[--https-port N]\n              [--smtp-port N] [--allow-private] "
                        "[--timeout SECONDS] [--check-after SECONDS]\n");
        return 3;
    }
    good = open_sender(&s);
    if (good)
        event_base_dispatch(s.base);
    close_sender(&s);
    return good ? 0 : 3;
}
