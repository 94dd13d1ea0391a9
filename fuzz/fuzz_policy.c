/* The policy, read and written: sections 5 and 6 of mtasts.h.
 *
 * Targets:  mtasts_policy_parse, mtasts_policy_next_mx, mtasts_policy_next_line, mtasts_lint_init,
 *           mtasts_lint_next, mtasts_policy_write, mtasts_policy_compose, mtasts_diag_format
 * Property: a reader that cuts the body into lines, and lines into keys and values, finds the same
 *           first error in the same line, the same mode, max_age, patterns and quirks
 *           strict parsing accepts what has no quirks, and tells the first quirk or error
 *           lint finds an error where parsing does, as many errors and quirks as that reader, and
 *           at most one note for a line
 *           what is written parses to the same without quirks, and is written so again; composed
 *           from the same patterns it is the same, but for underscores and addresses
 *           lines joined are the body; an error's line and column are those of its offset; the
 *           lines behind it play no part
 *           outputs are written whole, the same when called again, and without a diag
 *           iterating over a body that is no policy stays in it, and ends
 *           what a host hands in by mistake is told as such
 * Input:    1 octet: 0xfe or 0xff, and the next 0xf8 or more: lines fill the body up to 65536
 *                    octets, short ones of mx or long ones that are ignored
 *                    other odd numbers: a good policy stands behind the body
 *           1 octet: the size of small buffers; bits 0 to 2: how many more, less 4
 *           the rest: the body
 */
#include "obvious.h"

/* ---- A policy, read by cutting it into lines */

enum { VERSION = 1, MODE = 2, MAX_AGE = 4, MX = 8 };

typedef struct reading {
    mtasts_err err; /* the first, and in which line; 0: it is about what is missing */
    size_t line;
    mtasts_mode mode;
    uint32_t max_age;
    mtasts_str *mx; /* as the policy says them, without a trailing dot */
    size_t mx_count;
    unsigned seen;
    unsigned quirks, early; /* in all lines; up to the first error */
    size_t lines, errors, quirk_count;
} reading;

static void note_quirk(reading *r, unsigned quirk)
{
    r->quirks |= quirk;
    r->quirk_count++;
    if (!r->err)
        r->early |= quirk;
}

static mtasts_str trim(mtasts_str s)
{
    while (s.len && is_one_of(*s.ptr, BLANKS))
        s = cut_front(s, 1);
    while (s.len && is_one_of(s.ptr[s.len - 1], BLANKS))
        s.len--;
    return s;
}

/* RFC 3629: how many octets the character has, 0 if it is none. Decoded, it must need so many. */
static size_t utf8_len(mtasts_str s)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned first = (unsigned char)*s.ptr;
    size_t i, n = (first & 0xe0) == 0xc0 ? 2 : (first & 0xf0) == 0xe0 ? 3 : 4;
    unsigned long c = first & (0x7fu >> n);
    if (first < 0xc0 || first > 0xf7 || s.len < n)
        return 0;
    for (i = 1; i < n; i++) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

/* P8 */
static int is_value(mtasts_str s)
{
    size_t n, all = s.len;
    for (; s.len; s = cut_front(s, n)) {
        n = *s.ptr >= 0x20 && *s.ptr < 0x7f ? 1 : utf8_len(s);
        if (!n)
            return 0;
    }
    return all > 0;
}

/* P6; an address is a pattern too, that matches nothing. */
static mtasts_err read_mx(reading *r, mtasts_str value)
{
    mtasts_str name = value;
    if (begins(name, "*."))
        name = cut_front(name, 2);
    if (!is_name(name))
        return MTASTS_ERR_POLICY_MX;
    if (name.ptr[name.len - 1] == '.')
        note_quirk(r, MTASTS_QUIRK_TRAILING_DOT);
    if (memchr(name.ptr, '_', name.len))
        note_quirk(r, MTASTS_QUIRK_UNDERSCORE);
    r->mx[r->mx_count++] = without_dot(value);
    return MTASTS_OK;
}

