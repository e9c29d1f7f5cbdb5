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

static tensor *blank(memory *m, int32_t type, int32_t layout, int32_t rank, const uint64_t *shape)
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
    tensor *t = blank(m, type, layout, rank, shape);
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
    tensor *t = blank(m, type, layout, rank, shape);
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

/* ---- chunks: two levels, so that a copy of a huge table costs its touched blocks, not its length ---- */

static size_t chunk_bytes(const tensor *t)
{
    return CHUNK_HEADER + t->rows_per_chunk * t->row_bytes;
}

static void chunk_release(const tensor *t, chunk *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) == 1)
        memory_release(t->m, c, chunk_bytes(t));
}

/* The counters of a block's chunks lie far apart: asking for all of them first lets the waits for memory overlap. */
static void look_ahead(const chunk_block *b)
{
    for (size_t i = 0; i < CHUNK_BLOCK; i++)
        if (b->chunks[i] != NULL)
            (void)atomic_load_explicit(&b->chunks[i]->references, memory_order_relaxed);
}

static void block_release(const tensor *t, chunk_block *b)
{
    if (b == NULL || atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) != 1)
        return;
    look_ahead(b);
    for (size_t i = 0; i < CHUNK_BLOCK; i++)
        chunk_release(t, b->chunks[i]);
    memory_release(t->m, b, sizeof *b);
}

void tensor_release(tensor *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint64_t i = 0; i < t->block_count; i++)
        block_release(t, t->blocks[i]);
    memory_release(t->m, t->blocks, t->blocks != NULL ? t->block_count * sizeof *t->blocks : 0);
    if (t->map != NULL)
        mapping_release(t->map);
    else
        memory_release(t->m, (void *)(uintptr_t)t->data, t->bytes);
    memory_release(t->m, t, sizeof *t);
}

int32_t tensor_chunked(memory *m, int32_t type, uint64_t rows, uint64_t columns, uint64_t rows_per_chunk, tensor **out)
{
    const uint64_t shape[2] = { rows, columns };
    size_t row_bytes, bytes;
    if (rows == 0 || columns == 0 || rows_per_chunk == 0 || rows_per_chunk > (1u << 20) || (rows_per_chunk & (rows_per_chunk - 1)) ||
        !size_multiply((size_t)columns, type_size(type), &row_bytes) || row_bytes == 0 ||
        !size_multiply(row_bytes, (size_t)rows_per_chunk, &bytes) || bytes > ((size_t)1 << 30))
        return ECREC_ERR_NOMEM;
    tensor *t = blank(m, type, LAYOUT_CHUNKS, 2, shape);
    if (t == NULL)
        return ECREC_ERR_NOMEM;
    t->row_bytes = row_bytes;
    t->rows_per_chunk = rows_per_chunk;
    while (((uint64_t)1 << t->chunk_shift) < rows_per_chunk)
        t->chunk_shift++;
    t->chunk_count = (rows + rows_per_chunk - 1) / rows_per_chunk;
    t->block_count = (t->chunk_count + CHUNK_BLOCK - 1) / CHUNK_BLOCK;
    t->blocks = memory_zero(m, memory_product((size_t)t->block_count, sizeof *t->blocks));
    if (t->blocks == NULL) {
        memory_release(m, t, sizeof *t);
        return ECREC_ERR_NOMEM;
    }
    *out = t;
    return ECREC_OK;
}

int32_t tensor_fork(const tensor *t, tensor **out)
{
    tensor *copy = NULL;
    int32_t status = tensor_chunked(t->m, t->type, t->shape[0], t->shape[1], t->rows_per_chunk, &copy);
    if (status != ECREC_OK)
        return status;
    for (uint64_t i = 0; i < t->block_count; i++) {
        if (t->blocks[i] != NULL)
            atomic_fetch_add_explicit(&t->blocks[i]->references, 1, memory_order_relaxed);
        copy->blocks[i] = t->blocks[i];
    }
    *out = copy;
    return ECREC_OK;
}

/* A block of `t` that nobody else has; NULL: no memory. */
static chunk_block *own_block(tensor *t, uint64_t index)
{
    chunk_block *b = t->blocks[index], *fresh;
    if (b != NULL && atomic_load_explicit(&b->references, memory_order_acquire) == 1)
        return b;
    if ((fresh = memory_zero(t->m, sizeof *fresh)) == NULL)
        return NULL;
    atomic_init(&fresh->references, 1);
    if (b != NULL)
        look_ahead(b);
    for (size_t i = 0; b != NULL && i < CHUNK_BLOCK; i++) {
        fresh->chunks[i] = b->chunks[i];
        if (b->chunks[i] != NULL)
            atomic_fetch_add_explicit(&b->chunks[i]->references, 1, memory_order_relaxed);
    }
    t->blocks[index] = fresh;
    block_release(t, b);
    return fresh;
}

void *tensor_row_own(tensor *t, uint64_t row)
{
    uint64_t index = row >> t->chunk_shift;
    chunk_block *b = own_block(t, index / CHUNK_BLOCK);
    if (b == NULL)
        return NULL;
    chunk *c = b->chunks[index % CHUNK_BLOCK];
    if (c == NULL || atomic_load_explicit(&c->references, memory_order_acquire) != 1) {
        chunk *fresh = memory_allocate(t->m, chunk_bytes(t));
        if (fresh == NULL)
            return NULL;
        atomic_init(&fresh->references, 1);
        if (c != NULL)
            memcpy((unsigned char *)fresh + CHUNK_HEADER, (unsigned char *)c + CHUNK_HEADER, chunk_bytes(t) - CHUNK_HEADER);
        else
            memset((unsigned char *)fresh + CHUNK_HEADER, 0, chunk_bytes(t) - CHUNK_HEADER);
        b->chunks[index % CHUNK_BLOCK] = fresh;
        chunk_release(t, c);
        c = fresh;
    }
    return (unsigned char *)c + CHUNK_HEADER + (row & (t->rows_per_chunk - 1)) * t->row_bytes;
}

uint64_t tensor_own_bytes(const tensor *t, const tensor *base)
{
    uint64_t bytes = 0;
    if (t->layout != LAYOUT_CHUNKS)
        return base == t ? 0 : t->bytes;
    for (uint64_t i = 0; i < t->block_count; i++) {
        const chunk_block *b = t->blocks[i];
        const chunk_block *other = base != NULL && i < base->block_count ? base->blocks[i] : NULL;
        if (b == NULL || b == other)
            continue;
        for (size_t c = 0; c < CHUNK_BLOCK; c++)
            if (b->chunks[c] != NULL && (other == NULL || other->chunks[c] != b->chunks[c]))
                bytes += chunk_bytes(t);
    }
    return bytes;
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
