#include "encoder/backward.h"

#include <math.h>
#include <string.h>

#include "ecrec/text.h"
#include "encoder/gradient.h"
#include "kernels/matmul.h"

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t take_space(space *w, const encoder *e, const kernels *table, size_t tokens, void *workspace)
{
    const size_t h = e->hidden, width = (size_t)e->largest_heads * e->head_size, ff = (size_t)e->largest_feed_forward << e->gated;
    const size_t length = e->max_length < tokens ? e->max_length : tokens, qkv = e->largest_qkv;
    const size_t forward = pass_take(&w->forward, e, table, tokens, workspace);
    scratch s = { workspace, forward, SIZE_MAX };
    const size_t f = sizeof(float), states = largest(h, e->embedding);
    w->inputs = scratch_take(&s, (size_t)e->layers * tokens * h * f + 64);
    w->product = scratch_take(&s, tokens * qkv * f + 64);
    w->qkv = scratch_take(&s, tokens * qkv * f + 64);
    w->context = scratch_take(&s, tokens * width * f + 64);
    w->sum1 = scratch_take(&s, tokens * states * f);
    w->mid = scratch_take(&s, tokens * states * f);
    w->x = scratch_take(&s, tokens * states * f);
    w->pre = scratch_take(&s, tokens * ff * f + 64);
    w->inner = scratch_take(&s, tokens * ff * f + 64);
    w->sum2 = scratch_take(&s, tokens * h * f);
    w->d_out = scratch_take(&s, tokens * states * f);
    w->d_sum = scratch_take(&s, tokens * states * f);
    w->d_x = scratch_take(&s, tokens * states * f);
    w->d_wide = scratch_take(&s, tokens * ff * f + 64);
    w->d_context = scratch_take(&s, tokens * width * f + 64);
    w->d_qkv = scratch_take(&s, tokens * qkv * f + 64);
    w->matrix = scratch_take(&s, h * largest(largest(qkv, ff), largest(width, e->embedding)) * f + 64);
    w->probabilities = scratch_take(&s, length * length * f);
    w->d_probabilities = scratch_take(&s, length * length * f);
    const size_t wide = largest(largest(qkv, ff), largest(states, length)), deep = largest(wide, tokens);
    w->multiplying = scratch_take(&s, matmul_scratch(table, deep, wide, deep));
    return s.used;
}

size_t encoder_backward_workspace(const encoder *e, const kernels *table, size_t max_tokens)
{
    space w;
    return take_space(&w, e, table, max_tokens, NULL);
}

const char *encoder_backward_lacks(const encoder *e)
{
    return e->patch_size != 0 ? "images" : e->quantized ? "quantised weights" : NULL;
}

/* d activation / d x */
static float slope(float x, uint32_t activation)
{
    const double v = x;
    switch (activation) {
    case EPILOGUE_GELU_ERF:
        return (float)(0.5 * (1 + erf(v * 0.70710678118654752)) + v * 0.39894228040143268 * exp(-0.5 * v * v));
    case EPILOGUE_GELU_TANH: {
        const double inner = 0.79788456080286536 * (v + 0.044715 * v * v * v), t = tanh(inner);
        return (float)(0.5 * (1 + t) + 0.5 * v * (1 - t * t) * 0.79788456080286536 * (1 + 3 * 0.044715 * v * v));
    }
    case EPILOGUE_GELU_QUICK: {
        const double s = 1 / (1 + exp(-1.702 * v));
        return (float)(s + 1.702 * v * s * (1 - s));
    }
    case EPILOGUE_RELU:
        return x > 0 ? 1.0f : 0.0f;
    case EPILOGUE_SILU: {
        const double s = 1 / (1 + exp(-v));
        return (float)(s + v * s * (1 - s));
    }
    default:
        return 1;
    }
}

