/* The metrics of scored rows as parts of a report. */
#ifndef ECREC_LIB_MEASURE_EVALUATE_H
#define ECREC_LIB_MEASURE_EVALUATE_H

#include "base/memory.h"
#include "base/report.h"
#include "ecrec/evaluate.h"

/* Adds what ecrec_evaluate_rows tells, each name behind `prefix` ("" or "labels.click."). INVALID (row), NOMEM. */
int32_t evaluate_tell(memory *m, ecrec_report *r, const char *prefix, const ecrec_evaluation *evaluation, ecrec_error *err);

#endif
