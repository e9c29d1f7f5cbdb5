/* The backward pass: against the reference's gradients (BERT, GPT-2, ModernBERT: ECREC_DATA/reference/tiny), and, for every
 * architecture there, against central differences along random directions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"

#include "base/format.h"
#include "base/json.h"
#include "base/random.h"
#include "encoder/backward.h"
#include "import/import.h"

/* A folder's parts and the encoder of them. */
typedef struct imported_parts {
    parts *p;
    encoder *e;
} imported_parts;

static imported_parts open_parts(ecrec_context *context, const char *name, const char *config, const char *weights)
{
    ecrec_error err = ECREC_ERROR_INIT;
    imported_parts out = { NULL, NULL };
    char folder[512], path[1024];
    snprintf(path, sizeof path, "gradients-%s-%s", name, weights);
    snprintf(folder, sizeof folder, "%s", temporary(path));
    mkdir(folder, 0700);
    const char *const files[2][2] = { { config, "config.json" }, { weights, "model.safetensors" } };
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        snprintf(path, sizeof path, "reference/tiny/%s/%s", name, files[i][0]);
        char *bytes = read_file(data_path(path), &n);
        snprintf(path, sizeof path, "%s/%s", folder, files[i][1]);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        fclose(f);
        free(bytes);
    }
    CALL(import_folder(context, folder, NULL, &out.p, NULL, &err));
    CALL(encoder_create(&context->m, out.p->settings, out.p->tensors, &out.e, &err));
    return out;
}

static void close_parts(imported_parts *p)
{
    encoder_release(p->e);
    parts_release(p->p);
}

/* ---- gradients by tensor name ---- */

static const char *const names[] = { "attention.qkv.weight", "attention.qkv.bias", "attention.output.weight", "attention.output.bias", "attention.norm.weight",
                                     "attention.norm.bias", "feed_forward.in.weight", "feed_forward.in.bias", "feed_forward.out.weight",
                                     "feed_forward.out.bias", "feed_forward.norm.weight", "feed_forward.norm.bias", "attention.query_norm.weight",
                                     "attention.key_norm.weight" };
enum { LAYER_NAMES = sizeof names / sizeof *names, MOST = 256 };

typedef struct gradient_list {
    encoder_gradients all;
    encoder_layer_gradients layers[8];
    struct { char name[96]; float *values; size_t n; } items[MOST];
    size_t count;
} gradient_list;

static size_t elements(const tensor *t)
{
    size_t n = 1;
    for (int32_t i = 0; i < t->rank; i++)
        n *= (size_t)t->shape[i];
    return n;
}

static float *add(gradient_list *g, const parts *p, const char *name)
{
    const tensor *t = tensor_set_get(p->tensors, name);
    if (t == NULL)
        return NULL;
    assert_true(g->count < MOST);
    snprintf(g->items[g->count].name, sizeof g->items[0].name, "%s", name);
    g->items[g->count].n = elements(t);
    return g->items[g->count++].values = calloc(elements(t) + 1, sizeof(float));
}

