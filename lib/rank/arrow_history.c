/* Histories in Arrow: lists of events. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "rank/arrow_read.h"

/* The child of a struct by its name; 0: there is none. */
static int32_t open_named(const reading *r, const arrow_view *both, const char *name, int64_t first, int64_t n, arrow_column *out, int *found)
{
    *found = 0;
    for (int64_t i = 0; i < both->schema->n_children; i++) {
        const struct ArrowSchema *schema = NULL;
        const struct ArrowArray *array = NULL;
        const int32_t status = view_child(both, i, &schema, &array, r->err);
        if (status != ECREC_OK)
            return status;
        if (schema->name == NULL || strcmp(schema->name, name) != 0)
            continue;
        *found = 1;
        return column_open(out, r->name, schema, array, first, n, r->err);
    }
    return ECREC_OK;
}

typedef struct event_arrays { size_t *events; const char **items; size_t *lengths; uint32_t *types; int64_t *times; char *spelt; size_t bytes; } event_arrays;

static int32_t take_events(const reading *r, event_arrays *a, size_t n)
{
    scratch count = { NULL, 0, SIZE_MAX };
    unsigned char *memory = NULL;
    for (int pass = 0; pass < 2; pass++) {
        scratch s = { memory, 0, SIZE_MAX };
        a->events = scratch_take(&s, memory_product(r->b->rows + 1, sizeof *a->events));
        a->items = scratch_take(&s, memory_product(n + 1, sizeof *a->items));
        a->lengths = scratch_take(&s, memory_product(n + 1, sizeof *a->lengths));
        a->types = scratch_take(&s, memory_product(n + 1, sizeof *a->types));
        a->times = scratch_take(&s, memory_product(n + 1, sizeof *a->times));
        a->spelt = scratch_take(&s, memory_product(n + 1, MOST_SPELLING));
        count = s;
        if (pass == 0 && (memory = memory_allocate(r->b->m, count.used)) == NULL)
            return error_nomem(r->err, "a column", count.used);
    }
    a->bytes = count.used;
    return ECREC_OK;
}

/* An event's type and time, where there are some. */
static int32_t read_event(const reading *r, size_t row, size_t k, int64_t at, const arrow_column *types, const arrow_column *times, event_arrays *a)
{
    int64_t place = 0;
    const arrow_view *v = types != NULL ? arrow_entry(types, at, &place) : NULL;
    const double type = v != NULL ? view_number(v, place) : 0;
    if (!(type >= 0 && type <= 255 && type == floor(type)))
        return error_row(r->err, ECREC_ERR_INVALID, row, "row %zu, field \"%s\": the type %g of an event is no whole number, 0 .. 255", row, r->name, type);
    a->types[k] = (uint32_t)type;
    v = times != NULL ? arrow_entry(times, at, &place) : NULL;
    const int64_t t = v != NULL ? view_integer(v, place) : 0, multiply = v != NULL && v->multiply != 0 ? v->multiply : 1, divide = v != NULL && v->multiply != 0 ? v->divide : 1;
    if (times != NULL && (v == NULL || t > INT64_MAX / multiply || t < INT64_MIN / multiply))
        return error_row(r->err, ECREC_ERR_INVALID, row, "row %zu, field \"%s\": the time of an event is null, or out of range", row, r->name);
    a->times[k] = t * multiply / divide;
    return ECREC_OK;
}

/* Lists of items, or of structs of "item" and, if they are there, "type" and "time"; oldest first. Copied. */
int32_t arrow_read_history(const reading *r, uint32_t field)
{
    const arrow_view *v = &r->column.view;
    arrow_column items, types, times;
    event_arrays a = { .bytes = 0 };
    int64_t from = 0, to = 0;
    int typed = 0, timed = 0, found = 1;
    if (r->column.has_dictionary || v->form != ARROW_LISTS)
        return arrow_wrong_type(r, &r->column, "list of items");
    int32_t status = arrow_open_items(r, &items, &from, &to);
    if (status != ECREC_OK)
        return status;
    int64_t inner = from;
    if (items.view.form == ARROW_RECORDS) {
        const arrow_view both = items.view;
        inner += both.offset;
        if ((status = open_named(r, &both, "item", inner, to - from, &items, &found)) != ECREC_OK || (status = open_named(r, &both, "type", inner, to - from, &types, &typed)) != ECREC_OK ||
            (status = open_named(r, &both, "time", inner, to - from, &times, &timed)) != ECREC_OK)
            return status;
    }
    const arrow_view *type = items.has_dictionary ? &items.dictionary : &items.view;
    if (!found || (type->form != ARROW_TEXTS && type->form != ARROW_INTEGERS) || (typed && !arrow_is_number(&types)) || (timed && (times.has_dictionary || times.view.form != ARROW_INTEGERS)))
        return error_set(r->err, ECREC_ERR_INVALID, "Arrow column \"%s\": a history is a list of items (text or integers), or of structs of \"item\", \"type\" (a number) and \"time\"", r->name);
    const int64_t first = from;
    if ((status = take_events(r, &a, (size_t)(to - from))) != ECREC_OK)
        return status;
    a.events[0] = 0;
    for (size_t i = 0; i < r->b->rows && status == ECREC_OK; i++) {
        view_range(v, r->first + (int64_t)i, &from, &to);
        a.events[i + 1] = (size_t)(to - first);
        for (int64_t k = from; k < to && status == ECREC_OK; k++) {
            const size_t at = (size_t)(k - first);
            int64_t place = 0;
            const arrow_view *e = arrow_entry(&items, inner + (k - first), &place);
            a.items[at] = e != NULL ? arrow_spell(e, place, a.spelt + at * MOST_SPELLING, &a.lengths[at]) : "";
            if (e == NULL)
                a.lengths[at] = 0;
            if (e == NULL && r->to->valid.data[i])
                status = error_row(r->err, ECREC_ERR_INVALID, i, "row %zu, field \"%s\": the item of event %lld is null", i, r->name, (long long)(k - from));
            a.types[at] = 0; /* of a row that is null nothing is told, and its events must not look out of order */
            a.times[at] = 0;
            if (status == ECREC_OK && r->to->valid.data[i])
                status = read_event(r, i, at, inner + (k - first), typed ? &types : NULL, timed ? &times : NULL, &a);
        }
    }
    if (status == ECREC_OK) {
        ecrec_history h = ECREC_HISTORY_INIT;
        h.events = a.events;
        h.items = a.items;
        h.lengths = a.lengths;
        h.types = a.types;
        h.times = timed ? a.times : NULL;
        unsigned char *valid = r->to->valid.data; /* which the call replaces */
        const batch_block kept = r->to->valid;
        h.valid = valid;
        r->to->valid = (batch_block){ NULL, 0, 0 };
        status = ecrec_batch_set_history(r->b, field, &h, r->err);
        memory_release(r->b->m, kept.data, kept.capacity);
    }
    memory_release(r->b->m, a.events, a.bytes);
    return status;
}
