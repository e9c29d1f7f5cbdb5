#include "learn/attention_backward.h"

#include <string.h>

/* out += the sum over j of a_j (a's column) times b_j: gradients of a matrix rows x columns from n pairs of vectors. */
static void add_outer(const kernels *table, size_t n, const float *a, size_t rows, const float *b, size_t columns, float *out)
{
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < rows; r++)
            if (a[j * rows + r] != 0)
                table->axpy_f32(columns, a[j * rows + r], b + j * columns, out + r * columns);
}

/* The gradient of each event's score, and what the sum of weighted embeddings gives each embedding. */
static void score_gradients(const attention_plan *p, const kernels *table, uint32_t width, const attention_user *user, const attention_work *work,
                            const unsigned char *types, const float *ages, const float *interest_gradient, const attention_gradient *out)
{
    float *bias = out->weights + (p->bias - p->events.w), *decay = out->weights + (p->decay - p->events.w), mean = 0;
    float *dw = work->s; /* the scores themselves are not wanted any more */
    for (uint32_t j = 0; j < user->events; j++) {
        dw[j] = table->dot_f32(width, user->e + (size_t)j * width, interest_gradient);
        mean += work->w[j] * dw[j];
        for (uint32_t k = 0; k < width; k++)
            out->e[(size_t)j * width + k] = work->w[j] * interest_gradient[k];
    }
    for (uint32_t j = 0; j < user->events; j++) {
        dw[j] = work->w[j] * (dw[j] - mean);
        bias[types[j]] += dw[j];
        decay[types[j]] -= dw[j] * ages[j];
    }
}

void attention_backward(const attention_plan *p, const float *flat, const kernels *table, uint32_t width, const attention_user *user, const float *candidate,
                        const attention_work *work, const unsigned char *types, const float *ages, const float *interest_gradient,
                        const attention_gradient *out)
{
    const size_t n = user->events, units = p->units, base = p->events.w;
    float *g = out->weights;
    if (n == 0)
        return;
    score_gradients(p, table, width, user, work, types, ages, interest_gradient, out);
    float *side = work->side; /* of A e + a, B c and D (e * c) alike: summed over the events */
    memset(side, 0, units * sizeof *side);
    for (size_t j = 0; j < n; j++) {
        table->axpy_f32(units, work->s[j], work->h + j * units, g + (p->score.w - base));
        for (size_t u = 0; u < units; u++) {
            const float d = work->h[j * units + u] > 0 ? work->s[j] * flat[p->score.w + u] : 0.0f;
            out->h[j * units + u] = d;
            side[u] += d;
        }
    }
    add_outer(table, n, out->h, units, user->e, width, g);
    for (size_t u = 0; u < units; u++)
        g[p->events.b - base + u] += side[u];
    add_outer(table, 1, side, units, candidate, width, g + (p->candidate.w - base));
    for (size_t u = 0; u < units; u++)
        table->axpy_f32(width, side[u], flat + p->candidate.w + u * width, out->candidate);
    add_outer(table, n, out->h, units, work->product, width, g + (p->product.w - base));
    for (size_t j = 0; j < n; j++) {
        float *de = out->e + j * width, *dp = work->product + j * width; /* the product itself is not wanted any more */
        memset(dp, 0, width * sizeof *dp);
        for (size_t u = 0; u < units; u++) {
            const float d = out->h[j * units + u];
            if (d == 0)
                continue;
            table->axpy_f32(width, d, flat + p->events.w + u * width, de);
            table->axpy_f32(width, d, flat + p->product.w + u * width, dp);
        }
        for (uint32_t k = 0; k < width; k++) {
            de[k] += dp[k] * candidate[k];
            out->candidate[k] += dp[k] * user->e[j * width + k];
        }
        float *type = g + (p->types - base) + (size_t)types[j] * width;
        for (uint32_t k = 0; k < width; k++)
            type[k] += de[k];
    }
}
