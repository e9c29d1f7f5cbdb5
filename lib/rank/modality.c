#include "rank/modality.h"

#include <math.h>
#include <string.h>

#define EPSILON 1e-6f /* beside the mean square */

/* y, and what it is divided by. */
static float project(const network_plan *n, const field_plan *p, const kernels *table, const float *flat, const float *x, float inverse, float *y)
{
    const float *w = flat + p->embed, *u = w + (size_t)n->width * p->dims;
    for (uint32_t i = 0; i < n->width; i++)
        y[i] = table->dot_f32(p->dims, x, w + (size_t)i * p->dims) * inverse + u[i];
    return sqrtf(table->dot_f32(n->width, y, y) / (float)n->width + EPSILON);
}

static float gate(const network_plan *n, const kernels *table, const float *a, const float *normal)
{
    return scalar_sigmoid(table->dot_f32(n->width, a, normal) + a[n->width]);
}

void modality_forward(const network_plan *n, const field_plan *p, const kernels *table, const float *flat, const float *x, float inverse, float *e)
{
    const float *m = flat + p->embed + (size_t)n->width * (p->dims + 1), *a = m + n->width;
    if (x == NULL) {
        memcpy(e, m, n->width * sizeof *e);
        return;
    }
    const float size = project(n, p, table, flat, x, inverse, e);
    if (!n->gates)
        return;
    for (uint32_t i = 0; i < n->width; i++)
        e[i] /= size;
    const float open = gate(n, table, a, e);
    for (uint32_t i = 0; i < n->width; i++)
        e[i] *= open;
}

void modality_backward(const network_plan *n, const field_plan *p, const kernels *table, const float *flat, const float *x, float inverse, const float *de,
                       float *scratch, float *gradient)
{
    const uint32_t k = n->width;
    float *gu = gradient + (size_t)k * p->dims, *gm = gu + k, *ga = gm + k, *y = scratch, *dy = scratch + k;
    if (x == NULL) {
        for (uint32_t i = 0; i < k; i++)
            gm[i] += de[i];
        return;
    }
    memcpy(dy, de, k * sizeof *dy);
    if (n->gates) {
        const float size = project(n, p, table, flat, x, inverse, y), *a = flat + p->embed + (size_t)k * (p->dims + 2);
        for (uint32_t i = 0; i < k; i++)
            y[i] /= size;
        const float open = gate(n, table, a, y), before = table->dot_f32(k, de, y) * open * (1 - open);
        table->axpy_f32(k, before, y, ga);
        ga[k] += before;
        for (uint32_t i = 0; i < k; i++)
            dy[i] = open * de[i] + before * a[i];
        const float mean = table->dot_f32(k, dy, y) / (float)k;
        for (uint32_t i = 0; i < k; i++)
            dy[i] = (dy[i] - y[i] * mean) / size;
    }
    for (uint32_t i = 0; i < k; i++) {
        gu[i] += dy[i];
        table->axpy_f32(p->dims, dy[i] * inverse, x, gradient + (size_t)i * p->dims);
    }
}
