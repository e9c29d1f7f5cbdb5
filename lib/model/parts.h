/* The parts of a model: settings, named blobs (tokenizer image, schema, licence, unknown optional sections carried on) and
 * tensors. Import makes parts, a file holds parts, pruning turns parts into parts; a model handle is parts + views. */
#ifndef ECREC_LIB_MODEL_PARTS_H
#define ECREC_LIB_MODEL_PARTS_H

#include "model/properties.h"
#include "model/tensor.h"

typedef struct blob {
    char *name;
    const void *data;
    size_t length;
    mapping *map;  /* where data lies, or NULL: owned */
    int32_t raw;   /* 1: stored uncompressed and aligned, used where it is mapped (tokenizer); 0: zstd */
    uint32_t kind;    /* 0, or the kind of an unknown section that is carried on */
    int32_t required; /* readers that do not know the name must refuse the file */
} blob;

typedef struct parts {
    memory *m;
    properties *settings;
    blob *blobs;
    size_t blob_count, blob_capacity;
    tensor_set *tensors;
    uint64_t sequence; /* snapshot number */
} parts;

int32_t parts_create(memory *m, parts **out);
void parts_release(parts *p);
int32_t parts_copy(const parts *p, parts **out); /* shares tensors and mapped blobs; owned blobs are copied */
const blob *parts_blob(const parts *p, const char *name);
/* Copies the bytes. Replaces one of the same name. */
int32_t parts_set_blob(parts *p, const char *name, const void *data, size_t length, int32_t raw, int32_t required);
/* The same without a copy: takes a reference to the mapping that the bytes lie in. */
int32_t parts_map_blob(parts *p, const char *name, const void *data, size_t length, mapping *map, int32_t raw, int32_t required);

#endif
