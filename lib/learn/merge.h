/* Several workers' states that began from one: the state of all they learned. */
#ifndef ECREC_LIB_LEARN_MERGE_H
#define ECREC_LIB_LEARN_MERGE_H

#include "model/tensor.h"
#include "rank/schema.h"

/* A weight under AdaGrad moves by the mean of the workers' moves, each weighed by the root of the squared gradients that it added (rows of
 * tables by those of the whole row), so one that a single worker has seen moves as far as there; the sums of squares add up. The network and
 * Adam's moments: weighed by steps. Numbers' statistics: as if one had seen all rows. *out: a new set that shares what nobody changed.
 * UNSUPPORTED (a tensor that is none of these differs), NOMEM. */
int32_t merge_states(memory *m, const ecrec_schema *schema, uint32_t dimension, const tensor_set *base, tensor_set *const *workers, size_t n,
                     tensor_set **out, ecrec_error *err);

#endif
