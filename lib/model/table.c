/* Chunked tables: directories, blocks and chunks, and who of a table's versions owns them.
 *
 * A version is given up when no table has it any more. With one version made from it, it is taken out between its parent and that one,
 * which takes over what it still has of it; with none, all that it owns is freed; with several it stays until all but one of them are
 * gone. Whoever changes a node's entries or its place among the versions holds the store's lock; readers take none, since a table that
 * they may read is given up after they are done. */
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "kernels/prefetch.h"
#include "model/slabs.h"
#include "model/tensor.h"

struct table_store {
    pthread_mutex_t lock;
    uint64_t tables; /* under the lock */
    slabs chunks, blocks;
    table_node *spare; /* a directory given up, for the next one; all have as many entries */
    memory *m;
};

static size_t chunk_bytes(const tensor *t)
{
    return (size_t)(t->rows_per_chunk * t->row_bytes);
}

static size_t bit_words(uint64_t count)
{
    return (size_t)((count + 63) / 64);
}

static size_t directory_bytes(uint64_t count)
{
    return sizeof(table_node) + (size_t)count * sizeof(void *) + bit_words(count) * sizeof(_Atomic uint64_t);
}

/* ---- versions ---- */

static void own(table_node *n, uint64_t i)
{
    atomic_fetch_or_explicit(&n->owned[i / 64], (uint64_t)1 << (i & 63), memory_order_release);
}

static void link_child(table_node *parent, table_node *n)
{
    n->parent = parent;
    n->previous = NULL;
    n->next = parent->child;
    if (n->next != NULL)
        n->next->previous = n;
    parent->child = n;
    atomic_fetch_add_explicit(&parent->children, 1, memory_order_release);
}

static void unlink_child(table_node *n)
{
    if (n->previous != NULL)
        n->previous->next = n->next;
    else
        n->parent->child = n->next;
    if (n->next != NULL)
        n->next->previous = n->previous;
}

/* The only child in the place of its parent. */
static void lift_child(table_node *n)
{
    table_node *c = n->child;
    c->parent = n->parent;
    c->next = n->next;
    c->previous = n->previous;
    if (c->next != NULL)
        c->next->previous = c;
    if (c->previous != NULL)
        c->previous->next = c;
    else if (c->parent != NULL)
        c->parent->child = c;
}

static void free_node(table_store *s, table_node *n)
{
    if (!n->blocks)
        slabs_give(&s->blocks, n);
    else if (s->spare == NULL)
        s->spare = n;
    else
        memory_release(s->m, n, directory_bytes(n->count));
}

static void settle(table_store *s, table_node *n);

static void drop_entry(table_store *s, const table_node *n, void *entry)
{
    if (!n->blocks) {
        slabs_give(&s->chunks, entry);
        return;
    }
    table_node *b = entry;
    atomic_store_explicit(&b->references, 0, memory_order_relaxed);
    settle(s, b);
}

/* The places of the bits that are set. */
static uint32_t places_of(uint64_t bits, uint32_t first, uint32_t places[64])
{
    uint32_t n = 0;
    for (uint32_t i = 0; bits != 0; i++, bits >>= 1)
        if (bits & 1)
            places[n++] = first + i;
    return n;
}

/* Memory, for the blocks at these places, which are about to be given up, then for what they own. */
static void ask_blocks(const table_store *s, const table_node *n, const uint32_t *places, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        const unsigned char *b = n->at[places[k]];
        slabs_ask(&s->blocks, b);
        for (size_t line = 64; line < sizeof(table_node) + CHUNK_BLOCK * sizeof(void *); line += 64)
            prefetch(b + line);
    }
    for (uint32_t k = 0; k < count; k++) {
        const table_node *b = n->at[places[k]];
        uint32_t chunks[64];
        const uint32_t owned = places_of(atomic_load_explicit(&b->own, memory_order_relaxed), 0, chunks);
        for (uint32_t c = 0; c < owned; c++)
            slabs_ask(&s->chunks, b->at[chunks[c]]);
        if (b->child != NULL)
            prefetch(b->child);
    }
}

/* What n owns goes to `heir` where that has it too (NULL: there is none). */
static void hand_over(table_store *s, const table_node *n, table_node *heir)
{
    for (uint32_t w = 0; w < bit_words(n->count); w++) {
        uint32_t places[64], count = 0;
        const uint32_t all = places_of(atomic_load_explicit(&n->owned[w], memory_order_relaxed), 64 * w, places);
        for (uint32_t k = 0; k < all; k++) {
            if (heir != NULL && heir->at[places[k]] == n->at[places[k]])
                own(heir, places[k]);
            else
                places[count++] = places[k];
        }
        if (n->blocks)
            ask_blocks(s, n, places, count);
        for (uint32_t k = 0; k < count; k++)
            drop_entry(s, n, n->at[places[k]]);
    }
}

