/* The fixed values of a field: numbered from 0, found by their bytes. One block of memory, never changed. */
#ifndef ECREC_LIB_RANK_VOCABULARY_H
#define ECREC_LIB_RANK_VOCABULARY_H

#include "base/memory.h"
#include "ecrec/base.h"

enum { MOST_VALUES = 65536, MOST_VALUE_BYTES = 65535 };
#define NO_VALUE UINT32_MAX

typedef struct vocabulary {
    size_t bytes; /* of the block */
    uint32_t count, table_size /* a power of two */;
    const size_t *starts;  /* count + 1, into text */
    const uint32_t *table; /* open addressing by XXH3: a value's number + 1; 0: free */
    const char *text;
} vocabulary;

/* A new one: what `before` (may be NULL) has, then n more. INVALID (twice, NULL), LIMIT, NOMEM; `field` is for messages. */
int32_t vocabulary_extend(memory *m, const char *field, const vocabulary *before, const char *const *values, const size_t *lengths, size_t n, vocabulary **out, ecrec_error *err);
void vocabulary_release(memory *m, vocabulary *v);
uint32_t vocabulary_find(const vocabulary *v, const char *value, size_t length); /* NO_VALUE: it is none of them */
uint64_t vocabulary_fingerprint(const vocabulary *v);

#endif
