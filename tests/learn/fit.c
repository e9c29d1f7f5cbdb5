/* ecrec_fit: it learns what a part is for, gives the same bits over threads and over a resume, and refuses with a sentence. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { N = 8000, USERS = 40, ITEMS = 30 };

static const char schema_text[] =
    "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"},{\"name\":\"item\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
    "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":6},"
    "{\"name\":\"tags\",\"kind\":\"multi\"}],\"labels\":[\"click\",{\"name\":\"stars\",\"kind\":\"ordinal\",\"classes\":5},{\"name\":\"which\",\"kind\":\"classes\",\"classes\":3},{\"name\":\"spent\",\"kind\":\"value\"}],"
    "\"hash_bits\":14,\"network\":{\"pairs\":[[\"user\",\"item\"]],\"unmet\":true,\"width\":8,\"embedding_bits\":12,\"fm\":\"weighted\",\"cross_layers\":2,"
    "\"cross_rank\":8,\"hidden\":[32,16],\"experts\":3}}";

typedef struct world {
    ecrec_context *context;
    ecrec_schema *schema;
    ecrec_batch *batch;
    float *click, *stars, *which, *spent;
    double above; /* AUC of the probabilities that the clicks were drawn with */
    uint8_t *valid;
} world;

/* A label that depends on how user and item go together, a price and a vector; one row in nine lacks the price, one in seven the look. */
static double area(const double *z, const float *y)
{
    double right = 0, pairs = 0;
    for (size_t i = 0; i < 2000; i++)
        for (size_t j = 0; j < 2000; j++)
            if (y[i] > y[j]) {
                right += z[i] > z[j] ? 1 : z[i] == z[j] ? 0.5 : 0;
                pairs++;
            }
    return right / pairs;
}

/* Two tags a row that tell the kinds of user and item, the second counting twice; one row in eleven has none, one in thirteen lacks them. */
static void set_tags(world *w, const uint64_t *user, const uint64_t *item)
{
    static const char *const names[] = { "u0", "u1", "u2", "u3", "u4", "i0", "i1", "i2", "i3", "i4" };
    ecrec_error err = ECREC_ERROR_INIT;
    size_t *items = malloc((N + 1) * sizeof *items), *lengths = malloc(2 * N * sizeof *lengths), n = 0;
    const char **values = malloc(2 * N * sizeof *values);
    float *weights = malloc(2 * N * sizeof *weights);
    uint8_t *valid = malloc(N);
    for (size_t i = 0; i < N; i++) {
        items[i] = n;
        valid[i] = i % 13 != 0;
        for (size_t k = 0; k < 2 && i % 11 != 0; k++, n++) {
            values[n] = k == 0 ? names[user[i] % 5] : names[5 + item[i] % 5];
            lengths[n] = 2;
            weights[n] = (float)(k + 1);
        }
    }
    items[N] = n;
    CALL(ecrec_batch_set_multi(w->batch, 4, items, values, lengths, weights, valid, &err));
    items[7] = items[6] - 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_set_multi(w->batch, 4, items, values, lengths, weights, valid, &err));
    assert_int_equal(err.row, 6);
    items[7] = items[6] + 2;
    weights[items[6]] = INFINITY;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_set_multi(w->batch, 4, items, values, lengths, weights, valid, &err));
    assert_int_equal(err.row, 6);
    free(items);
    free(lengths);
    free((void *)values);
    free(weights);
    free(valid);
}

