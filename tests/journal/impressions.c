/* The impression log: late labels, timeouts and their correction, as of a time, its file after crashes and failures. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faulty.h"
#include "stream/impressions.h"
#include "shop.h"

#define HOUR ((int64_t)3600 * 1000000)

static char log_file[512];

static ecrec_batch *shown(const ecrec_model *m, uint32_t number)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = shop_batch(m, number);
    uint64_t events[SHOP_ROWS];
    for (uint64_t i = 0; i < SHOP_ROWS; i++)
        events[i] = number * 1000 + i;
    CALL(ecrec_batch_set_event(b, events, NULL, &err));
    return b;
}

static ecrec_impressions_options hours(int64_t window, int64_t timeout)
{
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    o.window = window * HOUR;
    o.timeout = timeout * HOUR;
    return o;
}

/* Shows batch `number` at an hour. */
static int32_t show(ecrec_impressions *log, ecrec_model *m, uint32_t number, int64_t hour, ecrec_error *err)
{
    float scores[SHOP_ROWS];
    ecrec_batch *b = shown(m, number);
    for (size_t i = 0; i < SHOP_ROWS; i++)
        scores[i] = 0.01f * (float)(i + 1);
    const int32_t status = ecrec_impressions_add(log, b, scores, number, hour * HOUR, err);
    ecrec_batch_release(b);
    return status;
}

static int32_t click(ecrec_impressions *log, uint64_t event, float value, int64_t hour, size_t *joined, ecrec_error *err)
{
    return ecrec_impressions_label(log, 0, &event, &value, 1, hour * HOUR, joined, err);
}

static double told(ecrec_impressions *log, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double value = NAN;
    CALL(ecrec_impressions_info(log, &r, &err));
    CALL(ecrec_report_number(r, name, &value, &err));
    ecrec_report_release(r);
    return value;
}

/* Rows that can be taken at an hour: how many, and the sum of their labels. */
static size_t take(ecrec_impressions *log, int64_t hour, double *ones, int done)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    size_t n = 0;
    *ones = 0;
    CALL(ecrec_impressions_take(log, hour * HOUR, 0, &b, NULL, NULL, &err));
    if (b != NULL) {
        n = ecrec_batch_rows(b);
        for (size_t i = 0; i < n; i++)
            *ones += (double)column_float(batch_label(b, 0), i);
        if (done)
            CALL(ecrec_impressions_done(log, &err));
    }
    ecrec_batch_release(b);
    return n;
}

