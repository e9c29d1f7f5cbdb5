/* What a schema gains and loses once a ranker has it. */
#include <string.h>

#include "base/error.h"
#include "rank/schema.h"
#include "rank/vocabulary.h"

int schema_related(const ecrec_schema *a, const ecrec_schema *b)
{
    for (uint32_t i = 0; i < a->field_count && i < b->field_count; i++)
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 || a->fields[i].kind != b->fields[i].kind || a->fields[i].dimension != b->fields[i].dimension ||
            a->fields[i].event_types != b->fields[i].event_types)
            return 0;
    for (uint32_t i = 0; i < a->label_count && i < b->label_count; i++)
        if (strcmp(a->labels[i].name, b->labels[i].name) != 0 || a->labels[i].kind != b->labels[i].kind || a->labels[i].classes != b->labels[i].classes)
            return 0;
    return 1;
}

int32_t ecrec_schema_extend(const ecrec_schema *from, ecrec_schema **schema, ecrec_error *err)
{
    if (from == NULL || schema == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_extend: %s is NULL", from == NULL ? "from" : "schema");
    return schema_copy(from->context, from, schema, err);
}

int32_t ecrec_schema_drop_field(ecrec_schema *schema, const char *name, ecrec_error *err)
{
    const uint32_t field = ecrec_schema_find_field(schema, name);
    if (schema == NULL || field == NO_FIELD)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_drop_field: %s", schema == NULL ? "schema is NULL" : name == NULL ? "name is NULL" : "the schema has no such field");
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].compare == field && !schema->fields[i].dropped)
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\" is compared with \"%s\": drop it first", schema->fields[i].name, name);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < schema->pair_count; i++)
        if (schema->pairs[i].a != field && schema->pairs[i].b != field)
            schema->pairs[kept++] = schema->pairs[i];
    schema->pair_count = kept;
    schema->fields[field].dropped = 1;
    schema->fields[field].required = 0;
    schema_refresh(schema);
    return ECREC_OK;
}

int32_t ecrec_schema_drop_label(ecrec_schema *schema, const char *name, ecrec_error *err)
{
    const uint32_t label = ecrec_schema_find_label(schema, name);
    uint32_t left = 0;
    if (schema == NULL || label == NO_FIELD)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_drop_label: %s", schema == NULL ? "schema is NULL" : name == NULL ? "name is NULL" : "the schema has no such label");
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    for (uint32_t i = 0; i < schema->label_count; i++)
        left += i != label && !schema->labels[i].dropped;
    if (left == 0)
        return error_set(err, ECREC_ERR_INVALID, "label \"%s\" is the only one: a schema needs one to learn from", name);
    schema->labels[label].dropped = 1;
    schema_refresh(schema);
    return ECREC_OK;
}

uint32_t ecrec_schema_label_dropped(const ecrec_schema *schema, uint32_t label)
{
    return schema != NULL && label < schema->label_count ? schema->labels[label].dropped : 0;
}

int32_t ecrec_schema_add_values(ecrec_schema *schema, const char *field, const char *const *values, const size_t *lengths, size_t n, ecrec_error *err)
{
    vocabulary *more = NULL;
    if (schema == NULL || field == NULL || (n != 0 && (values == NULL || lengths == NULL)))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_schema_add_values: an argument is NULL");
    const uint32_t i = ecrec_schema_find_field(schema, field);
    schema_field *f = i != NO_FIELD ? &schema->fields[i] : NULL;
    if (f == NULL || (field_form(f->kind) != ECREC_FIELD_CATEGORY && f->kind != ECREC_FIELD_MULTI))
        return error_set(err, ECREC_ERR_INVALID, "a vocabulary is for category, user, item and multi fields; \"%s\" is none", field);
    if (schema->references != 1)
        return error_set(err, ECREC_ERR_INVALID, "the schema is already used by a batch and cannot change");
    const int32_t status = vocabulary_extend(&schema->context->m, f->name, f->vocabulary, values, lengths, n, &more, err);
    if (status != ECREC_OK)
        return status;
    vocabulary_release(&schema->context->m, f->vocabulary);
    f->vocabulary = more;
    schema_refresh(schema);
    return ECREC_OK;
}
