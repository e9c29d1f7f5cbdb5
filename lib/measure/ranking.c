#include "measure/ranking.h"

#include <math.h>
#include <string.h>

#include "base/sort.h"

#define LOG_2 0.69314718055994531

static int by_group(const void *a, const void *b, void *opaque)
{
    const ranked *x = a, *y = b;
    (void)opaque;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

static int by_label(const void *a, const void *b, void *opaque)
{
    const ranked *x = a, *y = b;
    (void)opaque;
    return x->label > y->label ? -1 : x->label < y->label;
}

static double gain(const ranked *item)
{
    return item->label > 0 ? item->label : 0;
}

static size_t tie_end(const ranked *items, size_t n, size_t first)
{
    size_t end = first + 1;
    while (end < n && items[end].score == items[first].score)
        end++;
    return end;
}

/* From the highest score down. *weight: of the group when both classes are there, else 0. */
static double group_area(const ranked *items, size_t n, double *weight)
{
    double above = 0, positives = 0, negatives = 0, sum = 0; /* above: positives that score higher */
    for (size_t i = 0, end; i < n; i = end) {
        double p = 0, q = 0;
        end = tie_end(items, n, i);
        for (size_t j = i; j < end; j++)
            *(items[j].label > 0.5f ? &p : &q) += items[j].weight;
        sum += q * (above + 0.5 * p);
        above += p;
        positives += p;
        negatives += q;
    }
    *weight = positives > 0 && negatives > 0 ? positives + negatives : 0;
    return *weight > 0 ? sum / (positives * negatives) : 0;
}

/* The chance that none of p relevant ones is among the first `taken` of t in any order. */
static double chance_of_none(size_t t, size_t p, size_t taken)
{
    double chance = 1;
    for (size_t i = 0; i < taken && chance > 0; i++)
        chance *= t - i > p ? (double)(t - p - i) / (double)(t - i) : 0;
    return chance;
}

static void add_first_hit(const ranked *items, size_t n, const uint32_t *at, uint32_t at_count, ranking *out)
{
    for (size_t i = 0, end; i < n; i = end) {
        size_t relevant = 0;
        end = tie_end(items, n, i);
        for (size_t j = i; j < end; j++)
            relevant += gain(&items[j]) > 0;
        if (relevant == 0)
            continue;
        double none = 1; /* that none is before the place j */
        for (size_t j = 0; j < end - i && none > 0; j++) {
            const double hit = none * (double)relevant / (double)(end - i - j);
            out->reciprocal_rank += hit / (double)(i + j + 1);
            none = end - i - j > relevant ? none - hit : 0;
        }
        for (uint32_t k = 0; k < at_count; k++)
            if (at[k] > i)
                out->hit_rate[k] += 1 - chance_of_none(end - i, relevant, at[k] - i < end - i ? at[k] - i : end - i);
        return;
    }
}

/* Discounted gain of the first at[k] places; equal scores share the mean of their gains. */
static void discounted(const ranked *items, size_t n, int tied, const uint32_t *at, uint32_t at_count, double *out)
{
    memset(out, 0, at_count * sizeof *out);
    for (size_t i = 0, end; i < n; i = end) {
        double mean = 0;
        end = tied ? tie_end(items, n, i) : i + 1;
        for (size_t j = i; j < end; j++)
            mean += gain(&items[j]) / (double)(end - i);
        if (mean > 0)
            for (size_t j = i; j < end; j++)
                for (uint32_t k = 0; k < at_count; k++)
                    out[k] += j < at[k] ? mean * LOG_2 / log((double)j + 2) : 0;
    }
}

static void add_group(ranked *items, size_t n, const uint32_t *at, uint32_t at_count, ranking *out, double *auc_weight)
{
    double weight, own[MOST_RANKING_AT], ideal[MOST_RANKING_AT], best = 0;
    const double auc = group_area(items, n, &weight);
    out->groups++;
    out->auc += weight * auc;
    out->auc_groups += weight > 0;
    *auc_weight += weight;
    for (size_t i = 0; i < n; i++)
        best = gain(&items[i]) > best ? gain(&items[i]) : best;
    if (best <= 0)
        return;
    out->relevant_groups++;
    add_first_hit(items, n, at, at_count, out);
    discounted(items, n, 1, at, at_count, own);
    sort_items(items, n, sizeof *items, by_label, NULL);
    discounted(items, n, 0, at, at_count, ideal);
    for (uint32_t k = 0; k < at_count; k++)
        out->ndcg[k] += own[k] / ideal[k];
}

void ranking_compute(ranked *items, size_t n, const uint32_t *at, uint32_t at_count, ranking *out)
{
    double auc_weight = 0;
    memset(out, 0, sizeof *out);
    sort_items(items, n, sizeof *items, by_group, NULL);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && items[end].group == items[i].group;)
            end++;
        add_group(items + i, end - i, at, at_count, out, &auc_weight);
    }
    out->auc = auc_weight > 0 ? out->auc / auc_weight : NAN;
    const double groups = out->relevant_groups > 0 ? out->relevant_groups : NAN;
    out->reciprocal_rank /= groups;
    for (uint32_t k = 0; k < at_count; k++) {
        out->hit_rate[k] /= groups;
        out->ndcg[k] /= groups;
    }
}
