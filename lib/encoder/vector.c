#include "encoder/vector.h"

#include <math.h>
#include <string.h>

#include "model/tensor.h"

void vector_normalize(float *v, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)v[i] * v[i];
    const double length = sqrt(squares);
    const float inverse = (float)(1.0 / (length > 1e-12 ? length : 1e-12));
    for (size_t i = 0; i < n; i++)
        v[i] *= inverse;
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

static void store_s8(const float *v, size_t n, int8_t *out, float *scale)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fabsf(v[i]) > largest ? fabsf(v[i]) : largest;
    const double inverse = largest > 0 ? 127.0 / (double)largest : 0;
    *scale = largest / 127.0f;
    for (size_t i = 0; i < n; i++) {
        const double q = v[i] * inverse;
        out[i] = (int8_t)(q > -128 && q < 0 ? q - 0.5 : q >= 0 && q < 128 ? q + 0.5 : 0);
    }
}

void vector_store(int32_t type, const float *v, size_t n, void *out, float *scale)
{
    switch (type) {
    case TYPE_F16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)out)[i] = half_from_float(v[i]);
        return;
    case TYPE_S8:
        store_s8(v, n, out, scale);
        return;
    default:
        memcpy(out, v, n * sizeof *v);
    }
}
