/* Vectors as they are stored, and the exact search among them. */
#ifndef ECREC_LIB_CATALOG_INDEX_H
#define ECREC_LIB_CATALOG_INDEX_H

#include <stdatomic.h>

#include "base/context.h"
#include "ecrec/search.h"

struct ecrec_index {
    _Atomic uint32_t references;
    ecrec_context *context; /* referenced */
    int32_t type;           /* VECTORS_* or VECTORS_S8 */
    size_t count, dimension, stride;
    const void *vectors;
    int32_t cosine;
    const float *factors; /* what a row's sum is multiplied by: an 8-bit scale, one over its length; NULL: nothing */
    void *own;            /* block of both, of what is not borrowed */
    size_t own_bytes;
    void (*release)(void *opaque);
    void *opaque;
};

/* Arguments are checked. */
int32_t index_create(ecrec_context *context, const ecrec_index_options *options, ecrec_index **out, ecrec_error *err);
void index_release(ecrec_index *index);

struct ecrec_searcher {
    ecrec_index *index; /* referenced */
    size_t asked, most; /* results a search; more than there are vectors take no room */
    uint32_t tasks;
    void *block;
    size_t bytes;
    void *mine; /* in the block: what the caller's thread prepares */
};

int32_t searcher_create(ecrec_index *index, size_t most, ecrec_searcher **out, ecrec_error *err);
void searcher_release(ecrec_searcher *searcher);
void searcher_run(ecrec_searcher *searcher, const float *queries, size_t n, size_t k, uint64_t *indices, float *scores);

#endif
