/* The mail server: takes all mail and throws it away. */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_MAX_SMTP = 4096, RECIPIENTS_MAX = 100 };

/* stream.state */
enum { START, GREETED, MAIL, RCPT, DATA };

static fault fault_of(const stream *s)
{
    return s->host ? s->host->fault : FAULT_NONE;
}

static const char *name_of(const stream *s)
{
    return s->host ? s->host->name.ptr : s->address;
}

static void reply(stream *s, const char *start, const char *middle, const char *end)
{
    char line[600];
    snprintf(line, sizeof line, "%s%s%s\r\n", start, middle, end);
    stream_puts(s, line);
}

static void forget_mail(stream *s)
{
    evbuffer_drain(s->names, evbuffer_get_length(s->names));
    s->recipients = 0;
}

static void ehlo(stream *s, const char *rest)
{
    fault f = fault_of(s);
    (void)rest;
    if (f == FAULT_EHLO_REFUSED) {
        stream_puts(s, "502 5.5.1 only HELO here\r\n");
        return;
    }
    forget_mail(s);
    s->state = GREETED;
    reply(s, "250-", name_of(s), "");
    stream_puts(s, "250-8BITMIME\r\n");
    if (s->layer == PLAIN && f != FAULT_NO_STARTTLS)
        stream_puts(s, "250-STARTTLS\r\n");
    if (s->layer != PLAIN && s->host && s->host->requiretls)
        stream_puts(s, "250-REQUIRETLS\r\n");
    stream_puts(s, "250 SIZE 10485760\r\n");
}

static void helo(stream *s, const char *rest)
{
    (void)rest;
    forget_mail(s);
    s->state = GREETED;
    reply(s, "250 ", name_of(s), "");
}

static void starttls(stream *s, const char *rest)
{
    static const char ready[] = "220 2.0.0 ready\r\n";
    fault f = fault_of(s);
    (void)rest;
    if (s->layer != PLAIN || f == FAULT_NO_STARTTLS || f == FAULT_EHLO_REFUSED) {
        stream_puts(s, "502 5.5.1 no TLS here\r\n");
        return;
    }
    if (f == FAULT_STARTTLS_REFUSED) {
        stream_puts(s, "454 4.7.0 no TLS now\r\n");
        return;
    }
    if (f == FAULT_STARTTLS_RESET) {
        stream_end(s, END_RESET);
        return;
    }
    stream_puts(s, ready);
    if (f == FAULT_INJECT)
        stream_puts(s, "250 2.0.0 said before TLS\r\n");
    evbuffer_drain(s->in, evbuffer_get_length(s->in)); /* what was said too early */
    stream_secure(s);
}

static void mail(stream *s, const char *rest)
{
    (void)rest;
    if (s->state < GREETED) {
        stream_puts(s, "503 5.5.1 say EHLO first\r\n");
        return;
    }
    forget_mail(s);
    s->state = MAIL;
    stream_puts(s, "250 2.1.0 ok\r\n");
}

static void rcpt(stream *s, const char *rest)
{
    const char *open = strchr(rest, '<'), *close = open ? strchr(open, '>') : NULL;
    if (s->state < MAIL) {
        stream_puts(s, "503 5.5.1 say MAIL first\r\n");
    } else if (!close) {
        stream_puts(s, "501 5.5.4 RCPT TO:<address>\r\n");
    } else if (s->recipients >= RECIPIENTS_MAX) {
        stream_puts(s, "452 4.5.3 too many\r\n");
    } else {
        s->recipients++;
        s->state = RCPT;
        evbuffer_add(s->names, open + 1, (size_t)(close - open - 1));
        evbuffer_add(s->names, "\n", 1);
        stream_puts(s, "250 2.1.5 ok\r\n");
    }
}

static void data(stream *s, const char *rest)
{
    (void)rest;
    if (s->state < RCPT) {
        stream_puts(s, "503 5.5.1 say RCPT first\r\n");
        return;
    }
    s->state = DATA;
    stream_puts(s, "354 go on\r\n");
}

