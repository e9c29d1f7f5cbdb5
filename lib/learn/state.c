#include "learn/state.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static int32_t copy_dense(learn_state *s, const tensor_set *from, const char *name, tensor **out, ecrec_error *err)
{
    const tensor *old = tensor_set_get(from, name);
    tensor *t = NULL;
    if (old == NULL)
        return ECREC_OK;
    if (tensor_create(s->m, old->type, old->layout, old->rank, old->shape, &t) != ECREC_OK)
        return error_nomem(err, name, old->bytes);
    memcpy(tensor_edit(t), old->data, old->bytes);
    const int32_t status = tensor_set_put(s->next, name, t);
    *out = t;
    tensor_release(t); /* the set holds it */
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, name, old->bytes);
}

static int32_t fork_table(learn_state *s, const tensor_set *from, const char *name, tensor **out, ecrec_error *err)
{
    const tensor *old = tensor_set_get(from, name);
    tensor *t = NULL;
    if (old == NULL)
        return ECREC_OK;
    int32_t status = tensor_fork(old, &t);
    if (status == ECREC_OK) {
        status = tensor_set_put(s->next, name, t);
        *out = t;
        tensor_release(t);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, name, 0);
}

int32_t state_open(learn_state *s, memory *m, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, ecrec_error *err)
{
    s->m = m;
    s->schema = schema;
    if (tensor_set_copy(from, &s->next) != ECREC_OK)
        return error_nomem(err, "the next snapshot", 0);
    const struct { const char *name; tensor **to; } dense[] = {
        { "rank.dense", &s->dense }, { "learn.dense", &s->sums }, { "rank.numbers", &s->statistics }, { "rank.network", &s->network },
        { "learn.network", &s->moments }, { "learn.steps", &s->steps }, { "rank.calibration", &s->calibration }, { "rank.targets", &s->targets },
        { "rank.bins", &s->bins }, { "learn.period", &s->period } };
    const struct { const char *name; tensor **to; } tables[] = {
        { "rank.hashed", &s->hashed }, { "learn.hashed", &s->hashed_sums }, { "rank.embeddings", &s->embeddings },
        { "learn.embeddings", &s->embedding_sums }, { "rank.sightings", &s->sightings },
        { "learn.alive.weights", &s->alive_weights }, { "learn.alive.embeddings", &s->alive_embeddings }, { "learn.alive.sightings", &s->alive_sightings } };
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < sizeof dense / sizeof *dense && status == ECREC_OK; i++)
        status = copy_dense(s, from, dense[i].name, dense[i].to, err);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && status == ECREC_OK; i++)
        status = fork_table(s, from, tables[i].name, tables[i].to, err);
    return status == ECREC_OK ? ranker_create(m, schema, dimension, s->next, &s->now, err) : status;
}

void state_close(learn_state *s, tensor_set **taken)
{
    ranker_release(s->now);
    if (taken != NULL)
        *taken = s->next;
    else
        tensor_set_release(s->next);
    s->now = NULL;
    s->next = NULL;
}

/* From so many values on a slope is one by the number. Before, it is one by the standard deviation: the scale of a few values may be far
 * off, and a slope learned by a scale that was too small would be far too steep for what comes. */
#define SETTLED 32

/* New frozen mean and scale, and the weights said again in them: w (x - m) s + c = w' (x - m') s' + c' for every x that neither of the
 * two bends (number_standard). */
