/* What the unit tests use of POSIX and mingw-w64 does not have: here what test.h needs for its
 * fences, and memmem; see also regex.h and arpa/inet.h. The bodies are in posix.cc, so that
 * <windows.h> and its macros stay out of the tests. */
#ifndef SYS_MMAN_H
#define SYS_MMAN_H

#include <stddef.h>

#define PROT_NONE     0
#define PROT_READ     1
#define PROT_WRITE    2
#define MAP_PRIVATE   0
#define MAP_ANONYMOUS 0
#define MAP_NORESERVE 0
#define MAP_FAILED    NULL

#ifdef __cplusplus
extern "C" {
#endif
void *mmap(void *at, size_t size, int access, int flags, int file, long long offset);
int munmap(void *p, size_t size);
int mprotect(void *p, size_t size, int access);
void *memmem(const void *in, size_t in_len, const void *what, size_t len);
#ifdef __cplusplus
}
#endif

#endif
