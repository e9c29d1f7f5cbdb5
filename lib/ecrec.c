/* The ABI: argument checks, then one call into a room. Schemas, batches, reports and metrics check their arguments in
 * their own rooms. */
#include "ecrec/ecrec.h"

#include <string.h>

#include "base/context.h"
#include "base/cpu.h"
#include "check.h"
#include "compress/compress.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "learn/fit.h"
#include "learn/progress.h"
#include "learn/update.h"
#include "model/file.h"
#include "session.h"
#include "text/decode.h"
#ifdef ECREC_WITH_IMPORT
#include "import/import.h"
#endif

#define DEFAULT_SNAPSHOTS 8
#define MOST_SNAPSHOTS 64

uint32_t ecrec_version(void)
{
    return ECREC_VERSION_MAJOR * 1000000u + ECREC_VERSION_MINOR * 1000u + ECREC_VERSION_PATCH;
}

#define OPTIONS_INIT(name, type, init)    \
    void name(type *options)              \
    {                                     \
        static const type defaults = init; \
        if (options != NULL)              \
            *options = defaults;          \
    }
OPTIONS_INIT(ecrec_import_options_init, ecrec_import_options, ECREC_IMPORT_OPTIONS_INIT)
OPTIONS_INIT(ecrec_load_options_init, ecrec_load_options, ECREC_LOAD_OPTIONS_INIT)
OPTIONS_INIT(ecrec_session_options_init, ecrec_session_options, ECREC_SESSION_OPTIONS_INIT)
OPTIONS_INIT(ecrec_tokenize_options_init, ecrec_tokenize_options, ECREC_TOKENIZE_OPTIONS_INIT)
OPTIONS_INIT(ecrec_encode_options_init, ecrec_encode_options, ECREC_ENCODE_OPTIONS_INIT)
OPTIONS_INIT(ecrec_classify_options_init, ecrec_classify_options, ECREC_CLASSIFY_OPTIONS_INIT)
OPTIONS_INIT(ecrec_encode_input_init, ecrec_encode_input, ECREC_ENCODE_INPUT_INIT)
OPTIONS_INIT(ecrec_encode_output_init, ecrec_encode_output, ECREC_ENCODE_OUTPUT_INIT)
OPTIONS_INIT(ecrec_prune_options_init, ecrec_prune_options, ECREC_PRUNE_OPTIONS_INIT)
OPTIONS_INIT(ecrec_quantize_options_init, ecrec_quantize_options, ECREC_QUANTIZE_OPTIONS_INIT)

/* BLIS's tile for large products, where it is the one to take (matmul.h): the context then has a table of its own. */
static int32_t take_blis(ecrec_context *made, ecrec_error *err)
{
    void *blis = matmul_wants_blis(made->kernels) && memory_c_library_has(MATMUL_BLIS_HEADROOM) ? matmul_ask_blis(made->kernels) : NULL;
    if (blis == NULL)
        return ECREC_OK;
    kernels *table = memory_allocate(&made->m, sizeof *table);
    if (table == NULL)
        return error_nomem(err, "the kernels", sizeof *table);
    *table = *made->kernels;
    table->blis = blis;
    made->kernels = made->kernels_copy = table;
    made->kernels_copy_bytes = sizeof *table;
    return ECREC_OK;
}

int32_t ecrec_context_create(const ecrec_context_options *options, ecrec_context **context, ecrec_error *err)
{
    CHECK_POINTER(context);
    ecrec_context *made = NULL;
    int32_t status = context_create(options, &made, err);
    if (status != ECREC_OK)
        return status;
    uint32_t rejected = 0;
    made->kernels = kernels_select(made->cpu_available, &rejected);
    made->cpu_level = made->kernels->level;
    if ((status = take_blis(made, err)) != ECREC_OK) {
        context_release(made);
        return status;
    }
    cpu_describe(made->cpu_text, sizeof made->cpu_text, made->cpu_available, made->cpu_level, rejected);
    if (rejected != 0)
        context_log(made, ECREC_LOG_WARNING, "kernels of levels 0x%x differ from the reference on this machine and are not used", rejected);
    *context = made;
    return ECREC_OK;
}

/* ---- models ---- */

