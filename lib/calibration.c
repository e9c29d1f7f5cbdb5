/* The ABI of calibration: argument checks, the rows' logits, then one call into a room. */
#include "base/context.h"
#include "check.h"
#include "learn/calibrate.h"
#include "rank/batch.h"

int32_t ecrec_calibrate(ecrec_model *model, const ecrec_batch *batch, const ecrec_calibrate_options *options, ecrec_report **report, ecrec_error *err)
{
    static const ecrec_calibrate_options defaults = ECREC_CALIBRATE_OPTIONS_INIT;
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_session *session = NULL;
    ecrec_report *told = NULL;
    uint64_t number = 0;
    CHECK_POINTER(model);
    CHECK_POINTER(batch);
    CHECK_OPTIONS(ecrec_calibrate_options, options);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    memory *m = &model->context->m;
    const size_t scores = memory_product(batch->rows, schema_outputs(model->schema)), bytes = memory_product(scores, sizeof(float));
    if (batch->rows == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_calibrate: the batch has no rows");
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    ecrec_score_options raw = ECREC_SCORE_OPTIONS_INIT;
    raw.logits = 1;
    float *logits = memory_allocate(m, bytes);
    if (logits == NULL || tensor_set_copy(now->tensors, &next) != ECREC_OK)
        status = error_nomem(err, "the rows' scores", bytes);
    if (status == ECREC_OK && (status = ecrec_session_create(model, NULL, &session, err)) == ECREC_OK)
        status = ecrec_score(model, session, batch, &raw, logits, scores, err);
    if (status == ECREC_OK)
        status = calibrate_run(model->context, model->schema, batch, logits, options != NULL ? options : &defaults, next, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    ecrec_session_release(session);
    memory_release(m, logits, logits != NULL ? bytes : 0);
    model_update_end(model);
    return status;
}
