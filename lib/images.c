/* Pictures: the settings of a model, and the ABI of what takes them. */
#include "images.h"

#include <string.h>

#include "base/format.h"
#include "check.h"
#include "ecrec/image.h"
#include "encode.h"

static uint32_t number(const properties *settings, const char *name)
{
    const uint64_t value = properties_u64(settings, name, 0);
    return value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static int32_t choice(const properties *settings, const char *name, const char *const *choices, uint32_t *out, ecrec_error *err)
{
    const char *value = properties_string(settings, name, "");
    for (uint32_t i = 0; choices[i] != NULL; i++)
        if (strcmp(choices[i], value) == 0) {
            *out = i;
            return ECREC_OK;
        }
    return error_set(err, ECREC_ERR_FORMAT, "setting \"%s\" is \"%s\", which this version does not know", name, value);
}

int32_t pictures_read(const properties *settings, picture_settings *out, ecrec_error *err)
{
    static const char *const modes[] = { "none", "exact", "shortest", NULL }, *const filters[] = { "box", "bilinear", "hamming", "bicubic", "lanczos", NULL };
    ecrec_error inner = ECREC_ERROR_INIT;
    char name[32];
    int32_t status;
    if ((status = choice(settings, "image.resize", modes, &out->resize, err)) != ECREC_OK ||
        (status = choice(settings, "image.filter", filters, &out->filter, err)) != ECREC_OK)
        return status;
    out->height = number(settings, "image.height");
    out->width = number(settings, "image.width");
    out->crop_height = number(settings, "image.crop_height");
    out->crop_width = number(settings, "image.crop_width");
    out->crop = out->crop_height != 0 || out->crop_width != 0;
    out->out_height = number(settings, "encoder.image_height");
    out->out_width = number(settings, "encoder.image_width");
    out->rescale = properties_f64(settings, "image.rescale", 1);
    for (int c = 0; c < PICTURE_CHANNELS; c++) {
        format_text(name, sizeof name, "image.mean.%d", c);
        out->mean[c] = (float)properties_f64(settings, name, 0);
        format_text(name, sizeof name, "image.std.%d", c);
        out->std[c] = (float)properties_f64(settings, name, 1);
    }
    if (number(settings, "encoder.image_channels") != PICTURE_CHANNELS)
        return error_set(err, ECREC_ERR_FORMAT, "setting \"encoder.image_channels\" is %u; pictures have %d", number(settings, "encoder.image_channels"), PICTURE_CHANNELS);
    status = picture_check(out, &inner);
    return status == ECREC_OK ? ECREC_OK : error_set(err, ECREC_ERR_FORMAT, "%s", inner.message);
}

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
