/* Calls every public function at least once and looks at a few answers: enough to notice that a
 * compiler or a flag broke something. What the answers must be, tests/unit says.
 *
 * Compiled as C and as C++; with -DMTASTS_IMPLEMENTATION or -DMTASTS_STATIC it has the bodies too.
 * -DSECOND_COPY: links with second.c. */
#include "mtasts.h"

#include <stdio.h>
#include <string.h>

#define LIT(literal) (literal), sizeof(literal) - 1 /* pointer and length */
#define CHECK(x)     check((x) ? 1 : 0, __LINE__)

static int failures;

/* Large things are not on the stack, so that -Wframe-larger-than speaks of the header's alone. */
static mtasts_diag diag;
static mtasts_policy policy;
static mtasts_plan plan;
static char out[512];

static void check(int good, int line)
{
    if (good)
        return;
    printf("calls.c:%d: not what it should be\n", line);
    failures++;
}

static int same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static int view_is(mtasts_str view, const char *text, size_t len)
{
    return view.len == len && memcmp(view.ptr, text, len) == 0;
}

/* 1, 2 */
static void strings_and_errors(void)
{
    CHECK(mtasts_version() == MTASTS_VERSION);
    CHECK(MTASTS_PREREQ(0, 0) && !MTASTS_PREREQ(99, 0));
    CHECK(same(mtasts_strerror(MTASTS_OK), "no error"));
    CHECK(same(mtasts_strerror(-1), "unknown error"));
    CHECK(same(mtasts_err_name(MTASTS_ERR_SPACE), "MTASTS_ERR_SPACE"));
    CHECK(same(mtasts_err_section(MTASTS_ERR_POLICY_MODE), "RFC 8461 3.2"));
    CHECK(mtasts_err_tlsrpt(MTASTS_ERR_POLICY_MODE) == MTASTS_TLSRPT_STS_POLICY_INVALID);
    CHECK(same(mtasts_quirk_name(MTASTS_QUIRK_BOM), "bom"));
    CHECK(same(mtasts_quirk_text(MTASTS_QUIRK_BLANK_LINE), "a blank line"));
    CHECK(mtasts_escape(out, sizeof out, LIT("a\n\xff")) == 9 && same(out, "a\\x0a\\xff"));
}

/* 3, 4 */
static void names_and_record(void)
{
    static mtasts_record record;
    static mtasts_str text;
    static mtasts_txt txt;
    CHECK(mtasts_name_normalise(out, LIT("MX.Example.COM."), &diag) == MTASTS_OK);
    CHECK(same(out, "mx.example.com"));
    CHECK(mtasts_name_normalise(out,
                                LIT("b\xc3\xbc"
                                    "cher.example"),
                                &diag) == MTASTS_ERR_NAME_ULABEL);
    CHECK(mtasts_diag_format(out, sizeof out, "host", &diag) == strlen(out));
    CHECK(memcmp(out, "host: the name is not ASCII", 27) == 0);
    text.ptr = "v=STSv1; id=20260131T1200;";
    text.len = strlen(text.ptr);
    txt.strings = &text;
    txt.count = 1;
    CHECK(mtasts_record_select(&record, &txt, 1, &diag) == MTASTS_OK);
    CHECK(same(record.id, "20260131T1200"));
    CHECK(mtasts_record_select(&record, NULL, 0, NULL) == MTASTS_ERR_NO_RECORD);
}

/* 5 */
static void policies(void)
{
    static const char body[] = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\n"
                               "mx: *.example.net.\r\nmax_age: 9999999999\r\n";
    static mtasts_lint lint;
    mtasts_str view;
    size_t cursor = 0;
    CHECK(mtasts_policy_parse(&policy, LIT("mode: enforced\n"), 0, &diag) ==
          MTASTS_ERR_POLICY_MODE);
    CHECK(diag.line == 1 && diag.column == 7);
    CHECK(mtasts_policy_parse(&policy, LIT(body), MTASTS_STRICT, &diag) == MTASTS_ERR_POLICY_QUIRK);
    CHECK(mtasts_policy_parse(&policy, LIT(body), 0, &diag) == MTASTS_OK);
    CHECK(policy.mode == MTASTS_MODE_ENFORCE && policy.mx_count == 2);
    CHECK(policy.max_age == MTASTS_MAX_AGE_MAX);
    CHECK(mtasts_policy_next_mx(&policy, &cursor, &view) && view_is(view, LIT("mx.example.com")));
    CHECK(mtasts_policy_next_mx(&policy, &cursor, &view) && view_is(view, LIT("*.example.net")));
    CHECK(!mtasts_policy_next_mx(&policy, &cursor, &view));
    cursor = 0;
    CHECK(mtasts_policy_next_line(&policy, &cursor, &view) && view_is(view, LIT("version: STSv1")));
    mtasts_lint_init(&lint, LIT(body));
    CHECK(mtasts_lint_next(&lint, &diag) && diag.quirk == MTASTS_QUIRK_TRAILING_DOT);
    CHECK(same(mtasts_mode_name(MTASTS_MODE_TESTING), "testing"));
    CHECK(mtasts_mode_from_name(LIT("none")) == MTASTS_MODE_NONE);
    CHECK(mtasts_mode_from_name(LIT("None")) == -1);
}

