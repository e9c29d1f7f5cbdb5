#include "kernels/scalar.h"

#include "kernels/gelu_table.h"
#include "kernels/kernels.h"

float scalar_exp(float x)
{
    if (!(x <= EXP_MOST))
        return x != x ? x : float_of_bits(0x7F800000u);
    if (x < EXP_LEAST)
        return 0;
    float n = round_even(x * EXP_LOG2E);
    float r = x - n * EXP_LN2_HIGH;
    r = r - n * EXP_LN2_LOW;
    float p = EXP_C7;
    p = p * r + EXP_C6;
    p = p * r + EXP_C5;
    p = p * r + EXP_C4;
    p = p * r + EXP_C3;
    p = p * r + EXP_C2;
    p = p * (r * r) + r;
    p = p + 1.0f;
    /* 2^n in two steps, so that neither overflow nor the subnormals come too early */
    int32_t e = (int32_t)n, half = e / 2;
    return p * float_of_bits((uint32_t)(half + 127) << 23) * float_of_bits((uint32_t)(e - half + 127) << 23);
}

float scalar_gelu_erf(float x)
{
    const float z = x < 0 ? -x : x, positive = x < 0 ? 0 : x;
    if (!(z < 15 * GELU_WIDTH)) /* NaN too */
        return positive;
    const float scaled = z * (1.0f / GELU_WIDTH), n = round_even(scaled), t = scaled - n;
    const int32_t interval = (int32_t)n;
    float q = gelu_table[4][interval];
    for (int32_t power = 3; power >= 0; power--)
        q = q * t + gelu_table[power][interval];
    return positive - z * q;
}

float scalar_tanh(float x)
{
    float z = x < 0 ? -x : x, t;
    if (z > 9.1f)
        t = 1.0f;
    else if (z < 0.12f) /* the series: the quotient would lose digits */
        t = z * (1.0f + z * z * (-0.33333334f + z * z * (0.13333334f - z * z * 0.053968254f)));
    else {
        float e = scalar_exp(-2.0f * z);
        t = (1.0f - e) / (1.0f + e);
    }
    return x < 0 ? -t : x == x ? t : x;
}

float scalar_sigmoid(float x)
{
    float e = scalar_exp(x < 0 ? x : -x);
    return x < 0 ? e / (1.0f + e) : 1.0f / (1.0f + e);
}

/* significand / 2^shift, to nearest, ties to even */
static uint32_t shifted(uint32_t significand, uint32_t shift)
{
    const uint32_t kept = significand >> shift, rest = significand & ((1u << shift) - 1), half = 1u << (shift - 1);
    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
    if (exponent == 0xFF) /* infinity stays, NaN stays one */
        return (uint16_t)(sign | 0x7C00 | (fraction != 0 ? 0x200 : 0));
    if (exponent >= 113) { /* a normal number: a carry out of the fraction goes into the exponent as it should */
        const uint32_t rounded = ((exponent - 112) << 10) + shifted(fraction, 13);
        return (uint16_t)(sign | (rounded < 0x7C00 ? rounded : 0x7C00));
    }
    if (exponent < 102) /* below half of the smallest */
        return (uint16_t)sign;
    return (uint16_t)(sign | shifted(fraction | 0x800000, 126 - exponent));
}
