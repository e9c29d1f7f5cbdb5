/* Large float32 products (matmul.h) beside libraries that are loaded when they are there.
 *
 *   bench_matmul [--level NAME] [NAME=LIBRARY ...]     NAME: blis, mkl or onednn; one JSON object a line on stdout
 *
 * A line has our rate and each peer's, medians of runs that alternate, in 10^9 operations a second of the thread's own processor time.
 * BLIS takes its configuration from BLIS_ARCH_TYPE (a number) when it is loaded: run once for each to compare them. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "peak.h"

enum { RUNS = 5, PEERS = 3 };
static const struct { size_t m, n, k; } shapes[] = {
    { 512, 512, 512 }, { 1024, 1024, 1024 }, { 2048, 1536, 384 }, { 384, 1536, 2048 }, { 2048, 2048, 2048 },
};

/* The C calls of the peers, as their manuals have them. */
typedef void (*blis_sgemm)(int transa, int transb, int64_t m, int64_t n, int64_t k, float *alpha, float *a, int64_t rs_a, int64_t cs_a, float *b,
                           int64_t rs_b, int64_t cs_b, float *beta, float *c, int64_t rs_c, int64_t cs_c);
typedef void (*cblas_sgemm)(int order, int transa, int transb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                            float beta, float *c, int ldc);
typedef int (*onednn_sgemm)(char transa, char transb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                            int64_t ldb, float beta, float *c, int64_t ldc);

typedef struct peer {
    const char *name;
    void *function;
} peer;

typedef struct problem {
    size_t m, n, k;
    float *a, *b, *c;
    void *scratch;
} problem;

static void run_peer(const peer *p, const problem *q)
{
    float one = 1, zero = 0;
    const int m = (int)q->m, n = (int)q->n, k = (int)q->k;
    if (strcmp(p->name, "blis") == 0) {
        blis_sgemm f;
        memcpy(&f, &p->function, sizeof f);
        f(0, 0, m, n, k, &one, q->a, k, 1, q->b, n, 1, &zero, q->c, n, 1);
    } else if (strcmp(p->name, "mkl") == 0) {
        cblas_sgemm f;
        memcpy(&f, &p->function, sizeof f);
        f(101, 111, 111, m, n, k, 1, q->a, k, q->b, n, 0, q->c, n);
    } else {
        onednn_sgemm f;
        memcpy(&f, &p->function, sizeof f);
        (void)f('N', 'N', m, n, k, 1, q->a, k, q->b, n, 0, q->c, n);
    }
}

static void run_ours(const kernels *t, const problem *q)
{
    const matmul_call c = { .m = q->m, .n = q->n, .k = q->k, .alpha = 1, .a = q->a, .a_stride = q->k, .b = q->b, .b_stride = q->n, .c = q->c,
                            .c_stride = q->n, .scratch = q->scratch };
    matmul_f32(t, &c);
}

static double rate(const kernels *t, const peer *p, const problem *q)
{
    const double work = 2.0 * (double)q->m * (double)q->n * (double)q->k;
    const int times = 1 + (int)(1e9 / work);
    const double begin = thread_seconds();
    for (int i = 0; i < times; i++)
        if (p != NULL)
            run_peer(p, q);
        else
            run_ours(t, q);
    return work * times / (thread_seconds() - begin) * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof *values, by_value);
    return values[RUNS / 2];
}

static float *block(size_t floats)
{
    float *p = aligned_alloc(64, (floats * sizeof(float) + 127) / 64 * 64);
    if (p == NULL) {
        fputs("bench_matmul: no memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < floats; i++)
        p[i] = (float)((i * 2654435761u >> 7) % 2001) * 1e-3f - 1;
    return p;
}

/* The largest difference from ours, so that the same work is timed. */
static double difference(const kernels *t, const peer *p, const problem *q)
{
    double most = 0;
    run_ours(t, q);
    float *ours = block(q->m * q->n);
    memcpy(ours, q->c, q->m * q->n * sizeof(float));
    run_peer(p, q);
    for (size_t i = 0; i < q->m * q->n; i++)
        most = fmax(most, fabs((double)ours[i] - q->c[i]) / (1 + fabs((double)ours[i])));
    free(ours);
    return most;
}

static int measure(const kernels *t, const peer *peers, int count, size_t shape)
{
    problem q = { .m = shapes[shape].m, .n = shapes[shape].n, .k = shapes[shape].k };
    double ours[RUNS], peak[RUNS], theirs[PEERS][RUNS];
    q.a = block(q.m * q.k);
    q.b = block(q.k * q.n);
    q.c = block(q.m * q.n);
    q.scratch = block(matmul_scratch(t, q.m, q.n, q.k) / sizeof(float) + 1);
    for (int i = 0; i < count; i++)
        if (!(difference(t, &peers[i], &q) < 1e-3)) {
            fprintf(stderr, "bench_matmul: %s gives another product\n", peers[i].name);
            return 1;
        }
    for (int r = 0; r < RUNS; r++) {
        peak[r] = peak_f32(t->level);
        ours[r] = rate(t, NULL, &q);
        for (int i = 0; i < count; i++)
            theirs[i][r] = rate(t, &peers[i], &q);
    }
    const double p = median(peak), o = median(ours);
    printf("{\"bench\":\"matmul\",\"level\":\"%s\",\"tile\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"gflops\":%.1f,\"peak\":%.1f,\"share\":%.3f", t->name,
           matmul_name(t), q.m, q.n, q.k, o, p, p > 0 ? o / p : 0);
    for (int i = 0; i < count; i++) {
        const double x = median(theirs[i]);
        printf(",\"%s\":%.1f,\"over_%s\":%.2f", peers[i].name, x, peers[i].name, o / x);
    }
    puts("}");
    fflush(stdout);
    free(q.a);
    free(q.b);
    free(q.c);
    free(q.scratch);
    return 0;
}

static int open_peer(const char *argument, peer *out)
{
    static const char *const names[] = { "blis", "mkl", "onednn" }, *const symbols[] = { "bli_sgemm", "cblas_sgemm", "dnnl_sgemm" };
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(names[i]);
        if (strncmp(argument, names[i], n) != 0 || argument[n] != '=')
            continue;
        void *library = dlopen(argument + n + 1, RTLD_NOW | RTLD_LOCAL);
        out->name = names[i];
        out->function = library != NULL ? dlsym(library, symbols[i]) : NULL;
        if (out->function == NULL)
            fprintf(stderr, "bench_matmul: %s\n", dlerror());
        return out->function != NULL;
    }
    fprintf(stderr, "bench_matmul: \"%s\" is none of blis=, mkl=, onednn=LIBRARY\n", argument);
    return 0;
}

int main(int argc, char **argv)
{
    const uint32_t levels = cpu_levels();
    const kernels *t = kernels_select(levels, NULL);
    peer peers[PEERS];
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--level") == 0 && i + 1 < argc) {
            i++;
            for (const kernels *const *k = kernels_all(); *k != NULL; k++)
                if (strcmp((*k)->name, argv[i]) == 0 && ((*k)->level & levels))
                    t = *k;
        } else if (count == PEERS || !open_peer(argv[i], &peers[count])) {
            return 2;
        } else {
            count++;
        }
    }
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        if (measure(t, peers, count, s) != 0)
            return 1;
    return 0;
}
