/* The ABI of smaller models: pruned and quantised ones. */
#include "check.h"
#include "compress/compress.h"
#include "session.h"

/* The model of `smaller`, which is taken; of what was asked for nothing is given when a step before failed or this one does. */
static int32_t give(ecrec_model *model, int32_t status, parts *smaller, ecrec_report *told, ecrec_model **made, ecrec_report **report,
                    ecrec_error *err)
{
    if (status == ECREC_OK)
        status = model_create(model->context, smaller, model->kept_limit, model_setup, made, err);
    if (status != ECREC_OK)
        ecrec_report_release(told);
    else if (report != NULL)
        *report = told;
    return status;
}

int32_t ecrec_prune(ecrec_model *model, const ecrec_prune_options *options, ecrec_model **pruned, ecrec_report **report,
                    ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(pruned);
    CHECK_OPTIONS(ecrec_prune_options, options);
    parts *now = NULL, *smaller = NULL;
    ecrec_report *told = NULL;
    int32_t status = model_parts(model, &now, err);
    if (status == ECREC_OK)
        status = prune_run(model->context, now, options, &smaller, report != NULL ? &told : NULL, err);
    parts_release(now);
    return give(model, status, smaller, told, pruned, report, err);
}

int32_t ecrec_quantize(ecrec_model *model, const ecrec_quantize_options *options, ecrec_model **quantized,
                       ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(quantized);
    CHECK_OPTIONS(ecrec_quantize_options, options);
    parts *now = NULL, *smaller = NULL;
    ecrec_report *told = NULL;
    int32_t status = model_parts(model, &now, err);
    if (status == ECREC_OK)
        status = quantize_run(model->context, now, options, &smaller, report != NULL ? &told : NULL, err);
    parts_release(now);
    return give(model, status, smaller, told, quantized, report, err);
}
