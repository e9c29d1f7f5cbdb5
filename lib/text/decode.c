#include "text/decode.h"

#include <string.h>

#include "base/error.h"
#include "text/normalize.h"
#include "text/pattern.h"
#include "text/utf8.h"
#include "text/work.h"

/* A chain of texts: w->now.bytes cut at w->splits. Each step reads it and writes another to w->next and w->more. */

static int put(token_work *w, const void *bytes, size_t n)
{
    if (!text_reserve(w, &w->next, n))
        return 0;
    memcpy(w->next.bytes + w->next.length, bytes, n);
    w->next.length += n;
    return 1;
}

/* Ends the text that began at `begin`; empty ones stay. */
static int cut(token_work *w, size_t begin)
{
    split_list *l = &w->more;
    if (l->count == l->capacity && !work_grow(w, &l->items, &l->capacity, l->count + 1, sizeof *l->items))
        return 0;
    l->items[l->count++] = (split){ (uint32_t)begin, (uint32_t)w->next.length, NO_ID };
    return 1;
}

static void swap(token_work *w)
{
    text_swap(w);
    split_swap(w);
}

/* text[0 .. n) with every `what` replaced by `by`. */
static int replace_all(token_work *w, const unsigned char *text, size_t n, const void *what, size_t what_length, const void *by, size_t by_length)
{
    size_t done = 0, begin, end;
    while (text_find(text, n, done, what, what_length, &begin, &end)) {
        if (!put(w, text + done, begin - done) || !put(w, by, by_length))
            return 0;
        done = end;
    }
    return put(w, text + done, n - done);
}

/* English as it is written: the reference's list of replacements, one after the other over w->next from `begin` on. */
static int clean_up(token_work *w, size_t begin)
{
    static const char *const pairs[][2] = { { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" },
                                            { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        /* nothing grows: the result fits where it came from */
        const size_t a = strlen(pairs[i][0]), b = strlen(pairs[i][1]);
        unsigned char *text = w->next.bytes + begin;
        const size_t n = w->next.length - begin;
        size_t to = 0, done = 0, from, end;
        while (text_find(text, n, done, (const unsigned char *)pairs[i][0], a, &from, &end)) {
            memmove(text + to, text + done, from - done);
            to += from - done;
            memcpy(text + to, pairs[i][1], b);
            to += b;
            done = end;
        }
        memmove(text + to, text + done, n - done);
        w->next.length = begin + to + (n - done);
    }
    return 1;
}

static int decode_wordpiece(token_work *w, const image_op *op, const unsigned char *prefix)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        size_t from = s.begin;
        if (i != 0) {
            if (s.end - s.begin >= op->text_length && memcmp(w->now.bytes + s.begin, prefix, op->text_length) == 0)
                from += op->text_length;
            else if (!put(w, " ", 1))
                return 0;
        }
        if (!put(w, w->now.bytes + from, s.end - from) || ((op->flags & 1) && !clean_up(w, begin)) || !cut(w, begin))
            return 0;
    }
    return 1;
}

static int decode_metaspace(token_work *w, const image_op *op)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        for (size_t at = s.begin; at < s.end;) {
            uint32_t c;
            const size_t n = utf8_next(w->now.bytes + at, s.end - at, &c);
            if (c != op->value ? !put(w, w->now.bytes + at, n) : !(i == 0 && (op->flags & 1)) && !put(w, " ", 1))
                return 0;
            at += n;
        }
        if (!cut(w, begin))
            return 0;
    }
    return 1;
}

static int decode_bpe(token_work *w, const image_op *op, const unsigned char *suffix)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        if (!replace_all(w, w->now.bytes + s.begin, s.end - s.begin, suffix, op->text_length, " ", i + 1 == w->splits.count ? 0 : 1) || !cut(w, begin))
            return 0;
    }
    return 1;
}

