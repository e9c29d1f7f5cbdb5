/* Scoring a batch: the first order row by row, the network in blocks of rows. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "rank/features.h"
#include "rank/targets.h"

enum { BLOCK_ROWS = 64, ROWS_A_TASK = 16, MOST_TASKS = 8 };

void ecrec_score_options_init(ecrec_score_options *options)
{
    static const ecrec_score_options defaults = ECREC_SCORE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

/* The parts that a schema asks for, after the fields: the bias, the pairs, and the network's in the order of PART_*. */
enum { SHOWN_BIAS, SHOWN_PAIRS, SHOWN_NETWORK, SHOWN_PARTS = SHOWN_NETWORK + NETWORK_PARTS };
static const char *const shown_names[SHOWN_PARTS] = { "bias", "pairs", "fm", "cross", "hidden", "attention", "towers", "position" };

static int shows(const ecrec_schema *s, int part)
{
    const schema_network *n = &s->network;
    switch (part - SHOWN_NETWORK) {
    case SHOWN_BIAS - SHOWN_NETWORK: return 1;
    case SHOWN_PAIRS - SHOWN_NETWORK: return n->all_pairs || s->pair_count != 0;
    case PART_FM: return n->fm != 0;
    case PART_CROSS: return n->cross_layers != 0;
    case PART_HIDDEN: return n->hidden[0] != 0;
    case PART_TOWERS: return n->towers != 0;
    case PART_POSITION: return n->positions != 0;
    default:
        for (uint32_t i = 0; i < s->field_count; i++)
            if (s->fields[i].kind == ECREC_FIELD_HISTORY)
                return 1;
        return 0;
    }
}

uint32_t schema_parts(const ecrec_schema *s)
{
    uint32_t n = s->field_count;
    for (int i = 0; i < SHOWN_PARTS; i++)
        n += (uint32_t)shows(s, i);
    return n;
}

uint32_t ecrec_schema_parts(const ecrec_schema *s) { return s != NULL ? schema_parts(s) : 0; }

const char *ecrec_schema_part_name(const ecrec_schema *s, uint32_t part)
{
    if (s == NULL || part >= schema_parts(s))
        return NULL;
    if (part < s->field_count)
        return s->fields[part].name;
    uint32_t at = s->field_count;
    for (int i = 0; i < SHOWN_PARTS; i++)
        if (shows(s, i) && at++ == part)
            return shown_names[i];
    return NULL;
}

void heads_to_scores(const ecrec_schema *s, const float *thresholds, const double *logits, int as_logits, float *scores)
{
    for (uint32_t i = 0; i < s->label_count; i++) {
        const schema_label *l = &s->labels[i];
        const uint32_t n = label_outputs(l);
        double most = logits[0], sum = 0;
        for (uint32_t k = 1; k < n; k++)
            most = logits[k] > most ? logits[k] : most;
        for (uint32_t k = 0; k < n && l->kind == ECREC_LABEL_CLASSES; k++)
            sum += exp(logits[k] - most);
        for (uint32_t k = 0; k < n; k++) {
            double v = logits[k];
            if (l->kind == ECREC_LABEL_BINARY && !as_logits)
                v = logistic(v);
            if (l->kind == ECREC_LABEL_VALUE && !as_logits)
                v = target_value(l, v);
            if (l->kind == ECREC_LABEL_CLASSES && !as_logits)
                v = exp(v - most) / sum;
            if (l->kind == ECREC_LABEL_ORDINAL && !as_logits) {
                v = 0;
                for (uint32_t c = 0; c + 1 < l->classes; c++)
                    v += logistic(logits[0] - thresholds[c]);
            }
            scores[k] = l->dropped ? NAN : (float)v;
        }
        if (l->kind == ECREC_LABEL_ORDINAL)
            thresholds += l->classes - 1; /* no thresholds at all: NULL */
        logits += n;
        scores += n;
    }
}

/* ---- a session's scratch ---- */

struct score_scratch {
    memory *m;
    size_t bytes, rows /* of a block */;
    void *texts;      /* the text block's memory */
    void *pass;       /* the network's */
    uint64_t *categories; /* rows x categories */
    double *logits;       /* rows x heads */
    attention_room rooms[MOST_TASKS];
    record_once once;
    ecrec_batch view; /* of one user and many candidates */
    batch_column *columns;
};

