/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 * The value depends on (seed, stream, counter) alone, so threads and resumes give the same numbers. */
#ifndef ECREC_LIB_BASE_RANDOM_H
#define ECREC_LIB_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

typedef struct random_stream {
    uint64_t seed, stream, counter;
    uint32_t block[4];
    uint32_t used; /* of the block; 4 = none left */
} random_stream;
void random_init(random_stream *r, uint64_t seed, uint64_t stream);
uint32_t random_u32(random_stream *r);
uint64_t random_below(random_stream *r, uint64_t n); /* uniform in [0, n), unbiased; n > 0 */
float random_float(random_stream *r);                /* [0, 1) */
float random_normal(random_stream *r);               /* mean 0, variance 1 */
/* order = a permutation of 0 .. n - 1 told by (seed, stream). */
void random_order(uint64_t seed, uint64_t stream, size_t *order, size_t n);

#endif
