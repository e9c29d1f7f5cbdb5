#include "measure/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/error.h"
#include "base/format.h"
#include "base/sort.h"
#include "measure/metrics.h"
#include "measure/ranking.h"
#include "rank/schema.h"

enum { MOST_BINS = 200, MOST_CURVE_POINTS = 2000, MOST_SLICES = 100, MOST_CONFUSED = 32, MOST_AT = 1000000 };

void ecrec_evaluation_init(ecrec_evaluation *evaluation)
{
    static const ecrec_evaluation defaults = ECREC_EVALUATION_INIT;
    if (evaluation != NULL)
        *evaluation = defaults;
}

typedef struct teller {
    memory *m;
    ecrec_report *r;
    const char *prefix;
    ecrec_evaluation e; /* with the defaults put in */
    uint32_t outputs;
    ecrec_error *err;
    scored *items; /* room for all rows */
    double *table; /* classes: support, predicted, right; then the confusion */
    calibration_bin bins[MOST_BINS];
} teller;

/* ---- arguments ---- */

static int32_t check_row(const teller *t, size_t i)
{
    const ecrec_evaluation *e = &t->e;
    const float y = e->labels[i], w = e->weights != NULL ? e->weights[i] : 1;
    const int whole = e->kind == ECREC_LABEL_CLASSES || e->kind == ECREC_LABEL_ORDINAL, probability = e->kind == ECREC_LABEL_BINARY || e->kind == ECREC_LABEL_CLASSES;
    if (!(w >= 0 && isfinite(w)))
        return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the weight %g is not a finite number >= 0", i, (double)w);
    if (e->slices != NULL && e->slices[i] != UINT32_MAX && e->slices[i] >= e->slice_count)
        return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: slice %u of %u", i, e->slices[i], e->slice_count);
    if (isnan(y))
        return ECREC_OK;
    for (uint32_t k = 0; k < t->outputs; k++) {
        const float p = e->scores[i * t->outputs + k];
        if (probability && !(p >= 0 && p <= 1))
            return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the probability %g is not within 0 .. 1", i, (double)p);
        if (!isfinite(p))
            return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the score is not a finite number", i);
    }
    if (e->kind == ECREC_LABEL_BINARY && y != 0.0f && y != 1.0f)
        return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the label %g is neither 0 nor 1", i, (double)y);
    if (whole && !(y >= 0 && y < (float)e->classes && y == floorf(y)))
        return error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the label %g is no class 0 .. %u", i, (double)y, e->classes - 1);
    return isfinite(y) ? ECREC_OK : error_row(t->err, ECREC_ERR_INVALID, i, "row %zu: the label is not a finite number", i);
}

