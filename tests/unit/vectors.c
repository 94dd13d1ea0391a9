/* Vectors in text files: tests/data (ours), and a collection named on the command line.
 * Goal: what the library says of an input is what the file says. Each line is checked, and each is
 * run with its input at an unmapped page on either side. Usage: vectors DIR [DIR...] where a DIR
 * holds *.tsv, and may hold a corpus of policies with its expected.tsv. */
#include "test.h"

#include <sys/stat.h>

#define FIELDS 64

static const char *directory;
static char buffer[1 << 20], unescaped[1 << 20];

typedef struct row {
    mtasts_str field[FIELDS];
    size_t count;
    const char *file;
    int line;
} row;

static FILE *open_file(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return fopen(path, "rb");
}

static size_t unescape(const char *in, size_t len, char *out)
{
    size_t i, n = 0;
    for (i = 0; i < len; i++) {
        if (in[i] != '\\' || i + 1 == len) {
            out[n++] = in[i];
            continue;
        }
        switch (in[++i]) {
        case 'n':
            out[n++] = '\n';
            break;
        case 'r':
            out[n++] = '\r';
            break;
        case 't':
            out[n++] = '\t';
            break;
        case '|':
            out[n++] = '|';
            break;
        case 'x': {
            char hex[3] = {in[i + 1], in[i + 2], 0};
            out[n++] = (char)strtol(hex, NULL, 16);
            i += 2;
            break;
        }
        default:
            out[n++] = in[i];
        }
    }
    return n;
}

/* The next line of a file, split at tabs. Escapes are left as they are. */
static int next_row(FILE *f, row *r, const char *name)
{
    char *p, *tab;
    do {
        if (!fgets(buffer, sizeof buffer, f))
            return 0;
        r->line++;
    } while (buffer[0] == '#');
    r->file = name;
    buffer[strcspn(buffer, "\n")] = '\0';
    r->count = 0;
    for (p = buffer;; p = tab + 1) {
        tab = strchr(p, '\t');
        assert_true(r->count < FIELDS);
        r->field[r->count].ptr = p;
        r->field[r->count++].len = tab ? (size_t)(tab - p) : strlen(p);
        if (!tab)
            return 1;
        *tab = '\0';
    }
}

static void check(const row *r, int ok, const char *got)
{
    if (!ok)
        fail_msg("%s:%d: expected %s, got %s", r->file, r->line, r->field[0].ptr, got);
}

static mtasts_str field(const row *r, size_t i, char *out)
{
    mtasts_str s = {out, 0};
    if (i < r->count)
        s.len = unescape(r->field[i].ptr, r->field[i].len, out);
    return s;
}

/* mx patterns in lower case, joined by commas, as the files have them */
static void join_mx(const mtasts_policy *p, char *out, size_t cap)
{
    mtasts_str mx;
    size_t cursor = 0, n = 0, i;
    while (mtasts_policy_next_mx(p, &cursor, &mx)) {
        if (n)
            out[n++] = ',';
        assert_true(n + mx.len + 2 < cap);
        for (i = 0; i < mx.len; i++)
            out[n++] = (char)(mx.ptr[i] >= 'A' && mx.ptr[i] <= 'Z' ? mx.ptr[i] + 32 : mx.ptr[i]);
    }
    out[n] = '\0';
}

/* r: verdict, mode, max_age, mx [, quirks] from field `first` on */
static void check_policy(const row *r, size_t first, const char *body, size_t len, int quirks)
{
    static char mx[1 << 18];
    const mtasts_str *f = r->field + first;
    mtasts_policy p;
    mtasts_diag d;
    char got[64];
    int side;
    for (side = 0; side < 2; side++) {
        const char *b = fenced(0, side, body, len);
        mtasts_err err = mtasts_policy_parse(&p, b, len, 0, &d);
        assert_diag(&d, err, len);
        if (strcmp(f[0].ptr, "invalid") == 0) {
            check(r, err != MTASTS_OK, "ok");
            continue;
        }
        check(r, err == MTASTS_OK, mtasts_err_name((int)err));
        check(r, (strcmp(f[0].ptr, "quirk") == 0) == (p.quirks != 0), "quirks");
        check(r, strcmp(f[1].ptr, mtasts_mode_name((int)p.mode)) == 0, "another mode");
        snprintf(got, sizeof got, "%u", (unsigned)p.max_age);
        check(r, strcmp(f[2].ptr, got) == 0, got);
        join_mx(&p, mx, sizeof mx);
        check(r, strcmp(f[3].ptr, mx) == 0, mx);
        if (quirks && p.quirks)
            check(r, strcmp(f[4].ptr, mtasts_quirk_name(p.quirks)) == 0, "other quirks");
        err = mtasts_policy_parse(&p, b, len, MTASTS_STRICT, &d);
        check(r, (err == MTASTS_OK) == (strcmp(f[0].ptr, "ok") == 0), "another strict verdict");
    }
}

static void policies(FILE *f, const char *name)
{
    static row r;
    r.line = 0;
    while (next_row(f, &r, name)) {
        mtasts_str body = field(&r, 4, unescaped);
        check_policy(&r, 0, body.ptr, body.len, 0);
    }
}

