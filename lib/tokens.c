/* The ABI of tokenizing: text to ids and back. */
#include <string.h>

#include "check.h"
#include "session.h"
#include "text/decode.h"

/* What both calls check of their arguments, as a call to the tokenizer. */
static int32_t call_of(ecrec_model *model, ecrec_session *session, const char *text, size_t length, const ecrec_tokenize_options *options,
                       tokenize_call *call, ecrec_error *err)
{
    static const ecrec_tokenize_options defaults = ECREC_TOKENIZE_OPTIONS_INIT;
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_OPTIONS(ecrec_tokenize_options, options);
    if (text == NULL && length != 0)
        CHECK_POINTER(text);
    if (model->tokenizer == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no tokenizer");
    if (options == NULL)
        options = &defaults;
    if (options->pair == NULL && options->pair_length != 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_tokenize: pair is NULL but has a length");
    if (length > UINT32_MAX || options->pair_length > UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "a text has more than 4 GiB");
    *call = (tokenize_call){ .text = text != NULL ? text : "", .length = length, .pair = options->pair, .pair_length = options->pair_length,
                             .special = !options->no_special, .max_length = options->max_length };
    if (options->max_length == UINT32_MAX)
        call->max_length = ecrec_model_max_length(model);
    return ECREC_OK;
}

static token_work *work_of(ecrec_session *session)
{
    return session->embed != NULL ? embed_words(session->embed) : session->words;
}

int32_t ecrec_tokenize(ecrec_model *model, ecrec_session *session, const char *text, size_t length,
                       const ecrec_tokenize_options *options, uint32_t *ids, uint32_t *offsets, uint8_t *types,
                       size_t capacity, size_t *count, ecrec_error *err)
{
    tokenize_call call;
    int32_t status = call_of(model, session, text, length, options, &call, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(count);
    if (ids == NULL && capacity != 0)
        CHECK_POINTER(ids);
    token_output out = { ids, offsets, types, capacity, 0 };
    status = tokenizer_run(model->tokenizer, work_of(session), &call, &out, err);
    if (status != ECREC_OK)
        return status;
    *count = out.count;
    if (out.count > capacity && ids != NULL)
        return error_set(err, ECREC_ERR_TOO_SMALL, "the text has %zu tokens, the buffer takes %zu", out.count, capacity);
    return ECREC_OK;
}

int32_t ecrec_tokenize_windows(ecrec_model *model, ecrec_session *session, const char *text, size_t length,
                               const ecrec_tokenize_options *options, uint32_t *ids, uint32_t *offsets, uint8_t *types,
                               size_t capacity, uint64_t *starts, size_t windows_capacity, size_t *windows, size_t *count, ecrec_error *err)
{
    tokenize_call call;
    int32_t status = call_of(model, session, text, length, options, &call, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(count);
    CHECK_POINTER(windows);
    if (ids == NULL && capacity != 0)
        CHECK_POINTER(ids);
    if (starts == NULL && windows_capacity != 0)
        CHECK_POINTER(starts);
    const uint32_t stride = options != NULL ? options->stride : 0;
    token_windows out = { .ids = ids, .offsets = offsets, .types = types, .starts = starts, .capacity = capacity, .windows_capacity = windows_capacity };
    status = tokenizer_windows(model->tokenizer, work_of(session), &call, stride == UINT32_MAX ? 0 : stride != 0 ? stride : tokenizer_stride(model->tokenizer),
                               &out, err);
    if (status != ECREC_OK)
        return status;
    *count = out.count;
    *windows = out.windows;
    if ((out.count > capacity || out.windows > windows_capacity) && (ids != NULL || starts != NULL))
        return error_set(err, ECREC_ERR_TOO_SMALL, "the text has %zu tokens in %zu windows, the buffers take %zu and %zu", out.count, out.windows, capacity,
                         windows_capacity);
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
