/* mtasts write: a correct policy, and the TXT record to go with it. */
#include "common.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Digits and nothing else, so that "7d" is not taken for 7. */
static int parse_seconds(const char *text, uint32_t *seconds)
{
    uint64_t n = 0;
    size_t i;
    for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 10; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    *seconds = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    return i && !text[i];
}

typedef struct wanted {
    const char *id, *domain;
    mtasts_str *mx;
    size_t mx_count;
    uint32_t max_age;
    int mode, has_max_age;
} wanted;

static int read_options(int argc, char **argv, wanted *w)
{
    static const struct option options[] = {
        {"mode", required_argument, NULL, 'm'},   {"max-age", required_argument, NULL, 'a'},
        {"mx", required_argument, NULL, 'x'},     {"id", required_argument, NULL, 'i'},
        {"domain", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'm') {
            w->mode = mtasts_mode_from_name(optarg, strlen(optarg));
            if (w->mode < 0)
                return trouble("write: --mode", optarg, "enforce, testing or none");
        } else if (c == 'a') {
            w->has_max_age = 1;
            if (!parse_seconds(optarg, &w->max_age))
                return trouble("write: --max-age", optarg, "seconds, in digits");
        } else if (c == 'x') {
            w->mx[w->mx_count].ptr = optarg;
            w->mx[w->mx_count++].len = strlen(optarg);
        } else if (c == 'i') {
            w->id = optarg;
        } else if (c == 'd') {
            w->domain = optarg;
        } else {
            return bad_option(argv);
        }
    }
    if (optind < argc)
        return trouble("write: what is this?", argv[optind], NULL);
    if (w->mode < 0 || !w->has_max_age)
        return trouble("write: --mode and --max-age are needed", NULL, NULL);
    return 0;
}

static int write_both(const wanted *w)
{
    static char policy[MTASTS_POLICY_MAX + 1];
    char record[64], name[MTASTS_NAME_SIZE], url[MTASTS_URL_SIZE];
    size_t len, record_len;
    mtasts_diag d;
    mtasts_err err = mtasts_policy_compose(policy, sizeof policy, &len, w->mode, w->max_age, w->mx,
                                           w->mx_count, &d);
    if (err)
        return trouble(mtasts_strerror((int)err), d.line ? w->mx[d.line - 1].ptr : NULL,
                       *d.text ? d.text : NULL);
    err = mtasts_record_write(record, sizeof record, &record_len, w->id, strlen(w->id));
    if (err)
        return trouble(mtasts_strerror((int)err), w->id, NULL);
    err = mtasts_txt_name(name, w->domain, strlen(w->domain), NULL);
    if (err || mtasts_policy_url(url, w->domain, strlen(w->domain), NULL))
        return trouble(mtasts_strerror((int)err), w->domain, NULL);
    fwrite(policy, 1, len, stdout);
    if (fflush(stdout))
        return EXIT_CLEAN; /* main says it */
    fprintf(stderr,
            "\nServe the policy first, as text/plain and without a redirect, at\n  %s\n"
            "then publish, with a new id whenever the policy changes:\n  %s. IN TXT \"%s\"\n",
            url, name, record);
    return EXIT_CLEAN;
}

int command_write(int argc, char **argv)
{
    wanted w = {NULL, "example.com", NULL, 0, 0, -1, 0};
    char id[32];
    time_t now = time(NULL);
    int result;
    strftime(id, sizeof id, "%Y%m%dT%H%M%SZ", gmtime(&now));
    w.id = id;
    w.mx = calloc((size_t)argc, sizeof *w.mx);
    if (!w.mx)
        return trouble("out of memory", NULL, NULL);
    result = read_options(argc, argv, &w);
    if (!result)
        result = write_both(&w);
    free(w.mx);
    return result;
}
