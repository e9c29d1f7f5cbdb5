/* Profiles as bytes, which lie in an .ecrec file as the section "profiles":
 *   u32 version, dimension, events, traits, event_types, 0; u64 most, most_bytes; i64 half_life; f32 type weights; string space;
 *   u64 added, dropped, users; then the users, from the one of whom nothing was heard for longest on:
 *   string name; i64 first, last; u64 total; f64 count, mass, vector_mass; f32 vector; u32 n, n times f32 affinity, string trait;
 *   u32 n, n times i64 time, u32 type, string item. A string is a u32 length and its bytes. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "model/file.h"
#include "profile/profiles.h"

enum { PROFILES_VERSION = 1 };
static const char section[] = "profiles";

/* ---- writing ---- */

static int32_t write_profile(const profile *p, buffer *out)
{
    const char *text = profile_text(p);
    int32_t status = write_string(out, text, p->user_length);
    if (status == ECREC_OK)
        status = buffer_reserve(out, 64 + 4 * (size_t)p->dimension + 8 * (size_t)p->trait_count + 16 * (size_t)p->past_count + p->text_length);
    if (status != ECREC_OK)
        return status;
    /* there is room: none of these can fail */
    write_i64(out, p->first);
    write_i64(out, p->last);
    write_u64(out, p->total);
    write_f64(out, p->count);
    write_f64(out, p->mass);
    write_f64(out, p->vector_mass);
    for (uint32_t i = 0; i < p->dimension; i++)
        write_f32(out, profile_vector(p)[i]);
    write_u32(out, p->trait_count);
    for (uint32_t i = 0; i < p->trait_count; i++) {
        write_f32(out, profile_traits(p)[i].value);
        write_string(out, text + profile_traits(p)[i].at, profile_traits(p)[i].length);
    }
    write_u32(out, p->past_count);
    for (uint32_t i = 0; i < p->past_count; i++) {
        write_i64(out, profile_pasts(p)[i].time);
        write_u32(out, profile_pasts(p)[i].type);
        write_string(out, text + profile_pasts(p)[i].at, profile_pasts(p)[i].length);
    }
    return ECREC_OK;
}

int32_t profiles_write(const ecrec_profiles *all, buffer *out)
{
    const ecrec_profiles_options *o = &all->o;
    int32_t status = buffer_reserve(out, 256 + 4 * (size_t)o->event_types);
    if (status != ECREC_OK)
        return status;
    const uint32_t head[6] = { PROFILES_VERSION, o->dimension, o->events, o->traits, o->event_types, 0 };
    for (int i = 0; i < 6; i++)
        write_u32(out, head[i]);
    write_u64(out, o->most);
    write_u64(out, o->most_bytes);
    write_i64(out, o->half_life);
    for (uint32_t i = 0; i < o->event_types; i++)
        write_f32(out, all->type_weights[i]);
    write_string(out, all->space, strlen(all->space));
    write_u64(out, all->added);
    write_u64(out, all->dropped);
    write_u64(out, all->count);
    for (const profile *p = all->oldest; p != NULL && status == ECREC_OK; p = p->newer)
        status = write_profile(p, out);
    return status;
}

/* ---- reading ---- */