static void list_open(gradient_list *g, const parts *p, const encoder *e)
{
    memset(g, 0, sizeof *g);
    assert_true(e->layers <= 8);
    for (uint32_t l = 0; l < e->layers; l++) {
        float **fields[LAYER_NAMES] = { &g->layers[l].qkv, &g->layers[l].qkv_bias, &g->layers[l].output, &g->layers[l].output_bias,
                                        &g->layers[l].attention_norm_weight, &g->layers[l].attention_norm_bias, &g->layers[l].in, &g->layers[l].in_bias,
                                        &g->layers[l].out, &g->layers[l].out_bias, &g->layers[l].feed_forward_norm_weight,
                                        &g->layers[l].feed_forward_norm_bias, &g->layers[l].query_norm, &g->layers[l].key_norm };
        char key[64], name[96];
        snprintf(key, sizeof key, "encoder.layers.%u.weights", l);
        const unsigned of = (unsigned)properties_u64(p->settings, key, l);
        if (of != l) { /* shared tensors: one sum */
            g->layers[l] = g->layers[of];
            continue;
        }
        for (int i = 0; i < LAYER_NAMES; i++) {
            snprintf(name, sizeof name, "layers.%u.%s", l, names[i]);
            *fields[i] = add(g, p, name);
        }
    }
    g->all.layers = g->layers;
    g->all.token = add(g, p, "embeddings.token");
    g->all.position = add(g, p, "embeddings.position");
    g->all.type = add(g, p, "embeddings.type");
    g->all.embedding_norm_weight = add(g, p, "embeddings.norm.weight");
    g->all.embedding_norm_bias = add(g, p, "embeddings.norm.bias");
    g->all.embedding_projection = add(g, p, "embeddings.projection.weight");
    g->all.embedding_projection_bias = add(g, p, "embeddings.projection.bias");
    g->all.final_norm_weight = add(g, p, "final_norm.weight");
    g->all.final_norm_bias = add(g, p, "final_norm.bias");
    g->all.relative = add(g, p, "relative");
}

static void list_close(gradient_list *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->items[i].values);
}

/* Row-major values of a float32 tensor of either layout. */
static float *dense(const tensor *t)
{
    float *out = malloc((elements(t) + 1) * sizeof *out);
    if (t->layout == LAYOUT_PANELS) {
        weights w;
        tensor_weights(t, &w);
        weights_unpack(&w, out, w.k);
    } else {
        memcpy(out, t->data, elements(t) * sizeof *out);
    }
    return out;
}

/* ---- the reference ---- */

typedef struct cases {
    char *text;
    memory m;
    arena a;
    const json *root;
    uint32_t ids[256], starts[9];
    uint8_t types[256];
    float loss_weight[256 * 64];
    packed batch;
} cases;

static size_t numbers(const json *list, float *out)
{
    size_t n = 0;
    for (const json *v = list != NULL ? list->first : NULL; v != NULL; v = v->next)
        out[n++] = (float)v->number;
    return n;
}

static void cases_open(cases *c, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[256];
    size_t length = 0, weights = 0;
    memset(c, 0, sizeof *c);
    snprintf(path, sizeof path, "reference/tiny/%s/io.json", name);
    c->text = read_file(data_path(path), &length);
    memory_init(&c->m, NULL, 0);
    arena_init(&c->a, &c->m);
    CALL(json_parse(&c->a, path, c->text, length, &c->root, &err));
    for (const json *one = json_get(c->root, "cases")->first; one != NULL; one = one->next) {
        float ids[256], types[256] = { 0 };
        const size_t n = numbers(json_get(one, "input_ids"), ids), at = c->starts[c->batch.sequences];
        (void)numbers(json_get(one, "token_type_ids"), types);
        for (size_t i = 0; i < n; i++) {
            c->ids[at + i] = (uint32_t)ids[i];
            c->types[at + i] = (uint8_t)types[i];
        }
        weights += numbers(json_get(json_get(one, "loss_weight"), "data"), c->loss_weight + weights);
        c->starts[++c->batch.sequences] = (uint32_t)(at + n);
    }
    c->batch.ids = c->ids;
    c->batch.types = c->types;
    c->batch.starts = c->starts;
}

static void cases_close(cases *c)
{
    arena_release(&c->a);
    free(c->text);
}

typedef struct linear_loss { const float *weight; size_t n; } linear_loss;

static void loss_gradient(void *opaque, const float *hidden, float *gradient, size_t tokens)
{
    const linear_loss *l = opaque;
    (void)hidden;
    memcpy(gradient, l->weight, l->n * sizeof(float));
    assert_int_equal(l->n % tokens, 0);
}

