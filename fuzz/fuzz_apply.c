/* Fuzzes section 10: the plan before an MX is connected to, and the verdict on the session; and the
 * name functions of sections 2, 10, 11, 13 and 16.
 *
 * Targets: mtasts_apply_plan, mtasts_plan_same, mtasts_apply_verdict, mtasts_reason_name, _text,
 *          mtasts_action_name, _from_name, mtasts_tlsrpt_result_name, _from_name,
 *          mtasts_policy_type_name, _from_name, mtasts_mode_name, _from_name, mtasts_learned_name,
 *          mtasts_strerror, mtasts_err_name, _section, _tlsrpt, mtasts_quirk_name, _text, mtasts_event_name, _text
 *
 * Property: plan and verdict are those of the tables below, whatever the members hold (A1 to A3, A6
 *           to A8, A11); of verdicts on plans that no delivery leads to, too.
 * Property: the host of a plan is the name in lower case without the dot at its end, or "".
 * Property: an enforced policy delivers only to a listed MX, over TLS, with a certificate that is
 *           trusted and names it, or that DANE vouches for (A1, A6).
 * Property: testing and none refuse nothing that is delivered without a policy (A2, A3).
 * Property: who is refused because of the policy alone is told to look for a newer one (A5).
 * Property: a better session is never refused where a worse one was not; a stricter delivery never
 *           delivers where a laxer one did not (A7).
 * Property: plans that may share a connection agree about every session on it (A12).
 * Property: names lead back to their numbers, and only names do.
 *
 * Input: octet 0: bits 0 and 1: 0: no policy; 1: the policy's text is as at the end of the input;
 *                               2: before it come lines of a policy, so that only mx are missing;
 *                               3: likewise, and the policy's mode is octet 1 as a number
 *                 bit 2: the host is the policy's first mx, with "MX" for "*"
 *                 bit 3: the plan for the verdict is not made, its members are octets of the input
 *                 bit 4: there is no session
 *                 bit 5: 128 numbers in a row have their texts looked at, not one
 *        octet 1: the policy's mode
 *        8 octets: the delivery, from tls on; 5: the session; 8: another delivery; 9: the plan
 *        4 octets: a number for the name functions
 *        1: length of the host's name (a multiple of it if over 200), its octets, the policy
 *        An octet for a member: bits 0 to 2: the number, from -1; bit 7: one of odd_numbers
 */
#include "fuzz.h"

#include <limits.h>

/* ---- the scene ---- */

typedef struct scene {
    mtasts_delivery delivery, other;
    mtasts_session session;
    mtasts_plan plan; /* that nobody has made */
    mtasts_policy policy;
    mtasts_str body, host;
    int has_session, plan_is_given, number, numbers;
} scene;

static int take_member(input *in)
{
    static const int odd_numbers[] = {INT_MAX, INT_MIN, 0x7fff, 9};
    unsigned octet = take_octet(in);
    return octet & 0x80 ? odd_numbers[octet & 3] : (int)(octet & 7) - 1;
}

static void take_delivery(input *in, mtasts_delivery *d)
{
    memset(d, 0, sizeof *d);
    d->tls = (mtasts_tls)take_member(in);
    d->verify = (mtasts_verify)take_member(in);
    d->override = (mtasts_override)take_member(in);
    d->dane = (mtasts_dane)take_member(in);
    d->mx_secure = (int)take_octet(in) & 1;
    d->requiretls = (int)take_octet(in) & 1;
    d->tls_required_no = (int)take_octet(in) & 1;
    take_octet(in);
}

static void take_session(input *in, mtasts_session *s)
{
    s->name_matches = (int)take_octet(in) & 1;
    s->starttls = (mtasts_starttls)take_member(in);
    s->chain = (mtasts_chain)take_member(in);
    s->dane_ok = (int)take_octet(in) & 1;
    s->requiretls = (int)take_octet(in) & 1;
}

