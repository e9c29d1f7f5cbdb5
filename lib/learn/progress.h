/* How much a state has learned: "learn.progress" f64 {1, 4}: rows, updates (fits count as one), 0, 0. Files from before have none. */
#ifndef ECREC_LIB_LEARN_PROGRESS_H
#define ECREC_LIB_LEARN_PROGRESS_H

#include "model/tensor.h"

enum { PROGRESS_ROWS_SEEN = 0, PROGRESS_UPDATES = 1, PROGRESS_COLUMNS = 4 };
int32_t progress_add(memory *m, tensor_set *next, double rows, ecrec_error *err); /* NOMEM */

#endif
