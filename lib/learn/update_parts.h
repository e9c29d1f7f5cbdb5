/* An update while it runs, shared by what learns and what reports. Inside the learn room. */
#ifndef ECREC_LIB_LEARN_UPDATE_PARTS_H
#define ECREC_LIB_LEARN_UPDATE_PARTS_H

#include "learn/guard.h"
#include "measure/metrics.h"
#include "stream/observe.h"
#include "learn/trainer.h"
#include "learn/update.h"

typedef struct learner {
    int grouped; /* a label is learned by groups */
    const update_call *call;
    const ecrec_update_options *options;
    memory *m;
    const ecrec_batch *batch;
    learn_source source;
    learn_state state;
    learn_rows data, replayed, reserved;
    ecrec_batch *replay, *reserve; /* NULL: none */
    online memory;
    observer observer;
    ranker *old; /* a view of the state before */
    trainer *trainer;
    trainer_options settings;
    outcome_weights outcomes;
    size_t rows, labels, heads, repeats, reserve_rows;
    size_t *order;                   /* [rows]: those that are learned from */
    double *logits, *before, *after; /* rows x heads: as each row was scored before it was learned from; guarded ones under the old and the new state */
    scored *items;
    size_t *guarded, guarded_count;  /* rows */
    double *reserve_logits;          /* 2 x reserve_rows x heads: under the old and the new state */
    float *scores;                   /* 3 x heads */
    guard_measure *measures;         /* of the reserve: [labels] */
    double growth, moved, scale;     /* scale: of the rates, below 1 where max_score_move made it so */
    char reason[400];                /* why the guard refuses; empty: it does not */
    ecrec_error *err;
} learner;

static inline uint32_t passes_of(const learner *l)
{
    return l->options->passes != 0 ? l->options->passes : 1;
}

/* The report of an update that was learned from, or refused. NOMEM. */
int32_t update_tell(const learner *l, int accepted, ecrec_report **out);

#endif
