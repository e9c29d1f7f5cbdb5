#include "learn/trainer.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "learn/attention_steps.h"
#include "learn/embeddings.h"
#include "learn/first_order.h"
#include "learn/groups.h"
#include "learn/losses.h"
#include "learn/optimiser.h"
#include "rank/modality.h"
#include "rank/targets.h"

enum { FLAT_TASK = 16384 };

struct trainer {
    ecrec_context *context;
    memory *m;
    const kernels *table;
    learn_state *state;
    trainer_options options;
    size_t most, mini;
    first_order first;
    embedding_steps embeddings;
    attention_steps attention;
    network_pass pass;
    network_gradients gradients;
    network_packed *transposed;
    double *logits, *head_gradients; /* of a mini-batch: rows x heads */
    float *threshold_gradient;       /* inside gradients.flat */
    unsigned char *task_scratch;
    size_t task_bytes;
    uint32_t weight_tasks;
    int stale; /* the packed matrices are older than the weights */
    void *block;
    size_t bytes;
    uint64_t *met; /* bits of trainer_count */
    size_t met_bytes;
};

static size_t take_all(trainer *t, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const ranker *r = t->state->now;
    const network_plan *p = &r->net;
    t->logits = scratch_take(&s, t->most * r->heads * sizeof(double));
    t->head_gradients = scratch_take(&s, t->most * r->heads * sizeof(double));
    void *pass = scratch_take(&s, network_pass_take(&t->pass, p, t->most, NULL));
    void *gradients = scratch_take(&s, network_gradients_take(&t->gradients, p, t->most, NULL));
    t->task_scratch = scratch_take(&s, t->weight_tasks * t->task_bytes);
    if (memory != NULL) {
        (void)network_pass_take(&t->pass, p, t->most, pass);
        (void)network_gradients_take(&t->gradients, p, t->most, gradients);
    }
    return s.used;
}

int32_t trainer_create(ecrec_context *context, learn_state *state, const trainer_options *options, size_t most, size_t mini, trainer **out, ecrec_error *err)
{
    trainer *t = memory_zero(&context->m, sizeof *t);
    if (t == NULL)
        return error_nomem(err, "a trainer", sizeof *t);
    const network_plan *p = &state->now->net;
    t->context = context;
    t->m = &context->m;
    t->table = context->kernels;
    t->state = state;
    t->options = *options;
    t->most = most;
    t->mini = mini;
    t->weight_tasks = p->inputs != 0 ? network_weight_tasks(p) : 0;
    t->task_bytes = p->inputs != 0 ? network_weight_scratch(p, t->table, mini) : 0;
    t->bytes = take_all(t, NULL);
    int32_t status = ECREC_OK;
    if ((t->block = memory_zero(t->m, t->bytes)) == NULL)
        status = error_nomem(err, "a trainer", t->bytes);
    if (status == ECREC_OK) {
        (void)take_all(t, t->block);
        status = first_order_create(&t->first, t->m, state, t->table, &t->options, most, err);
    }
    if (status == ECREC_OK)
        status = embedding_steps_create(&t->embeddings, t->m, state, t->table, &t->options, mini, err);
    if (status == ECREC_OK)
        status = attention_steps_create(&t->attention, t->m, state->now, t->table, most, err);
    if (status == ECREC_OK && p->inputs != 0 && network_transposed_create(t->m, p, &t->transposed) != ECREC_OK)
        status = error_nomem(err, "the network's matrices", p->size * sizeof(float));
    if (status == ECREC_OK)
        *out = t;
    else
        trainer_destroy(t);
    return status;
}

void trainer_destroy(trainer *t)
{
    if (t == NULL)
        return;
    if (t->first.m != NULL)
        first_order_destroy(&t->first);
    if (t->embeddings.m != NULL)
        embedding_steps_destroy(&t->embeddings);
    if (t->attention.m != NULL)
        attention_steps_destroy(&t->attention);
    network_packed_release(t->transposed);
    memory_release(t->m, t->met, t->met_bytes);
    memory_release(t->m, t->block, t->bytes);
    memory_release(t->m, t, sizeof *t);
}

