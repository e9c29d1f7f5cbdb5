/* The fast kernels, written once over a handful of vector operations. A file of an instruction set defines, before it
 * includes this one:
 *   vf, vi             vectors of LANES float or int32
 *   vf_load vf_store vf_set vf_add vf_sub vf_mul vf_div vf_fma(a,b,c)=a*b+c vf_fnma(a,b,c)=c-a*b vf_max vf_min vf_sqrt
 *   vf_round(x)        to the nearest integer, half to even
 *   vf_power(n)        2^n for an integral float n in -252 .. 252, in one or two factors: see vf_scale
 *   vf_less(a, b, x, y) a < b ? x : y, lane by lane
 *   vf_sum vf_highest  over the lanes, in one fixed order
 *   vf_load_some(p, n) vf_store_some(p, v, n)   the first n lanes, n < LANES; the rest reads as 0
 *   TILE_ROWS TILE_PANELS   rows and 16-column panels that the accumulators hold
 *   LEVEL_NAME LEVEL_BIT    and gemm_s8, quantize_rows, dot_s8 of its own
 * A row's sums run over k in one order whatever the tile, so its bits never depend on the other rows. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "ecrec/base.h"
#include "kernels/attention.h"
#include "kernels/kernels.h"
#include "kernels/scalar.h"

#define PANEL 16
#define PARTS (PANEL / LANES) /* vectors of a panel */
/* Loops over accumulators must be unrolled whole, or they live on the stack. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define INLINE static inline __attribute__((always_inline))

/* ---- elementary functions ---- */

/* exp, <= 2 ulp; the same reduction and polynomial as scalar_exp, with fused multiply-adds. */
INLINE vf vf_exp(vf x)
{
    vf high = vf_set(EXP_MOST), low = vf_set(EXP_LEAST);
    vf clipped = vf_max(vf_min(x, high), low);
    vf n = vf_round(vf_mul(clipped, vf_set(EXP_LOG2E)));
    vf r = vf_fnma(n, vf_set(EXP_LN2_HIGH), clipped);
    r = vf_fnma(n, vf_set(EXP_LN2_LOW), r);
    vf p = vf_set(EXP_C7);
    p = vf_fma(p, r, vf_set(EXP_C6));
    p = vf_fma(p, r, vf_set(EXP_C5));
    p = vf_fma(p, r, vf_set(EXP_C4));
    p = vf_fma(p, r, vf_set(EXP_C3));
    p = vf_fma(p, r, vf_set(EXP_C2));
    p = vf_fma(p, vf_mul(r, r), r);
    p = vf_add(p, vf_set(1.0f));
    p = vf_scale(p, n);
    p = vf_less(x, low, vf_set(0), p);
    p = vf_less(high, x, vf_set(INFINITY), p);
    return vf_nan(x, p);
}

INLINE vf vf_abs(vf x)
{
    return vf_max(x, vf_sub(vf_set(0), x));
}

INLINE vf vf_gelu_erf(vf x)
{
    vf z = vf_min(vf_abs(x), vf_set(14.0f));
    vf u = vf_mul(z, vf_set(SQRT_HALF));
    vf t = vf_div(vf_set(1.0f), vf_fma(vf_set(ERFC_P), u, vf_set(1.0f)));
    vf p = vf_set(ERFC_A5);
    p = vf_fma(p, t, vf_set(ERFC_A4));
    p = vf_fma(p, t, vf_set(ERFC_A3));
    p = vf_fma(p, t, vf_set(ERFC_A2));
    p = vf_fma(p, t, vf_set(ERFC_A1));
    vf half_erfc = vf_mul(vf_mul(vf_mul(p, t), vf_set(0.5f)), vf_exp(vf_sub(vf_set(0), vf_mul(u, u))));
    vf part = vf_mul(vf_less(x, vf_set(0), vf_max(x, vf_set(-14.0f)), vf_min(x, vf_set(14.0f))), half_erfc);
    return vf_nan(x, vf_less(x, vf_set(0), part, vf_sub(x, part)));
}

INLINE vf vf_sigmoid(vf x)
{
    vf e = vf_exp(vf_sub(vf_set(0), vf_abs(x)));
    vf d = vf_add(vf_set(1.0f), e);
    return vf_nan(x, vf_div(vf_less(x, vf_set(0), e, vf_set(1.0f)), d));
}

