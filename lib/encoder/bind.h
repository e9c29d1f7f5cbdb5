/* Settings and tensors checked against each other and put into an encoder. Inside the encoder room only. */
#ifndef ECREC_LIB_ENCODER_BIND_H
#define ECREC_LIB_ENCODER_BIND_H

#include "encoder/encoder.h"

/* Bounds on settings. With them no size below overflows 64 bits, and a product of u8 and s8 over 65536 inputs stays in
 * 32 bits (255 * 128 * 65536 < 2^31). */
enum { LARGEST_WIDTH = 65536, LARGEST_LAYERS = 1024, LARGEST_LENGTH = 1 << 20 };

/* `e`: zeroed but for layers and its (empty) set of tensors. */
int32_t encoder_bind(encoder *e, const properties *settings, const tensor_set *tensors, ecrec_error *err);

#endif
