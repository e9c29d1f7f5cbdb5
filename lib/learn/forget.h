/* A user's rows and hashed weights out of a state. */
#ifndef ECREC_LIB_LEARN_FORGET_H
#define ECREC_LIB_LEARN_FORGET_H

#include "base/report.h"
#include "learn/state.h"

typedef struct forget_call {
    ecrec_context *context;
    const ecrec_schema *schema;
    uint32_t dimension; /* of the encoder, 0 without */
    const tensor_set *tensors;
    uint32_t field;     /* of the category kinds */
    const char *value;
    size_t length;
    double snapshots;   /* older ones that will be dropped, for the report */
} forget_call;
/* NOMEM, FORMAT. */
int32_t forget_run(const forget_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err);

#endif
