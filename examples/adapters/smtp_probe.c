#include "smtp_probe.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    DEADLINE_MS = 60000,
    QUIT_MS = 2000,         /* the answer to QUIT changes nothing any more */
    LINE_OCTETS = 2048,     /* RFC 5321 4.5.3.1.5 has 512; some servers say more */
    REPLY_LINES = 128,      /* more than any EHLO needs */
    ALL_OCTETS = 256 * 1024 /* of a whole conversation */
};

typedef enum step {
    STEP_ADDRESSES,
    STEP_CONNECTION,
    STEP_GREETING,
    STEP_EHLO,
    STEP_STARTTLS,
    STEP_HANDSHAKE,
    STEP_EHLO_TLS,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_TEXT,
    STEP_QUIT
} step;

/* What a step waits for, the result if it ends there, and the code that leads on. */
static const struct {
    const char *name;
    smtp_probe_stage stage;
    int code;
} steps[] = {
    {"the addresses", SMTP_PROBE_ADDRESS, 0},
    {"the connection", SMTP_PROBE_CONNECT, 0},
    {"the greeting", SMTP_PROBE_GREETING, 220},
    {"the answer to EHLO", SMTP_PROBE_EHLO, 250},
    {"the answer to STARTTLS", SMTP_PROBE_STARTTLS, 220},
    {"the TLS handshake", SMTP_PROBE_STARTTLS, 0},
    {"the answer to EHLO over TLS", SMTP_PROBE_STARTTLS, 250},
    {"the answer to MAIL", SMTP_PROBE_DONE, 250},
    {"the answer to RCPT", SMTP_PROBE_DONE, 250},
    {"the answer to DATA", SMTP_PROBE_DONE, 354},
    {"the answer to the message", SMTP_PROBE_DONE, 250},
    {"the answer to QUIT", SMTP_PROBE_DONE, 221},
};

struct smtp_probe {
    smtp_probe_options options;
    void (*done)(void *user, const smtp_probe_result *result);
    void *user;
    struct event *timer; /* for the addresses, and for QUIT; in between the stream has a deadline */
    int64_t start;       /* monotonic milliseconds */
    dns_cares_query *query;
    tls_stream *stream;
    step step;
    int over;                 /* 1: nothing more to wait for */
    int starttls, requiretls; /* the last answer to EHLO has them */
    size_t octets;            /* that came, in all */
    unsigned lines;           /* of this reply so far */
    int code;                 /* of this reply */
    size_t len;               /* of this line so far */
    char line[LINE_OCTETS];
    smtp_probe_result result;
    char host[]; /* as the MX record has it */
};

static int64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set_timer(smtp_probe *probe, int64_t milliseconds)
{
    struct timeval delay = {(time_t)(milliseconds / 1000),
                            (suseconds_t)(milliseconds % 1000 * 1000)};
    evtimer_add(probe->timer, &delay);
}

void smtp_probe_cancel(smtp_probe *probe)
{
    if (!probe)
        return;
    if (probe->query)
        dns_cares_cancel(probe->query);
    tls_stream_close(probe->stream);
    if (probe->timer)
        event_free(probe->timer);
    free(probe);
}

/* At the end of every callback from outside, and nowhere else: here the probe may end. */
static void end_if_over(smtp_probe *probe)
{
    smtp_probe_result *result = &probe->result;
    if (!probe->over)
        return;
    if (probe->stream) {
        const tls_stream_peer_info *peer = tls_stream_peer(probe->stream);
        result->tls_version = peer->version;
        result->cipher = peer->cipher;
        result->issuer = peer->issuer;
        result->address = *tls_stream_address(probe->stream);
    }
    result->milliseconds = (unsigned)(monotonic() - probe->start);
    probe->done(probe->user, result);
    smtp_probe_cancel(probe);
}

