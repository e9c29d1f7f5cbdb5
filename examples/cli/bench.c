/* bench: what encoding takes on this machine with this model, and what could be done about it */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROWS = 64, MOST_LENGTH = 128, MOST_RUNS = 4000 };

typedef struct timing { double median, p99, first; } timing;
typedef struct work { const char *name; size_t rows, least, most; } work;
static const work works[] = {
    { "one text of 16 tokens", 1, 16, 16 }, { "one text of 64 tokens", 1, 64, 64 },
    { "64 texts of 32 tokens", 64, 32, 32 }, { "64 texts of 5 to 128 tokens", 64, 5, 128 },
};
enum { WORKS = sizeof works / sizeof *works };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Tokens drawn with a fixed seed: what they spell does not change the work. Returns their number. */
static size_t draw(const work *w, uint32_t vocabulary, size_t longest, uint32_t *ids, uint64_t *starts)
{
    uint32_t state = 7;
    starts[0] = 0;
    for (size_t i = 0; i < w->rows; i++) {
        state = state * 1664525u + 1013904223u;
        const size_t n = w->least + (state >> 8) % (w->most - w->least + 1);
        starts[i + 1] = starts[i] + (n < longest ? n : longest);
    }
    for (size_t i = 0; i < starts[w->rows]; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] = (state >> 4) % vocabulary;
    }
    return (size_t)starts[w->rows];
}

static int32_t measure(ecrec_model *model, ecrec_session *session, const work *w, const uint32_t *ids, const uint64_t *starts, double seconds,
                       float *vectors, timing *t, ecrec_error *err)
{
    static double times[MOST_RUNS];
    size_t n = 0;
    const double end = now() + seconds;
    for (double begin = now(); n < MOST_RUNS && (n < 5 || begin < end); n++) {
        const int32_t status = ecrec_encode_ids(model, session, ids, NULL, starts, w->rows, NULL, vectors, ecrec_model_dimension(model), err);
        if (status != ECREC_OK)
            return status;
        const double after = now();
        times[n] = after - begin;
        begin = after;
    }
    t->first = times[0];
    qsort(times, n, sizeof *times, by_value);
    t->median = times[n / 2];
    t->p99 = times[n - 1 - n / 100];
    return ECREC_OK;
}

/* All works with one context, texts cut to `longest` tokens; token counts are told too. */
static int32_t measure_all(const char *path, uint32_t threads, size_t longest, double seconds, timing *t, size_t *tokens, char *cpu, size_t capacity, ecrec_error *err)
{
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    uint32_t *ids = malloc(MOST_ROWS * MOST_LENGTH * sizeof *ids);
    uint64_t starts[MOST_ROWS + 1];
    float *vectors = NULL;
    options.threads = threads;
    int32_t status = ids == NULL ? ECREC_ERR_NOMEM : ecrec_context_create(&options, &context, err);
    if (status == ECREC_OK)
        status = ecrec_model_load(context, path, NULL, &model, err);
    if (status == ECREC_OK)
        status = ecrec_session_create(model, NULL, &session, err);
    if (status == ECREC_OK && (vectors = malloc((size_t)MOST_ROWS * ecrec_model_dimension(model) * sizeof *vectors)) == NULL)
        status = ECREC_ERR_NOMEM;
    for (int i = 0; i < WORKS && status == ECREC_OK; i++) {
        tokens[i] = draw(&works[i], ecrec_vocabulary_size(model), longest, ids, starts);
        status = measure(model, session, &works[i], ids, starts, seconds, vectors, &t[i], err);
    }
    if (context != NULL)
        snprintf(cpu, capacity, "%s", ecrec_context_cpu_text(context));
    free(ids);
    free(vectors);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status;
}

/* What the figures say, for people. */
static void advise(const timing *one, const timing *all, int threads, const char *type)
{
    int told = 0;
    if (strcmp(type, "s4") == 0)
        told += printf("- The weights are 4 bits: the smallest file, at about the speed of float32. `ecrec quantize` of the float32 model makes 8 bits, which are faster.\n");
    else if (strcmp(type, "s8") != 0)
        told += printf("- The weights are float32. `ecrec quantize MODEL -o SMALLER` makes them 8 bits: about three times as fast where the\n"
                       "  processor has a dot product of bytes, and tells what it cost in agreement.\n");
    if (one[0].p99 > 2 * one[0].median)
        told += printf("- One text takes %.1f times its usual time in one of a hundred calls: something else uses this processor.\n", one[0].p99 / one[0].median);
    if (threads > 1 && one[2].median < 1.5 * all[2].median)
        told += printf("- %d threads are %.2f times as fast as one on batches: cores that are busy, or hardware threads of one core.\n", threads, one[2].median / all[2].median);
    if (threads > 1 && one[1].median < all[1].median)
        told += printf("- One text is faster on one thread here: serve queries from contexts of one thread, one session a thread.\n");
    if (!told)
        puts("- Nothing stands out. Batches of 32 texts and more use the machine best; a session for each thread lets queries run side by side.");
}

