/* User profiles against sums over all events; bounds; columns that a ranker learns from; the file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { EVENTS = 400, USERS = 7, DIMENSION = 5, KEPT = 20, TRAITS = 6 };
#define DAY ((int64_t)86400 * 1000000)
static const char *const trait_names[TRAITS] = { "brand=a", "brand=b", "colour=red", "colour=blue", "x", "y" };

typedef struct stream {
    ecrec_profile_event events[EVENTS];
    char users[EVENTS][8], items[EVENTS][8];
    float vectors[EVENTS][DIMENSION];
    const char *traits[EVENTS][2];
    size_t lengths[EVENTS][2];
} stream;

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Most come in the order of their times, some late by days. */
static void draw(stream *s)
{
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < EVENTS; i++) {
        ecrec_profile_event *e = &s->events[i];
        *e = (ecrec_profile_event)ECREC_PROFILE_EVENT_INIT;
        snprintf(s->users[i], sizeof s->users[i], "u%d", (int)(next(&random) % USERS));
        snprintf(s->items[i], sizeof s->items[i], "i%d", (int)(next(&random) % 30));
        e->user = s->users[i];
        e->user_length = strlen(e->user);
        e->item = s->items[i];
        e->item_length = strlen(e->item);
        e->type = (uint32_t)(next(&random) % 3);
        e->time = 1700000000000000 + (int64_t)i * DAY / 4 - (next(&random) % 5 == 0 ? (int64_t)(next(&random) % 9) * DAY : 0);
        e->weight = (float)(1 + next(&random) % 3);
        for (size_t k = 0; k < DIMENSION; k++)
            s->vectors[i][k] = (float)(next(&random) % 1000) / 500 - 1;
        e->vector = next(&random) % 4 != 0 ? s->vectors[i] : NULL;
        e->traits = s->traits[i];
        e->trait_lengths = s->lengths[i];
        e->trait_count = next(&random) % 3;
        for (size_t k = 0; k < 2; k++) {
            s->traits[i][k] = trait_names[next(&random) % TRAITS];
            s->lengths[i][k] = strlen(s->traits[i][k]);
        }
    }
}

static const float type_weights[3] = { 1, 5, -2 };

static ecrec_profiles *profiles_of(ecrec_context *context, uint64_t most)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_profiles_options o;
    ecrec_profiles *p = NULL;
    ecrec_profiles_options_init(&o);
    o.dimension = DIMENSION;
    o.events = KEPT;
    o.event_types = 3;
    o.type_weights = type_weights;
    o.half_life = 10 * DAY;
    o.most = most;
    CALL(ecrec_profiles_create(context, &o, &p, &err));
    return p;
}

/* What all events of a user add up to, at the newest of them. */
typedef struct sums { double vector[DIMENSION], mass, traits[TRAITS], count; int64_t last; size_t events; } sums;
static sums sums_of(const stream *s, size_t n, const char *user)
{
    sums out = { .last = INT64_MIN };
    for (size_t i = 0; i < n; i++)
        if (strcmp(s->users[i], user) == 0 && s->events[i].time > out.last)
            out.last = s->events[i].time;
    for (size_t i = 0; i < n; i++) {
        const ecrec_profile_event *e = &s->events[i];
        if (strcmp(s->users[i], user) != 0)
            continue;
        const double share = exp2(-(double)(out.last - e->time) / (10.0 * (double)DAY)), w = (double)e->weight * (double)type_weights[e->type] * share;
        out.events++;
        out.count += share;
        for (size_t k = 0; e->vector != NULL && k < DIMENSION; k++)
            out.vector[k] += w * (double)e->vector[k];
        out.mass += e->vector != NULL ? fabs(w) : 0;
        for (size_t k = 0; k < e->trait_count; k++)
            for (size_t t = 0; t < TRAITS; t++)
                out.traits[t] += e->traits[k] == trait_names[t] ? w : 0;
    }
    return out;
}

