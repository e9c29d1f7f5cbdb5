#include "rank/targets.h"

#include <math.h>

#include "base/error.h"
#include "rank/features.h"

#define MOST_LOG 88.0 /* its exponential is a float32 */

int targets_needed(const ecrec_schema *s)
{
    for (uint32_t l = 0; l < s->label_count; l++)
        if (target_scaled(&s->labels[l]))
            return 1;
    return 0;
}

const double *target_row(const tensor *t, const ecrec_schema *s, uint32_t label)
{
    return t != NULL && label < t->shape[0] && target_scaled(&s->labels[label]) ? (const double *)t->data + (size_t)label * NUMBER_COLUMNS : NULL;
}

int targets_settled(const tensor *t, const ecrec_schema *s)
{
    for (uint32_t l = 0; l < s->label_count; l++) {
        const double *row = target_row(t, s, l);
        if (row != NULL && row[NUMBER_FROZEN_COUNT] == 0)
            return 0;
    }
    return 1;
}

static double bent(const schema_label *l, double y)
{
    return l->target == ECREC_TARGET_LOG ? log1p(fmax(y, 0)) : y;
}

double target_of(const tensor *t, const ecrec_schema *s, uint32_t label, float y)
{
    const double *row = target_row(t, s, label), v = bent(&s->labels[label], (double)y);
    return row != NULL ? (v - row[NUMBER_FROZEN_MEAN]) * row[NUMBER_FROZEN_SCALE] : v;
}

void targets_unscale(const tensor *t, const ecrec_schema *s, double *logits, float *parts, uint32_t width, uint32_t bias)
{
    uint32_t head = 0;
    for (uint32_t l = 0; l < s->label_count && t != NULL; l++) {
        const double *row = target_row(t, s, l);
        if (row != NULL) {
            const double unit = 1 / row[NUMBER_FROZEN_SCALE];
            logits[head] = row[NUMBER_FROZEN_MEAN] + logits[head] * unit;
            for (uint32_t k = 0; parts != NULL && k < width; k++)
                parts[(size_t)head * width + k] = (float)(parts[(size_t)head * width + k] * unit);
            if (parts != NULL)
                parts[(size_t)head * width + bias] = (float)(parts[(size_t)head * width + bias] + row[NUMBER_FROZEN_MEAN]);
        }
        head += label_outputs(&s->labels[l]);
    }
}

double target_loss(const tensor *t, const ecrec_schema *s, uint32_t label, double unscaled, float y)
{
    const double *row = target_row(t, s, label), off = (unscaled - bent(&s->labels[label], (double)y)) * (row != NULL ? row[NUMBER_FROZEN_SCALE] : 1);
    return 0.5 * off * off;
}

double target_value(const schema_label *l, double unscaled)
{
    return l->target == ECREC_TARGET_LOG && l->kind == ECREC_LABEL_VALUE ? expm1(unscaled > MOST_LOG ? MOST_LOG : fmax(unscaled, 0)) : unscaled;
}

double target_off(const tensor *t, const ecrec_schema *s, uint32_t label, float score, float y)
{
    const double *row = target_row(t, s, label);
    return fabs(bent(&s->labels[label], (double)score) - bent(&s->labels[label], (double)y)) * (row != NULL ? row[NUMBER_FROZEN_SCALE] : 1);
}

void target_see(double *row, const schema_label *l, float y)
{
    const double v = bent(l, (double)y), d = v - row[NUMBER_MEAN];
    row[NUMBER_COUNT] += 1;
    row[NUMBER_MEAN] += d / row[NUMBER_COUNT];
    row[NUMBER_SQUARES] += d * (v - row[NUMBER_MEAN]);
    row[NUMBER_FROZEN_MEAN] = row[NUMBER_MEAN];
}

void target_freeze(double *row)
{
    const double variance = row[NUMBER_COUNT] > 0 ? row[NUMBER_SQUARES] / row[NUMBER_COUNT] : 0, scale = variance > 1e-30 ? 1 / sqrt(variance) : 1;
    row[NUMBER_FROZEN_MEAN] = row[NUMBER_MEAN];
    row[NUMBER_FROZEN_SCALE] = isfinite(scale) && scale > 0 ? scale : 1;
    row[NUMBER_FROZEN_COUNT] = row[NUMBER_COUNT];
}

int32_t targets_check(const tensor *t, const ecrec_schema *s, ecrec_error *err)
{
    if (t->type != TYPE_F64 || t->layout != LAYOUT_ROWS || t->rank != 2 || t->shape[0] > s->label_count || t->shape[1] != NUMBER_COLUMNS)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.targets\" does not have the type and shape that the schema asks for");
    for (uint64_t l = 0; l < t->shape[0]; l++) {
        const double *row = (const double *)t->data + l * NUMBER_COLUMNS;
        for (uint32_t i = 0; i < NUMBER_COLUMNS; i++)
            if (!isfinite(row[i]) || (i != NUMBER_MEAN && i != NUMBER_FROZEN_MEAN && row[i] < 0) || (i == NUMBER_FROZEN_SCALE && !(row[i] > 1e-200 && row[i] < 1e200)))
                return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.targets\": value %u of label \"%s\" is not a number that it may hold", i, s->labels[l].name);
    }
    return ECREC_OK;
}
