/* Values of Arrow's columns. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "rank/arrow_read.h"

void *arrow_own(const reading *r, batch_block *block, size_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    block->data = memory_allocate(r->b->m, bytes);
    block->capacity = block->data != NULL ? bytes : 0;
    if (block->data == NULL)
        (void)error_nomem(r->err, "a column", bytes);
    return block->data;
}

void arrow_borrow(batch_block *block, const void *bytes)
{
    static const uint64_t nothing = 0;
    *block = (batch_block){ (unsigned char *)(uintptr_t)(bytes != NULL ? bytes : &nothing), 0, 1 };
}

int32_t arrow_take_valid(const reading *r)
{
    unsigned char *valid = arrow_own(r, &r->to->valid, r->b->rows);
    for (size_t i = 0; valid != NULL && i < r->b->rows; i++) {
        const arrow_view *v = NULL;
        int64_t at = 0;
        valid[i] = (unsigned char)(view_has(&r->top, (int64_t)i) && column_at(&r->column, r->first + (int64_t)i, &v, &at));
    }
    return valid != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* Where entry i of the column is read; only for those that are there. */
const arrow_view *arrow_entry(const arrow_column *c, int64_t i, int64_t *at)
{
    const arrow_view *v = NULL;
    return column_at(c, i, &v, at) ? v : NULL;
}

int32_t arrow_wrong_type(const reading *r, const arrow_column *c, const char *wanted)
{
    const arrow_view *v = c->has_dictionary ? &c->dictionary : &c->view;
    return error_set(r->err, ECREC_ERR_INVALID, "Arrow column \"%s\": format \"%s\" is no %s; cast it before", r->name, v->schema->format, wanted);
}

int arrow_is_number(const arrow_column *c)
{
    const arrow_view *v = c->has_dictionary ? &c->dictionary : &c->view;
    return v->form == ARROW_BOOLEANS || v->form == ARROW_FLOATS || (v->form == ARROW_INTEGERS && v->multiply == 0) || v->form == ARROW_DECIMALS || v->form == ARROW_NULLS;
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
    const arrow_view *v = arrow_entry(&r->column, r->first + (int64_t)i, &at);
    return v != NULL ? view_number(v, at) : 0;
}

