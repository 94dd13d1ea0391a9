/* What a sender owes to a domain, as a model: made from RFC 8461 and the rules D1-D17, H5 and A5,
 * not from the code. It is told which answers the host gave, and says which answers to a
 * look-up are then allowed. Method: per domain the last policy fetched, when, and its max_age. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_SIZE   33
#define HALF_HOUR 1800
#define HOUR      3600
#define DAY       86400

/* A policy that was fetched for a domain. */
typedef struct grant {
    int has;
    int mode;
    int64_t max_age;
    int64_t fetched;  /* when it was asked for */
    char id[ID_SIZE]; /* of the record that it was fetched for; "": any */
    const char *text;
} grant;

/* What memory or a store holds of a domain: the policy, and the last fetch that was tried. */
typedef struct memo {
    grant policy;
    int tried;
    char tried_id[ID_SIZE];
    int64_t tried_at; /* when it was asked for */
    int64_t ended_at; /* when the answer came, or was given up, at the latest */
    int tried_failed;
    int any_id; /* two ids failed in turn: 1: perhaps no id is to be tried now, 2: surely none */
} memo;

typedef enum said { SAID_NOTHING, SAID_NONE, SAID_RECORD, SAID_FAILURE } said;

/* What the sender must know of a domain, or may know. */
typedef struct belief {
    memo known;
    int sure;       /* of known.policy: nothing has happened by which it may be lost */
    int tried_sure; /* the same of the last fetch */
    int in_memory;  /* known is in memory, not only in the store */
    int64_t low;    /* fetched, or the least that the clock said since: valid at least from there */
    int64_t high;   /* the same, but only what the sender has seen: valid at most from there */
    grant other;    /* may be known in place of known.policy */
    grant once; /* what was fetched last, for those who waited for it, whatever its max_age (D17) */
    grant before; /* what was known before the last fetch */
    memo stored;
    said txt; /* the last TXT answer */
    char txt_id[ID_SIZE];
    int64_t absent_until; /* D8: "no record" may be answered from memory before this */
    int fetch_after_txt;  /* 0: none, 1: asked, 2: good, 3: failed */
    int owes_fetch;       /* D2: a TXT answer asks for one */
    int blind;            /* the store failed, so that nothing can be said to be absent */
    int64_t stale_since;  /* D5: it ought to have been fetched anew; INT64_MIN: no */
    int queued;           /* a check may wait for a tick, with what was known when it was put off */
    int pressed;          /* AGAIN or a refresh was asked for since the last fetch */
    int went_back;        /* the clock, since the last thing that happened to this domain */
    int64_t used;
    int ever_used;
} belief;

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* D1, D9: is the policy surely valid? Perhaps valid? */
static inline int surely_valid(const belief *b, int64_t now)
{
    return b->sure && b->known.policy.has && now < b->low + b->known.policy.max_age;
}

static inline int perhaps_also_valid(const grant *g, int64_t now)
{
    return g->has && now < least(g->fetched, now) + g->max_age;
}

static inline int perhaps_valid(const belief *b, int64_t now)
{
    return (b->known.policy.has && now < least(b->high, now) + b->known.policy.max_age) ||
           perhaps_also_valid(&b->other, now) || perhaps_also_valid(&b->stored.policy, now);
}

/* The clock says something else now. A policy that has expired at any time may have been dropped
 * then, and so has a failure that was long ago. */
static inline void belief_clock(belief *b, int64_t before, int64_t now)
{
    b->low = least(b->low, now);
    if (now < before)
        b->went_back = 1;
    if (b->known.policy.has && now >= b->low + b->known.policy.max_age)
        b->sure = 0;
}

/* All that is known comes from this: a load, an import, or a start with this in the store. */
static inline void belief_from(belief *b, const memo *m, int64_t now)
{
    b->known = *m;
    b->sure = b->tried_sure = 1;
    b->low = b->high = least(m->policy.fetched, now);
    memset(&b->other, 0, sizeof b->other);
    memset(&b->once, 0, sizeof b->once);
    b->went_back = b->went_back || m->policy.fetched > now || m->tried_at > now;
    belief_clock(b, now, now);
}

/* Memory was short, or the store failed: what is known may be gone, or be what is stored. */
static inline void belief_lost(belief *b)
{
    b->sure = b->tried_sure = b->in_memory = 0;
    b->high = b->known.policy.fetched;
}

