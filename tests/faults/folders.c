/* Truncated, flipped and hand-made hostile folders: safetensors, JSON and vocabularies. An error with a sentence, never a
 * crash, a hang or memory above the bound. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

enum { FLIPS = 10000, TRUNCATIONS = 2000 };
/* base/json.h: 64 times a JSON file; the weights of the tiny model are below 32 KiB */
#define BOUND(length) ((uint64_t)(8u << 20) + 96 * (uint64_t)(length))

static unsigned long long state = 1;
static size_t pick(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % n);
}

static int scaled(int n)
{
    return getenv("ECREC_SANITIZED") != NULL ? n / 10 : n;
}

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    (void)remove(path); /* some file systems flush a file that is cut to nothing and written again */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int32_t try_folder(const char *folder, size_t length, char message[488])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    options.memory_limit = BOUND(length);
    CALL(ecrec_context_create(&options, &context, &err));
    const int32_t status = ecrec_model_import(context, folder, NULL, &model, NULL, &err);
    if (status == ECREC_ERR_NOMEM || status == ECREC_ERR_INTERNAL)
        fail_msg("importing: %s: %s", ecrec_status_name(status), err.message);
    assert_true(status == ECREC_OK || (err.message[0] != 0 && err.code == status && model == NULL));
    if (message != NULL)
        memcpy(message, err.message, sizeof err.message);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status;
}

/* One file of a folder is cut and flipped; the others stay. Flips fall into the first `most` bytes. */
static void shake(const char *folder, const char *name, int cut_may_load, int share, size_t most)
{
    char path[1024];
    size_t length = 0, loaded = 0;
    const int cuts = scaled(TRUNCATIONS / share), flips = scaled(FLIPS / share);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *whole = read_file(path, &length), *copy = malloc(length);
    assert_int_equal(try_folder(folder, length, NULL), ECREC_OK);
    for (int i = 0; i < cuts; i++) {
        const size_t at = (size_t)cuts > length ? (size_t)i % length : pick(length); /* a small file: everywhere */
        write_bytes(path, whole, at);
        const int32_t status = try_folder(folder, length, NULL);
        if (!cut_may_load && status == ECREC_OK)
            fail_msg("%s cut to %zu of %zu bytes loads", name, at, length);
    }
    for (int i = 0; i < flips; i++) {
        memcpy(copy, whole, length);
        copy[pick(most < length ? most : length)] ^= (char)(1 << pick(8));
        write_bytes(path, copy, length);
        loaded += try_folder(folder, length, NULL) == ECREC_OK; /* a flipped letter in a name may be legal */
    }
    print_message("%s: %d cuts, %d flips, %zu of them load\n", name, cuts, flips, loaded);
    write_bytes(path, whole, length);
    assert_int_equal(try_folder(folder, length, NULL), ECREC_OK);
    free(whole);
    free(copy);
}

static void shaken_weights(void **unused)
{
    (void)unused;
    shake(tiny_folder(), "model.safetensors", 0, 2, 4500); /* the header */
    shake(tiny_folder(), "model.safetensors", 0, 2, SIZE_MAX);
}

static void shaken_json(void **unused)
{
    static const char *const small[] = { "modules.json", "sentence_bert_config.json", "1_Pooling/config.json", "config_sentence_transformers.json" };
    (void)unused;
    shake(tiny_folder(), "tokenizer.json", 0, 1, SIZE_MAX);
    shake(tiny_folder(), "config.json", 0, 1, SIZE_MAX);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        shake(tiny_folder(), small[i], 0, 4, SIZE_MAX);
}

static void shaken_vocabulary(void **unused)
{
    (void)unused;
    shake(tiny_vocabulary_folder(), "vocab.txt", 1, 1, SIZE_MAX);
    shake(tiny_vocabulary_folder(), "tokenizer_config.json", 0, 4, SIZE_MAX);
}

