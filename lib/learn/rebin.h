/* The bins of numbers while learning: what is seen goes into their sketches; new cuts take the weights along. */
#ifndef ECREC_LIB_LEARN_REBIN_H
#define ECREC_LIB_LEARN_REBIN_H

#include "learn/state.h"

/* The numbers of n of the batch's rows (order NULL: the first n) into the sketches. */
void rebin_see(learn_state *s, const ecrec_batch *batch, const size_t *order, size_t n);
/* Cuts of fields that have none, from `least` values a bin on. NOMEM. */
int32_t rebin_first(learn_state *s, double least, ecrec_error *err);
/* New cuts for a field, from what its sketch has: each new bin's weights are the mean of those of the bins that it overlaps by the values in both,
 * its sums of squares what they have of it by the same shares. Without a value: nothing is done. NOMEM. */
int32_t rebin_field(learn_state *s, uint32_t field, ecrec_error *err);
/* What ecrec_rebin does: field NO_INDEX: all that have bins; batch may be NULL. */
int32_t rebin_run(ecrec_context *context, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, uint32_t field, const ecrec_batch *batch, tensor_set **next,
                  ecrec_report **report, ecrec_error *err);

#endif
