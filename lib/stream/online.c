#include "stream/online.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/report.h"
#include "measure/metrics.h"

enum { VERSION = 1, STORE_CHUNK = 64 };
enum { MOST_WINDOW_IDS = 1 << 26, MOST_RESERVE = 1 << 20, MOST_RESERVOIR = 1 << 24 };
#define MOST_ROW_BYTES ((uint64_t)1 << 38)
enum { STREAM_RESERVE = 1, STREAM_RESERVOIR = 2, STREAM_REPLAY = 3 };

void ecrec_online_options_init(ecrec_online_options *options)
{
    static const ecrec_online_options defaults = ECREC_ONLINE_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static uint64_t bits_of(double value)
{
    union { double value; uint64_t bits; } u = { .value = value };
    return u.bits;
}

/* ---- the tensors ---- */

static int32_t damaged(ecrec_error *err, const char *what)
{
    return error_set(err, ECREC_ERR_FORMAT, "what the ranker remembers of its rows is damaged: %s", what);
}

static int is_table(const tensor *t, int32_t layout, int32_t type, uint64_t rows, uint64_t columns)
{
    return t != NULL && t->layout == layout && t->type == type && t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns;
}

/* A table that is there exactly when it has rows. */
static int32_t table_of(const tensor_set *set, const char *name, uint64_t rows, uint64_t columns, tensor **out, ecrec_error *err)
{
    tensor *t = tensor_set_get(set, name);
    *out = rows != 0 ? t : NULL;
    if ((rows == 0) != (t == NULL) || (rows != 0 && !is_table(t, LAYOUT_CHUNKS, TYPE_U64, rows, columns)))
        return error_set(err, ECREC_ERR_FORMAT, "what the ranker remembers of its rows is damaged: tensor \"%s\" does not have %llu rows", name,
                         (unsigned long long)rows);
    return ECREC_OK;
}

static int sound_words(const online *o)
{
    const uint64_t *w = o->words;
    const double confidence = online_double(o, ONLINE_CONFIDENCE), boost = online_double(o, ONLINE_BOOST);
    const double tolerance = online_double(o, ONLINE_TOLERANCE), threshold = online_double(o, ONLINE_THRESHOLD);
    return w[ONLINE_VERSION] == VERSION && w[ONLINE_EVENTS] <= MOST_WINDOW_IDS && w[ONLINE_RESERVE] <= MOST_RESERVE && w[ONLINE_RESERVOIR] <= MOST_RESERVOIR &&
           w[ONLINE_CELLS] <= MOST_ROW_BYTES / CELL_BYTES && w[ONLINE_CELLS] <= UINT32_MAX && w[ONLINE_RESERVE_EVERY] >= 1 &&
           w[ONLINE_RESERVE_EVERY] <= UINT32_MAX && w[ONLINE_DRIFT] <= 3 && w[ONLINE_WINDOW] >= 1 && w[ONLINE_WINDOW] <= UINT32_MAX && confidence > 0 &&
           confidence < 1 && tolerance >= 0 && isfinite(tolerance) && threshold > 0 && isfinite(threshold) && boost >= 1 && boost <= 100 &&
           w[ONLINE_BOOST_ROWS] <= UINT32_MAX && w[ONLINE_BOOST_LEFT] <= w[ONLINE_BOOST_ROWS] && w[ONLINE_FRESH] <= w[ONLINE_CELLS] &&
           w[ONLINE_FREE] <= w[ONLINE_CELLS] && w[ONLINE_LIVE] <= w[ONLINE_FRESH];
}

static int32_t check_dense(const online *o, const ecrec_schema *schema, ecrec_error *err)
{
    if (!is_table(o->window, LAYOUT_ROWS, TYPE_F64, schema->label_count, WINDOW_COLUMNS))
        return damaged(err, "tensor \"learn.window\"");
    for (size_t i = 0; i < o->window->bytes / sizeof(double); i++)
        if (!isfinite(((const double *)o->window->data)[i]))
            return damaged(err, "tensor \"learn.window\" holds what is no number");
    if (o->drift == NULL)
        return o->words[ONLINE_DRIFT] == 0 ? ECREC_OK : damaged(err, "tensor \"learn.drift\" is missing");
    if (!is_table(o->drift, LAYOUT_ROWS, TYPE_F64, schema->label_count, ADWIN_SIZE + PAGE_HINKLEY_SIZE))
        return damaged(err, "tensor \"learn.drift\"");
    for (uint32_t l = 0; l < schema->label_count; l++) {
        const double *d = (const double *)o->drift->data + (size_t)l * (ADWIN_SIZE + PAGE_HINKLEY_SIZE);
        if (!adwin_sound(d) || !page_hinkley_sound(d + ADWIN_SIZE))
            return damaged(err, "tensor \"learn.drift\" is no state of a detector");
    }
    return ECREC_OK;
}

int32_t online_view(online *o, const tensor_set *set, const ecrec_schema *schema, ecrec_error *err)
{
    memset(o, 0, sizeof *o);
    tensor *state = tensor_set_get(set, "learn.online");
    if (state == NULL)
        return ECREC_OK;
    if (!is_table(state, LAYOUT_ROWS, TYPE_U64, 1, ONLINE_WORDS))
        return damaged(err, "tensor \"learn.online\"");
    o->state = state;
    o->words = (uint64_t *)(uintptr_t)state->data;
    if (!sound_words(o))
        return damaged(err, "its settings are impossible");
    const uint64_t *w = o->words;
    o->drift = tensor_set_get(set, "learn.drift");
    o->window = tensor_set_get(set, "learn.window");
    int32_t status = check_dense(o, schema, err);
    if (status != ECREC_OK ||
        (status = table_of(set, "learn.events", w[ONLINE_EVENTS], 1, &o->seen.ring, err)) != ECREC_OK ||
        (status = table_of(set, "learn.seen", w[ONLINE_EVENTS] != 0 ? events_table_size(w[ONLINE_EVENTS]) : 0, 1, &o->seen.table, err)) != ECREC_OK ||
        (status = table_of(set, "learn.cells", w[ONLINE_CELLS], CELL_WORDS, &o->cells.t, err)) != ECREC_OK ||
        (status = table_of(set, "learn.reserve", w[ONLINE_RESERVE], 1, &o->reserve, err)) != ECREC_OK ||
        (status = table_of(set, "learn.reservoir", w[ONLINE_RESERVOIR], 1, &o->reservoir, err)) != ECREC_OK)
        return status;
    if ((o->reserve != NULL || o->reservoir != NULL) && o->cells.t == NULL)
        return damaged(err, "there is no room for rows");
    o->seen.count = &o->words[ONLINE_EVENT_COUNT];
    o->cells.free = &o->words[ONLINE_FREE];
    o->cells.fresh = &o->words[ONLINE_FRESH];
    o->cells.live = &o->words[ONLINE_LIVE];
    return ECREC_OK;
}

/* A copy (dense) or fork (chunked) of our own in the set. */
static int32_t own(memory *m, tensor_set *set, const char *name, ecrec_error *err)
{
    const tensor *old = tensor_set_get(set, name);
    tensor *t = NULL;
    if (old == NULL)
        return ECREC_OK;
    int32_t status = old->layout == LAYOUT_CHUNKS ? tensor_fork(old, &t) : tensor_create(m, old->type, old->layout, old->rank, old->shape, &t);
    if (status == ECREC_OK && old->layout != LAYOUT_CHUNKS)
        memcpy(tensor_edit(t), old->data, old->bytes);
    if (status == ECREC_OK)
        status = tensor_set_put(set, name, t);
    tensor_release(t);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, name, 0);
}

