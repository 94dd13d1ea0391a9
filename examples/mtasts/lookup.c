#include "lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common.h"

static void step(lookup *l);

int64_t wall_clock(void)
{
    return (int64_t)time(NULL);
}

static char *copy(const char *text, size_t len)
{
    char *p = malloc(len + 1);
    if (p) {
        memcpy(p, text, len);
        p[len] = '\0';
    }
    return p;
}

static void keep_records(lookup_txt *txt, const dns_cares_answer *answer)
{
    size_t i, j;
    for (i = 0; i < answer->count && i < LOOKUP_RECORDS; i++) {
        char *out = txt->records[i];
        size_t len = 0;
        for (j = 0; j < answer->txt[i].count; j++) {
            const mtasts_str *s = &answer->txt[i].strings[j];
            size_t n = s->len < LOOKUP_RECORD_SIZE - len ? s->len : LOOKUP_RECORD_SIZE - len;
            if (n)
                memcpy(out + len, s->ptr, n);
            len += n;
        }
        txt->lens[i] = len;
    }
    txt->kept = i;
}

static void got_txt(void *user, const dns_cares_answer *answer)
{
    lookup *l = user;
    mtasts_request request;
    l->query = NULL;
    l->txt.status = answer->status;
    l->txt.ttl = answer->ttl;
    l->txt.aliases = answer->aliases;
    snprintf(l->txt.target, sizeof l->txt.target, "%s", answer->name ? answer->name : "");
    l->txt.count = answer->count;
    keep_records(&l->txt, answer);
    mtasts_discovery_want(&l->discovery, &request);
    mtasts_discovery_give_txt(&l->discovery, request.ticket, wall_clock(),
                              dns_cares_err(answer->status), answer->txt, answer->count,
                              answer->ttl);
    step(l);
}

static void got_https(void *user, const https_mbedtls_result *result)
{
    lookup *l = user;
    lookup_https *seen = &l->https;
    mtasts_request request;
    mtasts_err err = result->err;
    l->fetch = NULL;
    if (err == MTASTS_OK) {
        l->body = copy(result->body, result->len);
        l->body_len = result->len;
        err = l->body ? MTASTS_OK : MTASTS_ERR_LIMIT;
    }
    seen->err = err;
    seen->status = result->status;
    seen->not_after = result->not_after;
    seen->milliseconds = result->milliseconds;
    snprintf(seen->why, sizeof seen->why, "%s", result->why);
    snprintf(seen->tls, sizeof seen->tls, "%s", result->tls_version);
    tls_stream_address_text(&result->address, seen->address, sizeof seen->address);
    mtasts_discovery_want(&l->discovery, &request);
    mtasts_discovery_give_https(&l->discovery, request.ticket, wall_clock(), err, l->body,
                                l->body_len);
    step(l);
}

static void load(lookup *l, const mtasts_request *request)
{
    const char *text = NULL;
    size_t len = 0;
    mtasts_diag diag;
    mtasts_err err = store_dir_load(l->net->store, request->domain, &text, &len);
    if (err)
        snprintf(l->store_why, sizeof l->store_why, "%s", store_dir_why(l->net->store));
    if (!err && text) {
        l->stored = copy(text, len);
        l->stored_len = len;
        err = l->stored ? MTASTS_OK : MTASTS_ERR_LIMIT;
    }
    err = mtasts_discovery_give_load(&l->discovery, request->ticket, wall_clock(), err, l->stored,
                                     l->stored_len, &diag);
    if (err)
        mtasts_diag_format(l->store_why, sizeof l->store_why, NULL, &diag);
}

static void answer_save(lookup *l, const mtasts_request *request, mtasts_err err, const char *why)
{
    if (why)
        snprintf(l->store_why, sizeof l->store_why, "%s", why);
    mtasts_discovery_give_save(&l->discovery, request->ticket, wall_clock(), err);
}

static void save(lookup *l, const mtasts_request *request)
{
    mtasts_result result;
    int64_t now = wall_clock();
    const char *why = NULL;
    size_t len;
    mtasts_err err = MTASTS_ERR_LIMIT;
    char *text = malloc(MTASTS_ENTRY_MAX + 1);
    mtasts_discovery_result(&l->discovery, now, &result);
    if (text)
        err = mtasts_entry_write(text, MTASTS_ENTRY_MAX + 1, &len, &result.entry);
    if (err) {
        why = mtasts_strerror((int)err);
    } else {
        err = store_dir_save(l->net->store, request->domain, text, len, now);
        why = err ? store_dir_why(l->net->store) : NULL;
    }
    free(text);
    answer_save(l, request, err, why);
}

