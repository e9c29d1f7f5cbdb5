/* Random schemas with random rows through all that a ranker does, and what must hold whatever they are:
 *
 *   scores are finite, probabilities in 0 .. 1; a row's score does not depend on the rows beside it, on their order or on the threads;
 *   a saved and loaded ranker has the same state and gives the same bits, and so has one that its journal brings back, and one that deltas bring along;
 *   a rollback gives the bits of before; what an impression log gives back is scored as it was; two learners with one seed are one.
 *
 * ECREC_SEEDS: how many rankers (25), ECREC_SEED: from which on (1). tests/long.sh properties: thousands, under AddressSanitizer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

enum { MOST_ROWS = 48, MOST_FIELDS = 7, MOST_LABELS_HERE = 3, MOST_OUTPUTS = MOST_LABELS_HERE * 5, MOST_ITEMS = MOST_ROWS * 4 };

static char story[8400]; /* of the ranker that fails */
#undef CALL
#define CALL(expression) do { const int32_t code_ = (expression); if (code_ != ECREC_OK) fail_msg("%s: %s: %s: %s", #expression, ecrec_status_name(code_), err.message, story); } while (0)

static uint64_t state;
static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}
static int chance(uint32_t percent) { return below(100) < percent; }

/* ---- schemas ---- */

typedef struct text { char bytes[8192]; size_t length; } text;
static void say(text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(t->bytes + t->length, sizeof t->bytes - t->length, format, list);
    va_end(list);
    assert_true(n >= 0 && t->length + (size_t)n < sizeof t->bytes);
    t->length += (size_t)n;
}

static void add_field(text *t, uint32_t i, int *item)
{
    static const char *const kinds[] = { "category", "number", "text", "vector", "multi", "time", "user", "item", "history" };
    uint32_t kind = below(9);
    if (kind == 8 && *item < 0)
        kind = 0;
    if (kind == 7 && *item < 0)
        *item = (int)i;
    say(t, "%s{\"name\":\"f%u\",\"kind\":\"%s\"", i > 0 ? "," : "", i, kinds[kind]);
    switch (kind) {
    case 0: case 6: case 7:
        if (chance(20))
            say(t, ",\"admit_after\":%u", 1 + below(4));
        if (chance(20))
            say(t, ",\"hash_bits\":%u", 3 + below(8));
        if (kind == 0 && chance(25))
            say(t, ",\"vocabulary\":[\"v1\",\"v2\",\"v3\",\"ü\"]");
        break;
    case 1:
        if (chance(40))
            say(t, ",\"bins\":%u", 2 + below(20));
        break;
    case 2: say(t, ",\"no_encoding\":true,\"word_ngrams\":%u,\"char_ngrams\":%u", 1 + below(3), chance(50) ? 3 + below(3) : 0); break;
    case 3: say(t, ",\"dimension\":%u", 1 + below(9)); break;
    case 5: say(t, ",\"utc_offset\":%d", (int)below(1600) - 800); break;
    case 8: say(t, ",\"compare\":\"f%d\",\"dimension\":%u,\"event_types\":%u", *item, 1 + below(5), 1 + below(3)); break;
    default: break;
    }
    say(t, "}");
}

