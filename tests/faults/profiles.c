/* Operations on user profiles for the sweep. */
#include <string.h>

#include "operations.h"

static int32_t add(ecrec_profiles *p, const char *user, int64_t time, ecrec_error *err)
{
    static const float vector[3] = { 1, 0, -1 };
    static const char *const traits[2] = { "brand=a", "red" };
    static const size_t lengths[2] = { 7, 3 };
    ecrec_profile_event e = ECREC_PROFILE_EVENT_INIT;
    e.user = user;
    e.user_length = strlen(user);
    e.item = "item";
    e.item_length = 4;
    e.time = time;
    e.vector = vector;
    e.traits = traits;
    e.trait_lengths = lengths;
    e.trait_count = 2;
    return ecrec_profiles_add(p, &e, 1, err);
}

/* Whatever was refused, all that is told of is whole. */
static int32_t ask(world *w, const ecrec_profiles *p)
{
    ecrec_report *r = NULL;
    float vector[3];
    int32_t s = ecrec_profiles_report(p, "u1", 2, 50, &r, &w->err);
    assert_int_equal(s == ECREC_OK, r != NULL);
    ecrec_report_release(r);
    r = NULL;
    s = s ? s : ecrec_profiles_info(p, &r, &w->err);
    ecrec_report_release(r);
    return s ? s : ecrec_profiles_vector(p, "u1", 2, vector, 3, &w->err);
}

static int32_t fill(world *w, ecrec_profiles *p)
{
    static const char json[] = "{\"fields\":[{\"name\":\"i\",\"kind\":\"item\"},{\"name\":\"t\",\"kind\":\"multi\"},{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":3},"
                               "{\"name\":\"h\",\"kind\":\"history\",\"dimension\":4,\"compare\":\"i\"},{\"name\":\"n\",\"kind\":\"number\"},{\"name\":\"a\",\"kind\":\"number\"}],"
                               "\"labels\":[\"y\"],\"hash_bits\":10,\"network\":{\"width\":2,\"attention\":2}}";
    static const char *const users[2] = { "u1", NULL };
    static const size_t lengths[2] = { 2, 0 };
    ecrec_profile_columns c = ECREC_PROFILE_COLUMNS_INIT;
    ecrec_schema *schema = NULL;
    ecrec_batch *b = NULL;
    c.traits = 1;
    c.vector = 2;
    c.history = 3;
    c.count = 4;
    c.age = 5;
    int32_t s = ecrec_schema_parse(w->context, json, sizeof json - 1, &schema, &w->err);
    s = s ? s : ecrec_batch_create(schema, &b, &w->err);
    s = s ? s : ecrec_batch_reset(b, 2, &w->err);
    s = s ? s : ecrec_profiles_fill(p, b, users, lengths, NULL, &c, &w->err);
    ecrec_batch_release(b);
    ecrec_schema_release(schema);
    return s;
}

int32_t user_profiles(world *w)
{
    ecrec_profiles_options o;
    ecrec_profiles *p = NULL, *again = NULL;
    uint32_t found = 0;
    ecrec_profiles_options_init(&o);
    o.dimension = 3;
    o.events = 2;
    int32_t s = ecrec_profiles_create(w->context, &o, &p, &w->err);
    for (int64_t i = 0; i < 4; i++)
        s = s ? s : add(p, i % 2 ? "u1" : "u2", i, &w->err);
    s = s ? s : ask(w, p);
    s = s ? s : fill(w, p);
    s = s ? s : ecrec_profiles_save(p, temporary("swept.profiles"), &w->err);
    s = s ? s : ecrec_profiles_load(w->context, temporary("swept.profiles"), &again, &w->err);
    s = s ? s : ask(w, again);
    s = s ? s : ecrec_profiles_forget(p, "u2", 2, &found, &w->err);
    ecrec_profiles_release(again);
    ecrec_profiles_release(p);
    return s;
}
