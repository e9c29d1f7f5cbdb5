/* The ABI of user profiles: argument checks, then one call into a room. */
#include "ecrec/profiles.h"

#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/report.h"
#include "base/sort.h"
#include "check.h"
#include "profile/profiles.h"

void ecrec_profiles_options_init(ecrec_profiles_options *options)
{
    static const ecrec_profiles_options defaults = ECREC_PROFILES_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

int32_t ecrec_profiles_create(ecrec_context *context, const ecrec_profiles_options *options, ecrec_profiles **profiles, ecrec_error *err)
{
    static const ecrec_profiles_options defaults = ECREC_PROFILES_OPTIONS_INIT;
    CHECK_POINTER(context);
    CHECK_POINTER(profiles);
    CHECK_OPTIONS(ecrec_profiles_options, options);
    return profiles_create(context, options != NULL ? options : &defaults, profiles, err);
}

void ecrec_profiles_release(ecrec_profiles *profiles)
{
    if (profiles != NULL)
        profiles_destroy(profiles);
}

int32_t ecrec_profiles_add(ecrec_profiles *profiles, const ecrec_profile_event *events, size_t n, ecrec_error *err)
{
    CHECK_POINTER(profiles);
    if (n != 0)
        CHECK_POINTER(events);
    return profiles_add(profiles, events, n, err);
}

int32_t ecrec_profiles_fill(ecrec_profiles *profiles, ecrec_batch *batch, const char *const *users, const size_t *lengths, const int64_t *now,
                            const ecrec_profile_columns *columns, ecrec_error *err)
{
    CHECK_POINTER(profiles);
    CHECK_POINTER(batch);
    CHECK_POINTER(columns);
    CHECK_OPTIONS(ecrec_profile_columns, columns);
    if (ecrec_batch_rows(batch) != 0) {
        CHECK_POINTER(users);
        CHECK_POINTER(lengths);
    }
    return profiles_fill(profiles, batch, users, lengths, now, columns, err);
}

static int32_t find(const ecrec_profiles *profiles, const char *user, size_t length, const profile **out, ecrec_error *err)
{
    *out = profiles_find(profiles, user, length);
    return *out != NULL ? ECREC_OK : error_set(err, ECREC_ERR_NOT_FOUND, "nothing is known of this user: no event, forgotten, or dropped for lack of room");
}

int32_t ecrec_profiles_vector(const ecrec_profiles *profiles, const char *user, size_t length, float *vector, uint32_t dimension, ecrec_error *err)
{
    const profile *p = NULL;
    double norm = 0;
    CHECK_POINTER(profiles);
    CHECK_POINTER(user);
    CHECK_POINTER(vector);
    if (dimension != profiles->o.dimension)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_profiles_vector: dimension is %u, that of the profiles %u", dimension, profiles->o.dimension);
    const int32_t status = find(profiles, user, length, &p, err);
    if (status != ECREC_OK)
        return status;
    for (uint32_t i = 0; i < dimension; i++)
        norm += (double)profile_vector(p)[i] * (double)profile_vector(p)[i];
    if (!(norm > 0))
        return error_set(err, ECREC_ERR_NOT_FOUND, "none of this user's events had a vector, or they cancel each other");
    for (uint32_t i = 0; i < dimension; i++)
        vector[i] = (float)((double)profile_vector(p)[i] / sqrt(norm));
    return ECREC_OK;
}

/* ---- for people ---- */

static void tell_traits(ecrec_report *r, const profile *p, const uint32_t *order, double left)
{
    for (uint32_t i = 0; i < p->trait_count; i++) {
        const profile_trait *t = &profile_traits(p)[order[i]];
        char key[32] = "";
        format_text(key, sizeof key, "traits.%u.name", i);
        report_string(r, key, profile_text(p) + t->at, t->length);
        report_numberf(r, (double)t->value * left, "traits.%u.affinity", i);
    }
}

static void tell_history(ecrec_report *r, const profile *p)
{
    for (uint32_t i = 0; i < p->past_count; i++) {
        const profile_past *past = &profile_pasts(p)[p->past_count - 1 - i];
        char key[32] = "";
        format_text(key, sizeof key, "history.%u.item", i);
        report_string(r, key, profile_text(p) + past->at, past->length);
        report_numberf(r, past->type, "history.%u.type", i);
        report_numberf(r, (double)past->time, "history.%u.time", i);
    }
}

static int stronger(const void *a, const void *b, void *traits)
{
    const float x = fabsf(((const profile_trait *)traits)[*(const uint32_t *)a].value), y = fabsf(((const profile_trait *)traits)[*(const uint32_t *)b].value);
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return x > y ? -1 : x < y ? 1 : i < j ? -1 : i > j;
}

int32_t ecrec_profiles_report(const ecrec_profiles *profiles, const char *user, size_t length, int64_t now, ecrec_report **report, ecrec_error *err)
{
    const profile *p = NULL;
    ecrec_report *r = NULL;
    CHECK_POINTER(profiles);
    CHECK_POINTER(user);
    CHECK_POINTER(report);
    int32_t status = find(profiles, user, length, &p, err);
    if (status != ECREC_OK || (status = report_create(profiles->context, "profile", &r, err)) != ECREC_OK)
        return status;
    uint32_t *order = memory_allocate(profiles->m, (p->trait_count + 1) * sizeof *order);
    if (order == NULL) {
        ecrec_report_release(r);
        return error_nomem(err, "the order of the traits", p->trait_count * sizeof *order);
    }
    for (uint32_t i = 0; i < p->trait_count; i++)
        order[i] = i;
    sort_items(order, p->trait_count, sizeof *order, stronger, profile_traits(p));
    const double left = profile_faded((double)profiles->o.half_life, p->last, now);
    report_string(r, "user", profile_text(p), p->user_length);
    report_number(r, "events", (double)p->total);
    report_number(r, "first", (double)p->first);
    report_number(r, "last", (double)p->last);
    report_number(r, "weight", p->mass * left);
    tell_traits(r, p, order, left);
    tell_history(r, p);
    memory_release(profiles->m, order, (p->trait_count + 1) * sizeof *order);
    if ((status = report_finish(r, err)) != ECREC_OK) {
        ecrec_report_release(r);
        return status;
    }
    *report = r;
    return ECREC_OK;
}

int32_t ecrec_profiles_forget(ecrec_profiles *profiles, const char *user, size_t length, uint32_t *found, ecrec_error *err)
{
    CHECK_POINTER(profiles);
    CHECK_POINTER(user);
    profile *p = profiles_find(profiles, user, length);
    if (p != NULL)
        profiles_forget(profiles, p);
    if (found != NULL)
        *found = p != NULL;
    return ECREC_OK;
}

int32_t ecrec_profiles_info(const ecrec_profiles *profiles, ecrec_report **report, ecrec_error *err)
{
    ecrec_report *r = NULL;
    CHECK_POINTER(profiles);
    CHECK_POINTER(report);
    int32_t status = report_create(profiles->context, "profiles", &r, err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "users", (double)profiles->count);
    report_number(r, "bytes", (double)profiles->bytes);
    report_number(r, "added", (double)profiles->added);
    report_number(r, "dropped", (double)profiles->dropped);
    report_number(r, "dimension", profiles->o.dimension);
    report_number(r, "half_life_days", (double)profiles->o.half_life / 86400e6);
    if ((status = report_finish(r, err)) != ECREC_OK) {
        ecrec_report_release(r);
        return status;
    }
    *report = r;
    return ECREC_OK;
}

int32_t ecrec_profiles_save(const ecrec_profiles *profiles, const char *path, ecrec_error *err)
{
    CHECK_POINTER(profiles);
    CHECK_POINTER(path);
    return profiles_save(profiles, path, err);
}

int32_t ecrec_profiles_load(ecrec_context *context, const char *path, ecrec_profiles **profiles, ecrec_error *err)
{
    CHECK_POINTER(context);
    CHECK_POINTER(path);
    CHECK_POINTER(profiles);
    return profiles_load(context, path, profiles, err);
}
