/* What this processor can do at most, measured in the run that quotes it: products a second of one thread, bytes a second. Of the tool and
 * of tests/bench. */
#ifndef ECREC_PEAK_H
#define ECREC_PEAK_H

#include <stddef.h>
#include <stdint.h>

/* 10^9 operations a second (a multiply and an add are two) of the level's widest multiply-add with registers only;
 * 0: this build does not know how to measure the level. `level` is one ECREC_CPU_* bit that the processor has. */
double peak_f32(uint32_t level);
double peak_s8(uint32_t level);
double peak_bf16(uint32_t levels); /* a mask with ECREC_CPU_AVX512BF16 or ECREC_CPU_NEON_BF16, else 0 */
/* 10^9 bytes a second read from `bytes` of memory in order. */
double peak_read(const void *memory, size_t bytes, uint32_t level);

/* Seconds of the calling thread's processor time: other programs on the machine do not count. */
double thread_seconds(void);
double wall_seconds(void);

#endif
