/* Online learning: AdaGrad (Duchi, Hazan and Singer, JMLR 12, 2011) on the logistic loss, weight decay decoupled from the gradient
 * (Loshchilov and Hutter, ICLR 2019): theta <- theta - eta * grad / sqrt(start + sum of grad^2) - eta * lambda * theta. */
#include "learn/update.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/report.h"
#include "learn/metrics.h"
#include "rank/features.h"

#define DEFAULT_RATE 0.3
#define DEFAULT_GROWTH 0.1
/* What the sums of squares begin with: it keeps the first steps of a coordinate from being of full size eta. */
#define SUM_START 0.05f
/* A unit vector of d dimensions has values of about 1 / sqrt(d): the steps of its coordinates are scaled alike, or the first
 * row would move the logit by eta * sqrt(d). */
#define VECTOR_STEP 16.0
enum { BLOCK_ROWS = 256, PROGRESS_ROWS = 1024 };

void ecrec_update_options_init(ecrec_update_options *options)
{
    static const ecrec_update_options defaults = ECREC_UPDATE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

typedef struct learner {
    const update_call *call;
    const kernels *table;
    memory *m;
    const ecrec_batch *batch;
    ranker *old, *now; /* views of the state before, and of the one being learned */
    tensor *dense, *sums, *hashed, *hashed_sums, *statistics; /* being written */
    tensor_set *next;
    embed *embed;
    text_block texts; /* of all rows */
    size_t rows, labels;
    size_t texts_bytes;
    float *probabilities; /* rows x labels: before learning from the row */
    scored *items;
    double rate, decay, growth;
    uint32_t passes;
    int failed; /* no memory for a chunk */
    ecrec_error *err;
} learner;

static double finite_or(double value, double missing)
{
    return value != 0 ? value : missing;
}

static int32_t read_options(learner *l, const ecrec_update_options *o)
{
    static const ecrec_update_options defaults = ECREC_UPDATE_OPTIONS_INIT;
    if (o == NULL)
        o = &defaults;
    l->passes = o->passes != 0 ? o->passes : 1;
    l->rate = finite_or(o->learning_rate, DEFAULT_RATE);
    l->decay = o->decay;
    l->growth = finite_or(o->max_loss_growth, DEFAULT_GROWTH);
    if (!(l->rate > 0 && l->rate <= 100) || !(l->decay >= 0 && l->rate * l->decay < 1) || !(l->growth > 0) || l->passes > 10000)
        return error_set(l->err, ECREC_ERR_INVALID,
                         "ecrec_update_options: learning_rate %g (0 .. 100), decay %g (>= 0, learning_rate * decay below 1), "
                         "max_loss_growth %g (above 0) or passes %u (at most 10000) is out of range", l->rate, l->decay, l->growth, l->passes);
    return ECREC_OK;
}

/* ---- the state being written ---- */

static int32_t copy_dense(learner *l, const char *name, tensor **out)
{
    const tensor *from = tensor_set_get(l->call->tensors, name);
    tensor *t = NULL;
    if (tensor_create(l->m, from->type, from->layout, from->rank, from->shape, &t) != ECREC_OK)
        return error_nomem(l->err, name, from->bytes);
    memcpy(tensor_edit(t), from->data, from->bytes);
    const int32_t status = tensor_set_put(l->next, name, t);
    *out = t;
    tensor_release(t); /* the set holds it */
    return status == ECREC_OK ? ECREC_OK : error_nomem(l->err, name, from->bytes);
}

static int32_t fork_table(learner *l, const char *name, tensor **out)
{
    tensor *t = NULL;
    int32_t status = tensor_fork(tensor_set_get(l->call->tensors, name), &t);
    if (status == ECREC_OK) {
        status = tensor_set_put(l->next, name, t);
        *out = t;
        tensor_release(t);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(l->err, name, 0);
}

static int32_t open_state(learner *l)
{
    const uint32_t dimension = l->call->encoder != NULL ? l->call->encoder->dimension : 0;
    int32_t status = ranker_create(l->m, l->call->schema, dimension, l->call->tensors, &l->old, l->err);
    if (status != ECREC_OK)
        return status;
    if (tensor_set_copy(l->call->tensors, &l->next) != ECREC_OK)
        return error_nomem(l->err, "the next snapshot", 0);
    if ((status = copy_dense(l, "rank.dense", &l->dense)) != ECREC_OK || (status = copy_dense(l, "learn.dense", &l->sums)) != ECREC_OK)
        return status;
    if (l->old->numbers != 0 && (status = copy_dense(l, "rank.numbers", &l->statistics)) != ECREC_OK)
        return status;
    if (l->old->hashed && ((status = fork_table(l, "rank.hashed", &l->hashed)) != ECREC_OK ||
                           (status = fork_table(l, "learn.hashed", &l->hashed_sums)) != ECREC_OK))
        return status;
    return ranker_create(l->m, l->call->schema, dimension, l->next, &l->now, l->err);
}

static float *block(const tensor *t)
{
    return (float *)(uintptr_t)t->data; /* ours alone until it is published */
}

/* Encode every text once: passes and the guard use the vectors again. */
static int32_t open_rows(learner *l)
{
    const ranker *r = l->old;
    const size_t n = l->rows * l->labels;
    l->probabilities = memory_allocate(l->m, memory_product(n, sizeof(float)));
    l->items = memory_allocate(l->m, memory_product(l->rows, sizeof(scored)));
    if (l->probabilities == NULL || l->items == NULL)
        return error_nomem(l->err, "the rows' scores", n * sizeof(float));
    if (r->slots == 0)
        return ECREC_OK;
    l->texts_bytes = text_block_take(&l->texts, r, l->rows, NULL);
    void *memory = memory_allocate(l->m, l->texts_bytes);
    if (memory == NULL) {
        l->texts.texts = NULL;
        return error_nomem(l->err, "the texts' vectors", l->texts_bytes);
    }
    (void)text_block_take(&l->texts, r, l->rows, memory);
    int32_t status = embed_create(l->m, l->call->encoder, l->call->tokenizer, context_threads(l->call->context), 0, &l->embed, l->err);
    if (status != ECREC_OK)
        return status;
    const score_call call = { .context = l->call->context, .encoder = l->call->encoder, .tokenizer = l->call->tokenizer, .embed = l->embed,
                              .prompt = l->call->prompt, .prompt_length = l->call->prompt_length, .batch = l->batch };
    return text_block_encode(&l->texts, r, &call, 0, l->rows, l->err);
}

static void close(learner *l)
{
    memory_release(l->m, l->probabilities, l->rows * l->labels * sizeof(float));
    memory_release(l->m, l->items, l->rows * sizeof(scored));
    if (l->texts_bytes != 0)
        memory_release(l->m, (void *)(uintptr_t)l->texts.texts, l->texts_bytes);
    embed_destroy(l->embed);
    ranker_release(l->old);
    ranker_release(l->now);
}

static record record_of(const learner *l, size_t row)
{
    return (record){ l->batch, row, l->old->slots != 0 ? l->texts.pointers + row * l->old->slots : NULL };
}

/* ---- numbers ---- */

/* New frozen mean and scale, and the weights said again in them: w (x - m) s + c = w' (x - m') s' + c' for every x. */
static void refreeze(learner *l, const field_plan *p, double *s)
{
    const double variance = s[NUMBER_SQUARES] / s[NUMBER_COUNT], scale = variance > 1e-300 ? 1 / sqrt(variance) : 1;
    const double ratio = s[NUMBER_FROZEN_SCALE] / scale, shift = (s[NUMBER_MEAN] - s[NUMBER_FROZEN_MEAN]) * s[NUMBER_FROZEN_SCALE];
    for (size_t label = 0; label < l->labels; label++) {
        float *w = block(l->dense) + label * l->now->width + p->dense, *sum = block(l->sums) + label * l->now->width + p->dense;
        w[1] = (float)(w[1] + w[0] * shift);
        w[0] = (float)(w[0] * ratio);
        sum[0] = (float)(sum[0] / (ratio * ratio)); /* its gradients are divided by the ratio */
    }
    s[NUMBER_FROZEN_MEAN] = s[NUMBER_MEAN];
    s[NUMBER_FROZEN_SCALE] = scale;
    s[NUMBER_FROZEN_COUNT] = s[NUMBER_COUNT];
}

/* Whether the frozen statistics are too old: when the count has grown by half (doubled, from 256 on), or when this value
 * lies so far out that a step on it would throw the weight. */
static int outdated(const double *s, double x)
{
    const double grown = s[NUMBER_COUNT] < 256 ? 1.5 : 2;
    return s[NUMBER_COUNT] >= grown * s[NUMBER_FROZEN_COUNT] || fabs(number_standard(s, x)) > 6;
}

/* Welford's update. */
static void see_numbers(learner *l, size_t row)
{
    for (uint32_t f = 0; f < l->now->fields; f++) {
        const field_plan *p = &l->now->plan[f];
        const batch_column *c = &l->batch->columns[f];
        if (p->kind != ECREC_FIELD_NUMBER || !column_has(c, row))
            continue;
        double *s = (double *)(uintptr_t)l->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
        const double x = column_number(c, row), d = x - s[NUMBER_MEAN];
        s[NUMBER_COUNT] += 1;
        s[NUMBER_MEAN] += d / s[NUMBER_COUNT];
        s[NUMBER_SQUARES] += d * (x - s[NUMBER_MEAN]);
        if (outdated(s, x))
            refreeze(l, p, s);
    }
}

/* ---- one step ---- */

typedef struct step {
    learner *l;
    double gradient; /* d loss / d logit, times the row's weight */
    uint64_t first;  /* of the label's rows in the hashed tables */
} step;

static void adjust(const step *s, float *w, float *sum, double gradient, double rate)
{
    const learner *l = s->l;
    *sum += (float)(gradient * gradient);
    const double move = rate * gradient / sqrt((double)SUM_START + *sum);
    *w = (float)(*w - move - l->rate * l->decay * *w);
}

static void adjust_hashed(void *opaque, uint64_t slot, float value)
{
    step *s = opaque;
    learner *l = s->l;
    float *w = tensor_row_edit(l->hashed, s->first + slot), *sum = tensor_row_edit(l->hashed_sums, s->first + slot);
    if (w == NULL || sum == NULL)
        l->failed = 1;
    else
        adjust(s, w, sum, s->gradient * value, l->rate);
}

static void adjust_vector(const step *s, uint32_t field, const record *rec, float *w, float *sum)
{
    const learner *l = s->l;
    const field_plan *p = &l->now->plan[field];
    float inverse = 0, cosine = 0;
    const float *v = record_vector(l->now, l->table, field, rec, &inverse);
    if (v == NULL && p->missing != NO_INDEX)
        adjust(s, &w[p->missing], &sum[p->missing], s->gradient, l->rate);
    const double rate = p->dims != 0 ? l->rate * VECTOR_STEP / sqrt((double)p->dims) : 0, scale = p->dims != 0 ? sqrt((double)p->dims) : 0;
    for (uint32_t i = 0; v != NULL && i < p->dims; i++) {
        /* the sum is of gradients as if the values were of size 1, so that SUM_START means the same */
        const double g = s->gradient * v[i] * inverse * scale;
        adjust(s, &w[p->dense + i], &sum[p->dense + i], g, rate);
    }
    if (p->cosine == NO_INDEX)
        return;
    if (record_cosine(l->now, l->table, field, rec, &cosine))
        adjust(s, &w[p->cosine], &sum[p->cosine], s->gradient * cosine, l->rate);
    else
        adjust(s, &w[p->cosine + 1], &sum[p->cosine + 1], s->gradient, l->rate);
}

static void learn_row(learner *l, const record *rec, uint32_t label, double gradient)
{
    const ranker *r = l->now;
    step s = { l, gradient, (uint64_t)label << r->hash_bits };
    float *w = block(l->dense) + (size_t)label * r->width, *sum = block(l->sums) + (size_t)label * r->width;
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        const batch_column *c = &l->batch->columns[f];
        if (p->kind == ECREC_FIELD_NUMBER) {
            if (!column_has(c, rec->row)) {
                adjust(&s, &w[p->missing], &sum[p->missing], gradient, l->rate);
                continue;
            }
            const double *statistics = (const double *)l->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
            const double z = number_standard(statistics, column_number(c, rec->row));
            adjust(&s, &w[p->dense], &sum[p->dense], gradient * z, l->rate);
            adjust(&s, &w[p->dense + 1], &sum[p->dense + 1], gradient, l->rate);
        } else if (p->vector != 0) {
            adjust_vector(&s, f, rec, w, sum);
        }
        record_hashed(r, f, rec, adjust_hashed, &s);
    }
    adjust(&s, &w[r->width - 1], &sum[r->width - 1], gradient, l->rate);
}

static int32_t told_to_stop(const learner *l, uint64_t done)
{
    const ecrec_update_options *o = l->call->options;
    if (o == NULL || o->progress == NULL || o->progress(o->progress_opaque, done, (uint64_t)l->rows * l->passes) == 0)
        return ECREC_OK;
    return error_set(l->err, ECREC_ERR_CANCELLED, "the update was cancelled");
}

static int32_t run_pass(learner *l, uint32_t pass, const size_t *order)
{
    for (size_t i = 0; i < l->rows; i++) {
        const size_t row = order != NULL ? order[i] : i;
        const record rec = record_of(l, row);
        if (pass == 0) /* all labels are scored before any is learned from */
            for (uint32_t label = 0; label < l->labels; label++)
                l->probabilities[row * l->labels + label] = (float)logistic(record_logit(l->now, l->table, &rec, label, NULL));
        if (pass == 0)
            see_numbers(l, row);
        for (uint32_t label = 0; label < l->labels; label++) {
            const batch_column *y = batch_label(l->batch, label);
            if (!column_has(y, row))
                continue;
            const double p = logistic(record_logit(l->now, l->table, &rec, label, NULL));
            learn_row(l, &rec, label, (p - column_float(y, row)) * batch_weight(l->batch, row));
        }
        if (l->failed)
            return error_nomem(l->err, "the touched weights", HASHED_CHUNK * sizeof(float));
        if ((i + 1) % PROGRESS_ROWS == 0 && told_to_stop(l, (uint64_t)pass * l->rows + i + 1) != ECREC_OK)
            return ECREC_ERR_CANCELLED;
    }
    return told_to_stop(l, (uint64_t)(pass + 1) * l->rows);
}

static int32_t run_passes(learner *l)
{
    int32_t status = run_pass(l, 0, NULL);
    if (l->passes == 1 || status != ECREC_OK || l->rows == 0)
        return status;
    const size_t bytes = l->rows * sizeof(size_t);
    size_t *order = memory_allocate(l->m, bytes);
    if (order == NULL)
        return error_nomem(l->err, "the order of the rows", bytes);
    for (uint32_t pass = 1; pass < l->passes && status == ECREC_OK; pass++) {
        random_stream random;
        random_init(&random, l->call->options->seed, pass);
        for (size_t i = 0; i < l->rows; i++)
            order[i] = i;
        for (size_t i = l->rows; i > 1; i--) {
            const size_t j = (size_t)random_below(&random, i), t = order[i - 1];
            order[i - 1] = order[j];
            order[j] = t;
        }
        status = run_pass(l, pass, order);
    }
    memory_release(l->m, order, bytes);
    return status;
}

/* ---- the guard ---- */

/* Mean log loss of a label's rows under a state; the number of weighted rows in *weight. NaN: a logit is not finite. */
static double mean_loss(const learner *l, const ranker *r, uint32_t label, double *weight)
{
    double sum = 0;
    *weight = 0;
    for (size_t row = 0; row < l->rows; row++) {
        const batch_column *y = batch_label(l->batch, label);
        const record rec = record_of(l, row);
        if (!column_has(y, row))
            continue;
        const double logit = record_logit(r, l->table, &rec, label, NULL), w = batch_weight(l->batch, row);
        if (!isfinite(logit))
            return NAN;
        sum += w * log_loss_of(logistic(logit), column_float(y, row));
        *weight += w;
    }
    return *weight > 0 ? sum / *weight : 0;
}

static int32_t guard(const learner *l)
{
    for (size_t i = 0; i < (size_t)l->labels * l->now->width; i++)
        if (!isfinite(block(l->dense)[i]) || !isfinite(block(l->sums)[i]))
            return error_set(l->err, ECREC_ERR_REJECTED, "the update was refused: a weight is no longer a finite number; nothing has changed");
    for (uint32_t label = 0; label < l->labels; label++) {
        double weight = 0;
        const double before = mean_loss(l, l->old, label, &weight), after = mean_loss(l, l->now, label, &weight);
        if (!(after - before <= l->growth))
            return error_set(l->err, ECREC_ERR_REJECTED,
                             "the update was refused: label \"%s\": the log loss of these rows went from %.4f to %.4f nats, more than %g allows; nothing has changed",
                             l->call->schema->labels[label], before, after, l->growth);
    }
    return ECREC_OK;
}

/* ---- the report ---- */

static int32_t tell(const learner *l, ecrec_report **out)
{
    ecrec_report *r = NULL;
    int32_t status = report_create(l->call->context, "update", &r, l->err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "rows", (double)l->rows);
    report_number(r, "passes", l->passes);
    report_number(r, "snapshot", (double)l->call->snapshot);
    for (uint32_t label = 0; label < l->labels; label++) {
        const batch_column *y = batch_label(l->batch, label);
        size_t n = 0;
        for (size_t row = 0; row < l->rows; row++)
            if (column_has(y, row))
                l->items[n++] = (scored){ l->probabilities[row * l->labels + label], column_float(y, row), batch_weight(l->batch, row), 0 };
        metrics m;
        metrics_compute(l->items, n, &m);
        char name[320];
        const char *label_name = l->call->schema->labels[label];
        /* a dot in a label's name would nest the report */
        size_t length = 0;
        for (; label_name[length] != 0; length++)
            name[length] = label_name[length] == '.' ? '_' : label_name[length];
        name[length] = 0;
        report_numberf(r, (double)n, "labels.%s.rows", name);
        report_numberf(r, m.log_loss, "labels.%s.log_loss", name);
        report_numberf(r, m.auc, "labels.%s.auc", name);
        report_numberf(r, m.accuracy, "labels.%s.accuracy", name);
    }
    report_number(r, "memory_bytes", (double)(l->hashed != NULL ? tensor_own_bytes(l->hashed, l->old->table) : 0));
    if ((status = report_finish(r, l->err)) == ECREC_OK)
        *out = r;
    else
        ecrec_report_release(r);
    return status;
}

int32_t update_run(const update_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    learner l = { .call = call, .table = call->context->kernels, .m = &call->context->m, .batch = call->batch, .rows = call->batch->rows,
                  .labels = call->schema->label_count, .err = err };
    int32_t status = batch_check(call->batch, call->schema, err);
    if (status != ECREC_OK || (status = read_options(&l, call->options)) != ECREC_OK)
        return status;
    if (l.rows == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_update: the batch has no rows");
    if ((status = open_state(&l)) == ECREC_OK && (status = open_rows(&l)) == ECREC_OK && (status = run_passes(&l)) == ECREC_OK &&
        (status = guard(&l)) == ECREC_OK && report != NULL)
        status = tell(&l, report);
    close(&l);
    if (status == ECREC_OK)
        *next = l.next;
    else
        tensor_set_release(l.next);
    return status;
}