int32_t trainer_count(trainer *t, const learn_rows *rows, const size_t *list, size_t n, const tensor_set *before, ecrec_error *err)
{
    const ranker *r = t->state->now;
    if (r->unmet == NO_INDEX || !r->hashed)
        return ECREC_OK;
    t->met_bytes = 2 * ((size_t)1 << r->hash_bits) / 8;
    if ((t->met = memory_zero(t->m, t->met_bytes)) == NULL)
        return error_nomem(err, "the values' counts", t->met_bytes);
    first_order_count(&t->first, rows, list, n, tensor_set_get(before, "learn.hashed"), t->met);
    return ECREC_OK;
}

trainer_options *trainer_settings(trainer *t)
{
    return &t->options;
}

static void refresh(trainer *t)
{
    const ranker *r = t->state->now;
    if (t->stale && r->net.inputs != 0)
        network_pack(r->packed, &r->net, r->network->data);
    t->stale = 0;
}

/* Tasks side by side; where there are histories no more at once than there are rooms for them. first: number of the first task. */
static void run_tasks(trainer *t, void (*run)(void *argument, uint32_t index), void *argument, uint32_t *first, size_t rows)
{
    const uint32_t tasks = (uint32_t)((rows + NETWORK_ROWS - 1) / NETWORK_ROWS), most = t->attention.rooms != 0 ? t->attention.rooms : tasks;
    for (*first = 0; *first < tasks; *first += most)
        context_run(t->context, run, argument, tasks - *first < most ? tasks - *first : most);
}

static void add_position(const ranker *r, const ecrec_batch *batch, size_t row, double *logits)
{
    for (uint32_t h = 0; h < r->heads && r->net.positions != 0; h++)
        logits[h] += network_position(&r->net, r->network->data, h, batch_position(batch, row));
}

/* ---- scoring ---- */

typedef struct score_task {
    trainer *t;
    const ranker *r;
    const learn_rows *rows;
    const size_t *order;
    size_t first, n;
    double *logits;
    uint32_t first_task;
} score_task;

static void add_shares(const network_plan *p, const network_pass *pass, size_t i, double *logits)
{
    for (int part = 0; part < NETWORK_PARTS; part++)
        for (uint32_t h = 0; network_has(p, part) && h < p->heads; h++)
            logits[h] += pass->shares[((size_t)part * pass->rows + i) * p->heads + h];
}

static void score_rows(void *argument, uint32_t index)
{
    const score_task *s = argument;
    const ranker *r = s->r;
    network_pass *pass = &s->t->pass;
    attention_room *room = &s->t->attention.room[s->t->attention.rooms != 0 ? index : 0];
    const size_t from = (size_t)(s->first_task + index) * NETWORK_ROWS, to = from + NETWORK_ROWS < s->n ? from + NETWORK_ROWS : s->n;
    for (size_t i = from; i < to; i++) {
        const size_t row = s->order != NULL ? s->order[s->first + i] : s->first + i;
        const record rec = rows_record(s->rows, r, row);
        const uint64_t *c = rows_categories(s->rows, r, row);
        for (uint32_t h = 0; h < r->heads; h++)
            s->logits[i * r->heads + h] = record_logit(r, s->t->table, &rec, c, h, NULL, NULL);
        add_position(r, rec.batch, row, s->logits + i * r->heads);
        if (r->net.inputs != 0)
            network_gather(r, s->t->table, &rec, c, NULL, room, pass->x0 + i * r->net.inputs, pass->present + i * r->net.fields);
    }
    if (r->net.inputs != 0)
        network_forward(&r->net, r->packed, r->network != NULL ? r->network->data : NULL, s->t->table, pass, from, to - from, NULL);
    for (size_t i = from; i < to; i++) {
        if (r->net.inputs != 0)
            add_shares(&r->net, pass, i, s->logits + i * r->heads);
        targets_unscale(r->targets, s->t->state->schema, s->logits + i * r->heads, NULL, 0, 0);
    }
}

void trainer_score(trainer *t, const ranker *r, const learn_rows *rows, const size_t *order, size_t first, size_t n, double *logits)
{
    refresh(t);
    if (r == NULL)
        r = t->state->now;
    for (size_t at = 0; at < n; at += t->most) {
        score_task task = { t, r, rows, order, first + at, n - at < t->most ? n - at : t->most, logits + at * r->heads, 0 };
        run_tasks(t, score_rows, &task, &task.first_task, task.n);
    }
}

/* ---- a mini-batch ---- */

typedef struct mini_batch {
    trainer *t;
    const learn_rows *rows;
    const size_t *order;
    size_t first, n, offset; /* rows first .. first + n of the order; offset: the first one's number within the step */
    network_dropout dropout, modalities;
    uint32_t first_task;
    const outcome_weights *outcomes; /* or NULL */
} mini_batch;

