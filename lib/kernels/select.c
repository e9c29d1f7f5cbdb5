/* Which table a context gets: the highest level that the machine has, the host allows, and that agrees with the reference. */
#include "kernels/select.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "base/format.h"
#include "ecrec/base.h"

#if defined(__x86_64__)
extern const kernels kernels_sse2, kernels_avx2, kernels_avxvnni, kernels_avx512, kernels_avx512vnni, kernels_avx512bf16;
#elif defined(__aarch64__)
extern const kernels kernels_neon, kernels_neon_dotprod, kernels_neon_i8mm, kernels_neon_bf16;
#endif

const kernels *const *kernels_all(void)
{
    /* best last */
    static const kernels *const tables[] = {
#if defined(__x86_64__)
        &kernels_sse2, &kernels_avx2, &kernels_avxvnni, &kernels_avx512, &kernels_avx512vnni, &kernels_avx512bf16,
#elif defined(__aarch64__)
        &kernels_neon, &kernels_neon_dotprod, &kernels_neon_i8mm, &kernels_neon_bf16,
#endif
        NULL,
    };
    return tables;
}

enum { M = 9, K = 37, N = 52, T = 5, D = 12, STRIDE = 64, BRAIN_ROWS = 3 };

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
    _Alignas(64) unsigned char f32[4 * 16 * K * 4 + 64], s8[4 * 16 * 40 + 2 * 64 * 4 + 64], bf16[4 * 16 * 38 * 2 + 64];
    _Alignas(64) uint8_t q[2][M * STRIDE];
    uint16_t rounded[BRAIN_ROWS * STRIDE], exactly[BRAIN_ROWS * STRIDE];
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

/* bf16 weights, widened and, where the level can, in bf16. */
static int brains(const kernels *table, const kernels *reference, tile_data *t)
{
    weights w;
    weights_view(&w, WEIGHTS_BF16, N, K, t->bf16);
    gemm_f32_call f = { .m = BRAIN_ROWS, .x = t->x, .x_stride = STRIDE, .w = &w, .bias = t->bias, .out = t->out[0], .out_stride = STRIDE };
    gemm_bf16_call b = { .m = BRAIN_ROWS, .x = t->rounded, .x_stride = STRIDE, .w = &w, .bias = t->bias, .out = t->out[0], .out_stride = STRIDE };
    memset(t->out, 0, sizeof t->out);
    reference->gemm_widened(&f);
    f.out = t->out[1];
    table->gemm_widened(&f);
    if (!close_to(t->out[1], t->out[0], BRAIN_ROWS * STRIDE, 1e-5f))
        return 0;
    if (table->gemm_bf16 == NULL)
        return 1;
    table->round_rows(BRAIN_ROWS, K, t->x, STRIDE, t->rounded, STRIDE);
    reference->round_rows(BRAIN_ROWS, K, t->x, STRIDE, t->exactly, STRIDE);
    if (memcmp(t->rounded, t->exactly, sizeof t->rounded) != 0)
        return 0;
    gemm_bf16_reference(&b);
    b.out = t->out[1];
    table->gemm_bf16(&b);
    return close_to(t->out[1], t->out[0], BRAIN_ROWS * STRIDE, 1e-5f);
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
    weights_pack(WEIGHTS_BF16, N, K, t.source, K, t.bf16);
    products(reference, &t, 0);
    products(table, &t, 1);
    if (!close_to(t.out[1], t.out[0], M * STRIDE, 1e-5f))
        return 0;
    if (!brains(table, reference, &t))
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

/* ---- the timed tile ---- */

enum { TIMED_M = 16, TIMED_N = 48, TIMED_K = 192, TIMED_RUNS = 8, TIMED_WARM = 2 };

static uint64_t fewer(uint64_t a, uint64_t b)
{
    return b < a ? b : a;
}

void kernels_time(const kernels *table, selection *told)
{
    _Alignas(64) unsigned char panels[TIMED_N * TIMED_K * sizeof(uint16_t)];
    uint16_t rounded[TIMED_M * TIMED_K];
    float x[TIMED_M * TIMED_K], out[TIMED_M * TIMED_N];
    uint64_t bf16 = UINT64_MAX, widened = UINT64_MAX;
    weights w;
    memset(panels, 0x3F, sizeof panels); /* any finite number */
    memset(rounded, 0x3F, sizeof rounded);
    memset(x, 0x3F, sizeof x);
    weights_view(&w, WEIGHTS_BF16, TIMED_N, TIMED_K, panels);
    const gemm_f32_call f = { .m = TIMED_M, .x = x, .x_stride = TIMED_K, .w = &w, .out = out, .out_stride = TIMED_N };
    const gemm_bf16_call b = { .m = TIMED_M, .x = rounded, .x_stride = TIMED_K, .w = &w, .out = out, .out_stride = TIMED_N };
    for (int i = 0; i < TIMED_RUNS + TIMED_WARM; i++) { /* in turns: what the fastest took is the kernel's own */
        const uint64_t begin = cpu_ticks();
        table->gemm_bf16(&b);
        const uint64_t between = cpu_ticks();
        table->gemm_widened(&f);
        const uint64_t end = cpu_ticks();
        if (i >= TIMED_WARM) {
            bf16 = fewer(bf16, between - begin);
            widened = fewer(widened, end - between);
        }
    }
    told->bf16_ticks = bf16;
    told->widened_ticks = widened;
}

/* Two levels that differ in bf16 products alone share their other kernels. */
static int differ_in_bf16(const kernels *with, const kernels *without)
{
    return with->gemm_bf16 != NULL && without != NULL && without->gemm_bf16 == NULL && with->gemm_f32 == without->gemm_f32 &&
           with->gemm_s8 == without->gemm_s8 && with->gemm_widened == without->gemm_widened;
}

const kernels *kernels_choose(const kernels *const *tables, uint32_t available, selection *told)
{
    const kernels *best = kernels_portable(), *before = NULL;
    selection own = { 0 };
    for (; *tables != NULL; tables++) {
        if (!((*tables)->level & available))
            continue;
        if (kernels_verify(*tables)) {
            before = best;
            best = *tables;
        } else {
            own.rejected |= (*tables)->level;
        }
    }
    if (differ_in_bf16(best, before)) {
        kernels_time(best, &own);
        if (!(own.bf16_ticks < own.widened_ticks - own.widened_ticks / 10)) { /* a tenth faster, or it is not worth its roundings */
            own.slower = best->level;
            best = before;
        }
    }
    if (told != NULL)
        *told = own;
    return best;
}

const kernels *kernels_select(uint32_t available, selection *told)
{
    return kernels_choose(kernels_all(), available, told);
}

void selection_describe(const kernels *table, const selection *told, char *text, size_t capacity)
{
    if (told->slower == 0 && table->gemm_bf16 == NULL)
        return;
    size_t n = format_text(text, capacity, "; bf16 weights: %s", told->slower != 0 ? "float32 products, not bf16 ones" : "bf16 products");
    if (told->widened_ticks == 0)
        format_text(text + n, capacity - n, told->slower != 0 ? " (the processor has no counter to time them)" : " (no other level may be used)");
    else
        format_text(text + n, capacity - n, " (a tile of %d x %d x %d: bf16 %llu ticks, float32 %llu)", TIMED_M, TIMED_N, TIMED_K,
                    (unsigned long long)told->bf16_ticks, (unsigned long long)told->widened_ticks);
}
