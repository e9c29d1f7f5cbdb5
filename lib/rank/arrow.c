/* Record batches of Arrow as batches. A new batch is filled beside the old one; it takes the old one's place when all is well. */
#include <string.h>

#include "base/error.h"
#include "rank/arrow_read.h"

enum { MOST_ROWS = 1 << 28 };

static int32_t read_field(const reading *r, uint32_t number, const schema_field *f)
{
    ecrec_batch *b = r->b;
    const uint8_t *valid = r->to->valid.data;
    int32_t status;
    switch (field_form(f->kind)) {
    case ECREC_FIELD_TEXT: return arrow_read_texts_of(r, &r->column, r->first, b->rows, 0, &r->to->starts, &r->to->values);
    case ECREC_FIELD_CATEGORY: return arrow_read_texts_of(r, &r->column, r->first, b->rows, 1, &r->to->starts, &r->to->values);
    case ECREC_FIELD_MULTI: return arrow_read_multi(r);
    case ECREC_FIELD_HISTORY: return arrow_read_history(r, number);
    case ECREC_FIELD_VECTOR:
        status = arrow_read_vectors(r, f->dimension);
        return status == ECREC_OK ? batch_check_vectors(b, f->name, (const float *)(const void *)r->to->values.data, f->dimension, f->dimension, valid, r->err) : status;
    case ECREC_FIELD_TIME:
        status = arrow_read_times(r);
        return status == ECREC_OK ? batch_check_times(b, f->name, (const int64_t *)(const void *)r->to->values.data, valid, r->err) : status;
    case ECREC_FIELD_NUMBER:
        status = arrow_is_number(&r->column) ? arrow_read_doubles(r) : arrow_wrong_type(r, &r->column, "number");
        return status == ECREC_OK ? batch_check_numbers(b, f->name, (const double *)(const void *)r->to->values.data, valid, r->err) : status;
    default: return error_set(r->err, ECREC_ERR_UNSUPPORTED, "field \"%s\": kind %s is not read from Arrow", f->name, field_kind_name(f->kind));
    }
}

static int32_t read_row_column(const reading *r, uint32_t which)
{
    const uint8_t *valid = r->to->valid.data;
    int32_t status;
    if (which == ROW_EVENT || which == ROW_GROUP)
        return arrow_read_ids(r);
    if (!arrow_is_number(&r->column))
        return arrow_wrong_type(r, &r->column, "number");
    if (which == ROW_POSITION) {
        status = arrow_read_positions(r);
        return status == ECREC_OK ? batch_check_positions(r->b, (const uint32_t *)(const void *)r->to->values.data, valid, r->err) : status;
    }
    status = which == ROW_WEIGHT && memchr(valid, 0, r->b->rows) != NULL ? arrow_read_some_weights(r) : arrow_read_floats(r);
    if (status != ECREC_OK)
        return status;
    return batch_check_row_floats(r->b, which, (const float *)(const void *)r->to->values.data, valid, r->err);
}

/* Column `number` of the batch; the child that has its name, if there is one. */
static int32_t read_column(reading *r, uint32_t number, const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    const ecrec_schema *s = r->b->schema;
    const uint32_t labels = s->field_count, extras = labels + s->label_count;
    r->to = &r->b->columns[number];
    int32_t status = column_open(&r->column, r->name, schema, array, r->first, (int64_t)r->b->rows, r->err);
    if (status != ECREC_OK || (status = arrow_take_valid(r)) != ECREC_OK)
        return status;
    if (number < labels)
        status = read_field(r, number, &s->fields[number]);
    else if (number >= extras)
        status = read_row_column(r, number - extras);
    else if (!arrow_is_number(&r->column))
        status = arrow_wrong_type(r, &r->column, "number");
    else if ((status = arrow_read_floats(r)) == ECREC_OK)
        status = batch_check_labels(r->b, &s->labels[number - labels], (const float *)(const void *)r->to->values.data, r->to->valid.data, r->err);
    for (size_t i = 0; status == ECREC_OK && i < r->b->rows; i++)
        if (batch_row_bad(r->b, i))
            r->to->valid.data[i] = 0;
    r->to->set = status == ECREC_OK;
    return status;
}

/* The column of the batch that a name means; UINT32_MAX: none. */
static uint32_t find_column(const ecrec_schema *s, const char *name)
{
    const uint32_t field = ecrec_schema_find_field(s, name), label = ecrec_schema_find_label(s, name);
    if (field != UINT32_MAX || label != UINT32_MAX)
        return field != UINT32_MAX ? field : s->field_count + label;
    for (uint32_t i = 0; i < ROW_COLUMNS; i++)
        if (strcmp(row_column_name(i), name) == 0)
            return s->field_count + s->label_count + i;
    return UINT32_MAX;
}

