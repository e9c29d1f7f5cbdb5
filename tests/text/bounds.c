/* No allocation after the scratch is made: random pipelines of every kind and texts of the greatest length that was asked for, of what
 * grows most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "text/compile.h"
#include "text/tokenizer.h"

enum { LENGTH = 3001, PIPELINES = 64, MOST_JSON = 1 << 16, MOST_TOKENS = 1 << 18 };
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Units of text: what decomposes, composes, lower-cases, splits or is spelt in the most bytes; marks out of order; what is no UTF-8. */
static const char *const units[] = {
    "\xEF\xB7\xBA", "\xCE\x90", "\xF0\x9D\x85\xA0", "\xCD\x84", "\xE1\xBE\x82", "\xE3\x8C\x80", "\xE3\x88\x9D", "\xC4\xB0", "\xC8\xBA", "\xEA\xB0\x81", "\xE4\xB8\xAD",
    "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7", "a\xCC\x81\xCC\x96", "a", "A", "!", " ", "  ", "\t", "a ", "7", "\xE2\x96\x81", "\xFF", "\xE0\xA0", "\xF0\x9F\x98", "\xEF\xBF\xBD", "[M]",
    "\xE3\x82\xAB\xE3\x82\x99", "\xC2\xA0", "\xC4\xA0", "aA!7 \xE4\xB8\xAD\xEF\xB7\xBA\xFF",
};

static const char *const normalizers[] = {
    "{\"type\":\"NFC\"}", "{\"type\":\"NFD\"}", "{\"type\":\"NFKC\"}", "{\"type\":\"NFKD\"}", "{\"type\":\"Lowercase\"}", "{\"type\":\"StripAccents\"}", "{\"type\":\"Nmt\"}",
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}", "{\"type\":\"ByteLevel\"}", "{\"type\":\"Prepend\",\"prepend\":\"\xE2\x96\x81x\"}",
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":true,\"lowercase\":true}",
    "{\"type\":\"BertNormalizer\",\"clean_text\":false,\"handle_chinese_chars\":true,\"strip_accents\":false,\"lowercase\":false}",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"b  cd\"}", "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xEF\xBF\xBD\"},\"content\":\"12345678\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \xE2\x96\x81 \"}", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[^a-c]\"},\"content\":\"xyz \"}",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}",
};
static const char *const pre_tokenizers[] = {
    "{\"type\":\"BertPreTokenizer\"}", "{\"type\":\"Whitespace\"}", "{\"type\":\"WhitespaceSplit\"}", "{\"type\":\"UnicodeScripts\"}", "{\"type\":\"FixedLength\",\"length\":1}",
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true,\"trim_offsets\":true}", "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false,\"trim_offsets\":true}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":true}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":false}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":true}",
    "{\"type\":\"Digits\",\"individual_digits\":true}", "{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}", "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"a\"}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s|\\\\w\"},\"behavior\":\"Isolated\",\"invert\":false}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x*\"},\"behavior\":\"Isolated\",\"invert\":false}",
    "{\"type\":\"Split\",\"pattern\":{\"String\":\"!\"},\"behavior\":\"MergedWithNext\",\"invert\":true}",
};
enum { MODELS = 8 };

static size_t add(char *out, size_t at, const char *text)
{
    const size_t n = strlen(text);
    assert_true(at + n < MOST_JSON);
    memcpy(out + at, text, n + 1);
    return at + n;
}

static size_t add_bytes(char *out, size_t at, unsigned id)
{
    char piece[32];
    for (unsigned i = 0; i < 256; i++, id++) {
        snprintf(piece, sizeof piece, ",\"<0x%02X>\":%u", i, id);
        at = add(out, at, piece);
    }
    return at;
}

