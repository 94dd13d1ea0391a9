/* Section 13: discovery (D1 to D9, D12 to D15, D17, H5, H6).
 * Goal: what is asked, learned, honoured and kept is right whatever DNS, HTTPS, store and clock do.
 * Method: scripts of look-ups played against a host of the test's own, with and without a store,
 * the struct moved between all calls; every answer in every state; many seeds; jumping clocks. */
#include "test.h"

#include <time.h>

#define T0     INT64_C(1700000000)
#define DAY    86400
#define YEAR   31557600
#define DOMAIN "example.com"
#define L63    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L60    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define X31    "abcdefghijklmnopqrstuvwxyz01234"
#define X32    X31 "5"

/* ---- the host: what it does is told in words */

typedef struct host {
    int64_t now;
    const char *dns;   /* records, a line each; "!DNS": that error; NULL: must not be asked */
    const char *https; /* the body; "!HTTPS_CERT": that error; NULL: must not be asked */
    uint32_t ttl;
    char store[4096];
    size_t stored; /* octets in it; 0: nothing */
    char calls[8]; /* what was wanted: L, T, H, S, D */
    int moves;     /* the struct is put elsewhere before each call */
    uint64_t random;
} host;

/* "!HTTPS_CERT" as the error of that name. */
static mtasts_err status_of(const char *word)
{
    char name[64];
    int err;
    if (*word != '!')
        return MTASTS_OK;
    snprintf(name, sizeof name, "MTASTS_ERR_%s", word + 1);
    for (err = 0; err < 100; err++)
        if (strcmp(mtasts_err_name(err), name) == 0)
            return (mtasts_err)err;
    fail_msg("no error %s", word);
    return MTASTS_OK;
}

/* The lines as TXT records. */
static size_t split(const char *lines, mtasts_txt *records, mtasts_str *strings)
{
    size_t n = 0;
    while (*lines) {
        strings[n].ptr = lines;
        strings[n].len = strcspn(lines, "\n");
        records[n].strings = &strings[n];
        records[n].count = 1;
        lines += strings[n].len;
        lines += *lines == '\n';
        n++;
    }
    return n;
}

static mtasts_err give_txt(mtasts_discovery *d, uint32_t ticket, int64_t now, const char *dns,
                           uint32_t ttl)
{
    mtasts_txt records[8];
    mtasts_str strings[8];
    mtasts_err status = status_of(dns);
    size_t count = status ? 0 : split(dns, records, strings);
    return mtasts_discovery_give_txt(d, ticket, now, status, count ? records : NULL, count, ttl);
}

