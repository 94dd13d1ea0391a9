/* Fuzzes sections 12 and 13: discoveries of one host, one after the other, from a script.
 *
 * Targets: mtasts_discovery_init, _want, _give_load, _give_txt, _give_https, _give_save, _cancel,
 *          _result; mtasts_entry_read, _write, _valid, _keep
 *
 * Property: a discovery wants at most LOAD, TXT, HTTPS, and SAVE or DROP, in this order and none
 *           twice; what is wanted is what the answers so far call for (D2, H5).
 * Property: a late ticket is MTASTS_ERR_STALE, an answer of another kind MTASTS_ERR_USAGE, and
 *           neither changes an octet.
 * Property: a policy that is known and valid is honoured, with its text, id and times, whatever
 *           DNS, HTTPS, store and administrator of the domain do, but for a good fetch, or a later
 *           one in the store (D1, D2, D3).
 * Property: nothing but a good fetch renews. Nothing is honoured at or after fetched + max_age;
 *           jumps of the clock do not lengthen that (D1, D9).
 * Property: what was learned is what the answers say (D15); a failure of DNS is no absence, an
 *           absence ends with its TTL (D7, D8); a failed fetch puts off the next (H5).
 * Property: an entry of another domain counts as nothing (D13); what is to be stored can be
 *           written, and is read the same (D11).
 * Property: after a wrong domain or flag the discovery is done; an entry that cannot be is not used.
 * Property: who cancels a fetch is left with neither a policy nor an absence.
 * Property: texts point into the discovery or the policy that was given, wherever the struct is
 *           moved; records, and texts that were refused, can be freed at once.
 *
 * Input: steps until it ends; octet 0 of a step says which, modulo 16:
 *        0 to 6: answer what is wanted, see answer; if nothing is, begin another discovery
 *        7: 2 octets: seconds that pass, times 1, 60, 3600, 86400 by bits 4 and 5 of octet 0
 *        8: 2 octets: seconds that the clock is set back, likewise
 *        9: 9 octets: what the clock says now: 0 to 1: how (from 1970, before the last second, all
 *           64 bits, now and then); 8: the number
 *        10: a late ticket: 1 octet: which and which answer; 11: an answer that is not wanted
 *        12: cancel; 13: the struct is moved
 *        14 and 15: begin another discovery, see begin
 */
#include "fuzz.h"

/* The policy that a discovery knows, and what we know of it. */
typedef struct grant {
    mtasts_str text; /* a copy; NULL: none */
    char id[MTASTS_ID_MAX + 1];
    int64_t fetched, max_age;
    int64_t low; /* the least that the discovery has seen of the clock since */
    mtasts_mode mode;
    int is_sure; /* it has not seemed to be over yet */
} grant;

typedef struct host {
    mtasts_discovery *d;
    int64_t now;
    mtasts_str store;              /* NULL: nothing is stored */
    mtasts_str kept[4];            /* what the discovery may still point into */
    size_t kept_count;             /* of them */
    uint32_t late[4];              /* tickets of the past */
    unsigned late_next, serial;    /* of policies, so that no two are the same */
    unsigned flags;                /* as given to init */
    char domain[MTASTS_NAME_SIZE]; /* and its normalised domain */
    grant known;                   /* what it knows */
    mtasts_str fresh;              /* a copy of what it has fetched; NULL: nothing */
    mtasts_want want;              /* what was wanted last */
    mtasts_learned learned;        /* what it has learned, by our table */
    char found[MTASTS_ID_MAX + 1]; /* the id of the record; "": there is none */
    int64_t asked;                 /* when HTTPS was wanted */
    int has_failed, no_pause;      /* the fetch; and nothing says when to try again */
    int is_blind, is_unread;       /* the store: not understood, not read */
    int is_ahead;                  /* it came from the future of this clock */
    int answers;                   /* of all kinds, that were taken */
} host;

/* ---- memory ---- */

static mtasts_str copy_of(const void *octets, size_t len)
{
    input in;
    in.at = (const uint8_t *)(octets ? octets : "");
    in.left = len;
    return take_copy(&in, len);
}

static void replace(mtasts_str *to, mtasts_str with)
{
    drop_copy(*to);
    *to = with;
}

static const mtasts_str none;

/* Something that the discovery may point into as long as it lives. */
static void keep(host *h, mtasts_str text)
{
    CHECK(h->kept_count < COUNT(h->kept));
    h->kept[h->kept_count++] = text;
}

static void drop_kept(host *h)
{
    while (h->kept_count)
        drop_copy(h->kept[--h->kept_count]);
}

