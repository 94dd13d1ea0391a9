/* mtasts.h 0.1.0 - MTA-STS (RFC 8461) for mail servers, in one C99 header
 * SPDX-License-Identifier: MIT (full text at the end)
 *
 * WHAT IT IS
 *   A domain can publish, over DNS and HTTPS, that mail to it must go over authenticated TLS to the
 *   MX hosts that it names. This header lets a sending mail server find out, and act on it: it
 *   parses the TXT record and the policy, speaks the HTTP, matches MX hosts and certificates, and
 *   decides. The server brings DNS, TLS and its own clock.
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
 * WHAT IT PROMISES
 *   - No allocation, no I/O, no clock, no locale, no global or thread-local state, no recursion.
 *     Every function may be called from any thread at any time on different data.
 *   - Needs <stddef.h>, <stdint.h>, <string.h>, and of the last only memchr, memcmp, memcpy, memset.
 *   - All input is taken to be hostile: every loop is bounded by an input length, no work is
 *     quadratic, no octet outside (pointer, length) is read, and what is unclear never matches.
 *   - Input is (pointer, length). It need not end in NUL and may hold NUL. (NULL, 0) is legal
 *     everywhere and means "empty"; NULL with another length is answered MTASTS_ERR_USAGE or "no".
 *   - Nothing is kept after a function returns, but where its comment says "keeps" or "a view".
 *   - Errors are values. `diag` may be NULL everywhere; where it is not, it is always written.
 *   - Output structs are always written, zeroed first; after an error they hold nothing usable.
 *   - Structs that the host fills are good when zeroed: then nothing is asked for beyond TLS where it
 *     is offered, and nothing is claimed to have gone well.
 *
 * OPTIONS (define before including; none changes a struct or a result)
 *   MTASTS_IMPLEMENTATION   emit the function bodies here
 *   MTASTS_STATIC           all functions static, bodies included: for a library that embeds the
 *                           header and must not collide with another copy in the same program
 *   MTASTS_API              linkage of the public functions, e.g. __declspec(dllexport)
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
 *   A section uses only what stands in sections of lower number.
 *
 * LIMITS OF THIS VERSION
 *   Discovery, cache and refresh are the host's. Names are A-labels: converting U-labels is the
 *   host's. MSVC is untested.
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
    X(MTASTS_MORE, 1, "the response is not complete yet: feed more", "", MTASTS_TLSRPT_OK)         \
    X(MTASTS_ERR_USAGE, 2, "an argument is not allowed (a mistake in the calling program)", "",    \
      MTASTS_TLSRPT_OK)                                                                            \
    X(MTASTS_ERR_SPACE, 3, "the output buffer is too small", "", MTASTS_TLSRPT_OK)                 \
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
      MTASTS_TLSRPT_STS_WEBPKI_INVALID)

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
 *   err       any int. MTASTS_ERR_HTTPS_CONNECT and _CERT are never returned by this header: they are
 *             there for what happens to the host before the first octet of a response.
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
 *   name      as DNS or SMTP gives it, A-labels; one trailing dot is ignored. Underscores pass. Must
 *             not overlap out.
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
 *   returns   MTASTS_OK or MTASTS_ERR_POLICY_*. MTASTS_ERR_POLICY_SIZE before anything is read. After
 *             an error *out is zero, which reads like mode none: it is the result that counts.
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
 *   finding   out: err != MTASTS_OK: an error; else quirk != 0: a quirk; else a note about something
 *             legal that its owner may not have meant. text says more, and may be "".
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
 *   returns   MTASTS_OK; MTASTS_ERR_SPACE; MTASTS_ERR_POLICY_SIZE: a policy of nearly 64 KiB that was
 *             written more tersely; MTASTS_ERR_USAGE: no such mode or max_age
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
#define MTASTS_HTTP_LINE_MAX     256u   /* octets of a line that matters; others may be longer */
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
 *   returns        MTASTS_OK: parse it. Else MTASTS_ERR_HTTP_REDIRECT, _STATUS, _MEDIA_TYPE, _CODING,
 *                  _BODY_SIZE, _INCOMPLETE, told in this order
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
 *             documentation, benchmarking, reserved, an IPv4 address in IPv6 clothing (mapped, 6to4,
 *             Teredo; NAT64 counts as the address inside), or not 4 or 16 octets long
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
 *   returns   MTASTS_OK or MTASTS_ERR_CERT_DER (two subjectAltName extensions too)
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

/* One message on its way to one domain. All zero is TLS where it is offered, without verification. */
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
 *   host       the MX record's own name (M4), any octets
 *   use        once for each MX in the ordinary order of preference: never sort out ahead those that
 *              do not match (RFC 8461 8.4)
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
 *   returns   1 if both would connect, and ask the same of the same host; else 0, and 0 for a MX that
 *             is no valid host name
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

