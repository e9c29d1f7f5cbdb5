/* Numbers cut into bins: a number field with `bins` is a category whose value is the number of its bin. Its cuts lie in "rank.bins" f64
 * {such fields, BINS_COLUMNS}, so they are frozen with the weights, beside the running sketch that the next cuts are taken from. Bin b has the
 * numbers above cut b - 1 up to cut b. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_BINS_H
#define ECREC_LIB_RANK_BINS_H

#include "base/memory.h"
#include "model/tensor.h"
#include "rank/quantiles.h"

enum { MOST_BINS = 256 };
enum { BINS_CUTS /* how many */, BINS_SEEN /* values when they were made */, BINS_FIRST, BINS_SKETCH = BINS_FIRST + MOST_BINS - 1, BINS_COLUMNS = BINS_SKETCH + QUANTILES_SIZE };

static inline const double *bins_row(const tensor *t, uint32_t field)
{
    return (const double *)t->data + (size_t)field * BINS_COLUMNS;
}
/* The bin of a number, 0 .. cuts. */
uint32_t bins_find(const double *row, double value);
/* The hash of a bin, as of a category's value. */
uint64_t bins_hash(uint64_t seed, uint32_t bin);
/* Cuts for `bins` bins of equal share from the row's sketch, without those that would leave a bin empty: how many. items: [QUANTILES_ITEMS] of it. */
uint32_t bins_cut(const quantile_item *items, size_t n, const double *row, uint32_t bins, double *cuts);
/* Into a copy of the base's row what each of the workers' has beyond it. NOMEM. */
int32_t bins_merge(memory *m, double *to, const double *const *workers, size_t n);
int32_t bins_check(const tensor *t, ecrec_error *err);

#endif
