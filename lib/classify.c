/* The ABI of classifiers: argument checks, the encoder's logits, then the activation. */
#include "ecrec/classify.h"

#include <math.h>

#include "base/format.h"
#include "check.h"
#include "encode.h"

uint32_t ecrec_model_labels(const ecrec_model *model)
{
    return model != NULL ? (uint32_t)properties_u64(model->fixed->settings, "encoder.labels", 0) : 0;
}

const char *ecrec_model_label(const ecrec_model *model, uint32_t label)
{
    char name[32];
    if (label >= ecrec_model_labels(model))
        return NULL;
    format_text(name, sizeof name, "label.%u", label);
    return properties_string(model->fixed->settings, name, NULL);
}

static uint32_t activation_of(const ecrec_model *model, uint32_t wanted, uint32_t labels)
{
    const char *said = properties_string(model->fixed->settings, "classifier.activation", "");
    if (wanted != ECREC_ACTIVATION_DEFAULT)
        return wanted;
    if (*said == 'n')
        return ECREC_ACTIVATION_NONE;
    return *said == 's' && said[1] == 'i' ? ECREC_ACTIVATION_SIGMOID : *said == 0 && labels == 1 ? ECREC_ACTIVATION_SIGMOID : ECREC_ACTIVATION_SOFTMAX;
}

static void activate(float *row, uint32_t labels, uint32_t activation)
{
    double sum = 0, largest = row[0];
    for (uint32_t i = 0; i < labels && activation == ECREC_ACTIVATION_SIGMOID; i++)
        row[i] = (float)(1 / (1 + exp(-(double)row[i])));
    if (activation != ECREC_ACTIVATION_SOFTMAX)
        return;
    for (uint32_t i = 1; i < labels; i++)
        largest = row[i] > largest ? row[i] : largest;
    for (uint32_t i = 0; i < labels; i++)
        sum += exp(row[i] - largest);
    for (uint32_t i = 0; i < labels; i++)
        row[i] = (float)(exp(row[i] - largest) / sum);
}

static int32_t take_pairs(const ecrec_encode_input *input, const ecrec_encode_input *pairs, embed_texts *texts, embed_call *call, ecrec_error *err)
{
    if (pairs == NULL || input->count == 0)
        return ECREC_OK;
    if (pairs->count != input->count)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_classify: %zu texts, but %zu second texts", input->count, pairs->count);
    if (call->starts != NULL || call->pixels != NULL || call->pictures != NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_classify: second texts go with texts only (token ids tell pairs by their types)");
    const int32_t status = encode_take_texts(pairs, texts, err);
    call->pairs = texts;
    return status;
}

int32_t ecrec_classify(ecrec_model *model, ecrec_session *session, const ecrec_encode_input *input, const ecrec_encode_input *pairs,
                       const ecrec_classify_options *options, float *scores, size_t capacity, ecrec_error *err)
{
    static const ecrec_classify_options defaults = ECREC_CLASSIFY_OPTIONS_INIT;
    ecrec_encode_options encoding = ECREC_ENCODE_OPTIONS_INIT;
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(input);
    CHECK_OPTIONS(ecrec_encode_input, input);
    CHECK_OPTIONS(ecrec_encode_input, pairs);
    CHECK_OPTIONS(ecrec_classify_options, options);
    options = options != NULL ? options : &defaults;
    if (options->activation > ECREC_ACTIVATION_SOFTMAX)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_classify_options: activation %u is unknown", options->activation);
    const uint32_t labels = ecrec_model_labels(model);
    if (session->embed == NULL || labels == 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no classifier");
    if (input->count > capacity / labels)
        return error_set(err, ECREC_ERR_TOO_SMALL, "%zu rows of %u labels need more than the %zu scores that the buffer takes", input->count, labels, capacity);
    if (input->count != 0)
        CHECK_POINTER(scores);
    encoding.max_length = options->max_length;
    encoding.progress = options->progress;
    encoding.progress_opaque = options->progress_opaque;
    embed_pictures pictures;
    embed_texts seconds = { NULL, NULL, NULL, NULL, NULL };
    embed_call call = { .logits = 1, .vectors = scores, .stride = labels };
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    if ((status = encode_resolve(model, now->encoder, &encoding, &call, err)) == ECREC_OK && (status = encode_take_input(model, input, &pictures, &call, err)) == ECREC_OK &&
        (status = take_pairs(input, pairs, &seconds, &call, err)) == ECREC_OK && input->count != 0) {
        call.prompt = NULL;
        call.prompt_length = 0;
        status = embed_run(session->embed, &call, err);
    }
    snapshot_done(&session->reading);
    const uint32_t activation = activation_of(model, options->activation, labels);
    for (size_t i = 0; i < input->count && status == ECREC_OK; i++)
        activate(scores + i * labels, labels, activation);
    return status;
}
