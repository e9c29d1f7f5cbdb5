/* Every kernel at every level that this processor has: within a stated bound of a result in double precision, bytes to the bit;
 * no read or write past any buffer, nothing written beside the results, a row's bits the same in any batch. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "guarded.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "kernels/select.h"
#include "support.h"

static const kernels *levels[16];
static int level_count;

static void find_levels(void)
{
    levels[level_count++] = kernels_portable();
    for (const kernels *const *t = kernels_all(); *t != NULL; t++)
        if ((*t)->level & cpu_levels())
            levels[level_count++] = *t;
}

#define EACH_LEVEL(t) for (int level_ = 0; level_ < level_count; level_++) for (const kernels *t = levels[level_]; t != NULL; t = NULL)

static double exact_activation(double x, int32_t kind)
{
    switch (kind) {
    case EPILOGUE_GELU_ERF: return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case EPILOGUE_GELU_TANH: return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case EPILOGUE_GELU_QUICK: return x / (1 + exp(-1.702 * x));
    case EPILOGUE_RELU: return x > 0 ? x : 0;
    case EPILOGUE_SILU: return x / (1 + exp(-x));
    case EPILOGUE_TANH: return tanh(x);
    default: return x;
    }
}

/* The first value that is out of bounds fails with its place. */
static void check_near(const kernels *t, const char *what, size_t i, size_t j, float got, double want, double bound)
{
    if (!(fabs((double)got - want) <= bound))
        fail_msg("%s, %s: [%zu][%zu] is %.9g, exactly %.12g, bound %.3g", t->name, what, i, j, (double)got, want, bound);
}

static void untouched(const kernels *t, const char *what, const float *out, size_t rows, size_t n, size_t stride)
{
    for (size_t r = 0; r + 1 < rows; r++)
        for (size_t i = n; i < stride; i++) {
            uint32_t bits;
            memcpy(&bits, &out[r * stride + i], 4);
            if (bits != 0xFFFFFFFFu)
                fail_msg("%s, %s: row %zu was written past its %zu columns", t->name, what, r, n);
        }
}

typedef struct shape { size_t m, n, k, x_stride, out_stride, residual_stride; int32_t epilogue; int bias, residual; } shape;

