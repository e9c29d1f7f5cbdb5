/* Ids that are no longer seen expire: they score as if they had never been, the others to the same bits; files, deltas and merges keep it. */
#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "ecrec/ecrec.h"
#include "rank/features.h"
#include "support.h"

enum { ROWS = 8 };
static const char *const users[ROWS] = { "anna", "anna", "bert", "bert", "carl", "carl", "dora", "dora" };
static const char *const items[ROWS] = { "x", "y", "x", "y", "x", "y", "x", "y" };
static const float clicks[ROWS] = { 1, 0, 1, 1, 0, 0, 0, 1 };
static const char network[] = ",\"network\":{\"pairs\":\"all\",\"width\":4,\"fm\":true,\"hidden\":[4]}";

static ecrec_schema *schema_of(ecrec_context *context, const char *user, const char *more)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    char text[512];
    snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"user\",\"kind\":\"user\"%s},{\"name\":\"item\",\"kind\":\"item\"}],\"labels\":[\"y\"],\"hash_bits\":16%s}", user, more);
    CALL(ecrec_schema_parse(context, text, strlen(text), &s, &err));
    return s;
}

/* Rows [first, first + n) of the eight. */
static ecrec_batch *rows(const ecrec_schema *s, size_t first, size_t n)
{
    static size_t one[ROWS] = { 1, 1, 1, 1, 1, 1, 1, 1 }, four[ROWS] = { 4, 4, 4, 4, 4, 4, 4, 4 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    CALL(ecrec_batch_set_category(b, 0, users + first, four, &err));
    CALL(ecrec_batch_set_category(b, 1, items + first, one, &err));
    CALL(ecrec_batch_set_label(b, 0, clicks + first, NULL, &err));
    return b;
}

static void learn(ecrec_model *m, size_t first, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    o.passes = 3;
    o.max_loss_growth = 10;
    ecrec_batch *b = rows(ecrec_model_schema(m), first, n);
    CALL(ecrec_update(m, b, &o, NULL, &err));
    ecrec_batch_release(b);
}

static void score(ecrec_model *m, float scores[ROWS])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_batch *b = rows(ecrec_model_schema(m), 0, ROWS);
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_score(m, session, b, NULL, scores, ROWS, &err));
    ecrec_session_release(session);
    ecrec_batch_release(b);
}

/* What a row scores whose user was never there. */
static void score_strangers(ecrec_model *m, float scores[2])
{
    static const char *const nobody[2] = { "nils", "nils" };
    static const size_t four[2] = { 4, 4 }, one[2] = { 1, 1 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_batch_create(ecrec_model_schema(m), &b, &err));
    CALL(ecrec_batch_reset(b, 2, &err));
    CALL(ecrec_batch_set_category(b, 0, nobody, four, &err));
    CALL(ecrec_batch_set_category(b, 1, items, one, &err));
    CALL(ecrec_score(m, session, b, NULL, scores, 2, &err));
    ecrec_session_release(session);
    ecrec_batch_release(b);
}

static double expire(ecrec_model *m, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double v = -1;
    CALL(ecrec_expire(m, &r, &err));
    CALL(ecrec_report_number(r, name, &v, &err));
    ecrec_report_release(r);
    return v;
}

static void test_expire(void **state)
{
    float before[ROWS], after[ROWS], loaded[ROWS], strangers[2];
    (void)state;
    for (int deep = 0; deep < 2; deep++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(1, 0);
        ecrec_schema *s = schema_of(context, ",\"expire_after\":2", deep ? network : "");
        ecrec_model *m = NULL, *again = NULL;
        CALL(ecrec_ranker_create(context, NULL, s, &m, &err));
        learn(m, 0, ROWS);                                 /* all of them, in period 0 */
        assert_true(expire(m, "expired.weights") == 0);     /* 1 */
        learn(m, 0, 2);                                    /* anna */
        assert_true(expire(m, "expired.weights") == 0);     /* 2: the others were not seen in one whole period */
        assert_true(expire(m, "expired.weights") == (deep ? 3 + 6 : 3)); /* 3: two: bert, carl and dora, and what each has with x and y */
        score(m, after);
        score_strangers(m, strangers);
        for (int i = 2; i < ROWS; i++)
            assert_true(after[i] == strangers[i % 2]);
        assert_true(after[0] != strangers[0] && after[1] != strangers[1]);
        memcpy(before, after, sizeof before);
        CALL(ecrec_model_save(m, temporary("expiry.ecrec"), &err));
        CALL(ecrec_model_load(context, temporary("expiry.ecrec"), NULL, &again, &err));
        assert_true(expire(again, "kept.weights") == 0 && expire(m, "expired.embeddings") == (deep ? 1 : 0)); /* 4: anna too */
        score(m, after);
        score(again, loaded);
        assert_memory_equal(after, loaded, sizeof after);
        assert_true(after[0] == strangers[0] && after[1] == strangers[1] && after[0] != 0.5f); /* x and y never expire */
        CALL(ecrec_rollback(m, ecrec_model_snapshot(m) - 1, &err));
        score(m, after);
        assert_memory_equal(after, before, sizeof after);
        ecrec_model_release(again);
        ecrec_model_release(m);
        ecrec_schema_release(s);
        ecrec_context_release(context);
    }
}

