/* What the options of a fit do: schedules to the formula, class weights, rows held out without a leak, checkpoints that are broken. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ecrec/ecrec.h>

#include "support.h"

static uint32_t random_state = 12345;
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
} world;

static void world_open(world *w, const char *schema, size_t rows)
{
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_context_create(NULL, &w->context, &err));
    CALL(ecrec_schema_parse(w->context, schema, strlen(schema), &w->schema, &err));
    CALL(ecrec_batch_create(w->schema, &w->batch, &err));
    CALL(ecrec_batch_reset(w->batch, rows, &err));
    CALL(ecrec_ranker_create(w->context, NULL, w->schema, &w->model, &err));
}

static void world_close(world *w)
{
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

/* The rates' factor at a step as the header has it: up over the warmup, then down over the rest. */
static double factor(uint32_t schedule, double warmup, double step, double steps)
{
    if (step / steps < warmup)
        return (step + 1) / (steps * warmup + 1);
    const double left = (1 - step / steps) / (1 - warmup);
    return schedule == ECREC_SCHEDULE_LINEAR ? left : schedule == ECREC_SCHEDULE_COSINE ? 0.5 * (1 - cos(acos(-1.0) * left)) : 1;
}

/* AdamW on two weights (of positions 2 and 3) with their gradient cut to a norm, against the same by hand: the gradient of the mean squared error is
 * (w - y) / 2 of each. */
static void clipping(void **unused)
{
    (void)unused;
    enum { STEPS = 6 };
    static const double clips[] = { 0, 1.5, 100 };
    static const float y[2] = { 10, -3 };
    static const uint32_t positions[2] = { 2, 3 };
    double kept[2][2];
    for (int c = 0; c < 3; c++) {
        world w;
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
        ecrec_score_options score = ECREC_SCORE_OPTIONS_INIT;
        ecrec_session *session = NULL;
        const uint64_t user[2] = { 7, 7 };
        float got[2];
        double by_hand[2] = { 0, 0 }, m[2] = { 0, 0 }, v[2] = { 0, 0 };
        world_open(&w, "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"}],\"labels\":[{\"name\":\"spent\",\"kind\":\"value\",\"target\":\"plain\"}],\"hash_bits\":10,\"network\":{\"positions\":3}}", 2);
        CALL(ecrec_batch_set_category_u64(w.batch, 0, user, NULL, &err));
        CALL(ecrec_batch_set_label(w.batch, 0, y, NULL, &err));
        CALL(ecrec_batch_set_position(w.batch, positions, NULL, &err));
        o.epochs = STEPS;
        o.rate = 1e-12; /* of the rest: it stays where it is */
        o.network_rate = 0.5;
        o.network_decay = 0.1;
        o.clip = clips[c];
        CALL(ecrec_fit(w.model, w.batch, &o, NULL, &err));
        CALL(ecrec_session_create(w.model, NULL, &session, &err));
        score.positions = 1;
        CALL(ecrec_score(w.model, session, w.batch, &score, got, 2, &err));
        for (int step = 1; step <= STEPS; step++) {
            double g[2] = { (by_hand[0] - (double)y[0]) / 2, (by_hand[1] - (double)y[1]) / 2 };
            const double norm = sqrt(g[0] * g[0] + g[1] * g[1]), scale = clips[c] > 0 && norm > clips[c] ? clips[c] / norm : 1;
            for (int i = 0; i < 2; i++) {
                m[i] = 0.9 * m[i] + 0.1 * scale * g[i];
                v[i] = 0.999 * v[i] + 0.001 * scale * scale * g[i] * g[i];
                by_hand[i] -= 0.5 * 0.1 * by_hand[i] + 0.5 * m[i] / (1 - pow(0.9, step)) / (sqrt(v[i] / (1 - pow(0.999, step))) + 1e-8);
            }
        }
        for (int i = 0; i < 2; i++)
            if (fabs((double)got[i] - by_hand[i]) > 1e-4 * fabs(by_hand[i]))
                fail_msg("clip %g: weight %d is %.6f, by hand %.6f", clips[c], i, (double)got[i], by_hand[i]);
        if (c < 2)
            memcpy(kept[c], by_hand, sizeof by_hand);
        ecrec_session_release(session);
        world_close(&w);
    }
    assert_true(fabs(kept[0][1] - kept[1][1]) > 1e-2); /* it says something */
}

