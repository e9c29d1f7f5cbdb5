/* The schema as bytes: what a model file holds. Version 1 has fields and the names of binary labels; version 2, written only when
 * something needs it, goes on with the labels' kinds, the network and the chosen pairs; version 3 likewise with what more each field
 * says: a number of settings, each a key (u32) and a string of bytes; the network has such settings too, behind its hidden layers. A key that
 * is not known is an error. */
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "rank/bins.h"
#include "rank/schema.h"
#include "rank/vocabulary.h"

enum { PLAIN_VERSION = 1, EXTENDED_VERSION = 2, SETTINGS_VERSION = 3 };
enum { SETTING_UTC_OFFSET = 1, SETTING_UNUSED = 2, SETTING_EVENT_TYPES = 3, SETTING_HASH_BITS = 4, SETTING_HASH_SEED = 5, SETTING_VALUES = 6, SETTING_DROPPED = 7, SETTING_ADMIT = 8, SETTING_BINS = 9, SETTING_EXPIRE = 10, MOST_SETTING = 1 << 29 };
enum { NETWORK_ATTENTION = 1, NETWORK_GATES = 2, NETWORK_TOWERS = 3, NETWORK_POSITIONS = 4, NETWORK_EXPERTS = 5 };
enum { LABEL_LOSS = 1, LABEL_LOG_Q = 2, LABEL_KEPT = 3 /* the bits of a float32 */, LABEL_TARGET = 4, LABEL_DROPPED = 5 };

static int32_t write_setting(buffer *b, uint32_t key, uint32_t value)
{
    const int32_t status = write_u32(b, key);
    const unsigned char bytes[4] = { (unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16), (unsigned char)(value >> 24) };
    return status ? status : write_string(b, (const char *)bytes, sizeof bytes);
}

/* The values of a vocabulary as strings, one after the other. */
static int32_t write_values(const vocabulary *v, buffer *b)
{
    int32_t status = write_u32(b, SETTING_VALUES);
    status = status ? status : write_u32(b, (uint32_t)(4 * (size_t)v->count + v->starts[v->count]));
    for (uint32_t i = 0; i < v->count && status == ECREC_OK; i++)
        status = write_string(b, v->text + v->starts[i], v->starts[i + 1] - v->starts[i]);
    return status;
}

static int32_t write_seed(uint64_t seed, buffer *b)
{
    int32_t status = write_u32(b, SETTING_HASH_SEED);
    status = status ? status : write_u32(b, 8);
    return status ? status : write_u64(b, seed);
}

static int32_t write_settings(const ecrec_schema *s, buffer *b)
{
    int32_t status = ECREC_OK;
    for (uint32_t i = 0; i < s->field_count && status == ECREC_OK; i++) {
        const schema_field *f = &s->fields[i];
        const struct { uint32_t key, value; } settings[] = { { SETTING_UTC_OFFSET, (uint32_t)f->utc_offset }, { SETTING_UNUSED, f->unused },
            { SETTING_EVENT_TYPES, f->event_types > 1 ? f->event_types : 0 }, { SETTING_HASH_BITS, f->hash_bits }, { SETTING_DROPPED, f->dropped }, { SETTING_ADMIT, f->admit_after > 1 ? f->admit_after : 0 }, { SETTING_BINS, f->bins }, { SETTING_EXPIRE, f->expire_after } };
        uint32_t count = (f->hash_seed != 0) + (f->vocabulary != NULL);
        for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
            count += settings[k].value != 0;
        status = write_u32(b, count);
        for (size_t k = 0; k < sizeof settings / sizeof *settings && status == ECREC_OK; k++)
            if (settings[k].value != 0)
                status = write_setting(b, settings[k].key, settings[k].value);
        if (status == ECREC_OK && f->hash_seed != 0)
            status = write_seed(f->hash_seed, b);
        if (status == ECREC_OK && f->vocabulary != NULL)
            status = write_values(f->vocabulary, b);
    }
    return status;
}

typedef struct setting { uint32_t key, value; } setting;

static int32_t write_list(const setting *settings, size_t n, buffer *b)
{
    uint32_t count = 0;
    for (size_t k = 0; k < n; k++)
        count += settings[k].value != 0;
    int32_t status = write_u32(b, count);
    for (size_t k = 0; k < n && status == ECREC_OK; k++)
        if (settings[k].value != 0)
            status = write_setting(b, settings[k].key, settings[k].value);
    return status;
}