INLINE vf vf_tanh(vf x)
{
    vf z = vf_min(vf_abs(x), vf_set(10.0f)), squared = vf_mul(z, z);
    vf e = vf_exp(vf_mul(vf_set(-2.0f), z));
    vf quotient = vf_div(vf_sub(vf_set(1.0f), e), vf_add(vf_set(1.0f), e));
    vf series = vf_fma(vf_set(-0.053968254f), squared, vf_set(0.13333334f));
    series = vf_fma(series, squared, vf_set(-0.33333334f));
    series = vf_fma(vf_mul(series, squared), z, z);
    vf t = vf_less(z, vf_set(0.12f), series, quotient);
    return vf_nan(x, vf_less(x, vf_set(0), vf_sub(vf_set(0), t), t));
}

INLINE vf vf_activate(vf x, int32_t activation)
{
    switch (activation) {
    case EPILOGUE_GELU_ERF: return vf_gelu_erf(x);
    case EPILOGUE_GELU_TANH: {
        vf cube = vf_mul(vf_mul(x, x), x);
        vf inner = vf_mul(vf_set(0.79788456080286536f), vf_fma(vf_set(0.044715f), cube, x));
        return vf_mul(vf_mul(vf_set(0.5f), x), vf_add(vf_set(1.0f), vf_tanh(inner)));
    }
    case EPILOGUE_GELU_QUICK: return vf_mul(x, vf_sigmoid(vf_mul(vf_set(1.702f), x)));
    case EPILOGUE_RELU: return vf_nan(x, vf_less(x, vf_set(0), vf_set(0), x));
    case EPILOGUE_SILU: return vf_mul(x, vf_sigmoid(x));
    case EPILOGUE_TANH: return vf_tanh(x);
    default: return x;
    }
}

static void activate(size_t n, float *x, int32_t activation)
{
    size_t i = 0;
    if (activation == EPILOGUE_NONE)
        return;
    for (; i + LANES <= n; i += LANES)
        vf_store(x + i, vf_activate(vf_load(x + i), activation));
    if (i < n)
        vf_store_some(x + i, vf_activate(vf_load_some(x + i, n - i), activation), n - i);
}

/* ---- f32 product ---- */

typedef struct store {
    const float *bias, *residual;
    size_t residual_stride;
    float *out;
    size_t out_stride, n;
    int32_t epilogue;
} store;

/* One vector of a row leaves: bias, activation, residual. */
INLINE void store_vector(const store *s, size_t row, size_t column, vf v)
{
    float *to = s->out + row * s->out_stride + column;
    const float *from = s->residual != NULL ? s->residual + row * s->residual_stride + column : NULL;
    if (column + LANES <= s->n) {
        if (s->bias != NULL)
            v = vf_add(v, vf_load(s->bias + column));
        v = vf_activate(v, s->epilogue);
        if (from != NULL)
            v = vf_add(v, vf_load(from));
        vf_store(to, v);
    } else if (column < s->n) {
        size_t rest = s->n - column;
        if (s->bias != NULL)
            v = vf_add(v, vf_load_some(s->bias + column, rest));
        v = vf_activate(v, s->epilogue);
        if (from != NULL)
            v = vf_add(v, vf_load_some(from, rest));
        vf_store_some(to, v, rest);
    }
}

/* ROWS x PANELS panels of accumulators, both constants where this is inlined. */
INLINE void tile(const int rows, const int panels, size_t k, const float *x, size_t x_stride, const float *w, const store *s,
                 size_t row, size_t column)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = vf_set(0);
    for (size_t i = 0; i < k; i++) {
        vf b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels; p++)
            UNROLL
            for (int v = 0; v < PARTS; v++)
                b[p * PARTS + v] = vf_load(w + (size_t)p * k * PANEL + i * PANEL + v * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            vf a = vf_set(x[(size_t)r * x_stride + i]);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                acc[r][p] = vf_fma(a, b[p], acc[r][p]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            store_vector(s, row + (size_t)r, column + (size_t)p * LANES, acc[r][p]);
}

#define TILE_CASE(rows_, panels_)                                                   \
    case rows_:                                                                     \
        tile(rows_, panels_, k, x, x_stride, w, s, row, column);                    \
        break;

#define TILE_SWITCH(panels_)                                                                                       \
    static void tile_##panels_(int rows, size_t k, const float *x, size_t x_stride, const float *w, const store *s, \
                               size_t row, size_t column)                                                           \
    {                                                                                                                \
        switch (rows) {                                                                                              \
            TILE_CASE(1, panels_)                                                                                    \
            TILE_CASE(2, panels_)                                                                                    \
            TILE_CASE(3, panels_)                                                                                    \
            TILE_CASE(4, panels_)                                                                                    \
            TILE_CASE(5, panels_)                                                                                    \
            TILE_CASE(6, panels_)                                                                                    \
            TILE_MORE(panels_)                                                                                       \
        default: break;                                                                                              \
        }                                                                                                            \
    }
