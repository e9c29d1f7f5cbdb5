#include "text/pretokenize.h"

#include <string.h>

#include "text/normalize.h"
#include "text/pattern.h"
#include "text/scripts.h"
#include "text/unicode.h"
#include "text/utf8.h"

static int match_add(token_work *w, size_t begin, size_t end, int is)
{
    if (w->match_count == w->match_capacity && !work_grow(w, &w->matches, &w->match_capacity, w->match_count + 1, sizeof *w->matches))
        return 0;
    w->matches[w->match_count++] = (match){ (uint32_t)begin, (uint32_t)end, (uint32_t)is };
    return 1;
}

/* Splits of the stretches in w->matches (which follow each other and cover the split), as the behaviour says. */
static int behave(token_work *w, uint32_t behaviour)
{
    const match *m = w->matches;
    const size_t n = w->match_count;
    for (size_t i = 0; i < n;) {
        size_t last = i; /* the stretches i .. last become one */
        switch (behaviour) {
        case BEHAVE_REMOVED:
            if (m[i].is) {
                i++;
                continue;
            }
            break;
        case BEHAVE_CONTIGUOUS:
            while (last + 1 < n && m[last + 1].is == m[i].is)
                last++;
            break;
        case BEHAVE_MERGED_PREVIOUS:
            /* a match goes to what is in front of it, when that is no match itself */
            if (last + 1 < n && m[last + 1].is && !m[last].is)
                last++;
            break;
        case BEHAVE_MERGED_NEXT:
            /* a match goes to what is behind it, when that is no match itself */
            if (last + 1 < n && m[last].is && !m[last + 1].is)
                last++;
            break;
        default:
            break;
        }
        if (!split_add(w, &w->more, m[i].begin, m[last].end, NO_ID))
            return 0;
        i = last + 1;
    }
    return 1;
}

static int is_match(const image_op *op, uint32_t c)
{
    switch (op->kind) {
    case OP_PUNCTUATION:
        return unicode_is_punctuation(c);
    case OP_DIGITS:
        return unicode_is_number(c);
    default: /* OP_DELIMITER */
        return c == op->value;
    }
}

static int by_character(token_work *w, const image_op *op, uint32_t behaviour, split s)
{
    size_t done = s.begin;
    w->match_count = 0;
    for (size_t i = s.begin; i < s.end;) {
        uint32_t c;
        const size_t n = utf8_next(w->now.bytes + i, s.end - i, &c);
        if (is_match(op, c)) {
            if ((done < i && !match_add(w, done, i, 0)) || !match_add(w, i, i + n, 1))
                return 0;
            done = i + n;
        }
        i += n;
    }
    return (done == s.end || match_add(w, done, s.end, 0)) && behave(w, behaviour);
}

/* Runs without blanks. */
static int by_space(token_work *w, split s)
{
    const unsigned char *text = w->now.bytes;
    size_t begin = s.begin;
    for (size_t i = s.begin; i < s.end;) {
        uint32_t c = text[i];
        size_t n = 1;
        if (c > ' ' && c < 0x7F) {
            i++;
            continue;
        }
        if (c >= 0x80)
            n = utf8_next(text + i, s.end - i, &c);
        if (unicode_is_space(c)) {
            if (!split_add(w, &w->more, (uint32_t)begin, (uint32_t)i, NO_ID))
                return 0;
            begin = i + n;
        }
        i += n;
    }
    return split_add(w, &w->more, (uint32_t)begin, s.end, NO_ID);
}

/* A split in front of every mark: MERGED_NEXT of single characters. */
static int by_mark(token_work *w, uint32_t mark, split s)
{
    unsigned char bytes[4];
    const size_t n = utf8_put(mark, bytes);
    const unsigned char *text = w->now.bytes + s.begin;
    const size_t length = s.end - s.begin;
    size_t done = 0, from = 0, begin, end;
    while (text_find(text, length, from, bytes, n, &begin, &end)) {
        if (!split_add(w, &w->more, s.begin + (uint32_t)done, s.begin + (uint32_t)begin, NO_ID))
            return 0;
        done = begin;
        from = end;
    }
    return split_add(w, &w->more, s.begin + (uint32_t)done, s.end, NO_ID);
}

static int by_pattern(const tokenizer *t, token_work *w, const image_op *op, split s)
{
    const unsigned char *text = w->now.bytes + s.begin, *data = image_part(t, PART_DATA);
    const size_t length = s.end - s.begin;
    const int inverted = (op->flags & 1) != 0;
    size_t done = 0, from = 0, last = SIZE_MAX, begin, end;
    w->match_count = 0;
    while (op->kind == OP_SPLIT_PATTERN ? pattern_find(t, op->pattern, text, length, from, &begin, &end)
                                        : text_find(text, length, from, data + op->text, op->text_length, &begin, &end)) {
        from = end;
        if (begin == end && end == last) { /* a match of nothing behind a match is none */
            uint32_t c;
            if (end == length)
                break;
            from += utf8_next(text + end, length - end, &c);
            continue;
        }
        last = end;
        if ((done < begin && !match_add(w, s.begin + done, s.begin + begin, inverted)) || !match_add(w, s.begin + begin, s.begin + end, !inverted))
            return 0;
        done = end;
    }
    return (done == length || match_add(w, s.begin + done, s.end, inverted)) && behave(w, op->value);
}

