/* ecrec/text.h: tokens and vectors of texts. */
#ifndef ECREC_TEXT_H
#define ECREC_TEXT_H

#include "ecrec/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_tokenize_options {
    uint32_t size;
    uint32_t max_length;       /* cut to this many tokens; 0: do not cut; UINT32_MAX: the model's own limit */
    uint32_t no_special;       /* 1: do not add special tokens */
    uint32_t stride;           /* ecrec_tokenize_windows: tokens that a window shares with the one before; 0: what the
                                  tokenizer says (its truncation.stride), UINT32_MAX: none */
    const char *pair;          /* the second text, or NULL */
    size_t pair_length;
} ecrec_tokenize_options;
#define ECREC_TOKENIZE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_tokenize_options), 0, 0, 0, NULL, 0 }
ECREC_API void ecrec_tokenize_options_init(ecrec_tokenize_options *options);

/* Tokenise one text. ids: capacity token ids. offsets (may be NULL): 2 * capacity byte positions [begin, end) into
 * the source (of the text, or of the pair where types is 1; 0,0 for special tokens). types (may be NULL): capacity
 * segment numbers (0 or 1; what the tokenizer's template says). *count becomes the number of tokens that the text has; when that is above capacity the
 * first `capacity` are written and the call returns TOO_SMALL. capacity 0 (ids NULL) asks for the count.
 * Invalid UTF-8 is read as U+FFFD. Linear in the text. Allocates nothing for a text of up to the
 * session's max_text_bytes; a longer one may make the session grow (NOMEM).
 * Errors: INVALID (a pair too short to cut as its tokenizer says, too), UNSUPPORTED (the model has no tokenizer), TOO_SMALL, LIMIT
 * (4 GiB), NOMEM. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_tokenize(ecrec_model *model, ecrec_session *session, const char *text, size_t length,
                                 const ecrec_tokenize_options *options, uint32_t *ids, uint32_t *offsets,
                                 uint8_t *types, size_t capacity, size_t *count, ecrec_error *err);

/* The same for all of a text that is too long: windows of max_length tokens (special tokens in each), one after the other.
 * The first is what ecrec_tokenize gives; the others go on from there (backwards where the tokenizer cuts on the left), each
 * with `stride` tokens of the one before. Of a pair each text is cut as the tokenizer says (strategy), and every window of one
 * stands with every window of the other. max_length 0: one window. Window i is ids[starts[i] .. starts[i + 1]), offsets
 * and types (each may be NULL) as in ecrec_tokenize; starts has windows_capacity + 1 entries. *windows and *count become how
 * many windows and tokens there are; where one capacity is too small nothing is written and the call returns TOO_SMALL; ids
 * and starts NULL, capacities 0: it only asks. Linear in the text and what is written. May make the session grow, by 20
 * bytes a token of a text that is longer than any before.
 * Errors: INVALID (a stride that is not below the tokens of a text in a window; a pair too short to cut), UNSUPPORTED (the
 * model has no tokenizer), TOO_SMALL, LIMIT (4 GiB, 2^32 windows), NOMEM. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_tokenize_windows(ecrec_model *model, ecrec_session *session, const char *text, size_t length,
                                         const ecrec_tokenize_options *options, uint32_t *ids, uint32_t *offsets,
                                         uint8_t *types, size_t capacity, uint64_t *starts, size_t windows_capacity,
                                         size_t *windows, size_t *count, ecrec_error *err);

/* The text of n token ids, as the tokenizer's decoder joins them: `text` gets at most `capacity` bytes of UTF-8 (not
 * NUL-terminated), *length becomes how many there are. capacity 0 (text NULL) asks for the length. skip_special 1: special tokens
 * are left out; ids without a piece always are. Allocates nothing for texts of up to 4 KiB.
 * Errors: INVALID, UNSUPPORTED (the model has no tokenizer), TOO_SMALL (nothing is written), NOMEM. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_detokenize(ecrec_model *model, ecrec_session *session, const uint32_t *ids, size_t n, uint32_t skip_special,
                                   char *text, size_t capacity, size_t *length, ecrec_error *err);

/* The piece of a token id, as in the vocabulary, NUL-terminated, valid as long as the model; NULL when there is none. */
ECREC_API const char *ecrec_token_text(const ecrec_model *model, uint32_t id, size_t *length);
ECREC_API uint32_t ecrec_vocabulary_size(const ecrec_model *model);