#if TILE_ROWS > 6
#define TILE_MORE(panels_) TILE_CASE(7, panels_) TILE_CASE(8, panels_)
#else
#define TILE_MORE(panels_)
#endif
TILE_SWITCH(1)
#if TILE_PANELS > 1
TILE_SWITCH(2)
TILE_SWITCH(3)
#endif

static void gemm_f32(const gemm_f32_call *c)
{
    size_t n = c->w->n, k = c->w->k, step = TILE_PANELS * PANEL;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        const float *w = (const float *)c->w->panels + column * k;
        for (size_t row = 0; row < c->m; row += TILE_ROWS) {
            int rows = (int)(c->m - row < TILE_ROWS ? c->m - row : TILE_ROWS);
            const float *x = c->x + row * c->x_stride;
#if TILE_PANELS > 1
            if (panels == 3)
                tile_3(rows, k, x, c->x_stride, w, &s, row, column);
            else if (panels == 2)
                tile_2(rows, k, x, c->x_stride, w, &s, row, column);
            else
#endif
                tile_1(rows, k, x, c->x_stride, w, &s, row, column);
            (void)panels;
        }
    }
}

/* The inner tile of matmul.h: a is k x TILE_ROWS, b is k x (TILE_PANELS * 16). */
static void tile_f32(size_t k, const float *a, const float *b, float *c, size_t c_stride, int32_t accumulate)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++)
            acc[r][p] = vf_set(0);
    for (size_t i = 0; i < k; i++) {
        vf v[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++)
            v[p] = vf_load(b + i * TILE_PANELS * PANEL + p * LANES);
        UNROLL
        for (int r = 0; r < TILE_ROWS; r++) {
            vf x = vf_set(a[i * TILE_ROWS + r]);
            UNROLL
            for (int p = 0; p < TILE_PANELS * PARTS; p++)
                acc[r][p] = vf_fma(x, v[p], acc[r][p]);
        }
    }
    UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++) {
            float *to = c + (size_t)r * c_stride + p * LANES;
            vf_store(to, accumulate ? vf_add(acc[r][p], vf_load(to)) : acc[r][p]);
        }
}

/* ---- rows ---- */

INLINE vf load_at(const float *x, size_t i, size_t n)
{
    return i + LANES <= n ? vf_load(x + i) : vf_load_some(x + i, n - i);
}

INLINE void store_at(float *x, size_t i, size_t n, vf v)
{
    if (i + LANES <= n)
        vf_store(x + i, v);
    else
        vf_store_some(x + i, v, n - i);
}

static void layer_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias, float eps,
                       float *out, size_t out_stride)
{
    size_t whole = n / LANES * LANES;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        vf sum = vf_set(0), squares = vf_set(0);
        for (size_t i = 0; i < n; i += LANES)
            sum = vf_add(sum, load_at(row, i, n));
        vf mean = vf_set(vf_sum(sum) / (float)n);
        for (size_t i = 0; i < whole; i += LANES) {
            vf d = vf_sub(vf_load(row + i), mean);
            squares = vf_fma(d, d, squares);
        }
        float rest = 0, m = vf_first(mean);
        for (size_t i = whole; i < n; i++)
            rest += (row[i] - m) * (row[i] - m);
        vf inverse = vf_set(1.0f / sqrtf((vf_sum(squares) + rest) / (float)n + eps));
        for (size_t i = 0; i < n; i += LANES) {
            vf v = vf_mul(vf_mul(vf_sub(load_at(row, i, n), mean), inverse), load_at(weight, i, n));
            if (bias != NULL)
                v = vf_add(v, load_at(bias, i, n));
            store_at(out + r * out_stride, i, n, v);
        }
    }
}

static void rms_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, float eps, float *out,
                     size_t out_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        vf squares = vf_set(0);
        for (size_t i = 0; i < n; i += LANES) {
            vf v = load_at(row, i, n);
            squares = vf_fma(v, v, squares);
        }
        vf inverse = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)n + eps));
        for (size_t i = 0; i < n; i += LANES)
            store_at(out + r * out_stride, i, n, vf_mul(vf_mul(load_at(row, i, n), inverse), load_at(weight, i, n)));
    }
}

