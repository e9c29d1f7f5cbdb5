/* Every allocation of every public call fails, once and for ever from there on: NOMEM, nothing leaks, the objects still work. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"
#include "tiny.h"

typedef struct world {
    fault_allocator f;
    ecrec_context *context;
    ecrec_model *base, *ranker;
    ecrec_session *session, *ranking;
    ecrec_schema *schema;
    ecrec_batch *batch;
    ecrec_error err;
} world;

static const char *const texts[] = { "red shoes", "blue running shoes", "a", "", "the red shirt", "running" };
static size_t lengths[6];
enum { ROWS = 6 };

static int32_t fill(ecrec_batch *b, ecrec_error *err)
{
    static const double numbers[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const uint8_t valid[ROWS] = { 1, 1, 0, 1, 1, 1 };
    static const float labels[ROWS] = { 1, 0, 1, 0, 1, 0 }, vectors[ROWS * 3] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    static const uint64_t shops[ROWS] = { 1, 2, 3, 1, 2, 3 };
    int32_t s = ecrec_batch_reset(b, ROWS, err);
    s = s ? s : ecrec_batch_set_text(b, 0, texts, lengths, err);
    s = s ? s : ecrec_batch_set_text(b, 1, texts, lengths, err);
    s = s ? s : ecrec_batch_set_category_u64(b, 2, shops, valid, err);
    s = s ? s : ecrec_batch_set_number(b, 3, numbers, valid, err);
    s = s ? s : ecrec_batch_set_vector(b, 4, vectors, 0, valid, err);
    s = s ? s : ecrec_batch_set_label(b, 0, labels, NULL, err);
    return s ? s : ecrec_batch_set_weight(b, labels, err);
}

static int32_t make_schema(ecrec_context *context, ecrec_schema **out, ecrec_error *err)
{
    static const char text[] = "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"word_ngrams\":2},{\"name\":\"query\",\"kind\":\"text\",\"compare\":\"title\","
                               "\"compare_only\":true},{\"name\":\"shop\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
                               "{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":3}],\"labels\":[\"click\"],\"hash_bits\":10}";
    return ecrec_schema_parse(context, text, strlen(text), out, err);
}

static void world_open(world *w)
{
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    memset(w, 0, sizeof *w);
    ecrec_error_init(&w->err);
    ecrec_error err = ECREC_ERROR_INIT;
    const ecrec_allocator hooks = fault_hooks(&w->f);
    options.allocator = &hooks;
    for (size_t i = 0; i < ROWS; i++)
        lengths[i] = strlen(texts[i]);
    CALL(ecrec_context_create(&options, &w->context, &err));
    CALL(ecrec_model_import(w->context, tiny_folder(), NULL, &w->base, NULL, &err));
    CALL(ecrec_session_create(w->base, NULL, &w->session, &err));
    CALL(make_schema(w->context, &w->schema, &err));
    CALL(ecrec_ranker_create(w->context, w->base, w->schema, &w->ranker, &err));
    CALL(ecrec_session_create(w->ranker, NULL, &w->ranking, &err));
    CALL(ecrec_batch_create(w->schema, &w->batch, &err));
    CALL(fill(w->batch, &err));
    CALL(ecrec_update(w->ranker, w->batch, NULL, NULL, &err));
    CALL(ecrec_model_save(w->ranker, temporary("ranker.ecrec"), &err));
}

static void world_close(world *w)
{
    ecrec_session_release(w->session);
    ecrec_session_release(w->ranking);
    ecrec_batch_release(w->batch);
    ecrec_schema_release(w->schema);
    ecrec_model_release(w->base);
    ecrec_model_release(w->ranker);
    ecrec_context_release(w->context);
    assert_int_equal(w->f.live_blocks, 0);
    assert_int_equal(w->f.live_bytes, 0);
    assert_int_equal(w->f.wrong, 0);
}

/* Each operation cleans up what it made. */
typedef int32_t (*operation)(world *w);

