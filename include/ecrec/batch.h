/* ecrec/batch.h: schemas (what a record has) and batches (rows of records). */
#ifndef ECREC_BATCH_H
#define ECREC_BATCH_H

#include "ecrec/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_schema ecrec_schema;
typedef struct ecrec_batch ecrec_batch;

enum {
    ECREC_FIELD_TEXT = 1,     /* UTF-8; encoded by the model, and as n-grams where asked */
    ECREC_FIELD_VECTOR = 2,   /* `dimension` float32, made elsewhere or by ecrec_encode */
    ECREC_FIELD_CATEGORY = 3, /* a string, hashed */
    ECREC_FIELD_NUMBER = 4,   /* a double, standardised, or cut into bins */
    ECREC_FIELD_MULTI = 5,    /* several strings with a weight each, hashed: tags, words, what was clicked */
    ECREC_FIELD_HISTORY = 6,  /* what a user did before: events, each with an item, a type and a time; the candidate is held against them */
    ECREC_FIELD_TIME = 7,     /* int64 microseconds since 1970 UTC; its hour of the day and day of the week are hashed */
    ECREC_FIELD_USER = 8,     /* a category that says whose row it is */
    ECREC_FIELD_ITEM = 9,     /* a category that says what the row's candidate is */
    ECREC_FIELD_IMAGE = 10    /* a vector that an image encoder made */
};

typedef struct ecrec_field_options {
    uint32_t size;
    uint32_t dimension;     /* VECTOR and IMAGE: length, 1..65536; HISTORY: the most events kept, the newest, 1..1024 */
    uint32_t required;      /* 1: a row without it is an error; 0: it may be missing */
    uint32_t no_encoding;   /* TEXT: 1 = do not run the encoder on it (n-grams only); TIME, USER and ITEM: 1 = no weights of its own:
                               the column says when, whose or what (to hold out, to group, to join), and is no feature */
    uint32_t word_ngrams;   /* TEXT: hashed word 1..k-grams, lower-cased; 0: none; at most 4 */
    uint32_t char_ngrams;   /* TEXT: hashed character 3..k-grams within words, lower-cased; 0: none; at most 8 */
    const char *compare;    /* TEXT, VECTOR and IMAGE: an earlier field of the same kind; the cosine of the two is a feature.
                               HISTORY: the earlier ITEM, USER or CATEGORY field that says what the candidate is: the events' items are
                               values of that field and share its embeddings; needs a network with a width */
    uint32_t compare_only;  /* 1: the cosine alone, not this field's own dimensions */
    uint32_t reserved;
    const char *space;      /* VECTOR and IMAGE: fingerprint of the space its vectors live in (ecrec_model_space), or NULL */
    int32_t utc_offset;     /* TIME: minutes that the hours and days meant are ahead of UTC, -840 .. 840; 0: UTC */
    uint32_t event_types;   /* HISTORY: how many types of event there are, at most 64; 0: 1 */
    uint32_t hash_bits;     /* CATEGORY, USER, ITEM and MULTI: its values share 2^bits weights, 1 .. 28; 0: as many as the table has rows */
    uint32_t admit_after;   /* the same: a value has a weight of its own from the update (or fit) on that follows so many sightings of it, at
                               most 255; before, it shares one with the other rare ones. Counted in memory that does not grow, in which a
                               value may be counted too often, never too seldom. 0 or 1: at once */
    uint64_t hash_seed;     /* of the hash: XXH3 (64 bits) of the value's bytes, seeded with XXH3 of the field's name, seeded with its kind
                               + hash_seed * 0x9E3779B97F4A7C15 */
    uint32_t bins;          /* NUMBER: cut into so many bins of equal share, 2 .. 256, each with weights as a category's value has them (in no pairs);
                               0: standardised. The cuts are frozen in each snapshot: fit sets them where there are none, an update that leaves
                               8 numbers a bin behind it likewise; then ecrec_rebin alone moves them. It takes about 13 KiB a field */
    uint32_t expire_after;  /* CATEGORY, USER, ITEM and MULTI: a value that is not seen in so many whole periods, at most 65535, expires: its weights
                               start anew, it is admitted anew. The host says when a period ends (ecrec_expire). 0: never */
} ecrec_field_options;
#define ECREC_FIELD_OPTIONS_INIT { (uint32_t)sizeof(ecrec_field_options), 0, 0, 0, 0, 0, NULL, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0 }
ECREC_API void ecrec_field_options_init(ecrec_field_options *options);

