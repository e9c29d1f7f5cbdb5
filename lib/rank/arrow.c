/* Record batches of Arrow as batches. A new batch is filled beside the old one; it takes the old one's place when all is well. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "rank/arrow_view.h"
#include "rank/batch.h"

enum { MOST_ROWS = 1 << 28, MOST_SPELLING = 24 };

typedef struct reading {
    ecrec_batch *b;       /* the new one */
    arrow_view top;
    int64_t first;        /* entries of a column start here: the record batch's own offset */
    arrow_column column;
    const char *name;
    batch_column *to;
    ecrec_error *err;
} reading;

static void *own(const reading *r, batch_block *block, size_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    block->data = memory_allocate(r->b->m, bytes);
    block->capacity = block->data != NULL ? bytes : 0;
    if (block->data == NULL)
        (void)error_nomem(r->err, "a column", bytes);
    return block->data;
}

static void borrow(batch_block *block, const void *bytes)
{
    static const uint64_t nothing = 0;
    *block = (batch_block){ (unsigned char *)(uintptr_t)(bytes != NULL ? bytes : &nothing), 0, 1 };
}

static int32_t take_valid(const reading *r)
{
    unsigned char *valid = own(r, &r->to->valid, r->b->rows);
    for (size_t i = 0; valid != NULL && i < r->b->rows; i++) {
        const arrow_view *v = NULL;
        int64_t at = 0;
        valid[i] = (unsigned char)(view_has(&r->top, (int64_t)i) && column_at(&r->column, r->first + (int64_t)i, &v, &at));
    }
    return valid != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* Where entry i of the column is read; only for those that are there. */
static const arrow_view *entry(const arrow_column *c, int64_t i, int64_t *at)
{
    const arrow_view *v = NULL;
    return column_at(c, i, &v, at) ? v : NULL;
}

static int32_t wrong_type(const reading *r, const arrow_column *c, const char *wanted)
{
    const arrow_view *v = c->has_dictionary ? &c->dictionary : &c->view;
    return error_set(r->err, ECREC_ERR_INVALID, "Arrow column \"%s\": format \"%s\" is no %s; cast it before", r->name, v->schema->format, wanted);
}

static int is_number(const arrow_column *c)
{
    const arrow_view *v = c->has_dictionary ? &c->dictionary : &c->view;
    return v->form == ARROW_BOOLEANS || v->form == ARROW_FLOATS || (v->form == ARROW_INTEGERS && v->multiply == 0) || v->form == ARROW_NULLS;
}

/* ---- numbers ---- */

/* A column of one of our widths that lies as we read it: where row 0 is; NULL: it must be converted. */
static const void *as_it_is(const reading *r, int form, int width)
{
    const arrow_view *v = &r->column.view;
    if (r->column.has_dictionary || v->form != form || v->width != width || (v->multiply != 0 && (v->multiply != 1 || v->divide != 1)))
        return NULL;
    return v->values != NULL ? (const unsigned char *)v->values + (v->offset + r->first) * width : NULL;
}

static double number_at(const reading *r, size_t i)
{
    int64_t at = 0;
    const arrow_view *v = entry(&r->column, r->first + (int64_t)i, &at);
    return v != NULL ? view_number(v, at) : 0;
}

static int32_t read_doubles(const reading *r)
{
    const void *there = as_it_is(r, ARROW_FLOATS, 8);
    if (there != NULL) {
        borrow(&r->to->values, there);
        return ECREC_OK;
    }
    double *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = number_at(r, i);
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

static int32_t read_floats(const reading *r)
{
    const void *there = as_it_is(r, ARROW_FLOATS, 4);
    if (there != NULL) {
        borrow(&r->to->values, there);
        return ECREC_OK;
    }
    float *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = (float)number_at(r, i);
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* A weight that is null is 1. */
static int32_t read_some_weights(const reading *r)
{
    float *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = r->to->valid.data[i] ? (float)number_at(r, i) : 1;
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

static int32_t read_positions(const reading *r)
{
    const void *there = r->column.view.is_signed ? NULL : as_it_is(r, ARROW_INTEGERS, 4);
    int32_t status = ECREC_OK;
    if (there != NULL) {
        borrow(&r->to->values, there);
        return ECREC_OK;
    }
    uint32_t *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    if (values == NULL)
        return ECREC_ERR_NOMEM;
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        const double v = r->to->valid.data[i] ? number_at(r, i) : 1;
        values[i] = 1;
        if (v >= 1 && v <= UINT32_MAX && v == floor(v))
            values[i] = (uint32_t)v;
        else
            status = batch_bad(r->b, r->err, i, "row %zu: the position %g is no whole number from 1", i, v);
    }
    return status;
}

static int32_t read_times(const reading *r)
{
    const arrow_view *type = r->column.has_dictionary ? &r->column.dictionary : &r->column.view;
    const void *there = as_it_is(r, ARROW_INTEGERS, 8);
    int32_t status = ECREC_OK;
    if (type->form != ARROW_INTEGERS && type->form != ARROW_NULLS)
        return wrong_type(r, &r->column, "time");
    if (there != NULL && r->column.view.is_signed) {
        borrow(&r->to->values, there);
        return ECREC_OK;
    }
    int64_t *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    if (values == NULL)
        return ECREC_ERR_NOMEM;
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        int64_t at = 0;
        const arrow_view *v = entry(&r->column, r->first + (int64_t)i, &at);
        const int64_t multiply = type->multiply != 0 ? type->multiply : 1, divide = type->multiply != 0 ? type->divide : 1;
        int64_t t = v != NULL ? view_integer(v, at) : 0;
        values[i] = 0;
        if (t > INT64_MAX / multiply || t < INT64_MIN / multiply || (t < 0 && !v->is_signed)) {
            status = batch_bad(r->b, r->err, i, "row %zu, field \"%s\": the time is not in the years 1 .. 9999", i, r->name);
            continue;
        }
        t *= multiply;
        values[i] = t / divide - (t % divide < 0);
    }
    return status;
}

static int32_t read_ids(const reading *r)
{
    const arrow_view *type = r->column.has_dictionary ? &r->column.dictionary : &r->column.view;
    const void *there = as_it_is(r, ARROW_INTEGERS, 8);
    if (type->form != ARROW_INTEGERS && type->form != ARROW_TEXTS && type->form != ARROW_NULLS)
        return wrong_type(r, &r->column, "id: integer, text or bytes");
    if (there != NULL) {
        borrow(&r->to->values, there);
        return ECREC_OK;
    }
    uint64_t *values = own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++) {
        int64_t at = 0;
        size_t n = 0;
        const arrow_view *v = entry(&r->column, r->first + (int64_t)i, &at);
        values[i] = 0;
        if (v != NULL && v->form == ARROW_INTEGERS)
            values[i] = (uint64_t)view_integer(v, at);
        else if (v != NULL) {
            const char *text = view_text(v, at, &n);
            values[i] = ecrec_id_hash(text, n);
        }
    }
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* ---- texts ---- */

/* An entry's bytes; integers and booleans are spelt. */
static const char *spell(const arrow_view *v, int64_t i, char room[MOST_SPELLING], size_t *length)
{
    if (v->form == ARROW_TEXTS)
        return view_text(v, i, length);
    if (v->form == ARROW_BOOLEANS)
        *length = format_text(room, MOST_SPELLING, "%s", view_number(v, i) != 0 ? "true" : "false");
    else if (v->is_signed)
        *length = format_text(room, MOST_SPELLING, "%lld", (long long)view_integer(v, i));
    else
        *length = format_text(room, MOST_SPELLING, "%llu", (unsigned long long)view_integer(v, i));
    return room;
}

/* Entries [first, first + n) one after the other, their bytes into values and where each begins into starts. */
static int32_t copy_texts(const reading *r, const arrow_column *c, int64_t first, size_t n, batch_block *starts_block, batch_block *values)
{
    char room[MOST_SPELLING];
    size_t bytes = 0;
    uint64_t *starts = own(r, starts_block, memory_product(n + 1, sizeof *starts));
    if (starts == NULL)
        return ECREC_ERR_NOMEM;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            size_t length = 0;
            int64_t place = 0;
            const arrow_view *v = entry(c, first + (int64_t)i, &place);
            const char *text = v != NULL ? spell(v, place, room, &length) : NULL;
            starts[i] = at;
            if (pass == 1 && length != 0)
                memcpy(values->data + at, text, length);
            if (length >= UINT32_MAX || !size_add(at, length, &at))
                return error_row(r->err, ECREC_ERR_LIMIT, i, "Arrow column \"%s\": entry %zu has more than 4 GiB", r->name, i);
        }
        starts[n] = bytes = at;
        if (pass == 0 && own(r, values, bytes) == NULL)
            return ECREC_ERR_NOMEM;
    }
    return ECREC_OK;
}

