#include "stream/impressions.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

#define MICROSECOND_DAY ((int64_t)86400 * 1000000)
enum { LEAST_CAPACITY = 64 };

/* ---- found by events ---- */

static size_t slots(const ecrec_impressions *log)
{
    return 2 * log->capacity;
}

static size_t home(const ecrec_impressions *log, uint64_t event)
{
    return (size_t)(hash64(&event, sizeof event, 1) & (slots(log) - 1));
}

/* The slot of an event, or the free one where it would stand. */
static size_t slot_of(const ecrec_impressions *log, uint64_t event)
{
    size_t at = home(log, event);
    while (log->index[at] != 0 && log->items[log->index[at] - 1]->event != event)
        at = (at + 1) & (slots(log) - 1);
    return at;
}

impression *impressions_find(const ecrec_impressions *log, uint64_t event)
{
    if (log->capacity == 0)
        return NULL;
    const size_t place = log->index[slot_of(log, event)];
    return place != 0 ? log->items[place - 1] : NULL;
}

static void unindex(ecrec_impressions *log, uint64_t event)
{
    const size_t mask = slots(log) - 1;
    size_t hole = slot_of(log, event);
    for (size_t at = (hole + 1) & mask; log->index[at] != 0; at = (at + 1) & mask) {
        const size_t own = home(log, log->items[log->index[at] - 1]->event);
        if (((at - own) & mask) < ((at - hole) & mask))
            continue;
        log->index[hole] = log->index[at];
        hole = at;
    }
    log->index[hole] = 0;
}

/* ---- what is due ---- */

static void set_due(ecrec_impressions *log, size_t place, int64_t value)
{
    size_t at = log->capacity + place;
    log->due[at] = value;
    while ((at /= 2) > 0) {
        const int64_t a = log->due[2 * at], b = log->due[2 * at + 1], least = a < b ? a : b;
        if (log->due[at] == least)
            return;
        log->due[at] = least;
    }
}

static int64_t due_of(const ecrec_impressions *log, const impression *p)
{
    for (uint32_t l = 0; l < p->label_count; l++)
        if (impression_news(&impression_labels(p)[l]))
            return DUE_NOW;
    return impression_labels(p)[log->o.timeout_label].flags == 0 ? p->time : DUE_NEVER;
}

void impressions_touch(ecrec_impressions *log, const impression *p)
{
    set_due(log, log->index[slot_of(log, p->event)] - 1, due_of(log, p));
}

static int is_due(const ecrec_impressions *log, size_t node, int64_t now)
{
    return log->due[node] == DUE_NOW || impression_over(log->due[node], now, log->o.timeout);
}

/* The first place from `from` on, of the ring as it lies; capacity: none. */
static size_t due_from(const ecrec_impressions *log, size_t from, int64_t now)
{
    size_t at = log->capacity + from;
    if (from >= log->capacity)
        return log->capacity;
    while (!is_due(log, at, now)) { /* up to the next subtree on the right */
        while (at & 1)
            at /= 2;
        if (at == 0)
            return log->capacity;
        at++;
    }
    while (at < log->capacity)
        at = is_due(log, 2 * at, now) ? 2 * at : 2 * at + 1;
    return at - log->capacity;
}

size_t impressions_due(const ecrec_impressions *log, size_t i, int64_t now)
{
    const size_t wrap = log->capacity - log->first; /* the i of place 0 */
    if (i >= log->count)
        return log->count;
    if (i < wrap) {
        const size_t place = due_from(log, log->first + i, now);
        if (place < log->capacity)
            return place - log->first;
        i = wrap;
    }
    const size_t place = due_from(log, i - wrap, now);
    return place < log->first && wrap + place < log->count ? wrap + place : log->count;
}

/* ---- the ring ---- */

