/* ecrec/classify.h: classifiers and cross-encoders: texts, or pairs of texts, in; a score for each label out. */
#ifndef ECREC_CLASSIFY_H
#define ECREC_CLASSIFY_H

#include "ecrec/encode.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ECREC_ACTIVATION_DEFAULT = 0, /* what the model says: where its folder names none, the sigmoid for one label and for labels
                                     that do not exclude each other (problem_type), else the softmax */
    ECREC_ACTIVATION_NONE = 1,    /* logits */
    ECREC_ACTIVATION_SIGMOID = 2,
    ECREC_ACTIVATION_SOFTMAX = 3
};

typedef struct ecrec_classify_options {
    uint32_t size;
    uint32_t activation;  /* ECREC_ACTIVATION_* */
    uint32_t max_length;  /* tokens of a row, special tokens included; 0: the model's limit; else cut shorter */
    uint32_t reserved;
    ecrec_progress_fn progress; /* rows done, of all */
    void *progress_opaque;
} ecrec_classify_options;
#define ECREC_CLASSIFY_OPTIONS_INIT { (uint32_t)sizeof(ecrec_classify_options), 0, 0, 0, NULL, NULL }
ECREC_API void ecrec_classify_options_init(ecrec_classify_options *options);

/* How many labels the model's classifier has; 0 when it has none. Any thread. Since 0.1. */
ECREC_API uint32_t ecrec_model_labels(const ecrec_model *model);
/* The name of a label (id2label of the folder it came from, else "LABEL_0", ...), NUL-terminated, valid as long as the model;
 * NULL when there is no such label. Any thread. Since 0.1. */
ECREC_API const char *ecrec_model_label(const ecrec_model *model, uint32_t label);

/* Classify rows of any kind of input. `pairs` (may be NULL) are second texts, as many as there are rows, of one of the kinds
 * that are texts; a NULL pointer among ECREC_INPUT_TEXTS is a row without one. A row that is too long is cut as the tokenizer
 * says (pairs: the longer one first). `scores` takes rows x labels float32, `capacity` in floats. A row's scores are the same
 * bits alone, in any batch, on any number of threads. Allocates nothing.
 * Errors: INVALID (unknown kind or activation, pairs for what are no texts, their number), TOO_SMALL, UNSUPPORTED (the model
 * has no classifier, no tokenizer), LIMIT, CANCELLED. On errors the scores may be partly written. One thread a session.
 * Since 0.1. */
ECREC_API int32_t ecrec_classify(ecrec_model *model, ecrec_session *session, const ecrec_encode_input *input,
                                 const ecrec_encode_input *pairs, const ecrec_classify_options *options, float *scores,
                                 size_t capacity, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
