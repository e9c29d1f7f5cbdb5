/* AVX-512 with VNNI: four byte products and their sum in one instruction, without saturation. */
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
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
