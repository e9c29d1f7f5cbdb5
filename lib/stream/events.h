/* The ids of the last events, each once: a ring in the order they came, and a hash table that finds them in it. An id is known as long as
 * fewer than `window` new ones came after it. Tensors u64: ring {window, 1}, table {2^k >= 2 window, 1} of places in the ring + 1. */
#ifndef ECREC_LIB_STREAM_EVENTS_H
#define ECREC_LIB_STREAM_EVENTS_H

#include "model/tensor.h"

enum { EVENTS_CHUNK = 64 };

typedef struct events {
    tensor *ring, *table;
    uint64_t *count; /* that ever came */
} events;

uint64_t events_table_size(uint64_t window);
int events_known(const events *e, uint64_t id);
/* *known: 1, and nothing has changed; 0: it is known from now on. NOMEM, FORMAT (damaged). Without a sentence. */
int32_t events_see(events *e, uint64_t id, int *known);

#endif
