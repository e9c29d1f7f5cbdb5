/* The columns of a batch, as scoring and learning read them. */
#ifndef ECREC_LIB_RANK_BATCH_H
#define ECREC_LIB_RANK_BATCH_H

#include "base/bytes.h"
#include "ecrec/arrow.h"
#include "rank/schema.h"

typedef struct batch_block {
    unsigned char *data;
    size_t capacity; /* 0 when borrowed */
    int borrowed;    /* somebody else's bytes, only read (`lent` of the batch) */
} batch_block;

typedef struct batch_column {
    int set;           /* 0: missing in every row */
    int once;          /* 1: it has one row, which stands for all (a view of one user beside many candidates) */
    batch_block valid; /* one byte a row */
    batch_block values; /* text, category: bytes; number: double; vector: float x dimension; time: int64_t; label: float */
    batch_block starts; /* text, category: uint64_t [rows + 1] into values; multi, history: [items + 1] */
    batch_block items;  /* multi, history: uint64_t [rows + 1] into starts and weights */
    batch_block weights; /* multi: float an item, scaled; history: float an event, log(1 + age in hours) */
    batch_block types;  /* history: a byte an event */
} batch_column;

/* What a row is beside fields and labels: float, uint32_t, float, uint64_t, uint64_t. */
enum { ROW_WEIGHT, ROW_POSITION, ROW_PROPENSITY, ROW_EVENT, ROW_GROUP, ROW_COLUMNS };

struct ecrec_batch {
    ecrec_schema *schema; /* referenced */
    memory *m;
    size_t rows;
    batch_column *columns; /* fields, then labels, then the row's own (ROW_*) */
    uint32_t column_count;
    struct ArrowArray lent; /* what borrowed blocks lie in; release NULL: nothing */
    /* Rows with a wrong value, when they are to be skipped: */
    int skip_bad;
    unsigned char *bad; /* a byte a row, bad_rows of them; NULL: none is bad */
    size_t bad_rows;
    struct bad_row *bad_list;
    size_t bad_count, bad_room;
    buffer bad_text;
};
typedef struct bad_row { uint64_t row; size_t text; } bad_row; /* text: where its sentence begins in bad_text, NUL-terminated */

static inline int batch_row_bad(const ecrec_batch *b, size_t row)
{
    return b->bad != NULL && b->bad[row];
}
/* A row has a wrong value: INVALID with the sentence, or noted and ECREC_OK where such rows are skipped. NOMEM. */
int32_t batch_bad(ecrec_batch *b, ecrec_error *err, size_t row, const char *format, ...);
void batch_forget_bad(ecrec_batch *b);
void batch_give_back(ecrec_batch *b);
const char *row_column_name(uint32_t which);

/* Values of a whole column (valid NULL: all are there). INVALID as batch_bad. */
int32_t batch_check_numbers(ecrec_batch *b, const char *name, const double *values, const uint8_t *valid, ecrec_error *err);
int32_t batch_check_times(ecrec_batch *b, const char *name, const int64_t *microseconds, const uint8_t *valid, ecrec_error *err);
int32_t batch_check_vectors(ecrec_batch *b, const char *name, const float *vectors, size_t dimension, size_t stride, const uint8_t *valid, ecrec_error *err);
int32_t batch_check_labels(ecrec_batch *b, const schema_label *l, const float *values, const uint8_t *valid, ecrec_error *err);
int32_t batch_check_row_floats(ecrec_batch *b, uint32_t which, const float *values, const uint8_t *valid, ecrec_error *err);
int32_t batch_check_positions(ecrec_batch *b, const uint32_t *positions, const uint8_t *valid, ecrec_error *err);
/* A row's items [from, to): out = weights (NULL: 1 each) scaled so that their squares add up to 1. */
void batch_scale_weights(const float *weights, size_t from, size_t to, float *out);

