/* The world that a mail server meets, for the model test: domains that publish policies well or
 * badly, DNS and HTTPS that work or do not, a store, memory that is short, a clock that jumps.
 * Method: each request of the client gets its answer here, made from the state of its domain. */
#ifndef WORLD_H
#define WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts.h"
#include "reference.h"

enum { DOMAINS = 32, TEXTS = 4096, TEXT_SIZE = 4000, SLOTS = 40 };

/* xorshift64* (Vigna, 2014). */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t x = *state ? *state : 0x9e3779b97f4a7c15u;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1du >> 11;
}

static inline int below(uint64_t *state, int n)
{
    return (int)(draw(state) % (uint64_t)n);
}

/* What DNS says at _mta-sts.<domain>; the names are those of a printed history. */
#define TXT_STATES(X)           \
    X(TXT_GOOD, "good")         \
    X(TXT_GONE, "gone")         \
    X(TXT_EMPTY, "empty")       \
    X(TXT_FORGED, "forged")     \
    X(TXT_SERVFAIL, "servfail") \
    X(TXT_BOGUS, "bogus")       \
    X(TXT_LOOP, "loop")         \
    X(TXT_TWO, "two")           \
    X(TXT_GARBAGE, "garbage")   \
    X(TXT_OTHERS, "others")
/* What the policy host does. */
#define HTTPS_STATES(X)           \
    X(HTTPS_GOOD, "good")         \
    X(HTTPS_REFUSED, "refused")   \
    X(HTTPS_CUT, "cut")           \
    X(HTTPS_REDIRECT, "redirect") \
    X(HTTPS_CERT, "certificate")  \
    X(HTTPS_STATUS, "status")     \
    X(HTTPS_SIZE, "size")         \
    X(HTTPS_GARBAGE, "garbage")   \
    X(HTTPS_SLOW, "slow")
/* What the store does. */
#define STORE_STATES(X)           \
    X(STORE_GOOD, "good")         \
    X(STORE_NO_LOAD, "no-load")   \
    X(STORE_NO_SAVE, "no-save")   \
    X(STORE_MIXED_UP, "mixed-up") \
    X(STORE_TORN, "torn")
#define ENUM(name, word) name,
#define WORD(name, word) word,
enum { TXT_STATES(ENUM) TXT_COUNT };
enum { HTTPS_STATES(ENUM) HTTPS_COUNT };
enum { STORE_STATES(ENUM) STORE_COUNT };
static const char *const txt_words[] = {TXT_STATES(WORD) NULL};
static const char *const https_words[] = {HTTPS_STATES(WORD) NULL};
static const char *const store_words[] = {STORE_STATES(WORD) NULL};

typedef struct site {
    char name[40];
    int txt, https, store;
    uint32_t ttl, version, id;
    int served, valid; /* a policy is published; it is valid */
    int mode;
    int64_t max_age;
    const char *text;
} site;

typedef struct text_pool {
    char *texts[TEXTS];
    int count;
} text_pool;

/* One pointer for all texts that are equal, good until the end of the history. */
static inline const char *intern(text_pool *pool, const char *text, size_t len)
{
    char *copy;
    int i;
    for (i = 0; i < pool->count; i++)
        if (strlen(pool->texts[i]) == len && memcmp(pool->texts[i], text, len) == 0)
            return pool->texts[i];
    if (pool->count == TEXTS)
        abort();
    copy = malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    pool->texts[pool->count++] = copy;
    return copy;
}

static inline void intern_clear(text_pool *pool)
{
    while (pool->count)
        free(pool->texts[--pool->count]);
}

/* A number as a printed history has it, and what it stands for: a policy to publish. */
static const char *const mode_names[] = {"none", "testing", "enforce"};
static const int64_t ages[] = {0, 1, 60, 86400, 604800, 31557600, 99999999, 3600};

typedef struct design {
    int mode, age, shape, same_id, version;
} design;

static inline design design_of(int64_t arg)
{
    design d;
    d.mode = (int)(arg % 3);
    d.age = (int)(arg / 10 % 8);
    d.shape = (int)(arg / 100 % 16); /* from 9 on: invalid */
    d.same_id = (int)(arg / 10000 % 2);
    d.version = (int)(arg / 100000);
    return d;
}