/* A schema is built, then given to ecrec_ranker_create, which copies it. One thread. */
ECREC_API int32_t ecrec_schema_create(ecrec_context *context, ecrec_schema **schema, ecrec_error *err);
/* From JSON: {"fields": [{"name": "title", "kind": "text", "word_ngrams": 2, ...}], "labels": [{"name": "click"}], "hash_bits": 20}.
 * The members of a field are the options' names above; an unknown member is an error that names it. */
ECREC_API int32_t ecrec_schema_parse(ecrec_context *context, const char *json, size_t length, ecrec_schema **schema,
                                     ecrec_error *err);
ECREC_API void ecrec_schema_release(ecrec_schema *schema);
/* Append a field or a binary label; *index (may be NULL) is its number for the batch calls: 0, 1, ... each.
 * Names are unique, 1..255 bytes. Errors: INVALID (the message says which option), NOMEM. */
ECREC_API int32_t ecrec_schema_add_field(ecrec_schema *schema, const char *name, int32_t kind,
                                         const ecrec_field_options *options, uint32_t *index, ecrec_error *err);
ECREC_API int32_t ecrec_schema_add_label(ecrec_schema *schema, const char *name, uint32_t *index, ecrec_error *err);

/* Give a CATEGORY, USER, ITEM or MULTI field a fixed vocabulary, or more values: every other value, whatever it is, shares one weight.
 * A value's weight is that of its number, so values are only ever added at the end. At most 65536, 65535 bytes each; in JSON
 * "vocabulary": ["a", "b"]. Errors: INVALID (not such a field, a value twice), LIMIT, NOMEM. One thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_schema_add_values(ecrec_schema *schema, const char *field, const char *const *values, const size_t *lengths,
                                          size_t n, ecrec_error *err);

/* A copy of a schema that may grow (and lose fields): what ecrec_ranker_extend takes. The caller releases it.
 * Errors: INVALID, NOMEM. Any thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_schema_extend(const ecrec_schema *from, ecrec_schema **schema, ecrec_error *err);
/* A field that counts no more: it keeps its name and its number, batches may have its column, and nobody looks at it. Pairs with it go.
 * Errors: INVALID (no such field, another is compared with it). One thread. Since 0.1. */
ECREC_API int32_t ecrec_schema_drop_field(ecrec_schema *schema, const char *name, ecrec_error *err);

/* A label that is learned no more: it keeps its name, its number and its place among the scores, which are NaN (null in Arrow), batches may have its
 * column, and nobody looks at it; its weights stay as they are. Errors: INVALID (no such label, the last one). One thread. Since 0.1. */
ECREC_API int32_t ecrec_schema_drop_label(ecrec_schema *schema, const char *name, ecrec_error *err);
ECREC_API uint32_t ecrec_schema_label_dropped(const ecrec_schema *schema, uint32_t label); /* 1: it was */

enum {
    ECREC_LABEL_BINARY = 1,  /* 0 or 1; logistic loss; its score is a probability */
    ECREC_LABEL_VALUE = 2,   /* any number; squared loss; its score is the value (ECREC_TARGET_*: how it is learned) */
    ECREC_LABEL_CLASSES = 3, /* 0 .. classes - 1; softmax; its scores are `classes` probabilities */
    ECREC_LABEL_ORDINAL = 4  /* 0 .. classes - 1 in order; cumulative logistic; its score is the expected class */
};
enum {
    ECREC_LOSS_OWN = 0,      /* what the kind says */
    ECREC_LOSS_PAIRWISE = 1, /* of each two rows of a group (ecrec_batch_set_group) the one with the larger label goes first */
    ECREC_LOSS_LISTWISE = 2  /* softmax over the rows of a group */
};
/* How a VALUE label with its own loss is learned; scores, logits' unit and reports are the label's own whatever is chosen. STANDARD: as (y - mean) /
 * standard deviation; LOG: as log1p(y), standardised: for labels of 0 and more over many sizes, as prices and counts are (a logit is log1p of
 * the value). Mean and deviation are those of the rows of the first fit that is learned from, or of the first 32 labelled rows of updates, which
 * move the mean alone; then they stay. PLAIN: as it is. */
