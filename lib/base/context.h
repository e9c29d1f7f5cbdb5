/* The context: memory, executor, log, CPU level and the kernel table chosen from it. Immutable once made. */
#ifndef ECREC_LIB_BASE_CONTEXT_H
#define ECREC_LIB_BASE_CONTEXT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/memory.h"
#include "ecrec/base.h"

struct kernels; /* lib/kernels/kernels.h */
struct pool;    /* lib/base/pool.h */

struct ecrec_context {
    _Atomic uint32_t references;
    memory m;
    ecrec_executor executor; /* run == NULL: the caller's thread */
    struct pool *pool;       /* ours, when the host asked for threads */
    ecrec_log_fn log;
    void *log_opaque;
    uint32_t cpu_available; /* mask of levels that the machine has and the host allows */
    uint32_t cpu_level;     /* the one chosen */
    char cpu_text[512];
    const struct kernels *kernels;
    void *kernels_copy; /* where the table is the context's own (BLIS's tile in it), or NULL */
    size_t kernels_copy_bytes;
};

/* Makes everything but the kernels, which the caller (ecrec.c) selects and sets before handing the context out. */
int32_t context_create(const ecrec_context_options *options, ecrec_context **out, ecrec_error *err);
void context_reference(ecrec_context *context);
void context_release(ecrec_context *context);
uint32_t context_threads(const ecrec_context *context);
/* Run task(argument, i) for i in [0, count): on the executor when there is one and count > 1, else inline. */
void context_run(const ecrec_context *context, void (*task)(void *argument, uint32_t index), void *argument,
                 uint32_t count);
void context_log(const ecrec_context *context, int32_t level, const char *format, ...);

#endif
