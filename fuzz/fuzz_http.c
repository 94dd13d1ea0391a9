/* Fuzzes section 7: the response reader, the rules for other HTTP clients, the request.
 *
 * Targets: mtasts_http_init, _feed, _end, mtasts_http_check, mtasts_media_type_ok,
 *          mtasts_http_request, mtasts_policy_host, mtasts_policy_url, mtasts_address_is_public
 *
 * Property: a response read at once, octet by octet and in pieces of any size comes to the same:
 *           result, place, status and body (H2, H4, P12).
 * Property: what has been said once is said by every later call.
 * Property: the body passes neither the caller's buffer nor MTASTS_POLICY_MAX; the place of an
 *           error lies within what was fed.
 * Property: a slow reader of the whole response, below, says the same: error, offset, line, column,
 *           status and body. It holds all limits (MTASTS_HTTP_*) to the octet.
 * Property: mtasts_http_check, given what that reader saw, says the same as the reading (H2, H3).
 * Property: the request and the URL are the fixed text around the normalised domain and the agent
 *           as given: nothing else of the input gets in, least of all a line end (H1).
 * Property: octets that are not there are told as the host's mistake, and change nothing.
 * Property: media types and addresses are judged as by an obvious second implementation (H3, H7).
 *
 * Input: octet 0: bit 0: the connection ends cleanly
 *                 bit 1: there is no buffer
 *                 bit 2: a part of the response is repeated
 *                 bits 3 and 4: both set: the rest is for the small functions, see test_others;
 *                 otherwise it is a response:
 *        3 octets: size of the buffer, modulo 0x20000
 *        4 octets: sizes of the pieces, taken in turn; 0: an empty one, all four: at once
 *        if bit 2: 2 octets: where the part begins; 1: its length; 2: how often it is put in again;
 *                 so a small input reaches every limit
 *        the rest: the response
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <strings.h>

#define OCTETS_MAX   4096u /* of a response that is read octet by octet too */
#define RESPONSE_MAX (MTASTS_POLICY_MAX + MTASTS_HTTP_OVERHEAD_MAX + 1024u)

/* ---- the reading by mtasts.h ---- */

typedef struct outcome {
    mtasts_http http;
    mtasts_diag fed, ended;
    size_t fed_len;
    char *body;
} outcome;

static int same_place(const mtasts_diag *a, const mtasts_diag *b)
{
    return a->err == b->err && a->offset == b->offset && a->line == b->line &&
           a->column == b->column;
}

static void feed(outcome *o, const char *data, size_t len)
{
    mtasts_diag before = o->fed;
    mtasts_err err = mtasts_http_feed(&o->http, data, len, &o->fed);
    o->fed_len += len;
    CHECK(o->fed.err == err);
    CHECK(o->fed.offset <= o->fed_len);
    CHECK(err != MTASTS_MORE || o->fed.offset == o->fed_len);
    CHECK(before.err == MTASTS_MORE || same_place(&o->fed, &before));
    CHECK(o->http.body_len <= MTASTS_POLICY_MAX);
}

/* A piece in memory of its own, so that a sanitizer sees a step too far. */
static void feed_piece(outcome *o, mtasts_str response, size_t at, size_t len)
{
    input in;
    mtasts_str piece;
    if (len == 1) { /* fast, there are many of them */
        char one = response.ptr[at];
        feed(o, &one, 1);
        return;
    }
    in.at = (const uint8_t *)response.ptr + at;
    in.left = response.len - at;
    piece = take_copy(&in, len);
    feed(o, piece.ptr, piece.len);
    drop_copy(piece);
}

/* Read it in pieces of these sizes; all four 0: at once. The caller frees o->body, which has not an
 * octet more than the body can have: cap, or the whole response. */
static void read_pieces(outcome *o, mtasts_str response, int buffer, size_t cap,
                        const unsigned *sizes)
{
    size_t at = 0, len;
    unsigned i = 0;
    memset(o, 0xff, sizeof *o);
    o->fed.err = MTASTS_MORE;
    o->fed_len = 0;
    o->body = NULL;
    if (buffer) {
        o->body = (char *)malloc(cap < response.len ? cap : response.len);
        CHECK(o->body);
    }
    mtasts_http_init(&o->http, o->body, cap);
    if (!(sizes[0] | sizes[1] | sizes[2] | sizes[3])) {
        feed(o, response.ptr, response.len);
        return;
    }
    feed(o, NULL, 0);
    for (; at < response.len; at += len) {
        len = sizes[i++ & 3];
        if (len > response.len - at)
            len = response.len - at;
        feed_piece(o, response, at, len);
    }
}

