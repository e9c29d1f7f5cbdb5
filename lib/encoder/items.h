/* A sequence encoder's items: the rows of its table, which histories' vectors are compared with. */
#ifndef ECREC_LIB_ENCODER_ITEMS_H
#define ECREC_LIB_ENCODER_ITEMS_H

#include "base/context.h"
#include "encoder/encoder.h"

/* scores: n x vocabulary; vectors: n x hidden. In parallel on the context. */
void items_score(const ecrec_context *context, const encoder *e, const float *vectors, size_t n, float *scores);

#endif
