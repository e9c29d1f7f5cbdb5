/* Calibration: what it was made to say comes true, in the file, online, and for classes; logits stay. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/random.h"
#include "ecrec/ecrec.h"
#include "support.h"

enum { ROWS = 4000, VALUES = 40, CLASSES = 3 };
typedef struct world { ecrec_context *context; ecrec_schema *schema; ecrec_model *model; uint64_t value[ROWS]; float y[ROWS], which[ROWS]; } world;

/* A fifth of the events that the ranker believes in happen: odds far off, and more so the larger they are. */
static void draw(world *w, uint64_t seed, double share)
{
    random_stream random;
    random_init(&random, seed, 0);
    for (size_t i = 0; i < ROWS; i++) {
        w->value[i] = random_below(&random, VALUES);
        w->y[i] = (float)(random_float(&random) < share * (double)(w->value[i] + 1) / VALUES);
        const float r = random_float(&random);
        w->which[i] = (float)(r < 0.5f * (float)(share > 0.9) ? w->value[i] % CLASSES : random_below(&random, CLASSES));
    }
}

static ecrec_batch *rows(const world *w, size_t first, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    CALL(ecrec_batch_create(w->schema, &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, w->value + first, NULL, &err));
    CALL(ecrec_batch_set_label(b, 0, w->y + first, NULL, &err));
    CALL(ecrec_batch_set_label(b, 1, w->which + first, NULL, &err));
    return b;
}

static void open_world(world *w)
{
    static const char text[] = "{\"fields\":[{\"name\":\"v\",\"kind\":\"category\"}],\"labels\":[\"y\",{\"name\":\"which\",\"kind\":\"classes\",\"classes\":3}],\"hash_bits\":12}";
    ecrec_error err = ECREC_ERROR_INIT;
    memset(w, 0, sizeof *w);
    w->context = context_with(1, 0);
    CALL(ecrec_schema_parse(w->context, text, strlen(text), &w->schema, &err));
    CALL(ecrec_ranker_create(w->context, NULL, w->schema, &w->model, &err));
    draw(w, 1, 1);
    ecrec_batch *b = rows(w, 0, ROWS);
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.epochs = 20;
    CALL(ecrec_fit(w->model, b, &fit, NULL, &err));
    ecrec_batch_release(b);
}

static void close_world(world *w)
{
    ecrec_model_release(w->model);
    ecrec_schema_release(w->schema);
    ecrec_context_release(w->context);
}

static void score(const world *w, ecrec_model *model, uint32_t logits, float *out)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_batch *b = rows(w, 0, ROWS);
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    o.logits = logits;
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_score(model, session, b, &o, out, ROWS * (size_t)4, &err));
    ecrec_session_release(session);
    ecrec_batch_release(b);
}

static double mean_loss(const world *w, const float *scores)
{
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const double p = fmin(1 - 1e-7, fmax(1e-7, scores[4 * i]));
        sum -= w->y[i] > 0 ? log(p) : log(1 - p);
    }
    return sum / ROWS;
}

static double number(const ecrec_report *r, const char *key)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double v = 0;
    CALL(ecrec_report_number(r, key, &v, &err));
    return v;
}

static float before[4 * ROWS], after[4 * ROWS], loaded_scores[4 * ROWS];

