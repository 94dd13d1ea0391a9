/* The web server: one file for each host, and all that can go wrong with it. */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 16384, LARGE = 70000 };

static const char path[] = "/.well-known/mta-sts.txt", moved[] = "/moved/mta-sts.txt";

typedef struct request {
    char head[HEAD_MAX + 1];
    char *method, *target, *host;
} request;

/* Cut the head into what matters of it; what is not there is "". */
static void parse(request *r)
{
    char *rest = r->head + strcspn(r->head, "\r\n"), *line;
    r->host = r->head + strlen(r->head);
    for (line = rest; *line; line += strcspn(line, "\n")) {
        line += strspn(line, "\r\n");
        if (strncasecmp(line, "host:", 5) == 0) {
            r->host = line + 5 + strspn(line + 5, " \t");
            r->host[strcspn(r->host, ": \t\r\n")] = '\0';
            break;
        }
    }
    *rest = '\0';
    r->method = r->head;
    r->target = r->head + strcspn(r->head, " ");
    if (*r->target)
        *r->target++ = '\0';
    r->target[strcspn(r->target, " ")] = '\0';
}

static void head(stream *s, unsigned status, const char *type, const char *more)
{
    char start[100];
    const char *reason = status == 200 ? "OK" : status < 400 ? "Elsewhere" : "No";
    snprintf(start, sizeof start, "%s %u %s\r\n",
             s->host && s->host->fault == FAULT_BAD_STATUS_LINE ? "HTPT/1,1" : "HTTP/1.1", status,
             reason);
    stream_puts(s, start);
    stream_puts(s, "Server: mtasts-world\r\nConnection: close\r\nContent-Type: ");
    stream_puts(s, type);
    stream_puts(s, "\r\n");
    stream_puts(s, more);
}

static void put_length(stream *s, size_t len)
{
    char line[60];
    snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", len);
    stream_puts(s, line);
}

static void plain_body(stream *s, const text *body, size_t claimed, size_t sent)
{
    put_length(s, claimed);
    stream_write(s, body->ptr, sent);
}

static void large_body(stream *s, const text *body)
{
    size_t sent;
    put_length(s, LARGE);
    stream_write(s, body->ptr, body->len);
    for (sent = body->len; sent < LARGE; sent++)
        stream_write(s, (sent - body->len) % 60 == 59 || sent == LARGE - 1 ? "\n" : "x", 1);
}

/* In two chunks, with an extension and a trailer, as it may be. */
static void chunked_body(stream *s, const text *body, int bad)
{
    char size[40];
    size_t half = body->len / 2;
    stream_puts(s, "Transfer-Encoding: chunked\r\n\r\n");
    if (half) {
        snprintf(size, sizeof size, "%zx;part=1\r\n", half);
        stream_puts(s, size);
        stream_write(s, body->ptr, half);
        stream_puts(s, "\r\n");
    }
    if (body->len > half) {
        snprintf(size, sizeof size, bad ? "x%zX\r\n" : "%zX\r\n", body->len - half);
        stream_puts(s, size);
        stream_write(s, body->ptr + half, body->len - half);
        stream_puts(s, "\r\n");
    }
    stream_puts(s, "0\r\nX-Trailer: 1\r\n\r\n");
}

static void redirect(stream *s)
{
    char line[400];
    head(s, 301, "text/plain", "");
    snprintf(line, sizeof line, "Location: https://%s%s\r\n", s->host->name.ptr, moved);
    stream_puts(s, line);
    put_length(s, 0);
}

