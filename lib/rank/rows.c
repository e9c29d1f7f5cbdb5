#include "rank/rows.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

/* u32 fields, u32 labels; for each field: u8 kind (0: missing), then text and category: u32 length and bytes; number: f64; time: i64;
 * vector: u32 dimension, f32 each; multi: u32 items, each u32 length, bytes, f32 weight; history: u32 events, each
 * u32 length, bytes, f32 age as the column has it, u8 type. For each label: u8 there, f32. Then the weight, f32, and
 * u8: 1: position, u32; 2: propensity, f32; 4: event, u64; 8: group, u64. */
enum { MISSING = 0, MOST_ITEMS = 1 << 24, HAS_POSITION = 1, HAS_PROPENSITY = 2, HAS_EVENT = 4, HAS_GROUP = 8 };

static int32_t write_multi(const batch_column *c, size_t row, int history, buffer *out)
{
    const uint64_t first = column_items(c, row), end = column_items_end(c, row);
    int32_t status = write_u32(out, (uint32_t)(end - first));
    for (uint64_t k = first; k < end && status == ECREC_OK; k++) {
        size_t length = 0;
        const char *text = column_text(c, (size_t)k, &length);
        if ((status = write_string(out, text, length)) == ECREC_OK)
            status = write_f32(out, column_weight(c, k));
        if (status == ECREC_OK && history)
            status = write_u8(out, c->types.data[k]);
    }
    return status;
}

static int32_t write_vector(const batch_column *c, size_t row, uint32_t dimension, buffer *out)
{
    const float *v = (const float *)(const void *)c->values.data + column_row(c, row) * dimension;
    int32_t status = write_u32(out, dimension);
    for (uint32_t i = 0; i < dimension && status == ECREC_OK; i++)
        status = write_f32(out, v[i]);
    return status;
}

static int32_t write_field(const batch_column *c, const schema_field *f, size_t row, buffer *out)
{
    size_t length = 0;
    const int there = column_has(c, row);
    const int32_t status = write_u8(out, (uint8_t)(there ? f->kind : MISSING));
    if (status != ECREC_OK || !there)
        return status;
    const char *text = NULL;
    switch (field_form(f->kind)) {
    case ECREC_FIELD_NUMBER: return write_f64(out, column_number(c, row));
    case ECREC_FIELD_TIME: return write_i64(out, column_time(c, row));
    case ECREC_FIELD_VECTOR: return write_vector(c, row, f->dimension, out);
    case ECREC_FIELD_MULTI: return write_multi(c, row, 0, out);
    case ECREC_FIELD_HISTORY: return write_multi(c, row, 1, out);
    default:
        text = column_text(c, column_row(c, row), &length);
        return write_string(out, text, length);
    }
}

/* What the row is beside fields and labels. */
static int32_t write_own(const ecrec_batch *b, size_t row, buffer *out)
{
    const batch_column *event = batch_row(b, ROW_EVENT), *group = batch_row(b, ROW_GROUP);
    const int has[4] = { batch_position(b, row) != 0, column_has(batch_row(b, ROW_PROPENSITY), row), column_has(event, row), column_has(group, row) };
    int32_t status = write_f32(out, batch_weight(b, row));
    if (status == ECREC_OK)
        status = write_u8(out, (uint8_t)(has[0] | has[1] << 1 | has[2] << 2 | has[3] << 3));
    if (status == ECREC_OK && has[0])
        status = write_u32(out, batch_position(b, row));
    if (status == ECREC_OK && has[1])
        status = write_f32(out, batch_propensity(b, row));
    if (status == ECREC_OK && has[2])
        status = write_u64(out, column_id(event, row));
    return status == ECREC_OK && has[3] ? write_u64(out, column_id(group, row)) : status;
}

int32_t row_write(const ecrec_batch *b, size_t row, buffer *out)
{
    const ecrec_schema *s = b->schema;
    int32_t status = write_u32(out, s->field_count);
    if (status == ECREC_OK)
        status = write_u32(out, s->label_count);
    for (uint32_t f = 0; f < s->field_count && status == ECREC_OK; f++)
        status = write_field(&b->columns[f], &s->fields[f], row, out);
    for (uint32_t l = 0; l < s->label_count && status == ECREC_OK; l++) {
        const batch_column *y = batch_label(b, l);
        const int there = column_has(y, row);
        if ((status = write_u8(out, (uint8_t)there)) == ECREC_OK && there)
            status = write_f32(out, column_float(y, row));
    }
    return status == ECREC_OK ? write_own(b, row, out) : status;
}

