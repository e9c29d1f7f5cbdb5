/* The ABI of encoding: argument checks, then one call into the encoder's room. */
#include "ecrec/encode.h"

#include <string.h>

#include "check.h"
#include "encode.h"

#define FIRST_ENCODE_OPTIONS offsetof(ecrec_encode_options, dimensions)

/* What stays the same for all rows of a call: the options with the model's defaults put in. */
int32_t encode_resolve(const ecrec_model *model, const encoder *e, const ecrec_encode_options *given, embed_call *call, ecrec_error *err)
{
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    if (given != NULL) /* an older caller's is shorter */
        memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    if (o.pooling > ECREC_POOL_POOLER)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: pooling %u is unknown", o.pooling);
    if (o.normalize > 2)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: normalize %u is unknown (0, 1 or 2)", o.normalize);
    if (o.last_layers > e->layers)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: last_layers is %u, the encoder has %u layers", o.last_layers, e->layers);
    if (o.windows > 1)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: windows %u is unknown (0 or 1)", o.windows);
    if (o.window_overlap != 0 && !o.windows)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: window_overlap is %u, but windows is 0", o.window_overlap);
    call->encoder = e;
    call->tokenizer = model->tokenizer;
    call->context = model->context;
    call->pooling = o.pooling != ECREC_POOL_DEFAULT ? o.pooling : e->pooling;
    call->normalize = o.normalize == 0 ? (int32_t)e->normalize : o.normalize == 1;
    call->max_length = o.max_length != 0 && o.max_length < e->max_length ? o.max_length : e->max_length;
    call->dimension = o.dimensions;
    call->last_layers = o.last_layers;
    call->windows = (int32_t)o.windows;
    call->overlap = o.window_overlap;
    call->progress = o.progress;
    call->progress_opaque = o.progress_opaque;
    return model_prompt(model, o.prompt, &call->prompt, &call->prompt_length, err);
}

/* ---- inputs ---- */

static int32_t take_pointers(const ecrec_encode_input *in, embed_texts *out, ecrec_error *err)
{
    const char *const *texts = in->texts;
    const size_t *lengths = in->lengths;
    CHECK_POINTER(texts);
    CHECK_POINTER(lengths);
    for (size_t i = 0; i < in->count; i++) {
        if (texts[i] == NULL && lengths[i] != 0)
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: the text is NULL but has %zu bytes", i, lengths[i]);
        if (lengths[i] > UINT32_MAX)
            return error_row(err, ECREC_ERR_LIMIT, i, "row %zu: the text has more than 4 GiB", i);
    }
    out->texts = texts;
    out->lengths = lengths;
    return ECREC_OK;
}

