/* Section 10, application (RFC 8461 4, 5; RFC 8689; RFC 7672; rules A1 to A12).
 * Goal: mail goes only where policy, DANE, REQUIRETLS and configuration all let it, and each
 * refusal says why. Method: examples, tables, then every combination against a second, plain
 * statement. */
#include "test.h"

#define LISTED   "mx1.domain.com"
#define UNLISTED "mx1.other.com"

static mtasts_policy policies[3]; /* by mode: mx *.domain.com, max_age 86400 */

static int parse_policies(void **state)
{
    static char text[3][100];
    int mode;
    (void)state;
    for (mode = 0; mode < 3; mode++) {
        size_t len =
            (size_t)snprintf(text[mode], sizeof text[mode],
                             "version: STSv1\r\nmode: %s\r\nmx: *.domain.com\r\nmax_age: 86400\r\n",
                             mtasts_mode_name(mode));
        if (mtasts_policy_parse(&policies[mode], text[mode], len, 0, NULL))
            return -1;
    }
    return 0;
}

static mtasts_plan plan_for(const mtasts_delivery *d, const char *host)
{
    mtasts_plan plan;
    DIRTY(plan);
    mtasts_apply_plan(&plan, d, host, strlen(host));
    return plan;
}

static mtasts_verdict verdict_for(const mtasts_plan *plan, const mtasts_session *session)
{
    mtasts_verdict v;
    DIRTY(v);
    mtasts_apply_verdict(&v, plan, session);
    return v;
}

static mtasts_delivery with(int mode)
{
    mtasts_delivery d;
    memset(&d, 0, sizeof d);
    d.policy = mode < 0 ? NULL : &policies[mode];
    return d;
}

static const mtasts_session perfect = {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_TRUSTED, 1, 1};
static const mtasts_session clear; /* no STARTTLS */

/* ---- the examples ---- */

/* A1: domain.com enforces *.domain.com: mx1.domain.com is used, mx1.other.com is not. */
static void test_A1_enforce_example(void **state)
{
    mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
    mtasts_plan plan = plan_for(&d, LISTED);
    mtasts_verdict v = verdict_for(&plan, &perfect);
    (void)state;
    assert_int_equal(policies[MTASTS_MODE_ENFORCE].max_age, 86400);
    assert_int_equal(plan.use, 1);
    assert_int_equal(plan.tls, MTASTS_TLS_REQUIRED);
    assert_int_equal(plan.verify, MTASTS_VERIFY_REQUIRED);
    assert_string_equal(plan.host, LISTED);
    assert_str(plan.pattern, "*.domain.com");
    assert_int_equal(plan.policy_type, MTASTS_POLICY_TYPE_STS);
    assert_int_equal(v.action, MTASTS_ACTION_DELIVER);
    assert_int_equal(v.result, MTASTS_TLSRPT_OK);
    plan = plan_for(&d, UNLISTED);
    v = verdict_for(&plan, &perfect);
    assert_int_equal(plan.use, 0);
    assert_int_equal(plan.reason, MTASTS_REASON_MX_NOT_LISTED);
    assert_int_equal(v.action, MTASTS_ACTION_NEXT_MX);
    assert_int_equal(v.result, MTASTS_TLSRPT_VALIDATION_FAILURE);
    assert_int_equal(v.recheck, 1); /* A5 */
}

/* A2: the same in testing: mx1.other.com is used, and the failure is reported. */
static void test_A2_testing_example(void **state)
{
    mtasts_delivery d = with(MTASTS_MODE_TESTING);
    mtasts_plan plan = plan_for(&d, UNLISTED);
    mtasts_verdict v = verdict_for(&plan, &perfect);
    (void)state;
    assert_int_equal(plan.use, 1);
    assert_int_equal(plan.reason, MTASTS_REASON_MX_NOT_LISTED);
    assert_int_equal(v.action, MTASTS_ACTION_DELIVER);
    assert_int_equal(v.reason, MTASTS_REASON_MX_NOT_LISTED);
    assert_int_equal(v.result, MTASTS_TLSRPT_VALIDATION_FAILURE);
    assert_int_equal(v.policy_type, MTASTS_POLICY_TYPE_STS);
    v = verdict_for(&plan, &clear); /* two failures: the first is told */
    assert_int_equal(v.action, MTASTS_ACTION_DELIVER);
    assert_int_equal(v.reason, MTASTS_REASON_MX_NOT_LISTED);
    plan = plan_for(&d, LISTED);
    v = verdict_for(&plan, &clear);
    assert_int_equal(v.action, MTASTS_ACTION_DELIVER);
    assert_int_equal(v.result, MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED);
}

