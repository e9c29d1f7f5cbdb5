/* The import room: safetensors of every type that is read, and what a folder's settings mean. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/safetensors.h"
#include "support.h"
#include "tiny.h"

/* ---- safetensors ---- */

static size_t make_file(unsigned char *file, const char *header, const void *data, size_t bytes)
{
    const uint64_t n = strlen(header);
    for (size_t i = 0; i < 8; i++)
        file[i] = (unsigned char)(n >> 8 * i);
    memcpy(file + 8, header, (size_t)n);
    memcpy(file + 8 + n, data, bytes);
    return 8 + (size_t)n + bytes;
}

/* 1, -2, 0.5, the smallest and the largest half in each type; the data begins at an odd place, so nothing is aligned */
static void numbers_of_every_type(void **unused)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"f32\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"f16\":{\"dtype\":\"F16\",\"shape\":[5],\"data_offsets\":[12,22]},"
                                 "\"bf16\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[22,28]},\"f64\":{\"dtype\":\"F64\",\"shape\":[1,2],\"data_offsets\":[28,44]},"
                                 "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[44,52]},\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[52,52]}}";
    static const float f32[3] = { 1, -2, 0.5f };
    static const uint16_t f16[5] = { 0x3C00, 0xC000, 0x3800, 0x0001, 0x7BFF }, bf16[3] = { 0x3F80, 0xC000, 0x3F00 };
    static const double f64[2] = { 1, 1e-3 };
    static const float halves[5] = { 1, -2, 0.5f, 5.9604644775390625e-8f, 65504 };
    unsigned char data[52], file[1024];
    float values[5];
    memory m;
    safetensors s;
    ecrec_error err = ECREC_ERROR_INIT;
    (void)unused;
    memset(data, 0, sizeof data);
    memcpy(data, f32, 12);
    memcpy(data + 12, f16, 10);
    memcpy(data + 22, bf16, 6);
    memcpy(data + 28, f64, 16);
    const size_t n = make_file(file + 1, header, data, sizeof data);
    memory_init(&m, NULL, 0);
    CALL(safetensors_open(&m, "w", file + 1, n, &s, &err));
    assert_int_equal(s.count, 6); /* metadata is none */
    assert_null(safetensors_find(&s, "__metadata__"));
    CALL(safetensors_floats(safetensors_find(&s, "f32"), 0, 3, values, &err));
    assert_memory_equal(values, f32, sizeof f32);
    CALL(safetensors_floats(safetensors_find(&s, "f16"), 0, 5, values, &err));
    assert_memory_equal(values, halves, sizeof halves);
    CALL(safetensors_floats(safetensors_find(&s, "bf16"), 0, 3, values, &err));
    assert_memory_equal(values, f32, sizeof f32);
    CALL(safetensors_floats(safetensors_find(&s, "f64"), 1, 1, values, &err));
    assert_true(values[0] == 1e-3f);
    CALL(safetensors_floats(safetensors_find(&s, "none"), 0, 0, values, &err));
    REFUSED(ECREC_ERR_UNSUPPORTED, safetensors_floats(safetensors_find(&s, "ids"), 0, 1, values, &err));
    assert_non_null(strstr(err.message, "I64"));
    safetensors_close(&s);
    assert_int_equal(m.live, 0);
}

/* ---- a folder ---- */

static void put(const char *name, const char *content)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", tiny_folder(), name);
    (void)remove(path);
    FILE *f = content != NULL ? fopen(path, "wb") : NULL;
    if (f != NULL) {
        fputs(content, f);
        fclose(f);
    }
}

typedef struct imported_model { ecrec_context *context; ecrec_model *model; } imported_model;

static imported_model import(const ecrec_import_options *options)
{
    ecrec_error err = ECREC_ERROR_INIT;
    imported_model i = { context_with(1, 0), NULL };
    CALL(ecrec_model_import(i.context, tiny_folder(), options, &i.model, NULL, &err));
    return i;
}

static void release(imported_model *i)
{
    ecrec_model_release(i->model);
    ecrec_context_release(i->context);
}

static void encode(const imported_model *i, const char *text, const ecrec_encode_options *o, float vector[TINY_HIDDEN])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    const size_t n = strlen(text);
    CALL(ecrec_session_create(i->model, NULL, &session, &err));
    CALL(ecrec_encode(i->model, session, &text, &n, 1, o, vector, TINY_HIDDEN, &err));
    ecrec_session_release(session);
}

