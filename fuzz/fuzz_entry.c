/* Fuzzes section 12: what is kept of a domain, as text and back.
 *
 * Targets: mtasts_entry_write, mtasts_entry_read, mtasts_entry_valid, mtasts_entry_keep
 *
 * Property: a text is read only if its first line is right about the rest, as by a CRC-32 of our
 *           own (D11). Views are inside it, the place of an error too; after an error all is zero.
 * Property: what is read is written again octet for octet; only a refresh after expires comes back
 *           as expires.
 * Property: no octet of a text can change, none be missing and none be added: it is refused (D11).
 * Property: an entry is read for its own domain however that is written, and for no other (D13).
 * Property: what is written is read again, all members; written are just those entries that the
 *           comments in mtasts.h allow. The length is told, and no octet more is needed than that
 *           and NUL.
 * Property: at any time, nothing read lies after now, nothing lives longer than it did, nor longer
 *           than max_age (an absence: MTASTS_ABSENCE_MAX) from now (D1, D9).
 * Property: a text that is not there, or longer than any entry, is told as such.
 * Property: who is valid, or worth keeping, was so before; nobody is at or after the end.
 *
 * Input: octet 0: bit 0: the rest is members of an entry, see take_entry; else a text
 *                 bit 1: a right first line is written for the text
 *                 bit 2: the text is what is written of an entry (as by bit 0) after edits, with a
 *                        right first line; so most of it is as it must be
 *        1 octet: what is changed for a damage; 2: where
 *        9: the time of the reading, and 9: another time, see take_time
 *        1: how many edits, modulo 9; 3 each: bits 0 to 7: the octet; 8 and 9: 0: it is put in the
 *                 place of another, 1: before it, 2: that is removed, 3: it is one more; from
 *                 10 on: where
 *        1: length of a domain, its octets; then the members or the text
 */
#include "fuzz.h"

enum { HEAD = 31, MAGIC = 15 }; /* octets of the first line, and those that say what it is */

/* ---- times ---- */

/* Octet 0: its bits 0 and 1: 0: 4 octets; 1: as much before the last time as 3 octets say; 2: all 8
 * octets; 3: some time in 2023 and after. */
