/* What becomes of mail to a domain, and why. What is allowed comes from mtasts_apply_plan and
 * mtasts_apply_verdict; here it is put together for all of its MX hosts. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common.h"

enum {
    NAMED = 3, /* MX hosts that a sentence names */
    DAY = 24 * 3600
};

const char *check_verdict_name(check_verdict verdict)
{
    static const char *const names[] = {"protected", "warning", "not-delivered", "unknown"};
    return names[verdict];
}

/* No address, but not because there is none. */
static int is_dns_trouble(const probe *p)
{
    return p->stage == SMTP_PROBE_ADDRESS && p->dns != DNS_CARES_NO_NAME &&
           p->dns != DNS_CARES_NO_DATA && p->dns != DNS_CARES_BAD_NAME;
}

/* It said nothing in time, or that it has no time now. A sender would wait longer (RFC 5321
 * 4.5.3.2), and come again. */
static int is_undecided(const probe *p)
{
    return p->stage >= SMTP_PROBE_GREETING && !p->reached && p->code < 500;
}

int check_in_clear(const check_mx *mx)
{
    return mx->state == CHECK_MX_DELIVER && mx->probe->session.starttls != MTASTS_STARTTLS_DONE;
}

static void judge_mx(check_mx *mx, const mtasts_delivery *delivery)
{
    const mtasts_session *session = mx->probe ? &mx->probe->session : NULL;
    mtasts_apply_plan(&mx->plan, delivery, mx->host, strlen(mx->host));
    mtasts_apply_verdict(&mx->verdict, &mx->plan, session);
    if (!mx->plan.use)
        mx->state = CHECK_MX_REFUSED;
    else if (mx->err)
        mx->state = CHECK_MX_DEAD;
    else if (!mx->probe)
        mx->state = CHECK_MX_NOT_ASKED;
    else if (mx->probe->stage == SMTP_PROBE_CONNECT || is_dns_trouble(mx->probe) ||
             is_undecided(mx->probe))
        mx->state = CHECK_MX_UNREACHABLE;
    else if (!mx->probe->reached)
        mx->state = CHECK_MX_DEAD;
    else if (mx->verdict.action == MTASTS_ACTION_DELIVER)
        mx->state = CHECK_MX_DELIVER;
    else
        mx->state = CHECK_MX_REFUSED;
    if (mx->state != CHECK_MX_DELIVER && mx->state != CHECK_MX_REFUSED) {
        /* there was no session: what is known without one */
        mx->verdict.reason = mx->plan.reason;
        mx->verdict.result = mx->plan.result;
    }
}

static size_t count(const check_domain *d, check_mx_state state)
{
    size_t i, n = 0;
    for (i = 0; i < d->mx_shown; i++)
        n += d->mx[i].state == state;
    return n;
}

static void name_some(FILE *f, const check_domain *d, check_mx_state state)
{
    size_t i, n = 0, all = count(d, state);
    for (i = 0; i < d->mx_shown && n < NAMED; i++) {
        if (d->mx[i].state != state)
            continue;
        fputs(n++ ? ", " : "", f);
        put_escaped(f, d->mx[i].host, strlen(d->mx[i].host));
    }
    if (all > n)
        fprintf(f, " and %zu more", all - n);
}

/* Between two remarks. */
static void separate(FILE *f)
{
    fputs(ftell(f) > 0 ? "; " : "", f);
}

/* What is wrong with one MX; or would be, if the policy was enforced. */
static void remark_mx(FILE *f, const check_mx *mx)
{
    separate(f);
    put_escaped(f, mx->host, strlen(mx->host));
    fputs(": ", f);
    if (mx->state == CHECK_MX_UNREACHABLE)
        fprintf(f, "not reached from here: %s", mx->probe->why);
    else if (mx->state == CHECK_MX_DEAD && mx->err)
        fputs(mtasts_strerror((int)mx->err), f);
    else if (mx->state == CHECK_MX_DEAD)
        fputs(mx->probe->why, f);
    else if (mx->verdict.reason)
        fprintf(f, "%s%s", mtasts_reason_text((int)mx->verdict.reason),
                check_in_clear(mx) ? ", so that mail goes there in clear text" : "");
    else
        fputs("mail goes there in clear text", f);
}

static int is_faulty(const check_mx *mx)
{
    return mx->state == CHECK_MX_REFUSED || mx->state == CHECK_MX_DEAD ||
           mx->state == CHECK_MX_UNREACHABLE || mx->verdict.reason != MTASTS_REASON_OK ||
           check_in_clear(mx);
}

static void remark_faulty(FILE *f, const check_domain *d)
{
    size_t i, n = 0, more = 0;
    for (i = 0; i < d->mx_shown; i++) {
        if (!is_faulty(&d->mx[i]))
            continue;
        if (n < NAMED)
            remark_mx(f, &d->mx[i]);
        else
            more++;
        n++;
    }
    if (more)
        fprintf(f, "; and %zu more MX hosts", more);
}

