#include "text/tokenizer.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "text/added.h"
#include "text/check.h"
#include "text/models.h"
#include "text/normalize.h"
#include "text/pattern.h"
#include "text/pretokenize.h"
#include "text/texts.h"
#include "text/unicode.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

static int32_t bad(ecrec_error *err, const char *what)
{
    return error_set(err, ECREC_ERR_FORMAT, "the tokenizer in the model is damaged: %s", what);
}

static int32_t open_parts(tokenizer *t, ecrec_error *err)
{
    static const size_t sizes[PART_COUNT] = {
        sizeof(image_settings), 4, 1, sizeof(trie_unit), sizeof(trie_unit), sizeof(image_added), sizeof(image_slot), sizeof(image_slot),
        sizeof(image_op), sizeof(image_op), sizeof(image_op), 1, sizeof(image_pattern), 2, 8, sizeof(image_merge), 4
    };
    reader r;
    reader_init(&r, t->image, t->length);
    const uint32_t magic = read_u32(&r), version = read_u32(&r), count = read_u32(&r);
    (void)read_u32(&r);
    if (r.failed || magic != IMAGE_MAGIC)
        return bad(err, "it does not begin as one");
    if (version != IMAGE_VERSION && version != IMAGE_VERSION_MORE)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the tokenizer has version %u, this library reads %u and %u (import the model again)", version,
                         IMAGE_VERSION, IMAGE_VERSION_MORE);
    if (count != PART_COUNT)
        return bad(err, "number of parts");
    for (int i = 0; i < PART_COUNT; i++) {
        const uint64_t offset = read_u64(&r), length = read_u64(&r);
        if (r.failed || offset % 8 != 0 || offset > t->length || length > t->length - offset || length % sizes[i] != 0)
            return bad(err, "a part lies outside");
        t->parts[2 * i] = offset;
        t->parts[2 * i + 1] = length;
    }
    return t->parts[2 * PART_SETTINGS + 1] == sizeof(image_settings) ? ECREC_OK : bad(err, "size of the settings");
}

static void prepare(tokenizer *t)
{
    added_prepare(t);
    pattern_prepare(t);
}

int32_t tokenizer_open(tokenizer *t, const void *image, size_t length, ecrec_error *err)
{
    memset(t, 0, sizeof *t);
    if ((uintptr_t)image % 8 != 0)
        return bad(err, "it is not aligned");
    t->image = image;
    t->length = length;
    int32_t status = open_parts(t, err);
    if (status == ECREC_OK && (status = image_check(t, err)) == ECREC_OK)
        prepare(t);
    return status;
}

uint32_t tokenizer_stride(const tokenizer *t)
{
    return image_of(t)->stride;
}

uint32_t tokenizer_size(const tokenizer *t)
{
    return image_of(t)->size;
}

const char *tokenizer_piece(const tokenizer *t, uint32_t id, size_t *length)
{
    const uint32_t *starts = image_part(t, PART_PIECE_STARTS);
    if (id >= image_of(t)->size || starts[id + 1] == starts[id])
        return NULL;
    if (length != NULL)
        *length = starts[id + 1] - starts[id] - 1;
    return (const char *)image_part(t, PART_PIECES) + starts[id];
}

uint32_t tokenizer_special_count(const tokenizer *t, int pair)
{
    const int part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
    return (uint32_t)image_count(t, part, sizeof(image_slot)) - (pair ? 2u : 1u);
}

uint32_t tokenizer_leading_count(const tokenizer *t)
{
    const image_slot *slots = image_part(t, PART_TEMPLATE_SINGLE);
    const size_t count = image_count(t, PART_TEMPLATE_SINGLE, sizeof *slots);
    uint32_t n = 0;
    while (n < count && slots[n].kind == SLOT_TOKEN)
        n++;
    return n;
}

int tokenizer_is_special(const tokenizer *t, uint32_t id)
{
    const image_added *added = added_of(t, id);
    return added != NULL && (added->flags & (ADDED_SPECIAL | ADDED_SHOWN)) == ADDED_SPECIAL;
}

/* ---- one text ---- */

typedef struct run {
    const tokenizer *t;
    token_work *w;
    const unsigned char *before, *source;
    size_t before_length, length;
    token_sink *sink;
} run;

