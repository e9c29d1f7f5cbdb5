/* Metrics of probabilities against binary labels. */
#ifndef ECREC_LIB_MEASURE_METRICS_H
#define ECREC_LIB_MEASURE_METRICS_H

#include "base/memory.h"
#include "base/report.h"
#include "model/tensor.h"
#include "rank/batch.h"

typedef struct scored { float probability, label, weight; uint32_t reserved; } scored;

enum { CALIBRATION_BINS = 15 };
typedef struct calibration_bin { double weight, probability, label; } calibration_bin; /* sums, by weight */

typedef struct metrics {
    double rows, weight;
    double log_loss, accuracy, auc, ece, mean_probability;
    double pr_auc;             /* average precision: the area under precision against recall, by steps */
    double normalised_entropy; /* log loss over that of the mean label (He et al., ADKDD 2014) */
    double right[2], predicted[2], support[2]; /* weight per class, at the threshold */
} metrics;

double log_loss_of(double probability, double label); /* nats; probabilities are kept 1e-7 away from 0 and 1 */
/* Sorts the items by probability, upwards. bins: written, as many equal parts of 0 .. 1. auc is NaN with one class only; all but
 * rows NaN without weight. */
void metrics_compute(scored *items, size_t n, double threshold, calibration_bin *bins, uint32_t bin_count, metrics *out);
/* A label's name as part of a report's: a dot would nest. */
void metrics_label_key(const char *name, char out[256]);
/* calibration: of the scores, or NULL.
 * "labels.NAME.rows", and what fits the label's kind: log_loss, auc, accuracy; mean squared and absolute error; of the rows of a list
 * (NULL: the first n). logits: of the label's first head in the list's first row, rows `stride` apart. items: room for n. */
void metrics_tell_list(ecrec_report *r, const ecrec_schema *schema, uint32_t label, const ecrec_batch *batch, const size_t *list, size_t n,
                       const double *logits, size_t stride, const tensor *calibration, scored *items);

#endif
