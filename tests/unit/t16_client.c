/* Section 16, client (RFC 8461 3.3, 5.1, 8, 10; rules D1 to D17, A5, A11, H5).
 * Goal: a known policy is honoured at once and whatever fails, nobody is left without an answer,
 * no mistake of a host does harm. Method: a scripted host that answers at once, later, or never. */
#include "test.h"

#define ENFORCE(age) "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: " #age "\n"
#define TESTING(age) "version: STSv1\nmode: testing\nmx: *.example.com\nmax_age: " #age "\n"
#define NONE(age)    "version: STSv1\nmode: none\nmax_age: " #age "\n"
#define OTHER(age)   "version: STSv1\nmode: enforce\nmx: mail.example.net\nmax_age: " #age "\n"
#define BAD          "version: STSv1\nmode: bad\nmx: *.example.com\nmax_age: 86400\n"
#define START        1700000000
#define DAY          86400
#define NEVER        INT64_MAX
#define OK           MTASTS_OK

enum { LOAD, TXT, HTTPS, SAVE, DROP, EVENT, RANDOM, CLOCK, OVERRIDE, ALLOCATE, RELEASE, KINDS };
#define LATER(kind) (1u << (kind))

typedef struct asked {
    int kind;
    uint64_t ticket;
    char domain[MTASTS_NAME_SIZE];
} asked;

typedef struct stored {
    char domain[MTASTS_NAME_SIZE];
    char *text;
    size_t len;
} stored;

/* The host, and what it has seen. */
static struct world {
    mtasts_client client;
    mtasts_host host;
    int64_t now;
    unsigned later;  /* kinds that are not answered at once */
    mtasts_err dns;  /* the answers: */
    const char *id;  /* NULL: there is no record */
    const char *txt; /* a record, in place of id */
    uint32_t ttl;
    mtasts_err web;
    const char *body;
    int broken; /* the store: 1: reads and writes fail */
    mtasts_override will;
    mtasts_str pinned;
    stored store[16];
    asked queue[512];
    int twice; /* all that is answered at once, a second time as well */
    size_t queued;
    int calls[KINDS];
    mtasts_event events[512];
    char names[512][MTASTS_NAME_SIZE];
    int told;
    void (*inside)(int kind, uint64_t ticket);
    mtasts_lookup *answered[64]; /* by `done`, in order */
    int done;
    struct {
        char domain[MTASTS_NAME_SIZE];
        int64_t at;
    } fetches[512];
    int fetched;
    void (*inside_done)(mtasts_lookup *lookup);
    size_t live, allocations, fail_at, fail_from;
    char block[1 << 17];
} w;

static void inside(int kind, uint64_t ticket)
{
    void (*f)(int, uint64_t) = w.inside;
    w.calls[kind]++;
    if (f)
        f(kind, ticket);
}

static int64_t host_clock(void *user)
{
    assert_ptr_equal(user, &w);
    inside(CLOCK, 0);
    return w.now;
}

static stored *store_of(const char *domain)
{
    size_t i;
    for (i = 0; i < COUNT(w.store); i++)
        if (w.store[i].text && !strcmp(w.store[i].domain, domain))
            return &w.store[i];
    for (i = 0; w.store[i].text; i++)
        assert_true(i + 1 < COUNT(w.store));
    strcpy(w.store[i].domain, domain);
    return &w.store[i];
}

static void store_put(const char *domain, const char *text, size_t len)
{
    stored *s = store_of(domain);
    free(s->text);
    s->text = malloc(len + 1);
    memcpy(s->text, text, len);
    s->text[len] = '\0';
    s->len = len;
}

static void store_drop(const char *domain)
{
    stored *s = store_of(domain);
    free(s->text);
    s->text = NULL;
}

static mtasts_err give_txt(uint64_t ticket, mtasts_err dns)
{
    char record[200];
    mtasts_str string;
    mtasts_txt txt = {&string, 1};
    if (dns != MTASTS_OK || (!w.id && !w.txt))
        return mtasts_client_give_txt(&w.client, ticket, dns ? dns : MTASTS_ERR_NO_RECORD, NULL, 0,
                                      w.ttl);
    snprintf(record, sizeof record, w.txt ? "%s" : "v=STSv1; id=%s;", w.txt ? w.txt : w.id);
    string.ptr = record;
    string.len = strlen(record);
    return mtasts_client_give_txt(&w.client, ticket, MTASTS_OK, &txt, 1, w.ttl);
}

/* Texts are good until give returns, and no longer. */
static mtasts_err give_copy(int kind, uint64_t ticket, const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    mtasts_err err;
    memcpy(copy, text, len);
    err = kind == LOAD ? mtasts_client_give_load(&w.client, ticket, OK, copy, len)
                       : mtasts_client_give_https(&w.client, ticket, MTASTS_OK, copy, len);
    memset(copy, 'x', len);
    free(copy);
    return err;
}

static mtasts_err answer(const asked *a)
{
    stored *s;
    if (a->kind == TXT)
        return give_txt(a->ticket, w.dns);
    if (a->kind == HTTPS)
        return w.web ? mtasts_client_give_https(&w.client, a->ticket, w.web, NULL, 0)
                     : give_copy(HTTPS, a->ticket, w.body, strlen(w.body));
    if (a->kind == SAVE)
        return mtasts_client_give_save(&w.client, a->ticket,
                                       w.broken ? MTASTS_ERR_LIMIT : MTASTS_OK);
    s = store_of(a->domain);
    if (!s->text || w.broken)
        return mtasts_client_give_load(&w.client, a->ticket, w.broken ? MTASTS_ERR_LIMIT : OK, NULL,
                                       0);
    return give_copy(LOAD, a->ticket, s->text, s->len);
}

static void ask(int kind, uint64_t ticket, const char *domain)
{
    asked a;
    a.kind = kind;
    a.ticket = ticket;
    assert_true(strlen(domain) < sizeof a.domain);
    strcpy(a.domain, domain);
    inside(kind, ticket);
    if (!(w.later & LATER(kind))) {
        answer(&a);
        if (w.twice)
            assert_int_equal(answer(&a), MTASTS_ERR_STALE);
        return;
    }
    assert_true(w.queued < COUNT(w.queue));
    w.queue[w.queued++] = a;
}

static void host_txt(void *user, uint64_t ticket, const char *name)
{
    assert_ptr_equal(user, &w);
    assert_memory_equal(name, "_mta-sts.", 9);
    ask(TXT, ticket, name + 9);
}

static void host_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    assert_ptr_equal(user, &w);
    assert_memory_equal(policy_host, "mta-sts.", 8);
    assert_string_equal(policy_host + 8, domain); /* D13 */
    assert_true(w.fetched < (int)COUNT(w.fetches));
    strcpy(w.fetches[w.fetched].domain, domain);
    w.fetches[w.fetched++].at = w.now;
    ask(HTTPS, ticket, domain);
}

static void host_load(void *user, uint64_t ticket, const char *domain)
{
    assert_ptr_equal(user, &w);
    ask(LOAD, ticket, domain);
}

static void host_save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    mtasts_entry e;
    assert_ptr_equal(user, &w);
    assert_int_equal(mtasts_entry_read(&e, domain, strlen(domain), text, len, w.now, NULL),
                     MTASTS_OK); /* D11 */
    if (!w.broken)
        store_put(domain, text, len);
    ask(SAVE, ticket, domain);
}

static void host_drop(void *user, const char *domain)
{
    assert_ptr_equal(user, &w);
    store_drop(domain);
    inside(DROP, 0);
}

static void host_event(void *user, const mtasts_event *event)
{
    assert_ptr_equal(user, &w);
    assert_true(w.told < (int)COUNT(w.events));
    w.events[w.told] = *event;
    strcpy(w.names[w.told++], event->domain);
    inside(EVENT, 0);
}

static mtasts_override host_override(void *user, const char *domain, mtasts_str *pinned)
{
    assert_ptr_equal(user, &w);
    assert_string_equal(domain, "example.com");
    inside(OVERRIDE, 0);
    *pinned = w.pinned;
    return w.will;
}

static int host_random(void *user, void *out, size_t len)
{
    assert_ptr_equal(user, &w);
    assert_int_equal(len, MTASTS_KEY_SIZE);
    memset(out, 7, len);
    inside(RANDOM, 0);
    return 1;
}

static void *host_allocate(void *user, size_t size)
{
    (void)user;
    assert_true(size > 0);
    inside(ALLOCATE, 0);
    w.allocations++;
    if (w.allocations == w.fail_at || (w.fail_from && w.allocations >= w.fail_from))
        return NULL;
    w.live += size;
    return malloc(size);
}

static void host_release(void *user, void *memory, size_t size)
{
    (void)user;
    assert_non_null(memory);
    inside(RELEASE, 0);
    assert_true(w.live >= size);
    w.live -= size;
    memset(memory, 0xdd, size);
    free(memory);
}

static void done(void *user, mtasts_lookup *lookup)
{
    assert_ptr_equal(user, &w);
    w.answered[w.done++ % (int)COUNT(w.answered)] = lookup;
    if (w.inside_done)
        w.inside_done(lookup);
}

/* ---- setting up, and short words for what tests do ---- */

static int setup(void **state)
{
    mtasts_host *h = &w.host;
    (void)state;
    memset(&w, 0, sizeof w);
    w.now = START;
    w.id = "1";
    w.ttl = 300;
    w.body = ENFORCE(604800);
    mtasts_host_init(h);
    h->user = &w;
    h->clock = host_clock;
    h->txt = host_txt;
    h->https = host_https;
    h->event = host_event;
    h->memory.allocate = host_allocate;
    h->memory.release = host_release;
    h->key[0] = 1;
    return 0;
}

static void with_store(void)
{
    w.host.load = host_load;
    w.host.save = host_save;
    w.host.drop = host_drop;
}

static void start(void)
{
    assert_int_equal(mtasts_client_init(&w.client, &w.host), MTASTS_OK);
}

/* All memory is given back. */
static void stop(void)
{
    w.inside = NULL;
    w.fail_at = w.fail_from = 0;
    mtasts_client_clear(&w.client);
    assert_int_equal(mtasts_client_cache(&w.client)->stats.octets, 0);
    assert_int_equal(w.live, 0);
}

static int teardown(void **state)
{
    size_t i;
    (void)state;
    stop();
    for (i = 0; i < COUNT(w.store); i++)
        free(w.store[i].text);
    return 0;
}

static void restart(void)
{
    stop();
    start();
}

static mtasts_err begin(mtasts_lookup *l, const char *domain, unsigned flags)
{
    memset(l, 0, sizeof *l);
    l->done = done;
    l->user = &w;
    return mtasts_client_lookup(&w.client, l, domain, strlen(domain), flags);
}

static void end(mtasts_lookup *l)
{
    mtasts_client_end(&w.client, l);
}

/* Answer the first question of a kind that is waiting. */
static mtasts_err serve(int kind)
{
    asked a;
    size_t i;
    for (i = 0; i < w.queued && w.queue[i].kind != kind; i++)
        ;
    assert_true(i < w.queued);
    a = w.queue[i];
    memmove(&w.queue[i], &w.queue[i + 1], (--w.queued - i) * sizeof a);
    return answer(&a);
}

static void serve_all(void)
{
    while (w.queued)
        serve(w.queue[0].kind);
}

static int mode_of(const mtasts_lookup *l)
{
    return l->policy ? (int)l->policy->mode : -1;
}

/* One look-up of example.com in a row of events, answered and ended: the mode, or -1. */
static mtasts_lookup last;
static int look(unsigned flags)
{
    mtasts_err err = begin(&last, "Example.COM.", flags);
    int mode;
    if (err == MTASTS_MORE) {
        serve_all();
        assert_int_equal(w.done, 1);
        w.done = 0;
    } else {
        assert_int_equal(err, MTASTS_OK);
    }
    assert_string_equal(last.domain, "example.com");
    mode = mode_of(&last);
    assert_true(mode < 0 ? !last.id[0] : last.expires > w.now || !last.policy->max_age);
    end(&last);
    assert_null(last.policy);
    return mode;
}

static int64_t tick(void)
{
    int64_t next = mtasts_client_tick(&w.client);
    serve_all();
    return next;
}

/* As a host does that has nothing else to do. */
static void idle(void)
{
    int i;
    for (i = 0; tick() <= w.now; i++)
        assert_true(i < 200);
}

static int known(const char *domain, mtasts_entry *e)
{
    return mtasts_client_entry(&w.client, domain, strlen(domain), e);
}

static void expect_event(int i, mtasts_event_kind kind, const char *domain, mtasts_err err,
                         mtasts_mode mode, mtasts_mode before, int64_t left)
{
    assert_true(i < w.told);
    if (w.events[i].kind != kind || w.events[i].diag.err != err)
        fail_msg("event %d is %s, %s", i, mtasts_event_name((int)w.events[i].kind),
                 mtasts_err_name((int)w.events[i].diag.err));
    assert_string_equal(w.names[i], domain);
    assert_int_equal(w.events[i].mode, mode);
    assert_int_equal(w.events[i].before, before);
    assert_int_equal(w.events[i].left, left);
    assert_non_null(w.events[i].diag.text);
}

/* ---- D1 to D17 and the scenarios, as tables ---- */

typedef struct step {
    char what;      /* l: look-up, a: again, t: idle, r: restart, f: forget */
    int wait;       /* seconds before it */
    const char *id; /* NULL: there is no record */
    mtasts_err dns, web;
    const char *body;
    int mode, learned, cached; /* the answer; mode -1: no policy */
    mtasts_err why;
    int txt, https; /* callbacks called in this step */
} step;

typedef struct story {
    const char *name;
    int store;
    step steps[8];
} story;