/* ---- the clock ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t t, int64_t seconds)
{
    return t > INT64_MAX - seconds ? INT64_MAX : t + seconds;
}

static int64_t clock_of(const host *h)
{
    return h->now < 0 ? 0 : h->now;
}

static void jump(host *h, input *in)
{
    unsigned how = take_octet(in) & 3;
    uint64_t n = take_number(in, 8);
    h->now = how == 0   ? (int64_t)(n >> 32)
             : how == 1 ? INT64_MAX - (int64_t)(n >> 40)
             : how == 2 ? (int64_t)n
                        : INT64_C(1700000000) + (int64_t)(n >> 42);
}

static void pass(host *h, input *in, unsigned op)
{
    static const int64_t units[] = {1, 60, 3600, 86400};
    int64_t seconds = (int64_t)take_number(in, 2) * units[op >> 4 & 3];
    if (op % 16 == 7)
        h->now = later(h->now < 0 ? 0 : h->now, seconds);
    else
        h->now = h->now < INT64_MIN + seconds ? INT64_MIN : h->now - seconds;
}

/* The discovery sees the clock. */
static void seen(host *h)
{
    grant *g = &h->known;
    g->low = least(g->low, clock_of(h));
    if (clock_of(h) >= later(g->low, g->max_age))
        g->is_sure = 0;
}

/* ---- what must hold at any time ---- */

static int is_text(mtasts_str s, const char *text)
{
    return s.len == strlen(text) && (!s.len || memcmp(s.ptr, text, s.len) == 0);
}

