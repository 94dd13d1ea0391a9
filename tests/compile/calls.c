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

#if !defined(MTASTS_PURE)
static char entry_text[MTASTS_ENTRY_MAX];
static const char served[] = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n";

/* 12, 13 */
static void discovery(void)
{
    static mtasts_discovery d;
    static mtasts_request request;
    static mtasts_result result;
    static mtasts_entry entry;
    mtasts_str text;
    mtasts_txt txt;
    size_t len;
    text.ptr = "v=STSv1; id=1";
    text.len = 13;
    txt.strings = &text;
    txt.count = 1;
    CHECK(mtasts_discovery_init(&d, LIT("Example.com"), NULL, 0, 1, 1000, &diag) == MTASTS_OK);
    CHECK(mtasts_discovery_want(&d, &request) == MTASTS_WANT_LOAD);
    CHECK(mtasts_discovery_give_load(&d, request.ticket, 1000, MTASTS_OK, NULL, 0, &diag) ==
          MTASTS_OK);
    CHECK(mtasts_discovery_give_load(&d, request.ticket, 1000, MTASTS_OK, NULL, 0, NULL) ==
          MTASTS_ERR_STALE);
    CHECK(mtasts_discovery_want(&d, &request) == MTASTS_WANT_TXT);
    CHECK(same(request.name, "_mta-sts.example.com"));
    CHECK(mtasts_discovery_give_txt(&d, request.ticket, 1000, MTASTS_OK, &txt, 1, 300) ==
          MTASTS_OK);
    CHECK(mtasts_discovery_want(&d, &request) == MTASTS_WANT_HTTPS);
    CHECK(mtasts_discovery_give_https(&d, request.ticket, 1001, MTASTS_OK, LIT(served)) ==
          MTASTS_OK);
    CHECK(mtasts_discovery_want(&d, &request) == MTASTS_WANT_SAVE);
    mtasts_discovery_result(&d, 1001, &result);
    CHECK(result.learned == MTASTS_LEARNED_POLICY && result.honour && result.keep);
    CHECK(same(mtasts_learned_name((int)result.learned), "policy"));
    CHECK(mtasts_entry_valid(&result.entry, 1000 + 86399));
    CHECK(!mtasts_entry_valid(&result.entry, 1000 + 86400));
    CHECK(mtasts_entry_keep(&result.entry, 1000));
    CHECK(mtasts_entry_write(entry_text, sizeof entry_text, &len, &result.entry) == MTASTS_OK);
    CHECK(mtasts_entry_read(&entry, LIT("example.com"), entry_text, len, 2000, &diag) == MTASTS_OK);
    CHECK(entry.expires == 1000 + 86400 && view_is(entry.policy.text, LIT(served)));
    CHECK(mtasts_discovery_give_save(&d, request.ticket, 1001, MTASTS_OK) == MTASTS_OK);
    mtasts_discovery_cancel(&d);
    CHECK(mtasts_discovery_want(&d, &request) == MTASTS_WANT_DONE);
}

/* 14, 15 */
static void cache(void)
{
    static uint64_t block[4096];
    static mtasts_pool pool;
    static mtasts_cache c;
    static mtasts_cache_config config;
    static mtasts_entry entry;
    mtasts_cursor cursor = {0, 0, 0};
    mtasts_pool_init(&pool, block, sizeof block);
    config.key[0] = 1;
    config.memory.user = &pool;
    config.memory.allocate = mtasts_pool_allocate;
    config.memory.release = mtasts_pool_release;
    CHECK(mtasts_cache_init(&c, &config) == MTASTS_OK);
    entry.domain.ptr = "example.com";
    entry.domain.len = 11;
    entry.fetched = 1000;
    entry.expires = 1300;
    CHECK(mtasts_cache_put(&c, &entry, 1000) == MTASTS_OK);
    mtasts_cache_touch(&c, LIT("example.com"), 1100);
    CHECK(mtasts_cache_get(&c, LIT("example.com"), 1200, &entry) && entry.used == 1100);
    CHECK(!mtasts_cache_due(&c, 1299, &entry) && mtasts_cache_next_due(&c) == 1300);
    CHECK(mtasts_cache_next(&c, &cursor, &entry) && entry.expires == 1300);
    CHECK(mtasts_cache_purge(&c, 1300) == 1);
    CHECK(!mtasts_cache_remove(&c, LIT("example.com")));
    mtasts_cache_clear(&c);
    CHECK(c.stats.octets == 0);
}

