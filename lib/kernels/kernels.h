/* Kernels: a table of functions, filled once per CPU level; a plain C reference for each. Kernels know arrays, nothing
 * else. No kernel allocates. Sums over k have one order whatever m is, so a row's result never depends on its batch. */
#ifndef ECREC_LIB_KERNELS_KERNELS_H
#define ECREC_LIB_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/weights.h"

enum { EPILOGUE_NONE, EPILOGUE_GELU_ERF, EPILOGUE_GELU_TANH, EPILOGUE_GELU_QUICK, EPILOGUE_RELU, EPILOGUE_SILU, EPILOGUE_TANH };

/* out[m x n] = epilogue(x[m x k] W^T + bias) + residual. Strides in elements. bias and residual may be NULL; residual may
 * be out itself. W is n x k (output channels x input), packed. */
typedef struct gemm_f32_call {
    size_t m;
    const float *x;
    size_t x_stride;
    const weights *w; /* WEIGHTS_F32 */
    const float *bias;
    const float *residual;
    size_t residual_stride;
    float *out;
    size_t out_stride;
    int32_t epilogue;
    const void *next; /* panels that will be read after these: the first of them are fetched with the last rows; or NULL */
} gemm_f32_call;

/* The same with x quantised per row by quantize_rows: x[i][j] ~ (q[i][j] - zero[i]) * scale[i]. The integer sum is exact:
 * out = epilogue(scale[i] * w->scale[n] * (sum_j q[i][j] * w[n][j] - zero[i] * w->sums[n]) + bias) + residual, with the
 * float operations in the order written in doc/quantisation.md (bit-exact at every level). */
typedef struct gemm_s8_call {
    size_t m;
    const uint8_t *q;  /* m rows of q_stride bytes; columns k .. q_stride are 0; q_stride = weights_k_padded(w) or more */
    size_t q_stride;
    const float *scale;
    const int32_t *zero;
    const weights *w; /* WEIGHTS_S8 */
    const float *bias;
    const float *residual;
    size_t residual_stride;
    float *out;
    size_t out_stride;
    int32_t epilogue;
    const void *next; /* as in gemm_f32_call */
} gemm_s8_call;

/* Attention of one (sequence, head): out[t x size] = softmax(q k^T * scale + bias + mask) v, over t rows of q, k, v with
 * the given strides (rows of the packed QKV product). */
typedef struct attention_call {
    size_t tokens, head_size;
    const float *q, *k, *v;
    size_t stride; /* of q, k and v rows, in floats */
    float *out;
    size_t out_stride;
    float scale;
    const float *bias; /* added to the logits: bias[query * bias_stride + key], or NULL */
    ptrdiff_t bias_stride; /* -1: one row by distance (relative positions), bias pointing at its middle, distance 0 */
    int32_t causal;    /* 1: key j <= query i */
    uint32_t window;   /* > 0: |i - j| <= window */
    float *scratch;    /* attention_scratch(tokens, head_size) floats */
} attention_call;

/* Similarities of vectors as they are stored, out[row * out_stride + query] = sum_i vector[row][i] * query[query][i]. The sum over i
 * has one order for a pair, whatever else is asked for: bits do not depend on the other rows and queries. */
typedef struct dots_call {
    int32_t type;              /* VECTORS_* */
    size_t rows, queries, dimension;
    const void *vectors;
    size_t stride;             /* elements from one vector to the next */
    const float *query;        /* query_stride floats from one to the next */
    size_t query_stride;
    float *out;
    size_t out_stride;
} dots_call;
enum { VECTORS_F32 = 1, VECTORS_F16 = 2, VECTORS_BF16 = 3, VECTORS_S8 = 4 /* dots_s8 */ };

/* x W^T with 4-bit weights as gemm_f32 with the floats that they stand for: the same bits, level by level (a value times its scale
 * is exact). */
typedef gemm_f32_call gemm_s4_call; /* w: WEIGHTS_S4 */

/* x W^T with bfloat16 weights and inputs, rounded by round_rows: doc/quantisation.md says in which order and with what roundings. */
typedef struct gemm_bf16_call {
    size_t m;
    const uint16_t *x; /* m rows of x_stride bfloat16 numbers; column k is 0 where k is odd */
    size_t x_stride;
    const weights *w; /* WEIGHTS_BF16 */
    const float *bias;
    const float *residual;
    size_t residual_stride;
    float *out;
    size_t out_stride;
    int32_t epilogue;
    const void *next; /* as in gemm_f32_call */
} gemm_bf16_call;

typedef struct adam_factors { float rate, root, keep, first, second, least; } adam_factors;

