/* Folders that are no transformer alone: static vectors, a Dense module after pooling, a sequence encoder by the path of its file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"
#include "tiny.h"

static const char *folder_of(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s", temporary(name));
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static void put(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void put_weights(const char *folder, const char *name, const char *header, const void *data, size_t bytes)
{
    char *file = malloc(8 + strlen(header) + bytes);
    const unsigned long long n = strlen(header);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, (size_t)n);
    memcpy(file + 8 + n, data, bytes);
    put(folder, name, file, 8 + (size_t)n + bytes);
    free(file);
}

/* Every allocation of the import fails, once and for ever. */
static void sweep(const char *folder)
{
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (uint64_t n = 1;; n++) {
            fault_allocator f = { 0 };
            ecrec_error err = ECREC_ERROR_INIT;
            ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
            ecrec_context *context = NULL;
            ecrec_model *model = NULL;
            const ecrec_allocator hooks = fault_hooks(&f);
            options.allocator = &hooks;
            CALL(ecrec_context_create(&options, &context, &err));
            f.fail_at = f.count + n;
            f.for_ever = for_ever;
            const int32_t status = ecrec_model_import(context, folder, NULL, &model, NULL, &err);
            const int reached = f.count >= f.fail_at;
            f.fail_at = 0;
            assert_true((status == ECREC_OK) == (model != NULL));
            if (status != (reached ? ECREC_ERR_NOMEM : ECREC_OK))
                fail_msg("%s: allocation %llu of the import failed, and it said %s: %s", folder, (unsigned long long)n, ecrec_status_name(status), err.message);
            ecrec_model_release(model);
            ecrec_context_release(context);
            assert_int_equal(f.live_blocks, 0);
            assert_int_equal(f.wrong, 0);
            if (!reached)
                return;
        }
}

/* Two rows of two values; four tokens: which row and how much of it. Token 1 is the unknown one. */
static const char static_header[] = "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                                    "\"mapping\":{\"dtype\":\"I64\",\"shape\":[4],\"data_offsets\":[16,48]},"
                                    "\"weights\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[48,64]}}";
static const char static_tokenizer[] =
    "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"post_processor\":null,"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"red\":2,\"shoe\":3}}}";

static void put_static(const char *folder, int64_t last)
{
    unsigned char data[64];
    const float rows[4] = { 1, 2, 3, 4 }, weights[4] = { 1, 1, 0.5f, 2 };
    const int64_t mapping[4] = { 0, 0, 1, last };
    memcpy(data, rows, 16);
    memcpy(data + 16, mapping, 32);
    memcpy(data + 48, weights, 16);
    put_weights(folder, "model.safetensors", static_header, data, sizeof data);
    put(folder, "config.json", "{\"normalize\": false}", 20);
    put(folder, "tokenizer.json", static_tokenizer, strlen(static_tokenizer));
}

