/* A ranker's weights carried over to a schema that has more, or less. */
#ifndef ECREC_LIB_LEARN_EXTEND_H
#define ECREC_LIB_LEARN_EXTEND_H

#include "rank/ranker.h"

/* Whether `to` is `from` with fields, labels, pairs and values added at the end, and fields dropped. INVALID: what else has changed. */
int32_t extend_check(const ecrec_schema *from, const ecrec_schema *to, ecrec_error *err);
/* The hash seeds of new fields, where nobody chose them: such that what is missing in an old row meets no weight that was learned. */
void extend_seeds(const ecrec_schema *from, const tensor_set *tensors, ecrec_schema *to);
/* The tensors of `from` said in `to`; *out is a new set. NOMEM, FORMAT. */
int32_t extend_tensors(memory *m, const ecrec_schema *from, const ecrec_schema *to, uint32_t dimension, const tensor_set *tensors, tensor_set **out, ecrec_error *err);

#endif