static void set_stage(smtp_probe *probe)
{
    smtp_probe_stage stage = steps[probe->step].stage;
    if (stage > SMTP_PROBE_STARTTLS && probe->result.session.starttls != MTASTS_STARTTLS_DONE)
        stage = SMTP_PROBE_STARTTLS;
    probe->result.stage = stage;
}

/* This step has failed: why in words of ours, and what the peer has said, if that is the matter. */
static void set_why(smtp_probe *probe, const char *why, const char *said, size_t len)
{
    smtp_probe_result *result = &probe->result;
    int n = snprintf(result->why, sizeof result->why, "%s: %s", steps[probe->step].name, why);
    if (n > 0 && (size_t)n < sizeof result->why)
        mtasts_escape(result->why + n, sizeof result->why - (size_t)n, said, len);
    set_stage(probe);
    if (probe->step == STEP_STARTTLS || probe->step == STEP_HANDSHAKE)
        result->session.starttls = MTASTS_STARTTLS_FAILED;
}

static void fail(smtp_probe *probe, const char *why, const char *said, size_t len)
{
    if (probe->step != STEP_QUIT)
        set_why(probe, why, said, len);
    probe->over = 1;
}

static void say(smtp_probe *probe, step next, const char *verb, const char *argument,
                const char *end)
{
    char line[LINE_OCTETS];
    int n = snprintf(line, sizeof line, "%s%s%s\r\n", verb, argument, end);
    probe->step = next;
    if (n < 0 || (size_t)n >= sizeof line)
        fail(probe, "what was to be asked is too long", NULL, 0);
    else if (!tls_stream_write(probe->stream, line, (size_t)n))
        fail(probe, tls_stream_why_text(probe->stream), NULL, 0);
}

static void quit(smtp_probe *probe)
{
    set_timer(probe, QUIT_MS);
    say(probe, STEP_QUIT, "QUIT", "", "");
}

static void say_ehlo(smtp_probe *probe, step next)
{
    const char *helo = probe->options.helo ? probe->options.helo : "localhost";
    say(probe, next, "EHLO ", helo, "");
}

/* The session is as it will be: in the clear, or with an EHLO over TLS that was answered. */
static void use_session(smtp_probe *probe)
{
    const smtp_probe_message *message = probe->options.message;
    probe->step = STEP_MAIL;
    set_stage(probe);
    if (message && message->ready(probe->user, &probe->result.session))
        say(probe, STEP_MAIL, "MAIL FROM:<", message->from, ">");
    else
        quit(probe);
}

static void say_text(smtp_probe *probe)
{
    const char *text = probe->options.message->text;
    probe->step = STEP_TEXT;
    if (tls_stream_write(probe->stream, text, strlen(text)))
        say(probe, STEP_TEXT, ".", "", "");
    else
        fail(probe, "it could not be sent", NULL, 0);
}

/* ---- replies */

static void on_ehlo_answered(smtp_probe *probe)
{
    probe->result.reached = 1;
    if (probe->options.no_tls) {
        use_session(probe);
    } else if (probe->starttls) {
        say(probe, STEP_STARTTLS, "STARTTLS", "", "");
    } else {
        snprintf(probe->result.why, sizeof probe->result.why, "STARTTLS is not offered");
        use_session(probe);
    }
}

static void start_tls(smtp_probe *probe)
{
    char name[MTASTS_NAME_SIZE];
    mtasts_err err = mtasts_name_normalise(name, probe->host, strlen(probe->host), NULL);
    probe->step = STEP_HANDSHAKE;
    tls_stream_secure(probe->stream, err == MTASTS_OK ? name : NULL);
}

