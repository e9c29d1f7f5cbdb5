/* What a ranker remembers: events that count once, the reserve and the guard, replay, progressive windows, drift; all of it the same bits
 * after saving, replaying the journal, a delta and a rollback. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/cells.h"
#include "stream/drift.h"
#include "stream/events.h"
#include "stream/online.h"
#include "model/model.h"
#include "support.h"

enum { ROWS = 64 };

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static ecrec_model *ranker_of(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"user\",\"kind\":\"user\"},{\"name\":\"item\",\"kind\":\"item\"},{\"name\":\"price\",\"kind\":\"number\"},"
                               "{\"name\":\"title\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":2},{\"name\":\"tags\",\"kind\":\"multi\"},{\"name\":\"when\",\"kind\":\"time\"},"
                               "{\"name\":\"past\",\"kind\":\"history\",\"compare\":\"item\",\"dimension\":3,\"event_types\":2},"
                               "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":2}],\"labels\":[\"click\"],\"hash_bits\":14,\"network\":{\"width\":4,\"embedding_bits\":10,\"fm\":true}}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    ecrec_schema_release(schema);
    return m;
}

/* Rows that a number tells; events are first_event + i. flip: the labels are the other way round. */
static ecrec_batch *rows_of(const ecrec_model *m, uint32_t number, size_t n, uint64_t first_event, int flip)
{
    static const char *const words[] = { "red shoes", "blue shirt", "a very long title about a warm coat for the cold winter days in the north", "" };
    static const char *const tags[] = { "new", "sale", "old" };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    uint32_t seed = number * 2654435761u + 1;
    uint64_t users[ROWS], items[ROWS], events[ROWS];
    int64_t times[ROWS];
    double prices[ROWS];
    float looks[2 * ROWS], clicks[ROWS];
    const char *titles[ROWS], *values[2 * ROWS];
    size_t lengths[ROWS], starts[ROWS + 1] = { 0 }, value_lengths[2 * ROWS];
    uint8_t valid[ROWS];
    uint32_t types[2 * ROWS];
    int64_t past[2 * ROWS];
    ecrec_history history = ECREC_HISTORY_INIT;
    assert_true(n <= ROWS);
    for (size_t i = 0; i < n; i++) {
        users[i] = next(&seed) % 20;
        items[i] = next(&seed) % 40;
        prices[i] = (double)(next(&seed) % 1000) / 10;
        titles[i] = words[next(&seed) % 4];
        lengths[i] = strlen(titles[i]);
        starts[i + 1] = starts[i] + next(&seed) % 3;
        for (size_t k = starts[i]; k < starts[i + 1]; k++) {
            values[k] = tags[next(&seed) % 3];
            value_lengths[k] = strlen(values[k]);
            types[k] = next(&seed) % 2;
            past[k] = (int64_t)k * 3000000000;
        }
        times[i] = (int64_t)number * 1000000 + (int64_t)i;
        looks[2 * i] = (float)(next(&seed) % 100) / 100;
        looks[2 * i + 1] = 0.5f;
        valid[i] = next(&seed) % 4 != 0;
        events[i] = first_event + i;
        clicks[i] = (float)(((users[i] + items[i]) % 3 == 0) != flip);
    }
    CALL(ecrec_batch_create(ecrec_model_schema(m), &b, &err));
    CALL(ecrec_batch_reset(b, n, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, users, NULL, &err));
    CALL(ecrec_batch_set_category_u64(b, 1, items, NULL, &err));
    CALL(ecrec_batch_set_number(b, 2, prices, valid, &err));
    CALL(ecrec_batch_set_text(b, 3, titles, lengths, &err));
    CALL(ecrec_batch_set_multi(b, 4, starts, values, value_lengths, NULL, NULL, &err));
    CALL(ecrec_batch_set_time(b, 5, times, valid, &err));
    history.events = starts;
    history.items = values;
    history.lengths = value_lengths;
    history.types = types;
    history.times = past;
    history.valid = valid;
    CALL(ecrec_batch_set_history(b, 6, &history, &err));
    CALL(ecrec_batch_set_vector(b, 7, looks, 0, valid, &err));
    CALL(ecrec_batch_set_label(b, 0, clicks, NULL, &err));
    CALL(ecrec_batch_set_event(b, events, NULL, &err));
    return b;
}

static double told(const ecrec_report *r, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double value = NAN;
    CALL(ecrec_report_number(r, name, &value, &err));
    return value;
}

static double info(ecrec_model *m, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    CALL(ecrec_online_info(m, &r, &err));
    const double value = told(r, name);
    ecrec_report_release(r);
    return value;
}

static const char *state(ecrec_model *m)
{
    static char texts[4][33];
    static int turn;
    ecrec_error err = ECREC_ERROR_INIT;
    char *text = texts[turn++ % 4];
    CALL(ecrec_model_state(m, 0, text, &err));
    return text;
}

static int32_t learn(ecrec_model *m, ecrec_batch *b, const ecrec_update_options *o, ecrec_report **r, ecrec_error *err)
{
    const int32_t status = ecrec_update(m, b, o, r, err);
    ecrec_batch_release(b);
    return status;
}

/* ---- events ---- */

