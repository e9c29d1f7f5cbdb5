#include "learn/losses.h"

#include <math.h>

#include "rank/features.h"

/* log(1 + exp(z)) without overflow. */
static double softplus(double z)
{
    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static double loss_classes(uint32_t classes, const double *logits, uint32_t y, double *gradient)
{
    double most = logits[0], sum = 0;
    for (uint32_t k = 1; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    for (uint32_t k = 0; k < classes; k++)
        sum += exp(logits[k] - most);
    for (uint32_t k = 0; k < classes; k++)
        gradient[k] = exp(logits[k] - most) / sum - (k == y);
    return log(sum) + most - logits[y];
}

static double loss_ordinal(uint32_t classes, double logit, const float *thresholds, uint32_t y, double weight, double *gradient,
                           float *threshold_gradient)
{
    double loss = 0;
    *gradient = 0;
    for (uint32_t c = 0; c + 1 < classes; c++) {
        const double z = logit - thresholds[c], is = y > c, d = logistic(z) - is;
        loss += softplus(z) - is * z;
        *gradient += d;
        if (threshold_gradient != NULL)
            threshold_gradient[c] -= (float)(weight * d);
    }
    return loss;
}

double loss_row(const schema_label *label, const double *logits, const float *thresholds, float y, double weight, double *gradient,
                float *threshold_gradient)
{
    if (label->kind == ECREC_LABEL_CLASSES)
        return loss_classes(label->classes, logits, (uint32_t)y, gradient);
    if (label->kind == ECREC_LABEL_ORDINAL)
        return loss_ordinal(label->classes, logits[0], thresholds, (uint32_t)y, weight, gradient, threshold_gradient);
    if (label->kind == ECREC_LABEL_VALUE) {
        gradient[0] = logits[0] - y;
        return 0.5 * gradient[0] * gradient[0];
    }
    /* of the rows that are there, when not all rows with 0 are: the odds are those of all rows over the share kept */
    const double z = logits[0] - (label->kept > 0 ? log((double)label->kept) : 0);
    gradient[0] = logistic(z) - y;
    return softplus(z) - y * z;
}

double loss_gradient_after(const loss_shape *shape, double gradient, double reach)
{
    const double size = shape->weight * shape->most, start = fabs(gradient) / size; /* the probability that is wrong */
    if (shape->kind == LOSS_OF_GROUP)
        return gradient / (1 + 0.25 * shape->weight * reach); /* the most that these losses bend */
    if (shape->kind == ECREC_LABEL_VALUE)
        return gradient / (1 + shape->weight * reach);
    if (!(start > 0) || !(reach > 0))
        return gradient;
    const double logit = log(start) - log(fmax(1 - start, 1e-16)), span = reach * size * shape->most;
    double low = 0, high = start, e = start;
    for (int i = 0; i < 30; i++) { /* e = logistic(logit - span * e): Newton's steps, kept between what is too low and what is too high */
        const double p = logistic(logit - span * e), miss = e - p;
        *(miss < 0 ? &low : &high) = e;
        double next = e - miss / (1 + span * p * (1 - p));
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        if (fabs(next - e) <= 1e-9 * e)
            break;
        e = next;
    }
    return gradient > 0 ? e * size : -e * size;
}

int32_t outcome_weights_check(const outcome_weights *w, const ecrec_schema *s, uint32_t count, ecrec_error *err)
{
    uint32_t outcomes = 0;
    for (uint32_t l = 0; l < s->label_count; l++)
        outcomes += label_outcomes(&s->labels[l]);
    if (w->pairs != NULL && w->all != NULL)
        return error_set(err, ECREC_ERR_INVALID, "class_weights and outcome_weights: one of them must be NULL");
    if (w->all != NULL && count != outcomes)
        return error_set(err, ECREC_ERR_INVALID, "outcome_weights: %u numbers, but the labels have %u outcomes", count, outcomes);
    for (uint32_t l = 0, first = 0; l < s->label_count; first += label_outcomes(&s->labels[l]), l++) {
        const float *own = outcome_weights_of(w, s, l, first);
        for (uint32_t k = 0; own != NULL && k < label_outcomes(&s->labels[l]); k++) {
            if (!(own[k] >= 0 && isfinite(own[k])) || (w->corrected && own[k] == 0))
                return error_set(err, ECREC_ERR_INVALID, "label \"%s\": the weight of %u is %g; it must be finite and %s", s->labels[l].name, k, (double)own[k],
                                 w->corrected ? "above 0, since probabilities are corrected for it" : ">= 0");
            if (w->corrected && s->labels[l].kind == ECREC_LABEL_ORDINAL && own[k] != own[0])
                return error_set(err, ECREC_ERR_INVALID, "label \"%s\" is ordinal: its probabilities cannot be corrected for weights that differ", s->labels[l].name);
        }
    }
    return ECREC_OK;
}

const float *outcome_weights_of(const outcome_weights *w, const ecrec_schema *s, uint32_t label, uint32_t first)
{
    const schema_label *l = &s->labels[label];
    if (w == NULL || l->loss != ECREC_LOSS_OWN || l->kind == ECREC_LABEL_VALUE)
        return NULL;
    if (w->all != NULL)
        return w->all + first;
    return w->pairs != NULL && l->kind == ECREC_LABEL_BINARY ? w->pairs + 2 * (size_t)label : NULL;
}

double loss_outcome(const schema_label *label, const float *weights, int corrected, const double *logits, const float *thresholds, float y, double weight,
                    double *gradient, float *threshold_gradient, double *counts)
{
    double moved[MOST_CLASSES];
    *counts = weights != NULL ? weights[(uint32_t)y] : 1;
    if (weights != NULL && corrected && label->kind == ECREC_LABEL_BINARY) {
        moved[0] = logits[0] + log((double)weights[1] / weights[0]);
        logits = moved;
    } else if (weights != NULL && corrected && label->kind == ECREC_LABEL_CLASSES) {
        for (uint32_t k = 0; k < label->classes; k++)
            moved[k] = logits[k] + log((double)weights[k]);
        logits = moved;
    }
    return loss_row(label, logits, thresholds, y, weight * *counts, gradient, threshold_gradient);
}
