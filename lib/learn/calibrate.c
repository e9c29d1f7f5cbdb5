#include "learn/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/sort.h"
#include "measure/metrics.h"
#include "rank/features.h"

enum { NEWTON_STEPS = 50 };
#define RIDGE 1e-3      /* beside the curvature: what no row tells stays where it is */
#define LEAST_SCALE 1e-3
#define MOST_STEP 1.0   /* of one row, online */

void ecrec_calibrate_options_init(ecrec_calibrate_options *options)
{
    static const ecrec_calibrate_options defaults = ECREC_CALIBRATE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

/* A label's rows. */
typedef struct call {
    const ecrec_schema *schema;
    const ecrec_batch *batch;
    const size_t *list;  /* NULL: all rows of the batch */
    size_t n;
    const float *logits; /* of the label's first head, row by row of the list */
    uint32_t heads, label;
    double *row; /* what is learned */
} call;

/* Negatives that stand for others that were left out count for them. */
static int labelled(const call *c, size_t i, double *y, double *weight)
{
    const batch_column *column = batch_label(c->batch, c->label);
    const size_t row = c->list != NULL ? c->list[i] : i;
    const float kept = c->schema->labels[c->label].kept;
    if (!column_has(column, row))
        return 0;
    *y = column_float(column, row);
    *weight = batch_weight(c->batch, row);
    if (kept > 0 && *y == 0)
        *weight /= kept;
    return *weight > 0;
}

/* The gradient of the log loss by a and b at one row, and its curvature. */
static void one(const call *c, size_t i, double y, double gradient[2], double curve[3])
{
    const schema_label *label = &c->schema->labels[c->label];
    const float *z = c->logits + i * c->heads;
    const double a = c->row[CALIBRATION_A];
    memset(gradient, 0, 2 * sizeof *gradient);
    memset(curve, 0, 3 * sizeof *curve);
    if (label->kind == ECREC_LABEL_BINARY) {
        const double p = logistic(a * z[0] + c->row[CALIBRATION_B]), v = p * (1 - p);
        gradient[0] = (p - y) * z[0];
        gradient[1] = p - y;
        curve[0] = v * z[0] * z[0];
        curve[1] = v * z[0];
        curve[2] = v;
        return;
    }
    double most = z[0], sum = 0, mean = 0, square = 0;
    for (uint32_t k = 1; k < label->classes; k++)
        most = z[k] > most ? z[k] : most;
    for (uint32_t k = 0; k < label->classes; k++) {
        const double e = exp(a * (z[k] - most));
        sum += e;
        mean += e * (z[k] - most);
        square += e * (z[k] - most) * (z[k] - most);
    }
    mean /= sum;
    gradient[0] = mean - (z[(uint32_t)y] - most);
    curve[0] = square / sum - mean * mean;
}

static double within(double most, double x)
{
    return x > most ? most : fmax(-most, x);
}

/* a, b less the inverse curvature times the gradient. */
static void step(double *row, const double gradient[2], const double curve[3], double most)
{
    const int both = row[CALIBRATION_METHOD] == ECREC_CALIBRATION_PLATT;
    const double aa = curve[0] + RIDGE, ab = both ? curve[1] : 0, bb = curve[2] + RIDGE, determinant = aa * bb - ab * ab;
    const double da = (bb * gradient[0] - ab * gradient[1]) / determinant, db = both ? (aa * gradient[1] - ab * gradient[0]) / determinant : 0;
    row[CALIBRATION_A] = fmax(LEAST_SCALE, row[CALIBRATION_A] - within(most, da));
    row[CALIBRATION_B] -= within(most, db);
}

static void newton(const call *c)
{
    double curve[3] = { 0, 0, 0 };
    c->row[CALIBRATION_A] = 1;
    c->row[CALIBRATION_B] = 0;
    for (int turn = 0; turn < NEWTON_STEPS; turn++) {
        double gradient[2] = { 0, 0 }, y = 0, weight = 0, g[2], h[3];
        memset(curve, 0, sizeof curve);
        for (size_t i = 0; i < c->n; i++)
            if (labelled(c, i, &y, &weight)) {
                one(c, i, y, g, h);
                for (int k = 0; k < 2; k++)
                    gradient[k] += weight * g[k];
                for (int k = 0; k < 3; k++)
                    curve[k] += weight * h[k];
            }
        step(c->row, gradient, curve, MOST_STEP);
    }
    memcpy(c->row + CALIBRATION_AA, curve, sizeof curve);
}

/* ---- isotonic ---- */

static double *knot(double *row, uint32_t k)
{
    return row + CALIBRATION_FIRST_KNOT + (size_t)k * KNOT_COLUMNS;
}

/* Pool adjacent violators (Ayer et al., 1955) over the bins; each bin's rate begins half a row off the ends, so that none is 0 or 1. */
static void pool(double *row)
{
    double y[CALIBRATION_KNOTS], w[CALIBRATION_KNOTS];
    uint32_t first[CALIBRATION_KNOTS + 1], n = 0, bins = 0;
    for (; bins < CALIBRATION_KNOTS && knot(row, bins)[KNOT_WEIGHT] > 0; bins++) {
        const double *k = knot(row, bins);
        w[n] = k[KNOT_WEIGHT] + 1;
        y[n] = (k[KNOT_LABELS] + 0.5) / w[n];
        first[n++] = bins;
        while (n > 1 && y[n - 2] >= y[n - 1]) {
            y[n - 2] = (y[n - 2] * w[n - 2] + y[n - 1] * w[n - 1]) / (w[n - 2] + w[n - 1]);
            w[n - 2] += w[n - 1];
            n--;
        }
    }
    first[n] = bins;
    for (uint32_t block = 0; block < n; block++)
        for (uint32_t b = first[block]; b < first[block + 1]; b++) {
            double *k = knot(row, b);
            k[KNOT_X] = k[KNOT_LOGITS] / k[KNOT_WEIGHT];
            k[KNOT_Y] = y[block];
        }
}

typedef struct item { double z, y, weight; } item;

static int by_logit(const void *a, const void *b, void *opaque)
{
    const item *x = a, *y = b;
    (void)opaque;
    return x->z < y->z ? -1 : x->z > y->z;
}

static void isotonic(const call *c, item *items, size_t n, double total)
{
    double before = 0;
    sort_items(items, n, sizeof *items, by_logit, NULL);
    uint32_t bin = 0, used = 0;
    for (size_t i = 0; i < n; i++) {
        const double part = floor(before / total * CALIBRATION_KNOTS);
        const uint32_t wanted = part < CALIBRATION_KNOTS ? (uint32_t)part : CALIBRATION_KNOTS - 1;
        if (used != 0 && wanted > bin && items[i].z > items[i - 1].z) { /* equal logits are of one bin */
            bin = wanted;
            used++;
        }
        used += used == 0;
        double *k = knot(c->row, used - 1);
        k[KNOT_WEIGHT] += items[i].weight;
        k[KNOT_LOGITS] += items[i].weight * items[i].z;
        k[KNOT_LABELS] += items[i].weight * items[i].y;
        before += items[i].weight;
    }
    pool(c->row);
}

/* ---- online ---- */

static void see_knot(double *row, double z, double y, double weight, double keep)
{
    uint32_t best = 0;
    for (uint32_t k = 0; k < CALIBRATION_KNOTS && knot(row, k)[KNOT_WEIGHT] > 0; k++) {
        double *at = knot(row, k);
        if (fabs(z - at[KNOT_X]) < fabs(z - knot(row, best)[KNOT_X]))
            best = k;
        for (int i = KNOT_WEIGHT; i <= KNOT_LABELS; i++)
            at[i] *= keep;
    }
    double *to = knot(row, best);
    to[KNOT_WEIGHT] += weight;
    to[KNOT_LOGITS] += weight * z;
    to[KNOT_LABELS] += weight * y;
}

void calibrate_see(double *rows, uint32_t labels, const ecrec_batch *batch, size_t row, const double *logits)
{
    const ecrec_schema *s = batch->schema;
    for (uint32_t l = 0; l < labels; l++) {
        double *own = rows + (size_t)l * CALIBRATION_COLUMNS, y = 0, weight = 0;
        float z[MOST_CLASSES];
        const uint32_t n = label_outputs(&s->labels[l]);
        const call c = { s, batch, NULL, batch->rows, z, 0, l, own }; /* heads 0: whatever the row, its logits are these */
        if (own[CALIBRATION_METHOD] != ECREC_CALIBRATION_NONE && own[CALIBRATION_HALF_LIFE] > 0 && labelled(&c, row, &y, &weight)) {
            const double keep = exp(-0.69314718055994531 * weight / own[CALIBRATION_HALF_LIFE]);
            for (uint32_t k = 0; k < n; k++)
                z[k] = (float)logits[k];
            own[CALIBRATION_ROWS] += 1;
            if (own[CALIBRATION_METHOD] == ECREC_CALIBRATION_ISOTONIC) {
                see_knot(own, logits[0], y, weight, keep);
            } else {
                double gradient[2], curve[3];
                one(&c, row, y, gradient, curve);
                for (int k = 0; k < 2; k++)
                    gradient[k] *= weight;
                for (int k = 0; k < 3; k++)
                    own[CALIBRATION_AA + k] = keep * own[CALIBRATION_AA + k] + weight * curve[k];
                step(own, gradient, own + CALIBRATION_AA, MOST_STEP);
            }
        }
        logits += n;
    }
}

void calibrate_settle(double *rows, uint32_t labels)
{
    for (uint32_t l = 0; l < labels; l++)
        if (rows[(size_t)l * CALIBRATION_COLUMNS + CALIBRATION_METHOD] == ECREC_CALIBRATION_ISOTONIC)
            pool(rows + (size_t)l * CALIBRATION_COLUMNS);
}

/* ---- from held-out rows ---- */

/* PREFIX, the label's name, "before" or "after": how the probabilities of class 1, or of each row's own class, come true. Of each second row by
 * one calibration, of the others by the other. */
static void tell(ecrec_report *r, const char *prefix, const call *c, const char *when, const double *const rows[2], scored *items)
{
    const schema_label *label = &c->schema->labels[c->label];
    char key[256];
    calibration_bin bins[CALIBRATION_BINS];
    metrics m;
    size_t n = 0;
    double y = 0, weight = 0, mean = 0, total = 0;
    metrics_label_key(label->name, key);
    for (size_t i = 0; i < c->n; i++) {
        const float *z = c->logits + i * c->heads;
        const double *row = rows[i & 1];
        if (!labelled(c, i, &y, &weight))
            continue;
        if (label->kind == ECREC_LABEL_BINARY) {
            items[n] = (scored){ (float)calibration_probability(row, z[0]), (float)y, (float)weight, 0 };
            mean += weight * y;
        } else { /* the likeliest class, and whether it is the one */
            double sum = 0;
            uint32_t best = 0;
            for (uint32_t k = 1; k < label->classes; k++)
                best = z[k] > z[best] ? k : best;
            for (uint32_t k = 0; k < label->classes; k++)
                sum += exp(row[CALIBRATION_A] * ((double)z[k] - z[best]));
            items[n] = (scored){ (float)(1 / sum), (float)(best == (uint32_t)y), (float)weight, 0 };
            mean += weight * (best == (uint32_t)y);
        }
        total += weight;
        n++;
    }
    metrics_compute(items, n, 0.5, bins, CALIBRATION_BINS, &m);
    report_numberf(r, m.mean_probability, "%s%s.%s.mean_score", prefix, key, when);
    report_numberf(r, total > 0 ? mean / total : NAN, "%s%s.%s.mean_label", prefix, key, when);
    report_numberf(r, m.ece, "%s%s.%s.ece", prefix, key, when);
    report_numberf(r, m.log_loss, "%s%s.%s.log_loss", prefix, key, when);
    for (uint32_t b = 0; b < CALIBRATION_BINS; b++) {
        const double w = bins[b].weight;
        report_numberf(r, w, "%s%s.%s.reliability.%u.weight", prefix, key, when, b);
        report_numberf(r, w > 0 ? bins[b].probability / w : NAN, "%s%s.%s.reliability.%u.mean_score", prefix, key, when, b);
        report_numberf(r, w > 0 ? bins[b].label / w : NAN, "%s%s.%s.reliability.%u.mean_label", prefix, key, when, b);
    }
}

static const double plain[CALIBRATION_COLUMNS] = { [CALIBRATION_A] = 1 };

static int calibratable(const schema_label *l)
{
    return !l->dropped && (l->kind == ECREC_LABEL_BINARY || l->kind == ECREC_LABEL_CLASSES);
}

static int32_t learn_label(const call *c, const ecrec_calibrate_options *o, item *items, ecrec_error *err)
{
    const schema_label *label = &c->schema->labels[c->label];
    const int32_t method = o->method != 0 ? o->method : label->kind == ECREC_LABEL_CLASSES ? ECREC_CALIBRATION_TEMPERATURE : ECREC_CALIBRATION_PLATT;
    double y = 0, weight = 0, total = 0, ones = 0;
    size_t n = 0;
    if (label->kind == ECREC_LABEL_CLASSES && method != ECREC_CALIBRATION_TEMPERATURE)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_calibrate: label \"%s\" is of classes, which temperature alone calibrates", label->name);
    for (size_t i = 0; i < c->n; i++)
        if (labelled(c, i, &y, &weight)) {
            items[n++] = (item){ c->logits[i * c->heads], y, weight };
            total += weight;
            ones += weight * (y > 0);
        }
    if (n == 0 || (label->kind == ECREC_LABEL_BINARY && !(ones > 0 && ones < total)))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_calibrate: label \"%s\": of %zu labelled rows some must have 1 and some 0", label->name, n);
    memset(c->row, 0, CALIBRATION_COLUMNS * sizeof *c->row);
    c->row[CALIBRATION_METHOD] = method;
    c->row[CALIBRATION_HALF_LIFE] = o->frozen ? 0 : o->half_life > 0 ? o->half_life : 10000;
    c->row[CALIBRATION_ROWS] = (double)n;
    if (method == ECREC_CALIBRATION_ISOTONIC)
        isotonic(c, items, n, total);
    else
        newton(c);
    return ECREC_OK;
}

