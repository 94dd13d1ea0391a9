/* mtasts - look at MTA-STS policies and TXT records, and at what they mean for MX hosts */
#define MTASTS_IMPLEMENTATION
#include "common.h"

#include <string.h>

static const char usage[] =
    "usage: mtasts COMMAND ...\n"
    "\n"
    "  lint [--json] FILE...         a policy as published: every error, quirk and note\n"
    "      exit 0 clean, 1 quirks, 2 unusable\n"
    "  txt [--json] RECORD...        the TXT records of one answer for _mta-sts.DOMAIN; a RECORD "
    "is\n"
    "      its text, or its strings in quotes as dig prints them; - reads one a line\n"
    "      exit 0 a record, 1 none, 2 an invalid one or several\n"
    "  match --policy FILE --mx HOST [--cert PEM] [--mx HOST ...]\n"
    "      before connecting and after STARTTLS: may this MX have the mail?\n"
    "      for the --mx before it: --cert PEM, --no-starttls, --no-requiretls,\n"
    "                   --dane none|usable|ok|unusable|failed (usable: the TLSA check fails)\n"
    "      for all:     --ca FILE (default: this system's), --tls none|optional|required,\n"
    "                   --verify none|optional|required, --override ignore|testing|enforce,\n"
    "                   --requiretls, --tls-required-no\n"
    "      exit 0 some MX may have it, 1 that depends on TLS, 2 none may\n"
    "  write --mode MODE --max-age SECONDS --mx PATTERN [--mx PATTERN ...] [--domain DOMAIN]\n"
    "        [--id ID]\n"
    "      a policy on standard output; what to do with it, and its TXT record, on standard error\n"
    "  --version\n"
    "\n"
    "FILE - is standard input. Exit code 3: bad usage, or a file that cannot be read or used.\n"
    "With --json, one object a line.\n";

/* What was said must have arrived, or it was not said. */
static int finish(int result)
{
    return fflush(stdout) || ferror(stdout) ? trouble("cannot write the output", NULL, NULL)
                                            : result;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"lint", command_lint},
                    {"txt", command_txt},
                    {"match", command_match},
                    {"write", command_write}};
    size_t i;
    if (argc < 2) {
        fputs(usage, stderr);
        return EXIT_TROUBLE;
    }
    for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    if (strcmp(argv[1], "--version") == 0) {
        printf("mtasts %d.%d.%d\n", MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR,
               MTASTS_VERSION_PATCH);
        return finish(0);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return finish(0);
    }
    return trouble("no such command", argv[1], "see mtasts --help");
}