/* The normalised text in w->now: added tokens that are looked for there, then words. */
static int run_normalized(const run *r)
{
    token_work *w = r->w;
    added_scan scan = { r->t, 1, w->now.bytes, w->now.length, 0, 0 };
    size_t done = 0, begin = 0, end = 0;
    uint32_t id = NO_ID;
    w->splits.count = w->more.count = 0;
    while (!(image_of(r->t)->flags & TOKENIZER_WHOLE) && added_next(&scan, &begin, &end, &id)) {
        if ((done < begin && !split_add(w, &w->splits, (uint32_t)done, (uint32_t)begin, NO_ID)) ||
            !split_add(w, &w->splits, (uint32_t)begin, (uint32_t)end, id))
            return 0;
        done = end;
    }
    if ((done < w->now.length && !split_add(w, &w->splits, (uint32_t)done, (uint32_t)w->now.length, NO_ID)) || !pretokenize_run(r->t, w))
        return 0;
    for (size_t i = 0; i < w->splits.count && r->sink->count < r->sink->limit; i++) {
        const split s = w->splits.items[i];
        const place none = { 0, 0 };
        if (s.token != NO_ID)
            sink_put_as(r->sink, s.token, (w->placed ? w->now.places[s.begin] : none).begin, (w->placed ? w->now.places[s.end - 1] : none).end,
                        w->now.bytes + s.begin, s.end - s.begin);
        else if (!model_run(r->t, w, s.begin, s.end, r->sink))
            return 0;
    }
    return 1;
}

static int run_stretch(run *r, size_t from, size_t to)
{
    const size_t before = r->before_length;
    r->before_length = 0; /* it stands in front of the first stretch alone */
    if (image_of(r->t)->flags & TOKENIZER_BERT) {
        const size_t count = r->sink->count;
        if (wordpiece_run(r->t, r->w->word, (const char *)r->before, before, (const char *)r->source, from, to, r->sink) || !r->w->placed)
            return 1;
        r->sink->count = count;
    }
    if (from == to && before == 0)
        return 1;
    return normalize_load(r->w, r->before, before, r->source, from, to) && normalize_run(r->t, r->w) && run_normalized(r);
}

static int run_text(run *r)
{
    added_scan scan = { r->t, 0, r->source, r->length, 0, 0 };
    size_t done = 0, begin = 0, end = 0;
    uint32_t id = NO_ID;
    while (r->sink->count < r->sink->limit && added_next(&scan, &begin, &end, &id)) {
        /* a token behind one that took its blanks may begin within them */
        if ((done < begin || r->before_length != 0) && !run_stretch(r, done, done < begin ? begin : done))
            return 0;
        sink_put_as(r->sink, id, (uint32_t)begin, (uint32_t)end, r->source + begin, end - begin);
        done = end;
    }
    return r->sink->count >= r->sink->limit || run_stretch(r, done, r->length);
}

/* ---- offsets without blanks (the byte-level post-processors) ---- */

static int is_blank(uint32_t c)
{
    return c == 0x120 || unicode_is_space(c); /* how a blank is spelt as a byte */
}

static size_t leading_blanks(const unsigned char *text, size_t n)
{
    size_t count = 0;
    uint32_t c;
    for (size_t i = 0; i < n; count++) {
        i += utf8_next(text + i, n - i, &c);
        if (!is_blank(c))
            break;
    }
    return count;
}

static size_t trailing_blanks(const unsigned char *text, size_t n)
{
    size_t count = 0;
    uint32_t c;
    for (; n > 0; count++) {
        const size_t at = utf8_previous(text, 0, n);
        (void)utf8_next(text + at, n - at, &c);
        if (!is_blank(c))
            break;
        n = at;
    }
    return count;
}

static void trim(const void *opaque, uint32_t *offsets, uint32_t id, const unsigned char *spelling, size_t length, int first)
{
    const run *r = opaque;
    size_t n = length;
    const unsigned char *text = spelling != NULL ? spelling : (const unsigned char *)tokenizer_piece(r->t, id, &n);
    const image_added *also = spelling == NULL ? added_of(r->t, id) : NULL;
    if (also != NULL && (also->flags & ADDED_NORMALIZED)) { /* the vocabulary's word, not the added token's normalised spelling */
        text = r->source + offsets[0];
        n = offsets[1] - offsets[0];
    }
    if (text == NULL)
        return;
    size_t leading = leading_blanks(text, n);
    const size_t trailing = trailing_blanks(text, n);
    uint32_t c;
    if ((first || offsets[0] == 0) && (image_of(r->t)->flags & TOKENIZER_TRIM_PREFIX) && leading == 1)
        leading = 0;
    for (; leading > 0 && offsets[0] < offsets[1]; leading--)
        offsets[0] += (uint32_t)utf8_next(r->source + offsets[0], offsets[1] - offsets[0], &c);
    uint32_t end = offsets[1];
    size_t i = 0;
    for (; i < trailing && end > 0; i++)
        end = (uint32_t)utf8_previous(r->source, 0, end);
    if (i == trailing)
        offsets[1] = end > offsets[0] ? end : offsets[0];
}