int32_t ecrec_model_import(ecrec_context *context, const char *folder, const ecrec_import_options *options,
                           ecrec_model **model, ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(context);
    CHECK_POINTER(folder);
    CHECK_OPTIONS(ecrec_import_options, options);
    int check_only = options != NULL && options->check_only;
    if (!check_only)
        CHECK_POINTER(model);
#ifdef ECREC_WITH_IMPORT
    parts *p = NULL;
    ecrec_report *told = NULL;
    ecrec_model *made = NULL;
    int32_t status = import_folder(context, folder, options, &p, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK && !check_only)
        status = model_create(context, p, DEFAULT_SNAPSHOTS, model_setup, &made, err);
    if (status != ECREC_OK) {
        ecrec_report_release(told);
        return status;
    }
    if (!check_only)
        *model = made;
    if (report != NULL)
        *report = told;
    return ECREC_OK;
#else
    (void)report;
    return error_set(err, ECREC_ERR_UNSUPPORTED, "this build of libecrec has no importer (meson option import)");
#endif
}

static int32_t load_mapping(ecrec_context *context, mapping *map, const ecrec_load_options *options,
                            ecrec_model **model, ecrec_error *err)
{
    parts *p = NULL;
    int32_t status = file_read(map, options, &p, err);
    mapping_release(map);
    if (status != ECREC_OK)
        return status;
    uint32_t kept = options != NULL && options->snapshots != 0 ? options->snapshots : DEFAULT_SNAPSHOTS;
    return model_create(context, p, kept, model_setup, model, err);
}

static int32_t check_load(const ecrec_load_options *options, ecrec_error *err)
{
    CHECK_OPTIONS(ecrec_load_options, options);
    if (options != NULL && options->snapshots > MOST_SNAPSHOTS)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_load_options: snapshots is %u, at most %u can be kept",
                         options->snapshots, MOST_SNAPSHOTS);
    return ECREC_OK;
}

int32_t ecrec_model_load(ecrec_context *context, const char *path, const ecrec_load_options *options,
                         ecrec_model **model, ecrec_error *err)
{
    CHECK_POINTER(context);
    CHECK_POINTER(path);
    CHECK_POINTER(model);
    mapping *map = NULL;
    int32_t status = check_load(options, err);
    if (status == ECREC_OK)
        status = mapping_open(context, path, &map, err);
    return status != ECREC_OK ? status : load_mapping(context, map, options, model, err);
}

int32_t ecrec_model_load_memory(ecrec_context *context, const void *bytes, size_t length,
                                void (*release)(void *opaque), void *opaque, const ecrec_load_options *options,
                                ecrec_model **model, ecrec_error *err)
{
    mapping *map = NULL;
    int32_t status = ECREC_OK;
    if (context == NULL || bytes == NULL || model == NULL)
        status = error_set(err, ECREC_ERR_INVALID, "ecrec_model_load_memory: %s is NULL",
                           context == NULL ? "context" : bytes == NULL ? "bytes" : "model");
    if (status == ECREC_OK)
        status = check_load(options, err);
    if (status != ECREC_OK) { /* the bytes are handed back whatever happens */
        if (release != NULL)
            release(opaque);
        return status;
    }
    status = mapping_memory(context, bytes, length, release, opaque, &map, err);
    return status != ECREC_OK ? status : load_mapping(context, map, options, model, err);
}

int32_t ecrec_model_load_source(ecrec_context *context, const ecrec_source *source, const ecrec_load_options *options,
                                ecrec_model **model, ecrec_error *err)
{
    CHECK_POINTER(context);
    CHECK_POINTER(source);
    CHECK_POINTER(model);
    CHECK_OPTIONS(ecrec_source, source);
    CHECK_POINTER(source->read);
    mapping *map = NULL;
    int32_t status = check_load(options, err);
    if (status == ECREC_OK)
        status = mapping_source(context, source, &map, err);
    return status != ECREC_OK ? status : load_mapping(context, map, options, model, err);
}

int32_t ecrec_model_save(ecrec_model *model, const char *path, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(path);
    parts *p = NULL;
    int32_t status = model_parts(model, &p, err);
    if (status == ECREC_OK)
        status = file_save(p, path, err);
    parts_release(p);
    return status;
}

int32_t ecrec_model_save_sink(ecrec_model *model, const ecrec_sink *sink, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(sink);
    CHECK_OPTIONS(ecrec_sink, sink);
    CHECK_POINTER(sink->write);
    parts *p = NULL;
    int32_t status = model_parts(model, &p, err);
    if (status == ECREC_OK)
        status = file_write(p, sink, err);
    parts_release(p);
    return status;
}

ecrec_model *ecrec_model_reference(ecrec_model *model)
{
    if (model != NULL)
        model_reference(model);
    return model;
}

