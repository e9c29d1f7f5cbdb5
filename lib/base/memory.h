/* Memory: the one place that talks to an allocator. Every block is 64-byte aligned and is released with its size.
 * Blocks are counted (live, peak, number) and a limit makes the next allocation fail. Thread safe. */
#ifndef ECREC_LIB_BASE_MEMORY_H
#define ECREC_LIB_BASE_MEMORY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ecrec/base.h"

#define MEMORY_ALIGNMENT 64

typedef struct memory {
    ecrec_allocator allocator;
    uint64_t limit; /* live bytes; 0 = none */
    _Atomic uint64_t live, peak, allocations;
} memory;

void memory_init(memory *m, const ecrec_allocator *allocator, uint64_t limit); /* NULL: the C library's */
void *memory_allocate(memory *m, size_t size);                                 /* NULL when refused; size 0 gives NULL */
void *memory_zero(memory *m, size_t size);
void *memory_grow(memory *m, void *block, size_t old_size, size_t new_size); /* NULL when refused: block still valid */
void memory_release(memory *m, void *block, size_t size);                    /* NULL is fine */
/* count * size, or SIZE_MAX when that overflows (an allocation of SIZE_MAX always fails) */
size_t memory_product(size_t count, size_t size);

/* Whether the C library's allocator has this much to give just now: asked before a library that ends the process when it has not. */
int memory_c_library_has(size_t size);

/* A growable byte buffer. */
typedef struct buffer {
    memory *m;
    unsigned char *data;
    size_t length, capacity;
} buffer;
void buffer_init(buffer *b, memory *m);
int32_t buffer_reserve(buffer *b, size_t more); /* ECREC_OK or ECREC_ERR_NOMEM */
int32_t buffer_append(buffer *b, const void *bytes, size_t n);
int32_t buffer_zeros(buffer *b, size_t n);
void buffer_release(buffer *b);

/* An arena: blocks that grow as needed, released all at once. For parsing and for scratch of offline work. */
typedef struct arena_block arena_block;
typedef struct arena {
    memory *m;
    arena_block *head;
} arena;
void arena_init(arena *a, memory *m);
void *arena_allocate(arena *a, size_t size); /* 16-byte aligned (64 from 256 bytes on), not zeroed; NULL when refused */
void *arena_zero(arena *a, size_t size);
char *arena_copy(arena *a, const char *text, size_t length); /* NUL-terminated copy */
void arena_release(arena *a);

/* A fixed stretch of memory carved from front to back: the scratch of a session. Taking more than there is gives
 * NULL, which is a defect of whoever sized it. With base == NULL it only counts (to learn the size needed). */
typedef struct scratch {
    unsigned char *base;
    size_t used, capacity;
} scratch;
void *scratch_take(scratch *s, size_t size); /* 64-byte aligned */

#endif
