#include "learn/labels.h"

#include <math.h>

#include "base/error.h"
#include "base/format.h"
#include "measure/evaluate.h"
#include "measure/metrics.h"
#include "rank/features.h"

int32_t labels_tell(memory *m, ecrec_report *r, const ecrec_batch *batch, const size_t *list, size_t n, const double *logits, const float *thresholds, const tensor *calibration,
                    const uint64_t *groups, ecrec_error *err)
{
    const ecrec_schema *s = batch->schema;
    const uint32_t heads = schema_outputs(s);
    const size_t bytes = memory_product(n, (2 * (size_t)heads + 2) * sizeof(float));
    float *all = memory_allocate(m, bytes), *own = all + n * heads, *labels = own + n * heads, *weights = labels + n;
    int32_t status = ECREC_OK;
    if (all == NULL)
        return error_nomem(err, "the scores to evaluate", bytes);
    for (size_t i = 0; i < n; i++) {
        heads_to_scores(s, thresholds, logits + i * heads, 0, all + i * heads);
        calibration_apply(calibration, s, logits + i * heads, all + i * heads);
        weights[i] = batch_weight(batch, list[i]);
    }
    for (uint32_t l = 0, head = 0; l < s->label_count && status == ECREC_OK; l++) {
        const schema_label *label = &s->labels[l];
        const batch_column *y = batch_label(batch, l);
        const uint32_t outputs = label_outputs(label);
        ecrec_evaluation e = ECREC_EVALUATION_INIT;
        char name[256], prefix[300];
        head += label->dropped ? outputs : 0;
        if (label->dropped)
            continue;
        for (size_t i = 0; i < n; i++) {
            labels[i] = column_has(y, list[i]) ? column_float(y, list[i]) : NAN;
            for (uint32_t k = 0; k < outputs; k++)
                own[i * outputs + k] = all[i * heads + head + k];
        }
        e.kind = label->kind;
        e.classes = label->classes;
        e.rows = n;
        e.scores = own;
        e.labels = labels;
        e.weights = weights;
        e.groups = groups;
        metrics_label_key(label->name, name);
        format_text(prefix, sizeof prefix, "labels.%s.", name);
        status = evaluate_tell(m, r, prefix, &e, err);
        head += outputs;
    }
    memory_release(m, all, bytes);
    return status;
}
