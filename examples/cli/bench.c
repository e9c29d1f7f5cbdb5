/* bench: what encoding takes on this machine with this model, and what could be done about it */
#include "tool.h"

#include "peak.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROWS = 64, MOST_LENGTH = 128, MOST_RUNS = 4000 };

typedef struct work { const char *name; size_t rows, least, most; } work;
static const work works[] = {
    { "one text of 16 tokens", 1, 16, 16 }, { "one text of 64 tokens", 1, 64, 64 },
    { "64 texts of 32 tokens", 64, 32, 32 }, { "64 texts of 5 to 128 tokens", 64, 5, 128 },
};
enum { WORKS = sizeof works / sizeof *works };

typedef struct timing { double median, p99, first; } timing;
/* What one run found. Rates are 10^9 operations a second of one thread; the peaks are the best of some, taken between the works. */
typedef struct findings {
    timing t[WORKS], brain[WORKS]; /* brain: the same with bf16 weights, of a float32 model; median 0: not measured */
    size_t tokens[WORKS];
    double f32, bf16, s8;
    uint32_t level;
    char cpu[512];
} findings;
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
    /* a few runs at least, but of a slow model not for ever */
    for (double begin = now(); n < MOST_RUNS && (n == 0 || begin < end || (n < 5 && begin < end + seconds)); n++) {
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

static void look_at_peaks(findings *f)
{
    const double f32 = peak_f32(f->level), bf16 = peak_bf16(f->level), s8 = peak_s8(f->level);
    f->f32 = f32 > f->f32 ? f32 : f->f32;
    f->bf16 = bf16 > f->bf16 ? bf16 : f->bf16;
    f->s8 = s8 > f->s8 ? s8 : f->s8;
}

/* The rate that products of such weights can have here; 0: not to be measured. */
static double peak_of(const findings *f, const char *type)
{
    if (strcmp(type, "s8") == 0)
        return f->s8;
    return strcmp(type, "bf16") == 0 && f->bf16 > 0 ? f->bf16 : f->f32;
}

static int32_t measure_works(ecrec_model *model, size_t longest, double seconds, const int *which, timing *t, findings *f, ecrec_error *err)
{
    ecrec_session *session = NULL;
    uint32_t *ids = malloc(MOST_ROWS * MOST_LENGTH * sizeof *ids);
    uint64_t starts[MOST_ROWS + 1];
    float *vectors = malloc((size_t)MOST_ROWS * ecrec_model_dimension(model) * sizeof *vectors);
    int32_t status = ids == NULL || vectors == NULL ? ECREC_ERR_NOMEM : ecrec_session_create(model, NULL, &session, err);
    for (int i = 0; i < WORKS && status == ECREC_OK; i++) {
        if (!which[i])
            continue;
        f->tokens[i] = draw(&works[i], ecrec_vocabulary_size(model), longest, ids, starts);
        status = measure(model, session, &works[i], ids, starts, seconds, vectors, &t[i], err);
        look_at_peaks(f);
    }
    free(ids);
    free(vectors);
    ecrec_session_release(session);
    return status;
}

/* All works with one context, texts cut to `longest` tokens; where `brain`, two of them with bf16 weights too. */
static int32_t measure_all(const char *path, uint32_t threads, size_t longest, double seconds, int brain, findings *f, ecrec_error *err)
{
    static const int all[WORKS] = { 1, 1, 1, 1 }, two[WORKS] = { 1, 0, 1, 0 };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_quantize_options rounded = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL, *smaller = NULL;
    memset(f, 0, sizeof *f);
    options.threads = threads;
    rounded.type = ECREC_TYPE_BF16;
    int32_t status = ecrec_context_create(&options, &context, err);
    if (status == ECREC_OK)
        status = ecrec_model_load(context, path, NULL, &model, err);
    if (status == ECREC_OK) {
        f->level = ecrec_context_cpu(context);
        snprintf(f->cpu, sizeof f->cpu, "%s", ecrec_context_cpu_text(context));
        look_at_peaks(f);
        status = measure_works(model, longest, seconds, all, f->t, f, err);
    }
    if (status == ECREC_OK && brain && ecrec_quantize(model, &rounded, &smaller, NULL, NULL) == ECREC_OK)
        status = measure_works(smaller, longest, seconds, two, f->brain, f, err);
    ecrec_model_release(smaller);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status;
}

/* What the figures say, for people. */
static void advise(const findings *one, const findings *all, int threads, const char *type, double flops)
{
    int told = 0;
    const double batch = flops * (double)one->tokens[2] / one->t[2].median * 1e-9, peak = peak_of(one, type);
    if (strcmp(type, "s4") == 0)
        told += printf("- The weights are 4 bits: the smallest file, at about the speed of float32. `ecrec quantize` of the float32 model makes 8 bits, which are faster.\n");
    else if (strcmp(type, "bf16") == 0)
        told += printf("- The weights are bf16, multiplied in %s here (`ecrec info --cpu` says why). `ecrec quantize` of the float32 model makes 8 bits: a\n"
                       "  quarter of float32's file and faster still where the processor has a dot product of bytes.\n", one->bf16 > 0 ? "bf16" : "float32");
    else if (strcmp(type, "s8") != 0)
        told += printf("- The weights are float32. `ecrec quantize MODEL -o SMALLER` makes them 8 bits: about three times as fast where the\n"
                       "  processor has a dot product of bytes, and tells what it cost in agreement.\n");
    if (one->brain[2].median > 0)
        told += printf("- With `--type bf16` the file is half as large and the vectors are nearly the same; batches were %.2f times as fast, as measured here%s.\n",
                       one->t[2].median / one->brain[2].median, one->bf16 > 0 ? "" : " (multiplied in float32: see `ecrec info --cpu`)");
    if (one->t[0].p99 > 2 * one->t[0].median)
        told += printf("- One text takes %.1f times its usual time in one of a hundred calls: something else uses this processor.\n", one->t[0].p99 / one->t[0].median);
    if (peak > 0 && batch < 0.5 * peak)
        told += printf("- A batch reaches %.0f%% of what the processor can multiply: the processor is busy with other work, or memory is slow (%s).\n", 100 * batch / peak,
                       "run it again when nothing else runs; smaller weights read less");
    if (threads > 1 && one->t[2].median < 1.5 * all->t[2].median)
        told += printf("- %d threads are %.2f times as fast as one on batches: cores that are busy, or hardware threads of one core.\n", threads, one->t[2].median / all->t[2].median);
    if (threads > 1 && one->t[1].median < all->t[1].median)
        told += printf("- One text is faster on one thread here: serve queries from contexts of one thread, one session a thread.\n");
    if (!told)
        puts("- Nothing stands out. Batches of 32 texts and more use the machine best; a session for each thread lets queries run side by side.");
}

static void share(double rate, double peak)
{
    if (peak > 0)
        printf(" %7.0f%%", 100 * rate / peak);
    else
        printf(" %8s", "-");
}

static void show_json(const findings *one, const findings *all, const char *type, double threads, double flops)
{
    for (int i = 0; i < WORKS; i++) {
        const double rate = flops * (double)one->tokens[i] / one->t[i].median * 1e-9;
        printf("{\"case\":\"%s\",\"tokens\":%zu,\"type\":\"%s\",\"ms\":%.4f,\"p99_ms\":%.4f,\"first_ms\":%.4f,\"threads\":%.0f,\"threads_ms\":%.4f,\"threads_p99_ms\":%.4f,\"gflops\":%.2f,\"peak\":%.2f",
               works[i].name, one->tokens[i], type, one->t[i].median * 1e3, one->t[i].p99 * 1e3, one->t[i].first * 1e3, threads, all->t[i].median * 1e3, all->t[i].p99 * 1e3,
               rate, peak_of(one, type));
        if (peak_of(one, type) > 0)
            printf(",\"share\":%.4f", rate / peak_of(one, type));
        if (one->brain[i].median > 0)
            printf(",\"bf16_ms\":%.4f,\"bf16_p99_ms\":%.4f", one->brain[i].median * 1e3, one->brain[i].p99 * 1e3);
        puts("}");
    }
}

static void show_row(const char *name, const timing *t, size_t tokens, double flops, double peak)
{
    const double rate = flops * (double)tokens / t->median * 1e-9;
    printf("%-34s %7.3f ms %7.3f ms %7.3f ms %12.0f %8.1f", name, t->median * 1e3, t->p99 * 1e3, t->first * 1e3, (double)tokens / t->median, rate);
    share(rate, peak);
}

static void show_table(const findings *one, const findings *all, const char *type, double threads, double flops)
{
    printf("%-34s %10s %10s %10s %12s %8s %8s", "", "1 thread", "p99", "first", "tokens/s", "GFLOP/s", "of peak");
    printf(threads > 1 ? " %9.0f threads %9s %9s\n" : "\n", threads, "p99", "faster");
    for (int i = 0; i < WORKS; i++) {
        show_row(works[i].name, &one->t[i], one->tokens[i], flops, peak_of(one, type));
        if (threads > 1)
            printf(" %14.3f ms %6.3f ms %8.2fx", all->t[i].median * 1e3, all->t[i].p99 * 1e3, one->t[i].median / all->t[i].median);
        puts("");
    }
    for (int i = 0; i < WORKS; i++)
        if (one->brain[i].median > 0) {
            char name[64];
            snprintf(name, sizeof name, "%s, as bf16", works[i].name);
            show_row(name, &one->brain[i], one->tokens[i], flops, peak_of(one, "bf16"));
            puts("");
        }
    if (peak_of(one, type) > 0)
        printf("\nPeak: what one thread multiplies and adds from registers alone, measured in this run: float32 %.0f, bf16 %.0f, 8 bits %.0f GFLOP/s%s.\n"
               "Operations are those of texts of 64 tokens.\n", one->f32, one->bf16, one->s8, one->bf16 > 0 ? "" : " (0: no bf16 products here)");
}

int command_bench(int argc, char **argv)
{
    static const char *const known[] = { "seconds=", "json", "threads=", NULL };
    arguments a;
    double seconds = 0, threads = 0, longest = MOST_LENGTH, flops = 0;
    findings one, all;
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
    const int brain = strcmp(type, "f32") == 0;
    const double each = seconds / (WORKS + 2 * brain) / (threads > 1 ? 2 : 1);
    int32_t status = measure_all(a.positional[0], 1, (size_t)longest, each, brain, &one, &err);
    all = one;
    if (status == ECREC_OK && threads > 1)
        status = measure_all(a.positional[0], (uint32_t)threads, (size_t)longest, each, 0, &all, &err);
    if (status != ECREC_OK)
        return failed_with(&err);
    if (has(&a, "json")) {
        show_json(&one, &all, type, threads, flops);
        return EXIT_DONE;
    }
    printf("%s, %s weights; %s\n\n", a.positional[0], type, one.cpu);
    show_table(&one, &all, type, threads, flops);
    if (longest < MOST_LENGTH)
        printf("\nTexts above %.0f tokens were cut to so many: the model takes no more.\n", longest);
    puts("");
    advise(&one, &all, (int)threads, type, flops);
    return EXIT_DONE;
}