static size_t mini_row(const mini_batch *b, size_t i)
{
    return b->order != NULL ? b->order[b->first + i] : b->first + i;
}

/* Row i as it is learned from: with the modalities that it has left. */
static record mini_record(const mini_batch *b, const ranker *r, size_t i)
{
    record rec = rows_record(b->rows, r, mini_row(b, i));
    rec.modalities = b->modalities.rate > 0 ? &b->modalities : NULL;
    return rec;
}

static void forward_rows(void *argument, uint32_t index)
{
    const mini_batch *b = argument;
    trainer *t = b->t;
    const ranker *r = t->state->now;
    const size_t from = (size_t)(b->first_task + index) * NETWORK_ROWS, to = from + NETWORK_ROWS < b->n ? from + NETWORK_ROWS : b->n;
    const float *flat = tensor_floats(t->state->network);
    for (size_t i = from; i < to; i++) {
        const record rec = mini_record(b, r, i);
        record_present(r, t->table, &rec, t->pass.present + i * r->net.fields);
        for (uint32_t f = 0; f < r->fields; f++) {
            const field_plan *p = &r->plan[f];
            float *x = t->pass.x0 + i * r->net.inputs + (size_t)p->embedded * r->net.width;
            if (p->embedded == NO_INDEX)
                continue;
            if (p->history != NO_INDEX)
                attention_steps_forward(&t->attention, index, &t->embeddings, &rec, i, f, t->pass.x0 + i * r->net.inputs);
            else if (p->multi != NO_INDEX)
                embedding_multi(&t->embeddings, i, p->multi, x);
            else if (p->category != NO_INDEX)
                memcpy(x, embedding_of(&t->embeddings, i, p->category), r->net.width * sizeof *x);
            else
                embed_dense(r, t->table, &rec, f, flat, x);
        }
    }
    network_forward(&r->net, r->packed, flat, t->table, &t->pass, from, to - from, b->dropout.rate > 0 ? &b->dropout : NULL);
}

static void backward_rows(void *argument, uint32_t index)
{
    const mini_batch *b = argument;
    trainer *t = b->t;
    const ranker *r = t->state->now;
    const size_t from = (size_t)(b->first_task + index) * NETWORK_ROWS, n = b->n - from < NETWORK_ROWS ? b->n - from : NETWORK_ROWS;
    network_backward(&r->net, t->transposed, tensor_floats(t->state->network), t->table, &t->pass, &t->gradients, from, n, b->dropout.rate);
    for (size_t i = from; i < from + n && r->histories != 0; i++) {
        const record rec = mini_record(b, r, i);
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].history != NO_INDEX)
                attention_steps_backward(&t->attention, index, &t->embeddings, &rec, i, f, t->pass.x0 + i * r->net.inputs, t->gradients.x0 + i * r->net.inputs);
    }
}

/* Embedded by weights of the network: a number or a vector. */
static int dense_embedding(const field_plan *p)
{
    return p->embedded != NO_INDEX && p->category == NO_INDEX && p->multi == NO_INDEX && p->history == NO_INDEX;
}

/* Gradients of the weights that embed a number or a vector. */
static void embed_gradient(const mini_batch *b, uint32_t field)
{
    trainer *t = b->t;
    const ranker *r = t->state->now;
    const field_plan *p = &r->plan[field];
    const uint32_t k = r->net.width, number = p->kind == ECREC_FIELD_NUMBER;
    float *g = t->gradients.flat + p->embed, scratch[2 * MOST_WIDTH];
    memset(g, 0, (number ? 3 * (size_t)k : modality_size(k, p->dims, r->net.gates)) * sizeof *g);
    for (size_t i = 0; i < b->n; i++) {
        const record rec = mini_record(b, r, i);
        const float *dx = t->gradients.x0 + i * r->net.inputs + (size_t)p->embedded * k;
        const batch_column *c = &rec.batch->columns[field];
        float inverse = 0;
        if (!number) {
            const float *v = record_vector(r, t->table, field, &rec, &inverse);
            modality_backward(&r->net, p, t->table, tensor_floats(t->state->network), v, inverse, dx, scratch, g);
            continue;
        }
        const int there = column_has(c, rec.row);
        const float z = there ? (float)number_standard((const double *)t->state->statistics->data + (size_t)p->number * NUMBER_COLUMNS, column_number(c, rec.row)) : 0;
        t->table->axpy_f32(k, z, dx, g);
        t->table->axpy_f32(k, 1, dx, there ? g + k : g + 2 * (size_t)k);
    }
}