void ecrec_model_release(ecrec_model *model)
{
    if (model != NULL)
        model_release(model);
}

int32_t ecrec_model_info(ecrec_model *model, ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(report);
    return model_describe(model, report, err);
}

uint32_t ecrec_model_dimension(const ecrec_model *model)
{
    return model != NULL ? (uint32_t)properties_u64(model->fixed->settings, "encoder.dimension", 0) : 0;
}

uint32_t ecrec_model_hidden_size(const ecrec_model *model)
{
    return model != NULL ? (uint32_t)properties_u64(model->fixed->settings, "encoder.hidden_size", 0) : 0;
}

void ecrec_model_image(const ecrec_model *model, uint32_t *channels, uint32_t *height, uint32_t *width, uint32_t *tokens)
{
    static const char *const names[] = { "encoder.image_channels", "encoder.image_height", "encoder.image_width", "encoder.max_length" };
    uint32_t *const out[] = { channels, height, width, tokens };
    const int images = model != NULL && properties_u64(model->fixed->settings, "encoder.patch_size", 0) != 0;
    for (size_t i = 0; i < 4; i++)
        if (out[i] != NULL)
            *out[i] = images ? (uint32_t)properties_u64(model->fixed->settings, names[i], 0) : 0;
}

uint32_t ecrec_model_max_length(const ecrec_model *model)
{
    return model != NULL ? (uint32_t)properties_u64(model->fixed->settings, "encoder.max_length", 0) : 0;
}

const char *ecrec_model_space(const ecrec_model *model)
{
    return model != NULL ? model->space : "";
}

const char *ecrec_model_variant(const ecrec_model *model)
{
    return model != NULL ? model->variant : "";
}

/* ---- text ---- */