/* 6 */
static void writers(void)
{
    static const char canonical[] = "version: STSv1\r\nmode: testing\r\nmx: *.example.com\r\n"
                                    "max_age: 604800\r\n";
    mtasts_str mx;
    size_t len;
    mx.ptr = "*.Example.COM.";
    mx.len = 14;
    CHECK(mtasts_policy_compose(out, sizeof out, &len, MTASTS_MODE_TESTING, 604800, &mx, 1,
                                &diag) == MTASTS_OK);
    CHECK(len == strlen(canonical) && same(out, canonical));
    CHECK(mtasts_policy_write(out, sizeof out, &len, &policy) == MTASTS_OK);
    CHECK(len == strlen(out) && strstr(out, "mx: *.example.net\r\nmax_age: 31557600\r\n"));
    CHECK(mtasts_policy_write(out, 10, &len, &policy) == MTASTS_ERR_SPACE && same(out, ""));
    CHECK(mtasts_record_write(out, sizeof out, &len, LIT("42")) == MTASTS_OK);
    CHECK(same(out, "v=STSv1; id=42;"));
}

/* 7 */
static void https(void)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    static const unsigned char local[4] = {127, 0, 0, 1};
    static const unsigned char global[16] = {0x20, 0x01, 0x0a};
    static mtasts_http http;
    static char body[64];
    mtasts_str type, absent = {NULL, 0};
    size_t len, i;
    CHECK(mtasts_txt_name(out, LIT("Example.com"), &diag) == MTASTS_OK);
    CHECK(same(out, "_mta-sts.example.com"));
    CHECK(mtasts_policy_host(out, LIT("Example.com"), &diag) == MTASTS_OK);
    CHECK(same(out, "mta-sts.example.com"));
    CHECK(mtasts_policy_url(out, LIT("Example.com"), &diag) == MTASTS_OK);
    CHECK(same(out, "https://mta-sts.example.com/.well-known/mta-sts.txt"));
    CHECK(mtasts_http_request(out, sizeof out, &len, LIT("example.com"), NULL, &diag) == MTASTS_OK);
    CHECK(len == strlen(out) && strstr(out, "\r\nHost: mta-sts.example.com\r\n"));
    mtasts_http_init(&http, body, sizeof body);
    for (i = 0; i < sizeof response - 2; i++)
        CHECK(mtasts_http_feed(&http, response + i, 1, &diag) == MTASTS_MORE);
    CHECK(mtasts_http_feed(&http, response + i, 1, &diag) == MTASTS_OK);
    CHECK(mtasts_http_end(&http, 0, &diag) == MTASTS_OK);
    CHECK(http.body_len == 3 && memcmp(body, "abc", 3) == 0);
    type.ptr = "text/plain; charset=utf-8";
    type.len = strlen(type.ptr);
    CHECK(mtasts_media_type_ok(type.ptr, type.len));
    CHECK(mtasts_http_check(200, type, absent, 3, 1) == MTASTS_OK);
    CHECK(mtasts_http_check(301, type, absent, 3, 1) == MTASTS_ERR_HTTP_REDIRECT);
    CHECK(!mtasts_address_is_public(local, sizeof local));
    CHECK(mtasts_address_is_public(global, sizeof global));
}

