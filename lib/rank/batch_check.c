/* What a batch's values must be, and the rows where they are not. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/report.h"
#include "rank/batch.h"

#define LEAST_TIME (-62135596800000000)  /* 0001-01-01T00:00Z in microseconds */
#define MOST_TIME 253402300799999999     /* the end of 9999 */

const char *row_column_name(uint32_t which)
{
    static const char *const names[] = { "weight", "position", "propensity", "event", "group" };
    return which < ROW_COLUMNS ? names[which] : NULL;
}

void batch_forget_bad(ecrec_batch *b)
{
    memory_release(b->m, b->bad, b->bad_rows);
    memory_release(b->m, b->bad_list, b->bad_room * sizeof *b->bad_list);
    buffer_release(&b->bad_text);
    buffer_init(&b->bad_text, b->m);
    b->bad = NULL;
    b->bad_list = NULL;
    b->bad_rows = b->bad_count = b->bad_room = 0;
}

static int32_t note(ecrec_batch *b, size_t row, const char *text, size_t length)
{
    if (b->bad == NULL) {
        if ((b->bad = memory_zero(b->m, b->rows)) == NULL)
            return ECREC_ERR_NOMEM;
        b->bad_rows = b->rows;
    }
    if (b->bad[row])
        return ECREC_OK; /* its first fault is told */
    if (b->bad_count == b->bad_room) {
        const size_t room = b->bad_room != 0 ? 2 * b->bad_room : 8;
        bad_row *more = memory_grow(b->m, b->bad_list, b->bad_room * sizeof *more, memory_product(room, sizeof *more));
        if (more == NULL)
            return ECREC_ERR_NOMEM;
        b->bad_list = more;
        b->bad_room = room;
    }
    const size_t at = b->bad_text.length;
    if (buffer_append(&b->bad_text, text, length + 1) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    b->bad_list[b->bad_count++] = (bad_row){ row, at };
    b->bad[row] = 1;
    return ECREC_OK;
}

int32_t batch_bad(ecrec_batch *b, ecrec_error *err, size_t row, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    const size_t n = format_text_v(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!b->skip_bad)
        return error_row(err, ECREC_ERR_INVALID, row, "%s", text);
    return note(b, row, text, n) == ECREC_OK ? ECREC_OK : error_nomem(err, "the rows to skip", b->rows);
}

static int there(const uint8_t *valid, size_t row)
{
    return valid == NULL || valid[row] != 0;
}

int32_t batch_check_numbers(ecrec_batch *b, const char *name, const double *values, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++)
        if (there(valid, i) && !isfinite(values[i]))
            status = batch_bad(b, err, i, "row %zu, field \"%s\": %g is not a number", i, name, values[i]);
    return status;
}

int32_t batch_check_times(ecrec_batch *b, const char *name, const int64_t *microseconds, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++)
        if (there(valid, i) && (microseconds[i] < LEAST_TIME || microseconds[i] > MOST_TIME))
            status = batch_bad(b, err, i, "row %zu, field \"%s\": %lld microseconds since 1970 are not in the years 1 .. 9999", i, name, (long long)microseconds[i]);
    return status;
}

int32_t batch_check_vectors(ecrec_batch *b, const char *name, const float *vectors, size_t dimension, size_t stride, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++)
        for (size_t j = 0; j < dimension && there(valid, i) && status == ECREC_OK; j++)
            if (!isfinite(vectors[i * stride + j]))
                status = batch_bad(b, err, i, "row %zu, field \"%s\": value %zu of the vector, %g, is not a number", i, name, j, (double)vectors[i * stride + j]);
    return status;
}

int32_t batch_check_labels(ecrec_batch *b, const schema_label *l, const float *values, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++) {
        if (!there(valid, i))
            continue;
        if (l->kind == ECREC_LABEL_BINARY && values[i] != 0.0f && values[i] != 1.0f)
            status = batch_bad(b, err, i, "row %zu, label \"%s\": %g is neither 0 nor 1", i, l->name, (double)values[i]);
        else if (!isfinite(values[i]))
            status = batch_bad(b, err, i, "row %zu, label \"%s\": %g is not a number", i, l->name, (double)values[i]);
        else if (l->target == ECREC_TARGET_LOG && values[i] < 0)
            status = batch_bad(b, err, i, "row %zu, label \"%s\": %g is below 0, and the label is learned by its logarithm", i, l->name, (double)values[i]);
        else if (l->classes != 0 && !(values[i] >= 0 && values[i] < (float)l->classes && values[i] == floorf(values[i])))
            status = batch_bad(b, err, i, "row %zu, label \"%s\": %g is no class (0 .. %u)", i, l->name, (double)values[i], l->classes - 1);
    }
    return status;
}