/* Against a plain list of the last ids. */
static void events_like_a_list(void **unused)
{
    memory m;
    uint64_t count = 0, list[100], seen = 0;
    uint32_t seed = 5;
    events e = { .count = &count };
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_chunked(&m, TYPE_U64, 100, 1, EVENTS_CHUNK, &e.ring), ECREC_OK);
    assert_int_equal(tensor_chunked(&m, TYPE_U64, events_table_size(100), 1, EVENTS_CHUNK, &e.table), ECREC_OK);
    for (int i = 0; i < 20000; i++) {
        const uint64_t id = i % 7 == 0 ? next(&seed) % 300 : (uint64_t)(next(&seed) % 300) << 40;
        int expected = 0, known = -1;
        for (uint64_t k = 0; k < (seen < 100 ? seen : 100); k++)
            expected |= list[k] == id;
        assert_int_equal(events_see(&e, id, &known), ECREC_OK);
        assert_int_equal(known, expected);
        if (!known)
            list[seen++ % 100] = id;
    }
    tensor_release(e.ring);
    tensor_release(e.table);
    assert_int_equal(m.live, 0);
}

static void events_count_once(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    ecrec_model *a = ranker_of(context), *b = ranker_of(context);
    (void)unused;
    o.events = 100;
    CALL(ecrec_online_configure(a, &o, &err));
    CALL(ecrec_online_configure(b, &o, &err));
    CALL(learn(a, rows_of(a, 1, 32, 0, 0), NULL, NULL, &err));
    CALL(learn(b, rows_of(b, 1, 32, 0, 0), NULL, NULL, &err));
    assert_string_equal(state(a), state(b));
    /* all again: nothing is published */
    const uint64_t before = ecrec_model_snapshot(a);
    CALL(learn(a, rows_of(a, 1, 32, 0, 0), NULL, &r, &err));
    assert_true(told(r, "rows") == 0 && told(r, "repeated") == 32 && told(r, "snapshot") == 0);
    ecrec_report_release(r);
    assert_int_equal(ecrec_model_snapshot(a), before);
    assert_string_equal(state(a), state(b));
    /* half again */
    ecrec_batch *mixed = rows_of(a, 2, 32, 16, 0);
    CALL(ecrec_update(a, mixed, NULL, &r, &err));
    assert_true(told(r, "rows") == 16 && told(r, "repeated") == 16 && told(r, "labels.click.rows") == 16);
    ecrec_report_release(r);
    ecrec_batch_release(mixed);
    /* a refused update has not seen its events */
    ecrec_update_options strict = ECREC_UPDATE_OPTIONS_INIT;
    strict.max_loss_growth = 1e-9;
    strict.passes = 1;
    strict.learning_rate = 100;
    strict.max_score_move = 1e-12;
    REFUSED(ECREC_ERR_REJECTED, learn(a, rows_of(a, 3, 32, 1000, 0), &strict, NULL, &err));
    CALL(learn(a, rows_of(a, 3, 32, 1000, 0), NULL, &r, &err));
    assert_true(told(r, "rows") == 32);
    ecrec_report_release(r);
    /* behind the window an id is a new one: 32 + 16 + 32 were seen, 52 more push 32 out */
    CALL(learn(a, rows_of(a, 4, 52, 2000, 0), NULL, NULL, &err));
    ecrec_batch *edge = rows_of(a, 5, 2, 0, 0);
    const uint64_t last_and_first[2] = { 32, 31 };
    CALL(ecrec_batch_set_event(edge, last_and_first, NULL, &err));
    CALL(learn(a, edge, NULL, &r, &err));
    assert_true(told(r, "rows") == 1 && told(r, "repeated") == 1);
    ecrec_report_release(r);
    assert_true(info(a, "events.known") == 100);
    /* twice in one batch; and rows without an id always count */
    ecrec_batch *twice = rows_of(a, 6, 4, 9000, 0);
    const uint64_t ids[4] = { 7777, 7777, 7777, 7777 };
    const uint8_t valid[4] = { 1, 1, 0, 0 };
    CALL(ecrec_batch_set_event(twice, ids, valid, &err));
    CALL(learn(a, twice, NULL, &r, &err));
    assert_true(told(r, "rows") == 3 && told(r, "repeated") == 1);
    ecrec_report_release(r);
    /* a rollback takes the events back, too */
    CALL(ecrec_rollback(a, before, &err));
    assert_string_equal(state(a), state(b));
    ecrec_model_release(a);
    ecrec_model_release(b);
    ecrec_context_release(context);
}

/* ---- rows kept ---- */

static void cells_are_used_again(void **unused)
{
    memory m;
    uint64_t words[3] = { 0 }, first[64] = { 0 };
    size_t lengths[64];
    unsigned char bytes[700], fill[64];
    uint32_t seed = 9;
    buffer out;
    cells c = { .free = &words[0], .fresh = &words[1], .live = &words[2] };
    (void)unused;
    memory_init(&m, NULL, 0);
    buffer_init(&out, &m);
    assert_int_equal(tensor_chunked(&m, TYPE_U64, 300, CELL_WORDS, CELL_CHUNK, &c.t), ECREC_OK);
    for (int i = 0; i < 5000; i++) {
        const uint32_t at = next(&seed) % 64;
        if (first[at] != 0) {
            out.length = 0;
            assert_int_equal(cells_get(&c, first[at], &out), ECREC_OK);
            assert_int_equal(out.length, lengths[at]);
            for (size_t k = 0; k < out.length; k++)
                assert_int_equal(out.data[k], fill[at]);
            assert_int_equal(cells_drop(&c, first[at]), ECREC_OK);
            first[at] = 0;
            continue;
        }
        lengths[at] = next(&seed) % sizeof bytes;
        fill[at] = (unsigned char)i;
        memset(bytes, fill[at], sizeof bytes);
        const uint64_t live = words[2];
        const int32_t status = cells_put(&c, bytes, lengths[at], &first[at]);
        if (status == ECREC_ERR_LIMIT) {
            assert_int_equal(words[2], live);
            first[at] = 0;
        } else {
            assert_int_equal(status, ECREC_OK);
        }
    }
    for (int at = 0; at < 64; at++)
        if (first[at] != 0)
            assert_int_equal(cells_drop(&c, first[at]), ECREC_OK);
    assert_int_equal(words[2], 0);
    /* nothing of a dropped row is left: words 1 .. 7 of every cell are zeros */
    for (uint64_t row = 0; row < words[1]; row++)
        for (int k = 1; k < CELL_WORDS; k++)
            assert_int_equal(((const uint64_t *)tensor_row(c.t, row))[k], 0);
    tensor_release(c.t);
    buffer_release(&out);
    assert_int_equal(m.live, 0);
}

