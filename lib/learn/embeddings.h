/* The embeddings while learning: each mini-batch's rows of the table once, their gradients summed in the rows' order, one step each. */
#ifndef ECREC_LIB_LEARN_EMBEDDINGS_H
#define ECREC_LIB_LEARN_EMBEDDINGS_H

#include "learn/trainer.h"

typedef struct embedding_steps {
    learn_state *state;
    const kernels *table;
    const trainer_options *options;
    tensor *z, *v;    /* of FTRL and Adam */
    size_t most, entries, count; /* rows of a mini-batch; room for so many values; different ones of the last mini-batch */
    const learn_rows *rows;      /* of the last mini-batch, */
    const size_t *order;
    size_t first;
    uint32_t *map;    /* open addressing: number of the different row + 1 */
    size_t map_size;
    uint64_t *slots;  /* of the different rows */
    float **weights, **sums, **zs, **vs;
    uint32_t *index;  /* of each value: rows x categories, then the multi fields' */
    size_t *multi_at; /* most + 1: where each row's values of multi fields begin in index */
    size_t *event_at; /* most + 1: where each row's events begin in index */
    float *gradients; /* entries x width */
    float *event_gradients; /* events x width: set by who goes backward through the histories, before the step */
    size_t events, first_event; /* room; where they begin in index */
    memory *m;
    void *block;
    size_t bytes;
} embedding_steps;

int32_t embedding_steps_create(embedding_steps *e, memory *m, learn_state *state, const kernels *table, const trainer_options *options, size_t most, ecrec_error *err);
void embedding_steps_destroy(embedding_steps *e);
/* Look the rows of a mini-batch up; one that was never learned from is started at small random values of its own. NOMEM. */
int32_t embedding_steps_resolve(embedding_steps *e, const learn_rows *rows, const size_t *order, size_t first, size_t n, ecrec_error *err);
/* The rows of several mini-batches' categories made the state's own ahead of them, together: one by one each would wait for memory. NOMEM. */
int32_t embedding_steps_own(const embedding_steps *e, const learn_rows *rows, const size_t *order, size_t first, size_t n);
/* The embedding of row i's category c, for the pass. */
static inline const float *embedding_of(const embedding_steps *e, size_t i, uint32_t c)
{
    return e->weights[e->index[i * e->state->now->categories + c]];
}
/* The weighted sum of the embeddings of row i's values of a multi field. */
void embedding_multi(const embedding_steps *e, size_t i, uint32_t multi, float *out);
/* The embedding of event j of row i's history, and where the gradients of that history's events go. */
const float *embedding_event(const embedding_steps *e, size_t i, uint32_t history, uint32_t j);
float *embedding_event_gradients(embedding_steps *e, size_t i, uint32_t history);
/* Sum the gradients of the joined embeddings, dx0 [n x inputs], and make the steps. step: Adam's. */
void embedding_steps_learn(embedding_steps *e, const float *dx0, size_t n, double step);

#endif
