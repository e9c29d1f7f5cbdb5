/* The weights of a folder: one safetensors file, or several that an index names. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_SOURCE_H
#define ECREC_LIB_IMPORT_SOURCE_H

#include "import/folder.h"
#include "import/safetensors.h"

typedef struct source_file {
    const char *name;
    mapping *map;
    safetensors content;
    unsigned char *used; /* one a tensor: it became part of the model */
} source_file;

typedef struct source {
    source_file *files;
    size_t count, tensors;
    const char *prefix; /* what stands before the first name of the family: "", "bert.", "0.auto_model." ... */
    uint64_t bytes;     /* of all tensors */
} source;

/* Errors: IO, FORMAT, UNSUPPORTED (pickles: how to convert), NOMEM. Released by source_close, after a failure too. */
int32_t source_open(folder *f, source *s, ecrec_error *err);
/* One file alone. IO when it is not there. */
int32_t source_open_file(folder *f, source *s, const char *name, ecrec_error *err);
void source_close(source *s);
/* The tensor of exactly that name, or NULL; `file` (may be NULL) gets the one it lies in. */
const safetensor *source_find(const source *s, const char *name, const source_file **file);
void source_use(source *s, const safetensor *t);
/* Sets s->prefix: the shortest beginning of a name that ends in one of `names` ("a|b") + ".weight" (or is one itself). NULL stays
 * when there is none. */
int32_t source_prefix(folder *f, source *s, const char *names, ecrec_error *err);

#endif
