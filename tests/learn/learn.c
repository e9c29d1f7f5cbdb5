/* Learning: AdaGrad against its formula, metrics against brute force, snapshots bit for bit, what a row's parts add up to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

/* ---- a small world of rows ---- */

typedef struct rows {
    size_t n;
    const char *text[64], *category[64];
    double number[64];
    uint8_t has_number[64], has_vector[64];
    float vector[64][3], label[64], weight[64];
} rows;

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void fill(rows *r, size_t n, uint32_t seed, int gaps)
{
    static const char *const texts[] = { "red shoes", "blue shirt", "new warm shoes", "old shirt", "green" };
    static const char *const categories[] = { "home", "garden", "toys" };
    memset(r, 0, sizeof *r);
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        const uint32_t kind = next(&seed) % 5;
        r->text[i] = gaps && next(&seed) % 4 == 0 ? NULL : texts[kind];
        r->category[i] = gaps && next(&seed) % 4 == 0 ? NULL : categories[next(&seed) % 3];
        r->number[i] = 20.0 + (double)(next(&seed) % 1000) / 100;
        r->has_number[i] = !gaps || next(&seed) % 4 != 0;
        r->has_vector[i] = !gaps || next(&seed) % 4 != 0;
        for (int j = 0; j < 3; j++)
            r->vector[i][j] = (float)(next(&seed) % 200) / 100.0f - 1.0f;
        r->label[i] = kind < 2 || r->number[i] > 27;
        r->weight[i] = 1;
    }
}

static void lengths_of(const char *const *texts, size_t n, size_t *lengths)
{
    for (size_t i = 0; i < n; i++)
        lengths[i] = texts[i] != NULL ? strlen(texts[i]) : 0;
}

enum { TITLE, QUERY, SHELF, PRICE, PICTURE, FIELDS };

static ecrec_batch *batch_of(const ecrec_schema *schema, const rows *r, size_t first, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    size_t lengths[64];
    CALL(ecrec_batch_create(schema, &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    lengths_of(r->text + first, n, lengths);
    CALL(ecrec_batch_set_text(b, TITLE, r->text + first, lengths, &err));
    lengths_of(r->category + first, n, lengths);
    CALL(ecrec_batch_set_text(b, QUERY, r->category + first, lengths, &err));
    CALL(ecrec_batch_set_category(b, SHELF, r->category + first, lengths, &err));
    CALL(ecrec_batch_set_number(b, PRICE, r->number + first, r->has_number + first, &err));
    CALL(ecrec_batch_set_vector(b, PICTURE, r->vector[first], 0, r->has_vector + first, &err));
    CALL(ecrec_batch_set_label(b, 0, r->label + first, NULL, &err));
    CALL(ecrec_batch_set_weight(b, r->weight + first, &err));
    return b;
}

static const char every_kind[] =
    "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"word_ngrams\":2,\"char_ngrams\":4},"
    "{\"name\":\"query\",\"kind\":\"text\",\"compare\":\"title\",\"compare_only\":true},{\"name\":\"shelf\",\"kind\":\"category\"},"
    "{\"name\":\"price\",\"kind\":\"number\"},{\"name\":\"picture\",\"kind\":\"vector\",\"dimension\":3}],\"labels\":[\"buy\"],\"hash_bits\":12}";

typedef struct shop {
    ecrec_context *context;
    ecrec_schema *schema;
    ecrec_model *base, *ranker;
    ecrec_session *session;
} shop;

static void shop_session(shop *s)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session_release(s->session);
    s->session = NULL;
    CALL(ecrec_session_create(s->ranker, NULL, &s->session, &err));
}

static void shop_open(shop *s)
{
    ecrec_error err = ECREC_ERROR_INIT;
    memset(s, 0, sizeof *s);
    s->context = context_with(1, 0);
    CALL(ecrec_model_import(s->context, tiny_folder(), NULL, &s->base, NULL, &err));
    CALL(ecrec_schema_parse(s->context, every_kind, sizeof every_kind - 1, &s->schema, &err));
    CALL(ecrec_ranker_create(s->context, s->base, s->schema, &s->ranker, &err));
    shop_session(s);
}

static void shop_close(shop *s)
{
    ecrec_session_release(s->session);
    ecrec_model_release(s->ranker);
    ecrec_model_release(s->base);
    ecrec_schema_release(s->schema);
    ecrec_context_release(s->context);
}

static void learn(shop *s, const rows *r, size_t first, size_t n, uint32_t passes)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_batch *b = batch_of(s->schema, r, first, n);
    options.passes = passes;
    options.max_loss_growth = 100;
    CALL(ecrec_update(s->ranker, b, &options, NULL, &err));
    ecrec_batch_release(b);
}

