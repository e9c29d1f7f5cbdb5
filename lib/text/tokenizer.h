/* The tokenizer as data: a position-independent image (bytes that lie in the model file and are used where they are
 * mapped) and the functions that read it. Nothing is built when a model is loaded.
 *
 * The pipeline is the reference's: added tokens -> normalizer -> pre-tokenizer -> model -> post-processor. Every token
 * knows its byte range in the source text. */
#ifndef ECREC_LIB_TEXT_TOKENIZER_H
#define ECREC_LIB_TEXT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "ecrec/base.h"

/* A checked view of an image; small, no allocation. */
typedef struct tokenizer {
    const unsigned char *image;
    size_t length;
    /* private to the room: offsets into the image, filled by tokenizer_open */
    uint64_t parts[32];
} tokenizer;

/* Check an image completely (every offset, count and id) and open it. Errors: FORMAT, UNSUPPORTED. Trusts nothing;
 * linear in the image; allocates nothing. */
int32_t tokenizer_open(tokenizer *t, const void *image, size_t length, ecrec_error *err);

/* Scratch that one tokenize call needs, whatever the text; a session takes it once. */
size_t tokenizer_scratch(const tokenizer *t);

typedef struct token_output {
    uint32_t *ids;
    uint32_t *offsets; /* 2 x capacity: [begin, end) byte pairs into the source (0, 0 for special tokens), or NULL */
    uint8_t *types;          /* segment of each token, or NULL */
    size_t capacity;
    size_t count; /* how many tokens there are (after truncation); more than capacity: the first `capacity` are written */
} token_output;

typedef struct tokenize_call {
    const char *text;
    size_t length;
    const char *pair; /* or NULL */
    size_t pair_length;
    const char *prompt; /* stands in front of the text as if it were part of it, or NULL; not searched for added tokens */
    size_t prompt_length;
    int32_t special;   /* 1: add special tokens */
    size_t max_length; /* 0: no truncation; special tokens count. Pairs are cut longest first, as the reference does */
    size_t first;      /* tokens in front that are left out of output and count; a single text without special tokens only */
} tokenize_call;

/* With truncation work stops as soon as the result is known where the text is single; linear in the text always. */
int32_t tokenizer_run(const tokenizer *t, void *scratch, const tokenize_call *call, token_output *out, ecrec_error *err);

uint32_t tokenizer_size(const tokenizer *t); /* ids are 0 .. size-1 (some may have no piece) */
/* NUL-terminated piece in the image, or NULL. */
const char *tokenizer_piece(const tokenizer *t, uint32_t id, size_t *length);
/* Id of a piece (added tokens included), or UINT32_MAX. */
uint32_t tokenizer_find(const tokenizer *t, const char *piece, size_t length);
uint32_t tokenizer_special_count(const tokenizer *t, int pair); /* how many special tokens a text (or pair) gets */
uint32_t tokenizer_leading_count(const tokenizer *t); /* how many of them stand in front of a single text */

#endif