static int32_t op_context(world *w)
{
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    const ecrec_allocator hooks = fault_hooks(&w->f);
    options.allocator = &hooks;
    options.threads = 2;
    const int32_t s = ecrec_context_create(&options, &context, &w->err);
    ecrec_context_release(context);
    return s;
}
static int32_t op_import(world *w)
{
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    const int32_t s = ecrec_model_import(w->context, tiny_folder(), NULL, &m, &r, &w->err);
    assert_true((s == ECREC_OK) == (m != NULL) && (s == ECREC_OK) == (r != NULL));
    ecrec_report_release(r);
    ecrec_model_release(m);
    return s;
}
static int32_t op_load(world *w)
{
    ecrec_model *m = NULL;
    const int32_t s = ecrec_model_load(w->context, temporary("ranker.ecrec"), NULL, &m, &w->err);
    ecrec_model_release(m);
    return s;
}
static int32_t op_load_memory(world *w)
{
    size_t n = 0;
    char *bytes = read_file(temporary("ranker.ecrec"), &n);
    ecrec_model *m = NULL;
    const int32_t s = ecrec_model_load_memory(w->context, bytes, n, free, bytes, NULL, &m, &w->err);
    ecrec_model_release(m);
    return s;
}
static int32_t op_save(world *w) { return ecrec_model_save(w->ranker, temporary("again.ecrec"), &w->err); }
static int32_t op_info(world *w)
{
    ecrec_report *r = NULL;
    const int32_t s = ecrec_model_info(w->ranker, &r, &w->err);
    ecrec_report_release(r);
    return s;
}
static int32_t op_session(world *w)
{
    ecrec_session *one = NULL;
    const int32_t s = ecrec_session_create(w->ranker, NULL, &one, &w->err);
    ecrec_session_release(one);
    return s;
}
static int32_t op_encode(world *w)
{
    float vectors[ROWS * TINY_HIDDEN];
    return ecrec_encode(w->base, w->session, texts, lengths, ROWS, NULL, vectors, TINY_HIDDEN, &w->err);
}
static int32_t op_schema(world *w)
{
    ecrec_schema *one = NULL;
    const int32_t s = make_schema(w->context, &one, &w->err);
    ecrec_schema_release(one);
    return s;
}
static int32_t op_batch(world *w)
{
    ecrec_batch *b = NULL;
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : fill(b, &w->err);
    ecrec_batch_release(b);
    return s;
}
static int32_t op_ranker(world *w)
{
    ecrec_model *m = NULL;
    const int32_t s = ecrec_ranker_create(w->context, w->base, w->schema, &m, &w->err);
    ecrec_model_release(m);
    return s;
}
static int32_t op_score(world *w)
{
    float scores[ROWS];
    return ecrec_score(w->ranker, w->ranking, w->batch, NULL, scores, ROWS, &w->err);
}
static int32_t op_update(world *w)
{
    ecrec_report *r = NULL;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    o.passes = 2;
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    const int32_t s = ecrec_update(w->ranker, w->batch, &o, &r, &w->err);
    assert_int_equal(ecrec_model_snapshot(w->ranker) == before, s != ECREC_OK);
    assert_true((s == ECREC_OK) == (r != NULL));
    if (s == ECREC_OK) /* each try starts from the same state */
        assert_int_equal(ecrec_rollback(w->ranker, before, NULL), ECREC_OK);
    ecrec_report_release(r);
    return s;
}
static int32_t op_evaluate(world *w)
{
    static const float p[4] = { 0.1f, 0.4f, 0.35f, 0.8f }, y[4] = { 0, 0, 1, 1 };
    ecrec_report *r = NULL;
    const int32_t s = ecrec_evaluate(w->context, p, y, NULL, 4, &r, &w->err);
    ecrec_report_release(r);
    return s;
}
static int32_t op_prune(world *w)
{
    ecrec_prune_options o = ECREC_PRUNE_OPTIONS_INIT;
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    o.heads = 0.5;
    o.feed_forward = 0.25;
    o.layers = 1;
    o.texts = texts;
    o.lengths = lengths;
    o.count = ROWS;
    const int32_t s = ecrec_prune(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    return s;
}
static int32_t op_quantize(world *w)
{
    ecrec_quantize_options o = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    o.texts = texts;
    o.lengths = lengths;
    o.count = ROWS;
    const int32_t s = ecrec_quantize(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    return s;
}

static void check(const char *name, operation run, int allocates)
{
    world w;
    float scores[ROWS], again[ROWS];
    world_open(&w);
    assert_int_equal(run(&w), ECREC_OK);
    assert_int_equal(ecrec_score(w.ranker, w.ranking, w.batch, NULL, scores, ROWS, &w.err), ECREC_OK);
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        uint64_t tries = 0;
        for (uint64_t n = 1;; n++) {
            const int64_t blocks = w.f.live_blocks, bytes = w.f.live_bytes;
            w.f.count = 0;
            w.f.fail_at = n;
            w.f.for_ever = for_ever;
            w.err.message[0] = 0;
            const int32_t status = run(&w);
            w.f.fail_at = 0;
            if (w.f.count < n) { /* it needed fewer */
                assert_int_equal(status, ECREC_OK);
                break;
            }
            tries++;
            if (status != ECREC_ERR_NOMEM)
                fail_msg("%s: allocation %llu refused%s: it returned %s (%s)", name, (unsigned long long)n, for_ever ? " for ever" : "", ecrec_status_name(status),
                         w.err.message);
            assert_true(w.err.message[0] != 0);
            if (w.f.live_blocks != blocks || w.f.live_bytes != bytes)
                fail_msg("%s: allocation %llu refused: %lld blocks, %lld bytes leaked", name, (unsigned long long)n, (long long)(w.f.live_blocks - blocks),
                         (long long)(w.f.live_bytes - bytes));
        }
        assert_true((tries > 0) == (allocates != 0));
    }
    assert_int_equal(ecrec_score(w.ranker, w.ranking, w.batch, NULL, again, ROWS, &w.err), ECREC_OK);
    assert_memory_equal(scores, again, sizeof scores);
    world_close(&w);
}

#define TEST(name, allocates) static void test_##name(void **state) { (void)state; check(#name, op_##name, allocates); }
TEST(context, 1) TEST(import, 1) TEST(load, 1) TEST(load_memory, 1) TEST(save, 1) TEST(info, 1) TEST(session, 1) TEST(schema, 1) TEST(batch, 1)
TEST(ranker, 1) TEST(update, 1) TEST(evaluate, 1) TEST(prune, 1) TEST(quantize, 1)
/* these never allocate */
TEST(encode, 0) TEST(score, 0)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context), cmocka_unit_test(test_import), cmocka_unit_test(test_load), cmocka_unit_test(test_load_memory),
        cmocka_unit_test(test_save), cmocka_unit_test(test_info), cmocka_unit_test(test_session), cmocka_unit_test(test_schema),
        cmocka_unit_test(test_batch), cmocka_unit_test(test_ranker), cmocka_unit_test(test_update), cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_prune), cmocka_unit_test(test_quantize), cmocka_unit_test(test_encode), cmocka_unit_test(test_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
