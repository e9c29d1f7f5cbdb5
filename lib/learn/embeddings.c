#include "learn/embeddings.h"

#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "learn/optimiser.h"

#define START_SIZE 0.05f
#define START_SEED 0x656D626564u

static size_t take_all(embedding_steps *e, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const size_t pointers = e->entries * sizeof(float *);
    e->map = scratch_take(&s, e->map_size * sizeof *e->map);
    e->slots = scratch_take(&s, e->entries * sizeof *e->slots);
    e->weights = scratch_take(&s, pointers);
    e->sums = scratch_take(&s, pointers);
    e->zs = scratch_take(&s, pointers);
    e->vs = scratch_take(&s, pointers);
    e->index = scratch_take(&s, e->entries * sizeof *e->index);
    e->multi_at = scratch_take(&s, (e->most + 1) * sizeof *e->multi_at);
    e->event_at = scratch_take(&s, (e->most + 1) * sizeof *e->event_at);
    e->event_gradients = scratch_take(&s, memory_product(e->events * e->state->now->net.width, sizeof(float)));
    e->gradients = scratch_take(&s, memory_product(e->entries * e->state->now->net.width, sizeof(float)));
    return s.used;
}

/* Room for so many values, events among them; what is there is lost. */
static int32_t make_room(embedding_steps *e, size_t entries, size_t events, ecrec_error *err)
{
    if (e->block != NULL && entries <= e->entries && events <= e->events)
        return ECREC_OK;
    memory_release(e->m, e->block, e->bytes);
    e->block = NULL;
    e->entries = entries > e->entries ? entries : e->entries;
    e->events = events > e->events ? events : e->events;
    e->map_size = 16;
    while (e->map_size < 2 * e->entries)
        e->map_size *= 2;
    e->bytes = take_all(e, NULL);
    if ((e->block = memory_allocate(e->m, e->bytes)) == NULL)
        return error_nomem(err, "the embeddings of a mini-batch", e->bytes);
    (void)take_all(e, e->block);
    return ECREC_OK;
}

int32_t embedding_steps_create(embedding_steps *e, memory *m, learn_state *state, const kernels *table, const trainer_options *options, size_t most, ecrec_error *err)
{
    memset(e, 0, sizeof *e);
    e->m = m;
    e->state = state;
    e->table = table;
    e->options = options;
    e->most = most;
    if (state->embeddings == NULL)
        return ECREC_OK;
    const int32_t status = make_room(e, most * state->now->categories + 1, 0, err);
    if (status != ECREC_OK)
        return status;
    tensor **const more[] = { &e->z, &e->v };
    for (int i = 0; i < (options->hashed == HASHED_ADAM ? 2 : options->hashed == HASHED_FTRL); i++)
        if (tensor_chunked(m, TYPE_F32, state->embeddings->shape[0], state->embeddings->shape[1], EMBEDDING_CHUNK, more[i]) != ECREC_OK)
            return error_nomem(err, "the optimiser's tables", 0);
    return ECREC_OK;
}

void embedding_steps_destroy(embedding_steps *e)
{
    memory_release(e->m, e->block, e->bytes);
    tensor_release(e->z);
    tensor_release(e->v);
}

/* A row whose sums are all zeros has never been learned from. */
static void start_row(float *w, const float *sum, uint32_t width, uint64_t slot)
{
    for (uint32_t i = 0; i < width; i++)
        if (sum[i] != 0 || w[i] != 0)
            return;
    random_stream random;
    random_init(&random, START_SEED, slot);
    for (uint32_t i = 0; i < width; i++)
        w[i] = START_SIZE * random_normal(&random);
}

/* The rows of all the different slots, each table's together. */
static int32_t look_up(embedding_steps *e)
{
    const learn_state *s = e->state;
    const struct { tensor *t; float **to; } tables[] = { { s->embeddings, e->weights }, { s->embedding_sums, e->sums }, { e->z, e->zs }, { e->v, e->vs } };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i].t != NULL && tensor_float_rows(tables[i].t, e->slots, e->count, tables[i].to) != ECREC_OK)
            return ECREC_ERR_NOMEM;
    for (size_t u = 0; u < e->count; u++)
        start_row(e->weights[u], e->sums[u], s->now->net.width, e->slots[u]);
    return ECREC_OK;
}

