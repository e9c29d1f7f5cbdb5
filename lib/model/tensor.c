#include "model/tensor.h"

#include <string.h>

#include "base/bytes.h"
#include "model/file.h"

size_t type_size(int32_t type)
{
    switch (type) {
    case TYPE_F32: case TYPE_U32: return 4;
    case TYPE_F16: case TYPE_BF16: return 2;
    case TYPE_S8: case TYPE_U8: return 1;
    case TYPE_F64: case TYPE_U64: return 8;
    default: return 0;
    }
}

const char *type_name(int32_t type)
{
    static const char *const names[] = { "?", "f32", "f16", "bf16", "s8", "f64", "u32", "u64", "u8", "s4" };
    return type >= 0 && type < (int32_t)(sizeof names / sizeof *names) ? names[type] : "?";
}

static int round_up(size_t n, size_t to, size_t *out)
{
    if (n > SIZE_MAX - (to - 1))
        return 0;
    *out = (n + to - 1) / to * to;
    return 1;
}

size_t tensor_bytes(int32_t type, int32_t layout, int32_t rank, const uint64_t *shape)
{
    size_t size = type_size(type), bytes = size, stride, scales;
    if ((size == 0 && (type != TYPE_S4 || layout != LAYOUT_PANELS)) || rank < 0 || rank > TENSOR_MAX_RANK)
        return SIZE_MAX;
    switch (layout) {
    case LAYOUT_ROWS:
        for (int32_t d = 0; d < rank; d++)
            if (shape[d] > SIZE_MAX || !size_multiply(bytes, (size_t)shape[d], &bytes))
                return SIZE_MAX;
        return bytes;
    case LAYOUT_PANELS:
        if (rank != 2 || (type != TYPE_F32 && type != TYPE_BF16 && type != TYPE_S8 && type != TYPE_S4))
            return SIZE_MAX;
        return weights_bytes(type, (size_t)shape[0], (size_t)shape[1]); /* the numbers are the same */
    case LAYOUT_ROWS_S8:
        if (rank != 2 || type != TYPE_S8 || !round_up((size_t)shape[1], 64, &stride) ||
            !size_multiply(stride, (size_t)shape[0], &bytes) || !size_multiply((size_t)shape[0], sizeof(float), &scales) ||
            !size_add(bytes, scales, &bytes))
            return SIZE_MAX;
        return bytes;
    default:
        return SIZE_MAX;
    }
}

tensor *tensor_blank(memory *m, int32_t type, int32_t layout, int32_t rank, const uint64_t *shape)
{
    tensor *t = memory_zero(m, sizeof *t);
    if (t == NULL)
        return NULL;
    atomic_init(&t->references, 1);
    t->type = type;
    t->layout = layout;
    t->rank = rank;
    for (int32_t d = 0; d < rank; d++)
        t->shape[d] = shape[d];
    t->m = m;
    return t;
}

int32_t tensor_create(memory *m, int32_t type, int32_t layout, int32_t rank, const uint64_t *shape, tensor **out)
{
    size_t bytes = tensor_bytes(type, layout, rank, shape);
    if (bytes == SIZE_MAX)
        return ECREC_ERR_NOMEM;
    tensor *t = tensor_blank(m, type, layout, rank, shape);
    if (t == NULL)
        return ECREC_ERR_NOMEM;
    t->bytes = bytes;
    if (bytes > 0 && (t->data = memory_allocate(m, bytes)) == NULL) {
        memory_release(m, t, sizeof *t);
        return ECREC_ERR_NOMEM;
    }
    *out = t;
    return ECREC_OK;
}

int32_t tensor_view(memory *m, mapping *map, const void *data, int32_t type, int32_t layout, int32_t rank,
                    const uint64_t *shape, tensor **out)
{
    size_t bytes = tensor_bytes(type, layout, rank, shape);
    if (bytes == SIZE_MAX)
        return ECREC_ERR_NOMEM;
    tensor *t = tensor_blank(m, type, layout, rank, shape);
    if (t == NULL)
        return ECREC_ERR_NOMEM;
    t->bytes = bytes;
    t->data = data;
    t->map = mapping_reference(map);
    *out = t;
    return ECREC_OK;
}

