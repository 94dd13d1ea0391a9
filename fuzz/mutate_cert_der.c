/* Mutates the input of fuzz_cert_der as a tree of DER elements: one of them is changed, and the
 * lengths of those around it are mended, so that the change is reached. */
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define ELEMENTS_MAX 256u
#define DER_MAX      4096u
#define HEAD_MAX     6u

/* An element: its head (tag and length) and its content. Those around it stand before it. */
typedef struct element {
    size_t head, content, end;
    size_t parent; /* its index; ELEMENTS_MAX: none */
} element;

typedef struct tree {
    element e[ELEMENTS_MAX];
    size_t count;
} tree;

/* Octets being put together; those over the end are lost, and then there is no mutation. */
typedef struct output {
    uint8_t octets[DER_MAX];
    size_t len;
    int full;
} output;

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % (unsigned)below;
}

/* The element at `at`, before `end`; 0: there is none. */
static int read_element(const uint8_t *der, size_t at, size_t end, element *e)
{
    size_t n, octets;
    if (end - at < 2)
        return 0;
    e->head = at;
    n = der[at + 1];
    at += 2;
    if (n >= 0x80) {
        octets = n - 0x80;
        if (octets < 1 || octets > 4 || octets > end - at)
            return 0;
        for (n = 0; octets; octets--)
            n = n << 8 | der[at++];
    }
    e->content = at;
    e->end = at + n;
    return n <= end - at;
}

/* Do these octets consist of elements? Then the content of a string may be a tree too, as it is in
 * an extension. */
static int is_list(const uint8_t *der, size_t at, size_t end)
{
    element e;
    if (at == end)
        return 0;
    for (; at < end; at = e.end)
        if (!read_element(der, at, end, &e))
            return 0;
    return 1;
}

static void add_list(tree *t, const uint8_t *der, size_t at, size_t end, size_t parent)
{
    element e;
    for (; at < end && t->count < ELEMENTS_MAX && read_element(der, at, end, &e); at = e.end) {
        e.parent = parent;
        t->e[t->count++] = e;
    }
}

/* All elements, level by level. */
static void read_tree(tree *t, const uint8_t *der, size_t len)
{
    size_t i;
    t->count = 0;
    add_list(t, der, 0, len, ELEMENTS_MAX);
    for (i = 0; i < t->count; i++) {
        unsigned tag = der[t->e[i].head];
        if ((tag & 0x20) || (tag == 0x04 && is_list(der, t->e[i].content, t->e[i].end)))
            add_list(t, der, t->e[i].content, t->e[i].end, i);
    }
}

static void put(output *o, const void *octets, size_t len)
{
    if (len > DER_MAX - o->len) {
        o->full = 1;
        return;
    }
    if (len)
        memcpy(o->octets + o->len, octets, len);
    o->len += len;
}

/* Tag and length; `extra`: octets of length beyond those needed, if 4 can hold them. */
static void put_head(output *o, uint8_t tag, size_t len, unsigned extra)
{
    uint8_t head[HEAD_MAX];
    unsigned octets = len < 0x80 && !extra ? 0 : len < 0x100 ? 1 : 2, i;
    head[0] = tag;
    octets = octets + extra < 4 ? octets + extra : 4;
    head[1] = (uint8_t)(octets ? 0x80 + octets : len);
    for (i = 0; i < octets; i++)
        head[2 + i] = (uint8_t)(octets - i > 2 ? 0 : len >> 8 * (octets - i - 1));
    put(o, head, 2 + octets);
}

static void put_element(output *o, uint8_t tag, const void *content, size_t len)
{
    put_head(o, tag, len, 0);
    put(o, content, len);
}

/* The octets of `der` from `from` to `to` become those of `middle`, and all lengths around them
 * are mended, from the inside outwards. */
static void replace(output *o, const uint8_t *der, size_t len, const tree *t, size_t parent,
                    size_t from, size_t to, const output *middle)
{
    output inner = *middle;
    for (; parent < ELEMENTS_MAX; parent = t->e[parent].parent) {
        const element *p = &t->e[parent];
        o->len = 0;
        put_head(o, der[p->head], from - p->content + inner.len + (p->end - to), 0);
        put(o, der + p->content, from - p->content);
        put(o, inner.octets, inner.len);
        put(o, der + to, p->end - to);
        inner = *o;
        from = p->head;
        to = p->end;
    }
    o->len = 0;
    put(o, der, from);
    put(o, inner.octets, inner.len);
    put(o, der + to, len - to);
}

/* A GeneralName, mostly a dNSName. */
static void put_name(output *o, unsigned *seed)
{
    static const uint8_t tags[] = {0x82, 0x82, 0x82, 0x82, 0xa2, 0x81, 0x86, 0x87,
                                   0xa0, 0xa4, 0x88, 0x16, 0x42, 0xc2, 0x02, 0x9f};
    static const char *const names[] = {
        "mx.example.com", "*.example.com",     "a.b", "",
        "*.com",          "MX.Example.COM",    "*",   "mx.example.com.",
        "m*.example.com", "mail.example.test", "_a.b"};
    const char *name = names[draw(seed, COUNT(names))];
    put_element(o, tags[draw(seed, COUNT(tags))], name, strlen(name));
}

