/* Every architecture against the reference implementation's numbers on tiny random models (ECREC_DATA/reference/tiny), in each spelling
 * of its configuration: |a - b| / (1 + |b|) <= 2e-5, or twice the reference's own rounding where that is more; every sequence alone, all
 * packed on two threads, and after saving and loading, bit for bit the same.
 *
 *   test_families            the test
 *   test_families --table    rows of doc/models.md: architecture, what was compared, the largest difference */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"

#include "base/json.h"
#include "session.h"

enum { MOST_CASES = 16 };

typedef struct fixture {
    const char *name, *config;
    char folder[512];
    memory m;
    arena a;
    char *text;
    const json *root, *cases;
    size_t count;
    double bound;
    ecrec_context *context;
    ecrec_model *model;
    ecrec_session *session;
    uint32_t *ids;
    uint8_t *types;
    uint64_t starts[MOST_CASES + 1];
    float *pixels;
    ecrec_encode_input input; /* all cases */
    double states, pooled, layers, logits; /* largest differences; negative: not compared */
} fixture;

static const char *const names[] = { "albert", "bert", "bert-cross-encoder", "clip-text", "clip-vision", "distilbert", "distilgpt2", "electra", "gpt2",
                                     "llama", "mistral", "modernbert", "mpnet", "nomic-bert", "qwen2", "qwen3", "roberta", "t5-encoder", "vit",
                                     "xlm-roberta", "xlm-roberta-cross-encoder" };
enum { NAMES = sizeof names / sizeof *names };

static void copy_file(const char *from, const char *folder, const char *name)
{
    char path[1024];
    size_t n = 0;
    char *bytes = read_file(from, &n);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    free(bytes);
}

/* The numbers of {"shape": [...], "data": [...]}. */
static float *values(const json *v, size_t *count)
{
    const json *data = json_get(v, "data");
    float *out = malloc((data->length + 1) * sizeof *out);
    size_t n = 0;
    for (const json *x = data->first; x != NULL; x = x->next)
        out[n++] = (float)x->number;
    *count = n;
    return out;
}

static void read_cases(fixture *f)
{
    size_t tokens = 0, pixels = 0, at = 0;
    ecrec_encode_input_init(&f->input);
    f->input.count = f->count;
    f->ids = malloc(65536 * sizeof *f->ids);
    f->types = calloc(65536, 1);
    f->pixels = malloc((1 << 20) * sizeof *f->pixels);
    for (const json *c = f->cases->first; c != NULL; c = c->next) {
        const json *image = json_get(c, "pixel_values"), *types = json_get(c, "token_type_ids");
        if (image != NULL) {
            float *one = values(image, &pixels);
            memcpy(f->pixels + at * pixels, one, pixels * sizeof *one);
            free(one);
            const json *shape = json_get(image, "shape");
            f->input.kind = ECREC_INPUT_PIXELS;
            f->input.channels = (uint32_t)json_at(shape, 0)->number;
            f->input.height = (uint32_t)json_at(shape, 1)->number;
            f->input.width = (uint32_t)json_at(shape, 2)->number;
        } else {
            f->input.kind = ECREC_INPUT_IDS;
            size_t type = tokens;
            for (const json *v = types != NULL ? types->first : NULL; v != NULL; v = v->next)
                f->types[type++] = (uint8_t)v->number;
            for (const json *v = json_get(c, "input_ids")->first; v != NULL; v = v->next)
                f->ids[tokens++] = (uint32_t)v->number;
        }
        f->starts[++at] = tokens;
    }
    f->input.ids = f->ids;
    f->input.types = f->types;
    f->input.starts = f->starts;
    f->input.pixels = f->pixels;
}

static void fixture_open(fixture *f, const char *name, const char *config)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[512];
    size_t n = 0;
    memset(f, 0, sizeof *f);
    f->name = name;
    f->config = config;
    f->states = f->pooled = f->layers = f->logits = -1;
    snprintf(path, sizeof path, "family-%s-%s", name, config);
    snprintf(f->folder, sizeof f->folder, "%s", temporary(path));
    assert_int_equal(mkdir(f->folder, 0700), 0);
    snprintf(path, sizeof path, "reference/tiny/%s/model.safetensors", name);
    copy_file(data_path(path), f->folder, "model.safetensors");
    snprintf(path, sizeof path, "reference/tiny/%s/%s", name, config);
    copy_file(data_path(path), f->folder, "config.json");
    snprintf(path, sizeof path, "reference/tiny/%s/io.json", name);
    f->text = read_file(data_path(path), &n);
    memory_init(&f->m, NULL, 0);
    arena_init(&f->a, &f->m);
    CALL(json_parse(&f->a, path, f->text, n, &f->root, &err));
    f->cases = json_get(f->root, "cases");
    f->count = f->cases->length;
    assert_in_range(f->count, 1, MOST_CASES);
    f->bound = fmax(2e-5, 2 * json_get(f->root, "float32_vs_float64")->number);
    read_cases(f);
    f->context = context_with(2, 0);
    CALL(ecrec_model_import(f->context, f->folder, NULL, &f->model, NULL, &err));
    CALL(ecrec_session_create(f->model, NULL, &f->session, &err));
}