static void lengths(void **unused)
{
    ecrec_import_options o = ECREC_IMPORT_OPTIONS_INIT;
    (void)unused;
    imported_model i = import(NULL);
    assert_int_equal(ecrec_model_max_length(i.model), 24); /* sentence_bert_config.json */
    release(&i);
    put("sentence_bert_config.json", NULL);
    i = import(NULL);
    assert_int_equal(ecrec_model_max_length(i.model), TINY_POSITIONS);
    release(&i);
    o.max_length = 9;
    i = import(&o);
    assert_int_equal(ecrec_model_max_length(i.model), 9);
    release(&i);
    put("sentence_bert_config.json", "{\"max_seq_length\":24}");
}

static void pooling_and_norm(void **unused)
{
    static const struct { const char *config; uint32_t pooling; } cases[] = {
        { "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":false}", ECREC_POOL_MEAN },
        { "{\"pooling_mode_mean_tokens\":false,\"pooling_mode_cls_token\":true}", ECREC_POOL_CLS },
        { "{\"pooling_mode_max_tokens\":true}", ECREC_POOL_MAX },
        { "{\"pooling_mode_lasttoken\":true}", ECREC_POOL_LAST },
    };
    (void)unused;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float told[TINY_HIDDEN], asked[TINY_HIDDEN];
        ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
        put("1_Pooling/config.json", cases[k].config);
        imported_model i = import(NULL);
        o.pooling = cases[k].pooling;
        encode(&i, "red shoes", NULL, told);
        encode(&i, "red shoes", &o, asked);
        assert_memory_equal(told, asked, sizeof told);
        release(&i);
    }
    put("1_Pooling/config.json", cases[0].config);
}

static void prompts(void **unused)
{
    float with[TINY_HIDDEN], spelled[TINY_HIDDEN];
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    (void)unused;
    imported_model i = import(NULL);
    o.prompt = "query"; /* "new " in config_sentence_transformers.json */
    encode(&i, "shoes", &o, with);
    encode(&i, "new shoes", NULL, spelled);
    assert_memory_equal(with, spelled, sizeof with);
    release(&i);
}

/* vocab.txt and tokenizer.json of the same vocabulary: the same vectors, and yet two spaces are told apart by nothing else */
static void both_tokenizers(void **unused)
{
    static const char *const texts[] = { "Red shoes, running!", "the OLD shirt", "", "cold\xC3\xA9" };
    ecrec_error err = ECREC_ERROR_INIT;
    (void)unused;
    imported_model a = import(NULL), b = { context_with(1, 0), NULL };
    CALL(ecrec_model_import(b.context, tiny_vocabulary_folder(), NULL, &b.model, NULL, &err));
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        float one[TINY_HIDDEN], two[TINY_HIDDEN];
        encode(&a, texts[k], NULL, one);
        encode(&b, texts[k], NULL, two);
        assert_memory_equal(one, two, sizeof one);
    }
    release(&a);
    release(&b);
}

static int32_t stop(void *opaque, uint64_t done, uint64_t total)
{
    (void)total;
    return done >= *(uint64_t *)opaque;
}

static void checks_and_cancels(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_import_options o = ECREC_IMPORT_OPTIONS_INIT;
    ecrec_report *report = NULL;
    ecrec_model *model = NULL;
    uint64_t after = 1, live = 0, before = 0;
    double number = 0;
    (void)unused;
    ecrec_context *context = context_with(1, 0);
    o.check_only = 1;
    CALL(ecrec_model_import(context, tiny_folder(), &o, NULL, &report, &err));
    CALL(ecrec_report_number(report, "layers", &number, &err));
    assert_true(number == TINY_LAYERS);
    ecrec_report_release(report);
    o.check_only = 0;
    o.progress = stop;
    o.progress_opaque = &after;
    ecrec_context_memory(context, &before, NULL, NULL);
    REFUSED(ECREC_ERR_CANCELLED, ecrec_model_import(context, tiny_folder(), &o, &model, NULL, &err));
    ecrec_context_memory(context, &live, NULL, NULL);
    assert_true(model == NULL && live == before);
    REFUSED(ECREC_ERR_IO, ecrec_model_import(context, temporary("no folder"), NULL, &model, NULL, &err));
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_type), cmocka_unit_test(lengths), cmocka_unit_test(pooling_and_norm), cmocka_unit_test(prompts),
        cmocka_unit_test(both_tokenizers), cmocka_unit_test(checks_and_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
