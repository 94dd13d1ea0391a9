/* memchr for Eva: Frama-C's own gives one interval of results, this one each result by itself. It
 * is stricter, too: no NULL, whatever the length. */
#include <stddef.h>

void *formal_memchr(const void *s, int c, size_t n);

void *formal_memchr(const void *s, int c, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i;
    //@ assert s != \null;
    for (i = 0; i < n; i++)
        if (p[i] == (unsigned char)c)
            return (void *)(p + i);
    return NULL;
}
