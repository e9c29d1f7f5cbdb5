#include "kernels/attention.h"

#include <math.h>

size_t attention_scratch(size_t tokens, size_t head_size)
{
    const size_t padded = (tokens + 15) / 16 * 16, block = padded < ATTENTION_KEYS ? padded : ATTENTION_KEYS;
    return block * (head_size + ATTENTION_QUERIES) + 2 * padded + 16;
}

static int sees(const attention_call *c, size_t query, size_t key)
{
    if (c->causal && key > query)
        return 0;
    return c->window == 0 || (key > query ? key - query : query - key) <= c->window;
}

void attention_reference(const attention_call *c)
{
    float *logits = c->scratch;
    for (size_t i = 0; i < c->tokens; i++) {
        const float *q = c->q + i * c->stride;
        float *out = c->out + i * c->out_stride;
        for (size_t j = 0; j < c->tokens; j++) {
            float sum = 0;
            for (size_t d = 0; d < c->head_size; d++)
                sum += q[d] * c->k[j * c->stride + d];
            logits[j] = !sees(c, i, j) ? -INFINITY : sum * c->scale + (c->bias != NULL ? c->bias[(ptrdiff_t)i * c->bias_stride + (ptrdiff_t)j] : 0);
        }
        (void)kernels_portable()->softmax(c->tokens, logits, logits);
        for (size_t d = 0; d < c->head_size; d++)
            out[d] = 0;
        for (size_t j = 0; j < c->tokens; j++)
            for (size_t d = 0; d < c->head_size && sees(c, i, j); d++)
                out[d] += logits[j] * c->v[j * c->stride + d];
    }
}
