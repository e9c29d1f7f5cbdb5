/* Target attention backward, one record at a time. */
#ifndef ECREC_LIB_LEARN_ATTENTION_BACKWARD_H
#define ECREC_LIB_LEARN_ATTENTION_BACKWARD_H

#include "rank/attention.h"

typedef struct attention_gradient {
    float *weights;   /* plan->size floats, those from plan->events.w on: added to */
    float *candidate; /* width: added to */
    float *e;         /* events x width: set; of the items' embeddings and of the types' alike */
    float *h;         /* scratch: events x units */
} attention_gradient;
/* user and work are what attention_forward left. */
void attention_backward(const attention_plan *p, const float *flat, const kernels *table, uint32_t width, const attention_user *user, const float *candidate,
                        const attention_work *work, const unsigned char *types, const float *ages, const float *interest_gradient,
                        const attention_gradient *out);

#endif
