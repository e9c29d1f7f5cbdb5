#include "peak.h"

#include <time.h>

#include <ecrec/base.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double thread_seconds(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

double wall_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

enum { PASS_BYTES = 1 << 26, ROUNDS = 20000, REPEATS = 9 };

/* The best of some runs of loop(rounds): operations a second. */
static double best_rate(void (*loop)(long rounds), double operations)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        const double begin = thread_seconds();
        loop(ROUNDS);
        const double rate = operations * ROUNDS / (thread_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best * 1e-9;
}

#if defined(__x86_64__)
/* 24 independent accumulators (12 where there are 16 registers), two operands that stay. Assembly, because a compiler would
 * fold the loop, and because this file is compiled for the baseline. */
#define STEP(operation, width, number) operation " %%" width "30, %%" width "31, %%" width #number "\n\t"
#define TWENTY_FOUR(operation, w)                                                                                               \
    STEP(operation, w, 0) STEP(operation, w, 1) STEP(operation, w, 2) STEP(operation, w, 3) STEP(operation, w, 4)               \
    STEP(operation, w, 5) STEP(operation, w, 6) STEP(operation, w, 7) STEP(operation, w, 8) STEP(operation, w, 9)               \
    STEP(operation, w, 10) STEP(operation, w, 11) STEP(operation, w, 12) STEP(operation, w, 13) STEP(operation, w, 14)          \
    STEP(operation, w, 15) STEP(operation, w, 16) STEP(operation, w, 17) STEP(operation, w, 18) STEP(operation, w, 19)          \
    STEP(operation, w, 20) STEP(operation, w, 21) STEP(operation, w, 22) STEP(operation, w, 23)
#define SHORT(operation, number) operation " %%ymm14, %%ymm15, %%ymm" #number "\n\t"
#define TWELVE(operation)                                                                                                       \
    SHORT(operation, 0) SHORT(operation, 1) SHORT(operation, 2) SHORT(operation, 3) SHORT(operation, 4) SHORT(operation, 5)     \
    SHORT(operation, 6) SHORT(operation, 7) SHORT(operation, 8) SHORT(operation, 9) SHORT(operation, 10) SHORT(operation, 11)
