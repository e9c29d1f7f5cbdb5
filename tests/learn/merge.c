/* What several workers remember, merged: the reservoir is a sample of all their rows in which each has the same chance, the reserve has the newest
 * of each, events, counts and windows are those of one that had learned all of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stream/online.h"
#include "model/model.h"
#include "support.h"

enum { WORKERS = 3, MOST_ROWS = 600, RESERVOIR = 40, RESERVE = 12 };

typedef struct bytes { unsigned char *data; size_t length; } bytes;
static int32_t keep(void *opaque, const void *data, size_t length)
{
    bytes *b = opaque;
    b->data = malloc(length + 1);
    memcpy(b->data, data, length);
    b->length = length;
    return 0;
}

static ecrec_model *ranker(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    ecrec_schema_release(schema);
    return m;
}

/* Rows first .. first + n - 1: a row's category and event are its number. */
static void learn(ecrec_model *m, uint64_t first, size_t n)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    uint64_t numbers[MOST_ROWS];
    float labels[MOST_ROWS];
    ecrec_batch *b = NULL;
    o.max_loss_growth = o.max_calibration_growth = 100;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = first + i;
        labels[i] = (float)(numbers[i] % 3 == 0);
    }
    CALL(ecrec_batch_create(ecrec_model_schema(m), &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, numbers, NULL, &err));
    CALL(ecrec_batch_set_event(b, numbers, NULL, &err));
    CALL(ecrec_batch_set_label(b, 0, labels, NULL, &err));
    if (n != 0)
        CALL(ecrec_update(m, b, &o, NULL, &err));
    ecrec_batch_release(b);
}

static double told(ecrec_model *m, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double value = NAN;
    CALL(ecrec_online_info(m, &r, &err));
    CALL(ecrec_report_number(r, name, &value, &err));
    ecrec_report_release(r);
    return value;
}

/* The numbers of the rows in the reservoir or the reserve, as they lie. */
static size_t held(ecrec_model *m, int reserve, uint64_t *numbers)
{
    ecrec_error err = ECREC_ERROR_INIT;
    online o;
    ecrec_batch *b = NULL;
    uint64_t places[RESERVOIR];
    size_t n = 0;
    const snapshot *now = atomic_load(&m->current);
    CALL(online_view(&o, now->tensors, m->schema, &err));
    o.m = &m->context->m;
    const tensor *store = reserve ? o.reserve : o.reservoir;
    for (uint64_t i = 0; i < store->shape[0]; i++)
        places[i] = i;
    CALL(online_rows(&o, m->schema, store, places, (size_t)store->shape[0], &b, &err));
    n = b != NULL ? ecrec_batch_rows(b) : 0;
    for (size_t i = 0; i < n; i++)
        numbers[i] = column_id(batch_row(b, ROW_EVENT), i);
    ecrec_batch_release(b);
    return n;
}

/* Workers that began from `before` rows and learned own[k] each; row k * 1000000 + i is the i-th of worker k, the base's are worker 0. Merged into m. */
static ecrec_model *merged(ecrec_context *context, uint64_t seed, size_t before, const size_t own[WORKERS], uint64_t row_bytes)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_model *m = ranker(context);
    bytes deltas[WORKERS], all;
    const void *data[WORKERS];
    size_t lengths[WORKERS];
    o.events = 256;
    o.reserve = RESERVE;
    o.reservoir = RESERVOIR;
    o.row_bytes = row_bytes;
    o.window = 50;
    o.drift = ECREC_DRIFT_ADWIN;
    o.seed = seed;
    CALL(ecrec_online_configure(m, &o, &err));
    learn(m, 0, before);
    const uint64_t base = ecrec_model_snapshot(m);
    for (uint64_t k = 0; k < WORKERS; k++) {
        const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &deltas[k], keep };
        learn(m, (k + 1) * 1000000, own[k]);
        CALL(ecrec_delta_export(m, base, 0, &sink, &err));
        if (ecrec_model_snapshot(m) != base)
            CALL(ecrec_rollback(m, base, &err));
        data[k] = deltas[k].data;
        lengths[k] = deltas[k].length;
    }
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &all, keep };
    CALL(ecrec_delta_merge(m, data, lengths, WORKERS, &sink, &err));
    CALL(ecrec_delta_apply(m, all.data, all.length, NULL, &err));
    for (int k = 0; k < WORKERS; k++)
        free(deltas[k].data);
    free(all.data);
    return m;
}

