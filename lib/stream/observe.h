/* Progressive validation: each row is looked at as it was scored before it was learned from; windows and drift detectors see it so. */
#ifndef ECREC_LIB_STREAM_OBSERVE_H
#define ECREC_LIB_STREAM_OBSERVE_H

#include "stream/online.h"
#include "rank/features.h"

typedef struct found_drift { uint32_t label, detector; size_t row; drift_found what; } found_drift;

typedef struct observer {
    const ecrec_schema *schema;
    const ecrec_batch *batch;
    online *memory;       /* words NULL: none */
    const float *served;  /* rows x heads as they were served, NaN where that is not known; or NULL */
    const tensor *calibration, *targets; /* or NULL */
    uint32_t heads;
    float *scores;        /* [heads] */
    double *windows;      /* of this update: count x labels x OBSERVED_COLUMNS; NULL: none */
    size_t window, count; /* rows of one; of them */
    found_drift drifts[16];
    size_t drift_count;   /* may be more than are kept */
} observer;
enum { OBSERVED_ROWS, OBSERVED_LOSS, OBSERVED_PREDICTION, OBSERVED_LABEL, OBSERVED_COLUMNS };

/* The place-th row that is learned from; thresholds: of the state that scored it. 1: a drift was found. */
int observe_row(observer *o, size_t place, size_t row, const double *logits, const float *thresholds);

#endif
