/* AVX-512 F, BW, VL, DQ: 16 floats. Included by avx512.c and avx512vnni.c, which differ in their s8 product. */
#include <immintrin.h>

#define LANES 16
#define TILE_ROWS 8
#define TILE_PANELS 3

typedef __m512 vf;
typedef __m512i vi;
#define vf_load _mm512_loadu_ps
#define vf_store _mm512_storeu_ps
#define vf_set _mm512_set1_ps
#define vf_add _mm512_add_ps
#define vf_sub _mm512_sub_ps
#define vf_mul _mm512_mul_ps
#define vf_div _mm512_div_ps
#define vf_sqrt _mm512_sqrt_ps
#define vf_fma _mm512_fmadd_ps
#define vf_fnma _mm512_fnmadd_ps
#define vf_max _mm512_max_ps
#define vf_abs _mm512_abs_ps
#define vf_min _mm512_min_ps
#define vf_round(x) _mm512_roundscale_ps((x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vf_first _mm512_cvtss_f32
#define vf_less(a, b, x, y) _mm512_mask_blend_ps(_mm512_cmp_ps_mask((a), (b), _CMP_LT_OQ), (y), (x))
#define vf_nan(x, y) _mm512_mask_blend_ps(_mm512_cmp_ps_mask((x), (x), _CMP_UNORD_Q), (y), (x))
#define vf_scale _mm512_scalef_ps
#define vf_scale_any
#define vf_unpack_low _mm512_unpacklo_ps
#define vf_unpack_high _mm512_unpackhi_ps
#define vf_unpack_low2(a, b) _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#define vf_unpack_high2(a, b) _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#define vf_pick(table, v) _mm512_permutexvar_ps(_mm512_castps_si512(v), _mm512_loadu_ps(table))
#define vi_set _mm512_set1_epi32
#define vi_xor _mm512_xor_si512
#define vi_and _mm512_and_si512
#define vi_high(v) _mm512_srli_epi32((v), 4)
#define vi_bytes(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vi_total _mm512_reduce_add_epi32
#define SEARCH_QUERIES 4
#define vf_load_half(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define vf_load_brain(p) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(p))), 16))
#define vf_brain_low(v) _mm512_castsi512_ps(_mm512_slli_epi32((v), 16))
#define vf_brain_high(v) _mm512_castsi512_ps(_mm512_and_si512((v), _mm512_set1_epi32((int)0xFFFF0000u)))
#define vi_sub _mm512_sub_epi32
#define vi_mul _mm512_mullo_epi32
#define vi_load(p) _mm512_loadu_si512((const void *)(p))
#define vf_of_s8(p) _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define vi_to_vf _mm512_cvtepi32_ps
#define first_lanes(n) ((__mmask16)((1u << (n)) - 1))
#define vf_load_some(p, n) _mm512_maskz_loadu_ps(first_lanes(n), (p))
#define vf_store_some(p, v, n) _mm512_mask_storeu_ps((p), first_lanes(n), (v))

static inline float vf_sum(vf v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float vf_highest(vf v)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* n values in 0 .. 256 as bytes, at most 255. */
static inline void bytes_store(unsigned char *to, vf v, unsigned long n)
{
    const __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(v));
    if (n == LANES)
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    else
        _mm_mask_storeu_epi8(to, (__mmask16)((1u << n) - 1), bytes);
}

static inline __attribute__((always_inline)) __m512i words_of(__m512 a, __m512 b, __m512i more)
{
    return _mm512_packs_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(a), more), _mm512_add_epi32(_mm512_cvtps_epi32(b), more));
}

#define bytes_of_four bytes_of_four
static inline __attribute__((always_inline)) void bytes_of_four(unsigned char *to, const __m512 *x, __m512i more)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_packus_epi16(words_of(x[0], x[1], more), words_of(x[2], x[3], more));
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, bytes));
}

static inline __attribute__((always_inline)) void columns_of(const __m512 *a, __m512 *t)
{
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const __m512 even = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88), odd = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
        const __m512 even2 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88), odd2 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
        t[c] = _mm512_shuffle_f32x4(even, even2, 0x88);
        t[4 + c] = _mm512_shuffle_f32x4(odd, odd2, 0x88);
        t[8 + c] = _mm512_shuffle_f32x4(even, even2, 0xdd);
        t[12 + c] = _mm512_shuffle_f32x4(odd, odd2, 0xdd);
    }
}

#include "kernels/simd.h"

static int32_t dot_s8(size_t n, const int8_t *a, const int8_t *b)
{
    __m512i sum = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m512i x = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(a + i)));
        __m512i y = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(b + i)));
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(x, y));
    }
    int32_t total = _mm512_reduce_add_epi32(sum);
    for (; i < n; i++)
        total += (int32_t)a[i] * b[i];
    return total;
}
