/* The schema: fields and labels, and where each field's weights lie.
 *
 * A ranker's tensors: "rank.dense" f32 {labels, width}, "rank.hashed" f32 chunked {labels * 2^bits, 1}, "rank.numbers" f64 {number
 * fields, 6} (rank/features.h says what lies where), and the AdaGrad sums of the first two under "learn.dense" and "learn.hashed".
 */
#ifndef ECREC_LIB_RANK_SCHEMA_H
#define ECREC_LIB_RANK_SCHEMA_H

#include "base/context.h"
#include "ecrec/batch.h"

typedef struct schema_field {
    char name[256];
    int32_t kind;
    uint32_t dimension, required, encoded, word_ngrams, char_ngrams, compare /* field index or UINT32_MAX */, compare_only;
    char space[40];
} schema_field;

struct ecrec_schema {
    _Atomic uint32_t references;
    ecrec_context *context; /* referenced */
    schema_field *fields;
    uint32_t field_count, field_capacity;
    char (*labels)[256];
    uint32_t label_count, label_capacity;
    uint32_t hash_bits;
    uint64_t fingerprint; /* of everything above; kept up to date by the setters */
};
ecrec_schema *schema_reference(ecrec_schema *s);
int32_t schema_copy(ecrec_context *context, const ecrec_schema *s, ecrec_schema **out, ecrec_error *err);
/* The blob "schema" of a model file; reading trusts nothing. */
int32_t schema_write(const ecrec_schema *s, buffer *b);
int32_t schema_read(ecrec_context *context, const void *bytes, size_t length, ecrec_schema **out, ecrec_error *err);

#endif
