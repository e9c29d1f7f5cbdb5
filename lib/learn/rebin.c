#include "learn/rebin.h"

#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "measure/metrics.h"
#include "rank/bins.h"

void rebin_see(learn_state *s, const ecrec_batch *batch, const size_t *order, size_t n)
{
    const ranker *r = s->now;
    for (uint32_t f = 0; f < r->fields && s->bins != NULL; f++) {
        const batch_column *c = &batch->columns[f];
        if (r->plan[f].binned == NO_INDEX)
            continue;
        double *sketch = (double *)tensor_edit(s->bins) + (size_t)r->plan[f].binned * BINS_COLUMNS + BINS_SKETCH;
        for (size_t i = 0; i < n; i++)
            if (column_has(c, order != NULL ? order[i] : i))
                quantiles_add(sketch, column_number(c, order != NULL ? order[i] : i));
    }
}

/* ---- weights ---- */

typedef struct binning {
    double cuts[2][MOST_BINS]; /* old, new */
    uint32_t bins[2];
    double below[2][MOST_BINS + 1]; /* share of the values in the bins before this one */
    quantile_item items[QUANTILES_ITEMS];
    float rows[2 * MOST_BINS * MOST_WIDTH]; /* old ones, then new ones */
} binning;

/* Values that the old bin i and the new bin j have in common. */
static double common(const binning *b, uint32_t i, uint32_t j)
{
    const double from = b->below[0][i] > b->below[1][j] ? b->below[0][i] : b->below[1][j];
    const double to = b->below[0][i + 1] < b->below[1][j + 1] ? b->below[0][i + 1] : b->below[1][j + 1];
    return to > from ? to - from : 0;
}

/* The old bin that has the upper end of the new one: for a bin in which no value is. */
static uint32_t old_of(const binning *b, uint32_t j)
{
    uint32_t i = 0;
    while (i + 1 < b->bins[0] && (j + 1 == b->bins[1] || b->cuts[0][i] < b->cuts[1][j]))
        i++;
    return i;
}

static void carry_row(const binning *b, uint32_t j, size_t columns, int sums, float *to)
{
    double total = 0, parts = 0;
    uint32_t last = old_of(b, j);
    for (uint32_t i = 0; i < b->bins[0]; i++)
        if (common(b, i, j) > 0) {
            total += common(b, i, j);
            parts += 1;
            last = i;
        }
    for (size_t c = 0; c < columns; c++) {
        double x = 0;
        for (uint32_t i = 0; i < b->bins[0] && parts > 0; i++)
            x += common(b, i, j) / (sums ? b->below[0][i + 1] - b->below[0][i] > 0 ? b->below[0][i + 1] - b->below[0][i] : 1 : total) * (double)b->rows[i * columns + c];
        to[c] = parts > 1 || sums ? (float)x : b->rows[last * columns + c];
    }
}

static int32_t carry_table(const binning *b, tensor *t, uint64_t first, uint64_t mask, uint64_t seed, int sums, float *rows)
{
    const size_t columns = (size_t)t->shape[1];
    float *now = rows + b->bins[0] * columns;
    for (uint32_t i = 0; i < b->bins[0]; i++) {
        const float *row = tensor_row(t, first + (bins_hash(seed, i) & mask));
        for (size_t c = 0; c < columns; c++)
            rows[i * columns + c] = row != NULL ? row[c] : 0;
    }
    for (uint32_t j = 0; j < b->bins[1]; j++)
        carry_row(b, j, columns, sums, now + j * columns);
    for (int which = 0; which < 2; which++) /* bins that there are no more are as if they had never been */
        for (uint32_t i = 0; i < b->bins[which]; i++) {
            float *row = tensor_row_edit(t, first + (bins_hash(seed, i) & mask));
            if (row == NULL)
                return ECREC_ERR_NOMEM;
            if (which == 0)
                memset(row, 0, columns * sizeof *row);
            else
                memcpy(row, now + i * columns, columns * sizeof *row);
        }
    return ECREC_OK;
}

static int32_t carry_tables(learn_state *s, binning *b, uint64_t seed)
{
    const ranker *r = s->now;
    tensor *const hashed[] = { s->hashed, s->hashed_sums }, *const embeddings[] = { s->embeddings, s->embedding_sums };
    int32_t status = ECREC_OK;
    for (int k = 0; k < 2 && status == ECREC_OK; k++) {
        for (uint64_t head = 0; head < r->heads && status == ECREC_OK; head++)
            status = carry_table(b, hashed[k], head << r->hash_bits, ((uint64_t)1 << r->hash_bits) - 1, seed, k, b->rows);
        if (embeddings[k] != NULL && status == ECREC_OK)
            status = carry_table(b, embeddings[k], 0, ((uint64_t)1 << r->net.embedding_bits) - 1, seed, k, b->rows);
    }
    return status;
}

