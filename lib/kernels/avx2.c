/* AVX2 with FMA and F16C. */
#define LEVEL_NAME "avx2"
#define LEVEL_BIT ECREC_CPU_AVX2
#define LEVEL_TABLE kernels_avx2
#include "kernels/avx2_body.h"

#define S8_ROWS 4
#define S8_VECTORS 2 /* half a panel: what 16 registers hold */
#define WIDENED 16
#define vi_add _mm256_add_epi32
#define vi_madd _mm256_madd_epi16
#define vi_widen(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vi_pairs(a, b) _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8)

#define vi_four(p) _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(p)))

static inline void vi_widen_bytes(const uint8_t *q, int16_t *to)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)q)));
}
#include "kernels/simd_madd.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