static void weight_task(void *argument, uint32_t index)
{
    const mini_batch *b = argument;
    trainer *t = b->t;
    const ranker *r = t->state->now;
    if (index < t->weight_tasks) {
        network_weight_gradient(&r->net, t->table, &t->pass, &t->gradients, b->n, index, t->task_scratch + index * t->task_bytes);
        return;
    }
    index -= t->weight_tasks;
    for (uint32_t f = 0; f < r->fields; f++)
        if (dense_embedding(&r->plan[f]) && index-- == 0)
            embed_gradient(b, f);
}

typedef struct flat_step { trainer *t; double step, scale; } flat_step;

static void flat_task(void *argument, uint32_t index)
{
    const flat_step *s = argument;
    trainer *t = s->t;
    const size_t size = t->state->now->net.size, from = (size_t)index * FLAT_TASK, n = size - from < FLAT_TASK ? size - from : FLAT_TASK;
    float *w = tensor_floats(t->state->network) + from, *m = tensor_floats(t->state->moments) + from, *v = m + size, *g = t->gradients.flat + from;
    for (size_t i = 0; i < n && s->scale != 1; i++)
        g[i] *= (float)s->scale;
    adam_step(t->table, n, w, m, v, g, t->options.network_rate, t->options.network_decay, s->step);
}

static void learn_network(mini_batch *b)
{
    trainer *t = b->t;
    const ranker *r = t->state->now;
    uint32_t dense_fields = 0;
    for (uint32_t f = 0; f < r->fields; f++)
        dense_fields += dense_embedding(&r->plan[f]);
    network_transpose(t->transposed, &r->net, tensor_floats(t->state->network));
    const uint32_t tasks = (uint32_t)((b->n + NETWORK_ROWS - 1) / NETWORK_ROWS), most = t->attention.rooms != 0 ? t->attention.rooms : tasks;
    for (b->first_task = 0; b->first_task < tasks; b->first_task += most) {
        const uint32_t count = tasks - b->first_task < most ? tasks - b->first_task : most;
        if (r->histories != 0)
            attention_steps_clear(&t->attention, count);
        context_run(t->context, backward_rows, b, count);
        if (r->histories != 0)
            attention_steps_collect(&t->attention, count, b->first_task == 0, t->gradients.flat);
    }
    context_run(t->context, weight_task, b, t->weight_tasks + dense_fields);
}

/* AdamW on everything in "rank.network". */
static void step_network(trainer *t)
{
    const size_t size = t->state->now->net.size;
    double *steps = (double *)(uintptr_t)t->state->steps->data, norm = 0;
    *steps += 1;
    flat_step s = { t, *steps, 1 };
    if (t->options.clip > 0) {
        for (size_t i = 0; i < size; i++)
            norm += (double)t->gradients.flat[i] * t->gradients.flat[i];
        norm = sqrt(norm);
        s.scale = norm > t->options.clip ? t->options.clip / norm : 1;
    }
    context_run(t->context, flat_task, &s, (uint32_t)((size + FLAT_TASK - 1) / FLAT_TASK));
    t->stale = 1;
}

