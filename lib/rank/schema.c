#include "rank/schema.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"

enum { MOST_FIELDS = 4096, MOST_LABELS = 256, MOST_NAME = 255, MOST_DIMENSION = 65536, FORMAT_VERSION = 1 };
enum { DEFAULT_BITS = 20, LEAST_BITS = 10, MOST_BITS = 28 };
#define NO_FIELD UINT32_MAX

static const char *const kind_names[] = { "", "text", "vector", "category", "number" };

void ecrec_field_options_init(ecrec_field_options *options)
{
    static const ecrec_field_options defaults = ECREC_FIELD_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

/* The schema as bytes: what the file holds and what the fingerprint is of. */
int32_t schema_write(const ecrec_schema *s, buffer *b)
{
    int32_t status = write_u32(b, FORMAT_VERSION);
    status = status ? status : write_u32(b, s->hash_bits);
    status = status ? status : write_u32(b, s->field_count);
    status = status ? status : write_u32(b, s->label_count);
    for (uint32_t i = 0; i < s->field_count && status == ECREC_OK; i++) {
        const schema_field *f = &s->fields[i];
        const uint32_t values[] = { (uint32_t)f->kind, f->dimension, f->required, f->encoded, f->word_ngrams, f->char_ngrams, f->compare, f->compare_only };
        status = write_string(b, f->name, strlen(f->name));
        for (size_t j = 0; j < sizeof values / sizeof *values && status == ECREC_OK; j++)
            status = write_u32(b, values[j]);
        status = status ? status : write_string(b, f->space, strlen(f->space));
    }
    for (uint32_t i = 0; i < s->label_count && status == ECREC_OK; i++)
        status = write_string(b, s->labels[i], strlen(s->labels[i]));
    return status;
}

static void mix(uint64_t *h, const void *bytes, size_t n)
{
    *h = hash64(bytes, n, *h);
}

static void refresh(ecrec_schema *s)
{
    uint64_t h = s->hash_bits;
    for (uint32_t i = 0; i < s->field_count; i++) {
        const schema_field *f = &s->fields[i];
        const uint32_t values[] = { (uint32_t)f->kind, f->dimension, f->required, f->encoded, f->word_ngrams, f->char_ngrams, f->compare, f->compare_only };
        mix(&h, f->name, strlen(f->name) + 1);
        mix(&h, values, sizeof values);
        mix(&h, f->space, strlen(f->space) + 1);
    }
    for (uint32_t i = 0; i < s->label_count; i++)
        mix(&h, s->labels[i], strlen(s->labels[i]) + 1);
    s->fingerprint = h;
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
    refresh(s);
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
    memory_release(&context->m, s->fields, s->field_capacity * sizeof *s->fields);
    memory_release(&context->m, s->labels, s->label_capacity * sizeof *s->labels);
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
    const int text = kind == ECREC_FIELD_TEXT, vector = kind == ECREC_FIELD_VECTOR;
#define REFUSE(...) return error_set(err, ECREC_ERR_INVALID, __VA_ARGS__)
    if (kind < ECREC_FIELD_TEXT || kind > ECREC_FIELD_NUMBER)
        REFUSE("field \"%s\": kind %d is unknown (1 text, 2 vector, 3 category, 4 number)", name, kind);
    if (vector && (o->dimension == 0 || o->dimension > MOST_DIMENSION))
        REFUSE("field \"%s\": dimension is %u; a vector field's must be 1 .. %d", name, o->dimension, MOST_DIMENSION);
    if (!vector && (o->dimension != 0 || o->space != NULL))
        REFUSE("field \"%s\": dimension and space are for vector fields", name);
    if (!text && (o->word_ngrams != 0 || o->char_ngrams != 0 || o->no_encoding != 0))
        REFUSE("field \"%s\": word_ngrams, char_ngrams and no_encoding are for text fields", name);
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
                         .word_ngrams = o->word_ngrams, .char_ngrams = o->char_ngrams, .compare = NO_FIELD, .compare_only = o->compare_only };
    memcpy(f->name, name, strlen(name) + 1);
    if (o->compare != NULL) {
        f->compare = ecrec_schema_find_field(s, o->compare);
        if (f->compare == NO_FIELD)
            REFUSE("field \"%s\": compare names \"%s\", which is no earlier field", name, o->compare);
        const schema_field *other = &s->fields[f->compare];
        if ((!text && !vector) || other->kind != kind || other->dimension != f->dimension || (text && (!f->encoded || !other->encoded)))
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
    if (options != NULL && options->size != sizeof *options)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_field_options: size is %u, this library knows %zu", options->size, sizeof *options);
    if (schema->field_count == MOST_FIELDS)
        return error_set(err, ECREC_ERR_LIMIT, "a schema has at most %d fields", MOST_FIELDS);
    if ((status = check_field(schema, name, kind, options != NULL ? options : &defaults, &f, err)) != ECREC_OK ||
        (status = grow(schema, (void **)&schema->fields, &schema->field_capacity, schema->field_count, sizeof f, err)) != ECREC_OK)
        return status;
    if (index != NULL)
        *index = schema->field_count;
    schema->fields[schema->field_count++] = f;
    refresh(schema);
    return ECREC_OK;
}

int32_t ecrec_schema_add_label(ecrec_schema *schema, const char *name, uint32_t *index, ecrec_error *err)
{
    int32_t status = check_name(schema, name, "label", err);
    if (status != ECREC_OK)
        return status;
    if (schema->label_count == MOST_LABELS)
        return error_set(err, ECREC_ERR_LIMIT, "a schema has at most %d labels", MOST_LABELS);
    if ((status = grow(schema, (void **)&schema->labels, &schema->label_capacity, schema->label_count, sizeof *schema->labels, err)) != ECREC_OK)
        return status;
    if (index != NULL)
        *index = schema->label_count;
    memset(schema->labels[schema->label_count], 0, sizeof *schema->labels);
    memcpy(schema->labels[schema->label_count++], name, strlen(name) + 1);
    refresh(schema);
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
    refresh(schema);
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
    return s != NULL && label < s->label_count ? s->labels[label] : NULL;
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
        if (strcmp(s->labels[i], name) == 0)
            return i;
    return NO_FIELD;
}

/* ---- JSON ---- */

static int32_t parse_flag(const json *v, const char *field, uint32_t *out, ecrec_error *err)
{
    uint64_t n = 0;
    if (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))
        *out = json_is(v, JSON_TRUE);
    else if (json_u64(v, &n) && n <= UINT32_MAX)
        *out = (uint32_t)n;
    else
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: field \"%s\": \"%s\" must be a whole number, true or false", field, v->key);
    return ECREC_OK;
}

