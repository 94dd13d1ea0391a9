/* The names of a certificate against a host: section 9 of mtasts.h, without the DER.
 *
 * Targets:  mtasts_cert_name_matches, mtasts_cert_matches
 * Property: a matcher that takes names apart at their dots says the same
 *           case and the host's trailing dot change nothing; with one a presented name matches none
 *           a list matches as any of its names does, in any order, whatever else is in it
 *           the host is a name: then any octets may be presented, and
 *           - OpenSSL says the same where neither has an underscore; with one in either it may
 *             refuse what "*" would match, since underscores are tolerated here (C6)
 *           - mbedTLS says the same, but that it takes "*." and one label, which RFC 9525 allows
 *           - libcurl's rules say the same, but that they ignore a presented trailing dot
 *           (of hosts that are no names, which match nothing here, the others have other ideas)
 * Input:    1 octet: bit 0: behind the host stand a dot and the first name, without "*."
 *           the rest: lines, the host and presented names
 */
#include "peers.h"

#define NAMES 8

static int matches(mtasts_str presented, mtasts_str host)
{
    int result = mtasts_cert_name_matches(presented.ptr, presented.len, host.ptr, host.len);
    CHECK(result == 0 || result == 1);
    CHECK(mtasts_cert_name_matches(presented.ptr, presented.len, host.ptr, host.len) == result);
    return result;
}

static int any_matches(const mtasts_str *names, size_t count, mtasts_str host)
{
    return mtasts_cert_matches(names, count, host.ptr, host.len);
}

/* A copy in the other case, with `end` behind it. */
static mtasts_str other_case(mtasts_str s, const char *end)
{
    char *p = (char *)malloc(s.len + strlen(end) + 1);
    size_t i;
    if (!p)
        abort();
    for (i = 0; i < s.len; i++)
        p[i] = (char)(is_one_of(s.ptr[i], LETTERS) ? s.ptr[i] ^ 0x20 : s.ptr[i]);
    memcpy(p + s.len, end, strlen(end) + 1);
    return str_of(p, s.len + strlen(end));
}

static void check_forms(mtasts_str presented, mtasts_str host, int expected)
{
    mtasts_str p = other_case(presented, ""), h = other_case(host, ""), dot;
    CHECK(matches(p, host) == expected && matches(presented, h) == expected);
    drop_copy(h);
    h = without_dot(host);
    if (host.len && h.len == host.len) {
        dot = other_case(host, ".");
        CHECK(matches(presented, dot) == expected);
        drop_copy(dot);
    }
    dot = other_case(presented, ".");
    CHECK(!matches(dot, host));
    drop_copy(dot);
    drop_copy(p);
}

static int has_underscore(mtasts_str s)
{
    return s.len && memchr(s.ptr, '_', s.len) != NULL;
}

/* Is it "*." and one label, to which only mbedTLS holds? */
static int is_star_and_label(mtasts_str presented)
{
    return begins(presented, "*.") && !memchr(presented.ptr + 2, '.', presented.len - 2);
}

static void check_peers(mtasts_str presented, mtasts_str host, int expected)
{
    int openssl;
    host = without_dot(host);
    openssl = openssl_matches(&presented, 1, host);
    if (has_underscore(presented) || has_underscore(host))
        CHECK(!openssl || expected);
    else
        CHECK(openssl == expected);
    if (is_star_and_label(presented))
        CHECK(!expected);
    else
        CHECK(mbedtls_matches(&presented, 1, host) == expected);
    if (!presented.len || presented.ptr[presented.len - 1] != '.')
        CHECK(libcurl_matches(presented, host) == expected);
}

static void check_name(mtasts_str presented, mtasts_str host)
{
    int result = matches(presented, host);
    CHECK(result == obvious_cert_name_matches(presented, host));
    CHECK(any_matches(&presented, 1, host) == result);
    CHECK(!result || mtasts_mx_matches(presented.ptr, presented.len, host.ptr, host.len));
    CHECK(!matches(str_of(NULL, 0), host) && !matches(presented, str_of(NULL, 0)));
    check_forms(presented, host, result);
    if (is_host(host))
        check_peers(presented, host, result);
}

/* The names the other way round, with malformed ones in front and behind (C6). */
static void check_list(const mtasts_str *names, size_t count, mtasts_str host)
{
    mtasts_str list[NAMES + 3];
    size_t i, n = 0;
    int expected = 0;
    for (i = 0; i < count; i++)
        expected |= matches(names[i], host);
    CHECK(any_matches(names, count, host) == expected);
    CHECK(any_matches(names, 0, host) == 0 && any_matches(NULL, 0, host) == 0);
    list[n++] = str_of(NULL, 0);
    list[n++] = str_of("*.*.example.com\0", 16);
    for (i = count; i--;)
        list[n++] = names[i];
    list[n++] = str_of("\xff.example.com.", 14);
    CHECK(any_matches(list, n, host) == expected);
    if (is_host(host) && !expected) {
        CHECK(!openssl_matches(list, n, without_dot(host)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in;
    mtasts_str text, rest, host, names[NAMES];
    size_t i, count = 0;
    unsigned joined;
    in.at = data;
    in.left = size;
    joined = take_octet(&in) & 1;
    rest = text = take_copy(&in, in.left);
    host = cut_at(&rest, '\n');
    do {
        names[count++] = copy_of(cut_at(&rest, '\n'));
    } while (rest.ptr && count < NAMES);
    host = make_host(host, names[0], joined != 0);
    for (i = 0; i < count; i++)
        check_name(names[i], host);
    check_list(names, count, host);
    while (count)
        drop_copy(names[--count]);
    drop_copy(host);
    drop_copy(text);
    return 0;
}
