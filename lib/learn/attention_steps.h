/* Histories while learning: the events' embeddings of a mini-batch's rows, forward and backward. */
#ifndef ECREC_LIB_LEARN_ATTENTION_STEPS_H
#define ECREC_LIB_LEARN_ATTENTION_STEPS_H

#include "learn/attention_backward.h"
#include "learn/embeddings.h"

enum { ATTENTION_ROOMS = 16 }; /* tasks that run side by side */

typedef struct attention_steps {
    const ranker *r;
    const kernels *table;
    uint32_t rooms;
    size_t size; /* floats of all histories' weights */
    attention_room room[ATTENTION_ROOMS];
    float *weights[ATTENTION_ROOMS], *h[ATTENTION_ROOMS], *interest[ATTENTION_ROOMS]; /* gradients; scratch: events x units, width */
    memory *m;
    void *block;
    size_t bytes;
} attention_steps;

/* rows: of a step. Nothing is made for a ranker without histories. NOMEM. */
int32_t attention_steps_create(attention_steps *a, memory *m, const ranker *r, const kernels *table, size_t rows, ecrec_error *err);
void attention_steps_destroy(attention_steps *a);
/* Row i of the mini-batch: its interest in the candidate into x0 [inputs], with the room's memory. */
void attention_steps_forward(attention_steps *a, uint32_t room, const embedding_steps *e, const record *rec, size_t i, uint32_t field, float *x0);
/* From dx0 [inputs], which gains what the candidate gets: gradients of the events' embeddings into e->event_gradients, of the weights into
 * the room's sum. */
void attention_steps_backward(attention_steps *a, uint32_t room, embedding_steps *e, const record *rec, size_t i, uint32_t field, const float *x0, float *dx0);
void attention_steps_clear(attention_steps *a, uint32_t rooms);
/* Add the rooms' sums, in order, to the gradient of "rank.network"; `begin`: what is there is lost. */
void attention_steps_collect(const attention_steps *a, uint32_t rooms, int begin, float *flat);

#endif
