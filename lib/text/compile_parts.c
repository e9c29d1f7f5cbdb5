#include "text/compile_parts.h"

#include <string.h>

#include "base/error.h"
#include "text/utf8.h"

enum { MOST_NESTING = 8 };

int32_t compile_unsupported(const draft *d, const char *what, const json *part, const char *supported)
{
    const json *type = json_get(part, "type");
    return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: %s type \"%s\" is not supported (supported: %s)", d->name, what,
                     json_is(type, JSON_STRING) ? type->text : "?", supported);
}

static int32_t wrong(const draft *d, const char *what, const json *part, const char *key, const char *expected)
{
    const json *type = json_get(part, "type"), *value = json_get(part, key);
    return error_at(d->err, ECREC_ERR_FORMAT, part->position, "%s: %s %s: \"%s\" is %s; it must be %s", d->name, what,
                    json_is(type, JSON_STRING) ? type->text : "?", key, value == NULL ? "missing" : "something else", expected);
}

static int is_null(const json *v)
{
    return v == NULL || json_is(v, JSON_NULL);
}

static int32_t flag(const draft *d, const json *part, const char *key, int missing, int *out)
{
    return json_get_bool(part, d->name, key, missing, out, d->err);
}

/* A string of exactly one character. */
static int32_t one_character(const draft *d, const char *what, const json *part, const char *key, uint32_t *out)
{
    const json *v = json_get(part, key);
    if (!json_is(v, JSON_STRING) || v->length == 0 || utf8_next((const unsigned char *)v->text, v->length, out) != v->length)
        return wrong(d, what, part, key, "one character");
    return ECREC_OK;
}

/* {"String": ...} or {"Regex": ...} */
static int32_t pattern_of(draft *d, const char *what, const json *part, image_op *op, int *is_pattern)
{
    const json *v = json_get(part, "pattern"), *text = json_get(v, "String"), *pattern = json_get(v, "Regex");
    *is_pattern = pattern != NULL;
    if (pattern != NULL ? !json_is(pattern, JSON_STRING) : !json_is(text, JSON_STRING))
        return wrong(d, what, part, "pattern", "{\"String\": ...} or {\"Regex\": ...}");
    if (pattern != NULL)
        return draft_pattern(d, d->name, pattern->text, pattern->length, strcmp(what, "pre_tokenizer") == 0, &op->pattern);
    if (text->length == 0 || text->length > 256)
        return wrong(d, what, part, "pattern", "1 .. 256 bytes");
    return draft_text(d, text->text, text->length, &op->text, &op->text_length);
}

static int32_t replace_of(draft *d, const char *what, const json *part, image_op *op)
{
    const json *content = json_get(part, "content");
    int is_pattern = 0;
    int32_t status = pattern_of(d, what, part, op, &is_pattern);
    if (status != ECREC_OK)
        return status;
    op->kind = is_pattern ? OP_REPLACE_PATTERN : OP_REPLACE;
    if (!json_is(content, JSON_STRING))
        return wrong(d, what, part, "content", "a string");
    return draft_text(d, content->text, content->length, &op->other, &op->other_length);
}

