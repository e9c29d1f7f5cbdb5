/* Rows of bytes of any length in one table of cells of 64 bytes, so that a snapshot shares what an update does not touch. A row is a
 * chain of cells; what is dropped is zeroed and used again. Tensor u64 {cells, 8}: the first word is the next cell + 1 (0: last) and,
 * from bit 32 on, how many bytes this one holds. */
#ifndef ECREC_LIB_STREAM_CELLS_H
#define ECREC_LIB_STREAM_CELLS_H

#include "model/tensor.h"

enum { CELL_BYTES = 64, CELL_PAYLOAD = 56, CELL_WORDS = 8, CELL_CHUNK = 16 };

typedef struct cells {
    tensor *t;
    uint64_t *free;  /* first cell + 1 of those that were dropped; 0: none */
    uint64_t *fresh; /* cells that were ever used */
    uint64_t *live;  /* cells that hold something */
} cells;

/* *first: cell + 1. LIMIT: no room (nothing has changed), NOMEM, FORMAT (damaged). Without a sentence. */
int32_t cells_put(cells *c, const unsigned char *bytes, size_t n, uint64_t *first);
/* Appends the bytes of a chain. NOMEM, FORMAT. */
int32_t cells_get(const cells *c, uint64_t first, buffer *out);
int32_t cells_drop(cells *c, uint64_t first); /* NOMEM, FORMAT */

#endif