static int32_t write_label_settings(const schema_label *l, buffer *b)
{
    uint32_t kept = 0;
    memcpy(&kept, &l->kept, sizeof kept);
    const setting settings[] = { { LABEL_LOSS, l->loss }, { LABEL_LOG_Q, l->log_q }, { LABEL_KEPT, kept }, { LABEL_TARGET, l->target }, { LABEL_DROPPED, l->dropped } };
    return write_list(settings, sizeof settings / sizeof *settings, b);
}

static int32_t write_network_settings(const schema_network *n, buffer *b)
{
    const setting settings[] = { { NETWORK_ATTENTION, n->attention }, { NETWORK_GATES, n->gates }, { NETWORK_TOWERS, n->towers }, { NETWORK_POSITIONS, n->positions }, { NETWORK_EXPERTS, n->experts } };
    return write_list(settings, sizeof settings / sizeof *settings, b);
}

static int32_t write_extension(const ecrec_schema *s, buffer *b)
{
    const schema_network *n = &s->network;
    const uint32_t values[] = { n->all_pairs, n->width, n->embedding_bits, n->fm, n->cross_layers, n->cross_rank, n->unmet };
    int32_t status = ECREC_OK;
    for (uint32_t i = 0; i < s->label_count && status == ECREC_OK; i++) {
        status = write_u32(b, (uint32_t)s->labels[i].kind);
        status = status ? status : write_u32(b, s->labels[i].classes);
        if (status == ECREC_OK && schema_has_more(s))
            status = write_label_settings(&s->labels[i], b);
    }
    for (size_t i = 0; i < sizeof values / sizeof *values && status == ECREC_OK; i++)
        status = write_u32(b, values[i]);
    for (size_t i = 0; i < ECREC_MOST_HIDDEN && status == ECREC_OK; i++)
        status = write_u32(b, n->hidden[i]);
    if (status == ECREC_OK && schema_has_more(s))
        status = write_network_settings(n, b);
    status = status ? status : write_u32(b, s->pair_count);
    for (uint32_t i = 0; i < s->pair_count && status == ECREC_OK; i++) {
        status = write_u32(b, s->pairs[i].a);
        status = status ? status : write_u32(b, s->pairs[i].b);
    }
    return status;
}

int32_t schema_write(const ecrec_schema *s, buffer *b)
{
    const int more = schema_has_more(s), extended = schema_extended(s);
    int32_t status = write_u32(b, more ? SETTINGS_VERSION : extended ? EXTENDED_VERSION : PLAIN_VERSION);
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
        status = write_string(b, s->labels[i].name, strlen(s->labels[i].name));
    status = status == ECREC_OK && extended ? write_extension(s, b) : status;
    return status == ECREC_OK && more ? write_settings(s, b) : status;
}

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
    const int32_t status = ecrec_schema_add_field(s, name, v[0] <= INT32_MAX ? (int32_t)v[0] : 0, &o, NULL, err);
    return status == ECREC_ERR_INVALID ? damaged(err, r) : status;
}

static int read_pair(reader *r, uint32_t *key, uint32_t *value)
{
    size_t n = 0;
    *key = read_u32(r);
    const unsigned char *bytes = (const unsigned char *)read_string(r, 4, &n);
    if (bytes == NULL || n != 4)
        return 0;
    *value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return 1;
}

typedef struct setting_place { uint32_t key, *to; } setting_place;

static int32_t read_list(const setting_place *settings, size_t n, const char *what, reader *r, ecrec_error *err)
{
    const uint32_t count = read_u32(r);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t key = 0, value = 0, known = 0;
        if (r->failed || !read_pair(r, &key, &value))
            return damaged(err, r);
        for (size_t i = 0; i < n; i++)
            if (settings[i].key == key) {
                *settings[i].to = value;
                known = 1;
            }
        if (!known)
            return error_at(err, ECREC_ERR_FORMAT, r->position, "%s of the schema has setting %u, which this library does not know", what, key);
    }
    return ECREC_OK;
}

static int32_t read_label_settings(ecrec_label_options *o, uint32_t *dropped, reader *r, ecrec_error *err)
{
    uint32_t bits = 0;
    float kept = 0;
    const setting_place settings[] = { { LABEL_LOSS, &o->loss }, { LABEL_LOG_Q, &o->log_q }, { LABEL_KEPT, &bits }, { LABEL_TARGET, &o->target }, { LABEL_DROPPED, dropped } };
    const int32_t status = read_list(settings, sizeof settings / sizeof *settings, "a label", r, err);
    memcpy(&kept, &bits, sizeof kept);
    o->negatives_kept = kept;
    return status;
}

