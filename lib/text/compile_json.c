#include <string.h>

#include "base/error.h"
#include "text/compile.h"
#include "text/compile_parts.h"
#include "text/draft.h"

enum { MOST_ADDED_TOKENS = 1 << 17 };

/* ---- models ---- */

static int32_t object_vocab(draft *d, const json *vocab)
{
    if (!json_is(vocab, JSON_OBJECT) || vocab->length == 0)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: model.vocab is not an object with pieces", d->name);
    const int32_t status = draft_pieces(d, vocab->length);
    if (status != ECREC_OK)
        return status;
    for (const json *v = vocab->first; v != NULL; v = v->next) {
        uint64_t id = 0;
        if (!json_u64(v, &id) || id >= MOST_PIECES)
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: the piece \"%s\" has no id below %d", d->name, v->key, MOST_PIECES);
        d->pieces[d->piece_count++] = (piece){ v->key, v->key_length, (uint32_t)id, 0, 0 };
    }
    return draft_index(d);
}

static int32_t array_vocab(draft *d, const json *vocab)
{
    uint32_t id = 0;
    if (!json_is(vocab, JSON_ARRAY) || vocab->length == 0)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: model.vocab is not an array of [piece, score]", d->name);
    const int32_t status = draft_pieces(d, vocab->length);
    if (status != ECREC_OK)
        return status;
    for (const json *v = vocab->first; v != NULL; v = v->next) {
        const json *text = json_is(v, JSON_ARRAY) ? v->first : NULL, *score = text != NULL ? text->next : NULL;
        if (!json_is(text, JSON_STRING) || !json_is(score, JSON_NUMBER) || !(score->number - score->number == 0))
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: model.vocab: entry %u is not [piece, score]", d->name, id);
        d->pieces[d->piece_count++] = (piece){ text->text, text->length, id++, score->number, 0 };
    }
    return draft_index(d);
}

static int32_t unknown_piece(draft *d, const json *model, const char *missing, int wanted)
{
    const int32_t status = json_get_string(model, d->name, "unk_token", missing, &d->unknown, d->err);
    if (status != ECREC_OK || d->unknown == NULL)
        return status;
    d->settings.unknown = draft_find(d, d->unknown, strlen(d->unknown));
    if (d->settings.unknown == NO_ID && wanted)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", d->name, d->unknown);
    return ECREC_OK;
}

static int32_t wordpiece_model(draft *d, const json *model)
{
    uint64_t limit = 0;
    int32_t status = json_get_u64(model, d->name, "max_input_chars_per_word", 100, &limit, d->err);
    if (status == ECREC_OK)
        status = json_get_string(model, d->name, "continuing_subword_prefix", "##", &d->prefix, d->err);
    if (status == ECREC_OK)
        status = object_vocab(d, json_get(model, "vocab"));
    if (status == ECREC_OK)
        status = unknown_piece(d, model, "[UNK]", 1);
    if (status == ECREC_OK && limit == 0)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: max_input_chars_per_word is 0", d->name);
    d->settings.word_limit = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
    return status;
}

/* "a b" or ["a", "b"] */
static int32_t merge_of(draft *d, const json *v, merge_pair *out)
{
    if (json_is(v, JSON_ARRAY) && v->length == 2 && json_is(v->first, JSON_STRING) && json_is(v->first->next, JSON_STRING)) {
        *out = (merge_pair){ { v->first->text, v->first->length }, { v->first->next->text, v->first->next->length } };
        return ECREC_OK;
    }
    const char *blank = json_is(v, JSON_STRING) ? memchr(v->text, ' ', v->length) : NULL;
    if (blank == NULL || memchr(blank + 1, ' ', (size_t)(v->text + v->length - blank - 1)) != NULL)
        return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: model.merges: merge %zu is not two pieces", d->name, d->merge_count + 1);
    *out = (merge_pair){ { v->text, (size_t)(blank - v->text) }, { blank + 1, (size_t)(v->text + v->length - blank - 1) } };
    return ECREC_OK;
}

