#include "learn/fit.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/report.h"
#include "base/sort.h"
#include "learn/calibrate.h"
#include "learn/checkpoint.h"
#include "learn/expiry.h"
#include "learn/labels.h"
#include "learn/groups.h"
#include "learn/losses.h"
#include "learn/optimiser.h"
#include "learn/rebin.h"
#include "learn/trainer.h"
#include "rank/sightings.h"
#include "rank/targets.h"

enum { MOST_EPOCHS = 10000, MOST_BATCH = 65536, HOLDOUT_STREAM = 0x686F6C64 };
#define PI 3.14159265358979323846

void ecrec_fit_options_init(ecrec_fit_options *options)
{
    static const ecrec_fit_options defaults = ECREC_FIT_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

typedef struct fitter {
    const fit_call *call;
    ecrec_fit_options o; /* with the defaults put in */
    outcome_weights outcomes;
    memory *m;
    learn_state state;
    learn_rows data;
    trainer *trainer;
    checkpoint saved; /* where it stands: epoch, best loss, history, best tensors */
    size_t rows, heads, *learned, learned_count, *held, held_count, *order, *starts /* of the groups to learn from, then the turn of each */, start_count, list_bytes;
    int grouped; /* a label is learned by groups */
    double *logits; /* of all rows */
    uint64_t *groups; /* of the rows that are told about, when they are held out by a key */
    const float *thresholds; /* of the ordinal labels, of the weights that are kept */
    tensor *calibration;     /* of the weights that are kept; or NULL */
    ecrec_report *report;    /* being made, or NULL */
    double cut; /* TIME: rows from then on are held out */
    ecrec_error *err;
} fitter;

static void put_default(double *value, double missing)
{
    *value = *value != 0 ? *value : missing;
}

static int32_t read_options(fitter *f)
{
    ecrec_fit_options *o = &f->o;
    const ecrec_schema *s = f->call->schema;
    const int ftrl = o->hashed_optimiser == ECREC_HASHED_FTRL, adam = o->hashed_optimiser == ECREC_HASHED_ADAM;
    o->epochs = o->epochs != 0 ? o->epochs : 10;
    o->batch_rows = o->batch_rows != 0 ? o->batch_rows : 256;
    o->patience = o->patience != 0 ? o->patience : 2;
    put_default(&o->rate, adam ? 1e-3 : 0.1);
    put_default(&o->embedding_rate, adam ? 1e-3 : 0.05);
    put_default(&o->network_rate, 1e-3);
    const struct { double value, least, most; const char *name; } ranges[] = {
        { o->epochs, 1, MOST_EPOCHS, "epochs" }, { o->batch_rows, 1, MOST_BATCH, "batch_rows" }, { o->holdout_by, 0, 3, "holdout_by" }, { o->calibrate, 0, ECREC_CALIBRATION_DROP, "calibrate" },
        { o->hashed_optimiser, 0, 2, "hashed_optimiser" }, { o->schedule, 0, 2, "schedule" }, { o->holdout, 0, 0.9, "holdout" },
        { o->rate, 1e-12, 100, "rate" }, { o->embedding_rate, 1e-12, 100, "embedding_rate" }, { o->network_rate, 1e-12, 100, "network_rate" },
        { ftrl ? 0 : o->decay * o->rate, 0, 0.999, "decay times rate" }, { o->decay, 0, 1e6, "decay" }, { o->embedding_decay, 0, 1e6, "embedding_decay" },
        { ftrl ? 0 : o->embedding_decay * o->embedding_rate, 0, 0.999, "embedding_decay times embedding_rate" },
        { o->network_decay * o->network_rate, 0, 0.999, "network_decay times network_rate" }, { o->l1, 0, 1e9, "l1" }, { o->clip, 0, 1e9, "clip" },
        { o->dropout, 0, 0.9, "dropout" }, { o->modality_dropout, 0, 0.9, "modality_dropout" }, { o->warmup, 0, 0.9, "warmup" } };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most))
            return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit_options: %s is %g; it must be %g .. %g", ranges[i].name, ranges[i].value, ranges[i].least,
                             ranges[i].most);
    if (o->calibrate != ECREC_CALIBRATION_KEEP && o->calibrate != ECREC_CALIBRATION_DROP && !(o->holdout > 0))
        return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit_options: calibrate is by the rows held out, and holdout is 0");
    if (o->l1 > 0 && o->hashed_optimiser != ECREC_HASHED_FTRL)
        return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit_options: l1 needs hashed_optimiser FTRL");
    if (o->holdout > 0 && o->holdout_by == ECREC_HOLDOUT_KEY &&
        (o->holdout_field >= s->field_count || field_form(s->fields[o->holdout_field].kind) != ECREC_FIELD_CATEGORY))
        return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit_options: holdout_field %u is no category field", o->holdout_field);
    if (o->holdout > 0 && o->holdout_by == ECREC_HOLDOUT_TIME &&
        (o->holdout_field >= s->field_count || (s->fields[o->holdout_field].kind != ECREC_FIELD_TIME && s->fields[o->holdout_field].kind != ECREC_FIELD_NUMBER)))
        return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit_options: holdout_field %u is no time or number field", o->holdout_field);
    f->outcomes = (outcome_weights){ o->class_weights, o->outcome_weights, o->outcome_corrected != 0 };
    return outcome_weights_check(&f->outcomes, s, o->outcome_count, f->err);
}

