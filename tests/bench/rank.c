/* Rows a second of learning and scoring, one thread, nothing read from files: 10 category fields, rows as frappe has them.
 *
 *    rank [FIT.tsv]     columns of a header line: the label, then the categories; without a file, made-up rows
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ecrec/ecrec.h>

enum { FIELDS = 10, MOST = 200000, UPDATE_ROWS = 8192, ROUNDS = 3 };

static char *values[FIELDS][MOST];
static size_t lengths[FIELDS][MOST], rows;
static float labels[MOST];

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* of this thread, the only one: others on the machine do not count */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int32_t status, const ecrec_error *err)
{
    if (status == ECREC_OK)
        return;
    fprintf(stderr, "rank: %s\n", err->message);
    exit(1);
}

static void read_rows(const char *path)
{
    static const uint64_t sizes[FIELDS] = { 957, 4082, 7, 7, 2, 3, 2, 9, 80, 233 };
    char line[4096];
    FILE *f = path != NULL ? fopen(path, "r") : NULL;
    uint64_t random = 7;
    if (f != NULL && fgets(line, sizeof line, f) == NULL)
        exit(1);
    for (rows = 0; rows < MOST && (f == NULL ? rows < 100000 : fgets(line, sizeof line, f) != NULL); rows++) {
        char *at = line;
        if (f == NULL) {
            char *to = line + sprintf(line, "%d", (int)(random >> 63));
            for (int i = 0; i < FIELDS; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                to += sprintf(to, "\t%llu", (unsigned long long)((random >> 33) % sizes[i]));
            }
        }
        labels[rows] = (float)(strtok(at, "\t\n")[0] == '1');
        for (int i = 0; i < FIELDS; i++) {
            values[i][rows] = strdup(strtok(NULL, "\t\n"));
            lengths[i][rows] = strlen(values[i][rows]);
        }
    }
    if (f != NULL)
        fclose(f);
}

static void fill(ecrec_batch *b, size_t first, size_t n, ecrec_error *err)
{
    must(ecrec_batch_reset(b, n, err), err);
    for (uint32_t i = 0; i < FIELDS; i++)
        must(ecrec_batch_set_category(b, i, (const char *const *)values[i] + first, lengths[i] + first, err), err);
    must(ecrec_batch_set_label(b, 0, labels + first, NULL, err), err);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return v[n / 2];
}

/* One kind of ranker: updates, then scores, then (with `fit`) an epoch. */
static void measure(const char *name, const char *network, uint32_t bits, int fit)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options one = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_batch *all = NULL, *some = NULL;
    char text[2048], *to = text;
    double update[ROUNDS], score[ROUNDS], epoch[ROUNDS];
    one.threads = 1;
    to += sprintf(to, "{\"fields\":[");
    for (int i = 0; i < FIELDS; i++)
        to += sprintf(to, "%s{\"name\":\"c%d\",\"kind\":\"category\"}", i != 0 ? "," : "", i);
    to += sprintf(to, "],\"labels\":[\"y\"],\"hash_bits\":%u%s%s}", bits, network[0] != 0 ? ",\"network\":" : "", network);
    must(ecrec_context_create(&one, &context, &err), &err);
    must(ecrec_schema_parse(context, text, (size_t)(to - text), &schema, &err), &err);
    must(ecrec_batch_create(schema, &all, &err), &err);
    must(ecrec_batch_create(schema, &some, &err), &err);
    fill(all, 0, rows, &err);
    float *scores = malloc(rows * sizeof *scores);
    for (int round = 0; round < ROUNDS; round++) {
        ecrec_model *model = NULL;
        ecrec_session *session = NULL;
        ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
        ecrec_fit_options once = ECREC_FIT_OPTIONS_INIT;
        loose.max_loss_growth = 100;
        once.epochs = 1;
        once.batch_rows = 512;
        must(ecrec_ranker_create(context, NULL, schema, &model, &err), &err);
        double spent = 0;
        for (size_t first = 0; first < rows; first += UPDATE_ROWS) {
            fill(some, first, rows - first < UPDATE_ROWS ? rows - first : UPDATE_ROWS, &err);
            const double started = seconds();
            must(ecrec_update(model, some, &loose, NULL, &err), &err);
            spent += seconds() - started;
        }
        update[round] = spent;
        must(ecrec_session_create(model, NULL, &session, &err), &err);
        double started = seconds();
        must(ecrec_score(model, session, all, NULL, scores, rows, &err), &err);
        score[round] = seconds() - started;
        started = seconds();
        if (fit)
            must(ecrec_fit(model, all, &once, NULL, &err), &err);
        epoch[round] = seconds() - started;
        ecrec_session_release(session);
        ecrec_model_release(model);
    }
    printf("%-34s update %9.0f rows/s   score %9.0f rows/s", name, (double)rows / median(update, ROUNDS), (double)rows / median(score, ROUNDS));
    if (fit)
        printf("   fit %9.0f rows/s", (double)rows / median(epoch, ROUNDS));
    printf("\n");
    fflush(stdout);
    free(scores);
    ecrec_batch_release(all);
    ecrec_batch_release(some);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

