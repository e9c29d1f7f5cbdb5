/* The reference of every kernel, in plain C: the same bits on every architecture (no contraction, one order of sums). */
#include <math.h>

#include "ecrec/base.h"
#include "kernels/attention.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "kernels/scalar.h"

#define PANEL 16
#define ROWS 4

static float activation_of(float x, int32_t activation)
{
    switch (activation) {
    case EPILOGUE_GELU_ERF: return scalar_gelu_erf(x);
    case EPILOGUE_GELU_TANH: return 0.5f * x * (1.0f + scalar_tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case EPILOGUE_GELU_QUICK: return x * scalar_sigmoid(1.702f * x);
    case EPILOGUE_RELU: return x > 0 ? x : x != x ? x : 0;
    case EPILOGUE_SILU: return x * scalar_sigmoid(x);
    case EPILOGUE_TANH: return scalar_tanh(x);
    default: return x;
    }
}

static void activate(size_t n, float *x, int32_t activation)
{
    for (size_t i = 0; i < n && activation != EPILOGUE_NONE; i++)
        x[i] = activation_of(x[i], activation);
}

/* One row's 16 outputs leave the accumulators. */
static void finish(const float *acc, size_t row, size_t column, size_t n, const float *bias, const float *residual,
                   size_t residual_stride, float *out, size_t out_stride, int32_t epilogue)
{
    size_t width = n - column < PANEL ? n - column : PANEL;
    for (size_t j = 0; j < width; j++) {
        float v = acc[j];
        if (bias != NULL)
            v += bias[column + j];
        v = activation_of(v, epilogue);
        if (residual != NULL)
            v += residual[row * residual_stride + column + j];
        out[row * out_stride + column + j] = v;
    }
}

static void gemm_f32(const gemm_f32_call *c)
{
    size_t n = c->w->n, k = c->w->k;
    for (size_t column = 0; column < n; column += PANEL) {
        const float *panel = (const float *)c->w->panels + column * k;
        for (size_t row = 0; row < c->m; row += ROWS) {
            float acc[ROWS][PANEL] = { { 0 } };
            size_t rows = c->m - row < ROWS ? c->m - row : ROWS;
            for (size_t i = 0; i < k; i++)
                for (size_t r = 0; r < rows; r++) {
                    float x = c->x[(row + r) * c->x_stride + i];
                    for (size_t j = 0; j < PANEL; j++)
                        acc[r][j] += x * panel[i * PANEL + j];
                }
            for (size_t r = 0; r < rows; r++)
                finish(acc[r], row + r, column, n, c->bias, c->residual, c->residual_stride, c->out, c->out_stride, c->epilogue);
        }
    }
}

static void gemm_s4(const gemm_s4_call *c)
{
    for (size_t column = 0; column < c->w->n; column += PANEL) {
        const size_t width = c->w->n - column < PANEL ? c->w->n - column : PANEL;
        for (size_t row = 0; row < c->m; row++) {
            float acc[PANEL] = { 0 };
            for (size_t i = 0; i < c->w->k; i++)
                for (size_t j = 0; j < width; j++)
                    acc[j] += c->x[row * c->x_stride + i] * weights_four(c->w, column + j, i);
            finish(acc, row, column, c->w->n, c->bias, c->residual, c->residual_stride, c->out, c->out_stride, c->epilogue);
        }
    }
}

static float flushed(float x)
{
    return fabsf(x) < 1.17549435e-38f ? copysignf(0, x) : x;
}

/* c = a b + c, rounded once; what is subnormal is zero on both sides, as the instructions have it. */
static float add_product(float c, float a, float b)
{
    return flushed(fmaf(flushed(a), flushed(b), c));
}

void gemm_bf16_reference(const gemm_bf16_call *c)
{
    const size_t n = c->w->n, k = weights_k_padded(WEIGHTS_BF16, c->w->k);
    for (size_t column = 0; column < n; column += PANEL) {
        const uint16_t *panel = (const uint16_t *)c->w->panels + column * k;
        for (size_t row = 0; row < c->m; row++) {
            const uint16_t *x = c->x + row * c->x_stride;
            float acc[PANEL] = { 0 };
            for (size_t i = 0; i < k; i += 2)
                for (size_t j = 0; j < PANEL; j++) /* the second of a pair comes first */
                    for (size_t b = 2; b-- > 0;)
                        acc[j] = add_product(acc[j], float_of_brain(x[i + b]), float_of_brain(panel[i * PANEL + j * 2 + b]));
            finish(acc, row, column, n, c->bias, c->residual, c->residual_stride, c->out, c->out_stride, c->epilogue);
        }
    }
}

static void gemm_widened(const gemm_f32_call *c)
{
    for (size_t column = 0; column < c->w->n; column += PANEL) {
        const uint16_t *panel = (const uint16_t *)c->w->panels + column * weights_k_padded(WEIGHTS_BF16, c->w->k);
        for (size_t row = 0; row < c->m; row += ROWS) {
            const size_t rows = c->m - row < ROWS ? c->m - row : ROWS;
            float acc[ROWS][PANEL] = { { 0 } };
            for (size_t i = 0; i < c->w->k; i++)
                for (size_t r = 0; r < rows; r++)
                    for (size_t j = 0; j < PANEL; j++)
                        acc[r][j] += c->x[(row + r) * c->x_stride + i] * float_of_brain(panel[i / 2 * (2 * PANEL) + j * 2 + i % 2]);
            for (size_t r = 0; r < rows; r++)
                finish(acc[r], row + r, column, c->w->n, c->bias, c->residual, c->residual_stride, c->out, c->out_stride, c->epilogue);
        }
    }
}

static void round_rows(size_t m, size_t k, const float *x, size_t x_stride, uint16_t *to, size_t to_stride)
{
    for (size_t r = 0; r < m; r++) {
        for (size_t i = 0; i < k; i++)
            to[r * to_stride + i] = brain_of_float(x[r * x_stride + i]);
        memset(to + r * to_stride + k, 0, (to_stride - k) * sizeof *to);
    }
}

static void gemm_s8(const gemm_s8_call *c)
{
    size_t n = c->w->n, padded = weights_k_padded(WEIGHTS_S8, c->w->k);
    for (size_t column = 0; column < n; column += PANEL) {
        const int8_t *panel = (const int8_t *)c->w->panels + column * padded;
        for (size_t row = 0; row < c->m; row++) {
            const uint8_t *q = c->q + row * c->q_stride;
            int32_t sum[PANEL] = { 0 };
            float acc[PANEL];
            for (size_t i = 0; i < padded; i += 4)
                for (size_t j = 0; j < PANEL; j++)
                    for (size_t b = 0; b < 4; b++)
                        sum[j] += (int32_t)q[i + b] * panel[i * PANEL + j * 4 + b];
            for (size_t j = 0; j < PANEL; j++)
                acc[j] = (float)(sum[j] - c->zero[row] * c->w->sums[column + j]) * (c->scale[row] * c->w->scale[column + j]);
            finish(acc, row, column, n, c->bias, c->residual, c->residual_stride, c->out, c->out_stride, c->epilogue);
        }
    }
}

static void quantize_rows(size_t m, size_t k, const float *x, size_t x_stride, const float *by, uint8_t *q, size_t q_stride, float *scale,
                          int32_t *zero)
{
    for (size_t r = 0; r < m; r++) {
        const float *row = x + r * x_stride;
        uint8_t *to = q + r * q_stride;
        float low = 0, high = 0;
        for (size_t i = 0; i < k; i++) {
            const float v = by != NULL ? row[i] * by[i] : row[i];
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
        float range = high - low, inverse = range > 0 ? 255.0f / range : 0;
        if (!(inverse <= 3.4e38f)) /* a range of subnormals, or an infinite one */
            inverse = 0;
        float offset = inverse > 0 ? round_even(-low * inverse) : 0;
        scale[r] = range / 255.0f;
        zero[r] = (int32_t)offset;
        for (size_t i = 0; i < k; i++) {
            float v = round_even((by != NULL ? row[i] * by[i] : row[i]) * inverse) + offset;
            to[i] = (uint8_t)(v > 255.0f ? 255.0f : v > 0 ? v : 0);
        }
        for (size_t i = k; i < q_stride; i++)
            to[i] = 0;
    }
}

static void layer_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias, float eps,
                       float *out, size_t out_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        float *to = out + r * out_stride, sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += row[i];
        float mean = sum / (float)n;
        for (size_t i = 0; i < n; i++)
            squares += (row[i] - mean) * (row[i] - mean);
        float inverse = 1.0f / sqrtf(squares / (float)n + eps);
        for (size_t i = 0; i < n; i++)
            to[i] = (row[i] - mean) * inverse * weight[i] + (bias != NULL ? bias[i] : 0);
    }
}

