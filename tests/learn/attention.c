/* Target attention: its gradients against central differences of a reference in double, and what a ranker learns by it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/random.h"
#include "ecrec/ecrec.h"
#include "learn/attention_backward.h"
#include "rank/features.h"
#include "support.h"

enum { WIDTH = 5, EVENTS = 7, TYPES = 3 };

/* The formulas of rank/attention.h. w: "rank.network"; the loss is the sum of interest times d. */
static double reference(const attention_plan *p, const double *w, const double *items, const double *c, const unsigned char *types, const float *ages, const float *d)
{
    double e[EVENTS][WIDTH], s[EVENTS], sum = 1, loss = 0;
    for (int j = 0; j < EVENTS; j++) {
        s[j] = w[p->bias + types[j]] - w[p->decay + types[j]] * ages[j];
        for (int k = 0; k < WIDTH; k++)
            e[j][k] = items[j * WIDTH + k] + w[p->types + types[j] * WIDTH + k];
        for (uint32_t u = 0; u < p->units; u++) {
            double h = w[p->events.b + u];
            for (int k = 0; k < WIDTH; k++)
                h += w[p->events.w + u * WIDTH + k] * e[j][k] + w[p->candidate.w + u * WIDTH + k] * c[k] + w[p->product.w + u * WIDTH + k] * e[j][k] * c[k];
            s[j] += h > 0 ? w[p->score.w + u] * h : 0;
        }
        sum += exp(s[j]);
    }
    for (int j = 0; j < EVENTS; j++)
        for (int k = 0; k < WIDTH; k++)
            loss += exp(s[j]) / sum * e[j][k] * d[k];
    return loss;
}

typedef struct difference { const attention_plan *p; double *w, *items, *c; const unsigned char *types; const float *ages, *d; } difference;

static void compare(const char *what, const difference *f, double *values, const float *analytic, size_t n)
{
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        most = fabs((double)analytic[i]) > most ? fabs((double)analytic[i]) : most;
    for (size_t i = 0; i < n; i++) {
        const double old = values[i], h = 1e-6;
        values[i] = old + h;
        const double up = reference(f->p, f->w, f->items, f->c, f->types, f->ages, f->d);
        values[i] = old - h;
        const double down = reference(f->p, f->w, f->items, f->c, f->types, f->ages, f->d);
        values[i] = old;
        const double off = fabs((up - down) / (2 * h) - analytic[i]);
        worst = off > worst ? off : worst;
    }
    print_message("%s: %zu values, worst difference %.2e of the largest gradient\n", what, n, worst / most);
    assert_true(most > 0 && worst <= 2e-5 * most);
}

static ecrec_schema *schema_of(ecrec_context *context, const char *text)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    CALL(ecrec_schema_parse(context, text, strlen(text), &schema, &err));
    return schema;
}