static void sums_come_out(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_profiles *all = profiles_of(context, 0);
    stream *s = malloc(sizeof *s);
    (void)state;
    assert_non_null(s);
    draw(s);
    for (size_t i = 0; i < EVENTS; i += 40)
        CALL(ecrec_profiles_add(all, s->events + i, 40, &err));
    for (int u = 0; u < USERS; u++) {
        char name[8], key[64];
        float vector[DIMENSION];
        ecrec_report *r = NULL;
        double value = 0, norm = 0;
        snprintf(name, sizeof name, "u%d", u);
        const sums expected = sums_of(s, EVENTS, name);
        CALL(ecrec_profiles_vector(all, name, strlen(name), vector, DIMENSION, &err));
        for (size_t k = 0; k < DIMENSION; k++)
            norm += expected.vector[k] * expected.vector[k];
        for (size_t k = 0; k < DIMENSION; k++)
            assert_true(fabs((double)vector[k] - expected.vector[k] / sqrt(norm)) < 1e-5);
        CALL(ecrec_profiles_report(all, name, strlen(name), expected.last + 10 * DAY, &r, &err));
        CALL(ecrec_report_number(r, "events", &value, &err));
        assert_true(value == (double)expected.events);
        double before = HUGE_VAL;
        for (size_t i = 0; i < TRAITS; i++) { /* from the strongest on; half of each is left after the half-life */
            const char *text = NULL;
            size_t t = 0;
            snprintf(key, sizeof key, "traits.%zu.name", i);
            CALL(ecrec_report_string(r, key, &text, &err));
            while (t < TRAITS && strcmp(trait_names[t], text) != 0)
                t++;
            assert_true(t < TRAITS);
            snprintf(key, sizeof key, "traits.%zu.affinity", i);
            CALL(ecrec_report_number(r, key, &value, &err));
            assert_true(fabs(value - expected.traits[t] / 2) < 1e-4 * (1 + fabs(value)));
            assert_true(fabs(value) <= before);
            before = fabs(value);
        }
        double newer = HUGE_VAL;
        for (size_t i = 0; i < KEPT; i++) {
            snprintf(key, sizeof key, "history.%zu.time", i);
            CALL(ecrec_report_number(r, key, &value, &err));
            assert_true(value <= newer);
            newer = value;
        }
        size_t at_least_as_new = 0; /* exactly the newest are kept */
        for (size_t i = 0; i < EVENTS; i++)
            at_least_as_new += strcmp(s->users[i], name) == 0 && (double)s->events[i].time > newer;
        assert_true(at_least_as_new < KEPT);
        ecrec_report_release(r);
    }
    ecrec_profiles_release(all);
    ecrec_context_release(context);
    free(s);
}

/* Of more users than may be kept, those go of whom nothing was heard for longest; the weakest trait goes for a new one. */
static void bounds_hold(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_profiles *all = profiles_of(context, 3);
    float vector[DIMENSION], v[DIMENSION] = { 1, 0, 0, 0, 0 };
    uint32_t found = 9;
    (void)state;
    for (int i = 0; i < 6; i++) {
        const char user[2] = { (char)('a' + (i == 4 ? 1 : i)), 0 }; /* a b c d b f: a went for d, c for f */
        ecrec_profile_event e = ECREC_PROFILE_EVENT_INIT;
        e.user = user;
        e.user_length = 1;
        e.time = i;
        e.vector = v;
        CALL(ecrec_profiles_add(all, &e, 1, &err));
    }
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_profiles_vector(all, "a", 1, vector, DIMENSION, &err));
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_profiles_vector(all, "c", 1, vector, DIMENSION, &err));
    CALL(ecrec_profiles_vector(all, "b", 1, vector, DIMENSION, &err));
    assert_true(vector[0] == 1);
    CALL(ecrec_profiles_forget(all, "b", 1, &found, &err));
    assert_int_equal(found, 1);
    CALL(ecrec_profiles_forget(all, "b", 1, &found, &err));
    assert_int_equal(found, 0);
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_profiles_report(all, "b", 1, 0, &(ecrec_report *){ NULL }, &err));
    ecrec_profiles_release(all);
    ecrec_context_release(context);
}