/* ---- texts, pairs, templates ---- */

/* How many tokens of each text stay: longest first (transformers' "longest_first" as the reference computes it). */
static void share(size_t room, size_t *a, size_t *b)
{
    size_t n1 = *a < *b ? *a : *b, n2 = *a < *b ? *b : *a;
    if (*a + *b <= room)
        return;
    if (n1 > room)
        n2 = n1;
    else
        n2 = n1 > room - n1 ? n1 : room - n1;
    if (n1 + n2 > room) {
        n1 = room / 2;
        n2 = n1 + room % 2;
    }
    const int swapped = *a > *b;
    *a = swapped ? n2 : n1;
    *b = swapped ? n1 : n2;
}

static run run_of(const tokenizer *t, token_work *w, const tokenize_call *call, int second, token_sink *sink)
{
    return second ? (run){ t, w, NULL, (const unsigned char *)call->pair, 0, call->pair_length, sink }
                  : (run){ t, w, (const unsigned char *)call->prompt, (const unsigned char *)call->text, call->prompt_length, call->length, sink };
}

static size_t count_tokens(const tokenizer *t, token_work *w, const tokenize_call *call, int second)
{
    token_sink sink = { .limit = SIZE_MAX };
    run r = run_of(t, w, call, second, &sink);
    (void)run_text(&r); /* w->status tells */
    return sink.count;
}

/* Tokens of each text that are wanted: `room` after `skip`. */
static int32_t cut(const tokenizer *t, token_work *w, const tokenize_call *call, size_t room[2], size_t skip[2], ecrec_error *err)
{
    const int pair = call->pair != NULL, left = (image_of(t)->flags & TOKENIZER_CUT_LEFT) != 0;
    const size_t specials = call->special ? tokenizer_special_count(t, pair) : 0;
    const size_t most = call->max_length > specials ? call->max_length - specials : 0;
    if (call->max_length == 0)
        return ECREC_OK;
    room[0] = most;
    if (!pair && (!left || call->first != 0))
        return ECREC_OK;
    const size_t a = count_tokens(t, w, call, 0), b = pair ? count_tokens(t, w, call, 1) : 0;
    const uint32_t strategy = image_of(t)->cut;
    if (pair && a + b > most && strategy != CUT_LONGEST) {
        const size_t gone = a + b - most, own = strategy == CUT_FIRST ? a : b;
        if (own <= gone)
            return error_set(err, ECREC_ERR_INVALID, "the %s text has %zu tokens, too few to cut %zu of them away, and the tokenizer cuts no other",
                             strategy == CUT_FIRST ? "first" : "second", own, gone);
        room[0] = strategy == CUT_FIRST ? a - gone : a;
        room[1] = strategy == CUT_FIRST ? b : b - gone;
    } else if (pair) {
        room[0] = a;
        room[1] = b;
        share(most, &room[0], &room[1]);
    }
    if (left) {
        skip[0] = a > room[0] ? a - room[0] : 0;
        skip[1] = b > room[1] ? b - room[1] : 0;
    }
    return ECREC_OK;
}

/* One text into what is free of the output; how many tokens it gives. */
static size_t run_sequence(const tokenizer *t, token_work *w, const tokenize_call *call, int second, uint8_t type, size_t skip, size_t room,
                           const token_output *out, size_t at)
{
    const size_t free = at < out->capacity ? out->capacity - at : 0;
    token_sink sink = { free != 0 ? out->ids + at : NULL, free != 0 && out->offsets != NULL ? out->offsets + 2 * at : NULL,
                        free != 0 && out->types != NULL ? out->types + at : NULL, free, 0, room < SIZE_MAX - skip ? skip + room : SIZE_MAX, type, skip, NULL, NULL };
    if (room == 0)
        return 0;
    run r = run_of(t, w, call, second, &sink);
    if (image_of(t)->flags & TOKENIZER_TRIM) {
        sink.trim = trim;
        sink.trim_opaque = &r;
    }
    if (!run_text(&r))
        return 0;
    if (sink.count > sink.limit)
        sink.count = sink.limit;
    const size_t n = sink.count > skip ? sink.count - skip : 0;
    return n;
}

