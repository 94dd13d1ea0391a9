/* mtasts-world - a small world of mail domains, with exact failures
 *
 * A DNS server, an HTTPS server for policies and an SMTP server in one process, on loopback, with a
 * CA of their own: to test a mail server against, or anything else that sends mail. What ordinary
 * servers never do (drip, break off, reset, lie about a length) is a word in a file here.
 *
 *     mtasts-world [OPTIONS] --dir DIR FILE
 *         --dir DIR            ca.pem and crl.pem are written there; it is made if it is missing
 *         --dns-latency MS     wait so long before each answer; any number wait at the same time
 *         --https-latency MS
 *         --dns-port N, --https-port N, --smtp-port N   instead of ports that are free
 *         --log                print a line for what was asked:
 *                                  dns NAME TYPE
 *                                  https HOST STATUS    a fault's name, if there was no TLS
 *                                  smtp HOST connected
 *                                  smtp HOST mail TO tls|plain
 *                              HOST is an address where the name is not known
 *
 * Prints "dns=127.0.0.1:PORT", "https_port=PORT", "smtp_port=PORT", "ca=FILE", "crl=FILE", "ready".
 * SIGHUP: reads FILE again and prints "reloaded"; what is connected goes on with what was. Ports
 * and CA stay, crl.pem is written anew. If FILE is bad, it says why, and nothing changes.
 * Ends at SIGTERM, at SIGINT, and when its standard input ends: so that is a pipe, held open by who
 * started it. Exit code 1: it could not start.
 *
 * FILE: words, one statement a line. "..." is one word whatever is in it, and never an option;
 * within it \n \r \t \\ \" \xHH. # begins a comment. Names have no dot at the end. A later line for
 * the same https or smtp HOST changes what it names; one for the same dns NAME adds to it.
 *
 *     domain NAME [id=ID] [mode=M] [mx=PATTERN]... [max_age=N]
 *         A domain that is as it should be: a TXT record at _mta-sts.NAME (id 1), a policy at
 *         mta-sts.NAME (enforce, mx1.NAME, 604800), MX 10 mx1.NAME, and that MX host.
 *     many PREFIX COUNT SUFFIX [options of domain]
 *         The domains PREFIX1.SUFFIX, PREFIX2.SUFFIX, ... Certificates are made when asked for.
 *
 *     dns NAME a|aaaa ADDRESS... [ttl=N]
 *     dns NAME txt STRING... [ttl=N]          one record of these strings
 *     dns NAME mx PREFERENCE HOST [ttl=N]     HOST "." is the null MX
 *     dns NAME cname TARGET [bare] [ttl=N]    followed as far as it is known; bare: not followed
 *     dns NAME [TYPE] fault=F                 for questions of that type, or all
 *         servfail, refused, nxdomain
 *         drop         no answer
 *         garbage      an answer whose records are none
 *         truncate     TC over UDP, all of it over TCP
 *     TTLs are 300 unless told. That a name or type is not there may be remembered for 60 seconds.
 *
 *     https HOST [policy="TEXT" | mode=M mx=PATTERN... max_age=N] [status=N] [type=MEDIA]
 *                [cert=C] [fault=F] [address=A]
 *         The policy at https://HOST/.well-known/mta-sts.txt; without one the status is 404. SNI
 *         picks the host; without SNI, or with another name, there is only an alert.
 *     smtp HOST [cert=C] [fault=F] [address=A] [requiretls]
 *         Takes all mail and throws it away, with and without TLS. requiretls: says so after EHLO.
 *         The address picks the host, else SNI; without either it is the first smtp HOST of FILE
 *         that has no address of its own.
 *     Both make an A (or AAAA) record for HOST, unless it has a CNAME. The address is 127.0.0.1;
 *     one of its own (127.1.x.y) where a host must be known before it is named: faults marked *,
 *     and SMTP hosts with any fault, a certificate that is not good, or requiretls. A is one of
 *     127.0.0.0/8, or ::1.
 *
 *     cert=C
 *         good             what it is if nothing is told: for HOST, of the CA in ca.pem
 *         expired, future  2020 to 2021; 2090 to 2099
 *         self, other-ca   self-signed; of a CA that is not in ca.pem
 *         name=OTHER       for OTHER only
 *         wildcard         for *.PARENT of HOST
 *         revoked          on the CRL in crl.pem
 *         cn-only          HOST as common name, no subjectAltName
 *         intermediate     of an intermediate CA, which is sent with it
 *         no-intermediate  the same, but it is not sent
 *     fault=F of both
 *         none             takes back what an earlier line said
 *         refuse *         the port is closed
 *         blackhole *      no answer to a SYN
 *         silent *         accepts, and says nothing
 *         reset *          accepts, and resets
 *         alert *          a TLS alert in place of the handshake
 *         tls11 *          a ServerHello of TLS 1.1
 *         drip             one octet per 200 ms
 *     fault=F of https
 *         plain *          HTTP without TLS
 *         endless-head, endless-body
 *         large            the policy, and then so much that it is 70,000 octets
 *         cut              half of the policy, then the end of TCP without close_notify
 *         short            content-length is 10 octets more than come before close_notify
 *         until-close      no length: good, ended by close_notify
 *         until-cut        no length, ended without close_notify
 *         gzip             content-encoding says gzip; the body is the policy as it is
 *         redirect         to another path of HOST, where the policy is
 *         chunked          good, in chunks, with an extension and a trailer
 *         bad-chunk        a chunk whose size is no number
 *         bad-status-line
 *     fault=F of smtp
 *         greeting-554     and that is all
 *         endless-line     a greeting without an end
 *         ehlo-refused     knows HELO only
 *         no-starttls      does not offer it, and knows it not
 *         starttls-refused offers it, and says 454
 *         starttls-reset   resets in place of 220
 *         inject           says more after 220, in the same segment, in the clear
 */
