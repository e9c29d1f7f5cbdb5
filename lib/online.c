/* The ABI of what a ranker remembers: argument checks, then one call into a room. */
#include "ecrec/online.h"

#include "check.h"
#include "encoder/encoder.h"
#include "learn/forget.h"
#include "stream/online.h"

static int32_t check_ranker(const ecrec_model *model, ecrec_error *err)
{
    return model->schema != NULL ? ECREC_OK : error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
}

int32_t ecrec_online_configure(ecrec_model *model, const ecrec_online_options *options, ecrec_error *err)
{
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    uint64_t number = 0;
    CHECK_POINTER(model);
    CHECK_OPTIONS(ecrec_online_options, options);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK || (status = model_update_begin(model, &now, err)) != ECREC_OK)
        return status;
    if (tensor_set_copy(now->tensors, &next) != ECREC_OK)
        status = error_nomem(err, "the next snapshot", 0);
    if (status == ECREC_OK)
        status = online_configure(&model->context->m, next, model->schema, options, err);
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK)
        tensor_set_release(next);
    model_update_end(model);
    return status;
}

int32_t ecrec_online_info(ecrec_model *model, ecrec_report **report, ecrec_error *err)
{
    hazard h;
    online o;
    CHECK_POINTER(model);
    CHECK_POINTER(report);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK)
        return status;
    model_add_hazard(model, &h);
    const snapshot *now = snapshot_read(model, &h, 0);
    if ((status = online_view(&o, now->tensors, model->schema, err)) == ECREC_OK)
        status = online_tell(&o, model->context, model->schema, report, err);
    snapshot_done(&h);
    model_remove_hazard(model, &h);
    return status;
}

int32_t ecrec_forget(ecrec_model *model, uint32_t field, const char *value, size_t length, ecrec_report **report, ecrec_error *err)
{
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    uint64_t number = 0;
    CHECK_POINTER(model);
    CHECK_POINTER(value);
    int32_t status = check_ranker(model, err);
    const ecrec_schema *schema = model->schema;
    if (status != ECREC_OK)
        return status;
    if (field >= schema->field_count || field_form(schema->fields[field].kind) != ECREC_FIELD_CATEGORY)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_forget: field %u is no user, item or category field", field);
    if ((status = model_update_begin(model, &now, err)) != ECREC_OK)
        return status;
    const forget_call call = { .context = model->context, .schema = schema, .dimension = now->encoder != NULL ? ((const encoder *)now->encoder)->dimension : 0,
                               .tensors = now->tensors, .field = field, .value = value, .length = length, .snapshots = model->kept_count };
    status = forget_run(&call, &next, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK && (status = model_publish(model, next, &number, err)) == ECREC_OK)
        model_drop_older(model);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    model_update_end(model);
    return status;
}
