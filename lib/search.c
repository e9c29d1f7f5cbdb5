/* The ABI of exact search: argument checks, then one call into the catalogue's room. */
#include "ecrec/search.h"

#include <math.h>

#include "catalog/index.h"
#include "check.h"

enum { MOST_NUMBERS = 65536 /* sums of 8-bit products fit 32 bits */ };

void ecrec_index_options_init(ecrec_index_options *options)
{
    if (options != NULL)
        *options = (ecrec_index_options)ECREC_INDEX_OPTIONS_INIT;
}

static size_t bytes_of(uint32_t type)
{
    switch (type) {
    case 0: case ECREC_TYPE_F32: return 4;
    case ECREC_TYPE_F16: case ECREC_TYPE_BF16: return 2;
    case ECREC_TYPE_S8: return 1;
    default: return 0;
    }
}

static int32_t check_vectors(const ecrec_index_options *o, ecrec_error *err)
{
    const size_t bytes = bytes_of(o->type), stride = o->stride != 0 ? o->stride : o->dimension;
    if (bytes == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: type %u is not F32, F16, BF16 or S8", o->type);
    if (o->similarity > ECREC_SIMILARITY_COSINE)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: similarity %u is not DOT or COSINE", o->similarity);
    if (o->dimension == 0 || o->dimension > MOST_NUMBERS)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: dimension is %u, it must be 1 to %u", o->dimension, (unsigned)MOST_NUMBERS);
    if (stride < o->dimension)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: stride is %zu, below the dimension %u", stride, o->dimension);
    if (o->count != 0 && o->vectors == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: vectors is NULL, count is %zu", o->count);
    if (o->count != 0 && stride > SIZE_MAX / bytes / o->count)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: %zu vectors of stride %zu are more than memory can hold", o->count, stride);
    if ((uintptr_t)o->vectors % bytes != 0 || (o->type == ECREC_TYPE_S8 && (uintptr_t)o->scales % sizeof(float) != 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: vectors or scales are not aligned to their numbers");
    for (size_t i = 0; o->type == ECREC_TYPE_S8 && o->scales != NULL && i < o->count; i++)
        if (!isfinite(o->scales[i]))
            return error_row(err, ECREC_ERR_INVALID, i, "vector %zu: its scale is not a finite number", i);
    return ECREC_OK;
}

int32_t ecrec_index_create(ecrec_context *context, const ecrec_index_options *options, ecrec_index **index, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    if (options == NULL || context == NULL || index == NULL)
        status = error_set(err, ECREC_ERR_INVALID, "ecrec_index_create: context, options or index is NULL");
    else if (options->size < sizeof *options)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_index_options: size is %u, expected %zu or more", options->size, sizeof *options);
    status = status != ECREC_OK ? status : check_vectors(options, err);
    status = status != ECREC_OK ? status : index_create(context, options, index, err);
    if (status != ECREC_OK && options != NULL && options->borrow && options->release != NULL)
        options->release(options->opaque);
    return status;
}

ecrec_index *ecrec_index_reference(ecrec_index *index)
{
    if (index != NULL)
        atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
    return index;
}

void ecrec_index_release(ecrec_index *index)
{
    index_release(index);
}

uint64_t ecrec_index_count(const ecrec_index *index)
{
    return index != NULL ? index->count : 0;
}

uint32_t ecrec_index_dimension(const ecrec_index *index)
{
    return index != NULL ? (uint32_t)index->dimension : 0;
}

int32_t ecrec_searcher_create(ecrec_index *index, size_t most, ecrec_searcher **searcher, ecrec_error *err)
{
    CHECK_POINTER(index);
    CHECK_POINTER(searcher);
    if (most == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_searcher_create: most is 0");
    return searcher_create(index, most, searcher, err);
}

void ecrec_searcher_release(ecrec_searcher *searcher)
{
    searcher_release(searcher);
}

int32_t ecrec_search(ecrec_searcher *searcher, const float *queries, size_t n, uint32_t dimension, size_t k, uint64_t *indices, float *scores, size_t capacity,
                     ecrec_error *err)
{
    CHECK_POINTER(searcher);
    if (dimension != searcher->index->dimension)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_search: dimension is %u, the index has vectors of %zu", dimension, searcher->index->dimension);
    if (k == 0 || k > searcher->asked)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_search: k is %zu, this searcher gives 1 to %zu", k, searcher->asked);
    if (n == 0)
        return ECREC_OK;
    CHECK_POINTER(queries);
    CHECK_POINTER(indices);
    CHECK_POINTER(scores);
    if (n > capacity / k)
        return error_set(err, ECREC_ERR_TOO_SMALL, "ecrec_search: %zu queries have %zu results each, there is room for %zu in all", n, k, capacity);
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < dimension; i++)
            if (!isfinite(queries[q * dimension + i]))
                return error_row(err, ECREC_ERR_INVALID, q, "query %zu: number %zu is not finite", q, i);
    searcher_run(searcher, queries, n, k, indices, scores);
    return ECREC_OK;
}
