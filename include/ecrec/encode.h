/* ecrec/encode.h: vectors in bulk: texts and token ids in the layouts that hosts have, results in the types that they store.
 * ecrec_encode and ecrec_encode_ids (text.h) are the short forms of ecrec_encode_batch. */
#ifndef ECREC_ENCODE_H
#define ECREC_ENCODE_H

#include "ecrec/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ECREC_INPUT_TEXTS = 1,      /* texts, lengths */
    ECREC_INPUT_UTF8 = 2,       /* buffer, offsets32: Arrow's utf8 layout */
    ECREC_INPUT_LARGE_UTF8 = 3, /* buffer, offsets64: Arrow's large_utf8 layout */
    ECREC_INPUT_IDS = 4,        /* ids, starts, types */
    ECREC_INPUT_PIXELS = 5,     /* pixels, channels, height, width: images, already resized and normalised */
    ECREC_INPUT_PICTURES = 6    /* pictures, picture_heights, ...: 8 bit RGB of any size (ecrec/image.h) */
};

/* What to encode. The arrays stay the caller's and are only read; those of other kinds are not looked at. */
typedef struct ecrec_encode_input {
    uint32_t size;
    uint32_t kind;             /* ECREC_INPUT_* */
    size_t count;              /* rows */
    const char *const *texts;  /* count pointers (NULL with length 0: the empty text) */
    const size_t *lengths;     /* count lengths in bytes */
    const char *buffer;        /* all texts end to end */
    size_t buffer_length;      /* bytes in it */
    const int32_t *offsets32;  /* count + 1 ascending positions in the buffer; row i is [offsets[i], offsets[i + 1]) */
    const int64_t *offsets64;  /* the same, 64 bits wide */
    const uint32_t *ids;       /* token ids, special tokens already there */
    const uint64_t *starts;    /* count + 1 ascending positions in ids */
    const uint8_t *types;      /* token types along ids, or NULL: all 0 */
    const float *pixels;       /* count images, one after the other: channel by channel, each height x width, row by row */
    uint32_t channels, height, width; /* of an image: what ecrec_model_image says */
    uint32_t reserved;
    const uint8_t *const *pictures;  /* count pointers to pixels: R, G, B, R, ..., row by row from the top */
    const uint32_t *picture_heights; /* count heights and widths in pixels, 1 .. 16384 each */
    const uint32_t *picture_widths;
    const size_t *picture_strides;   /* bytes from a row to the next, at least 3 * width; NULL: 3 * width each */
} ecrec_encode_input;
#define ECREC_ENCODE_INPUT_INIT { (uint32_t)sizeof(ecrec_encode_input), 0, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL, NULL }
ECREC_API void ecrec_encode_input_init(ecrec_encode_input *input);

/* Where the vectors go. */
typedef struct ecrec_encode_output {
    uint32_t size;
    uint32_t type;      /* ECREC_TYPE_F32 (0: the same), ECREC_TYPE_F16 (IEEE 754 binary16, rounded to nearest even) or
                           ECREC_TYPE_S8 (value ~ s8 * the vector's scale; scale = largest magnitude / 127) */
    uint32_t dimension; /* numbers in a vector: ecrec_model_dimension, or ecrec_encode_options.dimensions where that is set;
                           per token ecrec_model_hidden_size */
    uint32_t per_token; /* 1: one vector a token, the encoder's last hidden state (late interaction), every token of a
                           row in its order, special tokens and prompt included; to unit length only where
                           ecrec_encode_options.normalize is 1. 0: one vector a row */
    void *vectors;      /* `capacity` vectors; per token NULL asks for `starts` alone */
    size_t capacity;    /* in vectors */
    size_t stride;      /* elements from one vector to the next; 0: dimension */
    float *scales;      /* S8: `capacity` scales; else unused. A vector of zeros has scale 0 */
    uint64_t *starts;   /* per token: count + 1 entries; row i becomes vectors starts[i] .. starts[i + 1] - 1 */
} ecrec_encode_output;
#define ECREC_ENCODE_OUTPUT_INIT { (uint32_t)sizeof(ecrec_encode_output), 0, 0, 0, NULL, 0, 0, NULL, NULL }
ECREC_API void ecrec_encode_output_init(ecrec_encode_output *output);

/* Encode. A row's vector is the same bits alone, in any batch, by any layout, on any number of threads. A row without
 * tokens (an empty text of a model that adds no special tokens) is a vector of zeros, its encoder never run; an empty text
 * of a model that does add them is what the model makes of the special tokens alone, as in the reference.
 * Allocates nothing. The options hold for all kinds; windows are for texts only.
 * Errors: INVALID (unknown kind or type, offsets that descend or leave the buffer, an id above the vocabulary: row named; a
 * dimension that is not what `output` says above; windows or several layers per token), TOO_SMALL (starts are filled and
 * say how many vectors there are), UNSUPPORTED (no encoder, no tokenizer), NOT_FOUND (prompt), LIMIT, CANCELLED. On errors
 * the vectors may be partly written. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_encode_batch(ecrec_model *model, ecrec_session *session, const ecrec_encode_input *input,
                                     const ecrec_encode_options *options, const ecrec_encode_output *output,
                                     ecrec_error *err);

/* The images that the model takes: channels, height and width in pixels; `tokens` is how many per-token vectors an image has
 * (its class token first, where there is one, then its patches row by row). Each pointer may be NULL. All are 0 when the model
 * encodes no images. Any thread. Since 0.1. */
ECREC_API void ecrec_model_image(const ecrec_model *model, uint32_t *channels, uint32_t *height, uint32_t *width, uint32_t *tokens);

/* Width of the encoder's hidden states, and so of per-token vectors; 0 when the model has no encoder. Since 0.1. */
ECREC_API uint32_t ecrec_model_hidden_size(const ecrec_model *model);

#ifdef __cplusplus
}
#endif
#endif