/* 8, 9 */
static void matching(void)
{
    /* the outline of a certificate for mx.example.com */
    static const unsigned char der[] = {
        0x30, 0x33, 0x30, 0x2c, 0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30,
        0x00, 0x30, 0x00, 0xa3, 0x1d, 0x30, 0x1b, 0x30, 0x19, 0x06, 0x03, 0x55, 0x1d, 0x11,
        0x04, 0x12, 0x30, 0x10, 0x82, 0x0e, 'm',  'x',  '.',  'e',  'x',  'a',  'm',  'p',
        'l',  'e',  '.',  'c',  'o',  'm',  0x30, 0x00, 0x03, 0x01, 0x00};
    mtasts_str names, name;
    size_t cursor = 0;
    int matches;
    CHECK(mtasts_mx_matches(LIT("*.example.com"), LIT("MX.example.com")));
    CHECK(!mtasts_mx_matches(LIT("*.example.com"), LIT("a.b.example.com")));
    CHECK(mtasts_policy_matches(&policy, LIT("mx1.example.net")));
    CHECK(mtasts_policy_find(&policy, LIT("mx1.example.net"), &name));
    CHECK(view_is(name, LIT("*.example.net")));
    CHECK(mtasts_cert_name_matches(LIT("*.example.com"), LIT("mx.example.com")));
    CHECK(!mtasts_cert_name_matches(LIT("*.com"), LIT("example.com")));
    CHECK(mtasts_cert_der_names(der, sizeof der, &names, &diag) == MTASTS_OK);
    CHECK(mtasts_cert_next_name(names, &cursor, &name) && view_is(name, LIT("mx.example.com")));
    CHECK(!mtasts_cert_next_name(names, &cursor, &names));
    CHECK(mtasts_cert_matches(&name, 1, LIT("mx.example.com.")));
    CHECK(mtasts_cert_der_matches(der, sizeof der, LIT("mx.example.com"), &matches) == MTASTS_OK);
    CHECK(matches == 1);
    CHECK(mtasts_cert_der_matches(der, sizeof der - 1, LIT("mx.example.com"), &matches) ==
          MTASTS_ERR_CERT_DER);
}

/* 10, 11 */
static void application(void)
{
    static mtasts_delivery delivery;
    static mtasts_session session;
    static mtasts_verdict verdict;
    delivery.policy = &policy;
    mtasts_apply_plan(&plan, &delivery, LIT("mx.example.org"));
    CHECK(!plan.use && plan.reason == MTASTS_REASON_MX_NOT_LISTED);
    mtasts_apply_plan(&plan, &delivery, LIT("MX.example.com"));
    CHECK(plan.use && plan.tls == MTASTS_TLS_REQUIRED && same(plan.host, "mx.example.com"));
    CHECK(mtasts_plan_same(&plan, &plan));
    mtasts_apply_verdict(&verdict, &plan, NULL);
    CHECK(verdict.action == MTASTS_ACTION_NEXT_MX && verdict.recheck);
    session.starttls = MTASTS_STARTTLS_DONE;
    session.chain = MTASTS_CHAIN_TRUSTED;
    session.name_matches = 1;
    mtasts_apply_verdict(&verdict, &plan, &session);
    CHECK(verdict.action == MTASTS_ACTION_DELIVER && verdict.result == MTASTS_TLSRPT_OK);
    CHECK(same(mtasts_reason_name(MTASTS_REASON_TLS_FAILED), "tls-failed"));
    CHECK(same(mtasts_reason_text(12345), ""));
    CHECK(same(mtasts_action_name(MTASTS_ACTION_NEXT_MX), "next-mx"));
    CHECK(mtasts_action_from_name(LIT("deliver")) == MTASTS_ACTION_DELIVER);
    CHECK(same(mtasts_tlsrpt_result_name(MTASTS_TLSRPT_TLSA_INVALID), "tlsa-invalid"));
    CHECK(mtasts_tlsrpt_result_from_name(LIT("dane-required")) == MTASTS_TLSRPT_DANE_REQUIRED);
    CHECK(same(mtasts_policy_type_name(MTASTS_POLICY_TYPE_STS), "sts"));
    CHECK(mtasts_policy_type_from_name(LIT("no-policy-found")) ==
          MTASTS_POLICY_TYPE_NO_POLICY_FOUND);
}

#if defined(SECOND_COPY)
int second_copy(const char *host, size_t len);
#endif

int main(void)
{
    strings_and_errors();
    names_and_record();
    policies();
    writers();
    https();
    matching();
    application();
#if defined(SECOND_COPY)
    CHECK(second_copy(LIT("mx.example.com")));
#endif
    return failures ? 1 : 0;
}