static int32_t check(teller *t)
{
    static const uint32_t usual[] = { 1, 5, 10, 20 };
    ecrec_evaluation *e = &t->e;
    e->kind = e->kind != 0 ? e->kind : ECREC_LABEL_BINARY;
    e->bins = e->bins != 0 ? e->bins : CALIBRATION_BINS;
    e->threshold = e->threshold != 0 ? e->threshold : 0.5;
    if (e->at == NULL) {
        e->at = usual;
        e->at_count = sizeof usual / sizeof *usual;
    }
    const int classes = e->kind == ECREC_LABEL_CLASSES || e->kind == ECREC_LABEL_ORDINAL;
    const struct { double value, least, most; const char *name; } ranges[] = {
        { e->kind, ECREC_LABEL_BINARY, ECREC_LABEL_ORDINAL, "kind" }, { e->classes, classes ? 2 : 0, MOST_CLASSES, "classes" }, { e->bins, 1, MOST_BINS, "bins" },
        { e->curve_points, e->curve_points != 0 ? 2 : 0, MOST_CURVE_POINTS, "curve_points" }, { e->threshold, 0, 1, "threshold" }, { e->at_count, 1, MOST_RANKING_AT, "at_count" } };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most))
            return error_set(t->err, ECREC_ERR_INVALID, "ecrec_evaluation: %s is %g; it must be %g .. %g", ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most);
    for (uint32_t k = 0; k < e->at_count; k++)
        if (e->at[k] == 0 || e->at[k] > MOST_AT)
            return error_set(t->err, ECREC_ERR_INVALID, "ecrec_evaluation: at[%u] is %u; it must be 1 .. %u", k, e->at[k], (uint32_t)MOST_AT);
    if (e->rows != 0 && (e->scores == NULL || e->labels == NULL))
        return error_set(t->err, ECREC_ERR_INVALID, "ecrec_evaluation: %s is NULL", e->scores == NULL ? "scores" : "labels");
    if (e->slices != NULL && (e->slice_count == 0 || e->slice_names == NULL))
        return error_set(t->err, ECREC_ERR_INVALID, "ecrec_evaluation: slices without slice_names");
    for (uint32_t k = 0; e->slices != NULL && k < e->slice_count; k++)
        if (e->slice_names[k] == NULL)
            return error_set(t->err, ECREC_ERR_INVALID, "ecrec_evaluation: slice_names[%u] is NULL", k);
    t->outputs = e->kind == ECREC_LABEL_CLASSES ? e->classes : 1;
    for (size_t i = 0; i < e->rows; i++) {
        const int32_t status = check_row(t, i);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

/* ---- telling ---- */

static void tell(teller *t, const char *group, const char *name, double value)
{
    report_numberf(t->r, value, "%s%s%s", t->prefix, group, name);
}

static double weight_of(const teller *t, size_t row)
{
    return t->e.weights != NULL ? t->e.weights[row] : 1;
}

/* The row of place i in a list (NULL: all of them). */
static size_t row_at(const size_t *list, size_t i)
{
    return list != NULL ? list[i] : i;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* Precision, recall, F1 and support of each class from weights, their plain and weighted means, and who was taken for whom. */
static void tell_classes(teller *t, uint32_t classes, const double *support, const double *predicted, const double *right)
{
    double sums[2][3] = { { 0 } }, all = 0;
    char group[32];
    for (uint32_t c = 0; c < classes; c++) {
        const double precision = ratio(right[c], predicted[c]), recall = ratio(right[c], support[c]);
        const double f1 = ratio(2 * precision * recall, precision + recall), figures[3] = { precision, recall, f1 };
        format_text(group, sizeof group, "class_%u.", c);
        tell(t, group, "precision", precision);
        tell(t, group, "recall", recall);
        tell(t, group, "f1", f1);
        tell(t, group, "support", support[c]);
        for (int i = 0; i < 3; i++) {
            sums[0][i] += figures[i] / classes;
            sums[1][i] += figures[i] * support[c];
        }
        all += support[c];
    }
    for (int w = 0; w < 2; w++) {
        const char *name = w == 0 ? "macro." : "weighted.";
        tell(t, name, "precision", w == 0 ? sums[0][0] : ratio(sums[1][0], all));
        tell(t, name, "recall", w == 0 ? sums[0][1] : ratio(sums[1][1], all));
        tell(t, name, "f1", w == 0 ? sums[0][2] : ratio(sums[1][2], all));
    }
}

static void tell_confusion(teller *t, uint32_t classes, const double *confusion)
{
    for (uint32_t is = 0; is < classes; is++)
        for (uint32_t said = 0; said < classes; said++)
            report_numberf(t->r, confusion[is * classes + said], "%sconfusion.%u.%u", t->prefix, is, said);
}

static void tell_calibration(teller *t, const char *group, double mean_score, double mean_label)
{
    tell(t, group, "mean_score", mean_score);
    tell(t, group, "mean_label", mean_label);
    if (strcmp(group, "calibration.") == 0)
        tell(t, group, "ratio", mean_label != 0 ? mean_score / mean_label : NAN);
}

/* ---- binary ---- */

static size_t take_items(teller *t, const size_t *list, size_t n)
{
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t row = row_at(list, i);
        if (!isnan(t->e.labels[row]))
            t->items[taken++] = (scored){ t->e.scores[row], t->e.labels[row], (float)weight_of(t, row), 0 };
    }
    return taken;
}

static void tell_point(teller *t, const char *curve, uint32_t number, const char *x_name, double x, const char *y_name, double y)
{
    report_numberf(t->r, x, "%s%s.%u.%s", t->prefix, curve, number, x_name);
    report_numberf(t->r, y, "%s%s.%u.%s", t->prefix, curve, number, y_name);
}

/* Point k of both curves is where k / (points - 1) of the weight, highest scores first, is said to be 1; the items are sorted. */
static void tell_curve(teller *t, int precision, size_t n, const metrics *m)
{
    const double positives = m->support[1], negatives = m->support[0];
    double p = 0, q = 0;
    size_t i = n;
    for (uint32_t k = 0; k < t->e.curve_points; k++) {
        const int last = k + 1 == t->e.curve_points;
        while (i > 0 && (last || p + q < (positives + negatives) * k / (t->e.curve_points - 1))) {
            const float probability = t->items[i - 1].probability;
            for (; i > 0 && t->items[i - 1].probability == probability; i--)
                *(t->items[i - 1].label > 0.5f ? &p : &q) += t->items[i - 1].weight;
        }
        if (precision)
            tell_point(t, "pr", k, "recall", p / positives, "precision", p + q > 0 ? p / (p + q) : 1);
        else
            tell_point(t, "roc", k, "false_positive_rate", q / negatives, "true_positive_rate", p / positives);
    }
}

/* The items are sorted: where F1 of class 1 is highest when all from there on are said to be 1. */
static void tell_best_f1(teller *t, size_t n, double positives)
{
    double p = 0, taken = 0, best = 0, threshold = 1;
    for (size_t i = n; i > 0;) {
        const float probability = t->items[i - 1].probability;
        for (; i > 0 && t->items[i - 1].probability == probability; i--) {
            taken += t->items[i - 1].weight;
            p += t->items[i - 1].label > 0.5f ? t->items[i - 1].weight : 0;
        }
        const double f1 = ratio(2 * p, taken + positives);
        if (f1 > best) {
            best = f1;
            threshold = probability;
        }
    }
    tell(t, "best_f1.", "f1", best);
    tell(t, "best_f1.", "threshold", threshold);
}

static void tell_binary(teller *t)
{
    metrics m;
    const size_t n = take_items(t, NULL, t->e.rows);
    metrics_compute(t->items, n, t->e.threshold, t->bins, t->e.bins, &m);
    tell(t, "", "rows", (double)n);
    tell(t, "", "auc", m.auc);
    tell(t, "", "log_loss", m.log_loss);
    tell(t, "", "accuracy", m.accuracy);
    tell(t, "", "ece", m.ece);
    tell(t, "", "pr_auc", m.pr_auc);
    tell(t, "", "normalised_entropy", m.normalised_entropy);
    tell_calibration(t, "calibration.", m.mean_probability, m.support[1] / m.weight);
    tell_classes(t, 2, m.support, m.predicted, m.right);
    const double confusion[4] = { m.right[0], m.support[0] - m.right[0], m.support[1] - m.right[1], m.right[1] };
    tell_confusion(t, 2, confusion);
    tell_best_f1(t, n, m.support[1]);
    for (uint32_t b = 0; b < t->e.bins; b++) {
        const calibration_bin *bin = &t->bins[b];
        report_numberf(t->r, (double)b / t->e.bins, "%sreliability.%u.from", t->prefix, b);
        report_numberf(t->r, (double)(b + 1) / t->e.bins, "%sreliability.%u.to", t->prefix, b);
        report_numberf(t->r, bin->weight, "%sreliability.%u.weight", t->prefix, b);
        report_numberf(t->r, bin->weight > 0 ? bin->probability / bin->weight : NAN, "%sreliability.%u.mean_score", t->prefix, b);
        report_numberf(t->r, bin->weight > 0 ? bin->label / bin->weight : NAN, "%sreliability.%u.mean_label", t->prefix, b);
    }
    for (int precision = 0; precision < 2 && m.support[0] > 0 && m.support[1] > 0; precision++)
        tell_curve(t, precision, n, &m);
}

/* ---- classes, values ---- */

/* Sums over rows of a label that is not binary. */
typedef struct sums { double rows, weight, loss, right, squares, absolute, score, label, label_squares; } sums;

static uint32_t highest(const float *p, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < n; k++)
        best = p[k] > p[best] ? k : best;
    return best;
}