int32_t arrow_read_doubles(const reading *r)
{
    const void *there = as_it_is(r, ARROW_FLOATS, 8);
    if (there != NULL) {
        arrow_borrow(&r->to->values, there);
        return ECREC_OK;
    }
    double *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = number_at(r, i);
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

int32_t arrow_read_floats(const reading *r)
{
    const void *there = as_it_is(r, ARROW_FLOATS, 4);
    if (there != NULL) {
        arrow_borrow(&r->to->values, there);
        return ECREC_OK;
    }
    float *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = (float)number_at(r, i);
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

/* A weight that is null is 1. */
int32_t arrow_read_some_weights(const reading *r)
{
    float *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++)
        values[i] = r->to->valid.data[i] ? (float)number_at(r, i) : 1;
    return values != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
}

int32_t arrow_read_positions(const reading *r)
{
    const void *there = r->column.view.is_signed ? NULL : as_it_is(r, ARROW_INTEGERS, 4);
    int32_t status = ECREC_OK;
    if (there != NULL) {
        arrow_borrow(&r->to->values, there);
        return ECREC_OK;
    }
    uint32_t *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
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

int32_t arrow_read_times(const reading *r)
{
    const arrow_view *type = r->column.has_dictionary ? &r->column.dictionary : &r->column.view;
    const void *there = as_it_is(r, ARROW_INTEGERS, 8);
    int32_t status = ECREC_OK;
    if (type->form != ARROW_INTEGERS && type->form != ARROW_NULLS)
        return arrow_wrong_type(r, &r->column, "time");
    if (there != NULL && r->column.view.is_signed) {
        arrow_borrow(&r->to->values, there);
        return ECREC_OK;
    }
    int64_t *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
    if (values == NULL)
        return ECREC_ERR_NOMEM;
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        int64_t at = 0;
        const arrow_view *v = arrow_entry(&r->column, r->first + (int64_t)i, &at);
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

int32_t arrow_read_ids(const reading *r)
{
    const arrow_view *type = r->column.has_dictionary ? &r->column.dictionary : &r->column.view;
    const void *there = as_it_is(r, ARROW_INTEGERS, 8);
    if (type->form != ARROW_INTEGERS && type->form != ARROW_TEXTS && type->form != ARROW_NULLS)
        return arrow_wrong_type(r, &r->column, "id: integer, text or bytes");
    if (there != NULL) {
        arrow_borrow(&r->to->values, there);
        return ECREC_OK;
    }
    uint64_t *values = arrow_own(r, &r->to->values, r->b->rows * sizeof *values);
    for (size_t i = 0; values != NULL && i < r->b->rows; i++) {
        int64_t at = 0;
        size_t n = 0;
        const arrow_view *v = arrow_entry(&r->column, r->first + (int64_t)i, &at);
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
const char *arrow_spell(const arrow_view *v, int64_t i, char room[MOST_SPELLING], size_t *length)
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
    uint64_t *starts = arrow_own(r, starts_block, memory_product(n + 1, sizeof *starts));
    if (starts == NULL)
        return ECREC_ERR_NOMEM;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            size_t length = 0;
            int64_t place = 0;
            const arrow_view *v = arrow_entry(c, first + (int64_t)i, &place);
            const char *text = v != NULL ? arrow_spell(v, place, room, &length) : NULL;
            starts[i] = at;
            if (pass == 1 && length != 0)
                memcpy(values->data + at, text, length);
            if (length >= UINT32_MAX || !size_add(at, length, &at))
                return error_row(r->err, ECREC_ERR_LIMIT, i, "Arrow column \"%s\": entry %zu has more than 4 GiB", r->name, i);
        }
        starts[n] = bytes = at;
        if (pass == 0 && arrow_own(r, values, bytes) == NULL)
            return ECREC_ERR_NOMEM;
    }
    return ECREC_OK;
}

/* The same, with the bytes (and offsets of 64 bits) where they are, when they are as we read them. */
int32_t arrow_read_texts_of(const reading *r, const arrow_column *c, int64_t first, size_t n, int category, batch_block *starts_block, batch_block *values)
{
    const arrow_view *type = c->has_dictionary ? &c->dictionary : &c->view, *v = &c->view;
    if (type->form != ARROW_TEXTS && type->form != ARROW_NULLS && !(category && type->multiply == 0 && (type->form == ARROW_INTEGERS || type->form == ARROW_BOOLEANS)))
        return arrow_wrong_type(r, c, category ? "category: text, bytes, integers or booleans" : "text");
    if (c->has_dictionary || type->form != ARROW_TEXTS || v->width == TEXT_VIEW)
        return copy_texts(r, c, first, n, starts_block, values);
    arrow_borrow(values, v->width == 0 ? v->values : v->bytes);
    if (v->width == 8 && n != 0) {
        for (size_t i = 0; i < n; i++) {
            size_t length = 0;
            (void)view_text(v, first + (int64_t)i, &length);
            if (length >= UINT32_MAX)
                return error_row(r->err, ECREC_ERR_LIMIT, i, "Arrow column \"%s\": entry %zu has more than 4 GiB", r->name, i);
        }
        arrow_borrow(starts_block, (const int64_t *)v->values + v->offset + first);
        return ECREC_OK;
    }
    uint64_t *starts = arrow_own(r, starts_block, memory_product(n + 1, sizeof *starts));
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
int32_t arrow_open_items(const reading *r, arrow_column *child, int64_t *from, int64_t *to)
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

int32_t arrow_read_vectors(const reading *r, uint32_t dimension)
{
    const arrow_view *v = &r->column.view;
    arrow_column child;
    int64_t from = 0, to = 0;
    if (r->column.has_dictionary || (v->form != ARROW_LISTS && v->form != ARROW_NULLS))
        return arrow_wrong_type(r, &r->column, "list of numbers");
    float *values = NULL;
    int32_t status = v->form == ARROW_LISTS ? arrow_open_items(r, &child, &from, &to) : ECREC_OK;
    if (status != ECREC_OK)
        return status;
    if (v->form == ARROW_LISTS && !arrow_is_number(&child))
        return arrow_wrong_type(r, &child, "number");
    if (v->form == ARROW_LISTS && v->width == 0 && v->fixed != dimension)
        return error_set(r->err, ECREC_ERR_INVALID, "Arrow column \"%s\": its vectors have %lld values, the schema says %u", r->name, (long long)v->fixed, dimension);
    if (v->form == ARROW_LISTS && v->width == 0 && !child.has_dictionary && child.view.form == ARROW_FLOATS && child.view.width == 4 && child.view.valid == NULL) {
        arrow_borrow(&r->to->values, child.view.values != NULL ? (const float *)child.view.values + child.view.offset + from : NULL);
        return ECREC_OK;
    }
    size_t bytes = 0;
    if (!size_multiply(r->b->rows, dimension * sizeof *values, &bytes) || (values = arrow_own(r, &r->to->values, bytes)) == NULL)
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
            const arrow_view *e = arrow_entry(&child, k, &at);
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
            const arrow_view *v = arrow_entry(c, first + (int64_t)k, &at);
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
int32_t arrow_read_multi(const reading *r)
{
    const arrow_view *v = &r->column.view;
    arrow_column values, weights;
    const struct ArrowSchema *schema = NULL;
    const struct ArrowArray *array = NULL;
    int64_t from = 0, to = 0;
    if (r->column.has_dictionary || v->form != ARROW_LISTS)
        return arrow_wrong_type(r, &r->column, "list of categories");
    int32_t status = arrow_open_items(r, &values, &from, &to);
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
        if (!arrow_is_number(&weights))
            return arrow_wrong_type(r, &weights, "weight");
    }
    const size_t n = (size_t)(to - from), rows = r->b->rows;
    uint64_t *items = arrow_own(r, &r->to->items, memory_product(rows + 1, sizeof *items));
    if (items == NULL || arrow_own(r, &r->to->weights, memory_product(n, sizeof(float))) == NULL)
        return ECREC_ERR_NOMEM;
    items[0] = 0;
    for (size_t i = 0; i < rows && status == ECREC_OK; i++) {
        view_range(v, r->first + (int64_t)i, &from, &to);
        items[i] = (uint64_t)(from - first);
        items[i + 1] = (uint64_t)(to - first);
        for (int64_t k = from; k < to && r->to->valid.data[i] && status == ECREC_OK; k++) {
            int64_t at = 0;
            if (arrow_entry(&values, inner + (k - first), &at) == NULL) {
                status = batch_bad(r->b, r->err, i, "row %zu, field \"%s\": value %lld is null", i, r->name, (long long)(k - from));
                break;
            }
        }
    }
    if (status == ECREC_OK)
        status = arrow_read_texts_of(r, &values, inner, n, 1, &r->to->starts, &r->to->values);
    return status == ECREC_OK ? read_weights(r, pairs ? &weights : NULL, inner) : status;
}
