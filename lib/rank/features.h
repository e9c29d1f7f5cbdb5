/* A record's features and the weights they meet. Inside the rank and learn rooms.
 *
 * Dense weights of a label, field by field, then the bias:
 *   number: slope, present, missing. The value is standardised with the frozen mean and scale of "rank.numbers".
 *   text (encoded), vector: `dims` weights of the unit-length vector, missing; with compare: cosine, cosine missing.
 * Hashed: one weight a category (value 1; missing is a category of its own) and one an n-gram (value 1 / sqrt(number of
 * n-grams of the text)). Index: label * 2^bits + (hash mod 2^bits).
 * A number that is cut into bins is a category (rank/bins.h). "rank.numbers" f64 {other number fields, 6}: count, mean and sum of squared deviations as seen so far; frozen mean, frozen scale
 * (1 / standard deviation), count when frozen. */
#ifndef ECREC_LIB_RANK_FEATURES_H
#define ECREC_LIB_RANK_FEATURES_H

#include "kernels/kernels.h"
#include "rank/batch.h"
#include "rank/calibration.h"
#include "rank/attention.h"
#include "rank/ranker.h"

#define NO_INDEX UINT32_MAX
enum { NUMBER_COUNT, NUMBER_MEAN, NUMBER_SQUARES, NUMBER_FROZEN_MEAN, NUMBER_FROZEN_SCALE, NUMBER_FROZEN_COUNT, NUMBER_COLUMNS };
enum { HASHED_CHUNK = 64, EMBEDDING_CHUNK = 4 };

typedef struct field_plan {
    int32_t kind;      /* its form: field_form */
    uint32_t dense;    /* first dense weight */
    uint32_t dims;     /* how many of the vector's own */
    uint32_t vector;   /* length of the field's vector, 0: none */
    uint32_t slot;     /* encoded texts: which vector of the record; or NO_INDEX */
    uint32_t missing;  /* dense weight of "it is missing", or NO_INDEX */
    uint32_t cosine;   /* dense weight of the cosine (the next one: it cannot be computed), or NO_INDEX */
    uint32_t compare;  /* the other field */
    uint32_t number;   /* row of rank.numbers */
    uint32_t binned;   /* row of rank.bins (rank/bins.h), or NO_INDEX */
    uint32_t word_ngrams, char_ngrams;
    uint32_t multi;    /* number among the fields with several hashed values (multi, time), or NO_INDEX */
    uint32_t history;  /* number among the histories, or NO_INDEX */
    uint32_t category; /* number among the category fields, or NO_INDEX */
    uint32_t embedded; /* which of the embeddings that the network joins, or NO_INDEX */
    size_t embed;      /* of an embedded number or vector: where its weights begin in "rank.network" */
    int32_t utc_offset; /* time: minutes */
    uint64_t seed;
    uint32_t admit_after;               /* sightings; 0, 1: at once */
    uint32_t expire_after;              /* periods; 0: never */
    uint32_t hash_bits;                 /* its values share 2^bits hashes; 0: each has its own */
    const struct vocabulary *vocabulary; /* the schema's, or NULL */
} field_plan;

struct ranker {
    memory *m;
    uint32_t fields, labels, heads /* logits of a row */, width /* dense weights of a head, bias last */, slots, numbers, dimension, hash_bits, hashed;
    uint32_t categories, crossed /* categories that may have pairs: the first ones */, binned, multis, histories, pair_count;
    uint32_t unmet; /* where the weights of values never learned from begin, categories then pairs; or NO_INDEX */
    tensor *table_sums; /* "learn.hashed", referenced; NULL unless unmet: above 0 where a weight was learned */
    const tensor *met;  /* table_sums; or those of an older state: what had been learned from by then */
    tensor *sightings;      /* referenced; NULL: no field admits by sightings */
    tensor *dense, *table, *statistics; /* referenced; table and statistics may be NULL */
    tensor *embeddings, *network;       /* referenced; NULL without a network */
    tensor *calibration, *targets;      /* referenced; NULL: none */
    tensor *bins;                       /* referenced; NULL: no number is cut */
    network_plan net;
    network_packed *packed;
    schema_pair *pairs; /* of category numbers, owned */
    field_plan plan[];
};

/* Where each field's weights lie; also what pairs there are. *pairs belongs to the caller (pair_count of them; NULL: none). */
size_t ranker_bytes(const ecrec_schema *s);
int32_t ranker_plan(memory *m, const ecrec_schema *s, uint32_t dimension, ranker **out, ecrec_error *err);
void ranker_free(ranker *r);
int ranker_admits(const ranker *r);  /* some field admits by sightings */
int ranker_expires(const ranker *r); /* some field's values expire */

typedef struct record {
    const ecrec_batch *batch;
    size_t row;
    const float *const *texts; /* [slots]: vector of each encoded text, NULL: missing */
    const network_dropout *modalities; /* NULL, or those that are taken for missing, while learning; told by the row's own number */
} record;

/* The seed of a field's hashes, and the hash of its being missing. */
uint64_t field_seed(const schema_field *f);
uint64_t missing_hash(uint64_t seed);
/* The hash of a value before vocabulary, bits and admission. */
uint64_t value_hash(const field_plan *p, const char *text, size_t length);