/* Losses and the heads' gradients of a mini-batch. Its total weight is returned: the network's gradients are of the mean. */
static double take_losses(mini_batch *b, double *loss)
{
    trainer *t = b->t;
    const ecrec_schema *schema = t->state->schema;
    const ranker *r = t->state->now;
    const float *thresholds = t->state->network != NULL ? tensor_floats(t->state->network) + r->net.thresholds : NULL;
    double total = 0;
    memset(t->head_gradients, 0, b->n * r->heads * sizeof(double));
    if (t->state->network != NULL)
        memset(t->gradients.flat + r->net.thresholds, 0, (r->net.size - r->net.thresholds) * sizeof(float));
    for (size_t i = 0; i < b->n; i++) {
        const size_t row = mini_row(b, i);
        uint32_t head = 0, threshold = 0, outcome = 0;
        for (uint32_t l = 0; l < schema->label_count; l++) {
            const schema_label *label = &schema->labels[l];
            const uint32_t heads = label_outputs(label);
            const batch_column *y = batch_label(b->rows->batch, l);
            double *g = t->head_gradients + i * r->heads + head;
            const double *scaled = target_row(t->state->targets, schema, l);
            if (column_has(y, row) && label->loss == ECREC_LOSS_OWN && (scaled == NULL || scaled[NUMBER_FROZEN_COUNT] > 0)) {
                const float value = label->kind == ECREC_LABEL_VALUE ? (float)target_of(t->state->targets, schema, l, column_float(y, row)) : column_float(y, row);
                double weight = batch_weight(b->rows->batch, row), counts = 1;
                const double own = loss_outcome(label, outcome_weights_of(b->outcomes, schema, l, outcome), b->outcomes != NULL && b->outcomes->corrected,
                                                t->logits + i * r->heads + head, thresholds != NULL ? thresholds + threshold : NULL, value, weight, g,
                                                thresholds != NULL ? t->gradients.flat + r->net.thresholds + threshold : NULL, &counts);
                weight *= counts;
                *loss += weight * own;
                for (uint32_t h = 0; h < heads; h++)
                    g[h] *= weight;
                total += weight;
            }
            head += heads;
            threshold += label->kind == ECREC_LABEL_ORDINAL ? label->classes - 1 : 0;
            outcome += label_outcomes(label);
        }
    }
    for (uint32_t l = 0, head = 0; l < schema->label_count; l++) {
        if (schema->labels[l].loss != ECREC_LOSS_OWN)
            *loss += groups_loss(b->rows->batch, b->order, b->first, b->n, l, t->logits + head, r->heads, t->head_gradients + head, &total);
        head += label_outputs(&schema->labels[l]);
    }
    return total;
}

/* Of the mean loss, as the network's other weights. */
static void position_gradient(mini_batch *b, double total)
{
    trainer *t = b->t;
    const network_plan *p = &t->state->now->net;
    float *out = t->gradients.flat + p->position_weights;
    memset(out, 0, (size_t)p->heads * (p->positions - 1) * sizeof *out);
    for (size_t i = 0; i < b->n; i++) {
        const uint32_t position = batch_position(b->rows->batch, mini_row(b, i)), at = position < p->positions ? position : p->positions;
        for (uint32_t h = 0; h < p->heads && at >= 2; h++)
            out[(size_t)h * (p->positions - 1) + at - 2] += (float)(t->head_gradients[i * p->heads + h] / total);
    }
}

static void forward(mini_batch *b)
{
    trainer *t = b->t;
    const ranker *r = t->state->now;
    refresh(t);
    if (r->net.inputs != 0)
        run_tasks(t, forward_rows, b, &b->first_task, b->n);
    for (size_t i = 0; i < b->n; i++) {
        const record rec = mini_record(b, r, i);
        double *logits = t->logits + i * r->heads;
        for (uint32_t h = 0; h < r->heads; h++)
            logits[h] = first_order_logit(&t->first, &rec, b->offset + i, h);
        if (r->net.inputs != 0)
            add_shares(&r->net, &t->pass, i, logits);
        add_position(r, rec.batch, rec.row, logits);
    }
}

static int32_t learn_first_order(mini_batch *b, ecrec_error *err)
{
    trainer *t = b->t;
    const ranker *r = t->state->now;
    for (size_t i = 0; i < b->n; i++) {
        const record rec = mini_record(b, r, i);
        const ecrec_schema *s = t->state->schema;
        for (uint32_t l = 0, h = 0, outcome = 0; l < s->label_count; outcome += label_outcomes(&s->labels[l]), l++) {
            const schema_label *label = &s->labels[l];
            const float *weights = outcome_weights_of(b->outcomes, s, l, outcome);
            const batch_column *y = batch_label(b->rows->batch, l);
            const double counts = weights != NULL && column_has(y, rec.row) ? weights[(uint32_t)column_float(y, rec.row)] : 1;
            const loss_shape shape = loss_shape_of(label, batch_weight(b->rows->batch, rec.row) * counts);
            for (const uint32_t end = h + label_outputs(label); h < end; h++) {
                const double g = t->head_gradients[i * r->heads + h];
                if (g != 0 && first_order_learn(&t->first, &rec, b->offset + i, h, g, &shape) != ECREC_OK)
                    return error_nomem(err, "the touched weights", HASHED_CHUNK * sizeof(float));
            }
        }
    }
    return ECREC_OK;
}

