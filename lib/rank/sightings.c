#include "rank/sightings.h"

static uint64_t second(uint64_t hash)
{
    return pair_hash(hash, 0x7365656E74776963u);
}

static float cell(const tensor *t, uint64_t hash)
{
    const float *c = tensor_row(t, hash & (t->shape[0] - 1)); /* a power of two */
    return c != NULL ? *c : 0;
}

float sightings_of(const tensor *t, uint64_t hash)
{
    if (t == NULL)
        return 0;
    const float a = cell(t, hash), b = cell(t, second(hash));
    return a < b ? a : b;
}

void sightings_cells(uint64_t hash, uint64_t cells[2])
{
    cells[0] = hash;
    cells[1] = second(hash);
}

static int32_t see(tensor *t, uint64_t hash)
{
    uint64_t cells[2];
    sightings_cells(hash, cells);
    const float next = sightings_of(t, hash) + 1;
    for (int i = 0; i < 2 && next <= MOST_SIGHTINGS; i++) {
        float *c = tensor_row_edit(t, cells[i] & (t->shape[0] - 1));
        if (c == NULL)
            return ECREC_ERR_NOMEM;
        *c = *c < next ? next : *c;
    }
    return ECREC_OK;
}

int32_t sightings_add(tensor *t, const ranker *r, const ecrec_batch *batch, const size_t *order, size_t n)
{
    int32_t status = ECREC_OK;
    for (uint32_t f = 0; f < r->fields && t != NULL; f++) {
        const batch_column *c = &batch->columns[f];
        const field_plan *p = &r->plan[f];
        for (size_t i = 0; p->admit_after > 1 && i < n && status == ECREC_OK; i++) {
            const size_t row = order != NULL ? order[i] : i;
            if (!column_has(c, row))
                continue;
            const uint64_t first = p->multi != NO_INDEX ? column_items(c, row) : column_row(c, row), end = p->multi != NO_INDEX ? column_items_end(c, row) : first + 1;
            for (uint64_t k = first; k < end && status == ECREC_OK; k++) {
                size_t length = 0;
                const char *text = column_text(c, (size_t)k, &length);
                status = see(t, value_hash(p, text, length));
            }
        }
    }
    return status;
}
