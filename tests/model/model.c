/* The client against a reference model of what a sender owes (D1-D17, H5, A5, A11; RFC 8461 3, 5).
 * Method: long random histories, each played with three hosts: one blocks, one answers by events,
 * one answers late, twice or never; after each step the model says what is allowed.
 *
 *   model [--seconds N] [--seed N] [--steps N]   random histories from that seed on (20 s)
 *   model --histories N                          so many, whatever time they take
 *   model --replay FILE                          the history in a file; "-" is standard input
 *   model --seed N --only I,J,K                  of history N the steps of these numbers only
 *   --print, --trace                             print the history; what goes on while it is played
 *
 * A history that fails is made as short as it gets and printed in the form that --replay reads.
 * Exit code 1 if there was one. A crash of the client counts as a failure: histories are played in
 * another process than the one that shortens them. */
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mtasts.h"

#include "reference.h"
#include "world.h"

#define STEPS(X)              \
    X(LOOKUP, "lookup")       \
    X(AGAIN, "again")         \
    X(BURST, "burst")         \
    X(TICK, "tick")           \
    X(CLOCK, "clock")         \
    X(PUBLISH, "publish")     \
    X(REMOVE, "remove")       \
    X(TXT, "txt")             \
    X(HTTPS, "https")         \
    X(STORE, "store")         \
    X(TTL, "ttl")             \
    X(REFRESH, "refresh")     \
    X(FORGET, "forget")       \
    X(IMPORT, "import")       \
    X(SWITCH, "switch")       \
    X(RESTART, "restart")     \
    X(NO_MEMORY, "no-memory") \
    X(END, "end")             \
    X(ENTRY, "entry")
#define STEP_ENUM(name, word) STEP_##name,
enum { STEPS(STEP_ENUM) STEP_KINDS };
static const char *const step_words[] = {STEPS(WORD) NULL};

enum { BLOCKING, EVENTS, LATE, HOSTS };
static const char *const host_words[] = {"blocking", "events", "late"};
enum { FREE, OCTETS, ENTRIES, POOL, BLOCK };
static const char *const restart_words[] = {"kept", "lost", "torn", "emptied"};

typedef struct step {
    int kind, domain;
    int64_t arg;
    uint64_t salt; /* chance within the step */
} step;

enum { STEPS_MAX = 2000 };

typedef struct history {
    uint64_t seed;
    int store, memory, bound, check_after, lookups;
    int count;
    step steps[STEPS_MAX];
} history;

/* What the store has of a domain. */
typedef struct kept {
    char *text;
    size_t len;
    int good; /* it can be read */
    memo m;
} kept;

typedef struct play play;

typedef struct slot {
    play *p;
    mtasts_lookup *l;                /* NULL: free */
    int domain, waiting, fetch_only; /* begun while enforcement was off */
    uint64_t number;
    char *text; /* the policy as it was answered */
    size_t len;
} slot;

typedef struct numbers {
    uint64_t histories, steps, lookups, answers, failures, restarts, no_memory, stale;
} numbers;

struct play {
    const history *h;
    int host_kind, at, life, lossy, bursting, forgetting, asking, switched;
    mtasts_client client;
    mtasts_host host;
    ledger memory;
    mtasts_pool pool;
    void *block;
    int64_t clock;
    uint64_t chance, looked_up, observed;
    text_pool texts;
    site sites[DOMAINS];
    belief beliefs[DOMAINS];
    kept store[DOMAINS], archive[DOMAINS];
    int murky[DOMAINS]; /* forgotten while answers were on their way */
    int txt_asked[DOMAINS], https_asked[DOMAINS], no_room[DOMAINS];
    slot slots[SLOTS];
    answer *answers;
    mtasts_counters told;
    numbers *numbers;
    char wrong[400];
};

static const char *const want_words[] = {"", "load", "txt", "https", "save", "drop"};
static int tracing;

/* ---- Complaints ------------------------------------------------------------------------------ */

static int64_t now(const play *p)
{
    return p->clock < 0 ? 0 : p->clock;
}

static void complain(play *p, int domain, const char *what)
{
    char name[16] = "";
    if (p->wrong[0] || !what)
        return;
    if (domain >= 0)
        snprintf(name, sizeof name, " d%d:", domain);
    snprintf(p->wrong, sizeof p->wrong, "host \"%s\", step %d,%s %s", host_words[p->host_kind],
             p->at, name, what);
}

