/* Sizes that the attention of every level shares, and its reference. Inside the kernels room only. */
#ifndef ECREC_LIB_KERNELS_ATTENTION_H
#define ECREC_LIB_KERNELS_ATTENTION_H

#include "kernels/kernels.h"

enum { ATTENTION_KEYS = 512 /* a block of keys */, ATTENTION_QUERIES = 8 /* rows of logits at a time, at most */ };

/* Query by query, the softmax over all keys at once. */
void attention_reference(const attention_call *call);

#endif