static int by_script(token_work *w, split s)
{
    uint32_t last = SCRIPT_ANY;
    size_t done = s.end; /* what stands in front of the first script is lost, as in the reference */
    for (size_t i = s.begin; i < s.end;) {
        uint32_t c;
        const size_t n = utf8_next(w->now.bytes + i, s.end - i, &c);
        const uint32_t own = script_of(c);
        if (own != SCRIPT_ANY && own != last) {
            if (done != s.end && !split_add(w, &w->more, (uint32_t)done, (uint32_t)i, NO_ID))
                return 0;
            done = i;
            last = own;
        }
        i += n;
    }
    return done == s.end || split_add(w, &w->more, (uint32_t)done, s.end, NO_ID);
}

static int by_length(token_work *w, const image_op *op, split s)
{
    size_t done = s.begin;
    uint32_t held = 0;
    for (size_t i = s.begin; i < s.end;) {
        uint32_t c;
        i += utf8_next(w->now.bytes + i, s.end - i, &c);
        if (++held == op->value || i == s.end) {
            if (!split_add(w, &w->more, (uint32_t)done, (uint32_t)i, NO_ID))
                return 0;
            done = i;
            held = 0;
        }
    }
    return 1;
}

/* ---- those that rewrite the text ---- */

static int metaspace(token_work *w, const image_op *op, split s)
{
    unsigned char mark[4];
    const size_t n = utf8_put(op->value, mark);
    const place first = w->placed ? w->now.places[s.begin] : (place){ 0, 0 };
    const int there = w->now.bytes[s.begin] == ' ' || (s.end - s.begin >= n && memcmp(w->now.bytes + s.begin, mark, n) == 0);
    if (!there && ((op->flags & METASPACE_ALWAYS) || ((op->flags & METASPACE_FIRST) && first.begin == 0)) && !text_append(w, &w->next, mark, n, first))
        return 0;
    for (size_t i = s.begin; i < s.end;) {
        if (w->now.bytes[i] == ' ') {
            if (!text_append(w, &w->next, mark, n, w->placed ? w->now.places[i] : first))
                return 0;
            i++;
            continue;
        }
        size_t end = i;
        while (end < s.end && w->now.bytes[end] != ' ')
            end++;
        if (!text_copy(w, i, end))
            return 0;
        i = end;
    }
    return 1;
}

static int prefix_space(token_work *w, split s)
{
    if (w->now.bytes[s.begin] != ' ' && !text_append(w, &w->next, (const unsigned char *)" ", 1, w->placed ? w->now.places[s.begin] : (place){ 0, 0 }))
        return 0;
    return text_copy(w, s.begin, s.end);
}

static int rewrite(token_work *w, const image_op *op)
{
    w->next.length = 0;
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        const size_t begin = w->next.length;
        int good;
        if (s.token != NO_ID)
            good = text_copy(w, s.begin, s.end);
        else if (op->kind == OP_METASPACE)
            good = metaspace(w, op, s);
        else if (op->kind == OP_BYTES)
            good = normalize_bytes(w, &w->now, &w->next, s.begin, s.end);
        else
            good = prefix_space(w, s);
        if (!good || !split_add(w, &w->more, (uint32_t)begin, (uint32_t)w->next.length, s.token))
            return 0;
    }
    text_swap(w);
    split_swap(w);
    return 1;
}

static int one(const tokenizer *t, token_work *w, const image_op *op, split s)
{
    switch (op->kind) {
    case OP_SPACE_SPLIT:
        return by_space(w, s);
    case OP_DELIMITER:
        return by_character(w, op, BEHAVE_REMOVED, s);
    case OP_PUNCTUATION:
    case OP_DIGITS:
        return by_character(w, op, op->value, s);
    case OP_SPLIT:
    case OP_SPLIT_PATTERN:
        return by_pattern(t, w, op, s);
    case OP_SCRIPTS:
        return by_script(w, s);
    case OP_FIXED:
        return by_length(w, op, s);
    default: /* OP_METASPACE, after the rewriting */
        return by_mark(w, op->value, s);
    }
}

static int run_op(const tokenizer *t, token_work *w, const image_op *op)
{
    if (op->kind == OP_METASPACE || op->kind == OP_BYTES || op->kind == OP_PREFIX_SPACE) {
        if (!rewrite(w, op))
            return 0;
        if (op->kind != OP_METASPACE || !(op->flags & METASPACE_SPLIT))
            return 1;
    }
    for (size_t i = 0; i < w->splits.count; i++) {
        const split s = w->splits.items[i];
        if (s.token != NO_ID ? !split_add(w, &w->more, s.begin, s.end, s.token) : !one(t, w, op, s))
            return 0;
    }
    split_swap(w);
    return 1;
}

int pretokenize_run(const tokenizer *t, token_work *w)
{
    const image_op *ops = image_part(t, PART_PRE_TOKENIZER);
    const size_t n = image_count(t, PART_PRE_TOKENIZER, sizeof *ops);
    for (size_t i = 0; i < n; i++)
        if (!run_op(t, w, &ops[i]))
            return 0;
    return 1;
}
