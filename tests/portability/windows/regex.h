/* The regular expressions of POSIX as far as the unit tests use them; see sys/mman.h. */
#ifndef REGEX_H
#define REGEX_H

#include <stddef.h>

#define REG_EXTENDED 1
#define REG_NOSUB    2

typedef struct regex_t {
    void *compiled;
} regex_t;

typedef struct regmatch_t {
    ptrdiff_t rm_so, rm_eo;
} regmatch_t;

#ifdef __cplusplus
extern "C" {
#endif
int regcomp(regex_t *regex, const char *pattern, int flags);
int regexec(const regex_t *regex, const char *text, size_t count, regmatch_t *match, int flags);
void regfree(regex_t *regex);
#ifdef __cplusplus
}
#endif

#endif
