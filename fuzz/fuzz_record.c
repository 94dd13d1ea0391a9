/* The TXT record, names, and what is written of either: sections 2, 3, 4, 6 and 7 of mtasts.h.
 *
 * Targets:  mtasts_record_select, mtasts_record_write, mtasts_name_normalise, mtasts_txt_name,
 *           mtasts_policy_host, mtasts_policy_url, mtasts_escape, mtasts_diag_format
 * Property: a record is accepted, with the same id or the same error, as by a reader that splits at
 *           ";"; however it is cut into strings; whatever the order of the records, and whatever
 *           other records there are
 *           an error's place is the first octet that is wrong: what is before it is not, what is
 *           behind it plays no part
 *           an id that was selected can be written, and selected again
 *           a name is accepted as by a reader that splits at "."; its form is its own form, and
 *           that of the name in another case and with another dot
 *           what was escaped can be read back; what is cut is the front of the whole
 *           outputs are written whole, the same when called again, and without a diag
 *           what a host hands in by mistake is told as such
 * Input:    1 octet: after so many octets a record is cut into another string (0: after each)
 *           1 octet: the size of small buffers
 *           the rest: records, each ended by 0x1e, their strings ended by 0x1f; all of it is also
 *           taken as a name, as an id, and as octets to escape
 */
#include "obvious.h"

#define RECORDS 8
#define STRINGS 32

static const mtasts_str nothing = {NULL, 0};

/* ---- A record, read by splitting it */

/* RFC 8461 3.1 sts-id, or sts-extension; `last`: nothing follows. */
static mtasts_err read_field(mtasts_str field, int last, mtasts_str *id)
{
    mtasts_str value = field, name, word;
    size_t i, end = field.len;
    while (end && is_one_of(field.ptr[end - 1], BLANKS))
        end--;
    name = cut_at(&value, '=');
    if (name.len == field.len || !name.len || name.len > 32 ||
        !all_of(name, LETTERS DIGITS "_-.") || is_one_of(*name.ptr, "_-."))
        return MTASTS_ERR_RECORD_FIELD;
    if (equals(name, "id") && !id->len) {
        for (word = value, i = 0; i < value.len && !is_one_of(value.ptr[i], BLANKS); i++)
            ;
        word.len = i;
        if (!word.len || word.len > 32 || !all_of(word, LETTERS DIGITS))
            return MTASTS_ERR_RECORD_ID;
        *id = word;
    }
    if (last && end < field.len)
        return MTASTS_ERR_RECORD_FIELD;
    value.len -= field.len - end;
    for (i = 0; i < value.len; i++)
        if (value.ptr[i] < 0x21 || value.ptr[i] > 0x7e || value.ptr[i] == '=')
            return MTASTS_ERR_RECORD_FIELD;
    return value.len ? MTASTS_OK : MTASTS_ERR_RECORD_FIELD;
}

static mtasts_err read_record(mtasts_str text, mtasts_str *id)
{
    mtasts_str field;
    mtasts_err err;
    *id = nothing;
    if (!begins(text, "v=STSv1"))
        return MTASTS_ERR_NO_RECORD;
    field = cut_front(text, 7);
    if (field.len && is_one_of(*field.ptr, LETTERS DIGITS "_-."))
        return MTASTS_ERR_NO_RECORD;
    field = cut_at(&text, ';');
    if (!all_of(cut_front(field, 7), BLANKS) || (field.len > 7 && !text.ptr))
        return MTASTS_ERR_RECORD_FIELD;
    while (text.ptr) {
        field = cut_at(&text, ';');
        while (field.len && is_one_of(*field.ptr, BLANKS))
            field = cut_front(field, 1);
        if (!field.len && !text.ptr)
            break; /* one separator may trail */
        err = read_field(field, !text.ptr, id);
        if (err)
            return err;
    }
    return id->len ? MTASTS_OK : MTASTS_ERR_RECORD_NO_ID;
}

/* ---- Answers */

typedef struct answer {
    mtasts_str text[RECORDS]; /* the strings joined */
    mtasts_str strings[RECORDS][STRINGS];
    mtasts_txt txt[RECORDS];
    size_t count;
} answer;

static size_t longest(const answer *a)
{
    size_t i, len = 0;
    for (i = 0; i < a->count; i++)
        if (a->text[i].len > len)
            len = a->text[i].len;
    return len;
}

