#include "base/cpu.h"

#include <string.h>

#include "base/format.h"
#include "ecrec/base.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* What the operating system saves of the vector registers: XGETBV, bits 1-2 SSE and AVX, 5-7 AVX-512. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t cpu_levels(void)
{
    uint32_t a, b, c, d, levels = ECREC_CPU_PORTABLE | ECREC_CPU_SSE2; /* SSE2 is part of x86-64 */
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return levels;
    int osxsave = c >> 27 & 1, fma = c >> 12 & 1, avx = c >> 28 & 1, f16c = c >> 29 & 1;
    if (!osxsave || !avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return levels;
    uint64_t state = saved_state();
    int avx2 = b >> 5 & 1, f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1, vnni = c >> 11 & 1;
    if ((state & 6) == 6 && avx2 && fma && f16c)
        levels |= ECREC_CPU_AVX2;
    if ((levels & ECREC_CPU_AVX2) && (state & 0xE6) == 0xE6 && f && dq && bw && vl)
        levels |= ECREC_CPU_AVX512;
    if ((levels & ECREC_CPU_AVX512) && vnni)
        levels |= ECREC_CPU_AVX512VNNI;
    if ((levels & ECREC_CPU_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1))
        levels |= ECREC_CPU_AVXVNNI;
    if ((levels & ECREC_CPU_AVX512VNNI) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1))
        levels |= ECREC_CPU_AVX512BF16;
    return levels;
}

uint64_t cpu_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* Deterministic cache parameters: leaf 4 (Intel) and 0x8000001D (AMD) have one format. A level that several cores share is
 * counted by each core's part. */
static int caches_of(uint32_t leaf, cpu_caches *out)
{
    uint32_t a, b, c, d;
    int found = 0;
    for (uint32_t i = 0; i < 16 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && (a & 31) != 0; i++) {
        const uint32_t kind = a & 31, level = a >> 5 & 7, sharing = (a >> 14 & 0xFFF) + 1;
        const size_t bytes = ((size_t)(b >> 22) + 1) * ((b >> 12 & 0x3FF) + 1) * ((b & 0xFFF) + 1) * ((size_t)c + 1);
        if (kind == 2) /* instructions */
            continue;
        if (level == 1)
            out->l1 = bytes / (sharing > 2 ? sharing / 2 : 1);
        if (level == 2)
            out->l2 = bytes / (sharing > 2 ? sharing / 2 : 1); /* two threads of one core do not halve it for one that works alone */
        found |= level == 1 || level == 2;
    }
    return found;
}

static void detect_caches(cpu_caches *out)
{
    if (!caches_of(4, out))
        (void)caches_of(0x8000001Du, out);
}

static void identity(char *text, size_t capacity)
{
    uint32_t a, b, c, d;
    char vendor[13] = { 0 };
    if (!__get_cpuid(0, &a, &b, &c, &d)) {
        format_text(text, capacity, "x86-64");
        return;
    }
    memcpy(vendor, &b, 4);
    memcpy(vendor + 4, &d, 4);
    memcpy(vendor + 8, &c, 4);
    __get_cpuid(1, &a, &b, &c, &d);
    uint32_t family = a >> 8 & 15, model = a >> 4 & 15;
    if (family == 15)
        family += a >> 20 & 255;
    if (family >= 6)
        model |= (a >> 16 & 15) << 4;
    format_text(text, capacity, "%s family 0x%x model 0x%x", vendor, family, model);
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static void detect_caches(cpu_caches *out)
{
    (void)out; /* not readable from user mode */
}

uint32_t cpu_levels(void)
{
    unsigned long caps = getauxval(AT_HWCAP);
    uint32_t levels = ECREC_CPU_PORTABLE | ECREC_CPU_NEON; /* Advanced SIMD is part of AArch64 */
    if (caps >> 20 & 1)                                    /* HWCAP_ASIMDDP */
        levels |= ECREC_CPU_NEON_DOTPROD;
    if ((levels & ECREC_CPU_NEON_DOTPROD) && (getauxval(AT_HWCAP2) >> 13 & 1)) /* HWCAP2_I8MM */
        levels |= ECREC_CPU_NEON_I8MM;
    if ((levels & ECREC_CPU_NEON_I8MM) && (getauxval(AT_HWCAP2) >> 14 & 1)) /* HWCAP2_BF16 */
        levels |= ECREC_CPU_NEON_BF16;
    return levels;
}

uint64_t cpu_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

static void identity(char *text, size_t capacity)
{
    format_text(text, capacity, "AArch64");
}

#else

static void detect_caches(cpu_caches *out)
{
    (void)out;
}

uint32_t cpu_levels(void)
{
    return ECREC_CPU_PORTABLE;
}

uint64_t cpu_ticks(void)
{
    return 0;
}

static void identity(char *text, size_t capacity)
{
    format_text(text, capacity, "unknown processor");
}
#endif

cpu_caches cpu_cache_sizes(void)
{
    cpu_caches caches = { 32 << 10, 512 << 10 };
    detect_caches(&caches);
    caches.l1 = caches.l1 < 8 << 10 || caches.l1 > 1 << 20 ? 32 << 10 : caches.l1;
    caches.l2 = caches.l2 < 64 << 10 || caches.l2 > 64 << 20 ? 512 << 10 : caches.l2;
    return caches;
}

static const struct {
    uint32_t level;
    const char *name;
} names[] = {
    { ECREC_CPU_PORTABLE, "portable" }, { ECREC_CPU_SSE2, "sse2" }, { ECREC_CPU_AVX2, "avx2" }, { ECREC_CPU_AVXVNNI, "avxvnni" },
    { ECREC_CPU_AVX512, "avx512" }, { ECREC_CPU_AVX512VNNI, "avx512vnni" }, { ECREC_CPU_AVX512BF16, "avx512bf16" }, { ECREC_CPU_NEON, "neon" },
    { ECREC_CPU_NEON_DOTPROD, "neon_dotprod" }, { ECREC_CPU_NEON_I8MM, "neon_i8mm" }, { ECREC_CPU_NEON_BF16, "neon_bf16" },
};

const char *cpu_level_name(uint32_t level)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].level == level)
            return names[i].name;
    return "unknown";
}

void cpu_describe(char *text, size_t capacity, uint32_t available, uint32_t chosen, uint32_t rejected, uint32_t slower)
{
    const uint32_t masked = cpu_levels() & ~available;
    char who[64];
    identity(who, sizeof who);
    size_t n = format_text(text, capacity, "%s; may use", who);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (available & names[i].level)
            n += format_text(text + n, capacity - n, " %s", names[i].name);
    n += format_text(text + n, capacity - n, "; chosen %s: the %s of them", cpu_level_name(chosen), slower != 0 ? "fastest" : "best");
    if (rejected != 0)
        n += format_text(text + n, capacity - n, " whose results are right");
    if (masked != 0)
        n += format_text(text + n, capacity - n, " (the host leaves out");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (masked & names[i].level)
            n += format_text(text + n, capacity - n, " %s", names[i].name);
    if (masked != 0)
        format_text(text + n, capacity - n, ")");
}