/* P4 */
static mtasts_err read_max_age(reading *r, mtasts_str value)
{
    uint64_t seconds = 0;
    if (!value.len || value.len > 10 || !all_of(value, DIGITS))
        return MTASTS_ERR_POLICY_MAX_AGE;
    for (; value.len; value = cut_front(value, 1))
        seconds = 10 * seconds + (uint64_t)(*value.ptr - '0');
    if (seconds > 31557600) {
        note_quirk(r, MTASTS_QUIRK_MAX_AGE);
        seconds = 31557600;
    }
    r->max_age = (uint32_t)seconds;
    return MTASTS_OK;
}

static mtasts_err read_mode(reading *r, mtasts_str value)
{
    if (equals(value, "enforce"))
        r->mode = MTASTS_MODE_ENFORCE;
    else if (equals(value, "testing"))
        r->mode = MTASTS_MODE_TESTING;
    else if (equals(value, "none"))
        r->mode = MTASTS_MODE_NONE;
    else
        return MTASTS_ERR_POLICY_MODE;
    return MTASTS_OK;
}

static unsigned known_key(mtasts_str key)
{
    return equals(key, "version")   ? VERSION
           : equals(key, "mode")    ? MODE
           : equals(key, "max_age") ? MAX_AGE
           : equals(key, "mx")      ? MX
                                    : 0;
}

static mtasts_err read_line(reading *r, mtasts_str line)
{
    mtasts_str value = line, key;
    unsigned field, seen = r->seen;
    if (!trim(line).len) {
        note_quirk(r, MTASTS_QUIRK_BLANK_LINE);
        return MTASTS_OK;
    }
    if (is_one_of(*line.ptr, BLANKS))
        note_quirk(r, MTASTS_QUIRK_INDENT);
    while (is_one_of(*value.ptr, BLANKS))
        value = cut_front(value, 1);
    key = cut_at(&value, ':');
    if (!value.ptr)
        return MTASTS_ERR_POLICY_LINE;
    value = trim(value);
    field = known_key(key);
    r->seen |= field;
    if (field == MX)
        return read_mx(r, value);
    if (seen & field) /* P7 */
        return MTASTS_OK;
    if (field == VERSION)
        return equals(value, "STSv1") ? MTASTS_OK : MTASTS_ERR_POLICY_VERSION;
    if (field == MODE)
        return read_mode(r, value);
    if (field == MAX_AGE)
        return read_max_age(r, value);
    if (!key.len || key.len > 32 || !all_of(key, LETTERS DIGITS "_-.") ||
        is_one_of(*key.ptr, "_-."))
        return MTASTS_ERR_POLICY_KEY;
    return is_value(value) ? MTASTS_OK : MTASTS_ERR_POLICY_VALUE;
}

static void note_error(reading *r, mtasts_err err, size_t line)
{
    r->errors++;
    if (r->err)
        return;
    r->err = err;
    r->line = line;
}

static void note_missing(reading *r)
{
    if (!(r->seen & VERSION))
        note_error(r, MTASTS_ERR_POLICY_NO_VERSION, 0);
    if (!(r->seen & MODE))
        note_error(r, MTASTS_ERR_POLICY_NO_MODE, 0);
    if (!(r->seen & MAX_AGE))
        note_error(r, MTASTS_ERR_POLICY_NO_MAX_AGE, 0);
    if (!(r->seen & MX) && r->mode != MTASTS_MODE_NONE)
        note_error(r, MTASTS_ERR_POLICY_NO_MX, 0);
}

/* The next line, without LF or CRLF; *body becomes what is behind it. */
static mtasts_str cut_line(mtasts_str *body)
{
    mtasts_str line = cut_at(body, '\n');
    line.len -= body->ptr && line.len && line.ptr[line.len - 1] == '\r';
    return line;
}

static void read_policy(reading *r, mtasts_str body)
{
    memset(r, 0, sizeof *r);
    r->mx = (mtasts_str *)malloc((body.len / 4 + 1) * sizeof *r->mx);
    if (!r->mx)
        abort();
    r->mode = MTASTS_MODE_ENFORCE;
    if (body.len > 65536) {
        note_error(r, MTASTS_ERR_POLICY_SIZE, 0);
        return;
    }
    if (begins(body, "\xef\xbb\xbf")) {
        body = cut_front(body, 3);
        note_quirk(r, MTASTS_QUIRK_BOM);
    }
    while (body.len) {
        mtasts_err err = read_line(r, cut_line(&body));
        r->lines++;
        if (err)
            note_error(r, err, r->lines);
    }
    note_missing(r);
}

