#include "text/precompiled.h"

#include "text/charsmap.h"
#include "text/rewrite.h"
#include "text/unicode.h"
#include "text/utf8.h"

/* The map goes by grapheme clusters of at most 5 bytes, else by characters. What a removed character leaves
 * is counted to the one before it, so one is held back. */
typedef struct mapped { rewrite r; uint32_t c; int32_t change; int held; } mapped;

static int hold(mapped *m, uint32_t c, int32_t change)
{
    const int good = !m->held || rewrite_put(&m->r, m->c, m->change);
    m->c = c;
    m->change = change;
    m->held = 1;
    return good;
}

static int32_t characters(const unsigned char *text, size_t length)
{
    int32_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += (text[i] & 0xC0) != 0x80;
    return n;
}

static int map_to(mapped *m, const unsigned char *text, size_t length, int32_t old)
{
    const int32_t own = characters(text, length), more = own - old;
    int32_t index = 0;
    for (size_t i = 0; i < length; index++) {
        uint32_t c;
        i += utf8_next(text + i, length - i, &c);
        if (!hold(m, c, index >= own - more ? 1 : 0))
            return 0;
    }
    if (more < 0 && m->held)
        m->change += more;
    return 1;
}

static int map_cluster(mapped *m, const charsmap *map, const unsigned char *text, size_t length)
{
    const unsigned char *to;
    size_t to_length;
    if (length < 6 && charsmap_find(map, text, length, &to, &to_length))
        return map_to(m, to, to_length, characters(text, length));
    for (size_t i = 0; i < length;) {
        uint32_t c;
        const size_t n = utf8_next(text + i, length - i, &c);
        if (charsmap_find(map, text + i, n, &to, &to_length) ? !map_to(m, to, to_length, 1) : !hold(m, c, 0))
            return 0;
        i += n;
    }
    return 1;
}

typedef struct plain_scan {
    const text_buffer *b;
    const charsmap *map;
    const uint32_t *mapped; /* a bit for each ASCII character that the map has */
    unsigned char *known;   /* token_work.plain, or NULL: not of this map */
} plain_scan;

/* Nothing is mapped to it, and it is a cluster of its own unless a mark follows. What was found out is kept, 2 bits a character. */
static int is_plain(const plain_scan *p, uint32_t c, const unsigned char *bytes, size_t n)
{
    enum { PLAIN = 1, NOT_PLAIN = 2 };
    const unsigned char *to;
    size_t to_length;
    if (c < 0x80)
        return c != 0xD && !(p->mapped[c / 32] >> c % 32 & 1);
    if (c > 0xFFFF || p->known == NULL)
        return 0;
    const unsigned shift = c % 4 * 2;
    unsigned is = p->known[c / 4] >> shift & 3u;
    if (is == 0) {
        is = unicode_stands_alone(c) && !charsmap_find(p->map, bytes, n, &to, &to_length) ? PLAIN : NOT_PLAIN;
        p->known[c / 4] = (unsigned char)(p->known[c / 4] | is << shift);
    }
    return is == PLAIN;
}

/* Where the plain characters end that begin at i, each with no mark behind it: what follows is plain, ASCII or nothing. `last`: where
 * the last of them begins. */
static size_t plain_end(const plain_scan *p, size_t i, size_t *last)
{
    const text_buffer *b = p->b;
    size_t end = i, before = i, n;
    *last = i;
    for (size_t at = i; at < b->length; at += n) {
        uint32_t c;
        n = utf8_next(b->bytes + at, b->length - at, &c);
        const int plain = is_plain(p, c, b->bytes + at, n);
        if (at > i && (plain || c < 0x80)) {
            *last = before;
            end = at;
        }
        if (!plain)
            return end;
        before = at;
    }
    *last = before;
    return b->length;
}

/* [i, end) as it is. */
static int copy_plain(mapped *m, size_t i, size_t end)
{
    const text_buffer *b = m->r.from;
    if (!m->r.w->placed || m->r.at == i) {
        m->r.at = end;
        return text_copy(m->r.w, i, end);
    }
    while (i < end) { /* the places lag behind */
        uint32_t c;
        i += utf8_next(b->bytes + i, end - i, &c);
        if (!rewrite_put(&m->r, c, 0))
            return 0;
    }
    return 1;
}

int precompiled_run(const tokenizer *t, token_work *w, const image_op *op)
{
    const text_buffer *b = &w->now;
    charsmap map;
    if (!charsmap_open(&map, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length))
        return 1;
    mapped m = { { w, b, &w->next, 0 }, 0, 0, 0 };
    w->next.length = 0;
    const uint32_t mapped[4] = { op->flags, op->value, op->pattern, op->other };
    const plain_scan scan = { b, &map, mapped, w->plain_text == op->text ? w->plain : NULL };
    for (size_t i = 0; i < b->length;) {
        /* in stretches, but for the last character: it may have to answer for one that is removed */
        size_t last;
        const size_t plain = plain_end(&scan, i, &last);
        if (last > i) {
            uint32_t c;
            if (m.held && !rewrite_put(&m.r, m.c, m.change))
                return 0;
            m.held = 0;
            (void)utf8_next(b->bytes + last, plain - last, &c);
            if (!copy_plain(&m, i, last) || !hold(&m, c, 0))
                return 0;
            i = plain;
            continue;
        }
        const size_t end = unicode_cluster(b->bytes, i, b->length);
        if (!map_cluster(&m, &map, b->bytes + i, end - i))
            return 0;
        i = end;
    }
    if (m.held && !rewrite_put(&m.r, m.c, m.change))
        return 0;
    text_swap(w);
    return 1;
}
