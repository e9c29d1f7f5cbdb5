/* Times tokenising: bench_tokenizers MODEL.ecrec TEXTS THREADS [LIBRARY BLINGFIRE_MODEL]
 *                   bench_tokenizers MODEL.ecrec TEXTS long
 *
 * TEXTS: one text a line. Prints a line "NAME seconds tokens bytes" for libecrec and, where its library is given, for BlingFire (wordpiece
 * ids, no special tokens for both): processor time for one thread, which is not disturbed by who else runs, elapsed time for more. Files are read and threads are started before the clock runs; each thread takes every n-th text.
 * long: the texts without their blanks as one, repeated: a line "long seconds tokens bytes" for 1 and 2 MB, the least of five; then
 * "memory" and three numbers of bytes: those of the model's file, which are mapped, those that loading it took from the allocator, and
 * those of a session. */
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

/* ---- one long text ---- */

static size_t held; /* bytes that the library has from us */

static void *count_allocate(void *opaque, size_t size, size_t alignment)
{
    (void)opaque;
    held += size;
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void count_release(void *opaque, void *block, size_t size, size_t alignment)
{
    (void)opaque;
    (void)alignment;
    held -= size;
    free(block);
}

static size_t without_blanks(char *text, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (n - i >= 3 && memcmp(text + i, "\xE3\x80\x80", 3) == 0) /* the ideographic one */
            i += 2;
        else if (text[i] != ' ' && (text[i] < 9 || text[i] > 13))
            text[kept++] = text[i];
    }
    return kept;
}

static void measure_long(const char *model_path, char *text, size_t length, size_t file_bytes)
{
    enum { MEGABYTE = 1000000, ROUNDS = 5 };
    ecrec_allocator allocator = { (uint32_t)sizeof allocator, 0, NULL, count_allocate, NULL, count_release };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    options.allocator = &allocator;
    if (ecrec_context_create(&options, &context, NULL) != ECREC_OK)
        die("no context");
    const size_t before = held;
    if (ecrec_model_load(context, model_path, NULL, &model, NULL) != ECREC_OK)
        die("the model cannot be loaded");
    const size_t loaded = held;
    if (ecrec_session_create(model, NULL, &session, NULL) != ECREC_OK)
        die("no session");
    const size_t ready = held, most = 4 * MEGABYTE;
    char *whole = malloc(2 * MEGABYTE);
    uint32_t *ids = malloc(most * sizeof *ids);
    ecrec_tokenize_options o = ECREC_TOKENIZE_OPTIONS_INIT;
    o.no_special = 1;
    if (whole == NULL || ids == NULL || (length = without_blanks(text, length)) == 0)
        die("no memory, or nothing but blanks");
    for (size_t i = 0; i < 2 * MEGABYTE; i++)
        whole[i] = text[i % length];
    for (size_t n = MEGABYTE; n <= 2 * MEGABYTE; n += MEGABYTE) {
        double best = 1e9;
        size_t tokens = 0;
        for (int round = 0; round < ROUNDS; round++) {
            const double begin = now(CLOCK_THREAD_CPUTIME_ID);
            if (ecrec_tokenize(model, session, whole, n, &o, ids, NULL, NULL, most, &tokens, NULL) != ECREC_OK)
                die("tokenising failed");
            const double taken = now(CLOCK_THREAD_CPUTIME_ID) - begin;
            best = taken < best ? taken : best;
        }
        printf("long %.6f %zu %zu\n", best, tokens, n);
    }
    printf("memory %zu %zu %zu\n", file_bytes, loaded - before, ready - loaded);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    free(whole);
    free(ids);
}

int main(int argc, char **argv)
{
    static work workers[MOST_THREADS];
    if (argc != 4 && argc != 6)
        die("MODEL.ecrec TEXTS THREADS|long [LIBRARY BLINGFIRE_MODEL]");
    size_t bytes = 0, count = 0, at = 0, threads = (size_t)atoi(argv[3]);
    char *all = read_all(argv[2], &bytes);
    if (strcmp(argv[3], "long") == 0) {
        size_t file_bytes = 0;
        free(read_all(argv[1], &file_bytes));
        measure_long(argv[1], all, bytes, file_bytes);
        free(all);
        return 0;
    }
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
