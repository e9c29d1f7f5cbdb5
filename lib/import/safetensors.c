#include "import/safetensors.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"
#include "base/sort.h"
#include "model/tensor.h"

enum { MOST_HEADER = 100 << 20, MOST_TENSORS = 1 << 20 };

typedef struct dtype { const char *name; int32_t type; size_t size; } dtype;
static const dtype dtypes[] = {
    { "F32", TYPE_F32, 4 }, { "F16", TYPE_F16, 2 }, { "BF16", TYPE_BF16, 2 }, { "F64", TYPE_F64, 8 }, { "U8", TYPE_U8, 1 },
    { "I8", TYPE_S8, 1 },   { "U32", TYPE_U32, 4 }, { "U64", TYPE_U64, 8 },   { "I64", 0, 8 },        { "I32", 0, 4 },
    { "I16", 0, 2 },        { "U16", 0, 2 },        { "BOOL", 0, 1 },         { "F8_E4M3", 0, 1 },    { "F8_E5M2", 0, 1 },
};

static int by_name(const void *a, const void *b, void *opaque)
{
    const safetensor *x = a, *y = b;
    (void)opaque;
    return strcmp(x->name, y->name);
}

static int by_data(const void *a, const void *b, void *opaque)
{
    const safetensor *x = a, *y = b;
    (void)opaque;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

static int32_t read_entry(const char *name, const json *v, const unsigned char *data, size_t length, safetensor *t,
                          ecrec_error *err)
{
    const json *type = json_get(v, "dtype"), *shape = json_get(v, "shape"), *offsets = json_get(v, "data_offsets");
    uint64_t begin = 0, end = 0;
    if (memchr(v->key, 0, v->key_length) != NULL || v->key_length == 0)
        return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: a tensor has no usable name", name);
    if (!json_is(type, JSON_STRING) || !json_is(shape, JSON_ARRAY) || shape->length > 8)
        return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: tensor \"%s\" has no \"dtype\" or no \"shape\" of at most 8 numbers", name, v->key);
    if (!json_is(offsets, JSON_ARRAY) || offsets->length != 2 || !json_u64(json_at(offsets, 0), &begin) ||
        !json_u64(json_at(offsets, 1), &end) || begin > end || end > length)
        return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: the data of tensor \"%s\" lies outside of the file (%zu bytes of data)",
                        name, v->key, length);
    *t = (safetensor){ .name = v->key, .dtype = type->text, .rank = shape->length, .data = data + begin, .bytes = (size_t)(end - begin) };
    size_t count = 1, bytes = 0;
    const json *d = shape->first;
    for (uint32_t i = 0; i < t->rank; i++, d = d->next)
        if (!json_u64(d, &t->shape[i]) || t->shape[i] > SIZE_MAX || !size_multiply(count, (size_t)t->shape[i], &count))
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: tensor \"%s\" has an impossible shape", name, v->key);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, type->text) != 0)
            continue;
        t->type = dtypes[i].type;
        if (!size_multiply(count, dtypes[i].size, &bytes) || bytes != t->bytes)
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: tensor \"%s\" has %zu bytes of data, its shape needs %zu", name,
                            v->key, t->bytes, bytes);
    }
    return ECREC_OK;
}

static int32_t read_entries(const char *name, const json *root, const unsigned char *data, size_t length, safetensors *out,
                            ecrec_error *err)
{
    if (!json_is(root, JSON_OBJECT) || root->length > MOST_TENSORS)
        return error_set(err, ECREC_ERR_FORMAT, "%s: the header is not an object of at most %d tensors", name, MOST_TENSORS);
    out->tensors = arena_zero(&out->a, root->length * sizeof *out->tensors + 1);
    if (out->tensors == NULL)
        return error_nomem(err, "the list of tensors", root->length * sizeof *out->tensors);
    for (const json *v = root->first; v != NULL; v = v->next) {
        if (strcmp(v->key, "__metadata__") == 0)
            continue;
        const int32_t status = read_entry(name, v, data, length, &out->tensors[out->count], err);
        if (status != ECREC_OK)
            return status;
        out->count++;
    }
    sort_items(out->tensors, out->count, sizeof *out->tensors, by_data, NULL);
    const safetensor *last = NULL;
    for (size_t i = 0; i < out->count; i++) {
        const safetensor *t = &out->tensors[i];
        if (t->bytes == 0)
            continue;
        if (last != NULL && t->data < last->data + last->bytes)
            return error_set(err, ECREC_ERR_FORMAT, "%s: the tensors \"%s\" and \"%s\" overlap", name, last->name, t->name);
        last = t;
    }
    sort_items(out->tensors, out->count, sizeof *out->tensors, by_name, NULL);
    return ECREC_OK;
}

int32_t safetensors_open(memory *m, const char *name, const void *bytes, size_t length, safetensors *out, ecrec_error *err)
{
    const json *root = NULL;
    reader r;
    reader_init(&r, bytes, length);
    const uint64_t header = read_u64(&r);
    memset(out, 0, sizeof *out);
    if (r.failed || header > length - 8 || header > MOST_HEADER)
        return error_at(err, ECREC_ERR_FORMAT, 0, "%s: it is not a safetensors file, or it is truncated (%zu bytes)", name, length);
    arena_init(&out->a, m);
    const unsigned char *data = (const unsigned char *)bytes + 8;
    int32_t status = json_parse(&out->a, name, (const char *)data, (size_t)header, &root, err);
    if (status == ECREC_OK)
        status = read_entries(name, root, data + header, length - 8 - (size_t)header, out, err);
    if (status != ECREC_OK)
        safetensors_close(out);
    return status;
}

void safetensors_close(safetensors *s)
{
    arena_release(&s->a);
    s->tensors = NULL;
    s->count = 0;
}

const safetensor *safetensors_find(const safetensors *s, const char *name)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(s->tensors[middle].name, name);
        if (order == 0)
            return &s->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 5.9604644775390625e-8f; /* 2^-24 */
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int32_t safetensors_floats(const safetensor *t, size_t first, size_t count, float *out, ecrec_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = first + i;
        uint16_t half;
        uint32_t word;
        double wide;
        switch (t->type) {
        case TYPE_F32:
            memcpy(&out[i], t->data + 4 * at, 4);
            break;
        case TYPE_F16:
            memcpy(&half, t->data + 2 * at, 2);
            out[i] = half_to_float(half);
            break;
        case TYPE_BF16:
            memcpy(&half, t->data + 2 * at, 2);
            word = (uint32_t)half << 16;
            memcpy(&out[i], &word, 4);
            break;
        case TYPE_F64:
            memcpy(&wide, t->data + 8 * at, 8);
            out[i] = (float)wide;
            break;
        default:
            return error_set(err, ECREC_ERR_UNSUPPORTED, "tensor \"%s\": type %s is not supported (supported: F32, F16, BF16, F64)",
                             t->name, t->dtype);
        }
        if (!isfinite(out[i]))
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\": value %zu is not a finite number", t->name, at);
    }
    return ECREC_OK;
}
