#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPINS 2000 /* a few microseconds: long enough to catch the next layer, short enough not to burn a core */

struct pool {
    memory *m;
    uint32_t workers;
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t wake, done, free;
    int stopping, busy;
    /* the job */
    void (*task)(void *argument, uint32_t index);
    void *argument;
    uint32_t count;
    _Atomic uint32_t next, finished;
    _Atomic uint64_t job; /* number of the current job: what workers watch */
    uint32_t inside;      /* workers that may still touch the job, under the lock */
};

typedef void (*task_fn)(void *argument, uint32_t index);

/* The job is given, not read from the pool: its owner may say there that it is over while one who took the last index has not yet begun with it. */
static void work(pool *p, task_fn task, void *argument, uint32_t count)
{
    uint32_t i;
    while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < count) {
        task(argument, i);
        atomic_fetch_add_explicit(&p->finished, 1, memory_order_release);
    }
}

static void relax(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void *worker(void *opaque)
{
    pool *p = opaque;
    uint64_t seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load_explicit(&p->job, memory_order_relaxed) == seen; spin++)
            relax();
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->job) == seen && !p->stopping)
            pthread_cond_wait(&p->wake, &p->lock);
        if (p->stopping)
            break;
        seen = atomic_load(&p->job);
        const task_fn task = p->task;
        void *argument = p->argument;
        const uint32_t count = p->count;
        const int take_part = task != NULL;
        p->inside += (uint32_t)take_part;
        pthread_mutex_unlock(&p->lock);
        if (!take_part)
            continue; /* came too late: the job is over */
        work(p, task, argument, count);
        pthread_mutex_lock(&p->lock);
        if (--p->inside == 0)
            pthread_cond_broadcast(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int32_t pool_create(memory *m, uint32_t threads, pool **out)
{
    pool *p = memory_zero(m, sizeof *p);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    p->m = m;
    if (threads > 1 && (p->threads = memory_zero(m, (threads - 1) * sizeof *p->threads)) == NULL) {
        memory_release(m, p, sizeof *p);
        return ECREC_ERR_NOMEM;
    }
    size_t slots = threads > 1 ? threads - 1 : 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    pthread_cond_init(&p->free, NULL);
    int failed = 0;
    for (; p->workers < slots && !failed; p->workers += !failed)
        failed = pthread_create(&p->threads[p->workers], NULL, worker, p) != 0;
    if (failed) {
        uint32_t started = p->workers;
        pthread_mutex_lock(&p->lock);
        p->stopping = 1;
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        for (uint32_t i = 0; i < started; i++)
            pthread_join(p->threads[i], NULL);
        memory_release(m, p->threads, slots * sizeof *p->threads);
        memory_release(m, p, sizeof *p);
        return ECREC_ERR_IO;
    }
    *out = p;
    return ECREC_OK;
}

void pool_destroy(pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->workers; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->free);
    pthread_mutex_destroy(&p->lock);
    memory_release(p->m, p->threads, p->workers * sizeof *p->threads);
    memory_release(p->m, p, sizeof *p);
}

void pool_run(void *opaque, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count)
{
    pool *p = opaque;
    pthread_mutex_lock(&p->lock);
    while (p->busy)
        pthread_cond_wait(&p->free, &p->lock);
    p->busy = 1;
    p->task = task;
    p->argument = argument;
    p->count = count;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
    atomic_fetch_add(&p->job, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);

    work(p, task, argument, count);
    for (int spin = 0; spin < SPINS && atomic_load_explicit(&p->finished, memory_order_acquire) < count; spin++)
        relax();

    pthread_mutex_lock(&p->lock);
    p->task = NULL; /* who wakes up now has nothing to do */
    while (p->inside > 0)
        pthread_cond_wait(&p->done, &p->lock);
    p->busy = 0;
    pthread_cond_signal(&p->free);
    pthread_mutex_unlock(&p->lock);
}
