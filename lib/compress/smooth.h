/* What the inputs of a layer's products are multiplied with before they are quantised, so that the columns of large values do not take
 * the 8 bits from the others; the weights are divided by the same (Xiao et al., "SmoothQuant", ICML 2023).
 *
 * Smoothed are the products whose inputs come from a norm (attention.qkv and feed_forward.in). The two others are not: which of their
 * columns is large depends on the text, and a vector that fits the sample made other texts worse (measured). */
#ifndef ECREC_LIB_COMPRESS_SMOOTH_H
#define ECREC_LIB_COMPRESS_SMOOTH_H

#include "compress/agreement.h"

enum { SMOOTH_QKV, SMOOTH_IN, SMOOTH_PRODUCTS };

typedef struct smoothing {
    const encoder *e;
    arena a;
    float *vectors; /* [layers][SMOOTH_PRODUCTS][hidden] */
    int8_t *chosen; /* [layers][SMOOTH_PRODUCTS]: 1: the product's inputs are smoothed, 0: they are not, -1: it has not been seen */
} smoothing;

/* Chosen for the float32 encoder `e` on texts of the sample, or on random tokens (pixels) where there are none: for each product, of
 * some vectors the one with the least squared error of its 8-bit outputs; leaving it alone is one of them. Nothing is chosen where
 * layers share weights. In portable arithmetic: the same on every machine. The caller closes it, also after a failure. Errors: NOMEM,
 * and what reading the texts gives. */
int32_t smoothing_measure(ecrec_context *context, const encoder *e, const sample *s, smoothing *out, ecrec_error *err);
void smoothing_close(smoothing *s);

/* A matrix's rows (n x k), as they are to be quantised: divided by its vector. A matrix without one: nothing happens. */
void smoothing_divide(const smoothing *s, const char *name, float *rows, size_t n, size_t k);
/* The vectors into the set. Errors: NOMEM. */
int32_t smoothing_put(const smoothing *s, memory *m, tensor_set *tensors, ecrec_error *err);

#endif
