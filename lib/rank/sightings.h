/* How often values of fields that admit by sightings were seen: a count-min sketch (Cormode and Muthukrishnan, J. Algorithms 2005) with
 * conservative update, two cells a value in one table "rank.sightings" f32 {2^bits, 1}. It never counts too few, and takes no more memory
 * than the table. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_SIGHTINGS_H
#define ECREC_LIB_RANK_SIGHTINGS_H

#include "rank/features.h"

enum { MOST_SIGHTINGS = 255 };

/* NULL: nothing was counted. */
float sightings_of(const tensor *t, uint64_t hash);
/* Where a value is counted; taken modulo the table's rows. */
void sightings_cells(uint64_t hash, uint64_t cells[2]);
/* Every value of n of the batch's rows (order NULL: of the first n) in such fields once more. t (may be NULL) is ours to edit. NOMEM. */
int32_t sightings_add(tensor *t, const ranker *r, const ecrec_batch *batch, const size_t *order, size_t n);

#endif
