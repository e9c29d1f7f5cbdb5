/* The tokenizer of a folder: tokenizer.json is what counts; without it what the slow tokenizers read. */
#include <string.h>

#include "base/error.h"
#include "import/folder.h"
#include "text/compile.h"
#include "text/tokenizer.h"

#define CONFIG "tokenizer_config.json"

static const char *token_text(const json *config, const char *key)
{
    const json *v = json_get(config, key), *content = json_get(v, "content");
    return json_is(v, JSON_STRING) ? v->text : json_is(content, JSON_STRING) ? content->text : NULL;
}

/* Is the tokenizer of this kind? By its class, or by the model where no class is said. */
static int is_kind(const folder *f, const json *config, const char *kind, const char *model_type)
{
    const json *class = json_get(config, "tokenizer_class");
    if (json_is(class, JSON_STRING))
        return strncmp(class->text, kind, strlen(kind)) == 0;
    return f->model_type != NULL && strncmp(f->model_type, model_type, strlen(model_type)) == 0;
}

static int32_t compile_vocab(folder *f, const json *config, const mapping *map, buffer *image, ecrec_error *err)
{
    wordpiece_settings s = { 1, -1, 1, NULL, NULL, NULL, NULL, NULL };
    int32_t status = json_get_bool(config, CONFIG, "do_lower_case", 1, &s.lower_case, err);
    if (status == ECREC_OK)
        status = json_get_bool(config, CONFIG, "tokenize_chinese_chars", 1, &s.chinese_characters, err);
    if (status == ECREC_OK)
        status = json_get_bool(config, CONFIG, "strip_accents", -1, &s.strip_accents, err);
    if (status != ECREC_OK)
        return status;
    s.unknown = token_text(config, "unk_token");
    s.cls = token_text(config, "cls_token");
    s.sep = token_text(config, "sep_token");
    s.pad = token_text(config, "pad_token");
    s.mask = token_text(config, "mask_token");
    return tokenizer_compile_vocab(&f->context->m, (const char *)map->data, map->length, &s, image, err);
}

static int32_t compile_merges(folder *f, const json *config, const mapping *map, buffer *image, ecrec_error *err)
{
    mapping *merges = NULL;
    bpe_settings s = { .roberta = is_kind(f, config, "Roberta", "roberta"), .clip = is_kind(f, config, "CLIP", "clip") };
    int32_t status = json_get_bool(config, CONFIG, "add_prefix_space", 0, &s.prefix_space, err);
    if (status != ECREC_OK)
        return status;
    if ((status = folder_file(f, "merges.txt", &merges, err)) != ECREC_OK)
        return status != ECREC_ERR_NOT_FOUND ? status : error_set(err, ECREC_ERR_IO, "%s/merges.txt: no such file (vocab.json needs it)", f->path);
    s.unknown = token_text(config, "unk_token");
    s.cls = token_text(config, s.clip ? "bos_token" : "cls_token");
    s.sep = token_text(config, s.clip ? "eos_token" : "sep_token");
    s.pad = token_text(config, "pad_token");
    s.mask = token_text(config, "mask_token");
    status = tokenizer_compile_merges(&f->context->m, (const char *)map->data, map->length, (const char *)merges->data, merges->length, &s, image, err);
    mapping_release(merges);
    return status;
}

static int32_t compile_sentencepiece(folder *f, const json *config, const mapping *map, buffer *image, ecrec_error *err)
{
    uint64_t extra = 0;
    sentencepiece_settings s = { SENTENCEPIECE_PLAIN, 0 };
    if (is_kind(f, config, "T5", "t5") || is_kind(f, config, "MT5", "mt5")) {
        const int32_t status = json_get_u64(config, CONFIG, "extra_ids", 100, &extra, err);
        if (status != ECREC_OK)
            return status;
        if (extra > 10000)
            return error_set(err, ECREC_ERR_FORMAT, CONFIG ": \"extra_ids\" is %llu, at most 10000 are possible", (unsigned long long)extra);
        s = (sentencepiece_settings){ SENTENCEPIECE_T5, (uint32_t)extra };
    } else if (is_kind(f, config, "XLMRoberta", "xlm-roberta") || is_kind(f, config, "Camembert", "camembert")) {
        s.family = is_kind(f, config, "Camembert", "camembert") ? SENTENCEPIECE_CAMEMBERT : SENTENCEPIECE_XLMR;
    } else if (is_kind(f, config, "Llama", "llama")) {
        s.family = SENTENCEPIECE_LLAMA;
    }
    return tokenizer_compile_sentencepiece(&f->context->m, (const char *)map->data, map->length, &s, image, err);
}

typedef struct form {
    const char *name;
    int32_t (*compile)(folder *f, const json *config, const mapping *map, buffer *image, ecrec_error *err);
} form;

static int32_t compile_json(folder *f, const json *config, const mapping *map, buffer *image, ecrec_error *err)
{
    (void)config;
    return tokenizer_compile_json(&f->context->m, (const char *)map->data, map->length, image, err);
}

static int32_t compile_first(folder *f, buffer *image, const char **from, ecrec_error *err)
{
    static const form forms[] = { { "tokenizer.json", compile_json },
                                  { "vocab.txt", compile_vocab },
                                  { "vocab.json", compile_merges },
                                  { "sentencepiece.bpe.model", compile_sentencepiece },
                                  { "spiece.model", compile_sentencepiece },
                                  { "tokenizer.model", compile_sentencepiece } };
    const json *config = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        mapping *map = NULL;
        int32_t status = folder_file(f, forms[i].name, &map, err);
        if (status == ECREC_ERR_NOT_FOUND)
            continue;
        *from = forms[i].name;
        if (status == ECREC_OK && i != 0)
            status = folder_optional_json(f, CONFIG, &config, err);
        if (status == ECREC_OK)
            status = forms[i].compile(f, config, map, image, err);
        mapping_release(map);
        return status;
    }
    return ECREC_ERR_NOT_FOUND;
}

int32_t folder_tokenizer(folder *f, parts *p, ecrec_error *err)
{
    buffer image;
    tokenizer t;
    const char *from = NULL;
    buffer_init(&image, &f->context->m);
    int32_t status = compile_first(f, &image, &from, err);
    if (status == ECREC_ERR_NOT_FOUND) {
        buffer_release(&image);
        return ECREC_OK; /* ids can still be encoded */
    }
    if (status == ECREC_OK)
        status = tokenizer_open(&t, image.data, image.length, err);
    if (status == ECREC_OK && f->vocabulary != 0 && tokenizer_size(&t) > f->vocabulary)
        status = error_set(err, ECREC_ERR_MISMATCH, "%s has token ids up to %u, but config.json a vocabulary of %llu", from,
                           tokenizer_size(&t) - 1, (unsigned long long)f->vocabulary);
    if (status == ECREC_OK && parts_set_blob(p, "tokenizer", image.data, image.length, 1, 1) != ECREC_OK)
        status = error_nomem(err, "the tokenizer", image.length);
    if (status == ECREC_OK && properties_set_string(f->settings, "source.tokenizer", from, strlen(from)) != ECREC_OK)
        status = error_nomem(err, "a setting", 0);
    f->has_tokenizer = status == ECREC_OK;
    buffer_release(&image);
    return status;
}
