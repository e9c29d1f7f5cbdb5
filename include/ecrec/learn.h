/* ecrec/learn.h: learning from events, and going back. */
#ifndef ECREC_LEARN_H
#define ECREC_LEARN_H

#include "ecrec/rank.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Detectors of a rise of the error of rows as they are scored before they are learned from (ecrec_online_options.drift). */
enum { ECREC_DRIFT_ADWIN = 1, ECREC_DRIFT_PAGE_HINKLEY = 2 };
/* A detector found one at a row of the update's batch: mean error before and after, in 0 .. 1. Called on the caller's thread behind the
 * guard, before the update is published; must not call back into the model. */
typedef void (*ecrec_drift_fn)(void *opaque, uint32_t label, uint32_t detector, uint64_t row, double before, double after);

typedef struct ecrec_update_options {
    uint32_t size;
    uint32_t passes;        /* times over the rows; 0: 1. The progressive metrics are of the first pass */
    double learning_rate;   /* eta; 0: the default (see doc/learn-online.md) */
    double decay;           /* lambda of theta <- theta - eta*step - eta*lambda*theta, on the weights touched; 0: none */
    double max_loss_growth; /* the guard: mean log loss after - before on the reserve and on these rows (of more than 2048: on so
                               many, evenly spread) must not exceed this; 0: 0.1 nats and half of the loss before, 64 / rows times as
                               much for fewer than 64 rows */
    uint64_t seed;          /* order of the passes after the first; the first takes the rows as they are */
    ecrec_progress_fn progress; /* rows done, of rows * passes */
    void *progress_opaque;
    uint32_t force;         /* 1: publish though the guard refuses (not where a weight is no finite number) */
    uint32_t window;        /* the report has progressive validation over windows of so many rows; 0: none */
    double max_calibration_growth; /* the guard: |mean score - mean label| on the reserve must not grow by more; 0: 0.1 and
                               1 / sqrt(rows of the reserve) */
    double max_score_move;  /* no score of the reserve (without one: of these rows) may move by more: the rate is lowered until that
                               holds, at most 8 times; 0: no bound */
    double replay;          /* rows of the reservoir learned from again, a row of this update; 0 .. 64 */
    const float *served;    /* NULL, or rows x outputs: the scores that were served with these rows (NaN: not known); by them, not by today's,
                               are windows and drift judged, and "served" in the report */
    ecrec_drift_fn drift;   /* NULL, or see there */
    void *drift_opaque;
    uint32_t bad_rows;      /* ECREC_BAD_ROWS_*: SKIP learns nothing from rows that are bad or lack a required field; "skipped" in the report */
    uint32_t step_rows;     /* rows between two steps, 1 .. 64; 0: 1. With a network more is faster: its optimiser goes over all of its weights at
                               each step, which then is one by the mean of the rows; rows of a step are scored before it */
    const float *outcome_weights; /* NULL, or what a row counts by what its label is, beside its own weight: a number for 0 and one for 1 of a
                               binary label, one for each class of a label of classes or ordinal, none of a value; label after label. For labels with
                               their own loss */
    uint32_t outcome_count; /* how many numbers these are */
    uint32_t outcome_corrected; /* 1: probabilities stay those of the rows as they came: the loss is taken of the logits plus the weights'
                               logarithms (weights above 0; of ordinal labels all the same). 0: they are those of rows that are there so often */
} ecrec_update_options;
#define ECREC_UPDATE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_update_options), 0, 0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, NULL, 0, 0 }
ECREC_API void ecrec_update_options_init(ecrec_update_options *options);

