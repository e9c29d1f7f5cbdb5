/* Calibration, learned from rows that the weights did not learn from, and kept up by those that come. */
#ifndef ECREC_LIB_LEARN_CALIBRATE_H
#define ECREC_LIB_LEARN_CALIBRATE_H

#include "base/report.h"
#include "ecrec/learn.h"
#include "rank/calibration.h"

/* From rows' logits (rows x heads, float32) the tensor for `next`, and the report. Errors: INVALID (a label without rows of both kinds, a
 * method that the label's kind has not), NOMEM. */
int32_t calibrate_run(ecrec_context *context, const ecrec_schema *s, const ecrec_batch *batch, const float *logits, const ecrec_calibrate_options *options,
                      tensor_set *next, ecrec_report **report, ecrec_error *err);
/* From rows that fit held out: rows list[0 .. n) of a batch with their logits (n x heads). method: as ecrec_fit_options.calibrate; old (may be NULL): what there
 * was before. *out: a new tensor; labels that cannot be calibrated have no method. r (may be NULL) gets "calibration.NAME.before" and ".after". NOMEM. */
int32_t calibrate_held(memory *m, const ecrec_schema *s, const ecrec_batch *batch, const size_t *list, size_t n, const double *logits, int32_t method, const tensor *old,
                       tensor **out, ecrec_report *r, ecrec_error *err);
/* A labelled row that is about to be learned from, with the logits it was scored with: rows: the tensor's values (labels of them). */
void calibrate_see(double *rows, uint32_t labels, const ecrec_batch *batch, size_t row, const double *logits);
/* After rows were seen: the lines through the bins anew. */
void calibrate_settle(double *rows, uint32_t labels);

#endif