static void take_plan(input *in, mtasts_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->use = (int)take_octet(in) & 1;
    plan->tls = (mtasts_tls)take_member(in);
    plan->verify = (mtasts_verify)take_member(in);
    plan->dane = (int)take_octet(in) & 1;
    plan->requiretls = (int)take_octet(in) & 1;
    plan->mode = (mtasts_mode)take_member(in);
    plan->reason = (mtasts_reason)take_member(in);
    plan->result = (mtasts_tlsrpt_result)take_member(in);
    plan->policy_type = (mtasts_policy_type)take_member(in);
}

/* The octets that are left as they are, or behind what a policy needs beside mx. */
static mtasts_str take_body(input *in, int how, unsigned mode)
{
    char text[600];
    int len;
    input whole;
    if (how == 1)
        return take_copy(in, in->left);
    len = snprintf(text, sizeof text, "version: STSv1\nmax_age: 86400\nmode: %s\nmx: %.*s",
                   mtasts_mode_name((int)(mode % 3)), in->left > 400 ? 400 : (int)in->left,
                   (const char *)in->at);
    whole.at = (const uint8_t *)text;
    whole.left = len < 0 ? 0 : (size_t)len;
    return take_copy(&whole, sizeof text);
}

static void take_host(input *in, scene *s)
{
    size_t len = take_octet(in);
    s->host = take_copy(in, len > 200 ? len * 7 : len);
}

/* A host that the policy lists; the memory of the one before goes. */
static void list_host(scene *s)
{
    char name[2 * MTASTS_NAME_SIZE];
    size_t cursor = 0;
    mtasts_str mx;
    input whole;
    int len;
    if (!mtasts_policy_next_mx(&s->policy, &cursor, &mx))
        return;
    len = *mx.ptr == '*' ? snprintf(name, sizeof name, "MX%.*s", (int)mx.len - 1, mx.ptr + 1)
                         : snprintf(name, sizeof name, "%.*s", (int)mx.len, mx.ptr);
    whole.at = (const uint8_t *)name;
    whole.left = (size_t)len;
    drop_copy(s->host);
    s->host = take_copy(&whole, sizeof name);
}

static void take_scene(input *in, scene *s)
{
    unsigned options = take_octet(in), mode = take_octet(in);
    int how = (int)options & 3;
    memset(s, 0, sizeof *s);
    take_delivery(in, &s->delivery);
    take_session(in, &s->session);
    take_delivery(in, &s->other);
    take_plan(in, &s->plan);
    s->number = (int)(int32_t)take_number(in, 4);
    take_host(in, s);
    s->body = take_body(in, how, mode);
    if (how && mtasts_policy_parse(&s->policy, s->body.ptr, s->body.len, 0, NULL) == MTASTS_OK) {
        if (how == 3)
            s->policy.mode = (mtasts_mode)mode;
        s->delivery.policy = s->other.policy = &s->policy;
        if (options & 4)
            list_host(s);
    }
    s->plan_is_given = options >> 3 & 1;
    s->has_session = !(options >> 4 & 1);
    s->numbers = options >> 5 & 1 ? 128 : 1;
}

/* ---- the tables: RFC 8461 4 and 5, 8689 4, 7672 2.2 and the header's comments ---- */

static int is_lifted(const mtasts_delivery *d)
{
    return d->tls_required_no && !d->requiretls; /* RFC 8689 3, 4.1 */
}

static mtasts_mode table_mode(const mtasts_delivery *d)
{
    mtasts_mode mode = d->policy ? d->policy->mode : MTASTS_MODE_NONE;
    if (mode == MTASTS_MODE_NONE || is_lifted(d))
        return MTASTS_MODE_NONE;
    if (d->override == MTASTS_OVERRIDE_IGNORE)
        return MTASTS_MODE_NONE;
    if (d->override == MTASTS_OVERRIDE_TESTING)
        return MTASTS_MODE_TESTING;
    if (d->override == MTASTS_OVERRIDE_ENFORCE || mode != MTASTS_MODE_TESTING)
        return MTASTS_MODE_ENFORCE;
    return MTASTS_MODE_TESTING;
}

