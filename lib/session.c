/* Sessions, and the views that models bind to their parts and snapshots. */
#include "session.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "check.h"
#include "encoder/pictures.h"
#include "stream/online.h"

int32_t check_session(const ecrec_model *model, const ecrec_session *session, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(session);
    if (session->model != model)
        return error_set(err, ECREC_ERR_MISMATCH, "the session was made for another model");
    return ECREC_OK;
}

static int encoder_tensor(const char *name)
{
    return strncmp(name, "rank.", 5) != 0 && strncmp(name, "learn.", 6) != 0;
}

/* An update leaves the encoder's tensors alone: then its view is shared, not checked again. */
static int same_encoder(const tensor_set *a, const tensor_set *b)
{
    size_t count = tensor_set_count(a);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(a, i, &name);
        if (encoder_tensor(name) && tensor_set_get(b, name) != t)
            return 0;
    }
    return 1;
}

static int32_t bind_snapshot(ecrec_model *model, snapshot *s, const snapshot *previous, ecrec_error *err)
{
    encoder *e = NULL;
    ranker *r = NULL;
    memory *m = &model->context->m;
    const properties *settings = model->fixed->settings;
    int32_t status;
    if (properties_string(settings, "encoder.kind", NULL) != NULL) {
        if (previous != NULL && previous->encoder != NULL && same_encoder(s->tensors, previous->tensors))
            e = encoder_reference(previous->encoder);
        else if ((status = encoder_create(m, settings, s->tensors, &e, err)) != ECREC_OK)
            return status;
    }
    if (model->schema != NULL &&
        (status = ranker_create(m, model->schema, e != NULL ? e->dimension : 0, s->tensors, &r, err)) != ECREC_OK) {
        encoder_release(e);
        return status;
    }
    online memory;
    if (r != NULL && ((status = online_view(&memory, s->tensors, model->schema, err)) != ECREC_OK ||
                      (previous == NULL && (status = ranker_check_tables(s->tensors, err)) != ECREC_OK))) {
        ranker_release(r);
        encoder_release(e);
        return status;
    }
    s->encoder = e;
    s->ranker = r;
    return ECREC_OK;
}

static void unbind_snapshot(ecrec_model *model, snapshot *s)
{
    (void)model;
    ranker_release(s->ranker);
    encoder_release(s->encoder);
    s->ranker = NULL;
    s->encoder = NULL;
}

static void release_views(ecrec_model *model)
{
    memory_release(&model->context->m, model->tokenizer, sizeof(tokenizer));
    memory_release(&model->context->m, model->pictures, sizeof(picture_settings));
    ecrec_schema_release(model->schema);
    model->tokenizer = NULL;
    model->pictures = NULL;
    model->schema = NULL;
}

static void copy_name(char out[40], const char *text)
{
    size_t n = strlen(text);
    n = n < 39 ? n : 39;
    memcpy(out, text, n);
    out[n] = 0;
}

int32_t model_setup(ecrec_model *model, ecrec_error *err)
{
    memory *m = &model->context->m;
    int32_t status;
    model->binder.bind = bind_snapshot;
    model->binder.unbind = unbind_snapshot;
    model->release_views = release_views;
    copy_name(model->space, properties_string(model->fixed->settings, "space.fingerprint", ""));
    copy_name(model->variant, properties_string(model->fixed->settings, "space.variant", ""));
    const blob *image = parts_blob(model->fixed, "tokenizer");
    if (image != NULL) {
        if ((model->tokenizer = memory_zero(m, sizeof(tokenizer))) == NULL)
            return error_nomem(err, "the tokenizer's view", sizeof(tokenizer));
        if ((status = tokenizer_open(model->tokenizer, image->data, image->length, err)) != ECREC_OK)
            return status;
    }
    if (properties_string(model->fixed->settings, "image.resize", NULL) != NULL) {
        if ((model->pictures = memory_zero(m, sizeof(picture_settings))) == NULL)
            return error_nomem(err, "the settings of pictures", sizeof(picture_settings));
        if ((status = pictures_read(model->fixed->settings, model->pictures, err)) != ECREC_OK)
            return status;
    }
    const blob *schema = parts_blob(model->fixed, "schema");
    if (schema != NULL) {
        ecrec_schema *s = NULL;
        if ((status = schema_read(model->context, schema->data, schema->length, &s, err)) != ECREC_OK)
            return status;
        model->schema = s;
    }
    uint64_t vocabulary = properties_u64(model->fixed->settings, "encoder.vocabulary", UINT64_MAX);
    if (model->tokenizer != NULL && tokenizer_size(model->tokenizer) > vocabulary)
        return error_set(err, ECREC_ERR_FORMAT, "the tokenizer has %u ids, the encoder's table only %llu rows",
                         tokenizer_size(model->tokenizer), (unsigned long long)vocabulary);
    return ECREC_OK;
}