static int32_t own_slots(const learn_state *s, const uint64_t *slots, size_t n, float **to)
{
    return tensor_float_rows(s->embeddings, slots, n, to) == ECREC_OK ? tensor_float_rows(s->embedding_sums, slots, n, to) : ECREC_ERR_NOMEM;
}

int32_t embedding_steps_own(const embedding_steps *e, const learn_rows *rows, const size_t *order, size_t first, size_t n)
{
    enum { AT_ONCE = 256 };
    uint64_t slots[AT_ONCE];
    float *to[AT_ONCE];
    const ranker *r = e->state->now;
    const uint64_t mask = ((uint64_t)1 << r->net.embedding_bits) - 1;
    size_t count = 0;
    int32_t status = ECREC_OK;
    if (e->state->embeddings == NULL)
        return ECREC_OK;
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        const uint64_t *c = rows_categories(rows, r, order != NULL ? order[first + i] : first + i);
        for (uint32_t k = 0; k < r->categories && status == ECREC_OK; k++) {
            slots[count++] = c[k] & mask;
            if (count == AT_ONCE) {
                status = own_slots(e->state, slots, count, to);
                count = 0;
            }
        }
    }
    return status == ECREC_OK && count != 0 ? own_slots(e->state, slots, count, to) : status;
}

static size_t row_of(const embedding_steps *e, size_t i)
{
    return e->order != NULL ? e->order[e->first + i] : e->first + i;
}

/* The number of a value's row among the different ones; `size` of the map is a power of two. */
static uint32_t find_row(embedding_steps *e, uint64_t hash, size_t size)
{
    const uint64_t slot = hash & (((uint64_t)1 << e->state->now->net.embedding_bits) - 1);
    size_t at = (size_t)(slot * 0x9E3779B97F4A7C15u >> 32) & (size - 1);
    while (e->map[at] != 0 && e->slots[e->map[at] - 1] != slot)
        at = (at + 1) & (size - 1);
    if (e->map[at] == 0) {
        e->slots[e->count] = slot;
        e->map[at] = (uint32_t)++e->count;
    }
    return e->map[at] - 1;
}

int32_t embedding_steps_resolve(embedding_steps *e, const learn_rows *rows, const size_t *order, size_t first, size_t n, ecrec_error *err)
{
    const ranker *r = e->state->now;
    e->count = 0;
    if (e->state->embeddings == NULL)
        return ECREC_OK;
    e->rows = rows;
    e->order = order;
    e->first = first;
    size_t total = n * r->categories;
    for (size_t i = 0; i < n && r->multis != 0; i++)
        total += rows->multi_starts[(row_of(e, i) + 1) * r->multis] - rows->multi_starts[row_of(e, i) * r->multis];
    size_t events = 0;
    for (size_t i = 0; i < n && r->histories != 0; i++)
        events += rows->event_starts[(row_of(e, i) + 1) * r->histories] - rows->event_starts[row_of(e, i) * r->histories];
    e->first_event = total;
    total += events;
    int32_t status = make_room(e, total, events, err);
    if (status != ECREC_OK)
        return status;
    size_t size = 16, at = n * r->categories; /* of the map: no more than these rows need */
    while (size < 2 * total)
        size *= 2;
    memset(e->map, 0, size * sizeof *e->map);
    for (size_t i = 0; i < n; i++) {
        const size_t row = row_of(e, i);
        const uint64_t *c = rows_categories(rows, r, row);
        for (uint32_t k = 0; k < r->categories; k++)
            e->index[i * r->categories + k] = find_row(e, c[k], size);
        e->multi_at[i] = at;
        if (r->multis == 0)
            continue;
        for (size_t k = rows->multi_starts[row * r->multis]; k < rows->multi_starts[(row + 1) * r->multis]; k++)
            e->index[at++] = find_row(e, rows->multi_hashes[k], size);
    }
    for (size_t i = 0; i < n && r->histories != 0; i++) {
        const size_t row = row_of(e, i);
        e->event_at[i] = at;
        for (size_t k = rows->event_starts[row * r->histories]; k < rows->event_starts[(row + 1) * r->histories]; k++)
            e->index[at++] = find_row(e, rows->event_hashes[k], size);
    }
    return look_up(e) == ECREC_OK ? ECREC_OK : error_nomem(err, "the touched embeddings", EMBEDDING_CHUNK * r->net.width * sizeof(float));
}