static size_t take_all(score_scratch *s, const ranker *r, void *memory)
{
    scratch at = { memory, 0, SIZE_MAX };
    text_block b;
    network_pass pass;
    (void)scratch_take(&at, sizeof *s);
    s->texts = scratch_take(&at, text_block_take(&b, r, s->rows, NULL));
    s->pass = scratch_take(&at, network_pass_take(&pass, &r->net, s->rows, NULL));
    s->categories = scratch_take(&at, (s->rows * r->categories + 1) * sizeof *s->categories);
    for (size_t i = 0; i < MOST_TASKS && r->net.histories != 0 && i < (s->rows + NETWORK_ROWS - 1) / NETWORK_ROWS; i++) {
        void *room = scratch_take(&at, attention_room_take(&s->rooms[i], r, NULL));
        if (memory != NULL)
            (void)attention_room_take(&s->rooms[i], r, room);
    }
    void *once = scratch_take(&at, record_once_take(&s->once, r, NULL));
    if (memory != NULL)
        (void)record_once_take(&s->once, r, once);
    s->columns = scratch_take(&at, (r->fields + r->labels + ROW_COLUMNS) * sizeof *s->columns);
    s->logits = scratch_take(&at, s->rows * r->heads * sizeof *s->logits);
    return at.used;
}

int32_t score_scratch_create(memory *m, const ecrec_schema *s, uint32_t dimension, uint32_t threads, score_scratch **out, ecrec_error *err)
{
    ranker *r = NULL;
    const int32_t status = ranker_plan(m, s, dimension, &r, err);
    if (status != ECREC_OK)
        return status;
    const int network = r->net.inputs != 0;
    score_scratch taken = { .m = m, .rows = !network ? BLOCK_ROWS : NETWORK_ROWS * (threads < MOST_TASKS ? threads : MOST_TASKS) };
    taken.bytes = take_all(&taken, r, NULL);
    score_scratch *scratch = memory_allocate(m, taken.bytes);
    if (scratch != NULL) {
        (void)take_all(&taken, r, scratch);
        *scratch = taken;
        *out = scratch;
    }
    ranker_free(r);
    return scratch != NULL ? ECREC_OK : error_nomem(err, "a session's scratch", taken.bytes);
}

void score_scratch_destroy(score_scratch *s)
{
    if (s != NULL)
        memory_release(s->m, s, s->bytes);
}

/* ---- rows ---- */

typedef struct score_task {
    const score_call *call;
    const score_scratch *scratch;
    attention_room *scratch_rooms;
    const ecrec_batch *batch;
    const record_once *once; /* or NULL */
    const text_block *block;
    network_pass *pass;
    size_t first, rows, rows_a_task;
} score_task;

static float *parts_of(const score_call *c, size_t row)
{
    const ecrec_score_options *o = c->options;
    return o != NULL && o->contributions != NULL ? o->contributions + row * c->ranker->heads * schema_parts(c->schema) : NULL;
}

/* The network's shares into the logits, and behind the first order's parts. */
static void add_shares(const score_task *t, size_t i, double *logits, float *parts)
{
    const ranker *r = t->call->ranker;
    const network_plan *n = &r->net;
    const uint32_t width = schema_parts(t->call->schema);
    for (uint32_t h = 0; h < r->heads; h++) {
        uint32_t at = r->fields + 1 + (r->pair_count != 0 || t->call->schema->network.all_pairs);
        if (parts != NULL && r->pair_count == 0 && at == r->fields + 2)
            parts[h * width + r->fields + 1] = 0;
        for (int p = 0; p < NETWORK_PARTS; p++) {
            float share = network_has(n, p) ? t->pass->shares[((size_t)p * t->pass->rows + i) * r->heads + h] : 0;
            if (p == PART_POSITION && t->call->positions)
                share = network_position(n, r->network != NULL ? r->network->data : NULL, h, batch_position(t->batch, t->first + i));
            if (parts != NULL && shows(t->call->schema, SHOWN_NETWORK + p))
                parts[h * width + at++] = share;
            logits[h] += share;
        }
    }
}

static void score_rows(void *argument, uint32_t index)
{
    const score_task *t = argument;
    const score_call *c = t->call;
    const ranker *r = c->ranker;
    const score_scratch *s = t->scratch;
    const uint32_t width = schema_parts(c->schema);
    const size_t from = (size_t)index * t->rows_a_task, to = from + t->rows_a_task < t->rows ? from + t->rows_a_task : t->rows;
    const float *thresholds = r->network != NULL ? (const float *)r->network->data + r->net.thresholds : NULL;
    const int as_logits = c->options != NULL && c->options->logits;
    for (size_t i = from; i < to; i++) {
        const record rec = { t->batch, t->first + i, r->slots != 0 ? t->block->pointers + i * r->slots : NULL, NULL };
        uint64_t *categories = s->categories + i * r->categories;
        float *parts = parts_of(c, t->first + i);
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].category != NO_INDEX)
                categories[r->plan[f].category] =
                    t->once != NULL && t->once->field_known[f] ? t->once->categories[r->plan[f].category] : record_category(r, f, t->batch, t->first + i);
        for (uint32_t h = 0; h < r->heads; h++)
            s->logits[i * r->heads + h] = record_logit(r, c->context->kernels, &rec, categories, h, t->once, parts != NULL ? parts + h * width : NULL);
        if (r->net.inputs != 0)
            network_gather(r, c->context->kernels, &rec, categories, t->once, &t->scratch_rooms[r->net.histories != 0 ? index : 0], t->pass->x0 + i * r->net.inputs, t->pass->present + i * r->net.fields);
    }
    if (r->net.inputs != 0 && to > from)
        network_forward(&r->net, r->packed, r->network != NULL ? r->network->data : NULL, c->context->kernels, t->pass, from, to - from, NULL);
    for (size_t i = from; i < to; i++) {
        add_shares(t, i, s->logits + i * r->heads, parts_of(c, t->first + i));
        targets_unscale(r->targets, c->schema, s->logits + i * r->heads, parts_of(c, t->first + i), width, r->fields);
        heads_to_scores(c->schema, thresholds, s->logits + i * r->heads, as_logits, c->scores + (t->first + i) * r->heads);
        if (!as_logits)
            calibration_apply(r->calibration, c->schema, s->logits + i * r->heads, c->scores + (t->first + i) * r->heads);
    }
}

