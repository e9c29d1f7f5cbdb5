/* How a modality (an encoded text, a vector, an image) becomes an embedding: y = P x / |x| + u and, where the network has gates, brought to
 * unit mean square and let through by a gate that looks at it: n = y / rms(y), e = sigmoid(<a, n> + b) n. Missing: m alone.
 * Weights, from field_plan.embed on: P [width x dims], u, m, and with gates a, b. */
#ifndef ECREC_LIB_RANK_MODALITY_H
#define ECREC_LIB_RANK_MODALITY_H

#include "rank/features.h"

static inline size_t modality_size(uint32_t width, uint32_t dims, uint32_t gates)
{
    return (size_t)width * (dims + 2) + (gates ? width + 1 : 0);
}
/* x: NULL: missing. inverse: of its length. */
void modality_forward(const network_plan *n, const field_plan *p, const kernels *table, const float *flat, const float *x, float inverse, float *e);
/* Adds to the gradients of the weights, laid as they are from `gradient` on. scratch: 2 x width. */
void modality_backward(const network_plan *n, const field_plan *p, const kernels *table, const float *flat, const float *x, float inverse, const float *de,
                       float *scratch, float *gradient);

#endif
