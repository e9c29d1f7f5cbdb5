/* Long texts in windows of so many tokens that share some with the one before, as the reference's "overflowing" has them: each text is cut
 * by itself, and of a pair every window of one meets every window of the other. */
#include "base/error.h"
#include "text/texts.h"

typedef struct side {
    size_t count, room, step, windows;
    uint32_t *ids, *offsets, *plain; /* offsets: within a window; plain: as they came, for the first of one */
} side;

static void range_of(const side *s, size_t window, int left, size_t *from, size_t *to)
{
    const size_t at = window * s->step;
    if (left) {
        *to = s->count - at;
        *from = *to > s->room ? *to - s->room : 0;
    } else {
        *from = at;
        *to = s->count - at > s->room ? at + s->room : s->count;
    }
}

static int32_t cut_side(side *s, size_t count, size_t room, size_t stride, ecrec_error *err)
{
    *s = (side){ .count = count, .room = room < count ? room : count, .step = 1, .windows = 1 };
    if (room >= count)
        return ECREC_OK;
    if (stride >= room)
        return error_set(err, ECREC_ERR_INVALID, "windows hold %zu tokens of a text, which must be more than the stride of %zu", room, stride);
    s->step = room - stride;
    s->windows = 1 + (count - room + s->step - 1) / s->step;
    return ECREC_OK;
}

static size_t tokens_of(const side *s, int left)
{
    size_t sum = 0;
    for (size_t i = 0; i < s->windows; i++) {
        size_t from, to;
        range_of(s, i, left, &from, &to);
        sum += to - from;
    }
    return sum;
}

static int hold(const tokenizer *t, token_work *w, const tokenize_call *call, side *s, int second, int placed, uint32_t *at)
{
    const int trims = placed && (image_of(t)->flags & TOKENIZER_TRIM);
    s->ids = at;
    s->offsets = placed ? at + s->count : NULL;
    s->plain = trims ? at + 3 * s->count : NULL;
    return texts_hold(t, w, call, second, 1, s->ids, s->offsets, s->count) && (!trims || texts_hold(t, w, call, second, 0, s->ids, s->plain, s->count));
}

typedef struct composer {
    const tokenizer *t;
    token_work *w;
    const tokenize_call *call;
    const side *sides;
    token_windows *out;
    int left;
    size_t at; /* tokens written */
} composer;

static void put(composer *c, uint32_t id, uint32_t type, const uint32_t *offsets)
{
    token_windows *out = c->out;
    out->ids[c->at] = id;
    if (out->offsets != NULL) {
        out->offsets[2 * c->at] = offsets != NULL ? offsets[0] : 0;
        out->offsets[2 * c->at + 1] = offsets != NULL ? offsets[1] : 0;
    }
    if (out->types != NULL)
        out->types[c->at] = (uint8_t)type;
    c->at++;
}

static void put_side(composer *c, int second, size_t window, uint32_t type)
{
    const side *s = &c->sides[second];
    size_t from, to;
    range_of(s, window, c->left, &from, &to);
    for (size_t i = from; i < to; i++) {
        uint32_t first[2];
        const uint32_t *offsets = s->offsets != NULL ? s->offsets + 2 * i : NULL;
        if (i == from && s->plain != NULL) {
            first[0] = s->plain[2 * i];
            first[1] = s->plain[2 * i + 1];
            texts_trim_first(c->t, c->w, c->call, second, first, s->ids[i]);
            offsets = first;
        }
        put(c, s->ids[i], type, offsets);
    }
}

static void put_window(composer *c, const image_slot *slots, size_t count, const size_t window[2], size_t index)
{
    c->out->starts[index] = c->at;
    for (size_t i = 0; i < count; i++) {
        if (slots[i].kind != SLOT_TOKEN)
            put_side(c, slots[i].kind == SLOT_SECOND, window[slots[i].kind == SLOT_SECOND], slots[i].type);
        else if (c->call->special)
            put(c, slots[i].id, slots[i].type, NULL);
    }
    c->out->starts[index + 1] = c->at;
}

/* The first window is that of both texts' first ones; then each other one of the text that stands first with all of the other text;
 * then its first one with the others. */
static void compose(composer *c, const image_slot *slots, size_t count)
{
    size_t outer = 0, index = 0, window[2] = { 0, 0 };
    for (size_t i = count; i-- > 0;)
        if (slots[i].kind != SLOT_TOKEN)
            outer = slots[i].kind == SLOT_SECOND;
    const size_t inner = 1 - outer, most[2] = { c->sides[0].windows, c->sides[1].windows };
    put_window(c, slots, count, window, index++);
    for (window[outer] = 1; window[outer] < most[outer]; window[outer]++)
        for (window[inner] = 0; window[inner] < most[inner]; window[inner]++)
            put_window(c, slots, count, window, index++);
    window[outer] = 0;
    for (window[inner] = 1; window[inner] < most[inner]; window[inner]++)
        put_window(c, slots, count, window, index++);
}

int32_t tokenizer_windows(const tokenizer *t, token_work *w, const tokenize_call *call, size_t stride, token_windows *out, ecrec_error *err)
{
    const int pair = call->pair != NULL, placed = out->offsets != NULL, left = (image_of(t)->flags & TOKENIZER_CUT_LEFT) != 0;
    size_t counts[2], room[2];
    side sides[2];
    int32_t status = texts_measure(t, w, call, placed, counts, room, err);
    for (int i = 0; i < 2 && status == ECREC_OK; i++)
        status = cut_side(&sides[i], counts[i], room[i], stride, err);
    if (status != ECREC_OK)
        return status;
    const uint64_t windows = (uint64_t)sides[0].windows * sides[1].windows, specials = call->special ? tokenizer_special_count(t, pair) : 0;
    if (windows > UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "the pair makes %zu x %zu windows, which are more than 4,294,967,295", sides[0].windows, sides[1].windows);
    out->windows = (size_t)windows;
    out->count = tokens_of(&sides[0], left) * sides[1].windows + tokens_of(&sides[1], left) * sides[0].windows + (size_t)(specials * windows);
    if (out->count > out->capacity || out->windows > out->windows_capacity)
        return ECREC_OK; /* the caller sees */
    const size_t each = !placed ? 1 : image_of(t)->flags & TOKENIZER_TRIM ? 5 : 3, need = each * (counts[0] + counts[1]) + 1;
    if (need > w->held_capacity && !work_grow(w, &w->held, &w->held_capacity, need, sizeof *w->held))
        return error_nomem(err, "a long text's tokens", need * sizeof *w->held);
    if (!hold(t, w, call, &sides[0], 0, placed, w->held) || (pair && !hold(t, w, call, &sides[1], 1, placed, w->held + each * counts[0])))
        return texts_status(w, call, err);
    const int part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
    composer c = { t, w, call, sides, out, left, 0 };
    compose(&c, image_part(t, part), image_count(t, part, sizeof(image_slot)));
    return ECREC_OK;
}