/* A counted string against a literal. */
#define MTASTSI_IS(ptr, len, literal) \
    ((len) == sizeof(literal) - 1 && memcmp((ptr), (literal), sizeof(literal) - 1) == 0)
#define MTASTSI_LIKE(ptr, len, literal) \
    ((len) == sizeof(literal) - 1 && mtastsi_same_text((ptr), (literal), sizeof(literal) - 1))

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

/* The number from 0 to `last` that has this name, or -1. Names are in lower case, what stands for an
 * unknown number is not. */
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
    unsigned seen; /* classes of the octets */
    mtasts_err err;
} mtastsi_name;

static mtastsi_name mtastsi_name_error(mtasts_err err, size_t at)
{
    mtastsi_name name = {0, at, 0, err};
    return name;
}

/* Read labels up to the first octet that can be in none. Every name goes through here. */
static mtastsi_name mtastsi_name_read(const char *p, size_t len)
{
    mtastsi_name name = {0, 0, 0, MTASTS_OK};
    size_t i = 0, start;
    unsigned k, seen = 0;
    for (;; i++) {
        for (start = i; i < len && ((k = mtastsi_class(p[i])) & MTASTSI_LABEL); i++)
            seen |= k;
        if (i == start) {
            if (i < len && p[i] == '.')
                return mtastsi_name_error(MTASTS_ERR_NAME_EMPTY_LABEL, i);
            if (!start)
                return mtastsi_name_error(MTASTS_ERR_NAME_EMPTY, i);
            break;
        }
        if (p[start] == '-')
            return mtastsi_name_error(MTASTS_ERR_NAME_HYPHEN, start);
        if (p[i - 1] == '-')
            return mtastsi_name_error(MTASTS_ERR_NAME_HYPHEN, i - 1);
        if (i - start > MTASTS_LABEL_MAX)
            return mtastsi_name_error(MTASTS_ERR_NAME_LONG_LABEL, start + MTASTS_LABEL_MAX);
        name.len = i;
        if (i == len || p[i] != '.')
            break;
    }
    if (name.len > MTASTS_NAME_MAX)
        return mtastsi_name_error(MTASTS_ERR_NAME_LONG, MTASTS_NAME_MAX);
    name.seen = seen;
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
    if (in->string == count)
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
    if (name.seen & MTASTSI_UNDERSCORE)
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
    size_t next = mtastsi_next_line(l->body_, l->len_, l->line_);
    if (!memchr(l->body_ + l->line_, ':', next - l->line_))
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
    if (!out || (len && !body))
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
    if (content_encoding.ptr &&
        !MTASTSI_LIKE(content_encoding.ptr, content_encoding.len, "identity"))
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

static int mtastsi_ipv4_is_public(const unsigned char *a)
{
    /* the IANA special-purpose registry: first address, and how many leading bits count */
    static const unsigned char blocks[][5] = {
        {0, 0, 0, 0, 8},      {10, 0, 0, 0, 8},     {100, 64, 0, 0, 10}, {127, 0, 0, 0, 8},
        {169, 254, 0, 0, 16}, {172, 16, 0, 0, 12},  {192, 0, 0, 0, 24},  {192, 0, 2, 0, 24},
        {192, 88, 99, 0, 24}, {192, 168, 0, 0, 16}, {198, 18, 0, 0, 15}, {198, 51, 100, 0, 24},
        {203, 0, 113, 0, 24}, {224, 0, 0, 0, 4},    {240, 0, 0, 0, 4}};
    size_t i, octet;
    for (i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
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
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
    const unsigned char *a = address;
    if (!a)
        return 0;
    if (len == 4)
        return mtastsi_ipv4_is_public(a);
    if (len != 16)
        return 0;
    if (memcmp(a, nat64, 12) == 0)
        return mtastsi_ipv4_is_public(a + 12);
    return (a[0] & 0xe0) == 0x20                          /* 2000::/3 is unicast, but */
           && !(a[0] == 0x20 && a[1] == 0x01 && a[2] < 2) /* protocols, Teredo */
           && !(a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) /* documentation */
           && !(a[0] == 0x20 && a[1] == 0x02)                                 /* 6to4 */
           && !(a[0] == 0x3f && a[1] == 0xff && a[2] < 0x10);                 /* documentation */
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
    if (presented[0] == '*' && !memchr(presented + 2, '.', m - 2))
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
    file.p = der;
    file.at = 0;
    file.end = der ? len : 0;
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

#ifdef __cplusplus
}
#endif
#undef MTASTSI_IS
#undef MTASTSI_LIKE
#undef MTASTSI_KEY_AT
#undef MTASTSI_RESULTS
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