/* A row from its bytes is scored as the row was. */
static void rows_come_back(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_batch *b = rows_of(m, 3, ROWS, 50, 0), *again = NULL;
    ecrec_session *s = NULL;
    float p[ROWS], q[ROWS], propensities[ROWS];
    uint32_t positions[ROWS];
    buffer bytes;
    row_bytes rows[ROWS];
    size_t ends[ROWS];
    (void)unused;
    for (size_t i = 0; i < ROWS; i++) {
        positions[i] = (uint32_t)i + 1;
        propensities[i] = 1.0f / (float)(i + 1);
    }
    CALL(ecrec_batch_set_position(b, positions, NULL, &err));
    CALL(ecrec_batch_set_propensity(b, propensities, NULL, &err));
    CALL(ecrec_update(m, b, NULL, NULL, &err));
    CALL(ecrec_session_create(m, NULL, &s, &err));
    buffer_init(&bytes, b->m);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(row_write(b, i, &bytes), ECREC_OK);
        ends[i] = bytes.length;
    }
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (row_bytes){ bytes.data + (i > 0 ? ends[i - 1] : 0), ends[i] - (i > 0 ? ends[i - 1] : 0) };
    CALL(rows_batch(b->schema, rows, ROWS, &again, &err));
    CALL(ecrec_score(m, s, b, NULL, p, ROWS, &err));
    CALL(ecrec_score(m, s, again, NULL, q, ROWS, &err));
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(p[i] == q[i]);
        assert_true(column_id(batch_row(again, ROW_EVENT), i) == 50 + i && batch_position(again, i) == i + 1 && batch_propensity(again, i) == propensities[i]);
        assert_true(column_float(batch_label(again, 0), i) == column_float(batch_label(b, 0), i));
    }
    ecrec_batch_release(again);
    /* cut anywhere, or with a byte turned: an error or a batch, never more */
    for (size_t cut = 0; cut < rows[0].length; cut++) {
        const row_bytes torn = { rows[0].data, cut };
        ecrec_batch *none = NULL;
        REFUSED(ECREC_ERR_FORMAT, rows_batch(b->schema, &torn, 1, &none, &err));
        unsigned char *at = bytes.data + cut;
        *at ^= 0xFF;
        none = NULL;
        const int32_t status = rows_batch(b->schema, rows, 1, &none, &err);
        assert_true((status == ECREC_OK) == (none != NULL));
        ecrec_batch_release(none);
        *at ^= 0xFF;
    }
    buffer_release(&bytes);
    ecrec_batch_release(b);
    ecrec_session_release(s);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* The reservoir is a fair sample: of 64 x 40 rows each block of 64 has its share, near enough. */
static void the_reservoir_is_fair(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    online memory;
    ecrec_batch *kept = NULL, *held = NULL;
    uint64_t entries[400];
    double of[40] = { 0 }, square = 0;
    (void)unused;
    o.reservoir = 400;
    o.reserve = 50;
    o.reserve_every = 4;
    o.seed = 3;
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 40; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 1000 * k, 0), NULL, NULL, &err));
    const snapshot *now = atomic_load(&m->current);
    CALL(online_view(&memory, now->tensors, m->schema, &err));
    memory.m = &context->m;
    for (uint64_t i = 0; i < 400; i++)
        entries[i] = i;
    CALL(online_rows(&memory, m->schema, memory.reservoir, entries, 400, &kept, &err));
    assert_int_equal(ecrec_batch_rows(kept), 400);
    for (size_t i = 0; i < 400; i++)
        of[column_id(batch_row(kept, ROW_EVENT), i) / 1000] += 1;
    for (int k = 0; k < 40; k++)
        square += (of[k] - 10) * (of[k] - 10) / 10;
    assert_true(square < 72); /* chi squared, 39 degrees of freedom: above with p = .001 */
    /* the reserve has the last ones, and nothing of the reservoir */
    CALL(online_reserve(&memory, m->schema, 1000, &held, &err));
    assert_int_equal(ecrec_batch_rows(held), 50);
    for (size_t i = 0; i < 50; i++) {
        const uint64_t id = column_id(batch_row(held, ROW_EVENT), i);
        assert_true(id >= 34000 && (i == 0 || id > column_id(batch_row(held, ROW_EVENT), i - 1)));
        for (size_t k = 0; k < 400; k++)
            assert_true(column_id(batch_row(kept, ROW_EVENT), k) != id);
    }
    ecrec_batch_release(kept);
    ecrec_batch_release(held);
    ecrec_model_release(m);
    /* little room: rows are left out, nothing fails, and the newest of the reserve are there */
    m = ranker_of(context);
    o.row_bytes = 64 * 40;
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 10; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 1000 * k, 0), NULL, NULL, &err));
    assert_true(info(m, "bytes") <= 64 * 40 && info(m, "reserve.rows") >= 1);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- the guard ---- */

