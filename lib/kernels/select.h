/* The self-check behind kernels_select; a door for tests. */
#ifndef ECREC_LIB_KERNELS_SELECT_H
#define ECREC_LIB_KERNELS_SELECT_H

#include "kernels/kernels.h"

/* 1 when a small tile of each of the table's main kernels agrees with the reference (s8 to the bit). Some microseconds,
 * stack only. */
int kernels_verify(const kernels *table);
/* kernels_select over other tables. */
const kernels *kernels_choose(const kernels *const *tables, uint32_t available, uint32_t *rejected);

#endif