static int64_t take_time(input *in)
{
    unsigned how = take_octet(in) & 3;
    uint64_t n = take_number(in, 8);
    return how == 0   ? (int64_t)(n >> 32)
           : how == 1 ? INT64_MAX - (int64_t)(n >> 40)
           : how == 2 ? (int64_t)n
                      : INT64_C(1700000000) + (int64_t)(n >> 44);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t since_1970(int64_t t)
{
    return t < 0 ? 0 : t;
}

static int64_t later(int64_t t, int64_t seconds)
{
    return t > INT64_MAX - seconds ? INT64_MAX : t + seconds;
}

/* What is done with an entry or its text. */
typedef struct wish {
    unsigned change; /* to an octet, never 0 */
    size_t where;
    int64_t now, other;
    mtasts_str domain;
    unsigned edits[8]; /* of the text, each of 24 bits */
    size_t edit_count;
} wish;

static void take_wish(input *in, wish *w)
{
    size_t i;
    w->change = take_octet(in) % 255 + 1;
    w->where = (size_t)take_number(in, 2);
    w->now = take_time(in);
    w->other = take_time(in);
    w->edit_count = take_octet(in) % (COUNT(w->edits) + 1);
    for (i = 0; i < w->edit_count; i++)
        w->edits[i] = (unsigned)take_number(in, 3);
    w->domain = take_copy(in, take_octet(in));
}

/* ---- the first line ---- */

/* CRC-32 as the standards define it: one bit at a time. */
static uint32_t slow_crc(const char *text, size_t len)
{
    uint32_t crc = 0xffffffffu;
    int bit;
    while (len--) {
        crc ^= (unsigned char)*text++;
        for (bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static void write_head(char *head, const char *rest, size_t len)
{
    snprintf(head, HEAD + 1, "mtasts-entry 1 %08lx %06lu\n", (unsigned long)slow_crc(rest, len),
             (unsigned long)(len % 1000000));
}

/* The octets with a first line before them. The caller drops it. */
static mtasts_str with_head(const char *rest, size_t len)
{
    char head[HEAD + 1];
    mtasts_str s;
    char *text = (char *)malloc(HEAD + len);
    if (!text)
        abort();
    write_head(head, rest, len);
    memcpy(text, head, HEAD);
    if (len)
        memcpy(text + HEAD, rest, len);
    s.ptr = text;
    s.len = HEAD + len;
    return s;
}

/* What must be said of a text because of its first line alone. */
static mtasts_err head_error(mtasts_str text)
{
    char head[HEAD + 1];
    size_t i = 0;
    size_t rest = text.len > HEAD ? text.len - HEAD : 0;
    if (text.len > MTASTS_ENTRY_MAX)
        return MTASTS_ERR_ENTRY_DAMAGED;
    write_head(head, rest ? text.ptr + HEAD : "", rest);
    while (i < HEAD && i < text.len && text.ptr[i] == head[i])
        i++;
    return i == HEAD ? MTASTS_OK : i < MAGIC ? MTASTS_ERR_ENTRY_VERSION : MTASTS_ERR_ENTRY_DAMAGED;
}

/* ---- entries ---- */

static int same_str(mtasts_str a, mtasts_str b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static int same_policy(const mtasts_policy *a, const mtasts_policy *b)
{
    return a->mode == b->mode && a->max_age == b->max_age && a->mx_count == b->mx_count &&
           a->quirks == b->quirks && !a->text.ptr == !b->text.ptr && same_str(a->text, b->text);
}

static int same_failure(const mtasts_entry *a, const mtasts_entry *b)
{
    return a->failures == b->failures &&
           (!a->failures || (a->failed == b->failed && a->no_record == b->no_record &&
                             same_str(a->failed_id, b->failed_id) && a->retry == b->retry));
}

static int same_entry(const mtasts_entry *a, const mtasts_entry *b)
{
    return same_str(a->domain, b->domain) && same_policy(&a->policy, &b->policy) &&
           same_str(a->id, b->id) && a->fetched == b->fetched && a->expires == b->expires &&
           a->checked == b->checked && a->used == b->used && a->refresh == b->refresh &&
           same_failure(a, b);
}

/* What is known at this time. A clock that was set back makes all that lies ahead of now. */
static mtasts_entry entry_at(const mtasts_entry *written, int64_t now)
{
    mtasts_entry e = *written;
    int is_ahead = e.fetched > now;
    e.fetched = least(e.fetched, now);
    e.checked = least(e.checked, now);
    e.used = least(e.used, now);
    if (e.policy.text.ptr)
        e.expires = later(e.fetched, e.policy.max_age);
    else
        e.expires = is_ahead ? now : least(e.expires, later(now, MTASTS_ABSENCE_MAX));
    e.refresh = least(is_ahead ? now : e.refresh, e.expires);
    e.retry = least(e.retry, later(now, MTASTS_RETRY_MAX));
    return e;
}

static int is_id(mtasts_str id)
{
    static const char *const alphabet =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t i;
    for (i = 0; i < id.len; i++)
        if (!id.ptr[i] || !strchr(alphabet, id.ptr[i]))
            return 0;
    return id.len >= 1 && id.len <= 32;
}

static int is_normal(mtasts_str domain)
{
    char name[MTASTS_NAME_SIZE];
    return mtasts_name_normalise(name, domain.ptr, domain.len, NULL) == MTASTS_OK &&
           strlen(name) == domain.len && memcmp(name, domain.ptr, domain.len) == 0;
}

static int failure_is_right(const mtasts_entry *e)
{
    int is_error =
        e->failed != MTASTS_OK && strcmp(mtasts_err_name((int)e->failed), "UNKNOWN") != 0;
    return !e->failures || (is_error && (e->no_record == 0 || e->no_record == 1) && e->retry >= 0 &&
                            (!e->failed_id.len || is_id(e->failed_id)));
}

/* May it be written? */
static int is_right(const mtasts_entry *e)
{
    if (e->fetched < 0 || e->expires < 0 || e->checked < 0 || e->used < 0 || e->refresh < 0)
        return 0;
    if (!is_normal(e->domain) || !failure_is_right(e))
        return 0;
    if (!e->policy.text.ptr)
        return !e->id.len;
    return is_id(e->id) && e->policy.max_age && e->policy.max_age <= MTASTS_MAX_AGE_MAX &&
           e->policy.text.len <= MTASTS_POLICY_MAX &&
           e->expires == later(e->fetched, e->policy.max_age);
}

/* ---- writing ---- */

/* In memory that holds it and NUL, and no octet more. The caller drops it. */
static mtasts_str write_entry(const mtasts_entry *e)
{
    mtasts_str s;
    char *text;
    size_t len = 0, again;
    CHECK(mtasts_entry_write(NULL, 0, &len, e) == MTASTS_ERR_SPACE);
    CHECK(len > HEAD && len < MTASTS_ENTRY_MAX);
    text = (char *)malloc(len + 1);
    if (!text)
        abort();
    CHECK(mtasts_entry_write(text, len, &again, e) == MTASTS_ERR_SPACE && again == len && !*text);
    CHECK(mtasts_entry_write(text, len + 1, &again, e) == MTASTS_OK);
    CHECK(again == len && text[len] == '\0');
    s.ptr = text;
    s.len = len;
    return s;
}

/* Where the line ends that begins at `from`. */
static size_t line_end(mtasts_str text, size_t from)
{
    while (from < text.len && text.ptr[from] != '\n')
        from++;
    return from;
}

/* The same octets, apart from refresh and its effect on the first line. */
static int same_but_refresh(mtasts_str a, mtasts_str b)
{
    static const char name[] = "\nrefresh: ";
    const char *at = (const char *)memmem(a.ptr, a.len, name, sizeof name - 1);
    const char *bt = (const char *)memmem(b.ptr, b.len, name, sizeof name - 1);
    size_t before, a_end, b_end;
    if (!at || !bt || at - a.ptr != bt - b.ptr)
        return 0;
    before = (size_t)(at - a.ptr) + 1;
    a_end = line_end(a, before);
    b_end = line_end(b, before);
    return memcmp(a.ptr + HEAD, b.ptr + HEAD, before - HEAD) == 0 &&
           a.len - a_end == b.len - b_end &&
           memcmp(a.ptr + a_end, b.ptr + b_end, a.len - a_end) == 0;
}

/* ---- reading ---- */

static mtasts_err read_text(mtasts_entry *e, mtasts_str text, const char *domain, size_t len,
                            int64_t now)
{
    static const mtasts_entry nothing;
    mtasts_diag diag;
    mtasts_err err = mtasts_entry_read(e, domain, len, text.ptr, text.len, now, &diag);
    CHECK(diag.err == err && diag.text);
    CHECK(diag.offset <= text.len);
    CHECK(mtasts_entry_read(e, domain, len, text.ptr, text.len, now, NULL) == err);
    if (err != MTASTS_OK) {
        CHECK(same_entry(e, &nothing) && !e->domain.ptr && !e->policy.text.ptr);
        return err;
    }
    CHECK(is_inside(e->domain, text.ptr, text.len));
    CHECK(is_inside(e->id, text.ptr, text.len));
    CHECK(is_inside(e->failed_id, text.ptr, text.len));
    CHECK(is_inside(e->policy.text, text.ptr, text.len));
    return err;
}

/* The same text in memory of `len` octets, 0 after its end. */
static char *copy_text(mtasts_str text, size_t len)
{
    char *copy = (char *)calloc(len ? len : 1, 1);
    if (!copy)
        abort();
    memcpy(copy, text.ptr, len < text.len ? len : text.len);
    return copy;
}

static void check_refused(char *text, size_t len)
{
    mtasts_entry e;
    mtasts_str s;
    s.ptr = text;
    s.len = len;
    CHECK(read_text(&e, s, NULL, 0, INT64_MAX) != MTASTS_OK);
    free(text);
}

static void check_damaged(mtasts_str text, size_t where, unsigned change)
{
    char *copy = copy_text(text, text.len);
    copy[where % text.len] = (char)((unsigned char)copy[where % text.len] ^ change);
    check_refused(copy, text.len);
    check_refused(copy_text(text, where % text.len), where % text.len);
    check_refused(copy_text(text, text.len - 1), text.len - 1);
    copy = copy_text(text, text.len + 1);
    copy[text.len] = (char)change;
    check_refused(copy, text.len + 1);
}

static void check_domains(const mtasts_entry *known, mtasts_str text, mtasts_str domain)
{
    char name[MTASTS_NAME_SIZE + 1];
    mtasts_entry e;
    size_t i, len = known->domain.len;
    mtasts_err err;
    for (i = 0; i < len; i++)
        name[i] = (char)(known->domain.ptr[i] -
                         (known->domain.ptr[i] >= 'a' && known->domain.ptr[i] <= 'z' ? 32 : 0));
    name[len] = '.';
    CHECK(read_text(&e, text, name, len, INT64_MAX) == MTASTS_OK);
    CHECK(read_text(&e, text, name, len + 1, INT64_MAX) == MTASTS_OK);
    CHECK(same_entry(&e, known));
    CHECK(read_text(&e, text, name + 1, len - 1, INT64_MAX) == MTASTS_ERR_ENTRY_DOMAIN);
    CHECK(read_text(&e, text, name, len - 1, INT64_MAX) == MTASTS_ERR_ENTRY_DOMAIN);
    name[0] = name[0] == 'A' ? 'B' : 'A';
    CHECK(read_text(&e, text, name, len, INT64_MAX) == MTASTS_ERR_ENTRY_DOMAIN);
    CHECK(read_text(&e, text, "", 0, INT64_MAX) == MTASTS_ERR_ENTRY_DOMAIN);
    err = mtasts_name_normalise(name, domain.ptr, domain.len, NULL);
    err = err == MTASTS_OK && strlen(name) == len && memcmp(name, known->domain.ptr, len) == 0
              ? MTASTS_OK
              : MTASTS_ERR_ENTRY_DOMAIN;
    CHECK(read_text(&e, text, domain.ptr, domain.len, INT64_MAX) == err);
}

/* ---- time ---- */

static void check_validity(const mtasts_entry *e, int64_t a, int64_t b)
{
    int64_t first = least(a, b), second = a < b ? b : a;
    CHECK(!mtasts_entry_valid(e, second) || mtasts_entry_valid(e, first));
    CHECK(!mtasts_entry_keep(e, second) || mtasts_entry_keep(e, first));
    CHECK(!mtasts_entry_valid(e, a) || mtasts_entry_keep(e, a));
    CHECK(mtasts_entry_valid(e, a) == (since_1970(a) < e->expires));
    CHECK(!mtasts_entry_valid(e, e->expires));
    CHECK(!mtasts_entry_keep(e, INT64_MAX));
    CHECK(mtasts_entry_keep(e, a) || !e->failures || since_1970(a) >= e->retry);
    CHECK(!mtasts_entry_keep(e, a) || since_1970(a) < e->expires ||
          (e->failures && since_1970(a) < e->retry));
}

static void check_at(const mtasts_entry *written, mtasts_str text, int64_t now, int64_t other)
{
    mtasts_entry e, expected = entry_at(written, since_1970(now)), again;
    int64_t longest = written->policy.text.ptr ? written->policy.max_age : MTASTS_ABSENCE_MAX;
    mtasts_str saved;
    CHECK(read_text(&e, text, NULL, 0, now) == MTASTS_OK);
    now = since_1970(now);
    CHECK(same_entry(&e, &expected));
    CHECK(e.fetched <= now && e.checked <= now && e.used <= now);
    CHECK(e.expires <= written->expires || !mtasts_entry_valid(&e, now));
    CHECK(e.expires <= later(now, longest));
    CHECK(e.refresh <= e.expires);
    CHECK(!e.policy.text.ptr || e.expires == later(e.fetched, e.policy.max_age));
    CHECK(!mtasts_entry_valid(&e, later(now, longest)));
    check_validity(&e, now, other);
    saved = write_entry(&e);
    CHECK(read_text(&again, saved, NULL, 0, now) == MTASTS_OK);
    CHECK(same_entry(&again, &e));
    drop_copy(saved);
}

/* ---- a text ---- */

static void check_text(const wish *w, mtasts_str text)
{
    mtasts_entry e;
    mtasts_str again;
    mtasts_err expected = head_error(text), err = read_text(&e, text, NULL, 0, INT64_MAX);
    CHECK(expected ? err == expected : err == MTASTS_OK || err == MTASTS_ERR_ENTRY_SYNTAX);
    if (err != MTASTS_OK)
        return;
    CHECK(is_right(&e));
    again = write_entry(&e);
    CHECK(same_str(again, text) || (e.refresh == e.expires && same_but_refresh(again, text)));
    check_damaged(text, w->where, w->change);
    check_domains(&e, text, w->domain);
    check_at(&e, text, w->now, w->other);
    drop_copy(again);
}

/* ---- an entry ---- */

/* 1 octet: bit 7: as many times "a" as bits 0 to 6 say, with a dot after each 63rd; else the length
 * of what follows. */
static mtasts_str take_name(input *in, int dots, size_t longer)
{
    char text[512];
    size_t i, len = take_octet(in);
    input made;
    if (!(len & 0x80))
        return take_copy(in, len);
    len = (len & 0x7f) + longer;
    for (i = 0; i < len; i++)
        text[i] = dots && i % 64 == 63 ? '.' : 'a';
    made.at = (const uint8_t *)text;
    made.left = len;
    return take_copy(&made, len);
}

/* Bit 7 of `how`: not the octets that are left but a policy of our own; bits 5 and 6 too: one of
 * about the size that is allowed. */
static mtasts_str take_policy(input *in, unsigned how)
{
    static const char *const modes[] = {"none   ", "testing", "enforce"};
    size_t len = (how & 0xe0) == 0xe0 ? MTASTS_POLICY_MAX - 2 + how % 5 : 100;
    mtasts_str s;
    char *text;
    if (!(how & 0x80))
        return take_copy(in, in->left);
    text = (char *)malloc(len);
    if (!text)
        abort();
    memset(text, 'a', len);
    snprintf(text, len,
             "version: STSv1\nmode: %s\nmx: *.example.com\nmax_age: 86400\nx: ", modes[how % 3]);
    text[strlen(text)] = 'a';
    s.ptr = text;
    s.len = len;
    return s;
}

/* 1 octet of options: bit 0: a policy; bit 1: it expires when it must; bit 2: the domain is long;
 * bit 3: max_age is too long by what it is; bit 4: the text likewise (nobody may read that);
 * then the members: 6 times; 1: a domain (as take_name says), an id, a failed id; 4: failures; 1:
 * why; 1: no_record; 1: how the policy is made, and its text. */
static mtasts_str take_entry(input *in, mtasts_entry *e)
{
    unsigned options = take_octet(in);
    mtasts_str body;
    memset(e, 0, sizeof *e);
    e->fetched = take_time(in);
    e->expires = take_time(in);
    e->checked = take_time(in);
    e->used = take_time(in);
    e->refresh = take_time(in);
    e->retry = take_time(in);
    e->domain = take_name(in, 1, options & 4 ? 190 : 0);
    e->id = take_name(in, 0, 0);
    e->failed_id = take_name(in, 0, 0);
    e->failures = (uint32_t)take_number(in, 4);
    e->failed = (mtasts_err)take_octet(in);
    e->no_record = (int)(take_octet(in) & 3) - 1;
    body = take_policy(in, take_octet(in));
    if (options & 1)
        mtasts_policy_parse(&e->policy, body.ptr, body.len, 0, NULL);
    if (options & 8 && e->policy.max_age)
        e->policy.max_age += MTASTS_MAX_AGE_MAX;
    if (e->policy.text.ptr && options & 16)
        e->policy.text.len += MTASTS_POLICY_MAX;
    if (options & 2)
        e->expires = later(since_1970(e->fetched), e->policy.max_age);
    return body;
}

/* Written, changed, and with a first line that is right about that. */
static mtasts_str edited(mtasts_str text, const wish *w)
{
    size_t i, len = text.len - HEAD;
    mtasts_str s;
    char *rest = copy_text(text, text.len + COUNT(w->edits));
    memmove(rest, rest + HEAD, len);
    for (i = 0; i < w->edit_count && len; i++) {
        unsigned edit = w->edits[i];
        char *at = rest + (edit >> 10) % len, *end = rest + len;
        switch (edit >> 8 & 3) {
        case 0:
            *at = (char)(edit & 0xff);
            break;
        case 1:
            memmove(at + 1, at, (size_t)(end - at));
            *at = (char)(edit & 0xff);
            len++;
            break;
        case 2:
            memmove(at, at + 1, (size_t)(end - at - 1));
            len--;
            break;
        default:
            *at = (char)((unsigned char)*at + 1);
            break;
        }
    }
    s = with_head(rest, len);
    free(rest);
    return s;
}

static void check_entry(const mtasts_entry *e, const wish *w, int is_edited)
{
    size_t len = 1;
    char octet = 'x';
    mtasts_str text, other;
    mtasts_entry back, expected;
    check_validity(e, w->now, w->other);
    if (!is_right(e)) {
        CHECK(mtasts_entry_write(&octet, 1, &len, e) == MTASTS_ERR_USAGE && !octet && !len);
        return;
    }
    text = write_entry(e);
    CHECK(head_error(text) == MTASTS_OK);
    CHECK(read_text(&back, text, NULL, 0, INT64_MAX) == MTASTS_OK);
    expected = entry_at(e, INT64_MAX);
    CHECK(same_entry(&back, &expected));
    check_at(e, text, w->now, w->other);
    if (is_edited) {
        other = edited(text, w);
        check_text(w, other);
        drop_copy(other);
    }
    drop_copy(text);
}

/* A text that is not there, and one that is longer than any entry. */
static void check_misuse(void)
{
    static const char large[MTASTS_ENTRY_MAX + 1] = {0};
    mtasts_str text = {NULL, 1};
    mtasts_entry e;
    CHECK(read_text(&e, text, NULL, 0, 0) == MTASTS_ERR_USAGE);
    text.ptr = large;
    text.len = sizeof large;
    CHECK(read_text(&e, text, NULL, 0, 0) == MTASTS_ERR_ENTRY_DAMAGED);
}

static void test_text(input *in, const wish *w, int has_head)
{
    mtasts_str text =
        has_head ? with_head((const char *)in->at, in->left) : take_copy(in, in->left);
    check_text(w, text);
    drop_copy(text);
}

static void test_entry(input *in, const wish *w, int is_edited)
{
    mtasts_entry e;
    mtasts_str body = take_entry(in, &e);
    check_entry(&e, w, is_edited);
    drop_copy(body);
    drop_copy(e.domain);
    drop_copy(e.id);
    drop_copy(e.failed_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    unsigned options = take_octet(&in);
    wish w;
    take_wish(&in, &w);
    check_misuse();
    if (options & 5)
        test_entry(&in, &w, options >> 2 & 1);
    else
        test_text(&in, &w, options >> 1 & 1);
    drop_copy(w.domain);
    return 0;
}