static void add_row(const teller *t, sums *s, size_t row)
{
    const float *p = t->e.scores + row * t->outputs, y = t->e.labels[row];
    const double w = weight_of(t, row);
    if (isnan(y))
        return;
    s->rows++;
    s->weight += w;
    if (t->e.kind == ECREC_LABEL_CLASSES) {
        s->loss += w * log_loss_of(p[(uint32_t)y], 1);
        s->right += highest(p, t->outputs) == (uint32_t)y ? w : 0;
        return;
    }
    const double miss = (double)*p - y;
    s->squares += w * miss * miss;
    s->absolute += w * fabs(miss);
    s->score += w * *p;
    s->label += w * y;
    s->label_squares += w * y * y;
    s->right += floorf(*p + 0.5f) == y ? w : 0;
}

static void tell_sums(teller *t, const char *group, const sums *s)
{
    tell(t, group, "rows", s->rows);
    if (t->e.kind == ECREC_LABEL_CLASSES) {
        tell(t, group, "log_loss", s->loss / s->weight);
        tell(t, group, "accuracy", s->right / s->weight);
        return;
    }
    const double mean = s->label / s->weight, spread = s->label_squares - s->weight * mean * mean;
    tell(t, group, "mean_squared_error", s->squares / s->weight);
    tell(t, group, "root_mean_squared_error", sqrt(s->squares / s->weight));
    tell(t, group, "mean_absolute_error", s->absolute / s->weight);
    tell(t, group, "r2", spread > 0 ? 1 - s->squares / spread : NAN);
    if (t->e.kind == ECREC_LABEL_ORDINAL)
        tell(t, group, "accuracy", s->right / s->weight);
}

