/* What an impression log gives back: rows with the labels that came. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "stream/impressions.h"

/* One row of what is given: which impression, and its labels. */
typedef struct chosen {
    ecrec_impressions *log;
    const impression **rows;
    size_t n, most;
    uint8_t *flags; /* most x labels: LABEL_CAME: this value is given; LABEL_TIMED_OUT: a 0 is */
    float *weights;
} chosen;

static size_t chosen_bytes(const chosen *c)
{
    return memory_product(c->most + 1, sizeof *c->rows + sizeof *c->weights + c->log->schema->label_count);
}

static int32_t chosen_open(chosen *c, ecrec_impressions *log, size_t most, ecrec_error *err)
{
    *c = (chosen){ .log = log, .most = most };
    void *block = memory_zero(log->m, chosen_bytes(c));
    if (block == NULL)
        return error_nomem(err, "the rows taken", chosen_bytes(c));
    c->rows = block;
    c->weights = (float *)(void *)(c->rows + most + 1);
    c->flags = (uint8_t *)(c->weights + most + 1);
    return ECREC_OK;
}

static void chosen_close(chosen *c)
{
    memory_release(c->log->m, (void *)(uintptr_t)c->rows, c->rows != NULL ? chosen_bytes(c) : 0);
}

/* Adds the impression when some label is given. */
static void choose(chosen *c, const impression *p, const uint8_t *flags, float weight)
{
    const uint32_t labels = c->log->schema->label_count;
    uint8_t any = 0;
    for (uint32_t l = 0; l < labels; l++)
        any |= flags[l];
    if (any == 0 || c->n == c->most)
        return;
    c->rows[c->n] = p;
    c->weights[c->n] = weight;
    memcpy(c->flags + c->n * labels, flags, labels);
    c->n++;
}

static uint32_t score_of(const ecrec_impressions *log)
{
    uint32_t at = 0;
    for (uint32_t l = 0; l < log->o.timeout_label; l++)
        at += label_outputs(&log->schema->labels[l]);
    return at;
}

/* Of a 0 that a timeout made, see ecrec_impressions_take. */
static float correction(const ecrec_impressions *log, const impression *p)
{
    const double late = (double)log->counts[COUNT_LATE], ones = late + (double)log->counts[COUNT_EARLY];
    const double share = log->o.late_share != 0 ? log->o.late_share : ones > 0 ? late / ones : 0;
    const double served = (double)impression_scores(p)[score_of(log)];
    if (log->o.correction != ECREC_CORRECTION_DELAY || !isfinite(served) || log->o.timeout == log->o.window)
        return 1;
    const double q = served < 0.999 ? served : 0.999; /* a 1 that was all but sure is not thrown away whole */
    return q > 0 ? (float)((1 - q) / (1 - q + share * q)) : 1;
}

/* The id of a row that comes again: the same each time. */
static uint64_t id_of(const impression *p)
{
    const uint64_t words[2] = { p->event, p->deliveries };
    return p->deliveries == 0 ? p->event : hash64(words, sizeof words, 2);
}

static int32_t room_for_served(ecrec_impressions *log, size_t n)
{
    if (n <= log->served_capacity)
        return ECREC_OK;
    float *served = memory_allocate(log->m, memory_product(n, log->heads * sizeof *served));
    uint64_t *snapshots = memory_allocate(log->m, memory_product(n, sizeof *snapshots));
    if (served == NULL || snapshots == NULL) {
        memory_release(log->m, served, n * log->heads * sizeof *served);
        memory_release(log->m, snapshots, n * sizeof *snapshots);
        return ECREC_ERR_NOMEM;
    }
    memory_release(log->m, log->served, log->served_capacity * log->heads * sizeof *served);
    memory_release(log->m, log->snapshots, log->served_capacity * sizeof *snapshots);
    log->served = served;
    log->snapshots = snapshots;
    log->served_capacity = n;
    return ECREC_OK;
}

static int32_t set_labels(const chosen *c, ecrec_batch *b, float *values, uint8_t *valid, ecrec_error *err)
{
    const uint32_t labels = c->log->schema->label_count;
    int32_t status = ECREC_OK;
    for (uint32_t l = 0; l < labels && status == ECREC_OK; l++) {
        for (size_t i = 0; i < c->n; i++) {
            const uint8_t flags = c->flags[i * labels + l];
            valid[i] = flags != 0;
            values[i] = flags & LABEL_CAME ? impression_labels(c->rows[i])[l].value : 0;
        }
        status = ecrec_batch_set_label(b, l, values, valid, err);
    }
    return status;
}

