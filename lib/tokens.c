/* The ABI of tokenizing: text to ids and back. */
#include <string.h>

#include "check.h"
#include "session.h"
#include "text/decode.h"

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
