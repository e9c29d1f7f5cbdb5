/* One pass of few tokens over several threads: for a single query, where there is no batch to split. */
#ifndef ECREC_LIB_ENCODER_SPLIT_H
#define ECREC_LIB_ENCODER_SPLIT_H

#include "base/context.h"
#include "encoder/encoder.h"

enum { SPLIT_TOKENS = 32 /* with fewer, waiting costs more than it gains */, SPLIT_MOST = 16 /* threads */ };

/* encoder_forward with the work of each layer on `threads` tasks of the context's executor, two joins a layer: heads, then rows.
 * workspaces[t]: as encoder_forward's, one each. The same bits as encoder_forward. 0: nothing was done, this model or this number
 * of tokens is not to be split. Not from within a task. */
int encoder_forward_split(const encoder *e, const ecrec_context *context, void *const *workspaces, uint32_t threads, const packed *p,
                          float *hidden);

#endif
