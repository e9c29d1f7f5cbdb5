/* Products with bfloat16 weights at every level: widened they have the bits of gemm_f32 with the floats that they are; in bf16 they are near
 * a result in double precision and, on x86, have the reference's bits. Nothing is read or written beside the arrays, a row's bits do not depend
 * on its batch. A level with a wrong product is passed over, one with slower ones is not taken. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "guarded.h"
#include "kernels/kernels.h"
#include "kernels/scalar.h"
#include "kernels/select.h"
#include "support.h"

static const kernels *levels[16];
static int level_count;
#define EACH_LEVEL(t) for (int level_ = 0; level_ < level_count; level_++) for (const kernels *t = levels[level_]; t != NULL; t = NULL)

typedef struct shape { size_t m, n, k, x_stride, out_stride, residual_stride; int32_t epilogue; int bias, residual; } shape;

static shape draw_shape(int round)
{
    shape s = { draw_size(1, 21), draw_size(1, 110), draw_size(1, 75), 0, 0, 0, (int32_t)(round % 7), round % 3 != 0, round % 2 };
    if (round % 30 == 29)
        s.k = draw_size(1500, 3300);
    s.x_stride = s.k + draw_size(0, 5);
    s.out_stride = s.n + draw_size(0, 5);
    s.residual_stride = s.n + draw_size(0, 5);
    return s;
}

static float *exact_rows(size_t rows, size_t n, size_t stride) /* the last row ends with its n values: the guard follows */
{
    return draw_floats((rows - 1) * stride + n);
}

static void special_row(float *x, size_t k, int round)
{
    static const float values[] = { 0, -0.0f, 1e-40f, -1e-45f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 1.17549435e-38f, 3.3895e38f };
    for (size_t i = 0; i < k && round % 5 == 0; i++)
        x[i] = values[(size_t)round / 5 % 3 == 0 ? draw() % 4 : draw() % 11];
}

static void untouched(const kernels *t, const float *out, size_t rows, size_t n, size_t stride)
{
    for (size_t r = 0; r + 1 < rows; r++)
        for (size_t i = n; i < stride; i++) {
            uint32_t bits;
            memcpy(&bits, &out[r * stride + i], 4);
            if (bits != 0xFFFFFFFFu)
                fail_msg("%s: row %zu was written past its %zu columns", t->name, r, n);
        }
}

/* Bits, but that a NaN is a NaN. */
static void check_same(const kernels *t, const char *what, const float *got, const float *want, const shape *s)
{
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++) {
            const float *a = &got[i * s->out_stride + j], *b = &want[i * s->out_stride + j];
            if (!(isnan(*a) && isnan(*b)) && !same_bits(a, b, 4))
                fail_msg("%s, %s of %zu x %zu x %zu: [%zu][%zu] is %.9g, not %.9g", t->name, what, s->m, s->n, s->k, i, j, (double)*a, (double)*b);
        }
}

static float *room(const shape *s)
{
    return guarded(((s->m - 1) * s->out_stride + s->n) * sizeof(float));
}