void state_refreeze(learn_state *l, const field_plan *p)
{
    double *s = (double *)(uintptr_t)l->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
    if (s[NUMBER_COUNT] == 0)
        return;
    const double variance = s[NUMBER_SQUARES] / s[NUMBER_COUNT], scale = variance > 1e-300 ? 1 / sqrt(variance) : 1;
    const double ratio = s[NUMBER_FROZEN_SCALE] / scale, shift = (s[NUMBER_MEAN] - s[NUMBER_FROZEN_MEAN]) * s[NUMBER_FROZEN_SCALE];
    const int settled = s[NUMBER_FROZEN_COUNT] >= SETTLED;
    for (size_t head = 0; head < l->now->heads && settled; head++) {
        float *w = tensor_floats(l->dense) + head * l->now->width + p->dense, *sum = tensor_floats(l->sums) + head * l->now->width + p->dense;
        w[1] = (float)(w[1] + w[0] * shift);
        w[0] = (float)(w[0] * ratio);
        sum[0] = (float)(sum[0] / (ratio * ratio)); /* its gradients are divided by the ratio */
    }
    if (p->embedded != NO_INDEX && settled) {
        const uint32_t k = l->now->net.width;
        float *v = tensor_floats(l->network) + p->embed;
        for (uint32_t i = 0; i < k; i++) {
            v[k + i] = (float)(v[k + i] + v[i] * shift);
            v[i] = (float)(v[i] * ratio);
        }
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
    return s[NUMBER_COUNT] >= grown * s[NUMBER_FROZEN_COUNT] || fabs(x - s[NUMBER_FROZEN_MEAN]) * s[NUMBER_FROZEN_SCALE] > 6;
}

/* What the statistics take a value for: a slip of many orders of magnitude must not leave them, or the weights said in them, infinite. A real
 * change of scale gets through all the same, since each such value moves the bounds. */
static double bounded(const double *s, double x)
{
    static const double most = 1e100, most_deviations = 1e6;
    if (s[NUMBER_FROZEN_COUNT] >= SETTLED) {
        const double far = (x - s[NUMBER_FROZEN_MEAN]) * s[NUMBER_FROZEN_SCALE];
        if (!(fabs(far) <= most_deviations))
            x = s[NUMBER_FROZEN_MEAN] + (x < s[NUMBER_FROZEN_MEAN] ? -most_deviations : most_deviations) / s[NUMBER_FROZEN_SCALE];
    }
    return fmin(fmax(x, -most), most);
}

/* Welford's update. */
void state_see_number(learn_state *l, const field_plan *p, double value)
{
    double *s = (double *)(uintptr_t)l->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
    const double x = bounded(s, value), d = x - s[NUMBER_MEAN];
    s[NUMBER_COUNT] += 1;
    s[NUMBER_MEAN] += d / s[NUMBER_COUNT];
    s[NUMBER_SQUARES] += d * (x - s[NUMBER_MEAN]);
    if (outdated(s, x))
        state_refreeze(l, p);
}

/* What this fork of a table has changed. Bits, since they are compared many at a time. */
static int table_finite(const tensor *t)
{
    for (uint64_t b = 0; t != NULL && b < t->block_count; b++) {
        if (!node_owns(t->directory, b))
            continue;
        const table_node *block = tensor_block(t, b);
        for (uint64_t c = 0; block != NULL && c < CHUNK_BLOCK; c++) {
            const uint32_t *bits = node_owns(block, c) ? (const uint32_t *)(const void *)block->at[c] : NULL;
            uint32_t odd = 0;
            for (size_t i = 0; bits != NULL && i < t->rows_per_chunk * t->row_bytes / sizeof *bits; i++)
                odd |= (bits[i] & 0x7FFFFFFFu) >= 0x7F800000u;
            if (odd)
                return 0;
        }
    }
    return 1;
}

int32_t state_check(const learn_state *s, ecrec_error *err)
{
    const tensor *const tables[] = { s->hashed, s->hashed_sums, s->embeddings, s->embedding_sums };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (!table_finite(tables[i]))
            return error_set(err, ECREC_ERR_REJECTED, "a weight of a table, or the sum of its gradients' squares, is no longer a finite number; nothing has changed");
    const tensor *const dense[] = { s->dense, s->sums, s->network, s->moments };
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++)
        for (size_t k = 0; dense[i] != NULL && k < dense[i]->bytes / sizeof(float); k++)
            if (!isfinite(tensor_floats(dense[i])[k]))
                return error_set(err, ECREC_ERR_REJECTED, "a weight is no longer a finite number; nothing has changed");
    for (size_t i = 0; s->statistics != NULL && i < s->statistics->bytes / sizeof(double); i++)
        if (!isfinite(((const double *)s->statistics->data)[i]))
            return error_set(err, ECREC_ERR_REJECTED, "the mean or scale of a number is no longer finite; nothing has changed");
    return ECREC_OK;
}

