/* The ranker: a schema's weights in a snapshot, bound for scoring. */
#ifndef ECREC_LIB_RANK_RANKER_H
#define ECREC_LIB_RANK_RANKER_H

#include "ecrec/rank.h"
#include "encoder/embed.h"
#include "model/model.h"
#include "rank/schema.h"

typedef struct ranker ranker;

/* Fresh tensors for a schema (dimension: of the encoder, 0 without) put into `tensors`. */
int32_t ranker_init_tensors(memory *m, const ecrec_schema *s, uint32_t dimension, tensor_set *tensors, ecrec_error *err);
/* Check the tensors (shapes, finite) against the schema and bind views. */
int32_t ranker_create(memory *m, const ecrec_schema *s, uint32_t dimension, const tensor_set *tensors, ranker **out,
                      ecrec_error *err);
void ranker_release(ranker *r);

/* Look through the hashed tables of a file for what is no number: linear in the table, so done at load only. */
int32_t ranker_check_tables(const tensor_set *tensors, ecrec_error *err);

/* Parts that a score has: ecrec_schema_parts. */
uint32_t schema_parts(const ecrec_schema *s);

/* Scratch of a session that scores (one block; sized for the schema). */
typedef struct score_scratch score_scratch;
int32_t score_scratch_create(memory *m, const ecrec_schema *s, uint32_t dimension, uint32_t threads, score_scratch **out, ecrec_error *err);
void score_scratch_destroy(score_scratch *s);

typedef struct score_call {
    const ecrec_context *context;
    const ranker *ranker;
    const ecrec_schema *schema;
    const encoder *encoder;     /* or NULL */
    const tokenizer *tokenizer; /* or NULL */
    embed *embed;               /* or NULL */
    const char *prompt;         /* the model's default prompt text, or NULL */
    size_t prompt_length;
    const ecrec_batch *user; /* one row, for all candidates of batch; or NULL */
    const ecrec_batch *batch;
    const ecrec_score_options *options; /* or NULL */
    float *scores;
    uint32_t skip; /* ECREC_BAD_ROWS_* */
    int positions; /* with the bias of the rows' positions */
} score_call;
/* Errors: INVALID (row and field named), MISMATCH. Allocates nothing. */
int32_t score_run(score_scratch *s, const score_call *call, ecrec_error *err);

#endif