static void the_guard_looks_at_the_reserve(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    const char *reason = NULL;
    char before[33];
    (void)unused;
    o.events = 10000;
    o.reserve = 200;
    o.reserve_every = 4;
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 30; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 1000 * k, 0), NULL, NULL, &err));
    /* rows the wrong way round fit themselves well enough, but not what came lately */
    u.passes = 20;
    u.max_loss_growth = 0.3;
    memcpy(before, state(m), 33);
    ecrec_batch *wrong = rows_of(m, 40, ROWS, 90000, 1);
    REFUSED(ECREC_ERR_REJECTED, ecrec_update(m, wrong, &u, &r, &err));
    assert_non_null(strstr(err.message, "reserve"));
    assert_string_equal(before, state(m));
    CALL(ecrec_report_string(r, "reason", &reason, &err));
    assert_non_null(strstr(reason, "reserve"));
    assert_true(told(r, "accepted") == 0 && told(r, "snapshot") == 0 && told(r, "quarantined.rows") == ROWS && told(r, "guard.reserve_rows") == 200);
    assert_true(told(r, "guard.labels.click.loss_after") > told(r, "guard.labels.click.loss_before") + 0.3);
    assert_true(told(r, "quarantined.worst.0.loss") >= told(r, "quarantined.worst.4.loss") && told(r, "quarantined.worst.0.row") < ROWS);
    ecrec_report_release(r);
    r = NULL;
    /* the host may insist; the events were not counted */
    u.force = 1;
    CALL(ecrec_update(m, wrong, &u, &r, &err));
    assert_true(told(r, "accepted") == 1 && told(r, "forced") == 1 && told(r, "rows") == ROWS);
    ecrec_report_release(r);
    ecrec_batch_release(wrong);
    assert_string_not_equal(before, state(m));
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* All labels 1: each row's own loss falls, the mean score leaves the mean label. */
static void the_guard_looks_at_calibration(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    float ones[ROWS];
    (void)unused;
    o.reserve = 200;
    o.reserve_every = 2;
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 20; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 0, 0), NULL, NULL, &err));
    for (size_t i = 0; i < ROWS; i++)
        ones[i] = 1;
    u.max_loss_growth = 100;
    u.max_calibration_growth = 0.08;
    u.learning_rate = 0.05;
    u.passes = 4;
    ecrec_batch *b = rows_of(m, 50, ROWS, 0, 0);
    CALL(ecrec_batch_set_label(b, 0, ones, NULL, &err));
    REFUSED(ECREC_ERR_REJECTED, ecrec_update(m, b, &u, NULL, &err));
    assert_non_null(strstr(err.message, "mean label"));
    ecrec_batch_release(b);
    CALL(learn(m, rows_of(m, 50, ROWS, 0, 0), &u, NULL, &err)); /* the right labels are fine */
    ecrec_model_release(m);
    ecrec_context_release(context);
}

