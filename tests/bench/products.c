/* The packed products alone, beside other libraries' and against the processor's own peak, measured in the same run.
 *
 *   bench_products [--few] [LEVEL ...] [mkl=LIBRARY] [onednn=LIBRARY]      default: every level that this machine has
 *   --few    the shapes of width 384 with 16 and 128 rows only
 *
 * One JSON object a line on stdout. Times are processor time of one thread, so that other programs do not count; each figure is the median
 * of runs that alternate. Shapes are the layers' of widths 384, 512, 768 and 1024. The products of 8 bits end in float32 with their scales
 * applied, the others' in their sums. Before anything is timed the results are compared: it is the same work. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "peak.h"
#include "peers.h"

enum { RUNS = 7 };
static const size_t rows_of[] = { 1, 8, 16, 32, 128, 512 };
static const struct { size_t n, k; } shapes[] = {
    { 1152, 384 }, { 384, 384 }, { 1536, 384 }, { 384, 1536 }, { 1536, 512 }, { 512, 512 }, { 2048, 512 }, { 512, 2048 }, { 2304, 768 },
    { 768, 768 }, { 3072, 768 }, { 768, 3072 }, { 3072, 1024 }, { 1024, 1024 }, { 4096, 1024 }, { 1024, 4096 },
};
static peer *peers[MOST_PEERS];
static int peer_count;

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
    float *x, *source, *out;
    uint8_t *q;
    int8_t *w; /* the weights' bytes, n x k, as the peers read them */
    float *scale, *theirs;
    int32_t *zero;
    uint16_t *x16, *w16; /* bfloat16 */
    void *panels[PRODUCT_KINDS];
} problem;

static const struct { const char *name; int32_t type; } kinds[PRODUCT_KINDS] = { { "f32", WEIGHTS_F32 }, { "s8", WEIGHTS_S8 }, { "bf16", WEIGHTS_BF16 } };

static void run_own(const kernels *t, const problem *p, int kind)
{
    weights w;
    weights_view(&w, kinds[kind].type, p->n, p->k, p->panels[kind]);
    if (kind == PRODUCT_S8) {
        const gemm_s8_call c = { .m = p->m, .q = p->q, .q_stride = p->k, .scale = p->scale, .zero = p->zero, .w = &w, .out = p->out, .out_stride = p->n };
        t->gemm_s8(&c);
    } else if (kind == PRODUCT_BF16) {
        const gemm_bf16_call c = { .m = p->m, .x = p->x16, .x_stride = p->k, .w = &w, .out = p->out, .out_stride = p->n };
        t->gemm_bf16(&c);
    } else {
        const gemm_f32_call c = { .m = p->m, .x = p->x, .x_stride = p->k, .w = &w, .out = p->out, .out_stride = p->n };
        t->gemm_f32(&c);
    }
}

/* 10^9 operations a second of ours, or of a peer. */
static double rate(const kernels *t, peer *other, const problem *p, int kind)
{
    const double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    const int times = 1 + (int)((kind == PRODUCT_S8 ? 4e8 : kind == PRODUCT_BF16 ? 2e8 : 1e8) / work);
    const double begin = thread_seconds();
    for (int i = 0; i < times; i++)
        if (other != NULL)
            peer_run(other);
        else
            run_own(t, p, kind);
    return work * times / (thread_seconds() - begin) * 1e-9;
}

/* Ours and theirs, prepared and run: largest difference in units of the result's size. */
static double difference(const kernels *t, peer *other, const problem *p, int kind)
{
    weights w;
    weights_view(&w, WEIGHTS_S8, p->n, p->k, p->panels[PRODUCT_S8]);
    double most = 0;
    run_own(t, p, kind);
    peer_run(other);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            const float own = p->out[i * p->n + j];
            double their = p->theirs[i * p->n + j];
            if (kind == PRODUCT_S8) {
                int32_t sum;
                memcpy(&sum, &p->theirs[i * p->n + j], 4);
                their = (double)(sum - p->zero[i] * w.sums[j]) * (double)p->scale[i] * (double)w.scale[j];
            }
            most = fmax(most, fabs((double)own - their) / (1 + fabs(their)));
        }
    return most;
}