static int32_t parse_field(ecrec_schema *s, const json *v, ecrec_error *err)
{
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    const json *name = json_get(v, "name"), *kind = json_get(v, "kind");
    int32_t number = 0;
    if (!json_is(name, JSON_STRING) || memchr(name->text, 0, name->length) != NULL)
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: a field has no \"name\"");
    for (int32_t i = 1; i < 5; i++)
        if (json_equal(kind, kind_names[i]))
            number = i;
    if (number == 0)
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: field \"%s\": \"kind\" must be one of text, vector, category, number", name->text);
    const struct { const char *key; uint32_t *to; } flags[] = {
        { "dimension", &o.dimension }, { "required", &o.required }, { "no_encoding", &o.no_encoding },
        { "word_ngrams", &o.word_ngrams }, { "char_ngrams", &o.char_ngrams }, { "compare_only", &o.compare_only } };
    const struct { const char *key; const char **to; } names[] = { { "compare", &o.compare }, { "space", &o.space } };
    for (const json *m = v->first; m != NULL; m = m->next) {
        int known = strcmp(m->key, "name") == 0 || strcmp(m->key, "kind") == 0;
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            if (strcmp(m->key, flags[i].key) == 0) {
                const int32_t status = parse_flag(m, name->text, flags[i].to, err);
                if (status != ECREC_OK)
                    return status;
                known = 1;
            }
        for (size_t i = 0; i < 2; i++)
            if (strcmp(m->key, names[i].key) == 0) {
                if (!json_is(m, JSON_STRING))
                    return error_at(err, ECREC_ERR_INVALID, m->position, "schema: field \"%s\": \"%s\" must be text", name->text, m->key);
                *names[i].to = m->text;
                known = 1;
            }
        if (!known)
            return error_at(err, ECREC_ERR_INVALID, m->position, "schema: field \"%s\": the member \"%s\" is not known", name->text, m->key);
    }
    return ecrec_schema_add_field(s, name->text, number, &o, NULL, err);
}

static int32_t parse_label(ecrec_schema *s, const json *v, ecrec_error *err)
{
    const json *name = json_is(v, JSON_STRING) ? v : json_get(v, "name");
    if (!json_is(name, JSON_STRING) || memchr(name->text, 0, name->length) != NULL)
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: a label has no \"name\"");
    for (const json *m = json_is(v, JSON_OBJECT) ? v->first : NULL; m != NULL; m = m->next)
        if (strcmp(m->key, "name") != 0)
            return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": the member \"%s\" is not known", name->text, m->key);
    return ecrec_schema_add_label(s, name->text, NULL, err);
}