static void world_open(world *w, uint32_t threads, const char *schema)
{
    ecrec_error err = ECREC_ERROR_INIT;
    uint64_t *user = malloc(N * sizeof *user), *item = malloc(N * sizeof *item), random = 12345;
    double *price = malloc(N * sizeof *price), *logit = malloc(N * sizeof *logit);
    float *look = malloc(N * 6 * sizeof *look);
    uint8_t *priced = malloc(N), *seen = malloc(N);
    w->click = malloc(4 * N * sizeof *w->click);
    w->stars = w->click + N;
    w->which = w->stars + N;
    w->spent = w->which + N;
    for (size_t i = 0; i < N; i++) {
        double r[4];
        for (int k = 0; k < 4; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            r[k] = (double)(random >> 40) / 16777216.0;
        }
        user[i] = (uint64_t)(r[0] * USERS);
        item[i] = (uint64_t)(r[1] * ITEMS);
        price[i] = 5 + 10 * r[2];
        for (int k = 0; k < 6; k++)
            look[i * 6 + k] = (float)sin((double)item[i] * (k + 1)) + 0.1f;
        priced[i] = i % 9 != 0;
        seen[i] = i % 7 != 0;
        const double z = ((user[i] % 5 == item[i] % 5) ? 2.5 : -1.5) + 0.3 * (10 - price[i]);
        logit[i] = z;
        w->click[i] = r[3] < 1 / (1 + exp(-z));
        w->stars[i] = (float)(uint64_t)(4.99 / (1 + exp(-z)));
        w->which[i] = (float)((user[i] + item[i]) % 3);
        w->spent[i] = (float)(z + r[3] - 0.5);
    }
    w->above = area(logit, w->click);
    free(logit);
    w->context = context_with(threads, 0);
    CALL(ecrec_schema_parse(w->context, schema, strlen(schema), &w->schema, &err));
    CALL(ecrec_batch_create(w->schema, &w->batch, &err));
    CALL(ecrec_batch_reset(w->batch, N, &err));
    CALL(ecrec_batch_set_category_u64(w->batch, 0, user, NULL, &err));
    CALL(ecrec_batch_set_category_u64(w->batch, 1, item, NULL, &err));
    CALL(ecrec_batch_set_number(w->batch, 2, price, priced, &err));
    CALL(ecrec_batch_set_vector(w->batch, 3, look, 0, seen, &err));
    if (ecrec_schema_fields(w->schema) > 4)
        set_tags(w, user, item);
    CALL(ecrec_batch_set_label(w->batch, 0, w->click, NULL, &err));
    if (ecrec_schema_labels(w->schema) > 1) {
        CALL(ecrec_batch_set_label(w->batch, 1, w->stars, NULL, &err));
        CALL(ecrec_batch_set_label(w->batch, 2, w->which, NULL, &err));
        CALL(ecrec_batch_set_label(w->batch, 3, w->spent, NULL, &err));
    }
    free(user);
    free(item);
    free(price);
    free(look);
    free(priced);
    free(seen);
}

static void world_close(world *w)
{
    free(w->click);
    ecrec_batch_release(w->batch);
    ecrec_schema_release(w->schema);
    ecrec_context_release(w->context);
}

static double number(const ecrec_report *r, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double value = NAN;
    CALL(ecrec_report_number(r, name, &value, &err));
    return value;
}

static ecrec_fit_options usual(void)
{
    ecrec_fit_options o = ECREC_FIT_OPTIONS_INIT;
    o.epochs = 8;
    o.batch_rows = 128;
    o.holdout = 0.2;
    o.holdout_by = ECREC_HOLDOUT_RANDOM;
    o.patience = 20;
    o.network_rate = 0.005;
    o.seed = 3;
    return o;
}