static void measure(const kernels *t, const problem *p, int kind)
{
    double own[RUNS], peak[RUNS], theirs[MOST_PEERS][RUNS];
    int there[MOST_PEERS] = { 0 };
    run_own(t, p, kind);
    for (int i = 0; i < peer_count; i++) {
        const void *const x[] = { p->x, p->q, p->x16 }, *const w[] = { p->source, p->w, p->w16 };
        const peer_product q = { p->m, p->n, p->k, kind, x[kind], w[kind], p->theirs };
        there[i] = peer_prepare(peers[i], &q);
        if (there[i] && !(difference(t, peers[i], p, kind) < 1e-3)) {
            fprintf(stderr, "bench_products: %s gives another product of %zu x %zu x %zu, %s\n", peer_name(peers[i]), p->m, p->n, p->k, kinds[kind].name);
            exit(1);
        }
    }
    for (int r = 0; r < RUNS; r++) {
        peak[r] = kind == PRODUCT_S8 ? peak_s8(t->level) : kind == PRODUCT_BF16 ? peak_bf16(t->level) : peak_f32(t->level);
        own[r] = rate(t, NULL, p, kind);
        for (int i = 0; i < peer_count; i++)
            theirs[i][r] = there[i] ? rate(t, peers[i], p, kind) : 0;
    }
    const double best = median(own), top = median(peak);
    printf("{\"bench\":\"product\",\"level\":\"%s\",\"type\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"gops\":%.1f,\"peak\":%.1f,\"share\":%.3f", t->name,
           kinds[kind].name, p->m, p->n, p->k, best, top, top > 0 ? best / top : 0);
    for (int i = 0; i < peer_count; i++) {
        if (there[i])
            printf(",\"%s\":%.1f", peer_name(peers[i]), median(theirs[i]));
        peer_finish(peers[i]);
    }
    puts("}");
    fflush(stdout);
}

static void fill(const kernels *t, problem *p)
{
    uint32_t state = 1;
    p->source = block(p->n * p->k * sizeof(float));
    for (size_t i = 0; i < p->n * p->k; i++)
        p->source[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1p-31f;
    p->x = block(p->m * p->k * sizeof(float));
    memcpy(p->x, p->source, (p->m < p->n ? p->m : p->n) * p->k * sizeof(float));
    p->out = block(p->m * p->n * sizeof(float));
    p->theirs = block(p->m * p->n * sizeof(float));
    p->q = block(p->m * p->k);
    p->w = block(p->n * p->k);
    p->scale = block(p->m * sizeof(float));
    p->zero = block(p->m * sizeof(int32_t));
    p->x16 = block(p->m * p->k * sizeof *p->x16);
    p->w16 = block(p->n * p->k * sizeof *p->w16);
    t->round_rows(p->m, p->k, p->x, p->k, p->x16, p->k);
    t->round_rows(p->n, p->k, p->source, p->k, p->w16, p->k);
    for (int kind = 0; kind < PRODUCT_KINDS; kind++) {
        p->panels[kind] = block(weights_bytes(kinds[kind].type, p->n, p->k));
        weights_pack(kinds[kind].type, p->n, p->k, p->source, p->k, p->panels[kind]);
    }
    for (size_t j = 0; j < p->n; j++) /* weights.h: panels of 16 channels, 4 inputs side by side */
        for (size_t i = 0; i < p->k; i++)
            p->w[j * p->k + i] = ((const int8_t *)p->panels[PRODUCT_S8])[j / 16 * 16 * p->k + i / 4 * 64 + j % 16 * 4 + i % 4];
    t->quantize_rows(p->m, p->k, p->x, p->k, NULL, p->q, p->k, p->scale, p->zero);
}

static void all_shapes(const kernels *t, int few)
{
    for (size_t s = 0; s < (few ? 4 : sizeof shapes / sizeof *shapes); s++)
        for (size_t r = 0; r < sizeof rows_of / sizeof *rows_of; r++) {
            if (few && rows_of[r] != 16 && rows_of[r] != 128)
                continue;
            problem p = { .m = rows_of[r], .n = shapes[s].n, .k = shapes[s].k };
            fill(t, &p);
            for (int kind = 0; kind < PRODUCT_KINDS; kind++)
                if (kind != PRODUCT_BF16 || t->gemm_bf16 != NULL)
                    measure(t, &p, kind);
            void *const all[] = { p.source, p.x, p.out, p.theirs, p.q, p.w, p.scale, p.zero, p.x16, p.w16, p.panels[0], p.panels[1], p.panels[2] };
            for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free(all[i]);
        }
}

int main(int argc, char **argv)
{
    const uint32_t levels = cpu_levels();
    int few = 0, named = 0;
    for (int i = 1; i < argc; i++) {
        few |= strcmp(argv[i], "--few") == 0;
        named += strcmp(argv[i], "--few") != 0 && strchr(argv[i], '=') == NULL;
        if (strchr(argv[i], '=') != NULL) {
            const int opened = peers_open(argv[i], peers, peer_count);
            if (opened == 0)
                return 2;
            peer_count += opened;
        }
    }
    for (const kernels *const *t = kernels_all(); *t != NULL; t++) {
        int wanted = named == 0;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], (*t)->name) == 0;
        if (wanted && ((*t)->level & levels))
            all_shapes(*t, few);
    }
    return 0;
}
