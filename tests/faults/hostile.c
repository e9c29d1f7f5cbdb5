/* Truncated, flipped and hand-made hostile files: an error with a sentence, never a crash, a hang or memory above the bound. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "tiny.h"

enum { FLIPS = 10000, TRUNCATIONS = 2000 };
#define BOUND(length) ((uint64_t)(64u << 20) + 64 * (uint64_t)(length))

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
    return getenv("ECREC_SANITIZED") != NULL ? n / 5 : n;
}

/* Load; a model that loads must also work. */
static int try_model(const unsigned char *bytes, size_t length)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    uint64_t peak = 0;
    CALL(ecrec_context_create(&options, &context, &err));
    const int32_t status = ecrec_model_load_memory(context, bytes, length, NULL, NULL, NULL, &model, &err);
    if (status != ECREC_OK)
        assert_true(err.message[0] != 0 && model == NULL);
    ecrec_context_memory(context, NULL, &peak, NULL);
    assert_true(peak <= BOUND(length));
    if (status == ECREC_OK && ecrec_session_create(model, NULL, &session, &err) == ECREC_OK) {
        const char *text = "red running shoes";
        const size_t n = strlen(text);
        float vector[1024];
        if (ecrec_model_dimension(model) != 0 && ecrec_model_dimension(model) <= 1024)
            (void)ecrec_encode(model, session, &text, &n, 1, NULL, vector, ecrec_model_dimension(model), &err);
    }
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status == ECREC_OK;
}

static unsigned char *ranker_bytes(size_t *length)
{
    static char schema_text[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"word_ngrams\":1},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *base = NULL, *ranker = NULL;
    ecrec_schema *schema = NULL;
    ecrec_batch *batch = NULL;
    const char *texts[2] = { "red shoes", "blue" };
    const size_t lengths[2] = { 9, 4 };
    const float labels[2] = { 1, 0 };
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &base, NULL, &err));
    CALL(ecrec_schema_parse(context, schema_text, strlen(schema_text), &schema, &err));
    CALL(ecrec_ranker_create(context, base, schema, &ranker, &err));
    CALL(ecrec_batch_create(schema, &batch, &err));
    CALL(ecrec_batch_reset(batch, 2, &err));
    CALL(ecrec_batch_set_text(batch, 0, texts, lengths, &err));
    CALL(ecrec_batch_set_label(batch, 0, labels, NULL, &err));
    CALL(ecrec_update(ranker, batch, NULL, NULL, &err));
    CALL(ecrec_model_save(ranker, temporary("whole.ecrec"), &err));
    ecrec_batch_release(batch);
    ecrec_schema_release(schema);
    ecrec_model_release(base);
    ecrec_model_release(ranker);
    ecrec_context_release(context);
    unsigned char *raw = (unsigned char *)read_file(temporary("whole.ecrec"), length), *aligned = aligned_alloc(64, (*length + 127) / 64 * 64);
    memcpy(aligned, raw, *length);
    free(raw);
    return aligned;
}

static void truncated_models(void **unused)
{
    size_t length = 0;
    (void)unused;
    unsigned char *bytes = ranker_bytes(&length);
    assert_true(try_model(bytes, length));
    for (size_t n = 0; n < length; n += n < 4096 ? 16 : 64) /* sections begin at multiples of 64 */
        if (n % (getenv("ECREC_SANITIZED") != NULL ? 256 : 64) == 0)
            assert_false(try_model(bytes, n));
    for (int i = 0; i < scaled(TRUNCATIONS); i++)
        assert_false(try_model(bytes, pick(length)));
    free(bytes);
}

static void flipped_models(void **unused)
{
    size_t length = 0;
    int loaded = 0;
    (void)unused;
    unsigned char *bytes = ranker_bytes(&length);
    for (int i = 0; i < scaled(FLIPS); i++) {
        const size_t at = pick(length);
        const unsigned char bit = (unsigned char)(1u << pick(8));
        bytes[at] ^= bit;
        loaded += try_model(bytes, length);
        bytes[at] ^= bit;
    }
    /* only padding between sections may be flipped unseen */
    print_message("%d of %d flips were in bytes that mean nothing\n", loaded, scaled(FLIPS));
    assert_true(loaded < scaled(FLIPS) / 10);
    free(bytes);
}

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(bytes, 1, n, f);
    fclose(f);
}

static int try_folder(const char *folder)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *model = NULL;
    const int32_t status = ecrec_model_import(context, folder, NULL, &model, NULL, &err);
    assert_true(status == ECREC_OK || err.message[0] != 0);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status == ECREC_OK;
}

