/* Where tokens go. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_SINK_H
#define ECREC_LIB_TEXT_SINK_H

#include <stddef.h>
#include <stdint.h>

/* Positions are bytes of the source. */
typedef struct token_sink {
    uint32_t *ids, *offsets;
    uint8_t *types;
    size_t capacity, count;
    size_t limit; /* nothing past this many tokens is wanted; SIZE_MAX: no limit */
    uint8_t type;
    size_t first; /* so many tokens are counted, but not written */
    /* takes blanks off the ends of an offset pair (the byte-level post-processors), or NULL; spelling: the text of an added token,
     * NULL: the piece's */
    void (*trim)(const void *opaque, uint32_t *offsets, uint32_t id, const unsigned char *spelling, size_t length, int first);
    const void *trim_opaque;
} token_sink;

static inline void sink_put_as(token_sink *s, uint32_t id, uint32_t begin, uint32_t end, const unsigned char *spelling, size_t length)
{
    size_t i = s->count++;
    if (i < s->first || (i -= s->first) >= s->capacity)
        return;
    s->ids[i] = id;
    if (s->offsets != NULL) {
        s->offsets[2 * i] = begin;
        s->offsets[2 * i + 1] = end;
        if (s->trim != NULL)
            s->trim(s->trim_opaque, s->offsets + 2 * i, id, spelling, length, i == 0);
    }
    if (s->types != NULL)
        s->types[i] = s->type;
}

static inline void sink_put(token_sink *s, uint32_t id, uint32_t begin, uint32_t end)
{
    sink_put_as(s, id, begin, end, NULL, 0);
}

#endif