static const char *const tensors[] = { "learn.online", "learn.events", "learn.seen", "learn.cells", "learn.reserve", "learn.reservoir", "learn.drift", "learn.window" };

int32_t online_open(online *o, memory *m, tensor_set *set, const ecrec_schema *schema, ecrec_error *err)
{
    int32_t status = online_view(o, set, schema, err);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors && status == ECREC_OK && o->words != NULL; i++)
        status = own(m, set, tensors[i], err);
    if (status == ECREC_OK)
        status = online_view(o, set, schema, err);
    o->m = m;
    return status;
}

/* ---- settings ---- */

static int32_t settings_of(const ecrec_online_options *o, uint64_t words[ONLINE_WORDS], ecrec_error *err)
{
    const double confidence = o->drift_confidence != 0 ? o->drift_confidence : 0.002, boost = o->boost != 0 ? o->boost : 1;
    const double tolerance = o->drift_tolerance != 0 ? o->drift_tolerance : 0.005, threshold = o->drift_threshold != 0 ? o->drift_threshold : 50;
    const uint64_t room = o->row_bytes != 0 ? o->row_bytes : (uint64_t)64 << 20;
    if (o->events > MOST_WINDOW_IDS || o->reserve > MOST_RESERVE || o->reservoir > MOST_RESERVOIR || room > MOST_ROW_BYTES || room < CELL_BYTES)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_online_options: events %u (at most %d), reserve %u (%d), reservoir %u (%d) or row_bytes %llu (64 .. 2^38) is out of range",
                         o->events, MOST_WINDOW_IDS, o->reserve, MOST_RESERVE, o->reservoir, MOST_RESERVOIR, (unsigned long long)room);
    if (o->drift > 3 || !(confidence > 0 && confidence < 1) || !(tolerance >= 0 && tolerance < 1) || !(threshold > 0 && threshold < 1e9) || !(boost >= 1 && boost <= 100))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_online_options: drift %u (at most 3), drift_confidence %g (0 .. 1), drift_tolerance %g (0 .. 1), "
                         "drift_threshold %g (above 0) or boost %g (1 .. 100) is out of range", o->drift, confidence, tolerance, threshold, boost);
    memset(words, 0, ONLINE_WORDS * sizeof *words);
    words[ONLINE_VERSION] = VERSION;
    words[ONLINE_EVENTS] = o->events;
    words[ONLINE_RESERVE] = o->reserve;
    words[ONLINE_RESERVE_EVERY] = o->reserve_every != 0 ? o->reserve_every : 8;
    words[ONLINE_RESERVOIR] = o->reservoir;
    words[ONLINE_CELLS] = o->reserve != 0 || o->reservoir != 0 ? room / CELL_BYTES : 0;
    words[ONLINE_CELLS] -= words[ONLINE_CELLS] == MOST_ROW_BYTES / CELL_BYTES; /* a cell's number + 1 has 32 bits */
    words[ONLINE_SEED] = o->seed;
    words[ONLINE_DRIFT] = o->drift;
    words[ONLINE_WINDOW] = o->window != 0 ? o->window : 1000;
    words[ONLINE_CONFIDENCE] = bits_of(confidence);
    words[ONLINE_TOLERANCE] = bits_of(tolerance);
    words[ONLINE_THRESHOLD] = bits_of(threshold);
    words[ONLINE_BOOST] = bits_of(boost);
    words[ONLINE_BOOST_ROWS] = o->boost_rows != 0 ? o->boost_rows : 1000;
    return ECREC_OK;
}