/* Learn from labelled rows: each row is scored before it is learned from (progressive validation), a new snapshot is
 * built, guarded and published with one atomic store; or nothing changes and the error says why. Readers never wait.
 * One update at a time per model: a second thread gets BUSY. A row whose event id the ranker remembers (ecrec_online_configure), or that is
 * twice in the batch, is left out; when none is left nothing is published and the call is OK.
 * The guard compares the two snapshots on the reserve (where there is one) and on these rows. When it refuses, the rows are the host's
 * again, their events not counted: it may give them once more with `force`, or others.
 * `report` (may be NULL): "rows" learned from, "repeated", "replayed", "rate", "snapshot" (0: none was published), progressive log_loss, auc,
 * accuracy per label, "guard" (loss and calibration of the reserve, "moved"), "windows", "drifts"; also given with REJECTED: "accepted" 0,
 * "quarantined" (rows, and those with the largest loss). Seconds are the host's to measure.
 * Errors: INVALID (row, field), MISMATCH, UNSUPPORTED (not a ranker), REJECTED (the guard: what and by how much),
 * CANCELLED, BUSY, FORMAT (what the model remembers is damaged), IO (the journal), NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_update(ecrec_model *model, const ecrec_batch *batch, const ecrec_update_options *options,
                               ecrec_report **report, ecrec_error *err);

enum { ECREC_HOLDOUT_LAST = 0, ECREC_HOLDOUT_KEY = 1, ECREC_HOLDOUT_RANDOM = 2, ECREC_HOLDOUT_TIME = 3 };
enum { ECREC_HASHED_ADAGRAD = 0, ECREC_HASHED_FTRL = 1, ECREC_HASHED_ADAM = 2 };
enum { ECREC_SCHEDULE_CONSTANT = 0, ECREC_SCHEDULE_LINEAR = 1, ECREC_SCHEDULE_COSINE = 2 };

enum { ECREC_CALIBRATION_NONE = 0, ECREC_CALIBRATION_PLATT = 1, ECREC_CALIBRATION_TEMPERATURE = 2, ECREC_CALIBRATION_ISOTONIC = 3,
       ECREC_CALIBRATION_KEEP = 0, ECREC_CALIBRATION_USUAL = 4, ECREC_CALIBRATION_DROP = 5 /* of fit */ };

typedef struct ecrec_fit_options {
    uint32_t size;
    uint32_t epochs;           /* at most; 0: 10 */
    uint32_t batch_rows;       /* rows of a mini-batch, at most 65536; 0: 256 */
    uint32_t patience;         /* stop after this many epochs without a lower loss on the rows held out; 0: 2 */
    uint32_t holdout_by;       /* ECREC_HOLDOUT_*: the last rows as they are given, all rows of some keys, any rows, or the
                                  rows of the latest times */
    uint32_t holdout_field;    /* KEY: a category, user or item field; rows of one value are all held out, or none. TIME: a time or
                                  number field, which every row has; rows of one time are all held out, or none */
    uint32_t hashed_optimiser; /* ECREC_HASHED_*, of hashed weights and embeddings; numbers and vectors in the first
                                  order have AdaGrad, the network AdamW */
    uint32_t schedule;         /* ECREC_SCHEDULE_*: the rates over all steps of all epochs, down to 0 */
    double holdout;            /* share of the rows that is not learned from, 0 .. 0.9; 0: none, and no early stop */
    double rate;               /* of first order and pairs; 0: 0.1 (Adam: 0.001) */
    double embedding_rate;     /* 0: 0.05 (Adam: 0.001) */
    double network_rate;       /* 0: 0.001 */
    double decay;              /* of first order and pairs: lambda of theta <- theta - eta*step - eta*lambda*theta (FTRL: of the
                                  proximal term lambda/2 |theta|^2); 0: none */
    double embedding_decay;    /* the same of the embeddings, */
    double network_decay;      /* and of the network */
    double l1;                 /* FTRL only: exact zeros in first order and pairs; 0: none */
    double clip;               /* the network's gradient is cut to this norm; 0: not */
    double dropout;            /* share of the hidden units switched off in each step, 0 .. 0.9 */
    double warmup;             /* share of the steps over which the rates rise from 0, 0 .. 0.9 */
    const float *class_weights; /* NULL, or labels x 2: what rows with 0 and with 1 count (binary labels only; outcome_weights: all kinds) */
    uint64_t seed;             /* of the order of the rows and of what is dropped */
    const char *checkpoint;    /* NULL, or a file that is written anew after each epoch */
    const char *resume;        /* NULL, or such a file: goes on behind its last epoch, to the same bits. Same model, batch and options */
    ecrec_progress_fn progress; /* rows done, of rows * epochs; not zero: CANCELLED, and the model is as before */
    void *progress_opaque;
    double modality_dropout;   /* chance that a row's vector, text's vector or image is taken for missing in a step, each by itself, 0 .. 0.9: a
                                  ranker that has learned so loses less where one is missing */
    uint32_t bad_rows;         /* ECREC_BAD_ROWS_*: as ecrec_update_options' */
    uint32_t reserved;
    const float *outcome_weights; /* as ecrec_update_options'; with it class_weights must be NULL */
    uint32_t outcome_count;
    uint32_t outcome_corrected; /* of outcome_weights, and of class_weights too */
    uint32_t calibrate;        /* on the rows held out, behind the last epoch. KEEP (0): labels that were calibrated are so again, by their method (without rows
                                  held out: not any more); PLATT, TEMPERATURE, ISOTONIC, USUAL (Platt; classes: temperature): all binary and class labels
                                  (classes always by temperature); DROP: none */
    uint32_t reserved2;
} ecrec_fit_options;
#define ECREC_FIT_OPTIONS_INIT { (uint32_t)sizeof(ecrec_fit_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, 0, 0, 0, 0 }
ECREC_API void ecrec_fit_options_init(ecrec_fit_options *options);

