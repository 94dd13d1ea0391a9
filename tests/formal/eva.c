/* Drivers for Frama-C's Eva: eva_NAME calls the public function NAME with any octets of any length
 * from 0 to N, and any values elsewhere. `run` says how large N is for each.
 *
 * An input ends where its array ends, so that an octet read behind it is an alarm. Each length is a
 * state of its own (loop unroll): then "at < len" is enough for Eva to know that p[at] is there. */
#include <string.h>

void *formal_memchr(const void *s, int c, size_t n); /* libc.c */
int formal_memcmp(const void *a, const void *b, size_t n);
#define memchr formal_memchr
#define memcmp formal_memcmp

#define MTASTS_IMPLEMENTATION
#define MTASTS_PURE
#include "mtasts.h"

#include "__fc_builtin.h"

#define EACH(len)       for ((len) = 0; (len) <= N; (len)++)
#define END(array, len) ((array) + N + 1 - (len))

static char text[N + 1], other[N + 1], out[N + 1];
static mtasts_diag diag;
static int number;
static unsigned bits;
static size_t count;

static void any(void)
{
    Frama_C_make_unknown(text, sizeof text);
    Frama_C_make_unknown(other, sizeof other);
    Frama_C_make_unknown((char *)&number, sizeof number);
    Frama_C_make_unknown((char *)&bits, sizeof bits);
    Frama_C_make_unknown((char *)&count, sizeof count);
}

#define MAIN(name) void eva_##name(void)

/* With any number. */
#define NUMBER(name)  \
    MAIN(name)        \
    {                 \
        any();        \
        name(number); \
    }

/* With any octets. */
#define OCTETS(name)               \
    MAIN(name)                     \
    {                              \
        size_t n;                  \
        any();                     \
        name(NULL, 0);             \
        name(NULL, count);         \
        /*@ loop unroll N + 1; */  \
        EACH(n)                    \
        {                          \
            name(END(text, n), n); \
        }                          \
    }

/* With any two texts. */
#define PAIR(name)                                       \
    MAIN(name)                                           \
    {                                                    \
        size_t m, n;                                     \
        any();                                           \
        name(NULL, count, text, N);                      \
        name(text, N, NULL, count);                      \
        /*@ loop unroll N + 1; */                        \
        EACH(m)                                          \
        {                                                \
            /*@ loop unroll N + 1; */                    \
            EACH(n)                                      \
            {                                            \
                name(END(text, m), m, END(other, n), n); \
            }                                            \
        }                                                \
    }

/* ==== 1 Version ========================================================================== */

MAIN(mtasts_version)
{
    mtasts_version();
}

/* ==== 2 Strings and errors =============================================================== */

NUMBER(mtasts_strerror)
NUMBER(mtasts_err_name)
NUMBER(mtasts_err_section)
NUMBER(mtasts_err_tlsrpt)

MAIN(mtasts_quirk_name)
{
    any();
    mtasts_quirk_name(bits);
}

MAIN(mtasts_quirk_text)
{
    any();
    mtasts_quirk_text(bits);
}

MAIN(mtasts_diag_format)
{
    size_t n;
    any();
    text[N] = '\0';
    diag.err = (mtasts_err)Frama_C_interval(0, 2147483647);
    diag.quirk = bits;
    diag.line = count;
    Frama_C_make_unknown((char *)&diag.column, sizeof diag.column);
    diag.text = Frama_C_nondet(0, 1) ? other : NULL;
    other[N] = '\0';
    mtasts_diag_format(NULL, 0, NULL, &diag);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_diag_format(END(out, n), n, text, &diag);
    }
}

MAIN(mtasts_escape)
{
    size_t m, n;
    any();
    mtasts_escape(NULL, 0, NULL, count);
    mtasts_escape(NULL, 0, text, N);
    //@ loop unroll N + 1;
    EACH(m)
    {
        //@ loop unroll N + 1;
        EACH(n)
        {
            mtasts_escape(END(out, m), m, END(text, n), n);
        }
    }
}