static int32_t put_table(memory *m, tensor_set *set, const char *name, uint64_t rows, uint64_t columns, uint64_t chunk, ecrec_error *err)
{
    tensor *t = NULL;
    (void)tensor_set_remove(set, name);
    if (rows == 0)
        return ECREC_OK;
    int32_t status = tensor_chunked(m, TYPE_U64, rows, columns, chunk, &t);
    if (status == ECREC_OK)
        status = tensor_set_put(set, name, t);
    tensor_release(t);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, name, 0);
}

static int32_t put_dense(memory *m, tensor_set *set, const char *name, int32_t type, uint64_t rows, uint64_t columns, const void *content, ecrec_error *err)
{
    const uint64_t shape[2] = { rows, columns };
    tensor *t = NULL;
    (void)tensor_set_remove(set, name);
    int32_t status = tensor_create(m, type, LAYOUT_ROWS, 2, shape, &t);
    if (status == ECREC_OK) {
        if (content != NULL)
            memcpy(tensor_edit(t), content, t->bytes);
        else
            memset(tensor_edit(t), 0, t->bytes);
        status = tensor_set_put(set, name, t);
    }
    tensor_release(t);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, name, 0);
}

static void carry(uint64_t *to, const uint64_t *from, int first, int last)
{
    memcpy(to + first, from + first, (size_t)(last - first + 1) * sizeof *to);
}

