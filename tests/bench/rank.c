/* Rows a second of learning and scoring, one thread, nothing read from files: 10 category fields, rows as frappe has them.
 *
 *    rank [FIT.tsv]     columns of a header line: the label, then the categories; without a file, made-up rows
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ecrec/ecrec.h>

#include "peak.h"

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

/* One kind of ranker: updates, then scores, then (with `fit`) an epoch. flops: multiplies and adds of scoring a row in matrix products; 0: not of interest. */
static void measure(const char *name, const char *network, uint32_t bits, uint32_t step, int fit, double flops)
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
        loose.step_rows = step;
        once.epochs = 1;
        once.batch_rows = 512;
        must(ecrec_ranker_create(context, NULL, schema, &model, &err), &err);
        double spent = 0;
        for (size_t first = 0; first < rows && flops == 0; first += UPDATE_ROWS) { /* of a large network each row costs a step on all of it */
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
    printf("%-34s ", name);
    if (flops == 0)
        printf("update %9.0f rows/s   ", (double)rows / median(update, ROUNDS));
    printf("score %9.0f rows/s", (double)rows / median(score, ROUNDS));
    if (flops > 0) {
        uint32_t level = 1; /* the widest that the processor has */
        for (uint32_t bit = 1; bit != 0; bit <<= 1)
            level = (ecrec_context_cpu(context) & bit) != 0 && peak_f32(bit) > peak_f32(level) ? bit : level;
        const double peak = peak_f32(level), reached = flops * (double)rows / median(score, ROUNDS) / 1e9;
        printf(" (%.0f of %.0f GFLOP/s: %.0f %% of the peak)", reached, peak, 100 * reached / peak);
    }
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

/* One user's 500 candidates: 384 dimensions of text kept beside each item, 10 categories and 5 numbers (5 and 2 of them the user's), and a
 * history of 50 events. Milliseconds of ecrec_score_candidates, and of ecrec_score on the same rows apart. */
static void candidates(const char *name, int history, const char *network)
{
    enum { CANDIDATES = 500, DIMENSION = 384, NUMBERS = 5, EVENTS = 50, CALLS = 101, USER_CATEGORIES = 5, USER_NUMBERS = 2 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options one = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_batch *batch = NULL, *user = NULL, *items = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    static float vectors[CANDIDATES * DIMENSION], scores[CANDIDATES], apart[CANDIDATES];
    static double numbers[CANDIDATES], spent[CALLS], spent_apart[CALLS];
    static uint64_t events[EVENTS * CANDIDATES];
    static int64_t times[EVENTS * CANDIDATES];
    static size_t starts[CANDIDATES + 1], length_of[CANDIDATES];
    static const char *same[CANDIDATES];
    char text[2048], *to = text;
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    const uint32_t vector = FIELDS + NUMBERS, past = vector + 1;
    loose.max_loss_growth = 100;
    one.threads = 1;
    to += sprintf(to, "{\"fields\":[");
    for (int i = 0; i < FIELDS; i++)
        to += sprintf(to, "{\"name\":\"c%d\",\"kind\":\"category\"},", i);
    for (int i = 0; i < NUMBERS; i++)
        to += sprintf(to, "{\"name\":\"n%d\",\"kind\":\"number\"},", i);
    to += sprintf(to, "{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":%d}%s],\"labels\":[\"y\"]%s%s}", DIMENSION,
                  history ? ",{\"name\":\"past\",\"kind\":\"history\",\"compare\":\"c9\",\"dimension\":50}" : "", network[0] != 0 ? ",\"network\":" : "", network);
    must(ecrec_context_create(&one, &context, &err), &err);
    must(ecrec_schema_parse(context, text, (size_t)(to - text), &schema, &err), &err);
    for (size_t i = 0; i < CANDIDATES * DIMENSION; i++)
        vectors[i] = (float)((i * 2654435761u) % 1000) / 1000 - 0.5f;
    for (size_t i = 0; i < CANDIDATES * EVENTS; i++) {
        events[i] = (i % EVENTS) * 7 % 233;
        times[i] = (int64_t)(i % EVENTS) * 3600000000;
    }
    for (size_t i = 0; i <= CANDIDATES; i++)
        starts[i] = i * EVENTS;
    const ecrec_history clicks = { .size = sizeof clicks, .events = starts, .items_u64 = events, .times = times };
    ecrec_batch **const all[] = { &batch, &user, &items };
    for (int k = 0; k < 3; k++) {
        const size_t n = k == 1 ? 1 : CANDIDATES;
        ecrec_batch *b = NULL;
        must(ecrec_batch_create(schema, &b, &err), &err);
        must(ecrec_batch_reset(b, n, &err), &err);
        for (uint32_t i = 0; i < FIELDS; i++) {
            for (size_t row = 0; row < n; row++) {
                same[row] = values[i][i < USER_CATEGORIES ? 0 : row];
                length_of[row] = strlen(same[row]);
            }
            if (k == 0 || (k == 1) == (i < USER_CATEGORIES))
                must(ecrec_batch_set_category(b, i, same, length_of, &err), &err);
        }
        for (uint32_t i = 0; i < NUMBERS; i++) {
            for (size_t row = 0; row < n; row++)
                numbers[row] = i < USER_NUMBERS ? 3 : (double)(row * 37 % 101);
            if (k == 0 || (k == 1) == (i < USER_NUMBERS))
                must(ecrec_batch_set_number(b, FIELDS + i, numbers, NULL, &err), &err);
        }
        if (k != 1)
            must(ecrec_batch_set_vector(b, vector, vectors, 0, NULL, &err), &err);
        if (k != 2 && history)
            must(ecrec_batch_set_history(b, past, &clicks, &err), &err);
        *all[k] = b;
    }
    must(ecrec_batch_set_label(batch, 0, labels, NULL, &err), &err);
    must(ecrec_ranker_create(context, NULL, schema, &model, &err), &err);
    must(ecrec_update(model, batch, &loose, NULL, &err), &err);
    must(ecrec_session_create(model, NULL, &session, &err), &err);
    for (int i = 0; i < CALLS; i++) {
        const double started = seconds();
        must(ecrec_score_candidates(model, session, user, items, NULL, scores, CANDIDATES, &err), &err);
        const double between = seconds();
        must(ecrec_score(model, session, batch, NULL, apart, CANDIDATES, &err), &err);
        spent[i] = 1e3 * (between - started);
        spent_apart[i] = 1e3 * (seconds() - between);
    }
    printf("1 user, 500 candidates, %-46s %.3f ms; as rows of their own %.3f ms (medians of %d)%s\n", name, median(spent, CALLS), median(spent_apart, CALLS), CALLS,
           memcmp(scores, apart, sizeof scores) == 0 ? ", the same bits" : ", AND THE SCORES DIFFER");
    ecrec_session_release(session);
    ecrec_model_release(model);
    for (int k = 0; k < 3; k++)
        ecrec_batch_release(*all[k]);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

int main(int argc, char **argv)
{
    read_rows(argc > 1 ? argv[1] : NULL);
    candidates("first order", 0, "");
    candidates("first order, FM of width 16", 0, "{\"width\":16,\"fm\":true}");
    candidates("perceptron 128-64, width 16", 0, "{\"width\":16,\"hidden\":[128,64]}");
    candidates("attention over 50 events, perceptron 128-64", 1, "{\"width\":16,\"hidden\":[128,64]}");
    printf("%zu rows, %d categories, updates of %d rows, one thread, CPU time, medians of %d\n", rows, FIELDS, UPDATE_ROWS, ROUNDS);
    measure("first order", "", 18, 1, 1, 0);
    measure("all pairs, 2^18 weights", "{\"pairs\":\"all\"}", 18, 1, 1, 0);
    measure("all pairs, 2^22 weights", "{\"pairs\":\"all\"}", 22, 1, 1, 0);
    measure("FM, width 16", "{\"width\":16,\"fm\":true}", 18, 1, 1, 0);
    measure("perceptron 128-64, width 16", "{\"width\":16,\"hidden\":[128,64]}", 18, 1, 0, 0);
    measure("the same, steps of 16 rows", "{\"width\":16,\"hidden\":[128,64]}", 18, 16, 0, 0);
    measure("3 crosses + 400-400-400, width 10", "{\"width\":10,\"cross_layers\":3,\"hidden\":[400,400,400]}", 18, 1, 1,
            2.0 * (3 * 100 * 100 + 100 * 400 + 400 * 400 + 400 * 400 + 100 + 400));
    return 0;
}
