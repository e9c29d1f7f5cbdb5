#include "rank/towers.h"

#include <math.h>
#include <string.h>

#define LEAST_LENGTH 1e-12f

typedef struct tower { const float *e; float inverse; /* of its length; 0: it is not there */ } tower;

static void look(const network_plan *p, const kernels *table, const network_pass *pass, size_t row, tower *out)
{
    for (uint32_t i = 0; i < p->towers; i++) {
        const uint32_t slot = p->tower[i];
        out[i].e = pass->x0 + row * p->inputs + (size_t)slot * p->width;
        const float length = sqrtf(table->dot_f32(p->width, out[i].e, out[i].e));
        out[i].inverse = pass->present[row * p->fields + slot] && length > LEAST_LENGTH ? 1 / length : 0;
    }
}

static float cosine(const network_plan *p, const kernels *table, const tower *a, const tower *b)
{
    return table->dot_f32(p->width, a->e, b->e) * a->inverse * b->inverse;
}

void towers_forward(const network_plan *p, const float *flat, const kernels *table, network_pass *pass, size_t first, size_t n)
{
    const uint32_t pairs = p->towers * (p->towers - 1) / 2;
    tower t[MOST_TOWERS];
    for (size_t row = first; row < first + n; row++) {
        float *share = pass->shares + (PART_TOWERS * pass->rows + row) * p->heads;
        uint32_t at = 0;
        look(p, table, pass, row, t);
        memset(share, 0, p->heads * sizeof *share);
        for (uint32_t i = 0; i < p->towers; i++)
            for (uint32_t j = i + 1; j < p->towers; j++, at++) {
                const float c = cosine(p, table, &t[i], &t[j]);
                for (uint32_t h = 0; h < p->heads; h++)
                    share[h] += flat[p->tower_weights + (size_t)h * pairs + at] * c;
            }
    }
}

/* d cos(a, b) / d a = (b / |b| - cos a / |a|) / |a|. */
static void add(const network_plan *p, const kernels *table, const tower *a, const tower *b, float c, float g, float *da)
{
    table->axpy_f32(p->width, g * a->inverse * b->inverse, b->e, da);
    table->axpy_f32(p->width, -g * c * a->inverse * a->inverse, a->e, da);
}

void towers_backward(const network_plan *p, const float *flat, const kernels *table, const network_pass *pass, size_t row, const float *g, float *dx0)
{
    const uint32_t pairs = p->towers * (p->towers - 1) / 2;
    tower t[MOST_TOWERS];
    uint32_t at = 0;
    look(p, table, pass, row, t);
    for (uint32_t i = 0; i < p->towers; i++)
        for (uint32_t j = i + 1; j < p->towers; j++, at++) {
            float total = 0;
            for (uint32_t h = 0; h < p->heads; h++)
                total += g[h] * flat[p->tower_weights + (size_t)h * pairs + at];
            if (t[i].inverse == 0 || t[j].inverse == 0)
                continue;
            const float c = cosine(p, table, &t[i], &t[j]);
            add(p, table, &t[i], &t[j], c, total, dx0 + (size_t)p->tower[i] * p->width);
            add(p, table, &t[j], &t[i], c, total, dx0 + (size_t)p->tower[j] * p->width);
        }
}

void towers_weights(const network_plan *p, const kernels *table, const network_pass *pass, size_t rows, const float *g, float *out)
{
    const uint32_t pairs = p->towers * (p->towers - 1) / 2;
    tower t[MOST_TOWERS];
    memset(out, 0, (size_t)p->heads * pairs * sizeof *out);
    for (size_t row = 0; row < rows; row++) {
        uint32_t at = 0;
        look(p, table, pass, row, t);
        for (uint32_t i = 0; i < p->towers; i++)
            for (uint32_t j = i + 1; j < p->towers; j++, at++) {
                const float c = cosine(p, table, &t[i], &t[j]);
                for (uint32_t h = 0; h < p->heads; h++)
                    out[(size_t)h * pairs + at] += g[row * p->heads + h] * c;
            }
    }
}
