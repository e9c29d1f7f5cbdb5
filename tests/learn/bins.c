/* Numbers in bins: the sketch, frozen cuts, weights that go along with new ones, files, deltas, workers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/random.h"
#include "ecrec/ecrec.h"
#include "learn/rebin.h"
#include "rank/bins.h"
#include "support.h"

enum { MANY = 200000, ROWS = 2000 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double draw(random_stream *r, int shape)
{
    const double u = (double)random_float(r);
    return shape == 0 ? u : shape == 1 ? 1.7e9 + floor(u * 1e5) : shape == 2 ? exp(random_normal(r) * 3) : u < 0.6 ? 0 : floor(u * 10);
}

/* The largest distance of a rank that the sketch tells from the true one, as a share. */
static double worst(const double *sketch, double *sorted, size_t n)
{
    static quantile_item items[QUANTILES_ITEMS];
    const size_t count = quantiles_list(sketch, items);
    double far = 0;
    qsort(sorted, n, sizeof *sorted, ascending);
    for (size_t i = 0; i < n; i += n / 500) {
        size_t last = i; /* the last of its equals */
        while (last + 1 < n && sorted[last + 1] == sorted[i])
            last++;
        far = fmax(far, fabs(quantiles_share(items, count, sorted[i]) - (double)(last + 1) / (double)n));
    }
    return far;
}

static void test_sketch(void **state)
{
    static double values[MANY], one[QUANTILES_SIZE], again[QUANTILES_SIZE], parts[4][QUANTILES_SIZE + BINS_SKETCH];
    (void)state;
    for (int shape = 0; shape < 4; shape++)
        for (int order = 0; order < 2; order++) {
            random_stream r;
            random_init(&r, 5, (uint64_t)shape);
            for (size_t i = 0; i < MANY; i++)
                values[i] = draw(&r, shape);
            if (order == 1)
                qsort(values, MANY, sizeof *values, ascending);
            memset(one, 0, sizeof one);
            memset(again, 0, sizeof again);
            memset(parts, 0, sizeof parts);
            const size_t before = MANY / 3;
            for (size_t i = 0; i < MANY; i++) {
                quantiles_add(one, values[i]);
                quantiles_add(again, values[i]);
                for (size_t k = 0; k < 4; k++) /* part 0 is the base, which the others have */
                    if (i < before || (k != 0 && i % 3 == k - 1))
                        quantiles_add(parts[k] + BINS_SKETCH, values[i]);
            }
            assert_memory_equal(one, again, sizeof one);
            assert_true(quantiles_valid(one) && one[QUANTILES_COUNT] == MANY);
            ecrec_context *context = context_with(1, 0);
            const double *const workers[] = { parts[1], parts[2], parts[3] };
            assert_int_equal(bins_merge(&context->m, parts[0], workers, 3), ECREC_OK);
            const double *merged = parts[0] + BINS_SKETCH;
            assert_true(quantiles_valid(merged));
            assert_true(merged[QUANTILES_COUNT] == MANY && merged[QUANTILES_LEAST] == one[QUANTILES_LEAST] && merged[QUANTILES_MOST] == one[QUANTILES_MOST]);
            const double far = worst(one, values, MANY), merged_far = worst(merged, values, MANY);
            if (far > 0.015 || merged_far > 0.03)
                fail_msg("shape %d, order %d: ranks are off by %.4f, merged by %.4f", shape, order, far, merged_far);
            for (size_t i = 0; i < 5000; i++) /* one that was merged goes on */
                quantiles_add(parts[0] + BINS_SKETCH, values[i]);
            assert_true(quantiles_valid(merged));
            ecrec_context_release(context);
        }
}

