/* Gradients of the pieces of a layer. */
#include "encoder/gradient.h"

#include <math.h>
#include <string.h>

#include "kernels/matmul.h"
#include "kernels/pointwise.h"

void gradient_multiply(const space *w, size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_stride, int ta, const float *b,
                       size_t b_stride, int tb, float beta, float *c, size_t c_stride)
{
    const matmul_call call = { .m = m, .n = n, .k = k, .alpha = alpha, .beta = beta, .transpose_a = ta, .transpose_b = tb, .a = a,
                               .a_stride = a_stride, .b = b, .b_stride = b_stride, .c = c, .c_stride = c_stride, .scratch = w->multiplying };
    if (m != 0 && n != 0 && k != 0)
        matmul_f32(w->forward.table, &call);
}

void gradient_linear(const space *w, const encoder_linear *linear, size_t n, size_t k, const float *x, size_t x_stride, const float *dy,
                     size_t dy_stride, float beta, float *dx, size_t dx_stride, float *weight, float *bias)
{
    const size_t tokens = w->forward.tokens;
    for (size_t t = 0; bias != NULL && t < tokens; t++)
        for (size_t j = 0; j < n; j++)
            bias[j] += dy[t * dy_stride + j];
    if (n == 0 || k == 0)
        return;
    if (weight != NULL)
        gradient_multiply(w, n, k, tokens, 1, dy, dy_stride, 1, x, x_stride, 0, 1, weight, k);
    if (dx == NULL)
        return;
    weights_unpack(&linear->w, w->matrix, k);
    gradient_multiply(w, tokens, k, n, 1, dy, dy_stride, 0, w->matrix, k, 0, beta, dx, dx_stride);
}

void gradient_norm(uint32_t kind, float eps, const encoder_norm *norm, size_t rows, size_t n, const float *x, size_t x_stride, const float *d_out,
                   size_t d_stride, float *dx, size_t dx_stride, float *weight, float *bias)
{
    const int centred = kind == NORM_LAYER;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride, *d = d_out + r * d_stride;
        float *out = dx + r * dx_stride;
        double mean = 0, variance = 0, sum = 0, product = 0;
        if (norm->weight == NULL) {
            memmove(out, d, n * sizeof *out);
            continue;
        }
        for (size_t i = 0; i < n && centred; i++)
            mean += row[i];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++)
            variance += (row[i] - mean) * (row[i] - mean);
        const double inverse = 1.0 / sqrt(variance / (double)n + eps);
        for (size_t i = 0; i < n; i++) {
            const double hat = (row[i] - mean) * inverse, g = (double)d[i] * norm->weight[i];
            sum += centred ? g : 0;
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
            out[i] = (float)(inverse * (g - sum - hat * product));
        }
    }
}

/* ---- attention ---- */

/* Probabilities of one (sequence, head): t x t. */
static void probabilities_of(const space *w, const encoder_layer *l, size_t head, const float *q, const float *k, size_t stride, size_t t)
{
    const encoder *e = w->forward.e;
    const uint32_t *bucket = e->relative_buckets != 0 ? w->forward.buckets + w->forward.length - 1 : NULL; /* of distance 0 */
    float *p = w->probabilities;
    gradient_multiply(w, t, t, e->head_size, e->attention_scale, q, stride, 0, k, stride, 1, 0, p, t);
    for (size_t i = 0; i < t; i++, p += t) {
        for (size_t j = 0; j < t; j++) {
            const size_t apart = i > j ? i - j : j - i;
            if (bucket != NULL)
                p[j] += e->relative[bucket[(ptrdiff_t)j - (ptrdiff_t)i] * l->heads + head];
            if ((e->causal && j > i) || (l->window != 0 && apart > l->window))
                p[j] = -INFINITY;
        }
        (void)w->forward.table->softmax(t, p, p);
    }
}