int command_bench(int argc, char **argv)
{
    static const char *const known[] = { "seconds=", "json", "threads=", NULL };
    arguments a;
    double seconds = 0, threads = 0, longest = MOST_LENGTH, flops = 0;
    timing one[WORKS], all[WORKS];
    size_t tokens[WORKS];
    char cpu[512] = "";
    ecrec_error err = ECREC_ERROR_INIT;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code == 0)
        code = argument_number(&a, "seconds", 16, 0.1, 3600, &seconds);
    if (code != 0)
        return code;
    ecrec_context *context = open_context(&a);
    if (context == NULL)
        return EXIT_FAILED;
    threads = ecrec_context_threads(context);
    ecrec_model *model = open_model(context, a.positional[0]);
    ecrec_report *report = NULL;
    const char *told = "";
    char type[16];
    if (model == NULL || ecrec_model_info(model, &report, &err) != ECREC_OK || ecrec_report_string(report, "size.encoder_type", &told, &err) != ECREC_OK ||
        ecrec_vocabulary_size(model) == 0) { /* pictures, items, a ranker without texts */
        code = model == NULL ? EXIT_FAILED : failed("%s: it has no tokenizer and encoder of texts to time (ecrec info says what it has)", a.positional[0]);
        ecrec_report_release(report);
        ecrec_model_release(model);
        ecrec_context_release(context);
        return code;
    }
    snprintf(type, sizeof type, "%s", told);
    if (ecrec_report_number(report, "encoder.max_length", &longest, NULL) != ECREC_OK || longest > MOST_LENGTH)
        longest = MOST_LENGTH;
    (void)ecrec_report_number(report, "size.flops_per_token", &flops, NULL);
    ecrec_report_release(report);
    ecrec_model_release(model);
    ecrec_context_release(context);
    const double each = seconds / WORKS / (threads > 1 ? 2 : 1);
    int32_t status = measure_all(a.positional[0], 1, (size_t)longest, each, one, tokens, cpu, sizeof cpu, &err);
    memcpy(all, one, sizeof all);
    if (status == ECREC_OK && threads > 1)
        status = measure_all(a.positional[0], (uint32_t)threads, (size_t)longest, each, all, tokens, cpu, sizeof cpu, &err);
    if (status != ECREC_OK)
        return failed_with(&err);
    if (has(&a, "json")) {
        for (int i = 0; i < WORKS; i++)
            printf("{\"case\":\"%s\",\"tokens\":%zu,\"type\":\"%s\",\"ms\":%.4f,\"p99_ms\":%.4f,\"first_ms\":%.4f,\"threads\":%.0f,\"threads_ms\":%.4f,\"threads_p99_ms\":%.4f,\"gflops\":%.2f}\n",
                   works[i].name, tokens[i], type, one[i].median * 1e3, one[i].p99 * 1e3, one[i].first * 1e3, threads, all[i].median * 1e3, all[i].p99 * 1e3,
                   flops * (double)tokens[i] / one[i].median * 1e-9);
        return EXIT_DONE;
    }
    printf("%s, %s weights; %s\n\n%-28s %10s %10s %10s %12s %8s", a.positional[0], type, cpu, "", "1 thread", "p99", "first", "tokens/s", "GFLOP/s");
    printf(threads > 1 ? " %9.0f threads %9s %9s\n" : "\n", threads, "p99", "faster");
    for (int i = 0; i < WORKS; i++) {
        printf("%-28s %7.3f ms %7.3f ms %7.3f ms %12.0f %8.1f", works[i].name, one[i].median * 1e3, one[i].p99 * 1e3, one[i].first * 1e3, (double)tokens[i] / one[i].median, flops * (double)tokens[i] / one[i].median * 1e-9);
        if (threads > 1)
            printf(" %14.3f ms %6.3f ms %8.2fx", all[i].median * 1e3, all[i].p99 * 1e3, one[i].median / all[i].median);
        puts("");
    }
    if (longest < MOST_LENGTH)
        printf("\nTexts above %.0f tokens were cut to so many: the model takes no more.\n", longest);
    puts("");
    advise(one, all, (int)threads, type);
    return EXIT_DONE;
}