/* ---- rows ---- */

static void *take(learn_rows *rows, int block, size_t bytes)
{
    rows->bytes[block] = bytes;
    return memory_allocate(rows->m, bytes);
}

typedef struct extra_sink { learn_rows *rows; size_t n; } extra_sink;

static void take_extra(void *opaque, uint64_t slot, float value)
{
    extra_sink *sink = opaque;
    if (sink->rows->extra_slots != NULL) {
        sink->rows->extra_slots[sink->n] = slot;
        sink->rows->extra_values[sink->n] = value;
    }
    sink->n++;
}

static size_t walk_extras(learn_rows *rows, const ranker *r)
{
    extra_sink sink = { rows, 0 };
    for (size_t row = 0; row < rows->rows; row++) {
        const record rec = rows_record(rows, r, row);
        rows->extra_starts[row] = sink.n;
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].category == NO_INDEX)
                record_hashed(r, f, &rec, take_extra, &sink);
    }
    rows->extra_starts[rows->rows] = sink.n;
    return sink.n;
}

static void take_multi(void *opaque, uint64_t hash, float value)
{
    extra_sink *sink = opaque;
    if (sink->rows->multi_hashes != NULL) {
        sink->rows->multi_hashes[sink->n] = hash;
        sink->rows->multi_values[sink->n] = value;
    }
    sink->n++;
}

static size_t walk_multis(learn_rows *rows, const ranker *r)
{
    extra_sink sink = { rows, 0 };
    for (size_t row = 0; row < rows->rows; row++)
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].multi != NO_INDEX) {
                rows->multi_starts[row * r->multis + r->plan[f].multi] = sink.n;
                record_multi(r, f, rows->batch, row, take_multi, &sink);
            }
    rows->multi_starts[rows->rows * r->multis] = sink.n;
    return sink.n;
}

static int32_t open_multis(learn_rows *rows, const ranker *r, ecrec_error *err)
{
    if ((rows->multi_starts = take(rows, 5, memory_product(rows->rows * r->multis + 1, sizeof(size_t)))) == NULL)
        return error_nomem(err, "the rows' features", rows->bytes[5]);
    const size_t n = walk_multis(rows, r);
    uint64_t *hashes = take(rows, 6, memory_product(n + 1, sizeof(uint64_t)));
    rows->multi_hashes = hashes;
    rows->multi_values = hashes != NULL ? take(rows, 7, memory_product(n + 1, sizeof(float))) : NULL;
    if (rows->multi_values == NULL)
        return error_nomem(err, "the rows' features", memory_product(n + 1, 12));
    (void)walk_multis(rows, r);
    return ECREC_OK;
}

static size_t walk_events(learn_rows *rows, const ranker *r)
{
    size_t n = 0;
    for (size_t row = 0; row < rows->rows; row++)
        for (uint32_t f = 0; f < r->fields; f++) {
            const record rec = { rows->batch, row, NULL, NULL };
            uint64_t first = 0;
            if (r->plan[f].history == NO_INDEX)
                continue;
            rows->event_starts[row * r->histories + r->plan[f].history] = n;
            const uint32_t events = record_events(&rec, f, &first);
            for (uint32_t j = 0; j < events && rows->event_hashes != NULL; j++)
                rows->event_hashes[n + j] = record_event(r, f, &rows->batch->columns[f], first + j);
            n += events;
        }
    rows->event_starts[rows->rows * r->histories] = n;
    return n;
}

