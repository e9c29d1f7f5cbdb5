/* Calibration: from a label's logits to probabilities that come true, kept beside the weights as "rank.calibration" f64 {labels, columns}
 * (labels that were appended later have no row and are not calibrated). Learned in learn/calibrate.h.
 *   Platt (1999): p = logistic(a z + b). Temperature (Guo et al., ICML 2017): b = 0, for classes softmax(a z). Isotonic (Zadrozny and
 *   Elkan, KDD 2002): the monotone line through bins of equal weight. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_CALIBRATION_H
#define ECREC_LIB_RANK_CALIBRATION_H

#include "ecrec/learn.h"
#include "model/tensor.h"
#include "rank/schema.h"

enum { CALIBRATION_KNOTS = 32 };
enum { KNOT_WEIGHT, KNOT_LOGITS, KNOT_LABELS /* sums */, KNOT_X, KNOT_Y, KNOT_COLUMNS };
enum {
    CALIBRATION_METHOD,    /* ECREC_CALIBRATION_*; 0: none */
    CALIBRATION_HALF_LIFE, /* rows; 0: updates leave it alone */
    CALIBRATION_A, CALIBRATION_B,
    CALIBRATION_AA, CALIBRATION_AB, CALIBRATION_BB, /* the curvature of the loss, as remembered */
    CALIBRATION_ROWS,      /* learned from so far */
    CALIBRATION_FIRST_KNOT,
    CALIBRATION_COLUMNS = CALIBRATION_FIRST_KNOT + CALIBRATION_KNOTS * KNOT_COLUMNS
};

/* Whether the tensor may be one: shape, methods, finite. FORMAT. */
int32_t calibration_check(const tensor *t, const ecrec_schema *s, ecrec_error *err);
/* A row's probabilities anew, of the labels that are calibrated; t NULL: none is. */
void calibration_apply(const tensor *t, const ecrec_schema *s, const double *logits, float *scores);
/* A label's row; NULL: it is not calibrated. */
const double *calibration_row(const tensor *t, uint32_t label);
/* Of one label of one logit. */
double calibration_probability(const double *row, double logit);

#endif
