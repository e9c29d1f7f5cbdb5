/* Anchors, word boundaries and looks ahead and behind. All of them ask at most for the next character and for the bits of context_bits, so
 * the automaton stays one pass. */
#include "text/pattern_look.h"

#include <string.h>

#include "text/pattern_properties.h"

static const fragment none = { 0, 0 };

uint64_t context_after(const context_bits *b, uint64_t before, uint64_t mask)
{
    uint64_t after = 0;
    for (uint32_t i = 1; i < b->count; i++)
        if ((mask >> b->sets[i] & 1) && ((b->first | before << 1) >> i & 1))
            after |= (uint64_t)1 << i;
    return after;
}

/* The bit that says that these sets stand in front, in their order; 0: there is no more room. */
static uint64_t bit_of(compiler *c, const uint32_t *sets, uint32_t n)
{
    context_bits *b = &c->context;
    for (uint32_t at = 1; at + n <= b->count; at++) {
        uint32_t same = 0;
        while (same < n && b->sets[at + same] == sets[same] && (b->first >> (at + same) & 1) == (same == 0))
            same++;
        if (same == n)
            return (uint64_t)1 << (at + n - 1);
    }
    if (b->count + n > 64)
        return (void)pattern_fail(c, "too much to look behind for"), 0;
    b->first |= (uint64_t)1 << b->count;
    for (uint32_t i = 0; i < n; i++)
        b->sets[b->count++] = sets[i];
    b->longest = n > b->longest ? n : b->longest;
    return (uint64_t)1 << (b->count - 1);
}

static fragment behind(compiler *c, uint64_t bits, int negated)
{
    uint32_t at = 0;
    while (at < c->behind_count && c->behinds[at] != bits)
        at++;
    if (at == sizeof c->behinds / sizeof *c->behinds)
        return pattern_fail(c, "too much to look behind for"), none;
    c->behinds[at] = bits;
    c->behind_count += at == c->behind_count;
    c->context.used = 1;
    const fragment f = pattern_single(c, NODE_BEHIND, at);
    c->nodes[f.first].negated = (uint32_t)negated;
    return f;
}

static fragment ahead(compiler *c, uint32_t set, int negated)
{
    const fragment f = pattern_single(c, NODE_LOOK, set);
    c->nodes[f.first].negated = (uint32_t)negated;
    return f;
}

static fragment either(compiler *c, fragment a, fragment b)
{
    const int32_t split = pattern_add(c, NODE_SPLIT, 0), exit = pattern_add(c, NODE_SPLIT, 0);
    c->nodes[split].next = a.first;
    c->nodes[split].other = b.first;
    c->nodes[a.last].next = c->nodes[b.last].next = exit;
    return (fragment){ split, exit };
}

enum { SET_WORD, SET_LINE_FEED, SET_ALL };
static int known_set(compiler *c, int which, uint32_t *set)
{
    if (!set_new(&c->sets, set))
        return pattern_fail(c, "too many sets");
    if (which == SET_WORD)
        set_add_escape(&c->sets, *set, 'w', 0);
    else if (which == SET_LINE_FEED)
        set_add(&c->sets, *set, '\n');
    else
        set_invert(&c->sets, *set);
    *set = set_intern(&c->sets, *set);
    return 1;
}

/* The set that only a last line feed is in: it has no character, so it is no other's twin. */
static int final_set(compiler *c)
{
    if (c->final != UINT32_MAX)
        return 1;
    if (!set_new(&c->sets, &c->final)) {
        c->final = UINT32_MAX;
        return pattern_fail(c, "too many sets");
    }
    return 1;
}

static fragment boundary(compiler *c, int negated)
{
    uint32_t set;
    uint64_t bit;
    if (!known_set(c, SET_WORD, &set) || (bit = bit_of(c, &set, 1)) == 0)
        return none;
    const fragment from = behind(c, bit, 0), leave = ahead(c, set, !negated), to = behind(c, bit, 1), enter = ahead(c, set, negated);
    return either(c, pattern_chain(c, from, leave), pattern_chain(c, to, enter));
}

/* The beginning, or behind a line feed that is not the last character. */
static fragment line_begin(compiler *c)
{
    uint32_t feed, all;
    uint64_t bit;
    if (!known_set(c, SET_LINE_FEED, &feed) || !known_set(c, SET_ALL, &all) || (bit = bit_of(c, &feed, 1)) == 0)
        return none;
    const fragment start = behind(c, CONTEXT_BEGIN, 0), after = behind(c, bit, 0), more = ahead(c, all, 0);
    return either(c, start, pattern_chain(c, after, more));
}