#define DNS   MTASTS_ERR_DNS
#define NOREC MTASTS_ERR_NO_RECORD
#define CONN  MTASTS_ERR_HTTPS_CONNECT
#define E     MTASTS_MODE_ENFORCE
#define T     MTASTS_MODE_TESTING
#define N     MTASTS_MODE_NONE
#define LNONE MTASTS_LEARNED_NONE
#define LPOL  MTASTS_LEARNED_POLICY
#define LTEMP MTASTS_LEARNED_TEMPORARY
#define LFAIL MTASTS_LEARNED_FAILED

static const story stories[] = {
    {"1, 38, 45: no record, nothing known; D8: remembered for its ttl",
     0,
     {{'l', 0, NULL, OK, OK, BAD, -1, LNONE, 0, NOREC, 1, 0},
      {'l', 299, NULL, OK, OK, BAD, -1, LNONE, 1, NOREC, 0, 0},
      {'l', 1, "1", OK, OK, ENFORCE(9999), E, LPOL, 0, OK, 1, 1}}},
    {"2, 5, 6, 7, 10, 13, 15, 17: a hit asks nobody, D16",
     0,
     {{'l', 0, "1", OK, OK, TESTING(1296000), T, LPOL, 0, OK, 1, 1},
      {'l', 10, "1", DNS, CONN, BAD, T, LPOL, 1, OK, 0, 0},
      {'l', 10, "1", DNS, CONN, BAD, T, LPOL, 1, OK, 0, 0}}},
    {"3: another policy for the same domain takes its place",
     0,
     {{'l', 0, "123", OK, OK, TESTING(1296000), T, LPOL, 0, OK, 1, 1},
      {'a', 400, "124", OK, OK, ENFORCE(360000), E, LPOL, 0, OK, 1, 1},
      {'l', 0, "124", OK, OK, BAD, E, LPOL, 1, OK, 0, 0}}},
    {"4, 11: a check that finds the same id does not fetch, D2",
     0,
     {{'l', 0, "124", OK, OK, ENFORCE(360000), E, LPOL, 0, OK, 1, 1},
      {'l', 300, "124", OK, OK, BAD, E, LPOL, 1, OK, 0, 0},
      {'t', 0, "124", OK, OK, BAD, 0, 0, 0, OK, 1, 0},
      {'l', 0, "124", OK, OK, BAD, E, LPOL, 1, OK, 0, 0}}},
    {"14: an expiry is not moved by a check, D1, D2; 19, 20, 22, 24: expired is fetched again",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(1000), E, LPOL, 0, OK, 1, 1},
      {'l', 400, "1", OK, OK, BAD, E, LPOL, 1, OK, 0, 0},
      {'l', 599, "1", DNS, OK, BAD, E, LPOL, 1, OK, 0, 0},
      {'l', 1, "1", OK, OK, TESTING(1), T, LPOL, 0, OK, 1, 1},
      {'l', 2, "1", OK, OK, ENFORCE(1), E, LPOL, 0, OK, 1, 1},
      {'l', 1, "1", OK, OK, TESTING(600), T, LPOL, 0, OK, 1, 1}}},
    {"21, 25, 32: expired, and it cannot be had: no policy",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(1), E, LPOL, 0, OK, 1, 1},
      {'l', 2, "2", OK, CONN, BAD, -1, LFAIL, 0, CONN, 1, 1},
      {'l', 0, "2", OK, OK, ENFORCE(9), -1, LFAIL, 1, CONN, 0, 0},
      {'l', 601, NULL, OK, CONN, BAD, -1, LNONE, 0, NOREC, 1, 0}}},
    {"23: a policy is the same two seconds later",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'l', 2, "1", OK, OK, BAD, E, LPOL, 1, OK, 0, 0}}},
    {"30: a new id brings a new policy, D2; nobody waits for it, D16",
     0,
     {{'l', 0, "1234", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'l', 300, "2345", OK, OK, TESTING(86400), E, LPOL, 1, OK, 0, 0},
      {'t', 0, "2345", OK, OK, TESTING(86400), 0, 0, 0, OK, 1, 1},
      {'l', 0, "2345", OK, OK, BAD, T, LPOL, 1, OK, 0, 0}}},
    {"31, 33, 34: a new id, and the fetch fails: the old policy, D3; H5: no other try for a while",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'a', 300, "2", OK, CONN, BAD, E, LFAIL, 0, CONN, 1, 1},
      {'a', 299, "2", OK, OK, TESTING(900), E, LFAIL, 0, CONN, 1, 0},
      {'a', 302, "2", OK, OK, TESTING(900), T, LPOL, 0, OK, 1, 1}}},
    {"35, 36, 37: the record goes, and the policy stays, D1",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'l', 300, NULL, OK, CONN, BAD, E, LPOL, 1, OK, 0, 0},
      {'t', 0, NULL, OK, CONN, BAD, 0, 0, 0, OK, 1, 0},
      {'l', 0, NULL, OK, CONN, BAD, E, LPOL, 1, OK, 0, 0},
      {'a', 0, NULL, OK, CONN, BAD, E, LNONE, 0, CONN, 1, 1}}},
    {"39, 40, 41, 42, 43: DNS fails, nothing known: told, and not remembered, D7, D15",
     0,
     {{'l', 0, "1", DNS, OK, BAD, -1, LTEMP, 0, DNS, 1, 0},
      {'l', 0, "1", MTASTS_ERR_DNS_BOGUS, OK, BAD, -1, LTEMP, 0, MTASTS_ERR_DNS_BOGUS, 1, 0},
      {'l', 0, "1", MTASTS_ERR_DNS_CNAME, OK, BAD, -1, LTEMP, 0, MTASTS_ERR_DNS_CNAME, 1, 0},
      {'l', 0, "1", OK, OK, ENFORCE(900), E, LPOL, 0, OK, 1, 1}}},
    {"D4: none replaces enforce, and is kept as long as it says",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'a', 400, "2", OK, OK, NONE(5000), N, LPOL, 0, OK, 1, 1},
      {'l', 299, "2", DNS, OK, BAD, N, LPOL, 1, OK, 0, 0}}},
    {"D17, 24, 28, 29: max_age 0 serves the delivery that fetched it",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(0), E, LPOL, 0, OK, 1, 1},
      {'l', 0, "1", OK, OK, ENFORCE(900), E, LPOL, 0, OK, 1, 1},
      {'a', 300, "1", OK, OK, ENFORCE(0), E, LPOL, 0, OK, 1, 1},
      {'l', 0, NULL, OK, OK, BAD, -1, LNONE, 0, NOREC, 1, 0}}},
    {"A5: again asks DNS and fetches, but not within five minutes",
     0,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'a', 299, "1", OK, OK, TESTING(900), E, LPOL, 0, OK, 1, 0},
      {'a', 1, "1", DNS, OK, TESTING(900), T, LPOL, 0, OK, 1, 1}}},
    {"a policy that is not valid is none, H6; a restart remembers that it failed",
     1,
     {{'l', 0, "1", OK, OK, BAD, -1, LFAIL, 0, MTASTS_ERR_POLICY_MODE, 1, 1},
      {'r', 0, "1", OK, OK, ENFORCE(9), 0, 0, 0, OK, 0, 0},
      {'l', 100, "1", OK, OK, ENFORCE(9), -1, LFAIL, 0, MTASTS_ERR_POLICY_MODE, 1, 0},
      {'l', 601, "1", OK, OK, ENFORCE(9), E, LPOL, 0, OK, 1, 1}}},
    {"12: a restart with a store: known at once, checked later",
     1,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'r', 9, "1", DNS, CONN, BAD, 0, 0, 0, OK, 0, 0},
      {'l', 0, "1", DNS, CONN, BAD, E, LPOL, 1, OK, 0, 0},
      {'r', 1000, "2", DNS, CONN, BAD, 0, 0, 0, OK, 0, 0},
      {'l', 0, "2", DNS, CONN, BAD, E, LPOL, 1, OK, 0, 0},
      {'t', 0, "2", OK, OK, TESTING(800), 0, 0, 0, OK, 1, 1},
      {'l', 0, "2", DNS, CONN, BAD, T, LPOL, 1, OK, 0, 0}}},
    {"a restart after the policy's time: no policy",
     1,
     {{'l', 0, "1", OK, OK, ENFORCE(800), E, LPOL, 0, OK, 1, 1},
      {'r', 800, "1", OK, OK, BAD, 0, 0, 0, OK, 0, 0},
      {'l', 0, "1", DNS, OK, ENFORCE(800), -1, LTEMP, 0, DNS, 1, 0},
      {'l', 0, "1", OK, OK, ENFORCE(800), E, LPOL, 0, OK, 1, 1}}},
    {"forgotten in memory and in the store",
     1,
     {{'l', 0, "1", OK, OK, ENFORCE(86400), E, LPOL, 0, OK, 1, 1},
      {'f', 0, "1", OK, OK, BAD, 0, 0, 0, OK, 0, 0},
      {'l', 0, NULL, OK, OK, BAD, -1, LNONE, 0, NOREC, 1, 0}}},
};

static void play(const story *y, const step *s)
{
    int txt = w.calls[TXT], https = w.calls[HTTPS], mode = -1;
    w.now += s->wait;
    w.id = s->id;
    w.dns = s->dns;
    w.web = s->web;
    w.body = s->body;
    if (s->what == 't')
        idle();
    else if (s->what == 'r')
        restart();
    else if (s->what == 'f')
        assert_int_equal(mtasts_client_forget(&w.client, "example.com", 11), 1);
    else
        mode = look(s->what == 'a' ? MTASTS_LOOKUP_AGAIN : 0);
    if (w.calls[TXT] - txt != s->txt || w.calls[HTTPS] - https != s->https)
        fail_msg("%s: step %d asks %d, %d", y->name, (int)(s - y->steps), w.calls[TXT] - txt,
                 w.calls[HTTPS] - https);
    if (s->what != 'l' && s->what != 'a')
        return;
    if (mode != s->mode || (int)last.learned != s->learned || last.cached != s->cached ||
        last.diag.err != s->why)
        fail_msg("%s: step %d: mode %d, %s, cached %d, %s", y->name, (int)(s - y->steps), mode,
                 mtasts_learned_name((int)last.learned), last.cached,
                 mtasts_err_name((int)last.diag.err));
    assert_int_equal(last.override, MTASTS_OVERRIDE_NONE);
}

/* Each story with a host that blocks, and with one that answers later: it makes no difference. */
static void test_stories(void **state)
{
    size_t i, j;
    unsigned later;
    for (i = 0; i < COUNT(stories); i++)
        for (later = 0; later < 2; later++) {
            teardown(state);
            setup(state);
            if (stories[i].store)
                with_store();
            w.later = later ? ~0u : 0;
            start();
            for (j = 0; j < COUNT(stories[i].steps) && stories[i].steps[j].what; j++)
                play(&stories[i], &stories[i].steps[j]);
        }
}

/* ---- one question for many ---- */

/* D6, scenario 18: eight look-ups of a domain ask once. The last ones to come are told as well. */
static void test_D6_eight_at_once(void **state)
{
    mtasts_lookup l[8];
    int i;
    (void)state;
    w.later = ~0u;
    start();
    for (i = 0; i < 8; i++) {
        assert_int_equal(begin(&l[i], i % 2 ? "example.com" : "EXAMPLE.com.", 0), MTASTS_MORE);
        if (i == 3)
            serve(TXT);
    }
    assert_int_equal(w.done, 0);
    serve(HTTPS);
    assert_int_equal(w.calls[TXT], 1);
    assert_int_equal(w.calls[HTTPS], 1);
    assert_int_equal(w.done, 8);
    for (i = 0; i < 8; i++) {
        assert_ptr_equal(w.answered[i], &l[i]);
        assert_int_equal(mode_of(&l[i]), E);
        assert_ptr_equal(l[i].policy, l[0].policy);
        assert_string_equal(l[i].id, "1");
        assert_int_equal(l[i].cached, 0);
        assert_int_equal(l[i].expires, START + 604800);
    }
    for (i = 0; i < 8; i++)
        end(&l[i]);
    assert_int_equal(w.client.counters.lookups, 8);
    assert_int_equal(w.client.counters.joined, 7);
    assert_int_equal(w.client.counters.hits, 0);
    assert_int_equal(w.client.counters.txt, 1);
    assert_int_equal(w.client.counters.https, 1);
}

/* Those who ended are not told, and the policy is kept even if nobody waits. */
static void test_ended_while_waiting(void **state)
{
    mtasts_lookup l[8];
    unsigned mask;
    int i, told;
    for (mask = 0; mask < 256; mask += 15) {
        teardown(state);
        setup(state);
        w.later = ~0u;
        start();
        for (i = 0; i < 8; i++)
            assert_int_equal(begin(&l[i], "example.com", 0), MTASTS_MORE);
        serve(TXT);
        for (i = 0, told = 8; i < 8; i++)
            if (mask >> i & 1) {
                end(&l[i]);
                end(&l[i]);
                told--;
            }
        serve(HTTPS);
        assert_int_equal(w.done, told);
        for (i = 0; i < 8; i++) {
            assert_int_equal(mode_of(&l[i]), mask >> i & 1 ? -1 : E);
            end(&l[i]);
        }
        w.dns = DNS;
        assert_int_equal(look(0), E);
        assert_int_equal(last.cached, 1);
    }
}

/* ---- `done` may do everything ---- */

static mtasts_lookup others[8];
static int other;

static void done_asks_more(mtasts_lookup *l)
{
    char name[30];
    mtasts_entry e;
    int n = other++;
    end(l);
    assert_int_equal(known("example.com", &e), 1);
    if (n >= (int)COUNT(others))
        return;
    snprintf(name, sizeof name, "d%d.example.com", n);
    w.later = n % 2 ? ~0u : 0;
    assert_int_equal(begin(&others[n], name, 0), n % 2 ? MTASTS_MORE : MTASTS_OK);
    if (!(n % 2)) {
        assert_int_equal(mode_of(&others[n]), E);
        end(&others[n]);
        return;
    }
    assert_int_equal(mtasts_client_give_txt(&w.client, 1, NOREC, NULL, 0, 0), MTASTS_ERR_STALE);
    w.inside_done = n < 6 ? done_asks_more : NULL;
    serve_all(); /* told when this returns, not inside it */
    assert_true(mtasts_client_tick(&w.client) > w.now);
}

