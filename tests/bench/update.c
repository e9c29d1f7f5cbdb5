/* What one update costs while the model serves: time and memory of 1,000 rows into tables of 2^24 rows, and readers' times beside updates.
 *
 *    update [cost | readers]     both without a name
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ecrec/ecrec.h>

enum { FIELDS = 10, BITS = 24, WIDTH = 16, FILL_ROWS = 8192, FILLS = 12, ROWS = 1000, WARM = 12, UPDATES = 9, KEPT = 24 };

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int32_t status, const ecrec_error *err)
{
    if (status == ECREC_OK)
        return;
    fprintf(stderr, "update: %s\n", err->message);
    exit(1);
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Rows whose values are all over the tables, as ids of users and items are. */
static void fill(ecrec_batch *b, size_t rows, uint64_t *random)
{
    ecrec_error err = ECREC_ERROR_INIT;
    static uint64_t values[FILL_ROWS];
    static float labels[FILL_ROWS];
    must(ecrec_batch_reset(b, rows, &err), &err);
    for (uint32_t f = 0; f < FIELDS; f++) {
        for (size_t i = 0; i < rows; i++)
            values[i] = next(random);
        must(ecrec_batch_set_category_u64(b, f, values, NULL, &err), &err);
    }
    for (size_t i = 0; i < rows; i++)
        labels[i] = (float)(next(random) & 1);
    must(ecrec_batch_set_label(b, 0, labels, NULL, &err), &err);
}

static ecrec_model *make(ecrec_context *context, uint32_t bits, const char *network)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *model = NULL;
    char text[1024], *to = text;
    to += sprintf(to, "{\"fields\":[");
    for (int i = 0; i < FIELDS; i++)
        to += sprintf(to, "%s{\"name\":\"c%d\",\"kind\":\"category\"}", i != 0 ? "," : "", i);
    to += sprintf(to, "],\"labels\":[\"y\"],\"hash_bits\":%u%s}", bits, network);
    must(ecrec_schema_parse(context, text, (size_t)(to - text), &schema, &err), &err);
    must(ecrec_ranker_create(context, NULL, schema, &model, &err), &err);
    ecrec_schema_release(schema);
    return model;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, ascending);
    return v[(size_t)(q * (double)(n - 1))];
}

static uint64_t live(ecrec_context *context)
{
    uint64_t bytes = 0;
    ecrec_context_memory(context, &bytes, NULL, NULL);
    return bytes;
}

/* Updates in a row, as a server makes them: the ring of kept snapshots is full, so each update also frees what the oldest one alone had.
 * Memory: then all stay (they are named), and what the context holds more after so many is theirs. */
static void cost(void)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options one = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_batch *b = NULL;
    uint64_t random = 1, held = 0;
    char network[96];
    double spent[UPDATES], cpu[UPDATES];
    one.threads = 1;
    loose.max_loss_growth = 100;
    must(ecrec_context_create(&one, &context, &err), &err);
    sprintf(network, ",\"network\":{\"width\":%d,\"embedding_bits\":%d,\"fm\":true}", WIDTH, BITS);
    ecrec_model *model = make(context, BITS, network);
    must(ecrec_batch_create(ecrec_model_schema(model), &b, &err), &err);
    for (int i = 0; i < FILLS; i++) {
        fill(b, FILL_ROWS, &random);
        must(ecrec_update(model, b, &loose, NULL, &err), &err);
    }
    const uint64_t filled = live(context);
    for (int i = -WARM; i < UPDATES + KEPT; i++) {
        char name[16];
        fill(b, ROWS, &random);
        if (i == UPDATES)
            held = live(context);
        const double wall = seconds(CLOCK_MONOTONIC), started = seconds(CLOCK_THREAD_CPUTIME_ID);
        must(ecrec_update(model, b, &loose, NULL, &err), &err);
        if (i >= 0 && i < UPDATES) {
            cpu[i] = 1e3 * (seconds(CLOCK_THREAD_CPUTIME_ID) - started);
            spent[i] = 1e3 * (seconds(CLOCK_MONOTONIC) - wall);
        }
        sprintf(name, "kept %d", i);
        if (i >= UPDATES)
            must(ecrec_snapshot_name(model, ecrec_model_snapshot(model), name, &err), &err);
    }
    const double bytes = ((double)live(context) - (double)held) / KEPT / (1 << 20);
    printf("update of %d rows, %d categories, first order + %d wide, tables of 2^%d rows (%.0f MiB held, of %d rows learned), one thread, medians of %d\n", ROWS, FIELDS,
           WIDTH, BITS, (double)filled / (1 << 20), FILLS * FILL_ROWS, UPDATES);
    printf("%-40s %8.1f ms of CPU, %.1f ms of wall clock   (bound 20)\n", "time", quantile(cpu, UPDATES, 0.5), quantile(spent, UPDATES, 0.5));
    printf("%-40s %8.1f MiB, weights and optimiser, mean of %d   (bound 64 + 64)\n", "memory beside the old snapshot", bytes, KEPT);
    ecrec_batch_release(b);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

