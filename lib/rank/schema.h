/* The schema: fields, labels, and which parts the ranker has.
 *
 * The tensors of a ranker: "rank.dense" f32 {heads, width}, "rank.hashed" f32 chunked {heads * 2^bits, 1}, "rank.numbers" f64 {number
 * fields, 6} (rank/features.h says what lies where), and the AdaGrad sums of the first two under "learn.dense" and "learn.hashed".
 * With a network (rank/network.h): "rank.embeddings" f32 chunked {2^bits, width} with its sums "learn.embeddings", and all the dense
 * weights of the network in one row, "rank.network" f32 {1, n}, with AdamW's two moments "learn.network" f32 {2, n} and its count of
 * steps "learn.steps" f64 {1, 1}. */
#ifndef ECREC_LIB_RANK_SCHEMA_H
#define ECREC_LIB_RANK_SCHEMA_H

#include "base/context.h"
#include "ecrec/batch.h"

enum { MOST_FIELDS = 4096, MOST_LABELS = 256, MOST_NAME = 255, MOST_DIMENSION = 65536, MOST_CLASSES = 4096 };
enum { DEFAULT_BITS = 20, LEAST_BITS = 10, MOST_BITS = 28, MOST_PAIRS = 8192, MOST_EVENTS = 1024, MOST_EVENT_TYPES = 64, MOST_HISTORIES = 4, MOST_WIDTH = 256, MOST_POSITIONS = 1024, MOST_PERIODS = 65535 };
#define NO_FIELD UINT32_MAX

typedef struct schema_field {
    char name[256];
    int32_t kind;
    uint32_t dimension, required, encoded, word_ngrams, char_ngrams, compare /* field index or UINT32_MAX */, compare_only;
    char space[40];
    int32_t utc_offset; /* TIME: minutes */
    uint32_t unused;    /* TIME, USER, ITEM: no feature */
    uint32_t dropped;   /* it has no weights any more */
    uint32_t event_types; /* HISTORY */
    uint32_t hash_bits;   /* of hashed values; 0: the table's */
    uint64_t hash_seed;
    uint32_t admit_after; /* sightings; 0, 1: at once */
    uint32_t expire_after; /* periods; 0: never */
    uint32_t bins;        /* NUMBER: 0: standardised */
    struct vocabulary *vocabulary; /* rank/vocabulary.h; NULL: any value; owned */
} schema_field;

typedef struct schema_label {
    char name[256];
    int32_t kind;     /* ECREC_LABEL_* */
    uint32_t classes; /* of CLASSES and ORDINAL, else 0 */
    uint32_t loss, log_q, target /* ECREC_TARGET_* */;
    uint32_t dropped; /* its scores are NaN, and nobody looks at its column */
    float kept;       /* share of the negatives; 0: all */
} schema_label;

typedef struct schema_pair { uint32_t a, b; } schema_pair; /* hashed fields */

typedef struct schema_network {
    uint32_t all_pairs, unmet, width, embedding_bits, fm, cross_layers, cross_rank, hidden[ECREC_MOST_HIDDEN];
    uint32_t attention, gates, towers, positions, experts; /* from attention on: settings, 0 where nothing asks for them */
} schema_network;

struct ecrec_schema {
    _Atomic uint32_t references;
    ecrec_context *context; /* referenced */
    schema_field *fields;
    uint32_t field_count, field_capacity;
    schema_label *labels;
    uint32_t label_count, label_capacity;
    uint32_t hash_bits;
    schema_network network; /* all zeros: none */
    schema_pair *pairs;     /* chosen ones */
    uint32_t pair_count, pair_capacity;
    uint64_t fingerprint; /* of everything above; kept up to date by the setters */
};
ecrec_schema *schema_reference(ecrec_schema *s);
void schema_refresh(ecrec_schema *s); /* its fingerprint, after a change */
/* Whether a batch of one may be read as one of the other: what both have is alike. */
int schema_related(const ecrec_schema *a, const ecrec_schema *b);
int32_t schema_copy(ecrec_context *context, const ecrec_schema *s, ecrec_schema **out, ecrec_error *err);
/* The blob "schema" of a model file; reading trusts nothing. */
int32_t schema_write(const ecrec_schema *s, buffer *b);
int32_t schema_read(ecrec_context *context, const void *bytes, size_t length, ecrec_schema **out, ecrec_error *err);

/* Numbers that a label's row of scores has: its classes, else 1. */
static inline uint32_t label_outputs(const schema_label *l)
{
    return l->kind == ECREC_LABEL_CLASSES ? l->classes : 1;
}
uint32_t schema_outputs(const ecrec_schema *s);
/* How a field's values lie in a batch and meet weights: a user and an item are categories, an image is a vector. */
static inline int32_t field_form(int32_t kind)
{
    switch (kind) {
    case ECREC_FIELD_USER:
    case ECREC_FIELD_ITEM: return ECREC_FIELD_CATEGORY;
    case ECREC_FIELD_IMAGE: return ECREC_FIELD_VECTOR;
    default: return kind;
    }
}
/* "text", ...; NULL: there is no such kind. And back; 0: no such name. */
const char *field_kind_name(int32_t kind);
int32_t field_kind_of(const char *name);
/* Whether a field has hashed features. */
static inline int field_hashed(const schema_field *f)
{
    const int32_t form = field_form(f->kind);
    return f->dropped ? 0 : f->bins != 0 || ((form == ECREC_FIELD_CATEGORY || form == ECREC_FIELD_TIME) && !f->unused) || form == ECREC_FIELD_MULTI || f->word_ngrams != 0 || f->char_ngrams != 0;
}
/* A field says something that the second form of the file cannot. */
int field_has_more(const schema_field *f);
int schema_has_more(const ecrec_schema *s);
int network_has_more(const schema_network *n);
int label_has_more(const schema_label *l);
/* Anything that the first form of the file cannot say. */
int schema_extended(const ecrec_schema *s);

#endif
