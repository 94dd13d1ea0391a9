/* mtasts lint: all that there is to say about a policy, for its owner. */
#include "common.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 20 }; /* findings that a person reads; a binary file has thousands */

typedef struct counts {
    size_t errors, quirks, notes;
} counts;

static const char *severity(const mtasts_diag *d)
{
    return d->err ? "error" : d->quirk ? "quirk" : "note";
}

static void count(counts *c, const mtasts_diag *d)
{
    if (d->err)
        c->errors++;
    else if (d->quirk)
        c->quirks++;
    else
        c->notes++;
}

static int grade(const counts *c)
{
    return c->errors ? EXIT_UNUSABLE : c->quirks ? EXIT_QUIRKS : EXIT_CLEAN;
}

static const char *grade_name(const counts *c)
{
    static const char *const names[] = {"clean", "accepted, with quirks", "unusable"};
    return names[grade(c)];
}

static void show(const char *path, const char *text, size_t len, const mtasts_diag *d)
{
    const char *line = text + d->offset, *end;
    char message[512];
    if (d->line)
        line -= d->column - 1;
    mtasts_diag_format(message, sizeof message, NULL, d);
    put_escaped(stdout, path, strlen(path));
    /* the position is a part of the message; the severity goes between the two */
    end = d->line ? strstr(message, ": ") : NULL;
    if (end)
        printf(":%.*s: %s: %s\n", (int)(end - message), message, severity(d), end + 2);
    else
        printf(": %s: %s\n", severity(d), message);
    if (!d->line)
        return;
    end = memchr(line, '\n', len - (size_t)(line - text));
    if (!end)
        end = text + len;
    if (end > line && end[-1] == '\r')
        end--;
    put_caret(stdout, d->line, line, (size_t)(end - line), d->column);
}

static void show_json(const mtasts_diag *d, int first)
{
    printf("%s{\"severity\": \"%s\", \"code\": ", first ? "" : ", ", severity(d));
    put_json_z(stdout, d->err     ? mtasts_err_name((int)d->err)
                       : d->quirk ? mtasts_quirk_name(d->quirk)
                                  : "note");
    printf(", \"line\": %zu, \"column\": %zu, \"offset\": %zu, \"message\": ", d->line, d->column,
           d->offset);
    put_json_z(stdout, d->err     ? mtasts_strerror((int)d->err)
                       : d->quirk ? mtasts_quirk_text(d->quirk)
                                  : d->text);
    if ((d->err || d->quirk) && *d->text) {
        printf(", \"hint\": ");
        put_json_z(stdout, d->text);
    }
    printf("}");
}

static void lint_json(const char *path, const char *text, size_t len, counts *c)
{
    mtasts_lint lint;
    mtasts_diag d;
    mtasts_policy policy;
    mtasts_str mx;
    size_t cursor = 0;
    int first = 1;
    printf("{\"file\": ");
    put_json_z(stdout, path);
    printf(", \"findings\": [");
    for (mtasts_lint_init(&lint, text, len); mtasts_lint_next(&lint, &d); first = 0) {
        count(c, &d);
        show_json(&d, first);
    }
    printf("], \"verdict\": \"%s\"", c->errors ? "unusable" : c->quirks ? "quirks" : "clean");
    if (mtasts_policy_parse(&policy, text, len, 0, NULL) == MTASTS_OK) {
        printf(", \"mode\": \"%s\", \"max_age\": %lu, \"mx\": [",
               mtasts_mode_name((int)policy.mode), (unsigned long)policy.max_age);
        for (first = 1; mtasts_policy_next_mx(&policy, &cursor, &mx); first = 0) {
            printf("%s", first ? "" : ", ");
            put_json(stdout, mx.ptr, mx.len);
        }
        printf("]");
    }
    printf("}\n");
}

static void lint_text(const char *path, const char *text, size_t len, counts *c)
{
    mtasts_lint lint;
    mtasts_diag d;
    size_t n = 0;
    for (mtasts_lint_init(&lint, text, len); mtasts_lint_next(&lint, &d); n++) {
        count(c, &d);
        if (n < SHOWN)
            show(path, text, len, &d);
    }
    if (n > SHOWN)
        printf("... and %zu more\n", n - SHOWN);
    put_escaped(stdout, path, strlen(path));
    printf(": %s: %zu error%s, %zu quirk%s, %zu note%s\n", grade_name(c), c->errors,
           c->errors == 1 ? "" : "s", c->quirks, c->quirks == 1 ? "" : "s", c->notes,
           c->notes == 1 ? "" : "s");
}

int command_lint(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    int c, json = 0, result = EXIT_CLEAN;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'j')
            return bad_option(argv);
        json = 1;
    }
    if (optind == argc)
        return trouble("lint: which FILE?", NULL, NULL);
    for (; optind < argc; optind++) {
        counts found = {0, 0, 0};
        size_t len;
        char *text = read_some(argv[optind], MTASTS_POLICY_MAX, &len);
        int one = EXIT_TROUBLE;
        if (text) {
            (json ? lint_json : lint_text)(argv[optind], text, len, &found);
            one = grade(&found);
        }
        result = one > result ? one : result;
        free(text);
    }
    return result;
}