#include "world.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT_TRIES = 50 };

typedef struct program {
    server server;
    const char *file, *dir;
    unsigned fixed[3]; /* ports that were asked for; 0: any */
    char ca[4000], crl[4000];
} program;

void put_printable(FILE *f, const char *octets, size_t len)
{
    size_t i;
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)octets[i];
        if (c > ' ' && c < 0x7f && c != '\\')
            fputc(c, f);
        else
            fprintf(f, "\\%03u", c);
    }
}

void world_log(const server *s, const char *what, const char *name, size_t len, const char *more)
{
    if (!s->log)
        return;
    printf("%s ", what);
    put_printable(stdout, name, len);
    putchar(' ');
    for (; *more; more++) {
        if (*more == ' ')
            putchar(' ');
        else
            put_printable(stdout, more, 1);
    }
    putchar('\n');
    fflush(stdout);
}

static int complain(const char *what, const char *subject)
{
    fprintf(stderr, "mtasts-world: %s", what);
    if (subject) {
        fputs(": ", stderr);
        put_printable(stderr, subject, strlen(subject));
    }
    fputc('\n', stderr);
    return 0;
}

/* ---- starting ---- */

static int open_ports(program *p)
{
    server *s = &p->server;
    int i;
    for (i = 0; i < PORT_TRIES; i++) {
        int last = i == PORT_TRIES - 1;
        memcpy(s->ports, p->fixed, sizeof s->ports);
        if (dns_open_udp(s) && listeners_update(s, s->world, last) == 0)
            return 1;
        dns_close(s);
        listeners_close(s);
    }
    return complain("no free ports", NULL);
}

static int write_certificates(program *p)
{
    if (mkdir(p->dir, 0777) != 0 && errno != EEXIST)
        return complain(strerror(errno), p->dir);
    if (!authority_write_ca(&p->server.authority, p->ca))
        return complain("cannot write", p->ca);
    if (!authority_write_crl(&p->server.authority, p->server.world, p->crl))
        return complain("cannot write", p->crl);
    return 1;
}

static void raise_limits(server *s)
{
    struct rlimit r;
    s->max = CONNECTIONS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

static int start(program *p)
{
    server *s = &p->server;
    struct stat input;
    s->udp = -1;
    if (fstat(STDIN_FILENO, &input) != 0 ||
        !(S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode) || isatty(STDIN_FILENO)))
        return complain("standard input must be a pipe that is held open: its end ends this", NULL);
    raise_limits(s);
    s->base = event_base_new();
    if (!s->base || !authority_open(&s->authority))
        return complain("cannot start", NULL);
    s->world = world_load(p->file, &s->authority);
    return s->world && write_certificates(p) && open_ports(p);
}

static void announce(const program *p)
{
    const unsigned *ports = p->server.ports;
    printf("dns=" SHARED_ADDRESS ":%u\nhttps_port=%u\nsmtp_port=%u\nca=%s\ncrl=%s\nready\n",
           ports[DNS], ports[HTTPS], ports[SMTP], p->ca, p->crl);
    fflush(stdout);
}

/* ---- events ---- */

static void on_signal(evutil_socket_t number, short what, void *user)
{
    (void)number;
    (void)what;
    event_base_loopbreak(user);
}

static void on_stdin(evutil_socket_t fd, short what, void *user)
{
    char ignored[256];
    (void)what;
    if (read(fd, ignored, sizeof ignored) <= 0)
        event_base_loopbreak(user);
}

static void on_hangup(evutil_socket_t number, short what, void *user)
{
    program *p = user;
    server *s = &p->server;
    world *fresh = world_load(p->file, &s->authority);
    (void)number;
    (void)what;
    if (!fresh)
        return;
    world_release(s->world);
    s->world = fresh;
    listeners_update(s, fresh, 1);
    write_certificates(p);
    puts("reloaded");
    fflush(stdout);
}

