/* Losses of one row, and their gradient by the heads' logits. */
#ifndef ECREC_LIB_LEARN_LOSSES_H
#define ECREC_LIB_LEARN_LOSSES_H

#include "rank/schema.h"

/* logits, gradient: the label's heads. Nats; squared: (logit - y)^2 / 2.
 * Ordinal (cumulative logits, McCullagh 1980): P(y > c) = logistic(logit - threshold_c), the loss is the sum of the classes - 1 binary
 * ones; threshold_gradient [classes - 1] (may be NULL) is added to, times `weight`. */
double loss_row(const schema_label *label, const double *logits, const float *thresholds, float y, double weight, double *gradient,
                float *threshold_gradient);

#endif