static void rms_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, float eps, float *out,
                     size_t out_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        float *to = out + r * out_stride, squares = 0;
        for (size_t i = 0; i < n; i++)
            squares += row[i] * row[i];
        float inverse = 1.0f / sqrtf(squares / (float)n + eps);
        for (size_t i = 0; i < n; i++)
            to[i] = row[i] * inverse * weight[i];
    }
}

static void exponential(size_t n, const float *x, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = scalar_exp(x[i]);
}

static float softmax(size_t n, const float *x, float *out)
{
    float most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    if (most == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] != x[i] ? x[i] : 0;
        return -INFINITY;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = scalar_exp(x[i] - most);
        sum += out[i];
    }
    float inverse = 1.0f / sum;
    for (size_t i = 0; i < n; i++)
        out[i] *= inverse;
    return most + logf(sum);
}

static float dot_f32(size_t n, const float *a, const float *b)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static int32_t dot_s8(size_t n, const int8_t *a, const int8_t *b)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (int32_t)a[i] * b[i];
    return sum;
}

static void axpy_f32(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void gather_s8(size_t rows, size_t n, const uint32_t *ids, const int8_t *table, size_t stride, const float *scales, float *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            out[r * n + i] += (float)table[ids[r] * stride + i] * scales[ids[r]];
}

static void attention(const attention_call *call)
{
    attention_reference(call);
}

static void tile_f32(size_t k, const float *a, size_t row, size_t step, const float *b, float *c, size_t c_stride, int32_t accumulate)
{
    float acc[4][PANEL] = { { 0 } };
    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < 4; r++)
            for (size_t j = 0; j < PANEL; j++)
                acc[r][j] += a[r * row + i * step] * b[i * PANEL + j];
    for (size_t r = 0; r < 4; r++)
        for (size_t j = 0; j < PANEL; j++)
            c[r * c_stride + j] = acc[r][j] + (accumulate ? c[r * c_stride + j] : 0);
}