/* The same, with the bytes (and offsets of 64 bits) where they are, when they are as we read them. */
static int32_t read_texts_of(const reading *r, const arrow_column *c, int64_t first, size_t n, int category, batch_block *starts_block, batch_block *values)
{
    const arrow_view *type = c->has_dictionary ? &c->dictionary : &c->view, *v = &c->view;
    if (type->form != ARROW_TEXTS && type->form != ARROW_NULLS && !(category && type->multiply == 0 && (type->form == ARROW_INTEGERS || type->form == ARROW_BOOLEANS)))
        return wrong_type(r, c, category ? "category: text, bytes, integers or booleans" : "text");
    if (c->has_dictionary || type->form != ARROW_TEXTS)
        return copy_texts(r, c, first, n, starts_block, values);
    borrow(values, v->width == 0 ? v->values : v->bytes);
    if (v->width == 8 && n != 0) {
        for (size_t i = 0; i < n; i++) {
            size_t length = 0;
            (void)view_text(v, first + (int64_t)i, &length);
            if (length >= UINT32_MAX)
                return error_row(r->err, ECREC_ERR_LIMIT, i, "Arrow column \"%s\": entry %zu has more than 4 GiB", r->name, i);
        }
        borrow(starts_block, (const int64_t *)v->values + v->offset + first);
        return ECREC_OK;
    }
    uint64_t *starts = own(r, starts_block, memory_product(n + 1, sizeof *starts));
    if (starts == NULL)
        return ECREC_ERR_NOMEM;
    starts[0] = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t from = 0, to = 0;
        view_range(v, first + (int64_t)i, &from, &to);
        starts[i] = (uint64_t)from;
        starts[i + 1] = (uint64_t)to;
    }
    return ECREC_OK;
}

