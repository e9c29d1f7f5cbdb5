/* Operations on records: batches and what they hold. */
#include <math.h>
#include <string.h>

#include "operations.h"

static void gone_array(struct ArrowArray *a)
{
    a->release = NULL;
}
static void gone_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

typedef struct arrow_source { struct ArrowSchema schema, columns[3], *children[3]; struct ArrowArray array, data[3], *arrays[3]; const void *buffers[3][3]; int sent; } arrow_source;

static int get_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    *out = ((arrow_source *)s->private_data)->schema;
    return 0;
}
static int get_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    arrow_source *a = s->private_data;
    memset(out, 0, sizeof *out);
    if (a->sent++ == 0)
        *out = a->array;
    return 0;
}

int32_t bad_rows(world *w)
{
    static const double numbers[ROWS] = { 1, NAN, 3, 4, NAN, 6 };
    static const float labels[ROWS] = { 1, 0, 1, 0, 1, 7 };
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_batch *b = NULL;
    ecrec_report *r = NULL;
    uint64_t row = 0;
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    o.bad_rows = ECREC_BAD_ROWS_SKIP;
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : ecrec_batch_reset(b, ROWS, &w->err);
    s = s ? s : ecrec_batch_set_bad_rows(b, ECREC_BAD_ROWS_SKIP, &w->err);
    s = s ? s : ecrec_batch_set_number(b, 3, numbers, NULL, &w->err);
    s = s ? s : ecrec_batch_set_label(b, 0, labels, NULL, &w->err);
    s = s ? s : ecrec_batch_mark_bad(b, 0, "no", 2, &w->err);
    assert_true(s != ECREC_OK || (ecrec_batch_bad_rows(b) == 4 && ecrec_batch_bad_row(b, 3, &row) != NULL && row == 0));
    s = s ? s : ecrec_update(w->ranker, b, &o, &r, &w->err);
    if (s == ECREC_OK) /* each try starts from the same state */
        assert_int_equal(ecrec_rollback(w->ranker, before, NULL), ECREC_OK);
    ecrec_report_release(r);
    ecrec_batch_release(b);
    return s;
}

int32_t extended(world *w)
{
    static const char *const values[] = { "a" };
    static const size_t lengths[] = { 1 };
    float scores[2 * ROWS];
    ecrec_schema *more = NULL;
    ecrec_model *m = NULL;
    ecrec_session *session = NULL;
    int32_t s = ecrec_schema_extend(w->schema, &more, &w->err);
    s = s ? s : ecrec_schema_add_field(more, "colour", ECREC_FIELD_CATEGORY, NULL, NULL, &w->err);
    s = s ? s : ecrec_schema_add_values(more, "colour", values, lengths, 1, &w->err);
    s = s ? s : ecrec_schema_add_label(more, "buy", NULL, &w->err);
    s = s ? s : ecrec_schema_drop_field(more, "price", &w->err);
    s = s ? s : ecrec_schema_drop_label(more, ecrec_schema_label_name(more, 0), &w->err);
    if (s == ECREC_OK)
        assert_int_equal(ecrec_schema_label_dropped(more, 0), 1);
    s = s ? s : ecrec_ranker_extend(w->ranker, more, &m, &w->err);
    s = s ? s : ecrec_session_create(m, NULL, &session, &w->err);
    s = s ? s : ecrec_score(m, session, w->batch, NULL, scores, 2 * ROWS, &w->err);
    s = s ? s : ecrec_update(m, w->batch, NULL, NULL, &w->err);
    ecrec_session_release(session);
    ecrec_model_release(m);
    ecrec_schema_release(more);
    return s;
}

