/* Imports of every architecture (ECREC_DATA/reference/tiny): what is refused and by which words, weights in several files, every allocation
 * failing once and for ever, and configurations whose every number is hostile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"

#include "import/safetensors.h"

static const char *const names[] = { "albert", "bert", "bert-cross-encoder", "clip-text", "clip-vision", "distilbert", "electra", "gpt2", "llama", "mistral",
                                     "modernbert", "mpnet", "nomic-bert", "qwen2", "qwen3", "roberta", "t5-encoder", "vit", "xlm-roberta",
                                     "xlm-roberta-cross-encoder" };
enum { NAMES = sizeof names / sizeof *names };

static const char *fixture(const char *name, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "reference/tiny/%s/%s", name, file);
    return data_path(path);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static const char *scratch_folder(void)
{
    static char folder[512];
    static unsigned number;
    char name[32];
    snprintf(name, sizeof name, "import-%u", number++);
    snprintf(folder, sizeof folder, "%s", temporary(name));
    assert_int_equal(mkdir(folder, 0700), 0);
    return folder;
}

/* The text with the first `from` replaced; malloc'ed. */
static char *edited(const char *text, size_t length, const char *from, const char *to, size_t *out)
{
    char *at = NULL;
    for (size_t i = 0; i + strlen(from) <= length && at == NULL; i++)
        if (memcmp(text + i, from, strlen(from)) == 0)
            at = (char *)(uintptr_t)(text + i);
    if (at == NULL)
        fail_msg("\"%s\" is not in the file to be edited", from);
    *out = length - strlen(from) + strlen(to);
    char *made = malloc(*out + 1);
    const size_t front = (size_t)(at - text);
    memcpy(made, text, front);
    memcpy(made + front, to, strlen(to));
    memcpy(made + front + strlen(to), at + strlen(from), length - front - strlen(from));
    made[*out] = 0;
    return made;
}

typedef struct refusal {
    const char *name, *file, *from, *to; /* an edit of a fixture's file */
    int32_t code;
    const char *words[3];                /* of the message */
} refusal;

