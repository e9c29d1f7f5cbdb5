/* With the dot product of unsigned and signed bytes (ARMv8.6 i8mm); and a second table for processors that also add pairs of bfloat16
 * products (what they round is not what x86 rounds: the last bits differ). */
#define LEVEL_NAME "neon_i8mm"
#define LEVEL_BIT ECREC_CPU_NEON_I8MM
#define LEVEL_TABLE kernels_neon_i8mm
#include "kernels/neon_body.h"

#define vi_dot(sum, bytes, weights_) ((sum) = vusdotq_s32((sum), vreinterpretq_u8_s32(bytes), vreinterpretq_s8_s32(weights_)))
#define vi_zero() vdupq_n_s32(0)
#include "kernels/simd_dot4.h"

#include "kernels/simd_s4.h"
#define vf_dot2(sum, pairs, weights_) ((sum) = vbfdotq_f32((sum), vreinterpretq_bf16_s32(pairs), vreinterpretq_bf16_s32(weights_)))
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"

#undef LEVEL_NAME
#undef LEVEL_BIT
#undef LEVEL_TABLE
#undef LEVEL_BF16
#define LEVEL_NAME "neon_bf16"
#define LEVEL_BIT ECREC_CPU_NEON_BF16
#define LEVEL_TABLE kernels_neon_bf16
#define LEVEL_BF16 gemm_bf16
#include "kernels/simd_table.h"
