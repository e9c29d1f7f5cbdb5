/* The network's gradients against central differences of a reference in double, and optimisers against traces made by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/random.h"
#include "kernels/select.h"
#include "learn/backward.h"
#include "learn/losses.h"
#include "learn/optimiser.h"
#include "rank/modality.h"
#include "support.h"

enum { BATCH = 70 /* more than one block of rows */ };

typedef struct fixture {
    ecrec_context *context;
    ecrec_schema *schema;
    ranker *r;
    float *flat, *x0, *heads; /* heads: d loss / d logit = the weights of a linear loss */
} fixture;

static int is_present(size_t row, uint32_t slot)
{
    return slot != 5 || row % 4 != 1;
}

/* The plain formulas of rank/network.h: the loss is the sum of heads * logits over the rows. */
static double reference(const network_plan *p, const double *w, const double *x0_all, const float *heads)
{
    double loss = 0;
    double *x = malloc(9000 * sizeof *x), *next = x + 3000, *mid = x + 6000;
    for (size_t row = 0; row < BATCH; row++) {
        const double *x0 = x0_all + row * p->inputs;
        for (uint32_t h = 0; h < p->heads && p->fm != 0; h++) {
            uint32_t at = 0;
            for (uint32_t i = 0; i < p->fields; i++)
                for (uint32_t j = i + 1; j < p->fields; j++, at++) {
                    double dot = 0;
                    for (uint32_t k = 0; k < p->width; k++)
                        dot += x0[i * p->width + k] * x0[j * p->width + k];
                    loss += heads[row * p->heads + h] * dot * (p->fm == 2 ? w[p->fm_weights + h * p->fields * (p->fields - 1) / 2 + at] : 1);
                }
        }
        for (uint32_t i = 0, at = 0; i < p->towers; i++)
            for (uint32_t j = i + 1; j < p->towers; j++, at++) {
                const double *a = x0 + p->tower[i] * p->width, *b = x0 + p->tower[j] * p->width;
                double dot = 0, aa = 0, bb = 0;
                for (uint32_t k = 0; k < p->width; k++) {
                    dot += a[k] * b[k];
                    aa += a[k] * a[k];
                    bb += b[k] * b[k];
                }
                for (uint32_t h = 0; h < p->heads && is_present(row, p->tower[i]) && is_present(row, p->tower[j]); h++)
                    loss += heads[row * p->heads + h] * w[p->tower_weights + h * p->towers * (p->towers - 1) / 2 + at] * dot / sqrt(aa * bb);
            }
        memcpy(x, x0, p->inputs * sizeof *x);
        for (uint32_t l = 0; l < p->crosses; l++) {
            const double *in = x;
            if (p->rank != 0) {
                for (uint32_t o = 0; o < p->rank; o++) {
                    mid[o] = 0;
                    for (uint32_t i = 0; i < p->inputs; i++)
                        mid[o] += w[p->cross_v[l].w + o * p->inputs + i] * x[i];
                }
                in = mid;
            }
            for (uint32_t o = 0; o < p->inputs; o++) {
                double sum = w[p->cross_u[l].b + o];
                for (uint32_t i = 0; i < p->cross_u[l].in; i++)
                    sum += w[p->cross_u[l].w + o * p->cross_u[l].in + i] * in[i];
                next[o] = x0[o] * sum + x[o];
            }
            memcpy(x, next, p->inputs * sizeof *x);
        }
        for (uint32_t h = 0; h < p->heads && p->crosses != 0; h++)
            for (uint32_t i = 0; i < p->inputs; i++)
                loss += heads[row * p->heads + h] * w[p->cross_head.w + h * p->inputs + i] * x[i];
        for (uint32_t e = 0; e < p->experts; e++) { /* each by itself, then what each label's gate gives of it */
            memcpy(x, x0, p->inputs * sizeof *x);
            for (uint32_t l = 0; l < p->hiddens; l++) {
                const uint32_t units = p->hidden[l].out / p->experts;
                for (uint32_t o = e * units; o < (e + 1) * units; o++) {
                    double sum = w[p->hidden[l].b + o];
                    for (uint32_t i = 0; i < p->hidden[l].in; i++)
                        sum += w[p->hidden[l].w + o * p->hidden[l].in + i] * x[i];
                    next[o - e * units] = sum > 0 ? sum : 0;
                }
                memcpy(x, next, units * sizeof *x);
            }
            for (uint32_t t = 0, h = 0; t < p->tasks; t++) {
                double own = 0, all = 0;
                for (uint32_t k = 0; k < p->experts; k++) {
                    double sum = w[p->gate.b + t * p->experts + k];
                    for (uint32_t i = 0; i < p->inputs; i++)
                        sum += w[p->gate.w + (t * p->experts + k) * p->inputs + i] * x0[i];
                    all += exp(sum);
                    own = k == e ? exp(sum) : own;
                }
                for (const uint32_t end = h + p->task_heads[t]; h < end; h++)
                    for (uint32_t i = 0; i < p->hidden_head.in; i++)
                        loss += heads[row * p->heads + h] * own / all * w[p->hidden_head.w + h * p->hidden_head.in + i] * x[i];
            }
        }
        memcpy(x, x0, p->inputs * sizeof *x);
        for (uint32_t l = 0; l < p->hiddens && p->experts == 0; l++) {
            for (uint32_t o = 0; o < p->hidden[l].out; o++) {
                double sum = w[p->hidden[l].b + o];
                for (uint32_t i = 0; i < p->hidden[l].in; i++)
                    sum += w[p->hidden[l].w + o * p->hidden[l].in + i] * x[i];
                next[o] = sum > 0 ? sum : 0;
            }
            memcpy(x, next, p->hidden[l].out * sizeof *x);
        }
        for (uint32_t h = 0; h < p->heads && p->hiddens != 0 && p->experts == 0; h++)
            for (uint32_t i = 0; i < p->hidden_head.in; i++)
                loss += heads[row * p->heads + h] * w[p->hidden_head.w + h * p->hidden_head.in + i] * x[i];
    }
    free(x);
    return loss;
}

