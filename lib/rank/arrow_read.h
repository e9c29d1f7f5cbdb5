/* A record batch being read: what the readers of its columns share. Inside the rank room. */
#ifndef ECREC_LIB_RANK_ARROW_READ_H
#define ECREC_LIB_RANK_ARROW_READ_H

#include "rank/arrow_view.h"
#include "rank/batch.h"

enum { MOST_SPELLING = 24 };

typedef struct reading {
    ecrec_batch *b;       /* the new one */
    arrow_view top;
    int64_t first;        /* entries of a column start here: the record batch's own offset */
    arrow_column column;
    const char *name;
    batch_column *to;
    ecrec_error *err;
} reading;

/* Memory of the batch's own, or somebody else's bytes (NULL: none). */
void *arrow_own(const reading *r, batch_block *block, size_t bytes);
void arrow_borrow(batch_block *block, const void *bytes);
/* Where entry i of a column is read; NULL: it is null. */
const arrow_view *arrow_entry(const arrow_column *c, int64_t i, int64_t *at);
int32_t arrow_wrong_type(const reading *r, const arrow_column *c, const char *wanted);
int arrow_is_number(const arrow_column *c);
/* An entry's bytes; integers and booleans are spelt. */
const char *arrow_spell(const arrow_view *v, int64_t i, char room[MOST_SPELLING], size_t *length);
/* All entries that the rows' lists have: [*from, *to), and the child. */
int32_t arrow_open_items(const reading *r, arrow_column *child, int64_t *from, int64_t *to);

/* The column's values into r->to, without a copy where they lie as we read them. */
int32_t arrow_take_valid(const reading *r);
int32_t arrow_read_doubles(const reading *r);
int32_t arrow_read_floats(const reading *r);
int32_t arrow_read_some_weights(const reading *r); /* one that is null is 1 */
int32_t arrow_read_positions(const reading *r);
int32_t arrow_read_times(const reading *r);
int32_t arrow_read_ids(const reading *r);
int32_t arrow_read_texts_of(const reading *r, const arrow_column *c, int64_t first, size_t n, int category, batch_block *starts, batch_block *values);
int32_t arrow_read_vectors(const reading *r, uint32_t dimension);
int32_t arrow_read_multi(const reading *r);
int32_t arrow_read_history(const reading *r, uint32_t field);

#endif
