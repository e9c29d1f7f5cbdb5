#include "text/normalize.h"

#include <string.h>
#include <utf8proc.h>

#include "text/pattern.h"
#include "text/normalize_sentencepiece.h"
#include "text/precompiled.h"
#include "text/rewrite.h"
#include "text/unicode.h"
#include "text/utf8.h"

/* Where the UTF-8 ends that begins at i. */
static size_t well_formed(const unsigned char *text, size_t i, size_t end)
{
    while (i < end) {
        uint32_t c;
        const size_t n = utf8_next(text + i, end - i, &c);
        if (c == REPLACEMENT)
            break;
        i += n;
    }
    return i;
}

static void place_characters(place *places, const unsigned char *text, size_t i, size_t end)
{
    while (i < end) {
        uint32_t c;
        const size_t n = utf8_next(text + i, end - i, &c);
        const place p = { (uint32_t)i, (uint32_t)(i + n) };
        for (size_t j = 0; j < n; j++)
            *places++ = p;
        i += n;
    }
}

int normalize_load(token_work *w, const unsigned char *before, size_t before_length, const unsigned char *source, size_t from, size_t to)
{
    const unsigned char *texts[2] = { before, source };
    const size_t begins[2] = { 0, from }, ends[2] = { before_length, to };
    text_buffer *b = &w->now;
    b->length = 0;
    for (int part = 0; part < 2; part++) {
        const unsigned char *text = texts[part];
        if (!text_reserve(w, b, ends[part] - begins[part]))
            return 0;
        for (size_t i = begins[part]; i < ends[part];) {
            const size_t run = well_formed(text, i, ends[part]);
            if (run > i) {
                memcpy(b->bytes + b->length, text + i, run - i);
                if (w->placed)
                    place_characters(b->places + b->length, text, i, run);
                b->length += run - i;
                i = run;
                continue;
            }
            uint32_t c;
            unsigned char bytes[4];
            const size_t n = utf8_next(text + i, ends[part] - i, &c), m = utf8_put(c, bytes);
            /* a replacement may be longer than what it stands for */
            if (!text_reserve(w, b, m + (ends[part] - i - n)) || !text_append(w, b, bytes, m, (place){ (uint32_t)i, (uint32_t)(i + n) }))
                return 0;
            i += n;
        }
    }
    return 1;
}

static int all_below(const text_buffer *b, unsigned char limit)
{
    unsigned char any = 0;
    if (limit == 0x80) {
        for (size_t i = 0; i < b->length; i++)
            any |= b->bytes[i];
        return any < 0x80;
    }
    for (size_t i = 0; i < b->length; i++)
        if (b->bytes[i] >= limit)
            return 0;
    return 1;
}

/* ---- Unicode normalization forms ---- */

static int wide_add(token_work *w, size_t *n, uint32_t c, int32_t change)
{
    if (*n == w->wide_capacity && !work_grow(w, &w->wide, &w->wide_capacity, *n + 1, sizeof *w->wide))
        return 0;
    w->wide[(*n)++] = (wide_char){ c, change, unicode_class(c) };
    return 1;
}

/* Canonical order of wide[begin .. end), all of a class above 0: a stable sort, linear in long runs too. */
static int order_marks(token_work *w, size_t begin, size_t end, size_t *room)
{
    if (end - begin <= 32) {
        for (size_t i = begin + 1; i < end; i++) {
            const wide_char own = w->wide[i];
            size_t j = i;
            for (; j > begin && w->wide[j - 1].order > own.order; j--)
                w->wide[j] = w->wide[j - 1];
            w->wide[j] = own;
        }
        return 1;
    }
    size_t counts[257] = { 0 };
    if (*room + (end - begin) > w->wide_capacity && !work_grow(w, &w->wide, &w->wide_capacity, *room + (end - begin), sizeof *w->wide))
        return 0;
    wide_char *copy = w->wide + *room;
    memcpy(copy, w->wide + begin, (end - begin) * sizeof *copy);
    for (size_t i = 0; i < end - begin; i++)
        counts[(copy[i].order & 0xFF) + 1]++;
    for (size_t i = 1; i < 257; i++)
        counts[i] += counts[i - 1];
    for (size_t i = 0; i < end - begin; i++)
        w->wide[begin + counts[copy[i].order & 0xFF]++] = copy[i];
    return 1;
}

static int decompose(token_work *w, int compatible, size_t *count)
{
    size_t n = 0, marks = 0;
    for (size_t i = 0; i < w->now.length;) {
        uint32_t c, parts[UNICODE_PARTS];
        i += utf8_next(w->now.bytes + i, w->now.length - i, &c);
        const int many = c < 0xA0 ? (parts[0] = c, 1) : compatible ? unicode_decompose_compatible(c, parts) : unicode_decompose(c, parts);
        for (int j = 0; j < many; j++)
            if (!wide_add(w, &n, parts[j], j > 0))
                return 0;
    }
    for (size_t i = 0; i <= n; i++) {
        if (i < n && w->wide[i].order != 0)
            continue;
        size_t room = n;
        if (i - marks > 1 && !order_marks(w, marks, i, &room))
            return 0;
        marks = i + 1;
    }
    *count = n;
    return 1;
}