/* What the attention block reads, and its sum with what came before it: w->product, qkv, context, sum1. */
static void recompute_attention(space *w, const encoder_layer *l, const float *input)
{
    const pass *pass = &w->forward;
    const encoder *e = pass->e;
    const size_t tokens = pass->tokens, h = e->hidden, width = (size_t)l->heads * e->head_size, qkv = encoder_qkv_width(e, l);
    const float *x = input;
    if (e->pre_norm) {
        pass_norm(pass, &l->attention_norm, tokens, h, input, w->x);
        x = w->x;
    }
    pass_linear(pass, &l->qkv, qkv, h, tokens, x, h, NULL, w->product, qkv, EPILOGUE_NONE);
    memcpy(w->qkv, w->product, tokens * qkv * sizeof(float));
    pass_turn(pass, l, w->p, w->qkv);
    pass_attend(pass, l, w->p, w->qkv, w->context);
    memcpy(w->sum1, input, tokens * h * sizeof(float));
    pass_linear(pass, &l->output, h, width, tokens, w->context, width, w->sum1, w->sum1, h, EPILOGUE_NONE);
}

/* The rest of the layer: mid (between the blocks), x (what the second reads), pre, inner, sum2. */
static const float *recompute_feed_forward(space *w, const encoder_layer *l)
{
    const pass *pass = &w->forward;
    const encoder *e = pass->e;
    const size_t tokens = pass->tokens, h = e->hidden, ff = l->feed_forward, wide = ff << e->gated;
    memcpy(w->mid, w->sum1, tokens * h * sizeof(float));
    pass_norm(pass, e->pre_norm ? &l->feed_forward_norm : &l->attention_norm, tokens, h, w->sum1, e->pre_norm ? w->x : w->mid);
    const float *x = e->pre_norm ? w->x : w->mid;
    pass_linear(pass, &l->in, wide, h, tokens, x, h, NULL, w->pre, wide, EPILOGUE_NONE);
    memcpy(w->inner, w->pre, tokens * wide * sizeof(float));
    pass_activate(pass, l, tokens, w->inner);
    memcpy(w->sum2, w->mid, tokens * h * sizeof(float));
    pass_linear(pass, &l->out, h, ff, tokens, w->inner, wide, w->sum2, w->sum2, h, EPILOGUE_NONE);
    return x;
}

/* Per sequence: sum of value * gradient in groups of `size` columns; and forward statistics of the values. */
static void gate(const space *w, const float *value, const float *gradient, size_t stride, size_t groups, size_t size, float *gates,
                 float *squares, float *mean)
{
    const size_t columns = groups * size, first = w->p->starts[0];
    for (size_t s = 0; s < w->p->sequences; s++)
        for (size_t t = w->p->starts[s] - first; t < w->p->starts[s + 1] - first; t++)
            for (size_t c = 0; c < columns; c++) {
                const float v = value[t * stride + c];
                if (gates != NULL)
                    gates[s * groups + c / size] += v * gradient[t * stride + c];
                if (squares != NULL)
                    squares[c / size] += v * v;
                if (mean != NULL)
                    mean[c] += v;
            }
}

/* w->d_wide: in, the gradient of what the second product reads (in its first columns); out, of what the first one gave. */
static void through_activation(space *w, const encoder_layer *l)
{
    const encoder *e = w->forward.e;
    const size_t ff = l->feed_forward, stride = ff << e->gated;
    for (size_t t = 0; t < w->forward.tokens && ff != 0; t++) {
        const float *pre = w->pre + t * stride;
        float *d = w->d_wide + t * stride;
        if (e->gated) {
            memcpy(d + ff, pre, ff * sizeof *d);
            w->forward.table->activate(ff, d + ff, (int32_t)e->activation);
        }
        for (size_t i = 0; i < ff; i++) {
            const float given = d[i];
            d[i] = given * slope(pre[i], e->activation) * (e->gated ? pre[ff + i] : 1.0f);
            if (e->gated)
                d[ff + i] *= given;
        }
    }
}

static float *at(float **list, uint32_t layer)
{
    return list != NULL ? list[layer] : NULL;
}