/* ---- back ---- */

typedef struct rows_reader {
    const ecrec_schema *schema;
    ecrec_batch *batch;
    reader *at;          /* [n] */
    uint32_t *fields, *labels; /* [n]: how many each row has */
    size_t n;
    arena work;
    uint8_t *valid;
    ecrec_error *err;
} rows_reader;

static int32_t damaged(const rows_reader *r, size_t row)
{
    return error_row(r->err, ECREC_ERR_FORMAT, row, "row %zu of those kept is damaged (at byte %zu)", row, r->at[row].position);
}

static int32_t no_room(const rows_reader *r, size_t bytes)
{
    return error_nomem(r->err, "the rows kept", bytes);
}

/* Whether row i has field f, whose value is read next; -1: damaged. */
static int has_field(rows_reader *r, size_t i, uint32_t f)
{
    if (f >= r->fields[i])
        return 0;
    const uint8_t kind = read_u8(&r->at[i]);
    return r->at[i].failed || (kind != MISSING && kind != r->schema->fields[f].kind) ? -1 : kind != MISSING;
}

static int32_t read_texts(rows_reader *r, uint32_t f)
{
    const char **texts = arena_zero(&r->work, memory_product(r->n, sizeof *texts));
    size_t *lengths = arena_zero(&r->work, memory_product(r->n, sizeof *lengths));
    if (texts == NULL || lengths == NULL)
        return no_room(r, r->n * sizeof *texts);
    for (size_t i = 0; i < r->n; i++) {
        const int there = has_field(r, i, f);
        if (there < 0 || (there && (texts[i] = read_string(&r->at[i], SIZE_MAX, &lengths[i])) == NULL))
            return damaged(r, i);
    }
    return field_form(r->schema->fields[f].kind) == ECREC_FIELD_TEXT ? ecrec_batch_set_text(r->batch, f, texts, lengths, r->err)
                                                         : ecrec_batch_set_category(r->batch, f, texts, lengths, r->err);
}

static int32_t read_numbers(rows_reader *r, uint32_t f)
{
    double *values = arena_zero(&r->work, memory_product(r->n, sizeof *values));
    if (values == NULL)
        return no_room(r, r->n * sizeof *values);
    for (size_t i = 0; i < r->n; i++) {
        const int there = has_field(r, i, f);
        r->valid[i] = there > 0;
        values[i] = there > 0 ? read_f64(&r->at[i]) : 0;
        if (there < 0 || r->at[i].failed)
            return damaged(r, i);
    }
    return ecrec_batch_set_number(r->batch, f, values, r->valid, r->err);
}

static int32_t read_times(rows_reader *r, uint32_t f)
{
    int64_t *values = arena_zero(&r->work, memory_product(r->n, sizeof *values));
    if (values == NULL)
        return no_room(r, r->n * sizeof *values);
    for (size_t i = 0; i < r->n; i++) {
        const int there = has_field(r, i, f);
        r->valid[i] = there > 0;
        values[i] = there > 0 ? read_i64(&r->at[i]) : 0;
        if (there < 0 || r->at[i].failed)
            return damaged(r, i);
    }
    return ecrec_batch_set_time(r->batch, f, values, r->valid, r->err);
}

static int32_t read_vectors(rows_reader *r, uint32_t f)
{
    const uint32_t d = r->schema->fields[f].dimension;
    const size_t bytes = memory_product(memory_product(r->n, d), sizeof(float));
    float *values = arena_zero(&r->work, bytes);
    if (values == NULL)
        return no_room(r, bytes);
    for (size_t i = 0; i < r->n; i++) {
        const int there = has_field(r, i, f);
        r->valid[i] = there > 0;
        if (there < 0 || (there > 0 && (read_u32(&r->at[i]) != d || r->at[i].length - r->at[i].position < d * sizeof(float))))
            return damaged(r, i);
        for (uint32_t k = 0; k < d && there > 0; k++)
            values[i * d + k] = read_f32(&r->at[i]);
    }
    return ecrec_batch_set_vector(r->batch, f, values, 0, r->valid, r->err);
}