/* d logits from d probabilities, in place; the bias of each distance takes its part. */
static void through_softmax(const space *w, const encoder_layer *l, size_t head, size_t t, float *relative)
{
    const uint32_t *bucket = relative != NULL ? w->forward.buckets + w->forward.length - 1 : NULL;
    for (size_t i = 0; i < t; i++) {
        const float *p = w->probabilities + i * t;
        float *d = w->d_probabilities + i * t;
        double dot = 0;
        for (size_t j = 0; j < t; j++)
            dot += (double)d[j] * p[j];
        for (size_t j = 0; j < t; j++) {
            d[j] = p[j] * (d[j] - (float)dot);
            if (bucket != NULL)
                relative[bucket[(ptrdiff_t)j - (ptrdiff_t)i] * l->heads + head] += d[j];
        }
    }
}

/* Back through the turns and norms of queries and keys: d_qkv in place. */
static void turn_back(const space *w, const encoder_layer *l, const encoder_layer_gradients *g)
{
    const encoder *e = w->forward.e;
    const packed *p = w->p;
    const size_t size = e->head_size, each = l->groups != 0 ? l->heads / l->groups : 0, stride = encoder_qkv_width(e, l), first = p->starts[0];
    const float *table = e->position == POSITION_ROTARY ? e->rotary[l->rotary] : NULL;
    if (table == NULL && l->query_norm.weight == NULL)
        return;
    for (size_t s = 0; s < p->sequences; s++)
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++)
            for (size_t group = 0; group < l->groups; group++) {
                const size_t at = (i - first) * stride + group * (each + 2) * size;
                float *d = w->d_qkv + at;
                const float *x = w->product + at;
                if (table != NULL)
                    unrotate_heads(each + 1, e->rotary_size, d, size, table + (i - p->starts[s]) * e->rotary_size);
                if (l->query_norm.weight == NULL)
                    continue;
                gradient_norm(NORM_RMS, e->norm_eps, &l->query_norm, each, size, x, size, d, size, d, size, g->query_norm, NULL);
                gradient_norm(NORM_RMS, e->norm_eps, &l->key_norm, 1, size, x + each * size, size, d + each * size, size, d + each * size, size, g->key_norm, NULL);
            }
}

void gradient_attention(const space *w, const encoder_layer *l, const encoder_layer_gradients *g, float *relative)
{
    const encoder *e = w->forward.e;
    const size_t size = e->head_size, width = l->heads * size, stride = encoder_qkv_width(e, l), first = w->p->starts[0];
    const size_t each = l->groups != 0 ? l->heads / l->groups : 1;
    const float scale = e->attention_scale;
    for (size_t s = 0; s < w->p->sequences; s++)
        for (size_t head = 0; head < l->heads; head++) {
            const size_t begin = w->p->starts[s] - first, t = w->p->starts[s + 1] - w->p->starts[s];
            const size_t group = begin * stride + head / each * (each + 2) * size, own = group + head % each * size;
            const float *q = w->qkv + own, *k = w->qkv + group + each * size, *v = k + size;
            const float *d_out = w->d_context + begin * width + head * size;
            float *dq = w->d_qkv + own, *dk = w->d_qkv + group + each * size, *dv = dk + size, *d = w->d_probabilities;
            const float more = head % each != 0; /* the heads of a group add up in its key and value */
            if (t == 0)
                continue;
            probabilities_of(w, l, head, q, k, stride, t);
            gradient_multiply(w, t, size, t, 1, w->probabilities, t, 1, d_out, width, 0, more, dv, stride);
            gradient_multiply(w, t, t, size, 1, d_out, width, 0, v, stride, 1, 0, d, t);
            through_softmax(w, l, head, t, relative);
            gradient_multiply(w, t, size, t, scale, d, t, 0, k, stride, 0, 0, dq, stride);
            gradient_multiply(w, t, size, t, scale, d, t, 1, q, stride, 0, more, dk, stride);
        }
    turn_back(w, l, g);
}
