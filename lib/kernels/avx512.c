/* AVX-512 without VNNI: bytes are widened to 16 bits, so that every product and sum is exact (maddubs would saturate). */
#include <immintrin.h>

#define LEVEL_NAME "avx512"
#define LEVEL_BIT ECREC_CPU_AVX512
#define LEVEL_TABLE kernels_avx512
#include "kernels/avx512_body.h"

#define S8_ROWS 4
#define S8_VECTORS 4
#define WIDENED 32
#define vi_add _mm512_add_epi32
#define vi_madd _mm512_madd_epi16
#define vi_widen(p) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))

#define vi_four(p) _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(p)))

static inline void vi_widen_bytes(const uint8_t *q, int16_t *to)
{
    _mm512_storeu_si512(to, _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)q)));
}

static inline __m512i vi_pairs(__m512i a, __m512i b)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b));
}
#include "kernels/simd_madd.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
