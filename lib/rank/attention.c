#include "rank/attention.h"

#include <string.h>

size_t attention_user_take(attention_user *user, const attention_plan *p, uint32_t width, size_t events, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    user->events = 0;
    user->e = scratch_take(&s, memory_product(events * width, sizeof(float)));
    user->side = scratch_take(&s, memory_product(events * p->units, sizeof(float)));
    user->fixed = scratch_take(&s, memory_product(events, sizeof(float)));
    return s.used;
}

size_t attention_work_take(attention_work *work, const attention_plan *p, uint32_t width, size_t events, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    work->product = scratch_take(&s, memory_product(events * width, sizeof(float)));
    work->h = scratch_take(&s, memory_product(events * p->units, sizeof(float)));
    work->s = scratch_take(&s, (events + 1) * sizeof(float));
    work->w = scratch_take(&s, (events + 1) * sizeof(float));
    work->side = scratch_take(&s, p->units * sizeof(float));
    return s.used;
}

static void apply(const kernels *table, const weights *w, const float *x, const float *bias, const float *residual, size_t n, float *out)
{
    const gemm_f32_call call = { .m = n, .x = x, .x_stride = w->k, .w = w, .bias = bias, .residual = residual, .residual_stride = w->n, .out = out,
                                 .out_stride = w->n, .epilogue = EPILOGUE_NONE };
    table->gemm_f32(&call);
}

void attention_user_make(const attention_plan *p, const attention_packed *packed, const float *flat, const kernels *table, uint32_t width,
                         const unsigned char *types, const float *ages, attention_user *user)
{
    for (uint32_t j = 0; j < user->events; j++) {
        const float *type = flat + p->types + (size_t)types[j] * width;
        for (uint32_t k = 0; k < width; k++)
            user->e[(size_t)j * width + k] += type[k];
        user->fixed[j] = flat[p->bias + types[j]] - flat[p->decay + types[j]] * ages[j];
    }
    if (user->events != 0)
        apply(table, &packed->events, user->e, flat + p->events.b, NULL, user->events, user->side);
}

void attention_forward(const attention_plan *p, const attention_packed *packed, const float *flat, const kernels *table, uint32_t width,
                       const attention_user *user, const float *candidate, attention_work *work, float *interest)
{
    const uint32_t n = user->events;
    (void)flat;
    memset(interest, 0, width * sizeof *interest);
    if (n == 0)
        return;
    apply(table, &packed->candidate, candidate, NULL, NULL, 1, work->side);
    for (uint32_t j = 0; j < n; j++)
        for (uint32_t k = 0; k < width; k++)
            work->product[(size_t)j * width + k] = user->e[(size_t)j * width + k] * candidate[k];
    apply(table, &packed->product, work->product, work->side, user->side, n, work->h);
    table->activate((size_t)n * p->units, work->h, EPILOGUE_RELU);
    apply(table, &packed->score, work->h, NULL, NULL, n, work->s);
    for (uint32_t j = 0; j < n; j++)
        work->s[j] += user->fixed[j];
    work->s[n] = 0;
    (void)table->softmax(n + 1, work->s, work->w);
    for (uint32_t j = 0; j < n; j++) {
        const float w = work->w[j], *e = user->e + (size_t)j * width;
        for (uint32_t k = 0; k < width; k++)
            interest[k] += w * e[k];
    }
}