static const refusal refusals[] = {
    { "bert", "config.json", "\"model_type\": \"bert\"", "\"model_type\": \"reformer\"", ECREC_ERR_UNSUPPORTED, { "config.json: model_type \"reformer\"", "supported: bert, roberta", "qwen3" } },
    { "bert", "config.json", "\"model_type\": \"bert\"", "\"model_type\": \"siglip\"", ECREC_ERR_UNSUPPORTED, { "model_type \"siglip\"", "clip_vision_model", NULL } },
    { "bert", "config.json", "\"model_type\": \"bert\"", "\"model_type\": \"new\", \"auto_map\": {\"AutoModel\": \"modeling.NewModel\"}", ECREC_ERR_UNSUPPORTED, { "auto_map", "never run", "\"new\"" } },
    { "bert", "config.json", "\"model_type\": \"bert\"", "\"model_kind\": \"bert\"", ECREC_ERR_UNSUPPORTED, { "model_type is missing", "supported", NULL } },
    { "bert", "config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"", ECREC_ERR_UNSUPPORTED, { "hidden_act \"mish\"", "gelu, gelu_new", NULL } },
    { "bert", "config.json", "\"is_decoder\": false", "\"is_decoder\": true", ECREC_ERR_UNSUPPORTED, { "is_decoder true", NULL, NULL } },
    { "bert", "config.json", "\"pad_token_id\": 0", "\"position_embedding_type\": \"relative_key\"", ECREC_ERR_UNSUPPORTED, { "position_embedding_type \"relative_key\"", "absolute", NULL } },
    { "bert", "config.json", "\"hidden_size\": 32", "\"hidden_size\": 30", ECREC_ERR_FORMAT, { "hidden_size 30", "num_attention_heads 4", NULL } },
    { "bert", "config.json", "\"intermediate_size\": 64", "\"intermediate_size\": 63", ECREC_ERR_FORMAT, { "model.safetensors: tensor \"encoder.layer.0.intermediate.dense.weight\"", "64 x 32", "63 x 32" } },
    { "bert", "config.json", "\"vocab_size\": 120", "\"vocab_size\": 121", ECREC_ERR_FORMAT, { "embeddings.word_embeddings.weight", "120 x 32", "121 x 32" } },
    { "bert", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", ECREC_ERR_FORMAT, { "encoder.layer.2.attention.self.query.weight", "missing", NULL } },
    { "bert", "model.safetensors", "encoder.layer.1.output.dense.bias", "encoder.layer.1.output.dense.boos", ECREC_ERR_FORMAT, { "encoder.layer.1.output.dense.bias", "missing", NULL } },
    { "bert", "model.safetensors", "embeddings.word_embeddings", "embeddings.word_embeddingz", ECREC_ERR_FORMAT, { "embeddings.word_embeddings", "missing, under any prefix", NULL } },
    { "albert", "config.json", "\"inner_group_num\": 1", "\"inner_group_num\": 2", ECREC_ERR_UNSUPPORTED, { "inner_group_num 2", NULL, NULL } },
    { "gpt2", "config.json", "\"scale_attn_by_inverse_layer_idx\": false", "\"scale_attn_by_inverse_layer_idx\": true", ECREC_ERR_UNSUPPORTED, { "scale_attn_by_inverse_layer_idx true", NULL, NULL } },
    { "llama", "config.json", "\"rope_type\": \"default\"", "\"rope_type\": \"longrope\", \"factor\": 2", ECREC_ERR_UNSUPPORTED, { "rope_type \"longrope\"", "default, linear, llama3, yarn", "rope_parameters" } },
    { "llama", "config-v4.json", "\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}", ECREC_ERR_UNSUPPORTED, { "rope_type \"dynamic\"", "rope_scaling", NULL } },
    { "llama", "config-v4.json", "\"rope_scaling\": null", "\"partial_rotary_factor\": 0.5", ECREC_ERR_UNSUPPORTED, { "partial_rotary_factor 0.5", "llama", NULL } },
    { "llama", "config.json", "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 3", ECREC_ERR_FORMAT, { "num_key_value_heads 3", "num_attention_heads 4", NULL } },
    { "llama", "config.json", "\"attention_bias\": false", "\"attention_bias\": true", ECREC_ERR_FORMAT, { "layers.0.self_attn.q_proj.bias", "missing", NULL } },
    { "qwen2", "config.json", "\"full_attention\"", "\"linear_attention\"", ECREC_ERR_UNSUPPORTED, { "layer_types", "linear_attention", "sliding_attention" } },
    { "mistral", "config.json", "\"sliding_window\": null", "\"sliding_window\": 1", ECREC_ERR_UNSUPPORTED, { "sliding_window 1", NULL, NULL } },
    { "nomic-bert", "config-v4.json", "\"prenorm\": false", "\"prenorm\": true", ECREC_ERR_UNSUPPORTED, { "prenorm true", NULL, NULL } },
    { "nomic-bert", "config-v4.json", "\"activation_function\": \"swiglu\"", "\"activation_function\": \"gelu\"", ECREC_ERR_UNSUPPORTED, { "activation_function \"gelu\"", "swiglu", NULL } },
    { "nomic-bert", "config-v4.json", "\"rotary_emb_interleaved\": false", "\"rotary_emb_interleaved\": true", ECREC_ERR_UNSUPPORTED, { "rotary_emb_interleaved", NULL, NULL } },
    { "nomic-bert", "config-v4.json", "\"rotary_scaling_factor\": null", "\"rotary_scaling_factor\": 2", ECREC_ERR_UNSUPPORTED, { "rotary_scaling_factor", NULL, NULL } },
    { "t5-encoder", "config.json", "\"feed_forward_proj\": \"relu\"", "\"feed_forward_proj\": \"gated-mish\"", ECREC_ERR_UNSUPPORTED, { "feed_forward_proj \"mish\"", NULL, NULL } },
    { "vit", "config.json", "\"patch_size\": 8", "\"patch_size\": [8, 4]", ECREC_ERR_UNSUPPORTED, { "patch_size 8 x 4", "square", NULL } },
    { "vit", "config.json", "\"image_size\": 24", "\"image_size\": 32", ECREC_ERR_FORMAT, { "embeddings.position_embeddings", "1 x 10 x 32", "17 x 32" } },
    { "vit", "config.json", "\"patch_size\": 8", "\"patch_size\": 48", ECREC_ERR_FORMAT, { "patch_size 48", "image_size 24", NULL } },
    { "clip-vision", "config.json", "\"num_channels\": 3", "\"num_channels\": 4", ECREC_ERR_FORMAT, { "patch_embedding", "32 x 3 x 8 x 8", "32 x 256" } },
};