/* ==== 3 Names ============================================================================ */

static char name[MTASTS_NAME_SIZE];

MAIN(mtasts_name_normalise)
{
    size_t n;
    any();
    mtasts_name_normalise(name, NULL, count, &diag);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_name_normalise(name, END(text, n), n, &diag);
    }
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_name_normalise(NULL, END(text, n), n, NULL);
    }
}

/* ==== 4 TXT record ======================================================================= */

/* A record that begins as it must, and a string of any octets; the same twice; and any octets. */
MAIN(mtasts_record_select)
{
    mtasts_record record;
    mtasts_str strings[2] = {{"v=STSv1;", 8}, {NULL, 0}};
    mtasts_txt records[2];
    size_t n;
    any();
    records[0].strings = NULL;
    records[0].count = count;
    records[1].strings = strings;
    records[1].count = 2;
    mtasts_record_select(NULL, records, 2, &diag);
    mtasts_record_select(&record, NULL, count, &diag);
    //@ loop unroll N + 1;
    EACH(n)
    {
        strings[1].ptr = END(text, n);
        strings[1].len = n;
        mtasts_record_select(&record, records, 2, &diag);
        records[0] = records[1];
        mtasts_record_select(&record, records, 2, &diag);
        records[0].strings = strings + 1;
        records[0].count = 1;
        mtasts_record_select(&record, records, 1, NULL);
        records[0].strings = NULL;
    }
}

/* ==== 5 Policy =========================================================================== */

static mtasts_policy policy;

/* Each octet by itself, as memcpy in Eva is not. */
static void copy(char *to, const char *from, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++)
        to[i] = from[i];
}

/* call(p, len) with any octets behind the prefix. */
#define BEHIND(call, prefix)                       \
    {                                              \
        static char begun[sizeof(prefix) - 1 + N]; \
        size_t n;                                  \
        /*@ loop unroll N + 1; */                  \
        EACH(n)                                    \
        {                                          \
            char *p = begun + N - n;               \
            copy(p, prefix, sizeof(prefix) - 1);   \
            copy(p + sizeof(prefix) - 1, text, n); \
            call(p, sizeof(prefix) - 1 + n);       \
        }                                          \
    }

#define BODIES(call)                 \
    BEHIND(call, "")                 \
    BEHIND(call, "\xef\xbb\xbf")     \
    BEHIND(call, "mx:*.")            \
    BEHIND(call, "mode:enfor")       \
    BEHIND(call, "max_age:99999999") \
    BEHIND(call, "version:STS")      \
    BEHIND(call, "version:STSv1\nmode:none\nmax_age:1\n")

static void parse(const char *p, size_t len)
{
    mtasts_policy_parse(&policy, p, len, bits & MTASTS_STRICT, &diag);
}

MAIN(mtasts_policy_parse)
{
    static char large[MTASTS_POLICY_MAX + 1];
    any();
    mtasts_policy_parse(NULL, text, N, bits, &diag);
    mtasts_policy_parse(&policy, NULL, count, bits, &diag);
    mtasts_policy_parse(&policy, large, sizeof large, bits, &diag); /* too long, or wrong flags */
    BODIES(parse)
}

/* A function of its own: in the drivers Eva joins all states. */
static void lint_all(const char *p, size_t len)
{
    mtasts_lint lint;
    mtasts_lint_init(&lint, p, len);
    while (mtasts_lint_next(&lint, &diag))
        ;
}

MAIN(mtasts_lint_next)
{
    any();
    lint_all(NULL, count);
    BODIES(lint_all)
}

MAIN(mtasts_policy_next_mx)
{
    mtasts_str mx;
    size_t n, cursor = 0;
    any();
    mtasts_policy_next_mx(&policy, &cursor, &mx);
    //@ loop unroll N + 1;
    EACH(n)
    {
        policy.text.ptr = END(text, n);
        policy.text.len = n;
        //@ loop unroll N + 1;
        EACH(cursor)
        {
            size_t at = cursor;
            mtasts_policy_next_mx(&policy, &at, &mx);
        }
    }
}

