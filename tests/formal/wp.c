/* What WP proves: the functions that `annotate` cuts out of the header, with the contracts of
 * wp.acsl. */
#include <string.h>
#define MTASTS_PURE
#include "mtasts.h"

/*@ logic integer low(integer c) = 'A' <= c <= 'Z' ? c + 32 : c;

    predicate same(char *a, char *b, integer n) =
        \forall integer i; 0 <= i < n ==> low(a[i]) == low(b[i]);

    predicate first_dot(char *host, integer n, integer k) =
        0 <= k < n && host[k] == '.' && \forall integer i; 0 <= i < k ==> host[i] != '.';

    // RFC 8461 4.1: "*" stands for all in front of the host's first dot
    predicate matches(char *pattern, integer m, char *host, integer n) =
        m >= 2 && pattern[0] == '*'
            ? \exists integer k; first_dot(host, n, k) && m - 1 == n - k &&
                same(pattern + 1, host + k, n - k)
            : m == n && same(pattern, host, n);
*/

/* What C says of memchr, of char. */
/*@ requires \valid_read(s + (0 .. n - 1));
    assigns \result \from s, s[0 .. n - 1], c, n;
    ensures \result == \null ==> \forall integer i; 0 <= i < n ==> s[i] != c;
    ensures \result != \null ==>
        \exists integer k; 0 <= k < n && \result == s + k && s[k] == c &&
            \forall integer i; 0 <= i < k ==> s[i] != c;
*/
const char *formal_memchr(const char *s, int c, size_t n);
#define memchr formal_memchr

/* The same of memcmp, of unsigned char; only what it reads. */
/*@ requires \valid_read(a + (0 .. n - 1)) && \initialized(a + (0 .. n - 1));
    assigns \result \from a[0 .. n - 1], n; */
int formal_memcmp(const unsigned char *a, const char *b, size_t n);
#define memcmp formal_memcmp

/*@ assigns *diag;
    ensures \result == err; */
static mtasts_err mtastsi_say(mtasts_diag *diag, mtasts_err err, size_t offset, const char *text);

#include "cut.h"