static mtasts_err give_https(mtasts_discovery *d, uint32_t ticket, int64_t now, const char *https)
{
    mtasts_err status = status_of(https);
    return mtasts_discovery_give_https(d, ticket, now, status, status ? NULL : https,
                                       status ? 0 : strlen(https));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* What must hold of any entry at any time (D9, H5). */
static void check_entry(const mtasts_discovery *d, const mtasts_entry *e, int64_t now)
{
    static char text[4096];
    mtasts_entry back;
    size_t len;
    assert_true(e->fetched <= now && e->checked <= now && e->used <= now);
    assert_true(e->expires <= add(now, e->policy.text.ptr ? e->policy.max_age : 3600));
    assert_true(e->refresh <= e->expires);
    assert_true(!e->failures || e->retry <= add(now, 3600));
    assert_true(e->domain.ptr > (const char *)d && e->domain.ptr < (const char *)(d + 1));
    assert_true(e->id.ptr > (const char *)d && e->id.ptr < (const char *)(d + 1));
    if (!e->domain.len)
        return;
    assert_int_equal(mtasts_entry_write(text, sizeof text, &len, e), MTASTS_OK);
    assert_int_equal(mtasts_entry_read(&back, e->domain.ptr, e->domain.len, text, len, now, NULL),
                     MTASTS_OK);
    assert_true(back.expires == e->expires && back.refresh == e->refresh);
}

/* What must hold of any result at any time. */
static void check_result(const mtasts_discovery *d, int64_t now, mtasts_result *r)
{
    DIRTY(*r);
    mtasts_discovery_result(d, now, r);
    now = now < 0 ? 0 : now;
    check_entry(d, &r->entry, now);
    assert_in_range(r->learned, MTASTS_LEARNED_NOTHING, MTASTS_LEARNED_FAILED);
    assert_non_null(r->diag.text);
    if (r->learned == MTASTS_LEARNED_POLICY)
        assert_int_equal(r->diag.err, MTASTS_OK);
    else if (r->learned != MTASTS_LEARNED_NOTHING)
        assert_int_not_equal(r->diag.err, MTASTS_OK);
    assert_true(r->honour == (r->policy.text.ptr != NULL));
    if (!r->honour)
        assert_true(all_zero(&r->policy, sizeof r->policy));
    if (r->fetched)
        assert_true(r->honour && r->learned == MTASTS_LEARNED_POLICY && !r->failed);
    else
        assert_int_equal(r->honour,
                         r->entry.policy.text.ptr && mtasts_entry_valid(&r->entry, now)); /* D1 */
    if (r->failed)
        assert_true(r->learned != MTASTS_LEARNED_POLICY && r->entry.failures > 0);
    assert_true(!mtasts_entry_valid(&r->entry, now) || r->keep);
    assert_true(!r->keep || mtasts_entry_valid(&r->entry, now) ||
                (r->entry.failures && now < r->entry.retry));
}

/* The struct somewhere else, and its old place unusable. */
static mtasts_discovery *move(mtasts_discovery *d, int moves)
{
    mtasts_discovery *to;
    if (!moves)
        return d;
    to = malloc(sizeof *to);
    assert_non_null(to);
    memcpy(to, d, sizeof *to);
    memset(d, 0xa5, sizeof *d);
    free(d);
    return to;
}

static void save(const mtasts_discovery *d, host *h)
{
    mtasts_result r;
    check_result(d, h->now, &r);
    assert_int_equal(mtasts_entry_write(h->store, sizeof h->store, &h->stored, &r.entry),
                     MTASTS_OK);
}

/* Do what is wanted and answer. */
static void serve(mtasts_discovery *d, const mtasts_request *q, host *h)
{
    static char loaded[sizeof h->store]; /* kept until the end, unlike the store */
    mtasts_err err = MTASTS_OK;
    assert_true(strlen(h->calls) < sizeof h->calls - 1);
    h->calls[strlen(h->calls)] = " LTHSD"[q->want];
    assert_string_equal(q->domain, DOMAIN);
    assert_string_equal(q->name, q->want == MTASTS_WANT_TXT     ? "_mta-sts." DOMAIN
                                 : q->want == MTASTS_WANT_HTTPS ? "mta-sts." DOMAIN
                                                                : "");
    if (q->want == MTASTS_WANT_LOAD) {
        memcpy(loaded, h->store, h->stored);
        err = mtasts_discovery_give_load(d, q->ticket, h->now, MTASTS_OK, h->stored ? loaded : NULL,
                                         h->stored, NULL);
        assert_true(!err || mtasts_err_name((int)err)[11] == 'E');
        return;
    }
    if (q->want == MTASTS_WANT_TXT && h->dns)
        err = give_txt(d, q->ticket, h->now, h->dns, h->ttl);
    else if (q->want == MTASTS_WANT_HTTPS && h->https)
        err = give_https(d, q->ticket, h->now, h->https);
    else if (q->want == MTASTS_WANT_SAVE)
        save(d, h);
    else if (q->want == MTASTS_WANT_DROP)
        h->stored = 0;
    else
        fail_msg("%s must not be asked", q->name);
    if (q->want >= MTASTS_WANT_SAVE)
        err = mtasts_discovery_give_save(d, q->ticket, h->now, MTASTS_OK);
    assert_int_equal(err, MTASTS_OK);
}

/* One look-up to its end. The result's texts are good until the next. */
static void look_up(host *h, const mtasts_entry *entry, unsigned flags, mtasts_result *r)
{
    static mtasts_discovery *d;
    mtasts_request q, again;
    uint32_t ticket = 0;
    if (!d)
        d = malloc(sizeof *d);
    assert_non_null(d);
    memset(h->calls, 0, sizeof h->calls);
    assert_int_equal(
        mtasts_discovery_init(d, "Example.COM.", 12, entry, flags, h->random++, h->now, NULL),
        MTASTS_OK);
    for (;;) {
        d = move(d, h->moves);
        check_result(d, h->now, r);
        if (mtasts_discovery_want(d, &q) == MTASTS_WANT_DONE)
            break;
        d = move(d, h->moves);
        assert_int_equal(mtasts_discovery_want(d, &again), q.want);
        assert_int_equal(again.ticket, q.ticket);
        assert_true(!*h->calls || q.ticket != ticket);
        ticket = q.ticket;
        d = move(d, h->moves);
        mtasts_discovery_want(d, &q);
        serve(d, &q, h);
    }
}

/* ---- scripts of look-ups */

#define POLICY(mode, mx, max_age) \
    "version: STSv1\nmode: " mode "\nmx: " mx "\nmax_age: " #max_age "\n"
#define ENFORCE  POLICY("enforce", "a.example.com", 604800)
#define ENFORCE2 POLICY("enforce", "b.example.com", 86400)
#define TESTING  POLICY("testing", "a.example.com", 1296000)
#define SECOND   POLICY("enforce", "a.example.com", 1)
#define SECOND2  POLICY("enforce", "b.example.com", 1)
#define MINUTE   POLICY("enforce", "a.example.com", 60)
#define NEVER    POLICY("enforce", "a.example.com", 0)
#define NONE     "version: STSv1\nmode: none\nmax_age: 86400\n"
#define ID(id)   "v=STSv1; id=" id ";"
#define AGAIN    MTASTS_REFRESH

typedef struct step {
    int64_t wait; /* before it */
    const char *dns, *https;
    unsigned flags;
    const char *calls; /* with a store; without one, T and H of it */
    const char *learned;
    const char *err;    /* of the result's diag; "" none */
    const char *honour; /* the policy's text */
} step;

typedef struct script {
    const char *name;
    step steps[5];
} script;

#define FOUND(wait, id, policy)                               \
    {                                                         \
        wait, ID(id), policy, 0, "LTHS", "policy", "", policy \
    }
#define HIT(wait, id, policy)                             \
    {                                                     \
        wait, ID(id), NULL, 0, "LT", "policy", "", policy \
    }
#define GONE "!NO_RECORD"
#define NOTHING(wait)                                 \
    {                                                 \
        wait, GONE, NULL, 0, "LT", "none", GONE, NULL \
    }

/* The numbers after "scenario" and "peers" are those of the collected cases of other projects.
 * Of scenarios 1 to 45 these are for the cache: 12 (twice in one store), 17 (the count of hits),
 * 27; for the client: 14 to 16 (what becomes of the connection), 18; for section 12: 26. Of the
 * peers' list, 3, 11 to 13 are for sections 5, 8 and 10, 11 also for test_max_age, 14 for
 * test_unfit_entries. Where scenarios 28 and 29 are at odds with RFC 8461, the RFC decides. */
/* clang-format off */
static const script scripts[] = {
    {"scenario 1, 9, 38, 39: nothing anywhere", {NOTHING(0), NOTHING(1)}},
    {"scenario 2, 5: found, and found again unchanged", {FOUND(0, "123", TESTING),
        HIT(5, "123", TESTING)}},
    {"scenario 3: another replaces it", {FOUND(0, "123", TESTING), FOUND(9, "124", ENFORCE),
        HIT(9, "124", ENFORCE)}},
    {"scenario 4, 6, 7, 8, 10, 11, 15: same id, no fetch", {FOUND(0, "124", MINUTE),
        HIT(59, "124", MINUTE)}},
    {"scenario 13, 17, 23: asked twice, equal answers, nothing is written", {
        FOUND(0, "1", ENFORCE2), HIT(2, "1", ENFORCE2), HIT(0, "1", ENFORCE2)}},
    {"scenario 14: renewed, and stored exactly once", {FOUND(0, "test123", ENFORCE2),
        {300, ID("test123"), ENFORCE2, AGAIN, "LTHS", "policy", "", ENFORCE2}}},
    {"scenario 19: expired, same id, another policy", {FOUND(0, "1", SECOND),
        FOUND(2, "1", SECOND2)}},
    {"scenario 20, peers 8: expired is fetched again", {FOUND(0, "1", MINUTE),
        FOUND(60, "1", MINUTE)}},
    {"scenario 21: expired and no record", {FOUND(0, "1", SECOND),
        {2, GONE, NULL, 0, "LT", "none", GONE, NULL}, NOTHING(1)}},
    {"scenario 22: one second, two seconds apart", {FOUND(0, "1", SECOND), FOUND(2, "1", SECOND)}},
    {"scenario 24: a second is a second", {FOUND(0, "1", SECOND), HIT(0, "1", SECOND),
        FOUND(1, "1", SECOND)}},
    {"scenario 24, 28, 29, D17: max_age 0 serves this delivery only", {
        {0, ID("1"), NEVER, 0, "LTHD", "policy", "", NEVER},
        {0, ID("1"), NEVER, 0, "LTHD", "policy", "", NEVER}, NOTHING(0)}},
    {"D17: max_age 0 ends what was kept", {FOUND(0, "1", ENFORCE),
        {9, ID("2"), NEVER, 0, "LTHD", "policy", "", NEVER}, NOTHING(0)}},
    {"scenario 25, 32, D1: expired and the fetch fails", {FOUND(0, "1", SECOND),
        {2, ID("1"), "!HTTPS_CONNECT", 0, "LTHS", "failed", "!HTTPS_CONNECT", NULL}}},
    {"scenario 32: expired, another id, the fetch fails", {FOUND(0, "1", SECOND),
        {2, ID("2"), "!HTTP_STATUS", 0, "LTHS", "failed", "!HTTP_STATUS", NULL}}},
    {"scenario 30, 34, D2: another id", {FOUND(0, "1234", ENFORCE), FOUND(5, "2345", ENFORCE2)}},
    {"scenario 31, 33, peers 1, D3: another id and the fetch fails", {FOUND(0, "124", ENFORCE),
        {9, ID("125"), "!HTTPS_CONNECT", 0, "LTHS", "failed", "!HTTPS_CONNECT", ENFORCE},
        {9, ID("125"), NULL, 0, "LT", "failed", "!HTTPS_CONNECT", ENFORCE},
        FOUND(600, "125", TESTING)}},
    {"D3: another id and no policy there", {FOUND(0, "1", ENFORCE),
        {9, ID("2"), "<html>", 0, "LTHS", "failed", "!POLICY_LINE", ENFORCE},
        {300, ID("1"), NULL, 0, "LT", "policy", "", ENFORCE}}},
    {"scenario 35, 37, peers 2, D1: the record is gone", {FOUND(0, "1", ENFORCE),
        {9, GONE, NULL, 0, "LT", "none", GONE, ENFORCE},
        {604790, "", NULL, 0, "LT", "none", GONE, ENFORCE},
        {1, GONE, NULL, 0, "LT", "none", GONE, NULL}}},
    {"scenario 36: all is gone", {FOUND(0, "1", ENFORCE2),
        {9, GONE, NULL, 0, "LT", "none", GONE, ENFORCE2},
        {600, GONE, "!HTTPS_CONNECT", AGAIN, "LTHS", "none", "!HTTPS_CONNECT", ENFORCE2}}},
    {"scenario 40, 41, 42, 43, D7, D15: DNS fails and nothing is known", {
        {0, "!DNS", NULL, 0, "LT", "temporary", "!DNS", NULL}, FOUND(0, "1", ENFORCE)}},
    {"D1, D15: DNS fails and a policy is known", {FOUND(0, "1", ENFORCE),
        {9, "!DNS", NULL, 0, "LT", "temporary", "!DNS", ENFORCE},
        {0, "!DNS_BOGUS", NULL, 0, "LT", "temporary", "!DNS_BOGUS", ENFORCE},
        {0, "!DNS_CNAME", NULL, 0, "LT", "temporary", "!DNS_CNAME", ENFORCE}}},
    {"scenario 44, D12: too many aliases", {
        {0, "!DNS_CNAME", NULL, 0, "LT", "temporary", "!DNS_CNAME", NULL}}},
    {"D7: a wrong signature", {{0, "!DNS_BOGUS", NULL, 0, "LT", "temporary", "!DNS_BOGUS", NULL}}},
    {"D1: DNS fails and the policy has expired", {FOUND(0, "1", SECOND),
        {1, "!DNS", NULL, 0, "LT", "temporary", "!DNS", NULL}}},
    {"scenario 45, T6: a record that does not count", {FOUND(0, "1", ENFORCE),
        {1, "v=STSv1; id=;", NULL, 0, "LT", "none", "!RECORD_ID", ENFORCE},
        {1, "v=STSv1;", NULL, 0, "LT", "none", "!RECORD_NO_ID", ENFORCE}}},
    {"peers 9: other TXT records beside it", {
        {0, "v=spf1 -all\n" ID("1"), ENFORCE, 0, "LTHS", "policy", "", ENFORCE}}},
    {"peers 10: two records", {FOUND(0, "1", ENFORCE),
        {1, ID("1") "\n" ID("2"), NULL, 0, "LT", "none", "!MULTIPLE_RECORDS", ENFORCE}}},
    {"peers 4: the first of two counts", {{0, ID("1"), ENFORCE "max_age: 1\nmode: x\n", 0, "LTHS",
        "policy", "", ENFORCE "max_age: 1\nmode: x\n"}, HIT(2, "1",
        ENFORCE "max_age: 1\nmode: x\n")}},
    {"peers 5, D4: none replaces enforce and is kept", {FOUND(0, "1", ENFORCE), FOUND(9, "2", NONE),
        HIT(9, "2", NONE), {0, "!DNS", NULL, 0, "LT", "temporary", "!DNS", NONE}}},
    {"peers 6: larger than 64 KiB", {
        {0, ID("1"), "!POLICY_SIZE", 0, "LTHS", "failed", "!POLICY_SIZE", NULL}}},
    {"peers 7: another status than 200", {FOUND(0, "1", ENFORCE),
        {1, ID("2"), "!HTTP_STATUS", 0, "LTHS", "failed", "!HTTP_STATUS", ENFORCE}}},
    {"peers 8, D2: the same id does not make it live longer", {FOUND(0, "1", MINUTE),
        HIT(30, "1", MINUTE), HIT(29, "1", MINUTE), FOUND(1, "1", ENFORCE)}},
    {"peers 15, H5: no policy, and no second try", {
        {0, ID("1"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL},
        {299, ID("1"), NULL, 0, "LT", "failed", "!HTTPS_CERT", NULL},
        {0, ID("1"), NULL, AGAIN, "LT", "failed", "!HTTPS_CERT", NULL},
        {301, ID("1"), "!HTTPS_CONNECT", 0, "LTHS", "failed", "!HTTPS_CONNECT", NULL},
        {1200, ID("1"), ENFORCE, 0, "LTHS", "policy", "", ENFORCE}}},
    {"H5: another id may be tried", {
        {0, ID("1"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL},
        FOUND(1, "2", NONE)}},
    {"H5: two ids that take turns are two tries, not one each time", {
        {0, ID("1"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL},
        {1, ID("2"), "!HTTP_STATUS", 0, "LTHS", "failed", "!HTTP_STATUS", NULL},
        {1, ID("1"), NULL, 0, "LT", "failed", "!HTTP_STATUS", NULL},
        {590, ID("3"), NULL, 0, "LT", "failed", "!HTTP_STATUS", NULL}, FOUND(700, "2", ENFORCE)}},
    {"H5, D17: ids are equal or not", {
        {0, ID("a"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL}, FOUND(0, "A", NONE),
        HIT(0, "A", NONE), FOUND(0, "0A", TESTING)}},
    {"D17: ids differ by their last character", {FOUND(0, X31 "5", ENFORCE),
        HIT(1, X31 "5", ENFORCE), FOUND(1, X31 "6", TESTING),
        {1, ID(X31 "7"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", TESTING},
        {1, ID(X31 "8"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", TESTING}}},
    {"H5: a pause outlives the record", {
        {0, ID("1"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL}, NOTHING(1),
        {1, ID("1"), NULL, 0, "LT", "failed", "!HTTPS_CERT", NULL},
        {600, GONE, NULL, 0, "LT", "none", GONE, NULL}, NOTHING(1)}},
    {"H5: a pause outlives DNS", {
        {0, ID("1"), "!HTTPS_CERT", 0, "LTHS", "failed", "!HTTPS_CERT", NULL},
        {600, "!DNS", NULL, 0, "LT", "temporary", "!DNS", NULL}}},
    {"D14: refreshed with the same id", {FOUND(0, "1", ENFORCE),
        {299, ID("1"), NULL, AGAIN, "LT", "policy", "", ENFORCE},
        {1, ID("1"), ENFORCE2, AGAIN, "LTHS", "policy", "", ENFORCE2}, HIT(1, "1", ENFORCE2)}},
    {"D14: refreshed while DNS fails", {FOUND(0, "1", ENFORCE),
        {DAY, "!DNS", ENFORCE2, AGAIN, "LTHS", "policy", "", ENFORCE2}, HIT(1, "1", ENFORCE2)}},
    {"D14: refreshed though the record is gone", {FOUND(0, "1", ENFORCE),
        {DAY, GONE, ENFORCE2, AGAIN, "LTHS", "policy", "", ENFORCE2}, HIT(1, "1", ENFORCE2)}},
    {"D14: refreshed with a new id", {FOUND(0, "1", ENFORCE),
        {1, ID("2"), ENFORCE2, AGAIN, "LTHS", "policy", "", ENFORCE2}, HIT(1, "2", ENFORCE2)}},
    {"D3, D5: a refresh fails", {FOUND(0, "1", ENFORCE),
        {DAY, ID("1"), "!HTTPS_CERT", AGAIN, "LTHS", "failed", "!HTTPS_CERT", ENFORCE},
        {299, ID("1"), NULL, AGAIN, "LT", "failed", "!HTTPS_CERT", ENFORCE}, HIT(0, "1", ENFORCE),
        {301, ID("1"), ENFORCE, AGAIN, "LTHS", "policy", "", ENFORCE}}},
    {"D3, D14: a refresh fails and DNS too", {FOUND(0, "1", ENFORCE),
        {DAY, "!DNS", "!HTTP_STATUS", AGAIN, "LTHS", "temporary", "!HTTP_STATUS", ENFORCE},
        {299, "!DNS", NULL, AGAIN, "LT", "temporary", "!DNS", ENFORCE}}},
    {"D14: nothing to refresh", {
        {0, GONE, NULL, AGAIN, "LT", "none", GONE, NULL},
        {0, "!DNS", NULL, AGAIN, "LT", "temporary", "!DNS", NULL},
        {0, ID("1"), ENFORCE, AGAIN, "LTHS", "policy", "", ENFORCE}}},
    {"empty policy", {{0, ID("1"), "", 0, "LTHS", "failed", "!POLICY_NO_VERSION", NULL}}},
    {"the host's own limit", {
        {0, ID("1"), "!LIMIT", 0, "LTH", "temporary", "!LIMIT", NULL}, FOUND(0, "1", ENFORCE),
        {DAY, ID("1"), "!LIMIT", AGAIN, "LTH", "temporary", "!LIMIT", ENFORCE},
        {0, ID("2"), "!LIMIT", 0, "LTH", "temporary", "!LIMIT", ENFORCE}, FOUND(0, "2", TESTING)}},
};
/* clang-format on */

/* Calls without those of the store. */
static void without_store(char *calls)
{
    char *to = calls;
    for (; *calls; calls++)
        if (*calls == 'T' || *calls == 'H')
            *to++ = *calls;
    *to = '\0';
}

static void check_step(const char *name, const step *s, const host *h, const mtasts_result *r,
                       int has_store)
{
    char calls[8];
    strcpy(calls, s->calls);
    if (!has_store)
        without_store(calls);
    if (strcmp(h->calls, calls) != 0 || strcmp(mtasts_learned_name((int)r->learned), s->learned))
        fail_msg("%s: after %d s: %s, %s", name, (int)s->wait, h->calls,
                 mtasts_learned_name((int)r->learned));
    if (r->diag.err != status_of(s->err))
        fail_msg("%s: after %d s: %s", name, (int)s->wait, mtasts_err_name((int)r->diag.err));
    if (r->honour != (s->honour != NULL))
        fail_msg("%s: after %d s: honour %d", name, (int)s->wait, r->honour);
    if (s->honour)
        assert_str(r->policy.text, s->honour);
    assert_int_equal(r->fetched, strchr(calls, 'H') && s->https[0] != '!' && s->honour &&
                                     strcmp(s->honour, s->https) == 0);
    assert_int_equal(r->failed,
                     strchr(calls, 'H') && !r->fetched && r->diag.err != MTASTS_ERR_LIMIT);
    if (r->failed) {
        assert_int_equal(r->entry.failed, r->diag.err);
        assert_int_not_equal(mtasts_err_tlsrpt((int)r->entry.failed), MTASTS_TLSRPT_OK); /* H6 */
    }
}

/* How what is known gets from one look-up to the next. */
enum { BY_STORE, BY_ENTRY, BY_BOTH, WAYS };

/* Plays a script; what was known after each step is appended to `all`. */
static void play(const script *s, int way, int moves, uint64_t random, char *all)
{
    static host h;
    mtasts_entry entry;
    mtasts_result r;
    char kept[4096], text[4096];
    size_t i, len;
    memset(&h, 0, sizeof h);
    memset(&entry, 0, sizeof entry);
    h.now = T0;
    h.ttl = 300;
    h.moves = moves;
    h.random = random;
    for (i = 0; i < COUNT(s->steps) && s->steps[i].calls; i++) {
        const step *p = &s->steps[i];
        h.now += p->wait;
        h.dns = p->dns;
        h.https = p->https;
        look_up(&h, way == BY_STORE ? NULL : &entry,
                p->flags | (way == BY_ENTRY ? MTASTS_NO_STORE : 0), &r);
        check_step(s->name, p, &h, &r, way != BY_ENTRY);
        /* what the last result pointed to is gone by the next look-up */
        assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &r.entry), MTASTS_OK);
        memcpy(kept, text, len);
        strcat(all, text);
        assert_int_equal(mtasts_entry_read(&entry, NULL, 0, kept, len, h.now, NULL), MTASTS_OK);
    }
}

/* Each script in each way; where the struct lies makes no difference. */
static void test_scripts(void **state)
{
    static char still[5 * 4096], moved[sizeof still];
    size_t i;
    int way;
    uint64_t random;
    (void)state;
    for (i = 0; i < COUNT(scripts); i++)
        for (way = 0; way < WAYS; way++)
            for (random = 0; random < 12; random++) {
                *still = *moved = '\0';
                play(&scripts[i], way, 0, random * UINT64_C(0x100000001), still);
                play(&scripts[i], way, 1, random * UINT64_C(0x100000001), moved);
                assert_string_equal(moved, still);
            }
}

/* ---- one step at a time */

static mtasts_want want(mtasts_discovery *d)
{
    mtasts_request q;
    DIRTY(q);
    return mtasts_discovery_want(d, &q);
}

static uint32_t ticket(mtasts_discovery *d)
{
    mtasts_request q;
    mtasts_discovery_want(d, &q);
    return q.ticket;
}

static mtasts_err load(mtasts_discovery *d, int64_t now, mtasts_err status, const char *text,
                       size_t len, mtasts_diag *diag)
{
    return mtasts_discovery_give_load(d, ticket(d), now, status, text, len, diag);
}

/* What is given as known is all that there is: the store has nothing. */
static void begin(mtasts_discovery *d, const mtasts_entry *entry, unsigned flags, int64_t now)
{
    assert_int_equal(mtasts_discovery_init(d, DOMAIN, strlen(DOMAIN), entry, flags, 1, now, NULL),
                     MTASTS_OK);
    if (entry && !(flags & MTASTS_NO_STORE))
        assert_int_equal(load(d, now, MTASTS_OK, NULL, 0, NULL), MTASTS_OK);
}

/* A policy of id 1, fetched at T0. */
static mtasts_entry known(const char *policy)
{
    static const mtasts_entry none;
    mtasts_entry e = none;
    assert_int_equal(mtasts_policy_parse(&e.policy, policy, strlen(policy), 0, NULL), MTASTS_OK);
    e.domain.ptr = DOMAIN;
    e.domain.len = strlen(DOMAIN);
    e.id.ptr = "1";
    e.id.len = 1;
    e.fetched = e.checked = e.used = T0;
    e.expires = T0 + e.policy.max_age;
    e.refresh = T0 + e.policy.max_age / 2;
    return e;
}

/* The states that a discovery can be in, and how it gets there. */
typedef enum state { REFUSED, LOAD, TXT, HTTPS, SAVE, DROP, DONE, CANCELLED, STATES } state;

static void enter(mtasts_discovery *d, state s)
{
    mtasts_entry e = known(ENFORCE);
    if (s == REFUSED) {
        mtasts_discovery_init(d, "a/b", 3, NULL, 0, 1, T0, NULL);
        return;
    }
    begin(d, s == DROP || s == CANCELLED ? &e : NULL, 0, T0 + 9);
    if (s > LOAD && want(d) == MTASTS_WANT_LOAD)
        load(d, T0 + 9, MTASTS_OK, NULL, 0, NULL);
    if (s > TXT)
        give_txt(d, ticket(d), T0 + 9, ID("2"), 300);
    if (s > HTTPS)
        give_https(d, ticket(d), T0 + 9, s == DROP || s == CANCELLED ? NEVER : ENFORCE);
    if (s == DONE)
        mtasts_discovery_give_save(d, ticket(d), T0 + 9, MTASTS_OK);
    if (s == CANCELLED)
        mtasts_discovery_cancel(d);
}

static const mtasts_want wanted[STATES] = {
    MTASTS_WANT_DONE, MTASTS_WANT_LOAD, MTASTS_WANT_TXT,  MTASTS_WANT_HTTPS,
    MTASTS_WANT_SAVE, MTASTS_WANT_DROP, MTASTS_WANT_DONE, MTASTS_WANT_DONE,
};

typedef enum kind { GIVE_LOAD, GIVE_TXT, GIVE_HTTPS, GIVE_SAVE, KINDS } kind;

static mtasts_err answer(mtasts_discovery *d, kind k, uint32_t to, int status)
{
    static const mtasts_str string = {ID("7"), 14};
    static const mtasts_txt record = {&string, 1};
    mtasts_err err = (mtasts_err)status;
    if (k == GIVE_LOAD)
        return mtasts_discovery_give_load(d, to, T0 + 10, err, NULL, 0, NULL);
    if (k == GIVE_TXT)
        return mtasts_discovery_give_txt(d, to, T0 + 10, err, &record, 1, 60);
    if (k == GIVE_HTTPS)
        return mtasts_discovery_give_https(d, to, T0 + 10, err, TESTING, strlen(TESTING));
    return mtasts_discovery_give_save(d, to, T0 + 10, err);
}

/* What a status counts as, if the answer tells nothing else. */
static mtasts_err counts_as(kind k, int status)
{
    mtasts_err err = (mtasts_err)status;
    if (k == GIVE_TXT)
        return !status || err == MTASTS_ERR_NO_RECORD || err == MTASTS_ERR_DNS_BOGUS ||
                       err == MTASTS_ERR_DNS_CNAME
                   ? err
                   : MTASTS_ERR_DNS;
    return k != GIVE_HTTPS ? MTASTS_OK
           : !status || err == MTASTS_ERR_LIMIT || mtasts_err_tlsrpt(status) != MTASTS_TLSRPT_OK
               ? err
               : MTASTS_ERR_HTTPS_CONNECT;
}

static void check_answer(const mtasts_discovery *d, state s, kind k, uint32_t to, int status)
{
    static const kind answers[] = {KINDS,     GIVE_LOAD, GIVE_TXT, GIVE_HTTPS,
                                   GIVE_SAVE, GIVE_SAVE, KINDS,    KINDS};
    mtasts_discovery copy = *d, before;
    mtasts_result r;
    mtasts_err err, expected = MTASTS_OK;
    int done = wanted[s] == MTASTS_WANT_DONE;
    if (done || to != ticket(&copy))
        expected = MTASTS_ERR_STALE;
    else if (answers[s] != k)
        expected = MTASTS_ERR_USAGE;
    memcpy(&copy, d, sizeof copy);
    err = answer(&copy, k, to, status);
    if (err != expected)
        fail_msg("state %d, answer %d, status %d: %s", (int)s, (int)k, status,
                 mtasts_err_name((int)err));
    if (err) {
        assert_memory_equal(&copy, d, sizeof copy);
        return;
    }
    assert_int_not_equal(ticket(&copy), to);
    check_result(&copy, T0 + 10, &r);
    assert_int_equal(r.diag.err, counts_as(k, status));
    memcpy(&before, &copy, sizeof before);
    assert_int_equal(answer(&copy, k, to, status), MTASTS_ERR_STALE);
    assert_memory_equal(&copy, &before, sizeof copy);
}

/* A late answer, a second one or one of another kind changes nothing; any status is understood. */
static void test_answers(void **state_)
{
    mtasts_discovery d;
    int s, k, status;
    size_t t;
    (void)state_;
    for (s = 0; s < STATES; s++) {
        uint32_t tickets[6];
        enter(&d, (state)s);
        assert_int_equal(want(&d), wanted[s]);
        tickets[0] = ticket(&d);
        tickets[1] = tickets[0] - 1;
        tickets[2] = tickets[0] + 1;
        tickets[3] = tickets[0] ^ 0x80000000u;
        tickets[4] = tickets[0] - 2;
        tickets[5] = 0;
        for (k = 0; k < KINDS; k++)
            for (t = 0; t < COUNT(tickets); t++)
                for (status = -1; status <= 100; status++)
                    check_answer(&d, (state)s, (kind)k, tickets[t], status);
    }
}

/* An answer with a length and no octets is a mistake; without length it is an empty one. */
static void test_answers_without_octets(void **state_)
{
    mtasts_discovery d, before;
    mtasts_diag diag;
    (void)state_;
    enter(&d, TXT);
    memcpy(&before, &d, sizeof d);
    assert_int_equal(mtasts_discovery_give_txt(&d, ticket(&d), T0, MTASTS_OK, NULL, 1, 0),
                     MTASTS_ERR_USAGE);
    assert_memory_equal(&d, &before, sizeof d);
    assert_int_equal(mtasts_discovery_give_txt(&d, ticket(&d), T0, MTASTS_ERR_DNS, NULL, 1, 0),
                     MTASTS_OK);
    enter(&d, HTTPS);
    memcpy(&before, &d, sizeof d);
    assert_int_equal(mtasts_discovery_give_https(&d, ticket(&d), T0, MTASTS_OK, NULL, 1),
                     MTASTS_ERR_USAGE);
    assert_memory_equal(&d, &before, sizeof d);
    assert_int_equal(mtasts_discovery_give_https(&d, ticket(&d), T0, MTASTS_OK, NULL, 0),
                     MTASTS_OK);
    assert_int_equal(want(&d), MTASTS_WANT_SAVE);
    enter(&d, LOAD);
    assert_int_equal(load(&d, T0, MTASTS_OK, "", 0, &diag), MTASTS_ERR_ENTRY_VERSION);
    assert_int_equal(diag.err, MTASTS_ERR_ENTRY_VERSION);
    enter(&d, LOAD);
    DIRTY(diag);
    assert_int_equal(load(&d, T0, MTASTS_OK, NULL, 0, &diag), MTASTS_OK);
    assert_diag(&diag, MTASTS_OK, 0);
    enter(&d, LOAD);
    memcpy(&before, &d, sizeof d);
    DIRTY(diag);
    assert_int_equal(mtasts_discovery_give_load(&d, ticket(&d) + 1, T0, MTASTS_OK, "", 0, &diag),
                     MTASTS_ERR_STALE);
    assert_diag(&diag, MTASTS_ERR_STALE, 0);
    assert_memory_equal(&d, &before, sizeof d);
}

/* It is done, what was learned stays, and every answer is late. */
static void test_cancel(void **state_)
{
    mtasts_discovery d;
    mtasts_result before, after;
    uint32_t late;
    int s, k;
    (void)state_;
    for (s = 0; s < STATES; s++) {
        enter(&d, (state)s);
        late = ticket(&d);
        check_result(&d, T0 + 9, &before);
        mtasts_discovery_cancel(&d);
        check_result(&d, T0 + 9, &after);
        if (s != HTTPS)
            assert_memory_equal(&after, &before, sizeof after);
        assert_int_equal(want(&d), MTASTS_WANT_DONE);
        for (k = 0; k < KINDS; k++) {
            assert_int_equal(answer(&d, (kind)k, late, MTASTS_OK), MTASTS_ERR_STALE);
            assert_int_equal(answer(&d, (kind)k, ticket(&d), MTASTS_OK), MTASTS_ERR_STALE);
        }
        mtasts_discovery_cancel(&d);
        assert_int_equal(want(&d), MTASTS_WANT_DONE);
    }
}

/* D7, D8: that a record was found is no absence to remember, and not yet a policy. */
static void test_cancel_while_fetching(void **state_)
{
    const mtasts_entry entry = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    int had;
    (void)state_;
    for (had = 0; had < 2; had++) {
        begin(&d, had ? &entry : NULL, MTASTS_NO_STORE, T0 + 9);
        give_txt(&d, ticket(&d), T0 + 9, ID("2"), 3600);
        assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
        mtasts_discovery_cancel(&d);
        check_result(&d, T0 + 9, &r);
        assert_int_equal(r.learned, MTASTS_LEARNED_NOTHING);
        assert_int_equal(r.honour, had);
        assert_int_equal(r.keep, had);
        assert_true(r.entry.expires == (had ? entry.expires : T0 + 9));
    }
    begin(&d, &entry, MTASTS_NO_STORE | MTASTS_REFRESH, T0 + 600);
    give_txt(&d, ticket(&d), T0 + 600, "!DNS", 3600);
    assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
    mtasts_discovery_cancel(&d);
    check_result(&d, T0 + 600, &r);
    assert_int_equal(r.learned, MTASTS_LEARNED_TEMPORARY);
    assert_int_equal(r.honour, 1);
}

/* Give what another discovery has left in the store. */
static void save_as(mtasts_discovery *d, const mtasts_result *r)
{
    static char text[4096];
    size_t len;
    assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &r->entry), MTASTS_OK);
    assert_int_equal(load(d, T0 + 1, MTASTS_OK, text, len, NULL), MTASTS_OK);
}

/* P10: a place in the record or in the policy, and none for what a status tells. */
static void test_places(void **state_)
{
    static const struct {
        const char *name, *dns, *https;
        size_t line, offset;
    } places[] = {
        {"no record", GONE, NULL, 0, 0},
        {"DNS", "!DNS", NULL, 0, 0},
        {"an id", ID("1") "\nv=STSv1; id=_;", NULL, 2, 0},
        {"a field", "x\nv=STSv1; id=1;;", NULL, 2, 14},
        {"a certificate", ID("1"), "!HTTPS_CERT", 0, 0},
        {"a mode", ID("1"), "version: STSv1\nmode: x\n", 2, 21},
        {"a mode that is missing", ID("1"), "version: STSv1\n", 2, 15},
        {"nothing wrong", ID("1"), NONE, 0, sizeof NONE - 1},
    };
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(places); i++) {
        mtasts_discovery d, later;
        mtasts_result r, again;
        begin(&d, NULL, MTASTS_NO_STORE, T0);
        give_txt(&d, ticket(&d), T0, places[i].dns, 60);
        if (places[i].https)
            give_https(&d, ticket(&d), T0, places[i].https);
        check_result(&d, T0, &r);
        if (r.diag.line != places[i].line || r.diag.offset != places[i].offset)
            fail_msg("%s: %u, %u", places[i].name, (unsigned)r.diag.line, (unsigned)r.diag.offset);
        if (!r.failed)
            continue;
        begin(&later, NULL, 0, T0 + 1); /* while the pause lasts: the error without its place */
        save_as(&later, &r);
        give_txt(&later, ticket(&later), T0 + 1, places[i].dns, 60);
        check_result(&later, T0 + 1, &again);
        assert_int_equal(again.diag.err, r.diag.err);
        assert_true(!again.diag.line && !again.diag.offset && !*again.diag.text);
    }
}

/* D16: what is known is honoured from the first moment, before anybody was asked. */
static void test_results_on_the_way(void **state_)
{
    mtasts_discovery d;
    mtasts_entry e = known(ENFORCE);
    mtasts_result r;
    (void)state_;
    begin(&d, &e, 0, T0 + 9);
    check_result(&d, T0 + 9, &r);
    assert_int_equal(r.learned, MTASTS_LEARNED_NOTHING);
    assert_str(r.policy.text, ENFORCE);
    check_result(&d, T0 + 604800, &r);
    assert_false(r.honour);
    assert_int_equal(give_txt(&d, ticket(&d), T0 + 10, ID("2"), 60), MTASTS_OK);
    check_result(&d, T0 + 10, &r);
    assert_str(r.policy.text, ENFORCE);
    assert_str(r.entry.id, "1");
    assert_int_equal(give_https(&d, ticket(&d), T0 + 11, TESTING), MTASTS_OK);
    check_result(&d, T0 + 11, &r); /* before it is saved */
    assert_str(r.policy.text, TESTING);
    assert_str(r.entry.id, "2");
    assert_int_equal(want(&d), MTASTS_WANT_SAVE);
}

/* A store that fails to save changes nothing here. */
static void test_save_fails(void **state_)
{
    mtasts_discovery d;
    mtasts_result before, after;
    (void)state_;
    enter(&d, SAVE);
    check_result(&d, T0 + 9, &before);
    assert_int_equal(mtasts_discovery_give_save(&d, ticket(&d), T0 + 9, MTASTS_ERR_LIMIT),
                     MTASTS_OK);
    check_result(&d, T0 + 9, &after);
    assert_memory_equal(&after, &before, sizeof after);
    assert_int_equal(want(&d), MTASTS_WANT_DONE);
}

/* ---- names */

static const struct refused {
    const char *name, *domain;
    size_t len;
    mtasts_err err;
} refused[] = {
    {"scenario 9: no domain", NULL, 0, MTASTS_ERR_NAME_EMPTY},
    {"no octets", NULL, 3, MTASTS_ERR_USAGE},
    {"empty", "", 0, MTASTS_ERR_NAME_EMPTY},
    {"scenario 69: a path", "a/b", 3, MTASTS_ERR_NAME_OCTET},
    {"a line's end", "a.b\n", 4, MTASTS_ERR_NAME_OCTET},
    {"two dots", "a..b", 4, MTASTS_ERR_NAME_EMPTY_LABEL},
    {"A9 a literal", "[192.0.2.1]", 11, MTASTS_ERR_NAME_ADDRESS},
    {"A9 an address", "192.0.2.1", 9, MTASTS_ERR_NAME_ADDRESS},
    {"254", L63 "." L63 "." L63 "." L60 "bb", 254, MTASTS_ERR_NAME_LONG},
};

static void test_refused_names(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(refused); i++) {
        const struct refused *n = &refused[i];
        mtasts_discovery d;
        mtasts_result r;
        mtasts_diag diag;
        DIRTY(d);
        DIRTY(diag);
        if (mtasts_discovery_init(&d, n->domain ? fenced(0, 1, n->domain, n->len) : NULL, n->len,
                                  &e, 0, 1, T0, &diag) != n->err)
            fail_msg("%s: %s", n->name, mtasts_err_name((int)diag.err));
        assert_diag(&diag, n->err, n->len);
        assert_int_equal(want(&d), MTASTS_WANT_DONE);
        check_result(&d, T0, &r);
        assert_int_equal(r.learned, MTASTS_LEARNED_NOTHING);
        assert_int_equal(r.diag.err, n->err);
        assert_false(r.honour || r.keep || r.fetched || r.failed);
    }
}

/* A name with no room for "_mta-sts." has no record; what is known of it is honoured (D1). */
static void check_long_name(size_t len, int has_record)
{
    static const char name[] = L63 "." L63 "." L63 "." L60 "b";
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_request q;
    mtasts_result r;
    int known_too;
    e.domain.ptr = name;
    e.domain.len = len;
    for (known_too = 0; known_too < 2; known_too++) {
        assert_int_equal(mtasts_discovery_init(&d, name, len, known_too ? &e : NULL, MTASTS_REFRESH,
                                               1, T0 + DAY, NULL),
                         MTASTS_OK);
        load(&d, T0 + DAY, MTASTS_OK, NULL, 0, NULL);
        assert_int_equal(mtasts_discovery_want(&d, &q),
                         has_record ? MTASTS_WANT_TXT : MTASTS_WANT_DONE);
        assert_int_equal(strlen(q.name), has_record ? len + strlen("_mta-sts.") : 0);
        if (has_record)
            give_txt(&d, q.ticket, T0 + DAY, ID("2"), 0);
        mtasts_discovery_want(&d, &q);
        assert_int_equal(strlen(q.name), has_record ? len + strlen("mta-sts.") : 0);
        check_result(&d, T0 + DAY, &r);
        assert_int_equal(r.honour, known_too);
        assert_int_equal(r.learned, has_record ? MTASTS_LEARNED_POLICY : MTASTS_LEARNED_NONE);
        assert_int_equal(r.diag.err, has_record ? MTASTS_OK : MTASTS_ERR_NAME_LONG);
    }
}

static void test_long_names(void **state_)
{
    (void)state_;
    check_long_name(243, 1);
    check_long_name(244, 1);
    check_long_name(245, 0);
    check_long_name(246, 0);
    check_long_name(253, 0);
}

/* ---- what the host knows */

/* D13, peers 14: an entry that is not this domain's, or none at all, is not used. */
static void test_unfit_entries(void **state_)
{
    static const struct {
        const char *name, *domain, *id;
        int64_t fetched;
    } unfit[] = {
        {"another domain", "example.org", "1", T0},
        {"a subdomain", "a.example.com", "1", T0},
        {"its beginning", "example.co", "1", T0},
        {"D13 not normalised", "Example.com", "1", T0},
        {"no domain", "", "1", T0},
        {"no id", DOMAIN, "", T0},
        {"before 1970", DOMAIN, "1", -1},
    };
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(unfit); i++) {
        mtasts_entry e = known(ENFORCE);
        mtasts_discovery d;
        mtasts_result r;
        e.domain.ptr = unfit[i].domain;
        e.domain.len = strlen(unfit[i].domain);
        e.id.ptr = unfit[i].id;
        e.id.len = strlen(unfit[i].id);
        e.fetched = unfit[i].fetched;
        begin(&d, &e, 0, T0 + 1);
        check_result(&d, T0 + 1, &r);
        if (r.honour || want(&d) != MTASTS_WANT_TXT)
            fail_msg("%s", unfit[i].name);
        give_txt(&d, ticket(&d), T0 + 1, ID("1"), 60);
        assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
    }
}

/* Of an entry only the policy's text is kept. */
static void test_borrowed_texts(void **state_)
{
    char domain[] = DOMAIN, id[] = X32, failed_id[] = X32;
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    e.domain.ptr = domain;
    e.id.ptr = id;
    e.failed_id.ptr = failed_id;
    e.id.len = e.failed_id.len = 32;
    e.failures = 3;
    e.failed = MTASTS_ERR_HTTPS_CERT;
    e.retry = T0 + 600;
    begin(&d, &e, 0, T0 + 1);
    DIRTY(domain);
    DIRTY(id);
    DIRTY(failed_id);
    DIRTY(e);
    give_txt(&d, ticket(&d), T0 + 1, ID(X32), 60);
    check_result(&d, T0 + 1, &r);
    assert_int_equal(r.learned, MTASTS_LEARNED_POLICY);
    assert_int_equal(r.entry.failures, 3);
    assert_str(r.entry.domain, DOMAIN);
    assert_str(r.entry.id, X32);
    assert_str(r.entry.failed_id, X32);
    assert_str(r.policy.text, ENFORCE);
}

/* A result of the same struct has lost its texts by then. */
static void test_own_result(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, &e, 0, T0 + 1);
    check_result(&d, T0 + 1, &r);
    assert_true(r.honour);
    begin(&d, &r.entry, 0, T0 + 1);
    check_result(&d, T0 + 1, &r);
    assert_false(r.honour);
    assert_int_equal(want(&d), MTASTS_WANT_TXT);
}

/* Scenario 68: what is stored is not good. It counts as nothing; a good entry takes its place. */
static void test_bad_store(void **state_)
{
    static const struct {
        const char *text;
        mtasts_err err;
    } bad[] = {
        {"", MTASTS_ERR_ENTRY_VERSION},
        {"garbage", MTASTS_ERR_ENTRY_VERSION},
        {"mtasts-entry 2 00000000 000000\n", MTASTS_ERR_ENTRY_VERSION},
        {"mtasts-entry 1 00000001 000000\n", MTASTS_ERR_ENTRY_DAMAGED},
        {"mtasts-entry 1 00000000 000000\n", MTASTS_ERR_ENTRY_SYNTAX},
    };
    char text[4096];
    size_t i, len;
    (void)state_;
    for (i = 0; i <= COUNT(bad); i++) {
        mtasts_entry e = known(ENFORCE);
        mtasts_discovery d;
        mtasts_result r;
        mtasts_diag diag;
        mtasts_err err = i < COUNT(bad) ? bad[i].err : MTASTS_ERR_ENTRY_DOMAIN;
        e.domain.ptr = "example.org"; /* D13: a store that mixes up its domains */
        assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
        if (i < COUNT(bad))
            len = (size_t)sprintf(text, "%s", bad[i].text);
        begin(&d, NULL, 0, T0);
        assert_int_equal(load(&d, T0, MTASTS_OK, text, len, &diag), err);
        assert_diag(&diag, err, len);
        check_result(&d, T0, &r);
        assert_false(r.honour || r.keep);
        assert_int_equal(want(&d), MTASTS_WANT_TXT);
        give_txt(&d, ticket(&d), T0, ID("1"), 60);
        give_https(&d, ticket(&d), T0, ENFORCE);
        assert_int_equal(want(&d), MTASTS_WANT_SAVE);
    }
}

/* ---- times */

/* Scenario 3: a life begins when the policy was asked for, not when it came. */
static void test_times(void **state_)
{
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, NULL, MTASTS_NO_STORE, T0);
    give_txt(&d, ticket(&d), T0 + 10, ID("1"), 60);
    give_https(&d, ticket(&d), T0 + 40, ENFORCE);
    check_result(&d, T0 + 50, &r);
    assert_true(r.entry.used == T0);
    assert_true(r.entry.checked == T0 + 10);
    assert_true(r.entry.fetched == T0 + 10);
    assert_true(r.entry.expires == T0 + 10 + 604800);
    assert_true(r.keep);
    begin(&d, NULL, MTASTS_NO_STORE, T0); /* the clock is set back meanwhile (D9) */
    give_txt(&d, ticket(&d), T0, ID("1"), 60);
    give_https(&d, ticket(&d), T0 - DAY, ENFORCE);
    check_result(&d, T0 - DAY, &r);
    assert_true(r.entry.expires == T0 - DAY + 604800);
    begin(&d, NULL, MTASTS_NO_STORE, T0); /* it takes longer than it lives: for this delivery */
    give_txt(&d, ticket(&d), T0, ID("1"), 60);
    give_https(&d, ticket(&d), T0 + 59, SECOND);
    check_result(&d, T0 + 59, &r);
    assert_true(r.honour && r.fetched && !r.keep);
    assert_str(r.policy.text, SECOND);
}

/* Peers 11: max_age beyond a year, beyond 32 bits, is a year. */
static void test_max_age(void **state_)
{
    static const struct {
        const char *policy;
        int64_t life;
    } ages[] = {
        {POLICY("testing", "a", 31557600), YEAR},     {POLICY("testing", "a", 31557601), YEAR},
        {POLICY("testing", "a", 4294967295), YEAR},   {POLICY("testing", "a", 4294967297), YEAR},
        {POLICY("testing", "a", 9999999999), YEAR},   {POLICY("testing", "a", 0000000009), 9},
        {POLICY("testing", "a", 31557599), YEAR - 1},
    };
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(ages); i++) {
        mtasts_discovery d;
        mtasts_result r;
        begin(&d, NULL, MTASTS_NO_STORE, T0);
        give_txt(&d, ticket(&d), T0, ID("1"), 60);
        give_https(&d, ticket(&d), T0, ages[i].policy);
        check_result(&d, T0, &r);
        assert_true(r.entry.expires == T0 + ages[i].life);
        check_result(&d, INT64_MAX, &r);
        begin(&d, NULL, MTASTS_NO_STORE, INT64_MAX - 5);
        give_txt(&d, ticket(&d), INT64_MAX - 4, ID("1"), 60);
        give_https(&d, ticket(&d), INT64_MAX - 3, ages[i].policy);
        check_result(&d, INT64_MAX - 2, &r);
        assert_true(r.entry.fetched == INT64_MAX - 4);
        assert_true(r.entry.expires == add(r.entry.fetched, ages[i].life));
    }
}

/* D8: an absence is remembered as long as the host says, and never for more than an hour. */
static void test_absences(void **state_)
{
    static const uint32_t ttls[] = {0, 1, 300, 3599, 3600, 3601, 86400, UINT32_MAX};
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(ttls); i++) {
        int64_t end = T0 + (ttls[i] < 3600 ? ttls[i] : 3600);
        mtasts_discovery d, d2;
        mtasts_result r;
        begin(&d, NULL, MTASTS_NO_STORE, T0 - 5);
        give_txt(&d, ticket(&d), T0, GONE, ttls[i]);
        check_result(&d, T0, &r);
        assert_true(r.entry.fetched == T0 && r.entry.checked == T0 && r.entry.expires == end);
        assert_int_equal(r.keep, ttls[i] > 0);
        check_result(&d, end, &r);
        assert_false(r.keep);
        begin(&d2, &r.entry, MTASTS_NO_STORE, T0 + 1);
        give_txt(&d2, ticket(&d2), T0 + 1, "!DNS", ttls[i]); /* D7: this is no absence */
        check_result(&d2, T0 + 1, &r);
        assert_true(!r.keep && r.entry.expires == T0 + 1);
    }
}

/* D14: what a refresh does is no use of the policy. */
static void test_used(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, &e, MTASTS_REFRESH, T0 + DAY);
    give_txt(&d, ticket(&d), T0 + DAY, ID("1"), 60);
    give_https(&d, ticket(&d), T0 + DAY, ENFORCE);
    check_result(&d, T0 + DAY, &r);
    assert_true(r.entry.used == T0);
    begin(&d, &e, 0, T0 + 5);
    check_result(&d, T0 + 6, &r);
    assert_true(r.entry.used == T0 + 5);
    begin(&d, &e, 0, T0 - 5); /* the clock was set back (D9) */
    check_result(&d, T0 - 4, &r);
    assert_true(r.entry.used == T0 - 5);
}

