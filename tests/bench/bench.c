/* What the functions cost, each beside a floor: the least that anybody could do with the same input
 * (memchr for every line; memcmp of the names), measured in the same run, turn by turn. Prints
 * nanoseconds and ratios; of the many rounds the fastest counts, since all else is other load. */
#define _POSIX_C_SOURCE 200809L
#include "mtasts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 60, BIG = 65536 };

typedef struct input {
    const char *text;
    size_t len;
    mtasts_policy policy;
    const char *host; /* to match */
    mtasts_str names[20];
} input;

typedef size_t (*work)(const input *in);

static volatile size_t sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double once(work f, const input *in, size_t times)
{
    double start = now();
    size_t i;
    for (i = 0; i < times; i++)
        sink += f(in);
    return (now() - start) / (double)times;
}

/* Nanoseconds of both, measured by turns. */
static void measure(work f, work floor_of, const input *in, double *ns, double *floor_ns)
{
    size_t times = 1, round;
    while (once(f, in, times) * (double)times < 300e3)
        times *= 2;
    *ns = *floor_ns = 1e18;
    for (round = 0; round < ROUNDS; round++) {
        double a = once(f, in, times), b = once(floor_of, in, times);
        *ns = a < *ns ? a : *ns;
        *floor_ns = b < *floor_ns ? b : *floor_ns;
    }
}

static double row(const char *name, work f, work floor_of, const input *in)
{
    double ns, floor_ns;
    measure(f, floor_of, in, &ns, &floor_ns);
    printf("| %-42s | %10.1f | %10.1f | %5.1f |\n", name, ns, floor_ns, ns / floor_ns);
    return ns;
}

static size_t parse(const input *in)
{
    mtasts_policy p;
    return (size_t)mtasts_policy_parse(&p, in->text, in->len, 0, NULL) + p.mx_count;
}

static size_t lint(const input *in)
{
    mtasts_lint l;
    mtasts_diag d;
    size_t n = 0;
    for (mtasts_lint_init(&l, in->text, in->len); mtasts_lint_next(&l, &d);)
        n++;
    return n;
}

/* Find every line. */
static size_t floor_lines(const input *in)
{
    const char *p = in->text, *end = p + in->len;
    size_t n = 0;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL)
        p++, n++;
    return n;
}

static size_t record(const input *in)
{
    mtasts_str s;
    mtasts_txt t = {&s, 1};
    mtasts_record r;
    s.ptr = in->text;
    s.len = in->len;
    return (size_t)mtasts_record_select(&r, &t, 1, NULL) + (size_t)r.id[0];
}

static size_t floor_record(const input *in)
{
    char copy[128];
    memcpy(copy, in->text, in->len);
    return (size_t)copy[in->len - 1];
}

static size_t match_policy(const input *in)
{
    return (size_t)mtasts_policy_matches(&in->policy, in->host, strlen(in->host));
}

static size_t match_mx(const input *in)
{
    return (size_t)mtasts_mx_matches(in->text, in->len, in->host, strlen(in->host));
}

static size_t match_cert_name(const input *in)
{
    return (size_t)mtasts_cert_name_matches(in->text, in->len, in->host, strlen(in->host));
}

static size_t floor_names(const input *in)
{
    size_t i, n = 0, len = strlen(in->host);
    for (i = 0; i < 20; i++)
        n += in->names[i].len >= len && memcmp(in->names[i].ptr, in->host, len) == 0;
    return n;
}

static size_t floor_name(const input *in)
{
    size_t len = strlen(in->host);
    return (size_t)(memcmp(in->text + (in->len - len) / 2, in->host, len) == 0);
}

static size_t match_der(const input *in)
{
    int matches;
    mtasts_err err = mtasts_cert_der_matches((const unsigned char *)in->text, in->len, in->host,
                                             strlen(in->host), &matches);
    return (size_t)err + (size_t)matches;
}

/* Look for the object identifier of subjectAltName. */
static size_t floor_der(const input *in)
{
    const char *p = in->text, *end = p + in->len;
    while ((p = memchr(p, 0x55, (size_t)(end - p))) != NULL && end - p >= 3 &&
           memcmp(p, "\x55\x1d\x11", 3) != 0)
        p++;
    return p ? (size_t)(end - p) : 0;
}

static input repeat(const char *head, const char *unit)
{
    input in;
    char *text = malloc(BIG);
    size_t at = strlen(head), n = strlen(unit);
    memset(&in, 0, sizeof in);
    if (!text)
        abort();
    memcpy(text, head, at);
    for (; at + n <= BIG; at += n)
        memcpy(text + at, unit, n);
    in.text = text;
    in.len = at;
    return in;
}