#define LOOP(name, zero, body)                                                                                                  \
    static void name(long rounds)                                                                                               \
    {                                                                                                                           \
        __asm__ volatile(zero "1:\n\t" body "dec %0\n\tjnz 1b\n\tvzeroupper\n\t"                                                 \
                         : "+r"(rounds)                                                                                         \
                         :                                                                                                      \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                                                        \
    }
#define ZERO_512 "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31\n\t" TWENTY_FOUR("vpxord", "zmm")
#define ZERO_256 "vpxor %%ymm14, %%ymm14, %%ymm14\n\tvpxor %%ymm15, %%ymm15, %%ymm15\n\t" TWELVE("vpxor")
LOOP(loop_fma_512, ZERO_512, TWENTY_FOUR("vfmadd231ps", "zmm"))
LOOP(loop_vnni_512, ZERO_512, TWENTY_FOUR("vpdpbusd", "zmm"))
LOOP(loop_bf16_512, ZERO_512, TWENTY_FOUR("vdpbf16ps", "zmm"))
LOOP(loop_fma_256, ZERO_256, TWELVE("vfmadd231ps"))
LOOP(loop_vnni_256, ZERO_256, TWELVE("%{vex%} vpdpbusd"))
/* bytes widened to 16 bits: a multiply-add and an add each */
#define PAIR(n) "vpmaddwd %%ymm14, %%ymm15, %%ymm12\n\tvpaddd %%ymm12, %%ymm" #n ", %%ymm" #n "\n\t"
LOOP(loop_madd_256, ZERO_256, PAIR(0) PAIR(1) PAIR(2) PAIR(3) PAIR(4) PAIR(5) PAIR(6) PAIR(7))
#define PAIR_512(n) "vpmaddwd %%zmm30, %%zmm31, %%zmm29\n\tvpaddd %%zmm29, %%zmm" #n ", %%zmm" #n "\n\t"
LOOP(loop_madd_512, ZERO_512, PAIR_512(0) PAIR_512(1) PAIR_512(2) PAIR_512(3) PAIR_512(4) PAIR_512(5) PAIR_512(6) PAIR_512(7))

static int is_512(uint32_t level)
{
    return (level & (ECREC_CPU_AVX512 | ECREC_CPU_AVX512VNNI | ECREC_CPU_AVX512BF16)) != 0;
}

double peak_f32(uint32_t level)
{
    if (is_512(level))
        return best_rate(loop_fma_512, 24 * 32);
    return level == ECREC_CPU_PORTABLE ? 0 : best_rate(loop_fma_256, 12 * 16);
}

double peak_s8(uint32_t level)
{
    if (level & (ECREC_CPU_AVX512VNNI | ECREC_CPU_AVX512BF16))
        return best_rate(loop_vnni_512, 24 * 128);
    if (level == ECREC_CPU_AVX512)
        return best_rate(loop_madd_512, 8 * 64);
    if (level == ECREC_CPU_AVXVNNI)
        return best_rate(loop_vnni_256, 12 * 64);
    return level == ECREC_CPU_AVX2 ? best_rate(loop_madd_256, 8 * 32) : 0;
}

double peak_bf16(uint32_t levels)
{
    return levels & ECREC_CPU_AVX512BF16 ? best_rate(loop_bf16_512, 24 * 64) : 0;
}

static void read_512(const char *from, size_t bytes)
{
    __asm__ volatile("1:\n\tvmovups (%0), %%zmm0\n\tvmovups 64(%0), %%zmm1\n\tvmovups 128(%0), %%zmm2\n\tvmovups 192(%0), %%zmm3\n\t"
                     "add $256, %0\n\tsub $256, %1\n\tjnz 1b\n\tvzeroupper\n\t"
                     : "+r"(from), "+r"(bytes) : : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
}

static void read_256(const char *from, size_t bytes)
{
    __asm__ volatile("1:\n\tvmovups (%0), %%ymm0\n\tvmovups 32(%0), %%ymm1\n\tvmovups 64(%0), %%ymm2\n\tvmovups 96(%0), %%ymm3\n\t"
                     "add $128, %0\n\tsub $128, %1\n\tjnz 1b\n\tvzeroupper\n\t"
                     : "+r"(from), "+r"(bytes) : : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
}

double peak_read(const void *memory, size_t bytes, uint32_t level)
{
    double best = 0;
    bytes &= ~(size_t)255;
    const size_t passes = bytes < PASS_BYTES ? PASS_BYTES / bytes : 1; /* so much that the clock is fine enough */
    for (int i = 0; i < REPEATS; i++) {
        const double begin = thread_seconds();
        for (size_t pass = 0; pass < passes; pass++)
            (is_512(level) ? read_512 : read_256)(memory, bytes);
        const double rate = (double)bytes * (double)passes / (thread_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best * 1e-9;
}
#elif defined(__aarch64__)
/* The same with registers of 128 bits. The assembler is told of the extension, which the caller has found. */
#define ARM_STEP(operation, type, from, number) operation " v" #number "." type ", v30." from ", v31." from "\n\t"
#define ARM_ROUND(operation, type, from)                                                                                        \
    ARM_STEP(operation, type, from, 0) ARM_STEP(operation, type, from, 1) ARM_STEP(operation, type, from, 2) ARM_STEP(operation, type, from, 3)      \
    ARM_STEP(operation, type, from, 4) ARM_STEP(operation, type, from, 5) ARM_STEP(operation, type, from, 6) ARM_STEP(operation, type, from, 7)      \
    ARM_STEP(operation, type, from, 16) ARM_STEP(operation, type, from, 17) ARM_STEP(operation, type, from, 18) ARM_STEP(operation, type, from, 19)  \
    ARM_STEP(operation, type, from, 20) ARM_STEP(operation, type, from, 21) ARM_STEP(operation, type, from, 22) ARM_STEP(operation, type, from, 23)
#define ARM_LOOP(name, extension, body)                                                                                         \
    static void name(long rounds)                                                                                               \
    {                                                                                                                           \
        __asm__ volatile(extension "movi v30.16b, #0\n\tmovi v31.16b, #0\n1:\n\t" body "subs %0, %0, #1\n\tb.ne 1b\n\t"      \
                         : "+r"(rounds)                                                                                         \
                         :                                                                                                      \
                         : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",      \
                           "v22", "v23", "v30", "v31");                                                                         \
    }
ARM_LOOP(loop_fmla, "", ARM_ROUND("fmla", "4s", "4s"))
ARM_LOOP(loop_smlal, "", ARM_ROUND("smlal", "8h", "8b"))
ARM_LOOP(loop_sdot, ".arch_extension dotprod\n\t", ARM_ROUND("sdot", "4s", "16b"))
ARM_LOOP(loop_bfdot, ".arch armv8.6-a+bf16\n\t", ARM_ROUND("bfdot", "4s", "8h"))

double peak_f32(uint32_t level)
{
    return level == ECREC_CPU_PORTABLE ? 0 : best_rate(loop_fmla, 16 * 8);
}

double peak_s8(uint32_t level)
{
    return level & (ECREC_CPU_NEON_DOTPROD | ECREC_CPU_NEON_I8MM | ECREC_CPU_NEON_BF16) ? best_rate(loop_sdot, 16 * 32)
                                                                                        : level == ECREC_CPU_NEON ? best_rate(loop_smlal, 16 * 16) : 0;
}

double peak_bf16(uint32_t levels)
{
    return levels & ECREC_CPU_NEON_BF16 ? best_rate(loop_bfdot, 16 * 16) : 0;
}

double peak_read(const void *memory, size_t bytes, uint32_t level)
{
    (void)memory;
    (void)bytes;
    (void)level;
    return 0;
}
#else
double peak_f32(uint32_t level) { (void)level; return 0; }
double peak_s8(uint32_t level) { (void)level; return 0; }
double peak_bf16(uint32_t levels) { (void)levels; return 0; }
double peak_read(const void *memory, size_t bytes, uint32_t level) { (void)memory; (void)bytes; (void)level; return 0; }
#endif
