#include "text/models.h"

#include <string.h>

#include "text/utf8.h"

void word_put(word_output *o, uint32_t id, size_t at, size_t length)
{
    uint32_t begin = 0, end = 0;
    const token_work *w = o->w;
    if (w->placed) {
        /* a vocabulary without a piece for a character shortens the word, so that positions may lie past the end */
        const size_t first = o->begin + at < o->end ? o->begin + at : o->end - 1;
        const size_t last = length == 0 ? first : o->begin + at + length - 1 < o->end ? o->begin + at + length - 1 : o->end - 1;
        begin = w->now.places[first].begin;
        end = w->now.places[last].end;
    }
    sink_put_as(o->sink, id, begin, end, o->spelt ? w->now.bytes + o->begin + at : NULL, length);
    if (o->keep != NULL) {
        const uint32_t n = o->keep->count;
        if (n < CACHE_IDS && length < 256) {
            o->keep->ids[n] = id;
            o->keep->lengths[n] = (uint8_t)length;
            o->keep->count = (uint8_t)(n + 1);
        } else {
            o->keep->count = 255;
        }
    }
}

void greedy_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o)
{
    const image_settings *s = image_of(t);
    const trie_unit *units = image_part(t, PART_TRIE);
    const size_t start = o->sink->count;
    uint32_t root = s->roots[0];
    size_t characters = 0;
    for (size_t i = 0; i < length; i++)
        characters += (word[i] & 0xC0) != 0x80;
    int good = characters <= s->word_limit;
    for (size_t at = 0; good && at < length; root = s->roots[1]) {
        uint32_t unit = root, id = NO_ID;
        size_t stop = at;
        for (size_t i = at; i < length && (unit = trie_step(units, unit, word[i])) != NO_ID; i++)
            if (units[unit].id != NO_ID) {
                id = units[unit].id;
                stop = i + 1;
            }
        if (id == NO_ID) {
            good = 0;
            break;
        }
        word_put(o, id, at, stop - at);
        at = stop;
    }
    if (good)
        return;
    o->sink->count = start;
    if (o->keep != NULL)
        o->keep->count = 0;
    word_put(o, s->unknown, 0, length);
}

static uint32_t hash_word(const unsigned char *word, size_t length)
{
    uint64_t a = 0, b = 0, c = 0;
    if (length >= 16)
        memcpy(&c, word + length - 8, 8);
    if (length >= 8) {
        memcpy(&a, word, 8);
        memcpy(&b, word + (length >= 16 ? 8 : length - 8), 8);
    } else if (length >= 4) {
        uint32_t x, y;
        memcpy(&x, word, 4);
        memcpy(&y, word + length - 4, 4);
        a = x | (uint64_t)y << 32;
    } else {
        for (size_t i = 0; i < length; i++)
            a = a << 8 | word[i];
    }
    uint64_t h = (a ^ length) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 29 ^ b) * 0xC2B2AE3D27D4EB4Fu;
    h = (h ^ h >> 31 ^ c) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 40);
}

static int uncached(const tokenizer *t, const unsigned char *word, size_t length, word_output *o)
{
    switch (image_of(t)->model) {
    case MODEL_BPE:
        return bpe_word(t, word, length, o);
    case MODEL_UNIGRAM:
        return image_of(t)->flags & TOKENIZER_WHOLE ? unigram_whole(t, word, length, o) : unigram_word(t, word, length, o);
    case MODEL_WORDLEVEL: {
        const uint32_t id = trie_find(image_part(t, PART_TRIE), image_of(t)->roots[0], word, length);
        word_put(o, id != NO_ID ? id : image_of(t)->unknown, 0, length);
        return 1;
    }
    default:
        greedy_word(t, word, length, o);
        return 1;
    }
}

int model_run(const tokenizer *t, token_work *w, size_t begin, size_t end, token_sink *sink)
{
    const unsigned char *word = w->now.bytes + begin;
    const size_t length = end - begin;
    word_output o = { w, sink, begin, end, NULL, 0 };
    if (w->cache == NULL || length > CACHE_KEY)
        return uncached(t, word, length, &o);
    cached_word *entry = &w->cache[hash_word(word, length) % CACHE_ENTRIES];
    if (entry->key_length == length && memcmp(entry->key, word, length) == 0) {
        size_t at = 0;
        for (uint32_t i = 0; i < entry->count; i++) {
            word_put(&o, entry->ids[i], at, entry->lengths[i]);
            at += entry->lengths[i];
        }
        return 1;
    }
    entry->key_length = 0;
    entry->count = 0;
    o.keep = entry;
    if (!uncached(t, word, length, &o))
        return 0;
    if (entry->count != 255) {
        memcpy(entry->key, word, length);
        entry->key_length = (uint8_t)length;
    }
    return 1;
}
