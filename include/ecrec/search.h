/* ecrec/search.h: the nearest of many vectors, exactly: every vector is compared with the query.
 *
 *   ecrec_index     n vectors as they are stored (float32, float16, bfloat16 or 8 bits), copied or lying in the host's memory or
 *                   in a file that it has mapped; immutable, used by any number of threads
 *   ecrec_searcher  the scratch memory of one caller; nothing is allocated while searching
 */
#ifndef ECREC_SEARCH_H
#define ECREC_SEARCH_H

#include "ecrec/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ECREC_SIMILARITY_DOT = 1,   /* the sum of the products */
    ECREC_SIMILARITY_COSINE = 2 /* divided by both lengths; 0 where one of them is 0 */
};

typedef struct ecrec_index_options {
    uint32_t size;
    uint32_t type;        /* ECREC_TYPE_F32 (0: the same), ECREC_TYPE_F16, ECREC_TYPE_BF16 or ECREC_TYPE_S8, as ecrec_encode_batch stores them */
    uint32_t similarity;  /* ECREC_SIMILARITY_* (0: DOT) */
    uint32_t dimension;   /* numbers in a vector, 1 .. 65536 */
    const void *vectors;  /* count vectors, aligned to a number's size */
    size_t count;         /* vectors; may be 0 */
    size_t stride;        /* numbers from one vector to the next; 0: dimension */
    const float *scales;  /* S8: count scales, a number is s8 * its vector's scale; NULL: 1. COSINE does not need them. Else unused */
    uint32_t borrow;      /* 1: vectors and scales are not copied: they must stay valid and unchanged until the index is gone */
    uint32_t reserved;
    void (*release)(void *opaque); /* borrow: called once when they are not needed any more, also when creating fails; may be NULL */
    void *opaque;
} ecrec_index_options;
#define ECREC_INDEX_OPTIONS_INIT { (uint32_t)sizeof(ecrec_index_options), 0, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL }
ECREC_API void ecrec_index_options_init(ecrec_index_options *options);

typedef struct ecrec_index ecrec_index;

/* Make an index of vectors. COSINE reads all of them once (for their lengths), DOT reads none. It keeps its context alive.
 * Errors: INVALID (NULL, unknown type or similarity, dimension, stride below dimension, misaligned vectors, a scale that is not
 * finite: row named), NOMEM. The caller releases it. Any thread. Since 0.1. */
ECREC_API int32_t ecrec_index_create(ecrec_context *context, const ecrec_index_options *options, ecrec_index **index, ecrec_error *err);
ECREC_API ecrec_index *ecrec_index_reference(ecrec_index *index);
ECREC_API void ecrec_index_release(ecrec_index *index);
/* Vectors in it, and numbers in a vector; NULL: 0. Any thread. Since 0.1. */
ECREC_API uint64_t ecrec_index_count(const ecrec_index *index);
ECREC_API uint32_t ecrec_index_dimension(const ecrec_index *index);

typedef struct ecrec_searcher ecrec_searcher;

/* Scratch for searches of up to `most` results each. It keeps the index alive. Errors: INVALID (most is 0), NOMEM. The caller
 * releases it. One thread at a time. Since 0.1. */
ECREC_API int32_t ecrec_searcher_create(ecrec_index *index, size_t most, ecrec_searcher **searcher, ecrec_error *err);
ECREC_API void ecrec_searcher_release(ecrec_searcher *searcher);

/* The k vectors that are most similar to each of n queries (n x dimension float32), best first; of equals the one with the lower
 * index. indices and scores are n x k, `capacity` entries each. A similarity that is not a number is no result; where there are
 * fewer than k results the rest is index UINT64_MAX and score -infinity. With S8 a query is brought to 8 bits as ecrec_encode_batch
 * does, and the sum of products is exact.
 * A query's results are the same bits alone or among others, on any number of threads. Allocates nothing. Runs on the context's
 * executor where there is enough to do.
 * Errors: INVALID (NULL, dimension, k is 0 or above the searcher's `most`, a query with a number that is not finite: row named),
 * TOO_SMALL. Nothing is written on errors. One thread a searcher. Since 0.1. */
ECREC_API int32_t ecrec_search(ecrec_searcher *searcher, const float *queries, size_t n, uint32_t dimension, size_t k,
                               uint64_t *indices, float *scores, size_t capacity, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
