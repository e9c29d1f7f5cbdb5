/* Prepacked weight matrices: as the kernels read them and as they lie in the model file.
 *
 * WEIGHTS_F32: panels of 16 output channels; a panel holds, for k = 0, 1, ..., 16 floats (channel 16p .. 16p+15 at input
 * k). Channels past n are zeros. Size: ceil(n/16) * k * 16 * 4 bytes.
 * WEIGHTS_BF16: panels of 16 output channels; a panel holds, for k = 0, 2, 4, ..., 16 channels x 2 consecutive k of bfloat16. k is padded
 * with a zero to a multiple of 2.
 * WEIGHTS_S8: panels of 16 output channels; a panel holds, for k = 0, 4, 8, ..., 16 channels x 4 consecutive k of int8.
 * k is padded with zeros to a multiple of 4. After the panels, each starting 64-byte aligned: scale[n16] float32, sums[n16]
 * int32 (sum over k of the channel's weights), n16 = n rounded up to 16.
 * WEIGHTS_S4: panels of 16 output channels; a panel holds, for k = 0, 2, 4, ..., 16 bytes, channel j's value at k in the low four bits
 * of byte j and at k + 1 in the high ones, each plus 8. k is padded with 8s (zeros) to a multiple of 32. After the panels, 64-byte
 * aligned: the scales, float16, [panels][k / 32][16]: one for each 32 values of a channel.
 */
#ifndef ECREC_LIB_KERNELS_WEIGHTS_H
#define ECREC_LIB_KERNELS_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

enum { WEIGHTS_F32 = 1, WEIGHTS_BF16 = 3, WEIGHTS_S8 = 4, WEIGHTS_S4 = 9 };
enum { WEIGHTS_GROUP = 32 /* values of S4 that share a scale */ };

typedef struct weights {
    int32_t type;
    size_t n, k; /* output channels, inputs */
    const void *panels;
    const float *scale;  /* S8: [n16] */
    const int32_t *sums; /* S8: [n16] */
    const uint16_t *group_scale; /* S4 */
} weights;

size_t weights_bytes(int32_t type, size_t n, size_t k); /* of the whole block; SIZE_MAX on overflow */
size_t weights_k_padded(int32_t type, size_t k);
/* A view of a block as it lies in a file or in memory (64-byte aligned). */
void weights_view(weights *w, int32_t type, size_t n, size_t k, const void *block);
/* What a row's s8 values reach to: of the clips 1.00, 0.98, ... 0.60 of its largest value, the one with the least squared error. */
float weights_clip(const float *row, size_t k);
/* From row-major n x k float32 (row stride in floats). S8: symmetric, scale per channel chosen as doc/quantisation.md says; S4: per group; BF16:
 * to nearest, ties to even, subnormal ones to 0, at most the largest finite one. */
void weights_pack(int32_t type, size_t n, size_t k, const float *source, size_t stride, void *block);
/* From bytes that are quantised already, n x k without gaps, and a scale a row. */
void weights_pack_s8(size_t n, size_t k, const int8_t *source, const float *scales, void *block);
/* S4: the value of a channel at i. */
float weights_four(const weights *w, size_t channel, size_t i);
/* BF16: the same. */
float weights_brain(const weights *w, size_t channel, size_t i);
/* Channels first .. first + n of a matrix; first is a multiple of 16. */
weights weights_columns(const weights *w, size_t first, size_t n);
/* Back to row-major float32 (S8, S4: dequantised; BF16: exact). */
void weights_unpack(const weights *w, float *out, size_t stride);

#endif