/* A schema that may be refused, which is well when it is told. */
static void make_schema(text *t)
{
    const uint32_t fields = 1 + below(MOST_FIELDS), labels = 1 + below(MOST_LABELS_HERE);
    int item = -1;
    t->length = 0;
    say(t, "{\"fields\":[");
    for (uint32_t i = 0; i < fields; i++)
        add_field(t, i, &item);
    say(t, "],\"labels\":[");
    for (uint32_t i = 0; i < labels; i++) {
        const uint32_t kind = i == 0 && chance(60) ? 0 : below(4);
        say(t, "%s{\"name\":\"y%u\"", i > 0 ? "," : "", i);
        if (kind == 1)
            say(t, ",\"kind\":\"value\"");
        else if (kind > 1)
            say(t, ",\"kind\":\"%s\",\"classes\":%u", kind == 2 ? "classes" : "ordinal", 3 + below(3));
        say(t, "}");
    }
    say(t, "],\"hash_bits\":%u", 10 + below(4));
    if (item >= 0 || chance(70)) {
        const int wide = item >= 0 || chance(70);
        say(t, ",\"network\":{\"width\":%u,\"embedding_bits\":10", wide ? 1 + below(9) : 0);
        if (chance(40))
            say(t, ",\"pairs\":\"all\"");
        if (wide && chance(50))
            say(t, ",\"fm\":%s", chance(50) ? "true" : "\"weighted\"");
        if (wide && chance(30))
            say(t, ",\"cross_layers\":%u,\"cross_rank\":%u", 1 + below(3), below(4));
        if (wide && chance(50))
            say(t, ",\"hidden\":[%u%s]", 1 + below(17), chance(50) ? ",3" : "");
        if (chance(20))
            say(t, ",\"unmet\":true");
        if (wide && item >= 0 && chance(40))
            say(t, ",\"attention\":%u", 1 + below(8));
        if (wide && chance(20))
            say(t, ",\"gates\":true");
        if (chance(20))
            say(t, ",\"positions\":%u", 1 + below(20));
        if (wide && labels > 1 && chance(20))
            say(t, ",\"experts\":%u", 2 + below(3));
        say(t, "}");
    }
    say(t, "}");
}

/* ---- rows ---- */

/* A number of any size: small ones, whole ones, huge and tiny ones. */
static double any_number(void)
{
    static const double odd[] = { 0, -0.0, 1e-310, -1e300, 1e300, 4503599627370497.0, 1e-30, -7 };
    return chance(6) ? odd[below(8)] : chance(50) ? (double)below(20) : ((double)below(2000000) - 1000000) / 997;
}

static const char *any_value(size_t *length)
{
    static const char *const values[] = { "v1", "v2", "v3", "ü", "", "a value that is longer than sixteen bytes", "17", "x", "y", "z\n" };
    const char *value = values[below(10)];
    *length = strlen(value);
    return value;
}

static void fill_items(ecrec_batch *b, uint32_t f, int32_t kind, size_t rows, const uint8_t *valid)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t starts[MOST_ROWS + 1] = { 0 }, lengths[MOST_ITEMS];
    const char *values[MOST_ITEMS];
    float weights[MOST_ITEMS];
    int64_t times[MOST_ITEMS], now[MOST_ROWS];
    for (size_t i = 0; i < rows; i++) {
        starts[i + 1] = starts[i] + below(4);
        int64_t at = 1700000000000000 + (int64_t)below(100000) * 1000000;
        for (size_t k = starts[i]; k < starts[i + 1]; k++) {
            values[k] = any_value(&lengths[k]);
            weights[k] = (float)below(9) - 2;
            times[k] = at += (int64_t)below(1000000) * 1000;
        }
        now[i] = at + (int64_t)below(10000000);
    }
    if (kind == ECREC_FIELD_MULTI) {
        CALL(ecrec_batch_set_multi(b, f, starts, values, lengths, chance(50) ? weights : NULL, valid, &err));
        return;
    }
    ecrec_history h = ECREC_HISTORY_INIT;
    h.events = starts;
    h.items = values;
    h.lengths = lengths;
    h.times = chance(60) ? times : NULL;
    h.now = h.times != NULL && chance(60) ? now : NULL;
    h.valid = valid;
    CALL(ecrec_batch_set_history(b, f, &h, &err));
}

