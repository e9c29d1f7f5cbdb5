/* Resampling filters and their fixed-point weights. Inside the image room only. */
#ifndef ECREC_LIB_IMAGE_FILTER_H
#define ECREC_LIB_IMAGE_FILTER_H

#include <stddef.h>
#include <stdint.h>

enum { WEIGHT_BITS = 22 }; /* 8 bit values times weights below 2 in 32 bits */

/* The source pixels that one target pixel is made of. */
typedef struct stretch {
    uint32_t first, count;
} stretch;

/* Most weights of a pixel when `source` pixels become `target`. */
size_t filter_most(uint32_t filter, uint32_t source, uint32_t target);
/* Of target pixel `index`: its stretch, and the weights (they add up to 2^WEIGHT_BITS but for rounding) into `weights`;
 * `work` takes filter_most doubles. */
stretch filter_weights(uint32_t filter, uint32_t source, uint32_t target, uint32_t index, double *work, int32_t *weights);

#endif