enum { ECREC_TARGET_STANDARD = 0, ECREC_TARGET_PLAIN = 1, ECREC_TARGET_LOG = 2 };
typedef struct ecrec_label_options {
    uint32_t size;
    int32_t kind;     /* ECREC_LABEL_*; 0: binary */
    uint32_t classes; /* CLASSES and ORDINAL: 2..4096; else 0 */
    uint32_t loss;    /* ECREC_LOSS_*; by groups: BINARY and VALUE (grades of 0 and more) only. Rows of a group follow each other when they
                         are learned from; such a label's score orders a group's rows and is no probability before it was calibrated */
    uint32_t log_q;   /* LISTWISE: 1: rows were sampled as candidates with their propensity: it is corrected for */
    uint32_t target;  /* ECREC_TARGET_*, of VALUE */
    double negatives_kept; /* BINARY: rows with 0 were kept with this chance, those with 1 all of them: what is learned, and so the score, is
                              of all rows; 0 and 1: nothing was left out */
} ecrec_label_options;
#define ECREC_LABEL_OPTIONS_INIT { (uint32_t)sizeof(ecrec_label_options), 0, 0, 0, 0, 0, 0 }
ECREC_API void ecrec_label_options_init(ecrec_label_options *options);
/* Append a label of any kind (options NULL: binary). Errors as ecrec_schema_add_label. One thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_schema_add_label_of(ecrec_schema *schema, const char *name, const ecrec_label_options *options,
                                            uint32_t *index, ecrec_error *err);

/* What a ranker has beyond the first order, which is always there: each part that is switched on adds to the logit.
 * In JSON: "network": {"pairs": "all" or [["a", "b"], ...], "width": 16, "fm": true or "weighted", "cross_layers": 3, "cross_rank": 32,
 * "hidden": [128, 64], "unmet": true, "attention": 16, "gates": true,
 * "towers": true, "positions": 20, "experts": 4}. */
#define ECREC_MOST_HIDDEN 8
typedef struct ecrec_network_options {
    uint32_t size;
    uint32_t all_pairs;      /* 1: a weight for each pair of values of two category fields, for all pairs of such fields */
    uint32_t width;          /* length of each field's embedding, 1..256; 0: no embeddings, so none of the parts below */
    uint32_t embedding_bits; /* size of the hashed table of embeddings: 2^bits rows, 10..28; 0: 18 */
    uint32_t fm;             /* 1: inner products of all pairs of embeddings; 2: each pair of fields with a learned weight */
    uint32_t cross_layers;   /* cross layers on the joined embeddings (DCN-V2), 0..8 */
    uint32_t cross_rank;     /* rank of their matrices; 0: full */
    uint32_t hidden[ECREC_MOST_HIDDEN]; /* units of each layer of the perceptron (ReLU); 0 ends the list */
    uint32_t unmet;          /* 1: a weight for each category field and each pair of fields that counts when the value was never
                                learned from (a new user, a user's first time with an item) */
    uint32_t attention;      /* hidden units of the target attention that each HISTORY field has, 1..256; 0: 16 */
    uint32_t gates;          /* 1: the embedding of a vector (text, image) is brought to one size and weighed by a gate that looks at it */
    uint32_t towers;         /* 1: cosines of the embeddings of vectors, texts, images and histories, of each two of the first 16 such fields,
                                with a weight each; a pair with a missing side gives nothing */
    uint32_t positions;      /* position bias: a weight for each position 2 .. positions at which rows were shown (further ones: the last), while
                                learning; a score is as of position 1, unless ecrec_score_options asks for the row's own. 0: none; at most 1024 */
    uint32_t experts;        /* so many perceptrons (2..16; 0: one) of the layers of hidden, whose units are multiples of 16; each label (at most 32) has a gate over
                                them, so that labels which have little in common share less (multi-gate mixture of experts) */
} ecrec_network_options;
#define ECREC_NETWORK_OPTIONS_INIT { (uint32_t)sizeof(ecrec_network_options), 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, 0, 0, 0, 0 }
ECREC_API void ecrec_network_options_init(ecrec_network_options *options);
/* Switch parts on (once the last call counts). Errors: INVALID (which member). One thread. Since 0.1. */
ECREC_API int32_t ecrec_schema_set_network(ecrec_schema *schema, const ecrec_network_options *options, ecrec_error *err);
/* A weight for each pair of values of two category fields, by name; when only some pairs are wanted.
 * Errors: INVALID (not such fields, twice), LIMIT, NOMEM. One thread. Since 0.1. */
ECREC_API int32_t ecrec_schema_add_pair(ecrec_schema *schema, const char *a, const char *b, ecrec_error *err);
/* Scores a row has: one a label, `classes` for a CLASSES label. */
ECREC_API uint32_t ecrec_schema_outputs(const ecrec_schema *schema);
/* ECREC_LABEL_*, 0 when out of range; *classes (may be NULL). */
ECREC_API int32_t ecrec_schema_label_kind(const ecrec_schema *schema, uint32_t label, uint32_t *classes);

/* Size of the hashed table: 2^bits rows a label, 10..28; default 20. */
ECREC_API int32_t ecrec_schema_set_hash_bits(ecrec_schema *schema, uint32_t bits, ecrec_error *err);

