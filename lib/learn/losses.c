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
    gradient[0] = logistic(logits[0]) - y;
    return softplus(logits[0]) - y * logits[0];
}