/* Weights and ages are put back as they were: a setter would make them anew. */
static void put_weights(rows_reader *r, uint32_t f, const float *weights, size_t n)
{
    if (n != 0)
        memcpy(r->batch->columns[f].weights.data, weights, n * sizeof *weights);
}

static int32_t set_history(rows_reader *r, uint32_t f, const size_t *items, const char *const *values, const size_t *lengths, const float *ages,
                           const uint32_t *types)
{
    ecrec_history h = ECREC_HISTORY_INIT;
    for (size_t i = 0; i < r->n; i++) {
        if (items[i + 1] - items[i] > r->schema->fields[f].dimension)
            return damaged(r, i);
        for (size_t k = items[i]; k < items[i + 1]; k++)
            if (!(ages[k] >= 0 && isfinite(ages[k])))
                return damaged(r, i);
    }
    h.events = items;
    h.items = values;
    h.lengths = lengths;
    h.types = types;
    h.valid = r->valid;
    const int32_t status = ecrec_batch_set_history(r->batch, f, &h, r->err);
    if (status == ECREC_OK)
        put_weights(r, f, ages, items[r->n]);
    return status;
}

/* First the counts, then (the readers set back) the items. */
static int32_t read_multis(rows_reader *r, uint32_t f, int history)
{
    size_t *items = arena_zero(&r->work, memory_product(r->n + 1, sizeof *items)), total = 0;
    if (items == NULL)
        return no_room(r, r->n * sizeof *items);
    for (size_t i = 0; i < r->n; i++) {
        const int there = has_field(r, i, f);
        r->valid[i] = there > 0;
        const reader kept = r->at[i];
        const uint32_t count = there > 0 ? read_u32(&r->at[i]) : 0;
        /* an item has 8 bytes at least: the sum stays within the bytes that there are */
        if (there < 0 || r->at[i].failed || count > (r->at[i].length - r->at[i].position) / 8 || total > (size_t)MOST_ITEMS * 16)
            return damaged(r, i);
        r->at[i] = kept;
        total += count;
        items[i + 1] = total;
    }
    const char **values = arena_zero(&r->work, memory_product(total + 1, sizeof *values));
    size_t *lengths = arena_zero(&r->work, memory_product(total + 1, sizeof *lengths));
    float *weights = arena_zero(&r->work, memory_product(total + 1, sizeof *weights));
    uint32_t *types = arena_zero(&r->work, memory_product(total + 1, sizeof *types));
    if (values == NULL || lengths == NULL || weights == NULL || types == NULL)
        return no_room(r, total * sizeof *values);
    for (size_t i = 0; i < r->n; i++) {
        if (r->valid[i])
            (void)read_u32(&r->at[i]);
        for (size_t k = items[i]; k < items[i + 1]; k++) {
            if ((values[k] = read_string(&r->at[i], SIZE_MAX, &lengths[k])) == NULL)
                return damaged(r, i);
            weights[k] = read_f32(&r->at[i]);
            types[k] = history ? read_u8(&r->at[i]) : 0;
        }
        if (r->at[i].failed)
            return damaged(r, i);
    }
    if (history)
        return set_history(r, f, items, values, lengths, weights, types);
    const int32_t status = ecrec_batch_set_multi(r->batch, f, items, values, lengths, weights, r->valid, r->err);
    if (status == ECREC_OK)
        put_weights(r, f, weights, total);
    return status;
}

static int32_t read_label(rows_reader *r, uint32_t l, float *values)
{
    for (size_t i = 0; i < r->n; i++) {
        const uint8_t there = l < r->labels[i] ? read_u8(&r->at[i]) : 0;
        r->valid[i] = there;
        values[i] = there ? read_f32(&r->at[i]) : 0;
        if (r->at[i].failed || there > 1)
            return damaged(r, i);
    }
    return ecrec_batch_set_label(r->batch, l, values, r->valid, r->err);
}

