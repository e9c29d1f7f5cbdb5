#include "measure/metrics.h"

#include <math.h>
#include <string.h>

#include "base/sort.h"
#include "rank/features.h"
#include "rank/targets.h"

double log_loss_of(double probability, double label)
{
    const double p = probability < 1e-7 ? 1e-7 : probability > 1 - 1e-7 ? 1 - 1e-7 : probability;
    return label > 0.5 ? -log(p) : -log1p(-p);
}

static int by_probability(const void *a, const void *b, void *opaque)
{
    const scored *x = a, *y = b;
    (void)opaque;
    if (x->probability != y->probability)
        return x->probability < y->probability ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

/* Area under the ROC curve by ranks: a pair of equal probabilities counts half. */
static double area(const scored *items, size_t n, double positives, double negatives)
{
    double below = 0, sum = 0;
    for (size_t i = 0; i < n;) {
        double p = 0, q = 0;
        size_t j = i;
        for (; j < n && items[j].probability == items[i].probability; j++)
            *(items[j].label > 0.5f ? &p : &q) += items[j].weight;
        sum += p * (below + 0.5 * q);
        below += q;
        i = j;
    }
    return sum / (positives * negatives);
}

/* Average precision, from the highest probability down; equal ones are taken together. */
static double average_precision(const scored *items, size_t n, double positives)
{
    double right = 0, taken = 0, sum = 0;
    for (size_t i = n; i > 0;) {
        double p = 0, all = 0;
        size_t j = i;
        for (; j > 0 && items[j - 1].probability == items[i - 1].probability; j--) {
            all += items[j - 1].weight;
            p += items[j - 1].label > 0.5f ? items[j - 1].weight : 0;
        }
        right += p;
        taken += all;
        sum += taken > 0 ? p * right / taken : 0;
        i = j;
    }
    return sum / positives;
}

/* Nats of a label of this mean. */
static double entropy(double mean)
{
    return mean > 0 && mean < 1 ? -mean * log(mean) - (1 - mean) * log1p(-mean) : 0;
}

void metrics_compute(scored *items, size_t n, double threshold, calibration_bin *bins, uint32_t bin_count, metrics *out)
{
    memset(out, 0, sizeof *out);
    memset(bins, 0, bin_count * sizeof *bins);
    sort_items(items, n, sizeof *items, by_probability, NULL);
    for (size_t i = 0; i < n; i++) {
        const double p = items[i].probability, y = items[i].label, w = items[i].weight;
        const int said = p >= threshold, is = y > 0.5, bin = (int)(p * bin_count);
        calibration_bin *b = &bins[bin < 0 ? 0 : bin >= (int)bin_count ? (int)bin_count - 1 : bin];
        out->weight += w;
        out->log_loss += w * log_loss_of(p, y);
        out->predicted[said] += w;
        out->support[is] += w;
        out->mean_probability += w * p;
        if (said == is)
            out->right[is] += w;
        b->weight += w;
        b->label += w * y;
        b->probability += w * p;
    }
    out->rows = (double)n;
    for (uint32_t b = 0; b < bin_count; b++)
        out->ece += fabs(bins[b].label - bins[b].probability);
    out->log_loss /= out->weight;
    out->ece /= out->weight;
    out->mean_probability /= out->weight;
    out->accuracy = (out->right[0] + out->right[1]) / out->weight;
    out->pr_auc = out->support[1] > 0 ? average_precision(items, n, out->support[1]) : NAN;
    const double unknown = entropy(out->support[1] / out->weight);
    out->normalised_entropy = unknown > 0 ? out->log_loss / unknown : NAN;
    out->auc = out->support[0] > 0 && out->support[1] > 0 ? area(items, n, out->support[1], out->support[0]) : NAN;
}

void metrics_label_key(const char *name, char out[256])
{
    size_t n = 0;
    for (; name[n] != 0; n++)
        out[n] = name[n] == '.' ? '_' : name[n];
    out[n] = 0;
}

/* Rows of a list with their logits. */
typedef struct listed {
    const ecrec_batch *batch;
    const batch_column *y;
    const size_t *list;
    size_t n, stride;
    const double *logits;
    const double *calibration; /* or NULL */
} listed;

static size_t listed_row(const listed *l, size_t i)
{
    return l->list != NULL ? l->list[i] : i;
}

static void tell_binary(ecrec_report *r, const char *name, const listed *l, scored *items)
{
    size_t n = 0;
    metrics m;
    calibration_bin bins[CALIBRATION_BINS];
    for (size_t i = 0; i < l->n; i++) {
        const size_t row = listed_row(l, i);
        if (column_has(l->y, row))
            items[n++] = (scored){ (float)(l->calibration != NULL ? calibration_probability(l->calibration, l->logits[i * l->stride]) : logistic(l->logits[i * l->stride])), column_float(l->y, row), batch_weight(l->batch, row), 0 };
    }
    metrics_compute(items, n, 0.5, bins, CALIBRATION_BINS, &m);
    report_numberf(r, (double)n, "labels.%s.rows", name);
    report_numberf(r, m.log_loss, "labels.%s.log_loss", name);
    report_numberf(r, m.auc, "labels.%s.auc", name);
    report_numberf(r, m.accuracy, "labels.%s.accuracy", name);
    report_numberf(r, m.pr_auc, "labels.%s.pr_auc", name);
    report_numberf(r, m.normalised_entropy, "labels.%s.normalised_entropy", name);
    report_numberf(r, m.ece, "labels.%s.ece", name);
}

static void tell_classes_of(ecrec_report *r, const char *name, uint32_t classes, const listed *l)
{
    const double a = l->calibration != NULL ? l->calibration[CALIBRATION_A] : 1;
    double rows = 0, weight = 0, right = 0, loss = 0;
    for (size_t i = 0; i < l->n; i++) {
        const size_t row = listed_row(l, i);
        if (!column_has(l->y, row))
            continue;
        const double w = batch_weight(l->batch, row), *z = l->logits + i * l->stride;
        const uint32_t is = (uint32_t)column_float(l->y, row);
        uint32_t best = 0;
        double sum = 0;
        for (uint32_t k = 1; k < classes; k++)
            best = z[k] > z[best] ? k : best;
        for (uint32_t k = 0; k < classes; k++)
            sum += exp(a * (z[k] - z[best]));
        loss += w * (log(sum) + a * (z[best] - z[is]));
        right += best == is ? w : 0;
        weight += w;
        rows++;
    }
    report_numberf(r, rows, "labels.%s.rows", name);
    report_numberf(r, loss / weight, "labels.%s.log_loss", name);
    report_numberf(r, right / weight, "labels.%s.accuracy", name);
}

static void tell_values(ecrec_report *r, const char *name, const schema_label *kind, const listed *l)
{
    double rows = 0, weight = 0, squares = 0, errors = 0, label = 0, label_squares = 0;
    for (size_t i = 0; i < l->n; i++) {
        const size_t row = listed_row(l, i);
        if (!column_has(l->y, row))
            continue;
        const double w = batch_weight(l->batch, row), d = target_value(kind, l->logits[i * l->stride]) - column_float(l->y, row);
        label += w * column_float(l->y, row);
        label_squares += w * column_float(l->y, row) * column_float(l->y, row);
        squares += w * d * d;
        errors += w * fabs(d);
        weight += w;
        rows++;
    }
    report_numberf(r, rows, "labels.%s.rows", name);
    const double spread = label_squares - label / weight * label;
    report_numberf(r, squares / weight, "labels.%s.mean_squared_error", name);
    report_numberf(r, sqrt(squares / weight), "labels.%s.root_mean_squared_error", name);
    report_numberf(r, spread > 0 ? 1 - squares / spread : NAN, "labels.%s.r2", name);
    report_numberf(r, errors / weight, "labels.%s.mean_absolute_error", name);
}

void metrics_tell_list(ecrec_report *r, const ecrec_schema *schema, uint32_t label, const ecrec_batch *batch, const size_t *list, size_t n,
                       const double *logits, size_t stride, const tensor *calibration, scored *items)
{
    const schema_label *kind = &schema->labels[label];
    const listed l = { batch, batch_label(batch, label), list, n, stride, logits, calibration_row(calibration, label) };
    char name[256];
    metrics_label_key(kind->name, name);
    if (kind->kind == ECREC_LABEL_BINARY)
        tell_binary(r, name, &l, items);
    else if (kind->kind == ECREC_LABEL_CLASSES)
        tell_classes_of(r, name, kind->classes, &l);
    else if (kind->kind == ECREC_LABEL_VALUE)
        tell_values(r, name, kind, &l);
    else
        report_numberf(r, (double)n, "labels.%s.rows", name);
}