/* D5: refreshed at a time between three and five quarters of the interval, which nobody can guess
 * from outside, and always before the end. */
static void check_refresh(uint32_t max_age, int64_t interval)
{
    char policy[128];
    int64_t earliest = INT64_MAX, latest = 0;
    uint64_t seed;
    sprintf(policy, "version: STSv1\nmode: none\nmax_age: %u\n", (unsigned)max_age);
    for (seed = 0; seed < 200; seed++) {
        mtasts_discovery d;
        mtasts_result r;
        mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), NULL, MTASTS_NO_STORE, seed, T0, NULL);
        give_txt(&d, ticket(&d), T0, ID("1"), 60);
        give_https(&d, ticket(&d), T0, policy);
        check_result(&d, T0, &r);
        earliest = least(earliest, r.entry.refresh - T0);
        latest = -least(-latest, T0 - r.entry.refresh);
    }
    assert_in_range(earliest, interval * 3 / 4, interval * 7 / 8);
    assert_in_range(latest, interval * 9 / 8, interval * 5 / 4 + 1);
    assert_true(latest <= max_age);
}

/* Only what was to refresh and did not puts the next try off. */
static void test_refresh_put_off(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    int64_t now;
    (void)state_;
    for (now = e.refresh - 1; now < e.refresh + 2; now++) {
        begin(&d, &e, 0, now);
        give_txt(&d, ticket(&d), now, ID("1"), 60);
        check_result(&d, now, &r);
        assert_true(r.entry.refresh == e.refresh);
    }
    e.failures = 1;
    e.failed = MTASTS_ERR_HTTPS_CERT;
    e.failed_id = e.id;
    e.retry = e.refresh + 5;
    for (now = e.refresh; now < e.refresh + 2; now++) {
        begin(&d, &e, MTASTS_REFRESH, now);
        give_txt(&d, ticket(&d), now, ID("1"), 60);
        check_result(&d, now, &r);
        assert_true(r.entry.refresh == now + 300);
    }
    e.refresh = e.expires - 2;
    e.retry = e.expires;
    begin(&d, &e, MTASTS_REFRESH, e.expires - 1);
    give_txt(&d, ticket(&d), e.expires - 1, ID("1"), 60);
    check_result(&d, e.expires - 1, &r);
    assert_true(r.entry.refresh == e.expires);
}