/* ---- What must hold of any body */

/* Line and column are those of the offset (P10). */
static void check_place(const mtasts_diag *d, mtasts_str body)
{
    size_t i, line = 1, start = 0;
    CHECK(d->offset <= body.len);
    CHECK(!d->line == !d->column);
    if (!d->line)
        return;
    for (i = 0; i < d->offset; i++)
        if (body.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    CHECK(d->line == line && d->column == d->offset - start + 1);
}

static void check_diag(const mtasts_diag *d, mtasts_err err, mtasts_str body)
{
    CHECK(d->err == err);
    CHECK(d->text && strlen(d->text) < 100);
    check_place(d, body);
    CHECK(!d->quirk || strcmp(mtasts_quirk_name(d->quirk), "UNKNOWN") != 0);
}

static mtasts_err parse(mtasts_policy *p, mtasts_str body, unsigned flags, mtasts_diag *d)
{
    static const mtasts_policy zero;
    mtasts_policy again;
    mtasts_err err;
    memset(p, 0xff, sizeof *p);
    memset(d, 0xff, sizeof *d);
    memset(&again, 0x55, sizeof again);
    err = mtasts_policy_parse(p, body.ptr, body.len, flags, d);
    check_diag(d, err, body);
    CHECK((d->quirk != 0) == (err == MTASTS_ERR_POLICY_QUIRK));
    CHECK(!d->line == (err == MTASTS_OK || err == MTASTS_ERR_POLICY_SIZE));
    CHECK(err || d->offset == body.len);
    CHECK(!err || (p->mode == zero.mode && !p->max_age && !p->mx_count && !p->quirks &&
                   !p->text.ptr && !p->text.len));
    CHECK(mtasts_policy_parse(&again, body.ptr, body.len, flags, NULL) == err);
    CHECK(again.mode == p->mode && again.max_age == p->max_age && again.mx_count == p->mx_count);
    CHECK(again.quirks == p->quirks && again.text.ptr == p->text.ptr);
    return err;
}

static void check_patterns(const mtasts_policy *p, const reading *r)
{
    size_t i, cursor = 0;
    mtasts_str mx;
    for (i = 0; mtasts_policy_next_mx(p, &cursor, &mx); i++) {
        CHECK(i < r->mx_count);
        CHECK(is_inside(mx, p->text.ptr, p->text.len));
        CHECK(mx.ptr == r->mx[i].ptr && mx.len == r->mx[i].len);
    }
    CHECK(!mx.ptr && !mx.len && i == r->mx_count && i == p->mx_count);
}

/* P13 */
static void check_lines(const mtasts_policy *p)
{
    mtasts_str rest = p->text, line, expected;
    size_t cursor = 0;
    while (rest.len) {
        expected = cut_line(&rest);
        CHECK(mtasts_policy_next_line(p, &cursor, &line));
        CHECK(line.ptr == expected.ptr && line.len == expected.len);
    }
    CHECK(!mtasts_policy_next_line(p, &cursor, &line) && !line.ptr && !line.len);
}

static void check_policy(const mtasts_policy *p, mtasts_str body, const reading *r)
{
    CHECK(p->mode == r->mode && p->max_age == r->max_age && p->quirks == r->quirks);
    CHECK(p->text.ptr == body.ptr && p->text.len == body.len);
    CHECK(p->max_age <= MTASTS_MAX_AGE_MAX);
    check_patterns(p, r);
    check_lines(p);
}

/* The text is this header's own, and it is cut where the buffer ends. */
static void check_format(const mtasts_diag *d, size_t cap)
{
    char out[512], small[256];
    size_t n, len = mtasts_diag_format(out, sizeof out, "policy.txt", d);
    CHECK(len < sizeof out && strlen(out) == len);
    n = len < cap ? len : cap ? cap - 1 : 0;
    small[n] = 'x';
    CHECK(mtasts_diag_format(cap ? small : NULL, cap, "policy.txt", d) == len);
    CHECK(!cap || (memcmp(small, out, n) == 0 && !small[n]));
}

/* Quirks are told in their order; a line's are told before its error. */
static void check_strict(mtasts_str body, const reading *r, size_t cap)
{
    mtasts_policy p;
    mtasts_diag d;
    mtasts_err err = parse(&p, body, MTASTS_STRICT, &d);
    CHECK(err == (r->early ? MTASTS_ERR_POLICY_QUIRK : r->err));
    CHECK(!d.quirk || (r->early & d.quirk));
    check_format(&d, cap);
}

static void check_finding(const mtasts_diag *f, mtasts_str body, size_t line)
{
    check_diag(f, f->err, body);
    CHECK(f->err ? !f->quirk : f->quirk || *f->text);
    CHECK(f->line >= line);
}

static int same_error(const mtasts_diag *a, const mtasts_diag *b)
{
    return a->err == b->err && a->offset == b->offset && a->line == b->line &&
           a->column == b->column && strcmp(a->text, b->text) == 0;
}

static void check_lint(mtasts_str body, const mtasts_diag *d, const reading *r, size_t cap)
{
    mtasts_lint l;
    mtasts_diag f;
    size_t errors = 0, quirks = 0, notes = 0, line = 0;
    unsigned bits = 0;
    memset(&l, 0xff, sizeof l);
    memset(&f, 0xff, sizeof f);
    mtasts_lint_init(&l, body.ptr, body.len);
    for (; mtasts_lint_next(&l, &f); memset(&f, 0xff, sizeof f)) {
        check_finding(&f, body, line);
        if (!line)
            check_format(&f, cap);
        CHECK(!f.err || errors || same_error(&f, d));
        errors += f.err != MTASTS_OK;
        quirks += f.quirk != 0;
        notes += !f.err && !f.quirk;
        bits |= f.quirk;
        line = f.line;
        CHECK(errors <= r->errors && quirks <= r->quirk_count && notes <= r->lines);
    }
    check_diag(&f, MTASTS_OK, body);
    CHECK(errors == r->errors && quirks == r->quirk_count && bits == r->quirks);
    CHECK(!mtasts_lint_next(&l, NULL)); /* it stays at the end */
}

/* Lines behind the one with the error do not change it. */
static void check_lines_behind(mtasts_str body, const mtasts_diag *d)
{
    mtasts_str rest;
    mtasts_policy p;
    mtasts_diag e;
    if (!d->err || !d->line || d->offset == body.len)
        return;
    rest = cut_front(body, d->offset);
    cut_at(&rest, '\n');
    CHECK(parse(&p, str_of(body.ptr, body.len - rest.len), 0, &e) == d->err);
    CHECK(same_error(d, &e));
}

/* ---- Writing */

typedef mtasts_err (*writer)(char *out, size_t cap, size_t *len, const void *what);

static char *new_buffer(size_t size)
{
    char *p = (char *)malloc(size ? size : 1);
    if (!p)
        abort();
    memset(p, 'x', size);
    return p;
}

/* Written to a buffer that just holds it, which the caller frees; NULL after another error than
 * MTASTS_ERR_SPACE. */
static char *write_all(writer write, const void *what, size_t cap, size_t *len, mtasts_err *err)
{
    char *out = new_buffer(cap), *all;
    size_t small_len = SIZE_MAX;
    *err = write(cap ? out : NULL, cap, &small_len, what);
    CHECK(*err != MTASTS_ERR_SPACE || cap <= small_len);
    CHECK(*err || (cap > small_len && strlen(out) == small_len));
    CHECK(!cap || !*err || !*out);
    free(out);
    if (*err && *err != MTASTS_ERR_SPACE) {
        CHECK(!small_len);
        return NULL;
    }
    all = new_buffer(small_len + 1);
    CHECK(write(all, small_len, len, what) == MTASTS_ERR_SPACE && *len == small_len && !*all);
    *err = write(all, small_len + 1, len, what);
    CHECK(*err == MTASTS_OK && *len == small_len && strlen(all) == small_len);
    return all;
}

static mtasts_err write_policy(char *out, size_t cap, size_t *len, const void *what)
{
    return mtasts_policy_write(out, cap, len, (const mtasts_policy *)what);
}

static mtasts_err compose(char *out, size_t cap, size_t *len, const void *what)
{
    const reading *r = (const reading *)what;
    mtasts_diag d;
    mtasts_err err;
    memset(&d, 0xff, sizeof d);
    err = mtasts_policy_compose(out, cap, len, (int)r->mode, r->max_age, r->mx, r->mx_count, &d);
    CHECK(d.err == err && d.text && !d.line == !d.column && d.line <= r->mx_count);
    CHECK(!d.line == (err != MTASTS_ERR_POLICY_MX));
    CHECK(d.offset < (d.line ? r->mx[d.line - 1].len : 1));
    return err;
}

/* Does a domain owner get this from mtasts_policy_compose? */
static int can_be_composed(mtasts_str mx)
{
    return !memchr(mx.ptr, '_', mx.len) && is_host(begins(mx, "*.") ? cut_front(mx, 2) : mx);
}

static void check_composed(const reading *r, const char *written, size_t len, size_t cap)
{
    size_t i, composed_len = 0;
    mtasts_err err;
    char *composed = write_all(compose, r, cap, &composed_len, &err);
    for (i = 0; i < r->mx_count && can_be_composed(r->mx[i]); i++)
        ;
    if (i < r->mx_count) {
        CHECK(err == MTASTS_ERR_POLICY_MX || (err == MTASTS_ERR_POLICY_SIZE && !written));
    } else if (!written) {
        CHECK(err == MTASTS_ERR_POLICY_SIZE);
    } else {
        CHECK(err == MTASTS_OK && composed_len == len && memcmp(composed, written, len) == 0);
    }
    free(composed);
}

/* The patterns of what was written are those that were read, in lower case. */
static void check_same_patterns(const mtasts_policy *q, const reading *r)
{
    size_t i, j, cursor = 0;
    mtasts_str mx;
    for (i = 0; mtasts_policy_next_mx(q, &cursor, &mx); i++) {
        CHECK(i < r->mx_count && same_name(mx, r->mx[i]));
        for (j = 0; j < mx.len; j++)
            CHECK(mx.ptr[j] == lower_of(mx.ptr[j]));
    }
    CHECK(i == r->mx_count && i == q->mx_count);
}

static void check_written(const mtasts_policy *p, const reading *r, size_t cap)
{
    size_t len = 0, again_len = 0;
    mtasts_policy q;
    mtasts_diag d;
    mtasts_err err;
    char *again, *out = write_all(write_policy, p, cap, &len, &err);
    check_composed(r, out, len, cap);
    if (!out) {
        CHECK(err == MTASTS_ERR_POLICY_SIZE && p->text.len > 60000);
        return;
    }
    CHECK(parse(&q, str_of(out, len), 0, &d) == MTASTS_OK);
    CHECK(q.mode == p->mode && q.max_age == p->max_age);
    CHECK(q.quirks == (p->quirks & MTASTS_QUIRK_UNDERSCORE));
    check_same_patterns(&q, r);
    again = write_all(write_policy, &q, cap, &again_len, &err);
    CHECK(!err && again && again_len == len && memcmp(again, out, len) == 0);
    free(again);
    free(out);
}

/* ---- What no host should do */

/* As if the body were a policy, which nobody has found it to be. */
static void check_iteration(mtasts_str body)
{
    mtasts_policy p;
    mtasts_str part;
    size_t cursor = 0, before = 0;
    memset(&p, 0, sizeof p);
    CHECK(!mtasts_policy_next_mx(&p, &cursor, &part) && !part.ptr && !part.len);
    CHECK(!mtasts_policy_next_line(&p, &cursor, &part) && !part.ptr && !part.len);
    p.text = body;
    while (mtasts_policy_next_mx(&p, &cursor, &part)) {
        CHECK(cursor > before && cursor <= body.len && is_inside(part, body.ptr, body.len));
        before = cursor;
    }
    for (cursor = before = 0; mtasts_policy_next_line(&p, &cursor, &part); before = cursor)
        CHECK(cursor > before && is_inside(part, body.ptr, body.len));
    CHECK(before == body.len);
}

static mtasts_err compose_one(int mode, uint32_t max_age, const mtasts_str *mx, size_t count)
{
    char out[100];
    size_t len;
    mtasts_err err = mtasts_policy_compose(out, sizeof out, &len, mode, max_age, mx, count, NULL);
    CHECK(!err == (len > 0) && strlen(out) == len);
    return err;
}

static void check_misuse(mtasts_policy p, size_t len)
{
    static const mtasts_str mx = {"mx.example.com", 14}, star = {"*x.example.com", 14};
    static const mtasts_str nothing = {NULL, 1};
    mtasts_diag d;
    mtasts_policy q;
    char c = 'x';
    CHECK(compose_one(MTASTS_MODE_ENFORCE, MTASTS_MAX_AGE_MAX, &mx, 1) == MTASTS_OK);
    CHECK(compose_one(-1, 1, &mx, 1) == MTASTS_ERR_POLICY_MODE);
    CHECK(compose_one(3, 1, &mx, 1) == MTASTS_ERR_POLICY_MODE);
    CHECK(compose_one(0, MTASTS_MAX_AGE_MAX + 1, &mx, 1) == MTASTS_ERR_POLICY_MAX_AGE);
    CHECK(compose_one(MTASTS_MODE_TESTING, 1, NULL, 0) == MTASTS_ERR_POLICY_NO_MX);
    CHECK(compose_one(MTASTS_MODE_NONE, 1, NULL, 0) == MTASTS_OK);
    CHECK(compose_one(MTASTS_MODE_NONE, 1, NULL, len + 1) == MTASTS_ERR_USAGE);
    CHECK(compose_one(MTASTS_MODE_NONE, 1, &nothing, 1) == MTASTS_ERR_POLICY_MX);
    CHECK(compose_one(MTASTS_MODE_NONE, 1, &star, 1) == MTASTS_ERR_POLICY_MX);
    p.max_age = MTASTS_MAX_AGE_MAX + 1;
    CHECK(mtasts_policy_write(&c, 1, &len, &p) == MTASTS_ERR_USAGE && !len && !c);
    CHECK(mtasts_policy_parse(NULL, "", 0, 0, &d) == MTASTS_ERR_USAGE);
    CHECK(mtasts_policy_parse(&q, "", 0, ~MTASTS_STRICT, &d) == MTASTS_ERR_USAGE);
    CHECK(mtasts_policy_parse(&q, NULL, 1, 0, &d) == MTASTS_ERR_USAGE && !q.text.ptr);
}

static void check_body(mtasts_str body, size_t cap)
{
    mtasts_policy p;
    mtasts_diag d;
    reading r;
    mtasts_err err = parse(&p, body, 0, &d);
    read_policy(&r, body);
    CHECK(err == r.err);
    CHECK(!r.line || d.line == r.line);
    check_strict(body, &r, cap);
    check_lint(body, &d, &r, cap);
    check_lines_behind(body, &d);
    check_iteration(body);
    check_misuse(p, cap);
    if (!err) {
        check_policy(&p, body, &r);
        check_written(&p, &r, cap);
    }
    free(r.mx);
}

/* The body, and behind it lines, so that it has `size` octets. */
static mtasts_str grow(mtasts_str body, size_t size, int with_mx)
{
    char *p = new_buffer(size);
    size_t i, column;
    if (body.len)
        memcpy(p, body.ptr, body.len);
    for (i = body.len; i < size; i++) {
        column = (i - body.len) % (with_mx ? 5 : 2048);
        p[i] = with_mx ? "\nmx:a"[column] : column < 4 ? "\nx: "[column] : 'x';
    }
    return str_of(p, size);
}

static mtasts_str join(mtasts_str body, const char *tail)
{
    size_t n = strlen(tail);
    char *p = new_buffer(body.len + n);
    if (body.len)
        memcpy(p, body.ptr, body.len);
    memcpy(p + body.len, tail, n);
    return str_of(p, body.len + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    unsigned growth;
    size_t cap;
    mtasts_str body, more;
    in.at = data;
    in.left = size;
    growth = take_octet(&in);
    cap = take_octet(&in);
    body = take_copy(&in, in.left);
    if (growth >= 0xfe && cap >= 0xf8 && body.len < 60000) {
        more = grow(body, 65536 - 4 + (cap & 7), growth == 0xfe);
        drop_copy(body);
        body = more;
    } else if (growth & 1) {
        more = join(body, "\nversion: STSv1\nmode: enforce\nmx: a.example\nmax_age: 1");
        drop_copy(body);
        body = more;
    }
    check_body(body, cap);
    if (!body.len)
        check_body(str_of(NULL, 0), cap);
    drop_copy(body);
    return 0;
}
