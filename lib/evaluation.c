/* The ABI of evaluation. */
#include <string.h>

#include "base/context.h"
#include "check.h"
#include "measure/evaluate.h"

int32_t ecrec_evaluate_rows(ecrec_context *context, const ecrec_evaluation *evaluation, ecrec_report **report, ecrec_error *err)
{
    ecrec_report *r = NULL;
    CHECK_POINTER(context);
    CHECK_POINTER(evaluation);
    CHECK_POINTER(report);
    CHECK_OPTIONS(ecrec_evaluation, evaluation);
    int32_t status = report_create(context, "evaluation", &r, err);
    if (status != ECREC_OK)
        return status;
    if ((status = evaluate_tell(&context->m, r, "", evaluation, err)) == ECREC_OK && (status = report_finish(r, err)) == ECREC_OK)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}

int32_t ecrec_evaluate(ecrec_context *context, const float *probabilities, const float *labels, const float *weights, size_t n,
                       ecrec_report **report, ecrec_error *err)
{
    ecrec_evaluation e = ECREC_EVALUATION_INIT;
    if (context == NULL || report == NULL || ((probabilities == NULL || labels == NULL) && n != 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_evaluate: an argument is NULL");
    e.rows = n;
    e.scores = probabilities;
    e.labels = labels;
    e.weights = weights;
    for (size_t i = 0; i < n; i++)
        if (labels[i] != 0.0f && labels[i] != 1.0f) /* a label that is not known is not for this call */
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: the label %g is neither 0 nor 1", i, (double)labels[i]);
    return ecrec_evaluate_rows(context, &e, report, err);
}