static int same_str(mtasts_str a, mtasts_str b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static void check_entry(const host *h, const mtasts_entry *e, int64_t now)
{
    CHECK(is_text(e->domain, h->domain));
    CHECK(is_inside(e->domain, h->d, sizeof *h->d));
    CHECK(is_inside(e->id, h->d, sizeof *h->d) && is_inside(e->failed_id, h->d, sizeof *h->d));
    CHECK(e->fetched <= now && e->checked <= now && e->used <= now);
    CHECK(e->expires <= later(now, e->policy.text.ptr ? e->policy.max_age : MTASTS_ABSENCE_MAX));
    CHECK(e->refresh <= e->expires);
    CHECK(!e->failures || e->retry <= later(now, MTASTS_RETRY_MAX));
}

/* It can be stored, and comes back. */
static void check_stored(const host *h, const mtasts_entry *e, int64_t now)
{
    char text[2048];
    size_t len;
    mtasts_entry back;
    CHECK(mtasts_entry_write(text, sizeof text, &len, e) == MTASTS_OK);
    CHECK(mtasts_entry_read(&back, h->domain, strlen(h->domain), text, len, now, NULL) ==
          MTASTS_OK);
    CHECK(back.fetched == e->fetched && back.expires == e->expires && back.refresh == e->refresh &&
          same_str(back.id, e->id) && same_str(back.policy.text, e->policy.text));
}

/* The policy that is known is the one that we know. */
static void check_known(const host *h, const mtasts_result *r, int64_t now)
{
    const grant *g = &h->known;
    const mtasts_entry *e = &r->entry;
    int64_t low = least(g->low, now);
    int must = g->text.ptr && g->is_sure && now < later(low, g->max_age);
    CHECK(!must || (r->honour && e->policy.text.ptr && mtasts_entry_valid(e, now)));
    if (!e->policy.text.ptr)
        return;
    CHECK(g->text.ptr && same_str(e->policy.text, g->text));
    CHECK(e->policy.mode == g->mode && is_text(e->id, g->id));
    CHECK(e->fetched <= g->fetched && e->expires <= later(g->fetched, g->max_age));
    CHECK(e->fetched >= least(low, g->fetched));
    CHECK(e->expires == later(e->fetched, g->max_age));
}

static void check_result(const host *h, int is_answered)
{
    static const mtasts_policy no_policy;
    int64_t now = clock_of(h);
    mtasts_result r;
    memset(&r, 0xa5, sizeof r);
    mtasts_discovery_result(h->d, h->now, &r);
    check_entry(h, &r.entry, now);
    check_known(h, &r, now);
    if (is_answered)
        check_stored(h, &r.entry, now);
    CHECK(r.honour == (r.policy.text.ptr != NULL));
    CHECK(r.honour || memcmp(&r.policy, &no_policy, sizeof no_policy) == 0);
    CHECK(r.keep == mtasts_entry_keep(&r.entry, h->now));
    CHECK(r.fetched == (h->fresh.ptr != NULL) && r.failed == h->has_failed);
    if (r.fetched)
        CHECK(same_str(r.policy.text, h->fresh));
    else
        CHECK(r.honour == (r.entry.policy.text.ptr && mtasts_entry_valid(&r.entry, now)));
    CHECK(r.fetched || !r.honour || now < later(h->known.fetched, h->known.max_age));
    CHECK(r.learned == h->learned && r.diag.text);
    CHECK((r.diag.err == MTASTS_OK) ==
          (r.learned == MTASTS_LEARNED_POLICY || r.learned == MTASTS_LEARNED_NOTHING));
    CHECK(!r.failed || r.entry.failures > 0 || h->no_pause);
}

/* ---- what is made for a discovery ---- */

/* 1 octet: bits 0 and 1: mode, or 3: the octets that follow (1 of length); 2 to 4: max_age. */
static mtasts_str make_body(host *h, input *in)
{
    static const char *const modes[] = {"enforce", "testing", "none"};
    static const char *const ages[] = {"86400", "31557600", "600", "9999999999",
                                       "1",     "0",        "7",   "604800"};
    char text[160];
    unsigned how = take_octet(in);
    int len;
    if ((how & 3) == 3)
        return take_copy(in, take_octet(in));
    len =
        snprintf(text, sizeof text, "version: STSv1\nmode: %s\nmx: mx%u.example.com\nmax_age: %s\n",
                 modes[how & 3], h->serial++, ages[how >> 2 & 7]);
    return copy_of(text, (size_t)len);
}

/* 1 octet: 0 to 3: ids; others: records that are none, or 1 octet of length and a text. */
static mtasts_str make_record(input *in)
{
    static const char *const texts[] = {
        "v=STSv1; id=A;",
        "v=STSv1; id=B;",
        "v=STSv1; id=C",
        "v=STSv1;id=abcdefghijklmnopqrstuvwxyz012345;",
        "v=STSv1; id=abcdefghijklmnopqrstuvwxyz0123456;",
        "v=STSv1;",
        "v=spf1 -all",
        "",
    };
    unsigned how = take_octet(in);
    if (how < 0x40)
        return copy_of(texts[how & 7], strlen(texts[how & 7]));
    return take_copy(in, how & 0x3f);
}

/* An entry as another program may have stored it. 1 octet: bits 0 and 1: its policy's id; 2: an
 * absence; 3: of another domain; 4 to 6: failures; 7: it is of the future; 3: how many seconds ago
 * or ahead; the policy; 2: seconds until a retry. */
static mtasts_str make_entry(host *h, input *in)
{
    static const char *const ids[] = {"A", "B", "C", "abcdefghijklmnopqrstuvwxyz012345"};
    unsigned how = take_octet(in);
    int64_t ago = (int64_t)take_number(in, 3), at = clock_of(h);
    mtasts_str body = make_body(h, in);
    mtasts_entry e;
    char text[2048];
    size_t len;
    memset(&e, 0, sizeof e);
    e.domain.ptr = how & 8 ? "example.net" : h->domain;
    e.domain.len = strlen(e.domain.ptr);
    e.fetched = how & 0x80 ? later(at, ago) : at < ago ? 0 : at - ago;
    e.expires = later(e.fetched, 3600);
    if (!(how & 4) && mtasts_policy_parse(&e.policy, body.ptr, body.len, 0, NULL) == MTASTS_OK) {
        e.id.ptr = ids[how & 3];
        e.id.len = strlen(e.id.ptr);
        e.expires = later(e.fetched, e.policy.max_age);
    }
    e.checked = e.used = e.fetched;
    e.refresh = least(e.expires, later(e.fetched, e.policy.max_age / 2));
    e.failures = how >> 4 & 7;
    e.failed = MTASTS_ERR_HTTPS_CONNECT;
    e.failed_id.ptr = how & 0x40 ? "" : ids[how & 1];
    e.failed_id.len = strlen(e.failed_id.ptr);
    e.retry = later(e.fetched, (int64_t)take_number(in, 2));
    mtasts_entry_write(text, sizeof text, &len, &e); /* or nothing, of max_age 0 */
    drop_copy(body);
    return copy_of(text, len);
}

/* ---- the answers ---- */

static mtasts_request wanted(const host *h)
{
    mtasts_request q, again;
    memset(&q, 0xa5, sizeof q);
    CHECK(mtasts_discovery_want(h->d, &q) == q.want);
    CHECK(mtasts_discovery_want(h->d, &again) == q.want && again.ticket == q.ticket);
    return q;
}

/* What comes next, in order; it is looked at once. */
static void check_want(host *h, uint32_t before, mtasts_want expected)
{
    mtasts_request q = wanted(h);
    const char *prefix = q.want == MTASTS_WANT_TXT ? "_mta-sts." : "mta-sts.";
    int has_name = q.want == MTASTS_WANT_TXT || q.want == MTASTS_WANT_HTTPS;
    CHECK(q.want == expected);
    CHECK(q.want == MTASTS_WANT_DONE || h->want == MTASTS_WANT_DONE || q.want > h->want);
    CHECK(q.ticket != before);
    CHECK(q.domain >= (char *)h->d && q.domain < (char *)(h->d + 1));
    CHECK(strcmp(q.domain, h->domain) == 0);
    if (has_name)
        CHECK(strncmp(q.name, prefix, strlen(prefix)) == 0 &&
              strcmp(q.name + strlen(prefix), h->domain) == 0);
    else
        CHECK(!*q.name);
    CHECK(++h->answers <= 5);
    h->want = q.want;
    h->late[h->late_next++ % COUNT(h->late)] = before;
    if (q.want == MTASTS_WANT_HTTPS)
        h->asked = clock_of(h);
}

static int has_room(const host *h)
{
    return strlen(h->domain) + strlen("_mta-sts.") <= MTASTS_NAME_MAX;
}

/* All is learned. What is to be stored? */
static mtasts_want finish(host *h, const mtasts_result *r)
{
    int has = r->entry.policy.text.ptr != NULL;
    int changed = (h->fresh.ptr && has) || h->has_failed || h->is_ahead;
    if (h->is_unread && !has && !h->fresh.ptr && r->diag.err != MTASTS_ERR_LIMIT) {
        h->learned = MTASTS_LEARNED_TEMPORARY;
        CHECK(r->diag.err == MTASTS_ERR_STORE);
    }
    if (h->flags & MTASTS_NO_STORE)
        return MTASTS_WANT_DONE;
    if (changed && (has || !h->is_blind))
        return MTASTS_WANT_SAVE;
    return h->fresh.ptr ? MTASTS_WANT_DROP : MTASTS_WANT_DONE;
}

/* The discovery is to know this now. `e`: as it was written. */
static void grant_is(host *h, const mtasts_entry *e)
{
    grant *g = &h->known;
    replace(&g->text, copy_of(e->policy.text.ptr, e->policy.text.len));
    memset(g->id, 0, sizeof g->id);
    memcpy(g->id, e->id.ptr, e->id.len);
    g->fetched = e->fetched;
    g->max_age = e->policy.max_age;
    g->mode = e->policy.mode;
    g->low = e->fetched;
    g->is_sure = 1;
    seen(h);
}

/* What is known beside: taken over if it is valid, and fetched later than what is known, if that is
 * valid still. */
static int adopt(host *h, const mtasts_entry *e, const mtasts_result *before)
{
    int64_t now = clock_of(h), since = least(e->fetched, now);
    int is_valid = e->policy.text.ptr && now < later(since, e->policy.max_age);
    if (!is_text(e->domain, h->domain) || !is_valid)
        return 0;
    if (before->entry.policy.text.ptr && mtasts_entry_valid(&before->entry, now) &&
        (e->fetched > now || since <= before->entry.fetched))
        return 0;
    h->is_ahead |= e->fetched > now;
    grant_is(h, e);
    return 1;
}

static mtasts_result result_of(const mtasts_discovery *d, int64_t now)
{
    mtasts_result r;
    mtasts_discovery_result(d, now, &r);
    return r;
}

/* 1 octet: bits 0 and 1: 0: what is stored; 1: an entry made up; 2: 1 octet of length and octets;
 * 3: 1 octet of status */
static void answer_load(host *h, input *in, uint32_t ticket)
{
    mtasts_discovery was = *h->d;
    mtasts_result before = result_of(&was, h->now), r;
    unsigned how = take_octet(in) & 3;
    mtasts_err status = how == 3 ? (mtasts_err)take_octet(in) : MTASTS_OK, bad = MTASTS_OK, err;
    mtasts_str text = how == 0   ? copy_of(h->store.ptr, h->store.len)
                      : how == 1 ? make_entry(h, in)
                      : how == 2 ? take_copy(in, take_octet(in))
                                 : none;
    mtasts_entry e;
    mtasts_diag diag;
    int adopted = 0;
    if (how == 0 && !h->store.ptr)
        replace(&text, none);
    if (status == MTASTS_OK && text.ptr)
        bad = mtasts_entry_read(&e, h->domain, strlen(h->domain), text.ptr, text.len, INT64_MAX,
                                NULL);
    err = mtasts_discovery_give_load(h->d, ticket, h->now, status, text.ptr, text.len, &diag);
    CHECK(err == bad && diag.err == err && diag.offset <= text.len);
    seen(h);
    h->is_unread = status != MTASTS_OK;
    h->is_blind = h->is_unread || bad == MTASTS_ERR_ENTRY_VERSION;
    if (status == MTASTS_OK && bad == MTASTS_OK && text.ptr) {
        adopted = adopt(h, &e, &before);
        keep(h, text);
    } else {
        drop_copy(text);
    }
    r = result_of(h->d, h->now);
    /* what failed before a good fetch is not remembered */
    CHECK(r.entry.failures || !before.entry.failures || adopted ||
          before.entry.retry <= clock_of(h));
    if (!has_room(h))
        h->learned = MTASTS_LEARNED_NONE;
    check_want(h, ticket, has_room(h) ? MTASTS_WANT_TXT : finish(h, &r));
}

/* RFC 8461 3.3 and the rules in mtasts.h: is there a fetch after this answer of DNS? */
static int must_fetch(host *h, const mtasts_result *before)
{
    const mtasts_entry *e = &before->entry;
    int64_t now = clock_of(h);
    int is_known = e->policy.text.ptr && mtasts_entry_valid(e, now);
    int is_current = is_known && (!h->found[0] || is_text(e->id, h->found));
    char id[MTASTS_ID_MAX + 1];
    if (!is_known && !h->found[0])
        return 0;
    if (is_current && (!(h->flags & MTASTS_REFRESH) || now - e->fetched < MTASTS_RETRY_MIN)) {
        h->learned = h->found[0] ? MTASTS_LEARNED_POLICY : h->learned;
        return 0;
    }
    if (h->found[0])
        h->learned = MTASTS_LEARNED_POLICY;
    snprintf(id, sizeof id, "%.*s", h->found[0] ? (int)strlen(h->found) : (int)e->id.len,
             h->found[0] ? h->found : e->id.ptr);
    if (!e->failures || now >= e->retry || (e->failed_id.len && !is_text(e->failed_id, id)))
        return 1;
    if (h->found[0])
        h->learned = MTASTS_LEARNED_FAILED;
    return 0;
}

static void check_txt(host *h, const mtasts_discovery *was, int is_answer, uint32_t ttl,
                      uint32_t ticket)
{
    mtasts_result before = result_of(was, h->now), r;
    int64_t now = clock_of(h);
    int fetch;
    h->learned = is_answer ? MTASTS_LEARNED_NONE : MTASTS_LEARNED_TEMPORARY;
    seen(h);
    fetch = must_fetch(h, &before);
    r = result_of(h->d, h->now);
    CHECK(r.honour == before.honour && same_str(r.policy.text, before.policy.text));
    CHECK(r.entry.checked == now);
    if (before.honour)
        CHECK(r.entry.fetched == before.entry.fetched && r.entry.expires == before.entry.expires);
    else
        CHECK(r.entry.fetched == now && r.entry.expires <= later(now, is_answer ? ttl : 0));
    CHECK(before.honour || !h->is_blind || fetch || r.entry.expires == now);
    if (fetch && !h->found[0])
        CHECK(before.honour);
    check_want(h, ticket, fetch ? MTASTS_WANT_HTTPS : finish(h, &r));
}

/* 1 octet: status (under 0x80: good); 1: how many records, modulo 4; 4: TTL; the records. */
static void answer_txt(host *h, input *in, uint32_t ticket)
{
    static const mtasts_err statuses[] = {
        MTASTS_ERR_NO_RECORD, MTASTS_ERR_DNS,   MTASTS_ERR_DNS_BOGUS,     MTASTS_ERR_DNS_CNAME,
        MTASTS_ERR_LIMIT,     MTASTS_ERR_USAGE, MTASTS_ERR_HTTPS_CONNECT, (mtasts_err)4711};
    unsigned how = take_octet(in);
    mtasts_err status = how < 0x80 ? MTASTS_OK : statuses[how & 7];
    size_t i, count = take_octet(in) & 3;
    uint32_t ttl = (uint32_t)take_number(in, 4);
    mtasts_str strings[3];
    mtasts_txt records[3];
    mtasts_record record;
    mtasts_discovery was = *h->d;
    memset(records, 0, sizeof records);
    for (i = 0; i < count; i++) {
        strings[i] = make_record(in);
        records[i].strings = &strings[i];
        records[i].count = 1;
    }
    h->found[0] = '\0';
    if (status == MTASTS_OK && mtasts_record_select(&record, records, count, NULL) == MTASTS_OK)
        memcpy(h->found, record.id, sizeof h->found);
    CHECK(mtasts_discovery_give_txt(h->d, ticket, h->now, status, count ? records : NULL, count,
                                    ttl) == MTASTS_OK);
    for (i = 0; i < count; i++)
        drop_copy(strings[i]);
    check_txt(h, &was, status == MTASTS_OK || status == MTASTS_ERR_NO_RECORD, ttl, ticket);
}

static void check_fetched(host *h, mtasts_str body, const mtasts_policy *policy,
                          const mtasts_result *before, const mtasts_result *r)
{
    const mtasts_entry *e = &r->entry;
    int64_t now = clock_of(h), interval = least(MTASTS_REFRESH_INTERVAL, policy->max_age / 2);
    mtasts_entry granted;
    replace(&h->fresh, copy_of(body.ptr, body.len));
    h->learned = MTASTS_LEARNED_POLICY;
    CHECK(!e->failures);
    CHECK(e->fetched == least(h->asked, now));
    CHECK(r->policy.text.ptr == body.ptr && r->policy.mode == policy->mode);
    if (!policy->max_age) {
        CHECK(!e->policy.text.ptr && !mtasts_entry_valid(e, now)); /* D17 */
        replace(&h->known.text, none);
        return;
    }
    memset(&granted, 0, sizeof granted);
    granted.policy = *policy;
    granted.id.ptr = h->found[0] ? h->found : before->entry.id.ptr;
    granted.id.len = strlen(granted.id.ptr);
    granted.fetched = least(h->asked, now);
    grant_is(h, &granted);
    CHECK(e->expires == later(granted.fetched, policy->max_age));
    CHECK(e->refresh <= later(granted.fetched, interval / 4 * 5 + 5) ||
          e->refresh == least(e->expires, later(now, MTASTS_RETRY_MIN)));
    CHECK(e->refresh >= later(granted.fetched, interval / 4 * 3) || e->refresh == e->expires);
}

/* Half of what a pause may be is by chance. */
static int64_t least_pause(uint32_t failures)
{
    int64_t doubled = (int64_t)MTASTS_RETRY_MIN << (failures < 8 ? failures - 1 : 7);
    return least(doubled, MTASTS_RETRY_MAX / 2);
}

static void check_failed(host *h, mtasts_err status, const mtasts_result *before,
                         const mtasts_result *r)
{
    const mtasts_entry *e = &r->entry;
    int64_t now = clock_of(h);
    CHECK(r->honour == before->honour && same_str(r->policy.text, before->policy.text));
    CHECK(!before->honour ||
          (e->expires == before->entry.expires && e->fetched == before->entry.fetched));
    if (status == MTASTS_ERR_LIMIT) {
        h->learned = MTASTS_LEARNED_TEMPORARY;
        CHECK(e->failures == before->entry.failures);
        CHECK(before->honour || e->expires <= now);
        return;
    }
    h->has_failed = 1;
    h->no_pause = !e->failures; /* at the end of time none is left, and it is forgotten at once */
    CHECK(e->failures || later(now, MTASTS_RETRY_MIN) == INT64_MAX);
    if (h->found[0])
        h->learned = MTASTS_LEARNED_FAILED;
    if (e->failures) { /* else it was forgotten, since there is no record any more */
        CHECK(e->failed == status);
        CHECK(e->retry >= later(now, least_pause(e->failures)));
        CHECK(e->failures == 1 || e->failures == before->entry.failures + 1);
        CHECK(e->refresh <= e->retry);
        CHECK(before->honour || e->expires <= e->retry);
    }
}

/* 1 octet: status (under 0x80: good; else the number in bits 0 to 6); the body. */
static void answer_https(host *h, input *in, uint32_t ticket)
{
    mtasts_discovery was = *h->d;
    mtasts_result before = result_of(&was, h->now), r;
    unsigned how = take_octet(in);
    mtasts_err status = how < 0x80 ? MTASTS_OK : (mtasts_err)(how & 0x7f), err = status;
    mtasts_str body = status == MTASTS_OK ? make_body(h, in) : none;
    mtasts_policy policy;
    CHECK(mtasts_discovery_give_https(h->d, ticket, h->now, status, body.ptr, body.len) ==
          MTASTS_OK);
    if (status == MTASTS_OK)
        err = mtasts_policy_parse(&policy, body.ptr, body.len, 0, NULL);
    else if (status != MTASTS_ERR_LIMIT && mtasts_err_tlsrpt((int)status) == MTASTS_TLSRPT_OK)
        err = MTASTS_ERR_HTTPS_CONNECT;
    seen(h);
    if (err == MTASTS_OK) {
        r = result_of(h->d, h->now);
        keep(h, body);
        check_fetched(h, body, &policy, &before, &r);
    } else {
        drop_copy(body);
        r = result_of(h->d, h->now);
        check_failed(h, err, &before, &r);
    }
    check_want(h, ticket, finish(h, &r));
}

/* 1 octet of status; if it is good (or over 0x7f), the host does it. */
static void answer_save(host *h, input *in, uint32_t ticket)
{
    unsigned how = take_octet(in);
    mtasts_result r = result_of(h->d, h->now);
    char text[2048];
    size_t len;
    if (h->want == MTASTS_WANT_DROP && (!how || how > 0x7f)) {
        replace(&h->store, none);
    } else if (!how || how > 0x7f) {
        CHECK(mtasts_entry_write(text, sizeof text, &len, &r.entry) == MTASTS_OK);
        replace(&h->store, copy_of(text, len));
    }
    CHECK(mtasts_discovery_give_save(h->d, ticket, h->now, (mtasts_err)(how & 0x7f)) == MTASTS_OK);
    check_want(h, ticket, MTASTS_WANT_DONE);
}

/* An answer of the same kind as for `want`, in which nothing but the ticket and the kind counts. */
static mtasts_err give(host *h, mtasts_want want, uint32_t ticket)
{
    static const char policy[] = "version: STSv1\nmode: none\nmax_age: 86400\n";
    switch (want) {
    case MTASTS_WANT_LOAD:
        return mtasts_discovery_give_load(h->d, ticket, h->now, MTASTS_OK, NULL, 0, NULL);
    case MTASTS_WANT_TXT:
        return mtasts_discovery_give_txt(h->d, ticket, h->now, MTASTS_OK, NULL, 0, 60);
    case MTASTS_WANT_HTTPS:
        return mtasts_discovery_give_https(h->d, ticket, h->now, MTASTS_OK, policy,
                                           sizeof policy - 1);
    case MTASTS_WANT_DONE:
    case MTASTS_WANT_SAVE:
    case MTASTS_WANT_DROP:
    default:
        return mtasts_discovery_give_save(h->d, ticket, h->now, MTASTS_OK);
    }
}

static void answer_late(host *h, input *in)
{
    unsigned how = take_octet(in);
    mtasts_request q = wanted(h);
    uint32_t tickets[6];
    mtasts_discovery was;
    memcpy(&was, h->d, sizeof was);
    memcpy(tickets, h->late, sizeof h->late);
    tickets[4] = q.ticket + 1;
    tickets[5] = 0;
    if (tickets[how % 6] == q.ticket && q.want != MTASTS_WANT_DONE)
        return;
    CHECK(give(h, (mtasts_want)(how >> 4 & 7), tickets[how % 6]) == MTASTS_ERR_STALE);
    CHECK(memcmp(&was, h->d, sizeof was) == 0);
}

static int is_save(mtasts_want want)
{
    return want != MTASTS_WANT_LOAD && want != MTASTS_WANT_TXT && want != MTASTS_WANT_HTTPS;
}

static void answer_wrong(host *h)
{
    mtasts_request q = wanted(h);
    mtasts_err expected = q.want == MTASTS_WANT_DONE ? MTASTS_ERR_STALE : MTASTS_ERR_USAGE;
    mtasts_discovery was;
    int want;
    memcpy(&was, h->d, sizeof was);
    for (want = MTASTS_WANT_LOAD; want <= MTASTS_WANT_SAVE; want++)
        if ((mtasts_want)want != q.want && !(is_save(q.want) && want == MTASTS_WANT_SAVE))
            CHECK(give(h, (mtasts_want)want, q.ticket) == expected);
    if (q.want == MTASTS_WANT_TXT)
        CHECK(mtasts_discovery_give_txt(h->d, q.ticket, h->now, MTASTS_OK, NULL, 1, 0) == expected);
    if (q.want == MTASTS_WANT_HTTPS)
        CHECK(mtasts_discovery_give_https(h->d, q.ticket, h->now, MTASTS_OK, NULL, 1) == expected);
    CHECK(memcmp(&was, h->d, sizeof was) == 0);
}

/* ---- discoveries ---- */

static void end(host *h)
{
    drop_kept(h);
    replace(&h->known.text, none);
    replace(&h->fresh, none);
    memset(&h->known, 0, sizeof h->known);
}

/* What is known at its end, in memory that is not the discovery's. */
static mtasts_str last_entry(const host *h)
{
    mtasts_result r = result_of(h->d, h->now);
    char text[2048];
    size_t len;
    CHECK(mtasts_entry_write(text, sizeof text, &len, &r.entry) == MTASTS_OK);
    return copy_of(text, len);
}

static void init(host *h, input *in, unsigned how, mtasts_str text)
{
    static const mtasts_result nothing;
    static const char long_label[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.";
    char name[MTASTS_NAME_SIZE] = "Example.COM.";
    mtasts_entry e;
    mtasts_str domain;
    uint64_t random = take_number(in, 1 + (how >> 7) * 7);
    if ((how >> 4 & 3) == 3)
        snprintf(name, sizeof name, "%s%s%s%sb", long_label, long_label, long_label, long_label);
    else if ((how >> 4 & 3) == 2)
        snprintf(name, sizeof name, "example.net");
    domain = copy_of(name, strlen(name));
    CHECK(mtasts_name_normalise(h->domain, name, strlen(name), NULL) == MTASTS_OK);
    if (text.ptr && mtasts_entry_read(&e, NULL, 0, text.ptr, text.len, INT64_MAX, NULL)) {
        drop_copy(text);
        text = none;
    }
    if (text.ptr)
        keep(h, text);
    CHECK(mtasts_discovery_init(h->d, domain.ptr, domain.len, text.ptr ? &e : NULL, h->flags,
                                random, h->now, NULL) == MTASTS_OK);
    drop_copy(domain);
    if (text.ptr)
        adopt(h, &e, &nothing);
}

/* 1 octet: bits 0 and 1: flags; 2 and 3: the entry: 0: none, 1: the last result's, 2: made up, 3:
 * what is stored; 4 and 5: domain; 7: 8 octets of random follow, else 1; what the entry needs */
static void begin(host *h, input *in)
{
    unsigned how = take_octet(in);
    mtasts_str text = none;
    uint32_t last = 0;
    switch (how >> 2 & 3) {
    case 1:
        text = h->domain[0] ? last_entry(h) : none;
        break;
    case 2:
        memcpy(h->domain, "example.com", sizeof "example.com");
        text = make_entry(h, in);
        break;
    case 3:
        text = h->store.ptr ? copy_of(h->store.ptr, h->store.len) : none;
        break;
    default:
        break;
    }
    if (h->domain[0])
        last = wanted(h).ticket;
    end(h);
    h->flags = (how & 1 ? MTASTS_REFRESH : 0) | (how & 2 ? MTASTS_NO_STORE : 0);
    h->learned = MTASTS_LEARNED_NOTHING;
    h->want = MTASTS_WANT_DONE;
    h->found[0] = '\0';
    h->has_failed = h->is_blind = h->is_unread = h->is_ahead = h->answers = 0;
    h->late[h->late_next++ % COUNT(h->late)] = last;
    init(h, in, how, text);
    if (how & 2 && !has_room(h))
        h->learned = MTASTS_LEARNED_NONE;
    check_want(h, wanted(h).ticket + 1,
               !(how & 2)     ? MTASTS_WANT_LOAD
               : !has_room(h) ? MTASTS_WANT_DONE
                              : MTASTS_WANT_TXT);
}

static void answer(host *h, input *in)
{
    uint32_t ticket = wanted(h).ticket;
    switch (h->want) {
    case MTASTS_WANT_LOAD:
        answer_load(h, in, ticket);
        break;
    case MTASTS_WANT_TXT:
        answer_txt(h, in, ticket);
        break;
    case MTASTS_WANT_HTTPS:
        answer_https(h, in, ticket);
        break;
    case MTASTS_WANT_SAVE:
    case MTASTS_WANT_DROP:
        answer_save(h, in, ticket);
        break;
    case MTASTS_WANT_DONE:
    default:
        begin(h, in);
        break;
    }
}

/* A record without its policy is neither a policy nor an absence. */
static void cancel(host *h)
{
    mtasts_result before = result_of(h->d, h->now), r;
    mtasts_discovery_cancel(h->d);
    CHECK(wanted(h).want == MTASTS_WANT_DONE);
    r = result_of(h->d, h->now);
    CHECK(r.honour == before.honour && same_str(r.policy.text, before.policy.text));
    if (h->want == MTASTS_WANT_HTTPS && h->learned == MTASTS_LEARNED_POLICY) {
        h->learned = MTASTS_LEARNED_NOTHING;
        CHECK(r.honour || !mtasts_entry_valid(&r.entry, h->now));
    }
    h->want = MTASTS_WANT_DONE;
}

/* The struct somewhere else, and its old place gone. */
static void move(host *h)
{
    mtasts_discovery *to = (mtasts_discovery *)malloc(sizeof *to);
    if (!to)
        abort();
    memcpy(to, h->d, sizeof *to);
    free(h->d);
    h->d = to;
}

static void step(host *h, input *in)
{
    unsigned op = take_octet(in);
    switch (op % 16) {
    case 7:
    case 8:
        pass(h, in, op);
        break;
    case 9:
        jump(h, in);
        break;
    case 10:
        answer_late(h, in);
        break;
    case 11:
        answer_wrong(h);
        break;
    case 12:
        cancel(h);
        break;
    case 13:
        move(h);
        break;
    case 14:
    case 15:
        begin(h, in);
        break;
    default:
        answer(h, in);
        break;
    }
    check_result(h, op % 16 < 7);
}

/* What no host should hand in: the discovery is done then, or goes on without it. */
static void check_misuse(const host *h)
{
    mtasts_discovery d;
    mtasts_request q;
    mtasts_result r;
    mtasts_entry e;
    CHECK(mtasts_discovery_init(&d, "", 0, NULL, 0, 0, h->now, NULL) == MTASTS_ERR_NAME_EMPTY);
    CHECK(mtasts_discovery_want(&d, &q) == MTASTS_WANT_DONE);
    CHECK(mtasts_discovery_init(&d, "a", 1, NULL, 1, 0, h->now, NULL) == MTASTS_ERR_USAGE);
    CHECK(mtasts_discovery_want(&d, &q) == MTASTS_WANT_DONE);
    mtasts_discovery_result(&d, h->now, &r);
    CHECK(r.learned == MTASTS_LEARNED_NOTHING && !r.honour && !r.keep);
    memset(&e, 0, sizeof e);
    e.domain.ptr = "a";
    e.domain.len = 1;
    e.fetched = -1;
    e.used = INT64_MAX;
    CHECK(mtasts_discovery_init(&d, "a", 1, &e, MTASTS_REFRESH, 0, h->now, NULL) == MTASTS_OK);
    mtasts_discovery_result(&d, h->now, &r);
    CHECK(!r.entry.used && !r.keep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    host h;
    memset(&h, 0, sizeof h);
    h.now = INT64_C(1700000000);
    h.d = (mtasts_discovery *)calloc(1, sizeof *h.d);
    if (!h.d)
        abort();
    check_misuse(&h);
    begin(&h, &in);
    while (in.left)
        step(&h, &in);
    while (h.want != MTASTS_WANT_DONE) { /* check_want bounds it */
        answer(&h, &in);
        check_result(&h, 1);
    }
    end(&h);
    drop_copy(h.store);
    free(h.d);
    return 0;
}