static int32_t take_buffer(const ecrec_encode_input *in, embed_texts *out, ecrec_error *err)
{
    const int wide = in->kind == ECREC_INPUT_LARGE_UTF8;
    if (wide ? in->offsets64 == NULL : in->offsets32 == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_input: %s is NULL", wide ? "offsets64" : "offsets32");
    if (in->buffer == NULL && in->buffer_length != 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_input: buffer is NULL but has %zu bytes", in->buffer_length);
    int64_t last = 0;
    for (size_t i = 0; i <= in->count; i++) {
        const int64_t offset = wide ? in->offsets64[i] : in->offsets32[i];
        if (offset < last || (uint64_t)offset > in->buffer_length)
            return error_row(err, ECREC_ERR_INVALID, i != 0 ? i - 1 : 0, "row %zu: the offset %lld is below the one before it (%lld) or past the buffer's %zu bytes",
                             i != 0 ? i - 1 : 0, (long long)offset, (long long)last, in->buffer_length);
        if (i != 0 && offset - last > (int64_t)UINT32_MAX)
            return error_row(err, ECREC_ERR_LIMIT, i - 1, "row %zu: the text has more than 4 GiB", i - 1);
        last = offset;
    }
    out->buffer = in->buffer;
    out->offsets32 = wide ? NULL : in->offsets32;
    out->offsets64 = wide ? in->offsets64 : NULL;
    return ECREC_OK;
}

int32_t encode_take_texts(const ecrec_encode_input *in, embed_texts *out, ecrec_error *err)
{
    *out = (embed_texts){ NULL, NULL, NULL, NULL, NULL };
    if (in->kind == ECREC_INPUT_TEXTS)
        return take_pointers(in, out, err);
    if (in->kind == ECREC_INPUT_UTF8 || in->kind == ECREC_INPUT_LARGE_UTF8)
        return take_buffer(in, out, err);
    return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_input: kind %u are no texts", in->kind);
}

static int32_t take_ids(const ecrec_encode_input *in, embed_call *call, ecrec_error *err)
{
    const uint64_t *starts = in->starts;
    const uint32_t *ids = in->ids;
    CHECK_POINTER(starts);
    for (size_t i = 0; i < in->count; i++)
        if (starts[i + 1] < starts[i])
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: starts go down from %llu to %llu", i, (unsigned long long)starts[i],
                             (unsigned long long)starts[i + 1]);
    if (starts[in->count] != 0)
        CHECK_POINTER(ids);
    call->ids = ids;
    call->types = in->types;
    call->starts = starts;
    return ECREC_OK;
}

static int32_t take_pixels(const ecrec_encode_input *in, embed_call *call, ecrec_error *err)
{
    const encoder *e = call->encoder;
    const float *pixels = in->pixels;
    CHECK_POINTER(pixels);
    if (e->patch_size == 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model encodes texts, not images");
    if (in->channels != e->image_channels || in->height != e->image_height || in->width != e->image_width)
        return error_set(err, ECREC_ERR_INVALID, "images of %u x %u x %u are given, the model takes %u x %u x %u (channels x height x width)", in->channels,
                         in->height, in->width, e->image_channels, e->image_height, e->image_width);
    call->pixels = pixels;
    return ECREC_OK;
}

int32_t encode_take_pictures(const ecrec_encode_input *in, embed_pictures *out, ecrec_error *err)
{
    if (in->pictures == NULL || in->picture_heights == NULL || in->picture_widths == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_input: %s is NULL",
                         in->pictures == NULL ? "pictures" : in->picture_heights == NULL ? "picture_heights" : "picture_widths");
    *out = (embed_pictures){ in->pictures, in->picture_heights, in->picture_widths, in->picture_strides };
    return ECREC_OK;
}

int32_t encode_take_input(const ecrec_model *model, const ecrec_encode_input *in, embed_pictures *pictures, embed_call *call, ecrec_error *err)
{
    call->n = in->count;
    if (in->count >= SIZE_MAX / 64)
        return error_set(err, ECREC_ERR_LIMIT, "ecrec_encode_input: %zu rows are too many", in->count);
    if (in->kind < ECREC_INPUT_TEXTS || in->kind > ECREC_INPUT_PICTURES)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_input: kind %u is unknown", in->kind);
    if (in->count == 0)
        return ECREC_OK;
    if (in->kind == ECREC_INPUT_IDS)
        return take_ids(in, call, err);
    if (in->kind == ECREC_INPUT_PIXELS)
        return take_pixels(in, call, err);
    if (in->kind == ECREC_INPUT_PICTURES) {
        call->pictures = pictures;
        return encode_take_pictures(in, pictures, err);
    }
    if (model->tokenizer == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, call->encoder->patch_size != 0 ? "the model encodes images: encode pictures or pixels" : "the model has no tokenizer: encode token ids");
    embed_texts rows;
    const int32_t status = encode_take_texts(in, &rows, err);
    call->texts = rows.texts;
    call->lengths = rows.lengths;
    call->buffer = rows.buffer;
    call->offsets32 = rows.offsets32;
    call->offsets64 = rows.offsets64;
    return status;
}

/* ---- outputs ---- */

static int32_t take_output(const ecrec_encode_output *out, embed_call *call, ecrec_error *err)
{
    const encoder *e = call->encoder;
    const uint32_t whole = out->per_token ? e->hidden : e->dimension, d = call->dimension != 0 ? call->dimension : whole;
    if (out->type != 0 && out->type != ECREC_TYPE_F32 && out->type != ECREC_TYPE_F16 && out->type != ECREC_TYPE_S8)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: type %u is unknown", out->type);
    if (d > whole)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: dimensions is %u, the model's vectors have %u", d, whole);
    if (out->dimension != d)
        return error_set(err, ECREC_ERR_INVALID, "dimension is %u, the %s vectors have %u", out->dimension, out->per_token ? "tokens'" : "model's", d);
    if (out->stride != 0 && out->stride < d)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: stride is %zu, a vector has %u numbers", out->stride, d);
    if (out->type == ECREC_TYPE_S8 && out->scales == NULL && out->vectors != NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: vectors in 8 bits need scales");
    call->type = (int32_t)out->type;
    call->dimension = d;
    call->stride = out->stride != 0 ? out->stride : d;
    call->vectors = out->vectors;
    call->scales = out->scales;
    if (call->stride > SIZE_MAX / 4 / (out->capacity != 0 ? out->capacity : 1))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: %zu vectors with a stride of %zu do not fit into memory", out->capacity, call->stride);
    return ECREC_OK;
}

static int32_t encode_rows(embed *scratch, embed_call *call, const ecrec_encode_output *out, ecrec_error *err)
{
    if (call->n > out->capacity)
        return error_set(err, ECREC_ERR_TOO_SMALL, "%zu rows need %zu vectors, the buffer takes %zu", call->n, call->n, out->capacity);
    if (call->n == 0)
        return ECREC_OK;
    if (out->vectors == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: vectors is NULL");
    return embed_run(scratch, call, err);
}

static int32_t encode_tokens(embed *scratch, embed_call *call, const ecrec_encode_options *options, const ecrec_encode_output *out, ecrec_error *err)
{
    uint64_t *starts = out->starts;
    if (starts == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: one vector a token needs starts");
    if (call->windows || call->last_layers > 1)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_options: %s does not go with one vector a token", call->windows ? "windows" : "last_layers");
    call->normalize = options != NULL && options->normalize == 1;
    starts[0] = 0;
    int32_t status = call->n != 0 ? embed_count(scratch, call, starts, err) : ECREC_OK;
    if (status != ECREC_OK || (out->vectors == NULL && out->capacity == 0))
        return status;
    if (starts[call->n] > out->capacity)
        return error_set(err, ECREC_ERR_TOO_SMALL, "the rows have %llu tokens, the buffer takes %zu vectors", (unsigned long long)starts[call->n], out->capacity);
    if (starts[call->n] == 0)
        return ECREC_OK;
    if (out->vectors == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_encode_output: vectors is NULL");
    call->token_rows = starts;
    return embed_run(scratch, call, err);
}

int32_t ecrec_encode_batch(ecrec_model *model, ecrec_session *session, const ecrec_encode_input *input, const ecrec_encode_options *options,
                           const ecrec_encode_output *output, ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(input);
    CHECK_POINTER(output);
    CHECK_OPTIONS(ecrec_encode_input, input);
    CHECK_OPTIONS(ecrec_encode_output, output);
    CHECK_OPTIONS_SINCE(ecrec_encode_options, options, FIRST_ENCODE_OPTIONS);
    if (session->embed == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder");
    embed_call call = { .n = 0 };
    embed_pictures pictures;
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    if ((status = encode_resolve(model, now->encoder, options, &call, err)) == ECREC_OK && (status = encode_take_input(model, input, &pictures, &call, err)) == ECREC_OK &&
        (status = take_output(output, &call, err)) == ECREC_OK)
        status = output->per_token ? encode_tokens(session->embed, &call, options, output, err) : encode_rows(session->embed, &call, output, err);
    snapshot_done(&session->reading);
    return status;
}

int32_t ecrec_encode(ecrec_model *model, ecrec_session *session, const char *const *texts, const size_t *lengths, size_t n,
                     const ecrec_encode_options *options, float *vectors, uint32_t dimension, ecrec_error *err)
{
    if (n != 0) {
        CHECK_POINTER(texts);
        CHECK_POINTER(lengths);
        CHECK_POINTER(vectors);
    }
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    ecrec_encode_output output = ECREC_ENCODE_OUTPUT_INIT;
    input.kind = ECREC_INPUT_TEXTS;
    input.count = n;
    input.texts = texts;
    input.lengths = lengths;
    output.dimension = dimension;
    output.vectors = vectors;
    output.capacity = n;
    return n == 0 ? check_session(model, session, err) : ecrec_encode_batch(model, session, &input, options, &output, err);
}

int32_t ecrec_encode_ids(ecrec_model *model, ecrec_session *session, const uint32_t *ids, const uint8_t *types, const uint64_t *starts,
                         size_t n, const ecrec_encode_options *options, float *vectors, uint32_t dimension, ecrec_error *err)
{
    if (n != 0) {
        CHECK_POINTER(starts);
        CHECK_POINTER(vectors);
    }
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    ecrec_encode_output output = ECREC_ENCODE_OUTPUT_INIT;
    input.kind = ECREC_INPUT_IDS;
    input.count = n;
    input.ids = ids;
    input.types = types;
    input.starts = starts;
    output.dimension = dimension;
    output.vectors = vectors;
    output.capacity = n;
    return n == 0 ? check_session(model, session, err) : ecrec_encode_batch(model, session, &input, options, &output, err);
}

int32_t ecrec_hidden_states(ecrec_model *model, ecrec_session *session, const uint32_t *ids, const uint8_t *types, size_t n, float *states,
                            size_t capacity, ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(ids);
    CHECK_POINTER(states);
    if (session->embed == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder");
    const uint64_t starts[2] = { 0, n };
    embed_call call = { .ids = ids, .types = types, .starts = starts, .n = 1 };
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    status = encode_resolve(model, now->encoder, NULL, &call, err);
    if (status == ECREC_OK)
        status = embed_hidden_states(session->embed, &call, states, capacity, err);
    snapshot_done(&session->reading);
    return status;
}
