#include "encoder/pictures.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

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
