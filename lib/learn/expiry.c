#include "learn/expiry.h"

#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "rank/sightings.h"

#define FOREVER 0x1p30f
#define LAST_PERIOD 0x1p23 /* whole numbers of a float32, with room for expire_after */

/* ---- seen ---- */

typedef struct seeing { learn_state *s; float deadline; int32_t status; } seeing;

static int32_t extend_row(tensor *t, uint64_t hash, float deadline)
{
    const uint64_t row = hash & (t->shape[0] - 1); /* a power of two */
    const float *now = tensor_row(t, row);
    if (now != NULL && *now >= deadline)
        return ECREC_OK;
    float *own = tensor_row_edit(t, row);
    if (own == NULL)
        return ECREC_ERR_NOMEM;
    *own = deadline;
    return ECREC_OK;
}

static void see_hash(void *opaque, uint64_t hash, float value)
{
    seeing *see = opaque;
    (void)value;
    if (see->status == ECREC_OK)
        see->status = extend_row(see->s->alive_weights, hash, see->deadline);
    if (see->status == ECREC_OK && see->s->alive_embeddings != NULL)
        see->status = extend_row(see->s->alive_embeddings, hash, see->deadline);
}

static float deadline_of(const learn_state *s, const field_plan *p)
{
    return p->expire_after != 0 ? (float)(*(const double *)s->period->data + p->expire_after) : FOREVER;
}

/* The cells that count how often a field's values were seen. */
static void see_sightings(seeing *see, const ecrec_batch *batch, const field_plan *p, uint32_t field, size_t row)
{
    const batch_column *c = &batch->columns[field];
    if (p->admit_after <= 1 || see->s->alive_sightings == NULL)
        return;
    const uint64_t first = p->multi != NO_INDEX ? column_items(c, row) : column_row(c, row), end = p->multi != NO_INDEX ? column_items_end(c, row) : first + 1;
    for (uint64_t k = first; k < end; k++) {
        size_t length = 0;
        uint64_t cells[2];
        const char *text = column_text(c, (size_t)k, &length);
        sightings_cells(value_hash(p, text, length), cells);
        for (int i = 0; i < 2 && see->status == ECREC_OK; i++)
            see->status = extend_row(see->s->alive_sightings, cells[i], see->deadline);
    }
}

static void see_events(seeing *see, const ecrec_batch *batch, uint32_t field, size_t row)
{
    const ranker *r = see->s->now;
    const record rec = { batch, row, NULL, NULL };
    uint64_t first = 0;
    const uint32_t n = record_events(&rec, field, &first);
    see->deadline = deadline_of(see->s, &r->plan[r->plan[field].compare]);
    for (uint32_t j = 0; j < n && see->status == ECREC_OK && see->s->alive_embeddings != NULL; j++)
        see->status = extend_row(see->s->alive_embeddings, record_event(r, field, &batch->columns[field], first + j), see->deadline);
}

/* deadlines: [categories] room */
static int32_t see_row(learn_state *s, const learn_rows *rows, size_t row, float *deadlines)
{
    const ranker *r = s->now;
    const uint64_t *hashes = rows->categories + row * r->categories;
    seeing see = { s, FOREVER, ECREC_OK };
    for (uint32_t f = 0; f < r->fields && see.status == ECREC_OK; f++) {
        const field_plan *p = &r->plan[f];
        const int has = column_has(&rows->batch->columns[f], row);
        see.deadline = has ? deadline_of(s, p) : FOREVER;
        if (p->category != NO_INDEX) {
            deadlines[p->category] = see.deadline;
            see_hash(&see, hashes[p->category], 1);
        } else if (p->multi != NO_INDEX) {
            record_multi(r, f, rows->batch, row, see_hash, &see);
        } else if (p->history != NO_INDEX) {
            see_events(&see, rows->batch, f, row);
        }
        if (has && see.status == ECREC_OK)
            see_sightings(&see, rows->batch, p, f, row);
    }
    for (uint32_t i = 0; i < r->pair_count && see.status == ECREC_OK; i++) {
        const uint32_t a = r->pairs[i].a, b = r->pairs[i].b;
        see.status = extend_row(s->alive_weights, pair_hash(hashes[a], hashes[b]), deadlines[a] < deadlines[b] ? deadlines[a] : deadlines[b]);
    }
    return see.status;
}