static int32_t behaviour_of(const draft *d, const char *what, const json *part, const char *missing, uint32_t *out)
{
    static const char *const names[BEHAVIOURS] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    const json *v = json_get(part, "behavior");
    for (uint32_t i = 0; i < BEHAVIOURS; i++)
        if (v == NULL ? missing != NULL && strcmp(missing, names[i]) == 0 : json_equal(v, names[i])) {
            *out = i;
            return ECREC_OK;
        }
    return wrong(d, what, part, "behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

/* Every member of a Sequence in turn. */
typedef int32_t (*part_compiler)(draft *d, const json *part, int depth);
static int32_t each(draft *d, const char *what, const json *part, const char *key, int depth, part_compiler one)
{
    const json *list = json_get(part, key);
    int32_t status = ECREC_OK;
    if (!json_is(list, JSON_ARRAY))
        return wrong(d, what, part, key, "an array");
    if (depth == MOST_NESTING)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: %s sequences lie more than %d deep", d->name, what, MOST_NESTING);
    for (const json *v = list->first; v != NULL && status == ECREC_OK; v = v->next)
        status = one(d, v, depth + 1);
    return status;
}

/* ---- normalizers ---- */

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int32_t charsmap(draft *d, const json *part)
{
    const json *map = json_get(part, "precompiled_charsmap");
    image_op op = { .kind = OP_CHARSMAP, .text = (uint32_t)d->data.length };
    uint32_t bits = 0, count = 0;
    if (is_null(map) || (json_is(map, JSON_STRING) && map->length == 0))
        return ECREC_OK; /* nothing is mapped */
    if (!json_is(map, JSON_STRING))
        return wrong(d, "normalizer", part, "precompiled_charsmap", "a base64 string");
    if (buffer_reserve(&d->data, map->length) != ECREC_OK)
        return error_nomem(d->err, "the character map", map->length);
    for (size_t i = 0; i < map->length && map->text[i] != '='; i++) {
        const int value = sextet(map->text[i]);
        if (value < 0)
            return wrong(d, "normalizer", part, "precompiled_charsmap", "base64");
        bits = bits << 6 | (uint32_t)value;
        if (++count % 4 != 1) {
            const unsigned char byte = (unsigned char)(bits >> (count % 4 == 2 ? 4 : count % 4 == 3 ? 2 : 0));
            if (buffer_append(&d->data, &byte, 1) != ECREC_OK)
                return error_nomem(d->err, "the character map", map->length);
        }
    }
    op.text_length = (uint32_t)(d->data.length - op.text);
    return draft_charsmap(d, op);
}

static int32_t bert_normalizer(draft *d, const json *part)
{
    const json *accents = json_get(part, "strip_accents");
    int clean = 0, chinese = 0, lower = 0, strip = 0;
    int32_t status = flag(d, part, "clean_text", 1, &clean);
    if (status == ECREC_OK)
        status = flag(d, part, "handle_chinese_chars", 1, &chinese);
    if (status == ECREC_OK)
        status = flag(d, part, "lowercase", 1, &lower);
    if (status == ECREC_OK)
        status = flag(d, part, "strip_accents", lower, &strip);
    if (status != ECREC_OK)
        return status;
    if (is_null(accents))
        strip = lower;
    return draft_op(d, 0, (image_op){ .kind = OP_BERT, .flags = (clean ? NORMALIZE_CLEAN : 0u) | (chinese ? NORMALIZE_CHINESE : 0u) |
                                      (strip ? NORMALIZE_STRIP_ACCENTS : 0u) | (lower ? NORMALIZE_LOWER : 0u) });
}

static int32_t normalizer(draft *d, const json *part, int depth)
{
    static const struct { const char *name; uint32_t kind; } plain[] = {
        { "NFC", OP_NFC }, { "NFD", OP_NFD }, { "NFKC", OP_NFKC }, { "NFKD", OP_NFKD }, { "StripAccents", OP_STRIP_ACCENTS },
        { "Lowercase", OP_LOWERCASE }, { "Nmt", OP_NMT }, { "ByteLevel", OP_BYTES },
    };
    const json *type = json_get(part, "type");
    image_op op = { 0 };
    int32_t status;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (json_equal(type, plain[i].name))
            return draft_op(d, 0, (image_op){ .kind = plain[i].kind });
    if (json_equal(type, "Sequence"))
        return each(d, "normalizer", part, "normalizers", depth, normalizer);
    if (json_equal(type, "BertNormalizer"))
        return bert_normalizer(d, part);
    if (json_equal(type, "Precompiled"))
        return charsmap(d, part);
    if (json_equal(type, "Replace")) {
        status = replace_of(d, "normalizer", part, &op);
        return status == ECREC_OK ? draft_op(d, 0, op) : status;
    }
    if (json_equal(type, "Prepend")) {
        const json *text = json_get(part, "prepend");
        op.kind = OP_PREPEND;
        if (!json_is(text, JSON_STRING))
            return wrong(d, "normalizer", part, "prepend", "a string");
        status = draft_text(d, text->text, text->length, &op.text, &op.text_length);
        return status == ECREC_OK ? draft_op(d, 0, op) : status;
    }
    if (json_equal(type, "Strip")) {
        int left = 0, right = 0;
        if ((status = flag(d, part, "strip_left", 0, &left)) != ECREC_OK || (status = flag(d, part, "strip_right", 0, &right)) != ECREC_OK)
            return status;
        return draft_op(d, 0, (image_op){ .kind = OP_STRIP, .flags = (left ? 1u : 0u) | (right ? 2u : 0u) });
    }
    return compile_unsupported(d, "normalizer", part,
                               "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents");
}

int32_t compile_normalizer(draft *d, const json *part)
{
    return is_null(part) ? ECREC_OK : normalizer(d, part, 0);
}

/* ---- pre-tokenizers ---- */

/* "add_prefix_space" until 2024, "prepend_scheme" and "split" since. */
static int32_t metaspace(draft *d, const json *part)
{
    const char *scheme = NULL;
    int split = 1, prefix = 1;
    image_op op = { .kind = OP_METASPACE };
    int32_t status = one_character(d, "pre_tokenizer", part, "replacement", &op.value);
    if (status == ECREC_OK)
        status = json_get_string(part, d->name, "prepend_scheme", NULL, &scheme, d->err);
    if (status == ECREC_OK)
        status = flag(d, part, "split", 1, &split);
    if (status == ECREC_OK)
        status = flag(d, part, "add_prefix_space", 1, &prefix);
    if (status != ECREC_OK)
        return status;
    if (scheme == NULL)
        scheme = prefix ? "always" : "never";
    if (strcmp(scheme, "always") == 0)
        op.flags = METASPACE_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        op.flags = METASPACE_FIRST;
    else if (strcmp(scheme, "never") != 0)
        return wrong(d, "pre_tokenizer", part, "prepend_scheme", "always, first or never");
    if (!prefix && op.flags != 0)
        return wrong(d, "pre_tokenizer", part, "add_prefix_space", "true where prepend_scheme is not never");
    if (split)
        op.flags |= METASPACE_SPLIT;
    return draft_op(d, 1, op);
}

static int32_t split(draft *d, const json *part)
{
    image_op op = { 0 };
    int inverted = 0, is_pattern = 0;
    int32_t status = pattern_of(d, "pre_tokenizer", part, &op, &is_pattern);
    if (status == ECREC_OK)
        status = behaviour_of(d, "pre_tokenizer", part, NULL, &op.value);
    if (status == ECREC_OK)
        status = flag(d, part, "invert", 0, &inverted);
    op.kind = is_pattern ? OP_SPLIT_PATTERN : OP_SPLIT;
    op.flags = inverted != 0;
    return status == ECREC_OK ? draft_op(d, 1, op) : status;
}

static int32_t whitespace(draft *d)
{
    /* \w and \s are those of Unicode TS 18 here */
    static const char words[] = "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}\\x{200C}\\x{200D}]+"
                                "|[^\\s\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}\\x{200C}\\x{200D}]+";
    image_op op = { .kind = OP_SPLIT_PATTERN, .value = BEHAVE_REMOVED, .flags = 1 };
    const int32_t status = draft_pattern(d, d->name, words, sizeof words - 1, 0, &op.pattern);
    return status == ECREC_OK ? draft_op(d, 1, op) : status;
}

static int32_t pre_tokenizer(draft *d, const json *part, int depth)
{
    const json *type = json_get(part, "type");
    image_op op = { 0 };
    int32_t status;
    if (json_equal(type, "Sequence"))
        return each(d, "pre_tokenizer", part, "pretokenizers", depth, pre_tokenizer);
    if (json_equal(type, "BertPreTokenizer")) {
        status = draft_op(d, 1, (image_op){ .kind = OP_SPACE_SPLIT });
        return status == ECREC_OK ? draft_op(d, 1, (image_op){ .kind = OP_PUNCTUATION, .value = BEHAVE_ISOLATED }) : status;
    }
    if (json_equal(type, "ByteLevel")) {
        int prefix = 1, pattern = 1;
        if ((status = flag(d, part, "add_prefix_space", 1, &prefix)) != ECREC_OK || (status = flag(d, part, "use_regex", 1, &pattern)) != ECREC_OK)
            return status;
        return draft_byte_level(d, prefix, pattern);
    }
    if (json_equal(type, "Whitespace"))
        return whitespace(d);
    if (json_equal(type, "WhitespaceSplit"))
        return draft_op(d, 1, (image_op){ .kind = OP_SPACE_SPLIT });
    if (json_equal(type, "Metaspace"))
        return metaspace(d, part);
    if (json_equal(type, "Split"))
        return split(d, part);
    if (json_equal(type, "UnicodeScripts"))
        return draft_op(d, 1, (image_op){ .kind = OP_SCRIPTS });
    if (json_equal(type, "Digits")) {
        int single = 0;
        if ((status = flag(d, part, "individual_digits", 0, &single)) != ECREC_OK)
            return status;
        return draft_op(d, 1, (image_op){ .kind = OP_DIGITS, .value = single ? BEHAVE_ISOLATED : BEHAVE_CONTIGUOUS });
    }
    if (json_equal(type, "Punctuation")) {
        op.kind = OP_PUNCTUATION;
        status = behaviour_of(d, "pre_tokenizer", part, "Isolated", &op.value);
        return status == ECREC_OK ? draft_op(d, 1, op) : status;
    }
    if (json_equal(type, "CharDelimiterSplit")) {
        op.kind = OP_DELIMITER;
        status = one_character(d, "pre_tokenizer", part, "delimiter", &op.value);
        return status == ECREC_OK ? draft_op(d, 1, op) : status;
    }
    if (json_equal(type, "FixedLength")) {
        uint64_t n = 0;
        if ((status = json_get_u64(part, d->name, "length", 5, &n, d->err)) != ECREC_OK)
            return status;
        if (n == 0 || n > 1 << 20)
            return wrong(d, "pre_tokenizer", part, "length", "1 .. 1048576");
        return draft_op(d, 1, (image_op){ .kind = OP_FIXED, .value = (uint32_t)n });
    }
    return compile_unsupported(d, "pre_tokenizer", part, "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, "
                               "Sequence, Split, UnicodeScripts, Whitespace, WhitespaceSplit");
}

int32_t compile_pre_tokenizer(draft *d, const json *part)
{
    return is_null(part) ? ECREC_OK : pre_tokenizer(d, part, 0);
}

/* ---- post-processors ---- */

static int32_t template_of(draft *d, const json *post, int pair)
{
    const json *list = json_get(post, pair ? "pair" : "single"), *specials = json_get(post, "special_tokens");
    int32_t status = ECREC_OK;
    if (!json_is(list, JSON_ARRAY))
        return wrong(d, "post_processor", post, pair ? "pair" : "single", "an array");
    for (const json *v = list->first; v != NULL && status == ECREC_OK; v = v->next) {
        const json *special = json_get(v, "SpecialToken"), *sequence = json_get(v, "Sequence");
        const json *one = special != NULL ? special : sequence, *id = json_get(one, "id");
        uint64_t type = 0;
        if (!json_is(id, JSON_STRING))
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: a slot of the post_processor has no \"id\"", d->name);
        if ((status = json_get_u64(one, d->name, "type_id", 0, &type, d->err)) != ECREC_OK)
            return status;
        if (sequence != NULL) {
            status = draft_slot(d, pair, json_equal(id, "B") ? SLOT_SECOND : SLOT_FIRST, 0, type);
            continue;
        }
        const json *ids = json_get(json_get(specials, id->text), "ids");
        if (!json_is(ids, JSON_ARRAY))
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: post_processor.special_tokens has no \"%s\"", d->name, id->text);
        for (const json *n = ids->first; n != NULL && status == ECREC_OK; n = n->next) {
            uint64_t number = 0;
            if (!json_u64(n, &number) || number >= MOST_PIECES)
                return error_at(d->err, ECREC_ERR_FORMAT, n->position, "%s: a special token's id is not a number", d->name);
            status = draft_slot(d, pair, SLOT_TOKEN, (uint32_t)number, type);
        }
    }
    if (status != ECREC_OK)
        return status;
    int first = 0, second = 0;
    for (size_t i = 0; i < d->slot_count[pair]; i++) {
        first += d->slots[pair][i].kind == SLOT_FIRST;
        second += d->slots[pair][i].kind == SLOT_SECOND;
    }
    if (first != 1 || second != pair)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: post_processor TemplateProcessing: \"%s\" does not hold each text exactly once", d->name,
                         pair ? "pair" : "single");
    return ECREC_OK;
}

