/* A schema from JSON. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "rank/schema.h"

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

static int32_t parse_values(ecrec_schema *s, const char *field, const json *list, ecrec_error *err)
{
    memory *m = &s->context->m;
    const size_t bytes = ((size_t)list->length + 1) * (sizeof(char *) + sizeof(size_t));
    const char **values = memory_allocate(m, bytes);
    if (values == NULL)
        return error_nomem(err, "a vocabulary", bytes);
    size_t *lengths = (size_t *)(void *)(values + list->length + 1), n = 0;
    int32_t status = ECREC_OK;
    for (const json *v = list->first; v != NULL && status == ECREC_OK; v = v->next) {
        if (!json_is(v, JSON_STRING))
            status = error_at(err, ECREC_ERR_INVALID, v->position, "schema: field \"%s\": a value of its vocabulary must be text", field);
        values[n] = v->text;
        lengths[n++] = v->length;
    }
    if (status == ECREC_OK)
        status = ecrec_schema_add_values(s, field, values, lengths, n, err);
    memory_release(m, (void *)values, bytes);
    return status;
}

static int32_t parse_field(ecrec_schema *s, const json *v, ecrec_error *err)
{
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    const json *values = NULL;
    const json *name = json_get(v, "name"), *kind = json_get(v, "kind");
    int32_t number = 0;
    if (!json_is(name, JSON_STRING) || memchr(name->text, 0, name->length) != NULL)
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: a field has no \"name\"");
    if (json_is(kind, JSON_STRING) && memchr(kind->text, 0, kind->length) == NULL)
        number = field_kind_of(kind->text);
    if (number == 0)
        return error_at(err, ECREC_ERR_INVALID, v->position,
                        "schema: field \"%s\": \"kind\" must be one of text, vector, category, number, multi, history, time, user, item, image", name->text);
    const struct { const char *key; uint32_t *to; } flags[] = {
        { "dimension", &o.dimension }, { "required", &o.required }, { "no_encoding", &o.no_encoding },
        { "word_ngrams", &o.word_ngrams }, { "char_ngrams", &o.char_ngrams }, { "hash_bits", &o.hash_bits }, { "admit_after", &o.admit_after }, { "compare_only", &o.compare_only },
        { "event_types", &o.event_types }, { "bins", &o.bins }, { "expire_after", &o.expire_after } };
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
        if (strcmp(m->key, "hash_seed") == 0) {
            if (!json_u64(m, &o.hash_seed))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: field \"%s\": \"hash_seed\" must be a whole number", name->text);
            known = 1;
        }
        if (strcmp(m->key, "vocabulary") == 0) {
            if (!json_is(m, JSON_ARRAY))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: field \"%s\": \"vocabulary\" must be an array of values", name->text);
            values = m;
            known = 1;
        }
        if (strcmp(m->key, "utc_offset") == 0) {
            const double minutes = json_is(m, JSON_NUMBER) ? m->number : NAN;
            if (!(fabs(minutes) <= 840) || minutes != floor(minutes))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: field \"%s\": \"utc_offset\" must be -840 .. 840 minutes", name->text);
            o.utc_offset = (int32_t)minutes;
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
    const int32_t status = ecrec_schema_add_field(s, name->text, number, &o, NULL, err);
    return status == ECREC_OK && values != NULL ? parse_values(s, name->text, values, err) : status;
}

static int32_t parse_label(ecrec_schema *s, const json *v, ecrec_error *err)
{
    static const char *const kinds[] = { "", "binary", "value", "classes", "ordinal" };
    const json *name = json_is(v, JSON_STRING) ? v : json_get(v, "name");
    ecrec_label_options o = ECREC_LABEL_OPTIONS_INIT;
    if (!json_is(name, JSON_STRING) || memchr(name->text, 0, name->length) != NULL)
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: a label has no \"name\"");
    for (const json *m = json_is(v, JSON_OBJECT) ? v->first : NULL; m != NULL; m = m->next) {
        int32_t status = ECREC_OK;
        if (strcmp(m->key, "kind") == 0) {
            for (int32_t i = 1; i < 5; i++)
                if (json_equal(m, kinds[i]))
                    o.kind = i;
            if (o.kind == 0)
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": \"kind\" must be one of binary, value, classes, ordinal", name->text);
        } else if (strcmp(m->key, "classes") == 0) {
            status = parse_flag(m, name->text, &o.classes, err);
        } else if (strcmp(m->key, "log_q") == 0) {
            status = parse_flag(m, name->text, &o.log_q, err);
        } else if (strcmp(m->key, "loss") == 0) {
            o.loss = json_equal(m, "pairwise") ? ECREC_LOSS_PAIRWISE : json_equal(m, "listwise") ? ECREC_LOSS_LISTWISE : ECREC_LOSS_OWN;
            if (o.loss == ECREC_LOSS_OWN && !json_equal(m, "own"))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": \"loss\" must be one of own, pairwise, listwise", name->text);
        } else if (strcmp(m->key, "target") == 0) {
            o.target = json_equal(m, "plain") ? ECREC_TARGET_PLAIN : json_equal(m, "log") ? ECREC_TARGET_LOG : ECREC_TARGET_STANDARD;
            if (o.target == ECREC_TARGET_STANDARD && !json_equal(m, "standard"))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": \"target\" must be one of standard, plain, log", name->text);
        } else if (strcmp(m->key, "negatives_kept") == 0) {
            if (!json_is(m, JSON_NUMBER))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": \"negatives_kept\" must be a number", name->text);
            o.negatives_kept = m->number;
        } else if (strcmp(m->key, "name") != 0) {
            return error_at(err, ECREC_ERR_INVALID, m->position, "schema: label \"%s\": the member \"%s\" is not known", name->text, m->key);
        }
        if (status != ECREC_OK)
            return status;
    }
    return ecrec_schema_add_label_of(s, name->text, &o, NULL, err);
}

/* "pairs": "all" or [["a", "b"], ...]; chosen ones name fields, so they are added last. */
static int32_t parse_pairs(ecrec_schema *s, const json *v, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (const json *p = v->first; p != NULL && status == ECREC_OK; p = p->next) {
        const json *a = json_is(p, JSON_ARRAY) ? p->first : NULL, *b = a != NULL ? a->next : NULL;
        if (!json_is(a, JSON_STRING) || !json_is(b, JSON_STRING) || b->next != NULL)
            return error_at(err, ECREC_ERR_INVALID, p->position, "schema: network: a pair is [\"field\", \"field\"]");
        status = ecrec_schema_add_pair(s, a->text, b->text, err);
    }
    return status;
}