static void mistakes(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_profiles *all = profiles_of(context, 0), *other = NULL;
    ecrec_profiles_options o = ECREC_PROFILES_OPTIONS_INIT;
    const float bad[DIMENSION] = { 1, NAN, 0, 0, 0 };
    const char *const traits[1] = { "" };
    const size_t lengths[1] = { 0 };
    float vector[DIMENSION];
    (void)state;
    for (int k = 0; k < 8; k++) {
        ecrec_profile_event e[2] = { ECREC_PROFILE_EVENT_INIT, ECREC_PROFILE_EVENT_INIT };
        e[0].user = e[1].user = "who";
        e[0].user_length = e[1].user_length = 3;
        e[1].size -= k == 0 ? 8 : 0;
        e[1].user_length = k == 1 ? 0 : 3;
        e[1].type = k == 2 ? 3 : 0;
        e[1].time = k == 3 ? INT64_MAX : 0;
        e[1].weight = k == 4 ? NAN : 0;
        e[1].vector = k == 5 ? bad : NULL;
        e[1].traits = k >= 6 ? traits : NULL;
        e[1].trait_lengths = lengths;
        e[1].trait_count = k == 6 ? 1 : k == 7 ? 65 : 0;
        REFUSED(ECREC_ERR_INVALID, ecrec_profiles_add(all, e, 2, &err));
        assert_true(err.row == 1);
        REFUSED(ECREC_ERR_NOT_FOUND, ecrec_profiles_vector(all, "who", 3, vector, DIMENSION, &err)); /* the first was not taken either */
    }
    REFUSED(ECREC_ERR_INVALID, ecrec_profiles_vector(all, "who", 3, vector, DIMENSION + 1, &err));
    o.events = 5000;
    REFUSED(ECREC_ERR_INVALID, ecrec_profiles_create(context, &o, &other, &err));
    o.events = 0;
    o.type_weights = bad + 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_profiles_create(context, &o, &other, &err));
    REFUSED(ECREC_ERR_IO, ecrec_profiles_load(context, "/nowhere/profiles", &other, &err));
    ecrec_profiles_release(all);
    ecrec_context_release(context);
}

static void same_report(const ecrec_profiles *a, const ecrec_profiles *b, const char *user)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *x = NULL, *y = NULL;
    CALL(ecrec_profiles_report(a, user, strlen(user), INT64_MAX / 2, &x, &err));
    CALL(ecrec_profiles_report(b, user, strlen(user), INT64_MAX / 2, &y, &err));
    assert_string_equal(ecrec_report_json(x), ecrec_report_json(y));
    ecrec_report_release(x);
    ecrec_report_release(y);
}

static void the_file(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_profiles *all = profiles_of(context, 0), *again = NULL;
    ecrec_model *model = NULL;
    const char *path = temporary("who.profiles");
    stream *s = malloc(sizeof *s);
    (void)state;
    assert_non_null(s);
    draw(s);
    CALL(ecrec_profiles_add(all, s->events, 300, &err));
    CALL(ecrec_profiles_save(all, path, &err));
    CALL(ecrec_profiles_load(context, path, &again, &err));
    CALL(ecrec_profiles_add(all, s->events + 300, 100, &err)); /* and both go on alike */
    CALL(ecrec_profiles_add(again, s->events + 300, 100, &err));
    for (int u = 0; u < USERS; u++) {
        char name[8];
        snprintf(name, sizeof name, "u%d", u);
        same_report(all, again, name);
    }
    ecrec_profiles_release(again);
    again = NULL;
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_model_load(context, path, NULL, &model, &err)); /* no model */
    ecrec_profiles_release(all);
    ecrec_context_release(context);
    free(s);
}