/* A version that no table has: see above. */
static void settle(table_store *s, table_node *n)
{
    while (n != NULL && atomic_load_explicit(&n->references, memory_order_relaxed) == 0) {
        const uint32_t children = atomic_load_explicit(&n->children, memory_order_relaxed);
        table_node *parent = n->parent;
        if (children > 1)
            return;
        hand_over(s, n, children == 1 ? n->child : NULL);
        if (children == 1) {
            lift_child(n);
            parent = NULL; /* it has as many as before */
        } else if (parent != NULL) {
            unlink_child(n);
            atomic_fetch_sub_explicit(&parent->children, 1, memory_order_release);
        }
        free_node(s, n);
        n = parent;
    }
}

/* ---- tables ---- */

/* Of the entries of `from`, or (NULL) of none. */
static table_node *make_directory(table_store *s, uint64_t count, const table_node *from)
{
    table_node *d = s->spare != NULL ? s->spare : memory_allocate(s->m, directory_bytes(count));
    if (d == NULL)
        return NULL;
    s->spare = NULL;
    memset(d, 0, sizeof *d);
    if (from != NULL)
        memcpy(d->at, from->at, (size_t)count * sizeof *d->at);
    else
        memset(d->at, 0, (size_t)count * sizeof *d->at);
    memset(d->at + count, 0, bit_words(count) * sizeof(_Atomic uint64_t));
    atomic_init(&d->references, 1);
    d->count = (uint32_t)count;
    d->blocks = 1;
    d->owned = (_Atomic uint64_t *)(void *)(d->at + count);
    return d;
}

static table_store *make_store(memory *m, const tensor *t)
{
    table_store *s = memory_zero(m, sizeof *s);
    if (s == NULL)
        return NULL;
    s->m = m;
    s->tables = 1;
    slabs_init(&s->chunks, m, chunk_bytes(t));
    slabs_init(&s->blocks, m, sizeof(table_node) + CHUNK_BLOCK * sizeof(void *));
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        memory_release(m, s, sizeof *s);
        return NULL;
    }
    return s;
}

static int32_t shape_table(memory *m, int32_t type, uint64_t rows, uint64_t columns, uint64_t rows_per_chunk, tensor **out)
{
    const uint64_t shape[2] = { rows, columns };
    size_t row_bytes, bytes;
    if (rows == 0 || columns == 0 || rows_per_chunk == 0 || rows_per_chunk > (1u << 20) || (rows_per_chunk & (rows_per_chunk - 1)) ||
        !size_multiply((size_t)columns, type_size(type), &row_bytes) || row_bytes == 0 ||
        !size_multiply(row_bytes, (size_t)rows_per_chunk, &bytes) || bytes > ((size_t)1 << 30))
        return ECREC_ERR_NOMEM;
    tensor *t = tensor_blank(m, type, LAYOUT_CHUNKS, 2, shape);
    if (t == NULL)
        return ECREC_ERR_NOMEM;
    t->row_bytes = row_bytes;
    t->rows_per_chunk = rows_per_chunk;
    while (((uint64_t)1 << t->chunk_shift) < rows_per_chunk)
        t->chunk_shift++;
    t->chunk_count = (rows - 1) / rows_per_chunk + 1;
    t->block_count = (t->chunk_count - 1) / CHUNK_BLOCK + 1;
    *out = t;
    return t->block_count <= UINT32_MAX ? ECREC_OK : ECREC_ERR_NOMEM;
}

static void set_directory(tensor *t, table_node *d)
{
    t->directory = d;
    t->blocks = d->at;
}

int32_t tensor_chunked(memory *m, int32_t type, uint64_t rows, uint64_t columns, uint64_t rows_per_chunk, tensor **out)
{
    tensor *t = NULL;
    table_node *d = NULL;
    int32_t status = shape_table(m, type, rows, columns, rows_per_chunk, &t);
    if (status == ECREC_OK && ((t->store = make_store(m, t)) == NULL || (d = make_directory(t->store, t->block_count, NULL)) == NULL))
        status = ECREC_ERR_NOMEM;
    if (status != ECREC_OK) {
        tensor_release(t);
        return status;
    }
    set_directory(t, d);
    *out = t;
    return ECREC_OK;
}

int32_t tensor_fork(const tensor *t, tensor **out)
{
    tensor *copy = NULL;
    const int32_t status = shape_table(t->m, t->type, t->shape[0], t->shape[1], t->rows_per_chunk, &copy);
    if (status != ECREC_OK)
        return status;
    pthread_mutex_lock(&t->store->lock);
    t->store->tables++;
    pthread_mutex_unlock(&t->store->lock);
    atomic_fetch_add_explicit(&t->directory->references, 1, memory_order_relaxed);
    copy->store = t->store;
    set_directory(copy, t->directory);
    *out = copy;
    return ECREC_OK;
}

void table_release(tensor *t)
{
    table_store *s = t->store;
    pthread_mutex_lock(&s->lock);
    if (t->directory != NULL && atomic_fetch_sub_explicit(&t->directory->references, 1, memory_order_acq_rel) == 1)
        settle(s, t->directory);
    const uint64_t left = --s->tables;
    pthread_mutex_unlock(&s->lock);
    if (left != 0)
        return;
    if (s->spare != NULL)
        memory_release(s->m, s->spare, directory_bytes(s->spare->count));
    slabs_close(&s->chunks);
    slabs_close(&s->blocks);
    pthread_mutex_destroy(&s->lock);
    memory_release(s->m, s, sizeof *s);
}

