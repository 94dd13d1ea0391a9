/* The client when its host fails (RFC 8461 3.3, 5.1; rules D1 to D7, D11, D15 to D17, A5).
 * Goal: a policy that is known and valid is honoured whatever fails, nobody waits for ever, nothing
 * leaks. Method: every flow with every answer of every callback, and each allocation failing. */
#include "mtasts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START 1700000000
#define DAY   86400
#define WEEK  604800

enum { LOAD, TXT, HTTPS, SAVE, KINDS };

/* What the host may answer. The first one of each kind is what works. */
enum { LOAD_GOOD, LOAD_NOTHING, LOAD_DAMAGED, LOAD_OTHER, LOAD_OLD, LOAD_FAILED, LOAD_END };
enum { TXT_GOOD, TXT_NEW, TXT_NONE, TXT_TWO, TXT_GARBAGE, TXT_STATUS };
enum { WEB_GOOD, WEB_OTHER, WEB_MODE_NONE, WEB_MAX_AGE_0, WEB_INVALID, WEB_EMPTY, WEB_STATUS };
enum { SAVE_GOOD, SAVE_FAILED, SAVE_END };
static const mtasts_err txt_status[] = {MTASTS_ERR_NO_RECORD, MTASTS_ERR_DNS, MTASTS_ERR_DNS_BOGUS,
                                        MTASTS_ERR_DNS_CNAME, MTASTS_ERR_SPACE};
enum { TXT_END = TXT_STATUS + 5 };
static mtasts_err web_status[64];
static int web_end;                   /* WEB_STATUS and as many as there are */
enum { NEVER, TWICE, LATE, MANNERS }; /* beyond each kind's answers: how they come, or do not */

static const char *const bodies[] = {
    "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 604800\n",
    "version: STSv1\nmode: testing\nmx: *.example.net\nmax_age: 604800\n",
    "version: STSv1\nmode: none\nmax_age: 604800\n",
    "version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 0\n",
    "version: STSv1\nmode: enforce\nmx: *.example.com\n",
    "",
};

/* L look-up, A again, T tick, R restart, N the policy is none, I another id, G the record is gone,
 * d a day and a quarter, w a week, m 400 seconds, s 100, X from here on anything may fail */
static const struct {
    const char *name, *ops;
} flows[] = {
    {"first look-up", "XLT"},
    {"hit", "LsXLT"},
    {"check with same id", "LmXLT"},
    {"check with new id", "LImXLT"},
    {"refresh", "LdXT"},
    {"look again", "LmXA"},
    {"restart with store", "LmRXLT"},
    {"restart, look again", "LmRXA"},
    {"gone to none", "LNmXA"},
    {"record gone", "LGmXLT"},
    {"expired", "LwXLT"},
    {"expired by tick", "LwXTL"},
};
#define FLOWS (sizeof flows / sizeof flows[0])

typedef struct question {
    int kind, answer;
    uint64_t ticket;
} question;

/* What must be honoured: a body, and when it ends. -1: nothing. */
typedef struct known {
    int body;
    int64_t ends;
} known;

static struct world {
    mtasts_client client;
    int64_t now, asked_https;
    int later, store, varying, dead;
    int id;                             /* of the record; 0: there is none */
    int body;                           /* what the domain publishes */
    int choices[64], radix[64], length; /* the history */
    int used;
    known memory, stored; /* the expectation */
    unsigned served;      /* all bodies that came, a bit each */
    int no_room;
    char text[1000];
    size_t text_len;
    question queue[16], late[16];
    int queued, lates;
    int answered, waiting, calls;
    mtasts_lookup lookup;
    uint64_t seen; /* all that could be observed, in one number */
    size_t live, allocations, fail_at;
    int fail_all;
} w;

static const char *flow_name;
static unsigned long histories, injected, checks;

static void fail(const char *why)
{
    int i;
    printf("FAILED: %s\nflow %s, %s, %s, memory %s %lu; answers:", why, flow_name,
           w.later ? "event-driven" : "blocking", w.store ? "store" : "no store",
           w.fail_all ? "fails from" : "fails at", (unsigned long)w.fail_at);
    for (i = 0; i < w.used; i++)
        printf(" %d/%d", w.choices[i], w.radix[i]);
    printf("\n");
    exit(1);
}

static void check(int ok, const char *why)
{
    checks++;
    if (!ok)
        fail(why);
}