static shape draw_shape(int round)
{
    shape s = { draw_size(1, 21), draw_size(1, 110), draw_size(1, 75), 0, 0, 0, (int32_t)(round % 7), round % 3 != 0, round % 2 };
    if (round % 30 == 29) /* deeper than a kernel takes at a time */
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

static void product_f32(void **state)
{
    (void)state;
    for (int round = 0; round < 210; round++) {
        const shape s = draw_shape(round);
        float *x = exact_rows(s.m, s.k, s.x_stride), *source = draw_floats(s.n * s.k), *bias = draw_floats(s.n);
        float *residual = exact_rows(s.m, s.n, s.residual_stride);
        void *block = guarded(weights_bytes(WEIGHTS_F32, s.n, s.k));
        weights w;
        weights_pack(WEIGHTS_F32, s.n, s.k, source, s.k, block);
        weights_view(&w, WEIGHTS_F32, s.n, s.k, block);
        EACH_LEVEL(t) {
            float *out = guarded(((s.m - 1) * s.out_stride + s.n) * sizeof(float));
            gemm_f32_call c = { s.m, x, s.x_stride, &w, s.bias ? bias : NULL, s.residual ? residual : NULL, s.residual_stride, out,
                                s.out_stride, s.epilogue, round % 4 == 0 ? block : NULL };
            t->gemm_f32(&c);
            for (size_t i = 0; i < s.m; i++)
                for (size_t j = 0; j < s.n; j++) {
                    double sum = 0, size = 0, added = s.residual ? residual[i * s.residual_stride + j] : 0;
                    for (size_t l = 0; l < s.k; l++) {
                        sum += (double)x[i * s.x_stride + l] * source[j * s.k + l];
                        size += fabs((double)x[i * s.x_stride + l] * source[j * s.k + l]);
                    }
                    sum += s.bias ? bias[j] : 0;
                    const double want = exact_activation(sum, s.epilogue) + added;
                    /* k roundings of at most half an ulp of the running sum, 1.2: the steepest activation; its own error after it */
                    const double bound = 0.6 * FLT_EPSILON * ((double)s.k + 2) * (size + 2) + (s.epilogue ? 4e-7 * (1 + fabs(sum)) : 0) + FLT_EPSILON * (fabs(want) + fabs(added));
                    check_near(t, "product f32", i, j, out[i * s.out_stride + j], want, bound);
                }
            untouched(t, "product f32", out, s.m, s.n, s.out_stride);
            /* the same row alone, its residual in place */
            const size_t row = draw_size(0, s.m - 1);
            float *alone = guarded(s.n * sizeof(float));
            memcpy(alone, residual + row * s.residual_stride, s.n * sizeof(float));
            c.m = 1;
            c.x = x + row * s.x_stride;
            c.residual = s.residual ? alone : NULL;
            c.out = alone;
            t->gemm_f32(&c);
            if (!same_bits(alone, out + row * s.out_stride, s.n * sizeof(float)))
                fail_msg("%s: row %zu of %zu has other bits alone", t->name, row, s.m);
        }
        guarded_release();
    }
}

static void special_rows(float *x, size_t k, int round)
{
    static const float values[] = { 0, -0.0f, 1e-40f, -1e-45f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 1.17549435e-38f };
    if (round % 5 == 0)
        for (size_t i = 0; i < k; i++)
            x[i] = values[(size_t)round / 5 % 3 == 0 ? draw() % 4 : draw() % 10];
    if (round % 31 == 0)
        for (size_t i = 0; i < k; i++)
            x[i] = 0;
}

static void product_s8(void **state)
{
    (void)state;
    for (int round = 0; round < 210; round++) {
        const shape s = draw_shape(round);
        const size_t padded = weights_k_padded(WEIGHTS_S8, s.k), q_stride = padded + draw_size(0, 3);
        float *x = exact_rows(s.m, s.k, s.x_stride), *source = draw_floats(s.n * s.k), *bias = draw_floats(s.n);
        float *residual = exact_rows(s.m, s.n, s.residual_stride);
        float *by = draw_floats(s.k);
        special_rows(x + draw_size(0, s.m - 1) * s.x_stride, s.k, round);
        void *block = guarded(weights_bytes(WEIGHTS_S8, s.n, s.k));
        weights w;
        weights_pack(WEIGHTS_S8, s.n, s.k, source, s.k, block);
        weights_view(&w, WEIGHTS_S8, s.n, s.k, block);
        uint8_t *first_q = NULL;
        float *first_scale = NULL, *first = NULL;
        int32_t *first_zero = NULL;
        EACH_LEVEL(t) {
            uint8_t *q = guarded(s.m * q_stride);
            float *scale = guarded(s.m * sizeof(float)), *out = guarded(((s.m - 1) * s.out_stride + s.n) * sizeof(float));
            int32_t *zero = guarded(s.m * sizeof(int32_t));
            t->quantize_rows(s.m, s.k, x, s.x_stride, round % 3 == 1 ? by : NULL, q, q_stride, scale, zero);
            const gemm_s8_call c = { s.m, q, q_stride, scale, zero, &w, s.bias ? bias : NULL, s.residual ? residual : NULL,
                                     s.residual_stride, out, s.out_stride, s.epilogue, round % 4 == 0 ? block : NULL };
            t->gemm_s8(&c);
            untouched(t, "product s8", out, s.m, s.n, s.out_stride);
            if (first == NULL) {
                first_q = q, first_scale = scale, first_zero = zero, first = out;
                continue;
            }
            if (!same_bits(q, first_q, s.m * q_stride) || !same_bits(zero, first_zero, s.m * 4) || !same_bits(scale, first_scale, s.m * 4))
                fail_msg("%s: quantised rows differ from the reference (round %d)", t->name, round);
            const int exact = s.epilogue == EPILOGUE_NONE || s.epilogue == EPILOGUE_RELU;
            for (size_t i = 0; i < s.m; i++)
                for (size_t j = 0; j < s.n; j++) {
                    const float got = out[i * s.out_stride + j], want = first[i * s.out_stride + j];
                    if (isnan(want) && isnan(got))
                        continue;
                    if (exact && !same_bits(&got, &want, 4))
                        fail_msg("%s, product s8: [%zu][%zu] of %zu x %zu x %zu is %.9g, the reference's %.9g", t->name, i, j, s.m, s.n, s.k, (double)got, (double)want);
                    if (!exact && !(got == want))
                        check_near(t, "product s8", i, j, got, want, 1e-6 * (1 + fabs((double)want)));
                }
        }
        guarded_release();
    }
}

/* 4 bits: a level's product is that of its float32 kernel with the floats that the bits stand for, to the bit. */
static void product_s4(void **state)
{
    (void)state;
    for (int round = 0; round < 120; round++) {
        shape s = draw_shape(round);
        if (round % 6 == 0)
            s.m = draw_size(60, 140), s.k = draw_size(120, 300), s.x_stride = s.k;
        s.x_stride = s.x_stride < s.k ? s.k : s.x_stride;
        float *x = exact_rows(s.m, s.k, s.x_stride), *source = draw_floats(s.n * s.k), *bias = draw_floats(s.n), *whole = guarded(s.n * s.k * sizeof(float));
        float *residual = exact_rows(s.m, s.n, s.residual_stride);
        for (size_t i = 0; i < s.n * s.k; i++)
            source[i] *= round % 4 == 0 ? 1e-7f : round % 9 == 0 && i % 3 == 0 ? 0 : 1; /* halves below the normal ones; zeros */
        void *block = guarded(weights_bytes(WEIGHTS_S4, s.n, s.k)), *floats = guarded(weights_bytes(WEIGHTS_F32, s.n, s.k));
        weights w, f;
        weights_pack(WEIGHTS_S4, s.n, s.k, source, s.k, block);
        weights_view(&w, WEIGHTS_S4, s.n, s.k, block);
        weights_unpack(&w, whole, s.k);
        for (size_t c = 0; c < s.n; c++)
            for (size_t i = 0; i < s.k; i++) { /* half a step of the group's largest value, its sign's side having 8 of them, and the scale's rounding */
                double most = 0;
                for (size_t j = i / 32 * 32; j < s.k && j < i / 32 * 32 + 32; j++)
                    most = fmax(most, fabs((double)source[c * s.k + j]));
                check_near(kernels_portable(), "4-bit weight", c, i, whole[c * s.k + i], source[c * s.k + i], 0.29 * most + 3e-8 * 8);
            }
        weights_pack(WEIGHTS_F32, s.n, s.k, whole, s.k, floats);
        weights_view(&f, WEIGHTS_F32, s.n, s.k, floats);
        EACH_LEVEL(t) {
            float *out = guarded(((s.m - 1) * s.out_stride + s.n) * sizeof(float)), *want = guarded(((s.m - 1) * s.out_stride + s.n) * sizeof(float));
            gemm_f32_call c = { s.m, x, s.x_stride, &w, s.bias ? bias : NULL, s.residual ? residual : NULL, s.residual_stride, out, s.out_stride, s.epilogue, NULL };
            t->gemm_s4(&c);
            c.w = &f;
            c.out = want;
            t->gemm_f32(&c);
            untouched(t, "product s4", out, s.m, s.n, s.out_stride);
            for (size_t i = 0; i < s.m; i++)
                if (!same_bits(out + i * s.out_stride, want + i * s.out_stride, s.n * sizeof(float)))
                    fail_msg("%s, product s4 of %zu x %zu x %zu: row %zu has other bits than with float32 weights", t->name, s.m, s.n, s.k, i);
        }
        guarded_release();
    }
}

static void attention_case(size_t tokens, size_t size, int causal, uint32_t window, int bias_kind, int heavy)
{
    const size_t stride = 3 * size + draw_size(0, 3), out_stride = size + draw_size(0, 3);
    const float factor = heavy ? 20.0f : 1.0f;
    float *qkv = draw_floats((tokens - 1) * stride + 3 * size), *bias = draw_floats(bias_kind == 1 ? tokens * tokens : 2 * tokens - 1);
    for (size_t i = 0; i < (tokens - 1) * stride + 3 * size; i++)
        qkv[i] *= factor;
    EACH_LEVEL(t) {
        float *out = guarded(((tokens - 1) * out_stride + size) * sizeof(float)), *scratch = guarded(attention_scratch(tokens, size) * sizeof(float));
        const attention_call c = { tokens, size, qkv, qkv + size, qkv + 2 * size, stride, out, out_stride, 0.25f,
                                   bias_kind == 0 ? NULL : bias_kind == 1 ? bias : bias + tokens - 1, bias_kind == 1 ? (ptrdiff_t)tokens : -1,
                                   causal, window, scratch };
        t->attention(&c);
        for (size_t i = 0; i < tokens; i += tokens > 200 ? 37 : 1) {
            double logits[1400], most = -INFINITY, total = 0, mixed[96] = { 0 };
            for (size_t j = 0; j < tokens; j++) {
                double sum = 0;
                for (size_t d = 0; d < size; d++)
                    sum += (double)qkv[i * stride + d] * qkv[j * stride + size + d];
                logits[j] = sum * 0.25 + (c.bias != NULL ? c.bias[(ptrdiff_t)i * c.bias_stride + (ptrdiff_t)j] : 0);
                if ((causal && j > i) || (window > 0 && (j > i ? j - i : i - j) > window))
                    logits[j] = -INFINITY;
                most = logits[j] > most ? logits[j] : most;
            }
            for (size_t j = 0; j < tokens; j++) {
                const double e = exp(logits[j] - most);
                total += e;
                for (size_t d = 0; d < size; d++)
                    mixed[d] += e * qkv[j * stride + 2 * size + d];
            }
            /* a logit's rounding error times its weight: relative error of a weight is that of the logit's terms */
            const double terms = (double)size * 4 * factor * factor * 0.25, bound = 2 * factor * (FLT_EPSILON * (terms + (double)size) * 2 + 1e-6);
            for (size_t d = 0; d < size; d++)
                check_near(t, "attention", i, d, out[i * out_stride + d], mixed[d] / total, bound);
        }
        untouched(t, "attention", out, tokens, size, out_stride);
    }
    guarded_release();
}

static void attention(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 3, 8, 12, 16, 17, 32, 33, 64, 80, 96 };
    for (int round = 0; round < 120; round++)
        attention_case(draw_size(1, 75), sizes[round % 11], round % 3 == 1, round % 4 == 3 ? (uint32_t)draw_size(1, 9) : 0, round % 3, round % 5 == 4);
    attention_case(512, 32, 0, 0, 0, 0);
    attention_case(513, 32, 0, 0, 2, 0);
    attention_case(1100, 16, 1, 0, 0, 1);
    attention_case(1300, 24, 0, 40, 0, 0);
    attention_case(1037, 8, 1, 3, 1, 0);
}