static void fill_field(ecrec_batch *b, const ecrec_model *m, uint32_t f, size_t rows)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const int32_t kind = ecrec_schema_field_kind(ecrec_model_schema(m), f);
    uint8_t valid[MOST_ROWS];
    const char *texts[MOST_ROWS];
    size_t lengths[MOST_ROWS];
    double numbers[MOST_ROWS];
    int64_t times[MOST_ROWS];
    static float vectors[MOST_ROWS * 16];
    if (chance(5))
        return; /* a column that is missing */
    const uint32_t missing = chance(50) ? 0 : 40;
    for (size_t i = 0; i < rows; i++) {
        valid[i] = !chance(missing);
        texts[i] = any_value(&lengths[i]);
        texts[i] = valid[i] ? texts[i] : NULL;
        numbers[i] = any_number();
        times[i] = 1600000000000000 + (int64_t)below(2000000000) * 100000;
    }
    for (size_t i = 0; i < MOST_ROWS * 16; i++)
        vectors[i] = (float)below(2001) / 1000 - 1;
    switch (kind) {
    case ECREC_FIELD_NUMBER: CALL(ecrec_batch_set_number(b, f, numbers, valid, &err)); break;
    case ECREC_FIELD_TEXT: CALL(ecrec_batch_set_text(b, f, texts, lengths, &err)); break;
    case ECREC_FIELD_TIME: CALL(ecrec_batch_set_time(b, f, times, valid, &err)); break;
    case ECREC_FIELD_VECTOR: CALL(ecrec_batch_set_vector(b, f, vectors, 16, valid, &err)); break;
    case ECREC_FIELD_MULTI: case ECREC_FIELD_HISTORY: fill_items(b, f, kind, rows, valid); break;
    default: CALL(ecrec_batch_set_category(b, f, texts, lengths, &err)); break;
    }
}

/* Rows that the seed tells, for any model of the schema. */
static ecrec_batch *rows_of(const ecrec_model *m, uint64_t seed, size_t rows)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const ecrec_schema *s = ecrec_model_schema(m);
    const uint64_t before = state;
    ecrec_batch *b = NULL;
    uint64_t events[MOST_ROWS];
    float values[MOST_ROWS], weights[MOST_ROWS];
    uint8_t valid[MOST_ROWS];
    state = seed * 7919 + 3;
    CALL(ecrec_batch_create(s, &b, &err));
    CALL(ecrec_batch_reset(b, rows, &err));
    for (uint32_t f = 0; f < ecrec_schema_fields(s); f++)
        fill_field(b, m, f, rows);
    for (uint32_t l = 0; l < ecrec_schema_labels(s); l++) {
        uint32_t classes = 0;
        const int32_t kind = ecrec_schema_label_kind(s, l, &classes);
        for (size_t i = 0; i < rows; i++) {
            valid[i] = !chance(10);
            values[i] = kind == ECREC_LABEL_BINARY ? (float)below(2) : classes != 0 ? (float)below(classes) : (float)below(100) / 10 - 3;
        }
        CALL(ecrec_batch_set_label(b, l, values, valid, &err));
    }
    for (size_t i = 0; i < rows; i++) {
        events[i] = seed * 1000 + i;
        weights[i] = (float)below(5) / 2;
    }
    CALL(ecrec_batch_set_event(b, events, NULL, &err));
    if (chance(30))
        CALL(ecrec_batch_set_weight(b, weights, &err));
    state = before;
    return b;
}

/* ---- what must hold ---- */

#define HOLDS(what) do { if (!(what)) fail_msg("%s: %s", #what, story); } while (0)

static void scores_of(ecrec_model *m, const ecrec_batch *b, float *scores)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *s = NULL;
    const size_t n = ecrec_batch_rows(b) * ecrec_schema_outputs(ecrec_model_schema(m));
    CALL(ecrec_session_create(m, NULL, &s, &err));
    CALL(ecrec_score(m, s, b, NULL, scores, n, &err));
    ecrec_session_release(s);
    for (size_t i = 0; i < n; i++)
        HOLDS(isfinite(scores[i]));
}

static int same_scores(ecrec_model *a, ecrec_model *b, const ecrec_batch *look)
{
    float x[MOST_ROWS * MOST_OUTPUTS] = { 0 }, y[MOST_ROWS * MOST_OUTPUTS] = { 0 };
    char one[33], other[33];
    ecrec_error err = ECREC_ERROR_INIT;
    scores_of(a, look, x);
    scores_of(b, look, y);
    CALL(ecrec_model_state(a, 0, one, &err));
    CALL(ecrec_model_state(b, 0, other, &err));
    return memcmp(x, y, sizeof x) == 0 && strcmp(one, other) == 0;
}

/* OK, or an honest no of the guard, or of rows of which nothing can be learned: then nothing has changed. */
static int learned(int32_t status, const ecrec_error *err)
{
    if (status != ECREC_OK && status != ECREC_ERR_REJECTED && status != ECREC_ERR_INVALID)
        fail_msg("%s: %s: %s", ecrec_status_name(status), err->message, story);
    HOLDS(status == ECREC_OK || err->message[0] != 0);
    return status == ECREC_OK;
}

