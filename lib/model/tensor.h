/* Tensors: named elsewhere, immutable once shared, reference counted. Dense ones are one block (owned, or inside a mapping
 * that they keep alive); chunked ones are a table of rows in reference-counted chunks, for copy-on-write updates. */
#ifndef ECREC_LIB_MODEL_TENSOR_H
#define ECREC_LIB_MODEL_TENSOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "ecrec/base.h"
#include "kernels/weights.h"

enum { TYPE_F32 = 1, TYPE_F16 = 2, TYPE_BF16 = 3, TYPE_S8 = 4, TYPE_F64 = 5, TYPE_U32 = 6, TYPE_U64 = 7, TYPE_U8 = 8, TYPE_S4 = 9 /* panels alone */ };
enum {
    LAYOUT_ROWS = 0,    /* row-major */
    LAYOUT_PANELS = 1,  /* a packed matrix (kernels/weights.h), shape {n, k} */
    LAYOUT_ROWS_S8 = 2, /* s8 row-major with row stride rounded up to 64, then (64-aligned) one float32 scale a row */
    LAYOUT_CHUNKS = 3   /* rows in chunks (in the file: the non-zero chunks, zstd) */
};
enum { TENSOR_MAX_RANK = 4 };

typedef struct mapping mapping; /* file.h: bytes with a reference count */

enum { CHUNK_BLOCK = 32, LEAST_CHUNK = 4 /* rows, in files */ };
/* Chunks are found through blocks of pointers, and these through a directory; both are versions: a copy of the one it was made from
 * (its parent), made when a fork first writes there. What a version made itself it owns; the rest it shares with the versions before it,
 * without a count: when a version is given up, what it owns goes to the one version made from it that still has it, or is freed
 * (model/table.c). So a fork costs nothing, and an update what it touches. */
typedef struct table_node {
    struct table_node *parent, *child, *next, *previous; /* child: first of those made from it; next, previous: its siblings */
    _Atomic uint32_t references; /* a directory: tables that have it; a block: 1 while a directory owns it */
    _Atomic uint32_t children;
    _Atomic uint64_t *owned;     /* a bit an entry */
    _Atomic uint64_t own;        /* a block's */
    uint32_t count, blocks;      /* entries; 1: they are blocks, 0: chunks */
    void *at[];                  /* NULL: all zeros */
} table_node;
typedef struct table_store table_store; /* what all forks of a table share: a lock, and the memory of their chunks */

typedef struct tensor {
    _Atomic uint32_t references;
    int32_t type, layout, rank;
    uint64_t shape[TENSOR_MAX_RANK];
    memory *m;
    const void *data; /* dense */
    size_t bytes;     /* dense: of the block, as in the file */
    mapping *map;     /* where data lies, or NULL: owned block */
    /* chunked: shape {rows, columns}; a NULL block or chunk is all zeros; rows_per_chunk is a power of two */
    uint64_t rows_per_chunk, chunk_count, block_count, row_bytes;
    uint32_t chunk_shift;
    table_store *store;
    table_node *directory;
    void *const *blocks; /* the directory's entries */
} tensor;

size_t tensor_bytes(int32_t type, int32_t layout, int32_t rank, const uint64_t *shape); /* dense; SIZE_MAX: overflow or unknown */
/* An owned dense tensor, data not set; write through tensor_edit before sharing it. */
int32_t tensor_create(memory *m, int32_t type, int32_t layout, int32_t rank, const uint64_t *shape, tensor **out);
int32_t tensor_view(memory *m, mapping *map, const void *data, int32_t type, int32_t layout, int32_t rank,
                    const uint64_t *shape, tensor **out); /* references map */
int32_t tensor_chunked(memory *m, int32_t type, uint64_t rows, uint64_t columns, uint64_t rows_per_chunk, tensor **out);
tensor *tensor_reference(tensor *t);
void tensor_release(tensor *t);
void *tensor_edit(tensor *t); /* the owned block of a tensor that nobody else has */

/* Chunked: read a row (NULL: all zeros); a copy that shares all chunks; a row to write in such an unshared copy (its chunk
 * is copied when shared, made when NULL; NULL: no memory). */
static inline const table_node *tensor_block(const tensor *t, uint64_t index)
{
    return t->blocks[index];
}
static inline const void *tensor_row(const tensor *t, uint64_t row)
{
    const uint64_t index = row >> t->chunk_shift;
    const table_node *b = t->blocks[index / CHUNK_BLOCK];
    const unsigned char *c = b != NULL ? b->at[index % CHUNK_BLOCK] : NULL;
    return c != NULL ? c + (row & (t->rows_per_chunk - 1)) * t->row_bytes : NULL;
}
int32_t tensor_fork(const tensor *t, tensor **out);
void *tensor_row_own(tensor *t, uint64_t row);
static inline int node_owns(const table_node *n, uint64_t i)
{
    return (int)(atomic_load_explicit(&n->owned[i / 64], memory_order_acquire) >> (i & 63) & 1);
}
static inline void *tensor_row_edit(tensor *t, uint64_t row)
{
    const uint64_t index = row >> t->chunk_shift, i = index / CHUNK_BLOCK;
    const table_node *d = t->directory;
    if (atomic_load_explicit(&d->references, memory_order_acquire) == 1 && atomic_load_explicit(&d->children, memory_order_acquire) == 0 &&
        node_owns(d, i) && node_owns(d->at[i], index % CHUNK_BLOCK)) /* mostly it is ours already */
        return (unsigned char *)((table_node *)d->at[i])->at[index % CHUNK_BLOCK] + (row & (t->rows_per_chunk - 1)) * t->row_bytes;
    return tensor_row_own(t, row);
}
/* The same of many rows of float32, asked of memory ahead of use. out[i]: where the i-th lies. NOMEM. */
int32_t tensor_float_rows(tensor *t, const uint64_t *rows, size_t n, float **out);
/* Bytes of chunks of `t` that `base` does not share (base NULL: all). */
uint64_t tensor_own_bytes(const tensor *t, const tensor *base);

/* For table.c and tensor.c: a tensor without data; NULL: no memory. What a chunked one has beside itself is given up. */
tensor *tensor_blank(memory *m, int32_t type, int32_t layout, int32_t rank, const uint64_t *shape);
void table_release(tensor *t);

/* A PANELS tensor as weights. */
void tensor_weights(const tensor *t, weights *w);
size_t type_size(int32_t type); /* bytes of an element, 0: unknown, or half of one */
const char *type_name(int32_t type);

/* A set of named tensors: what a snapshot is made of. Sorted by name; not shared while it is built. */
typedef struct tensor_set tensor_set;
int32_t tensor_set_create(memory *m, tensor_set **out);
void tensor_set_release(tensor_set *s); /* releases its tensors */
/* Put under a name (copied), replacing what was there; takes a reference of its own. ECREC_OK or NOMEM. */
int32_t tensor_set_put(tensor_set *s, const char *name, tensor *t);
tensor *tensor_set_get(const tensor_set *s, const char *name); /* borrowed; NULL */
size_t tensor_set_count(const tensor_set *s);
tensor *tensor_set_at(const tensor_set *s, size_t index, const char **name);
int32_t tensor_set_copy(const tensor_set *s, tensor_set **out); /* shares the tensors */
int32_t tensor_set_remove(tensor_set *s, const char *name);     /* ECREC_OK, or NOT_FOUND */

#endif