/* ---- which rows ---- */

static uint64_t key_of(const fitter *f, size_t row)
{
    return record_category(f->state.now, f->o.holdout_field, f->call->batch, row);
}

/* Microseconds lose at most 16 of them: equal times stay equal. */
static double time_of(const fitter *f, size_t row)
{
    const batch_column *c = &f->call->batch->columns[f->o.holdout_field];
    return f->call->schema->fields[f->o.holdout_field].kind == ECREC_FIELD_TIME ? (double)((const int64_t *)(const void *)c->values.data)[row] : column_number(c, row);
}

static int by_time(const void *a, const void *b, void *opaque)
{
    const double x = *(const double *)a, y = *(const double *)b;
    (void)opaque;
    return x < y ? -1 : x > y;
}

/* The time from which on rows are held out: rows of one time are all on one side. */
static int32_t cut_time(fitter *f)
{
    const uint32_t field = f->o.holdout_field;
    double *times = f->logits; /* of every row at least one */
    for (size_t row = 0; row < f->rows; row++) {
        if (!column_has(&f->call->batch->columns[field], row))
            return error_row(f->err, ECREC_ERR_INVALID, row, "row %zu, field \"%s\": it is missing, and rows are held out by it", row, f->call->schema->fields[field].name);
        times[row] = time_of(f, row);
    }
    sort_items(times, f->rows, sizeof *times, by_time, NULL);
    const size_t first = (size_t)((double)f->rows * (1 - f->o.holdout));
    f->cut = times[first < f->rows ? first : f->rows - 1];
    return ECREC_OK;
}

static int held_out(const fitter *f, size_t row)
{
    const ecrec_fit_options *o = &f->o;
    if (o->holdout <= 0)
        return 0;
    if (o->holdout_by == ECREC_HOLDOUT_TIME)
        return time_of(f, row) >= f->cut;
    if (o->holdout_by == ECREC_HOLDOUT_LAST)
        return (double)row >= (double)f->rows * (1 - o->holdout);
    random_stream random;
    const uint64_t key = o->holdout_by == ECREC_HOLDOUT_KEY ? key_of(f, row) : row;
    random_init(&random, o->seed ^ key, HOLDOUT_STREAM);
    return random_float(&random) < o->holdout;
}