/* One row whose target is far away: the gradient stays, so Adam moves its weight by the rate in each step. */
static void schedules(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    for (uint32_t schedule = 0; schedule < 3; schedule++)
        for (int warm = 0; warm < 2; warm++) {
            world w;
            ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
            ecrec_score_options score = ECREC_SCORE_OPTIONS_INIT;
            ecrec_session *session = NULL;
            const uint64_t user = 7;
            const float far = 1e6f;
            float value, parts[2];
            double expected = 0;
            world_open(&w, "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"}],\"labels\":[{\"name\":\"spent\",\"kind\":\"value\",\"target\":\"plain\"}],\"hash_bits\":10}", 1);
            CALL(ecrec_batch_set_category_u64(w.batch, 0, &user, NULL, &err));
            CALL(ecrec_batch_set_label(w.batch, 0, &far, NULL, &err));
            o.epochs = 40;
            o.hashed_optimiser = ECREC_HASHED_ADAM;
            o.rate = 0.25;
            o.schedule = schedule;
            o.warmup = warm ? 0.3 : 0;
            CALL(ecrec_fit(w.model, w.batch, &o, NULL, &err));
            CALL(ecrec_session_create(w.model, NULL, &session, &err));
            score.contributions = parts;
            score.contributions_capacity = 2;
            CALL(ecrec_score(w.model, session, w.batch, &score, &value, 1, &err));
            for (int step = 0; step < 40; step++)
                expected += 0.25 * factor(schedule, o.warmup, step, 40);
            if (fabs((double)parts[0] - expected) > 1e-4 * expected)
                fail_msg("schedule %u, warmup %g: the weight moved by %g, the rates add up to %g", schedule, o.warmup, (double)parts[0], expected);
            ecrec_session_release(session);
            world_close(&w);
        }
}

/* Classes that count more are said to be likelier by as much; corrected, the probabilities are those of the rows. In fit and in update. */
static void outcome_weights(void **unused)
{
    (void)unused;
    enum { ROWS = 6000 };
    ecrec_error err = ECREC_ERROR_INIT;
    static uint64_t user[ROWS];
    static float sort[ROWS], click[ROWS];
    static const float weights[] = { 1, 2, 6, 1, 4 };
    double shares[3] = { 0, 0, 0 }, clicked = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const double u = uniform();
        sort[i] = u < 0.7 ? 0 : u < 0.9 ? 1 : 2;
        click[i] = uniform() < 0.25;
        shares[(int)sort[i]] += 1.0 / ROWS;
        clicked += click[i] / (double)ROWS;
    }
    for (int how = 0; how < 4; how++) { /* fit, update; corrected or not */
        const int corrected = how & 1, online = how >> 1;
        world w;
        ecrec_session *session = NULL;
        float scores[4], bad[5] = { 1, 1, 0, 1, 1 };
        world_open(&w, "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"}],\"labels\":[{\"name\":\"sort\",\"kind\":\"classes\",\"classes\":3},\"click\"],\"hash_bits\":10}", ROWS);
        CALL(ecrec_batch_set_category_u64(w.batch, 0, user, NULL, &err));
        CALL(ecrec_batch_set_label(w.batch, 0, sort, NULL, &err));
        CALL(ecrec_batch_set_label(w.batch, 1, click, NULL, &err));
        ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
        ecrec_fit_options f = ECREC_FIT_OPTIONS_INIT;
        u.outcome_weights = f.outcome_weights = weights;
        u.outcome_count = f.outcome_count = 5;
        u.outcome_corrected = f.outcome_corrected = (uint32_t)corrected;
        u.learning_rate = 0.05;
        u.passes = 8;
        f.epochs = 20;
        f.schedule = ECREC_SCHEDULE_COSINE;
        if (online)
            CALL(ecrec_update(w.model, w.batch, &u, NULL, &err));
        else
            CALL(ecrec_fit(w.model, w.batch, &f, NULL, &err));
        CALL(ecrec_session_create(w.model, NULL, &session, &err));
        CALL(ecrec_batch_reset(w.batch, 1, &err));
        CALL(ecrec_batch_set_category_u64(w.batch, 0, user, NULL, &err));
        CALL(ecrec_score(w.model, session, w.batch, NULL, scores, 4, &err));
        const double w0 = 1, w1 = corrected ? 1 : 2, w2 = corrected ? 1 : 6, c1 = corrected ? 1 : 4;
        const double all = w0 * shares[0] + w1 * shares[1] + w2 * shares[2], expected[4] = { w0 * shares[0] / all, w1 * shares[1] / all, w2 * shares[2] / all, c1 * clicked / (c1 * clicked + 1 - clicked) };
        for (int k = 0; k < 4; k++)
            if (fabs((double)scores[k] - expected[k]) > (online ? 0.06 : 0.02))
                fail_msg("%s, %s: probability %d is %g, %g of the rows are", online ? "update" : "fit", corrected ? "corrected" : "not corrected", k, (double)scores[k], expected[k]);
        f.outcome_count = 4;
        CALL(ecrec_batch_set_label(w.batch, 0, sort, NULL, &err));
        REFUSED(ECREC_ERR_INVALID, ecrec_fit(w.model, w.batch, &f, NULL, &err));
        f.outcome_count = 5;
        f.outcome_corrected = 1;
        f.outcome_weights = bad;
        REFUSED(ECREC_ERR_INVALID, ecrec_fit(w.model, w.batch, &f, NULL, &err));
        ecrec_session_release(session);
        world_close(&w);
    }
}