static void policies(void)
{
    static const char head[] = "version: STSv1\nmode: enforce\nmax_age: 604800\n";
    static const char five[] = "version: STSv1\nmode: enforce\nmx: mail.example.com\n"
                               "mx: *.mail.example.net\nmax_age: 604800\n";
    input small = {
        five, sizeof five - 1, {MTASTS_MODE_NONE, 0, 0, 0, {NULL, 0}}, NULL, {{NULL, 0}}};
    input big = repeat(head, "mx: mail.example.com\n");
    input odd[6];
    static const char *const names[] = {
        "blank lines",      "lines of one letter", "`:`", "mx lines of one letter",
        "one endless line", "one endless name"};
    double each, ordinary;
    size_t i;
    odd[0] = repeat(head, "\n");
    odd[1] = repeat(head, "a\n");
    odd[2] = repeat(head, ":");
    odd[3] = repeat(head, "mx:a\n");
    odd[4] = repeat("version: STSv1\nmode: none\nmax_age: 604800\nx: ", "a");
    odd[5] = repeat("version: STSv1\nmode: none\nmax_age: 604800\nmx: ", "a.");
    row("policy of five lines", parse, floor_lines, &small);
    ordinary = row("policy of 64 KiB, 3118 mx", parse, floor_lines, &big) / (double)big.len;
    printf("\n| %-42s | %10s | %10s |\n|---|---:|---:|\n", "64 KiB of", "ns / octet", "x ordinary");
    printf("| %-42s | %10.2f | %10.1f |\n", "ordinary mx lines", ordinary, 1.0);
    for (i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        double floor_ns;
        measure(parse, floor_lines, &odd[i], &each, &floor_ns);
        each /= (double)odd[i].len;
        printf("| %-42s | %10.2f | %10.1f |\n", names[i], each, each / ordinary);
        measure(lint, floor_lines, &odd[i], &each, &floor_ns);
        each /= (double)odd[i].len;
        printf("| %-42s | %10.2f | %10.1f |\n", "... all findings of it (lint)", each,
               each / ordinary);
        free((char *)(uintptr_t)odd[i].text);
    }
    free((char *)(uintptr_t)big.text);
    printf("\n| %-42s | %10s | %10s | %5s |\n|---|---:|---:|---:|\n", "", "ns", "floor ns",
           "ratio");
}

static void matches(void)
{
    char text[2048];
    size_t n = 0, i;
    input list, one;
    memset(&list, 0, sizeof list);
    memset(&one, 0, sizeof one);
    n = (size_t)sprintf(text, "version: STSv1\nmode: enforce\nmax_age: 604800\n");
    for (i = 0; i < 20; i++) {
        list.names[i].ptr = text + n + 4;
        n += (size_t)sprintf(text + n,
                             i == 18 ? "mx: *.in%u.mail.example.com\n"
                                     : "mx: mx%02u.in.mail.example.com\n",
                             (unsigned)i);
        list.names[i].len = (size_t)(text + n - 1 - list.names[i].ptr);
    }
    if (mtasts_policy_parse(&list.policy, text, n, 0, NULL))
        abort();
    list.host = "mx19.in.mail.example.com";
    row("MX in a policy of 20: exact, the last", match_policy, floor_names, &list);
    list.host = "host.in18.mail.example.com";
    row("MX in a policy of 20: wildcard", match_policy, floor_names, &list);
    list.host = "mx20.in.mail.example.com";
    row("MX in a policy of 20: a miss", match_policy, floor_names, &list);
    one.text = "mx1.mail.example.com";
    one.host = "mx1.mail.example.com";
    one.len = strlen(one.text);
    row("MX against one pattern", match_mx, floor_name, &one);
    row("one name of a certificate", match_cert_name, floor_name, &one);
}

int main(int argc, char **argv)
{
    static char der[8192];
    static const char txt[] = "v=STSv1; id=20260131T120000Z;";
    input in;
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    memset(&in, 0, sizeof in);
    printf("| %-42s | %10s | %10s | %5s |\n|---|---:|---:|---:|\n", "", "ns", "floor ns", "ratio");
    policies();
    in.text = txt;
    in.len = sizeof txt - 1;
    row("TXT record", record, floor_record, &in);
    matches();
    if (!f) {
        fprintf(stderr, "bench: name a certificate in DER for mx1.mail.example.com\n");
        return 1;
    }
    in.text = der;
    in.len = fread(der, 1, sizeof der, f);
    in.host = "mx1.mail.example.com";
    fclose(f);
    if (match_der(&in) != 1) {
        fprintf(stderr, "bench: %s is not for mx1.mail.example.com\n", argv[1]);
        return 1;
    }
    row("a certificate (DER) and its names", match_der, floor_der, &in);
    return 0;
}