static void labels_that_come_late(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    ecrec_impressions *log = NULL;
    const ecrec_impressions_options o = hours(10, 0);
    const float *served = NULL;
    const uint64_t *snapshots = NULL;
    ecrec_batch *b = NULL;
    size_t joined = 9;
    double ones = 0;
    (void)unused;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    CALL(show(log, m, 1, 100, &err));
    REFUSED(ECREC_ERR_INVALID, show(log, m, 1, 100, &err)); /* the events are there */
    CALL(show(log, m, 2, 101, &err));
    assert_true(told(log, "impressions") == 2 * SHOP_ROWS);
    assert_int_equal(take(log, 105, &ones, 1), 0);
    CALL(click(log, 1003, 1, 102, &joined, &err));
    assert_int_equal(joined, 1);
    CALL(click(log, 1003, 0, 103, &joined, &err)); /* the first one counts */
    assert_int_equal(joined, 0);
    CALL(click(log, 77, 1, 103, &joined, &err)); /* nobody knows it */
    assert_int_equal(joined, 0);
    REFUSED(ECREC_ERR_INVALID, click(log, 1004, 0.5f, 103, &joined, &err));
    CALL(ecrec_impressions_take(log, 104 * HOUR, 0, &b, &served, &snapshots, &err));
    assert_int_equal(ecrec_batch_rows(b), 1);
    assert_true(served[0] == 0.01f * 4.0f && snapshots[0] == 1);
    /* the row is the one that was served: scored alike */
    ecrec_batch *was = shown(m, 1);
    ecrec_session *s = NULL;
    float p[SHOP_ROWS], q;
    CALL(ecrec_session_create(m, NULL, &s, &err));
    CALL(ecrec_update(m, was, NULL, NULL, &err));
    CALL(ecrec_score(m, s, was, NULL, p, SHOP_ROWS, &err));
    CALL(ecrec_score(m, s, b, NULL, &q, 1, &err));
    assert_true(q == p[3] && column_id(batch_row(b, ROW_EVENT), 0) == 1003);
    ecrec_batch_release(was);
    ecrec_batch_release(b);
    ecrec_session_release(s);
    /* not done: once more; done: no more */
    assert_int_equal(take(log, 104, &ones, 1), 1);
    assert_true(ones == 1);
    assert_int_equal(take(log, 104, &ones, 0), 0);
    REFUSED(ECREC_ERR_INVALID, ecrec_impressions_done(log, &err));
    /* behind the window the others of the first hour are 0, and labels come too late */
    assert_int_equal(take(log, 110, &ones, 1), 0);
    CALL(click(log, 1004, 1, 111, &joined, &err));
    assert_int_equal(joined, 0);
    assert_int_equal(take(log, 111, &ones, 1), SHOP_ROWS - 1);
    assert_true(ones == 0);
    assert_true(told(log, "too_late") == 1 && told(log, "unknown") == 1 && told(log, "repeated") == 1 && told(log, "joined") == 1);
    /* as of a time: before the click, after it, after the window */
    CALL(ecrec_impressions_rows(log, 0, 101 * HOUR, &b, NULL, NULL, &err));
    assert_null(b);
    CALL(ecrec_impressions_rows(log, 0, 102 * HOUR, &b, NULL, NULL, &err));
    assert_int_equal(ecrec_batch_rows(b), 1);
    ecrec_batch_release(b);
    CALL(ecrec_impressions_rows(log, 0, 111 * HOUR, &b, &served, &snapshots, &err));
    assert_int_equal(ecrec_batch_rows(b), SHOP_ROWS);
    assert_true(column_float(batch_label(b, 0), 3) == 1 && column_float(batch_label(b, 0), 4) == 0 && served[4] == 0.01f * 5.0f);
    ecrec_batch_release(b);
    CALL(ecrec_impressions_rows(log, 101 * HOUR, 200 * HOUR, &b, NULL, &snapshots, &err));
    assert_true(ecrec_batch_rows(b) == SHOP_ROWS && snapshots[0] == 2);
    ecrec_batch_release(b);
    ecrec_impressions_release(log);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* What a look at every impression finds that can be taken; the events of the first `most`. */
static size_t scanned(const ecrec_impressions *log, int64_t now, size_t most, uint64_t *events)
{
    size_t n = 0;
    for (size_t i = 0; i < log->count && n < most; i++) {
        const impression *p = impression_at(log, i);
        const impression_label *y = impression_labels(p);
        const int news = (y->flags & (LABEL_CAME | LABEL_TAKEN)) == LABEL_CAME && !(y->flags & LABEL_TIMED_OUT && y->value < 0.5f);
        if (news || (y->flags == 0 && now > p->time && now - p->time > log->o.timeout))
            events[n++] = p->event;
    }
    return n;
}

/* Clocks that go back, labels in any order, takes that are or are not done, forgotten rows, a full ring: as if all were looked at. */
static void takes_what_a_scan_would(void **unused)
{
    enum { ROUNDS = 3000 };
    static uint64_t expected[4096];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    ecrec_impressions *log = NULL;
    ecrec_impressions_options o = hours(20, 4);
    uint64_t state = 5, taken = 0, label_rows = 0;
    (void)unused;
    o.most = 700;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    for (uint32_t k = 1; k <= ROUNDS; k++) {
        const int64_t now = k / 8 + (int64_t)(uniform(&state) * 12) - 6;
        const double what = uniform(&state);
        if (what < 0.3) {
            CALL(show(log, m, k, now, &err));
        } else if (what < 0.7 && log->count > 0) {
            uint64_t events[20];
            float values[20];
            size_t joined = 0;
            for (size_t i = 0; i < 20; i++) {
                events[i] = impression_at(log, (size_t)(uniform(&state) * (double)log->count))->event;
                values[i] = (float)(uniform(&state) < 0.5);
            }
            CALL(ecrec_impressions_label(log, 0, events, values, 20, now * HOUR, &joined, &err));
            label_rows += joined;
        } else if (what < 0.72) {
            char user[8];
            CALL(ecrec_impressions_forget(log, 0, user, (size_t)snprintf(user, sizeof user, "%d", (int)(uniform(&state) * 50)), NULL, &err));
        } else {
            const size_t most = uniform(&state) < 0.5 ? 0 : 1 + (size_t)(uniform(&state) * 30);
            const size_t n = scanned(log, now * HOUR, most != 0 ? most : 4096, expected);
            ecrec_batch *b = NULL;
            CALL(ecrec_impressions_take(log, now * HOUR, most, &b, NULL, NULL, &err));
            assert_int_equal(b != NULL ? ecrec_batch_rows(b) : 0, n);
            assert_int_equal(log->taken, n);
            for (size_t i = 0; i < n; i++)
                assert_true(log->taken_events[i] == expected[i]);
            if (n > 0 && uniform(&state) < 0.7) {
                CALL(ecrec_impressions_done(log, &err));
                taken += n;
            }
            ecrec_batch_release(b);
        }
    }
    assert_true(taken > 2000 && label_rows > 2000);
    ecrec_impressions_release(log);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

static void bounds(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    ecrec_impressions *log = NULL;
    ecrec_impressions_options o = hours(10, 0);
    (void)unused;
    o.most = 100;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    for (uint32_t k = 1; k <= 50; k++)
        CALL(show(log, m, k, k, &err));
    assert_true(told(log, "impressions") == 100 && told(log, "dropped") == 50 * SHOP_ROWS - 100);
    for (uint64_t k = 1; k <= 50; k++)
        for (uint64_t i = 0; i < SHOP_ROWS; i++)
            assert_true((impressions_find(log, k * 1000 + i) != NULL) == ((50 - k) * SHOP_ROWS + SHOP_ROWS - i <= 100));
    ecrec_impressions_release(log);
    o.most = 0;
    o.most_age = 5 * HOUR;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    for (uint32_t k = 1; k <= 20; k++)
        CALL(show(log, m, k, k, &err));
    assert_true(told(log, "impressions") == 6 * SHOP_ROWS);
    ecrec_impressions_release(log);
    o.most_age = 0;
    o.most_bytes = 10000;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    for (uint32_t k = 1; k <= 20; k++)
        CALL(show(log, m, k, k, &err));
    assert_true(told(log, "bytes") <= 10000 && told(log, "bytes") > 9000);
    ecrec_impressions_release(log);
    o.timeout = 11 * HOUR;
    REFUSED(ECREC_ERR_INVALID, ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err));
    ecrec_model_release(m);
    ecrec_context_release(context);
}

static void forgotten(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    ecrec_impressions *log = NULL;
    uint64_t dropped = 0, again = 9;
    size_t n = 0, length = 0;
    (void)unused;
    snprintf(log_file, sizeof log_file, "%s", temporary("forget.impressions"));
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), log_file, NULL, &log, NULL, &err));
    for (uint32_t k = 1; k <= 10; k++) {
        CALL(show(log, m, k, k, &err));
        ecrec_batch *b = shown(m, k);
        for (size_t i = 0; i < SHOP_ROWS; i++) {
            const char *text = column_text(&b->columns[0], i, &length);
            n += length == 2 && memcmp(text, "17", 2) == 0;
        }
        ecrec_batch_release(b);
    }
    assert_true(n > 0);
    CALL(ecrec_impressions_forget(log, 0, "17", 2, &dropped, &err));
    assert_int_equal(dropped, n);
    CALL(ecrec_impressions_forget(log, 0, "17", 2, &again, &err));
    assert_int_equal(again, 0);
    REFUSED(ECREC_ERR_INVALID, ecrec_impressions_forget(log, 2, "17", 2, &again, &err));
    ecrec_impressions_release(log);
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), log_file, NULL, &log, NULL, &err));
    assert_true(told(log, "impressions") == 10 * SHOP_ROWS - (double)n);
    ecrec_impressions_release(log);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- what comes late must not bend the probability ---- */

