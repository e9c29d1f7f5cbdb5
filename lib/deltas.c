/* Deltas and journals at the ABI: argument checks, then one call into a room. */
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/report.h"
#include "check.h"
#include "ecrec/delta.h"
#include "learn/merge.h"
#include "model/delta.h"
#include "model/journal.h"

void ecrec_journal_options_init(ecrec_journal_options *options)
{
    static const ecrec_journal_options defaults = ECREC_JOURNAL_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static void state_text(hash128 h, char text[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++)
        text[i] = digits[(i < 16 ? h.high : h.low) >> (60 - 4 * (i % 16)) & 15];
    text[32] = 0;
}

static int32_t check_ranker(const ecrec_model *model, ecrec_error *err)
{
    return model->schema != NULL ? ECREC_OK : error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
}

/* A snapshot that stays until snapshot_done(h). */
static int32_t find_snapshot(ecrec_model *model, hazard *h, uint64_t number, const snapshot **out, ecrec_error *err)
{
    *out = snapshot_read(model, h, number);
    return *out != NULL ? ECREC_OK : error_set(err, ECREC_ERR_NOT_FOUND, "snapshot %llu is not kept (see ecrec_model_snapshots)", (unsigned long long)number);
}

int32_t ecrec_model_state(ecrec_model *model, uint64_t snapshot_, char text[33], ecrec_error *err)
{
    hazard h;
    const snapshot *s = NULL;
    CHECK_POINTER(model);
    CHECK_POINTER(text);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK)
        return status;
    model_add_hazard(model, &h);
    if ((status = find_snapshot(model, &h, snapshot_, &s, err)) == ECREC_OK)
        state_text(model_state(model, s), text);
    snapshot_done(&h);
    model_remove_hazard(model, &h);
    return status;
}

int32_t ecrec_delta_export(ecrec_model *model, uint64_t from, uint64_t to, const ecrec_sink *sink, ecrec_error *err)
{
    hazard h[2];
    const snapshot *s[2] = { NULL, NULL };
    CHECK_POINTER(model);
    CHECK_POINTER(sink);
    CHECK_OPTIONS(ecrec_sink, sink);
    CHECK_POINTER(sink->write);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK)
        return status;
    if (from == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_delta_export: from is 0, snapshots begin with 1");
    model_add_hazard(model, &h[0]);
    model_add_hazard(model, &h[1]);
    if ((status = find_snapshot(model, &h[0], from, &s[0], err)) == ECREC_OK && (status = find_snapshot(model, &h[1], to, &s[1], err)) == ECREC_OK) {
        buffer b;
        delta_head head = { .from = from, .to = s[1]->number, .model = model_identity(model) };
        buffer_init(&b, &model->context->m);
        head.base = model_state(model, s[0]);
        head.result = model_state(model, s[1]);
        status = delta_write(&model->context->m, &head, s[0]->tensors, s[1]->tensors, &b, err);
        if (status == ECREC_OK && sink->write(sink->opaque, b.data, b.length) != 0)
            status = error_set(err, ECREC_ERR_IO, "the delta could not be written");
        buffer_release(&b);
    }
    for (int i = 0; i < 2; i++) {
        snapshot_done(&h[i]);
        model_remove_hazard(model, &h[i]);
    }
    return status;
}

