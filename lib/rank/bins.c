#include "rank/bins.h"

#include <math.h>

#include "base/error.h"
#include "rank/features.h"

uint32_t bins_find(const double *row, double value)
{
    uint32_t low = 0, high = (uint32_t)row[BINS_CUTS]; /* cuts below `low` are below the value, those from `high` on are not */
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (row[BINS_FIRST + middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t bins_hash(uint64_t seed, uint32_t bin)
{
    return pair_hash(bin + (uint64_t)1, seed);
}

uint32_t bins_cut(const quantile_item *items, size_t n, const double *row, uint32_t bins, double *cuts)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < bins && n != 0; i++) {
        const double at = quantiles_at(items, n, (double)i / bins);
        if (at < row[BINS_SKETCH + QUANTILES_MOST] && (count == 0 || at > cuts[count - 1]))
            cuts[count++] = at;
    }
    return count;
}

int32_t bins_merge(memory *m, double *to, const double *const *workers, size_t n)
{
    double *base = to + BINS_SKETCH, least = base[QUANTILES_LEAST], most = base[QUANTILES_MOST], count = base[QUANTILES_COUNT] * (1 - (double)n);
    const size_t bytes = memory_product((n + 1) * QUANTILES_ITEMS, sizeof(quantile_item));
    quantile_item *items = memory_allocate(m, bytes);
    if (items == NULL)
        return ECREC_ERR_NOMEM;
    size_t at = quantiles_list(base, items);
    for (size_t i = 0; i < at; i++)
        items[i].weight *= 1 - (double)n; /* each worker has it once */
    int any = base[QUANTILES_COUNT] > 0;
    for (size_t k = 0; k < n; k++) {
        const double *s = workers[k] + BINS_SKETCH;
        if (s[QUANTILES_COUNT] == 0)
            continue;
        at += quantiles_list(s, items + at);
        count += s[QUANTILES_COUNT];
        least = any && least < s[QUANTILES_LEAST] ? least : s[QUANTILES_LEAST];
        most = any && most > s[QUANTILES_MOST] ? most : s[QUANTILES_MOST];
        any = 1;
    }
    if (count > 0)
        quantiles_make(base, items, at, least, most);
    memory_release(m, items, bytes);
    return ECREC_OK;
}

int32_t bins_check(const tensor *t, ecrec_error *err)
{
    for (uint32_t f = 0; f < t->shape[0]; f++) {
        const double *row = bins_row(t, f), cuts = row[BINS_CUTS];
        int good = cuts >= 0 && cuts < MOST_BINS && cuts == floor(cuts) && row[BINS_SEEN] >= 0 && isfinite(row[BINS_SEEN]) && quantiles_valid(row + BINS_SKETCH);
        for (size_t i = 0; good && i < (size_t)cuts; i++)
            good = isfinite(row[BINS_FIRST + i]) && (i == 0 || row[BINS_FIRST + i] > row[BINS_FIRST + i - 1]);
        if (!good)
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.bins\": row %u is no cuts in order and a sketch of numbers", f);
    }
    return ECREC_OK;
}