static void widened(void **state)
{
    (void)state;
    for (int round = 0; round < 180; round++) {
        const shape s = draw_shape(round);
        float *x = exact_rows(s.m, s.k, s.x_stride), *source = draw_floats(s.n * s.k), *bias = draw_floats(s.n), *whole = guarded(s.n * s.k * sizeof(float));
        float *residual = exact_rows(s.m, s.n, s.residual_stride);
        special_row(x + draw_size(0, s.m - 1) * s.x_stride, s.k, round);
        if (round % 7 == 0)
            special_row(source, s.n * s.k < 40 ? s.n * s.k : 40, 5 * round);
        void *block = guarded(weights_bytes(WEIGHTS_BF16, s.n, s.k)), *floats = guarded(weights_bytes(WEIGHTS_F32, s.n, s.k));
        weights w, f;
        weights_pack(WEIGHTS_BF16, s.n, s.k, source, s.k, block);
        weights_view(&w, WEIGHTS_BF16, s.n, s.k, block);
        weights_unpack(&w, whole, s.k);
        for (size_t i = 0; i < s.n * s.k; i++) /* half of a last place of 8 bits; below the normal ones zero; at most the largest */
            if (isnan(source[i]) ? !isnan(whole[i]) : !(fabs((double)whole[i] - fmax(fmin(source[i], 0x1.FEp127), -0x1.FEp127)) <= fmax(fabs((double)source[i]) / 256, 1.1755e-38)))
                fail_msg("weight %zu, %.9g, became %.9g", i, (double)source[i], (double)whole[i]);
        weights_pack(WEIGHTS_F32, s.n, s.k, whole, s.k, floats);
        weights_view(&f, WEIGHTS_F32, s.n, s.k, floats);
        EACH_LEVEL(t) {
            float *out = room(&s), *want = room(&s);
            gemm_f32_call c = { .m = s.m, .x = x, .x_stride = s.x_stride, .w = &w, .bias = s.bias ? bias : NULL, .residual = s.residual ? residual : NULL,
                                .residual_stride = s.residual_stride, .out = out, .out_stride = s.out_stride, .epilogue = s.epilogue, .next = round % 4 == 0 ? block : NULL };
            t->gemm_widened(&c);
            c.w = &f;
            c.out = want;
            c.next = NULL;
            t->gemm_f32(&c);
            untouched(t, out, s.m, s.n, s.out_stride);
            check_same(t, "product with bf16 weights", out, want, &s);
        }
        guarded_release();
    }
}

static void check_rounded(const kernels *t, float from, uint16_t got)
{
    const double want = float_of_brain(got), exact = from;
    int exponent;
    (void)frexp(exact, &exponent);
    const double step = ldexp(1, exponent - 8);
    int good;
    if (isnan(from))
        good = isnan(want);
    else if (fabs(exact) < 1.17549435e-38)
        good = want == 0 && signbit(want) == signbit(exact);
    else if (fabs(exact) >= 0x1.FFp127) /* half a step above the largest, a tie that goes to even */
        good = isinf(want) && signbit(want) == signbit(exact);
    else
        good = fabs(want - exact) < step / 2 || (fabs(want - exact) == step / 2 && (got & 1) == 0);
    if (!good)
        fail_msg("%s: %.9g was rounded to %.9g", t->name, exact, want);
}

static void rounded_rows(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        const size_t m = draw_size(1, 5), k = draw_size(1, 200), x_stride = k + draw_size(0, 3), to_stride = k + draw_size(0, 40);
        float *x = exact_rows(m, k, x_stride);
        for (size_t i = 0; i < (m - 1) * x_stride + k; i++) {
            uint32_t bits = (uint32_t)draw() << 16 ^ (uint32_t)draw();
            bits = round % 3 == 0 ? (bits & 0xFFFF0000) | 0x8000 : bits; /* ties */
            memcpy(&x[i], &bits, 4);
        }
        EACH_LEVEL(t) {
            uint16_t *to = guarded(m * to_stride * sizeof *to);
            t->round_rows(m, k, x, x_stride, to, to_stride);
            for (size_t r = 0; r < m; r++)
                for (size_t i = 0; i < to_stride; i++)
                    if (i < k)
                        check_rounded(t, x[r * x_stride + i], to[r * to_stride + i]);
                    else
                        assert_int_equal(to[r * to_stride + i], 0);
        }
        guarded_release();
    }
}

