#include "encoder/backward.h"

#include <math.h>
#include <string.h>

#include "ecrec/text.h"
#include "encoder/forward.h"
#include "kernels/matmul.h"

/* Everything that one layer's recomputation and gradients need. */
typedef struct space {
    pass forward;
    const packed *p;
    float *inputs; /* (layers + 1) x tokens x hidden: each layer's input, then the output */
    float *qkv, *context, *sum1, *mid1, *pre, *inner, *sum2;
    float *d_out, *d_sum, *d_wide, *d_context, *d_qkv;
    float *matrix;                  /* a weight matrix, row-major */
    float *probabilities, *d_probabilities; /* length x length */
    void *product;
} space;

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t take_space(space *w, const encoder *e, const kernels *table, size_t tokens, void *workspace)
{
    const size_t h = e->hidden, width = (size_t)e->largest_heads * e->head_size, ff = e->largest_feed_forward;
    const size_t length = e->max_length < tokens ? e->max_length : tokens, forward = pass_take(&w->forward, e, table, tokens, workspace);
    scratch s = { workspace, forward, SIZE_MAX };
    const size_t f = sizeof(float);
    w->inputs = scratch_take(&s, ((size_t)e->layers + 1) * tokens * h * f);
    w->qkv = scratch_take(&s, tokens * 3 * width * f + 64);
    w->context = scratch_take(&s, tokens * width * f + 64);
    w->sum1 = scratch_take(&s, tokens * h * f);
    w->mid1 = scratch_take(&s, tokens * h * f);
    w->pre = scratch_take(&s, tokens * ff * f + 64);
    w->inner = scratch_take(&s, tokens * ff * f + 64);
    w->sum2 = scratch_take(&s, tokens * h * f);
    w->d_out = scratch_take(&s, tokens * h * f);
    w->d_sum = scratch_take(&s, tokens * h * f);
    w->d_wide = scratch_take(&s, tokens * ff * f + 64);
    w->d_context = scratch_take(&s, tokens * width * f + 64);
    w->d_qkv = scratch_take(&s, tokens * 3 * width * f + 64);
    w->matrix = scratch_take(&s, h * largest(3 * width, ff) * f + 64);
    w->probabilities = scratch_take(&s, length * length * f);
    w->d_probabilities = scratch_take(&s, length * length * f);
    const size_t wide = largest(largest(3 * width, ff), largest(h, length)), deep = largest(wide, tokens);
    w->product = scratch_take(&s, matmul_scratch(table, deep, wide, deep));
    return s.used;
}

size_t encoder_backward_workspace(const encoder *e, const kernels *table, size_t max_tokens)
{
    space w;
    return take_space(&w, e, table, max_tokens, NULL);
}

/* c (+)= alpha op(a) op(b) */
static void multiply(const space *w, size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_stride, int ta, const float *b,
                     size_t b_stride, int tb, float beta, float *c, size_t c_stride)
{
    const matmul_call call = { .m = m, .n = n, .k = k, .alpha = alpha, .beta = beta, .transpose_a = ta, .transpose_b = tb, .a = a,
                               .a_stride = a_stride, .b = b, .b_stride = b_stride, .c = c, .c_stride = c_stride, .scratch = w->product };
    if (m != 0 && n != 0 && k != 0)
        matmul_f32(w->forward.table, &call);
}

/* Through y = x W^T + b (W: n x k): gradients of W and b added, dx = beta dx + dy W. */
static void linear_backward(const space *w, const encoder_linear *linear, size_t n, size_t k, const float *x, const float *dy, float beta,
                            float *dx, float *weight, float *bias)
{
    const size_t tokens = w->forward.tokens;
    for (size_t t = 0; bias != NULL && t < tokens; t++)
        for (size_t j = 0; j < n; j++)
            bias[j] += dy[t * n + j];
    if (n == 0 || k == 0)
        return;
    if (weight != NULL)
        multiply(w, n, k, tokens, 1, dy, n, 1, x, k, 0, 1, weight, k);
    weights_unpack(&linear->w, w->matrix, k);
    multiply(w, tokens, k, n, 1, dy, n, 0, w->matrix, k, 0, beta, dx, k);
}

