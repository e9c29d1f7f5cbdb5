/* How well a smaller model agrees with the original on sample texts. */
#ifndef ECREC_LIB_COMPRESS_AGREEMENT_H
#define ECREC_LIB_COMPRESS_AGREEMENT_H

#include "base/context.h"
#include "encoder/embed.h"
#include "model/parts.h"

/* The caller's sample texts, and the tokenizer of the parts that they are read with. */
typedef struct sample {
    const char *const *texts;
    const size_t *lengths;
    size_t count;
    tokenizer tokens;
    const char *prompt; /* the model's default prompt, or NULL */
} sample;

/* Errors: INVALID (texts without lengths, a NULL text), UNSUPPORTED (texts given, but the model has no tokenizer). */
int32_t sample_open(sample *s, const parts *p, const char *const *texts, const size_t *lengths, size_t count,
                    ecrec_error *err);

/* Vectors of the texts, count x dimension, in a block of `m` that the caller releases (count * dimension floats). */
int32_t sample_encode(ecrec_context *context, const sample *s, const encoder *e, float **vectors, ecrec_error *err);

typedef struct agreement {
    double mean_cosine, worst_cosine;
    double neighbour_overlap; /* share of each text's 10 nearest that are the same in both; over fewer when there are fewer texts */
    size_t neighbours;
} agreement;

/* Two sets of n vectors. Neighbours are looked for among the first 2,000 texts. Errors: NOMEM. */
int32_t agreement_measure(ecrec_context *context, const float *a, const float *b, size_t n, size_t dimension,
                          agreement *out, ecrec_error *err);
/* Into the report ("agreement.*") and, so that the file carries it, into the settings ("space.agreement.*"). */
int32_t agreement_tell(const agreement *g, size_t texts, ecrec_report *report, properties *settings, ecrec_error *err);

#endif