/* By group, rows of none last; within one as they came. */
static int by_group(const void *a, const void *b, void *opaque)
{
    const fitter *f = opaque;
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const batch_column *c = batch_row(f->call->batch, ROW_GROUP);
    const int has = column_has(c, x), other = column_has(c, y);
    if (has != other)
        return has ? -1 : 1;
    if (has && column_id(c, x) != column_id(c, y))
        return column_id(c, x) < column_id(c, y) ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Rows of a group follow each other; where each of the groups to learn from begins. */
static void sort_groups(fitter *f)
{
    sort_items(f->learned, f->learned_count, sizeof *f->learned, by_group, f);
    sort_items(f->held, f->held_count, sizeof *f->held, by_group, f);
    for (size_t i = 0; i < f->learned_count; i = group_end(f->call->batch, f->learned, i, f->learned_count))
        f->starts[f->start_count++] = i;
}

static int32_t split(fitter *f)
{
    f->grouped = schema_grouped(f->call->schema);
    f->list_bytes = memory_product(f->rows, 5 * sizeof(size_t) + f->heads * sizeof(double) + sizeof(uint64_t));
    f->logits = memory_allocate(f->m, f->list_bytes);
    if (f->logits == NULL)
        return error_nomem(f->err, "the order of the rows", f->list_bytes);
    f->groups = (uint64_t *)(void *)(f->logits + f->rows * f->heads);
    f->learned = (size_t *)(void *)(f->groups + f->rows);
    f->held = f->learned + f->rows;
    f->order = f->held + f->rows;
    f->starts = f->order + f->rows;
    if (f->o.holdout > 0 && f->o.holdout_by == ECREC_HOLDOUT_TIME) {
        const int32_t status = cut_time(f);
        if (status != ECREC_OK)
            return status;
    }
    for (size_t row = 0; row < f->rows; row++) {
        if (held_out(f, row))
            f->held[f->held_count++] = row;
        else
            f->learned[f->learned_count++] = row;
    }
    if (f->learned_count == 0 || (f->o.holdout > 0 && f->held_count == 0))
        return error_set(f->err, ECREC_ERR_INVALID, "ecrec_fit: of %zu rows %zu are held out; there must be some of both", f->rows, f->held_count);
    if (f->grouped)
        sort_groups(f);
    return ECREC_OK;
}

/* Running and frozen statistics of the numbers, of the rows that are learned from. */
static void see_numbers(fitter *f)
{
    const ranker *r = f->state.now;
    for (uint32_t k = 0; k < r->fields; k++) {
        if (r->plan[k].kind != ECREC_FIELD_NUMBER)
            continue;
        const batch_column *c = &f->call->batch->columns[k];
        for (size_t i = 0; i < f->learned_count; i++)
            if (column_has(c, f->learned[i]))
                state_see_number(&f->state, &r->plan[k], column_number(c, f->learned[i]));
        state_refreeze(&f->state, &r->plan[k]);
    }
}

/* Values that are not settled are by the rows that are learned from. */
static void see_targets(fitter *f)
{
    const ecrec_schema *s = f->call->schema;
    for (uint32_t l = 0; l < s->label_count; l++) {
        double *row = (double *)(uintptr_t)target_row(f->state.targets, s, l);
        const batch_column *y = batch_label(f->call->batch, l);
        for (size_t i = 0; row != NULL && row[NUMBER_FROZEN_COUNT] == 0 && i < f->learned_count; i++)
            if (column_has(y, f->learned[i]))
                target_see(row, &s->labels[l], column_float(y, f->learned[i]));
        if (row != NULL && row[NUMBER_FROZEN_COUNT] == 0 && row[NUMBER_COUNT] > 0)
            target_freeze(row);
    }
}

/* Mini-batches of an epoch. */
static size_t steps_of(const fitter *f)
{
    return (f->learned_count + f->o.batch_rows - 1) / f->o.batch_rows;
}

static int32_t open_all(fitter *f)
{
    const fit_call *c = f->call;
    const encoder *e = c->source.encoder;
    const uint32_t dimension = e != NULL ? e->dimension : 0;
    const tensor_set *from = c->model->tensors;
    int32_t status = checkpoint_open(&f->saved, f->m, f->o.epochs, f->err);
    if (status == ECREC_OK && f->o.resume != NULL)
        status = checkpoint_read(&f->saved, c->source.context, c->model, f->o.resume, f->err);
    if (f->saved.last != NULL)
        from = f->saved.last;
    if (status == ECREC_OK)
        status = state_open(&f->state, f->m, c->schema, dimension, from, f->err);
    if (status != ECREC_OK)
        return status;
    if (f->state.calibration != NULL) /* of weights that will be others */
        memset(tensor_edit(f->state.calibration), 0, f->state.calibration->bytes);
    f->heads = f->state.now->heads;
    const trainer_options settings = { .rate = f->o.rate, .embedding_rate = f->o.embedding_rate, .network_rate = f->o.network_rate, .decay = f->o.decay,
                                       .embedding_decay = f->o.embedding_decay, .network_decay = f->o.network_decay, .l1 = f->o.l1, .clip = f->o.clip,
                                       .start = SUM_START, .dropout = (float)f->o.dropout, .modality_dropout = (float)f->o.modality_dropout, .hashed = (int32_t)f->o.hashed_optimiser, .seed = f->o.seed };
    const int fresh = f->saved.file == NULL; /* else the state has seen these rows */
    if (fresh && sightings_add(f->state.sightings, f->state.now, c->batch, NULL, c->batch->rows) != ECREC_OK)
        return error_nomem(f->err, "the sightings", 0);
    if ((status = split(f)) == ECREC_OK && fresh) {
        rebin_see(&f->state, c->batch, f->learned, f->learned_count);
        status = rebin_first(&f->state, 0, f->err);
    }
    if (status == ECREC_OK && (status = rows_open(&f->data, &c->source, f->state.now, c->batch, f->err)) == ECREC_OK && fresh && expiry_see(&f->state, &f->data, NULL, c->batch->rows) != ECREC_OK)
        status = error_nomem(f->err, "what was seen", 0);
    if (status == ECREC_OK)
        status = trainer_create(c->source.context, &f->state, &settings, f->o.batch_rows * (f->grouped ? 2 : 1), f->o.batch_rows * (f->grouped ? 2 : 1), &f->trainer, f->err);
    if (status == ECREC_OK && fresh) {
        see_numbers(f);
        see_targets(f);
    }
    if (status == ECREC_OK)
        status = trainer_count(f->trainer, &f->data, f->learned, f->learned_count, c->model->tensors, f->err);
    if (status == ECREC_OK && f->saved.file != NULL)
        status = trainer_import(f->trainer, f->saved.file->tensors, (double)f->saved.epoch * (double)steps_of(f), f->err);
    return status;
}

static void close_all(fitter *f, tensor_set **taken)
{
    trainer_destroy(f->trainer);
    rows_close(&f->data);
    tensor_release(f->calibration);
    if (f->logits != NULL)
        memory_release(f->m, f->logits, f->list_bytes);
    tensor_set *last = NULL;
    state_close(&f->state, taken != NULL ? &last : NULL);
    if (taken != NULL && f->saved.best != NULL) {
        *taken = f->saved.best;
        f->saved.best = NULL;
        tensor_set_release(last);
    } else if (taken != NULL) {
        *taken = last;
    }
    checkpoint_close(&f->saved);
}

/* ---- epochs ---- */

/* The rates' factor at a step of all steps. */
static double schedule(const ecrec_fit_options *o, double step, double steps)
{
    const double done = steps > 0 ? step / steps : 0;
    if (done < o->warmup)
        return (step + 1) / (steps * o->warmup + 1);
    const double left = o->warmup < 1 ? (1 - done) / (1 - o->warmup) : 1;
    if (o->schedule == ECREC_SCHEDULE_LINEAR)
        return left;
    return o->schedule == ECREC_SCHEDULE_COSINE ? 0.5 * (1 - cos(PI * left)) : 1;
}

/* Groups in a random order, each with its rows as they are. */
static void order_groups(fitter *f, uint32_t epoch)
{
    size_t *turn = f->starts + f->rows, at = 0;
    random_order(f->o.seed, epoch, turn, f->start_count);
    for (size_t g = 0; g < f->start_count; g++) {
        const size_t first = f->starts[turn[g]], end = turn[g] + 1 < f->start_count ? f->starts[turn[g] + 1] : f->learned_count;
        for (size_t i = first; i < end; i++)
            f->order[at++] = f->learned[i];
    }
}

/* Where a mini-batch ends that would end at i: not within a group, unless one is larger than a mini-batch. */
static size_t cut_at(const fitter *f, size_t i)
{
    const batch_column *c = batch_row(f->call->batch, ROW_GROUP);
    if (i >= f->learned_count)
        return f->learned_count;
    size_t end = i;
    while (f->grouped && end > 0 && i - end < f->o.batch_rows && column_has(c, f->order[end]) && column_has(c, f->order[end - 1]) &&
           column_id(c, f->order[end]) == column_id(c, f->order[end - 1]))
        end--;
    return i - end < f->o.batch_rows ? end : i;
}

static int32_t run_epoch(fitter *f, uint32_t epoch, double *loss)
{
    const ecrec_fit_options *o = &f->o;
    const size_t n = f->learned_count, size = o->batch_rows, steps = steps_of(f);
    double sum = 0, weight = 0;
    if (f->grouped)
        order_groups(f, epoch);
    else
        random_order(o->seed, epoch, f->order, n);
    for (size_t i = 0; i < n && !f->grouped; i++)
        f->order[i] = f->learned[f->order[i]];
    for (size_t s = 0; s < steps; s++) {
        const double factor = schedule(o, (double)epoch * (double)steps + (double)s, (double)steps * o->epochs);
        const size_t first = cut_at(f, s * size), rows = cut_at(f, (s + 1) * size) - first;
        trainer_options *settings = trainer_settings(f->trainer);
        settings->rate = o->rate * factor;
        settings->embedding_rate = o->embedding_rate * factor;
        settings->network_rate = o->network_rate * factor;
        const int32_t status = rows == 0 ? ECREC_OK : trainer_step(f->trainer, &f->data, f->order, first, rows, NULL, &f->outcomes, &sum, &weight, f->err);
        if (status != ECREC_OK)
            return status;
        if (o->progress != NULL && o->progress(o->progress_opaque, (uint64_t)epoch * n + first + rows, (uint64_t)n * o->epochs) != 0)
            return error_set(f->err, ECREC_ERR_CANCELLED, "the fit was cancelled");
    }
    *loss = weight > 0 ? sum / weight : 0;
    return isfinite(*loss) ? state_check(&f->state, f->err)
                           : error_set(f->err, ECREC_ERR_REJECTED, "epoch %u: the loss is no longer a finite number (a lower rate may help); nothing has changed", epoch + 1);
}

/* Logits of the rows of a list, each at its own place of f->logits; the mean loss of all labels together. */
static double score_list(fitter *f, const size_t *list, size_t n)
{
    const ecrec_schema *s = f->call->schema;
    const ranker *r = f->state.now;
    double sum = 0, weight = 0, unused[MOST_CLASSES];
    trainer_score(f->trainer, NULL, &f->data, list, 0, n, f->logits);
    for (size_t i = 0; i < n; i++) {
        uint32_t head = 0, threshold = 0;
        for (uint32_t l = 0; l < s->label_count; l++) {
            const batch_column *y = batch_label(f->call->batch, l);
            const schema_label *label = &s->labels[l];
            if (column_has(y, list[i]) && label->loss == ECREC_LOSS_OWN) {
                const double w = batch_weight(f->call->batch, list[i]);
                const float *t = r->network != NULL ? (const float *)r->network->data + r->net.thresholds + threshold : NULL;
                const double *logits = f->logits + i * f->heads + head;
                sum += w * (label->kind == ECREC_LABEL_VALUE ? target_loss(r->targets, s, l, *logits, column_float(y, list[i])) : loss_row(label, logits, t, column_float(y, list[i]), w, unused, NULL));
                weight += w;
            }
            head += label_outputs(label);
            threshold += label->kind == ECREC_LABEL_ORDINAL ? label->classes - 1 : 0;
        }
    }
    for (uint32_t l = 0, head = 0; l < s->label_count; l++) {
        if (s->labels[l].loss != ECREC_LOSS_OWN)
            sum += groups_loss(f->call->batch, list, 0, n, l, f->logits + head, f->heads, NULL, &weight);
        head += label_outputs(&s->labels[l]);
    }
    return weight > 0 ? sum / weight : 0;
}

static int32_t run_epochs(fitter *f)
{
    checkpoint *c = &f->saved;
    int32_t status = ECREC_OK;
    while (c->epoch < f->o.epochs && c->since < f->o.patience && status == ECREC_OK) {
        double loss = 0, held = NAN;
        if ((status = run_epoch(f, c->epoch, &loss)) != ECREC_OK)
            break;
        if (f->held_count != 0) {
            held = score_list(f, f->held, f->held_count);
            c->since++;
            if (c->best == NULL || held < c->best_loss) {
                c->best_loss = held;
                c->best_epoch = c->epoch + 1;
                c->since = 0;
                status = checkpoint_keep_best(c, f->state.next, f->err);
            }
        }
        c->history[2 * c->epoch] = loss;
        c->history[2 * c->epoch + 1] = held;
        c->epoch++;
        if (status == ECREC_OK && f->o.checkpoint != NULL)
            status = checkpoint_write(c, f->call->model, f->state.next, f->trainer, f->o.checkpoint, f->err);
    }
    return status;
}

/* ---- the report ---- */

static int32_t tell(fitter *f)
{
    const checkpoint *c = &f->saved;
    ecrec_report *r = f->report;
    report_number(r, "rows", (double)f->learned_count);
    report_number(r, "holdout_rows", (double)f->held_count);
    report_number(r, "epochs", c->epoch);
    report_number(r, "best_epoch", c->best != NULL ? c->best_epoch : c->epoch);
    report_number(r, "snapshot", (double)f->call->snapshot);
    for (uint32_t e = 0; e < c->epoch; e++) {
        report_numberf(r, c->history[2 * e], "history.%u.loss", e + 1);
        if (f->held_count != 0)
            report_numberf(r, c->history[2 * e + 1], "history.%u.holdout_loss", e + 1);
    }
    const size_t *list = f->held_count != 0 ? f->held : f->learned;
    const size_t n = f->held_count != 0 ? f->held_count : f->learned_count;
    const int by_key = f->o.holdout > 0 && f->o.holdout_by == ECREC_HOLDOUT_KEY;
    for (size_t i = 0; by_key && i < n; i++)
        f->groups[i] = key_of(f, list[i]);
    const int32_t status = labels_tell(f->m, r, f->call->batch, list, n, f->logits, f->thresholds, f->calibration, by_key ? f->groups : NULL, f->err);
    batch_tell_skipped(r, f->call->batch);
    return status == ECREC_OK ? report_finish(r, f->err) : status;
}

static int calibrates(const fitter *f)
{
    return f->held_count != 0 && f->o.calibrate != ECREC_CALIBRATION_DROP && (f->o.calibrate != ECREC_CALIBRATION_KEEP || tensor_set_get(f->call->model->tensors, "rank.calibration") != NULL);
}

/* Learned from the rows held out, as the weights that are kept score them. */
static int32_t calibrate(fitter *f)
{
    const tensor *old = tensor_set_get(f->call->model->tensors, "rank.calibration");
    tensor_set *kept = f->saved.best != NULL ? f->saved.best : f->state.next;
    if (!calibrates(f))
        return ECREC_OK;
    const int32_t status = calibrate_held(f->m, f->call->schema, f->call->batch, f->held, f->held_count, f->logits, (int32_t)f->o.calibrate, old, &f->calibration, f->report, f->err);
    if (status != ECREC_OK)
        return status;
    return tensor_set_put(kept, "rank.calibration", f->calibration) == ECREC_OK ? ECREC_OK : error_nomem(f->err, "the calibration", f->calibration->bytes);
}

/* The metrics are of the weights that are kept: the best epoch's where there is one. */
static int32_t score_result(fitter *f)
{
    const encoder *e = f->call->source.encoder;
    const size_t *list = f->held_count != 0 ? f->held : f->learned;
    const size_t n = f->held_count != 0 ? f->held_count : f->learned_count;
    ranker *best = NULL;
    if (f->saved.best != NULL) {
        const int32_t status = ranker_create(f->m, f->call->schema, e != NULL ? e->dimension : 0, f->saved.best, &best, f->err);
        if (status != ECREC_OK)
            return status;
    }
    const ranker *r = best != NULL ? best : f->state.now;
    if (r->network != NULL)
        f->thresholds = (const float *)r->network->data + r->net.thresholds; /* the tensor is the state's or the checkpoint's too */
    trainer_score(f->trainer, best, &f->data, list, 0, n, f->logits);
    ranker_release(best);
    return ECREC_OK;
}

int32_t fit_run(const fit_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    static const ecrec_fit_options defaults = ECREC_FIT_OPTIONS_INIT;
    fitter f = { .call = call, .o = call->options != NULL ? *call->options : defaults, .m = &call->source.context->m, .rows = call->batch->rows, .err = err };
    int32_t status = batch_check(call->batch, call->schema, ECREC_BAD_ROWS_SKIP, err);
    if (status != ECREC_OK || (status = read_options(&f)) != ECREC_OK)
        return status;
    if (f.rows == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_fit: the batch has no rows");
    if ((status = open_all(&f)) == ECREC_OK && (status = run_epochs(&f)) == ECREC_OK && report != NULL)
        status = report_create(call->source.context, "fit", &f.report, err);
    if (status == ECREC_OK && (report != NULL || calibrates(&f)) && (status = score_result(&f)) == ECREC_OK && (status = calibrate(&f)) == ECREC_OK && report != NULL)
        status = tell(&f);
    close_all(&f, status == ECREC_OK ? next : NULL);
    if (status == ECREC_OK && report != NULL)
        *report = f.report;
    else
        ecrec_report_release(f.report);
    return status;
}