static void test_done_asks_more(void **state)
{
    mtasts_lookup l[2];
    (void)state;
    w.later = ~0u;
    w.inside_done = done_asks_more;
    other = 0;
    start();
    begin(&l[0], "example.com", 0);
    begin(&l[1], "example.com", 0);
    serve(TXT);
    serve(HTTPS);
    assert_true(other >= 3);
    assert_int_equal(w.done, other);
}

/* The first that is told ends all the others: `done` is not called for them. */
static void done_ends_all(mtasts_lookup *l)
{
    int i;
    (void)l;
    for (i = 0; i < 8; i++)
        end(&others[i]);
}

static void test_done_ends_others(void **state)
{
    int i;
    (void)state;
    w.later = ~0u;
    w.inside_done = done_ends_all;
    start();
    for (i = 0; i < 8; i++)
        begin(&others[i], "example.com", 0);
    serve(TXT);
    serve(HTTPS);
    assert_int_equal(w.done, 1);
    for (i = 0; i < 8; i++)
        assert_null(others[i].policy);
}

static int init_again;
static void done_clears(mtasts_lookup *l)
{
    (void)l;
    mtasts_client_clear(&w.client);
    assert_int_equal(w.live, 0);
    if (init_again)
        start();
}

/* A clear from inside `done`, in each place where `done` can come from. */
static void test_done_clears(void **state)
{
    mtasts_lookup l[3];
    for (init_again = 0; init_again < 2; init_again++) {
        teardown(state);
        setup(state);
        w.later = ~0u;
        w.inside_done = done_clears;
        start();
        begin(&l[0], "example.com", 0);
        begin(&l[1], "example.com", 0);
        begin(&l[2], "example.net", 0);
        serve(TXT);
        assert_int_equal(serve(HTTPS), OK);
        assert_int_equal(w.done, 1);
        end(&l[0]);
        end(&l[1]);
        end(&l[2]);
        w.queued = 0;
        w.inside_done = NULL;
        w.done = 0;
        if (!init_again)
            start();
        assert_int_equal(look(0), E);
        w.inside_done = done_clears;
        begin(&l[0], "example.org", 0);
        w.now += 30;
        assert_int_equal(mtasts_client_tick(&w.client), NEVER); /* its time is up */
        assert_int_equal(w.done, 1);
        w.queued = 0;
    }
}

/* A blocking look-up in whose course another one's `done` clears the client is refused. */
static void answers_all(int kind, uint64_t ticket)
{
    (void)ticket;
    if (kind != TXT)
        return;
    w.inside = NULL;
    w.inside_done = done_clears;
    while (w.queued)
        serve(w.queue[0].kind);
}

static void test_cleared_under_a_lookup(void **state)
{
    mtasts_lookup l[2];
    (void)state;
    w.later = ~0u;
    init_again = 0;
    start();
    assert_int_equal(begin(&l[0], "example.net", 0), MTASTS_MORE);
    serve(TXT);
    w.later = 0;
    w.inside = NULL;
    begin(&l[1], "example.org", 0);
    end(&l[1]);
    w.inside = answers_all;
    w.now++;
    assert_int_equal(begin(&l[1], "example.com", 0), MTASTS_ERR_USAGE);
    assert_null(l[1].policy);
    end(&l[1]);
    end(&l[0]);
    w.inside_done = NULL;
}

/* ---- no mistake does harm ---- */

static mtasts_lookup spare, open_one;
static int tried[KINDS];

/* From inside a callback all but give is refused; from inside most give is, too. */
static void try_everything(int kind, uint64_t ticket)
{
    mtasts_entry e;
    mtasts_diag diag;
    int i, told = w.told;
    (void)ticket;
    w.inside = NULL;
    assert_true(mtasts_client_next(&w.client) >= 0);
    for (i = 0; i < 2; i++)
        assert_int_equal(begin(&spare, "example.org", i ? MTASTS_LOOKUP_AGAIN : 0),
                         MTASTS_ERR_USAGE);
    end(&open_one);
    mtasts_client_clear(&w.client);
    assert_int_equal(mtasts_client_tick(&w.client), NEVER);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_OFF);
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, "", 0, &diag), MTASTS_ERR_USAGE);
    assert_diag(&diag, MTASTS_ERR_USAGE, 0);
    assert_int_equal(mtasts_client_refresh(&w.client, "example.org", 11), MTASTS_ERR_USAGE);
    assert_int_equal(mtasts_client_forget(&w.client, "example.com", 11), 0);
    assert_int_equal(known("example.com", &e), 0);
    assert_true(all_zero(&e, sizeof e));
    assert_int_equal(w.told, told);
    if (kind > SAVE) {
        assert_int_equal(mtasts_client_give_load(&w.client, 1, OK, NULL, 0), MTASTS_ERR_USAGE);
        assert_int_equal(mtasts_client_give_save(&w.client, 1, OK), MTASTS_ERR_USAGE);
    } else {
        assert_int_equal(mtasts_client_give_load(&w.client, 1, OK, NULL, 0), MTASTS_ERR_STALE);
        assert_int_equal(mtasts_client_give_save(&w.client, 1, OK), MTASTS_ERR_STALE);
    }
    w.inside = try_everything;
    tried[kind]++;
}

static void test_misuse_inside_callbacks(void **state)
{
    int kind;
    (void)state;
    memset(tried, 0, sizeof tried);
    with_store();
    w.host.override = host_override;
    w.host.random = host_random;
    w.inside = try_everything;
    start();
    assert_int_equal(w.calls[RANDOM], 1);
    assert_int_equal(begin(&open_one, "example.com", 0), OK);
    assert_int_equal(mode_of(&open_one), E);
    w.web = CONN;
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), E);
    w.now += 604800;
    w.later = LATER(SAVE);
    idle();
    assert_int_equal(mode_of(&open_one), E);
    assert_string_equal(open_one.id, "1");
    mtasts_client_forget(&w.client, "example.com", 11);
    w.inside = NULL;
    end(&open_one);
    for (kind = 0; kind < KINDS; kind++)
        assert_true(tried[kind] > 0);
}

/* What a host is refused: each of these, and then everything. */
static void test_init_refused(void **state)
{
    static const char *const names[] = {"size 0",    "size short", "size long", "no clock",
                                        "no txt",    "no https",   "load only", "save only",
                                        "no memory", "no release", "no key",    "random fails"};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        mtasts_host h = w.host;
        h.size = i == 0 ? 0 : i == 1 ? sizeof h - 1 : sizeof h + (i == 2);
        h.clock = i == 3 ? NULL : h.clock;
        h.txt = i == 4 ? NULL : h.txt;
        h.https = i == 5 ? NULL : h.https;
        h.load = i == 6 ? host_load : NULL;
        h.save = i == 7 ? host_save : NULL;
        h.memory.allocate = i == 8 ? NULL : h.memory.allocate;
        h.memory.release = i == 9 ? NULL : h.memory.release;
        h.key[0] = i == 10 ? 0 : h.key[0];
        if (mtasts_client_init(&w.client, &h) != MTASTS_ERR_USAGE)
            fail_msg("%s", names[i]);
        w.inside = NULL;
        begin(&open_one, "example.com", 0);
        try_everything(CLOCK, 0);
        w.inside = NULL;
        if (i == 10)
            break;
    }
    assert_int_equal(w.calls[CLOCK], 0);
}

/* It fails half-way, or gives nothing but zeros. */
static int bad_random(void *user, void *out, size_t len)
{
    assert_ptr_equal(user, &w);
    memset(out, w.told == 77 ? 0 : 9, len);
    return w.told == 77;
}

/* random must work, and give something. */
static void test_init_key(void **state)
{
    (void)state;
    w.host.random = bad_random;
    assert_int_equal(mtasts_client_init(&w.client, &w.host), MTASTS_ERR_USAGE);
    w.told = 77;
    assert_int_equal(mtasts_client_init(&w.client, &w.host), MTASTS_ERR_USAGE);
    w.told = 0;
    w.host.random = host_random;
    memset(w.host.key, 0, sizeof w.host.key);
    start();
    assert_int_equal(look(0), E);
    assert_int_equal(w.calls[RANDOM], 1);
}

static void test_before_init_and_after_clear(void **state)
{
    int i;
    (void)state;
    for (i = 0; i < 2; i++) {
        begin(&open_one, "example.com", 0);
        try_everything(CLOCK, 0);
        w.inside = NULL;
        assert_int_equal(mtasts_client_cache(&w.client)->stats.octets, 0);
        start();
        assert_int_equal(look(0), E);
        stop();
        mtasts_client_clear(&w.client);
    }
}

/* clear with look-ups that wait, that are answered, and that were answered but not told. */
static void clear_open(int waiting, int again)
{
    mtasts_lookup l[3];
    int i;
    w.later = waiting ? ~0u : 0;
    start();
    for (i = 0; i < 3; i++)
        assert_int_equal(begin(&l[i], "example.com", 0), waiting ? MTASTS_MORE : OK);
    if (waiting == 2)
        serve_all();
    stop();
    w.queued = 0;
    if (again)
        start();
    for (i = 0; i < 3; i++) {
        end(&l[i]);
        end(&l[i]);
        assert_null(l[i].policy);
    }
    w.later = 0;
    if (again) {
        assert_int_equal(look(0), E);
        stop();
    }
}

static void test_clear_with_open_lookups(void **state)
{
    int waiting;
    (void)state;
    for (waiting = 0; waiting < 3; waiting++) {
        clear_open(waiting, 0);
        clear_open(waiting, 1);
    }
}

static void test_lookup_twice(void **state)
{
    mtasts_lookup l;
    (void)state;
    w.later = ~0u;
    start();
    assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
    assert_int_equal(mtasts_client_lookup(&w.client, &l, "example.net", 11, 0), MTASTS_ERR_USAGE);
    serve_all();
    assert_int_equal(mode_of(&l), E);
    assert_int_equal(mtasts_client_lookup(&w.client, &l, "example.net", 11, 0), MTASTS_ERR_USAGE);
    assert_int_equal(mode_of(&l), E);
    assert_string_equal(l.domain, "example.com");
    end(&l);
    end(&l);
    assert_int_equal(mtasts_client_lookup(&w.client, &l, "example.com", 11, 0), OK);
    end(&l);
    assert_int_equal(w.done, 1);
    l.done = NULL; /* nobody wants to be told */
    assert_int_equal(mtasts_client_lookup(&w.client, &l, "example.net", 11, 0), MTASTS_MORE);
    serve_all();
    assert_int_equal(mode_of(&l), E);
    end(&l);
}

/* Scenarios 9 and 69: what is no domain is refused, and asks nobody. */
static void test_names(void **state)
{
    static const struct {
        const char *domain;
        mtasts_err err;
    } rows[] = {
        {"", MTASTS_ERR_NAME_EMPTY},
        {"a/b", MTASTS_ERR_NAME_OCTET},
        {"..", MTASTS_ERR_NAME_EMPTY_LABEL},
        {"../etc", MTASTS_ERR_NAME_EMPTY_LABEL},
        {"[192.0.2.1]", MTASTS_ERR_NAME_ADDRESS},
        {"192.0.2.1", MTASTS_ERR_NAME_ADDRESS},
    };
    mtasts_lookup l;
    mtasts_entry e;
    size_t i;
    (void)state;
    start();
    for (i = 0; i < COUNT(rows); i++) {
        const char *d = rows[i].domain;
        mtasts_err err = begin(&l, d, 0);
        /* an address has no policy (RFC 8461 3.4), which is no mistake */
        assert_int_equal(err, rows[i].err == MTASTS_ERR_NAME_ADDRESS ? OK : rows[i].err);
        assert_int_equal(l.learned, err == OK ? LNONE : MTASTS_LEARNED_NOTHING);
        assert_int_equal(l.diag.err, rows[i].err);
        assert_null(l.policy);
        end(&l);
        assert_int_equal(mtasts_client_refresh(&w.client, d, strlen(d)), rows[i].err);
        assert_int_equal(mtasts_client_forget(&w.client, d, strlen(d)), 0);
        assert_int_equal(known(d, &e), 0);
    }
    assert_int_equal(begin(&l, "example.com", 0x40000000), MTASTS_ERR_USAGE); /* no such flag */
    assert_int_equal(w.calls[TXT], 0);
    assert_int_equal(mtasts_client_tick(&w.client), NEVER);
}

