/* MX hosts against the patterns of a policy: section 8 of mtasts.h.
 *
 * Targets:  mtasts_mx_matches, mtasts_policy_find, mtasts_policy_matches
 * Property: a matcher that takes names apart at their dots says the same
 *           case and a trailing dot, on either side, change nothing
 *           what matches are two names; "*" is one label; a name without it matches both ways
 *           a policy's first pattern that matches is found, and no other
 *           mbedTLS says the same of a certificate with the pattern as its name; OpenSSL too, but
 *           that it wants two labels behind "*" and has no underscores with it
 * Input:    1 octet: bit 0: behind the host stand a dot and the first pattern, without "*."
 *           the rest: lines, the host and patterns
 */
#include "peers.h"

#define PATTERNS 8
#define HEAD     "version: STSv1\nmode: enforce\nmax_age: 604800\n"

static int matches(mtasts_str pattern, mtasts_str host)
{
    int result = mtasts_mx_matches(pattern.ptr, pattern.len, host.ptr, host.len);
    CHECK(result == 0 || result == 1);
    CHECK(mtasts_mx_matches(pattern.ptr, pattern.len, host.ptr, host.len) == result);
    return result;
}

static size_t count_of(mtasts_str s, char c)
{
    size_t i, n = 0;
    for (i = 0; i < s.len; i++)
        n += s.ptr[i] == c;
    return n;
}

/* In the other case, and with the other dot, if there can be one. Freed by the caller. */
static mtasts_str other_form(mtasts_str s)
{
    char *p = (char *)malloc(s.len + 1);
    size_t i, len = s.len;
    if (!p)
        abort();
    for (i = 0; i < len; i++)
        p[i] = (char)(is_one_of(s.ptr[i], LETTERS) ? s.ptr[i] ^ 0x20 : s.ptr[i]);
    if (len > 1 && p[len - 1] == '.' && p[len - 2] != '.')
        len--;
    else if (len && p[len - 1] != '.')
        p[len++] = '.';
    return str_of(p, len);
}

static void check_forms(mtasts_str pattern, mtasts_str host, int expected)
{
    mtasts_str p = other_form(pattern), h = other_form(host);
    CHECK(matches(p, host) == expected);
    CHECK(matches(pattern, h) == expected);
    CHECK(matches(p, h) == expected);
    if (!begins(pattern, "*") && !begins(host, "*"))
        CHECK(matches(host, pattern) == expected);
    drop_copy(p);
    drop_copy(h);
}

static void check_match(mtasts_str pattern, mtasts_str host)
{
    mtasts_str name = begins(pattern, "*.") ? cut_front(pattern, 2) : pattern;
    CHECK(mtasts_name_normalise(NULL, name.ptr, name.len, NULL) == MTASTS_OK);
    CHECK(mtasts_name_normalise(NULL, host.ptr, host.len, NULL) == MTASTS_OK);
    CHECK(count_of(without_dot(pattern), '.') == count_of(without_dot(host), '.'));
}

/* Only where the host is a name: what they say of others is no rule of ours. */
static void check_peers(mtasts_str pattern, mtasts_str host, int expected)
{
    int star = begins(pattern, "*."), openssl;
    if (!is_host(host))
        return;
    pattern = without_dot(pattern);
    host = without_dot(host);
    CHECK(mbedtls_matches(&pattern, 1, host) == expected);
    openssl = openssl_matches(&pattern, 1, host);
    if (!star || (count_of(pattern, '.') > 1 && !count_of(host, '_')))
        CHECK(openssl == expected);
    else
        CHECK(!openssl || expected);
}

static void check_pattern(mtasts_str pattern, mtasts_str host)
{
    int result = matches(pattern, host);
    CHECK(result == obvious_mx_matches(pattern, host));
    CHECK(!matches(str_of(NULL, 0), host) && !matches(pattern, str_of(NULL, 0)));
    if (result)
        check_match(pattern, host);
    check_forms(pattern, host, result);
    check_peers(pattern, host, result);
}

static void check_find(const mtasts_policy *policy, mtasts_str host)
{
    mtasts_str mx, found;
    size_t cursor = 0;
    int expected = 0;
    memset(&found, 0xff, sizeof found);
    while (!expected && mtasts_policy_next_mx(policy, &cursor, &mx))
        expected = matches(mx, host);
    CHECK(mtasts_policy_find(policy, host.ptr, host.len, &found) == expected);
    CHECK(found.ptr == mx.ptr && found.len == mx.len);
    CHECK(mtasts_policy_find(policy, host.ptr, host.len, NULL) == expected);
    CHECK(mtasts_policy_matches(policy, host.ptr, host.len) == expected);
    CHECK(!mtasts_policy_find(NULL, host.ptr, host.len, &found) && !found.ptr && !found.len);
}

/* Whatever patterns are none is not in the policy, that the others are. */
static void check_policy(const mtasts_str *patterns, size_t count, mtasts_str host)
{
    char *body;
    size_t i, len = sizeof HEAD - 1, size = len;
    mtasts_policy policy;
    for (i = 0; i < count; i++)
        size += patterns[i].len + 5;
    body = (char *)malloc(size);
    if (!body)
        abort();
    memcpy(body, HEAD, len);
    for (i = 0; i < count; i++) {
        mtasts_str mx = patterns[i];
        if (!is_name(begins(mx, "*.") ? cut_front(mx, 2) : mx))
            continue;
        memcpy(body + len, "mx: ", 4);
        memcpy(body + len + 4, mx.ptr, mx.len);
        len += mx.len + 5;
        body[len - 1] = '\n';
    }
    if (mtasts_policy_parse(&policy, body, len, 0, NULL) == MTASTS_OK)
        check_find(&policy, host);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    mtasts_str text, rest, host, patterns[PATTERNS];
    size_t i, count = 0;
    unsigned joined;
    in.at = data;
    in.left = size;
    joined = take_octet(&in) & 1;
    rest = text = take_copy(&in, in.left);
    host = cut_at(&rest, '\n');
    do {
        patterns[count++] = copy_of(cut_at(&rest, '\n'));
    } while (rest.ptr && count < PATTERNS);
    host = make_host(host, patterns[0], joined != 0);
    for (i = 0; i < count; i++)
        check_pattern(patterns[i], host);
    check_policy(patterns, count, host);
    while (count)
        drop_copy(patterns[--count]);
    drop_copy(host);
    drop_copy(text);
    return 0;
}
