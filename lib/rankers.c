/* The ABI of rankers: made, scored, updated, fitted, rolled back. */
#include <stddef.h>
#include <string.h>

#include "base/context.h"
#include "check.h"
#include "learn/extend.h"
#include "learn/fit.h"
#include "learn/progress.h"
#include "learn/update.h"
#include "session.h"

static void drop_ranker(parts *p)
{
    for (size_t i = tensor_set_count(p->tensors); i-- > 0;) {
        const char *name = NULL;
        (void)tensor_set_at(p->tensors, i, &name);
        if (strncmp(name, "rank.", 5) == 0 || strncmp(name, "learn.", 6) == 0)
            (void)tensor_set_remove(p->tensors, name);
    }
}

static int32_t check_schema(const ecrec_model *base, const ecrec_schema *schema, ecrec_error *err)
{
    if (schema->field_count == 0 || schema->label_count == 0)
        return error_set(err, ECREC_ERR_INVALID, "the schema has no %s", schema->field_count == 0 ? "field" : "label");
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const schema_field *f = &schema->fields[i];
        if (f->dropped)
            continue;
        if (f->kind == ECREC_FIELD_TEXT && f->encoded && (base == NULL || ecrec_model_dimension(base) == 0))
            return error_set(err, ECREC_ERR_MISMATCH,
                             "field \"%s\": a text field needs a model with an encoder (or no_encoding with n-grams)", f->name);
        if (f->kind == ECREC_FIELD_TEXT && f->encoded && base->tokenizer == NULL)
            return error_set(err, ECREC_ERR_MISMATCH, "field \"%s\": the model has no tokenizer", f->name);
        if (f->kind == ECREC_FIELD_VECTOR && f->space[0] != 0 && base != NULL && base->space[0] != 0 &&
            strcmp(f->space, base->space) != 0)
            return error_set(err, ECREC_ERR_MISMATCH, "field \"%s\": its vectors are of space %s, the model's of %s",
                             f->name, f->space, base->space);
    }
    return ECREC_OK;
}