MAIN(mtasts_policy_next_line)
{
    mtasts_str line;
    size_t n, cursor = 0;
    any();
    mtasts_policy_next_line(&policy, &cursor, &line);
    //@ loop unroll N + 1;
    EACH(n)
    {
        policy.text.ptr = END(text, n);
        policy.text.len = n;
        //@ loop unroll N + 1;
        EACH(cursor)
        {
            size_t at = cursor;
            mtasts_policy_next_line(&policy, &at, &line);
        }
    }
}

MAIN(mtasts_lint_init)
{
    static char large[MTASTS_POLICY_MAX + 1];
    mtasts_lint lint;
    size_t n;
    any();
    mtasts_lint_init(&lint, NULL, count);
    mtasts_lint_init(&lint, large, sizeof large);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_lint_init(&lint, END(text, n), n);
    }
}

NUMBER(mtasts_mode_name)
OCTETS(mtasts_mode_from_name)

/* ==== 6 Policy writer ==================================================================== */

static size_t length;
static char large[200];
static const size_t caps[] = {0, 1, 40, sizeof large};

MAIN(mtasts_policy_compose)
{
    mtasts_str mx[2];
    size_t c, n;
    any();
    mtasts_policy_compose(large, 0, &length, number, bits, NULL, count, &diag);
    mx[1].ptr = NULL;
    mx[1].len = count;
    //@ loop unroll 4;
    for (c = 0; c < 4; c++) {
        //@ loop unroll N + 1;
        EACH(n)
        {
            mx[0].ptr = END(text, n);
            mx[0].len = n;
            mtasts_policy_compose(large + sizeof large - caps[c], caps[c], &length, number, bits,
                                  mx, 1, &diag);
        }
    }
    mtasts_policy_compose(large, sizeof large, &length, number, bits, mx, 2, &diag);
}

MAIN(mtasts_policy_write)
{
    size_t c, n;
    any();
    policy.mode = (mtasts_mode)Frama_C_interval(0, 2147483647);
    policy.max_age = bits;
    policy.text.ptr = NULL;
    policy.text.len = count;
    mtasts_policy_write(large, sizeof large, &length, &policy);
    //@ loop unroll 4;
    for (c = 0; c < 4; c++) {
        //@ loop unroll N + 1;
        EACH(n)
        {
            policy.text.ptr = END(text, n);
            policy.text.len = n;
            mtasts_policy_write(large + sizeof large - caps[c], caps[c], &length, &policy);
        }
    }
}

MAIN(mtasts_record_write)
{
    size_t n, len;
    any();
    mtasts_record_write(NULL, 0, &len, NULL, count);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_record_write(out, sizeof out, &len, END(text, n), n);
    }
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_record_write(END(out, n), n, &len, text, 8);
    }
}

/* ==== 7 HTTPS exchange =================================================================== */

#define NAMED(fun, size)                        \
    MAIN(fun)                                   \
    {                                           \
        static char result[size];               \
        size_t n;                               \
        any();                                  \
        fun(result, NULL, count, &diag);        \
        /*@ loop unroll N + 1; */               \
        EACH(n)                                 \
        {                                       \
            fun(result, END(text, n), n, NULL); \
        }                                       \
    }

NAMED(mtasts_txt_name, MTASTS_NAME_SIZE)
NAMED(mtasts_policy_host, MTASTS_NAME_SIZE)
NAMED(mtasts_policy_url, MTASTS_URL_SIZE)

MAIN(mtasts_http_request)
{
    size_t c, n;
    any();
    other[N] = '\0';
    mtasts_http_request(large, sizeof large, &length, NULL, count, NULL, &diag);
    //@ loop unroll 4;
    for (c = 0; c < 4; c++) {
        //@ loop unroll N + 1;
        EACH(n)
        {
            mtasts_http_request(large + sizeof large - caps[c], caps[c], &length, END(text, n), n,
                                Frama_C_nondet_ptr(NULL, other), &diag);
        }
    }
}