static int32_t read_network_settings(ecrec_network_options *o, reader *r, ecrec_error *err)
{
    const setting_place settings[] = { { NETWORK_ATTENTION, &o->attention }, { NETWORK_GATES, &o->gates }, { NETWORK_TOWERS, &o->towers }, { NETWORK_POSITIONS, &o->positions }, { NETWORK_EXPERTS, &o->experts } };
    return read_list(settings, sizeof settings / sizeof *settings, "the network", r, err);
}

static int32_t read_values(schema_field *f, const char *bytes, size_t length, memory *m, ecrec_error *err)
{
    reader r;
    size_t n = 0, room = length / 4 + 1, one = 0;
    const char **values = memory_allocate(m, memory_product(room, sizeof *values + sizeof(size_t)));
    if (values == NULL)
        return error_nomem(err, "a vocabulary", room);
    size_t *lengths = (size_t *)(void *)(values + room);
    reader_init(&r, bytes, length);
    while (r.position < length && !r.failed && n < room && (values[n] = read_string(&r, length, &one)) != NULL)
        lengths[n++] = one;
    int32_t status = r.failed || r.position != length ? ECREC_ERR_INVALID : vocabulary_extend(m, f->name, NULL, values, lengths, n, &f->vocabulary, err);
    memory_release(m, (void *)values, room * (sizeof *values + sizeof(size_t)));
    return status;
}

static int32_t read_setting(schema_field *f, reader *r, memory *m, ecrec_error *err)
{
    size_t n = 0;
    const uint32_t key = read_u32(r);
    const unsigned char *bytes = (const unsigned char *)read_string(r, MOST_SETTING, &n);
    if (bytes == NULL)
        return damaged(err, r);
    const int id = f->kind == ECREC_FIELD_USER || f->kind == ECREC_FIELD_ITEM, time = f->kind == ECREC_FIELD_TIME;
    const int hashed = field_form(f->kind) == ECREC_FIELD_CATEGORY || f->kind == ECREC_FIELD_MULTI;
    uint64_t value = 0;
    for (size_t i = 0; i < n && n <= 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    if (key == SETTING_VALUES && hashed && f->vocabulary == NULL) {
        const int32_t status = read_values(f, (const char *)bytes, n, m, err);
        return status == ECREC_ERR_INVALID ? damaged(err, r) : status;
    }
    if (key == SETTING_HASH_SEED && (hashed || f->bins != 0) && n == 8)
        f->hash_seed = value;
    else if (n != 4)
        return damaged(err, r);
    else if (key == SETTING_UTC_OFFSET && time && (int32_t)value >= -840 && (int32_t)value <= 840)
        f->utc_offset = (int32_t)value;
    else if (key == SETTING_UNUSED && (id || time) && value == 1)
        f->unused = 1;
    else if (key == SETTING_EVENT_TYPES && f->kind == ECREC_FIELD_HISTORY && value > 1 && value <= MOST_EVENT_TYPES)
        f->event_types = (uint32_t)value;
    else if (key == SETTING_ADMIT && hashed && value > 1 && value <= 255)
        f->admit_after = (uint32_t)value;
    else if (key == SETTING_EXPIRE && hashed && value >= 1 && value <= MOST_PERIODS)
        f->expire_after = (uint32_t)value;
    else if (key == SETTING_BINS && f->kind == ECREC_FIELD_NUMBER && value >= 2 && value <= MOST_BINS)
        f->bins = (uint32_t)value;
    else if (key == SETTING_DROPPED && value == 1 && f->required == 0)
        f->dropped = 1;
    else if (key == SETTING_HASH_BITS && hashed && value >= 1 && value <= MOST_BITS)
        f->hash_bits = (uint32_t)value;
    else
        return error_at(err, ECREC_ERR_FORMAT, r->position, "field \"%s\" of the schema has setting %u, which this library does not know or cannot be",
                        f->name, key);
    return ECREC_OK;
}

static int32_t read_settings(ecrec_schema *s, reader *r, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint32_t i = 0; i < s->field_count && status == ECREC_OK; i++) {
        const uint32_t count = read_u32(r);
        for (uint32_t k = 0; k < count && status == ECREC_OK; k++)
            status = r->failed ? damaged(err, r) : read_setting(&s->fields[i], r, &s->context->m, err);
    }
    schema_refresh(s);
    return status;
}

