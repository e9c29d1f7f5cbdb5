/* Learning over epochs. */
#ifndef ECREC_LIB_LEARN_FIT_H
#define ECREC_LIB_LEARN_FIT_H

#include "ecrec/learn.h"
#include "learn/state.h"
#include "model/parts.h"

typedef struct fit_call {
    learn_source source;
    const ecrec_schema *schema;
    const parts *model; /* for checkpoints; its tensors are the current state */
    const ecrec_batch *batch;
    const ecrec_fit_options *options; /* or NULL */
    uint64_t snapshot;                /* number the new one will have */
} fit_call;
/* As update_run. */
int32_t fit_run(const fit_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err);

#endif
