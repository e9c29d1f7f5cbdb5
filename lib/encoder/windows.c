#include <string.h>

#include "encoder/forward.h"
#include "encoder/lane.h"
#include "encoder/vector.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void windows_carve(windows *w, scratch *memory, uint32_t lanes, size_t max_length, size_t row)
{
    w->stretch_tokens = LONG_LENGTHS * max_length;
    w->most = larger(MOST_WINDOWS, 4 * (size_t)lanes);
    w->most_tokens = larger(LONG_LENGTHS, 2 * (size_t)lanes) * max_length;
    w->most_rows = (size_t)lanes * ROUND_TEXTS;
    w->frame_ids = scratch_take(memory, max_length * sizeof *w->frame_ids);
    w->frame_types = scratch_take(memory, max_length);
    w->stretch = scratch_take(memory, w->stretch_tokens * sizeof *w->stretch);
    w->ids = scratch_take(memory, w->most_tokens * sizeof *w->ids);
    w->types = scratch_take(memory, w->most_tokens);
    w->starts = scratch_take(memory, (w->most + 1) * sizeof *w->starts);
    w->weights = scratch_take(memory, w->most * sizeof *w->weights);
    w->last = scratch_take(memory, w->most);
    w->rows = scratch_take(memory, w->most * sizeof *w->rows);
    w->long_rows = scratch_take(memory, w->most_rows * sizeof *w->long_rows);
    w->vectors = scratch_take(memory, w->most * row);
    w->mean = scratch_take(memory, row);
}

int windows_frame(embed *s, const embed_call *c, size_t least, frame *f)
{
    const tokenize_call call = { .text = "", .prompt = c->prompt, .prompt_length = c->prompt_length,
                                 .special = (int32_t)c->encoder->special_tokens };
    token_output out = { s->windows.frame_ids, NULL, s->windows.frame_types, c->max_length, 0 };
    lane_tokenize(s, &s->lane[0], c->tokenizer, &call, &out);
    const size_t lead = c->encoder->special_tokens ? tokenizer_leading_count(c->tokenizer) : 0,
                 special = c->encoder->special_tokens ? tokenizer_special_count(c->tokenizer, 0) : 0;
    *f = (frame){ out.count - (special - lead), special - lead, out.count - special };
    return out.count < c->max_length && c->max_length - out.count >= least;
}

/* Where prompt and text grow together, the prompt's last tokens are other ones before a text: those that stay are repeated. */
static void fit_frame(const windows *w, frame *f)
{
    const size_t lead = f->front - f->prompt;
    size_t same = 0;
    while (same < f->prompt && w->frame_ids[lead + same] == w->stretch[same])
        same++;
    memmove(w->frame_ids + lead + same, w->frame_ids + f->front, f->trail * sizeof *w->frame_ids);
    memmove(w->frame_types + lead + same, w->frame_types + f->front, f->trail);
    f->front = lead + same;
    f->prompt = same;
}

/* Tokens of a text (after its prompt) without special ones, from one on, into the stretch; fewer than stretch_tokens: to its end. */
static size_t take_stretch(embed *s, size_t row, size_t first)
{
    const embed_call *c = s->call;
    size_t length = 0;
    const char *text = lane_text(c, row, &length);
    const tokenize_call call = { .text = text, .length = length, .prompt = c->prompt, .prompt_length = c->prompt_length,
                                 .max_length = s->windows.stretch_tokens, .first = first };
    token_output out = { s->windows.stretch, NULL, NULL, s->windows.stretch_tokens, 0 };
    lane_tokenize(s, &s->lane[0], c->tokenizer, &call, &out);
    return out.count;
}

/* ---- those that wait ---- */

static void work(void *argument, uint32_t index)
{
    embed *s = argument;
    const embed_call *c = s->call;
    const windows *w = &s->windows;
    const lane *l = &s->lane[index];
    const size_t d = c->encoder->dimension;
    for (;;) {
        packed p = { l->ids, c->encoder->token_types > 1 ? l->types : NULL, l->starts, 0, NULL, NULL };
        l->starts[0] = 0;
        while (p.sequences < s->together && l->starts[p.sequences] < s->block && l->starts[p.sequences] + c->max_length <= s->max_tokens) {
            const size_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (i >= w->count)
                break;
            const uint32_t at = l->starts[p.sequences], n = w->starts[i + 1] - w->starts[i];
            memcpy(l->ids + at, w->ids + w->starts[i], n * sizeof *l->ids);
            memcpy(l->types + at, w->types + w->starts[i], n);
            l->rows[p.sequences] = i;
            l->starts[++p.sequences] = at + n;
        }
        if (p.sequences == 0)
            return;
        lane_run(s, l, &p);
        for (size_t i = 0; i < p.sequences; i++) {
            float *vector = w->vectors + (size_t)l->rows[i] * d;
            lane_pool(c, l, &p, i, vector);
            if (c->normalize)
                vector_normalize(vector, d);
        }
    }
}

