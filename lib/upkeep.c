/* The ABI of what is done to a ranker between updates, numbers cut anew and a period's end: argument checks, then one call into a room. */
#include "check.h"
#include "encoder/encoder.h"
#include "rank/batch.h"
#include "learn/expiry.h"
#include "learn/rebin.h"

int32_t ecrec_rebin(ecrec_model *model, const char *field, const ecrec_batch *batch, ecrec_report **report, ecrec_error *err)
{
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    const ecrec_batch *rows = NULL;
    batch_view view = { .valid = NULL };
    uint64_t number = 0;
    CHECK_POINTER(model);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const ecrec_schema *schema = model->schema;
    const uint32_t which = field != NULL ? ecrec_schema_find_field(schema, field) : NO_FIELD;
    if (field != NULL && (which == NO_FIELD || schema->fields[which].bins == 0 || schema->fields[which].dropped))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_rebin: \"%s\" is no number field with bins", field);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    if (batch != NULL)
        status = batch_view_open(&view, batch, schema, ECREC_BAD_ROWS_REFUSE, &rows, err);
    if (status == ECREC_OK)
        status = rebin_run(model->context, schema, ecrec_model_dimension(model), now->tensors, which, rows, &next, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    batch_view_close(&view);
    model_update_end(model);
    return status;
}

int32_t ecrec_expire(ecrec_model *model, ecrec_report **report, ecrec_error *err)
{
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    uint64_t number = 0;
    CHECK_POINTER(model);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    status = expiry_run(model->context, model->schema, ecrec_model_dimension(model), now->tensors, &next, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    model_update_end(model);
    return status;
}
