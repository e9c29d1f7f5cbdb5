/* With the dot product of unsigned and signed bytes (ARMv8.6 i8mm). */
#define LEVEL_NAME "neon_i8mm"
#define LEVEL_BIT ECREC_CPU_NEON_I8MM
#define LEVEL_TABLE kernels_neon_i8mm
#include "kernels/neon_body.h"

#define vi_dot(sum, bytes, weights_) ((sum) = vusdotq_s32((sum), vreinterpretq_u8_s32(bytes), vreinterpretq_s8_s32(weights_)))
#define vi_zero() vdupq_n_s32(0)
#include "kernels/simd_dot4.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
