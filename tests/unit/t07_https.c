/* Section 7, HTTPS exchange (RFC 8461 3.3; rules H1 to H7 but for H5, which is the host's; P12).
 * Goal: only a complete 200 text/plain response within the limits becomes a policy body.
 * Method: tables of responses, each fed whole, split everywhere, cut everywhere and mutated. */
#include "test.h"

#include <arpa/inet.h>

#define S(literal)                  \
    {                               \
        literal, sizeof literal - 1 \
    }
#define OCTETS SIZE_MAX /* as a split: octet by octet */
#define CAP    ((size_t)64)
#define OK200  "HTTP/1.1 200 OK\r\n"
#define HEAD   OK200 "Content-Type: text/plain\r\n"
#define CL5    "Content-Length: 5\r\n"
#define TE     "Transfer-Encoding: chunked\r\n"

static char big[1 << 17];

/* The last `cap` octets before an unmapped page. */
static char *room(size_t cap)
{
    static fence f;
    if (!f.low)
        f = fence_make();
    memset(f.high - cap, 0xff, cap < 512 ? cap : 512);
    return f.high - cap;
}

/* ---- names and request (H1) ---- */

typedef mtasts_err (*builder)(char *, const char *, size_t, mtasts_diag *);

static const struct {
    builder build;
    const char *before, *after;
    size_t size;
} builders[] = {
    {mtasts_txt_name, "_mta-sts.", "", MTASTS_NAME_SIZE},
    {mtasts_policy_host, "mta-sts.", "", MTASTS_NAME_SIZE},
    {mtasts_policy_url, "https://mta-sts.", "/.well-known/mta-sts.txt", MTASTS_URL_SIZE},
};

/* What each builder makes of a domain is its prefix, the normalised name and its suffix. */
static void check_builders(const char *domain, size_t len, size_t most)
{
    char name[MTASTS_NAME_SIZE], expected[MTASTS_URL_SIZE];
    mtasts_err want = mtasts_name_normalise(name, domain, len, NULL), err;
    mtasts_diag d;
    size_t b;
    for (b = 0; b < COUNT(builders); b++) {
        int too_long = !want && strlen(name) > most - (b == 0);
        char *out = room(builders[b].size);
        DIRTY(d);
        err = builders[b].build(out, domain, len, &d);
        assert_diag(&d, err, len);
        assert_int_equal(err, too_long ? MTASTS_ERR_NAME_LONG : want);
        snprintf(expected, sizeof expected, "%s%s%s", builders[b].before, name, builders[b].after);
        assert_string_equal(out, err ? "" : expected);
        assert_int_equal(builders[b].build(out, domain, len, NULL), err);
    }
}

static const struct {
    const char *name;
    mtasts_str domain;
    mtasts_err err;
} domains[] = {
    {"plain", S("example.com"), MTASTS_OK},
    {"upper case and dot", S("Sub.Example.COM."), MTASTS_OK},
    {"single label", S("localhost"), MTASTS_OK},
    {"underscore", S("_x.example.com"), MTASTS_OK},
    {"empty", S(""), MTASTS_ERR_NAME_EMPTY},
    {"NULL", {NULL, 0}, MTASTS_ERR_NAME_EMPTY},
    {"NULL and 5", {NULL, 5}, MTASTS_ERR_USAGE},
    {"literal", S("[192.0.2.1]"), MTASTS_ERR_NAME_ADDRESS},
    {"address", S("192.0.2.1"), MTASTS_ERR_NAME_ADDRESS},
    {"dot", S("."), MTASTS_ERR_NAME_EMPTY_LABEL},
    {"two dots", S("a..b"), MTASTS_ERR_NAME_EMPTY_LABEL},
    {"hyphen", S("-a.b"), MTASTS_ERR_NAME_HYPHEN},
    {"header injection", S("a.b\r\nHost: evil"), MTASTS_ERR_NAME_OCTET},
    {"path injection", S("a.b/c"), MTASTS_ERR_NAME_OCTET},
    {"userinfo", S("a@b.c"), MTASTS_ERR_NAME_OCTET},
    {"port", S("a.b:80"), MTASTS_ERR_NAME_OCTET},
    {"NUL inside", S("a.b\0.c"), MTASTS_ERR_NAME_OCTET},
    {"U-label", S("b\xc3\xbc"), MTASTS_ERR_NAME_ULABEL},
};

static void test_H1_names(void **state)
{
    size_t i, t, m;
    char out[MTASTS_NAME_SIZE], copy[64];
    (void)state;
    for (i = 0; i < COUNT(domains); i++) {
        mtasts_str s = domains[i].domain;
        assert_int_equal(mtasts_policy_host(out, s.ptr, s.len, NULL), domains[i].err);
        if (!s.ptr)
            continue;
        for (t = 0; t <= s.len; t++) {
            check_builders(fenced(0, 0, s.ptr, t), t, 245);
            check_builders(fenced(0, 1, s.ptr, t), t, 245);
        }
        for (t = 0; t < s.len; t++)
            for (m = 0; m < sizeof mutants; m++) {
                memcpy(copy, s.ptr, s.len);
                copy[t] = mutants[m];
                check_builders(fenced(0, (int)(m & 1), copy, s.len), s.len, 245);
            }
    }
}

static void test_H1_name_limits(void **state)
{
    size_t len, i;
    (void)state;
    for (len = 240; len < 260; len++) {
        memset(big, 'a', len);
        for (i = 60; i < len; i += 60)
            big[i] = '.';
        check_builders(fenced(0, 1, big, len), len, 245);
    }
    big[241] = '.'; /* a trailing dot does not count */
    check_builders(big, 242, 245);
}

static const char request[] =
    "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.com\r\n"
    "User-Agent: mtasts.h\r\nAccept-Encoding: identity\r\n"
    "Connection: close\r\n\r\n";