static int32_t trimmed(draft *d, const json *part, int missing)
{
    int trim = 0, prefix = 0;
    int32_t status = flag(d, part, "trim_offsets", missing, &trim);
    if (status == ECREC_OK)
        status = flag(d, part, "add_prefix_space", 1, &prefix);
    if (trim)
        d->settings.flags |= TOKENIZER_TRIM | (prefix ? TOKENIZER_TRIM_PREFIX : 0u);
    return status;
}

static int32_t post_processor(draft *d, const json *part, int depth)
{
    const json *type = json_get(part, "type");
    const int bert = json_equal(type, "BertProcessing"), roberta = json_equal(type, "RobertaProcessing");
    if (json_equal(type, "Sequence"))
        return each(d, "post_processor", part, "processors", depth, post_processor);
    if (json_equal(type, "ByteLevel"))
        return trimmed(d, part, 1);
    if (!bert && !roberta && !json_equal(type, "TemplateProcessing"))
        return compile_unsupported(d, "post_processor", part, "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
    if (d->slot_count[0] != 0)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: a second post_processor that adds special tokens is not supported", d->name);
    if (bert || roberta) {
        uint64_t cls = 0, sep = 0;
        if (!json_u64(json_at(json_get(part, "cls"), 1), &cls) || !json_u64(json_at(json_get(part, "sep"), 1), &sep) || cls >= MOST_PIECES || sep >= MOST_PIECES)
            return wrong(d, "post_processor", part, "cls\" or \"sep", "[token, id]");
        if (bert)
            return draft_bert(d, (uint32_t)cls, (uint32_t)sep);
        const int32_t status = trimmed(d, part, 1);
        return status == ECREC_OK ? draft_roberta(d, (uint32_t)cls, (uint32_t)sep) : status;
    }
    const int32_t status = template_of(d, part, 0);
    return status == ECREC_OK ? template_of(d, part, 1) : status;
}

int32_t compile_post_processor(draft *d, const json *part)
{
    const int32_t status = is_null(part) ? ECREC_OK : post_processor(d, part, 0);
    return status == ECREC_OK && d->slot_count[0] == 0 ? draft_plain(d) : status;
}

/* ---- decoders ---- */

static int32_t marked(draft *d, const json *part, image_op op, const char *key, const char *missing)
{
    const char *text = NULL;
    int clean = 0;
    int32_t status = json_get_string(part, d->name, key, missing, &text, d->err);
    if (status == ECREC_OK && strlen(text) > 256)
        return wrong(d, "decoder", part, key, "at most 256 bytes");
    if (status == ECREC_OK)
        status = draft_text(d, text, strlen(text), &op.text, &op.text_length);
    if (status == ECREC_OK)
        status = flag(d, part, "cleanup", 1, &clean);
    op.flags = clean != 0;
    if (status == ECREC_OK && op.kind == OP_DECODE_CTC) {
        status = json_get_string(part, d->name, "word_delimiter_token", "|", &text, d->err);
        if (status == ECREC_OK && strlen(text) > 256)
            return wrong(d, "decoder", part, "word_delimiter_token", "at most 256 bytes");
        if (status == ECREC_OK)
            status = draft_text(d, text, strlen(text), &op.other, &op.other_length);
    }
    return status == ECREC_OK ? draft_op(d, 2, op) : status;
}

static int32_t decoder(draft *d, const json *part, int depth)
{
    const json *type = json_get(part, "type");
    image_op op = { 0 };
    int32_t status;
    if (json_equal(type, "Sequence"))
        return each(d, "decoder", part, "decoders", depth, decoder);
    if (json_equal(type, "ByteLevel"))
        return draft_op(d, 2, (image_op){ .kind = OP_DECODE_BYTES });
    if (json_equal(type, "ByteFallback"))
        return draft_op(d, 2, (image_op){ .kind = OP_DECODE_FALLBACK });
    if (json_equal(type, "Fuse"))
        return draft_op(d, 2, (image_op){ .kind = OP_DECODE_FUSE });
    if (json_equal(type, "WordPiece"))
        return marked(d, part, (image_op){ .kind = OP_DECODE_WORDPIECE }, "prefix", "##");
    if (json_equal(type, "BPEDecoder"))
        return marked(d, part, (image_op){ .kind = OP_DECODE_BPE }, "suffix", "</w>");
    if (json_equal(type, "CTC"))
        return marked(d, part, (image_op){ .kind = OP_DECODE_CTC }, "pad_token", "<pad>");
    if (json_equal(type, "Replace")) {
        status = replace_of(d, "decoder", part, &op);
        return status == ECREC_OK ? draft_op(d, 2, op) : status;
    }
    if (json_equal(type, "Metaspace")) {
        const char *scheme = NULL;
        int prefix = 1;
        op.kind = OP_DECODE_METASPACE;
        if ((status = one_character(d, "decoder", part, "replacement", &op.value)) != ECREC_OK ||
            (status = flag(d, part, "add_prefix_space", 1, &prefix)) != ECREC_OK ||
            (status = json_get_string(part, d->name, "prepend_scheme", prefix ? "always" : "never", &scheme, d->err)) != ECREC_OK)
            return status;
        op.flags = strcmp(scheme, "never") != 0;
        return draft_op(d, 2, op);
    }
    if (json_equal(type, "Strip")) {
        uint64_t left = 0, right = 0;
        op.kind = OP_DECODE_STRIP;
        if ((status = one_character(d, "decoder", part, "content", &op.value)) != ECREC_OK ||
            (status = json_get_u64(part, d->name, "start", 0, &left, d->err)) != ECREC_OK || (status = json_get_u64(part, d->name, "stop", 0, &right, d->err)) != ECREC_OK)
            return status;
        if (left > 0xFFFF || right > 0xFFFF)
            return wrong(d, "decoder", part, "start\" or \"stop", "0 .. 65535");
        op.flags = (uint32_t)left | (uint32_t)right << 16;
        return draft_op(d, 2, op);
    }
    return compile_unsupported(d, "decoder", part, "BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece");
}

int32_t compile_decoder(draft *d, const json *part)
{
    if (is_null(part))
        return ECREC_OK;
    d->settings.flags |= TOKENIZER_DECODER;
    return decoder(d, part, 0);
}
