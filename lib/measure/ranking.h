/* Metrics of rows ranked within groups: grouped AUC, hit rate, NDCG, reciprocal rank. */
#ifndef ECREC_LIB_MEASURE_RANKING_H
#define ECREC_LIB_MEASURE_RANKING_H

#include <stddef.h>
#include <stdint.h>

enum { MOST_RANKING_AT = 16 };

typedef struct ranked {
    uint64_t group;
    float score, label, weight;
    uint32_t reserved;
} ranked;

typedef struct ranking {
    double groups;       /* all of them */
    double auc, auc_groups; /* mean over the groups with labels on both sides of 0.5, by their weight; NaN: none */
    double relevant_groups; /* those with a label above 0: what the means below are of; NaN: none */
    double reciprocal_rank, hit_rate[MOST_RANKING_AT], ndcg[MOST_RANKING_AT];
} ranking;

/* Sorts the items by group and falling score. Equal scores count as the mean over their orders (McSherry and Najork, "Computing
 * information retrieval performance measures efficiently in the presence of tied scores", ECIR 2008). */
void ranking_compute(ranked *items, size_t n, const uint32_t *at, uint32_t at_count, ranking *out);

#endif
