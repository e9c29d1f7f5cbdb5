#include "kernels/weights.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/scalar.h"

#define PANEL 16

static size_t panels_of(size_t n)
{
    return n / PANEL + (n % PANEL != 0);
}

size_t weights_k_padded(int32_t type, size_t k)
{
    const size_t step = type == WEIGHTS_S8 ? 4 : type == WEIGHTS_BF16 ? 2 : type == WEIGHTS_S4 ? WEIGHTS_GROUP : 1;
    return (k + step - 1) & ~(step - 1);
}

/* Bytes of a value that takes whole ones. */
static size_t value_bytes(int32_t type)
{
    return type == WEIGHTS_F32 ? 4 : type == WEIGHTS_BF16 ? 2 : 1;
}

/* a * b, SIZE_MAX when it overflows or a is SIZE_MAX already */
static size_t product(size_t a, size_t b)
{
    return a == SIZE_MAX || (b != 0 && a > SIZE_MAX / b) ? SIZE_MAX : a * b;
}

static size_t panel_bytes(int32_t type, size_t n, size_t k)
{
    size_t bytes = product(panels_of(n), PANEL);
    if (k > SIZE_MAX - WEIGHTS_GROUP)
        return SIZE_MAX;
    bytes = product(bytes, weights_k_padded(type, k));
    bytes = type == WEIGHTS_S4 && bytes != SIZE_MAX ? bytes / 2 : product(bytes, value_bytes(type));
    return bytes > SIZE_MAX - 64 ? SIZE_MAX : (bytes + 63) & ~(size_t)63;
}

size_t weights_bytes(int32_t type, size_t n, size_t k)
{
    if (type != WEIGHTS_F32 && type != WEIGHTS_BF16 && type != WEIGHTS_S8 && type != WEIGHTS_S4)
        return SIZE_MAX;
    size_t bytes = panel_bytes(type, n, k), row = product(product(panels_of(n), PANEL), 4);
    if (type == WEIGHTS_F32 || type == WEIGHTS_BF16 || bytes == SIZE_MAX || row == SIZE_MAX)
        return bytes;
    if (bytes > SIZE_MAX / 4 || row > SIZE_MAX / 4)
        return SIZE_MAX;
    if (type == WEIGHTS_S4) /* two bytes for each 32 values, which are 16 */
        return bytes + ((bytes / 8 + 63) & ~(size_t)63);
    return bytes + 2 * row; /* rows of 16 x 4 bytes: aligned as they are */
}

void weights_view(weights *w, int32_t type, size_t n, size_t k, const void *block)
{
    w->type = type;
    w->n = n;
    w->k = k;
    w->panels = block;
    w->scale = NULL;
    w->sums = NULL;
    w->group_scale = NULL;
    if (type == WEIGHTS_S4)
        w->group_scale = (const uint16_t *)(const void *)((const unsigned char *)block + panel_bytes(type, n, k));
    if (type == WEIGHTS_S8) {
        const unsigned char *scale = (const unsigned char *)block + panel_bytes(type, n, k);
        w->scale = (const float *)(const void *)scale;
        w->sums = (const int32_t *)(const void *)(scale + panels_of(n) * PANEL * 4);
    }
}

static void pack_f32(size_t n, size_t k, const float *source, size_t stride, float *to)
{
    for (size_t p = 0; p < panels_of(n); p++)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < PANEL; j++, to++)
                *to = p * PANEL + j < n ? source[(p * PANEL + j) * stride + i] : 0;
}

static void pack_bf16(size_t n, size_t k, const float *source, size_t stride, uint16_t *to)
{
    const size_t padded = weights_k_padded(WEIGHTS_BF16, k);
    for (size_t p = 0; p < panels_of(n); p++)
        for (size_t i = 0; i < padded; i += 2)
            for (size_t j = 0; j < PANEL; j++)
                for (size_t b = i; b < i + 2; b++, to++)
                    *to = p * PANEL + j < n && b < k ? weight_brain(source[(p * PANEL + j) * stride + b]) : 0;
}

static float largest(const float *row, size_t k)
{
    float most = 0;
    for (size_t i = 0; i < k; i++)
        most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
    return most;
}

