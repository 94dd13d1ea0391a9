/* How `mtasts check` tells of a domain: a block of lines, a line of a table, a line of JSON. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common.h"

enum {
    WIDTH = 98,      /* columns */
    MARGIN = 11,     /* before everything but labels */
    SHOWN = 10,      /* patterns and findings that a person reads */
    JSON_SHOWN = 100 /* and a program */
};

static const char *severity(const mtasts_diag *d)
{
    return d->err ? "error" : d->quirk ? "quirk" : "note";
}

/* What is there to lint: the policy as it is served now, else the known one. */
static mtasts_str policy_text(const check_domain *d)
{
    mtasts_str text = d->result.policy.text;
    if (d->policy.body) {
        text.ptr = d->policy.body;
        text.len = d->policy.body_len;
    }
    return text;
}

/* ---- text ---- */

/* Words that follow `margin` columns of something else, with no line longer than WIDTH. */
static void put_words(FILE *f, size_t margin, const char *text)
{
    size_t column = margin;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > margin && column + 1 + n > WIDTH) {
            fprintf(f, "\n%*s", (int)margin, "");
            column = margin;
        } else if (column > margin) {
            fputc(' ', f);
            column++;
        }
        fprintf(f, "%.*s", (int)n, text);
        column += n;
        text += n + strspn(text + n, " ");
    }
    fputc('\n', f);
}

/* A paragraph: what is written to paragraph.f, behind a label. */
typedef struct paragraph {
    FILE *f;
    char *text;
    size_t len;
} paragraph;

/* Returns a stream to write to, for end(); NULL: no memory. */
static FILE *begin(paragraph *p)
{
    p->text = NULL;
    p->f = open_memstream(&p->text, &p->len);
    return p->f;
}

static void end(const paragraph *p, FILE *f, const char *label)
{
    fclose(p->f);
    fprintf(f, "  %-*s", MARGIN - 2, label);
    put_words(f, MARGIN, p->text ? p->text : "");
    free(p->text);
}

static void block_txt(FILE *out, const lookup_txt *txt)
{
    paragraph p;
    size_t i;
    if (!begin(&p))
        return;
    if (txt->status != DNS_CARES_OK)
        fprintf(p.f, "%s", dns_cares_text(txt->status));
    else
        fprintf(p.f, "%zu record%s, TTL %lu s", txt->count, txt->count == 1 ? "" : "s",
                (unsigned long)txt->ttl);
    if (txt->aliases) {
        fprintf(p.f, ", by %u alias%s at ", txt->aliases, txt->aliases == 1 ? "" : "es");
        put_escaped(p.f, txt->target, strlen(txt->target));
    }
    end(&p, out, "TXT");
    for (i = 0; i < txt->kept; i++) {
        fprintf(out, "%*s\"", MARGIN, "");
        put_escaped(out, txt->records[i], txt->lens[i]);
        fputs(txt->lens[i] == LOOKUP_RECORD_SIZE ? "\"...\n" : "\"\n", out);
    }
}

static void block_https(FILE *out, const lookup_https *https)
{
    char until[DATE_SIZE];
    paragraph p;
    if (!https->asked || !begin(&p))
        return;
    fprintf(p.f, "%s%s", *https->address ? https->address : "no connection",
            *https->tls ? ", " : "");
    fputs(https->tls, p.f);
    if (https->not_after)
        fprintf(p.f, ", certificate until %s", date(until, https->not_after));
    if (https->status)
        fprintf(p.f, ", status %d", https->status);
    fprintf(p.f, ", %u ms", https->milliseconds);
    end(&p, out, "HTTPS");
}

static void block_patterns(FILE *out, const mtasts_policy *policy)
{
    mtasts_str mx;
    size_t cursor = 0, n = 0;
    paragraph p;
    if (!begin(&p))
        return;
    for (; mtasts_policy_next_mx(policy, &cursor, &mx) && n < SHOWN; n++) {
        fputs(n ? ", " : "mx ", p.f);
        put_escaped(p.f, mx.ptr, mx.len);
    }
    if (policy->mx_count > SHOWN)
        fprintf(p.f, " and %zu more", policy->mx_count - SHOWN);
    end(&p, out, "");
}

static void block_findings(FILE *out, const check_domain *d)
{
    mtasts_str text = policy_text(d);
    mtasts_lint lint;
    mtasts_diag finding;
    size_t n = 0;
    char message[512];
    paragraph p;
    if (!text.ptr)
        return;
    for (mtasts_lint_init(&lint, text.ptr, text.len); mtasts_lint_next(&lint, &finding); n++) {
        if (n >= SHOWN || !begin(&p))
            continue;
        mtasts_diag_format(message, sizeof message, NULL, &finding);
        fprintf(p.f, "%s: %s", severity(&finding), message);
        end(&p, out, "");
    }
    if (n > SHOWN)
        fprintf(out, "%*s... and %zu more\n", MARGIN, "", n - SHOWN);
}