__attribute__((format(printf, 3, 4))) static inline size_t add(char *out, size_t at,
                                                               const char *format, ...)
{
    va_list list;
    int n;
    va_start(list, format);
    n = vsnprintf(out + at, TEXT_SIZE - at, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= TEXT_SIZE - at)
        abort();
    return at + (size_t)n;
}

/* Every fourth domain is one of a hosting company's: those share their texts. */
static inline void publish(site *s, int number, int64_t arg, text_pool *pool)
{
    design d = design_of(arg);
    char out[TEXT_SIZE];
    const char *end = d.shape == 1 ? "\r\n" : "\n";
    size_t at = 0;
    int i, lines = d.shape == 2 ? 40 : d.shape == 3 ? 12 : 1;
    if (d.shape != 9)
        at = add(out, at, "version: %s%s", d.shape == 10 ? "STSv2" : "STSv1", end);
    if (d.shape != 11)
        at = add(out, at, "mode: %s%s", d.shape == 12 ? "enforced" : mode_names[d.mode], end);
    if (d.shape != 13)
        at = add(out, at, "max_age: %lld%s", (long long)ages[d.age], end);
    for (i = 0; i < lines; i++)
        at = add(out, at, "mx: mx%d.v%d.%s.example%s", i, d.version,
                 number % 4 ? s->name : "hosting", end);
    if (d.shape == 14)
        at = add(out, at, "mx: *.*.example\n");
    if (d.shape == 15)
        at = add(out, at, "nonsense\n");
    s->served = 1;
    s->valid = d.shape < 9;
    s->mode = d.mode;
    s->max_age = least(ages[d.age], 31557600);
    s->text = intern(pool, out, at);
    s->version = (uint32_t)d.version;
    if (!d.same_id)
        s->id = (uint32_t)d.version;
}

/* Memory that counts, and fails when told to. */
typedef struct ledger {
    size_t octets, pieces;
    long fail_in, failed; /* the next so many calls work, then one fails; 0: all work */
    mtasts_pool *pool;
} ledger;

static inline void *ledger_allocate(void *user, size_t size)
{
    ledger *l = user;
    void *p = NULL;
    if (l->fail_in && !--l->fail_in)
        l->failed++;
    else
        p = l->pool ? mtasts_pool_allocate(l->pool, size) : malloc(size);
    if (p) {
        l->octets += size;
        l->pieces++;
    }
    return p;
}

static inline void ledger_release(void *user, void *memory, size_t size)
{
    ledger *l = user;
    l->octets -= size;
    l->pieces--;
    memset(memory, 0xa5, size);
    if (l->pool)
        mtasts_pool_release(l->pool, memory, size);
    else
        free(memory);
}

/* An answer on its way. */
typedef struct answer {
    struct answer *next;
    mtasts_want want;
    uint64_t ticket;
    int domain, life, due, twice;
    int sent, answered, gone; /* tried to give; accepted; the time was up */
    int64_t asked, deadline, delay;
    mtasts_err status;
    uint32_t ttl;
    int txt;
    said says;
    char id[ID_SIZE]; /* TXT: the record's; HTTPS: that it is fetched for */
    const char *body; /* HTTPS: text, LOAD: what is read */
    size_t len;
    grant policy; /* of a good body */
    memo stored;  /* of a good load */
    int load_good;
} answer;

static inline void answer_txt(answer *a, const site *s)
{
    a->txt = s->txt;
    a->ttl = s->ttl;
    a->status = MTASTS_OK;
    a->says = SAID_NONE;
    snprintf(a->id, sizeof a->id, "%s%u", s->txt == TXT_FORGED ? "forged" : "v",
             s->txt == TXT_FORGED ? s->ttl % 3 : s->id);
    if (s->txt == TXT_GOOD || s->txt == TXT_FORGED)
        a->says = SAID_RECORD;
    else if (s->txt == TXT_GONE)
        a->status = MTASTS_ERR_NO_RECORD;
    else if (s->txt == TXT_SERVFAIL || s->txt == TXT_BOGUS || s->txt == TXT_LOOP) {
        a->says = SAID_FAILURE;
        a->status = s->txt == TXT_SERVFAIL ? MTASTS_ERR_DNS
                    : s->txt == TXT_BOGUS  ? MTASTS_ERR_DNS_BOGUS
                                           : MTASTS_ERR_DNS_CNAME;
    }
}