static void add_string(answer *a, mtasts_str s)
{
    size_t i = a->count - 1, n = a->txt[i].count;
    char *text = (char *)(uintptr_t)a->text[i].ptr;
    if (n == STRINGS)
        return;
    if (s.len)
        memcpy(text + a->text[i].len, s.ptr, s.len);
    a->text[i].len += s.len;
    a->strings[i][n] = n % 2 && !s.len ? nothing : copy_of(s);
    a->txt[i].count++;
}

static void add_record(answer *a, mtasts_str record)
{
    size_t i = a->count++;
    char *text = (char *)malloc(record.len + 1);
    if (!text)
        abort();
    a->text[i] = str_of(text, 0);
    a->txt[i].strings = a->strings[i];
    a->txt[i].count = 0;
    do {
        add_string(a, cut_at(&record, 0x1f));
    } while (record.ptr);
}

static void free_answer(answer *a)
{
    size_t i, j;
    for (i = 0; i < a->count; i++) {
        drop_copy(a->text[i]);
        for (j = 0; j < a->txt[i].count; j++)
            drop_copy(a->strings[i][j]);
    }
}

static void check_diag(const mtasts_diag *d, mtasts_err err, size_t len)
{
    CHECK(d->err == err && !d->quirk);
    CHECK(d->text && strlen(d->text) < 100);
    CHECK(d->offset <= len);
    CHECK(!d->line == !d->column && (!d->line || d->column == d->offset + 1));
}

/* What must hold of any answer; `len` is that of its longest record. */
static mtasts_err select_record(mtasts_record *out, const mtasts_txt *txt, size_t count, size_t len,
                                mtasts_diag *d)
{
    static const mtasts_record zero = {{0}};
    mtasts_record again;
    mtasts_err err;
    memset(out, 0xff, sizeof *out);
    memset(d, 0xff, sizeof *d);
    memset(&again, 0x55, sizeof again);
    err = mtasts_record_select(out, txt, count, d);
    check_diag(d, err, len);
    CHECK(d->line <= count);
    CHECK(err != MTASTS_ERR_USAGE);
    CHECK(!err || memcmp(out, &zero, sizeof zero) == 0);
    CHECK(mtasts_record_select(&again, txt, count, NULL) == err);
    CHECK(memcmp(out, &again, sizeof again) == 0);
    return err;
}

static mtasts_err select_text(mtasts_str text, mtasts_diag *d)
{
    mtasts_record out;
    mtasts_txt txt;
    mtasts_str copy = copy_of(text);
    mtasts_err err;
    txt.strings = &copy;
    txt.count = 1;
    err = select_record(&out, &txt, 1, text.len, d);
    drop_copy(copy);
    return err;
}

/* P10's care for places: nothing is wrong before it, and nothing behind it matters. */
static void check_place(mtasts_str text, const mtasts_diag *d)
{
    mtasts_diag e;
    if (d->err == MTASTS_OK || d->err == MTASTS_ERR_NO_RECORD)
        return;
    select_text(str_of(text.ptr, d->offset), &e);
    CHECK(e.offset == d->offset);
    if (d->offset == text.len)
        return;
    CHECK(select_text(str_of(text.ptr, d->offset + 1), &e) == d->err);
    CHECK(e.offset == d->offset && strcmp(e.text, d->text) == 0);
}

/* One record alone: in its strings, in other strings, and as it is read above. */
static void check_record(const answer *a, size_t number, size_t step)
{
    static mtasts_str parts[65536];
    mtasts_str text = a->text[number], id;
    mtasts_record out, other;
    mtasts_diag d, e;
    mtasts_txt txt;
    mtasts_err err = select_record(&out, &a->txt[number], 1, text.len, &d);
    CHECK(err == read_record(text, &id));
    CHECK(err || equals(id, out.id));
    CHECK(d.line == 1);
    CHECK(err || d.offset == text.len);
    txt.strings = parts;
    txt.count = 0;
    for (; text.len && txt.count < COUNT(parts); txt.count++) {
        size_t n = step < text.len ? step : text.len;
        parts[txt.count] = str_of(text.ptr, n);
        text = cut_front(text, n);
    }
    if (text.len)
        return;
    CHECK(select_record(&other, &txt, 1, a->text[number].len, &e) == err);
    CHECK(memcmp(&other, &out, sizeof out) == 0);
    CHECK(e.offset == d.offset && strcmp(e.text, d.text) == 0);
    check_place(a->text[number], &d);
}

