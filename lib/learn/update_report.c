/* What an update tells: progressive metrics, the guard's figures, windows, and the rows that it refused. */
#include <math.h>
#include <string.h>

#include "base/report.h"
#include "learn/losses.h"
#include "learn/update_parts.h"
#include "rank/targets.h"

enum { WORST_ROWS = 5 };

/* Of the chunks of tables that the new snapshot does not share with the old one. */
static double changed_bytes(const learner *l)
{
    const struct { const tensor *new, *old; } tables[] = { { l->state.hashed, l->old->table }, { l->state.embeddings, l->old->embeddings } };
    double bytes = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        bytes += tables[i].new != NULL ? (double)tensor_own_bytes(tables[i].new, tables[i].old) : 0;
    return bytes;
}

/* By what was served; rows where that is not known are left out. */
static void tell_served(const learner *l, ecrec_report *r)
{
    uint32_t head = 0;
    for (uint32_t label = 0; label < l->labels; label++) {
        const schema_label *kind = &l->call->schema->labels[label];
        const batch_column *y = batch_label(l->batch, label);
        calibration_bin bins[CALIBRATION_BINS];
        char name[256];
        size_t n = 0;
        metrics m;
        for (size_t i = 0; i < l->rows && kind->kind == ECREC_LABEL_BINARY; i++) {
            const size_t row = l->order[i];
            const float p = l->options->served[row * l->heads + head];
            if (column_has(y, row) && isfinite(p))
                l->items[n++] = (scored){ p, column_float(y, row), batch_weight(l->batch, row), 0 };
        }
        head += label_outputs(kind);
        if (n == 0)
            continue;
        metrics_compute(l->items, n, 0.5, bins, CALIBRATION_BINS, &m);
        metrics_label_key(kind->name, name);
        report_numberf(r, (double)n, "served.%s.rows", name);
        report_numberf(r, m.log_loss, "served.%s.log_loss", name);
        if (!isnan(m.auc))
            report_numberf(r, m.auc, "served.%s.auc", name);
        report_numberf(r, m.ece, "served.%s.ece", name);
    }
}

static void tell_guard(const learner *l, ecrec_report *r)
{
    report_number(r, "guard.reserve_rows", (double)l->reserve_rows);
    report_number(r, "guard.moved", l->moved);
    for (uint32_t label = 0; label < l->labels && l->reserve != NULL; label++) {
        char name[256];
        metrics_label_key(l->call->schema->labels[label].name, name);
        const guard_measure *g = &l->measures[label];
        report_numberf(r, g->loss[0], "guard.labels.%s.loss_before", name);
        report_numberf(r, g->loss[1], "guard.labels.%s.loss_after", name);
        report_numberf(r, g->calibration[0], "guard.labels.%s.calibration_before", name);
        report_numberf(r, g->calibration[1], "guard.labels.%s.calibration_after", name);
    }
}

static void tell_windows(const learner *l, ecrec_report *r)
{
    const observer *o = &l->observer;
    for (size_t w = 0; w < o->count && o->windows != NULL; w++)
        for (uint32_t label = 0; label < l->labels; label++) {
            const double *v = o->windows + (w * l->labels + label) * OBSERVED_COLUMNS;
            char name[256];
            metrics_label_key(l->call->schema->labels[label].name, name);
            report_numberf(r, v[OBSERVED_ROWS], "windows.%zu.%s.rows", w, name);
            report_numberf(r, v[OBSERVED_ROWS] > 0 ? v[OBSERVED_LOSS] / v[OBSERVED_ROWS] : 0, "windows.%zu.%s.loss", w, name);
            report_numberf(r, v[OBSERVED_LABEL] != 0 ? v[OBSERVED_PREDICTION] / v[OBSERVED_LABEL] : 0, "windows.%zu.%s.calibration", w, name);
        }
    report_number(r, "drifts", (double)o->drift_count);
}

/* The rows that the host has back: how many, and those whose loss was the largest. */
static void tell_quarantined(const learner *l, ecrec_report *r)
{
    const schema_label *kind = &l->call->schema->labels[0];
    const batch_column *y = batch_label(l->batch, 0);
    const float *thresholds = l->old->network != NULL ? (const float *)l->old->network->data + l->old->net.thresholds : NULL;
    size_t worst[WORST_ROWS], n = 0;
    double losses[WORST_ROWS], unused[MOST_CLASSES];
    report_number(r, "quarantined.rows", (double)l->rows);
    for (size_t i = 0; i < l->guarded_count; i++) {
        if (!column_has(y, l->guarded[i]))
            continue;
        const double *logits = l->before + i * l->heads, loss = kind->kind == ECREC_LABEL_VALUE ? target_loss(l->state.targets, l->call->schema, 0, *logits, column_float(y, l->guarded[i]))
                                                                                                  : loss_row(kind, logits, thresholds, column_float(y, l->guarded[i]), 1, unused, NULL);
        size_t at = n < WORST_ROWS ? n++ : WORST_ROWS;
        while (at > 0 && loss > losses[at - 1]) {
            if (at < WORST_ROWS) {
                losses[at] = losses[at - 1];
                worst[at] = worst[at - 1];
            }
            at--;
        }
        if (at < WORST_ROWS && (at < n)) {
            losses[at] = loss;
            worst[at] = l->guarded[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        report_numberf(r, (double)worst[i], "quarantined.worst.%zu.row", i);
        report_numberf(r, losses[i], "quarantined.worst.%zu.loss", i);
    }
}

int32_t update_tell(const learner *l, int accepted, ecrec_report **out)
{
    ecrec_report *r = NULL;
    int32_t status = report_create(l->call->context, "update", &r, l->err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "rows", (double)l->rows);
    report_number(r, "passes", passes_of(l));
    report_number(r, "snapshot", accepted && l->rows != 0 ? (double)l->call->snapshot : 0);
    report_number(r, "accepted", accepted);
    report_number(r, "forced", accepted && l->reason[0] != 0);
    report_string(r, "reason", l->reason, strlen(l->reason));
    report_number(r, "repeated", (double)l->repeats);
    if (l->rows != 0) {
        report_number(r, "replayed", l->replay != NULL ? (double)ecrec_batch_rows(l->replay) : 0);
        report_number(r, "rate", l->settings.rate * l->scale);
        uint32_t head = 0;
        for (uint32_t label = 0; label < l->labels; label++) {
            if (!l->call->schema->labels[label].dropped)
                metrics_tell_list(r, l->call->schema, label, l->batch, l->order, l->rows, l->logits + head, l->heads, l->old->calibration, l->items);
            head += label_outputs(&l->call->schema->labels[label]);
        }
        if (l->options->served != NULL)
            tell_served(l, r);
        tell_guard(l, r);
        tell_windows(l, r);
        if (!accepted)
            tell_quarantined(l, r);
        report_number(r, "memory_bytes", changed_bytes(l));
    }
    batch_tell_skipped(r, l->call->batch);
    if ((status = report_finish(r, l->err)) == ECREC_OK)
        *out = r;
    else
        ecrec_report_release(r);
    return status;
}