/* The connection ends; nothing that happens later changes what was said. */
static void end(outcome *o, int clean)
{
    size_t body_len = o->http.body_len;
    mtasts_diag d;
    mtasts_err err = mtasts_http_end(&o->http, clean, &o->ended);
    CHECK(o->ended.err == err);
    CHECK(err != MTASTS_MORE);
    CHECK(o->fed.err == MTASTS_MORE || same_place(&o->ended, &o->fed));
    CHECK(mtasts_http_feed(&o->http, "\r\n\r\n", 4, &d) == err);
    CHECK(same_place(&d, &o->ended));
    CHECK(mtasts_http_end(&o->http, !clean, &d) == err);
    CHECK(same_place(&d, &o->ended));
    CHECK(mtasts_http_end(&o->http, clean, NULL) == err);
    CHECK(mtasts_http_feed(&o->http, NULL, 1, &d) == MTASTS_ERR_USAGE);
    CHECK(o->http.body_len == body_len);
}

/* ---- the slow reader ---- */

typedef enum framing { NO_FRAMING, BY_LENGTH, BY_CHUNKS, BY_CLOSE } framing;

/* A response, all of it in memory. `err` is MTASTS_MORE until there is a result. */
typedef struct reader {
    mtasts_str all;
    size_t at; /* the next octet; after an error the one that is wrong */
    size_t cap;
    mtasts_err err;
    char *line; /* the last one, without its end */
    size_t line_start, lines, overhead, fields;
    int in_line; /* the place is in a line, not in the body */
    int has_head;
    int status, minor, interim;
    int has_type, has_coding, has_length;
    mtasts_str type, coding; /* the values as they stand in the response */
    uint64_t length;
    framing framing;
    char *body;
    size_t body_len;
} reader;

static int fail(reader *r, mtasts_err err, size_t at)
{
    r->err = err;
    r->at = at;
    return 0;
}

/* The next line to r->line. 0: it is not all there, or there was an error. */
static int read_line(reader *r)
{
    size_t i, len;
    r->in_line = 1;
    r->line_start = r->at;
    for (i = r->at; i < r->all.len; i++) {
        int c = (unsigned char)r->all.ptr[i];
        int after_cr = i > r->line_start && r->all.ptr[i - 1] == '\r';
        if (++r->overhead > MTASTS_HTTP_OVERHEAD_MAX)
            return fail(r, MTASTS_ERR_HTTP_HEAD_SIZE, i);
        if (c == '\n')
            break;
        if (after_cr || c == 0x7f || (c < ' ' && c != '\t' && c != '\r'))
            return fail(r, MTASTS_ERR_HTTP_SYNTAX, i);
    }
    r->at = i;
    if (i == r->all.len)
        return 0;
    len = i - r->line_start;
    if (len && r->all.ptr[i - 1] == '\r')
        len--;
    memcpy(r->line, r->all.ptr + r->line_start, len);
    r->line[len] = '\0';
    return 1;
}

/* The line was good. An error in it would be at its LF. */
static int next_line(reader *r)
{
    r->lines++;
    r->at++;
    return 1;
}

/* RFC 9112 4; the blank before an empty reason may be missing. */
static int read_status_line(reader *r)
{
    const char *l = r->line;
    if (!read_line(r))
        return 0;
    if (strncmp(l, "HTTP/1.", 7) != 0 || strspn(l + 7, "0123456789") != 1 || l[8] != ' ' ||
        strspn(l + 9, "0123456789") != 3 || (l[12] != ' ' && l[12] != '\0'))
        return fail(r, MTASTS_ERR_HTTP_SYNTAX, r->at);
    r->minor = l[7] - '0';
    r->status = atoi(l + 9);
    r->interim = r->status / 100 == 1 && r->status != 101;
    if (r->status / 100 == 3)
        return fail(r, MTASTS_ERR_HTTP_REDIRECT, r->at);
    if (r->status != 200 && !r->interim)
        return fail(r, MTASTS_ERR_HTTP_STATUS, r->at);
    return next_line(r);
}

