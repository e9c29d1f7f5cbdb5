/* The fast kernels, written once over a handful of vector operations. A file of an instruction set defines, before it
 * includes this one:
 *   vf, vi             vectors of LANES float or int32
 *   vf_load vf_store vf_set vf_add vf_sub vf_mul vf_div vf_fma(a,b,c)=a*b+c vf_fnma(a,b,c)=c-a*b vf_max vf_min vf_sqrt vf_abs
 *   vf_round(x)        to the nearest integer, half to even
 *   vf_scale(x, n)     x 2^n for an integral float n in -252 .. 252
 *   vf_of_s8(p)        LANES signed bytes from p
 *   vf_less(a, b, x, y) a < b ? x : y, lane by lane
 *   vf_sum vf_highest  over the lanes, in one fixed order: the upper half onto the lower, until one is left
 *   vf_load_some(p, n) vf_store_some(p, v, n)   the first n lanes, n < LANES; the rest reads as 0
 *   vf_unpack_low vf_unpack_high, vf_unpack_low2 vf_unpack_high2, columns_of: pieces of a transposition, see simd_attention.h
 *   vf_pick(table, v)  of 16 floats, the one that the lowest 4 bits of each lane of v name
 *   vf_scale_any       defined when vf_scale takes any n
 *   bytes_of_four(to, x, n)   where there is one: four vectors of floats, to the nearest integers, plus n, as bytes 0 .. 255 in their order
 *   TILE_ROWS TILE_PANELS   rows and 16-column panels that the accumulators hold
 *   LEVEL_NAME LEVEL_BIT    and gemm_s8, quantize_rows, dot_s8 of its own
 * A row's sums run over k in one order whatever the tile, so its bits never depend on the other rows. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ecrec/base.h"
#include "kernels/attention.h"
#include "kernels/gelu_table.h"
#include "kernels/kernels.h"
#include "kernels/scalar.h"

#define PANEL 16
#define LINE_BYTES 64 /* of memory, as caches move it */
#define PARTS (PANEL / LANES) /* vectors of a panel */
/* Loops over accumulators must be unrolled whole (clang's plain "unroll" may stop at a part), or they live on the stack; the loop
 * around them must not be, for the same reason. tests/kernels/hot_loops.py reads the object code. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define DO_NOT_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define DO_NOT_UNROLL _Pragma("GCC unroll 1")
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

/* exp for x <= 0 (softmax, after the largest is subtracted): no overflow, -infinity gives 0, NaN stays. */
INLINE vf vf_exp_down(vf x)
{
#ifdef vf_scale_any
    vf clipped = vf_max(vf_set(EXP_LEAST - 1), x); /* a NaN is the second operand's */
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
    return vf_scale(vf_add(p, vf_set(1.0f)), n);
#else
    return vf_exp(x);
#endif
}

/* max(x, 0) - z Q(z), z = |x| clipped, Q(z) = erfc(z / sqrt 2) / 2 by a polynomial that each lane picks from 16. The magic
 * number, 1.5 * 2^23, leaves the interval in the lowest bits. A NaN is the second operand of the minimum and goes through. */
INLINE vf vf_gelu_erf(vf x)
{
    const vf z = vf_min(vf_set(15 * GELU_WIDTH), vf_abs(x)), scaled = vf_mul(z, vf_set(1.0f / GELU_WIDTH));
    const vf shifted = vf_add(scaled, vf_set(12582912.0f)), t = vf_sub(scaled, vf_sub(shifted, vf_set(12582912.0f)));
    vf q = vf_pick(gelu_table[4], shifted);
    q = vf_fma(q, t, vf_pick(gelu_table[3], shifted));
    q = vf_fma(q, t, vf_pick(gelu_table[2], shifted));
    q = vf_fma(q, t, vf_pick(gelu_table[1], shifted));
    q = vf_fma(q, t, vf_pick(gelu_table[0], shifted));
    return vf_fnma(z, q, vf_max(x, vf_set(0)));
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

INLINE vf vf_activate(vf x, const int32_t activation)
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

INLINE void activate_all(size_t n, float *x, const int32_t activation)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(x + i, vf_activate(vf_load(x + i), activation));
    if (i < n)
        vf_store_some(x + i, vf_activate(vf_load_some(x + i, n - i), activation), n - i);
}

static void activate(size_t n, float *x, int32_t activation)
{
    switch (activation) {
    case EPILOGUE_GELU_ERF: activate_all(n, x, EPILOGUE_GELU_ERF); break;
    case EPILOGUE_GELU_TANH: activate_all(n, x, EPILOGUE_GELU_TANH); break;
    case EPILOGUE_GELU_QUICK: activate_all(n, x, EPILOGUE_GELU_QUICK); break;
    case EPILOGUE_RELU: activate_all(n, x, EPILOGUE_RELU); break;
    case EPILOGUE_SILU: activate_all(n, x, EPILOGUE_SILU); break;
    case EPILOGUE_TANH: activate_all(n, x, EPILOGUE_TANH); break;
    default: break;
    }
}

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

/* The sum of PANEL values, in one order whatever LANES is: halves onto halves. */
INLINE float panel_sum(const vf *v)
{
    vf s[PARTS];
    UNROLL
    for (int p = 0; p < PARTS; p++)
        s[p] = v[p];
    UNROLL
    for (int half = PARTS / 2; half > 0; half /= 2)
        UNROLL
        for (int p = 0; p < half; p++)
            s[p] = vf_add(s[p], s[p + half]);
    return vf_sum(s[0]);
}

#include "kernels/simd_product.h"
#include "kernels/simd_rows.h"
#include "kernels/simd_steps.h"
#include "kernels/simd_attention.h"