/* w->d_out: in, the gradient of the layer's output; out, of its input. */
static void layer_backward(space *w, uint32_t index, const float *input, encoder_gradients *g)
{
    const encoder *e = w->forward.e;
    const encoder_layer *l = &e->layer[index];
    static const encoder_layer_gradients none;
    const encoder_layer_gradients *lg = g->layers != NULL ? &g->layers[index] : &none;
    const size_t tokens = w->forward.tokens, h = e->hidden, width = (size_t)l->heads * e->head_size, ff = l->feed_forward;
    const size_t wide = ff << e->gated, qkv = encoder_qkv_width(e, l), all = tokens * h;
    recompute_attention(w, l, input);
    const float *x = recompute_feed_forward(w, l);
    if (!e->pre_norm)
        gradient_norm(e->norm, e->norm_eps, &l->feed_forward_norm, tokens, h, w->sum2, h, w->d_out, h, w->d_out, h, lg->feed_forward_norm_weight, lg->feed_forward_norm_bias);
    gradient_linear(w, &l->out, h, ff, w->inner, wide, w->d_out, h, 0, w->d_wide, wide, lg->out, lg->out_bias);
    gate(w, w->inner, w->d_wide, wide, ff, 1, at(g->feed_forward_gates, index), at(g->feed_forward_activation, index), at(g->feed_forward_mean, index));
    through_activation(w, l);
    memset(w->d_x, 0, all * sizeof(float));
    gradient_linear(w, &l->in, wide, h, x, h, w->d_wide, wide, 0, w->d_x, h, lg->in, lg->in_bias);
    if (e->pre_norm)
        gradient_norm(e->norm, e->norm_eps, &l->feed_forward_norm, tokens, h, w->sum1, h, w->d_x, h, w->d_x, h, lg->feed_forward_norm_weight, lg->feed_forward_norm_bias);
    for (size_t i = 0; i < all; i++) /* around the block and through it */
        w->d_out[i] += w->d_x[i];

    if (!e->pre_norm)
        gradient_norm(e->norm, e->norm_eps, &l->attention_norm, tokens, h, w->sum1, h, w->d_out, h, w->d_out, h, lg->attention_norm_weight, lg->attention_norm_bias);
    gradient_linear(w, &l->output, h, width, w->context, width, w->d_out, h, 0, w->d_context, width, lg->output, lg->output_bias);
    gate(w, w->context, w->d_context, width, l->heads, e->head_size, at(g->head_gates, index), at(g->head_activation, index), at(g->head_mean, index));
    gradient_attention(w, l, lg, g->relative);
    if (e->pre_norm) /* the second block's took its place */
        pass_norm(&w->forward, &l->attention_norm, tokens, h, input, w->x);
    memset(w->d_x, 0, all * sizeof(float));
    gradient_linear(w, &l->qkv, qkv, h, e->pre_norm ? w->x : input, h, w->d_qkv, qkv, 0, w->d_x, h, lg->qkv, lg->qkv_bias);
    if (e->pre_norm)
        gradient_norm(e->norm, e->norm_eps, &l->attention_norm, tokens, h, input, h, w->d_x, h, w->d_x, h, lg->attention_norm_weight, lg->attention_norm_bias);
    for (size_t i = 0; i < all; i++)
        w->d_out[i] += w->d_x[i];
}

static void embedding_backward(space *w, encoder_gradients *g)
{
    const encoder *e = w->forward.e;
    const packed *p = w->p;
    const size_t n = e->embedding, first = p->starts[0], tokens = w->forward.tokens;
    const float *d = w->d_out;
    pass_embed_sum(&w->forward, p, w->sum1);
    if (e->embedding_projection.w.n != 0) {
        pass_norm(&w->forward, &e->embedding_norm, tokens, n, w->sum1, w->mid);
        gradient_linear(w, &e->embedding_projection, e->hidden, n, w->mid, n, w->d_out, e->hidden, 0, w->d_sum, n, g->embedding_projection,
                        g->embedding_projection_bias);
        d = w->d_sum;
    }
    gradient_norm(e->norm, e->norm_eps, &e->embedding_norm, tokens, n, w->sum1, n, d, n, w->d_x, n, g->embedding_norm_weight, g->embedding_norm_bias);
    for (size_t s = 0; s < p->sequences; s++) {
        size_t counted = 0;
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++) {
            const size_t position = pass_position(e, p, s, i - p->starts[s], &counted);
            float *rows[3] = { g->token != NULL ? g->token + (size_t)p->ids[i] * n : NULL,
                               g->position != NULL && e->position_table != NULL ? g->position + position * n : NULL,
                               g->type != NULL && e->type_table != NULL ? g->type + (p->types != NULL ? p->types[i] : 0u) * n : NULL };
            for (size_t r = 0; r < 3; r++)
                for (size_t j = 0; rows[r] != NULL && j < n; j++)
                    rows[r][j] += w->d_x[(i - first) * n + j];
        }
    }
}