/* ---- lists ---- */

/* All entries that the rows' lists have: [*from, *to), and the child. */
static int32_t open_items(const reading *r, arrow_column *child, int64_t *from, int64_t *to)
{
    const arrow_view *v = &r->column.view;
    const struct ArrowSchema *schema = NULL;
    const struct ArrowArray *array = NULL;
    int64_t unused = 0;
    int32_t status = view_child(v, 0, &schema, &array, r->err);
    if (status != ECREC_OK)
        return status;
    *from = *to = 0;
    if (r->b->rows != 0) {
        view_range(v, r->first, from, &unused);
        view_range(v, r->first + (int64_t)r->b->rows - 1, &unused, to);
    }
    return column_open(child, r->name, schema, array, *from, *to - *from, r->err);
}

static int32_t read_vectors(const reading *r, uint32_t dimension)
{
    const arrow_view *v = &r->column.view;
    arrow_column child;
    int64_t from = 0, to = 0;
    if (r->column.has_dictionary || (v->form != ARROW_LISTS && v->form != ARROW_NULLS))
        return wrong_type(r, &r->column, "list of numbers");
    float *values = NULL;
    int32_t status = v->form == ARROW_LISTS ? open_items(r, &child, &from, &to) : ECREC_OK;
    if (status != ECREC_OK)
        return status;
    if (v->form == ARROW_LISTS && !is_number(&child))
        return wrong_type(r, &child, "number");
    if (v->form == ARROW_LISTS && v->width == 0 && v->fixed != dimension)
        return error_set(r->err, ECREC_ERR_INVALID, "Arrow column \"%s\": its vectors have %lld values, the schema says %u", r->name, (long long)v->fixed, dimension);
    if (v->form == ARROW_LISTS && v->width == 0 && !child.has_dictionary && child.view.form == ARROW_FLOATS && child.view.width == 4 && child.view.valid == NULL) {
        borrow(&r->to->values, child.view.values != NULL ? (const float *)child.view.values + child.view.offset + from : NULL);
        return ECREC_OK;
    }
    size_t bytes = 0;
    if (!size_multiply(r->b->rows, dimension * sizeof *values, &bytes) || (values = own(r, &r->to->values, bytes)) == NULL)
        return values == NULL && bytes == 0 ? error_nomem(r->err, "a column", SIZE_MAX) : ECREC_ERR_NOMEM;
    memset(values, 0, bytes);
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        if (!r->to->valid.data[i])
            continue;
        view_range(v, r->first + (int64_t)i, &from, &to);
        if (to - from != dimension)
            status = batch_bad(r->b, r->err, i, "row %zu, field \"%s\": the vector has %lld values, the schema says %u", i, r->name, (long long)(to - from), dimension);
        for (int64_t k = from; k < to && to - from == dimension && status == ECREC_OK; k++) {
            int64_t at = 0;
            const arrow_view *e = entry(&child, k, &at);
            values[i * dimension + (size_t)(k - from)] = e != NULL ? (float)view_number(e, at) : NAN;
        }
    }
    return status;
}