static double squared_error(const float *row, size_t k, float clip)
{
    float scale = clip / 127.0f, inverse = 127.0f / clip;
    double sum = 0;
    for (size_t i = 0; i < k; i++) {
        float e = row[i] - scale * (float)quantize_weight(row[i], inverse);
        sum += (double)e * e;
    }
    return sum;
}

float weights_clip(const float *row, size_t k)
{
    float most = largest(row, k), best = most;
    if (!(most > 0))
        return 0;
    double least = squared_error(row, k, most);
    for (int step = 49; step >= 30; step--) {
        float clip = most * (float)step / 50.0f;
        double error = squared_error(row, k, clip);
        if (error < least) {
            least = error;
            best = clip;
        }
    }
    return best;
}

static void pack_s8(size_t n, size_t k, const float *source, size_t stride, void *block)
{
    weights w;
    weights_view(&w, WEIGHTS_S8, n, k, block);
    int8_t *panels = block;
    float *scale = (float *)(uintptr_t)w.scale;
    int32_t *sums = (int32_t *)(uintptr_t)w.sums;
    size_t padded = weights_k_padded(WEIGHTS_S8, k), n16 = panels_of(n) * PANEL;
    memset(block, 0, weights_bytes(WEIGHTS_S8, n, k));
    for (size_t c = 0; c < n16; c++) {
        float clip = c < n ? weights_clip(source + c * stride, k) : 0, inverse = clip > 0 ? 127.0f / clip : 0;
        int8_t *to = panels + (c / PANEL) * padded * PANEL + (c % PANEL) * 4;
        scale[c] = clip / 127.0f;
        for (size_t i = 0; c < n && i < k; i++) {
            int8_t q = (int8_t)quantize_weight(source[c * stride + i], inverse);
            to[(i / 4) * (4 * PANEL) + i % 4] = q;
            sums[c] += q;
        }
    }
}

/* ---- 4 bits ---- */

static int32_t quantize_four(float v, float inverse)
{
    const float q = v * inverse;
    return (int32_t)round_even(q > 7.0f ? 7.0f : q > -8.0f ? q : -8.0f);
}

/* The scale of some values as a half: of those that put the value of largest magnitude at -8 or at 7, times 1.00, 0.96, ... 0.72, the one with
 * the least squared error. */
static uint16_t scale_four(const float *v, size_t n)
{
    float most = 0, least_error = 0;
    uint16_t best = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(v[i]) > fabsf(most) ? v[i] : most;
    for (int32_t try = 0; try < 16 && most != 0; try++) {
        const float reach = most * (1.0f - 0.04f * (float)(try / 2));
        const uint16_t half = half_from_float(try % 2 == 0 ? reach / -8.0f : reach / 7.0f);
        const float scale = float_of_half(half), inverse = scale != 0 ? 1.0f / scale : 0;
        float error = 0;
        for (size_t i = 0; i < n; i++) {
            const float off = v[i] - scale * (float)quantize_four(v[i], inverse);
            error += off * off;
        }
        if (isfinite(scale) && (try == 0 || error < least_error)) {
            best = half;
            least_error = error;
        }
    }
    return best;
}

static void pack_s4(size_t n, size_t k, const float *source, size_t stride, void *block)
{
    const size_t padded = weights_k_padded(WEIGHTS_S4, k), groups = padded / WEIGHTS_GROUP, bytes = panel_bytes(WEIGHTS_S4, n, k);
    unsigned char *panels = block;
    uint16_t *scales = (uint16_t *)(void *)(panels + bytes);
    memset(panels, 0x88, bytes);
    memset(scales, 0, weights_bytes(WEIGHTS_S4, n, k) - bytes);
    for (size_t c = 0; c < n; c++)
        for (size_t g = 0; g < groups; g++) {
            const size_t first = g * WEIGHTS_GROUP, count = k - first < WEIGHTS_GROUP ? k - first : WEIGHTS_GROUP;
            const float *v = source + c * stride + first;
            const uint16_t half = scale_four(v, count);
            const float scale = float_of_half(half), inverse = scale != 0 ? 1.0f / scale : 0;
            scales[(c / PANEL * groups + g) * PANEL + c % PANEL] = half;
            for (size_t i = 0; i < count; i++) {
                unsigned char *at = panels + (c / PANEL * padded + first + i) / 2 * PANEL + c % PANEL;
                const int32_t q = quantize_four(v[i], inverse) + 8;
                *at = (unsigned char)(i % 2 == 0 ? (*at & 0xF0) | q : (*at & 0x0F) | q << 4);
            }
        }
}