/* Where a policy comes from that was not fetched now. */
static void say_cached(FILE *f, const check_domain *d)
{
    const mtasts_result *r = &d->result;
    int64_t now = wall_clock();
    char ago[SPAN_SIZE], more[SPAN_SIZE];
    fprintf(f, "; cached, fetched %s ago, valid for %s more", span(ago, now - r->entry.fetched),
            span(more, r->entry.expires - now));
    if (r->learned != MTASTS_LEARNED_POLICY) {
        fputs("; the look-up now failed: ", f);
        lookup_why(f, &d->policy, r);
    }
}

static void block_policy(FILE *out, const check_domain *d)
{
    const mtasts_result *r = &d->result;
    char age[SPAN_SIZE];
    paragraph p;
    if (!begin(&p))
        return;
    if (r->honour) {
        fprintf(p.f, "%s, for %s (max_age %lu)", mtasts_mode_name((int)r->policy.mode),
                span(age, (int64_t)r->policy.max_age), (unsigned long)r->policy.max_age);
        if (!r->fetched)
            say_cached(p.f, d);
    } else {
        fputs("none: ", p.f);
        lookup_why(p.f, &d->policy, r);
    }
    end(&p, out, "policy");
    if (r->honour && r->policy.mx_count)
        block_patterns(out, &r->policy);
    block_findings(out, d);
    if (*d->policy.store_why && begin(&p)) {
        fprintf(p.f, "%s", d->policy.store_why);
        end(&p, out, "store");
    }
}

/* The names that a certificate has. */
static void say_names(FILE *f, const probe *p)
{
    size_t i;
    if (!p->name_count)
        fputs("no names", f);
    for (i = 0; i < p->kept; i++) {
        fputs(i ? ", " : "", f);
        put_escaped(f, p->names[i], p->lens[i]);
    }
    if (p->name_count > p->kept)
        fprintf(f, " and %zu more", p->name_count - p->kept);
}

static void say_certificate(FILE *f, const probe *p)
{
    char when[DATE_SIZE];
    switch (p->session.chain) {
    case MTASTS_CHAIN_TRUSTED:
        fprintf(f, "certificate good until %s", date(when, p->not_after));
        break;
    case MTASTS_CHAIN_EXPIRED:
        if (p->not_before > wall_clock())
            fprintf(f, "certificate not valid before %s", date(when, p->not_before));
        else
            fprintf(f, "certificate expired on %s", date(when, p->not_after));
        break;
    case MTASTS_CHAIN_REVOKED:
        fputs("certificate revoked", f);
        break;
    case MTASTS_CHAIN_UNTRUSTED:
        fputs("certificate not trusted", f);
        break;
    case MTASTS_CHAIN_UNCHECKED:
    default:
        fputs("certificate not checked", f);
    }
    if (!p->session.name_matches) {
        fputs(", for other names: ", f);
        say_names(f, p);
    }
}

static void say_session(FILE *f, const probe *p)
{
    if (p->session.starttls == MTASTS_STARTTLS_NOT_OFFERED)
        fputs("no STARTTLS", f);
    else if (p->session.starttls == MTASTS_STARTTLS_FAILED)
        fprintf(f, "STARTTLS failed%s%s", *p->why ? ": " : "", p->why);
    else
        fprintf(f, "STARTTLS, %s, ", p->tls);
    if (p->session.starttls == MTASTS_STARTTLS_DONE)
        say_certificate(f, p);
}

static void say_mx_verdict(FILE *f, const check_mx *mx)
{
    const char *reason = mtasts_reason_text((int)mx->verdict.reason);
    const char *result = mtasts_tlsrpt_result_name((int)mx->verdict.result);
    switch (mx->state) {
    case CHECK_MX_DELIVER:
        fprintf(f, "would be delivered here%s",
                check_in_clear(mx)                  ? ", in clear text"
                : mx->plan.mode == MTASTS_MODE_NONE ? ", whatever the certificate is"
                                                    : "");
        if (mx->verdict.reason)
            fprintf(f, "; not if the policy was enforced: %s (%s)", reason, result);
        break;
    case CHECK_MX_REFUSED:
        fprintf(f, "would not be delivered here: %s (%s)", reason, result);
        break;
    case CHECK_MX_DEAD:
        fprintf(f, "takes no mail: %s", mx->err ? mtasts_strerror((int)mx->err) : mx->probe->why);
        break;
    case CHECK_MX_UNREACHABLE:
        fprintf(f, "not reached from here: %s", mx->probe->why);
        break;
    case CHECK_MX_NOT_ASKED:
    default:
        fprintf(f, "not asked%s%s", mx->verdict.reason ? "; " : "",
                mx->verdict.reason ? reason : "");
    }
}