/* A domain without room for "_mta-sts." has no record, and nobody is asked. */
static void test_long_name(void **state)
{
    char name[254];
    mtasts_lookup l;
    int i;
    (void)state;
    for (i = 0; i < 250; i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    name[250] = '\0';
    with_store();
    for (i = 0; i < 2; i++) {
        w.later = i ? ~0u : 0;
        start();
        assert_int_equal(begin(&l, name, 0), i ? MTASTS_MORE : OK);
        serve_all();
        assert_int_equal(l.learned, LNONE);
        assert_int_equal(mode_of(&l), -1);
        end(&l);
        stop();
    }
    assert_int_equal(w.calls[TXT], 0);
    w.host.load = NULL;
    w.host.save = NULL;
    start();
    assert_int_equal(begin(&l, name, 0), OK);
    assert_int_equal(l.learned, LNONE);
    end(&l);
}

/* ---- tickets ---- */

static mtasts_err give(int kind, uint64_t ticket)
{
    asked a;
    memset(&a, 0, sizeof a);
    a.kind = kind;
    a.ticket = ticket;
    strcpy(a.domain, "example.com");
    return answer(&a);
}

/* Late, twice, of another request, of another client, random: refused, and told. */
static void test_tickets(void **state)
{
    mtasts_lookup l;
    uint64_t ticket, before = 1;
    int kind, other_kind, stale;
    (void)state;
    with_store();
    w.later = ~0u;
    start();
    assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
    for (kind = LOAD; kind <= SAVE; kind++) {
        stale = w.told;
        assert_int_equal(w.queued, 1);
        ticket = w.queue[0].ticket;
        assert_int_equal(give(kind, before), MTASTS_ERR_STALE);
        assert_int_equal(give(kind, ticket ^ 1), MTASTS_ERR_STALE);
        assert_int_equal(give(kind, ticket ^ (uint64_t)1 << 40), MTASTS_ERR_STALE);
        assert_int_equal(give(kind, ~ticket), MTASTS_ERR_STALE);
        assert_int_equal(w.told, stale + 4);
        expect_event(stale, MTASTS_EVENT_STALE, "", MTASTS_ERR_STALE, N, N, 0);
        for (other_kind = LOAD; other_kind <= SAVE; other_kind++)
            if (other_kind != kind)
                assert_int_equal(give(other_kind, ticket), MTASTS_ERR_USAGE);
        serve(kind);
        assert_int_equal(give(kind, ticket), MTASTS_ERR_STALE);
        before = ticket;
    }
    assert_int_equal(mode_of(&l), E);
    assert_int_equal(w.done, 1);
    end(&l);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_STALE], 20);
    w.now += 300;
    look(0); /* a check is to be begun, of which nobody has a ticket */
    assert_int_equal(give(SAVE, before), MTASTS_ERR_STALE);
    for (kind = LOAD; kind <= SAVE; kind++)
        assert_int_equal(w.calls[kind], 1); /* each once */
}

/* Two clients with keys of their own do not take each other's answers. */
static void test_tickets_of_another_client(void **state)
{
    static mtasts_client second;
    mtasts_host h = w.host;
    mtasts_lookup l, m;
    (void)state;
    w.later = ~0u;
    h.key[0] = 2;
    start();
    assert_int_equal(mtasts_client_init(&second, &h), OK);
    begin(&l, "example.com", 0);
    memset(&m, 0, sizeof m);
    assert_int_equal(mtasts_client_lookup(&second, &m, "example.com", 11, 0), MTASTS_MORE);
    assert_int_equal(mtasts_client_give_txt(&second, w.queue[0].ticket, NOREC, NULL, 0, 0),
                     MTASTS_ERR_STALE);
    assert_int_equal(mtasts_client_give_txt(&w.client, w.queue[1].ticket, NOREC, NULL, 0, 0),
                     MTASTS_ERR_STALE);
    end(&l);
    mtasts_client_end(&second, &m);
    mtasts_client_clear(&second);
    w.queued = 0;
}

/* A blocking host that answers everything twice, from inside the callbacks. */
static void test_all_twice(void **state)
{
    (void)state;
    with_store();
    w.twice = 1;
    start();
    assert_int_equal(look(0), E);
    assert_int_equal(w.calls[LOAD] + w.calls[TXT] + w.calls[HTTPS] + w.calls[SAVE], 4);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_STALE], 4);
}

/* What is no answer changes nothing: the good one may still come. */
static void test_bad_answers(void **state)
{
    mtasts_lookup l;
    mtasts_client *c = &w.client;
    uint64_t t;
    (void)state;
    w.later = ~0u;
    start();
    begin(&l, "example.com", 0);
    t = w.queue[0].ticket;
    assert_int_equal(mtasts_client_give_txt(c, t, OK, NULL, 1, 0), MTASTS_ERR_USAGE);
    serve(TXT);
    t = w.queue[0].ticket;
    assert_int_equal(mtasts_client_give_https(c, t, OK, NULL, 5), MTASTS_ERR_USAGE);
    assert_int_equal(w.done, 0);
    assert_int_equal(w.told, 0);
    w.now += 50;
    serve(HTTPS);
    assert_int_equal(mode_of(&l), E);
    assert_int_equal(l.expires, START + 604800); /* D1: from when it was asked for */
    end(&l);
}

/* H6: every status that an exchange can have, an empty body, one that is too large. */
static void test_H6_fetch_failures(void **state)
{
    static char large[MTASTS_POLICY_MAX + 2];
    int err;
    memset(large, 'a', sizeof large - 1);
    for (err = 0; err < 100; err++) {
        if (mtasts_err_tlsrpt(err) == MTASTS_TLSRPT_OK && err)
            continue;
        teardown(state);
        setup(state);
        start();
        w.web = (mtasts_err)err;
        w.body = err ? NULL : "";
        assert_int_equal(look(0), -1);
        assert_int_equal(last.learned, LFAIL);
        assert_int_equal(last.diag.err, err ? err : (int)MTASTS_ERR_POLICY_NO_VERSION);
        assert_int_equal(last.result,
                         err ? mtasts_err_tlsrpt(err) : MTASTS_TLSRPT_STS_POLICY_INVALID);
        assert_int_equal(w.events[0].kind, MTASTS_EVENT_FETCH_FAILED);
        assert_int_equal(look(0), -1);
        assert_int_equal(last.cached, 1);
        assert_int_equal(w.calls[HTTPS], 1); /* H5 */
    }
    w.now += 602;
    w.web = OK;
    w.body = large;
    look(0);
    assert_int_equal(last.diag.err, MTASTS_ERR_POLICY_SIZE);
}

/* ---- time ---- */

/* What is not answered in time counts as failed, and an answer after it is late. */
static void time_out_of(int kind, int64_t seconds, mtasts_learned learned, int mode)
{
    mtasts_lookup l;
    mtasts_err err;
    w.later = LATER(kind);
    w.done = w.told = 0;
    err = begin(&l, "example.com", 0);
    assert_int_equal(err, kind == SAVE ? OK : MTASTS_MORE);
    assert_int_equal(mtasts_client_next(&w.client), w.now + seconds);
    w.now += seconds - 1;
    assert_int_equal(mtasts_client_tick(&w.client), w.now + 1);
    assert_int_equal(w.client.counters.timeouts, 0);
    w.now++;
    mtasts_client_tick(&w.client);
    assert_int_equal(w.client.counters.timeouts, 1);
    assert_int_equal(w.client.counters.discoveries, 0);
    assert_int_equal(w.done, kind != SAVE);
    assert_int_equal(l.learned, learned);
    assert_int_equal(mode_of(&l), mode);
    end(&l);
    assert_int_equal(serve(kind), MTASTS_ERR_STALE);
}

static void test_time_outs(void **state)
{
    static const struct {
        int kind, seconds;
        mtasts_learned learned;
        int mode;
        mtasts_event_kind event;
    } rows[] = {{LOAD, 10, LPOL, E, MTASTS_EVENT_STORE_FAILED},
                {TXT, 30, LTEMP, -1, MTASTS_EVENT_STALE},
                {HTTPS, 60, LFAIL, -1, MTASTS_EVENT_FETCH_FAILED},
                {SAVE, 10, LPOL, E, MTASTS_EVENT_FOUND}};
    size_t i;
    int own;
    for (i = 0; i < COUNT(rows); i++)
        for (own = 0; own < 2; own++) {
            teardown(state);
            setup(state);
            with_store();
            if (own) {
                w.host.dns_timeout = 7;
                w.host.https_timeout = 8;
                w.host.store_timeout = 9;
            }
            start();
            time_out_of(rows[i].kind,
                        !own                    ? rows[i].seconds
                        : rows[i].kind == TXT   ? 7
                        : rows[i].kind == HTTPS ? 8
                                                : 9,
                        rows[i].learned, rows[i].mode);
            assert_int_equal(w.events[0].kind, rows[i].event);
            if (rows[i].kind == SAVE)
                expect_event(1, MTASTS_EVENT_STORE_FAILED, "example.com", OK, N, N, 0);
        }
}

/* D9: a clock that jumps makes nobody wait for longer, and crashes nothing. */
static void test_D9_clock_jumps_while_waiting(void **state)
{
    static const int64_t jumps[] = {-1000, -86400 * 365, INT64_MIN, 1000, 86400 * 365, INT64_MAX};
    mtasts_lookup l;
    size_t i;
    int kind;
    for (i = 0; i < COUNT(jumps); i++)
        for (kind = LOAD; kind <= SAVE; kind++) {
            int64_t next, now;
            teardown(state);
            setup(state);
            with_store();
            w.later = LATER(kind);
            start();
            begin(&l, "example.com", 0);
            w.now = i % 3 == 2 ? jumps[i] : w.now + jumps[i];
            now = w.now < 0 ? 0 : w.now;
            next = mtasts_client_tick(&w.client);
            assert_true(jumps[i] > 0 || next <= now + 60);
            assert_true(jumps[i] < 0 || w.client.counters.timeouts == 1);
            w.now = jumps[i] > 0 ? START : next;
            mtasts_client_tick(&w.client);
            assert_int_equal(w.client.counters.timeouts, 1);
            assert_int_equal(w.done, kind != SAVE);
            end(&l);
        }
}

/* D9: a clock that was wrong does not make a policy live for longer than it may from now. */
static void test_D9_clock_set_back(void **state)
{
    mtasts_entry e;
    int i;
    (void)state;
    start();
    w.now = START + (int64_t)1000 * DAY;
    assert_int_equal(look(0), E);
    for (i = 0; i < 3; i++) {
        w.now = START - i * DAY;
        assert_int_equal(look(0), E);
        assert_int_equal(last.expires, w.now + 604800);
        assert_true(mtasts_client_tick(&w.client) <= w.now + 604800);
    }
    w.now = -5;
    assert_int_equal(look(0), E);
    assert_int_equal(known("example.com", &e), 1);
    assert_int_equal(e.fetched, 0);
    assert_int_equal(e.expires, 604800);
    w.now = INT64_MAX;
    w.dns = DNS;
    assert_int_equal(look(0), -1);
    mtasts_client_tick(&w.client);
}

/* A month (D5, D14): two domains, of which one is used daily. Sleeps until the time that tick says.
 * Returns how often it was called. */
static int a_month(int days, int busy)
{
    int64_t until = w.now + (int64_t)days * DAY, deliver = w.now + DAY;
    int ticks = 0;
    mtasts_lookup l;
    while (w.now < until) {
        int64_t next = mtasts_client_tick(&w.client);
        ticks++;
        assert_true(ticks < 200 + 6 * days);
        if (next > w.now)
            w.now = next < deliver ? next : deliver;
        if (w.now == deliver) {
            deliver += DAY;
            if (busy) {
                assert_int_equal(begin(&l, "busy.example", 0), OK);
                assert_int_equal(mode_of(&l), E);
                end(&l);
            }
        }
    }
    return ticks;
}

static void check_fetches(const char *domain, int least, int most)
{
    int64_t before = 0;
    int i, n = 0;
    for (i = 0; i < w.fetched; i++) {
        if (strcmp(w.fetches[i].domain, domain))
            continue;
        if (before)
            assert_in_range(w.fetches[i].at - before, DAY - DAY / 4, DAY + DAY / 4 + 2);
        before = w.fetches[i].at;
        n++;
    }
    assert_in_range(n, least, most);
}

static void test_D5_D14_month(void **state)
{
    mtasts_lookup l;
    int64_t busy = 0, idle_one = 0;
    int i, store;
    for (store = 0; store < 2; store++) {
        teardown(state);
        setup(state);
        if (store)
            with_store();
        w.body = ENFORCE(31557600);
        start();
        begin(&l, "busy.example", 0);
        end(&l);
        begin(&l, "idle.example", 0);
        end(&l);
        a_month(20, 1);
        w.dns = DNS; /* goes on while DNS fails */
        a_month(20, 1);
        check_fetches("busy.example", 33, 54);
        check_fetches("idle.example", 25, 41); /* for 30 days */
        for (i = 0; i < w.fetched; i++) {
            if (w.fetches[i].at == START)
                continue;
            if (!busy && !strcmp(w.fetches[i].domain, "busy.example"))
                busy = w.fetches[i].at;
            if (!idle_one && !strcmp(w.fetches[i].domain, "idle.example"))
                idle_one = w.fetches[i].at;
            assert_true(strcmp(w.fetches[i].domain, "idle.example") ||
                        w.fetches[i].at <= START + 31 * DAY);
        }
        assert_true(busy != idle_one); /* jitter */
        assert_true(w.client.counters.refreshes > 60);
    }
}

/* Deliveries every ten seconds, with and without a store: a policy of one day is fetched before it
 * ends, so that no delivery waits, and DNS is asked no more often than every five minutes. */
static void test_D5_busy_domain(void **state)
{
    int i, store;
    for (store = 0; store < 2; store++) {
        teardown(state);
        setup(state);
        if (store)
            with_store();
        w.body = ENFORCE(86400);
        start();
        look(0);
        for (i = 0; i < 9000; i++) {
            w.now += 10;
            assert_int_equal(look(0), E);
            assert_int_equal(last.cached, 1);
            mtasts_client_tick(&w.client);
        }
        assert_in_range(w.calls[HTTPS], 2, 5);
        assert_true(w.calls[TXT] <= 90000 / 300 + 6);
    }
}

/* Nor while HTTPS fails for days: check_after and H5 hold, the policy is honoured to its end. */
static void test_H5_outage(void **state)
{
    int i;
    (void)state;
    start();
    look(0);
    w.web = CONN;
    w.told = 0;
    for (i = 0; i < 5 * DAY / 60; i++) {
        w.now += 60;
        w.told = 0;
        w.fetched = 0;
        assert_int_equal(look(0), E);
        mtasts_client_tick(&w.client);
    }
    assert_true(w.calls[TXT] <= 5 * DAY / 300 * 2);
    assert_in_range(w.calls[HTTPS], 60, 5 * DAY / 1500);
    for (i = 2; i < w.fetched; i++)
        assert_true(w.fetches[i].at - w.fetches[i - 1].at >= 300);
}

