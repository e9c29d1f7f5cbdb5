/* AVX-VNNI: the four-byte dot product for processors that have AVX2 alone. */
#define LEVEL_NAME "avxvnni"
#define LEVEL_BIT ECREC_CPU_AVXVNNI
#define LEVEL_TABLE kernels_avxvnni
#include "kernels/avx2_body.h"

/* Assembly for the reason that avx512vnni.c gives, and so that no compiler flag is needed. */
#define vi_dot(sum, bytes, weights_) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(bytes), "x"(weights_))
#define vi_zero _mm256_setzero_si256
#include "kernels/simd_dot4.h"

#include "kernels/simd_s4.h"
#include "kernels/simd_brain.h"
#include "kernels/simd_search.h"
#include "kernels/simd_table.h"