static void refused(void **unused)
{
    (void)unused;
    NEED(fixture("bert", "config.json"), "reference/tiny");
    ecrec_context *context = context_with(1, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_import_options options = ECREC_IMPORT_OPTIONS_INIT;
        ecrec_model *model = NULL;
        const char *folder = scratch_folder();
        const int weights = strcmp(r->file, "model.safetensors") == 0;
        const char *const files[2] = { weights ? "config.json" : "model.safetensors", r->file };
        size_t n = 0, m = 0;
        char *other = read_file(fixture(r->name, files[0]), &n);
        write_file(folder, files[0], other, n);
        char *whole = read_file(fixture(r->name, files[1]), &n), *changed = edited(whole, n, r->from, r->to, &m);
        write_file(folder, weights ? "model.safetensors" : "config.json", changed, m);
        for (int check = 0; check < 2; check++) { /* --check says the same */
            options.check_only = (uint32_t)check;
            const int32_t status = ecrec_model_import(context, folder, &options, &model, NULL, &err);
            if (status != r->code)
                fail_msg("%s with %s: %s (%s)", r->name, r->to, ecrec_status_name(status), status != ECREC_OK ? err.message : "accepted");
            for (int w = 0; w < 3; w++)
                if (r->words[w] != NULL && strstr(err.message, r->words[w]) == NULL)
                    fail_msg("%s with %s: the message does not say \"%s\": %s", r->name, r->to, r->words[w], err.message);
        }
        free(other);
        free(whole);
        free(changed);
    }
    ecrec_context_release(context);
}

/* What lies there instead of safetensors is named, and how to convert it. */
static void other_weights(void **unused)
{
    static const char *const files[][2] = { { "pytorch_model.bin", "safe_serialization=True" }, { "pytorch_model.bin.index.json", "pickles are refused" },
                                            { "tf_model.h5", "TensorFlow" }, { "flax_model.msgpack", "Flax" }, { "model.onnx", "ONNX" } };
    (void)unused;
    NEED(fixture("bert", "config.json"), "reference/tiny");
    ecrec_context *context = context_with(1, 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_model *model = NULL;
        size_t n = 0;
        const char *folder = scratch_folder();
        char *config = read_file(fixture("bert", "config.json"), &n);
        write_file(folder, "config.json", config, n);
        write_file(folder, files[i][0], "PK", 2);
        assert_int_equal(ecrec_model_import(context, folder, NULL, &model, NULL, &err), ECREC_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, files[i][0]));
        assert_non_null(strstr(err.message, files[i][1]));
        free(config);
    }
    ecrec_context_release(context);
}

/* ---- several files ---- */

