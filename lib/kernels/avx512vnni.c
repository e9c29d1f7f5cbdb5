/* AVX-512 with VNNI: four byte products and their sum in one instruction, without saturation. */
#include <immintrin.h>

#define LEVEL_NAME "avx512vnni"
#define LEVEL_BIT ECREC_CPU_AVX512VNNI
#define LEVEL_TABLE kernels_avx512vnni
#include "kernels/avx512_body.h"

/* `rows` and `panels` are constants where this is inlined. */
INLINE void tile_s8(const int rows, const int panels, const gemm_s8_call *c, const store *s, size_t row, size_t column)
{
    size_t k = weights_k_padded(WEIGHTS_S8, c->w->k);
    const int8_t *w = (const int8_t *)c->w->panels + column * k;
    const uint8_t *q = c->q + row * c->q_stride;
    __m512i acc[TILE_ROWS][TILE_PANELS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels; p++)
            acc[r][p] = _mm512_setzero_si512();
    for (size_t i = 0; i < k; i += 4) {
        __m512i b[TILE_PANELS];
        UNROLL
        for (int p = 0; p < panels; p++)
            b[p] = _mm512_loadu_si512((const void *)(w + (size_t)p * k * PANEL + i * PANEL));
        UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, q + (size_t)r * c->q_stride + i, 4);
            __m512i a = _mm512_set1_epi32(four);
            UNROLL
            for (int p = 0; p < panels; p++)
                acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], a, b[p]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels; p++)
            store_sums(c, s, row + (size_t)r, column + (size_t)p * PANEL, acc[r][p]);
}

#define S8_CASE(rows_, panels_)                         \
    case rows_:                                         \
        tile_s8(rows_, panels_, c, s, row, column);     \
        break;
#define S8_SWITCH(panels_)                                                                                        \
    static void tile_s8_##panels_(int rows, const gemm_s8_call *c, const store *s, size_t row, size_t column)     \
    {                                                                                                             \
        switch (rows) {                                                                                           \
            S8_CASE(1, panels_)                                                                                   \
            S8_CASE(2, panels_)                                                                                   \
            S8_CASE(3, panels_)                                                                                   \
            S8_CASE(4, panels_)                                                                                   \
            S8_CASE(5, panels_)                                                                                   \
            S8_CASE(6, panels_)                                                                                   \
            S8_CASE(7, panels_)                                                                                   \
            S8_CASE(8, panels_)                                                                                   \
        default: break;                                                                                           \
        }                                                                                                         \
    }
S8_SWITCH(1)
S8_SWITCH(2)
S8_SWITCH(3)

static void gemm_s8(const gemm_s8_call *c)
{
    size_t n = c->w->n, step = TILE_PANELS * PANEL;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        for (size_t row = 0; row < c->m; row += TILE_ROWS) {
            int rows = (int)(c->m - row < TILE_ROWS ? c->m - row : TILE_ROWS);
            if (panels == 3)
                tile_s8_3(rows, c, &s, row, column);
            else if (panels == 2)
                tile_s8_2(rows, c, &s, row, column);
            else
                tile_s8_1(rows, c, &s, row, column);
        }
    }
}

#include "kernels/simd_table.h"
