/* Mutates the input of fuzz_http by lines and chunks: those are what a response consists of. */
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define LINES_MAX    128u
#define OPTIONS      8u /* octets before a response, where no part of it is repeated */
#define REPEAT       5u /* and how it is repeated */
#define IS_REPEATED  4u
#define IS_OTHER     0x18u
#define RESPONSE_MAX 4096u

/* Where lines begin, and where the last one ends. */
typedef struct lines {
    size_t at[LINES_MAX + 1];
    size_t count;
} lines;

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % (unsigned)below;
}

static void find_lines(lines *l, const uint8_t *p, size_t len)
{
    size_t i;
    l->count = 0;
    l->at[0] = 0;
    for (i = 0; i < len && l->count < LINES_MAX; i++)
        if (p[i] == '\n' || i + 1 == len)
            l->at[++l->count] = i + 1;
}

/* The octets from `from` to `to` become `text`; the new length, 0 if there is no room. */
static size_t replace(uint8_t *p, size_t len, size_t max, size_t from, size_t to, const void *text,
                      size_t text_len)
{
    if (len - (to - from) + text_len > max)
        return 0;
    memmove(p + from + text_len, p + to, len - to);
    if (text_len)
        memcpy(p + from, text, text_len);
    return len - (to - from) + text_len;
}

/* A line of a head, of chunks or of a trailer. */
static const char *draw_line(unsigned *seed)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 100 \r\n\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: text/html\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Encoding: identity\r\n",
        "Content-Encoding: gzip\r\n",
        "X: y\r\n",
        "\r\n",
        "\n",
        "5\r\nhello\r\n",
        "00a;x=y\r\nhello hey!\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "10000000000000001\r\na\r\n",
    };
    return texts[draw(seed, COUNT(texts))];
}

/* The number in a line, decimal after a colon and hexadecimal at its start, moved a little. */
static size_t change_number(uint8_t *p, size_t len, size_t max, size_t from, size_t to,
                            unsigned *seed)
{
    static const uint64_t limits[] = {0, 1, 255, 256, 65536, 65537, UINT32_MAX, UINT64_MAX};
    char text[256], number[32], *end, *start;
    const char *colon;
    unsigned long long n;
    size_t line_len = to - from < sizeof text ? to - from : sizeof text - 1;
    memcpy(text, p + from, line_len);
    text[line_len] = '\0';
    colon = strchr(text, ':');
    start = text + (colon ? colon - text + 1 : 0);
    n = strtoull(start, &end, colon ? 10 : 16);
    if (end == start)
        return 0;
    n = draw(seed, 3) ? n + draw(seed, 3) - 1 : limits[draw(seed, COUNT(limits))];
    if (colon)
        snprintf(number, sizeof number, " %llu", n);
    else /* sometimes 2^64 more */
        snprintf(number, sizeof number, draw(seed, 4) ? "%llx" : "1%016llx", n);
    return replace(p, len, max, from + (size_t)(start - text), from + (size_t)(end - text), number,
                   strlen(number));
}

/* One line, or its place, is changed. 0: there was no room. */
static size_t change(uint8_t *p, size_t len, size_t max, unsigned *seed)
{
    uint8_t copy[RESPONSE_MAX];
    const char *text = draw_line(seed);
    lines l;
    size_t from, to, other;
    find_lines(&l, p, len);
    if (!l.count)
        return replace(p, len, max, 0, 0, text, strlen(text));
    from = draw(seed, l.count);
    other = draw(seed, l.count);
    to = l.at[from + 1];
    from = l.at[from];
    memcpy(copy, p, len);
    switch (draw(seed, 6)) {
    case 0:
        return replace(p, len, max, from, to, NULL, 0);
    case 1:
        return replace(p, len, max, from, from, copy + from, to - from);
    case 2: /* one line in the place of another one */
        return replace(p, len, max, from, to, copy + l.at[other], l.at[other + 1] - l.at[other]);
    case 3:
        return replace(p, len, max, from, from, text, strlen(text));
    case 4:
        return replace(p, len, max, from, to, text, strlen(text));
    default:
        return change_number(p, len, max, from, to, seed);
    }
}

/* From now on a line is repeated, often enough to come near a limit. */
static size_t repeat_line(uint8_t *data, size_t size, size_t max, unsigned *seed)
{
    static const unsigned totals[] = {128, 256, MTASTS_HTTP_OVERHEAD_MAX, MTASTS_POLICY_MAX};
    size_t head = OPTIONS, len, times, line;
    uint8_t how[REPEAT];
    lines l;
    if (data[0] & IS_REPEATED)
        head += REPEAT;
    find_lines(&l, data + head, size - head);
    if (!l.count)
        return 0;
    line = draw(seed, l.count);
    len = l.at[line + 1] - l.at[line];
    len = len < 255 ? len : 255;
    times = totals[draw(seed, COUNT(totals))] / (draw(seed, 2) ? len : 1);
    if (times > 2)
        times -= draw(seed, 3);
    how[0] = (uint8_t)(l.at[line] >> 8);
    how[1] = (uint8_t)l.at[line];
    how[2] = (uint8_t)len;
    how[3] = (uint8_t)(times >> 8);
    how[4] = (uint8_t)times;
    data[0] |= IS_REPEATED;
    return replace(data, size, max, OPTIONS, head, how, REPEAT);
}

/* The response as it is, without the repetition. */
static size_t repeat_nothing(uint8_t *data, size_t size, size_t max)
{
    if (!(data[0] & IS_REPEATED))
        return 0;
    data[0] &= (uint8_t)~IS_REPEATED;
    return replace(data, size, max, OPTIONS, OPTIONS + REPEAT, NULL, 0);
}

/* A buffer about as large as a body is. */
static size_t change_cap(uint8_t *data, size_t size, unsigned *seed)
{
    size_t cap = draw(seed, 4) ? draw(seed, 8) : MTASTS_POLICY_MAX - 1 + draw(seed, 3);
    data[1] = (uint8_t)(cap >> 16);
    data[2] = (uint8_t)(cap >> 8);
    data[3] = (uint8_t)cap;
    return size;
}

/* A small response that is good, to begin with. */
static size_t start(uint8_t *data, size_t max, unsigned *seed)
{
    static const char head[] = "\0\0\0\5\0\0\0\0HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    const char *rest = draw(seed, 2) ? "Content-Length: 5\r\n\r\nhello"
                                     : "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    size_t len = sizeof head - 1 + strlen(rest);
    if (max < len)
        return 0;
    memcpy(data, head, sizeof head - 1);
    memcpy(data + sizeof head - 1, rest, strlen(rest));
    return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t head = size && data[0] & IS_REPEATED ? OPTIONS + REPEAT : OPTIONS, len = 0;
    if (size > head && size - head <= RESPONSE_MAX && (data[0] & IS_OTHER) != IS_OTHER) {
        unsigned how = draw(&seed, 32);
        if (how == 0)
            len = repeat_line(data, size, max_size, &seed);
        else if (how < 3)
            len = repeat_nothing(data, size, max_size);
        else if (how == 3)
            len = change_cap(data, size, &seed);
        else if (how < 16) {
            len = change(data + head, size - head, max_size - head, &seed);
            len = len ? head + len : 0;
        }
    } else if (size <= 1) {
        len = start(data, max_size, &seed);
    }
    return len ? len : LLVMFuzzerMutate(data, size, max_size);
}