static void test_cuts(void **state)
{
    static double row[BINS_COLUMNS];
    static quantile_item items[QUANTILES_ITEMS];
    double cuts[MOST_BINS];
    (void)state;
    const double values[] = { 0, 0, 0, 0, 0, 1, 2, 3, 4, 9 };
    for (size_t i = 0; i < 10; i++)
        quantiles_add(row + BINS_SKETCH, values[i]);
    size_t n = quantiles_list(row + BINS_SKETCH, items);
    assert_int_equal(n, 10);
    assert_int_equal(bins_cut(items, n, row, 5, cuts), 3); /* shares .2 and .4 lie at 0 both, .6 at 1, .8 at 3 */
    assert_true(cuts[0] == 0 && cuts[1] == 1 && cuts[2] == 3);
    row[BINS_CUTS] = 3;
    memcpy(row + BINS_FIRST, cuts, 3 * sizeof *cuts);
    const double asked[] = { -5, 0, 0.001, 1, 1.5, 3, 3.001, 1e300 };
    const uint32_t bins[] = { 0, 0, 1, 1, 2, 2, 3, 3 };
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(bins_find(row, asked[i]), bins[i]);
}

typedef struct world { ecrec_context *context; ecrec_schema *schema; ecrec_model *model; } world;

static ecrec_schema *schema_of(ecrec_context *context, const char *more)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    char text[512];
    snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"x\",\"kind\":\"number\"%s},{\"name\":\"shop\",\"kind\":\"category\",\"admit_after\":3},{\"name\":\"n\",\"kind\":\"number\"}],"
             "\"labels\":[\"y\"],\"hash_bits\":14,\"network\":{\"pairs\":\"all\",\"unmet\":true,\"width\":4,\"fm\":true}}", more);
    CALL(ecrec_schema_parse(context, text, strlen(text), &s, &err));
    return s;
}

static world open_world(const char *more)
{
    ecrec_error err = ECREC_ERROR_INIT;
    world w = { context_with(1, 0), NULL, NULL };
    w.schema = schema_of(w.context, more);
    CALL(ecrec_ranker_create(w.context, NULL, w.schema, &w.model, &err));
    return w;
}

static void close_world(world *w)
{
    ecrec_model_release(w->model);
    ecrec_schema_release(w->schema);
    ecrec_context_release(w->context);
}

/* A click is likely near both ends of x and in its middle: no slope says so. */
static ecrec_batch *rows(const ecrec_schema *s, uint64_t seed, size_t n, double stretch)
{
    static double x[ROWS], other[ROWS];
    static float y[ROWS];
    static uint64_t shop[ROWS];
    static uint8_t valid[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    random_stream r;
    random_init(&r, seed, 1);
    for (size_t i = 0; i < n; i++) {
        const double u = (double)random_float(&r);
        x[i] = exp(u * 6) * stretch;
        other[i] = (double)random_float(&r);
        shop[i] = random_below(&r, 5);
        valid[i] = random_below(&r, 20) != 0;
        y[i] = random_float(&r) < ((int)(u * 5) % 2 == 0 ? 0.9f : 0.1f);
    }
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    CALL(ecrec_batch_set_number(b, 0, x, valid, &err));
    CALL(ecrec_batch_set_category_u64(b, 1, shop, NULL, &err));
    CALL(ecrec_batch_set_number(b, 2, other, NULL, &err));
    CALL(ecrec_batch_set_label(b, 0, y, NULL, &err));
    return b;
}

static void score(ecrec_model *m, const ecrec_batch *b, float *scores)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_score(m, session, b, NULL, scores, ecrec_batch_rows(b), &err));
    ecrec_session_release(session);
}

static double number(ecrec_report *r, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double v = NAN;
    CALL(ecrec_report_number(r, name, &v, &err));
    return v;
}

static double furthest(const float *a, const float *b, size_t n)
{
    double far = 0;
    for (size_t i = 0; i < n; i++)
        far = fmax(far, fabs((double)a[i] - (double)b[i]));
    return far;
}

typedef struct bytes { unsigned char data[1 << 20]; size_t length; } bytes;

static int32_t take(void *opaque, const void *data, size_t n)
{
    bytes *b = opaque;
    assert_true(n <= sizeof b->data);
    memcpy(b->data, data, n);
    b->length = n;
    return 0;
}

