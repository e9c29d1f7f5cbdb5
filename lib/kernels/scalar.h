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

/* IEEE 754 binary16 to binary32, exact. */
static inline float float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7FFF;
    if (rest >= 0x7C00) /* infinity, NaN */
        return float_of_bits(sign | 0x7F800000 | (rest & 0x3FF) << 13);
    if (rest >= 0x400)
        return float_of_bits(sign | ((rest << 13) + (112u << 23)));
    const float small = (float)rest * 5.9604644775390625e-8f; /* 2^-24 */
    return sign != 0 ? -small : small;
}

/* bfloat16 is a float's upper half. To nearest, ties to even; what is too large becomes infinity, subnormal numbers become zeros (as the
 * instructions for it have it), a NaN stays one. */
static inline float float_of_brain(uint16_t brain)
{
    return float_of_bits((uint32_t)brain << 16);
}

static inline uint16_t brain_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)(size < 0x00800000 ? bits >> 16 & 0x8000 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* Of a weight: at most the largest finite one. */
static inline uint16_t weight_brain(float value)
{
    const uint16_t brain = brain_of_float(value);
    return (uint16_t)((brain & 0x7FFF) == 0x7F80 ? brain - 1 : brain);
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

#endif
