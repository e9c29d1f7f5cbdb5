/* The ABI of what takes pictures. */
#include "check.h"
#include "ecrec/image.h"
#include "encode.h"

static ecrec_encode_input input_of(const uint8_t *const *pixels, const uint32_t *heights, const uint32_t *widths, const size_t *strides, size_t n)
{
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    input.kind = ECREC_INPUT_PICTURES;
    input.count = n;
    input.pictures = pixels;
    input.picture_heights = heights;
    input.picture_widths = widths;
    input.picture_strides = strides;
    return input;
}

int32_t ecrec_encode_images(ecrec_model *model, ecrec_session *session, const uint8_t *const *pixels, const uint32_t *heights, const uint32_t *widths,
                            const size_t *strides, size_t n, const ecrec_encode_options *options, float *vectors, uint32_t dimension, ecrec_error *err)
{
    if (n == 0)
        return check_session(model, session, err);
    const ecrec_encode_input input = input_of(pixels, heights, widths, strides, n);
    ecrec_encode_output output = ECREC_ENCODE_OUTPUT_INIT;
    output.dimension = dimension;
    output.vectors = vectors;
    output.capacity = n;
    return ecrec_encode_batch(model, session, &input, options, &output, err);
}

int32_t ecrec_prepare_images(ecrec_model *model, ecrec_session *session, const uint8_t *const *pixels, const uint32_t *heights, const uint32_t *widths,
                             const size_t *strides, size_t n, float *planes, size_t capacity, ecrec_error *err)
{
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK || n == 0)
        return status;
    CHECK_POINTER(planes);
    if (session->embed == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder");
    const ecrec_encode_input input = input_of(pixels, heights, widths, strides, n);
    embed_pictures pictures;
    embed_call call = { .n = n, .pictures = &pictures };
    if ((status = encode_take_pictures(&input, &pictures, err)) != ECREC_OK)
        return status;
    const snapshot *now = snapshot_read(model, &session->reading, 0);
    if ((status = encode_resolve(model, now->encoder, NULL, &call, err)) == ECREC_OK) {
        const size_t floats = encoder_image_floats(now->encoder);
        if (floats != 0 && n > capacity / floats)
            status = error_set(err, ECREC_ERR_TOO_SMALL, "%zu pictures become %zu floats each, the buffer takes %zu in all", n, floats, capacity);
        else
            status = embed_prepare(session->embed, &call, planes, err);
    }
    snapshot_done(&session->reading);
    return status;
}