static mtasts_str first_listed(const mtasts_policy *policy, mtasts_str host)
{
    mtasts_str mx = {NULL, 0};
    size_t cursor = 0;
    while (mtasts_policy_next_mx(policy, &cursor, &mx))
        if (mtasts_mx_matches(mx.ptr, mx.len, host.ptr, host.len))
            break;
    return mx;
}

/* The strictest of all that ask for something. */
static void table_needs(mtasts_plan *plan, const mtasts_delivery *d, mtasts_dane dane)
{
    const struct {
        int asks;
        mtasts_tls tls;
        mtasts_verify verify;
    } needs[] = {
        {1, d->tls, d->verify},
        {plan->mode == MTASTS_MODE_TESTING, MTASTS_TLS_OPTIONAL, MTASTS_VERIFY_OPTIONAL},
        {plan->mode == MTASTS_MODE_ENFORCE, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_REQUIRED},
        {d->requiretls, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_REQUIRED},
        {dane == MTASTS_DANE_USABLE, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_REQUIRED},
        {dane == MTASTS_DANE_UNUSABLE, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_NONE},
    };
    size_t i;
    plan->tls = d->tls;
    plan->verify = d->verify;
    for (i = 0; i < COUNT(needs); i++) {
        if (needs[i].asks && needs[i].tls > plan->tls)
            plan->tls = needs[i].tls;
        if (needs[i].asks && needs[i].verify > plan->verify)
            plan->verify = needs[i].verify;
    }
}

/* The first that speaks against this MX. */
static void table_objections(mtasts_plan *plan, const mtasts_delivery *d, mtasts_dane dane)
{
    int testing = plan->mode == MTASTS_MODE_TESTING, unlisted = !plan->pattern.len;
    mtasts_policy_type type = dane == MTASTS_DANE_USABLE ? MTASTS_POLICY_TYPE_TLSA
                              : plan->mode               ? MTASTS_POLICY_TYPE_STS
                              : dane                     ? MTASTS_POLICY_TYPE_TLSA
                                                         : MTASTS_POLICY_TYPE_NO_POLICY_FOUND;
    const struct {
        int applies, use;
        mtasts_reason reason;
        mtasts_tlsrpt_result result;
        mtasts_policy_type type;
    } objections[] = {
        {dane != MTASTS_DANE_NONE && dane != MTASTS_DANE_USABLE && dane != MTASTS_DANE_UNUSABLE, 0,
         MTASTS_REASON_DANE_LOOKUP, MTASTS_TLSRPT_DNSSEC_INVALID, MTASTS_POLICY_TYPE_TLSA},
        {unlisted && plan->mode == MTASTS_MODE_ENFORCE, 0, MTASTS_REASON_MX_NOT_LISTED,
         MTASTS_TLSRPT_VALIDATION_FAILURE, MTASTS_POLICY_TYPE_STS},
        {unlisted && d->requiretls && !d->mx_secure, 0, MTASTS_REASON_REQUIRETLS_MX,
         testing ? MTASTS_TLSRPT_VALIDATION_FAILURE : MTASTS_TLSRPT_OK,
         testing ? MTASTS_POLICY_TYPE_STS : type},
        {unlisted && testing, 1, MTASTS_REASON_MX_NOT_LISTED, MTASTS_TLSRPT_VALIDATION_FAILURE,
         MTASTS_POLICY_TYPE_STS},
        {1, 1, MTASTS_REASON_OK, MTASTS_TLSRPT_OK, type},
    };
    size_t i = 0;
    while (!objections[i].applies)
        i++;
    plan->use = objections[i].use;
    plan->reason = objections[i].reason;
    plan->result = objections[i].result;
    plan->policy_type = objections[i].type;
}

/* All of a plan but its host. */
static mtasts_plan table_plan(const mtasts_delivery *d, mtasts_str host)
{
    mtasts_dane dane = is_lifted(d) ? MTASTS_DANE_NONE : d->dane;
    mtasts_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.mode = table_mode(d);
    plan.dane = dane == MTASTS_DANE_USABLE;
    plan.requiretls = d->requiretls;
    if (plan.mode != MTASTS_MODE_NONE)
        plan.pattern = first_listed(d->policy, host);
    table_needs(&plan, d, dane);
    table_objections(&plan, d, dane);
    return plan;
}