static int32_t check_options(const ecrec_schema *s, const ecrec_calibrate_options *o, ecrec_error *err)
{
    if (o->method < 0 || o->method > ECREC_CALIBRATION_ISOTONIC || !(o->half_life >= 0 && isfinite(o->half_life)))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_calibrate_options: method %d (0 .. 3) or half_life %g (>= 0) is out of range", o->method, o->half_life);
    for (uint32_t l = 0; l < s->label_count; l++)
        if (calibratable(&s->labels[l]))
            return ECREC_OK;
    return error_set(err, ECREC_ERR_INVALID, "ecrec_calibrate: the schema has no label with probabilities");
}

int32_t calibrate_run(ecrec_context *context, const ecrec_schema *s, const ecrec_batch *batch, const float *logits, const ecrec_calibrate_options *o,
                      tensor_set *next, ecrec_report **report, ecrec_error *err)
{
    const uint64_t shape[2] = { s->label_count, CALIBRATION_COLUMNS };
    const size_t bytes = memory_product(batch->rows, sizeof(item) > sizeof(scored) ? sizeof(item) : sizeof(scored));
    tensor *t = NULL;
    ecrec_report *r = NULL;
    int32_t status = check_options(s, o, err);
    if (status != ECREC_OK)
        return status;
    void *items = memory_allocate(&context->m, bytes);
    if (items == NULL || tensor_create(&context->m, TYPE_F64, LAYOUT_ROWS, 2, shape, &t) != ECREC_OK)
        status = error_nomem(err, "the calibration", bytes);
    if (status == ECREC_OK)
        memset(tensor_edit(t), 0, t->bytes);
    if (status == ECREC_OK && report != NULL)
        status = report_create(context, "calibrate", &r, err);
    for (uint32_t l = 0, head = 0; l < s->label_count && status == ECREC_OK; l++) {
        const call c = { s, batch, NULL, batch->rows, logits + head, schema_outputs(s), l, (double *)tensor_edit(t) + (size_t)l * CALIBRATION_COLUMNS };
        head += label_outputs(&s->labels[l]);
        if (!calibratable(&s->labels[l]))
            continue;
        status = learn_label(&c, o, items, err);
        if (status == ECREC_OK && r != NULL) {
            tell(r, "labels.", &c, "before", (const double *const[2]){ plain, plain }, items);
            tell(r, "labels.", &c, "after", (const double *const[2]){ c.row, c.row }, items);
        }
    }
    if (status == ECREC_OK && tensor_set_put(next, "rank.calibration", t) != ECREC_OK)
        status = error_nomem(err, "the calibration", t->bytes);
    if (status == ECREC_OK && r != NULL)
        status = report_finish(r, err);
    tensor_release(t);
    memory_release(&context->m, items, bytes);
    if (status == ECREC_OK && report != NULL)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}