static int32_t parse_hidden(const json *v, uint32_t *hidden, ecrec_error *err)
{
    uint32_t n = 0;
    uint64_t units = 0;
    for (const json *u = json_is(v, JSON_ARRAY) ? v->first : NULL; u != NULL; u = u->next, n++) {
        if (n == ECREC_MOST_HIDDEN || !json_u64(u, &units) || units == 0 || units > UINT32_MAX)
            return error_at(err, ECREC_ERR_INVALID, u->position, "schema: network: \"hidden\" is up to %d numbers of units", ECREC_MOST_HIDDEN);
        hidden[n] = (uint32_t)units;
    }
    return n != 0 ? ECREC_OK : error_at(err, ECREC_ERR_INVALID, v->position, "schema: network: \"hidden\" is an array of numbers of units");
}

static int32_t parse_network(ecrec_schema *s, const json *v, ecrec_error *err)
{
    ecrec_network_options o = ECREC_NETWORK_OPTIONS_INIT;
    const struct { const char *key; uint32_t *to; } numbers[] = {
        { "width", &o.width }, { "embedding_bits", &o.embedding_bits }, { "cross_layers", &o.cross_layers }, { "cross_rank", &o.cross_rank },
        { "attention", &o.attention }, { "gates", &o.gates }, { "towers", &o.towers }, { "positions", &o.positions }, { "experts", &o.experts } };
    const json *pairs = NULL;
    if (!json_is(v, JSON_OBJECT))
        return error_at(err, ECREC_ERR_INVALID, v->position, "schema: \"network\" is not an object");
    for (const json *m = v->first; m != NULL; m = m->next) {
        int known = 0;
        int32_t status = ECREC_OK;
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !known; i++)
            if (strcmp(m->key, numbers[i].key) == 0) {
                status = parse_flag(m, "network", numbers[i].to, err);
                known = 1;
            }
        if (strcmp(m->key, "hidden") == 0) {
            status = parse_hidden(m, o.hidden, err);
        } else if (strcmp(m->key, "fm") == 0) {
            o.fm = json_equal(m, "weighted") ? 2 : json_is(m, JSON_TRUE);
            if (o.fm == 0 && !json_is(m, JSON_FALSE))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: network: \"fm\" must be true, false or \"weighted\"");
        } else if (strcmp(m->key, "pairs") == 0) {
            o.all_pairs = json_equal(m, "all");
            pairs = m;
            if (!o.all_pairs && !json_is(m, JSON_ARRAY))
                return error_at(err, ECREC_ERR_INVALID, m->position, "schema: network: \"pairs\" must be \"all\" or an array of pairs");
        } else if (strcmp(m->key, "unmet") == 0) {
            status = parse_flag(m, "network", &o.unmet, err);
        } else if (!known) {
            return error_at(err, ECREC_ERR_INVALID, m->position,
                            "schema: network: the member \"%s\" is not known (pairs, unmet, width, embedding_bits, fm, cross_layers, cross_rank, hidden, attention, gates, towers, positions, experts are)", m->key);
        }
        if (status != ECREC_OK)
            return status;
    }
    const int32_t status = ecrec_schema_set_network(s, &o, err);
    return status == ECREC_OK && pairs != NULL && !o.all_pairs ? parse_pairs(s, pairs, err) : status;
}

static int32_t parse_members(ecrec_schema *s, const json *root, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    uint64_t bits = 0;
    const json *network = NULL;
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
        } else if (strcmp(m->key, "network") == 0) {
            network = m;
        } else {
            return error_at(err, ECREC_ERR_INVALID, m->position, "schema: the member \"%s\" is not known (fields, labels, hash_bits, network are)", m->key);
        }
    }
    return status == ECREC_OK && network != NULL ? parse_network(s, network, err) : status;
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