int32_t batch_check_row_floats(ecrec_batch *b, uint32_t which, const float *values, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++) {
        if (!there(valid, i))
            continue;
        if (which == ROW_WEIGHT && !(values[i] >= 0 && isfinite(values[i])))
            status = batch_bad(b, err, i, "row %zu: the weight %g is not a finite number >= 0", i, (double)values[i]);
        else if (which == ROW_PROPENSITY && !(values[i] > 0 && values[i] <= 1))
            status = batch_bad(b, err, i, "row %zu: the propensity %g is no probability above 0", i, (double)values[i]);
    }
    return status;
}

int32_t batch_check_positions(ecrec_batch *b, const uint32_t *positions, const uint8_t *valid, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++)
        if (there(valid, i) && positions[i] == 0)
            status = batch_bad(b, err, i, "row %zu: the position is 0; positions count from 1", i);
    return status;
}

/* The first required field that a row lacks, or NULL. */
static const schema_field *lacks(const ecrec_batch *b, const ecrec_schema *s, size_t row)
{
    for (uint32_t f = 0; f < s->field_count; f++)
        if (s->fields[f].required && !column_has(&b->columns[f], row))
            return &s->fields[f];
    return NULL;
}

int batch_row_skipped(const ecrec_batch *b, const ecrec_schema *s, size_t row)
{
    return batch_row_bad(b, row) || lacks(b, s, row) != NULL;
}

int32_t batch_check(const ecrec_batch *b, const ecrec_schema *s, uint32_t bad_rows, ecrec_error *err)
{
    if (b->schema->fingerprint != s->fingerprint)
        return error_set(err, ECREC_ERR_MISMATCH, "the batch was made for another schema than the model's");
    if (bad_rows > ECREC_BAD_ROWS_SKIP)
        return error_set(err, ECREC_ERR_INVALID, "bad_rows is %u; it must be ECREC_BAD_ROWS_REFUSE (0) or ECREC_BAD_ROWS_SKIP (1)", bad_rows);
    if (bad_rows == ECREC_BAD_ROWS_SKIP)
        return ECREC_OK;
    if (b->bad_count != 0)
        return error_row(err, ECREC_ERR_INVALID, b->bad_list[0].row, "%s", (const char *)b->bad_text.data + b->bad_list[0].text);
    for (uint32_t f = 0; f < s->field_count; f++)
        for (size_t i = 0; s->fields[f].required && i < b->rows; i++)
            if (!column_has(&b->columns[f], i))
                return error_row(err, ECREC_ERR_INVALID, i, "row %zu: the required field \"%s\" is missing", i, s->fields[f].name);
    return ECREC_OK;
}

/* ---- skipping ---- */

/* Columns of a batch that was made for an older or newer form of the schema, each at its place. */
static int32_t remap(batch_view *v, const ecrec_batch *b, const ecrec_schema *s, ecrec_error *err)
{
    const uint32_t fields = b->schema->field_count, labels = b->schema->label_count;
    const size_t bytes = (s->field_count + s->label_count + ROW_COLUMNS) * sizeof *v->related.columns;
    v->related = *b;
    v->related.schema = (ecrec_schema *)(uintptr_t)s; /* only read */
    v->related.column_count = s->field_count + s->label_count + ROW_COLUMNS;
    if ((v->related.columns = memory_zero(b->m, bytes)) == NULL) {
        v->related.column_count = 0;
        return error_nomem(err, "a batch", bytes);
    }
    for (uint32_t i = 0; i < fields && i < s->field_count; i++)
        v->related.columns[i] = b->columns[i];
    for (uint32_t i = 0; i < labels && i < s->label_count; i++)
        v->related.columns[s->field_count + i] = b->columns[fields + i];
    for (uint32_t i = 0; i < ROW_COLUMNS; i++)
        v->related.columns[s->field_count + s->label_count + i] = b->columns[fields + labels + i];
    return ECREC_OK;
}