static void block_mx(FILE *out, const check_domain *d, const check_mx *mx)
{
    char label[24];
    paragraph p;
    if (!begin(&p))
        return;
    snprintf(label, sizeof label, d->mx_implicit ? "MX" : "MX %u", mx->preference);
    put_escaped(p.f, mx->host, strlen(mx->host));
    if (d->mx_implicit)
        fputs(", the domain itself: there is no MX record", p.f);
    if (mx->plan.pattern.ptr) {
        fputs(", listed as ", p.f);
        put_escaped(p.f, mx->plan.pattern.ptr, mx->plan.pattern.len);
    } else if (mx->plan.mode != MTASTS_MODE_NONE) {
        fputs(", not listed by the policy", p.f);
    }
    end(&p, out, label);
    if (mx->probe && mx->probe->reached && begin(&p)) {
        say_session(p.f, mx->probe);
        end(&p, out, "");
    }
    if (begin(&p)) {
        say_mx_verdict(p.f, mx);
        end(&p, out, "");
    }
}

void check_report_block(FILE *f, const check_domain *d)
{
    paragraph p;
    size_t i;
    fprintf(f, "%s: %s\n", d->name, check_verdict_name(d->verdict));
    block_txt(f, &d->policy.txt);
    block_https(f, &d->policy.https);
    block_policy(f, d);
    if (d->mx_null)
        fprintf(f, "  %-*snull MX: the domain accepts no mail\n", MARGIN - 2, "MX");
    else if (d->mx_status != DNS_CARES_OK && !d->mx_implicit)
        fprintf(f, "  %-*s%s\n", MARGIN - 2, "MX", dns_cares_text(d->mx_status));
    for (i = 0; i < d->mx_shown; i++)
        block_mx(f, d, &d->mx[i]);
    if (d->mx_count > d->mx_shown && !d->mx_null)
        fprintf(f, "  %-*s%zu more, not asked\n", MARGIN - 2, "MX", d->mx_count - d->mx_shown);
    if (begin(&p)) {
        check_sentence(p.f, d);
        end(&p, f, "=>");
    }
}

void check_report_head(FILE *f, int width)
{
    fprintf(f, "%-*s  %-13s  %-7s  %s\n", width, "DOMAIN", "VERDICT", "MODE", "WHY");
}

void check_report_line(FILE *f, const check_domain *d, int width)
{
    const char *mode = d->result.honour ? mtasts_mode_name((int)d->result.policy.mode) : "-";
    fprintf(f, "%-*s  %-13s  %-7s  %s\n", width, d->name, check_verdict_name(d->verdict), mode,
            d->remark ? d->remark : "out of memory");
}

/* ---- JSON
 *
 * One object a line. Members are added at times, never renamed; null is "not known" or "none".
 * Times are ISO 8601 in UTC, "2027-01-31T23:59:59Z". What is hostile is escaped as by put_json.
 *
 *   domain, verdict (protected, warning, not-delivered, unknown), sentence, milliseconds
 *   learned       nothing, none, policy, temporary, failed: mtasts_learned
 *   error         MTASTS_ERR_*, why there is no policy to be had now
 *   result        its RFC 8460 result type
 *   txt           status (ok, no-name, no-data, bad-name, servfail, refused, timeout, no-server,
 *                 aliases, malformed, no-memory), ttl, aliases, name (where they led to), count,
 *                 records
 *   https         status (0: there was no response), error (MTASTS_ERR_*), why, address, tls,
 *                 certificate_until, milliseconds; null: it was not asked
 *   policy        the one in force: mode, max_age, fetched_now, fetched, expires, id, mx, mx_count,
 *                 quirks; findings: of what is served now (severity, code, message, hint, line,
 *                 column). mode is null, and nothing but findings there, if none is in force; null:
 *                 there is none at all
 *   mx_status (as that of txt), mx_count, mx_null, mx_implicit (no MX record: the domain itself)
 *   mx            at most 20: host, preference, pattern (of the policy, that fits), verdict
 *                 (deliver, refused, dead, unreachable, not-asked), result (RFC 8460), reason, and
 *                 of those that were asked starttls (not-offered, failed, done), tls, certificate
 *                 (good, expired, revoked, not-trusted, not-checked, other-name),
 *                 certificate_until, names (at most 8), why
 */