static void gradients(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *schema = schema_of(context, "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"},{\"name\":\"h\",\"kind\":\"history\",\"compare\":\"i\",\"dimension\":9,"
                                              "\"event_types\":3}],\"labels\":[\"y\"],\"network\":{\"width\":5,\"attention\":6}}");
    ranker *r = NULL;
    CALL(ranker_plan(&context->m, schema, 0, &r, &err));
    const network_plan *n = &r->net;
    const attention_plan *p = &n->attention[0];
    const kernels *table = context->kernels;
    assert_int_equal(n->histories, 1);
    static const unsigned char types[EVENTS] = { 0, 2, 1, 1, 0, 2, 0 };
    float ages[EVENTS], items[EVENTS * WIDTH], c[WIDTH], d[WIDTH], interest[WIDTH], dc[WIDTH] = { 0 }, de[EVENTS * WIDTH], h[EVENTS * 6];
    float *flat = calloc(n->size, sizeof *flat), *g = calloc(p->size, sizeof *g);
    random_stream random;
    random_init(&random, 3, 0);
    for (size_t i = 0; i < n->size; i++)
        flat[i] = 0.5f * random_normal(&random);
    for (int i = 0; i < EVENTS * WIDTH; i++)
        items[i] = random_normal(&random);
    for (int i = 0; i < WIDTH; i++) {
        c[i] = random_normal(&random);
        d[i] = random_normal(&random);
    }
    for (int j = 0; j < EVENTS; j++)
        ages[j] = 3 - 0.4f * (float)j;
    network_packed *packed = NULL;
    assert_int_equal(network_packed_create(&context->m, n, &packed), ECREC_OK);
    network_pack(packed, n, flat);
    attention_user user;
    attention_work work;
    void *user_memory = malloc(attention_user_take(&user, p, WIDTH, EVENTS, NULL) + 64), *work_memory = malloc(attention_work_take(&work, p, WIDTH, EVENTS, NULL) + 64);
    (void)attention_user_take(&user, p, WIDTH, EVENTS, (void *)(((uintptr_t)user_memory + 63) / 64 * 64));
    (void)attention_work_take(&work, p, WIDTH, EVENTS, (void *)(((uintptr_t)work_memory + 63) / 64 * 64));
    user.events = EVENTS;
    memcpy(user.e, items, sizeof items);
    attention_user_make(p, &packed->attention[0], flat, table, WIDTH, types, ages, &user);
    attention_forward(p, &packed->attention[0], flat, table, WIDTH, &user, c, &work, interest);
    const attention_gradient out = { .weights = g, .candidate = dc, .e = de, .h = h };
    attention_backward(p, flat, table, WIDTH, &user, c, &work, types, ages, d, &out);
    double w[1024], x[EVENTS * WIDTH], y[WIDTH], loss = 0;
    assert_true(n->size <= 1024);
    for (size_t i = 0; i < n->size; i++)
        w[i] = flat[i];
    for (int i = 0; i < EVENTS * WIDTH; i++)
        x[i] = items[i];
    for (int i = 0; i < WIDTH; i++) {
        y[i] = c[i];
        loss += (double)interest[i] * d[i];
    }
    const difference f = { p, w, x, y, types, ages, d };
    assert_true(fabs(loss - reference(p, w, x, y, types, ages, d)) < 1e-5);
    compare("weights", &f, w + p->events.w, g, p->size);
    compare("events", &f, x, de, EVENTS * WIDTH);
    compare("candidate", &f, y, dc, WIDTH);
    free(flat);
    free(g);
    free(user_memory);
    free(work_memory);
    network_packed_release(packed);
    ranker_free(r);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

/* A click is on an item of the kind that the user's newest event was of, 40 items of 4 kinds: nothing but the history tells. */
enum { ROWS = 1200, ITEMS = 40, LENGTH = 6 };

typedef struct clicks { size_t events[ROWS + 1]; uint64_t items[ROWS * LENGTH], candidate[ROWS]; uint32_t types[ROWS * LENGTH]; int64_t times[ROWS * LENGTH], now[ROWS]; float y[ROWS]; } clicks;

static void make_clicks(clicks *k, uint64_t seed)
{
    random_stream random;
    random_init(&random, seed, 0);
    size_t at = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const size_t n = random_below(&random, LENGTH + 1);
        k->events[i] = at;
        k->now[i] = 1000000000000000;
        k->candidate[i] = random_below(&random, ITEMS);
        k->y[i] = 0;
        for (size_t j = 0; j < n; j++, at++) {
            k->items[at] = random_below(&random, ITEMS);
            k->types[at] = (uint32_t)random_below(&random, 2);
            k->times[at] = k->now[i] - (int64_t)(n - 1 - j) * 72 * 3600 * 1000000;
            if (j == n - 1)
                k->y[i] = (float)(k->items[at] % 4 == k->candidate[i] % 4);
        }
    }
    k->events[ROWS] = at;
}

static ecrec_batch *batch_of(const ecrec_schema *schema, const clicks *k, size_t first, size_t rows, int with_history)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    size_t events[ROWS + 1];
    for (size_t i = 0; i <= rows; i++)
        events[i] = k->events[first + i] - k->events[first];
    const size_t at = k->events[first];
    const ecrec_history h = { .size = sizeof h, .events = events, .items_u64 = k->items + at, .types = k->types + at, .times = k->times + at, .now = k->now + first };
    CALL(ecrec_batch_create(schema, &b, &err));
    CALL(ecrec_batch_reset(b, rows, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, k->candidate + first, NULL, &err));
    if (with_history)
        CALL(ecrec_batch_set_history(b, 1, &h, &err));
    CALL(ecrec_batch_set_label(b, 0, k->y + first, NULL, &err));
    return b;
}