/* H5: neither the policy's end nor a tick makes a pending retry forgotten. */
static void test_H5_expired_with_retry(void **state)
{
    int ticks;
    for (ticks = 0; ticks < 2; ticks++) {
        teardown(state);
        setup(state);
        start();
        w.body = ENFORCE(1000);
        look(0);
        w.now += 900;
        w.web = CONN;
        look(MTASTS_LOOKUP_AGAIN);
        assert_int_equal(w.calls[HTTPS], 2);
        w.now += 100;
        if (ticks)
            idle();
        assert_int_equal(look(0), -1);
        assert_int_equal(last.learned, LFAIL);
        assert_int_equal(last.result, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR);
        assert_int_equal(w.calls[HTTPS], 2);
        w.now += 600;
        if (ticks)
            idle();
        w.web = OK;
        assert_int_equal(look(0), E);
        assert_int_equal(w.calls[HTTPS], 3);
    }
}

/* At most one check or refresh per tick, whatever is due, and expired ones besides. */
static void test_one_refresh_per_tick(void **state)
{
    mtasts_lookup l;
    char name[30];
    int i, ticks = 0, before;
    (void)state;
    w.body = ENFORCE(864000);
    start();
    for (i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        begin(&l, name, 0);
        end(&l);
    }
    w.body = NONE(600);
    for (i = 10; i < 100; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        begin(&l, name, 0);
        end(&l);
    }
    w.body = ENFORCE(864000);
    w.now += 2 * DAY;
    w.told = 0;
    do {
        before = w.calls[TXT];
        assert_true(++ticks < 40);
        mtasts_client_tick(&w.client);
        assert_true(w.calls[TXT] - before <= 1);
        assert_true(w.calls[HTTPS] <= 100 + ticks);
    } while (mtasts_client_next(&w.client) <= w.now);
    assert_int_equal(w.calls[HTTPS], 110);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_EXPIRED], 90);
}

/* ---- events ---- */

static void test_events_of_fetches(void **state)
{
    int n = 0;
    (void)state;
    start();
    look(0);
    expect_event(n++, MTASTS_EVENT_FOUND, "example.com", OK, E, N, 604800);
    w.now += 300;
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_RENEWED, "example.com", OK, E, E, 604800);
    w.now += 300;
    w.body = OTHER(1000);
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_CHANGED, "example.com", OK, E, E, 1000);
    w.now += 300;
    w.web = MTASTS_ERR_HTTP_STATUS;
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_REFRESH_FAILED, "example.com", MTASTS_ERR_HTTP_STATUS, E, E,
                 700);
    w.now += 650;
    w.web = OK;
    w.body = TESTING(700);
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_DOWNGRADED, "example.com", OK, T, E, 700);
    w.now += 300;
    w.body = NONE(500);
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_DOWNGRADED, "example.com", OK, N, T, 500);
    w.now += 300;
    w.body = BAD; /* D5: of no interest in mode none */
    look(MTASTS_LOOKUP_AGAIN);
    assert_int_equal(w.told, n);
    w.now += 200;
    idle();
    expect_event(n++, MTASTS_EVENT_EXPIRED, "example.com", OK, N, N, 0);
    w.now += 700;
    look(0);
    expect_event(n, MTASTS_EVENT_FETCH_FAILED, "example.com", MTASTS_ERR_POLICY_MODE, N, N, 0);
    assert_int_equal(w.events[n].diag.line, 2);
    n++;
    w.now += 1300;
    w.body = TESTING(2000);
    look(0);
    expect_event(n++, MTASTS_EVENT_FOUND, "example.com", OK, T, N, 2000);
    w.now += 300;
    w.body = ENFORCE(400);
    look(MTASTS_LOOKUP_AGAIN);
    expect_event(n++, MTASTS_EVENT_CHANGED, "example.com", OK, E, T, 400);
    w.now += 400;
    w.web = CONN;
    look(0);
    expect_event(n++, MTASTS_EVENT_FETCH_FAILED, "example.com", CONN, N, E, 0);
    expect_event(n++, MTASTS_EVENT_EXPIRED, "example.com", CONN, E, E, 0);
    assert_int_equal(w.told, n);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_FOUND], 2);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_DOWNGRADED], 2);
}

/* It ends while a refresh is under way that then fails: told once. */
static void test_expired_is_told_once(void **state)
{
    mtasts_lookup l;
    (void)state;
    w.body = ENFORCE(1000);
    start();
    look(0);
    w.now += 980;
    w.later = ~0u;
    assert_int_equal(begin(&l, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
    serve(TXT);
    w.now += 30;
    mtasts_client_tick(&w.client);
    w.web = CONN;
    serve(HTTPS);
    assert_int_equal(mode_of(&l), -1);
    end(&l);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_EXPIRED], 1);
}

/* Scenarios 70, 72, 73, D10: absences first, then none and testing; what is told of it. */
static void test_D10_eviction(void **state)
{
    mtasts_lookup l;
    mtasts_entry e;
    char name[30];
    int i;
    (void)state;
    w.host.max_entries = 3;
    start();
    look(0);
    w.body = TESTING(86400);
    begin(&l, "testing.example", 0);
    end(&l);
    w.id = NULL;
    for (i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        begin(&l, name, 0);
        end(&l);
        assert_int_equal(known("example.com", &e), 1);
        assert_int_equal(known("testing.example", &e), 1);
    }
    assert_int_equal(w.told, 2); /* absences go without a word */
    w.id = "1";
    w.body = ENFORCE(86400);
    for (i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "e%d.example", i);
        begin(&l, name, 0);
        end(&l);
    }
    assert_int_equal(known("testing.example", &e), 0);
    expect_event(3, MTASTS_EVENT_EVICTED, "testing.example", OK, T, T, 86400);
    w.body = TESTING(86400); /* worth less than all that is there */
    assert_int_equal(begin(&l, "testing.example", 0), OK);
    assert_int_equal(mode_of(&l), T);
    end(&l);
    expect_event(5, MTASTS_EVENT_NO_ROOM, "testing.example", MTASTS_ERR_LIMIT, N, N, 0);
    assert_int_equal(known("example.com", &e), 1);
}

static void test_event_names(void **state)
{
    int i, n = 0;
    (void)state;
    for (i = -3; i < 40; i++) {
        const char *name = mtasts_event_name(i), *text = mtasts_event_text(i);
        int is_one = strcmp(name, "UNKNOWN") != 0;
        n += is_one;
        assert_int_equal(is_one, i >= 0 && i < MTASTS_EVENT_COUNT);
        assert_int_equal(is_one, text[0] != 0);
    }
    assert_int_equal(n, MTASTS_EVENT_COUNT);
    assert_string_equal(mtasts_event_name(MTASTS_EVENT_REFRESH_FAILED), "refresh-failed");
}

/* ---- a policy is good as long as a look-up has it ---- */

static void test_policy_outlives_the_entry(void **state)
{
    mtasts_lookup l, m;
    int way;
    for (way = 0; way < 5; way++) {
        teardown(state);
        setup(state);
        w.host.max_entries = 1;
        start();
        begin(&l, "example.com", 0);
        if (way == 0)
            mtasts_client_forget(&w.client, "example.com", 11);
        w.now += way == 1 ? 604800 : 300;
        if (way == 1)
            idle();
        w.body = OTHER(5);
        if (way == 2)
            look(MTASTS_LOOKUP_AGAIN);
        begin(&m, way == 3 ? "example.net" : "example.com", way == 3 ? 0 : MTASTS_LOOKUP_AGAIN);
        if (way == 4) {
            w.body = ENFORCE(0);
            w.now += 300;
            look(MTASTS_LOOKUP_AGAIN);
        }
        assert_int_equal(mode_of(&l), E);
        assert_str(l.policy->text, ENFORCE(604800));
        assert_true(mtasts_policy_matches(l.policy, "mx.example.com", 14));
        assert_true(!mtasts_policy_matches(m.policy, "mx.example.com", 14));
        end(&m);
        assert_str(l.policy->text, ENFORCE(604800));
        end(&l);
    }
}

/* ---- A11 ---- */

static void test_A11_override(void **state)
{
    int will;
    (void)state;
    w.host.override = host_override;
    start();
    for (will = 0; will < 4; will++) {
        w.will = (mtasts_override)will;
        assert_int_equal(look(0), E);
        assert_int_equal(last.override, will);
        assert_int_equal(w.calls[OVERRIDE], will + 1);
    }
    w.pinned.ptr = OTHER(7);
    w.pinned.len = strlen(w.pinned.ptr);
    for (will = 0; will < 2; will++) {
        assert_int_equal(begin(&last, "example.com", will ? MTASTS_LOOKUP_AGAIN : 0), OK);
        assert_true(mtasts_policy_matches(last.policy, "mail.example.net", 16));
        assert_int_equal(last.expires, NEVER);
        assert_int_equal(last.learned, LPOL);
        end(&last);
        assert_null(last.policy);
    }
    w.pinned.ptr = BAD;
    w.pinned.len = strlen(BAD);
    assert_int_equal(begin(&last, "example.com", 0), MTASTS_ERR_POLICY_MODE);
    assert_diag(&last.diag, MTASTS_ERR_POLICY_MODE, w.pinned.len);
    assert_int_equal(last.diag.line, 2);
    assert_null(last.policy);
    w.pinned.len = 0;
    assert_int_equal(begin(&last, "example.com", 0), MTASTS_ERR_POLICY_NO_VERSION);
    assert_int_equal(w.calls[TXT], 1);
}

static void test_A11_switch(void **state)
{
    mtasts_entry e;
    mtasts_lookup l;
    (void)state;
    w.host.override = host_override;
    w.will = MTASTS_OVERRIDE_ENFORCE;
    start();
    mtasts_client_switch(&w.client, MTASTS_SWITCH_FETCH);
    assert_int_equal(look(0), E);
    assert_int_equal(last.override, MTASTS_OVERRIDE_IGNORE);
    assert_int_equal(w.calls[HTTPS], 1);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_OFF);
    assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
    w.now += 2 * DAY;
    assert_int_equal(look(0), -1);
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), -1);
    assert_int_equal(last.learned, MTASTS_LEARNED_NOTHING);
    assert_int_equal(last.override, MTASTS_OVERRIDE_NONE);
    assert_int_equal(mtasts_client_tick(&w.client), NEVER);
    assert_int_equal(w.calls[TXT], 1);
    assert_int_equal(w.calls[OVERRIDE], 1);
    assert_int_equal(known("example.com", &e), 1);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_ON);
    assert_int_equal(look(0), E);
    assert_int_equal(last.cached, 1);
    assert_int_equal(last.override, MTASTS_OVERRIDE_ENFORCE);
    idle();
    assert_int_equal(w.calls[HTTPS], 2);
    w.host.override = NULL;
    restart();
    w.later = ~0u; /* who waits when it is switched off is answered */
    assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_OFF);
    assert_int_equal(mode_of(&l), -1);
    assert_int_equal(w.client.counters.discoveries, 0);
    assert_int_equal(serve(TXT), MTASTS_ERR_STALE);
    assert_int_equal(mtasts_client_tick(&w.client), NEVER);
    assert_int_equal(w.done, 1);
    end(&l);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_ON);
    with_store(); /* what is being saved is saved */
    restart();
    w.later = LATER(SAVE);
    assert_int_equal(look(0), E);
    assert_int_equal(w.queued, 1);
    mtasts_client_switch(&w.client, MTASTS_SWITCH_OFF);
    assert_int_equal(serve(SAVE), OK);
}

/* ---- the store, and what an administrator does ---- */

/* What save was given can be imported into another client, and is refreshed there (D11). */
static void test_D11_import(void **state)
{
    mtasts_entry e;
    mtasts_diag diag;
    stored *s;
    size_t len;
    (void)state;
    with_store();
    start();
    look(0);
    s = store_of("example.com");
    len = s->len;
    restart();
    assert_int_equal(mtasts_client_import(&w.client, "example.com", 11, s->text, len - 1, &diag),
                     MTASTS_ERR_ENTRY_DAMAGED);
    assert_int_equal(mtasts_client_import(&w.client, "example.net", 11, s->text, len, &diag),
                     MTASTS_ERR_ENTRY_DOMAIN);
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, "", 0, NULL),
                     MTASTS_ERR_ENTRY_VERSION);
    assert_int_equal(known("example.com", &e), 0);
    w.fail_from = w.allocations + 1;
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, s->text, len, &diag),
                     MTASTS_ERR_LIMIT);
    w.fail_from = 0;
    w.now += 5;
    assert_int_equal(mtasts_client_import(&w.client, "Example.com.", 12, s->text, len, &diag), OK);
    assert_diag(&diag, OK, len);
    assert_int_equal(known("EXAMPLE.COM", &e), 1);
    assert_str(e.domain, "example.com");
    assert_str(e.id, "1");
    assert_str(e.policy.text, ENFORCE(604800));
    assert_int_equal(e.fetched, START);
    assert_int_equal(e.expires, START + 604800);
    assert_int_equal(e.checked, START);
    assert_int_equal(e.used, START);
    assert_in_range(e.refresh, START + DAY - DAY / 4, START + DAY + DAY / 4);
    assert_int_equal(w.calls[LOAD], 1);
    w.now = e.refresh;
    w.body = TESTING(86400);
    idle();
    assert_int_equal(w.calls[HTTPS], 2);
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, s->text, s->len, NULL), OK);
    assert_int_equal(look(0), T);
    assert_int_equal(w.client.counters.lookups, 1);
}

