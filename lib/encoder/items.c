#include "encoder/items.h"

#include "kernels/pointwise.h"

enum { BLOCK = 256 /* items a task: their rows stay in the first caches while histories pass by */ };

typedef struct item_task {
    const encoder *e;
    const kernels *table;
    const float *vectors;
    size_t n;
    float *scores;
} item_task;

static float row_dot(const item_task *t, size_t row, const float *vector)
{
    const size_t h = t->e->hidden;
    const tensor *items = t->e->token;
    if (items->type == TYPE_BF16)
        return brain_dot(h, (const uint16_t *)items->data + row * h, vector);
    if (items->layout != LAYOUT_ROWS_S8)
        return t->table->dot_f32(h, (const float *)items->data + row * h, vector);
    const size_t stride = (h + 63) / 64 * 64;
    const int8_t *values = (const int8_t *)items->data + row * stride;
    float sum = 0;
    for (size_t i = 0; i < h; i++)
        sum += (float)values[i] * vector[i];
    return sum * ((const float *)(const void *)((const char *)items->data + stride * (size_t)items->shape[0]))[row];
}

static void score_block(void *argument, uint32_t index)
{
    const item_task *t = argument;
    const size_t items = t->e->vocabulary, from = (size_t)index * BLOCK, to = from + BLOCK < items ? from + BLOCK : items;
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = from; j < to; j++)
            t->scores[i * items + j] = row_dot(t, j, t->vectors + i * t->e->hidden);
}

void items_score(const ecrec_context *context, const encoder *e, const float *vectors, size_t n, float *scores)
{
    item_task t = { e, context->kernels, vectors, n, scores };
    if (n != 0)
        context_run(context, score_block, &t, (uint32_t)(((size_t)e->vocabulary + BLOCK - 1) / BLOCK));
}
