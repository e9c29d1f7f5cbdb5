#include "kernels/attention.h"

#include <math.h>
#include <string.h>

#define PANEL 16
#define QUERIES 32 /* rows of logits at a time */

static size_t padded(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

size_t attention_scratch(size_t tokens, size_t head_size)
{
    size_t t = padded(tokens);
    return t * head_size + tokens * padded(head_size) + QUERIES * t + 16;
}

/* Keys as a product's weights: panels of 16 keys, head_size deep. */
static void pack_keys(const attention_call *c, float *to)
{
    for (size_t first = 0; first < c->tokens; first += PANEL) {
        size_t n = c->tokens - first < PANEL ? c->tokens - first : PANEL;
        float *panel = to + first * c->head_size;
        for (size_t j = 0; j < n; j++) {
            const float *k = c->k + (first + j) * c->stride;
            for (size_t d = 0; d < c->head_size; d++)
                panel[d * PANEL + j] = k[d];
        }
        for (size_t j = n; j < PANEL; j++)
            for (size_t d = 0; d < c->head_size; d++)
                panel[d * PANEL + j] = 0;
    }
}

/* Values: panels of 16 dimensions, as deep as there are tokens. */
static void pack_values(const attention_call *c, float *to)
{
    for (size_t first = 0; first < c->head_size; first += PANEL) {
        size_t n = c->head_size - first < PANEL ? c->head_size - first : PANEL;
        float *panel = to + first * c->tokens;
        for (size_t t = 0; t < c->tokens; t++) {
            memcpy(panel + t * PANEL, c->v + t * c->stride + first, n * sizeof(float));
            for (size_t d = n; d < PANEL; d++)
                panel[t * PANEL + d] = 0;
        }
    }
}

/* Scale, bias and mask of one query's logits; what it may not see is -infinity. */
static void prepare(const attention_call *c, size_t query, float *logits)
{
    const float *bias = c->bias != NULL ? c->bias + (ptrdiff_t)query * c->bias_stride : NULL;
    for (size_t j = 0; j < c->tokens; j++)
        logits[j] = logits[j] * c->scale + (bias != NULL ? bias[j] : 0);
    if (c->causal)
        for (size_t j = query + 1; j < c->tokens; j++)
            logits[j] = -INFINITY;
    if (c->window > 0)
        for (size_t j = 0; j < c->tokens; j++)
            if ((j > query ? j - query : query - j) > c->window)
                logits[j] = -INFINITY;
}

void attention_blocked(const kernels *table, const attention_call *c)
{
    size_t t = padded(c->tokens);
    float *keys = c->scratch, *values = keys + t * c->head_size, *logits = values + c->tokens * padded(c->head_size);
    weights k, v;
    pack_keys(c, keys);
    pack_values(c, values);
    weights_view(&k, WEIGHTS_F32, c->tokens, c->head_size, keys);
    weights_view(&v, WEIGHTS_F32, c->head_size, c->tokens, values);
    for (size_t first = 0; first < c->tokens; first += QUERIES) {
        size_t rows = c->tokens - first < QUERIES ? c->tokens - first : QUERIES;
        const gemm_f32_call scores = { .m = rows, .x = c->q + first * c->stride, .x_stride = c->stride, .w = &k, .out = logits, .out_stride = t };
        table->gemm_f32(&scores);
        for (size_t r = 0; r < rows; r++) {
            prepare(c, first + r, logits + r * t);
            table->softmax(c->tokens, logits + r * t, logits + r * t);
        }
        const gemm_f32_call mix = { .m = rows, .x = logits, .x_stride = t, .w = &v, .out = c->out + first * c->out_stride, .out_stride = c->out_stride };
        table->gemm_f32(&mix);
    }
}
