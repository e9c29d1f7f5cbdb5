#include "text/charsmap.h"

#include <string.h>

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

int charsmap_find(const charsmap *map, const unsigned char *text, size_t length, const unsigned char **to, size_t *to_length)
{
    size_t at = offset_of(unit(map, 0));
    for (size_t i = 0; i < length && text[i] != 0; i++) {
        at ^= text[i];
        if (at >= map->unit_count)
            return 0;
        const uint32_t u = unit(map, at);
        if ((u & 0x800000FFu) != text[i])
            return 0;
        at ^= offset_of(u);
        if (at >= map->unit_count)
            return 0;
        if (u & 256) {
            const size_t begin = unit(map, at) & 0x7FFFFFFFu;
            if (begin >= map->text_length)
                return 0;
            *to = map->texts + begin;
            *to_length = strlen((const char *)*to); /* the last text ends in a NUL */
            return 1;
        }
    }
    return 0;
}