/* One user's 500 candidates: 384 dimensions of text kept beside the item, 10 categories, 5 numbers. Milliseconds of ecrec_score. */
static void candidates(const char *name, const char *network)
{
    enum { CANDIDATES = 500, DIMENSION = 384, NUMBERS = 5, CALLS = 101 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options one = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_batch *batch = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    static float vectors[CANDIDATES * DIMENSION], scores[CANDIDATES];
    static double numbers[CANDIDATES], spent[CALLS];
    char text[2048], *to = text;
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    loose.max_loss_growth = 100;
    one.threads = 1;
    to += sprintf(to, "{\"fields\":[");
    for (int i = 0; i < FIELDS; i++)
        to += sprintf(to, "{\"name\":\"c%d\",\"kind\":\"category\"},", i);
    for (int i = 0; i < NUMBERS; i++)
        to += sprintf(to, "{\"name\":\"n%d\",\"kind\":\"number\"},", i);
    to += sprintf(to, "{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":%d}],\"labels\":[\"y\"]%s%s}", DIMENSION, network[0] != 0 ? ",\"network\":" : "", network);
    must(ecrec_context_create(&one, &context, &err), &err);
    must(ecrec_schema_parse(context, text, (size_t)(to - text), &schema, &err), &err);
    must(ecrec_batch_create(schema, &batch, &err), &err);
    fill(batch, 0, CANDIDATES, &err);
    for (size_t i = 0; i < CANDIDATES * DIMENSION; i++)
        vectors[i] = (float)((i * 2654435761u) % 1000) / 1000 - 0.5f;
    for (size_t i = 0; i < CANDIDATES; i++)
        numbers[i] = (double)(i * 37 % 101);
    for (uint32_t i = 0; i < NUMBERS; i++)
        must(ecrec_batch_set_number(batch, FIELDS + i, numbers, NULL, &err), &err);
    must(ecrec_batch_set_vector(batch, FIELDS + NUMBERS, vectors, 0, NULL, &err), &err);
    must(ecrec_ranker_create(context, NULL, schema, &model, &err), &err);
    must(ecrec_update(model, batch, &loose, NULL, &err), &err);
    must(ecrec_session_create(model, NULL, &session, &err), &err);
    for (int i = 0; i < CALLS; i++) {
        const double started = seconds();
        must(ecrec_score(model, session, batch, NULL, scores, CANDIDATES, &err), &err);
        spent[i] = 1e3 * (seconds() - started);
    }
    printf("500 candidates, %-28s %.3f ms (median of %d)\n", name, median(spent, CALLS), CALLS);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_batch_release(batch);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

int main(int argc, char **argv)
{
    read_rows(argc > 1 ? argv[1] : NULL);
    printf("%zu rows, %d categories, updates of %d rows, one thread, CPU time, medians of %d\n", rows, FIELDS, UPDATE_ROWS, ROUNDS);
    measure("first order", "", 18, 1);
    measure("all pairs, 2^18 weights", "{\"pairs\":\"all\"}", 18, 1);
    measure("all pairs, 2^22 weights", "{\"pairs\":\"all\"}", 22, 1);
    measure("FM, width 16", "{\"width\":16,\"fm\":true}", 18, 1);
    candidates("first order", "");
    candidates("perceptron 128-64, width 16", "{\"width\":16,\"hidden\":[128,64]}");
    if (argc > 2)
        measure("3 crosses + 400-400-400, width 10", "{\"width\":10,\"cross_layers\":3,\"hidden\":[400,400,400]}", 18, 1);
    return 0;
}
