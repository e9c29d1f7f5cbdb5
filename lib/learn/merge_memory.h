/* What several workers remember that began from one state: as one that had learned all of their rows would. */
#ifndef ECREC_LIB_LEARN_MERGE_MEMORY_H
#define ECREC_LIB_LEARN_MERGE_MEMORY_H

#include "model/tensor.h"
#include "rank/schema.h"

/* Into `next`, a copy of the base's set.
 *
 * Events that a worker has seen are known, the workers' newest in turn. The reservoir is a sample of all rows that any of them was offered, each with
 * the same probability: a row that worker k kept out of the N0 + n_k offered to it stays with probability (rows kept of N0 + sum of n) /
 * (rows kept of N0 + n_k), the rest are the base's. The reserve has the newest rows of each worker in turn. Counts and sums of windows add up; a
 * detector of drift, which tells of one stream in its order, is that of the worker that has seen most rows of its label.
 * UNSUPPORTED (a worker's settings are others), FORMAT (damaged), NOMEM. */
int32_t merge_memories(memory *m, const ecrec_schema *schema, const tensor_set *base, tensor_set *const *workers, size_t n, tensor_set *next,
                       ecrec_error *err);

#endif
