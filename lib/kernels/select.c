/* Which table a context gets: the highest level that the machine has, the host allows, and that agrees with the reference. */
#include "kernels/select.h"

#include <math.h>
#include <string.h>

#include "ecrec/base.h"

#if defined(__x86_64__)
extern const kernels kernels_sse2, kernels_avx2, kernels_avxvnni, kernels_avx512, kernels_avx512vnni;
#elif defined(__aarch64__)
extern const kernels kernels_neon, kernels_neon_dotprod, kernels_neon_i8mm;
#endif

const kernels *const *kernels_all(void)
{
    /* best last */
    static const kernels *const tables[] = {
#if defined(__x86_64__)
        &kernels_sse2, &kernels_avx2, &kernels_avxvnni, &kernels_avx512, &kernels_avx512vnni,
#elif defined(__aarch64__)
        &kernels_neon, &kernels_neon_dotprod, &kernels_neon_i8mm,
#endif
        NULL,
    };
    return tables;
}

enum { M = 9, K = 37, N = 52, T = 5, D = 12, STRIDE = 64 };

static float sample(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * (1.0f / 1073741824.0f);
}

static int close_to(const float *a, const float *b, size_t n, float bound)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= bound * (1.0f + fabsf(b[i]))))
            return 0;
    return 1;
}

typedef struct tile_data {
    _Alignas(64) unsigned char f32[4 * 16 * K * 4 + 64], s8[4 * 16 * 40 + 2 * 64 * 4 + 64];
    _Alignas(64) uint8_t q[2][M * STRIDE];
    float x[M * STRIDE], source[N * K], bias[N], out[2][M * STRIDE], scale[2][M], scratch[2048];
    int32_t zero[2][M];
} tile_data;

static void products(const kernels *table, tile_data *t, int which)
{
    weights w;
    weights_view(&w, WEIGHTS_F32, N, K, t->f32);
    const gemm_f32_call f = { .m = M, .x = t->x, .x_stride = STRIDE, .w = &w, .bias = t->bias, .out = t->out[which],
                              .out_stride = STRIDE, .epilogue = EPILOGUE_GELU_ERF };
    memset(t->out[which], 0, sizeof t->out[which]);
    table->gemm_f32(&f);
}

static void quantised(const kernels *table, tile_data *t, int which)
{
    weights w;
    weights_view(&w, WEIGHTS_S8, N, K, t->s8);
    table->quantize_rows(M, K, t->x, STRIDE, NULL, t->q[which], STRIDE, t->scale[which], t->zero[which]);
    const gemm_s8_call s = { .m = M, .q = t->q[which], .q_stride = STRIDE, .scale = t->scale[which], .zero = t->zero[which],
                             .w = &w, .bias = t->bias, .out = t->out[which], .out_stride = STRIDE };
    memset(t->out[which], 0, sizeof t->out[which]);
    table->gemm_s8(&s);
}

static void attend(const kernels *table, tile_data *t, int which)
{
    const attention_call a = { .tokens = T, .head_size = D, .q = t->x, .k = t->x + 12, .v = t->x + 24, .stride = STRIDE,
                               .out = t->out[which], .out_stride = STRIDE, .scale = 0.3f, .scratch = t->scratch };
    memset(t->out[which], 0, sizeof t->out[which]);
    table->attention(&a);
}

/* Similarities: the float ones as near as products are, the 8-bit ones to the bit. */
static int similar(const kernels *table, const kernels *reference, tile_data *t)
{
    int32_t sums[2][M];
    const int8_t *bytes = (const int8_t *)t->q[0];
    int8_t query[K];
    const dots_call c = { VECTORS_F32, M, 1, K, t->x, STRIDE, t->bias, N, t->out[0], 1 };
    dots_call again = c;
    again.out = t->out[1];
    reference->dots(&c);
    table->dots(&again);
    for (size_t i = 0; i < K; i++)
        query[i] = (int8_t)((int32_t)(t->bias[i] * 50));
    reference->dots_s8(M, K, bytes, STRIDE, query, sums[0]);
    table->dots_s8(M, K, bytes, STRIDE, query, sums[1]);
    return close_to(t->out[1], t->out[0], M, 1e-5f) && memcmp(sums[0], sums[1], sizeof sums[0]) == 0;
}

int kernels_verify(const kernels *table)
{
    const kernels *reference = kernels_portable();
    tile_data t;
    uint32_t state = 12345;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < M * STRIDE; i++)
        t.x[i] = sample(&state);
    for (size_t i = 0; i < N * K; i++)
        t.source[i] = sample(&state);
    for (size_t i = 0; i < N; i++)
        t.bias[i] = sample(&state);
    weights_pack(WEIGHTS_F32, N, K, t.source, K, t.f32);
    weights_pack(WEIGHTS_S8, N, K, t.source, K, t.s8);
    products(reference, &t, 0);
    products(table, &t, 1);
    if (!close_to(t.out[1], t.out[0], M * STRIDE, 1e-5f))
        return 0;
    quantised(reference, &t, 0);
    quantised(table, &t, 1);
    if (memcmp(t.q[0], t.q[1], sizeof t.q[0]) != 0 || memcmp(t.scale[0], t.scale[1], sizeof t.scale[0]) != 0 ||
        memcmp(t.zero[0], t.zero[1], sizeof t.zero[0]) != 0 || memcmp(t.out[0], t.out[1], sizeof t.out[0]) != 0)
        return 0;
    attend(reference, &t, 0);
    attend(table, &t, 1);
    return close_to(t.out[1], t.out[0], M * STRIDE, 1e-5f) && similar(table, reference, &t);
}

const kernels *kernels_choose(const kernels *const *tables, uint32_t available, uint32_t *rejected)
{
    const kernels *best = kernels_portable();
    if (rejected != NULL)
        *rejected = 0;
    for (; *tables != NULL; tables++) {
        if (!((*tables)->level & available))
            continue;
        if (kernels_verify(*tables))
            best = *tables;
        else if (rejected != NULL)
            *rejected |= (*tables)->level;
    }
    return best;
}

const kernels *kernels_select(uint32_t available, uint32_t *rejected)
{
    return kernels_choose(kernels_all(), available, rejected);
}
