#include "learn/update_parts.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"
#include "base/report.h"
#include "learn/expiry.h"
#include "learn/guard.h"
#include "learn/calibrate.h"
#include "learn/groups.h"
#include "learn/losses.h"
#include "measure/metrics.h"
#include "stream/observe.h"
#include "learn/optimiser.h"
#include "learn/progress.h"
#include "learn/rebin.h"
#include "learn/trainer.h"
#include "rank/sightings.h"
#include "rank/targets.h"

#define DEFAULT_RATE 0.3
#define DEFAULT_NETWORK_RATE 1e-3
/* The guard's own bounds: so much and a share of the loss before; more where a mean of few rows says little. */
#define DEFAULT_GROWTH 0.1
#define DEFAULT_SHARE 0.5
#define DEFAULT_CALIBRATION 0.1
#define SURE_ROWS 64.0
enum { STEP_ROWS = 64, PROGRESS_ROWS = 1024, GUARD_ROWS = 2048 /* of a larger update or reserve the guard takes so many, evenly spread */ };
enum { FIRST_NUMBERS = 8 /* of a bin, for the first cuts */ };
enum { MOST_TRIES = 8, MOST_WINDOWS = 1 << 16 };

void ecrec_update_options_init(ecrec_update_options *options)
{
    static const ecrec_update_options defaults = ECREC_UPDATE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static double finite_or(double value, double missing)
{
    return value != 0 ? value : missing;
}

static int32_t read_options(learner *l)
{
    const ecrec_update_options *o = l->options;
    const double rate = finite_or(o->learning_rate, DEFAULT_RATE);
    l->growth = o->max_loss_growth;
    /* the network's own rates keep their proportion to the first order's */
    l->settings = (trainer_options){ .rate = rate, .embedding_rate = rate * 0.1, .network_rate = rate / DEFAULT_RATE * DEFAULT_NETWORK_RATE, .decay = o->decay,
                                     .embedding_decay = o->decay, .network_decay = o->decay, .start = SUM_START, .implicit = 1, .seed = o->seed };
    if (!(rate > 0 && rate <= 100) || !(o->decay >= 0 && rate * o->decay < 1) || !(l->growth >= 0) || o->passes > 10000)
        return error_set(l->err, ECREC_ERR_INVALID,
                         "ecrec_update_options: learning_rate %g (0 .. 100), decay %g (>= 0, learning_rate * decay below 1), "
                         "max_loss_growth %g (>= 0) or passes %u (at most 10000) is out of range", rate, o->decay, l->growth, o->passes);
    l->outcomes = (outcome_weights){ NULL, o->outcome_weights, o->outcome_corrected != 0 };
    const int32_t status = outcome_weights_check(&l->outcomes, l->call->schema, o->outcome_count, l->err);
    if (status != ECREC_OK)
        return status;
    if (o->step_rows > STEP_ROWS)
        return error_set(l->err, ECREC_ERR_INVALID, "ecrec_update_options: step_rows is %u; at most %d", o->step_rows, STEP_ROWS);
    if (!(o->max_calibration_growth >= 0) || !(o->max_score_move >= 0) || !(o->replay >= 0 && o->replay <= 64) || o->force > 1)
        return error_set(l->err, ECREC_ERR_INVALID, "ecrec_update_options: max_calibration_growth %g (>= 0), max_score_move %g (>= 0), replay %g (0 .. 64) or force %u (0 or 1) "
                         "is out of range", o->max_calibration_growth, o->max_score_move, o->replay, o->force);
    return ECREC_OK;
}

/* ---- what is learned from ---- */

/* Rows of events that are known are left out; those of the others become known. */
static int32_t choose_rows(learner *l)
{
    const batch_column *ids = batch_row(l->batch, ROW_EVENT);
    const int remembers = l->memory.words != NULL && l->memory.seen.ring != NULL;
    size_t n = 0;
    for (size_t row = 0; row < l->batch->rows; row++) {
        int known = 0;
        if (remembers && column_has(ids, row)) {
            const int32_t status = events_see(&l->memory.seen, column_id(ids, row), &known);
            if (status != ECREC_OK)
                return status == ECREC_ERR_NOMEM ? error_nomem(l->err, "the events", 0)
                                                 : error_set(l->err, status, "what the ranker remembers of its events is damaged");
        }
        if (!known)
            l->order[n++] = row;
    }
    l->repeats = l->batch->rows - n;
    l->rows = n;
    if (l->memory.words != NULL)
        l->memory.words[ONLINE_REPEATS] += l->repeats;
    return ECREC_OK;
}

static int32_t open_rows_of(learner *l, ecrec_batch *batch, learn_rows *data)
{
    return batch != NULL ? rows_open(data, &l->source, l->old, batch, l->err) : ECREC_OK;
}

/* The rows to replay and the reserve as it was before these rows. */
static int32_t open_remembered(learner *l)
{
    int32_t status = ECREC_OK;
    if (l->memory.words == NULL)
        return ECREC_OK;
    const ecrec_schema *schema = l->call->schema;
    if (l->options->replay > 0)
        status = online_replay(&l->memory, schema, (size_t)ceil(l->options->replay * (double)l->rows), &l->replay, l->err);
    if (status == ECREC_OK)
        status = online_reserve(&l->memory, schema, GUARD_ROWS, &l->reserve, l->err);
    if (status == ECREC_OK)
        status = open_rows_of(l, l->replay, &l->replayed);
    if (status != ECREC_OK || l->reserve == NULL || (status = open_rows_of(l, l->reserve, &l->reserved)) != ECREC_OK)
        return status;
    l->reserve_rows = ecrec_batch_rows(l->reserve);
    l->reserve_logits = memory_allocate(l->m, memory_product(2 * l->reserve_rows, l->heads * sizeof(double)));
    return l->reserve_logits != NULL ? ECREC_OK : error_nomem(l->err, "the reserve's scores", 2 * l->reserve_rows * l->heads * sizeof(double));
}

static size_t row_bytes_of(const learner *l)
{
    return memory_product(l->batch->rows, 3 * l->heads * sizeof(double) + sizeof(scored) + 2 * sizeof(size_t));
}

static size_t label_bytes(const learner *l)
{
    return 3 * l->heads * sizeof(float) + l->labels * sizeof(guard_measure);
}

static int32_t open_windows(learner *l)
{
    const uint32_t window = l->options->window;
    if (window == 0)
        return ECREC_OK;
    l->observer.window = window;
    l->observer.count = (l->batch->rows + window - 1) / window;
    if (l->observer.count > MOST_WINDOWS)
        return error_set(l->err, ECREC_ERR_INVALID, "ecrec_update_options: window %u makes %zu windows of %zu rows, at most %d are possible", window, l->observer.count,
                         l->batch->rows, MOST_WINDOWS);
    const size_t bytes = l->observer.count * l->labels * OBSERVED_COLUMNS * sizeof(double);
    l->observer.windows = memory_zero(l->m, bytes);
    return l->observer.windows != NULL ? ECREC_OK : error_nomem(l->err, "the windows", bytes);
}

static int32_t open_all(learner *l)
{
    const update_call *c = l->call;
    const uint32_t dimension = c->encoder != NULL ? c->encoder->dimension : 0;
    const size_t rows = l->batch->rows;
    int32_t status = ranker_create(l->m, c->schema, dimension, c->tensors, &l->old, l->err);
    if (status == ECREC_OK)
        status = state_open(&l->state, l->m, c->schema, dimension, c->tensors, l->err);
    if (status == ECREC_OK)
        status = online_open(&l->memory, l->m, l->state.next, c->schema, l->err);
    if (status != ECREC_OK)
        return status;
    l->heads = l->old->heads;
    l->logits = memory_allocate(l->m, row_bytes_of(l));
    l->measures = memory_zero(l->m, label_bytes(l));
    if (l->logits == NULL || l->measures == NULL)
        return error_nomem(l->err, "the rows' scores", row_bytes_of(l));
    l->before = l->logits + rows * l->heads;
    l->after = l->before + rows * l->heads;
    l->items = (scored *)(void *)(l->after + rows * l->heads);
    l->guarded = (size_t *)(void *)(l->items + rows);
    l->order = l->guarded + rows;
    l->scores = (float *)(void *)(l->measures + l->labels);
    l->observer = (observer){ .schema = c->schema, .batch = l->batch, .memory = &l->memory, .served = l->options->served, .heads = (uint32_t)l->heads, .scores = l->scores, .calibration = l->old->calibration, .targets = l->state.targets };
    l->source = (learn_source){ c->context, c->encoder, c->tokenizer, c->prompt, c->prompt_length };
    if ((status = choose_rows(l)) != ECREC_OK || l->rows == 0)
        return status;
    l->grouped = schema_grouped(c->schema); /* then the last rows: groups stay whole */
    const size_t stride = l->grouped ? 1 : (l->rows + GUARD_ROWS - 1) / GUARD_ROWS;
    for (size_t i = l->grouped && l->rows > GUARD_ROWS ? l->rows - GUARD_ROWS : 0; i < l->rows; i += stride)
        l->guarded[l->guarded_count++] = l->order[i];
    if ((status = open_windows(l)) == ECREC_OK && (status = rows_open(&l->data, &l->source, l->old, l->batch, l->err)) == ECREC_OK &&
        (status = sightings_add(l->state.sightings, l->old, l->batch, l->order, l->rows)) != ECREC_OK) /* they count from the next update on */
        status = error_nomem(l->err, "the sightings", 0);
    if (status == ECREC_OK) {
        rebin_see(&l->state, l->batch, l->order, l->rows);
        status = expiry_see(&l->state, &l->data, l->order, l->rows) == ECREC_OK ? open_remembered(l) : error_nomem(l->err, "what was seen", 0);
    }
    return status == ECREC_OK ? trainer_create(c->context, &l->state, &l->settings, STEP_ROWS, l->grouped ? STEP_ROWS : l->options->step_rows != 0 ? l->options->step_rows : 1, &l->trainer, l->err) : status;
}

static void close_all(learner *l, tensor_set **taken)
{
    trainer_destroy(l->trainer);
    learn_rows *const data[] = { &l->data, &l->replayed, &l->reserved };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        if (data[i]->m != NULL)
            rows_close(data[i]);
    ecrec_batch_release(l->replay);
    ecrec_batch_release(l->reserve);
    memory_release(l->m, l->reserve_logits, l->reserve_logits != NULL ? 2 * l->reserve_rows * l->heads * sizeof(double) : 0);
    memory_release(l->m, l->observer.windows, l->observer.windows != NULL ? l->observer.count * l->labels * OBSERVED_COLUMNS * sizeof(double) : 0);
    memory_release(l->m, l->measures, l->measures != NULL ? label_bytes(l) : 0);
    memory_release(l->m, l->logits, l->logits != NULL ? row_bytes_of(l) : 0);
    state_close(&l->state, taken);
    ranker_release(l->old);
}

/* ---- passes ---- */

static int32_t told_to_stop(const learner *l, uint64_t done)
{
    const ecrec_update_options *o = l->options;
    if (o->progress == NULL || o->progress(o->progress_opaque, done, (uint64_t)l->rows * passes_of(l)) == 0)
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

/* Values that are not settled: the row moves the mean, and settles it when it is the last that it takes. */
static void see_targets(learner *l, size_t row)
{
    for (uint32_t label = 0; label < l->labels; label++) {
        double *to = (double *)(uintptr_t)target_row(l->state.targets, l->call->schema, label);
        const batch_column *y = batch_label(l->batch, label);
        if (to == NULL || to[NUMBER_FROZEN_COUNT] > 0 || !column_has(y, row))
            continue;
        target_see(to, &l->call->schema->labels[label], column_float(y, row));
        if (to[NUMBER_COUNT] >= TARGET_ROWS)
            target_freeze(to);
    }
}

/* The rates, as long as a drift is near times what the host said. */
static void set_rates(const learner *l, int boosted)
{
    const double scale = l->scale * (boosted ? online_double(&l->memory, ONLINE_BOOST) : 1);
    trainer_options *s = trainer_settings(l->trainer);
    s->rate = l->settings.rate * scale;
    s->embedding_rate = l->settings.embedding_rate * scale;
    s->network_rate = l->settings.network_rate * scale;
}

/* Rows that were scored are looked at; behind a drift the rates are raised for a while. */
static void observe(learner *l, size_t first, size_t n)
{
    const ranker *r = l->state.now;
    const float *thresholds = r->network != NULL ? tensor_floats(l->state.network) + r->net.thresholds : NULL;
    uint64_t *left = l->memory.words != NULL ? &l->memory.words[ONLINE_BOOST_LEFT] : NULL;
    const int boosted = left != NULL && *left > 0;
    for (size_t i = first; i < first + n && l->state.calibration != NULL; i++)
        calibrate_see(tensor_edit(l->state.calibration), (uint32_t)l->state.calibration->shape[0], l->batch, l->order[i], l->logits + i * l->heads);
    if (left == NULL && l->observer.windows == NULL)
        return;
    if (boosted)
        *left -= *left < n ? *left : n;
    for (size_t i = first; i < first + n; i++)
        (void)observe_row(&l->observer, i, l->order[i], l->logits + i * l->heads, thresholds);
    if (boosted || (left != NULL && *left > 0))
        set_rates(l, *left > 0);
}

/* So many of the rows from place i on as make whole groups; of a group that is too large its first rows. */
static size_t whole_groups(const learner *l, const size_t *order, size_t i)
{
    const size_t most = l->rows - i < STEP_ROWS ? l->rows : i + STEP_ROWS;
    size_t end = i;
    for (size_t next = i; next < most; end = next <= most ? next : end)
        next = group_end(l->batch, order, next, l->rows);
    return end > i ? end - i : most - i;
}

/* A row's numbers (and values that are not settled) are taken into the running statistics between its score and its step, so rows with numbers go step by step. */
static int32_t run_pass(learner *l, uint32_t pass, const size_t *order)
{
    const int numbers = (l->state.now->numbers != 0 || !targets_settled(l->state.targets, l->call->schema)) && pass == 0;
    const size_t step = l->options->step_rows != 0 ? l->options->step_rows : 1;
    const size_t most = l->grouped ? STEP_ROWS : numbers ? step : STEP_ROWS / step * step;
    double loss = 0, weight = 0;
    set_rates(l, l->memory.words != NULL && l->memory.words[ONLINE_BOOST_LEFT] > 0);
    for (size_t i = 0; i < l->rows;) {
        const size_t n = l->grouped ? whole_groups(l, order, i) : l->rows - i < most ? l->rows - i : most, done = i + n;
        if (numbers)
            trainer_score(l->trainer, NULL, &l->data, order, i, n, l->logits + i * l->heads);
        for (size_t k = i; k < done && numbers; k++) {
            see_numbers(l, order[k]);
            see_targets(l, order[k]);
        }
        const int32_t status = trainer_step(l->trainer, &l->data, order, i, n, pass == 0 && !numbers ? l->logits + i * l->heads : NULL, &l->outcomes, &loss, &weight, l->err);
        if (status != ECREC_OK)
            return status;
        if (pass == 0)
            observe(l, i, n);
        if (done / PROGRESS_ROWS != i / PROGRESS_ROWS && told_to_stop(l, (uint64_t)pass * l->rows + done) != ECREC_OK)
            return ECREC_ERR_CANCELLED;
        i = done;
    }
    return told_to_stop(l, (uint64_t)(pass + 1) * l->rows);
}

/* Old rows first: the newest have the last word. */
static int32_t run_replay(learner *l)
{
    const size_t rows = l->replay != NULL ? ecrec_batch_rows(l->replay) : 0;
    double loss = 0, weight = 0;
    int32_t status = ECREC_OK;
    set_rates(l, 0);
    for (size_t i = 0; i < rows && status == ECREC_OK; i += STEP_ROWS)
        status = trainer_step(l->trainer, &l->replayed, NULL, i, rows - i < STEP_ROWS ? rows - i : STEP_ROWS, NULL, &l->outcomes, &loss, &weight, l->err);
    return status;
}

static int32_t run_passes(learner *l)
{
    int32_t status = run_replay(l);
    if (status == ECREC_OK)
        status = run_pass(l, 0, l->order);
    if (l->state.calibration != NULL)
        calibrate_settle(tensor_edit(l->state.calibration), (uint32_t)l->state.calibration->shape[0]);
    if (passes_of(l) == 1 || status != ECREC_OK)
        return status;
    const size_t bytes = l->rows * sizeof(size_t);
    size_t *order = memory_allocate(l->m, bytes);
    if (order == NULL)
        return error_nomem(l->err, "the order of the rows", bytes);
    for (uint32_t pass = 1; pass < passes_of(l) && status == ECREC_OK; pass++) {
        random_order(l->settings.seed, pass, order, l->rows);
        for (size_t i = 0; i < l->rows; i++)
            order[i] = l->order[l->grouped ? i : order[i]]; /* groups stay together */
        status = run_pass(l, pass, order);
    }
    memory_release(l->m, order, bytes);
    return status;
}

/* ---- the guard ---- */

static void refuse(learner *l, const char *format, ...)
{
    va_list arguments;
    if (l->reason[0] != 0)
        return;
    va_start(arguments, format);
    format_text_v(l->reason, sizeof l->reason, format, arguments);
    va_end(arguments);
}

static void judge_label(learner *l, uint32_t label, uint32_t head, const float *const t[2])
{
    const char *name = l->call->schema->labels[label].name;
    const guard_rows own = { l->batch, l->guarded, l->guarded_count, { l->before, l->after }, l->state.targets, { l->old->calibration, l->state.calibration } };
    guard_measure g;
    guard_label(l->call->schema, label, head, t, &own, (uint32_t)l->heads, &g);
    double most = finite_or(l->growth, (DEFAULT_GROWTH + DEFAULT_SHARE * g.loss[0]) * fmax(1, SURE_ROWS / (double)l->rows));
    if (!(g.loss[1] - g.loss[0] <= most))
        refuse(l, "label \"%s\": the log loss of these rows went from %.4f to %.4f nats, more than %g allows", name, g.loss[0], g.loss[1], most);
    if (l->reserve == NULL)
        return;
    const guard_rows reserve = { l->reserve, NULL, l->reserve_rows, { l->reserve_logits, l->reserve_logits + l->reserve_rows * l->heads }, l->state.targets, { l->old->calibration, l->state.calibration } };
    guard_label(l->call->schema, label, head, t, &reserve, (uint32_t)l->heads, &g);
    l->measures[label] = g;
    if (g.rows == 0)
        return;
    most = finite_or(l->growth, (DEFAULT_GROWTH + DEFAULT_SHARE * g.loss[0]) * fmax(1, SURE_ROWS / g.rows));
    if (!(g.loss[1] - g.loss[0] <= most))
        refuse(l, "label \"%s\": the log loss of the reserve went from %.4f to %.4f nats, more than %g allows", name, g.loss[0], g.loss[1], most);
    most = finite_or(l->options->max_calibration_growth, DEFAULT_CALIBRATION + 1 / sqrt(g.rows));
    if (!(g.calibration[1] - g.calibration[0] <= most))
        refuse(l, "label \"%s\": the reserve's mean score went from %.4f to %.4f away from its mean label, more than %g allows", name, g.calibration[0], g.calibration[1],
               most);
}

/* Both states score the same rows. *over: by how much too far a score moved, 1 or less: it did not. */
static int32_t guard(learner *l, double *over)
{
    if (state_check(&l->state, l->err) != ECREC_OK)
        return error_set(l->err, ECREC_ERR_REJECTED, "the update was refused: a weight is no longer a finite number; nothing has changed");
    const ecrec_schema *schema = l->call->schema;
    const ranker *const views[] = { l->old, l->state.now };
    const float *t[2];
    double *const new_reserve = l->reserve != NULL ? l->reserve_logits + l->reserve_rows * l->heads : NULL;
    l->state.now->met = l->old->met; /* or a value that these rows were the first to have would be judged as if it had been known */
    trainer_score(l->trainer, l->old, &l->data, l->guarded, 0, l->guarded_count, l->before);
    trainer_score(l->trainer, NULL, &l->data, l->guarded, 0, l->guarded_count, l->after);
    if (l->reserve != NULL) {
        trainer_score(l->trainer, l->old, &l->reserved, NULL, 0, l->reserve_rows, l->reserve_logits);
        trainer_score(l->trainer, NULL, &l->reserved, NULL, 0, l->reserve_rows, new_reserve);
    }
    for (int i = 0; i < 2; i++)
        t[i] = views[i]->network != NULL ? (const float *)views[i]->network->data + views[i]->net.thresholds : NULL;
    const guard_rows judged = l->reserve != NULL ? (guard_rows){ l->reserve, NULL, l->reserve_rows, { l->reserve_logits, new_reserve }, l->state.targets, { l->old->calibration, l->state.calibration } }
                                                 : (guard_rows){ l->batch, l->guarded, l->guarded_count, { l->before, l->after }, l->state.targets, { l->old->calibration, l->state.calibration } };
    const double most = l->options->max_score_move;
    l->moved = guard_moved(schema, t, &judged, (uint32_t)l->heads, l->scores + l->heads);
    *over = most > 0 ? l->moved / most : 0;
    l->reason[0] = 0;
    uint32_t head = 0;
    for (uint32_t label = 0; label < l->labels; label++) {
        const schema_label *kind = &schema->labels[label];
        judge_label(l, label, head, t);
        head += label_outputs(kind);
        for (int i = 0; i < 2 && kind->kind == ECREC_LABEL_ORDINAL; i++)
            t[i] += kind->classes - 1;
    }
    if (most > 0 && !(l->moved <= most))
        refuse(l, "a score moved by %.4f, more than max_score_move %g allows, at the lowest of the rates tried", l->moved, most);
    return ECREC_OK;
}

/* ---- one update ---- */

static int32_t remember(learner *l)
{
    buffer work;
    int32_t status = ECREC_OK;
    if (l->memory.words == NULL)
        return ECREC_OK;
    buffer_init(&work, l->m);
    for (size_t i = 0; i < l->rows && status == ECREC_OK; i++)
        status = online_keep(&l->memory, l->batch, l->order[i], &work, l->err);
    buffer_release(&work);
    return status;
}

static void tell_drifts(const learner *l)
{
    const observer *o = &l->observer;
    const size_t kept = sizeof o->drifts / sizeof *o->drifts;
    for (size_t i = 0; i < o->drift_count && i < kept && l->options->drift != NULL; i++)
        l->options->drift(l->options->drift_opaque, o->drifts[i].label, o->drifts[i].detector, o->drifts[i].row, o->drifts[i].what.before, o->drifts[i].what.after);
}

/* One try, at l->scale of the rates. *over: see guard. */
static int32_t learn(learner *l, double *over)
{
    int32_t status = open_all(l);
    *over = 0;
    if (status == ECREC_OK && l->rows != 0 && (status = run_passes(l)) == ECREC_OK)
        status = guard(l, over);
    return status;
}

/* What was learned, or that it was refused. */
static int32_t conclude(learner *l, ecrec_report **report)
{
    int32_t status = ECREC_OK;
    const int accepted = l->reason[0] == 0 || l->options->force;
    if (accepted && l->rows != 0 &&
        ((status = rebin_first(&l->state, FIRST_NUMBERS, l->err)) != ECREC_OK || (status = remember(l)) != ECREC_OK || (status = progress_add(l->m, l->state.next, (double)l->rows, l->err)) != ECREC_OK))
        return status;
    if (report != NULL && (status = update_tell(l, accepted, report)) != ECREC_OK)
        return status;
    if (!accepted)
        return error_set(l->err, ECREC_ERR_REJECTED, "the update was refused: %s; nothing has changed", l->reason);
    if (l->rows != 0)
        tell_drifts(l);
    return ECREC_OK;
}

int32_t update_run(const update_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    double scale = 1, over = 0;
    int32_t status = batch_check(call->batch, call->schema, ECREC_BAD_ROWS_SKIP, err);
    if (status != ECREC_OK)
        return status;
    if (call->batch->rows == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_update: the batch has no rows");
    for (int try = 1;; try++) {
        learner l = { .call = call, .options = call->options, .m = &call->context->m, .batch = call->batch, .labels = call->schema->label_count, .scale = scale, .err = err };
        if ((status = read_options(&l)) != ECREC_OK)
            return status;
        status = learn(&l, &over);
        if (status == ECREC_OK && over > 1 && try < MOST_TRIES && !call->options->force) {
            /* a step is about as long as the rate; a little less, so that it is short enough at once */
            scale *= fmax(0.1, 0.8 / over);
            close_all(&l, NULL);
            continue;
        }
        if (status == ECREC_OK)
            status = conclude(&l, report);
        close_all(&l, status == ECREC_OK && l.rows != 0 ? next : NULL);
        return status;
    }
}
