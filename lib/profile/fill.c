/* Profiles as columns of a batch. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "profile/profiles.h"
#include "rank/batch.h"

#define MICROSECOND_DAY 86400e6

typedef struct filling {
    ecrec_profiles *all;
    ecrec_batch *batch;
    size_t rows;
    const profile **of;   /* of each row; NULL: nobody */
    const int64_t *now;   /* or NULL */
    uint8_t *valid;
    arena work;
} filling;

static int64_t now_of(const filling *f, size_t row)
{
    return f->now != NULL ? f->now[row] : f->of[row]->last;
}

static double left(const filling *f, size_t row)
{
    return profile_faded((double)f->all->o.half_life, f->of[row]->last, now_of(f, row));
}

static int32_t no_memory(ecrec_error *err)
{
    return error_nomem(err, "columns of profiles", 0);
}

static int32_t fill_vector(filling *f, uint32_t field, ecrec_error *err)
{
    const uint32_t d = f->all->o.dimension;
    float *values = arena_allocate(&f->work, memory_product(f->rows, d * sizeof *values));
    if (values == NULL)
        return no_memory(err);
    for (size_t i = 0; i < f->rows; i++) {
        const profile *p = f->of[i];
        f->valid[i] = p != NULL && p->vector_mass > 0;
        for (uint32_t k = 0; k < d; k++)
            values[i * d + k] = f->valid[i] ? (float)((double)profile_vector(p)[k] / p->vector_mass) : 0;
    }
    return ecrec_batch_set_vector(f->batch, field, values, d, f->valid, err);
}

/* Room for so many strings a row, and where each row's begin. */
typedef struct lists { size_t *starts, *lengths, total; const char **strings; } lists;

static int32_t open_lists(filling *f, lists *l, int of_traits, ecrec_error *err)
{
    size_t n = 0;
    l->starts = arena_allocate(&f->work, memory_product(f->rows + 1, sizeof *l->starts));
    if (l->starts == NULL)
        return no_memory(err);
    for (size_t i = 0; i < f->rows; i++) {
        l->starts[i] = n;
        f->valid[i] = f->of[i] != NULL;
        n += f->of[i] == NULL ? 0 : of_traits ? f->of[i]->trait_count : f->of[i]->past_count;
    }
    l->starts[f->rows] = l->total = n;
    l->strings = arena_allocate(&f->work, memory_product(n + 1, sizeof *l->strings));
    l->lengths = arena_allocate(&f->work, memory_product(n + 1, sizeof *l->lengths));
    return l->strings != NULL && l->lengths != NULL ? ECREC_OK : no_memory(err);
}

static int32_t fill_traits(filling *f, uint32_t field, ecrec_error *err)
{
    lists l;
    int32_t status = open_lists(f, &l, 1, err);
    if (status != ECREC_OK)
        return status;
    float *weights = arena_allocate(&f->work, memory_product(l.total + 1, sizeof *weights));
    if (weights == NULL)
        return no_memory(err);
    for (size_t i = 0; i < f->rows; i++)
        for (size_t k = l.starts[i]; k < l.starts[i + 1]; k++) {
            const profile_trait *t = &profile_traits(f->of[i])[k - l.starts[i]];
            l.strings[k] = profile_text(f->of[i]) + t->at;
            l.lengths[k] = t->length;
            weights[k] = t->value; /* the batch scales a row's: what has faded alike does not change them */
        }
    return ecrec_batch_set_multi(f->batch, field, l.starts, l.strings, l.lengths, weights, f->valid, err);
}

static int32_t fill_history(filling *f, uint32_t field, ecrec_error *err)
{
    lists l;
    int32_t status = open_lists(f, &l, 0, err);
    if (status != ECREC_OK)
        return status;
    uint32_t *types = arena_allocate(&f->work, memory_product(l.total + 1, sizeof *types));
    int64_t *times = arena_allocate(&f->work, memory_product(l.total + 1, sizeof *times));
    int64_t *now = arena_allocate(&f->work, memory_product(f->rows, sizeof *now));
    if (types == NULL || times == NULL || now == NULL)
        return no_memory(err);
    for (size_t i = 0; i < f->rows; i++) {
        now[i] = f->of[i] != NULL ? now_of(f, i) : 0;
        for (size_t k = l.starts[i]; k < l.starts[i + 1]; k++) {
            const profile_past *past = &profile_pasts(f->of[i])[k - l.starts[i]];
            l.strings[k] = profile_text(f->of[i]) + past->at;
            l.lengths[k] = past->length;
            types[k] = past->type;
            times[k] = past->time;
        }
    }
    ecrec_history h = ECREC_HISTORY_INIT;
    h.events = l.starts;
    h.items = l.strings;
    h.lengths = l.lengths;
    h.types = types;
    h.times = times;
    h.now = now;
    h.valid = f->valid;
    return ecrec_batch_set_history(f->batch, field, &h, err);
}