/* T2 read a second time */
static mtasts_err read_answer(const answer *a, mtasts_str *id)
{
    size_t i, one = 0, found = 0;
    *id = nothing;
    if (a->count == 1)
        return read_record(a->text[0], id);
    for (i = 0; i < a->count; i++)
        if (begins(a->text[i], "v=STSv1;")) {
            one = i;
            found++;
        }
    return found > 1 ? MTASTS_ERR_MULTIPLE_RECORDS
           : found   ? read_record(a->text[one], id)
                     : MTASTS_ERR_NO_RECORD;
}

/* Records that are none of MTA-STS, around those of the answer, change nothing. One alone that does
 * not begin with "v=STSv1;" is read all the same, but dropped among several. */
static void check_others(const answer *a, const mtasts_record *out, const mtasts_diag *d)
{
    static const mtasts_str other[] = {{"v=STSv1 ; id=1;", 15}};
    mtasts_txt txt[RECORDS + 2];
    mtasts_record with;
    mtasts_diag e;
    if (a->count == 1 && !begins(a->text[0], "v=STSv1;"))
        return;
    txt[0].strings = other;
    txt[0].count = 1;
    memcpy(txt + 1, a->txt, a->count * sizeof *txt);
    txt[a->count + 1].strings = NULL;
    txt[a->count + 1].count = 0;
    CHECK(select_record(&with, txt, a->count + 2, longest(a), &e) == d->err);
    CHECK(memcmp(&with, out, sizeof with) == 0);
    CHECK(e.offset == d->offset && e.line == (d->line ? d->line + 1 : 0));
}

/* The order plays no part but in which of several is called the second. */
static void check_reversed(const answer *a, const mtasts_record *out, const mtasts_diag *d)
{
    mtasts_txt txt[RECORDS];
    mtasts_record other;
    mtasts_diag e;
    size_t i;
    for (i = 0; i < a->count; i++)
        txt[i] = a->txt[a->count - 1 - i];
    CHECK(select_record(&other, txt, a->count, longest(a), &e) == d->err);
    CHECK(memcmp(&other, out, sizeof other) == 0);
    if (d->err != MTASTS_ERR_MULTIPLE_RECORDS) {
        CHECK(e.offset == d->offset);
        CHECK(e.line == (d->line ? a->count + 1 - d->line : 0));
    }
}

/* ---- Writing */

static void check_write(mtasts_str id, size_t cap)
{
    char out[64], small[64];
    size_t len = SIZE_MAX, small_len = SIZE_MAX;
    mtasts_record again;
    mtasts_diag d;
    mtasts_err err = mtasts_record_write(out, sizeof out, &len, id.ptr, id.len);
    mtasts_err small_err;
    CHECK((err == MTASTS_OK) == (id.len >= 1 && id.len <= 32 && all_of(id, LETTERS DIGITS)));
    CHECK(!err || (err == MTASTS_ERR_RECORD_ID && !len && !*out));
    cap %= sizeof small;
    memset(small, 'x', sizeof small);
    small_err = mtasts_record_write(cap ? small : NULL, cap, &small_len, id.ptr, id.len);
    CHECK(small_len == len);
    CHECK(small_err == (err || cap > len ? err : MTASTS_ERR_SPACE));
    CHECK(!cap || strcmp(small, small_err ? "" : out) == 0);
    CHECK(small[cap] == 'x');
    if (err)
        return;
    CHECK(strlen(out) == len);
    CHECK(select_text(str_of(out, len), &d) == MTASTS_OK);
    {
        mtasts_str text = str_of(out, len);
        mtasts_txt txt;
        txt.strings = &text;
        txt.count = 1;
        CHECK(mtasts_record_select(&again, &txt, 1, &d) == MTASTS_OK);
        CHECK(equals(id, again.id));
    }
}

/* One escape or octet at the front of `text`; how long it is, 0 at the end. */
static size_t unescape(const char *text, char *octet)
{
    static const char hex[] = "0123456789abcdef";
    *octet = *text;
    if (*text != '\\')
        return *text ? 1 : 0;
    if (text[1] == '\\')
        return 2;
    CHECK(text[1] == 'x' && is_one_of(text[2], hex) && is_one_of(text[3], hex));
    *octet = (char)(16 * (strchr(hex, text[2]) - hex) + (strchr(hex, text[3]) - hex));
    return 4;
}