static int32_t read_head(reader *r, ecrec_context *context, ecrec_profiles **out, uint64_t counts[3], ecrec_error *err)
{
    ecrec_profiles_options o = ECREC_PROFILES_OPTIONS_INIT;
    float weights[PROFILE_TYPES];
    char space[40] = "";
    size_t length = 0;
    const uint32_t version = read_u32(r);
    if (!r->failed && version > PROFILES_VERSION)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "profiles of version %u; this library reads up to %d", version, PROFILES_VERSION);
    o.dimension = read_u32(r);
    o.events = read_u32(r);
    o.traits = read_u32(r);
    o.event_types = read_u32(r);
    const uint32_t zero = read_u32(r);
    o.most = read_u64(r);
    o.most_bytes = read_u64(r);
    o.half_life = read_i64(r);
    if (r->failed || version == 0 || zero != 0 || o.events == 0 || o.traits == 0 || o.event_types == 0 || o.event_types > PROFILE_TYPES || o.most == 0 ||
        o.most_bytes == 0 || o.half_life <= 0)
        return error_set(err, ECREC_ERR_FORMAT, "its options are damaged");
    for (uint32_t i = 0; i < o.event_types; i++)
        weights[i] = read_f32(r);
    const char *given = read_string(r, sizeof space - 1, &length);
    for (int i = 0; i < 3; i++)
        counts[i] = read_u64(r);
    if (r->failed || given == NULL || memchr(given, 0, length) != NULL)
        return error_set(err, ECREC_ERR_FORMAT, "its options are damaged");
    memcpy(space, given, length);
    o.type_weights = weights;
    o.space = space;
    const int32_t status = profiles_create(context, &o, out, err);
    return status == ECREC_ERR_INVALID ? error_set(err, ECREC_ERR_FORMAT, "its options are out of range") : status;
}

/* What a profile holds is measured first, then put into one block. */
typedef struct shape { const char *name; size_t name_length, text; uint32_t traits, past; } shape;

static int read_shape(reader r, const ecrec_profiles_options *o, shape *s)
{
    size_t length = 0;
    s->name = read_string(&r, PROFILE_NAME, &s->name_length);
    read_bytes(&r, 6 * 8 + 4 * (size_t)o->dimension);
    s->text = s->name_length;
    s->traits = read_u32(&r);
    for (uint32_t i = 0; i < s->traits && s->traits <= o->traits && !r.failed; i++) {
        read_f32(&r);
        read_string(&r, PROFILE_TRAIT_NAME, &length);
        s->text += length;
    }
    s->past = read_u32(&r);
    for (uint32_t i = 0; i < s->past && s->past <= o->events && !r.failed; i++) {
        read_i64(&r);
        read_u32(&r);
        read_string(&r, PROFILE_NAME, &length);
        s->text += length;
    }
    return !r.failed && s->name != NULL && s->name_length != 0 && s->traits <= o->traits && s->past <= o->events;
}

static uint32_t text_of(profile *p, uint32_t *end, reader *r, uint32_t *length)
{
    size_t n = 0;
    const char *bytes = read_string(r, PROFILE_NAME, &n);
    const uint32_t at = *end;
    if (n != 0)
        memcpy(profile_text(p) + at, bytes, n);
    *end += (uint32_t)n;
    *length = (uint32_t)n;
    return at;
}

/* Finite sums that an event could have left. */
static int sound(const profile *p, const ecrec_profiles_options *o)
{
    int good = p->total != 0 && p->first <= p->last && p->count >= 0 && p->count <= 1e18 && p->mass >= 0 && p->mass <= 1e24 && p->vector_mass >= 0 && p->vector_mass <= 1e24;
    for (uint32_t i = 0; i < p->dimension; i++)
        good &= isfinite(profile_vector(p)[i]) != 0;
    for (uint32_t i = 0; i < p->trait_count; i++)
        good &= isfinite(profile_traits(p)[i].value) != 0 && profile_traits(p)[i].length - 1 < PROFILE_TRAIT_NAME;
    for (uint32_t i = 0; i < p->past_count; i++) {
        const profile_past *past = &profile_pasts(p)[i];
        good &= past->type < o->event_types && past->time >= p->first && past->time <= p->last && (i == 0 || past[-1].time <= past->time);
    }
    return good;
}