/* One file of the folder is cut and flipped; the others stay. */
static void shake(const char *name, int may_load)
{
    char path[1024];
    size_t length = 0;
    snprintf(path, sizeof path, "%s/%s", tiny_folder(), name);
    char *whole = read_file(path, &length), *copy = malloc(length);
    for (int i = 0; i < scaled(400); i++) {
        write_bytes(path, whole, pick(length));
        const int loaded = try_folder(tiny_folder());
        assert_true(!loaded || may_load);
    }
    for (int i = 0; i < scaled(1200); i++) {
        memcpy(copy, whole, length);
        copy[pick(strcmp(name, "model.safetensors") == 0 ? 2000 : length)] ^= (char)(1 << pick(8));
        write_bytes(path, copy, length);
        (void)try_folder(tiny_folder()); /* a flipped letter in a name may be legal */
    }
    write_bytes(path, whole, length);
    assert_true(try_folder(tiny_folder()));
    free(whole);
    free(copy);
}

static void shaken_folder(void **unused)
{
    (void)unused;
    shake("model.safetensors", 0);
    shake("tokenizer.json", 0);
    shake("config.json", 0);
    shake("modules.json", 0);
}

static void hostile_safetensors(void **unused)
{
    static const char *const headers[] = {
        "{\"embeddings.word_embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615,18446744073709551615],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,18446744073709551615]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":\"x\",\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\"\":{}}", "null", "{", "",
    };
    char path[1024], file[4096];
    size_t length = 0;
    (void)unused;
    snprintf(path, sizeof path, "%s/model.safetensors", tiny_folder());
    char *whole = read_file(path, &length);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const unsigned long long n = strlen(headers[i]);
        memset(file, 0, sizeof file);
        memcpy(file, &n, 8);
        memcpy(file + 8, headers[i], (size_t)n);
        write_bytes(path, file, 8 + (size_t)n + 16);
        assert_false(try_folder(tiny_folder()));
    }
    const unsigned long long huge[] = { ~0ull, 1ull << 62, 1ull << 32, 100000000ull };
    for (size_t i = 0; i < 4; i++) {
        memcpy(file, &huge[i], 8);
        write_bytes(path, file, 64);
        assert_false(try_folder(tiny_folder()));
    }
    /* a NaN among the weights */
    const unsigned nan_bits = 0x7FC00000u;
    memcpy(whole + length - 40, &nan_bits, 4);
    write_bytes(path, whole, length);
    assert_false(try_folder(tiny_folder()));
    memset(whole + length - 40, 0, 4);
    write_bytes(path, whole, length);
    assert_true(try_folder(tiny_folder()));
    free(whole);
}

/* A writer is killed at a random moment: the file is the old one or the new one. */
static void killed_writer(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[1024];
    size_t lengths[2];
    (void)unused;
    snprintf(path, sizeof path, "%s", temporary("atomic.ecrec"));
    ecrec_context *context = context_with(1, 0);
    ecrec_model *models[2] = { NULL, NULL };
    ecrec_prune_options smaller = ECREC_PRUNE_OPTIONS_INIT;
    smaller.feed_forward = 0.5;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &models[0], NULL, &err));
    CALL(ecrec_prune(models[0], &smaller, &models[1], NULL, &err));
    char *whole[2];
    for (int i = 0; i < 2; i++) {
        CALL(ecrec_model_save(models[i], path, &err));
        whole[i] = read_file(path, &lengths[i]);
    }
    int changed = 0;
    for (int i = 0; i < scaled(200); i++) {
        const pid_t child = fork();
        if (child == 0) {
            for (int k = 0;; k++)
                (void)ecrec_model_save(models[k % 2], path, NULL);
        }
        usleep((useconds_t)pick(4000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        size_t n = 0;
        char *now = read_file(path, &n);
        const int which = n == lengths[0] && memcmp(now, whole[0], n) == 0 ? 0 : 1;
        assert_int_equal(n, lengths[which]);
        assert_memory_equal(now, whole[which], n);
        changed += which == 0;
        free(now);
    }
    print_message("%d of %d times the new file\n", changed, scaled(200));
    for (int i = 0; i < 2; i++) {
        free(whole[i]);
        ecrec_model_release(models[i]);
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(truncated_models), cmocka_unit_test(flipped_models), cmocka_unit_test(shaken_folder),
                                        cmocka_unit_test(hostile_safetensors), cmocka_unit_test(killed_writer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