static int is_media_type_ok(mtasts_str v)
{
    size_t i = 0, k;
    while (i < v.len && (v.ptr[i] == ' ' || v.ptr[i] == '\t'))
        i++;
    for (k = 0; k < 10; k++, i++)
        if (i == v.len || (v.ptr[i] != "text/plain"[k] && v.ptr[i] != "TEXT/PLAIN"[k]))
            return 0;
    while (i < v.len && (v.ptr[i] == ' ' || v.ptr[i] == '\t'))
        i++;
    return i == v.len || v.ptr[i] == ';';
}

static int is(mtasts_str v, const char *text)
{
    return v.len == strlen(text) && strncasecmp(v.ptr, text, v.len) == 0;
}

/* RFC 9110 8.6: digits. The same number may be said twice. */
static mtasts_err take_length(reader *r, mtasts_str v)
{
    uint64_t n = 0;
    size_t i;
    for (i = 0; i < v.len; i++) {
        if (v.ptr[i] < '0' || v.ptr[i] > '9')
            return MTASTS_ERR_HTTP_FRAMING;
        n = n > UINT32_MAX ? n : n * 10 + (uint64_t)(v.ptr[i] - '0');
    }
    if (!v.len || (r->has_length && n != r->length))
        return MTASTS_ERR_HTTP_FRAMING;
    r->has_length = 1;
    r->length = n;
    return n > r->cap ? MTASTS_ERR_HTTP_BODY_SIZE : MTASTS_OK;
}

static mtasts_err take_field(reader *r, mtasts_str name, mtasts_str value)
{
    if (is(name, "content-length"))
        return take_length(r, value);
    if (is(name, "transfer-encoding")) {
        if (r->framing == BY_CHUNKS || !is(value, "chunked"))
            return MTASTS_ERR_HTTP_FRAMING;
        r->framing = BY_CHUNKS;
    } else if (is(name, "content-type")) {
        r->has_type = 1;
        r->type = value;
        if (!is_media_type_ok(value))
            return MTASTS_ERR_HTTP_MEDIA_TYPE;
    } else if (is(name, "content-encoding")) {
        r->has_coding = 1;
        r->coding = value;
        if (!is(value, "identity"))
            return MTASTS_ERR_HTTP_CODING;
    }
    return MTASTS_OK;
}

static int is_known_field(mtasts_str name)
{
    return is(name, "content-length") || is(name, "transfer-encoding") ||
           is(name, "content-type") || is(name, "content-encoding");
}

/* RFC 9112 5. In a trailer and in a 1xx response a field has no effect. */
static int read_field(reader *r, int effect)
{
    mtasts_str name, value;
    mtasts_err err;
    name.ptr = r->all.ptr + r->line_start;
    name.len = strcspn(r->line, ": \t");
    if (++r->fields > MTASTS_HTTP_FIELDS_MAX)
        return fail(r, MTASTS_ERR_HTTP_HEAD_SIZE, r->at);
    if (!name.len || name.len >= MTASTS_HTTP_LINE_MAX || r->line[name.len] != ':')
        return fail(r, MTASTS_ERR_HTTP_SYNTAX, r->at);
    if (!effect || !is_known_field(name))
        return next_line(r);
    value.ptr = name.ptr + name.len + 1;
    value.len = strlen(r->line) - name.len - 1;
    for (; value.len && strchr(" \t", value.ptr[0]); value.len--)
        value.ptr++;
    while (value.len && strchr(" \t", value.ptr[value.len - 1]))
        value.len--;
    err = take_field(r, name, value);
    if (strlen(r->line) > MTASTS_HTTP_LINE_MAX)
        err = MTASTS_ERR_HTTP_HEAD_SIZE;
    return err ? fail(r, err, r->at) : next_line(r);
}

/* Fields, and the empty line after them. */
static int read_fields(reader *r, int effect)
{
    while (read_line(r)) {
        if (!r->line[0])
            return 1;
        if (!read_field(r, effect))
            return 0;
    }
    return 0;
}

/* 1xx responses, and the head of the one that counts. */
static int read_head(reader *r)
{
    do {
        if (!read_status_line(r) || !read_fields(r, !r->interim))
            return 0;
        if (r->interim)
            next_line(r);
    } while (r->interim);
    if (!r->has_type)
        return fail(r, MTASTS_ERR_HTTP_MEDIA_TYPE, r->at);
    if (r->framing == BY_CHUNKS && (r->has_length || r->minor == 0))
        return fail(r, MTASTS_ERR_HTTP_FRAMING, r->at);
    if (r->framing == NO_FRAMING)
        r->framing = r->has_length ? BY_LENGTH : BY_CLOSE;
    return next_line(r);
}