static int32_t tell_others(teller *t)
{
    sums s = { 0 };
    for (size_t i = 0; i < t->e.rows; i++)
        add_row(t, &s, i);
    tell_sums(t, "", &s);
    if (t->e.kind != ECREC_LABEL_CLASSES) {
        tell_calibration(t, "calibration.", s.score / s.weight, s.label / s.weight);
        return ECREC_OK;
    }
    const uint32_t n = t->outputs;
    const size_t bytes = memory_product(3 * (size_t)n + (n <= MOST_CONFUSED ? (size_t)n * n : 0), sizeof(double));
    double *table = memory_zero(t->m, bytes), *confusion = table + 3 * (size_t)n, ece = 0;
    if (table == NULL)
        return error_nomem(t->err, "the classes", bytes);
    memset(t->bins, 0, sizeof t->bins);
    for (size_t i = 0; i < t->e.rows; i++) {
        const float *p = t->e.scores + i * n, y = t->e.labels[i];
        if (isnan(y))
            continue;
        const uint32_t is = (uint32_t)y, said = highest(p, n), bin = (uint32_t)(p[said] * t->e.bins);
        const double w = weight_of(t, i);
        calibration_bin *b = &t->bins[bin < t->e.bins ? bin : t->e.bins - 1];
        b->probability += w * p[said];
        b->label += is == said ? w : 0;
        table[is] += w;
        table[n + said] += w;
        table[2 * (size_t)n + is] += is == said ? w : 0;
        if (n <= MOST_CONFUSED)
            confusion[is * n + said] += w;
    }
    for (uint32_t b = 0; b < t->e.bins; b++)
        ece += fabs(t->bins[b].label - t->bins[b].probability);
    tell(t, "", "ece", ece / s.weight);
    tell_classes(t, n, table, table + n, table + 2 * (size_t)n);
    if (n <= MOST_CONFUSED)
        tell_confusion(t, n, confusion);
    memory_release(t->m, table, bytes);
    return ECREC_OK;
}

/* ---- groups ---- */

static int32_t tell_groups(teller *t)
{
    const ecrec_evaluation *e = &t->e;
    const size_t bytes = memory_product(e->rows != 0 ? e->rows : 1, sizeof(ranked));
    ranked *items = memory_allocate(t->m, bytes);
    ranking told;
    size_t n = 0;
    char name[32];
    if (items == NULL)
        return error_nomem(t->err, "the groups", bytes);
    for (size_t i = 0; i < e->rows; i++)
        if (!isnan(e->labels[i]))
            items[n++] = (ranked){ e->groups[i], e->scores[i], e->labels[i], (float)weight_of(t, i), 0 };
    ranking_compute(items, n, e->at, e->at_count, &told);
    memory_release(t->m, items, bytes);
    tell(t, "grouped.", "groups", told.groups);
    if (e->kind == ECREC_LABEL_BINARY) {
        tell(t, "grouped.", "groups_with_both", told.auc_groups);
        tell(t, "grouped.", "auc", told.auc);
    }
    tell(t, "ranking.", "groups", told.relevant_groups);
    tell(t, "ranking.", "mrr", told.reciprocal_rank);
    for (uint32_t k = 0; k < e->at_count; k++) {
        format_text(name, sizeof name, "hit_rate_at_%u", e->at[k]);
        tell(t, "ranking.", name, told.hit_rate[k]);
        format_text(name, sizeof name, "ndcg_at_%u", e->at[k]);
        tell(t, "ranking.", name, told.ndcg[k]);
    }
    return ECREC_OK;
}

