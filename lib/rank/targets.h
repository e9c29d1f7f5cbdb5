/* How a value label's numbers are learned: standardised, so that prices in the thousands and rates in the thousandths are learned at the
 * same rates. "rank.targets" f64 {labels, NUMBER_COLUMNS} as "rank.numbers" (rank/features.h): while its frozen count is 0 a label is not
 * settled: its frozen mean is the running one, its frozen scale 1, and nothing is learned but the mean. Labels without a row, and all of a
 * ranker without the tensor (of an older file), are learned as they are. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_TARGETS_H
#define ECREC_LIB_RANK_TARGETS_H

#include "model/tensor.h"
#include "rank/schema.h"

enum { TARGET_ROWS = 32 /* labelled rows that settle one online */ };

/* Whether such a label is standardised. */
static inline int target_scaled(const schema_label *l)
{
    return l->kind == ECREC_LABEL_VALUE && l->loss == ECREC_LOSS_OWN && l->target != ECREC_TARGET_PLAIN;
}
int targets_needed(const ecrec_schema *s);
/* A label's row; NULL: it is learned as it is. */
const double *target_row(const tensor *t, const ecrec_schema *s, uint32_t label);
int targets_settled(const tensor *t, const ecrec_schema *s); /* all of them */
/* What a head learns: the label, or its log1p, standardised. And what its logit says: in the label's unit, or its log1p. */
double target_of(const tensor *t, const ecrec_schema *s, uint32_t label, float y);
/* A row's logits in place, heads of all labels; parts (may be NULL): heads x width numbers that add up to them, which follow, the bias at `bias`. */
void targets_unscale(const tensor *t, const ecrec_schema *s, double *logits, float *parts, uint32_t width, uint32_t bias);
/* The loss of an unscaled logit, in the standardised unit. */
double target_loss(const tensor *t, const ecrec_schema *s, uint32_t label, double unscaled, float y);
double target_value(const schema_label *l, double unscaled); /* in the label's unit */
double target_off(const tensor *t, const ecrec_schema *s, uint32_t label, float score, float y); /* how far a score lies, standardised */
/* A label that is seen, while it is not settled: Welford's update. freeze: settle by what was seen. */
void target_see(double *row, const schema_label *l, float y);
void target_freeze(double *row);
/* FORMAT. */
int32_t targets_check(const tensor *t, const ecrec_schema *s, ecrec_error *err);

#endif
