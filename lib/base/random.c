#include "base/random.h"

#include <math.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void random_init(random_stream *r, uint64_t seed, uint64_t stream)
{
    r->seed = seed;
    r->stream = stream;
    r->counter = 0;
    r->used = 4;
}

uint32_t random_u32(random_stream *r)
{
    if (r->used == 4) {
        const uint32_t counter[4] = { (uint32_t)r->counter, (uint32_t)(r->counter >> 32), (uint32_t)r->stream,
                                      (uint32_t)(r->stream >> 32) };
        const uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) };
        philox4x32(counter, key, r->block);
        r->counter++;
        r->used = 0;
    }
    return r->block[r->used++];
}

uint64_t random_below(random_stream *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do {
        x = (uint64_t)random_u32(r) << 32;
        x |= random_u32(r);
    } while (x >= limit);
    return x % n;
}

float random_float(random_stream *r)
{
    return (float)(random_u32(r) >> 8) * (1.0f / 16777216.0f);
}

float random_normal(random_stream *r)
{
    /* Box and Muller 1958; 1 - u keeps the logarithm's argument above zero */
    float u = 1.0f - random_float(r), v = random_float(r);
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530717958648f * v);
}

void random_order(uint64_t seed, uint64_t stream, size_t *order, size_t n)
{
    random_stream random;
    random_init(&random, seed, stream);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)random_below(&random, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}
