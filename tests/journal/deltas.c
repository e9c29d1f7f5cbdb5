/* Deltas: the same bits elsewhere, only where they belong, once; damaged and hostile ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/delta.h"
#include "shop.h"

typedef struct world {
    ecrec_context *context;
    ecrec_model *trainer, *replica;
} world;

static void open_world(world *w)
{
    w->context = context_with(1, 0);
    w->trainer = shop_ranker(w->context);
    w->replica = shop_ranker(w->context);
}

static void close_world(world *w)
{
    ecrec_model_release(w->trainer);
    ecrec_model_release(w->replica);
    ecrec_context_release(w->context);
}

static bytes export(ecrec_model *m, uint64_t from, uint64_t to)
{
    ecrec_error err = ECREC_ERROR_INIT;
    bytes b;
    const ecrec_sink sink = bytes_sink(&b);
    CALL(ecrec_delta_export(m, from, to, &sink, &err));
    return b;
}

static void scores_of(ecrec_model *m, float scores[SHOP_ROWS])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *s = NULL;
    ecrec_batch *b = shop_batch(m, 99);
    CALL(ecrec_session_create(m, NULL, &s, &err));
    CALL(ecrec_score(m, s, b, NULL, scores, SHOP_ROWS, &err));
    ecrec_session_release(s);
    ecrec_batch_release(b);
}

static void a_replica_follows(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    float ours[SHOP_ROWS], theirs[SHOP_ROWS];
    (void)unused;
    open_world(&w);
    assert_string_equal(shop_state(w.trainer), shop_state(w.replica));
    for (uint32_t k = 1; k <= 6; k++) {
        uint64_t number = 0;
        CALL(shop_learn(w.trainer, k, &err));
        assert_string_not_equal(shop_state(w.trainer), shop_state(w.replica));
        bytes d = export(w.trainer, k, 0);
        for (int again = 0; again < 2; again++) { /* the second time changes nothing */
            CALL(ecrec_delta_apply(w.replica, d.data, d.length, &number, &err));
            assert_int_equal(number, k + 1);
            assert_int_equal(ecrec_model_snapshot(w.replica), k + 1);
            assert_string_equal(shop_state(w.trainer), shop_state(w.replica));
        }
        free(d.data);
        scores_of(w.trainer, ours);
        scores_of(w.replica, theirs);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
    /* and its optimiser's state: both go on alike */
    CALL(shop_learn(w.trainer, 7, &err));
    CALL(shop_learn(w.replica, 7, &err));
    assert_string_equal(shop_state(w.trainer), shop_state(w.replica));
    close_world(&w);
}

/* What is small to send: a few rows of many. */
static void it_is_small(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double from = 0, to = 0, rows = 0;
    const char *result = NULL;
    (void)unused;
    open_world(&w);
    for (uint32_t k = 1; k <= 3; k++)
        CALL(shop_learn(w.trainer, k, &err));
    bytes d = export(w.trainer, 2, 4);
    CALL(ecrec_delta_info(w.context, d.data, d.length, &r, &err));
    CALL(ecrec_report_number(r, "from", &from, &err));
    CALL(ecrec_report_number(r, "to", &to, &err));
    CALL(ecrec_report_number(r, "rows", &rows, &err));
    CALL(ecrec_report_string(r, "result", &result, &err));
    assert_true(from == 2 && to == 4 && rows == 2 * SHOP_ROWS);
    assert_string_equal(result, shop_state(w.trainer));
    print_message("%zu bytes for %d rows\n", d.length, 2 * SHOP_ROWS);
    assert_true(d.length < 600 * 2 * SHOP_ROWS);
    ecrec_report_release(r);
    free(d.data);
    close_world(&w);
}