int32_t rebin_field(learn_state *s, uint32_t field, ecrec_error *err)
{
    const field_plan *p = &s->now->plan[field];
    double *row = (double *)tensor_edit(s->bins) + (size_t)p->binned * BINS_COLUMNS;
    binning *b = row[BINS_SKETCH + QUANTILES_COUNT] > 0 ? memory_allocate(s->m, sizeof *b) : NULL;
    if (b == NULL)
        return row[BINS_SKETCH + QUANTILES_COUNT] > 0 ? error_nomem(err, "the bins", sizeof *b) : ECREC_OK;
    const size_t n = quantiles_list(row + BINS_SKETCH, b->items);
    b->bins[0] = (uint32_t)row[BINS_CUTS] + 1;
    memcpy(b->cuts[0], row + BINS_FIRST, (b->bins[0] - 1) * sizeof(double));
    b->bins[1] = bins_cut(b->items, n, row, s->schema->fields[field].bins, b->cuts[1]) + 1;
    for (int k = 0; k < 2; k++) {
        b->below[k][0] = 0;
        for (uint32_t i = 1; i < b->bins[k]; i++)
            b->below[k][i] = quantiles_share(b->items, n, b->cuts[k][i - 1]);
        b->below[k][b->bins[k]] = 1;
    }
    const int32_t status = carry_tables(s, b, p->seed);
    if (status == ECREC_OK) {
        memset(row + BINS_FIRST, 0, (MOST_BINS - 1) * sizeof *row);
        memcpy(row + BINS_FIRST, b->cuts[1], (b->bins[1] - 1) * sizeof *row);
        row[BINS_CUTS] = b->bins[1] - 1;
        row[BINS_SEEN] = row[BINS_SKETCH + QUANTILES_COUNT];
    }
    memory_release(s->m, b, sizeof *b);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "the bins' weights", 0);
}

int32_t rebin_first(learn_state *s, double least, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint32_t f = 0; f < s->now->fields && s->bins != NULL && status == ECREC_OK; f++) {
        const field_plan *p = &s->now->plan[f];
        if (p->binned == NO_INDEX)
            continue;
        const double *row = bins_row(s->bins, p->binned);
        if (row[BINS_SEEN] == 0 && row[BINS_SKETCH + QUANTILES_COUNT] >= least * s->schema->fields[f].bins)
            status = rebin_field(s, f, err);
    }
    return status;
}

/* ---- the explicit step ---- */

static void tell(const learn_state *s, uint32_t field, const double *before, ecrec_report *r)
{
    const double *row = bins_row(s->bins, s->now->plan[field].binned);
    char key[256];
    metrics_label_key(s->schema->fields[field].name, key);
    report_numberf(r, row[BINS_SKETCH + QUANTILES_COUNT], "fields.%s.values", key);
    report_numberf(r, before[BINS_CUTS] + 1, "fields.%s.bins_before", key);
    report_numberf(r, row[BINS_CUTS] + 1, "fields.%s.bins", key);
    for (uint32_t i = 0; i < (uint32_t)row[BINS_CUTS]; i++)
        report_numberf(r, row[BINS_FIRST + i], "fields.%s.cuts.%u", key, i + 1);
}

static int32_t rebin_all(learn_state *s, const tensor_set *from, uint32_t field, ecrec_report *r, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint32_t f = 0; f < s->now->fields && status == ECREC_OK; f++) {
        const uint32_t at = s->now->plan[f].binned;
        if (at == NO_INDEX || (field != NO_INDEX && field != f))
            continue;
        if (field == f && bins_row(s->bins, at)[BINS_SKETCH + QUANTILES_COUNT] == 0)
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\": no number of it was seen yet, so there is nothing to cut: give rows, or learn first", s->schema->fields[f].name);
        status = rebin_field(s, f, err);
        if (status == ECREC_OK && r != NULL)
            tell(s, f, bins_row(tensor_set_get(from, "rank.bins"), at), r);
    }
    return status;
}

int32_t rebin_run(ecrec_context *context, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, uint32_t field, const ecrec_batch *batch, tensor_set **next,
                  ecrec_report **report, ecrec_error *err)
{
    learn_state s = { 0 };
    ecrec_report *r = NULL;
    int32_t status = state_open(&s, &context->m, schema, dimension, from, err);
    if (status == ECREC_OK && s.bins == NULL)
        status = error_set(err, ECREC_ERR_INVALID, "ecrec_rebin: no number field of the schema has bins");
    if (status == ECREC_OK && report != NULL)
        status = report_create(context, "rebin", &r, err);
    if (status == ECREC_OK && batch != NULL)
        rebin_see(&s, batch, NULL, batch->rows);
    if (status == ECREC_OK)
        status = rebin_all(&s, from, field, r, err);
    if (status == ECREC_OK && r != NULL)
        status = report_finish(r, err);
    state_close(&s, status == ECREC_OK ? next : NULL);
    if (status == ECREC_OK && report != NULL)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}