/* A text's mean, weighted by the tokens of each window. */
static void add_up(embed *s)
{
    windows *w = &s->windows;
    const size_t d = s->call->encoder->dimension;
    for (size_t i = 0; i < w->count; i++) {
        for (size_t j = 0; j < d; j++)
            w->mean[j] += (float)w->weights[i] * w->vectors[i * d + j];
        w->weight += w->weights[i];
        if (!w->last[i])
            continue;
        const float scale = 1.0f / (float)w->weight;
        for (size_t j = 0; j < d; j++)
            w->mean[j] *= scale;
        lane_finish(s->call, w->mean, w->rows[i]);
        memset(w->mean, 0, d * sizeof *w->mean);
        w->weight = 0;
    }
}

static void run_waiting(embed *s, uint32_t lanes)
{
    windows *w = &s->windows;
    const size_t tasks = lanes < w->count ? lanes : w->count;
    if (tasks == 0)
        return;
    s->alone = w->count == 1; /* its layers are split */
    s->together = (w->count + tasks - 1) / tasks;
    if (s->call->last_layers > 1 && s->together > MOST_TOGETHER)
        s->together = MOST_TOGETHER;
    atomic_store_explicit(&s->next, 0, memory_order_relaxed);
    context_run(s->call->context, work, s, (uint32_t)tasks);
    add_up(s);
    w->count = 0;
}

static void put_window(windows *w, const frame *f, const uint32_t *tokens, size_t n, size_t row, int last)
{
    const size_t i = w->count++, at = w->starts[i];
    memcpy(w->ids + at, w->frame_ids, f->front * sizeof *w->ids);
    memcpy(w->ids + at + f->front, tokens, n * sizeof *w->ids);
    memcpy(w->ids + at + f->front + n, w->frame_ids + f->front, f->trail * sizeof *w->ids);
    memcpy(w->types + at, w->frame_types, f->front);
    memset(w->types + at + f->front, 0, n);
    memcpy(w->types + at + f->front + n, w->frame_types + f->front, f->trail);
    w->starts[i + 1] = (uint32_t)(at + f->front + n + f->trail);
    w->weights[i] = (uint32_t)n;
    w->rows[i] = row;
    w->last[i] = (uint8_t)last;
}

/* ---- texts ---- */

/* All windows of a text wait, or are done. */
static void take_text(embed *s, uint32_t lanes, size_t row)
{
    const embed_call *c = s->call;
    windows *w = &s->windows;
    frame f;
    (void)windows_frame(s, c, 1, &f); /* embed_run has looked */
    size_t base = 0, got = take_stretch(s, row, 0);
    fit_frame(w, &f);
    const size_t width = c->max_length - f.front - f.trail;
    size_t at = f.prompt;
    for (int more = 1; more; at += width - c->overlap) {
        if (at + width >= base + got && got == w->stretch_tokens)
            got = take_stretch(s, row, base = at);
        if (base + got <= at) /* no memory for its tokens: the call fails */
            return;
        const size_t left = base + got - at, n = left < width ? left : width;
        more = n < left;
        if (w->count == w->most || w->starts[w->count] + c->max_length > w->most_tokens)
            run_waiting(s, lanes);
        put_window(w, &f, w->stretch + (at - base), n, row, !more);
    }
}

void windows_run(embed *s, uint32_t lanes)
{
    windows *w = &s->windows;
    const size_t n = atomic_load_explicit(&w->long_count, memory_order_relaxed);
    w->count = w->weight = 0;
    w->starts[0] = 0;
    memset(w->mean, 0, s->call->encoder->dimension * sizeof *w->mean);
    for (size_t i = 0; i < n && atomic_load_explicit(&s->failed, memory_order_relaxed) == ECREC_OK; i++)
        take_text(s, lanes, w->long_rows[i]);
    run_waiting(s, lanes);
}