static int32_t update(ecrec_model *m, uint64_t seed, ecrec_error *err)
{
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    o.replay = seed % 3 == 0 ? 0.5 : 0;
    o.step_rows = (uint32_t)(seed % 4 == 0 ? 8 : 0);
    o.max_score_move = seed % 5 == 0 ? 0.05 : 0;
    ecrec_batch *b = rows_of(m, seed, 1 + (size_t)(seed * 31 % MOST_ROWS));
    const int32_t status = ecrec_update(m, b, &o, NULL, err);
    ecrec_batch_release(b);
    return status;
}

static int32_t teach(ecrec_model *m, uint64_t seed, ecrec_error *err)
{
    ecrec_fit_options f = ECREC_FIT_OPTIONS_INIT;
    if (seed % 5 == 3) {
        f.epochs = 2;
        f.batch_rows = 16;
        f.holdout = seed % 2 ? 0.25 : 0;
        f.hashed_optimiser = (uint32_t)(seed / 10 % 3);
        f.seed = seed;
    }
    if (seed % 5 != 3 && seed % 5 != 4)
        return update(m, seed, err);
    ecrec_batch *b = rows_of(m, seed, MOST_ROWS);
    const int32_t status = seed % 5 == 3 ? ecrec_fit(m, b, &f, NULL, err) : ecrec_calibrate(m, b, NULL, NULL, err);
    ecrec_batch_release(b);
    return status;
}

static void rows_alone(ecrec_context *context, ecrec_model *m, uint64_t seed)
{
    float all[MOST_ROWS * MOST_OUTPUTS], again[MOST_ROWS * MOST_OUTPUTS];
    const size_t outputs = ecrec_schema_outputs(ecrec_model_schema(m));
    ecrec_batch *b = rows_of(m, seed, MOST_ROWS);
    ecrec_impressions *log = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    scores_of(m, b, all);
    /* through an impression log: each row as bytes and back; in two takes */
    if (ecrec_impressions_open(context, ecrec_model_schema(m), NULL, &o, &log, NULL, &err) != ECREC_OK) {
        HOLDS(strstr(err.message, "binary label") != NULL);
        ecrec_batch_release(b);
        return;
    }
    CALL(ecrec_impressions_add(log, b, all, 1, 1000, &err));
    size_t at = 0;
    for (size_t most = 7; at < MOST_ROWS; most = 0) {
        ecrec_batch *back = NULL;
        const float *served = NULL;
        CALL(ecrec_impressions_take(log, INT64_MAX / 2, most, &back, &served, NULL, &err));
        HOLDS(back != NULL);
        scores_of(m, back, again);
        const size_t n = ecrec_batch_rows(back) * outputs;
        HOLDS(memcmp(again, all + at * outputs, n * sizeof *again) == 0);
        HOLDS(memcmp(served, all + at * outputs, n * sizeof *again) == 0);
        at += ecrec_batch_rows(back);
        CALL(ecrec_impressions_done(log, &err));
        ecrec_batch_release(back);
    }
    ecrec_impressions_release(log);
    ecrec_batch_release(b);
}

static int32_t keep(void *opaque, const void *data, size_t length)
{
    char **to = opaque;
    to[0] = malloc(length + 1);
    memcpy(to[0], data, length);
    to[1] = to[0] + length;
    return 0;
}

