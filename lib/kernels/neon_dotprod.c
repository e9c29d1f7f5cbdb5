/* With the dot product of signed bytes (ARMv8.2 dotprod): activations move by 128, and so does their zero point. */
#define LEVEL_NAME "neon_dotprod"
#define LEVEL_BIT ECREC_CPU_NEON_DOTPROD
#define LEVEL_TABLE kernels_neon_dotprod
#define DOT_OFFSET 128
#include "kernels/neon_body.h"

#define vi_dot(sum, bytes, weights_) ((sum) = vdotq_s32((sum), vreinterpretq_s8_s32(bytes), vreinterpretq_s8_s32(weights_)))
#define vi_zero() vdupq_n_s32(0)
#include "kernels/simd_dot4.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