static void ranges_and_ways_back(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    char first[33];
    (void)unused;
    open_world(&w);
    memcpy(first, shop_state(w.trainer), 33);
    for (uint32_t k = 1; k <= 4; k++)
        CALL(shop_learn(w.trainer, k, &err));
    bytes forth = export(w.trainer, 1, 5), back = export(w.trainer, 5, 1);
    CALL(ecrec_delta_apply(w.replica, forth.data, forth.length, NULL, &err));
    assert_string_equal(shop_state(w.trainer), shop_state(w.replica));
    assert_int_equal(ecrec_model_snapshot(w.replica), 5);
    CALL(ecrec_rollback(w.replica, 1, &err));
    CALL(ecrec_delta_apply(w.replica, forth.data, forth.length, NULL, &err));
    assert_int_equal(ecrec_model_snapshot(w.replica), 6); /* a number is not given twice */
    CALL(ecrec_rollback(w.trainer, 1, &err));
    assert_string_equal(shop_state(w.trainer), first);
    /* back to one that is still kept, twice: the second time it is there already; and forth again */
    CALL(ecrec_delta_apply(w.replica, back.data, back.length, NULL, &err));
    assert_string_equal(shop_state(w.replica), first);
    CALL(ecrec_delta_apply(w.replica, back.data, back.length, NULL, &err));
    assert_string_equal(shop_state(w.replica), first);
    CALL(ecrec_delta_apply(w.replica, forth.data, forth.length, NULL, &err));
    assert_string_not_equal(shop_state(w.replica), first);
    free(forth.data);
    free(back.data);
    close_world(&w);
}