MAIN(mtasts_http_init)
{
    mtasts_http http;
    any();
    mtasts_http_init(&http, NULL, count);
    mtasts_http_init(&http, out, count);
}

/* An octet in any state of the reader, with lines of up to N octets. */
MAIN(mtasts_http_feed)
{
    static mtasts_http http;
    static char octet;
    size_t n;
    int state;
    any();
    mtasts_http_init(&http, out, N);
    mtasts_http_feed(&http, NULL, count, &diag);
    //@ loop unroll 9;
    for (state = MTASTSI_HTTP_STATUS; state <= MTASTSI_HTTP_DONE; state++) {
        //@ loop unroll N + 1;
        EACH(n)
        {
            Frama_C_make_unknown((char *)&http, sizeof http);
            Frama_C_make_unknown(&octet, 1);
            http.body = END(out, 4);
            http.cap_ = 4;
            http.body_len = n < 4 ? n : 4;
            http.state_ = (unsigned)state;
            http.err_ = (mtasts_err)Frama_C_interval(0, 1000);
            http.line_len_ = n;
            mtasts_http_feed(&http, &octet, 1, &diag);
        }
    }
}

/* In any state, not only those that mtasts_http_feed leaves. */
MAIN(mtasts_http_end)
{
    mtasts_http http;
    any();
    Frama_C_make_unknown((char *)&http, sizeof http);
    mtasts_http_end(&http, number, Frama_C_nondet_ptr(&diag, NULL));
}

MAIN(mtasts_http_check)
{
    mtasts_str type, coding, none = {NULL, 0};
    any();
    mtasts_http_check(number, none, none, count, bits != 0);
    //@ loop unroll N + 1;
    EACH(type.len)
    {
        type.ptr = END(text, type.len);
        mtasts_http_check(number, type, none, count, bits != 0);
        //@ loop unroll N + 1;
        EACH(coding.len)
        {
            coding.ptr = END(other, coding.len);
            mtasts_http_check(number, type, coding, count, bits != 0);
        }
    }
}

OCTETS(mtasts_media_type_ok)

MAIN(mtasts_address_is_public)
{
    size_t n;
    any();
    mtasts_address_is_public(NULL, count);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_address_is_public((const unsigned char *)END(text, n), n);
    }
}

/* ==== 8 MX match ========================================================================= */

PAIR(mtasts_mx_matches)

#define POLICY(call)                        \
    {                                       \
        size_t m, n;                        \
        any();                              \
        /*@ loop unroll N + 1; */           \
        EACH(m)                             \
        {                                   \
            policy.text.ptr = END(text, m); \
            policy.text.len = m;            \
            /*@ loop unroll N + 1; */       \
            EACH(n)                         \
            {                               \
                call;                       \
            }                               \
        }                                   \
    }

MAIN(mtasts_policy_find)
{
    mtasts_str mx;
    mtasts_policy_find(NULL, other, N, &mx);
    POLICY(mtasts_policy_find(&policy, END(other, n), n, &mx))
}

MAIN(mtasts_policy_matches)
POLICY(mtasts_policy_matches(&policy, END(other, n), n))

/* ==== 9 Certificate names ================================================================ */

PAIR(mtasts_cert_name_matches)

MAIN(mtasts_cert_matches)
{
    mtasts_str names[2];
    size_t m, n;
    any();
    mtasts_cert_matches(NULL, count, text, N);
    names[0].ptr = NULL;
    names[0].len = count;
    //@ loop unroll N + 1;
    EACH(m)
    {
        names[1].ptr = END(text, m);
        names[1].len = m;
        //@ loop unroll N + 1;
        EACH(n)
        {
            mtasts_cert_matches(names, 2, END(other, n), n);
        }
    }
}

/* A certificate whose one fault are two subjectAltNames, the second with any N octets of names. One
 * octet of it is any, too: a tag, a length, a value. Of the 0x11s it makes another extension, and the
 * certificate good. */