static void fixture_close(fixture *f)
{
    ecrec_session_release(f->session);
    ecrec_model_release(f->model);
    ecrec_context_release(f->context);
    arena_release(&f->a);
    free(f->text);
    free(f->ids);
    free(f->types);
    free(f->pixels);
}

static double difference(const fixture *f, const char *what, const float *own, const float *reference, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, isfinite(own[i]) ? fabs((double)own[i] - reference[i]) / (1 + fabs((double)reference[i])) : INFINITY);
    if (!(worst <= f->bound))
        fail_msg("%s (%s), %s: |a - b| / (1 + |b|) is %g, at most %g is right", f->name, f->config, what, worst, f->bound);
    return worst;
}

/* All tokens' states of all cases. */
static float *encode_tokens(const fixture *f, ecrec_model *model, ecrec_session *session, const ecrec_encode_input *in, size_t *tokens)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_encode_output out = ECREC_ENCODE_OUTPUT_INIT;
    uint64_t starts[MOST_CASES + 1];
    (void)f;
    out.per_token = 1;
    out.dimension = ecrec_model_hidden_size(model);
    out.starts = starts;
    CALL(ecrec_encode_batch(model, session, in, NULL, &out, &err));
    *tokens = (size_t)starts[in->count];
    float *states = malloc((*tokens + 1) * out.dimension * sizeof *states);
    out.vectors = states;
    out.capacity = *tokens;
    CALL(ecrec_encode_batch(model, session, in, NULL, &out, &err));
    return states;
}

static ecrec_encode_input one_case(const fixture *f, size_t i)
{
    ecrec_encode_input in = f->input;
    in.count = 1;
    in.starts = f->starts + i;
    in.pixels = f->pixels + i * in.channels * in.height * in.width;
    return in;
}

static void check_states(fixture *f)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t all = 0, at = 0;
    const size_t h = ecrec_model_hidden_size(f->model);
    float *together = encode_tokens(f, f->model, f->session, &f->input, &all);
    for (size_t i = 0; i < f->count; i++) {
        const json *last = json_get(json_at(f->cases, i), "last_hidden_state");
        const ecrec_encode_input in = one_case(f, i);
        size_t tokens = 0, n = 0;
        float *alone = encode_tokens(f, f->model, f->session, &in, &tokens);
        assert_memory_equal(alone, together + at * h, tokens * h * sizeof *alone);
        if (last != NULL) {
            float *reference = values(last, &n);
            assert_int_equal(n, tokens * h);
            f->states = fmax(f->states, difference(f, "last_hidden_state", alone, reference, n));
            free(reference);
        }
        free(alone);
        at += tokens;
    }
    assert_int_equal(at, all);
    char path[600];
    snprintf(path, sizeof path, "%s/model.ecrec", f->folder);
    ecrec_model *again = NULL;
    ecrec_session *session = NULL;
    CALL(ecrec_model_save(f->model, path, &err));
    CALL(ecrec_model_load(f->context, path, NULL, &again, &err));
    CALL(ecrec_session_create(again, NULL, &session, &err));
    float *loaded = encode_tokens(f, again, session, &f->input, &all);
    assert_memory_equal(loaded, together, all * h * sizeof *loaded);
    ecrec_session_release(session);
    ecrec_model_release(again);
    free(loaded);
    free(together);
}

static void check_pooled(fixture *f)
{
    static const char *const keys[] = { "pooler_output", "text_embeds", "image_embeds" };
    ecrec_error err = ECREC_ERROR_INIT;
    for (size_t k = 0; k < 3; k++) {
        if (json_get(f->cases->first, keys[k]) == NULL)
            continue;
        const uint32_t d = ecrec_model_dimension(f->model);
        ecrec_encode_options options = ECREC_ENCODE_OPTIONS_INIT;
        ecrec_encode_output out = ECREC_ENCODE_OUTPUT_INIT;
        float *vectors = malloc(f->count * d * sizeof *vectors), *alone = malloc(d * sizeof *alone);
        options.pooling = k == 0 ? ECREC_POOL_POOLER : ECREC_POOL_DEFAULT;
        options.normalize = 2;
        out.dimension = d;
        out.vectors = vectors;
        out.capacity = f->count;
        CALL(ecrec_encode_batch(f->model, f->session, &f->input, &options, &out, &err));
        out.vectors = alone;
        out.capacity = 1;
        for (size_t i = 0; i < f->count; i++) {
            const ecrec_encode_input in = one_case(f, i);
            size_t n = 0;
            float *reference = values(json_get(json_at(f->cases, i), keys[k]), &n);
            assert_int_equal(n, d);
            CALL(ecrec_encode_batch(f->model, f->session, &in, &options, &out, &err));
            assert_memory_equal(alone, vectors + i * d, d * sizeof *alone);
            f->pooled = fmax(f->pooled, difference(f, keys[k], alone, reference, n));
            free(reference);
        }
        free(vectors);
        free(alone);
    }
}

