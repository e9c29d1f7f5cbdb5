/* The ABI of contexts and models: argument checks, then one call into a room. Schemas, batches, reports and metrics check
 * their arguments in their own rooms; the other calls are in tokens.c, encode.c, rankers.c, variants.c and their like. */
#include "ecrec/ecrec.h"

#include <string.h>

#include "base/context.h"
#include "base/cpu.h"
#include "check.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "kernels/select.h"
#include "model/file.h"
#include "session.h"
#ifdef ECREC_WITH_IMPORT
#include "import/import.h"
#endif

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
    selection told;
    made->kernels = kernels_select(made->cpu_available, &told);
    made->cpu_level = made->kernels->level;
    if ((status = take_blis(made, err)) != ECREC_OK) {
        context_release(made);
        return status;
    }
    cpu_describe(made->cpu_text, sizeof made->cpu_text, made->cpu_available, made->cpu_level, told.rejected, told.slower);
    const size_t length = strlen(made->cpu_text);
    selection_describe(made->kernels, &told, made->cpu_text + length, sizeof made->cpu_text - length);
    if (told.rejected != 0)
        context_log(made, ECREC_LOG_WARNING, "kernels of levels 0x%x differ from the reference on this machine and are not used", told.rejected);
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
    if (parts_blob(p, "profiles") != NULL) {
        parts_release(p);
        return error_set(err, ECREC_ERR_UNSUPPORTED, "this file holds profiles of users, no model: ecrec_profiles_load reads it");
    }
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