static double auc_of(const float *scores, const float *y)
{
    double above = 0, pairs = 0;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < ROWS; j++)
            if (y[i] > y[j]) {
                pairs += 1;
                above += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
            }
    return above / pairs;
}

static const char click_schema[] = "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"},{\"name\":\"h\",\"kind\":\"history\",\"compare\":\"i\",\"dimension\":5,\"event_types\":2}],"
                                   "\"labels\":[\"y\"],\"hash_bits\":12,\"network\":{\"width\":8,\"embedding_bits\":12,\"fm\":true}}";

static void learns(void **unused)
{
    (void)unused;
    static clicks train, test;
    make_clicks(&train, 1);
    make_clicks(&test, 2);
    float scores[2][ROWS];
    for (uint32_t threads = 1; threads <= 2; threads++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(threads, 0);
        ecrec_schema *schema = schema_of(context, click_schema);
        ecrec_model *model = NULL;
        ecrec_session *session = NULL;
        ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
        fit.epochs = 50;
        fit.batch_rows = 70; /* more than one block of rows */
        fit.network_rate = 0.02;
        fit.embedding_rate = 0.2;
        CALL(ecrec_ranker_create(context, NULL, schema, &model, &err));
        ecrec_batch *rows = batch_of(schema, &train, 0, ROWS, 1), *unseen = batch_of(schema, &test, 0, ROWS, 1), *without = batch_of(schema, &test, 0, ROWS, 0);
        CALL(ecrec_fit(model, rows, &fit, NULL, &err));
        CALL(ecrec_session_create(model, NULL, &session, &err));
        CALL(ecrec_score(model, session, unseen, NULL, scores[threads - 1], ROWS, &err));
        if (threads == 1) {
            float blind[ROWS], alone[7], parts[7 * 5];
            CALL(ecrec_score(model, session, without, NULL, blind, ROWS, &err));
            print_message("AUC with the history %.3f, without it %.3f\n", auc_of(scores[0], test.y), auc_of(blind, test.y));
            assert_true(auc_of(scores[0], test.y) > 0.98 && auc_of(blind, test.y) < 0.6);
            assert_int_equal(ecrec_schema_parts(schema), 5); /* i, h, bias, fm, attention */
            assert_string_equal(ecrec_schema_part_name(schema, 4), "attention");
            ecrec_batch *few = batch_of(schema, &test, 100, 7, 1); /* the rows before are another user's: events end where they should */
            ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
            o.logits = 1;
            o.contributions = parts;
            o.contributions_capacity = 7 * 5;
            CALL(ecrec_score(model, session, few, &o, alone, 7, &err));
            for (int i = 0; i < 7; i++) {
                double sum = 0;
                for (int k = 0; k < 5; k++)
                    sum += parts[5 * i + k];
                assert_true(fabs(sum - alone[i]) < 1e-4);
                assert_true((float)(1 / (1 + exp(-(double)alone[i]))) - scores[0][100 + i] == 0 || fabs(1 / (1 + exp(-(double)alone[i])) - scores[0][100 + i]) < 1e-6);
            }
            ecrec_batch_release(few);
        }
        ecrec_batch_release(rows);
        ecrec_batch_release(unseen);
        ecrec_batch_release(without);
        ecrec_session_release(session);
        ecrec_model_release(model);
        ecrec_schema_release(schema);
        ecrec_context_release(context);
    }
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]); /* two threads learn the same bits as one */
}

