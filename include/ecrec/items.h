/* ecrec/items.h: sequence encoders (SASRec): histories of items in, a score for every item out.
 *
 * Such a model has no tokenizer: a history is a row of item ids, oldest first, that ecrec_encode_ids or ecrec_encode_batch turns
 * into a vector (of a history longer than ecrec_model_max_length its newest items are taken). */
#ifndef ECREC_ITEMS_H
#define ECREC_ITEMS_H

#include "ecrec/encode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of the item table, padding and mask rows included: item ids are below it. 0: the model is no sequence encoder. Any
 * thread. Since 0.1. */
ECREC_API uint32_t ecrec_model_items(const ecrec_model *model);

/* Score all items for n histories: scores[i * items + j] = vectors[i] . row j of the item table, float32; vectors are n x
 * dimension as ecrec_encode_ids made them (not normalised, all dimensions), `capacity` of scores in floats. A history's scores
 * do not depend on the others, bit for bit, nor on the number of threads. Allocates nothing.
 * Errors: INVALID (dimension, a NULL pointer), TOO_SMALL, UNSUPPORTED (no sequence encoder). One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_score_items(ecrec_model *model, ecrec_session *session, const float *vectors, size_t n,
                                    uint32_t dimension, float *scores, size_t capacity, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