static void test_fit(void **state)
{
    double loss[2];
    (void)state;
    for (int binned = 0; binned < 2; binned++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_report *report = NULL;
        world w = open_world(binned ? ",\"bins\":20" : "");
        ecrec_batch *b = rows(w.schema, 1, ROWS, 1);
        ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
        fit.epochs = 12;
        fit.holdout = 0.25;
        CALL(ecrec_fit(w.model, b, &fit, &report, &err));
        loss[binned] = number(report, "labels.y.log_loss");
        ecrec_report_release(report);
        ecrec_batch_release(b);
        close_world(&w);
    }
    if (!(loss[1] < 0.45 && loss[0] > 0.6)) /* of odds of 9 to 1: .325 */
        fail_msg("the loss is %.3f in bins, %.3f standardised", loss[1], loss[0]);
}

static void test_frozen(void **state)
{
    static bytes delta;
    const ecrec_sink sink = { .size = (uint32_t)sizeof sink, .write = take, .opaque = &delta };
    static float first[ROWS], then[ROWS], rebinned[ROWS], loaded[ROWS], replica[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    ecrec_model *again = NULL, *follower = NULL;
    (void)state;
    world w = open_world(",\"bins\":16,\"hash_seed\":3");
    ecrec_batch *few = rows(w.schema, 3, 100, 1), *b = rows(w.schema, 1, ROWS, 1), *far = rows(w.schema, 2, ROWS, 3);
    REFUSED(ECREC_ERR_INVALID, ecrec_rebin(w.model, "x", NULL, NULL, &err)); /* nothing was seen */
    REFUSED(ECREC_ERR_INVALID, ecrec_rebin(w.model, "shop", NULL, NULL, &err));
    CALL(ecrec_ranker_create(w.context, NULL, w.schema, &follower, &err));
    /* 100 numbers are too few: one bin; what it learned is what all bins begin with */
    CALL(ecrec_update(w.model, few, NULL, NULL, &err));
    score(w.model, b, first);
    CALL(ecrec_rebin(w.model, "x", NULL, &report, &err));
    assert_true(number(report, "fields.x.bins_before") == 1 && number(report, "fields.x.bins") == 16 && number(report, "fields.x.values") > 80);
    ecrec_report_release(report);
    score(w.model, b, then);
    assert_memory_equal(first, then, sizeof first);
    /* updates move no cut */
    CALL(ecrec_update(w.model, b, NULL, NULL, &err));
    CALL(ecrec_update(w.model, far, NULL, NULL, &err));
    score(w.model, b, first);
    CALL(ecrec_rebin(w.model, NULL, NULL, &report, &err));
    assert_true(number(report, "fields.x.bins_before") == 16 && number(report, "fields.x.bins") == 16);
    double last = -INFINITY;
    for (int i = 1; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "fields.x.cuts.%d", i);
        assert_true(number(report, name) > last);
        last = number(report, name);
    }
    ecrec_report_release(report);
    score(w.model, b, rebinned);
    double moved = 0, before = 0, after = 0;
    for (size_t i = 0; i < ROWS; i++) {
        moved += fabs((double)rebinned[i] - (double)first[i]) / ROWS;
        before += first[i] / ROWS;
        after += rebinned[i] / ROWS;
    }
    assert_true(moved > 0 && moved < 0.12 && fabs(after - before) < 0.03); /* the weights went along */
    /* twice is once: nothing new was seen */
    CALL(ecrec_rebin(w.model, NULL, NULL, NULL, &err));
    score(w.model, b, then);
    assert_true(furthest(rebinned, then, ROWS) < 1e-6);
    /* a file, and a replica that follows */
    CALL(ecrec_model_save(w.model, temporary("bins.ecrec"), &err));
    CALL(ecrec_model_load(w.context, temporary("bins.ecrec"), NULL, &again, &err));
    score(again, b, loaded);
    assert_memory_equal(then, loaded, sizeof loaded);
    ecrec_model_release(follower);
    follower = NULL;
    CALL(ecrec_model_load(w.context, temporary("bins.ecrec"), NULL, &follower, &err));
    const uint64_t kept = ecrec_model_snapshot(again);
    CALL(ecrec_update(again, far, NULL, NULL, &err));
    CALL(ecrec_rebin(again, NULL, few, NULL, &err));
    score(again, b, loaded);
    CALL(ecrec_delta_export(again, kept, 0, &sink, &err));
    CALL(ecrec_delta_apply(follower, delta.data, delta.length, NULL, &err));
    score(follower, b, replica);
    assert_memory_equal(loaded, replica, sizeof replica);
    CALL(ecrec_rollback(again, kept, &err));
    score(again, b, replica);
    assert_memory_equal(then, replica, sizeof replica);
    ecrec_model_release(follower);
    ecrec_model_release(again);
    ecrec_batch_release(few);
    ecrec_batch_release(b);
    ecrec_batch_release(far);
    close_world(&w);
}

