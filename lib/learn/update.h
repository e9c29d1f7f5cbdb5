/* One online update: from the current snapshot's tensors and labelled rows to the next tensors and a report. */
#ifndef ECREC_LIB_LEARN_UPDATE_H
#define ECREC_LIB_LEARN_UPDATE_H

#include "ecrec/learn.h"
#include "rank/ranker.h"

typedef struct update_call {
    ecrec_context *context;
    const ecrec_schema *schema;
    const encoder *encoder;
    const tokenizer *tokenizer;
    const char *prompt;
    size_t prompt_length;
    const tensor_set *tensors; /* the current state; not changed */
    const ecrec_batch *batch;
    const ecrec_update_options *options; /* whole */
    uint64_t snapshot;                   /* number the new one will have, for the report */
} update_call;
/* *next: a new set that shares what did not change (caller releases), left alone when no row was learned from; *report as ecrec_update
 * says (may be NULL). */
int32_t update_run(const update_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err);

#endif