/* The batch of what was chosen, as it was served. again: event ids of rows that come again differ. */
static int32_t give(const chosen *c, int again, ecrec_batch **out, ecrec_error *err)
{
    ecrec_impressions *log = c->log;
    arena work;
    ecrec_batch *b = NULL;
    *out = NULL;
    if (c->n == 0)
        return ECREC_OK;
    arena_init(&work, log->m);
    row_bytes *rows = arena_allocate(&work, memory_product(c->n, sizeof *rows));
    uint64_t *events = arena_allocate(&work, memory_product(c->n, sizeof *events));
    float *values = arena_allocate(&work, memory_product(c->n, sizeof *values));
    uint8_t *valid = arena_allocate(&work, c->n);
    int32_t status = rows != NULL && events != NULL && values != NULL && valid != NULL && room_for_served(log, c->n) == ECREC_OK
                         ? ECREC_OK : error_nomem(err, "the rows taken", c->n * sizeof *rows);
    for (size_t i = 0; i < c->n && status == ECREC_OK; i++) {
        const impression *p = c->rows[i];
        rows[i] = (row_bytes){ impression_row(p), p->length };
        events[i] = again ? id_of(p) : p->event;
        memcpy(log->served + i * log->heads, impression_scores(p), log->heads * sizeof *log->served);
        log->snapshots[i] = p->snapshot;
    }
    if (status == ECREC_OK)
        status = rows_batch(log->schema, rows, c->n, &b, err);
    for (size_t i = 0; i < c->n && status == ECREC_OK; i++)
        values[i] = batch_weight(b, i) * c->weights[i];
    if (status == ECREC_OK)
        status = ecrec_batch_set_weight(b, values, err);
    if (status == ECREC_OK)
        status = ecrec_batch_set_event(b, events, NULL, err);
    if (status == ECREC_OK)
        status = set_labels(c, b, values, valid, err);
    arena_release(&work);
    if (status == ECREC_OK)
        *out = b;
    else
        ecrec_batch_release(b);
    return status;
}

/* ---- take and done ---- */

static int32_t room_for_taken(ecrec_impressions *log, size_t n)
{
    const size_t labels = log->schema->label_count;
    if (n <= log->taken_capacity)
        return ECREC_OK;
    uint64_t *events = memory_allocate(log->m, memory_product(n, sizeof *events));
    unsigned char *flags = memory_allocate(log->m, memory_product(n, labels));
    if (events == NULL || flags == NULL) {
        memory_release(log->m, events, n * sizeof *events);
        memory_release(log->m, flags, n * labels);
        return ECREC_ERR_NOMEM;
    }
    memory_release(log->m, log->taken_events, log->taken_capacity * sizeof *events);
    memory_release(log->m, log->taken_flags, log->taken_capacity * labels);
    log->taken_events = events;
    log->taken_flags = flags;
    log->taken_capacity = n;
    return ECREC_OK;
}

/* What of an impression is given at `now`, and with which weight; 0: nothing. */
static int due_flags(const ecrec_impressions *log, const impression *p, int64_t now, uint8_t flags[MOST_LABELS], float *weight)
{
    const impression_label *labels = impression_labels(p);
    int any = 0;
    for (uint32_t l = 0; l < log->schema->label_count; l++)
        any |= flags[l] = impression_news(&labels[l]) ? LABEL_CAME : 0;
    *weight = 1;
    if (labels[log->o.timeout_label].flags == 0 && impression_over(p->time, now, log->o.timeout)) {
        any |= flags[log->o.timeout_label] = LABEL_TIMED_OUT;
        *weight = correction(log, p);
    }
    return any;
}

int32_t impressions_take(ecrec_impressions *log, int64_t now, size_t most, ecrec_batch **batch, ecrec_error *err)
{
    chosen c;
    const uint32_t labels = log->schema->label_count;
    uint8_t flags[MOST_LABELS];
    float weight = 1;
    size_t n = 0;
    log->taken = 0;
    *batch = NULL;
    for (size_t i = 0; (most == 0 || n < most) && (i = impressions_due(log, i, now)) < log->count; i++)
        n += due_flags(log, impression_at(log, i), now, flags, &weight) != 0;
    if (n == 0)
        return ECREC_OK;
    int32_t status = chosen_open(&c, log, n, err);
    for (size_t i = 0; status == ECREC_OK && c.n < n; i++) {
        i = impressions_due(log, i, now);
        if (due_flags(log, impression_at(log, i), now, flags, &weight))
            choose(&c, impression_at(log, i), flags, weight);
    }
    if (status == ECREC_OK && room_for_taken(log, c.n) != ECREC_OK)
        status = error_nomem(err, "the rows taken", c.n * sizeof(uint64_t));
    if (status == ECREC_OK && (status = give(&c, 1, batch, err)) == ECREC_OK) {
        for (size_t i = 0; i < c.n; i++)
            log->taken_events[i] = c.rows[i]->event;
        if (c.n != 0)
            memcpy(log->taken_flags, c.flags, c.n * labels);
        log->taken = c.n;
    }
    chosen_close(&c);
    return status;
}