/* A policy of so few seconds leaves no choice. */
static void check_short_refresh(const char *policy, int64_t expected)
{
    mtasts_discovery d;
    mtasts_result r;
    begin(&d, NULL, MTASTS_NO_STORE, T0);
    give_txt(&d, ticket(&d), T0, ID("1"), 60);
    give_https(&d, ticket(&d), T0, policy);
    check_result(&d, T0, &r);
    assert_true(r.entry.refresh == T0 + expected);
}

static void test_refresh(void **state_)
{
    static const uint32_t ages[] = {32, 60, 600, 86400, 172799, 172800, 172801, 604800, 31557600};
    size_t i;
    (void)state_;
    for (i = 0; i < COUNT(ages); i++)
        check_refresh(ages[i], least(DAY, ages[i] / 2));
    check_short_refresh(SECOND, 0);
    check_short_refresh(POLICY("testing", "a", 2), 1);
    check_short_refresh(POLICY("testing", "a", 3), 1);
}

#define TRIES 9

/* H5: one domain whose fetches fail, from look-up to look-up through the store. */
static void fail_again_and_again(uint64_t seed, int64_t *gaps, const char *policy)
{
    static host h;
    mtasts_result r;
    uint32_t n;
    memset(&h, 0, sizeof h);
    h.now = T0;
    h.random = seed;
    h.dns = ID("1");
    h.ttl = 300;
    h.https = policy;
    if (policy)
        look_up(&h, NULL, 0, &r);
    h.now += 300;
    for (n = 0; n < TRIES; n++) {
        h.https = "!HTTPS_CONNECT";
        look_up(&h, NULL, MTASTS_REFRESH, &r);
        assert_true(r.failed && r.honour == (policy != NULL));
        assert_int_equal(r.entry.failures, n + 1);
        gaps[n] = r.entry.retry - h.now;
        assert_true(r.entry.refresh == least(r.entry.retry, r.entry.expires));
        h.https = NULL;
        look_up(&h, NULL, MTASTS_REFRESH, &r); /* at once, in a while, just before: not asked */
        h.now += gaps[n] / 2;
        look_up(&h, NULL, MTASTS_REFRESH, &r);
        h.now = r.entry.retry - 1;
        look_up(&h, NULL, MTASTS_REFRESH, &r);
        assert_int_equal(r.entry.failures, n + 1);
        h.now = r.entry.retry;
    }
    h.https = ENFORCE;
    look_up(&h, NULL, MTASTS_REFRESH, &r);
    assert_true(r.fetched && r.entry.failures == 0);
}

