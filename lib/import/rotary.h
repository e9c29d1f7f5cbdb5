/* Rotary positions: what a configuration says of them becomes a table of cosines and sines. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_ROTARY_H
#define ECREC_LIB_IMPORT_ROTARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum { ROTARY_DEFAULT, ROTARY_LINEAR, ROTARY_LLAMA3, ROTARY_YARN };

typedef struct rotary {
    int32_t scaling;
    double theta, factor, original; /* original: positions of the pretraining */
    double low, high;               /* llama3: frequency factors */
    double fast, slow, attention;   /* yarn; attention: factor of cosines and sines */
    int32_t truncate;
} rotary;

/* `parameters`: the value of rope_parameters, or of rope_scaling (theta stays what it is unless it is in there), or NULL. `positions`
 * is max_position_embeddings. Errors: UNSUPPORTED (the type is named), FORMAT. */
int32_t rotary_read(const json *parameters, const char *key, double positions, rotary *out, ecrec_error *err);
/* One row a position: size/2 cosines, then size/2 sines. Frequencies are rounded to float32 as the reference rounds them. */
void rotary_fill(const rotary *r, size_t positions, size_t size, float *out);

#endif
