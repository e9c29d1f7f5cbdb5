/* A ranker that has learned gains fields, labels, values and loses a field: what stayed is as it was, old batches go on, and it learns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rank/schema.h"
#include "support.h"

enum { N = 400 };

static const char networks[][256] = {
    "", ",\"network\":{\"pairs\":[[\"shop\",\"item\"]],\"unmet\":true}",
    ",\"network\":{\"width\":4,\"fm\":\"weighted\",\"cross_layers\":2,\"hidden\":[16,16],\"experts\":2,\"gates\":true,\"towers\":true,\"positions\":3}",
    ",\"network\":{\"width\":4,\"fm\":true,\"cross_layers\":2,\"cross_rank\":3,\"hidden\":[8]}" };

static ecrec_schema *make(ecrec_context *context, const char *network)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    char text[2048];
    snprintf(text, sizeof text,
             "{\"fields\":[{\"name\":\"shop\",\"kind\":\"category\",\"vocabulary\":[\"s0\",\"s1\"]},{\"name\":\"price\",\"kind\":\"number\"},{\"name\":\"item\",\"kind\":\"item\",\"admit_after\":2},"
             "{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":3},{\"name\":\"w\",\"kind\":\"vector\",\"dimension\":3,\"compare\":\"v\"},{\"name\":\"age\",\"kind\":\"number\"}%s],"
             "\"labels\":[\"click\",{\"name\":\"stars\",\"kind\":\"ordinal\",\"classes\":3}],\"hash_bits\":14%s}",
             strstr(network, "width") != NULL ? ",{\"name\":\"past\",\"kind\":\"history\",\"dimension\":4,\"compare\":\"item\"}" : "", network);
    CALL(ecrec_schema_parse(context, text, strlen(text), &s, &err));
    return s;
}

static uint64_t mix(uint64_t x) { x *= 0x9E3779B97F4A7C15u; x ^= x >> 29; x *= 0xD6E8FEB86659FD93u; return x ^ x >> 32; }
static float unit(uint64_t x) { return (float)(mix(x) >> 40) * 0x1p-24f; }

/* The same rows for any form of the schema; `more`: with what is new. */
static ecrec_batch *rows_of(const ecrec_schema *s, int more)
{
    static char names[2][N][8];
    static const char *texts[2][N], *colour[N];
    static size_t lengths[2][N], ones[N], events[N + 1];
    static double price[N], age[N], weight[N];
    static float v[N * 3], w[N * 3], click[N], stars[N], which[N];
    static uint32_t positions[N];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    for (int i = 0; i < N; i++) {
        snprintf(names[0][i], 8, "s%d", (int)(mix((uint64_t)i) % 3));
        snprintf(names[1][i], 8, "i%d", (int)(mix((uint64_t)i + 1000) % 20));
        for (int k = 0; k < 2; k++) {
            texts[k][i] = names[k][i];
            lengths[k][i] = strlen(names[k][i]);
        }
        price[i] = unit((uint64_t)i + 7) * 10;
        age[i] = unit((uint64_t)i + 77);
        weight[i] = unit((uint64_t)i + 777);
        for (int k = 0; k < 3; k++) {
            v[3 * i + k] = unit((uint64_t)(i * 3 + k) + 5000) - .5f;
            w[3 * i + k] = unit((uint64_t)(i * 3 + k) + 9000) - .5f;
        }
        const int red = mix((uint64_t)i + 31) % 2 == 0;
        colour[i] = red ? "r" : "b";
        ones[i] = 1;
        click[i] = (names[0][i][1] == '0') != (price[i] > 5) || (more && red);
        stars[i] = (float)(price[i] > 3) + (price[i] > 7);
        which[i] = (float)(mix((uint64_t)i + 99) % 3);
        positions[i] = (uint32_t)i % 5 + 1;
        events[i + 1] = events[i] + (size_t)(i % 3);
    }
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_reset(b, N, &err));
    CALL(ecrec_batch_set_category(b, 0, texts[0], lengths[0], &err));
    CALL(ecrec_batch_set_number(b, 1, price, NULL, &err));
    CALL(ecrec_batch_set_category(b, 2, texts[1], lengths[1], &err));
    CALL(ecrec_batch_set_vector(b, 3, v, 0, NULL, &err));
    CALL(ecrec_batch_set_vector(b, 4, w, 0, NULL, &err));
    CALL(ecrec_batch_set_number(b, 5, age, NULL, &err));
    if (ecrec_schema_find_field(s, "past") != UINT32_MAX) {
        ecrec_history h = ECREC_HISTORY_INIT;
        h.events = events;
        h.items = texts[1];
        h.lengths = lengths[1];
        CALL(ecrec_batch_set_history(b, ecrec_schema_find_field(s, "past"), &h, &err));
    }
    CALL(ecrec_batch_set_label(b, 0, click, NULL, &err));
    CALL(ecrec_batch_set_label(b, 1, stars, NULL, &err));
    CALL(ecrec_batch_set_position(b, positions, NULL, &err));
    if (more) {
        CALL(ecrec_batch_set_category(b, ecrec_schema_find_field(s, "colour"), colour, ones, &err));
        CALL(ecrec_batch_set_number(b, ecrec_schema_find_field(s, "weight_kg"), weight, NULL, &err));
        CALL(ecrec_batch_set_vector(b, ecrec_schema_find_field(s, "picture"), v, 0, NULL, &err));
        CALL(ecrec_batch_set_label(b, 2, which, NULL, &err));
        CALL(ecrec_batch_set_label(b, 3, click, NULL, &err));
    }
    return b;
}