static void methods(void **unused)
{
    (void)unused;
    static const int32_t kinds[] = { 0, ECREC_CALIBRATION_TEMPERATURE, ECREC_CALIBRATION_ISOTONIC };
    for (int k = 0; k < 3; k++) {
        world w;
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_report *r = NULL;
        ecrec_model *loaded = NULL;
        ecrec_calibrate_options o = ECREC_CALIBRATE_OPTIONS_INIT;
        o.method = kinds[k];
        open_world(&w);
        draw(&w, 2, 0.2);
        ecrec_batch *b = rows(&w, 0, ROWS);
        score(&w, w.model, 1, before);
        if (kinds[k] == ECREC_CALIBRATION_ISOTONIC) { /* not for classes */
            assert_int_equal(ecrec_calibrate(w.model, b, &o, NULL, &err), ECREC_ERR_INVALID);
            assert_non_null(strstr(err.message, "\"which\""));
            static const char binary[] = "{\"fields\":[{\"name\":\"v\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":12}";
            ecrec_schema *other = NULL;
            CALL(ecrec_schema_parse(w.context, binary, strlen(binary), &other, &err));
            ecrec_model_release(w.model);
            ecrec_batch_release(b);
            CALL(ecrec_ranker_create(w.context, NULL, other, &w.model, &err));
            for (int turn = 0; turn < 2; turn++) {
                draw(&w, turn == 0 ? 1 : 2, turn == 0 ? 1 : 0.2);
                CALL(ecrec_batch_create(other, &b, &err));
                CALL(ecrec_batch_reset(b, ROWS, &err));
                CALL(ecrec_batch_set_category_u64(b, 0, w.value, NULL, &err));
                CALL(ecrec_batch_set_label(b, 0, w.y, NULL, &err));
                ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
                fit.epochs = 20;
                if (turn == 0)
                    CALL(ecrec_fit(w.model, b, &fit, NULL, &err));
                else
                    CALL(ecrec_calibrate(w.model, b, &o, &r, &err));
                ecrec_batch_release(b);
            }
            print_message("isotonic: ece %.4f to %.4f\n", number(r, "labels.y.before.ece"), number(r, "labels.y.after.ece"));
            assert_true(number(r, "labels.y.before.ece") > 0.2 && number(r, "labels.y.after.ece") < 0.02);
            assert_true(fabs(number(r, "labels.y.after.mean_score") - number(r, "labels.y.after.mean_label")) < 0.005);
            ecrec_schema_release(other);
            ecrec_report_release(r);
            close_world(&w);
            continue;
        }
        CALL(ecrec_calibrate(w.model, b, &o, &r, &err));
        const double ece = number(r, "labels.y.after.ece"), was = number(r, "labels.y.before.ece");
        print_message("method %d: ece %.4f to %.4f; classes %.4f to %.4f\n", kinds[k], was, ece, number(r, "labels.which.before.ece"), number(r, "labels.which.after.ece"));
        if (kinds[k] == 0)
            assert_true(was > 0.2 && ece < 0.05 && fabs(number(r, "labels.y.after.mean_score") - number(r, "labels.y.after.mean_label")) < 1e-3);
        assert_true(number(r, "labels.y.after.log_loss") < number(r, "labels.y.before.log_loss"));
        double points = 0, weights = 0;
        for (int bin = 0; bin < 15; bin++) {
            char key[80];
            snprintf(key, sizeof key, "labels.y.after.reliability.%d.weight", bin);
            weights += number(r, key);
            points += number(r, key) > 0;
        }
        assert_true(weights == ROWS && points > 1);
        assert_true(number(r, "labels.which.after.ece") < 0.05 && number(r, "labels.which.before.ece") > 0.1);
        score(&w, w.model, 1, after);
        assert_memory_equal(before, after, sizeof before); /* logits are as they were */
        score(&w, w.model, 0, after);
        const char *path = temporary("calibrated.ecrec");
        CALL(ecrec_model_save(w.model, path, &err));
        CALL(ecrec_model_load(w.context, path, NULL, &loaded, &err));
        score(&w, loaded, 0, loaded_scores);
        assert_memory_equal(after, loaded_scores, sizeof after);
        ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT; /* other weights: it is dropped */
        fit.epochs = 1;
        CALL(ecrec_fit(loaded, b, &fit, NULL, &err));
        score(&w, loaded, 0, after);
        score(&w, loaded, 1, before);
        for (size_t i = 0; i < ROWS; i++)
            assert_true(fabs(after[4 * i] - 1 / (1 + exp(-(double)before[4 * i]))) < 1e-6);
        ecrec_model_release(loaded);
        ecrec_report_release(r);
        ecrec_batch_release(b);
        close_world(&w);
    }
}

/* A fit calibrates by what it holds out: anew what was calibrated, all when asked, nothing when told not to. The report is of what is served. */
static void fitted(void **unused)
{
    (void)unused;
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    open_world(&w);
    draw(&w, 6, 0.5);
    for (size_t i = 0; i < ROWS; i++) /* what is held out is of another world: only calibration can tell */
        if (i >= ROWS * 3 / 4)
            w.y[i] = w.y[i] > 0 && i % 3 == 0;
    ecrec_batch *b = rows(&w, 0, ROWS);
    fit.epochs = 4;
    fit.calibrate = ECREC_CALIBRATION_USUAL;
    REFUSED(ECREC_ERR_INVALID, ecrec_fit(w.model, b, &fit, NULL, &err));
    fit.holdout = 0.25;
    for (int turn = 0; turn < 3; turn++) { /* asked; kept; told not to */
        fit.calibrate = turn == 0 ? ECREC_CALIBRATION_USUAL : turn == 1 ? ECREC_CALIBRATION_KEEP : ECREC_CALIBRATION_DROP;
        CALL(ecrec_fit(w.model, b, &fit, &r, &err));
        const double ece = number(r, "labels.y.ece"), off = fabs(number(r, "labels.y.calibration.mean_score") - number(r, "labels.y.calibration.mean_label"));
        score(&w, w.model, 0, after);
        double mean = 0, is = 0;
        for (size_t i = ROWS * 3 / 4; i < ROWS; i++) {
            mean += after[4 * i] / (ROWS / 4.0);
            is += w.y[i] / (ROWS / 4.0);
        }
        assert_true(fabs(mean - number(r, "labels.y.calibration.mean_score")) < 1e-5); /* told of what is served */
        if (turn < 2) {
            const double was = number(r, "calibration.y.before.ece"), now = number(r, "calibration.y.after.ece");
            if (!(ece < 0.06 && off < 0.01 && fabs(mean - is) < 0.01 && was > 0.1 && now < was / 2))
                fail_msg("turn %d: ece %.4f, %.4f off; each half by the other %.4f to %.4f", turn, ece, off, was, now);
        } else {
            double value = 0;
            assert_true(ece > 0.1);
            assert_int_equal(ecrec_report_number(r, "calibration.y.after.ece", &value, &err), ECREC_ERR_NOT_FOUND);
        }
        ecrec_report_release(r);
    }
    ecrec_batch_release(b);
    close_world(&w);
}

