/* Real models against the reference implementation's numbers (ECREC_DATA/reference). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "base/json.h"

typedef struct goldens {
    memory m;
    arena a;
    char *text;
    const json *root, *cases;
    size_t count;
} goldens;

static void goldens_open(goldens *g, const char *path)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t n = 0;
    g->text = read_file(path, &n);
    memory_init(&g->m, NULL, 0);
    arena_init(&g->a, &g->m);
    CALL(json_parse(&g->a, path, g->text, n, &g->root, &err));
    g->cases = json_get(g->root, "cases");
    g->count = g->cases->length;
}

static void goldens_close(goldens *g)
{
    arena_release(&g->a);
    free(g->text);
}

static size_t ids_of(const json *list, uint32_t *ids)
{
    size_t n = 0;
    for (const json *v = list->first; v != NULL; v = v->next)
        ids[n++] = (uint32_t)v->number;
    return n;
}

static void compare(const float *own, const float *reference, size_t n, double bound, const char *what)
{
    double worst = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)own[i] - reference[i]));
        ab += (double)own[i] * reference[i];
        aa += (double)own[i] * own[i];
        bb += (double)reference[i] * reference[i];
    }
    const double cosine = ab / sqrt(aa * bb);
    if (!(worst <= bound) || !(cosine >= 0.99999))
        fail_msg("%s: largest difference %g (bound %g), cosine %.7f", what, worst, bound, cosine);
}

static void check_layers(const char *name, ecrec_model *model, ecrec_session *session, const goldens *g)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[256];
    int seen = 0;
    for (size_t i = 0; i < g->count; i++) {
        size_t shape[4];
        int rank;
        snprintf(path, sizeof path, "reference/models/%s/layers-%zu.npy", name, i);
        const char *file = data_path(path);
        if (file == NULL)
            continue;
        float *reference = read_npy(file, shape, &rank);
        const size_t count = shape[0] * shape[1] * shape[2];
        uint32_t *ids = malloc((shape[1] + 1) * sizeof *ids);
        float *own = malloc(count * sizeof *own);
        assert_int_equal(ids_of(json_get(json_at(g->cases, i), "input_ids"), ids), shape[1]);
        CALL(ecrec_hidden_states(model, session, ids, NULL, shape[1], own, count, &err));
        double scale = 0;
        for (size_t j = 0; j < count; j++)
            scale = fmax(scale, fabs((double)reference[j]));
        /* rounding grows with the states' size: 2e-5 for states of size 1 */
        compare(own, reference, count, 2e-5 * fmax(1, scale), path);
        free(reference);
        free(ids);
        free(own);
        seen++;
    }
    assert_true(seen > 0);
}