/* ---- readers ---- */

enum { READERS = 8, A_READER = 1000, CANDIDATES = 50, MOST_BITS = 18 };

typedef struct reader {
    ecrec_model *model;
    uint64_t seed;
    double *times; /* of each call, microseconds of this thread's CPU */
} reader;

static void *read_all(void *argument)
{
    const reader *r = argument;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    float scores[CANDIDATES];
    uint64_t values[CANDIDATES], random = r->seed;
    must(ecrec_session_create(r->model, NULL, &session, &err), &err);
    must(ecrec_batch_create(ecrec_model_schema(r->model), &b, &err), &err);
    for (int i = 0; i < A_READER; i++) {
        must(ecrec_batch_reset(b, CANDIDATES, &err), &err);
        for (uint32_t f = 0; f < FIELDS; f++) {
            for (size_t k = 0; k < CANDIDATES; k++)
                values[k] = next(&random) % 100000;
            must(ecrec_batch_set_category_u64(b, f, values, NULL, &err), &err);
        }
        const double started = seconds(CLOCK_THREAD_CPUTIME_ID);
        must(ecrec_score(r->model, session, b, NULL, scores, CANDIDATES, &err), &err);
        r->times[i] = 1e6 * (seconds(CLOCK_THREAD_CPUTIME_ID) - started);
    }
    ecrec_batch_release(b);
    ecrec_session_release(session);
    return NULL;
}

typedef struct writer { ecrec_model *model; atomic_int stop; int updates; } writer;

static void *update_all(void *argument)
{
    writer *w = argument;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_batch *b = NULL;
    static uint64_t values[100];
    static float labels[100];
    uint64_t random = 99;
    const struct timespec pause = { 0, 5000000 };
    loose.max_loss_growth = 100;
    must(ecrec_batch_create(ecrec_model_schema(w->model), &b, &err), &err);
    while (!atomic_load(&w->stop)) {
        must(ecrec_batch_reset(b, 100, &err), &err);
        for (uint32_t f = 0; f < FIELDS; f++) {
            for (size_t k = 0; k < 100; k++)
                values[k] = next(&random) % 100000;
            must(ecrec_batch_set_category_u64(b, f, values, NULL, &err), &err);
        }
        for (size_t k = 0; k < 100; k++)
            labels[k] = (float)(next(&random) & 1);
        must(ecrec_batch_set_label(b, 0, labels, NULL, &err), &err);
        must(ecrec_update(w->model, b, &loose, NULL, &err), &err);
        w->updates++;
        nanosleep(&pause, NULL);
    }
    ecrec_batch_release(b);
    return NULL;
}

static double round_of(ecrec_model *model, int updating, double *median, int *updates)
{
    static double times[READERS * A_READER];
    pthread_t threads[READERS], updater;
    reader readers[READERS];
    writer w = { model, 0, 0 };
    atomic_init(&w.stop, 0);
    if (updating)
        pthread_create(&updater, NULL, update_all, &w);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){ model, (uint64_t)i + 1, times + (size_t)i * A_READER };
        pthread_create(&threads[i], NULL, read_all, &readers[i]);
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&w.stop, 1);
    if (updating)
        pthread_join(updater, NULL);
    *updates += w.updates;
    *median = quantile(times, READERS * A_READER, 0.5);
    return quantile(times, READERS * A_READER, 0.99);
}

static void readers(void)
{
    enum { ROUNDS = 3 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    double p99[2][ROUNDS], p50[2][ROUNDS];
    int updates = 0;
    must(ecrec_context_create(NULL, &context, &err), &err);
    ecrec_model *model = make(context, MOST_BITS, ",\"network\":{\"width\":16,\"fm\":true,\"hidden\":[64]}");
    for (int round = 0; round < ROUNDS; round++)
        for (int k = 0; k < 2; k++) {
            const int updating = (round & 1) != k;
            p99[updating][round] = round_of(model, updating, &p50[updating][round], &updates);
        }
    const double alone = quantile(p99[0], ROUNDS, 0.5), beside = quantile(p99[1], ROUNDS, 0.5);
    printf("%d readers of %d candidates, first order + FM + perceptron; updates of 100 rows 5 ms apart (%d in all); CPU time of a call, medians of %d rounds in turn\n", READERS,
           CANDIDATES, updates, ROUNDS);
    printf("%-40s p50 %7.1f   p99 %7.1f us\n", "alone", quantile(p50[0], ROUNDS, 0.5), alone);
    printf("%-40s p50 %7.1f   p99 %7.1f us   ratio of p99 %.2f   (bound 1.2)\n", "while updates are published", quantile(p50[1], ROUNDS, 0.5), beside, beside / alone);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "cost") == 0)
        cost();
    if (argc < 2 || strcmp(argv[1], "readers") == 0)
        readers();
    return 0;
}