/* Index and tree anew; the ring begins at place 0. */
static void rebuild(ecrec_impressions *log)
{
    memset(log->index, 0, 2 * log->capacity * sizeof *log->index);
    for (size_t i = 0; i < log->capacity; i++)
        log->due[log->capacity + i] = i < log->count ? due_of(log, log->items[i]) : DUE_NEVER;
    for (size_t at = log->capacity; at-- > 1;)
        log->due[at] = log->due[2 * at] < log->due[2 * at + 1] ? log->due[2 * at] : log->due[2 * at + 1];
    log->due[0] = DUE_NEVER; /* no node */
    for (size_t i = 0; i < log->count; i++)
        log->index[slot_of(log, log->items[i]->event)] = i + 1;
}

int32_t impressions_reserve(ecrec_impressions *log, size_t more)
{
    size_t capacity = log->capacity != 0 ? log->capacity : LEAST_CAPACITY;
    while (capacity < log->count + more && capacity <= SIZE_MAX / 4)
        capacity *= 2;
    if (capacity == log->capacity)
        return ECREC_OK;
    impression **items = memory_zero(log->m, memory_product(capacity, sizeof *items));
    size_t *index = memory_zero(log->m, memory_product(2 * capacity, sizeof *index));
    int64_t *due = memory_allocate(log->m, memory_product(2 * capacity, sizeof *due));
    if (items == NULL || index == NULL || due == NULL) {
        memory_release(log->m, items, capacity * sizeof *items);
        memory_release(log->m, index, 2 * capacity * sizeof *index);
        memory_release(log->m, due, 2 * capacity * sizeof *due);
        return ECREC_ERR_NOMEM;
    }
    for (size_t i = 0; i < log->count; i++)
        items[i] = impression_at(log, i);
    memory_release(log->m, log->items, log->capacity * sizeof *items);
    memory_release(log->m, log->index, 2 * log->capacity * sizeof *index);
    memory_release(log->m, log->due, 2 * log->capacity * sizeof *due);
    log->items = items;
    log->index = index;
    log->due = due;
    log->first = 0;
    log->capacity = capacity;
    rebuild(log);
    return ECREC_OK;
}

void impressions_put(ecrec_impressions *log, impression *p)
{
    const size_t place = (log->first + log->count++) % log->capacity;
    log->index[slot_of(log, p->event)] = place + 1;
    log->items[place] = p;
    set_due(log, place, due_of(log, p));
    log->bytes += impression_size(p);
    log->counts[COUNT_ADDED]++;
}

static void let_go(ecrec_impressions *log, impression *p)
{
    log->bytes -= impression_size(p);
    memset(impression_row(p), 0, p->length);
    memory_release(log->m, p, impression_size(p));
}

static void drop_oldest(ecrec_impressions *log)
{
    impression *p = impression_at(log, 0);
    unindex(log, p->event);
    set_due(log, log->first, DUE_NEVER);
    log->items[log->first] = NULL;
    log->first = (log->first + 1) % log->capacity;
    log->count--;
    let_go(log, p);
}

/* The i-th goes where gone[i] is not 0; the ring then begins at place 0. NOMEM: nothing has changed. */
static int32_t drop_some(ecrec_impressions *log, const uint8_t *gone)
{
    impression **items = memory_zero(log->m, memory_product(log->capacity, sizeof *items));
    size_t left = 0;
    if (items == NULL)
        return ECREC_ERR_NOMEM;
    for (size_t i = 0; i < log->count; i++)
        if (gone[i])
            let_go(log, impression_at(log, i));
        else
            items[left++] = impression_at(log, i);
    memory_release(log->m, log->items, log->capacity * sizeof *items);
    log->items = items;
    log->first = 0;
    log->count = left;
    rebuild(log);
    return ECREC_OK;
}

void impressions_bound(ecrec_impressions *log, int64_t now)
{
    while (log->count > 0) {
        const impression *oldest = impression_at(log, 0);
        const int old = now > oldest->time && (uint64_t)now - (uint64_t)oldest->time > (uint64_t)log->o.most_age;
        if (!old && log->count <= log->o.most && log->bytes <= log->o.most_bytes)
            return;
        drop_oldest(log);
        log->counts[COUNT_DROPPED]++;
    }
}

/* ---- labels ---- */

