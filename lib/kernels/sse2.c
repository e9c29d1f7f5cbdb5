/* SSE2, what every x86-64 has: 4 floats, no fused multiply-add, 16 registers. */
#include <emmintrin.h>

#define LEVEL_NAME "sse2"
#define LEVEL_BIT ECREC_CPU_SSE2
#define LEVEL_TABLE kernels_sse2

#define LANES 4
#define TILE_ROWS 3
#define TILE_PANELS 1

typedef __m128 vf;
typedef __m128i vi;
#define vf_load _mm_loadu_ps
#define vf_store _mm_storeu_ps
#define vf_set _mm_set1_ps
#define vf_add _mm_add_ps
#define vf_sub _mm_sub_ps
#define vf_mul _mm_mul_ps
#define vf_div _mm_div_ps
#define vf_sqrt _mm_sqrt_ps
#define vf_fma(a, b, c) _mm_add_ps(_mm_mul_ps((a), (b)), (c))
#define vf_fnma(a, b, c) _mm_sub_ps((c), _mm_mul_ps((a), (b)))
#define vf_max _mm_max_ps
#define vf_abs(x) _mm_andnot_ps(_mm_set1_ps(-0.0f), (x))
#define vf_min _mm_min_ps
#define vf_first _mm_cvtss_f32
#define vi_set _mm_set1_epi32
#define SEARCH_QUERIES 2
#define vi_and _mm_and_si128
#define vi_high(v) _mm_srli_epi32((v), 4)
#define vf_brain_low(v) _mm_castsi128_ps(_mm_slli_epi32((v), 16))
#define vf_brain_high(v) _mm_castsi128_ps(_mm_and_si128((v), _mm_set1_epi32((int)0xFFFF0000u)))
#define vi_sub _mm_sub_epi32
#define vi_load(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define vi_to_vf _mm_cvtepi32_ps

static inline __m128 select(__m128 mask, __m128 x, __m128 y)
{
    return _mm_or_ps(_mm_and_ps(mask, x), _mm_andnot_ps(mask, y));
}
#define vf_less(a, b, x, y) select(_mm_cmplt_ps((a), (b)), (x), (y))
#define vf_nan(x, y) select(_mm_cmpunord_ps((x), (x)), (x), (y))

/* For |x| < 2^22, which is all that is asked: exponents of exp, and what becomes a byte. */
static inline __m128 vf_round(__m128 x)
{
    const __m128 magic = _mm_set1_ps(12582912.0f);
    return _mm_sub_ps(_mm_add_ps(x, magic), magic);
}

/* Halves as the exponent and fraction of floats that are 2^-112 times too large; what was infinite or NaN gets its exponent back. */
static inline __m128 vf_load_half(const unsigned short *p)
{
    const __m128i h = _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p), _mm_setzero_si128());
    const __m128i rest = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x7FFF)), 13), sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    const __m128i special = _mm_and_si128(_mm_cmpgt_epi32(rest, _mm_set1_epi32(0x0F7FFFFF)), _mm_set1_epi32(0x7F800000));
    const __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(rest), _mm_castsi128_ps(_mm_set1_epi32(0x77800000)));
    return _mm_or_ps(_mm_or_ps(scaled, _mm_castsi128_ps(special)), _mm_castsi128_ps(sign));
}

static inline __m128 vf_load_brain(const unsigned short *p)
{
    return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline __m128i vi_bytes(const unsigned char *p)
{
    int four;
    __builtin_memcpy(&four, p, 4);
    return _mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_setzero_si128()), _mm_setzero_si128());
}

static inline int vi_total(__m128i v)
{
    const __m128i s = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static inline __m128i vi_mul(__m128i a, __m128i b)
{
    const __m128i even = _mm_mul_epu32(a, b), odd = _mm_mul_epu32(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32));
    return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
}

