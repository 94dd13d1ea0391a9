/* memchr and memcmp for Eva: of Frama-C's own the results are an interval, of these each result by
 * itself. They are stricter, too: no NULL, whatever the length. */
#include <stddef.h>

void *formal_memchr(const void *s, int c, size_t n);
int formal_memcmp(const void *a, const void *b, size_t n);

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

int formal_memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = (const unsigned char *)a;
    const unsigned char *q = (const unsigned char *)b;
    size_t i;
    //@ assert a != \null && b != \null;
    for (i = 0; i < n; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return 0;
}