/* The models, and added tokens in the source or in the normalised text. */
static size_t add_model(char *out, size_t at, unsigned which)
{
    static const char *const bpe = "\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"dropout\":null,\"fuse_unk\":%s,\"byte_fallback\":%s,\"ignore_merges\":%s,"
                                   "\"continuing_subword_prefix\":%s,\"end_of_word_suffix\":%s,\"merges\":[%s],\"vocab\":{\"u\":0,\"a\":1,\"aa\":2,\"[M]\":3,\"##a\":4,\"a##\":5,\"z\":6";
    char text[2048];
    switch (which) {
    case 0:
        return add(out, at, "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"aa\":2,\"[M]\":3}}");
    case 1:
        return add(out, at, "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
                            "\"vocab\":{\"u\":0,\"a\":1,\"##a\":2,\"[M]\":3,\"\xE4\xB8\xAD\":4,\"!\":5,\"##!\":6}}");
    case 2:
        return add(out, at, "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,\"vocab\":[[\"u\",0],[\"a\",-1],[\"aa\",-1.5],[\"[M]\",-2],[\"\xE2\x96\x81\",-3],[\"\xE4\xB8\xAD\",-4]]}");
    case 3: /* no merges: as many symbols as there are */
        snprintf(text, sizeof text, bpe, "false", "false", "false", "null", "null", "");
        return add(out, add(out, at, text), "}}");
    case 4: /* each merge makes two more */
        snprintf(text, sizeof text, bpe, "true", "false", "true", "null", "null", "\"a a\"");
        return add(out, add(out, at, text), "}}");
    default:
        snprintf(text, sizeof text, bpe, which == 5 ? "true" : "false", "true", "false", which == 6 ? "\"##\"" : "null", which == 7 ? "\"##\"" : "null", "");
        return add(out, add_bytes(out, add(out, at, text), 7), "}}");
    }
}

static unsigned next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33);
}

static size_t add_list(char *out, size_t at, const char *key, const char *list, const char *const *items, size_t n, size_t most, uint64_t *seed)
{
    const unsigned count = next(seed) % ((unsigned)most + 1);
    at = add(out, at, key);
    if (count == 0)
        return add(out, at, "null,");
    at = add(out, add(out, add(out, at, "{\"type\":\"Sequence\",\""), list), "\":[");
    for (unsigned i = 0; i < count; i++)
        at = add(out, i == 0 ? at : add(out, at, ","), items[next(seed) % n]);
    return add(out, at, "]},");
}

static size_t run(const tokenizer *t, token_work *w, const char *text, size_t length, uint32_t *ids, uint32_t *offsets)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const tokenize_call call = { .text = text, .length = length, .special = 1 };
    token_output out = { ids, offsets, NULL, MOST_TOKENS, 0 };
    CALL(tokenizer_run(t, w, &call, &out, &err));
    return out.count;
}

/* Texts of LENGTH bytes, with and without offsets: nothing is allocated. Then one of twice the length: it grows, and gives what a scratch of
 * that size gives. */
static void check(memory *m, const char *image, size_t image_length, const char *what)
{
    static uint32_t ids[MOST_TOKENS], same[MOST_TOKENS], offsets[2 * MOST_TOKENS];
    static char text[2 * LENGTH];
    ecrec_error err = ECREC_ERROR_INIT;
    tokenizer t;
    token_work *w = NULL, *wide = NULL;
    CALL(tokenizer_open(&t, image, image_length, &err));
    CALL(token_work_create_for(m, &t, LENGTH, &w, &err));
    CALL(token_work_create_for(m, &t, 2 * LENGTH, &wide, &err));
    const uint64_t before = atomic_load(&m->allocations), live = atomic_load(&m->live);
    for (size_t u = 0; u < COUNT(units); u++) {
        const size_t n = strlen(units[u]);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = units[u][i % n];
        for (int placed = 0; placed < 2; placed++) {
            (void)run(&t, w, text, LENGTH, ids, placed ? offsets : NULL);
            if (atomic_load(&m->allocations) != before || atomic_load(&m->live) != live)
                fail_msg("%d bytes of \"%s\"%s allocate: %s", LENGTH, units[u], placed ? " with offsets" : "", what);
        }
    }
    const size_t count = run(&t, wide, text, sizeof text, same, NULL);
    if (atomic_load(&m->allocations) != before)
        fail_msg("%zu bytes of the last text allocate: %s", sizeof text, what);
    if (run(&t, w, text, sizeof text, ids, NULL) != count || memcmp(ids, same, (count < MOST_TOKENS ? count : MOST_TOKENS) * sizeof *ids) != 0)
        fail_msg("a scratch that grows gives other ids: %s", what);
    token_work_destroy(w);
    token_work_destroy(wide);
}