/* The whole file is replaced by `content`. */
static void replaced(const char *folder, const char *name, const void *content, size_t n, int32_t status, const char *says)
{
    char path[1024], message[488];
    size_t length = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *whole = read_file(path, &length);
    write_bytes(path, content, n);
    const int32_t got = try_folder(folder, n > length ? n : length, message);
    write_bytes(path, whole, length);
    free(whole);
    if (got != status || strstr(message, says) == NULL)
        fail_msg("%s = %.60s...: expected %s and \"%s\", got %s: %s", name, (const char *)content, ecrec_status_name(status), says, ecrec_status_name(got), message);
}

static void hostile_safetensors(void **unused)
{
    static const struct { const char *header, *says; } cases[] = {
        { "{\"embeddings.word_embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615,18446744073709551615],\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", "overlap" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "outside" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,18446744073709551615]}}", "outside" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551614,18446744073709551615]}}", "outside" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "outside" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4.5]}}", "outside" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":\"x\",\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "shape" },
        { "{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", "bytes" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "twice" },
        { "{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "name" },
        { "{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "name" },
        { "{\"a\":null}", "dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,4]}}", "unexpected" },
        { "{}", "" }, { "null", "object" }, { "[]", "object" }, { "{", "name" }, { "", "unexpected end" }, { "{} x", "byte" },
    };
    unsigned char file[4096];
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned long long n = strlen(cases[i].header);
        memset(file, 0, sizeof file);
        memcpy(file, &n, 8);
        memcpy(file + 8, cases[i].header, (size_t)n);
        replaced(tiny_folder(), "model.safetensors", file, 8 + (size_t)n + 16, ECREC_ERR_FORMAT, cases[i].says);
    }
    const unsigned long long huge[] = { ~0ull, 1ull << 63, 1ull << 62, 1ull << 32, 100000000ull, 57 };
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        memcpy(file, &huge[i], 8);
        replaced(tiny_folder(), "model.safetensors", file, 64, ECREC_ERR_FORMAT, "truncated");
    }
}

/* A value that is no number, anywhere among the weights that are used. */
static void weights_that_are_no_numbers(void **unused)
{
    static const unsigned bits[] = { 0x7FC00000u, 0x7F800000u, 0xFF800000u, 0x7F800001u };
    char path[1024];
    size_t length = 0;
    (void)unused;
    snprintf(path, sizeof path, "%s/model.safetensors", tiny_folder());
    char *whole = read_file(path, &length), *copy = malloc(length);
    unsigned long long header = 0;
    memcpy(&header, whole, 8);
    for (size_t i = 0; i < 40; i++) {
        const size_t values = (length - 8 - (size_t)header) / 4, at = i == 0 ? 0 : i == 1 ? values - 1 : pick(values);
        memcpy(copy, whole, length);
        memcpy(copy + 8 + header + 4 * at, &bits[i % 4], 4);
        replaced(tiny_folder(), "model.safetensors", copy, length, ECREC_ERR_FORMAT, "finite");
    }
    free(whole);
    free(copy);
}

static void hostile_json(void **unused)
{
    static const char *const names[] = { "config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json" };
    enum { DEEP = 1000000 };
    char *deep = malloc(DEEP + 1), *wide = malloc(DEEP * 2 + 8);
    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memset(deep, '[', DEEP);
        replaced(tiny_folder(), names[i], deep, DEEP, ECREC_ERR_LIMIT, "deep");
        for (size_t k = 0; k < DEEP; k += 5)
            memcpy(deep + k, "{\"a\":", 5);
        replaced(tiny_folder(), names[i], deep, DEEP, ECREC_ERR_LIMIT, "deep");
        /* an array of as many numbers as the bytes can hold */
        wide[0] = '[';
        for (size_t k = 0; k < DEEP; k++)
            memcpy(wide + 1 + 2 * k, "0,", 2);
        memcpy(wide + 2 * DEEP, "]", 2);
        char path[1024], message[488];
        size_t length = 0;
        snprintf(path, sizeof path, "%s/%s", tiny_folder(), names[i]);
        char *whole = read_file(path, &length);
        write_bytes(path, wide, 2 * DEEP + 1);
        const int32_t status = try_folder(tiny_folder(), 2 * DEEP, message);
        write_bytes(path, whole, length);
        if (status == ECREC_OK)
            fail_msg("%s: a million numbers are accepted", names[i]);
        free(whole);
        replaced(tiny_folder(), names[i], "\xFF\xFE{}", 4, ECREC_ERR_FORMAT, "byte");
        replaced(tiny_folder(), names[i], "{\"a\":1,\"a\":2}", 13, ECREC_ERR_FORMAT, "twice");
        replaced(tiny_folder(), names[i], "{\"a\":\"\\ud800\"}", 14, ECREC_ERR_FORMAT, "surrogate");
        replaced(tiny_folder(), names[i], "", 0, ECREC_ERR_FORMAT, names[i]);
        replaced(tiny_folder(), names[i], "{\"a\":1}{", 8, ECREC_ERR_FORMAT, "byte");
    }
    free(deep);
    free(wide);
}

