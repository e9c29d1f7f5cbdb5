/* Tokenizers against the reference's ids and texts (ECREC_DATA/tokenizers), and what the data does not hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support.h"

#include "base/json.h"
#include "text/compile.h"
#include "text/decode.h"
#include "text/tokenizer.h"
#include "text/words.h"

typedef struct machine { memory m; buffer image; tokenizer t; token_work *work; } machine;

static void machine_open(machine *w, const char *text, size_t length, const wordpiece_settings *settings)
{
    ecrec_error err = ECREC_ERROR_INIT;
    memory_init(&w->m, NULL, 0);
    buffer_init(&w->image, &w->m);
    CALL(tokenizer_compile_vocab(&w->m, text, length, settings, &w->image, &err));
    CALL(tokenizer_open(&w->t, w->image.data, w->image.length, &err));
    CALL(token_work_create(&w->m, &w->t, &w->work, &err));
}

static void machine_close(machine *w)
{
    token_work_destroy(w->work);
    buffer_release(&w->image);
}

static size_t run(machine *w, const char *text, size_t length, const char *pair, size_t most, uint32_t *ids, uint32_t *offsets, uint8_t *types, size_t capacity)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const tokenize_call call = { .text = text, .length = length, .pair = pair, .pair_length = pair != NULL ? strlen(pair) : 0, .special = 1, .max_length = most };
    token_output out = { ids, offsets, types, capacity, 0 };
    CALL(tokenizer_run(&w->t, w->work, &call, &out, &err));
    return out.count;
}

/* A file of the data; NULL: not there, told. */
static char *data_file(const char *folder, const char *name, size_t *length)
{
    char path[256];
    snprintf(path, sizeof path, "tokenizers/%s/%s", folder, name);
    const char *file = data_path(path);
    if (file == NULL)
        print_message("skipped: %s is not there\n", path);
    return file != NULL ? read_file(file, length) : NULL;
}

static void check_case(machine *w, const char *name, const json *c)
{
    ecrec_error err = ECREC_ERROR_INIT;
    uint32_t ids[4096];
    const json *source = json_get(c, "text"), *wanted = json_get(c, "ids"), *pair = json_get(c, "text_pair");
    const size_t count = run(w, source->text, source->length, json_is(pair, JSON_STRING) ? pair->text : NULL, 0, ids, NULL, NULL, 4096);
    if (count != wanted->length)
        fail_msg("%s %s: %zu tokens, the reference has %u", name, c->key, count, wanted->length);
    for (size_t i = 0; i < count; i++)
        if (ids[i] != (uint32_t)json_at(wanted, i)->number)
            fail_msg("%s %s: token %zu is %u, the reference has %.0f", name, c->key, i, ids[i], json_at(wanted, i)->number);
    const char *text = NULL;
    size_t length = 0;
    CALL(tokenizer_decode(&w->t, w->work, ids, count, 0, &text, &length, &err));
    /* bytes lose nothing; other decoders are compared with the reference by differential.py (the file's texts are cleaned up further) */
    if (strcmp(name, "gpt2") == 0 && (length != source->length || memcmp(text, source->text, length) != 0))
        fail_msg("%s %s: decoded as \"%.*s\"", name, c->key, (int)length, text);
}

static void check_machine(machine *w, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t n = 0;
    const char *cases = data_path("tokenizers/vectors.json");
    NEED(cases, "tokenizers/vectors.json");
    char *text = read_file(cases, &n);
    arena a;
    const json *root = NULL;
    arena_init(&a, &w->m);
    CALL(json_parse(&a, cases, text, n, &root, &err));
    const json *list = json_get(root, name);
    assert_true(list->length > 3);
    for (const json *c = list->first; c != NULL; c = c->next)
        check_case(w, name, c);
    print_message("%s: %u cases equal\n", name, list->length);
    arena_release(&a);
    free(text);
}