int label_can_be(const schema_label *l, float value)
{
    if (!isfinite(value) || (l->kind == ECREC_LABEL_BINARY && value != 0.0f && value != 1.0f))
        return 0;
    return l->classes == 0 || (value >= 0 && value < (float)l->classes && value == floorf(value));
}

static uint64_t since(int64_t time, int64_t now)
{
    return now > time ? (uint64_t)now - (uint64_t)time : 0;
}

void impressions_join(ecrec_impressions *log, uint32_t label, uint64_t event, float value, int64_t now)
{
    impression *p = impressions_find(log, event);
    if (p == NULL || label >= p->label_count) {
        log->counts[COUNT_UNKNOWN]++;
        return;
    }
    impression_label *l = &impression_labels(p)[label];
    if (l->flags & LABEL_CAME) {
        log->counts[COUNT_REPEATED]++;
    } else if (since(p->time, now) > (uint64_t)log->o.window) {
        log->counts[COUNT_TOO_LATE]++;
    } else {
        /* not the timeout tells: a row may be taken long after it, and is then given as what came until then */
        if (label == log->o.timeout_label && value > 0.5f)
            log->counts[l->flags & LABEL_TIMED_OUT ? COUNT_LATE : COUNT_EARLY]++;
        *l = (impression_label){ now, value, (uint8_t)(l->flags | LABEL_CAME) };
        impressions_touch(log, p);
        log->counts[COUNT_JOINED]++;
    }
}

/* ---- bytes ---- */

int32_t impression_write(const impression *p, buffer *out)
{
    int32_t status = buffer_reserve(out, impression_size(p) + 8 * p->label_count + 64);
    if (status != ECREC_OK)
        return status;
    write_u64(out, p->event);
    write_u64(out, p->snapshot);
    write_i64(out, p->time);
    write_u32(out, p->heads);
    write_u32(out, p->label_count);
    write_u32(out, p->deliveries);
    for (uint32_t i = 0; i < p->label_count && status == ECREC_OK; i++) {
        const impression_label *l = &impression_labels(p)[i];
        if ((status = write_u8(out, l->flags)) == ECREC_OK && (status = write_f32(out, l->value)) == ECREC_OK)
            status = write_i64(out, l->time);
    }
    for (uint32_t i = 0; i < p->heads && status == ECREC_OK; i++)
        status = write_f32(out, impression_scores(p)[i]);
    return status == ECREC_OK ? write_string(out, (const char *)impression_row(p), p->length) : status;
}

static impression *make(ecrec_impressions *log, const impression *head)
{
    impression *p = memory_zero(log->m, impression_size(head));
    if (p != NULL)
        *p = *head;
    return p;
}

impression *impression_read(ecrec_impressions *log, reader *r, int32_t *status)
{
    impression head = { .event = read_u64(r) };
    head.snapshot = read_u64(r);
    head.time = read_i64(r);
    head.heads = read_u32(r);
    head.label_count = read_u32(r);
    head.deliveries = read_u32(r);
    *status = ECREC_ERR_FORMAT;
    /* a schema may have grown since; MOST_LABELS x MOST_CLASSES bounds nothing that the bytes do not bound first */
    if (r->failed || head.heads > log->heads || head.label_count > log->schema->label_count)
        return NULL;
    const size_t labels_at = r->position, labels = (size_t)head.label_count * 13, scores = (size_t)head.heads * sizeof(float);
    size_t length = 0;
    if (read_bytes(r, labels) == NULL || read_bytes(r, scores) == NULL)
        return NULL;
    const char *row = read_string(r, UINT32_MAX, &length);
    if (row == NULL)
        return NULL;
    head.length = (uint32_t)length;
    head.heads = log->heads; /* scores of labels appended since: not known */
    const uint32_t had_labels = head.label_count, had_scores = (uint32_t)(scores / sizeof(float));
    head.label_count = log->schema->label_count;
    impression *p = make(log, &head);
    if (p == NULL) {
        *status = ECREC_ERR_NOMEM;
        return NULL;
    }
    reader again = *r;
    again.position = labels_at;
    int sound = 1;
    for (uint32_t i = 0; i < had_labels; i++) {
        impression_label *l = &impression_labels(p)[i];
        l->flags = read_u8(&again);
        l->value = read_f32(&again);
        l->time = read_i64(&again);
        sound &= l->flags <= 7 && ((l->flags & LABEL_CAME) == 0 || label_can_be(&log->schema->labels[i], l->value));
    }
    for (uint32_t i = 0; i < head.heads; i++)
        impression_scores(p)[i] = i < had_scores ? read_f32(&again) : NAN;
    memcpy(impression_row(p), row, length);
    if (sound) {
        *status = ECREC_OK;
        return p;
    }
    memory_release(log->m, p, impression_size(p));
    return NULL;
}

