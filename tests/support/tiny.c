#define _GNU_SOURCE
#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"

static const char *const pieces[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "green", "shoe", "shoes", "shirt", "run", "##ning", "##ning2",
                                      "the", "a", "##s", "##e", "##r", "s", "h", "o", "##h", "##o", "!", ",", "new", "old", "warm", "cold" };
enum { PIECES = sizeof pieces / sizeof *pieces };

static FILE *create(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    return f;
}

static void text(const char *folder, const char *name, const char *content)
{
    FILE *f = create(folder, name);
    fputs(content, f);
    fclose(f);
}

typedef struct writer { char header[16384]; size_t length, offset; float *data; unsigned state; } writer;

static void add_shaped(writer *w, const char *name, const char *shape, size_t n, float scale, float shift)
{
    w->length += (size_t)snprintf(w->header + w->length, sizeof w->header - w->length, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                  w->length > 1 ? "," : "", name, shape, w->offset * 4, (w->offset + n) * 4);
    for (size_t i = 0; i < n; i++) {
        w->state = w->state * 1664525u + 1013904223u;
        w->data[w->offset++] = shift + scale * ((float)(w->state >> 8) / 8388608.0f - 1.0f);
    }
}

static void add(writer *w, const char *name, size_t rows, size_t columns, float scale, float shift)
{
    char shape[48];
    if (columns != 0)
        snprintf(shape, sizeof shape, "%zu,%zu", rows, columns);
    else
        snprintf(shape, sizeof shape, "%zu", rows);
    add_shaped(w, name, shape, rows * (columns != 0 ? columns : 1), scale, shift);
}

static void write_weights(writer *w, const char *folder)
{
    w->header[w->length++] = '}';
    while (w->length % 8 != 0)
        w->header[w->length++] = ' ';
    FILE *f = create(folder, "model.safetensors");
    const unsigned long long n = w->length;
    fwrite(&n, 8, 1, f);
    fwrite(w->header, 1, w->length, f);
    fwrite(w->data, 4, w->offset, f);
    fclose(f);
    free(w->data);
}

static void weights(const char *folder, int labels)
{
    writer w = { .header = "{", .length = 1, .data = malloc(1 << 20), .state = 7 };
    char name[128];
    add(&w, "embeddings.word_embeddings.weight", PIECES, TINY_HIDDEN, 1, 0);
    add(&w, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 0.3f, 0);
    add(&w, "embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 0.1f, 0);
    add(&w, "embeddings.LayerNorm.weight", TINY_HIDDEN, 0, 0.2f, 1);
    add(&w, "embeddings.LayerNorm.bias", TINY_HIDDEN, 0, 0.1f, 0);
    for (int l = 0; l < TINY_LAYERS; l++) {
        static const struct { const char *name; int rows, columns; float shift; } parts[] = {
            { "attention.self.query", TINY_HIDDEN, TINY_HIDDEN, 0 }, { "attention.self.key", TINY_HIDDEN, TINY_HIDDEN, 0 },
            { "attention.self.value", TINY_HIDDEN, TINY_HIDDEN, 0 }, { "attention.output.dense", TINY_HIDDEN, TINY_HIDDEN, 0 },
            { "attention.output.LayerNorm", TINY_HIDDEN, 0, 1 },     { "intermediate.dense", TINY_FEED_FORWARD, TINY_HIDDEN, 0 },
            { "output.dense", TINY_HIDDEN, TINY_FEED_FORWARD, 0 },   { "output.LayerNorm", TINY_HIDDEN, 0, 1 } };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "encoder.layer.%d.%s.weight", l, parts[i].name);
            add(&w, name, (size_t)parts[i].rows, (size_t)parts[i].columns, 0.4f, parts[i].shift);
            snprintf(name, sizeof name, "encoder.layer.%d.%s.bias", l, parts[i].name);
            add(&w, name, (size_t)parts[i].rows, 0, 0.1f, 0);
        }
    }
    if (labels != 0) {
        add(&w, "pooler.dense.weight", TINY_HIDDEN, TINY_HIDDEN, 0.4f, 0);
        add(&w, "pooler.dense.bias", TINY_HIDDEN, 0, 0.1f, 0);
        add(&w, "classifier.weight", (size_t)labels, TINY_HIDDEN, 1, 0);
        add(&w, "classifier.bias", (size_t)labels, 0, 0.1f, 0);
    }
    write_weights(&w, folder);
}

