#include "text/wordpiece.h"

#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

enum { CONTROL, SPACE, PUNCTUATION, WORD, WIDE };

/* classes of bytes; 0x80 and above begin a wider character */
static const uint8_t class_of[256] = {
#define C CONTROL
#define S SPACE
#define P PUNCTUATION
#define W WORD
#define X WIDE
    C, C, C, C, C, C, C, C, C, S, S, C, C, S, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* 00 */
    S, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, W, W, W, W, W, W, W, W, W, W, P, P, P, P, P, P, /* 20 */
    P, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, P, P, P, P, P, /* 40 */
    P, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, P, P, P, P, C, /* 60 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
#undef C
#undef S
#undef P
#undef W
#undef X
};

typedef struct run {
    const trie_unit *units;
    const image_settings *settings;
    token_sink *sink;
    unsigned char *bytes; /* the normalised word so far, UTF-8 */
    uint32_t *begin, *end; /* of each of its bytes: the source bytes of its character; not kept while `straight` */
    size_t length;
    uint32_t characters, first, last; /* source range of the word */
    int straight; /* byte i of the word is byte first + i of the source */
    int odd;      /* canonical order met a character that stays */
} run;

static size_t word_bytes(const image_settings *settings)
{
    return ((size_t)settings->word_limit * 4 + 63) / 64 * 64;
}

size_t wordpiece_scratch(const image_settings *settings)
{
    return word_bytes(settings) * 9;
}

/* The tokens of the word: greedily the longest piece, or one unknown for the whole. */
static void flush(run *r)
{
    const size_t n = r->length;
    if (r->characters == 0)
        return;
    token_sink *sink = r->sink;
    const size_t start = sink->count;
    const trie_unit *units = r->units;
    const unsigned char *bytes = r->bytes;
    uint32_t root = r->settings->roots[0];
    size_t at = 0;
    if (r->characters > r->settings->word_limit)
        goto unknown;
    while (at < n) {
        uint32_t unit = root, id = NO_ID;
        size_t stop = at;
        for (size_t i = at; i < n; i++) {
            const uint32_t child = units[unit].base ^ bytes[i];
            if (units[child].check != unit)
                break;
            unit = child;
            if (units[unit].id != NO_ID) {
                id = units[unit].id;
                stop = i + 1;
            }
        }
        if (id == NO_ID)
            goto unknown;
        if (r->straight)
            sink_put(sink, id, r->first + (uint32_t)at, r->first + (uint32_t)stop);
        else
            sink_put(sink, id, r->begin[at], r->end[stop - 1]);
        at = stop;
        root = r->settings->roots[1];
    }
    goto done;
unknown:
    sink->count = start;
    sink_put(sink, r->settings->unknown, r->first, r->last);
done:
    r->length = 0;
    r->characters = 0;
    r->straight = 1;
}

/* From here on each byte of the word keeps its own source range. */
static void bend(run *r)
{
    if (!r->straight)
        return;
    for (size_t i = 0; i < r->length; i++) {
        r->begin[i] = r->first + (uint32_t)i;
        r->end[i] = r->first + (uint32_t)i + 1;
    }
    r->straight = 0;
}

static void rotate_back(run *r, size_t to, size_t n)
{
    unsigned char bytes[4];
    uint32_t begin[4], end[4];
    const size_t from = r->length - n;
    memcpy(bytes, r->bytes + from, n);
    memcpy(begin, r->begin + from, n * sizeof *begin);
    memcpy(end, r->end + from, n * sizeof *end);
    memmove(r->bytes + to + n, r->bytes + to, from - to);
    memmove(r->begin + to + n, r->begin + to, (from - to) * sizeof *begin);
    memmove(r->end + to + n, r->end + to, (from - to) * sizeof *end);
    memcpy(r->bytes + to, bytes, n);
    memcpy(r->begin + to, begin, n * sizeof *begin);
    memcpy(r->end + to, end, n * sizeof *end);
}

/* Canonical order: a combining character moves in front of those of a higher class. */
static void reorder(run *r, uint32_t own, size_t n)
{
    size_t at = r->length - n, to = at;
    while (at > 0) {
        size_t previous = at - 1;
        while (previous > 0 && (r->bytes[previous] & 0xC0) == 0x80)
            previous--;
        uint32_t c;
        (void)utf8_next(r->bytes + previous, at - previous, &c);
        if (unicode_class(c) <= own)
            break;
        at = to = previous;
    }
    if (to != r->length - n)
        rotate_back(r, to, n);
}

static void add(run *r, uint32_t c, uint32_t begin, uint32_t end, int ordered)
{
    if (r->characters == 0)
        r->first = begin;
    r->last = end;
    if (++r->characters > r->settings->word_limit)
        return;
    bend(r);
    const size_t n = utf8_put(c, r->bytes + r->length);
    for (size_t i = 0; i < n; i++) {
        r->begin[r->length + i] = begin;
        r->end[r->length + i] = end;
    }
    r->length += n;
    if (ordered) {
        const uint32_t own = unicode_class(c);
        if (own != 0) {
            r->odd = 1;
            reorder(r, own, n);
        }
    }
}