static void noop(stream *s, const char *rest)
{
    (void)rest;
    stream_puts(s, "250 2.0.0 ok\r\n");
}

static void rset(stream *s, const char *rest)
{
    forget_mail(s);
    if (s->state > GREETED)
        s->state = GREETED;
    noop(s, rest);
}

static void quit(stream *s, const char *rest)
{
    (void)rest;
    stream_puts(s, "221 2.0.0 bye\r\n");
    stream_end(s, END_CLOSE);
}

static void command(stream *s, const char *line)
{
    static const struct {
        const char *name;
        void (*act)(stream *s, const char *rest);
    } commands[] = {{"EHLO", ehlo}, {"HELO", helo}, {"STARTTLS", starttls},
                    {"MAIL", mail}, {"RCPT", rcpt}, {"DATA", data},
                    {"NOOP", noop}, {"RSET", rset}, {"QUIT", quit}};
    size_t i;
    for (i = 0; i < sizeof commands / sizeof *commands; i++) {
        size_t len = strlen(commands[i].name);
        if (strncasecmp(line, commands[i].name, len) == 0 && (!line[len] || line[len] == ' ')) {
            commands[i].act(s, line + len);
            return;
        }
    }
    stream_puts(s, "500 5.5.2 not known\r\n");
}

static void log_mail(stream *s)
{
    const char *h = name_of(s);
    char *to;
    while ((to = evbuffer_readln(s->names, NULL, EVBUFFER_EOL_LF))) {
        char more[LINE_MAX_SMTP + 20];
        snprintf(more, sizeof more, "mail %s %s", to, s->layer == SECURE ? "tls" : "plain");
        world_log(s->server, "smtp", h, strlen(h), more);
        free(to);
    }
}

static void content(stream *s, const char *line)
{
    if (strcmp(line, ".") != 0)
        return;
    log_mail(s);
    forget_mail(s);
    s->state = GREETED;
    stream_puts(s, "250 2.0.0 taken\r\n");
}

static void received(stream *s)
{
    layer before = s->layer;
    char *line;
    if (fault_of(s) == FAULT_SILENT || fault_of(s) == FAULT_ENDLESS_LINE) {
        evbuffer_drain(s->in, evbuffer_get_length(s->in));
        return;
    }
    while (!s->ending && s->layer == before &&
           (line = evbuffer_readln(s->in, NULL, EVBUFFER_EOL_CRLF))) {
        if (s->state == DATA)
            content(s, line);
        else
            command(s, strlen(line) < LINE_MAX_SMTP ? line : "");
        free(line);
    }
    if (s->state == DATA && evbuffer_get_length(s->in) > LINE_MAX_SMTP)
        evbuffer_drain(s->in, evbuffer_get_length(s->in) - LINE_MAX_SMTP); /* one long line */
    else if (evbuffer_get_length(s->in) > LINE_MAX_SMTP)
        stream_end(s, END_CLOSE);
}

static void opened(stream *s)
{
    fault f = fault_of(s);
    world_log(s->server, "smtp", name_of(s), strlen(name_of(s)), "connected");
    if (f == FAULT_RESET)
        stream_end(s, END_RESET);
    if (f == FAULT_RESET || f == FAULT_SILENT)
        return;
    if (f == FAULT_ENDLESS_LINE) {
        stream_puts(s, "220 ");
        s->endless = "and more and more and more and more and more and more ";
        return;
    }
    s->drips = f == FAULT_DRIP;
    if (f == FAULT_GREETING_554) {
        reply(s, "554 ", name_of(s), " takes no mail");
        stream_end(s, END_CLOSE);
        return;
    }
    reply(s, "220 ", name_of(s), " ESMTP mtasts-world");
}

static void secured(stream *s)
{
    s->state = START;
    s->drips = fault_of(s) == FAULT_DRIP;
}

const protocol smtp_protocol = {opened, received, secured, NULL};