static void logits_of(shop *s, const rows *r, float *logits, float *parts)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_score_options options = ECREC_SCORE_OPTIONS_INIT;
    ecrec_batch *b = batch_of(s->schema, r, 0, r->n);
    options.logits = 1;
    options.contributions = parts;
    options.contributions_capacity = parts != NULL ? r->n * (FIELDS + 1) : 0;
    CALL(ecrec_score(s->ranker, s->session, b, &options, logits, r->n, &err));
    ecrec_batch_release(b);
}

/* ---- tests ---- */

/* One category of one row: two weights of value 1, the category's and the bias. Followed by hand in double. */
static void adagrad_trace(void **state)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    static const float labels[] = { 1, 1, 0, 1, 0, 0, 0, 1 }, weights[] = { 1, 2, 1, 0.5f, 1, 3, 1, 1 };
    const double eta = 0.7, lambda = 0.01;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    const char *value = "a";
    const size_t length = 1;
    double w = 0, bias = 0, sums = 0;
    (void)state;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    CALL(ecrec_batch_create(schema, &b, &err));
    for (int i = 0; i < 8; i++) {
        ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
        ecrec_score_options scoring = ECREC_SCORE_OPTIONS_INIT;
        float logit = 0;
        options.learning_rate = eta;
        options.decay = lambda;
        options.max_loss_growth = 100;
        CALL(ecrec_batch_reset(b, 1, &err));
        CALL(ecrec_batch_set_category(b, 0, &value, &length, &err));
        CALL(ecrec_batch_set_label(b, 0, &labels[i], NULL, &err));
        CALL(ecrec_batch_set_weight(b, &weights[i], &err));
        CALL(ecrec_update(ranker, b, &options, NULL, &err));
        /* theta <- theta - eta * h / sqrt(0.05 + sum g^2) - eta * lambda * theta; g: the gradient as met, h: as it is where h leads */
        const double gradient = (1 / (1 + exp(-(w + bias))) - labels[i]) * weights[i];
        sums += gradient * gradient;
        double low = -4, high = 4; /* h grows, what it should be falls with it */
        for (int k = 0; k < 100; k++) {
            const double h = 0.5 * (low + high), there = (1 / (1 + exp(-(w + bias - 2 * eta * h / sqrt(0.05 + sums)))) - labels[i]) * weights[i];
            *(h < there ? &low : &high) = h;
        }
        w = w - eta * low / sqrt(0.05 + sums) - eta * lambda * w;
        bias = bias - eta * low / sqrt(0.05 + sums) - eta * lambda * bias;
        scoring.logits = 1;
        CALL(ecrec_score(ranker, session, b, &scoring, &logit, 1, &err));
        if (fabs(logit - (w + bias)) > 2e-6)
            fail_msg("step %d: the logit is %.8f, the formula says %.8f", i, (double)logit, w + bias);
    }
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

static void parts_add_up(void **state)
{
    shop s;
    rows r;
    float logits[64], parts[64 * (FIELDS + 1)];
    (void)state;
    shop_open(&s);
    fill(&r, 64, 11, 1);
    learn(&s, &r, 0, 64, 5);
    logits_of(&s, &r, logits, parts);
    double told[FIELDS + 1] = { 0 };
    for (size_t i = 0; i < r.n; i++) {
        double sum = 0;
        for (int f = 0; f <= FIELDS; f++) {
            sum += parts[i * (FIELDS + 1) + (size_t)f];
            told[f] += fabs((double)parts[i * (FIELDS + 1) + (size_t)f]);
        }
        if (fabs(sum - logits[i]) > 1e-5)
            fail_msg("row %zu: the parts add up to %.7f, the logit is %.7f", i, sum, (double)logits[i]);
    }
    for (int f = 0; f <= FIELDS; f++)
        assert_true(told[f] > 0); /* every field has said something */
    shop_close(&s);
}