/* Through out = norm(x): dx from d_out; gradients of weight and bias added. */
static void norm_backward(const encoder *e, const encoder_norm *norm, size_t tokens, const float *x, const float *d_out, float *dx,
                          float *weight, float *bias)
{
    const size_t n = e->hidden;
    for (size_t t = 0; t < tokens; t++) {
        const float *row = x + t * n, *d = d_out + t * n;
        double mean = 0, variance = 0, sum = 0, product = 0;
        for (size_t i = 0; i < n; i++)
            mean += row[i];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++)
            variance += (row[i] - mean) * (row[i] - mean);
        const double inverse = 1.0 / sqrt(variance / (double)n + e->norm_eps);
        for (size_t i = 0; i < n; i++) {
            const double hat = (row[i] - mean) * inverse, g = (double)d[i] * norm->weight[i];
            sum += g;
            product += g * hat;
            if (weight != NULL)
                weight[i] += (float)(d[i] * hat);
            if (bias != NULL)
                bias[i] += d[i];
        }
        sum /= (double)n;
        product /= (double)n;
        for (size_t i = 0; i < n; i++) {
            const double hat = (row[i] - mean) * inverse, g = (double)d[i] * norm->weight[i];
            dx[t * n + i] = (float)(inverse * (g - sum - hat * product));
        }
    }
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

/* The layer's inside again, from its input. */
static void recompute(space *w, const encoder_layer *l, const float *input)
{
    const pass *pass = &w->forward;
    const encoder *e = pass->e;
    const size_t tokens = pass->tokens, h = e->hidden, width = (size_t)l->heads * e->head_size, ff = l->feed_forward;
    pass_linear(pass, &l->qkv, 3 * width, h, tokens, input, h, NULL, w->qkv, 3 * width, EPILOGUE_NONE);
    pass_attend(pass, l, w->p, w->qkv, w->context);
    pass_linear(pass, &l->output, h, width, tokens, w->context, width, input, w->sum1, h, EPILOGUE_NONE);
    memcpy(w->mid1, w->sum1, tokens * h * sizeof(float));
    pass_norm(pass, &l->attention_norm, tokens, h, w->mid1, w->mid1);
    pass_linear(pass, &l->in, ff, h, tokens, w->mid1, h, NULL, w->pre, ff, EPILOGUE_NONE);
    memcpy(w->inner, w->pre, tokens * ff * sizeof(float));
    if (tokens * ff != 0)
        pass->table->activate(tokens * ff, w->inner, (int32_t)e->activation);
    pass_linear(pass, &l->out, h, ff, tokens, w->inner, ff, w->mid1, w->sum2, h, EPILOGUE_NONE);
}

/* Per sequence: sum of value * gradient in groups of `size` columns; and forward statistics of the values. */
static void gate(const space *w, const float *value, const float *gradient, size_t groups, size_t size, float *gates, float *squares,
                 float *mean)
{
    const size_t columns = groups * size, first = w->p->starts[0];
    for (size_t s = 0; s < w->p->sequences; s++)
        for (size_t t = w->p->starts[s] - first; t < w->p->starts[s + 1] - first; t++)
            for (size_t c = 0; c < columns; c++) {
                const float v = value[t * columns + c];
                if (gates != NULL)
                    gates[s * groups + c / size] += v * gradient[t * columns + c];
                if (squares != NULL)
                    squares[c / size] += v * v;
                if (mean != NULL)
                    mean[c] += v;
            }
}

static void attention_backward(const space *w, const encoder_layer *l)
{
    const encoder *e = w->forward.e;
    const size_t size = e->head_size, width = l->heads * size, stride = 3 * width, first = w->p->starts[0];
    const float scale = 1.0f / sqrtf((float)size);
    for (size_t s = 0; s < w->p->sequences; s++)
        for (size_t head = 0; head < l->heads; head++) {
            const size_t begin = w->p->starts[s] - first, t = w->p->starts[s + 1] - w->p->starts[s];
            const float *q = w->qkv + begin * stride + head * 3 * size, *k = q + size, *v = q + 2 * size;
            const float *d_out = w->d_context + begin * width + head * size;
            float *dq = w->d_qkv + begin * stride + head * 3 * size, *dk = dq + size, *dv = dq + 2 * size;
            float *probability = w->probabilities, *d = w->d_probabilities;
            multiply(w, t, t, size, scale, q, stride, 0, k, stride, 1, 0, probability, t);
            for (size_t i = 0; i < t; i++) {
                for (size_t j = i + 1; e->causal && j < t; j++)
                    probability[i * t + j] = -INFINITY;
                (void)w->forward.table->softmax(t, probability + i * t, probability + i * t);
            }
            multiply(w, t, size, t, 1, probability, t, 1, d_out, width, 0, 0, dv, stride);
            multiply(w, t, t, size, 1, d_out, width, 0, v, stride, 1, 0, d, t);
            for (size_t i = 0; i < t; i++) {
                double dot = 0;
                for (size_t j = 0; j < t; j++)
                    dot += (double)d[i * t + j] * probability[i * t + j];
                for (size_t j = 0; j < t; j++)
                    d[i * t + j] = probability[i * t + j] * (d[i * t + j] - (float)dot);
            }
            multiply(w, t, size, t, scale, d, t, 0, k, stride, 0, 0, dq, stride);
            multiply(w, t, size, t, scale, d, t, 1, q, stride, 0, 0, dk, stride);
        }
}

