/* Rows of batches as bytes: what a reservoir, a reserve and an impression log keep of them. A row's bytes stay valid when the schema
 * grows: what was appended is missing in it. */
#ifndef ECREC_LIB_RANK_ROWS_H
#define ECREC_LIB_RANK_ROWS_H

#include "rank/batch.h"

typedef struct row_bytes {
    const unsigned char *data;
    size_t length;
} row_bytes;

/* Appends a row with all that it has. NOMEM, without a sentence. */
int32_t row_write(const ecrec_batch *b, size_t row, buffer *out);
/* A new batch of n rows, which are not believed: FORMAT names the place among them. NOMEM. */
int32_t rows_batch(const ecrec_schema *s, const row_bytes *rows, size_t n, ecrec_batch **out, ecrec_error *err);

#endif
