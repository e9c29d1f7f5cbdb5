#include "encoder/vector.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
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
