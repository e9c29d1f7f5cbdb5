#include "rank/batch.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"

enum { MOST_ROWS = 1 << 28 };

int32_t ecrec_batch_create(const ecrec_schema *schema, ecrec_batch **batch, ecrec_error *err)
{
    if (schema == NULL || batch == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_create: %s is NULL", schema == NULL ? "schema" : "batch");
    memory *m = &schema->context->m;
    ecrec_batch *b = memory_zero(m, sizeof *b);
    if (b == NULL)
        return error_nomem(err, "a batch", sizeof *b);
    b->m = m;
    buffer_init(&b->bad_text, m);
    b->column_count = schema->field_count + schema->label_count + ROW_COLUMNS;
    const size_t bytes = b->column_count * sizeof *b->columns;
    b->columns = memory_zero(m, bytes);
    if (b->columns == NULL) {
        memory_release(m, b, sizeof *b);
        return error_nomem(err, "a batch", bytes);
    }
    b->schema = schema_reference((ecrec_schema *)(uintptr_t)schema); /* the count is not part of what a reader sees */
    *batch = b;
    return ECREC_OK;
}

static void drop(memory *m, batch_block *block)
{
    if (!block->borrowed)
        memory_release(m, block->data, block->capacity);
    *block = (batch_block){ NULL, 0, 0 };
}

void batch_drop(ecrec_batch *b, batch_column *c)
{
    batch_block *const blocks[] = { &c->valid, &c->values, &c->starts, &c->items, &c->weights, &c->types };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        drop(b->m, blocks[i]);
    c->set = 0;
}

/* What was lent goes back, and then to its producer. */
void batch_give_back(ecrec_batch *b)
{
    if (b->lent.release == NULL)
        return;
    for (uint32_t i = 0; i < b->column_count; i++) {
        batch_column *c = &b->columns[i];
        batch_block *const blocks[] = { &c->valid, &c->values, &c->starts, &c->items, &c->weights, &c->types };
        for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
            if (blocks[k]->borrowed) {
                drop(b->m, blocks[k]);
                c->set = 0;
            }
    }
    struct ArrowArray gone = b->lent;
    b->lent.release = NULL;
    gone.release(&gone);
}

void ecrec_batch_release(ecrec_batch *b)
{
    if (b == NULL)
        return;
    batch_give_back(b);
    for (uint32_t i = 0; i < b->column_count; i++)
        batch_drop(b, &b->columns[i]);
    batch_forget_bad(b);
    ecrec_schema *schema = b->schema;
    memory_release(b->m, b->columns, b->column_count * sizeof *b->columns);
    memory_release(b->m, b, sizeof *b);
    ecrec_schema_release(schema);
}

int32_t ecrec_batch_reset(ecrec_batch *b, size_t rows, ecrec_error *err)
{
    if (b == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_reset: batch is NULL");
    if (rows > MOST_ROWS)
        return error_set(err, ECREC_ERR_LIMIT, "%zu rows are too many for a batch (at most %d)", rows, MOST_ROWS);
    batch_give_back(b);
    batch_forget_bad(b);
    b->rows = rows;
    for (uint32_t i = 0; i < b->column_count; i++)
        b->columns[i].set = 0;
    return ECREC_OK;
}

size_t ecrec_batch_rows(const ecrec_batch *b)
{
    return b != NULL ? b->rows : 0;
}

/* Room for a column's next content beside what it holds, so that a refused one leaves it as it was. */
typedef struct room { batch_block valid, values, starts; } room;

int32_t batch_reserve(ecrec_batch *b, batch_block *block, size_t bytes)
{
    block->borrowed = 0;
    block->data = memory_allocate(b->m, bytes != 0 ? bytes : 1);
    block->capacity = block->data != NULL ? (bytes != 0 ? bytes : 1) : 0;
    return block->data != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* Blocks that are large enough: the column's own, or new ones in `fresh`. */
static int32_t make_room(ecrec_batch *b, const batch_column *c, room *fresh, size_t values, size_t starts, ecrec_error *err)
{
    memset(fresh, 0, sizeof *fresh);
    if ((c->valid.capacity >= b->rows && c->valid.data != NULL) || batch_reserve(b, &fresh->valid, b->rows) == ECREC_OK)
        if ((c->values.capacity >= values && c->values.data != NULL) || batch_reserve(b, &fresh->values, values) == ECREC_OK)
            if (starts == 0 || c->starts.capacity >= starts || batch_reserve(b, &fresh->starts, starts) == ECREC_OK)
                return ECREC_OK;
    drop(b->m, &fresh->valid);
    drop(b->m, &fresh->values);
    drop(b->m, &fresh->starts);
    return error_nomem(err, "a column", values + starts + b->rows);
}

static void adopt(ecrec_batch *b, batch_block *own, batch_block *fresh)
{
    if (fresh->data == NULL)
        return;
    drop(b->m, own);
    *own = *fresh;
}

static void take_room(ecrec_batch *b, batch_column *c, room *fresh)
{
    adopt(b, &c->valid, &fresh->valid);
    adopt(b, &c->values, &fresh->values);
    adopt(b, &c->starts, &fresh->starts);
    c->set = 1;
}

int32_t batch_find(const ecrec_batch *b, uint32_t field, int32_t kind, const void *values, const char *call, ecrec_error *err)
{
    if (b == NULL)
        return error_set(err, ECREC_ERR_INVALID, "%s: batch is NULL", call);
    if (field >= b->schema->field_count)
        return error_set(err, ECREC_ERR_INVALID, "%s: field %u is not below %u", call, field, b->schema->field_count);
    const schema_field *f = &b->schema->fields[field];
    if (field_form(f->kind) != kind)
        return error_set(err, ECREC_ERR_INVALID, "field \"%s\" has kind %s, the call is for %s", f->name, field_kind_name(f->kind), field_kind_name(kind));
    if (values == NULL && b->rows != 0)
        return error_set(err, ECREC_ERR_INVALID, "%s: the values of field \"%s\" are NULL", call, f->name);
    return ECREC_OK;
}

static int32_t set_strings(ecrec_batch *b, uint32_t field, const char *const *texts, const size_t *lengths, ecrec_error *err)
{
    batch_column *c = &b->columns[field];
    size_t bytes = 0;
    room fresh;
    if (lengths == NULL && b->rows != 0)
        return error_set(err, ECREC_ERR_INVALID, "the lengths of field \"%s\" are NULL", b->schema->fields[field].name);
    for (size_t i = 0; i < b->rows; i++)
        if (texts[i] != NULL && (lengths[i] >= UINT32_MAX || !size_add(bytes, lengths[i], &bytes)))
            return error_row(err, ECREC_ERR_LIMIT, i, "row %zu, field \"%s\": the text has more than 4 GiB", i, b->schema->fields[field].name);
    const int32_t status = make_room(b, c, &fresh, bytes, (b->rows + 1) * sizeof(uint64_t), err);
    if (status != ECREC_OK)
        return status;
    take_room(b, c, &fresh);
    uint64_t *starts = (uint64_t *)(void *)c->starts.data;
    size_t at = 0;
    for (size_t i = 0; i < b->rows; i++) {
        const size_t n = texts[i] != NULL ? lengths[i] : 0;
        starts[i] = at;
        c->valid.data[i] = texts[i] != NULL;
        if (n != 0)
            memcpy(c->values.data + at, texts[i], n);
        at += n;
    }
    starts[b->rows] = at;
    return ECREC_OK;
}

int32_t ecrec_batch_set_text(ecrec_batch *batch, uint32_t field, const char *const *texts, const size_t *lengths, ecrec_error *err)
{
    const int32_t status = batch_find(batch, field, ECREC_FIELD_TEXT, texts, "ecrec_batch_set_text", err);
    return status == ECREC_OK ? set_strings(batch, field, texts, lengths, err) : status;
}

int32_t ecrec_batch_set_category(ecrec_batch *batch, uint32_t field, const char *const *values, const size_t *lengths, ecrec_error *err)
{
    const int32_t status = batch_find(batch, field, ECREC_FIELD_CATEGORY, values, "ecrec_batch_set_category", err);
    return status == ECREC_OK ? set_strings(batch, field, values, lengths, err) : status;
}

int32_t ecrec_batch_set_category_u64(ecrec_batch *batch, uint32_t field, const uint64_t *values, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    int32_t status = batch_find(batch, field, ECREC_FIELD_CATEGORY, values, "ecrec_batch_set_category_u64", err);
    if (status != ECREC_OK)
        return status;
    batch_column *c = &batch->columns[field];
    if ((status = make_room(batch, c, &fresh, batch->rows * 20, (batch->rows + 1) * sizeof(uint64_t), err)) != ECREC_OK)
        return status;
    take_room(batch, c, &fresh);
    uint64_t *starts = (uint64_t *)(void *)c->starts.data;
    size_t at = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        starts[i] = at;
        c->valid.data[i] = valid == NULL || valid[i] != 0;
        if (!c->valid.data[i])
            continue;
        char text[24];
        const size_t n = format_text(text, sizeof text, "%llu", (unsigned long long)values[i]);
        memcpy(c->values.data + at, text, n);
        at += n;
    }
    starts[batch->rows] = at;
    return ECREC_OK;
}

static batch_column *row_column(ecrec_batch *b, uint32_t which)
{
    return &b->columns[b->schema->field_count + b->schema->label_count + which];
}

static void take_valid(ecrec_batch *b, batch_column *c, const uint8_t *valid)
{
    for (size_t i = 0; i < b->rows; i++)
        c->valid.data[i] = (valid == NULL || valid[i] != 0) && !batch_row_bad(b, i);
}

int32_t ecrec_batch_set_number(ecrec_batch *batch, uint32_t field, const double *values, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    int32_t status = batch_find(batch, field, ECREC_FIELD_NUMBER, values, "ecrec_batch_set_number", err);
    if (status != ECREC_OK)
        return status;
    if ((status = batch_check_numbers(batch, batch->schema->fields[field].name, values, valid, err)) != ECREC_OK)
        return status;
    batch_column *c = &batch->columns[field];
    if ((status = make_room(batch, c, &fresh, batch->rows * sizeof *values, 0, err)) != ECREC_OK)
        return status;
    take_room(batch, c, &fresh);
    take_valid(batch, c, valid);
    if (batch->rows != 0)
        memcpy(c->values.data, values, batch->rows * sizeof *values);
    return ECREC_OK;
}

int32_t ecrec_batch_set_time(ecrec_batch *batch, uint32_t field, const int64_t *microseconds, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    int32_t status = batch_find(batch, field, ECREC_FIELD_TIME, microseconds, "ecrec_batch_set_time", err);
    if (status != ECREC_OK)
        return status;
    if ((status = batch_check_times(batch, batch->schema->fields[field].name, microseconds, valid, err)) != ECREC_OK)
        return status;
    batch_column *c = &batch->columns[field];
    if ((status = make_room(batch, c, &fresh, batch->rows * sizeof *microseconds, 0, err)) != ECREC_OK)
        return status;
    take_room(batch, c, &fresh);
    take_valid(batch, c, valid);
    if (batch->rows != 0)
        memcpy(c->values.data, microseconds, batch->rows * sizeof *microseconds);
    return ECREC_OK;
}

int32_t ecrec_batch_set_vector(ecrec_batch *batch, uint32_t field, const float *vectors, size_t stride, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    size_t bytes = 0;
    int32_t status = batch_find(batch, field, ECREC_FIELD_VECTOR, vectors, "ecrec_batch_set_vector", err);
    if (status != ECREC_OK)
        return status;
    const schema_field *f = &batch->schema->fields[field];
    const size_t d = f->dimension;
    if (stride == 0)
        stride = d;
    if (stride < d)
        return error_set(err, ECREC_ERR_INVALID, "field \"%s\": the stride %zu is below the dimension %zu", f->name, stride, d);
    if ((status = batch_check_vectors(batch, f->name, vectors, d, stride, valid, err)) != ECREC_OK)
        return status;
    batch_column *c = &batch->columns[field];
    if (!size_multiply(batch->rows, d * sizeof *vectors, &bytes))
        bytes = SIZE_MAX;
    if ((status = make_room(batch, c, &fresh, bytes, 0, err)) != ECREC_OK)
        return status;
    take_room(batch, c, &fresh);
    take_valid(batch, c, valid);
    for (size_t i = 0; i < batch->rows; i++)
        memcpy(c->values.data + i * d * sizeof *vectors, vectors + i * stride, d * sizeof *vectors);
    return ECREC_OK;
}

/* Items do not fall, values are there, weights are finite; *bytes of all values. */
static int32_t check_items(ecrec_batch *b, const char *name, const size_t *items, const char *const *values, const size_t *lengths, const float *weights,
                           size_t *bytes, ecrec_error *err)
{
    *bytes = 0;
    for (size_t i = 0; i < b->rows; i++) {
        if (items[i + 1] < items[i] || (i == 0 && items[0] != 0) || items[i + 1] - items[i] > UINT32_MAX) /* the call's own, not a row's */
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu, field \"%s\": its items begin at %zu and end before %zu", i, name, items[i], items[i + 1]);
        for (size_t k = items[i]; k < items[i + 1]; k++) {
            if (values[k] == NULL && lengths[k] != 0)
                return error_row(err, ECREC_ERR_INVALID, i, "row %zu, field \"%s\": value %zu is NULL", i, name, k - items[i]);
            if (weights != NULL && !(isfinite(weights[k]) && fabsf(weights[k]) < 1e15f) &&
                batch_bad(b, err, i, "row %zu, field \"%s\": the weight %g is not a number that can be used", i, name, (double)weights[k]) != ECREC_OK)
                return ECREC_ERR_INVALID;
            if (lengths[k] >= UINT32_MAX || !size_add(*bytes, lengths[k], bytes))
                return error_row(err, ECREC_ERR_LIMIT, i, "row %zu, field \"%s\": the values have more than 4 GiB", i, name);
        }
    }
    return ECREC_OK;
}

void batch_scale_weights(const float *weights, size_t from, size_t to, float *out)
{
    double squares = 0;
    for (size_t k = from; k < to; k++)
        squares += weights != NULL ? (double)weights[k] * weights[k] : 1;
    const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (size_t k = from; k < to; k++)
        out[k] = (float)((weights != NULL ? (double)weights[k] : 1) * scale);
}

int32_t ecrec_batch_set_multi(ecrec_batch *batch, uint32_t field, const size_t *items, const char *const *values, const size_t *lengths,
                              const float *weights, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    batch_block items_block = { NULL, 0, 0 }, weights_block = { NULL, 0, 0 };
    size_t bytes = 0;
    int32_t status = batch_find(batch, field, ECREC_FIELD_MULTI, items, "ecrec_batch_set_multi", err);
    if (status != ECREC_OK)
        return status;
    const char *name = batch->schema->fields[field].name;
    const size_t count = batch->rows != 0 ? items[batch->rows] : 0;
    if (count != 0 && (values == NULL || lengths == NULL))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_multi: the values or lengths of field \"%s\" are NULL", name);
    if ((status = check_items(batch, name, items, values, lengths, weights, &bytes, err)) != ECREC_OK)
        return status;
    batch_column *c = &batch->columns[field];
    if (batch_reserve(batch, &items_block, (batch->rows + 1) * sizeof(uint64_t)) != ECREC_OK || batch_reserve(batch, &weights_block, memory_product(count, sizeof(float))) != ECREC_OK) {
        drop(batch->m, &items_block);
        return error_nomem(err, "a column", count * sizeof(float));
    }
    if ((status = make_room(batch, c, &fresh, bytes, memory_product(count + 1, sizeof(uint64_t)), err)) != ECREC_OK) {
        drop(batch->m, &items_block);
        drop(batch->m, &weights_block);
        return status;
    }
    take_room(batch, c, &fresh);
    adopt(batch, &c->items, &items_block);
    adopt(batch, &c->weights, &weights_block);
    take_valid(batch, c, valid);
    uint64_t *starts = (uint64_t *)(void *)c->starts.data, *first = (uint64_t *)(void *)c->items.data;
    size_t at = 0;
    for (size_t i = 0; i < batch->rows; i++) {
        first[i] = items[i];
        batch_scale_weights(weights, items[i], items[i + 1], (float *)(void *)c->weights.data);
    }
    first[batch->rows] = count;
    for (size_t k = 0; k < count; k++) {
        starts[k] = at;
        if (lengths[k] != 0)
            memcpy(c->values.data + at, values[k], lengths[k]);
        at += lengths[k];
    }
    starts[count] = at;
    return ECREC_OK;
}