/* The code is the one that was hoped for. */
static void go_on(smtp_probe *probe)
{
    switch (probe->step) {
    case STEP_GREETING:
        say_ehlo(probe, STEP_EHLO);
        break;
    case STEP_EHLO:
        on_ehlo_answered(probe);
        break;
    case STEP_STARTTLS:
        start_tls(probe);
        break;
    case STEP_EHLO_TLS:
        probe->result.session.requiretls = probe->requiretls;
        use_session(probe);
        break;
    case STEP_MAIL:
        say(probe, STEP_RCPT, "RCPT TO:<", probe->options.message->to, ">");
        break;
    case STEP_RCPT:
        say(probe, STEP_DATA, "DATA", "", "");
        break;
    case STEP_DATA:
        say_text(probe);
        break;
    case STEP_TEXT:
        probe->result.delivered = 1;
        quit(probe);
        break;
    default:
        probe->over = 1;
        break;
    }
}

static void on_reply(smtp_probe *probe)
{
    int code = probe->code;
    int wanted = steps[probe->step].code;
    if (probe->step == STEP_QUIT) {
        probe->over = 1;
        return;
    }
    probe->result.code = code;
    if (code == wanted || (probe->step == STEP_RCPT && code == 251)) {
        go_on(probe);
    } else {
        if (probe->step == STEP_EHLO_TLS)
            probe->result.reached = 0;
        set_why(probe, "", probe->line, probe->len);
        quit(probe);
    }
}

static int is_word(const char *word, const char *text, size_t len)
{
    size_t n = strlen(word);
    return len >= n && strncasecmp(word, text, n) == 0 &&
           (len == n || text[n] == ' ' || text[n] == '\t');
}

/* 0: it has none, or it is not `expected` (if that is not 0) */
static int reply_code(const char *line, size_t len, int expected)
{
    int i, code = 0;
    if (len < 3 || (len > 3 && line[3] != ' ' && line[3] != '-'))
        return 0;
    for (i = 0; i < 3; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        code = code * 10 + (line[i] - '0');
    }
    if (code < 200 || code > 599 || (expected && code != expected))
        return 0;
    return code;
}

/* A line is complete. Returns 1 if the reply is. */
static int on_line(smtp_probe *probe)
{
    if (probe->len && probe->line[probe->len - 1] == '\r')
        probe->len--;
    probe->code = reply_code(probe->line, probe->len, probe->lines ? probe->code : 0);
    if (!probe->code) {
        fail(probe, "it is no SMTP reply: ", probe->line, probe->len);
        return 0;
    }
    if (probe->lines == 0)
        probe->starttls = probe->requiretls = 0;
    else if (probe->len > 4) { /* the first line is no extension, but the server's name */
        probe->starttls |= is_word("STARTTLS", probe->line + 4, probe->len - 4);
        probe->requiretls |= is_word("REQUIRETLS", probe->line + 4, probe->len - 4);
    }
    if (++probe->lines > REPLY_LINES) {
        fail(probe, "it has too many lines", NULL, 0);
        return 0;
    }
    return probe->len == 3 || probe->line[3] == ' ';
}

static void on_data(smtp_probe *probe, const char *data, size_t len)
{
    size_t i;
    int complete;
    probe->octets += len;
    if (probe->octets > ALL_OCTETS)
        fail(probe, "the server says too much", NULL, 0);
    for (i = 0; i < len && !probe->over; i++) {
        if (data[i] != '\n') {
            if (probe->len < sizeof probe->line)
                probe->line[probe->len++] = data[i];
            else
                fail(probe, "a line of it is too long", NULL, 0);
            continue;
        }
        complete = on_line(probe);
        if (complete && i + 1 < len && probe->step < STEP_TEXT) {
            /* Nobody asked for more. Over STARTTLS that is how plain text gets into TLS. Once the
             * mail is taken, it is. */
            fail(probe, "more follows than was asked for: ", data + i + 1, len - i - 1);
        } else if (complete) {
            on_reply(probe);
            probe->lines = 0;
        }
        probe->len = 0;
    }
}

/* ---- from outside */