/* What is wrong with the certificate, were one asked for. */
static mtasts_reason certificate_fault(const mtasts_plan *plan, const mtasts_session *s)
{
    static const mtasts_reason of_chain[] = {
        MTASTS_REASON_CHAIN_UNCHECKED, MTASTS_REASON_OK, MTASTS_REASON_CHAIN_UNTRUSTED,
        MTASTS_REASON_CHAIN_EXPIRED, MTASTS_REASON_CHAIN_REVOKED};
    mtasts_reason fault =
        (size_t)s->chain < COUNT(of_chain) ? of_chain[s->chain] : MTASTS_REASON_CHAIN_UNTRUSTED;
    if (plan->dane)
        return s->dane_ok ? MTASTS_REASON_OK : MTASTS_REASON_DANE_MISMATCH;
    return !fault && !s->name_matches ? MTASTS_REASON_NAME_MISMATCH : fault;
}

static mtasts_reason session_fault(const mtasts_plan *plan, const mtasts_session *s)
{
    mtasts_reason certificate = certificate_fault(plan, s);
    int seen = !plan->dane && s->chain != MTASTS_CHAIN_UNCHECKED && certificate;
    if (s->starttls == MTASTS_STARTTLS_DONE)
        return certificate;
    if (s->starttls == MTASTS_STARTTLS_NOT_OFFERED)
        return MTASTS_REASON_STARTTLS_NOT_OFFERED;
    return seen ? certificate : MTASTS_REASON_TLS_FAILED;
}

static mtasts_tlsrpt_result fault_result(mtasts_reason fault)
{
    static const mtasts_tlsrpt_result results[] = {
        MTASTS_TLSRPT_OK,                        /* ok */
        MTASTS_TLSRPT_OK,                        /* mx-not-listed: before a session */
        MTASTS_TLSRPT_OK,                        /* dane-lookup: likewise */
        MTASTS_TLSRPT_OK,                        /* requiretls-mx: likewise */
        MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED,    /* starttls-not-offered */
        MTASTS_TLSRPT_VALIDATION_FAILURE,        /* tls-failed */
        MTASTS_TLSRPT_VALIDATION_FAILURE,        /* chain-unchecked */
        MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED,   /* chain-untrusted */
        MTASTS_TLSRPT_CERTIFICATE_EXPIRED,       /* chain-expired */
        MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED,   /* chain-revoked */
        MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH, /* name-mismatch */
        MTASTS_TLSRPT_VALIDATION_FAILURE,        /* dane-mismatch */
    };
    CHECK((size_t)fault < COUNT(results));
    return results[fault];
}

/* Must nothing go over a session with this fault? */
static int is_needed(const mtasts_plan *plan, const mtasts_session *s, mtasts_reason fault)
{
    int of_certificate =
        fault != MTASTS_REASON_STARTTLS_NOT_OFFERED && fault != MTASTS_REASON_TLS_FAILED;
    if (plan->mode == MTASTS_MODE_ENFORCE)
        return 1;
    if (s->starttls != MTASTS_STARTTLS_DONE && plan->tls >= MTASTS_TLS_REQUIRED)
        return 1;
    return of_certificate && plan->verify >= MTASTS_VERIFY_REQUIRED;
}