static int hex(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The byte that a piece "<0xNN>" is, or -1. A plus stands for no digit, as in the reference's number reading. */
static int byte_piece(const unsigned char *p, size_t n)
{
    if (n != 6 || memcmp(p, "<0x", 3) != 0 || p[5] != '>')
        return -1;
    const int high = p[3] == '+' ? 0 : hex(p[3]), low = hex(p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int is_utf8(const unsigned char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t step = utf8_next(text + i, n - i, &c);
        if (c == REPLACEMENT && !(step == 3 && text[i] == 0xEF && text[i + 1] == 0xBF && text[i + 2] == 0xBD))
            return 0;
        i += step;
    }
    return 1;
}

/* Byte pieces that follow each other: one text when they are UTF-8, else a replacement character each. */
static int decode_fallback(token_work *w)
{
    for (size_t i = 0; i < w->splits.count;) {
        const size_t begin = w->next.length;
        size_t stop = i;
        for (; stop < w->splits.count; stop++) {
            const split s = w->splits.items[stop];
            const int byte = byte_piece(w->now.bytes + s.begin, s.end - s.begin);
            const unsigned char own = (unsigned char)byte;
            if (byte < 0)
                break;
            if (!put(w, &own, 1))
                return 0;
        }
        if (stop == i) {
            const split s = w->splits.items[i++];
            if (!put(w, w->now.bytes + s.begin, s.end - s.begin) || !cut(w, begin))
                return 0;
            continue;
        }
        if (is_utf8(w->next.bytes + begin, w->next.length - begin)) {
            if (!cut(w, begin))
                return 0;
            i = stop;
            continue;
        }
        w->next.length = begin;
        for (; i < stop; i++) {
            const size_t at = w->next.length;
            if (!put(w, "\xEF\xBF\xBD", 3) || !cut(w, at))
                return 0;
        }
    }
    return 1;
}

static int decode_strip(token_work *w, const image_op *op)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        size_t from = s.begin, to = s.end;
        uint32_t c;
        for (uint32_t k = 0; k < (op->flags & 0xFFFF) && from < s.end; k++) {
            const size_t n = utf8_next(w->now.bytes + from, s.end - from, &c);
            if (c != op->value)
                break;
            from += n;
        }
        for (uint32_t k = 0; k < op->flags >> 16 && to > from; k++) {
            const size_t at = utf8_previous(w->now.bytes, from, to);
            (void)utf8_next(w->now.bytes + at, to - at, &c);
            if (c != op->value)
                break;
            to = at;
        }
        if (!put(w, w->now.bytes + from, to - from) || !cut(w, begin))
            return 0;
    }
    return 1;
}

/* Texts that follow an equal one are dropped, and those that become empty. */
static int decode_ctc(token_work *w, const image_op *op, const unsigned char *data)
{
    split last = { 0, 0, 0 };
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        if (i != 0 && s.end - s.begin == last.end - last.begin && memcmp(w->now.bytes + s.begin, w->now.bytes + last.begin, s.end - s.begin) == 0)
            continue;
        last = s;
        if (!replace_all(w, w->now.bytes + s.begin, s.end - s.begin, data + op->text, op->text_length, "", 0))
            return 0;
        if (op->flags & 1) {
            (void)clean_up(w, begin);
            /* once more through the end of the buffer: the delimiter becomes a blank */
            const size_t middle = w->next.length;
            if (!text_reserve(w, &w->next, 2 * (middle - begin) + 16) ||
                !replace_all(w, w->next.bytes + begin, middle - begin, data + op->other, op->other_length, " ", 1))
                return 0;
            memmove(w->next.bytes + begin, w->next.bytes + middle, w->next.length - middle);
            w->next.length = begin + (w->next.length - middle);
        }
        if (w->next.length != begin && !cut(w, begin))
            return 0;
    }
    return 1;
}

static int decode_replace(const tokenizer *t, token_work *w, const image_op *op, const unsigned char *data)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const unsigned char *text = w->now.bytes + s.begin;
        const size_t n = s.end - s.begin, at = w->next.length;
        size_t done = 0, begin, end;
        while (op->kind == OP_REPLACE ? text_find(text, n, done, data + op->text, op->text_length, &begin, &end)
                                      : pattern_find(t, op->pattern, text, n, done, &begin, &end)) {
            if (!put(w, text + done, begin - done) || !put(w, data + op->other, op->other_length))
                return 0;
            done = end;
        }
        if (!put(w, text + done, n - done) || !cut(w, at))
            return 0;
    }
    return 1;
}

