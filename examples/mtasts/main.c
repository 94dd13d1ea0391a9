/* mtasts - look at MTA-STS policies and TXT records, in files and on the network, and at what they
 * mean for MX hosts and for mail */
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
    "      a policy on standard output; what to do with it, and its TXT record, on standard "
    "error\n";

static const char usage_network[] =
    "\n"
    "  check [--from FILE] [DOMAIN...]\n"
    "      what becomes of mail to a domain, seen from here and now: record, policy, MX hosts. "
    "One\n"
    "      domain is told at length, several in a table with a line for each. FILE has a domain "
    "or\n"
    "      an address a line; # begins a comment. DANE is not looked at, nor local overrides.\n"
    "      --jobs N (domains at once, 16)  -v (several at length too)  --json (one object a line)\n"
    "      --no-smtp (do not ask MX hosts: port 25 is often blocked)  --stats (what it took)\n"
    "      --dir DIR (use and fill this store; without it nothing is remembered)\n"
    "      exit 0 all protected, 1 something is wrong or missing, or could not be found out,\n"
    "           2 mail to some domain would not be delivered, 3 also if a line is no domain,\n"
    "           130 interrupted\n"
    "  refresh [--dir DIR] DOMAIN... | --all\n"
    "      fetch policies now, and store them; --all: those stored whose time has come\n"
    "      exit 0 all known policies are current, 1 some could not be had\n"
    "    both:  --dns HOST:PORT (default: as in resolv.conf)  --ca FILE (default: this system's)\n"
    "           --crl FILE (else revocation is not looked at)  --https-port N  --smtp-port N  "
    "--timeout SECONDS (30, for each of "
    "DNS,\n"
    "           HTTPS, SMTP)  --allow-private (connect to addresses that are not public)\n"
    "  list [--dir DIR] [--json]               the policies that are stored\n"
    "      exit 0, 1 if a file there cannot be used\n"
    "  show [--dir DIR] [--json] DOMAIN...     one of them, with all that is known\n"
    "      exit 0 valid, 1 expired or cannot be used, 2 nothing is stored\n"
    "  purge [--dir DIR] [--dry-run] [-v]      remove entries that have expired or are damaged; "
    "files\n"
    "      that no store has written stay\n"
    "      DIR: $XDG_CACHE_HOME/mtasts, ~/.cache/mtasts, for root /var/cache/mtasts\n"
    "\n"
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

/* Wherever one looks for it. */
static int wants_help(char **argv)
{
    if (strcmp(argv[1], "help") == 0)
        return 1;
    while (*++argv && strcmp(*argv, "--") != 0)
        if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"lint", command_lint},   {"txt", command_txt},     {"match", command_match},
        {"write", command_write}, {"check", command_check}, {"refresh", command_refresh},
        {"list", command_list},   {"show", command_show},   {"purge", command_purge}};
    size_t i;
    if (argc < 2) {
        fprintf(stderr, "%s%s", usage, usage_network);
        return EXIT_TROUBLE;
    }
    if (wants_help(argv)) {
        printf("%s%s", usage, usage_network);
        return finish(0);
    }
    for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    if (strcmp(argv[1], "--version") == 0) {
        printf("mtasts %d.%d.%d\n", MTASTS_VERSION_MAJOR, MTASTS_VERSION_MINOR,
               MTASTS_VERSION_PATCH);
        return finish(0);
    }
    return trouble("no such command", argv[1], "see mtasts --help");
}