typedef struct multi_span { size_t from, to /* values of the rows */, at /* in index */; } multi_span;

static multi_span span_of(const embedding_steps *e, size_t i, uint32_t multi)
{
    const size_t *starts = e->rows->multi_starts + row_of(e, i) * e->state->now->multis;
    return (multi_span){ starts[multi], starts[multi + 1], e->multi_at[i] + starts[multi] - starts[0] };
}

void embedding_multi(const embedding_steps *e, size_t i, uint32_t multi, float *out)
{
    const multi_span s = span_of(e, i, multi);
    const uint32_t width = e->state->now->net.width;
    memset(out, 0, width * sizeof *out);
    enum { AT_ONCE = 32 };
    const float *from[AT_ONCE];
    for (size_t k = s.from, n = 0; k < s.to; k += n) {
        for (n = 0; n < AT_ONCE && k + n < s.to; n++)
            from[n] = e->weights[e->index[s.at + k + n - s.from]];
        e->table->sum_rows(n, width, from, e->rows->multi_values + k, out);
    }
}

/* The number of the first event of a row's history, in index; *count of them. */
static size_t events_of(const embedding_steps *e, size_t i, uint32_t history, size_t *count)
{
    const size_t *starts = e->rows->event_starts + row_of(e, i) * e->state->now->histories;
    *count = starts[history + 1] - starts[history];
    return e->event_at[i] + starts[history] - starts[0];
}

const float *embedding_event(const embedding_steps *e, size_t i, uint32_t history, uint32_t j)
{
    size_t count = 0;
    return e->weights[e->index[events_of(e, i, history, &count) + j]];
}

float *embedding_event_gradients(embedding_steps *e, size_t i, uint32_t history)
{
    size_t count = 0;
    return e->event_gradients + (events_of(e, i, history, &count) - e->first_event) * e->state->now->net.width;
}

static void add_gradient(embedding_steps *e, uint32_t index, float value, const float *from)
{
    const uint32_t width = e->state->now->net.width;
    e->table->sum_rows(1, width, &from, &value, e->gradients + (size_t)index * width);
}

void embedding_steps_learn(embedding_steps *e, const float *dx0, size_t n, double step)
{
    const ranker *r = e->state->now;
    const trainer_options *o = e->options;
    const uint32_t width = r->net.width;
    memset(e->gradients, 0, e->count * width * sizeof *e->gradients);
    for (size_t i = 0; i < n; i++)
        for (uint32_t f = 0; f < r->fields; f++) {
            const field_plan *p = &r->plan[f];
            const float *from = dx0 + i * r->net.inputs + (size_t)(p->embedded != NO_INDEX ? p->embedded : 0) * width;
            if (p->embedded == NO_INDEX)
                continue;
            if (p->category != NO_INDEX)
                add_gradient(e, e->index[i * r->categories + p->category], 1, from);
            if (p->history != NO_INDEX) {
                size_t count = 0;
                const size_t at = events_of(e, i, p->history, &count);
                for (size_t k = at; k < at + count; k++)
                    add_gradient(e, e->index[k], 1, e->event_gradients + (k - e->first_event) * width);
            }
            if (p->multi == NO_INDEX)
                continue;
            const multi_span s = span_of(e, i, p->multi);
            for (size_t k = s.from; k < s.to; k++)
                add_gradient(e, e->index[s.at + k - s.from], e->rows->multi_values[k], from);
        }
    for (size_t u = 0; u < e->count; u++) {
        float *g = e->gradients + u * width, *w = e->weights[u], *sum = e->sums[u];
        if (o->hashed == HASHED_FTRL) {
            ftrl_step(width, w, sum, e->zs[u], g, o->embedding_rate, o->embedding_decay, 0, o->start);
        } else if (o->hashed == HASHED_ADAM) {
            for (uint32_t k = 0; k < width; k++)
                sum[k] += g[k] * g[k];
            adam_step(e->table, width, w, e->zs[u], e->vs[u], g, o->embedding_rate, o->embedding_decay, step);
        } else {
            adagrad_step(e->table, width, w, sum, g, o->embedding_rate, o->embedding_decay, o->start);
        }
    }
}
