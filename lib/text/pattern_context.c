/* Patterns that ask what stands in front of a place, or that may match nothing. */
#include "text/pattern_context.h"

#include "text/utf8.h"

typedef struct matcher {
    const image_pattern *p;
    const uint16_t *moves, *index, *pages, *between, *begins;
    const unsigned char *text;
    size_t length, columns;
    uint32_t final; /* the class of a line feed that is the last character, or UINT32_MAX */
} matcher;

static matcher matcher_of(const tokenizer *t, const image_pattern *p, const unsigned char *text, size_t length)
{
    const uint16_t *tables = image_part(t, PART_TABLES), *between = tables + p->context;
    return (matcher){ p, tables + p->moves, tables + p->index, tables + p->pages, between, between + (size_t)(p->more & 0xFF) * p->classes,
                      text, length, (size_t)p->classes + 1, (p->more >> 16 & 0x7FFF) - 1 };
}

/* The class of the character at `at`, which takes *n bytes; 0 bytes: the end. */
static size_t class_at(const matcher *m, size_t at, size_t *n)
{
    uint32_t c;
    *n = 0;
    if (at == m->length)
        return m->p->classes;
    *n = utf8_next(m->text + at, m->length - at, &c);
    if (c == '\n' && at + 1 == m->length && m->final < m->p->classes)
        return m->final;
    return m->pages[(size_t)m->index[c >> 8] * 256 + (c & 0xFF)];
}

/* What stands in front of a place: a few characters tell. */
static size_t context_at(const matcher *m, size_t at)
{
    size_t from = at, n;
    for (uint32_t i = 0; i < (m->p->more >> 8 & 0xFF) && from > 0; i++)
        from = utf8_previous(m->text, 0, from);
    size_t context = from == 0 ? 0 : 1;
    for (; from < at; from += n)
        context = m->between[context * m->p->classes + class_at(m, from, &n)];
    return context;
}

typedef struct failure { size_t at, state; } failure; /* as in pattern.c */

/* The end of what is accepted at `from`; SIZE_MAX: nothing. */
static size_t match_at(const matcher *m, size_t from, size_t context, failure *last)
{
    size_t at = from, end = SIZE_MAX, state = m->begins[context], before = 0, characters = 0;
    failure own = { 0, 0 };
    for (;;) {
        size_t n;
        const unsigned move = m->moves[state * m->columns + class_at(m, at, &n)];
        if (move & PATTERN_MATCH)
            end = at;
        state = move & ~PATTERN_MATCH;
        if (state == 0 || n == 0)
            break;
        at += n;
        characters++;
        if (characters == 2) {
            own = (failure){ at, state };
            if (end == SIZE_MAX && last->state != 0 && last->at == at - n && last->state == before)
                break;
        }
        before = state;
    }
    *last = end == SIZE_MAX ? own : (failure){ 0, 0 };
    return end;
}

int pattern_find_context(const tokenizer *t, const image_pattern *p, const unsigned char *text, size_t length, size_t from, size_t *begin, size_t *end)
{
    const matcher m = matcher_of(t, p, text, length);
    failure last = { 0, 0 };
    for (size_t at = from, context = context_at(&m, from), n = 1; n != 0; at += n) {
        const size_t stop = match_at(&m, at, context, &last);
        if (stop != SIZE_MAX && (stop > at || (p->more & PATTERN_EMPTY))) {
            *begin = at;
            *end = stop;
            return 1;
        }
        const size_t class = class_at(&m, at, &n);
        if (n != 0)
            context = m.between[context * p->classes + class];
    }
    return 0;
}
