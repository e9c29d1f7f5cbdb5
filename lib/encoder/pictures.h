/* How a model's pictures are prepared: "image.*" of its settings.
 *
 * image.resize ("none" | "exact" | "shortest"; string; not there: nothing is known of pictures), image.filter ("box" | "bilinear" |
 * "hamming" | "bicubic" | "lanczos"), image.height, image.width, image.crop_height, image.crop_width (0: no crop),
 * image.rescale (f64), image.mean.N, image.std.N (f64, N 0..2). The encoder's "image_height" and "image_width" say what it takes. */
#ifndef ECREC_LIB_ENCODER_PICTURES_H
#define ECREC_LIB_ENCODER_PICTURES_H

#include "image/image.h"
#include "model/properties.h"

/* FORMAT: a setting that is not what it can be. */
int32_t pictures_read(const properties *settings, picture_settings *out, ecrec_error *err);

#endif