static const unsigned char cert_head[] = {
    0x30, 42 + N, 0x30,   40 + N, 0x02,   0,    0x30, 0,    0x30, 0,    0x30, 0,     0x30, 0, 0x30,
    0,    0xa3,   26 + N, 0x30,   24 + N, 0x30, 9,    0x06, 3,    0x55, 0x1d, 0x11,  0x04, 2, 0x30,
    0,    0x30,   11 + N, 0x06,   3,      0x55, 0x1d, 0x11, 0x01, 0,    0x04, 2 + N, 0x30, N};
static unsigned char certificate[sizeof cert_head + N];

MAIN(mtasts_cert_der_names)
{
    mtasts_str names;
    size_t n;
    any();
    //@ loop unroll 50;
    for (n = 0; n < sizeof cert_head; n++) {
        memcpy(certificate, cert_head, sizeof cert_head);
        memcpy(certificate + sizeof cert_head, text, N);
        certificate[n] = (unsigned char)Frama_C_interval(0, 255);
        mtasts_cert_der_names(certificate, sizeof certificate, &names, &diag);
    }
    mtasts_cert_der_names(NULL, count, &names, &diag);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_cert_der_names((const unsigned char *)END(text, n), n, &names, &diag);
    }
}

MAIN(mtasts_cert_next_name)
{
    mtasts_str names, found;
    size_t cursor = 0;
    any();
    names.ptr = NULL;
    names.len = count;
    mtasts_cert_next_name(names, &cursor, &found);
    //@ loop unroll N + 1;
    EACH(names.len)
    {
        names.ptr = END(text, names.len);
        //@ loop unroll N + 1;
        EACH(cursor)
        {
            size_t at = cursor;
            mtasts_cert_next_name(names, &at, &found);
        }
    }
}

/* The same certificate without its fault. */
MAIN(mtasts_cert_der_matches)
{
    size_t n;
    any();
    memcpy(certificate, cert_head, sizeof cert_head);
    memcpy(certificate + sizeof cert_head, text, N);
    certificate[26] = 0x12; /* of the first extension: it is not subjectAltName */
    mtasts_cert_der_matches(NULL, count, text, N, &number);
    mtasts_cert_der_matches((const unsigned char *)text, N, other, N, &number);
    //@ loop unroll N + 1;
    EACH(n)
    {
        mtasts_cert_der_matches(certificate, sizeof certificate, END(other, n), n, &number);
    }
}

/* ==== 10 Application ===================================================================== */

static mtasts_plan plan;

/* A plan with any members, as mtasts_apply_plan would not write it, too. */
static void any_plan(mtasts_plan *p)
{
    Frama_C_make_unknown((char *)p, sizeof *p);
    p->pattern.ptr = NULL;
}

MAIN(mtasts_plan_same)
{
    mtasts_plan second;
    any_plan(&plan);
    any_plan(&second);
    mtasts_plan_same(&plan, &second);
}

MAIN(mtasts_apply_verdict)
{
    mtasts_session session;
    mtasts_verdict verdict;
    any_plan(&plan);
    Frama_C_make_unknown((char *)&session, sizeof session);
    mtasts_apply_verdict(&verdict, &plan, NULL);
    mtasts_apply_verdict(&verdict, &plan, &session);
}

MAIN(mtasts_apply_plan)
{
    mtasts_delivery delivery;
    Frama_C_make_unknown((char *)&delivery, sizeof delivery);
    Frama_C_make_unknown((char *)&policy, sizeof policy);
    delivery.policy = NULL;
    mtasts_apply_plan(&plan, &delivery, text, N);
    delivery.policy = &policy;
    POLICY(mtasts_apply_plan(&plan, &delivery, END(other, n), n))
}

NUMBER(mtasts_reason_name)
NUMBER(mtasts_reason_text)
NUMBER(mtasts_action_name)
OCTETS(mtasts_action_from_name)

/* ==== 11 TLS reporting =================================================================== */

NUMBER(mtasts_tlsrpt_result_name)
OCTETS(mtasts_tlsrpt_result_from_name)
NUMBER(mtasts_policy_type_name)
OCTETS(mtasts_policy_type_from_name)