static void fixture_open(fixture *f, const ecrec_network_options *parts)
{
    ecrec_error err = ECREC_ERROR_INIT;
    static const char *const names[] = { "a", "b", "c", "d" };
    ecrec_label_options classes = ECREC_LABEL_OPTIONS_INIT;
    f->context = context_with(1, 0);
    classes.kind = ECREC_LABEL_CLASSES;
    classes.classes = 2;
    CALL(ecrec_schema_create(f->context, &f->schema, &err));
    for (int i = 0; i < 4; i++)
        CALL(ecrec_schema_add_field(f->schema, names[i], ECREC_FIELD_CATEGORY, NULL, NULL, &err));
    ecrec_field_options vector = ECREC_FIELD_OPTIONS_INIT;
    vector.dimension = 2;
    static const char *const vectors[] = { "e", "f", "g" };
    for (int i = 0; i < 3 && parts->towers; i++)
        CALL(ecrec_schema_add_field(f->schema, vectors[i], ECREC_FIELD_VECTOR, &vector, NULL, &err));
    CALL(ecrec_schema_add_label(f->schema, "y", NULL, &err));
    CALL(ecrec_schema_add_label_of(f->schema, "k", &classes, NULL, &err));
    CALL(ecrec_schema_set_network(f->schema, parts, &err));
    CALL(ranker_plan(&f->context->m, f->schema, 0, &f->r, &err));
    const network_plan *p = &f->r->net;
    random_stream random;
    random_init(&random, 7, 0);
    f->flat = calloc(p->size + 1, sizeof *f->flat);
    f->x0 = malloc(BATCH * p->inputs * sizeof *f->x0);
    f->heads = malloc(BATCH * p->heads * sizeof *f->heads);
    for (size_t i = 0; i < p->size; i++)
        f->flat[i] = 0.4f * random_normal(&random);
    for (size_t i = 0; i < BATCH * (size_t)p->inputs; i++)
        f->x0[i] = 0.7f * random_normal(&random);
    for (size_t i = 0; i < BATCH * (size_t)p->heads; i++)
        f->heads[i] = random_normal(&random);
}

static void fixture_close(fixture *f)
{
    free(f->flat);
    free(f->x0);
    free(f->heads);
    ranker_free(f->r);
    ecrec_schema_release(f->schema);
    ecrec_context_release(f->context);
}

