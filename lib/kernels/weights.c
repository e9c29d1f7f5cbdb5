#include "kernels/weights.h"

#include <math.h>
#include <string.h>

#include "kernels/scalar.h"

#define PANEL 16

static size_t panels_of(size_t n)
{
    return n / PANEL + (n % PANEL != 0);
}

size_t weights_k_padded(int32_t type, size_t k)
{
    return type == WEIGHTS_S8 ? (k + 3) & ~(size_t)3 : k;
}

/* a * b, SIZE_MAX when it overflows or a is SIZE_MAX already */
static size_t product(size_t a, size_t b)
{
    return a == SIZE_MAX || (b != 0 && a > SIZE_MAX / b) ? SIZE_MAX : a * b;
}

static size_t panel_bytes(int32_t type, size_t n, size_t k)
{
    size_t bytes = product(panels_of(n), PANEL);
    if (k > SIZE_MAX - 4)
        return SIZE_MAX;
    bytes = product(bytes, weights_k_padded(type, k));
    bytes = product(bytes, type == WEIGHTS_F32 ? 4 : 1);
    return bytes > SIZE_MAX - 64 ? SIZE_MAX : (bytes + 63) & ~(size_t)63;
}

size_t weights_bytes(int32_t type, size_t n, size_t k)
{
    if (type != WEIGHTS_F32 && type != WEIGHTS_S8)
        return SIZE_MAX;
    size_t bytes = panel_bytes(type, n, k), row = product(product(panels_of(n), PANEL), 4);
    if (type == WEIGHTS_F32 || bytes == SIZE_MAX || row == SIZE_MAX)
        return bytes;
    if (bytes > SIZE_MAX / 4 || row > SIZE_MAX / 4)
        return SIZE_MAX;
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

void weights_pack(int32_t type, size_t n, size_t k, const float *source, size_t stride, void *block)
{
    if (weights_bytes(type, n, k) == 0) /* there may be no block either */
        return;
    if (type == WEIGHTS_F32)
        pack_f32(n, k, source, stride, block);
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
            if (w->type == WEIGHTS_F32) {
                const float *panel = (const float *)w->panels + (c / PANEL) * w->k * PANEL;
                out[c * stride + i] = panel[i * PANEL + c % PANEL];
            } else {
                const int8_t *panel = (const int8_t *)w->panels + (c / PANEL) * padded * PANEL;
                out[c * stride + i] = w->scale[c] * (float)panel[(i / 4) * (4 * PANEL) + (c % PANEL) * 4 + i % 4];
            }
        }
}