static void drop(lookup *l, const mtasts_request *request)
{
    mtasts_err err = store_dir_drop(l->net->store, request->domain);
    answer_save(l, request, err, err ? store_dir_why(l->net->store) : NULL);
}

static void no_memory_for_txt(lookup *l, const mtasts_request *request)
{
    l->txt.status = DNS_CARES_NO_MEMORY;
    mtasts_discovery_give_txt(&l->discovery, request->ticket, wall_clock(), MTASTS_ERR_DNS, NULL, 0,
                              0);
}

/* Do what the discovery wants until that takes time, or it is done. */
static void step(lookup *l)
{
    mtasts_request request;
    for (;;) {
        switch (mtasts_discovery_want(&l->discovery, &request)) {
        case MTASTS_WANT_LOAD:
            load(l, &request);
            break;
        case MTASTS_WANT_TXT:
            l->query = dns_cares_ask(l->net->dns, DNS_CARES_TXT, request.name, got_txt, l);
            if (l->query)
                return;
            no_memory_for_txt(l, &request);
            break;
        case MTASTS_WANT_HTTPS:
            l->https.asked = 1;
            l->fetch = https_mbedtls_start(&l->net->https, request.domain, got_https, l);
            if (l->fetch)
                return;
            l->https.err = MTASTS_ERR_LIMIT;
            mtasts_discovery_give_https(&l->discovery, request.ticket, wall_clock(),
                                        MTASTS_ERR_LIMIT, NULL, 0);
            break;
        case MTASTS_WANT_SAVE:
            save(l, &request);
            break;
        case MTASTS_WANT_DROP:
            drop(l, &request);
            break;
        case MTASTS_WANT_DONE:
        default:
            l->done(l->user);
            return;
        }
    }
}

void lookup_start(lookup *l, const network *net, const char *domain, void (*done)(void *user),
                  void *user)
{
    uint64_t random = 0;
    unsigned flags = MTASTS_REFRESH | (net->store ? 0 : MTASTS_NO_STORE);
    memset(l, 0, sizeof *l);
    l->net = net;
    l->done = done;
    l->user = user;
    /* without randomness a refresh comes at a time that can be guessed, and nothing worse */
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)wall_clock();
    mtasts_discovery_init(&l->discovery, domain, strlen(domain), NULL, flags, random, wall_clock(),
                          NULL);
    step(l);
}

void lookup_clear(lookup *l)
{
    if (l->query)
        dns_cares_cancel(l->query);
    if (l->fetch)
        https_mbedtls_cancel(l->fetch);
    free(l->stored);
    free(l->body);
    memset(l, 0, sizeof *l);
}

/* Where in record or policy, and what. */
static void diag_why(FILE *f, const lookup *l, const mtasts_diag *diag)
{
    int in_record = diag->err >= MTASTS_ERR_RECORD_FIELD && diag->err <= MTASTS_ERR_RECORD_NO_ID;
    if (in_record && l->txt.count > 1)
        fprintf(f, "TXT record %zu, column %zu: ", diag->line, diag->column);
    else if (in_record)
        fprintf(f, "column %zu of the TXT record: ", diag->column);
    else if (diag->line && diag->err >= MTASTS_ERR_POLICY_SIZE)
        fprintf(f, "line %zu, column %zu of the policy: ", diag->line, diag->column);
    fprintf(f, "%s%s%s", mtasts_strerror((int)diag->err), *diag->text ? ": " : "", diag->text);
}

void lookup_why(FILE *f, const lookup *l, const mtasts_result *result)
{
    const mtasts_diag *diag = &result->diag;
    if (result->learned == MTASTS_LEARNED_TEMPORARY && l->txt.status != DNS_CARES_OK) {
        fprintf(f, "the TXT record could not be looked up: %s", dns_cares_text(l->txt.status));
    } else if (result->learned == MTASTS_LEARNED_FAILED && !result->failed) {
        fprintf(f, "the last fetch failed, and it is too early for the next: %s",
                mtasts_strerror((int)diag->err));
    } else if (l->https.asked && l->https.err != MTASTS_OK) {
        const char *what = mtasts_strerror((int)l->https.err);
        if (strstr(l->https.why, what)) /* it says so itself, and where */
            fputs(l->https.why, f);
        else
            fprintf(f, "%s%s%s", what, *l->https.why ? ": " : "", l->https.why);
    } else {
        diag_why(f, l, diag);
    }
}