enum {
    ECREC_POOL_DEFAULT = 0, /* what the model says */
    ECREC_POOL_MEAN = 1,
    ECREC_POOL_CLS = 2,
    ECREC_POOL_LAST = 3,
    ECREC_POOL_MAX = 4,
    ECREC_POOL_END = 5,   /* the state of the end token (CLIP texts): the model says which that is */
    ECREC_POOL_POOLER = 6 /* the model's own dense layer over a pooled state, where it has one (BERT, ViT) */
};

typedef struct ecrec_encode_options {
    uint32_t size;
    uint32_t pooling;     /* ECREC_POOL_* */
    uint32_t normalize;   /* 0: what the model says, 1: to unit length, 2: not */
    uint32_t max_length;  /* 0: the model's; else cut shorter */
    const char *prompt;   /* name of a prompt of the model ("query"), put in front of each text; NULL: its default or none */
    ecrec_progress_fn progress; /* texts done, of all; cancelled: the vectors written so far are valid */
    void *progress_opaque;
    /* Below: a caller that was compiled without these fields gets their defaults. */
    uint32_t dimensions;     /* keep the first so many numbers of a vector (Matryoshka models), to unit length again where
                                vectors are; `dimension` of the call is then this. 0: all */
    uint32_t last_layers;    /* the mean of the vectors pooled after each of the last so many layers; 0 or 1: the last alone */
    uint32_t windows;        /* 1: a text longer than max_length is read in windows of max_length tokens (special tokens
                                and prompt in each) and its vector is the mean of theirs, weighted by the text's tokens in
                                each, to unit length again where vectors are; shorter texts are as without. The windows of
                                a text are spread over threads as texts are. 0: it is cut */
    uint32_t window_overlap; /* tokens that a window shares with the one before; below what a window holds */
} ecrec_encode_options;
#define ECREC_ENCODE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_encode_options), 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0 }
ECREC_API void ecrec_encode_options_init(ecrec_encode_options *options);

/* Encode n texts into n x dimension float32 (row-major, caller's). texts[i] has lengths[i] bytes. A text's vector is
 * the same bits alone, in any batch, in any order, on any number of threads. An empty text: see ecrec_encode_batch.
 * Allocates nothing.
 * Errors: INVALID (dimension is not the model's, a NULL text with a length, row named), UNSUPPORTED (no encoder),
 * NOT_FOUND (prompt), CANCELLED. One thread a session. Since 0.1. */
ECREC_API int32_t ecrec_encode(ecrec_model *model, ecrec_session *session, const char *const *texts,
                               const size_t *lengths, size_t n, const ecrec_encode_options *options, float *vectors,
                               uint32_t dimension, ecrec_error *err);
/* The same for n rows of token ids (special tokens already there): row i is ids[starts[i] .. starts[i+1]), starts
 * has n + 1 entries; types (may be NULL: all 0) runs along ids. */
ECREC_API int32_t ecrec_encode_ids(ecrec_model *model, ecrec_session *session, const uint32_t *ids,
                                   const uint8_t *types, const uint64_t *starts, size_t n,
                                   const ecrec_encode_options *options, float *vectors, uint32_t dimension,
                                   ecrec_error *err);
/* The hidden states of one row of token ids: after the embeddings (index 0) and after each layer, (layers + 1) x n x
 * hidden float32 into `states`. For inspection; not the fast path, but allocates nothing either.
 * Errors: INVALID (n is 0 or above the session's max_tokens, capacity in floats wrong), UNSUPPORTED. Since 0.1. */
ECREC_API int32_t ecrec_hidden_states(ecrec_model *model, ecrec_session *session, const uint32_t *ids,
                                      const uint8_t *types, size_t n, float *states, size_t capacity, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