/* Learn from labelled rows over epochs, from the model's current state on: mini-batches in a seeded order, early stop on rows held
 * out (the weights of the best epoch are kept), one publish at the end, or nothing changes and the error says why. The same
 * seed, rows and options give the same bits, whatever the number of threads. `report` (may be NULL): rows, holdout_rows, epochs,
 * best_epoch, history.N.loss (as learned from) and history.N.holdout_loss, and "labels.NAME." and what ecrec_evaluate_rows (evaluate.h) tells
 * of each label on the rows held out (without: on all rows), of scores as they are served then, calibrated where the label is; held out by a key, those are the groups of
 * its "grouped" and "ranking". "calibration.NAME.before" and ".after": mean_score, mean_label, ece, log_loss, reliability; after: each half of the rows by what the other
 * half taught.
 * Errors: INVALID (row, field, option), MISMATCH (batch or checkpoint of another schema), UNSUPPORTED (not a ranker), REJECTED (a weight
 * became infinite), CANCELLED, BUSY, IO, FORMAT (checkpoint), NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_fit(ecrec_model *model, const ecrec_batch *batch, const ecrec_fit_options *options,
                            ecrec_report **report, ecrec_error *err);

/* Cut the number fields with bins anew, `field` or (NULL) all of them, into bins of equal share of the numbers seen so far, and publish a snapshot
 * that has the cuts: nothing else moves them, so what serves and what learns cut alike. The weights go along: a new bin starts with the mean of the
 * old bins' that it overlaps, weighed by the numbers in both, so scores change little. Numbers are seen by fit (rows learned from) and updates; those of
 * `batch` (may be NULL) are seen first, for a ranker that has seen none. Their sketch is bounded and ranks to about 1 %. Equal numbers are in
 * one bin, so there may be fewer bins. `report` (may be NULL): for each field "fields.NAME." and values, bins_before, bins, cuts.1, cuts.2 ...
 * Errors: INVALID (no such field, nothing seen, a bad row of the batch), MISMATCH, UNSUPPORTED (not a ranker), BUSY, IO (the journal), NOMEM. Any
 * thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_rebin(ecrec_model *model, const char *field, const ecrec_batch *batch, ecrec_report **report, ecrec_error *err);

/* End a period (a day, an hour: the host's to say) and publish a snapshot without what has expired: values of fields with expire_after that no update
 * and no fit saw in so many whole periods before. Their weights, those of their pairs, embeddings and what the optimisers know start
 * anew, as does their admission; a row that a value shares with one that lives stays. `report` (may be NULL): period, "expired." and "kept." and weights,
 * embeddings, sightings: rows of each table. A delta that ended a period cannot be merged with others.
 * Errors: INVALID (no field expires), LIMIT (2^23 periods), UNSUPPORTED (not a ranker), BUSY, IO (the journal), NOMEM. Any thread. Allocates.
 * Since 0.1. */
