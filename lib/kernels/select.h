/* The self-check behind kernels_select; a door for tests. */
#ifndef ECREC_LIB_KERNELS_SELECT_H
#define ECREC_LIB_KERNELS_SELECT_H

#include "kernels/kernels.h"

/* 1 when a small tile of each of the table's main kernels agrees with the reference (s8 to the bit). Some microseconds,
 * stack only. */
int kernels_verify(const kernels *table);
/* Ticks of the fastest of some runs of a tile with bf16 weights, in bf16 and widened. Some ten microseconds,
 * 40 KB of stack. Zeros where the processor has no counter to read. */
void kernels_time(const kernels *table, selection *told);
/* kernels_select over other tables. */
const kernels *kernels_choose(const kernels *const *tables, uint32_t available, selection *told);
/* The sentence about bf16 products for ecrec_context_cpu_text, with what was timed; nothing where no level has them. */
void selection_describe(const kernels *table, const selection *told, char *text, size_t capacity);

#endif