static void test_H1_request(void **state)
{
    size_t cap, len;
    mtasts_diag d;
    (void)state;
    for (cap = 0; cap < sizeof request + 3; cap++) {
        char *out = cap ? room(cap) : NULL;
        mtasts_err err, want = cap < sizeof request ? MTASTS_ERR_SPACE : MTASTS_OK;
        DIRTY(d);
        err = mtasts_http_request(out, cap, &len, "Example.com.", 12, NULL, &d);
        assert_diag(&d, err, 12);
        assert_int_equal(err, want);
        assert_int_equal(len, sizeof request - 1);
        if (cap)
            assert_string_equal(out, err ? "" : request);
        assert_int_equal(mtasts_http_request(out, cap, &len, "example.com", 11, "mtasts.h", NULL),
                         want);
    }
}

static void test_H1_request_errors(void **state)
{
    static const char *const agents[] = {"a\r\nX: y", "a\n", "\t", "\x7f", "\x80", "\x01"};
    char *out = room(512);
    size_t i, len = 7;
    mtasts_diag d;
    (void)state;
    for (i = 0; i < COUNT(agents); i++) {
        DIRTY(d);
        assert_int_equal(mtasts_http_request(out, 512, &len, "example.com", 11, agents[i], &d),
                         MTASTS_ERR_USAGE);
        assert_diag(&d, MTASTS_ERR_USAGE, 11);
        assert_string_equal(out, "");
        assert_int_equal(len, 0);
    }
    assert_int_equal(mtasts_http_request(out, 512, &len, "a.b", 3, "", NULL), MTASTS_OK);
    assert_non_null(strstr(out, "\r\nUser-Agent: \r\n"));
    for (i = 0; i < COUNT(domains); i++)
        assert_int_equal(mtasts_http_request(out, 512, &len, domains[i].domain.ptr,
                                             domains[i].domain.len, NULL, &d),
                         domains[i].err);
}

/* The names in the policy host's certificate: DNS-ID, a wildcard only as the whole first label. */
static void test_H1_certificate(void **state)
{
    static const struct {
        const char *name;
        int matches;
    } names[] = {{"mta-sts.example.com", 1},
                 {"*.example.com", 1},
                 {"example.com", 0},
                 {"mta-*.example.com", 0},
                 {"*.com", 0},
                 {"*.mta-sts.example.com", 0},
                 {"*", 0},
                 {"mta-sts.example.net", 0}};
    char host[MTASTS_NAME_SIZE];
    size_t i;
    (void)state;
    assert_int_equal(mtasts_policy_host(host, "example.com", 11, NULL), MTASTS_OK);
    for (i = 0; i < COUNT(names); i++)
        assert_int_equal(
            mtasts_cert_name_matches(names[i].name, strlen(names[i].name), host, strlen(host)),
            names[i].matches);
}

/* ---- responses ---- */

typedef struct outcome {
    mtasts_err fed, ended;
    mtasts_diag diag; /* of the last feed */
    int status;
    size_t body_len;
    const char *body;
} outcome;

/* Feed it in pieces, end it, and see that what was said stays said. */
static outcome run(const char *data, size_t len, size_t cap, int clean, size_t split, int side)
{
    static mtasts_http h;
    outcome o;
    size_t at = 0, n;
    mtasts_diag d;
    DIRTY(h);
    mtasts_http_init(&h, cap ? room(cap) : NULL, cap);
    assert_int_equal(h.status, 0);
    do {
        n = split == OCTETS ? 1 : at < split && split < len ? split : len - at;
        n = at + n > len ? len - at : n;
        DIRTY(o.diag);
        o.fed = mtasts_http_feed(&h, fenced(0, side, data + at, n), n, &o.diag);
        at += n;
        assert_diag(&o.diag, o.fed, at);
    } while (at < len);
    assert_int_equal(mtasts_http_feed(&h, NULL, 0, NULL), o.fed);
    DIRTY(d);
    o.ended = mtasts_http_end(&h, clean, &d);
    assert_diag(&d, o.ended, len);
    assert_string_equal(d.text, "");
    assert_int_not_equal(o.ended, MTASTS_MORE);
    if (o.fed != MTASTS_MORE)
        assert_int_equal(o.ended, o.fed);
    o.status = h.status;
    o.body_len = h.body_len;
    o.body = h.body;
    assert_int_equal(mtasts_http_feed(&h, "zz", 2, NULL), o.ended); /* sticky; the rest ignored */
    assert_int_equal(mtasts_http_end(&h, !clean, NULL), o.ended);
    assert_int_equal(h.body_len, o.body_len);
    assert_true(o.body_len <= (cap < MTASTS_POLICY_MAX ? cap : MTASTS_POLICY_MAX));
    if (o.ended == MTASTS_OK)
        assert_int_equal(o.status, 200); /* H2 */
    return o;
}

static void assert_same(const outcome *a, const outcome *b)
{
    assert_int_equal(a->fed, b->fed);
    assert_int_equal(a->ended, b->ended);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->diag.offset, b->diag.offset);
    assert_int_equal(a->diag.line, b->diag.line);
    assert_int_equal(a->diag.column, b->diag.column);
}

/* NULL is no octets, whatever its length. */
static void test_null(void **state)
{
    static mtasts_http h;
    mtasts_diag d;
    mtasts_err err;
    (void)state;
    mtasts_http_init(&h, NULL, 0);
    assert_int_equal(mtasts_http_feed(&h, NULL, 0, NULL), MTASTS_MORE);
    DIRTY(d);
    err = mtasts_http_feed(&h, NULL, 5, &d);
    assert_true(err == MTASTS_MORE || err == MTASTS_ERR_USAGE);
    assert_diag(&d, err, 0);
    assert_int_equal(mtasts_http_end(&h, 1, NULL), MTASTS_ERR_HTTP_INCOMPLETE);
    assert_int_equal(h.status, 0);
}

/* A place in the head is the line and the column of its offset; a CR before the LF does not count.
 */
static void check_place(const char *data, size_t len, const mtasts_diag *d)
{
    size_t i, line = 1, start = 0;
    if (!d->line || memmem(data, len, "hunked", 6))
        return;
    for (i = 0; i < d->offset; i++)
        if (data[i] == '\n') {
            line++;
            start = i + 1;
        }
    assert_int_equal(d->line, line);
    assert_int_equal(d->column, d->offset - start + (d->offset == start || data[i - 1] != '\r'));
}

