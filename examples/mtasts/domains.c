#include "domains.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum {
    LINE_SIZE = 1024,
    FILE_MAX = 1 << 24, /* octets: about a million domains */
    BAD_SHOWN = 20
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void report(domains *list, const char *word, size_t len, const char *where, size_t line,
                   const char *why)
{
    if (++list->bad > BAD_SHOWN)
        return;
    fputs("mtasts: ", stderr);
    if (line) {
        put_escaped(stderr, where, strlen(where));
        fprintf(stderr, ":%zu: ", line);
    }
    fputs("not a domain: ", stderr);
    put_escaped(stderr, word, len < 80 ? len : 80);
    fprintf(stderr, "%s: %s\n", len < 80 ? "" : "...", why);
    if (list->bad == BAD_SHOWN)
        fputs("mtasts: no more of these are told\n", stderr);
}

/* Take over a name, unless it is known. */
static int keep(domains *list, char *name)
{
    char **found;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **names = realloc(list->names, room * sizeof *names);
        if (!names) {
            free(name);
            return trouble("out of memory", NULL, NULL);
        }
        list->names = names;
        list->room = room;
    }
    found = tsearch(name, &list->tree, compare);
    if (found && *found == name) {
        list->names[list->count++] = name;
        return 0;
    }
    free(name);
    return found ? 0 : trouble("out of memory", NULL, NULL);
}

int domains_add(domains *list, const char *word, size_t len, const char *where, size_t line)
{
    char name[MTASTS_NAME_SIZE], *copy;
    size_t at = len;
    mtasts_err err;
    while (at > 0 && word[at - 1] != '@')
        at--;
    err = mtasts_name_normalise(name, word + at, len - at, NULL);
    if (err) {
        report(list, word, len, where, line, mtasts_strerror((int)err));
        return 0;
    }
    copy = malloc(strlen(name) + 1);
    if (!copy)
        return trouble("out of memory", NULL, NULL);
    memcpy(copy, name, strlen(name) + 1);
    return keep(list, copy);
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What a line has between blanks and before a comment. */
static int add_line(domains *list, const char *text, size_t len, const char *path, size_t number)
{
    const char *comment = memchr(text, '#', len);
    size_t from = 0;
    if (comment)
        len = (size_t)(comment - text);
    if (number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        from = 3;
    while (from < len && is_blank(text[from]))
        from++;
    while (len > from && is_blank(text[len - 1]))
        len--;
    return len > from ? domains_add(list, text + from, len - from, path, number) : 0;
}

static int read_lines(domains *list, FILE *f, const char *path)
{
    char line[LINE_SIZE] = "";
    size_t len = 0, all = 0, number = 1;
    int c, result = 0;
    while (!result && (c = getc(f)) != EOF) {
        if (++all > FILE_MAX)
            return trouble("larger than 16 MiB", path, NULL);
        if (c == '\n') {
            result = add_line(list, line, len, path, number++);
            len = 0;
        } else if (len < sizeof line) { /* what is longer is no domain, whatever follows */
            line[len++] = (char)c;
        }
    }
    if (ferror(f))
        return trouble("cannot read", path, strerror(errno));
    return result ? result : add_line(list, line, len, path, number);
}

int domains_read(domains *list, const char *path)
{
    int result, standard_input = strcmp(path, "-") == 0;
    FILE *f = standard_input ? stdin : fopen(path, "rb");
    if (!f)
        return trouble("cannot open", path, strerror(errno));
    result = read_lines(list, f, path);
    if (!standard_input)
        fclose(f);
    return result;
}

void domains_free(domains *list)
{
    size_t i;
    for (i = 0; i < list->count; i++) {
        tdelete(list->names[i], &list->tree, compare);
        free(list->names[i]);
    }
    free(list->names);
}