static int32_t set_floats(ecrec_batch *b, batch_column *c, const float *values, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    const int32_t status = make_room(b, c, &fresh, b->rows * sizeof *values, 0, err);
    if (status != ECREC_OK)
        return status;
    take_room(b, c, &fresh);
    take_valid(b, c, valid);
    if (b->rows != 0)
        memcpy(c->values.data, values, b->rows * sizeof *values);
    return ECREC_OK;
}

int32_t ecrec_batch_set_label(ecrec_batch *batch, uint32_t label, const float *values, const uint8_t *valid, ecrec_error *err)
{
    if (batch == NULL || (values == NULL && batch->rows != 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_label: %s is NULL", batch == NULL ? "batch" : "values");
    if (label >= batch->schema->label_count)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_label: label %u is not below %u", label, batch->schema->label_count);
    const schema_label *l = &batch->schema->labels[label];
    const int32_t status = batch_check_labels(batch, l, values, valid, err);
    return status != ECREC_OK ? status : set_floats(batch, &batch->columns[batch->schema->field_count + label], values, valid, err);
}

static int32_t row_floats(ecrec_batch *batch, uint32_t which, const float *values, const uint8_t *valid, ecrec_error *err)
{
    const char *name = row_column_name(which);
    if (batch == NULL || (values == NULL && batch->rows != 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_%s: %s", name, batch == NULL ? "batch is NULL" : "the values are NULL");
    const int32_t status = batch_check_row_floats(batch, which, values, valid, err);
    return status != ECREC_OK ? status : set_floats(batch, row_column(batch, which), values, valid, err);
}

int32_t ecrec_batch_set_weight(ecrec_batch *batch, const float *weights, ecrec_error *err)
{
    return row_floats(batch, ROW_WEIGHT, weights, NULL, err);
}

int32_t ecrec_batch_set_propensity(ecrec_batch *batch, const float *propensities, const uint8_t *valid, ecrec_error *err)
{
    return row_floats(batch, ROW_PROPENSITY, propensities, valid, err);
}

int32_t ecrec_batch_set_position(ecrec_batch *batch, const uint32_t *positions, const uint8_t *valid, ecrec_error *err)
{
    room fresh;
    if (batch == NULL || (positions == NULL && batch->rows != 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_position: %s is NULL", batch == NULL ? "batch" : "positions");
    batch_column *c = row_column(batch, ROW_POSITION);
    int32_t status = batch_check_positions(batch, positions, valid, err);
    if (status != ECREC_OK)
        return status;
    status = make_room(batch, c, &fresh, batch->rows * sizeof *positions, 0, err);
    if (status != ECREC_OK)
        return status;
    take_room(batch, c, &fresh);
    take_valid(batch, c, valid);
    if (batch->rows != 0)
        memcpy(c->values.data, positions, batch->rows * sizeof *positions);
    return ECREC_OK;
}

/* ids, or texts with lengths. */
static int32_t row_ids(ecrec_batch *b, uint32_t which, const uint64_t *ids, const char *const *texts, const size_t *lengths, const uint8_t *valid,
                       const char *call, ecrec_error *err)
{
    room fresh;
    if (b == NULL || (b->rows != 0 && ids == NULL && (texts == NULL || lengths == NULL)))
        return error_set(err, ECREC_ERR_INVALID, "%s: %s", call, b == NULL ? "batch is NULL" : "ids or lengths are NULL");
    batch_column *c = row_column(b, which);
    const int32_t status = make_room(b, c, &fresh, b->rows * sizeof *ids, 0, err);
    if (status != ECREC_OK)
        return status;
    take_room(b, c, &fresh);
    take_valid(b, c, valid);
    uint64_t *to = (uint64_t *)(void *)c->values.data;
    for (size_t i = 0; i < b->rows; i++) {
        if (ids == NULL)
            c->valid.data[i] = texts[i] != NULL;
        to[i] = ids != NULL ? ids[i] : texts[i] != NULL ? ecrec_id_hash(texts[i], lengths[i]) : 0;
    }
    return ECREC_OK;
}

int32_t ecrec_batch_set_event(ecrec_batch *batch, const uint64_t *ids, const uint8_t *valid, ecrec_error *err)
{
    return row_ids(batch, ROW_EVENT, ids, NULL, NULL, valid, "ecrec_batch_set_event", err);
}

int32_t ecrec_batch_set_event_bytes(ecrec_batch *batch, const char *const *ids, const size_t *lengths, ecrec_error *err)
{
    return row_ids(batch, ROW_EVENT, NULL, ids, lengths, NULL, "ecrec_batch_set_event_bytes", err);
}

int32_t ecrec_batch_set_group(ecrec_batch *batch, const uint64_t *ids, const uint8_t *valid, ecrec_error *err)
{
    return row_ids(batch, ROW_GROUP, ids, NULL, NULL, valid, "ecrec_batch_set_group", err);
}

int32_t ecrec_batch_set_group_bytes(ecrec_batch *batch, const char *const *ids, const size_t *lengths, ecrec_error *err)
{
    return row_ids(batch, ROW_GROUP, NULL, ids, lengths, NULL, "ecrec_batch_set_group_bytes", err);
}

uint64_t ecrec_id_hash(const void *bytes, size_t length)
{
    return hash64(bytes != NULL ? bytes : "", bytes != NULL ? length : 0, 0);
}