/* A missing field is not a zero: each kind has a weight of its own for it. */
static void missing_is_missing(void **state)
{
    shop s;
    rows r, probe;
    float logits[3], parts[3 * (FIELDS + 1)];
    (void)state;
    shop_open(&s);
    fill(&r, 64, 3, 1);
    for (size_t i = 0; i < r.n; i++) { /* what is missing predicts the label */
        r.has_number[i] = r.has_vector[i] = r.label[i] != 0;
        r.category[i] = r.label[i] != 0 ? "home" : NULL;
        r.text[i] = r.label[i] != 0 ? "red shoes" : NULL;
    }
    learn(&s, &r, 0, 64, 3);
    fill(&probe, 3, 5, 0);
    for (int i = 0; i < 3; i++) {
        probe.text[i] = i == 0 ? NULL : "";
        probe.category[i] = i == 0 ? NULL : "";
        probe.number[i] = 0;
        memset(probe.vector[i], 0, sizeof probe.vector[i]);
        probe.has_number[i] = probe.has_vector[i] = i != 0;
    }
    logits_of(&s, &probe, logits, parts);
    static const int kinds[] = { TITLE, SHELF, PRICE, PICTURE };
    for (int k = 0; k < 4; k++) {
        const float gone = parts[kinds[k]], zero = parts[FIELDS + 1 + kinds[k]];
        if (!(gone < -0.01f) || gone == zero)
            fail_msg("field %d: missing says %g, zero or empty says %g", kinds[k], (double)gone, (double)zero);
    }
    shop_close(&s);
}

/* Rows that teach nothing (weight 0) move the statistics of numbers; what old weights mean stays. */
static void statistics_keep_meaning(void **state)
{
    shop s;
    rows r, far;
    float before[64], after[64];
    (void)state;
    shop_open(&s);
    fill(&r, 64, 21, 1);
    learn(&s, &r, 0, 64, 3);
    logits_of(&s, &r, before, NULL);
    fill(&far, 64, 22, 0);
    for (size_t i = 0; i < far.n; i++) {
        far.number[i] = 1000 + 50 * (double)i;
        far.weight[i] = 0;
    }
    learn(&s, &far, 0, 64, 1);
    learn(&s, &far, 0, 64, 1);
    logits_of(&s, &r, after, NULL);
    for (size_t i = 0; i < r.n; i++)
        if (fabs((double)before[i] - after[i]) > 2e-4 * (1 + fabs((double)before[i])))
            fail_msg("row %zu: the logit was %.6f, and is %.6f after rows of weight 0", i, (double)before[i], (double)after[i]);
    shop_close(&s);
}

static void rollback_is_exact(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    shop s;
    rows r;
    float known[6][64], now[64];
    (void)state;
    shop_open(&s);
    fill(&r, 64, 31, 1);
    for (int i = 0; i < 6; i++) {
        logits_of(&s, &r, known[i], NULL);
        learn(&s, &r, (size_t)i * 8, 16, 2);
    }
    for (uint64_t back = 6; back >= 1; back--) {
        CALL(ecrec_rollback(s.ranker, back, &err));
        logits_of(&s, &r, now, NULL);
        assert_memory_equal(now, known[back - 1], sizeof now);
    }
    /* the same rows again from there give the same bits again */
    for (int i = 0; i < 5; i++)
        learn(&s, &r, (size_t)i * 8, 16, 2);
    logits_of(&s, &r, now, NULL);
    assert_memory_equal(now, known[5], sizeof now);
    assert_int_equal(ecrec_rollback(s.ranker, 1000, &err), ECREC_ERR_NOT_FOUND);
    shop_close(&s);
}