static void norms(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        const size_t rows = draw_size(1, 5), n = draw_size(1, 200), stride = n + draw_size(0, 4);
        float *x = exact_rows(rows, n, stride), *weight = draw_floats(n), *bias = draw_floats(n);
        const int with_bias = round % 2;
        EACH_LEVEL(t) {
            float *layer = guarded(((rows - 1) * stride + n) * sizeof(float)), *rms = guarded(((rows - 1) * stride + n) * sizeof(float));
            t->layer_norm(rows, n, x, stride, weight, with_bias ? bias : NULL, 1e-5f, layer, stride);
            memcpy(rms, x, ((rows - 1) * stride + n) * sizeof(float)); /* in place */
            t->rms_norm(rows, n, rms, stride, weight, 1e-5f, rms, stride);
            for (size_t r = 0; r < rows; r++) {
                double sum = 0, squares = 0, all = 0;
                for (size_t i = 0; i < n; i++)
                    sum += x[r * stride + i];
                for (size_t i = 0; i < n; i++) {
                    const double d = x[r * stride + i] - sum / (double)n;
                    squares += d * d;
                    all += (double)x[r * stride + i] * x[r * stride + i];
                }
                const double one = 1 / sqrt(squares / (double)n + 1e-5), two = 1 / sqrt(all / (double)n + 1e-5);
                for (size_t i = 0; i < n; i++) {
                    const double v = x[r * stride + i];
                    /* the mean's rounding is scaled by 1 / deviation, which is large when all values are nearly one */
                    check_near(t, "layer norm", r, i, layer[r * stride + i], (v - sum / (double)n) * one * weight[i] + (with_bias ? bias[i] : 0),
                               1e-6 * (double)(n + 20) / 20 * (8 + 4 * one));
                    check_near(t, "RMS norm", r, i, rms[r * stride + i], v * two * weight[i], 1e-6 * (8 + 4 * two));
                }
            }
            untouched(t, "layer norm", layer, rows, n, stride);
        }
        guarded_release();
    }
}