/* Counting positives w times multiplies the odds by w. */
static void class_weights(void **unused)
{
    (void)unused;
    enum { ROWS = 4000 };
    ecrec_error err = ECREC_ERROR_INIT;
    double odds[2];
    static uint64_t user[ROWS];
    static float click[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        click[i] = uniform() < 0.2;
    for (int weighted = 0; weighted < 2; weighted++) {
        world w;
        ecrec_report *report = NULL;
        ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
        const float weights[2] = { 1, 5 };
        world_open(&w, "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"}],\"labels\":[\"click\"],\"hash_bits\":10}", ROWS);
        CALL(ecrec_batch_set_category_u64(w.batch, 0, user, NULL, &err));
        CALL(ecrec_batch_set_label(w.batch, 0, click, NULL, &err));
        o.class_weights = weighted ? weights : NULL;
        o.schedule = ECREC_SCHEDULE_LINEAR;
        CALL(ecrec_fit(w.model, w.batch, &o, &report, &err));
        const double p = number(report, "labels.click.calibration.mean_score");
        odds[weighted] = p / (1 - p);
        ecrec_report_release(report);
        world_close(&w);
    }
    print_message("odds %.3f, with positives five times %.3f\n", odds[0], odds[1]);
    assert_true(fabs(odds[1] / odds[0] - 5) < 0.4);
}

enum { ROWS = 3000, USERS = 300 };
static uint64_t users[ROWS];
static double when[ROWS];
static float likes[ROWS];

/* Each user always does the same, by a coin of its own: whoever has seen the user knows, nobody else can. */
static void fill_users(world *w)
{
    ecrec_error err = ECREC_ERROR_INIT;
    float coin[USERS];
    for (int u = 0; u < USERS; u++)
        coin[u] = uniform() < 0.5;
    for (size_t i = 0; i < ROWS; i++) {
        users[i] = (uint64_t)(uniform() * USERS);
        when[i] = (double)((i * 7919) % ROWS / 10); /* ten rows at each time, in no order */
        likes[i] = coin[users[i]];
    }
    world_open(w, "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"},{\"name\":\"when\",\"kind\":\"number\"}],\"labels\":[\"likes\"],\"hash_bits\":16}", ROWS);
    CALL(ecrec_batch_set_category_u64(w->batch, 0, users, NULL, &err));
    CALL(ecrec_batch_set_number(w->batch, 1, when, NULL, &err));
    CALL(ecrec_batch_set_label(w->batch, 0, likes, NULL, &err));
}