static void only_where_it_belongs(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    char before[33];
    uint64_t number = 77;
    (void)unused;
    open_world(&w);
    CALL(shop_learn(w.trainer, 1, &err));
    CALL(shop_learn(w.trainer, 2, &err));
    bytes late = export(w.trainer, 2, 3), early = export(w.trainer, 1, 2);
    memcpy(before, shop_state(w.replica), 33);
    REFUSED(ECREC_ERR_MISMATCH, ecrec_delta_apply(w.replica, late.data, late.length, &number, &err));
    assert_non_null(strstr(err.message, "from snapshot 2"));
    assert_int_equal(number, 77);
    assert_string_equal(before, shop_state(w.replica));
    CALL(shop_learn(w.replica, 5, &err)); /* has gone another way */
    REFUSED(ECREC_ERR_MISMATCH, ecrec_delta_apply(w.replica, early.data, early.length, NULL, &err));
    /* another schema */
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_schema *schema = NULL;
    ecrec_model *other = NULL, *empty = NULL;
    CALL(ecrec_schema_parse(w.context, json, strlen(json), &schema, &err));
    CALL(ecrec_ranker_create(w.context, NULL, schema, &other, &err));
    REFUSED(ECREC_ERR_MISMATCH, ecrec_delta_apply(other, early.data, early.length, NULL, &err));
    /* what is not kept, what is wrong */
    bytes none;
    const ecrec_sink sink = bytes_sink(&none);
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_delta_export(w.trainer, 9, 0, &sink, &err));
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_delta_export(w.trainer, 1, 9, &sink, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_delta_export(w.trainer, 0, 0, &sink, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_delta_export(w.trainer, 1, 0, NULL, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_delta_apply(w.trainer, NULL, 5, NULL, &err));
    assert_int_equal(none.length, 0);
    ecrec_model_release(other);
    ecrec_model_release(empty);
    ecrec_schema_release(schema);
    free(late.data);
    free(early.data);
    close_world(&w);
}

/* Every truncation and every flipped byte is refused with a sentence, and changes nothing. */
static void damaged(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    char before[33];
    (void)unused;
    open_world(&w);
    CALL(shop_learn(w.trainer, 1, &err));
    bytes d = export(w.trainer, 1, 2);
    memcpy(before, shop_state(w.replica), 33);
    for (size_t n = 0; n < d.length; n += n < 200 ? 1 : 97) {
        REFUSED(ECREC_ERR_FORMAT, ecrec_delta_apply(w.replica, d.data, n, NULL, &err));
    }
    for (size_t i = 0; i < d.length; i += i < 200 ? 1 : 31) {
        d.data[i] ^= 0x10;
        err.message[0] = 0;
        const int32_t status = ecrec_delta_apply(w.replica, d.data, d.length, NULL, &err);
        assert_true(status == ECREC_ERR_FORMAT && err.message[0] != 0);
        d.data[i] ^= 0x10;
    }
    assert_string_equal(before, shop_state(w.replica));
    CALL(ecrec_delta_apply(w.replica, d.data, d.length, NULL, &err));
    free(d.data);
    close_world(&w);
}

/* The same weights give the same fingerprint after they went through a file, where nothing of the chain is known. */
static void fingerprints_of_files(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    (void)unused;
    open_world(&w);
    (void)shop_state(w.trainer);
    for (uint32_t k = 1; k <= 3; k++)
        CALL(shop_learn(w.trainer, k, &err));
    CALL(ecrec_model_save(w.trainer, temporary("t.ecrec"), &err));
    ecrec_model *again = shop_load(w.context, temporary("t.ecrec"));
    assert_string_equal(shop_state(again), shop_state(w.trainer));
    CALL(shop_learn(w.trainer, 4, &err));
    bytes d = export(w.trainer, 4, 5);
    CALL(ecrec_delta_apply(again, d.data, d.length, NULL, &err));
    assert_string_equal(shop_state(again), shop_state(w.trainer));
    free(d.data);
    ecrec_model_release(again);
    close_world(&w);
}

static bytes merge(ecrec_model *m, const bytes *deltas, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const void *pointers[4];
    size_t lengths[4];
    bytes b;
    const ecrec_sink sink = bytes_sink(&b);
    for (size_t i = 0; i < n; i++) {
        pointers[i] = deltas[i].data;
        lengths[i] = deltas[i].length;
    }
    CALL(ecrec_delta_merge(m, pointers, lengths, n, &sink, &err));
    return b;
}

static double number_in(ecrec_context *context, bytes d, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double value = 0;
    CALL(ecrec_delta_info(context, d.data, d.length, &r, &err));
    CALL(ecrec_report_number(r, name, &value, &err));
    ecrec_report_release(r);
    return value;
}

/* Two that learned the same: where one of them is, but with twice the sums. Alone: what it was. In any case near to what each says. */
static void merged(void **unused)
{
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    float one[SHOP_ROWS], both[SHOP_ROWS];
    (void)unused;
    open_world(&w);
    for (uint32_t k = 1; k <= 2; k++) {
        CALL(shop_learn(w.trainer, k, &err));
        CALL(shop_learn(w.replica, k, &err));
    }
    CALL(shop_learn(w.trainer, 3, &err));
    CALL(shop_learn(w.replica, 3, &err));
    bytes d[2] = { export(w.trainer, 3, 0), export(w.replica, 3, 0) };
    bytes m = merge(w.trainer, d, 2);
    scores_of(w.trainer, one);
    assert_true(number_in(w.context, m, "rows") == 2 * SHOP_ROWS);
    CALL(ecrec_rollback(w.replica, 3, &err));
    CALL(ecrec_delta_apply(w.replica, m.data, m.length, NULL, &err));
    scores_of(w.replica, both);
    assert_string_not_equal(shop_state(w.trainer), shop_state(w.replica)); /* the sums */
    for (int i = 0; i < SHOP_ROWS; i++)
        assert_true(one[i] - both[i] < 1e-3f && both[i] - one[i] < 1e-3f);
    free(m.data);
    free(d[1].data);
    /* different rows: the merge does not depend on who comes first, up to rounding, and its score lies between */
    CALL(ecrec_rollback(w.replica, 3, &err));
    CALL(shop_learn(w.replica, 4, &err));
    d[1] = export(w.replica, 3, 0);
    const bytes turned[2] = { d[1], d[0] };
    m = merge(w.trainer, d, 2);
    bytes n = merge(w.trainer, turned, 2);
    float a[SHOP_ROWS], b[SHOP_ROWS];
    CALL(ecrec_rollback(w.replica, 3, &err));
    CALL(ecrec_delta_apply(w.replica, m.data, m.length, NULL, &err));
    scores_of(w.replica, a);
    CALL(ecrec_rollback(w.replica, 3, &err));
    CALL(ecrec_delta_apply(w.replica, n.data, n.length, NULL, &err));
    scores_of(w.replica, b);
    for (int i = 0; i < SHOP_ROWS; i++)
        assert_true(a[i] - b[i] < 1e-4f && b[i] - a[i] < 1e-4f);
    free(n.data);
    /* what cannot be merged */
    const void *wrong[2] = { d[0].data, m.data };
    size_t lengths[2] = { d[0].length, m.length - 1 };
    bytes none;
    const ecrec_sink sink = bytes_sink(&none);
    REFUSED(ECREC_ERR_FORMAT, ecrec_delta_merge(w.trainer, wrong, lengths, 2, &sink, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_delta_merge(w.trainer, wrong, lengths, 0, &sink, &err));
    bytes other = export(w.trainer, 2, 4);
    const void *bases[2] = { d[0].data, other.data };
    lengths[1] = other.length;
    REFUSED(ECREC_ERR_MISMATCH, ecrec_delta_merge(w.trainer, bases, lengths, 2, &sink, &err));
    free(other.data);
    free(m.data);
    free(d[0].data);
    free(d[1].data);
    close_world(&w);
}

/* A value that one worker alone has seen moves as far as there. */
static void seen_by_one(void **unused)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":16}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m[2] = { NULL, NULL };
    bytes d[2], both;
    float alone[2], together[2];
    const float labels[2] = { 1, 1 };
    (void)unused;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    for (uint64_t k = 0; k < 2; k++) {
        ecrec_batch *b = NULL;
        ecrec_session *s = NULL;
        ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
        float score = 0, parts[2];
        const uint64_t values[2] = { k, k };
        CALL(ecrec_ranker_create(context, NULL, schema, &m[k], &err));
        CALL(ecrec_batch_create(schema, &b, &err));
        CALL(ecrec_batch_reset(b, 2, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, values, NULL, &err));
        CALL(ecrec_batch_set_label(b, 0, labels, NULL, &err));
        CALL(ecrec_update(m[k], b, NULL, NULL, &err));
        d[k] = export(m[k], 1, 2);
        CALL(ecrec_batch_reset(b, 1, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, values, NULL, &err));
        CALL(ecrec_session_create(m[k], NULL, &s, &err));
        o.contributions = parts;
        o.contributions_capacity = 2;
        CALL(ecrec_score(m[k], s, b, &o, &score, 1, &err));
        alone[k] = parts[0];
        ecrec_session_release(s);
        ecrec_batch_release(b);
    }
    both = merge(m[0], d, 2);
    CALL(ecrec_rollback(m[0], 1, &err));
    CALL(ecrec_delta_apply(m[0], both.data, both.length, NULL, &err));
    for (uint64_t k = 0; k < 2; k++) {
        ecrec_batch *b = NULL;
        ecrec_session *s = NULL;
        ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
        float score = 0, parts[2];
        CALL(ecrec_batch_create(schema, &b, &err));
        CALL(ecrec_batch_reset(b, 1, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, &k, NULL, &err));
        CALL(ecrec_session_create(m[0], NULL, &s, &err));
        o.contributions = parts;
        o.contributions_capacity = 2;
        CALL(ecrec_score(m[0], s, b, &o, &score, 1, &err));
        together[k] = parts[0];
        ecrec_session_release(s);
        ecrec_batch_release(b);
        assert_true(alone[k] > 0 && together[k] == alone[k]);
    }
    for (int k = 0; k < 2; k++) {
        free(d[k].data);
        ecrec_model_release(m[k]);
    }
    free(both.data);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_replica_follows), cmocka_unit_test(it_is_small), cmocka_unit_test(ranges_and_ways_back),
                                        cmocka_unit_test(only_where_it_belongs), cmocka_unit_test(damaged), cmocka_unit_test(fingerprints_of_files),
                                        cmocka_unit_test(merged), cmocka_unit_test(seen_by_one) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