int32_t ecrec_tokenize(ecrec_model *model, ecrec_session *session, const char *text, size_t length,
                       const ecrec_tokenize_options *options, uint32_t *ids, uint32_t *offsets, uint8_t *types,
                       size_t capacity, size_t *count, ecrec_error *err)
{
    static const ecrec_tokenize_options defaults = ECREC_TOKENIZE_OPTIONS_INIT;
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_OPTIONS(ecrec_tokenize_options, options);
    CHECK_POINTER(count);
    if (text == NULL && length != 0)
        CHECK_POINTER(text);
    if (ids == NULL && capacity != 0)
        CHECK_POINTER(ids);
    if (model->tokenizer == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no tokenizer");
    if (options == NULL)
        options = &defaults;
    if (options->pair == NULL && options->pair_length != 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_tokenize: pair is NULL but has a length");
    if (length > UINT32_MAX || options->pair_length > UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "a text has more than 4 GiB");
    tokenize_call call = { .text = text != NULL ? text : "", .length = length, .pair = options->pair,
                           .pair_length = options->pair_length, .special = !options->no_special,
                           .max_length = options->max_length };
    if (options->max_length == UINT32_MAX)
        call.max_length = ecrec_model_max_length(model);
    token_output out = { ids, offsets, types, capacity, 0 };
    status = tokenizer_run(model->tokenizer, session->embed != NULL ? embed_words(session->embed) : session->words, &call, &out, err);
    if (status != ECREC_OK)
        return status;
    *count = out.count;
    if (out.count > capacity && ids != NULL)
        return error_set(err, ECREC_ERR_TOO_SMALL, "the text has %zu tokens, the buffer takes %zu", out.count, capacity);
    return ECREC_OK;
}

int32_t ecrec_detokenize(ecrec_model *model, ecrec_session *session, const uint32_t *ids, size_t n, uint32_t skip_special,
                         char *text, size_t capacity, size_t *length, ecrec_error *err)
{
    const char *made = NULL;
    size_t bytes = 0;
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(length);
    if (ids == NULL && n != 0)
        CHECK_POINTER(ids);
    if (text == NULL && capacity != 0)
        CHECK_POINTER(text);
    if (model->tokenizer == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no tokenizer");
    token_work *work = session->embed != NULL ? embed_words(session->embed) : session->words;
    if ((status = tokenizer_decode(model->tokenizer, work, ids, n, skip_special != 0, &made, &bytes, err)) != ECREC_OK)
        return status;
    *length = bytes;
    if (bytes > capacity && text != NULL)
        return error_set(err, ECREC_ERR_TOO_SMALL, "the text has %zu bytes, the buffer takes %zu", bytes, capacity);
    if (text != NULL)
        memcpy(text, made, bytes);
    return ECREC_OK;
}

const char *ecrec_token_text(const ecrec_model *model, uint32_t id, size_t *length)
{
    size_t n = 0;
    const char *piece = model != NULL && model->tokenizer != NULL ? tokenizer_piece(model->tokenizer, id, &n) : NULL;
    if (length != NULL)
        *length = n;
    return piece;
}

uint32_t ecrec_vocabulary_size(const ecrec_model *model)
{
    return model != NULL && model->tokenizer != NULL ? tokenizer_size(model->tokenizer) : 0;
}

/* ---- rank and learn ---- */

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

const ecrec_schema *ecrec_model_schema(const ecrec_model *model)
{
    return model != NULL ? model->schema : NULL;
}

int32_t ecrec_score(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch,
                    const ecrec_score_options *options, float *scores, size_t capacity, ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(batch);
    CHECK_OPTIONS(ecrec_score_options, options);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
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
                        .tokenizer = model->tokenizer, .embed = session->embed, .batch = batch, .options = options,
                        .scores = scores };
    status = model_prompt(model, NULL, &call.prompt, &call.prompt_length, err);
    if (status == ECREC_OK)
        status = score_run(session->score, &call, err);
    snapshot_done(&session->reading);
    return status;
}

int32_t ecrec_update(ecrec_model *model, const ecrec_batch *batch, const ecrec_update_options *options,
                     ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(batch);
    CHECK_OPTIONS(ecrec_update_options, options);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    uint64_t number = 0;
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    update_call call = { .context = model->context, .schema = model->schema, .encoder = now->encoder,
                         .tokenizer = model->tokenizer, .tensors = now->tensors, .batch = batch, .options = options,
                         .snapshot = model->last_number + 1 };
    status = model_prompt(model, NULL, &call.prompt, &call.prompt_length, err);
    if (status == ECREC_OK)
        status = update_run(&call, &next, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = progress_add(&model->context->m, next, (double)ecrec_batch_rows(batch), err);
    if (status == ECREC_OK)
        status = model_publish(model, next, &number, err);
    if (status != ECREC_OK) {
        tensor_set_release(next);
        ecrec_report_release(told);
    } else if (report != NULL) {
        *report = told;
    }
    model_update_end(model);
    return status;
}

int32_t ecrec_fit(ecrec_model *model, const ecrec_batch *batch, const ecrec_fit_options *options, ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(batch);
    CHECK_OPTIONS(ecrec_fit_options, options);
    if (model->schema == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const snapshot *now = NULL;
    tensor_set *next = NULL;
    ecrec_report *told = NULL;
    parts *p = NULL;
    uint64_t number = 0;
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    if ((status = model_parts(model, &p, err)) == ECREC_OK) {
        fit_call call = { .source = { .context = model->context, .encoder = now->encoder, .tokenizer = model->tokenizer }, .schema = model->schema,
                          .model = p, .batch = batch, .options = options, .snapshot = model->last_number + 1 };
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

/* ---- compress ---- */

int32_t ecrec_prune(ecrec_model *model, const ecrec_prune_options *options, ecrec_model **pruned, ecrec_report **report,
                    ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(pruned);
    CHECK_OPTIONS(ecrec_prune_options, options);
    parts *now = NULL, *smaller = NULL;
    ecrec_report *told = NULL;
    int32_t status = model_parts(model, &now, err);
    if (status == ECREC_OK)
        status = prune_run(model->context, now, options, &smaller, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = model_create(model->context, smaller, model->kept_limit, model_setup, pruned, err);
    parts_release(now);
    if (status != ECREC_OK)
        ecrec_report_release(told);
    else if (report != NULL)
        *report = told;
    return status;
}

int32_t ecrec_quantize(ecrec_model *model, const ecrec_quantize_options *options, ecrec_model **quantized,
                       ecrec_report **report, ecrec_error *err)
{
    CHECK_POINTER(model);
    CHECK_POINTER(quantized);
    CHECK_OPTIONS(ecrec_quantize_options, options);
    parts *now = NULL, *smaller = NULL;
    ecrec_report *told = NULL;
    int32_t status = model_parts(model, &now, err);
    if (status == ECREC_OK)
        status = quantize_run(model->context, now, options, &smaller, report != NULL ? &told : NULL, err);
    if (status == ECREC_OK)
        status = model_create(model->context, smaller, model->kept_limit, model_setup, quantized, err);
    parts_release(now);
    if (status != ECREC_OK)
        ecrec_report_release(told);
    else if (report != NULL)
        *report = told;
    return status;
}