static float *at(float **list, uint32_t layer)
{
    return list != NULL ? list[layer] : NULL;
}

/* d_out: in, the gradient of the layer's output; out, of its input. */
static void layer_backward(space *w, uint32_t index, const float *input, encoder_gradients *g)
{
    const encoder *e = w->forward.e;
    const encoder_layer *l = &e->layer[index];
    static const encoder_layer_gradients none;
    const encoder_layer_gradients *lg = g->layers != NULL ? &g->layers[index] : &none;
    const size_t tokens = w->forward.tokens, h = e->hidden, width = (size_t)l->heads * e->head_size, ff = l->feed_forward;
    recompute(w, l, input);
    norm_backward(e, &l->feed_forward_norm, tokens, w->sum2, w->d_out, w->d_sum, lg->feed_forward_norm_weight, lg->feed_forward_norm_bias);
    memcpy(w->d_out, w->d_sum, tokens * h * sizeof(float)); /* the residual */
    linear_backward(w, &l->out, h, ff, w->inner, w->d_sum, 0, w->d_wide, lg->out, lg->out_bias);
    gate(w, w->inner, w->d_wide, ff, 1, at(g->feed_forward_gates, index), at(g->feed_forward_activation, index), at(g->feed_forward_mean, index));
    for (size_t i = 0; i < tokens * ff; i++)
        w->d_wide[i] *= slope(w->pre[i], e->activation);
    linear_backward(w, &l->in, ff, h, w->mid1, w->d_wide, 1, w->d_out, lg->in, lg->in_bias);

    norm_backward(e, &l->attention_norm, tokens, w->sum1, w->d_out, w->d_sum, lg->attention_norm_weight, lg->attention_norm_bias);
    memcpy(w->d_out, w->d_sum, tokens * h * sizeof(float));
    linear_backward(w, &l->output, h, width, w->context, w->d_sum, 0, w->d_context, lg->output, lg->output_bias);
    gate(w, w->context, w->d_context, l->heads, e->head_size, at(g->head_gates, index), at(g->head_activation, index), at(g->head_mean, index));
    attention_backward(w, l);
    linear_backward(w, &l->qkv, 3 * width, h, input, w->d_qkv, 1, w->d_out, lg->qkv, lg->qkv_bias);
}

static void embedding_backward(const space *w, encoder_gradients *g)
{
    const encoder *e = w->forward.e;
    const packed *p = w->p;
    const size_t h = e->hidden, first = p->starts[0];
    pass_embed_sum(&w->forward, p, w->sum1);
    norm_backward(e, &e->embedding_norm, w->forward.tokens, w->sum1, w->d_out, w->d_sum, g->embedding_norm_weight, g->embedding_norm_bias);
    for (size_t s = 0; s < p->sequences; s++)
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++) {
            const float *d = w->d_sum + (i - first) * h;
            float *rows[3] = { g->token != NULL ? g->token + (size_t)p->ids[i] * h : NULL,
                               g->position != NULL && e->position_table != NULL ? g->position + (i - p->starts[s] + e->position_offset) * h : NULL,
                               g->type != NULL && e->type_table != NULL ? g->type + (p->types != NULL ? p->types[i] : 0u) * h : NULL };
            for (size_t r = 0; r < 3; r++)
                for (size_t j = 0; rows[r] != NULL && j < h; j++)
                    rows[r][j] += d[j];
        }
}

typedef struct keeper { float *to; size_t size; } keeper;

static void keep(void *opaque, uint32_t layer, const float *states, size_t tokens)
{
    const keeper *k = opaque;
    (void)tokens;
    memcpy(k->to + layer * k->size, states, k->size * sizeof(float));
}

void encoder_backward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden, hidden_gradient loss,
                      void *opaque, encoder_gradients *gradients)
{
    space w;
    const size_t tokens = p->starts[p->sequences] - p->starts[0], size = tokens * e->hidden;
    (void)take_space(&w, e, table, tokens, workspace);
    pass_begin(&w.forward, p);
    w.p = p;
    if (tokens == 0)
        return;
    keeper k = { w.inputs, size };
    encoder_forward(e, table, workspace, p, hidden, keep, &k);
    memset(w.d_out, 0, size * sizeof(float));
    loss(opaque, hidden, w.d_out, tokens);
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
