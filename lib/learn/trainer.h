/* One step of learning: rows in, weights changed. Shared by update (a few rows, in order) and fit (mini-batches over epochs).
 * What the threads do is cut into the same tasks whatever their number, and each sum has one order: same bits. */
#ifndef ECREC_LIB_LEARN_TRAINER_H
#define ECREC_LIB_LEARN_TRAINER_H

#include "learn/backward.h"
#include "learn/losses.h"
#include "learn/state.h"

enum { HASHED_ADAGRAD = 0, HASHED_FTRL = 1, HASHED_ADAM = 2 };

typedef struct trainer_options {
    double rate, embedding_rate, network_rate; /* of the first order, the embeddings and the network */
    double decay, embedding_decay, network_decay;
    double l1, clip; /* clip: of the norm of the network's gradient; 0: none */
    float start;     /* of the sums of squares */
    float dropout, modality_dropout;
    int32_t hashed; /* HASHED_* */
    int32_t implicit; /* AdaGrad's step on the first order takes the gradient from where it leads: losses.h */
    uint64_t seed;
} trainer_options;

typedef struct trainer trainer;

/* The state is written in place. most: rows of a step; mini: rows between two changes of the weights. */
int32_t trainer_create(ecrec_context *context, learn_state *state, const trainer_options *options, size_t most, size_t mini, trainer **out, ecrec_error *err);
void trainer_destroy(trainer *t);
trainer_options *trainer_settings(trainer *t); /* rates may change between steps */

/* Fit: count which values these rows have in common (first_order.h). before: the state that learning began with. Does nothing when the schema has no unmet weights. NOMEM. */
int32_t trainer_count(trainer *t, const learn_rows *rows, const size_t *list, size_t n, const tensor_set *before, ecrec_error *err);

/* Learn from rows->[order[0 .. n)] (order NULL: first ..). Before each mini-batch is learned from its rows are scored: logits (may be
 * NULL) gets n x heads, those of values in their unit (rank/targets.h). outcomes: see losses.h, or NULL. *loss, *weight are added to: the loss before the step. NOMEM. */
int32_t trainer_step(trainer *t, const learn_rows *rows, const size_t *order, size_t first, size_t n, double *logits, const outcome_weights *outcomes,
                     double *loss, double *weight, ecrec_error *err);
/* Logits (as above) of rows under a ranker, in parallel. r: the state's own (NULL) or another snapshot's. */
void trainer_score(trainer *t, const ranker *r, const learn_rows *rows, const size_t *order, size_t first, size_t n, double *logits);

/* The tables that only a running fit has (ftrl's z, Adam's moments), for checkpoints: put into or taken from a set. */
int32_t trainer_export(const trainer *t, tensor_set *set);
int32_t trainer_import(trainer *t, const tensor_set *set, double steps /* done so far */, ecrec_error *err);

#endif