static void check_vectors(const char *name, const char *vocabulary, int lower)
{
    size_t length = 0;
    const wordpiece_settings settings = { lower, -1, 1, NULL, NULL, NULL, NULL, NULL };
    machine w;
    char *vocab = data_file(vocabulary, "vocab.txt", &length);
    if (vocab == NULL)
        skip();
    machine_open(&w, vocab, length, &settings);
    check_machine(&w, name);
    machine_close(&w);
    free(vocab);
}

static void uncased(void **state) { (void)state; check_vectors("bert-base-uncased", "bert-base-uncased", 1); }
static void cased(void **state) { (void)state; check_vectors("bert-base-cased", "bert-base-cased", 0); }
static void chinese(void **state) { (void)state; check_vectors("bge-small-zh-v1.5", "bert-base-chinese", 0); }

static void machine_ready(machine *w)
{
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(tokenizer_open(&w->t, w->image.data, w->image.length, &err));
    CALL(token_work_create(&w->m, &w->t, &w->work, &err));
}

/* The same image memory for every file form. */
static void machine_begin(machine *w)
{
    memory_init(&w->m, NULL, 0);
    buffer_init(&w->image, &w->m);
}

/* From a tokenizer.json that was read, which is freed; NULL: not there. */
static int open_json_text(machine *w, char *text, size_t length)
{
    ecrec_error err = ECREC_ERROR_INIT;
    if (text == NULL)
        return 0;
    machine_begin(w);
    CALL(tokenizer_compile_json(&w->m, text, length, &w->image, &err));
    machine_ready(w);
    free(text);
    return 1;
}

static int open_json(machine *w, const char *folder)
{
    size_t length = 0;
    char *text = data_file(folder, "tokenizer.json", &length);
    return open_json_text(w, text, length);
}

/* The tokenizer of a model folder. */
static int open_model(machine *w, const char *folder)
{
    char path[256];
    size_t length = 0;
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    const char *file = model_path(path);
    if (file == NULL) {
        print_message("skipped: %s is not there\n", path);
        return 0;
    }
    char *text = read_file(file, &length);
    return open_json_text(w, text, length);
}

static int open_merges(machine *w, const char *folder, const bpe_settings *settings)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t a = 0, b = 0;
    char *vocab = data_file(folder, "vocab.json", &a), *merges = data_file(folder, "merges.txt", &b);
    if (vocab == NULL || merges == NULL)
        return 0;
    machine_begin(w);
    CALL(tokenizer_compile_merges(&w->m, vocab, a, merges, b, settings, &w->image, &err));
    machine_ready(w);
    free(vocab);
    free(merges);
    return 1;
}

static int open_sentencepiece(machine *w, const char *folder, const sentencepiece_settings *settings)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t length = 0;
    char *bytes = data_file(folder, "spiece.model", &length);
    if (bytes == NULL)
        return 0;
    machine_begin(w);
    CALL(tokenizer_compile_sentencepiece(&w->m, bytes, length, settings, &w->image, &err));
    machine_ready(w);
    free(bytes);
    return 1;
}

static void gpt2(void **state)
{
    const bpe_settings settings = { 0, 0, 0, NULL, NULL, NULL, NULL, NULL };
    machine w;
    (void)state;
    if (!open_merges(&w, "gpt2", &settings))
        skip();
    check_machine(&w, "gpt2");
    machine_close(&w);
}

static void clip(void **state)
{
    machine w;
    (void)state;
    if (!open_json(&w, "clip"))
        skip();
    check_machine(&w, "clip");
    machine_close(&w);
}

/* tokenizer.json and the SentencePiece model hold the same tokenizer. */
static void t5(void **state)
{
    const sentencepiece_settings settings = { SENTENCEPIECE_T5, 100 };
    machine w;
    (void)state;
    if (!open_json(&w, "t5-small"))
        skip();
    check_machine(&w, "t5-small");
    machine_close(&w);
    if (!open_sentencepiece(&w, "t5-small", &settings))
        skip();
    check_machine(&w, "t5-small");
    machine_close(&w);
}

