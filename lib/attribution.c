/* The ABI of attributions: argument checks, then one call into a room. */
#include "base/context.h"
#include "check.h"
#include "ecrec/rank.h"
#include "learn/attribute.h"
#include "session.h"

int32_t ecrec_attribute(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch, float *attributions, size_t capacity, double *completeness,
                        ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    double gap = 0;
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(batch);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const ecrec_schema *schema = model->schema;
    const size_t need = memory_product(batch->rows, (size_t)schema_outputs(schema) * (schema->field_count + 1));
    if (capacity < need)
        return error_set(err, ECREC_ERR_TOO_SMALL, "the attributions need %zu floats, the buffer takes %zu", need, capacity);
    if ((status = batch_check(batch, schema, ECREC_BAD_ROWS_REFUSE, err)) != ECREC_OK)
        return status;
    if (batch->rows != 0)
        CHECK_POINTER(attributions);
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    learn_source source = { .context = model->context, .encoder = now->encoder, .tokenizer = model->tokenizer };
    status = model_prompt(model, NULL, &source.prompt, &source.prompt_length, err);
    if (status == ECREC_OK)
        status = attribute_run(&source, schema, now->ranker, batch, attributions, &gap, err);
    snapshot_done(&session->reading);
    if (status == ECREC_OK && completeness != NULL)
        *completeness = gap;
    return status;
}
