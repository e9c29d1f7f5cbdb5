/* The guard of an update: two states judged by the same rows. */
#ifndef ECREC_LIB_LEARN_GUARD_H
#define ECREC_LIB_LEARN_GUARD_H

#include "rank/features.h"

typedef struct guard_rows {
    const ecrec_batch *batch;
    const size_t *list;     /* NULL: rows 0 .. n - 1 */
    size_t n;
    const double *logits[2]; /* n x heads under the state before and the one after */
    const tensor *targets;   /* of the one after: both are judged in its unit */
    const tensor *calibrations[2]; /* of both: scores are judged as they are served; NULL: none */
} guard_rows;

/* A label's rows: before, after. Calibration in the large: |mean score - mean label|, of classes half the sum over them, of ordinal labels over
 * classes - 1; not of values: 0. NaN where a logit is none. */
typedef struct guard_measure { double rows, loss[2], calibration[2]; } guard_measure;

/* first: the label's first head; thresholds: of the two states (NULL: none), the label's own. */
void guard_label(const ecrec_schema *s, uint32_t label, uint32_t first, const float *const thresholds[2], const guard_rows *rows, uint32_t heads,
                 guard_measure *out);
/* The furthest that a score moved. thresholds: all labels'. scores: room for 2 x heads. */
double guard_moved(const ecrec_schema *s, const float *const thresholds[2], const guard_rows *rows, uint32_t heads, float *scores);

#endif