static int32_t read_profile(reader *r, ecrec_profiles *all)
{
    shape s;
    uint32_t end = 0;
    if (!read_shape(*r, &all->o, &s))
        return ECREC_ERR_FORMAT;
    if (profiles_find(all, s.name, s.name_length) != NULL)
        return ECREC_ERR_FORMAT;
    profile *p = profile_create(all->m, all->o.dimension, s.traits, s.past, s.text);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    text_of(p, &end, r, &p->user_length);
    p->hash = hash64(s.name, s.name_length, 0);
    p->first = read_i64(r);
    p->last = read_i64(r);
    p->total = read_u64(r);
    p->count = read_f64(r);
    p->mass = read_f64(r);
    p->vector_mass = read_f64(r);
    for (uint32_t i = 0; i < p->dimension; i++)
        profile_vector(p)[i] = read_f32(r);
    read_u32(r);
    for (uint32_t i = 0; i < s.traits; i++) {
        profile_traits(p)[i].value = read_f32(r);
        profile_traits(p)[i].at = text_of(p, &end, r, &profile_traits(p)[i].length);
    }
    read_u32(r);
    for (uint32_t i = 0; i < s.past; i++) {
        profile_past *past = &profile_pasts(p)[i];
        past->time = read_i64(r);
        past->type = read_u32(r);
        past->at = text_of(p, &end, r, &past->length);
    }
    int32_t status = sound(p, &all->o) ? profiles_put(all, p) : ECREC_ERR_FORMAT;
    if (status != ECREC_OK)
        profile_destroy(all->m, p);
    return status;
}

int32_t profiles_read(ecrec_context *context, const void *data, size_t length, ecrec_profiles **out, ecrec_error *err)
{
    reader r;
    uint64_t counts[3];
    ecrec_profiles *all = NULL;
    reader_init(&r, data, length);
    int32_t status = read_head(&r, context, &all, counts, err);
    if (status != ECREC_OK)
        return status;
    for (uint64_t i = 0; i < counts[2] && status == ECREC_OK; i++)
        status = read_profile(&r, all);
    if (status == ECREC_OK && (r.position != r.length || all->count > all->o.most))
        status = ECREC_ERR_FORMAT;
    if (status != ECREC_OK) {
        const size_t at = all->count;
        profiles_destroy(all);
        return status == ECREC_ERR_NOMEM ? error_nomem(err, "profiles", length) : error_set(err, ECREC_ERR_FORMAT, "the profile behind the first %zu is damaged", at);
    }
    all->added = counts[0];
    all->dropped = counts[1];
    *out = all;
    return ECREC_OK;
}

/* ---- the file ---- */

int32_t profiles_save(const ecrec_profiles *all, const char *path, ecrec_error *err)
{
    parts *p = NULL;
    buffer bytes;
    buffer_init(&bytes, all->m);
    int32_t status = profiles_write(all, &bytes);
    if (status == ECREC_OK && (status = parts_create(all->m, &p)) == ECREC_OK)
        status = parts_set_blob(p, section, bytes.data, bytes.length, 0, 1);
    buffer_release(&bytes);
    status = status == ECREC_OK ? file_save(p, path, err) : error_nomem(err, "the profiles as bytes", (size_t)all->bytes);
    parts_release(p);
    return status;
}

int32_t profiles_load(ecrec_context *context, const char *path, ecrec_profiles **out, ecrec_error *err)
{
    mapping *map = NULL;
    parts *p = NULL;
    ecrec_error why = ECREC_ERROR_INIT;
    int32_t status = mapping_open(context, path, &map, err);
    if (status != ECREC_OK)
        return status;
    status = file_read(map, NULL, &p, &why);
    mapping_release(map);
    if (status != ECREC_OK)
        return error_at(err, status, why.position, "%s: %s", path, why.message);
    const blob *b = parts_blob(p, section);
    if (b == NULL)
        status = error_set(err, ECREC_ERR_FORMAT, "%s: it has no profiles of users in it: it is another kind of .ecrec file", path);
    else if ((status = profiles_read(context, b->data, b->length, out, &why)) != ECREC_OK)
        status = error_set(err, status, "%s: %s", path, why.message);
    parts_release(p);
    return status;
}