/* One item clicked with probability .3; half of the clicks come after the timeout. What the ranker says in the end. */
static double learned(ecrec_context *context, uint32_t correction)
{
    static const char json[] = "{\"fields\":[{\"name\":\"item\",\"kind\":\"category\"}],\"labels\":[\"click\"],\"hash_bits\":10}";
    enum { ROWS = 50, HOURS = 400 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    ecrec_session *s = NULL;
    ecrec_impressions *log = NULL;
    ecrec_online_options remember = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_impressions_options o = hours(6, 1);
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_batch *b = NULL;
    uint64_t items[ROWS], events[ROWS], state = 1;
    float scores[ROWS];
    static float value[HOURS + 8][ROWS]; /* 1: a click comes at that hour */
    static uint64_t which[HOURS + 8][ROWS];
    static size_t coming[HOURS + 8];
    double sum = 0;
    memset(coming, 0, sizeof coming);
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    CALL(ecrec_session_create(m, NULL, &s, &err));
    CALL(ecrec_batch_create(schema, &b, &err));
    o.correction = correction;
    u.learning_rate = 0.05;
    u.max_loss_growth = 100;
    remember.events = 100000;
    CALL(ecrec_online_configure(m, &remember, &err));
    CALL(ecrec_impressions_open(context, schema, NULL, &o, &log, NULL, &err));
    for (size_t hour = 0; hour < HOURS; hour++) {
        for (size_t i = 0; i < ROWS; i++) {
            items[i] = 1;
            events[i] = hour * ROWS + i;
            if (uniform(&state) < 0.3) {
                const size_t at = hour + (uniform(&state) < 0.5 ? 1 : 4);
                if (coming[at] < ROWS) {
                    value[at][coming[at]] = 1;
                    which[at][coming[at]++] = events[i];
                }
            }
        }
        CALL(ecrec_batch_reset(b, ROWS, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, items, NULL, &err));
        CALL(ecrec_batch_set_event(b, events, NULL, &err));
        CALL(ecrec_score(m, s, b, NULL, scores, ROWS, &err));
        CALL(ecrec_impressions_add(log, b, scores, ecrec_model_snapshot(m), (int64_t)hour * HOUR, &err));
        CALL(ecrec_impressions_label(log, 0, which[hour], value[hour], coming[hour], (int64_t)hour * HOUR, NULL, &err));
        ecrec_batch *ready = NULL;
        ecrec_report *r = NULL;
        double rows = 0;
        CALL(ecrec_impressions_take(log, (int64_t)hour * HOUR, 0, &ready, &u.served, NULL, &err));
        if (ready != NULL) {
            CALL(ecrec_update(m, ready, &u, &r, &err));
            CALL(ecrec_report_number(r, "rows", &rows, &err));
            assert_int_equal(rows, ecrec_batch_rows(ready)); /* ids that come again differ, so all count */
            CALL(ecrec_impressions_done(log, &err));
        }
        ecrec_report_release(r);
        ecrec_batch_release(ready);
        sum += hour >= HOURS / 2 ? (double)scores[0] : 0;
    }
    assert_true(told(log, "late") > 0.4 * (told(log, "early") + told(log, "late")) && told(log, "late") < 0.6 * (told(log, "early") + told(log, "late")));
    ecrec_impressions_release(log);
    ecrec_batch_release(b);
    ecrec_session_release(s);
    ecrec_model_release(m);
    ecrec_schema_release(schema);
    return sum / (HOURS / 2);
}

static void timeouts_are_corrected(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    (void)unused;
    /* without: a click that comes late is one 0 and one 1: .3 / (1 + .15) */
    const double plain = learned(context, ECREC_CORRECTION_NONE), corrected = learned(context, ECREC_CORRECTION_DELAY);
    assert_true(fabs(plain - 0.3 / 1.15) < 0.012);
    assert_true(fabs(corrected - 0.3) < 0.012);
    ecrec_context_release(context);
}

/* ---- the file ---- */

/* What a log knows, as one number. */
static uint64_t fingerprint(const ecrec_impressions *log)
{
    buffer b;
    uint64_t h = hash64(log->counts, sizeof log->counts, 0);
    buffer_init(&b, log->m);
    for (size_t i = 0; i < log->count; i++) {
        b.length = 0;
        assert_int_equal(impression_write(impression_at(log, i), &b), ECREC_OK);
        h = hash64(b.data, b.length, h);
    }
    buffer_release(&b);
    return h;
}

enum { STEPS = 8 };
static int32_t step(ecrec_impressions *log, ecrec_model *m, int k, ecrec_error *err)
{
    const uint64_t events[3] = { 1001, 1002, 2003 };
    const float values[3] = { 1, 0, 1 };
    ecrec_batch *b = NULL;
    int32_t status = ECREC_OK;
    switch (k) {
    case 0: return show(log, m, 1, 1, err);
    case 1: return show(log, m, 2, 2, err);
    case 2: return ecrec_impressions_label(log, 0, events, values, 3, 3 * HOUR, NULL, err);
    case 3:
    case 6:
        if ((status = ecrec_impressions_take(log, (k == 3 ? 4 : 12) * HOUR, 0, &b, NULL, NULL, err)) != ECREC_OK)
            return status;
        ecrec_batch_release(b);
        return ecrec_impressions_done(log, err);
    case 4: return show(log, m, 3, 5, err);
    case 5: return ecrec_impressions_compact(log, err);
    default: return show(log, m, 4, 13, err);
    }
}

static ecrec_impressions *opened(ecrec_context *context, ecrec_model *m, const journal_io *io, uint64_t *cut, ecrec_error *err)
{
    ecrec_impressions *log = NULL;
    const ecrec_impressions_options o = hours(10, 0);
    return impressions_open(context, ecrec_model_schema(m), log_file, &o, io, &log, cut, err) == ECREC_OK ? log : NULL;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void cut_and_damaged_files(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context), *other = NULL;
    ecrec_schema *schema = NULL;
    uint64_t states[STEPS + 1], cut = 0;
    size_t ends[STEPS + 1], length = 0;
    (void)unused;
    snprintf(log_file, sizeof log_file, "%s", temporary("cut.impressions"));
    ecrec_impressions *log = opened(context, m, &journal_files, &cut, &err);
    for (int k = 0; k <= STEPS; k++) {
        if (k > 0 && k != 6) /* all but the compaction, which would begin anew */
            CALL(step(log, m, k - 1, &err));
        states[k] = fingerprint(log);
        free(read_file(log_file, &ends[k]));
    }
    ecrec_impressions_release(log);
    char *whole = read_file(log_file, &length);
    for (size_t n = ends[0]; n <= length; n += n % 3 == 0 ? 7 : 131) {
        int k = STEPS;
        while (ends[k] > n || (k > 0 && ends[k] == ends[k - 1]))
            k--;
        write_file(log_file, whole, n);
        log = opened(context, m, &journal_files, &cut, &err);
        assert_non_null(log);
        assert_true(fingerprint(log) == states[k] && cut == n - ends[k]);
        ecrec_impressions_release(log);
    }
    /* a turned bit: an error that says where, unless it is in the last record */
    for (size_t n = 0; n < length; n += n < 200 ? 5 : 173) {
        whole[n] ^= 16;
        write_file(log_file, whole, length);
        err.message[0] = 0;
        log = opened(context, m, &journal_files, &cut, &err);
        assert_true((log != NULL) == (n >= ends[STEPS - 1]));
        assert_true(log != NULL || err.message[0] != 0);
        if (log != NULL)
            ecrec_impressions_release(log);
        whole[n] ^= 16;
    }
    write_file(log_file, whole, length);
    free(whole);
    /* a log of other fields */
    static const char json[] = "{\"fields\":[{\"name\":\"x\",\"kind\":\"category\"}],\"labels\":[\"click\"]}";
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &other, &err));
    assert_null(opened(context, other, &journal_files, &cut, &err));
    assert_non_null(strstr(err.message, "other fields"));
    ecrec_schema_release(schema);
    ecrec_model_release(other);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* One call to the system fails, at each place: what returned OK is there when it is opened again, what failed is not, or whole. */