/* An extension with up to three names. */
static void put_alt_names(output *o, unsigned *seed)
{
    output names = {{0}, 0, 0}, list = {{0}, 0, 0}, extension = {{0}, 0, 0};
    unsigned n = draw(seed, 4);
    while (n--)
        put_name(&names, seed);
    put_element(&list, 0x30, names.octets, names.len);
    put_element(&extension, 0x06, "\x55\x1d\x11", 3);
    if (draw(seed, 2))
        put_element(&extension, 0x01, "\xff", 1);
    put_element(&extension, 0x04, list.octets, list.len);
    put_element(o, 0x30, extension.octets, extension.len);
}

/* What takes the place of the element `e`. */
static void change(output *o, const uint8_t *der, const tree *t, const element *e, unsigned *seed)
{
    static const uint8_t tags[] = {0x82, 0x30, 0x04, 0x06, 0x01, 0x02, 0xa0, 0x81,
                                   0xa1, 0xa2, 0xa3, 0x24, 0x9f, 0x05, 0x31, 0xa4};
    const element *other = &t->e[draw(seed, t->count)];
    size_t len = e->end - e->content;
    switch (draw(seed, 12)) {
    case 0: /* remove it */
        break;
    case 1: /* twice */
        put(o, der + e->head, e->end - e->head);
        put(o, der + e->head, e->end - e->head);
        break;
    case 2: /* another one before it */
        put(o, der + other->head, other->end - other->head);
        put(o, der + e->head, e->end - e->head);
        break;
    case 3: /* another one in its place */
        put(o, der + other->head, other->end - other->head);
        break;
    case 4: /* within a further one */
        put_element(o, tags[draw(seed, COUNT(tags))], der + e->head, e->end - e->head);
        break;
    case 5:
        put_element(o, tags[draw(seed, COUNT(tags))], der + e->content, len);
        break;
    case 6: /* only its content */
        put(o, der + e->content, len);
        break;
    case 7: /* a longer form of length than it needs */
        put_head(o, der[e->head], len, 1 + draw(seed, 3));
        put(o, der + e->content, len);
        break;
    case 8: /* a length that is wrong by one, or indefinite */
        put_head(o, der[e->head], draw(seed, 2) ? len + 1 : len - !!len, draw(seed, 2));
        if (!draw(seed, 3) && o->len == 2)
            o->octets[1] = 0x80;
        put(o, der + e->content, len);
        break;
    case 9: /* without its last octet */
        put_element(o, der[e->head], der + e->content, len - !!len);
        break;
    case 10:
        put(o, der + e->head, e->end - e->head);
        put_name(o, seed);
        break;
    default:
        put(o, der + e->head, e->end - e->head);
        put_alt_names(o, seed);
    }
}

/* The content of an element, changed octet by octet. */
static void change_content(output *o, const uint8_t *der, const element *e)
{
    uint8_t content[DER_MAX];
    size_t len = e->end - e->content;
    memcpy(content, der + e->content, len);
    len = LLVMFuzzerMutate(content, len, len + 8 < DER_MAX ? len + 8 : DER_MAX);
    put_element(o, der[e->head], content, len);
}

/* The smallest certificate with a name, "a.b", to begin with. */
static size_t start_anew(uint8_t *data, size_t max)
{
    static const char first[] = "\x03"
                                "a.b"
                                "\x30\x28\x30\x26\xa0\x03\x02\x01\x02\x02\x01\x01"
                                "\x30\0\x30\0\x30\0\x30\0\x30\0\xa3\x12\x30\x10"
                                "\x30\x0e\x06\x03\x55\x1d\x11\x04\x07\x30\x05\x82\x03"
                                "a.b";
    if (max < sizeof first - 1)
        return LLVMFuzzerMutate(data, 0, max);
    memcpy(data, first, sizeof first - 1);
    return sizeof first - 1;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t start = size ? 1 + (size_t)data[0] : 0;
    output middle = {{0}, 0, 0}, whole = {{0}, 0, 0};
    tree t;
    const element *e;
    if (size <= 1)
        return start_anew(data, max_size);
    if (size <= start || size - start > DER_MAX || !draw(&seed, 4))
        return LLVMFuzzerMutate(data, size, max_size);
    read_tree(&t, data + start, size - start);
    if (!t.count)
        return LLVMFuzzerMutate(data, size, max_size);
    /* those found last lie deepest: the extensions and the names */
    e = &t.e[draw(&seed, 2) ? draw(&seed, t.count) : t.count - 1 - draw(&seed, (t.count + 3) / 4)];
    if (draw(&seed, 4))
        change(&middle, data + start, &t, e, &seed);
    else
        change_content(&middle, data + start, e);
    replace(&whole, data + start, size - start, &t, e->parent, e->head, e->end, &middle);
    if (middle.full || whole.full || start + whole.len > max_size)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(data + start, whole.octets, whole.len);
    return start + whole.len;
}
