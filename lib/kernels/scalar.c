#include "kernels/scalar.h"

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
    float z = x < 0 ? -x : x;
    float u = z * SQRT_HALF;
    float t = 1.0f / (1.0f + ERFC_P * u);
    float p = ERFC_A5;
    p = p * t + ERFC_A4;
    p = p * t + ERFC_A3;
    p = p * t + ERFC_A2;
    p = p * t + ERFC_A1;
    float half_erfc = 0.5f * (p * t) * scalar_exp(-(u * u));
    if (z > 14.0f) /* the tail is below the smallest float; infinity times zero must not give NaN */
        return x < 0 ? -0.0f : x;
    return x < 0 ? x * half_erfc : x - x * half_erfc;
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