int32_t online_configure(memory *m, tensor_set *set, const ecrec_schema *schema, const ecrec_online_options *options, ecrec_error *err)
{
    uint64_t words[ONLINE_WORDS], old[ONLINE_WORDS] = { 0 };
    online before;
    if (options == NULL) {
        for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
            (void)tensor_set_remove(set, tensors[i]);
        return ECREC_OK;
    }
    int32_t status = settings_of(options, words, err);
    if (status != ECREC_OK || (status = online_view(&before, set, schema, err)) != ECREC_OK)
        return status;
    if (before.words != NULL)
        memcpy(old, before.words, sizeof old);
    const int events = before.words == NULL || old[ONLINE_EVENTS] != words[ONLINE_EVENTS];
    const int rows = before.words == NULL || old[ONLINE_RESERVE] != words[ONLINE_RESERVE] || old[ONLINE_RESERVOIR] != words[ONLINE_RESERVOIR] ||
                     old[ONLINE_CELLS] != words[ONLINE_CELLS];
    const int drift = before.words == NULL || old[ONLINE_DRIFT] != words[ONLINE_DRIFT];
    if (!events)
        carry(words, old, ONLINE_EVENT_COUNT, ONLINE_EVENT_COUNT);
    if (!rows) {
        carry(words, old, ONLINE_ROWS, ONLINE_LIVE);
        carry(words, old, ONLINE_REPLAYS, ONLINE_REPLAYS);
    }
    carry(words, old, ONLINE_DRIFTS, ONLINE_REPEATS);
    if (events && ((status = put_table(m, set, "learn.events", words[ONLINE_EVENTS], 1, EVENTS_CHUNK, err)) != ECREC_OK ||
                   (status = put_table(m, set, "learn.seen", words[ONLINE_EVENTS] != 0 ? events_table_size(words[ONLINE_EVENTS]) : 0, 1, EVENTS_CHUNK, err)) != ECREC_OK))
        return status;
    if (rows && ((status = put_table(m, set, "learn.cells", words[ONLINE_CELLS], CELL_WORDS, CELL_CHUNK, err)) != ECREC_OK ||
                 (status = put_table(m, set, "learn.reserve", words[ONLINE_RESERVE], 1, STORE_CHUNK, err)) != ECREC_OK ||
                 (status = put_table(m, set, "learn.reservoir", words[ONLINE_RESERVOIR], 1, STORE_CHUNK, err)) != ECREC_OK))
        return status;
    if (drift) {
        (void)tensor_set_remove(set, "learn.drift");
        if (words[ONLINE_DRIFT] != 0 &&
            (status = put_dense(m, set, "learn.drift", TYPE_F64, schema->label_count, ADWIN_SIZE + PAGE_HINKLEY_SIZE, NULL, err)) != ECREC_OK)
            return status;
    }
    if (before.words == NULL && (status = put_dense(m, set, "learn.window", TYPE_F64, schema->label_count, WINDOW_COLUMNS, NULL, err)) != ECREC_OK)
        return status;
    return put_dense(m, set, "learn.online", TYPE_U64, 1, ONLINE_WORDS, words, err);
}

/* ---- rows ---- */

static uint64_t entry(const tensor *t, uint64_t at)
{
    const uint64_t *e = tensor_row(t, at);
    return e != NULL ? *e : 0;
}

