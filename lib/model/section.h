/* The header and directory of a model file; see doc/model-file.md. Inside the model room only. */
#ifndef ECREC_LIB_MODEL_SECTION_H
#define ECREC_LIB_MODEL_SECTION_H

#include "base/bytes.h"
#include "model/file.h"

#define FILE_MAGIC "ECREC\0\r\n"
enum {
    FILE_MAJOR = 1, FILE_MINOR = 0, FILE_HEADER = 64, FILE_ALIGNMENT = 64,
    SECTION_SETTINGS = 1, SECTION_TENSOR = 2, SECTION_BLOB = 3,
    CODEC_RAW = 0, CODEC_ZSTD = 1,
    SECTION_REQUIRED = 1,
    MOST_SECTIONS = 65536, MOST_SECTION_NAME = 255
};

typedef struct section {
    char name[MOST_SECTION_NAME + 1];
    uint32_t kind, codec, flags;
    int32_t type, layout, rank;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t rows_per_chunk;
    uint64_t offset, stored, raw; /* bytes in the file, and unpacked */
    uint64_t checksum;            /* XXH3-64 of the stored bytes */
} section;

int32_t section_write(buffer *b, const section *s);
/* 0 when the entry is damaged. */
int section_read(reader *r, section *s);

/* zstd with memory of ours only. compress: *out gets a block of *capacity bytes, *length used. */
int32_t pack_bytes(memory *m, const void *bytes, size_t length, unsigned char **out, size_t *length_out, size_t *capacity);
/* ECREC_OK, FORMAT (damaged, or not exactly `raw` bytes) or NOMEM. */
int32_t unpack_bytes(memory *m, const void *bytes, size_t length, void *out, size_t raw);

#endif