ECREC_API uint32_t ecrec_schema_fields(const ecrec_schema *schema);
ECREC_API uint32_t ecrec_schema_labels(const ecrec_schema *schema);
ECREC_API const char *ecrec_schema_field_name(const ecrec_schema *schema, uint32_t field);
ECREC_API const char *ecrec_schema_label_name(const ecrec_schema *schema, uint32_t label);
ECREC_API int32_t ecrec_schema_field_kind(const ecrec_schema *schema, uint32_t field); /* 0 when out of range */
/* Index of a name, or UINT32_MAX. */
ECREC_API uint32_t ecrec_schema_find_field(const ecrec_schema *schema, const char *name);
ECREC_API uint32_t ecrec_schema_find_label(const ecrec_schema *schema, const char *name);

/* Rows for a schema (copied by reference: the schema may be released). Plain data, reusable after a reset; one
 * thread while being set, any number while only read. Setters copy. */
ECREC_API int32_t ecrec_batch_create(const ecrec_schema *schema, ecrec_batch **batch, ecrec_error *err);
ECREC_API void ecrec_batch_release(ecrec_batch *batch);
/* Forget the columns; the next ones have `rows` rows. Memory is kept. */
ECREC_API int32_t ecrec_batch_reset(ecrec_batch *batch, size_t rows, ecrec_error *err);
ECREC_API size_t ecrec_batch_rows(const ecrec_batch *batch);

/* Set a whole column. A column never set is missing in all rows. texts[i] == NULL means missing.
 * valid (may be NULL: all present): one byte a row, 0 = missing. Errors: INVALID (wrong kind; "row 17, field
 * "price": NaN is not a number"; err->row), NOMEM. A failed setter leaves the column as it was. */
ECREC_API int32_t ecrec_batch_set_text(ecrec_batch *batch, uint32_t field, const char *const *texts,
                                       const size_t *lengths, ecrec_error *err);
/* CATEGORY, USER and ITEM. */
ECREC_API int32_t ecrec_batch_set_category(ecrec_batch *batch, uint32_t field, const char *const *values,
                                           const size_t *lengths, ecrec_error *err);
/* Categories that are integers: hashed as their decimal spelling, so "17" and 17 are the same. */
ECREC_API int32_t ecrec_batch_set_category_u64(ecrec_batch *batch, uint32_t field, const uint64_t *values,
                                               const uint8_t *valid, ecrec_error *err);
ECREC_API int32_t ecrec_batch_set_number(ecrec_batch *batch, uint32_t field, const double *values,
                                         const uint8_t *valid, ecrec_error *err);
/* TIME: microseconds since 1970 UTC, of the years 1 .. 9999. Errors: INVALID (row and field named), NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_batch_set_time(ecrec_batch *batch, uint32_t field, const int64_t *microseconds, const uint8_t *valid,
                                       ecrec_error *err);
/* MULTI: row i has the values items[i] .. items[i + 1] - 1 of `values` and `lengths` (items: rows + 1 numbers that do not fall, the
 * first 0), each with its weight (weights NULL: 1 each). A row's weights are scaled so that their squares add up to 1. A row may have none.
 * Errors: INVALID (row named: items fall, a value is NULL, a weight is not finite), LIMIT, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_batch_set_multi(ecrec_batch *batch, uint32_t field, const size_t *items, const char *const *values,
                                        const size_t *lengths, const float *weights, const uint8_t *valid, ecrec_error *err);
/* Events of users, oldest first. What is NULL is not said. */
typedef struct ecrec_history {
    uint32_t size;
    uint32_t reserved;
    const size_t *events;      /* rows + 1 numbers that do not fall, the first 0: row i has the events events[i] .. events[i + 1] - 1 */
    const char *const *items;  /* of each event, spelt as the candidate's field spells it; or */
    const size_t *lengths;     /*   (bytes of each) */
    const uint64_t *items_u64; /* as whole numbers: "17" and 17 are the same */
    const uint32_t *types;     /* of each event, below the field's event_types; NULL: 0 */
    const int64_t *times;      /* of each event, microseconds since 1970 UTC, not falling within a row; NULL: ages are not known */
    const int64_t *now;        /* of each row: the time at which it is scored; NULL: that of its newest event */
    const uint8_t *valid;      /* rows bytes, 0 = the history is not known; NULL: all are. A history without events is known to be empty */
} ecrec_history;
#define ECREC_HISTORY_INIT { (uint32_t)sizeof(ecrec_history), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
ECREC_API void ecrec_history_init(ecrec_history *history);
/* HISTORY. Of more events than the field keeps, the newest are taken. An event after `now` counts as of now.
 * Errors: INVALID (row named: events fall, an item is NULL, a type or time is out of range), LIMIT, NOMEM; a failed call leaves the
 * column as it was. One thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_batch_set_history(ecrec_batch *batch, uint32_t field, const ecrec_history *history, ecrec_error *err);
/* VECTOR and IMAGE: rows x dimension float32, row i at vectors + i * stride (in floats; 0: dimension). */
ECREC_API int32_t ecrec_batch_set_vector(ecrec_batch *batch, uint32_t field, const float *vectors, size_t stride,
                                         const uint8_t *valid, ecrec_error *err);
