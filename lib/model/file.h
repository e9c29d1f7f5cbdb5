/* The .ecrec file (doc/model-file.md): parts <-> bytes. */
#ifndef ECREC_LIB_MODEL_FILE_H
#define ECREC_LIB_MODEL_FILE_H

#include "ecrec/model.h"
#include "model/parts.h"

/* Bytes with a reference count: an mmapped file, the host's memory, or a block of ours. Released with the last reference. */
struct mapping {
    _Atomic uint32_t references;
    memory *m;
    ecrec_context *context; /* kept alive by the mapping */
    const unsigned char *data;
    size_t length;
    int32_t kind; /* private */
    void (*release)(void *opaque);
    void *opaque;
};
int32_t mapping_open(ecrec_context *context, const char *path, mapping **out, ecrec_error *err);
int32_t mapping_memory(ecrec_context *context, const void *bytes, size_t length, void (*release)(void *), void *opaque,
                       mapping **out, ecrec_error *err);
int32_t mapping_source(ecrec_context *context, const ecrec_source *source, mapping **out, ecrec_error *err);
mapping *mapping_reference(mapping *map);
void mapping_release(mapping *map);

/* Everything is checked before it is used; the parts point into the mapping. Bound on allocation: what the zstd frames
 * declare, at most 64 MiB + 64 x the file's length in all, and as much again for the chunked tables made of them. */
int32_t file_read(mapping *map, const ecrec_load_options *options, parts **out, ecrec_error *err);
int32_t file_write(const parts *p, const ecrec_sink *sink, ecrec_error *err);
/* write beside, fsync, rename, fsync the directory */
int32_t file_save(const parts *p, const char *path, ecrec_error *err);
/* Of the folder that holds `path`; work: as long as path, + 2. 0: it failed. */
int file_sync_folder(const char *path, char *work);

/* Why the system said no, in a few words without the locale. */
const char *io_reason(int number);

#endif