static void no_leak(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    for (uint32_t by = ECREC_HOLDOUT_KEY; by <= ECREC_HOLDOUT_TIME; by++) {
        world w;
        ecrec_report *report = NULL;
        ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
        fill_users(&w);
        o.holdout = 0.33;
        o.holdout_by = by;
        o.holdout_field = by == ECREC_HOLDOUT_TIME ? 1 : 0;
        o.seed = 3;
        CALL(ecrec_fit(w.model, w.batch, &o, &report, &err));
        const double auc = number(report, "labels.likes.auc"), rows = number(report, "holdout_rows");
        print_message("held out by %u: %g rows, AUC %.3f\n", by, rows, auc);
        assert_true(by == ECREC_HOLDOUT_KEY ? fabs(auc - 0.5) < 0.12 : auc > 0.98);
        if (by == ECREC_HOLDOUT_TIME)
            assert_int_equal((int)rows % 10, 0); /* a time is on one side */
        else
            assert_true(fabs(rows / ROWS - 0.33) < 0.08);
        if (by == ECREC_HOLDOUT_KEY) {
            size_t held = 0;
            for (int u = 0; u < USERS; u++) {
                size_t own = 0;
                for (size_t i = 0; i < ROWS; i++)
                    own += users[i] == (uint64_t)u;
                held += own > 0;
            }
            assert_true(number(report, "labels.likes.grouped.groups") < 0.45 * (double)held);
        }
        ecrec_report_release(report);
        world_close(&w);
    }
    /* held out by time, every row must have one */
    world w;
    static uint8_t has[ROWS];
    ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
    fill_users(&w);
    memset(has, 1, sizeof has);
    has[17] = 0;
    CALL(ecrec_batch_set_number(w.batch, 1, when, has, &err));
    o.holdout = 0.3;
    o.holdout_by = ECREC_HOLDOUT_TIME;
    o.holdout_field = 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(w.model, w.batch, &o, NULL, &err));
    assert_int_equal(err.row, 17);
    assert_non_null(strstr(err.message, "\"when\""));
    o.holdout_field = 0; /* no time */
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(w.model, w.batch, &o, NULL, &err));
    world_close(&w);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Whatever is wrong with the file, the message says which file it is. */
static void broken_checkpoint(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    world w;
    char good[512], bad[512];
    size_t n = 0;
    snprintf(good, sizeof good, "%s", temporary("good.ecrec"));
    snprintf(bad, sizeof bad, "%s", temporary("bad.ecrec"));
    fill_users(&w);
    ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
    o.epochs = 1;
    o.checkpoint = good;
    CALL(ecrec_fit(w.model, w.batch, &o, NULL, &err));
    const uint64_t before = ecrec_model_snapshot(w.model);
    char *bytes = read_file(good, &n);
    o.checkpoint = NULL;
    o.resume = bad;
    o.epochs = 2;
    for (int kind = 0; kind < 6; kind++) {
        const size_t kept[] = { 0, 10, 100, n / 2, n, n };
        char *own = malloc(n);
        memcpy(own, bytes, n);
        if (kind == 4)
            own[n / 2] ^= 1;
        write_file(bad, own, kept[kind]);
        if (kind == 5) /* a model that no fit left */
            CALL(ecrec_model_save(w.model, bad, &err));
        REFUSED(ECREC_ERR_FORMAT, ecrec_fit(w.model, w.batch, &o, NULL, &err));
        if (strstr(err.message, bad) == NULL)
            fail_msg("the message does not name the file: %s", err.message);
        free(own);
    }
    assert_int_equal(ecrec_model_snapshot(w.model), before);
    free(bytes);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(schedules), cmocka_unit_test(clipping), cmocka_unit_test(class_weights), cmocka_unit_test(outcome_weights), cmocka_unit_test(no_leak), cmocka_unit_test(broken_checkpoint) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