/* logits of the first two labels */
static void logits_of(ecrec_model *m, const ecrec_batch *b, float *out)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    const uint32_t outputs = ecrec_schema_outputs(ecrec_model_schema(m));
    float *all = malloc(N * outputs * sizeof *all);
    o.logits = 1;
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_score(m, session, b, &o, all, N * outputs, &err));
    for (size_t i = 0; i < N; i++)
        memcpy(out + 2 * i, all + i * outputs, 2 * sizeof *out);
    free(all);
    ecrec_session_release(session);
}

static void alike(const float *a, const float *b, int exact)
{
    for (size_t i = 0; i < 2 * N; i++)
        if (exact ? a[i] != b[i] : !(fabsf(a[i] - b[i]) <= 1e-5f * (1 + fabsf(b[i]))))
            fail_msg("logit %zu: %.9g is not %.9g", i, (double)a[i], (double)b[i]);
}

static ecrec_schema *extended_schema(ecrec_model *ranker)
{
    static const char *const value[] = { "s2" };
    static const size_t length[] = { 2 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    ecrec_label_options classes = ECREC_LABEL_OPTIONS_INIT;
    CALL(ecrec_schema_extend(ecrec_model_schema(ranker), &s, &err));
    CALL(ecrec_schema_add_field(s, "colour", ECREC_FIELD_CATEGORY, NULL, NULL, &err));
    CALL(ecrec_schema_add_field(s, "weight_kg", ECREC_FIELD_NUMBER, NULL, NULL, &err));
    o.dimension = 3;
    CALL(ecrec_schema_add_field(s, "picture", ECREC_FIELD_IMAGE, &o, NULL, &err));
    classes.kind = ECREC_LABEL_CLASSES;
    classes.classes = 3;
    CALL(ecrec_schema_add_label_of(s, "which", &classes, NULL, &err));
    CALL(ecrec_schema_add_label(s, "buy", NULL, &err));
    CALL(ecrec_schema_add_values(s, "shop", value, length, 1, &err));
    return s;
}

static void test_gains(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    static float before[2 * N], after[2 * N], again[2 * N];
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        ecrec_context *context = context_with(1, 0);
        ecrec_model *ranker = NULL, *more = NULL, *loaded = NULL;
        ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
        ecrec_online_options online = ECREC_ONLINE_OPTIONS_INIT;
        ecrec_report *report = NULL;
        ecrec_schema *s = make(context, networks[k]);
        ecrec_batch *old = rows_of(s, 0);
        o.passes = 4;
        o.max_loss_growth = 100;
        CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
        online.events = 1000;
        online.reserve = 50;
        online.reservoir = 50;
        CALL(ecrec_online_configure(ranker, &online, &err));
        CALL(ecrec_update(ranker, old, &o, NULL, &err));
        logits_of(ranker, old, before);
        ecrec_schema *wider = extended_schema(ranker);
        CALL(ecrec_ranker_extend(ranker, wider, &more, &err));
        /* rows without what is new, made for either form, and of values that the vocabulary had or not yet had no number */
        logits_of(more, old, after);
        ecrec_batch *fresh = rows_of(ecrec_model_schema(more), 0), *full = rows_of(wider, 1);
        logits_of(more, fresh, again);
        alike(again, after, 1);
        for (size_t i = 0; i < N; i++)
            if (mix(i) % 3 == 2) { /* its shop, "s2", has a weight of its own now, which has learned nothing */
                after[2 * i] = before[2 * i];
                after[2 * i + 1] = before[2 * i + 1];
            }
        alike(after, before, strstr(networks[k], "width") == NULL);
        logits_of(ranker, old, again); /* the old one is as it was */
        alike(again, before, 1);
        logits_of(ranker, fresh, again); /* and takes a newer form's rows */
        alike(again, before, 1);
        /* old rows go on teaching; new ones teach what is new */
        CALL(ecrec_update(more, old, &o, NULL, &err));
        CALL(ecrec_update(more, full, &o, NULL, &err));
        o.replay = 1;
        CALL(ecrec_update(more, full, &o, &report, &err));
        ecrec_report_release(report);
        o.replay = 0;
        CALL(ecrec_model_save(more, temporary("extended.ecrec"), &err));
        CALL(ecrec_model_load(context, temporary("extended.ecrec"), NULL, &loaded, &err));
        logits_of(more, full, after);
        logits_of(loaded, full, again);
        alike(again, after, 1);
        int right = 0;
        static float click[N];
        for (size_t i = 0; i < N; i++) {
            click[i] = ((int)(mix(i) % 3) == 0) != (unit(i + 7) * 10 > 5) || mix(i + 31) % 2 == 0;
            right += (after[2 * i] > 0) == (click[i] > 0.5f);
        }
        assert_true(right > N * 8 / 10);
        ecrec_batch_release(old);
        ecrec_batch_release(fresh);
        ecrec_batch_release(full);
        ecrec_schema_release(wider);
        ecrec_schema_release(s);
        ecrec_model_release(loaded);
        ecrec_model_release(more);
        ecrec_model_release(ranker);
        ecrec_context_release(context);
    }
}

