/* A small pool of threads, made only when the host asks for one by number. Short spin, then sleep. */
#ifndef ECREC_LIB_BASE_POOL_H
#define ECREC_LIB_BASE_POOL_H

#include <stdint.h>

#include "base/memory.h"

typedef struct pool pool;
/* `threads` counts the caller: threads - 1 are started. ECREC_OK, ECREC_ERR_NOMEM, ECREC_ERR_IO (no thread). */
int32_t pool_create(memory *m, uint32_t threads, pool **out);
void pool_destroy(pool *p);
/* Several callers at once are served one after the other; the work of each runs on its caller too. */
void pool_run(void *pool, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count);

#endif
