/* mtasts txt: the TXT records of one answer. */
#include "common.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 65535 }; /* octets of a DNS message */

/* The records, with room for all that an answer can hold. */
typedef struct answer {
    mtasts_txt *records;
    mtasts_str *strings;
    size_t count, strings_count;
} answer;

/* Text in quotes is the strings of a record as dig prints them, with its \" \\ and \DDD. The text
 * is rewritten in place. 0: it is no such text. */
static int add_quoted(answer *a, char *p)
{
    mtasts_txt *r = &a->records[a->count];
    for (;;) {
        mtasts_str *s = &a->strings[a->strings_count];
        char *out = p;
        p += strspn(p, " \t");
        if (!*p)
            return 1;
        if (*p++ != '"')
            return 0;
        s->ptr = out;
        for (; *p && *p != '"'; p++) {
            if (*p != '\\') {
                *out++ = *p;
            } else if (strspn(p + 1, "0123456789") >= 3) {
                int octet = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
                if (octet > 255)
                    return 0;
                *out++ = (char)octet;
                p += 3;
            } else if (*++p) {
                *out++ = *p;
            } else {
                return 0;
            }
        }
        if (*p++ != '"')
            return 0;
        s->len = (size_t)(out - s->ptr);
        a->strings_count++;
        r->count++;
    }
}

static int add_record(answer *a, char *text)
{
    mtasts_txt *r = &a->records[a->count];
    int ok = 1;
    r->strings = &a->strings[a->strings_count];
    r->count = 0;
    if (text[strspn(text, " \t")] == '"') {
        ok = add_quoted(a, text);
    } else {
        a->strings[a->strings_count].ptr = text;
        a->strings[a->strings_count++].len = strlen(text);
        r->count = 1;
    }
    a->count++;
    return ok;
}

/* A record's strings as one. The caller frees it. */
static char *joined(const mtasts_txt *r, size_t *len)
{
    char *text = malloc(ANSWER_MAX + 1);
    size_t i;
    *len = 0;
    for (i = 0; text && i < r->count; i++) {
        memcpy(text + *len, r->strings[i].ptr, r->strings[i].len);
        *len += r->strings[i].len;
    }
    return text;
}

static void show(const mtasts_txt *r, size_t number)
{
    mtasts_record record;
    mtasts_diag d;
    size_t len;
    char *text = joined(r, &len);
    mtasts_err err = mtasts_record_select(&record, r, 1, &d);
    printf("record %zu: ", number);
    if (!err)
        printf("an MTA-STS record, id %s\n", record.id);
    else if (err == MTASTS_ERR_NO_RECORD)
        printf("not an MTA-STS record\n");
    else
        printf("column %zu: %s%s%s\n", d.column, mtasts_strerror((int)err), *d.text ? ": " : "",
               d.text);
    if (text)
        put_caret(stdout, number, text, len, err == MTASTS_OK ? 1 : d.column);
    free(text);
}

static void show_json(const mtasts_record *record, const mtasts_diag *d)
{
    printf("{\"result\": ");
    put_json_z(stdout, mtasts_err_name((int)d->err));
    printf(", \"message\": ");
    put_json_z(stdout, mtasts_strerror((int)d->err));
    if (d->err)
        printf(", \"record\": %zu, \"column\": %zu", d->line, d->column);
    else
        printf(", \"id\": \"%s\"", record->id);
    printf("}\n");
}

static int judge(const answer *a, int json)
{
    mtasts_record record;
    mtasts_diag d;
    size_t i;
    mtasts_err err = mtasts_record_select(&record, a->records, a->count, &d);
    if (json) {
        show_json(&record, &d);
    } else {
        for (i = 0; i < a->count; i++)
            show(&a->records[i], i + 1);
        printf("answer: %s%s\n", err ? mtasts_strerror((int)err) : "policy id ", record.id);
    }
    return err == MTASTS_OK ? EXIT_CLEAN : err == MTASTS_ERR_NO_RECORD ? 1 : EXIT_UNUSABLE;
}

/* All records: from the arguments, or from the lines of standard input. */
static int collect(answer *a, char **arguments, char *lines)
{
    char *line, *rest = lines;
    if (!lines) {
        for (; *arguments; arguments++)
            if (!add_record(a, *arguments))
                return trouble("txt: bad quoting, or a quote is not closed", NULL, NULL);
        return 0;
    }
    while ((line = rest) != NULL && *line) {
        rest = strchr(line, '\n');
        if (rest)
            *rest++ = '\0';
        if (!add_record(a, line))
            return trouble("txt: bad quoting, or a quote is not closed", NULL, NULL);
    }
    return 0;
}

int command_txt(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    answer a = {NULL, NULL, 0, 0};
    int c, json = 0, result;
    size_t len = 0, i;
    char *lines = NULL;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'j')
            return bad_option(argv);
        json = 1;
    }
    argv += optind;
    if (argv[0] && strcmp(argv[0], "-") == 0 && !argv[1]) {
        lines = read_some("-", ANSWER_MAX, &len);
        if (!lines)
            return EXIT_TROUBLE;
        if (memchr(lines, '\0', len)) {
            free(lines);
            return trouble("txt: a NUL: write it \\000 in quotes, as dig does", NULL, NULL);
        }
    } else {
        for (i = 0; argv[i]; i++)
            len += strlen(argv[i]) + 1;
    }
    /* every record and every string takes an octet or more */
    a.records = calloc(len + 2, sizeof *a.records);
    a.strings = calloc(len + 2, sizeof *a.strings);
    if (len > ANSWER_MAX)
        result = trouble("txt: no DNS answer is so large", NULL, NULL);
    else if (!a.records || !a.strings)
        result = trouble("out of memory", NULL, NULL);
    else if ((result = collect(&a, argv, lines)) == 0)
        result = judge(&a, json);
    free(a.records);
    free(a.strings);
    free(lines);
    return result;
}