static double *doubles(const float *from, size_t n)
{
    double *out = malloc((n + 1) * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = from[i];
    return out;
}

/* |analytic - numeric| against the largest gradient: kinks of ReLU within the step are too rare to matter at 1e-6. */
static void compare(const char *what, const float *analytic, double *values, size_t n, const network_plan *p, const double *w, const double *x0, const float *heads)
{
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        most = fabs((double)analytic[i]) > most ? fabs((double)analytic[i]) : most;
    for (size_t i = 0; i < n; i++) {
        const double old = values[i], h = 1e-6;
        values[i] = old + h;
        const double up = reference(p, w, x0, heads);
        values[i] = old - h;
        const double down = reference(p, w, x0, heads);
        values[i] = old;
        const double off = fabs((up - down) / (2 * h) - analytic[i]);
        worst = off > worst ? off : worst;
    }
    print_message("%s: %zu values, worst difference %.2e of the largest gradient\n", what, n, worst / most);
    assert_true(most > 0 && worst <= 2e-5 * most);
}

static void check_parts(const ecrec_network_options *parts)
{
    fixture f;
    fixture_open(&f, parts);
    const network_plan *p = &f.r->net;
    memory *m = &f.context->m;
    const kernels *table = f.context->kernels;
    network_packed *packed = NULL, *transposed = NULL;
    network_pass pass;
    network_gradients g;
    assert_int_equal(network_packed_create(m, p, &packed), ECREC_OK);
    assert_int_equal(network_transposed_create(m, p, &transposed), ECREC_OK);
    network_pack(packed, p, f.flat);
    network_transpose(transposed, p, f.flat);
    const size_t pass_bytes = network_pass_take(&pass, p, BATCH, NULL), gradient_bytes = network_gradients_take(&g, p, BATCH, NULL);
    const size_t scratch_bytes = network_weight_scratch(p, table, BATCH);
    void *pass_memory = memory_zero(m, pass_bytes), *gradient_memory = memory_zero(m, gradient_bytes), *scratch = memory_zero(m, scratch_bytes);
    (void)network_pass_take(&pass, p, BATCH, pass_memory);
    (void)network_gradients_take(&g, p, BATCH, gradient_memory);
    for (size_t i = 0; i < BATCH * (size_t)p->fields; i++)
        pass.present[i] = (unsigned char)is_present(i / p->fields, (uint32_t)(i % p->fields));
    memcpy(pass.x0, f.x0, BATCH * p->inputs * sizeof(float));
    memcpy(g.heads, f.heads, BATCH * p->heads * sizeof(float));
    for (size_t first = 0; first < BATCH; first += NETWORK_ROWS) {
        const size_t n = BATCH - first < NETWORK_ROWS ? BATCH - first : NETWORK_ROWS;
        network_forward(p, packed, f.flat, table, &pass, first, n, NULL);
        network_backward(p, transposed, f.flat, table, &pass, &g, first, n, 0);
    }
    for (uint32_t t = 0; t < network_weight_tasks(p); t++)
        network_weight_gradient(p, table, &pass, &g, BATCH, t, scratch);
    double *w = doubles(f.flat, p->size), *x0 = doubles(f.x0, BATCH * p->inputs), loss = 0;
    for (int part = 0; part < NETWORK_PARTS; part++)
        for (size_t i = 0; i < BATCH * (size_t)p->heads; i++)
            loss += (double)pass.shares[(size_t)part * BATCH * p->heads + i] * f.heads[i];
    assert_true(fabs(loss - reference(p, w, x0, f.heads)) <= 1e-4 * (1 + fabs(loss)));
    if (p->size != 0)
        compare("weights", g.flat, w, p->size, p, w, x0, f.heads);
    compare("embeddings", g.x0, x0, BATCH * (size_t)p->inputs, p, w, x0, f.heads);
    free(w);
    free(x0);
    memory_release(m, pass_memory, pass_bytes);
    memory_release(m, gradient_memory, gradient_bytes);
    memory_release(m, scratch, scratch_bytes);
    network_packed_release(packed);
    network_packed_release(transposed);
    fixture_close(&f);
}

static void parts_alone(void **unused)
{
    (void)unused;
    ecrec_network_options o = ECREC_NETWORK_OPTIONS_INIT;
    o.width = 5;
    o.fm = 1;
    check_parts(&o);
    o.fm = 2;
    check_parts(&o);
    o.fm = 0;
    o.cross_layers = 2;
    check_parts(&o);
    o.cross_rank = 3;
    check_parts(&o);
    o.cross_layers = 0;
    o.hidden[0] = 9;
    o.hidden[1] = 4;
    check_parts(&o);
    o.hidden[0] = 16;
    o.hidden[1] = 16;
    o.experts = 2;
    check_parts(&o);
    o.hidden[1] = 0;
    o.experts = 3;
    check_parts(&o);
    o.experts = 0;
    o.hidden[0] = o.hidden[1] = 0;
    o.towers = 1;
    check_parts(&o);
}

/* rank/modality.h in double: the loss is the sum of e times d. */
static double modality_reference(const network_plan *n, const field_plan *p, const double *w, const double *x, const float *d)
{
    double y[8], size = 1e-6, open, loss = 0;
    const double *a = w + n->width * (p->dims + 2);
    for (uint32_t i = 0; i < n->width; i++) {
        y[i] = w[n->width * p->dims + i];
        for (uint32_t k = 0; k < p->dims; k++)
            y[i] += w[i * p->dims + k] * x[k];
        size += y[i] * y[i] / n->width;
    }
    open = a[n->width];
    for (uint32_t i = 0; i < n->width; i++)
        open += a[i] * y[i] / sqrt(size);
    for (uint32_t i = 0; i < n->width; i++)
        loss += d[i] * y[i] / (n->gates ? sqrt(size) * (1 + exp(-open)) : 1);
    return loss;
}

static void modalities(void **unused)
{
    (void)unused;
    enum { WIDTH = 6, DIMS = 5 };
    ecrec_context *context = context_with(1, 0);
    for (uint32_t gates = 0; gates < 2; gates++) {
        const network_plan n = { .width = WIDTH, .gates = gates };
        const field_plan p = { .dims = DIMS };
        const size_t size = modality_size(WIDTH, DIMS, gates);
        float flat[64], x[DIMS], e[WIDTH], d[WIDTH], g[64] = { 0 }, scratch[2 * WIDTH];
        double w[64], xd[DIMS], loss = 0, worst = 0, most = 0;
        random_stream random;
        random_init(&random, 5, gates);
        for (size_t i = 0; i < size; i++)
            w[i] = flat[i] = random_normal(&random);
        for (int i = 0; i < DIMS; i++) {
            x[i] = random_normal(&random);
            xd[i] = 0.5 * x[i];
        }
        for (int i = 0; i < WIDTH; i++)
            d[i] = random_normal(&random);
        modality_forward(&n, &p, context->kernels, flat, x, 0.5f, e);
        modality_backward(&n, &p, context->kernels, flat, x, 0.5f, d, scratch, g);
        for (int i = 0; i < WIDTH; i++)
            loss += (double)e[i] * d[i];
        assert_true(fabs(loss - modality_reference(&n, &p, w, xd, d)) < 1e-5);
        for (size_t i = 0; i < size; i++) {
            const double old = w[i];
            w[i] = old + 1e-6;
            const double up = modality_reference(&n, &p, w, xd, d);
            w[i] = old - 1e-6;
            const double off = fabs((up - modality_reference(&n, &p, w, xd, d)) / 2e-6 - g[i]);
            w[i] = old;
            worst = off > worst ? off : worst;
            most = fabs((double)g[i]) > most ? fabs((double)g[i]) : most;
        }
        print_message("modality, gates %u: worst difference %.2e of the largest gradient\n", gates, worst / most);
        assert_true(most > 0 && worst <= 2e-5 * most);
        modality_forward(&n, &p, context->kernels, flat, NULL, 0, e);
        assert_memory_equal(e, flat + WIDTH * (DIMS + 1), sizeof e); /* missing: m alone */
        memset(g, 0, sizeof g);
        modality_backward(&n, &p, context->kernels, flat, NULL, 0, d, scratch, g);
        assert_memory_equal(g + WIDTH * (DIMS + 1), d, sizeof d);
    }
    ecrec_context_release(context);
}

static void parts_together(void **unused)
{
    (void)unused;
    ecrec_network_options o = ECREC_NETWORK_OPTIONS_INIT;
    o.width = 4;
    o.fm = 2;
    o.cross_layers = 3;
    o.cross_rank = 2;
    o.hidden[0] = 17;
    check_parts(&o);
}

static void losses(void **unused)
{
    (void)unused;
    static const struct { schema_label label; uint32_t heads; float y; } cases[] = {
        { { .name = "b", .kind = ECREC_LABEL_BINARY, .classes = 0 }, 1, 0 }, { { .name = "b", .kind = ECREC_LABEL_BINARY, .classes = 0 }, 1, 1 }, { { .name = "v", .kind = ECREC_LABEL_VALUE, .classes = 0 }, 1, 2.5f },
        { { .name = "c", .kind = ECREC_LABEL_CLASSES, .classes = 4 }, 4, 2 }, { { .name = "o", .kind = ECREC_LABEL_ORDINAL, .classes = 4 }, 1, 1 } };
    const float thresholds[3] = { -1, 0.25f, 1 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double z[4] = { 0.3, -0.7, 1.1, 0.2 }, g[4], unused_gradient[4];
        float tg[3] = { 0 };
        (void)loss_row(&cases[c].label, z, thresholds, cases[c].y, 1, g, tg);
        for (uint32_t h = 0; h < cases[c].heads; h++) {
            const double old = z[h];
            z[h] = old + 1e-6;
            const double up = loss_row(&cases[c].label, z, thresholds, cases[c].y, 1, unused_gradient, NULL);
            z[h] = old - 1e-6;
            const double down = loss_row(&cases[c].label, z, thresholds, cases[c].y, 1, unused_gradient, NULL);
            z[h] = old;
            assert_true(fabs((up - down) / 2e-6 - g[h]) < 1e-8);
        }
        for (int k = 0; k < 3 && cases[c].label.kind == ECREC_LABEL_ORDINAL; k++) {
            float t[3] = { thresholds[0], thresholds[1], thresholds[2] };
            t[k] = thresholds[k] + 0.0078125f;
            const double up = loss_row(&cases[c].label, z, t, cases[c].y, 1, unused_gradient, NULL);
            t[k] = thresholds[k] - 0.0078125f;
            const double down = loss_row(&cases[c].label, z, t, cases[c].y, 1, unused_gradient, NULL);
            assert_true(fabs((up - down) / 0.015625 - tg[k]) < 1e-4);
        }
    }
}

/* Traces of three steps with gradients 1, -0.5, 0.25 from w = 0.5, made by hand from the papers' formulas. */
static void optimisers(void **unused)
{
    (void)unused;
    static const float gradients[] = { 1, -0.5f, 0.25f };
    float w = 0.5f, sum = 0, z = 0, m = 0, v = 0;
    double ref = 0.5, s = 0, zr, mr = 0, vr = 0;
    for (int i = 0; i < 3; i++) { /* AdaGrad, eta .1, lambda .01, start .05 */
        const double g = gradients[i];
        s += g * g;
        ref = ref - 0.1 * g / sqrt(0.05 + s) - 0.1 * 0.01 * ref;
        adagrad_step(kernels_portable(), 1, &w, &sum, &gradients[i], 0.1, 0.01, 0.05f);
        assert_true(fabs(w - ref) < 1e-6);
    }
    assert_true(fabs(w - 0.4234979) < 1e-5);
    w = 0, sum = 0, z = 0, s = 0, zr = 0, ref = 0;
    for (int i = 0; i < 3; i++) { /* FTRL-Proximal, alpha .1, beta 1, l1 .1, l2 .5 */
        const double g = gradients[i], sigma = (sqrt(1 + s + g * g) - sqrt(1 + s)) / 0.1;
        zr += g - sigma * ref;
        s += g * g;
        ref = fabs(zr) <= 0.1 ? 0 : -(zr - (zr > 0 ? 0.1 : -0.1)) / (sqrt(1 + s) / 0.1 + 0.5);
        ftrl_step(1, &w, &sum, &z, &gradients[i], 0.1, 0.5, 0.1, 1);
        assert_true(fabs(w - ref) < 1e-6);
    }
    w = 0.5f, ref = 0.5;
    for (int i = 0; i < 3; i++) { /* AdamW, eta .01, lambda .1 */
        const double g = gradients[i];
        mr = 0.9 * mr + 0.1 * g;
        vr = 0.999 * vr + 0.001 * g * g;
        ref = ref - 0.01 * (mr / (1 - pow(0.9, i + 1))) / (sqrt(vr / (1 - pow(0.999, i + 1))) + 1e-8) - 0.01 * 0.1 * ref;
        adam_step(kernels_portable(), 1, &w, &m, &v, &gradients[i], 0.01, 0.1, i + 1);
        assert_true(fabs(w - ref) < 2e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(parts_alone), cmocka_unit_test(parts_together), cmocka_unit_test(modalities), cmocka_unit_test(losses), cmocka_unit_test(optimisers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