static inline const batch_column *batch_label(const ecrec_batch *b, uint32_t label)
{
    static const batch_column nobodys = { .set = 0 };
    return b->schema->labels[label].dropped ? &nobodys : &b->columns[b->schema->field_count + label];
}
static inline const batch_column *batch_row(const ecrec_batch *b, uint32_t which)
{
    return &b->columns[b->schema->field_count + b->schema->label_count + which];
}
static inline size_t column_row(const batch_column *c, size_t row)
{
    return c->once ? 0 : row;
}
static inline int column_has(const batch_column *c, size_t row)
{
    return c->set && c->valid.data[column_row(c, row)];
}
static inline const char *column_text(const batch_column *c, size_t row, size_t *length)
{
    const uint64_t *starts = (const uint64_t *)(const void *)c->starts.data;
    *length = (size_t)(starts[row + 1] - starts[row]);
    return (const char *)c->values.data + starts[row];
}
static inline uint64_t column_items(const batch_column *c, size_t row) /* number of the row's first item */
{
    return ((const uint64_t *)(const void *)c->items.data)[column_row(c, row)];
}
static inline uint64_t column_items_end(const batch_column *c, size_t row)
{
    return ((const uint64_t *)(const void *)c->items.data)[column_row(c, row) + 1];
}
static inline float column_weight(const batch_column *c, uint64_t item)
{
    return ((const float *)(const void *)c->weights.data)[item];
}
static inline double column_number(const batch_column *c, size_t row)
{
    return ((const double *)(const void *)c->values.data)[column_row(c, row)];
}
static inline float column_float(const batch_column *c, size_t row)
{
    return ((const float *)(const void *)c->values.data)[row];
}
static inline int64_t column_time(const batch_column *c, size_t row)
{
    return ((const int64_t *)(const void *)c->values.data)[column_row(c, row)];
}
static inline uint64_t column_id(const batch_column *c, size_t row) /* events, groups */
{
    return ((const uint64_t *)(const void *)c->values.data)[row];
}
static inline float batch_weight(const ecrec_batch *b, size_t row)
{
    const batch_column *c = batch_row(b, ROW_WEIGHT);
    return c->set ? column_float(c, row) : 1.0f;
}
static inline uint32_t batch_position(const ecrec_batch *b, size_t row) /* from 1; 0: not known */
{
    const batch_column *c = batch_row(b, ROW_POSITION);
    return column_has(c, row) ? ((const uint32_t *)(const void *)c->values.data)[row] : 0;
}
static inline float batch_propensity(const ecrec_batch *b, size_t row) /* 1 where it is not known */
{
    const batch_column *c = batch_row(b, ROW_PROPENSITY);
    return column_has(c, row) ? column_float(c, row) : 1.0f;
}

/* For the setters. The field, if it is of this form: INVALID. Memory for a block (NOMEM without a sentence), and all of a column's given back. */
int32_t batch_find(const ecrec_batch *b, uint32_t field, int32_t kind, const void *values, const char *call, ecrec_error *err);
int32_t batch_reserve(ecrec_batch *b, batch_block *block, size_t bytes);
void batch_drop(ecrec_batch *b, batch_column *c);

/* The batch belongs to this schema, and required fields are there. MISMATCH, INVALID (row and field named). */
int32_t batch_check(const ecrec_batch *b, const ecrec_schema *s, uint32_t bad_rows, ecrec_error *err);
/* A row that is to be skipped: it is bad, or lacks a required field. */
int batch_row_skipped(const ecrec_batch *b, const ecrec_schema *s, size_t row);

/* What learning sees of a batch whose bad rows are skipped: the same rows, without anything in those. */
typedef struct batch_view {
    ecrec_batch related; /* columns at the places of the schema, when the batch was made for another form of it */
    ecrec_batch batch;
    unsigned char *valid; /* columns x rows */
} batch_view;
/* *out is `b` itself where it fits as it is. close also after a failure. */
int32_t batch_view_open(batch_view *v, const ecrec_batch *b, const ecrec_schema *s, uint32_t bad_rows, const ecrec_batch **out, ecrec_error *err);
void batch_view_close(batch_view *v);
/* "skipped": how many, and each one's row and sentence. */
void batch_tell_skipped(ecrec_report *r, const ecrec_batch *b);

#endif
