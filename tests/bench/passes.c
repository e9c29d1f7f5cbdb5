/* Where the time of encoding goes: the kernels' shares, tokens a second and the share of the processor's peak.
 *
 *   bench_passes FOLDER [LEVEL-MASK]      FOLDER: a Hugging Face folder; one JSON object a line on stdout
 *
 * One thread; processor time, so that other programs do not count; medians of runs that alternate with the peak's. Operations are
 * those of the products and of attention (a multiply and an add are two). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ecrec/ecrec.h>

#include "base/context.h"
#include "kernels/kernels.h"
#include "peak.h"

enum { PRODUCTS, ATTENTION, NORMS, QUANTISING, PARTS, RUNS = 9, MOST_TEXTS = 64 };
static const kernels *inner;
static double spent[PARTS];

static void timed_f32(const gemm_f32_call *c)
{
    const double begin = thread_seconds();
    inner->gemm_f32(c);
    spent[PRODUCTS] += thread_seconds() - begin;
}

static void timed_s8(const gemm_s8_call *c)
{
    const double begin = thread_seconds();
    inner->gemm_s8(c);
    spent[PRODUCTS] += thread_seconds() - begin;
}

static double attention_since;
static void timed_attention(const attention_call *c)
{
    const double begin = thread_seconds();
    inner->attention(c);
    spent[ATTENTION] += thread_seconds() - begin;
}

static void timed_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias, float eps, float *out, size_t out_stride)
{
    const double begin = thread_seconds();
    inner->layer_norm(rows, n, x, x_stride, weight, bias, eps, out, out_stride);
    spent[NORMS] += thread_seconds() - begin;
}

static void timed_quantize(size_t m, size_t k, const float *x, size_t x_stride, const float *by, uint8_t *q, size_t q_stride, float *scale, int32_t *zero)
{
    const double begin = thread_seconds();
    inner->quantize_rows(m, k, x, x_stride, by, q, q_stride, scale, zero);
    spent[QUANTISING] += thread_seconds() - begin;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static void check(int32_t status, const ecrec_error *err)
{
    if (status != ECREC_OK) {
        fprintf(stderr, "bench_passes: %s\n", err->message);
        exit(1);
    }
}

typedef struct texts { const char *name; size_t count, least, most; } texts;
static const texts cases[] = { { "1 x 16", 1, 16, 16 }, { "1 x 128", 1, 128, 128 }, { "64 x 32", 64, 32, 32 }, { "64 of 5..128", 64, 5, 128 } };

static void measure(ecrec_context *context, ecrec_model *model, ecrec_session *session, int s8, const texts *t)
{
    static uint32_t ids[MOST_TEXTS * 128];
    static uint64_t starts[MOST_TEXTS + 1];
    ecrec_error err = ECREC_ERROR_INIT;
    const uint32_t dimension = ecrec_model_dimension(model);
    float *vectors = malloc(t->count * dimension * sizeof(float));
    uint32_t state = 7;
    double attended = 0;
    for (size_t i = 0; i < t->count; i++) {
        state = state * 1664525u + 1013904223u;
        const size_t n = t->least + (state >> 8) % (t->most - t->least + 1);
        starts[i + 1] = starts[i] + n;
        attended += (double)n * (double)n;
    }
    for (size_t i = 0; i < starts[t->count]; i++)
        ids[i] = 1000 + (uint32_t)(i * 7919 % 20000);
    ecrec_report *report = NULL;
    double parameters = 0, flops = 0;
    check(ecrec_model_info(model, &report, &err), &err);
    (void)ecrec_report_number(report, "size.encoder_parameters", &parameters, NULL);
    (void)ecrec_report_number(report, "size.flops_per_token", &flops, NULL);
    ecrec_report_release(report);
    const kernels plain = *inner;
    kernels timed = plain;
    timed.gemm_f32 = timed_f32, timed.gemm_s8 = timed_s8, timed.attention = timed_attention, timed.layer_norm = timed_norm;
    timed.quantize_rows = timed_quantize;
    double seconds[RUNS], peaks[RUNS], first = 0, total = 0;
    for (int i = 0; i < RUNS; i++) {
        peaks[i] = s8 ? peak_s8(inner->level) : peak_f32(inner->level);
        const int times = starts[t->count] < 200 ? 20 : 1;
        const double begin = thread_seconds();
        for (int j = 0; j < times; j++)
            check(ecrec_encode_ids(model, session, ids, NULL, starts, t->count, NULL, vectors, dimension, &err), &err);
        seconds[i] = (thread_seconds() - begin) / times;
        if (i == 0)
            first = seconds[i];
    }
    (void)first;
    (void)attention_since;
    memset(spent, 0, sizeof spent);
    context->kernels = &timed;
    for (int i = 0; i < 5; i++) {
        const double begin = thread_seconds();
        check(ecrec_encode_ids(model, session, ids, NULL, starts, t->count, NULL, vectors, dimension, &err), &err);
        total += thread_seconds() - begin;
    }
    context->kernels = inner;
    const double time = median(seconds, RUNS), peak = median(peaks, RUNS), tokens = (double)starts[t->count], work = flops * tokens;
    (void)attended;
    printf("{\"bench\":\"passes\",\"level\":\"%s\",\"type\":\"%s\",\"case\":\"%s\",\"ms\":%.3f,\"tokens_per_second\":%.0f,\"gflops\":%.1f,\"peak\":%.1f,"
           "\"share_of_peak\":%.3f,\"products\":%.3f,\"attention\":%.3f,\"norms\":%.3f,\"quantising\":%.3f}\n",
           inner->name, s8 ? "s8" : "f32", t->name, time * 1e3, tokens / time, work / time * 1e-9, peak, peak > 0 ? work / time * 1e-9 / peak : 0,
           spent[PRODUCTS] / total, spent[ATTENTION] / total, spent[NORMS] / total, spent[QUANTISING] / total);
    fflush(stdout);
    free(vectors);
}

int main(int argc, char **argv)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *models[2] = { NULL, NULL };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    if (argc < 2) {
        fputs("bench_passes FOLDER [LEVEL-MASK]\n", stderr);
        return 2;
    }
    options.cpu_mask = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
    check(ecrec_context_create(&options, &context, &err), &err);
    inner = context->kernels;
    check(ecrec_model_import(context, argv[1], NULL, &models[0], NULL, &err), &err);
    check(ecrec_quantize(models[0], NULL, &models[1], NULL, &err), &err);
    for (int s8 = 0; s8 < 2; s8++) {
        ecrec_session *session = NULL;
        check(ecrec_session_create(models[s8], NULL, &session, &err), &err);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            measure(context, models[s8], session, s8, &cases[i]);
        ecrec_session_release(session);
    }
    ecrec_model_release(models[0]);
    ecrec_model_release(models[1]);
    ecrec_context_release(context);
    return 0;
}