/* The same however it comes. */
static outcome run_all(const char *data, size_t len, size_t cap, int clean, const char *body)
{
    outcome first = run(data, len, cap, clean, 0, 0), o;
    size_t split;
    check_place(data, len, &first.diag);
    for (split = 0; split <= len; split++) {
        o = run(data, len, cap, clean, split == len ? OCTETS : split, 1);
        assert_same(&first, &o);
        if (!body || o.ended)
            continue;
        assert_int_equal(o.body_len, strlen(body));
        assert_memory_equal(o.body, body, o.body_len);
    }
    return first;
}

typedef struct response {
    const char *name;
    mtasts_str text;
    int close; /* only a clean close ends it */
    const char *body;
} response;

static const response good[] = {
    {"Content-Length", S(HEAD CL5 "\r\nhello"), 0, "hello"},
    {"Content-Length 0", S(HEAD "Content-Length: 0\r\n\r\n"), 0, ""},
    {"leading zeros", S(HEAD "Content-Length: 00000000000000000000005\r\n\r\nhello"), 0, "hello"},
    {"twice the same length", S(HEAD CL5 "content-length:\t5 \r\n\r\nhello"), 0, "hello"},
    {"octets after the end", S(HEAD CL5 "\r\nhelloHTTP/1.1 404 \r\n\r\n"), 0, "hello"},
    {"until close", S(HEAD "\r\nhello"), 1, "hello"},
    {"until close, empty", S(HEAD "\r\n"), 1, ""},
    {"HTTP/1.0", S("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"), 1, "hello"},
    {"HTTP/1.0, length", S("HTTP/1.0 200\r\nContent-Type: text/plain\r\n" CL5 "\r\nhello"), 0,
     "hello"},
    {"HTTP/1.9", S("HTTP/1.9 200 \r\nContent-Type: text/plain\r\n" CL5 "\r\nhello"), 0, "hello"},
    {"chunked", S(HEAD TE "\r\n5\r\nhello\r\n0\r\n\r\n"), 0, "hello"},
    {"chunks", S(HEAD TE "\r\n2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n"), 0, "hello"},
    {"no chunks", S(HEAD TE "\r\n0\r\n\r\n"), 0, ""},
    {"chunk extensions", S(HEAD TE "\r\n5;a=\"b\"\r\nhello\r\n0 \t;x\r\n\r\n"), 0, "hello"},
    {"blank after a size", S(HEAD TE "\r\n5 \r\nhello\r\n0\t\r\n\r\n"), 0, "hello"},
    {"trailer", S(HEAD TE "\r\n5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n"), 0, "hello"},
    {"hex", S(HEAD TE "\r\n00a\r\n0123456789\r\nB\r\nhello hello\r\n000\r\n\r\nz"), 0,
     "0123456789hello hello"},
    {"CHUNKED", S(HEAD "TRANSFER-ENCODING:CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 0, "hello"},
    {"bare LF", S("HTTP/1.1 200 OK\nContent-Type: text/plain\n" TE "\n5\nhello\n0\n\n"), 0,
     "hello"},
    {"100 first", S("HTTP/1.1 100 Continue\r\n\r\n" HEAD CL5 "\r\nhello"), 0, "hello"},
    {"103, 199 first",
     S("HTTP/1.1 103 H\r\nContent-Length: x\r\nLink: y\r\n\r\nHTTP/1.0 199\r\n\r\n" HEAD TE
       "\r\n5\r\nhello\r\n0\r\n\r\n"),
     0, "hello"},
    {"media type parameters", S(OK200 "content-type:TEXT/Plain ; charset=x\r\n" CL5 "\r\nhello"), 0,
     "hello"},
    {"media type twice", S(HEAD "Content-Type: text/plain;x\r\n" CL5 "\r\nhello"), 0, "hello"},
    {"identity", S(HEAD "Content-Encoding: Identity\r\n" CL5 "\r\nhello"), 0, "hello"},
    {"octets over 127",
     S("HTTP/1.1 200 \xc3\xa9\r\nContent-Type: text/plain;\xff\r\nX:\x80\r\n" CL5 "\r\nhello"), 0,
     "hello"},
    {"a longer line before", S(HEAD "X: 123456789012345678901234567890\r\n" CL5 "\r\nhello"), 0,
     "hello"},
    {"empty values", S(HEAD "X:\r\nY: \t \r\n" CL5 "\r\nhello"), 0, "hello"},
};

static void test_H2_good_responses(void **state)
{
    size_t i;
    outcome o;
    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        mtasts_str s = good[i].text;
        o = run_all(s.ptr, s.len, CAP, 1, good[i].body);
        if (o.ended != MTASTS_OK || o.fed != (good[i].close ? MTASTS_MORE : MTASTS_OK))
            fail_msg("%s: %s", good[i].name, mtasts_err_name((int)o.ended));
        o = run_all(s.ptr, s.len, CAP, 0, good[i].body);
        assert_int_equal(o.ended, good[i].close ? MTASTS_ERR_HTTP_INCOMPLETE : MTASTS_OK);
        if (*good[i].body) { /* H4: the host's own limit, to the octet */
            size_t n = strlen(good[i].body);
            assert_int_equal(run(s.ptr, s.len, n, 1, 0, 0).ended, MTASTS_OK);
            o = run_all(s.ptr, s.len, n - 1, 1, NULL);
            assert_int_equal(o.ended, MTASTS_ERR_HTTP_BODY_SIZE);
        }
    }
}

/* P12: of a valid response no part is complete, and no part is anything else than incomplete. */
static void test_P12_truncated(void **state)
{
    size_t i, t;
    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        mtasts_str s = good[i].text;
        size_t complete = run(s.ptr, s.len, CAP, 0, 0, 0).diag.offset;
        for (t = 0; t <= s.len; t++) {
            outcome o = run(s.ptr, t, CAP, 0, t / 2, (int)(t & 1));
            int ok = !good[i].close && t >= complete;
            assert_int_equal(o.ended, ok ? MTASTS_OK : MTASTS_ERR_HTTP_INCOMPLETE);
            o = run(s.ptr, t, CAP, 1, OCTETS, 1);
            if (!good[i].close)
                assert_int_equal(o.ended, ok ? MTASTS_OK : MTASTS_ERR_HTTP_INCOMPLETE);
        }
    }
}