static void scores_move_no_further(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    (void)unused;
    o.reserve = 64;
    o.reserve_every = 2;
    CALL(ecrec_online_configure(m, &o, &err));
    CALL(learn(m, rows_of(m, 1, ROWS, 0, 0), NULL, NULL, &err));
    CALL(learn(m, rows_of(m, 2, ROWS, 0, 0), NULL, &r, &err));
    assert_true(told(r, "guard.moved") > 0.05 && told(r, "rate") == 0.3);
    ecrec_report_release(r);
    CALL(ecrec_rollback(m, 3, &err));
    u.max_score_move = 0.02;
    CALL(learn(m, rows_of(m, 2, ROWS, 0, 0), &u, &r, &err));
    assert_true(told(r, "guard.moved") <= 0.02 && told(r, "guard.moved") > 0.005 && told(r, "rate") < 0.3);
    ecrec_report_release(r);
    u.max_score_move = -1;
    REFUSED(ECREC_ERR_INVALID, learn(m, rows_of(m, 2, ROWS, 0, 0), &u, NULL, &err));
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- replay ---- */

/* First items below 20, then only the others: with replay the first ones are forgotten less. */
static double loss_of_the_first(ecrec_context *context, double replay)
{
    ecrec_error err = ECREC_ERROR_INIT;
    static const char json[] = "{\"fields\":[{\"name\":\"item\",\"kind\":\"category\"}],\"labels\":[\"click\"],\"hash_bits\":10}";
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    ecrec_batch *b = NULL;
    ecrec_session *s = NULL;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    uint64_t items[ROWS];
    float clicks[ROWS], p[ROWS];
    double loss = 0;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    CALL(ecrec_batch_create(schema, &b, &err));
    ecrec_schema_release(schema);
    o.reservoir = 500;
    CALL(ecrec_online_configure(m, &o, &err));
    u.replay = replay;
    u.max_loss_growth = 100;
    for (uint64_t k = 0; k < 20; k++) {
        for (uint64_t i = 0; i < ROWS; i++) {
            items[i] = k < 10 ? 1 : 2 + i % 3; /* the bias moves away from what item 1 wants */
            clicks[i] = k < 10 ? i % 4 == 0 : 1;
        }
        CALL(ecrec_batch_reset(b, ROWS, &err));
        CALL(ecrec_batch_set_category_u64(b, 0, items, NULL, &err));
        CALL(ecrec_batch_set_label(b, 0, clicks, NULL, &err));
        CALL(ecrec_update(m, b, &u, NULL, &err));
    }
    for (uint64_t i = 0; i < ROWS; i++)
        items[i] = 1;
    CALL(ecrec_batch_set_category_u64(b, 0, items, NULL, &err));
    CALL(ecrec_session_create(m, NULL, &s, &err));
    CALL(ecrec_score(m, s, b, NULL, p, ROWS, &err));
    loss = -(0.25 * log((double)p[0]) + 0.75 * log(1 - (double)p[0]));
    ecrec_session_release(s);
    ecrec_batch_release(b);
    ecrec_model_release(m);
    return loss;
}

static void replay_forgets_less(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    (void)unused;
    const double best = -(0.25 * log(0.25) + 0.75 * log(0.75)), without = loss_of_the_first(context, 0), with = loss_of_the_first(context, 1);
    assert_true(without > best + 0.05);
    assert_true(with < best + (without - best) / 3);
    assert_true(with == loss_of_the_first(context, 1)); /* seeded */
    ecrec_context_release(context);
}

/* ---- drift ---- */

static void detectors_on_made_up_streams(void **unused)
{
    double adwin[ADWIN_SIZE], page[PAGE_HINKLEY_SIZE];
    drift_found what = { 0, 0, 0 };
    int false_alarms = 0;
    (void)unused;
    for (uint32_t run = 0; run < 10; run++) {
        uint32_t seed = run * 77 + 1;
        int at[2] = { -1, -1 };
        memset(adwin, 0, sizeof adwin);
        memset(page, 0, sizeof page);
        for (int i = 0; i < 6000; i++) {
            const double rate = i < 3000 ? 0.2 : 0.4, x = (double)(next(&seed) % 10000) / 10000 < rate;
            const int found[2] = { adwin_add(adwin, x, 0.002, &what), page_hinkley_add(page, x, 0.005, 50, &what) };
            assert_true(adwin_sound(adwin) && page_hinkley_sound(page));
            for (int k = 0; k < 2; k++) {
                false_alarms += found[k] && i < 3000;
                if (found[k] && i >= 3000 && at[k] < 0)
                    at[k] = i - 3000;
            }
        }
        assert_true(at[0] >= 0 && at[0] < 400 && at[1] >= 0 && at[1] < 600);
        assert_true(fabs(adwin_mean(adwin) - 0.4) < 0.05); /* the window holds what is now */
    }
    assert_true(false_alarms <= 1);
    /* a fall is no alarm, but the window follows it */
    memset(adwin, 0, sizeof adwin);
    uint32_t seed = 3;
    for (int i = 0; i < 4000; i++)
        assert_false(adwin_add(adwin, (double)(next(&seed) % 10000) / 10000 < (i < 2000 ? 0.5 : 0.1), 0.0005, &what));
    assert_true(adwin_mean(adwin) < 0.15);
}

typedef struct alarms { int n; uint64_t row; double before, after; } alarms;

static void on_drift(void *opaque, uint32_t label, uint32_t detector, uint64_t row, double before, double after)
{
    alarms *a = opaque;
    assert_true(label == 0 && detector == ECREC_DRIFT_ADWIN);
    *a = (alarms){ a->n + 1, row, before, after };
}

/* Labels that the item alone tells. */
static void by_item(ecrec_batch *b, int flip)
{
    ecrec_error err = ECREC_ERROR_INIT;
    uint64_t items[ROWS];
    float clicks[ROWS];
    for (uint64_t i = 0; i < ROWS; i++) {
        items[i] = i * 7 % 10;
        clicks[i] = (float)((items[i] % 2 == 0) != flip);
    }
    CALL(ecrec_batch_set_category_u64(b, 1, items, NULL, &err));
    CALL(ecrec_batch_set_label(b, 0, clicks, NULL, &err));
}

/* The labels turn over at update 20: it is found, and with a boost the loss comes down sooner. */
static double loss_after_a_turn(ecrec_context *context, double boost, int *found)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *m = ranker_of(context);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    alarms a = { 0, 0, 0, 0 };
    double sum = 0;
    o.drift = ECREC_DRIFT_ADWIN;
    o.boost = boost;
    o.boost_rows = 400;
    CALL(ecrec_online_configure(m, &o, &err));
    u.learning_rate = 0.05;
    u.max_loss_growth = 100;
    u.drift = on_drift;
    u.drift_opaque = &a;
    for (uint32_t k = 0; k < 40; k++) {
        ecrec_report *r = NULL;
        ecrec_batch *b = rows_of(m, k, ROWS, 0, 0);
        by_item(b, k >= 20);
        CALL(learn(m, b, &u, &r, &err));
        if (k < 20)
            assert_int_equal(a.n, 0);
        if (k >= 20)
            sum += told(r, "labels.click.log_loss");
        assert_true((told(r, "drifts") > 0) == (a.n > *found));
        *found = a.n;
        ecrec_report_release(r);
    }
    assert_true(a.n >= 1 && a.after > a.before);
    assert_true(info(m, "drifts") == a.n);
    assert_true(info(m, "labels.click.rows") == 40 * ROWS);
    ecrec_model_release(m);
    return sum / 20;
}

static void drift_is_told_and_boosted(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    int found[2] = { 0, 0 };
    (void)unused;
    const double plain = loss_after_a_turn(context, 0, &found[0]), boosted = loss_after_a_turn(context, 5, &found[1]);
    assert_true(boosted < plain - 0.02);
    ecrec_context_release(context);
}

/* Electricity prices in time order, the last label as a field, 50 rows an update. */
typedef struct electricity { size_t n; double columns[6][46000]; float up[46000]; } electricity;