/* The composition of UAX 15 over wide[0 .. n), written through `r`. Marks that did not compose wait behind their starter:
 * they lie in wide[] itself, at [held, held + count). */
static int compose(rewrite *r, size_t n)
{
    wide_char *wide = r->w->wide, starter = { 0, 0, 0 };
    int has = 0, last = -1;
    size_t held = 0, waiting = 0;
    for (size_t i = 0; i < n; i++) {
        const wide_char own = wide[i];
        if (!has) {
            if (own.order != 0) {
                if (!rewrite_put(r, own.c, own.change))
                    return 0;
                continue;
            }
            starter = own;
            has = 1;
            continue;
        }
        uint32_t together = 0;
        if ((last < 0 || last < (int)own.order) && unicode_compose(starter.c, own.c, &together)) {
            starter.c = together;
            starter.change += own.change - 1;
            continue;
        }
        if (own.order == 0) {
            if (!rewrite_put(r, starter.c, starter.change))
                return 0;
            for (size_t j = 0; j < waiting; j++)
                if (!rewrite_put(r, wide[held + j].c, wide[held + j].change))
                    return 0;
            waiting = 0;
            starter = own;
            last = -1;
            continue;
        }
        if (waiting == 0)
            held = i;
        wide[held + waiting++] = own;
        last = (int)own.order;
    }
    if (has && !rewrite_put(r, starter.c, starter.change))
        return 0;
    for (size_t j = 0; j < waiting; j++)
        if (!rewrite_put(r, wide[held + j].c, wide[held + j].change))
            return 0;
    return 1;
}

static int normal_form(token_work *w, uint32_t kind)
{
    const int compatible = kind == OP_NFKC || kind == OP_NFKD, composed = kind == OP_NFC || kind == OP_NFKC;
    size_t n = 0;
    /* below U+0300 nothing composes; below U+00A0 nothing decomposes */
    if (all_below(&w->now, kind == OP_NFC ? 0xCC : 0x80))
        return 1;
    rewrite r = { w, &w->now, &w->next, 0 };
    w->next.length = 0;
    if (!decompose(w, compatible, &n))
        return 0;
    if (composed) {
        if (!compose(&r, n))
            return 0;
    } else {
        for (size_t i = 0; i < n; i++)
            if (!rewrite_put(&r, w->wide[i].c, w->wide[i].change))
                return 0;
    }
    text_swap(w);
    return 1;
}

/* ---- one character at a time ---- */