static void test_loses(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    static const double nobody[N] = { 0 };
    static float before[2 * N], after[2 * N], parts[N * 2 * 64];
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        ecrec_context *context = context_with(1, 0);
        ecrec_model *ranker = NULL, *less = NULL;
        ecrec_session *session = NULL;
        ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
        ecrec_score_options score = ECREC_SCORE_OPTIONS_INIT;
        ecrec_schema *s = make(context, networks[k]), *narrow = NULL;
        ecrec_batch *old = rows_of(s, 0);
        o.passes = 4;
        o.max_loss_growth = 100;
        CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
        CALL(ecrec_update(ranker, old, &o, NULL, &err));
        CALL(ecrec_schema_extend(s, &narrow, &err));
        REFUSED(ECREC_ERR_INVALID, ecrec_schema_drop_field(narrow, "v", &err)); /* w is compared with it */
        REFUSED(ECREC_ERR_INVALID, ecrec_schema_drop_field(narrow, "nothing", &err));
        CALL(ecrec_schema_drop_field(narrow, "age", &err));
        CALL(ecrec_schema_drop_field(narrow, "shop", &err));
        CALL(ecrec_ranker_extend(ranker, narrow, &less, &err));
        logits_of(less, old, before);
        CALL(ecrec_batch_set_number(old, 5, nobody, NULL, &err)); /* whatever it says */
        logits_of(less, old, after);
        alike(after, before, 1);
        /* the others' own parts are what they were */
        const uint32_t given = ecrec_schema_parts(s), now = ecrec_schema_parts(ecrec_model_schema(less));
        score.contributions = parts;
        score.contributions_capacity = sizeof parts / sizeof *parts;
        static float scores[N * 2], theirs[N * 2 * 64];
        CALL(ecrec_session_create(ranker, NULL, &session, &err));
        CALL(ecrec_score(ranker, session, old, &score, scores, N * 2, &err));
        ecrec_session_release(session);
        score.contributions = theirs;
        CALL(ecrec_session_create(less, NULL, &session, &err));
        CALL(ecrec_score(less, session, old, &score, scores, N * 2, &err));
        ecrec_session_release(session);
        for (size_t i = 0; i < 2 * N; i++)
            for (uint32_t f = 0; f < ecrec_schema_fields(s); f++)
                if (f != 0 && f != 5)
                    assert_true(parts[i * given + f] == theirs[i * now + f]);
                else
                    assert_true(theirs[i * now + f] == 0);
        CALL(ecrec_update(less, old, &o, NULL, &err));
        ecrec_batch_release(old);
        ecrec_schema_release(narrow);
        ecrec_schema_release(s);
        ecrec_model_release(less);
        ecrec_model_release(ranker);
        ecrec_context_release(context);
    }
}