static int32_t learn_mini(mini_batch *b, double *logits, double *loss, double *weight, ecrec_error *err)
{
    trainer *t = b->t;
    const ranker *r = t->state->now;
    int32_t status = embedding_steps_resolve(&t->embeddings, b->rows, b->order, b->first, b->n, err);
    if (status != ECREC_OK)
        return status;
    if (t->options.dropout > 0 && t->state->steps != NULL)
        b->dropout = (network_dropout){ t->options.dropout, t->options.seed, (uint64_t) * (const double *)t->state->steps->data };
    forward(b);
    if (logits != NULL)
        memcpy(logits, t->logits, b->n * r->heads * sizeof *logits);
    for (size_t i = 0; i < b->n && logits != NULL; i++)
        targets_unscale(r->targets, t->state->schema, logits + i * r->heads, NULL, 0, 0);
    const double total = take_losses(b, loss);
    *weight += total;
    if (total == 0)
        return ECREC_OK;
    if (r->net.inputs != 0) {
        for (size_t i = 0; i < b->n * r->heads; i++)
            t->gradients.heads[i] = (float)(t->head_gradients[i] / total);
        learn_network(b);
    }
    for (size_t i = r->net.thresholds; i < r->net.size; i++)
        t->gradients.flat[i] /= (float)total;
    if (r->net.positions != 0)
        position_gradient(b, total);
    if (t->state->network != NULL)
        step_network(t);
    if (t->state->embeddings != NULL)
        embedding_steps_learn(&t->embeddings, t->gradients.x0, b->n, t->first.step);
    return learn_first_order(b, err);
}

int32_t trainer_step(trainer *t, const learn_rows *rows, const size_t *order, size_t first, size_t n, double *logits, const outcome_weights *outcomes,
                     double *loss, double *weight, ecrec_error *err)
{
    int32_t status = first_order_resolve(&t->first, rows, order, first, n, err);
    if (status == ECREC_OK && t->mini < n && embedding_steps_own(&t->embeddings, rows, order, first, n) != ECREC_OK)
        status = error_nomem(err, "the touched embeddings", 0);
    for (size_t at = 0, size; at < n && status == ECREC_OK; at += size) {
        size = n - at < t->mini ? n - at : t->mini;
        mini_batch b = { t, rows, order, first + at, size, at, { 0, 0, 0 }, { t->options.modality_dropout, t->options.seed, (uint64_t)t->first.step }, 0, outcomes };
        t->first.step += 1;
        status = learn_mini(&b, logits != NULL ? logits + at * t->state->now->heads : NULL, loss, weight, err);
    }
    return status;
}

/* ---- checkpoints ---- */

static const char *const table_names[] = { "fit.hashed.first", "fit.hashed.second", "fit.embeddings.first", "fit.embeddings.second" };

static void tables_of(const trainer *t, tensor *out[4])
{
    tensor *const all[4] = { t->first.z, t->first.v, t->embeddings.z, t->embeddings.v };
    memcpy(out, all, sizeof all);
}

int32_t trainer_export(const trainer *t, tensor_set *set)
{
    tensor *tables[4];
    int32_t status = ECREC_OK;
    tables_of(t, tables);
    for (int i = 0; i < 4 && status == ECREC_OK; i++)
        if (tables[i] != NULL)
            status = tensor_set_put(set, table_names[i], tables[i]);
    return status;
}

int32_t trainer_import(trainer *t, const tensor_set *set, double steps, ecrec_error *err)
{
    t->first.step = steps;
    tensor **const to[4] = { &t->first.z, &t->first.v, &t->embeddings.z, &t->embeddings.v };
    for (int i = 0; i < 4; i++) {
        const tensor *from = tensor_set_get(set, table_names[i]);
        tensor *forked = NULL;
        if (*to[i] == NULL)
            continue;
        if (from == NULL || from->layout != LAYOUT_CHUNKS || from->shape[0] != (*to[i])->shape[0] || from->shape[1] != (*to[i])->shape[1])
            return error_set(err, ECREC_ERR_MISMATCH, "the checkpoint was made with another optimiser: tensor \"%s\" is not there", table_names[i]);
        if (tensor_fork(from, &forked) != ECREC_OK)
            return error_nomem(err, table_names[i], 0);
        tensor_release(*to[i]);
        *to[i] = forked;
    }
    return ECREC_OK;
}
