/* What quantising and pruning have in common: the new variant's name, sizes before and after. */
#ifndef ECREC_LIB_COMPRESS_VARIANT_H
#define ECREC_LIB_COMPRESS_VARIANT_H

#include "compress/agreement.h"

/* "space.variant" of the result: a hash of the old variant, of `how`, and of the encoder's tensors. The space stays. */
int32_t variant_mark(parts *p, const char *how, ecrec_error *err);
/* Bytes of the encoder's tensors. */
double variant_bytes(const tensor_set *tensors);
/* parameters, flops a token and bytes, before and after, into the report. */
void variant_sizes(ecrec_report *report, const encoder *before, const encoder *after, const tensor_set *tensors_before,
                   const tensor_set *tensors_after);

#endif