float vector_value(int32_t type, const void *vector, size_t i)
{
    switch (type) {
    case VECTORS_F16: return float_of_half(((const uint16_t *)vector)[i]);
    case VECTORS_S8: return ((const int8_t *)vector)[i];
    case VECTORS_BF16: return float_of_bits((uint32_t)((const uint16_t *)vector)[i] << 16);
    default: return ((const float *)vector)[i];
    }
}

static void dots(const dots_call *c)
{
    const size_t bytes = c->type == VECTORS_F32 ? 4 : 2;
    for (size_t r = 0; r < c->rows; r++) {
        const void *vector = (const char *)c->vectors + r * c->stride * bytes;
        for (size_t q = 0; q < c->queries; q++) {
            float sum = 0;
            for (size_t i = 0; i < c->dimension; i++)
                sum += vector_value(c->type, vector, i) * c->query[q * c->query_stride + i];
            c->out[r * c->out_stride + q] = sum;
        }
    }
}

static void dots_s8(size_t rows, size_t dimension, const int8_t *vectors, size_t stride, const int8_t *query, int32_t *out)
{
    for (size_t r = 0; r < rows; r++)
        out[r] = dot_s8(dimension, vectors + r * stride, query);
}

static void column_peaks(size_t rows, size_t columns, const float *x, size_t stride, float *out)
{
    for (size_t c = 0; c < columns; c++)
        out[c] = -INFINITY;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            out[c] = x[r * stride + c] > out[c] ? x[r * stride + c] : out[c];
}

static void sum_rows(size_t rows, size_t n, const float *const *from, const float *by, float *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n && from[r] != NULL; i++)
            out[i] += by[r] * from[r][i];
}

static void step_adagrad(size_t n, float *w, float *sum, const float *g, float rate, float keep, float start)
{
    for (size_t i = 0; i < n; i++) {
        sum[i] += g[i] * g[i];
        w[i] = w[i] * keep - rate * g[i] / sqrtf(start + sum[i]);
    }
}

static void step_adam(size_t n, float *w, float *m, float *v, const float *g, const adam_factors *f)
{
    for (size_t i = 0; i < n; i++) {
        m[i] += f->first * (g[i] - m[i]);
        v[i] += f->second * (g[i] * g[i] - v[i]);
        w[i] = w[i] * f->keep - f->rate * m[i] / (sqrtf(v[i]) * f->root + f->least);
    }
}

const kernels *kernels_portable(void)
{
    static const kernels table = { "portable", ECREC_CPU_PORTABLE, gemm_f32, gemm_s8, quantize_rows, attention, layer_norm,
                                   rms_norm, activate, exponential, softmax, dot_f32, dot_s8, axpy_f32, gather_s8, sum_rows, step_adagrad, step_adam, 4, PANEL, tile_f32,
                                   dots, dots_s8, column_peaks, gemm_s4, gemm_widened, round_rows, NULL, NULL };
    return &table;
}