/* The setter: newest events are kept, what is wrong is told with its row and field, and an update learns too. */
static void setter(void **unused)
{
    (void)unused;
    static clicks k;
    make_clicks(&k, 3);
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *schema = schema_of(context, click_schema), *saved = NULL;
    ecrec_batch *b = batch_of(schema, &k, 0, 50, 1), *named = NULL;
    const batch_column *c = &b->columns[1];
    for (size_t i = 0; i < 50; i++) {
        const uint64_t n = column_items(c, i + 1) - column_items(c, i), had = k.events[i + 1] - k.events[i];
        assert_int_equal(n, had < 5 ? had : 5);
        for (uint64_t j = 0; j < n; j++) {
            size_t length = 0;
            const char *text = column_text(c, (size_t)(column_items(c, i) + j), &length);
            char expected[24];
            assert_int_equal(length, snprintf(expected, sizeof expected, "%llu", (unsigned long long)k.items[k.events[i + 1] - n + j]));
            assert_memory_equal(text, expected, length);
            assert_true(fabs(*column_ages(c, column_items(c, i) + j) - log1p(72.0 * (double)(n - 1 - j))) < 1e-5);
        }
    }
    static const size_t falls[3] = { 0, 2, 1 }, two[2] = { 0, 2 };
    static const int64_t backwards[2] = { 5, 4 };
    static const uint32_t wild[2] = { 0, 2 };
    static const char *const texts[2] = { "1", NULL };
    static const size_t lengths[2] = { 1, 1 };
    static const uint64_t ids[2] = { 1, 2 };
    CALL(ecrec_batch_create(schema, &named, &err));
    CALL(ecrec_batch_reset(named, 2, &err));
    ecrec_history h = ECREC_HISTORY_INIT;
    h.events = falls;
    h.items_u64 = ids;
    assert_int_equal(ecrec_batch_set_history(named, 1, &h, &err), ECREC_ERR_INVALID);
    assert_non_null(strstr(err.message, "row 1, field \"h\""));
    CALL(ecrec_batch_reset(named, 1, &err));
    h.events = two;
    h.times = backwards;
    assert_int_equal(ecrec_batch_set_history(named, 1, &h, &err), ECREC_ERR_INVALID);
    h.times = NULL;
    h.types = wild;
    assert_int_equal(ecrec_batch_set_history(named, 1, &h, &err), ECREC_ERR_INVALID);
    h.types = NULL;
    h.items = texts;
    assert_int_equal(ecrec_batch_set_history(named, 1, &h, &err), ECREC_ERR_INVALID); /* both */
    h.items_u64 = NULL;
    h.lengths = lengths;
    assert_int_equal(ecrec_batch_set_history(named, 1, &h, &err), ECREC_ERR_INVALID);
    assert_int_equal(ecrec_batch_set_history(named, 0, &h, &err), ECREC_ERR_INVALID);
    static const char without[] = "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"},{\"name\":\"h\",\"kind\":\"history\",\"compare\":\"i\",\"dimension\":5}],\"labels\":[\"y\"]}";
    ecrec_schema *bare = schema_of(context, without);
    ecrec_model *model = NULL, *loaded = NULL;
    assert_int_equal(ecrec_ranker_create(context, NULL, bare, &model, &err), ECREC_ERR_INVALID);
    assert_non_null(strstr(err.message, "width"));
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    loose.passes = 3;
    CALL(ecrec_ranker_create(context, NULL, schema, &model, &err));
    CALL(ecrec_update(model, b, &loose, NULL, &err));
    const char *path = temporary("attention.ecrec");
    CALL(ecrec_model_save(model, path, &err));
    CALL(ecrec_model_load(context, path, NULL, &loaded, &err));
    float was[50], is[50];
    ecrec_session *session = NULL;
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_score(model, session, b, NULL, was, 50, &err));
    ecrec_session_release(session);
    CALL(ecrec_session_create(loaded, NULL, &session, &err));
    CALL(ecrec_score(loaded, session, b, NULL, is, 50, &err));
    assert_memory_equal(was, is, sizeof was);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_model_release(loaded);
    ecrec_schema_release(bare);
    ecrec_schema_release(saved);
    ecrec_batch_release(named);
    ecrec_batch_release(b);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(gradients), cmocka_unit_test(learns), cmocka_unit_test(setter) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