static void hostile_settings(void **unused)
{
    static const char *const keys[] = { "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings",
                                        "type_vocab_size" };
    static const char *const values[] = { "0", "-1", "18446744073709551615", "18446744073709551616", "4294967296", "1e300", "1.5", "\"16\"", "null", "[]", "true" };
    (void)unused;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            char config[1024], message[488], path[1024];
            size_t length = 0, n = (size_t)snprintf(config, sizeof config, "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12");
            for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
                static const int right[] = { TINY_HIDDEN, TINY_LAYERS, TINY_HEADS, TINY_FEED_FORWARD, 30, TINY_POSITIONS, 2 };
                n += (size_t)snprintf(config + n, sizeof config - n, ",\"%s\":", keys[i]);
                n += i == k ? (size_t)snprintf(config + n, sizeof config - n, "%s", values[v]) : (size_t)snprintf(config + n, sizeof config - n, "%d", right[i]);
            }
            n += (size_t)snprintf(config + n, sizeof config - n, "}");
            snprintf(path, sizeof path, "%s/config.json", tiny_folder());
            char *whole = read_file(path, &length);
            write_bytes(path, config, n);
            const int32_t status = try_folder(tiny_folder(), length, message);
            write_bytes(path, whole, length);
            free(whole);
            /* null is as if it were not there; a model may have no token types */
            if (status == ECREC_OK && strcmp(values[v], "null") != 0 && !(strcmp(keys[k], "type_vocab_size") == 0 && strcmp(values[v], "0") == 0))
                fail_msg("config.json with %s = %s is accepted", keys[k], values[v]);
        }
}

static void hostile_vocabularies(void **unused)
{
    char *much = malloc(1 << 20);
    (void)unused;
    const char *folder = tiny_vocabulary_folder();
    replaced(folder, "vocab.txt", "", 0, ECREC_ERR_FORMAT, "vocab");
    replaced(folder, "vocab.txt", "a\nb\n", 4, ECREC_ERR_FORMAT, "[UNK]");
    memset(much, '\n', 1 << 20);
    replaced(folder, "vocab.txt", much, 1 << 20, ECREC_ERR_FORMAT, "vocab");
    memset(much, 'x', 1 << 20);
    replaced(folder, "vocab.txt", much, 1 << 20, ECREC_ERR_FORMAT, "[UNK]");
    memset(much, 0, 1 << 20);
    replaced(folder, "vocab.txt", much, 1 << 20, ECREC_ERR_FORMAT, "vocab");
    free(much);
    /* ids past the rows of the embedding table */
    replaced(tiny_folder(), "tokenizer.json",
             "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":null,\"model\":{\"type\":\"WordPiece\","
             "\"unk_token\":\"[UNK]\",\"vocab\":{\"[UNK]\":0,\"a\":4000000000}}}", 188, ECREC_ERR_FORMAT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shaken_weights), cmocka_unit_test(shaken_json), cmocka_unit_test(shaken_vocabulary),
                                        cmocka_unit_test(hostile_safetensors), cmocka_unit_test(weights_that_are_no_numbers), cmocka_unit_test(hostile_json),
                                        cmocka_unit_test(hostile_settings), cmocka_unit_test(hostile_vocabularies) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
