#include "learn/groups.h"

#include <math.h>

#include "rank/features.h"

int schema_grouped(const ecrec_schema *s)
{
    for (uint32_t l = 0; l < s->label_count; l++)
        if (s->labels[l].loss != ECREC_LOSS_OWN)
            return 1;
    return 0;
}

static size_t row_of(const size_t *list, size_t i)
{
    return list != NULL ? list[i] : i;
}

size_t group_end(const ecrec_batch *batch, const size_t *list, size_t i, size_t n)
{
    const batch_column *c = batch_row(batch, ROW_GROUP);
    const size_t row = row_of(list, i);
    if (!column_has(c, row))
        return i + 1;
    size_t end = i + 1;
    while (end < n && column_has(c, row_of(list, end)) && column_id(c, row_of(list, end)) == column_id(c, row))
        end++;
    return end;
}

/* A group's rows: [first, end) of the list. */
typedef struct group {
    const ecrec_batch *batch;
    const batch_column *y;
    const size_t *list;
    size_t first, end, stride;
    const double *logits; /* of the first */
    double *gradients;
    double weight;
} group;

static int has(const group *g, size_t i)
{
    return column_has(g->y, row_of(g->list, i));
}

static double label_of(const group *g, size_t i)
{
    return column_float(g->y, row_of(g->list, i));
}

static double logit_of(const group *g, size_t i)
{
    return g->logits[(i - g->first) * g->stride];
}

static void give(const group *g, size_t i, double gradient)
{
    if (g->gradients != NULL)
        g->gradients[(i - g->first) * g->stride] += g->weight * gradient;
}

static double pairwise(const group *g, double *weight)
{
    size_t pairs = 0;
    double loss = 0;
    for (int pass = 0; pass < 2; pass++) /* how many there are, then each one's share */
        for (size_t i = g->first; i < g->end; i++)
            for (size_t j = g->first; j < g->end; j++) {
                if (!has(g, i) || !has(g, j) || !(label_of(g, i) > label_of(g, j)))
                    continue;
                if (pass == 0) {
                    pairs++;
                    continue;
                }
                const double z = logit_of(g, j) - logit_of(g, i), wrong = logistic(z) / (double)pairs;
                loss += (z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))) / (double)pairs;
                give(g, i, -wrong);
                give(g, j, wrong);
            }
    *weight += pairs != 0 ? g->weight : 0;
    return g->weight * loss;
}

static double listwise(const group *g, int log_q, double *weight)
{
    double most = -INFINITY, sum = 0, positive = 0, loss = 0;
    size_t rows = 0;
    for (size_t i = g->first; i < g->end; i++)
        if (has(g, i)) {
            const double z = logit_of(g, i) - (log_q ? log((double)batch_propensity(g->batch, row_of(g->list, i))) : 0);
            most = z > most ? z : most;
            positive += fmax(0, label_of(g, i));
            rows++;
        }
    if (!(positive > 0) || rows < 2)
        return 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = g->first; i < g->end; i++) {
            if (!has(g, i))
                continue;
            const double z = logit_of(g, i) - (log_q ? log((double)batch_propensity(g->batch, row_of(g->list, i))) : 0) - most;
            const double t = fmax(0, label_of(g, i)) / positive;
            if (pass == 0) {
                sum += exp(z);
                continue;
            }
            loss -= t * (z - log(sum));
            give(g, i, exp(z) / sum - t);
        }
    *weight += g->weight;
    return g->weight * loss;
}

double groups_loss(const ecrec_batch *batch, const size_t *list, size_t first, size_t n, uint32_t label, const double *logits, size_t stride,
                   double *gradients, double *weight)
{
    const schema_label *kind = &batch->schema->labels[label];
    double loss = 0;
    for (size_t i = first, end; i < first + n; i = end) {
        end = group_end(batch, list, i, first + n);
        group g = { .batch = batch, .y = batch_label(batch, label), .list = list, .first = i, .end = end, .stride = stride,
                    .logits = logits + (i - first) * stride, .gradients = gradients != NULL ? gradients + (i - first) * stride : NULL };
        for (size_t k = i; k < end; k++)
            g.weight += batch_weight(batch, row_of(list, k)) / (double)(end - i);
        loss += kind->loss == ECREC_LOSS_PAIRWISE ? pairwise(&g, weight) : listwise(&g, kind->log_q != 0, weight);
    }
    return loss;
}