static void read_electricity(electricity *e, const char *path)
{
    static const char *const names[6] = { "period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer" };
    char line[512], command[1024];
    int at[7] = { -1, -1, -1, -1, -1, -1, -1 }, columns = 0;
    snprintf(command, sizeof command, "gzip -dc '%s'", path);
    FILE *f = popen(command, "r");
    assert_true(f != NULL && fgets(line, sizeof line, f) != NULL);
    for (char *t = strtok(line, ",\r\n"); t != NULL; t = strtok(NULL, ",\r\n"), columns++)
        for (int k = 0; k < 7; k++)
            if (strcmp(t, k < 6 ? names[k] : "class") == 0)
                at[k] = columns;
    while (fgets(line, sizeof line, f) != NULL && e->n < 46000) {
        int i = 0;
        for (char *t = strtok(line, ",\r\n"); t != NULL; t = strtok(NULL, ",\r\n"), i++)
            for (int k = 0; k < 7; k++) {
                if (at[k] == i && k < 6)
                    e->columns[k][e->n] = atof(t);
                else if (at[k] == i)
                    e->up[e->n] = (float)(strcmp(t, "1") == 0 || strcmp(t, "UP") == 0);
            }
        e->n++;
    }
    pclose(f);
    assert_int_equal(e->n, 45312);
}

static double loss_on_electricity(ecrec_context *context, const electricity *e, double boost, double *drifts)
{
    enum { A_TIME = 50 };
    static const char json[] = "{\"fields\":[{\"name\":\"period\",\"kind\":\"number\"},{\"name\":\"a\",\"kind\":\"number\"},{\"name\":\"b\",\"kind\":\"number\"},{\"name\":\"c\",\"kind\":\"number\"},"
                               "{\"name\":\"d\",\"kind\":\"number\"},{\"name\":\"e\",\"kind\":\"number\"}],\"labels\":[\"up\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    ecrec_batch *b = NULL;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    CALL(ecrec_batch_create(schema, &b, &err));
    ecrec_schema_release(schema);
    o.drift = ECREC_DRIFT_ADWIN;
    o.boost = boost;
    o.boost_rows = 300;
    u.max_loss_growth = 100;
    u.learning_rate = 0.05;
    CALL(ecrec_online_configure(m, &o, &err));
    for (size_t i = 0; i < e->n; i += A_TIME) {
        const size_t n = e->n - i < A_TIME ? e->n - i : A_TIME;
        CALL(ecrec_batch_reset(b, n, &err));
        for (uint32_t k = 0; k < 6; k++)
            CALL(ecrec_batch_set_number(b, k, e->columns[k] + i, NULL, &err));
        CALL(ecrec_batch_set_label(b, 0, e->up + i, NULL, &err));
        CALL(ecrec_update(m, b, &u, NULL, &err));
    }
    *drifts = info(m, "drifts");
    const double loss = info(m, "labels.up.loss");
    ecrec_batch_release(b);
    ecrec_model_release(m);
    return loss;
}

static void drift_on_electricity(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    const char *path = data_path("stream/elec2.csv.gz");
    double drifts[2];
    (void)unused;
    NEED(path, "stream/elec2.csv.gz");
    electricity *e = calloc(1, sizeof *e);
    assert_non_null(e);
    read_electricity(e, path);
    const double plain = loss_on_electricity(context, e, 0, &drifts[0]), boosted = loss_on_electricity(context, e, 4, &drifts[1]);
    print_message("elec2: %.0f drifts, log loss %.4f; with 4 times the rate behind each: %.0f drifts, %.4f\n", drifts[0], plain, drifts[1], boosted);
    assert_true(drifts[0] >= 5 && drifts[0] <= 400);
    assert_true(boosted < plain);
    free(e);
    ecrec_context_release(context);
}

/* ---- progressive validation ---- */

