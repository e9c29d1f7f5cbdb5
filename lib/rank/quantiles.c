#include "rank/quantiles.h"

#include <math.h>
#include <string.h>

#include "base/sort.h"
#include "rank/features.h"

/* QUANTILES_K and two thirds of the one before, at least 8: of the highest level, the one below, ... */
static size_t capacity_of(size_t level, size_t levels)
{
    static const unsigned char below[] = { 171, 114, 76, 51, 34, 23, 15, 10 };
    const size_t depth = levels - 1 - level;
    return depth == 0 ? QUANTILES_K : depth <= sizeof below ? below[depth - 1] : 8;
}

static double weight_of(size_t level)
{
    return (double)((uint64_t)1 << level);
}

static int by_value(const void *a, const void *b, void *opaque)
{
    const double x = *(const double *)a, y = *(const double *)b;
    (void)opaque;
    return x < y ? -1 : x > y;
}

static size_t items_of(const double *s)
{
    size_t n = 0;
    for (size_t h = 0; h < (size_t)s[QUANTILES_USED]; h++)
        n += (size_t)s[QUANTILES_SIZES + h];
    return n;
}

/* Sort level h and send every second item up; of an odd number the first one stays. */
static void compact(double *s, size_t h)
{
    const size_t levels = (size_t)s[QUANTILES_USED], total = items_of(s), size = (size_t)s[QUANTILES_SIZES + h];
    size_t at = 0;
    for (size_t k = levels; k-- > h + 1;)
        at += (size_t)s[QUANTILES_SIZES + k];
    double *items = s + QUANTILES_FIRST + at;
    const size_t stays = size % 2, up = size / 2, which = (size_t)(pair_hash((uint64_t)s[QUANTILES_STEPS], h) >> 63);
    sort_items(items, size, sizeof *items, by_value, NULL);
    const double first = items[0];
    for (size_t i = 0; i < up; i++)
        items[i] = items[stays + 2 * i + which];
    if (stays)
        items[up] = first;
    memmove(items + up + stays, items + size, (total - at - size) * sizeof *items);
    if (h + 1 == levels)
        s[QUANTILES_USED] += 1;
    s[QUANTILES_SIZES + h + 1] += (double)up;
    s[QUANTILES_SIZES + h] = (double)stays;
    s[QUANTILES_STEPS] += 1;
}

static size_t capacities(size_t levels)
{
    size_t n = 0;
    for (size_t h = 0; h < levels; h++)
        n += capacity_of(h, levels);
    return n;
}

void quantiles_add(double *s, double value)
{
    if (s[QUANTILES_USED] == 0) {
        s[QUANTILES_USED] = 1;
        s[QUANTILES_LEAST] = s[QUANTILES_MOST] = value;
    }
    const size_t levels = (size_t)s[QUANTILES_USED], n = items_of(s);
    if (n >= capacities(levels)) {
        size_t h = 0;
        while (h + 1 < levels && s[QUANTILES_SIZES + h] < (double)capacity_of(h, levels))
            h++;
        if (h + 1 == QUANTILES_LEVELS) /* 2^47 values and more: what it says stands */
            return;
        compact(s, h);
    }
    s[QUANTILES_FIRST + items_of(s)] = value;
    s[QUANTILES_SIZES] += 1;
    s[QUANTILES_COUNT] += 1;
    s[QUANTILES_LEAST] = value < s[QUANTILES_LEAST] ? value : s[QUANTILES_LEAST];
    s[QUANTILES_MOST] = value > s[QUANTILES_MOST] ? value : s[QUANTILES_MOST];
}

static int whole(double x, double most)
{
    return x >= 0 && x <= most && x == floor(x);
}

int quantiles_valid(const double *s)
{
    double n = 0, count = 0;
    if (!whole(s[QUANTILES_COUNT], 0x1p52) || !whole(s[QUANTILES_USED], QUANTILES_LEVELS) || !whole(s[QUANTILES_STEPS], 0x1p52))
        return 0;
    for (size_t h = 0; h < QUANTILES_LEVELS; h++) {
        if (!whole(s[QUANTILES_SIZES + h], QUANTILES_ITEMS) || (h >= (size_t)s[QUANTILES_USED] && s[QUANTILES_SIZES + h] != 0))
            return 0;
        n += s[QUANTILES_SIZES + h];
        count += s[QUANTILES_SIZES + h] * weight_of(h);
    }
    if (count != s[QUANTILES_COUNT] || n >= QUANTILES_ITEMS || (s[QUANTILES_USED] > 0 && n > (double)capacities((size_t)s[QUANTILES_USED])))
        return 0;
    for (size_t i = 0; i < (size_t)n; i++)
        if (!(s[QUANTILES_FIRST + i] >= s[QUANTILES_LEAST] && s[QUANTILES_FIRST + i] <= s[QUANTILES_MOST]))
            return 0;
    return isfinite(s[QUANTILES_LEAST]) && isfinite(s[QUANTILES_MOST]);
}

static int by_item(const void *a, const void *b, void *opaque)
{
    const quantile_item *x = a, *y = b;
    (void)opaque;
    return x->value != y->value ? (x->value < y->value ? -1 : 1) : x->weight < y->weight ? -1 : x->weight > y->weight;
}

size_t quantiles_list(const double *s, quantile_item *items)
{
    size_t n = 0;
    for (size_t h = (size_t)s[QUANTILES_USED]; h-- > 0;)
        for (size_t i = 0; i < (size_t)s[QUANTILES_SIZES + h]; i++, n++)
            items[n] = (quantile_item){ s[QUANTILES_FIRST + n], weight_of(h) };
    sort_items(items, n, sizeof *items, by_item, NULL);
    return n;
}

static double total_of(const quantile_item *items, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i].weight;
    return sum;
}

double quantiles_share(const quantile_item *items, size_t n, double value)
{
    double below = 0;
    for (size_t i = 0; i < n && items[i].value <= value; i++)
        below += items[i].weight;
    return below / total_of(items, n);
}

double quantiles_at(const quantile_item *items, size_t n, double share)
{
    const double wanted = share * total_of(items, n);
    double sum = 0;
    size_t i = 0;
    while (i + 1 < n && (sum += items[i].weight) < wanted)
        i++;
    return items[i].value;
}

void quantiles_make(double *s, quantile_item *items, size_t n, double least, double most)
{
    const double count = total_of(items, n);
    size_t level = 0;
    while (count / weight_of(level) > QUANTILES_K && level + 1 < QUANTILES_LEVELS)
        level++;
    memset(s, 0, QUANTILES_SIZE * sizeof *s);
    sort_items(items, n, sizeof *items, by_item, NULL);
    const size_t full = (size_t)floor(count / weight_of(level));
    double rest = count - (double)full * weight_of(level);
    s[QUANTILES_COUNT] = count;
    s[QUANTILES_USED] = (double)level + 1;
    s[QUANTILES_LEAST] = least;
    s[QUANTILES_MOST] = most;
    s[QUANTILES_SIZES + level] = (double)full;
    size_t at = QUANTILES_FIRST;
    for (size_t i = 0; i < full; i++)
        s[at++] = quantiles_at(items, n, ((double)i + 0.5) / (double)full);
    for (size_t h = level; h-- > 0;) /* what is left over, near the middle */
        if (rest >= weight_of(h)) {
            rest -= weight_of(h);
            s[QUANTILES_SIZES + h] = 1;
            s[at++] = quantiles_at(items, n, 0.5);
        }
}
