/* Multi-gate mixture of experts (Ma et al., KDD 2018): `experts` perceptrons of the same sizes on the joined embeddings; each label has a gate,
 * softmax(G x0 + c) over the experts, and its heads read the sum of the experts' last layers by it. Layers lie side by side: hidden[l] has the
 * rows of expert 0, then those of 1, ...; from the second layer on an expert reads its own alone. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_EXPERTS_H
#define ECREC_LIB_RANK_EXPERTS_H

#include "rank/network.h"

/* Layer l > 0 of rows [first, first + n), expert by expert, with ReLU. */
void experts_layer(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass, uint32_t l, size_t first, size_t n);
/* From the last layer and x0 to gates, mixtures and the shares of the part. */
void experts_heads(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass, size_t first, size_t n);
/* An expert's part of a packed layer; what it has not itself is of the others'. */
static inline weights expert_columns(const network_plan *p, const weights *w, uint32_t expert)
{
    return weights_columns(w, (size_t)expert * (w->n / p->experts), w->n / p->experts);
}

#endif
