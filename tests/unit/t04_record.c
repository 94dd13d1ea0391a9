/* Section 4: TXT record (T1 to T7, the equality of D17).
 * Goal: exactly RFC 8461 3.1 is accepted, whatever strings it is cut into; errors are well placed.
 * Method: tables; a regular expression as a second opinion on every truncation and changed octet.
 */
#include "test.h"

#include <regex.h>

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }

#define X32 "abcdefghijklmnopqrstuvwxyz012345"

static regex_t record_regex, id_regex;

/* T3, T4, T5, T7 read a second time: is this one record of an answer, and valid? */
static int oracle(const char *text, size_t len)
{
    static char z[70000];
    memcpy(z, text, len);
    z[len] = '\0';
    return !memchr(text, '\0', len) && regexec(&record_regex, z, 0, NULL, 0) == 0 &&
           regexec(&id_regex, z, 0, NULL, 0) == 0;
}

static int is_id(const char *id)
{
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    return n >= 1 && n <= 32 && !id[n];
}

/* What must hold of any answer; `len` is that of its longest record. */
static mtasts_err select_record(mtasts_record *out, const mtasts_txt *txt, size_t count, size_t len,
                                mtasts_diag *d)
{
    mtasts_err err;
    DIRTY(*out);
    DIRTY(*d);
    err = mtasts_record_select(out, txt, count, d);
    assert_diag(d, err, len);
    assert_true(d->line <= count);
    assert_true(!d->line || d->column == d->offset + 1);
    if (err) {
        assert_true(all_zero(out, sizeof *out));
        assert_in_range(err, MTASTS_ERR_NO_RECORD, MTASTS_ERR_RECORD_NO_ID);
    } else {
        assert_true(is_id(out->id));
    }
    assert_int_equal(mtasts_err_tlsrpt((int)err), MTASTS_TLSRPT_OK); /* T6 */
    return err;
}

/* One record alone, in one string at both fences. */
static mtasts_err check(mtasts_record *out, const char *text, size_t len, mtasts_diag *d)
{
    mtasts_txt txt;
    mtasts_str string;
    mtasts_record again;
    mtasts_err err = MTASTS_OK;
    int side;
    txt.strings = &string;
    txt.count = 1;
    string.len = len;
    for (side = 0; side < 2; side++) {
        string.ptr = fenced(0, side, text, len);
        err = select_record(out, &txt, 1, len, d);
        assert_int_equal(err == MTASTS_OK, oracle(text, len));
        assert_int_equal(mtasts_record_select(&again, &txt, 1, NULL), err);
        assert_memory_equal(&again, out, sizeof again);
    }
    return err;
}

/* T1: the same record cut into strings gives the same result, place included. */
static void check_cut(const mtasts_str *strings, size_t count, const char *text, size_t len)
{
    mtasts_record whole, cut;
    mtasts_diag d, e;
    mtasts_txt txt;
    mtasts_err err = check(&whole, text, len, &d);
    txt.strings = strings;
    txt.count = count;
    assert_int_equal(select_record(&cut, &txt, 1, len, &e), err);
    assert_memory_equal(&cut, &whole, sizeof cut);
    assert_int_equal(e.offset, d.offset);
    assert_int_equal(e.column, d.column);
    assert_string_equal(e.text, d.text);
}

static void check_cuts(const char *text, size_t len)
{
    static mtasts_str octets[70000];
    size_t i;
    for (i = 0; i <= len; i++) {
        const mtasts_str halves[] = {{NULL, 0},
                                     {fenced(1, 1, text, i), i},
                                     {"", 0},
                                     {NULL, 0},
                                     {fenced(2, 1, text + i, len - i), len - i},
                                     {"", 0}};
        check_cut(halves, COUNT(halves), text, len);
    }
    for (i = 0; i < len; i++) {
        octets[i].ptr = text + i;
        octets[i].len = 1;
    }
    check_cut(octets, len, text, len);
}

static void check_mutations(const char *text, size_t len)
{
    char copy[1024];
    mtasts_record out;
    mtasts_diag d;
    size_t i, m;
    for (i = 0; i <= len; i++)
        check(&out, text, i, &d);
    memcpy(copy, text, len);
    for (i = 0; i < len; i++) {
        for (m = 0; m < sizeof mutants; m++) {
            copy[i] = mutants[m];
            check(&out, copy, len, &d);
        }
        copy[i] = text[i];
    }
}