/* What is stored was read. Of two policies, here and in the store, the later fetched counts. */
static inline void belief_load(belief *b, const memo *m, int64_t now)
{
    memo before = b->known;
    int later = before.tried && (!m->tried || before.ended_at >= m->ended_at);
    int valid = m->policy.has && now < least(m->policy.fetched, now) + m->policy.max_age;
    int sure = b->tried_sure;
    int same = before.policy.text == m->policy.text && before.policy.fetched == m->policy.fetched;
    int ahead = m->policy.fetched > now; /* of a clock that was set back: nobody knows the order */
    if (!before.policy.has ||
        (valid && (same || (m->policy.fetched > before.policy.fetched && !ahead)))) {
        int64_t low = before.policy.has ? b->low : INT64_MAX; /* it may have been set back here */
        belief_from(b, m, now);
        b->low = least(b->low, low);
        b->high = m->policy.fetched;
        b->in_memory = valid;
        belief_clock(b, now, now);
    } else if (valid && !(b->sure && (m->policy.fetched < b->low || ahead))) {
        b->sure = 0; /* is the later one in memory still? */
        b->other = m->policy;
    }
    if (later) {
        m = &before;
        b->tried_sure = sure;
    }
    b->known.tried = m->tried;
    b->known.tried_at = m->tried_at;
    b->known.ended_at = m->ended_at;
    b->known.tried_failed = m->tried_failed;
    b->known.any_id = m->any_id;
    memcpy(b->known.tried_id, m->tried_id, sizeof b->known.tried_id);
}

/* What is stored could not be read, or is no good. `failed`: nobody knows whether there is any. */
static inline void belief_not_loaded(belief *b, int stored, int failed)
{
    if (stored && !(b->sure && b->in_memory))
        belief_lost(b);
    b->blind = failed;
}

static inline void belief_forget(belief *b)
{
    memset(&b->known, 0, sizeof b->known);
    memset(&b->stored, 0, sizeof b->stored);
    memset(&b->other, 0, sizeof b->other);
    memset(&b->once, 0, sizeof b->once);
    b->sure = b->tried_sure = b->in_memory = 0;
    b->owes_fetch = 0;
    b->absent_until = INT64_MIN;
}

/* The id that a fetch would be for now; "": of one or the other policy, or none. */
static inline const char *belief_fetch_id(const belief *b)
{
    if (b->txt == SAID_RECORD)
        return b->txt_id;
    return b->sure || !b->other.has ? b->known.policy.id : "";
}

/* D2, H5: an answer of DNS. Does it oblige to fetch? */
static inline void belief_txt(belief *b, said what, const char *id, int64_t ttl, int64_t now)
{
    int same;
    b->txt = what;
    b->high =
        b->known.policy.fetched; /* a discovery may have begun before the clock was set back */
    b->fetch_after_txt = 0;
    snprintf(b->txt_id, sizeof b->txt_id, "%s", what == SAID_RECORD ? id : "");
    if (what == SAID_NONE && !b->blind)
        b->absent_until = now + least(ttl, HOUR);
    same = b->known.tried && now < b->known.ended_at + HOUR &&
           (strcmp(b->known.tried_id, b->txt_id) == 0 || b->known.any_id);
    b->owes_fetch = what == SAID_RECORD && !same && !b->went_back &&
                    (!perhaps_valid(b, now) ||
                     (b->sure && !b->other.has && strcmp(b->known.policy.id, id) != 0));
}

/* A fetch is asked for. Returns what is wrong with it, or NULL. `exact`: memory was never short. */
static inline const char *belief_asks_https(belief *b, int64_t now, int exact)
{
    const char *id = belief_fetch_id(b), *wrong = NULL;
    const memo *m = &b->known;
    int64_t pause = least(DAY, m->policy.max_age / 2) / 4 * 3 - 2;
    int same = m->tried && strcmp(m->tried_id, id) == 0;
    if (b->txt != SAID_RECORD && !perhaps_valid(b, now))
        wrong = "H: a fetch without a record, and without a policy to refresh";
    else if (exact && b->tried_sure && !b->went_back && same && m->tried_failed &&
             now < m->ended_at + 300)
        wrong = "H5: a fetch within 300 s of a failed one for the same id";
    else if (exact && b->tried_sure && !b->went_back && m->tried && m->any_id == 2 &&
             now < m->ended_at + 300)
        wrong = "H5: a third id within 300 s of two that failed";
    else if (exact && surely_valid(b, now) && !b->went_back && same && !m->tried_failed &&
             now < m->tried_at + 300)
        wrong = "H5: a fetch within 300 s of a good one for the same id";
    else if (exact && surely_valid(b, now) && !b->went_back && !b->pressed &&
             strcmp(id, m->policy.id) == 0 && b->tried_sure && !m->tried_failed &&
             now < m->policy.fetched + pause)
        wrong = "D5: a fetch for the id that is known, long before a refresh is due";
    b->owes_fetch = b->pressed = 0;
    b->fetch_after_txt = 1;
    return wrong;
}