static int32_t read_weights(const reading *r, const arrow_column *c, int64_t first)
{
    const uint64_t *items = (const uint64_t *)(const void *)r->to->items.data;
    float *out = (float *)(void *)r->to->weights.data;
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        for (uint64_t k = items[i]; k < items[i + 1] && c != NULL && status == ECREC_OK; k++) {
            int64_t at = 0;
            const arrow_view *v = entry(c, first + (int64_t)k, &at);
            const double w = v != NULL ? view_number(v, at) : NAN;
            out[k] = fabs(w) < 1e15 ? (float)w : 0;
            if (!(fabs(w) < 1e15) && r->to->valid.data[i])
                status = batch_bad(r->b, r->err, i, "row %zu, field \"%s\": the weight %g is not a number that can be used", i, r->name, w);
        }
        batch_scale_weights(c != NULL ? out : NULL, (size_t)items[i], (size_t)items[i + 1], out);
    }
    return status;
}

/* Lists of values, or of pairs of a value and its weight. */
static int32_t read_multi(const reading *r)
{
    const arrow_view *v = &r->column.view;
    arrow_column values, weights;
    const struct ArrowSchema *schema = NULL;
    const struct ArrowArray *array = NULL;
    int64_t from = 0, to = 0;
    if (r->column.has_dictionary || v->form != ARROW_LISTS)
        return wrong_type(r, &r->column, "list of categories");
    int32_t status = open_items(r, &values, &from, &to);
    if (status != ECREC_OK)
        return status;
    const int pairs = values.view.form == ARROW_RECORDS;
    const int64_t first = from; /* children of a pair start at their struct's own offset */
    int64_t inner = first;
    if (pairs) {
        const arrow_view both = values.view;
        inner = both.offset + first;
        if ((status = view_child(&both, 0, &schema, &array, r->err)) != ECREC_OK || (status = column_open(&values, r->name, schema, array, inner, to - from, r->err)) != ECREC_OK ||
            (status = view_child(&both, 1, &schema, &array, r->err)) != ECREC_OK || (status = column_open(&weights, r->name, schema, array, inner, to - from, r->err)) != ECREC_OK)
            return status;
        if (!is_number(&weights))
            return wrong_type(r, &weights, "weight");
    }
    const size_t n = (size_t)(to - from), rows = r->b->rows;
    uint64_t *items = own(r, &r->to->items, memory_product(rows + 1, sizeof *items));
    if (items == NULL || own(r, &r->to->weights, memory_product(n, sizeof(float))) == NULL)
        return ECREC_ERR_NOMEM;
    items[0] = 0;
    for (size_t i = 0; i < rows && status == ECREC_OK; i++) {
        view_range(v, r->first + (int64_t)i, &from, &to);
        items[i] = (uint64_t)(from - first);
        items[i + 1] = (uint64_t)(to - first);
        for (int64_t k = from; k < to && r->to->valid.data[i] && status == ECREC_OK; k++) {
            int64_t at = 0;
            if (entry(&values, inner + (k - first), &at) == NULL) {
                status = batch_bad(r->b, r->err, i, "row %zu, field \"%s\": value %lld is null", i, r->name, (long long)(k - from));
                break;
            }
        }
    }
    if (status == ECREC_OK)
        status = read_texts_of(r, &values, inner, n, 1, &r->to->starts, &r->to->values);
    return status == ECREC_OK ? read_weights(r, pairs ? &weights : NULL, inner) : status;
}