ECREC_API int32_t ecrec_expire(ecrec_model *model, ecrec_report **report, ecrec_error *err);

typedef struct ecrec_calibrate_options {
    uint32_t size;
    int32_t method;   /* ECREC_CALIBRATION_*; 0: Platt for binary labels, temperature for classes (which have no other) */
    uint32_t frozen;  /* 1: updates leave it as it is; 0: they keep it up by each row as it was scored before it was learned from */
    uint32_t reserved;
    double half_life; /* rows after which what was seen counts half; 0: 10000 */
} ecrec_calibrate_options;
#define ECREC_CALIBRATE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_calibrate_options), 0, 0, 0, 0 }
ECREC_API void ecrec_calibrate_options_init(ecrec_calibrate_options *options);
/* Learn what makes the probabilities of the binary and class labels come true, from labelled rows that fit did not learn from (those it
 * held out), and publish a snapshot that has it: scores change, logits and so contributions do not. It replaces the one before; a fit
 * afterwards, whose weights are others, learns it anew (ecrec_fit_options.calibrate). `report` (may be NULL): for each label "labels.NAME.before" and ".after": mean_score and mean_label
 * (calibration in the large), ece (15 equal bins; of classes: of the likeliest), log_loss, reliability (weight, mean_score, mean_label by bin).
 * Errors: INVALID (options; a label without rows of both kinds), MISMATCH, UNSUPPORTED (not a ranker), BUSY, NOMEM. Any thread.
 * Allocates. Since 0.1. */
ECREC_API int32_t ecrec_calibrate(ecrec_model *model, const ecrec_batch *batch, const ecrec_calibrate_options *options, ecrec_report **report,
                                  ecrec_error *err);

/* Snapshot numbers: 1 is the model as made; each update adds one. */
ECREC_API uint64_t ecrec_model_snapshot(const ecrec_model *model);
/* The kept ones, oldest first: at most `capacity` into numbers; *count all. Errors: INVALID. */
ECREC_API int32_t ecrec_model_snapshots(const ecrec_model *model, uint64_t *numbers, size_t capacity, size_t *count,
                                        ecrec_error *err);
/* Make a kept snapshot the current one, bit for bit; later ones are dropped and their numbers are not given again.
 * Errors: NOT_FOUND (the message lists what is kept), BUSY. Since 0.1. */
ECREC_API int32_t ecrec_rollback(ecrec_model *model, uint64_t snapshot, ecrec_error *err);

/* Give a kept snapshot a name of at most 63 bytes (NULL or "": none any more). A named one stays when newer ones come, beside those of
 * ecrec_load_options.snapshots; two snapshots are compared by scoring each (ecrec_score_options.snapshot) from the same handle. Names are the
 * handle's, no file holds them. A rollback behind it drops it. Errors: INVALID (length, or another has the name), NOT_FOUND, LIMIT (32 have names).
 * Any thread. Allocates nothing. Since 0.1. */
ECREC_API int32_t ecrec_snapshot_name(ecrec_model *model, uint64_t snapshot, const char *name, ecrec_error *err);
/* The number of the snapshot that has this name. Errors: INVALID, NOT_FOUND. Any thread. Allocates nothing. Since 0.1. */
ECREC_API int32_t ecrec_snapshot_find(ecrec_model *model, const char *name, uint64_t *snapshot, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