/* Import while the domain is looked up: what comes of that does not put the policy out (D1). */
static void test_import_during_a_lookup(void **state)
{
    static const mtasts_err dns[] = {DNS, NOREC, OK};
    mtasts_lookup l;
    char text[MTASTS_ENTRY_MAX];
    size_t i, len;
    mtasts_entry e;
    for (i = 0; i < COUNT(dns); i++) {
        teardown(state);
        setup(state);
        start();
        look(0);
        assert_int_equal(known("example.com", &e), 1);
        assert_int_equal(mtasts_entry_write(text, sizeof text, &len, &e), OK);
        restart();
        w.later = ~0u;
        assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
        assert_int_equal(mtasts_client_import(&w.client, NULL, 0, text, len, NULL), OK);
        w.dns = dns[i];
        w.web = CONN;
        serve_all();
        assert_int_equal(mode_of(&l), E);
        end(&l);
        assert_int_equal(look(0), E);
        assert_int_equal(last.cached, 1);
    }
}

/* D1: of the policy that is imported and of the one that the store gives, the later counts. */
static void test_import_before_the_store_answers(void **state)
{
    mtasts_lookup l;
    char older[MTASTS_ENTRY_MAX], later[MTASTS_ENTRY_MAX];
    size_t older_len, later_len;
    int import_later;
    mtasts_entry e;
    for (import_later = 0; import_later < 2; import_later++) {
        teardown(state);
        setup(state);
        with_store();
        start();
        look(0);
        assert_int_equal(known("example.com", &e), 1);
        assert_int_equal(mtasts_entry_write(older, sizeof older, &older_len, &e), OK);
        w.now = e.refresh;
        w.body = TESTING(86400);
        idle();
        assert_int_equal(known("example.com", &e), 1);
        assert_int_equal(mtasts_entry_write(later, sizeof later, &later_len, &e), OK);
        restart();
        store_put("example.com", import_later ? older : later,
                  import_later ? older_len : later_len);
        w.later = ~0u;
        w.dns = DNS;
        assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
        assert_int_equal(mtasts_client_import(&w.client, NULL, 0, import_later ? later : older,
                                              import_later ? later_len : older_len, NULL),
                         OK);
        serve_all();
        assert_int_equal(mode_of(&l), T);
        end(&l);
        assert_int_equal(known("example.com", &e), 1);
        assert_str(e.policy.text, TESTING(86400));
    }
}

/* D1: the same for one that went for want of room while it was checked, and came back later. */
static void test_import_before_the_check_ends(void **state)
{
    mtasts_lookup l;
    char later[MTASTS_ENTRY_MAX];
    size_t len;
    mtasts_entry e;
    start();
    look(0);
    assert_int_equal(known("example.com", &e), 1);
    w.now = e.refresh;
    w.body = TESTING(604800);
    idle();
    assert_int_equal(known("example.com", &e), 1);
    assert_int_equal(mtasts_entry_write(later, sizeof later, &len, &e), OK);
    teardown(state);
    setup(state);
    start();
    look(0);
    w.now += DAY;
    w.later = ~0u;
    w.dns = DNS;
    w.web = CONN;
    assert_int_equal(begin(&l, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
    assert_int_equal(mtasts_cache_remove(&w.client.cache_, "example.com", 11), 1);
    w.now += DAY;
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, later, len, NULL), OK);
    serve_all();
    end(&l);
    assert_int_equal(known("example.com", &e), 1);
    assert_str(e.policy.text, TESTING(604800));
}

/* Scenarios 68, 74 and D16: nobody is asked for what the store knows; what it knows wrong is
 * nothing, told, and put right. */
static void test_store_damaged(void **state)
{
    static const char *const names[] = {"cut off",  "changed",     "empty",
                                        "no entry", "old version", "another domain's"};
    static const mtasts_err errs[] = {MTASTS_ERR_ENTRY_DAMAGED, MTASTS_ERR_ENTRY_DAMAGED,
                                      MTASTS_ERR_ENTRY_VERSION, MTASTS_ERR_ENTRY_VERSION,
                                      MTASTS_ERR_ENTRY_VERSION, MTASTS_ERR_ENTRY_DOMAIN};
    mtasts_lookup l;
    stored *s;
    size_t i;
    for (i = 0; i < COUNT(names); i++) {
        teardown(state);
        setup(state);
        with_store();
        start();
        if (i == 5) {
            begin(&l, "example.net", 0);
            end(&l);
            s = store_of("example.net");
            store_put("example.com", s->text, s->len);
        } else {
            look(0);
        }
        restart();
        s = store_of("example.com");
        if (i == 0)
            s->len -= 10;
        else if (i == 1)
            s->text[s->len - 3] ^= 1;
        else if (i == 2)
            s->len = 0;
        else if (i == 3)
            store_put("example.com", BAD, strlen(BAD));
        else if (i == 4)
            s->text[13] = '2';
        w.told = 0;
        w.fetched = 0;
        w.fetched = 0;
        w.body = TESTING(1000);
        if (look(0) != T || w.events[0].kind != MTASTS_EVENT_STORE_FAILED)
            fail_msg("%s", names[i]);
        expect_event(0, MTASTS_EVENT_STORE_FAILED, "example.com", errs[i], N, N, 0);
        assert_int_equal(w.fetched, 1);
        restart();
        assert_int_equal(look(0), T);
        assert_int_equal(last.cached, 1);
        assert_int_equal(w.fetched, 1);
    }
}

/* A store that fails, or does not answer, is not written over with the news that there is no policy
 * (D1), and no absence is remembered. */
static void test_store_fails(void **state)
{
    int way;
    for (way = 0; way < 4; way++) {
        mtasts_lookup l;
        teardown(state);
        setup(state);
        with_store();
        start();
        look(0);
        restart();
        w.web = CONN;
        if (way > 1)
            w.id = NULL;
        if (way % 2) {
            w.later = LATER(LOAD); /* never */
            assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
            w.now += 10;
            mtasts_client_tick(&w.client);
            w.queued = 0;
            w.later = 0;
        } else {
            w.broken = 1;
            assert_int_equal(begin(&l, "example.com", 0), OK);
        }
        assert_int_equal(mode_of(&l), -1);
        assert_int_equal(l.learned, LTEMP);
        assert_int_equal(l.diag.err, MTASTS_ERR_STORE);
        assert_int_equal(w.events[1].kind, MTASTS_EVENT_STORE_FAILED);
        end(&l);
        w.broken = 0;
        w.told = 0;
        w.fetched = 0;
        restart();
        assert_int_equal(look(0), E);
        assert_int_equal(last.cached, 1);
    }
    w.broken = 1; /* saving fails: it is in memory all the same */
    w.web = OK;
    w.id = "2";
    w.now += 400;
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), E);
    assert_int_equal(w.events[w.told - 1].kind, MTASTS_EVENT_STORE_FAILED);
    assert_int_equal(w.events[w.told - 1].diag.err, MTASTS_ERR_LIMIT);
}

/* D16 again: only who asked for it waits for a fetch, whatever an administrator did meanwhile. */
static void test_D16_refresh_and_again(void **state)
{
    mtasts_lookup l[3];
    int way;
    for (way = 0; way < 3; way++) {
        teardown(state);
        setup(state);
        with_store();
        start();
        look(0);
        restart();
        w.now += 1000;
        w.later = ~0u;
        if (way == 0)
            assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
        assert_int_equal(begin(&l[0], "example.com", 0), MTASTS_MORE);
        if (way == 1)
            assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
        if (way == 2)
            assert_int_equal(begin(&l[1], "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
        serve(LOAD);
        assert_int_equal(w.done, 1);
        assert_int_equal(mode_of(&l[0]), E);
        assert_int_equal(l[0].cached, 1);
        end(&l[0]);
        assert_int_equal(begin(&l[2], "example.com", 0), OK);
        end(&l[2]);
        w.body = TESTING(900);
        idle();
        serve_all();
        if (way == 2) {
            assert_int_equal(mode_of(&l[1]), T);
            end(&l[1]);
        }
        assert_int_equal(w.calls[HTTPS], 2);
        assert_int_equal(look(0), T);
    }
}

/* A refresh that an administrator wants is a fetch at the next tick, at most every five minutes. */
static void test_refresh(void **state)
{
    int i;
    char name[30];
    (void)state;
    w.host.max_lookups = 8;
    start();
    assert_int_equal(mtasts_client_tick(&w.client), NEVER);
    assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
    assert_int_equal(mtasts_client_next(&w.client), w.now);
    assert_int_equal(w.calls[TXT], 0);
    idle();
    assert_int_equal(w.calls[HTTPS], 1);
    assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
    idle();
    assert_int_equal(w.calls[HTTPS], 1);
    w.now += 300;
    for (i = 0; i < 2; i++)
        assert_int_equal(mtasts_client_refresh(&w.client, "example.com", 11), OK);
    idle();
    assert_int_equal(w.calls[HTTPS], 2);
    assert_int_equal(w.client.counters.refreshes, 3);
    for (i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        assert_int_equal(mtasts_client_refresh(&w.client, name, strlen(name)),
                         i < 4 ? OK : MTASTS_ERR_LIMIT);
    }
    idle();
    w.fail_from = w.allocations + 1;
    assert_int_equal(mtasts_client_refresh(&w.client, "example.org", 11), MTASTS_ERR_LIMIT);
}

/* What is forgotten is gone, even if a discovery is under way that still knows it. */
static void test_forget(void **state)
{
    mtasts_lookup l, m;
    mtasts_entry e;
    int way;
    for (way = 0; way < 3; way++) {
        teardown(state);
        setup(state);
        with_store();
        start();
        assert_int_equal(mtasts_client_forget(&w.client, "example.com", 11), 0);
        assert_int_equal(w.calls[DROP], 1);
        look(0);
        w.now += 300;
        w.later = way == 1 ? LATER(LOAD) : 0;
        if (way == 1) {
            restart();
            assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
        } else {
            begin(&l, "example.com", 0); /* has a check put off */
        }
        if (way == 2) {
            w.later = ~0u;
            mtasts_client_tick(&w.client);
        }
        store_put("copy", store_of("example.com")->text, store_of("example.com")->len);
        assert_int_equal(mtasts_client_forget(&w.client, "EXAMPLE.com.", 12), way != 1);
        assert_null(store_of("example.com")->text);
        store_put("example.com", store_of("copy")->text, store_of("copy")->len);
        w.id = NULL;
        if (way == 1) {
            serve_all(); /* read before it was forgotten */
            assert_int_equal(mode_of(&l), -1);
        }
        end(&l);
        store_drop("example.com");
        serve_all();
        idle();
        w.later = 0;
        assert_int_equal(known("example.com", &e), 0);
        begin(&m, "example.com", 0);
        assert_int_equal(mode_of(&m), -1);
        end(&m);
    }
}

/* A policy with max_age 0 in place of a known one: nothing is stored any more (D17). */
static void test_D17_dropped(void **state)
{
    (void)state;
    with_store();
    start();
    look(0);
    assert_non_null(store_of("example.com")->text);
    w.now += 300;
    w.body = ENFORCE(0);
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), E);
    assert_int_equal(last.expires, w.now);
    assert_null(store_of("example.com")->text);
    assert_int_equal(w.calls[DROP], 1);
    assert_int_equal(mtasts_client_cache(&w.client)->stats.entries[MTASTS_WORTH_ENFORCE], 0);
    w.host.drop = NULL; /* optional, as is event */
    w.host.event = NULL;
    restart();
    assert_int_equal(look(0), E);
    assert_int_equal(mtasts_client_forget(&w.client, "example.com", 11), 0);
    assert_int_equal(mtasts_client_give_save(&w.client, 1, OK), MTASTS_ERR_STALE);
    assert_int_equal(w.calls[DROP], 1);
    assert_int_equal(w.client.counters.drop, 0);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_STALE], 1);
}

/* What a look-up says of a failure agrees with what it learned. */
static void test_answers_agree(void **state)
{
    int i;
    (void)state;
    w.ttl = 60;
    w.web = CONN;
    start();
    assert_int_equal(look(0), -1);
    assert_int_equal(last.result, MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR);
    w.now += 61;
    w.id = NULL;
    for (i = 0; i < 2; i++) {
        assert_int_equal(look(0), -1);
        assert_int_equal(last.learned, LNONE);
        assert_int_equal(last.result, MTASTS_TLSRPT_OK);
        assert_int_equal(last.diag.err, NOREC);
        assert_int_equal(last.cached, i);
    }
}

/* ---- memory and other limits ---- */

/* 40 look-ups with blocks of all sizes: each is answered or refused, none of them wrong. */
static int in_block(size_t size)
{
    mtasts_lookup l[4];
    char name[30];
    int i, good = 0;
    memset(l, 0, sizeof l);
    memset(&w.host.memory, 0, sizeof w.host.memory);
    w.host.block = w.block + size % 3;
    w.host.block_size = size;
    start();
    w.told = 0;
    w.fetched = 0;
    for (i = 0; i < 40; i++) {
        mtasts_err err;
        snprintf(name, sizeof name, "d%d.example", i);
        w.later = i % 5 ? 0 : ~0u;
        end(&l[i % 4]);
        err = begin(&l[i % 4], name, i % 7 ? 0 : MTASTS_LOOKUP_AGAIN);
        serve_all();
        if (err == MTASTS_ERR_LIMIT)
            continue;
        if (l[i % 4].diag.err != MTASTS_ERR_LIMIT)
            assert_int_equal(mode_of(&l[i % 4]), E);
        else
            assert_int_equal(l[i % 4].learned, LTEMP);
        good += l[i % 4].policy != NULL;
        if (i % 2)
            end(&l[i % 4]);
        mtasts_client_tick(&w.client);
        w.told = 0;
        w.fetched = 0;
    }
    stop();
    return good;
}