static int32_t open_events(learn_rows *rows, const ranker *r, ecrec_error *err)
{
    if ((rows->event_starts = take(rows, 8, memory_product(rows->rows * r->histories + 1, sizeof(size_t)))) == NULL)
        return error_nomem(err, "the rows' histories", rows->bytes[8]);
    const size_t n = walk_events(rows, r);
    if ((rows->event_hashes = take(rows, 9, memory_product(n + 1, sizeof(uint64_t)))) == NULL)
        return error_nomem(err, "the rows' histories", rows->bytes[9]);
    (void)walk_events(rows, r);
    return ECREC_OK;
}

static int32_t encode(learn_rows *rows, const learn_source *source, const ranker *r, ecrec_error *err)
{
    embed *e = NULL;
    void *memory = take(rows, 4, text_block_take(&rows->texts, r, rows->rows, NULL));
    if (memory == NULL) {
        rows->texts.texts = NULL;
        return error_nomem(err, "the texts' vectors", rows->bytes[4]);
    }
    (void)text_block_take(&rows->texts, r, rows->rows, memory);
    int32_t status = embed_create(rows->m, source->encoder, source->tokenizer, NULL, context_threads(source->context), 0, 0, &e, err);
    if (status != ECREC_OK)
        return status;
    const score_call call = { .context = source->context, .encoder = source->encoder, .tokenizer = source->tokenizer, .embed = e, .prompt = source->prompt,
                              .prompt_length = source->prompt_length, .batch = rows->batch };
    status = text_block_encode(&rows->texts, r, &call, rows->batch, 0, rows->rows, err);
    embed_destroy(e);
    return status;
}

int32_t rows_open(learn_rows *rows, const learn_source *source, const ranker *r, const ecrec_batch *batch, ecrec_error *err)
{
    memset(rows, 0, sizeof *rows);
    rows->m = &source->context->m;
    rows->batch = batch;
    rows->rows = batch->rows;
    rows->categories = take(rows, 0, memory_product(rows->rows * r->categories + 1, sizeof(uint64_t)));
    rows->extra_starts = take(rows, 1, memory_product(rows->rows + 1, sizeof(size_t)));
    if (rows->categories == NULL || rows->extra_starts == NULL)
        return error_nomem(err, "the rows' features", rows->bytes[0]);
    for (size_t row = 0; row < rows->rows; row++)
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].category != NO_INDEX)
                rows->categories[row * r->categories + r->plan[f].category] = record_category(r, f, batch, row);
    const size_t extras = walk_extras(rows, r);
    if (extras != 0) {
        uint64_t *slots = take(rows, 2, memory_product(extras, sizeof(uint64_t)));
        rows->extra_slots = slots;
        rows->extra_values = slots != NULL ? take(rows, 3, memory_product(extras, sizeof(float))) : NULL;
        if (rows->extra_values == NULL)
            return error_nomem(err, "the rows' features", memory_product(extras, 12));
        (void)walk_extras(rows, r);
    }
    if (r->multis != 0 && r->net.width != 0) {
        const int32_t status = open_multis(rows, r, err);
        if (status != ECREC_OK)
            return status;
    }
    if (r->histories != 0) {
        const int32_t status = open_events(rows, r, err);
        if (status != ECREC_OK)
            return status;
    }
    return r->slots != 0 ? encode(rows, source, r, err) : ECREC_OK;
}

void rows_close(learn_rows *rows)
{
    void *const blocks[] = { rows->categories, rows->extra_starts, rows->extra_slots, rows->extra_values, (void *)(uintptr_t)rows->texts.texts,
                             rows->multi_starts, rows->multi_hashes, rows->multi_values, rows->event_starts, rows->event_hashes };
    for (int i = 0; i < 10; i++)
        if (blocks[i] != NULL)
            memory_release(rows->m, blocks[i], rows->bytes[i]);
    memset(rows, 0, sizeof *rows);
}
