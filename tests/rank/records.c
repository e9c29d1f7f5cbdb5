/* Records: kinds of fields, and what a row is beside its fields. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rank/batch.h"
#include "rank/schema.h"
#include "rank/vocabulary.h"
#include "support.h"

static ecrec_schema *parse(ecrec_context *context, const char *text)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    CALL(ecrec_schema_parse(context, text, strlen(text), &s, &err));
    return s;
}

static void refused(int32_t status, int32_t wanted, const ecrec_error *err, const char *part)
{
    assert_int_equal(status, wanted);
    if (strstr(err->message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, part);
}

static const char kinds[] =
    "{\"fields\":[{\"name\":\"when\",\"kind\":\"time\",\"utc_offset\":-300},{\"name\":\"who\",\"kind\":\"user\",\"no_encoding\":true},"
    "{\"name\":\"what\",\"kind\":\"item\"},{\"name\":\"seen\",\"kind\":\"image\",\"dimension\":2},{\"name\":\"tags\",\"kind\":\"multi\",\"vocabulary\":[\"a\",\"bb\"],\"hash_seed\":9},{\"name\":\"rare\",\"kind\":\"multi\",\"admit_after\":9}],\"labels\":[\"click\"],\"hash_bits\":12,"
    "\"network\":{\"width\":4,\"fm\":true}}";

/* A model file keeps what the fields say, and a schema that says nothing new is written as before. */
static void test_schema_kept(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    CALL(ecrec_context_create(NULL, &context, &err));
    ecrec_schema *s = parse(context, kinds), *copy = NULL, *plain = parse(context, "{\"fields\":[{\"name\":\"a\",\"kind\":\"category\"}],\"labels\":[\"y\"]}");
    CALL(schema_copy(context, s, &copy, &err));
    assert_true(copy->fingerprint == s->fingerprint);
    assert_int_equal(copy->fields[0].utc_offset, -300);
    assert_int_equal(copy->fields[1].unused, 1);
    assert_int_equal(ecrec_schema_field_kind(copy, 2), ECREC_FIELD_ITEM);
    buffer b;
    buffer_init(&b, &context->m);
    assert_int_equal(schema_write(plain, &b), ECREC_OK);
    assert_int_equal(((unsigned char *)b.data)[0], 1);
    buffer_release(&b);
    /* every cut and every flip of the file's bytes is an error or a schema, never a crash */
    buffer_init(&b, &context->m);
    assert_int_equal(schema_write(s, &b), ECREC_OK);
    for (size_t n = 0; n < b.length; n++) {
        ecrec_schema *cut = NULL;
        assert_int_not_equal(schema_read(context, b.data, n, &cut, &err), ECREC_OK);
        for (int bit = 0; bit < 8; bit++) {
            b.data[n] ^= (unsigned char)(1 << bit);
            if (schema_read(context, b.data, b.length, &cut, &err) == ECREC_OK)
                ecrec_schema_release(cut);
            b.data[n] ^= (unsigned char)(1 << bit);
        }
    }
    buffer_release(&b);
    ecrec_schema_release(s);
    ecrec_schema_release(copy);
    ecrec_schema_release(plain);
    ecrec_context_release(context);
}

static void test_schema_refused(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *s = NULL;
    static const struct { const char *field, *says; } cases[] = {
        { "{\"name\":\"t\",\"kind\":\"hour\"}", "\"kind\" must be one of" },
        { "{\"name\":\"t\",\"kind\":\"time\",\"utc_offset\":900}", "-840 .. 840" },
        { "{\"name\":\"t\",\"kind\":\"category\",\"utc_offset\":60}", "it is for time fields" },
        { "{\"name\":\"t\",\"kind\":\"category\",\"no_encoding\":true}", "no_encoding is for text, time, user and item" },
        { "{\"name\":\"t\",\"kind\":\"image\"}", "dimension is 0" },
        { "{\"name\":\"t\",\"kind\":\"time\",\"dimension\":3}", "dimension and space are for vector and image" } };
    CALL(ecrec_context_create(NULL, &context, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"fields\":[%s],\"labels\":[\"y\"]}", cases[i].field);
        refused(ecrec_schema_parse(context, text, strlen(text), &s, &err), ECREC_ERR_INVALID, &err, cases[i].says);
    }
    ecrec_context_release(context);
}

