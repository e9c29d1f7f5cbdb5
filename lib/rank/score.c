/* Scoring a batch: the first order row by row, the network in blocks of rows. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "rank/features.h"

enum { BLOCK_ROWS = 64, ROWS_A_TASK = 16, MOST_TASKS = 8 };

void ecrec_score_options_init(ecrec_score_options *options)
{
    static const ecrec_score_options defaults = ECREC_SCORE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

/* The parts that a schema asks for, after the fields: the bias, the pairs, and the network's in the order of PART_*. */
enum { SHOWN_BIAS, SHOWN_PAIRS, SHOWN_NETWORK, SHOWN_PARTS = SHOWN_NETWORK + NETWORK_PARTS };
static const char *const shown_names[SHOWN_PARTS] = { "bias", "pairs", "fm", "cross", "hidden", "attention" };

static int shows(const ecrec_schema *s, int part)
{
    const schema_network *n = &s->network;
    switch (part - SHOWN_NETWORK) {
    case SHOWN_BIAS - SHOWN_NETWORK: return 1;
    case SHOWN_PAIRS - SHOWN_NETWORK: return n->all_pairs || s->pair_count != 0;
    case PART_FM: return n->fm != 0;
    case PART_CROSS: return n->cross_layers != 0;
    case PART_HIDDEN: return n->hidden[0] != 0;
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

typedef struct multi_sum { const tensor *table; uint64_t mask; uint32_t width; float *to; } multi_sum;

static void add_embedding(void *opaque, uint64_t hash, float value)
{
    const multi_sum *s = opaque;
    const float *from = tensor_row(s->table, hash & s->mask);
    for (uint32_t i = 0; from != NULL && i < s->width; i++)
        s->to[i] += value * from[i];
}

size_t attention_room_take(attention_room *room, const ranker *r, void *memory)
{
    const network_plan *n = &r->net;
    scratch s = { memory, 0, SIZE_MAX };
    size_t most = 0;
    for (uint32_t i = 0; i < n->histories; i++) {
        const attention_plan *a = &n->attention[i];
        void *user = scratch_take(&s, attention_user_take(&room->users[i], a, n->width, a->most, NULL));
        (void)attention_user_take(&room->users[i], a, n->width, a->most, user);
        most = a->most > most ? a->most : most;
    }
    void *work = scratch_take(&s, n->histories != 0 ? attention_work_take(&room->work, &n->attention[0], n->width, most, NULL) : 0);
    if (n->histories != 0)
        (void)attention_work_take(&room->work, &n->attention[0], n->width, most, work);
    return s.used;
}

/* A user's events of one history: their items' embeddings, and what attention makes of them before it knows the candidate. */
static void gather_events(const ranker *r, const kernels *table, const record *rec, uint32_t field, attention_user *user)
{
    const network_plan *n = &r->net;
    const uint32_t history = r->plan[field].history;
    const batch_column *c = &rec->batch->columns[field];
    uint64_t first = 0;
    user->events = record_events(rec, field, &first);
    for (uint32_t j = 0; j < user->events; j++) {
        const float *from = tensor_row(r->embeddings, record_event(r, field, c, first + j) & (((uint64_t)1 << n->embedding_bits) - 1));
        if (from != NULL)
            memcpy(user->e + (size_t)j * n->width, from, n->width * sizeof *from);
        else
            memset(user->e + (size_t)j * n->width, 0, n->width * sizeof *from);
    }
    attention_user_make(&n->attention[history], &r->packed->attention[history], r->network->data, table, n->width, column_types(c, first), column_ages(c, first), user);
}

static void gather_history(const ranker *r, const kernels *table, const record *rec, uint32_t field, attention_room *room, float *x0)
{
    const network_plan *n = &r->net;
    const uint32_t history = r->plan[field].history;
    const attention_plan *a = &n->attention[history];
    gather_events(r, table, rec, field, &room->users[history]);
    attention_forward(a, &r->packed->attention[history], r->network->data, table, n->width, &room->users[history], x0 + (size_t)a->from * n->width, &room->work,
                      x0 + (size_t)a->to * n->width);
}

void network_gather(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, attention_room *room, float *x0)
{
    const network_plan *n = &r->net;
    const float *flat = r->network != NULL ? r->network->data : NULL;
    const uint64_t mask = ((uint64_t)1 << n->embedding_bits) - 1;
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        if (p->embedded == NO_INDEX)
            continue;
        float *to = x0 + (size_t)p->embedded * n->width;
        if (p->multi != NO_INDEX) {
            multi_sum sum = { r->embeddings, mask, n->width, to };
            memset(to, 0, n->width * sizeof *to);
            record_multi(r, f, rec->batch, rec->row, add_embedding, &sum);
            continue;
        }
        if (p->history != NO_INDEX) {
            gather_history(r, table, rec, f, room, x0);
            continue;
        }
        if (p->category == NO_INDEX) {
            embed_dense(r, table, rec, f, flat, to);
            continue;
        }
        const float *from = tensor_row(r->embeddings, categories[p->category] & mask);
        if (from != NULL)
            memcpy(to, from, n->width * sizeof *to);
        else
            memset(to, 0, n->width * sizeof *to);
    }
}

void embed_dense(const ranker *r, const kernels *table, const record *rec, uint32_t field, const float *flat, float *to)
{
    const field_plan *p = &r->plan[field];
    const uint32_t k = r->net.width;
    const float *w = flat + p->embed;
    if (p->kind == ECREC_FIELD_NUMBER) {
        if (!column_has(&rec->batch->columns[field], rec->row)) {
            memcpy(to, w + 2 * (size_t)k, k * sizeof *to);
            return;
        }
        const double *statistics = (const double *)r->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
        const float z = (float)number_standard(statistics, column_number(&rec->batch->columns[field], rec->row));
        for (uint32_t i = 0; i < k; i++)
            to[i] = z * w[i] + w[k + i];
        return;
    }
    float inverse = 0;
    const float *v = record_vector(r, table, field, rec, &inverse), *u = w + (size_t)k * p->dims;
    for (uint32_t i = 0; i < k; i++)
        to[i] = v != NULL ? table->dot_f32(p->dims, v, w + (size_t)i * p->dims) * inverse + u[i] : u[k + i];
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
            if (l->kind == ECREC_LABEL_CLASSES && !as_logits)
                v = exp(v - most) / sum;
            if (l->kind == ECREC_LABEL_ORDINAL && !as_logits) {
                v = 0;
                for (uint32_t c = 0; c + 1 < l->classes; c++)
                    v += logistic(logits[0] - thresholds[c]);
            }
            scores[k] = (float)v;
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
            const float share = network_has(n, p) ? t->pass->shares[((size_t)p * t->pass->rows + i) * r->heads + h] : 0;
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
        const record rec = { c->batch, t->first + i, r->slots != 0 ? t->block->pointers + i * r->slots : NULL };
        uint64_t *categories = s->categories + i * r->categories;
        float *parts = parts_of(c, t->first + i);
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].category != NO_INDEX)
                categories[r->plan[f].category] = record_category(r, f, c->batch, t->first + i);
        for (uint32_t h = 0; h < r->heads; h++)
            s->logits[i * r->heads + h] = record_logit(r, c->context->kernels, &rec, categories, h, parts != NULL ? parts + h * width : NULL);
        if (r->net.inputs != 0)
            network_gather(r, c->context->kernels, &rec, categories, &t->scratch_rooms[r->net.histories != 0 ? index : 0], t->pass->x0 + i * r->net.inputs);
    }
    if (r->net.inputs != 0 && to > from)
        network_forward(&r->net, r->packed, r->network != NULL ? r->network->data : NULL, c->context->kernels, t->pass, from, to - from, NULL);
    for (size_t i = from; i < to; i++) {
        add_shares(t, i, s->logits + i * r->heads, parts_of(c, t->first + i));
        heads_to_scores(c->schema, thresholds, s->logits + i * r->heads, as_logits, c->scores + (t->first + i) * r->heads);
    }
}

int32_t score_run(score_scratch *s, const score_call *call, ecrec_error *err)
{
    const ranker *r = call->ranker;
    const size_t rows = call->batch->rows, a_task = r->net.inputs != 0 ? NETWORK_ROWS : ROWS_A_TASK;
    int32_t status = batch_check(call->batch, call->schema, err);
    text_block block;
    network_pass pass;
    (void)network_pass_take(&pass, &r->net, s->rows, s->pass);
    (void)text_block_take(&block, r, s->rows, s->texts);
    for (size_t first = 0; first < rows && status == ECREC_OK; first += s->rows) {
        const size_t n = rows - first < s->rows ? rows - first : s->rows;
        if (r->slots != 0 && (status = text_block_encode(&block, r, call, first, n, err)) != ECREC_OK)
            break;
        const score_task task = { call, s, s->rooms, &block, &pass, first, n, a_task };
        context_run(call->context, score_rows, (void *)(uintptr_t)&task, (uint32_t)((n + a_task - 1) / a_task));
    }
    return status;
}