/* What it would say of rows that it has not seen: each half of them by what the other half taught. */
static int32_t tell_halves(ecrec_report *r, const call *c, const ecrec_calibrate_options *o, size_t *half, float *logits, item *items, ecrec_error *err)
{
    double rows[2][CALIBRATION_COLUMNS];
    for (size_t k = 0; k < 2; k++) { /* learned from the rows with numbers k, k + 2, ... : for the others */
        call part = *c;
        part.n = 0;
        for (size_t i = k; i < c->n; i += 2) {
            memcpy(logits + part.n * c->heads, c->logits + i * c->heads, label_outputs(&c->schema->labels[c->label]) * sizeof *logits);
            half[part.n++] = c->list[i];
        }
        part.list = half;
        part.logits = logits;
        part.row = rows[1 - k];
        const int32_t status = learn_label(&part, o, items, err);
        if (status != ECREC_OK)
            return status;
    }
    tell(r, "calibration.", c, "before", (const double *const[2]){ plain, plain }, (scored *)(void *)items);
    tell(r, "calibration.", c, "after", (const double *const[2]){ rows[0], rows[1] }, (scored *)(void *)items);
    return ECREC_OK;
}

int32_t calibrate_held(memory *m, const ecrec_schema *s, const ecrec_batch *batch, const size_t *list, size_t n, const double *logits, int32_t method, const tensor *old,
                       tensor **out, ecrec_report *r, ecrec_error *err)
{
    const uint64_t shape[2] = { s->label_count, CALIBRATION_COLUMNS };
    const uint32_t heads = schema_outputs(s);
    const size_t bytes = memory_product(n, sizeof(item) + sizeof(size_t) + 2 * (size_t)heads * sizeof(float));
    tensor *t = NULL;
    item *items = memory_allocate(m, bytes);
    if (items == NULL || tensor_create(m, TYPE_F64, LAYOUT_ROWS, 2, shape, &t) != ECREC_OK) {
        memory_release(m, items, items != NULL ? bytes : 0);
        return error_nomem(err, "the calibration", bytes);
    }
    size_t *half = (size_t *)(void *)(items + n);
    float *z = (float *)(void *)(half + n), *part = z + n * heads;
    memset(tensor_edit(t), 0, t->bytes);
    for (size_t i = 0; i < n * heads; i++)
        z[i] = (float)logits[i];
    for (uint32_t l = 0, head = 0; l < s->label_count; head += label_outputs(&s->labels[l]), l++) {
        const double *before = old != NULL && l < old->shape[0] ? (const double *)old->data + (size_t)l * CALIBRATION_COLUMNS : plain;
        const call c = { s, batch, list, n, z + head, heads, l, (double *)tensor_edit(t) + (size_t)l * CALIBRATION_COLUMNS };
        ecrec_calibrate_options o = ECREC_CALIBRATE_OPTIONS_INIT;
        ecrec_error unused = ECREC_ERROR_INIT;
        o.method = method == ECREC_CALIBRATION_KEEP ? (int32_t)before[CALIBRATION_METHOD] : method == ECREC_CALIBRATION_USUAL ? 0 : method;
        if (s->labels[l].kind == ECREC_LABEL_CLASSES && o.method != 0)
            o.method = ECREC_CALIBRATION_TEMPERATURE;
        if (before[CALIBRATION_METHOD] != 0) {
            o.frozen = before[CALIBRATION_HALF_LIFE] == 0;
            o.half_life = before[CALIBRATION_HALF_LIFE];
        }
        if (!calibratable(&s->labels[l]) || (method == ECREC_CALIBRATION_KEEP && before[CALIBRATION_METHOD] == 0))
            continue;
        if (learn_label(&c, &o, items, &unused) != ECREC_OK) { /* rows of one kind only: it is not calibrated */
            memset(c.row, 0, CALIBRATION_COLUMNS * sizeof *c.row);
            continue;
        }
        if (r != NULL)
            (void)tell_halves(r, &c, &o, half, part, items, &unused); /* a half may be of one kind */
    }
    memory_release(m, items, bytes);
    *out = t;
    return ECREC_OK;
}
