/* AVX-512 with VNNI: four byte products and their sum in one instruction, without saturation; and a second table for processors that also
 * add pairs of bfloat16 products. */
#include <immintrin.h>

#define LEVEL_NAME "avx512vnni"
#define LEVEL_BIT ECREC_CPU_AVX512VNNI
#define LEVEL_TABLE kernels_avx512vnni
#include "kernels/avx512_body.h"

/* Assembly, because GCC 12 moves the accumulators of _mm512_dpbusd_epi32 to the stack and back in this loop (half the speed). */
#define vi_dot(sum, bytes, weights_) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(weights_))
#define vi_zero _mm512_setzero_si512
#include "kernels/simd_dot4.h"

#include "kernels/simd_s4.h"
#define vf_dot2(sum, pairs, weights_) __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(pairs), "v"(weights_))
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"

#undef LEVEL_NAME
#undef LEVEL_BIT
#undef LEVEL_TABLE
#undef LEVEL_BF16
#define LEVEL_NAME "avx512bf16"
#define LEVEL_BIT ECREC_CPU_AVX512BF16
#define LEVEL_TABLE kernels_avx512bf16
#define LEVEL_BF16 gemm_bf16
#include "kernels/simd_table.h"
