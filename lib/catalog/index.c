#include "catalog/index.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/kernels.h"

enum { BLOCK = 4096 /* rows a task, while lengths are taken */ };

static size_t number_bytes(int32_t type)
{
    return type == VECTORS_F32 ? 4 : type == VECTORS_S8 ? 1 : 2;
}

typedef struct lengths_task {
    const ecrec_index *index;
    float *factors;
} lengths_task;

/* One over each row's length, in double precision; 0 for a row of zeros. A row that is not finite gets NaN or 0: its similarity is NaN. */
static void take_lengths(void *argument, uint32_t task)
{
    const lengths_task *t = argument;
    const ecrec_index *x = t->index;
    const size_t first = (size_t)task * BLOCK, last = x->count - first < BLOCK ? x->count : first + BLOCK;
    for (size_t row = first; row < last; row++) {
        const void *vector = (const char *)x->vectors + row * x->stride * number_bytes(x->type);
        double squares = 0;
        for (size_t i = 0; i < x->dimension; i++) {
            const double v = vector_value(x->type, vector, i);
            squares += v * v;
        }
        t->factors[row] = squares > 0 || squares != squares ? (float)(1 / sqrt(squares)) : 0;
    }
}

/* Copies, where the caller keeps his own; room for factors where they are computed. */
static int32_t own_parts(ecrec_index *x, const ecrec_index_options *o, ecrec_error *err)
{
    const size_t bytes = number_bytes(x->type), row = x->dimension * bytes;
    const int cosine = x->cosine;
    const float *scales = x->type == VECTORS_S8 && !cosine ? o->scales : NULL;
    const size_t factors = cosine || (scales != NULL && !o->borrow) ? x->count * sizeof(float) : 0;
    const size_t vectors = o->borrow ? 0 : (memory_product(x->count, row) + 63) & ~(size_t)63;
    if (!o->borrow && memory_product(x->count, row) > SIZE_MAX / 4)
        return error_nomem(err, "an index of vectors", SIZE_MAX);
    x->own_bytes = vectors + factors;
    x->own = x->own_bytes != 0 ? memory_allocate(&x->context->m, x->own_bytes) : NULL;
    if (x->own_bytes != 0 && x->own == NULL)
        return error_nomem(err, "an index of vectors", x->own_bytes);
    float *own_factors = (float *)(void *)((char *)x->own + vectors);
    if (!o->borrow && x->count != 0) {
        for (size_t r = 0; r < x->count; r++)
            memcpy((char *)x->own + r * row, (const char *)x->vectors + r * x->stride * bytes, row);
        x->vectors = x->own;
        x->stride = x->dimension;
    }
    if (cosine && x->count != 0) {
        lengths_task t = { x, own_factors };
        context_run(x->context, take_lengths, &t, (uint32_t)((x->count - 1) / BLOCK + 1));
        x->factors = own_factors;
    } else if (scales != NULL && x->count != 0) {
        x->factors = o->borrow ? scales : memcpy(own_factors, scales, factors);
    }
    return ECREC_OK;
}

int32_t index_create(ecrec_context *context, const ecrec_index_options *options, ecrec_index **out, ecrec_error *err)
{
    ecrec_index *x = memory_zero(&context->m, sizeof *x);
    if (x == NULL)
        return error_nomem(err, "an index", sizeof *x);
    atomic_init(&x->references, 1);
    x->context = context;
    context_reference(context);
    x->type = options->type != 0 ? (int32_t)options->type : VECTORS_F32;
    x->count = options->count;
    x->dimension = options->dimension;
    x->stride = options->stride != 0 ? options->stride : options->dimension;
    x->vectors = options->vectors;
    x->cosine = options->similarity == ECREC_SIMILARITY_COSINE;
    const int32_t status = own_parts(x, options, err);
    if (status != ECREC_OK) {
        index_release(x);
        return status;
    }
    x->release = options->borrow ? options->release : NULL;
    x->opaque = options->opaque;
    *out = x;
    return ECREC_OK;
}

void index_release(ecrec_index *x)
{
    if (x == NULL || atomic_fetch_sub_explicit(&x->references, 1, memory_order_acq_rel) != 1)
        return;
    ecrec_context *context = x->context;
    if (x->release != NULL)
        x->release(x->opaque);
    memory_release(&context->m, x->own, x->own_bytes);
    memory_release(&context->m, x, sizeof *x);
    context_release(context);
}