static void windows_and_served_scores(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    float served[ROWS];
    (void)unused;
    u.window = 20;
    ecrec_batch *b = rows_of(m, 7, ROWS, 0, 0);
    CALL(ecrec_update(m, b, &u, &r, &err));
    const double rows[4] = { 20, 20, 20, 4 };
    double sum = 0;
    char name[64];
    for (int w = 0; w < 4; w++) {
        snprintf(name, sizeof name, "windows.%d.click.rows", w);
        assert_true(told(r, name) == rows[w]);
        snprintf(name, sizeof name, "windows.%d.click.loss", w);
        sum += rows[w] * told(r, name);
    }
    assert_true(fabs(sum / ROWS - told(r, "labels.click.log_loss")) < 1e-6);
    ecrec_report_release(r);
    /* what was served is judged, not what would be said today */
    for (size_t i = 0; i < ROWS; i++)
        served[i] = i < 10 ? NAN : 0.25f;
    u.served = served;
    u.window = ROWS;
    CALL(ecrec_update(m, b, &u, &r, &err));
    double loss = 0;
    for (size_t i = 10; i < ROWS; i++)
        loss -= log(column_float(batch_label(b, 0), i) > 0 ? 0.25 : 0.75);
    assert_true(fabs(told(r, "served.click.log_loss") - loss / (ROWS - 10)) < 1e-6 && told(r, "served.click.rows") == ROWS - 10);
    assert_true(fabs(told(r, "windows.0.click.loss") - told(r, "labels.click.log_loss")) > 1e-3);
    ecrec_report_release(r);
    ecrec_batch_release(b);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- the same bits everywhere ---- */

static int32_t keep(void *opaque, const void *data, size_t length)
{
    buffer *b = opaque;
    return buffer_append(b, data, length);
}

static void the_same_bits_everywhere(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    char model_file[512], journal_file[512], expected[33];
    buffer delta;
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &delta, keep };
    ecrec_report *r = NULL;
    (void)unused;
    o.events = 150;
    o.reserve = 30;
    o.reservoir = 100;
    o.drift = ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY;
    u.replay = 0.5;
    ecrec_model *m = ranker_of(context), *replica = NULL, *again = NULL;
    snprintf(model_file, sizeof model_file, "%s", temporary("online.ecrec"));
    snprintf(journal_file, sizeof journal_file, "%s", temporary("online.journal"));
    CALL(ecrec_model_save(m, model_file, &err));
    CALL(ecrec_model_load(context, model_file, NULL, &replica, &err));
    CALL(ecrec_journal_open(m, journal_file, NULL, NULL, &err));
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 5; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 40 * k, 0), &u, NULL, &err));
    memcpy(expected, state(m), 33);
    /* a replica by one delta, with all that is remembered */
    buffer_init(&delta, &context->m);
    CALL(ecrec_delta_export(m, 1, 0, &sink, &err));
    CALL(ecrec_delta_apply(replica, delta.data, delta.length, NULL, &err));
    assert_string_equal(expected, state(replica));
    buffer_release(&delta);
    ecrec_model_release(m);
    /* the journal */
    m = NULL;
    CALL(ecrec_model_load(context, model_file, NULL, &m, &err));
    CALL(ecrec_journal_open(m, journal_file, NULL, NULL, &err));
    assert_string_equal(expected, state(m));
    /* the file */
    CALL(ecrec_model_save(m, model_file, &err));
    CALL(ecrec_model_load(context, model_file, NULL, &again, &err));
    assert_string_equal(expected, state(again));
    ecrec_model *const all[3] = { m, replica, again };
    for (int i = 0; i < 3; i++) {
        CALL(learn(all[i], rows_of(all[i], 9, ROWS, 180, 0), &u, &r, &err));
        assert_true(told(r, "repeated") == 44);
        assert_true(told(r, "replayed") == 10);
        ecrec_report_release(r);
        assert_string_equal(state(all[0]), state(all[i]));
        ecrec_model_release(all[i] == m ? NULL : all[i]);
    }
    /* settings: the same keep what there is, others begin anew, none are nothing */
    CALL(ecrec_online_configure(m, &o, &err));
    assert_true(info(m, "events.known") == 150);
    o.events = 151;
    o.reservoir = 99;
    CALL(ecrec_online_configure(m, &o, &err));
    assert_true(info(m, "events.known") == 0 && info(m, "reservoir.rows") == 0 && info(m, "bytes") == 0);
    CALL(learn(m, rows_of(m, 3, ROWS, 0, 0), &u, NULL, &err));
    CALL(ecrec_online_configure(m, NULL, &err));
    assert_true(info(m, "configured") == 0);
    o.row_bytes = 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_online_configure(m, &o, &err));
    o.row_bytes = 0;
    o.boost = 0.5;
    REFUSED(ECREC_ERR_INVALID, ecrec_online_configure(m, &o, &err));
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* Two workers from one state: each event that one has seen is known to the merged one. */
static void merged_events(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    ecrec_model *m = ranker_of(context);
    buffer deltas[2], merged;
    const ecrec_sink out = { (uint32_t)sizeof out, 0, &merged, keep };
    (void)unused;
    o.events = 200;
    o.reserve = o.reservoir = 20;
    CALL(ecrec_online_configure(m, &o, &err));
    CALL(learn(m, rows_of(m, 1, 10, 0, 0), NULL, NULL, &err));
    const uint64_t base = ecrec_model_snapshot(m);
    for (uint32_t k = 0; k < 2; k++) {
        const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &deltas[k], keep };
        buffer_init(&deltas[k], &context->m);
        CALL(learn(m, rows_of(m, 2 + k, 10, 100 * (k + 1), 0), NULL, NULL, &err));
        CALL(ecrec_delta_export(m, base, 0, &sink, &err));
        CALL(ecrec_rollback(m, base, &err));
    }
    const void *const bytes[2] = { deltas[0].data, deltas[1].data };
    const size_t lengths[2] = { deltas[0].length, deltas[1].length };
    buffer_init(&merged, &context->m);
    CALL(ecrec_delta_merge(m, bytes, lengths, 2, &out, &err));
    CALL(ecrec_delta_apply(m, merged.data, merged.length, NULL, &err));
    assert_true(info(m, "events.known") == 30);
    for (uint64_t k = 0; k < 3; k++) {
        CALL(learn(m, rows_of(m, 9, 11, 100 * k, 0), NULL, &r, &err));
        assert_true(told(r, "repeated") == 10);
        ecrec_report_release(r);
    }
    buffer_release(&merged);
    buffer_release(&deltas[0]);
    buffer_release(&deltas[1]);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- forget, names ---- */

/* Rows of the reserve and the reservoir whose user is `user`. */
static size_t rows_of_user(ecrec_model *m, const char *user)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const snapshot *now = atomic_load(&m->current);
    online o;
    size_t n = 0;
    CALL(online_view(&o, now->tensors, m->schema, &err));
    o.m = &m->context->m;
    const tensor *const stores[2] = { o.reserve, o.reservoir };
    for (int s = 0; s < 2; s++)
        for (uint64_t i = 0; i < stores[s]->shape[0]; i++) {
            ecrec_batch *b = NULL;
            size_t length = 0;
            CALL(online_rows(&o, m->schema, stores[s], &i, 1, &b, &err));
            if (b != NULL) {
                const char *text = column_text(&b->columns[0], 0, &length);
                n += length == strlen(user) && memcmp(text, user, length) == 0;
            }
            ecrec_batch_release(b);
        }
    return n;
}