static int same(hash128 a, hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

/* A kept snapshot that the delta led to before; 0: none, or the model stands where the delta begins (a way back leads to one that is kept). For the
 * updating thread. */
static uint64_t applied_before(ecrec_model *model, const snapshot *now, const delta_head *d)
{
    if (same(model_state(model, now), d->base) && !same(d->base, d->result))
        return 0;
    for (uint32_t i = model->kept_count; i-- > 0;)
        if (same(model_state(model, model->kept[i]), d->result) && (model->kept[i]->number == d->to || i + 1 == model->kept_count))
            return model->kept[i]->number;
    return 0;
}

int32_t ecrec_delta_apply(ecrec_model *model, const void *bytes, size_t length, uint64_t *snapshot_, ecrec_error *err)
{
    delta_head d;
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    uint64_t number = 0;
    CHECK_POINTER(model);
    CHECK_POINTER(bytes);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK || (status = delta_read_head(bytes, length, &d, err)) != ECREC_OK)
        return status;
    if (!same(d.model, model_identity(model)))
        return error_set(err, ECREC_ERR_MISMATCH, "the delta is of a model with another schema or encoder");
    if ((status = model_update_begin(model, &now, err)) != ECREC_OK)
        return status;
    if ((number = applied_before(model, now, &d)) == 0) {
        char needs[33], has[33];
        state_text(d.base, needs);
        state_text(model_state(model, now), has);
        if (!same(d.base, model_state(model, now)))
            status = error_set(err, ECREC_ERR_MISMATCH, "the delta leads from snapshot %llu (state %s) to %llu; the model is at snapshot %llu (state %s): apply the deltas "
                               "between first, or load a newer model file", (unsigned long long)d.from, needs, (unsigned long long)d.to, (unsigned long long)now->number, has);
        if (status == ECREC_OK)
            status = delta_apply(&model->context->m, &d, bytes, length, now->tensors, &next, err);
        if (status == ECREC_OK && (status = model_publish_as(model, next, d.to, &number, err)) != ECREC_OK)
            tensor_set_release(next);
    }
    model_update_end(model);
    if (status == ECREC_OK && snapshot_ != NULL)
        *snapshot_ = number;
    return status;
}

int32_t ecrec_delta_info(ecrec_context *context, const void *bytes, size_t length, ecrec_report **report, ecrec_error *err)
{
    delta_head d;
    ecrec_report *r = NULL;
    char base[33], result[33];
    CHECK_POINTER(context);
    CHECK_POINTER(bytes);
    CHECK_POINTER(report);
    int32_t status = delta_read_head(bytes, length, &d, err);
    if (status != ECREC_OK || (status = report_create(context, "delta", &r, err)) != ECREC_OK)
        return status;
    state_text(d.base, base);
    state_text(d.result, result);
    report_number(r, "from", (double)d.from);
    report_number(r, "to", (double)d.to);
    report_string(r, "base", base, 32);
    report_string(r, "result", result, 32);
    report_number(r, "rows", isfinite(d.rows) ? d.rows : 0);
    report_number(r, "bytes", (double)length);
    report_number(r, "unpacked_bytes", (double)d.raw);
    if ((status = report_finish(r, err)) == ECREC_OK)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}

/* The kept snapshot that has this state, held by h. */
static int32_t find_state(ecrec_model *model, hazard *h, hash128 state, const snapshot **out, ecrec_error *err)
{
    for (uint64_t numbers[MOST_KEPT + MOST_NAMED], count = 0, i = 0;; i++) {
        if (i == 0) {
            pthread_mutex_lock(&model->lock);
            for (; count < model->kept_count; count++)
                numbers[count] = model->kept[count]->number;
            pthread_mutex_unlock(&model->lock);
        }
        if (i == count)
            return error_set(err, ECREC_ERR_MISMATCH, "no kept snapshot of the model is the one that the deltas begin from");
        const snapshot *s = snapshot_read(model, h, numbers[i]);
        if (s != NULL && same(model_state(model, s), state)) {
            *out = s;
            return ECREC_OK;
        }
        snapshot_done(h);
    }
}

static int32_t merge_into(ecrec_model *model, const snapshot *base, tensor_set *const *states, size_t n, delta_head *head, const ecrec_sink *sink,
                          ecrec_error *err)
{
    memory *m = &model->context->m;
    tensor_set *merged = NULL;
    buffer b;
    int32_t status = merge_states(m, model->schema, ecrec_model_dimension(model), base->tensors, states, n, &merged, err);
    if (status != ECREC_OK)
        return status;
    buffer_init(&b, m);
    head->from = base->number;
    head->result = head->base;
    state_hash(base->tensors, merged, &head->result);
    status = delta_write(m, head, base->tensors, merged, &b, err);
    if (status == ECREC_OK && sink->write(sink->opaque, b.data, b.length) != 0)
        status = error_set(err, ECREC_ERR_IO, "the delta could not be written");
    buffer_release(&b);
    tensor_set_release(merged);
    return status;
}

/* Which delta of a merge it was. */
static void name_delta(ecrec_error *err, size_t i)
{
    ecrec_error said;
    if (err == NULL || strncmp(err->message, "delta ", 6) == 0)
        return;
    said = *err;
    (void)error_set(err, said.code, "delta %zu: %s", i, said.message);
    err->position = said.position;
}