/* Hour and weekday in the field's own offset are what a time is to a ranker; a user without weights changes nothing. */
static void test_time_is_learned(void **state)
{
    (void)state;
    enum { N = 14 * 24 };
    static int64_t times[2 * N];
    static float labels[N], scores[2 * N];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    const int64_t hour = 3600000000, first = -100 * 24 * hour; /* before 1970, a Tuesday */
    CALL(ecrec_context_create(NULL, &context, &err));
    ecrec_schema *schema = parse(context, "{\"fields\":[{\"name\":\"t\",\"kind\":\"time\",\"utc_offset\":-300},{\"name\":\"u\",\"kind\":\"user\",\"no_encoding\":true}],"
                                          "\"labels\":[\"y\"],\"hash_bits\":12}");
    CALL(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    CALL(ecrec_batch_create(schema, &batch, &err));
    for (int i = 0; i < 2 * N; i++)
        times[i] = first + i * hour + hour / 2;
    for (int i = 0; i < N; i++) { /* bought from 18 to 20 by the clock on the wall, five hours behind UTC */
        const int wall = (i + 24 - 5) % 24;
        labels[i] = wall >= 18 && wall < 20;
    }
    CALL(ecrec_batch_reset(batch, N, &err));
    CALL(ecrec_batch_set_time(batch, 0, times, NULL, &err));
    CALL(ecrec_batch_set_label(batch, 0, labels, NULL, &err));
    options.passes = 20;
    CALL(ecrec_update(ranker, batch, &options, NULL, &err));
    CALL(ecrec_batch_reset(batch, 2 * N, &err));
    CALL(ecrec_batch_set_time(batch, 0, times, NULL, &err));
    CALL(ecrec_score(ranker, session, batch, NULL, scores, 2 * N, &err));
    for (int i = N; i < 2 * N; i++)
        assert_true((scores[i] > 0.5f) == (labels[i - N] > 0.5f));
    float known = scores[3];
    static const char *const users[] = { "u1" };
    static const size_t lengths[] = { 2 };
    CALL(ecrec_batch_reset(batch, 1, &err));
    CALL(ecrec_batch_set_time(batch, 0, times + 3, NULL, &err));
    CALL(ecrec_batch_set_category(batch, 1, users, lengths, &err));
    CALL(ecrec_score(ranker, session, batch, NULL, scores, 1, &err));
    assert_memory_equal(&known, scores, sizeof known);
    ecrec_batch_release(batch);
    ecrec_session_release(session);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

static void test_row_columns(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_batch *b = NULL;
    static const uint32_t positions[] = { 1, 7, 0 }, bad_positions[] = { 1, 0, 1 };
    static const float propensities[] = { 1, .25f, 7 }, bad_propensities[] = { 1, 0, 1 }, weights[] = { 1, 2, 3 };
    static const uint64_t ids[] = { 0, UINT64_MAX, 3 };
    static const char *const names[] = { "e1", NULL, "" };
    static const size_t lengths[] = { 2, 0, 0 };
    static const uint8_t two[] = { 1, 1, 0 };
    static const int64_t times[] = { 0, INT64_MAX, 1 };
    CALL(ecrec_context_create(NULL, &context, &err));
    ecrec_schema *s = parse(context, kinds);
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_reset(b, 3, &err));
    assert_int_equal(batch_position(b, 1), 0);
    assert_true(batch_propensity(b, 1) == 1 && batch_weight(b, 2) == 1);
    assert_false(column_has(batch_row(b, ROW_EVENT), 0));
    CALL(ecrec_batch_set_position(b, positions, two, &err));
    CALL(ecrec_batch_set_propensity(b, propensities, two, &err));
    CALL(ecrec_batch_set_weight(b, weights, &err));
    CALL(ecrec_batch_set_event(b, ids, NULL, &err));
    CALL(ecrec_batch_set_group_bytes(b, names, lengths, &err));
    assert_int_equal(batch_position(b, 1), 7);
    assert_int_equal(batch_position(b, 2), 0);
    assert_true(batch_propensity(b, 1) == .25f && batch_propensity(b, 2) == 1 && batch_weight(b, 2) == 3);
    assert_true(column_id(batch_row(b, ROW_EVENT), 1) == UINT64_MAX);
    assert_true(column_has(batch_row(b, ROW_GROUP), 0) && !column_has(batch_row(b, ROW_GROUP), 1) && column_has(batch_row(b, ROW_GROUP), 2));
    assert_true(column_id(batch_row(b, ROW_GROUP), 0) == ecrec_id_hash("e1", 2));
    assert_true(ecrec_id_hash(NULL, 0) == 0x2D06800538D394C2u); /* XXH3 of nothing */
    refused(ecrec_batch_set_position(b, bad_positions, NULL, &err), ECREC_ERR_INVALID, &err, "row 1: the position is 0");
    assert_true(err.row == 1);
    refused(ecrec_batch_set_propensity(b, bad_propensities, NULL, &err), ECREC_ERR_INVALID, &err, "row 1: the propensity 0");
    refused(ecrec_batch_set_time(b, 0, times, NULL, &err), ECREC_ERR_INVALID, &err, "row 1, field \"when\"");
    refused(ecrec_batch_set_time(b, 2, times, NULL, &err), ECREC_ERR_INVALID, &err, "has kind item, the call is for time");
    assert_true(batch_propensity(b, 1) == .25f); /* as it was */
    CALL(ecrec_batch_reset(b, 2, &err));
    assert_false(column_has(batch_row(b, ROW_GROUP), 0));
    ecrec_batch_release(b);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

/* Bad rows: refused with the first sentence, or skipped: no score, nothing learned, each told. */
static void test_bad_rows(void **state)
{
    (void)state;
    enum { N = 40 };
    static double numbers[N];
    static float labels[N], scores[N], plain[N];
    static uint8_t valid[N];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_batch *b = NULL, *good = NULL;
    ecrec_session *session = NULL, *other = NULL;
    ecrec_model *ranker = NULL, *same = NULL;
    ecrec_report *report = NULL;
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_score_options score = ECREC_SCORE_OPTIONS_INIT;
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    uint64_t row = 0;
    double skipped = 0;
    CALL(ecrec_context_create(NULL, &context, &err));
    ecrec_schema *s = parse(context, "{\"fields\":[{\"name\":\"price\",\"kind\":\"number\",\"required\":true}],\"labels\":[\"y\"],\"hash_bits\":10}");
    CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
    CALL(ecrec_ranker_create(context, NULL, s, &same, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    CALL(ecrec_session_create(same, NULL, &other, &err));
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_create(s, &good, &err));
    for (int i = 0; i < N; i++) {
        numbers[i] = i % 7;
        labels[i] = i % 7 > 3;
        valid[i] = i != 30;
    }
    numbers[17] = NAN;
    labels[5] = 3;
    CALL(ecrec_batch_reset(b, N, &err));
    refused(ecrec_batch_set_number(b, 0, numbers, valid, &err), ECREC_ERR_INVALID, &err, "row 17, field \"price\": nan is not a number");
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_mark_bad(b, 9, "it is odd", 9, &err));
    CALL(ecrec_batch_set_bad_rows(b, ECREC_BAD_ROWS_SKIP, &err));
    CALL(ecrec_batch_set_number(b, 0, numbers, valid, &err));
    CALL(ecrec_batch_set_label(b, 0, labels, NULL, &err));
    CALL(ecrec_batch_mark_bad(b, 9, "it is odd", 9, &err));
    CALL(ecrec_batch_mark_bad(b, 17, "again", 5, &err)); /* known */
    assert_int_equal(ecrec_batch_bad_rows(b), 3);
    assert_non_null(strstr(ecrec_batch_bad_row(b, 0, &row), "nan is not a number"));
    assert_true(row == 17);
    assert_non_null(strstr(ecrec_batch_bad_row(b, 1, &row), "row 5, label \"y\": 3 is neither"));
    assert_string_equal(ecrec_batch_bad_row(b, 2, &row), "it is odd");
    assert_null(ecrec_batch_bad_row(b, 3, &row));
    /* refused as a whole without the option */
    refused(ecrec_score(ranker, session, b, NULL, scores, N, &err), ECREC_ERR_INVALID, &err, "row 17");
    refused(ecrec_update(ranker, b, NULL, NULL, &err), ECREC_ERR_INVALID, &err, "row 17");
    options.bad_rows = 2;
    refused(ecrec_update(ranker, b, &options, NULL, &err), ECREC_ERR_INVALID, &err, "bad_rows is 2");
    options.bad_rows = ECREC_BAD_ROWS_SKIP;
    CALL(ecrec_update(ranker, b, &options, &report, &err));
    CALL(ecrec_report_number(report, "skipped.rows", &skipped, &err));
    assert_true(skipped == 4); /* and the one without a price */
    assert_non_null(strstr(ecrec_report_json(report), "row 30: the required field"));
    ecrec_report_release(report);
    score.bad_rows = ECREC_BAD_ROWS_SKIP;
    CALL(ecrec_score(ranker, session, b, &score, scores, N, &err));
    /* the same model as one that never saw those rows */
    static double fewer[N];
    static float theirs[N];
    size_t n = 0;
    for (int i = 0; i < N; i++)
        if (i != 17 && i != 5 && i != 9 && i != 30) {
            fewer[n] = numbers[i];
            theirs[n++] = labels[i];
        }
    CALL(ecrec_batch_reset(good, n, &err));
    CALL(ecrec_batch_set_number(good, 0, fewer, NULL, &err));
    CALL(ecrec_batch_set_label(good, 0, theirs, NULL, &err));
    CALL(ecrec_update(same, good, NULL, NULL, &err));
    CALL(ecrec_score(same, other, good, NULL, plain, N, &err));
    n = 0;
    for (int i = 0; i < N; i++) {
        const int bad = i == 17 || i == 5 || i == 9 || i == 30;
        assert_true(bad ? isnan(scores[i]) : scores[i] == plain[n]);
        n += !bad;
    }
    fit.epochs = 1;
    refused(ecrec_fit(ranker, b, &fit, NULL, &err), ECREC_ERR_INVALID, &err, "row 17");
    fit.bad_rows = ECREC_BAD_ROWS_SKIP;
    CALL(ecrec_fit(ranker, b, &fit, &report, &err));
    CALL(ecrec_report_number(report, "skipped.rows", &skipped, &err));
    assert_true(skipped == 4);
    ecrec_report_release(report);
    struct ArrowSchema names;
    struct ArrowArray array;
    CALL(ecrec_score_arrow(ranker, session, b, &score, &names, &array, &err));
    assert_int_equal(array.children[0]->null_count, 4);
    assert_int_equal(((const uint8_t *)array.children[0]->buffers[0])[0], 0xDF); /* row 5 */
    names.release(&names);
    array.release(&array);
    CALL(ecrec_batch_reset(b, N, &err));
    assert_int_equal(ecrec_batch_bad_rows(b), 0);
    ecrec_batch_release(b);
    ecrec_batch_release(good);
    ecrec_session_release(session);
    ecrec_session_release(other);
    ecrec_model_release(ranker);
    ecrec_model_release(same);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

/* A fixed vocabulary: what is outside of it is one value, also after it was read back; few bits: values share weights. */
static void test_values(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    static const char *const shops[] = { "north", "south", "nowhere", "elsewhere", "north", "", NULL, "east" };
    static const char *const twice[] = { "west", "south" };
    static const size_t lengths[] = { 5, 5, 7, 9, 5, 0, 0, 4 };
    static const float labels[] = { 1, 0, 1, 1, 1, 0, 0, 1 };
    float scores[8], few[8];
    CALL(ecrec_context_create(NULL, &context, &err));
    static const char text[] = "{\"fields\":[{\"name\":\"shop\",\"kind\":\"category\",\"vocabulary\":[\"north\",\"south\",\"\"]}],\"labels\":[\"y\"],\"hash_bits\":12}";
    ecrec_schema *s = parse(context, text), *copy = NULL, *small = parse(context, "{\"fields\":[{\"name\":\"shop\",\"kind\":\"item\",\"hash_bits\":1,\"hash_seed\":7}],\"labels\":[\"y\"],\"hash_bits\":12}");
    CALL(schema_copy(context, s, &copy, &err));
    assert_true(copy->fingerprint == s->fingerprint && copy->fields[0].vocabulary->count == 3);
    refused(ecrec_schema_add_values(copy, "shop", twice, lengths, 2, &err), ECREC_ERR_INVALID, &err, "has \"south\" twice");
    refused(ecrec_schema_add_values(copy, "y", twice, lengths, 2, &err), ECREC_ERR_INVALID, &err, "\"y\" is none");
    assert_true(copy->fingerprint == s->fingerprint);
    CALL(ecrec_schema_add_values(copy, "shop", twice, lengths, 1, &err));
    assert_true(copy->fingerprint != s->fingerprint);
    ecrec_schema_release(copy);
    copy = NULL;
    CALL(schema_copy(context, small, &copy, &err));
    assert_true(copy->fingerprint == small->fingerprint && copy->fields[0].hash_seed == 7);
    ecrec_schema_release(copy);
    for (int k = 0; k < 2; k++) {
        ecrec_schema *one = k == 0 ? s : small;
        CALL(ecrec_ranker_create(context, NULL, one, &ranker, &err));
        CALL(ecrec_session_create(ranker, NULL, &session, &err));
        CALL(ecrec_batch_create(one, &b, &err));
        CALL(ecrec_batch_reset(b, 8, &err));
        CALL(ecrec_batch_set_category(b, 0, shops, lengths, &err));
        CALL(ecrec_batch_set_label(b, 0, labels, NULL, &err));
        CALL(ecrec_update(ranker, b, NULL, NULL, &err));
        CALL(ecrec_score(ranker, session, b, NULL, k == 0 ? scores : few, 8, &err));
        ecrec_batch_release(b);
        ecrec_session_release(session);
        ecrec_model_release(ranker);
    }
    assert_true(scores[2] == scores[3] && scores[3] == scores[7] && scores[0] == scores[4]); /* what no value is */
    assert_true(scores[0] != scores[1] && scores[1] != scores[2] && scores[5] != scores[2] && scores[6] != scores[2]);
    for (int i = 0; i < 8; i++) /* two weights, and that of what is missing */
        assert_true(i == 6 || few[i] == few[0] || few[i] == few[1] || few[i] == few[2]);
    int kinds_seen = 0;
    for (int i = 0; i < 8; i++) {
        int before = 0;
        for (int j = 0; j < i; j++)
            before |= few[j] == few[i];
        kinds_seen += !before;
    }
    assert_true(kinds_seen <= 3);
    static const char wrong[] = "{\"fields\":[{\"name\":\"a\",\"kind\":\"number\",\"hash_bits\":3}]}";
    refused(ecrec_schema_parse(context, wrong, sizeof wrong - 1, &copy, &err), ECREC_ERR_INVALID, &err, "hash_bits is 3");
    ecrec_schema_release(s);
    ecrec_schema_release(small);
    ecrec_context_release(context);
}

/* A value gets a weight of its own after three sightings; before, rare ones share one. It is saved with the ranker. */
static void test_admission(void **state)
{
    (void)state;
    enum { N = 8 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *ranker = NULL, *loaded = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    static const char *const shops[N] = { "often", "often", "often", "often", "once", "twice", "twice", "never" };
    static const size_t lengths[N] = { 5, 5, 5, 5, 4, 5, 5, 5 };
    static const float labels[N] = { 1, 1, 1, 1, 0, 0, 0, 0 };
    static const uint8_t seen[N] = { 1, 1, 1, 1, 1, 1, 1, 0 };
    float scores[N], again[N];
    CALL(ecrec_context_create(NULL, &context, &err));
    ecrec_schema *s = parse(context, "{\"fields\":[{\"name\":\"shop\",\"kind\":\"item\",\"admit_after\":3}],\"labels\":[\"y\"],\"hash_bits\":12}");
    CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    CALL(ecrec_batch_create(s, &b, &err));
    for (int round = 0; round < 3; round++) {
        CALL(ecrec_batch_reset(b, N - 1, &err));
        CALL(ecrec_batch_set_category(b, 0, shops, lengths, &err));
        CALL(ecrec_batch_set_label(b, 0, labels, seen, &err));
        CALL(ecrec_update(ranker, b, NULL, NULL, &err));
        CALL(ecrec_batch_reset(b, N, &err));
        CALL(ecrec_batch_set_category(b, 0, shops, lengths, &err));
        CALL(ecrec_score(ranker, session, b, NULL, scores, N, &err));
        if (round == 0) { /* "often" was admitted, and has learned nothing of its own */
            assert_true(scores[4] == scores[7] && scores[5] == scores[7] && scores[0] != scores[7]);
        } else if (round == 1) { /* so is "twice" now: seen four times */
            assert_true(scores[4] == scores[7] && scores[5] != scores[7] && scores[0] > scores[7]);
        } else { /* and "once" */
            assert_true(scores[4] != scores[7]);
        }
    }
    ecrec_report *report = NULL;
    double used = 0, values = 0, collisions = -1;
    CALL(ecrec_model_info(ranker, &report, &err));
    CALL(ecrec_report_number(report, "hashing.weights.used", &used, &err));
    CALL(ecrec_report_number(report, "hashing.weights.values", &values, &err));
    CALL(ecrec_report_number(report, "hashing.weights.collisions", &collisions, &err));
    assert_true(used >= 3 && used <= 4 && fabs(values - used) < 0.01 && collisions >= 0 && collisions < 0.01); /* often, once, twice, the rare ones' */
    ecrec_report_release(report);
    CALL(ecrec_model_save(ranker, temporary("admitted.ecrec"), &err));
    CALL(ecrec_model_load(context, temporary("admitted.ecrec"), NULL, &loaded, &err));
    ecrec_session_release(session);
    CALL(ecrec_session_create(loaded, NULL, &session, &err));
    CALL(ecrec_score(loaded, session, b, NULL, again, N, &err));
    assert_memory_equal(scores, again, sizeof scores);
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_model_release(loaded);
    ecrec_model_release(ranker);
    ecrec_schema_release(s);
    ecrec_context_release(context);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_schema_kept),
        cmocka_unit_test(test_schema_refused),
        cmocka_unit_test(test_time_is_learned),
        cmocka_unit_test(test_row_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
