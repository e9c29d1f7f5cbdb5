/* Dot products of towers: the embeddings of a record's modalities (texts, vectors, images, and what a history says) brought to unit length
 * and held against each other, t_ij = <e_i, e_j> / (|e_i| |e_j|), each pair with a weight r_ij for each head. A pair with a missing side is
 * left out. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_TOWERS_H
#define ECREC_LIB_RANK_TOWERS_H

#include "rank/network.h"

/* Shares of rows [first, first + n) of the pass. */
void towers_forward(const network_plan *p, const float *flat, const kernels *table, network_pass *pass, size_t first, size_t n);
/* Added to the gradients of the embeddings: dx0 [inputs] of one row. g: d loss / d logit of the heads. */
void towers_backward(const network_plan *p, const float *flat, const kernels *table, const network_pass *pass, size_t row, const float *g, float *dx0);
/* Gradients of the weights over the rows, in their order: heads x pairs. */
void towers_weights(const network_plan *p, const kernels *table, const network_pass *pass, size_t rows, const float *g, float *out);

#endif