static inline void answer_https(answer *a, const site *s)
{
    static const mtasts_err errors[] = {MTASTS_OK,
                                        MTASTS_ERR_HTTPS_CONNECT,
                                        MTASTS_ERR_HTTP_INCOMPLETE,
                                        MTASTS_ERR_HTTP_REDIRECT,
                                        MTASTS_ERR_HTTPS_CERT,
                                        MTASTS_ERR_HTTP_STATUS,
                                        MTASTS_ERR_POLICY_SIZE,
                                        MTASTS_OK,
                                        MTASTS_OK};
    a->status = s->served ? errors[s->https] : MTASTS_ERR_HTTP_STATUS;
    a->body = s->https == HTTPS_GARBAGE ? "<html>version: STSv1" : s->text;
    a->delay = s->https == HTTPS_SLOW ? 45 : 0;
    if (a->status != MTASTS_OK || s->https == HTTPS_GARBAGE || !s->valid)
        return;
    a->policy.has = 1;
    a->policy.mode = s->mode;
    a->policy.max_age = s->max_age;
    a->policy.fetched = a->asked;
    a->policy.text = s->text;
    memcpy(a->policy.id, a->id, sizeof a->id);
}

/* Copies that end where their memory ends, so that a look beyond, or after the call, is seen. */
static inline char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    if (len)
        memcpy(copy, text, len);
    return copy;
}

static inline mtasts_err give_txt(mtasts_client *c, const answer *a)
{
    char record[64];
    mtasts_str one[2], spf[1];
    mtasts_txt all[3];
    size_t n = 0, cut;
    mtasts_err err;
    char *copy;
    if (a->status != MTASTS_OK || a->txt == TXT_EMPTY)
        return mtasts_client_give_txt(c, a->ticket, a->status, NULL, 0, a->ttl);
    snprintf(record, sizeof record, "v=STSv1; id=%s;", a->txt == TXT_GARBAGE ? "" : a->id);
    copy = exact_copy(record, strlen(record));
    cut = a->ttl % strlen(record);
    one[0].ptr = copy;
    one[0].len = cut;
    one[1].ptr = copy + cut;
    one[1].len = strlen(record) - cut;
    spf[0].ptr = "v=spf1 -all";
    spf[0].len = 11;
    all[n].strings = spf;
    all[n++].count = 1;
    all[n].strings = one;
    all[n++].count = 2;
    all[n].strings = one;
    all[n++].count = 2;
    n = a->txt == TXT_OTHERS ? 1 : a->txt == TXT_TWO ? 3 : 2;
    err = mtasts_client_give_txt(c, a->ticket, MTASTS_OK, all, n, a->ttl);
    free(copy);
    return err;
}

static inline mtasts_err give_text(mtasts_client *c, const answer *a)
{
    size_t len = a->want == MTASTS_WANT_LOAD ? a->len : strlen(a->body);
    char *copy = exact_copy(a->body, len);
    mtasts_err err = a->want == MTASTS_WANT_LOAD
                         ? mtasts_client_give_load(c, a->ticket, MTASTS_OK, copy, len)
                         : mtasts_client_give_https(c, a->ticket, MTASTS_OK, copy, len);
    free(copy);
    return err;
}

static inline mtasts_err give_answer(mtasts_client *c, const answer *a)
{
    if (a->want == MTASTS_WANT_TXT)
        return give_txt(c, a);
    if (a->want == MTASTS_WANT_SAVE)
        return mtasts_client_give_save(c, a->ticket, a->status);
    if (a->body && a->status == MTASTS_OK)
        return give_text(c, a);
    if (a->want == MTASTS_WANT_LOAD)
        return mtasts_client_give_load(c, a->ticket, a->status, NULL, 0);
    return mtasts_client_give_https(c, a->ticket, a->status, NULL, 0);
}

#endif
