/* mtasts.h 0.1.0 - MTA-STS (RFC 8461) for mail servers, in one C99 header
 * SPDX-License-Identifier: MIT (full text at the end)
 *
 * WHAT IT IS
 *   A domain can publish, over DNS and HTTPS, that mail to it must go over authenticated TLS to the
 *   MX hosts that it names. This header lets a sending mail server find out, and act on it: it
 *   parses the TXT record and the policy, speaks the HTTP, matches MX hosts and certificates,
 *   decides, and remembers policies and keeps them fresh. The server brings DNS, TLS and its clock.
 *
 * TO USE IT
 *   In exactly one .c (or .cc) file:
 *       #define MTASTS_IMPLEMENTATION
 *       #include "mtasts.h"
 *   Everywhere else just include it. Nothing to link, nothing to initialise.
 *
 * A TASTE
 *       mtasts_policy policy;
 *       mtasts_diag diag;
 *       if (mtasts_policy_parse(&policy, body, body_len, 0, &diag) != MTASTS_OK)
 *           return log_line(diag.line, diag.column, mtasts_strerror(diag.err));
 *
 *       mtasts_delivery delivery = {0};             all zero: TLS where the server offers it
 *       delivery.policy = &policy;
 *
 *       mtasts_plan plan;                           before connecting to an MX
 *       mtasts_session session = {0};
 *       mtasts_apply_plan(&plan, &delivery, mx, strlen(mx));
 *       if (plan.use) {
 *           connect_and_starttls(mx);               as plan.tls and plan.verify ask
 *           session.starttls = MTASTS_STARTTLS_DONE;
 *           session.chain = MTASTS_CHAIN_TRUSTED;   what your TLS library said of the chain
 *           mtasts_cert_der_matches(der, der_len, plan.host, strlen(plan.host),
 *                                   &session.name_matches);
 *       }
 *       mtasts_verdict verdict;
 *       mtasts_apply_verdict(&verdict, &plan, &session);
 *       if (verdict.action == MTASTS_ACTION_DELIVER)
 *           send_message();                         else the next MX; verdict.reason says why
 *
 * WHERE THE POLICY COMES FROM
 *   Section 16 does it all, given three callbacks (clock, TXT, HTTPS) and memory; it works the same
 *   in a program that blocks and in an event loop. examples/taste_client.c shows both in 60 lines.
 *
 * WHAT IT PROMISES
 *   - No I/O, no clock, no locale, no global or thread-local state, no recursion, and no memory but
 *     what the host gives to sections 15 and 16. Every function may be called from any thread at
 *     any time on different data.
 *   - Needs <stddef.h>, <stdint.h>, <string.h>, and of the last only memchr, memcmp, memcpy,
 *     memmove and memset (clang may call bcmp for memcmp).
 *   - All input is taken to be hostile: every loop is bounded by an input length, no work is
 *     quadratic, no octet outside (pointer, length) is read, and what is unclear never matches.
 *   - Input is (pointer, length). It need not end in NUL and may hold NUL. (NULL, 0) is legal
 *     everywhere and means "empty"; NULL with another length is answered with an error or "no".
 *   - Nothing is kept after a function returns, but where its comment says "keeps" or "a view".
 *   - Errors are values. `diag` may be NULL everywhere; where it is not, it is always written.
 *   - Output structs are always written, zeroed first; after an error they hold nothing usable.
 *   - Structs that the host fills are good when zeroed: then nothing is asked for beyond TLS where
 *     it is offered, and nothing is claimed to have gone well.
 *
 * OPTIONS (define before including; none changes a struct or a result)
 *   MTASTS_IMPLEMENTATION   emit the function bodies here
 *   MTASTS_STATIC           all functions static, bodies included: for a library that embeds the
 *                           header and must not collide with another copy in the same program
 *   MTASTS_API              linkage of the public functions, e.g. __declspec(dllexport)
 *   MTASTS_PURE             without sections 12 to 16: pure functions only, under half of the code
 *
 * CONTENTS (the same number and title stand over the declarations, the bodies and the unit tests)
 *    1 Version
 *    2 Strings and errors
 *    3 Names                 RFC 5321 4.1.2, RFC 8461 3.4
 *    4 TXT record            RFC 8461 3.1
 *    5 Policy                RFC 8461 3.2
 *    6 Policy writer         RFC 8461 3.1, 3.2
 *    7 HTTPS exchange        RFC 8461 3.3
 *    8 MX match              RFC 8461 4.1
 *    9 Certificate names     RFC 8461 4.2, RFC 9525
 *   10 Application           RFC 8461 4, 5; RFC 8689; RFC 7672
 *   11 TLS reporting         RFC 8460
 *   12 Entry                 what is kept of a domain, and as text for a store; RFC 8461 3.3
 *   13 Discovery             one domain's look-up, step by step; RFC 8461 3, 5.1
 *   14 Memory
 *   15 Cache                 RFC 8461 10.2
 *   16 Client                all of it behind one call
 *   A section uses only what stands in sections of lower number. 1 to 11 are pure functions and can
 *   be had alone (MTASTS_PURE). A server with a cache of its own takes 12 and 13 as well; one that
 *   wants it all takes 16.
 *
 * LIMITS OF THIS VERSION
 *   Names are A-labels: converting U-labels is the host's. MSVC is untested.
 */
#ifndef MTASTS_H
#define MTASTS_H

#include <stddef.h>
#include <stdint.h>

#if defined(MTASTS_STATIC) && !defined(MTASTS_IMPLEMENTATION)
#define MTASTS_IMPLEMENTATION
#endif
#if defined(__GNUC__)
#define MTASTSI_UNUSED __attribute__((unused))
#else
#define MTASTSI_UNUSED
#endif
#if !defined(MTASTS_API)
#if defined(MTASTS_STATIC)
#define MTASTS_API static MTASTSI_UNUSED
#else
#define MTASTS_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1 Version ========================================================================== */

#define MTASTS_VERSION_MAJOR 0
#define MTASTS_VERSION_MINOR 1
#define MTASTS_VERSION_PATCH 0
#define MTASTS_VERSION \
    (MTASTS_VERSION_MAJOR * 10000L + MTASTS_VERSION_MINOR * 100L + MTASTS_VERSION_PATCH)

/* Is this header at least major.minor? For #if. */
#define MTASTS_PREREQ(major, minor) (MTASTS_VERSION >= (major)*10000L + (minor)*100L)

/* mtasts_version - the version of the bodies that are linked
 *
 *   returns   MTASTS_VERSION of the implementation; compare it with the macro to notice a shared
 *             library older than the header
 */
MTASTS_API long mtasts_version(void);

/* ==== 2 Strings and errors =============================================================== */

/* A view of octets that somebody else owns. Not NUL-terminated. {NULL, 0} is the empty one. */
typedef struct mtasts_str {
    const char *ptr;
    size_t len;
} mtasts_str;

/* RFC 8460 4.3 result types, with the numbers of libtlsrpt's tlsrpt_failure_t, so that a host may
 * cast. Section 11 has their names. */
typedef enum mtasts_tlsrpt_result {
    MTASTS_TLSRPT_OK = 0, /* nothing failed */
    MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED = 201,
    MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH = 202,
    MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED = 203,
    MTASTS_TLSRPT_CERTIFICATE_EXPIRED = 204,
    MTASTS_TLSRPT_VALIDATION_FAILURE = 205,
    MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR = 301,
    MTASTS_TLSRPT_STS_POLICY_INVALID = 302,
    MTASTS_TLSRPT_STS_WEBPKI_INVALID = 303,
    MTASTS_TLSRPT_TLSA_INVALID = 304,
    MTASTS_TLSRPT_DNSSEC_INVALID = 305,
    MTASTS_TLSRPT_DANE_REQUIRED = 306
} mtasts_tlsrpt_result;

/* Every error: name, number, sentence, RFC section, RFC 8460 result when it spoils a look-up.
 * Numbers are never reused; new ones are added at the end of their group. */
