/* ecrec/rank.h: rankers: records in, probabilities out. */
#ifndef ECREC_RANK_H
#define ECREC_RANK_H

#include "ecrec/batch.h"
#include "ecrec/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Make a ranker: a model of its own that has `base`'s tokenizer and encoder (shared, not copied) and fresh weights
 * for the schema. base may be NULL when no field needs an encoder. It scores 0.5 until it has learned.
 * Errors: INVALID (a schema without fields or labels), MISMATCH (a text field to encode without an encoder, a vector field of
 * another space), NOMEM. The caller releases it. Since 0.1. */
ECREC_API int32_t ecrec_ranker_create(ecrec_context *context, ecrec_model *base, const ecrec_schema *schema,
                                      ecrec_model **ranker, ecrec_error *err);
/* A ranker for a schema that has more than the given one's, with all that it has learned: fields, labels, pairs and values of
 * vocabularies added at the end, fields and labels dropped (ecrec_schema_extend makes such a schema). What stayed has the same bits; rows without the
 * new fields are scored as before (but for hash collisions in crosses with them, and to rounding in a network), and batches made for
 * the old schema are still good (the call then allocates). A new category's hash_seed, when nobody chose it, is one under which being missing
 * meets no learned weight: ecrec_model_schema has it. The old model is unchanged, with its snapshots; both share what is the same.
 * Errors: INVALID (what else has changed), MISMATCH (as ecrec_ranker_create), UNSUPPORTED (not a ranker), NOMEM. The caller releases the
 * new model. Any thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_ranker_extend(ecrec_model *ranker, const ecrec_schema *schema, ecrec_model **extended, ecrec_error *err);

/* The ranker's schema, valid as long as the model; NULL when it is not a ranker. */
ECREC_API const ecrec_schema *ecrec_model_schema(const ecrec_model *model);

typedef struct ecrec_score_options {
    uint32_t size;
    uint32_t logits;         /* 1: write logits instead of probabilities */
    uint64_t snapshot;       /* score this kept snapshot; 0: the current one */
    float *contributions;    /* NULL, or rows x outputs x parts float32: what each part gave to the logit (ecrec_schema_parts: the
                                fields, the bias, then the network's); a row's parts add up to its logit (to 1e-5 relative to the
                                largest part) */
    size_t contributions_capacity; /* in floats */
    uint32_t bad_rows;       /* ECREC_BAD_ROWS_*: SKIP gives NaN for rows that are bad or lack a required field */
    uint32_t positions;      /* 1: with the bias of each row's position (ecrec_batch_set_position); 0: as of position 1 */
} ecrec_score_options;
#define ECREC_SCORE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_score_options), 0, 0, NULL, 0, 0, 0 }
ECREC_API void ecrec_score_options_init(ecrec_score_options *options);

/* The parts that a logit is the sum of: each field's own (first order), "bias", and those of "pairs", "fm", "cross", "hidden",
 * "attention", "towers", "position" that the schema has. Without a network: fields + 1. part_name: NULL when out of range. Since 0.1. */
ECREC_API uint32_t ecrec_schema_parts(const ecrec_schema *schema);
ECREC_API const char *ecrec_schema_part_name(const ecrec_schema *schema, uint32_t part);

/* Score a batch: rows x outputs (ecrec_schema_outputs: one a label, `classes` for a label of classes) float32 into `scores` (capacity in floats). Never waits for an update; the whole call
 * uses one snapshot. A row's score does not depend on the other rows, bit for bit.
 * Errors: INVALID (a required field is missing: row and field named), MISMATCH (batch of a schema with other fields or labels),
 * UNSUPPORTED (not a ranker), NOT_FOUND (snapshot), TOO_SMALL. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_score(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch,
                              const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err);

/* Score one user's many candidates, with what is the user's worked out once: `user` has one row, which stands for all rows of
 * `candidates`; a field is set in the one or in the other (set in both: INVALID; in neither: missing). Scores as of ecrec_score for rows
 * that have all of it, bit for bit. Labels, weights and what else a row is beside its fields are the candidates'.
 * Errors: as ecrec_score; INVALID (user has not one row). One thread a session. Allocates nothing. Since 0.1. */
ECREC_API int32_t ecrec_score_candidates(ecrec_model *model, ecrec_session *session, const ecrec_batch *user, const ecrec_batch *candidates,
                                         const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err);

/* What each field gave to each logit, through all parts: rows x outputs x (fields + 1) float32. The last number is the logit of the record
 * that has none of its fields (a category that is missing, a missing number, vector or text, an empty history), the baseline; a row's numbers
 * add up to its logit. First order: the difference; pairs: a half to each of the two; network: integrated gradients along the straight line
 * between the joined embeddings, with steps doubled until they add up (what a candidate does to the attention counts as the history's). *completeness
 * (may be NULL): the largest gap that is left in a row, aimed at 2e-4 of the change, or 2e-4. Takes thousands of times as long as a score.
 * Errors: as ecrec_score, NOMEM. One thread a session. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_attribute(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch, float *attributions, size_t capacity,
                                  double *completeness, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
