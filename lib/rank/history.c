/* The column of a history: of each row its newest events, with log(1 + age in hours) of each. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"
#include "rank/batch.h"

#define HOUR 3600e6 /* microseconds */

void ecrec_history_init(ecrec_history *history)
{
    static const ecrec_history defaults = ECREC_HISTORY_INIT;
    if (history != NULL)
        *history = defaults;
}

/* What is kept of a row's events: the last `most` of them. */
static size_t first_kept(const ecrec_history *h, size_t row, size_t most)
{
    return h->events[row + 1] - h->events[row] > most ? h->events[row + 1] - most : h->events[row];
}

/* *kept: events of all rows that are kept; *bytes of their items. */
static int32_t check(const ecrec_batch *b, const schema_field *f, const ecrec_history *h, size_t *kept, size_t *bytes, ecrec_error *err)
{
#define REFUSE(code, row, ...) return error_row(err, code, row, "row %zu, field \"%s\": " __VA_ARGS__)
    *kept = *bytes = 0;
    for (size_t i = 0; i < b->rows; i++) {
        if (h->events[i + 1] < h->events[i] || (i == 0 && h->events[0] != 0))
            REFUSE(ECREC_ERR_INVALID, i, "its events begin at %zu and end before %zu", i, f->name, h->events[i], h->events[i + 1]);
        for (size_t k = h->events[i]; k < h->events[i + 1]; k++) {
            const size_t n = k - h->events[i];
            if (h->items != NULL && h->items[k] == NULL && h->lengths[k] != 0)
                REFUSE(ECREC_ERR_INVALID, i, "the item of event %zu is NULL", i, f->name, n);
            if (h->types != NULL && h->types[k] >= f->event_types)
                REFUSE(ECREC_ERR_INVALID, i, "event %zu has type %u; the field has %u types", i, f->name, n, h->types[k], f->event_types);
            if (h->times != NULL && k > h->events[i] && h->times[k] < h->times[k - 1])
                REFUSE(ECREC_ERR_INVALID, i, "event %zu is older than the one before it; the oldest comes first", i, f->name, n);
        }
        const size_t first = first_kept(h, i, f->dimension);
        *kept += h->events[i + 1] - first;
        for (size_t k = first; k < h->events[i + 1]; k++) {
            const size_t length = h->items != NULL ? h->lengths[k] : 20;
            if (length >= UINT32_MAX || !size_add(*bytes, length, bytes))
                REFUSE(ECREC_ERR_LIMIT, i, "the items have more than 4 GiB", i, f->name);
        }
    }
#undef REFUSE
    return ECREC_OK;
}

static float age(const ecrec_history *h, size_t row, size_t event)
{
    if (h->times == NULL)
        return 0;
    const int64_t now = h->now != NULL ? h->now[row] : h->times[h->events[row + 1] - 1];
    const double age = ((double)now - (double)h->times[event]) / HOUR;
    return age > 0 ? (float)log1p(age) : 0;
}

static void fill(const ecrec_batch *b, const schema_field *f, const ecrec_history *h, batch_column *c)
{
    uint64_t *starts = (uint64_t *)(void *)c->starts.data, *first = (uint64_t *)(void *)c->items.data;
    float *ages = (float *)(void *)c->weights.data;
    size_t to = 0, at = 0;
    for (size_t i = 0; i < b->rows; i++) {
        first[i] = to;
        c->valid.data[i] = h->valid == NULL || h->valid[i] != 0;
        for (size_t k = first_kept(h, i, f->dimension); k < h->events[i + 1]; k++, to++) {
            char number[24];
            const char *text = h->items != NULL ? h->items[k] : number;
            const size_t n = h->items != NULL ? h->lengths[k] : format_text(number, sizeof number, "%llu", (unsigned long long)h->items_u64[k]);
            starts[to] = at;
            if (n != 0)
                memcpy(c->values.data + at, text, n);
            at += n;
            ages[to] = age(h, i, k);
            c->types.data[to] = h->types != NULL ? (unsigned char)h->types[k] : 0;
        }
    }
    first[b->rows] = to;
    starts[to] = at;
}

int32_t ecrec_batch_set_history(ecrec_batch *batch, uint32_t field, const ecrec_history *history, ecrec_error *err)
{
    int32_t status = batch_find(batch, field, ECREC_FIELD_HISTORY, history, "ecrec_batch_set_history", err);
    if (status != ECREC_OK)
        return status;
    const schema_field *f = &batch->schema->fields[field];
    if (history == NULL || history->size < sizeof *history)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_history: the history of field \"%s\" %s", f->name, history == NULL ? "is NULL" : "has a size that is too small");
    const size_t events = batch->rows != 0 && history->events != NULL ? history->events[batch->rows] : 0;
    if (batch->rows != 0 && history->events == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_history: events of field \"%s\" is NULL", f->name);
    if (events != 0 && ((history->items == NULL) == (history->items_u64 == NULL) || (history->items != NULL && history->lengths == NULL)))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_history: field \"%s\" needs items with lengths, or items_u64, one of the two", f->name);
    if (history->now != NULL && history->times == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_batch_set_history: field \"%s\" has now without times", f->name);
    size_t kept = 0, bytes = 0;
    if ((status = check(batch, f, history, &kept, &bytes, err)) != ECREC_OK)
        return status;
    batch_column fresh = { 0 }, *c = &batch->columns[field];
    const struct { batch_block *to; size_t bytes; } blocks[] = {
        { &fresh.valid, batch->rows }, { &fresh.values, bytes }, { &fresh.starts, memory_product(kept + 1, sizeof(uint64_t)) },
        { &fresh.items, memory_product(batch->rows + 1, sizeof(uint64_t)) }, { &fresh.weights, memory_product(kept, sizeof(float)) }, { &fresh.types, kept } };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && status == ECREC_OK; i++)
        status = batch_reserve(batch, blocks[i].to, blocks[i].bytes);
    if (status != ECREC_OK) {
        batch_drop(batch, &fresh);
        return error_nomem(err, "a column", bytes + kept * 13);
    }
    batch_drop(batch, c);
    *c = fresh;
    c->set = 1;
    fill(batch, f, history, c);
    return ECREC_OK;
}