/* Every 4099th float there is. */
static void activations(void **state)
{
    (void)state;
    enum { STEP = 4099, BLOCK = 1021 };
    for (int32_t kind = 0; kind <= EPILOGUE_TANH; kind++)
        EACH_LEVEL(t) {
            float *x = guarded(BLOCK * sizeof(float)), from[BLOCK];
            for (uint64_t bits = 0; bits <= UINT32_MAX;) {
                for (size_t i = 0; i < BLOCK; i++, bits += STEP) {
                    const uint32_t b = (uint32_t)bits;
                    memcpy(&from[i], &b, 4);
                }
                memcpy(x, from, sizeof from);
                t->activate(BLOCK, x, kind);
                for (size_t i = 0; i < BLOCK; i++) {
                    if (isnan(from[i])) {
                        assert_true(isnan(x[i]));
                        continue;
                    }
                    const double v = from[i], want = isinf(from[i]) && v < 0 && kind != EPILOGUE_NONE ? (kind == EPILOGUE_TANH ? -1 : 0) : exact_activation(v, kind);
                    /* erf GELU: 3e-7 and half an ulp of a result above 4; the others a few ulp of 1 or of x */
                    const double bound = kind == EPILOGUE_GELU_ERF ? 3e-7 + (fabs(v) > 4 ? FLT_EPSILON * fabs(v) : 0) : kind == EPILOGUE_NONE || kind == EPILOGUE_RELU ? 0 : 4e-7 + 4e-7 * fabs(want) + (kind == EPILOGUE_GELU_TANH ? 4e-7 * fmin(fabs(v), 8) : 0);
                    if (!(isinf(want) && (double)x[i] == want))
                        check_near(t, "activation", (size_t)kind, i, x[i], want, bound);
                }
            }
            guarded_release();
        }
}

