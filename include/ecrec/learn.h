/* ecrec/learn.h: learning from events, and going back. */
#ifndef ECREC_LEARN_H
#define ECREC_LEARN_H

#include "ecrec/rank.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_update_options {
    uint32_t size;
    uint32_t passes;        /* times over the rows; 0: 1. The progressive metrics are of the first pass */
    double learning_rate;   /* eta; 0: the default (see doc/learn-online.md) */
    double decay;           /* lambda of theta <- theta - eta*grad - eta*lambda*theta, on the weights touched; 0: none */
    double max_loss_growth; /* the guard: mean log loss after - before on these rows must not exceed this; 0: 0.1 nats */
    uint64_t seed;          /* order of the passes after the first; the first takes the rows as they are */
    ecrec_progress_fn progress; /* rows done, of rows * passes */
    void *progress_opaque;
} ecrec_update_options;
#define ECREC_UPDATE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_update_options), 0, 0, 0, 0, 0, NULL, NULL }
ECREC_API void ecrec_update_options_init(ecrec_update_options *options);

/* Learn from labelled rows: each row is scored before it is learned from (progressive validation), a new snapshot is
 * built, guarded and published with one atomic store; or nothing changes and the error says why. Readers never wait.
 * One update at a time per model: a second thread gets BUSY. `report` (may be NULL): rows, progressive log_loss, auc,
 * accuracy per label, snapshot, seconds are the host's to measure.
 * Errors: INVALID (row, field), MISMATCH, UNSUPPORTED (not a ranker), REJECTED (the guard: what and by how much),
 * CANCELLED, BUSY, NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_update(ecrec_model *model, const ecrec_batch *batch, const ecrec_update_options *options,
                               ecrec_report **report, ecrec_error *err);

/* Snapshot numbers: 1 is the model as made; each update adds one. */
ECREC_API uint64_t ecrec_model_snapshot(const ecrec_model *model);
/* The kept ones, oldest first: at most `capacity` into numbers; *count all. Errors: INVALID. */
ECREC_API int32_t ecrec_model_snapshots(const ecrec_model *model, uint64_t *numbers, size_t capacity, size_t *count,
                                        ecrec_error *err);
/* Make a kept snapshot the current one, bit for bit; later ones are dropped and their numbers are not given again.
 * Errors: NOT_FOUND (the message lists what is kept), BUSY. Since 0.1. */
ECREC_API int32_t ecrec_rollback(ecrec_model *model, uint64_t snapshot, ecrec_error *err);

/* Metrics of scored rows for one binary label: AUC (ties count half), log loss, accuracy at 0.5, ECE (15 bins) and a
 * classification report (precision, recall, f1, support per class; macro and weighted). weights may be NULL.
 * Errors: INVALID (row named), NOMEM. */
ECREC_API int32_t ecrec_evaluate(ecrec_context *context, const float *probabilities, const float *labels,
                                 const float *weights, size_t n, ecrec_report **report, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