static void random_pipelines(void **state)
{
    static char text[MOST_JSON];
    memory m;
    buffer image;
    uint64_t seed = 11;
    unsigned taken = 0;
    (void)state;
    memory_init(&m, NULL, 0);
    buffer_init(&image, &m);
    for (unsigned i = 0; i < PIPELINES; i++) {
        ecrec_error err = ECREC_ERROR_INIT;
        size_t at = add(text, 0, "{\"added_tokens\":[");
        if (next(&seed) % 2)
            at = add(text, add(text, add(text, at, "{\"id\":3,\"content\":\"[M]\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"special\":true,\"normalized\":"),
                               next(&seed) % 2 ? "true" : "false"), "}");
        at = add_list(text, add(text, at, "],"), "\"normalizer\":", "normalizers", normalizers, COUNT(normalizers), 3, &seed);
        at = add_list(text, at, "\"pre_tokenizer\":", "pretokenizers", pre_tokenizers, COUNT(pre_tokenizers), 3, &seed);
        at = add(text, add_model(text, at, i % MODELS), "}");
        image.length = 0;
        if (tokenizer_compile_json(&m, text, at, &image, &err) != ECREC_OK)
            continue;
        check(&m, (const char *)image.data, image.length, text);
        taken++;
    }
    buffer_release(&image);
    if (taken < PIPELINES * 3 / 4)
        fail_msg("only %u of %d pipelines were imported", taken, PIPELINES);
}

/* Published ones: character maps, and BERT's own pipeline. */
static void check_file(const char *path, const char *what)
{
    memory m;
    buffer image;
    ecrec_error err = ECREC_ERROR_INIT;
    size_t length = 0;
    NEED(path, what);
    char *text = read_file(path, &length);
    memory_init(&m, NULL, 0);
    buffer_init(&image, &m);
    CALL(tokenizer_compile_json(&m, text, length, &image, &err));
    check(&m, (const char *)image.data, image.length, what);
    buffer_release(&image);
    free(text);
}

static void sentencepiece(void **state)
{
    memory m;
    buffer image;
    ecrec_error err = ECREC_ERROR_INIT;
    size_t length = 0;
    const sentencepiece_settings settings = { SENTENCEPIECE_PLAIN, 0 };
    const char *path = data_path("tokenizers/t5-small/spiece.model");
    (void)state;
    NEED(path, "tokenizers/t5-small/spiece.model");
    char *bytes = read_file(path, &length);
    memory_init(&m, NULL, 0);
    buffer_init(&image, &m);
    CALL(tokenizer_compile_sentencepiece(&m, bytes, length, &settings, &image, &err));
    check(&m, (const char *)image.data, image.length, "spiece.model");
    buffer_release(&image);
    free(bytes);
}

static const char *json_of(const char *folder)
{
    static char path[512];
    const char *found = model_path(folder);
    if (found == NULL)
        return NULL;
    snprintf(path, sizeof path, "%s/tokenizer.json", found);
    return path;
}

static void t5(void **state) { (void)state; check_file(data_path("tokenizers/t5-small/tokenizer.json"), "tokenizers/t5-small"); }
static void clip(void **state) { (void)state; check_file(data_path("tokenizers/clip/tokenizer.json"), "tokenizers/clip"); }
static void roberta(void **state) { (void)state; check_file(data_path("tokenizers/roberta-base/tokenizer.json"), "tokenizers/roberta-base"); }
static void xlmr(void **state) { (void)state; check_file(json_of("multilingual-e5-small-q4"), "multilingual-e5-small-q4"); }
static void bert(void **state) { (void)state; check_file(json_of("all-MiniLM-L6-v2"), "all-MiniLM-L6-v2"); }

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_pipelines), cmocka_unit_test(t5), cmocka_unit_test(sentencepiece), cmocka_unit_test(clip), cmocka_unit_test(roberta), cmocka_unit_test(xlmr),
                                        cmocka_unit_test(bert) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
