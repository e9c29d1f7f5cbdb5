#include "learn/update.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/report.h"
#include "learn/losses.h"
#include "learn/metrics.h"
#include "learn/optimiser.h"
#include "learn/trainer.h"

#define DEFAULT_RATE 0.3
#define DEFAULT_NETWORK_RATE 1e-3
/* The guard's own bound: so much and a share of the loss before; more where a mean of few rows says little. */
#define DEFAULT_GROWTH 0.1
#define DEFAULT_SHARE 0.5
#define SURE_ROWS 64.0
enum { STEP_ROWS = 64, PROGRESS_ROWS = 1024, GUARD_ROWS = 2048 /* of a larger update the guard takes so many, evenly spread */ };

void ecrec_update_options_init(ecrec_update_options *options)
{
    static const ecrec_update_options defaults = ECREC_UPDATE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

typedef struct learner {
    const update_call *call;
    memory *m;
    const ecrec_batch *batch;
    learn_source source;
    learn_state state;
    learn_rows data;
    ranker *old; /* a view of the state before */
    trainer *trainer;
    trainer_options settings;
    size_t rows, labels, heads;
    double *logits, *before, *after; /* rows x heads: as each row was scored before it was learned from; guarded ones under the old and the new state */
    scored *items;
    size_t *guarded, guarded_count;  /* rows */
    double growth;
    uint32_t passes;
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
    const double rate = finite_or(o->learning_rate, DEFAULT_RATE);
    l->passes = o->passes != 0 ? o->passes : 1;
    l->growth = o->max_loss_growth;
    /* the network's own rates keep their proportion to the first order's */
    l->settings = (trainer_options){ .rate = rate, .embedding_rate = rate * 0.1, .network_rate = rate / DEFAULT_RATE * DEFAULT_NETWORK_RATE, .decay = o->decay,
                                     .embedding_decay = o->decay, .network_decay = o->decay, .start = SUM_START, .implicit = 1, .seed = o->seed };
    if (!(rate > 0 && rate <= 100) || !(o->decay >= 0 && rate * o->decay < 1) || !(l->growth >= 0) || l->passes > 10000)
        return error_set(l->err, ECREC_ERR_INVALID,
                         "ecrec_update_options: learning_rate %g (0 .. 100), decay %g (>= 0, learning_rate * decay below 1), "
                         "max_loss_growth %g (>= 0) or passes %u (at most 10000) is out of range", rate, o->decay, l->growth, l->passes);
    return ECREC_OK;
}

static size_t row_bytes(const learner *l)
{
    return memory_product(l->rows, 3 * l->heads * sizeof(double) + sizeof(scored) + sizeof(size_t));
}

static int32_t open_all(learner *l)
{
    const update_call *c = l->call;
    const uint32_t dimension = c->encoder != NULL ? c->encoder->dimension : 0;
    int32_t status = ranker_create(l->m, c->schema, dimension, c->tensors, &l->old, l->err);
    if (status == ECREC_OK)
        status = state_open(&l->state, l->m, c->schema, dimension, c->tensors, l->err);
    if (status != ECREC_OK)
        return status;
    l->heads = l->old->heads;
    if ((l->logits = memory_allocate(l->m, row_bytes(l))) == NULL)
        return error_nomem(l->err, "the rows' scores", row_bytes(l));
    l->before = l->logits + l->rows * l->heads;
    l->after = l->before + l->rows * l->heads;
    l->items = (scored *)(void *)(l->after + l->rows * l->heads);
    l->guarded = (size_t *)(void *)(l->items + l->rows);
    const size_t stride = (l->rows + GUARD_ROWS - 1) / GUARD_ROWS;
    for (size_t row = 0; row < l->rows; row += stride)
        l->guarded[l->guarded_count++] = row;
    l->source = (learn_source){ c->context, c->encoder, c->tokenizer, c->prompt, c->prompt_length };
    status = rows_open(&l->data, &l->source, l->old, l->batch, l->err);
    return status == ECREC_OK ? trainer_create(c->context, &l->state, &l->settings, STEP_ROWS, 1, &l->trainer, l->err) : status;
}

static void close_all(learner *l, tensor_set **taken)
{
    trainer_destroy(l->trainer);
    rows_close(&l->data);
    if (l->logits != NULL)
        memory_release(l->m, l->logits, row_bytes(l));
    state_close(&l->state, taken);
    ranker_release(l->old);
}

/* ---- passes ---- */

static int32_t told_to_stop(const learner *l, uint64_t done)
{
    const ecrec_update_options *o = l->call->options;
    if (o == NULL || o->progress == NULL || o->progress(o->progress_opaque, done, (uint64_t)l->rows * l->passes) == 0)
        return ECREC_OK;
    return error_set(l->err, ECREC_ERR_CANCELLED, "the update was cancelled");
}

static void see_numbers(learner *l, size_t row)
{
    const ranker *r = l->state.now;
    for (uint32_t f = 0; f < r->fields && r->numbers != 0; f++)
        if (r->plan[f].kind == ECREC_FIELD_NUMBER && column_has(&l->batch->columns[f], row))
            state_see_number(&l->state, &r->plan[f], column_number(&l->batch->columns[f], row));
}

/* A row's numbers are taken into the running statistics between its score and its step, so rows with numbers go one by one. */
static int32_t run_pass(learner *l, uint32_t pass, const size_t *order)
{
    const size_t most = l->state.now->numbers != 0 && pass == 0 ? 1 : STEP_ROWS;
    double loss = 0, weight = 0;
    for (size_t i = 0; i < l->rows;) {
        const size_t n = l->rows - i < most ? l->rows - i : most, done = i + n;
        if (most == 1) {
            trainer_score(l->trainer, NULL, &l->data, NULL, i, 1, l->logits + i * l->heads);
            see_numbers(l, i);
        }
        const int32_t status = trainer_step(l->trainer, &l->data, order, i, n, pass == 0 && most != 1 ? l->logits + i * l->heads : NULL, NULL, &loss, &weight, l->err);
        if (status != ECREC_OK)
            return status;
        if (done / PROGRESS_ROWS != i / PROGRESS_ROWS && told_to_stop(l, (uint64_t)pass * l->rows + done) != ECREC_OK)
            return ECREC_ERR_CANCELLED;
        i = done;
    }
    return told_to_stop(l, (uint64_t)(pass + 1) * l->rows);
}

static int32_t run_passes(learner *l)
{
    int32_t status = run_pass(l, 0, NULL);
    if (l->passes == 1 || status != ECREC_OK)
        return status;
    const size_t bytes = l->rows * sizeof(size_t);
    size_t *order = memory_allocate(l->m, bytes);
    if (order == NULL)
        return error_nomem(l->err, "the order of the rows", bytes);
    for (uint32_t pass = 1; pass < l->passes && status == ECREC_OK; pass++) {
        random_order(l->settings.seed, pass, order, l->rows);
        status = run_pass(l, pass, order);
    }
    memory_release(l->m, order, bytes);
    return status;
}

/* ---- the guard ---- */

/* Mean loss of a label's rows by their logits. NaN: a logit is not finite. */
static double mean_loss(const learner *l, const learn_state *s, const double *logits, uint32_t label, uint32_t head, const float *thresholds)
{
    const batch_column *y = batch_label(l->batch, label);
    double sum = 0, weight = 0, unused[MOST_CLASSES];
    for (size_t i = 0; i < l->guarded_count; i++) {
        const size_t row = l->guarded[i];
        if (!column_has(y, row))
            continue;
        const double w = batch_weight(l->batch, row);
        sum += w * loss_row(&s->schema->labels[label], logits + i * l->heads + head, thresholds, column_float(y, row), w, unused, NULL);
        weight += w;
    }
    return weight > 0 ? sum / weight : 0;
}

static int32_t guard(learner *l)
{
    if (state_check(&l->state, l->err) != ECREC_OK)
        return error_set(l->err, ECREC_ERR_REJECTED, "the update was refused: a weight is no longer a finite number; nothing has changed");
    trainer_score(l->trainer, l->old, &l->data, l->guarded, 0, l->guarded_count, l->before);
    l->state.now->met = l->old->met; /* or a value that these rows were the first to have would be judged as if it had been known */
    trainer_score(l->trainer, NULL, &l->data, l->guarded, 0, l->guarded_count, l->after);
    const ranker *const views[] = { l->old, l->state.now };
    uint32_t head = 0, threshold = 0;
    for (uint32_t label = 0; label < l->labels; label++) {
        const schema_label *kind = &l->call->schema->labels[label];
        const float *t[2];
        for (int i = 0; i < 2; i++)
            t[i] = views[i]->network != NULL ? (const float *)views[i]->network->data + views[i]->net.thresholds + threshold : NULL;
        const double before = mean_loss(l, &l->state, l->before, label, head, t[0]), after = mean_loss(l, &l->state, l->after, label, head, t[1]);
        const double own = (DEFAULT_GROWTH + DEFAULT_SHARE * before) * fmax(1, SURE_ROWS / (double)l->rows), growth = finite_or(l->growth, own);
        if (!(after - before <= growth))
            return error_set(l->err, ECREC_ERR_REJECTED,
                             "the update was refused: label \"%s\": the log loss of these rows went from %.4f to %.4f nats, more than %g allows; nothing has changed",
                             kind->name, before, after, growth);
        head += label_outputs(kind);
        threshold += kind->kind == ECREC_LABEL_ORDINAL ? kind->classes - 1 : 0;
    }
    return ECREC_OK;
}

/* ---- the report ---- */

/* Of the chunks of tables that the new snapshot does not share with the old one. */
static double changed_bytes(const learner *l)
{
    const struct { const tensor *new, *old; } tables[] = { { l->state.hashed, l->old->table }, { l->state.embeddings, l->old->embeddings } };
    double bytes = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        bytes += tables[i].new != NULL ? (double)tensor_own_bytes(tables[i].new, tables[i].old) : 0;
    return bytes;
}

static int32_t tell(const learner *l, ecrec_report **out)
{
    ecrec_report *r = NULL;
    int32_t status = report_create(l->call->context, "update", &r, l->err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "rows", (double)l->rows);
    report_number(r, "passes", l->passes);
    report_number(r, "snapshot", (double)l->call->snapshot);
    uint32_t head = 0;
    for (uint32_t label = 0; label < l->labels; label++) {
        metrics_tell_list(r, l->call->schema, label, l->batch, NULL, l->rows, l->logits + head, l->heads, l->items);
        head += label_outputs(&l->call->schema->labels[label]);
    }
    report_number(r, "memory_bytes", (double)(changed_bytes(l)));
    if ((status = report_finish(r, l->err)) == ECREC_OK)
        *out = r;
    else
        ecrec_report_release(r);
    return status;
}

int32_t update_run(const update_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    learner l = { .call = call, .m = &call->context->m, .batch = call->batch, .rows = call->batch->rows, .labels = call->schema->label_count, .err = err };
    int32_t status = batch_check(call->batch, call->schema, err);
    if (status != ECREC_OK || (status = read_options(&l, call->options)) != ECREC_OK)
        return status;
    if (l.rows == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_update: the batch has no rows");
    if ((status = open_all(&l)) == ECREC_OK && (status = run_passes(&l)) == ECREC_OK && (status = guard(&l)) == ECREC_OK && report != NULL)
        status = tell(&l, report);
    close_all(&l, status == ECREC_OK ? next : NULL);
    return status;
}