int32_t impressions_done(ecrec_impressions *log, ecrec_error *err)
{
    const uint32_t labels = log->schema->label_count;
    buffer record;
    int32_t status = ECREC_OK;
    if (log->taken == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_done: no rows were taken before");
    buffer_init(&record, log->m);
    if (buffer_zeros(&record, IMPRESSION_HEADER) != ECREC_OK || write_u32(&record, (uint32_t)log->taken) != ECREC_OK || write_u32(&record, labels) != ECREC_OK)
        status = error_nomem(err, "a record", 4);
    for (size_t i = 0; i < log->taken && status == ECREC_OK; i++) {
        const impression *p = impressions_find(log, log->taken_events[i]);
        const uint32_t deliveries = p != NULL ? p->deliveries + 1 : 0;
        status = write_u64(&record, log->taken_events[i]) == ECREC_OK && write_u8(&record, (uint8_t)(deliveries < 255 ? deliveries : 255)) == ECREC_OK
                     ? ECREC_OK : error_nomem(err, "a record", record.length);
        for (uint32_t l = 0; l < labels && status == ECREC_OK; l++) {
            const uint8_t given = log->taken_flags[i * labels + l], had = p != NULL ? impression_labels(p)[l].flags : 0;
            const uint8_t flags = (uint8_t)(given & LABEL_CAME ? had | LABEL_TAKEN : given & LABEL_TIMED_OUT ? had | LABEL_TIMED_OUT : had);
            if (write_u8(&record, flags) != ECREC_OK)
                status = error_nomem(err, "a record", record.length);
        }
    }
    if (status == ECREC_OK && (status = impressions_file_append(log, RECORD_DONE, &record, err)) == ECREC_OK) {
        reader r;
        reader_init(&r, record.data + IMPRESSION_HEADER, record.length - IMPRESSION_HEADER);
        (void)impressions_mark(log, &r);
        log->taken = 0;
    }
    buffer_release(&record);
    return status;
}

int32_t impressions_mark(ecrec_impressions *log, reader *r)
{
    const uint32_t n = read_u32(r), labels = read_u32(r);
    if (labels > log->schema->label_count)
        return ECREC_ERR_FORMAT;
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        impression *p = impressions_find(log, read_u64(r));
        const uint8_t deliveries = read_u8(r);
        for (uint32_t l = 0; l < labels; l++) {
            const uint8_t flags = read_u8(r);
            if (flags > 7)
                return ECREC_ERR_FORMAT;
            if (p != NULL)
                impression_labels(p)[l].flags |= flags & (LABEL_TAKEN | LABEL_TIMED_OUT);
        }
        if (p != NULL) {
            p->deliveries = deliveries;
            impressions_touch(log, p);
        }
    }
    return r->failed || r->position != r->length ? ECREC_ERR_FORMAT : ECREC_OK;
}

/* ---- as of a time ---- */

int32_t impressions_rows(ecrec_impressions *log, int64_t from, int64_t as_of, ecrec_batch **batch, ecrec_error *err)
{
    chosen c;
    uint8_t flags[MOST_LABELS];
    int32_t status = chosen_open(&c, log, log->count, err);
    for (size_t i = 0; i < log->count && status == ECREC_OK; i++) {
        const impression *p = impression_at(log, i);
        if ((from != 0 && p->time < from) || p->time > as_of)
            continue;
        for (uint32_t l = 0; l < log->schema->label_count; l++) {
            const impression_label *y = &impression_labels(p)[l];
            flags[l] = (y->flags & LABEL_CAME) != 0 && y->time <= as_of ? LABEL_CAME : 0;
            if (flags[l] == 0 && l == log->o.timeout_label && impression_over(p->time, as_of, log->o.window))
                flags[l] = LABEL_TIMED_OUT;
        }
        choose(&c, p, flags, 1);
    }
    if (status == ECREC_OK)
        status = give(&c, 0, batch, err);
    chosen_close(&c);
    return status;
}