static void learns(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_fit_options o = usual();
    ecrec_model *model = NULL;
    ecrec_report *report = NULL;
    world w;
    world_open(&w, 1, schema_text);
    CALL(ecrec_ranker_create(w.context, NULL, w.schema, &model, &err));
    CALL(ecrec_fit(model, w.batch, &o, &report, &err));
    print_message("held out: AUC %.3f of %.3f, classes %.3f right, spent squared error %.3f\n", number(report, "labels.click.auc"), w.above, number(report, "labels.which.accuracy"),
                  number(report, "labels.spent.mean_squared_error"));
    assert_true(number(report, "labels.click.auc") > w.above - 0.04);
    assert_true(number(report, "labels.which.accuracy") > 0.8);
    assert_true(number(report, "labels.spent.mean_squared_error") < 1);
    assert_true(number(report, "history.8.loss") < 0.7 * number(report, "history.1.loss"));
    assert_int_equal(ecrec_model_snapshot(model), 2);

    /* what each part gave adds up to each logit; scores are probabilities, classes, a rank, a value */
    const uint32_t outputs = ecrec_schema_outputs(w.schema), parts = ecrec_schema_parts(w.schema);
    float *scores = malloc(N * outputs * sizeof *scores), *given = malloc(N * outputs * parts * sizeof *given);
    ecrec_score_options score = ECREC_SCORE_OPTIONS_INIT;
    ecrec_session *session = NULL;
    score.logits = 1;
    score.contributions = given;
    score.contributions_capacity = N * outputs * parts;
    assert_int_equal(outputs, 6);
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_score(model, session, w.batch, &score, scores, N * outputs, &err));
    for (size_t i = 0; i < N * outputs; i++) {
        double sum = 0, most = 1;
        for (uint32_t p = 0; p < parts; p++) {
            sum += (double)given[i * parts + p];
            most = fabs((double)given[i * parts + p]) > most ? fabs((double)given[i * parts + p]) : most;
        }
        assert_true(fabs(sum - (double)scores[i]) <= 1e-5 * most);
    }
    CALL(ecrec_score(model, session, w.batch, NULL, scores, N * outputs, &err));
    for (size_t i = 0; i < N; i++) {
        const float *s = scores + i * outputs;
        assert_true(s[0] >= 0 && s[0] <= 1 && s[1] >= 0 && s[1] <= 4);
        assert_true(fabsf(s[2] + s[3] + s[4] - 1) < 1e-5f);
    }
    free(scores);
    free(given);
    ecrec_report_release(report);
    ecrec_session_release(session);
    ecrec_model_release(model);
    world_close(&w);
}

/* The tags alone tell who likes what, but only two by two: FM finds it, the first order cannot. */
static void several_values(void **unused)
{
    (void)unused;
    static const char text[] = "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"},{\"name\":\"item\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
        "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":6},{\"name\":\"tags\",\"kind\":\"multi\"}],\"labels\":[\"click\"],\"hash_bits\":14%s}";
    ecrec_error err = ECREC_ERROR_INIT;
    double auc[2];
    for (int network = 0; network < 2; network++) {
        char schema[1024];
        ecrec_model *model = NULL;
        ecrec_report *report = NULL;
        ecrec_fit_options o = usual();
        world w;
        snprintf(schema, sizeof schema, text, network ? ",\"network\":{\"width\":8,\"hidden\":[32]}" : "");
        world_open(&w, 1, schema);
        CALL(ecrec_ranker_create(w.context, NULL, w.schema, &model, &err));
        static const uint64_t same[N];
        static const float dark[N * 6]; /* nothing but the tags and the price tells the rows apart */
        CALL(ecrec_batch_set_category_u64(w.batch, 0, same, NULL, &err));
        CALL(ecrec_batch_set_category_u64(w.batch, 1, same, NULL, &err));
        CALL(ecrec_batch_set_vector(w.batch, 3, dark, 0, NULL, &err));
        CALL(ecrec_fit(model, w.batch, &o, &report, &err));
        auc[network] = number(report, "labels.click.auc");
        ecrec_report_release(report);
        ecrec_model_release(model);
        world_close(&w);
    }
    print_message("by tags: AUC %.3f with the first order, %.3f with a perceptron on their embeddings\n", auc[0], auc[1]);
    assert_true(auc[1] > auc[0] + 0.05);
}

static void fit_to_file(uint32_t threads, const ecrec_fit_options *o, int32_t expected, const char *path)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    world w;
    world_open(&w, threads, schema_text);
    CALL(ecrec_ranker_create(w.context, NULL, w.schema, &model, &err));
    assert_int_equal(ecrec_fit(model, w.batch, o, NULL, &err), expected);
    CALL(ecrec_model_save(model, path, &err));
    ecrec_model_release(model);
    world_close(&w);
}