/* A sum does not depend on the order, which may differ. */
static void see(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 1) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
    w.seen += x ^ (x >> 32);
}

static int ends_of(int kind)
{
    return kind == LOAD ? LOAD_END : kind == TXT ? TXT_END : kind == HTTPS ? web_end : SAVE_END;
}

/* The next choice of the history: which answer this question gets. */
static int choose(int kind)
{
    int n = ends_of(kind) + MANNERS;
    if (w.dead && kind == TXT)
        return TXT_STATUS + 1;
    if (w.dead && kind == HTTPS)
        return WEB_STATUS;
    if (!w.varying || w.used == 4)
        return 0;
    if (w.used == w.length)
        w.choices[w.length++] = 0;
    w.radix[w.used] = n;
    injected += w.choices[w.used] != 0;
    return w.choices[w.used++];
}

/* ---- what is to be expected ---- */

static int is_valid(const known *k)
{
    return k->body >= 0 && w.now < k->ends;
}

static void learn(int body, int64_t fetched)
{
    w.served |= 1u << body;
    w.memory.body = body;
    w.memory.ends = fetched + (body == WEB_MAX_AGE_0 ? 0 : WEEK);
}

static int is_body(const mtasts_policy *policy, int body)
{
    return policy->text.len == strlen(bodies[body]) &&
           memcmp(policy->text.ptr, bodies[body], policy->text.len) == 0;
}

/* Without memory it may be one that was known before, or not be known. */
static void check_poor_answer(const mtasts_lookup *l)
{
    int body, found = 0;
    for (body = 0; l->policy && body <= WEB_MAX_AGE_0; body++)
        found |= w.served >> body & 1 && is_body(l->policy, body);
    if (l->policy)
        check(found, "a policy that nobody served");
    else
        check(!is_valid(&w.memory) || l->learned == MTASTS_LEARNED_TEMPORARY || w.no_room,
              "no policy, without saying why");
}

/* D1, D3, D15: the answer is what is known and valid, or nothing. max_age 0 serves one look-up. */
static void check_answer(const mtasts_lookup *l)
{
    const known *k = &w.memory;
    int serves = is_valid(k) || (k->body == WEB_MAX_AGE_0 && l->policy && !l->cached);
    const char *body = serves ? bodies[k->body] : NULL;
    w.answered++;
    w.waiting = 0;
    see((uint64_t)l->learned, l->policy ? (uint64_t)l->policy->mode : 9);
    see((uint64_t)l->diag.err, (uint64_t)l->result);
    see((uint64_t)l->cached, (uint64_t)(l->expires - START));
    if (w.fail_at) {
        check_poor_answer(l);
        return;
    }
    check(!body == !l->policy, body ? "a known policy is not honoured" : "a policy out of nothing");
    if (body)
        check(is_body(l->policy, k->body), "another policy than the known one");
}

static void done(void *user, mtasts_lookup *l)
{
    (void)user;
    check_answer(l);
}

/* ---- the host ---- */

static int64_t host_clock(void *user)
{
    (void)user;
    return w.now;
}

static void host_event(void *user, const mtasts_event *e)
{
    (void)user;
    w.no_room |= e->kind == MTASTS_EVENT_NO_ROOM;
    see(100 + (uint64_t)e->kind, (uint64_t)e->diag.err);
    see((uint64_t)e->mode * 3 + (uint64_t)e->before, (uint64_t)e->left);
}

static void *host_allocate(void *user, size_t size)
{
    (void)user;
    w.allocations++;
    if (w.fail_at && (w.fail_all ? w.allocations >= w.fail_at : w.allocations == w.fail_at))
        return NULL;
    w.live += size;
    return malloc(size);
}

static void host_release(void *user, void *memory, size_t size)
{
    (void)user;
    w.live -= size;
    free(memory);
}

static mtasts_err give_load(uint64_t ticket, int answer)
{
    char text[1000];
    size_t len = w.text_len;
    mtasts_err err;
    if (answer == LOAD_FAILED)
        return mtasts_client_give_load(&w.client, ticket, MTASTS_ERR_LIMIT, NULL, 0);
    if (answer == LOAD_NOTHING || !len) {
        w.stored.body = -1; /* it is lost, says the host */
        w.text_len = 0;
        return mtasts_client_give_load(&w.client, ticket, MTASTS_OK, NULL, 0);
    }
    memcpy(text, w.text, len);
    if (answer == LOAD_DAMAGED)
        text[len - 9] ^= 4;
    else if (answer == LOAD_OLD)
        text[13] = '0';
    else if (answer == LOAD_OTHER)
        memcpy(text + 10, "another", 7);
    if (answer != LOAD_GOOD) {
        w.stored.body = -1;
        w.text_len = 0;
    } else if (is_valid(&w.stored) && w.stored.ends > w.memory.ends) {
        w.memory = w.stored;
    }
    err = mtasts_client_give_load(&w.client, ticket, MTASTS_OK, text, len);
    memset(text, 'x', sizeof text);
    return err == MTASTS_ERR_STALE || answer == LOAD_GOOD ? err : MTASTS_OK;
}

