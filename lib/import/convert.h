/* Tensors of a folder into the encoder's: found by the family's names, checked against the sizes, packed. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_CONVERT_H
#define ECREC_LIB_IMPORT_CONVERT_H

#include "import/source.h"
#include "model/parts.h"

typedef struct converter {
    folder *f;
    parts *p;
    source *s;
    int check_only; /* 1: find and check, make nothing */
    uint64_t done;  /* bytes */
    ecrec_progress_fn progress;
    void *progress_opaque;
    ecrec_error *err;
} converter;

/* Sizes that the tensors tell, for families that have no configuration of their own (f->family may be NULL: found out too). */
int32_t convert_infer(converter *c, uint32_t heads);
int32_t convert_all(converter *c);
/* Parts of it. */
int32_t convert_static(converter *c);
int32_t convert_projection(converter *c); /* the model's own */
int32_t convert_dense(converter *c);      /* of a module after pooling */
int32_t convert_heads(converter *c);

#endif
