#include "rank/ranker.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "rank/features.h"

enum { BLOCK_ROWS = 64, ROWS_A_TASK = 16 };

void ecrec_score_options_init(ecrec_score_options *options)
{
    static const ecrec_score_options defaults = ECREC_SCORE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static size_t ranker_bytes(const ecrec_schema *s)
{
    return sizeof(ranker) + s->field_count * sizeof(field_plan);
}

/* Where each field's weights lie. */
static void make_plan(const ecrec_schema *s, uint32_t dimension, ranker *r)
{
    uint32_t at = 0;
    r->fields = s->field_count;
    r->labels = s->label_count;
    r->dimension = dimension;
    r->hash_bits = s->hash_bits;
    for (uint32_t i = 0; i < s->field_count; i++) {
        const schema_field *f = &s->fields[i];
        field_plan *p = &r->plan[i];
        *p = (field_plan){ .kind = f->kind, .dense = at, .slot = NO_INDEX, .missing = NO_INDEX, .cosine = NO_INDEX, .compare = f->compare,
                           .number = NO_INDEX, .word_ngrams = f->word_ngrams, .char_ngrams = f->char_ngrams,
                           .seed = hash64(f->name, strlen(f->name), (uint64_t)f->kind) };
        if (f->kind == ECREC_FIELD_NUMBER) {
            p->number = r->numbers++;
            p->missing = at + 2;
            at += 3;
            continue;
        }
        r->hashed |= f->kind == ECREC_FIELD_CATEGORY || f->word_ngrams != 0 || f->char_ngrams != 0;
        if (f->encoded)
            p->slot = r->slots++;
        p->vector = f->encoded ? dimension : f->kind == ECREC_FIELD_VECTOR ? f->dimension : 0;
        if (p->vector != 0 && !f->compare_only) {
            p->dims = p->vector;
            p->missing = at + p->dims;
            at += p->dims + 1;
        }
        if (f->compare != UINT32_MAX) {
            p->cosine = at;
            at += 2;
        }
    }
    r->width = at + 1;
}

static int32_t put(tensor_set *set, const char *name, tensor *t)
{
    const int32_t status = t != NULL ? tensor_set_put(set, name, t) : ECREC_ERR_NOMEM;
    tensor_release(t);
    return status;
}

static tensor *zeros(memory *m, int32_t type, uint64_t rows, uint64_t columns)
{
    const uint64_t shape[2] = { rows, columns };
    tensor *t = NULL;
    if (tensor_create(m, type, LAYOUT_ROWS, 2, shape, &t) != ECREC_OK)
        return NULL;
    memset(tensor_edit(t), 0, t->bytes);
    return t;
}

int32_t ranker_init_tensors(memory *m, const ecrec_schema *s, uint32_t dimension, tensor_set *tensors, ecrec_error *err)
{
    ranker *r = memory_zero(m, ranker_bytes(s));
    if (r == NULL)
        return error_nomem(err, "a ranker", ranker_bytes(s));
    make_plan(s, dimension, r);
    int32_t status = put(tensors, "rank.dense", zeros(m, TYPE_F32, r->labels, r->width));
    if (status == ECREC_OK)
        status = put(tensors, "learn.dense", zeros(m, TYPE_F32, r->labels, r->width));
    if (status == ECREC_OK && r->numbers != 0) {
        tensor *t = zeros(m, TYPE_F64, r->numbers, NUMBER_COLUMNS);
        for (uint32_t i = 0; t != NULL && i < r->numbers; i++)
            ((double *)tensor_edit(t))[i * NUMBER_COLUMNS + NUMBER_FROZEN_SCALE] = 1;
        status = put(tensors, "rank.numbers", t);
    }
    static const char *const tables[] = { "rank.hashed", "learn.hashed" };
    for (int i = 0; i < 2 && status == ECREC_OK && r->hashed; i++) {
        tensor *t = NULL;
        status = tensor_chunked(m, TYPE_F32, (uint64_t)r->labels << r->hash_bits, 1, HASHED_CHUNK, &t);
        if (status == ECREC_OK)
            status = put(tensors, tables[i], t);
    }
    const size_t bytes = (size_t)r->labels * r->width * sizeof(float);
    memory_release(m, r, ranker_bytes(s));
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a ranker's weights", bytes);
}

static int32_t find(const tensor_set *set, const char *name, int32_t type, int32_t layout, uint64_t rows, uint64_t columns, tensor **out,
                    ecrec_error *err)
{
    tensor *t = tensor_set_get(set, name);
    if (t == NULL)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\" is missing", name);
    if (t->type != type || t->layout != layout || t->rank != 2 || t->shape[0] != rows || t->shape[1] != columns)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\" does not have the type and shape that the schema asks for (%llu x %llu)", name,
                         (unsigned long long)rows, (unsigned long long)columns);
    *out = t;
    return ECREC_OK;
}