static void check_escape(mtasts_str s, size_t cap)
{
    char *out = (char *)malloc(4 * s.len + 1), *small = (char *)malloc(cap ? cap : 1), octet;
    size_t len, i, n, at = 0, cut = 0;
    if (!out || !small)
        abort();
    len = mtasts_escape(out, 4 * s.len + 1, s.ptr, s.len);
    CHECK(len <= 4 * s.len && strlen(out) == len);
    for (i = 0; (n = unescape(out + at, &octet)) != 0; i++, at += n) {
        CHECK(i < s.len && octet == s.ptr[i]);
        CHECK(out[at] >= 0x20 && out[at] < 0x7f);
        CHECK(n != 4 || octet < 0x20 || octet > 0x7e);
        if (at + n < cap)
            cut = at + n;
    }
    CHECK(i == s.len);
    CHECK(mtasts_escape(cap ? small : NULL, cap, s.ptr, s.len) == len);
    CHECK(!cap || (strlen(small) == cut && memcmp(small, out, cut) == 0));
    free(small);
    free(out);
}

static void check_format(const mtasts_diag *d, size_t cap)
{
    char out[512], *small = (char *)malloc(cap ? cap : 1);
    const char *source = cap % 2 ? "_mta-sts.example.com" : NULL;
    mtasts_diag bare;
    size_t len = mtasts_diag_format(out, sizeof out, source, d);
    if (!small)
        abort();
    CHECK(len < sizeof out && strlen(out) == len);
    CHECK(strstr(out, mtasts_strerror((int)d->err)) || !d->err);
    CHECK(strstr(out, d->text));
    CHECK(!source || strstr(out, source) == out);
    CHECK(mtasts_diag_format(cap ? small : NULL, cap, source, d) == len);
    if (cap) {
        size_t cut = len < cap ? len : cap - 1;
        CHECK(strlen(small) == cut && memcmp(small, out, cut) == 0);
    }
    free(small);
    memset(&bare, 0, sizeof bare);
    bare.err = d->err;
    mtasts_diag_format(out, sizeof out, NULL, &bare);
    CHECK(begins(str_of(out, strlen(out)), mtasts_strerror((int)d->err)));
}

static void check_answer(const answer *a, size_t step, size_t cap)
{
    mtasts_record out;
    mtasts_diag d;
    mtasts_str id;
    size_t i;
    mtasts_err err = select_record(&out, a->txt, a->count, longest(a), &d);
    CHECK(err == read_answer(a, &id));
    CHECK(err || equals(id, out.id));
    for (i = 0; i < a->count; i++)
        check_record(a, i, step);
    check_others(a, &out, &d);
    check_reversed(a, &out, &d);
    check_format(&d, cap);
    check_write(err ? a->text[0] : str_of(out.id, strlen(out.id)), cap);
}

/* ---- Names */

static mtasts_err normalise(char *out, mtasts_str name, mtasts_diag *d)
{
    mtasts_err err;
    memset(out, 0xff, MTASTS_NAME_SIZE);
    memset(d, 0xff, sizeof *d);
    err = mtasts_name_normalise(out, name.ptr, name.len, d);
    check_diag(d, err, name.len);
    CHECK(!d->line);
    CHECK(memchr(out, '\0', MTASTS_NAME_SIZE));
    CHECK(!err || !*out);
    CHECK(mtasts_name_normalise(NULL, name.ptr, name.len, NULL) == err);
    return err;
}

/* The same name otherwise written: its own form; in upper case; with the other dot. */
static void check_forms(const char *form, mtasts_str name)
{
    char again[MTASTS_NAME_SIZE], other[MTASTS_NAME_SIZE + 1];
    size_t i, n = strlen(form);
    mtasts_diag d;
    CHECK(same_name(str_of(form, n), without_dot(name)));
    CHECK(normalise(again, str_of(form, n), &d) == MTASTS_OK && strcmp(again, form) == 0);
    for (i = 0; i <= n; i++) {
        CHECK(form[i] == lower_of(form[i]));
        other[i] = (char)(form[i] >= 'a' && form[i] <= 'z' ? form[i] - 32 : form[i]);
    }
    other[n] = '.';
    n += name.ptr[name.len - 1] != '.';
    CHECK(normalise(again, str_of(other, n), &d) == MTASTS_OK && strcmp(again, form) == 0);
}

