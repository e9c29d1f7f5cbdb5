/* WordPiece against the reference tokenizers' ids (ECREC_DATA/tokenizers), and what the data does not hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support.h"

#include "base/json.h"
#include "text/compile.h"
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

static void check_vectors(const char *name, const char *vocabulary, int lower)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[256];
    size_t length = 0, n = 0;
    snprintf(path, sizeof path, "tokenizers/%s/vocab.txt", vocabulary);
    const char *file = data_path(path), *cases = data_path("tokenizers/vectors.json");
    NEED(file, path);
    NEED(cases, "tokenizers/vectors.json");
    const wordpiece_settings settings = { lower, -1, 1, NULL, NULL, NULL, NULL, NULL };
    machine w;
    char *vocab = read_file(file, &length), *text = read_file(cases, &n);
    machine_open(&w, vocab, length, &settings);
    arena a;
    const json *root = NULL;
    arena_init(&a, &w.m);
    CALL(json_parse(&a, cases, text, n, &root, &err));
    const json *list = json_get(root, name);
    assert_true(list->length > 3);
    uint32_t ids[4096];
    for (const json *c = list->first; c != NULL; c = c->next) {
        const json *source = json_get(c, "text"), *wanted = json_get(c, "ids");
        const json *pair = json_get(c, "text_pair");
        const size_t count = run(&w, source->text, source->length, json_is(pair, JSON_STRING) ? pair->text : NULL, 0, ids, NULL, NULL, 4096);
        if (count != wanted->length)
            fail_msg("%s %s: %zu tokens, the reference has %u", name, c->key, count, wanted->length);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(ids[i], (uint32_t)json_at(wanted, i)->number);
    }
    print_message("%s: %u cases equal\n", name, list->length);
    arena_release(&a);
    machine_close(&w);
    free(vocab);
    free(text);
}

static void uncased(void **state) { (void)state; check_vectors("bert-base-uncased", "bert-base-uncased", 1); }
static void cased(void **state) { (void)state; check_vectors("bert-base-cased", "bert-base-cased", 0); }
static void chinese(void **state) { (void)state; check_vectors("bge-small-zh-v1.5", "bert-base-chinese", 0); }

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
static void linear_time(void **state)
{
    static const char *const shapes[] = { "x", "ab", "\xCC\x81", "\xE3\x80\xAE\xCC\x96", "[", "[MASK", "\xE4\xB8\xAD", "!", "\xFF" };
    enum { LONG = 1 << 20 };
    machine w;
    (void)state;
    small_open(&w);
    char *text = malloc(LONG);
    uint32_t *ids = malloc((LONG + 8) * sizeof *ids);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const size_t n = strlen(shapes[s]);
        double small_time = 1e9, large_time = 1e9;
        for (size_t i = 0; i < LONG; i++)
            text[i] = shapes[s][i % n];
        for (int round = 0; round < 3; round++) {
            const double a = seconds_for(&w, text, LONG / 8, ids, LONG + 8), b = seconds_for(&w, text, LONG, ids, LONG + 8);
            small_time = a < small_time ? a : small_time;
            large_time = b < large_time ? b : large_time;
        }
        if (large_time > 16 * small_time + 0.002)
            fail_msg("1 MB of \"%s\" takes %.4f s, an eighth of it %.4f s", shapes[s], large_time, small_time);
    }
    free(text);
    free(ids);
    machine_close(&w);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(uncased), cmocka_unit_test(cased), cmocka_unit_test(chinese), cmocka_unit_test(normalizer),
                                        cmocka_unit_test(pairs_and_truncation), cmocka_unit_test(linear_time), cmocka_unit_test(ngrams) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