static void records(FILE *f, const char *name)
{
    static row r;
    static mtasts_str strings[FIELDS][FIELDS];
    mtasts_txt txt[FIELDS];
    r.line = 0;
    while (next_row(f, &r, name)) {
        size_t i, count = r.count > 2 ? r.count - 2 : 0;
        char *out = unescaped;
        mtasts_record record;
        mtasts_diag d;
        mtasts_err err;
        for (i = 0; i < count; i++) {
            const char *p = r.field[i + 2].ptr, *bar;
            txt[i].strings = strings[i];
            txt[i].count = 0;
            for (;; p = bar + 2) {
                mtasts_str *s = &strings[i][txt[i].count++];
                bar = strstr(p, "\\|");
                s->ptr = out;
                s->len = unescape(p, bar ? (size_t)(bar - p) : strlen(p), out);
                out += s->len;
                if (!bar)
                    break;
            }
        }
        DIRTY(record);
        err = mtasts_record_select(&record, txt, count, &d);
        assert_diag(&d, err, 65535);
        if (strcmp(r.field[0].ptr, "ok") == 0) {
            check(&r, err == MTASTS_OK, mtasts_err_name((int)err));
            check(&r, strcmp(record.id, r.field[1].ptr) == 0, record.id);
        } else if (strcmp(r.field[0].ptr, "none") == 0) {
            check(&r, err == MTASTS_ERR_NO_RECORD, mtasts_err_name((int)err));
        } else if (strcmp(r.field[0].ptr, "multiple") == 0) {
            check(&r, err == MTASTS_ERR_MULTIPLE_RECORDS, mtasts_err_name((int)err));
        } else if (strcmp(r.field[0].ptr, "invalid") == 0) {
            check(&r, err >= MTASTS_ERR_RECORD_FIELD && err <= MTASTS_ERR_RECORD_NO_ID,
                  mtasts_err_name((int)err));
        } else {
            check(&r, err != MTASTS_OK, "ok");
        }
    }
}

typedef int (*matcher)(const char *, size_t, const char *, size_t);

static void pairs(FILE *f, const char *name, matcher matches)
{
    static row r;
    static char second[1 << 20];
    r.line = 0;
    while (next_row(f, &r, name)) {
        mtasts_str a = field(&r, 1, unescaped), b = field(&r, 2, second);
        int side, expected = r.field[0].ptr[0] == '1';
        for (side = 0; side < 2; side++)
            check(&r,
                  matches(fenced(0, side, a.ptr, a.len), a.len, fenced(1, side, b.ptr, b.len),
                          b.len) == expected,
                  expected ? "0" : "1");
    }
}

static void mx(FILE *f, const char *name)
{
    pairs(f, name, mtasts_mx_matches);
}

static void cert_names(FILE *f, const char *name)
{
    pairs(f, name, mtasts_cert_name_matches);
}

/* The entries of a subjectAltName: only dns: ones are handed on, as a host would. */
static void cert_lists(FILE *f, const char *name)
{
    static row r;
    static char host[1 << 16];
    static mtasts_str names[4096];
    r.line = 0;
    while (next_row(f, &r, name)) {
        mtasts_str h = field(&r, 1, host);
        const char *p = r.count > 3 ? r.field[3].ptr : "";
        char *out = unescaped;
        size_t n = 0, len;
        int expected = r.field[0].ptr[0] == '1';
        for (; *p; p += len + (p[len] == ',')) {
            len = strcspn(p, ",");
            if (strncmp(p, "dns:", 4) != 0)
                continue;
            names[n].ptr = out;
            names[n].len = unescape(p + 4, len - 4, out);
            out += names[n++].len;
        }
        check(&r, mtasts_cert_matches(names, n, h.ptr, h.len) == expected, expected ? "0" : "1");
    }
}

static void media_types(FILE *f, const char *name)
{
    static row r;
    r.line = 0;
    while (next_row(f, &r, name)) {
        mtasts_str value = field(&r, 1, unescaped);
        if (value.len == 1 && value.ptr[0] == '-')
            value.ptr = NULL, value.len = 0;
        check(&r, mtasts_media_type_ok(value.ptr, value.len) == (r.field[0].ptr[0] == '1'), "not");
    }
}

static void corpus(FILE *f, const char *name)
{
    static row r;
    static char body[1 << 18];
    char path[300];
    (void)name;
    r.line = 0;
    while (next_row(f, &r, "expected.tsv")) {
        FILE *policy;
        size_t len;
        snprintf(path, sizeof path, "corpus/%s", r.field[0].ptr);
        policy = open_file(path);
        assert_non_null(policy);
        len = fread(body, 1, sizeof body, policy);
        fclose(policy);
        check_policy(&r, 1, body, len, 1);
    }
}

static void run(const char *name, void (*test)(FILE *, const char *))
{
    FILE *f = open_file(name);
    if (!f)
        skip();
    test(f, name);
    fclose(f);
}

#define TEST(function, file)                  \
    static void test_##function(void **state) \
    {                                         \
        (void)state;                          \
        run(file, function);                  \
    }
TEST(policies, "policy.tsv")
TEST(records, "txt.tsv")
TEST(mx, "mx.tsv")
TEST(cert_names, "certname.tsv")
TEST(cert_lists, "certsan.tsv")
TEST(media_types, "mediatype.tsv")
TEST(corpus, "corpus/expected.tsv")

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),   cmocka_unit_test(test_records),
        cmocka_unit_test(test_mx),         cmocka_unit_test(test_cert_names),
        cmocka_unit_test(test_cert_lists), cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_corpus),
    };
    int failed = 0;
    for (argv++; --argc > 0; argv++) {
        struct stat st;
        directory = *argv;
        if (stat(directory, &st) || !S_ISDIR(st.st_mode)) {
            fprintf(stderr, "vectors: no such directory: %s\n", directory);
            return 2;
        }
        failed += cmocka_run_group_tests_name(directory, tests, NULL, NULL);
    }
    return failed;
}