static int run_with_faults(ecrec_context *context, ecrec_model *m, faulty f)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const journal_io io = faulty_io(&f);
    uint64_t cut = 0, acknowledged = 0, attempted = 0;
    unlink(log_file);
    ecrec_impressions *log = opened(context, m, &io, &cut, &err), *reference = NULL;
    const ecrec_impressions_options o = hours(10, 0);
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &reference, NULL, &err));
    acknowledged = attempted = fingerprint(reference);
    for (int k = 0; k < STEPS && log != NULL; k++) {
        const uint64_t before = fingerprint(log);
        err.message[0] = 0;
        if (step(log, m, k, &err) != ECREC_OK) {
            assert_true(err.message[0] != 0 && fingerprint(log) == before);
            if (k != 5)
                CALL(step(reference, m, k, &err));
            attempted = fingerprint(reference);
            break;
        }
        if (k != 5)
            CALL(step(reference, m, k, &err));
        acknowledged = attempted = fingerprint(reference);
        assert_true(fingerprint(log) == acknowledged);
    }
    const int reached = f.count >= f.fail_at;
    if (log != NULL)
        ecrec_impressions_release(log);
    ecrec_impressions_release(reference);
    log = opened(context, m, &journal_files, &cut, &err);
    assert_non_null(log);
    const uint64_t now = fingerprint(log);
    assert_true(now == acknowledged || now == attempted);
    ecrec_impressions_release(log);
    return reached;
}