static void same_file(const char *a, const char *b)
{
    size_t n = 0, m = 0;
    char *x = read_file(a, &n), *y = read_file(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static int32_t stop_late(void *opaque, uint64_t done, uint64_t total)
{
    (void)opaque;
    return done > total * 5 / 8;
}

static void same_bits(void **unused)
{
    (void)unused;
    char one[512], other[512], saved[512];
    snprintf(one, sizeof one, "%s", temporary("one.ecrec"));
    snprintf(other, sizeof other, "%s", temporary("other.ecrec"));
    snprintf(saved, sizeof saved, "%s", temporary("checkpoint.ecrec"));
    for (uint32_t optimiser = 0; optimiser < 3; optimiser++) {
        ecrec_fit_options o = usual();
        o.hashed_optimiser = optimiser;
        o.dropout = 0.2;
        o.schedule = ECREC_SCHEDULE_COSINE;
        o.warmup = 0.1;
        o.clip = 1;
        fit_to_file(1, &o, ECREC_OK, one);
        fit_to_file(3, &o, ECREC_OK, other);
        same_file(one, other);
        /* stopped in the sixth epoch, and gone on from the checkpoint of the fifth */
        o.checkpoint = saved;
        o.progress = stop_late;
        fit_to_file(2, &o, ECREC_ERR_CANCELLED, other);
        o.progress = NULL;
        o.resume = saved;
        fit_to_file(1, &o, ECREC_OK, other);
        same_file(one, other);
    }
}

static void refusals(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL, *plain = NULL;
    world w, v;
    world_open(&w, 1, schema_text);
    CALL(ecrec_ranker_create(w.context, NULL, w.schema, &model, &err));
    ecrec_fit_options o = usual();
    o.holdout = 2;
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(model, w.batch, &o, NULL, &err));
    assert_non_null(strstr(err.message, "holdout"));
    o = usual();
    o.l1 = 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(model, w.batch, &o, NULL, &err));
    o = usual();
    o.holdout_by = ECREC_HOLDOUT_KEY;
    o.holdout_field = 2;
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(model, w.batch, &o, NULL, &err));
    o = usual();
    o.resume = "/nowhere/at.all";
    REFUSED(ECREC_ERR_IO, ecrec_fit(model, w.batch, &o, NULL, &err));
    /* a rate that throws the weights: refused, and the model is as before */
    o = usual();
    o.network_rate = 100;
    o.rate = 100;
    o.embedding_rate = 100;
    const int32_t status = ecrec_fit(model, w.batch, &o, NULL, &err);
    assert_true(status == ECREC_ERR_REJECTED || status == ECREC_OK);
    assert_int_equal(ecrec_model_snapshot(model), status == ECREC_OK ? 2 : 1);
    /* a label out of range names row and label */
    w.which[17] = 3;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_set_label(w.batch, 2, w.which, NULL, &err));
    assert_int_equal(err.row, 17);
    assert_non_null(strstr(err.message, "which"));
    /* a batch of another schema */
    static const char other[] = "{\"fields\":[{\"name\":\"person\",\"kind\":\"category\"},{\"name\":\"item\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
        "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":6}],\"labels\":[\"click\",{\"name\":\"stars\",\"kind\":\"ordinal\",\"classes\":5},"
        "{\"name\":\"which\",\"kind\":\"classes\",\"classes\":3},{\"name\":\"spent\",\"kind\":\"value\"}]}";
    world_open(&v, 1, other);
    CALL(ecrec_ranker_create(v.context, NULL, v.schema, &plain, &err));
    REFUSED(ECREC_ERR_MISMATCH, ecrec_fit(plain, w.batch, NULL, NULL, &err));
    ecrec_model_release(plain);
    ecrec_model_release(model);
    world_close(&v);
    world_close(&w);
}

static void schemas(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *s = NULL;
    ecrec_context *context = context_with(1, 0);
    static const char *const wrong[] = { "{\"network\":{\"width\":8}}", "{\"network\":{\"fm\":true}}", "{\"network\":{\"hidden\":[0]}}", "{\"network\":{\"pairs\":[[\"a\",\"b\"]]}}",
        "{\"network\":{\"depth\":3}}", "{\"labels\":[{\"name\":\"y\",\"kind\":\"classes\"}]}", "{\"labels\":[{\"name\":\"y\",\"kind\":\"binary\",\"classes\":2}]}",
        "{\"labels\":[{\"name\":\"y\",\"kind\":\"odd\"}]}", "{\"network\":[]}" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        REFUSED(ECREC_ERR_INVALID, ecrec_schema_parse(context, wrong[i], strlen(wrong[i]), &s, &err));
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(learns), cmocka_unit_test(several_values), cmocka_unit_test(same_bits), cmocka_unit_test(refusals), cmocka_unit_test(schemas) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
