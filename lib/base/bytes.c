#include "base/bytes.h"

#include <string.h>

#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

void reader_init(reader *r, const void *data, size_t length)
{
    r->data = data;
    r->length = length;
    r->position = 0;
    r->failed = 0;
}

const void *read_bytes(reader *r, size_t n)
{
    if (r->failed || n > r->length - r->position) {
        r->failed = 1;
        return NULL;
    }
    const void *at = r->data + r->position;
    r->position += n;
    return at;
}

static uint64_t little(reader *r, size_t n)
{
    const unsigned char *p = read_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; p != NULL && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t read_u8(reader *r) { return (uint8_t)little(r, 1); }
uint16_t read_u16(reader *r) { return (uint16_t)little(r, 2); }
uint32_t read_u32(reader *r) { return (uint32_t)little(r, 4); }
uint64_t read_u64(reader *r) { return little(r, 8); }
int64_t read_i64(reader *r) { return (int64_t)little(r, 8); }

float read_f32(reader *r)
{
    uint32_t u = read_u32(r);
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

double read_f64(reader *r)
{
    uint64_t u = read_u64(r);
    double f;
    memcpy(&f, &u, sizeof f);
    return f;
}

const char *read_string(reader *r, size_t limit, size_t *length)
{
    size_t n = read_u32(r);
    if (r->failed || n > limit) {
        r->failed = 1;
        return NULL;
    }
    *length = n;
    return read_bytes(r, n);
}

static int32_t write_little(buffer *b, uint64_t v, size_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    return buffer_append(b, bytes, n);
}

int32_t write_u8(buffer *b, uint8_t v) { return write_little(b, v, 1); }
int32_t write_u16(buffer *b, uint16_t v) { return write_little(b, v, 2); }
int32_t write_u32(buffer *b, uint32_t v) { return write_little(b, v, 4); }
int32_t write_u64(buffer *b, uint64_t v) { return write_little(b, v, 8); }
int32_t write_i64(buffer *b, int64_t v) { return write_little(b, (uint64_t)v, 8); }

int32_t write_f32(buffer *b, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return write_u32(b, u);
}

int32_t write_f64(buffer *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return write_u64(b, u);
}

int32_t write_string(buffer *b, const char *text, size_t length)
{
    if (length > UINT32_MAX || write_u32(b, (uint32_t)length) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    return buffer_append(b, text, length);
}

uint64_t hash64(const void *data, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, length, seed);
}

hash128 hash_128(const void *data, size_t length, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(data, length, seed);
    return (hash128){ h.low64, h.high64 };
}

int size_multiply(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return 0;
    *out = a * b;
    return 1;
}

int size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return 0;
    *out = a + b;
    return 1;
}