/* ---- open and close ---- */

static int32_t take_options(ecrec_impressions *log, const ecrec_impressions_options *o, ecrec_error *err)
{
    ecrec_impressions_options *to = &log->o;
    *to = *o;
    to->group = o->group != 0 ? o->group : 16;
    to->most = o->most != 0 ? o->most : 1000000;
    to->most_bytes = o->most_bytes != 0 ? o->most_bytes : (uint64_t)1 << 30;
    to->most_age = o->most_age != 0 ? o->most_age : 30 * MICROSECOND_DAY;
    to->window = o->window != 0 ? o->window : 7 * MICROSECOND_DAY;
    to->timeout = o->timeout != 0 ? o->timeout : to->window;
    if (to->most_age < 0 || to->window < 0 || to->timeout < 0 || to->timeout > to->window || to->most > (uint64_t)1 << 32 || to->sync > ECREC_SYNC_NONE || to->repair > 1)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_options: most_age %lld, window %lld, timeout %lld (microseconds above 0, timeout at most window), most %llu, "
                         "sync %u or repair %u is out of range", (long long)to->most_age, (long long)to->window, (long long)to->timeout, (unsigned long long)to->most, to->sync,
                         to->repair);
    if (to->correction > ECREC_CORRECTION_DELAY || !(to->late_share >= 0 && to->late_share <= 1))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_options: correction %u (at most %d) or late_share %g (0 .. 1) is out of range", to->correction,
                         ECREC_CORRECTION_DELAY, to->late_share);
    if (to->timeout_label >= log->schema->label_count || log->schema->labels[to->timeout_label].kind != ECREC_LABEL_BINARY)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_options: timeout_label %u is no binary label of the schema", to->timeout_label);
    return ECREC_OK;
}

int32_t impressions_open(ecrec_context *context, const ecrec_schema *schema, const char *path, const ecrec_impressions_options *options,
                         const journal_io *io, ecrec_impressions **out, uint64_t *cut, ecrec_error *err)
{
    ecrec_impressions *log = memory_zero(&context->m, sizeof *log);
    if (log == NULL)
        return error_nomem(err, "an impression log", sizeof *log);
    log->context = context;
    context_reference(context);
    log->m = &context->m;
    log->schema = schema_reference((ecrec_schema *)(uintptr_t)schema); /* the count is not part of what a reader sees */
    log->heads = schema_outputs(schema);
    log->file = -1;
    int32_t status = take_options(log, options, err);
    if (status == ECREC_OK && path != NULL)
        status = impressions_file_open(log, path, io, cut, err);
    if (status == ECREC_OK)
        *out = log;
    else
        impressions_close(log);
    return status;
}

void impressions_close(ecrec_impressions *log)
{
    ecrec_context *context = log->context;
    impressions_file_close(log);
    for (size_t i = 0; i < log->count; i++)
        let_go(log, impression_at(log, i));
    memory_release(log->m, log->items, log->capacity * sizeof *log->items);
    memory_release(log->m, log->index, 2 * log->capacity * sizeof *log->index);
    memory_release(log->m, log->due, 2 * log->capacity * sizeof *log->due);
    memory_release(log->m, log->taken_events, log->taken_capacity * sizeof *log->taken_events);
    memory_release(log->m, log->taken_flags, log->taken_capacity * log->schema->label_count);
    memory_release(log->m, log->served, log->served_capacity * log->heads * sizeof *log->served);
    memory_release(log->m, log->snapshots, log->served_capacity * sizeof *log->snapshots);
    ecrec_schema_release(log->schema);
    memory_release(log->m, log, sizeof *log);
    context_release(context);
}