static mtasts_err give_txt(uint64_t ticket, int answer)
{
    char record[3][40];
    mtasts_str s[2];
    mtasts_txt txt[2];
    int i, id = answer == TXT_NEW ? w.id + 1 : w.id;
    size_t n = answer == TXT_NONE || !id ? 0 : answer == TXT_TWO ? 2 : 1;
    for (i = 0; i < 2; i++) {
        sprintf(record[i], answer == TXT_GARBAGE ? "v=STSv1; id=%d-!;" : "v=STSv1; id=%d;", id + i);
        s[i].ptr = record[i];
        s[i].len = strlen(record[i]);
        txt[i].strings = &s[i];
        txt[i].count = 1;
    }
    if (answer >= TXT_STATUS)
        return mtasts_client_give_txt(&w.client, ticket, txt_status[answer - TXT_STATUS], NULL, 0,
                                      300);
    return mtasts_client_give_txt(&w.client, ticket, MTASTS_OK, txt, n, 300);
}

static mtasts_err give_https(uint64_t ticket, int answer)
{
    char body[200];
    int which = answer == WEB_GOOD ? w.body : answer;
    size_t len;
    mtasts_err err;
    if (answer >= WEB_STATUS)
        return mtasts_client_give_https(&w.client, ticket, web_status[answer - WEB_STATUS], NULL,
                                        0);
    len = strlen(bodies[which]);
    memcpy(body, bodies[which], len);
    if (which <= WEB_MAX_AGE_0)
        learn(which, w.asked_https);
    err = mtasts_client_give_https(&w.client, ticket, MTASTS_OK, body, len);
    memset(body, 'x', sizeof body);
    return err;
}

static mtasts_err give_once(const question *q, int answer)
{
    if (q->kind == LOAD)
        return give_load(q->ticket, answer);
    if (q->kind == TXT)
        return give_txt(q->ticket, answer);
    if (q->kind == HTTPS)
        return give_https(q->ticket, answer);
    return mtasts_client_give_save(&w.client, q->ticket,
                                   answer == SAVE_GOOD ? MTASTS_OK : MTASTS_ERR_LIMIT);
}

static void give(const question *q)
{
    int manner = q->answer - ends_of(q->kind);
    known memory;
    if (manner == NEVER)
        return;
    if (manner == LATE) {
        w.late[w.lates++] = *q;
        return;
    }
    check(give_once(q, manner == TWICE ? 0 : q->answer) == MTASTS_OK, "an answer is refused");
    if (manner != TWICE)
        return;
    memory = w.memory;
    check(give_once(q, 0) == MTASTS_ERR_STALE, "a second answer is not refused");
    w.memory = memory;
}

static void ask(int kind, uint64_t ticket)
{
    question q;
    check(++w.calls < 60, "too many questions");
    q.kind = kind;
    q.ticket = ticket;
    q.answer = choose(kind);
    if (!w.later)
        give(&q);
    else if (w.queued < 16)
        w.queue[w.queued++] = q;
    else
        fail("too many questions at once");
}

static void host_txt(void *user, uint64_t ticket, const char *name)
{
    (void)user;
    check(strcmp(name, "_mta-sts.example.com") == 0, "TXT of another name");
    ask(TXT, ticket);
}

static void host_https(void *user, uint64_t ticket, const char *domain, const char *host)
{
    (void)user;
    check(strcmp(domain, "example.com") == 0 && strcmp(host, "mta-sts.example.com") == 0,
          "HTTPS of another name");
    w.asked_https = w.now;
    ask(HTTPS, ticket);
}

static void host_load(void *user, uint64_t ticket, const char *domain)
{
    (void)user;
    (void)domain;
    ask(LOAD, ticket);
}

/* D1: what is valid in the store is never written over with the news that there is none. What the
 * host does with the text, it does at once: it stores it if the answer will be that it has. */