/* Users differ by what they did alone; a ranker that is given their profiles learns who clicks what. */
static void a_ranker_learns_from_them(void **state)
{
    static const char json[] = "{\"fields\":[{\"name\":\"item\",\"kind\":\"item\"},{\"name\":\"brand\",\"kind\":\"category\"},{\"name\":\"likes\",\"kind\":\"multi\"},"
                               "{\"name\":\"taste\",\"kind\":\"vector\",\"dimension\":2},{\"name\":\"past\",\"kind\":\"history\",\"dimension\":8,\"compare\":\"item\",\"event_types\":1},"
                               "{\"name\":\"active\",\"kind\":\"number\"},{\"name\":\"age\",\"kind\":\"number\"}],\"labels\":[\"click\"],\"hash_bits\":12,"
                               "\"network\":{\"width\":4,\"attention\":4,\"hidden\":[16]}}";
    enum { ROWS = 200, PEOPLE = 20 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_profiles_options o = ECREC_PROFILES_OPTIONS_INIT;
    ecrec_profiles *all = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *b = NULL;
    char names[PEOPLE][8];
    const char *users[ROWS], *brands[ROWS], *items[ROWS];
    size_t lengths[ROWS], brand_lengths[ROWS], item_lengths[ROWS];
    int64_t now[ROWS];
    float clicks[ROWS], scores[ROWS];
    (void)state;
    o.dimension = 2;
    CALL(ecrec_profiles_create(context, &o, &all, &err));
    for (int i = 0; i < PEOPLE; i++) {
        static const float vectors[2][2] = { { 1, 0 }, { 0, 1 } };
        static const char *const liked[2][1] = { { "brand=acme" }, { "brand=zeta" } };
        static const size_t ten[1] = { 10 };
        ecrec_profile_event e = ECREC_PROFILE_EVENT_INIT;
        snprintf(names[i], sizeof names[i], "p%d", i);
        e.user = names[i];
        e.user_length = strlen(names[i]);
        e.item = i % 2 ? "i1" : "i0";
        e.item_length = 2;
        e.time = i;
        e.vector = vectors[i % 2];
        e.traits = liked[i % 2];
        e.trait_lengths = ten;
        e.trait_count = 1;
        CALL(ecrec_profiles_add(all, &e, 1, &err));
    }
    for (size_t i = 0; i < ROWS; i++) {
        const size_t who = i % PEOPLE;
        users[i] = i == ROWS - 1 ? NULL : i == ROWS - 2 ? "nobody" : names[who];
        lengths[i] = users[i] != NULL ? strlen(users[i]) : 0;
        brands[i] = i / PEOPLE % 2 ? "acme" : "zeta";
        items[i] = i / PEOPLE % 2 ? "i7" : "i8";
        brand_lengths[i] = 4;
        item_lengths[i] = 2;
        now[i] = 3 * DAY;
        clicks[i] = (float)((who % 2 == 0) == (i / PEOPLE % 2 == 1));
    }
    CALL(ecrec_schema_parse(context, json, strlen(json), &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &m, &err));
    CALL(ecrec_session_create(m, NULL, &session, &err));
    CALL(ecrec_batch_create(schema, &b, &err));
    CALL(ecrec_batch_reset(b, ROWS, &err));
    CALL(ecrec_batch_set_category(b, 0, items, item_lengths, &err));
    CALL(ecrec_batch_set_category(b, 1, brands, brand_lengths, &err));
    CALL(ecrec_batch_set_label(b, 0, clicks, NULL, &err));
    ecrec_profile_columns c = ECREC_PROFILE_COLUMNS_INIT;
    c.traits = 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_profiles_fill(all, b, users, lengths, now, &c, &err)); /* a category, not a multi */
    c.traits = 2;
    c.vector = 3;
    c.history = 4;
    c.count = 5;
    c.age = 6;
    CALL(ecrec_profiles_fill(all, b, users, lengths, now, &c, &err));
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.epochs = 60;
    fit.batch_rows = 16;
    fit.network_rate = 0.01;
    CALL(ecrec_fit(m, b, &fit, NULL, &err));
    CALL(ecrec_score(m, session, b, NULL, scores, ROWS, &err));
    size_t right = 0;
    for (size_t i = 0; i + 2 < ROWS; i++)
        right += (scores[i] > 0.5f) == (clicks[i] > 0.5f);
    assert_true(right > (ROWS - 2) * 95 / 100);
    ecrec_batch_release(b);
    ecrec_session_release(session);
    ecrec_model_release(m);
    ecrec_schema_release(schema);
    ecrec_profiles_release(all);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_come_out), cmocka_unit_test(bounds_hold), cmocka_unit_test(mistakes), cmocka_unit_test(the_file),
        cmocka_unit_test(a_ranker_learns_from_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
