/* Value labels: learned in a unit of their own, told in the user's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <ecrec/ecrec.h>

#include "support.h"

enum { ROWS = 3000, KINDS = 12 };

static uint32_t random_state = 99;
static double uniform(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) / 16777216.0;
}

typedef struct world {
    ecrec_context *context;
    ecrec_schema *schema;
    ecrec_batch *batch;
    ecrec_model *model;
    ecrec_session *session;
} world;

static float prices[ROWS];
static uint64_t kinds[ROWS];
static double amounts[ROWS];

static void world_open(world *w, const char *target, const char *network)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char text[500];
    snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"kind\",\"kind\":\"category\"},{\"name\":\"amount\",\"kind\":\"number\"}],"
             "\"labels\":[{\"name\":\"price\",\"kind\":\"value\",\"target\":\"%s\"}],\"hash_bits\":10%s}", target, network);
    CALL(ecrec_context_create(NULL, &w->context, &err));
    CALL(ecrec_schema_parse(w->context, text, strlen(text), &w->schema, &err));
    CALL(ecrec_batch_create(w->schema, &w->batch, &err));
    CALL(ecrec_ranker_create(w->context, NULL, w->schema, &w->model, &err));
    CALL(ecrec_session_create(w->model, NULL, &w->session, &err));
}

static void world_rows(const world *w, size_t first, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_batch_reset(w->batch, n, &err));
    CALL(ecrec_batch_set_category_u64(w->batch, 0, kinds + first, NULL, &err));
    CALL(ecrec_batch_set_number(w->batch, 1, amounts + first, NULL, &err));
    CALL(ecrec_batch_set_label(w->batch, 0, prices + first, NULL, &err));
}

static void world_close(world *w)
{
    ecrec_session_release(w->session);
    ecrec_model_release(w->model);
    ecrec_batch_release(w->batch);
    ecrec_schema_release(w->schema);
    ecrec_context_release(w->context);
}

static double number(const ecrec_report *report, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double value = 0;
    CALL(ecrec_report_number(report, name, &value, &err));
    return value;
}

/* Fit with a quarter held out: what the report says under these names. */
static void fit(const world *w, const char *const names[], double *out, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
    ecrec_report *report = NULL;
    o.holdout = 0.25;
    CALL(ecrec_fit(w->model, w->batch, &o, &report, &err));
    for (size_t i = 0; i < n; i++)
        out[i] = number(report, names[i]);
    ecrec_report_release(report);
}

static void make(double unit, double level, int log)
{
    random_state = 99;
    for (size_t i = 0; i < ROWS; i++) {
        kinds[i] = (uint64_t)(uniform() * KINDS);
        amounts[i] = uniform();
        const double z = (double)kinds[i] / KINDS + 0.5 * amounts[i] + 0.1 * (uniform() - 0.5);
        prices[i] = (float)(log ? exp(1 + 13 * z) : level + unit * z);
    }
}

/* The unit of a label changes what is learned by that unit alone. */
static void any_unit(void **unused)
{
    (void)unused;
    static const char *const names[] = { "labels.price.r2", "labels.price.root_mean_squared_error", "labels.price.mean_absolute_error", "labels.price.mean_squared_error" };
    static const double units[] = { 1, 1e8, 1e-6 };
    double first[4] = { 0 }, now[4];
    for (int u = 0; u < 3; u++) {
        world w;
        make(units[u], -3 * units[u], 0);
        world_open(&w, "standard", u == 2 ? ",\"network\":{\"width\":4,\"embedding_bits\":10,\"hidden\":[8]}" : "");
        world_rows(&w, 0, ROWS);
        fit(&w, names, now, 4);
        assert_true(now[0] > 0.95);
        assert_true(fabs(now[1] * now[1] - now[3]) < 1e-6 * now[3]);
        if (u == 0)
            memcpy(first, now, sizeof first);
        if (u == 1 && (fabs(now[0] - first[0]) > 1e-3 || fabs(now[1] / units[1] - first[1]) > 0.02 * first[1]))
            fail_msg("R2 %g and RMSE %g with labels as they are, %g and %g of 1e8 times as large ones", first[0], first[1], now[0], now[1]);
        world_close(&w);
    }
}

