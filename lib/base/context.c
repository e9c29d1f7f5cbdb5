#include "base/context.h"

#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/format.h"
#include "base/pool.h"

#define MOST_THREADS 256

void ecrec_context_options_init(ecrec_context_options *options)
{
    static const ecrec_context_options defaults = ECREC_CONTEXT_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static int32_t check(const ecrec_context_options *o, ecrec_error *err)
{
    if (o->size < sizeof *o)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_context_options: size is %u, expected %zu or more", o->size, sizeof *o);
    if (o->threads > MOST_THREADS)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_context_options: %u threads, at most %d are possible", o->threads, MOST_THREADS);
    if (o->allocator != NULL) {
        if (o->allocator->size < sizeof *o->allocator)
            return error_set(err, ECREC_ERR_INVALID, "ecrec_allocator: size is %u, expected %zu or more", o->allocator->size,
                             sizeof *o->allocator);
        if (o->allocator->allocate == NULL || o->allocator->release == NULL)
            return error_set(err, ECREC_ERR_INVALID, "ecrec_allocator: %s is NULL",
                             o->allocator->allocate == NULL ? "allocate" : "release");
    }
    if (o->executor != NULL) {
        if (o->executor->size < sizeof *o->executor)
            return error_set(err, ECREC_ERR_INVALID, "ecrec_executor: size is %u, expected %zu or more", o->executor->size,
                             sizeof *o->executor);
        if (o->executor->run == NULL)
            return error_set(err, ECREC_ERR_INVALID, "ecrec_executor: run is NULL");
        if (o->executor->threads == 0 || o->executor->threads > MOST_THREADS)
            return error_set(err, ECREC_ERR_INVALID, "ecrec_executor: %u threads, expected 1 to %d", o->executor->threads, MOST_THREADS);
    }
    return ECREC_OK;
}

int32_t context_create(const ecrec_context_options *options, ecrec_context **out, ecrec_error *err)
{
    static const ecrec_context_options defaults = ECREC_CONTEXT_OPTIONS_INIT;
    memory first;
    if (options == NULL)
        options = &defaults;
    int32_t status = check(options, err);
    if (status != ECREC_OK)
        return status;
    memory_init(&first, options->allocator, options->memory_limit);
    ecrec_context *c = memory_zero(&first, sizeof *c);
    if (c == NULL)
        return error_nomem(err, "a context", sizeof *c);
    /* the context's own block is counted in the accounting that it holds */
    memory_init(&c->m, options->allocator, options->memory_limit);
    atomic_store(&c->m.live, atomic_load(&first.live));
    atomic_store(&c->m.peak, atomic_load(&first.peak));
    atomic_store(&c->m.allocations, atomic_load(&first.allocations));
    atomic_init(&c->references, 1);
    c->log = options->log;
    c->log_opaque = options->log_opaque;
    c->cpu_available = cpu_levels();
    if (options->cpu_mask != 0)
        c->cpu_available &= options->cpu_mask | ECREC_CPU_PORTABLE;
    if (options->executor != NULL) {
        c->executor = *options->executor;
    } else if (options->threads > 1) {
        status = pool_create(&c->m, options->threads, &c->pool);
        if (status != ECREC_OK) {
            context_release(c);
            return status == ECREC_ERR_NOMEM ? error_nomem(err, "the threads", 0)
                                             : error_set(err, status, "a thread could not be started");
        }
        c->executor = (ecrec_executor){ sizeof c->executor, options->threads, c->pool, pool_run };
    }
    *out = c;
    return ECREC_OK;
}

void context_reference(ecrec_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
}

void context_release(ecrec_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    pool_destroy(context->pool);
    memory_release(&context->m, context->kernels_copy, context->kernels_copy_bytes);
    memory last = context->m; /* outlives the block that it lies in */
    memory_release(&last, context, sizeof *context);
}

uint32_t context_threads(const ecrec_context *context)
{
    return context->executor.run != NULL ? context->executor.threads : 1;
}

void context_run(const ecrec_context *context, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count)
{
    if (context->executor.run != NULL && count > 1) {
        context->executor.run(context->executor.opaque, task, argument, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        task(argument, i);
}

void context_log(const ecrec_context *context, int32_t level, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (context->log == NULL)
        return;
    va_start(arguments, format);
    format_text_v(text, sizeof text, format, arguments);
    va_end(arguments);
    context->log(context->log_opaque, level, text);
}

ecrec_context *ecrec_context_reference(ecrec_context *context)
{
    if (context != NULL)
        context_reference(context);
    return context;
}

void ecrec_context_release(ecrec_context *context)
{
    context_release(context);
}

void ecrec_context_memory(const ecrec_context *context, uint64_t *live, uint64_t *peak, uint64_t *allocations)
{
    if (live != NULL)
        *live = context != NULL ? atomic_load(&context->m.live) : 0;
    if (peak != NULL)
        *peak = context != NULL ? atomic_load(&context->m.peak) : 0;
    if (allocations != NULL)
        *allocations = context != NULL ? atomic_load(&context->m.allocations) : 0;
}

uint32_t ecrec_context_cpu(const ecrec_context *context)
{
    return context != NULL ? context->cpu_level : 0;
}

const char *ecrec_context_cpu_text(const ecrec_context *context)
{
    return context != NULL ? context->cpu_text : "";
}

uint32_t ecrec_context_threads(const ecrec_context *context)
{
    return context != NULL ? context_threads(context) : 0;
}