static void test_pauses(void **state_)
{
    int64_t gaps[TRIES], shortest[TRIES], longest[TRIES];
    uint64_t seed;
    size_t n;
    (void)state_;
    for (n = 0; n < TRIES; n++)
        longest[n] = 0, shortest[n] = INT64_MAX;
    for (seed = 0; seed < 150; seed++) {
        fail_again_and_again(seed * UINT64_C(0x9e3779b97f4a7c15), gaps, seed & 1 ? ENFORCE : NULL);
        for (n = 0; n < TRIES; n++) {
            shortest[n] = least(shortest[n], gaps[n]);
            longest[n] = -least(-longest[n], -gaps[n]);
        }
    }
    for (n = 0; n < TRIES; n++) {
        int64_t base = least(300 << n, 1800);
        assert_in_range(shortest[n], base, base + base / 8);
        assert_in_range(longest[n], base * 2 - base / 8, base * 2);
        assert_in_range(longest[n], MTASTS_RETRY_MIN, MTASTS_RETRY_MAX);
    }
}

/* H5: ids that take turns have one try each, and then the pause grows as for one. */
static void test_turns(void **state_)
{
    static host h;
    mtasts_result r;
    int64_t gap = 0;
    int n;
    (void)state_;
    h.now = T0;
    h.ttl = 300;
    for (n = 0; n < 8; n++) {
        h.https = "!HTTPS_CONNECT";
        h.dns = n & 1 ? ID("2") : ID("1");
        look_up(&h, NULL, 0, &r);
        h.dns = n & 1 ? ID("1") : ID("2");
        h.now += 1;
        look_up(&h, NULL, 0, &r);
        gap = r.entry.retry - h.now;
        assert_in_range(gap, least(300 << (2 * n + 1), 1800), 3600);
        assert_int_equal(r.entry.failures, 2 * n + 2);
        h.https = NULL;
        look_up(&h, NULL, 0, &r);
        h.now = r.entry.retry - 1;
        h.dns = ID("3");
        look_up(&h, NULL, 0, &r);
        assert_int_equal(r.learned, MTASTS_LEARNED_FAILED);
        h.now = r.entry.retry;
    }
}