static void test_blocks(void **state)
{
    size_t size;
    int store;
    for (store = 0; store < 2; store++) {
        teardown(state);
        setup(state);
        if (store) {
            w.host.load = host_load; /* of 40 domains, all told to be new */
            w.host.save = host_save;
            w.broken = 1;
        }
        for (size = 0; size < 30000; size += size < 200 ? 1 : 331)
            in_block(size);
        assert_int_equal(in_block(65536), 40);
        assert_int_equal(in_block(131000), 40);
    }
}

static void test_max_lookups(void **state)
{
    mtasts_lookup l[4];
    (void)state;
    w.host.max_lookups = 2;
    w.later = LATER(TXT);
    start();
    assert_int_equal(begin(&l[0], "d0.example", 0), MTASTS_MORE);
    assert_int_equal(begin(&l[1], "d1.example", 0), MTASTS_MORE);
    assert_int_equal(begin(&l[2], "d2.example", 0), MTASTS_ERR_LIMIT);
    assert_null(l[2].policy);
    assert_int_equal(begin(&l[2], "d1.example", 0), MTASTS_MORE); /* no discovery of its own */
    assert_int_equal(w.client.counters.discoveries, 2);
    serve(TXT);
    assert_int_equal(begin(&l[3], "d2.example", 0), MTASTS_MORE);
    serve_all();
    assert_int_equal(w.done, 4);
    /* one is left for those who wait: what is due has to */
    w.now += DAY + DAY / 4;
    end(&l[0]);
    end(&l[1]);
    end(&l[2]);
    end(&l[3]);
    assert_int_equal(begin(&l[0], "d9.example", 0), MTASTS_MORE);
    assert_int_equal(begin(&l[1], "d1.example", 0), OK);
    end(&l[1]);
    assert_int_equal(mtasts_client_tick(&w.client), w.now + 1);
    assert_int_equal(w.client.counters.discoveries, 1);
    serve_all();
    end(&l[0]);
    w.later = 0;
    idle();
    assert_int_equal(w.client.counters.refreshes, 3);
}

/* Counters, and that the clock is read once in each call (the host may take long over it). */
static void test_counters(void **state)
{
    mtasts_entry e;
    int clocks;
    (void)state;
    with_store();
    w.later = ~0u;
    start();
    assert_int_equal(w.calls[CLOCK], 0);
    look(0);
    assert_int_equal(w.calls[CLOCK], 5); /* look-up, load, txt, https, save */
    clocks = w.calls[CLOCK];
    look(0);
    mtasts_client_tick(&w.client);
    known("example.com", &e);
    mtasts_client_refresh(&w.client, "example.com", 11);
    mtasts_client_import(&w.client, NULL, 0, "", 0, NULL);
    mtasts_client_forget(&w.client, "example.com", 11);
    mtasts_client_give_txt(&w.client, 1, OK, NULL, 0, 0);
    assert_int_equal(w.calls[CLOCK], clocks + 7);
    assert_int_equal(w.client.counters.lookups, 2);
    assert_int_equal(w.client.counters.hits, 1);
    assert_int_equal(w.client.counters.joined, 0);
    assert_int_equal(w.client.counters.load, 1);
    assert_int_equal(w.client.counters.txt, 1);
    assert_int_equal(w.client.counters.https, 1);
    assert_int_equal(w.client.counters.save, 1);
    assert_int_equal(w.client.counters.drop, 1);
    assert_int_equal(w.client.counters.answers[LPOL], 2);
    assert_int_equal(w.client.counters.answers[MTASTS_LEARNED_NOTHING], 0);
    assert_int_equal(w.client.counters.events[MTASTS_EVENT_FOUND], 1);
}

/* Every allocation fails in turn, and all from there on: each answer is right or says that there
 * was no memory, and a known policy is never taken for none. */
static void without_memory(size_t k, int all)
{
    static const char *const bodies[] = {ENFORCE(604800), OTHER(604800), TESTING(604800)};
    int i, safe = 0;
    start();
    if (k % 3 == 0) { /* an absence is known */
        w.id = NULL;
        look(0);
        w.id = "1";
    } else if (k % 3 == 1) { /* the store knows a policy */
        w.body = bodies[0];
        look(0);
        restart();
        w.now += 400;
    }
    w.allocations = 0;
    w.fail_at = all ? 0 : k;
    w.fail_from = all ? k : 0;
    for (i = 0; i < 6; i++) {
        mtasts_err err;
        w.body = bodies[i / 2];
        err = begin(&last, "example.com", i % 2 ? 0 : MTASTS_LOOKUP_AGAIN);
        if (err == OK && !last.policy)
            assert_int_equal(last.learned, LTEMP);
        else if (err == OK)
            safe = 1;
        else
            assert_int_equal(err, MTASTS_ERR_LIMIT);
        end(&last);
        w.now += 300;
        mtasts_client_tick(&w.client);
        mtasts_client_refresh(&w.client, "example.net", 11);
        w.told = 0;
        w.fetched = 0;
    }
    assert_true(safe || all);
    stop();
}

static void test_without_memory(void **state)
{
    size_t k;
    int store;
    for (store = 0; store < 2; store++)
        for (k = 1; k < 60; k++) {
            teardown(state);
            setup(state);
            if (store)
                with_store();
            without_memory(k, 0);
            without_memory(k, 1);
        }
}

/* ---- rarer ways ---- */

/* D14: what was not used for long is not refreshed; used again, it is. The host's own numbers. */
static void test_D14_used_again(void **state)
{
    (void)state;
    w.body = ENFORCE(31557600);
    w.host.used_within = 10 * DAY;
    w.host.check_after = 60;
    start();
    look(0);
    a_month(40, 0);
    assert_in_range(w.calls[HTTPS], 8, 15);
    w.fetched = 0;
    look(0);
    assert_int_equal(last.cached, 1);
    a_month(3, 0);
    assert_in_range(w.fetched, 2, 5);
    w.now += 61;
    w.calls[TXT] = 0;
    look(0);
    mtasts_client_tick(&w.client);
    assert_int_equal(w.calls[TXT], 1);
    look(0);
    mtasts_client_tick(&w.client);
    assert_int_equal(w.calls[TXT], 1);
}

/* D16: put out of memory while a discovery is under way that knows it: answered from there. */
static void test_D16_hit_in_flight(void **state)
{
    mtasts_lookup l, m;
    mtasts_entry e;
    (void)state;
    w.host.max_entries = 1;
    start();
    look(0);
    w.now += 300;
    w.later = ~0u;
    assert_int_equal(begin(&l, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
    w.later = 0;
    begin(&m, "example.net", 0);
    end(&m);
    assert_int_equal(known("example.com", &e), 0);
    assert_int_equal(begin(&m, "example.com", 0), OK);
    assert_int_equal(mode_of(&m), E);
    assert_int_equal(m.cached, 1);
    end(&m);
    w.web = CONN;
    serve(TXT);
    assert_int_equal(mode_of(&l), E);
    end(&l);
    w.later = ~0u; /* the first one of a domain knows nothing */
    assert_int_equal(begin(&l, "example.org", 0), MTASTS_MORE);
    assert_int_equal(begin(&m, "example.org", 0), MTASTS_MORE);
    end(&l);
    end(&m);
}

/* Another process has fetched a newer policy: the store's is taken, and not fetched once more. An
 * older one is not. */
static void test_store_is_shared(void **state)
{
    char old[MTASTS_ENTRY_MAX];
    size_t len;
    int newer, soon;
    for (newer = 0; newer < 2; newer++)
        for (soon = 0; soon < 2; soon++) {
            stored *s;
            teardown(state);
            setup(state);
            with_store();
            start();
            look(0);
            s = store_of("example.com");
            len = s->len;
            memcpy(old, s->text, len);
            w.now += 1000;
            w.body = TESTING(86400);
            assert_int_equal(look(MTASTS_LOOKUP_AGAIN), T);
            if (newer) {
                restart();
                assert_int_equal(mtasts_client_import(&w.client, NULL, 0, old, len, NULL), OK);
                assert_int_equal(look(0), E);
            } else {
                store_put("example.com", old, len);
            }
            w.now += soon ? 100 : 400; /* time in which nobody checks, or might */
            assert_int_equal(look(0), newer && soon ? E : newer ? T + 1 : T);
            idle();
            assert_int_equal(look(0), T);
            assert_int_equal(w.calls[HTTPS], 2);
        }
}

/* A policy for which there is no room is not known; the host is told to defer. */
static void test_policy_too_large(void **state)
{
    static char large[40000];
    size_t len = strlen(ENFORCE(86400));
    (void)state;
    memset(&w.host.memory, 0, sizeof w.host.memory);
    w.host.block = w.block;
    w.host.block_size = sizeof w.block;
    w.host.max_octets = 40000;
    memcpy(large, ENFORCE(86400), len);
    while (len < 39000)
        len += (size_t)sprintf(large + len, "x: %0900d\n", 1);
    w.body = large;
    start();
    assert_int_equal(look(0), -1);
    assert_int_equal(last.learned, LTEMP);
    assert_int_equal(last.diag.err, MTASTS_ERR_LIMIT);
    w.body = ENFORCE(86400);
    assert_int_equal(look(0), E); /* at once: it was not the domain's fault */
    w.now += 300;
    w.body = large;
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), E);
}

/* An absence is known, then DNS fails; forgotten, then fetched; memory fails at a refresh. */
static void test_corners(void **state)
{
    mtasts_lookup l, m;
    mtasts_entry e;
    (void)state;
    w.id = NULL;
    start();
    look(0);
    w.dns = DNS;
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), -1);
    assert_int_equal(last.learned, LTEMP);
    w.dns = OK;
    w.id = "1";
    w.later = ~0u;
    assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
    serve(TXT);
    mtasts_client_forget(&w.client, "example.com", 11);
    assert_int_equal(begin(&m, "example.com", 0), MTASTS_MORE); /* not with the forgotten one */
    assert_int_equal(w.queued, 2);
    serve(HTTPS);
    assert_int_equal(mode_of(&l), E);
    assert_int_equal(mode_of(&m), -1);
    end(&l);
    end(&m);
    serve_all();
    assert_int_equal(w.calls[HTTPS], 2);
    assert_int_equal(known("example.com", &e), 1); /* it was seen again */
    w.later = 0;
    w.now = e.refresh;
    w.fail_from = w.allocations + 1;
    assert_true(mtasts_client_tick(&w.client) > w.now);
    assert_int_equal(w.calls[HTTPS], 2);
    w.fail_from = 0;
    w.now += 300;
    mtasts_client_tick(&w.client);
    assert_int_equal(w.calls[HTTPS], 3);
    w.now += 604800 - 10;
    w.web = CONN;
    look(MTASTS_LOOKUP_AGAIN); /* expires with a retry pending, and no memory for that */
    w.now += 10;
    w.fail_from = w.allocations + 1;
    idle();
    assert_int_equal(known("example.com", &e), 0);
}

/* The store knows a newer policy than memory, and memory is short: one of the two is honoured. */
static void test_newer_without_memory(void **state)
{
    static char old[MTASTS_ENTRY_MAX];
    mtasts_lookup l;
    size_t k, len;
    mtasts_err err;
    for (k = 1; k < 8; k++) {
        stored *s;
        teardown(state);
        setup(state);
        with_store();
        start();
        look(0);
        s = store_of("example.com");
        len = s->len;
        memcpy(old, s->text, len);
        w.now += 1000;
        w.body = TESTING(86400);
        look(MTASTS_LOOKUP_AGAIN);
        restart();
        assert_int_equal(mtasts_client_import(&w.client, NULL, 0, old, len, NULL), OK);
        w.fail_at = w.allocations + k;
        err = begin(&l, "example.com", MTASTS_LOOKUP_AGAIN);
        assert_true(err == MTASTS_ERR_LIMIT || mode_of(&l) == E || mode_of(&l) == T);
        end(&l);
        assert_true(look(0) >= T);
    }
}

/* Who waits comes first, but a refresh is not put off for ever by them. */
static void test_places(void **state)
{
    mtasts_lookup l[4];
    char name[30];
    int i;
    (void)state;
    w.host.max_lookups = 8;
    w.later = ~0u;
    start();
    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        assert_int_equal(begin(&l[i], name, 0), MTASTS_MORE);
    }
    assert_int_equal(mtasts_client_refresh(&w.client, "a.example", 9), OK);
    assert_int_equal(mtasts_client_refresh(&w.client, "b.example", 9), MTASTS_ERR_LIMIT);
    for (i = 0; i < 4; i++)
        end(&l[i]);
    w.queued = 0;
    w.host.max_lookups = 2;
    w.later = 0;
    with_store();
    restart();
    look(0);
    restart();
    w.now += 400;
    w.later = ~0u; /* both places are taken: the check of what the store knew has to wait */
    assert_int_equal(begin(&l[0], "example.net", 0), MTASTS_MORE);
    w.queued = 0;
    assert_int_equal(begin(&l[1], "example.com", 0), MTASTS_MORE);
    serve(LOAD);
    assert_int_equal(mode_of(&l[1]), E);
    assert_int_equal(w.client.counters.discoveries, 1);
    end(&l[0]);
    end(&l[1]);
}