/* So many octets of body, or what there is of them. */
static int read_octets(reader *r, uint64_t len)
{
    size_t n = r->all.len - r->at;
    r->in_line = 0;
    if (n > len)
        n = (size_t)len;
    if (n)
        memcpy(r->body + r->body_len, r->all.ptr + r->at, n);
    r->body_len += n;
    r->at += n;
    return n == len;
}

/* RFC 9112 7.1. An extension is not looked at; what is before it must be within the limit. */
static int read_chunk_size(reader *r, uint64_t *size)
{
    size_t digits, blanks, len;
    if (!read_line(r))
        return 0;
    len = strlen(r->line);
    if (len > MTASTS_HTTP_LINE_MAX)
        r->line[MTASTS_HTTP_LINE_MAX] = '\0';
    *size = 0;
    for (digits = 0; r->line[digits] && strchr("0123456789abcdefABCDEF", r->line[digits]);
         digits++) {
        char digit[2] = {0, 0};
        digit[0] = r->line[digits];
        *size = *size * 16 + strtoul(digit, NULL, 16);
        if (*size > r->cap - r->body_len)
            return fail(r, MTASTS_ERR_HTTP_BODY_SIZE, r->at);
    }
    blanks = strspn(r->line + digits, " \t");
    if (!digits || (r->line[digits + blanks] != ';' &&
                    (r->line[digits + blanks] != '\0' || len > MTASTS_HTTP_LINE_MAX)))
        return fail(r, MTASTS_ERR_HTTP_FRAMING, r->at);
    return next_line(r);
}

static int read_chunks(reader *r)
{
    uint64_t size;
    for (;;) {
        if (!read_chunk_size(r, &size))
            return 0;
        if (!size)
            return read_fields(r, 0) && next_line(r);
        if (!read_octets(r, size) || !read_line(r))
            return 0;
        if (r->line[0])
            return fail(r, MTASTS_ERR_HTTP_FRAMING, r->at);
        next_line(r);
    }
}

/* All that there is, as long as the connection has not ended. */
static void read_to_close(reader *r)
{
    if (r->all.len - r->at > r->cap) {
        read_octets(r, r->cap);
        r->err = MTASTS_ERR_HTTP_BODY_SIZE;
    } else {
        read_octets(r, r->all.len - r->at);
    }
}

/* The place is that of the octet `at` in its line; the CR before an LF is not counted. */
static mtasts_diag place(const reader *r, mtasts_err err)
{
    mtasts_diag d = {MTASTS_OK, 0, 0, 0, 0, ""};
    d.err = err;
    d.offset = r->at;
    if (err && r->in_line) {
        d.line = r->lines + 1;
        d.column = r->at - r->line_start + 1;
        d.column -= r->at > r->line_start && r->all.ptr[r->at - 1] == '\r';
    }
    return d;
}

static reader *read_whole(mtasts_str response, size_t cap)
{
    reader *r = (reader *)calloc(1, sizeof *r);
    CHECK(r);
    r->cap = cap < MTASTS_POLICY_MAX ? cap : MTASTS_POLICY_MAX;
    r->all = response;
    r->line = (char *)malloc(response.len + 1);
    r->body = (char *)malloc(response.len + 1);
    CHECK(r->line && r->body);
    r->err = MTASTS_MORE;
    r->in_line = 1;
    if (!read_head(r))
        return r;
    r->has_head = 1;
    if (r->framing == BY_CLOSE)
        read_to_close(r);
    else if (r->framing == BY_CHUNKS ? read_chunks(r) : read_octets(r, r->length))
        r->err = MTASTS_OK;
    return r;
}

/* ---- one against the other ---- */

static void compare(const reader *r, const outcome *o, int clean)
{
    mtasts_diag expected = place(r, r->err);
    CHECK(same_place(&expected, &o->fed) ||
          (r->err == MTASTS_MORE && o->fed.err == MTASTS_MORE && o->fed.offset == r->at));
    if (r->err == MTASTS_MORE && !(r->framing == BY_CLOSE && !r->in_line && clean))
        expected = place(r, MTASTS_ERR_HTTP_INCOMPLETE);
    else if (r->err == MTASTS_MORE)
        expected = place(r, MTASTS_OK);
    CHECK(same_place(&expected, &o->ended));
    CHECK(o->http.status == r->status);
    CHECK(o->http.body_len == r->body_len);
    CHECK(!r->body_len || memcmp(o->body, r->body, r->body_len) == 0);
    CHECK(o->ended.err || r->status == 200);
}