int32_t model_prompt(const ecrec_model *model, const char *name, const char **text, size_t *length, ecrec_error *err)
{
    const properties *settings = model->fixed->settings;
    char key[256];
    *text = NULL;
    *length = 0;
    if (name == NULL && (name = properties_string(settings, "prompt_default", NULL)) == NULL)
        return ECREC_OK;
    size_t n = strlen(name);
    if (n + 8 > sizeof key)
        return error_set(err, ECREC_ERR_INVALID, "the prompt's name has %zu bytes, at most %zu are possible", n,
                         sizeof key - 8);
    memcpy(key, "prompt.", 7);
    memcpy(key + 7, name, n + 1);
    if ((*text = properties_string(settings, key, NULL)) == NULL)
        return error_set(err, ECREC_ERR_NOT_FOUND, "the model has no prompt called \"%s\"", name);
    *length = strlen(*text);
    return ECREC_OK;
}

static int32_t session_fill(ecrec_session *s, const ecrec_session_options *options, ecrec_error *err)
{
    ecrec_model *model = s->model;
    memory *m = &model->context->m;
    const snapshot *now = snapshot_read(model, &s->reading, 0);
    const encoder *e = now->encoder;
    uint32_t most = context_threads(model->context);
    const size_t text_bytes = options != NULL && options->size >= sizeof *options ? (size_t)options->max_text_bytes : 0;
    uint32_t threads = options != NULL && options->threads != 0 && options->threads < most ? options->threads : most;
    int32_t status = ECREC_OK;
    if (e != NULL)
        status = embed_create(m, e, model->tokenizer, model->pictures, threads, options != NULL ? options->max_tokens : 0, text_bytes, &s->embed,
                              err);
    else if (model->tokenizer != NULL)
        status = token_work_create_for(m, model->tokenizer, text_bytes, &s->words, err);
    if (status == ECREC_OK && model->schema != NULL)
        status = score_scratch_create(m, model->schema, e != NULL ? e->dimension : 0, threads, &s->score, err);
    snapshot_done(&s->reading);
    return status;
}

int32_t ecrec_session_create(ecrec_model *model, const ecrec_session_options *options, ecrec_session **session,
                             ecrec_error *err)
{
    if (model == NULL || session == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_session_create: %s is NULL", model == NULL ? "model" : "session");
    CHECK_OPTIONS_SINCE(ecrec_session_options, options, offsetof(ecrec_session_options, max_text_bytes));
    if (options != NULL && options->size >= sizeof *options && options->max_text_bytes >= UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "ecrec_session_options: max_text_bytes is %llu, a text has less than 4 GiB",
                         (unsigned long long)options->max_text_bytes);
    ecrec_session *s = memory_zero(&model->context->m, sizeof *s);
    if (s == NULL)
        return error_nomem(err, "a session", sizeof *s);
    s->model = model;
    model_reference(model);
    model_add_hazard(model, &s->reading);
    int32_t status = session_fill(s, options, err);
    if (status != ECREC_OK) {
        ecrec_session_release(s);
        return status;
    }
    *session = s;
    return ECREC_OK;
}

void ecrec_session_release(ecrec_session *session)
{
    if (session == NULL)
        return;
    ecrec_model *model = session->model;
    memory *m = &model->context->m;
    embed_destroy(session->embed);
    score_scratch_destroy(session->score);
    token_work_destroy(session->words);
    model_remove_hazard(model, &session->reading);
    memory_release(m, session, sizeof *session);
    model_release(model);
}