static void tokenizer(const char *folder)
{
    FILE *f = create(folder, "tokenizer.json");
    fputs("{\"added_tokens\":[", f);
    for (int i = 0; i < 5; i++)
        fprintf(f, "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}", i ? "," : "", i, pieces[i]);
    fputs("],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
          "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{", f);
    for (int i = 0; i < PIECES; i++)
        fprintf(f, "%s\"%s\":%d", i ? "," : "", pieces[i], i);
    fputs("}}}", f);
    fclose(f);
}

static void vocabulary(const char *folder)
{
    FILE *f = create(folder, "vocab.txt");
    for (int i = 0; i < PIECES; i++)
        fprintf(f, "%s\n", pieces[i]);
    fclose(f);
    text(folder, "tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":true}");
}

static void fill_folder(const char *folder, int labels, const char *more)
{
    assert_int_equal(mkdir(folder, 0700), 0);
    char config[1024], pooling[600];
    snprintf(config, sizeof config,
             "{%s\"model_type\":\"bert\",\"hidden_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"intermediate_size\":%d,\"hidden_act\":\"gelu\","
             "\"vocab_size\":%d,\"max_position_embeddings\":%d,\"type_vocab_size\":2,\"layer_norm_eps\":1e-12}",
             more, TINY_HIDDEN, TINY_LAYERS, TINY_HEADS, TINY_FEED_FORWARD, (int)PIECES, TINY_POSITIONS);
    text(folder, "config.json", config);
    text(folder, "sentence_bert_config.json", "{\"max_seq_length\":24}");
    weights(folder, labels);
    if (labels != 0)
        return;
    text(folder, "modules.json", "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
                                 "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
                                 "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]");
    text(folder, "config_sentence_transformers.json", "{\"prompts\":{\"query\":\"new \"}}");
    text(folder, "LICENSE", "Made for these tests; do as you like.\n");
    snprintf(pooling, sizeof pooling, "%s/1_Pooling", folder);
    assert_int_equal(mkdir(pooling, 0700), 0);
    text(pooling, "config.json", "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":false}");
}

const char *tiny_folder(void)
{
    static char folder[512];
    if (folder[0] == 0) {
        snprintf(folder, sizeof folder, "%s", temporary("tiny"));
        fill_folder(folder, 0, "");
        tokenizer(folder);
    }
    return folder;
}

const char *tiny_vocabulary_folder(void)
{
    static char folder[512];
    if (folder[0] == 0) {
        snprintf(folder, sizeof folder, "%s", temporary("tiny-vocabulary"));
        fill_folder(folder, 0, "");
        vocabulary(folder);
    }
    return folder;
}

const char *tiny_classifier_folder(int labels, const char *config)
{
    static char folder[512];
    static int number;
    char name[32];
    snprintf(name, sizeof name, "tiny-classifier-%d", number++);
    snprintf(folder, sizeof folder, "%s", temporary(name));
    fill_folder(folder, labels, config);
    tokenizer(folder);
    return folder;
}

