/* The tensors that learning writes: copies of a snapshot's, its tables forked, so that chunks are copied when first touched. What one
 * update changed is what the next set does not share with the one before. */
#ifndef ECREC_LIB_LEARN_STATE_H
#define ECREC_LIB_LEARN_STATE_H

#include "rank/features.h"

typedef struct learn_state {
    memory *m;
    const ecrec_schema *schema;
    tensor_set *next;
    ranker *now; /* a view of `next` */
    tensor *dense, *sums, *hashed, *hashed_sums, *statistics, *network, *moments, *steps, *embeddings, *embedding_sums, *sightings, *calibration, *targets, *bins, *period, *alive_weights, *alive_embeddings, *alive_sightings; /* NULL: not there */
} learn_state;

int32_t state_open(learn_state *s, memory *m, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, ecrec_error *err);
/* *next is handed over when `taken` is not NULL, else released. */
void state_close(learn_state *s, tensor_set **taken);
static inline float *tensor_floats(const tensor *t)
{
    return t != NULL ? (float *)(uintptr_t)t->data : NULL; /* ours alone until it is published */
}
/* Take a number into a field's running mean and variance; its frozen ones are renewed when they are too old, or now. */
void state_see_number(learn_state *s, const field_plan *p, double x);
void state_refreeze(learn_state *s, const field_plan *p);
/* Every dense weight is finite, and all that changed in tables. */
int32_t state_check(const learn_state *s, ecrec_error *err);

/* What training wants to know of a batch's rows again and again. */
typedef struct learn_rows {
    const ecrec_batch *batch;
    size_t rows;
    uint64_t *categories; /* rows x categories: hashes */
    size_t *extra_starts; /* rows + 1: hashed features beside the categories (n-grams): */
    uint64_t *extra_slots;
    float *extra_values;
    size_t *multi_starts; /* rows x multi fields + 1: hashes of their values, for the embeddings: */
    uint64_t *multi_hashes;
    float *multi_values;
    size_t *event_starts; /* rows x histories + 1: hashes of their events' items: */
    uint64_t *event_hashes;
    text_block texts;
    memory *m;
    size_t bytes[10];
} learn_rows;
typedef struct learn_source {
    ecrec_context *context;
    const encoder *encoder;
    const tokenizer *tokenizer;
    const char *prompt;
    size_t prompt_length;
} learn_source;
int32_t rows_open(learn_rows *rows, const learn_source *source, const ranker *r, const ecrec_batch *batch, ecrec_error *err);
void rows_close(learn_rows *rows);
static inline record rows_record(const learn_rows *rows, const ranker *r, size_t row)
{
    return (record){ rows->batch, row, r->slots != 0 ? rows->texts.pointers + row * r->slots : NULL, NULL };
}
static inline const uint64_t *rows_categories(const learn_rows *rows, const ranker *r, size_t row)
{
    return rows->categories + row * r->categories;
}

#endif
