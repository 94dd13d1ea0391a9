/* What the subcommands of `mtasts` share: reading a little of a file, and writing text that
 * somebody else made so that it can do no harm to a terminal. No MTA-STS logic: that is in
 * mtasts.h. */
#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mtasts.h"

/* Exit codes. The first three grade the input, the last is about running at all. */
enum { EXIT_CLEAN = 0, EXIT_QUIRKS = 1, EXIT_UNUSABLE = 2, EXIT_TROUBLE = 3 };

int command_lint(int argc, char **argv);
int command_txt(int argc, char **argv);
int command_match(int argc, char **argv);
int command_write(int argc, char **argv);
int command_check(int argc, char **argv);
int command_refresh(int argc, char **argv);
int command_list(int argc, char **argv);
int command_show(int argc, char **argv);
int command_purge(int argc, char **argv);

/* Where policies are stored if no --dir says where. 0: there is no such place. */
int default_store_dir(char *out, size_t cap);

/* Say "mtasts: ..." on standard error, every argument escaped. Returns EXIT_TROUBLE. */
int trouble(const char *what, const char *subject, const char *why);

/* getopt_long met an option that it does not know, or that lacks its value. */
int bad_option(char **argv);

/* Up to `max` octets of a file ("-": standard input), and one more, to tell that it is larger.
 * NULL after an error, which has been said then. The caller frees it; it ends in a NUL of ours. */
char *read_some(const char *path, size_t max, size_t *len);

/* Octets escaped as by mtasts_escape, to a stream. */
void put_escaped(FILE *f, const char *text, size_t len);

/* A JSON string, quotes included. New lines, returns and tabs are JSON's own \n, \r, \t; other octets
 * outside printable ASCII, and the backslash, are escaped as by mtasts_escape. */
void put_json(FILE *f, const char *text, size_t len);
void put_json_z(FILE *f, const char *text);

/* "2027-01-31T23:59:59Z"; Unix seconds if the year has more digits than a calendar. Returns out. */
enum { TIMESTAMP_SIZE = 32 };
const char *timestamp(char out[TIMESTAMP_SIZE], int64_t at);

/* A member of a JSON object that is not the first; 0 is null: never, or not known. */
void put_json_time(FILE *f, const char *name, int64_t at);

/* A line of input with a caret below its octet number `column` (from 1), cut to fit a screen. */
void put_caret(FILE *f, size_t number, const char *line, size_t len, size_t column);

#endif