/* ---- writing: under the lock ---- */

static int own_directory(tensor *t)
{
    table_node *d = t->directory, *fresh;
    if (atomic_load_explicit(&d->references, memory_order_acquire) == 1 && atomic_load_explicit(&d->children, memory_order_acquire) == 0)
        return 1;
    if ((fresh = make_directory(t->store, t->block_count, d)) == NULL)
        return 0;
    link_child(d, fresh);
    set_directory(t, fresh);
    if (atomic_fetch_sub_explicit(&d->references, 1, memory_order_acq_rel) == 1)
        settle(t->store, d);
    return 1;
}

static table_node *own_block(tensor *t, uint64_t i)
{
    table_node *d = t->directory, *b = d->at[i], *fresh;
    if (node_owns(d, i))
        return b;
    if ((fresh = slabs_take(&t->store->blocks)) == NULL)
        return NULL;
    memset(fresh, 0, sizeof *fresh);
    atomic_init(&fresh->references, 1);
    atomic_init(&fresh->children, 0);
    atomic_init(&fresh->own, 0);
    fresh->owned = &fresh->own;
    fresh->count = CHUNK_BLOCK;
    if (b != NULL) {
        memcpy(fresh->at, b->at, CHUNK_BLOCK * sizeof *b->at);
        link_child(b, fresh);
    } else {
        memset(fresh->at, 0, CHUNK_BLOCK * sizeof *fresh->at);
    }
    d->at[i] = fresh;
    own(d, i);
    return fresh;
}

static void *own_row(tensor *t, uint64_t row)
{
    const uint64_t index = row >> t->chunk_shift, i = index % CHUNK_BLOCK;
    table_node *b = own_block(t, index / CHUNK_BLOCK);
    if (b == NULL)
        return NULL;
    if (!node_owns(b, i)) {
        void *fresh = slabs_take(&t->store->chunks);
        if (fresh == NULL)
            return NULL;
        if (b->at[i] != NULL)
            memcpy(fresh, b->at[i], chunk_bytes(t));
        else
            memset(fresh, 0, chunk_bytes(t));
        b->at[i] = fresh;
        own(b, i);
    }
    return (unsigned char *)b->at[i] + (row & (t->rows_per_chunk - 1)) * t->row_bytes;
}

void *tensor_row_own(tensor *t, uint64_t row)
{
    pthread_mutex_lock(&t->store->lock);
    void *to = own_directory(t) ? own_row(t, row) : NULL;
    pthread_mutex_unlock(&t->store->lock);
    return to;
}

/* Three steps ahead of each other: the pointer to a row's block, the block's pointer to its chunk, the chunk. */
enum { FAR_AHEAD = 24, AHEAD = 12 };

static void ask_block(const tensor *t, uint64_t row)
{
    const uint64_t index = row >> t->chunk_shift;
    const table_node *b = t->blocks[index / CHUNK_BLOCK];
    if (b == NULL)
        return;
    prefetch(b);
    prefetch(&b->at[index % CHUNK_BLOCK]);
}

static void ask_chunk(const tensor *t, uint64_t row)
{
    const uint64_t index = row >> t->chunk_shift;
    const table_node *b = t->blocks[index / CHUNK_BLOCK];
    const unsigned char *c = b != NULL ? b->at[index % CHUNK_BLOCK] : NULL;
    for (size_t i = 0; c != NULL && i < chunk_bytes(t) && i < 256; i += 64)
        prefetch(c + i);
}

int32_t tensor_float_rows(tensor *t, const uint64_t *rows, size_t n, float **out)
{
    pthread_mutex_lock(&t->store->lock);
    int32_t status = own_directory(t) ? ECREC_OK : ECREC_ERR_NOMEM;
    for (size_t i = 0; i < n && i < FAR_AHEAD && status == ECREC_OK; i++)
        ask_block(t, rows[i]);
    for (size_t i = 0; i < n && i < AHEAD && status == ECREC_OK; i++)
        ask_chunk(t, rows[i]);
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        if (i + FAR_AHEAD < n)
            ask_block(t, rows[i + FAR_AHEAD]);
        if (i + AHEAD < n)
            ask_chunk(t, rows[i + AHEAD]);
        if ((out[i] = own_row(t, rows[i])) == NULL)
            status = ECREC_ERR_NOMEM;
    }
    pthread_mutex_unlock(&t->store->lock);
    return status;
}

uint64_t tensor_own_bytes(const tensor *t, const tensor *base)
{
    uint64_t bytes = 0;
    if (t->layout != LAYOUT_CHUNKS)
        return base == t ? 0 : t->bytes;
    for (uint64_t i = 0; i < t->block_count; i++) {
        const table_node *b = tensor_block(t, i), *other = base != NULL && i < base->block_count ? tensor_block(base, i) : NULL;
        for (size_t c = 0; b != NULL && b != other && c < CHUNK_BLOCK; c++)
            if (b->at[c] != NULL && (other == NULL || other->at[c] != b->at[c]))
                bytes += chunk_bytes(t);
    }
    return bytes;
}