/* The rules for other clients come to the same, where they can see the reason. */
static void compare_check(const reader *r, mtasts_err ended)
{
    mtasts_str type = {NULL, 0}, coding = {NULL, 0};
    mtasts_err err;
    if (r->has_type)
        type = r->type;
    if (r->has_coding)
        coding = r->coding;
    if (ended == MTASTS_ERR_HTTP_CODING && !r->has_type) { /* it would have come later */
        type.ptr = "text/plain";
        type.len = 10;
    }
    if (!r->has_head && ended == MTASTS_ERR_HTTP_INCOMPLETE)
        return;
    err = mtasts_http_check(r->status, type, coding, r->body_len,
                            ended != MTASTS_ERR_HTTP_INCOMPLETE);
    if (ended == MTASTS_OK || ended == MTASTS_ERR_HTTP_INCOMPLETE ||
        ended == MTASTS_ERR_HTTP_REDIRECT || ended == MTASTS_ERR_HTTP_STATUS ||
        ended == MTASTS_ERR_HTTP_MEDIA_TYPE || ended == MTASTS_ERR_HTTP_CODING)
        CHECK(err == ended);
}

/* A long response would take too long octet by octet. */
static void test_response(mtasts_str response, unsigned options, size_t cap, unsigned *pieces)
{
    static const unsigned at_once[4] = {0, 0, 0, 0}, octets[4] = {1, 1, 1, 1};
    const unsigned *splits[3];
    int clean = (int)(options & 1), buffer = !(options & 2);
    reader *r = read_whole(response, buffer ? cap : 0);
    unsigned i, runs = 3;
    splits[0] = at_once;
    splits[1] = pieces;
    splits[2] = octets;
    if (response.len > OCTETS_MAX) {
        runs = 2;
        pieces[3] |= 128;
    }
    for (i = 0; i < runs; i++) {
        outcome o, other;
        read_pieces(&o, response, buffer, cap, splits[i]);
        other = o;
        end(&o, clean);
        compare(r, &o, clean);
        end(&other, !clean);
        compare(r, &other, !clean);
        compare_check(r, o.ended.err);
        compare_check(r, other.ended.err);
        free(o.body);
    }
    free(r->line);
    free(r->body);
    free(r);
}

/* The response with a part of it put in again and again. */
static mtasts_str repeat(input *in)
{
    size_t at = take_number(in, 2), len = take_octet(in), times = take_number(in, 2), i;
    mtasts_str s;
    char *out;
    at = at < in->left ? at : in->left;
    len = len < in->left - at ? len : in->left - at;
    while (times && in->left + len * times > RESPONSE_MAX)
        times = times / 2;
    s.len = in->left + len * times;
    out = (char *)malloc(s.len ? s.len : 1);
    CHECK(out);
    s.ptr = out;
    memcpy(out, in->at, at);
    for (i = 0; i < times; i++)
        memcpy(out + at + i * len, in->at + at, len);
    memcpy(out + at + times * len, in->at + at, in->left - at);
    return s;
}

/* ---- the small functions ---- */

/* What no policy host may have, as the IANA registries of special addresses list it. */
static const char *const not_public[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "2001::/23",     "2001:db8::/32",   "2002::/16",      "3fff::/20"};

static int is_in_block(const unsigned char *a, size_t len, const char *block)
{
    unsigned char first[16];
    char text[32];
    unsigned bits = (unsigned)atoi(strchr(block, '/') + 1), i, differ = 0;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(block, "/"), block);
    if (inet_pton(len == 4 ? AF_INET : AF_INET6, text, first) != 1)
        return 0;
    for (i = 0; i < bits; i++)
        differ |= ((unsigned)(a[i / 8] ^ first[i / 8]) >> (7 - i % 8)) & 1;
    return !differ;
}

static int is_public(const unsigned char *a, size_t len)
{
    size_t i;
    if (len == 16 && is_in_block(a, len, "64:ff9b::/96"))
        return is_public(a + 12, 4);
    if ((len != 4 && len != 16) || (len == 16 && !is_in_block(a, len, "2000::/3")))
        return 0;
    for (i = 0; i < COUNT(not_public); i++)
        if (is_in_block(a, len, not_public[i]))
            return 0;
    return 1;
}

