/* Losses by groups against central differences, what is learned by them, position bias, and negatives that were left out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/random.h"
#include "ecrec/ecrec.h"
#include "learn/groups.h"
#include "support.h"

enum { ITEMS = 30, GROUPS = 1500, SHOWN = 6, ROWS = GROUPS * SHOWN };

static ecrec_schema *parse(ecrec_context *context, const char *text)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    CALL(ecrec_schema_parse(context, text, strlen(text), &schema, &err));
    return schema;
}

static void gradients(void **unused)
{
    (void)unused;
    static const char *const losses[] = { "\"pairwise\"", "\"listwise\"", "\"listwise\",\"log_q\":true" };
    for (int kind = 0; kind < 3; kind++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(1, 0);
        char text[256];
        snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[{\"name\":\"y\",\"kind\":\"value\",\"loss\":%s},\"z\"]}", losses[kind]);
        ecrec_schema *schema = parse(context, text);
        ecrec_batch *b = NULL;
        enum { N = 9 };
        static const uint64_t groups[N] = { 4, 4, 4, 4, 7, 7, 1, 1, 4 };
        static const uint8_t there[N] = { 1, 1, 1, 1, 1, 1, 1, 1, 0 }, labelled[N] = { 1, 1, 1, 0, 1, 1, 1, 1, 1 };
        static const float y[N] = { 2, 0, 1, 5, 0, 1, 0, 0, 1 }, weights[N] = { 1, 2, 1, 1, 1, 0.5f, 1, 1, 1 }, q[N] = { .5f, .1f, .2f, 1, .3f, .9f, 1, 1, 1 };
        static const size_t list[N] = { 3, 1, 0, 2, 5, 4, 7, 6, 8 };
        double z[2 * N], g[2 * N] = { 0 }, weight = 0, none = 0;
        for (int i = 0; i < 2 * N; i++)
            z[i] = 0.3 * ((i * 7) % 11) - 1;
        CALL(ecrec_batch_create(schema, &b, &err));
        CALL(ecrec_batch_reset(b, N, &err));
        CALL(ecrec_batch_set_label(b, 0, y, labelled, &err));
        CALL(ecrec_batch_set_weight(b, weights, &err));
        CALL(ecrec_batch_set_propensity(b, q, NULL, &err));
        CALL(ecrec_batch_set_group(b, groups, there, &err));
        assert_true(schema_grouped(schema));
        assert_true(groups_loss(b, list, 0, N, 0, z, 2, g, &weight) > 0);
        assert_true(fabs(weight - 1.25 - 0.75) < 1e-12); /* two groups say something: the mean weights of their rows */
        for (int i = 0; i < 2 * N; i++) {
            const double old = z[i];
            z[i] = old + 1e-6;
            const double up = groups_loss(b, list, 0, N, 0, z, 2, NULL, &none);
            z[i] = old - 1e-6;
            const double down = groups_loss(b, list, 0, N, 0, z, 2, NULL, &none);
            z[i] = old;
            assert_true(fabs((up - down) / 2e-6 - g[i]) < 1e-8);
        }
        ecrec_batch_release(b);
        ecrec_schema_release(schema);
        ecrec_context_release(context);
    }
}

/* Lists of items of known worth; a row's click hangs on its worth and, with `bias`, on where it was shown; better items are shown first. */
typedef struct shown { uint64_t item[ROWS], group[ROWS]; uint32_t position[ROWS]; float y[ROWS]; } shown;

static double worth(uint64_t item)
{
    return (double)(item * 7 % ITEMS) / 10 - 1.5;
}

static void show(shown *s, uint64_t seed, double bias, int one_click)
{
    random_stream random;
    random_init(&random, seed, 0);
    for (size_t g = 0; g < GROUPS; g++) {
        double best = -1e9;
        size_t chosen = 0;
        for (size_t k = 0; k < SHOWN; k++) {
            const size_t i = g * SHOWN + k;
            s->item[i] = random_below(&random, ITEMS);
            s->group[i] = g % 7 * 1000 + g;
        }
        for (size_t k = 0; k < SHOWN && bias != 0; k++) /* a half of the lists in the order of worth */
            for (size_t j = k + 1; j < SHOWN && g % 2 == 0; j++)
                if (worth(s->item[g * SHOWN + j]) > worth(s->item[g * SHOWN + k])) {
                    const uint64_t t = s->item[g * SHOWN + j];
                    s->item[g * SHOWN + j] = s->item[g * SHOWN + k];
                    s->item[g * SHOWN + k] = t;
                }
        for (size_t k = 0; k < SHOWN; k++) {
            const size_t i = g * SHOWN + k;
            const double z = worth(s->item[i]) - bias * (double)k;
            s->position[i] = (uint32_t)k + 1;
            s->y[i] = (float)(random_float(&random) < 1 / (1 + exp(-z)));
            const double gumbel = z - log(-log((double)random_float(&random) + 1e-9));
            if (gumbel > best) {
                best = gumbel;
                chosen = i;
            }
        }
        for (size_t k = 0; k < SHOWN && one_click; k++)
            s->y[g * SHOWN + k] = (float)(g * SHOWN + k == chosen);
    }
}

