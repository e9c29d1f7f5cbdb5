#include "profile/profiles.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "rank/schema.h"

#define MICROSECOND_DAY ((int64_t)86400 * 1000000)
#define FIRST_TIME ((int64_t)-62135596800 * 1000000) /* the year 1 */
#define LAST_TIME ((int64_t)253402300800 * 1000000)  /* the year 10000 */
enum { LEAST_TABLE = 64 };

/* ---- options ---- */

static int32_t settle(ecrec_profiles *all, const ecrec_profiles_options *given, ecrec_error *err)
{
    ecrec_profiles_options o = *given;
    if (o.dimension > MOST_DIMENSION || o.events > PROFILE_EVENTS || o.traits > PROFILE_TRAITS || o.event_types > PROFILE_TYPES || o.half_life < 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_profiles_options: %s",
                         o.dimension > MOST_DIMENSION ? "dimension is above 65536" : o.events > PROFILE_EVENTS ? "events is above 1024"
                         : o.traits > PROFILE_TRAITS ? "traits is above 1024" : o.event_types > PROFILE_TYPES ? "event_types is above 64" : "half_life is below 0");
    if (o.space != NULL && strlen(o.space) >= sizeof all->space)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_profiles_options: space is no fingerprint (ecrec_model_space gives them)");
    o.events = o.events != 0 ? o.events : 50;
    o.traits = o.traits != 0 ? o.traits : 32;
    o.event_types = o.event_types != 0 ? o.event_types : 1;
    o.most = o.most != 0 ? o.most : 1000000;
    o.most_bytes = o.most_bytes != 0 ? o.most_bytes : (uint64_t)1 << 30;
    o.half_life = o.half_life != 0 ? o.half_life : 30 * MICROSECOND_DAY;
    for (uint32_t i = 0; i < o.event_types; i++) {
        all->type_weights[i] = o.type_weights != NULL ? o.type_weights[i] : 1;
        if (!(fabsf(all->type_weights[i]) <= 1e6f))
            return error_set(err, ECREC_ERR_INVALID, "ecrec_profiles_options: type_weights[%u] is not within -1e6 .. 1e6", i);
    }
    if (o.space != NULL)
        memcpy(all->space, o.space, strlen(o.space) + 1);
    all->o = o;
    all->o.type_weights = NULL;
    all->o.space = NULL;
    return ECREC_OK;
}

int32_t profiles_create(ecrec_context *context, const ecrec_profiles_options *options, ecrec_profiles **out, ecrec_error *err)
{
    ecrec_profiles *all = memory_zero(&context->m, sizeof *all);
    if (all == NULL)
        return error_nomem(err, "profiles", sizeof *all);
    all->m = &context->m;
    const int32_t status = settle(all, options, err);
    if (status != ECREC_OK) {
        memory_release(all->m, all, sizeof *all);
        return status;
    }
    context_reference(context);
    all->context = context;
    *out = all;
    return ECREC_OK;
}

void profiles_destroy(ecrec_profiles *all)
{
    ecrec_context *context = all->context;
    memory *m = all->m;
    for (profile *p = all->oldest, *after; p != NULL; p = after) {
        after = p->newer;
        profile_destroy(m, p);
    }
    memory_release(m, all->table, all->capacity * sizeof *all->table);
    memory_release(m, all, sizeof *all);
    context_release(context);
}

/* ---- found by names ---- */

static size_t slot_of(const ecrec_profiles *all, uint64_t hash, const char *user, size_t length)
{
    size_t at = (size_t)hash & (all->capacity - 1);
    while (all->table[at] != NULL &&
           (all->table[at]->hash != hash || all->table[at]->user_length != length || memcmp(profile_text(all->table[at]), user, length) != 0))
        at = (at + 1) & (all->capacity - 1);
    return at;
}

profile *profiles_find(const ecrec_profiles *all, const char *user, size_t length)
{
    return all->capacity == 0 || length == 0 || length > PROFILE_NAME ? NULL : all->table[slot_of(all, hash64(user, length, 0), user, length)];
}

static int32_t reserve(ecrec_profiles *all)
{
    if (2 * (all->count + 1) <= all->capacity)
        return ECREC_OK;
    const size_t capacity = all->capacity != 0 ? 2 * all->capacity : LEAST_TABLE, had = all->capacity;
    profile **table = memory_zero(all->m, memory_product(capacity, sizeof *table)), **old = all->table;
    if (table == NULL)
        return ECREC_ERR_NOMEM;
    all->table = table;
    all->capacity = capacity;
    for (size_t i = 0; i < had; i++)
        if (old[i] != NULL)
            table[slot_of(all, old[i]->hash, profile_text(old[i]), old[i]->user_length)] = old[i];
    memory_release(all->m, old, had * sizeof *old);
    return ECREC_OK;
}