/* Binary labels are 0 or 1; values any finite number; classes and ordinal 0 .. classes - 1. An invalid (missing) label teaches nothing. */
ECREC_API int32_t ecrec_batch_set_label(ecrec_batch *batch, uint32_t label, const float *values, const uint8_t *valid,
                                        ecrec_error *err);
/* How much a row counts in updates and metrics: finite and >= 0; default 1. */
ECREC_API int32_t ecrec_batch_set_weight(ecrec_batch *batch, const float *weights, ecrec_error *err);

/* What a row is, beside its fields; none of it is a feature. A column never set is missing in all rows; valid (may be NULL: all
 * present) as above. Errors: INVALID (the row named), NOMEM; a failed setter leaves the column as it was. One thread. All allocate.
 * Since 0.1.
 * Where the row stood in the list that was shown, from 1. */
ECREC_API int32_t ecrec_batch_set_position(ecrec_batch *batch, const uint32_t *positions, const uint8_t *valid, ecrec_error *err);
/* Probability with which the policy that showed the row chose it: above 0, at most 1. */
ECREC_API int32_t ecrec_batch_set_propensity(ecrec_batch *batch, const float *propensities, const uint8_t *valid, ecrec_error *err);
/* The event that the row tells of, by which labels that come late find it and a row sent twice is known. */
ECREC_API int32_t ecrec_batch_set_event(ecrec_batch *batch, const uint64_t *ids, const uint8_t *valid, ecrec_error *err);
/* The same where ids are bytes: taken as their ecrec_id_hash. ids[i] == NULL means missing. */
ECREC_API int32_t ecrec_batch_set_event_bytes(ecrec_batch *batch, const char *const *ids, const size_t *lengths, ecrec_error *err);
/* Rows that were shown together (an impression, the results of a query) have the same number. */
ECREC_API int32_t ecrec_batch_set_group(ecrec_batch *batch, const uint64_t *ids, const uint8_t *valid, ecrec_error *err);
ECREC_API int32_t ecrec_batch_set_group_bytes(ecrec_batch *batch, const char *const *ids, const size_t *lengths, ecrec_error *err);
/* XXH3, 64 bits, seed 0, of the bytes: the number that an id of bytes is known by. NULL with length 0 is the empty id. Since 0.1. */
ECREC_API uint64_t ecrec_id_hash(const void *bytes, size_t length);

/* What a setter does with a wrong value (NaN where a number must be, a label that is no class, ...): refuses the whole column (the
 * default), or notes the row as bad, with a sentence, and goes on. The next setters do; a reset forgets bad rows, not the policy.
 * What score, update and fit do with a batch that has bad rows is their options' `bad_rows`: refuse it (the default, INVALID with the
 * first sentence), or skip those rows, and such that lack a required field: their scores are NaN, nothing is learned from them, and
 * the report names each. Errors: INVALID. One thread. Since 0.1. */
enum { ECREC_BAD_ROWS_REFUSE = 0, ECREC_BAD_ROWS_SKIP = 1 };
ECREC_API int32_t ecrec_batch_set_bad_rows(ecrec_batch *batch, int32_t policy, ecrec_error *err);
/* Note a row as bad for a reason of the host's own (a line that could not be read). At most 255 bytes are kept.
 * Errors: INVALID (no such row, the policy is REFUSE), NOMEM. One thread. Since 0.1. */
ECREC_API int32_t ecrec_batch_mark_bad(ecrec_batch *batch, size_t row, const char *reason, size_t length, ecrec_error *err);
/* How many rows are bad, and the sentence of each in the order they were noted, with its row (may be NULL); NULL when out of range.
 * Valid until the batch changes. Any thread while the batch is only read. Since 0.1. */
ECREC_API size_t ecrec_batch_bad_rows(const ecrec_batch *batch);
ECREC_API const char *ecrec_batch_bad_row(const ecrec_batch *batch, size_t index, uint64_t *row);

#ifdef __cplusplus
}
#endif
#endif