static int is_nmt_gone(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

static int is_nmt_blank(uint32_t c)
{
    return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
           c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

enum { STEP_CLEAN, STEP_CHINESE, STEP_MARKS, STEP_COMBINING, STEP_LOWER, STEP_NMT };

/* What becomes of one character: how many (0: it goes). out[1] of STEP_LOWER belongs to the same one. */
static int step(int kind, uint32_t c, uint32_t out[3])
{
    out[0] = c;
    switch (kind) {
    case STEP_CLEAN:
        if (c == 0 || c == REPLACEMENT || unicode_is_control(c))
            return 0;
        if (unicode_is_space(c))
            out[0] = ' ';
        return 1;
    case STEP_CHINESE:
        if (!unicode_is_chinese(c))
            return 1;
        out[0] = out[2] = ' ';
        out[1] = c;
        return 3;
    case STEP_MARKS:
        return !unicode_is_mark(c);
    case STEP_COMBINING:
        return !unicode_is_combining(c);
    case STEP_NMT:
        if (is_nmt_blank(c))
            out[0] = ' ';
        return !is_nmt_gone(c);
    default:
        return unicode_lower(c, out);
    }
}

static int each_character(token_work *w, int kind)
{
    text_buffer *from = &w->now, *to = &w->next;
    to->length = 0;
    for (size_t i = 0; i < from->length;) {
        uint32_t c, out[3];
        const size_t n = utf8_next(from->bytes + i, from->length - i, &c);
        const int many = step(kind, c, out);
        const place p = w->placed ? from->places[i] : (place){ 0, 0 };
        for (int j = 0; j < many; j++) {
            unsigned char bytes[4];
            if (!text_append(w, to, bytes, utf8_put(out[j], bytes), p))
                return 0;
        }
        i += n;
    }
    text_swap(w);
    return 1;
}

static int bert(token_work *w, uint32_t flags)
{
    if ((flags & NORMALIZE_CLEAN) && !each_character(w, STEP_CLEAN))
        return 0;
    if ((flags & NORMALIZE_CHINESE) && !all_below(&w->now, 0x80) && !each_character(w, STEP_CHINESE))
        return 0;
    if ((flags & NORMALIZE_STRIP_ACCENTS) && !all_below(&w->now, 0x80) && (!normal_form(w, OP_NFD) || !each_character(w, STEP_MARKS)))
        return 0;
    return !(flags & NORMALIZE_LOWER) || each_character(w, STEP_LOWER);
}

/* ---- stretches ---- */

static void strip(token_work *w, uint32_t sides)
{
    text_buffer *b = &w->now;
    size_t begin = 0, end = b->length;
    uint32_t c;
    while ((sides & 1) && begin < end) {
        const size_t n = utf8_next(b->bytes + begin, end - begin, &c);
        if (!unicode_is_space(c))
            break;
        begin += n;
    }
    while ((sides & 2) && end > begin) {
        const size_t before = utf8_previous(b->bytes, begin, end);
        (void)utf8_next(b->bytes + before, end - before, &c);
        if (!unicode_is_space(c))
            break;
        end = before;
    }
    memmove(b->bytes, b->bytes + begin, end - begin);
    if (w->placed)
        memmove(b->places, b->places + begin, (end - begin) * sizeof *b->places);
    b->length = end - begin;
}

static int replace(const tokenizer *t, token_work *w, const image_op *op)
{
    const unsigned char *data = image_part(t, PART_DATA), *other = data + op->other;
    const text_buffer *b = &w->now;
    size_t done = 0, begin, end;
    w->next.length = 0;
    while (op->kind == OP_REPLACE ? text_find(b->bytes, b->length, done, data + op->text, op->text_length, &begin, &end)
                                  : pattern_find(t, op->pattern, b->bytes, b->length, done, &begin, &end)) {
        if (!text_copy(w, done, begin) || !text_append(w, &w->next, other, op->other_length, w->placed && end != 0 ? b->places[end - 1] : (place){ 0, 0 }))
            return 0;
        done = end;
    }
    if (done == 0)
        return 1;
    if (!text_copy(w, done, b->length))
        return 0;
    text_swap(w);
    return 1;
}

static int prepend(const tokenizer *t, token_work *w, const image_op *op)
{
    if (w->now.length == 0)
        return 1;
    w->next.length = 0;
    if (!text_append(w, &w->next, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length,
                     w->placed ? w->now.places[0] : (place){ 0, 0 }) ||
        !text_copy(w, 0, w->now.length))
        return 0;
    text_swap(w);
    return 1;
}

/* GPT-2's spelling of bytes as visible characters. */
uint32_t byte_character(unsigned char b)
{
    if ((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE)
        return b;
    return 256u + (b <= ' ' ? b : b < 0xA1 ? b - 0x7Fu + 33u : 67u);
}

int character_byte(uint32_t c)
{
    if (c < 256)
        return (c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xAC) || c >= 0xAE ? (int)c : -1;
    c -= 256;
    return c <= ' ' ? (int)c : c < 67 ? (int)(c - 33 + 0x7F) : c == 67 ? 0xAD : -1;
}

int normalize_bytes(token_work *w, text_buffer *from, text_buffer *to, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        unsigned char bytes[4];
        if (!text_append(w, to, bytes, utf8_put(byte_character(from->bytes[i]), bytes), w->placed ? from->places[i] : (place){ 0, 0 }))
            return 0;
    }
    return 1;
}

static int run_op(const tokenizer *t, token_work *w, const image_op *op)
{
    switch (op->kind) {
    case OP_BERT:
        return bert(w, op->flags);
    case OP_NFC:
    case OP_NFD:
    case OP_NFKC:
    case OP_NFKD:
        return normal_form(w, op->kind);
    case OP_STRIP_ACCENTS:
        return all_below(&w->now, 0x80) || each_character(w, STEP_COMBINING);
    case OP_LOWERCASE:
        return each_character(w, STEP_LOWER);
    case OP_NMT:
        return each_character(w, STEP_NMT);
    case OP_STRIP:
        strip(w, op->flags);
        return 1;
    case OP_REPLACE:
    case OP_REPLACE_PATTERN:
        return replace(t, w, op);
    case OP_PREPEND:
        return prepend(t, w, op);
    case OP_SENTENCEPIECE:
        return normalize_sentencepiece(t, w, op);
    case OP_CHARSMAP:
        return precompiled_run(t, w, op);
    default: /* OP_BYTES: what else there is was refused when the image was opened */
        w->next.length = 0;
        if (!normalize_bytes(w, &w->now, &w->next, 0, w->now.length))
            return 0;
        text_swap(w);
        return 1;
    }
}

int normalize_run(const tokenizer *t, token_work *w)
{
    const image_op *ops = image_part(t, PART_NORMALIZER);
    const size_t n = image_count(t, PART_NORMALIZER, sizeof *ops);
    for (size_t i = 0; i < n && w->now.length != 0; i++)
        if (!run_op(t, w, &ops[i]))
            return 0;
    return 1;
}