static int32_t begin_call(const tokenizer *t, token_work *w, const tokenize_call *call, int placed, ecrec_error *err)
{
    if (call->length >= UINT32_MAX || call->pair_length >= UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "a text of %zu bytes is too long (the most is 4 GiB)",
                         call->length > call->pair_length ? call->length : call->pair_length);
    const image_op *ops = image_part(t, PART_PRE_TOKENIZER);
    w->status = ECREC_OK;
    w->placed = placed;
    for (size_t i = 0; i < image_count(t, PART_PRE_TOKENIZER, sizeof *ops); i++)
        w->placed |= ops[i].kind == OP_METASPACE && (ops[i].flags & METASPACE_FIRST); /* it asks where the source begins */
    return ECREC_OK;
}

int32_t texts_status(const token_work *w, const tokenize_call *call, ecrec_error *err)
{
    if (w->status == ECREC_ERR_LIMIT)
        return error_set(err, ECREC_ERR_LIMIT, "the normalised text is longer than 4 GiB");
    return w->status != ECREC_OK ? error_nomem(err, "a long text's tokens", call->length) : ECREC_OK;
}

int32_t texts_measure(const tokenizer *t, token_work *w, const tokenize_call *call, int placed, size_t counts[2], size_t room[2], ecrec_error *err)
{
    size_t skip[2] = { 0, 0 };
    int32_t status = begin_call(t, w, call, placed, err);
    if (status != ECREC_OK)
        return status;
    room[0] = room[1] = SIZE_MAX;
    counts[0] = count_tokens(t, w, call, 0);
    counts[1] = call->pair != NULL ? count_tokens(t, w, call, 1) : 0;
    if ((status = texts_status(w, call, err)) == ECREC_OK && (status = cut(t, w, call, room, skip, err)) == ECREC_OK)
        status = texts_status(w, call, err);
    return status;
}

static void trim_inside(const void *opaque, uint32_t *offsets, uint32_t id, const unsigned char *spelling, size_t length, int first)
{
    (void)first;
    trim(opaque, offsets, id, spelling, length, 0);
}

int texts_hold(const tokenizer *t, token_work *w, const tokenize_call *call, int second, int trimmed, uint32_t *ids, uint32_t *offsets, size_t n)
{
    token_sink sink = { .ids = ids, .offsets = offsets, .capacity = n, .limit = SIZE_MAX };
    run r = run_of(t, w, call, second, &sink);
    if (trimmed && (image_of(t)->flags & TOKENIZER_TRIM)) {
        sink.trim = trim_inside;
        sink.trim_opaque = &r;
    }
    return run_text(&r);
}

void texts_trim_first(const tokenizer *t, token_work *w, const tokenize_call *call, int second, uint32_t *offsets, uint32_t id)
{
    const run r = run_of(t, w, call, second, NULL);
    trim(&r, offsets, id, NULL, 0, 1);
}

int32_t tokenizer_run(const tokenizer *t, token_work *w, const tokenize_call *call, token_output *out, ecrec_error *err)
{
    const int pair = call->pair != NULL, part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
    size_t room[2] = { SIZE_MAX, SIZE_MAX }, skip[2] = { call->first, 0 }, count = 0;
    int32_t status = begin_call(t, w, call, out->offsets != NULL, err);
    if (status == ECREC_OK)
        status = cut(t, w, call, room, skip, err);
    if (status != ECREC_OK)
        return status;
    const image_slot *slots = image_part(t, part);
    const size_t slot_count = image_count(t, part, sizeof *slots);
    for (size_t i = 0; i < slot_count && w->status == ECREC_OK; i++) {
        const int second = slots[i].kind == SLOT_SECOND;
        if (slots[i].kind != SLOT_TOKEN) {
            count += run_sequence(t, w, call, second, (uint8_t)slots[i].type, skip[second], room[second], out, count);
        } else if (call->special) {
            token_sink sink = { out->ids, out->offsets, out->types, out->capacity, count, SIZE_MAX, (uint8_t)slots[i].type, 0, NULL, NULL };
            sink_put(&sink, slots[i].id, 0, 0);
            count = sink.count;
        }
    }
    if ((status = texts_status(w, call, err)) != ECREC_OK)
        return status;
    /* a limit below the number of special tokens keeps the first of them */
    out->count = call->max_length != 0 && count > call->max_length ? call->max_length : count;
    return ECREC_OK;
}
