/* Integrated gradients (Sundararajan, Taly and Yan, ICML 2017) by field, from the record that has none of its fields. */
#ifndef ECREC_LIB_LEARN_ATTRIBUTE_H
#define ECREC_LIB_LEARN_ATTRIBUTE_H

#include "learn/state.h"

/* out: rows x heads x (fields + 1); *gap: the largest difference between what the fields of a row were given through the network and what
 * the network's logit changed by. NOMEM, and what encoding may give. */
int32_t attribute_run(const learn_source *source, const ecrec_schema *schema, const ranker *r, const ecrec_batch *batch, float *out, double *gap,
                      ecrec_error *err);

#endif