static mtasts_verdict table_verdict(const mtasts_plan *plan, const mtasts_session *s)
{
    mtasts_reason fault = session_fault(plan, s);
    int testing = plan->mode == MTASTS_MODE_TESTING, refused;
    mtasts_verdict v;
    memset(&v, 0, sizeof v);
    v.reason = plan->reason;
    v.result = plan->result;
    v.policy_type = plan->policy_type;
    refused = plan->use && fault && is_needed(plan, s, fault);
    if (refused || (plan->use && fault && testing && !plan->reason)) {
        v.reason = fault;
        v.result = fault_result(fault);
        if (plan->dane)
            v.policy_type = MTASTS_POLICY_TYPE_TLSA;
    } else if (plan->use && plan->requiretls && !s->requiretls) {
        v.reason = MTASTS_REASON_REQUIRETLS_NOT_OFFERED;
        refused = 1;
    }
    refused = refused || !plan->use;
    v.action = refused ? MTASTS_ACTION_NEXT_MX : MTASTS_ACTION_DELIVER;
    v.recheck = refused && plan->mode == MTASTS_MODE_ENFORCE &&
                v.policy_type == MTASTS_POLICY_TYPE_STS &&
                v.reason != MTASTS_REASON_REQUIRETLS_NOT_OFFERED;
    return v;
}

/* ---- what mtasts.h says ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void check_host(const char *name, mtasts_str host)
{
    size_t i, len = strlen(name);
    CHECK(len <= MTASTS_NAME_MAX);
    if (!len) {
        CHECK(mtasts_name_normalise(NULL, host.ptr, host.len, NULL) != MTASTS_OK);
        return;
    }
    CHECK(len == host.len || (len + 1 == host.len && host.ptr[len] == '.'));
    CHECK(name[len - 1] != '.');
    CHECK(mtasts_name_normalise(NULL, host.ptr, host.len, NULL) == MTASTS_OK);
    for (i = 0; i < len; i++)
        CHECK(name[i] == lower(host.ptr[i]));
}

static mtasts_plan make_plan(const mtasts_delivery *d, mtasts_str host)
{
    mtasts_plan plan, table = table_plan(d, host);
    memset(&plan, 0xa5, sizeof plan);
    mtasts_apply_plan(&plan, d, host.ptr, host.len);
    CHECK(plan.use == table.use);
    CHECK(plan.tls == table.tls);
    CHECK(plan.verify == table.verify);
    CHECK(plan.dane == table.dane);
    CHECK(plan.requiretls == table.requiretls);
    CHECK(plan.mode == table.mode);
    CHECK(plan.pattern.ptr == table.pattern.ptr && plan.pattern.len == table.pattern.len);
    CHECK(plan.reason == table.reason);
    CHECK(plan.result == table.result);
    CHECK(plan.policy_type == table.policy_type);
    CHECK(plan.mode == MTASTS_MODE_NONE || plan.verify != MTASTS_VERIFY_NONE);
    CHECK(!plan.pattern.len || is_inside(plan.pattern, d->policy->text.ptr, d->policy->text.len));
    check_host(plan.host, host);
    return plan;
}

static mtasts_verdict judge(const mtasts_plan *plan, const mtasts_session *s)
{
    mtasts_session nothing;
    mtasts_verdict v, table;
    memset(&nothing, 0, sizeof nothing);
    table = table_verdict(plan, s ? s : &nothing);
    memset(&v, 0xa5, sizeof v);
    mtasts_apply_verdict(&v, plan, s);
    CHECK(v.action == table.action);
    CHECK(v.recheck == table.recheck);
    CHECK(v.reason == table.reason);
    CHECK(v.result == table.result);
    CHECK(v.policy_type == table.policy_type);
    return v;
}

static int delivers(const mtasts_delivery *d, mtasts_str host, const mtasts_session *s)
{
    mtasts_plan plan = make_plan(d, host);
    return judge(&plan, s).action == MTASTS_ACTION_DELIVER;
}

/* ---- properties, without the tables ---- */

static void check_enforced(const mtasts_delivery *d, const mtasts_plan *plan,
                           const mtasts_session *s, const mtasts_verdict *v)
{
    int enforced = d->policy && d->policy->mode == MTASTS_MODE_ENFORCE &&
                   d->override != MTASTS_OVERRIDE_IGNORE &&
                   d->override != MTASTS_OVERRIDE_TESTING &&
                   !(d->tls_required_no && !d->requiretls);
    if (!enforced || v->action != MTASTS_ACTION_DELIVER)
        return;
    CHECK(mtasts_policy_matches(d->policy, plan->host, strlen(plan->host)));
    CHECK(s && s->starttls == MTASTS_STARTTLS_DONE);
    CHECK(d->dane == MTASTS_DANE_USABLE ? s->dane_ok
                                        : s->chain == MTASTS_CHAIN_TRUSTED && s->name_matches);
    CHECK(v->result == MTASTS_TLSRPT_OK && v->reason == MTASTS_REASON_OK);
}

