#include "text/charsmap.h"

#include <string.h>

#include "text/utf8.h"

static uint32_t unit(const charsmap *map, size_t index)
{
    const unsigned char *b = map->units + 4 * index;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

int charsmap_open(charsmap *map, const unsigned char *bytes, size_t length)
{
    if (length < 8)
        return 0;
    const size_t size = bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (size < 4 || size > length - 4)
        return 0;
    map->units = bytes + 4;
    map->unit_count = size / 4;
    map->texts = bytes + 4 + size / 4 * 4;
    map->text_length = length - 4 - size / 4 * 4;
    return map->text_length != 0 && map->texts[map->text_length - 1] == 0;
}

/* Units as darts-clone lays them out (s-yata, 2008): bits 10..30 offset, 9 its scale, 8 leaf, 0..7 and 31 label. */
static size_t offset_of(uint32_t u)
{
    return (size_t)(u >> 10) << ((u & 512) >> 6);
}

/* The length of the first key, or of the last one. */
static size_t find(const charsmap *map, const unsigned char *text, size_t length, int longest, const unsigned char **to, size_t *to_length)
{
    size_t at = offset_of(unit(map, 0)), found = 0;
    for (size_t i = 0; i < length && text[i] != 0; i++) {
        at ^= text[i];
        if (at >= map->unit_count)
            break;
        const uint32_t u = unit(map, at);
        if ((u & 0x800000FFu) != text[i])
            break;
        at ^= offset_of(u);
        if (at >= map->unit_count)
            break;
        if (u & 256) {
            const size_t begin = unit(map, at) & 0x7FFFFFFFu;
            if (begin >= map->text_length)
                break;
            *to = map->texts + begin;
            *to_length = strlen((const char *)*to); /* the last text ends in a NUL */
            found = i + 1;
            if (!longest)
                break;
        }
    }
    return found;
}

int charsmap_find(const charsmap *map, const unsigned char *text, size_t length, const unsigned char **to, size_t *to_length)
{
    return find(map, text, length, 0, to, to_length) != 0;
}

size_t charsmap_longest(const charsmap *map, const unsigned char *text, size_t length, const unsigned char **to, size_t *to_length)
{
    return find(map, text, length, 1, to, to_length);
}

/* A walk over all keys of at most KEY_BYTES, which is what clusters and characters have. */
enum { KEY_BYTES = 5, MOST_STEPS = 1 << 23 };
typedef struct walk {
    const charsmap *map;
    charsmap_growth *out;
    unsigned char key[KEY_BYTES];
    size_t steps;
} walk;

static void widen(uint32_t *value, size_t n, size_t source)
{
    const size_t quarters = (4 * n + source - 1) / source;
    if (quarters > *value)
        *value = quarters < UINT32_MAX ? (uint32_t)quarters : UINT32_MAX;
}

static void measure_key(walk *w, size_t length, const unsigned char *to)
{
    const size_t n = strlen((const char *)to);
    size_t bytes = 0, characters = 0, blanks = 0, source = length;
    for (size_t i = 0; i < n;) {
        unsigned char out[4];
        uint32_t c;
        i += utf8_next(to + i, n - i, &c);
        bytes += utf8_put(c, out);
        characters++;
        blanks += c == ' ';
    }
    for (size_t i = 0; i + 3 <= length; i++)
        if (memcmp(w->key + i, "\xEF\xBF\xBD", 3) == 0)
            source -= 2;
    widen(&w->out->bytes, bytes, source);
    widen(&w->out->characters, characters, source);
    widen(&w->out->blanks, blanks, source);
}

static void walk_from(walk *w, size_t from, size_t depth)
{
    for (unsigned c = 1; c < 256 && w->steps < MOST_STEPS; c++) {
        size_t at = from ^ c;
        w->steps++;
        if (at >= w->map->unit_count)
            continue;
        const uint32_t u = unit(w->map, at);
        if ((u & 0x800000FFu) != c || (at ^= offset_of(u)) >= w->map->unit_count)
            continue;
        w->key[depth] = (unsigned char)c;
        if (u & 256) {
            const size_t begin = unit(w->map, at) & 0x7FFFFFFFu;
            if (begin < w->map->text_length)
                measure_key(w, depth + 1, w->map->texts + begin);
        } else if (depth + 1 < KEY_BYTES) {
            walk_from(w, at, depth + 1);
        }
    }
}

void charsmap_measure(const charsmap *map, charsmap_growth *out)
{
    walk w = { map, out, { 0 }, 0 };
    *out = (charsmap_growth){ 4, 4, 4 };
    walk_from(&w, offset_of(unit(map, 0)), 0);
}