int32_t ecrec_delta_merge(ecrec_model *model, const void *const *deltas, const size_t *lengths, size_t n, const ecrec_sink *sink, ecrec_error *err)
{
    enum { MOST_DELTAS = 1024 };
    hazard h;
    const snapshot *base = NULL;
    delta_head head = { .to = 0 };
    CHECK_POINTER(model);
    CHECK_POINTER(deltas);
    CHECK_POINTER(lengths);
    CHECK_POINTER(sink);
    CHECK_OPTIONS(ecrec_sink, sink);
    CHECK_POINTER(sink->write);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK)
        return status;
    if (n == 0 || n > MOST_DELTAS)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_delta_merge: %zu deltas, 1 to %d can be merged", n, MOST_DELTAS);
    memory *m = &model->context->m;
    tensor_set **states = memory_zero(m, n * sizeof *states);
    if (states == NULL)
        return error_nomem(err, "the workers' states", n * sizeof *states);
    model_add_hazard(model, &h);
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        delta_head d;
        if (deltas[i] == NULL)
            status = error_set(err, ECREC_ERR_INVALID, "ecrec_delta_merge: delta %zu is NULL", i);
        else if ((status = delta_read_head(deltas[i], lengths[i], &d, err)) == ECREC_OK && !same(d.model, model_identity(model)))
            status = error_set(err, ECREC_ERR_MISMATCH, "delta %zu is of a model with another schema or encoder", i);
        if (status == ECREC_OK && i == 0) {
            head = d;
            status = find_state(model, &h, d.base, &base, err);
        }
        if (status == ECREC_OK && !same(d.base, head.base))
            status = error_set(err, ECREC_ERR_MISMATCH, "delta %zu begins from another state than delta 0", i);
        if (status == ECREC_OK && d.to > head.to)
            head.to = d.to;
        if (status == ECREC_OK)
            status = delta_apply(m, &d, deltas[i], lengths[i], base->tensors, &states[i], err);
        if (status != ECREC_OK)
            name_delta(err, i);
    }
    if (status == ECREC_OK)
        status = merge_into(model, base, states, n, &head, sink, err);
    snapshot_done(&h);
    model_remove_hazard(model, &h);
    for (size_t i = 0; i < n; i++)
        tensor_set_release(states[i]);
    memory_release(m, states, n * sizeof *states);
    return status;
}

/* ---- journals ---- */

int32_t ecrec_journal_open(ecrec_model *model, const char *path, const ecrec_journal_options *options, ecrec_report **report, ecrec_error *err)
{
    const snapshot *now = NULL;
    CHECK_POINTER(model);
    CHECK_POINTER(path);
    CHECK_OPTIONS(ecrec_journal_options, options);
    int32_t status = check_ranker(model, err);
    if (status != ECREC_OK)
        return status;
    if (options != NULL && options->sync > ECREC_SYNC_NONE)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_journal_options: sync is %u, there are %d to %d", options->sync, ECREC_SYNC_EACH, ECREC_SYNC_NONE);
    if ((status = model_update_begin(model, &now, err)) != ECREC_OK)
        return status;
    status = journal_open(model, path, options, &journal_files, report, err);
    model_update_end(model);
    return status;
}

int32_t ecrec_journal_sync(ecrec_model *model, ecrec_error *err)
{
    const snapshot *now = NULL;
    CHECK_POINTER(model);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    status = journal_sync(model, err);
    model_update_end(model);
    return status;
}

int32_t ecrec_journal_compact(ecrec_model *model, const char *model_path, ecrec_error *err)
{
    const snapshot *now = NULL;
    CHECK_POINTER(model);
    CHECK_POINTER(model_path);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    status = journal_compact(model, model_path, err);
    model_update_end(model);
    return status;
}

int32_t ecrec_journal_close(ecrec_model *model, ecrec_error *err)
{
    const snapshot *now = NULL;
    CHECK_POINTER(model);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    status = model->journal != NULL ? journal_close(model, err) : error_set(err, ECREC_ERR_INVALID, "the model has no journal (see ecrec_journal_open)");
    model_update_end(model);
    return status;
}