static void check_without_policy(const mtasts_delivery *d, const mtasts_plan *plan, mtasts_str host,
                                 const mtasts_session *s, const mtasts_verdict *v)
{
    mtasts_delivery without = *d;
    without.policy = NULL;
    if (v->action == MTASTS_ACTION_DELIVER || !delivers(&without, host, s))
        return;
    CHECK(plan->mode == MTASTS_MODE_ENFORCE);
    CHECK(v->recheck);
    CHECK(v->result != MTASTS_TLSRPT_OK && v->policy_type == MTASTS_POLICY_TYPE_STS);
}

static void check_result(const mtasts_verdict *v)
{
    int is_local = v->reason == MTASTS_REASON_OK || v->reason == MTASTS_REASON_REQUIRETLS_MX ||
                   v->reason == MTASTS_REASON_REQUIRETLS_NOT_OFFERED;
    CHECK(is_local || v->result != MTASTS_TLSRPT_OK);
    CHECK(v->reason || v->result == MTASTS_TLSRPT_OK);
    CHECK(v->reason || v->action == MTASTS_ACTION_DELIVER);
}

/* Over TLS; in the clear, a certificate that is better known can be the reason to refuse. */
static void check_better(const mtasts_plan *plan, const mtasts_session *s)
{
    mtasts_session better = *s;
    int delivered = judge(plan, s).action == MTASTS_ACTION_DELIVER;
    better.name_matches = better.dane_ok = better.requiretls = 1;
    CHECK(!delivered || judge(plan, &better).action == MTASTS_ACTION_DELIVER);
    if (s->starttls == MTASTS_STARTTLS_DONE) {
        better = *s;
        better.chain = MTASTS_CHAIN_TRUSTED;
        CHECK(!delivered || judge(plan, &better).action == MTASTS_ACTION_DELIVER);
    }
    better.name_matches = better.dane_ok = better.requiretls = 1;
    better.chain = MTASTS_CHAIN_TRUSTED;
    better.starttls = MTASTS_STARTTLS_DONE;
    CHECK((judge(plan, &better).action == MTASTS_ACTION_DELIVER) == plan->use);
}

/* Each step asks for more than the one before. (With usable TLSA records they decide, which may ask
 * for less; and for REQUIRETLS a policy vouches for the MX.) */
static void check_stricter(const mtasts_delivery *d, mtasts_str host, const mtasts_session *s)
{
    mtasts_delivery more = *d;
    int delivered = delivers(d, host, s), step;
    for (step = 0; step < 7; step++) {
        int now;
        if (step == 0 && d->dane != MTASTS_DANE_USABLE)
            more.tls_required_no = 0;
        else if (step == 1 && more.tls < MTASTS_TLS_REQUIRED)
            more.tls = MTASTS_TLS_REQUIRED;
        else if (step == 2 && more.verify < MTASTS_VERIFY_REQUIRED)
            more.verify = MTASTS_VERIFY_REQUIRED;
        else if (step == 3)
            more.override = MTASTS_OVERRIDE_ENFORCE;
        else if (step == 4)
            more.mx_secure = 0;
        else if (step == 5 && (d->dane != MTASTS_DANE_USABLE || !more.tls_required_no))
            more.requiretls = 1;
        else if (step == 6)
            more.dane = MTASTS_DANE_FAILED;
        /* an override that was ignored before brings in the policy, which vouches */
        if (step == 3 && d->requiretls)
            more.override = d->override;
        now = delivers(&more, host, s);
        CHECK(delivered || !now);
        delivered = now;
    }
}