/* H5: after the pause another id begins anew, and so do all if there was no record. */
static void test_another_id(void **state_)
{
    static host h;
    mtasts_result r;
    (void)state_;
    h.now = T0;
    h.ttl = 300;
    h.https = "!HTTPS_CONNECT";
    h.dns = ID("1");
    look_up(&h, NULL, 0, &r);
    h.now = r.entry.retry;
    look_up(&h, NULL, 0, &r);
    assert_int_equal(r.entry.failures, 2);
    h.dns = GONE;
    look_up(&h, NULL, 0, &r);
    assert_int_equal(r.entry.failures, 2);
    h.now = r.entry.retry;
    look_up(&h, NULL, 0, &r);
    assert_int_equal(r.entry.failures, 0);
    h.dns = ID("2");
    look_up(&h, NULL, 0, &r);
    assert_int_equal(r.entry.failures, 1);
    assert_str(r.entry.failed_id, "2");
    assert_in_range(r.entry.retry - h.now, 300, 600);
}

/* The number of failures does not wrap, and no pause outlives an hour when the clock jumps (D9). */
static void test_long_pauses(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d, d2;
    mtasts_result r;
    clock_t start = clock();
    (void)state_;
    e.failures = UINT32_MAX;
    e.failed = MTASTS_ERR_HTTPS_CERT;
    e.failed_id = e.id;
    e.retry = T0 + 300;
    begin(&d, &e, MTASTS_REFRESH, T0 + 300);
    give_txt(&d, ticket(&d), T0 + 300, ID("1"), 60);
    give_https(&d, ticket(&d), T0 + 310, "!HTTP_SYNTAX");
    check_result(&d, T0 + 310, &r);
    assert_int_equal(r.entry.failures, UINT32_MAX);
    assert_true(clock() - start < CLOCKS_PER_SEC); /* not a step for each failure */
    assert_in_range(r.entry.retry, T0 + 310 + 1800, T0 + 310 + 3600);
    e.retry = INT64_MAX;
    begin(&d, &e, 0, T0 - YEAR);
    check_result(&d, T0 - YEAR, &r);
    assert_true(r.entry.retry == T0 - YEAR + 3600);
    begin(&d2, &r.entry, 0, T0 - YEAR + 3599);
    give_txt(&d2, ticket(&d2), T0 - YEAR + 3599, ID("1"), 60);
    assert_int_equal(want(&d2), MTASTS_WANT_DONE);
}

/* The known policy ends while it is fetched anew, by its time or by a clock that jumps. */
static void check_end_on_the_way(const char *dns, const char *https, int64_t wait)
{
    mtasts_entry e = known(POLICY("enforce", "a.example.com", 306));
    mtasts_discovery d;
    mtasts_result r;
    e.fetched -= 301; /* else it is not refreshed */
    e.expires -= 301;
    begin(&d, &e, MTASTS_REFRESH, T0);
    give_txt(&d, ticket(&d), T0, dns, 60);
    assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
    give_https(&d, ticket(&d), T0 + wait, https);
    check_result(&d, T0 + wait, &r);
    assert_int_equal(want(&d), MTASTS_WANT_SAVE);
    assert_int_equal(r.honour, *https != '!' || wait < 5);
    if (*https != '!' || wait < 5)
        assert_str(r.entry.id, "1");
    else
        assert_true(!r.entry.policy.text.ptr && !r.entry.id.len);
    if (*https == '!')
        assert_str(r.entry.failed_id, "1");
}

