/* The path from a folder to scores on whatever processor this is: prints the level, then the bits of the results.
 *
 *   everywhere MASK [FOLDER]    MASK: ECREC_CPU_* levels that may be used; 0: all. FOLDER: a real model, whose vectors are printed too */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

enum { ROWS = 4, MOST_BYTES = 1 << 20 };
static uint32_t mask;
static const char *folder;

static void show(const char *what, const float *values, size_t n)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a over the bits */
    for (size_t i = 0; i < n * sizeof *values; i++)
        h = (h ^ ((const unsigned char *)values)[i]) * 1099511628211u;
    printf("%s %016" PRIx64 " first %.9g\n", what, h, (double)values[0]);
}

static void score_and_learn(ecrec_context *context, ecrec_model *base, const char *const *texts, const size_t *lengths)
{
    static const char json[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"word_ngrams\":1},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    static const double numbers[ROWS] = { 1.5, 2.25, -3, 4 };
    static const float labels[ROWS] = { 1, 0, 1, 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL, *again = NULL;
    ecrec_batch *batch = NULL;
    ecrec_session *session = NULL;
    float scores[ROWS];
    CALL(ecrec_schema_parse(context, json, strlen(json), &schema, &err));
    CALL(ecrec_ranker_create(context, base, schema, &ranker, &err));
    CALL(ecrec_batch_create(schema, &batch, &err));
    CALL(ecrec_batch_reset(batch, ROWS, &err));
    CALL(ecrec_batch_set_text(batch, 0, texts, lengths, &err));
    CALL(ecrec_batch_set_number(batch, 1, numbers, NULL, &err));
    CALL(ecrec_batch_set_label(batch, 0, labels, NULL, &err));
    for (int i = 0; i < 3; i++)
        CALL(ecrec_update(ranker, batch, NULL, NULL, &err));
    CALL(ecrec_model_save(ranker, temporary("ranker.ecrec"), &err));
    CALL(ecrec_model_load(context, temporary("ranker.ecrec"), NULL, &again, &err));
    CALL(ecrec_session_create(again, NULL, &session, &err));
    CALL(ecrec_score(again, session, batch, NULL, scores, ROWS, &err));
    show("scores", scores, ROWS);
    ecrec_session_release(session);
    ecrec_batch_release(batch);
    ecrec_model_release(again);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
}

static void whole_path(void **unused)
{
    static const char *const texts[ROWS] = { "red shoes running", "blue shirt", "warm old", "" };
    static const size_t lengths[ROWS] = { 17, 10, 8, 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, mask);
    ecrec_model *models[5] = { NULL, NULL, NULL, NULL, NULL };
    ecrec_quantize_options four = ECREC_QUANTIZE_OPTIONS_INIT, brain = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_prune_options smaller = ECREC_PRUNE_OPTIONS_INIT;
    (void)unused;
    printf("%s\n", ecrec_context_cpu_text(context));
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &models[0], NULL, &err));
    CALL(ecrec_quantize(models[0], NULL, &models[1], NULL, &err));
    smaller.heads = 0.5;
    smaller.texts = texts; /* measured by back-propagation: the large products */
    smaller.lengths = lengths;
    smaller.count = ROWS;
    CALL(ecrec_prune(models[0], &smaller, &models[2], NULL, &err));
    four.type = ECREC_TYPE_S4;
    CALL(ecrec_quantize(models[0], &four, &models[3], NULL, &err));
    brain.type = ECREC_TYPE_BF16;
    CALL(ecrec_quantize(models[0], &brain, &models[4], NULL, &err));
    for (int i = 0; i < 5; i++) {
        static const char *const names[] = { "float32", "quantised", "pruned", "4 bits", "bfloat16" };
        float vectors[ROWS * TINY_HIDDEN];
        ecrec_session *session = NULL;
        CALL(ecrec_session_create(models[i], NULL, &session, &err));
        CALL(ecrec_encode(models[i], session, texts, lengths, ROWS, NULL, vectors, TINY_HIDDEN, &err));
        show(names[i], vectors, ROWS * TINY_HIDDEN);
        ecrec_session_release(session);
    }
    score_and_learn(context, models[0], texts, lengths);
    for (int i = 0; i < 5; i++)
        ecrec_model_release(models[i]);
    ecrec_context_release(context);
}

static void real_model(void **unused)
{
    static const char *const texts[] = { "A man is playing a guitar.", "warm clothes for winter" };
    static const size_t lengths[] = { 26, 23 };
    static float vectors[2 * 4096];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, mask);
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    (void)unused;
    if (folder != NULL) {
        CALL(ecrec_model_import(context, folder, NULL, &model, NULL, &err));
        CALL(ecrec_session_create(model, NULL, &session, &err));
        assert_in_range(ecrec_model_dimension(model), 1, 4096);
        CALL(ecrec_encode(model, session, texts, lengths, 2, NULL, vectors, ecrec_model_dimension(model), &err));
        show("real", vectors, 2 * (size_t)ecrec_model_dimension(model));
        ecrec_session_release(session);
    }
    ecrec_model_release(model);
    ecrec_context_release(context);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(whole_path), cmocka_unit_test(real_model) };
    folder = count > 2 ? arguments[2] : NULL;
    mask = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 0) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
