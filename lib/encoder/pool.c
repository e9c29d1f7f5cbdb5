/* From states to one vector, or to logits, a sequence. */
#include <string.h>

#include "ecrec/text.h"
#include "encoder/forward.h"
#include "encoder/vector.h"

/* Which token's state is the sequence's, where pooling takes one. */
static size_t chosen_token(const encoder *e, const uint32_t *ids, size_t tokens, uint32_t pooling)
{
    size_t at = 0;
    if (pooling == ECREC_POOL_LAST)
        return tokens - 1;
    if (pooling != ECREC_POOL_END || ids == NULL)
        return 0;
    for (size_t t = 0; t < tokens; t++) {
        if (e->end_token != NO_TOKEN && ids[t] == e->end_token)
            return t;
        if (e->end_token == NO_TOKEN && ids[t] > ids[at])
            at = t;
    }
    return at;
}

static void pool_states(const encoder *e, const uint32_t *ids, const float *hidden, size_t tokens, uint32_t pooling, float *out)
{
    const size_t h = e->hidden;
    if (pooling != ECREC_POOL_MAX && pooling != ECREC_POOL_MEAN) {
        memcpy(out, hidden + chosen_token(e, ids, tokens, pooling) * h, h * sizeof(float));
        return;
    }
    memcpy(out, hidden, h * sizeof(float));
    for (size_t t = 1; t < tokens; t++)
        for (size_t i = 0; i < h; i++) {
            const float v = hidden[t * h + i];
            out[i] = pooling == ECREC_POOL_MEAN ? out[i] + v : v > out[i] ? v : out[i];
        }
    const float scale = 1.0f / (float)tokens;
    for (size_t i = 0; i < h && pooling == ECREC_POOL_MEAN; i++)
        out[i] *= scale;
}

/* The model's own dense layer over a pooled state (pooler_pooling), where it has one. Returns where the result is. */
static float *pool_dense(const pass *pass, const uint32_t *ids, const float *hidden, size_t tokens, float *state, float *other)
{
    const encoder *e = pass->e;
    pool_states(e, ids, hidden, tokens, e->pooler_pooling, state);
    if (e->pooler.w.n != 0) {
        pass_linear(pass, &e->pooler, e->hidden, e->hidden, 1, state, e->hidden, NULL, other, e->hidden, (int32_t)e->pooler_activation);
        state = other;
    }
    pass_norm(pass, &e->pooler_norm, 1, e->hidden, state, state);
    return state;
}

/* A pass of one row at a time, without what layers need. */
static size_t pool_take(pass *p, const encoder *e, const kernels *table, void *workspace)
{
    scratch s = { workspace, 0, SIZE_MAX };
    memset(p, 0, sizeof *p);
    p->e = e;
    p->table = table;
    p->tokens = 1;
    p->wide = scratch_take(&s, 2 * (size_t)e->hidden * sizeof(float));
    p->q = scratch_take(&s, (size_t)e->hidden + 64);
    p->scale = scratch_take(&s, sizeof *p->scale);
    p->zero = scratch_take(&s, sizeof *p->zero);
    return s.used;
}

size_t encoder_pool_workspace(const encoder *e)
{
    pass p;
    return pool_take(&p, e, NULL, NULL);
}

void encoder_pool(const encoder *e, const kernels *table, void *workspace, const packed *p, const float *hidden, uint32_t pooling,
                  int32_t normalize, float *vectors, size_t stride)
{
    pass pass;
    const size_t h = e->hidden;
    (void)pool_take(&pass, e, table, workspace);
    for (size_t s = 0; s < p->sequences; s++) {
        float *out = vectors + s * stride, *state = pass.wide;
        const size_t tokens = p->starts[s + 1] - p->starts[s];
        const uint32_t *ids = p->ids != NULL ? p->ids + p->starts[s] : NULL;
        const float *states = hidden + (p->starts[s] - p->starts[0]) * h;
        if (tokens == 0) {
            memset(out, 0, e->dimension * sizeof(float));
            continue;
        }
        if (pooling == ECREC_POOL_POOLER)
            state = pool_dense(&pass, ids, states, tokens, state, state + h);
        else
            pool_states(e, ids, states, tokens, pooling, state);
        pass_norm(&pass, &e->projection_norm, 1, h, state, state);
        if (e->projection.w.n != 0)
            pass_linear(&pass, &e->projection, e->dimension, h, 1, state, h, NULL, out, e->dimension, (int32_t)e->projection_activation);
        else
            memcpy(out, state, h * sizeof(float));
        if (normalize)
            vector_normalize(out, e->dimension);
    }
}

void encoder_classify(const encoder *e, const kernels *table, void *workspace, const packed *p, const float *hidden, float *logits,
                      size_t stride)
{
    pass pass;
    const size_t h = e->hidden;
    (void)pool_take(&pass, e, table, workspace);
    for (size_t s = 0; s < p->sequences; s++) {
        const size_t tokens = p->starts[s + 1] - p->starts[s];
        if (tokens == 0) {
            memset(logits + s * stride, 0, e->labels * sizeof(float));
            continue;
        }
        const float *state = pool_dense(&pass, p->ids != NULL ? p->ids + p->starts[s] : NULL, hidden + (p->starts[s] - p->starts[0]) * h, tokens,
                                        pass.wide, pass.wide + h);
        pass_linear(&pass, &e->classifier, e->labels, h, 1, state, h, NULL, logits + s * stride, stride, EPILOGUE_NONE);
    }
}