/* A3, A7: what is asked for, by policy mode and local configuration. */
static void test_A3_A7_options(void **state)
{
    enum { N, O, R };
    static const struct {
        int mode, tls, verify, plan_tls, plan_verify;
    } rows[] = {
        {2, N, N, R, R}, {2, N, O, R, R}, {2, N, R, R, R}, {2, O, N, R, R}, {2, O, O, R, R},
        {2, O, R, R, R}, {2, R, N, R, R}, {2, R, O, R, R}, {2, R, R, R, R}, {1, N, N, O, O},
        {1, N, O, O, O}, {1, N, R, O, R}, {1, O, N, O, O}, {1, O, O, O, O}, {1, O, R, O, R},
        {1, R, N, R, O}, {1, R, O, R, O}, {1, R, R, R, R}, {0, N, N, N, N}, {0, N, O, N, O},
        {0, N, R, N, R}, {0, O, N, O, N}, {0, O, O, O, O}, {0, O, R, O, R}, {0, R, N, R, N},
        {0, R, O, R, O}, {0, R, R, R, R},
    };
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        mtasts_delivery d = with(rows[i].mode);
        mtasts_plan plan;
        d.tls = (mtasts_tls)(rows[i].tls - 1);
        d.verify = (mtasts_verify)rows[i].verify;
        plan = plan_for(&d, LISTED);
        assert_int_equal(plan.use, 1);
        assert_int_equal(plan.tls, rows[i].plan_tls - 1);
        assert_int_equal(plan.verify, rows[i].plan_verify);
        if (rows[i].mode)
            continue;
        d.policy = NULL; /* A3: no policy and mode none are one */
        plan = plan_for(&d, UNLISTED);
        assert_int_equal(plan.tls, rows[i].plan_tls - 1);
        assert_int_equal(plan.verify, rows[i].plan_verify);
        assert_int_equal(plan.policy_type, MTASTS_POLICY_TYPE_NO_POLICY_FOUND);
    }
}