static void take_out(ecrec_profiles *all, const profile *p)
{
    const size_t mask = all->capacity - 1;
    size_t hole = slot_of(all, p->hash, profile_text(p), p->user_length);
    for (size_t at = (hole + 1) & mask; all->table[at] != NULL; at = (at + 1) & mask) {
        const size_t home = (size_t)all->table[at]->hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        all->table[hole] = all->table[at];
        hole = at;
    }
    all->table[hole] = NULL;
}

/* ---- in their order ---- */

static void unlink_one(ecrec_profiles *all, profile *p)
{
    *(p->older != NULL ? &p->older->newer : &all->oldest) = p->newer;
    *(p->newer != NULL ? &p->newer->older : &all->newest) = p->older;
    all->bytes -= p->bytes;
}

static void link_newest(ecrec_profiles *all, profile *p)
{
    p->older = all->newest;
    p->newer = NULL;
    *(all->newest != NULL ? &all->newest->newer : &all->oldest) = p;
    all->newest = p;
    all->bytes += p->bytes;
}

void profiles_forget(ecrec_profiles *all, profile *p)
{
    take_out(all, p);
    unlink_one(all, p);
    all->count--;
    profile_destroy(all->m, p);
}

int32_t profiles_put(ecrec_profiles *all, profile *p)
{
    if (reserve(all) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    all->table[slot_of(all, p->hash, profile_text(p), p->user_length)] = p;
    all->count++;
    link_newest(all, p);
    return ECREC_OK;
}

static void bound(ecrec_profiles *all)
{
    while (all->count > 1 && (all->count > all->o.most || all->bytes > all->o.most_bytes)) {
        profiles_forget(all, all->oldest);
        all->dropped++;
    }
}

/* ---- events ---- */

/* What is wrong with one, or NULL. */
static const char *wrong(const ecrec_profiles *all, const ecrec_profile_event *e)
{
    if (e->size < sizeof *e)
        return "its size is not that of an ecrec_profile_event";
    if (e->user == NULL || e->user_length == 0 || e->user_length > PROFILE_NAME)
        return "the user has no name, or one above 65535 bytes";
    if (e->item_length > PROFILE_NAME)
        return "the item's name is above 65535 bytes";
    if (e->type >= all->o.event_types)
        return "its type is not below event_types";
    if (e->time < FIRST_TIME || e->time >= LAST_TIME)
        return "its time is not of the years 1 .. 9999 (microseconds since 1970 UTC)";
    if (!(fabsf(e->weight) <= 1e6f))
        return "its weight is not within -1e6 .. 1e6";
    if (e->vector != NULL && all->o.dimension == 0)
        return "it has a vector, but these profiles have no dimension";
    for (uint32_t i = 0; e->vector != NULL && i < all->o.dimension; i++)
        if (!(fabsf(e->vector[i]) <= 1e15f))
            return "a value of its vector is not within -1e15 .. 1e15";
    if (e->trait_count > PROFILE_TRAITS_AT_ONCE || (e->trait_count != 0 && (e->traits == NULL || e->trait_lengths == NULL)))
        return e->trait_count > PROFILE_TRAITS_AT_ONCE ? "it has more than 64 traits" : "traits or trait_lengths is NULL";
    for (size_t i = 0; i < e->trait_count; i++)
        if (e->traits[i] == NULL || e->trait_lengths[i] == 0 || e->trait_lengths[i] > PROFILE_TRAIT_NAME)
            return "a trait has no name, or one above 255 bytes";
    return NULL;
}

static int32_t add(ecrec_profiles *all, const ecrec_profile_event *e)
{
    const profile_limits limits = { all->o.dimension, all->o.events, all->o.traits, (double)all->o.half_life };
    const double weight = (double)all->type_weights[e->type] * (e->weight != 0 ? (double)e->weight : 1);
    const uint64_t hash = hash64(e->user, e->user_length, 0);
    if (reserve(all) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    const size_t at = slot_of(all, hash, e->user, e->user_length);
    profile *had = all->table[at], *p = profile_after(all->m, &limits, had, hash, e, weight);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    all->table[at] = p;
    if (had != NULL) {
        unlink_one(all, had);
        profile_destroy(all->m, had);
    } else {
        all->count++;
    }
    link_newest(all, p);
    all->added++;
    bound(all);
    return ECREC_OK;
}

int32_t profiles_add(ecrec_profiles *all, const ecrec_profile_event *events, size_t n, ecrec_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = wrong(all, &events[i]);
        if (why != NULL)
            return error_row(err, ECREC_ERR_INVALID, i, "event %zu: %s", i, why);
    }
    for (size_t i = 0; i < n; i++)
        if (add(all, &events[i]) != ECREC_OK)
            return error_row(err, ECREC_ERR_NOMEM, i, "no memory for the profile that event %zu changes", i);
    return ECREC_OK;
}