static double ulp(double x)
{
    int exponent;
    (void)frexp(x, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static void exponential(void **state)
{
    (void)state;
    enum { STEP = 1031, BLOCK = 1021 };
    EACH_LEVEL(t) {
        float *out = guarded(BLOCK * sizeof(float)), from[BLOCK];
        double worst = 0;
        for (uint64_t bits = 0; bits <= UINT32_MAX;) {
            for (size_t i = 0; i < BLOCK; i++, bits += STEP) {
                const uint32_t b = (uint32_t)bits;
                memcpy(&from[i], &b, 4);
            }
            t->exponential(BLOCK, from, out);
            for (size_t i = 0; i < BLOCK; i++) {
                const double want = exp((double)from[i]);
                if (isnan(from[i]))
                    assert_true(isnan(out[i]));
                else if (want > FLT_MAX)
                    assert_true(isinf(out[i]) || (double)out[i] >= FLT_MAX * (1 - 1e-6));
                else {
                    const double off = fabs((double)out[i] - want) / ulp(want);
                    worst = off > worst ? off : worst;
                    if (!(off <= 2))
                        fail_msg("%s: exp(%.9g) is %.9g, %.2f ulp off", t->name, (double)from[i], (double)out[i], off);
                }
            }
        }
        print_message("%s: exp within %.2f ulp\n", t->name, worst);
        guarded_release();
    }
}

static void softmax(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        const size_t n = draw_size(1, 100);
        float *x = draw_floats(n);
        for (size_t i = 0; i < n; i++)
            x[i] = round % 7 == 0 ? -INFINITY : round % 3 == 0 && draw() % 3 == 0 ? -INFINITY : x[i] * (round % 2 ? 1 : 40);
        double most = -INFINITY, total = 0;
        for (size_t i = 0; i < n; i++)
            most = x[i] > most ? x[i] : most;
        for (size_t i = 0; i < n && most > -INFINITY; i++)
            total += exp(x[i] - most);
        EACH_LEVEL(t) {
            float *out = guarded(n * sizeof(float));
            memcpy(out, x, n * sizeof(float));
            const float sum = t->softmax(n, out, out);
            for (size_t i = 0; i < n; i++)
                check_near(t, "softmax", 0, i, out[i], total > 0 ? exp(x[i] - most) / total : 0, 1e-6);
            if (total == 0)
                assert_true(isinf(sum) && sum < 0);
            else
                check_near(t, "log-sum-exp", 0, 0, sum, most + log(total), 1e-6 * (1 + fabs(most)));
            x[n / 2] = NAN;
            t->softmax(n, x, out);
            assert_true(isnan(out[n / 2]));
            x[n / 2] = -INFINITY;
            if (n / 2 < n)
                total = 0, most = -INFINITY;
            for (size_t i = 0; i < n; i++)
                most = x[i] > most ? x[i] : most;
            for (size_t i = 0; i < n && most > -INFINITY; i++)
                total += exp(x[i] - most);
        }
        guarded_release();
    }
}

static void vectors(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        const size_t n = draw_size(0, 300);
        float *a = draw_floats(n), *b = draw_floats(n);
        int8_t *s = guarded(n), *u = guarded(n);
        double sum = 0, size = 0;
        int64_t whole = 0;
        for (size_t i = 0; i < n; i++) {
            s[i] = (int8_t)draw();
            u[i] = round % 10 == 0 ? -128 : (int8_t)draw();
            sum += (double)a[i] * b[i];
            size += fabs((double)a[i] * b[i]);
            whole += s[i] * u[i];
        }
        EACH_LEVEL(t) {
            check_near(t, "dot f32", 0, n, t->dot_f32(n, a, b), sum, FLT_EPSILON * ((double)n + 1) * size);
            assert_int_equal(t->dot_s8(n, s, u), whole);
            float *y = guarded(n * sizeof(float));
            memcpy(y, b, n * sizeof(float));
            t->axpy_f32(n, 0.75f, a, y);
            for (size_t i = 0; i < n; i++)
                check_near(t, "axpy", 0, i, y[i], 0.75 * a[i] + b[i], 2 * FLT_EPSILON * (fabs((double)a[i]) + fabs((double)b[i])));
        }
        guarded_release();
    }
}

