/* The bodies of what sys/mman.h and regex.h here declare. The C++ library reads the extended
 * regular expressions of POSIX. */
#include <regex>
#include <string.h>
#include <windows.h>

#include "regex.h"
#include "sys/mman.h"

/* All of it can be read and written, as the tests ask. */
void *mmap(void *at, size_t size, int, int, int, long long)
{
    return VirtualAlloc(at, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

int munmap(void *p, size_t)
{
    return !VirtualFree(p, 0, MEM_RELEASE);
}

int mprotect(void *p, size_t size, int access)
{
    DWORD before;
    return !VirtualProtect(p, size, access == PROT_NONE ? PAGE_NOACCESS : PAGE_READWRITE, &before);
}

void *memmem(const void *in, size_t in_len, const void *what, size_t len)
{
    const char *p = static_cast<const char *>(in);
    for (; in_len >= len; p++, in_len--)
        if (memcmp(p, what, len) == 0)
            return const_cast<char *>(p);
    return NULL;
}

int regcomp(regex_t *regex, const char *pattern, int)
{
    regex->compiled = new std::regex(pattern, std::regex::extended);
    return 0;
}

int regexec(const regex_t *regex, const char *text, size_t count, regmatch_t *match, int)
{
    std::cmatch found;
    if (!std::regex_search(text, found, *static_cast<std::regex *>(regex->compiled)))
        return 1;
    for (size_t i = 0; i < count; i++) {
        bool matched = i < found.size() && found[i].matched;
        match[i].rm_so = matched ? found.position(i) : -1;
        match[i].rm_eo = matched ? found.position(i) + found.length(i) : -1;
    }
    return 0;
}

void regfree(regex_t *regex)
{
    delete static_cast<std::regex *>(regex->compiled);
}