/* How far each item's logit, the mean apart, is from its worth: root of the mean square; *mean of the difference. */
static double learned(const char *schema_text, const shown *s, const float *weights, int online, double *mean, float logits[ITEMS])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(2, 0);
    ecrec_schema *schema = parse(context, schema_text);
    ecrec_model *model = NULL, *loaded = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    uint64_t all[ITEMS];
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < ITEMS; i++)
        all[i] = i;
    CALL(ecrec_batch_create(schema, &b, &err));
    CALL(ecrec_batch_reset(b, ROWS, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, s->item, NULL, &err));
    CALL(ecrec_batch_set_group(b, s->group, NULL, &err));
    CALL(ecrec_batch_set_position(b, s->position, NULL, &err));
    CALL(ecrec_batch_set_label(b, 0, s->y, NULL, &err));
    if (weights != NULL)
        CALL(ecrec_batch_set_weight(b, weights, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &model, &err));
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.epochs = 60;
    fit.batch_rows = 100;
    fit.network_rate = 0.01;
    ecrec_update_options update = ECREC_UPDATE_OPTIONS_INIT;
    update.passes = 30;
    update.max_loss_growth = 10;
    if (online)
        CALL(ecrec_update(model, b, &update, NULL, &err));
    else
        CALL(ecrec_fit(model, b, &fit, NULL, &err));
    const char *path = temporary("groups.ecrec");
    CALL(ecrec_model_save(model, path, &err));
    CALL(ecrec_model_load(context, path, NULL, &loaded, &err)); /* what the schema says of labels and positions is in the file */
    CALL(ecrec_session_create(loaded, NULL, &session, &err));
    CALL(ecrec_batch_reset(b, ITEMS, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, all, NULL, &err));
    CALL(ecrec_batch_set_position(b, s->position, NULL, &err));
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    o.logits = 1;
    CALL(ecrec_score(loaded, session, b, &o, logits, ITEMS, &err));
    float at_position[ITEMS];
    o.positions = 1;
    CALL(ecrec_score(loaded, session, b, &o, at_position, ITEMS, &err));
    for (int i = 0; i < ITEMS && s->position[i] == 1; i++)
        assert_true(at_position[i] == logits[i]); /* the first position is the one that scores are of */
    for (uint64_t i = 0; i < ITEMS; i++)
        sum += logits[i] - worth(i);
    *mean = sum / ITEMS;
    for (uint64_t i = 0; i < ITEMS; i++)
        squares += pow(logits[i] - worth(i) - *mean, 2);
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_model_release(loaded);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    return sqrt(squares / ITEMS);
}

