/* What the backward pass works with. Inside the encoder room only. */
#ifndef ECREC_LIB_ENCODER_GRADIENT_H
#define ECREC_LIB_ENCODER_GRADIENT_H

#include "encoder/backward.h"
#include "encoder/forward.h"

/* Everything that one layer's recomputation and gradients need. */
typedef struct space {
    pass forward;
    const packed *p;
    float *inputs; /* layers x tokens x hidden: each layer's input */
    float *product, *qkv; /* rows of the qkv product as it came, and turned */
    float *context, *sum1, *mid, *x, *pre, *inner, *sum2; /* x: what a block read, where a norm stands before it */
    float *d_out, *d_sum, *d_wide, *d_context, *d_qkv, *d_x;
    float *matrix;                          /* a weight matrix, row-major */
    float *probabilities, *d_probabilities; /* length x length */
    void *multiplying;
} space;

/* c (m x n) = alpha op(a) op(b) + beta c */
void gradient_multiply(const space *w, size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_stride, int ta, const float *b,
                       size_t b_stride, int tb, float beta, float *c, size_t c_stride);
/* Through y = x W^T + b (W: n x k): gradients of W and b added, dx = beta dx + dy W. */
void gradient_linear(const space *w, const encoder_linear *linear, size_t n, size_t k, const float *x, size_t x_stride, const float *dy,
                     size_t dy_stride, float beta, float *dx, size_t dx_stride, float *weight, float *bias);
/* Through out = norm(x), rows of n: dx from d_out (may be the same); gradients of weight and bias added. No norm: a copy. */
void gradient_norm(uint32_t kind /* NORM_* */, float eps, const encoder_norm *norm, size_t rows, size_t n, const float *x, size_t x_stride, const float *d_out,
                   size_t d_stride, float *dx, size_t dx_stride, float *weight, float *bias);
/* From d_context to d_qkv, of the product's rows as they came: through attention, turns and norms of queries and keys. */
void gradient_attention(const space *w, const encoder_layer *l, const encoder_layer_gradients *g, float *relative);

#endif