static int32_t read_labels(ecrec_schema *s, reader *r, char (*names)[256], uint32_t labels, uint32_t version, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint32_t i = 0; i < labels; i++)
        if (!read_name(r, names[i], sizeof names[i]))
            return damaged(err, r);
    for (uint32_t i = 0; i < labels && status == ECREC_OK; i++) {
        ecrec_label_options o = ECREC_LABEL_OPTIONS_INIT;
        uint32_t dropped = 0;
        o.kind = version == PLAIN_VERSION ? ECREC_LABEL_BINARY : (int32_t)(read_u32(r) & 0xff);
        o.classes = version == PLAIN_VERSION ? 0 : read_u32(r);
        if (version >= SETTINGS_VERSION && (status = read_label_settings(&o, &dropped, r, err)) != ECREC_OK)
            return status;
        status = o.kind == 0 || dropped > 1 ? ECREC_ERR_INVALID : ecrec_schema_add_label_of(s, names[i], &o, NULL, err);
        if (status == ECREC_ERR_INVALID)
            status = damaged(err, r);
        if (status == ECREC_OK)
            s->labels[i].dropped = dropped;
    }
    return status;
}

static int32_t read_extension(ecrec_schema *s, reader *r, uint32_t version, ecrec_error *err)
{
    ecrec_network_options o = ECREC_NETWORK_OPTIONS_INIT;
    uint32_t *const values[] = { &o.all_pairs, &o.width, &o.embedding_bits, &o.fm, &o.cross_layers, &o.cross_rank, &o.unmet };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *values[i] = read_u32(r);
    for (size_t i = 0; i < ECREC_MOST_HIDDEN; i++)
        o.hidden[i] = read_u32(r);
    int32_t status = version >= SETTINGS_VERSION ? read_network_settings(&o, r, err) : ECREC_OK;
    const uint32_t pairs = status == ECREC_OK ? read_u32(r) : 0;
    if (status == ECREC_OK && (r->failed || pairs > MOST_PAIRS))
        return damaged(err, r);
    status = status ? status : ecrec_schema_set_network(s, &o, err);
    for (uint32_t i = 0; i < pairs && status == ECREC_OK; i++) {
        const uint32_t a = read_u32(r), c = read_u32(r);
        if (r->failed || a >= s->field_count || c >= s->field_count)
            return damaged(err, r);
        status = ecrec_schema_add_pair(s, s->fields[a].name, s->fields[c].name, err);
    }
    return status == ECREC_ERR_INVALID ? damaged(err, r) : status;
}

int32_t schema_read(ecrec_context *context, const void *bytes, size_t length, ecrec_schema **out, ecrec_error *err)
{
    ecrec_schema *s = NULL;
    reader r;
    reader_init(&r, bytes, length);
    const uint32_t version = read_u32(&r), bits = read_u32(&r), fields = read_u32(&r), labels = read_u32(&r);
    if (r.failed || version < PLAIN_VERSION || version > SETTINGS_VERSION || bits < LEAST_BITS || bits > MOST_BITS || fields > MOST_FIELDS || labels > MOST_LABELS)
        return damaged(err, &r);
    int32_t status = ecrec_schema_create(context, &s, err);
    if (status != ECREC_OK)
        return status;
    const size_t name_bytes = (labels + 1) * sizeof(char[256]);
    char (*names)[256] = memory_zero(&context->m, name_bytes);
    if (names == NULL)
        status = error_nomem(err, "the labels' names", name_bytes);
    s->hash_bits = bits;
    for (uint32_t i = 0; i < fields && status == ECREC_OK; i++)
        status = read_field(s, &r, err);
    if (status == ECREC_OK)
        status = read_labels(s, &r, names, labels, version, err);
    if (status == ECREC_OK && version >= EXTENDED_VERSION)
        status = read_extension(s, &r, version, err);
    if (status == ECREC_OK && version >= SETTINGS_VERSION)
        status = read_settings(s, &r, err);
    if (status == ECREC_OK && (r.failed || r.position != length))
        status = damaged(err, &r);
    memory_release(&context->m, names, name_bytes);
    if (status == ECREC_OK)
        *out = s;
    else
        ecrec_schema_release(s);
    return status;
}