/* A ranker that gains a number in bins, sees some of them, cuts, learns and cuts anew. */
int32_t bins(world *w)
{
    static const double numbers[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const uint64_t shops[ROWS] = { 1, 1, 1, 2, 2, 2 };
    ecrec_schema *more = NULL;
    ecrec_model *m = NULL;
    ecrec_batch *b = NULL;
    ecrec_report *report = NULL;
    float labels[ROWS] = { 0, 1, 0, 1, 1, 1 };
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    uint32_t index = 0;
    o.bins = 3;
    int32_t s = ecrec_schema_extend(w->schema, &more, &w->err);
    s = s ? s : ecrec_schema_add_field(more, "age", ECREC_FIELD_NUMBER, &o, &index, &w->err);
    ecrec_field_options id = ECREC_FIELD_OPTIONS_INIT;
    id.expire_after = 1;
    id.admit_after = 2;
    s = s ? s : ecrec_schema_add_field(more, "who", ECREC_FIELD_USER, &id, NULL, &w->err);
    s = s ? s : ecrec_ranker_extend(w->ranker, more, &m, &w->err);
    s = s ? s : ecrec_batch_create(more, &b, &w->err);
    s = s ? s : ecrec_batch_reset(b, ROWS, &w->err);
    s = s ? s : ecrec_batch_set_number(b, index, numbers, NULL, &w->err);
    s = s ? s : ecrec_batch_set_category_u64(b, index + 1, shops, NULL, &w->err);
    s = s ? s : ecrec_batch_set_label(b, 0, labels, NULL, &w->err);
    const uint64_t before = ecrec_model_snapshot(m);
    s = s ? s : ecrec_rebin(m, NULL, b, &report, &w->err);
    if (s != ECREC_OK)
        assert_true(ecrec_model_snapshot(m) == before && report == NULL);
    s = s ? s : ecrec_update(m, b, NULL, NULL, &w->err);
    s = s ? s : ecrec_rebin(m, "age", NULL, NULL, &w->err);
    ecrec_report_release(report);
    report = NULL;
    for (int i = 0; i < 2; i++) { /* the second one has something to do */
        s = s ? s : ecrec_expire(m, &report, &w->err);
        ecrec_report_release(report);
        report = NULL;
    }
    ecrec_batch_release(b);
    ecrec_model_release(m);
    ecrec_schema_release(more);
    return s;
}

/* A record batch whose columns must all be converted, and its scores. */
int32_t arrow_batches(world *w)
{
    static const int32_t starts[ROWS + 1] = { 0, 1, 2, 3, 4, 5, 6 };
    static const float numbers[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const int64_t shops[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const struct { const char *format, *name; int64_t buffers; const void *values, *bytes; } parts[3] = {
        { "u", "title", 3, starts, "abcdef" }, { "f", "price", 2, numbers, NULL }, { "l", "shop", 2, shops, NULL } };
    arrow_source a = { .schema = { .format = "+s", .name = "", .n_children = 3, .children = a.children, .release = gone_schema },
                       .array = { .length = ROWS, .n_buffers = 1, .n_children = 3, .buffers = a.buffers[0], .children = a.arrays, .release = gone_array } };
    struct ArrowArrayStream stream = { get_schema, get_next, NULL, NULL, &a };
    struct ArrowSchema names = { .release = NULL };
    struct ArrowArray scores = { .release = NULL };
    ecrec_batch *b = NULL;
    size_t rows = 0;
    int32_t more = 0;
    stream.release = (void (*)(struct ArrowArrayStream *))(uintptr_t)1; /* never called */
    for (int i = 0; i < 3; i++) {
        a.columns[i] = (struct ArrowSchema){ .format = parts[i].format, .name = parts[i].name, .release = gone_schema };
        a.buffers[i][1] = parts[i].values;
        a.buffers[i][2] = parts[i].bytes;
        a.data[i] = (struct ArrowArray){ .length = ROWS, .n_buffers = parts[i].buffers, .buffers = a.buffers[i], .release = gone_array };
        a.children[i] = &a.columns[i];
        a.arrays[i] = &a.data[i];
    }
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : ecrec_batch_next_arrow(b, &stream, &rows, &more, &w->err);
    assert_true(s != ECREC_OK || (rows == ROWS && more == 1));
    s = s ? s : ecrec_batch_take_arrow(b, &a.schema, &a.array, &w->err);
    assert_true(s != ECREC_OK || a.array.release == NULL);
    s = s ? s : ecrec_score_arrow(w->ranker, w->ranking, b, NULL, &names, &scores, &w->err);
    if (scores.release != NULL)
        scores.release(&scores);
    if (names.release != NULL)
        names.release(&names);
    ecrec_batch_release(b);
    return s;
}

int32_t batch_of_kinds(world *w)
{
    static const char text[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"time\"},{\"name\":\"u\",\"kind\":\"user\",\"vocabulary\":[\"a\",\"b\"]},{\"name\":\"i\",\"kind\":\"image\",\"dimension\":2}],"
                               "\"labels\":[\"y\"],\"hash_bits\":10}";
    static const int64_t times[ROWS] = { 0, 1, 2, 3, 4, 5 };
    static const uint64_t ids[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const uint32_t positions[ROWS] = { 1, 2, 3, 1, 2, 3 };
    static const float halves[2 * ROWS] = { .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f };
    static const char *const names[ROWS] = { "a", "b", NULL, "c", "d", "e" };
    static const size_t lengths[ROWS] = { 1, 1, 0, 1, 1, 1 };
    ecrec_schema *schema = NULL;
    ecrec_batch *b = NULL;
    int32_t s = ecrec_schema_parse(w->context, text, strlen(text), &schema, &w->err);
    s = s ? s : ecrec_schema_add_values(schema, "u", &names[3], &lengths[3], 3, &w->err);
    s = s ? s : ecrec_batch_create(schema, &b, &w->err);
    s = s ? s : ecrec_batch_reset(b, ROWS, &w->err);
    s = s ? s : ecrec_batch_set_time(b, 0, times, NULL, &w->err);
    s = s ? s : ecrec_batch_set_category(b, 1, names, lengths, &w->err);
    s = s ? s : ecrec_batch_set_vector(b, 2, halves, 0, NULL, &w->err);
    s = s ? s : ecrec_batch_set_position(b, positions, NULL, &w->err);
    s = s ? s : ecrec_batch_set_propensity(b, halves, NULL, &w->err);
    s = s ? s : ecrec_batch_set_event(b, ids, NULL, &w->err);
    s = s ? s : ecrec_batch_set_event_bytes(b, names, lengths, &w->err);
    s = s ? s : ecrec_batch_set_group(b, ids, NULL, &w->err);
    s = s ? s : ecrec_batch_set_group_bytes(b, names, lengths, &w->err);
    ecrec_batch_release(b);
    ecrec_schema_release(schema);
    return s;
}