static inline void belief_tried(belief *b, const char *id, int64_t asked, int64_t now, int failed)
{
    int other = b->known.tried && b->known.tried_failed && strcmp(b->known.tried_id, id) != 0;
    b->known.any_id = !failed                                                                    ? 0
                      : other && now < b->known.ended_at + 300 && b->tried_sure && !b->went_back ? 2
                      : other && (now < b->known.ended_at + HOUR || b->went_back)
                          ? 1
                          : b->known.any_id && now < b->known.ended_at + HOUR;
    b->known.tried = 1;
    b->known.tried_at = least(asked, now);
    b->known.ended_at = now;
    b->known.tried_failed = failed;
    snprintf(b->known.tried_id, sizeof b->known.tried_id, "%s", id);
    b->tried_sure = 1;
    b->went_back = 0;
    b->fetch_after_txt = failed ? 3 : 2;
}

/* D3: a fetch has failed, whatever is known stays. */
static inline void belief_failed(belief *b, const char *id, int64_t asked, int64_t now)
{
    belief_tried(b, id, asked, now, 1);
}

/* D4, D17: a policy was fetched and takes the place of what was known. */
static inline void belief_fetched(belief *b, const grant *g, int64_t now)
{
    char id[ID_SIZE];
    memcpy(id, g->id, sizeof id);
    memset(&b->other, 0, sizeof b->other);
    b->once = *g;
    b->before = b->known.policy;
    if (g->max_age) {
        b->known.policy = *g;
        b->known.policy.fetched = least(g->fetched, now);
        b->low = b->high = b->known.policy.fetched;
        b->sure = 1;
        b->in_memory = 1;
    } else {
        memset(&b->known.policy, 0, sizeof b->known.policy);
    }
    belief_tried(b, id, g->fetched, now, 0);
    belief_clock(b, now, now);
}

/* Is this policy, said to expire then, one that may be honoured? NULL, or what is wrong. */
static inline const char *grant_allows(const grant *g, const char *text, size_t len, const char *id,
                                       int64_t expires, int64_t low, int64_t high, int64_t now)
{
    if (!g->has || strlen(g->text) != len || memcmp(g->text, text, len) != 0)
        return "D13: a policy that is not the one last fetched for this domain";
    if (g->id[0] && strcmp(g->id, id) != 0)
        return "D2: the policy has another id than the one that it was fetched for";
    if (expires > least(high, now) + g->max_age)
        return "D1, D9: honoured for longer than max_age from its fetch, or from now";
    if (expires < low + g->max_age)
        return "D1: said to expire before its time";
    if (now >= expires)
        return "D1: honoured after it has expired";
    return NULL;
}

static inline const char *belief_allows(const belief *b, const char *text, size_t len,
                                        const char *id, int64_t expires, int64_t now)
{
    const grant *g = &b->known.policy, *also[2];
    const char *wrong;
    int i;
    also[0] = &b->other;
    also[1] = &b->stored.policy;
    if (!text)
        return surely_valid(b, now) ? "D1, D3: a policy that is known and valid is not honoured"
                                    : NULL;
    wrong = grant_allows(g, text, len, id, expires, b->low, b->high, now);
    for (i = 0; i < 2 && wrong && !b->sure; i++)
        if (!grant_allows(also[i], text, len, id, expires, INT32_MIN, also[i]->fetched, now))
            return NULL;
    return wrong;
}

/* May "no policy" be answered from memory? (D7, D8, H5) */
static inline int belief_absent(const belief *b, int64_t now)
{
    return b->went_back || now < b->absent_until ||
           (b->known.tried && b->known.tried_failed && now < b->known.ended_at + HOUR);
}

/* D5, D14: the ticks have run dry and HTTPS works. Is the policy as fresh as it must be? A check
 * that came to nothing may put it off for some minutes. */
static inline int belief_fresh(belief *b, int64_t now, int64_t used_within)
{
    int64_t interval = least(DAY, b->known.policy.max_age / 2);
    if (!surely_valid(b, now) || !b->in_memory || b->went_back || !b->ever_used ||
        now - b->used > used_within * interval / DAY ||
        now - b->known.policy.fetched <= interval + interval / 4 + 2 ||
        now - b->known.policy.fetched <= 300 + 60 || /* H5 */
        (b->known.tried_failed && now <= b->known.ended_at + HOUR)) {
        b->stale_since = INT64_MIN;
        return 1;
    }
    if (b->stale_since == INT64_MIN)
        b->stale_since = now;
    return now - b->stale_since <= 2 * 300;
}

#endif
