/* The ABI of sequence encoders: argument checks, then one call into the encoder's room. */
#include "ecrec/items.h"

#include "check.h"
#include "encoder/items.h"

uint32_t ecrec_model_items(const ecrec_model *model)
{
    if (model == NULL || properties_u64(model->fixed->settings, "encoder.position_end", 0) == 0)
        return 0;
    return (uint32_t)properties_u64(model->fixed->settings, "encoder.vocabulary", 0);
}

int32_t ecrec_score_items(ecrec_model *model, ecrec_session *session, const float *vectors, size_t n, uint32_t dimension, float *scores, size_t capacity,
                          ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    const uint32_t items = ecrec_model_items(model);
    if (session->embed == NULL || items == 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is no encoder of sequences of items");
    if (n == 0)
        return ECREC_OK;
    CHECK_POINTER(vectors);
    CHECK_POINTER(scores);
    if (n > capacity / items)
        return error_set(err, ECREC_ERR_TOO_SMALL, "%zu histories have %u scores each, the buffer takes %zu in all", n, items, capacity);
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    const encoder *e = now->encoder;
    if (dimension != e->hidden || e->embedding != e->hidden)
        status = error_set(err, ECREC_ERR_INVALID, "dimension is %u, the items' rows have %u", dimension, e->embedding);
    else
        items_score(model->context, e, vectors, n, scores);
    snapshot_done(&session->reading);
    return status;
}
