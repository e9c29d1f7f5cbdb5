/* Times tokenising: bench_tokenizers MODEL.ecrec TEXTS THREADS [LIBRARY BLINGFIRE_MODEL]
 *
 * TEXTS: one text a line. Prints a line "NAME seconds tokens bytes" for libecrec and, where its library is given, for BlingFire (wordpiece
 * ids, no special tokens for both): processor time for one thread, which is not disturbed by who else runs, elapsed time for more. Files are read and threads are started before the clock runs; each thread takes every n-th text. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ecrec/ecrec.h>

enum { MOST_THREADS = 64, MOST_TOKENS = 1 << 16 };

typedef int (*text_to_ids)(void *model, const char *text, int length, int32_t *ids, const int most, const int unknown);
typedef struct work {
    const char *const *texts;
    const size_t *lengths;
    size_t count, first, step, tokens;
    double seconds; /* of this thread's processor time */
    ecrec_model *model;
    ecrec_session *session;
    text_to_ids other;
    void *other_model;
    pthread_barrier_t *barrier;
} work;

static void die(const char *what)
{
    fprintf(stderr, "bench_tokenizers: %s\n", what);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *run(void *argument)
{
    work *w = argument;
    uint32_t *ids = malloc(MOST_TOKENS * sizeof *ids);
    ecrec_tokenize_options o = ECREC_TOKENIZE_OPTIONS_INIT;
    o.no_special = 1;
    if (ids == NULL)
        die("no memory");
    pthread_barrier_wait(w->barrier);
    const double begin = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = w->first; i < w->count; i += w->step) {
        size_t n = 0;
        if (w->other != NULL)
            n = (size_t)w->other(w->other_model, w->texts[i], (int)w->lengths[i], (int32_t *)ids, MOST_TOKENS, 100);
        else if (ecrec_tokenize(w->model, w->session, w->texts[i], w->lengths[i], &o, ids, NULL, NULL, MOST_TOKENS, &n, NULL) != ECREC_OK)
            die("tokenising failed");
        w->tokens += n;
    }
    w->seconds = now(CLOCK_THREAD_CPUTIME_ID) - begin;
    pthread_barrier_wait(w->barrier);
    free(ids);
    return NULL;
}

static void measure(const char *name, work *workers, size_t threads, size_t bytes)
{
    pthread_t ids[MOST_THREADS];
    pthread_barrier_t barrier;
    size_t tokens = 0;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++) {
        workers[i].barrier = &barrier;
        workers[i].tokens = 0;
        if (pthread_create(&ids[i], NULL, run, &workers[i]) != 0)
            die("no thread");
    }
    pthread_barrier_wait(&barrier);
    const double begin = now(CLOCK_MONOTONIC);
    pthread_barrier_wait(&barrier);
    const double seconds = now(CLOCK_MONOTONIC) - begin;
    for (size_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        tokens += workers[i].tokens;
    }
    pthread_barrier_destroy(&barrier);
    printf("%s %.6f %zu %zu\n", name, threads == 1 ? workers[0].seconds : seconds, tokens, bytes);
}

static char *read_all(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    char *bytes = NULL;
    size_t room = 0, n;
    *length = 0;
    if (f == NULL)
        die("the texts cannot be opened");
    do {
        room = room * 2 + (1 << 20);
        if ((bytes = realloc(bytes, room)) == NULL)
            die("no memory");
        n = fread(bytes + *length, 1, room - *length, f);
        *length += n;
    } while (n != 0);
    fclose(f);
    return bytes;
}

int main(int argc, char **argv)
{
    static work workers[MOST_THREADS];
    if (argc != 4 && argc != 6)
        die("MODEL.ecrec TEXTS THREADS [LIBRARY BLINGFIRE_MODEL]");
    size_t bytes = 0, count = 0, at = 0, threads = (size_t)atoi(argv[3]);
    char *all = read_all(argv[2], &bytes);
    for (size_t i = 0; i < bytes; i++)
        count += all[i] == '\n';
    const char **texts = malloc((count + 1) * sizeof *texts);
    size_t *lengths = malloc((count + 1) * sizeof *lengths);
    if (texts == NULL || lengths == NULL || threads == 0 || threads > MOST_THREADS)
        die("no memory, or no number of threads");
    for (size_t i = 0; i < count; i++) {
        texts[i] = all + at;
        lengths[i] = (size_t)((char *)memchr(all + at, '\n', bytes - at) - (all + at));
        at += lengths[i] + 1;
    }
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    if (ecrec_context_create(NULL, &context, NULL) != ECREC_OK || ecrec_model_load(context, argv[1], NULL, &model, NULL) != ECREC_OK)
        die("the model cannot be loaded");
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (work){ .texts = texts, .lengths = lengths, .count = count, .first = i, .step = threads, .model = model };
        if (ecrec_session_create(model, NULL, &workers[i].session, NULL) != ECREC_OK)
            die("no session");
    }
    measure("ecrec", workers, threads, bytes);
    if (argc == 6) {
        void *library = dlopen(argv[4], RTLD_NOW);
        void *load = library != NULL ? dlsym(library, "LoadModel") : NULL, *convert = library != NULL ? dlsym(library, "TextToIds") : NULL;
        void *(*open)(const char *) = NULL;
        text_to_ids other = NULL;
        if (load == NULL || convert == NULL)
            die("BlingFire's library cannot be opened");
        memcpy(&open, &load, sizeof load);
        memcpy(&other, &convert, sizeof convert);
        void *other_model = open(argv[5]);
        for (size_t i = 0; i < threads; i++) {
            workers[i].other = other;
            workers[i].other_model = other_model;
        }
        measure("blingfire", workers, threads, bytes);
    }
    for (size_t i = 0; i < threads; i++)
        ecrec_session_release(workers[i].session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    free(texts);
    free(lengths);
    free(all);
    return 0;
}