/* The weights and what else is beside fields and labels. */
static int32_t read_own(rows_reader *r)
{
    const size_t n = r->n;
    uint8_t *valid[4];
    float *weights = arena_zero(&r->work, memory_product(n + 1, sizeof *weights)), *propensities = arena_zero(&r->work, memory_product(n + 1, sizeof *propensities));
    uint32_t *positions = arena_zero(&r->work, memory_product(n + 1, sizeof *positions));
    uint64_t *events = arena_zero(&r->work, memory_product(n + 1, sizeof *events)), *groups = arena_zero(&r->work, memory_product(n + 1, sizeof *groups));
    for (size_t k = 0; k < 4; k++)
        valid[k] = arena_zero(&r->work, n + 1);
    if (weights == NULL || propensities == NULL || positions == NULL || events == NULL || groups == NULL || valid[0] == NULL || valid[1] == NULL ||
        valid[2] == NULL || valid[3] == NULL)
        return no_room(r, n * sizeof *events);
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) {
        reader *at = &r->at[i];
        weights[i] = read_f32(at);
        const uint8_t has = read_u8(at);
        any |= has;
        for (size_t k = 0; k < 4; k++)
            valid[k][i] = has >> k & 1;
        positions[i] = has & HAS_POSITION ? read_u32(at) : 1;
        propensities[i] = has & HAS_PROPENSITY ? read_f32(at) : 1;
        events[i] = has & HAS_EVENT ? read_u64(at) : 0;
        groups[i] = has & HAS_GROUP ? read_u64(at) : 0;
        if (at->failed || at->position != at->length || has > 15)
            return damaged(r, i);
    }
    int32_t status = ecrec_batch_set_weight(r->batch, weights, r->err);
    if (status == ECREC_OK && any & HAS_POSITION)
        status = ecrec_batch_set_position(r->batch, positions, valid[0], r->err);
    if (status == ECREC_OK && any & HAS_PROPENSITY)
        status = ecrec_batch_set_propensity(r->batch, propensities, valid[1], r->err);
    if (status == ECREC_OK && any & HAS_EVENT)
        status = ecrec_batch_set_event(r->batch, events, valid[2], r->err);
    return status == ECREC_OK && any & HAS_GROUP ? ecrec_batch_set_group(r->batch, groups, valid[3], r->err) : status;
}

static int32_t read_columns(rows_reader *r)
{
    const ecrec_schema *s = r->schema;
    float *values = arena_zero(&r->work, memory_product(r->n + 1, sizeof *values));
    int32_t status = values != NULL ? ECREC_OK : no_room(r, r->n * sizeof *values);
    for (uint32_t f = 0; f < s->field_count && status == ECREC_OK; f++)
        switch (field_form(s->fields[f].kind)) {
        case ECREC_FIELD_NUMBER: status = read_numbers(r, f); break;
        case ECREC_FIELD_TIME: status = read_times(r, f); break;
        case ECREC_FIELD_VECTOR: status = read_vectors(r, f); break;
        case ECREC_FIELD_MULTI: status = read_multis(r, f, 0); break;
        case ECREC_FIELD_HISTORY: status = read_multis(r, f, 1); break;
        default: status = read_texts(r, f); break;
        }
    for (uint32_t l = 0; l < s->label_count && status == ECREC_OK; l++)
        status = read_label(r, l, values);
    return status == ECREC_OK ? read_own(r) : status;
}

int32_t rows_batch(const ecrec_schema *s, const row_bytes *rows, size_t n, ecrec_batch **out, ecrec_error *err)
{
    rows_reader r = { .schema = s, .n = n, .err = err };
    int32_t status = ecrec_batch_create(s, &r.batch, err);
    if (status == ECREC_OK)
        status = ecrec_batch_reset(r.batch, n, err);
    if (status != ECREC_OK) {
        ecrec_batch_release(r.batch);
        return status;
    }
    arena_init(&r.work, r.batch->m);
    r.at = arena_zero(&r.work, memory_product(n + 1, sizeof *r.at));
    r.fields = arena_zero(&r.work, memory_product(n + 1, sizeof *r.fields));
    r.labels = arena_zero(&r.work, memory_product(n + 1, sizeof *r.labels));
    r.valid = arena_zero(&r.work, n + 1);
    if (r.at == NULL || r.fields == NULL || r.labels == NULL || r.valid == NULL)
        status = no_room(&r, n * sizeof *r.at);
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        reader_init(&r.at[i], rows[i].data, rows[i].length);
        r.fields[i] = read_u32(&r.at[i]);
        r.labels[i] = read_u32(&r.at[i]);
        if (r.at[i].failed || r.fields[i] > s->field_count || r.labels[i] > s->label_count)
            status = damaged(&r, i);
    }
    if (status == ECREC_OK)
        status = read_columns(&r);
    arena_release(&r.work);
    if (status == ECREC_OK)
        *out = r.batch;
    else
        ecrec_batch_release(r.batch);
    return status;
}