static void run_backward(ecrec_context *context, const encoder *e, const packed *p, const float *loss_weight, encoder_gradients *g)
{
    const size_t tokens = p->starts[p->sequences];
    assert_null(encoder_backward_lacks(e));
    void *workspace = memory_allocate(&context->m, encoder_backward_workspace(e, context->kernels, tokens));
    float *hidden = malloc(tokens * e->hidden * sizeof *hidden);
    linear_loss l = { loss_weight, tokens * e->hidden };
    encoder_backward(e, context->kernels, workspace, p, hidden, loss_gradient, &l, g);
    free(hidden);
    memory_release(&context->m, workspace, encoder_backward_workspace(e, context->kernels, tokens));
}

/* The reference's gradients lie under the parameters' names: imported as if they were a model, they stand where ours do. */
static void against_reference(void **state)
{
    const char *name = *state;
    char path[256];
    snprintf(path, sizeof path, "reference/tiny/%s/grads.safetensors", name);
    NEED(data_path(path), path);
    ecrec_context *context = context_with(1, 0);
    imported_parts model = open_parts(context, name, "config.json", "model.safetensors"), reference = open_parts(context, name, "config.json", "grads.safetensors");
    gradient_list g;
    cases c;
    double level = 0, worst = 0;
    cases_open(&c, name);
    list_open(&g, model.p, model.e);
    run_backward(context, model.e, &c.batch, c.loss_weight, &g.all);
    for (const json *v = json_get(c.root, "grads_float32_vs_float64")->first; v != NULL; v = v->next)
        level = fmax(level, v->number);
    const double bound = fmax(2e-5, 2 * level);
    for (size_t i = 0; i < g.count; i++) {
        const tensor *t = tensor_set_get(reference.p->tensors, g.items[i].name);
        assert_non_null(t);
        float *wanted = dense(t);
        for (size_t j = 0; j < g.items[i].n; j++) {
            const double d = fabs((double)g.items[i].values[j] - wanted[j]) / (1 + fabs((double)wanted[j]));
            worst = fmax(worst, d);
            if (!(d <= bound))
                fail_msg("%s: gradient of %s, value %zu: %g instead of %g", name, g.items[i].name, j, (double)g.items[i].values[j], (double)wanted[j]);
        }
        free(wanted);
    }
    print_message("%s: %zu gradients, largest difference %.1e, at most %.1e\n", name, g.count, worst, bound);
    assert_true(g.count >= 20);
    list_close(&g);
    cases_close(&c);
    close_parts(&model);
    close_parts(&reference);
    ecrec_context_release(context);
}

/* ---- central differences ---- */

static double loss_of(ecrec_context *context, const encoder *e, const packed *p, const float *loss_weight)
{
    const size_t tokens = p->starts[p->sequences];
    void *workspace = memory_allocate(&context->m, encoder_workspace(e, tokens));
    float *hidden = malloc(tokens * e->hidden * sizeof *hidden);
    double sum = 0;
    encoder_forward(e, context->kernels, workspace, p, hidden, NULL, NULL);
    for (size_t i = 0; i < tokens * e->hidden; i++)
        sum += (double)hidden[i] * loss_weight[i];
    free(hidden);
    memory_release(&context->m, workspace, encoder_workspace(e, tokens));
    return sum;
}

/* The loss after a step of `size` along a direction in the tensor of that name. */
static double stepped(ecrec_context *context, const imported_parts *model, const cases *c, const float *loss_weight, const char *name, const float *direction,
                      double size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    parts *copy = NULL;
    tensor *changed = NULL;
    encoder *e = NULL;
    assert_int_equal(parts_copy(model->p, &copy), ECREC_OK);
    const tensor *t = tensor_set_get(copy->tensors, name);
    float *values = dense(t);
    for (size_t i = 0; i < elements(t); i++)
        values[i] = (float)(values[i] + size * direction[i]);
    assert_int_equal(tensor_create(&context->m, TYPE_F32, t->layout, t->rank, t->shape, &changed), ECREC_OK);
    if (t->layout == LAYOUT_PANELS)
        weights_pack(WEIGHTS_F32, (size_t)t->shape[0], (size_t)t->shape[1], values, (size_t)t->shape[1], tensor_edit(changed));
    else
        memcpy(tensor_edit(changed), values, elements(t) * sizeof *values);
    assert_int_equal(tensor_set_put(copy->tensors, name, changed), ECREC_OK);
    tensor_release(changed);
    CALL(encoder_create(&context->m, copy->settings, copy->tensors, &e, &err));
    const double loss = loss_of(context, e, &c->batch, loss_weight);
    encoder_release(e);
    parts_release(copy);
    free(values);
    return loss;
}