static void lives(ecrec_context *one, ecrec_context *two, uint64_t seed)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL, *other = NULL, *loaded = NULL;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    char file[512], journal[512];
    text json;
    state = seed * 1000003;
    make_schema(&json);
    snprintf(story, sizeof story, "ECREC_SEED=%llu %s", (unsigned long long)seed, json.bytes);
    if (ecrec_schema_parse(one, json.bytes, json.length, &schema, &err) != ECREC_OK) {
        HOLDS(err.message[0] != 0);
        return;
    }
    if (ecrec_ranker_create(one, NULL, schema, &m, &err) != ECREC_OK) {
        HOLDS(err.message[0] != 0);
        ecrec_schema_release(schema);
        return;
    }
    ecrec_schema_release(schema);
    ecrec_batch *look = rows_of(m, 999, 20);
    if (chance(70)) {
        o.events = 10 + below(100);
        o.reserve = chance(70) ? 1 + below(30) : 0;
        o.reservoir = chance(70) ? 1 + below(60) : 0;
        o.row_bytes = chance(50) ? 2000 + below(20000) : 0;
        o.drift = below(4);
        o.window = 1 + below(60);
        CALL(ecrec_online_configure(m, &o, &err));
    }
    snprintf(file, sizeof file, "%s", temporary("p.ecrec"));
    snprintf(journal, sizeof journal, "%s", temporary("p.journal"));
    unlink(journal);
    CALL(ecrec_model_save(m, file, &err));
    CALL(ecrec_model_load(two, file, NULL, &other, &err));
    HOLDS(same_scores(m, other, look));
    CALL(ecrec_journal_open(m, journal, NULL, NULL, &err));
    const uint64_t first = ecrec_model_snapshot(m);
    uint64_t published = first;
    for (uint64_t k = 1; k <= 5; k++) {
        const int32_t status = teach(m, seed * 10 + k, &err), again = teach(other, seed * 10 + k, &err); /* two threads: the same */
        HOLDS(status == again);
        if (learned(status, &err))
            published = ecrec_model_snapshot(m);
        HOLDS(published == ecrec_model_snapshot(m));
        HOLDS(same_scores(m, other, look));
    }
    rows_alone(one, m, seed);
    /* a delta brings the beginning to the end, and back */
    char *delta[2], *back[2];
    ecrec_sink sink = { (uint32_t)sizeof sink, 0, delta, keep };
    CALL(ecrec_model_load(one, file, NULL, &loaded, &err));
    CALL(ecrec_delta_export(m, first, 0, &sink, &err));
    sink.opaque = back;
    CALL(ecrec_delta_export(m, published, first, &sink, &err));
    CALL(ecrec_delta_apply(loaded, delta[0], (size_t)(delta[1] - delta[0]), NULL, &err));
    HOLDS(same_scores(m, loaded, look));
    CALL(ecrec_delta_apply(loaded, back[0], (size_t)(back[1] - back[0]), NULL, &err));
    free(delta[0]);
    free(back[0]);
    if (first != published)
        CALL(ecrec_rollback(other, first, &err));
    HOLDS(same_scores(other, loaded, look));
    ecrec_model_release(loaded);
    ecrec_model_release(other);
    /* the journal alone, with the file of the beginning; then the file of now */
    char before[33], after[33];
    float was[MOST_ROWS * MOST_OUTPUTS], now[MOST_ROWS * MOST_OUTPUTS];
    const size_t n = 20 * (size_t)ecrec_schema_outputs(ecrec_model_schema(m));
    scores_of(m, look, was);
    CALL(ecrec_model_state(m, 0, before, &err));
    ecrec_model_release(m);
    CALL(ecrec_model_load(one, file, NULL, &m, &err));
    CALL(ecrec_journal_open(m, journal, NULL, NULL, &err));
    scores_of(m, look, now);
    CALL(ecrec_model_state(m, 0, after, &err));
    HOLDS(memcmp(was, now, n * sizeof *was) == 0 && strcmp(before, after) == 0);
    CALL(ecrec_journal_compact(m, file, &err));
    CALL(ecrec_model_load(one, file, NULL, &loaded, &err));
    HOLDS(same_scores(m, loaded, look));
    ecrec_model_release(loaded);
    ecrec_batch_release(look);
    ecrec_model_release(m);
}

static void random_rankers(void **unused)
{
    const char *asked = getenv("ECREC_SEEDS"), *from = getenv("ECREC_SEED");
    const uint64_t seeds = asked != NULL ? strtoull(asked, NULL, 10) : 25, first = from != NULL ? strtoull(from, NULL, 10) : 1;
    ecrec_context *one = context_with(1, 0), *two = context_with(2, 0);
    (void)unused;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        lives(one, two, seed);
    ecrec_context_release(one);
    ecrec_context_release(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_rankers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