/* The first cuts come by themselves from 8 numbers a bin on, behind an update, and change no score. */
static void test_first(void **state)
{
    static float a[ROWS], c[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    (void)state;
    world w = open_world(",\"bins\":16");
    ecrec_batch *b = rows(w.schema, 1, 600, 1);
    CALL(ecrec_update(w.model, b, NULL, NULL, &err));
    CALL(ecrec_rebin(w.model, "x", NULL, &report, &err));
    assert_true(number(report, "fields.x.bins_before") == 16);
    ecrec_report_release(report);
    /* so they do with more updates: the same bits however rows are read */
    world other = open_world(",\"bins\":16");
    CALL(ecrec_update(other.model, b, NULL, NULL, &err));
    CALL(ecrec_rebin(other.model, "x", NULL, NULL, &err));
    score(w.model, b, a);
    score(other.model, b, c);
    assert_memory_equal(a, c, 600 * sizeof *a);
    ecrec_batch_release(b);
    close_world(&other);
    close_world(&w);
}

/* By hand: bins (0, 1], (1, 2], (2, 3], (3, 4] of one value each become two; their weights 1, 2, 3, 5. */
static void test_weights(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    world w = open_world(",\"bins\":2");
    ranker *r = NULL;
    tensor_set *start = NULL;
    learn_state s = { 0 };
    CALL(tensor_set_create(&w.context->m, &start));
    CALL(ranker_init_tensors(&w.context->m, w.schema, 0, start, &err));
    CALL(state_open(&s, &w.context->m, w.schema, 0, start, &err));
    const field_plan *p = &s.now->plan[0];
    double *row = (double *)tensor_edit(s.bins) + (size_t)p->binned * BINS_COLUMNS;
    const float weights[] = { 1, 2, 3, 5 }, sums[] = { 4, 8, 2, 6 };
    for (uint32_t i = 0; i < 4; i++) {
        quantiles_add(row + BINS_SKETCH, i + 1);
        if (i < 3)
            row[BINS_FIRST + i] = i + 1;
        const uint64_t at = bins_hash(p->seed, i);
        *(float *)tensor_row_edit(s.hashed, at & ((1u << 14) - 1)) = weights[i];
        *(float *)tensor_row_edit(s.hashed_sums, at & ((1u << 14) - 1)) = sums[i];
        for (int c = 0; c < 4; c++)
            ((float *)tensor_row_edit(s.embeddings, at & ((1u << 18) - 1)))[c] = weights[i] + (float)c;
    }
    row[BINS_CUTS] = 3;
    CALL(rebin_field(&s, 0, &err));
    assert_true(row[BINS_CUTS] == 1 && row[BINS_FIRST] == 2);
    const float wanted[] = { 1.5f, 4 }, wanted_sums[] = { 12, 8 };
    for (uint32_t i = 0; i < 4; i++) {
        const uint64_t at = bins_hash(p->seed, i);
        assert_true(*(const float *)tensor_row(s.hashed, at & ((1u << 14) - 1)) == (i < 2 ? wanted[i] : 0));
        assert_true(*(const float *)tensor_row(s.hashed_sums, at & ((1u << 14) - 1)) == (i < 2 ? wanted_sums[i] : 0));
        for (int c = 0; c < 4; c++)
            assert_true(((const float *)tensor_row(s.embeddings, at & ((1u << 18) - 1)))[c] == (i < 2 ? wanted[i] + (float)c : 0));
    }
    state_close(&s, NULL);
    /* a row that is none is refused */
    tensor *bad = NULL;
    const uint64_t shape[2] = { 1, BINS_COLUMNS };
    const struct { int at; double value; } wrong[] = { { BINS_CUTS, 0.5 }, { BINS_CUTS, 256 }, { BINS_CUTS, NAN }, { BINS_CUTS, 2 }, { BINS_SKETCH + QUANTILES_COUNT, 3 },
        { BINS_SKETCH + QUANTILES_USED, 41 }, { BINS_SKETCH + QUANTILES_SIZES, 1e9 }, { BINS_SKETCH + QUANTILES_STEPS, -1 }, { BINS_SKETCH + QUANTILES_LEAST, NAN },
        { BINS_SKETCH + QUANTILES_SIZES + 39, 2 } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CALL(tensor_create(&w.context->m, TYPE_F64, LAYOUT_ROWS, 2, shape, &bad));
        memset(tensor_edit(bad), 0, bad->bytes);
        ((double *)tensor_edit(bad))[wrong[i].at] = wrong[i].value;
        CALL(tensor_set_put(start, "rank.bins", bad));
        tensor_release(bad);
        REFUSED(ECREC_ERR_FORMAT, ranker_create(&w.context->m, w.schema, 0, start, &r, &err));
    }
    tensor_set_release(start);
    close_world(&w);
}

/* Two workers part behind the first cuts and are merged; one that cuts by itself is refused. */
static void test_workers(void **state)
{
    static bytes deltas[2], merged;
    static float scores[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    (void)state;
    world w = open_world(",\"bins\":8");
    ecrec_batch *b = rows(w.schema, 1, ROWS, 1);
    CALL(ecrec_update(w.model, b, NULL, NULL, &err));
    CALL(ecrec_model_save(w.model, temporary("base.ecrec"), &err));
    ecrec_batch *own[2] = { rows(w.schema, 11, 500, 1), rows(w.schema, 12, 700, 2) };
    uint64_t start = 0;
    for (int k = 0; k < 2; k++) {
        ecrec_model *worker = NULL;
        ecrec_sink sink = { .size = (uint32_t)sizeof sink, .write = take, .opaque = &deltas[k] };
        CALL(ecrec_model_load(w.context, temporary("base.ecrec"), NULL, &worker, &err));
        start = ecrec_model_snapshot(worker);
        CALL(ecrec_update(worker, own[k], NULL, NULL, &err));
        CALL(ecrec_delta_export(worker, start, 0, &sink, &err));
        ecrec_model_release(worker);
    }
    const void *const data[] = { deltas[0].data, deltas[1].data };
    const size_t lengths[] = { deltas[0].length, deltas[1].length };
    const ecrec_sink sink = { .size = (uint32_t)sizeof sink, .write = take, .opaque = &merged };
    ecrec_model *base = NULL;
    CALL(ecrec_model_load(w.context, temporary("base.ecrec"), NULL, &base, &err));
    CALL(ecrec_delta_merge(base, data, lengths, 2, &sink, &err));
    CALL(ecrec_delta_apply(base, merged.data, merged.length, NULL, &err));
    score(base, b, scores);
    CALL(ecrec_rebin(base, "x", NULL, &report, &err));
    const double values = number(report, "fields.x.values");
    ecrec_report_release(report);
    CALL(ecrec_rebin(w.model, "x", own[0], NULL, &err));
    CALL(ecrec_rebin(w.model, "x", own[1], &report, &err));
    assert_true(number(report, "fields.x.values") == values && values > 3000);
    ecrec_report_release(report);
    ecrec_model *worker = NULL;
    const ecrec_sink again = { .size = (uint32_t)sizeof again, .write = take, .opaque = &deltas[1] };
    CALL(ecrec_model_load(w.context, temporary("base.ecrec"), NULL, &worker, &err));
    CALL(ecrec_rebin(worker, NULL, own[1], NULL, &err));
    CALL(ecrec_delta_export(worker, start, 0, &again, &err));
    const size_t others[] = { deltas[0].length, deltas[1].length };
    ecrec_model_release(base);
    CALL(ecrec_model_load(w.context, temporary("base.ecrec"), NULL, &base, &err));
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_delta_merge(base, data, others, 2, &sink, &err));
    CALL(ecrec_delta_apply(base, deltas[1].data, deltas[1].length, NULL, &err)); /* alone it is taken */
    ecrec_model_release(worker);
    ecrec_model_release(base);
    for (int k = 0; k < 2; k++)
        ecrec_batch_release(own[k]);
    ecrec_batch_release(b);
    close_world(&w);
}

static int32_t stop_late(void *opaque, uint64_t done, uint64_t total)
{
    (void)opaque;
    return done > total * 5 / 8;
}

/* A fit that was stopped goes on to the same bits: what its numbers were and who was admitted is in the checkpoint. */
static void test_resume(void **state)
{
    static float whole[ROWS], parts[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    world w = open_world(",\"bins\":12"), v = open_world(",\"bins\":12");
    ecrec_batch *b = rows(w.schema, 1, ROWS, 1);
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.epochs = 4;
    CALL(ecrec_fit(w.model, b, &fit, NULL, &err));
    fit.checkpoint = temporary("half.checkpoint");
    fit.progress = stop_late;
    REFUSED(ECREC_ERR_CANCELLED, ecrec_fit(v.model, b, &fit, NULL, &err));
    fit.checkpoint = NULL;
    fit.progress = NULL;
    fit.resume = temporary("half.checkpoint");
    CALL(ecrec_fit(v.model, b, &fit, NULL, &err));
    score(w.model, b, whole);
    score(v.model, b, parts);
    assert_memory_equal(whole, parts, sizeof whole);
    ecrec_batch_release(b);
    close_world(&v);
    close_world(&w);
}

/* A ranker gains a number in bins, and scores as before where it is missing; pairs are not of bins. */
static void test_extended(void **state)
{
    static float before[ROWS], after[ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *wider = NULL;
    ecrec_model *extended = NULL;
    (void)state;
    world w = open_world(",\"bins\":12");
    ecrec_batch *b = rows(w.schema, 1, ROWS, 1);
    CALL(ecrec_update(w.model, b, NULL, NULL, &err));
    score(w.model, b, before);
    CALL(ecrec_schema_extend(ecrec_model_schema(w.model), &wider, &err));
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    o.bins = 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_field(wider, "z", ECREC_FIELD_NUMBER, &o, NULL, &err));
    o.bins = 8;
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_field(wider, "z", ECREC_FIELD_CATEGORY, &o, NULL, &err));
    CALL(ecrec_schema_add_field(wider, "z", ECREC_FIELD_NUMBER, &o, NULL, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_schema_add_pair(wider, "z", "shop", &err));
    CALL(ecrec_ranker_extend(w.model, wider, &extended, &err));
    score(extended, b, after);
    assert_true(furthest(before, after, ROWS) < 1e-5);
    CALL(ecrec_rebin(extended, "x", NULL, NULL, &err)); /* its sketch went along */
    ecrec_model_release(extended);
    ecrec_schema_release(wider);
    ecrec_batch_release(b);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sketch), cmocka_unit_test(test_cuts), cmocka_unit_test(test_weights), cmocka_unit_test(test_fit),
        cmocka_unit_test(test_first), cmocka_unit_test(test_frozen), cmocka_unit_test(test_workers), cmocka_unit_test(test_resume), cmocka_unit_test(test_extended) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