/* The vector of a field in a record and the inverse of its length; NULL: missing. */
const float *record_vector(const ranker *r, const kernels *table, uint32_t field, const record *rec, float *inverse);
/* The cosine that a field asks for; 0 when one side is missing. */
int record_cosine(const ranker *r, const kernels *table, uint32_t field, const record *rec, float *cosine);
typedef void (*hashed_visit)(void *opaque, uint64_t slot /* below 2^bits */, float value);
/* The hash of a category field's value (missing has one of its own); its slot is the low bits. */
uint64_t record_category(const ranker *r, uint32_t field, const ecrec_batch *batch, size_t row);
/* The hashes of a multi field's values with their weights, or of a time's hour and day; missing is a value of its own. */
void record_multi(const ranker *r, uint32_t field, const ecrec_batch *batch, size_t row, hashed_visit visit, void *opaque);
static inline uint64_t pair_hash(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b << 31 | b >> 33)) * 0x9E3779B97F4A7C15u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}
/* The hash of a value of a category field, and of each event's item of a history (by the candidate's field). */
uint64_t record_value(const ranker *r, uint32_t field, const char *text, size_t length);
uint64_t record_event(const ranker *r, uint32_t field, const batch_column *c, uint64_t event);
/* How many events of a history the record has; *first: the number of the first in the column. */
uint32_t record_events(const record *rec, uint32_t field, uint64_t *first);
static inline const unsigned char *column_types(const batch_column *c, uint64_t event)
{
    return c->types.data != NULL ? c->types.data + event : NULL; /* a column without an event has no memory */
}
static inline const float *column_ages(const batch_column *c, uint64_t event)
{
    return c->weights.data != NULL ? (const float *)(const void *)c->weights.data + event : NULL;
}
/* A field's part of a head's logit without its hashed features. */
double dense_part(const ranker *r, const kernels *table, const record *rec, uint32_t head, uint32_t field);
void record_hashed(const ranker *r, uint32_t field, const record *rec, hashed_visit visit, void *opaque);
/* (value - mean) / standard deviation, both frozen; from NUMBER_BEND on it grows as a logarithm does, so that no value, however far out,
 * outweighs all the rest of its row. */
#define NUMBER_BEND 5.0
double number_standard(const double *statistics, double value);
/* What many records have in common: one user's side beside many candidates, made once. */
typedef struct record_once {
    unsigned char *field_known, *pair_known; /* [fields], [pair_count]: 1: the same in all of them */
    double *parts, *pairs;                   /* heads x fields, heads x pair_count */
    uint64_t *categories;                    /* of the known fields */
    float *x0;                               /* their embeddings */
    attention_user users[MOST_HISTORIES];    /* where history_known */
    unsigned char history_known[MOST_HISTORIES];
    const float **texts; /* [slots] */
    float *vectors;      /* slots x dimension: what they point to */
} record_once;
size_t record_once_take(record_once *once, const ranker *r, void *memory); /* bytes */
/* From the first row of a view whose columns say which fields have one row (once->texts are set). */
void record_once_make(record_once *once, const ranker *r, const kernels *table, const ecrec_batch *view);
/* A field's, a pair's part of a head's logit. */
double record_field(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, uint32_t head, uint32_t field);
double record_pair(const ranker *r, const uint64_t *categories, uint32_t head, uint32_t pair);
/* The logit of the first order and the pairs; categories: [categories] hashes of the record's values, or NULL to make them when met;
 * once (may be NULL): what is known already; parts (may be NULL): fields, then the bias, then (with pairs) their sum. */
double record_logit(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, uint32_t head, const record_once *once, float *parts);
double logistic(double logit);

/* What attention needs for one record at a time. */
typedef struct attention_room { attention_user users[MOST_HISTORIES]; attention_work work; } attention_room;
size_t attention_room_take(attention_room *room, const ranker *r, void *memory); /* bytes */
/* The embeddings of a record joined: [inputs]. once (may be NULL): what is known already; room: of its histories (NULL: the ranker has none). */
void network_gather(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, const record_once *once, attention_room *room, float *x0,
                    unsigned char *present);
/* Which of the embedded fields the record has, for the towers (without: nothing is done). */
void record_present(const ranker *r, const kernels *table, const record *rec, unsigned char *present);
/* Of one number or vector field. */
void embed_dense(const ranker *r, const kernels *table, const record *rec, uint32_t field, const float *flat, float *to);
/* What the caller sees of a row's logits (those of values unscaled: rank/targets.h): probabilities, values, expected classes. */
void heads_to_scores(const ecrec_schema *s, const float *thresholds, const double *logits, int as_logits, float *scores);

/* Encoded texts of rows [first, first + rows) of a batch: pointers[i * slots + s]. A text that is there several times is encoded once. */
typedef struct text_block {
    const char **texts;
    size_t *lengths;
    float *vectors;         /* rows x slots x dimension */
    const float **pointers; /* rows x slots */
    const float **once;     /* [slots]: vectors of the fields that have one row, encoded before; NULL: there are none such */
    size_t *known;          /* hash table of numbers of texts, 1 first; 0: free */
    size_t known_size;      /* a power of two */
} text_block;
size_t text_block_take(text_block *b, const ranker *r, size_t rows, void *memory); /* bytes */
int32_t text_block_encode(text_block *b, const ranker *r, const score_call *call, const ecrec_batch *batch, size_t first, size_t rows, ecrec_error *err);
/* The vectors of the first n of b->texts. */
int32_t text_block_run(text_block *b, const score_call *call, size_t n, float *vectors, ecrec_error *err);

#endif
