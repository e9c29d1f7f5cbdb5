/* Advanced SIMD as every AArch64 processor has it. */
#define LEVEL_NAME "neon"
#define LEVEL_BIT ECREC_CPU_NEON
#define LEVEL_TABLE kernels_neon
#include "kernels/neon_body.h"

#define S8_ROWS 4
#define S8_VECTORS 4
#define WIDENED 8
#define vi_widen(p) vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p)))
#define vi_pairs vpaddq_s32

static inline vi vi_madd(vi a, vi b)
{
    const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}

static inline void vi_widen_bytes(const uint8_t *q, int16_t *to)
{
    vst1q_s16(to, vreinterpretq_s16_u16(vmovl_u8(vld1_u8(q))));
}

static inline vi vi_four(const int16_t *p)
{
    const int16x4_t four = vld1_s16(p);
    return vreinterpretq_s32_s16(vcombine_s16(four, four));
}
#include "kernels/simd_madd.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