static double stored_number(int32_t type, uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float f;
    memcpy(&f, &wide, 4);
    if (type == VECTORS_BF16)
        return f;
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 31 ? (fraction != 0 ? NAN : INFINITY) : exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -size : size;
}

/* Rows and queries of every number, stored every way; a pair alone has the same bits. */
static void similarities(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        const int32_t type = round % 3 + 1;
        const size_t rows = draw_size(1, 21), queries = draw_size(1, 11), n = draw_size(1, 90), stride = n + draw_size(0, 4), q_stride = n + draw_size(0, 4);
        const size_t count = (rows - 1) * stride + n;
        float *x = draw_floats(count), *query = draw_floats((queries - 1) * q_stride + n);
        uint16_t *half = guarded(count * 2);
        for (size_t i = 0; i < count; i++) /* every pattern that is finite; of bfloat16 those that floats of -2 .. 2 round to */
            half[i] = type == VECTORS_F16 ? (uint16_t)(draw() % 5 == 0 ? draw() & 0x83FF : draw() & 0xBFFF) : (uint16_t)(0x3F00 | (draw() & 0x80FF));
        if (round % 10 == 1)
            half[draw_size(0, count - 1)] = type == VECTORS_F16 ? 0x7C00 : 0x7F80;
        if (round % 10 == 2)
            half[draw_size(0, count - 1)] = type == VECTORS_F16 ? 0xFE01 : 0xFFC1;
        EACH_LEVEL(t) {
            float *out = guarded(rows * queries * sizeof(float)), *alone = guarded(sizeof(float)), *peaks = guarded(queries * sizeof(float));
            const dots_call c = { type, rows, queries, n, type == VECTORS_F32 ? (void *)x : half, stride, query, q_stride, out, queries };
            t->dots(&c);
            for (size_t r = 0; r < rows; r++)
                for (size_t q = 0; q < queries; q++) {
                    double sum = 0, size = 0;
                    for (size_t i = 0; i < n; i++) {
                        const double v = type == VECTORS_F32 ? (double)x[r * stride + i] : stored_number(type, half[r * stride + i]);
                        sum += v * query[q * q_stride + i];
                        size += fabs(v * query[q * q_stride + i]);
                    }
                    const float got = out[r * queries + q];
                    if (!isfinite(sum) ? !(isnan(sum) ? isnan(got) : (double)got == sum) : !(fabs(got - sum) <= FLT_EPSILON * ((double)n + 1) * size + 1e-37))
                        fail_msg("%s: similarity of type %d, row %zu, query %zu: %.9g, exactly %.9g", t->name, (int)type, r, q, (double)got, sum);
                }
            const size_t row = draw_size(0, rows - 1), q = draw_size(0, queries - 1);
            const dots_call one = { type, 1, 1, n, (const char *)c.vectors + row * stride * (type == VECTORS_F32 ? 4 : 2), stride, query + q * q_stride, q_stride, alone, 1 };
            t->dots(&one);
            if (!same_bits(alone, out + row * queries + q, sizeof(float)) && !isnan(*alone))
                fail_msg("%s: row %zu of %zu and query %zu of %zu have other bits alone", t->name, row, rows, q, queries);
            out[draw_size(0, rows * queries - 1)] = NAN;
            t->column_peaks(rows, queries, out, queries, peaks);
            for (size_t j = 0; j < queries; j++) {
                float most = -INFINITY;
                for (size_t r = 0; r < rows; r++)
                    most = out[r * queries + j] > most ? out[r * queries + j] : most;
                assert_true(peaks[j] == most);
            }
        }
        guarded_release();
    }
}