static int32_t explain(int32_t status, ecrec_error *err)
{
    if (status == ECREC_ERR_NOMEM)
        return error_nomem(err, "the rows kept", 0);
    return status == ECREC_ERR_FORMAT ? damaged(err, "a row's cells") : status;
}

/* What a store holds at a place goes. */
static int32_t clear(online *o, tensor *store, uint64_t at)
{
    const uint64_t first = entry(store, at);
    if (first == 0)
        return ECREC_OK;
    uint64_t *e = tensor_row_edit(store, at);
    if (e == NULL)
        return ECREC_ERR_NOMEM;
    *e = 0;
    return cells_drop(&o->cells, first);
}

static uint64_t cells_of(const buffer *bytes)
{
    return bytes->length / CELL_PAYLOAD + 1;
}

/* The bytes at a place of a store; where there is no room for them the place stays empty. The reservoir leaves a quarter to the reserve, but a row
 * that takes no more than the ones before it did (`lived` cells were in use with them) may come in their stead, or it would melt away. */
static int32_t put(online *o, tensor *store, uint64_t at, const buffer *bytes, uint64_t lived)
{
    uint64_t first = 0;
    const uint64_t room = o->words[ONLINE_CELLS], quarter = store == o->reservoir && o->reserve != NULL ? room / 4 : 0;
    const uint64_t most = lived > room - quarter ? lived : room - quarter;
    int32_t status = clear(o, store, at);
    if (status == ECREC_OK && *o->cells.live + cells_of(bytes) > most)
        return ECREC_OK;
    if (status != ECREC_OK || (status = cells_put(&o->cells, bytes->data, bytes->length, &first)) != ECREC_OK)
        return status == ECREC_ERR_LIMIT ? ECREC_OK : status;
    uint64_t *e = tensor_row_edit(store, at);
    if (e == NULL)
        return ECREC_ERR_NOMEM;
    *e = first;
    return ECREC_OK;
}

/* In a full memory the reserve's oldest rows make room for its newest. */
static int32_t put_reserve(online *o, const buffer *bytes)
{
    const uint64_t capacity = o->words[ONLINE_RESERVE], now = o->words[ONLINE_RESERVE_COUNT]++;
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < capacity && status == ECREC_OK && *o->cells.live + cells_of(bytes) > o->words[ONLINE_CELLS]; i++)
        status = clear(o, o->reserve, (now + i) % capacity);
    return status == ECREC_OK ? put(o, o->reserve, now % capacity, bytes, *o->cells.live) : status;
}

int online_has(const tensor *store, uint64_t at)
{
    return entry(store, at) != 0;
}

int32_t online_bytes(const online *o, const tensor *store, uint64_t at, buffer *out, ecrec_error *err)
{
    const uint64_t first = entry(store, at);
    return first != 0 ? explain(cells_get(&o->cells, first, out), err) : ECREC_OK;
}

int32_t online_clear(online *o, uint64_t at, ecrec_error *err)
{
    return explain(clear(o, o->reservoir, at), err);
}

int32_t online_put(online *o, uint64_t at, const buffer *bytes, uint64_t lived, ecrec_error *err)
{
    return explain(put(o, o->reservoir, at, bytes, lived), err);
}

int32_t online_put_reserve(online *o, const buffer *bytes, ecrec_error *err)
{
    return explain(put_reserve(o, bytes), err);
}

static int labelled(const ecrec_batch *b, size_t row)
{
    for (uint32_t l = 0; l < b->schema->label_count; l++)
        if (column_has(batch_label(b, l), row))
            return 1;
    return 0;
}