/* D9: the clock is set back while a discovery is under way, or lies behind the store's. */
static void test_D9_set_back_in_flight(void **state)
{
    mtasts_lookup l, m;
    stored *s;
    (void)state;
    start();
    look(0);
    w.now += 300;
    w.later = ~0u;
    assert_int_equal(begin(&l, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
    w.now -= 1000 * DAY;
    assert_int_equal(begin(&m, "example.com", 0), OK);
    assert_int_equal(m.expires, w.now + 604800);
    end(&m);
    w.now += 2 * DAY;
    w.dns = DNS;
    w.web = CONN;
    serve_all();
    assert_int_equal(mode_of(&l), E);
    assert_int_equal(l.expires, w.now - 2 * DAY + 604800);
    end(&l);
    w.dns = w.web = OK;
    w.done = 0;
    w.now = START;
    with_store();
    restart();
    look(0);
    restart();
    w.now -= DAY;
    assert_int_equal(look(0), E);
    assert_int_equal(last.cached, 1);
    assert_int_equal(last.expires, w.now + 604800);
    restart();
    s = store_of("example.com");
    assert_int_equal(mtasts_client_import(&w.client, NULL, 0, s->text, s->len, NULL), OK);
    assert_int_equal(look(MTASTS_LOOKUP_AGAIN), E);
    assert_true(last.expires <= w.now + 604800);
}

/* D10: memory that discoveries have taken is not the fault of an enforced policy. A discovery in the
 * air is answered with a policy of `size` octets when others have taken all there is. */
static void with_no_room_left(size_t size)
{
    static mtasts_lookup l[64];
    static char body[2000];
    const mtasts_cache_stats *stats = &mtasts_client_cache(&w.client)->stats;
    char name[30];
    size_t i, enforced;
    int wanted = snprintf(body, sizeof body, "%sx: %0*d\n", ENFORCE(86400), (int)size, 1);
    assert_in_range(wanted, 1, (int)sizeof body - 1);
    w.host.max_octets = 40000;
    w.later = 0;
    w.body = ENFORCE(86400);
    start();
    for (i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "e%zu.example", i);
        begin(&l[0], name, 0);
        end(&l[0]);
        w.told = 0;
        w.fetched = 0;
    }
    enforced = stats->entries[MTASTS_WORTH_ENFORCE];
    assert_int_equal(enforced, 100);
    w.later = ~0u;
    w.body = body;
    for (i = 0; i < COUNT(l); i++) {
        snprintf(name, sizeof name, "slow%zu.example", i);
        if (begin(&l[i], name, 0) != MTASTS_MORE)
            break;
    }
    assert_in_range(i, 5, COUNT(l) - 1);
    serve(TXT);
    serve(HTTPS);
    assert_int_equal(stats->evicted[MTASTS_WORTH_ENFORCE], 0);
    assert_in_range(stats->entries[MTASTS_WORTH_ENFORCE], enforced, enforced + 1);
    while (i--)
        end(&l[i]);
    w.queued = 0;
    stop();
}

static void test_D10_discoveries(void **state)
{
    size_t size;
    (void)state;
    for (size = 1; size < 1100; size += 11)
        with_no_room_left(size);
    start(); /* for the teardown */
}

/* ENFORCE of `size` octets, unlike that of another number. */
static const char *sized(size_t size, int number)
{
    static char body[20000];
    size_t len = (size_t)sprintf(body, "%sn: %d\nx: ", ENFORCE(86400), number);
    assert_true(size > len && size < sizeof body);
    memset(body + len, 'y', size - len);
    body[size] = '\0';
    return body;
}

/* What is being fetched may put out what is worth less, as long as it is within its quarter. */
static void test_D10_policies_in_flight(void **state)
{
    const mtasts_cache_stats *stats = &mtasts_client_cache(&w.client)->stats;
    mtasts_lookup l[8];
    char name[30];
    uint64_t evicted;
    int i;
    (void)state;
    w.host.max_octets = 40000;
    w.body = TESTING(86400);
    start();
    for (i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "t%d.example", i);
        begin(&l[0], name, 0);
        end(&l[0]);
        w.told = 0;
        w.fetched = 0;
    }
    evicted = stats->evicted[MTASTS_WORTH_LENIENT];
    assert_in_range(evicted, 1, 450);
    w.later = LATER(HTTPS);
    assert_int_equal(begin(&l[0], "large.example", 0), MTASTS_MORE);
    w.body = sized(12000, 0);
    serve(HTTPS);
    assert_int_equal(l[0].diag.err, MTASTS_ERR_LIMIT);
    assert_int_equal(stats->evicted[MTASTS_WORTH_LENIENT], evicted);
    end(&l[0]);
    for (i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "e%d.example", i);
        assert_int_equal(begin(&l[i], name, 0), MTASTS_MORE);
    }
    for (i = 0; i < 5; i++) {
        w.body = sized(4000, i);
        serve(HTTPS);
        assert_int_equal(mode_of(&l[i]), E);
    }
    assert_in_range(stats->evicted[MTASTS_WORTH_LENIENT], evicted + 1, 500);
    for (i = 0; i < 5; i++)
        end(&l[i]);
}

/* D9: a clock that jumps by centuries while a policy is fetched leaves no tick that is due at once
 * for ever. */
static void test_D9_far_jump(void **state)
{
    mtasts_lookup l;
    int i;
    (void)state;
    start();
    w.later = LATER(HTTPS);
    assert_int_equal(begin(&l, "example.com", 0), MTASTS_MORE);
    w.now += INT64_C(10000000000);
    for (i = 0; i < 10 && mtasts_client_tick(&w.client) <= w.now; i++)
        ;
    assert_in_range(i, 0, 9);
    assert_int_equal(l.learned, MTASTS_LEARNED_FAILED);
    end(&l);
}

/* Forgotten while a discovery waits for the store: the next look-up begins another. What the first one
 * then fetches counts, and not what a check knows that was put off meanwhile (D17). */
static void test_forgotten_discovery(void **state)
{
    mtasts_lookup again;
    int fetched;
    (void)state;
    with_store();
    start();
    look(0);
    w.later = LATER(LOAD);
    assert_int_equal(begin(&again, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
    mtasts_client_forget(&w.client, "example.com", 11);
    w.later = 0;
    assert_int_equal(look(0), E);
    w.now += 400;
    assert_int_equal(look(0), E); /* a hit: a check is put off */
    assert_int_equal(last.cached, 1);
    w.body = ENFORCE(0);
    serve(LOAD);
    assert_int_equal(mode_of(&again), E);
    end(&again);
    fetched = w.calls[HTTPS];
    assert_int_equal(look(0), E);
    assert_int_equal(last.cached, 0);
    assert_int_equal(w.calls[HTTPS], fetched + 1);
}

/* D1, D3: who asked before the domain was forgotten is not told that there is no policy, when another
 * has just fetched it. */
static void test_forgotten_and_fetched_meanwhile(void **state)
{
    mtasts_lookup first, second;
    (void)state;
    w.later = ~0u;
    start();
    assert_int_equal(begin(&first, "example.com", 0), MTASTS_MORE);
    serve(TXT);
    mtasts_client_forget(&w.client, "example.com", 11);
    assert_int_equal(begin(&second, "example.com", 0), MTASTS_MORE);
    serve(HTTPS);
    assert_int_equal(mode_of(&first), E);
    w.dns = DNS;
    serve(TXT);
    assert_int_equal(mode_of(&second), E);
    assert_int_equal(second.learned, LTEMP);
    end(&first);
    end(&second);
}

static void make_entry(char *text, size_t *len, const char *body, const char *id, int64_t fetched)
{
    mtasts_entry e;
    memset(&e, 0, sizeof e);
    e.domain.ptr = "example.com";
    e.domain.len = 11;
    e.id.ptr = id;
    e.id.len = strlen(id);
    assert_int_equal(mtasts_policy_parse(&e.policy, body, strlen(body), 0, NULL), OK);
    e.fetched = e.checked = e.used = fetched;
    e.expires = e.refresh = fetched + e.policy.max_age;
    assert_int_equal(mtasts_entry_write(text, MTASTS_ENTRY_MAX, len, &e), OK);
}

/* D1, D9: the policy in memory expires while the store is asked, which has another one: fetched
 * before it, or later than now by another's clock. That is the policy then, whatever the clock says
 * after that. */
static void test_expired_while_the_store_is_asked(void **state)
{
    static const int64_t fetched[] = {-5000, 3};
    char text[MTASTS_ENTRY_MAX];
    mtasts_lookup l, m;
    size_t i, len;
    for (i = 0; i < 2 * COUNT(fetched); i++) {
        teardown(state);
        setup(state);
        with_store();
        start();
        make_entry(text, &len, ENFORCE(1000), "1", w.now);
        assert_int_equal(mtasts_client_import(&w.client, NULL, 0, text, len, NULL), OK);
        w.now += 999;
        w.later = ~0u;
        assert_int_equal(begin(&l, "example.com", MTASTS_LOOKUP_AGAIN), MTASTS_MORE);
        w.now += 2;
        make_entry(text, &len, OTHER(1000000), "2", w.now + fetched[i / 2]);
        store_put("example.com", text, len);
        serve(LOAD);
        mtasts_client_tick(&w.client);
        w.now -= i % 2 ? 10 : 0;
        assert_int_equal(begin(&m, "example.com", 0), OK);
        assert_str(m.policy->text, OTHER(1000000));
        assert_string_equal(m.id, "2");
        w.dns = DNS;
        w.web = CONN;
        serve_all();
        assert_str(l.policy->text, OTHER(1000000));
        assert_string_equal(l.id, "2");
        end(&l);
        end(&m);
    }
}

/* The record is asked for every check_after seconds at most, also of a policy that lives for less
 * than the time between two fetches. */
static void test_short_max_age(void **state)
{
    int i;
    (void)state;
    w.body = ENFORCE(290);
    start();
    look(0);
    for (i = 0; i < 280; i++) {
        w.now++;
        assert_int_equal(look(0), E);
        mtasts_client_tick(&w.client);
    }
    assert_in_range(w.calls[TXT], 1, 2);
    assert_int_equal(w.calls[HTTPS], 1);
}

/* D5: a policy that was not used for long, and is used right after a check that was put off until
 * then, is refreshed again. */
static void test_D5_used_after_a_late_check(void **state)
{
    (void)state;
    with_store();
    w.body = ENFORCE(31557600);
    start();
    look(0);
    w.now += DAY / 4;
    assert_int_equal(look(0), E);
    w.now += 40 * DAY;
    idle();
    assert_int_equal(w.calls[TXT], 2);
    assert_int_equal(look(0), E);
    w.now += 3 * DAY;
    idle();
    assert_int_equal(w.fetched, 2);
}

/* An eighth of the places is for what nobody waits for: who keeps the rest busy does not keep a
 * policy from being refreshed (D5). */
static void test_D5_places_for_refreshes(void **state)
{
    mtasts_lookup l[8];
    char name[20];
    int i;
    (void)state;
    w.host.max_lookups = 8;
    start();
    look(0);
    w.now += DAY + DAY / 4;
    w.later = ~0u;
    for (i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        assert_int_equal(begin(&l[i], name, 0), i < 7 ? MTASTS_MORE : MTASTS_ERR_LIMIT);
    }
    mtasts_client_tick(&w.client);
    assert_int_equal(w.client.counters.refreshes, 1);
    serve_all();
    assert_int_equal(w.fetched, 9);
    for (i = 0; i < 7; i++)
        end(&l[i]);
}

/* D14: that a policy was used while its record was asked for is not forgotten. */
static void test_D14_used_while_it_is_checked(void **state)
{
    mtasts_entry e;
    (void)state;
    start();
    look(0);
    w.now += 400;
    assert_int_equal(look(0), E);
    w.later = ~0u;
    mtasts_client_tick(&w.client);
    assert_int_equal(w.queued, 1);
    w.now += 20;
    assert_int_equal(look(0), E);
    serve_all();
    assert_int_equal(known("example.com", &e), 1);
    assert_true(e.used == w.now && e.checked == w.now);
}

#define T16(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T16(test_stories),
        T16(test_D6_eight_at_once),
        T16(test_ended_while_waiting),
        T16(test_done_asks_more),
        T16(test_done_ends_others),
        T16(test_done_clears),
        T16(test_cleared_under_a_lookup),
        T16(test_misuse_inside_callbacks),
        T16(test_init_refused),
        T16(test_init_key),
        T16(test_before_init_and_after_clear),
        T16(test_clear_with_open_lookups),
        T16(test_lookup_twice),
        T16(test_names),
        T16(test_long_name),
        T16(test_tickets),
        T16(test_tickets_of_another_client),
        T16(test_all_twice),
        T16(test_bad_answers),
        T16(test_H6_fetch_failures),
        T16(test_time_outs),
        T16(test_D9_clock_jumps_while_waiting),
        T16(test_D9_clock_set_back),
        T16(test_D5_D14_month),
        T16(test_D5_busy_domain),
        T16(test_H5_outage),
        T16(test_H5_expired_with_retry),
        T16(test_one_refresh_per_tick),
        T16(test_events_of_fetches),
        T16(test_expired_is_told_once),
        T16(test_D10_eviction),
        T16(test_event_names),
        T16(test_policy_outlives_the_entry),
        T16(test_A11_override),
        T16(test_A11_switch),
        T16(test_D11_import),
        T16(test_import_during_a_lookup),
        T16(test_import_before_the_store_answers),
        T16(test_import_before_the_check_ends),
        T16(test_store_damaged),
        T16(test_store_fails),
        T16(test_D16_refresh_and_again),
        T16(test_refresh),
        T16(test_forget),
        T16(test_D17_dropped),
        T16(test_answers_agree),
        T16(test_blocks),
        T16(test_max_lookups),
        T16(test_counters),
        T16(test_without_memory),
        T16(test_D14_used_again),
        T16(test_D16_hit_in_flight),
        T16(test_store_is_shared),
        T16(test_policy_too_large),
        T16(test_corners),
        T16(test_D9_set_back_in_flight),
        T16(test_newer_without_memory),
        T16(test_places),
        T16(test_D10_discoveries),
        T16(test_D10_policies_in_flight),
        T16(test_D9_far_jump),
        T16(test_forgotten_discovery),
        T16(test_forgotten_and_fetched_meanwhile),
        T16(test_expired_while_the_store_is_asked),
        T16(test_short_max_age),
        T16(test_D5_used_after_a_late_check),
        T16(test_D5_places_for_refreshes),
        T16(test_D14_used_while_it_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
