#include "import/config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/format.h"

enum { MOST_PATH = 4096, MOST_LICENCE = 1 << 20, MOST_USUAL = 8192 /* tokens of a text, when the folder sets no limit of its own */,
       MOST_STATIC = 512 /* what model2vec reads of a text */ };

int32_t folder_file(const folder *f, const char *name, mapping **out, ecrec_error *err)
{
    char path[MOST_PATH];
    const size_t a = strlen(f->path), b = strlen(name);
    if (a + b + 2 > sizeof path)
        return error_set(err, ECREC_ERR_LIMIT, "the path of %s is longer than %d bytes", name, MOST_PATH - 1);
    memcpy(path, f->path, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return ECREC_ERR_NOT_FOUND;
    return mapping_open(f->context, path, out, err);
}

int32_t folder_json(folder *f, const char *name, const json **out, ecrec_error *err)
{
    mapping *map = NULL;
    *out = NULL;
    int32_t status = folder_file(f, name, &map, err);
    if (status != ECREC_OK)
        return status;
    const char *text = arena_copy(&f->a, (const char *)map->data, map->length); /* nodes point into the text */
    status = text == NULL ? error_nomem(err, name, map->length) : json_parse(&f->a, name, text, map->length, out, err);
    mapping_release(map);
    if (status == ECREC_OK && !json_is(*out, strcmp(name, "modules.json") == 0 ? JSON_ARRAY : JSON_OBJECT))
        status = error_at(err, ECREC_ERR_FORMAT, 0, "%s: the whole is not %s", name, strcmp(name, "modules.json") == 0 ? "an array" : "an object");
    return status;
}

int32_t folder_optional_json(folder *f, const char *name, const json **out, ecrec_error *err)
{
    const int32_t status = folder_json(f, name, out, err);
    return status == ECREC_ERR_NOT_FOUND ? ECREC_OK : status;
}

/* ---- sentence-transformers ---- */

static int32_t read_pooling(folder *f, const char *path, ecrec_error *err)
{
    static const char *const modes[][3] = { { "pooling_mode_mean_tokens", "mean", "mean" }, { "pooling_mode_cls_token", "cls", "cls" },
                                            { "pooling_mode_max_tokens", "max", "max" }, { "pooling_mode_lasttoken", "lasttoken", "last" } };
    static const char *const others[] = { "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens" };
    char name[512];
    const json *config = NULL;
    const char *chosen = NULL, *mode = NULL;
    int count = 0, on = 0, include = 1;
    format_text(name, sizeof name, "%s%sconfig.json", path, *path != 0 ? "/" : "");
    int32_t status = folder_json(f, name, &config, err);
    if (status != ECREC_OK)
        return status == ECREC_ERR_NOT_FOUND ? error_set(err, ECREC_ERR_IO, "%s: no such file or folder, but modules.json names it", name) : status;
    if ((status = json_get_string(config, name, "pooling_mode", NULL, &mode, err)) != ECREC_OK ||
        (status = json_get_bool(config, name, "include_prompt", 1, &include, err)) != ECREC_OK)
        return status;
    if (!include)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: include_prompt false is not supported", name);
    for (size_t i = 0; i < 4; i++) {
        if ((status = json_get_bool(config, name, modes[i][0], 0, &on, err)) != ECREC_OK)
            return status;
        if (on || (mode != NULL && strcmp(mode, modes[i][1]) == 0)) {
            chosen = modes[i][2];
            count++;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if ((status = json_get_bool(config, name, others[i], 0, &on, err)) != ECREC_OK)
            return status;
        if (on)
            return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: %s is not supported (supported: mean, cls, max, last)", name, others[i]);
    }
    if (count != 1)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: %d poolings at once are not supported (exactly one of mean, cls, max, last is)", name, count);
    return set_string(f, "encoder.pooling", chosen, err);
}

static int ends_with(const char *text, const char *tail)
{
    const size_t n = strlen(text), t = strlen(tail);
    return n >= t && strcmp(text + n - t, tail) == 0;
}

static int32_t read_modules(folder *f, ecrec_error *err)
{
    const json *modules = NULL;
    int32_t status = folder_optional_json(f, "modules.json", &modules, err);
    int normalize = 0;
    if (status == ECREC_OK)
        status = set_string(f, "encoder.pooling", modules == NULL && f->family != NULL ? f->family->pooling : "mean", err);
    if (status != ECREC_OK)
        return status;
    if (modules == NULL && f->family != NULL && (f->family->flags & FAMILY_UNIT) != 0)
        normalize = 1;
    for (const json *v = json_is(modules, JSON_ARRAY) ? modules->first : NULL; v != NULL; v = v->next) {
        const char *type = NULL, *path = NULL;
        if ((status = json_get_string(v, "modules.json", "type", "", &type, err)) != ECREC_OK ||
            (status = json_get_string(v, "modules.json", "path", "", &path, err)) != ECREC_OK)
            return status;
        if (strstr(path, "..") != NULL || path[0] == '/')
            return error_set(err, ECREC_ERR_FORMAT, "modules.json: the path \"%s\" leaves the folder", path);
        if (ends_with(type, ".Transformer") || ends_with(type, ".StaticEmbedding")) {
            if (*path != 0 && strcmp(path, ".") != 0)
                return error_set(err, ECREC_ERR_UNSUPPORTED, "modules.json: a model in the folder \"%s\" is not supported (import that folder)", path);
        } else if (ends_with(type, ".Pooling")) {
            if ((status = read_pooling(f, path, err)) != ECREC_OK)
                return status;
        } else if (ends_with(type, ".Normalize")) {
            normalize = 1;
        } else if (ends_with(type, ".Dense") && f->dense == NULL) {
            f->dense = path;
        } else {
            return error_set(err, ECREC_ERR_UNSUPPORTED, "modules.json: module type \"%s\" is not supported (supported: Transformer, StaticEmbedding, Pooling, one Dense, Normalize)", type);
        }
    }
    return set_u64(f, "encoder.normalize", (uint64_t)normalize, err);
}

int32_t folder_lengths(folder *f, uint32_t wanted, ecrec_error *err)
{
    const json *bert = NULL, *tokenizer = NULL;
    uint64_t length = 0;
    double most = 0;
    int lower = 0;
    int32_t status = folder_optional_json(f, "sentence_bert_config.json", &bert, err);
    if (status == ECREC_OK)
        status = folder_optional_json(f, "tokenizer_config.json", &tokenizer, err);
    if (status == ECREC_OK)
        status = json_get_u64(bert, "sentence_bert_config.json", "max_seq_length", 0, &length, err);
    if (status == ECREC_OK)
        status = json_get_bool(bert, "sentence_bert_config.json", "do_lower_case", 0, &lower, err);
    if (status == ECREC_OK) /* "no limit" is spelt as 1e30 */
        status = json_get_double(tokenizer, "tokenizer_config.json", "model_max_length", 0, &most, err);
    if (status != ECREC_OK)
        return status;
    if (lower)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "sentence_bert_config.json: do_lower_case true is not supported");
    if (length == 0 && (f->family->flags & FAMILY_STATIC) != 0 &&
        (status = json_get_u64(f->config, "config.json", "max_length", 0, &length, err)) != ECREC_OK)
        return status;
    if (length == 0) { /* what sentence-transformers does then, but a session's memory grows with it */
        length = most >= 1 && most < (double)f->positions ? (uint64_t)most : f->positions;
        const uint64_t usual = (f->family->flags & FAMILY_STATIC) != 0 && f->config != NULL ? MOST_STATIC : MOST_USUAL;
        length = length > usual ? usual : length;
    }
    if (wanted != 0 && (wanted > f->positions || (f->family->flags & FAMILY_IMAGE) != 0))
        return error_set(err, ECREC_ERR_INVALID, "max_length is %u, the model takes %llu tokens%s", wanted, (unsigned long long)f->positions,
                         (f->family->flags & FAMILY_IMAGE) != 0 ? ", always" : " at most");
    if (wanted != 0)
        length = wanted;
    if (length > f->positions || (f->family->flags & FAMILY_IMAGE) != 0)
        length = f->positions;
    f->max_length = length;
    return ECREC_OK;
}

static int32_t read_prompts(folder *f, ecrec_error *err)
{
    const json *config = NULL;
    const char *usual = NULL;
    int32_t status = folder_optional_json(f, "config_sentence_transformers.json", &config, err);
    if (status == ECREC_OK)
        status = json_get_string(config, "config_sentence_transformers.json", "default_prompt_name", NULL, &usual, err);
    const json *prompts = json_get(config, "prompts");
    for (const json *v = json_is(prompts, JSON_OBJECT) ? prompts->first : NULL; v != NULL && status == ECREC_OK; v = v->next) {
        char name[128];
        if (!json_is(v, JSON_STRING) || v->key_length > 100 || v->key_length == 0)
            return error_at(err, ECREC_ERR_FORMAT, v->position, "config_sentence_transformers.json: a prompt is no text or has no usable name");
        format_text(name, sizeof name, "prompt.%s", v->key);
        if (properties_set_string(f->settings, name, v->text, v->length) != ECREC_OK)
            return error_nomem(err, "a prompt", v->length);
    }
    if (status == ECREC_OK && usual != NULL) {
        if (!json_is(json_get(prompts, usual), JSON_STRING))
            return error_set(err, ECREC_ERR_FORMAT, "config_sentence_transformers.json: the default prompt \"%s\" is not among the prompts", usual);
        status = set_string(f, "prompt_default", usual, err);
    }
    return status;
}

int32_t folder_settings(folder *f, ecrec_error *err)
{
    int32_t status = folder_json(f, "config.json", &f->config, err);
    if (status == ECREC_OK)
        status = config_read(f, err);
    if (status != ECREC_OK && status != ECREC_ERR_NOT_FOUND)
        return status;
    const int missing = status == ECREC_ERR_NOT_FOUND;
    if ((status = read_modules(f, err)) == ECREC_OK)
        status = read_prompts(f, err);
    return status == ECREC_OK && missing ? ECREC_ERR_NOT_FOUND : status;
}

/* ---- licence ---- */

/* The "license:" of a README's front matter, "---" lines around it. */
static int32_t licence_name(folder *f, ecrec_error *err)
{
    mapping *map = NULL;
    int32_t status = folder_file(f, "README.md", &map, err);
    if (status != ECREC_OK)
        return status == ECREC_ERR_NOT_FOUND ? ECREC_OK : status;
    const char *text = (const char *)map->data;
    const size_t length = map->length < 65536 ? map->length : 65536;
    size_t line = 0;
    for (size_t at = 0; at < length && status == ECREC_OK; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        const size_t n = end != NULL ? (size_t)(end - text) - at : length - at;
        const int fence = n >= 3 && memcmp(text + at, "---", 3) == 0;
        if ((line == 0 && !fence) || (line > 0 && fence))
            break;
        if (n > 8 && memcmp(text + at, "license:", 8) == 0) {
            size_t from = at + 8, to = at + n;
            while (from < to && (text[from] == ' ' || text[from] == '"' || text[from] == '\''))
                from++;
            while (to > from && (text[to - 1] == ' ' || text[to - 1] == '"' || text[to - 1] == '\'' || text[to - 1] == '\r'))
                to--;
            if (to > from && to - from < 100 && properties_set_string(f->settings, "licence.name", text + from, to - from) != ECREC_OK)
                status = error_nomem(err, "a setting", to - from);
        }
        at += n + 1;
    }
    mapping_release(map);
    return status;
}

int32_t folder_licence(folder *f, parts *p, ecrec_error *err)
{
    static const char *const names[] = { "LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mapping *map = NULL;
        int32_t status = folder_file(f, names[i], &map, err);
        if (status == ECREC_ERR_NOT_FOUND)
            continue;
        if (status == ECREC_OK && map->length <= MOST_LICENCE &&
            parts_set_blob(p, "licence", map->data, map->length, 0, 0) != ECREC_OK)
            status = error_nomem(err, "the licence", map->length);
        mapping_release(map);
        if (status != ECREC_OK)
            return status;
        break;
    }
    return licence_name(f, err);
}