/* A label that is dropped keeps its place, and nothing else: the other's scores have the same bits, and it alone learns on. */
static void test_label_dropped(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        static float before[2 * N], after[2 * N], then[2 * N], scores[2 * N];
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(1, 0);
        ecrec_schema *s = make(context, networks[k]), *less = NULL;
        ecrec_model *ranker = NULL, *extended = NULL, *loaded = NULL;
        ecrec_session *session = NULL;
        ecrec_report *report = NULL;
        ecrec_calibrate_options calibrate = ECREC_CALIBRATE_OPTIONS_INIT;
        double rows = 0;
        CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
        ecrec_batch *b = rows_of(s, 0);
        CALL(ecrec_update(ranker, b, NULL, NULL, &err));
        CALL(ecrec_calibrate(ranker, b, &calibrate, NULL, &err));
        logits_of(ranker, b, before);
        CALL(ecrec_schema_extend(ecrec_model_schema(ranker), &less, &err));
        REFUSED(ECREC_ERR_INVALID, ecrec_schema_drop_label(less, "nothing", &err));
        CALL(ecrec_schema_drop_label(less, "click", &err));
        REFUSED(ECREC_ERR_INVALID, ecrec_schema_drop_label(less, "stars", &err)); /* the last one */
        assert_true(ecrec_schema_label_dropped(less, 0) == 1 && ecrec_schema_label_dropped(less, 1) == 0 && ecrec_schema_outputs(less) == 2);
        CALL(ecrec_ranker_extend(ranker, less, &extended, &err));
        logits_of(extended, b, after); /* the old batch is still good */
        for (size_t i = 0; i < N; i++)
            assert_true(isnan(after[2 * i]) && after[2 * i + 1] == before[2 * i + 1]);
        CALL(ecrec_update(extended, b, NULL, &report, &err));
        assert_int_equal(ecrec_report_number(report, "labels.stars.rows", &rows, &err), ECREC_OK);
        assert_int_not_equal(ecrec_report_number(report, "labels.click.rows", &rows, &err), ECREC_OK);
        ecrec_report_release(report);
        ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
        fit.epochs = 2;
        fit.holdout = 0.25;
        CALL(ecrec_fit(extended, b, &fit, &report, &err));
        assert_int_not_equal(ecrec_report_number(report, "labels.click.rows", &rows, &err), ECREC_OK);
        ecrec_report_release(report);
        REFUSED(ECREC_ERR_INVALID, ecrec_calibrate(extended, b, &calibrate, NULL, &err)); /* stars has no probability */
        logits_of(extended, b, after);
        assert_true(after[1] != before[1]);
        CALL(ecrec_model_save(extended, temporary("dropped.ecrec"), &err));
        CALL(ecrec_model_load(context, temporary("dropped.ecrec"), NULL, &loaded, &err));
        assert_true(ecrec_schema_label_dropped(ecrec_model_schema(loaded), 0) == 1);
        logits_of(loaded, b, then);
        assert_memory_equal(after, then, sizeof after);
        CALL(ecrec_session_create(loaded, NULL, &session, &err));
        CALL(ecrec_score(loaded, session, b, NULL, scores, 2 * N, &err));
        assert_true(isnan(scores[0]) && scores[1] >= 0 && scores[1] <= 2);
        logits_of(ranker, b, then); /* the old ranker is as it was */
        assert_memory_equal(before, then, sizeof then);
        ecrec_session_release(session);
        ecrec_batch_release(b);
        ecrec_schema_release(less);
        ecrec_schema_release(s);
        ecrec_model_release(loaded);
        ecrec_model_release(extended);
        ecrec_model_release(ranker);
        ecrec_context_release(context);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char fewer[] = "{\"fields\":[{\"name\":\"shop\",\"kind\":\"category\"}],\"labels\":[\"click\"]}";
    static const char another[] = "{\"fields\":[{\"name\":\"shop\",\"kind\":\"number\"}],\"labels\":[\"click\"]}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *ranker = NULL, *out = NULL;
    ecrec_schema *s = make(context, networks[0]), *other = make(context, networks[2]), *bits = NULL;
    CALL(ecrec_ranker_create(context, NULL, s, &ranker, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_ranker_extend(ranker, other, &out, &err));
    CALL(ecrec_schema_extend(s, &bits, &err));
    CALL(ecrec_schema_set_hash_bits(bits, 15, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_ranker_extend(ranker, bits, &out, &err));
    assert_non_null(strstr(err.message, "hash_bits"));
    ecrec_schema_release(bits);
    CALL(ecrec_schema_parse(context, fewer, strlen(fewer), &bits, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_ranker_extend(ranker, bits, &out, &err));
    /* its batches are of another kind */
    ecrec_batch *b = NULL;
    ecrec_session *session = NULL;
    float score[2];
    ecrec_schema_release(bits);
    CALL(ecrec_schema_parse(context, another, strlen(another), &bits, &err));
    CALL(ecrec_batch_create(bits, &b, &err));
    CALL(ecrec_batch_reset(b, 1, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    REFUSED(ECREC_ERR_MISMATCH, ecrec_score(ranker, session, b, NULL, score, 2, &err));
    assert_null(out);
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_schema_release(bits);
    ecrec_schema_release(other);
    ecrec_schema_release(s);
    ecrec_model_release(ranker);
    ecrec_context_release(context);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_gains), cmocka_unit_test(test_loses), cmocka_unit_test(test_label_dropped), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