/* Every second tensor of `all`, from `first` on, as a safetensors file; the names into `index`. */
static void write_shard(const char *folder, const char *name, const safetensors *all, size_t first, char *index)
{
    char *header = calloc(1, 1 << 18), *bytes = malloc(1 << 22);
    size_t n = 0, at = 0;
    n += (size_t)sprintf(header, "{");
    for (size_t i = first; i < all->count; i += 2) {
        const safetensor *t = &all->tensors[i];
        n += (size_t)sprintf(header + n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", n > 1 ? "," : "", t->name, t->dtype);
        for (uint32_t d = 0; d < t->rank; d++)
            n += (size_t)sprintf(header + n, "%s%llu", d != 0 ? "," : "", (unsigned long long)t->shape[d]);
        n += (size_t)sprintf(header + n, "],\"data_offsets\":[%zu,%zu]}", at, at + t->bytes);
        memcpy(bytes + at, t->data, t->bytes);
        at += t->bytes;
        sprintf(index + strlen(index), "%s\"%s\":\"%s\"", strchr(index, ':') != NULL && index[strlen(index) - 1] != '{' ? "," : "", t->name, name);
    }
    n += (size_t)sprintf(header + n, "}");
    char *file = malloc(8 + n + at);
    const unsigned long long length = n;
    memcpy(file, &length, 8);
    memcpy(file + 8, header, n);
    memcpy(file + 8 + n, bytes, at);
    write_file(folder, name, file, 8 + n + at);
    free(file);
    free(header);
    free(bytes);
}

static void in_several_files(void **unused)
{
    (void)unused;
    NEED(fixture("qwen3", "config.json"), "reference/tiny");
    ecrec_context *context = context_with(1, 0);
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *one = NULL, *many = NULL;
    memory m;
    safetensors all;
    size_t n = 0;
    static char index[1 << 18];
    const char *folder = scratch_folder();
    char *config = read_file(fixture("qwen3", "config.json"), &n);
    write_file(folder, "config.json", config, n);
    char *weights = read_file(fixture("qwen3", "model.safetensors"), &n);
    memory_init(&m, NULL, 0);
    CALL(safetensors_open(&m, "model.safetensors", weights, n, &all, &err));
    strcpy(index, "{\"metadata\":{\"total_size\":1},\"weight_map\":{");
    write_shard(folder, "model-00001-of-00002.safetensors", &all, 0, index);
    write_shard(folder, "model-00002-of-00002.safetensors", &all, 1, index);
    strcat(index, "}}");
    write_file(folder, "model.safetensors.index.json", index, strlen(index));
    char whole[1024];
    snprintf(whole, sizeof whole, "%s", fixture("qwen3", "."));
    CALL(ecrec_model_import(context, whole, NULL, &one, NULL, &err));
    CALL(ecrec_model_import(context, folder, NULL, &many, NULL, &err));
    assert_string_equal(ecrec_model_space(one), ecrec_model_space(many)); /* a hash of settings and of every tensor */
    ecrec_model_release(many);
    static const char *const wrong[][3] = { { "model-00002-of-00002.safetensors\"", "model-00001-of-00002.safetensors\"", "is not in" },
                                            { "model-00001-of-00002.safetensors\"", "../model.safetensors\"", "no name of a file" },
                                            { "model-00001-of-00002.safetensors\"", "model-00003-of-00002.safetensors\"", "no such file" },
                                            { "\"weight_map\":{", "\"weight_mop\":{", "weight_map" } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t length = 0;
        char *changed = edited(index, strlen(index), wrong[i][0], wrong[i][1], &length);
        write_file(folder, "model.safetensors.index.json", changed, length);
        assert_int_not_equal(ecrec_model_import(context, folder, NULL, &many, NULL, &err), ECREC_OK);
        if (strstr(err.message, wrong[i][2]) == NULL)
            fail_msg("an index with %s: %s", wrong[i][1], err.message);
        free(changed);
    }
    safetensors_close(&all);
    ecrec_model_release(one);
    ecrec_context_release(context);
    free(config);
    free(weights);
}

/* ---- whatever fails ---- */

static void allocations(void **state)
{
    const char *name = *state;
    NEED(fixture(name, "config.json"), name);
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", fixture(name, "."));
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (uint64_t n = 1;; n++) {
            fault_allocator f = { 0 };
            ecrec_error err = ECREC_ERROR_INIT;
            ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
            ecrec_context *context = NULL;
            ecrec_model *model = NULL;
            ecrec_report *report = NULL;
            const ecrec_allocator hooks = fault_hooks(&f);
            options.allocator = &hooks;
            CALL(ecrec_context_create(&options, &context, &err));
            f.fail_at = f.count + n;
            f.for_ever = for_ever;
            const int32_t status = ecrec_model_import(context, folder, NULL, &model, &report, &err);
            const int reached = f.count >= f.fail_at;
            f.fail_at = 0;
            assert_true((status == ECREC_OK) == (model != NULL));
            if (reached && status != ECREC_ERR_NOMEM)
                fail_msg("%s: allocation %llu failed, and the import said %s: %s", name, (unsigned long long)n, ecrec_status_name(status), err.message);
            ecrec_model_release(model);
            ecrec_report_release(report);
            ecrec_context_release(context);
            assert_int_equal(f.live_blocks, 0);
            assert_int_equal(f.wrong, 0);
            if (!reached)
                break;
        }
}

/* Each value of the configuration replaced by each hostile one: an import or an error with a sentence, in bounded memory. */
static void hostile_values(void **state)
{
    static const char *const values[] = { "0", "-1", "1", "2", "7", "65537", "4294967296", "18446744073709551615", "1e300", "0.3", "\"x\"", "null", "[]", "{}", "true" };
    const char *name = *state;
    NEED(fixture(name, "config.json"), name);
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    size_t n = 0;
    const char *folder = scratch_folder();
    char *weights = read_file(fixture(name, "model.safetensors"), &n);
    write_file(folder, "model.safetensors", weights, n);
    char *config = read_file(fixture(name, "config.json"), &n);
    options.memory_limit = 256 << 20;
    CALL(ecrec_context_create(&options, &context, &err));
    for (const char *at = config; (at = strchr(at, ':')) != NULL; at++) {
        const char *begin = at + 1, *end = begin;
        while (*begin == ' ' || *begin == '\n')
            begin++;
        if (*begin == '{' || *begin == '[')
            continue; /* what is inside has its turn */
        for (end = begin; *end != 0 && *end != ',' && *end != '\n' && *end != '}' && *end != ']'; end++)
            ;
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            const size_t front = (size_t)(begin - config), length = front + strlen(values[v]) + (n - (size_t)(end - config));
            char *changed = malloc(length + 1);
            ecrec_model *model = NULL;
            memcpy(changed, config, front);
            memcpy(changed + front, values[v], strlen(values[v]));
            memcpy(changed + front + strlen(values[v]), end, n - (size_t)(end - config));
            write_file(folder, "config.json", changed, length);
            err.message[0] = 0;
            const int32_t status = ecrec_model_import(context, folder, NULL, &model, NULL, &err);
            assert_true(status == ECREC_OK ? model != NULL : err.message[0] != 0);
            ecrec_session *session = NULL;
            if (status == ECREC_OK && ecrec_session_create(model, NULL, &session, &err) == ECREC_OK && ecrec_model_dimension(model) <= 64) {
                const uint32_t ids[] = { 3, 1, 4, 1, 5 };
                const uint64_t starts[] = { 0, 5 };
                float vector[64];
                (void)ecrec_encode_ids(model, session, ids, NULL, starts, 1, NULL, vector, ecrec_model_dimension(model), &err);
            }
            ecrec_session_release(session);
            ecrec_model_release(model);
            free(changed);
        }
    }
    ecrec_context_release(context);
    free(config);
    free(weights);
}

int main(void)
{
    struct CMUnitTest tests[3 + 2 * NAMES] = { cmocka_unit_test(refused), cmocka_unit_test(other_weights), cmocka_unit_test(in_several_files) };
    for (int i = 0; i < NAMES; i++) {
        tests[3 + i] = (struct CMUnitTest){ names[i], allocations, NULL, NULL, (void *)(uintptr_t)names[i] };
        tests[3 + NAMES + i] = (struct CMUnitTest){ names[i], hostile_values, NULL, NULL, (void *)(uintptr_t)names[i] };
    }
    return cmocka_run_group_tests_name("import of architectures", tests, NULL, NULL);
}
