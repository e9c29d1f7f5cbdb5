/* Losses over the rows that were shown together. A group is a run of rows with the same number in the batch's group column; a row without a
 * number is a group of its own. Each group counts once, by the mean weight of its rows:
 *   pairwise (RankNet, Burges et al., ICML 2005; with 0/1 labels also BPR): the mean over the pairs with y_i > y_j of log(1 + exp(z_j - z_i));
 *   listwise softmax (ListNet's top one, Cao et al., ICML 2007): - sum of t_i log softmax(z - log q)_i, t = y / sum of y. log q, where the
 *   label asks for it, is that of the row's propensity: how often the candidate is among those sampled (Bengio and Senecal, 2008).
 * A group that says nothing (one row, equal labels, nothing above 0) is left out. */
#ifndef ECREC_LIB_LEARN_GROUPS_H
#define ECREC_LIB_LEARN_GROUPS_H

#include "rank/batch.h"

/* Rows list[first .. first + n) (list NULL: themselves); logits and gradients: of the label's head, rows `stride` apart. gradients (may be
 * NULL) are those of the sum returned. *weight is added to. */
double groups_loss(const ecrec_batch *batch, const size_t *list, size_t first, size_t n, uint32_t label, const double *logits, size_t stride,
                   double *gradients, double *weight);
/* The end of the group of place i, at most n. */
size_t group_end(const ecrec_batch *batch, const size_t *list, size_t i, size_t n);
/* Any label of the schema is learned by groups. */
int schema_grouped(const ecrec_schema *s);

#endif