/* Until it is told to end. */
static int run(program *p)
{
    enum { COUNT = 4 };
    struct event_base *base = p->server.base;
    struct event *events[COUNT] = {
        event_new(base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, base),
        event_new(base, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, base),
        event_new(base, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup, p),
        event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, base),
    };
    int ok = 1;
    size_t i;
    for (i = 0; i < COUNT; i++)
        if (!events[i] || event_add(events[i], NULL) != 0)
            ok = complain("cannot wait for events", NULL);
    if (ok) {
        announce(p);
        event_base_dispatch(base);
    }
    for (i = 0; i < COUNT; i++)
        if (events[i])
            event_free(events[i]);
    return ok;
}

static void stop(program *p)
{
    server *s = &p->server;
    listeners_close(s);
    streams_close(s);
    dns_close(s);
    if (s->world)
        world_release(s->world);
    authority_close(&s->authority);
    if (s->base)
        event_base_free(s->base);
    libevent_global_shutdown();
}

/* ---- the command line ---- */

static const char help[] =
    "usage: mtasts-world [OPTIONS] --dir DIR FILE\n"
    "Serves the mail domains that FILE tells of on loopback: DNS, HTTPS, SMTP. Prints its ports, "
    "then\n"
    "\"ready\". Ends when standard input ends, so start it with a pipe that you hold open.\n"
    "\n"
    "  --dir DIR            where ca.pem and crl.pem are written\n"
    "  --dns-latency MS     wait before each answer\n"
    "  --https-latency MS\n"
    "  --dns-port N, --https-port N, --smtp-port N\n"
    "                       instead of any that is free\n"
    "  --log                print what was asked: \"dns NAME TYPE\", \"https HOST STATUS\",\n"
    "                       \"smtp HOST connected\", \"smtp HOST mail TO tls|plain\"\n"
    "\n"
    "FILE, one of these a line; \"...\" is one word, with \\n \\r \\t \\\\ \\\" \\xHH; # begins a "
    "comment:\n"
    "  domain NAME [id=ID] [mode=M] [mx=PATTERN]... [max_age=N]\n"
    "  many PREFIX COUNT SUFFIX [as for domain]\n"
    "  dns NAME a|aaaa ADDRESS... | txt STRING... | mx PREFERENCE HOST | cname TARGET [bare]  "
    "[ttl=N]\n"
    "  dns NAME [TYPE] fault=servfail|refused|nxdomain|drop|garbage|truncate\n"
    "  https HOST [policy=\"TEXT\" | mode=M mx=PATTERN... max_age=N] [status=N] [type=MEDIA]\n"
    "             [cert=C] [fault=F] [address=A]\n"
    "  smtp HOST [cert=C] [fault=F] [address=A] [requiretls]\n"
    "SIGHUP: reads FILE again. What C and F may be, and more, is at the beginning of world.c.\n";

static int usage(const char *why)
{
    complain(why, NULL);
    fputs("see mtasts-world --help\n", stderr);
    return 0;
}

static int read_number(const char *digits, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(digits, &end, 10);
    *out = (unsigned)n;
    return *digits >= '0' && *digits <= '9' && !*end && n <= max;
}

static int read_options(program *p, int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"dns-latency", required_argument, NULL, 2},
                                            {"https-latency", required_argument, NULL, 0},
                                            {"https-port", required_argument, NULL, 10},
                                            {"smtp-port", required_argument, NULL, 11},
                                            {"dns-port", required_argument, NULL, 12},
                                            {"log", no_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c, ok = 1;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        }
        if (c == '?')
            return usage("unknown option, or one without its value");
        if (c == 'l')
            p->server.log = 1;
        else if (c == 'd')
            p->dir = optarg;
        else if (c >= 10)
            ok = ok && read_number(optarg, 65535, &p->fixed[c - 10]);
        else
            ok = ok && read_number(optarg, 600000, &p->server.latency[c]);
    }
    if (!ok)
        return usage("not such a number");
    if (!p->dir || argc - optind != 1)
        return usage("--dir DIR and one FILE are needed");
    p->file = argv[optind];
    if ((size_t)snprintf(p->ca, sizeof p->ca, "%s/ca.pem", p->dir) >= sizeof p->ca ||
        (size_t)snprintf(p->crl, sizeof p->crl, "%s/crl.pem", p->dir) >= sizeof p->crl)
        return usage("the name of DIR is too long");
    return 1;
}

int main(int argc, char **argv)
{
    static program p;
    int ok;
    signal(SIGPIPE, SIG_IGN);
    if (!read_options(&p, argc, argv))
        return EXIT_FAILURE;
    ok = start(&p) && run(&p);
    stop(&p);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
