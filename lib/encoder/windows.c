#include <string.h>

#include "encoder/forward.h"
#include "encoder/lane.h"
#include "encoder/vector.h"

/* The frame's tokens into the lane's frame_ids; false when there is no room for `least` tokens of a text. */
int windows_frame(embed *s, const lane *l, const embed_call *c, size_t least, frame *f)
{
    const tokenize_call call = { .text = "", .prompt = c->prompt, .prompt_length = c->prompt_length,
                                 .special = (int32_t)c->encoder->special_tokens };
    token_output out = { l->frame_ids, NULL, l->frame_types, c->max_length, 0 };
    lane_tokenize(s, l, c->tokenizer, &call, &out);
    const size_t lead = c->encoder->special_tokens ? tokenizer_leading_count(c->tokenizer) : 0,
                 special = c->encoder->special_tokens ? tokenizer_special_count(c->tokenizer, 0) : 0;
    *f = (frame){ out.count - (special - lead), special - lead, out.count - special };
    return out.count < c->max_length && c->max_length - out.count >= least;
}

/* Where prompt and text grow together, the prompt's last tokens are other ones before a text: those that stay are repeated. */
static void fit_frame(const lane *l, frame *f, const uint32_t *tokens)
{
    const size_t lead = f->front - f->prompt;
    size_t same = 0;
    while (same < f->prompt && l->frame_ids[lead + same] == tokens[same])
        same++;
    memmove(l->frame_ids + lead + same, l->frame_ids + f->front, f->trail * sizeof *l->frame_ids);
    memmove(l->frame_types + lead + same, l->frame_types + f->front, f->trail);
    f->front = lead + same;
    f->prompt = same;
}

/* Tokens of a text (after its prompt) without special ones, from one on, into long_ids; fewer than long_tokens: to its end. */
static size_t take_stretch(embed *s, const lane *l, size_t row, size_t first)
{
    const embed_call *c = s->call;
    size_t length = 0;
    const char *text = lane_text(c, row, &length);
    const tokenize_call call = { .text = text, .length = length, .prompt = c->prompt, .prompt_length = c->prompt_length,
                                 .max_length = s->long_tokens, .first = first };
    token_output out = { l->long_ids, NULL, NULL, s->long_tokens, 0 };
    lane_tokenize(s, l, c->tokenizer, &call, &out);
    return out.count;
}

static uint32_t put_window(const lane *l, const frame *f, const uint32_t *tokens, size_t n, uint32_t at)
{
    memcpy(l->ids + at, l->frame_ids, f->front * sizeof *l->ids);
    memcpy(l->ids + at + f->front, tokens, n * sizeof *l->ids);
    memcpy(l->ids + at + f->front + n, l->frame_ids + f->front, f->trail * sizeof *l->ids);
    memcpy(l->types + at, l->frame_types, f->front);
    memset(l->types + at + f->front, 0, n);
    memcpy(l->types + at + f->front + n, l->frame_types + f->front, f->trail);
    return at + (uint32_t)(f->front + n + f->trail);
}

void windows_run(embed *s, const lane *l, size_t row)
{
    const embed_call *c = s->call;
    const encoder *e = c->encoder;
    const size_t d = e->dimension;
    frame f;
    (void)windows_frame(s, l, c, 1, &f); /* embed_run has looked */
    size_t base = 0, got = take_stretch(s, l, row, 0), weight = 0;
    fit_frame(l, &f, l->long_ids);
    const size_t width = c->max_length - f.front - f.trail;
    memset(l->mean, 0, d * sizeof *l->mean);
    size_t at = f.prompt;
    for (int more = 1; more;) {
        packed p = { l->ids, e->token_types > 1 ? l->types : NULL, l->starts, 0, NULL, NULL };
        l->starts[0] = 0;
        while (more && p.sequences < MOST_TOGETHER && l->starts[p.sequences] + c->max_length <= s->max_tokens) {
            if (at + width >= base + got && got == s->long_tokens)
                got = take_stretch(s, l, row, base = at);
            const size_t left = base + got - at, n = left < width ? left : width;
            l->rows[p.sequences] = n;
            l->starts[p.sequences + 1] = put_window(l, &f, l->long_ids + (at - base), n, l->starts[p.sequences]);
            p.sequences++;
            more = n < left;
            at += width - c->overlap;
        }
        lane_run(s, l, &p);
        for (size_t i = 0; i < p.sequences; i++) {
            lane_pool(c, l, &p, i, l->vector);
            if (c->normalize)
                vector_normalize(l->vector, d);
            for (size_t j = 0; j < d; j++)
                l->mean[j] += (float)l->rows[i] * l->vector[j];
            weight += (size_t)l->rows[i];
        }
    }
    const float scale = 1.0f / (float)weight;
    for (size_t j = 0; j < d; j++)
        l->mean[j] *= scale;
    lane_finish(c, l->mean, row);
}