static mtasts_client client;

static int64_t clock_now(void *user)
{
    return *(int64_t *)user;
}

static void ask_txt(void *user, uint64_t ticket, const char *name)
{
    mtasts_str text;
    mtasts_txt txt;
    text.ptr = "v=STSv1; id=1";
    text.len = 13;
    txt.strings = &text;
    txt.count = 1;
    CHECK(user && same(name, "_mta-sts.example.com"));
    CHECK(mtasts_client_give_txt(&client, ticket, MTASTS_OK, &txt, 1, 300) == MTASTS_OK);
}

static void ask_https(void *user, uint64_t ticket, const char *domain, const char *host)
{
    CHECK(user && same(domain, "example.com") && same(host, "mta-sts.example.com"));
    CHECK(mtasts_client_give_https(&client, ticket, MTASTS_OK, LIT(served)) == MTASTS_OK);
}

static void load(void *user, uint64_t ticket, const char *domain)
{
    CHECK(user && domain);
    CHECK(mtasts_client_give_load(&client, ticket, MTASTS_OK, NULL, 0) == MTASTS_OK);
}

static void save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    CHECK(user && domain && len < sizeof entry_text);
    memcpy(entry_text, text, len + 1);
    CHECK(mtasts_client_give_save(&client, ticket, MTASTS_OK) == MTASTS_OK);
}

/* 16 */
static void clients(void)
{
    static mtasts_host host;
    static mtasts_lookup lookup;
    static mtasts_entry entry;
    static uint64_t block[16384];
    int64_t now = 1000;
    mtasts_host_init(&host);
    host.user = &now;
    host.clock = clock_now;
    host.txt = ask_txt;
    host.https = ask_https;
    host.load = load;
    host.save = save;
    host.block = block;
    host.block_size = sizeof block;
    host.key[0] = 1;
    CHECK(mtasts_client_init(&client, &host) == MTASTS_OK);
    CHECK(mtasts_client_lookup(&client, &lookup, LIT("example.com"), 0) == MTASTS_OK);
    CHECK(lookup.policy && lookup.policy->mode == MTASTS_MODE_ENFORCE);
    mtasts_client_end(&client, &lookup);
    CHECK(mtasts_client_entry(&client, LIT("example.com"), &entry) && entry.fetched == 1000);
    CHECK(mtasts_client_refresh(&client, LIT("example.com")) == MTASTS_OK);
    CHECK(mtasts_client_tick(&client) > now && mtasts_client_next(&client) > now);
    CHECK(mtasts_client_forget(&client, LIT("example.com")));
    CHECK(mtasts_client_import(&client, LIT("example.com"), entry_text, strlen(entry_text),
                               &diag) == MTASTS_OK);
    CHECK(mtasts_client_cache(&client)->stats.entries[MTASTS_WORTH_ENFORCE] == 1);
    mtasts_client_switch(&client, MTASTS_SWITCH_OFF);
    mtasts_client_clear(&client);
    CHECK(same(mtasts_event_name(MTASTS_EVENT_STALE), "stale"));
    CHECK(same(mtasts_event_text(-1), ""));
}
#endif

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
#if !defined(MTASTS_PURE)
    discovery();
    cache();
    clients();
#endif
#if defined(SECOND_COPY)
    CHECK(second_copy(LIT("mx.example.com")));
#endif
    return failures ? 1 : 0;
}
