/* The packed products alone, against the processor's own peak measured in the same run.
 *
 *   bench_products [--few] [LEVEL ...]      default: every level that this machine has; one JSON object a line on stdout
 *   --few    the shapes of width 384 with 16 and 128 rows only
 *
 * Times are processor time of one thread, so that other programs do not count; each figure is the median of runs that
 * alternate with measurements of the peak. Shapes are the layers' of widths 384, 512, 768 and 1024. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "peak.h"

enum { RUNS = 7 };
static const size_t rows_of[] = { 1, 8, 16, 32, 128, 512 };
static const struct { size_t n, k; } shapes[] = {
    { 1152, 384 }, { 384, 384 }, { 1536, 384 }, { 384, 1536 }, { 1536, 512 }, { 2048, 512 }, { 512, 2048 },
    { 2304, 768 }, { 3072, 768 }, { 768, 3072 }, { 3072, 1024 }, { 4096, 1024 }, { 1024, 4096 },
};

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

static void *block(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (p == NULL) {
        fputs("bench_products: no memory\n", stderr);
        exit(1);
    }
    memset(p, 0, bytes);
    return p;
}

typedef struct problem {
    size_t m, n, k;
    float *x, *out;
    uint8_t *q;
    float *scale;
    int32_t *zero;
    void *f32, *s8;
} problem;

static void run_f32(const kernels *t, const problem *p)
{
    weights w;
    weights_view(&w, WEIGHTS_F32, p->n, p->k, p->f32);
    const gemm_f32_call c = { .m = p->m, .x = p->x, .x_stride = p->k, .w = &w, .out = p->out, .out_stride = p->n };
    t->gemm_f32(&c);
}

static void run_s8(const kernels *t, const problem *p)
{
    weights w;
    weights_view(&w, WEIGHTS_S8, p->n, p->k, p->s8);
    const gemm_s8_call c = { .m = p->m, .q = p->q, .q_stride = (p->k + 63) / 64 * 64, .scale = p->scale, .zero = p->zero, .w = &w,
                             .out = p->out, .out_stride = p->n };
    t->gemm_s8(&c);
}

static double rate(const kernels *t, const problem *p, void (*run)(const kernels *, const problem *))
{
    const double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    const int times = 1 + (int)(4e7 / work);
    const double begin = thread_seconds();
    for (int i = 0; i < times; i++)
        run(t, p);
    return work * times / (thread_seconds() - begin) * 1e-9;
}

static void measure(const kernels *t, const problem *p)
{
    double f[RUNS], s[RUNS], peak_f[RUNS], peak_s[RUNS];
    run_f32(t, p);
    run_s8(t, p);
    for (int i = 0; i < RUNS; i++) {
        peak_f[i] = peak_f32(t->level);
        f[i] = rate(t, p, run_f32);
        peak_s[i] = peak_s8(t->level);
        s[i] = rate(t, p, run_s8);
    }
    const double pf = median(peak_f, RUNS), ps = median(peak_s, RUNS), gf = median(f, RUNS), gs = median(s, RUNS);
    printf("{\"bench\":\"product\",\"level\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"f32_gflops\":%.1f,\"f32_peak\":%.1f,"
           "\"f32_share\":%.3f,\"s8_gops\":%.1f,\"s8_peak\":%.1f,\"s8_share\":%.3f}\n",
           t->name, p->m, p->n, p->k, gf, pf, pf > 0 ? gf / pf : 0, gs, ps, ps > 0 ? gs / ps : 0);
    fflush(stdout);
}

static void all_shapes(const kernels *t, int few)
{
    for (size_t s = 0; s < (few ? 4 : sizeof shapes / sizeof *shapes); s++)
        for (size_t r = 0; r < sizeof rows_of / sizeof *rows_of; r++) {
            if (few && rows_of[r] != 16 && rows_of[r] != 128)
                continue;
            problem p = { .m = rows_of[r], .n = shapes[s].n, .k = shapes[s].k };
            const size_t stride = (p.k + 63) / 64 * 64;
            float *source = block(p.n * p.k * sizeof(float));
            uint32_t state = 1;
            for (size_t i = 0; i < p.n * p.k; i++)
                source[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1p-31f;
            p.x = block(p.m * p.k * sizeof(float));
            memcpy(p.x, source, (p.m < p.n ? p.m : p.n) * p.k * sizeof(float));
            p.out = block(p.m * p.n * sizeof(float));
            p.q = block(p.m * stride);
            p.scale = block(p.m * sizeof(float));
            p.zero = block(p.m * sizeof(int32_t));
            p.f32 = block(weights_bytes(WEIGHTS_F32, p.n, p.k));
            p.s8 = block(weights_bytes(WEIGHTS_S8, p.n, p.k));
            weights_pack(WEIGHTS_F32, p.n, p.k, source, p.k, p.f32);
            weights_pack(WEIGHTS_S8, p.n, p.k, source, p.k, p.s8);
            t->quantize_rows(p.m, p.k, p.x, p.k, NULL, p.q, stride, p.scale, p.zero);
            measure(t, &p);
            free(source);
            free(p.x);
            free(p.out);
            free(p.q);
            free(p.scale);
            free(p.zero);
            free(p.f32);
            free(p.s8);
        }
}

int main(int argc, char **argv)
{
    const uint32_t levels = cpu_levels();
    const int few = argc > 1 && strcmp(argv[1], "--few") == 0;
    for (const kernels *const *t = kernels_all(); *t != NULL; t++) {
        int wanted = argc <= 1 + few;
        for (int i = 1 + few; i < argc; i++)
            wanted |= strcmp(argv[i], (*t)->name) == 0;
        if (wanted && ((*t)->level & levels))
            all_shapes(*t, few);
    }
    return 0;
}
