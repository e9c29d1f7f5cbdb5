/* Pictures: 8 bit RGB of any size becomes the float32 planes that an image encoder takes: resize, crop, rescale, normalise, as
 * Pillow and the image processors built on it do.
 *
 * Resizing is Pillow's: separable convolution whose filter grows with the reduction (so it smooths before it drops pixels),
 * 8 bits between the passes, weights in 22 bit fixed point, rounded half up; rows are resized first, but where the height
 * loses more than twice what the width does, columns (Pillow since 13.0; before that never). Every value after resizing is
 * the same integer. Knows base only. */
#ifndef ECREC_LIB_IMAGE_IMAGE_H
#define ECREC_LIB_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ecrec/base.h"

enum { PICTURE_RESIZE_NONE, PICTURE_RESIZE_EXACT, PICTURE_RESIZE_SHORTEST };
enum { PICTURE_BOX, PICTURE_BILINEAR, PICTURE_HAMMING, PICTURE_BICUBIC, PICTURE_LANCZOS, PICTURE_FILTERS };

enum {
    PICTURE_CHANNELS = 3,
    PICTURE_MOST_EDGE = 16384,  /* pixels, of a picture that comes in */
    PICTURE_MOST_TARGET = 4096  /* pixels, of what it becomes */
};

typedef struct picture_settings {
    uint32_t resize;                 /* PICTURE_RESIZE_* */
    uint32_t filter;                 /* PICTURE_BOX ... */
    uint32_t height, width;          /* EXACT: to this; SHORTEST: the shorter edge becomes `height`, the other in proportion */
    uint32_t crop;                   /* 1: the middle, zeros around what is too small */
    uint32_t crop_height, crop_width;
    uint32_t out_height, out_width;  /* what the encoder takes */
    double rescale;                  /* 8 bit values are multiplied by this (1: not rescaled) */
    float mean[PICTURE_CHANNELS], std[PICTURE_CHANNELS]; /* value = (value - mean) / std */
} picture_settings;

/* INVALID with the setting's name: edges 1 .. PICTURE_MOST_TARGET, a known filter, std above 0, finite numbers. */
int32_t picture_check(const picture_settings *s, ecrec_error *err);

/* Memory that one picture_prepare needs, whatever the picture. */
size_t picture_scratch(const picture_settings *s);

typedef struct picture {
    const uint8_t *pixels; /* R, G, B, R, ...: row y at pixels + y * stride */
    uint32_t height, width;
    size_t stride;         /* bytes, at least 3 * width */
} picture;

/* Can it be prepared? Errors: INVALID (no pixels, an edge of 0, a stride below a row, a picture that passes the address space),
 * LIMIT (an edge above PICTURE_MOST_EDGE), MISMATCH (the settings do not make what the encoder takes of it). */
int32_t picture_fits(const picture_settings *s, const picture *p, ecrec_error *err);
/* `out`: 3 planes of out_height x out_width. Allocates nothing. Errors: those of picture_fits. */
int32_t picture_prepare(const picture_settings *s, void *scratch, const picture *p, float *out, ecrec_error *err);

#endif