/* With --trace: what goes on. */
__attribute__((format(printf, 2, 3))) static void trace(const play *p, const char *format, ...)
{
    va_list list;
    if (!tracing)
        return;
    printf("%s %d, %lld: ", host_words[p->host_kind], p->at, (long long)p->clock);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static void observe(play *p, uint64_t number, const void *data, size_t len)
{
    const unsigned char *c = data;
    uint64_t hash = 0xcbf29ce484222325u ^ number;
    while (len--)
        hash = (hash ^ *c++) * 0x100000001b3u;
    p->observed += hash;
}

static void move_clock(play *p, int64_t by)
{
    int64_t before = now(p);
    int d;
    p->clock += by;
    for (d = 0; by && d < DOMAINS; d++)
        belief_clock(&p->beliefs[d], before, now(p));
}

/* ---- The store ------------------------------------------------------------------------------- */

static void kept_clear(kept *k)
{
    free(k->text);
    memset(k, 0, sizeof *k);
}

static void kept_set(kept *k, const char *text, size_t len, int good, const memo *m)
{
    kept_clear(k);
    k->text = exact_copy(text, len);
    k->len = len;
    k->good = good;
    if (good)
        k->m = *m;
}

static void stored(play *p, int d)
{
    p->beliefs[d].stored = p->store[d].m;
}

/* What is written must be what is known. Says in *m what that is. */
static void check_saved(play *p, int d, const char *text, size_t len, memo *m)
{
    belief *b = &p->beliefs[d];
    mtasts_entry e;
    char id[ID_SIZE];
    const char *wrong;
    *m = b->known;
    if (mtasts_entry_read(&e, p->sites[d].name, strlen(p->sites[d].name), text, len, now(p),
                          NULL) != MTASTS_OK) {
        complain(p, d, "D11: what is saved cannot be read");
        memset(m, 0, sizeof *m);
        return;
    }
    snprintf(id, sizeof id, "%.*s", (int)e.id.len, e.id.len ? e.id.ptr : "");
    wrong = belief_allows(b, e.policy.text.ptr, e.policy.text.len, id, e.expires, now(p));
    if (!p->murky[d] && (!e.policy.text.ptr || mtasts_entry_valid(&e, now(p))))
        complain(p, d, wrong);
    m->policy.has = e.policy.text.ptr != NULL;
    if (m->policy.has && !p->wrong[0]) {
        m->policy.fetched = e.fetched;
        m->policy.mode = (int)e.policy.mode;
        m->policy.max_age = e.policy.max_age;
        memcpy(m->policy.id, id, sizeof id);
        m->policy.text = intern(&p->texts, e.policy.text.ptr, e.policy.text.len);
    }
    if (!e.failures && m->tried_failed)
        m->tried = 0;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* What the model makes of an answer that the client takes. */
static void apply(play *p, const answer *a)
{
    belief *b = &p->beliefs[a->domain];
    if (a->want == MTASTS_WANT_LOAD) {
        if (a->load_good && a->status == MTASTS_OK && a->body) {
            belief_load(b, &a->stored, now(p));
            b->blind = 0;
        } else {
            belief_not_loaded(b, p->store[a->domain].text != NULL, a->status != MTASTS_OK);
        }
    } else if (a->want == MTASTS_WANT_TXT) {
        belief_txt(b, a->says, a->id, a->ttl, now(p));
    } else if (a->want == MTASTS_WANT_HTTPS) {
        grant before = b->known.policy;
        p->no_room[a->domain] = 0;
        if (a->policy.has) {
            belief_fetched(b, &a->policy, now(p));
            if (p->lossy) { /* until it is said to be kept */
                b->sure = b->tried_sure = 0;
                b->other = before;
            }
        } else {
            belief_failed(b, a->id, a->asked, now(p));
        }
    }
    if (p->murky[a->domain])
        b->sure = b->tried_sure = b->in_memory = b->owes_fetch = 0;
}

/* Give an answer to the client, which must take it once, in time, and never else. */
static void deliver(play *p, answer *a)
{
    belief before;
    int good = !a->answered && !a->gone && a->life == p->life;
    mtasts_err err;
    if (good) {
        a->answered = 1;
        if (!p->bursting && p->host_kind != LATE)
            move_clock(p, a->delay);
    }
    before = p->beliefs[a->domain];
    a->sent = 1;
    if (good)
        apply(p, a);
    trace(p, "d%d: %s answered, %d %s%s%s", a->domain, want_words[a->want], a->status, a->id,
          a->policy.has ? " good" : "", good ? "" : " (late, or again)");
    err = give_answer(&p->client, a);
    p->numbers->answers++;
    if (err == MTASTS_ERR_STALE)
        p->numbers->stale++;
    if (!good && err == MTASTS_OK)
        complain(p, a->domain, "a late or second answer was taken");
    else if (good && err == MTASTS_ERR_STALE && !p->murky[a->domain] && !p->lossy)
        complain(p, a->domain, "an answer in time was refused");
    else if (good && err == MTASTS_ERR_USAGE)
        complain(p, a->domain, "an answer was refused as not wanted");
    if (good && err == MTASTS_ERR_STALE)
        p->beliefs[a->domain] = before;
    if (good && !p->murky[a->domain] && a->want == MTASTS_WANT_LOAD && a->body &&
        a->status == MTASTS_OK && err != MTASTS_ERR_STALE && (err == MTASTS_OK) != a->load_good)
        complain(p, a->domain, "D11, D13: a load was judged wrongly");
}

static void answer_free(answer *a)
{
    if (a->want == MTASTS_WANT_LOAD)
        free((void *)(uintptr_t)a->body);
    free(a);
}

/* How many are still expected by this life of the client. */
static int pending(const play *p, int domain, int queries_only)
{
    const answer *a;
    int n = 0;
    for (a = p->answers; a; a = a->next)
        n += a->life == p->life && !a->answered && !a->gone &&
             (domain < 0 || a->domain == domain) &&
             (!queries_only || a->want == MTASTS_WANT_TXT || a->want == MTASTS_WANT_HTTPS);
    return n;
}

/* Now, at the end of the step, some steps later, or never? */
static void send(play *p, answer *a)
{
    int r = below(&p->chance, 10);
    a->due = p->at;
    if (p->host_kind == LATE) {
        a->twice = below(&p->chance, 8) == 0;
        a->due = r < 6 ? p->at : r < 9 ? p->at + 1 + below(&p->chance, 5) : INT32_MAX;
    }
    a->next = p->answers;
    p->answers = a;
    if (p->host_kind == BLOCKING || (p->host_kind == LATE && r < 3))
        deliver(p, a);
}

/* Give the answers that are due, in any order, until there are none. */
static void drain(play *p)
{
    while (!p->wrong[0]) {
        answer **at, **chosen = NULL, *a;
        int n = 0;
        for (at = &p->answers; *at; at = &(*at)->next)
            if ((*at)->due <= p->at && below(&p->chance, ++n) == 0)
                chosen = at;
        if (!chosen)
            return;
        a = *chosen;
        if (!a->sent && a->twice)
            a->due = p->at + below(&p->chance, 4);
        else
            *chosen = a->next;
        if (!a->sent || a->twice) {
            n = a->sent || !a->twice;
            deliver(p, a);
            if (!n)
                continue;
        }
        answer_free(a);
    }
}

/* ---- The client's callbacks ------------------------------------------------------------------ */

static int64_t on_clock(void *user)
{
    play *p = user;
    return p->clock;
}

static int domain_of(const play *p, const char *name)
{
    int d;
    for (d = 0; d < DOMAINS; d++)
        if (strcmp(p->sites[d].name, name) == 0)
            return d;
    return -1;
}

/* A new answer to the client's question; NULL after a question about no domain of ours. */
static answer *asked(play *p, mtasts_want want, uint64_t ticket, const char *domain,
                     int64_t timeout)
{
    answer *a;
    int d = domain_of(p, domain);
    if (d < 0) {
        complain(p, -1, "D13: a question about a domain that nobody asked for");
        return NULL;
    }
    trace(p, "d%d: %s asked", d, want_words[want]);
    a = calloc(1, sizeof *a);
    a->want = want;
    a->ticket = ticket;
    a->domain = d;
    a->life = p->life;
    a->asked = now(p);
    a->deadline = now(p) + timeout;
    return a;
}

static void on_txt(void *user, uint64_t ticket, const char *name)
{
    play *p = user;
    int prefix = strncmp(name, "_mta-sts.", 9) == 0;
    answer *a = asked(p, MTASTS_WANT_TXT, ticket, name + (prefix ? 9 : 0), 30);
    p->told.txt++;
    if (!a)
        return;
    if (!prefix)
        complain(p, a->domain, "T1: TXT of another name");
    if (!p->murky[a->domain] && pending(p, a->domain, 1))
        complain(p, a->domain, "D6: two discoveries at once");
    p->txt_asked[a->domain]++;
    p->beliefs[a->domain].txt = SAID_NOTHING;
    p->beliefs[a->domain].once.has = 0;
    answer_txt(a, &p->sites[a->domain]);
    p->numbers->failures += a->says == SAID_FAILURE;
    send(p, a);
}

static void on_https(void *user, uint64_t ticket, const char *domain, const char *policy_host)
{
    play *p = user;
    answer *a = asked(p, MTASTS_WANT_HTTPS, ticket, domain, 60);
    belief *b;
    const char *wrong;
    p->told.https++;
    if (!a)
        return;
    if (strncmp(policy_host, "mta-sts.", 8) != 0 || strcmp(policy_host + 8, domain) != 0)
        complain(p, a->domain, "H1: another policy host");
    p->https_asked[a->domain]++;
    b = &p->beliefs[a->domain];
    if (!p->murky[a->domain] && pending(p, a->domain, 1))
        complain(p, a->domain, "D6: two discoveries at once");
    snprintf(a->id, sizeof a->id, "%s", belief_fetch_id(b));
    wrong = belief_asks_https(b, now(p), !p->lossy);
    if (!p->murky[a->domain])
        complain(p, a->domain, wrong);
    answer_https(a, &p->sites[a->domain]);
    p->numbers->failures += !a->policy.has;
    send(p, a);
}

static void on_load(void *user, uint64_t ticket, const char *domain)
{
    play *p = user;
    answer *a = asked(p, MTASTS_WANT_LOAD, ticket, domain, 10);
    const kept *k;
    int store, d;
    p->told.load++;
    if (!a)
        return;
    store = p->sites[a->domain].store;
    d = store == STORE_MIXED_UP ? (a->domain + 1) % DOMAINS : a->domain;
    k = &p->store[d];
    a->status = store == STORE_NO_LOAD ? MTASTS_ERR_LIMIT : MTASTS_OK;
    if (k->text && a->status == MTASTS_OK) {
        a->body = exact_copy(k->text, k->len);
        a->len = k->len;
        a->load_good = k->good && d == a->domain;
        a->stored = k->m;
    }
    p->numbers->failures += store != STORE_GOOD;
    send(p, a);
}

static void on_save(void *user, uint64_t ticket, const char *domain, const char *text, size_t len)
{
    play *p = user;
    answer *a = asked(p, MTASTS_WANT_SAVE, ticket, domain, 10);
    int store, d;
    memo m;
    p->told.save++;
    if (!a)
        return;
    d = a->domain;
    store = p->sites[d].store;
    check_saved(p, d, text, len, &m);
    if (store == STORE_NO_SAVE) {
        a->status = MTASTS_ERR_LIMIT;
        p->numbers->failures++;
    } else {
        kept_clear(&p->archive[d]);
        p->archive[d] = p->store[d];
        memset(&p->store[d], 0, sizeof p->store[d]);
        kept_set(&p->store[d], text, store == STORE_TORN ? len / 2 : len, store != STORE_TORN, &m);
        stored(p, d);
    }
    send(p, a);
}

static void on_drop(void *user, const char *domain)
{
    play *p = user;
    int d = domain_of(p, domain);
    p->told.drop++;
    if (d < 0) {
        complain(p, -1, "D13: a domain that nobody asked for is dropped");
        return;
    }
    if (!p->forgetting && !p->murky[d] && surely_valid(&p->beliefs[d], now(p)))
        complain(p, d, "D1: a valid policy is dropped from the store");
    kept_clear(&p->archive[d]);
    p->archive[d] = p->store[d];
    memset(&p->store[d], 0, sizeof p->store[d]);
    stored(p, d);
}

/* Memory is short: only where it is, and the least worth first (D10). */
static void on_shortage(play *p, const mtasts_event *event, int d)
{
    const size_t *entries = mtasts_client_cache(&p->client)->stats.entries;
    if (!p->lossy)
        complain(p, d, "D10: something is lost though memory is not short");
    if (event->kind == MTASTS_EVENT_EVICTED &&
        ((event->mode == MTASTS_MODE_ENFORCE && entries[0] + entries[1] > 1) || entries[0] > 1))
        complain(p, d, "D10: put out while there is something that is worth less");
    belief_lost(&p->beliefs[d]);
    p->no_room[d] = 1;
}

static void on_event(void *user, const mtasts_event *event)
{
    play *p = user;
    int d = event->domain[0] ? domain_of(p, event->domain) : -1;
    belief *b = &p->beliefs[d < 0 ? 0 : d];
    p->told.events[event->kind]++;
    trace(p, "d%d: event %s, %s", d, mtasts_event_name((int)event->kind),
          mtasts_err_name((int)event->diag.err));
    if (d < 0)
        return;
    if (event->kind == MTASTS_EVENT_EVICTED || event->kind == MTASTS_EVENT_NO_ROOM)
        on_shortage(p, event, d);
    if (!p->lossy || p->murky[d])
        return;
    if (event->kind <= MTASTS_EVENT_DOWNGRADED && !p->no_room[d] && b->known.policy.has) {
        b->sure = now(p) < b->low + b->known.policy.max_age;
        memset(&b->other, 0, sizeof b->other);
    }
}

/* ---- Look-ups -------------------------------------------------------------------------------- */

static void slot_end(play *p, slot *s)
{
    if (!s->l)
        return;
    if (s->text && (s->l->policy == NULL || s->l->policy->text.len != s->len ||
                    memcmp(s->l->policy->text.ptr, s->text, s->len) != 0))
        complain(p, s->domain, "an answered policy has changed before its end");
    mtasts_client_end(&p->client, s->l);
    free(s->text);
    free(s->l);
    memset(s, 0, sizeof *s);
}

/* What was learned (D15), where the client had to ask. */
static const char *check_learned(const belief *b, const mtasts_lookup *l)
{
    mtasts_learned expected = MTASTS_LEARNED_NONE;
    if (b->fetch_after_txt == 2)
        expected = MTASTS_LEARNED_POLICY;
    else if (b->blind && b->txt != SAID_NOTHING && /* there may be one in the store */
             (!l->policy || l->diag.err == MTASTS_ERR_STORE))
        return l->learned == MTASTS_LEARNED_TEMPORARY && l->diag.err == MTASTS_ERR_STORE
                   ? NULL
                   : "D15: the store could not be read, and something was learned";
    else if (b->txt == SAID_FAILURE)
        expected = MTASTS_LEARNED_TEMPORARY;
    else if (b->txt == SAID_RECORD && b->fetch_after_txt == 3)
        expected = MTASTS_LEARNED_FAILED;
    else if (b->txt == SAID_RECORD && l->policy && strcmp(l->id, b->txt_id) == 0)
        expected = l->learned == MTASTS_LEARNED_FAILED && b->known.tried_failed
                       ? MTASTS_LEARNED_FAILED /* a refresh has failed not long ago */
                       : MTASTS_LEARNED_POLICY;
    else if (b->txt == SAID_RECORD)
        expected = MTASTS_LEARNED_FAILED;
    else if (b->txt == SAID_NOTHING)
        return "answered without having asked";
    return l->learned == expected ? NULL : "D15: something else was learned than was said";
}

static void check_policy(play *p, slot *s)
{
    const mtasts_lookup *l = s->l;
    belief *b = &p->beliefs[s->domain];
    const char *text = l->policy ? l->policy->text.ptr : NULL, *wrong;
    size_t len = text ? l->policy->text.len : 0;
    int64_t t = now(p);
    if (p->murky[s->domain] || (p->lossy && l->diag.err == MTASTS_ERR_LIMIT))
        return;
    if (b->once.has && !l->cached) {
        int same = text && strlen(b->once.text) == len && memcmp(b->once.text, text, len) == 0;
        if (same && l->expires > b->once.fetched + b->once.max_age && l->expires > t)
            complain(p, s->domain, "D1: honoured for longer than max_age from its fetch");
        if (!same && !p->lossy)
            complain(p, s->domain, "D17: those who waited must get the policy that was fetched");
        if (same)
            return;
    }
    wrong = belief_allows(b, text, len, l->id, l->expires, t);
    /* A host that answers inside its callbacks can be faster than the news of what was loaded. */
    if (wrong && text && l->cached && p->https_asked[s->domain] &&
        !grant_allows(&b->before, text, len, l->id, l->expires, INT32_MIN, b->before.fetched, t))
        return;
    complain(p, s->domain, wrong);
    if (!text && l->cached && !belief_absent(b, t))
        complain(p, s->domain, "D7, D8: \"no policy\" from memory, where none was learned");
    if (text && l->policy->mode != (mtasts_mode)b->known.policy.mode && b->sure)
        complain(p, s->domain, "the mode is another than the policy's");
    if (!l->cached)
        complain(p, s->domain, check_learned(b, l));
    if (text && b->sure && !p->lossy && p->host_kind != LATE && !b->queued)
        b->high = least(b->high, t);
}

static void check_answer(play *p, slot *s)
{
    const mtasts_lookup *l = s->l;
    belief *b = &p->beliefs[s->domain];
    char line[300];
    if (strcmp(l->domain, p->sites[s->domain].name) != 0)
        complain(p, s->domain, "D13: the answer is another domain's");
    if ((p->switched == MTASTS_SWITCH_FETCH && l->override != MTASTS_OVERRIDE_IGNORE) ||
        (p->switched == MTASTS_SWITCH_ON && !s->fetch_only && l->override))
        complain(p, s->domain, "A11: enforced though enforcement is off, or the other way round");
    if (l->policy) {
        s->len = l->policy->text.len;
        s->text = exact_copy(l->policy->text.ptr, s->len);
        observe(p, s->number, s->text, s->len);
    }
    snprintf(line, sizeof line, "%s %d %d %d %d %lld %s", l->domain, l->learned, l->diag.err,
             l->cached, l->result, (long long)l->expires, l->id);
    observe(p, s->number, line, strlen(line));
    trace(p, "%s: \"%s\", %s", s->waiting ? "answer" : "told", line,
          l->policy ? mode_names[l->policy->mode] : "no policy");
    if (p->switched == MTASTS_SWITCH_OFF && l->policy)
        complain(p, s->domain, "A11: a policy though all is switched off");
    if (p->switched != MTASTS_SWITCH_OFF)
        check_policy(p, s);
    b->used = now(p);
    b->ever_used = 1;
    b->queued = 1;
    s->waiting = 0;
}

static void on_done(void *user, mtasts_lookup *l)
{
    slot *s = user;
    play *p = s->p;
    if (s->l != l || !s->waiting)
        complain(p, s->domain, "done is called for a look-up that does not wait");
    else
        check_answer(p, s);
}

static slot *slot_new(play *p, int d)
{
    slot *s = NULL;
    int i;
    for (i = 0; i < SLOTS; i++)
        if (!p->slots[i].l || !s || (s->l && p->slots[i].number < s->number))
            s = &p->slots[i];
    slot_end(p, s);
    s->p = p;
    s->l = calloc(1, sizeof *s->l);
    s->l->done = on_done;
    s->l->user = s;
    s->domain = d;
    s->number = p->looked_up++;
    return s;
}

/* A5: what AGAIN must do now. */
static int again_must_fetch(const belief *b, int64_t t)
{
    return surely_valid(b, t) && !b->went_back && t - b->high >= 300 &&
           t - b->known.policy.fetched >= 300 &&
           !(b->known.tried && t < b->known.ended_at + HOUR && b->known.tried_failed);
}

static void look_up(play *p, int d, unsigned flags)
{
    belief *b = &p->beliefs[d];
    slot *s = slot_new(p, d);
    int off = p->switched == MTASTS_SWITCH_OFF, again = (flags & MTASTS_LOOKUP_AGAIN) && !off;
    int must_fetch = again && again_must_fetch(b, now(p)) && !p->lossy;
    int must_hit = !again && !off && !p->lossy && b->in_memory && surely_valid(b, now(p));
    int txt = p->txt_asked[d], https = p->https_asked[d];
    mtasts_err err;
    p->numbers->lookups++;
    p->told.lookups++;
    s->waiting = 1;
    s->fetch_only = p->switched == MTASTS_SWITCH_FETCH;
    err = mtasts_client_lookup(&p->client, s->l, p->sites[d].name, strlen(p->sites[d].name), flags);
    if (err == MTASTS_OK && off) {
        if (s->l->policy)
            complain(p, d, "A11: a policy though all is switched off");
        s->waiting = 0;
    } else if (err == MTASTS_OK) {
        check_answer(p, s);
        if (must_hit && !s->l->cached)
            complain(p, d, "D16: a known policy, but others were asked");
    } else if (err == MTASTS_MORE) {
        if (must_hit)
            complain(p, d, "D16: a known policy is not answered at once");
    } else {
        if (err != MTASTS_ERR_LIMIT || !p->lossy)
            complain(p, d, mtasts_strerror((int)err));
        free(s->l);
        memset(s, 0, sizeof *s);
        return;
    }
    if (p->host_kind == LATE || !again || p->wrong[0])
        return;
    if (!p->bursting)
        drain(p);
    if (!p->bursting && p->txt_asked[d] == txt && !p->lossy)
        complain(p, d, "A5: AGAIN, but DNS was not asked");
    if (!p->bursting && must_fetch && b->sure && p->https_asked[d] == https)
        complain(p, d, "A5: AGAIN, but the policy was not fetched");
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void start(play *p)
{
    const history *h = p->h;
    uint64_t key = h->seed * 1000 + (uint64_t)p->life;
    int i;
    mtasts_host_init(&p->host);
    p->host.user = p;
    p->host.clock = on_clock;
    p->host.txt = on_txt;
    p->host.https = on_https;
    p->host.event = on_event;
    if (h->store) {
        p->host.load = on_load;
        p->host.save = on_save;
        p->host.drop = on_drop;
    }
    p->host.check_after = (uint32_t)h->check_after;
    p->host.max_lookups = (uint32_t)h->lookups;
    for (i = 0; i < 16; i++)
        p->host.key[i] = (unsigned char)(draw(&key) | 1);
    p->host.max_octets = h->memory == OCTETS ? (size_t)h->bound : 0;
    p->host.max_entries = h->memory == ENTRIES ? (size_t)h->bound : 0;
    memset(&p->memory, 0, sizeof p->memory);
    if (h->memory == POOL || h->memory == BLOCK)
        p->block = malloc((size_t)h->bound);
    if (h->memory == BLOCK) {
        p->host.block = p->block;
        p->host.block_size = (size_t)h->bound;
    } else {
        if (h->memory == POOL) {
            mtasts_pool_init(&p->pool, p->block, (size_t)h->bound);
            p->memory.pool = &p->pool;
        }
        p->host.memory.user = &p->memory;
        p->host.memory.allocate = ledger_allocate;
        p->host.memory.release = ledger_release;
    }
    memset(&p->told, 0, sizeof p->told);
    if (mtasts_client_init(&p->client, &p->host) != MTASTS_OK)
        complain(p, -1, "the client cannot be started");
}

/* The client's own counters are those of the host. */
static void check_counters(play *p)
{
    const mtasts_counters *c = &p->client.counters, *t = &p->told;
    const mtasts_cache_stats *s = &mtasts_client_cache(&p->client)->stats;
    size_t i;
    if (c->lookups != t->lookups || c->txt != t->txt || c->https != t->https ||
        c->load != t->load || c->save != t->save || c->drop != t->drop ||
        c->hits + c->joined > c->lookups)
        complain(p, -1, "the counters do not add up");
    for (i = 0; i < MTASTS_EVENT_COUNT; i++)
        if (c->events[i] != t->events[i])
            complain(p, -1, "the counters of events do not add up");
    if (p->h->memory != BLOCK && s->octets != p->memory.octets)
        complain(p, -1, "the octets in use do not add up");
    if (p->h->memory == OCTETS && s->octets > (size_t)p->h->bound)
        complain(p, -1, "D10: more memory than allowed");
    if (p->h->memory == ENTRIES &&
        s->entries[0] + s->entries[1] + s->entries[2] > (size_t)p->h->bound)
        complain(p, -1, "D10: more entries than allowed");
}

/* End the client. Look-ups that are open may be ended before, after, or never. */
static void stop(play *p)
{
    int i, order = below(&p->chance, 3);
    for (i = 0; i < SLOTS && order == 0; i++)
        slot_end(p, &p->slots[i]);
    mtasts_client_clear(&p->client);
    if (p->memory.octets || p->memory.pieces)
        complain(p, -1, "memory is not given back");
    for (i = 0; i < SLOTS; i++) {
        if (p->slots[i].l && order == 1)
            mtasts_client_end(&p->client, p->slots[i].l);
        free(p->slots[i].text);
        free(p->slots[i].l);
        memset(&p->slots[i], 0, sizeof p->slots[i]);
    }
    if (p->memory.pool && !p->wrong[0]) {
        void *all = mtasts_pool_allocate(&p->pool, (size_t)p->h->bound * 4 / 5 - 64);
        if (!all)
            complain(p, -1, "the pool is not whole again");
    }
    free(p->block);
    p->block = NULL;
}

/* What the store lost with the process: the last write for a domain, or half of it, or all. */
static void damage(play *p, int domain, int how)
{
    kept *k = &p->store[domain];
    int d;
    for (d = 0; d < DOMAINS && how == 3; d++) {
        kept_clear(&p->store[d]);
        kept_clear(&p->archive[d]);
    }
    if (how == 1) {
        kept_clear(k);
        *k = p->archive[domain];
        memset(&p->archive[domain], 0, sizeof *k);
    } else if (how == 2 && k->len) {
        k->good = 0;
        k->len = (size_t)below(&p->chance, (int)k->len);
        memset(&k->m, 0, sizeof k->m);
    }
}

static void restart(play *p, int domain, int how)
{
    answer *a;
    int d;
    stop(p);
    damage(p, domain, how);
    p->life++;
    p->numbers->restarts++;
    p->switched = MTASTS_SWITCH_ON;
    for (d = 0; d < DOMAINS; d++) {
        belief *b = &p->beliefs[d];
        int back = b->went_back, used = b->ever_used;
        int64_t at = b->used;
        memset(b, 0, sizeof *b);
        stored(p, d);
        belief_from(b, &p->store[d].m, now(p));
        b->went_back = back;
        b->ever_used = used && b->known.policy.has; /* it is stored with the policy */
        b->used = at;
        b->absent_until = b->stale_since = INT64_MIN;
        p->murky[d] = 0;
    }
    for (a = p->answers; a; a = a->next)
        if (a->due == INT32_MAX && below(&p->chance, 2))
            a->due = p->at;
    start(p);
}

/* The time of some answers may be up: the client counts them as failures (mtasts_host). */
static void time_outs(play *p)
{
    static const int64_t timeouts[] = {0, 10, 30, 60, 10, 10};
    answer *a;
    for (a = p->answers; a; a = a->next) {
        belief *b = &p->beliefs[a->domain];
        if (a->life != p->life || a->answered || a->gone)
            continue;
        a->deadline = least(a->deadline, now(p) + timeouts[a->want]);
        if (now(p) < a->deadline)
            continue;
        a->gone = 1;
        if (a->want == MTASTS_WANT_TXT)
            belief_txt(b, SAID_FAILURE, "", 0, now(p));
        else if (a->want == MTASTS_WANT_HTTPS)
            belief_failed(b, a->id, a->asked, now(p));
        else if (a->want == MTASTS_WANT_LOAD)
            belief_not_loaded(b, 1, 1);
        if (p->murky[a->domain])
            b->sure = b->tried_sure = b->in_memory = 0;
    }
}

/* D5: after the ticks have run dry no policy in use is old while its HTTPS works. */
static void check_fresh(play *p)
{
    int d;
    for (d = 0; d < DOMAINS; d++) {
        const site *s = &p->sites[d];
        if (p->lossy || p->switched == MTASTS_SWITCH_OFF || p->murky[d] || !s->served ||
            !s->valid || (s->https != HTTPS_GOOD && s->https != HTTPS_SLOW))
            continue;
        if (!belief_fresh(&p->beliefs[d], now(p), 30 * (int64_t)DAY))
            complain(p, d, "D5, D14: not fetched for more than a day and a quarter, though in use");
    }
}

static void tick(play *p)
{
    int64_t next;
    int i, rounds = p->host_kind == LATE ? 1 : 6 * DOMAINS + 100, more = 1;
    for (i = 0; i < rounds && more && !p->wrong[0]; i++) {
        if (p->host_kind == LATE)
            time_outs(p);
        next = mtasts_client_tick(&p->client);
        more = next <= now(p) || pending(p, -1, 0) > 0;
        if (p->host_kind != LATE)
            drain(p);
    }
    if (p->host_kind == LATE)
        return;
    if (more)
        complain(p, -1, "the ticks never come to rest");
    for (i = 0; i < DOMAINS && p->switched != MTASTS_SWITCH_OFF; i++)
        p->beliefs[i].queued = 0;
    check_fresh(p);
}

static void forget(play *p, int d)
{
    p->forgetting = 1;
    mtasts_client_forget(&p->client, p->sites[d].name, strlen(p->sites[d].name));
    p->forgetting = 0;
    belief_forget(&p->beliefs[d]);
    stored(p, d);
    p->beliefs[d].sure = !pending(p, d, 0);
    p->murky[d] = pending(p, d, 0) > 0;
}

/* Put an entry into memory: what is stored, the one before, another domain's, or a torn one. */
static void import(play *p, int d, int how)
{
    const kept *k = how == 1   ? &p->archive[d]
                    : how == 2 ? &p->store[(d + 1) % DOMAINS]
                               : &p->store[d];
    const char *name = p->sites[d].name;
    size_t len = k->text ? how == 3 ? k->len - 1 : k->len : 0;
    mtasts_entry e;
    mtasts_err err;
    char *copy;
    int here;
    if (!k->text || k->len == 0)
        return;
    here = mtasts_client_entry(&p->client, name, strlen(name), &e);
    copy = exact_copy(k->text, len);
    err = mtasts_client_import(&p->client, name, strlen(name), copy, len, NULL);
    free(copy);
    if (how >= 2 || !k->good) {
        if (err == MTASTS_OK)
            complain(p, d, "D11, D13: imported though it is damaged or another domain's");
    } else if (err == MTASTS_OK && !here) {
        belief_from(&p->beliefs[d], &k->m, now(p));
        p->beliefs[d].in_memory = 1;
        p->beliefs[d].went_back = 1;
        if (pending(p, d, 0)) { /* which of the two is kept is not said */
            p->beliefs[d].sure = p->beliefs[d].in_memory = 0;
            p->murky[d] = 1;
        }
    } else if (err != MTASTS_OK && !(err == MTASTS_ERR_LIMIT && p->lossy)) {
        complain(p, d, "a good entry is not imported");
    }
}

/* Many domains at once, each of them once. */
static void burst(play *p, int first, int64_t arg)
{
    int i, n = (int)(arg % DOMAINS) + 1, stride = 2 * (int)(arg / DOMAINS % 16) + 1;
    p->bursting = 1;
    for (i = 0; i < n && !p->wrong[0]; i++)
        look_up(p, (first + i * stride) % DOMAINS, 0);
    drain(p);
    p->bursting = 0;
}

static void look_at(play *p, int d, int all)
{
    belief *b = &p->beliefs[d];
    mtasts_entry e;
    char line[400];
    int here = mtasts_client_entry(&p->client, p->sites[d].name, strlen(p->sites[d].name), &e);
    if (all) {
        snprintf(line, sizeof line, "%d %lld %lld %lld %lld %lld %u %d %.*s", here,
                 (long long)e.fetched, (long long)e.expires, (long long)e.checked,
                 (long long)e.used, (long long)e.refresh, e.failures, e.failed, (int)e.id.len,
                 e.id.len ? e.id.ptr : "");
        observe(p, (uint64_t)d << 40, line, strlen(line));
    }
    if (p->murky[d] || p->lossy)
        return;
    if (b->in_memory && surely_valid(b, now(p)) && (!here || !e.policy.text.ptr))
        complain(p, d, "a policy that is known and valid is not in memory");
    if (here && e.policy.text.ptr && mtasts_entry_valid(&e, now(p))) {
        snprintf(line, sizeof line, "%.*s", (int)e.id.len, e.id.ptr);
        complain(p, d,
                 belief_allows(b, e.policy.text.ptr, e.policy.text.len, line, e.expires, now(p)));
    }
}

/* The steps that change the world. */
static void change(play *p, const step *s)
{
    site *at = &p->sites[s->domain];
    if (s->kind == STEP_PUBLISH)
        publish(at, s->domain, s->arg, &p->texts);
    else if (s->kind == STEP_REMOVE)
        at->served = 0, at->txt = TXT_GONE;
    else if (s->kind == STEP_TXT)
        at->txt = (int)s->arg;
    else if (s->kind == STEP_HTTPS)
        at->https = (int)s->arg;
    else if (s->kind == STEP_STORE)
        at->store = (int)s->arg;
    else if (s->kind == STEP_TTL)
        at->ttl = (uint32_t)s->arg;
    else if (s->kind == STEP_CLOCK)
        move_clock(p, s->arg);
    else if (s->kind == STEP_NO_MEMORY) {
        p->memory.fail_in = s->arg;
        p->lossy = 1;
    }
}

/* Off: those who wait are answered at once, and what comes for them is too late. */
static void turn_switch(play *p, int to)
{
    answer *a;
    p->switched = to;
    for (a = p->answers; a && to == MTASTS_SWITCH_OFF; a = a->next)
        a->gone |= a->life == p->life && !a->answered && a->want != MTASTS_WANT_SAVE;
    mtasts_client_switch(&p->client, (mtasts_switch)to);
}

static void act(play *p, const step *s)
{
    const char *name = p->sites[s->domain].name;
    int i, d = s->domain;
    mtasts_err err;
    if (s->kind == STEP_LOOKUP || s->kind == STEP_AGAIN) {
        if (s->kind == STEP_AGAIN && p->switched != MTASTS_SWITCH_OFF)
            p->beliefs[d].pressed = 1;
        look_up(p, d, s->kind == STEP_AGAIN ? MTASTS_LOOKUP_AGAIN : 0);
    } else if (s->kind == STEP_BURST) {
        burst(p, d, s->arg);
    } else if (s->kind == STEP_TICK) {
        tick(p);
    } else if (s->kind == STEP_REFRESH) {
        p->beliefs[d].pressed = p->beliefs[d].queued = 1;
        err = mtasts_client_refresh(&p->client, name, strlen(name));
        if (err != MTASTS_OK && !(err == MTASTS_ERR_LIMIT && p->lossy))
            complain(p, d, "a refresh is refused");
    } else if (s->kind == STEP_FORGET) {
        forget(p, d);
    } else if (s->kind == STEP_IMPORT) {
        import(p, d, (int)s->arg);
    } else if (s->kind == STEP_SWITCH) {
        turn_switch(p, (int)s->arg);
    } else if (s->kind == STEP_RESTART) {
        restart(p, d, (int)s->arg);
    } else if (s->kind == STEP_END) {
        for (i = 0; i < SLOTS; i++)
            slot_end(p, &p->slots[i]);
    } else if (s->kind == STEP_ENTRY) {
        look_at(p, d, 0);
    } else {
        change(p, s);
    }
}

static void after_step(play *p)
{
    int d, i;
    drain(p);
    for (d = 0; d < DOMAINS; d++) {
        belief *b = &p->beliefs[d];
        if (b->owes_fetch && !p->murky[d])
            complain(p, d, "D2: DNS has a new id, but its policy is not fetched");
        b->owes_fetch = 0;
        if (p->host_kind != LATE)
            b->once.has = 0;
        if (p->murky[d] && !pending(p, d, 0))
            p->murky[d] = 0;
    }
    for (i = 0; i < SLOTS && p->host_kind != LATE; i++)
        if (p->slots[i].l && p->slots[i].waiting)
            complain(p, p->slots[i].domain, "a look-up is never answered");
    check_counters(p);
}

/* ---- Playing --------------------------------------------------------------------------------- */

static void play_begin(play *p, const history *h, int host_kind, numbers *n)
{
    int d;
    memset(p, 0, sizeof *p);
    p->h = h;
    p->host_kind = host_kind;
    p->numbers = n;
    p->clock = 1700000000;
    p->chance = h->seed | 1;
    p->lossy = h->memory != FREE || h->lookups < DOMAINS * 4;
    for (d = 0; d < DOMAINS; d++) {
        snprintf(p->sites[d].name, sizeof p->sites[d].name, "d%d.example", d);
        p->sites[d].txt = TXT_GONE;
        p->sites[d].ttl = 600;
        p->beliefs[d].absent_until = p->beliefs[d].stale_since = INT64_MIN;
        p->beliefs[d].sure = 1;
    }
    start(p);
}

static void play_end(play *p)
{
    int d;
    for (d = 0; d < DOMAINS; d++) {
        if (!p->wrong[0])
            look_at(p, d, 1);
    }
    p->numbers->no_memory += (uint64_t)p->memory.failed;
    stop(p);
    for (d = 0; d < DOMAINS; d++) {
        kept_clear(&p->store[d]);
        kept_clear(&p->archive[d]);
    }
    while (p->answers) {
        answer *a = p->answers;
        p->answers = a->next;
        answer_free(a);
    }
    intern_clear(&p->texts);
}

/* One history against one host. Returns 1 if all was well; `wrong` says what was not. */
static int play_one(const history *h, int host_kind, numbers *n, char *wrong, uint64_t *observed)
{
    static play p;
    int i;
    play_begin(&p, h, host_kind, n);
    for (i = 0; i < h->count && !p.wrong[0]; i++) {
        const step *s = &h->steps[i];
        p.at = i;
        p.chance = s->salt | 1;
        trace(&p, "---- %s d%d %lld", step_words[s->kind], s->domain, (long long)s->arg);
        memset(p.txt_asked, 0, sizeof p.txt_asked);
        memset(p.https_asked, 0, sizeof p.https_asked);
        act(&p, s);
        if (!p.wrong[0])
            after_step(&p);
        n->steps++;
    }
    p.at = h->count;
    play_end(&p);
    *observed = p.observed;
    strcpy(wrong, p.wrong);
    return !p.wrong[0];
}

/* Are answers and final entries to be the same, whether the host blocks or not? Not if
 * memory is short, nor if many entries are due at the same time, as after a clock was set back: the
 * order in which they are refreshed decides which random numbers they get. */
static int comparable(const history *h)
{
    int i, back = 0;
    for (i = 0; i < h->count; i++) {
        const step *s = &h->steps[i];
        back |= s->kind == STEP_CLOCK && s->arg < 0;
        if (s->kind == STEP_NO_MEMORY || (s->kind == STEP_BURST && back))
            return 0;
    }
    return h->memory == FREE && h->lookups >= DOMAINS * 4;
}

static int play_all(const history *h, numbers *n, char *wrong)
{
    uint64_t observed[HOSTS];
    int host;
    n->histories++;
    for (host = 0; host < HOSTS; host++)
        if (!play_one(h, host, n, wrong, &observed[host]))
            return 0;
    if (comparable(h) && observed[BLOCKING] != observed[EVENTS]) {
        strcpy(wrong, "a blocking host and one with events get different answers");
        return 0;
    }
    return 1;
}

/* ---- Histories ------------------------------------------------------------------------------- */

/* A kind of step by how often it comes. */
static int some_kind(uint64_t *chance, int store, int short_memory)
{
    static const struct {
        int kind, weight;
    } weights[] = {{STEP_LOOKUP, 24}, {STEP_AGAIN, 6},   {STEP_BURST, 3},    {STEP_TICK, 16},
                   {STEP_CLOCK, 22},  {STEP_PUBLISH, 9}, {STEP_REMOVE, 1},   {STEP_TXT, 7},
                   {STEP_HTTPS, 6},   {STEP_TTL, 1},     {STEP_REFRESH, 1},  {STEP_FORGET, 1},
                   {STEP_SWITCH, 1},  {STEP_RESTART, 1}, {STEP_END, 2},      {STEP_ENTRY, 2},
                   {STEP_STORE, 2},   {STEP_IMPORT, 1},  {STEP_NO_MEMORY, 3}};
    size_t i;
    int r = below(chance, 109);
    for (i = 0; (r -= weights[i].weight) >= 0; i++)
        ;
    if ((weights[i].kind == STEP_STORE || weights[i].kind == STEP_IMPORT) && !store)
        return STEP_TICK;
    if (weights[i].kind == STEP_NO_MEMORY && !short_memory)
        return STEP_CLOCK;
    return weights[i].kind;
}

static int64_t some_time(uint64_t *chance, int64_t *owed)
{
    static const int64_t spans[] = {1,     5,     20,    59,      60,      299,      300,
                                    301,   600,   3600,  3601,    21600,   43200,    80000,
                                    86400, 86400, 90000, 3 * DAY, 8 * DAY, 40 * DAY, 366 * DAY};
    int64_t by = spans[below(chance, below(chance, 3) ? 18 : 21)];
    if (*owed && below(chance, 2)) { /* the clock is right again */
        by = *owed;
        *owed = 0;
    } else if (below(chance, 16) == 0) {
        by = below(chance, 12) ? -by : -1800000000;
        *owed -= by;
    }
    return by;
}

static int64_t some_arg(uint64_t *chance, int kind, int64_t *owed)
{
    static const int64_t ttls[] = {0, 1, 60, 600, 3600, 86400, 4000000000};
    switch (kind) {
    case STEP_BURST:
        return below(chance, DOMAINS * 16);
    case STEP_CLOCK:
        return some_time(chance, owed);
    case STEP_PUBLISH:
        return below(chance, 3) + 10 * below(chance, 8) +
               100 * (below(chance, 5) ? below(chance, 4) : below(chance, 16)) +
               10000 * (below(chance, 4) == 0) + 100000 * below(chance, 5);
    case STEP_TXT:
        return below(chance, 2) ? TXT_GOOD : below(chance, TXT_COUNT);
    case STEP_HTTPS:
        return below(chance, 2) ? HTTPS_GOOD : below(chance, HTTPS_COUNT);
    case STEP_STORE:
        return below(chance, 2) ? STORE_GOOD : below(chance, STORE_COUNT);
    case STEP_TTL:
        return ttls[below(chance, 7)];
    case STEP_IMPORT:
    case STEP_RESTART:
        return below(chance, 4);
    case STEP_SWITCH:
        return below(chance, 2) ? MTASTS_SWITCH_ON : below(chance, 3);
    case STEP_NO_MEMORY:
        return 1 + below(chance, 12);
    default:
        return 0;
    }
}

static void history_make(history *h, uint64_t seed, int count)
{
    uint64_t chance = seed * 0x9e3779b97f4a7c15u + 1;
    int64_t owed = 0;
    int i, hot, kinds = below(&chance, 8), no_memory;
    memset(h, 0, sizeof *h);
    for (i = 0; i < 8; i++)
        draw(&chance);
    h->seed = seed;
    h->store = below(&chance, 2);
    h->memory = kinds < 5 ? FREE : 1 + below(&chance, 4);
    h->bound = h->memory == OCTETS    ? 18000 + below(&chance, 30000)
               : h->memory == ENTRIES ? 2 + below(&chance, 20)
                                      : 30000 + below(&chance, 40000);
    h->check_after = below(&chance, 3) ? 300 : 1 + below(&chance, 4000);
    h->lookups = kinds == 4 ? 1 + below(&chance, 8) : 256;
    no_memory = kinds >= 4 && kinds < 7 && h->memory != BLOCK;
    hot = 1 + below(&chance, below(&chance, 2) ? 4 : DOMAINS);
    for (i = 0; i < count; i++) {
        step *s = &h->steps[h->count++];
        s->kind = some_kind(&chance, h->store, no_memory);
        s->domain = below(&chance, 8) ? below(&chance, hot) : below(&chance, DOMAINS);
        s->arg = some_arg(&chance, s->kind, &owed);
        s->salt = draw(&chance) % 1000000;
        if (s->kind == STEP_PUBLISH && h->count < count) { /* most who publish do it well */
            s = &h->steps[h->count++];
            *s = s[-1];
            s->kind = STEP_TXT;
            s->arg = TXT_GOOD;
            i++;
        }
    }
}

/* ---- Printing and reading -------------------------------------------------------------------- */

static const char *arg_word(const step *s)
{
    static const char *const switches[] = {"on", "fetch", "off"};
    return s->kind == STEP_TXT       ? txt_words[s->arg]
           : s->kind == STEP_HTTPS   ? https_words[s->arg]
           : s->kind == STEP_STORE   ? store_words[s->arg]
           : s->kind == STEP_RESTART ? restart_words[s->arg]
           : s->kind == STEP_SWITCH  ? switches[s->arg]
                                     : "";
}

static void history_print(const history *h, FILE *out)
{
    int i;
    fprintf(out, "history %llu store %d memory %d %d check %d lookups %d\n",
            (unsigned long long)h->seed, h->store, h->memory, h->bound, h->check_after, h->lookups);
    for (i = 0; i < h->count; i++) {
        const step *s = &h->steps[i];
        fprintf(out, "%3d %-9s d%-2d %-9lld %6llu  %s", i, step_words[s->kind], s->domain,
                (long long)s->arg, (unsigned long long)s->salt, arg_word(s));
        if (s->kind == STEP_PUBLISH) {
            design d = design_of(s->arg);
            fprintf(out, "%s max_age %lld, shape %d%s, version %d%s", mode_names[d.mode],
                    (long long)ages[d.age], d.shape, d.shape < 9 ? "" : " (invalid)", d.version,
                    d.same_id ? ", id as before" : "");
        }
        fprintf(out, "\n");
    }
}

static int history_read(history *h, FILE *in)
{
    char line[300], word[40];
    unsigned long long seed, salt;
    long long arg;
    int number, k;
    memset(h, 0, sizeof *h);
    while (h->count < STEPS_MAX && fgets(line, sizeof line, in)) {
        step *s = &h->steps[h->count];
        if (sscanf(line, "history %llu store %d memory %d %d check %d lookups %d", &seed, &h->store,
                   &h->memory, &h->bound, &h->check_after, &h->lookups) == 6)
            h->seed = seed;
        if (sscanf(line, "%d %39s d%d %lld %llu", &number, word, &s->domain, &arg, &salt) != 5)
            continue;
        for (k = 0; k < STEP_KINDS && strcmp(step_words[k], word) != 0; k++)
            ;
        if (k == STEP_KINDS || s->domain < 0 || s->domain >= DOMAINS)
            return 0;
        s->kind = k;
        s->arg = arg;
        s->salt = salt;
        h->count++;
    }
    return h->lookups > 0;
}

/* ---- Shortening ------------------------------------------------------------------------------ */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Does it fail, in a process of its own? `show`: say how. */
static int fails(const history *h, int show)
{
    numbers n;
    char wrong[400];
    int status = 0;
    pid_t child;
    fflush(stdout);
    fflush(stderr);
    child = fork();
    if (child == 0) {
        memset(&n, 0, sizeof n);
        if (!show && !freopen("/dev/null", "w", stderr))
            _exit(3);
        tracing &= show;
        alarm(10);
        status = !play_all(h, &n, wrong);
        if (status && show)
            printf("FAILED: %s\n", wrong);
        fflush(stdout);
        _exit(status);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        abort();
    if (show && status && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
        printf("FAILED: it crashes, or takes for ever\n");
    return status != 0;
}

static void without(history *out, const history *h, int from, int n)
{
    *out = *h;
    out->count = h->count - n;
    memmove(out->steps + from, h->steps + from + n, (size_t)(h->count - from - n) * sizeof(step));
}

/* Leave out what is not needed for the failure: chunks of steps, smaller and smaller, down to one
 * step, or until the time is up. */
static void shorten(history *h, double until)
{
    static history less;
    int size = h->count / 2, at, shorter = 1;
    while (size > 0 && seconds() < until) {
        shorter = 0;
        for (at = h->count - size; at >= 0 && seconds() < until; at -= size) {
            if (at + size > h->count)
                continue;
            without(&less, h, at, size);
            if (fails(&less, 0)) {
                *h = less;
                shorter = 1;
            }
        }
        if (!shorter || size > 1)
            size = size > 1 ? size / 2 : 0;
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

/* What the process that plays says to the one that looks on. */
typedef struct shared {
    numbers n;
    uint64_t seed;
    int failed;
} shared;

typedef struct options {
    double seconds;
    uint64_t seed, histories;
    int steps, print;
    const char *replay, *only;
} options;

static void run_from(shared *at, const options *o, double begun)
{
    static history h;
    char wrong[400];
    uint64_t i;
    for (i = 0; o->histories ? i < o->histories : seconds() - begun < o->seconds; i++) {
        at->seed = o->seed + i;
        history_make(&h, at->seed, o->steps);
        if (o->print)
            history_print(&h, stdout);
        at->failed = 1;
        alarm(30);
        if (!play_all(&h, &at->n, wrong))
            exit(1);
        at->failed = 0;
    }
    exit(0);
}

static int report(history *h)
{
    int count = h->count;
    double begun = seconds();
    if (!fails(h, 1)) {
        printf("it does not fail when it is played alone\n");
        return 1;
    }
    shorten(h, begun + 30);
    printf("\nshortened from %d to %d steps in %.1f s:\n", count, h->count, seconds() - begun);
    fails(h, 1);
    history_print(h, stdout);
    return 1;
}

static int run(const options *o)
{
    static history h;
    shared *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double begun = seconds();
    int status = 0;
    pid_t child;
    if (at == MAP_FAILED)
        abort();
    memset(at, 0, sizeof *at);
    child = fork();
    if (child == 0)
        run_from(at, o, begun);
    if (child < 0 || waitpid(child, &status, 0) < 0)
        abort();
    printf("model: %.0f s from seed %llu: %llu histories, %llu steps, %llu look-ups, %llu answers, "
           "%llu failures injected, %llu allocations refused, %llu restarts, %llu stale answers\n",
           seconds() - begun, (unsigned long long)o->seed, (unsigned long long)at->n.histories,
           (unsigned long long)at->n.steps, (unsigned long long)at->n.lookups,
           (unsigned long long)at->n.answers, (unsigned long long)at->n.failures,
           (unsigned long long)at->n.no_memory, (unsigned long long)at->n.restarts,
           (unsigned long long)at->n.stale);
    if (status == 0)
        return 0;
    if (!at->failed) {
        printf("FAILED after the last history: a leak of the test itself?\n");
        return 1;
    }
    printf("history %llu, after %.1f s\n", (unsigned long long)at->seed, seconds() - begun);
    history_make(&h, at->seed, o->steps);
    return report(&h);
}

/* Of history h only the steps in a list such as "3,7,12". */
static void pick(history *h, const char *only)
{
    int at = 0, i;
    while (*only) {
        char *end;
        i = (int)strtol(only, &end, 10);
        if (end == only || i < 0 || i >= h->count)
            break;
        h->steps[at++] = h->steps[i];
        only = *end ? end + 1 : end;
    }
    h->count = at;
}

static int replay(const options *o)
{
    static history h;
    FILE *in;
    if (o->replay) {
        in = strcmp(o->replay, "-") == 0 ? stdin : fopen(o->replay, "r");
        if (!in || !history_read(&h, in)) {
            fprintf(stderr, "model: cannot read %s\n", o->replay);
            return 2;
        }
        if (in != stdin)
            fclose(in);
    } else {
        history_make(&h, o->seed, o->steps);
        pick(&h, o->only);
    }
    if (o->print)
        history_print(&h, stdout);
    return fails(&h, 1);
}

int main(int argc, char **argv)
{
    options o = {20, 1, 0, 160, 0, NULL, NULL};
    int i;
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--print") == 0 || strcmp(argv[i], "--trace") == 0) {
            o.print |= argv[i][2] == 'p';
            tracing |= argv[i][2] == 't';
            continue;
        }
        if (strcmp(argv[i], "--seconds") == 0)
            o.seconds = atof(value);
        else if (strcmp(argv[i], "--histories") == 0)
            o.histories = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--steps") == 0)
            o.steps = atoi(value);
        else if (strcmp(argv[i], "--replay") == 0)
            o.replay = value;
        else if (strcmp(argv[i], "--only") == 0)
            o.only = value;
        else
            return fprintf(stderr, "model: see the comment at the top of model.c\n"), 2;
        i++;
    }
    if (o.steps < 1 || o.steps > STEPS_MAX)
        return 2;
    return o.replay || o.only ? replay(&o) : run(&o);
}
