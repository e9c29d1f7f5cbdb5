/* How well each label of a schema was told, as parts of a report. */
#ifndef ECREC_LIB_LEARN_LABELS_H
#define ECREC_LIB_LEARN_LABELS_H

#include "base/report.h"
#include "model/tensor.h"
#include "rank/batch.h"

/* Adds "labels.NAME." and what ecrec_evaluate_rows tells, of the rows list[0 .. n) of the batch. logits: n x heads; thresholds: of the
 * ordinal labels, or NULL; calibration: or NULL; groups: NULL, or a key for each place of the list. INVALID, NOMEM. */
int32_t labels_tell(memory *m, ecrec_report *r, const ecrec_batch *batch, const size_t *list, size_t n, const double *logits, const float *thresholds, const tensor *calibration,
                    const uint64_t *groups, ecrec_error *err);

#endif