/* A member that is not the first: printable text, in which what is hostile was escaped before. NULL
 * is null. */
static void member(FILE *f, const char *name, const char *text)
{
    fprintf(f, ", \"%s\": %s", name, text ? "\"" : "null");
    for (; text && *text; text++)
        fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputs(text ? "\"" : "", f);
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

/* What DNS had to say, for a program. */
static const char *dns_word(dns_cares_status status)
{
    switch (status) {
    case DNS_CARES_OK:
        return "ok";
    case DNS_CARES_NO_NAME:
        return "no-name";
    case DNS_CARES_NO_DATA:
        return "no-data";
    case DNS_CARES_BAD_NAME:
        return "bad-name";
    case DNS_CARES_SERVFAIL:
        return "servfail";
    case DNS_CARES_REFUSED:
        return "refused";
    case DNS_CARES_TIMEOUT:
        return "timeout";
    case DNS_CARES_NO_SERVER:
        return "no-server";
    case DNS_CARES_ALIASES:
        return "aliases";
    case DNS_CARES_MALFORMED:
        return "malformed";
    case DNS_CARES_NO_MEMORY:
    default:
        return "no-memory";
    }
}

static void json_txt(FILE *f, const lookup_txt *txt)
{
    size_t i;
    fputs(", \"txt\": {\"status\": ", f);
    put_json_z(f, dns_word(txt->status));
    fprintf(f, ", \"ttl\": %lu, \"aliases\": %u", (unsigned long)txt->ttl, txt->aliases);
    fputs(", \"name\": ", f);
    put_json_z(f, txt->target);
    fprintf(f, ", \"count\": %zu, \"records\": [", txt->count);
    for (i = 0; i < txt->kept; i++) {
        fputs(i ? ", " : "", f);
        put_json(f, txt->records[i], txt->lens[i]);
    }
    fputs("]}", f);
}

static void json_https(FILE *f, const lookup_https *https)
{
    if (!https->asked) {
        member(f, "https", NULL);
        return;
    }
    fprintf(f, ", \"https\": {\"status\": %d", https->status);
    member(f, "error", https->err ? mtasts_err_name((int)https->err) : NULL);
    member(f, "why", or_null(https->why));
    member(f, "address", or_null(https->address));
    member(f, "tls", or_null(https->tls));
    put_json_time(f, "certificate_until", https->not_after);
    fprintf(f, ", \"milliseconds\": %u}", https->milliseconds);
}

static void json_findings(FILE *f, mtasts_str text)
{
    mtasts_lint lint;
    mtasts_diag finding;
    size_t n = 0;
    for (mtasts_lint_init(&lint, text.ptr, text.len);
         n < JSON_SHOWN && mtasts_lint_next(&lint, &finding); n++) {
        fprintf(f, "%s{\"severity\": \"%s\"", n ? ", " : "", severity(&finding));
        member(f, "code",
               finding.err     ? mtasts_err_name((int)finding.err)
               : finding.quirk ? mtasts_quirk_name(finding.quirk)
                               : "note");
        member(f, "message",
               finding.err     ? mtasts_strerror((int)finding.err)
               : finding.quirk ? mtasts_quirk_text(finding.quirk)
                               : finding.text);
        if ((finding.err || finding.quirk) && *finding.text)
            member(f, "hint", finding.text);
        fprintf(f, ", \"line\": %zu, \"column\": %zu}", finding.line, finding.column);
    }
}

static void json_mode(FILE *f, const mtasts_result *r)
{
    const mtasts_policy *policy = &r->policy;
    size_t cursor = 0, n = 0;
    mtasts_str mx;
    unsigned bit;
    fprintf(f, "\"mode\": \"%s\", \"max_age\": %lu, \"fetched_now\": %s",
            mtasts_mode_name((int)policy->mode), (unsigned long)policy->max_age,
            r->fetched ? "true" : "false");
    put_json_time(f, "fetched", r->entry.fetched);
    put_json_time(f, "expires", r->entry.expires);
    fputs(", \"id\": ", f);
    put_json(f, r->entry.id.ptr, r->entry.id.len);
    fputs(", \"mx\": [", f);
    for (; n < JSON_SHOWN && mtasts_policy_next_mx(policy, &cursor, &mx); n++) {
        fputs(n ? ", " : "", f);
        put_json(f, mx.ptr, mx.len);
    }
    fprintf(f, "], \"mx_count\": %zu, \"quirks\": [", policy->mx_count);
    for (bit = 1, n = 0; bit && bit <= policy->quirks; bit <<= 1) {
        if (policy->quirks & bit)
            fprintf(f, "%s\"%s\"", n++ ? ", " : "", mtasts_quirk_name(bit));
    }
    fputs("], ", f);
}

/* null: there is no text at all, neither served nor known. */
static void json_policy(FILE *f, const check_domain *d)
{
    mtasts_str text = policy_text(d);
    if (!text.ptr) {
        member(f, "policy", NULL);
        return;
    }
    fputs(", \"policy\": {", f);
    if (d->result.honour)
        json_mode(f, &d->result);
    else
        fputs("\"mode\": null, ", f);
    fputs("\"findings\": [", f);
    json_findings(f, text);
    fputs("]}", f);
}

static const char *certificate_word(const probe *p)
{
    if (p->session.starttls != MTASTS_STARTTLS_DONE)
        return NULL;
    return p->session.chain == MTASTS_CHAIN_EXPIRED     ? "expired"
           : p->session.chain == MTASTS_CHAIN_REVOKED   ? "revoked"
           : p->session.chain == MTASTS_CHAIN_UNTRUSTED ? "not-trusted"
           : p->session.chain == MTASTS_CHAIN_UNCHECKED ? "not-checked"
           : p->session.name_matches                    ? "good"
                                                        : "other-name";
}

static void json_probe(FILE *f, const probe *p)
{
    static const char *const starttls[] = {"not-offered", "failed", "done"};
    size_t i;
    member(f, "starttls", p->reached ? starttls[p->session.starttls] : NULL);
    member(f, "tls", or_null(p->tls));
    member(f, "certificate", certificate_word(p));
    put_json_time(f, "certificate_until", p->not_after);
    fputs(", \"names\": [", f);
    for (i = 0; i < p->kept; i++) {
        fputs(i ? ", " : "", f);
        put_json(f, p->names[i], p->lens[i]);
    }
    fputc(']', f);
    member(f, "why", or_null(p->why));
}

static void json_mx(FILE *f, const check_mx *mx)
{
    static const char *const states[] = {"deliver", "refused", "dead", "unreachable", "not-asked"};
    int judged = mx->state == CHECK_MX_DELIVER || mx->state == CHECK_MX_REFUSED;
    fputs("{\"host\": ", f);
    put_json_z(f, mx->host);
    fprintf(f, ", \"preference\": %u, \"pattern\": ", mx->preference);
    if (mx->plan.pattern.ptr)
        put_json(f, mx->plan.pattern.ptr, mx->plan.pattern.len);
    else
        fputs("null", f);
    if (mx->probe)
        json_probe(f, mx->probe);
    member(f, "verdict", states[mx->state]);
    judged |= mx->verdict.reason != MTASTS_REASON_OK;
    member(f, "result", judged ? mtasts_tlsrpt_result_name((int)mx->verdict.result) : NULL);
    member(f, "reason", judged ? mtasts_reason_name((int)mx->verdict.reason) : NULL);
    fputc('}', f);
}

void check_report_json(FILE *f, const check_domain *d)
{
    mtasts_err err = d->result.diag.err; /* why the look-up has found no policy */
    paragraph p;
    size_t i;
    fputs("{\"domain\": ", f);
    put_json_z(f, d->name);
    member(f, "verdict", check_verdict_name(d->verdict));
    if (begin(&p)) {
        check_sentence(p.f, d);
        fclose(p.f);
        member(f, "sentence", p.text);
        free(p.text);
    }
    member(f, "learned", mtasts_learned_name((int)d->result.learned));
    member(f, "error", err ? mtasts_err_name((int)err) : NULL);
    member(f, "result",
           mtasts_err_tlsrpt((int)err) ? mtasts_tlsrpt_result_name((int)mtasts_err_tlsrpt((int)err))
                                       : NULL);
    json_txt(f, &d->policy.txt);
    json_https(f, &d->policy.https);
    json_policy(f, d);
    fprintf(f, ", \"mx_count\": %zu, \"mx_null\": %s, \"mx_implicit\": %s", d->mx_count,
            d->mx_null ? "true" : "false", d->mx_implicit ? "true" : "false");
    member(f, "mx_status", dns_word(d->mx_status));
    fputs(", \"mx\": [", f);
    for (i = 0; i < d->mx_shown; i++) {
        fputs(i ? ", " : "", f);
        json_mx(f, &d->mx[i]);
    }
    fprintf(f, "], \"milliseconds\": %u}\n", d->milliseconds);
}
