#include "text/pattern_sets.h"

#include <string.h>
#include <utf8proc.h>

#include "text/unicode.h"

enum { CHARACTERS = 0x110000, WORDS = CHARACTERS / 64, PAGES = CHARACTERS / 256 };

int sets_open(set_builder *s, arena *a)
{
    memset(s, 0, sizeof *s);
    s->a = a;
    if ((s->categories = arena_allocate(a, CHARACTERS)) == NULL)
        return 0;
    for (uint32_t c = 0; c < CHARACTERS; c++)
        s->categories[c] = (unsigned char)unicode_category(c);
    return 1;
}

int set_new(set_builder *s, uint32_t *set)
{
    if (s->count == 64)
        return 0;
    if (s->bits[s->count] == NULL && (s->bits[s->count] = arena_allocate(s->a, WORDS * sizeof(uint64_t))) == NULL) {
        s->failed = 1;
        return 0;
    }
    memset(s->bits[s->count], 0, WORDS * sizeof(uint64_t));
    *set = s->count++;
    return 1;
}

void set_drop(set_builder *s, uint32_t set)
{
    s->count = set;
}

uint32_t set_intern(set_builder *s, uint32_t set)
{
    for (uint32_t i = 0; i < set; i++)
        if (memcmp(s->bits[i], s->bits[set], WORDS * sizeof(uint64_t)) == 0) {
            set_drop(s, set);
            return i;
        }
    return set;
}

static int has(const set_builder *s, uint32_t set, uint32_t c)
{
    return (s->bits[set][c / 64] >> c % 64 & 1) != 0;
}

static void put(set_builder *s, uint32_t set, uint32_t c)
{
    s->bits[set][c / 64] |= (uint64_t)1 << c % 64;
}

void set_add(set_builder *s, uint32_t set, uint32_t c)
{
    put(s, set, c);
}

void set_add_range(set_builder *s, uint32_t set, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to && c < CHARACTERS; c++)
        put(s, set, c);
}

void set_unite(set_builder *s, uint32_t to, uint32_t from)
{
    for (size_t i = 0; i < WORDS; i++)
        s->bits[to][i] |= s->bits[from][i];
}

void set_intersect(set_builder *s, uint32_t to, uint32_t with)
{
    for (size_t i = 0; i < WORDS; i++)
        s->bits[to][i] &= s->bits[with][i];
}

void set_clear(set_builder *s, uint32_t set)
{
    memset(s->bits[set], 0, WORDS * sizeof(uint64_t));
}

void set_invert(set_builder *s, uint32_t set)
{
    for (size_t i = 0; i < WORDS; i++)
        s->bits[set][i] = ~s->bits[set][i];
}

void set_fold(set_builder *s, uint32_t set)
{
    for (int round = 0; round < 2; round++)
        for (uint32_t c = 0; c < 0x20000; c++) {
            const uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c), upper = (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
            if (lower == c && upper == c)
                continue;
            if (round == 0 && has(s, set, c)) {
                put(s, set, lower);
                put(s, set, upper);
            } else if (round == 1 && (has(s, set, lower) || has(s, set, upper))) {
                put(s, set, c);
            }
        }
}

int set_meets(const set_builder *s, uint32_t a, uint32_t b)
{
    uint64_t any = 0;
    for (size_t i = 0; i < WORDS; i++)
        any |= s->bits[a][i] & s->bits[b][i];
    return any != 0;
}

static uint64_t mask_of(const set_builder *s, uint32_t c)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < s->count; i++)
        mask |= (s->bits[i][c / 64] >> c % 64 & 1) << i;
    return mask;
}

int sets_classes(set_builder *s, uint32_t most, const uint64_t **masks, uint32_t *classes, uint16_t **index, uint16_t **pages, uint32_t *page_count)
{
    uint64_t *found = arena_allocate(s->a, most * sizeof *found);
    uint16_t *own_index = arena_allocate(s->a, PAGES * sizeof **index), *own = arena_allocate(s->a, (size_t)PAGES * 256 * sizeof **pages);
    uint32_t count = 0, used = 0, last = 0;
    if (found == NULL || own_index == NULL || own == NULL) {
        s->failed = 1;
        return 0;
    }
    for (uint32_t page = 0; page < PAGES; page++) {
        uint16_t *out = own + (size_t)used * 256;
        for (uint32_t i = 0; i < 256; i++) {
            const uint64_t mask = mask_of(s, page * 256 + i);
            if (last >= count || found[last] != mask) {
                for (last = 0; last < count && found[last] != mask; last++)
                    ;
                if (last == count) {
                    if (count == most)
                        return 0;
                    found[count++] = mask;
                }
            }
            out[i] = (uint16_t)last;
        }
        uint32_t same = 0;
        while (same < used && memcmp(own + (size_t)same * 256, out, 256 * sizeof *out) != 0)
            same++;
        own_index[page] = (uint16_t)same;
        used += same == used;
    }
    *masks = found;
    *classes = count;
    *index = own_index;
    *pages = own;
    *page_count = used;
    return 1;
}