static int32_t check_finite(const char *name, const float *values, size_t n, int positive, ecrec_error *err)
{
    for (size_t i = 0; values != NULL && i < n; i++)
        if (!isfinite(values[i]) || (positive && values[i] < 0))
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\": value %zu is not a number that it may hold", name, i);
    return ECREC_OK;
}

/* All the rows that a chunked table has. */
static int32_t check_table(const char *name, const tensor *t, int positive, ecrec_error *err)
{
    for (uint64_t row = 0; row < t->shape[0]; row += t->rows_per_chunk) {
        if (t->blocks[(row >> t->chunk_shift) / CHUNK_BLOCK] == NULL) { /* all zeros */
            row += (CHUNK_BLOCK - 1) * t->rows_per_chunk;
            continue;
        }
        const uint64_t left = t->shape[0] - row, n = left < t->rows_per_chunk ? left : t->rows_per_chunk;
        const int32_t status = check_finite(name, tensor_row(t, row), (size_t)n, positive, err);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

static int32_t check_numbers(const tensor *t, ecrec_error *err)
{
    const double *v = t->data;
    for (uint64_t i = 0; i < t->shape[0] * NUMBER_COLUMNS; i++)
        if (!isfinite(v[i]) || (i % NUMBER_COLUMNS != NUMBER_MEAN && i % NUMBER_COLUMNS != NUMBER_FROZEN_MEAN && v[i] < 0))
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.numbers\": value %llu is not a number that it may hold", (unsigned long long)i);
    return ECREC_OK;
}

static int32_t bind(ranker *r, const tensor_set *tensors, ecrec_error *err)
{
    tensor *sums = NULL, *sum_table = NULL;
    int32_t status = find(tensors, "rank.dense", TYPE_F32, LAYOUT_ROWS, r->labels, r->width, &r->dense, err);
    if (status == ECREC_OK)
        status = find(tensors, "learn.dense", TYPE_F32, LAYOUT_ROWS, r->labels, r->width, &sums, err);
    if (status == ECREC_OK)
        status = check_finite("rank.dense", r->dense->data, (size_t)r->labels * r->width, 0, err);
    if (status == ECREC_OK)
        status = check_finite("learn.dense", sums->data, (size_t)r->labels * r->width, 1, err);
    if (status == ECREC_OK && r->numbers != 0 &&
        (status = find(tensors, "rank.numbers", TYPE_F64, LAYOUT_ROWS, r->numbers, NUMBER_COLUMNS, &r->statistics, err)) == ECREC_OK)
        status = check_numbers(r->statistics, err);
    if (status != ECREC_OK || !r->hashed)
        return status;
    const uint64_t rows = (uint64_t)r->labels << r->hash_bits;
    if ((status = find(tensors, "rank.hashed", TYPE_F32, LAYOUT_CHUNKS, rows, 1, &r->table, err)) != ECREC_OK ||
        (status = find(tensors, "learn.hashed", TYPE_F32, LAYOUT_CHUNKS, rows, 1, &sum_table, err)) != ECREC_OK)
        return status;
    return ECREC_OK;
}

int32_t ranker_check_tables(const tensor_set *tensors, ecrec_error *err)
{
    const tensor *weights = tensor_set_get(tensors, "rank.hashed"), *sums = tensor_set_get(tensors, "learn.hashed");
    int32_t status = weights != NULL ? check_table("rank.hashed", weights, 0, err) : ECREC_OK;
    if (status == ECREC_OK && sums != NULL)
        status = check_table("learn.hashed", sums, 1, err);
    return status;
}

int32_t ranker_create(memory *m, const ecrec_schema *s, uint32_t dimension, const tensor_set *tensors, ranker **out, ecrec_error *err)
{
    ranker *r = memory_zero(m, ranker_bytes(s));
    if (r == NULL)
        return error_nomem(err, "a ranker", ranker_bytes(s));
    r->m = m;
    make_plan(s, dimension, r);
    if (r->slots != 0 && dimension == 0) {
        memory_release(m, r, ranker_bytes(s));
        return error_set(err, ECREC_ERR_FORMAT, "the schema has a text to encode, but the model has no encoder");
    }
    const int32_t status = bind(r, tensors, err);
    if (status != ECREC_OK) {
        memory_release(m, r, ranker_bytes(s));
        return status;
    }
    tensor_reference(r->dense);
    tensor_reference(r->table);
    tensor_reference(r->statistics);
    *out = r;
    return ECREC_OK;
}

void ranker_release(ranker *r)
{
    if (r == NULL)
        return;
    tensor_release(r->dense);
    tensor_release(r->table);
    tensor_release(r->statistics);
    memory_release(r->m, r, sizeof *r + r->fields * sizeof(field_plan));
}

struct score_scratch {
    memory *m;
    size_t bytes;
    void *block; /* the text block's memory */
};

int32_t score_scratch_create(memory *m, const ecrec_schema *s, uint32_t dimension, score_scratch **out, ecrec_error *err)
{
    ranker *r = memory_zero(m, ranker_bytes(s));
    if (r == NULL)
        return error_nomem(err, "a session's scratch", ranker_bytes(s));
    make_plan(s, dimension, r);
    text_block b;
    const size_t head = 64, bytes = head + text_block_take(&b, r, BLOCK_ROWS, NULL);
    memory_release(m, r, ranker_bytes(s));
    score_scratch *scratch = memory_allocate(m, bytes);
    if (scratch == NULL)
        return error_nomem(err, "a session's scratch", bytes);
    *scratch = (score_scratch){ m, bytes, (unsigned char *)scratch + head };
    *out = scratch;
    return ECREC_OK;
}

void score_scratch_destroy(score_scratch *s)
{
    if (s != NULL)
        memory_release(s->m, s, s->bytes);
}

typedef struct score_task {
    const score_call *call;
    const text_block *block;
    size_t first, rows;
} score_task;

static void score_rows(void *argument, uint32_t index)
{
    const score_task *t = argument;
    const score_call *c = t->call;
    const ranker *r = c->ranker;
    const size_t from = (size_t)index * ROWS_A_TASK, to = from + ROWS_A_TASK < t->rows ? from + ROWS_A_TASK : t->rows;
    for (size_t i = from; i < to; i++) {
        const record rec = { c->batch, t->first + i, r->slots != 0 ? t->block->pointers + i * r->slots : NULL };
        for (uint32_t l = 0; l < r->labels; l++) {
            const size_t at = (t->first + i) * r->labels + l;
            float *parts = c->options != NULL && c->options->contributions != NULL ? c->options->contributions + at * (r->fields + 1) : NULL;
            const double logit = record_logit(r, c->context->kernels, &rec, l, parts);
            c->scores[at] = (float)(c->options != NULL && c->options->logits ? logit : logistic(logit));
        }
    }
}

int32_t score_run(score_scratch *s, const score_call *call, ecrec_error *err)
{
    const ranker *r = call->ranker;
    const size_t rows = call->batch->rows;
    int32_t status = batch_check(call->batch, call->schema, err);
    if (status != ECREC_OK)
        return status;
    text_block block = { NULL, NULL, NULL, NULL };
    if (r->slots == 0) { /* nothing to encode: all rows at once */
        const score_task task = { call, &block, 0, rows };
        context_run(call->context, score_rows, (void *)(uintptr_t)&task, (uint32_t)((rows + ROWS_A_TASK - 1) / ROWS_A_TASK));
        return ECREC_OK;
    }
    (void)text_block_take(&block, r, BLOCK_ROWS, s->block);
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        const size_t n = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        if ((status = text_block_encode(&block, r, call, first, n, err)) != ECREC_OK)
            return status;
        const score_task task = { call, &block, first, n };
        context_run(call->context, score_rows, (void *)(uintptr_t)&task, (uint32_t)((n + ROWS_A_TASK - 1) / ROWS_A_TASK));
    }
    return ECREC_OK;
}