static void static_vectors(void **unused)
{
    (void)unused;
    const char *folder = folder_of("static");
    const char *const texts[] = { "red", "red shoe", "red hat shoe", "hat", "" };
    const size_t lengths[] = { 3, 8, 12, 3, 0 };
    /* red: half of row 1; shoe: twice row 0; the mean of both; what is unknown does not count */
    static const float wanted[5][2] = { { 1.5f, 2 }, { 1.75f, 3 }, { 1.75f, 3 }, { 0, 0 }, { 0, 0 } };
    float vectors[5][2];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_context *context = context_with(1, 0);
    put_static(folder, 0);
    CALL(ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    assert_int_equal(ecrec_model_dimension(model), 2);
    CALL(ecrec_encode(model, session, texts, lengths, 5, NULL, &vectors[0][0], 2, &err));
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 2; j++)
            assert_true(fabsf(vectors[i][j] - wanted[i][j]) < 1e-6f);
    ecrec_session_release(session);
    ecrec_model_release(model);
    model = NULL;
    sweep(folder);
    put_static(folder, 2); /* a row that there is not */
    REFUSED(ECREC_ERR_FORMAT, ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    assert_non_null(strstr(err.message, "mapping"));
    ecrec_context_release(context);
}

static void encode_one(const char *folder, float *vector, uint32_t dimension)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_context *context = context_with(1, 0);
    const char *text = "red shoes";
    const size_t length = 9;
    CALL(ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    assert_int_equal(ecrec_model_dimension(model), dimension);
    CALL(ecrec_encode(model, session, &text, &length, 1, NULL, vector, dimension, &err));
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

/* The tiny model, pooled and not normalised, then tanh of a dense layer of three rows. */
static void dense_module(void **unused)
{
    static const char modules[] = "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}";
    static const char dense[] = ",{\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}]";
    static const char *const files[] = { "config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json" };
    const char *folder = folder_of("dense");
    char path[1024], whole[1024];
    float pooled[TINY_HIDDEN], vector[3], data[3 * TINY_HIDDEN + 3];
    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        size_t n = 0;
        snprintf(path, sizeof path, "%s/%s", tiny_folder(), files[i]);
        char *bytes = read_file(path, &n);
        put(folder, files[i], bytes, n);
        free(bytes);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put(path, "config.json", "{\"pooling_mode_mean_tokens\":true}", 33);
    snprintf(whole, sizeof whole, "%s]", modules);
    put(folder, "modules.json", whole, strlen(whole));
    encode_one(folder, pooled, TINY_HIDDEN);

    snprintf(whole, sizeof whole, "%s%s", modules, dense);
    put(folder, "modules.json", whole, strlen(whole));
    snprintf(path, sizeof path, "%s/2_Dense", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(whole, sizeof whole, "{\"in_features\":%d,\"out_features\":3,\"bias\":true,\"activation_function\":\"torch.nn.modules.activation.Tanh\"}", TINY_HIDDEN);
    put(path, "config.json", whole, strlen(whole));
    for (int i = 0; i < 3 * TINY_HIDDEN + 3; i++)
        data[i] = 0.3f * (float)((i * 37) % 11 - 5) / 5;
    snprintf(whole, sizeof whole, "{\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[3,%d],\"data_offsets\":[0,%d]},\"linear.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[%d,%d]}}",
             TINY_HIDDEN, 12 * TINY_HIDDEN, 12 * TINY_HIDDEN, 12 * TINY_HIDDEN + 12);
    put_weights(path, "model.safetensors", whole, data, sizeof data);
    encode_one(folder, vector, 3);
    for (int r = 0; r < 3; r++) {
        double sum = data[3 * TINY_HIDDEN + r];
        for (int i = 0; i < TINY_HIDDEN; i++)
            sum += (double)data[r * TINY_HIDDEN + i] * pooled[i];
        assert_true(fabs(vector[r] - tanh(sum)) < 1e-5);
    }
    sweep(folder);
    put(path, "config.json", "{\"in_features\":16,\"out_features\":3,\"activation_function\":\"torch.nn.modules.activation.Mish\"}", 92);
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    ecrec_context *context = context_with(1, 0);
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_model_import(context, folder, NULL, &model, NULL, &err));
    assert_non_null(strstr(err.message, "2_Dense/config.json"));
    assert_non_null(strstr(err.message, "Mish"));
    ecrec_context_release(context);
}

/* The same encoder by its folder and by its file; heads that its files do not tell. */
static void sequence_file(void **unused)
{
    const char *found = data_path("behaviour/beauty/sequence-encoder.safetensors");
    (void)unused;
    NEED(found, "behaviour/beauty");
    char file[1024], folder[1024];
    snprintf(file, sizeof file, "%s", found);
    snprintf(folder, sizeof folder, "%s", data_path("behaviour/beauty"));
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_import_options options = ECREC_IMPORT_OPTIONS_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *one = NULL, *other = NULL, *four = NULL;
    CALL(ecrec_model_import(context, folder, NULL, &one, NULL, &err));
    CALL(ecrec_model_import(context, file, NULL, &other, NULL, &err));
    assert_string_equal(ecrec_model_space(one), ecrec_model_space(other));
    assert_int_equal(ecrec_model_dimension(one), 64);
    assert_int_equal(ecrec_model_max_length(one), 50);
    options.heads = 4;
    CALL(ecrec_model_import(context, file, &options, &four, NULL, &err));
    assert_string_not_equal(ecrec_model_space(one), ecrec_model_space(four));
    ecrec_model_release(four);
    options.heads = 5;
    REFUSED(ECREC_ERR_INVALID, ecrec_model_import(context, file, &options, &four, NULL, &err));
    ecrec_model_release(one);
    ecrec_model_release(other);
    ecrec_context_release(context);
    sweep(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(static_vectors), cmocka_unit_test(dense_module), cmocka_unit_test(sequence_file) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