static int32_t parse_members(ecrec_schema *s, const json *root, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    uint64_t bits = 0;
    if (!json_is(root, JSON_OBJECT))
        return error_set(err, ECREC_ERR_INVALID, "schema: it is not a JSON object");
    for (const json *m = root->first; m != NULL && status == ECREC_OK; m = m->next) {
        const int fields = strcmp(m->key, "fields") == 0;
        if (fields || strcmp(m->key, "labels") == 0) {
            if (!json_is(m, JSON_ARRAY))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: \"%s\" is not an array", m->key);
            for (const json *v = m->first; v != NULL && status == ECREC_OK; v = v->next)
                status = fields ? parse_field(s, v, err) : parse_label(s, v, err);
        } else if (strcmp(m->key, "hash_bits") == 0) {
            if (!json_u64(m, &bits) || bits > 64)
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: hash_bits must be %d .. %d", LEAST_BITS, MOST_BITS);
            status = ecrec_schema_set_hash_bits(s, (uint32_t)bits, err);
        } else {
            return error_at(err, ECREC_ERR_INVALID, m->position, "schema: the member \"%s\" is not known (fields, labels, hash_bits are)", m->key);
        }
    }
    return status;
}

int32_t ecrec_schema_parse(ecrec_context *context, const char *text, size_t length, ecrec_schema **schema, ecrec_error *err)
{
    ecrec_schema *s = NULL;
    const json *root = NULL;
    arena a;
    if (context == NULL || text == NULL || schema == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_parse: an argument is NULL");
    arena_init(&a, &context->m);
    int32_t status = ecrec_schema_create(context, &s, err);
    if (status == ECREC_OK)
        status = json_parse(&a, "schema", text, length, &root, err);
    if (status == ECREC_OK)
        status = parse_members(s, root, err);
    arena_release(&a);
    if (status == ECREC_OK)
        *schema = s;
    else
        ecrec_schema_release(s);
    return status;
}

/* ---- the model file ---- */

int32_t schema_copy(ecrec_context *context, const ecrec_schema *s, ecrec_schema **out, ecrec_error *err)
{
    buffer b;
    buffer_init(&b, &context->m);
    int32_t status = schema_write(s, &b) == ECREC_OK ? schema_read(context, b.data, b.length, out, err) : error_nomem(err, "the schema", b.length);
    buffer_release(&b);
    return status;
}

static int32_t read_name(reader *r, char *out, size_t capacity)
{
    size_t n = 0;
    const char *text = read_string(r, capacity - 1, &n);
    if (text == NULL || memchr(text, 0, n) != NULL)
        return 0;
    memcpy(out, text, n);
    out[n] = 0;
    return 1;
}

static int32_t damaged(ecrec_error *err, const reader *r)
{
    return error_at(err, ECREC_ERR_FORMAT, r->position, "the schema in the model is damaged near byte %zu", r->position);
}

static int32_t read_field(ecrec_schema *s, reader *r, ecrec_error *err)
{
    char name[256], space[40];
    uint32_t v[8];
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    if (!read_name(r, name, sizeof name))
        return damaged(err, r);
    for (size_t i = 0; i < 8; i++)
        v[i] = read_u32(r);
    if (!read_name(r, space, sizeof space) || r->failed || (v[6] != NO_FIELD && v[6] >= s->field_count) || v[3] > 1)
        return damaged(err, r);
    o.dimension = v[1];
    o.required = v[2];
    o.no_encoding = v[0] == ECREC_FIELD_TEXT && !v[3];
    o.word_ngrams = v[4];
    o.char_ngrams = v[5];
    o.compare = v[6] != NO_FIELD ? s->fields[v[6]].name : NULL;
    o.compare_only = v[7];
    o.space = space[0] != 0 ? space : NULL;
    const int32_t status = ecrec_schema_add_field(s, name, v[0] <= 4 ? (int32_t)v[0] : 0, &o, NULL, err);
    return status == ECREC_ERR_INVALID ? damaged(err, r) : status;
}

int32_t schema_read(ecrec_context *context, const void *bytes, size_t length, ecrec_schema **out, ecrec_error *err)
{
    ecrec_schema *s = NULL;
    reader r;
    reader_init(&r, bytes, length);
    const uint32_t version = read_u32(&r), bits = read_u32(&r), fields = read_u32(&r), labels = read_u32(&r);
    if (r.failed || version != FORMAT_VERSION || bits < LEAST_BITS || bits > MOST_BITS || fields > MOST_FIELDS || labels > MOST_LABELS)
        return damaged(err, &r);
    int32_t status = ecrec_schema_create(context, &s, err);
    if (status != ECREC_OK)
        return status;
    s->hash_bits = bits;
    for (uint32_t i = 0; i < fields && status == ECREC_OK; i++)
        status = read_field(s, &r, err);
    for (uint32_t i = 0; i < labels && status == ECREC_OK; i++) {
        char name[256];
        status = read_name(&r, name, sizeof name) ? ecrec_schema_add_label(s, name, NULL, err) : damaged(err, &r);
        if (status == ECREC_ERR_INVALID)
            status = damaged(err, &r);
    }
    if (status == ECREC_OK && (r.failed || r.position != length))
        status = damaged(err, &r);
    if (status == ECREC_OK)
        *out = s;
    else
        ecrec_schema_release(s);
    return status;
}
