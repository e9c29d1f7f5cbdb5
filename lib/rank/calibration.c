#include "rank/calibration.h"

#include <math.h>

#include "base/error.h"
#include "rank/features.h"

int32_t calibration_check(const tensor *t, const ecrec_schema *s, ecrec_error *err)
{
    if (t->type != TYPE_F64 || t->layout != LAYOUT_ROWS || t->rank != 2 || t->shape[0] > s->label_count || t->shape[1] != CALIBRATION_COLUMNS)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.calibration\" does not have the type and shape that the schema asks for");
    for (uint64_t l = 0; l < t->shape[0]; l++) {
        const double *row = (const double *)t->data + l * CALIBRATION_COLUMNS;
        for (uint32_t i = 0; i < CALIBRATION_COLUMNS; i++)
            if (!isfinite(row[i]))
                return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.calibration\": value %u of label \"%s\" is not finite", i, s->labels[l].name);
        if (row[CALIBRATION_METHOD] != floor(row[CALIBRATION_METHOD]) || row[CALIBRATION_METHOD] < 0 || row[CALIBRATION_METHOD] > ECREC_CALIBRATION_ISOTONIC)
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.calibration\": label \"%s\" has an unknown method", s->labels[l].name);
    }
    return ECREC_OK;
}

static double isotonic(const double *row, double logit)
{
    const double *k = row + CALIBRATION_FIRST_KNOT;
    uint32_t at = 0;
    while (at < CALIBRATION_KNOTS && k[at * KNOT_COLUMNS + KNOT_WEIGHT] > 0 && logit > k[at * KNOT_COLUMNS + KNOT_X])
        at++;
    if (at == 0)
        return k[KNOT_Y];
    const double *low = k + (size_t)(at - 1) * KNOT_COLUMNS, *high = low + KNOT_COLUMNS;
    if (at == CALIBRATION_KNOTS || !(high[KNOT_WEIGHT] > 0) || !(high[KNOT_X] > low[KNOT_X]))
        return low[KNOT_Y];
    return low[KNOT_Y] + (high[KNOT_Y] - low[KNOT_Y]) * (logit - low[KNOT_X]) / (high[KNOT_X] - low[KNOT_X]);
}

const double *calibration_row(const tensor *t, uint32_t label)
{
    const double *row = t != NULL && label < t->shape[0] ? (const double *)t->data + (size_t)label * CALIBRATION_COLUMNS : NULL;
    return row != NULL && row[CALIBRATION_METHOD] != ECREC_CALIBRATION_NONE ? row : NULL;
}

double calibration_probability(const double *row, double logit)
{
    return row[CALIBRATION_METHOD] == ECREC_CALIBRATION_ISOTONIC ? isotonic(row, logit) : logistic(row[CALIBRATION_A] * logit + row[CALIBRATION_B]);
}

void calibration_apply(const tensor *t, const ecrec_schema *s, const double *logits, float *scores)
{
    for (uint32_t l = 0; t != NULL && l < t->shape[0]; l++) {
        const double *row = (const double *)t->data + (size_t)l * CALIBRATION_COLUMNS;
        const uint32_t n = label_outputs(&s->labels[l]);
        if (row[CALIBRATION_METHOD] != ECREC_CALIBRATION_NONE && !s->labels[l].dropped && s->labels[l].kind == ECREC_LABEL_BINARY)
            scores[0] = (float)calibration_probability(row, logits[0]);
        if (row[CALIBRATION_METHOD] != ECREC_CALIBRATION_NONE && !s->labels[l].dropped && s->labels[l].kind == ECREC_LABEL_CLASSES) {
            double most = logits[0], sum = 0;
            for (uint32_t k = 1; k < n; k++)
                most = logits[k] > most ? logits[k] : most;
            for (uint32_t k = 0; k < n; k++)
                sum += exp(row[CALIBRATION_A] * (logits[k] - most));
            for (uint32_t k = 0; k < n; k++)
                scores[k] = (float)(exp(row[CALIBRATION_A] * (logits[k] - most)) / sum);
        }
        logits += n;
        scores += n;
    }
}
