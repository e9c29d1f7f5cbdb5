#include "stream/observe.h"

#include <math.h>
#include <string.h>

#include "measure/metrics.h"
#include "rank/targets.h"

typedef struct seen { double loss, error, prediction, label; } seen;

/* By what was said of the row, not by logits: so a served score and one of today are judged alike. error: in 0 .. 1. */
static seen look(const schema_label *kind, const float *scores, float y)
{
    const double p = scores[kind->kind == ECREC_LABEL_CLASSES ? (uint32_t)y : 0], far = fabs(p - (double)y);
    switch (kind->kind) {
    case ECREC_LABEL_BINARY: return (seen){ log_loss_of(p, (double)y), far, p, (double)y };
    case ECREC_LABEL_CLASSES: return (seen){ log_loss_of(p, 1), 1 - p, p, 1 };
    case ECREC_LABEL_ORDINAL: return (seen){ far * far / 2, far / (kind->classes - 1), p, (double)y };
    default: return (seen){ far * far / 2, far / (1 + far), p, (double)y };
    }
}

static void add(double *to, const seen *s)
{
    to[OBSERVED_ROWS] += 1;
    to[OBSERVED_LOSS] += s->loss;
    to[OBSERVED_PREDICTION] += s->prediction;
    to[OBSERVED_LABEL] += s->label;
}

static void add_window(const online *memory, uint32_t label, const seen *s)
{
    double *w = (double *)tensor_edit(memory->window) + (size_t)label * WINDOW_COLUMNS;
    add(w, s);
    add(w + OBSERVED_COLUMNS, s);
    if (w[OBSERVED_COLUMNS + WINDOW_ROWS] < (double)memory->words[ONLINE_WINDOW])
        return;
    memcpy(w + 2 * OBSERVED_COLUMNS, w + OBSERVED_COLUMNS, OBSERVED_COLUMNS * sizeof *w);
    memset(w + OBSERVED_COLUMNS, 0, OBSERVED_COLUMNS * sizeof *w);
}

static void note(observer *o, uint32_t label, uint32_t detector, size_t row, const drift_found *what)
{
    if (o->drift_count < sizeof o->drifts / sizeof *o->drifts)
        o->drifts[o->drift_count] = (found_drift){ label, detector, row, *what };
    o->drift_count++;
    o->memory->words[ONLINE_DRIFTS] += 1;
    o->memory->words[ONLINE_BOOST_LEFT] = online_double(o->memory, ONLINE_BOOST) > 1 ? o->memory->words[ONLINE_BOOST_ROWS] : 0;
}

static int detect(observer *o, uint32_t label, size_t row, double error)
{
    const online *m = o->memory;
    drift_found what;
    int found = 0;
    if (m->drift == NULL)
        return 0;
    double *state = (double *)tensor_edit(m->drift) + (size_t)label * (ADWIN_SIZE + PAGE_HINKLEY_SIZE);
    if (m->words[ONLINE_DRIFT] & ECREC_DRIFT_ADWIN && adwin_add(state, error, online_double(m, ONLINE_CONFIDENCE), &what)) {
        note(o, label, ECREC_DRIFT_ADWIN, row, &what);
        found = 1;
    }
    if (m->words[ONLINE_DRIFT] & ECREC_DRIFT_PAGE_HINKLEY &&
        page_hinkley_add(state + ADWIN_SIZE, error, online_double(m, ONLINE_TOLERANCE), online_double(m, ONLINE_THRESHOLD), &what)) {
        note(o, label, ECREC_DRIFT_PAGE_HINKLEY, row, &what);
        found = 1;
    }
    return found;
}

int observe_row(observer *o, size_t place, size_t row, const double *logits, const float *thresholds)
{
    int found = 0;
    uint32_t first = 0;
    heads_to_scores(o->schema, thresholds, logits, 0, o->scores);
    calibration_apply(o->calibration, o->schema, logits, o->scores);
    for (uint32_t l = 0; l < o->schema->label_count; l++) {
        const schema_label *kind = &o->schema->labels[l];
        const batch_column *y = batch_label(o->batch, l);
        const float *served = o->served != NULL ? o->served + row * o->heads + first : NULL;
        if (column_has(y, row)) {
            const float *said = served != NULL && isfinite(served[0]) ? served : o->scores + first;
            seen s = look(kind, said, column_float(y, row));
            if (kind->kind == ECREC_LABEL_VALUE) { /* whatever the unit */
                const double far = target_off(o->targets, o->schema, l, *said, column_float(y, row));
                s.error = far / (1 + far);
            }
            if (o->windows != NULL)
                add(o->windows + (place / o->window * o->schema->label_count + l) * OBSERVED_COLUMNS, &s);
            if (o->memory->words != NULL && isfinite(s.loss)) {
                add_window(o->memory, l, &s);
                found |= detect(o, l, row, s.error < 1 ? s.error : 1);
            }
        }
        first += label_outputs(kind);
    }
    return found;
}
