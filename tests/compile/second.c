/* Another copy of the header in the program that calls.c is: a library that embeds it. */
#if !defined(MTASTS_STATIC)
#define MTASTS_STATIC
#endif
#include "mtasts.h"

int second_copy(const char *host, size_t len);

int second_copy(const char *host, size_t len)
{
    return mtasts_mx_matches("*.example.com", 13, host, len);
}