int32_t ecrec_ranker_create(ecrec_context *context, ecrec_model *base, const ecrec_schema *schema, ecrec_model **ranker_,
                            ecrec_error *err)
{
    CHECK_POINTER(context);
    CHECK_POINTER(schema);
    if (ranker_ == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_ranker_create: ranker is NULL");
    if (base != NULL && base->context != context)
        return error_set(err, ECREC_ERR_MISMATCH, "the base model belongs to another context");
    int32_t status = check_schema(base, schema, err);
    if (status != ECREC_OK)
        return status;
    memory *m = &context->m;
    parts *p = NULL;
    buffer bytes;
    buffer_init(&bytes, m);
    if (base != NULL)
        status = model_parts(base, &p, err);
    else if ((status = parts_create(m, &p)) != ECREC_OK)
        status = error_nomem(err, "a model", sizeof *p);
    if (status != ECREC_OK)
        goto done;
    drop_ranker(p);
    p->sequence = 1;
    if (schema_write(schema, &bytes) != ECREC_OK ||
        parts_set_blob(p, "schema", bytes.data, bytes.length, 0, 1) != ECREC_OK) {
        status = error_nomem(err, "the schema", bytes.length);
        goto done;
    }
    if ((status = ranker_init_tensors(m, schema, ecrec_model_dimension(base), p->tensors, err)) != ECREC_OK)
        goto done;
    parts *given = p;
    p = NULL;
    status = model_create(context, given, DEFAULT_SNAPSHOTS, model_setup, ranker_, err);
done:
    buffer_release(&bytes);
    parts_release(p);
    return status;
}

int32_t ecrec_ranker_extend(ecrec_model *ranker, const ecrec_schema *schema, ecrec_model **extended, ecrec_error *err)
{
    CHECK_POINTER(ranker);
    CHECK_POINTER(schema);
    CHECK_POINTER(extended);
    if (ranker->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    int32_t status = extend_check(ranker->schema, schema, err);
    if (status != ECREC_OK || (status = check_schema(ranker, schema, err)) != ECREC_OK)
        return status;
    memory *m = &ranker->context->m;
    parts *p = NULL;
    ecrec_schema *seeded = NULL;
    tensor_set *next = NULL;
    buffer bytes;
    buffer_init(&bytes, m);
    if ((status = model_parts(ranker, &p, err)) == ECREC_OK && (status = schema_copy(ranker->context, schema, &seeded, err)) == ECREC_OK) {
        extend_seeds(ranker->schema, p->tensors, seeded);
        status = extend_tensors(m, ranker->schema, seeded, ecrec_model_dimension(ranker), p->tensors, &next, err);
    }
    if (status == ECREC_OK && (schema_write(seeded, &bytes) != ECREC_OK || parts_set_blob(p, "schema", bytes.data, bytes.length, 0, 1) != ECREC_OK))
        status = error_nomem(err, "the schema", bytes.length);
    if (status == ECREC_OK) {
        tensor_set_release(p->tensors);
        p->tensors = next;
        parts *given = p;
        p = NULL;
        next = NULL;
        status = model_create(ranker->context, given, ranker->kept_limit, model_setup, extended, err);
    }
    tensor_set_release(next);
    ecrec_schema_release(seeded);
    buffer_release(&bytes);
    parts_release(p);
    return status;
}

const ecrec_schema *ecrec_model_schema(const ecrec_model *model)
{
    return model != NULL ? model->schema : NULL;
}

static int32_t score(ecrec_model *model, ecrec_session *session, const ecrec_batch *user, const ecrec_batch *batch,
                     const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(batch);
    CHECK_OPTIONS_SINCE(ecrec_score_options, options, offsetof(ecrec_score_options, bad_rows));
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    if (ecrec_batch_bad_rows(user) != 0)
        return error_row(err, ECREC_ERR_INVALID, 0, "the user's batch: %s", ecrec_batch_bad_row(user, 0, NULL));
    const ecrec_schema *schema = model->schema;
    size_t rows = ecrec_batch_rows(batch), need = rows * schema_outputs(schema);
    if (capacity < need)
        return error_set(err, ECREC_ERR_TOO_SMALL, "%zu rows of %u scores need %zu, the buffer takes %zu", rows,
                         schema_outputs(schema), need, capacity);
    if (options != NULL && options->contributions != NULL && options->contributions_capacity < need * schema_parts(schema))
        return error_set(err, ECREC_ERR_TOO_SMALL, "the contributions need %zu floats, the buffer takes %zu",
                         need * schema_parts(schema), options->contributions_capacity);
    if (rows == 0)
        return ECREC_OK;
    CHECK_POINTER(scores);
    uint64_t number = options != NULL ? options->snapshot : 0;
    const snapshot *now = snapshot_read(model, &session->reading, number);
    if (now == NULL)
        return error_set(err, ECREC_ERR_NOT_FOUND, "snapshot %llu is not kept", (unsigned long long)number);
    score_call call = { .context = model->context, .ranker = now->ranker, .schema = schema, .encoder = now->encoder,
                        .tokenizer = model->tokenizer, .embed = session->embed, .user = user, .batch = batch, .options = options,
                        .scores = scores };
    if (options != NULL && options->size >= sizeof *options) {
        call.skip = options->bad_rows;
        call.positions = options->positions != 0;
    }
    batch_view view = { .valid = NULL };
    if (user == NULL && batch->schema->fingerprint != schema->fingerprint) /* another form of it, perhaps */
        status = batch_view_open(&view, batch, schema, call.skip, &call.batch, err);
    if (status == ECREC_OK)
        status = model_prompt(model, NULL, &call.prompt, &call.prompt_length, err);
    if (status == ECREC_OK)
        status = score_run(session->score, &call, err);
    batch_view_close(&view);
    snapshot_done(&session->reading);
    return status;
}

int32_t ecrec_score(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch,
                    const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err)
{
    return score(model, session, NULL, batch, options, scores, capacity, err);
}

int32_t ecrec_score_candidates(ecrec_model *model, ecrec_session *session, const ecrec_batch *user, const ecrec_batch *candidates,
                               const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err)
{
    CHECK_POINTER(user);
    CHECK_POINTER(candidates);
    return score(model, session, user, candidates, options, scores, capacity, err);
}

int32_t ecrec_update(ecrec_model *model, const ecrec_batch *batch, const ecrec_update_options *options,
                     ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(batch);
    CHECK_OPTIONS_SINCE(ecrec_update_options, options, offsetof(ecrec_update_options, force));
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    uint64_t number = 0;
    ecrec_update_options whole = ECREC_UPDATE_OPTIONS_INIT; /* what an older host's struct has not is 0 */
    if (options != NULL)
        memcpy(&whole, options, options->size < sizeof whole ? options->size : sizeof whole);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    update_call call = { .context = model->context, .schema = model->schema, .encoder = now->encoder,
                         .tokenizer = model->tokenizer, .tensors = now->tensors, .options = &whole,
                         .snapshot = model->last_number + 1 };
    batch_view view;
    status = batch_view_open(&view, batch, model->schema, whole.bad_rows, &call.batch, err);
    if (status == ECREC_OK)
        status = model_prompt(model, NULL, &call.prompt, &call.prompt_length, err);
    if (status == ECREC_OK)
        status = update_run(&call, &next, report != NULL ? &told : NULL, err);
    const int refused = status == ECREC_ERR_REJECTED; /* with a report all the same */
    if (status == ECREC_OK && next != NULL)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK)
        tensor_set_release(next);
    if (status != ECREC_OK && !refused)
        ecrec_report_release(told);
    else if (report != NULL && told != NULL)
        *report = told;
    batch_view_close(&view);
    model_update_end(model);
    return status;
}

int32_t ecrec_fit(ecrec_model *model, const ecrec_batch *batch, const ecrec_fit_options *options, ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(batch);
    CHECK_OPTIONS_SINCE(ecrec_fit_options, options, offsetof(ecrec_fit_options, modality_dropout));
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    parts *p = NULL;
    uint64_t number = 0;
    ecrec_fit_options whole = ECREC_FIT_OPTIONS_INIT;
    batch_view view;
    const ecrec_batch *rows = NULL;
    if (options != NULL)
        memcpy(&whole, options, options->size < sizeof whole ? options->size : sizeof whole);
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    if ((status = batch_view_open(&view, batch, model->schema, whole.bad_rows, &rows, err)) == ECREC_OK && (status = model_parts(model, &p, err)) == ECREC_OK) {
        fit_call call = { .source = { .context = model->context, .encoder = now->encoder, .tokenizer = model->tokenizer }, .schema = model->schema,
                          .model = p, .batch = rows, .options = &whole, .snapshot = model->last_number + 1 };
        status = model_prompt(model, NULL, &call.source.prompt, &call.source.prompt_length, err);
        if (status == ECREC_OK)
            status = fit_run(&call, &next, report != NULL ? &told : NULL, err);
        if (status == ECREC_OK)
            status = progress_add(&model->context->m, next, (double)ecrec_batch_rows(batch), err);
    }
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    batch_view_close(&view);
    parts_release(p);
    model_update_end(model);
    return status;
}

uint64_t ecrec_model_snapshot(const ecrec_model *model)
{
    if (model == NULL)
        return 0;
    ecrec_model *m = (ecrec_model *)(uintptr_t)model; /* the lock is not part of what a reader sees */
    pthread_mutex_lock(&m->lock);
    uint64_t number = m->kept[m->kept_count - 1]->number;
    pthread_mutex_unlock(&m->lock);
    return number;
}

int32_t ecrec_model_snapshots(const ecrec_model *model, uint64_t *numbers, size_t capacity, size_t *count,
                              ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(count);
    if (capacity != 0)
        CHECK_POINTER(numbers);
    ecrec_model *m = (ecrec_model *)(uintptr_t)model;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->kept_count && i < capacity; i++)
        numbers[i] = m->kept[i]->number;
    *count = m->kept_count;
    pthread_mutex_unlock(&m->lock);
    return ECREC_OK;
}

int32_t ecrec_rollback(ecrec_model *model, uint64_t snapshot, ecrec_error *err)
{
    CHECK_POINTER(model);
    return model_rollback(model, snapshot, err);
}

int32_t ecrec_snapshot_name(ecrec_model *model, uint64_t snapshot, const char *name, ecrec_error *err)
{
    CHECK_POINTER(model);
    return model_name_snapshot(model, snapshot, name != NULL ? name : "", err);
}

int32_t ecrec_snapshot_find(ecrec_model *model, const char *name, uint64_t *snapshot, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(name);
    CHECK_POINTER(snapshot);
    if (name[0] == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_snapshot_find: the name is empty");
    return model_find_snapshot(model, name, snapshot, err);
}