/* The view of one user's row and the candidates' rows: each column of whom it is set for. */
static int32_t make_view(score_scratch *s, const score_call *call, ecrec_error *err)
{
    const ecrec_batch *user = call->user, *batch = call->batch;
    if (user->schema->fingerprint != call->schema->fingerprint)
        return error_set(err, ECREC_ERR_MISMATCH, "the user's batch was made for another schema than the model's");
    if (user->rows != 1)
        return error_set(err, ECREC_ERR_INVALID, "the user's batch has %zu rows; it must have one", user->rows);
    s->view = *batch;
    s->view.columns = s->columns;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const int field = i < call->schema->field_count;
        if (field && user->columns[i].set && batch->columns[i].set)
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\" is set for the user and for the candidates; it must be one's or the other's", call->schema->fields[i].name);
        s->columns[i] = field && user->columns[i].set ? user->columns[i] : batch->columns[i];
        s->columns[i].once = field && user->columns[i].set;
    }
    return ECREC_OK;
}

/* The user's side: what of it is text is encoded, then all that no candidate changes. */
static int32_t make_once(score_scratch *s, const score_call *call, text_block *block, ecrec_error *err)
{
    const ranker *r = call->ranker;
    record_once *once = &s->once;
    for (uint32_t f = 0; f < r->fields && r->slots != 0; f++) {
        const uint32_t slot = r->plan[f].slot;
        const batch_column *c = &s->view.columns[f];
        if (slot == NO_INDEX)
            continue;
        once->texts[slot] = NULL;
        if (!c->once || !column_has(c, 0))
            continue;
        size_t length = 0;
        block->texts[0] = column_text(c, 0, &length);
        block->lengths[0] = length;
        const int32_t status = text_block_run(block, call, 1, once->vectors + (size_t)slot * r->dimension, err);
        if (status != ECREC_OK)
            return status;
        once->texts[slot] = once->vectors + (size_t)slot * r->dimension;
    }
    block->once = once->texts;
    record_once_make(once, r, call->context->kernels, &s->view);
    return ECREC_OK;
}

int32_t score_run(score_scratch *s, const score_call *call, ecrec_error *err)
{
    const ranker *r = call->ranker;
    const size_t rows = call->batch->rows, a_task = r->net.inputs != 0 ? NETWORK_ROWS : ROWS_A_TASK;
    const ecrec_batch *batch = call->user != NULL ? &s->view : call->batch;
    int32_t status = call->user != NULL ? make_view(s, call, err) : ECREC_OK;
    status = status ? status : batch_check(batch, call->schema, call->skip, err);
    text_block block;
    network_pass pass;
    (void)network_pass_take(&pass, &r->net, s->rows, s->pass);
    (void)text_block_take(&block, r, s->rows, s->texts);
    if (status == ECREC_OK && call->user != NULL)
        status = make_once(s, call, &block, err);
    for (size_t first = 0; first < rows && status == ECREC_OK; first += s->rows) {
        const size_t n = rows - first < s->rows ? rows - first : s->rows;
        if (r->slots != 0 && (status = text_block_encode(&block, r, call, batch, first, n, err)) != ECREC_OK)
            break;
        const score_task task = { call, s, s->rooms, batch, call->user != NULL ? &s->once : NULL, &block, &pass, first, n, a_task };
        context_run(call->context, score_rows, (void *)(uintptr_t)&task, (uint32_t)((n + a_task - 1) / a_task));
    }
    for (size_t i = 0; i < rows && status == ECREC_OK && call->skip; i++)
        for (uint32_t h = 0; h < r->heads && batch_row_skipped(batch, call->schema, i); h++)
            call->scores[i * r->heads + h] = NAN;
    return status;
}
