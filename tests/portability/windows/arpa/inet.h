/* See sys/mman.h. */
#ifndef ARPA_INET_H
#define ARPA_INET_H

#define AF_INET  2
#define AF_INET6 23

int __attribute__((__stdcall__)) inet_pton(int family, const char *text, void *address);

#endif