static double exact_sum(const shape *s, const uint16_t *x, const weights *w, size_t j, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t l = 0; l < s->k; l++) {
        const double term = (double)float_of_brain(x[l]) * (double)weights_brain(w, j, l);
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

static void in_bf16(void **state)
{
    (void)state;
    int found = 0;
    for (int round = 0; round < 180; round++) {
        shape s = draw_shape(round);
        const int special = round % 5 == 0, plain = s.epilogue == EPILOGUE_NONE || s.epilogue == EPILOGUE_RELU;
        float *floats = exact_rows(s.m, s.k, s.k), *source = draw_floats(s.n * s.k), *bias = draw_floats(s.n), *residual = exact_rows(s.m, s.n, s.residual_stride);
        const size_t stride = s.k + s.k % 2 + draw_size(0, 5), ends = (s.m - 1) * stride + s.k + s.k % 2;
        uint16_t *x = guarded(ends * sizeof *x);
        special_row(floats, s.k, round);
        for (size_t r = 0; r < s.m; r++)
            kernels_portable()->round_rows(1, s.k, floats + r * s.k, s.k, x + r * stride, s.k + s.k % 2);
        void *block = guarded(weights_bytes(WEIGHTS_BF16, s.n, s.k));
        weights w;
        weights_pack(WEIGHTS_BF16, s.n, s.k, source, s.k, block);
        weights_view(&w, WEIGHTS_BF16, s.n, s.k, block);
        float *want = room(&s);
        gemm_bf16_call c = { .m = s.m, .x = x, .x_stride = stride, .w = &w, .bias = s.bias ? bias : NULL, .residual = s.residual ? residual : NULL,
                             .residual_stride = s.residual_stride, .out = want, .out_stride = s.out_stride, .epilogue = s.epilogue };
        gemm_bf16_reference(&c);
        for (size_t i = special; i < s.m && plain; i++)
            for (size_t j = 0; j < s.n; j++) {
                double size, sum = exact_sum(&s, x + i * stride, &w, j, &size) + (s.bias ? bias[j] : 0);
                const double added = s.residual ? residual[i * s.residual_stride + j] : 0, exact = (s.epilogue == EPILOGUE_RELU && sum < 0 ? 0 : sum) + added;
                if (!(fabs(want[i * s.out_stride + j] - exact) <= 0.6 * FLT_EPSILON * ((double)s.k + 2) * (size + 2) + FLT_EPSILON * (fabs(exact) + fabs(added))))
                    fail_msg("the reference of bf16: [%zu][%zu] is %.9g, exactly %.9g", i, j, (double)want[i * s.out_stride + j], exact);
            }
        EACH_LEVEL(t) {
            if (t->gemm_bf16 == NULL)
                continue;
            found++;
            float *out = room(&s), *alone = guarded(s.n * sizeof(float));
            c.out = out;
            c.next = round % 4 == 0 ? block : NULL;
            t->gemm_bf16(&c);
            untouched(t, out, s.m, s.n, s.out_stride);
            if (plain && t->level == ECREC_CPU_AVX512BF16)
                check_same(t, "product in bf16", out, want, &s);
            for (size_t i = 0; i < s.m; i++)
                for (size_t j = 0; j < s.n; j++) {
                    const float a = out[i * s.out_stride + j], b = want[i * s.out_stride + j];
                    double size;
                    if ((special && i == 0) ? isnan(b) && isnan(a) : 0)
                        continue;
                    (void)exact_sum(&s, x + i * stride, &w, j, &size);
                    if (!(special && i == 0) && !(fabs((double)a - (double)b) <= 2.4 * FLT_EPSILON * ((double)s.k + 2) * (size + 2)))
                        fail_msg("%s, product in bf16 of %zu x %zu x %zu: [%zu][%zu] is %.9g, the reference's %.9g", t->name, s.m, s.n, s.k, i, j, (double)a, (double)b);
                }
            const size_t row = draw_size(0, s.m - 1);
            gemm_bf16_call one = c;
            memcpy(alone, residual + row * s.residual_stride, s.n * sizeof(float));
            one.m = 1;
            one.x = x + row * stride;
            one.residual = s.residual ? alone : NULL;
            one.out = alone;
            t->gemm_bf16(&one);
            if (!same_bits(alone, out + row * s.out_stride, s.n * sizeof(float)))
                fail_msg("%s: row %zu of %zu has other bits alone", t->name, row, s.m);
        }
        guarded_release();
    }
    print_message("%d products in bf16 beside the reference\n", found);
}

/* ---- the self-check and the timed tile ---- */

static void wrong_widened(const gemm_f32_call *c)
{
    kernels_portable()->gemm_widened(c);
    c->out[c->w->n - 1] += 0.01f;
}

static void wrong_bf16(const gemm_bf16_call *c)
{
    gemm_bf16_reference(c);
    c->out[0] *= 1.001f;
}

static void wrong_rounding(size_t m, size_t k, const float *x, size_t x_stride, uint16_t *to, size_t to_stride)
{
    kernels_portable()->round_rows(m, k, x, x_stride, to, to_stride);
    to[k - 1] ^= 1;
}

static void self_check(void **state)
{
    (void)state;
    kernels good = *kernels_portable(), bad[3] = { good, good, good };
    uint32_t all = 1u << 31;
    good.level = all;
    bad[0].gemm_widened = wrong_widened;
    bad[1].gemm_bf16 = wrong_bf16;
    bad[2].gemm_bf16 = gemm_bf16_reference;
    bad[2].round_rows = wrong_rounding;
    const kernels *const tables[] = { &good, &bad[0], &bad[1], &bad[2], NULL };
    for (int i = 0; i < 3; i++)
        all |= bad[i].level = 1u << (28 + i);
    selection told;
    assert_ptr_equal(kernels_choose(tables, all, &told), &good);
    assert_int_equal(told.rejected, 7u << 28);
    EACH_LEVEL(t)
        if (!kernels_verify(t))
            fail_msg("%s: its own self-check fails", t->name);
}

static void own_f32(const gemm_f32_call *c) /* so that the two levels have a kernel in common that portable has not */
{
    kernels_portable()->gemm_f32(c);
}

static void slow_bf16(const gemm_bf16_call *c)
{
    for (int i = 0; i < 3; i++)
        gemm_bf16_reference(c);
}

static void slow_widened(const gemm_f32_call *c)
{
    for (int i = 0; i < 200; i++)
        kernels_portable()->gemm_widened(c);
}

static void timed_tile(void **state)
{
    (void)state;
    kernels without = *kernels_portable(), with = without;
    const kernels *const tables[] = { &without, &with, NULL };
    selection told;
    char text[256] = "";
    if (cpu_ticks() == 0) {
        print_message("skipped: this processor has no counter to time with\n");
        skip();
    }
    without.gemm_f32 = with.gemm_f32 = own_f32;
    without.level = 1u << 28;
    with.level = 1u << 29;
    with.gemm_bf16 = slow_bf16;
    assert_ptr_equal(kernels_choose(tables, 3u << 28, &told), &without);
    assert_int_equal(told.slower, with.level);
    assert_true(told.bf16_ticks > told.widened_ticks && told.widened_ticks > 0);
    selection_describe(&without, &told, text, sizeof text);
    assert_non_null(strstr(text, "not bf16"));
    assert_ptr_equal(kernels_choose(tables, 1u << 29, &told), &with); /* the mask leaves no choice: nothing is timed */
    assert_true(told.slower == 0 && told.bf16_ticks == 0 && told.widened_ticks == 0);
    without.gemm_widened = with.gemm_widened = slow_widened;
    assert_ptr_equal(kernels_choose(tables, 3u << 28, &told), &with);
    assert_true(told.slower == 0 && told.bf16_ticks < told.widened_ticks);
}

int main(void)
{
    levels[level_count++] = kernels_portable();
    for (const kernels *const *t = kernels_all(); *t != NULL; t++)
        if ((*t)->level & cpu_levels())
            levels[level_count++] = *t;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widened), cmocka_unit_test(rounded_rows), cmocka_unit_test(in_bf16), cmocka_unit_test(self_check), cmocka_unit_test(timed_tile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
