/* Attention built from a table's own product and softmax: keys and values of one head are packed as panels. */
#ifndef ECREC_LIB_KERNELS_ATTENTION_H
#define ECREC_LIB_KERNELS_ATTENTION_H

#include "kernels/kernels.h"

void attention_blocked(const kernels *table, const attention_call *call);

#endif
