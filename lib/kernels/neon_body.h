/* AArch64 Advanced SIMD: 4 floats, 32 registers. Included by neon.c, neon_dotprod.c and neon_i8mm.c, which differ in their s8
 * product. Minimum and maximum give the second operand when one is NaN, as on x86. */
#include <arm_neon.h>

#define LANES 4
#define TILE_ROWS 6
#define TILE_PANELS 1

typedef float32x4_t vf;
typedef int32x4_t vi;
#define vf_load vld1q_f32
#define vf_store vst1q_f32
#define vf_set vdupq_n_f32
#define vf_add vaddq_f32
#define vf_sub vsubq_f32
#define vf_abs vabsq_f32
#define vf_mul vmulq_f32
#define vf_div vdivq_f32
#define vf_sqrt vsqrtq_f32
#define vf_fma(a, b, c) vfmaq_f32((c), (a), (b))
#define vf_fnma(a, b, c) vfmsq_f32((c), (a), (b))
#define vf_round vrndnq_f32
#define vf_first(v) vgetq_lane_f32((v), 0)
#define vf_less(a, b, x, y) vbslq_f32(vcltq_f32((a), (b)), (x), (y))
#define vf_nan(x, y) vbslq_f32(vceqq_f32((x), (x)), (y), (x))
#define vf_highest vmaxvq_f32
#define vi_set vdupq_n_s32
#define vi_xor veorq_s32
#define vi_and vandq_s32
#define vi_high(v) vshrq_n_s32((v), 4)
#define vi_total vaddvq_s32
#define SEARCH_QUERIES 4
#define vf_load_half(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define vf_load_brain(p) vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16))
#define vf_brain_low(v) vreinterpretq_f32_s32(vshlq_n_s32((v), 16))
#define vf_brain_high(v) vreinterpretq_f32_s32(vandq_s32((v), vdupq_n_s32((int32_t)0xFFFF0000u)))
#define vi_add vaddq_s32
#define vi_sub vsubq_s32
#define vi_mul vmulq_s32
#define vi_load(p) vreinterpretq_s32_s8(vld1q_s8((const int8_t *)(const void *)(p)))
#define vi_to_vf vcvtq_f32_s32

static inline float vf_sum(vf v)
{
    return vpadds_f32(vadd_f32(vget_low_f32(v), vget_high_f32(v)));
}

static inline vi vi_bytes(const unsigned char *p)
{
    uint32_t four;
    __builtin_memcpy(&four, p, 4);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))))));
}

static inline vf vf_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vf vf_load_some(const float *p, unsigned long n)
{
    float four[4] = { 0, 0, 0, 0 };
    __builtin_memcpy(four, p, (n & 3) * sizeof(float));
    return vld1q_f32(four);
}

static inline void vf_store_some(float *p, vf v, unsigned long n)
{
    float four[4];
    vst1q_f32(four, v);
    __builtin_memcpy(p, four, (n & 3) * sizeof(float));
}

/* x * 2^n by two factors, each of which is a normal number for |n| <= 252. */
static inline vf vf_scale(vf x, vf n)
{
    const int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half), bias = vdupq_n_s32(127);
    const vf a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23)), b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return vmulq_f32(vmulq_f32(x, a), b);
}

static inline vf vf_of_s8(const signed char *p)
{
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

/* A table of 64 bytes; an index of a float becomes those of its four bytes. */
static inline vf vf_pick(const float *table, vf v)
{
    const uint8_t *bytes = (const uint8_t *)table;
    const uint8x16x4_t all = { { vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48) } };
    const uint32x4_t index = vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(15));
    const uint32x4_t which = vaddq_u32(vmulq_n_u32(index, 0x04040404u), vdupq_n_u32(0x03020100u));
    return vreinterpretq_f32_u8(vqtbl4q_u8(all, vreinterpretq_u8_u32(which)));
}

/* n values in 0 .. 256 as bytes, at most 255. */
static inline void bytes_store(unsigned char *to, vf v, unsigned long n)
{
    const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(v));
    unsigned char bytes[8];
    vst1_u8(bytes, vqmovun_s16(vcombine_s16(words, words)));
    __builtin_memcpy(to, bytes, n);
}

#define vf_unpack_low vzip1q_f32
#define vf_unpack_high vzip2q_f32
#define vf_unpack_low2(a, b) vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
#define vf_unpack_high2(a, b) vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))

static inline void columns_of(const vf *a, vf *t)
{
    for (int c = 0; c < 4; c++)
        t[c] = a[c];
}

#include "kernels/simd.h"

static int32_t dot_s8(size_t n, const int8_t *a, const int8_t *b)
{
    int32x4_t sum = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        sum = vpadalq_s16(sum, vmull_high_s8(x, y));
    }
    int32_t total = vaddvq_s32(sum);
    for (; i < n; i++)
        total += (int32_t)a[i] * b[i];
    return total;
}