static int check_same(const mtasts_plan *a, const mtasts_plan *b)
{
    int same = mtasts_plan_same(a, b);
    CHECK(same == mtasts_plan_same(b, a));
    CHECK(mtasts_plan_same(a, a) == (a->use && a->host[0]));
    CHECK(same ==
          (a->use && b->use && a->tls == b->tls && a->verify == b->verify && a->dane == b->dane &&
           a->requiretls == b->requiretls && a->host[0] && strcmp(a->host, b->host) == 0));
    return same;
}

/* The same plan for another host, and one that nobody has made with this plan's host. */
static void check_others(const mtasts_plan *plan, const mtasts_plan *given)
{
    mtasts_plan other = *plan;
    other.host[0] = (char)(other.host[0] ? other.host[0] ^ 1 : 'x');
    CHECK(!check_same(plan, &other));
    other = *given;
    memcpy(other.host, plan->host, sizeof other.host);
    check_same(plan, &other);
}

static void check_scene(const scene *s)
{
    const mtasts_session *session = s->has_session ? &s->session : NULL;
    mtasts_plan plan = make_plan(&s->delivery, s->host);
    mtasts_plan other = make_plan(&s->other, s->host);
    mtasts_verdict v = judge(&plan, session);
    if (s->plan_is_given)
        judge(&s->plan, session);
    check_enforced(&s->delivery, &plan, session, &v);
    check_without_policy(&s->delivery, &plan, s->host, session, &v);
    check_result(&v);
    check_better(&plan, &s->session);
    check_stricter(&s->delivery, s->host, session);
    if (check_same(&plan, &other))
        CHECK(judge(&plan, session).action == judge(&other, session).action);
    check_others(&plan, &s->plan);
}

/* ---- names ---- */

static int is_unknown(const char *name)
{
    return strcmp(name, "UNKNOWN") == 0;
}

static void check_name(const char *(*name_of)(int), int (*from_name)(const char *, size_t),
                       int number, mtasts_str text)
{
    const char *name = name_of(number);
    int found = from_name(text.ptr, text.len);
    CHECK(from_name(name, strlen(name)) == (is_unknown(name) ? -1 : number));
    CHECK(from_name(NULL, text.len) == -1);
    if (found != -1)
        CHECK(strlen(name_of(found)) == text.len &&
              memcmp(name_of(found), text.ptr, text.len) == 0);
}

static void check_texts(int number)
{
    CHECK(is_unknown(mtasts_reason_name(number)) == !*mtasts_reason_text(number));
    CHECK(is_unknown(mtasts_reason_name(number)) == (number < 0 || number > 12));
    CHECK(is_unknown(mtasts_learned_name(number)) == (number < 0 || number > 4));
    CHECK(is_unknown(mtasts_event_name(number)) == !*mtasts_event_text(number));
    CHECK(is_unknown(mtasts_quirk_name((uint32_t)number)) == !*mtasts_quirk_text((uint32_t)number));
    CHECK(!*mtasts_err_section(number) || !is_unknown(mtasts_err_name(number)));
    CHECK(is_unknown(mtasts_err_name(number)) ==
          (strcmp(mtasts_strerror(number), "unknown error") == 0));
    CHECK(!is_unknown(mtasts_err_name(number)) || !mtasts_err_tlsrpt(number));
    CHECK(!is_unknown(mtasts_tlsrpt_result_name((int)mtasts_err_tlsrpt(number))));
}

static void check_names(int number, mtasts_str text)
{
    check_name(mtasts_action_name, mtasts_action_from_name, number, text);
    check_name(mtasts_mode_name, mtasts_mode_from_name, number, text);
    check_name(mtasts_tlsrpt_result_name, mtasts_tlsrpt_result_from_name, number, text);
    check_name(mtasts_policy_type_name, mtasts_policy_type_from_name, number, text);
    check_texts(number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    scene s;
    int i, number;
    take_scene(&in, &s);
    check_scene(&s);
    check_names(s.number, s.host);
    number = (int)((unsigned)s.number % 512);
    check_names(number, s.body);
    for (i = 1; i < s.numbers; i++)
        check_texts(number + i);
    drop_copy(s.body);
    drop_copy(s.host);
    return 0;
}