/* Learned in one go, and with a save and a load after every update: the files are the same to the last byte. */
static void saving_changes_nothing(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    shop a, b;
    rows r;
    (void)state;
    shop_open(&a);
    shop_open(&b);
    fill(&r, 64, 41, 1);
    for (int i = 0; i < 6; i++) {
        char path[600];
        learn(&a, &r, (size_t)i * 8, 16, 2);
        learn(&b, &r, (size_t)i * 8, 16, 2);
        snprintf(path, sizeof path, "%s", temporary("between.ecrec"));
        CALL(ecrec_model_save(b.ranker, path, &err));
        ecrec_model_release(b.ranker);
        b.ranker = NULL;
        CALL(ecrec_model_load(b.context, path, NULL, &b.ranker, &err));
        shop_session(&b);
    }
    float one[64], other[64];
    logits_of(&a, &r, one, NULL);
    logits_of(&b, &r, other, NULL);
    assert_memory_equal(one, other, sizeof one);
    size_t n = 0, m = 0;
    char first[600], second[600];
    snprintf(first, sizeof first, "%s", temporary("first.ecrec"));
    snprintf(second, sizeof second, "%s", temporary("second.ecrec"));
    CALL(ecrec_model_save(a.ranker, first, &err));
    CALL(ecrec_model_save(b.ranker, second, &err));
    /* and what each learns next is the same: the optimiser's sums were saved too */
    learn(&a, &r, 0, 64, 3);
    learn(&b, &r, 0, 64, 3);
    logits_of(&a, &r, one, NULL);
    logits_of(&b, &r, other, NULL);
    assert_memory_equal(one, other, sizeof one);
    char *x = read_file(first, &n), *y = read_file(second, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    shop_close(&a);
    shop_close(&b);
}

/* n rows in one update, or one by one: the same weights, since each row is learned from in turn. */
static void rows_in_turn(void **state)
{
    shop a, b;
    rows r;
    float one[64], other[64];
    (void)state;
    shop_open(&a);
    shop_open(&b);
    fill(&r, 64, 51, 1);
    learn(&a, &r, 0, 64, 1);
    for (size_t i = 0; i < 64; i++)
        learn(&b, &r, i, 1, 1);
    logits_of(&a, &r, one, NULL);
    logits_of(&b, &r, other, NULL);
    assert_memory_equal(one, other, sizeof one);
    shop_close(&a);
    shop_close(&b);
}

static void guard_refuses(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    shop s;
    rows r, wrong;
    float before[64], after[64];
    (void)state;
    shop_open(&s);
    fill(&r, 64, 61, 0);
    learn(&s, &r, 0, 64, 5);
    logits_of(&s, &r, before, NULL);
    const uint64_t snapshot = ecrec_model_snapshot(s.ranker);
    /* a rate so large that the last rows ruin what the first ones taught */
    fill(&wrong, 64, 61, 0);
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    options.learning_rate = 100;
    ecrec_batch *b = batch_of(s.schema, &wrong, 0, 64);
    REFUSED(ECREC_ERR_REJECTED, ecrec_update(s.ranker, b, &options, NULL, &err));
    ecrec_batch_release(b);
    assert_int_equal(ecrec_model_snapshot(s.ranker), snapshot);
    logits_of(&s, &r, after, NULL);
    assert_memory_equal(before, after, sizeof before);
    shop_close(&s);
}

/* ---- metrics ---- */

enum { SCORED = 300 };

static double told(const ecrec_report *report, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double value = 0;
    CALL(ecrec_report_number(report, name, &value, &err));
    return value;
}

static void near(const char *what, double own, double wanted)
{
    if (!(fabs(own - wanted) <= 1e-9 * (1 + fabs(wanted))))
        fail_msg("%s is %.12g, counted one by one it is %.12g", what, own, wanted);
}

/* Every figure from its definition, pair by pair and row by row. */
static void check_metrics(uint32_t seed, int steps, int weighted)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_report *report = NULL;
    float p[SCORED], y[SCORED], w[SCORED];
    double pairs = 0, won = 0, total = 0, loss = 0, right = 0, bins[15][2] = { { 0 } }, table[2][2] = { { 0 } };
    for (int i = 0; i < SCORED; i++) {
        p[i] = (float)(next(&seed) % (unsigned)(steps + 1)) / (float)steps; /* few steps: many ties */
        y[i] = next(&seed) % 1000 < 200 + 600 * p[i];
        w[i] = weighted ? (float)(next(&seed) % 8) / 2.0f : 1;
    }
    for (int i = 0; i < SCORED; i++) {
        for (int j = 0; j < SCORED; j++)
            if (y[i] > 0 && y[j] < 1) {
                pairs += (double)w[i] * w[j];
                won += (double)w[i] * w[j] * (p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0);
            }
        const double q = p[i] < 1e-7 ? 1e-7 : p[i] > 1 - 1e-7 ? 1 - 1e-7 : p[i];
        const int said = p[i] >= 0.5f, bin = p[i] >= 1 ? 14 : (int)((double)p[i] * 15);
        total += w[i];
        loss -= w[i] * (y[i] > 0 ? log(q) : log(1 - q));
        right += said == (int)y[i] ? w[i] : 0;
        bins[bin][0] += (double)w[i] * p[i];
        bins[bin][1] += (double)w[i] * y[i];
        table[(int)y[i]][said] += w[i];
    }
    double ece = 0;
    for (int b = 0; b < 15; b++)
        ece += fabs(bins[b][0] - bins[b][1]);
    CALL(ecrec_evaluate(context, p, y, weighted ? w : NULL, SCORED, &report, &err));
    near("AUC", told(report, "auc"), won / pairs);
    near("log loss", told(report, "log_loss"), loss / total);
    near("accuracy", told(report, "accuracy"), right / total);
    near("ECE", told(report, "ece"), ece / total);
    double macro = 0, mean = 0;
    for (int c = 0; c < 2; c++) {
        char name[32];
        const double precision = table[c][c] / (table[0][c] + table[1][c]), recall = table[c][c] / (table[c][0] + table[c][1]);
        const double f1 = 2 * precision * recall / (precision + recall), support = table[c][0] + table[c][1];
        snprintf(name, sizeof name, "class_%d.precision", c);
        near(name, told(report, name), precision);
        snprintf(name, sizeof name, "class_%d.recall", c);
        near(name, told(report, name), recall);
        snprintf(name, sizeof name, "class_%d.f1", c);
        near(name, told(report, name), f1);
        snprintf(name, sizeof name, "class_%d.support", c);
        near(name, told(report, name), support);
        macro += f1 / 2;
        mean += f1 * support / total;
    }
    near("macro F1", told(report, "macro.f1"), macro);
    near("weighted F1", told(report, "weighted.f1"), mean);
    ecrec_report_release(report);
    ecrec_context_release(context);
}