/* tokenizer.json against vocab.json and merges.txt. */
static void roberta(void **state)
{
    static const char *const texts[] = { "Hello world's 1234", " na\xC3\xAFve  caf\xC3\xA9 \xE6\x9D\xB1\xE4\xBA\xAC!", "", "  a <mask> b</s>", "\xF0\x9F\x98\x80\n\n x\xFF" };
    const bpe_settings settings = { 0, 1, 0, NULL, NULL, NULL, NULL, NULL };
    machine a, b;
    uint32_t ids[2][256], offsets[2][512];
    (void)state;
    if (!open_json(&a, "roberta-base"))
        skip();
    if (!open_merges(&b, "roberta-base", &settings))
        skip();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const size_t n = run(&a, texts[i], strlen(texts[i]), "a pair", 0, ids[0], offsets[0], NULL, 256);
        assert_int_equal(run(&b, texts[i], strlen(texts[i]), "a pair", 0, ids[1], offsets[1], NULL, 256), n);
        assert_memory_equal(ids[0], ids[1], n * sizeof **ids);
        assert_memory_equal(offsets[0], offsets[1], 2 * n * sizeof **offsets);
    }
    machine_close(&a);
    machine_close(&b);
}

static const char small[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nshoe\n##s\ncafe\n\xE4\xB8\xAD\n!\na\n##b\nx\n";
enum { UNK = 1, CLS, SEP, MASK, RED, SHOE, S, CAFE, ZHONG, BANG, A, B, X };

static void small_open(machine *w)
{
    const wordpiece_settings settings = { 1, -1, 1, NULL, NULL, NULL, NULL, NULL };
    machine_open(w, small, sizeof small - 1, &settings);
}

static void expect(machine *w, const char *text, size_t length, const uint32_t *ids, size_t n, const uint32_t *offsets)
{
    uint32_t own[64], places[128];
    assert_int_equal(run(w, text, length, NULL, 0, own, places, NULL, 64), n + 2);
    assert_int_equal(own[0], CLS);
    assert_int_equal(own[n + 1], SEP);
    assert_memory_equal(own + 1, ids, n * sizeof *ids);
    if (offsets != NULL)
        assert_memory_equal(places + 2, offsets, 2 * n * sizeof *offsets);
}
#define EXPECT(text, ...) do { const uint32_t ids_[] = { __VA_ARGS__ }; expect(&w, text, sizeof(text) - 1, ids_, sizeof ids_ / sizeof *ids_, NULL); } while (0)

static void normalizer(void **state)
{
    machine w;
    (void)state;
    small_open(&w);
    EXPECT("Red SHOES!", RED, SHOE, S, BANG);
    EXPECT("Caf\xC3\xA9", CAFE);
    EXPECT("cafe\xCC\x81", CAFE);                       /* a combining accent */
    EXPECT("r\x01" "ed re\xE2\x80\x8B" "d", RED, RED);  /* controls and zero-width blanks vanish */
    EXPECT("red\xE4\xB8\xAD" "red", RED, ZHONG, RED);
    EXPECT("red [MASK] red", RED, MASK, RED);
    EXPECT("r\xFF" "ed \xC0\x80" "red \xED\xA0\x80" "red", RED, RED, RED); /* invalid UTF-8 is U+FFFD, which is dropped */
    EXPECT("red\0red", UNK);
    EXPECT("blue shoes", UNK, SHOE, S);
    const uint32_t ids[] = { CAFE, SHOE, S, BANG }, offsets[] = { 1, 6, 7, 11, 11, 12, 12, 13 };
    expect(&w, " Caf\xC3\xA9 shoes!", 13, ids, 4, offsets);
    const uint32_t none[1] = { 0 };
    expect(&w, "", 0, none, 0, NULL);
    expect(&w, " \t\n", 3, none, 0, NULL);
    machine_close(&w);
}

static void pairs_and_truncation(void **state)
{
    machine w;
    uint32_t ids[16], offsets[32];
    uint8_t types[16];
    (void)state;
    small_open(&w);
    assert_int_equal(run(&w, "red red", 7, "shoes a", 0, ids, offsets, types, 16), 8);
    const uint32_t whole[] = { CLS, RED, RED, SEP, SHOE, S, A, SEP };
    const uint8_t kinds[] = { 0, 0, 0, 0, 1, 1, 1, 1 };
    assert_memory_equal(ids, whole, sizeof whole);
    assert_memory_equal(types, kinds, sizeof kinds);
    assert_int_equal(run(&w, "red red red a", 13, "shoes", 6, ids, offsets, types, 16), 6);
    const uint32_t cut[] = { CLS, RED, RED, SEP, SHOE, SEP }; /* longest first: 4 + 2 tokens become 2 + 1 */
    assert_memory_equal(ids, cut, sizeof cut);
    assert_int_equal(run(&w, "red shoes", 9, NULL, 4, ids, offsets, types, 16), 4);
    const uint32_t single[] = { CLS, RED, SHOE, SEP };
    assert_memory_equal(ids, single, sizeof single);
    /* a buffer that is too small: the count is told, nothing is written past it */
    ids[2] = 77;
    assert_int_equal(run(&w, "red shoes", 9, NULL, 0, ids, NULL, NULL, 2), 5);
    assert_int_equal(ids[2], 77);
    /* a window of a long text: from a token on */
    ecrec_error err = ECREC_ERROR_INIT;
    const tokenize_call window = { .text = "red shoes a red", .length = 15, .first = 2, .max_length = 2 };
    token_output out = { ids, NULL, NULL, 16, 0 };
    CALL(tokenizer_run(&w.t, w.work, &window, &out, &err));
    const uint32_t middle[] = { S, A };
    assert_int_equal(out.count, 2);
    assert_memory_equal(ids, middle, sizeof middle);
    assert_int_equal(tokenizer_leading_count(&w.t), 1);
    machine_close(&w);
}

static double seconds_for(machine *w, const char *text, size_t n, uint32_t *ids, size_t capacity)
{
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    (void)run(w, text, n, NULL, 0, ids, NULL, NULL, capacity);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Hostile shapes of 1 MB take at most 16 times 1/8 of them: linear, not quadratic (which would be 64 times). */
static void check_linear(machine *w, const char *name)
{
    static const char *const shapes[] = { "x", "ab", "\xCC\x81", "\xE3\x80\xAE\xCC\x96", "[", "[MASK", "\xE4\xB8\xAD", "!", "\xFF", "=", "xyzzy", "\n ", "'s" };
    enum { LONG = 1 << 20 };
    char *text = malloc(LONG);
    uint32_t *ids = malloc((3 * LONG + 8) * sizeof *ids);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const size_t n = strlen(shapes[s]);
        double small_time = 1e9, large_time = 1e9;
        for (size_t i = 0; i < LONG; i++)
            text[i] = shapes[s][i % n];
        for (int round = 0; round < 3; round++) {
            const double a = seconds_for(w, text, LONG / 8, ids, 3 * LONG + 8), b = seconds_for(w, text, LONG, ids, 3 * LONG + 8);
            small_time = a < small_time ? a : small_time;
            large_time = b < large_time ? b : large_time;
            if (large_time <= 16 * small_time + 0.002)
                break;
        }
        if (large_time > 16 * small_time + 0.002)
            fail_msg("%s: 1 MB of \"%s\" takes %.4f s, an eighth of it %.4f s", name, shapes[s], large_time, small_time);
    }
    free(text);
    free(ids);
}

static void linear_time(void **state)
{
    static const char *const folders[] = { "clip", "t5-small", "roberta-base" };
    machine w;
    (void)state;
    small_open(&w);
    check_linear(&w, "WordPiece");
    machine_close(&w);
    for (size_t i = 0; i < 3; i++)
        if (open_json(&w, folders[i])) {
            check_linear(&w, folders[i]);
            machine_close(&w);
        }
    static const char looking[] = "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?<=a)b|\\\\b\\\\w+\\\\b|(?<!x)1*\"},\"behavior\":\"Isolated\","
                                  "\"invert\":false},\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}}}";
    assert_true(open_json_text(&w, strdup(looking), sizeof looking - 1));
    check_linear(&w, "a pattern that looks behind");
    machine_close(&w);
    const bpe_settings settings = { 0, 0, 0, NULL, NULL, NULL, NULL, NULL };
    if (open_merges(&w, "gpt2", &settings)) {
        check_linear(&w, "gpt2");
        machine_close(&w);
    }
    if (open_model(&w, "multilingual-e5-small-q4")) { /* XLM-R: Unigram of 250,037 pieces */
        check_linear(&w, "multilingual-e5-small-q4");
        machine_close(&w);
    }
}

/* What a pattern may not be is said with the pattern. */
static void patterns(void **state)
{
    static const struct { const char *pattern, *why; } refused[] = {
        { "x[^y]*y", "quadratic" }, { "(?<=a*)b", "fixed length" }, { "(?<=aaaaaaaaa)b", "8 characters" }, { "(a)\\\\1", "back reference" }, { "(a)b{2,1}", "repetition" }, { "[a", "not closed" },
        { "(?!ab)c", "more than one" }, { "a++a", "possessive" },
    };
    static const char *const taken[] = { "a|b+", "[^a-c]{2,3}?", "(?i:ab|c)?d", " +$", "a++b", "(?:x(?!y)|z)+", "a|b*", "^a", "(?<=ab|c)d", "\\\\bx\\\\Z", "[[:alpha:]&&[^a]]" };
    char text[512];
    memory m;
    buffer image;
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    memory_init(&m, NULL, 0);
    buffer_init(&image, &m);
    for (size_t i = 0; i < sizeof refused / sizeof *refused + sizeof taken / sizeof *taken; i++) {
        const size_t n = sizeof refused / sizeof *refused;
        const char *pattern = i < n ? refused[i].pattern : taken[i - n];
        const int length = snprintf(text, sizeof text, "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Isolated\",\"invert\":false},"
                                    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}}}", pattern);
        const int32_t status = tokenizer_compile_json(&m, text, (size_t)length, &image, &err);
        if (i >= n && status != ECREC_OK)
            fail_msg("%s: %s", pattern, err.message);
        if (i < n && (status != ECREC_ERR_UNSUPPORTED || (strchr(pattern, '\\') == NULL && strstr(err.message, pattern) == NULL) || strstr(err.message, refused[i].why) == NULL))
            fail_msg("%s: status %d, \"%s\"", pattern, status, err.message);
    }
    buffer_release(&image);
}

typedef struct grams { char text[512]; size_t length; } grams;
static void collect(void *opaque, uint32_t kind, const char *bytes, size_t length)
{
    grams *g = opaque;
    g->length += (size_t)snprintf(g->text + g->length, sizeof g->text - g->length, "%u:%.*s|", kind, (int)length, bytes);
}

static void ngrams(void **state)
{
    grams g = { "", 0 };
    (void)state;
    text_ngrams("Red shoes!", 10, 2, 0, collect, &g);
    assert_string_equal(g.text, "1:red|1:shoes|1:red shoes|1:!|1:shoes !|");
    g.length = 0;
    text_ngrams("ab", 2, 0, 4, collect, &g);
    assert_string_equal(g.text, "2:<ab|2:ab>|2:<ab>|");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(uncased), cmocka_unit_test(cased), cmocka_unit_test(chinese), cmocka_unit_test(gpt2), cmocka_unit_test(clip),
                                        cmocka_unit_test(t5), cmocka_unit_test(roberta), cmocka_unit_test(normalizer),
                                        cmocka_unit_test(pairs_and_truncation), cmocka_unit_test(linear_time), cmocka_unit_test(patterns), cmocka_unit_test(ngrams) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
