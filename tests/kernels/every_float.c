/* exp and GELU (erf) of every float there is, at every level of this processor, against the C library in double: the worst error of each.
 *
 *    every_float exp|gelu THREADS STEP     STEP 1: all 2^32; a larger one: every STEP-th
 *
 * Exit: 1 when exp is off by more than 2 ulp or GELU by more than 3e-7 (above 4: and one rounding of the result). */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

enum { BLOCK = 1 << 13, MOST_LEVELS = 16 };

static const kernels *levels[MOST_LEVELS];
static int level_count;

typedef struct shard {
    int gelu;
    uint64_t from, step; /* floats whose bits are from, from + step, ... */
    double worst[MOST_LEVELS];
    float where[MOST_LEVELS], is[MOST_LEVELS];
} shard;

static double ulp(double x)
{
    int exponent;
    (void)frexp(x, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

/* How far off, in ulp; of what is too large for a float, infinity or the largest will do. */
static double exp_off(float x, float is, double want)
{
    if (isnan(x))
        return isnan(is) ? 0 : INFINITY;
    if (want > (double)FLT_MAX)
        return isinf(is) || (double)is >= (double)FLT_MAX * (1 - 1e-6) ? 0 : INFINITY;
    return (double)is == want ? 0 : fabs((double)is - want) / ulp(want);
}

/* Of 3e-7. */
static double gelu_off(float x, float is, double want)
{
    if (isnan(x))
        return isnan(is) ? 0 : INFINITY;
    if (isinf(x))
        return (double)is == (x > 0 ? (double)INFINITY : 0) ? 0 : INFINITY;
    const double off = fabs((double)is - want) - (fabs((double)x) > 4 ? (double)FLT_EPSILON * fabs((double)x) : 0);
    return off > 0 ? off / 3e-7 : 0;
}

static void *run(void *argument)
{
    shard *s = argument;
    float *x = malloc(2 * BLOCK * sizeof *x), *out = x + BLOCK;
    double *want = malloc(BLOCK * sizeof *want);
    for (uint64_t bits = s->from; bits <= UINT32_MAX && x != NULL && want != NULL;) {
        size_t n = 0;
        for (; n < BLOCK && bits <= UINT32_MAX; n++, bits += s->step) {
            const uint32_t b = (uint32_t)bits;
            memcpy(&x[n], &b, sizeof b);
            want[n] = s->gelu ? 0.5 * (double)x[n] * erfc(-(double)x[n] * 0.70710678118654752440) : exp((double)x[n]);
        }
        for (int l = 0; l < level_count; l++) {
            memcpy(out, x, n * sizeof *out);
            if (s->gelu)
                levels[l]->activate(n, out, EPILOGUE_GELU_ERF);
            else
                levels[l]->exponential(n, x, out);
            for (size_t i = 0; i < n; i++) {
                const double off = s->gelu ? gelu_off(x[i], out[i], want[i]) : exp_off(x[i], out[i], want[i]);
                if (off > s->worst[l] || isnan(off)) {
                    s->worst[l] = isnan(off) ? (double)INFINITY : off;
                    s->where[l] = x[i];
                    s->is[l] = out[i];
                }
            }
        }
    }
    free(x);
    free(want);
    return NULL;
}

int main(int argc, char **argv)
{
    const int threads = argc > 2 ? atoi(argv[2]) : 1, step = argc > 3 ? atoi(argv[3]) : 1, gelu = argc > 1 && strcmp(argv[1], "gelu") == 0;
    pthread_t ids[64];
    shard shards[64];
    int bad = 0;
    if (argc < 2 || (!gelu && strcmp(argv[1], "exp") != 0) || threads < 1 || threads > 64 || step < 1) {
        fprintf(stderr, "usage: every_float exp|gelu [THREADS [STEP]]\n");
        return 2;
    }
    levels[level_count++] = kernels_portable();
    for (const kernels *const *t = kernels_all(); *t != NULL; t++)
        if ((*t)->level & cpu_levels())
            levels[level_count++] = *t;
    for (int i = 0; i < threads; i++) {
        shards[i] = (shard){ .gelu = gelu, .from = (uint64_t)i * (uint64_t)step, .step = (uint64_t)threads * (uint64_t)step };
        if (pthread_create(&ids[i], NULL, run, &shards[i]) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    for (int l = 0; l < level_count; l++) {
        int at = 0;
        for (int i = 1; i < threads; i++)
            at = shards[i].worst[l] > shards[at].worst[l] ? i : at;
        const shard *s = &shards[at];
        const double worst = gelu ? s->worst[l] * 3e-7 : s->worst[l];
        printf(gelu ? "gelu  %-12s worst error %.3g at %.9g (%.9g)\n" : "exp   %-12s worst error %.3f ulp at %.9g (%.9g)\n", levels[l]->name, worst, (double)s->where[l],
               (double)s->is[l]);
        bad |= !(worst <= (gelu ? 3e-7 : 2));
    }
    return bad;
}