/* ---- calls that change it: made ready, written, then done without fail ---- */

static int32_t start_record(ecrec_impressions *log, buffer *b, ecrec_error *err)
{
    buffer_init(b, log->m);
    return buffer_zeros(b, IMPRESSION_HEADER) == ECREC_OK ? ECREC_OK : error_nomem(err, "a record", IMPRESSION_HEADER);
}

static int32_t make_impression(ecrec_impressions *log, const ecrec_batch *batch, size_t row, const float *scores, uint64_t snapshot, int64_t now, buffer *work,
                               impression **out)
{
    impression head = { .event = column_id(batch_row(batch, ROW_EVENT), row), .snapshot = snapshot, .time = now, .heads = log->heads,
                        .label_count = log->schema->label_count };
    work->length = 0;
    if (row_write(batch, row, work) != ECREC_OK || work->length > UINT32_MAX)
        return ECREC_ERR_NOMEM;
    head.length = (uint32_t)work->length;
    impression *p = make(log, &head);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    memcpy(impression_scores(p), scores + row * log->heads, log->heads * sizeof *scores);
    memcpy(impression_row(p), work->data, work->length);
    *out = p;
    return ECREC_OK;
}

static int32_t check_added(const ecrec_impressions *log, const ecrec_batch *batch, const float *scores, ecrec_error *err)
{
    const batch_column *ids = batch_row(batch, ROW_EVENT);
    int32_t status = batch_check(batch, log->schema, ECREC_BAD_ROWS_REFUSE, err);
    for (size_t i = 0; i < batch->rows && status == ECREC_OK; i++) {
        if (!column_has(ids, i))
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: it has no event id, by which its labels would find it (ecrec_batch_set_event)", i);
        if (impressions_find(log, column_id(ids, i)) != NULL)
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: event %llu is in the log already", i, (unsigned long long)column_id(ids, i));
        for (uint32_t h = 0; h < log->heads; h++)
            if (!isfinite(scores[i * log->heads + h]))
                return error_row(err, ECREC_ERR_INVALID, i, "row %zu: its score %g is not a number", i, (double)scores[i * log->heads + h]);
    }
    return status;
}

/* The newest, as they were put, are out of the log again. */
static void take_back(ecrec_impressions *log, impression **made, size_t n)
{
    for (size_t k = n; k-- > 0;) {
        unindex(log, made[k]->event);
        const size_t place = (log->first + --log->count) % log->capacity;
        log->items[place] = NULL;
        set_due(log, place, DUE_NEVER);
        log->bytes -= impression_size(made[k]);
        log->counts[COUNT_ADDED]--;
    }
}

/* Twice the same event among the new ones: known once they are put one after the other. */
static int32_t put_new(ecrec_impressions *log, impression **made, size_t n, ecrec_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (impressions_find(log, made[i]->event) != NULL) {
            take_back(log, made, i);
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: event %llu is twice in the batch", i, (unsigned long long)made[i]->event);
        }
        impressions_put(log, made[i]);
    }
    return ECREC_OK;
}