/* Characters that stand for bytes, as bytes, when all of a piece do; then UTF-8, what is none as U+FFFD. */
static int decode_bytes(token_work *w)
{
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        uint32_t c;
        int byte = 0;
        for (size_t at = s.begin; at < s.end && byte >= 0;) {
            at += utf8_next(w->now.bytes + at, s.end - at, &c);
            const unsigned char own = (unsigned char)(byte = character_byte(c));
            if (byte >= 0 && !put(w, &own, 1))
                return 0;
        }
        if (byte < 0) {
            w->next.length = begin;
            if (!put(w, w->now.bytes + s.begin, s.end - s.begin))
                return 0;
        }
    }
    text_swap(w);
    for (size_t at = 0; at < w->now.length;) {
        unsigned char bytes[4];
        uint32_t c;
        at += utf8_next(w->now.bytes + at, w->now.length - at, &c);
        if (!put(w, bytes, utf8_put(c, bytes)))
            return 0;
    }
    return cut(w, 0);
}

static int run_op(const tokenizer *t, token_work *w, const image_op *op)
{
    const unsigned char *data = image_part(t, PART_DATA);
    w->next.length = 0;
    w->more.count = 0;
    switch (op->kind) {
    case OP_DECODE_BYTES:
        return decode_bytes(w);
    case OP_DECODE_WORDPIECE:
        return decode_wordpiece(w, op, data + op->text);
    case OP_DECODE_METASPACE:
        return decode_metaspace(w, op);
    case OP_DECODE_BPE:
        return decode_bpe(w, op, data + op->text);
    case OP_DECODE_FALLBACK:
        return decode_fallback(w);
    case OP_DECODE_STRIP:
        return decode_strip(w, op);
    case OP_DECODE_CTC:
        return decode_ctc(w, op, data);
    case OP_DECODE_FUSE: {
        const size_t n = w->splits.count;
        for (size_t i = 0; i < n; i++)
            if (!put(w, w->now.bytes + w->splits.items[i].begin, w->splits.items[i].end - w->splits.items[i].begin))
                return 0;
        return cut(w, 0);
    }
    default:
        return decode_replace(t, w, op, data);
    }
}

static int join(token_work *w, size_t n, int blanks)
{
    w->next.length = 0;
    for (size_t i = 0; i < n; i++)
        if ((i != 0 && blanks && !put(w, " ", 1)) ||
            !put(w, w->now.bytes + w->splits.items[i].begin, w->splits.items[i].end - w->splits.items[i].begin))
            return 0;
    return 1;
}

static int run(const tokenizer *t, token_work *w, const uint32_t *ids, size_t n, int skip_special)
{
    const image_op *ops = image_part(t, PART_DECODER);
    const size_t count = image_count(t, PART_DECODER, sizeof *ops);
    w->next.length = 0;
    w->more.count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *piece = tokenizer_piece(t, ids[i], &length);
        const size_t begin = w->next.length;
        if (piece != NULL && !(skip_special && tokenizer_is_special(t, ids[i])) && (!put(w, piece, length) || !cut(w, begin)))
            return 0;
    }
    swap(w);
    for (size_t i = 0; i < count; i++) {
        if (!run_op(t, w, &ops[i]))
            return 0;
        swap(w);
    }
    return join(w, w->splits.count, !(image_of(t)->flags & TOKENIZER_DECODER));
}

int32_t tokenizer_decode(const tokenizer *t, token_work *w, const uint32_t *ids, size_t n, int skip_special, const char **text, size_t *length,
                         ecrec_error *err)
{
    w->status = ECREC_OK;
    w->placed = 0;
    if (!run(t, w, ids, n, skip_special))
        return w->status == ECREC_ERR_LIMIT ? error_set(err, ECREC_ERR_LIMIT, "the text of the tokens is longer than 4 GiB")
                                            : error_nomem(err, "the text of the tokens", n);
    *text = (const char *)w->next.bytes;
    *length = w->next.length;
    return ECREC_OK;
}