static void test_end_on_the_way(void **state_)
{
    static const char *const answers[] = {ID("1"), GONE, "!DNS"};
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    size_t i;
    (void)state_;
    begin(&d, &e, 0, e.expires - 1); /* peers 8: the same id, but it ends while DNS is asked */
    give_txt(&d, ticket(&d), e.expires, ID("1"), 60);
    assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
    for (i = 0; i < COUNT(answers); i++) {
        check_end_on_the_way(answers[i], ENFORCE, 4);
        check_end_on_the_way(answers[i], ENFORCE, 5);
        check_end_on_the_way(answers[i], "!HTTPS_CERT", 4);
        check_end_on_the_way(answers[i], "!HTTPS_CERT", 5);
        check_end_on_the_way(answers[i], "!HTTPS_CERT", YEAR);
    }
}

/* What memory and store know, which need not be the same. */
typedef struct knowledge {
    const char *id; /* NULL: nothing */
    int64_t fetched;
    int64_t retry; /* of one failure; 0: none */
} knowledge;

static mtasts_entry entry_of(const knowledge *k, const char *failed_id)
{
    mtasts_entry e = known(MINUTE);
    if (!*k->id)
        memset(&e.policy, 0, sizeof e.policy);
    e.id.ptr = k->id;
    e.id.len = strlen(k->id);
    e.fetched = k->fetched;
    e.expires = k->fetched + 60;
    e.used = k->fetched + 9;
    e.failures = k->retry != 0;
    e.failed = MTASTS_ERR_HTTPS_CERT;
    e.failed_id.ptr = failed_id;
    e.failed_id.len = strlen(failed_id);
    e.retry = k->retry;
    return e;
}

static const struct merge {
    const char *name;
    knowledge memory, store, both;
} merges[] = {
    {"nothing anywhere", {NULL, 0, 0}, {NULL, 0, 0}, {"", 0, 0}},
    {"only memory", {"aaa", T0, T0 + 70}, {NULL, 0, 0}, {"aaa", T0, T0 + 70}},
    {"only the store", {NULL, 0, 0}, {"b", T0, T0 + 70}, {"b", T0, T0 + 70}},
    {"the store is newer", {"aaa", T0, 0}, {"b", T0 + 1, 0}, {"b", T0 + 1, 0}},
    {"memory is newer", {"aaa", T0 + 1, 0}, {"b", T0, 0}, {"aaa", T0 + 1, 0}},
    {"of one time", {"aaa", T0, 0}, {"b", T0, 0}, {"aaa", T0, 0}},
    {"D1 memory has expired", {"aaa", T0 - 50, 0}, {"b", T0 - 49, 0}, {"b", T0 - 49, 0}},
    {"D1 the store has expired", {"aaa", T0 - 49, 0}, {"b", T0 - 50, 0}, {"aaa", T0 - 49, 0}},
    {"D1 both have expired", {"aaa", T0 - 51, 0}, {"b", T0 - 50, 0}, {"", 0, 0}},
    {"D9 the store is of the future", {"aaa", T0, 0}, {"b", T0 + 90, 0}, {"aaa", T0, 0}},
    {"an absence in memory", {"", T0 + 5, 0}, {"b", T0, 0}, {"b", T0, 0}},
    {"an absence in the store", {"aaa", T0, 0}, {"", T0 + 5, 0}, {"aaa", T0, 0}},
    {"H5 the longer pause, memory's",
     {"aaa", T0, T0 + 80},
     {"b", T0, T0 + 70},
     {"aaa", T0, T0 + 80}},
    {"H5 the longer pause, the store's",
     {"aaa", T0, T0 + 70},
     {"b", T0, T0 + 80},
     {"aaa", T0, T0 + 80}},
    {"H5 pauses of one length: memory's",
     {"aaa", T0, T0 + 80},
     {"b", T0, T0 + 80},
     {"aaa", T0, T0 + 80}},
    {"H5 a pause in the store", {"aaa", T0, 0}, {"", T0 + 1, T0 + 80}, {"aaa", T0, T0 + 80}},
    {"H5 an old pause in the store", {"aaa", T0, 0}, {"b", T0 - 1, T0 + 80}, {"aaa", T0, 0}},
    {"H5 an old pause in memory", {"aaa", T0, T0 + 80}, {"b", T0 + 1, 0}, {"b", T0 + 1, 0}},
    {"H5 a shorter pause, of a newer policy",
     {"aaa", T0, T0 + 80},
     {"b", T0 + 1, T0 + 70},
     {"b", T0 + 1, T0 + 70}},
    {"H5 a pause outlives a policy", {"aaa", T0 - 60, T0 + 80}, {NULL, 0, 0}, {"", 0, T0 + 80}},
    {"H5 a pause in memory, an older policy in the store",
     {"", T0 + 5, T0 + 80},
     {"b", T0, 0},
     {"b", T0, T0 + 80}},
};

static void test_merges(void **state_)
{
    size_t i, len;
    char text[4096];
    (void)state_;
    for (i = 0; i < COUNT(merges); i++) {
        const struct merge *m = &merges[i];
        mtasts_entry e;
        mtasts_discovery d;
        mtasts_result r;
        len = 0;
        if (m->store.id) {
            e = entry_of(&m->store, "9");
            assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
        }
        if (m->memory.id)
            e = entry_of(&m->memory, "99");
        mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), m->memory.id ? &e : NULL, MTASTS_REFRESH,
                              1, T0 + 10, NULL);
        assert_int_equal(want(&d), MTASTS_WANT_LOAD);
        load(&d, T0 + 10, MTASTS_OK, len ? text : NULL, len, NULL);
        check_result(&d, T0 + 10, &r);
        if (strcmp(r.entry.id.ptr, m->both.id) != 0 || r.entry.fetched != m->both.fetched ||
            r.entry.failures != (m->both.retry != 0) ||
            (r.entry.failures && r.entry.retry != m->both.retry))
            fail_msg("%s: id %s, fetched %d, failures %u", m->name, r.entry.id.ptr,
                     (int)(r.entry.fetched - T0), (unsigned)r.entry.failures);
        if (r.entry.failures)
            assert_str(r.entry.failed_id, m->both.retry == m->memory.retry ? "99" : "9");
    }
}

/* What takes the place of a longer id is whole: the policy is current, and the pause is for the id
 * that failed. */
static void test_merged_ids(void **state_)
{
    static const char *const ids[] = {X32, "1", X31, "", "12"};
    char text[4096];
    size_t i, j, k, len;
    (void)state_;
    for (i = 0; i < COUNT(ids); i++)
        for (j = 0; j < COUNT(ids); j++)
            for (k = 0; k < COUNT(ids); k++) {
                knowledge memory = {*ids[i] ? ids[i] : "a", T0, T0 + 70};
                knowledge store = {*ids[j] ? ids[j] : "a", T0 + 1, T0 + 80};
                int current = strcmp(ids[k], store.id) == 0;
                int waits = !*ids[j] || strcmp(ids[k], ids[j]) == 0;
                mtasts_entry e = entry_of(&store, ids[j]);
                mtasts_discovery d;
                char record[64];
                if (!*ids[k])
                    continue;
                assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
                e = entry_of(&memory, ids[i]);
                mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, 0, 1, T0 + 10, NULL);
                load(&d, T0 + 10, MTASTS_OK, text, len, NULL);
                snprintf(record, sizeof record, "v=STSv1; id=%s;", ids[k]);
                give_txt(&d, ticket(&d), T0 + 10, record, 60);
                assert_int_equal(want(&d), current || waits ? MTASTS_WANT_DONE : MTASTS_WANT_HTTPS);
            }
}

/* What failed before a policy was fetched is no matter, though another process has fetched it. */
static void test_newer_policy_in_the_store(void **state_)
{
    knowledge memory = {"aaa", T0, T0 + 80}, store = {"b", T0 + 1, 0};
    mtasts_entry e = entry_of(&store, "");
    mtasts_discovery d;
    char text[4096];
    size_t len;
    (void)state_;
    assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
    e = entry_of(&memory, "99");
    mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, 0, 1, T0 + 10, NULL);
    load(&d, T0 + 10, MTASTS_OK, text, len, NULL);
    give_txt(&d, ticket(&d), T0 + 10, ID("99"), 60);
    assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
}

/* D1: the known policy expires while the store is asked: the stored one counts, also if it was
 * fetched before. */
static void test_expired_while_loading(void **state_)
{
    knowledge memory = {"aaa", T0, 0}, store = {"b", T0 - 1, 0};
    mtasts_entry e = entry_of(&store, "");
    mtasts_discovery d;
    mtasts_result r;
    char text[4096];
    size_t len;
    (void)state_;
    e.policy.max_age = 3600;
    e.expires = e.fetched + 3600;
    e.policy.text.ptr = POLICY("enforce", "a.example.com", 3600);
    e.policy.text.len = strlen(e.policy.text.ptr);
    assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
    e = entry_of(&memory, "");
    mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, 0, 1, T0 + 59, NULL);
    load(&d, T0 + 60, MTASTS_OK, text, len, NULL);
    check_result(&d, T0 + 50, &r); /* the clock is set back */
    assert_true(r.honour);
    assert_str(r.entry.id, "b");
    assert_int_equal(r.policy.max_age, 3600);
}

/* That the record has gone is no matter where a policy is known: what failed is not forgotten. */
static void test_record_gone_beside_a_policy(void **state_)
{
    knowledge memory = {"aaa", T0, T0 + 80};
    mtasts_entry e = entry_of(&memory, "99");
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, &e, 0, T0 + 10);
    give_txt(&d, ticket(&d), T0 + 10, GONE, 60);
    check_result(&d, T0 + 10, &r);
    assert_true(r.honour && r.learned == MTASTS_LEARNED_NONE);
    assert_true(r.entry.failures == 1 && !r.entry.no_record && r.entry.retry == T0 + 80);
}

/* A refresh that comes too soon after a fetch is put off, also if the store has failed. */
static void test_refresh_put_off_without_store(void **state_)
{
    mtasts_entry e = known(POLICY("enforce", "a.example.com", 500));
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, MTASTS_REFRESH, 1, T0 + 260, NULL);
    load(&d, T0 + 260, MTASTS_ERR_STORE, NULL, 0, NULL);
    give_txt(&d, ticket(&d), T0 + 260, ID("1"), 60);
    check_result(&d, T0 + 260, &r);
    assert_int_equal(want(&d), MTASTS_WANT_DONE);
    assert_true(r.entry.refresh == r.entry.expires && r.entry.expires == T0 + 500);
}