#define MTASTS_ERRORS(X)                                                                           \
    X(MTASTS_OK, 0, "no error", "", MTASTS_TLSRPT_OK)                                              \
    X(MTASTS_MORE, 1, "not done yet: more is to come", "", MTASTS_TLSRPT_OK)                       \
    X(MTASTS_ERR_USAGE, 2, "an argument is not allowed (a mistake in the calling program)", "",    \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_SPACE, 3, "the output buffer is too small", "", MTASTS_TLSRPT_OK)                 \
    X(MTASTS_ERR_STALE, 4, "a late answer, or a second one: it changes nothing", "",               \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_LIMIT, 5, "a limit that the host has set is reached (memory, look-ups at once)",  \
      "", MTASTS_TLSRPT_OK)                                                                        \
    X(MTASTS_ERR_STORE, 6, "the store could not be read: what it holds may be a policy", "",       \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_NAME_EMPTY, 10, "the name is empty", "RFC 5321 4.1.2", MTASTS_TLSRPT_OK)          \
    X(MTASTS_ERR_NAME_OCTET, 11,                                                                   \
      "the name holds something else than letters, digits, \"-\", \".\"", "RFC 5321 4.1.2",        \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_NAME_ULABEL, 12, "the name is not ASCII: convert it to A-labels (xn--...)",       \
      "RFC 8461 4.1", MTASTS_TLSRPT_OK)                                                            \
    X(MTASTS_ERR_NAME_EMPTY_LABEL, 13, "a label of the name is empty", "RFC 5321 4.1.2",           \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_NAME_HYPHEN, 14, "a label of the name begins or ends with a hyphen",              \
      "RFC 5321 4.1.2", MTASTS_TLSRPT_OK)                                                          \
    X(MTASTS_ERR_NAME_LONG_LABEL, 15, "a label of the name is longer than 63 octets",              \
      "RFC 1035 2.3.4", MTASTS_TLSRPT_OK)                                                          \
    X(MTASTS_ERR_NAME_LONG, 16, "the name is longer than 253 octets", "RFC 1035 2.3.4",            \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_NAME_ADDRESS, 17, "an address, not a name: it has no policy and matches nothing", \
      "RFC 8461 3.4", MTASTS_TLSRPT_OK)                                                            \
    X(MTASTS_ERR_NO_RECORD, 20, "there is no MTA-STS TXT record", "RFC 8461 3.1",                  \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_MULTIPLE_RECORDS, 21, "there is more than one MTA-STS TXT record",                \
      "RFC 8461 3.1", MTASTS_TLSRPT_OK)                                                            \
    X(MTASTS_ERR_RECORD_FIELD, 22, "a field of the TXT record is not well formed", "RFC 8461 3.1", \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_RECORD_ID, 23, "the id of the TXT record is not 1 to 32 letters and digits",      \
      "RFC 8461 3.1", MTASTS_TLSRPT_OK)                                                            \
    X(MTASTS_ERR_RECORD_NO_ID, 24, "the TXT record has no id", "RFC 8461 3.1", MTASTS_TLSRPT_OK)   \
    X(MTASTS_ERR_DNS, 25, "the TXT record could not be looked up (SERVFAIL, time-out, ...)",       \
      "RFC 8461 3.1", MTASTS_TLSRPT_OK)                                                            \
    X(MTASTS_ERR_DNS_BOGUS, 26, "the TXT record's DNSSEC signature is wrong", "RFC 4035 5",        \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_DNS_CNAME, 27, "too many aliases on the way to the TXT record", "RFC 8461 8.2",   \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_POLICY_SIZE, 30, "the policy is larger than 65536 octets", "RFC 8461 3.3",        \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_POLICY_LINE, 31, "a line of the policy has no \"key: value\"", "RFC 8461 3.2",    \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_KEY, 32, "a key of the policy is not well formed", "RFC 8461 3.2",         \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_VALUE, 33, "a value of the policy is not well formed", "RFC 8461 3.2",     \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_VERSION, 34, "the version of the policy is not STSv1", "RFC 8461 3.2",     \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_MODE, 35, "the mode of the policy is not enforce, testing or none",        \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_INVALID)                                            \
    X(MTASTS_ERR_POLICY_MAX_AGE, 36, "the max_age of the policy is not 1 to 10 digits",            \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_INVALID)                                            \
    X(MTASTS_ERR_POLICY_MX, 37, "an mx of the policy is not a host name, or \"*.\" and one",       \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_INVALID)                                            \
    X(MTASTS_ERR_POLICY_NO_VERSION, 38, "the policy has no version", "RFC 8461 3.2",               \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_NO_MODE, 39, "the policy has no mode", "RFC 8461 3.2",                     \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_NO_MAX_AGE, 40, "the policy has no max_age", "RFC 8461 3.2",               \
      MTASTS_TLSRPT_STS_POLICY_INVALID)                                                            \
    X(MTASTS_ERR_POLICY_NO_MX, 41, "the policy has no mx, and its mode is not none",               \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_INVALID)                                            \
    X(MTASTS_ERR_POLICY_QUIRK, 42, "the policy departs from the grammar (strict parsing)",         \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_INVALID)                                            \
    X(MTASTS_ERR_HTTP_SYNTAX, 50, "the response is not well-formed HTTP/1.x", "RFC 9112",          \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_HTTP_HEAD_SIZE, 51, "the response's head, or its chunk framing, is too large",    \
      "RFC 8461 3.3", MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                        \
    X(MTASTS_ERR_HTTP_REDIRECT, 52, "the response is a redirect: those are never followed",        \
      "RFC 8461 3.3", MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                        \
    X(MTASTS_ERR_HTTP_STATUS, 53, "the response's status is not 200", "RFC 8461 3.3",              \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_HTTP_MEDIA_TYPE, 54, "the response's media type is not text/plain",               \
      "RFC 8461 3.2", MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                        \
    X(MTASTS_ERR_HTTP_CODING, 55, "the response's content is compressed, which was not asked for", \
      "RFC 9110 8.4", MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                        \
    X(MTASTS_ERR_HTTP_FRAMING, 56, "the response's length or chunks make no sense", "RFC 9112 6",  \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_HTTP_BODY_SIZE, 57, "the response's body is larger than allowed", "RFC 8461 3.3", \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_HTTP_INCOMPLETE, 58, "the response ended before it was complete", "RFC 9112 8",   \
      MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                                        \
    X(MTASTS_ERR_HTTPS_CONNECT, 60, "the policy host cannot be reached, or is too slow",           \
      "RFC 8461 3.3", MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR)                                        \
    X(MTASTS_ERR_HTTPS_CERT, 61, "the policy host's certificate is not good", "RFC 8461 3.3",      \
      MTASTS_TLSRPT_STS_WEBPKI_INVALID)                                                            \
    X(MTASTS_ERR_CERT_DER, 70, "the certificate is not well-formed DER", "RFC 5280 4.1",           \
      MTASTS_TLSRPT_STS_WEBPKI_INVALID)                                                            \
    X(MTASTS_ERR_ENTRY_VERSION, 80, "this is no stored entry, or one of another version", "",      \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_ENTRY_DAMAGED, 81, "the stored entry is cut off, or was changed", "",             \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_ENTRY_SYNTAX, 82, "the stored entry is not what was written", "",                 \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_ENTRY_DOMAIN, 83, "the stored entry is another domain's", "", MTASTS_TLSRPT_OK)

#define MTASTSI_ENUM(name, number, text, section, result) name = number,
typedef enum mtasts_err { MTASTS_ERRORS(MTASTSI_ENUM) MTASTS_ERR_END_ = 0x7fff } mtasts_err;
#undef MTASTSI_ENUM

/* Deviations of a policy from the grammar whose meaning is beyond doubt: bit, number, name, text.
 * Accepted and recorded by default, an error under MTASTS_STRICT. None widens what it allows. */
#define MTASTS_QUIRKS(X)                                                             \
    X(MTASTS_QUIRK_BOM, 0x01u, "bom", "a UTF-8 byte order mark at the start")        \
    X(MTASTS_QUIRK_BLANK_LINE, 0x02u, "blank_line", "a blank line")                  \
    X(MTASTS_QUIRK_INDENT, 0x04u, "indent", "blanks before the key")                 \
    X(MTASTS_QUIRK_TRAILING_DOT, 0x08u, "trailing_dot", "a dot at the end of an mx") \
    X(MTASTS_QUIRK_UNDERSCORE, 0x10u, "underscore", "an underscore in an mx")        \
    X(MTASTS_QUIRK_MAX_AGE, 0x20u, "max_age", "max_age over 31557600 (one year): that is used")

#define MTASTSI_ENUM(name, number, text, meaning) name = number,
enum mtasts_quirk { MTASTS_QUIRKS(MTASTSI_ENUM) MTASTS_QUIRK_END_ = 0x7fff };
#undef MTASTSI_ENUM

/* Where and what. `text` is one of this header's own sentences, never octets of the input; "" if
 * there is no more to say than mtasts_strerror(err). Positions count octets. */
typedef struct mtasts_diag {
    mtasts_err err;
    unsigned quirk; /* the MTASTS_QUIRK_* bit it is about, or 0 */
    size_t offset;  /* from 0: the first octet that makes the input wrong; for something that is
                       missing, and after success, the input's length (0 if it has none) */
    size_t line;    /* from 1: the line; in a TXT answer or a list, the element; 0 where neither */
    size_t column;  /* from 1, within the line or element; 0 where line is */
    const char *text; /* about this very input; static, never NULL */
} mtasts_diag;

/* mtasts_strerror, mtasts_err_name, mtasts_err_section - fixed texts of an error
 *
 *   err       any int
 *   returns   a sentence; "MTASTS_ERR_..."; "RFC 8461 3.2" or "". For a number that is no error
 *             "unknown error", "UNKNOWN" and "". Static, never NULL.
 */
MTASTS_API const char *mtasts_strerror(int err);
MTASTS_API const char *mtasts_err_name(int err);
MTASTS_API const char *mtasts_err_section(int err);

/* mtasts_err_tlsrpt - the RFC 8460 result type that reports this error of a policy look-up
 *
 *   err       any int. MTASTS_ERR_HTTPS_CONNECT and _CERT are for what happens to the host before
 *             the first octet of a response: no function returns them, but a result and an
 *             event tell them as the host gave them.
 *   returns   MTASTS_TLSRPT_STS_POLICY_INVALID, _FETCH_ERROR, ...; MTASTS_TLSRPT_OK: not reported
 */
MTASTS_API mtasts_tlsrpt_result mtasts_err_tlsrpt(int err);

/* mtasts_quirk_name, mtasts_quirk_text - of one MTASTS_QUIRK_* bit
 *
 *   returns   "trailing_dot"; "a dot at the end of an mx". "UNKNOWN" and "" for anything else
 *             (0 and several bits at once too). Static, never NULL.
 */
MTASTS_API const char *mtasts_quirk_name(unsigned quirk);
MTASTS_API const char *mtasts_quirk_text(unsigned quirk);

/* mtasts_diag_format - one line for a log or a person
 *
 *   out       cap octets; always NUL-terminated if cap > 0; NULL if cap is 0
 *   source    NUL-terminated, put first as it is ("policy.txt"); NULL: none
 *   diag      one that a function wrote, or zero but for err
 *   returns   the length without NUL that the whole line has, which may be >= cap (then it is cut)
 *   example   policy.txt:2:7: the mode of the policy is not enforce, testing or none: did you mean
 *             "enforce"? (RFC 8461 3.2)
 */
MTASTS_API size_t mtasts_diag_format(char *out, size_t cap, const char *source,
                                     const mtasts_diag *diag);

/* mtasts_escape - hostile octets made fit for a log or a terminal
 *
 *   in        octets: printable ASCII stays as it is, a backslash becomes \\, all else \xHH
 *   out       as in mtasts_diag_format
 *   returns   as in mtasts_diag_format; at most 4 * len. An escape is never cut in the middle.
 */
MTASTS_API size_t mtasts_escape(char *out, size_t cap, const char *in, size_t len);

/* ==== 3 Names ============================================================================ */

#define MTASTS_NAME_MAX  253u /* octets of a name without the dot at its end (RFC 1035 2.3.4) */
#define MTASTS_LABEL_MAX 63u  /* octets of a label */
#define MTASTS_NAME_SIZE 254u /* a buffer for a name and NUL */

/* mtasts_name_normalise - check a domain or host name, and write it as names are compared
 *
 *   out       NULL (only check), or MTASTS_NAME_SIZE octets: the name in lower case, without the
 *             trailing dot, NUL-terminated; "" after an error
 *   name      as DNS or SMTP gives it, A-labels; one trailing dot is ignored. Underscores pass.
 *             Must not overlap out.
 *   returns   MTASTS_OK or MTASTS_ERR_NAME_*. MTASTS_ERR_NAME_ADDRESS for "[192.0.2.1]" and for a
 *             name whose last label is all digits.
 *   use       The policy domain is the next hop: the recipient's domain, or the smart host's name;
 *             never a parent domain. An address has no policy domain.
 *   RFC       8461 3.4, 4.1; 5321 2.3.5, 4.1.2
 */
MTASTS_API mtasts_err mtasts_name_normalise(char *out, const char *name, size_t len,
                                            mtasts_diag *diag);

/* ==== 4 TXT record ======================================================================= */

#define MTASTS_ID_MAX  32u /* letters and digits of an id (RFC 8461 3.1) */
#define MTASTS_KEY_MAX 32u /* octets of a field's name, in a policy too (RFC 8461 3.1, 3.2) */

/* One TXT record: its character-strings in order. They are joined with nothing between them. */
typedef struct mtasts_txt {
    const mtasts_str *strings;
    size_t count;
} mtasts_txt;

typedef struct mtasts_record {
    char id[MTASTS_ID_MAX + 1]; /* NUL-terminated; compare for equality only (RFC 8461 3.1) */
} mtasts_record;

/* mtasts_record_select - the MTA-STS record among the TXT records of _mta-sts.<policy domain>
 *
 *   out       the record's id
 *   records   all TXT records of the answer, in any order; may be NULL if count is 0
 *   diag      line: which record, from 1; column and offset: over its strings joined
 *   returns   MTASTS_OK; MTASTS_ERR_NO_RECORD; MTASTS_ERR_MULTIPLE_RECORDS (line: the second);
 *             MTASTS_ERR_RECORD_* if the one that there is is invalid. All but OK mean "no record",
 *             and none is a reason to drop a cached policy.
 *   RFC       8461 3.1: of several records those not beginning with "v=STSv1;" are dropped first
 */
MTASTS_API mtasts_err mtasts_record_select(mtasts_record *out, const mtasts_txt *records,
                                           size_t count, mtasts_diag *diag);

/* ==== 5 Policy =========================================================================== */

#define MTASTS_POLICY_MAX     65536u    /* octets of a policy (RFC 8461 3.3) */
#define MTASTS_FETCH_TIME_MAX 60u       /* seconds for the whole exchange (RFC 8461 3.3) */
#define MTASTS_MAX_AGE_MAX    31557600u /* seconds: one year (RFC 8461 3.2) */

#define MTASTS_STRICT 1u /* flag of mtasts_policy_parse: a quirk is an error */

typedef enum mtasts_mode {
    MTASTS_MODE_NONE = 0, /* as if there were no policy */
    MTASTS_MODE_TESTING,  /* deliver all the same, report what would have failed */
    MTASTS_MODE_ENFORCE   /* deliver only to a listed MX over verified TLS */
} mtasts_mode;

/* A parsed policy. Borrows the body: `text` and whatever is iterated from it point there. */
typedef struct mtasts_policy {
    mtasts_mode mode;
    uint32_t max_age; /* seconds, 0 to MTASTS_MAX_AGE_MAX; 0: for this delivery only */
    size_t mx_count;  /* mx lines, repetitions included; 0 only in mode none */
    unsigned quirks;  /* MTASTS_QUIRK_* bits */
    mtasts_str text;  /* the whole body as served */
} mtasts_policy;

/* mtasts_policy_parse - parse a policy
 *
 *   body      the complete body of the response. A truncated policy can be a valid, different one:
 *             never pass what is not known to be complete (section 7 tells).
 *   flags     0, or MTASTS_STRICT: a quirk is an error, MTASTS_ERR_POLICY_QUIRK
 *   diag      line, column, offset of the first error; diag->quirk under MTASTS_STRICT
 *   returns   MTASTS_OK, MTASTS_ERR_USAGE (flags) or MTASTS_ERR_POLICY_*. MTASTS_ERR_POLICY_SIZE
 *             before anything is read.
 *             After an error *out is zero, which reads like mode none: it is the result that
 *             counts.
 *   keeps     body, which must outlive *out
 *   cost      one pass, linear whatever the body holds
 *   RFC       8461 3.2. Of version, mode and max_age the first counts, later ones are not looked
 *             at. Unknown keys are ignored if they are well formed.
 */
MTASTS_API mtasts_err mtasts_policy_parse(mtasts_policy *out, const char *body, size_t len,
                                          unsigned flags, mtasts_diag *diag);

/* mtasts_policy_next_mx - iterate over the mx patterns, in the policy's order
 *
 *   cursor    in/out: set to 0 for the first; private in between
 *   pattern   out: "mail.example.com" or "*.example.com", as written but without a trailing dot; a
 *             view into the body. {NULL, 0} at the end.
 *   returns   1, or 0 at the end
 */
MTASTS_API int mtasts_policy_next_mx(const mtasts_policy *policy, size_t *cursor,
                                     mtasts_str *pattern);

/* mtasts_policy_next_line - iterate over the lines as served, for "policy-string" (RFC 8460 4.4)
 *
 *   cursor    in/out: set to 0 for the first; private in between
 *   line      out: a view into the body without LF or CRLF; hostile text, see mtasts_escape
 *   returns   1, or 0 at the end
 */
MTASTS_API int mtasts_policy_next_line(const mtasts_policy *policy, size_t *cursor,
                                       mtasts_str *line);

/* Everything there is to say about a policy, for its owner. All members are private. */
typedef struct mtasts_lint {
    const char *body_;
    const char *note_;
    size_t len_, at_, line_, value_, stop_, mx_count_, number_, numbered_;
    uint32_t max_age_;
    mtasts_mode mode_;
    mtasts_err err_;
    unsigned seen_, quirks_;
} mtasts_lint;

/* mtasts_lint_init, mtasts_lint_next - every error, quirk and note, not only the first
 *
 *   body      as in mtasts_policy_parse; kept until the last mtasts_lint_next
 *   finding   out: err != MTASTS_OK: an error; else quirk != 0: a quirk; else a note about
 *             something legal that its owner may not have meant. text says more, and may be "".
 *   returns   1, or 0 when there is no more; then finding->err is MTASTS_OK
 *   use       mtasts_policy_parse accepts the body if and only if no finding is an error; then the
 *             quirks are those of mtasts_policy.quirks.
 */
MTASTS_API void mtasts_lint_init(mtasts_lint *lint, const char *body, size_t len);
MTASTS_API int mtasts_lint_next(mtasts_lint *lint, mtasts_diag *finding);

/* mtasts_mode_name, mtasts_mode_from_name - "none", "testing", "enforce"
 *
 *   mode      any int; "UNKNOWN" if it is no mode
 *   name      exactly one of the three
 *   returns   the mode, or -1
 */
MTASTS_API const char *mtasts_mode_name(int mode);
MTASTS_API int mtasts_mode_from_name(const char *name, size_t len);

/* ==== 6 Policy writer ==================================================================== */

/* All writers: out has cap octets and gets NUL-terminated text; *len becomes the text's length
 * without NUL, also the length needed when MTASTS_ERR_SPACE is returned (out is "" then). out may
 * be NULL if cap is 0; len may not be NULL. */

/* mtasts_policy_compose - the policy that a domain owner wants to publish
 *
 *   max_age   seconds, at most MTASTS_MAX_AGE_MAX
 *   mx        count patterns, "mail.example.com" or "*.example.com"; needs one unless mode is none
 *   diag      line: which mx, from 1; column, offset: inside it
 *   returns   MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_POLICY_MODE, _MAX_AGE, _MX, _NO_MX, _SIZE
 *   writes    CRLF lines version, mode, mx..., max_age; names in lower case without a trailing dot
 *   RFC       8461 3.2
 */
MTASTS_API mtasts_err mtasts_policy_compose(char *out, size_t cap, size_t *len, int mode,
                                            uint32_t max_age, const mtasts_str *mx, size_t count,
                                            mtasts_diag *diag);

/* mtasts_policy_write - a parsed policy in canonical form: what it says, without unknown keys,
 * duplicates and quirks (underscores apart, which are part of a name)
 *
 *   policy    from a successful mtasts_policy_parse, and not changed since
 *   returns   MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_POLICY_SIZE: a policy of nearly 64 KiB that
 *             was written more tersely; MTASTS_ERR_USAGE: no such mode or max_age
 */
MTASTS_API mtasts_err mtasts_policy_write(char *out, size_t cap, size_t *len,
                                          const mtasts_policy *policy);

/* mtasts_record_write - the text of a TXT record: "v=STSv1; id=20260131T1200;"
 *
 *   id        1 to 32 letters or digits; must change whenever the policy changes
 *   returns   MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_RECORD_ID
 *   RFC       8461 3.1
 */
MTASTS_API mtasts_err mtasts_record_write(char *out, size_t cap, size_t *len, const char *id,
                                          size_t id_len);

/* ==== 7 HTTPS exchange =================================================================== */

/* The host opens a TLS connection to the policy host, port 443, with the name as SNI, checks the
 * chain and (section 9) the name, writes the request and feeds what comes back, all of it within
 * MTASTS_FETCH_TIME_MAX. */
#define MTASTS_HTTP_OVERHEAD_MAX 32768u /* octets that are not body: head and framing */
#define MTASTS_HTTP_FIELDS_MAX   128u   /* fields in head and trailer together */
#define MTASTS_HTTP_LINE_MAX     256u   /* octets of a field's name, and of a line that matters */
#define MTASTS_URL_SIZE          (MTASTS_NAME_SIZE + 32u)

/* mtasts_txt_name, mtasts_policy_host - where a policy domain publishes
 *
 *   out       MTASTS_NAME_SIZE octets: "_mta-sts.example.com"; "mta-sts.example.com"; "" after an
 *             error
 *   domain    the policy domain, as for mtasts_name_normalise
 *   returns   MTASTS_OK or MTASTS_ERR_NAME_*, _LONG too if the result is over MTASTS_NAME_MAX
 *   RFC       8461 3.1, 3.3
 */
MTASTS_API mtasts_err mtasts_txt_name(char *out, const char *domain, size_t len, mtasts_diag *diag);
MTASTS_API mtasts_err mtasts_policy_host(char *out, const char *domain, size_t len,
                                         mtasts_diag *diag);

/* mtasts_policy_url - "https://mta-sts.example.com/.well-known/mta-sts.txt", for an HTTP client
 *
 *   out       MTASTS_URL_SIZE octets; otherwise as mtasts_policy_host
 *   use       tell the client: follow no redirect, use no cache, stop after MTASTS_POLICY_MAX
 */
MTASTS_API mtasts_err mtasts_policy_url(char *out, const char *domain, size_t len,
                                        mtasts_diag *diag);

/* mtasts_http_request - the octets to send
 *
 *   out, cap, len   as for all writers (section 6)
 *   domain          the policy domain; the request goes to mtasts_policy_host of it
 *   user_agent      NUL-terminated printable ASCII, or NULL for "mtasts.h"
 *   returns         MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_NAME_*; MTASTS_ERR_USAGE (user_agent)
 *   RFC             8461 3.3; 9112 3
 */
MTASTS_API mtasts_err mtasts_http_request(char *out, size_t cap, size_t *len, const char *domain,
                                          size_t domain_len, const char *user_agent,
                                          mtasts_diag *diag);

/* An incremental reader of one response. Read body_len and status; the rest is private. */
typedef struct mtasts_http {
    char *body;      /* the caller's buffer */
    size_t body_len; /* octets of body in it */
    int status;      /* 200, 404, ...; 0 as long as it is not known */
    size_t cap_, offset_, left_, overhead_, fields_, lines_, line_len_;
    mtasts_err err_;
    unsigned state_, flags_;
    char line_[MTASTS_HTTP_LINE_MAX];
} mtasts_http;

/* mtasts_http_init - ready for the first octet
 *
 *   body      the buffer that the body goes to, kept until the end
 *   cap       its size, MTASTS_POLICY_MAX to accept all that the RFC does; less lowers the limit
 */
MTASTS_API void mtasts_http_init(mtasts_http *http, char *body, size_t cap);

/* mtasts_http_feed - take octets of the response as they come, in pieces of any size
 *
 *   diag      offset: in the whole response; line, column: in the head; 0 in the body
 *   returns   MTASTS_MORE: feed more. MTASTS_OK: http->body has the complete body; anything after
 *             it is ignored. MTASTS_ERR_HTTP_*: never a policy; says the same from then on.
 *   limits    MTASTS_HTTP_*; the body at most cap and MTASTS_POLICY_MAX, MTASTS_ERR_HTTP_BODY_SIZE
 *   RFC       8461 3.3: only status 200 and text/plain; 9112: Content-Length, chunked, until close
 */
MTASTS_API mtasts_err mtasts_http_feed(mtasts_http *http, const char *data, size_t len,
                                       mtasts_diag *diag);

/* mtasts_http_end - the connection has ended
 *
 *   clean     1: with a TLS close_notify; 0: otherwise (an attacker can cut a connection)
 *   returns   MTASTS_OK if the body is complete: always so by Content-Length or chunks, and by
 *             close only if clean; MTASTS_ERR_HTTP_INCOMPLETE; or the earlier error
 */
MTASTS_API mtasts_err mtasts_http_end(mtasts_http *http, int clean, mtasts_diag *diag);

/* mtasts_http_check - the same rules for a host that has an HTTP client
 *
 *   status         the final response's
 *   content_type, content_encoding   the fields' values; {NULL, 0} if there was none
 *   body_len       octets of the body as received
 *   complete       1 if the client knows that it got all of it
 *   returns        MTASTS_OK: parse it. Else MTASTS_ERR_HTTP_REDIRECT, _STATUS, _MEDIA_TYPE,
 *                  _CODING, _BODY_SIZE, _INCOMPLETE, told in this order
 */
MTASTS_API mtasts_err mtasts_http_check(int status, mtasts_str content_type,
                                        mtasts_str content_encoding, size_t body_len, int complete);

/* mtasts_media_type_ok - is a Content-Type value text/plain, whatever its parameters?
 *
 *   returns   1 or 0
 *   RFC       8461 3.2
 */
MTASTS_API int mtasts_media_type_ok(const char *value, size_t len);

/* mtasts_address_is_public - may an address of a policy host be connected to?
 *
 *   address   4 octets (IPv4) or 16 (IPv6) in network order
 *   returns   1: globally reachable unicast. 0: loopback, private, shared, link-local, multicast,
 *             documentation, benchmarking, reserved, an IPv4 address in IPv6 clothing (mapped,
 *             6to4, Teredo; NAT64 counts as the address inside), or not 4 or 16 octets long
 *   use       keeps a hostile domain from making the host connect into its own network
 */
MTASTS_API int mtasts_address_is_public(const unsigned char *address, size_t len);

/* ==== 8 MX match ========================================================================= */

/* mtasts_mx_matches - does an MX host name satisfy one mx pattern?
 *
 *   pattern   "mail.example.com" or "*.example.com"
 *   host      the name in the MX record itself, before any CNAME, A-labels; the domain's own name
 *             if it has no MX record
 *   returns   1; 0 if not, or if either is malformed. A trailing dot on either is ignored.
 *   RFC       8461 4.1: "*" stands for exactly one label, the left-most. ASCII case is ignored.
 *   example   "*.example.com": "mx.example.com" yes; "example.com", "a.b.example.com" no
 */
MTASTS_API int mtasts_mx_matches(const char *pattern, size_t pattern_len, const char *host,
                                 size_t host_len);

/* mtasts_policy_matches, mtasts_policy_find - does the host satisfy any mx of the policy?
 *
 *   policy    from a successful mtasts_policy_parse; NULL matches nothing
 *   pattern   out, may be NULL: the first that matches, a view into the body; else {NULL, 0}
 *   returns   1 or 0. The mode plays no part: section 10 does that.
 */
MTASTS_API int mtasts_policy_matches(const mtasts_policy *policy, const char *host, size_t len);
MTASTS_API int mtasts_policy_find(const mtasts_policy *policy, const char *host, size_t len,
                                  mtasts_str *pattern);

/* ==== 9 Certificate names ================================================================ */

/* The reference name is always the MX host's own name (mtasts_plan.host), never the policy's
 * pattern nor the recipient's domain. The same functions check the policy host's certificate. */

/* mtasts_cert_name_matches - does one dNSName of a certificate stand for the host?
 *
 *   presented   a dNSName: a name, or "*." and a name of two or more labels. One with a NUL,
 *               another "*" or a trailing dot matches nothing.
 *   host        the reference; a trailing dot is ignored
 *   returns     1 or 0
 *   RFC         9525 6.3, 8461 4.2: "*" stands for exactly one label, the left-most
 */
MTASTS_API int mtasts_cert_name_matches(const char *presented, size_t presented_len,
                                        const char *host, size_t host_len);

/* mtasts_cert_matches - does any dNSName of the list? One that is malformed spoils no other.
 *
 *   dns_names   the dNSName entries of subjectAltName and nothing else: never the subject's common
 *               name, never an IP entry
 *   returns     1 or 0
 */
MTASTS_API int mtasts_cert_matches(const mtasts_str *dns_names, size_t count, const char *host,
                                   size_t host_len);

/* mtasts_cert_der_names - find the subjectAltName of a certificate
 *
 *   der       one X.509 certificate, and nothing after it
 *   names     out: its GeneralName elements, for mtasts_cert_next_name; empty if there is none; a
 *             view into der
 *   diag      offset: of the element that is wrong
 *   returns   MTASTS_OK; MTASTS_ERR_CERT_DER (two subjectAltName extensions too); MTASTS_ERR_USAGE:
 *             der is NULL, and len is not 0
 *   RFC       5280 4.1, 4.2.1.6. Signatures and dates are the TLS library's.
 */
MTASTS_API mtasts_err mtasts_cert_der_names(const unsigned char *der, size_t len, mtasts_str *names,
                                            mtasts_diag *diag);

/* mtasts_cert_next_name - iterate over the dNSName entries
 *
 *   names     from mtasts_cert_der_names
 *   cursor    in/out: set to 0 for the first; private in between
 *   name      out: a view into the certificate, any octets
 *   returns   1, or 0 at the end
 */
MTASTS_API int mtasts_cert_next_name(mtasts_str names, size_t *cursor, mtasts_str *name);

/* mtasts_cert_der_matches - does the certificate stand for the host?
 *
 *   matches   out: 1 or 0; 0 after an error
 *   returns   as mtasts_cert_der_names
 */
MTASTS_API mtasts_err mtasts_cert_der_matches(const unsigned char *der, size_t len,
                                              const char *host, size_t host_len, int *matches);

/* ==== 10 Application ===================================================================== */

typedef enum mtasts_tls {
    MTASTS_TLS_NONE = -1,    /* do not use STARTTLS */
    MTASTS_TLS_OPTIONAL = 0, /* use it if the server has it; in the clear otherwise */
    MTASTS_TLS_REQUIRED = 1  /* no TLS, no mail */
} mtasts_tls;

typedef enum mtasts_verify {
    MTASTS_VERIFY_NONE = 0, /* take any certificate */
    MTASTS_VERIFY_OPTIONAL, /* check chain and name for the report, go on whatever comes out */
    MTASTS_VERIFY_REQUIRED  /* chain and name must be good when TLS is used */
} mtasts_verify;

/* What DNSSEC says of the TLSA records of this MX (RFC 7672 2.2). What it says of the domain itself
 * (tlsa-invalid, dane-required) is the host's to report. */
typedef enum mtasts_dane {
    MTASTS_DANE_NONE = 0, /* no DANE here, or securely no TLSA records */
    MTASTS_DANE_USABLE,   /* DANE decides the TLS check, in place of chain and name */
    MTASTS_DANE_UNUSABLE, /* records, but none usable: TLS is required, MTA-STS may ask for more */
    MTASTS_DANE_FAILED    /* bogus, or could not be looked up: this MX must not be used */
} mtasts_dane;

/* What the host's administrator wants for this domain in spite of its policy. For a pinned policy,
 * parse that one instead. Mode none stays none: there is nothing to force. */
typedef enum mtasts_override {
    MTASTS_OVERRIDE_NONE = 0,
    MTASTS_OVERRIDE_IGNORE,  /* as if it had none */
    MTASTS_OVERRIDE_TESTING, /* enforce counts as testing */
    MTASTS_OVERRIDE_ENFORCE  /* testing counts as enforce */
} mtasts_override;

/* One message on its way to one domain. All zero: TLS where it is offered, not verified. */
typedef struct mtasts_delivery {
    const mtasts_policy *policy; /* the policy to honour; NULL if there is none */
    mtasts_tls tls;              /* what local configuration asks for, at least */
    mtasts_verify verify;        /* likewise */
    mtasts_override override;    /* for this domain */
    mtasts_dane dane;            /* of this MX: set it anew before each mtasts_apply_plan */
    int mx_secure;               /* 1: the MX records came with a good DNSSEC signature */
    int requiretls;              /* 1: the message was sent with REQUIRETLS (RFC 8689 2) */
    int tls_required_no;         /* 1: it has "TLS-Required: No" (RFC 8689 3); REQUIRETLS wins */
} mtasts_delivery;

/* Why: name, number, a name for logs and metrics, a sentence. */
#define MTASTS_REASONS(X)                                                                       \
    X(MTASTS_REASON_OK, 0, "ok", "nothing speaks against it")                                   \
    X(MTASTS_REASON_MX_NOT_LISTED, 1, "mx-not-listed", "the policy does not list this MX host") \
    X(MTASTS_REASON_DANE_LOOKUP, 2, "dane-lookup",                                              \
      "the TLSA records could not be looked up safely")                                         \
    X(MTASTS_REASON_REQUIRETLS_MX, 3, "requiretls-mx",                                          \
      "REQUIRETLS: neither a policy nor DNSSEC vouches for this MX host")                       \
    X(MTASTS_REASON_STARTTLS_NOT_OFFERED, 4, "starttls-not-offered",                            \
      "the server does not offer STARTTLS")                                                     \
    X(MTASTS_REASON_TLS_FAILED, 5, "tls-failed", "STARTTLS or the TLS handshake failed")        \
    X(MTASTS_REASON_CHAIN_UNCHECKED, 6, "chain-unchecked",                                      \
      "the certificate chain was not checked")                                                  \
    X(MTASTS_REASON_CHAIN_UNTRUSTED, 7, "chain-untrusted", "the certificate is not trusted")    \
    X(MTASTS_REASON_CHAIN_EXPIRED, 8, "chain-expired", "the certificate has expired")           \
    X(MTASTS_REASON_CHAIN_REVOKED, 9, "chain-revoked", "the certificate was revoked")           \
    X(MTASTS_REASON_NAME_MISMATCH, 10, "name-mismatch",                                         \
      "the certificate does not name the MX host")                                              \
    X(MTASTS_REASON_DANE_MISMATCH, 11, "dane-mismatch",                                         \
      "the certificate does not fit the TLSA records")                                          \
    X(MTASTS_REASON_REQUIRETLS_NOT_OFFERED, 12, "requiretls-not-offered",                       \
      "the server does not offer REQUIRETLS")

#define MTASTSI_ENUM(name, number, word, text) name = number,
typedef enum mtasts_reason {
    MTASTS_REASONS(MTASTSI_ENUM) MTASTS_REASON_END_ = 0x7fff
} mtasts_reason;
#undef MTASTSI_ENUM

/* RFC 8460 4.4 policy-type, with libtlsrpt's numbers. A policy that was lifted here (override,
 * TLS-Required: No) counts as not found: do not report such a delivery. */
typedef enum mtasts_policy_type {
    MTASTS_POLICY_TYPE_TLSA = 1,
    MTASTS_POLICY_TYPE_STS = 2,
    MTASTS_POLICY_TYPE_NO_POLICY_FOUND = 9
} mtasts_policy_type;

/* What to do at one MX. */
typedef struct mtasts_plan {
    int use;              /* 1: connect; 0: not to this MX, go on with the next */
    mtasts_tls tls;       /* what to ask of STARTTLS */
    mtasts_verify verify; /* what to ask of the certificate; never NONE in testing, enforce */
    int dane;             /* 1: the certificate is checked as RFC 7672 3 says, not by PKIX */
    int requiretls;       /* 1: the server must offer REQUIRETLS after STARTTLS */
    mtasts_mode mode;     /* the policy's after override and TLS-Required; NONE without policy */
    mtasts_str pattern;   /* the mx that matched, a view into the policy; else {NULL, 0} */
    mtasts_reason reason; /* why not; in testing, what would have been the reason */
    mtasts_tlsrpt_result result;    /* with the reason; MTASTS_TLSRPT_OK: nothing failed so far */
    mtasts_policy_type policy_type; /* whose policy it is that decides */
    char host[MTASTS_NAME_SIZE];    /* NUL-terminated: send it as SNI and check the certificate for
                                       it; "" if the MX is no valid host name (send no SNI). With
                                       dane, RFC 7672 2.2.2 and 8.1 may ask for other names. */
} mtasts_plan;

/* mtasts_apply_plan - what to do before connecting to an MX
 *
 *   out        the plan
 *   delivery   the message's circumstances; its policy must outlive *out
 *   host       the MX record's own name, any octets
 *   use        once for each MX in the ordinary order of preference: never sort out ahead those
 *              that do not match (RFC 8461 8.4)
 *   rules      enforce: the MX must be listed, TLS and verification are required, whatever is
 *              configured. testing: TLS and verification at least optional. none: as configured.
 *              Always the stricter of policy and configuration. Usable TLSA records replace the
 *              check of chain and name, not the policy's list of MX hosts.
 *              TLS-Required: No lifts policy and DANE. REQUIRETLS asks for verified TLS, and for a
 *              MX that a policy (testing too) or DNSSEC vouches for.
 *   RFC        8461 4, 5; 8689 4; 7672 2.2
 */
MTASTS_API void mtasts_apply_plan(mtasts_plan *out, const mtasts_delivery *delivery,
                                  const char *host, size_t len);

/* mtasts_plan_same - may a delivery under plan b use a connection made under plan a?
 *
 *   returns   1 if both would connect, and ask the same of the same host; else 0, and 0 for a MX
 *             that is no valid host name
 *   use       domains with different policies often share MX hosts
 */
MTASTS_API int mtasts_plan_same(const mtasts_plan *a, const mtasts_plan *b);

typedef enum mtasts_starttls {
    MTASTS_STARTTLS_NOT_OFFERED = 0, /* EHLO did not show it (or was not looked at) */
    MTASTS_STARTTLS_FAILED,          /* refused, or the handshake failed */
    MTASTS_STARTTLS_DONE             /* the session is encrypted */
} mtasts_starttls;

typedef enum mtasts_chain {
    MTASTS_CHAIN_UNCHECKED = 0,
    MTASTS_CHAIN_TRUSTED, /* up to a trusted root, all in their time, none known to be revoked */
    MTASTS_CHAIN_UNTRUSTED,
    MTASTS_CHAIN_EXPIRED, /* or not yet valid */
    MTASTS_CHAIN_REVOKED
} mtasts_chain;

/* What TLS did. All zero: nothing good. If a TLS library ends the handshake because of the
 * certificate, say STARTTLS_FAILED and what was wrong with chain or name. */
typedef struct mtasts_session {
    int name_matches; /* section 9 with plan.host */
    mtasts_starttls starttls;
    mtasts_chain chain; /* what the TLS library says of the chain, names apart */
    int dane_ok;        /* with plan.dane: the certificate passes RFC 7672 3 */
    int requiretls;     /* EHLO over TLS showed REQUIRETLS */
} mtasts_session;

typedef enum mtasts_action {
    MTASTS_ACTION_NEXT_MX = 0, /* not here. If there is no other MX, defer: it is transient (but see
                                  RFC 8689 5 when the reason is one of REQUIRETLS) */
    MTASTS_ACTION_DELIVER      /* go on: over TLS if it is up, else in the clear (on a new
                                  connection if a handshake has failed) */
} mtasts_action;

typedef struct mtasts_verdict {
    mtasts_action action;
    int recheck; /* 1: an enforced policy refused. Before the message is failed for good, look for
                    a newer policy (RFC 8461 5.1) */
    mtasts_reason reason;
    mtasts_tlsrpt_result result;    /* what to report: with NEXT_MX what failed, with DELIVER what
                                       would have failed (testing). MTASTS_TLSRPT_OK is a success
                                       only if it was delivered over TLS. */
    mtasts_policy_type policy_type; /* whose requirement it is that failed, or was met */
} mtasts_verdict;

/* mtasts_apply_verdict - deliver over this connection?
 *
 *   plan      from mtasts_apply_plan; with use == 0 the verdict is next MX, why, and what to report
 *   session   what happened; NULL: nothing
 */
MTASTS_API void mtasts_apply_verdict(mtasts_verdict *out, const mtasts_plan *plan,
                                     const mtasts_session *session);

/* mtasts_reason_name, mtasts_reason_text - "mx-not-listed"; "the policy does not list this MX host"
 *
 *   reason    any int; "UNKNOWN" and "" if it is none. Static, never NULL.
 */
MTASTS_API const char *mtasts_reason_name(int reason);
MTASTS_API const char *mtasts_reason_text(int reason);

/* mtasts_action_name, mtasts_action_from_name - "deliver", "next-mx"
 *
 *   action    any int; "UNKNOWN" if it is none
 *   returns   the action, or -1
 */
MTASTS_API const char *mtasts_action_name(int action);
MTASTS_API int mtasts_action_from_name(const char *name, size_t len);

/* ==== 11 TLS reporting =================================================================== */

/* mtasts_tlsrpt_result_name, mtasts_tlsrpt_result_from_name - "sts-policy-invalid", ...
 *
 *   result    any int; "UNKNOWN" if it is none; MTASTS_TLSRPT_OK is "ok", which is ours
 *   returns   the result, or -1
 *   RFC       8460 4.3
 */
MTASTS_API const char *mtasts_tlsrpt_result_name(int result);
MTASTS_API int mtasts_tlsrpt_result_from_name(const char *name, size_t len);

/* mtasts_policy_type_name, mtasts_policy_type_from_name - "tlsa", "sts", "no-policy-found"
 *
 *   type      any int; "UNKNOWN" if it is none
 *   returns   the type, or -1
 *   RFC       8460 4.4
 */
MTASTS_API const char *mtasts_policy_type_name(int type);
MTASTS_API int mtasts_policy_type_from_name(const char *name, size_t len);

#if !defined(MTASTS_PURE)
/* ==== 12 Entry =========================================================================== */

/* Times are Unix seconds. One before 1970 counts as 1970, and no sum overflows. A clock that jumps
 * never lengthens a life: what seems to lie after now is taken to be of now. */
#define MTASTS_ABSENCE_MAX      3600u  /* seconds that "no record" is remembered at most */
#define MTASTS_REFRESH_INTERVAL 86400u /* seconds between two fetches, about (RFC 8461 10.2) */
#define MTASTS_RETRY_MIN        300u   /* seconds between fetches for one id (RFC 8461 3.3) */
#define MTASTS_RETRY_MAX        3600u  /* seconds between a failed fetch and the next, at most */

/* What is kept for a policy domain. Borrows all its texts. */
typedef struct mtasts_entry {
    mtasts_str domain;    /* as mtasts_name_normalise writes it */
    mtasts_policy policy; /* text.ptr NULL: none is known, this is an absence or a failure */
    mtasts_str id;        /* of the record that the policy was fetched for; empty without policy */
    int64_t fetched;      /* when the policy was asked for; of an absence, when it was learned */
    int64_t expires;      /* valid before this: fetched + max_age; an absence, as long as told */
    int64_t checked;      /* when the TXT record was last asked for */
    int64_t used;         /* when a delivery last asked for the policy */
    int64_t refresh;      /* when the policy is to be fetched anew; not after expires */
    uint32_t failures;    /* fetches that failed since one was good; if 0, the rest means nothing */
    mtasts_err failed;    /* why the last one failed */
    int no_record;        /* 1: that is no matter now, there is no record any more */
    mtasts_str failed_id; /* the id that it was for; empty: fetches failed for more than one */
    int64_t retry;        /* no fetch for that id (or any, if it is empty) before this */
} mtasts_entry;

/* Octets of an entry as text, at most. */
#define MTASTS_ENTRY_MAX (MTASTS_POLICY_MAX + 1024u)

/* mtasts_entry_valid - may the policy (or the absence) still be used?
 *
 *   entry     as mtasts_entry_read, mtasts_cache_get or mtasts_discovery_result gave it, with a now
 *             that was not later
 *   returns   1 before entry->expires, else 0
 *   RFC       8461 3.3: a policy is valid for max_age from its fetch, whatever DNS and HTTPS do
 */
MTASTS_API int mtasts_entry_valid(const mtasts_entry *entry, int64_t now);

/* mtasts_entry_keep - is there any use in an entry? It is valid, or says when to try again
 *
 *   entry     as for mtasts_entry_valid
 *   returns   1 if it is valid, or a retry is pending (entry->failures, entry->retry); else 0
 *   use       a host sweeps its store with it now and then: it removes what mtasts_entry_read
 *             refuses, and what this says 0 to. Nothing else ever removes what has expired.
 */
MTASTS_API int mtasts_entry_keep(const mtasts_entry *entry, int64_t now);

/* mtasts_entry_write - an entry as text that a person can read, for the host's store
 *
 *   out, cap, len   as for all writers (section 6); MTASTS_ENTRY_MAX octets are always enough
 *   returns         MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_USAGE: not such an entry as a
 *                   discovery, the cache or mtasts_entry_read gives
 *   form            a line "mtasts-entry 1 CRC LENGTH", lines "name: value", the policy as served.
 *             CRC (CRC-32) and LENGTH are of everything after that line.
 *   use         A domain is fit to be a file's name: [a-z0-9_.-], no dot at the ends, none doubled,
 *               at most 253 octets.
 */
MTASTS_API mtasts_err mtasts_entry_write(char *out, size_t cap, size_t *len,
                                         const mtasts_entry *entry);

/* mtasts_entry_read - the same back, whole or not at all
 *
 *   domain    the domain whose entry was asked for; NULL: any
 *   text      from a store that may have torn, mixed up or changed it. Kept: *out points into it.
 *   now       nothing in *out lies after it
 *   diag      line, column, offset in text
 *   returns   MTASTS_OK; MTASTS_ERR_ENTRY_VERSION: written by another version, or no entry;
 *             MTASTS_ERR_ENTRY_DAMAGED: cut off or changed; MTASTS_ERR_ENTRY_SYNTAX: whole, but not
 *             what mtasts_entry_write writes; MTASTS_ERR_ENTRY_DOMAIN: another domain's
 *   use       an entry that has expired is read all the same: see mtasts_entry_valid
 */
MTASTS_API mtasts_err mtasts_entry_read(mtasts_entry *out, const char *domain, size_t domain_len,
                                        const char *text, size_t len, int64_t now,
                                        mtasts_diag *diag);

/* ==== 13 Discovery ======================================================================= */

/* One policy domain's way through RFC 8461 3 and 5.1, without I/O: it says what it wants, the host
 * does it and gives the answer, until it is done. A time-out is an answer like any other.
 *
 *       mtasts_discovery_init(&d, domain, len, entry, 0, random, now, NULL);
 *       while (mtasts_discovery_want(&d, &request) != MTASTS_WANT_DONE)
 *           ...                           do it; mtasts_discovery_give_...(&d, request.ticket, ...)
 *       mtasts_discovery_result(&d, now, &result);
 *
 * It always asks. A host that has a valid entry honours that at once, and runs a discovery later:
 * when entry.checked is some minutes ago; with MTASTS_REFRESH when entry.refresh has come.
 *
 * The struct holds no pointer to itself and may be copied or moved between calls (results point
 * into it). One thread at a time. It needs no cleaning up. */

typedef enum mtasts_want {
    MTASTS_WANT_DONE = 0, /* nothing more */
    MTASTS_WANT_LOAD,     /* the text stored for request.domain: mtasts_discovery_give_load */
    MTASTS_WANT_TXT,      /* all TXT records at request.name: mtasts_discovery_give_txt */
    MTASTS_WANT_HTTPS, /* the policy from request.name (section 7): mtasts_discovery_give_https */
    MTASTS_WANT_SAVE,  /* store mtasts_result.entry as text: mtasts_discovery_give_save. The policy
                             may still be in the text that was given before: do not free that yet */
    MTASTS_WANT_DROP   /* remove what is stored, max_age is 0: mtasts_discovery_give_save */
} mtasts_want;

typedef struct mtasts_request {
    mtasts_want want;
    uint32_t ticket;    /* to be given back with the answer */
    const char *domain; /* the policy domain, normalised */
    const char *name;   /* TXT: "_mta-sts.example.com"; HTTPS: "mta-sts.example.com"; else "" */
} mtasts_request;

/* What a look-up has learned about a domain, which is not the same as what to honour. */
typedef enum mtasts_learned {
    MTASTS_LEARNED_NOTHING = 0, /* nothing was asked, or it was cancelled before the answer */
    MTASTS_LEARNED_NONE,        /* there is no record, or none that counts */
    MTASTS_LEARNED_POLICY,      /* the policy: just fetched, or the known one is still current */
    MTASTS_LEARNED_TEMPORARY,   /* it could not be found out: DNS, store or memory failed */
    MTASTS_LEARNED_FAILED       /* there is a record, but the policy cannot be had */
} mtasts_learned;

typedef struct mtasts_result {
    mtasts_learned learned;
    mtasts_diag diag;     /* why it is not LEARNED_POLICY, and where in record or policy */
    int honour;           /* 1: policy is to be honoured, whatever was learned */
    int fetched;          /* 1: it was fetched by this discovery */
    int failed;           /* 1: a fetch by this discovery has failed: entry.failed */
    mtasts_policy policy; /* zero without honour */
    int keep;             /* 1: entry is worth keeping for the next discovery */
    mtasts_entry entry;   /* what is known now; its texts point into the discovery */
} mtasts_result;

#define MTASTS_REFRESH  2u /* flag: fetch the policy even if the record's id is the known one */
#define MTASTS_NO_STORE 4u /* flag: never want LOAD, SAVE, DROP */

/* All members are private. */
typedef struct mtasts_discovery {
    mtasts_entry entry_;
    mtasts_policy fresh_;
    mtasts_diag diag_;
    uint64_t random_;
    int64_t asked_;
    mtasts_learned learned_;
    mtasts_want want_;
    unsigned flags_;
    uint32_t ticket_;
    char domain_[MTASTS_NAME_SIZE], name_[MTASTS_NAME_SIZE];
    char id_[MTASTS_ID_MAX + 1], failed_id_[MTASTS_ID_MAX + 1], found_id_[MTASTS_ID_MAX + 1];
} mtasts_discovery;

/* mtasts_discovery_init - begin
 *
 *   domain    the policy domain, as for mtasts_name_normalise
 *   entry     what is known of it, e.g. the last mtasts_result.entry; NULL: nothing. The store is
 *             asked all the same (unless MTASTS_NO_STORE), since another process may know more. The
 *             policy's text is kept as long as the discovery or a result of it is used, the rest is
 *             copied. That of another domain is not used, nor one whose texts are in *d itself.
 *   flags     MTASTS_REFRESH, MTASTS_NO_STORE
 *   random    64 bits that nobody can guess: they decide when to refresh and to try again
 *   now       Unix seconds
 *   returns   MTASTS_OK, MTASTS_ERR_NAME_*, or MTASTS_ERR_USAGE (flags); after an error the
 *             discovery is done and has learned nothing
 */
MTASTS_API mtasts_err mtasts_discovery_init(mtasts_discovery *d, const char *domain, size_t len,
                                            const mtasts_entry *entry, unsigned flags,
                                            uint64_t random, int64_t now, mtasts_diag *diag);

/* mtasts_discovery_want - what it needs next
 *
 *   out       the request; its texts point into *d and are good until the next give
 *   returns   out->want. Asking again gives the same.
 */
MTASTS_API mtasts_want mtasts_discovery_want(const mtasts_discovery *d, mtasts_request *out);

/* mtasts_discovery_give_load, _give_txt, _give_https, _give_save - the answers
 *
 *   ticket    of the request that it answers
 *   returns   MTASTS_OK; MTASTS_ERR_STALE: this ticket was answered before, or is of another
 *             discovery; MTASTS_ERR_USAGE: not what was wanted. After these two nothing has
 *             changed.
 *
 *   load      status: MTASTS_OK: text is as it was saved, kept like the entry's, or NULL: nothing
 *             is stored; anything else: the store failed. Returns MTASTS_ERR_ENTRY_* (with diag) if
 *             the text is not good: then it counts as nothing.
 *   txt       status: MTASTS_OK: the answer has `count` records, perhaps none, and they were
 *             followed through CNAMEs (RFC 8461 8.2), at most five or so; MTASTS_ERR_NO_RECORD:
 *             there is no such name or no TXT record; MTASTS_ERR_DNS (or anything else): SERVFAIL,
 *             time-out, no network; MTASTS_ERR_DNS_BOGUS: the DNSSEC signature is wrong;
 *             MTASTS_ERR_DNS_CNAME: too many aliases, or a circle. ttl: seconds that the answer, or
 *             the absence, may be remembered.
 *   https     status: MTASTS_OK: body is the complete policy (mtasts_http_feed or _check said OK),
 *             kept like the entry's text; or what went wrong: MTASTS_ERR_HTTP_*,
 *             MTASTS_ERR_HTTPS_CONNECT (a time-out too), MTASTS_ERR_HTTPS_CERT,
 *             MTASTS_ERR_POLICY_SIZE (any error with a TLSRPT result), or MTASTS_ERR_LIMIT.
 *             Anything else counts as MTASTS_ERR_HTTPS_CONNECT.
 *   save      status: MTASTS_OK, or anything else if the store failed, which changes nothing here
 *   rules     A known policy that is valid is never given up because DNS or HTTPS fail, nor because
 *             the record is gone. After a fetch that failed there is none for the same id for
 *             MTASTS_RETRY_MIN; with each failure the pause grows, to MTASTS_RETRY_MAX, with
 *             jitter. Another id is tried at once; if that fails too, none is until the pause is
 *             over. (What failed before a fetch that was good is not remembered.) A policy that is
 *             known and valid is not fetched for the same id within MTASTS_RETRY_MIN either.
 */
MTASTS_API mtasts_err mtasts_discovery_give_load(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                 mtasts_err status, const char *text, size_t len,
                                                 mtasts_diag *diag);
MTASTS_API mtasts_err mtasts_discovery_give_txt(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                mtasts_err status, const mtasts_txt *records,
                                                size_t count, uint32_t ttl);
MTASTS_API mtasts_err mtasts_discovery_give_https(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                  mtasts_err status, const char *body, size_t len);
MTASTS_API mtasts_err mtasts_discovery_give_save(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                 mtasts_err status);

/* mtasts_discovery_cancel - no more: it is done, and every answer is late. What was learned so far
 * is in the result. */
MTASTS_API void mtasts_discovery_cancel(mtasts_discovery *d);

/* mtasts_discovery_result - what came out; good at any time, final when nothing more is wanted but
 * SAVE or DROP
 *
 *   out       texts point into *d, and into the entry, text or body that the host gave
 *   now       a known policy is to be honoured if it is valid at this time; one that was fetched
 *             now serves those who asked for it in any case
 */
MTASTS_API void mtasts_discovery_result(const mtasts_discovery *d, int64_t now, mtasts_result *out);

/* mtasts_learned_name - "nothing", "none", "policy", "temporary", "failed"
 *
 *   learned   any int; "UNKNOWN" if it is none. Static, never NULL.
 */
MTASTS_API const char *mtasts_learned_name(int learned);

/* ==== 14 Memory ========================================================================== */

/* Where the cache and the client get their memory. They ask for no more than they were told. The
 * functions must not call the cache; a client refuses them, as other callbacks. */
typedef struct mtasts_memory {
    void *user;
    /* size > 0 octets, at a multiple of eight; NULL: there are none, which is handled. */
    void *(*allocate)(void *user, size_t size);
    /* What allocate gave, with the size that was asked for. */
    void (*release)(void *user, void *memory, size_t size);
} mtasts_memory;

/* One block of memory instead, for a host without a heap. All members are private. */
typedef struct mtasts_pool {
    unsigned char *block_;
    uint32_t end_;
    uint32_t bins_[128];
} mtasts_pool;

/* mtasts_pool_init - divide a block among those who ask for some
 *
 *   block     kept
 *   size      its octets; of more than 8 GiB only so much is used
 *   use       memory.user = &pool, allocate = mtasts_pool_allocate, release = mtasts_pool_release.
 *             Give the cache a bound of about nine tenths of the block: the rest is for gaps.
 *   cost      each call takes the same time, whatever is in the pool; 8 octets beside each piece
 */
MTASTS_API void mtasts_pool_init(mtasts_pool *pool, void *block, size_t size);
MTASTS_API void *mtasts_pool_allocate(void *pool, size_t size);
MTASTS_API void mtasts_pool_release(void *pool, void *memory, size_t size);

/* ==== 15 Cache =========================================================================== */

/* Entries of many domains in memory that the host bounds. Its table grows a little with each new
 * entry, never all at once; names are hashed with a key (SipHash), so that nobody can choose
 * domains that collide. A policy that many domains share is stored once. One thread at a time. */

/* What an entry is worth when memory is short: the lowest go first, and never is one put out for
 * one that is worth less. Equal ones: absences by their time to expire, policies by how long they
 * have not been used (the longest of a sample of sixteen). */
typedef enum mtasts_worth {
    MTASTS_WORTH_ABSENCE = 0, /* no policy */
    MTASTS_WORTH_LENIENT,     /* none, testing */
    MTASTS_WORTH_ENFORCE
} mtasts_worth;

#define MTASTS_KEY_SIZE 16u

typedef struct mtasts_cache_config {
    mtasts_memory memory;
    size_t max_octets;  /* of all that is asked of memory; 0: no bound but memory's own */
    size_t max_entries; /* 0: no bound */
    unsigned char key[MTASTS_KEY_SIZE]; /* random, kept secret */
    void *user;
    /* Called for each entry that is put out for want of room; may be NULL. Must not call the cache.
     * The entry is good until it returns. */
    void (*evicted)(void *user, const mtasts_entry *entry);
} mtasts_cache_config;

typedef struct mtasts_cache_stats {
    size_t octets;     /* asked of memory and not given back */
    size_t entries[3]; /* by mtasts_worth */
    size_t policies;   /* different policy texts */
    uint64_t evicted[3];
    uint64_t refused; /* entries that found no room */
} mtasts_cache_stats;

typedef struct mtastsi_array {
    struct mtastsi_link ***segments_;
    size_t directory_, count_;
} mtastsi_array;

typedef struct mtastsi_table {
    mtastsi_array buckets_;
    size_t count_, level_;
} mtastsi_table;

typedef struct mtasts_cache {
    mtasts_cache_stats stats; /* to be read */
    mtasts_cache_config config_;
    mtastsi_table entries_, texts_;
    mtastsi_array heaps_[3];
    size_t hand_, reserve_, working_; /* working_: of octets what is no entry's */
    int starved_, full_, putting_;
} mtasts_cache;

/* mtasts_cache_init, mtasts_cache_clear - an empty cache; give back all memory
 *
 *   config    copied
 *   returns   MTASTS_OK; MTASTS_ERR_USAGE: memory has no functions, or the key is zero
 *   use       after a clear the cache is empty and can be used; stats go on counting what was
 *             evicted and refused. Clear it before forgetting it.
 */
MTASTS_API mtasts_err mtasts_cache_init(mtasts_cache *cache, const mtasts_cache_config *config);
MTASTS_API void mtasts_cache_clear(mtasts_cache *cache);

/* mtasts_cache_get - the entry of a domain
 *
 *   domain    normalised: any other form has no entry (mtasts_name_normalise)
 *   now       an entry that lies after it (the clock was set back) is brought back to it
 *   out       texts point into the cache and are good until the next call that changes it
 *   returns   1, or 0: there is none (*out is zero). Expired entries are given too.
 */
MTASTS_API int mtasts_cache_get(mtasts_cache *cache, const char *domain, size_t len, int64_t now,
                                mtasts_entry *out);

/* mtasts_cache_put - keep an entry, in place of any other of its domain
 *
 *   entry     copied; its texts may be those that the cache gave for this domain. A policy expires
 *             at fetched + max_age, whatever expires says, and max_age is not 0; an absence has no
 *             refresh. A refresh in the past is due at once.
 *   now       nothing that is kept lies after it
 *   returns   MTASTS_OK; MTASTS_ERR_LIMIT: no room, nothing has changed but what was put out in
 *             trying; MTASTS_ERR_USAGE: as for mtasts_entry_write
 */
MTASTS_API mtasts_err mtasts_cache_put(mtasts_cache *cache, const mtasts_entry *entry, int64_t now);

/* mtasts_cache_remove - forget a domain; returns 1, or 0: there was nothing to forget */
MTASTS_API int mtasts_cache_remove(mtasts_cache *cache, const char *domain, size_t len);

/* mtasts_cache_touch - a delivery has used the entry; does nothing if there is none */
MTASTS_API void mtasts_cache_touch(mtasts_cache *cache, const char *domain, size_t len,
                                   int64_t now);

/* mtasts_cache_due - the entry that has been due for longest
 *
 *   out       as in mtasts_cache_next
 *   now       a policy is due at its refresh, an absence when it has expired and no retry is
 *             pending
 *   returns   1, or 0: none is due, and *out is zero. To have the next one, put it with other
 *             times, or remove it.
 *   cost      does not depend on how many entries there are
 */
MTASTS_API int mtasts_cache_due(const mtasts_cache *cache, int64_t now, mtasts_entry *out);

/* mtasts_cache_next_due - when the next entry will be due; INT64_MAX: never */
MTASTS_API int64_t mtasts_cache_next_due(const mtasts_cache *cache);

/* A place in a cache. All members are private. */
typedef struct mtasts_cursor {
    size_t bucket_;
    uintptr_t last_;
    uint32_t hash_;
} mtasts_cursor;

/* mtasts_cache_next - iterate over all entries, in no order
 *
 *   cursor    in/out: zero for the first; private in between
 *   out       as in mtasts_cache_get, but the times are as they were put
 *   returns   1, or 0 at the end. Each entry is given once. The cache may change between the calls:
 *             what is put or removed then may be given or not, and what stays is given, perhaps
 *             twice if something is put.
 */
MTASTS_API int mtasts_cache_next(const mtasts_cache *cache, mtasts_cursor *cursor,
                                 mtasts_entry *out);

/* mtasts_cache_purge - remove all entries that are of no use any more (mtasts_entry_keep); looks at
 * every one
 *
 *   returns   how many
 */
MTASTS_API size_t mtasts_cache_purge(mtasts_cache *cache, int64_t now);

/* ==== 16 Client ========================================================================== */

/* Discovery, cache and refresh behind one call. The host gives a clock, TXT and HTTPS as callbacks
 * that may answer before they return (a blocking host) or later (an event loop): it makes no
 * difference. No thread, no socket, no timer: mtasts_client_tick runs what is due.
 *
 *       mtasts_client_init(&client, &host);
 *       mtasts_lookup lookup = {0};
 *       lookup.done = go_on;
 *       err = mtasts_client_lookup(&client, &lookup, domain, len, 0);
 *       if (err == MTASTS_MORE)
 *           return;                       lookup.done will be called, and goes on from here
 *       if (err != MTASTS_OK)
 *           return defer_or_fail(err);    MTASTS_ERR_LIMIT: defer; no valid name: fail
 *       delivery.policy = lookup.policy;           what to do without policy: see mtasts_lookup
 *       delivery.override = lookup.override;
 *       ...                               deliver (section 10)
 *       mtasts_client_end(&client, &lookup);
 *       while (mtasts_client_next(&client) <= now)
 *           mtasts_client_tick(&client);  or, in an event loop, when that time has come
 *
 * One thread at a time for one client; different clients are independent. From inside txt, https,
 * load and save only mtasts_client_give_... may be called, from inside the other callbacks nothing:
 * all else is refused with MTASTS_ERR_USAGE, or does nothing. From inside `done` everything may. */

/* What is told to mtasts_host.event, for logs, metrics and reports. */
#define MTASTS_EVENTS(X)                                                                          \
    X(MTASTS_EVENT_FOUND, 0, "found", "a policy, where none was known")                           \
    X(MTASTS_EVENT_RENEWED, 1, "renewed", "the known policy was fetched again")                   \
    X(MTASTS_EVENT_CHANGED, 2, "changed", "another policy than the known one")                    \
    X(MTASTS_EVENT_DOWNGRADED, 3, "downgraded",                                                   \
      "the policy has a weaker mode than the known one: tell the administrator")                  \
    X(MTASTS_EVENT_FETCH_FAILED, 4, "fetch-failed", "there is a record, but no policy to be had") \
    X(MTASTS_EVENT_REFRESH_FAILED, 5, "refresh-failed",                                           \
      "the known policy could not be fetched again; it is used until it expires")                 \
    X(MTASTS_EVENT_EXPIRED, 6, "expired", "the known policy is not valid any more")               \
    X(MTASTS_EVENT_EVICTED, 7, "evicted", "put out of memory for want of room")                   \
    X(MTASTS_EVENT_NO_ROOM, 8, "no-room", "there is no memory to keep it in")                     \
    X(MTASTS_EVENT_STORE_FAILED, 9, "store-failed", "the store failed, or gave no good entry")    \
    X(MTASTS_EVENT_STALE, 10, "stale", "an answer that is late, or a second one: ignored")

#define MTASTSI_ENUM(name, number, word, text) name = number,
typedef enum mtasts_event_kind {
    MTASTS_EVENTS(MTASTSI_ENUM) MTASTS_EVENT_END_ = 0x7fff
} mtasts_event_kind;
#undef MTASTSI_ENUM
#define MTASTSI_ENUM(name, number, word, text) +1
enum { MTASTS_EVENT_COUNT = MTASTS_EVENTS(MTASTSI_ENUM) };
#undef MTASTSI_ENUM

typedef struct mtasts_event {
    mtasts_event_kind kind;
    const char *domain; /* NUL-terminated; "" for MTASTS_EVENT_STALE */
    mtasts_diag diag;   /* why: err (MTASTS_OK if nothing went wrong), and where */
    mtasts_mode mode;   /* of the policy that it is about */
    mtasts_mode before; /* of the policy known before */
    int64_t left;       /* seconds until the policy expires; 0 without */
} mtasts_event;

/* The host's side. Zero it (mtasts_host_init does) and set what there is; new members are added at
 * the end. All callbacks get `user` first. None is called from inside another but event, clock and
 * those of memory, and none after mtasts_client_clear. All texts are good until the callback
 * returns or gives the answer, but where it says longer.
 *
 * A host with threads has one lock around all calls of the client; txt and https hand the question
 * to a worker, who takes the lock and gives; `done` runs in the thread that gave. A policy may be
 * read without the lock until mtasts_client_end. After a fork only one side may use the client. */
typedef struct mtasts_host {
    size_t size; /* sizeof(mtasts_host) */
    void *user;

    /* Required. Unix seconds. Called once in each call of the client's functions and of give. It
     * may jump. */
    int64_t (*clock)(void *user);

    /* Required. Ask for the TXT records at `name`, and answer with mtasts_client_give_txt, now or
     * later. Called at most once for a ticket. If the name is an alias, follow it. */
    void (*txt)(void *user, uint64_t ticket, const char *name);

    /* Required. Fetch the policy of `domain` from `policy_host` (section 7) and answer with
     * mtasts_client_give_https, now or later. At most once for a ticket, and for a domain not more
     * often than the rules of section 13 allow. */
    void (*https)(void *user, uint64_t ticket, const char *domain, const char *policy_host);

    /* Optional: a store that outlives the process. Both or neither of load and save. load: called
     * when a domain is not in memory; answer with mtasts_client_give_load. save: after a policy was
     * fetched, or could not be; `text` is good until mtasts_client_give_save or until the time is
     * up. Saves of a domain come in order, keep it; if several processes share the store, let each
     * read what is there first, and not replace an entry that was `fetched` later. drop: forget
     * what is stored, no answer: after a policy with max_age 0, and mtasts_client_forget. What has
     * merely expired is left there. */
    void (*load)(void *user, uint64_t ticket, const char *domain);
    void (*save)(void *user, uint64_t ticket, const char *domain, const char *text, size_t len);
    void (*drop)(void *user, const char *domain);

    /* Optional: fill `out` with random octets; 1 if it did. Called once, by mtasts_client_init.
     * Without it, set `key` to 16 octets that nobody can guess, others for each client and each
     * mtasts_client_init: the same key gives the same tickets. */
    int (*random)(void *user, void *out, size_t len);

    /* Optional: told what happens, as it happens. */
    void (*event)(void *user, const mtasts_event *event);

    /* Optional: the administrator's will for a domain, asked at each look-up. *pinned: a policy
     * text to use in place of what the domain publishes, good until mtasts_client_end; it must be a
     * valid policy, else the look-up fails with its error. */
    mtasts_override (*override)(void *user, const char *domain, mtasts_str *pinned);

    /* Where memory comes from: functions, or one block. */
    mtasts_memory memory;
    void *block;       /* without functions: one block of memory, kept until the end */
    size_t block_size; /* 1 MiB at least makes sense */

    size_t
        max_octets; /* in all; 0: no bound, or nine tenths of the block. A quarter is kept free for
                              discoveries, and is what one policy may have at most */
    size_t max_entries;     /* 0: no bound */
    uint32_t max_lookups;   /* discoveries at once; 0: 256 */
    uint32_t check_after;   /* seconds before the TXT record is asked for again; 0: 300 */
    uint32_t used_within;   /* a policy is refreshed if used within these seconds; 0: 30 days. Less
                              if it is refreshed more often than daily, in proportion */
    uint32_t dns_timeout;   /* seconds; 0: 30. Then the answer counts as MTASTS_ERR_DNS */
    uint32_t https_timeout; /* seconds; 0: MTASTS_FETCH_TIME_MAX. Then MTASTS_ERR_HTTPS_CONNECT */
    uint32_t store_timeout; /* seconds; 0: 10. Then as if the store had failed */
    unsigned char key[MTASTS_KEY_SIZE];
} mtasts_host;

/* What the client has done; to be read. */
typedef struct mtasts_counters {
    uint64_t lookups, hits,
        joined; /* all; answered from memory; had to wait for another's answer */
    uint64_t txt, https, load, save, drop; /* callbacks called */
    uint64_t refreshes;                    /* discoveries that no delivery waited for */
    uint64_t timeouts;
    uint64_t answers[5];  /* to look-ups, by mtasts_learned */
    uint32_t discoveries; /* under way now */
    uint64_t events[MTASTS_EVENT_COUNT];
} mtasts_counters;

/* All on; fetch and keep, but enforce nothing; all off. */
typedef enum mtasts_switch {
    MTASTS_SWITCH_ON = 0,
    MTASTS_SWITCH_FETCH,
    MTASTS_SWITCH_OFF
} mtasts_switch;

typedef struct mtastsi_ring {
    struct mtastsi_ring *newer, *older;
} mtastsi_ring;

/* One question, in memory of the host's. Zero it, set done and user. Between mtasts_client_lookup
 * (OK or MORE) and mtasts_client_end it is linked with others in the client: it must not be moved,
 * zeroed, reused or freed. Ending one that is zero, or that failed, does nothing. */
typedef struct mtasts_lookup {
    /* Called once if mtasts_client_lookup has returned MTASTS_MORE, never else. */
    void (*done)(void *user, struct mtasts_lookup *lookup);
    void *user;

    /* The answer. Good until mtasts_client_end. Without policy, deliver as to any domain if
     * `learned` is NONE, FAILED (and report it) or NOTHING (switched off). TEMPORARY: it is not
     * known whether there is one; go on or defer, as the host chooses, but defer if diag.err is
     * MTASTS_ERR_LIMIT (there is a policy, and no memory for it) or MTASTS_ERR_STORE (there may be
     * one in the store, which could not be read). */
    const mtasts_policy *policy; /* the policy to honour (mtasts_delivery.policy); NULL: none */
    mtasts_override override;    /* for mtasts_delivery.override */
    mtasts_learned learned;
    mtasts_diag diag;              /* why, if it is neither POLICY nor NOTHING */
    mtasts_tlsrpt_result result;   /* for a TLS report, if it is FAILED: why */
    int cached;                    /* 1: from memory or store, nobody was asked now */
    int64_t expires;               /* of policy */
    char domain[MTASTS_NAME_SIZE]; /* the policy domain */
    char id[MTASTS_ID_MAX + 1];    /* the policy's id; "" without, and if max_age is 0 */

    mtasts_policy pinned_;
    mtastsi_ring ring_;
    struct mtastsi_text *text_;
    int state_, again_;
} mtasts_lookup;

/* All members but the counters are private. */
typedef struct mtasts_client {
    mtasts_counters counters; /* to be read */
    mtasts_host host_;
    mtasts_pool pool_;
    mtasts_cache cache_;
    mtastsi_table flights_;
    mtastsi_ring flying_ring_, turns_, answered_, open_;
    uint64_t drawn_;
    int64_t now_;
    mtasts_switch switch_;
    uint32_t idle_;
    int busy_, deaf_, ready_, telling_; /* deaf: gives are refused */
} mtasts_client;

/* mtasts_host_init - zero, and the size set */
MTASTS_API void mtasts_host_init(mtasts_host *host);

/* mtasts_client_init - a client that knows nothing yet
 *
 *   host      copied; what `user`, the block and the functions stand for must outlive the client
 *   returns   MTASTS_OK; MTASTS_ERR_USAGE: size is wrong, a required callback or memory is missing,
 *             there is neither random nor a key, or load without save. Then all else is refused.
 *   use       the client must not be moved after it
 */
MTASTS_API mtasts_err mtasts_client_init(mtasts_client *client, const mtasts_host *host);

/* mtasts_client_clear - give back all memory; it is the end of all look-ups: those that wait are
 * never answered, and no policy of any is good any more. Then mtasts_client_init may follow. */
MTASTS_API void mtasts_client_clear(mtasts_client *client);

#define MTASTS_LOOKUP_AGAIN 8u /* flag: ask now, even if the answer is known */

/* mtasts_client_lookup - the policy of a domain
 *
 *   lookup    see mtasts_lookup; it belongs to the client until mtasts_client_end
 *   domain    the policy domain: the recipient's, or the smart host's; as for mtasts_name_normalise
 *   flags     0, or MTASTS_LOOKUP_AGAIN before a message is failed for good because of an enforced
 *             policy (RFC 8461 5.1): asks DNS and fetches the policy again, if that was not done
 *             within MTASTS_RETRY_MIN and no retry is pending. With another mtasts_lookup than the
 *             one that is open: if the second has another `policy` (the pointers differ), try the
 *             MX hosts again with that. If it has the same or none there is nothing newer: the
 *             message may be failed, unless `learned` says that this could not be found out. (Who
 *             gives MTA-STS up publishes mode none, which is a policy.)
 *   returns   MTASTS_OK: the answer is in *lookup. MTASTS_MORE: lookup->done will be called. An
 *             error (then there is nothing to end): MTASTS_ERR_NAME_* (but an address, which has no
 *             policy: MTASTS_OK); MTASTS_ERR_LIMIT: max_lookups are under way, or no memory for one
 *             more: defer the message; MTASTS_ERR_USAGE; MTASTS_ERR_POLICY_*: the pinned policy is
 *             not valid
 *   rules     A known policy is answered at once; whether it is still current is asked for later,
 *             by mtasts_client_tick. Those who ask for a domain at the same time share one
 *             discovery.
 */
MTASTS_API mtasts_err mtasts_client_lookup(mtasts_client *client, mtasts_lookup *lookup,
                                           const char *domain, size_t len, unsigned flags);

/* mtasts_client_end - done with a look-up: its policy is given back; if it was still waiting it
 * waits no more, and `done` is not called. Once for each look-up that returned MTASTS_OK or
 * MTASTS_MORE; more often does no harm. */
MTASTS_API void mtasts_client_end(mtasts_client *client, mtasts_lookup *lookup);

/* mtasts_client_give_load, _give_txt, _give_https, _give_save - a callback's answer
 *
 *   ticket    the callback's
 *   the rest  as for mtasts_discovery_give_...; nothing is kept after they return
 *   returns   as there; MTASTS_ERR_STALE too when the time was up
 *   use       from inside txt, https, load or save, or from outside all callbacks
 */
MTASTS_API mtasts_err mtasts_client_give_load(mtasts_client *client, uint64_t ticket,
                                              mtasts_err status, const char *text, size_t len);
MTASTS_API mtasts_err mtasts_client_give_txt(mtasts_client *client, uint64_t ticket,
                                             mtasts_err status, const mtasts_txt *records,
                                             size_t count, uint32_t ttl);
MTASTS_API mtasts_err mtasts_client_give_https(mtasts_client *client, uint64_t ticket,
                                               mtasts_err status, const char *body, size_t len);
MTASTS_API mtasts_err mtasts_client_give_save(mtasts_client *client, uint64_t ticket,
                                              mtasts_err status);

/* mtasts_client_tick - do what is due: answers that did not come in time, entries that have
 * expired, and at most one check or refresh
 *
 *   returns   when to call it again, Unix seconds; not after the clock's time: at once. INT64_MAX:
 *             not before another call of the client (see mtasts_client_next). In a blocking host a
 *             call may take as long as one look-up.
 *   cost      what is due, not what is there
 */
MTASTS_API int64_t mtasts_client_tick(mtasts_client *client);

/* mtasts_client_next - the same time, without doing anything
 *
 *   use       It changes with each look-up and each answer: an event loop sets its timer anew at
 *             the end of each turn. A process that exits after one delivery calls tick as long as
 *             this is not after the clock, best when the message is off the queue.
 */
MTASTS_API int64_t mtasts_client_next(const mtasts_client *client);

/* mtasts_client_switch - turn enforcement or everything on and off; at first it is on
 *
 *   FETCH     look-ups work, and answer with MTASTS_OVERRIDE_IGNORE, those that wait too
 *   OFF       look-ups answer at once that there is no policy, those that wait too; nothing is
 *             asked, and what is known is kept
 */
MTASTS_API void mtasts_client_switch(mtasts_client *client, mtasts_switch to);

/* mtasts_client_import - put a stored entry into memory, to have it refreshed after a restart
 *
 *   domain    whose it is; NULL: any
 *   text      as it was saved
 *   returns   MTASTS_OK; MTASTS_ERR_ENTRY_*; MTASTS_ERR_LIMIT; MTASTS_ERR_USAGE. A domain that is
 *             in memory keeps what it has.
 */
MTASTS_API mtasts_err mtasts_client_import(mtasts_client *client, const char *domain,
                                           size_t domain_len, const char *text, size_t len,
                                           mtasts_diag *diag);

/* mtasts_client_refresh - have a domain's policy fetched at the next tick, if no retry is pending
 * and it was not fetched within MTASTS_RETRY_MIN. What comes of it the events tell.
 *
 *   returns   MTASTS_OK; MTASTS_ERR_NAME_*; MTASTS_ERR_USAGE; MTASTS_ERR_LIMIT: too many are
 *             waiting for a tick
 */
MTASTS_API mtasts_err mtasts_client_refresh(mtasts_client *client, const char *domain, size_t len);

/* mtasts_client_forget - drop what is known of a domain, in memory and in the store; for an
 * administrator: a domain forgotten is a domain unprotected until its policy is seen again
 *
 *   returns   1, or 0: nothing was in memory (the store is told all the same)
 */
MTASTS_API int mtasts_client_forget(mtasts_client *client, const char *domain, size_t len);

/* mtasts_client_entry - what is known of a domain
 *
 *   out       texts are good until the next call of the client
 *   returns   1, or 0: nothing is in memory
 */
MTASTS_API int mtasts_client_entry(mtasts_client *client, const char *domain, size_t len,
                                   mtasts_entry *out);

/* mtasts_client_cache - to look at: mtasts_cache_next, stats */
MTASTS_API const mtasts_cache *mtasts_client_cache(const mtasts_client *client);

/* mtasts_event_name, mtasts_event_text - "refresh-failed"; a sentence
 *
 *   kind      any int; "UNKNOWN" and "" if it is none. Static, never NULL.
 */
MTASTS_API const char *mtasts_event_name(int kind);
MTASTS_API const char *mtasts_event_text(int kind);

#endif /* !MTASTS_PURE */

#ifdef __cplusplus
}
#endif
#endif /* MTASTS_H */

#if defined(MTASTS_IMPLEMENTATION) && !defined(MTASTS_IMPLEMENTED)
#define MTASTS_IMPLEMENTED

#include <string.h>

#if 'A' != 65 || 'z' != 122
#error "mtasts.h needs an ASCII execution character set"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1 Version ========================================================================== */

MTASTS_API long mtasts_version(void)
{
    return MTASTS_VERSION;
}

/* ==== 2 Strings and errors =============================================================== */

/* What an octet may be part of. Above 127 nothing. */
enum {
    MTASTSI_ALNUM = 1,
    MTASTSI_HYPHEN = 2,
    MTASTSI_UNDERSCORE = 4,
    MTASTSI_DOT = 8,
    MTASTSI_BLANK = 16,
    MTASTSI_PRINT = 32,
    MTASTSI_TXT_VALUE = 64,
    MTASTSI_DIGIT = 128,
    MTASTSI_LABEL = MTASTSI_ALNUM | MTASTSI_HYPHEN | MTASTSI_UNDERSCORE,
    MTASTSI_KEY = MTASTSI_LABEL | MTASTSI_DOT
};

static unsigned mtastsi_class(char c)
{
    /* clang-format off */
    static const unsigned char table[256] = {
        0,   0,   0,   0,   0,   0,   0,   0,   0,   16,  0,   0,  0,  0,  0,   0,
        0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,  0,  0,   0,
        48,  96,  96,  96,  96,  96,  96,  96,  96,  96,  96,  96, 96, 98, 104, 96,
        225, 225, 225, 225, 225, 225, 225, 225, 225, 225, 96,  32, 96, 32, 96,  96,
        96,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97, 97, 97, 97,  97,
        97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  96, 96, 96, 96,  100,
        96,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97, 97, 97, 97,  97,
        97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  97,  96, 96, 96, 96,  0};
    /* clang-format on */
    return table[(unsigned char)c];
}

static char mtastsi_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c | 0x20);
    return c;
}

/* Equal without regard to ASCII case? */
static int mtastsi_same_text(const char *a, const char *b, size_t len)
{
    size_t i;
    for (i = 0; i < len; i++)
        if (mtastsi_lower(a[i]) != mtastsi_lower(b[i]))
            return 0;
    return 1;
}

static int mtastsi_like(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && mtastsi_same_text(a, b, a_len);
}

/* A counted string against a literal. */
#define MTASTSI_IS(ptr, len, literal) \
    ((len) == sizeof(literal) - 1 && memcmp((ptr), (literal), sizeof(literal) - 1) == 0)
#define MTASTSI_LIKE(ptr, len, literal) mtastsi_like((ptr), (len), (literal), sizeof(literal) - 1)

/* Text going to a caller's buffer; counts on when that is full. */
typedef struct mtastsi_out {
    char *ptr;
    size_t cap, len;
} mtastsi_out;

static void mtastsi_put_char(mtastsi_out *out, char c)
{
    if (out->len < out->cap)
        out->ptr[out->len] = c;
    out->len++;
}

static void mtastsi_put(mtastsi_out *out, const char *text)
{
    while (*text)
        mtastsi_put_char(out, *text++);
}

/* A name as names are compared. */
static void mtastsi_put_name(mtastsi_out *out, const char *name, size_t len)
{
    size_t i;
    for (i = 0; i < len; i++)
        mtastsi_put_char(out, mtastsi_lower(name[i]));
}

static void mtastsi_put_number(mtastsi_out *out, size_t number)
{
    char digits[24];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number);
    while (n)
        mtastsi_put_char(out, digits[--n]);
}

/* End with NUL inside the buffer; the length that the text should have had. */
static size_t mtastsi_put_end(mtastsi_out *out)
{
    if (out->cap)
        out->ptr[out->len < out->cap ? out->len : out->cap - 1] = '\0';
    return out->len;
}

/* The empty text, and a fresh start. */
static void mtastsi_put_nothing(mtastsi_out *out)
{
    out->len = 0;
    if (out->cap)
        out->ptr[0] = '\0';
}

/* The same for the writers, which give all or nothing. */
static mtasts_err mtastsi_put_all(mtastsi_out *out, size_t *len)
{
    *len = mtastsi_put_end(out);
    if (out->len < out->cap)
        return MTASTS_OK;
    mtastsi_put_nothing(out);
    return MTASTS_ERR_SPACE;
}

/* Every result goes through here, so that a diag is always written whole. */
static mtasts_err mtastsi_say(mtasts_diag *diag, mtasts_err err, size_t offset, const char *text)
{
    if (diag) {
        memset(diag, 0, sizeof *diag);
        diag->err = err;
        diag->offset = offset;
        diag->text = text;
    }
    return err;
}

/* The same in the element numbered `line` of a list. */
static mtasts_err mtastsi_say_in(mtasts_diag *diag, mtasts_err err, size_t line, size_t offset,
                                 const char *text)
{
    mtastsi_say(diag, err, offset, text);
    if (diag) {
        diag->line = line;
        diag->column = offset + 1;
    }
    return err;
}

/* The number from 0 to `last` that has this name, or -1. Names are in lower case, what stands for
 * an unknown number is not. */
static int mtastsi_from_name(const char *(*name_of)(int), int last, const char *name, size_t len)
{
    size_t i;
    int number;
    for (number = 0; name && number <= last; number++) {
        const char *text = name_of(number);
        for (i = 0; i < len && text[i] && text[i] == name[i]; i++)
            ;
        if (i == len && !text[i] && text[0] >= 'a')
            return number;
    }
    return -1;
}

MTASTS_API const char *mtasts_strerror(int err)
{
#define X(name, number, text, section, result) \
    case number:                               \
        return text;
    switch (err) {
        MTASTS_ERRORS(X)
    default:
        return "unknown error";
    }
#undef X
}

MTASTS_API const char *mtasts_err_name(int err)
{
#define X(name, number, text, section, result) \
    case number:                               \
        return #name;
    switch (err) {
        MTASTS_ERRORS(X)
    default:
        return "UNKNOWN";
    }
#undef X
}

MTASTS_API const char *mtasts_err_section(int err)
{
#define X(name, number, text, section, result) \
    case number:                               \
        return section;
    switch (err) {
        MTASTS_ERRORS(X)
    default:
        return "";
    }
#undef X
}

MTASTS_API mtasts_tlsrpt_result mtasts_err_tlsrpt(int err)
{
#define X(name, number, text, section, result) \
    case number:                               \
        return result;
    switch (err) {
        MTASTS_ERRORS(X)
    default:
        return MTASTS_TLSRPT_OK;
    }
#undef X
}

MTASTS_API const char *mtasts_quirk_name(unsigned quirk)
{
#define X(name, number, word, text) \
    case number:                    \
        return word;
    switch (quirk) {
        MTASTS_QUIRKS(X)
    default:
        return "UNKNOWN";
    }
#undef X
}

MTASTS_API const char *mtasts_quirk_text(unsigned quirk)
{
#define X(name, number, word, text) \
    case number:                    \
        return text;
    switch (quirk) {
        MTASTS_QUIRKS(X)
    default:
        return "";
    }
#undef X
}

MTASTS_API size_t mtasts_diag_format(char *out, size_t cap, const char *source,
                                     const mtasts_diag *diag)
{
    mtastsi_out o = {out, cap, 0};
    const char *what = mtasts_strerror((int)diag->err);
    const char *section = mtasts_err_section((int)diag->err);
    const char *text = diag->text ? diag->text : "";
    if (!diag->err && (diag->quirk || *text)) {
        what = mtasts_quirk_text(diag->quirk);
        section = "RFC 8461 3.2";
    }
    if (source)
        mtastsi_put(&o, source);
    if (diag->line) {
        mtastsi_put(&o, o.len ? ":" : "");
        mtastsi_put_number(&o, diag->line);
        mtastsi_put(&o, ":");
        mtastsi_put_number(&o, diag->column);
    }
    mtastsi_put(&o, o.len ? ": " : "");
    mtastsi_put(&o, what);
    if (diag->err && diag->quirk) {
        mtastsi_put(&o, ": ");
        mtastsi_put(&o, mtasts_quirk_text(diag->quirk));
    }
    mtastsi_put(&o, *what && *text ? ": " : "");
    mtastsi_put(&o, text);
    if (*section) {
        mtastsi_put(&o, " (");
        mtastsi_put(&o, section);
        mtastsi_put(&o, ")");
    }
    return mtastsi_put_end(&o);
}

MTASTS_API size_t mtasts_escape(char *out, size_t cap, const char *in, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    mtastsi_out o = {out, cap, 0};
    size_t i, whole = 0;
    for (i = 0; in && i < len; i++) {
        if (o.len < cap)
            whole = o.len;
        if (in[i] == '\\') {
            mtastsi_put(&o, "\\\\");
        } else if (mtastsi_class(in[i]) & MTASTSI_PRINT) {
            mtastsi_put_char(&o, in[i]);
        } else {
            mtastsi_put(&o, "\\x");
            mtastsi_put_char(&o, hex[(unsigned char)in[i] >> 4]);
            mtastsi_put_char(&o, hex[(unsigned char)in[i] & 15]);
        }
    }
    mtastsi_put_end(&o);
    if (cap && o.len >= cap)
        out[whole] = '\0';
    return o.len;
}

/* ==== 3 Names ============================================================================ */

/* A name at the start of some octets. `end`: where its octets end, a trailing dot included; the
 * name itself is `len` long. After an error, `end` is where it lies. */
typedef struct mtastsi_name {
    size_t len, end;
    mtasts_err err;
} mtastsi_name;

static mtastsi_name mtastsi_name_error(mtasts_err err, size_t at)
{
    mtastsi_name name = {0, at, err};
    if (at > MTASTS_NAME_MAX) { /* it was too long before that */
        name.end = MTASTS_NAME_MAX;
        name.err = MTASTS_ERR_NAME_LONG;
    }
    return name;
}

/* Read labels up to the first octet that can be in none. Every name goes through here. */
static mtastsi_name mtastsi_name_read(const char *p, size_t len)
{
    mtastsi_name name = {0, 0, MTASTS_OK};
    size_t i = 0, start;
    for (;; i++) {
        for (start = i; i < len && (mtastsi_class(p[i]) & MTASTSI_LABEL); i++)
            ;
        if (i == start) {
            if (i < len && p[i] == '.')
                return mtastsi_name_error(MTASTS_ERR_NAME_EMPTY_LABEL, i);
            if (!start)
                return mtastsi_name_error(MTASTS_ERR_NAME_EMPTY, i);
            break;
        }
        if (p[start] == '-')
            return mtastsi_name_error(MTASTS_ERR_NAME_HYPHEN, start);
        if (i - start > MTASTS_LABEL_MAX)
            return mtastsi_name_error(MTASTS_ERR_NAME_LONG_LABEL, start + MTASTS_LABEL_MAX);
        if (p[i - 1] == '-')
            return mtastsi_name_error(MTASTS_ERR_NAME_HYPHEN, i - 1);
        name.len = i;
        if (i == len || p[i] != '.')
            break;
    }
    if (name.len > MTASTS_NAME_MAX)
        return mtastsi_name_error(MTASTS_ERR_NAME_LONG, MTASTS_NAME_MAX);
    name.end = i;
    return name;
}

/* Is the last label all digits? Then it is (part of) an IPv4 address. */
static int mtastsi_name_is_address(const char *p, size_t len)
{
    while (len && (mtastsi_class(p[len - 1]) & MTASTSI_DIGIT))
        len--;
    return !len || p[len - 1] == '.';
}

/* All of the octets as a host name, reference names included; 0: it is none. */
static size_t mtastsi_host_len(const char *p, size_t len)
{
    mtastsi_name name;
    if (!p)
        return 0;
    name = mtastsi_name_read(p, len);
    if (name.err || name.end != len || mtastsi_name_is_address(p, name.len))
        return 0;
    return name.len;
}

MTASTS_API mtasts_err mtasts_name_normalise(char *out, const char *name, size_t len,
                                            mtasts_diag *diag)
{
    mtastsi_name n;
    mtastsi_out o = {out, MTASTS_NAME_SIZE, 0};
    if (out)
        *out = '\0';
    if (!name)
        return mtastsi_say(diag, len ? MTASTS_ERR_USAGE : MTASTS_ERR_NAME_EMPTY, 0, "");
    if (len && *name == '[')
        return mtastsi_say(diag, MTASTS_ERR_NAME_ADDRESS, 0, "");
    n = mtastsi_name_read(name, len);
    if (n.err != MTASTS_OK && (n.end == len || mtastsi_class(name[n.end]) & MTASTSI_KEY))
        return mtastsi_say(diag, n.err, n.end, "");
    if (n.end < len)
        return mtastsi_say(
            diag, (unsigned char)name[n.end] < 128 ? MTASTS_ERR_NAME_OCTET : MTASTS_ERR_NAME_ULABEL,
            n.end, "");
    if (mtastsi_name_is_address(name, n.len))
        return mtastsi_say(diag, MTASTS_ERR_NAME_ADDRESS, 0, "");
    if (out) {
        mtastsi_put_name(&o, name, n.len);
        mtastsi_put_end(&o);
    }
    return mtastsi_say(diag, MTASTS_OK, len, "");
}

/* ==== 4 TXT record ======================================================================= */

/* The character-strings of a record read as one. */
typedef struct mtastsi_txt {
    const mtasts_txt *txt;
    size_t string, at; /* the next octet */
    size_t offset;     /* the same, over the joined strings */
} mtastsi_txt;

/* The octet that comes next, or -1 at the end. A string that is not there is a NUL: never right. */
static int mtastsi_txt_peek(mtastsi_txt *in)
{
    const mtasts_str *strings = in->txt->strings;
    size_t count = strings ? in->txt->count : 0;
    while (in->string < count && in->at == strings[in->string].len) {
        in->string++;
        in->at = 0;
    }
    if (in->string >= count)
        return -1;
    return strings[in->string].ptr ? (unsigned char)strings[in->string].ptr[in->at] : 0;
}

static void mtastsi_txt_skip(mtastsi_txt *in)
{
    in->at++;
    in->offset++;
}

/* Pass over octets of some classes; how many they were. */
static size_t mtastsi_txt_span(mtastsi_txt *in, unsigned classes)
{
    size_t start = in->offset;
    while (mtastsi_class((char)mtastsi_txt_peek(in)) & classes) /* that of -1 is none */
        mtastsi_txt_skip(in);
    return in->offset - start;
}

static int mtastsi_txt_take(mtastsi_txt *in, const char *literal)
{
    for (; *literal; literal++) {
        if (mtastsi_txt_peek(in) != (unsigned char)*literal)
            return 0;
        mtastsi_txt_skip(in);
    }
    return 1;
}

/* RFC 8461 3.1 sts-field-delim. Blanks alone are none. */
static int mtastsi_txt_delimiter(mtastsi_txt *in)
{
    mtastsi_txt_span(in, MTASTSI_BLANK);
    if (!mtastsi_txt_take(in, ";"))
        return 0;
    mtastsi_txt_span(in, MTASTSI_BLANK);
    return 1;
}

/* The value of the first id, which is the one that counts. */
static mtasts_err mtastsi_txt_id(mtastsi_txt *in, mtasts_record *out, const char **text)
{
    size_t n = 0;
    int c;
    while (mtastsi_class((char)(c = mtastsi_txt_peek(in))) & MTASTSI_ALNUM) {
        if (n == MTASTS_ID_MAX) {
            *text = "it is longer than 32";
            return MTASTS_ERR_RECORD_ID;
        }
        out->id[n++] = (char)c;
        mtastsi_txt_skip(in);
    }
    if (n && (c < 0 || c == ';' || (mtastsi_class((char)c) & MTASTSI_BLANK)))
        return MTASTS_OK;
    *text = n ? "" : "it is empty, or begins with something else";
    return MTASTS_ERR_RECORD_ID;
}

/* One name=value. */
static mtasts_err mtastsi_txt_field(mtastsi_txt *in, mtasts_record *out, const char **text)
{
    char name[MTASTS_KEY_MAX];
    size_t n = 0;
    int c = mtastsi_txt_peek(in);
    *text = "a name begins with a letter or a digit";
    if (!(mtastsi_class((char)c) & MTASTSI_ALNUM))
        return MTASTS_ERR_RECORD_FIELD;
    *text = "a name has at most 32 letters, digits, \"_\", \"-\", \".\"; then comes \"=\"";
    while (mtastsi_class((char)(c = mtastsi_txt_peek(in))) & MTASTSI_KEY) {
        if (n == sizeof name)
            return MTASTS_ERR_RECORD_FIELD;
        name[n++] = (char)c;
        mtastsi_txt_skip(in);
    }
    if (!mtastsi_txt_take(in, "="))
        return MTASTS_ERR_RECORD_FIELD;
    if (MTASTSI_IS(name, n, "id") && !out->id[0])
        return mtastsi_txt_id(in, out, text);
    *text = "a value has visible ASCII characters but \"=\" and \";\"";
    return mtastsi_txt_span(in, MTASTSI_TXT_VALUE) ? MTASTS_OK : MTASTS_ERR_RECORD_FIELD;
}

static mtasts_err mtastsi_record_parse(mtasts_record *out, const mtasts_txt *txt, size_t number,
                                       mtasts_diag *diag)
{
    mtastsi_txt in = {txt, 0, 0, 0};
    mtasts_err err = MTASTS_OK;
    const char *text = "";
    if (!mtastsi_txt_take(&in, "v=STSv1") ||
        mtastsi_class((char)mtastsi_txt_peek(&in)) & MTASTSI_KEY)
        return mtastsi_say_in(diag, MTASTS_ERR_NO_RECORD, number, 0,
                              "the only TXT record does not begin with \"v=STSv1;\"");
    while (!err && mtastsi_txt_peek(&in) >= 0) {
        if (!mtastsi_txt_delimiter(&in)) {
            text = "\";\" is missing, or an octet is not allowed here";
            err = MTASTS_ERR_RECORD_FIELD;
        } else if (mtastsi_txt_peek(&in) >= 0) { /* one trailing delimiter is allowed */
            err = mtastsi_txt_field(&in, out, &text);
        }
    }
    if (!err) {
        err = out->id[0] ? MTASTS_OK : MTASTS_ERR_RECORD_NO_ID;
        text = "";
    }
    if (err)
        memset(out, 0, sizeof *out);
    return mtastsi_say_in(diag, err, number, in.offset, text);
}

/* RFC 8461 3.1: "records that do not begin with "v=STSv1;" are discarded" */
static int mtastsi_txt_begins(const mtasts_txt *txt)
{
    mtastsi_txt in = {txt, 0, 0, 0};
    return mtastsi_txt_take(&in, "v=STSv1;");
}

MTASTS_API mtasts_err mtasts_record_select(mtasts_record *out, const mtasts_txt *records,
                                           size_t count, mtasts_diag *diag)
{
    size_t i, found = 0;
    if (out)
        memset(out, 0, sizeof *out);
    if (!out || (count && !records))
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    if (count == 1)
        return mtastsi_record_parse(out, records, 1, diag);
    for (i = 0; i < count; i++) {
        if (!mtastsi_txt_begins(&records[i]))
            continue;
        if (found)
            return mtastsi_say_in(diag, MTASTS_ERR_MULTIPLE_RECORDS, i + 1, 0, "");
        found = i + 1;
    }
    if (!found)
        return mtastsi_say(diag, MTASTS_ERR_NO_RECORD, 0, "");
    return mtastsi_record_parse(out, &records[found - 1], found, diag);
}

/* ==== 5 Policy =========================================================================== */

enum {
    MTASTSI_SEEN_VERSION = 1,
    MTASTSI_SEEN_MODE = 2,
    MTASTSI_SEEN_MAX_AGE = 4,
    MTASTSI_SEEN_MX = 8
};

/* Octets in front of the first line. */
static size_t mtastsi_bom(const char *b, size_t len)
{
    return len >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* Where the line after the one at `at` begins. */
static size_t mtastsi_next_line(const char *b, size_t len, size_t at)
{
    const char *lf = at < len ? (const char *)memchr(b + at, '\n', len - at) : NULL;
    return lf ? (size_t)(lf - b) + 1 : len;
}

static size_t mtastsi_skip_blanks(const char *b, size_t len, size_t at)
{
    while (at < len && (mtastsi_class(b[at]) & MTASTSI_BLANK))
        at++;
    return at;
}

/* A value has ended: blanks and the line's end must follow. 1: *at is the next line; 0: *at is the
 * octet that must not be there. */
static int mtastsi_line_end(const char *b, size_t len, size_t *at)
{
    size_t i = mtastsi_skip_blanks(b, len, *at);
    if (i + 1 < len && b[i] == '\r' && b[i + 1] == '\n')
        i++;
    *at = i;
    if (i < len && b[i] != '\n')
        return 0;
    *at += i < len;
    return 1;
}

/* The length of the UTF-8 sequence at `at` (RFC 3629 4), 0 if it is none. */
static size_t mtastsi_utf8(const char *b, size_t len, size_t at)
{
    unsigned first = (unsigned char)b[at];
    unsigned low = 0x80, high = 0xbf; /* bounds of the second octet */
    size_t i, n = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (!n || len - at < n)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    for (i = 1; i < n; i++) {
        unsigned c = (unsigned char)b[at + i];
        if (c < low || c > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

/* The functions that read a value begin at l->value_, leave the next line's start in l->at_, and
 * after an error the place of it there. */
static mtasts_err mtastsi_value_other(mtasts_lint *l)
{
    const char *b = l->body_;
    size_t n, i = l->value_;
    l->at_ = i;
    if (mtastsi_line_end(b, l->len_, &l->at_)) {
        l->at_ = i;
        l->note_ = "the value is empty";
        return MTASTS_ERR_POLICY_VALUE;
    }
    while (i < l->len_) {
        if (mtastsi_class(b[i]) & MTASTSI_PRINT) {
            i++;
        } else if ((n = mtastsi_utf8(b, l->len_, i)) != 0) {
            i += n;
        } else {
            break; /* the line's end, or something that must not be there */
        }
    }
    l->at_ = i;
    if (mtastsi_line_end(b, l->len_, &l->at_))
        return MTASTS_OK;
    l->at_ = i;
    l->note_ = "a control character, or not UTF-8";
    return MTASTS_ERR_POLICY_VALUE;
}

/* Why an mx is wrong, from the octet at l->at_ and what the name's reader said. */
static const char *mtastsi_mx_hint(const mtasts_lint *l, mtasts_err err)
{
    unsigned c = l->at_ < l->len_ ? (unsigned char)l->body_[l->at_] : '\n';
    if (c >= 128)
        err = MTASTS_ERR_NAME_ULABEL;
    else if (c == '[')
        err = MTASTS_ERR_NAME_ADDRESS;
    else if (err == MTASTS_ERR_NAME_EMPTY && c != '\n' && c != '\r')
        err = MTASTS_ERR_NAME_OCTET;
    return err ? mtasts_strerror((int)err)
               : "write one mx line for each host: a name, or \"*.\" and a name";
}

static mtasts_err mtastsi_value_mx(mtasts_lint *l)
{
    const char *v = l->body_ + l->value_;
    size_t max = l->len_ - l->value_;
    size_t star = max >= 2 && v[0] == '*' && v[1] == '.' ? 2 : 0;
    mtastsi_name name = mtastsi_name_read(v + star, max - star);
    l->at_ = l->stop_ = l->value_ + star + name.end;
    if (name.err || !mtastsi_line_end(l->body_, l->len_, &l->at_)) {
        l->note_ = mtastsi_mx_hint(l, name.err);
        return MTASTS_ERR_POLICY_MX;
    }
    l->mx_count_++;
    if (name.end > name.len)
        l->quirks_ |= MTASTS_QUIRK_TRAILING_DOT;
    if (memchr(v + star, '_', name.len))
        l->quirks_ |= MTASTS_QUIRK_UNDERSCORE;
    if (mtastsi_name_is_address(v + star, name.len))
        l->note_ = "an address: no MX host ever matches it";
    return MTASTS_OK;
}

static mtasts_err mtastsi_value_version(mtasts_lint *l)
{
    const char *v = l->body_ + l->value_;
    l->at_ = l->value_;
    if (l->len_ - l->value_ >= 5 && memcmp(v, "STSv1", 5) == 0) {
        l->at_ += 5;
        if (mtastsi_line_end(l->body_, l->len_, &l->at_))
            return MTASTS_OK;
    }
    l->at_ = l->value_;
    return MTASTS_ERR_POLICY_VERSION;
}

static mtasts_err mtastsi_value_mode(mtasts_lint *l)
{
    const char *v = l->body_ + l->value_;
    size_t n = 0, max = l->len_ - l->value_;
    int mode;
    while (n < max && (mtastsi_class(v[n]) & MTASTSI_LABEL))
        n++;
    l->at_ = l->value_ + n;
    mode = mtasts_mode_from_name(v, n);
    if (mode >= 0 && mtastsi_line_end(l->body_, l->len_, &l->at_)) {
        l->mode_ = (mtasts_mode)mode;
        return MTASTS_OK;
    }
    l->at_ = l->value_;
    if (n >= 3 && mtastsi_same_text(v, "enf", 3))
        l->note_ = "did you mean \"enforce\"?";
    else if (n >= 3 && mtastsi_same_text(v, "tes", 3))
        l->note_ = "did you mean \"testing\"?";
    else if (n >= 3 && mtastsi_same_text(v, "non", 3))
        l->note_ = "did you mean \"none\"?";
    return MTASTS_ERR_POLICY_MODE;
}

static mtasts_err mtastsi_value_max_age(mtasts_lint *l)
{
    const char *b = l->body_;
    size_t i = l->value_;
    uint64_t seconds = 0;
    for (; i < l->len_ && i - l->value_ < 11 && (mtastsi_class(b[i]) & MTASTSI_DIGIT); i++)
        seconds = seconds * 10 + (uint64_t)(b[i] - '0');
    l->at_ = i;
    if (i - l->value_ > 10)
        l->at_--;
    if (i == l->value_ || i - l->value_ > 10 || !mtastsi_line_end(b, l->len_, &l->at_)) {
        l->note_ = "write it in seconds, in digits";
        return MTASTS_ERR_POLICY_MAX_AGE;
    }
    if (seconds > MTASTS_MAX_AGE_MAX) {
        seconds = MTASTS_MAX_AGE_MAX;
        l->quirks_ |= MTASTS_QUIRK_MAX_AGE;
    }
    /* RFC 8461 8.3: a short one is right for taking a policy back */
    if (seconds < 604800 && (l->seen_ & MTASTSI_SEEN_MODE) && l->mode_ != MTASTS_MODE_NONE)
        l->note_ = "max_age is less than a week: the RFC expects weeks or more";
    l->max_age_ = (uint32_t)seconds;
    return MTASTS_OK;
}

/* Does the key look like one of RFC 8461's, wrongly written? */
static const char *mtastsi_key_hint(const char *key, size_t len)
{
    if (MTASTSI_LIKE(key, len, "version"))
        return "unknown key, ignored; did you mean \"version\"?";
    if (MTASTSI_LIKE(key, len, "mode"))
        return "unknown key, ignored; did you mean \"mode\"?";
    if (MTASTSI_LIKE(key, len, "mx"))
        return "unknown key, ignored; did you mean \"mx\"?";
    if (MTASTSI_LIKE(key, len, "max_age") || MTASTSI_LIKE(key, len, "max-age") ||
        MTASTSI_LIKE(key, len, "maxage"))
        return "unknown key, ignored; did you mean \"max_age\"?";
    return "unknown key, ignored";
}

/* A line with a key of RFC 8461, whose value begins at `at` or behind blanks. */
static mtasts_err mtastsi_policy_field(mtasts_lint *l, unsigned field, size_t at)
{
    unsigned seen = l->seen_;
    l->seen_ |= field;
    l->value_ = mtastsi_skip_blanks(l->body_, l->len_, at);
    if (field == MTASTSI_SEEN_MX)
        return mtastsi_value_mx(l);
    /* RFC 8461 3.2: of a field that may not be repeated "all entries except for the first SHALL be
     * ignored" */
    if (seen & field) {
        l->note_ = "given before: this line is ignored";
        l->at_ = mtastsi_next_line(l->body_, l->len_, l->value_);
        return MTASTS_OK;
    }
    return field == MTASTSI_SEEN_VERSION ? mtastsi_value_version(l)
           : field == MTASTSI_SEEN_MODE  ? mtastsi_value_mode(l)
                                         : mtastsi_value_max_age(l);
}

/* A line without a key: why, at l->at_. */
static mtasts_err mtastsi_policy_no_key(mtasts_lint *l)
{
    size_t next = mtastsi_next_line(l->body_, l->len_, l->at_);
    if (!memchr(l->body_ + l->at_, ':', next - l->at_))
        return MTASTS_ERR_POLICY_LINE;
    if (mtastsi_class(l->body_[l->at_]) & MTASTSI_BLANK)
        l->note_ = "no blanks before the colon";
    return MTASTS_ERR_POLICY_KEY;
}

/* A line with another key, at `key`, or with something that is none. */
static mtasts_err mtastsi_policy_other(mtasts_lint *l, size_t key)
{
    const char *b = l->body_;
    size_t i = key;
    while (i < l->len_ && (mtastsi_class(b[i]) & MTASTSI_KEY))
        i++;
    l->at_ = i;
    if (i == l->len_ || b[i] != ':')
        return mtastsi_policy_no_key(l);
    if (i == key || !(mtastsi_class(b[key]) & MTASTSI_ALNUM) || i - key > MTASTS_KEY_MAX) {
        l->at_ = i - key > MTASTS_KEY_MAX ? key + MTASTS_KEY_MAX : key;
        l->note_ = "1 to 32 letters, digits, \"_\", \"-\", \".\"; first a letter or a digit";
        return MTASTS_ERR_POLICY_KEY;
    }
    l->note_ = mtastsi_key_hint(b + key, i - key);
    l->value_ = mtastsi_skip_blanks(b, l->len_, i + 1);
    return mtastsi_value_other(l);
}

/* Is there this key at `at`, colon and all? */
#define MTASTSI_KEY_AT(l, at, key) \
    ((l)->len_ - (at) >= sizeof(key) - 1 && memcmp((l)->body_ + (at), (key), sizeof(key) - 1) == 0)

/* A line that has more than its end. */
static mtasts_err mtastsi_policy_text(mtasts_lint *l)
{
    size_t i = l->line_;
    if (!(mtastsi_class(l->body_[i]) & MTASTSI_ALNUM)) {
        if (mtastsi_line_end(l->body_, l->len_, &i)) {
            l->at_ = i;
            l->quirks_ = MTASTS_QUIRK_BLANK_LINE;
            return MTASTS_OK;
        }
        if (i > l->line_)
            l->quirks_ = MTASTS_QUIRK_INDENT;
    }
    if (MTASTSI_KEY_AT(l, i, "mx:"))
        return mtastsi_policy_field(l, MTASTSI_SEEN_MX, i + 3);
    if (MTASTSI_KEY_AT(l, i, "mode:"))
        return mtastsi_policy_field(l, MTASTSI_SEEN_MODE, i + 5);
    if (MTASTSI_KEY_AT(l, i, "version:"))
        return mtastsi_policy_field(l, MTASTSI_SEEN_VERSION, i + 8);
    if (MTASTSI_KEY_AT(l, i, "max_age:"))
        return mtastsi_policy_field(l, MTASTSI_SEEN_MAX_AGE, i + 8);
    return mtastsi_policy_other(l, i);
}

/* One line, from l->at_. Then l->at_ is the next one, or after an error the place of it. */
static mtasts_err mtastsi_policy_line(mtasts_lint *l)
{
    l->line_ = l->at_;
    l->quirks_ = 0;
    l->note_ = "";
    if (l->body_[l->at_] != '\n')
        return mtastsi_policy_text(l);
    l->at_++;
    l->quirks_ = MTASTS_QUIRK_BLANK_LINE;
    return MTASTS_OK;
}

/* What an otherwise good policy lacks, a bit each, as in l->seen_. */
static unsigned mtastsi_policy_missing(const mtasts_lint *l)
{
    unsigned all = MTASTSI_SEEN_VERSION | MTASTSI_SEEN_MODE | MTASTSI_SEEN_MAX_AGE;
    if (l->mode_ != MTASTS_MODE_NONE)
        all |= MTASTSI_SEEN_MX;
    return all & ~l->seen_;
}

static mtasts_err mtastsi_missing_error(unsigned missing)
{
    return missing & MTASTSI_SEEN_VERSION   ? MTASTS_ERR_POLICY_NO_VERSION
           : missing & MTASTSI_SEEN_MODE    ? MTASTS_ERR_POLICY_NO_MODE
           : missing & MTASTSI_SEEN_MAX_AGE ? MTASTS_ERR_POLICY_NO_MAX_AGE
                                            : MTASTS_ERR_POLICY_NO_MX;
}

/* The number of the line at l->line_. Counted only when somebody asks, and from where the last
 * counting ended, so that a good policy costs nothing and many findings are no quadratic work. */
static size_t mtastsi_line_number(mtasts_lint *l)
{
    size_t next;
    while ((next = mtastsi_next_line(l->body_, l->len_, l->numbered_)) <= l->line_ &&
           next > l->numbered_) {
        l->numbered_ = next;
        l->number_++;
    }
    return l->number_;
}

/* Something about the current line; or, at the end, about the line that is not there. */
static mtasts_err mtastsi_policy_say(mtasts_diag *diag, mtasts_lint *l, mtasts_err err,
                                     size_t offset, const char *text)
{
    mtastsi_say(diag, err, offset, text);
    if (diag && err != MTASTS_ERR_POLICY_SIZE) {
        if (offset && offset == l->len_ && l->body_[offset - 1] == '\n')
            l->line_ = offset;
        diag->line = mtastsi_line_number(l);
        diag->column = offset - (diag->line > 1 ? l->line_ : 0) + 1; /* a BOM counts */
    }
    return err;
}

/* Report the lowest of l->quirks_ and take it out. */
static mtasts_err mtastsi_policy_say_quirk(mtasts_diag *diag, mtasts_lint *l, mtasts_err err)
{
    unsigned quirk = l->quirks_ & ~(l->quirks_ - 1);
    size_t at = l->line_;
    if (quirk == MTASTS_QUIRK_TRAILING_DOT)
        at = l->stop_ - 1;
    else if (quirk == MTASTS_QUIRK_MAX_AGE)
        at = l->value_;
    else if (quirk == MTASTS_QUIRK_UNDERSCORE)
        for (at = l->value_; l->body_[at] != '_';)
            at++;
    l->quirks_ -= quirk;
    mtastsi_policy_say(diag, l, err, at, "");
    if (diag)
        diag->quirk = quirk;
    return err;
}

MTASTS_API void mtasts_lint_init(mtasts_lint *lint, const char *body, size_t len)
{
    memset(lint, 0, sizeof *lint);
    lint->body_ = body;
    lint->note_ = "";
    lint->len_ = body ? len : 0;
    lint->number_ = 1;
    lint->mode_ = MTASTS_MODE_ENFORCE; /* the one that needs most, until the policy says */
    if (lint->len_ > MTASTS_POLICY_MAX) {
        lint->at_ = lint->len_ = MTASTS_POLICY_MAX;
        lint->err_ = MTASTS_ERR_POLICY_SIZE;
        lint->seen_ = ~0u;
    } else if (mtastsi_bom(body, lint->len_)) {
        lint->at_ = 3;
        lint->quirks_ = MTASTS_QUIRK_BOM;
    }
}

MTASTS_API int mtasts_lint_next(mtasts_lint *lint, mtasts_diag *finding)
{
    unsigned missing;
    for (;;) {
        if (lint->quirks_) {
            mtastsi_policy_say_quirk(finding, lint, MTASTS_OK);
            return 1;
        }
        if (lint->err_) {
            mtastsi_policy_say(finding, lint, lint->err_, lint->at_, lint->note_);
            lint->err_ = MTASTS_OK;
            lint->note_ = "";
            lint->at_ = mtastsi_next_line(lint->body_, lint->len_, lint->at_);
            return 1;
        }
        if (*lint->note_) {
            mtastsi_policy_say(finding, lint, MTASTS_OK, lint->line_, lint->note_);
            lint->note_ = "";
            return 1;
        }
        if (lint->at_ == lint->len_)
            break;
        lint->err_ = mtastsi_policy_line(lint);
    }
    missing = mtastsi_policy_missing(lint);
    if (!missing) {
        mtastsi_say(finding, MTASTS_OK, lint->len_, "");
        return 0;
    }
    lint->seen_ |= missing & ~(missing - 1); /* said once */
    mtastsi_policy_say(finding, lint, mtastsi_missing_error(missing), lint->len_, "");
    return 1;
}

MTASTS_API mtasts_err mtasts_policy_parse(mtasts_policy *out, const char *body, size_t len,
                                          unsigned flags, mtasts_diag *diag)
{
    mtasts_lint l;
    mtasts_err err;
    unsigned quirks = 0, missing;
    if (out)
        memset(out, 0, sizeof *out);
    if (!out || (len && !body) || (flags & ~MTASTS_STRICT))
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    mtasts_lint_init(&l, body, len);
    err = l.err_;
    for (;;) {
        quirks |= l.quirks_;
        if (l.quirks_ && (flags & MTASTS_STRICT))
            return mtastsi_policy_say_quirk(diag, &l, MTASTS_ERR_POLICY_QUIRK);
        if (err)
            return mtastsi_policy_say(diag, &l, err, l.at_, l.note_);
        if (l.at_ == l.len_)
            break;
        err = mtastsi_policy_line(&l);
    }
    missing = mtastsi_policy_missing(&l);
    if (missing)
        return mtastsi_policy_say(diag, &l, mtastsi_missing_error(missing), len, "");
    out->mode = l.mode_;
    out->max_age = l.max_age_;
    out->mx_count = l.mx_count_;
    out->quirks = quirks;
    out->text.ptr = body;
    out->text.len = len;
    return mtastsi_say(diag, MTASTS_OK, len, "");
}

MTASTS_API int mtasts_policy_next_mx(const mtasts_policy *policy, size_t *cursor,
                                     mtasts_str *pattern)
{
    const char *b = policy->text.ptr;
    size_t len = b ? policy->text.len : 0, next;
    pattern->ptr = NULL;
    pattern->len = 0;
    if (!*cursor)
        *cursor = mtastsi_bom(b, len);
    for (; *cursor < len; *cursor = next) {
        size_t i = mtastsi_skip_blanks(b, len, *cursor);
        next = mtastsi_next_line(b, len, i);
        if (next - i < 3 || memcmp(b + i, "mx:", 3) != 0)
            continue;
        i = mtastsi_skip_blanks(b, next, i + 3);
        *cursor = next;
        while (next > i && !(mtastsi_class(b[next - 1]) & MTASTSI_LABEL))
            next--;
        pattern->ptr = b + i;
        pattern->len = next - i;
        return 1;
    }
    return 0;
}

MTASTS_API int mtasts_policy_next_line(const mtasts_policy *policy, size_t *cursor,
                                       mtasts_str *line)
{
    const char *b = policy->text.ptr;
    size_t at = *cursor, next;
    line->ptr = NULL;
    line->len = 0;
    if (!b || at >= policy->text.len)
        return 0;
    next = mtastsi_next_line(b, policy->text.len, at);
    *cursor = next;
    line->ptr = b + at;
    if (b[next - 1] == '\n') {
        next--;
        if (next > at && b[next - 1] == '\r')
            next--;
    }
    line->len = next - at;
    return 1;
}

MTASTS_API const char *mtasts_mode_name(int mode)
{
    return mode == MTASTS_MODE_ENFORCE   ? "enforce"
           : mode == MTASTS_MODE_TESTING ? "testing"
           : mode == MTASTS_MODE_NONE    ? "none"
                                         : "UNKNOWN";
}

MTASTS_API int mtasts_mode_from_name(const char *name, size_t len)
{
    if (!name)
        return -1;
    return MTASTSI_IS(name, len, "enforce")   ? (int)MTASTS_MODE_ENFORCE
           : MTASTSI_IS(name, len, "testing") ? (int)MTASTS_MODE_TESTING
           : MTASTSI_IS(name, len, "none")    ? (int)MTASTS_MODE_NONE
                                              : -1;
}

/* ==== 6 Policy writer ==================================================================== */

/* One mx as given by a domain owner: how long it is without a trailing dot. */
static mtasts_err mtastsi_mx_check(mtasts_str mx, size_t number, size_t *len, mtasts_diag *diag)
{
    mtasts_diag inner;
    size_t star;
    if (!mx.ptr)
        return mtastsi_say_in(diag, MTASTS_ERR_POLICY_MX, number, 0,
                              mtasts_strerror(MTASTS_ERR_NAME_EMPTY));
    star = mx.len >= 2 && mx.ptr[0] == '*' && mx.ptr[1] == '.' ? 2 : 0;
    if (mtasts_name_normalise(NULL, mx.ptr + star, mx.len - star, &inner))
        return mtastsi_say_in(diag, MTASTS_ERR_POLICY_MX, number, star + inner.offset,
                              mtasts_strerror((int)inner.err));
    if (memchr(mx.ptr, '_', mx.len))
        return mtastsi_say_in(diag, MTASTS_ERR_POLICY_MX, number,
                              (size_t)((const char *)memchr(mx.ptr, '_', mx.len) - mx.ptr),
                              "an underscore: some senders refuse the policy for it");
    *len = mx.len - (mx.ptr[mx.len - 1] == '.');
    return MTASTS_OK;
}

static mtasts_err mtastsi_head_error(int mode, uint32_t max_age)
{
    if (mode < MTASTS_MODE_NONE || mode > MTASTS_MODE_ENFORCE)
        return MTASTS_ERR_POLICY_MODE;
    return max_age > MTASTS_MAX_AGE_MAX ? MTASTS_ERR_POLICY_MAX_AGE : MTASTS_OK;
}

static void mtastsi_put_head(mtastsi_out *o, int mode)
{
    mtastsi_put(o, "version: STSv1\r\nmode: ");
    mtastsi_put(o, mtasts_mode_name(mode));
    mtastsi_put(o, "\r\n");
}

static void mtastsi_put_mx(mtastsi_out *o, const char *mx, size_t len)
{
    mtastsi_put(o, "mx: ");
    mtastsi_put_name(o, mx, len);
    mtastsi_put(o, "\r\n");
}

/* The last line, and the check that others will read all of it. */
static mtasts_err mtastsi_put_max_age(mtastsi_out *o, uint32_t max_age, size_t *len)
{
    mtastsi_put(o, "max_age: ");
    mtastsi_put_number(o, max_age);
    mtastsi_put(o, "\r\n");
    if (o->len <= MTASTS_POLICY_MAX)
        return mtastsi_put_all(o, len);
    mtastsi_put_nothing(o);
    *len = 0;
    return MTASTS_ERR_POLICY_SIZE;
}

MTASTS_API mtasts_err mtasts_policy_compose(char *out, size_t cap, size_t *len, int mode,
                                            uint32_t max_age, const mtasts_str *mx, size_t count,
                                            mtasts_diag *diag)
{
    mtastsi_out o = {out, cap, 0};
    size_t i, name;
    mtasts_err err;
    *len = 0;
    mtastsi_put_nothing(&o);
    if (count && !mx)
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    err = mtastsi_head_error(mode, max_age);
    if (err)
        return mtastsi_say(diag, err, 0,
                           err == MTASTS_ERR_POLICY_MODE ? "" : "it is more than 31557600");
    if (!count && mode != MTASTS_MODE_NONE)
        return mtastsi_say(diag, MTASTS_ERR_POLICY_NO_MX, 0, "");
    mtastsi_put_head(&o, mode);
    for (i = 0; i < count; i++) {
        if (mtastsi_mx_check(mx[i], i + 1, &name, diag)) {
            mtastsi_put_nothing(&o);
            return MTASTS_ERR_POLICY_MX;
        }
        mtastsi_put_mx(&o, mx[i].ptr, name);
        if (o.len > MTASTS_POLICY_MAX)
            break; /* others will not read it: told below */
    }
    return mtastsi_say(diag, mtastsi_put_max_age(&o, max_age, len), 0, "");
}

MTASTS_API mtasts_err mtasts_policy_write(char *out, size_t cap, size_t *len,
                                          const mtasts_policy *policy)
{
    mtastsi_out o = {out, cap, 0};
    mtasts_str mx;
    size_t cursor = 0;
    *len = 0;
    mtastsi_put_nothing(&o);
    if (mtastsi_head_error((int)policy->mode, policy->max_age))
        return MTASTS_ERR_USAGE;
    mtastsi_put_head(&o, (int)policy->mode);
    while (mtasts_policy_next_mx(policy, &cursor, &mx))
        mtastsi_put_mx(&o, mx.ptr, mx.len);
    return mtastsi_put_max_age(&o, policy->max_age, len);
}

MTASTS_API mtasts_err mtasts_record_write(char *out, size_t cap, size_t *len, const char *id,
                                          size_t id_len)
{
    mtastsi_out o = {out, cap, 0};
    size_t i;
    *len = 0;
    mtastsi_put_nothing(&o);
    for (i = 0; i < id_len && id && (mtastsi_class(id[i]) & MTASTSI_ALNUM); i++)
        ;
    if (!i || i < id_len || id_len > MTASTS_ID_MAX)
        return MTASTS_ERR_RECORD_ID;
    mtastsi_put(&o, "v=STSv1; id=");
    for (i = 0; i < id_len; i++)
        mtastsi_put_char(&o, id[i]);
    mtastsi_put(&o, ";");
    return mtastsi_put_all(&o, len);
}

/* ==== 7 HTTPS exchange =================================================================== */

static mtasts_err mtastsi_prefixed(char *out, const char *prefix, const char *domain, size_t len,
                                   mtasts_diag *diag)
{
    char name[MTASTS_NAME_SIZE];
    mtastsi_out o = {out, MTASTS_NAME_SIZE, 0};
    mtasts_err err = mtasts_name_normalise(name, domain, len, diag);
    mtastsi_put_nothing(&o);
    if (err)
        return err;
    mtastsi_put(&o, prefix);
    mtastsi_put(&o, name);
    if (mtastsi_put_end(&o) <= MTASTS_NAME_MAX)
        return MTASTS_OK;
    mtastsi_put_nothing(&o);
    return mtastsi_say(diag, MTASTS_ERR_NAME_LONG, len, "with the label that MTA-STS puts first");
}

MTASTS_API mtasts_err mtasts_txt_name(char *out, const char *domain, size_t len, mtasts_diag *diag)
{
    return mtastsi_prefixed(out, "_mta-sts.", domain, len, diag);
}

MTASTS_API mtasts_err mtasts_policy_host(char *out, const char *domain, size_t len,
                                         mtasts_diag *diag)
{
    return mtastsi_prefixed(out, "mta-sts.", domain, len, diag);
}

MTASTS_API mtasts_err mtasts_policy_url(char *out, const char *domain, size_t len,
                                        mtasts_diag *diag)
{
    char host[MTASTS_NAME_SIZE];
    mtastsi_out o = {out, MTASTS_URL_SIZE, 0};
    mtasts_err err = mtasts_policy_host(host, domain, len, diag);
    mtastsi_put_nothing(&o);
    if (err)
        return err;
    mtastsi_put(&o, "https://");
    mtastsi_put(&o, host);
    mtastsi_put(&o, "/.well-known/mta-sts.txt");
    mtastsi_put_end(&o);
    return MTASTS_OK;
}

MTASTS_API mtasts_err mtasts_http_request(char *out, size_t cap, size_t *len, const char *domain,
                                          size_t domain_len, const char *user_agent,
                                          mtasts_diag *diag)
{
    char host[MTASTS_NAME_SIZE];
    mtastsi_out o = {out, cap, 0};
    mtasts_err err = mtasts_policy_host(host, domain, domain_len, diag);
    const char *c;
    *len = 0;
    mtastsi_put_nothing(&o);
    if (err)
        return err;
    if (!user_agent)
        user_agent = "mtasts.h";
    for (c = user_agent; *c; c++)
        if (!(mtastsi_class(*c) & MTASTSI_PRINT))
            return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "user_agent is not printable ASCII");
    mtastsi_put(&o, "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: ");
    mtastsi_put(&o, host);
    mtastsi_put(&o, "\r\nUser-Agent: ");
    mtastsi_put(&o, user_agent);
    /* RFC 9110 12.5.3: without this a server may choose any content coding */
    mtastsi_put(&o, "\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n");
    return mtastsi_say(diag, mtastsi_put_all(&o, len), domain_len, "");
}

enum {
    /* states; those up to MTASTSI_HTTP_LINES read lines */
    MTASTSI_HTTP_STATUS,
    MTASTSI_HTTP_FIELDS,
    MTASTSI_HTTP_CHUNK_SIZE,
    MTASTSI_HTTP_CHUNK_END,
    MTASTSI_HTTP_TRAILER,
    MTASTSI_HTTP_LINES = MTASTSI_HTTP_TRAILER,
    MTASTSI_HTTP_SIZED, /* left_ octets of body, by Content-Length */
    MTASTSI_HTTP_CHUNK, /* left_ octets of a chunk */
    MTASTSI_HTTP_TO_END,
    MTASTSI_HTTP_DONE,
    /* flags */
    MTASTSI_HTTP_INTERIM = 1, /* the head is that of a 1xx response */
    MTASTSI_HTTP_LENGTH = 2,
    MTASTSI_HTTP_CHUNKED = 4,
    MTASTSI_HTTP_TYPE = 8,
    MTASTSI_HTTP_CR = 16, /* the line's last octet was CR */
    MTASTSI_HTTP_1_0 = 32
};

MTASTS_API void mtasts_http_init(mtasts_http *http, char *body, size_t cap)
{
    memset(http, 0, sizeof *http);
    http->body = body;
    http->cap_ = !body ? 0 : cap < MTASTS_POLICY_MAX ? cap : MTASTS_POLICY_MAX;
}

static mtasts_err mtastsi_http_status_error(int status)
{
    return status == 200                    ? MTASTS_OK
           : status >= 300 && status <= 399 ? MTASTS_ERR_HTTP_REDIRECT
                                            : MTASTS_ERR_HTTP_STATUS;
}

/* RFC 9112 4: HTTP-version SP status-code SP [reason-phrase], the last blank often forgotten */
static mtasts_err mtastsi_http_status(mtasts_http *h)
{
    const char *l = h->line_;
    size_t i;
    int status = 0;
    if (h->line_len_ < 12 || memcmp(l, "HTTP/1.", 7) != 0 || l[8] != ' ' ||
        !(mtastsi_class(l[7]) & MTASTSI_DIGIT) || (h->line_len_ > 12 && l[12] != ' '))
        return MTASTS_ERR_HTTP_SYNTAX;
    for (i = 9; i < 12; i++) {
        if (!(mtastsi_class(l[i]) & MTASTSI_DIGIT))
            return MTASTS_ERR_HTTP_SYNTAX;
        status = status * 10 + (l[i] - '0');
    }
    h->status = status;
    h->flags_ = l[7] == '0' ? MTASTSI_HTTP_1_0 : 0;
    h->state_ = MTASTSI_HTTP_FIELDS;
    if (status >= 100 && status <= 199 && status != 101) {
        h->flags_ |= MTASTSI_HTTP_INTERIM;
        return MTASTS_OK;
    }
    return mtastsi_http_status_error(status);
}

/* RFC 9112 6.3: a message whose length is in doubt is refused */
static mtasts_err mtastsi_http_length(mtasts_http *h, const char *value, size_t len)
{
    size_t i, n = 0;
    for (i = 0; i < len && (mtastsi_class(value[i]) & MTASTSI_DIGIT); i++)
        if (n <= MTASTS_POLICY_MAX)
            n = n * 10 + (size_t)(value[i] - '0');
    if (!i || i < len || ((h->flags_ & MTASTSI_HTTP_LENGTH) && n != h->left_))
        return MTASTS_ERR_HTTP_FRAMING;
    h->flags_ |= MTASTSI_HTTP_LENGTH;
    h->left_ = n;
    return n > h->cap_ ? MTASTS_ERR_HTTP_BODY_SIZE : MTASTS_OK;
}

static mtasts_err mtastsi_http_field_value(mtasts_http *h, size_t name, const char *value,
                                           size_t len)
{
    mtasts_err err = MTASTS_OK;
    if (MTASTSI_LIKE(h->line_, name, "content-length")) {
        err = mtastsi_http_length(h, value, len);
    } else if (MTASTSI_LIKE(h->line_, name, "transfer-encoding")) {
        if (!MTASTSI_LIKE(value, len, "chunked") || (h->flags_ & MTASTSI_HTTP_CHUNKED))
            err = MTASTS_ERR_HTTP_FRAMING;
        h->flags_ |= MTASTSI_HTTP_CHUNKED;
    } else if (MTASTSI_LIKE(h->line_, name, "content-type")) {
        if (!mtasts_media_type_ok(value, len))
            err = MTASTS_ERR_HTTP_MEDIA_TYPE;
        h->flags_ |= MTASTSI_HTTP_TYPE;
    } else if (MTASTSI_LIKE(h->line_, name, "content-encoding")) {
        if (!MTASTSI_LIKE(value, len, "identity"))
            err = MTASTS_ERR_HTTP_CODING;
    } else {
        return MTASTS_OK;
    }
    return h->line_len_ > MTASTS_HTTP_LINE_MAX ? MTASTS_ERR_HTTP_HEAD_SIZE : err;
}

/* How much of the line there is in h->line_. */
static size_t mtastsi_http_stored(const mtasts_http *h)
{
    return h->line_len_ < MTASTS_HTTP_LINE_MAX ? h->line_len_ : MTASTS_HTTP_LINE_MAX;
}

/* A line of the head or the trailer that is not empty. */
static mtasts_err mtastsi_http_field(mtasts_http *h)
{
    size_t len = mtastsi_http_stored(h), name = 0, value;
    if (++h->fields_ > MTASTS_HTTP_FIELDS_MAX)
        return MTASTS_ERR_HTTP_HEAD_SIZE;
    while (name < len && h->line_[name] != ':' && !(mtastsi_class(h->line_[name]) & MTASTSI_BLANK))
        name++;
    if (!name || name == len || h->line_[name] != ':')
        return MTASTS_ERR_HTTP_SYNTAX;
    if (h->state_ == MTASTSI_HTTP_TRAILER || (h->flags_ & MTASTSI_HTTP_INTERIM))
        return MTASTS_OK;
    value = mtastsi_skip_blanks(h->line_, len, name + 1);
    while (len > value && (mtastsi_class(h->line_[len - 1]) & MTASTSI_BLANK))
        len--;
    return mtastsi_http_field_value(h, name, h->line_ + value, len - value);
}

/* The empty line after a head. */
static mtasts_err mtastsi_http_head_end(mtasts_http *h)
{
    unsigned framing = h->flags_ & (MTASTSI_HTTP_LENGTH | MTASTSI_HTTP_CHUNKED);
    if (h->flags_ & MTASTSI_HTTP_INTERIM) {
        h->state_ = MTASTSI_HTTP_STATUS;
        return MTASTS_OK;
    }
    if (!(h->flags_ & MTASTSI_HTTP_TYPE))
        return MTASTS_ERR_HTTP_MEDIA_TYPE;
    if (framing == (MTASTSI_HTTP_LENGTH | MTASTSI_HTTP_CHUNKED) ||
        (framing == MTASTSI_HTTP_CHUNKED && (h->flags_ & MTASTSI_HTTP_1_0)))
        return MTASTS_ERR_HTTP_FRAMING;
    h->state_ = framing == MTASTSI_HTTP_CHUNKED  ? MTASTSI_HTTP_CHUNK_SIZE
                : framing != MTASTSI_HTTP_LENGTH ? MTASTSI_HTTP_TO_END
                : h->left_                       ? MTASTSI_HTTP_SIZED
                                                 : MTASTSI_HTTP_DONE;
    return MTASTS_OK;
}

/* RFC 9112 7.1: chunk-size [chunk-ext] */
static mtasts_err mtastsi_http_chunk_size(mtasts_http *h)
{
    size_t len = mtastsi_http_stored(h), i, size = 0;
    for (i = 0; i < len; i++) {
        char c = mtastsi_lower(h->line_[i]);
        if (mtastsi_class(c) & MTASTSI_DIGIT)
            size = size * 16 + (size_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            size = size * 16 + (size_t)(c - 'a') + 10;
        else
            break;
        if (size > h->cap_ - h->body_len)
            return MTASTS_ERR_HTTP_BODY_SIZE;
    }
    if (!i)
        return MTASTS_ERR_HTTP_FRAMING;
    i = mtastsi_skip_blanks(h->line_, len, i);
    if (i < len ? h->line_[i] != ';' : h->line_len_ > len)
        return MTASTS_ERR_HTTP_FRAMING;
    h->left_ = size;
    h->state_ = size ? MTASTSI_HTTP_CHUNK : MTASTSI_HTTP_TRAILER;
    return MTASTS_OK;
}

static mtasts_err mtastsi_http_line(mtasts_http *h)
{
    switch (h->state_) {
    case MTASTSI_HTTP_STATUS:
        return mtastsi_http_status(h);
    case MTASTSI_HTTP_FIELDS:
        return h->line_len_ ? mtastsi_http_field(h) : mtastsi_http_head_end(h);
    case MTASTSI_HTTP_CHUNK_SIZE:
        return mtastsi_http_chunk_size(h);
    case MTASTSI_HTTP_CHUNK_END:
        h->state_ = MTASTSI_HTTP_CHUNK_SIZE;
        return h->line_len_ ? MTASTS_ERR_HTTP_FRAMING : MTASTS_OK;
    default:
        if (h->line_len_)
            return mtastsi_http_field(h);
        h->state_ = MTASTSI_HTTP_DONE;
        return MTASTS_OK;
    }
}

/* One octet of a line. A bare LF ends a line too (RFC 9112 2.2); a CR must stand before LF. */
static mtasts_err mtastsi_http_line_octet(mtasts_http *h, char c)
{
    if (++h->overhead_ > MTASTS_HTTP_OVERHEAD_MAX)
        return MTASTS_ERR_HTTP_HEAD_SIZE;
    if (c == '\n') {
        mtasts_err err = mtastsi_http_line(h);
        h->flags_ &= ~(unsigned)MTASTSI_HTTP_CR;
        if (!err) {
            h->lines_++;
            h->line_len_ = 0;
        }
        return err;
    }
    if ((h->flags_ & MTASTSI_HTTP_CR) || (c != '\r' && c != '\t' && (unsigned char)c < ' ') ||
        c == 0x7f)
        return MTASTS_ERR_HTTP_SYNTAX;
    if (c == '\r') {
        h->flags_ |= MTASTSI_HTTP_CR;
        return MTASTS_OK;
    }
    if (h->line_len_ < MTASTS_HTTP_LINE_MAX)
        h->line_[h->line_len_] = c;
    h->line_len_++;
    return MTASTS_OK;
}

/* Some octets of body; how many of them were taken. */
static size_t mtastsi_http_body(mtasts_http *h, const char *data, size_t len)
{
    size_t space = h->cap_ - h->body_len;
    if (h->state_ != MTASTSI_HTTP_TO_END && len > h->left_)
        len = h->left_;
    if (!space) {
        h->err_ = MTASTS_ERR_HTTP_BODY_SIZE; /* only until close: other lengths are checked ahead */
        return 0;
    }
    if (len > space)
        len = space;
    memcpy(h->body + h->body_len, data, len);
    h->body_len += len;
    h->offset_ += len;
    if (h->state_ == MTASTSI_HTTP_TO_END)
        return len;
    h->left_ -= len;
    if (!h->left_)
        h->state_ = h->state_ == MTASTSI_HTTP_CHUNK ? MTASTSI_HTTP_CHUNK_END : MTASTSI_HTTP_DONE;
    return len;
}

static mtasts_err mtastsi_http_say(const mtasts_http *h, mtasts_err err, mtasts_diag *diag)
{
    mtastsi_say(diag, err, h->offset_, "");
    if (diag && err && h->state_ <= MTASTSI_HTTP_LINES) {
        diag->line = h->lines_ + 1;
        diag->column = h->line_len_ + 1;
    }
    return err;
}

MTASTS_API mtasts_err mtasts_http_feed(mtasts_http *http, const char *data, size_t len,
                                       mtasts_diag *diag)
{
    size_t i = 0;
    if (len && !data)
        return mtastsi_say(diag, MTASTS_ERR_USAGE, http->offset_, "");
    while (i < len && !http->err_ && http->state_ != MTASTSI_HTTP_DONE) {
        if (http->state_ <= MTASTSI_HTTP_LINES) {
            http->err_ = mtastsi_http_line_octet(http, data[i++]);
            http->offset_ += !http->err_;
        } else {
            i += mtastsi_http_body(http, data + i, len - i);
        }
    }
    if (http->err_)
        return mtastsi_http_say(http, http->err_, diag);
    return mtastsi_http_say(http, http->state_ == MTASTSI_HTTP_DONE ? MTASTS_OK : MTASTS_MORE,
                            diag);
}

MTASTS_API mtasts_err mtasts_http_end(mtasts_http *http, int clean, mtasts_diag *diag)
{
    if (!http->err_ && http->state_ == MTASTSI_HTTP_TO_END && clean)
        http->state_ = MTASTSI_HTTP_DONE;
    if (!http->err_ && http->state_ != MTASTSI_HTTP_DONE)
        http->err_ = MTASTS_ERR_HTTP_INCOMPLETE;
    return mtastsi_http_say(http, http->err_, diag);
}

MTASTS_API mtasts_err mtasts_http_check(int status, mtasts_str content_type,
                                        mtasts_str content_encoding, size_t body_len, int complete)
{
    mtasts_err err = mtastsi_http_status_error(status);
    if (err)
        return err;
    if (!mtasts_media_type_ok(content_type.ptr, content_type.len))
        return MTASTS_ERR_HTTP_MEDIA_TYPE;
    if (content_encoding.ptr ? !MTASTSI_LIKE(content_encoding.ptr, content_encoding.len, "identity")
                             : content_encoding.len != 0)
        return MTASTS_ERR_HTTP_CODING;
    if (body_len > MTASTS_POLICY_MAX)
        return MTASTS_ERR_HTTP_BODY_SIZE;
    return complete ? MTASTS_OK : MTASTS_ERR_HTTP_INCOMPLETE;
}

MTASTS_API int mtasts_media_type_ok(const char *value, size_t len)
{
    size_t i;
    if (!value)
        return 0;
    i = mtastsi_skip_blanks(value, len, 0);
    if (len - i < 10 || !mtastsi_same_text(value + i, "text/plain", 10))
        return 0;
    i = mtastsi_skip_blanks(value, len, i + 10);
    return i == len || value[i] == ';';
}

/* Is an address in none of these blocks? Of a block: its first four octets, and how many leading
 * bits count. */
static int mtastsi_outside(const unsigned char *a, const unsigned char blocks[][5], size_t count)
{
    size_t i, octet;
    for (i = 0; i < count; i++) {
        unsigned bits = blocks[i][4], differ = 0;
        for (octet = 0; bits; octet++) {
            unsigned n = bits < 8 ? bits : 8;
            differ |= (unsigned)(a[octet] ^ blocks[i][octet]) >> (8 - n);
            bits -= n;
        }
        if (!differ)
            return 0;
    }
    return 1;
}

MTASTS_API int mtasts_address_is_public(const unsigned char *address, size_t len)
{
    /* the IANA special-purpose registries; the second for what is in 2000::/3 */
    static const unsigned char v4[][5] = {
        {0, 0, 0, 0, 8},      {10, 0, 0, 0, 8},     {100, 64, 0, 0, 10}, {127, 0, 0, 0, 8},
        {169, 254, 0, 0, 16}, {172, 16, 0, 0, 12},  {192, 0, 0, 0, 24},  {192, 0, 2, 0, 24},
        {192, 88, 99, 0, 24}, {192, 168, 0, 0, 16}, {198, 18, 0, 0, 15}, {198, 51, 100, 0, 24},
        {203, 0, 113, 0, 24}, {224, 0, 0, 0, 4},    {240, 0, 0, 0, 4}};
    static const unsigned char v6[][5] = {{0x20, 0x01, 0, 0, 23},       /* protocols, Teredo */
                                          {0x20, 0x01, 0x0d, 0xb8, 32}, /* documentation */
                                          {0x20, 0x02, 0, 0, 16},       /* 6to4 */
                                          {0x3f, 0xff, 0, 0, 20}};      /* documentation */
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
    const unsigned char *a = address;
    if (a && len == 16 && memcmp(a, nat64, 12) == 0) {
        a += 12;
        len = 4;
    }
    if (a && len == 4)
        return mtastsi_outside(a, v4, sizeof v4 / sizeof v4[0]);
    return a && len == 16 && (a[0] & 0xe0) == 0x20 &&
           mtastsi_outside(a, v6, sizeof v6 / sizeof v6[0]);
}

/* ==== 8 MX match ========================================================================= */

/* One pattern, which may be a bare name, against a host name of known form. */
static int mtastsi_pattern_matches(const char *pattern, size_t len, const char *host,
                                   size_t host_len)
{
    const char *dot;
    if (len >= 2 && pattern[0] == '*') {
        dot = (const char *)memchr(host, '.', host_len);
        if (!dot)
            return 0;
        pattern++;
        len--;
        host_len -= (size_t)(dot - host);
        host = dot;
    }
    return len == host_len && mtastsi_same_text(pattern, host, len);
}

/* A pattern is a name, behind "*." or not; its length without a trailing dot, 0 if it is none. */
static size_t mtastsi_pattern_len(const char *pattern, size_t len)
{
    size_t star, n;
    if (!pattern)
        return 0;
    star = len >= 2 && pattern[0] == '*' && pattern[1] == '.' ? 2 : 0;
    n = mtastsi_host_len(pattern + star, len - star);
    return n ? n + star : 0;
}

MTASTS_API int mtasts_mx_matches(const char *pattern, size_t pattern_len, const char *host,
                                 size_t host_len)
{
    size_t n = mtastsi_host_len(host, host_len);
    size_t m = mtastsi_pattern_len(pattern, pattern_len);
    return n && m && mtastsi_pattern_matches(pattern, m, host, n);
}

MTASTS_API int mtasts_policy_find(const mtasts_policy *policy, const char *host, size_t len,
                                  mtasts_str *pattern)
{
    mtasts_str mx = {NULL, 0};
    size_t cursor = 0, n = mtastsi_host_len(host, len);
    int found = 0;
    while (policy && n && !found && mtasts_policy_next_mx(policy, &cursor, &mx))
        found = mtastsi_pattern_matches(mx.ptr, mx.len, host, n);
    if (pattern) /* {NULL, 0} when the iteration has ended */
        *pattern = mx;
    return found;
}

MTASTS_API int mtasts_policy_matches(const mtasts_policy *policy, const char *host, size_t len)
{
    return mtasts_policy_find(policy, host, len, NULL);
}

/* ==== 9 Certificate names ================================================================ */

MTASTS_API int mtasts_cert_name_matches(const char *presented, size_t presented_len,
                                        const char *host, size_t host_len)
{
    size_t n = mtastsi_host_len(host, host_len);
    size_t m = mtastsi_pattern_len(presented, presented_len);
    if (!n || !m || m != presented_len) /* a trailing dot on the presented name */
        return 0;
    if (m >= 2 && presented[0] == '*' && !memchr(presented + 2, '.', m - 2))
        return 0; /* RFC 9525 6.3 leaves "*.com" to us */
    return mtastsi_pattern_matches(presented, m, host, n);
}

MTASTS_API int mtasts_cert_matches(const mtasts_str *dns_names, size_t count, const char *host,
                                   size_t host_len)
{
    size_t i;
    for (i = 0; dns_names && i < count; i++)
        if (mtasts_cert_name_matches(dns_names[i].ptr, dns_names[i].len, host, host_len))
            return 1;
    return 0;
}

/* Elements of DER, between `at` and `end` of one certificate. */
typedef struct mtastsi_der {
    const unsigned char *p;
    size_t at, end;
} mtastsi_der;

/* The next element: its tag, and where its content lies. 0: there is none, or it is malformed.
 * A length with more octets than it needs passes, as it does with TLS libraries: to read other
 * names than they do would be worse. */
static int mtastsi_der_next(mtastsi_der *d, unsigned *tag, mtastsi_der *content)
{
    size_t i = d->at, n;
    if (d->end - i < 2)
        return 0;
    *tag = d->p[i++];
    n = d->p[i++];
    if (n & 0x80) {
        size_t octets = n & 0x7f;
        if (!octets || octets > 4 || octets > d->end - i)
            return 0;
        for (n = 0; octets; octets--)
            n = n << 8 | d->p[i++];
    }
    if (n > d->end - i || (*tag & 0x1f) == 0x1f)
        return 0;
    content->p = d->p;
    content->at = i;
    content->end = d->at = i + n;
    return 1;
}

/* The next element, which must have this tag. */
static int mtastsi_der_enter(mtastsi_der *d, unsigned tag, mtastsi_der *content)
{
    mtastsi_der look = *d;
    unsigned found;
    if (!mtastsi_der_next(&look, &found, content) || found != tag)
        return 0;
    d->at = look.at;
    return 1;
}

/* From a TBSCertificate to its extensions: empty if there are none; 0: malformed. */
static int mtastsi_der_extensions(mtastsi_der *tbs, mtastsi_der *extensions)
{
    /* serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo */
    static const unsigned char fields[] = {0x02, 0x30, 0x30, 0x30, 0x30, 0x30};
    mtastsi_der skip, explicit_tag;
    size_t i;
    unsigned tag;
    mtastsi_der_enter(tbs, 0xa0, &skip); /* version */
    for (i = 0; i < sizeof fields; i++)
        if (!mtastsi_der_enter(tbs, fields[i], &skip))
            return 0;
    extensions->p = tbs->p;
    extensions->at = extensions->end = tbs->at;
    while (tbs->at < tbs->end) {
        skip.at = tbs->at;
        if (!mtastsi_der_next(tbs, &tag, &explicit_tag))
            return 0;
        if (tag == 0x81 || tag == 0x82) /* the unique identifiers */
            continue;
        if (tag == 0xa3 && tbs->at == tbs->end &&
            mtastsi_der_enter(&explicit_tag, 0x30, extensions) &&
            explicit_tag.at == explicit_tag.end)
            return 1;
        tbs->at = skip.at;
        return 0;
    }
    return 1;
}

/* One extension; if it is subjectAltName, `names` becomes its content. 1: it is; 0: another; -1:
 * malformed. */
static int mtastsi_der_alt_names(mtastsi_der *extension, mtastsi_der *names)
{
    mtastsi_der oid, value, skip;
    unsigned tag;
    if (!mtastsi_der_enter(extension, 0x06, &oid))
        return -1;
    mtastsi_der_enter(extension, 0x01, &skip); /* critical */
    if (!mtastsi_der_enter(extension, 0x04, &value) || extension->at != extension->end)
        return -1;
    if (oid.end - oid.at != 3 || memcmp(oid.p + oid.at, "\x55\x1d\x11", 3) != 0)
        return 0;
    extension->at = value.at; /* where an error will be */
    if (!mtastsi_der_enter(&value, 0x30, names) || value.at != value.end)
        return -1;
    for (value = *names; value.at < value.end;) {
        extension->at = value.at;
        if (!mtastsi_der_next(&value, &tag, &skip))
            return -1;
    }
    return 1;
}

MTASTS_API mtasts_err mtasts_cert_der_names(const unsigned char *der, size_t len, mtasts_str *names,
                                            mtasts_diag *diag)
{
    mtastsi_der file, cert, tbs, extensions, extension, found;
    int seen = 0;
    names->ptr = NULL;
    names->len = 0;
    if (len && !der)
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    file.p = der;
    file.at = 0;
    file.end = len;
    if (!mtastsi_der_enter(&file, 0x30, &cert) || file.at != file.end)
        return mtastsi_say(diag, MTASTS_ERR_CERT_DER, file.at,
                           "no certificate, or something after it");
    if (!mtastsi_der_enter(&cert, 0x30, &tbs))
        return mtastsi_say(diag, MTASTS_ERR_CERT_DER, cert.at, "no TBSCertificate");
    if (!mtastsi_der_extensions(&tbs, &extensions))
        return mtastsi_say(diag, MTASTS_ERR_CERT_DER, tbs.at, "in the TBSCertificate");
    while (extensions.at < extensions.end) {
        int is;
        if (!mtastsi_der_enter(&extensions, 0x30, &extension))
            return mtastsi_say(diag, MTASTS_ERR_CERT_DER, extensions.at, "in the extensions");
        is = mtastsi_der_alt_names(&extension, &found);
        if (is < 0)
            return mtastsi_say(diag, MTASTS_ERR_CERT_DER, extension.at, "in an extension");
        if (is && seen)
            return mtastsi_say(diag, MTASTS_ERR_CERT_DER, found.at, "a second subjectAltName");
        if (is) {
            seen = 1;
            cert = found;
        }
    }
    if (seen && cert.end > cert.at) {
        names->ptr = (const char *)der + cert.at;
        names->len = cert.end - cert.at;
    }
    return mtastsi_say(diag, MTASTS_OK, len, "");
}

MTASTS_API int mtasts_cert_next_name(mtasts_str names, size_t *cursor, mtasts_str *name)
{
    mtastsi_der list, content;
    unsigned tag;
    list.p = (const unsigned char *)names.ptr;
    list.end = names.ptr ? names.len : 0;
    list.at = *cursor < list.end ? *cursor : list.end;
    name->ptr = NULL;
    name->len = 0;
    while (mtastsi_der_next(&list, &tag, &content)) {
        *cursor = list.at;
        if (tag == 0x82) { /* [2] dNSName */
            name->ptr = names.ptr + content.at;
            name->len = content.end - content.at;
            return 1;
        }
    }
    *cursor = list.end;
    return 0;
}

MTASTS_API mtasts_err mtasts_cert_der_matches(const unsigned char *der, size_t len,
                                              const char *host, size_t host_len, int *matches)
{
    mtasts_str names, name;
    size_t cursor = 0;
    mtasts_err err = mtasts_cert_der_names(der, len, &names, NULL);
    *matches = 0;
    while (!*matches && mtasts_cert_next_name(names, &cursor, &name))
        *matches = mtasts_cert_name_matches(name.ptr, name.len, host, host_len);
    return err;
}

/* ==== 10 Application ===================================================================== */

/* The mode that counts for this message and this host's administrator. */
static mtasts_mode mtastsi_effective_mode(const mtasts_delivery *d)
{
    if (!d->policy || d->policy->mode == MTASTS_MODE_NONE ||
        d->override == MTASTS_OVERRIDE_IGNORE || (d->tls_required_no && !d->requiretls))
        return MTASTS_MODE_NONE;
    if (d->override == MTASTS_OVERRIDE_TESTING)
        return MTASTS_MODE_TESTING;
    return d->policy->mode == MTASTS_MODE_TESTING && d->override != MTASTS_OVERRIDE_ENFORCE
               ? MTASTS_MODE_TESTING
               : MTASTS_MODE_ENFORCE; /* what no enum has, too */
}

/* Ask for at least this much: the stricter counts. */
static void mtastsi_require(mtasts_plan *plan, mtasts_tls tls, mtasts_verify verify)
{
    if (plan->tls < tls)
        plan->tls = tls;
    if (plan->verify < verify)
        plan->verify = verify;
}

static void mtastsi_object(mtasts_plan *plan, int use, mtasts_reason reason,
                           mtasts_tlsrpt_result result, mtasts_policy_type type)
{
    plan->use = use;
    plan->reason = reason;
    plan->result = result;
    plan->policy_type = type;
}

/* What stands in the way of this MX; the last that is set counts. */
static void mtastsi_plan_objections(mtasts_plan *plan, const mtasts_delivery *d, mtasts_dane dane)
{
    int listed = plan->pattern.len != 0;
    if (plan->mode != MTASTS_MODE_NONE && !listed)
        mtastsi_object(plan, plan->mode != MTASTS_MODE_ENFORCE, MTASTS_REASON_MX_NOT_LISTED,
                       MTASTS_TLSRPT_VALIDATION_FAILURE, MTASTS_POLICY_TYPE_STS);
    if (plan->use && plan->requiretls && !listed && !d->mx_secure)
        mtastsi_object(plan, 0, MTASTS_REASON_REQUIRETLS_MX, plan->result, plan->policy_type);
    if (dane != MTASTS_DANE_NONE && dane != MTASTS_DANE_USABLE && dane != MTASTS_DANE_UNUSABLE)
        mtastsi_object(plan, 0, MTASTS_REASON_DANE_LOOKUP, MTASTS_TLSRPT_DNSSEC_INVALID,
                       MTASTS_POLICY_TYPE_TLSA);
}

MTASTS_API void mtasts_apply_plan(mtasts_plan *out, const mtasts_delivery *delivery,
                                  const char *host, size_t len)
{
    const mtasts_delivery *d = delivery;
    mtasts_dane dane = d->tls_required_no && !d->requiretls ? MTASTS_DANE_NONE : d->dane;
    memset(out, 0, sizeof *out);
    mtasts_name_normalise(out->host, host, len, NULL);
    out->use = 1;
    out->tls = d->tls;
    out->verify = d->verify;
    out->requiretls = d->requiretls != 0;
    out->mode = mtastsi_effective_mode(d);
    out->policy_type = dane == MTASTS_DANE_USABLE      ? MTASTS_POLICY_TYPE_TLSA
                       : out->mode != MTASTS_MODE_NONE ? MTASTS_POLICY_TYPE_STS
                       : dane != MTASTS_DANE_NONE      ? MTASTS_POLICY_TYPE_TLSA
                                                       : MTASTS_POLICY_TYPE_NO_POLICY_FOUND;
    if (out->mode != MTASTS_MODE_NONE)
        mtasts_policy_find(d->policy, host, len, &out->pattern);
    if (out->mode == MTASTS_MODE_TESTING)
        mtastsi_require(out, MTASTS_TLS_OPTIONAL, MTASTS_VERIFY_OPTIONAL);
    if (out->mode == MTASTS_MODE_ENFORCE || out->requiretls)
        mtastsi_require(out, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_REQUIRED);
    if (dane == MTASTS_DANE_UNUSABLE)
        mtastsi_require(out, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_NONE);
    if (dane == MTASTS_DANE_USABLE) {
        mtastsi_require(out, MTASTS_TLS_REQUIRED, MTASTS_VERIFY_REQUIRED);
        out->dane = 1;
    }
    mtastsi_plan_objections(out, d, dane);
}

MTASTS_API int mtasts_plan_same(const mtasts_plan *a, const mtasts_plan *b)
{
    return a->use && b->use && a->tls == b->tls && a->verify == b->verify && a->dane == b->dane &&
           a->requiretls == b->requiretls && a->host[0] &&
           memcmp(a->host, b->host, sizeof a->host) == 0;
}

/* What is wrong with the certificate that the server showed, if anything. */
static mtasts_reason mtastsi_certificate_fault(const mtasts_plan *plan, const mtasts_session *s)
{
    if (plan->dane)
        return s->dane_ok ? MTASTS_REASON_OK : MTASTS_REASON_DANE_MISMATCH;
    switch (s->chain) {
    case MTASTS_CHAIN_TRUSTED:
        return s->name_matches ? MTASTS_REASON_OK : MTASTS_REASON_NAME_MISMATCH;
    case MTASTS_CHAIN_EXPIRED:
        return MTASTS_REASON_CHAIN_EXPIRED;
    case MTASTS_CHAIN_REVOKED:
        return MTASTS_REASON_CHAIN_REVOKED;
    case MTASTS_CHAIN_UNCHECKED:
        return MTASTS_REASON_CHAIN_UNCHECKED;
    case MTASTS_CHAIN_UNTRUSTED:
    default:
        return MTASTS_REASON_CHAIN_UNTRUSTED;
    }
}

/* What is wrong with a session, if it is to be encrypted and verified. Where it is not encrypted, a
 * certificate is to blame only if one was seen. */
static mtasts_reason mtastsi_session_fault(const mtasts_plan *plan, const mtasts_session *s)
{
    if (s->starttls == MTASTS_STARTTLS_NOT_OFFERED)
        return MTASTS_REASON_STARTTLS_NOT_OFFERED;
    if (s->starttls != MTASTS_STARTTLS_DONE &&
        (plan->dane || s->chain == MTASTS_CHAIN_UNCHECKED ||
         mtastsi_certificate_fault(plan, s) == MTASTS_REASON_OK))
        return MTASTS_REASON_TLS_FAILED;
    return mtastsi_certificate_fault(plan, s);
}

static mtasts_tlsrpt_result mtastsi_fault_result(mtasts_reason fault)
{
    return fault == MTASTS_REASON_STARTTLS_NOT_OFFERED ? MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED
           : fault == MTASTS_REASON_NAME_MISMATCH      ? MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH
           : fault == MTASTS_REASON_CHAIN_EXPIRED      ? MTASTS_TLSRPT_CERTIFICATE_EXPIRED
           : fault == MTASTS_REASON_CHAIN_UNTRUSTED    ? MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED
           : fault == MTASTS_REASON_CHAIN_REVOKED      ? MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED
                                                       : MTASTS_TLSRPT_VALIDATION_FAILURE;
}

/* May the message not go over a session with this fault? */
static int mtastsi_fault_refuses(const mtasts_plan *plan, const mtasts_session *s,
                                 mtasts_reason fault)
{
    int uncertified =
        fault != MTASTS_REASON_STARTTLS_NOT_OFFERED && fault != MTASTS_REASON_TLS_FAILED;
    return plan->mode == MTASTS_MODE_ENFORCE ||
           (uncertified && plan->verify >= MTASTS_VERIFY_REQUIRED) ||
           (s->starttls != MTASTS_STARTTLS_DONE && plan->tls >= MTASTS_TLS_REQUIRED);
}

MTASTS_API void mtasts_apply_verdict(mtasts_verdict *out, const mtasts_plan *plan,
                                     const mtasts_session *session)
{
    mtasts_session nothing;
    const mtasts_session *s = session;
    int refused = !plan->use;
    memset(out, 0, sizeof *out);
    memset(&nothing, 0, sizeof nothing);
    if (!s)
        s = &nothing;
    out->policy_type = plan->policy_type;
    out->reason = plan->reason;
    out->result = plan->result;
    if (!refused) {
        mtasts_reason fault = mtastsi_session_fault(plan, s);
        refused = fault && mtastsi_fault_refuses(plan, s, fault);
        /* without a policy that asks for it, what need not be good cannot fail */
        if (refused || (fault && !out->reason && plan->mode == MTASTS_MODE_TESTING)) {
            out->reason = fault;
            out->result = mtastsi_fault_result(fault);
            if (plan->dane)
                out->policy_type = MTASTS_POLICY_TYPE_TLSA;
        } else if (plan->requiretls && !s->requiretls) {
            out->reason = MTASTS_REASON_REQUIRETLS_NOT_OFFERED;
            refused = 1;
        }
    }
    out->action = refused ? MTASTS_ACTION_NEXT_MX : MTASTS_ACTION_DELIVER;
    out->recheck = refused && plan->mode == MTASTS_MODE_ENFORCE &&
                   out->policy_type == MTASTS_POLICY_TYPE_STS &&
                   out->reason != MTASTS_REASON_REQUIRETLS_NOT_OFFERED;
}

MTASTS_API const char *mtasts_reason_name(int reason)
{
#define X(name, number, word, text) \
    case number:                    \
        return word;
    switch (reason) {
        MTASTS_REASONS(X)
    default:
        return "UNKNOWN";
    }
#undef X
}

MTASTS_API const char *mtasts_reason_text(int reason)
{
#define X(name, number, word, text) \
    case number:                    \
        return text;
    switch (reason) {
        MTASTS_REASONS(X)
    default:
        return "";
    }
#undef X
}

MTASTS_API const char *mtasts_action_name(int action)
{
    return action == MTASTS_ACTION_DELIVER   ? "deliver"
           : action == MTASTS_ACTION_NEXT_MX ? "next-mx"
                                             : "UNKNOWN";
}

MTASTS_API int mtasts_action_from_name(const char *name, size_t len)
{
    return mtastsi_from_name(mtasts_action_name, MTASTS_ACTION_DELIVER, name, len);
}

/* ==== 11 TLS reporting =================================================================== */

#define MTASTSI_RESULTS(X)                                                  \
    X(MTASTS_TLSRPT_OK, "ok")                                               \
    X(MTASTS_TLSRPT_STARTTLS_NOT_SUPPORTED, "starttls-not-supported")       \
    X(MTASTS_TLSRPT_CERTIFICATE_HOST_MISMATCH, "certificate-host-mismatch") \
    X(MTASTS_TLSRPT_CERTIFICATE_NOT_TRUSTED, "certificate-not-trusted")     \
    X(MTASTS_TLSRPT_CERTIFICATE_EXPIRED, "certificate-expired")             \
    X(MTASTS_TLSRPT_VALIDATION_FAILURE, "validation-failure")               \
    X(MTASTS_TLSRPT_STS_POLICY_FETCH_ERROR, "sts-policy-fetch-error")       \
    X(MTASTS_TLSRPT_STS_POLICY_INVALID, "sts-policy-invalid")               \
    X(MTASTS_TLSRPT_STS_WEBPKI_INVALID, "sts-webpki-invalid")               \
    X(MTASTS_TLSRPT_TLSA_INVALID, "tlsa-invalid")                           \
    X(MTASTS_TLSRPT_DNSSEC_INVALID, "dnssec-invalid")                       \
    X(MTASTS_TLSRPT_DANE_REQUIRED, "dane-required")

MTASTS_API const char *mtasts_tlsrpt_result_name(int result)
{
#define X(name, word) \
    case name:        \
        return word;
    switch (result) {
        MTASTSI_RESULTS(X)
    default:
        return "UNKNOWN";
    }
#undef X
}

MTASTS_API int mtasts_tlsrpt_result_from_name(const char *name, size_t len)
{
    return mtastsi_from_name(mtasts_tlsrpt_result_name, MTASTS_TLSRPT_DANE_REQUIRED, name, len);
}

MTASTS_API const char *mtasts_policy_type_name(int type)
{
    return type == MTASTS_POLICY_TYPE_STS               ? "sts"
           : type == MTASTS_POLICY_TYPE_TLSA            ? "tlsa"
           : type == MTASTS_POLICY_TYPE_NO_POLICY_FOUND ? "no-policy-found"
                                                        : "UNKNOWN";
}

MTASTS_API int mtasts_policy_type_from_name(const char *name, size_t len)
{
    return mtastsi_from_name(mtasts_policy_type_name, MTASTS_POLICY_TYPE_NO_POLICY_FOUND, name,
                             len);
}

#if !defined(MTASTS_PURE)
/* ==== 12 Entry =========================================================================== */

#define MTASTSI_ENTRY_MAGIC "mtasts-entry 1 "
#define MTASTSI_ENTRY_HEAD  (sizeof MTASTSI_ENTRY_MAGIC - 1 + 9 + 7) /* CRC and length follow it */

/* Both not negative. */
static int64_t mtastsi_add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t mtastsi_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t mtastsi_since_1970(int64_t now)
{
    return now < 0 ? 0 : now;
}

static uint32_t mtastsi_crc32(const char *p, size_t len)
{
    static const uint32_t table[16] = {0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu,
                                       0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
                                       0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
                                       0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu};
    uint32_t crc = 0xffffffffu;
    size_t i;
    for (i = 0; i < len; i++) {
        crc ^= (unsigned char)p[i];
        crc = table[crc & 15] ^ (crc >> 4);
        crc = table[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

static int mtastsi_id_ok(mtasts_str id)
{
    size_t i;
    for (i = 0; i < id.len && mtastsi_class(id.ptr[i]) & MTASTSI_ALNUM; i++)
        ;
    return id.len > 0 && i == id.len && id.len <= MTASTS_ID_MAX;
}

/* Is it a name as mtasts_name_normalise writes it? */
static int mtastsi_normal(const char *name, size_t len)
{
    size_t i;
    if (mtastsi_host_len(name, len) != len || !len)
        return 0;
    for (i = 0; i < len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            return 0;
    return 1;
}

/* What all entries have in common, whoever made them. */
static int mtastsi_entry_ok(const mtasts_entry *e)
{
    if (!mtastsi_normal(e->domain.ptr, e->domain.len) || e->fetched < 0 || e->expires < 0 ||
        e->checked < 0 || e->used < 0 || e->refresh < 0)
        return 0;
    if (e->failures && (e->no_record < 0 || e->no_record > 1 ||
                        (e->failed_id.len && !mtastsi_id_ok(e->failed_id)) || e->retry < 0 ||
                        e->failed == MTASTS_OK || mtasts_err_name((int)e->failed)[0] != 'M'))
        return 0;
    if (!e->policy.text.ptr)
        return e->id.len == 0;
    return mtastsi_id_ok(e->id) && e->policy.max_age > 0 &&
           e->policy.max_age <= MTASTS_MAX_AGE_MAX && e->policy.text.len <= MTASTS_POLICY_MAX;
}

/* When a policy or an absence ends. Only of the latter the entry itself says so. */
static int64_t mtastsi_entry_expiry(const mtasts_entry *e)
{
    return e->policy.text.ptr ? mtastsi_add(e->fetched, e->policy.max_age) : e->expires;
}

/* Nothing lies after now, so that nothing lives longer from now than it was granted. */
static void mtastsi_entry_clamp(mtasts_entry *e, int64_t now)
{
    int moved = e->fetched > now;
    if (moved)
        e->fetched = e->refresh = now;
    e->checked = mtastsi_least(e->checked, now);
    e->used = mtastsi_least(e->used, now);
    e->expires = mtastsi_entry_expiry(e);
    if (!e->policy.text.ptr)
        e->expires = moved ? now : mtastsi_least(e->expires, mtastsi_add(now, MTASTS_ABSENCE_MAX));
    e->refresh = mtastsi_least(e->refresh, e->expires);
    e->retry = mtastsi_least(e->retry, mtastsi_add(now, MTASTS_RETRY_MAX));
}

MTASTS_API int mtasts_entry_valid(const mtasts_entry *entry, int64_t now)
{
    return mtastsi_since_1970(now) < entry->expires;
}

MTASTS_API int mtasts_entry_keep(const mtasts_entry *entry, int64_t now)
{
    return mtasts_entry_valid(entry, now) ||
           (entry->failures && mtastsi_since_1970(now) < entry->retry);
}

static void mtastsi_put_str(mtastsi_out *o, mtasts_str s)
{
    if (s.len && o->len < o->cap)
        memcpy(o->ptr + o->len, s.ptr, s.len < o->cap - o->len ? s.len : o->cap - o->len);
    o->len += s.len;
}

static void mtastsi_put_line(mtastsi_out *o, const char *name, mtasts_str value)
{
    mtastsi_put(o, name);
    mtastsi_put(o, ": ");
    mtastsi_put_str(o, value);
    mtastsi_put(o, "\n");
}

/* Of a name of any kind; not quite strlen, so that compilers do not call that. */
static size_t mtastsi_len(const char *text)
{
    size_t len = 0;
    while (len < MTASTS_NAME_SIZE && text[len])
        len++;
    return len;
}

/* Not negative; 64 bits where size_t may have 32. */
static void mtastsi_put_decimal(mtastsi_out *o, const char *name, int64_t seconds)
{
    char digits[20];
    size_t n = sizeof digits;
    mtasts_str value;
    do {
        digits[--n] = (char)('0' + (int)(seconds % 10));
        seconds /= 10;
    } while (seconds);
    value.ptr = digits + n;
    value.len = sizeof digits - n;
    mtastsi_put_line(o, name, value);
}

/* The first line of an entry, from everything after it. */
static void mtastsi_entry_head(char *head, const char *rest, size_t len)
{
    uint32_t crc = mtastsi_crc32(rest, len);
    size_t i = MTASTSI_ENTRY_HEAD;
    memcpy(head, MTASTSI_ENTRY_MAGIC, sizeof MTASTSI_ENTRY_MAGIC - 1);
    head[--i] = '\n';
    while (i > MTASTSI_ENTRY_HEAD - 7) {
        head[--i] = (char)('0' + (int)(len % 10));
        len /= 10;
    }
    head[--i] = ' ';
    while (i > MTASTSI_ENTRY_HEAD - 16) {
        head[--i] = "0123456789abcdef"[crc & 15];
        crc >>= 4;
    }
}

MTASTS_API mtasts_err mtasts_entry_write(char *out, size_t cap, size_t *len,
                                         const mtasts_entry *entry)
{
    mtastsi_out o = {out, cap, 0};
    mtasts_err err;
    *len = 0;
    if (!mtastsi_entry_ok(entry) || mtastsi_entry_expiry(entry) != entry->expires) {
        mtastsi_put_nothing(&o);
        return MTASTS_ERR_USAGE;
    }
    mtastsi_put(&o, MTASTSI_ENTRY_MAGIC "00000000 000000\n");
    mtastsi_put_line(&o, "domain", entry->domain);
    mtastsi_put_line(&o, "id", entry->id);
    mtastsi_put_decimal(&o, "fetched", entry->fetched);
    mtastsi_put_decimal(&o, "expires", entry->expires);
    mtastsi_put_decimal(&o, "checked", entry->checked);
    mtastsi_put_decimal(&o, "used", entry->used);
    mtastsi_put_decimal(&o, "refresh", entry->refresh);
    mtastsi_put_decimal(&o, "failures", entry->failures);
    if (entry->failures) {
        mtasts_str failed;
        failed.ptr = mtasts_err_name((int)entry->failed);
        failed.len = mtastsi_len(failed.ptr);
        mtastsi_put_line(&o, "failed", failed);
        mtastsi_put_decimal(&o, "no-record", entry->no_record);
        mtastsi_put_line(&o, "failed-id", entry->failed_id);
        mtastsi_put_decimal(&o, "retry", entry->retry);
    }
    if (entry->policy.text.ptr) {
        mtastsi_put(&o, "policy:\n");
        mtastsi_put_str(&o, entry->policy.text);
    }
    err = mtastsi_put_all(&o, len);
    if (err == MTASTS_OK)
        mtastsi_entry_head(out, out + MTASTSI_ENTRY_HEAD, *len - MTASTSI_ENTRY_HEAD);
    return err;
}

/* An entry's text being read; `wrong` from the first line on that is not as it must be. */
typedef struct mtastsi_in {
    const char *text;
    size_t len, at, line;
    int wrong;
} mtastsi_in;

/* The value of the line that comes next, if that has this name. */
static mtasts_str mtastsi_take_line(mtastsi_in *in, const char *name)
{
    mtasts_str value = {NULL, 0};
    size_t at = in->at;
    const char *end;
    for (; *name && at < in->len && in->text[at] == *name; name++)
        at++;
    in->wrong |= *name || in->len - at < 2 || in->text[at] != ':' || in->text[at + 1] != ' ';
    if (in->wrong)
        return value;
    at += 2;
    end = (const char *)memchr(in->text + at, '\n', in->len - at);
    in->wrong = !end;
    if (in->wrong)
        return value;
    value.ptr = in->text + at;
    value.len = (size_t)(end - value.ptr);
    in->at = at + value.len + 1;
    in->line++;
    return value;
}

/* Digits as mtastsi_put_decimal writes them, up to `most`. */
static int64_t mtastsi_take_number(mtastsi_in *in, const char *name, int64_t most)
{
    mtastsi_in before = *in;
    mtasts_str value = mtastsi_take_line(in, name);
    int64_t seconds = 0;
    size_t i;
    int bad = !value.len || (value.len > 1 && value.ptr[0] == '0');
    for (i = 0; i < value.len && !bad; i++) {
        int digit = value.ptr[i] - '0';
        bad = digit < 0 || digit > 9 || digit > most || seconds > (most - digit) / 10;
        if (!bad)
            seconds = seconds * 10 + digit;
    }
    if (!bad)
        return seconds;
    *in = before;
    in->wrong = 1;
    return 0;
}

static mtasts_err mtastsi_take_error(mtastsi_in *in, const char *name)
{
    mtastsi_in before = *in;
    mtasts_str value = mtastsi_take_line(in, name);
    int err;
    for (err = 1; !in->wrong && err < 100; err++) {
        const char *word = mtasts_err_name(err);
        size_t len = mtastsi_len(word);
        if (len == value.len && memcmp(word, value.ptr, len) == 0 && word[0] == 'M')
            return (mtasts_err)err;
    }
    *in = before;
    in->wrong = 1;
    return MTASTS_OK;
}

/* The lines after the first; the policy's text is what is left over. */
static void mtastsi_take_entry(mtastsi_in *in, mtasts_entry *e)
{
    static const char label[] = "policy:\n";
    e->domain = mtastsi_take_line(in, "domain");
    e->id = mtastsi_take_line(in, "id");
    e->fetched = mtastsi_take_number(in, "fetched", INT64_MAX);
    e->expires = mtastsi_take_number(in, "expires", INT64_MAX);
    e->checked = mtastsi_take_number(in, "checked", INT64_MAX);
    e->used = mtastsi_take_number(in, "used", INT64_MAX);
    e->refresh = mtastsi_take_number(in, "refresh", INT64_MAX);
    e->failures = (uint32_t)mtastsi_take_number(in, "failures", UINT32_MAX);
    if (e->failures) {
        e->failed = mtastsi_take_error(in, "failed");
        e->no_record = (int)mtastsi_take_number(in, "no-record", 1);
        e->failed_id = mtastsi_take_line(in, "failed-id");
        e->retry = mtastsi_take_number(in, "retry", INT64_MAX);
    }
    if (in->wrong || in->at == in->len)
        return;
    in->wrong = in->len - in->at < sizeof label - 1 ||
                memcmp(in->text + in->at, label, sizeof label - 1) != 0;
    if (in->wrong)
        return;
    in->at += sizeof label - 1;
    in->line++;
    in->wrong =
        mtasts_policy_parse(&e->policy, in->text + in->at, in->len - in->at, 0, NULL) != MTASTS_OK;
}

/* Is the first line right about the rest? */
static mtasts_err mtastsi_check_head(const char *text, size_t len, mtasts_diag *diag)
{
    char head[MTASTSI_ENTRY_HEAD];
    size_t i, rest = len > sizeof head ? len - sizeof head : 0;
    if (len > MTASTS_ENTRY_MAX)
        return mtastsi_say(diag, MTASTS_ERR_ENTRY_DAMAGED, MTASTS_ENTRY_MAX, "it is too long");
    mtastsi_entry_head(head, rest ? text + sizeof head : "", rest);
    for (i = 0; i < sizeof head && i < len && text[i] == head[i]; i++)
        ;
    if (i == sizeof head)
        return MTASTS_OK;
    return mtastsi_say_in(diag,
                          i < sizeof MTASTSI_ENTRY_MAGIC - 1 ? MTASTS_ERR_ENTRY_VERSION
                                                             : MTASTS_ERR_ENTRY_DAMAGED,
                          1, i, "");
}

/* mtasts_entry_read with the times as they were written. */
static mtasts_err mtastsi_entry_parse(mtasts_entry *out, const char *domain, size_t domain_len,
                                      const char *text, size_t len, mtasts_diag *diag)
{
    mtastsi_in in = {text, len, MTASTSI_ENTRY_HEAD, 2, 0};
    mtasts_entry e;
    char name[MTASTS_NAME_SIZE];
    mtasts_err err;
    memset(out, 0, sizeof *out);
    memset(&e, 0, sizeof e);
    if (!text && len)
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    err = mtastsi_check_head(text, len, diag);
    if (err != MTASTS_OK)
        return err;
    mtastsi_take_entry(&in, &e);
    if (in.wrong) {
        mtastsi_say_in(diag, MTASTS_ERR_ENTRY_SYNTAX, in.line, 0, "");
        if (diag)
            diag->offset = in.at;
        return MTASTS_ERR_ENTRY_SYNTAX;
    }
    if (!mtastsi_entry_ok(&e) || mtastsi_entry_expiry(&e) != e.expires)
        return mtastsi_say(diag, MTASTS_ERR_ENTRY_SYNTAX, MTASTSI_ENTRY_HEAD,
                           "its lines do not fit together");
    err = mtasts_name_normalise(name, domain ? domain : e.domain.ptr,
                                domain ? domain_len : e.domain.len, NULL);
    if (err != MTASTS_OK || mtastsi_len(name) != e.domain.len ||
        !mtastsi_same_text(name, e.domain.ptr, e.domain.len))
        return mtastsi_say(diag, MTASTS_ERR_ENTRY_DOMAIN, MTASTSI_ENTRY_HEAD, "");
    *out = e;
    return mtastsi_say(diag, MTASTS_OK, len, "");
}

MTASTS_API mtasts_err mtasts_entry_read(mtasts_entry *out, const char *domain, size_t domain_len,
                                        const char *text, size_t len, int64_t now,
                                        mtasts_diag *diag)
{
    mtasts_err err = mtastsi_entry_parse(out, domain, domain_len, text, len, diag);
    if (err == MTASTS_OK)
        mtastsi_entry_clamp(out, mtastsi_since_1970(now));
    return err;
}

/* ==== 13 Discovery ======================================================================= */

/* flags_ beside the host's */
enum {
    MTASTSI_BLIND = 0x100,   /* what the store holds may be good, but was not understood */
    MTASTSI_CHANGED = 0x200, /* what it holds is not right any more */
    MTASTSI_FETCHED = 0x400, /* fresh_ is a policy */
    MTASTSI_FAILED = 0x800,  /* the fetch has failed */
    MTASTSI_UNREAD = 0x1000  /* the store has failed, which may pass */
};

/* 64 bits that depend on all bits of these (splitmix64). */
static uint64_t mtastsi_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* From 0 to `most`. */
static int64_t mtastsi_random(mtasts_discovery *d, int64_t most)
{
    d->random_ = mtastsi_mix(d->random_);
    return (int64_t)((d->random_ >> 1) % ((uint64_t)most + 1));
}

static void mtastsi_copy_id(char *out, const char *id, size_t len)
{
    memset(out, 0, MTASTS_ID_MAX + 1);
    if (len)
        memcpy(out, id, len);
}

static int mtastsi_same_id(const char *a, const char *b)
{
    return memcmp(a, b, MTASTS_ID_MAX + 1) == 0;
}

/* A policy ends with its time and by nothing else. */
static void mtastsi_expire(mtasts_discovery *d, int64_t now)
{
    mtastsi_entry_clamp(&d->entry_, now);
    if (d->entry_.policy.text.ptr && !mtasts_entry_valid(&d->entry_, now)) {
        memset(&d->entry_.policy, 0, sizeof d->entry_.policy);
        memset(d->id_, 0, sizeof d->id_);
    }
}

/* Take over what is known of the domain. Of two policies the one that was fetched later counts, and
 * of two failures since then the one that asks for more patience: memory and store, or two
 * processes, need not know the same. */
static void mtastsi_adopt(mtasts_discovery *d, const mtasts_entry *e, int64_t now)
{
    mtasts_entry *own = &d->entry_, other = *e;
    int had = own->policy.text.ptr != NULL, ahead = e->fetched > now;
    if (!mtastsi_entry_ok(e) || e->domain.len != mtastsi_len(d->domain_) ||
        memcmp(e->domain.ptr, d->domain_, e->domain.len) != 0)
        return;
    mtastsi_entry_clamp(&other, now);
    if (other.used > own->used)
        own->used = other.used;
    if (other.policy.text.ptr && mtasts_entry_valid(&other, now) &&
        (!had || (!ahead && other.fetched > own->fetched))) {
        d->flags_ |=
            ahead ? (unsigned)MTASTSI_CHANGED : 0; /* else the next to load it would renew it */
        mtastsi_copy_id(d->id_, other.id.ptr, other.id.len);
        own->policy = other.policy;
        own->fetched = other.fetched;
        own->expires = other.expires;
        own->checked = other.checked;
        own->refresh = other.refresh;
        if (had)
            own->failures = 0;
    }
    if (other.failures && other.fetched >= own->fetched &&
        (!own->failures || other.retry > own->retry)) {
        mtastsi_copy_id(d->failed_id_, other.failed_id.ptr, other.failed_id.len);
        own->failures = other.failures;
        own->failed = other.failed;
        own->no_record = other.no_record;
        own->retry = other.retry;
    }
}

/* The next step, with a ticket of its own. */
static void mtastsi_go(mtasts_discovery *d, mtasts_want want, int64_t now)
{
    d->want_ = want;
    d->asked_ = now;
    d->ticket_++;
}

/* All is learned: what of it is to be stored? Nothing is dropped because its time is over: another
 * process may have renewed it. And what could not be read may be a policy, which must not be lost
 * to the news that there is none. */
static void mtastsi_finish(mtasts_discovery *d, int64_t now)
{
    mtasts_entry *e = &d->entry_;
    mtasts_want want = MTASTS_WANT_DONE;
    e->no_record = !e->policy.text.ptr && d->learned_ == MTASTS_LEARNED_NONE;
    if (e->no_record && e->retry <= now)
        e->failures = 0;
    if (!e->policy.text.ptr && d->flags_ & MTASTSI_BLIND)
        e->expires = now;
    if (!e->policy.text.ptr && d->flags_ & MTASTSI_UNREAD && !(d->flags_ & MTASTSI_FETCHED) &&
        d->diag_.err != MTASTS_ERR_LIMIT) {
        d->learned_ = MTASTS_LEARNED_TEMPORARY;
        mtastsi_say(&d->diag_, MTASTS_ERR_STORE, 0, "");
    }
    if (d->flags_ & MTASTS_REFRESH && e->refresh <= now) /* it has had its turn */
        e->refresh = mtastsi_least(e->expires, mtastsi_add(now, MTASTS_RETRY_MIN));
    if (d->flags_ & MTASTSI_CHANGED && (e->policy.text.ptr || !(d->flags_ & MTASTSI_BLIND)))
        want = MTASTS_WANT_SAVE;
    else if (d->flags_ & MTASTSI_FETCHED) /* max_age is 0 */
        want = MTASTS_WANT_DROP;
    mtastsi_go(d, d->flags_ & MTASTS_NO_STORE ? MTASTS_WANT_DONE : want, now);
}

static void mtastsi_want_txt(mtasts_discovery *d, int64_t now)
{
    if (mtasts_txt_name(d->name_, d->domain_, mtastsi_len(d->domain_), &d->diag_) == MTASTS_OK) {
        mtastsi_go(d, MTASTS_WANT_TXT, now);
    } else { /* it has no room for the prefix, and so no record */
        d->learned_ = MTASTS_LEARNED_NONE;
        mtastsi_finish(d, now);
    }
}

MTASTS_API mtasts_err mtasts_discovery_init(mtasts_discovery *d, const char *domain, size_t len,
                                            const mtasts_entry *entry, unsigned flags,
                                            uint64_t random, int64_t now, mtasts_diag *diag)
{
    mtasts_err err;
    memset(d, 0, sizeof *d);
    mtastsi_say(&d->diag_, MTASTS_OK, 0, "");
    err = mtasts_name_normalise(d->domain_, domain, len, diag);
    if (err == MTASTS_OK && flags & ~(MTASTS_REFRESH | MTASTS_NO_STORE))
        err = mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    if (err != MTASTS_OK) {
        d->diag_.err = err;
        return err;
    }
    now = mtastsi_since_1970(now);
    d->flags_ = flags;
    d->random_ = random;
    d->ticket_ = (uint32_t)mtastsi_random(d, UINT32_MAX);
    if (!(flags & MTASTS_REFRESH))
        d->entry_.used = now;
    if (entry)
        mtastsi_adopt(d, entry, now);
    if (flags & MTASTS_NO_STORE)
        mtastsi_want_txt(d, now);
    else
        mtastsi_go(d, MTASTS_WANT_LOAD, now);
    return MTASTS_OK;
}

MTASTS_API mtasts_want mtasts_discovery_want(const mtasts_discovery *d, mtasts_request *out)
{
    out->want = d->want_;
    out->ticket = d->ticket_;
    out->domain = d->domain_;
    out->name = d->want_ == MTASTS_WANT_TXT || d->want_ == MTASTS_WANT_HTTPS ? d->name_ : "";
    return d->want_;
}

/* Is it the answer that is waited for? */
static mtasts_err mtastsi_answer(const mtasts_discovery *d, uint32_t ticket, int is_wanted)
{
    if (d->want_ == MTASTS_WANT_DONE || ticket != d->ticket_)
        return MTASTS_ERR_STALE;
    return is_wanted ? MTASTS_OK : MTASTS_ERR_USAGE;
}

static void mtastsi_give_entry(mtasts_discovery *d, int64_t now, const mtasts_entry *entry)
{
    if (entry)
        mtastsi_adopt(d, entry, now);
    mtastsi_want_txt(d, now);
}

MTASTS_API mtasts_err mtasts_discovery_give_load(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                 mtasts_err status, const char *text, size_t len,
                                                 mtasts_diag *diag)
{
    mtasts_entry entry;
    mtasts_err bad = MTASTS_OK, err = mtastsi_answer(d, ticket, d->want_ == MTASTS_WANT_LOAD);
    if (err != MTASTS_OK)
        return mtastsi_say(diag, err, 0, "");
    now = mtastsi_since_1970(now);
    mtastsi_say(diag, MTASTS_OK, 0, "");
    mtastsi_expire(d, now);
    if (status != MTASTS_OK)
        d->flags_ |= MTASTSI_BLIND | MTASTSI_UNREAD;
    else if (text)
        bad = mtastsi_entry_parse(&entry, d->domain_, mtastsi_len(d->domain_), text, len, diag);
    if (bad == MTASTS_ERR_ENTRY_VERSION) /* it may be good for the program that wrote it */
        d->flags_ |= MTASTSI_BLIND;
    mtastsi_give_entry(d, now, status == MTASTS_OK && text && bad == MTASTS_OK ? &entry : NULL);
    return bad;
}

/* The record is known, or that it can't be: is the policy to be fetched? */
static int mtastsi_must_fetch(mtasts_discovery *d, int64_t now)
{
    mtasts_entry *e = &d->entry_;
    int found = d->found_id_[0] != 0;
    const char *id = found ? d->found_id_ : d->id_;
    int current = e->policy.text.ptr != NULL && mtastsi_same_id(id, d->id_);
    if (!id[0])
        return 0;
    if (found)
        d->learned_ = MTASTS_LEARNED_POLICY;
    memmove(d->found_id_, id, sizeof d->found_id_); /* the known policy may expire meanwhile */
    if (current && (!(d->flags_ & MTASTS_REFRESH) || now - e->fetched < MTASTS_RETRY_MIN))
        return 0;
    if (!e->failures || now >= e->retry ||
        (d->failed_id_[0] && !mtastsi_same_id(id, d->failed_id_)))
        return 1;
    if (found) {
        d->learned_ = MTASTS_LEARNED_FAILED;
        mtastsi_say(&d->diag_, e->failed, 0, "");
        if (!e->policy.text.ptr)
            e->expires = e->refresh = mtastsi_least(e->expires, e->retry);
    }
    return 0;
}

MTASTS_API mtasts_err mtasts_discovery_give_txt(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                mtasts_err status, const mtasts_txt *records,
                                                size_t count, uint32_t ttl)
{
    mtasts_entry *e = &d->entry_;
    mtasts_record record;
    int answered = status == MTASTS_OK || status == MTASTS_ERR_NO_RECORD;
    int usage = d->want_ != MTASTS_WANT_TXT || (status == MTASTS_OK && !records && count);
    mtasts_err err = mtastsi_answer(d, ticket, !usage);
    if (err != MTASTS_OK)
        return err;
    if (!answered && status != MTASTS_ERR_DNS_BOGUS && status != MTASTS_ERR_DNS_CNAME)
        status = MTASTS_ERR_DNS;
    now = mtastsi_since_1970(now);
    mtastsi_say(&d->diag_, status, 0, "");
    if (status == MTASTS_OK &&
        mtasts_record_select(&record, records, count, &d->diag_) == MTASTS_OK)
        mtastsi_copy_id(d->found_id_, record.id, mtastsi_len(record.id));
    mtastsi_expire(d, now);
    e->checked = now;
    d->learned_ = answered ? MTASTS_LEARNED_NONE : MTASTS_LEARNED_TEMPORARY;
    if (!e->policy.text.ptr) { /* no answer is no absence */
        e->fetched = now;
        e->expires = mtastsi_add(now, answered ? mtastsi_least(ttl, MTASTS_ABSENCE_MAX) : 0);
        e->refresh = e->expires;
    }
    if (mtastsi_must_fetch(d, now)) {
        mtasts_policy_host(d->name_, d->domain_, mtastsi_len(d->domain_), NULL);
        mtastsi_go(d, MTASTS_WANT_HTTPS, now);
    } else {
        mtastsi_finish(d, now);
    }
    return MTASTS_OK;
}

/* Seconds between two fetches of a policy, about. */
static int64_t mtastsi_interval(const mtasts_policy *policy)
{
    return mtastsi_least(MTASTS_REFRESH_INTERVAL, policy->max_age / 2);
}

static void mtastsi_fetched(mtasts_discovery *d, int64_t now)
{
    mtasts_entry *e = &d->entry_;
    int64_t interval = mtastsi_interval(&d->fresh_);
    d->flags_ |= MTASTSI_FETCHED;
    d->learned_ = MTASTS_LEARNED_POLICY;
    e->failures = 0;
    e->fetched = mtastsi_least(d->asked_, now);
    e->expires = mtastsi_add(e->fetched, d->fresh_.max_age);
    e->refresh = mtastsi_add(e->fetched, interval - interval / 4 + mtastsi_random(d, interval / 2));
    if (d->fresh_.max_age) {
        memcpy(d->id_, d->found_id_, sizeof d->id_);
        e->policy = d->fresh_;
        d->flags_ |= MTASTSI_CHANGED;
    } else { /* for those who asked, and nobody else */
        memset(d->id_, 0, sizeof d->id_);
        memset(&e->policy, 0, sizeof e->policy);
    }
}

/* Who changes ids has one try more, not one for each. */
static void mtastsi_count_failure(mtasts_discovery *d, int64_t now)
{
    mtasts_entry *e = &d->entry_;
    int64_t pause = MTASTS_RETRY_MIN;
    int same = !d->failed_id_[0] || mtastsi_same_id(d->failed_id_, d->found_id_);
    uint32_t n;
    if (!same && now >= e->retry)
        e->failures = 0;
    memcpy(d->failed_id_, d->found_id_, sizeof d->failed_id_);
    if (e->failures && !same)
        memset(d->failed_id_, 0, sizeof d->failed_id_);
    e->failures += e->failures < UINT32_MAX;
    for (n = e->failures; n > 1 && pause < MTASTS_RETRY_MAX / 2; n--)
        pause = mtastsi_least(pause * 2, MTASTS_RETRY_MAX / 2);
    e->retry = mtastsi_add(now, pause + mtastsi_random(d, pause));
    e->failed = d->diag_.err;
}

static void mtastsi_not_fetched(mtasts_discovery *d, int64_t now)
{
    mtasts_entry *e = &d->entry_;
    if (d->diag_.err == MTASTS_ERR_LIMIT) { /* our own fault */
        d->learned_ = MTASTS_LEARNED_TEMPORARY;
        if (!e->policy.text.ptr)
            e->expires = now;
        return;
    }
    mtastsi_count_failure(d, now);
    d->flags_ |= MTASTSI_CHANGED | MTASTSI_FAILED;
    if (d->learned_ == MTASTS_LEARNED_POLICY)
        d->learned_ = MTASTS_LEARNED_FAILED;
    if (!e->policy.text.ptr)
        e->expires = mtastsi_least(e->expires, e->retry);
    e->refresh = mtastsi_least(e->retry, e->expires);
}

MTASTS_API mtasts_err mtasts_discovery_give_https(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                  mtasts_err status, const char *body, size_t len)
{
    int usage = d->want_ != MTASTS_WANT_HTTPS || (status == MTASTS_OK && !body && len);
    mtasts_err err = mtastsi_answer(d, ticket, !usage);
    if (err != MTASTS_OK)
        return err;
    if (status != MTASTS_OK && status != MTASTS_ERR_LIMIT && !mtasts_err_tlsrpt((int)status))
        status = MTASTS_ERR_HTTPS_CONNECT;
    now = mtastsi_since_1970(now);
    mtastsi_say(&d->diag_, status, 0, "");
    mtastsi_expire(d, now);
    if (status == MTASTS_OK)
        status = mtasts_policy_parse(&d->fresh_, body, len, 0, &d->diag_);
    if (status == MTASTS_OK)
        mtastsi_fetched(d, now);
    else
        mtastsi_not_fetched(d, now);
    mtastsi_finish(d, now);
    return MTASTS_OK;
}

MTASTS_API mtasts_err mtasts_discovery_give_save(mtasts_discovery *d, uint32_t ticket, int64_t now,
                                                 mtasts_err status)
{
    mtasts_err err =
        mtastsi_answer(d, ticket, d->want_ == MTASTS_WANT_SAVE || d->want_ == MTASTS_WANT_DROP);
    (void)status; /* the policy is as good as it was */
    if (err == MTASTS_OK)
        mtastsi_go(d, MTASTS_WANT_DONE, mtastsi_since_1970(now));
    return err;
}

MTASTS_API void mtasts_discovery_cancel(mtasts_discovery *d)
{
    mtasts_entry *e = &d->entry_;
    if (d->want_ == MTASTS_WANT_HTTPS) { /* there is a record: neither a policy nor an absence */
        if (d->learned_ == MTASTS_LEARNED_POLICY)
            d->learned_ = MTASTS_LEARNED_NOTHING;
        if (!e->policy.text.ptr)
            e->expires = e->refresh = d->asked_;
    }
    if (d->want_ != MTASTS_WANT_DONE)
        mtastsi_go(d, MTASTS_WANT_DONE, d->asked_);
}

MTASTS_API void mtasts_discovery_result(const mtasts_discovery *d, int64_t now, mtasts_result *out)
{
    mtasts_entry *e = &out->entry;
    memset(out, 0, sizeof *out);
    now = mtastsi_since_1970(now);
    out->learned = d->learned_;
    out->diag = d->diag_;
    out->failed = (d->flags_ & MTASTSI_FAILED) != 0;
    out->fetched = (d->flags_ & MTASTSI_FETCHED) != 0;
    *e = d->entry_;
    mtastsi_entry_clamp(e, now);
    e->domain.ptr = d->domain_;
    e->domain.len = mtastsi_len(d->domain_);
    e->id.ptr = d->id_;
    e->id.len = mtastsi_len(d->id_);
    e->failed_id.ptr = d->failed_id_;
    e->failed_id.len = mtastsi_len(d->failed_id_);
    out->keep = mtasts_entry_keep(e, now);
    if (out->fetched)
        out->policy = d->fresh_;
    else if (e->policy.text.ptr && mtasts_entry_valid(e, now))
        out->policy = e->policy;
    out->honour = out->policy.text.ptr != NULL;
}

MTASTS_API const char *mtasts_learned_name(int learned)
{
    return learned == MTASTS_LEARNED_NOTHING     ? "nothing"
           : learned == MTASTS_LEARNED_NONE      ? "none"
           : learned == MTASTS_LEARNED_POLICY    ? "policy"
           : learned == MTASTS_LEARNED_FAILED    ? "failed"
           : learned == MTASTS_LEARNED_TEMPORARY ? "temporary"
                                                 : "UNKNOWN";
}

/* ==== 14 Memory ========================================================================== */

/* The block is a row of pieces, all places and sizes counted in units of 8 octets. Each begins with
 * a unit that says how long it is, whether it is free, and how long the one before it is, so that a
 * piece that becomes free is joined with free neighbours. Free ones are in lists by size, four to
 * every power of two: from a list above the size wanted any piece will do (good fit). The first
 * unit is not used, so that 0 is no place, and the last piece, without content, is never free. */
typedef struct mtastsi_piece {
    uint32_t size; /* with its head; the lowest bit: it is free */
    uint32_t before;
    uint32_t newer, older; /* neighbours in the list, if it is free */
} mtastsi_piece;

enum { MTASTSI_UNIT = 8, MTASTSI_PIECE_MIN = 2 };

static mtastsi_piece *mtastsi_piece_at(const mtasts_pool *pool, uint32_t at)
{
    return (mtastsi_piece *)(void *)(pool->block_ + (size_t)at * MTASTSI_UNIT);
}

/* The list for a free piece of this size; `up`: the first in which every piece is large enough. */
static unsigned mtastsi_bin(uint32_t size, int up)
{
    unsigned shift = 0;
    while (size >> shift >= 8)
        shift++;
    return shift * 4 + (size >> shift) + (up && size & ((1u << shift) - 1));
}

static void mtastsi_piece_free(mtasts_pool *pool, uint32_t at, uint32_t size)
{
    mtastsi_piece *piece = mtastsi_piece_at(pool, at);
    uint32_t *bin = &pool->bins_[mtastsi_bin(size, 0)];
    piece->size = size << 1 | 1;
    piece->newer = 0;
    piece->older = *bin;
    if (*bin)
        mtastsi_piece_at(pool, *bin)->newer = at;
    *bin = at;
    mtastsi_piece_at(pool, at + size)->before = size;
}

static void mtastsi_piece_taken(mtasts_pool *pool, uint32_t at)
{
    mtastsi_piece *piece = mtastsi_piece_at(pool, at);
    if (piece->newer)
        mtastsi_piece_at(pool, piece->newer)->older = piece->older;
    else
        pool->bins_[mtastsi_bin(piece->size >> 1, 0)] = piece->older;
    if (piece->older)
        mtastsi_piece_at(pool, piece->older)->newer = piece->newer;
    piece->size &= ~1u;
}

MTASTS_API void mtasts_pool_init(mtasts_pool *pool, void *block, size_t size)
{
    size_t skip = block ? (size_t)(-(uintptr_t)block & (MTASTSI_UNIT - 1)) : 0, units;
    memset(pool, 0, sizeof *pool);
    if (!block || size < skip + 8 * (size_t)MTASTSI_UNIT)
        return;
    units = (size - skip) / MTASTSI_UNIT;
    if (units > (size_t)1 << 30)
        units = (size_t)1 << 30;
    pool->block_ = (unsigned char *)block + skip;
    pool->end_ = (uint32_t)units - MTASTSI_PIECE_MIN;
    mtastsi_piece_at(pool, pool->end_)->size = 0;
    mtastsi_piece_at(pool, 1)->before = 0;
    mtastsi_piece_free(pool, 1, pool->end_ - 1);
}

MTASTS_API void *mtasts_pool_allocate(void *pool, size_t size)
{
    mtasts_pool *p = (mtasts_pool *)pool;
    uint32_t need, at, whole;
    const unsigned bins = sizeof p->bins_ / sizeof p->bins_[0];
    unsigned bin;
    if (!p->block_ || size > (size_t)p->end_ * MTASTSI_UNIT)
        return NULL;
    need = (uint32_t)((size + 2 * (size_t)MTASTSI_UNIT - 1) / MTASTSI_UNIT);
    if (need < MTASTSI_PIECE_MIN)
        need = MTASTSI_PIECE_MIN;
    for (bin = mtastsi_bin(need, 1); bin < bins && !p->bins_[bin]; bin++)
        ;
    at = p->bins_[bin < bins ? bin : mtastsi_bin(need, 0)];
    if (!at || mtastsi_piece_at(p, at)->size >> 1 < need)
        return NULL;
    mtastsi_piece_taken(p, at);
    whole = mtastsi_piece_at(p, at)->size >> 1;
    if (whole >= need + MTASTSI_PIECE_MIN) {
        mtastsi_piece_at(p, at)->size = need << 1;
        mtastsi_piece_at(p, at + need)->before = need;
        mtastsi_piece_free(p, at + need, whole - need);
    }
    return p->block_ + ((size_t)at + 1) * MTASTSI_UNIT;
}

MTASTS_API void mtasts_pool_release(void *pool, void *memory, size_t size)
{
    mtasts_pool *p = (mtasts_pool *)pool;
    uint32_t at, next, units;
    (void)size; /* it is in the piece's head */
    if (!memory)
        return;
    at = (uint32_t)((size_t)((unsigned char *)memory - p->block_) / MTASTSI_UNIT) - 1;
    units = mtastsi_piece_at(p, at)->size >> 1;
    next = at + units;
    if (mtastsi_piece_at(p, next)->size & 1) {
        units += mtastsi_piece_at(p, next)->size >> 1;
        mtastsi_piece_taken(p, next);
    }
    if (mtastsi_piece_at(p, at)->before &&
        mtastsi_piece_at(p, at - mtastsi_piece_at(p, at)->before)->size & 1) {
        at -= mtastsi_piece_at(p, at)->before;
        units += mtastsi_piece_at(p, at)->size >> 1;
        mtastsi_piece_taken(p, at);
    }
    mtastsi_piece_free(p, at, units);
}

/* ==== 15 Cache =========================================================================== */

/* SipHash-1-3 (Aumasson, Bernstein, 2012): the variant for hash tables, where nobody sees the
 * hashes. The round is a macro because it takes twice as long where a compiler does not inline it.
 * */
#define MTASTSI_ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define MTASTSI_SIP_ROUND(a, b, c, d)  \
    do {                               \
        a += b;                        \
        c += d;                        \
        b = MTASTSI_ROTATE(b, 13) ^ a; \
        d = MTASTSI_ROTATE(d, 16) ^ c; \
        a = MTASTSI_ROTATE(a, 32) + d; \
        c += b;                        \
        d = MTASTSI_ROTATE(d, 21) ^ a; \
        b = MTASTSI_ROTATE(b, 17) ^ c; \
        c = MTASTSI_ROTATE(c, 32);     \
    } while (0)

/* Eight octets, the first one lowest. */
static uint64_t mtastsi_word(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

static uint64_t mtastsi_hash(const unsigned char *key, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    uint64_t k0 = mtastsi_word(key), k1 = mtastsi_word(key + 8), last = (uint64_t)len << 56;
    uint64_t a = k0 ^ 0x736f6d6570736575u, b = k1 ^ 0x646f72616e646f6du;
    uint64_t c = k0 ^ 0x6c7967656e657261u, d = k1 ^ 0x7465646279746573u;
    size_t left;
    for (left = len; left >= 8; left -= 8) {
        uint64_t word = mtastsi_word(p);
        d ^= word;
        MTASTSI_SIP_ROUND(a, b, c, d);
        a ^= word;
        p += 8;
    }
    while (left--)
        last |= (uint64_t)p[left] << (8 * left);
    d ^= last;
    MTASTSI_SIP_ROUND(a, b, c, d);
    a ^= last;
    c ^= 0xff;
    MTASTSI_SIP_ROUND(a, b, c, d);
    MTASTSI_SIP_ROUND(a, b, c, d);
    MTASTSI_SIP_ROUND(a, b, c, d);
    return a ^ b ^ c ^ d;
}

/* What can be found in a table. Each kind has this as its first member. */
typedef struct mtastsi_link {
    struct mtastsi_link *chain; /* in its bucket */
    uint32_t hash, number;
} mtastsi_link;

/* Is there room for so much more that belongs to entries? */
static int mtastsi_may_keep(const mtasts_cache *cache, size_t size)
{
    size_t most = cache->config_.max_octets - cache->reserve_;
    size_t kept = cache->stats.octets - cache->working_;
    return !cache->config_.max_octets || (kept <= most && size <= most - kept);
}

/* Memory, counted. */
static void *mtastsi_get(mtasts_cache *cache, size_t size)
{
    const mtasts_cache_config *config = &cache->config_;
    void *p;
    cache->starved_ = cache->full_ = 0;
    if (!config->memory.allocate || (cache->putting_ && !mtastsi_may_keep(cache, size)))
        return NULL;
    cache->full_ = config->max_octets && size > config->max_octets - cache->stats.octets;
    if (cache->full_)
        return NULL;
    p = config->memory.allocate(config->memory.user, size);
    cache->starved_ = !p;
    if (p)
        cache->stats.octets += size;
    return p;
}

static void mtastsi_give_back(mtasts_cache *cache, void *p, size_t size)
{
    cache->config_.memory.release(cache->config_.memory.user, p, size);
    cache->stats.octets -= size;
}

/* An array of links in segments, so that growing moves nothing but the directory of segments. */
enum { MTASTSI_SEGMENT = 256, MTASTSI_TRIES = 64 };

static mtastsi_link **mtastsi_at(const mtastsi_array *a, size_t i)
{
    return &a->segments_[i / MTASTSI_SEGMENT][i % MTASTSI_SEGMENT];
}

static int mtastsi_array_room(mtasts_cache *cache, mtastsi_array *a)
{
    size_t segment = a->count_ / MTASTSI_SEGMENT, more = a->directory_ ? 2 * a->directory_ : 4;
    mtastsi_link ***grown, **added;
    if (a->count_ % MTASTSI_SEGMENT)
        return 1;
    if (segment == a->directory_) {
        grown = (mtastsi_link ***)mtastsi_get(cache, more * sizeof *grown);
        if (!grown)
            return 0;
        if (a->directory_) {
            memcpy(grown, a->segments_, a->directory_ * sizeof *grown);
            mtastsi_give_back(cache, a->segments_, a->directory_ * sizeof *grown);
        }
        a->segments_ = grown;
        a->directory_ = more;
    }
    added = (mtastsi_link **)mtastsi_get(cache, MTASTSI_SEGMENT * sizeof(mtastsi_link *));
    a->segments_[segment] = added;
    return added != NULL;
}

static int mtastsi_array_push(mtasts_cache *cache, mtastsi_array *a, mtastsi_link *link)
{
    if (!mtastsi_array_room(cache, a))
        return 0;
    *mtastsi_at(a, a->count_++) = link;
    return 1;
}

static void mtastsi_array_pop(mtasts_cache *cache, mtastsi_array *a)
{
    a->count_--;
    if (a->count_ % MTASTSI_SEGMENT == 0)
        mtastsi_give_back(cache, a->segments_[a->count_ / MTASTSI_SEGMENT],
                          MTASTSI_SEGMENT * sizeof(mtastsi_link *));
}

static void mtastsi_array_clear(mtasts_cache *cache, mtastsi_array *a)
{
    while (a->count_)
        mtastsi_array_pop(cache, a);
    if (a->directory_)
        mtastsi_give_back(cache, a->segments_, a->directory_ * sizeof *a->segments_);
    memset(a, 0, sizeof *a);
}

/* Linear hashing (Litwin, 1980): with each link that is added one bucket is split in two, in turn.
 * */
static mtastsi_link **mtastsi_bucket(const mtastsi_table *t, uint32_t hash)
{
    size_t b = hash & (2 * t->level_ - 1);
    if (b >= t->buckets_.count_)
        b &= t->level_ - 1;
    return mtastsi_at(&t->buckets_, b);
}

/* The links with this hash, among others; NULL: none. */
static mtastsi_link *mtastsi_chain(const mtastsi_table *t, uint32_t hash)
{
    return t->buckets_.count_ ? *mtastsi_bucket(t, hash) : NULL;
}

/* The order in a chain: by hash, then by place in memory, so that whoever goes through it knows
 * where he was whatever has come and gone. */
static int mtastsi_comes_after(const mtastsi_link *link, uint32_t hash, uintptr_t last)
{
    return link->hash > hash || (link->hash == hash && (uintptr_t)link > last);
}

static void mtastsi_split(mtasts_cache *cache, mtastsi_table *t)
{
    size_t count = t->buckets_.count_;
    mtastsi_link **from, **to, *link;
    if (!mtastsi_array_push(cache, &t->buckets_, NULL))
        return; /* chains get longer, no more */
    if (count == 2 * t->level_)
        t->level_ = count;
    if (!count) {
        t->level_ = 1;
        return;
    }
    from = mtastsi_at(&t->buckets_, count - t->level_);
    to = mtastsi_at(&t->buckets_, count);
    while ((link = *from) != NULL) {
        if ((link->hash & (2 * t->level_ - 1)) == count) {
            *from = link->chain;
            link->chain = NULL;
            *to = link;
            to = &link->chain;
        } else {
            from = &link->chain;
        }
    }
}

static int mtastsi_table_add(mtasts_cache *cache, mtastsi_table *t, mtastsi_link *link)
{
    mtastsi_link **at;
    if (t->count_ >= t->buckets_.count_)
        mtastsi_split(cache, t);
    if (!t->buckets_.count_)
        return 0;
    at = mtastsi_bucket(t, link->hash);
    while (*at && !mtastsi_comes_after(*at, link->hash, (uintptr_t)link))
        at = &(*at)->chain;
    link->chain = *at;
    *at = link;
    t->count_++;
    return 1;
}

static void mtastsi_table_remove(mtastsi_table *t, mtastsi_link *link)
{
    mtastsi_link **at = mtastsi_bucket(t, link->hash);
    while (*at != link)
        at = &(*at)->chain;
    *at = link->chain;
    t->count_--;
}

/* A policy that at least one entry, discovery or look-up has. link.number: how many. Its text
 * stands behind it. */
typedef struct mtastsi_text {
    mtastsi_link link;
    mtasts_policy policy;
    size_t entries; /* how many of them are entries */
} mtastsi_text;

static size_t mtastsi_text_size(const mtastsi_text *text)
{
    return sizeof *text + text->policy.text.len;
}

static uint32_t mtastsi_text_hash(const mtasts_cache *cache, const mtasts_policy *policy)
{
    return (uint32_t)mtastsi_hash(cache->config_.key, policy->text.ptr, policy->text.len);
}

/* The same policy in memory, once more; NULL: there is no room for it. */
static mtastsi_text *mtastsi_hold(mtasts_cache *cache, const mtasts_policy *policy, uint32_t hash)
{
    mtasts_str s = policy->text;
    mtastsi_link *link;
    mtastsi_text *text;
    for (link = mtastsi_chain(&cache->texts_, hash); link; link = link->chain) {
        text = (mtastsi_text *)(void *)link;
        if (link->hash == hash && text->policy.text.len == s.len &&
            memcmp(text->policy.text.ptr, s.ptr, s.len) == 0 && text->policy.mode == policy->mode &&
            text->policy.max_age == policy->max_age) {
            link->number++;
            return text;
        }
    }
    text = (mtastsi_text *)mtastsi_get(cache, sizeof *text + s.len);
    if (!text)
        return NULL;
    text->entries = 0;
    text->link.hash = hash;
    text->link.number = 1;
    text->policy = *policy;
    text->policy.text.ptr = (char *)(text + 1);
    memcpy(text + 1, s.ptr, s.len);
    if (!mtastsi_table_add(cache, &cache->texts_, &text->link)) {
        mtastsi_give_back(cache, text, sizeof *text + s.len);
        return NULL;
    }
    cache->stats.policies++;
    cache->working_ += mtastsi_text_size(text);
    return text;
}

static void mtastsi_let_go(mtasts_cache *cache, mtastsi_text *text)
{
    if (!text || --text->link.number)
        return;
    mtastsi_table_remove(&cache->texts_, &text->link);
    cache->working_ -= mtastsi_text_size(text);
    mtastsi_give_back(cache, text, mtastsi_text_size(text));
    cache->stats.policies--;
}

/* An entry. link.number: its place in the heap of its worth. Domain, id and trouble stand behind
 * it. Times are kept as differences, which go up to what the type holds: decades. */
typedef struct mtastsi_node {
    mtastsi_link link;
    mtastsi_text *text; /* NULL: an absence */
    int64_t fetched;
    uint32_t due; /* after fetched: refresh; of an absence, when all of it is of no use any more */
    int32_t checked, used;
    unsigned char worth, domain_len, id_len;
    unsigned char trouble; /* 0: none; else the length of failed_id, and 1 */
} mtastsi_node;

typedef struct mtastsi_trouble {
    int64_t retry, expires;
    uint32_t failures;
    mtasts_err failed;
    int no_record;
} mtastsi_trouble;

/* An entry's hold of a text. */
static void mtastsi_node_let_go(mtasts_cache *cache, mtastsi_text *text)
{
    if (text && !--text->entries)
        cache->working_ += mtastsi_text_size(text);
    mtastsi_let_go(cache, text);
}

static void mtastsi_node_hold(mtasts_cache *cache, mtastsi_node *node, mtastsi_text *text)
{
    if (text && !text->entries++)
        cache->working_ -= mtastsi_text_size(text);
    node->text = text;
}

static const char *mtastsi_node_text(const mtastsi_node *node)
{
    return (const char *)(node + 1);
}

static size_t mtastsi_node_size(const mtastsi_node *node)
{
    return sizeof *node + node->domain_len + node->id_len +
           (node->trouble ? sizeof(mtastsi_trouble) + node->trouble - 1 : 0);
}

static int64_t mtastsi_node_due(const mtastsi_link *link)
{
    const mtastsi_node *node = (const mtastsi_node *)(const void *)link;
    return mtastsi_add(node->fetched, node->due);
}

static int32_t mtastsi_difference(int64_t a, int64_t b)
{
    int64_t d = a - b;
    return d > INT32_MAX ? INT32_MAX : d < INT32_MIN ? INT32_MIN : (int32_t)d;
}

static void mtastsi_node_read(const mtastsi_node *node, mtasts_entry *out)
{
    mtastsi_trouble trouble;
    const char *text = mtastsi_node_text(node);
    memset(&trouble, 0, sizeof trouble);
    out->domain.ptr = text;
    out->domain.len = node->domain_len;
    text += node->domain_len;
    out->id.ptr = text;
    out->id.len = node->id_len;
    text += node->id_len;
    out->fetched = node->fetched;
    out->checked = node->fetched + node->checked;
    out->used = node->fetched + node->used;
    out->refresh = out->expires = mtastsi_node_due(&node->link);
    if (node->trouble) {
        memcpy(&trouble, text, sizeof trouble);
        out->expires = trouble.expires;
    }
    out->retry = trouble.retry;
    out->failures = trouble.failures;
    out->failed = trouble.failed;
    out->no_record = trouble.no_record;
    out->failed_id.ptr = node->trouble ? text + sizeof trouble : NULL;
    out->failed_id.len = node->trouble ? node->trouble - 1u : 0;
    if (node->text) {
        out->policy = node->text->policy;
        out->expires = mtastsi_entry_expiry(out);
    } else {
        memset(&out->policy, 0, sizeof out->policy);
        out->refresh = out->expires;
    }
}

/* A node without its texts: what there is to be known of it before there is room for it. */
static void mtastsi_node_init(mtastsi_node *node, const mtasts_entry *e, uint32_t hash)
{
    int64_t due = e->refresh;
    memset(node, 0, sizeof *node);
    if (!e->policy.text.ptr)
        due = e->failures && e->retry > e->expires ? e->retry : e->expires;
    node->link.hash = hash;
    node->fetched = e->fetched;
    node->due = due < e->fetched                ? 0
                : due - e->fetched > UINT32_MAX ? UINT32_MAX
                                                : (uint32_t)(due - e->fetched);
    node->checked = mtastsi_difference(e->checked, e->fetched);
    node->used = mtastsi_difference(e->used, e->fetched);
    node->worth = !e->policy.text.ptr                     ? MTASTS_WORTH_ABSENCE
                  : e->policy.mode != MTASTS_MODE_ENFORCE ? MTASTS_WORTH_LENIENT
                                                          : MTASTS_WORTH_ENFORCE;
    node->domain_len = (unsigned char)e->domain.len;
    node->id_len = (unsigned char)e->id.len;
    node->trouble = (unsigned char)(e->failures ? e->failed_id.len + 1 : 0);
}

/* The texts behind a node and its domain. They may come from there. */
static void mtastsi_node_write(mtastsi_node *node, const mtasts_entry *e)
{
    mtastsi_trouble trouble;
    char ids[2 * MTASTS_ID_MAX], *text = (char *)(node + 1);
    if (e->id.len)
        memcpy(ids, e->id.ptr, e->id.len);
    if (e->failures && e->failed_id.len)
        memcpy(ids + MTASTS_ID_MAX, e->failed_id.ptr, e->failed_id.len);
    text += node->domain_len;
    memcpy(text, ids, e->id.len);
    text += e->id.len;
    if (!e->failures)
        return;
    memset(&trouble, 0, sizeof trouble);
    trouble.retry = e->retry;
    trouble.expires = e->expires;
    trouble.failures = e->failures;
    trouble.failed = e->failed;
    trouble.no_record = e->no_record;
    memcpy(text, &trouble, sizeof trouble);
    memcpy(text + sizeof trouble, ids + MTASTS_ID_MAX, e->failed_id.len);
}

/* Heaps: the node that is due first is at 0. */
static void mtastsi_heap_set(const mtastsi_array *heap, size_t at, mtastsi_link *link)
{
    *mtastsi_at(heap, at) = link;
    link->number = (uint32_t)at;
}

/* Put a link where it belongs, given that `at` is free and all others are in order. */
static void mtastsi_heap_place(const mtastsi_array *heap, size_t at, mtastsi_link *link)
{
    int64_t due = mtastsi_node_due(link);
    size_t child;
    while (at && mtastsi_node_due(*mtastsi_at(heap, (at - 1) / 2)) > due) {
        mtastsi_heap_set(heap, at, *mtastsi_at(heap, (at - 1) / 2));
        at = (at - 1) / 2;
    }
    while ((child = 2 * at + 1) < heap->count_) {
        if (child + 1 < heap->count_ && mtastsi_node_due(*mtastsi_at(heap, child + 1)) <
                                            mtastsi_node_due(*mtastsi_at(heap, child)))
            child++;
        if (mtastsi_node_due(*mtastsi_at(heap, child)) >= due)
            break;
        mtastsi_heap_set(heap, at, *mtastsi_at(heap, child));
        at = child;
    }
    mtastsi_heap_set(heap, at, link);
}

static int mtastsi_heap_add(mtasts_cache *cache, unsigned worth, mtastsi_link *link)
{
    mtastsi_array *heap = &cache->heaps_[worth];
    if (!mtastsi_array_push(cache, heap, link))
        return 0;
    mtastsi_heap_place(heap, heap->count_ - 1, link);
    return 1;
}

static void mtastsi_heap_remove(mtasts_cache *cache, unsigned worth, size_t at)
{
    mtastsi_array *heap = &cache->heaps_[worth];
    mtastsi_link *last = *mtastsi_at(heap, heap->count_ - 1);
    mtastsi_array_pop(cache, heap);
    if (at < heap->count_)
        mtastsi_heap_place(heap, at, last);
}

static mtastsi_node *mtastsi_find(const mtasts_cache *cache, const char *domain, size_t len,
                                  uint32_t hash)
{
    mtastsi_link *link;
    for (link = mtastsi_chain(&cache->entries_, hash); link; link = link->chain) {
        mtastsi_node *node = (mtastsi_node *)(void *)link;
        if (link->hash == hash && node->domain_len == len &&
            memcmp(mtastsi_node_text(node), domain, len) == 0)
            return node;
    }
    return NULL;
}

static uint32_t mtastsi_domain_hash(const mtasts_cache *cache, const char *domain, size_t len)
{
    return (uint32_t)mtastsi_hash(cache->config_.key, domain, len);
}

static mtastsi_node *mtastsi_find_domain(const mtasts_cache *cache, const char *domain, size_t len)
{
    return domain ? mtastsi_find(cache, domain, len, mtastsi_domain_hash(cache, domain, len))
                  : NULL;
}

static void mtastsi_node_free(mtasts_cache *cache, mtastsi_node *node)
{
    mtastsi_node_let_go(cache, node->text);
    mtastsi_give_back(cache, node, mtastsi_node_size(node));
}

static void mtastsi_node_remove(mtasts_cache *cache, mtastsi_node *node)
{
    mtastsi_table_remove(&cache->entries_, &node->link);
    mtastsi_heap_remove(cache, node->worth, node->link.number);
    cache->stats.entries[node->worth]--;
    mtastsi_node_free(cache, node);
}

/* Of these policies the one that has not been used for longest, in a sample; not `keep`. */
static mtastsi_node *mtastsi_least_used(mtasts_cache *cache, const mtastsi_array *heap,
                                        const mtastsi_node *keep)
{
    mtastsi_node *node, *best = NULL;
    size_t i;
    for (i = 0; i < 16 && i < heap->count_; i++) {
        node = (mtastsi_node *)(void *)*mtastsi_at(heap, cache->hand_++ % heap->count_);
        if (node != keep && (!best || node->fetched + node->used < best->fetched + best->used))
            best = node;
    }
    return best;
}

/* The node that is due first, or next if that is `keep`. */
static mtastsi_node *mtastsi_first_but(const mtastsi_array *heap, const mtastsi_node *keep)
{
    mtastsi_link *link = NULL;
    size_t i;
    for (i = 0; i < 3 && i < heap->count_; i++) {
        mtastsi_link *other = *mtastsi_at(heap, i);
        if (keep != (mtastsi_node *)(void *)other &&
            (!link || mtastsi_node_due(other) < mtastsi_node_due(link)))
            link = other;
    }
    return (mtastsi_node *)(void *)link;
}

/* Make room by putting out one entry that is worth no more than this; never `keep`. */
static int mtastsi_evict(mtasts_cache *cache, unsigned worth, const mtastsi_node *keep)
{
    mtastsi_node *victim = NULL;
    mtasts_entry entry;
    unsigned w;
    for (w = 0; w <= worth && !victim; w++) {
        const mtastsi_array *heap = &cache->heaps_[w];
        victim = w > MTASTS_WORTH_ABSENCE ? mtastsi_least_used(cache, heap, keep)
                                          : mtastsi_first_but(heap, keep);
    }
    if (!victim)
        return 0;
    cache->stats.evicted[victim->worth]++;
    if (cache->config_.evicted) {
        mtastsi_node_read(victim, &entry);
        cache->config_.evicted(cache->config_.user, &entry);
    }
    mtastsi_node_remove(cache, victim);
    return 1;
}

/* The same after something found no room, `tries` times at most if it was not our own bound: the
 * host's memory may be short whatever is put out. If the bound is reached because of discoveries,
 * no enforced policy has to go for that. */
static int mtastsi_evict_again(mtasts_cache *cache, unsigned worth, const mtastsi_node *keep,
                               size_t *tries)
{
    if (cache->starved_ && !(*tries)--)
        return 0;
    if (cache->full_ && cache->reserve_ && worth > MTASTS_WORTH_LENIENT)
        worth = MTASTS_WORTH_LENIENT;
    return mtastsi_evict(cache, worth, keep);
}

/* Another entry in the same node, which has room for it. */
static int mtastsi_node_change(mtasts_cache *cache, mtastsi_node *node, const mtastsi_node *made)
{
    mtastsi_node before = *node;
    node->fetched = made->fetched;
    node->due = made->due;
    if (made->worth == before.worth) {
        mtastsi_heap_place(&cache->heaps_[made->worth], before.link.number, &node->link);
    } else if (mtastsi_heap_add(cache, made->worth, &node->link)) {
        mtastsi_heap_remove(cache, before.worth, before.link.number);
    } else {
        *node = before;
        return 0;
    }
    cache->stats.entries[before.worth]--;
    cache->stats.entries[made->worth]++;
    node->checked = made->checked;
    node->used = made->used;
    node->worth = made->worth;
    return 1;
}

/* A node for `made`, in table and heap. */
static mtastsi_node *mtastsi_node_new(mtasts_cache *cache, const mtastsi_node *made)
{
    size_t size = mtastsi_node_size(made);
    mtastsi_node *node = (mtastsi_node *)mtastsi_get(cache, size);
    if (!node)
        return NULL;
    *node = *made;
    if (mtastsi_heap_add(cache, node->worth, &node->link)) {
        if (mtastsi_table_add(cache, &cache->entries_, &node->link)) {
            cache->stats.entries[node->worth]++;
            return node;
        }
        mtastsi_heap_remove(cache, node->worth, node->link.number);
    }
    mtastsi_give_back(cache, node, size);
    return NULL;
}

/* Keep the entry if there is room for it as things are. `old`: the one that it replaces, or NULL.
 * */
static int mtastsi_try_put(mtasts_cache *cache, const mtastsi_node *made, uint32_t text_hash,
                           const mtasts_entry *e, mtastsi_node *old)
{
    mtastsi_text *text = NULL;
    mtastsi_node *node = old;
    cache->starved_ = cache->full_ = 0;
    if (!old && cache->config_.max_entries && cache->entries_.count_ >= cache->config_.max_entries)
        return 0;
    if (e->policy.text.ptr && (text = mtastsi_hold(cache, &e->policy, text_hash)) == NULL)
        return 0;
    if (text && !text->entries && !mtastsi_may_keep(cache, mtastsi_text_size(text))) {
        mtastsi_let_go(cache, text);
        return 0;
    }
    if (!old || old->id_len != made->id_len || old->trouble != made->trouble)
        node = mtastsi_node_new(cache, made);
    else if (!mtastsi_node_change(cache, old, made))
        node = NULL;
    if (!node) {
        mtastsi_let_go(cache, text);
        return 0;
    }
    if (node != old)
        memcpy(node + 1, e->domain.ptr, e->domain.len);
    mtastsi_node_write(node, e);
    if (old && old != node)
        mtastsi_node_remove(cache, old);
    else if (old)
        mtastsi_node_let_go(cache, old->text);
    mtastsi_node_hold(cache, node, text);
    return 1;
}

MTASTS_API mtasts_err mtasts_cache_init(mtasts_cache *cache, const mtasts_cache_config *config)
{
    static const unsigned char zero[MTASTS_KEY_SIZE] = {0};
    memset(cache, 0, sizeof *cache);
    if (!config->memory.allocate || !config->memory.release ||
        memcmp(config->key, zero, sizeof zero) == 0)
        return MTASTS_ERR_USAGE;
    cache->config_ = *config;
    return MTASTS_OK;
}

MTASTS_API void mtasts_cache_clear(mtasts_cache *cache)
{
    unsigned worth;
    size_t i;
    for (worth = 0; worth < 3; worth++) {
        for (i = 0; i < cache->heaps_[worth].count_; i++)
            mtastsi_node_free(cache, (mtastsi_node *)(void *)*mtastsi_at(&cache->heaps_[worth], i));
        mtastsi_array_clear(cache, &cache->heaps_[worth]);
        cache->stats.entries[worth] = 0;
    }
    mtastsi_array_clear(cache, &cache->entries_.buckets_);
    mtastsi_array_clear(cache, &cache->texts_.buckets_);
    cache->entries_.count_ = cache->entries_.level_ = 0;
    cache->texts_.count_ = cache->texts_.level_ = 0;
}

/* Read a node, and bring it back if it lies after now, for good: else it would do so again. */
static void mtastsi_node_now(mtasts_cache *cache, mtastsi_node *node, int64_t now, mtasts_entry *e)
{
    mtastsi_node made;
    mtasts_entry before;
    mtastsi_node_read(node, e);
    before = *e;
    mtastsi_entry_clamp(e, now);
    if (e->fetched == before.fetched && e->checked == before.checked && e->used == before.used &&
        e->expires == before.expires && (!e->failures || e->retry == before.retry))
        return;
    mtastsi_node_init(&made, e, node->link.hash);
    mtastsi_node_change(cache, node, &made);
    mtastsi_node_write(node, e);
}

MTASTS_API int mtasts_cache_get(mtasts_cache *cache, const char *domain, size_t len, int64_t now,
                                mtasts_entry *out)
{
    mtastsi_node *node = mtastsi_find_domain(cache, domain, len);
    if (!node) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    mtastsi_node_now(cache, node, mtastsi_since_1970(now), out);
    return 1;
}

MTASTS_API mtasts_err mtasts_cache_put(mtasts_cache *cache, const mtasts_entry *entry, int64_t now)
{
    mtasts_entry e = *entry;
    mtastsi_node made, *old;
    uint32_t text_hash = 0;
    size_t most, tries = MTASTSI_TRIES;
    int put, fits;
    if (!e.domain.ptr || !mtastsi_entry_ok(&e))
        return MTASTS_ERR_USAGE;
    mtastsi_entry_clamp(&e, mtastsi_since_1970(now));
    mtastsi_node_init(&made, &e, mtastsi_domain_hash(cache, e.domain.ptr, e.domain.len));
    old = mtastsi_find(cache, e.domain.ptr, e.domain.len, made.link.hash);
    if (e.policy.text.ptr)
        text_hash = mtastsi_text_hash(cache, &e.policy);
    most = cache->config_.max_octets - cache->reserve_;
    fits = !most || mtastsi_node_size(&made) + e.policy.text.len + sizeof(mtastsi_text) <= most;
    cache->putting_ = 1;
    while (!(put = mtastsi_try_put(cache, &made, text_hash, &e, old)))
        if (!fits || !mtastsi_evict_again(cache, made.worth, old, &tries))
            break;
    cache->putting_ = 0;
    cache->stats.refused += !put;
    return put ? MTASTS_OK : MTASTS_ERR_LIMIT;
}

MTASTS_API int mtasts_cache_remove(mtasts_cache *cache, const char *domain, size_t len)
{
    mtastsi_node *node = mtastsi_find_domain(cache, domain, len);
    if (node)
        mtastsi_node_remove(cache, node);
    return node != NULL;
}

MTASTS_API void mtasts_cache_touch(mtasts_cache *cache, const char *domain, size_t len, int64_t now)
{
    mtastsi_node *node = mtastsi_find_domain(cache, domain, len);
    if (node)
        node->used = mtastsi_difference(mtastsi_since_1970(now), node->fetched);
}

/* The node that is due first; NULL: there is none. */
static mtastsi_node *mtastsi_first_due(const mtasts_cache *cache)
{
    mtastsi_link *first = NULL, *link;
    unsigned worth;
    for (worth = 0; worth < 3; worth++) {
        if (!cache->heaps_[worth].count_)
            continue;
        link = *mtastsi_at(&cache->heaps_[worth], 0);
        if (!first || mtastsi_node_due(link) < mtastsi_node_due(first))
            first = link;
    }
    return (mtastsi_node *)(void *)first;
}

MTASTS_API int64_t mtasts_cache_next_due(const mtasts_cache *cache)
{
    const mtastsi_node *node = mtastsi_first_due(cache);
    return node ? mtastsi_node_due(&node->link) : INT64_MAX;
}

MTASTS_API int mtasts_cache_due(const mtasts_cache *cache, int64_t now, mtasts_entry *out)
{
    const mtastsi_node *node = mtastsi_first_due(cache);
    if (node && mtastsi_node_due(&node->link) <= mtastsi_since_1970(now)) {
        mtastsi_node_read(node, out);
        return 1;
    }
    memset(out, 0, sizeof *out);
    return 0;
}

MTASTS_API int mtasts_cache_next(const mtasts_cache *cache, mtasts_cursor *cursor,
                                 mtasts_entry *out)
{
    mtastsi_link *link;
    memset(out, 0, sizeof *out);
    while (cursor->bucket_ < cache->entries_.buckets_.count_) {
        for (link = *mtastsi_at(&cache->entries_.buckets_, cursor->bucket_); link;
             link = link->chain) {
            if (mtastsi_comes_after(link, cursor->hash_, cursor->last_)) {
                cursor->hash_ = link->hash;
                cursor->last_ = (uintptr_t)link;
                mtastsi_node_read((mtastsi_node *)(void *)link, out);
                return 1;
            }
        }
        cursor->bucket_++;
        cursor->hash_ = 0;
        cursor->last_ = 0;
    }
    return 0;
}

MTASTS_API size_t mtasts_cache_purge(mtasts_cache *cache, int64_t now)
{
    size_t i, purged = 0;
    unsigned worth;
    mtasts_entry e;
    for (worth = 0; worth < 3; worth++) {
        const mtastsi_array *heap = &cache->heaps_[worth];
        for (i = heap->count_; i-- > 0;) {
            /* what takes the place of one that is removed is looked at, too */
            while (i < heap->count_) {
                mtastsi_node *node = (mtastsi_node *)(void *)*mtastsi_at(heap, i);
                mtastsi_node_read(node, &e);
                if (mtasts_entry_keep(&e, now))
                    break;
                mtastsi_node_remove(cache, node);
                purged++;
            }
        }
    }
    return purged;
}

/* ==== 16 Client ========================================================================== */

/* One discovery, and all who wait for it. */
typedef struct mtastsi_flight {
    mtastsi_link link;          /* in the table of flights, by the hash of the domain */
    mtastsi_ring ring;          /* among all flights, in the order of their beginning */
    mtastsi_ring turn;          /* among those that have an answer which was not acted on */
    mtastsi_ring waiting;       /* look-ups */
    mtastsi_text *base, *fresh; /* the policies that the discovery points to */
    char *saving;               /* the text that the host is saving */
    size_t saving_size;
    int64_t deadline;
    mtasts_discovery d;
    uint32_t asked; /* the ticket that the host was last given */
    int has_asked;  /* it was */
    int idle;       /* at first nobody waited for it */
    int queued;     /* to be begun by a tick */
    int begun;      /* it was */
    int forced;     /* the administrator wants the policy fetched */
    int landed;     /* all is learned, those who waited were told */
    int discard;    /* what was known at its beginning must not be kept */
    int expired;    /* that it is over was told */
    uint32_t timeout;
} mtastsi_flight;

enum { MTASTSI_CHECK = 1 };
enum { MTASTSI_IDLE, MTASTSI_ASKING, MTASTSI_WAITING, MTASTSI_ANSWERED, MTASTSI_OPEN };

#define MTASTSI_FLIGHT(pointer, member) \
    ((mtastsi_flight *)(void *)((char *)(pointer)-offsetof(mtastsi_flight, member)))
#define MTASTSI_LOOKUP(pointer) \
    ((mtasts_lookup *)(void *)((char *)(pointer)-offsetof(mtasts_lookup, ring_)))

static void mtastsi_ring_init(mtastsi_ring *ring)
{
    ring->newer = ring->older = ring;
}

static void mtastsi_ring_remove(mtastsi_ring *one)
{
    one->older->newer = one->newer;
    one->newer->older = one->older;
    mtastsi_ring_init(one);
}

/* Behind all others; ring->newer is the first of them. */
static void mtastsi_ring_add(mtastsi_ring *ring, mtastsi_ring *one)
{
    one->newer = ring;
    one->older = ring->older;
    ring->older->newer = one;
    ring->older = one;
}

static void mtastsi_read_clock(mtasts_client *c)
{
    c->busy_++;
    c->deaf_++;
    c->now_ = mtastsi_since_1970(c->host_.clock(c->host_.user));
    c->deaf_--;
    c->busy_--;
}

/* May a public function do its work? Not from inside a callback. */
static int mtastsi_enter(mtasts_client *c)
{
    if (!c->ready_ || c->busy_)
        return 0;
    mtastsi_read_clock(c);
    return 1;
}

static void mtastsi_event(mtasts_client *c, mtasts_event_kind kind, const char *domain,
                          const mtasts_diag *diag, mtasts_mode mode, mtasts_mode before,
                          int64_t expires)
{
    mtasts_event event;
    c->counters.events[kind]++;
    if (!c->host_.event)
        return;
    event.kind = kind;
    event.domain = domain;
    event.diag = *diag;
    event.mode = mode;
    event.before = before;
    event.left = expires > c->now_ ? expires - c->now_ : 0;
    c->busy_++;
    c->deaf_++;
    c->host_.event(c->host_.user, &event);
    c->deaf_--;
    c->busy_--;
}

/* An event that is about the host's own doing, or ours. */
static void mtastsi_mishap(mtasts_client *c, mtasts_event_kind kind, const char *domain,
                           mtasts_err err)
{
    mtasts_diag diag;
    mtastsi_say(&diag, err, 0, "");
    mtastsi_event(c, kind, domain, &diag, MTASTS_MODE_NONE, MTASTS_MODE_NONE, 0);
}

/* An event about an entry that goes. */
static void mtastsi_event_gone(mtasts_client *c, mtasts_event_kind kind, const mtasts_entry *e)
{
    mtasts_diag diag;
    char domain[MTASTS_NAME_SIZE];
    memcpy(domain, e->domain.ptr, e->domain.len);
    domain[e->domain.len] = '\0';
    mtastsi_say(&diag, MTASTS_OK, 0, "");
    mtastsi_event(c, kind, domain, &diag, e->policy.mode, e->policy.mode, e->expires);
}

/* The host's memory: a callback like the others, in which the client may not be called. */
static void *mtastsi_allocate(void *user, size_t size)
{
    mtasts_client *c = (mtasts_client *)user;
    void *p;
    c->busy_++;
    c->deaf_++;
    p = c->host_.memory.allocate(c->host_.memory.user, size);
    c->deaf_--;
    c->busy_--;
    return p;
}

static void mtastsi_release(void *user, void *memory, size_t size)
{
    mtasts_client *c = (mtasts_client *)user;
    c->busy_++;
    c->deaf_++;
    c->host_.memory.release(c->host_.memory.user, memory, size);
    c->deaf_--;
    c->busy_--;
}

static void mtastsi_evicted(void *user, const mtasts_entry *e)
{
    if (e->policy.text.ptr)
        mtastsi_event_gone((mtasts_client *)user, MTASTS_EVENT_EVICTED, e);
}

static void mtastsi_give_room(mtasts_client *c, void *p, size_t size)
{
    c->cache_.working_ -= size;
    mtastsi_give_back(&c->cache_, p, size);
}

/* Memory for a discovery. A quarter of the bound is theirs; for more, what is worth little has to
 * give way, but never an enforced policy, nor `keep`. */
static void *mtastsi_make_room(mtasts_client *c, size_t size, const mtastsi_node *keep)
{
    size_t tries = MTASTSI_TRIES;
    void *p;
    while ((p = mtastsi_get(&c->cache_, size)) == NULL)
        if (!mtastsi_evict_again(&c->cache_, MTASTS_WORTH_LENIENT, keep, &tries))
            return NULL;
    c->cache_.working_ += size;
    return p;
}

/* The same for a policy. One that is too large for the quarter is not worth the others. */
static mtastsi_text *mtastsi_hold_in_flight(mtasts_client *c, const mtasts_policy *policy)
{
    size_t tries = MTASTSI_TRIES, most = c->cache_.reserve_;
    uint32_t hash = mtastsi_text_hash(&c->cache_, policy);
    mtastsi_text *text;
    while ((text = mtastsi_hold(&c->cache_, policy, hash)) == NULL)
        if ((most && sizeof *text + policy->text.len > most) ||
            !mtastsi_evict_again(&c->cache_, MTASTS_WORTH_LENIENT, NULL, &tries))
            break;
    return text;
}

static uint64_t mtastsi_draw(mtasts_client *c)
{
    c->drawn_++;
    return mtastsi_hash(c->cache_.config_.key, &c->drawn_, sizeof c->drawn_);
}

/* The discovery of a domain that a look-up can join. */
static mtastsi_flight *mtastsi_flight_of(const mtasts_client *c, const char *domain)
{
    size_t len = mtastsi_len(domain);
    uint32_t hash = mtastsi_domain_hash(&c->cache_, domain, len);
    mtastsi_link *link;
    for (link = mtastsi_chain(&c->flights_, hash); link; link = link->chain) {
        mtastsi_flight *f = (mtastsi_flight *)(void *)link;
        if (link->hash == hash && !f->landed && !f->discard &&
            memcmp(f->d.domain_, domain, len + 1) == 0)
            return f;
    }
    return NULL;
}

static mtastsi_flight *mtastsi_flight_with(const mtasts_client *c, uint64_t ticket)
{
    mtastsi_link *link;
    for (link = mtastsi_chain(&c->flights_, (uint32_t)(ticket >> 32)); link; link = link->chain) {
        mtastsi_flight *f = (mtastsi_flight *)(void *)link;
        if (link->hash == ticket >> 32 && f->has_asked && f->asked == (uint32_t)ticket &&
            f->d.ticket_ == f->asked)
            return f;
    }
    return NULL;
}

static void mtastsi_flight_free(mtasts_client *c, mtastsi_flight *f)
{
    mtastsi_ring_remove(&f->ring);
    mtastsi_ring_remove(&f->turn);
    mtastsi_table_remove(&c->flights_, &f->link);
    mtastsi_let_go(&c->cache_, f->base);
    mtastsi_let_go(&c->cache_, f->fresh);
    if (f->saving)
        mtastsi_give_room(c, f->saving, f->saving_size);
    c->idle_ -= (uint32_t)f->idle;
    mtastsi_give_room(c, f, sizeof *f);
    c->counters.discoveries--;
}

/* A discovery that knows what is in memory; NULL: no room for one more. `idle`: nobody waits for
 * it. An eighth of the places is for those alone: else who keeps the rest busy could keep a policy
 * from being refreshed until it has expired. */
static mtastsi_flight *mtastsi_flight_new(mtasts_client *c, const char *domain, unsigned flags,
                                          int idle)
{
    size_t len = mtastsi_len(domain);
    mtastsi_node *node;
    mtastsi_flight *f;
    mtasts_entry e;
    if (c->counters.discoveries >= c->host_.max_lookups - (idle ? 0 : c->host_.max_lookups / 8))
        return NULL;
    node = mtastsi_find_domain(&c->cache_, domain, len);
    f = (mtastsi_flight *)mtastsi_make_room(c, sizeof *f, node);
    if (!f)
        return NULL;
    memset(f, 0, sizeof *f);
    mtastsi_ring_init(&f->waiting);
    mtastsi_ring_init(&f->turn);
    f->link.hash = mtastsi_domain_hash(&c->cache_, domain, len);
    if (!mtastsi_table_add(&c->cache_, &c->flights_, &f->link)) {
        mtastsi_give_room(c, f, sizeof *f);
        return NULL;
    }
    mtastsi_ring_add(&c->flying_ring_, &f->ring);
    c->counters.discoveries++;
    f->idle = idle;
    c->idle_ += (uint32_t)idle;
    if (node) {
        mtastsi_node_read(node, &e);
        f->base = node->text;
        if (f->base)
            f->base->link.number++;
    }
    if (!c->host_.load)
        flags |= MTASTS_NO_STORE;
    mtasts_discovery_init(&f->d, domain, len, node ? &e : NULL, flags, mtastsi_draw(c), c->now_,
                          NULL);
    return f;
}

/* May a discovery be begun that nobody waits for? Half of the places are for those who wait. */
static int mtastsi_may_begin(const mtasts_client *c)
{
    return c->counters.discoveries < c->host_.max_lookups - c->host_.max_lookups / 2 ||
           c->idle_ < c->host_.max_lookups / 8;
}

/* What was learned when the entry was made. */
static mtasts_learned mtastsi_known(const mtasts_entry *e, mtasts_diag *diag)
{
    int failed = e->failures && !e->no_record;
    mtasts_err none = e->policy.text.ptr ? MTASTS_OK : MTASTS_ERR_NO_RECORD;
    mtastsi_say(diag, failed ? e->failed : none, 0, "");
    return failed               ? MTASTS_LEARNED_FAILED
           : e->policy.text.ptr ? MTASTS_LEARNED_POLICY
                                : MTASTS_LEARNED_NONE;
}

/* The answer, from what is known. `text` has the policy to honour, or is NULL. */
static void mtastsi_fill(mtasts_lookup *l, const mtasts_entry *e, mtastsi_text *text)
{
    l->text_ = text;
    l->policy = NULL;
    if (text) {
        text->link.number++;
        l->policy = &text->policy;
        l->expires = e->expires;
        mtastsi_copy_id(l->id, e->id.ptr, e->id.len);
    }
    if (l->learned == MTASTS_LEARNED_FAILED)
        l->result = mtasts_err_tlsrpt((int)e->failed);
}

/* It has its answer, which is good until its end. */
static void mtastsi_open(mtasts_client *c, mtasts_lookup *l)
{
    if (c->switch_ == MTASTS_SWITCH_FETCH)
        l->override = MTASTS_OVERRIDE_IGNORE;
    if (c->switch_ == MTASTS_SWITCH_OFF) {
        l->policy = NULL;
        l->learned = MTASTS_LEARNED_NOTHING;
    }
    c->counters.answers[l->learned]++;
    l->state_ = MTASTSI_OPEN;
    mtastsi_ring_add(&c->open_, &l->ring_);
}

/* All who wait get their answer; those who want to know it anew only when it is. */
static void mtastsi_tell(mtasts_client *c, mtastsi_flight *f, const mtasts_result *r, int cached)
{
    mtastsi_text *text = !r->honour ? NULL : r->fetched ? f->fresh : f->base;
    mtastsi_ring *at, *next;
    for (at = f->waiting.newer; at != &f->waiting; at = next) {
        mtasts_lookup *l = MTASTSI_LOOKUP(at);
        next = at->newer;
        if (cached && l->again_)
            continue;
        mtastsi_ring_remove(&l->ring_);
        l->learned = r->learned;
        l->diag = r->diag;
        l->cached = cached;
        mtastsi_fill(l, &r->entry, text);
        if (l->state_ == MTASTSI_ASKING) {
            mtastsi_open(c, l);
        } else {
            l->state_ = MTASTSI_ANSWERED;
            mtastsi_ring_add(&c->answered_, &l->ring_);
        }
    }
}

/* A policy was fetched. */
static void mtastsi_event_fetched(mtasts_client *c, const mtastsi_flight *f, const mtasts_result *r)
{
    mtasts_mode mode = f->base ? f->base->policy.mode : MTASTS_MODE_NONE;
    mtasts_event_kind kind = MTASTS_EVENT_FOUND;
    if (f->base)
        kind = r->policy.mode < mode ? MTASTS_EVENT_DOWNGRADED
               : f->fresh == f->base ? MTASTS_EVENT_RENEWED
                                     : MTASTS_EVENT_CHANGED;
    mtastsi_event(c, kind, f->d.domain_, &r->diag, r->policy.mode, mode, r->entry.expires);
}

/* None was, if it was tried. */
static void mtastsi_event_not_fetched(mtasts_client *c, const mtastsi_flight *f,
                                      const mtasts_result *r)
{
    mtasts_mode mode = f->base ? f->base->policy.mode : MTASTS_MODE_NONE;
    if (r->failed && !r->honour)
        mtastsi_event(c, MTASTS_EVENT_FETCH_FAILED, f->d.domain_, &r->diag, MTASTS_MODE_NONE, mode,
                      0);
    else if (r->failed && mode != MTASTS_MODE_NONE) /* RFC 8461 8.3 */
        mtastsi_event(c, MTASTS_EVENT_REFRESH_FAILED, f->d.domain_, &r->diag, r->policy.mode, mode,
                      r->entry.expires);
    if (r->diag.err == MTASTS_ERR_LIMIT)
        mtastsi_mishap(c, MTASTS_EVENT_NO_ROOM, f->d.domain_, MTASTS_ERR_LIMIT);
    if (f->base && !r->honour && !f->expired)
        mtastsi_event(c, MTASTS_EVENT_EXPIRED, f->d.domain_, &r->diag, mode, mode, 0);
}

/* Keep what was learned. If there is no room for it, what is there must not hide it: the store has
 * it, or an absence would be told where there is a policy. */
static void mtastsi_keep(mtasts_client *c, const mtastsi_flight *f, const mtasts_result *r)
{
    size_t len = mtastsi_len(f->d.domain_);
    mtastsi_node *node;
    if (r->keep && mtasts_cache_put(&c->cache_, &r->entry, c->now_) == MTASTS_OK)
        return;
    if (r->keep)
        mtastsi_mishap(c, MTASTS_EVENT_NO_ROOM, f->d.domain_, MTASTS_ERR_LIMIT);
    node = mtastsi_find(&c->cache_, f->d.domain_, len, f->link.hash);
    if (node && (!r->keep || (r->fetched && (c->host_.save || !node->text))))
        mtastsi_node_remove(&c->cache_, node);
}

/* What has happened to the entry in memory since the discovery took a copy of it: it was used, or
 * brought back to a clock that was set back. */
static void mtastsi_before_landing(mtasts_client *c, mtastsi_flight *f)
{
    mtasts_entry e, *own = &f->d.entry_;
    mtastsi_node *node =
        mtastsi_find(&c->cache_, f->d.domain_, mtastsi_len(f->d.domain_), f->link.hash);
    if (!node)
        return;
    mtastsi_node_now(&c->cache_, node, c->now_, &e);
    if (e.used > own->used)
        own->used = e.used;
    if (own->policy.text.ptr && own->policy.text.ptr == e.policy.text.ptr &&
        e.fetched < own->fetched && !(f->d.flags_ & MTASTSI_FETCHED))
        own->fetched = e.fetched;
}

/* A policy that came into memory meanwhile is as good as one that was known before: the one that
 * was fetched later counts. */
static void mtastsi_meet(mtasts_client *c, mtastsi_flight *f, mtasts_result *r)
{
    mtastsi_node *node =
        mtastsi_find(&c->cache_, f->d.domain_, mtastsi_len(f->d.domain_), f->link.hash);
    mtasts_entry e;
    if (!node || !node->text || r->fetched || (r->honour && node->fetched <= r->entry.fetched))
        return;
    mtastsi_node_read(node, &e);
    if (!mtasts_entry_valid(&e, c->now_))
        return;
    mtastsi_let_go(&c->cache_, f->base);
    f->base = node->text;
    f->base->link.number++;
    mtastsi_copy_id(f->d.id_, e.id.ptr, e.id.len); /* the node may go when this is kept */
    e.id.ptr = f->d.id_;
    e.domain = r->entry.domain;
    if (r->failed) {
        e.failures = r->entry.failures;
        e.failed = r->entry.failed;
        e.failed_id = r->entry.failed_id;
        e.retry = r->entry.retry;
    } else {
        mtastsi_copy_id(f->d.failed_id_, e.failed_id.ptr, e.failed_id.len);
        e.failed_id.ptr = f->d.failed_id_;
    }
    r->entry = e;
    r->policy = e.policy;
    r->honour = r->keep = 1;
    mtasts_discovery_cancel(&f->d); /* there is nothing to save */
}

/* It is to be flown on when no callback is under way. */
static void mtastsi_turn(mtasts_client *c, mtastsi_flight *f)
{
    mtastsi_ring_remove(&f->turn);
    mtastsi_ring_add(&c->turns_, &f->turn);
}

/* What a discovery that is under way knows of this domain counts no more. */
static void mtastsi_discard(mtasts_client *c, const char *domain)
{
    mtastsi_flight *f = mtastsi_flight_of(c, domain);
    if (!f)
        return;
    f->discard = 1;
    if (f->queued) {
        mtasts_discovery_cancel(&f->d);
        mtastsi_turn(c, f);
    }
}

/* All is learned: keep it, and tell. */
static void mtastsi_land(mtasts_client *c, mtastsi_flight *f)
{
    mtasts_result r;
    f->landed = 1;
    mtastsi_before_landing(c, f);
    mtasts_discovery_result(&f->d, c->now_, &r);
    if (r.fetched) /* there is another one if this was begun before the domain was forgotten */
        mtastsi_discard(c, f->d.domain_);
    mtastsi_meet(c, f, &r);
    if (f->discard && !r.fetched)
        mtasts_discovery_cancel(&f->d);
    else
        mtastsi_keep(c, f, &r);
    if (r.fetched)
        mtastsi_event_fetched(c, f, &r);
    else
        mtastsi_event_not_fetched(c, f, &r);
    mtastsi_tell(c, f, &r, 0);
}

static void mtastsi_drop(mtasts_client *c, const char *domain)
{
    if (!c->host_.drop)
        return;
    c->counters.drop++;
    c->busy_++;
    c->deaf_++;
    c->host_.drop(c->host_.user, domain);
    c->deaf_--;
    c->busy_--;
}

/* Have the entry stored. Without memory for its text that is the store's failure. */
static void mtastsi_save(mtasts_client *c, mtastsi_flight *f, uint64_t ticket)
{
    mtasts_result r;
    size_t len;
    mtasts_discovery_result(&f->d, c->now_, &r);
    mtasts_entry_write(NULL, 0, &len, &r.entry);
    f->saving = (char *)mtastsi_make_room(c, len + 1, NULL);
    if (!f->saving) {
        mtastsi_mishap(c, MTASTS_EVENT_STORE_FAILED, f->d.domain_, MTASTS_ERR_LIMIT);
        mtasts_discovery_cancel(&f->d);
        return;
    }
    f->saving_size = len + 1;
    mtasts_entry_write(f->saving, f->saving_size, &len, &r.entry);
    c->counters.save++;
    c->busy_++;
    c->host_.save(c->host_.user, ticket, f->d.domain_, f->saving, len);
    c->busy_--;
}

/* Hand a request to the host, which may answer before its callback returns. */
static void mtastsi_ask(mtasts_client *c, mtastsi_flight *f, const mtasts_request *r)
{
    const mtasts_host *h = &c->host_;
    uint64_t ticket = (uint64_t)f->link.hash << 32 | r->ticket;
    f->asked = r->ticket;
    f->has_asked = 1;
    f->timeout = r->want == MTASTS_WANT_TXT     ? h->dns_timeout
                 : r->want == MTASTS_WANT_HTTPS ? h->https_timeout
                                                : h->store_timeout;
    f->deadline = mtastsi_add(c->now_, f->timeout);
    if (r->want == MTASTS_WANT_SAVE) {
        mtastsi_save(c, f, ticket);
        return;
    }
    c->busy_++;
    if (r->want == MTASTS_WANT_TXT) {
        c->counters.txt++;
        h->txt(h->user, ticket, r->name);
    } else if (r->want == MTASTS_WANT_HTTPS) {
        c->counters.https++;
        h->https(h->user, ticket, r->domain, r->name);
    } else if (r->want == MTASTS_WANT_LOAD) {
        c->counters.load++;
        h->load(h->user, ticket, r->domain);
    } else {
        mtastsi_drop(c, r->domain);
        mtasts_discovery_cancel(&f->d);
    }
    c->busy_--;
}

/* As far as it gets without waiting for the host. */
static void mtastsi_fly(mtasts_client *c, mtastsi_flight *f)
{
    mtasts_request r;
    for (;;) {
        mtastsi_ring_remove(&f->turn);
        mtasts_discovery_want(&f->d, &r);
        if (!f->landed && r.want != MTASTS_WANT_LOAD && r.want != MTASTS_WANT_TXT &&
            r.want != MTASTS_WANT_HTTPS) {
            mtastsi_land(c, f);
            continue;
        }
        if (r.want == MTASTS_WANT_DONE) {
            mtastsi_flight_free(c, f);
            return;
        }
        if (f->queued || (f->has_asked && f->asked == r.ticket))
            return;
        mtastsi_ask(c, f, &r);
    }
}

/* Act on all answers, and tell those who were waiting for them. Nested calls, from inside `done`,
 * leave the telling to the outermost. */
static void mtastsi_settle(mtasts_client *c)
{
    while (c->turns_.newer != &c->turns_)
        mtastsi_fly(c, MTASTSI_FLIGHT(c->turns_.newer, turn));
    if (c->telling_)
        return;
    c->telling_ = 1;
    while (c->ready_ && c->answered_.newer != &c->answered_) {
        mtasts_lookup *l = MTASTSI_LOOKUP(c->answered_.newer);
        mtastsi_ring_remove(&l->ring_);
        mtastsi_open(c, l);
        if (l->done)
            l->done(l->user, l);
    }
    c->telling_ = 0;
}

MTASTS_API void mtasts_host_init(mtasts_host *host)
{
    memset(host, 0, sizeof *host);
    host->size = sizeof *host;
}

/* The host's zeros mean what is usual. */
static void mtastsi_defaults(mtasts_host *h)
{
    h->max_lookups = h->max_lookups ? h->max_lookups : 256;
    h->check_after = h->check_after ? h->check_after : 300;
    h->used_within = h->used_within ? h->used_within : 30 * 86400;
    h->dns_timeout = h->dns_timeout ? h->dns_timeout : 30;
    h->https_timeout = h->https_timeout ? h->https_timeout : MTASTS_FETCH_TIME_MAX;
    h->store_timeout = h->store_timeout ? h->store_timeout : 10;
}

/* Where memory comes from, and the key. */
static mtasts_err mtastsi_client_cache(mtasts_client *c)
{
    mtasts_host *h = &c->host_;
    mtasts_cache_config config;
    memset(&config, 0, sizeof config);
    config.memory.user = c;
    config.memory.allocate = h->memory.allocate ? mtastsi_allocate : NULL;
    config.memory.release = h->memory.release ? mtastsi_release : NULL;
    config.max_octets = h->max_octets;
    config.max_entries = h->max_entries;
    config.user = c;
    config.evicted = mtastsi_evicted;
    if (!h->memory.allocate && h->block) {
        mtasts_pool_init(&c->pool_, h->block, h->block_size);
        config.memory.user = &c->pool_;
        config.memory.allocate = mtasts_pool_allocate;
        config.memory.release = mtasts_pool_release;
        if (!h->max_octets)
            config.max_octets = h->block_size - h->block_size / 10;
    }
    memcpy(config.key, h->key, sizeof config.key);
    if (h->random) {
        c->busy_ = c->deaf_ = 1;
        if (!h->random(h->user, config.key, sizeof config.key))
            memset(config.key, 0, sizeof config.key);
        c->busy_ = c->deaf_ = 0;
    }
    if (mtasts_cache_init(&c->cache_, &config) != MTASTS_OK)
        return MTASTS_ERR_USAGE;
    c->cache_.reserve_ = config.max_octets / 4;
    return MTASTS_OK;
}

MTASTS_API mtasts_err mtasts_client_init(mtasts_client *client, const mtasts_host *host)
{
    memset(client, 0, sizeof *client);
    if (host->size != sizeof *host)
        return MTASTS_ERR_USAGE;
    client->host_ = *host;
    if (!host->clock || !host->txt || !host->https || !host->load != !host->save)
        return MTASTS_ERR_USAGE;
    mtastsi_defaults(&client->host_);
    mtastsi_ring_init(&client->flying_ring_);
    mtastsi_ring_init(&client->turns_);
    mtastsi_ring_init(&client->answered_);
    mtastsi_ring_init(&client->open_);
    client->ready_ = mtastsi_client_cache(client) == MTASTS_OK;
    return client->ready_ ? MTASTS_OK : MTASTS_ERR_USAGE;
}

/* A look-up is over, wherever it is. */
static void mtastsi_lookup_close(mtasts_client *c, mtasts_lookup *l)
{
    mtastsi_ring_remove(&l->ring_);
    mtastsi_let_go(&c->cache_, l->text_);
    l->text_ = NULL;
    l->policy = NULL;
    l->state_ = MTASTSI_IDLE;
}

static void mtastsi_close_all(mtasts_client *c, const mtastsi_ring *ring)
{
    while (ring->newer != ring)
        mtastsi_lookup_close(c, MTASTSI_LOOKUP(ring->newer));
}

MTASTS_API void mtasts_client_clear(mtasts_client *client)
{
    if (!client->ready_ || client->busy_)
        return;
    client->ready_ = 0;
    mtastsi_close_all(client, &client->answered_);
    mtastsi_close_all(client, &client->open_);
    while (client->flying_ring_.newer != &client->flying_ring_) {
        mtastsi_flight *f = MTASTSI_FLIGHT(client->flying_ring_.newer, ring);
        mtastsi_close_all(client, &f->waiting);
        mtastsi_flight_free(client, f);
    }
    mtastsi_array_clear(&client->cache_, &client->flights_.buckets_);
    mtasts_cache_clear(&client->cache_);
}

/* A new question, without an answer yet. */
static mtasts_err mtastsi_lookup_begin(mtasts_client *c, mtasts_lookup *l, const char *domain,
                                       size_t len)
{
    mtasts_str pinned = {NULL, 0};
    mtasts_err err = mtasts_name_normalise(l->domain, domain, len, &l->diag);
    l->policy = NULL;
    l->override = MTASTS_OVERRIDE_NONE;
    l->learned = MTASTS_LEARNED_NOTHING;
    l->result = MTASTS_TLSRPT_OK;
    l->cached = 0;
    l->expires = 0;
    l->text_ = NULL;
    memset(l->id, 0, sizeof l->id);
    if (err == MTASTS_ERR_NAME_ADDRESS) { /* RFC 8461 3.4 */
        l->learned = MTASTS_LEARNED_NONE;
        return MTASTS_OK;
    }
    if (err != MTASTS_OK)
        return err;
    if (c->host_.override && c->switch_ != MTASTS_SWITCH_OFF) {
        c->busy_++;
        c->deaf_++;
        l->override = c->host_.override(c->host_.user, l->domain, &pinned);
        c->deaf_--;
        c->busy_--;
    }
    if (!pinned.ptr)
        return MTASTS_MORE;
    err = mtasts_policy_parse(&l->pinned_, pinned.ptr, pinned.len, 0, &l->diag);
    if (err != MTASTS_OK)
        return err;
    l->policy = &l->pinned_;
    l->learned = MTASTS_LEARNED_POLICY;
    l->cached = 1;
    l->expires = INT64_MAX;
    return MTASTS_OK;
}

/* Is it time to check a known policy? 0: no; MTASTSI_CHECK: look at the record; MTASTS_REFRESH:
 * fetch the policy as well. */
static unsigned mtastsi_check_due(const mtasts_client *c, const mtasts_entry *e)
{
    if (c->now_ - e->checked < c->host_.check_after)
        return 0;
    return c->now_ >= e->refresh ? MTASTS_REFRESH : (unsigned)MTASTSI_CHECK;
}

/* Have a tick do it. */
static void mtastsi_check_later(mtasts_client *c, const mtasts_entry *e, const char *domain)
{
    unsigned due = mtastsi_check_due(c, e);
    mtastsi_flight *f;
    if (!due || !mtastsi_may_begin(c) || mtastsi_flight_of(c, domain))
        return;
    f = mtastsi_flight_new(c, domain, due & MTASTS_REFRESH, 1);
    if (f)
        f->queued = 1;
}

/* Is a policy used often enough to be refreshed? Thirty times for one use, or as often as the
 * host wants, at most. */
static int mtastsi_is_used(const mtasts_client *c, const mtasts_entry *e)
{
    return c->now_ - e->used <=
           c->host_.used_within * mtastsi_interval(&e->policy) / MTASTS_REFRESH_INTERVAL;
}

/* What is known is the answer. */
static int mtastsi_hit(mtasts_client *c, mtasts_lookup *l)
{
    mtastsi_node *node = mtastsi_find_domain(&c->cache_, l->domain, mtastsi_len(l->domain));
    mtasts_entry e;
    if (!node)
        return 0;
    mtastsi_node_now(&c->cache_, node, c->now_, &e);
    if (!mtasts_entry_valid(&e, c->now_))
        return 0;
    node->used = mtastsi_difference(c->now_, node->fetched);
    l->cached = 1;
    l->learned = mtastsi_known(&e, &l->diag);
    mtastsi_fill(l, &e, node->text);
    if (!e.policy.text.ptr)
        return 1;
    /* it was not used for long, and is now; but one of a short max_age is not checked each time */
    if (e.refresh == e.expires && (!mtastsi_is_used(c, &e) || mtastsi_check_due(c, &e))) {
        e.used = c->now_;
        e.refresh = mtastsi_add(e.fetched, mtastsi_interval(&e.policy));
        mtasts_cache_put(&c->cache_, &e, c->now_);
    }
    mtastsi_check_later(c, &e, l->domain);
    return 1;
}

/* The same of a discovery that is under way, if it began with a policy that is still valid. */
static int mtastsi_hit_in_flight(mtasts_client *c, mtasts_lookup *l)
{
    mtastsi_flight *f = mtastsi_flight_of(c, l->domain);
    mtasts_result r;
    if (!f)
        return 0;
    mtasts_discovery_result(&f->d, c->now_, &r);
    if (!r.honour)
        return 0;
    f->d.entry_.used = c->now_;
    l->cached = 1;
    l->learned = mtastsi_known(&r.entry, &l->diag);
    mtastsi_fill(l, &r.entry, f->base);
    return 1;
}

/* Wait for a discovery, which is begun if there is none. */
static mtasts_err mtastsi_join(mtasts_client *c, mtasts_lookup *l)
{
    mtastsi_flight *f = mtastsi_flight_of(c, l->domain);
    if (f)
        c->counters.joined++;
    else
        f = mtastsi_flight_new(c, l->domain, 0, 0);
    if (!f)
        return MTASTS_ERR_LIMIT;
    if (l->again_)
        f->d.flags_ |= MTASTS_REFRESH;
    f->d.entry_.used = c->now_;
    f->queued = 0;
    l->state_ = MTASTSI_ASKING;
    mtastsi_ring_add(&f->waiting, &l->ring_);
    mtastsi_turn(c, f);
    mtastsi_settle(c);
    if (l->state_ == MTASTSI_OPEN)
        return MTASTS_OK;
    if (l->state_ == MTASTSI_IDLE) /* the client was cleared from inside a `done` */
        return MTASTS_ERR_USAGE;
    l->state_ = MTASTSI_WAITING;
    return MTASTS_MORE;
}

MTASTS_API mtasts_err mtasts_client_lookup(mtasts_client *client, mtasts_lookup *lookup,
                                           const char *domain, size_t len, unsigned flags)
{
    mtasts_err err;
    if (lookup->state_ != MTASTSI_IDLE || flags & ~MTASTS_LOOKUP_AGAIN || !mtastsi_enter(client))
        return MTASTS_ERR_USAGE;
    client->counters.lookups++;
    err = mtastsi_lookup_begin(client, lookup, domain, len);
    lookup->again_ = (flags & MTASTS_LOOKUP_AGAIN) != 0;
    if (err == MTASTS_MORE && client->switch_ == MTASTS_SWITCH_OFF)
        err = MTASTS_OK;
    if (err == MTASTS_MORE && !lookup->again_ &&
        (mtastsi_hit(client, lookup) || mtastsi_hit_in_flight(client, lookup))) {
        client->counters.hits++;
        err = MTASTS_OK;
    }
    if (err == MTASTS_MORE)
        return mtastsi_join(client, lookup);
    if (err == MTASTS_OK)
        mtastsi_open(client, lookup);
    return err;
}

MTASTS_API void mtasts_client_end(mtasts_client *client, mtasts_lookup *lookup)
{
    if (!client->busy_ && lookup->state_ != MTASTSI_IDLE)
        mtastsi_lookup_close(client, lookup);
}

/* The discovery that an answer is for, or why there is none. */
static mtastsi_flight *mtastsi_answer_for(mtasts_client *c, uint64_t ticket, mtasts_want want,
                                          mtasts_err *err)
{
    mtastsi_flight *f;
    *err = MTASTS_ERR_USAGE;
    if (!c->ready_ || c->deaf_)
        return NULL;
    mtastsi_read_clock(c);
    f = mtastsi_flight_with(c, ticket);
    if (!f) {
        *err = MTASTS_ERR_STALE;
        mtastsi_mishap(c, MTASTS_EVENT_STALE, "", MTASTS_ERR_STALE);
    } else if (f->d.want_ != want) {
        f = NULL;
    }
    return f;
}

static mtasts_err mtastsi_given(mtasts_client *c, mtastsi_flight *f, mtasts_err err)
{
    mtastsi_turn(c, f);
    if (!c->busy_)
        mtastsi_settle(c);
    return err;
}

/* What came into memory while the store was asked counts as well. */
static void mtastsi_recall(mtasts_client *c, mtastsi_flight *f)
{
    mtastsi_node *node =
        mtastsi_find(&c->cache_, f->d.domain_, mtastsi_len(f->d.domain_), f->link.hash);
    mtasts_entry e;
    if (!node || !node->text || f->discard)
        return;
    mtastsi_node_read(node, &e);
    mtastsi_adopt(&f->d, &e, c->now_);
    if (f->d.entry_.policy.text.ptr == e.policy.text.ptr) {
        node->text->link.number++;
        mtastsi_let_go(&c->cache_, f->base);
        f->base = node->text;
    }
}

/* What the store has is known now. If it is a policy, nobody waits any longer, but who wants to
 * know it anew. */
static void mtastsi_loaded(mtasts_client *c, mtastsi_flight *f, mtasts_entry *e)
{
    mtasts_result r;
    mtastsi_text *text;
    unsigned due;
    int newer = 0, ahead = e && e->fetched > c->now_;
    mtastsi_expire(&f->d, c->now_); /* else the clock could bring it back when its text is gone */
    mtastsi_recall(c, f);
    if (e && e->policy.text.ptr && mtasts_entry_valid(e, c->now_)) {
        text = mtastsi_hold_in_flight(c, &e->policy);
        mtasts_discovery_result(&f->d, c->now_, &r);
        if (!text && !r.honour) { /* no answer is better than that there is none */
            mtastsi_say(&f->d.diag_, MTASTS_ERR_LIMIT, 0, "");
            f->d.learned_ = MTASTS_LEARNED_TEMPORARY;
            f->discard = 1;
            mtasts_discovery_cancel(&f->d);
            return;
        }
        if (!text || (r.honour && (ahead || e->fetched <= f->d.entry_.fetched))) {
            mtastsi_let_go(&c->cache_, text);
            memset(&e->policy, 0, sizeof e->policy);
            e->id.len = 0;
        } else {
            mtastsi_let_go(&c->cache_, f->base);
            f->base = text;
            e->policy = text->policy;
            newer = 1;
        }
    }
    mtastsi_give_entry(&f->d, c->now_, e);
    mtastsi_before_landing(c, f);
    mtasts_discovery_result(&f->d, c->now_, &r);
    if (!r.honour || f->discard)
        return;
    r.learned = mtastsi_known(&r.entry, &r.diag);
    mtastsi_keep(c, f, &r);
    mtastsi_tell(c, f, &r, 1);
    f->queued = f->waiting.newer == &f->waiting && !f->begun;
    if (f->waiting.newer != &f->waiting || f->forced || (f->begun && !newer))
        return;
    due = ahead ? MTASTS_REFRESH : mtastsi_check_due(c, &r.entry);
    f->d.flags_ = (f->d.flags_ & ~MTASTS_REFRESH) | (due & MTASTS_REFRESH);
    if (!due || (f->queued && !mtastsi_may_begin(c)))
        mtasts_discovery_cancel(&f->d);
}

MTASTS_API mtasts_err mtasts_client_give_load(mtasts_client *client, uint64_t ticket,
                                              mtasts_err status, const char *text, size_t len)
{
    mtasts_err err;
    mtasts_diag diag;
    mtasts_entry e;
    mtastsi_flight *f = mtastsi_answer_for(client, ticket, MTASTS_WANT_LOAD, &err);
    if (!f)
        return err;
    err = mtastsi_say(&diag, status, 0, "");
    if (status != MTASTS_OK)
        f->d.flags_ |= MTASTSI_BLIND | MTASTSI_UNREAD;
    else if (text && !f->discard)
        err = mtastsi_entry_parse(&e, f->d.domain_, mtastsi_len(f->d.domain_), text, len, &diag);
    if (err == MTASTS_ERR_ENTRY_VERSION)
        f->d.flags_ |= MTASTSI_BLIND;
    if (err != MTASTS_OK)
        mtastsi_event(client, MTASTS_EVENT_STORE_FAILED, f->d.domain_, &diag, MTASTS_MODE_NONE,
                      MTASTS_MODE_NONE, 0);
    mtastsi_loaded(client, f, text && err == MTASTS_OK && !f->discard ? &e : NULL);
    return mtastsi_given(client, f, status == MTASTS_OK ? err : MTASTS_OK);
}

MTASTS_API mtasts_err mtasts_client_give_txt(mtasts_client *client, uint64_t ticket,
                                             mtasts_err status, const mtasts_txt *records,
                                             size_t count, uint32_t ttl)
{
    mtasts_err err;
    mtastsi_flight *f = mtastsi_answer_for(client, ticket, MTASTS_WANT_TXT, &err);
    if (!f)
        return err;
    err = mtasts_discovery_give_txt(&f->d, f->asked, client->now_, status, records, count, ttl);
    return err == MTASTS_OK ? mtastsi_given(client, f, err) : err;
}

MTASTS_API mtasts_err mtasts_client_give_https(mtasts_client *client, uint64_t ticket,
                                               mtasts_err status, const char *body, size_t len)
{
    mtasts_err err;
    mtasts_policy policy;
    mtastsi_flight *f = mtastsi_answer_for(client, ticket, MTASTS_WANT_HTTPS, &err);
    if (!f)
        return err;
    if (status == MTASTS_OK && mtasts_policy_parse(&policy, body, len, 0, NULL) == MTASTS_OK) {
        f->fresh = mtastsi_hold_in_flight(client, &policy);
        if (f->fresh)
            body = f->fresh->policy.text.ptr;
        else
            status = MTASTS_ERR_LIMIT;
    }
    err = mtasts_discovery_give_https(&f->d, f->asked, client->now_, status, body, len);
    return err == MTASTS_OK ? mtastsi_given(client, f, err) : err;
}

MTASTS_API mtasts_err mtasts_client_give_save(mtasts_client *client, uint64_t ticket,
                                              mtasts_err status)
{
    mtasts_err err;
    mtastsi_flight *f = mtastsi_answer_for(client, ticket, MTASTS_WANT_SAVE, &err);
    if (!f)
        return err;
    if (status != MTASTS_OK)
        mtastsi_mishap(client, MTASTS_EVENT_STORE_FAILED, f->d.domain_, status);
    err = mtasts_discovery_give_save(&f->d, f->asked, client->now_, status);
    return mtastsi_given(client, f, err);
}

/* The host did not answer in time. */
static void mtastsi_time_out(mtasts_client *c, mtastsi_flight *f)
{
    mtasts_want want = f->d.want_;
    c->counters.timeouts++;
    if (want == MTASTS_WANT_TXT) {
        mtasts_discovery_give_txt(&f->d, f->asked, c->now_, MTASTS_ERR_DNS, NULL, 0, 0);
    } else if (want == MTASTS_WANT_HTTPS) {
        mtasts_discovery_give_https(&f->d, f->asked, c->now_, MTASTS_ERR_HTTPS_CONNECT, NULL, 0);
    } else {
        mtastsi_mishap(c, MTASTS_EVENT_STORE_FAILED, f->d.domain_, MTASTS_OK);
        f->d.flags_ |= MTASTSI_BLIND | MTASTSI_UNREAD;
        if (want == MTASTS_WANT_LOAD)
            mtastsi_loaded(c, f, NULL);
        else
            mtasts_discovery_cancel(&f->d);
    }
    mtastsi_turn(c, f);
}

static void mtastsi_time_outs(mtasts_client *c)
{
    mtastsi_ring *at;
    for (at = c->flying_ring_.newer; at != &c->flying_ring_; at = at->newer) {
        mtastsi_flight *f = MTASTSI_FLIGHT(at, ring);
        if (f->queued)
            continue;
        if (c->now_ >= f->deadline)
            mtastsi_time_out(c, f);
        else /* nor does a clock that jumps make anybody wait */
            f->deadline = mtastsi_least(f->deadline, mtastsi_add(c->now_, f->timeout));
    }
}

/* An entry is over. What remains of it is when to try again. */
static void mtastsi_over(mtasts_client *c, mtasts_entry *e, const char *domain)
{
    mtastsi_flight *f = mtastsi_flight_of(c, domain);
    if (f)
        f->expired = 1;
    if (e->policy.text.ptr)
        mtastsi_event_gone(c, MTASTS_EVENT_EXPIRED, e);
    memset(&e->policy, 0, sizeof e->policy);
    e->id.len = 0;
    e->fetched = e->expires = c->now_; /* what is left is of now: it has times near that */
    if (!e->failures || c->now_ >= e->retry ||
        mtasts_cache_put(&c->cache_, e, c->now_) != MTASTS_OK)
        mtasts_cache_remove(&c->cache_, domain, mtastsi_len(domain));
}

static void mtastsi_begin(mtasts_client *c, mtastsi_flight *f)
{
    f->queued = 0;
    f->begun = 1;
    c->counters.refreshes++;
    mtastsi_turn(c, f);
}

/* Deal with the entry that is due first. 1: that is done, go on; 0: there is none, or a refresh was
 * begun. */
static int mtastsi_deal(mtasts_client *c)
{
    char domain[MTASTS_NAME_SIZE];
    mtastsi_flight *f;
    mtasts_entry e;
    if (!mtasts_cache_due(&c->cache_, c->now_, &e))
        return 0;
    memcpy(domain, e.domain.ptr, e.domain.len);
    domain[e.domain.len] = '\0';
    if (!mtasts_entry_valid(&e, c->now_)) {
        mtastsi_over(c, &e, domain);
        return 1;
    }
    if (!mtastsi_is_used(c, &e)) {
        e.refresh = e.expires;
        mtasts_cache_put(&c->cache_, &e, c->now_);
        return 1;
    }
    if (!mtastsi_may_begin(c))
        return 0;
    e.refresh = mtastsi_least(e.expires, mtastsi_add(c->now_, MTASTS_RETRY_MIN));
    mtasts_cache_put(&c->cache_, &e, c->now_);
    if (mtastsi_flight_of(c, domain))
        return 1;
    f = mtastsi_flight_new(c, domain, MTASTS_REFRESH, 1);
    if (f)
        mtastsi_begin(c, f);
    return 0;
}

/* Begin the check that was put off first. */
static void mtastsi_begin_check(mtasts_client *c)
{
    mtastsi_ring *at;
    for (at = c->flying_ring_.newer; at != &c->flying_ring_; at = at->newer) {
        mtastsi_flight *f = MTASTSI_FLIGHT(at, ring);
        if (f->queued) {
            mtastsi_begin(c, f);
            return;
        }
    }
}

MTASTS_API int64_t mtasts_client_next(const mtasts_client *client)
{
    const mtasts_client *c = client;
    int64_t next = INT64_MAX;
    mtastsi_ring *at;
    if (!c->ready_ || c->busy_)
        return next;
    if (c->switch_ != MTASTS_SWITCH_OFF)
        next = mtasts_cache_next_due(&c->cache_);
    if (next <= c->now_ && !mtastsi_may_begin(c))
        next = mtastsi_add(c->now_, 1);
    for (at = c->flying_ring_.newer; at != &c->flying_ring_; at = at->newer) {
        const mtastsi_flight *f = MTASTSI_FLIGHT(at, ring);
        if (!f->queued)
            next = mtastsi_least(next, f->deadline);
        else if (c->switch_ != MTASTS_SWITCH_OFF)
            next = mtastsi_least(next, c->now_);
    }
    return next;
}

MTASTS_API int64_t mtasts_client_tick(mtasts_client *client)
{
    if (!mtastsi_enter(client))
        return INT64_MAX;
    mtastsi_time_outs(client);
    if (client->switch_ != MTASTS_SWITCH_OFF) {
        int most = 64; /* entries that are over: a tick takes a bounded time */
        while (most && mtastsi_deal(client))
            most--;
        if (client->turns_.newer == &client->turns_)
            mtastsi_begin_check(client);
    }
    mtastsi_settle(client);
    return mtasts_client_next(client);
}

MTASTS_API void mtasts_client_switch(mtasts_client *client, mtasts_switch to)
{
    mtastsi_ring *at;
    if (!mtastsi_enter(client))
        return;
    client->switch_ = to;
    if (to != MTASTS_SWITCH_OFF)
        return;
    for (at = client->flying_ring_.newer; at != &client->flying_ring_; at = at->newer) {
        mtastsi_flight *f = MTASTSI_FLIGHT(at, ring);
        if (!f->landed) {
            f->discard = 1;
            mtasts_discovery_cancel(&f->d);
            mtastsi_turn(client, f);
        }
    }
    mtastsi_settle(client);
}

MTASTS_API mtasts_err mtasts_client_import(mtasts_client *client, const char *domain,
                                           size_t domain_len, const char *text, size_t len,
                                           mtasts_diag *diag)
{
    mtasts_entry e;
    mtasts_err err;
    if (!mtastsi_enter(client))
        return mtastsi_say(diag, MTASTS_ERR_USAGE, 0, "");
    err = mtasts_entry_read(&e, domain, domain_len, text, len, client->now_, diag);
    if (err != MTASTS_OK || mtastsi_find_domain(&client->cache_, e.domain.ptr, e.domain.len))
        return err;
    err = mtasts_cache_put(&client->cache_, &e, client->now_);
    return mtastsi_say(diag, err, err == MTASTS_OK ? len : 0, "");
}

MTASTS_API mtasts_err mtasts_client_refresh(mtasts_client *client, const char *domain, size_t len)
{
    char name[MTASTS_NAME_SIZE];
    mtastsi_flight *f;
    mtasts_err err = mtasts_name_normalise(name, domain, len, NULL);
    if (err != MTASTS_OK)
        return err;
    if (!mtastsi_enter(client))
        return MTASTS_ERR_USAGE;
    f = mtastsi_flight_of(client, name);
    if (!f && mtastsi_may_begin(client)) {
        f = mtastsi_flight_new(client, name, 0, 1);
        if (f)
            f->queued = 1;
    }
    if (!f)
        return MTASTS_ERR_LIMIT;
    f->d.flags_ |= MTASTS_REFRESH;
    f->forced = 1;
    return MTASTS_OK;
}

MTASTS_API int mtasts_client_forget(mtasts_client *client, const char *domain, size_t len)
{
    char name[MTASTS_NAME_SIZE];
    if (mtasts_name_normalise(name, domain, len, NULL) != MTASTS_OK || !mtastsi_enter(client))
        return 0;
    mtastsi_discard(client, name);
    mtastsi_settle(client);
    mtastsi_drop(client, name);
    return mtasts_cache_remove(&client->cache_, name, mtastsi_len(name));
}

MTASTS_API int mtasts_client_entry(mtasts_client *client, const char *domain, size_t len,
                                   mtasts_entry *out)
{
    char name[MTASTS_NAME_SIZE];
    memset(out, 0, sizeof *out);
    if (mtasts_name_normalise(name, domain, len, NULL) != MTASTS_OK || !mtastsi_enter(client))
        return 0;
    return mtasts_cache_get(&client->cache_, name, mtastsi_len(name), client->now_, out);
}

MTASTS_API const mtasts_cache *mtasts_client_cache(const mtasts_client *client)
{
    return &client->cache_;
}

MTASTS_API const char *mtasts_event_name(int kind)
{
#define X(name, number, word, text) \
    case number:                    \
        return word;
    switch (kind) {
        MTASTS_EVENTS(X)
    default:
        return "UNKNOWN";
    }
#undef X
}

MTASTS_API const char *mtasts_event_text(int kind)
{
#define X(name, number, word, text) \
    case number:                    \
        return text;
    switch (kind) {
        MTASTS_EVENTS(X)
    default:
        return "";
    }
#undef X
}
#endif /* !MTASTS_PURE */

#ifdef __cplusplus
}
#endif
#undef MTASTSI_IS
#undef MTASTSI_LIKE
#undef MTASTSI_KEY_AT
#undef MTASTSI_RESULTS
#undef MTASTSI_ENTRY_MAGIC
#undef MTASTSI_ENTRY_HEAD
#undef MTASTSI_ROTATE
#undef MTASTSI_SIP_ROUND
#undef MTASTSI_FLIGHT
#undef MTASTSI_LOOKUP
#endif /* MTASTS_IMPLEMENTATION */
#undef MTASTSI_UNUSED

/* MIT License
 *
 * Copyright (c) 2026 The mtasts.h authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction,
 * including without limitation the rights to use, copy, modify, merge, publish, distribute,
 * sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
 * NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