typedef struct kernels {
    const char *name; /* "portable", "avx2", ... */
    uint32_t level;   /* ECREC_CPU_* */

    void (*gemm_f32)(const gemm_f32_call *call);
    void (*gemm_s8)(const gemm_s8_call *call);
    /* rows of x (m x k), times `by` (k floats, or NULL: ones), to u8 with a scale and a zero point each; see doc/quantisation.md. Fills q
     * up to q_stride with 0. */
    void (*quantize_rows)(size_t m, size_t k, const float *x, size_t x_stride, const float *by, uint8_t *q, size_t q_stride, float *scale,
                          int32_t *zero);
    void (*attention)(const attention_call *call);
    /* out = (x - mean) / sqrt(variance + eps) * weight + bias, rows of n; bias may be NULL; out may be x. */
    void (*layer_norm)(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias,
                       float eps, float *out, size_t out_stride);
    void (*rms_norm)(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, float eps, float *out,
                     size_t out_stride);
    /* x = activation(x) in place; EPILOGUE_* */
    void (*activate)(size_t n, float *x, int32_t activation);
    /* out = e^x, n values, <= 2 ulp from -104 to 88.7; 0 below, infinity above, NaN stays. out may be x. */
    void (*exponential)(size_t n, const float *x, float *out);
    /* out = softmax(x), n values; -inf entries give 0; all -inf gives zeros. Returns log-sum-exp. */
    float (*softmax)(size_t n, const float *x, float *out);
    float (*dot_f32)(size_t n, const float *a, const float *b);
    int32_t (*dot_s8)(size_t n, const int8_t *a, const int8_t *b);
    void (*axpy_f32)(size_t n, float a, const float *x, float *y); /* y += a x */
    /* out[r] += scales[ids[r]] * row ids[r] of a table of bytes, n values a row: a product and a sum, each rounded. Rows lie `stride`
     * bytes apart; those wanted soon are fetched meanwhile. */
    void (*gather_s8)(size_t rows, size_t n, const uint32_t *ids, const int8_t *table, size_t stride, const float *scales, float *out);
    /* Rows of tables (learn/optimiser.h); each operation rounded on its own, the same bits at every level.
     * out += by[r] * from[r] for each of the rows in order, n values a row; from[r] NULL: none. */
    void (*sum_rows)(size_t rows, size_t n, const float *const *from, const float *by, float *out);
    /* sum += g^2; w = w * keep - rate * g / sqrt(start + sum) */
    void (*step_adagrad)(size_t n, float *w, float *sum, const float *g, float rate, float keep, float start);
    /* m += first (g - m); v += second (g^2 - v); w = w * keep - rate * m / (sqrt(v) * root + least) */
    void (*step_adam)(size_t n, float *w, float *m, float *v, const float *g, const adam_factors *f);
    /* The inner tile of the blocked product (matmul.h): c[tile_m x tile_n] (+)= a b, where a's value at row r and inner index i is
     * a[r * row + i * step] and b is packed, k x tile_n */
    uint32_t tile_m, tile_n;
    void (*tile_f32)(size_t k, const float *a, size_t row, size_t step, const float *b, float *c, size_t c_stride, int32_t accumulate);
    void (*dots)(const dots_call *call);
    /* out[row] = sum_i vectors[row][i] * query[i], exactly; dimension <= 65536, query never -128. */
    void (*dots_s8)(size_t rows, size_t dimension, const int8_t *vectors, size_t stride, const int8_t *query, int32_t *out);
    /* out[column] = the highest of x[row * stride + column], rows of `columns`; NaN is passed over, nothing left gives -infinity. */
    void (*column_peaks)(size_t rows, size_t columns, const float *x, size_t stride, float *out);
    void (*gemm_s4)(const gemm_s4_call *call);
    /* With bfloat16 weights, widened as they are used: as gemm_f32 with the floats that they are, the same bits, level by level. */
    void (*gemm_widened)(const gemm_f32_call *call);
    /* Rows (m x k) to bfloat16: to nearest, ties to even, too large to infinity, subnormal to 0; columns k .. to_stride become 0. */
    void (*round_rows)(size_t m, size_t k, const float *x, size_t x_stride, uint16_t *to, size_t to_stride);
    void (*gemm_bf16)(const gemm_bf16_call *call); /* NULL where the level has no instruction for it */
    void *blis; /* what BLIS knows of this processor, where its tile runs the large products instead (matmul_ask_blis); else NULL */
} kernels;

/* The best table within `available` (mask of ECREC_CPU_*; portable is always allowed). Each fast kernel runs a small tile against the
 * reference first and a level that differs is passed over. Of two levels that differ in their bf16 products alone the faster is taken: a
 * tile of each is timed, in ticks of the processor's counter. Where the mask has but one of the two, nothing is timed. */
typedef struct selection {
    uint32_t rejected; /* levels with a wrong result */
    uint32_t slower;   /* the level that was not taken because its bf16 products take longer than widened ones, or 0 */
    uint64_t bf16_ticks, widened_ticks; /* 0: nothing was timed */
} selection;
const kernels *kernels_select(uint32_t available, selection *told /* may be NULL */);
const kernels *kernels_portable(void);
/* All tables compiled in, for tests; NULL-terminated. */
const kernels *const *kernels_all(void);

/* What a level's gemm_bf16 is held to. */
void gemm_bf16_reference(const gemm_bf16_call *call);

size_t attention_scratch(size_t tokens, size_t head_size); /* floats */

/* Number i of a stored vector. */
float vector_value(int32_t type, const void *vector, size_t i);

/* Scalar functions that all levels' tails use: error bounds are tested. */
float scalar_exp(float x);      /* <= 2 ulp over its whole range */
float scalar_gelu_erf(float x); /* absolute error <= 3e-7 */
float scalar_tanh(float x);
/* IEEE 754 binary16, to nearest, ties to even; what is too large becomes infinity. */
uint16_t half_from_float(float value);
float scalar_sigmoid(float x);

#endif
