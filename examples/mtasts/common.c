#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int trouble(const char *what, const char *subject, const char *why)
{
    fprintf(stderr, "mtasts: %s", what);
    if (subject) {
        fputs(": ", stderr);
        put_escaped(stderr, subject, strlen(subject));
    }
    if (why)
        fprintf(stderr, ": %s", why);
    fputc('\n', stderr);
    return EXIT_TROUBLE;
}

int bad_option(char **argv)
{
    return trouble("unknown option, or one without its value", argv[optind - 1],
                   "see mtasts --help");
}

char *read_some(const char *path, size_t max, size_t *len)
{
    int standard_input = strcmp(path, "-") == 0;
    FILE *f = standard_input ? stdin : fopen(path, "rb");
    char *text = malloc(max + 2);
    if (!f || !text) {
        trouble("cannot open", path, strerror(errno));
        free(text);
        if (f && !standard_input)
            fclose(f);
        return NULL;
    }
    *len = fread(text, 1, max + 1, f);
    if (ferror(f)) {
        trouble("cannot read", path, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[*len] = '\0';
    }
    if (!standard_input)
        fclose(f);
    return text;
}

void put_escaped(FILE *f, const char *text, size_t len)
{
    char out[5];
    size_t i;
    for (i = 0; i < len; i++) {
        mtasts_escape(out, sizeof out, text + i, 1);
        fputs(out, f);
    }
}

void put_json(FILE *f, const char *text, size_t len)
{
    static const char blanks[] = "\n\r\t", letters[] = "nrt";
    char out[5];
    size_t i, j;
    fputc('"', f);
    for (i = 0; i < len; i++) {
        const char *blank = text[i] ? strchr(blanks, text[i]) : NULL;
        if (blank) {
            fprintf(f, "\\%c", letters[blank - blanks]);
            continue;
        }
        mtasts_escape(out, sizeof out, text + i, 1);
        for (j = 0; out[j]; j++) {
            if (out[j] == '"' || out[j] == '\\')
                fputc('\\', f);
            fputc(out[j], f);
        }
    }
    fputc('"', f);
}

void put_json_z(FILE *f, const char *text)
{
    put_json(f, text, strlen(text));
}

const char *timestamp(char out[TIMESTAMP_SIZE], int64_t at)
{
    time_t t = (time_t)at;
    struct tm tm;
    if (at > 253402300799 || !gmtime_r(&t, &tm) ||
        !strftime(out, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(out, TIMESTAMP_SIZE, "%" PRId64, at);
    return out;
}

void put_json_time(FILE *f, const char *name, int64_t at)
{
    char when[TIMESTAMP_SIZE];
    if (at)
        fprintf(f, ", \"%s\": \"%s\"", name, timestamp(when, at));
    else
        fprintf(f, ", \"%s\": null", name);
}

void put_caret(FILE *f, size_t number, const char *line, size_t len, size_t column)
{
    enum { BEFORE = 50, WIDTH = 78 };
    size_t at = column - 1 < len ? column - 1 : len;
    size_t from = at > BEFORE ? at - BEFORE : 0;
    size_t to = len - from > WIDTH ? from + WIDTH : len;
    int margin = fprintf(f, "  %6zu | ", number);
    size_t blanks = mtasts_escape(NULL, 0, line + from, at - from);
    if (from)
        blanks += (size_t)fprintf(f, "...");
    put_escaped(f, line + from, to - from);
    fprintf(f, "%s\n%*s%*s^\n", to < len ? "..." : "", margin, "| ", (int)blanks, "");
}
