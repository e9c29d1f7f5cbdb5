#include "rank/schema.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "rank/bins.h"
#include "rank/network.h"
#include "rank/vocabulary.h"

void ecrec_field_options_init(ecrec_field_options *options)
{
    static const ecrec_field_options defaults = ECREC_FIELD_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static void mix(uint64_t *h, const void *bytes, size_t n)
{
    *h = hash64(bytes, n, *h);
}

void schema_refresh(ecrec_schema *s)
{
    uint64_t h = s->hash_bits;
    for (uint32_t i = 0; i < s->field_count; i++) {
        const schema_field *f = &s->fields[i];
        const uint32_t values[] = { (uint32_t)f->kind, f->dimension, f->required, f->encoded, f->word_ngrams, f->char_ngrams, f->compare, f->compare_only };
        mix(&h, f->name, strlen(f->name) + 1);
        mix(&h, values, sizeof values);
        mix(&h, f->space, strlen(f->space) + 1);
        if (field_has_more(f)) {
            const uint32_t more[] = { (uint32_t)f->utc_offset, f->unused, f->event_types };
            mix(&h, more, sizeof more);
        }
        if (f->hash_bits != 0 || f->hash_seed != 0) {
            const uint64_t how[] = { f->hash_bits, f->hash_seed };
            mix(&h, how, sizeof how);
        }
        if (f->bins != 0)
            mix(&h, &f->bins, sizeof f->bins);
        if (f->expire_after != 0) {
            const uint32_t expires[] = { 1, f->expire_after };
            mix(&h, expires, sizeof expires);
        }
        if (f->admit_after > 1)
            mix(&h, &f->admit_after, sizeof f->admit_after);
        if (f->dropped)
            mix(&h, "dropped", 7);
        if (f->vocabulary != NULL) {
            const uint64_t words = vocabulary_fingerprint(f->vocabulary);
            mix(&h, &words, sizeof words);
        }
    }
    for (uint32_t i = 0; i < s->label_count; i++)
        mix(&h, s->labels[i].name, strlen(s->labels[i].name) + 1);
    if (schema_extended(s)) { /* the first form keeps its fingerprints */
        for (uint32_t i = 0; i < s->label_count; i++) {
            const schema_label *l = &s->labels[i];
            const uint32_t values[] = { (uint32_t)l->kind, l->classes }, more[] = { l->loss, l->log_q };
            mix(&h, values, sizeof values);
            if (label_has_more(l)) {
                mix(&h, more, sizeof more);
                mix(&h, &l->kept, sizeof l->kept);
                if (l->target != 0)
                    mix(&h, &l->target, sizeof l->target);
                if (l->dropped)
                    mix(&h, "dropped", 7);
            }
        }
        mix(&h, &s->network, offsetof(schema_network, attention));
        if (network_has_more(&s->network))
            mix(&h, &s->network.attention, offsetof(schema_network, experts) - offsetof(schema_network, attention));
        if (s->network.experts != 0)
            mix(&h, &s->network.experts, sizeof s->network.experts);
        mix(&h, s->pairs, s->pair_count * sizeof *s->pairs);
    }
    s->fingerprint = h;
}

static const char *const kind_names[] = { NULL, "text", "vector", "category", "number", "multi", "history", "time", "user", "item", "image" };
enum { KINDS = sizeof kind_names / sizeof *kind_names };

const char *field_kind_name(int32_t kind)
{
    return kind > 0 && kind < KINDS ? kind_names[kind] : NULL;
}

int32_t field_kind_of(const char *name)
{
    for (int32_t i = 1; i < KINDS; i++)
        if (kind_names[i] != NULL && strcmp(kind_names[i], name) == 0)
            return i;
    return 0;
}

int field_has_more(const schema_field *f)
{
    return f->utc_offset != 0 || f->unused != 0 || f->event_types > 1 || f->hash_bits != 0 || f->hash_seed != 0 || f->vocabulary != NULL || f->dropped || f->admit_after > 1 || f->bins != 0 || f->expire_after != 0;
}

int network_has_more(const schema_network *n)
{
    return n->attention != 0 || n->gates != 0 || n->towers != 0 || n->positions != 0 || n->experts != 0;
}

int label_has_more(const schema_label *l)
{
    return l->loss != 0 || l->log_q != 0 || l->kept != 0 || l->target != 0 || l->dropped;
}

int schema_has_more(const ecrec_schema *s)
{
    for (uint32_t i = 0; i < s->label_count; i++)
        if (label_has_more(&s->labels[i]))
            return 1;
    if (network_has_more(&s->network))
        return 1;
    for (uint32_t i = 0; i < s->field_count; i++)
        if (field_has_more(&s->fields[i]))
            return 1;
    return 0;
}

int schema_extended(const ecrec_schema *s)
{
    static const schema_network none = { 0 };
    for (uint32_t i = 0; i < s->field_count; i++)
        if (s->fields[i].kind > ECREC_FIELD_NUMBER)
            return 1;
    for (uint32_t i = 0; i < s->label_count; i++)
        if (s->labels[i].kind != ECREC_LABEL_BINARY)
            return 1;
    return s->pair_count != 0 || schema_has_more(s) || memcmp(&s->network, &none, sizeof none) != 0;
}

uint32_t schema_outputs(const ecrec_schema *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->label_count; i++)
        n += label_outputs(&s->labels[i]);
    return n;
}

