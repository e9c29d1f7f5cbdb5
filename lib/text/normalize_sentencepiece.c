/* SentencePiece's own normalizer (Kudo and Richardson 2018): the longest key of its map from left to right, user defined symbols as they
 * are, blanks as a mark, one in front (or behind) of the text. */
#include "text/normalize_sentencepiece.h"

#include <string.h>

#include "text/charsmap.h"
#include "text/utf8.h"

typedef struct source {
    const tokenizer *t;
    const text_buffer *b;
    charsmap map;
    int mapped;
} source;

/* What stands for the text from `at`; returns how many bytes of it. */
static size_t next_of(const source *s, size_t at, const unsigned char **out, size_t *length)
{
    const unsigned char *text = s->b->bytes + at;
    const size_t left = s->b->length - at;
    const trie_unit *units = image_part(s->t, PART_ADDED_TRIE);
    size_t n = 0;
    uint32_t c;
    if (image_count(s->t, PART_ADDED_TRIE, sizeof *units) != 0) {
        uint32_t unit = image_of(s->t)->added_roots[1];
        for (size_t i = 0; i < left && (unit = trie_step(units, unit, text[i])) != NO_ID; i++)
            if (units[unit].id != NO_ID)
                n = i + 1;
    }
    if (n == 0 && s->mapped && (n = charsmap_longest(&s->map, text, left, out, length)) != 0)
        return n;
    *out = text;
    *length = n != 0 ? n : utf8_next(text, left, &c);
    return *length;
}

static place place_of(const text_buffer *b, int placed, size_t begin, size_t end)
{
    const place none = { 0, 0 };
    return placed ? (place){ b->places[begin].begin, b->places[end - 1].end } : none;
}

static int put_mark(token_work *w, int escaped, place p)
{
    return escaped ? text_append(w, &w->next, (const unsigned char *)"\xE2\x96\x81", 3, p) : text_append(w, &w->next, (const unsigned char *)" ", 1, p);
}

static int put_text(token_work *w, const unsigned char *text, size_t length, int escaped, place p)
{
    for (size_t i = 0; i < length;) {
        size_t end = i;
        while (end < length && text[end] != ' ')
            end++;
        if (end > i && !text_append(w, &w->next, text + i, end - i, p))
            return 0;
        if (end < length && !put_mark(w, escaped, p))
            return 0;
        i = end + 1;
    }
    return 1;
}

static void drop_blanks(text_buffer *b, int escaped)
{
    const char *mark = escaped ? "\xE2\x96\x81" : " ";
    const size_t n = strlen(mark);
    while (b->length >= n && memcmp(b->bytes + b->length - n, mark, n) == 0)
        b->length -= n;
}

int normalize_sentencepiece(const tokenizer *t, token_work *w, const image_op *op)
{
    const text_buffer *b = &w->now;
    const int collapse = (op->flags & SENTENCEPIECE_COLLAPSE) != 0, escaped = (op->flags & SENTENCEPIECE_ESCAPE) != 0;
    source s = { .t = t, .b = b };
    const unsigned char *text;
    size_t at = 0, n, length;
    s.mapped = op->text_length != 0 && charsmap_open(&s.map, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length);
    w->next.length = 0;
    for (; collapse && at < b->length; at += n) {
        n = next_of(&s, at, &text, &length);
        if (length != 1 || text[0] != ' ')
            break;
    }
    const int marked = (op->flags & SENTENCEPIECE_PREFIX) != 0 && at < b->length, suffix = (op->flags & SENTENCEPIECE_SUFFIX) != 0;
    if (marked && !suffix && !put_mark(w, escaped, place_of(b, w->placed, at, at + 1)))
        return 0;
    for (int blank = collapse; at < b->length; at += n) {
        n = next_of(&s, at, &text, &length);
        while (blank && length != 0 && text[0] == ' ') {
            text++;
            length--;
        }
        if (!put_text(w, text, length, escaped, place_of(b, w->placed, at, at + n)))
            return 0;
        if (length != 0)
            blank = collapse && text[length - 1] == ' ';
    }
    if (collapse)
        drop_blanks(&w->next, escaped);
    if (marked && suffix && !put_mark(w, escaped, place_of(b, w->placed, b->length - 1, b->length)))
        return 0;
    text_swap(w);
    return 1;
}
