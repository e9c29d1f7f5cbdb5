/* What fit and tune share. */
#ifndef ECREC_FIT_H
#define ECREC_FIT_H

#include "tool.h"

#define FIT_OPTIONS RECORD_OPTIONS, "output=", "epochs=", "batch=", "patience=", "seed=", "holdout=", "holdout-by=", "rate=", "embedding-rate=", "network-rate=", \
    "decay=", "embedding-decay=", "network-decay=", "l1=", "clip=", "dropout=", "warmup=", "optimiser=", "schedule=", "class-weights=", "correct-weights", "calibrate=", "json", "threads="

typedef struct fit_job {
    arguments a;
    ecrec_context *context;
    ecrec_model *model;
    const ecrec_schema *schema;
    ecrec_batch *batch;
    records *rows;
    float *outcome_weights;
    ecrec_fit_options options;
} fit_job;
int fit_open(fit_job *j, int argc, char **argv, const char *const *known); /* 0, or told */
void fit_close(fit_job *j);
extern const char *const fit_optimisers[4], *const fit_schedules[4]; /* in the order of the numbers in learn.h, ended by NULL */

/* Event files for TensorBoard: <folder>/events.out.tfevents.<seconds>.ecrec */
typedef struct events { FILE *file; const char *folder; } events;
int events_open(events *e, const char *folder); /* made when it is not there; 0, or told */
void events_scalar(events *e, const char *tag, uint64_t step, double value);
void events_history(events *e, const ecrec_report *report); /* a fit's losses by epoch, and its labels' figures */
int events_close(events *e);

#endif