/* What stands before the place of an error is a name, but for what more of it may mend. */
static void check_name_place(mtasts_str name, const mtasts_diag *d)
{
    char out[MTASTS_NAME_SIZE];
    mtasts_diag e;
    mtasts_err err = normalise(out, str_of(name.ptr, d->offset), &e);
    CHECK(err == MTASTS_OK || err == MTASTS_ERR_NAME_EMPTY || err == MTASTS_ERR_NAME_ADDRESS ||
          (err == MTASTS_ERR_NAME_HYPHEN && e.offset + 1 == d->offset));
}

static void check_prefixed(mtasts_str name, mtasts_err err, const char *form)
{
    char out[MTASTS_NAME_SIZE], url[MTASTS_URL_SIZE], expected[2 * MTASTS_NAME_SIZE];
    mtasts_diag d;
    mtasts_err its = mtasts_txt_name(out, name.ptr, name.len, &d);
    check_diag(&d, its, name.len);
    snprintf(expected, sizeof expected, "_mta-sts.%s", form);
    CHECK(its == (err || strlen(expected) <= 253 ? err : MTASTS_ERR_NAME_LONG));
    CHECK(strcmp(out, its ? "" : expected) == 0);
    its = mtasts_policy_host(out, name.ptr, name.len, &d);
    check_diag(&d, its, name.len);
    snprintf(expected, sizeof expected, "mta-sts.%s", form);
    CHECK(its == (err || strlen(expected) <= 253 ? err : MTASTS_ERR_NAME_LONG));
    CHECK(strcmp(out, its ? "" : expected) == 0);
    CHECK(mtasts_policy_url(url, name.ptr, name.len, NULL) == its);
    snprintf(expected, sizeof expected, "https://mta-sts.%s/.well-known/mta-sts.txt", form);
    CHECK(strcmp(url, its ? "" : expected) == 0);
}

static void check_name(mtasts_str name)
{
    char form[MTASTS_NAME_SIZE];
    mtasts_diag d;
    mtasts_err err = normalise(form, name, &d);
    CHECK((err == MTASTS_OK) == is_host(name));
    CHECK((err == MTASTS_ERR_NAME_ADDRESS) ==
          (begins(name, "[") || (is_name(name) && last_label_is_digits(name))));
    CHECK(err == MTASTS_OK || (err >= MTASTS_ERR_NAME_EMPTY && err <= MTASTS_ERR_NAME_ADDRESS));
    if (err)
        check_name_place(name, &d);
    else
        check_forms(form, name);
    check_prefixed(name, err, form);
}

/* A length without octets, or nothing to write to. */
static void check_misuse(const answer *a, size_t len)
{
    static const mtasts_str string = {NULL, 1};
    static const mtasts_txt txt = {&string, 1};
    mtasts_record out;
    mtasts_diag d;
    char c = 'x';
    size_t n;
    CHECK(mtasts_record_select(NULL, a->txt, a->count, &d) == MTASTS_ERR_USAGE);
    CHECK(mtasts_record_select(&out, NULL, len + 1, &d) == MTASTS_ERR_USAGE);
    CHECK(mtasts_record_select(&out, NULL, 0, &d) == MTASTS_ERR_NO_RECORD);
    CHECK(mtasts_record_select(&out, &txt, 1, &d) == MTASTS_ERR_NO_RECORD);
    CHECK(mtasts_name_normalise(NULL, NULL, len + 1, &d) == MTASTS_ERR_USAGE);
    CHECK(mtasts_record_write(&c, 1, &n, NULL, len) == MTASTS_ERR_RECORD_ID && !n && !c);
    c = 'x';
    CHECK(mtasts_escape(&c, 1, NULL, len) == 0 && !c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    size_t step, cap;
    mtasts_str text, rest;
    answer a;
    in.at = data;
    in.left = size;
    step = take_octet(&in);
    cap = take_octet(&in);
    rest = text = take_copy(&in, in.left);
    a.count = 0;
    while (rest.ptr && a.count < RECORDS)
        add_record(&a, cut_at(&rest, 0x1e));
    check_answer(&a, step ? step : 1, cap);
    check_misuse(&a, cap);
    free_answer(&a);
    check_name(text);
    check_write(text, cap);
    check_escape(text, cap);
    check_name(nothing);
    drop_copy(text);
    return 0;
}
