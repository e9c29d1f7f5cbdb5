/* The forward pass in pieces, for the backward pass too. Inside the encoder room only. */
#ifndef ECREC_LIB_ENCODER_FORWARD_H
#define ECREC_LIB_ENCODER_FORWARD_H

#include "encoder/encoder.h"

/* Scratch of one pass, carved from its workspace. */
typedef struct pass {
    const encoder *e;
    const kernels *table;
    size_t tokens;
    float *wide;      /* tokens x max(4 x largest attention width, largest feed-forward) */
    float *attention; /* scratch of one head */
    uint8_t *q;       /* quantised rows, where the matrices are s8 */
    float *scale;
    int32_t *zero;
} pass;

size_t pass_take(pass *p, const encoder *e, const kernels *table, size_t max_tokens, void *workspace); /* bytes */
/* out (rows x n) = activation(x W^T + bias) + residual; a block without a matrix gives its bias + residual. */
void pass_linear(const pass *p, const encoder_linear *linear, size_t n, size_t k, size_t rows, const float *x,
                 size_t x_stride, const float *residual, float *out, size_t out_stride, int32_t epilogue);
/* token + type + position, before the norm */
void pass_embed_sum(const encoder *e, const packed *p, float *hidden);
/* heads' outputs (tokens x heads * head_size) from the packed qkv rows */
void pass_attend(const pass *pass, const encoder_layer *layer, const packed *p, const float *qkv, float *out);
void pass_norm(const pass *p, const encoder_norm *norm, float *hidden);

#endif