static void similarities_s8(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        const size_t rows = draw_size(1, 21), n = round == 0 ? 65536 : draw_size(1, 300), stride = n + draw_size(0, 4);
        int8_t *x = guarded((rows - 1) * stride + n), *query = guarded(n);
        for (size_t i = 0; i < (rows - 1) * stride + n; i++)
            x[i] = round % 5 == 0 ? -128 : (int8_t)draw();
        for (size_t i = 0; i < n; i++)
            query[i] = round % 5 == 0 ? 127 : (int8_t)(draw() % 255 - 127);
        EACH_LEVEL(t) {
            int32_t *out = guarded(rows * sizeof(int32_t));
            t->dots_s8(rows, n, x, stride, query, out);
            for (size_t r = 0; r < rows; r++) {
                int64_t sum = 0;
                for (size_t i = 0; i < n; i++)
                    sum += (int32_t)x[r * stride + i] * query[i];
                if (out[r] != sum)
                    fail_msg("%s: 8-bit similarity of row %zu of %zu, %zu numbers: %d, exactly %lld", t->name, r, rows, n, (int)out[r], (long long)sum);
            }
        }
        guarded_release();
    }
}

static void gather(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        const size_t n = draw_size(1, 100), rows = draw_size(0, 9), table_rows = draw_size(1, 20), stride = n + draw_size(0, 9);
        uint32_t *ids = guarded(rows * sizeof *ids);
        int8_t *table = guarded((table_rows - 1) * stride + n);
        float *scales = draw_floats(table_rows), *before = draw_floats(rows * n);
        for (size_t i = 0; i < (table_rows - 1) * stride + n; i++)
            table[i] = (int8_t)draw();
        for (size_t i = 0; i < rows; i++)
            ids[i] = (uint32_t)draw_size(0, table_rows - 1);
        EACH_LEVEL(t) {
            float *out = guarded(rows * n * sizeof(float));
            memcpy(out, before, rows * n * sizeof(float));
            t->gather_s8(rows, n, ids, table, stride, scales, out);
            for (size_t r = 0; r < rows; r++)
                for (size_t i = 0; i < n; i++) {
                    const volatile float product = (float)table[ids[r] * stride + i] * scales[ids[r]];
                    const float want = before[r * n + i] + product;
                    if (!same_bits(&out[r * n + i], &want, 4))
                        fail_msg("%s, gather: [%zu][%zu] is %.9g, exactly %.9g", t->name, r, i, (double)out[r * n + i], (double)want);
                }
        }
        guarded_release();
    }
}