/* Of each source's rows the same share is in the reservoir, whatever the workers' sizes; and of a source's rows early and late ones alike. */
static void each_row_has_the_same_chance(void **unused)
{
    static const struct { size_t before, own[WORKERS]; } cases[] = {
        { 0, { 200, 300, 100 } }, { 300, { 30, 200, 90 } }, { 20, { 300, 10, 60 } }, { 400, { 8, 8, 8 } }, { 0, { 10, 15, 200 } },
    };
    enum { TRIALS = 150 };
    ecrec_context *context = context_with(1, 0);
    (void)unused;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double in[WORKERS + 1][2] = { { 0 } }, offered = 0, rows = 0;
        for (uint64_t trial = 0; trial < TRIALS; trial++) {
            uint64_t numbers[RESERVOIR];
            ecrec_model *m = merged(context, 1000 * c + trial + 1, cases[c].before, cases[c].own, 0);
            const size_t n = held(m, 0, numbers);
            for (size_t i = 0; i < n; i++) {
                const uint64_t source = numbers[i] / 1000000, size = source == 0 ? cases[c].before : cases[c].own[source - 1];
                assert_true(source <= WORKERS && numbers[i] % 1000000 < size);
                for (size_t j = 0; j < i; j++)
                    assert_true(numbers[j] != numbers[i]);
                in[source][numbers[i] % 1000000 >= size / 2] += 1;
            }
            rows += (double)n;
            offered += told(m, "reservoir.offered");
            ecrec_model_release(m);
        }
        assert_true(rows > 0.995 * TRIALS * RESERVOIR);
        const double chance = rows / offered; /* an eighth of all rows went to the reserve instead */
        for (int source = 0; source <= WORKERS; source++)
            for (int half = 0; half < 2; half++) {
                const size_t size = source == 0 ? cases[c].before : cases[c].own[source - 1], part = half ? size - size / 2 : size / 2;
                const double expected = TRIALS * (double)part * 0.875 * chance, error = sqrt(expected + 1);
                if (fabs(in[source][half] - expected) > 4 * error + 0.02 * expected)
                    fail_msg("case %zu, source %d, half %d: %g rows in the reservoirs, %g expected, standard error %g", c, source, half, in[source][half], expected, error);
            }
    }
    ecrec_context_release(context);
}

/* Counts and windows as of one that learned all; the newest of each worker to judge by; full memory stays sound. */
static void the_rest(void **unused)
{
    static const size_t own[WORKERS] = { 60, 200, 30 };
    ecrec_context *context = context_with(1, 0);
    uint64_t numbers[RESERVOIR];
    size_t of[WORKERS + 1] = { 0 };
    (void)unused;
    ecrec_model *m = merged(context, 3, 40, own, 0), *again = merged(context, 3, 40, own, 0);
    char state[33], other[33];
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_model_state(m, 0, state, &err));
    CALL(ecrec_model_state(again, 0, other, &err));
    assert_string_equal(state, other);
    assert_true(told(m, "labels.y.rows") == 330 && told(m, "events.known") == 256);
    /* with 40 of the base worker 0 filled two windows of 50, worker 1 four and 40 rows, worker 2 one and 20; those 60 are the newest full one */
    assert_true(told(m, "labels.y.window.rows") == 60);
    assert_true(told(m, "reservoir.offered") + told(m, "reserve.rows") > 200);
    const size_t n = held(m, 1, numbers);
    assert_int_equal(n, RESERVE);
    for (size_t i = 0; i < n; i++)
        of[numbers[i] / 1000000]++;
    assert_true(of[0] == 0 && of[1] >= 3 && of[2] >= 3 && of[3] >= 2);
    /* it goes on learning, and says what it did of events */
    learn(m, 2000190, 10);
    assert_true(told(m, "labels.y.rows") == 330);
    learn(m, 5000000, 100);
    assert_true(told(m, "labels.y.rows") == 430);
    ecrec_model_release(m);
    ecrec_model_release(again);
    /* memory for 16 rows */
    for (uint64_t seed = 1; seed <= 20; seed++) {
        m = merged(context, seed, seed % 2 ? 0 : 100, own, 1024);
        assert_true(told(m, "bytes") <= 1024);
        assert_true(held(m, 0, numbers) >= 4);
        learn(m, 7000000, 300);
        assert_true(held(m, 0, numbers) >= 4 && held(m, 1, numbers) >= 1); /* neither of the two drives the other out */
        ecrec_model_release(m);
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_row_has_the_same_chance), cmocka_unit_test(the_rest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