static const struct good {
    const char *rule;
    mtasts_str text;
    const char *id;
} good[] = {
    {"T3 as in the RFC", S("v=STSv1; id=20160831085700Z;"), "20160831085700Z"},
    {"T3 no trailing separator", S("v=STSv1; id=1"), "1"},
    {"T3 no blanks", S("v=STSv1;id=1;"), "1"},
    {"T3 blanks before and after", S("v=STSv1 \t ;\t  id=1 \t ; \t "), "1"},
    {"T3 the value's case is kept", S("v=STSv1;id=aZ09;"), "aZ09"},
    {"T4 32 characters", S("v=STSv1;id=" X32 ";"), X32},
    {"T4 id last", S("v=STSv1; a=b; c=d; id=x"), "x"},
    {"T4 the first id counts", S("v=STSv1; id=1; id=2;"), "1"},
    {"T4 a later id is a field like any", S("v=STSv1; id=1; id=a_b-!;"), "1"},
    {"T4 a later id may be long", S("v=STSv1; id=1; id=" X32 X32 ";"), "1"},
    {"T3 ID is another field", S("v=STSv1; ID=x!; id=1;"), "1"},
    {"T5 extensions", S("v=STSv1; id=1; a.b-c_d=!\"#$%&'()*+,-./:<>?@[\\]^_`{|}~;"), "1"},
    {"T5 a name of 32", S("v=STSv1; id=1; " X32 "=x"), "1"},
    {"T5 a name of one digit", S("v=STSv1;0=0;id=1"), "1"},
    {"T5 v again", S("v=STSv1; v=STSv2; id=1;"), "1"},
    {"T5 names that begin as id", S("v=STSv1; i=x; idd=!; id.=!; id=1;"), "1"},
};

static void test_good(void **state)
{
    mtasts_record out;
    mtasts_diag d;
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        const struct good *g = &good[i];
        if (check(&out, g->text.ptr, g->text.len, &d))
            fail_msg("%s: %s", g->rule, mtasts_err_name((int)d.err));
        assert_string_equal(out.id, g->id);
        assert_int_equal(d.offset, g->text.len);
        assert_string_equal(d.text, "");
        check_cuts(g->text.ptr, g->text.len);
        check_mutations(g->text.ptr, g->text.len);
    }
}

#define BEGIN "a name begins with a letter or a digit"
#define NAME  "a name has at most 32 letters, digits, \"_\", \"-\", \".\"; then comes \"=\""
#define VALUE "a value has visible ASCII characters but \"=\" and \";\""
#define DELIM "\";\" is missing, or an octet is not allowed here"
#define ONLY  "the only TXT record does not begin with \"v=STSv1;\""
#define ID    "it is empty, or begins with something else"
#define LONG  "it is longer than 32"

