/* Names and matches a second time, slow and obvious: what targets compare mtasts.h with. Nothing
 * here is taken from it or calls it. */
#ifndef OBVIOUS_H
#define OBVIOUS_H

#include "fuzz.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define BLANKS  " \t"

static inline mtasts_str str_of(const char *ptr, size_t len)
{
    mtasts_str s;
    s.ptr = ptr;
    s.len = len;
    return s;
}

/* Is the octet one of these? NUL is none. */
static inline int is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static inline int all_of(mtasts_str s, const char *set)
{
    size_t i;
    for (i = 0; i < s.len; i++)
        if (!is_one_of(s.ptr[i], set))
            return 0;
    return 1;
}

static inline mtasts_str cut_front(mtasts_str s, size_t n)
{
    return str_of(s.ptr + n, s.len - n);
}

static inline int begins(mtasts_str s, const char *literal)
{
    return s.len >= strlen(literal) && memcmp(s.ptr, literal, strlen(literal)) == 0;
}

static inline int equals(mtasts_str s, const char *literal)
{
    return s.len == strlen(literal) && begins(s, literal);
}

/* What stands before the first `end`, or all; *rest becomes what stands behind it, or {NULL, 0}. */
static inline mtasts_str cut_at(mtasts_str *rest, char end)
{
    mtasts_str part = *rest;
    size_t i;
    for (i = 0; i < part.len; i++)
        if (part.ptr[i] == end) {
            *rest = cut_front(part, i + 1);
            part.len = i;
            return part;
        }
    *rest = str_of(NULL, 0);
    return part;
}

static inline int is_empty_or_dot_last(mtasts_str s)
{
    return !s.len || s.ptr[s.len - 1] == '.';
}

static inline mtasts_str without_dot(mtasts_str s)
{
    s.len -= s.len && s.ptr[s.len - 1] == '.';
    return s;
}

static inline char lower_of(char c)
{
    const char *upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", *at = c ? strchr(upper, c) : NULL;
    return at ? "abcdefghijklmnopqrstuvwxyz"[at - upper] : c;
}

static inline int same_name(mtasts_str a, mtasts_str b)
{
    size_t i;
    for (i = 0; i < a.len && i < b.len; i++)
        if (lower_of(a.ptr[i]) != lower_of(b.ptr[i]))
            return 0;
    return a.len == b.len;
}

/* RFC 5321 4.1.2 and underscores; RFC 1035 2.3.4 */
static inline int is_label(mtasts_str s)
{
    return s.len >= 1 && s.len <= 63 && all_of(s, LETTERS DIGITS "-_") && s.ptr[0] != '-' &&
           s.ptr[s.len - 1] != '-';
}

/* Labels with dots between them, perhaps one dot behind the last. An address may look so too. */
static inline int is_name(mtasts_str s)
{
    s = without_dot(s);
    if (is_empty_or_dot_last(s) || s.len > 253)
        return 0;
    while (s.len)
        if (!is_label(cut_at(&s, '.')))
            return 0;
    return 1;
}

static inline int last_label_is_digits(mtasts_str s)
{
    mtasts_str label = str_of(NULL, 0);
    s = without_dot(s);
    while (s.len)
        label = cut_at(&s, '.');
    return all_of(label, DIGITS);
}

/* M3, M5: what can be a host */
static inline int is_host(mtasts_str s)
{
    return is_name(s) && !last_label_is_digits(s);
}

/* M1, M2: RFC 8461 4.1 */
static inline int obvious_mx_matches(mtasts_str pattern, mtasts_str host)
{
    int star = begins(pattern, "*.");
    if (star)
        pattern = cut_front(pattern, 2);
    if (!is_host(pattern) || !is_host(host))
        return 0;
    if (star)
        cut_at(&host, '.');
    return host.len && same_name(without_dot(pattern), without_dot(host));
}

/* C2, C3, C6: RFC 9525 6.3 */
static inline int obvious_cert_name_matches(mtasts_str presented, mtasts_str host)
{
    mtasts_str behind = presented;
    if (is_empty_or_dot_last(presented))
        return 0;
    cut_at(&behind, '.');
    if (presented.ptr[0] == '*' && !memchr(behind.len ? behind.ptr : "", '.', behind.len))
        return 0;
    return obvious_mx_matches(presented, host);
}

/* In memory of its own, so that a step too far out of it is seen; freed with drop_copy. */
static inline mtasts_str copy_of(mtasts_str s)
{
    input in;
    in.at = (const uint8_t *)(s.len ? s.ptr : "");
    in.left = s.len;
    return take_copy(&in, s.len);
}

/* The host; or, joined, the host, a dot and the name, without its "*.". In memory of its own, which
 * the caller frees with drop_copy. A fuzzer alone would take long to write a name twice. */
static inline mtasts_str make_host(mtasts_str host, mtasts_str name, int joined)
{
    char *p;
    if (!joined || !name.len)
        return copy_of(host);
    if (begins(name, "*."))
        name = cut_front(name, 2);
    p = (char *)malloc(host.len + 1 + name.len);
    if (!p)
        abort();
    if (host.len)
        memcpy(p, host.ptr, host.len);
    p[host.len] = '.';
    if (name.len)
        memcpy(p + host.len + 1, name.ptr, name.len);
    return str_of(p, host.len + 1 + name.len);
}

#endif
