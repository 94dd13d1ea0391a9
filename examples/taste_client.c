/* The client with canned answers: in a program that blocks (argument "blocking"), or an event loop. */
#define MTASTS_IMPLEMENTATION
#include "mtasts.h"
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static mtasts_client client;
static char memory[1 << 17];
static uint64_t txt_asked, https_asked; /* tickets of what the event loop has yet to answer */

static void answer(uint64_t txt, uint64_t https)
{
    static const char body[] = "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n";
    static const mtasts_str text = {"v=STSv1; id=20260131T1200;", 26};
    static const mtasts_txt record = {&text, 1};
    txt_asked = https_asked = 0;
    if (txt)
        mtasts_client_give_txt(&client, txt, MTASTS_OK, &record, 1, 300);
    if (https)
        mtasts_client_give_https(&client, https, MTASTS_OK, body, sizeof body - 1);
}
static void ask_txt(void *blocking, uint64_t ticket, const char *name)
{
    txt_asked = ticket;
    if (printf("TXT at %s\n", name) && blocking)
        answer(ticket, 0);
}
static void ask_https(void *blocking, uint64_t ticket, const char *domain, const char *policy_host)
{
    https_asked = ticket;
    if (printf("policy of %s from %s\n", domain, policy_host) && blocking)
        answer(0, ticket);
}
static int64_t now(void *blocking)
{
    (void)blocking;
    return time(NULL);
}
static void found(void *user, mtasts_lookup *l)
{
    printf("%s: %s\n", l->domain, l->policy ? mtasts_mode_name((int)l->policy->mode) : "none");
    mtasts_client_end(user, l);
}
int main(int argc, char **argv)
{
    static mtasts_lookup lookup = {.done = found, .user = &client};
    mtasts_host host = {.size = sizeof host, .clock = now, .txt = ask_txt, .https = ask_https};
    host.user = argc > 1 ? argv[1] : NULL;
    host.block = memory, host.block_size = sizeof memory;
    if (getrandom(host.key, sizeof host.key, 0) < 0 || mtasts_client_init(&client, &host))
        return 1;
    if (mtasts_client_lookup(&client, &lookup, "example.com", 11, 0) == MTASTS_OK)
        found(&client, &lookup);
    while (txt_asked || https_asked) /* the event loop */
        answer(txt_asked, https_asked);
    mtasts_client_clear(&client);
    return 0;
}
