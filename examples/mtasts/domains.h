/* The domains of a command line or a file, each once, in their order. */
#ifndef DOMAINS_H
#define DOMAINS_H

#include <stddef.h>

typedef struct domains {
    char **names; /* normalised */
    size_t count, room;
    void *tree; /* of tsearch, to find those that come twice */
    size_t bad; /* words that are no domain: they were reported, and left out */
} domains;

/* domains_add - a word: a domain, or an address at one
 *
 *   where     for a report; line 0: from the command line
 *   returns   0, or EXIT_TROUBLE after saying so: no memory
 */
int domains_add(domains *list, const char *word, size_t len, const char *where, size_t line);

/* domains_read - a file, "-" is standard input: one word a line, blank lines, comments after "#"
 *
 *   returns   0, or EXIT_TROUBLE after saying so: it cannot be read, is too large, no memory
 */
int domains_read(domains *list, const char *path);

void domains_free(domains *list);

#endif
