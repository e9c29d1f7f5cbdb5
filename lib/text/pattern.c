#include "text/pattern.h"

#include <string.h>

#include "text/pattern_context.h"
#include "text/utf8.h"

/* Where an attempt that found nothing stood after two characters: the next one, a character later, finds nothing either when it stands
 * there in the same state after one. So a long stretch that fails as a whole is walked once. */
typedef struct failure { size_t at, state; } failure;

/* The end of what the automaton accepts at `from` (its order of preference is in its states). 0: nothing. */
static size_t match_at(const image_pattern *p, const uint16_t *tables, const unsigned char *text, size_t length, size_t from, failure *last)
{
    const uint16_t *moves = tables + p->moves, *index = tables + p->index, *pages = tables + p->pages;
    const size_t columns = (size_t)p->classes + 1;
    size_t at = from, end = 0, state = 1, characters = 0;
    size_t before = 0; /* the state one character ago */
    failure own = { 0, 0 };
    for (;;) {
        size_t column = p->classes, n = 0;
        if (at < length) {
            uint32_t c = text[at];
            n = 1;
            if (c >= 0x80)
                n = utf8_next(text + at, length - at, &c);
            column = pages[(size_t)index[c >> 8] * 256 + (c & 0xFF)];
        }
        const unsigned move = moves[state * columns + column];
        if (move & PATTERN_MATCH)
            end = at;
        state = move & ~PATTERN_MATCH;
        if (state == 0 || n == 0)
            break;
        at += n;
        characters++;
        if (characters == 2) {
            own = (failure){ at, state };
            if (end == 0 && last->state != 0 && last->at == at - n && last->state == before)
                break;
        }
        before = state;
    }
    *last = end == 0 ? own : (failure){ 0, 0 };
    return end;
}

/* The only byte that matches of p begin with, or -1. */
static int only_letter(const image_pattern *p, const uint16_t *tables)
{
    if (p->more != 0) /* it begins in several states */
        return -1;
    const uint16_t *first = tables + p->moves + (size_t)p->classes + 1, *index = tables + p->index, *pages = tables + p->pages;
    int letter = -1, shared = 0;
    for (size_t k = 1; k < PATTERN_INDEX; k++)
        shared |= index[k] == index[0];
    for (size_t page = 0; page < p->page_count; page++)
        for (size_t c = page == index[0] && !shared ? 0x80 : 0; c < 256; c++)
            if (first[pages[page * 256 + c]] != 0)
                return -1;
    for (int c = 0; c < 0x80; c++)
        if (first[pages[(size_t)index[0] * 256 + (size_t)c]] != 0) {
            if (letter >= 0)
                return -1;
            letter = c;
        }
    return letter;
}

void pattern_prepare(tokenizer *t)
{
    const image_pattern *patterns = image_part(t, PART_PATTERNS);
    const size_t n = image_count(t, PART_PATTERNS, sizeof *patterns), most = sizeof t->pattern_letter / sizeof *t->pattern_letter;
    for (size_t i = 0; i < most; i++)
        t->pattern_letter[i] = (int16_t)(i < n ? only_letter(&patterns[i], image_part(t, PART_TABLES)) : -1);
}

int pattern_find(const tokenizer *t, uint32_t pattern, const unsigned char *text, size_t length, size_t from, size_t *begin, size_t *end)
{
    const image_pattern *p = (const image_pattern *)image_part(t, PART_PATTERNS) + pattern;
    const uint16_t *tables = image_part(t, PART_TABLES);
    if (p->more != 0)
        return pattern_find_context(t, p, text, length, from, begin, end);
    const uint16_t *first = tables + p->moves + (size_t)p->classes + 1, *ascii = tables + p->pages + (size_t)tables[p->index] * 256;
    const int letter = pattern < sizeof t->pattern_letter / sizeof *t->pattern_letter ? t->pattern_letter[pattern] : -1;
    failure last = { 0, 0 };
    for (size_t at = from; at < length;) {
        if (letter >= 0 && text[at] != letter) {
            const unsigned char *next = memchr(text + at, letter, length - at);
            if (next == NULL)
                return 0;
            at = (size_t)(next - text);
        }
        if (text[at] < 0x80 && first[ascii[text[at]]] == 0) { /* nothing begins so */
            at++;
            continue;
        }
        const size_t stop = match_at(p, tables, text, length, at, &last);
        if (stop > at) {
            *begin = at;
            *end = stop;
            return 1;
        }
        uint32_t c;
        at += utf8_next(text + at, length - at, &c);
    }
    return 0;
}

int text_find(const unsigned char *text, size_t length, size_t from, const unsigned char *what, size_t what_length, size_t *begin, size_t *end)
{
    for (size_t at = from; what_length != 0 && at + what_length <= length;) {
        const unsigned char *first = memchr(text + at, what[0], length - what_length + 1 - at);
        if (first == NULL)
            return 0;
        if (memcmp(first, what, what_length) == 0) {
            *begin = (size_t)(first - text);
            *end = *begin + what_length;
            return 1;
        }
        at = (size_t)(first - text) + 1;
    }
    return 0;
}
