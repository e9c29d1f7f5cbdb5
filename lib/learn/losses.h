/* Losses of one row, and their gradient by the heads' logits. */
#ifndef ECREC_LIB_LEARN_LOSSES_H
#define ECREC_LIB_LEARN_LOSSES_H

#include "base/error.h"
#include "rank/schema.h"

/* logits, gradient: the label's heads. Nats; squared: (logit - y)^2 / 2.
 * Ordinal (cumulative logits, McCullagh 1980): P(y > c) = logistic(logit - threshold_c), the loss is the sum of the classes - 1 binary
 * ones; threshold_gradient [classes - 1] (may be NULL) is added to, times `weight`. */
double loss_row(const schema_label *label, const double *logits, const float *thresholds, float y, double weight, double *gradient,
                float *threshold_gradient);

/* What the step on one head wants to know of its label's loss. */
typedef struct loss_shape {
    int32_t kind;
    double weight; /* of the row */
    double most;   /* of the gradient's size, weight apart: the binary losses that it is made of */
} loss_shape;
enum { LOSS_OF_GROUP = -1 };
static inline loss_shape loss_shape_of(const schema_label *label, double weight)
{
    if (label->loss != ECREC_LOSS_OWN)
        return (loss_shape){ LOSS_OF_GROUP, weight, 1 };
    return (loss_shape){ label->kind, weight, label->kind == ECREC_LABEL_ORDINAL ? label->classes - 1 : 1 };
}
/* The gradient g where a step of g leads: g = l'(logit - reach * g), from the gradient at the logit (both times the row's weight).
 * Implicit steps (Kulis and Bartlett, ICML 2010) never go past the label, however many features a row has and however large they are.
 * A head of classes is taken as if the others stood still. */
double loss_gradient_after(const loss_shape *shape, double gradient, double reach);

/* What a row counts by what its label is (ecrec_update_options.outcome_weights). */
typedef struct outcome_weights {
    const float *pairs; /* NULL, or labels x 2, of binary labels */
    const float *all;   /* NULL, or label after label */
    int corrected;
} outcome_weights;
static inline uint32_t label_outcomes(const schema_label *l)
{
    return l->kind == ECREC_LABEL_BINARY ? 2 : l->kind == ECREC_LABEL_VALUE ? 0 : l->classes;
}
/* INVALID: a number that cannot be one, or other numbers than the schema's labels have outcomes. */
int32_t outcome_weights_check(const outcome_weights *w, const ecrec_schema *s, uint32_t count, ecrec_error *err);
/* label's weights (first: outcomes of the labels before it); NULL: all 1. */
const float *outcome_weights_of(const outcome_weights *w, const ecrec_schema *s, uint32_t label, uint32_t first);
/* As loss_row, of a row of weight 1; *counts: what it counts (the gradient is not multiplied by it). */
double loss_outcome(const schema_label *label, const float *weights, int corrected, const double *logits, const float *thresholds, float y, double weight,
                    double *gradient, float *threshold_gradient, double *counts);

#endif
