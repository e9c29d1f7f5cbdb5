#include "learn/merge_memory.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "stream/online.h"

enum { STREAM_MERGE = 4 };

typedef struct memories {
    memory *m;
    const ecrec_schema *schema;
    online base, next, *workers;
    size_t n;
    random_stream random;
    ecrec_error *err;
} memories;

/* What a worker added to a count of the base. */
static uint64_t added(const memories *g, size_t k, int word)
{
    const uint64_t now = g->workers[k].words[word], before = g->base.words[word];
    return now > before ? now - before : 0;
}

static uint64_t added_by_all(const memories *g, int word)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < g->n; k++)
        sum += added(g, k, word);
    return sum;
}

/* How far back the workers' newest go when each gives as many in turn and there is room for `room`. */
static uint64_t turns(const memories *g, int word, uint64_t room)
{
    uint64_t least = 0, most = 0;
    for (size_t k = 0; k < g->n; k++)
        most = added(g, k, word) > most ? added(g, k, word) : most;
    most = most < room ? most : room;
    while (least < most) { /* the first number of turns that fills the room, or takes all */
        const uint64_t middle = least + (most - least) / 2;
        uint64_t taken = 0;
        for (size_t k = 0; k < g->n && taken < room; k++)
            taken += added(g, k, word) < middle ? added(g, k, word) : middle;
        if (taken >= room)
            most = middle;
        else
            least = middle + 1;
    }
    return least;
}

static int32_t merge_events(memories *g)
{
    const uint64_t window = g->base.words[ONLINE_EVENTS];
    for (uint64_t back = turns(g, ONLINE_EVENT_COUNT, window); back > 0; back--)
        for (size_t k = 0; k < g->n; k++) {
            int known = 0;
            if (added(g, k, ONLINE_EVENT_COUNT) < back)
                continue;
            const uint64_t *id = tensor_row(g->workers[k].seen.ring, (g->workers[k].words[ONLINE_EVENT_COUNT] - back) % window);
            const int32_t status = events_see(&g->next.seen, id != NULL ? *id : 0, &known);
            if (status != ECREC_OK)
                return status == ECREC_ERR_NOMEM ? error_nomem(g->err, "learn.events", 0) : error_set(g->err, status, "delta %zu: the events are damaged", k);
        }
    return ECREC_OK;
}

/* ---- rows ---- */

typedef struct place { uint32_t worker, at; } place; /* a reservoir has at most 2^24 places, a merge 1,024 workers */

static double share(uint64_t capacity, double offered)
{
    return offered > (double)capacity ? (double)capacity / offered : 1;
}

/* The first `chosen` of a list are a sample of it. */
static void sample(memories *g, place *list, size_t n, size_t chosen)
{
    for (size_t i = 0; i < chosen; i++) {
        const size_t other = i + (size_t)random_below(&g->random, n - i);
        const place kept = list[other];
        list[other] = list[i];
        list[i] = kept;
    }
}

/* Whether a worker's place holds a row that the base's does not: rows stay where they are until another takes their place. */
static int32_t is_new(memories *g, const online *worker, uint64_t at, buffer *own, buffer *old, int *is)
{
    own->length = old->length = 0;
    int32_t status = online_bytes(worker, worker->reservoir, at, own, g->err);
    if (status == ECREC_OK)
        status = online_bytes(&g->base, g->base.reservoir, at, old, g->err);
    *is = status == ECREC_OK && own->length != 0 && (own->length != old->length || memcmp(own->data, old->data, own->length) != 0);
    return status;
}

/* Places of rows that workers added, as many of each as it is due: list[0 .. *chosen). */
static int32_t choose_new(memories *g, place *list, buffer work[2], size_t *chosen)
{
    const uint64_t capacity = g->base.words[ONLINE_RESERVOIR], before = g->base.words[ONLINE_RESERVOIR_COUNT];
    const double all = (double)before + (double)added_by_all(g, ONLINE_RESERVOIR_COUNT);
    double due = random_float(&g->random); /* one offset: sums of shares are rounded, not each of them */
    *chosen = 0;
    for (uint32_t k = 0; k < g->n; k++) {
        const uint64_t own = added(g, k, ONLINE_RESERVOIR_COUNT);
        size_t n = 0;
        for (uint64_t at = 0; own != 0 && at < capacity; at++) {
            int is = 0;
            const int32_t status = is_new(g, &g->workers[k], at, &work[0], &work[1], &is);
            if (status != ECREC_OK)
                return status;
            list[*chosen + n] = (place){ k, (uint32_t)at };
            n += (size_t)is;
        }
        due += (double)n * share(capacity, all) / share(capacity, (double)before + (double)own);
        const size_t most = (size_t)capacity - *chosen, wanted = due > (double)*chosen ? (size_t)due - *chosen : 0;
        const size_t taken = wanted < n ? (wanted < most ? wanted : most) : (n < most ? n : most);
        sample(g, list + *chosen, n, taken);
        *chosen += taken;
    }
    return ECREC_OK;
}