static int32_t read_columns(reading *r)
{
    const ecrec_schema *s = r->b->schema;
    int32_t status = ECREC_OK;
    uint32_t found = 0;
    for (int64_t i = 0; i < r->top.schema->n_children && status == ECREC_OK; i++) {
        const struct ArrowSchema *schema = NULL;
        const struct ArrowArray *array = NULL;
        if ((status = view_child(&r->top, i, &schema, &array, r->err)) != ECREC_OK)
            break;
        r->name = schema->name != NULL ? schema->name : "";
        const uint32_t number = find_column(s, r->name);
        if (number == UINT32_MAX)
            continue;
        if (r->b->columns[number].valid.data != NULL)
            return error_set(r->err, ECREC_ERR_INVALID, "Arrow: the column \"%s\" is there twice", r->name);
        found += number < s->field_count;
        status = read_column(r, number, schema, array);
    }
    if (status == ECREC_OK && found == 0)
        return error_set(r->err, ECREC_ERR_INVALID, "Arrow: no column has the name of one of the schema's fields (the first is \"%s\")", s->field_count != 0 ? s->fields[0].name : "");
    return status;
}

static void drop_columns(ecrec_batch *b)
{
    for (uint32_t i = 0; i < b->column_count; i++)
        batch_drop(b, &b->columns[i]);
    memory_release(b->m, b->columns, b->column_count * sizeof *b->columns);
}

int32_t ecrec_batch_take_arrow(ecrec_batch *batch, const struct ArrowSchema *schema, struct ArrowArray *array, ecrec_error *err)
{
    if (batch == NULL || schema == NULL || array == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_take_arrow: %s is NULL", batch == NULL ? "batch" : schema == NULL ? "schema" : "array");
    ecrec_batch fresh = { .schema = batch->schema, .m = batch->m, .column_count = batch->column_count, .skip_bad = batch->skip_bad };
    reading r = { .b = &fresh, .err = err };
    buffer_init(&fresh.bad_text, fresh.m);
    int32_t status = view_open(&r.top, "(record batch)", schema, array, 0, array->length, err);
    if (status != ECREC_OK)
        return status;
    if (r.top.form != ARROW_RECORDS)
        return error_set(err, ECREC_ERR_INVALID, "Arrow: format \"%s\" is no record batch (a struct, \"+s\")", schema->format);
    if (r.top.length > MOST_ROWS)
        return error_set(err, ECREC_ERR_LIMIT, "%lld rows are too many for a batch (at most %d)", (long long)r.top.length, MOST_ROWS);
    fresh.rows = (size_t)r.top.length;
    r.first = r.top.offset;
    if ((fresh.columns = memory_zero(fresh.m, fresh.column_count * sizeof *fresh.columns)) == NULL)
        return error_nomem(err, "a batch", fresh.column_count * sizeof *fresh.columns);
    if ((status = read_columns(&r)) != ECREC_OK) {
        drop_columns(&fresh);
        batch_forget_bad(&fresh);
        return status;
    }
    batch_give_back(batch);
    drop_columns(batch);
    batch_forget_bad(batch);
    *batch = fresh;
    batch->lent = *array;
    array->release = NULL;
    return ECREC_OK;
}

static int32_t stream_failed(struct ArrowArrayStream *stream, int code, ecrec_error *err)
{
    const char *why = stream->get_last_error != NULL ? stream->get_last_error(stream) : NULL;
    return error_set(err, ECREC_ERR_IO, "the Arrow stream failed: %s (%d)", why != NULL ? why : "it does not say why", code);
}

int32_t ecrec_batch_next_arrow(ecrec_batch *batch, struct ArrowArrayStream *stream, size_t *rows, int32_t *more, ecrec_error *err)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    if (batch == NULL || stream == NULL || rows == NULL || more == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_next_arrow: an argument is NULL");
    if (stream->release == NULL || stream->get_schema == NULL || stream->get_next == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_next_arrow: the stream was released");
    memset(&schema, 0, sizeof schema);
    memset(&array, 0, sizeof array);
    int code = stream->get_schema(stream, &schema);
    if (code != 0)
        return stream_failed(stream, code, err);
    int32_t status = ECREC_OK;
    if ((code = stream->get_next(stream, &array)) != 0)
        status = stream_failed(stream, code, err);
    else if (array.release == NULL) /* the end */
        status = ecrec_batch_reset(batch, 0, err);
    else
        status = ecrec_batch_take_arrow(batch, &schema, &array, err);
    if (status == ECREC_OK) {
        *more = batch->lent.release != NULL;
        *rows = batch->rows;
    } else if (code == 0 && array.release != NULL) {
        array.release(&array);
    }
    if (schema.release != NULL)
        schema.release(&schema);
    return status;
}
