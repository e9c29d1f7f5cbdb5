/* The first order and the pairs while learning: the weights that a row meets, and a step on them. */
#ifndef ECREC_LIB_LEARN_FIRST_ORDER_H
#define ECREC_LIB_LEARN_FIRST_ORDER_H

#include "learn/losses.h"
#include "learn/state.h"
#include "learn/trainer.h"

/* The hashed features of the rows of a step. With one head their weights are looked up together, ahead of use. */
typedef struct first_order {
    learn_state *state;
    const kernels *table;
    const trainer_options *options;
    tensor *z, *v;     /* of FTRL and Adam, else NULL */
    double step;       /* Adam's */
    size_t *starts;    /* rows + 1, into: */
    uint64_t *slots;
    float *values, *steps; /* steps: of an implicit step */
    float **weights, **sums, **zs, **vs; /* one head; NULL arrays else */
    const uint64_t *met_twice; /* fit: a bit a slot that other rows than one have too; NULL: met is what was learned from before */
    unsigned char *unmet; /* for each entry, as its row was scored */
    size_t capacity;   /* of them; rows of a step times what a row has, n-grams apart */
    size_t rows;
    memory *m;
} first_order;

int32_t first_order_create(first_order *f, memory *m, learn_state *state, const kernels *table, const trainer_options *options, size_t rows, ecrec_error *err);
void first_order_destroy(first_order *f);
/* Fit: which values are met once only among these rows (and never before): for the row that has one it counts as never met, as it will
 * for rows to come. *bits: 2 x 2^hash_bits bits. */
void first_order_count(first_order *f, const learn_rows *rows, const size_t *list, size_t n, const tensor *sums /* before */, uint64_t *bits);
/* Look up the weights of these rows. NOMEM. */
int32_t first_order_resolve(first_order *f, const learn_rows *rows, const size_t *order, size_t first, size_t n, ecrec_error *err);
double first_order_logit(first_order *f, const record *rec, size_t i, uint32_t head);
/* A step of row i with d loss / d logit; shape: of the loss (implicit steps alone want it). NOMEM (without a sentence). */
int32_t first_order_learn(first_order *f, const record *rec, size_t i, uint32_t head, double gradient, const loss_shape *shape);

#endif