static void host_save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    mtasts_entry e;
    int answer, manner;
    (void)user;
    check(mtasts_entry_read(&e, domain, strlen(domain), text, len, w.now, NULL) == MTASTS_OK,
          "what is to be saved cannot be read");
    check(e.policy.text.ptr || !is_valid(&w.stored), "a policy in the store is overwritten");
    see(777, len);
    if (w.varying && w.used < 4) {
        answer = w.used < w.length ? w.choices[w.used] : 0;
        manner = answer - SAVE_END;
    } else {
        answer = 0;
        manner = -1;
    }
    if (answer != SAVE_FAILED && manner != NEVER && manner != LATE && len < sizeof w.text) {
        memcpy(w.text, text, len);
        w.text_len = len;
        if (e.policy.text.ptr) {
            for (w.stored.body = 0; !is_body(&e.policy, w.stored.body);)
                check(++w.stored.body <= WEB_MAX_AGE_0, "a policy that nobody served is saved");
            check(w.fail_at || (w.memory.ends == e.expires && is_body(&e.policy, w.memory.body)),
                  "another policy than the known one is saved");
            w.stored.ends = e.expires;
        }
    }
    ask(SAVE, ticket);
}

static void host_drop(void *user, const char *domain)
{
    (void)user;
    (void)domain;
    check(w.memory.body == WEB_MAX_AGE_0, "a policy is dropped from the store");
    w.text_len = 0;
    w.stored.body = -1;
    see(888, 0);
}

/* ---- flows ---- */

static void start(void)
{
    mtasts_host h;
    mtasts_host_init(&h);
    h.clock = host_clock;
    h.txt = host_txt;
    h.https = host_https;
    if (w.store) {
        h.load = host_load;
        h.save = host_save;
        h.drop = host_drop;
    }
    h.event = host_event;
    h.memory.allocate = host_allocate;
    h.memory.release = host_release;
    h.key[0] = 1;
    check(mtasts_client_init(&w.client, &h) == MTASTS_OK, "init");
}

static void stop(void)
{
    mtasts_client_clear(&w.client);
    check(w.live == 0, "a leak");
    w.memory.body = -1;
    w.memory.ends = 0;
    w.queued = w.lates = 0;
}

/* Answer what was asked; what is not answered has its time-out, and then the late answers come. */
static void serve(void)
{
    int rounds = 0;
    for (;;) {
        int i, n;
        while (w.queued) {
            question q = w.queue[0];
            memmove(w.queue, w.queue + 1, (size_t)--w.queued * sizeof q);
            give(&q);
        }
        if (!w.client.counters.discoveries ||
            (mtasts_client_next(&w.client) <= w.now && !w.waiting))
            break;
        check(++rounds < 20, "time-outs for ever");
        n = mtasts_client_next(&w.client) <= w.now ? 0 : w.lates;
        if (mtasts_client_next(&w.client) > w.now)
            w.now = mtasts_client_next(&w.client);
        mtasts_client_tick(&w.client);
        for (i = 0; i < n; i++) {
            known memory = w.memory, stored = w.stored;
            check(give_once(&w.late[i], 0) == MTASTS_ERR_STALE, "a late answer is not refused");
            w.memory = memory;
            w.stored = stored;
        }
        w.lates -= n;
        memmove(w.late, w.late + n, (size_t)w.lates * sizeof w.late[0]);
    }
}

static void look(unsigned flags)
{
    mtasts_lookup *l = &w.lookup;
    mtasts_err err;
    int answered = w.answered;
    memset(l, 0, sizeof *l);
    w.waiting = 1;
    l->done = done;
    err = mtasts_client_lookup(&w.client, l, "example.com", 11, flags);
    if (err == MTASTS_OK)
        check_answer(l);
    else
        check(err == MTASTS_MORE || (w.fail_at && err == MTASTS_ERR_LIMIT), "a look-up fails");
    w.waiting &= err == MTASTS_MORE;
    serve();
    check(err == MTASTS_ERR_LIMIT || w.answered == answered + 1, "a look-up without an answer");
    mtasts_client_end(&w.client, l);
}

/* Ticks as long as something is due. */
static void idle(void)
{
    int n = 0;
    do {
        check(++n < 30, "ticks for ever");
        mtasts_client_tick(&w.client);
        serve();
    } while (mtasts_client_next(&w.client) <= w.now);
}