static void place(run *r, uint32_t c, uint32_t begin, uint32_t end, int ordered)
{
    if (unicode_is_space(c)) {
        flush(r);
    } else if (unicode_is_punctuation(c)) {
        flush(r);
        add(r, c, begin, end, 0);
        flush(r);
    } else {
        add(r, c, begin, end, ordered);
    }
}

/* One character of the source through the normalizer. */
static void wide(run *r, uint32_t c, uint32_t begin, uint32_t end)
{
    const uint32_t flags = r->settings->normalizer;
    if (flags & NORMALIZE_CLEAN) {
        if (c == 0 || c == REPLACEMENT || unicode_is_control(c))
            return;
        if (unicode_is_space(c)) {
            flush(r);
            return;
        }
    }
    const int alone = (flags & NORMALIZE_CHINESE) && unicode_is_chinese(c);
    if (alone)
        flush(r);
    uint32_t parts[UNICODE_PARTS] = { c };
    const int strip = (flags & NORMALIZE_STRIP_ACCENTS) != 0, count = strip ? unicode_decompose(c, parts) : 1;
    for (int i = 0; i < count; i++) {
        uint32_t lower[2] = { parts[i] };
        if (strip && unicode_is_mark(parts[i]))
            continue;
        const int letters = flags & NORMALIZE_LOWER ? unicode_lower(parts[i], lower) : 1;
        for (int j = 0; j < letters; j++)
            place(r, lower[j], begin, end, strip);
    }
    if (alone)
        flush(r);
}

/* A run of ASCII letters and digits; returns where it ends. */
static size_t letters(run *r, const unsigned char *text, size_t i, size_t to)
{
    const unsigned lower = r->settings->normalizer & NORMALIZE_LOWER ? 0x20 : 0;
    const size_t from = i;
    if (r->characters == 0)
        r->first = (uint32_t)i;
    else if (!r->straight || r->first + r->length != i)
        bend(r);
    const size_t left = r->characters < r->settings->word_limit ? r->settings->word_limit - r->characters : 0;
    unsigned char *bytes = r->bytes + r->length;
    while (i < to && class_of[text[i]] == WORD) {
        const unsigned c = text[i];
        if (i - from < left)
            bytes[i - from] = (unsigned char)(c - 'A' < 26u ? c | lower : c);
        i++;
    }
    const size_t n = i - from, kept = n < left ? n : left;
    if (!r->straight)
        for (size_t j = 0; j < kept; j++) {
            r->begin[r->length + j] = (uint32_t)(from + j);
            r->end[r->length + j] = (uint32_t)(from + j + 1);
        }
    r->length += kept;
    /* past the limit only "more" counts: the sum must not wrap on a long text */
    r->characters = n > left ? r->settings->word_limit + 1 : r->characters + (uint32_t)n;
    r->last = (uint32_t)i;
    return i;
}

/* A word of its own that no normalizer changes. */
static void ideograph(run *r, const unsigned char *text, size_t i)
{
    flush(r);
    const uint32_t id = trie_find(r->units, r->settings->roots[0], text + i, 3);
    sink_put(r->sink, id != NO_ID ? id : r->settings->unknown, (uint32_t)i, (uint32_t)i + 3);
}

static void feed(run *r, const unsigned char *text, size_t from, size_t to)
{
    const int clean = (r->settings->normalizer & NORMALIZE_CLEAN) != 0;
    size_t i = from;
    while (i < to) {
        switch (class_of[text[i]]) {
        case WORD:
            i = letters(r, text, i, to);
            break;
        case SPACE:
            flush(r);
            i++;
            break;
        case PUNCTUATION:
            flush(r);
            r->bytes[0] = text[i];
            r->length = r->characters = 1;
            r->first = (uint32_t)i++;
            r->last = (uint32_t)i;
            flush(r);
            break;
        case CONTROL:
            if (!clean)
                wide(r, text[i], (uint32_t)i, (uint32_t)i + 1);
            i++;
            break;
        default: {
            uint32_t c;
            const size_t n = utf8_next(text + i, to - i, &c);
            if (c >= 0x4E00 && c <= 0x9FFF && (r->settings->normalizer & NORMALIZE_CHINESE)) {
                ideograph(r, text, i);
                i += n;
                break;
            }
            wide(r, c, (uint32_t)i, (uint32_t)(i + n));
            i += n;
        }
        }
        if (r->sink->count >= r->sink->limit && r->characters == 0)
            return;
    }
}

int wordpiece_run(const tokenizer *t, void *scratch, const char *before, size_t before_length, const char *source, size_t from,
                   size_t to, token_sink *sink)
{
    const image_settings *settings = image_of(t);
    const size_t block = word_bytes(settings);
    unsigned char *memory = scratch;
    run r = { .units = image_part(t, PART_TRIE), .settings = settings, .sink = sink, .bytes = memory,
              .begin = (uint32_t *)(void *)(memory + block), .end = (uint32_t *)(void *)(memory + 5 * block), .straight = 1 };
    if (before_length != 0)
        feed(&r, (const unsigned char *)before, 0, before_length);
    if (r.characters != 0) /* a word that goes on in the source */
        bend(&r);
    feed(&r, (const unsigned char *)source, from, to);
    flush(&r);
    return !r.odd;
}