int32_t ecrec_schema_create(ecrec_context *context, ecrec_schema **schema, ecrec_error *err)
{
    if (context == NULL || schema == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_create: %s is NULL", context == NULL ? "context" : "schema");
    ecrec_schema *s = memory_zero(&context->m, sizeof *s);
    if (s == NULL)
        return error_nomem(err, "a schema", sizeof *s);
    atomic_init(&s->references, 1);
    context_reference(context);
    s->context = context;
    s->hash_bits = DEFAULT_BITS;
    schema_refresh(s);
    *schema = s;
    return ECREC_OK;
}

ecrec_schema *schema_reference(ecrec_schema *s)
{
    if (s != NULL)
        atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void ecrec_schema_release(ecrec_schema *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    ecrec_context *context = s->context;
    for (uint32_t i = 0; i < s->field_count; i++)
        vocabulary_release(&context->m, s->fields[i].vocabulary);
    memory_release(&context->m, s->fields, s->field_capacity * sizeof *s->fields);
    memory_release(&context->m, s->labels, s->label_capacity * sizeof *s->labels);
    memory_release(&context->m, s->pairs, s->pair_capacity * sizeof *s->pairs);
    memory_release(&context->m, s, sizeof *s);
    context_release(context);
}

static int32_t check_name(const ecrec_schema *s, const char *name, const char *what, ecrec_error *err)
{
    if (s == NULL || name == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_add_%s: %s is NULL", what, s == NULL ? "schema" : "name");
    const size_t n = strlen(name);
    if (n == 0 || n > MOST_NAME)
        return error_set(err, ECREC_ERR_INVALID, "a %s's name has %zu bytes; it must have 1 .. %d", what, n, MOST_NAME);
    if (s->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    if (ecrec_schema_find_field(s, name) != NO_FIELD || ecrec_schema_find_label(s, name) != NO_FIELD)
        return error_set(err, ECREC_ERR_INVALID, "the name \"%s\" is there twice", name);
    return ECREC_OK;
}

static int32_t grow(ecrec_schema *s, void **list, uint32_t *capacity, uint32_t count, size_t size, ecrec_error *err)
{
    if (count < *capacity)
        return ECREC_OK;
    const uint32_t more = *capacity != 0 ? *capacity * 2 : 8;
    void *grown = memory_grow(&s->context->m, *list, *capacity * size, more * size);
    if (grown == NULL)
        return error_nomem(err, "the schema", more * size);
    *list = grown;
    *capacity = more;
    return ECREC_OK;
}

static int32_t check_field(const ecrec_schema *s, const char *name, int32_t kind, const ecrec_field_options *o, schema_field *f, ecrec_error *err)
{
    const int text = kind == ECREC_FIELD_TEXT, vector = field_form(kind) == ECREC_FIELD_VECTOR, time = kind == ECREC_FIELD_TIME;
    const int unusable = time || kind == ECREC_FIELD_USER || kind == ECREC_FIELD_ITEM;
#define REFUSE(...) return error_set(err, ECREC_ERR_INVALID, __VA_ARGS__)
    if (field_kind_name(kind) == NULL)
        REFUSE("field \"%s\": kind %d is unknown (see ECREC_FIELD_* in ecrec/batch.h)", name, kind);
    if (vector && (o->dimension == 0 || o->dimension > MOST_DIMENSION))
        REFUSE("field \"%s\": dimension is %u; a vector field's must be 1 .. %d", name, o->dimension, MOST_DIMENSION);
    if (kind == ECREC_FIELD_HISTORY && (o->dimension == 0 || o->dimension > MOST_EVENTS || o->event_types > MOST_EVENT_TYPES || o->compare == NULL))
        REFUSE("field \"%s\": a history needs dimension (the most events kept, 1 .. %d; it is %u), event_types of at most %d (it is %u) and compare (the candidate's field%s)",
               name, MOST_EVENTS, o->dimension, MOST_EVENT_TYPES, o->event_types, o->compare == NULL ? ", which is not named" : "");
    if (kind != ECREC_FIELD_HISTORY && o->event_types != 0)
        REFUSE("field \"%s\": event_types is for history fields", name);
    if (!vector && ((kind != ECREC_FIELD_HISTORY && o->dimension != 0) || o->space != NULL))
        REFUSE("field \"%s\": dimension and space are for vector and image fields", name);
    if (!text && (o->word_ngrams != 0 || o->char_ngrams != 0))
        REFUSE("field \"%s\": word_ngrams and char_ngrams are for text fields", name);
    if (!text && !unusable && o->no_encoding != 0)
        REFUSE("field \"%s\": no_encoding is for text, time, user and item fields", name);
    if (o->utc_offset < -840 || o->utc_offset > 840 || (o->utc_offset != 0 && !time))
        REFUSE("field \"%s\": utc_offset is %d; it is for time fields, -840 .. 840 minutes", name, o->utc_offset);
    const int hashed = field_form(kind) == ECREC_FIELD_CATEGORY || kind == ECREC_FIELD_MULTI;
    if (o->hash_bits > MOST_BITS || (!hashed && (o->hash_bits != 0 || (o->hash_seed != 0 && o->bins == 0))))
        REFUSE("field \"%s\": hash_bits is %u; it and hash_seed are for category, user, item and multi fields, 1 .. %d", name, o->hash_bits, MOST_BITS);
    if (o->admit_after > 255 || (!hashed && o->admit_after != 0))
        REFUSE("field \"%s\": admit_after is %u; it is for category, user, item and multi fields, at most 255 sightings", name, o->admit_after);
    if (o->expire_after > MOST_PERIODS || (!hashed && o->expire_after != 0))
        REFUSE("field \"%s\": expire_after is %u; it is for category, user, item and multi fields, at most %d periods", name, o->expire_after, MOST_PERIODS);
    if (o->bins != 0 && (kind != ECREC_FIELD_NUMBER || o->bins < 2 || o->bins > MOST_BINS))
        REFUSE("field \"%s\": bins is %u; it is for number fields, 2 .. %d", name, o->bins, MOST_BINS);
    if (o->word_ngrams > 4)
        REFUSE("field \"%s\": word_ngrams is %u, at most 4", name, o->word_ngrams);
    if (o->char_ngrams > 8 || (o->char_ngrams != 0 && o->char_ngrams < 3))
        REFUSE("field \"%s\": char_ngrams is %u; it must be 0 or 3 .. 8", name, o->char_ngrams);
    if (o->no_encoding > 1 || o->required > 1 || o->compare_only > 1)
        REFUSE("field \"%s\": no_encoding, required and compare_only are 0 or 1", name);
    if (text && o->no_encoding && o->word_ngrams == 0 && o->char_ngrams == 0)
        REFUSE("field \"%s\": with no_encoding it needs word_ngrams or char_ngrams", name);
    if (o->compare_only && o->compare == NULL)
        REFUSE("field \"%s\": compare_only needs compare", name);
    *f = (schema_field){ .kind = kind, .dimension = o->dimension, .required = o->required, .encoded = text && !o->no_encoding,
                         .word_ngrams = o->word_ngrams, .char_ngrams = o->char_ngrams, .compare = NO_FIELD, .compare_only = o->compare_only,
                         .hash_bits = o->hash_bits, .admit_after = o->admit_after, .bins = o->bins, .expire_after = o->expire_after, .hash_seed = o->hash_seed, .utc_offset = o->utc_offset, .unused = unusable && o->no_encoding,
                         .event_types = kind != ECREC_FIELD_HISTORY ? 0 : o->event_types != 0 ? o->event_types : 1 };
    memcpy(f->name, name, strlen(name) + 1);
    if (o->compare != NULL) {
        f->compare = ecrec_schema_find_field(s, o->compare);
        if (f->compare == NO_FIELD)
            REFUSE("field \"%s\": compare names \"%s\", which is no earlier field", name, o->compare);
        const schema_field *other = &s->fields[f->compare];
        if (kind == ECREC_FIELD_HISTORY) {
            uint32_t histories = 0;
            for (uint32_t i = 0; i < s->field_count; i++)
                histories += s->fields[i].kind == ECREC_FIELD_HISTORY;
            if (field_form(other->kind) != ECREC_FIELD_CATEGORY || other->unused)
                REFUSE("field \"%s\": a history is of the items of an item, user or category field with weights of its own; \"%s\" is none", name, o->compare);
            if (histories == MOST_HISTORIES)
                REFUSE("field \"%s\": a schema has at most %d histories", name, MOST_HISTORIES);
        } else if ((!text && !vector) || field_form(other->kind) != field_form(kind) || other->dimension != f->dimension || (text && (!f->encoded || !other->encoded)))
            REFUSE("field \"%s\": it can be compared with an encoded text or a vector of its own kind and dimension, \"%s\" is not one", name, o->compare);
    }
    if (o->space != NULL) {
        const size_t n = strlen(o->space);
        if (n >= sizeof f->space)
            REFUSE("field \"%s\": space is no fingerprint of 32 hexadecimal digits", name);
        memcpy(f->space, o->space, n + 1);
    }
#undef REFUSE
    return ECREC_OK;
}

int32_t ecrec_schema_add_field(ecrec_schema *schema, const char *name, int32_t kind, const ecrec_field_options *options,
                               uint32_t *index, ecrec_error *err)
{
    static const ecrec_field_options defaults = ECREC_FIELD_OPTIONS_INIT;
    schema_field f;
    int32_t status = check_name(schema, name, "field", err);
    if (status != ECREC_OK)
        return status;
    if (options != NULL && options->size < offsetof(ecrec_field_options, utc_offset))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_field_options: size is %u, expected %zu or more", options->size, offsetof(ecrec_field_options, utc_offset));
    ecrec_field_options o = defaults; /* an older caller's struct ends earlier */
    if (options != NULL)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (schema->field_count == MOST_FIELDS)
        return error_set(err, ECREC_ERR_LIMIT, "a schema has at most %d fields", MOST_FIELDS);
    if ((status = check_field(schema, name, kind, &o, &f, err)) != ECREC_OK ||
        (status = grow(schema, (void **)&schema->fields, &schema->field_capacity, schema->field_count, sizeof f, err)) != ECREC_OK)
        return status;
    if (index != NULL)
        *index = schema->field_count;
    schema->fields[schema->field_count++] = f;
    schema_refresh(schema);
    return ECREC_OK;
}

int32_t ecrec_schema_add_label(ecrec_schema *schema, const char *name, uint32_t *index, ecrec_error *err)
{
    return ecrec_schema_add_label_of(schema, name, NULL, index, err);
}

void ecrec_label_options_init(ecrec_label_options *options)
{
    static const ecrec_label_options defaults = ECREC_LABEL_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

int32_t ecrec_schema_add_label_of(ecrec_schema *schema, const char *name, const ecrec_label_options *options, uint32_t *index, ecrec_error *err)
{
    static const ecrec_label_options defaults = ECREC_LABEL_OPTIONS_INIT;
    int32_t status = check_name(schema, name, "label", err);
    if (status != ECREC_OK)
        return status;
    if (options != NULL && options->size < offsetof(ecrec_label_options, target))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_label_options: size is %u, expected %zu or more", options->size, offsetof(ecrec_label_options, target));
    ecrec_label_options full = defaults, *o = &full; /* an older caller's struct ends earlier */
    if (options != NULL)
        memcpy(o, options, options->size < sizeof full ? options->size : sizeof full);
    const int32_t kind = o->kind != 0 ? o->kind : ECREC_LABEL_BINARY;
    const int classes = kind == ECREC_LABEL_CLASSES || kind == ECREC_LABEL_ORDINAL;
    if (kind < ECREC_LABEL_BINARY || kind > ECREC_LABEL_ORDINAL)
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\": kind %d is unknown (1 binary, 2 value, 3 classes, 4 ordinal)", name, kind);
    if (classes ? o->classes < 2 || o->classes > MOST_CLASSES : o->classes != 0)
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\": classes is %u; it must be 2 .. %d with classes and ordinal, 0 else", name, o->classes, MOST_CLASSES);
    if (o->loss > ECREC_LOSS_LISTWISE || (o->loss != ECREC_LOSS_OWN && classes) || o->log_q > 1 || (o->log_q && o->loss != ECREC_LOSS_LISTWISE))
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\": loss is %u (0 own, 1 pairwise, 2 listwise; by groups with binary and value labels only), log_q %u (0, 1 with listwise)",
                         name, o->loss, o->log_q);
    if (!(o->negatives_kept >= 0 && o->negatives_kept <= 1) || (o->negatives_kept > 0 && o->negatives_kept < 1e-9) ||
        (o->negatives_kept != 0 && (kind != ECREC_LABEL_BINARY || o->loss != ECREC_LOSS_OWN)))
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\": negatives_kept is %g; it is for binary labels with their own loss, above 0 and at most 1", name, o->negatives_kept);
    if (o->target > ECREC_TARGET_LOG || (o->target != ECREC_TARGET_STANDARD && (kind != ECREC_LABEL_VALUE || o->loss != ECREC_LOSS_OWN)))
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\": target is %u (0 standard, 1 plain, 2 log; of value labels with their own loss)", name, o->target);
    if (schema->network.experts != 0 && schema->label_count >= MOST_GATED)
        return error_set(err, ECREC_ERR_LIMIT, "a schema whose network has experts has at most %d labels", MOST_GATED);
    if (schema->label_count == MOST_LABELS)
        return error_set(err, ECREC_ERR_LIMIT, "a schema has at most %d labels", MOST_LABELS);
    if ((status = grow(schema, (void **)&schema->labels, &schema->label_capacity, schema->label_count, sizeof *schema->labels, err)) != ECREC_OK)
        return status;
    if (index != NULL)
        *index = schema->label_count;
    schema_label *l = &schema->labels[schema->label_count++];
    memset(l, 0, sizeof *l);
    memcpy(l->name, name, strlen(name) + 1);
    l->kind = kind;
    l->classes = o->classes;
    l->loss = o->loss;
    l->log_q = o->log_q;
    l->target = o->target;
    l->kept = o->negatives_kept < 1 ? (float)o->negatives_kept : 0;
    schema_refresh(schema);
    return ECREC_OK;
}

