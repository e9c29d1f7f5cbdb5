/* Sums of rows of tables and optimisers' steps on them: every level's bits are the portable level's (a NaN is a NaN), at every width and
 * with every kind of number; nothing is read or written beside the rows. */
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "guarded.h"
#include "kernels/kernels.h"
#include "kernels/select.h"
#include "support.h"

static const kernels *levels[16];
static int level_count;
#define EACH_LEVEL(t) for (int level_ = 0; level_ < level_count; level_++) for (const kernels *t = levels[level_]; t != NULL; t = NULL)

enum { ROUNDS = 400, MOST_ROWS = 40 };

static float *draw_row(size_t n, int special, int positive)
{
    static const float values[] = { 0, -0.0f, 1e-40f, -1e-45f, 1e-38f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN };
    float *x = draw_floats(n);
    for (size_t i = 0; i < n; i++) {
        if (special && draw() % 4 == 0)
            x[i] = values[draw() % 10];
        x[i] = positive ? fabsf(x[i]) : x[i];
    }
    return x;
}

static float *copy_of(const float *x, size_t n)
{
    float *y = guarded(n * sizeof *y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

static void check_same(const kernels *t, const char *what, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(isnan(got[i]) && isnan(want[i])) && !same_bits(&got[i], &want[i], sizeof *got))
            fail_msg("%s: %s, value %zu of %zu is %.9g, should be %.9g", t->name, what, i, n, (double)got[i], (double)want[i]);
}

static void sums_of_rows(void **unused)
{
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t rows = draw_size(0, MOST_ROWS), n = draw_size(1, 70);
        const int special = round % 3 == 2;
        const float *from[MOST_ROWS];
        float *by = draw_row(rows + 1, special, 0) + 1; /* ends at the guard */
        const float *start = draw_row(n, special, 0);
        float want[70];
        for (size_t r = 0; r < rows; r++)
            from[r] = draw() % 5 == 0 ? NULL : draw_row(n, special, 0);
        memcpy(want, start, n * sizeof *want);
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < n && from[r] != NULL; i++) {
                const float product = by[r] * from[r][i];
                want[i] += product;
            }
        EACH_LEVEL(t) {
            float *out = copy_of(start, n);
            t->sum_rows(rows, n, from, by, out);
            check_same(t, "a sum of rows", out, want, n);
        }
        guarded_release();
    }
}

static void adagrad(void **unused)
{
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t n = draw_size(1, 140);
        const int special = round % 3 == 2;
        const float *w = draw_row(n, special, 0), *sum = draw_row(n, special, 1), *g = draw_row(n, special, 0);
        const float start = round % 2 != 0 ? 0.05f : 0, keep = round % 4 != 0 ? 0.999f : 1;
        float *want_w = copy_of(w, n), *want_sum = copy_of(sum, n);
        kernels_portable()->step_adagrad(n, want_w, want_sum, g, 0.3f, keep, start);
        for (size_t i = 0; i < n && !special && start > 0; i++) { /* what the reference itself should say */
            const double s = (double)sum[i] + (double)g[i] * g[i], exact = (double)w[i] * keep - 0.3 * g[i] / sqrt(start + s);
            assert_true(fabs(want_sum[i] - s) <= 1e-6 * s && fabs(want_w[i] - exact) <= 4e-7 * (fabs((double)w[i]) + fabs(0.3 * g[i] / sqrt(start + s))) + 1e-12);
        }
        EACH_LEVEL(t) {
            float *own_w = copy_of(w, n), *own_sum = copy_of(sum, n);
            t->step_adagrad(n, own_w, own_sum, g, 0.3f, keep, start);
            check_same(t, "AdaGrad's weights", own_w, want_w, n);
            check_same(t, "AdaGrad's sums", own_sum, want_sum, n);
        }
        guarded_release();
    }
}

static void adam(void **unused)
{
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t n = draw_size(1, 140);
        const int special = round % 3 == 2;
        const float *w = draw_row(n, special, 0), *m = draw_row(n, special, 0), *v = draw_row(n, special, 1), *g = draw_row(n, special, 0);
        const adam_factors f = { 0.01f, 1.5f, round % 2 != 0 ? 0.999f : 1, 0.1f, 0.001f, 1e-8f };
        float *want[3] = { copy_of(w, n), copy_of(m, n), copy_of(v, n) };
        kernels_portable()->step_adam(n, want[0], want[1], want[2], g, &f);
        for (size_t i = 0; i < n && !special; i++) {
            const double a = m[i] + (double)f.first * ((double)g[i] - m[i]), b = v[i] + (double)f.second * ((double)g[i] * g[i] - v[i]), step = (double)f.rate * a / (sqrt(b) * f.root + f.least);
            assert_true(fabs(want[1][i] - a) <= 5e-7 * (fabs(a) + fabs((double)m[i]) + fabs((double)g[i])));
            assert_true(fabs(want[0][i] - ((double)w[i] * f.keep - step)) <= 4e-6 * (fabs((double)w[i]) + fabs(step)) + 1e-5 * f.rate);
        }
        EACH_LEVEL(t) {
            float *own[3] = { copy_of(w, n), copy_of(m, n), copy_of(v, n) };
            t->step_adam(n, own[0], own[1], own[2], g, &f);
            for (int i = 0; i < 3; i++)
                check_same(t, i == 0 ? "Adam's weights" : i == 1 ? "Adam's means" : "Adam's squares", own[i], want[i], n);
        }
        guarded_release();
    }
}

int main(void)
{
    levels[level_count++] = kernels_portable();
    for (const kernels *const *t = kernels_all(); *t != NULL; t++)
        if ((*t)->level & cpu_levels())
            levels[level_count++] = *t;
    const struct CMUnitTest tests[] = { cmocka_unit_test(sums_of_rows), cmocka_unit_test(adagrad), cmocka_unit_test(adam) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