static inline __m128 vf_load_some(const float *p, unsigned long n)
{
    float four[4] = { 0, 0, 0, 0 };
    __builtin_memcpy(four, p, (n & 3) * sizeof(float));
    return _mm_loadu_ps(four);
}

static inline void vf_store_some(float *p, __m128 v, unsigned long n)
{
    float four[4];
    _mm_storeu_ps(four, v);
    __builtin_memcpy(p, four, (n & 3) * sizeof(float));
}

/* x * 2^n by two factors, each of which is a normal number for |n| <= 252. */
static inline __m128 vf_scale(__m128 x, __m128 n)
{
    const __m128i whole = _mm_cvtps_epi32(n), half = _mm_srai_epi32(whole, 1), rest = _mm_sub_epi32(whole, half), bias = _mm_set1_epi32(127);
    const __m128 a = _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(half, bias), 23));
    const __m128 b = _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(rest, bias), 23));
    return _mm_mul_ps(_mm_mul_ps(x, a), b);
}

static inline __m128 vf_of_s8(const signed char *p)
{
    int four;
    __builtin_memcpy(&four, p, 4);
    const __m128i bytes = _mm_cvtsi32_si128(four), words = _mm_unpacklo_epi8(bytes, bytes); /* each byte on top of itself */
    return _mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(words, words), 24));
}

static inline float vf_sum(__m128 v)
{
    const __m128 s = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float vf_highest(__m128 v)
{
    const __m128 s = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline __m128 vf_pick(const float *table, __m128 v)
{
    int index[4];
    _mm_storeu_si128((__m128i *)(void *)index, _mm_castps_si128(v));
    return _mm_setr_ps(table[index[0] & 15], table[index[1] & 15], table[index[2] & 15], table[index[3] & 15]);
}

/* n values in 0 .. 256 as bytes, at most 255. */
static inline void bytes_store(unsigned char *to, __m128 v, unsigned long n)
{
    const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(v), _mm_setzero_si128());
    const int four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(to, &four, n);
}

#define vf_unpack_low _mm_unpacklo_ps
#define vf_unpack_high _mm_unpackhi_ps
#define vf_unpack_low2 _mm_movelh_ps
#define vf_unpack_high2(a, b) _mm_movehl_ps((b), (a))

static inline void columns_of(const __m128 *a, __m128 *t)
{
    for (int c = 0; c < 4; c++)
        t[c] = a[c];
}

#include "kernels/simd.h"

static int32_t dot_s8(size_t n, const int8_t *a, const int8_t *b)
{
    const __m128i none = _mm_setzero_si128();
    __m128i sum = none;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)(a + i)), y = _mm_loadl_epi64((const __m128i *)(const void *)(b + i));
        sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi8(x, _mm_cmpgt_epi8(none, x)), _mm_unpacklo_epi8(y, _mm_cmpgt_epi8(none, y))));
    }
    int32_t total = vi_total(sum);
    for (; i < n; i++)
        total += (int32_t)a[i] * b[i];
    return total;
}

#define S8_ROWS 4
#define S8_VECTORS 2
#define WIDENED 8
#define vi_add _mm_add_epi32
#define vi_madd _mm_madd_epi16

static inline __m128i vi_widen(const int8_t *p)
{
    const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm_unpacklo_epi8(x, _mm_cmpgt_epi8(_mm_setzero_si128(), x));
}

static inline void vi_widen_bytes(const uint8_t *q, int16_t *to)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)q);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi8(bytes, _mm_setzero_si128()));
}

static inline __m128i vi_four(const int16_t *p)
{
    const __m128i words = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm_unpacklo_epi64(words, words);
}

static inline __m128i vi_pairs(__m128i a, __m128i b)
{
    const __m128 x = _mm_castsi128_ps(a), y = _mm_castsi128_ps(b);
    return _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps(x, y, 0x88)), _mm_castps_si128(_mm_shuffle_ps(x, y, 0xdd)));
}
#include "kernels/simd_madd.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
