#include "learn/guard.h"

#include <math.h>

#include "learn/groups.h"
#include "learn/losses.h"
#include "measure/metrics.h"
#include "rank/targets.h"

/* A class's probability as it is served. */
static double served(const schema_label *kind, const double *calibrated, const double *logits, uint32_t class)
{
    const double a = calibrated != NULL ? calibrated[CALIBRATION_A] : 1;
    double most = logits[0], sum = 0;
    for (uint32_t c = 1; c < kind->classes; c++)
        most = fmax(most, logits[c]);
    for (uint32_t c = 0; c < kind->classes; c++)
        sum += exp(a * (logits[c] - most));
    return exp(a * (logits[class] - most)) / sum;
}

static double loss_of(const schema_label *kind, const double *calibrated, const float *thresholds, float y, const double *logits)
{
    double unused[MOST_CLASSES];
    if (!isfinite(logits[0]))
        return NAN;
    if (calibrated != NULL && kind->kind == ECREC_LABEL_BINARY)
        return log_loss_of(calibration_probability(calibrated, logits[0]), (double)y);
    if (calibrated != NULL && kind->kind == ECREC_LABEL_CLASSES)
        return log_loss_of(served(kind, calibrated, logits, (uint32_t)y), 1);
    return loss_row(kind, logits, thresholds, y, 1, unused, NULL);
}

/* What a label's score says on average, and what the labels do: of a class, or (class 0) of the whole label. */
static double off(const schema_label *kind, const double *calibrated, const float *y, double weight, const double *logits, const float *thresholds, uint32_t class)
{
    double sum = 0;
    switch (kind->kind) {
    case ECREC_LABEL_BINARY: return weight * ((calibrated != NULL ? calibration_probability(calibrated, logits[0]) : logistic(logits[0])) - *y);
    case ECREC_LABEL_ORDINAL:
        for (uint32_t c = 0; c + 1 < kind->classes; c++)
            sum += logistic(logits[0] - thresholds[c]);
        return weight * (sum - *y) / (kind->classes - 1);
    case ECREC_LABEL_CLASSES: return weight * (served(kind, calibrated, logits, class) - (*y == (float)class)) / 2;
    default: return 0;
    }
}

static double calibration(const schema_label *kind, const double *calibrated, const batch_column *column, const float *thresholds, const guard_rows *rows, const double *logits,
                          uint32_t heads, double weight)
{
    double sum = 0;
    for (uint32_t class = 0; class < label_outputs(kind); class++) {
        double total = 0;
        for (size_t i = 0; i < rows->n; i++) {
            const size_t row = rows->list != NULL ? rows->list[i] : i;
            if (!column_has(column, row))
                continue;
            const float y = column_float(column, row);
            total += off(kind, calibrated, &y, batch_weight(rows->batch, row), logits + i * heads, thresholds, class);
        }
        sum += fabs(total);
    }
    return sum / weight;
}

void guard_label(const ecrec_schema *s, uint32_t label, uint32_t first, const float *const thresholds[2], const guard_rows *rows, uint32_t heads,
                 guard_measure *out)
{
    const schema_label *kind = &s->labels[label];
    const batch_column *y = batch_label(rows->batch, label);
    const double *scaled = target_row(rows->targets, s, label);
    *out = (guard_measure){ .rows = 0 };
    if (scaled != NULL && scaled[NUMBER_FROZEN_COUNT] == 0)
        return; /* nothing was learned but the mean */
    for (int state = 0; state < 2; state++) {
        const double *calibrated = calibration_row(rows->calibrations[state], label);
        double sum = 0, weight = 0;
        out->rows = 0;
        for (size_t i = 0; i < rows->n; i++) {
            const size_t row = rows->list != NULL ? rows->list[i] : i;
            if (!column_has(y, row))
                continue;
            const double w = batch_weight(rows->batch, row);
            const double *logits = rows->logits[state] + i * heads + first;
            if (kind->loss == ECREC_LOSS_OWN)
                sum += w * (kind->kind == ECREC_LABEL_VALUE ? target_loss(rows->targets, s, label, *logits, column_float(y, row)) : loss_of(kind, calibrated, thresholds[state], column_float(y, row), logits));
            weight += w;
            out->rows += 1;
        }
        if (kind->loss != ECREC_LOSS_OWN) {
            double groups = 0;
            sum = groups_loss(rows->batch, rows->list, 0, rows->n, label, rows->logits[state] + first, heads, NULL, &groups);
            out->loss[state] = groups > 0 ? sum / groups : 0;
            continue; /* such a score is no probability */
        }
        out->loss[state] = weight > 0 ? sum / weight : 0;
        out->calibration[state] = weight > 0 ? calibration(kind, calibrated, y, thresholds[state], rows, rows->logits[state] + first, heads, weight) : 0;
    }
}

double guard_moved(const ecrec_schema *s, const float *const thresholds[2], const guard_rows *rows, uint32_t heads, float *scores)
{
    double most = 0;
    for (size_t i = 0; i < rows->n; i++) {
        for (int state = 0; state < 2; state++) {
            heads_to_scores(s, thresholds[state], rows->logits[state] + i * heads, 0, scores + (size_t)state * heads);
            calibration_apply(rows->calibrations[state], s, rows->logits[state] + i * heads, scores + (size_t)state * heads);
        }
        for (uint32_t h = 0; h < heads; h++)
            most = fmax(most, fabs((double)scores[h] - scores[heads + h]));
    }
    return most;
}
