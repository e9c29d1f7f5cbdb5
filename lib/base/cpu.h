/* What the processor and the operating system offer, by CPUID/XGETBV or the auxiliary vector. */
#ifndef ECREC_LIB_BASE_CPU_H
#define ECREC_LIB_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

/* Mask of ECREC_CPU_* levels that can run here; PORTABLE is always in it. */
uint32_t cpu_levels(void);
/* Bytes of first-level data cache and of second-level cache that one core has; a cautious guess where nobody tells. */
typedef struct cpu_caches { size_t l1, l2; } cpu_caches;
cpu_caches cpu_cache_sizes(void);
/* A sentence: vendor, family, model, what was found, what was chosen and why. */
void cpu_describe(char *text, size_t capacity, uint32_t available, uint32_t chosen, uint32_t rejected, uint32_t slower);
/* The processor's counter of ticks, which runs steadily whatever its frequency; 0 where there is none that a program may read. For
 * comparing what two kernels take: the only clock in the library. */
uint64_t cpu_ticks(void);
const char *cpu_level_name(uint32_t level); /* "portable", "avx2", ... */

#endif