static void large_product(void **state)
{
    (void)state;
    static const size_t sizes[][3] = { { 1, 1, 1 }, { 7, 50, 33 }, { 150, 17, 400 }, { 13, 1540, 5 }, { 64, 96, 0 }, { 48, 48, 48 }, { 145, 97, 385 } };
    for (int round = 0; round < 28; round++) {
        const size_t m = sizes[round % 7][0], n = sizes[round % 7][1], k = sizes[round % 7][2];
        const int ta = round / 7 % 2, tb = round / 14 % 2;
        const size_t a_stride = (ta ? m : k) + draw_size(0, 3), b_stride = (tb ? k : n) + draw_size(0, 3), c_stride = n + draw_size(0, 3);
        const float alpha = round % 3 == 0 ? 1 : -0.5f, beta = round % 3 == 1 ? 0 : round % 3 == 2 ? 1 : 0.25f;
        float *a = draw_floats((ta ? k : m) * a_stride), *b = draw_floats((tb ? n : k) * b_stride), *old = draw_floats(m * c_stride);
        EACH_LEVEL(t) {
            float *c = guarded(((m - 1) * c_stride + n) * sizeof(float));
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++)
                    c[i * c_stride + j] = beta == 0 ? NAN : old[i * c_stride + j];
            const matmul_call call = { m, n, k, alpha, beta, ta, tb, a, a_stride, b, b_stride, c, c_stride, guarded((matmul_scratch(t, m, n, k) + 63) & ~(size_t)63) };
            matmul_f32(t, &call);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    double sum = 0, size = 1;
                    for (size_t l = 0; l < k; l++) {
                        const double term = (double)(ta ? a[l * a_stride + i] : a[i * a_stride + l]) * (tb ? b[j * b_stride + l] : b[l * b_stride + j]);
                        sum += term;
                        size += fabs(term);
                    }
                    check_near(t, "large product", i, j, c[i * c_stride + j], alpha * sum + (beta == 0 ? 0 : (double)beta * old[i * c_stride + j]), 0.6 * FLT_EPSILON * ((double)k + 4) * (size + 4));
                }
            untouched(t, "large product", c, m, n, c_stride);
        }
        guarded_release();
    }
}

/* A level whose products are wrong is passed over, and said. */
static void broken_product(const gemm_s8_call *c)
{
    kernels_portable()->gemm_s8(c);
    c->out[c->w->n / 2] += 0.5f;
}

static void broken_attention(const attention_call *c)
{
    kernels_portable()->attention(c);
    c->out[0] *= 1.01f;
}

static void self_check(void **state)
{
    (void)state;
    kernels good = *kernels_portable(), bad_product = good, bad_attention = good;
    good.level = 1u << 28;
    bad_product.level = 1u << 29;
    bad_product.gemm_s8 = broken_product;
    bad_attention.level = 1u << 30;
    bad_attention.attention = broken_attention;
    const kernels *const tables[] = { &good, &bad_product, &bad_attention, NULL };
    selection told;
    assert_ptr_equal(kernels_choose(tables, 7u << 28, &told), &good);
    assert_int_equal(told.rejected, 3u << 29);
    assert_ptr_equal(kernels_choose(tables, 6u << 28, &told), kernels_portable());
    assert_ptr_equal(kernels_choose(tables, 0, &told), kernels_portable());
    EACH_LEVEL(t)
        if (!kernels_verify(t))
            fail_msg("%s: its own self-check fails", t->name);
}

int main(void)
{
    find_levels();
    for (int i = 0; i < level_count; i++)
        print_message("level %s\n", levels[i]->name);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_f32), cmocka_unit_test(product_s8), cmocka_unit_test(product_s4), cmocka_unit_test(attention), cmocka_unit_test(norms),
        cmocka_unit_test(activations), cmocka_unit_test(exponential), cmocka_unit_test(softmax), cmocka_unit_test(vectors), cmocka_unit_test(gather), cmocka_unit_test(similarities), cmocka_unit_test(similarities_s8),
        cmocka_unit_test(large_product),
        cmocka_unit_test(self_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
