#include "rank/arrow_view.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"

#define REFUSE(...) return error_set(err, ECREC_ERR_INVALID, __VA_ARGS__)

/* "w:16", "+w:3" */
static int read_size(const char *text, int64_t *out)
{
    uint64_t n = 0;
    if (!parse_u64(text, strlen(text), &n) || n > INT32_MAX)
        return 0;
    *out = (int64_t)n;
    return 1;
}

static int set(arrow_view *v, int form, int width, int is_signed)
{
    v->form = form;
    v->width = width;
    v->is_signed = is_signed;
    return 1;
}

static int set_time(arrow_view *v, int width, int64_t multiply, int64_t divide)
{
    v->multiply = multiply;
    v->divide = divide;
    return set(v, ARROW_INTEGERS, width, 1);
}

static int read_time(arrow_view *v, const char *f)
{
    if (strcmp(f, "tdD") == 0)
        return set_time(v, 4, 86400000000, 1);
    if (strcmp(f, "tdm") == 0)
        return set_time(v, 8, 1000, 1);
    if (strncmp(f, "ts", 2) != 0 || f[2] == 0 || f[3] != ':')
        return 0;
    switch (f[2]) {
    case 's': return set_time(v, 8, 1000000, 1);
    case 'm': return set_time(v, 8, 1000, 1);
    case 'u': return set_time(v, 8, 1, 1);
    case 'n': return set_time(v, 8, 1, 1000);
    default: return 0;
    }
}

/* What a format string says; 0: nothing that is read here. */
static int read_format(arrow_view *v, const char *f)
{
    static const struct { char letter; int form, width, is_signed; } plain[] = {
        { 'n', ARROW_NULLS, 0, 0 }, { 'b', ARROW_BOOLEANS, 0, 0 }, { 'c', ARROW_INTEGERS, 1, 1 }, { 'C', ARROW_INTEGERS, 1, 0 }, { 's', ARROW_INTEGERS, 2, 1 },
        { 'S', ARROW_INTEGERS, 2, 0 }, { 'i', ARROW_INTEGERS, 4, 1 }, { 'I', ARROW_INTEGERS, 4, 0 }, { 'l', ARROW_INTEGERS, 8, 1 }, { 'L', ARROW_INTEGERS, 8, 0 },
        { 'e', ARROW_FLOATS, 2, 1 }, { 'f', ARROW_FLOATS, 4, 1 }, { 'g', ARROW_FLOATS, 8, 1 }, { 'u', ARROW_TEXTS, 4, 1 }, { 'z', ARROW_TEXTS, 4, 1 },
        { 'U', ARROW_TEXTS, 8, 1 }, { 'Z', ARROW_TEXTS, 8, 1 } };
    for (size_t i = 0; i < sizeof plain / sizeof *plain && f[0] != 0 && f[1] == 0; i++)
        if (f[0] == plain[i].letter)
            return set(v, plain[i].form, plain[i].width, plain[i].is_signed);
    if (strcmp(f, "+l") == 0 || strcmp(f, "+m") == 0)
        return set(v, ARROW_LISTS, 4, 1);
    if (strcmp(f, "+L") == 0)
        return set(v, ARROW_LISTS, 8, 1);
    if (strcmp(f, "+s") == 0)
        return set(v, ARROW_RECORDS, 0, 0);
    if (strncmp(f, "w:", 2) == 0)
        return set(v, ARROW_TEXTS, 0, 0) && read_size(f + 2, &v->fixed);
    if (strncmp(f, "+w:", 3) == 0)
        return set(v, ARROW_LISTS, 0, 0) && read_size(f + 3, &v->fixed);
    return f[0] == 't' && read_time(v, f);
}

static int64_t offset_at(const arrow_view *v, int64_t i)
{
    return v->width == 4 ? ((const int32_t *)v->values)[v->offset + i] : ((const int64_t *)v->values)[v->offset + i];
}

/* Offsets do not fall and begin at 0 or above; bytes are there when there are any. */
static int32_t check_offsets(const arrow_view *v, int64_t first, int64_t n, ecrec_error *err)
{
    if (n == 0)
        return ECREC_OK;
    int64_t last = offset_at(v, first);
    for (int64_t i = first; i < first + n; i++) {
        const int64_t next = offset_at(v, i + 1);
        if (last < 0 || next < last)
            return error_row(err, ECREC_ERR_INVALID, (uint64_t)(i - first), "Arrow column \"%s\": entry %lld begins at %lld and ends at %lld", v->name, (long long)(i - first),
                             (long long)last, (long long)next);
        last = next;
    }
    if (v->form == ARROW_TEXTS && v->bytes == NULL && last != offset_at(v, first))
        REFUSE("Arrow column \"%s\": the buffer of its bytes is NULL", v->name);
    return ECREC_OK;
}