static void check_layers(fixture *f)
{
    ecrec_error err = ECREC_ERROR_INIT;
    for (size_t i = 0; i < f->count; i++) {
        const json *list = json_get(json_at(f->cases, i), "hidden_states");
        if (list == NULL)
            continue;
        const size_t h = ecrec_model_hidden_size(f->model), tokens = (size_t)(f->starts[i + 1] - f->starts[i]), size = tokens * h;
        float *states = malloc(list->length * size * sizeof *states);
        CALL(ecrec_hidden_states(f->model, f->session, f->ids + f->starts[i], f->types + f->starts[i], tokens, states, list->length * size, &err));
        for (size_t l = 0; l < list->length; l++) {
            size_t n = 0;
            float *reference = values(json_at(list, l), &n);
            assert_int_equal(n, size);
            f->layers = fmax(f->layers, difference(f, "hidden_states", states + l * size, reference, n));
            free(reference);
        }
        free(states);
    }
}

static void check_logits(fixture *f)
{
    ecrec_error err = ECREC_ERROR_INIT;
    if (json_get(f->cases->first, "logits") == NULL)
        return;
    const snapshot *now = snapshot_read(f->model, &f->session->reading, 0);
    const encoder *e = now->encoder;
    const uint32_t labels = e->labels;
    float *logits = malloc(f->count * labels * sizeof *logits);
    const embed_call call = { .encoder = e, .context = f->context, .ids = f->ids, .types = f->types, .starts = f->starts, .n = f->count,
                              .pooling = e->pooling, .max_length = e->max_length, .logits = 1, .vectors = logits, .stride = labels };
    CALL(embed_run(f->session->embed, &call, &err));
    snapshot_done(&f->session->reading);
    for (size_t i = 0; i < f->count; i++) {
        size_t n = 0;
        float *reference = values(json_get(json_at(f->cases, i), "logits"), &n);
        assert_int_equal(n, labels);
        f->logits = fmax(f->logits, difference(f, "logits", logits + i * labels, reference, n));
        free(reference);
    }
    free(logits);
}

static void check(fixture *f)
{
    check_states(f);
    check_pooled(f);
    check_layers(f);
    check_logits(f);
}

static int has_config(const char *name, const char *config)
{
    char path[512];
    snprintf(path, sizeof path, "reference/tiny/%s/%s", name, config);
    return data_path(path) != NULL;
}

static void family(void **state)
{
    const char *name = *state;
    NEED(has_config(name, "config.json") ? name : NULL, name);
    for (int i = 0; i < 2; i++) {
        static const char *const configs[] = { "config.json", "config-v4.json" };
        fixture f;
        if (!has_config(name, configs[i]))
            continue;
        fixture_open(&f, name, configs[i]);
        check(&f);
        fixture_close(&f);
    }
}

static void print_rows(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        fixture f;
        if (!has_config(names[i], "config.json"))
            continue;
        fixture_open(&f, names[i], "config.json");
        check(&f);
        const double found[] = { f.states, f.layers, f.pooled, f.logits };
        printf("| %s |", names[i]);
        for (int k = 0; k < 4; k++)
            found[k] < 0 ? printf(" |") : printf(" %.1e |", found[k]);
        printf(" %.1e |\n", f.bound);
        fixture_close(&f);
    }
}

int main(int argc, char **argv)
{
    const int table = argc > 1 && strcmp(argv[1], "--table") == 0;
    struct CMUnitTest tests[NAMES];
    for (int i = 0; i < NAMES; i++)
        tests[i] = (struct CMUnitTest){ names[i], family, NULL, NULL, (void *)(uintptr_t)names[i] };
    const struct CMUnitTest rows[] = { cmocka_unit_test(print_rows) };
    if (table)
        return cmocka_run_group_tests_name("rows", rows, NULL, NULL);
    return cmocka_run_group_tests_name("families", tests, NULL, NULL);
}