int32_t expiry_see(learn_state *s, const learn_rows *rows, const size_t *order, size_t n)
{
    int32_t status = ECREC_OK;
    if (!ranker_expires(s->now))
        return ECREC_OK;
    const size_t bytes = (s->now->categories + (size_t)1) * sizeof(float);
    float *deadlines = memory_allocate(s->m, bytes);
    if (deadlines == NULL)
        return ECREC_ERR_NOMEM;
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        status = see_row(s, rows, order != NULL ? order[i] : i, deadlines);
    memory_release(s->m, deadlines, bytes);
    return status;
}

/* ---- expired ---- */

static int32_t clear_row(tensor *t, uint64_t row)
{
    if (t == NULL || tensor_row(t, row) == NULL)
        return ECREC_OK;
    void *own = tensor_row_edit(t, row);
    if (own == NULL)
        return ECREC_ERR_NOMEM;
    memset(own, 0, (size_t)t->row_bytes);
    return ECREC_OK;
}

typedef struct counts { double expired, kept; } counts;

/* Every row of `alive` that is behind its last period, and in each of the tables the rows at the same place, once for each head. */
static int32_t expire_rows(tensor *alive, double period, tensor *const tables[2], uint32_t heads, counts *c)
{
    int32_t status = ECREC_OK;
    for (uint64_t row = 0; alive != NULL && row < alive->shape[0] && status == ECREC_OK;) {
        if (tensor_row(alive, row) == NULL) { /* a whole chunk of nobody */
            row += alive->blocks[(row >> alive->chunk_shift) / CHUNK_BLOCK] == NULL ? CHUNK_BLOCK * alive->rows_per_chunk : alive->rows_per_chunk;
            continue;
        }
        for (const uint64_t end = row + alive->rows_per_chunk; row < end && row < alive->shape[0] && status == ECREC_OK; row++) {
            const float deadline = *(const float *)tensor_row(alive, row);
            c->kept += deadline > 0 && deadline < FOREVER && deadline >= period;
            if (deadline <= 0 || deadline >= period)
                continue;
            c->expired += 1;
            status = clear_row(alive, row);
            for (uint64_t i = 0; i < 2 * (uint64_t)heads && status == ECREC_OK; i++)
                status = clear_row(tables[i % 2], i / 2 * alive->shape[0] + row);
        }
    }
    return status;
}

static int32_t expire_all(learn_state *s, double period, ecrec_report *r, ecrec_error *err)
{
    counts weights = { 0, 0 }, embeddings = { 0, 0 }, sightings = { 0, 0 };
    tensor *const first[] = { s->hashed, s->hashed_sums }, *const second[] = { s->embeddings, s->embedding_sums }, *const third[] = { s->sightings, NULL };
    int32_t status = expire_rows(s->alive_weights, period, first, s->now->heads, &weights);
    if (status == ECREC_OK)
        status = expire_rows(s->alive_embeddings, period, second, 1, &embeddings);
    if (status == ECREC_OK)
        status = expire_rows(s->alive_sightings, period, third, 1, &sightings);
    if (status != ECREC_OK)
        return error_nomem(err, "what expires", 0);
    if (r == NULL)
        return ECREC_OK;
    report_number(r, "period", period);
    report_number(r, "expired.weights", weights.expired);
    report_number(r, "expired.embeddings", embeddings.expired);
    report_number(r, "expired.sightings", sightings.expired);
    report_number(r, "kept.weights", weights.kept);
    report_number(r, "kept.embeddings", embeddings.kept);
    report_number(r, "kept.sightings", sightings.kept);
    return report_finish(r, err);
}

int32_t expiry_run(ecrec_context *context, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    learn_state s = { 0 };
    ecrec_report *r = NULL;
    int32_t status = state_open(&s, &context->m, schema, dimension, from, err);
    if (status == ECREC_OK && !ranker_expires(s.now))
        status = error_set(err, ECREC_ERR_INVALID, "ecrec_expire: no field of the schema has expire_after");
    if (status == ECREC_OK && report != NULL)
        status = report_create(context, "expire", &r, err);
    if (status == ECREC_OK) {
        double *period = tensor_edit(s.period);
        *period += 1;
        status = *period < LAST_PERIOD ? expire_all(&s, *period, r, err) : error_set(err, ECREC_ERR_LIMIT, "ecrec_expire: a ranker has at most %d periods", (int)LAST_PERIOD);
    }
    state_close(&s, status == ECREC_OK ? next : NULL);
    if (status == ECREC_OK && report != NULL)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}
