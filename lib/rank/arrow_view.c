#include "rank/arrow_view.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"
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

/* "d:19,10", "d:19,10,128": precision, scale, bits. */
static int read_decimal(arrow_view *v, const char *f)
{
    char part[3][8] = { "", "", "128" };
    size_t n = 0, at = 0;
    uint64_t precision = 0, scale = 0, bits = 0;
    for (; *f != 0; f++) {
        if (*f == ',' && n < 2) {
            part[n++][at] = 0;
            at = 0;
        } else if (at + 1 < sizeof part[0]) {
            part[n][at++] = *f;
        } else {
            return 0;
        }
    }
    part[n][at] = 0;
    const int minus = part[1][0] == '-';
    if (n == 0 || !parse_u64(part[0], strlen(part[0]), &precision) || precision == 0 || precision > 76 || !parse_u64(part[1] + minus, strlen(part[1] + minus), &scale) ||
        scale > 300 || !parse_u64(part[2], strlen(part[2]), &bits) || (bits != 32 && bits != 64 && bits != 128 && bits != 256))
        return 0;
    v->fixed = minus ? -(int64_t)scale : (int64_t)scale;
    return set(v, ARROW_DECIMALS, (int)(bits / 8), 1);
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
    if (strcmp(f, "vu") == 0 || strcmp(f, "vz") == 0)
        return set(v, ARROW_TEXTS, TEXT_VIEW, 0);
    if (strncmp(f, "d:", 2) == 0)
        return read_decimal(v, f + 2);
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

/* The entry of a text view: its length, and where it lies: buffer -1: in the entry itself, behind the length. */
static void read_view(const arrow_view *v, int64_t i, int32_t *length, int32_t *buffer, int32_t *offset)
{
    const unsigned char *at = (const unsigned char *)v->values + (v->offset + i) * TEXT_VIEW;
    memcpy(length, at, 4);
    *buffer = -1;
    *offset = 0;
    if (*length > TEXT_VIEW - 4) {
        memcpy(buffer, at + 8, 4);
        memcpy(offset, at + 12, 4);
    }
}

/* The buffers behind the views: so many with bytes, then one that says how long each is. */
static int32_t check_views(arrow_view *v, int64_t first, int64_t n, ecrec_error *err)
{
    const struct ArrowArray *a = v->array;
    if (a->n_buffers < 3 || a->n_buffers > INT32_MAX || a->buffers == NULL)
        REFUSE("Arrow column \"%s\": it has %lld buffers; format \"%s\" has 3 or more", v->name, (long long)a->n_buffers, v->schema->format);
    const int64_t count = a->n_buffers - 3, *sizes = a->buffers[count + 2];
    v->valid = a->buffers[0];
    v->values = a->buffers[1];
    if (v->valid == NULL && a->null_count > 0)
        REFUSE("Arrow column \"%s\": it has %lld nulls, but no validity bitmap", v->name, (long long)a->null_count);
    if ((v->values == NULL && n != 0) || (sizes == NULL && count != 0) || (uintptr_t)sizes % sizeof *sizes != 0)
        REFUSE("Arrow column \"%s\": its buffer of %s is NULL or out of line", v->name, v->values == NULL && n != 0 ? "views" : "sizes");
    for (int64_t i = first; i < first + n; i++) {
        int32_t length = 0, buffer = 0, offset = 0;
        if (!view_has(v, i))
            continue;
        read_view(v, i, &length, &buffer, &offset);
        if (length < 0 || (buffer != -1 && (buffer < 0 || buffer >= count || a->buffers[2 + buffer] == NULL || offset < 0 || sizes[buffer] < length || offset > sizes[buffer] - length)) ||
            (buffer == -1 && length > TEXT_VIEW - 4))
            return error_row(err, ECREC_ERR_INVALID, (uint64_t)(i - first), "Arrow column \"%s\": entry %lld says that it has %d bytes from %d on of buffer %d, which are not there", v->name,
                             (long long)(i - first), length, offset, buffer);
    }
    return ECREC_OK;
}

static int aligned(const void *p, int width)
{
    return width < 2 || (uintptr_t)p % (size_t)width == 0;
}

static int32_t check_buffers(arrow_view *v, int64_t first, int64_t n, ecrec_error *err)
{
    static const int64_t counts[] = { [ARROW_NULLS] = 0, [ARROW_BOOLEANS] = 2, [ARROW_INTEGERS] = 2, [ARROW_FLOATS] = 2, [ARROW_TEXTS] = 3, [ARROW_LISTS] = 2, [ARROW_RECORDS] = 1, [ARROW_DECIMALS] = 2 };
    const struct ArrowArray *a = v->array;
    const int fixed = (v->form == ARROW_TEXTS || v->form == ARROW_LISTS) && v->width == 0;
    const int64_t wanted = counts[v->form] - fixed;
    if (v->form == ARROW_TEXTS && v->width == TEXT_VIEW)
        return check_views(v, first, n, err);
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
    if (wanted > 1 && v->form != ARROW_DECIMALS && !aligned(v->values, v->width))
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
    if (v->form != ARROW_DECIMALS && v->fixed != 0 && array->offset + array->length > INT64_MAX / 8 / v->fixed)
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

/* Two's complement, little-endian, of up to 256 bits, times 10^-scale: rounded once. */
static double decimal_at(const arrow_view *v, int64_t at)
{
    uint32_t words[8] = { 0 };
    const int n = v->width / 4;
    decimal d = { .count = 0 };
    unsigned char digits[80];
    int count = 0, carry = 1;
    memcpy(words, (const unsigned char *)v->values + at * v->width, (size_t)v->width);
    const int minus = words[n - 1] >> 31 != 0;
    for (int i = 0; i < n && minus; i++) {
        words[i] = ~words[i] + (uint32_t)carry;
        carry = carry && words[i] == 0;
    }
    for (int left = n; left > 0;) { /* the last digit first */
        uint64_t rest = 0;
        for (int i = left - 1; i >= 0; i--) {
            rest = rest << 32 | words[i];
            words[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        digits[count++] = (unsigned char)rest;
        while (left > 0 && words[left - 1] == 0)
            left--;
    }
    for (int i = count; i-- > 0;)
        if (d.count != 0 || digits[i] != 0)
            d.digit[d.count++] = digits[i];
    d.point = d.count - (int)v->fixed;
    const double x = d.count != 0 ? decimal_to_double(&d) : 0;
    return minus ? -x : x;
}

double view_number(const arrow_view *v, int64_t i)
{
    const int64_t at = v->offset + i;
    if (v->form == ARROW_DECIMALS)
        return decimal_at(v, at);
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
    if (v->width == TEXT_VIEW) {
        int32_t bytes = 0, buffer = 0, offset = 0;
        read_view(v, i, &bytes, &buffer, &offset);
        *length = (size_t)bytes;
        return buffer < 0 ? (const char *)v->values + (v->offset + i) * TEXT_VIEW + 4 : (const char *)v->array->buffers[2 + buffer] + offset;
    }
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
