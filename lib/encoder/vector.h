/* Vectors as they are handed out: cut, to unit length, in the type that the caller stores. Of the encoder room; the catalogue stores queries the same way. */
#ifndef ECREC_LIB_ENCODER_VECTOR_H
#define ECREC_LIB_ENCODER_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* To unit length; a vector shorter than 1e-12 is divided by that. */
void vector_normalize(float *v, size_t n);

/* n numbers as TYPE_F32, TYPE_F16 or TYPE_S8 to `out`; *scale is written for TYPE_S8 alone. */
void vector_store(int32_t type, const float *v, size_t n, void *out, float *scale);

#endif