/* Prices over nine decades: by their logarithm nearly all of it is learned; plainly next to nothing in as many epochs. */
static void nine_decades(void **unused)
{
    (void)unused;
    static const char *const names[] = { "labels.price.r2" };
    double plain = 0, r2 = 0, off = 0;
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    static float scores[ROWS], logits[ROWS], parts[ROWS * 3];
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    make(0, 0, 1);
    world_open(&w, "plain", "");
    world_rows(&w, 0, ROWS);
    fit(&w, names, &plain, 1);
    world_close(&w);
    assert_true(plain < 0.1);
    world_open(&w, "log", "");
    world_rows(&w, 0, ROWS);
    fit(&w, names, &r2, 1);
    CALL(ecrec_score(w.model, w.session, w.batch, NULL, scores, ROWS, &err));
    o.logits = 1;
    o.contributions = parts;
    o.contributions_capacity = ROWS * 3;
    CALL(ecrec_score(w.model, w.session, w.batch, &o, logits, ROWS, &err));
    for (size_t i = 0; i < ROWS; i++) {
        off += fabs(log((double)scores[i]) - log((double)prices[i])) / ROWS;
        assert_true(fabs(log1p((double)scores[i]) - (double)logits[i]) < 1e-3);
        assert_true(fabs((double)parts[3 * i] + (double)parts[3 * i + 1] + (double)parts[3 * i + 2] - (double)logits[i]) < 1e-3);
    }
    if (!(off < 0.6))
        fail_msg("the logarithms of the prices are %g off on average, over 20", off);
    prices[4] = -1;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_set_label(w.batch, 0, prices, NULL, &err));
    world_close(&w);
}

/* Row by row: what comes first is no unit. Attributions add up to the score, in the label's unit. */
static void online(void **unused)
{
    (void)unused;
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *report = NULL;
    float score = 0, parts[3];
    double gap = 0;
    make(1e6, 5e6, 0);
    world_open(&w, "standard", "");
    for (size_t i = 0; i < 5; i++) { /* the mean of what has come */
        double mean = 0;
        world_rows(&w, i, 1);
        CALL(ecrec_update(w.model, w.batch, &o, NULL, &err));
        for (size_t k = 0; k <= i; k++)
            mean += (double)prices[k] / (double)(i + 1);
        CALL(ecrec_score(w.model, w.session, w.batch, NULL, &score, 1, &err));
        assert_true(fabs((double)score - mean) < 1e-6 * mean);
    }
    world_rows(&w, 5, ROWS - 1000);
    CALL(ecrec_update(w.model, w.batch, &o, NULL, &err));
    world_rows(&w, ROWS - 995, 995);
    CALL(ecrec_update(w.model, w.batch, &o, &report, &err));
    if (!(number(report, "labels.price.r2") > 0.9))
        fail_msg("R2 online is %g", number(report, "labels.price.r2"));
    world_rows(&w, 7, 1);
    CALL(ecrec_score(w.model, w.session, w.batch, NULL, &score, 1, &err));
    CALL(ecrec_attribute(w.model, w.session, w.batch, parts, 3, &gap, &err));
    assert_true(fabs((double)parts[0] + (double)parts[1] + (double)parts[2] - (double)score) < 1e-6 * fabs((double)score));
    ecrec_report_release(report);
    world_close(&w);
}

/* A label of a larger schema has a unit of its own, the old one's stays. */
static void extended(void **unused)
{
    (void)unused;
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *more = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_label_options o = ECREC_LABEL_OPTIONS_INIT;
    static const char *const names[] = { "labels.price.r2" };
    double r2 = 0;
    float before = 0, after[2] = { 0, 0 };
    make(1e4, 1e5, 0);
    world_open(&w, "standard", "");
    world_rows(&w, 0, ROWS);
    fit(&w, names, &r2, 1);
    CALL(ecrec_schema_extend(w.schema, &more, &err));
    o.kind = ECREC_LABEL_VALUE;
    o.target = ECREC_TARGET_LOG;
    CALL(ecrec_schema_add_label_of(more, "cost", &o, NULL, &err));
    CALL(ecrec_ranker_extend(w.model, more, &model, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    world_rows(&w, 0, 1);
    CALL(ecrec_score(w.model, w.session, w.batch, NULL, &before, 1, &err));
    CALL(ecrec_score(model, session, w.batch, NULL, after, 2, &err));
    assert_true(before == after[0]);
    assert_true(after[1] == 0);
    o.kind = ECREC_LABEL_BINARY;
    ecrec_schema_release(more);
    more = NULL;
    CALL(ecrec_schema_extend(w.schema, &more, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_label_of(more, "no", &o, NULL, &err));
    ecrec_schema_release(more);
    ecrec_session_release(session);
    ecrec_model_release(model);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(any_unit), cmocka_unit_test(nine_decades), cmocka_unit_test(online), cmocka_unit_test(extended) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