/* What is wrong with the policy or missing of it, for a domain that mail is delivered to. */
static void remark_policy(FILE *f, const check_domain *d)
{
    const mtasts_result *r = &d->result;
    if (r->learned != MTASTS_LEARNED_POLICY) {
        separate(f);
        fputs(r->honour ? "its policy is a cached one: " : "it has no policy in force: ", f);
        lookup_why(f, &d->policy, r);
    }
    if (r->honour && r->policy.mode == MTASTS_MODE_NONE) {
        separate(f);
        fputs("the mode of its policy is none", f);
    }
    if (r->honour && r->policy.mode == MTASTS_MODE_TESTING) {
        separate(f);
        fputs("its policy is in mode testing, which protects nothing", f);
    }
    if (r->honour && r->policy.mode == MTASTS_MODE_ENFORCE && r->policy.max_age < DAY) {
        char age[SPAN_SIZE];
        separate(f);
        fprintf(f, "its max_age is only %s, and the protection ends that soon after the last fetch",
                span(age, (int64_t)r->policy.max_age));
    }
    if (r->honour && r->policy.quirks) {
        separate(f);
        fputs("its policy departs from the grammar", f);
    }
}

/* No MX record to go by: 1 if that decides it. */
static int judge_records(check_domain *d, FILE *f)
{
    if (d->mx_status == DNS_CARES_NO_NAME || d->mx_status == DNS_CARES_BAD_NAME) {
        d->verdict = CHECK_UNDELIVERED;
        fputs("the domain does not exist", f);
    } else if (d->mx_status != DNS_CARES_OK && !d->mx_implicit) {
        d->verdict = CHECK_UNKNOWN;
        fprintf(f, "its MX records could not be looked up (mail would wait in the queue): %s",
                dns_cares_text(d->mx_status));
    } else if (d->mx_null) {
        d->verdict = CHECK_UNDELIVERED;
        fputs("it accepts no mail (null MX)", f);
    } else {
        return 0;
    }
    return 1;
}

/* Nobody knows what a sender does without the policy. */
static void remark_temporary(FILE *f, const check_domain *d)
{
    lookup_why(f, &d->policy, &d->result);
    fputs(" (a sender that has the policy cached goes on with it, another waits or delivers "
          "without)",
          f);
}

static void judge_hosts(check_domain *d, FILE *f)
{
    int some = count(d, CHECK_MX_DELIVER) || (!d->pool && count(d, CHECK_MX_NOT_ASKED));
    if (some && d->result.learned == MTASTS_LEARNED_TEMPORARY && !d->result.honour) {
        d->verdict = CHECK_UNKNOWN;
        remark_temporary(f, d);
    } else if (some) {
        remark_policy(f, d);
        remark_faulty(f, d);
        d->verdict = ftell(f) > 0 ? CHECK_WARNING : CHECK_PROTECTED;
        if (d->verdict == CHECK_PROTECTED)
            name_some(f, d, d->pool ? CHECK_MX_DELIVER : CHECK_MX_NOT_ASKED);
    } else if (count(d, CHECK_MX_UNREACHABLE) || count(d, CHECK_MX_NOT_ASKED)) {
        d->verdict = CHECK_UNKNOWN;
        fputs("no MX host that may have it can be reached from here, which says nothing about the "
              "policy (port 25 is often blocked: --no-smtp)",
              f);
        remark_faulty(f, d);
    } else {
        d->verdict = CHECK_UNDELIVERED;
        remark_faulty(f, d);
    }
}

void check_judge(check_domain *d)
{
    mtasts_delivery delivery;
    size_t i, len;
    FILE *f;
    mtasts_discovery_result(&d->policy.discovery, wall_clock(), &d->result);
    memset(&delivery, 0, sizeof delivery);
    delivery.policy = d->result.honour ? &d->result.policy : NULL;
    for (i = 0; i < d->mx_shown; i++)
        judge_mx(&d->mx[i], &delivery);
    d->verdict = CHECK_UNKNOWN;
    f = open_memstream(&d->remark, &len);
    if (!f)
        return;
    if (!judge_records(d, f))
        judge_hosts(d, f);
    fclose(f);
}

void check_sentence(FILE *f, const check_domain *d)
{
    static const char *const forms[][2] = {{"mail to ", " would be delivered (to "},
                                           {"mail to ", " would be delivered, but "},
                                           {"mail to ", " would not be delivered: "},
                                           {"what becomes of mail to ", " cannot be told: "}};
    if (d->verdict == CHECK_PROTECTED && !d->pool) {
        fprintf(f, "mail to %s would go to %s over verified TLS only (%s not asked)", d->name,
                d->remark, count(d, CHECK_MX_NOT_ASKED) == 1 ? "it was" : "they were");
        return;
    }
    fprintf(f, "%s%s%s%s", forms[d->verdict][0], d->name, forms[d->verdict][1],
            d->remark ? d->remark : "out of memory");
    if (d->verdict == CHECK_PROTECTED)
        fputs(", over verified TLS)", f);
}
