#include "kernels/pointwise.h"

#include <math.h>

#include "kernels/scalar.h"

static void turn(size_t heads, size_t size, float *x, size_t stride, const float *table, float sign)
{
    const size_t half = size / 2;
    for (size_t h = 0; h < heads; h++) {
        float *a = x + h * stride, *b = a + half;
        for (size_t i = 0; i < half; i++) {
            const float cosine = table[i], sine = sign * table[half + i], low = a[i], high = b[i];
            a[i] = low * cosine - high * sine;
            b[i] = high * cosine + low * sine;
        }
    }
}

void rotate_heads(size_t heads, size_t size, float *x, size_t stride, const float *table)
{
    turn(heads, size, x, stride, table, 1.0f);
}

void unrotate_heads(size_t heads, size_t size, float *x, size_t stride, const float *table)
{
    turn(heads, size, x, stride, table, -1.0f);
}

void add_brains(size_t n, const uint16_t *row, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] += float_of_brain(row[i]);
}

float brain_dot(size_t n, const uint16_t *row, const float *vector)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += float_of_brain(row[i]) * vector[i];
    return sum;
}

void multiply_rows(size_t rows, size_t n, float *a, const float *b, size_t stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            a[r * stride + i] *= b[r * stride + i];
}

uint32_t relative_bucket(int64_t key_minus_query, uint32_t buckets, uint32_t distance)
{
    const uint32_t half = buckets / 2, exact = half / 2, first = key_minus_query > 0 ? half : 0;
    const uint64_t d = (uint64_t)(key_minus_query > 0 ? key_minus_query : -key_minus_query);
    if (d < exact)
        return first + (uint32_t)d;
    /* in float32, as the reference computes it: the borders between buckets depend on it */
    const float ratio = logf((float)d / (float)exact) / (float)log((double)distance / exact);
    const uint32_t more = (uint32_t)(ratio * (float)(half - exact));
    return first + (exact + more < half ? exact + more : half - 1);
}