int32_t batch_view_open(batch_view *v, const ecrec_batch *b, const ecrec_schema *s, uint32_t bad_rows, const ecrec_batch **out, ecrec_error *err)
{
    memset(v, 0, sizeof *v);
    int32_t status = ECREC_OK;
    if (b->schema->fingerprint != s->fingerprint && schema_related(b->schema, s)) {
        if ((status = remap(v, b, s, err)) != ECREC_OK)
            return status;
        b = &v->related;
    }
    *out = b;
    status = batch_check(b, s, bad_rows, err);
    if (status != ECREC_OK || bad_rows == ECREC_BAD_ROWS_REFUSE)
        return status;
    size_t skipped = 0;
    for (size_t i = 0; i < b->rows; i++)
        skipped += (size_t)batch_row_skipped(b, s, i);
    if (skipped == 0)
        return ECREC_OK;
    v->batch = (ecrec_batch){ .schema = b->schema, .m = b->m, .rows = b->rows, .column_count = b->column_count, .skip_bad = 1 };
    buffer_init(&v->batch.bad_text, b->m);
    v->batch.columns = memory_allocate(b->m, b->column_count * sizeof *b->columns);
    v->valid = memory_zero(b->m, memory_product(b->column_count, b->rows));
    if (v->batch.columns == NULL || v->valid == NULL)
        return error_nomem(err, "the rows to skip", b->rows);
    for (size_t i = 0; i < b->bad_count && status == ECREC_OK; i++)
        status = batch_bad(&v->batch, err, (size_t)b->bad_list[i].row, "%s", (const char *)b->bad_text.data + b->bad_list[i].text);
    for (size_t i = 0; i < b->rows && status == ECREC_OK; i++) {
        const schema_field *f = batch_row_bad(b, i) ? NULL : lacks(b, s, i);
        if (f != NULL)
            status = batch_bad(&v->batch, err, i, "row %zu: the required field \"%s\" is missing", i, f->name);
    }
    for (uint32_t k = 0; k < b->column_count && status == ECREC_OK; k++) {
        batch_column *c = &v->batch.columns[k];
        *c = b->columns[k];
        if (!c->set)
            continue;
        c->valid = (batch_block){ v->valid + k * b->rows, 0, 1 };
        for (size_t i = 0; i < b->rows; i++)
            c->valid.data[i] = b->columns[k].valid.data[i] && !batch_row_bad(&v->batch, i);
    }
    *out = &v->batch;
    return status;
}

void batch_view_close(batch_view *v)
{
    ecrec_batch *b = &v->batch;
    if (v->related.m != NULL)
        memory_release(v->related.m, v->related.columns, v->related.column_count * sizeof *v->related.columns);
    if (b->m == NULL)
        return;
    memory_release(b->m, v->valid, memory_product(b->column_count, b->rows));
    memory_release(b->m, b->columns, b->column_count * sizeof *b->columns);
    batch_forget_bad(b);
}

void batch_tell_skipped(ecrec_report *r, const ecrec_batch *b)
{
    char key[64];
    if (b->bad_count == 0)
        return;
    report_number(r, "skipped.rows", (double)b->bad_count);
    for (size_t i = 0; i < b->bad_count; i++) {
        const char *text = (const char *)b->bad_text.data + b->bad_list[i].text;
        report_numberf(r, (double)b->bad_list[i].row, "skipped.%zu.row", i);
        format_text(key, sizeof key, "skipped.%zu.reason", i);
        report_string(r, key, text, strlen(text));
    }
}

int32_t ecrec_batch_set_bad_rows(ecrec_batch *batch, int32_t policy, ecrec_error *err)
{
    if (batch == NULL || (policy != ECREC_BAD_ROWS_REFUSE && policy != ECREC_BAD_ROWS_SKIP))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_bad_rows: %s", batch == NULL ? "batch is NULL" : "there is no such policy");
    batch->skip_bad = policy;
    return ECREC_OK;
}

int32_t ecrec_batch_mark_bad(ecrec_batch *batch, size_t row, const char *reason, size_t length, ecrec_error *err)
{
    if (batch == NULL || reason == NULL || row >= batch->rows || !batch->skip_bad)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_mark_bad: %s", batch == NULL ? "batch is NULL" : reason == NULL ? "reason is NULL" :
                         row >= batch->rows ? "the batch has fewer rows" : "the policy of the batch is to refuse bad rows");
    return batch_bad(batch, err, row, "%.*s", (int)(length < 255 ? length : 255), reason);
}

size_t ecrec_batch_bad_rows(const ecrec_batch *batch)
{
    return batch != NULL ? batch->bad_count : 0;
}

const char *ecrec_batch_bad_row(const ecrec_batch *batch, size_t index, uint64_t *row)
{
    if (batch == NULL || index >= batch->bad_count)
        return NULL;
    if (row != NULL)
        *row = batch->bad_list[index].row;
    return (const char *)batch->bad_text.data + batch->bad_list[index].text;
}