static void metrics_by_hand(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 5; seed++) {
        check_metrics(seed, 10, 0);
        check_metrics(seed, 10, 1);
        check_metrics(seed, 100000, seed % 2 != 0);
    }
}

static void metrics_edges(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_report *report = NULL;
    const float p[] = { 0.2f, 0.9f }, ones[] = { 1, 1 }, bad[] = { 0.5f, NAN }, wrong[] = { 0, 0.5f };
    (void)state;
    CALL(ecrec_evaluate(context, p, ones, NULL, 2, &report, &err));
    assert_true(isnan(told(report, "auc"))); /* one class alone has none */
    near("accuracy", told(report, "accuracy"), 0.5);
    near("recall of the class that is not there", told(report, "class_0.recall"), 0);
    ecrec_report_release(report);
    REFUSED(ECREC_ERR_INVALID, ecrec_evaluate(context, bad, ones, NULL, 2, &report, &err));
    assert_int_equal(err.row, 1);
    REFUSED(ECREC_ERR_INVALID, ecrec_evaluate(context, p, wrong, NULL, 2, &report, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_evaluate(context, p, ones, bad, 2, &report, &err));
    /* nothing known: figures that are no numbers, and no crash */
    const float unknown[] = { NAN, NAN };
    const uint64_t groups[] = { 1, 2 };
    const uint32_t slices[] = { 0, UINT32_MAX };
    const char *const names[] = { NULL, "b" }, *const good[] = { "a", "b" };
    const uint32_t none[] = { 0 };
    for (int32_t kind = ECREC_LABEL_BINARY; kind <= ECREC_LABEL_ORDINAL; kind++) {
        const float four[] = { 0.5f, 0.5f, 1, 0 };
        ecrec_evaluation e = ECREC_EVALUATION_INIT;
        e.kind = kind;
        e.classes = kind == ECREC_LABEL_CLASSES || kind == ECREC_LABEL_ORDINAL ? 2 : 0;
        e.rows = 2;
        e.scores = four;
        e.labels = unknown;
        e.groups = groups;
        e.slices = slices;
        e.slice_names = good;
        e.slice_count = 2;
        e.curve_points = 3;
        CALL(ecrec_evaluate_rows(context, &e, &report, &err));
        near("rows", told(report, "rows"), 0);
        near("slices left out", told(report, "slices_left_out"), 0);
        ecrec_report_release(report);
        e.labels = ones;
        CALL(ecrec_evaluate_rows(context, &e, &report, &err));
        near("rows", told(report, "rows"), 2);
        near("rows of the slice", told(report, "slices.0.rows"), 1);
        ecrec_report_release(report);
        e.slice_names = names;
        REFUSED(ECREC_ERR_INVALID, ecrec_evaluate_rows(context, &e, &report, &err));
        e.slice_names = good;
        e.slice_count = 0;
        REFUSED(ECREC_ERR_INVALID, ecrec_evaluate_rows(context, &e, &report, &err));
        e.slices = NULL;
        e.at = none;
        e.at_count = 1;
        REFUSED(ECREC_ERR_INVALID, ecrec_evaluate_rows(context, &e, &report, &err));
        e.at = NULL;
        e.bins = 201;
        REFUSED(ECREC_ERR_INVALID, ecrec_evaluate_rows(context, &e, &report, &err));
        e.bins = 0;
        e.size = 8;
        REFUSED(ECREC_ERR_INVALID, ecrec_evaluate_rows(context, &e, &report, &err));
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(adagrad_trace), cmocka_unit_test(parts_add_up), cmocka_unit_test(missing_is_missing),
                                        cmocka_unit_test(statistics_keep_meaning), cmocka_unit_test(rollback_is_exact),
                                        cmocka_unit_test(saving_changes_nothing), cmocka_unit_test(rows_in_turn), cmocka_unit_test(guard_refuses),
                                        cmocka_unit_test(metrics_by_hand), cmocka_unit_test(metrics_edges) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
