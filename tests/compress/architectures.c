/* Prune and quantise on every architecture (ECREC_DATA/reference/tiny): what comes out agrees with what went in, or the refusal says why. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { ROWS = 8, LENGTH = 12, MOST_D = 64 };

static const char *const names[] = { "albert", "bert", "clip-text", "clip-vision", "distilbert", "electra", "gpt2", "llama", "mistral", "modernbert", "mpnet",
                                     "nomic-bert", "qwen2", "qwen3", "roberta", "t5-encoder", "vit", "xlm-roberta" };
enum { NAMES = sizeof names / sizeof *names };

static void encode(ecrec_model *model, float *vectors)
{
    ecrec_error err = ECREC_ERROR_INIT;
    static uint32_t ids[ROWS * LENGTH];
    static uint64_t starts[ROWS + 1];
    static float pixels[ROWS * 3 * 24 * 24];
    unsigned state = 5;
    ecrec_session *session = NULL;
    ecrec_encode_input in = ECREC_ENCODE_INPUT_INIT;
    ecrec_encode_options options = ECREC_ENCODE_OPTIONS_INIT;
    ecrec_encode_output out = ECREC_ENCODE_OUTPUT_INIT;
    for (size_t i = 0; i < ROWS * LENGTH; i++)
        ids[i] = 3 + (state = state * 1664525u + 1013904223u, state >> 8) % 100;
    for (size_t i = 0; i <= ROWS; i++)
        starts[i] = i * LENGTH;
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (float)((state = state * 1664525u + 1013904223u, state >> 8) % 2001) / 1000 - 1;
    ecrec_model_image(model, &in.channels, &in.height, &in.width, NULL);
    in.kind = in.height != 0 ? ECREC_INPUT_PIXELS : ECREC_INPUT_IDS;
    in.count = ROWS;
    in.ids = ids;
    in.starts = starts;
    in.pixels = pixels;
    options.normalize = 1;
    out.dimension = ecrec_model_dimension(model);
    out.vectors = vectors;
    out.capacity = ROWS;
    assert_true(out.dimension <= MOST_D);
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_encode_batch(model, session, &in, &options, &out, &err));
    ecrec_session_release(session);
}

/* Least cosine of the rows' vectors before and after. */
static double agreement(ecrec_model *before, ecrec_model *after)
{
    float a[ROWS * MOST_D], b[ROWS * MOST_D];
    double least = 1;
    const uint32_t d = ecrec_model_dimension(before);
    assert_int_equal(ecrec_model_dimension(after), d);
    encode(before, a);
    encode(after, b);
    for (size_t r = 0; r < ROWS; r++) {
        double ab = 0;
        for (size_t i = 0; i < d; i++)
            ab += (double)a[r * d + i] * b[r * d + i];
        least = fmin(least, ab);
    }
    return least;
}

static double number(ecrec_report *r, const char *name)
{
    double value = NAN;
    return ecrec_report_number(r, name, &value, NULL) == ECREC_OK ? value : -1;
}

/* The windows and rotary tables of the layers that stay go with them: the kept layers' settings are those of the original in order. */
static void check_settings(ecrec_model *before, ecrec_model *after)
{
    static const char *const what[] = { "window", "rotary", "groups", "attention_norm" };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *a = NULL, *b = NULL;
    CALL(ecrec_model_info(before, &a, &err));
    CALL(ecrec_model_info(after, &b, &err));
    const int n = (int)number(a, "encoder.layer_count"), m = (int)number(b, "encoder.layer_count");
    assert_int_equal(m, n - 1);
    int fitting = 0;
    for (int gone = 0; gone < n; gone++) {
        int same = 1;
        for (int l = 0; l < m; l++)
            for (size_t w = 0; w < sizeof what / sizeof *what; w++) {
                char x[64], y[64];
                snprintf(x, sizeof x, "encoder.layers.%d.%s", l < gone ? l : l + 1, what[w]);
                snprintf(y, sizeof y, "encoder.layers.%d.%s", l, what[w]);
                same &= number(a, x) == number(b, y);
            }
        fitting += same;
    }
    assert_true(fitting > 0);
    ecrec_report_release(a);
    ecrec_report_release(b);
}

static void prune(ecrec_model *model, const char *name, double heads, double channels, uint32_t layers, double least)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_prune_options options = ECREC_PRUNE_OPTIONS_INIT;
    ecrec_model *pruned = NULL;
    options.importance = ECREC_IMPORTANCE_MAGNITUDE;
    options.heads = heads;
    options.feed_forward = channels;
    options.layers = layers;
    const int32_t status = ecrec_prune(model, &options, &pruned, NULL, &err);
    if (status == ECREC_ERR_UNSUPPORTED) {
        assert_non_null(strstr(err.message, "cannot be pruned"));
        assert_null(pruned);
        return;
    }
    if (status != ECREC_OK)
        fail_msg("%s: %s", name, err.message);
    const double cosine = agreement(model, pruned);
    if (!(cosine >= least))
        fail_msg("%s: %g of the heads, %g of the channels, %u layers gone: cosine %g", name, heads, channels, layers, cosine);
    if (layers == 1)
        check_settings(model, pruned);
    ecrec_model_release(pruned);
}

static void architecture(void **state)
{
    const char *name = *state;
    ecrec_error err = ECREC_ERROR_INIT;
    char path[256];
    snprintf(path, sizeof path, "reference/tiny/%s", name);
    const char *folder = data_path(path);
    NEED(folder, path);
    ecrec_context *context = context_with(1, 0);
    ecrec_model *model = NULL, *small = NULL;
    CALL(ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    CALL(ecrec_quantize(model, NULL, &small, NULL, &err));
    const double cosine = agreement(model, small);
    print_message("%s: 8 bits: least cosine %.5f\n", name, cosine);
    if (!(cosine >= 0.99)) /* narrow random models: real ones are far above */
        fail_msg("%s: 8 bits: least cosine %g", name, cosine);
    ecrec_model_release(small);
    prune(model, name, 0, 0.02, 0, 0.9);
    prune(model, name, 0.5, 0.5, 0, -1);
    prune(model, name, 0, 0, 1, -1);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

int main(void)
{
    struct CMUnitTest tests[NAMES];
    for (int i = 0; i < NAMES; i++)
        tests[i] = (struct CMUnitTest){ names[i], architecture, NULL, NULL, (void *)(uintptr_t)names[i] };
    return cmocka_run_group_tests_name("architectures", tests, NULL, NULL);
}
