#include "text/words.h"

#include <string.h>
#include <utf8proc.h>

#include "text/unicode.h"
#include "text/utf8.h"

enum { WORD_BYTES = 256, MOST_WORDS = 4, MOST_CHARACTERS = 8 };

typedef struct gram_state {
    ngram_emit emit;
    void *opaque;
    uint32_t word_max, char_max;
    char words[MOST_WORDS][WORD_BYTES]; /* the last words, a ring */
    size_t lengths[MOST_WORDS];
    size_t seen; /* words so far */
    char word[WORD_BYTES];
    size_t length;
} gram_state;

static void character_grams(const gram_state *g)
{
    char padded[WORD_BYTES + 2];
    uint16_t starts[WORD_BYTES + 3];
    size_t count = 0, n = g->length + 2;
    padded[0] = '<';
    memcpy(padded + 1, g->word, g->length);
    padded[n - 1] = '>';
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)padded[i] & 0xC0) != 0x80)
            starts[count++] = (uint16_t)i;
    starts[count] = (uint16_t)n;
    for (size_t size = 3; size <= g->char_max && size <= count; size++)
        for (size_t i = 0; i + size <= count; i++)
            g->emit(g->opaque, 2, padded + starts[i], (size_t)starts[i + size] - starts[i]);
}

static void end_word(gram_state *g)
{
    char joined[MOST_WORDS * (WORD_BYTES + 1)];
    if (g->length == 0)
        return;
    const size_t slot = g->seen % MOST_WORDS;
    memcpy(g->words[slot], g->word, g->length);
    g->lengths[slot] = g->length;
    g->seen++;
    for (size_t size = 1; size <= g->word_max && size <= g->seen; size++) {
        size_t n = 0;
        for (size_t i = g->seen - size; i < g->seen; i++) {
            if (n != 0)
                joined[n++] = ' ';
            memcpy(joined + n, g->words[i % MOST_WORDS], g->lengths[i % MOST_WORDS]);
            n += g->lengths[i % MOST_WORDS];
        }
        g->emit(g->opaque, 1, joined, n);
    }
    if (g->char_max >= 3)
        character_grams(g);
    g->length = 0;
}

static int in_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO) && !unicode_is_chinese(c);
}

void text_ngrams(const char *text, size_t length, uint32_t word_max, uint32_t char_max, ngram_emit emit, void *opaque)
{
    gram_state g;
    g.emit = emit;
    g.opaque = opaque;
    g.word_max = word_max < MOST_WORDS ? word_max : MOST_WORDS;
    g.char_max = char_max < MOST_CHARACTERS ? char_max : MOST_CHARACTERS;
    g.seen = g.length = 0;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        unsigned char bytes[4];
        i += utf8_next((const unsigned char *)text + i, length - i, &c);
        const int part = in_word(c);
        if (!part)
            end_word(&g);
        if (unicode_is_space(c) || (!part && unicode_is_control(c)))
            continue;
        const size_t n = utf8_put(c < 0x80 ? (c - 'A' < 26u ? c + 32 : c) : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c), bytes);
        if (g.length + n > WORD_BYTES)
            end_word(&g);
        memcpy(g.word + g.length, bytes, n);
        g.length += n;
        if (!part)
            end_word(&g);
    }
    end_word(&g);
}