/* A store that fails takes nothing from what memory knows, and a refresh is one all the same. */
static void test_store_fails_beside_memory(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, MTASTS_REFRESH, 1, T0 + DAY, NULL);
    load(&d, T0 + DAY, MTASTS_ERR_LIMIT, NULL, 0, NULL);
    give_txt(&d, ticket(&d), T0 + DAY, ID("1"), 60);
    assert_int_equal(want(&d), MTASTS_WANT_HTTPS);
    give_https(&d, ticket(&d), T0 + DAY, "!HTTPS_CERT");
    check_result(&d, T0 + DAY, &r);
    assert_true(r.honour && r.failed && r.keep);
    assert_int_equal(want(&d), MTASTS_WANT_SAVE);
}

/* A store that fails may hold a policy: no absence is remembered, and nothing less than a policy is
 * put in its place. */
static void test_store_fails(void **state_)
{
    static const int statuses[] = {MTASTS_ERR_LIMIT, MTASTS_ERR_USAGE, -1, 100};
    char text[4096];
    size_t i, len;
    mtasts_entry e = known(ENFORCE);
    (void)state_;
    assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), MTASTS_OK);
    for (i = 0; i < COUNT(statuses) * 4; i++) {
        const char *dns = i % 4 == 0 ? GONE : i % 4 == 1 ? "!DNS" : ID("1");
        const char *https = i % 4 == 2 ? "!HTTPS_CERT" : TESTING;
        mtasts_discovery d;
        mtasts_result r;
        begin(&d, NULL, 0, T0);
        assert_int_equal(load(&d, T0, (mtasts_err)statuses[i / 4], text, len, NULL), MTASTS_OK);
        give_txt(&d, ticket(&d), T0, dns, 300);
        assert_int_equal(want(&d), i % 4 < 2 ? MTASTS_WANT_DONE : MTASTS_WANT_HTTPS);
        if (i % 4 >= 2)
            give_https(&d, ticket(&d), T0, https);
        check_result(&d, T0, &r);
        assert_int_equal(want(&d), i % 4 < 3 ? MTASTS_WANT_DONE : MTASTS_WANT_SAVE);
        assert_int_equal(r.keep, i % 4 >= 2); /* H5 */
        assert_int_equal(r.honour, i % 4 == 3);
        if (i % 4 < 3) { /* D1, D15: there may be one, so nobody may say that there is none */
            assert_int_equal(r.learned, MTASTS_LEARNED_TEMPORARY);
            assert_int_equal(r.diag.err, MTASTS_ERR_STORE);
        }
        assert_int_equal(r.failed, i % 4 == 2);
    }
}

/* A policy that was got counts, whatever the store could not say: also the one with max_age 0,
 * which serves this delivery (D17). */
static void test_store_fails_before_last_policy(void **state_)
{
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, NULL, 0, T0);
    load(&d, T0, MTASTS_ERR_LIMIT, NULL, 0, NULL);
    give_txt(&d, ticket(&d), T0, ID("1"), 300);
    give_https(&d, ticket(&d), T0, NEVER);
    check_result(&d, T0, &r);
    assert_int_equal(r.learned, MTASTS_LEARNED_POLICY);
    assert_int_equal(r.diag.err, MTASTS_OK);
    assert_true(r.fetched && r.honour && !r.keep);
    assert_str(r.policy.text, NEVER);
    assert_int_equal(want(&d), MTASTS_WANT_DROP);
}

static const int64_t clocks[] = {INT64_MIN, 0,        T0 - YEAR, T0 - 1,
                                 T0 + 600,  T0 + DAY, T0 + YEAR, INT64_MAX};

/* D9: one look-up in which every call is at another time. */
static void check_clock(const int64_t *now, const char *dns, const char *https, int is_known)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    size_t i, steps;
    int64_t last = now[0] < 0 ? 0 : now[0];
    begin(&d, is_known ? &e : NULL, MTASTS_REFRESH, now[0]);
    for (steps = 1; want(&d) != MTASTS_WANT_DONE && steps < 4; steps++) {
        if (want(&d) == MTASTS_WANT_LOAD)
            load(&d, now[steps], MTASTS_OK, NULL, 0, NULL);
        else if (want(&d) == MTASTS_WANT_TXT)
            give_txt(&d, ticket(&d), now[steps], dns, UINT32_MAX);
        else if (want(&d) == MTASTS_WANT_HTTPS)
            give_https(&d, ticket(&d), now[steps], https);
        else
            mtasts_discovery_give_save(&d, ticket(&d), now[steps], MTASTS_OK);
        last = now[steps] < 0 ? 0 : now[steps];
        check_result(&d, now[steps], &r);
        if (!r.fetched) /* D1, D9: nothing but a fetch makes it live longer */
            assert_true(!r.entry.policy.text.ptr || r.entry.expires <= e.expires);
    }
    for (i = 0; i < COUNT(clocks); i++)
        check_result(&d, clocks[i], &r);
    check_result(&d, last, &r);
    if (r.entry.policy.text.ptr)
        assert_true(r.entry.expires <= add(last, r.entry.policy.max_age));
}

static void test_clock(void **state_)
{
    size_t a, b, c, f;
    (void)state_;
    for (a = 0; a < COUNT(clocks); a++)
        for (b = 0; b < COUNT(clocks); b++)
            for (c = 0; c < COUNT(clocks); c++)
                for (f = 0; f < 8; f++) {
                    const int64_t now[] = {clocks[a], clocks[b], clocks[c], clocks[a]};
                    check_clock(now, f & 1 ? ID("1") : "!DNS", f & 2 ? TESTING : "!HTTP_STATUS",
                                f & 4 ? 1 : 0);
                }
}

/* A refresh that is too early, since the clock was set back meanwhile, has had its turn as well. */
static void test_set_back_before_record(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    (void)state_;
    begin(&d, &e, MTASTS_REFRESH, T0 + DAY);
    give_txt(&d, ticket(&d), T0 - DAY, ID("1"), 60);
    check_result(&d, T0 - DAY, &r);
    assert_true(r.honour && !r.fetched);
    assert_true(r.entry.refresh == T0 - DAY + 300); /* D5 */
}

/* ---- flags and random */

/* Bits that are no flags are a mistake. */
static void test_flags(void **state_)
{
    mtasts_entry e = known(ENFORCE);
    mtasts_discovery d;
    mtasts_result r;
    mtasts_diag diag;
    unsigned bit;
    (void)state_;
    for (bit = 1; bit; bit <<= 1) {
        int is_flag = bit == MTASTS_REFRESH || bit == MTASTS_NO_STORE;
        DIRTY(d);
        DIRTY(diag);
        assert_int_equal(mtasts_discovery_init(&d, DOMAIN, strlen(DOMAIN), &e, bit, 1, T0, &diag),
                         is_flag ? MTASTS_OK : MTASTS_ERR_USAGE);
        assert_diag(&diag, is_flag ? MTASTS_OK : MTASTS_ERR_USAGE, is_flag ? strlen(DOMAIN) : 0);
        assert_int_equal(want(&d), bit == MTASTS_REFRESH    ? MTASTS_WANT_LOAD
                                   : bit == MTASTS_NO_STORE ? MTASTS_WANT_TXT
                                                            : MTASTS_WANT_DONE);
        check_result(&d, T0, &r);
        assert_int_equal(r.diag.err, diag.err);
        assert_int_equal(r.honour, is_flag);
        assert_int_equal(r.keep, is_flag);
    }
    assert_int_equal(mtasts_discovery_init(&d, "", 0, NULL, 1, 1, T0, &diag),
                     MTASTS_ERR_NAME_EMPTY);
    /* with an error no body is looked for */
    begin(&d, &e, MTASTS_REFRESH, T0 + DAY);
    give_txt(&d, ticket(&d), T0 + DAY, ID("1"), 60);
    assert_int_equal(
        mtasts_discovery_give_https(&d, ticket(&d), T0 + DAY, MTASTS_ERR_HTTP_STATUS, NULL, 5),
        MTASTS_OK);
    check_result(&d, T0 + DAY, &r);
    assert_true(r.failed && r.honour);
}

/* The same random number gives the same look-up; another one gives other tickets. */
static void test_random(void **state_)
{
    mtasts_discovery a, b;
    uint32_t before = 0;
    uint64_t i;
    (void)state_;
    for (i = 0; i < 200; i++) {
        mtasts_discovery_init(&a, "a.b", 3, NULL, 0, i << 32, T0, NULL);
        mtasts_discovery_init(&b, "a.b", 3, NULL, 0, i << 32, T0, NULL);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(ticket(&a) != before && ticket(&a) != before + 1);
        before = ticket(&a);
    }
}

/* Wherever a host's random number differs: about half of the ticket's bits do, and each can. */
static void test_random_spreads(void **state_)
{
    enum { ROUNDS = 400 };
    mtasts_discovery a, b;
    uint64_t x = 1;
    int bit, out, round;
    (void)state_;
    for (bit = 0; bit < 64; bit++) {
        int changed[32] = {0};
        for (round = 0; round < ROUNDS; round++) {
            uint32_t difference;
            x = x * 6364136223846793005u + 1442695040888963407u;
            mtasts_discovery_init(&a, "a.b", 3, NULL, 0, x, T0, NULL);
            mtasts_discovery_init(&b, "a.b", 3, NULL, 0, x ^ (uint64_t)1 << bit, T0, NULL);
            difference = (ticket(&a) - 1) ^ (ticket(&b) - 1); /* as they were drawn */
            for (out = 0; out < 32; out++)
                changed[out] += (int)(difference >> out & 1);
        }
        for (out = 0; out < 32; out++)
            assert_in_range(changed[out], ROUNDS / 4, ROUNDS * 3 / 4);
    }
}

static void test_learned_name(void **state_)
{
    static const char *const names[] = {"nothing", "none", "policy", "temporary", "failed"};
    int i;
    (void)state_;
    for (i = -2; i < 100; i++)
        assert_string_equal(mtasts_learned_name(i),
                            i >= 0 && i < (int)COUNT(names) ? names[i] : "UNKNOWN");
    assert_string_equal(mtasts_learned_name(INT32_MAX), "UNKNOWN");
    assert_string_equal(mtasts_learned_name(INT32_MIN), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answers_without_octets),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_while_fetching),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_results_on_the_way),
        cmocka_unit_test(test_save_fails),
        cmocka_unit_test(test_refused_names),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_unfit_entries),
        cmocka_unit_test(test_borrowed_texts),
        cmocka_unit_test(test_own_result),
        cmocka_unit_test(test_bad_store),
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_merged_ids),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_store_fails_before_last_policy),
        cmocka_unit_test(test_newer_policy_in_the_store),
        cmocka_unit_test(test_expired_while_loading),
        cmocka_unit_test(test_record_gone_beside_a_policy),
        cmocka_unit_test(test_refresh_put_off_without_store),
        cmocka_unit_test(test_store_fails_beside_memory),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_max_age),
        cmocka_unit_test(test_absences),
        cmocka_unit_test(test_used),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_refresh_put_off),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_another_id),
        cmocka_unit_test(test_long_pauses),
        cmocka_unit_test(test_end_on_the_way),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_set_back_before_record),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_spreads),
        cmocka_unit_test(test_learned_name),
    };
    return cmocka_run_group_tests_name("13 Discovery", tests, NULL, NULL);
}
