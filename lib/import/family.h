/* The architectures: for each what its configuration leaves unsaid, and the names of its tensors. Everything that a configuration
 * says is read alike for all (config.h). Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_FAMILY_H
#define ECREC_LIB_IMPORT_FAMILY_H

#include <stdint.h>

enum {
    FAMILY_PRE_NORM = 1,      /* norms before the blocks, and one after the last layer */
    FAMILY_RMS = 2,           /* RMS norm */
    FAMILY_CAUSAL = 4,
    FAMILY_ROTARY = 8,
    FAMILY_OFFSET = 16,       /* positions count from pad_token_id + 1, as RoBERTa's do */
    FAMILY_GATED = 32,
    FAMILY_TRANSPOSED = 64,   /* matrices lie inputs x outputs (Conv1D) */
    FAMILY_UNSCALED = 128,    /* attention without 1/sqrt(head size) */
    FAMILY_RELATIVE = 256,    /* a table of relative positions */
    FAMILY_UNIT = 512,        /* vectors of unit length unless the folder says otherwise */
    FAMILY_IMAGE = 1024,
    FAMILY_STATIC = 2048,     /* a table of vectors, no layers */
    FAMILY_ITEMS = 4096,      /* sequences of items, not texts: positions count from the end */
    FAMILY_SHARED = 8192,     /* groups of layers share their tensors */
    FAMILY_NO_TYPES = 16384   /* no token types, whatever type_vocab_size is */
};

/* What has a bias. */
enum { BIAS_QKV = 1, BIAS_OUTPUT = 2, BIAS_IN = 4, BIAS_OUT = 8, BIAS_NORM = 16, BIAS_ALL = 31 };

/* Names have no ".weight" and ".bias"; '#' stands for the layer's (or group's) number; '|' stands between spellings; NULL: there
 * is none. They follow whatever the file puts before the first of them ("bert.", "0.auto_model.", ...). */
typedef struct family {
    const char *types; /* values of model_type */
    uint32_t flags, biases;
    const char *activation, *pooling; /* when the folder does not say */
    double eps, theta;

    const char *token; /* or, of images, the projection of patches: the first of the names */
    const char *class_token, *position, *type, *embedding_norm, *embedding_projection, *relative;
    const char *query, *key, *value, *fused; /* fused: query, key, value in one, one after the other */
    const char *query_norm, *key_norm, *output, *attention_norm;
    const char *in, *gate, *out, *feed_forward_norm; /* gate: rows that are activated; without it `in` of a gated family has both */
    const char *final_norm;
    const char *projection, *projection_norm, *pooler;
    const char *head_dense, *head_norm, *classifier; /* of a classifier; head_dense NULL: the pooler */
    const char *head_activation, *head_pooling;
} family;

/* The family of a model_type, or NULL. */
const family *family_find(const char *model_type);
/* All of them, by number; NULL at the end. */
const family *family_at(unsigned index);
const char *family_list(void); /* "bert, roberta, ...": for messages */

#endif