static int aligned(const void *p, int width)
{
    return width < 2 || (uintptr_t)p % (size_t)width == 0;
}

static int32_t check_buffers(arrow_view *v, int64_t first, int64_t n, ecrec_error *err)
{
    static const int64_t counts[] = { [ARROW_NULLS] = 0, [ARROW_BOOLEANS] = 2, [ARROW_INTEGERS] = 2, [ARROW_FLOATS] = 2, [ARROW_TEXTS] = 3, [ARROW_LISTS] = 2, [ARROW_RECORDS] = 1 };
    const struct ArrowArray *a = v->array;
    const int fixed = (v->form == ARROW_TEXTS || v->form == ARROW_LISTS) && v->width == 0;
    const int64_t wanted = counts[v->form] - fixed;
    if (a->n_buffers != wanted)
        REFUSE("Arrow column \"%s\": it has %lld buffers; format \"%s\" has %lld", v->name, (long long)a->n_buffers, v->schema->format, (long long)wanted);
    if (wanted != 0 && a->buffers == NULL)
        REFUSE("Arrow column \"%s\": its buffers are NULL", v->name);
    v->valid = wanted != 0 ? a->buffers[0] : NULL;
    if (wanted != 0 && v->valid == NULL && a->null_count > 0)
        REFUSE("Arrow column \"%s\": it has %lld nulls, but no validity bitmap", v->name, (long long)a->null_count);
    if (wanted > 1)
        v->values = a->buffers[1];
    if (wanted > 2)
        v->bytes = a->buffers[2];
    if (wanted > 1 && v->values == NULL && n != 0 && !(fixed && v->fixed == 0))
        REFUSE("Arrow column \"%s\": its buffer of %s is NULL", v->name, (v->form == ARROW_TEXTS && !fixed) || v->form == ARROW_LISTS ? "offsets" : "values");
    if (wanted > 1 && !aligned(v->values, v->width))
        REFUSE("Arrow column \"%s\": its buffer lies at an address that is no multiple of %d", v->name, v->width);
    return (v->form == ARROW_TEXTS || v->form == ARROW_LISTS) && !fixed ? check_offsets(v, first, n, err) : ECREC_OK;
}

int32_t view_open(arrow_view *v, const char *name, const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t first, int64_t n, ecrec_error *err)
{
    *v = (arrow_view){ .name = name, .schema = schema, .array = array };
    if (schema == NULL || array == NULL)
        REFUSE("Arrow column \"%s\": its %s is NULL", name, schema == NULL ? "schema" : "array");
    if (schema->release == NULL || array->release == NULL)
        REFUSE("Arrow column \"%s\": its %s was released", name, schema->release == NULL ? "schema" : "array");
    if (schema->format == NULL)
        REFUSE("Arrow column \"%s\": its format is NULL", name);
    if (!read_format(v, schema->format))
        REFUSE("Arrow column \"%s\": format \"%.40s\" is not one that is read here; cast it before", name, schema->format);
    if (array->length < 0 || array->offset < 0 || array->offset > INT64_MAX / 32 || array->length > INT64_MAX / 32)
        REFUSE("Arrow column \"%s\": length %lld or offset %lld is out of range", name, (long long)array->length, (long long)array->offset);
    if (v->fixed != 0 && array->offset + array->length > INT64_MAX / 8 / v->fixed)
        REFUSE("Arrow column \"%s\": %lld entries of %lld are out of range", name, (long long)array->length, (long long)v->fixed);
    if (array->null_count < -1 || array->null_count > array->length)
        REFUSE("Arrow column \"%s\": %lld of its %lld entries are said to be null", name, (long long)array->null_count, (long long)array->length);
    if (first > array->length || n > array->length - first)
        REFUSE("Arrow column \"%s\": it has %lld entries, %lld are needed", name, (long long)array->length, (long long)(first + n));
    v->length = array->length;
    v->offset = array->offset;
    return check_buffers(v, first, n, err);
}

static int32_t check_indices(const arrow_column *c, int64_t first, int64_t n, ecrec_error *err)
{
    const arrow_view *v = &c->view;
    for (int64_t i = first; i < first + n; i++) {
        const int64_t at = view_has(v, i) ? view_integer(v, i) : 0;
        if (view_has(v, i) && (at < 0 || at >= c->dictionary.length))
            return error_row(err, ECREC_ERR_INVALID, (uint64_t)(i - first), "Arrow column \"%s\": entry %lld is number %lld of a dictionary of %lld", v->name, (long long)(i - first),
                             (long long)at, (long long)c->dictionary.length);
    }
    return ECREC_OK;
}