static void against_differences(void **state)
{
    const char *name = *state;
    char path[256];
    snprintf(path, sizeof path, "reference/tiny/%s/io.json", name);
    NEED(data_path(path), path);
    ecrec_context *context = context_with(1, 0);
    imported_parts model = open_parts(context, name, "config.json", "model.safetensors");
    gradient_list g;
    cases c;
    random_stream random;
    cases_open(&c, name);
    list_open(&g, model.p, model.e);
    random_init(&random, 11, 1);
    const size_t n = c.starts[c.batch.sequences] * (size_t)model.e->hidden;
    float *loss_weight = malloc(n * sizeof *loss_weight);
    for (size_t i = 0; i < n; i++)
        loss_weight[i] = random_normal(&random) * 0.1f;
    run_backward(context, model.e, &c.batch, loss_weight, &g.all);
    for (size_t i = 0; i < g.count; i++) {
        float *direction = malloc((g.items[i].n + 1) * sizeof *direction);
        double slope = 0, length = 0;
        for (size_t j = 0; j < g.items[i].n; j++) { /* half the gradient's own way, half random: a slope that stands out of the rounding */
            length += (double)g.items[i].values[j] * g.items[i].values[j];
            direction[j] = random_normal(&random);
        }
        length = sqrt(length / (double)g.items[i].n);
        for (size_t j = 0; j < g.items[i].n; j++) {
            direction[j] = 0.5f * direction[j] + (float)(length > 0 ? g.items[i].values[j] / length : 0);
            slope += (double)direction[j] * g.items[i].values[j];
        }
        const double size = fmin(1e-3, 0.02 / fabs(slope)), up = stepped(context, &model, &c, loss_weight, g.items[i].name, direction, size),
                     down = stepped(context, &model, &c, loss_weight, g.items[i].name, direction, -size), measured = (up - down) / (2 * size);
        /* float32 states: each loss carries about 1e-5 of rounding, and the two steps lie 0.04 apart; the rest is curvature */
        if (!(fabs(measured - slope) <= 0.01 * fabs(slope) + 0.02))
            fail_msg("%s: along %s the loss changes by %g, its gradient says %g", name, g.items[i].name, measured, slope);
        free(direction);
    }
    assert_true(g.count > 10);
    free(loss_weight);
    list_close(&g);
    cases_close(&c);
    close_parts(&model);
    ecrec_context_release(context);
}

int main(void)
{
    static const char *const given[] = { "bert", "gpt2", "modernbert" };
    static const char *const others[] = { "albert", "bert", "clip-text", "distilbert", "electra", "gpt2", "llama", "mistral", "modernbert", "mpnet", "nomic-bert",
                                          "qwen2", "qwen3", "roberta", "t5-encoder", "xlm-roberta" };
    enum { GIVEN = sizeof given / sizeof *given, OTHERS = sizeof others / sizeof *others };
    struct CMUnitTest tests[GIVEN + OTHERS];
    for (int i = 0; i < GIVEN; i++)
        tests[i] = (struct CMUnitTest){ given[i], against_reference, NULL, NULL, (void *)(uintptr_t)given[i] };
    for (int i = 0; i < OTHERS; i++)
        tests[GIVEN + i] = (struct CMUnitTest){ others[i], against_differences, NULL, NULL, (void *)(uintptr_t)others[i] };
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