int32_t impressions_add(ecrec_impressions *log, const ecrec_batch *batch, const float *scores, uint64_t snapshot, int64_t now, ecrec_error *err)
{
    const size_t n = batch->rows, room = memory_product(n + 1, sizeof(impression *));
    buffer record, work;
    int32_t status = check_added(log, batch, scores, err);
    if (status != ECREC_OK || n == 0 || (status = impressions_file_tidy(log, err)) != ECREC_OK)
        return status;
    impression **made = memory_zero(log->m, room);
    buffer_init(&work, log->m);
    status = start_record(log, &record, err);
    if (status == ECREC_OK && (made == NULL || impressions_reserve(log, n) != ECREC_OK || write_u32(&record, (uint32_t)n) != ECREC_OK))
        status = error_nomem(err, "the impressions", room);
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        if ((status = make_impression(log, batch, i, scores, snapshot, now, &work, &made[i])) != ECREC_OK || impression_write(made[i], &record) != ECREC_OK)
            status = error_nomem(err, "the impressions", record.capacity);
    int put = 0;
    if (status == ECREC_OK && (status = put_new(log, made, n, err)) == ECREC_OK) {
        put = 1;
        if ((status = impressions_file_append(log, RECORD_ADD, &record, err)) != ECREC_OK) {
            take_back(log, made, n);
            put = 0;
        }
    }
    for (size_t i = 0; i < n && made != NULL && !put; i++)
        if (made[i] != NULL)
            memory_release(log->m, made[i], impression_size(made[i]));
    memory_release(log->m, made, made != NULL ? room : 0);
    buffer_release(&record);
    buffer_release(&work);
    if (status == ECREC_OK)
        impressions_bound(log, now);
    return status;
}

int32_t impressions_label(ecrec_impressions *log, uint32_t label, const uint64_t *events, const float *values, size_t n, int64_t now, size_t *joined,
                          ecrec_error *err)
{
    buffer record;
    const uint64_t before = log->counts[COUNT_JOINED];
    for (size_t i = 0; i < n; i++)
        if (!label_can_be(&log->schema->labels[label], values[i]))
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: label \"%s\" cannot be %g", i, log->schema->labels[label].name, (double)values[i]);
    int32_t status = start_record(log, &record, err);
    if (status == ECREC_OK &&
        (write_i64(&record, now) != ECREC_OK || write_u32(&record, label) != ECREC_OK || write_u32(&record, (uint32_t)n) != ECREC_OK))
        status = error_nomem(err, "a record", 16);
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        if (write_u64(&record, events[i]) != ECREC_OK || write_f32(&record, values[i]) != ECREC_OK)
            status = error_nomem(err, "a record", 12 * n);
    if (status == ECREC_OK && n != 0 && (status = impressions_file_append(log, RECORD_LABELS, &record, err)) == ECREC_OK)
        for (size_t i = 0; i < n; i++)
            impressions_join(log, label, events[i], values[i], now);
    buffer_release(&record);
    if (status == ECREC_OK && joined != NULL)
        *joined = (size_t)(log->counts[COUNT_JOINED] - before);
    return status;
}

/* Whether the row has this value; a row that is damaged is told before any goes. */
static int32_t whose(const ecrec_impressions *log, const impression *p, uint32_t field, const char *value, size_t length, uint8_t *is, ecrec_error *err)
{
    const row_bytes row = { impression_row(p), p->length };
    ecrec_batch *b = NULL;
    size_t n = 0;
    const int32_t status = rows_batch(log->schema, &row, 1, &b, err);
    if (status != ECREC_OK)
        return status;
    const batch_column *c = &b->columns[field];
    const char *text = column_has(c, 0) ? column_text(c, 0, &n) : NULL;
    *is = text != NULL && n == length && (n == 0 || memcmp(text, value, n) == 0);
    ecrec_batch_release(b);
    return ECREC_OK;
}

int32_t impressions_forget(ecrec_impressions *log, uint32_t field, const char *value, size_t length, uint64_t *dropped, ecrec_error *err)
{
    const size_t n = log->count;
    uint64_t gone = 0;
    uint8_t *is = memory_zero(log->m, n + 1);
    int32_t status = is != NULL ? ECREC_OK : error_nomem(err, "the impressions to forget", n + 1);
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        status = whose(log, impression_at(log, i), field, value, length, &is[i], err);
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        gone += is[i];
    if (status == ECREC_OK && gone != 0 && drop_some(log, is) != ECREC_OK)
        status = error_nomem(err, "the impressions that are left", log->capacity * sizeof *log->items);
    memory_release(log->m, is, n + 1);
    if (status != ECREC_OK)
        return status;
    log->taken = 0;
    if (dropped != NULL)
        *dropped = gone;
    return gone != 0 && log->file >= 0 ? impressions_file_compact(log, err) : ECREC_OK;
}