static int32_t bpe_model(draft *d, const json *model)
{
    static const struct { const char *key; uint32_t flag; } flags[] = {
        { "fuse_unk", TOKENIZER_FUSE_UNKNOWN }, { "byte_fallback", TOKENIZER_BYTE_FALLBACK }, { "ignore_merges", TOKENIZER_IGNORE_MERGES },
    };
    const json *merges = json_get(model, "merges");
    int32_t status = json_get_string(model, d->name, "continuing_subword_prefix", "", &d->prefix, d->err);
    if (status == ECREC_OK)
        status = json_get_string(model, d->name, "end_of_word_suffix", "", &d->suffix, d->err);
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++) {
        int on = 0;
        status = json_get_bool(model, d->name, flags[i].key, 0, &on, d->err);
        d->settings.flags |= on ? flags[i].flag : 0;
    }
    if (status == ECREC_OK)
        status = object_vocab(d, json_get(model, "vocab"));
    if (status == ECREC_OK)
        status = unknown_piece(d, model, NULL, 0);
    if (status != ECREC_OK)
        return status;
    if (!json_is(merges, JSON_ARRAY))
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: model.merges is not an array", d->name);
    if ((d->merges = arena_allocate(&d->a, merges->length * sizeof *d->merges + 1)) == NULL)
        return error_nomem(d->err, "the merges", merges->length * sizeof *d->merges);
    for (const json *v = merges->first; v != NULL; v = v->next) {
        if (json_is(v, JSON_STRING) && v->length >= 8 && memcmp(v->text, "#version", 8) == 0)
            continue;
        if ((status = merge_of(d, v, &d->merges[d->merge_count])) != ECREC_OK)
            return status;
        d->merge_count++;
    }
    return ECREC_OK;
}

static int32_t unigram_model(draft *d, const json *model)
{
    uint64_t unknown = UINT64_MAX;
    int fallback = 0;
    int32_t status = array_vocab(d, json_get(model, "vocab"));
    if (status == ECREC_OK)
        status = json_get_u64(model, d->name, "unk_id", UINT64_MAX, &unknown, d->err);
    if (status == ECREC_OK)
        status = json_get_bool(model, d->name, "byte_fallback", 0, &fallback, d->err);
    if (status != ECREC_OK)
        return status;
    if (unknown >= d->piece_count)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: model.unk_id is missing or past the vocabulary: what is unknown could not be told", d->name);
    d->settings.unknown = (uint32_t)unknown;
    d->settings.flags |= fallback ? TOKENIZER_BYTE_FALLBACK : 0u;
    return ECREC_OK;
}

static int32_t wordlevel_model(draft *d, const json *model)
{
    const int32_t status = object_vocab(d, json_get(model, "vocab"));
    return status == ECREC_OK ? unknown_piece(d, model, "<unk>", 1) : status;
}

static int32_t read_model(draft *d, const json *root)
{
    static const struct { const char *type; uint32_t model; int32_t (*read)(draft *, const json *); } models[] = {
        { "WordPiece", MODEL_WORDPIECE, wordpiece_model }, { "BPE", MODEL_BPE, bpe_model },
        { "Unigram", MODEL_UNIGRAM, unigram_model }, { "WordLevel", MODEL_WORDLEVEL, wordlevel_model },
    };
    const json *model = json_get(root, "model"), *type = json_get(model, "type");
    if (!json_is(model, JSON_OBJECT))
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: there is no \"model\"", d->name);
    /* older files do not say it */
    size_t guess = json_get(model, "merges") != NULL ? 1 : json_is(json_get(model, "vocab"), JSON_ARRAY) ? 2 :
                   json_get(model, "continuing_subword_prefix") != NULL ? 0 : 3;
    for (size_t i = 0; i < 4; i++)
        if (type == NULL ? i == guess : json_equal(type, models[i].type)) {
            d->settings.model = models[i].model;
            return models[i].read(d, model);
        }
    return compile_unsupported(d, "model", model, "BPE, Unigram, WordLevel, WordPiece");
}

/* ---- added tokens, truncation ---- */