/* A1, A10: what may go wrong in a session, and how it is told. */
static const struct {
    const char *name;
    mtasts_session session;
    mtasts_tlsrpt_result result;
} faults[] = {
    {"ok", {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_TRUSTED, 0, 0}, MTASTS_TLSRPT_OK},
    {"starttls-not-offered",
     {1, MTASTS_STARTTLS_NOT_OFFERED, MTASTS_CHAIN_TRUSTED, 1, 1},
     MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED},
    {"tls-failed",
     {1, MTASTS_STARTTLS_FAILED, MTASTS_CHAIN_TRUSTED, 1, 1},
     MTASTS_TLSRPT_VALIDATION_FAILURE},
    {"tls-failed",
     {0, MTASTS_STARTTLS_FAILED, MTASTS_CHAIN_UNCHECKED, 1, 1},
     MTASTS_TLSRPT_VALIDATION_FAILURE},
    {"chain-expired",
     {1, MTASTS_STARTTLS_FAILED, MTASTS_CHAIN_EXPIRED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_EXPIRED},
    {"name-mismatch",
     {0, MTASTS_STARTTLS_FAILED, MTASTS_CHAIN_TRUSTED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH},
    {"chain-unchecked",
     {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_UNCHECKED, 1, 1},
     MTASTS_TLSRPT_VALIDATION_FAILURE},
    {"chain-untrusted",
     {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_UNTRUSTED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED},
    {"chain-expired",
     {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_EXPIRED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_EXPIRED},
    {"chain-revoked",
     {1, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_REVOKED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED},
    {"name-mismatch",
     {0, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_TRUSTED, 1, 1},
     MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH},
};

static void test_A1_A2_A10_faults(void **state)
{
    size_t i;
    int mode;
    (void)state;
    for (i = 0; i < COUNT(faults); i++)
        for (mode = -1; mode < 3; mode++) {
            mtasts_delivery d = with(mode);
            mtasts_plan plan = plan_for(&d, LISTED);
            mtasts_verdict v = verdict_for(&plan, &faults[i].session);
            int refused = i && mode == MTASTS_MODE_ENFORCE, told = i && mode > 0;
            assert_int_equal(v.action, refused ? MTASTS_ACTION_NEXT_MX : MTASTS_ACTION_DELIVER);
            assert_int_equal(v.recheck, refused);
            assert_string_equal(mtasts_reason_name((int)v.reason), told ? faults[i].name : "ok");
            assert_int_equal(v.result, told ? faults[i].result : MTASTS_TLSRPT_OK);
        }
}

/* A4: each MX for itself, in the order that they have; an unlisted one stops nobody. */
static void test_A4_in_order(void **state)
{
    static const char *const mx[] = {UNLISTED, "mx0.domain.com", UNLISTED, "domain.com", LISTED};
    static const int used[] = {0, 1, 0, 0, 1};
    mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(mx); i++) {
        mtasts_plan plan = plan_for(&d, mx[i]);
        assert_int_equal(plan.use, used[i]);
        assert_string_equal(plan.host, mx[i]);
    }
}

/* A9: the domain itself and never its parent; an address has no policy and matches none. */
static void test_A9_hosts(void **state)
{
    static const struct {
        const char *mx, *host;
        int listed;
    } hosts[] = {
        {"MX1.Domain.COM.", "mx1.domain.com", 1},
        {"mx_1.domain.com", "mx_1.domain.com", 1},
        {"domain.com", "domain.com", 0},
        {"a.mx1.domain.com", "a.mx1.domain.com", 0},
        {"", "", 0},
        {"[192.0.2.1]", "", 0},
        {"192.0.2.1", "", 0},
        {"*.domain.com", "", 0},
        {"mx1..domain.com", "", 0},
        {"mx1.domain.com..", "", 0},
        {"b\xfc.domain.com", "", 0},
        {".domain.com", "", 0},
        {"mx1.domain.com\n", "", 0},
    };
    char out[MTASTS_NAME_SIZE];
    size_t i;
    int side;
    (void)state;
    for (i = 0; i < COUNT(hosts); i++)
        for (side = 0; side < 2; side++) {
            size_t len = strlen(hosts[i].mx);
            mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
            mtasts_plan plan;
            DIRTY(plan);
            mtasts_apply_plan(&plan, &d, fenced(0, side, hosts[i].mx, len), len);
            assert_string_equal(plan.host, hosts[i].host);
            assert_int_equal(plan.use, hosts[i].listed);
            d.policy = NULL; /* without a policy any host will do */
            assert_int_equal(plan_for(&d, hosts[i].mx).use, 1);
        }
    assert_int_equal(mtasts_policy_host(out, "sub.domain.com", 14, NULL), MTASTS_OK);
    assert_string_equal(out, "mta-sts.sub.domain.com");
    assert_int_equal(mtasts_policy_host(out, "[192.0.2.1]", 11, NULL), MTASTS_ERR_NAME_ADDRESS);
}

/* Host names cut and mutated: used under enforce exactly when listed, and always a whole plan. */
static void test_A1_mutated(void **state)
{
    const mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
    const size_t len = sizeof LISTED - 1;
    char copy[sizeof LISTED];
    size_t t, m;
    mtasts_plan plan;
    (void)state;
    for (t = 0; t <= len; t++)
        for (m = 0; m < sizeof mutants; m++) {
            size_t n = m ? len : t; /* the first round: only cut */
            const char *host;
            memcpy(copy, LISTED, len);
            copy[t < len ? t : 0] = m ? mutants[m] : copy[t < len ? t : 0];
            host = fenced(0, (int)(m & 1), copy, n);
            DIRTY(plan);
            mtasts_apply_plan(&plan, &d, host, n);
            assert_int_equal(plan.use, mtasts_policy_matches(d.policy, host, n));
            assert_true(memchr(plan.host, '\0', sizeof plan.host) != NULL);
            assert_true(!plan.use || plan.host[0]);
        }
    DIRTY(plan);
    mtasts_apply_plan(&plan, &d, NULL, 0);
    assert_int_equal(plan.use, 0);
    mtasts_apply_plan(&plan, &d, NULL, 5);
    assert_int_equal(plan.use, 0);
    assert_string_equal(plan.host, "");
}

/* A11: what the administrator wants, by policy mode. */
static void test_A11_override(void **state)
{
    static const int modes[4][3] = {{0, 1, 2}, {0, 0, 0}, {0, 1, 1}, {0, 2, 2}};
    int override, mode;
    (void)state;
    for (override = 0; override < 4; override++)
        for (mode = -1; mode < 3; mode++) {
            mtasts_delivery d = with(mode);
            d.override = (mtasts_override) override;
            assert_int_equal(plan_for(&d, LISTED).mode, mode < 0 ? 0 : modes[override][mode]);
        }
}

/* ---- every combination ---- */

typedef struct combination {
    mtasts_delivery d;
    mtasts_session s;
    int mode, listed, session; /* mode -1: no policy; session 0: NULL */
} combination;

static void broken(const combination *c, const char *rule)
{
    fail_msg("%s: mode %d override %d tls %d verify %d dane %d secure %d requiretls %d no %d "
             "listed %d; session %d: starttls %d chain %d name %d dane %d requiretls %d",
             rule, c->mode, (int)c->d.override, (int)c->d.tls, (int)c->d.verify, (int)c->d.dane,
             c->d.mx_secure, c->d.requiretls, c->d.tls_required_no, c->listed, c->session,
             (int)c->s.starttls, (int)c->s.chain, c->s.name_matches, c->s.dane_ok, c->s.requiretls);
}

#define MUST(rule, condition) \
    do {                      \
        if (!(condition))     \
            broken(c, rule);  \
    } while (0)

/* The rules once more: what counts of policy and DANE for this message. */
typedef struct rules {
    int enforce, testing, dane_failed, dane, dane_unusable, requiretls;
    int tls, pkix; /* must be encrypted, must be verified by chain and name */
} rules;

static rules rules_of(const combination *c)
{
    const mtasts_delivery *d = &c->d;
    int lifted = d->tls_required_no && !d->requiretls; /* A8 */
    int policy = c->mode > 0 && d->override != MTASTS_OVERRIDE_IGNORE && !lifted;
    rules r;
    r.enforce = policy && (d->override == MTASTS_OVERRIDE_ENFORCE ||
                           (c->mode == MTASTS_MODE_ENFORCE && d->override == MTASTS_OVERRIDE_NONE));
    r.testing = policy && !r.enforce;
    r.dane_failed = !lifted && d->dane == MTASTS_DANE_FAILED;
    r.dane = !lifted && d->dane == MTASTS_DANE_USABLE;
    r.dane_unusable = !lifted && d->dane == MTASTS_DANE_UNUSABLE;
    r.requiretls = d->requiretls;
    r.tls = d->tls == MTASTS_TLS_REQUIRED || r.enforce || r.dane || r.dane_unusable || r.requiretls;
    r.pkix = d->verify == MTASTS_VERIFY_REQUIRED || r.enforce || r.requiretls;
    return r;
}

static void check_plan(const combination *c, const mtasts_plan *p)
{
    const rules r = rules_of(c);
    int mx_ok = !r.dane_failed && (!r.enforce || c->listed) &&
                (!r.requiretls || (c->listed && (r.enforce || r.testing)) || c->d.mx_secure);
    MUST("A1, A6, A8: use", p->use == mx_ok);
    MUST("A2: testing never refuses by itself",
         !r.testing || r.dane_failed || r.requiretls || p->use);
    MUST("A7: no weaker than configured", p->tls >= c->d.tls && p->verify >= c->d.verify);
    MUST("A7: TLS", (p->tls == MTASTS_TLS_REQUIRED) == r.tls);
    MUST("A7: verification", (p->verify == MTASTS_VERIFY_REQUIRED) == (r.pkix || r.dane));
    MUST("A7: testing",
         !r.testing || (p->tls >= MTASTS_TLS_OPTIONAL && p->verify >= MTASTS_VERIFY_OPTIONAL));
    MUST("A3: as if there were none", r.tls || r.testing || p->tls == c->d.tls);
    MUST("A3: as if there were none", r.pkix || r.dane || r.testing || p->verify == c->d.verify);
    MUST("A6: DANE decides", p->dane == r.dane);
    MUST("A8: REQUIRETLS", p->requiretls == r.requiretls);
    MUST("A11: mode", p->mode == (r.enforce   ? MTASTS_MODE_ENFORCE
                                  : r.testing ? MTASTS_MODE_TESTING
                                              : MTASTS_MODE_NONE));
    MUST("M2: pattern", (p->pattern.len != 0) == (c->listed && (r.enforce || r.testing)));
    MUST("C4: host", strcmp(p->host, c->listed ? LISTED : UNLISTED) == 0);
    MUST("A10: refused with a reason", p->use || p->reason);
    MUST("A10: reason and result",
         p->reason == MTASTS_REASON_REQUIRETLS_MX
             ? (p->result == MTASTS_TLSRPT_VALIDATION_FAILURE) == (r.testing && !c->listed)
             : !p->reason == !p->result);
    MUST("A10: reason", p->reason == (r.dane_failed             ? MTASTS_REASON_DANE_LOOKUP
                                      : r.enforce && !c->listed ? MTASTS_REASON_MX_NOT_LISTED
                                      : !mx_ok                  ? MTASTS_REASON_REQUIRETLS_MX
                                      : r.testing && !c->listed ? MTASTS_REASON_MX_NOT_LISTED
                                                                : MTASTS_REASON_OK));
    MUST("A10: DNSSEC", (p->result == MTASTS_TLSRPT_DNSSEC_INVALID) == r.dane_failed);
    MUST("A10: whose", p->policy_type != MTASTS_POLICY_TYPE_STS || r.enforce || r.testing);
    MUST("A10: whose",
         p->reason != MTASTS_REASON_MX_NOT_LISTED || p->policy_type == MTASTS_POLICY_TYPE_STS);
    MUST("A10: whose", r.dane_failed + r.dane == 0 || p->reason == MTASTS_REASON_MX_NOT_LISTED ||
                           (p->reason == MTASTS_REASON_REQUIRETLS_MX && p->result) ||
                           p->policy_type == MTASTS_POLICY_TYPE_TLSA);
    MUST("A10: whose, where no TLSA record is usable",
         !r.dane_unusable || p->policy_type == (r.enforce || r.testing ? MTASTS_POLICY_TYPE_STS
                                                                       : MTASTS_POLICY_TYPE_TLSA));
    MUST("A10: whose", (p->policy_type == MTASTS_POLICY_TYPE_NO_POLICY_FOUND) ==
                           !(r.enforce || r.testing || r.dane || r.dane_unusable || r.dane_failed));
    MUST("A12: itself", mtasts_plan_same(p, p) == p->use);
}

static void check_verdict(const combination *c, const mtasts_plan *p, const mtasts_verdict *v)
{
    const rules r = rules_of(c);
    const mtasts_session *s = &c->s;
    int done = c->session && s->starttls == MTASTS_STARTTLS_DONE;
    int verified =
        c->session && (r.dane ? s->dane_ok : s->chain == MTASTS_CHAIN_TRUSTED && s->name_matches);
    /* the handshake was broken off because of the certificate */
    int blamed = c->session && s->starttls == MTASTS_STARTTLS_FAILED && !r.dane &&
                 s->chain != MTASTS_CHAIN_UNCHECKED && !verified;
    int deliver = p->use && (done || !r.tls) &&
                  (verified || !(done || blamed) || !(r.pkix || r.dane)) &&
                  (!r.requiretls || s->requiretls);
    MUST("A10: two actions",
         v->action == MTASTS_ACTION_DELIVER || v->action == MTASTS_ACTION_NEXT_MX);
    MUST("the whole", (v->action == MTASTS_ACTION_DELIVER) == deliver);
    if (deliver) {
        MUST("A1", !r.enforce || (c->listed && done && verified));
        MUST("A6", !r.dane || (done && s->dane_ok));
        MUST("A6", !r.dane_failed);
        MUST("A8", !r.requiretls || (done && verified && s->requiretls));
        MUST("A8", !r.requiretls || c->d.mx_secure || (c->listed && (r.enforce || r.testing)));
        MUST("A7", c->d.tls != MTASTS_TLS_REQUIRED || done);
        MUST("A7", c->d.verify != MTASTS_VERIFY_REQUIRED || !(done || blamed) || verified);
        MUST("A3: nothing to report", !v->reason || r.testing);
        MUST("A2: told", !r.testing || !v->reason == (c->listed && done && verified));
    } else {
        MUST("A10: refused with a reason", v->reason != MTASTS_REASON_OK);
        MUST("A10: with a result", v->result || v->reason == MTASTS_REASON_REQUIRETLS_NOT_OFFERED ||
                                       v->reason == MTASTS_REASON_REQUIRETLS_MX);
        MUST("A10: certificate faults are told even where the handshake was broken off",
             !p->use || !blamed || r.dane || (v->reason != MTASTS_REASON_TLS_FAILED));
        MUST("A3", p->use == 0 || r.tls || r.pkix);
    }
    MUST("A2: not for the policy's sake",
         !r.testing || deliver || r.requiretls || r.dane || r.dane_unusable || r.dane_failed ||
             c->d.tls == MTASTS_TLS_REQUIRED || c->d.verify == MTASTS_VERIFY_REQUIRED);
    /* what DANE or REQUIRETLS asks for, a newer policy does not lift */
    MUST("A5: look again",
         v->recheck == (r.enforce && !deliver && !r.dane_failed && !(r.dane && p->use) &&
                        v->reason != MTASTS_REASON_REQUIRETLS_NOT_OFFERED));
    MUST("A10: the plan's own", p->use || (v->reason == p->reason && v->result == p->result));
    MUST("A10: result without reason", v->reason || !v->result);
    MUST("A10: type, of what is told",
         v->policy_type == (r.dane && p->use && v->reason != p->reason &&
                                    v->reason != MTASTS_REASON_REQUIRETLS_NOT_OFFERED
                                ? MTASTS_POLICY_TYPE_TLSA
                                : p->policy_type));
    MUST("no session", c->session || !deliver || !r.tls);
    MUST("A10: text", *mtasts_reason_text((int)v->reason) != '\0');
}

static void check_sessions(combination *c, const mtasts_plan *p)
{
    static const mtasts_session zero;
    mtasts_verdict v, other;
    int i;
    c->s = zero;
    c->session = 0;
    v = verdict_for(p, NULL);
    check_verdict(c, p, &v);
    other = verdict_for(p, &zero);
    MUST("no session is one where nothing was good", memcmp(&v, &other, sizeof v) == 0);
    for (c->session = 1, i = 0; i < 3 * 5 * 2 * 2 * 2; i++) {
        c->s.starttls = (mtasts_starttls)(i % 3);
        c->s.chain = (mtasts_chain)(i / 3 % 5);
        c->s.name_matches = i / 15 % 2;
        c->s.dane_ok = i / 30 % 2;
        c->s.requiretls = i / 60 % 2;
        v = verdict_for(p, &c->s);
        check_verdict(c, p, &v);
    }
}

#define COMBINATIONS (4 * 4 * 3 * 3 * 4 * 2 * 2 * 2 * 2)

static combination combine(int i)
{
    combination c;
    memset(&c, 0, sizeof c);
    c.mode = i % 4 - 1;
    c.d = with(c.mode);
    c.d.override = (mtasts_override)((i /= 4) % 4);
    c.d.tls = (mtasts_tls)((i /= 4) % 3 - 1);
    c.d.verify = (mtasts_verify)((i /= 3) % 3);
    c.d.dane = (mtasts_dane)((i /= 3) % 4);
    c.d.mx_secure = (i /= 4) % 2;
    c.d.requiretls = (i /= 2) % 2;
    c.d.tls_required_no = (i /= 2) % 2;
    c.listed = (i /= 2) % 2;
    return c;
}

static void test_A1_to_A10_all(void **state)
{
    int i;
    (void)state;
    for (i = 0; i < COMBINATIONS; i++) {
        combination c = combine(i);
        mtasts_plan p = plan_for(&c.d, c.listed ? LISTED : UNLISTED);
        check_plan(&c, &p);
        check_sessions(&c, &p);
    }
}

/* A1: numbers that no enum has, from a host's configuration or memory, never ask for less. */
static void test_A1_wild_numbers(void **state)
{
    static const int wild[] = {3, 4, 99, 0x7fff};
    static const mtasts_session encrypted = {0, MTASTS_STARTTLS_DONE, MTASTS_CHAIN_UNTRUSTED, 0, 0};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(wild); i++) {
        mtasts_policy policy = policies[MTASTS_MODE_ENFORCE];
        mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
        mtasts_plan plan;
        d.tls = (mtasts_tls)wild[i];
        plan = plan_for(&d, LISTED);
        assert_int_equal(verdict_for(&plan, &clear).action, MTASTS_ACTION_NEXT_MX);
        d.policy = NULL;
        plan = plan_for(&d, LISTED);
        assert_int_equal(verdict_for(&plan, &clear).action, MTASTS_ACTION_NEXT_MX);
        d = with(MTASTS_MODE_ENFORCE);
        d.verify = (mtasts_verify)wild[i];
        plan = plan_for(&d, LISTED);
        assert_int_equal(verdict_for(&plan, &encrypted).action, MTASTS_ACTION_NEXT_MX);
        d.policy = NULL;
        plan = plan_for(&d, LISTED);
        assert_int_equal(verdict_for(&plan, &encrypted).action, MTASTS_ACTION_NEXT_MX);
        policy.mode = (mtasts_mode)wild[i];
        d = with(MTASTS_MODE_NONE);
        d.policy = &policy;
        plan = plan_for(&d, UNLISTED);
        assert_int_equal(plan.use, 0);
        plan = plan_for(&d, LISTED);
        assert_int_equal(verdict_for(&plan, &clear).action, MTASTS_ACTION_NEXT_MX);
        d = with(MTASTS_MODE_NONE);
        d.dane = (mtasts_dane)wild[i];
        assert_int_equal(plan_for(&d, LISTED).use, 0);
        memset(&plan, 0, sizeof plan);
        plan.use = 1;
        plan.mode = MTASTS_MODE_ENFORCE;
        assert_int_equal(verdict_for(&plan, NULL).action, MTASTS_ACTION_NEXT_MX);
    }
}

/* A1: the same of a session: what is not known to be good is not good. */
static void test_A1_wild_sessions(void **state)
{
    static const int wild[] = {5, 99, 0x7fff, -1};
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(wild); i++) {
        mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
        mtasts_plan plan = plan_for(&d, LISTED);
        mtasts_session session = perfect;
        mtasts_verdict v;
        session.chain = (mtasts_chain)wild[i];
        v = verdict_for(&plan, &session);
        assert_int_equal(v.action, MTASTS_ACTION_NEXT_MX);
        assert_int_equal(v.reason, MTASTS_REASON_CHAIN_UNTRUSTED);
        session = perfect;
        session.starttls = (mtasts_starttls)wild[i];
        v = verdict_for(&plan, &session);
        assert_int_equal(v.action, MTASTS_ACTION_NEXT_MX);
        assert_int_equal(v.reason, MTASTS_REASON_TLS_FAILED);
    }
}

/* A12: symmetric, and shared only by plans that come to the same verdict on every session. */
static void test_A12_same(void **state)
{
    static mtasts_plan p[COMBINATIONS / 9 + 1];
    size_t n = 0, a, b, same = 0;
    int i;
    mtasts_plan other;
    (void)state;
    for (i = 0; i < COMBINATIONS; i += 11) {
        combination c = combine(i);
        p[n++] = plan_for(&c.d, c.listed ? LISTED : UNLISTED);
    }
    for (a = 0; a < n; a++)
        for (b = 0; b < n; b++) {
            int yes = mtasts_plan_same(&p[a], &p[b]);
            assert_int_equal(mtasts_plan_same(&p[b], &p[a]), yes);
            assert_int_equal(yes, p[a].use && p[b].use && p[a].tls == p[b].tls &&
                                      p[a].verify == p[b].verify && p[a].dane == p[b].dane &&
                                      p[a].requiretls == p[b].requiretls &&
                                      strcmp(p[a].host, p[b].host) == 0);
            same += (size_t)yes;
        }
    assert_true(same > n);
    other = p[0];
    strcpy(other.host, "mx2.domain.com");
    assert_int_equal(mtasts_plan_same(&p[0], &other), 0);
    other.host[0] = '\0'; /* no name: nothing to go by */
    assert_int_equal(mtasts_plan_same(&other, &other), 0);
}

/* A8: truth is any number but 0. */
static void test_A8_flags(void **state)
{
    mtasts_delivery d = with(MTASTS_MODE_ENFORCE);
    mtasts_session s = perfect;
    mtasts_plan plan;
    (void)state;
    d.requiretls = d.mx_secure = d.tls_required_no = -4;
    s.requiretls = s.name_matches = 8;
    plan = plan_for(&d, LISTED);
    assert_int_equal(plan.requiretls, 1); /* REQUIRETLS wins */
    assert_int_equal(plan.mode, MTASTS_MODE_ENFORCE);
    assert_int_equal(verdict_for(&plan, &s).action, MTASTS_ACTION_DELIVER);
    s.requiretls = 0;
    assert_int_equal(verdict_for(&plan, &s).reason, MTASTS_REASON_REQUIRETLS_NOT_OFFERED);
    d.requiretls = 0; /* TLS-Required: No */
    plan = plan_for(&d, UNLISTED);
    assert_int_equal(plan.mode, MTASTS_MODE_NONE);
    assert_int_equal(verdict_for(&plan, NULL).action, MTASTS_ACTION_DELIVER);
}

/* ---- names (A10) ---- */

#define ROW(name, number, word, text) {number, word, text},
static const struct {
    int reason;
    const char *name, *text;
} reasons[] = {MTASTS_REASONS(ROW)};

static void test_A10_names(void **state)
{
    static const char *const actions[] = {"next-mx", "deliver"};
    static const char *const none[] = {"",        "DELIVER",  "deliver ", "delive",
                                       "next_mx", "next-mxx", "UNKNOWN",  "next-mx\n"};
    int i;
    size_t n;
    (void)state;
    assert_int_equal(COUNT(reasons), 13);
    for (i = -300; i < 70000; i++) {
        int known = i >= 0 && i < (int)COUNT(reasons);
        assert_string_equal(mtasts_reason_name(i), known ? reasons[i].name : "UNKNOWN");
        assert_string_equal(mtasts_reason_text(i), known ? reasons[i].text : "");
        assert_string_equal(mtasts_action_name(i), i == 0 || i == 1 ? actions[i] : "UNKNOWN");
    }
    assert_string_equal(mtasts_reason_name(INT32_MIN), "UNKNOWN");
    assert_string_equal(mtasts_reason_text(INT32_MAX), "");
    assert_string_equal(mtasts_action_name(INT32_MIN), "UNKNOWN");
    for (i = 0; i < 2; i++)
        assert_int_equal(mtasts_action_from_name(fenced(0, i, actions[i], 7), 7), i);
    for (n = 0; n < COUNT(none); n++) {
        size_t len = strlen(none[n]);
        assert_int_equal(mtasts_action_from_name(fenced(0, (int)(n & 1), none[n], len), len), -1);
    }
    assert_int_equal(mtasts_action_from_name("deliver\0", 8), -1);
    assert_int_equal(mtasts_action_from_name(NULL, 0), -1);
    assert_int_equal(mtasts_action_from_name(NULL, 7), -1);
    for (n = 0; n < COUNT(reasons); n++)
        assert_true(*reasons[n].text && strlen(reasons[n].name) < 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_A1_enforce_example), cmocka_unit_test(test_A2_testing_example),
        cmocka_unit_test(test_A3_A7_options),      cmocka_unit_test(test_A1_A2_A10_faults),
        cmocka_unit_test(test_A4_in_order),        cmocka_unit_test(test_A9_hosts),
        cmocka_unit_test(test_A1_mutated),         cmocka_unit_test(test_A11_override),
        cmocka_unit_test(test_A1_to_A10_all),      cmocka_unit_test(test_A12_same),
        cmocka_unit_test(test_A1_wild_numbers),    cmocka_unit_test(test_A1_wild_sessions),
        cmocka_unit_test(test_A8_flags),           cmocka_unit_test(test_A10_names),
    };
    return cmocka_run_group_tests(tests, parse_policies, NULL);
}