/* The request for a domain that is one, written out once more. */
static void test_request(mtasts_str domain, const char *agent, size_t cap)
{
    char name[MTASTS_NAME_SIZE], host[MTASTS_NAME_SIZE], url[MTASTS_URL_SIZE], text[1024];
    char *out = (char *)malloc(cap);
    const char *c;
    int good = mtasts_name_normalise(name, domain.ptr, domain.len, NULL) == MTASTS_OK &&
               strlen(name) + strlen("mta-sts.") <= MTASTS_NAME_MAX;
    int printable = 1;
    size_t len;
    mtasts_err err;
    for (c = agent ? agent : ""; *c; c++)
        printable = printable && *c >= ' ' && *c <= '~';
    err = mtasts_http_request(out, cap, &len, domain.ptr, domain.len, agent, NULL);
    snprintf(text, sizeof text,
             "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.%s\r\nUser-Agent: %s\r\n"
             "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
             name, agent ? agent : "mtasts.h");
    CHECK((err == MTASTS_OK || err == MTASTS_ERR_SPACE) == (good && printable));
    if (good && printable) {
        CHECK(len == strlen(text));
        CHECK((err == MTASTS_OK) == (len < cap));
    }
    if (out && cap)
        CHECK(strcmp(out, err ? "" : text) == 0);
    CHECK((mtasts_policy_host(host, domain.ptr, domain.len, NULL) == MTASTS_OK) == good);
    CHECK((mtasts_policy_url(url, domain.ptr, domain.len, NULL) == MTASTS_OK) == good);
    snprintf(text, sizeof text, "https://mta-sts.%s/.well-known/mta-sts.txt", name);
    CHECK(strcmp(url, good ? text : "") == 0);
    free(out);
}

/* 2 octets: a status; 1: bit 0: complete, bit 1: a coding, bit 2: the usual agent; 3: octets of
 * body; 2: room for the request; 1: length of the domain; 1: that of the agent; the domain; the
 * agent; the rest is a media type, and an address. */
static void test_others(input *in)
{
    static const mtasts_str none = {NULL, 0};
    int status = (int)(take_number(in, 2) & 1023);
    unsigned bits = take_octet(in);
    size_t body_len = take_number(in, 3), cap = take_number(in, 2) & 1023;
    size_t domain_len = take_octet(in), agent_len = take_octet(in);
    mtasts_str domain = take_copy(in, domain_len), agent = take_copy(in, agent_len), rest;
    char agent_text[256];
    mtasts_err err;
    memcpy(agent_text, agent.ptr, agent.len);
    agent_text[agent.len] = '\0';
    test_request(domain, bits & 4 ? NULL : agent_text, cap);
    drop_copy(agent);
    drop_copy(domain);
    rest = take_copy(in, in->left);
    CHECK(mtasts_media_type_ok(rest.ptr, rest.len) == is_media_type_ok(rest));
    CHECK(mtasts_address_is_public((const unsigned char *)rest.ptr, rest.len) ==
          is_public((const unsigned char *)rest.ptr, rest.len));
    CHECK(!mtasts_address_is_public(NULL, rest.len));
    err = mtasts_http_check(status, rest, bits & 2 ? rest : none, body_len, (int)(bits & 1));
    CHECK(err == (status / 100 == 3              ? MTASTS_ERR_HTTP_REDIRECT
                  : status != 200                ? MTASTS_ERR_HTTP_STATUS
                  : !is_media_type_ok(rest)      ? MTASTS_ERR_HTTP_MEDIA_TYPE
                  : bits & 2                     ? MTASTS_ERR_HTTP_CODING
                  : body_len > MTASTS_POLICY_MAX ? MTASTS_ERR_HTTP_BODY_SIZE
                  : bits & 1                     ? MTASTS_OK
                                                 : MTASTS_ERR_HTTP_INCOMPLETE));
    drop_copy(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    unsigned options, i, pieces[4];
    size_t cap;
    mtasts_str response;
    in.at = data;
    in.left = size;
    options = take_octet(&in);
    if ((options & 0x18) == 0x18) {
        test_others(&in);
        return 0;
    }
    cap = take_number(&in, 3) & 0x1ffff;
    for (i = 0; i < 4; i++)
        pieces[i] = take_octet(&in);
    response = options & 4 ? repeat(&in) : take_copy(&in, in.left);
    test_response(response, options, cap, pieces);
    drop_copy(response);
    return 0;
}