static fragment line_end(compiler *c)
{
    uint32_t set;
    if (!set_new(&c->sets, &set))
        return pattern_fail(c, "too many sets"), none;
    set_add(&c->sets, set, '\n');
    set_invert(&c->sets, set);
    return ahead(c, set_intern(&c->sets, set), 1);
}

static fragment text_end(compiler *c, int also_final)
{
    uint32_t all;
    if (!known_set(c, SET_ALL, &all) || (also_final && !final_set(c)))
        return none;
    const fragment end = ahead(c, all, 1);
    return also_final ? either(c, end, ahead(c, c->final, 0)) : end;
}

int pattern_anchor(compiler *c, fragment *out)
{
    if (pattern_take(c, "$"))
        *out = line_end(c);
    else if (pattern_take(c, "^"))
        *out = line_begin(c);
    else if (pattern_take(c, "\\A"))
        *out = behind(c, CONTEXT_BEGIN, 0);
    else if (pattern_take(c, "\\z"))
        *out = text_end(c, 0);
    else if (pattern_take(c, "\\Z"))
        *out = text_end(c, 1);
    else if (pattern_take(c, "\\b"))
        *out = boundary(c, 0);
    else if (pattern_take(c, "\\B"))
        *out = boundary(c, 1);
    else
        return 0;
    return 1;
}

/* ---- looks ---- */

fragment pattern_look_ahead(compiler *c, int negated)
{
    uint32_t all;
    int end = 0;
    if (!set_new(&c->sets, &all))
        return pattern_fail(c, "too many sets"), none;
    do {
        uint32_t set;
        if (pattern_take(c, "$")) {
            set_add(&c->sets, all, '\n');
            end = 1;
        } else if (pattern_take(c, "\\z")) {
            end = 1;
        } else if (pattern_peek(c, ')') || pattern_peek(c, '|') || c->at == c->length) {
            return pattern_fail(c, "an empty look ahead"), none;
        } else {
            const uint32_t count = c->sets.count;
            if (!pattern_class(c, &set))
                return none;
            set_unite(&c->sets, all, set);
            if (c->sets.count > count)
                set_drop(&c->sets, count);
        }
    } while (pattern_take(c, "|"));
    if (!pattern_take(c, ")"))
        return pattern_fail(c, "a look ahead at more than one character"), none;
    if (end) /* the end follows, or one of these: no other character does */
        set_invert(&c->sets, all);
    return ahead(c, set_intern(&c->sets, all), negated != end);
}

static int counted(compiler *c, uint32_t *times)
{
    *times = 1;
    if (!pattern_take(c, "{"))
        return 1;
    *times = 0;
    while (c->at < c->length && c->text[c->at] >= '0' && c->text[c->at] <= '9' && *times <= MOST_BEHIND)
        *times = *times * 10 + (uint32_t)(c->text[c->at++] - '0');
    return pattern_take(c, "}") && *times != 0;
}

fragment pattern_look_behind(compiler *c, int negated)
{
    uint64_t bits = 0;
    do {
        uint32_t sets[MOST_BEHIND], n = 0;
        if (pattern_take(c, "\\A")) {
            bits |= CONTEXT_BEGIN;
            continue;
        }
        while (c->at < c->length && !pattern_peek(c, '|') && !pattern_peek(c, ')')) {
            static const char special[] = "*+?{(^$";
            uint32_t set, times;
            if (memchr(special, c->text[c->at], sizeof special - 1) != NULL || !pattern_class(c, &set) || !counted(c, &times))
                return pattern_fail(c, "a look behind at what has no fixed length"), none;
            if (n + times > MOST_BEHIND)
                return pattern_fail(c, "a look behind at more than 8 characters"), none;
            while (times-- > 0)
                sets[n++] = set;
        }
        const uint64_t bit = n != 0 ? bit_of(c, sets, n) : 0;
        if (bit == 0)
            return c->status != ECREC_OK ? none : (pattern_fail(c, "an empty look behind"), none);
        bits |= bit;
    } while (pattern_take(c, "|"));
    if (!pattern_take(c, ")"))
        return pattern_fail(c, "a group that is not closed"), none;
    return behind(c, bits, negated);
}