static int32_t read_added(draft *d, const json *root)
{
    static const char *const names[] = { "special", "lstrip", "rstrip", "single_word", "normalized" };
    const json *list = json_get(root, "added_tokens");
    if (list == NULL || json_is(list, JSON_NULL))
        return ECREC_OK;
    if (!json_is(list, JSON_ARRAY) || list->length > MOST_ADDED_TOKENS)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: \"added_tokens\" is not an array of at most %d tokens", d->name, MOST_ADDED_TOKENS);
    for (const json *v = list->first; v != NULL; v = v->next) {
        const json *content = json_get(v, "content");
        uint64_t id = 0;
        uint32_t flags = 0;
        if (!json_u64(json_get(v, "id"), &id) || !json_is(content, JSON_STRING) || id >= MOST_PIECES)
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: an added token has no \"id\" or no \"content\"", d->name);
        if (content->length == 0)
            continue;
        for (size_t i = 0; i < 5; i++) {
            int on = 0;
            const int32_t status = json_get_bool(v, d->name, names[i], 0, &on, d->err);
            if (status != ECREC_OK)
                return status;
            flags |= on ? 1u << i : 0u;
        }
        const uint32_t own = draft_find(d, content->text, content->length); /* the vocabulary's word counts */
        const int32_t status = draft_add(d, content->text, content->length, own != NO_ID ? own : (uint32_t)id, flags);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

static int32_t read_truncation(draft *d, const json *root)
{
    static const char *const strategies[] = { "LongestFirst", "OnlyFirst", "OnlySecond" };
    const json *cut = json_get(root, "truncation");
    const char *direction = NULL, *strategy = NULL;
    uint64_t stride = 0;
    if (cut == NULL || json_is(cut, JSON_NULL))
        return ECREC_OK;
    int32_t status = json_get_string(cut, d->name, "direction", "Right", &direction, d->err);
    if (status == ECREC_OK)
        status = json_get_string(cut, d->name, "strategy", "LongestFirst", &strategy, d->err);
    if (status == ECREC_OK)
        status = json_get_u64(cut, d->name, "stride", 0, &stride, d->err);
    if (status != ECREC_OK)
        return status;
    uint32_t i = 0;
    while (i < 3 && strcmp(strategies[i], strategy) != 0)
        i++;
    if (i == 3 || (strcmp(direction, "Left") != 0 && strcmp(direction, "Right") != 0) || stride > UINT32_MAX)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: truncation with strategy \"%s\", direction \"%s\" is not supported (supported: LongestFirst, "
                         "OnlyFirst, OnlySecond; Left, Right)", d->name, strategy, direction);
    d->settings.cut = i;
    d->settings.stride = (uint32_t)stride;
    if (strcmp(direction, "Left") == 0)
        d->settings.flags |= TOKENIZER_CUT_LEFT;
    return ECREC_OK;
}

int32_t tokenizer_compile_json(memory *m, const char *text, size_t length, buffer *image, ecrec_error *err)
{
    draft *d = memory_allocate(m, sizeof *d);
    const json *root = NULL;
    if (d == NULL)
        return error_nomem(err, "a tokenizer", sizeof *d);
    draft_open(d, m, "tokenizer.json", err);
    int32_t status = json_parse(&d->a, d->name, text, length, &root, err);
    if (status == ECREC_OK && (status = read_model(d, root)) == ECREC_OK && (status = read_added(d, root)) == ECREC_OK &&
        (status = compile_normalizer(d, json_get(root, "normalizer"))) == ECREC_OK &&
        (status = compile_pre_tokenizer(d, json_get(root, "pre_tokenizer"))) == ECREC_OK &&
        (status = compile_post_processor(d, json_get(root, "post_processor"))) == ECREC_OK &&
        (status = compile_decoder(d, json_get(root, "decoder"))) == ECREC_OK && (status = read_truncation(d, root)) == ECREC_OK)
        status = draft_write(d, image);
    draft_close(d);
    memory_release(m, d, sizeof *d);
    return status;
}