static void every_call_fails(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    uint64_t tried = 0;
    (void)unused;
    snprintf(log_file, sizeof log_file, "%s", temporary("faulty.impressions"));
    for (int mode = 0; mode < 4; mode++)
        for (uint64_t n = 1;; n++, tried++) {
            const faulty f = { 0, n, mode & 1, mode & 2 ? ENOSPC : EIO, (mode & 2) != 0 };
            if (!run_with_faults(context, m, f))
                break;
            assert_true(n < 400);
        }
    assert_true(tried > 60);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* The file does not grow for ever: it is written anew when it is twice what the log holds. */
static void the_file_is_tidied(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = shop_ranker(context);
    ecrec_impressions *log = NULL;
    ecrec_impressions_options o = hours(10, 0);
    double most = 0;
    (void)unused;
    snprintf(log_file, sizeof log_file, "%s", temporary("tidy.impressions"));
    o.most = 500;
    o.sync = ECREC_SYNC_NONE;
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), log_file, &o, &log, NULL, &err));
    for (uint32_t k = 1; k <= 600; k++) {
        CALL(show(log, m, k, k, &err));
        most = fmax(most, told(log, "file_bytes"));
    }
    assert_true(most > 1 << 20 && most < (1 << 20) + 10000);
    const uint64_t now = fingerprint(log);
    ecrec_impressions_release(log);
    CALL(ecrec_impressions_open(context, ecrec_model_schema(m), log_file, &o, &log, NULL, &err));
    assert_true(fingerprint(log) == now);
    ecrec_impressions_release(log);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_that_come_late), cmocka_unit_test(takes_what_a_scan_would), cmocka_unit_test(bounds), cmocka_unit_test(forgotten), cmocka_unit_test(timeouts_are_corrected),
        cmocka_unit_test(cut_and_damaged_files), cmocka_unit_test(every_call_fails), cmocka_unit_test(the_file_is_tidied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
