/* Bounds-checked little-endian reading and writing of bytes, and the checksum. */
#ifndef ECREC_LIB_BASE_BYTES_H
#define ECREC_LIB_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/* A reader never passes its end: a read past it gives 0 / NULL and sets `failed`, which is tested once at the end. */
typedef struct reader {
    const unsigned char *data;
    size_t length, position;
    int failed;
} reader;
void reader_init(reader *r, const void *data, size_t length);
uint8_t read_u8(reader *r);
uint16_t read_u16(reader *r);
uint32_t read_u32(reader *r);
uint64_t read_u64(reader *r);
int64_t read_i64(reader *r);
float read_f32(reader *r);
double read_f64(reader *r);
const void *read_bytes(reader *r, size_t n); /* points into the data */
/* a u32 length and that many bytes; NULL when it does not fit or is above `limit` */
const char *read_string(reader *r, size_t limit, size_t *length);

/* Append to a buffer; ECREC_OK or ECREC_ERR_NOMEM. */
int32_t write_u8(buffer *b, uint8_t v);
int32_t write_u16(buffer *b, uint16_t v);
int32_t write_u32(buffer *b, uint32_t v);
int32_t write_u64(buffer *b, uint64_t v);
int32_t write_i64(buffer *b, int64_t v);
int32_t write_f32(buffer *b, float v);
int32_t write_f64(buffer *b, double v);
int32_t write_string(buffer *b, const char *text, size_t length);

/* XXH3: 64 bits, with a seed (0 for checksums; features use the schema's), and 128 bits for fingerprints. */
uint64_t hash64(const void *data, size_t length, uint64_t seed);
typedef struct hash128 { uint64_t low, high; } hash128;
hash128 hash_128(const void *data, size_t length, uint64_t seed);

/* a * b or a + b; 0 when it overflows */
int size_multiply(size_t a, size_t b, size_t *out);
int size_add(size_t a, size_t b, size_t *out);

#endif