/* The guard judges what is served: a ranker whose logits are far off but whose calibration mends that is updated without complaint, and
 * progressive figures are of calibrated scores. */
static void guarded(void **unused)
{
    (void)unused;
    world w;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    ecrec_online_options remember = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    double calibrated = 0, logits = 0;
    open_world(&w);
    draw(&w, 7, 0.2);
    ecrec_batch *b = rows(&w, 0, ROWS);
    CALL(ecrec_calibrate(w.model, b, NULL, NULL, &err));
    remember.reserve = 500;
    remember.reserve_every = 2;
    CALL(ecrec_online_configure(w.model, &remember, &err));
    score(&w, w.model, 0, after);
    score(&w, w.model, 1, before);
    for (size_t i = 0; i < ROWS; i++) {
        calibrated += after[4 * i] / ROWS;
        logits += 1 / (1 + exp(-(double)before[4 * i])) / ROWS;
    }
    o.learning_rate = 1e-6;
    for (int turn = 0; turn < 2; turn++) { /* the first fills the reserve */
        CALL(ecrec_update(w.model, b, &o, turn == 1 ? &r : NULL, &err));
        draw(&w, 8, 0.2);
        ecrec_batch_release(b);
        b = rows(&w, 0, ROWS);
    }
    assert_true(logits - calibrated > 0.2);
    if (!(number(r, "guard.labels.y.calibration_before") < 0.05 && number(r, "guard.labels.y.calibration_after") < 0.05 && number(r, "labels.y.ece") < 0.05))
        fail_msg("the guard says %.4f and %.4f of calibrated scores, the rows' ECE is %.4f", number(r, "guard.labels.y.calibration_before"),
                 number(r, "guard.labels.y.calibration_after"), number(r, "labels.y.ece"));
    ecrec_report_release(r);
    ecrec_batch_release(b);
    close_world(&w);
}

/* The world changes; weights hardly move (a low rate), the calibration follows, or stays when it was frozen. */
static void online(void **unused)
{
    (void)unused;
    double losses[2];
    for (uint32_t frozen = 0; frozen < 2; frozen++) {
        world w;
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_calibrate_options o = ECREC_CALIBRATE_OPTIONS_INIT;
        o.frozen = frozen;
        o.half_life = 1000;
        open_world(&w);
        draw(&w, 3, 1);
        ecrec_batch *b = rows(&w, 0, ROWS);
        CALL(ecrec_calibrate(w.model, b, &o, NULL, &err));
        ecrec_batch_release(b);
        draw(&w, 4, 0.2);
        ecrec_update_options slow = ECREC_UPDATE_OPTIONS_INIT;
        slow.learning_rate = 1e-6;
        for (size_t first = 0; first < ROWS; first += 500) {
            b = rows(&w, first, 500);
            CALL(ecrec_update(w.model, b, &slow, NULL, &err));
            ecrec_batch_release(b);
        }
        draw(&w, 5, 0.2);
        score(&w, w.model, 0, after);
        losses[frozen] = mean_loss(&w, after);
        close_world(&w);
    }
    print_message("log loss after the change: kept up %.4f, frozen %.4f\n", losses[0], losses[1]);
    assert_true(losses[0] < 0.36 && losses[1] > 0.6); /* what is to be had: 0.32 */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(methods), cmocka_unit_test(fitted), cmocka_unit_test(guarded), cmocka_unit_test(online) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