static void forgotten(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    const char *sentence = NULL;
    uint64_t numbers[16];
    size_t count = 0;
    ecrec_model *m = ranker_of(context), *never = ranker_of(context);
    (void)unused;
    o.reserve = 100;
    o.reservoir = 400;
    u.max_loss_growth = 100;
    u.max_calibration_growth = 1;
    CALL(ecrec_online_configure(m, &o, &err));
    for (uint32_t k = 0; k < 8; k++)
        CALL(learn(m, rows_of(m, k, ROWS, 0, 0), &u, NULL, &err));
    const size_t before = rows_of_user(m, "7"), others = rows_of_user(m, "8");
    assert_true(before > 5 && others > 5);
    CALL(ecrec_snapshot_name(m, ecrec_model_snapshot(m) - 1, "one of before", &err));
    CALL(ecrec_forget(m, 0, "7", 1, &r, &err));
    assert_int_equal(told(r, "rows"), before);
    assert_true(told(r, "weights") >= 1 && told(r, "embeddings") == 1 && told(r, "shared_weight") > 0 && told(r, "shared_weight") < 0.1);
    assert_true(told(r, "snapshots_dropped") >= 8);
    CALL(ecrec_report_string(r, "cannot_undo.0", &sentence, &err));
    ecrec_report_release(r);
    assert_int_equal(rows_of_user(m, "7"), 0);
    assert_int_equal(rows_of_user(m, "8"), others);
    CALL(ecrec_model_snapshots(m, numbers, 16, &count, &err));
    assert_int_equal(count, 1);
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_snapshot_find(m, "one of before", numbers, &err));
    /* the user's own part of a score is that of one who was never met */
    ecrec_batch *b = rows_of(m, 1, 2, 0, 0);
    const uint64_t users[2] = { 7, 1234567 };
    float parts[2 * 32], p[2];
    ecrec_score_options s = ECREC_SCORE_OPTIONS_INIT;
    ecrec_session *session = NULL;
    s.contributions = parts;
    s.contributions_capacity = sizeof parts / sizeof *parts;
    CALL(ecrec_batch_set_category_u64(b, 0, users, NULL, &err));
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_score(m, session, b, &s, p, 2, &err));
    assert_true(parts[0] == 0);
    REFUSED(ECREC_ERR_INVALID, ecrec_forget(m, 2, "7", 1, NULL, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_forget(m, 99, "7", 1, NULL, &err));
    CALL(ecrec_forget(never, 0, "7", 1, NULL, &err)); /* remembers nothing: fine */
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_model_release(m);
    ecrec_model_release(never);
    ecrec_context_release(context);
}

/* A named snapshot stays while others come and go, and is scored beside the current one from the same handle. */
static void named_snapshots(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *m = ranker_of(context);
    ecrec_session *session = NULL;
    ecrec_score_options a = ECREC_SCORE_OPTIONS_INIT;
    ecrec_batch *b = rows_of(m, 1, ROWS, 0, 0);
    float then[ROWS], now[ROWS], again[ROWS];
    uint64_t number = 0, numbers[64];
    size_t count = 0;
    char name[80];
    (void)unused;
    CALL(ecrec_update(m, b, NULL, NULL, &err));
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_score(m, session, b, NULL, then, ROWS, &err));
    CALL(ecrec_snapshot_name(m, 2, "control", &err));
    for (uint32_t k = 0; k < 20; k++)
        CALL(learn(m, rows_of(m, 10 + k, ROWS, 0, 0), NULL, NULL, &err));
    CALL(ecrec_snapshot_find(m, "control", &number, &err));
    assert_int_equal(number, 2);
    CALL(ecrec_model_snapshots(m, numbers, 64, &count, &err));
    assert_true(count == 9 && numbers[0] == 2 && numbers[1] == 15 && numbers[8] == 22);
    a.snapshot = number;
    CALL(ecrec_score(m, session, b, &a, again, ROWS, &err));
    CALL(ecrec_score(m, session, b, NULL, now, ROWS, &err));
    assert_memory_equal(then, again, sizeof then);
    assert_memory_not_equal(now, again, sizeof now);
    REFUSED(ECREC_ERR_INVALID, ecrec_snapshot_name(m, 22, "control", &err));
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_snapshot_name(m, 3, "gone", &err));
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    REFUSED(ECREC_ERR_INVALID, ecrec_snapshot_name(m, 22, name, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_snapshot_find(m, "", &number, &err));
    CALL(ecrec_snapshot_name(m, 22, "treatment", &err));
    CALL(ecrec_rollback(m, 2, &err));
    CALL(ecrec_score(m, session, b, NULL, now, ROWS, &err));
    assert_memory_equal(then, now, sizeof then);
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_snapshot_find(m, "treatment", &number, &err));
    /* without its name it goes like any other */
    CALL(ecrec_snapshot_name(m, 2, NULL, &err));
    for (uint32_t k = 0; k < 9; k++)
        CALL(learn(m, rows_of(m, 10 + k, ROWS, 0, 0), NULL, NULL, &err));
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_rollback(m, 2, &err));
    ecrec_session_release(session);
    ecrec_batch_release(b);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_like_a_list), cmocka_unit_test(events_count_once), cmocka_unit_test(cells_are_used_again), cmocka_unit_test(rows_come_back),
        cmocka_unit_test(the_reservoir_is_fair), cmocka_unit_test(the_guard_looks_at_the_reserve), cmocka_unit_test(the_guard_looks_at_calibration),
        cmocka_unit_test(scores_move_no_further), cmocka_unit_test(replay_forgets_less), cmocka_unit_test(detectors_on_made_up_streams),
        cmocka_unit_test(drift_is_told_and_boosted), cmocka_unit_test(drift_on_electricity), cmocka_unit_test(windows_and_served_scores), cmocka_unit_test(the_same_bits_everywhere), cmocka_unit_test(merged_events), cmocka_unit_test(forgotten), cmocka_unit_test(named_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