int32_t online_keep(online *o, const ecrec_batch *batch, size_t row, buffer *work, ecrec_error *err)
{
    random_stream random;
    if ((o->reserve == NULL && o->reservoir == NULL) || !labelled(batch, row))
        return ECREC_OK;
    const uint64_t number = o->words[ONLINE_ROWS]++;
    uint64_t at = UINT64_MAX;
    random_init(&random, o->words[ONLINE_SEED] ^ number, STREAM_RESERVE);
    const int reserved = o->reserve != NULL && random_below(&random, o->words[ONLINE_RESERVE_EVERY]) == 0;
    if (!reserved && o->reservoir != NULL) {
        const uint64_t offered = ++o->words[ONLINE_RESERVOIR_COUNT], capacity = o->words[ONLINE_RESERVOIR];
        random_init(&random, o->words[ONLINE_SEED] ^ number, STREAM_RESERVOIR);
        at = offered <= capacity ? offered - 1 : random_below(&random, offered);
        if (at >= capacity)
            return ECREC_OK;
    }
    if (!reserved && at == UINT64_MAX)
        return ECREC_OK;
    work->length = 0;
    int32_t status = row_write(batch, row, work);
    if (status == ECREC_OK)
        status = reserved ? put_reserve(o, work) : put(o, o->reservoir, at, work, *o->cells.live);
    return explain(status, err);
}

int32_t online_rows(const online *o, const ecrec_schema *schema, const tensor *store, const uint64_t *entries, size_t n, ecrec_batch **out, ecrec_error *err)
{
    buffer bytes;
    const size_t room = memory_product(n + 1, sizeof(row_bytes) + sizeof(size_t));
    row_bytes *rows = memory_allocate(o->m, room);
    size_t *ends = (size_t *)(void *)(rows + n + 1), count = 0;
    *out = NULL;
    if (rows == NULL)
        return error_nomem(err, "the rows kept", room);
    buffer_init(&bytes, o->m);
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        const uint64_t first = entry(store, entries[i]);
        if (first == 0)
            continue;
        status = explain(cells_get(&o->cells, first, &bytes), err);
        ends[count++] = bytes.length;
    }
    for (size_t i = 0; i < count && status == ECREC_OK; i++) {
        const size_t start = i > 0 ? ends[i - 1] : 0;
        rows[i] = (row_bytes){ bytes.data != NULL ? bytes.data + start : NULL, ends[i] - start };
    }
    if (status == ECREC_OK && count > 0)
        status = rows_batch(schema, rows, count, out, err);
    buffer_release(&bytes);
    memory_release(o->m, rows, room);
    return status;
}

static uint64_t held(uint64_t count, uint64_t capacity)
{
    return count < capacity ? count : capacity;
}

int32_t online_reserve(const online *o, const ecrec_schema *schema, size_t most, ecrec_batch **out, ecrec_error *err)
{
    *out = NULL;
    if (o->reserve == NULL)
        return ECREC_OK;
    const uint64_t count = o->words[ONLINE_RESERVE_COUNT], capacity = o->words[ONLINE_RESERVE], there = held(count, capacity);
    const size_t stride = (size_t)((there + most - 1) / most), room = memory_product((size_t)there + 1, sizeof(uint64_t));
    uint64_t *entries = memory_allocate(o->m, room);
    size_t n = 0;
    if (entries == NULL)
        return error_nomem(err, "the reserve", room);
    for (uint64_t i = 0; i < there; i += stride)
        entries[n++] = (count - there + i) % capacity;
    const int32_t status = online_rows(o, schema, o->reserve, entries, n, out, err);
    memory_release(o->m, entries, room);
    return status;
}

int32_t online_replay(online *o, const ecrec_schema *schema, size_t n, ecrec_batch **out, ecrec_error *err)
{
    random_stream random;
    *out = NULL;
    const uint64_t there = o->reservoir != NULL ? held(o->words[ONLINE_RESERVOIR_COUNT], o->words[ONLINE_RESERVOIR]) : 0;
    if (there == 0 || n == 0)
        return ECREC_OK;
    const size_t room = memory_product(n, sizeof(uint64_t));
    uint64_t *entries = memory_allocate(o->m, room);
    if (entries == NULL)
        return error_nomem(err, "the rows to replay", room);
    random_init(&random, o->words[ONLINE_SEED] ^ o->words[ONLINE_REPLAYS]++, STREAM_REPLAY);
    for (size_t i = 0; i < n; i++)
        entries[i] = random_below(&random, there);
    const int32_t status = online_rows(o, schema, o->reservoir, entries, n, out, err);
    memory_release(o->m, entries, room);
    return status;
}

