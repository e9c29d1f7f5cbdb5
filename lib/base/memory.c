#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static void *libc_allocate(void *opaque, size_t size, size_t alignment)
{
    void *block = NULL;
    (void)opaque;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void libc_release(void *opaque, void *block, size_t size, size_t alignment)
{
    (void)opaque;
    (void)size;
    (void)alignment;
    free(block);
}

int memory_c_library_has(size_t size)
{
    void *block = libc_allocate(NULL, size, MEMORY_ALIGNMENT);
    free(block);
    return block != NULL;
}

void memory_init(memory *m, const ecrec_allocator *allocator, uint64_t limit)
{
    static const ecrec_allocator libc = { sizeof libc, 0, NULL, libc_allocate, NULL, libc_release };
    m->allocator = allocator != NULL ? *allocator : libc;
    m->limit = limit;
    atomic_init(&m->live, 0);
    atomic_init(&m->peak, 0);
    atomic_init(&m->allocations, 0);
}

/* Takes `size` bytes of the allowance, or says no. */
static int account(memory *m, size_t size)
{
    uint64_t live = atomic_load_explicit(&m->live, memory_order_relaxed), next;
    do {
        next = live + size;
        if (next < live || (m->limit != 0 && next > m->limit))
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&m->live, &live, next, memory_order_relaxed, memory_order_relaxed));
    uint64_t peak = atomic_load_explicit(&m->peak, memory_order_relaxed);
    while (next > peak &&
           !atomic_compare_exchange_weak_explicit(&m->peak, &peak, next, memory_order_relaxed, memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&m->allocations, 1, memory_order_relaxed);
    return 1;
}

static void give_back(memory *m, size_t size)
{
    atomic_fetch_sub_explicit(&m->live, size, memory_order_relaxed);
}

void *memory_allocate(memory *m, size_t size)
{
    if (size == 0 || size > SIZE_MAX / 2 || !account(m, size))
        return NULL;
    void *block = m->allocator.allocate(m->allocator.opaque, size, MEMORY_ALIGNMENT);
    if (block == NULL)
        give_back(m, size);
    return block;
}

void *memory_zero(memory *m, size_t size)
{
    void *block = memory_allocate(m, size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

void *memory_grow(memory *m, void *block, size_t old_size, size_t new_size)
{
    if (block == NULL)
        return memory_allocate(m, new_size);
    if (new_size == 0 || new_size > SIZE_MAX / 2)
        return NULL;
    if (m->allocator.reallocate != NULL) {
        if (!account(m, new_size))
            return NULL;
        void *grown = m->allocator.reallocate(m->allocator.opaque, block, old_size, new_size, MEMORY_ALIGNMENT);
        give_back(m, grown != NULL ? old_size : new_size);
        return grown;
    }
    void *grown = memory_allocate(m, new_size);
    if (grown != NULL) {
        memcpy(grown, block, old_size < new_size ? old_size : new_size);
        memory_release(m, block, old_size);
    }
    return grown;
}

void memory_release(memory *m, void *block, size_t size)
{
    if (block == NULL)
        return;
    m->allocator.release(m->allocator.opaque, block, size, MEMORY_ALIGNMENT);
    give_back(m, size);
}

size_t memory_product(size_t count, size_t size)
{
    return size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;
}

/* ---- buffer ---- */

void buffer_init(buffer *b, memory *m)
{
    b->m = m;
    b->data = NULL;
    b->length = 0;
    b->capacity = 0;
}

int32_t buffer_reserve(buffer *b, size_t more)
{
    if (more <= b->capacity - b->length)
        return ECREC_OK;
    if (more > SIZE_MAX / 4 || b->length > SIZE_MAX / 4)
        return ECREC_ERR_NOMEM;
    size_t need = b->length + more, capacity = b->capacity + b->capacity / 2;
    capacity = capacity < need ? need : capacity;
    capacity = capacity < 256 ? 256 : capacity;
    void *grown = memory_grow(b->m, b->data, b->capacity, capacity);
    if (grown == NULL)
        return ECREC_ERR_NOMEM;
    b->data = grown;
    b->capacity = capacity;
    return ECREC_OK;
}

int32_t buffer_append(buffer *b, const void *bytes, size_t n)
{
    if (buffer_reserve(b, n) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    if (n > 0)
        memcpy(b->data + b->length, bytes, n);
    b->length += n;
    return ECREC_OK;
}

int32_t buffer_zeros(buffer *b, size_t n)
{
    if (buffer_reserve(b, n) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    if (n > 0)
        memset(b->data + b->length, 0, n);
    b->length += n;
    return ECREC_OK;
}

void buffer_release(buffer *b)
{
    memory_release(b->m, b->data, b->capacity);
    buffer_init(b, b->m);
}

/* ---- arena ---- */

struct arena_block {
    arena_block *next;
    size_t size, used; /* of the whole block, header included */
};
#define ARENA_HEADER 64
#define ARENA_FIRST 4096
#define ARENA_MOST ((size_t)1 << 20)

void arena_init(arena *a, memory *m)
{
    a->m = m;
    a->head = NULL;
}

static size_t aligned(size_t n, size_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

void *arena_allocate(arena *a, size_t size)
{
    size_t alignment = size >= 256 ? 64 : 16;
    if (size > SIZE_MAX / 4)
        return NULL;
    arena_block *b = a->head;
    if (b != NULL) {
        size_t at = aligned(b->used, alignment);
        if (at <= b->size && size <= b->size - at) {
            b->used = at + size;
            return (unsigned char *)b + at;
        }
    }
    size_t capacity = b == NULL ? ARENA_FIRST : b->size < ARENA_MOST ? 2 * b->size : ARENA_MOST;
    if (capacity < size + ARENA_HEADER)
        capacity = size + ARENA_HEADER;
    arena_block *fresh = memory_allocate(a->m, capacity);
    if (fresh == NULL)
        return NULL;
    fresh->size = capacity;
    fresh->used = ARENA_HEADER + size;
    /* a block that one request fills does not push aside the one with room left */
    if (b != NULL && fresh->used == capacity && capacity > ARENA_MOST) {
        fresh->next = b->next;
        b->next = fresh;
    } else {
        fresh->next = b;
        a->head = fresh;
    }
    return (unsigned char *)fresh + ARENA_HEADER;
}

void *arena_zero(arena *a, size_t size)
{
    void *block = arena_allocate(a, size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

char *arena_copy(arena *a, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? arena_allocate(a, length + 1) : NULL;
    if (copy != NULL) {
        if (length > 0)
            memcpy(copy, text, length);
        copy[length] = 0;
    }
    return copy;
}

void arena_release(arena *a)
{
    while (a->head != NULL) {
        arena_block *next = a->head->next;
        memory_release(a->m, a->head, a->head->size);
        a->head = next;
    }
}

void *scratch_take(scratch *s, size_t size)
{
    size_t at = s->used, need = aligned(size, 64);
    if (need < size || (s->base != NULL && need > s->capacity - at))
        return NULL;
    s->used = at + need;
    return s->base != NULL ? s->base + at : NULL;
}