/* The policy, in the way that the host's fault has it. */
static ending body(stream *s, const host *h)
{
    const text *p = &h->policy;
    switch ((int)h->fault) {
    case FAULT_ENDLESS_HEAD:
        s->endless = "X-More: and more and more and more and more and more and more\r\n";
        return END_NOT;
    case FAULT_ENDLESS_BODY:
        stream_puts(s, "\r\n");
        stream_write(s, p->ptr, p->len);
        s->endless = "x: and more and more and more and more and more and more and more\n";
        return END_NOT;
    case FAULT_LARGE:
        large_body(s, p);
        return END_CLOSE;
    case FAULT_CUT:
        plain_body(s, p, p->len, p->len / 2);
        return END_CUT;
    case FAULT_SHORT:
        plain_body(s, p, p->len + 10, p->len);
        return END_CLOSE;
    case FAULT_CHUNKED:
    case FAULT_BAD_CHUNK:
        chunked_body(s, p, h->fault == FAULT_BAD_CHUNK);
        return END_CLOSE;
    case FAULT_UNTIL_CLOSE:
    case FAULT_UNTIL_CUT:
        stream_puts(s, "\r\n");
        stream_write(s, p->ptr, p->len);
        return h->fault == FAULT_UNTIL_CUT ? END_CUT : END_CLOSE;
    default:
        plain_body(s, p, p->len, p->len);
        return END_CLOSE;
    }
}

static unsigned respond(stream *s, const request *r)
{
    const host *h = s->host;
    int known = strcmp(r->target, path) == 0, redirects = h && h->fault == FAULT_REDIRECT;
    unsigned status = h ? h->status : 404;
    ending end;
    if (!*r->host || !*r->target)
        status = 400;
    else if (h && strcasecmp(r->host, h->name.ptr) != 0)
        status = 421;
    else if (strcmp(r->method, "GET") != 0)
        status = 405;
    else if ((!known && !(redirects && strcmp(r->target, moved) == 0)) || !h || !h->policy.ptr)
        status = 404;
    else if (redirects && known)
        status = 301;
    if (status == 301 && redirects) {
        redirect(s);
        end = END_CLOSE;
    } else if (!h || status != h->status) {
        head(s, status, "text/plain", "Content-Length: 0\r\n\r\n");
        end = END_CLOSE;
    } else {
        head(s, status, h->type.ptr, h->fault == FAULT_GZIP ? "Content-Encoding: gzip\r\n" : "");
        end = body(s, h);
    }
    if (end)
        stream_end(s, end);
    return status;
}

static void answer(stream *s)
{
    char status[20];
    static request r; /* large */
    size_t len = evbuffer_get_length(s->in);
    evbuffer_remove(s->in, r.head, len < HEAD_MAX ? len : HEAD_MAX);
    r.head[len < HEAD_MAX ? len : HEAD_MAX] = '\0';
    parse(&r);
    s->drips = s->host && s->host->fault == FAULT_DRIP;
    snprintf(status, sizeof status, "%u", respond(s, &r));
    world_log(s->server, "https", s->host->name.ptr, s->host->name.len, status);
}

static void received(stream *s)
{
    struct evbuffer_ptr end = evbuffer_search(s->in, "\r\n\r\n", 4, NULL);
    if (s->state || s->ending)
        return;
    if (end.pos < 0) {
        if (evbuffer_get_length(s->in) > HEAD_MAX)
            stream_end(s, END_CLOSE);
        return;
    }
    s->state = 1;
    stream_wait(s, s->server->latency[HTTPS], answer);
}

/* Without TLS whatever is said is taken for the right question. */
static void received_plain(stream *s)
{
    if (s->host->fault == FAULT_PLAIN && !s->state) {
        s->state = 1;
        head(s, 200, s->host->type.ptr, "");
        stream_end(s, body(s, s->host));
    }
}

static void on_received(stream *s)
{
    if (s->layer == PLAIN)
        received_plain(s);
    else
        received(s);
}

static void opened(stream *s)
{
    fault f = s->host ? s->host->fault : FAULT_NONE;
    int early = f == FAULT_RESET || f == FAULT_SILENT || f == FAULT_PLAIN || f == FAULT_ALERT ||
                f == FAULT_TLS11;
    if (early)
        world_log(s->server, "https", s->host->name.ptr, s->host->name.len, fault_name(f));
    if (f == FAULT_RESET)
        stream_end(s, END_RESET);
    else if (f != FAULT_SILENT && f != FAULT_PLAIN)
        stream_secure(s);
}

const protocol https_protocol = {opened, on_received, NULL, NULL};
