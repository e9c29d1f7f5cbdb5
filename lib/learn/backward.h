/* The network backward: from the heads' gradients to those of every weight and of the joined embeddings. */
#ifndef ECREC_LIB_LEARN_BACKWARD_H
#define ECREC_LIB_LEARN_BACKWARD_H

#include "kernels/matmul.h"
#include "rank/network.h"

/* Gradients of a pass's values, row by row as the pass has them; all taken from one stretch of memory. */
typedef struct network_gradients {
    float *x0, *mid[MOST_CROSS], *low[MOST_CROSS], *hidden[ECREC_MOST_HIDDEN] /* before ReLU */, *wide /* scratch */;
    float *gate /* rows x tasks x experts: before softmax */;
    float *heads; /* rows x heads: d loss / d logit, set by the caller */
    float *flat;  /* of "rank.network" */
} network_gradients;
size_t network_gradients_take(network_gradients *g, const network_plan *p, size_t rows, void *memory); /* bytes */

/* The matrices transposed, for the products with the gradients. */
int32_t network_transposed_create(memory *m, const network_plan *p, network_packed **out);
void network_transpose(network_packed *transposed, const network_plan *p, const float *flat);

/* Rows [first, first + n), n <= NETWORK_ROWS: g->heads to g->x0, mid, low, hidden. */
void network_backward(const network_plan *p, const network_packed *transposed, const float *flat, const kernels *table, const network_pass *pass,
                      network_gradients *g, size_t first, size_t n, float dropout);

/* Then the weights': tasks [0, network_weight_tasks) may run side by side, each with scratch of its own; rows in one order, so the
 * bits do not depend on how many threads there are. Embedded numbers and vectors are the caller's. */
uint32_t network_weight_tasks(const network_plan *p);
size_t network_weight_scratch(const network_plan *p, const kernels *table, size_t rows);
void network_weight_gradient(const network_plan *p, const kernels *table, const network_pass *pass, network_gradients *g, size_t rows,
                             uint32_t task, void *scratch);

#endif
