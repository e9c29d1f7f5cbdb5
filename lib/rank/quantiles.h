/* A running sketch of a number's distribution: KLL (Karnin, Lang and Liberty, FOCS 2016), in a fixed number of doubles that a tensor's row holds.
 * Items of level h stand for 2^h values each; a full level is sorted and every second item goes up. Which half goes is told by the number of such
 * steps, so the same values in the same order give the same bits. A rank is off by about 1 % of the values. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_QUANTILES_H
#define ECREC_LIB_RANK_QUANTILES_H

#include <stddef.h>
#include <stdint.h>

enum { QUANTILES_K = 256, QUANTILES_LEVELS = 40, QUANTILES_ITEMS = 1280 };
/* A sketch: the count of its values, of its levels, and of the steps; the least and the largest value; how many items each level has; the items,
 * highest level first. All zeros: no value yet. */
enum { QUANTILES_COUNT, QUANTILES_USED, QUANTILES_STEPS, QUANTILES_LEAST, QUANTILES_MOST, QUANTILES_SIZES, QUANTILES_FIRST = QUANTILES_SIZES + QUANTILES_LEVELS,
       QUANTILES_SIZE = QUANTILES_FIRST + QUANTILES_ITEMS };

typedef struct quantile_item { double value, weight; } quantile_item;

void quantiles_add(double *sketch, double value);
/* What a file says is a sketch. */
int quantiles_valid(const double *sketch);
/* Its items in order, each with what it stands for: at most QUANTILES_ITEMS of them. */
size_t quantiles_list(const double *sketch, quantile_item *items);
/* The share of the values that are at most `value`; the least value at or below which lies that share of them. Of such a list. */
double quantiles_share(const quantile_item *items, size_t n, double value);
double quantiles_at(const quantile_item *items, size_t n, double share);
/* A sketch anew from values with weights, some of which may be below 0 (what was counted twice), together a whole number above 0. Sorts the items. */
void quantiles_make(double *sketch, quantile_item *items, size_t n, double least, double most);

#endif