static void check_model(const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[256];
    snprintf(path, sizeof path, "reference/models/%s/goldens.json", name);
    const char *file = data_path(path);
    NEED(file, path);
    NEED(model_path(name), name);
    ecrec_context *context = context_with(2, 0);
    ecrec_model *model = imported(context, name);
    ecrec_session *session = NULL;
    goldens g;
    goldens_open(&g, file);
    CALL(ecrec_session_create(model, NULL, &session, &err));
    const uint32_t d = ecrec_model_dimension(model);
    size_t shape[4];
    int rank;
    snprintf(path, sizeof path, "reference/models/%s/embeddings.npy", name);
    float *reference = read_npy(data_path(path), shape, &rank), *own = malloc(g.count * d * sizeof *own), *again = malloc(g.count * d * sizeof *own);
    const char **texts = malloc(g.count * sizeof *texts);
    size_t *lengths = malloc(g.count * sizeof *lengths);
    uint32_t *wanted = malloc(4096 * sizeof *wanted), *ids = malloc(4096 * sizeof *ids);
    uint64_t before = 0, after = 0;
    assert_int_equal(shape[0], g.count);
    assert_int_equal(shape[1], d);
    ecrec_tokenize_options options = ECREC_TOKENIZE_OPTIONS_INIT;
    options.max_length = UINT32_MAX;
    for (size_t i = 0; i < g.count; i++) {
        const json *c = json_at(g.cases, i), *text = json_get(c, "text");
        size_t count = 0;
        texts[i] = text->text;
        lengths[i] = text->length;
        const size_t n = ids_of(json_get(c, "input_ids"), wanted);
        CALL(ecrec_tokenize(model, session, texts[i], lengths[i], &options, ids, NULL, NULL, 4096, &count, &err));
        assert_int_equal(count, n);
        assert_memory_equal(ids, wanted, n * sizeof *ids);
    }
    ecrec_context_memory(context, NULL, NULL, &before);
    for (size_t i = 0; i < g.count; i++) {
        CALL(ecrec_encode(model, session, &texts[i], &lengths[i], 1, NULL, own + i * d, d, &err));
        compare(own + i * d, reference + i * d, d, 2e-5, texts[i]);
    }
    /* the same bits together, on two threads, and backwards */
    CALL(ecrec_encode(model, session, texts, lengths, g.count, NULL, again, d, &err));
    assert_memory_equal(own, again, g.count * d * sizeof *own);
    for (size_t i = 0; i < g.count / 2; i++) {
        const char *t = texts[i];
        const size_t n = lengths[i];
        texts[i] = texts[g.count - 1 - i];
        lengths[i] = lengths[g.count - 1 - i];
        texts[g.count - 1 - i] = t;
        lengths[g.count - 1 - i] = n;
    }
    CALL(ecrec_encode(model, session, texts, lengths, g.count, NULL, again, d, &err));
    for (size_t i = 0; i < g.count; i++)
        assert_memory_equal(own + i * d, again + (g.count - 1 - i) * d, d * sizeof *own);
    ecrec_context_memory(context, NULL, NULL, &after);
    assert_int_equal(before, after);
    check_layers(name, model, session, &g);
    free(reference);
    free(own);
    free(again);
    free(texts);
    free(lengths);
    free(wanted);
    free(ids);
    goldens_close(&g);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

static void minilm(void **state) { (void)state; check_model("all-MiniLM-L6-v2"); }
static void bge_zh(void **state) { (void)state; check_model("bge-small-zh-v1.5"); }
static void bge_en(void **state) { (void)state; check_model("bge-small-en-v1.5"); }
static void multilingual(void **state) { (void)state; check_model("multilingual-e5-small-q4"); }
static void e5(void **state) { (void)state; check_model("e5-small-v2"); }

static void tiny_bert(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    const char *folder = data_path("reference/tiny/bert"), *io = data_path("reference/tiny/bert/io.json");
    NEED(folder, "reference/tiny/bert");
    ecrec_context *context = context_with(1, 0);
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    goldens g;
    goldens_open(&g, io);
    CALL(ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    for (size_t i = 0; i < g.count; i++) {
        const json *c = json_at(g.cases, i), *data = json_get(json_get(c, "last_hidden_state"), "data"), *types = json_get(c, "token_type_ids");
        uint32_t ids[64];
        uint8_t kinds[64] = { 0 };
        const size_t n = ids_of(json_get(c, "input_ids"), ids), h = ecrec_model_dimension(model);
        float *own = malloc(3 * n * h * sizeof *own), *reference = malloc(n * h * sizeof *reference);
        for (size_t j = 0; types != NULL && j < n; j++)
            kinds[j] = (uint8_t)json_at(types, j)->number;
        size_t at = 0;
        for (const json *v = data->first; v != NULL; v = v->next)
            reference[at++] = (float)v->number;
        assert_int_equal(at, n * h);
        CALL(ecrec_hidden_states(model, session, ids, kinds, n, own, 3 * n * h, &err));
        compare(own + 2 * n * h, reference, n * h, 2e-5, "tiny/bert");
        free(own);
        free(reference);
    }
    goldens_close(&g);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(minilm), cmocka_unit_test(bge_zh), cmocka_unit_test(bge_en), cmocka_unit_test(e5), cmocka_unit_test(multilingual),
                                        cmocka_unit_test(tiny_bert) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