static void test_mutated(void **state)
{
    static char copy[512];
    size_t i, t, m;
    (void)state;
    for (i = 0; i < COUNT(good); i++)
        for (t = 0; t < good[i].text.len; t++)
            for (m = 0; m < sizeof mutants; m++) {
                mtasts_str s = good[i].text;
                outcome a, b;
                memcpy(copy, s.ptr, s.len);
                copy[t] = mutants[m];
                a = run(copy, s.len, CAP, 1, 0, (int)(m & 1));
                b = run(copy, s.len, CAP, 1, OCTETS, 1);
                assert_same(&a, &b);
            }
}

static const struct {
    const char *name;
    mtasts_err err;
    mtasts_str text;
} bad[] = {
    {"nothing", MTASTS_ERR_HTTP_INCOMPLETE, S("")},
    {"empty line first", MTASTS_ERR_HTTP_SYNTAX, S("\r\n" HEAD CL5 "\r\nhello")},
    {"HTTP/2", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/2 200 OK\r\n")},
    {"HTTP/2.0", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/2.0 200 OK\r\n")},
    {"HTTP/1.x", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.x 200 OK\r\n")},
    {"HTTP/1.11", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.11 200\r\n")},
    {"lower case http", MTASTS_ERR_HTTP_SYNTAX, S("http/1.1 200 OK\r\n")},
    {"two digits", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 20 OK\r\n")},
    {"four digits", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 2000 OK\r\n")},
    {"four digits, no reason", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 2000\r\n")},
    {"no digit", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 -20 OK\r\n")},
    {"a letter", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 20O OK\r\n")},
    {"too short", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 20\r\n")},
    /* what is left of the line before is not read */
    {"too short, after a 1xx", MTASTS_ERR_HTTP_SYNTAX,
     S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20\r\nContent-Type: text/plain\r\n" CL5 "\r\nhello")},
    {"no colon, under one", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "Abc: x\r\nAbc\r\n" CL5 "\r\nhello")},
    {"blank type, under a good one", MTASTS_ERR_HTTP_MEDIA_TYPE,
     S(OK200 "X-ntent-Type:    text/plain;\r\nContent-Type:   \r\n" CL5 "\r\nhello")},
    {"a letter before the status", MTASTS_ERR_HTTP_SYNTAX,
     S("HTTP/1.1x200 OK\r\nContent-Type: text/plain\r\n" CL5 "\r\nhello")},
    {"tab after the status", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 200\tOK\r\n")},
    {"blank before it", MTASTS_ERR_HTTP_SYNTAX, S(" HTTP/1.1 200 OK\r\n")},
    /* H2 */
    {"301", MTASTS_ERR_HTTP_REDIRECT, S("HTTP/1.1 301 Moved\r\nLocation: x\r\n\r\n")},
    {"302 with a policy", MTASTS_ERR_HTTP_REDIRECT, S("HTTP/1.1 302\r\n" CL5 "\r\nhello")},
    {"304", MTASTS_ERR_HTTP_REDIRECT, S("HTTP/1.1 304 \r\n\r\n")},
    {"308", MTASTS_ERR_HTTP_REDIRECT, S("HTTP/1.1 308 \r\n\r\n")},
    {"404", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 404 \r\nContent-Type: text/plain\r\n\r\n")},
    {"101", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 101 Switch\r\n\r\n" HEAD CL5 "\r\nhello")},
    {"204", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 204 \r\n\r\n")},
    {"206", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 206 \r\nContent-Type: text/plain\r\n\r\n")},
    {"000", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 000 \r\n")},
    {"099", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 099 \r\n")},
    {"only 1xx", MTASTS_ERR_HTTP_INCOMPLETE, S("HTTP/1.1 100 \r\n\r\n")},
    {"404 after 100", MTASTS_ERR_HTTP_STATUS, S("HTTP/1.1 100\r\n\r\nHTTP/1.1 404 \r\n")},
    {"junk in a 1xx", MTASTS_ERR_HTTP_SYNTAX, S("HTTP/1.1 100 \r\nx\r\n\r\n" HEAD "\r\n")},
    /* H3 */
    {"no media type", MTASTS_ERR_HTTP_MEDIA_TYPE, S(OK200 CL5 "\r\nhello")},
    {"html", MTASTS_ERR_HTTP_MEDIA_TYPE, S(OK200 "Content-Type: text/html\r\n\r\n")},
    {"empty type", MTASTS_ERR_HTTP_MEDIA_TYPE, S(OK200 "Content-Type:\r\n\r\n")},
    {"blank type", MTASTS_ERR_HTTP_MEDIA_TYPE, S(OK200 "Content-Type: \t \r\n\r\n")},
    {"second type", MTASTS_ERR_HTTP_MEDIA_TYPE, S(HEAD "Content-Type: text/html\r\n\r\n")},
    {"type in a 1xx", MTASTS_ERR_HTTP_MEDIA_TYPE,
     S("HTTP/1.1 100 \r\nContent-Type: text/plain\r\n\r\n" OK200 CL5 "\r\nhello")},
    {"type in the trailer", MTASTS_ERR_HTTP_MEDIA_TYPE,
     S(OK200 TE "\r\n0\r\nContent-Type: text/plain\r\n\r\n")},
    {"gzip", MTASTS_ERR_HTTP_CODING, S(HEAD "Content-Encoding: gzip\r\n\r\n")},
    {"identity, gzip", MTASTS_ERR_HTTP_CODING, S(HEAD "Content-Encoding: identity, gzip\r\n\r\n")},
    {"gzip after identity", MTASTS_ERR_HTTP_CODING,
     S(HEAD "Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n")},
    /* fields */
    {"no colon", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X\r\n\r\n")},
    {"no name", MTASTS_ERR_HTTP_SYNTAX, S(HEAD ": x\r\n\r\n")},
    {"blank before the colon", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "Content-Length : 5\r\n\r\nhello")},
    {"tab before the colon", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X\t: 5\r\n\r\n")},
    {"obs-fold", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: y\r\n z: 5\r\n\r\n")},
    {"obs-fold, tab", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: y\r\n\tz\r\n\r\n")},
    {"NUL", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: \0\r\n\r\n")},
    {"control character", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: \x1f\r\n\r\n")},
    {"DEL", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: \x7f\r\n\r\n")},
    {"lone CR", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: a\rb\r\n\r\n")},
    {"CR CR LF", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "X: a\r\r\n\r\n")},
    {"CR at the start", MTASTS_ERR_HTTP_SYNTAX, S(HEAD "\rX: a\r\n\r\n")},
    /* framing */
    {"length and chunked", MTASTS_ERR_HTTP_FRAMING, S(HEAD CL5 TE "\r\n5\r\nhello\r\n0\r\n\r\n")},
    {"chunked and length", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE CL5 "\r\nhello")},
    {"two lengths", MTASTS_ERR_HTTP_FRAMING, S(HEAD CL5 "Content-Length: 6\r\n\r\nhello!")},
    {"list of lengths", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length: 5, 5\r\n\r\nhello")},
    {"negative length", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length: -5\r\n\r\nhello")},
    {"plus", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length: +5\r\n\r\nhello")},
    {"empty length", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length:\r\n\r\n")},
    {"blank length", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length: \t \r\n\r\n")},
    {"blank coding", MTASTS_ERR_HTTP_CODING, S(HEAD "Content-Encoding: \t \r\n\r\n")},
    {"hex length", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Content-Length: 0x5\r\n\r\nhello")},
    {"2^64 + 5", MTASTS_ERR_HTTP_BODY_SIZE,
     S(HEAD "Content-Length: 18446744073709551621\r\n\r\nhello")},
    {"2^32 + 5", MTASTS_ERR_HTTP_BODY_SIZE, S(HEAD "Content-Length: 4294967301\r\n\r\nhello")},
    {"chunked twice", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE TE "\r\n0\r\n\r\n")},
    {"chunked, chunked", MTASTS_ERR_HTTP_FRAMING,
     S(HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")},
    {"gzip, chunked", MTASTS_ERR_HTTP_FRAMING,
     S(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
    {"transfer gzip", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Transfer-Encoding: gzip\r\n\r\n")},
    {"transfer nothing", MTASTS_ERR_HTTP_FRAMING, S(HEAD "Transfer-Encoding:\r\n\r\n")},
    {"chunked in 1.0", MTASTS_ERR_HTTP_FRAMING,
     S("HTTP/1.0 200 \r\nContent-Type: text/plain\r\n" TE "\r\n0\r\n\r\n")},
    {"chunk without a size", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n\r\nhello\r\n0\r\n\r\n")},
    {"chunk size g", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\ng\r\n")},
    {"chunk size with junk", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n5 x\r\nhello\r\n0\r\n\r\n")},
    {"chunk size 0x", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n0x5\r\nhello\r\n0\r\n\r\n")},
    {"chunk size negative", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n-5\r\nhello\r\n0\r\n\r\n")},
    {"blank before a size", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n 5\r\nhello\r\n0\r\n\r\n")},
    {"chunk size 2^64 + 5", MTASTS_ERR_HTTP_BODY_SIZE, S(HEAD TE "\r\n10000000000000005\r\nhello")},
    {"chunk size 2^32 + 5", MTASTS_ERR_HTTP_BODY_SIZE, S(HEAD TE "\r\n100000005\r\nhello")},
    {"chunk size F...F", MTASTS_ERR_HTTP_BODY_SIZE, S(HEAD TE "\r\nffffffffffffffff\r\nhello")},
    {"chunk too long", MTASTS_ERR_HTTP_FRAMING, S(HEAD TE "\r\n5\r\nhello!\r\n0\r\n\r\n")},
    {"junk trailer", MTASTS_ERR_HTTP_SYNTAX, S(HEAD TE "\r\n0\r\nx\r\n\r\n")},
    {"lone CR in a size", MTASTS_ERR_HTTP_SYNTAX, S(HEAD TE "\r\n5\rhello\r\n0\r\n\r\n")},
};

static void test_H2_H3_bad_responses(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        outcome o = run_all(bad[i].text.ptr, bad[i].text.len, CAP, 1, NULL);
        if (o.ended != bad[i].err)
            fail_msg("%s: %s", bad[i].name, mtasts_err_name((int)o.ended));
        /* H6: all of it is a failed fetch */
        assert_int_equal(mtasts_err_tlsrpt((int)o.ended), MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR);
    }
}

/* P10: lines are counted over head, chunk framing and trailer, and not in the body. */
static void test_places(void **state)
{
    static const struct {
        mtasts_str text;
        size_t line, column;
    } rows[] = {
        {S("HTTP/1.1 404 Not Found\r\n"), 1, 23},
        {S(HEAD "X\r\n"), 3, 2},
        {S(HEAD "X: a\x01"), 3, 5},
        {S(HEAD TE "\r\n0\r\nx\r\n"), 6, 2},
        {S(HEAD "\r\nhello world"), 0, 0},
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        mtasts_http h;
        mtasts_diag d;
        char body[8];
        mtasts_err err;
        mtasts_http_init(&h, body, sizeof body);
        err = mtasts_http_feed(&h, rows[i].text.ptr, rows[i].text.len, &d);
        assert_true(err > MTASTS_ERR_SPACE);
        assert_int_equal(d.err, err);
        if (d.line != rows[i].line || d.column != rows[i].column)
            fail_msg("row %u: %u:%u", (unsigned)i, (unsigned)d.line, (unsigned)d.column);
    }
}

/* ---- limits (H4) ---- */

static size_t used;

static void add(const char *text)
{
    memcpy(big + used, text, strlen(text));
    used += strlen(text);
}

static void fill(char c, size_t n)
{
    memset(big + used, c, n);
    used += n;
}

static mtasts_err result(size_t cap)
{
    outcome a = run(big, used, cap, 1, 0, 0), b = run(big, used, cap, 1, used / 2, 1),
            c = run(big, used, cap, 1, OCTETS, 1);
    assert_same(&a, &b);
    assert_same(&a, &c);
    used = 0;
    return a.ended;
}

/* MTASTS_HTTP_OVERHEAD_MAX, to the octet, of a head, of interim heads, of chunk framing. */
static void test_H4_overhead(void **state)
{
    static const char *const starts[] = {HEAD CL5, "HTTP/1.1 100\r\n\r\n" HEAD CL5,
                                         HEAD TE "\r\n1\r\nh\r\n4;",
                                         HEAD TE "\r\n5\r\nhello\r\n0\r\n"};
    static const char *const ends[] = {"\r\n\r\n", "\r\n\r\n", "\r\nello\r\n0\r\n\r\n", "\r\n\r\n"};
    static const size_t body[] = {0, 0, 5, 5};
    size_t i, over;
    (void)state;
    for (i = 0; i < COUNT(starts); i++)
        for (over = 0; over < 2; over++) {
            add(starts[i]);
            add(i == 2 ? "" : "X:");
            fill('x', MTASTS_HTTP_OVERHEAD_MAX + body[i] + over - used - strlen(ends[i]));
            add(ends[i]);
            add(i < 2 ? "hello" : "");
            assert_int_equal(result(5), over ? MTASTS_ERR_HTTP_HEAD_SIZE : MTASTS_OK);
        }
    for (i = 0; i < 3000; i++)
        add("HTTP/1.1 100\r\n\r\n"); /* interim heads without end */
    assert_int_equal(result(5), MTASTS_ERR_HTTP_HEAD_SIZE);
    add(HEAD TE "\r\n");
    for (i = 0; i < 8000; i++)
        add("1\r\nx\r\n"); /* chunks of one octet */
    add("0\r\n\r\n");
    assert_int_equal(result(65536), MTASTS_ERR_HTTP_HEAD_SIZE);
}

static void test_H4_fields(void **state)
{
    size_t over, i;
    (void)state;
    for (over = 0; over < 2; over++) {
        add("HTTP/1.1 100\r\nX: y\r\n\r\n" HEAD);
        for (i = 3; i < MTASTS_HTTP_FIELDS_MAX + over; i++)
            add("X:y\r\n");
        add(CL5 "\r\nhello");
        assert_int_equal(result(5), over ? MTASTS_ERR_HTTP_HEAD_SIZE : MTASTS_OK);
        add(HEAD TE "\r\n0\r\n");
        for (i = 2; i < MTASTS_HTTP_FIELDS_MAX + over; i++)
            add("X:y\r\n");
        add("\r\n");
        assert_int_equal(result(5), over ? MTASTS_ERR_HTTP_HEAD_SIZE : MTASTS_OK);
    }
}

/* MTASTS_HTTP_LINE_MAX: no line that matters is read in part. */
static void test_H4_lines(void **state)
{
    static const struct {
        const char *head, *start, *end, *body;
        char pad;
    } lines[] = {
        {OK200 CL5, "Content-Type: text/plain;", "x", "\r\nhello", 'x'},
        {OK200 CL5, "Content-Type:", "text/plain", "\r\nhello", ' '},
        {OK200 CL5, "Content-Type: text/plain", ";", "\r\nhello", ' '},
        {HEAD CL5, "Content-Encoding: identity", "", "\r\nhello", ' '},
        {HEAD, "Transfer-Encoding:", "chunked", "\r\n5\r\nhello\r\n0\r\n\r\n", ' '},
        {HEAD, "Content-Length: ", "5", "\r\nhello", '0'},
        {HEAD, "Content-Length: 5", "", "\r\nhello", ' '},
        {HEAD, "Content-Length:", "5", "\r\nhello", '\t'},
    };
    size_t i, over;
    (void)state;
    for (i = 0; i < COUNT(lines); i++)
        for (over = 0; over < 2; over++) {
            add(lines[i].head);
            add(lines[i].start);
            fill(lines[i].pad,
                 MTASTS_HTTP_LINE_MAX + over - strlen(lines[i].start) - strlen(lines[i].end));
            add(lines[i].end);
            add("\r\n");
            add(lines[i].body);
            if (!over)
                assert_int_equal(result(5), MTASTS_OK);
            else if (result(5) == MTASTS_OK)
                fail_msg("read in part: %s", lines[i].start);
        }
    for (over = 0; over < 2; over++) {
        add(HEAD TE "\r\n");
        fill('0', MTASTS_HTTP_LINE_MAX - 1 + over);
        add("5\r\nhello\r\n0\r\n\r\n");
        assert_int_equal(result(5), over ? MTASTS_ERR_HTTP_FRAMING : MTASTS_OK);
        add("HTTP/1.1 200 ");
        fill('x', 9999); /* these do not matter */
        add("\r\nContent-Type: text/plain\r\nX:");
        fill('x', 9999);
        add("\r\n" TE "\r\n5;");
        fill(over ? ' ' : 'x', 999);
        add("\r\nhello\r\n0\r\n\r\n");
        assert_int_equal(result(5), MTASTS_OK);
    }
    add(HEAD TE "\r\n5");
    fill(' ', MTASTS_HTTP_LINE_MAX);
    add("5\r\nhello\r\n0\r\n\r\n"); /* a size with another one out of sight */
    assert_int_not_equal(result(5), MTASTS_OK);
}

/* The body: as many octets as the buffer has, and never more than MTASTS_POLICY_MAX. */
static void test_H4_body(void **state)
{
    static const size_t caps[] = {0, 1, 10, 65535, 65536, 65537, 100000};
    static const char *const heads[] = {HEAD "Content-Length: ", HEAD "\r\n", HEAD TE "\r\n"};
    char text[32];
    size_t i, how, over;
    (void)state;
    for (i = 0; i < COUNT(caps); i++)
        for (how = 0; how < COUNT(heads); how++)
            for (over = 0; over < 2; over++) {
                size_t n = (caps[i] < 65536 ? caps[i] : 65536) + over;
                snprintf(text, sizeof text, how ? "%zx\r\n" : "%zu\r\n\r\n", n);
                add(heads[how]);
                add(how == 1 ? "" : text);
                fill('x', n);
                add(how < 2 ? "" : n ? "\r\n0\r\n\r\n" : "\r\n");
                assert_int_equal(result(caps[i]), over ? MTASTS_ERR_HTTP_BODY_SIZE : MTASTS_OK);
            }
    add(HEAD "Content-Length: 655360\r\n\r\n"); /* ten times what there may be, and its digits */
    assert_int_equal(result(65536), MTASTS_ERR_HTTP_BODY_SIZE);
    add(HEAD TE "\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"); /* all chunks together */
    assert_int_equal(result(10), MTASTS_ERR_HTTP_BODY_SIZE);
    assert_int_equal(run(big, strlen(HEAD TE) + 16, 10, 1, 0, 0).ended, MTASTS_ERR_HTTP_BODY_SIZE);
}

/* ---- the same for a host with an HTTP client (H2, H3, H4, P12) ---- */

static void test_H2_check(void **state)
{
    const mtasts_str plain = S("text/plain"), html = S("text/html"), none = {NULL, 0};
    const mtasts_str gzip = S("gzip"), compress = S("compress"), identity = S("Identity");
    const mtasts_str without_octets = {NULL, 8};
    int status;
    (void)state;
    for (status = -1; status < 1100; status++) {
        mtasts_err want = status == 200                    ? MTASTS_OK
                          : status >= 300 && status <= 399 ? MTASTS_ERR_HTTP_REDIRECT
                                                           : MTASTS_ERR_HTTP_STATUS;
        assert_int_equal(mtasts_http_check(status, plain, none, 65536, 1), want);
        if (want) /* told first */
            assert_int_equal(mtasts_http_check(status, html, none, 65537, 0), want);
    }
    assert_int_equal(mtasts_http_check(200, html, none, 65537, 0), MTASTS_ERR_HTTP_MEDIA_TYPE);
    assert_int_equal(mtasts_http_check(200, none, none, 65537, 0), MTASTS_ERR_HTTP_MEDIA_TYPE);
    assert_int_equal(mtasts_http_check(200, plain, compress, 5, 1), MTASTS_ERR_HTTP_CODING);
    assert_int_equal(mtasts_http_check(200, plain, gzip, 65537, 0), MTASTS_ERR_HTTP_CODING);
    assert_int_equal(mtasts_http_check(200, plain, identity, 5, 1), MTASTS_OK);
    assert_int_equal(mtasts_http_check(200, plain, without_octets, 5, 1), MTASTS_ERR_HTTP_CODING);
    assert_int_equal(mtasts_http_check(200, plain, none, 65537, 0), MTASTS_ERR_HTTP_BODY_SIZE);
    assert_int_equal(mtasts_http_check(200, plain, none, 5, 0), MTASTS_ERR_HTTP_INCOMPLETE);
    assert_int_equal(mtasts_http_check(200, plain, none, 65537, 1), MTASTS_ERR_HTTP_BODY_SIZE);
    assert_int_equal(mtasts_http_check(200, plain, none, SIZE_MAX, 1), MTASTS_ERR_HTTP_BODY_SIZE);
    assert_int_equal(mtasts_http_check(200, plain, none, 0, 1), MTASTS_OK);
}

static void check_media_type(const char *value, int expected)
{
    size_t len = strlen(value), t, m;
    char copy[64];
    for (t = 0; t <= len; t++) {
        int ok = mtasts_media_type_ok(fenced(0, 0, value, t), t);
        assert_int_equal(mtasts_media_type_ok(fenced(0, 1, value, t), t), ok);
        if (t == len ? ok != expected : t < 10 && ok)
            fail_msg("%.*s", (int)t, value);
        for (m = 0; t < len && m < sizeof mutants; m++) {
            memcpy(copy, value, len);
            copy[t] = mutants[m];
            ok = mtasts_media_type_ok(fenced(0, (int)(m & 1), copy, len), len);
            assert_true(!ok || memchr(copy, '/', len));
        }
    }
}

static void test_H3_media_types(void **state)
{
    static const char *const yes[] = {
        "text/plain",         "Text/PLAIN",      "text/plain;",       "text/plain; charset=utf-8",
        " \ttext/plain\t \t", "text/plain \t;x", "text/plain;\x1\xff"};
    static const char *const no[] = {"",
                                     "text/plai",
                                     "text/plainx",
                                     "text/plain x",
                                     "text/plain,",
                                     "text/plain/",
                                     "text/ plain",
                                     "xtext/plain",
                                     "text/*",
                                     "text",
                                     "text/html; text/plain",
                                     "\"text/plain\"",
                                     "          ",
                                     ";text/plain",
                                     "text/plain\x1",
                                     "text\x0fplain",
                                     "text/plain\xa0"};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(yes); i++)
        check_media_type(yes[i], 1);
    for (i = 0; i < COUNT(no); i++)
        check_media_type(no[i], 0);
    assert_int_equal(mtasts_media_type_ok(NULL, 0), 0);
    assert_int_equal(mtasts_media_type_ok(NULL, 10), 0);
    assert_int_equal(mtasts_media_type_ok("text/plain\0", 11), 0);
}

/* H6: each error of a look-up is reported as a failed fetch, an invalid policy or a bad certificate. */
static void test_H6_results(void **state)
{
    int err;
    (void)state;
    for (err = -1; err < 100; err++)
        assert_int_equal(mtasts_err_tlsrpt(err),
                         err >= MTASTS_ERR_POLICY_LINE && err <= MTASTS_ERR_POLICY_QUIRK
                             ? MTASTS_TLSRPT_STS_POLICY_INVALID
                         : err == MTASTS_ERR_HTTPS_CERT || err == MTASTS_ERR_CERT_DER
                             ? MTASTS_TLSRPT_STS_WEBPKI_INVALID
                         : err == MTASTS_ERR_HTTPS_CONNECT || err == MTASTS_ERR_POLICY_SIZE
                             ? MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR
                         : err >= MTASTS_ERR_HTTP_SYNTAX && err <= MTASTS_ERR_HTTP_INCOMPLETE
                             ? MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR
                             : MTASTS_TLSRPT_OK);
    assert_string_equal(mtasts_tlsrpt_result_name(MTASTS_TLSRPT_STS_WEBPKI_INVALID),
                        "sts-webpki-invalid");
}

/* ---- addresses (H7) ---- */

static int is_public(const unsigned char *address, size_t len)
{
    int a = mtasts_address_is_public((const unsigned char *)fenced(0, 0, address, len), len);
    assert_int_equal(
        mtasts_address_is_public((const unsigned char *)fenced(0, 1, address, len), len), a);
    return a;
}

static void step(unsigned char *address, size_t len, int by)
{
    do {
        len--;
        address[len] = (unsigned char)(address[len] + by);
    } while (len && address[len] == (by < 0 ? 0xff : 0));
}

static void check_address(const char *text, int by, int expected)
{
    unsigned char a[16];
    size_t len = strchr(text, ':') ? 16 : 4;
    assert_int_equal(inet_pton(len == 16 ? AF_INET6 : AF_INET, text, a), 1);
    if (by)
        step(a, len, by);
    if (is_public(a, len) != expected)
        fail_msg("%s%+d: expected %d", text, by, expected);
    if (len == 4) {
        unsigned char inside[16] = {0, 0x64, 0xff, 0x9b}, mapped[16] = {0}, six[16] = {0x20, 2};
        memcpy(inside + 12, a, 4);
        assert_int_equal(is_public(inside, 16), expected); /* NAT64 */
        inside[11] = 1;
        assert_int_equal(is_public(inside, 16), 0);
        memcpy(mapped + 12, a, 4);
        assert_int_equal(is_public(mapped, 16), 0); /* compatible */
        mapped[10] = mapped[11] = 0xff;
        assert_int_equal(is_public(mapped, 16), 0);
        memcpy(six + 2, a, 4);
        assert_int_equal(is_public(six, 16), 0); /* 6to4 */
    }
}

/* Special blocks: first, last, and whether the addresses before and behind are public (2: none). */
static const struct {
    const char *first, *last;
    int before, behind;
} blocks[] = {
    {"0.0.0.0", "0.255.255.255", 2, 1},
    {"10.0.0.0", "10.255.255.255", 1, 1},
    {"100.64.0.0", "100.127.255.255", 1, 1},
    {"127.0.0.0", "127.255.255.255", 1, 1},
    {"169.254.0.0", "169.254.255.255", 1, 1},
    {"172.16.0.0", "172.31.255.255", 1, 1},
    {"192.0.0.0", "192.0.0.255", 1, 1},
    {"192.0.2.0", "192.0.2.255", 1, 1},
    {"192.88.99.0", "192.88.99.255", 1, 1},
    {"192.168.0.0", "192.168.255.255", 1, 1},
    {"198.18.0.0", "198.19.255.255", 1, 1},
    {"198.51.100.0", "198.51.100.255", 1, 1},
    {"203.0.113.0", "203.0.113.255", 1, 1},
    {"224.0.0.0", "239.255.255.255", 1, 0},
    {"240.0.0.0", "255.255.255.255", 0, 2},
    {"::", "::1", 2, 0},
    {"::ffff:0.0.0.0", "::ffff:255.255.255.255", 0, 0},
    {"64:ff9b::", "64:ff9b::ff:ffff", 0, 1}, /* NAT64 of 0.0.0.0/8 */
    {"64:ff9b::a00:0", "64:ff9b::aff:ffff", 1, 1},
    {"64:ff9b::e000:0", "64:ff9b::ffff:ffff", 1, 0},
    {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", 0, 0},
    {"100::", "100::ffff:ffff:ffff:ffff", 0, 0},
    {"1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 1},
    {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", 1, 1},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1, 1},
    {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, 1},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", 1, 1},
    {"4000::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, 0},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 2},
};

static void test_H7_addresses(void **state)
{
    static const char *const reachable[] = {"8.8.8.8",         "193.0.0.1",   "2a00:1450::1",
                                            "2606:4700::1111", "2620:fe::fe", "2000::"};
    unsigned char any[32];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(blocks); i++) {
        check_address(blocks[i].first, 0, 0);
        check_address(blocks[i].last, 0, 0);
        if (blocks[i].before < 2)
            check_address(blocks[i].first, -1, blocks[i].before);
        if (blocks[i].behind < 2)
            check_address(blocks[i].last, 1, blocks[i].behind);
    }
    for (i = 0; i < COUNT(reachable); i++)
        check_address(reachable[i], 0, 1);
    memset(any, 0x2a, sizeof any);
    for (i = 0; i <= sizeof any; i++) {
        assert_int_equal(is_public(any, i), i == 4 || i == 16);
        assert_int_equal(mtasts_address_is_public(NULL, i), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_H1_names),       cmocka_unit_test(test_H1_name_limits),
        cmocka_unit_test(test_H1_request),     cmocka_unit_test(test_H1_request_errors),
        cmocka_unit_test(test_H1_certificate), cmocka_unit_test(test_H2_good_responses),
        cmocka_unit_test(test_P12_truncated),  cmocka_unit_test(test_null),
        cmocka_unit_test(test_mutated),        cmocka_unit_test(test_H2_H3_bad_responses),
        cmocka_unit_test(test_places),         cmocka_unit_test(test_H4_overhead),
        cmocka_unit_test(test_H4_fields),      cmocka_unit_test(test_H4_lines),
        cmocka_unit_test(test_H4_body),        cmocka_unit_test(test_H2_check),
        cmocka_unit_test(test_H3_media_types), cmocka_unit_test(test_H6_results),
        cmocka_unit_test(test_H7_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