float weights_four(const weights *w, size_t channel, size_t i)
{
    const size_t padded = weights_k_padded(WEIGHTS_S4, w->k), panel = channel / PANEL, j = channel % PANEL;
    const unsigned char byte = ((const unsigned char *)w->panels)[(panel * padded + i) / 2 * PANEL + j];
    const uint16_t half = w->group_scale[(panel * (padded / WEIGHTS_GROUP) + i / WEIGHTS_GROUP) * PANEL + j];
    return (float)((i % 2 == 0 ? byte & 15 : byte >> 4) - 8) * float_of_half(half);
}

float weights_brain(const weights *w, size_t channel, size_t i)
{
    const uint16_t *panel = (const uint16_t *)w->panels + channel / PANEL * weights_k_padded(WEIGHTS_BF16, w->k) * PANEL;
    return float_of_brain(panel[i / 2 * (2 * PANEL) + channel % PANEL * 2 + i % 2]);
}

weights weights_columns(const weights *w, size_t first, size_t n)
{
    const size_t padded = weights_k_padded(w->type, w->k), bytes = first * padded * value_bytes(w->type);
    weights to = *w;
    to.n = n;
    to.panels = (const char *)w->panels + (w->type == WEIGHTS_S4 ? bytes / 2 : bytes);
    to.scale = w->scale != NULL ? w->scale + first : NULL;
    to.sums = w->sums != NULL ? w->sums + first : NULL;
    to.group_scale = w->group_scale != NULL ? w->group_scale + first * (padded / WEIGHTS_GROUP) : NULL;
    return to;
}

void weights_pack(int32_t type, size_t n, size_t k, const float *source, size_t stride, void *block)
{
    if (weights_bytes(type, n, k) == 0) /* there may be no block either */
        return;
    if (type == WEIGHTS_F32)
        pack_f32(n, k, source, stride, block);
    else if (type == WEIGHTS_BF16)
        pack_bf16(n, k, source, stride, block);
    else if (type == WEIGHTS_S4)
        pack_s4(n, k, source, stride, block);
    else
        pack_s8(n, k, source, stride, block);
}

void weights_pack_s8(size_t n, size_t k, const int8_t *source, const float *scales, void *block)
{
    const size_t padded = weights_k_padded(WEIGHTS_S8, k), rows = panels_of(n) * PANEL, bytes = panel_bytes(WEIGHTS_S8, n, k);
    int8_t *panels = block;
    float *scale = (float *)(void *)((unsigned char *)block + bytes);
    int32_t *sums = (int32_t *)(void *)(scale + rows);
    memset(panels, 0, bytes);
    for (size_t c = 0; c < rows; c++) {
        int8_t *to = panels + (c / PANEL) * padded * PANEL + (c % PANEL) * 4;
        scale[c] = c < n ? scales[c] : 0;
        sums[c] = 0;
        for (size_t i = 0; c < n && i < k; i++) {
            to[(i / 4) * (4 * PANEL) + i % 4] = source[c * k + i];
            sums[c] += source[c * k + i];
        }
    }
}

void weights_unpack(const weights *w, float *out, size_t stride)
{
    size_t padded = weights_k_padded(w->type, w->k);
    for (size_t c = 0; c < w->n; c++)
        for (size_t i = 0; i < w->k; i++) {
            if (w->type == WEIGHTS_S4) {
                out[c * stride + i] = weights_four(w, c, i);
            } else if (w->type == WEIGHTS_BF16) {
                out[c * stride + i] = weights_brain(w, c, i);
            } else if (w->type == WEIGHTS_F32) {
                const float *panel = (const float *)w->panels + (c / PANEL) * w->k * PANEL;
                out[c * stride + i] = panel[i * PANEL + c % PANEL];
            } else {
                const int8_t *panel = (const int8_t *)w->panels + (c / PANEL) * padded * PANEL;
                out[c * stride + i] = w->scale[c] * (float)panel[(i / 4) * (4 * PANEL) + (c % PANEL) * 4 + i % 4];
            }
        }
}