/* P10's care for places: a bar stands before the octet that the error is about. */
static const struct bad {
    const char *rule;
    mtasts_str text;
    mtasts_err err;
    const char *hint;
} bad[] = {
    {"T2 empty", S("|"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 no version", S("|id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 version second", S("|id=1; v=STSv1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 a blank first", S("| v=STSv1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 V", S("|V=STSv1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 stsv1", S("|v=stsv1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 STSv2", S("|v=STSv2; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 STSv10", S("|v=STSv10; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 STSv1.1", S("|v=STSv1.1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 v =", S("|v =STSv1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 quoted", S("|\"v=STSv1; id=1;\""), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 cut short", S("|v=STSv"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T7 NUL first", S("|\0v=STSv1; id=1;"), MTASTS_ERR_NO_RECORD, ONLY},
    {"T3 no delimiter", S("v=STSv1 |id=1;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 a comma", S("v=STSv1|, id=1;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T7 NUL behind the version", S("v=STSv1|\0; id=1;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T7 not ASCII behind the version", S("v=STSv1|\xff; id=1;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 blanks at the end", S("v=STSv1;id=1  |"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 blanks after the version", S("v=STSv1 |"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 a blank in an id", S("v=STSv1; id=1 |2;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 a blank in a value", S("v=STSv1; id=1; a=b |c;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T3 two delimiters", S("v=STSv1;|; id=1;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T3 two trailing delimiters", S("v=STSv1; id=1;|;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T3 the same with blanks", S("v=STSv1; id=1; |; "), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T3 NUL at the end", S("v=STSv1; id=1; |\0"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T3 a line's end", S("v=STSv1; id=1;|\n"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T5 a dot first", S("v=STSv1; id=1; |.a=b;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T5 a hyphen first", S("v=STSv1; |-a=b; id=1;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T5 an underscore first", S("v=STSv1; |_a=b; id=1;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T5 no name", S("v=STSv1; id=1; |=b;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T7 not ASCII", S("v=STSv1; id=1; |\xc3\xa4=b;"), MTASTS_ERR_RECORD_FIELD, BEGIN},
    {"T5 no value sign", S("v=STSv1; id=1; abc|;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T5 a name alone at the end", S("v=STSv1; id=1; abc|"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T5 a blank before =", S("v=STSv1; id=1; a| =b;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T5 a name of 33", S("v=STSv1; id=1; " X32 "|a=b;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T5 a name with a plus", S("v=STSv1; id=1; a|+b=c;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T7 NUL in a name", S("v=STSv1; id=1; a|\0=c;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T4 id and a blank", S("v=STSv1; id| =1;"), MTASTS_ERR_RECORD_FIELD, NAME},
    {"T5 no value", S("v=STSv1; id=1; a=|;"), MTASTS_ERR_RECORD_FIELD, VALUE},
    {"T5 no value at the end", S("v=STSv1; id=1; a=|"), MTASTS_ERR_RECORD_FIELD, VALUE},
    {"T5 a blank before a value", S("v=STSv1; id=1; a=| b;"), MTASTS_ERR_RECORD_FIELD, VALUE},
    {"T5 = in a value", S("v=STSv1; id=1; a=b|=c;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T7 NUL in a value", S("v=STSv1; id=1; a=b|\0c;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T7 UTF-8 in a value", S("v=STSv1; id=1; a=b|\xc3\xa4;"), MTASTS_ERR_RECORD_FIELD, DELIM},
    {"T7 DEL", S("v=STSv1; id=1; a=|\x7f;"), MTASTS_ERR_RECORD_FIELD, VALUE},
    {"T5 an empty later id", S("v=STSv1; id=1; id=|;"), MTASTS_ERR_RECORD_FIELD, VALUE},
    {"T4 an empty id", S("v=STSv1; id=|;"), MTASTS_ERR_RECORD_ID, ID},
    {"T4 an empty id at the end", S("v=STSv1; id=|"), MTASTS_ERR_RECORD_ID, ID},
    {"T4 a blank before the id", S("v=STSv1; id=| 1;"), MTASTS_ERR_RECORD_ID, ID},
    {"T4 an id of 33", S("v=STSv1; id=" X32 "|6;"), MTASTS_ERR_RECORD_ID, LONG},
    {"T4 an id of 33, then wrong", S("v=STSv1; id=" X32 "|_;"), MTASTS_ERR_RECORD_ID, ""},
    {"T4 an underscore in the id", S("v=STSv1; id=a|_b;"), MTASTS_ERR_RECORD_ID, ""},
    {"T4 a hyphen in the id", S("v=STSv1; id=2026|-01-31;"), MTASTS_ERR_RECORD_ID, ""},
    {"T7 NUL in the id", S("v=STSv1; id=1|\0;"), MTASTS_ERR_RECORD_ID, ""},
    {"T7 not ASCII in the id", S("v=STSv1; id=1|\xb9;"), MTASTS_ERR_RECORD_ID, ""},
    {"T4 the first id is wrong", S("v=STSv1; id=|!; id=2;"), MTASTS_ERR_RECORD_ID, ID},
    {"T4 no id", S("v=STSv1;|"), MTASTS_ERR_RECORD_NO_ID, ""},
    {"T4 nothing but the version", S("v=STSv1|"), MTASTS_ERR_RECORD_NO_ID, ""},
    {"T4 no id but a field", S("v=STSv1; a=b;|"), MTASTS_ERR_RECORD_NO_ID, ""},
    {"T3 T4 Id is not id", S("v=STSv1; Id=1; ID=2; iD=3;|"), MTASTS_ERR_RECORD_NO_ID, ""},
};

/* The text without its bar, and where that was. */
static size_t take_bar(const mtasts_str *text, char *out)
{
    const char *bar = memchr(text->ptr, '|', text->len);
    size_t at = bar ? (size_t)(bar - text->ptr) : 0;
    assert_non_null(bar);
    memcpy(out, text->ptr, at);
    memcpy(out + at, text->ptr + at + 1, text->len - at - 1);
    return at;
}

static void test_bad(void **state)
{
    mtasts_record out;
    mtasts_diag d;
    char text[256];
    size_t i;
    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        const struct bad *b = &bad[i];
        size_t at = take_bar(&b->text, text), len = b->text.len - 1;
        if (check(&out, text, len, &d) != b->err || d.offset != at || strcmp(d.text, b->hint) != 0)
            fail_msg("%s: %s at %u: %s", b->rule, mtasts_err_name((int)d.err), (unsigned)d.offset,
                     d.text);
        assert_int_equal(d.line, 1);
        check_cuts(text, len);
        check_mutations(text, len);
    }
}

#define ONE "v=STSv1; id=1;"

/* T2: one record to a line */
static const struct answer {
    const char *rule;
    const char *records;
    mtasts_err err;
    size_t line, offset;
    const char *id;
} answers[] = {
    {"T2 nothing like it", "a\nb", MTASTS_ERR_NO_RECORD, 0, 0, ""},
    {"T2 dropped, one left", "v=spf1 -all\n" ONE, MTASTS_OK, 2, 14, "1"},
    {"T2 dropped, any order", ONE "\nx\n\n\xff", MTASTS_OK, 1, 14, "1"},
    {"T2 two good ones", ONE "\nv=STSv1; id=2;", MTASTS_ERR_MULTIPLE_RECORDS, 2, 0, ""},
    {"T2 twice the same", ONE "\nx\n" ONE, MTASTS_ERR_MULTIPLE_RECORDS, 3, 0, ""},
    {"T2 three", ONE "\n" ONE "\n" ONE, MTASTS_ERR_MULTIPLE_RECORDS, 2, 0, ""},
    {"T2 T6 an invalid one counts", "v=STSv1;\n" ONE, MTASTS_ERR_MULTIPLE_RECORDS, 2, 0, ""},
    {"T2 T6 one left, invalid", "x\nv=STSv1; id=_;", MTASTS_ERR_RECORD_ID, 2, 12, ""},
    {"T2 T6 one left, without id", "v=STSv1;\nx", MTASTS_ERR_RECORD_NO_ID, 1, 8, ""},
    {"T2 T5 one left, ill-formed", "x\ny\nv=STSv1;;", MTASTS_ERR_RECORD_FIELD, 3, 8, ""},
    {"T2 the literal prefix", "v=STSv1 ; id=1;\nx", MTASTS_ERR_NO_RECORD, 0, 0, ""},
    {"T2 the literal prefix, dropped", "v=STSv1 ; id=1;\nv=STSv1;id=2", MTASTS_OK, 2, 12, "2"},
    {"T2 another version, dropped", "v=STSv2; id=1;\nv=STSv1;id=2", MTASTS_OK, 2, 12, "2"},
    {"T2 T3 another case, dropped", "V=STSv1; id=1;\nv=stsv1;id=2", MTASTS_ERR_NO_RECORD, 0, 0, ""},
    {"T2 empty records", "\n\n\n", MTASTS_ERR_NO_RECORD, 0, 0, ""},
    {"T2 cut short", "v=STSv1\nv=STSv1", MTASTS_ERR_NO_RECORD, 0, 0, ""},
};

static void check_answer(const struct answer *a, size_t cut)
{
    mtasts_str strings[16][2];
    mtasts_txt txt[16];
    mtasts_record out;
    mtasts_diag d;
    const char *p = a->records;
    size_t n, len;
    for (n = 0; n == 0 || p[-1] == '\n'; n++, p += len + 1) {
        len = strcspn(p, "\n");
        strings[n][0].ptr = p;
        strings[n][0].len = len < cut ? len : cut;
        strings[n][1].ptr = p + strings[n][0].len;
        strings[n][1].len = len - strings[n][0].len;
        txt[n].strings = strings[n];
        txt[n].count = 2;
    }
    if (select_record(&out, txt, n, strlen(a->records), &d) != a->err || d.line != a->line ||
        d.offset != a->offset)
        fail_msg("%s: %s at %u:%u", a->rule, mtasts_err_name((int)d.err), (unsigned)d.line,
                 (unsigned)d.offset);
    assert_string_equal(out.id, a->id);
}

static void test_answers(void **state)
{
    size_t i, cut;
    (void)state;
    for (i = 0; i < COUNT(answers); i++)
        for (cut = 0; cut < 20; cut++) /* T1, in several records */
            check_answer(&answers[i], cut);
}

/* T1 */
static void test_name_of_the_record(void **state)
{
    char out[MTASTS_NAME_SIZE];
    (void)state;
    assert_int_equal(mtasts_txt_name(out, "Example.COM.", 12, NULL), MTASTS_OK);
    assert_string_equal(out, "_mta-sts.example.com");
}

/* T7: 65535 octets, with the id at the end, in strings of 255 and in one */
static void test_longest(void **state)
{
    static char text[65535];
    static mtasts_str strings[257];
    mtasts_record out;
    mtasts_txt txt;
    mtasts_diag d;
    size_t i;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "v=STSv1;x=", 10);
    memcpy(text + sizeof text - 6, ";id=1;", 6);
    for (i = 0; i < COUNT(strings); i++) {
        strings[i].ptr = text + i * 255;
        strings[i].len = 255;
    }
    txt.strings = strings;
    txt.count = COUNT(strings);
    assert_int_equal(select_record(&out, &txt, 1, sizeof text, &d), MTASTS_OK);
    assert_int_equal(check(&out, text, sizeof text, &d), MTASTS_OK);
    assert_string_equal(out.id, "1");
    text[sizeof text - 7] = '\x80';
    assert_int_equal(check(&out, text, sizeof text, &d), MTASTS_ERR_RECORD_FIELD);
    assert_int_equal(d.offset, sizeof text - 7);
}

/* D17: equality only, so no id is put into another form. */
static void test_ids_stay_as_they_are(void **state)
{
    mtasts_record a, b;
    mtasts_diag d;
    (void)state;
    assert_int_equal(check(&a, "v=STSv1;id=1", 12, &d), MTASTS_OK);
    assert_int_equal(check(&b, "v=STSv1;id=01", 13, &d), MTASTS_OK);
    assert_string_not_equal(a.id, b.id);
    assert_int_equal(check(&a, "v=STSv1;id=a", 12, &d), MTASTS_OK);
    assert_int_equal(check(&b, "v=STSv1;id=A", 12, &d), MTASTS_OK);
    assert_string_not_equal(a.id, b.id);
}

static void test_null(void **state)
{
    static const mtasts_str null = {NULL, 5};
    static const mtasts_txt nothing[2] = {{NULL, 0}, {NULL, 0}};
    static const mtasts_txt wrong[2] = {{NULL, 3}, {&null, 1}};
    mtasts_record out;
    mtasts_diag d;
    (void)state;
    assert_int_equal(select_record(&out, NULL, 0, 0, &d), MTASTS_ERR_NO_RECORD);
    assert_int_equal(d.line, 0);
    assert_int_equal(select_record(&out, nothing, 0, 0, &d), MTASTS_ERR_NO_RECORD);
    assert_int_equal(select_record(&out, nothing, 1, 0, &d), MTASTS_ERR_NO_RECORD);
    assert_int_equal(d.line, 1);
    assert_int_equal(select_record(&out, nothing, 2, 0, &d), MTASTS_ERR_NO_RECORD);
    assert_int_not_equal(mtasts_record_select(&out, &wrong[0], 1, &d), MTASTS_OK);
    assert_int_not_equal(mtasts_record_select(&out, &wrong[1], 1, &d), MTASTS_OK);
    assert_int_not_equal(mtasts_record_select(&out, wrong, 2, &d), MTASTS_OK);
    DIRTY(d);
    assert_int_equal(mtasts_record_select(&out, NULL, 1, &d), MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    DIRTY(d);
    assert_int_equal(mtasts_record_select(NULL, nothing, 1, &d), MTASTS_ERR_USAGE);
    assert_diag(&d, MTASTS_ERR_USAGE, 0);
    assert_int_equal(mtasts_record_select(NULL, NULL, 0, NULL), MTASTS_ERR_USAGE);
}

static int setup(void **state)
{
    (void)state;
    return regcomp(&record_regex,
                   "^v=STSv1([ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]+)+"
                   "([ \t]*;[ \t]*)?$",
                   REG_EXTENDED | REG_NOSUB) ||
           regcomp(&id_regex,
                   "^[^;]*(;[ \t]*([^i;\t ][^;]*|i[^d;]?|i[^d;][^;]*|id[^=;][^;]*))*"
                   ";[ \t]*id=[A-Za-z0-9]{1,32}[ \t]*(;|$)",
                   REG_EXTENDED | REG_NOSUB);
}

static int teardown(void **state)
{
    (void)state;
    regfree(&record_regex);
    regfree(&id_regex);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_name_of_the_record),
        cmocka_unit_test(test_longest), cmocka_unit_test(test_ids_stay_as_they_are),
        cmocka_unit_test(test_null),
    };
    return cmocka_run_group_tests_name("4 TXT record", tests, setup, teardown);
}