/* Who was admitted is admitted anew. */
static void test_admission(void **state)
{
    float scores[ROWS], strangers[2];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *s = schema_of(context, ",\"expire_after\":1,\"admit_after\":3", "");
    ecrec_model *m = NULL;
    (void)state;
    CALL(ecrec_ranker_create(context, NULL, s, &m, &err));
    learn(m, 0, 2);
    learn(m, 0, 2);
    learn(m, 0, 2); /* admitted by the second: it has weights of its own */
    score(m, scores);
    score_strangers(m, strangers);
    assert_true(scores[0] != strangers[0]);
    assert_true(expire(m, "kept.sightings") == 2);
    assert_true(expire(m, "expired.sightings") == 2);
    learn(m, 0, 2); /* seen twice: one of the rare ones again */
    learn(m, 2, 2);
    score(m, scores);
    score_strangers(m, strangers);
    assert_true(scores[0] == strangers[0] && scores[1] == strangers[1]);
    learn(m, 0, 2);
    learn(m, 0, 2);
    score(m, scores);
    score_strangers(m, strangers);
    assert_true(scores[0] != strangers[0]);
    ecrec_model_release(m);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

typedef struct bytes { unsigned char data[1 << 18]; size_t length; } bytes;

static int32_t take(void *opaque, const void *data, size_t n)
{
    bytes *b = opaque;
    assert_true(n <= sizeof b->data);
    memcpy(b->data, data, n);
    b->length = n;
    return 0;
}

/* A user whom one of two workers saw lives; a worker that ended a period by itself is refused. */
static void test_workers(void **state)
{
    static bytes deltas[3], merged;
    float ours[ROWS], theirs[ROWS], strangers[2];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *s = schema_of(context, ",\"expire_after\":1", network);
    ecrec_model *m = NULL, *replica = NULL;
    (void)state;
    CALL(ecrec_ranker_create(context, NULL, s, &m, &err));
    learn(m, 0, ROWS);
    CALL(ecrec_expire(m, NULL, &err));
    CALL(ecrec_model_save(m, temporary("base.ecrec"), &err));
    uint64_t start = 0;
    for (size_t k = 0; k < 3; k++) {
        ecrec_model *worker = NULL;
        const ecrec_sink sink = { .size = (uint32_t)sizeof sink, .write = take, .opaque = &deltas[k] };
        CALL(ecrec_model_load(context, temporary("base.ecrec"), NULL, &worker, &err));
        start = ecrec_model_snapshot(worker);
        learn(worker, k * 2, 2);
        if (k == 2)
            CALL(ecrec_expire(worker, NULL, &err));
        CALL(ecrec_delta_export(worker, start, 0, &sink, &err));
        ecrec_model_release(worker);
    }
    const void *const data[] = { deltas[0].data, deltas[1].data, deltas[2].data };
    const size_t lengths[] = { deltas[0].length, deltas[1].length, deltas[2].length };
    const ecrec_sink sink = { .size = (uint32_t)sizeof sink, .write = take, .opaque = &merged };
    CALL(ecrec_model_load(context, temporary("base.ecrec"), NULL, &replica, &err));
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_delta_merge(replica, data, lengths, 3, &sink, &err));
    CALL(ecrec_delta_merge(replica, data, lengths, 2, &sink, &err));
    CALL(ecrec_delta_apply(replica, merged.data, merged.length, NULL, &err));
    CALL(ecrec_expire(replica, NULL, &err));
    score(replica, ours);
    score_strangers(replica, strangers);
    assert_true(ours[0] != strangers[0] && ours[2] != strangers[0] && ours[4] == strangers[0] && ours[6] == strangers[0]);
    /* a replica follows to the same bits */
    CALL(ecrec_model_save(replica, temporary("after.ecrec"), &err));
    ecrec_model_release(replica);
    CALL(ecrec_model_load(context, temporary("after.ecrec"), NULL, &replica, &err));
    score(replica, theirs);
    assert_memory_equal(ours, theirs, sizeof ours);
    ecrec_model_release(replica);
    ecrec_model_release(m);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

static void test_wrong(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *plain = schema_of(context, "", ""), *s = schema_of(context, ",\"expire_after\":7,\"admit_after\":2", network);
    ecrec_model *m = NULL;
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    tensor_set *set = NULL;
    ranker *r = NULL;
    (void)state;
    CALL(ecrec_ranker_create(context, NULL, plain, &m, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_expire(m, NULL, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_expire(NULL, NULL, &err));
    o.expire_after = 3;
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_field(plain, "n", ECREC_FIELD_NUMBER, &o, NULL, &err));
    o.expire_after = 65536;
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_field(plain, "n", ECREC_FIELD_CATEGORY, &o, NULL, &err));
    /* a file's tensors are looked at */
    static const char *const names[] = { "learn.period", "learn.alive.weights", "learn.alive.embeddings", "learn.alive.sightings" };
    CALL(tensor_set_create(&context->m, &set));
    CALL(ranker_init_tensors(&context->m, s, 0, set, &err));
    for (size_t i = 0; i < 4; i++) {
        const uint64_t shape[2] = { 1, 1 };
        tensor *t = NULL, *good = tensor_reference(tensor_set_get(set, names[i]));
        assert_non_null(good);
        CALL(tensor_create(&context->m, TYPE_F64, LAYOUT_ROWS, 2, shape, &t));
        *(double *)tensor_edit(t) = -1;
        CALL(tensor_set_put(set, names[i], t));
        REFUSED(ECREC_ERR_FORMAT, ranker_create(&context->m, s, 0, set, &r, &err));
        CALL(tensor_set_put(set, names[i], good));
        tensor_release(t);
        tensor_release(good);
    }
    CALL(ranker_create(&context->m, s, 0, set, &r, &err));
    ranker_release(r);
    tensor_set_release(set);
    ecrec_model_release(m);
    ecrec_schema_release(plain);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_expire), cmocka_unit_test(test_admission), cmocka_unit_test(test_workers), cmocka_unit_test(test_wrong) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