const char *tiny_image_folder(const char *processor)
{
    static char folder[512];
    static int number;
    char name[128], text_of[512];
    writer w = { .header = "{", .length = 1, .data = malloc(1 << 20), .state = 11 };
    enum { H = TINY_HIDDEN, P = TINY_PATCH, TOKENS = 1 + (TINY_IMAGE / P) * (TINY_IMAGE / P) };
    snprintf(name, sizeof name, "tiny-image-%d", number++);
    snprintf(folder, sizeof folder, "%s", temporary(name));
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(text_of, sizeof text_of, "{\"model_type\":\"vit\",\"hidden_size\":%d,\"num_hidden_layers\":1,\"num_attention_heads\":%d,\"intermediate_size\":%d,"
             "\"image_size\":%d,\"patch_size\":%d,\"num_channels\":3,\"layer_norm_eps\":1e-12,\"hidden_act\":\"gelu\"}", H, TINY_HEADS, TINY_FEED_FORWARD, TINY_IMAGE, P);
    text(folder, "config.json", text_of);
    if (processor != NULL)
        text(folder, "preprocessor_config.json", processor);
    snprintf(text_of, sizeof text_of, "1,1,%d", H);
    add_shaped(&w, "embeddings.cls_token", text_of, H, 0.3f, 0);
    snprintf(text_of, sizeof text_of, "1,%d,%d", TOKENS, H);
    add_shaped(&w, "embeddings.position_embeddings", text_of, TOKENS * H, 0.3f, 0);
    snprintf(text_of, sizeof text_of, "%d,3,%d,%d", H, P, P);
    add_shaped(&w, "embeddings.patch_embeddings.projection.weight", text_of, 3 * H * P * P, 0.1f, 0);
    add(&w, "embeddings.patch_embeddings.projection.bias", H, 0, 0.1f, 0);
    static const struct { const char *name; int rows, columns; float shift; } parts[] = {
        { "attention.attention.query", H, H, 0 }, { "attention.attention.key", H, H, 0 }, { "attention.attention.value", H, H, 0 },
        { "attention.output.dense", H, H, 0 }, { "layernorm_before", H, 0, 1 }, { "layernorm_after", H, 0, 1 },
        { "intermediate.dense", TINY_FEED_FORWARD, H, 0 }, { "output.dense", H, TINY_FEED_FORWARD, 0 } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(name, sizeof name, "encoder.layer.0.%s.weight", parts[i].name);
        add(&w, name, (size_t)parts[i].rows, (size_t)parts[i].columns, 0.4f, parts[i].shift);
        snprintf(name, sizeof name, "encoder.layer.0.%s.bias", parts[i].name);
        add(&w, name, (size_t)parts[i].rows, 0, 0.1f, 0);
    }
    add(&w, "layernorm.weight", H, 0, 0.2f, 1);
    add(&w, "layernorm.bias", H, 0, 0.1f, 0);
    write_weights(&w, folder);
    return folder;
}

const char *tiny_sequence_folder(void)
{
    static char folder[512];
    if (folder[0] != 0)
        return folder;
    enum { H = TINY_HIDDEN };
    char name[128];
    writer w = { .header = "{", .length = 1, .data = malloc(1 << 20), .state = 13 };
    snprintf(folder, sizeof folder, "%s", temporary("tiny-sequence"));
    assert_int_equal(mkdir(folder, 0700), 0);
    add(&w, "item_embeddings.weight", TINY_ITEMS, H, 1, 0);
    add(&w, "position_embeddings.weight", TINY_POSITIONS, H, 0.3f, 0);
    add(&w, "LayerNorm.weight", H, 0, 0.2f, 1);
    add(&w, "LayerNorm.bias", H, 0, 0.1f, 0);
    static const struct { const char *name; int rows, columns; float shift; } parts[] = {
        { "attention.query", H, H, 0 }, { "attention.key", H, H, 0 }, { "attention.value", H, H, 0 }, { "attention.dense", H, H, 0 },
        { "attention.LayerNorm", H, 0, 1 }, { "intermediate.dense_1", TINY_FEED_FORWARD, H, 0 }, { "intermediate.dense_2", H, TINY_FEED_FORWARD, 0 },
        { "intermediate.LayerNorm", H, 0, 1 } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(name, sizeof name, "item_encoder.layer.0.%s.weight", parts[i].name);
        add(&w, name, (size_t)parts[i].rows, (size_t)parts[i].columns, 0.4f, parts[i].shift);
        snprintf(name, sizeof name, "item_encoder.layer.0.%s.bias", parts[i].name);
        add(&w, name, (size_t)parts[i].rows, 0, 0.1f, 0);
    }
    write_weights(&w, folder);
    return folder;
}