typedef struct keeper { float *to; size_t size; uint32_t layers; } keeper;

static void keep(void *opaque, uint32_t layer, const float *states, size_t tokens)
{
    const keeper *k = opaque;
    (void)tokens;
    if (layer < k->layers)
        memcpy(k->to + layer * k->size, states, k->size * sizeof(float));
}

/* The states before the final norm, recomputed. */
static const float *before_final_norm(space *w, size_t size)
{
    const encoder *e = w->forward.e;
    if (e->layers == 0) {
        pass_embed(&w->forward, w->p, w->sum2);
        return w->sum2;
    }
    const encoder_layer *l = &e->layer[e->layers - 1];
    recompute_attention(w, l, w->inputs + (e->layers - 1) * size);
    (void)recompute_feed_forward(w, l);
    if (!e->pre_norm)
        pass_norm(&w->forward, &l->feed_forward_norm, w->forward.tokens, e->hidden, w->sum2, w->sum2);
    return w->sum2;
}

void encoder_backward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden, hidden_gradient loss,
                      void *opaque, encoder_gradients *gradients)
{
    space w;
    const size_t tokens = p->starts[p->sequences] - p->starts[0], size = tokens * e->hidden;
    (void)take_space(&w, e, table, tokens, workspace);
    w.p = p;
    w.forward.tokens = tokens;
    if (tokens == 0)
        return;
    keeper k = { w.inputs, size, e->layers };
    encoder_forward(e, table, workspace, p, hidden, keep, &k);
    pass_begin(&w.forward, p);
    memset(w.d_out, 0, size * sizeof(float));
    loss(opaque, hidden, w.d_out, tokens);
    if (e->final_norm.weight != NULL)
        gradient_norm(e->norm, e->norm_eps, &e->final_norm, tokens, e->hidden, before_final_norm(&w, size), e->hidden, w.d_out, e->hidden, w.d_out, e->hidden,
                      gradients->final_norm_weight, gradients->final_norm_bias);
    for (uint32_t l = e->layers; l-- > 0;)
        layer_backward(&w, l, w.inputs + l * size, gradients);
    embedding_backward(&w, gradients);
}

void encoder_pool_backward(const encoder *e, const packed *p, const float *hidden, uint32_t pooling, int32_t normalize,
                           const float *vector_gradients, size_t stride, float *hidden_gradients)
{
    const size_t h = e->hidden;
    for (size_t s = 0; s < p->sequences; s++) {
        const size_t begin = p->starts[s] - p->starts[0], tokens = p->starts[s + 1] - p->starts[s];
        const float *g = vector_gradients + s * stride, *states = hidden + begin * h;
        float *out = hidden_gradients + begin * h;
        if (tokens == 0)
            continue;
        const size_t last = pooling == ECREC_POOL_LAST ? tokens - 1 : 0;
        double squares = 0, dot = 0, scale = 1;
        for (int round = 0; round < 2; round++) /* first the length of the pooled vector, then the gradient */
            for (size_t i = 0; i < h; i++) {
                double v = states[last * h + i];
                size_t top = 0;
                for (size_t t = 1; t < tokens && (pooling == ECREC_POOL_MEAN || pooling == ECREC_POOL_MAX); t++) {
                    if (pooling == ECREC_POOL_MEAN) {
                        v += states[t * h + i];
                    } else if (states[t * h + i] > v) {
                        v = states[t * h + i];
                        top = t;
                    }
                }
                if (pooling == ECREC_POOL_MEAN)
                    v /= (double)tokens;
                if (round == 0) {
                    squares += v * v;
                    dot += v * g[i];
                    continue;
                }
                if (i == 0 && normalize)
                    scale = 1.0 / sqrt(squares > 1e-24 ? squares : 1e-24);
                const float d = (float)(normalize ? scale * (g[i] - v * dot * scale * scale) : g[i]);
                if (pooling == ECREC_POOL_MEAN)
                    for (size_t t = 0; t < tokens; t++)
                        out[t * h + i] += d / (float)tokens;
                else
                    out[(pooling == ECREC_POOL_MAX ? top : last) * h + i] += d;
            }
    }
}