static int32_t forget_in(online *o, const ecrec_schema *schema, tensor *store, online_whose whose, void *opaque, double *dropped, ecrec_error *err)
{
    for (uint64_t i = 0; store != NULL && i < store->shape[0]; i++) {
        ecrec_batch *row = NULL;
        int32_t status = entry(store, i) != 0 ? online_rows(o, schema, store, &i, 1, &row, err) : ECREC_OK;
        if (status == ECREC_OK && row != NULL && whose(opaque, row, 0)) {
            *dropped += 1;
            status = explain(clear(o, store, i), err);
        }
        ecrec_batch_release(row);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

int32_t online_forget(online *o, const ecrec_schema *schema, online_whose whose, void *opaque, double *dropped, ecrec_error *err)
{
    const int32_t status = forget_in(o, schema, o->reserve, whose, opaque, dropped, err);
    return status == ECREC_OK ? forget_in(o, schema, o->reservoir, whose, opaque, dropped, err) : status;
}

/* ---- the report ---- */

static double occupied(const tensor *store)
{
    double n = 0;
    for (uint64_t i = 0; store != NULL && i < store->shape[0]; i++)
        n += entry(store, i) != 0;
    return n;
}

static void tell_window(ecrec_report *r, const char *name, const char *which, const double *w)
{
    char label[256];
    metrics_label_key(name, label);
    report_numberf(r, w[WINDOW_ROWS], "labels.%s.%srows", label, which);
    report_numberf(r, w[WINDOW_ROWS] > 0 ? w[WINDOW_LOSS] / w[WINDOW_ROWS] : 0, "labels.%s.%sloss", label, which);
    report_numberf(r, w[WINDOW_LABEL] != 0 ? w[WINDOW_PREDICTION] / w[WINDOW_LABEL] : 0, "labels.%s.%scalibration", label, which);
}

int32_t online_tell(const online *o, ecrec_context *context, const ecrec_schema *schema, ecrec_report **out, ecrec_error *err)
{
    ecrec_report *r = NULL;
    int32_t status = report_create(context, "online", &r, err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "configured", o->words != NULL);
    if (o->words != NULL) {
        const uint64_t *w = o->words;
        report_number(r, "events.window", (double)w[ONLINE_EVENTS]);
        report_number(r, "events.known", (double)held(w[ONLINE_EVENT_COUNT], w[ONLINE_EVENTS]));
        report_number(r, "reserve.rows", occupied(o->reserve));
        report_number(r, "reserve.most", (double)w[ONLINE_RESERVE]);
        report_number(r, "reservoir.rows", occupied(o->reservoir));
        report_number(r, "reservoir.most", (double)w[ONLINE_RESERVOIR]);
        report_number(r, "reservoir.offered", (double)w[ONLINE_RESERVOIR_COUNT]);
        report_number(r, "bytes", (double)w[ONLINE_LIVE] * CELL_BYTES);
        report_number(r, "repeats", (double)w[ONLINE_REPEATS]);
        report_number(r, "drifts", (double)w[ONLINE_DRIFTS]);
        report_number(r, "boost_rows_left", (double)w[ONLINE_BOOST_LEFT]);
        for (uint32_t l = 0; l < schema->label_count; l++) {
            const double *window = (const double *)o->window->data + (size_t)l * WINDOW_COLUMNS;
            tell_window(r, schema->labels[l].name, "", window);
            tell_window(r, schema->labels[l].name, "window.", window + 8);
        }
    }
    if ((status = report_finish(r, err)) == ECREC_OK)
        *out = r;
    else
        ecrec_report_release(r);
    return status;
}