int32_t ecrec_schema_add_pair(ecrec_schema *schema, const char *a, const char *b, ecrec_error *err)
{
    if (schema == NULL || a == NULL || b == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_add_pair: an argument is NULL");
    const uint32_t i = ecrec_schema_find_field(schema, a), j = ecrec_schema_find_field(schema, b);
    const char *const names[] = { a, b };
    const uint32_t found[] = { i, j };
    for (int k = 0; k < 2; k++)
        if (found[k] == NO_FIELD || field_form(schema->fields[found[k]].kind) != ECREC_FIELD_CATEGORY || schema->fields[found[k]].unused || schema->fields[found[k]].dropped)
            return error_set(err, ECREC_ERR_INVALID, "pair \"%s\" x \"%s\": \"%s\" is no category field", a, b, names[k]);
    if (i == j)
        return error_set(err, ECREC_ERR_INVALID, "pair \"%s\" x \"%s\": a field cannot be crossed with itself", a, b);
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    const schema_pair p = { i < j ? i : j, i < j ? j : i };
    for (uint32_t k = 0; k < schema->pair_count; k++)
        if (schema->pairs[k].a == p.a && schema->pairs[k].b == p.b)
            return error_set(err, ECREC_ERR_INVALID, "pair \"%s\" x \"%s\" is there twice", a, b);
    if (schema->pair_count == MOST_PAIRS)
        return error_set(err, ECREC_ERR_LIMIT, "a schema has at most %d pairs", MOST_PAIRS);
    const int32_t status = grow(schema, (void **)&schema->pairs, &schema->pair_capacity, schema->pair_count, sizeof p, err);
    if (status != ECREC_OK)
        return status;
    schema->pairs[schema->pair_count++] = p;
    schema_refresh(schema);
    return ECREC_OK;
}

void ecrec_network_options_init(ecrec_network_options *options)
{
    static const ecrec_network_options defaults = ECREC_NETWORK_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static int32_t check_network(const ecrec_schema *s, const ecrec_network_options *o, ecrec_error *err)
{
    int end = 0, histories = 0;
    for (uint32_t i = 0; i < s->field_count; i++)
        histories |= s->fields[i].kind == ECREC_FIELD_HISTORY;
    if (o->width > MOST_WIDTH || o->fm > 2 || o->cross_layers > 8 || o->cross_rank > 4096 || (o->embedding_bits != 0 && (o->embedding_bits < LEAST_BITS || o->embedding_bits > MOST_BITS)))
        return error_set(err, ECREC_ERR_INVALID,
                         "network: width %u (0 .. 256), embedding_bits %u (%d .. %d), fm %u (0 .. 2), cross_layers %u (0 .. 8) or cross_rank %u (0 .. 4096) is out of range",
                         o->width, o->embedding_bits, LEAST_BITS, MOST_BITS, o->fm, o->cross_layers, o->cross_rank);
    for (int i = 0; i < ECREC_MOST_HIDDEN; i++) {
        if (o->hidden[i] > 8192 || (end && o->hidden[i] != 0))
            return error_set(err, ECREC_ERR_INVALID, "network: hidden layer %d has %u units; at most 8192, and none after a layer of 0", i + 1, o->hidden[i]);
        end |= o->hidden[i] == 0;
    }
    if (o->attention > 256)
        return error_set(err, ECREC_ERR_INVALID, "network: attention has %u units; at most 256", o->attention);
    if (o->gates > 1 || o->towers > 1)
        return error_set(err, ECREC_ERR_INVALID, "network: gates and towers are 0 or 1");
    if (o->positions > MOST_POSITIONS || o->positions == 1)
        return error_set(err, ECREC_ERR_INVALID, "network: positions is %u; it must be 0 or 2 .. %d", o->positions, MOST_POSITIONS);
    for (int i = 0; i < ECREC_MOST_HIDDEN && o->experts != 0; i++)
        if (o->hidden[0] == 0 || o->hidden[i] % 16 != 0 || o->hidden[i] * (uint64_t)o->experts > 32768)
            return error_set(err, ECREC_ERR_INVALID, "network: experts are perceptrons: each layer of hidden must have a multiple of 16 units, at most 32768 in all experts together; layer %d has %u",
                             i + 1, o->hidden[i]);
    if (o->experts > MOST_EXPERTS || o->experts == 1 || (o->experts != 0 && s->label_count > MOST_GATED))
        return error_set(err, ECREC_ERR_INVALID, "network: experts is %u (0 or 2 .. %d) with %u labels (at most %d)", o->experts, MOST_EXPERTS, s->label_count, MOST_GATED);
    if (o->width == 0 && (o->fm != 0 || o->attention != 0 || o->gates != 0 || o->towers != 0 || o->cross_layers != 0 || o->hidden[0] != 0))
        return error_set(err, ECREC_ERR_INVALID, "network: fm, cross_layers, hidden, attention, gates and towers work on the fields' embeddings: width must be above 0");
    if (o->width != 0 && !histories && o->towers == 0 && o->fm == 0 && o->cross_layers == 0 && o->hidden[0] == 0)
        return error_set(err, ECREC_ERR_INVALID, "network: embeddings of width %u, but no fm, cross_layers, hidden or towers that would use them", o->width);
    return ECREC_OK;
}

int32_t ecrec_schema_set_network(ecrec_schema *schema, const ecrec_network_options *options, ecrec_error *err)
{
    if (schema == NULL || options == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_set_network: %s is NULL", schema == NULL ? "schema" : "options");
    if (options->size < offsetof(ecrec_network_options, attention))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_network_options: size is %u, expected %zu or more", options->size, offsetof(ecrec_network_options, attention));
    ecrec_network_options full = ECREC_NETWORK_OPTIONS_INIT, *o = &full; /* an older caller's struct ends earlier */
    memcpy(o, options, options->size < sizeof full ? options->size : sizeof full);
    const int32_t status = check_network(schema, o, err);
    if (status != ECREC_OK)
        return status;
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    schema_network n = { .all_pairs = o->all_pairs != 0, .unmet = o->unmet != 0, .width = o->width, .fm = o->fm, .cross_layers = o->cross_layers, .cross_rank = o->cross_rank,
                         .attention = o->attention, .gates = o->gates, .towers = o->towers, .positions = o->positions, .experts = o->experts };
    n.embedding_bits = o->width == 0 ? 0 : o->embedding_bits != 0 ? o->embedding_bits : DEFAULT_BITS - 2;
    memcpy(n.hidden, o->hidden, sizeof n.hidden);
    schema->network = n;
    schema_refresh(schema);
    return ECREC_OK;
}

int32_t ecrec_schema_set_hash_bits(ecrec_schema *schema, uint32_t bits, ecrec_error *err)
{
    if (schema == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_set_hash_bits: schema is NULL");
    if (bits < LEAST_BITS || bits > MOST_BITS)
        return error_set(err, ECREC_ERR_INVALID, "hash_bits is %u; it must be %d .. %d", bits, LEAST_BITS, MOST_BITS);
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    schema->hash_bits = bits;
    schema_refresh(schema);
    return ECREC_OK;
}

uint32_t ecrec_schema_fields(const ecrec_schema *s) { return s != NULL ? s->field_count : 0; }
uint32_t ecrec_schema_labels(const ecrec_schema *s) { return s != NULL ? s->label_count : 0; }

const char *ecrec_schema_field_name(const ecrec_schema *s, uint32_t field)
{
    return s != NULL && field < s->field_count ? s->fields[field].name : NULL;
}

const char *ecrec_schema_label_name(const ecrec_schema *s, uint32_t label)
{
    return s != NULL && label < s->label_count ? s->labels[label].name : NULL;
}

int32_t ecrec_schema_field_kind(const ecrec_schema *s, uint32_t field)
{
    return s != NULL && field < s->field_count ? s->fields[field].kind : 0;
}

uint32_t ecrec_schema_find_field(const ecrec_schema *s, const char *name)
{
    for (uint32_t i = 0; s != NULL && name != NULL && i < s->field_count; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return i;
    return NO_FIELD;
}

uint32_t ecrec_schema_find_label(const ecrec_schema *s, const char *name)
{
    for (uint32_t i = 0; s != NULL && name != NULL && i < s->label_count; i++)
        if (strcmp(s->labels[i].name, name) == 0)
            return i;
    return NO_FIELD;
}

uint32_t ecrec_schema_outputs(const ecrec_schema *s) { return s != NULL ? schema_outputs(s) : 0; }

int32_t ecrec_schema_label_kind(const ecrec_schema *s, uint32_t label, uint32_t *classes)
{
    const int there = s != NULL && label < s->label_count;
    if (classes != NULL)
        *classes = there ? s->labels[label].classes : 0;
    return there ? s->labels[label].kind : 0;
}
