#include "text/added.h"

#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

void added_prepare(tokenizer *t)
{
    const trie_unit *units = image_part(t, PART_ADDED_TRIE);
    const size_t count = image_count(t, PART_ADDED_TRIE, sizeof *units);
    for (int which = 0; which < 2; which++) {
        t->letter[which] = -1;
        for (uint32_t c = 0; c < 256 && count != 0; c++)
            if (trie_step(units, image_of(t)->added_roots[which], (unsigned char)c) != NO_ID) {
                t->begins[which][c] = 1;
                t->letter[which] = t->letter[which] == -1 ? (int)c : -2;
            }
    }
}

/* By binary search: the entries are in order of their ids. */
const image_added *added_of(const tokenizer *t, uint32_t id)
{
    const image_added *added = image_part(t, PART_ADDED);
    size_t low = 0, high = image_count(t, PART_ADDED, sizeof *added);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (added[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < image_count(t, PART_ADDED, sizeof *added) && added[low].id == id ? &added[low] : NULL;
}

/* The character in front of `at`, and its bytes; a blank where there is none. */
static uint32_t character_before(const unsigned char *text, size_t from, size_t at, size_t *length)
{
    uint32_t c = ' ';
    size_t start = at;
    while (start > from && at - start < 4) {
        start--;
        if ((text[start] & 0xC0) != 0x80)
            break;
    }
    *length = start < at ? utf8_next(text + start, at - start, &c) : 0;
    if (*length != at - start) {
        c = REPLACEMENT;
        *length = 1;
    }
    return c;
}

static int stands_alone(const added_scan *s, size_t begin, size_t end)
{
    size_t n;
    uint32_t c;
    if (begin > 0 && unicode_is_word(character_before(s->text, 0, begin, &n)))
        return 0;
    if (end == s->length)
        return 1;
    (void)utf8_next(s->text + end, s->length - end, &c);
    return !unicode_is_word(c);
}

/* The longest one that begins at `at`. */
static int spelt(const added_scan *s, size_t at, size_t *end, uint32_t *index)
{
    const trie_unit *units = image_part(s->t, PART_ADDED_TRIE);
    uint32_t unit = image_of(s->t)->added_roots[s->normalized], found = NO_ID;
    for (size_t i = at; i < s->length && (unit = trie_step(units, unit, s->text[i])) != NO_ID; i++)
        if (units[unit].id != NO_ID) {
            found = units[unit].id;
            *end = i + 1;
        }
    *index = found;
    return found != NO_ID;
}

int added_next(added_scan *s, size_t *begin, size_t *end, uint32_t *id)
{
    const image_added *added = image_part(s->t, PART_ADDED);
    const int letter = s->t->letter[s->normalized];
    const unsigned char *begins = s->t->begins[s->normalized];
    uint32_t index = 0;
    while (letter != -1 && s->at < s->length) {
        if (letter >= 0) {
            const unsigned char *next = memchr(s->text + s->at, letter, s->length - s->at);
            if (next == NULL)
                return 0;
            s->at = (size_t)(next - s->text);
        } else {
            while (s->at < s->length && !begins[s->text[s->at]])
                s->at++;
            if (s->at == s->length)
                return 0;
        }
        const size_t from = s->at;
        size_t to = 0, n;
        uint32_t c;
        if (!spelt(s, from, &to, &index)) {
            s->at++;
            continue;
        }
        s->at = to;
        if ((added[index].flags & ADDED_SINGLE_WORD) && !stands_alone(s, from, to))
            continue;
        *begin = (added[index].flags & ADDED_LSTRIP) && from < s->done ? s->done : from;
        while ((added[index].flags & ADDED_LSTRIP) && *begin > s->done && unicode_is_space(character_before(s->text, s->done, *begin, &n)))
            *begin -= n;
        while ((added[index].flags & ADDED_RSTRIP) && to < s->length) {
            n = utf8_next(s->text + to, s->length - to, &c);
            if (!unicode_is_space(c))
                break;
            to += n;
        }
        s->done = to;
        if (*begin >= to) /* one before it took all of it as blanks */
            continue;
        *end = to;
        *id = added[index].id;
        return 1;
    }
    return 0;
}
