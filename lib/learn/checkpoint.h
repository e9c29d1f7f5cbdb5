/* Where a fit stands, and its file: a model file with the weights of the last epoch, the optimiser's own tables, the weights of the best
 * epoch ("fit.best.NAME") and "fit.state" f64 {1, 4 + 2 epochs}: epochs done, best loss, best epoch, epochs since, then the losses. */
#ifndef ECREC_LIB_LEARN_CHECKPOINT_H
#define ECREC_LIB_LEARN_CHECKPOINT_H

#include "learn/trainer.h"
#include "model/parts.h"

typedef struct checkpoint {
    memory *m;
    uint32_t epoch, best_epoch, since, most; /* most: epochs that there is room for */
    double best_loss, *history;              /* most x (loss, loss of the rows held out) */
    tensor_set *best;                        /* NULL: none yet */
    tensor_set *last;                        /* what a file had, to go on from; else NULL */
    parts *file;                             /* what was read, else NULL */
} checkpoint;

int32_t checkpoint_open(checkpoint *c, memory *m, uint32_t epochs, ecrec_error *err);
void checkpoint_close(checkpoint *c);
/* Make a copy of the state (its tables shared) the best one. */
int32_t checkpoint_keep_best(checkpoint *c, const tensor_set *state, ecrec_error *err);
int32_t checkpoint_write(const checkpoint *c, const parts *model, const tensor_set *state, const trainer *t, const char *path, ecrec_error *err);
/* MISMATCH: made for another schema or for fewer epochs. */
int32_t checkpoint_read(checkpoint *c, ecrec_context *context, const parts *model, const char *path, ecrec_error *err);

#endif
