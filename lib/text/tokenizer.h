/* The tokenizer as data: a position-independent image (bytes that lie in the model file and are used where they are
 * mapped) and the functions that read it. Nothing is built when a model is loaded.
 *
 * The pipeline is the reference's: added tokens -> normalizer -> pre-tokenizer -> model -> post-processor; a decoder turns
 * tokens into text. Every token knows its byte range in the source text. */
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
    /* private to the room, filled by tokenizer_open: offsets into the image; which bytes added tokens begin with, in the
     * source and in the normalised text (letter: -1 none, -2 several, else the only one); the only ASCII byte that matches of the first
     * patterns begin with, or -1 */
    uint64_t parts[64];
    int letter[2];
    unsigned char begins[2][256];
    int16_t pattern_letter[8];
} tokenizer;

/* Check an image completely (every offset, count and id) and open it. Errors: FORMAT, UNSUPPORTED. Trusts nothing;
 * linear in the image; allocates nothing. */
int32_t tokenizer_open(tokenizer *t, const void *image, size_t length, ecrec_error *err);

/* The memory that tokenizing works in: one for each thread. Texts of up to 16 KiB that normalising does not lengthen, and longer ones in
 * BERT's pipeline, never make it grow. NOMEM. */
typedef struct token_work token_work;
int32_t token_work_create(memory *m, const tokenizer *t, token_work **out, ecrec_error *err);
/* The same with room for any text of up to `length` bytes, what stands in front of it included; 0: as above. */
int32_t token_work_create_for(memory *m, const tokenizer *t, size_t length, token_work **out, ecrec_error *err);
void token_work_destroy(token_work *w); /* NULL is fine */

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
    size_t max_length; /* 0: no truncation; special tokens count. Which side and which text is cut is in the image */
    size_t first;      /* tokens in front that are left out of output and count; a single text without special tokens only */
} tokenize_call;

/* With truncation work stops as soon as the result is known where the text is single and cut on the right; linear in the text
 * always. Errors: LIMIT (4 GiB), NOMEM (a longer text than any before), INVALID (a pair that cannot be cut as its
 * tokenizer says). */
int32_t tokenizer_run(const tokenizer *t, token_work *w, const tokenize_call *call, token_output *out, ecrec_error *err);

/* All windows of call->max_length tokens, one after the other; window i lies at starts[i] .. starts[i + 1]. Nothing is written when a
 * capacity is below what there is. May make the work grow by 20 bytes a token. Errors: as tokenizer_run, INVALID (the stride). */
typedef struct token_windows {
    uint32_t *ids, *offsets; /* offsets, types: or NULL */
    uint8_t *types;
    uint64_t *starts;
    size_t capacity, windows_capacity;
    size_t count, windows;
} token_windows;
int32_t tokenizer_windows(const tokenizer *t, token_work *w, const tokenize_call *call, size_t stride, token_windows *out, ecrec_error *err);
uint32_t tokenizer_stride(const tokenizer *t); /* tokens that windows share, as the tokenizer says; 0: none */

uint32_t tokenizer_size(const tokenizer *t); /* ids are 0 .. size-1 (some may have no piece) */
/* NUL-terminated piece in the image, or NULL. */
const char *tokenizer_piece(const tokenizer *t, uint32_t id, size_t *length);
uint32_t tokenizer_special_count(const tokenizer *t, int pair); /* how many special tokens a text (or pair) gets */
uint32_t tokenizer_leading_count(const tokenizer *t); /* how many of them stand in front of a single text */
int tokenizer_is_special(const tokenizer *t, uint32_t id); /* an added token that decoding leaves out on request */

#endif