void *tensor_edit(tensor *t)
{
    return (void *)(uintptr_t)t->data;
}

tensor *tensor_reference(tensor *t)
{
    if (t != NULL)
        atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

void tensor_release(tensor *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    if (t->store != NULL)
        table_release(t);
    if (t->map != NULL)
        mapping_release(t->map);
    else
        memory_release(t->m, (void *)(uintptr_t)t->data, t->bytes);
    memory_release(t->m, t, sizeof *t);
}

void tensor_weights(const tensor *t, weights *w)
{
    weights_view(w, t->type, (size_t)t->shape[0], (size_t)t->shape[1], t->data);
}

/* ---- sets ---- */

typedef struct named {
    char *name;
    tensor *t;
} named;

struct tensor_set {
    memory *m;
    named *items; /* sorted by name */
    size_t count, capacity;
};

int32_t tensor_set_create(memory *m, tensor_set **out)
{
    tensor_set *s = memory_zero(m, sizeof *s);
    if (s == NULL)
        return ECREC_ERR_NOMEM;
    s->m = m;
    *out = s;
    return ECREC_OK;
}

static void drop(tensor_set *s, named *n)
{
    memory_release(s->m, n->name, strlen(n->name) + 1);
    tensor_release(n->t);
}

void tensor_set_release(tensor_set *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        drop(s, &s->items[i]);
    memory_release(s->m, s->items, s->capacity * sizeof *s->items);
    memory_release(s->m, s, sizeof *s);
}

static size_t position(const tensor_set *s, const char *name, int *found)
{
    size_t low = 0, high = s->count;
    *found = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->items[middle].name, name);
        if (order == 0) {
            *found = 1;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t tensor_set_put(tensor_set *s, const char *name, tensor *t)
{
    int found;
    size_t at = position(s, name, &found), length = strlen(name) + 1;
    if (found) {
        tensor *old = s->items[at].t;
        s->items[at].t = tensor_reference(t);
        tensor_release(old);
        return ECREC_OK;
    }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 32 : 2 * s->capacity;
        named *grown = memory_grow(s->m, s->items, s->capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return ECREC_ERR_NOMEM;
        s->items = grown;
        s->capacity = capacity;
    }
    char *copy = memory_allocate(s->m, length);
    if (copy == NULL)
        return ECREC_ERR_NOMEM;
    memcpy(copy, name, length);
    memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof *s->items);
    s->items[at] = (named){ copy, tensor_reference(t) };
    s->count++;
    return ECREC_OK;
}

tensor *tensor_set_get(const tensor_set *s, const char *name)
{
    int found;
    size_t at = position(s, name, &found);
    return found ? s->items[at].t : NULL;
}

size_t tensor_set_count(const tensor_set *s)
{
    return s->count;
}

tensor *tensor_set_at(const tensor_set *s, size_t index, const char **name)
{
    if (name != NULL)
        *name = s->items[index].name;
    return s->items[index].t;
}

int32_t tensor_set_copy(const tensor_set *s, tensor_set **out)
{
    tensor_set *copy = NULL;
    int32_t status = tensor_set_create(s->m, &copy);
    for (size_t i = 0; status == ECREC_OK && i < s->count; i++)
        status = tensor_set_put(copy, s->items[i].name, s->items[i].t);
    if (status != ECREC_OK) {
        tensor_set_release(copy);
        return status;
    }
    *out = copy;
    return ECREC_OK;
}

int32_t tensor_set_remove(tensor_set *s, const char *name)
{
    int found;
    size_t at = position(s, name, &found);
    if (!found)
        return ECREC_ERR_NOT_FOUND;
    named gone = s->items[at];
    memmove(s->items + at, s->items + at + 1, (s->count - at - 1) * sizeof *s->items);
    s->count--;
    drop(s, &gone);
    return ECREC_OK;
}
