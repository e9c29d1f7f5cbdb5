/* Tensors found in a folder by a family's names, checked against the sizes, and made into the encoder's. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_PIECES_H
#define ECREC_LIB_IMPORT_PIECES_H

#include "import/convert.h"

enum { MOST_NAME = 256, MOST_PIECES = 3 };

/* A matrix that is made of others, one below the other, of which each has k inputs. */
typedef struct piece {
    const char *from; /* NULL: no piece */
    uint64_t rows;
} piece;
typedef struct linear {
    const char *name; /* of the encoder's matrix */
    piece pieces[MOST_PIECES];
    uint64_t k, number;
    int bias, outside, flat;
    uint64_t groups, each, size; /* rows put together group by group: `each` units of piece 0, one of 1, one of 2; units of `size` rows. 0: as they lie */
} linear;

/* The tensor under one of the spellings of a name ('#' is the number), under the prefix, with `outside` also under each shorter one: heads
 * lie outside of what they stand on. NULL: none, and `full` is how it should have been called. */
const safetensor *piece_look(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, char full[MOST_NAME]);
void piece_shape(const safetensor *t, char out[96]);
/* Is it there (t NULL: `name` is missing), and of that shape (columns 0: a vector)? Leading ones of a shape do not count; with `flat` all
 * dimensions after the first are one. */
int32_t piece_check(const converter *c, const safetensor *t, const char *name, uint64_t rows, uint64_t columns, int flat);
int32_t piece_find(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, uint64_t rows, uint64_t columns,
                   const safetensor **out);
int piece_there(const converter *c, const char *names, const char *suffix, int outside);

/* Tells the progress. */
int32_t piece_done(converter *c, const safetensor *t);
/* A dense float32 tensor under `name`, to be filled. *out is borrowed from the parts. columns 0: a vector. */
int32_t piece_make(converter *c, const char *name, int32_t layout, uint64_t rows, uint64_t columns, float **out);
/* Rows as they are: tables, norms, biases. Nothing is made when it is only checked. */
int32_t piece_rows(converter *c, const char *name, const safetensor *t, uint64_t rows, uint64_t columns);
int32_t piece_table(converter *c, const char *name, const char *from, uint64_t rows, uint64_t columns);
int32_t piece_matrix(converter *c, const linear *l);
int32_t piece_norm(converter *c, const char *name, const char *from, uint64_t number, int with_bias, int outside, uint64_t n);

#endif