static void see_entry(void)
{
    mtasts_entry e;
    int is = mtasts_client_entry(&w.client, "example.com", 11, &e);
    see((uint64_t)is, e.policy.text.len);
    see(e.id.len ? (uint64_t)e.id.ptr[0] : 0, e.failures);
    see((uint64_t)(e.expires - START), (uint64_t)e.failed);
    see((uint64_t)e.fetched, (uint64_t)e.refresh);
    if (is_valid(&w.memory) && !w.fail_at)
        check(is && e.policy.text.ptr && e.expires == w.memory.ends, "not in memory as it should");
}

static void step(char op)
{
    if (op == 'L' || op == 'A')
        look(op == 'A' ? MTASTS_LOOKUP_AGAIN : 0);
    else if (op == 'T')
        idle();
    else if (op == 'R') {
        stop();
        start();
    } else if (op == 'N')
        w.body = WEB_MODE_NONE, w.id++;
    else if (op == 'I')
        w.body = WEB_OTHER, w.id++;
    else if (op == 'G')
        w.id = 0;
    else if (op == 'X')
        w.varying = 1;
    else
        w.now += op == 'd' ? DAY + DAY / 4 : op == 'w' ? WEEK + 1 : op == 'm' ? 400 : 100;
}

/* One history; returns what could be observed. */
static uint64_t run(const char *ops, int later, int store)
{
    w.now = START;
    w.later = later;
    w.store = store;
    w.varying = w.dead = 0;
    w.id = 1;
    w.body = WEB_GOOD;
    w.used = w.queued = w.lates = w.answered = w.calls = w.no_room = 0;
    w.text_len = 0;
    w.seen = 0;
    w.allocations = 0;
    w.memory.body = w.stored.body = -1;
    w.served = 0;
    w.memory.ends = 0;
    start();
    for (; *ops; ops++)
        step(*ops);
    see_entry();
    w.varying = 0; /* now the network is dead, and what is known is known */
    w.dead = 1;
    look(0);
    idle();
    look(MTASTS_LOOKUP_AGAIN);
    stop();
    if (store) { /* nor is it lost to a restart */
        w.fail_at = 0;
        start();
        look(0);
        stop();
    }
    histories++;
    return w.seen;
}

/* The next history: the last choice that can be another one is; 0: there is none. */
static int next_history(void)
{
    w.length = w.used;
    while (w.length && w.choices[w.length - 1] + 1 >= w.radix[w.length - 1])
        w.length--;
    if (!w.length)
        return 0;
    w.choices[w.length - 1]++;
    return 1;
}

static void all_answers(const char *ops, int store)
{
    w.length = 0;
    w.fail_at = 0;
    do {
        uint64_t blocking = run(ops, 0, store);
        check(run(ops, 1, store) == blocking, "blocking and event-driven differ");
    } while (next_history());
}

/* The k-th allocation fails, or all from it on, in the whole flow, until there is no k-th. */
static void all_allocations(const char *ops, int store)
{
    size_t k;
    for (w.fail_all = 0; w.fail_all < 2; w.fail_all++)
        for (k = 1;; k++) {
            uint64_t blocking;
            size_t n;
            w.choices[0] = w.length = 0;
            memset(w.choices, 0, sizeof w.choices);
            w.fail_at = k;
            blocking = run(ops, 0, store);
            n = w.allocations;
            w.length = 0;
            w.fail_at = k;
            check(run(ops, 1, store) == blocking, "blocking and event-driven differ");
            injected++;
            if (n < k || k > 300)
                break;
        }
    w.fail_all = 0;
    w.fail_at = 0;
}

int main(void)
{
    size_t i;
    int err, store;
    for (err = 0; err < 100; err++)
        if (mtasts_err_tlsrpt(err) >= MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR &&
            mtasts_err_name(err)[11] == 'H')
            web_status[web_end++] = (mtasts_err)err;
    web_status[web_end++] = MTASTS_ERR_POLICY_SIZE;
    web_status[web_end++] = MTASTS_ERR_LIMIT;
    web_end += WEB_STATUS;
    for (i = 0; i < FLOWS; i++)
        for (store = 0; store < 2; store++) {
            flow_name = flows[i].name;
            all_answers(flows[i].ops, store);
            all_allocations(flows[i].ops, store);
        }
    printf("%lu flows, %lu histories, %lu failures injected, %lu checks\n", (unsigned long)FLOWS,
           histories, injected, checks);
    return 0;
}
