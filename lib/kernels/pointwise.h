/* What lies between the products of a layer: rotary positions, gates, relative positions. Plain C, in place, one order of
 * operations: a row's bits never depend on its batch. */
#ifndef ECREC_LIB_KERNELS_POINTWISE_H
#define ECREC_LIB_KERNELS_POINTWISE_H

#include <stddef.h>
#include <stdint.h>

/* Rotary position embedding (RoFormer, arXiv 2104.09864), half-rotation form: x[i], x[i + size/2] turn by angle i, for i < size/2.
 * `table`: size/2 cosines, then size/2 sines, of this position. heads vectors, `stride` floats apart. */
void rotate_heads(size_t heads, size_t size, float *x, size_t stride, const float *table);
/* The same turned back: the gradient of rotate_heads. */
void unrotate_heads(size_t heads, size_t size, float *x, size_t stride, const float *table);
/* a[i] *= b[i], rows of n with one stride. */
void multiply_rows(size_t rows, size_t n, float *a, const float *b, size_t stride);
/* out[i] += row[i], and the sum of row[i] * vector[i], of bfloat16 numbers. */
void add_brains(size_t n, const uint16_t *row, float *out);
float brain_dot(size_t n, const uint16_t *row, const float *vector);
/* The bucket of key position minus query position, for an encoder that looks both ways: T5's (arXiv 1910.10683, and its code):
 * half of the buckets for each direction, the first half of those exact, the rest logarithmic up to `distance`. buckets is even, >= 4. */
uint32_t relative_bucket(int64_t key_minus_query, uint32_t buckets, uint32_t distance);

#endif
