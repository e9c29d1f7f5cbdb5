/* ecrec/image.h: pictures. The library takes pixels; PNG, JPEG and the like are the host's to decode.
 *
 * A picture is 8 bit RGB of any size up to 16384 x 16384: height rows of width pixels (R, G, B), a row `stride` bytes after
 * the one before. It is resized (with the smoothing filter that the model was trained with, in Pillow's integer arithmetic),
 * cropped, rescaled and normalised as the model's preprocessor_config.json says; that is kept in the model when it is
 * imported. Every value that reaches the encoder is what the reference image processor makes with Pillow. */
#ifndef ECREC_IMAGE_H
#define ECREC_IMAGE_H

#include "ecrec/encode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Encode n pictures into n x dimension float32 (the short form of ecrec_encode_batch with ECREC_INPUT_PICTURES): pixels[i] is
 * the top left of picture i, of heights[i] x widths[i] pixels; strides[i] bytes from row to row, or strides NULL: 3 * width.
 * A picture's vector is the same bits alone, in any batch, on any number of threads. Allocates nothing: the scratch for
 * resizing was taken with the session and does not depend on the pictures.
 * Errors: INVALID (a NULL or empty picture, a stride below a row: row named; dimension), LIMIT (an edge above 16384),
 * MISMATCH (without a crop, a picture of other proportions than the encoder takes), UNSUPPORTED (the model encodes no images,
 * or its folder did not say how to prepare them), CANCELLED. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_encode_images(ecrec_model *model, ecrec_session *session, const uint8_t *const *pixels,
                                      const uint32_t *heights, const uint32_t *widths, const size_t *strides, size_t n,
                                      const ecrec_encode_options *options, float *vectors, uint32_t dimension,
                                      ecrec_error *err);

/* Only prepare pictures: n x 3 x height x width float32 (ecrec_model_image says which) into `planes`, capacity in floats; what
 * ECREC_INPUT_PIXELS takes. Allocates nothing. Errors: as ecrec_encode_images, TOO_SMALL. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_prepare_images(ecrec_model *model, ecrec_session *session, const uint8_t *const *pixels,
                                       const uint32_t *heights, const uint32_t *widths, const size_t *strides, size_t n,
                                       float *planes, size_t capacity, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
