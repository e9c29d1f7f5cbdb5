/* AVX2 with FMA: 8 floats. Included by avx2.c and avxvnni.c, which differ in their s8 product. */
#include <immintrin.h>

#define LANES 8
#define TILE_ROWS 6
#define TILE_PANELS 1

typedef __m256 vf;
typedef __m256i vi;
#define vf_load _mm256_loadu_ps
#define vf_store _mm256_storeu_ps
#define vf_set _mm256_set1_ps
#define vf_add _mm256_add_ps
#define vf_sub _mm256_sub_ps
#define vf_mul _mm256_mul_ps
#define vf_div _mm256_div_ps
#define vf_sqrt _mm256_sqrt_ps
#define vf_fma _mm256_fmadd_ps
#define vf_fnma _mm256_fnmadd_ps
#define vf_max _mm256_max_ps
#define vf_abs(x) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), (x))
#define vf_min _mm256_min_ps
#define vf_round(x) _mm256_round_ps((x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vf_first _mm256_cvtss_f32
#define vf_less(a, b, x, y) _mm256_blendv_ps((y), (x), _mm256_cmp_ps((a), (b), _CMP_LT_OQ))
#define vf_nan(x, y) _mm256_blendv_ps((y), (x), _mm256_cmp_ps((x), (x), _CMP_UNORD_Q))
#define vf_unpack_low _mm256_unpacklo_ps
#define vf_unpack_high _mm256_unpackhi_ps
#define vf_unpack_low2(a, b) _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#define vf_unpack_high2(a, b) _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#define vi_set _mm256_set1_epi32
#define vi_xor _mm256_xor_si256
#define vi_and _mm256_and_si256
#define vi_high(v) _mm256_srli_epi32((v), 4)
#define vi_bytes(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define SEARCH_QUERIES 2
#define vf_load_half(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vf_load_brain(p) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))), 16))
#define vf_brain_low(v) _mm256_castsi256_ps(_mm256_slli_epi32((v), 16))
#define vf_brain_high(v) _mm256_castsi256_ps(_mm256_and_si256((v), _mm256_set1_epi32((int)0xFFFF0000u)))
#define vi_sub _mm256_sub_epi32
#define vi_mul _mm256_mullo_epi32
#define vi_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vf_of_s8(p) _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define vi_to_vf _mm256_cvtepi32_ps

static inline __m256i first_lanes(unsigned long n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#define vf_load_some(p, n) _mm256_maskload_ps((p), first_lanes(n))
#define vf_store_some(p, v, n) _mm256_maskstore_ps((p), first_lanes(n), (v))

/* x * 2^n by two factors, each of which is a normal number for |n| <= 252. */
static inline vf vf_scale(vf x, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}

static inline int vi_total(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static inline float vf_sum(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float vf_highest(vf v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* n values in 0 .. 256 as bytes, at most 255. */
static inline void bytes_store(unsigned char *to, vf v, unsigned long n)
{
    __m256i whole = _mm256_cvtps_epi32(v);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    unsigned char bytes[16];
    _mm_storeu_si128((__m128i *)(void *)bytes, _mm_packus_epi16(words, words));
    __builtin_memcpy(to, bytes, n);
}

static inline __attribute__((always_inline)) __m256i words_of(__m256 a, __m256 b, __m256i more)
{
    return _mm256_packs_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(a), more), _mm256_add_epi32(_mm256_cvtps_epi32(b), more));
}

#define bytes_of_four bytes_of_four
static inline __attribute__((always_inline)) void bytes_of_four(unsigned char *to, const __m256 *x, __m256i more)
{
    const __m256i bytes = _mm256_packus_epi16(words_of(x[0], x[1], more), words_of(x[2], x[3], more));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

/* Two tables of 8; the fourth bit, moved to the sign, says which. */
static inline __m256 vf_pick(const float *table, __m256 v)
{
    const __m256i index = _mm256_castps_si256(v);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

static inline __attribute__((always_inline)) void columns_of(const __m256 *a, __m256 *t)
{
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        t[c] = _mm256_permute2f128_ps(a[c], a[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(a[c], a[4 + c], 0x31);
    }
}

#include "kernels/simd.h"

static int32_t dot_s8(size_t n, const int8_t *a, const int8_t *b)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(a + i)));
        __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(b + i)));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
    }
    int32_t total = vi_total(sum);
    for (; i < n; i++)
        total += (int32_t)a[i] * b[i];
    return total;
}
