/* Ids that are no longer seen expire. What was seen has a deadline in periods, which the host counts (ecrec_expire): three tables beside those of
 * weights, embeddings and sightings, "learn.alive.weights", "learn.alive.embeddings" and "learn.alive.sightings" f32 {rows, 1}: the last period in
 * which the row still lives, 0: nobody said. The current period is in "learn.period" f64 {1, 1}. Values of fields that do not expire have
 * their rows for ever, so that a row which they share by collision stays; n-grams have no say. */
#ifndef ECREC_LIB_LEARN_EXPIRY_H
#define ECREC_LIB_LEARN_EXPIRY_H

#include "learn/state.h"

/* The values of n of the rows (order NULL: the first n) were seen in this period. Nothing, when no field expires. NOMEM. */
int32_t expiry_see(learn_state *s, const learn_rows *rows, const size_t *order, size_t n);
/* The next period begins; what had its last one is as it was before anything was learned. */
int32_t expiry_run(ecrec_context *context, const ecrec_schema *schema, uint32_t dimension, const tensor_set *from, tensor_set **next, ecrec_report **report, ecrec_error *err);

#endif
