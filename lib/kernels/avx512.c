/* AVX-512 without VNNI: bytes are widened to 16 bits, so that every product and sum is exact (maddubs would saturate). */
#include <immintrin.h>

#define LEVEL_NAME "avx512"
#define LEVEL_BIT ECREC_CPU_AVX512
#define LEVEL_TABLE kernels_avx512
#include "kernels/avx512_body.h"

#define S8_ROWS 4
#define S8_PANELS 2

/* `rows` and `panels` are constants where this is inlined. A panel's step is 16 channels of 4 bytes: 8 channels a half. */
INLINE void tile_s8(const int rows, const int panels, const gemm_s8_call *c, const store *s, size_t row, size_t column)
{
    size_t k = weights_k_padded(WEIGHTS_S8, c->w->k);
    const int8_t *w = (const int8_t *)c->w->panels + column * k;
    const uint8_t *q = c->q + row * c->q_stride;
    __m512i acc[S8_ROWS][S8_PANELS * 2];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * 2; p++)
            acc[r][p] = _mm512_setzero_si512();
    for (size_t i = 0; i < k; i += 4) {
        __m512i b[S8_PANELS * 2];
        UNROLL
        for (int p = 0; p < panels * 2; p++) {
            const int8_t *from = w + (size_t)(p / 2) * k * PANEL + i * PANEL + (p % 2) * 32;
            b[p] = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, q + (size_t)r * c->q_stride + i, 4);
            __m512i a = _mm512_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
            UNROLL
            for (int p = 0; p < panels * 2; p++)
                acc[r][p] = _mm512_add_epi32(acc[r][p], _mm512_madd_epi16(a, b[p]));
        }
    }
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels; p++) {
            __m512i sums = _mm512_add_epi32(_mm512_permutex2var_epi32(acc[r][2 * p], even, acc[r][2 * p + 1]),
                                            _mm512_permutex2var_epi32(acc[r][2 * p], odd, acc[r][2 * p + 1]));
            store_sums(c, s, row + (size_t)r, column + (size_t)p * PANEL, sums);
        }
}

static void gemm_s8(const gemm_s8_call *c)
{
    size_t n = c->w->n;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += S8_PANELS * PANEL) {
        int two = n - column > PANEL;
        size_t row = 0;
        for (; row + S8_ROWS <= c->m; row += S8_ROWS) {
            if (two)
                tile_s8(S8_ROWS, 2, c, &s, row, column);
            else
                tile_s8(S8_ROWS, 1, c, &s, row, column);
        }
        for (; row < c->m; row++) {
            if (two)
                tile_s8(1, 2, c, &s, row, column);
            else
                tile_s8(1, 1, c, &s, row, column);
        }
        if (c->epilogue != EPILOGUE_NONE)
            finish_tile(&s, 0, c->m, column, S8_PANELS * PANEL);
    }
}

#include "kernels/simd_table.h"
