/* Metrics of probabilities against binary labels. */
#ifndef ECREC_LIB_LEARN_METRICS_H
#define ECREC_LIB_LEARN_METRICS_H

#include "base/memory.h"
#include "base/report.h"
#include "rank/batch.h"

typedef struct scored { float probability, label, weight; uint32_t reserved; } scored;

typedef struct metrics {
    double rows, weight, positives; /* positives: weight of label 1 */
    double log_loss, accuracy, auc, ece;
    double pr_auc;             /* average precision: the area under precision against recall, by steps */
    double normalised_entropy; /* log loss over that of the mean label (He et al., ADKDD 2014) */
    double right[2], predicted[2], support[2]; /* weight per class, at 0.5 */
} metrics;

double log_loss_of(double probability, double label); /* nats; probabilities are kept 1e-7 away from 0 and 1 */
/* Sorts the items. auc is NaN with one class only; the rest NaN without weight. */
void metrics_compute(scored *items, size_t n, metrics *out);
/* "labels.NAME.rows", and what fits the label's kind: log_loss, auc, accuracy; mean squared and absolute error; of the rows of a list
 * (NULL: the first n). logits: of the label's first head in the list's first row, rows `stride` apart. items: room for n. */
void metrics_tell_list(ecrec_report *r, const ecrec_schema *schema, uint32_t label, const ecrec_batch *batch, const size_t *list, size_t n,
                       const double *logits, size_t stride, scored *items);

#endif