static float softmax(size_t n, const float *x, float *out)
{
    size_t whole = n / LANES * LANES;
    vf most = vf_set(-INFINITY), sum = vf_set(0);
    for (size_t i = 0; i < whole; i += LANES)
        most = vf_max(vf_load(x + i), most);
    float top = vf_highest(most);
    for (size_t i = whole; i < n; i++)
        top = x[i] > top ? x[i] : top;
    if (top == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] != x[i] ? x[i] : 0;
        return -INFINITY;
    }
    vf shift = vf_set(top);
    for (size_t i = 0; i < whole; i += LANES) {
        vf e = vf_exp(vf_sub(vf_load(x + i), shift));
        sum = vf_add(sum, e);
        vf_store(out + i, e);
    }
    float total = vf_sum(sum);
    if (whole < n) {
        float tail[LANES];
        vf_store(tail, vf_exp(vf_sub(vf_load_some(x + whole, n - whole), shift)));
        for (size_t i = whole; i < n; i++)
            total += out[i] = tail[i - whole];
    }
    vf inverse = vf_set(1.0f / total);
    for (size_t i = 0; i < n; i += LANES)
        store_at(out, i, n, vf_mul(load_at(out, i, n), inverse));
    return top + logf(total);
}

static float dot_f32(size_t n, const float *a, const float *b)
{
    vf s0 = vf_set(0), s1 = vf_set(0), s2 = vf_set(0), s3 = vf_set(0);
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 = vf_fma(vf_load(a + i), vf_load(b + i), s0);
        s1 = vf_fma(vf_load(a + i + LANES), vf_load(b + i + LANES), s1);
        s2 = vf_fma(vf_load(a + i + 2 * LANES), vf_load(b + i + 2 * LANES), s2);
        s3 = vf_fma(vf_load(a + i + 3 * LANES), vf_load(b + i + 3 * LANES), s3);
    }
    for (; i < n; i += LANES)
        s0 = vf_fma(load_at(a, i, n), load_at(b, i, n), s0);
    return vf_sum(vf_add(vf_add(s0, s1), vf_add(s2, s3)));
}

static void axpy_f32(size_t n, float a, const float *x, float *y)
{
    vf factor = vf_set(a);
    for (size_t i = 0; i < n; i += LANES)
        store_at(y, i, n, vf_fma(factor, load_at(x, i, n), load_at(y, i, n)));
}

/* ---- s8: what the instruction sets share ---- */

/* One vector of exact integer sums leaves, in the float operations of doc/quantisation.md (no fused multiply-add). */
INLINE void store_sums(const gemm_s8_call *c, const store *s, size_t row, size_t column, vi sums)
{
    vi shifted = vi_sub(sums, vi_mul(vi_set(c->zero[row]), vi_load(c->w->sums + column)));
    vf scale = vf_mul(vf_set(c->scale[row]), vf_load(c->w->scale + column));
    store_vector(s, row, column, vf_mul(vi_to_vf(shifted), scale));
}

/* doc/quantisation.md; the same bits as the reference. */
static void quantize_rows(size_t m, size_t k, const float *x, size_t x_stride, uint8_t *q, size_t q_stride, float *scale,
                          int32_t *zero)
{
    for (size_t r = 0; r < m; r++) {
        const float *row = x + r * x_stride;
        uint8_t *to = q + r * q_stride;
        vf low = vf_set(0), high = vf_set(0);
        for (size_t i = 0; i < k; i += LANES) {
            vf v = load_at(row, i, k);
            low = vf_min(v, low); /* a NaN leaves the second operand */
            high = vf_max(v, high);
        }
        float least = -vf_highest(vf_sub(vf_set(0), low)), most = vf_highest(high);
        float range = most - least, inverse = range > 0 ? 255.0f / range : 0;
        if (!(inverse <= 3.4e38f))
            inverse = 0;
        float offset = inverse > 0 ? round_even(-least * inverse) : 0;
        scale[r] = range / 255.0f;
        zero[r] = (int32_t)offset;
        vf by = vf_set(inverse), plus = vf_set(offset), top = vf_set(255.0f), none = vf_set(0);
        for (size_t i = 0; i < k; i += LANES) {
            vf v = vf_add(vf_round(vf_mul(load_at(row, i, k), by)), plus);
            v = vf_min(top, vf_max(v, none));
            bytes_store(to + i, v, k - i < LANES ? k - i : LANES);
        }
        for (size_t i = k; i < q_stride; i++)
            to[i] = 0;
    }
}