static int32_t fill_number(filling *f, uint32_t field, int age, ecrec_error *err)
{
    double *values = arena_allocate(&f->work, memory_product(f->rows, sizeof *values));
    if (values == NULL)
        return no_memory(err);
    for (size_t i = 0; i < f->rows; i++) {
        f->valid[i] = f->of[i] != NULL;
        values[i] = !f->valid[i] ? 0 : !age ? log1p(f->of[i]->count * left(f, i))
                    : now_of(f, i) > f->of[i]->last ? ((double)now_of(f, i) - (double)f->of[i]->last) / MICROSECOND_DAY : 0;
    }
    return ecrec_batch_set_number(f->batch, field, values, f->valid, err);
}

/* ---- what fits ---- */

static int32_t check(const ecrec_profiles *all, const ecrec_schema *s, uint32_t field, const char *what, int32_t kind, ecrec_error *err)
{
    if (field == NO_FIELD)
        return ECREC_OK;
    if (field >= s->field_count)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_profile_columns: %s is %u, the schema has %u fields", what, field, s->field_count);
    const schema_field *at = &s->fields[field];
    if (at->kind != kind && !(kind == ECREC_FIELD_VECTOR && at->kind == ECREC_FIELD_IMAGE))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_profile_columns: field \"%s\" is not of the kind that %s needs", at->name, what);
    if (kind == ECREC_FIELD_VECTOR && at->dimension != all->o.dimension)
        return error_set(err, ECREC_ERR_INVALID, "field \"%s\" has %u dimensions, the profiles have %u", at->name, at->dimension, all->o.dimension);
    if (kind == ECREC_FIELD_VECTOR && at->space[0] != '\0' && all->space[0] != '\0' && strcmp(at->space, all->space) != 0)
        return error_set(err, ECREC_ERR_MISMATCH, "field \"%s\" is of the space %s, the profiles of %s", at->name, at->space, all->space);
    if (kind == ECREC_FIELD_HISTORY && at->event_types < all->o.event_types)
        return error_set(err, ECREC_ERR_INVALID, "field \"%s\" knows %u types of event, the profiles have %u", at->name, at->event_types, all->o.event_types);
    return ECREC_OK;
}

static int32_t fill_all(filling *f, const ecrec_profile_columns *c, ecrec_error *err)
{
    int32_t status = c->vector != NO_FIELD ? fill_vector(f, c->vector, err) : ECREC_OK;
    if (status == ECREC_OK && c->traits != NO_FIELD)
        status = fill_traits(f, c->traits, err);
    if (status == ECREC_OK && c->history != NO_FIELD)
        status = fill_history(f, c->history, err);
    if (status == ECREC_OK && c->count != NO_FIELD)
        status = fill_number(f, c->count, 0, err);
    if (status == ECREC_OK && c->age != NO_FIELD)
        status = fill_number(f, c->age, 1, err);
    return status;
}

int32_t profiles_fill(ecrec_profiles *all, ecrec_batch *batch, const char *const *users, const size_t *lengths, const int64_t *now,
                      const ecrec_profile_columns *columns, ecrec_error *err)
{
    const ecrec_schema *s = batch->schema;
    filling f = { .all = all, .batch = batch, .rows = ecrec_batch_rows(batch), .now = now };
    int32_t status = check(all, s, columns->vector, "vector", ECREC_FIELD_VECTOR, err);
    if (status == ECREC_OK && (status = check(all, s, columns->traits, "traits", ECREC_FIELD_MULTI, err)) == ECREC_OK &&
        (status = check(all, s, columns->history, "history", ECREC_FIELD_HISTORY, err)) == ECREC_OK &&
        (status = check(all, s, columns->count, "count", ECREC_FIELD_NUMBER, err)) == ECREC_OK)
        status = check(all, s, columns->age, "age", ECREC_FIELD_NUMBER, err);
    if (status != ECREC_OK || f.rows == 0)
        return status;
    arena_init(&f.work, all->m);
    f.of = arena_allocate(&f.work, memory_product(f.rows, sizeof *f.of));
    f.valid = arena_allocate(&f.work, f.rows);
    if (f.of == NULL || f.valid == NULL)
        status = no_memory(err);
    for (size_t i = 0; i < f.rows && status == ECREC_OK; i++)
        f.of[i] = users[i] != NULL ? profiles_find(all, users[i], lengths[i]) : NULL;
    if (status == ECREC_OK)
        status = fill_all(&f, columns, err);
    arena_release(&f.work);
    return status;
}