/* ---- columns ---- */

static int32_t read_field(const reading *r, const schema_field *f)
{
    ecrec_batch *b = r->b;
    const uint8_t *valid = r->to->valid.data;
    int32_t status;
    switch (field_form(f->kind)) {
    case ECREC_FIELD_TEXT: return read_texts_of(r, &r->column, r->first, b->rows, 0, &r->to->starts, &r->to->values);
    case ECREC_FIELD_CATEGORY: return read_texts_of(r, &r->column, r->first, b->rows, 1, &r->to->starts, &r->to->values);
    case ECREC_FIELD_MULTI: return read_multi(r);
    case ECREC_FIELD_VECTOR:
        status = read_vectors(r, f->dimension);
        return status == ECREC_OK ? batch_check_vectors(b, f->name, (const float *)(const void *)r->to->values.data, f->dimension, f->dimension, valid, r->err) : status;
    case ECREC_FIELD_TIME:
        status = read_times(r);
        return status == ECREC_OK ? batch_check_times(b, f->name, (const int64_t *)(const void *)r->to->values.data, valid, r->err) : status;
    case ECREC_FIELD_NUMBER:
        status = is_number(&r->column) ? read_doubles(r) : wrong_type(r, &r->column, "number");
        return status == ECREC_OK ? batch_check_numbers(b, f->name, (const double *)(const void *)r->to->values.data, valid, r->err) : status;
    default: return error_set(r->err, ECREC_ERR_UNSUPPORTED, "field \"%s\": kind %s is not read from Arrow", f->name, field_kind_name(f->kind));
    }
}

static int32_t read_row_column(const reading *r, uint32_t which)
{
    const uint8_t *valid = r->to->valid.data;
    int32_t status;
    if (which == ROW_EVENT || which == ROW_GROUP)
        return read_ids(r);
    if (!is_number(&r->column))
        return wrong_type(r, &r->column, "number");
    if (which == ROW_POSITION) {
        status = read_positions(r);
        return status == ECREC_OK ? batch_check_positions(r->b, (const uint32_t *)(const void *)r->to->values.data, valid, r->err) : status;
    }
    status = which == ROW_WEIGHT && memchr(valid, 0, r->b->rows) != NULL ? read_some_weights(r) : read_floats(r);
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
    if (status != ECREC_OK || (status = take_valid(r)) != ECREC_OK)
        return status;
    if (number < labels)
        status = read_field(r, &s->fields[number]);
    else if (number >= extras)
        status = read_row_column(r, number - extras);
    else if (!is_number(&r->column))
        status = wrong_type(r, &r->column, "number");
    else if ((status = read_floats(r)) == ECREC_OK)
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