/* ---- slices ---- */

typedef struct slice { size_t count; uint32_t number, reserved; } slice;

static int by_count(const void *a, const void *b, void *opaque)
{
    const slice *x = a, *y = b;
    (void)opaque;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void tell_slice(teller *t, uint32_t place, const char *name, const size_t *list, size_t n)
{
    char key[400], group[32];
    format_text(group, sizeof group, "slices.%u.", place);
    format_text(key, sizeof key, "%s%sname", t->prefix, group);
    report_string(t->r, key, name, strlen(name));
    if (t->e.kind == ECREC_LABEL_BINARY) {
        metrics m;
        const size_t taken = take_items(t, list, n);
        metrics_compute(t->items, taken, t->e.threshold, t->bins, t->e.bins, &m);
        tell(t, group, "rows", (double)taken);
        tell_calibration(t, group, m.mean_probability, m.support[1] / m.weight);
        tell(t, group, "log_loss", m.log_loss);
        tell(t, group, "auc", m.auc);
        tell(t, group, "ece", m.ece);
        return;
    }
    sums s = { 0 };
    for (size_t i = 0; i < n; i++)
        add_row(t, &s, list[i]);
    tell_sums(t, group, &s);
    if (t->e.kind != ECREC_LABEL_CLASSES)
        tell_calibration(t, group, s.score / s.weight, s.label / s.weight);
}

static int32_t tell_slices(teller *t)
{
    const ecrec_evaluation *e = &t->e;
    const size_t slices = e->slice_count, rows = e->rows;
    const size_t bytes = memory_product(1, slices * (sizeof(slice) + sizeof(size_t)) + (rows + 1) * sizeof(size_t));
    slice *all = memory_zero(t->m, bytes);
    if (all == NULL)
        return error_nomem(t->err, "the slices", bytes);
    size_t *starts = (size_t *)(void *)(all + slices), *order = starts + slices, at = 0;
    for (size_t i = 0; i < rows; i++)
        if (e->slices[i] != UINT32_MAX && !isnan(e->labels[i]))
            all[e->slices[i]].count++;
    for (size_t k = 0; k < slices; k++) {
        all[k].number = (uint32_t)k;
        starts[k] = at;
        at += all[k].count;
    }
    for (size_t i = 0; i < rows; i++)
        if (e->slices[i] != UINT32_MAX && !isnan(e->labels[i]))
            order[starts[e->slices[i]]++] = i;
    sort_items(all, slices, sizeof *all, by_count, NULL);
    size_t shown = 0;
    for (; shown < slices && shown < MOST_SLICES && all[shown].count != 0; shown++)
        tell_slice(t, (uint32_t)shown, e->slice_names[all[shown].number], order + starts[all[shown].number] - all[shown].count, all[shown].count);
    size_t left = 0;
    for (size_t k = shown; k < slices; k++)
        left += all[k].count != 0;
    tell(t, "", "slices_left_out", (double)left);
    memory_release(t->m, all, bytes);
    return ECREC_OK;
}

int32_t evaluate_tell(memory *m, ecrec_report *r, const char *prefix, const ecrec_evaluation *evaluation, ecrec_error *err)
{
    teller t = { .m = m, .r = r, .prefix = prefix, .e = *evaluation, .err = err };
    int32_t status = check(&t);
    if (status != ECREC_OK)
        return status;
    const size_t bytes = memory_product(t.e.rows != 0 ? t.e.rows : 1, sizeof(scored));
    if (t.e.kind == ECREC_LABEL_BINARY) {
        if ((t.items = memory_allocate(m, bytes)) == NULL)
            return error_nomem(err, "the rows to evaluate", bytes);
        tell_binary(&t);
    } else {
        status = tell_others(&t);
    }
    if (status == ECREC_OK && t.e.groups != NULL && t.e.kind != ECREC_LABEL_CLASSES)
        status = tell_groups(&t);
    if (status == ECREC_OK && t.e.slices != NULL)
        status = tell_slices(&t);
    if (t.items != NULL)
        memory_release(m, t.items, bytes);
    return status;
}
