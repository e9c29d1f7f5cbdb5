/* Scalar pieces that the portable kernels and everybody's tails share. Inside the kernels room only. */
#ifndef ECREC_LIB_KERNELS_SCALAR_H
#define ECREC_LIB_KERNELS_SCALAR_H

#include <stdint.h>
#include <string.h>

/* x to the nearest integer, half to even, for |x| < 2^22 (the 1.5 * 2^23 trick: exact under round-to-nearest). */
static inline float round_even(float x)
{
    float shifted = x + 12582912.0f;
    return shifted - 12582912.0f;
}

/* w * inverse to the nearest of -127 .. 127, half to even. */
static inline int32_t quantize_weight(float w, float inverse)
{
    float q = w * inverse;
    q = q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q;
    return (int32_t)round_even(q);
}

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Constants of exp: Cody and Waite's split of ln 2, and Taylor-like minimax coefficients on |r| <= ln(2)/2. */
#define EXP_LOG2E 1.44269504088896341f
#define EXP_LN2_HIGH 0.693359375f
#define EXP_LN2_LOW (-2.12194440e-4f)
#define EXP_C2 0.5f
#define EXP_C3 1.66666667e-1f
#define EXP_C4 4.16666679e-2f
#define EXP_C5 8.33337e-3f
#define EXP_C6 1.3888949e-3f
#define EXP_C7 1.98412698e-4f
#define EXP_MOST 88.7228317f   /* above: +infinity */
#define EXP_LEAST (-103.972084f) /* below: 0 */

/* erfc(z) = t (a1 + t (a2 + ...)) exp(-z^2), t = 1 / (1 + p z), z >= 0: Abramowitz and Stegun 7.1.26, |error| <= 1.5e-7 */
#define ERFC_P 0.3275911f
#define ERFC_A1 0.254829592f
#define ERFC_A2 (-0.284496736f)
#define ERFC_A3 1.421413741f
#define ERFC_A4 (-1.453152027f)
#define ERFC_A5 1.061405429f
#define SQRT_HALF 0.70710678118654752f

#endif