static void by_groups(void **unused)
{
    (void)unused;
    static shown s;
    float logits[ITEMS];
    static const char *const losses[] = { "pairwise", "listwise" };
    for (int k = 0; k < 2; k++)
        for (int online = 0; online < 2; online++) {
            char text[256];
            double mean = 0;
            snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[{\"name\":\"y\",\"loss\":\"%s\"}],\"hash_bits\":12}", losses[k]);
            show(&s, 5, 0, 1);
            const double off = learned(text, &s, NULL, online, &mean, logits);
            print_message("%s, %s: logits off the worth by %.3f\n", losses[k], online ? "update" : "fit", off);
            assert_true(off < 0.4); /* worths are -1.5 .. 1.4 */
        }
}

static void positions(void **unused)
{
    (void)unused;
    static shown s;
    float logits[ITEMS];
    double mean = 0, blind_mean = 0;
    show(&s, 6, 0.6, 0);
    const double off = learned("{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[\"y\"],\"hash_bits\":12,\"network\":{\"positions\":8}}", &s, NULL, 0, &mean, logits);
    const double blind = learned("{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[\"y\"],\"hash_bits\":12}", &s, NULL, 0, &blind_mean, logits);
    print_message("with position bias: off by %.3f, mean %.3f; without: %.3f, %.3f\n", off, mean, blind, blind_mean);
    assert_true(off < blind && fabs(mean) < 0.3 && blind_mean < -0.8); /* as of the first position */
}

static void negatives(void **unused)
{
    (void)unused;
    static shown s;
    static float weights[ROWS];
    float logits[ITEMS];
    double mean = 0, whole = 0;
    random_stream random;
    random_init(&random, 9, 0);
    show(&s, 8, 0, 0);
    (void)learned("{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[\"y\"],\"hash_bits\":12}", &s, NULL, 0, &whole, logits);
    for (size_t i = 0; i < ROWS; i++)
        weights[i] = (float)(s.y[i] > 0 || random_float(&random) < 0.2f); /* a weight of 0: the row is left out */
    (void)learned("{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[{\"name\":\"y\",\"negatives_kept\":0.2}],\"hash_bits\":12}", &s, weights, 0, &mean, logits);
    double uncorrected = 0;
    (void)learned("{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[\"y\"],\"hash_bits\":12}", &s, weights, 0, &uncorrected, logits);
    print_message("mean logit above the truth: all rows %.3f, a fifth of the negatives %.3f, not corrected %.3f\n", whole, mean, uncorrected);
    assert_true(fabs(mean) < 0.25 && uncorrected > 1);
}

/* Steps of several rows: a network learns as much by them, and more than a step takes is refused. */
static void steps(void **unused)
{
    (void)unused;
    static shown s;
    show(&s, 11, 0, 0);
    for (uint32_t step = 1; step <= 16; step += 15) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(1, 0);
        ecrec_schema *schema = parse(context, "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"},{\"name\":\"p\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":12,"
                                              "\"network\":{\"width\":4,\"embedding_bits\":10,\"hidden\":[8]}}");
        ecrec_model *model = NULL;
        ecrec_batch *b = NULL;
        ecrec_report *r = NULL;
        static double numbers[ROWS];
        double auc = 0;
        for (size_t i = 0; i < ROWS; i++)
            numbers[i] = s.position[i];
        CALL(ecrec_batch_create(schema, &b, &err));
        CALL(ecrec_batch_reset(b, ROWS, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, s.item, NULL, &err));
        CALL(ecrec_batch_set_number(b, 1, numbers, NULL, &err));
        CALL(ecrec_batch_set_label(b, 0, s.y, NULL, &err));
        CALL(ecrec_ranker_create(context, NULL, schema, &model, &err));
        ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
        o.step_rows = step;
        CALL(ecrec_update(model, b, &o, &r, &err));
        CALL(ecrec_report_number(r, "labels.y.auc", &auc, &err));
        print_message("steps of %u rows: progressive AUC %.4f\n", step, auc);
        assert_true(auc > 0.68); /* the worths themselves: 0.71 */
        o.step_rows = 65;
        assert_int_equal(ecrec_update(model, b, &o, NULL, &err), ECREC_ERR_INVALID);
        ecrec_report_release(r);
        ecrec_batch_release(b);
        ecrec_model_release(model);
        ecrec_schema_release(schema);
        ecrec_context_release(context);
    }
}

static void refused(void **unused)
{
    (void)unused;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    static const char *const bad[] = { "{\"name\":\"y\",\"kind\":\"classes\",\"classes\":3,\"loss\":\"pairwise\"}", "{\"name\":\"y\",\"log_q\":true}", "{\"name\":\"y\",\"loss\":\"soft\"}",
                                       "{\"name\":\"y\",\"negatives_kept\":1.5}", "{\"name\":\"y\",\"negatives_kept\":\"x\"}", "{\"name\":\"y\",\"kind\":\"value\",\"negatives_kept\":0.5}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        ecrec_schema *schema = NULL;
        snprintf(text, sizeof text, "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"}],\"labels\":[%s]}", bad[i]);
        assert_int_equal(ecrec_schema_parse(context, text, strlen(text), &schema, &err), ECREC_ERR_INVALID);
        assert_non_null(strstr(err.message, "\"y\""));
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(gradients), cmocka_unit_test(by_groups), cmocka_unit_test(positions), cmocka_unit_test(negatives), cmocka_unit_test(steps), cmocka_unit_test(refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