/* Some of the base's rows go, so that of all there are as many as there shall be; list: room for its places. */
static int32_t thin_base(memories *g, place *list, size_t chosen)
{
    const uint64_t capacity = g->base.words[ONLINE_RESERVOIR], before = g->base.words[ONLINE_RESERVOIR_COUNT];
    const double all = (double)before + (double)added_by_all(g, ONLINE_RESERVOIR_COUNT);
    const double most = all < (double)capacity ? all : (double)capacity;
    size_t n = 0;
    for (uint64_t at = 0; at < capacity; at++)
        if (online_has(g->base.reservoir, at))
            list[n++] = (place){ 0, (uint32_t)at };
    size_t left = most > (double)chosen ? (size_t)(most - (double)chosen) : 0;
    if ((double)n < (double)before && n < capacity) /* for want of memory it holds fewer than it could: thinned as the others are */
        left = (size_t)((double)n * share(capacity, all) / share(capacity, (double)before) + (double)random_float(&g->random));
    const size_t gone = left < n ? n - left : 0;
    sample(g, list, n, gone);
    for (size_t i = 0; i < gone; i++) {
        const int32_t status = online_clear(&g->next, list[i].at, g->err);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

static int32_t merge_reservoir(memories *g, buffer work[2])
{
    const uint64_t capacity = g->base.words[ONLINE_RESERVOIR];
    const size_t room = memory_product((size_t)capacity, 3 * sizeof(place));
    size_t chosen = 0;
    if (capacity == 0 || added_by_all(g, ONLINE_RESERVOIR_COUNT) == 0)
        return ECREC_OK;
    const uint64_t lived = *g->next.cells.live;
    place *list = memory_allocate(g->m, room); /* chosen, then a worker's: at most twice the capacity; then the base's */
    if (list == NULL)
        return error_nomem(g->err, "the rows of a merge", room);
    int32_t status = choose_new(g, list, work, &chosen);
    if (status == ECREC_OK)
        status = thin_base(g, list + 2 * capacity, chosen);
    g->next.words[ONLINE_RESERVOIR_COUNT] += added_by_all(g, ONLINE_RESERVOIR_COUNT);
    sample(g, list, chosen, chosen); /* where memory does not do for all, no worker comes first */
    uint64_t at = 0;
    for (size_t i = 0; i < chosen && status == ECREC_OK; i++, at++) {
        const online *from = &g->workers[list[i].worker];
        while (at < capacity && online_has(g->next.reservoir, at))
            at++;
        if (at == capacity)
            break;
        work[0].length = 0;
        if ((status = online_bytes(from, from->reservoir, list[i].at, &work[0], g->err)) == ECREC_OK)
            status = online_put(&g->next, at, &work[0], lived, g->err);
    }
    memory_release(g->m, list, room);
    return status;
}

static int32_t merge_reserve(memories *g, buffer *work)
{
    const uint64_t capacity = g->base.words[ONLINE_RESERVE];
    int32_t status = ECREC_OK;
    for (uint64_t back = turns(g, ONLINE_RESERVE_COUNT, capacity); back > 0; back--)
        for (size_t k = 0; k < g->n && status == ECREC_OK; k++) {
            const online *from = &g->workers[k];
            if (added(g, k, ONLINE_RESERVE_COUNT) < back)
                continue;
            work->length = 0;
            status = online_bytes(from, from->reserve, (from->words[ONLINE_RESERVE_COUNT] - back) % capacity, work, g->err);
            if (status == ECREC_OK && work->length != 0)
                status = online_put_reserve(&g->next, work, g->err);
        }
    return status;
}

/* ---- numbers ---- */

static const double *window_of(const online *o, uint32_t label)
{
    return (const double *)o->window->data + (size_t)label * WINDOW_COLUMNS;
}

/* Since the beginning: sums. The window that fills: what each put into it. The last full one: the workers' together. */
static void merge_window(memories *g, uint32_t label)
{
    enum { PART = 4 };
    const double *base = window_of(&g->base, label), size = (double)g->base.words[ONLINE_WINDOW];
    double to[WINDOW_COLUMNS] = { 0 };
    int full = 0;
    for (size_t k = 0; k < g->n; k++)
        full |= base[PART] + window_of(&g->workers[k], label)[WINDOW_ROWS] - base[WINDOW_ROWS] >= size;
    for (int c = 0; c < PART; c++) {
        to[c] = base[c];
        to[PART + c] = full ? 0 : base[PART + c];
        to[2 * PART + c] = full ? 0 : base[2 * PART + c];
    }
    for (size_t k = 0; k < g->n; k++) {
        const double *w = window_of(&g->workers[k], label);
        const int own_full = base[PART] + w[WINDOW_ROWS] - base[WINDOW_ROWS] >= size;
        for (int c = 0; c < PART; c++) {
            to[c] += w[c] - base[c];
            to[PART + c] += w[PART + c] - (own_full ? 0 : base[PART + c]);
            to[2 * PART + c] += own_full ? w[2 * PART + c] : 0;
        }
    }
    if (to[PART] >= size) {
        memcpy(to + 2 * PART, to + PART, PART * sizeof *to);
        memset(to + PART, 0, PART * sizeof *to);
    }
    for (int c = 0; c < WINDOW_COLUMNS; c++)
        if (!isfinite(to[c]))
            return;
    memcpy((double *)tensor_edit(g->next.window) + (size_t)label * WINDOW_COLUMNS, to, sizeof to);
}

static void merge_detectors(memories *g, uint32_t label)
{
    enum { SIZE = ADWIN_SIZE + PAGE_HINKLEY_SIZE };
    double most = window_of(&g->base, label)[WINDOW_ROWS];
    for (size_t k = 0; k < g->n; k++) {
        const double rows = window_of(&g->workers[k], label)[WINDOW_ROWS];
        if (rows <= most)
            continue;
        most = rows;
        memcpy((double *)tensor_edit(g->next.drift) + (size_t)label * SIZE, (const double *)g->workers[k].drift->data + (size_t)label * SIZE, SIZE * sizeof(double));
    }
}

static void merge_counts(memories *g)
{
    static const int sums[] = { ONLINE_ROWS, ONLINE_REPLAYS, ONLINE_DRIFTS, ONLINE_REPEATS };
    uint64_t boost = 0;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        g->next.words[sums[i]] += added_by_all(g, sums[i]);
    for (size_t k = 0; k < g->n; k++)
        boost = g->workers[k].words[ONLINE_BOOST_LEFT] > boost ? g->workers[k].words[ONLINE_BOOST_LEFT] : boost;
    g->next.words[ONLINE_BOOST_LEFT] = boost;
}

/* ---- all of it ---- */

static int32_t view_workers(memories *g, tensor_set *const *workers)
{
    int32_t status = ECREC_OK;
    for (size_t k = 0; k < g->n && status == ECREC_OK; k++) {
        if ((status = online_view(&g->workers[k], workers[k], g->schema, g->err)) != ECREC_OK)
            return status;
        g->workers[k].m = g->m;
        if (g->base.words == NULL || g->workers[k].words == NULL || memcmp(g->base.words, g->workers[k].words, ONLINE_EVENT_COUNT * sizeof *g->base.words) != 0)
            return error_set(g->err, ECREC_ERR_UNSUPPORTED, "delta %zu changes what the ranker remembers (ecrec_online_configure), which cannot be merged", k);
    }
    return status;
}

int32_t merge_memories(memory *m, const ecrec_schema *schema, const tensor_set *base, tensor_set *const *workers, size_t n, tensor_set *next, ecrec_error *err)
{
    memories g = { .m = m, .schema = schema, .n = n, .err = err };
    buffer work[2];
    const size_t room = memory_product(n, sizeof *g.workers);
    if ((g.workers = memory_zero(m, room)) == NULL)
        return error_nomem(err, "the workers of a merge", room);
    buffer_init(&work[0], m);
    buffer_init(&work[1], m);
    int32_t status = online_view(&g.base, base, schema, err);
    g.base.m = m;
    if (status == ECREC_OK)
        status = view_workers(&g, workers);
    if (status == ECREC_OK)
        status = online_open(&g.next, m, next, schema, err);
    if (status == ECREC_OK) {
        random_init(&g.random, g.base.words[ONLINE_SEED] ^ (g.base.words[ONLINE_ROWS] + added_by_all(&g, ONLINE_ROWS)), STREAM_MERGE);
        status = merge_events(&g);
    }
    if (status == ECREC_OK && (status = merge_reservoir(&g, work)) == ECREC_OK)
        status = merge_reserve(&g, &work[0]);
    for (uint32_t l = 0; l < schema->label_count && status == ECREC_OK; l++) {
        merge_window(&g, l);
        if (g.next.drift != NULL)
            merge_detectors(&g, l);
    }
    if (status == ECREC_OK)
        merge_counts(&g);
    buffer_release(&work[0]);
    buffer_release(&work[1]);
    memory_release(m, g.workers, room);
    return status;
}
