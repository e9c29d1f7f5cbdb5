/* Texts, rows of ids or images to vectors: tokenise, pack, encode, pool; in parallel over sequences; nothing allocated. */
#ifndef ECREC_LIB_ENCODER_EMBED_H
#define ECREC_LIB_ENCODER_EMBED_H

#include "base/context.h"
#include "ecrec/text.h"
#include "encoder/encoder.h"
#include "image/image.h"
#include "text/tokenizer.h"

typedef struct embed embed;

/* Scratch for `threads` parallel tasks of at most `max_tokens` packed tokens each (0: chosen; at least max_length). The
 * tokenizer may be NULL: ids only. max_text_bytes as token_work_create_for. One block from `m`; keeps nothing else alive. */
int32_t embed_create(memory *m, const encoder *e, const tokenizer *t, const picture_settings *pictures, uint32_t threads,
                     uint32_t max_tokens, size_t max_text_bytes, embed **out, ecrec_error *err);
void embed_destroy(embed *s);

/* Texts in one of three layouts; what is not used is NULL. */
typedef struct embed_texts {
    const char *const *texts;
    const size_t *lengths;
    const char *buffer;
    const int32_t *offsets32;
    const int64_t *offsets64;
} embed_texts;

/* 8 bit RGB pictures. */
typedef struct embed_pictures {
    const uint8_t *const *pixels;
    const uint32_t *heights, *widths;
    const size_t *strides; /* NULL: rows follow one another */
} embed_pictures;

typedef struct embed_call {
    const encoder *encoder;
    const tokenizer *tokenizer;
    const ecrec_context *context; /* executor and kernels */
    const char *const *texts;     /* either texts + lengths ... */
    const size_t *lengths;
    const char *buffer;           /* ... or texts end to end + offsets of one of the two widths ... */
    const int32_t *offsets32;
    const int64_t *offsets64;
    const uint32_t *ids;          /* ... or ids + starts (+ types) ... */
    const uint8_t *types;
    const uint64_t *starts;
    const float *pixels;          /* ... or images, one after the other (`packed` in encoder.h) */
    const embed_pictures *pictures; /* ... or pictures, prepared here */
    size_t n;
    const embed_texts *pairs;     /* second texts of the rows, or NULL; a NULL pointer is a row without one */
    const char *prompt;           /* its text, or NULL */
    size_t prompt_length;
    uint32_t pooling, max_length; /* resolved: no defaults here */
    int32_t normalize;
    uint32_t dimension;           /* numbers of a vector that are kept; 0: all */
    uint32_t last_layers;         /* mean over so many; 0 and 1: the last alone */
    int32_t windows;              /* 1: long texts in windows */
    uint32_t overlap;
    int32_t type;                 /* TYPE_F32 (0 too), TYPE_F16, TYPE_S8 */
    void *vectors;
    float *scales;                /* TYPE_S8 */
    size_t stride;                /* elements */
    int32_t logits;               /* 1: the classifier's logits in place of vectors */
    const uint64_t *token_rows;   /* not NULL: a vector a token, row i's from token_rows[i] on (embed_count) */
    ecrec_progress_fn progress;
    void *progress_opaque;
} embed_call;
/* A row of ids above max_length is an error, but of an encoder of position_end (a history of items) its newest are taken.
 * Errors: INVALID (row named), UNSUPPORTED, LIMIT, CANCELLED. */
int32_t embed_run(embed *s, const embed_call *call, ecrec_error *err);
/* The first vector of each row where each token is one: n + 1 entries. Errors as embed_run. */
int32_t embed_count(embed *s, const embed_call *call, uint64_t *token_rows, ecrec_error *err);
/* The planes that the encoder would be fed with: n x 3 x height x width floats. Errors as embed_run. */
int32_t embed_prepare(embed *s, const embed_call *call, float *planes, ecrec_error *err);
int32_t embed_hidden_states(embed *s, const embed_call *call, float *states, size_t capacity, ecrec_error *err);
/* One text's tokens through the session's scratch. */
token_work *embed_words(embed *s);

#endif