static void on_secured(smtp_probe *probe)
{
    const tls_stream_peer_info *peer = tls_stream_peer(probe->stream);
    smtp_probe_result *result = &probe->result;
    mtasts_session *session = &result->session;
    mtasts_str names, name;
    size_t cursor = 0;
    session->starttls = MTASTS_STARTTLS_DONE;
    session->chain = peer->chain;
    result->not_before = peer->not_before;
    result->not_after = peer->not_after;
    mtasts_cert_der_matches(peer->der, peer->der_len, probe->host, strlen(probe->host),
                            &session->name_matches);
    mtasts_cert_der_names(peer->der, peer->der_len, &names, NULL);
    while (mtasts_cert_next_name(names, &cursor, &name)) {
        if (result->name_count < sizeof result->names / sizeof *result->names)
            result->names[result->name_count] = name;
        result->name_count++;
    }
    say_ehlo(probe, STEP_EHLO_TLS);
}

static void on_stream(void *user, tls_stream *stream, tls_stream_event event,
                      const unsigned char *data, size_t len)
{
    smtp_probe *probe = user;
    switch (event) {
    case TLS_STREAM_CONNECTED:
        probe->step = STEP_GREETING;
        break;
    case TLS_STREAM_SECURED:
        on_secured(probe);
        break;
    case TLS_STREAM_DATA:
        on_data(probe, (const char *)data, len);
        break;
    case TLS_STREAM_END:
        fail(probe, "the server has closed the connection", NULL, 0);
        break;
    case TLS_STREAM_FAILED:
        probe->result.session.chain = tls_stream_peer(stream)->chain;
        fail(probe, tls_stream_why_text(stream), NULL, 0);
        break;
    }
    end_if_over(probe);
}

static void on_addresses(void *user, const dns_cares_answer *answer)
{
    smtp_probe *probe = user;
    int64_t left = probe->options.deadline - (monotonic() - probe->start);
    tls_stream_options options = {0};
    probe->query = NULL;
    evtimer_del(probe->timer);
    probe->result.dns = answer->status;
    if (answer->status != DNS_CARES_OK) {
        fail(probe, dns_cares_text(answer->status), NULL, 0);
    } else {
        options.base = probe->options.base;
        options.tls = probe->options.tls;
        options.port = probe->options.port;
        options.deadline = left > 1 ? (unsigned)left : 1;
        options.allow_private = probe->options.allow_private;
        probe->step = STEP_CONNECTION;
        probe->stream =
            tls_stream_open(&options, answer->addresses, answer->count, on_stream, probe);
        if (!probe->stream)
            fail(probe, "no memory", NULL, 0);
    }
    end_if_over(probe);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    smtp_probe *probe = user;
    (void)fd;
    (void)what;
    if (probe->step == STEP_ADDRESSES)
        probe->result.dns = DNS_CARES_TIMEOUT;
    fail(probe, "it takes too long", NULL, 0);
    end_if_over(probe);
}

smtp_probe *smtp_probe_start(const smtp_probe_options *options, const char *host,
                             void (*done)(void *user, const smtp_probe_result *result), void *user)
{
    size_t size = strlen(host) + 1;
    smtp_probe *probe = calloc(1, sizeof *probe + size);
    if (!probe)
        return NULL;
    memcpy(probe->host, host, size);
    probe->options = *options;
    probe->options.port = options->port ? options->port : 25;
    probe->options.deadline = options->deadline ? options->deadline : DEADLINE_MS;
    probe->done = done;
    probe->user = user;
    probe->start = monotonic();
    probe->result.tls_version = probe->result.cipher = probe->result.issuer = "";
    probe->timer = evtimer_new(options->base, on_timer, probe);
    probe->query = dns_cares_ask(options->dns, DNS_CARES_ADDRESSES, host, on_addresses, probe);
    if (!probe->timer || !probe->query) {
        smtp_probe_cancel(probe);
        return NULL;
    }
    set_timer(probe, probe->options.deadline);
    return probe;
}