int32_t column_open(arrow_column *c, const char *name, const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t first, int64_t n, ecrec_error *err)
{
    memset(c, 0, sizeof *c);
    int32_t status = view_open(&c->view, name, schema, array, first, n, err);
    if (status != ECREC_OK)
        return status;
    if ((schema->dictionary != NULL) != (array->dictionary != NULL))
        REFUSE("Arrow column \"%s\": its %s has a dictionary, its %s has none", name, schema->dictionary != NULL ? "schema" : "array", schema->dictionary != NULL ? "array" : "schema");
    if (schema->dictionary == NULL)
        return ECREC_OK;
    if (c->view.form != ARROW_INTEGERS || c->view.multiply != 0)
        REFUSE("Arrow column \"%s\": the indices of its dictionary have format \"%s\"; they must be integers", name, schema->format);
    if (schema->dictionary->dictionary != NULL || array->dictionary->dictionary != NULL)
        REFUSE("Arrow column \"%s\": a dictionary of a dictionary is not read", name);
    c->has_dictionary = 1;
    status = view_open(&c->dictionary, name, schema->dictionary, array->dictionary, 0, array->dictionary->length < 0 ? 0 : array->dictionary->length, err);
    return status == ECREC_OK ? check_indices(c, first, n, err) : status;
}

int32_t view_child(const arrow_view *v, int64_t i, const struct ArrowSchema **schema, const struct ArrowArray **array, ecrec_error *err)
{
    const struct ArrowSchema *s = v->schema;
    const struct ArrowArray *a = v->array;
    if (s->n_children < 0 || s->n_children > INT32_MAX || s->n_children != a->n_children)
        REFUSE("Arrow column \"%s\": its schema has %lld children, its array %lld", v->name, (long long)s->n_children, (long long)a->n_children);
    if (i >= s->n_children)
        REFUSE("Arrow column \"%s\": format \"%s\" has no child %lld", v->name, s->format, (long long)i);
    if (s->children == NULL || a->children == NULL || s->children[i] == NULL || a->children[i] == NULL)
        REFUSE("Arrow column \"%s\": its child %lld is NULL", v->name, (long long)i);
    *schema = s->children[i];
    *array = a->children[i];
    return ECREC_OK;
}

/* ---- entries ---- */

static int bit(const uint8_t *bits, int64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

int view_has(const arrow_view *v, int64_t i)
{
    return v->form != ARROW_NULLS && (v->valid == NULL || bit(v->valid, v->offset + i));
}

int64_t view_integer(const arrow_view *v, int64_t i)
{
    const int64_t at = v->offset + i;
    switch (v->width) {
    case 1: return v->is_signed ? ((const int8_t *)v->values)[at] : ((const uint8_t *)v->values)[at];
    case 2: return v->is_signed ? ((const int16_t *)v->values)[at] : ((const uint16_t *)v->values)[at];
    case 4: return v->is_signed ? (int64_t)((const int32_t *)v->values)[at] : (int64_t)((const uint32_t *)v->values)[at];
    default: return ((const int64_t *)v->values)[at];
    }
}

static double half(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const double sign = h >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * fraction * 0x1p-24;
    return sign * (1024 + fraction) * (double)((uint64_t)1 << exponent) * 0x1p-25;
}

double view_number(const arrow_view *v, int64_t i)
{
    const int64_t at = v->offset + i;
    if (v->form == ARROW_BOOLEANS)
        return bit(v->values, at);
    if (v->form == ARROW_INTEGERS)
        return v->width == 8 && !v->is_signed ? (double)((const uint64_t *)v->values)[at] : (double)view_integer(v, i);
    return v->width == 2 ? half(((const uint16_t *)v->values)[at]) : v->width == 4 ? (double)((const float *)v->values)[at] : ((const double *)v->values)[at];
}

void view_range(const arrow_view *v, int64_t i, int64_t *from, int64_t *to)
{
    *from = v->width == 0 ? (v->offset + i) * v->fixed : offset_at(v, i);
    *to = v->width == 0 ? *from + v->fixed : offset_at(v, i + 1);
}

const char *view_text(const arrow_view *v, int64_t i, size_t *length)
{
    int64_t from = 0, to = 0;
    view_range(v, i, &from, &to);
    *length = (size_t)(to - from);
    if (*length == 0)
        return "";
    return (v->width == 0 ? (const char *)v->values : v->bytes) + from;
}

int column_at(const arrow_column *c, int64_t i, const arrow_view **view, int64_t *at)
{
    if (!view_has(&c->view, i))
        return 0;
    *view = c->has_dictionary ? &c->dictionary : &c->view;
    *at = c->has_dictionary ? view_integer(&c->view, i) : i;
    return !c->has_dictionary || view_has(*view, *at);
}
