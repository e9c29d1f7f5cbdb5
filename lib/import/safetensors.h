/* The safetensors reader: everything is checked (header length, JSON, names, types, shapes, offsets inside the file,
 * no overlap, no gap needed) before a byte of data is used. */
#ifndef ECREC_LIB_IMPORT_SAFETENSORS_H
#define ECREC_LIB_IMPORT_SAFETENSORS_H

#include "base/memory.h"
#include "ecrec/base.h"

typedef struct safetensor {
    const char *name;
    const char *dtype; /* "F32", "F16", "BF16", "I64", ... */
    int32_t type;      /* TYPE_* of model/tensor.h, or 0: a type that we do not convert */
    uint32_t rank;
    uint64_t shape[8];
    const unsigned char *data; /* may be unaligned */
    size_t bytes;
} safetensor;

typedef struct safetensors {
    arena a;
    safetensor *tensors; /* sorted by name */
    size_t count;
} safetensors;

int32_t safetensors_open(memory *m, const char *name, const void *bytes, size_t length, safetensors *out, ecrec_error *err);
void safetensors_close(safetensors *s);
const safetensor *safetensors_find(const safetensors *s, const char *name);
/* `count` elements from element `first` on as float32 (f32, f16, bf16, f64). FORMAT when a value is not finite. */
int32_t safetensors_floats(const safetensor *t, size_t first, size_t count, float *out, ecrec_error *err);

#endif
