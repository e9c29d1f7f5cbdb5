#include "model/parts.h"

#include <string.h>

#include "model/file.h"

int32_t parts_create(memory *m, parts **out)
{
    parts *p = memory_zero(m, sizeof *p);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    p->m = m;
    p->sequence = 1;
    if (properties_create(m, &p->settings) != ECREC_OK || tensor_set_create(m, &p->tensors) != ECREC_OK) {
        parts_release(p);
        return ECREC_ERR_NOMEM;
    }
    *out = p;
    return ECREC_OK;
}

static void blob_clear(memory *m, blob *b)
{
    memory_release(m, b->name, strlen(b->name) + 1);
    if (b->map != NULL)
        mapping_release(b->map);
    else
        memory_release(m, (void *)(uintptr_t)b->data, b->length);
}

void parts_release(parts *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->blob_count; i++)
        blob_clear(p->m, &p->blobs[i]);
    memory_release(p->m, p->blobs, p->blob_capacity * sizeof *p->blobs);
    properties_release(p->settings);
    tensor_set_release(p->tensors);
    memory_release(p->m, p, sizeof *p);
}

const blob *parts_blob(const parts *p, const char *name)
{
    for (size_t i = 0; i < p->blob_count; i++)
        if (strcmp(p->blobs[i].name, name) == 0)
            return &p->blobs[i];
    return NULL;
}

/* Puts `b` (all but its name) under a name. */
static int32_t put(parts *p, const char *name, blob b)
{
    size_t length = strlen(name) + 1;
    for (size_t i = 0; i < p->blob_count; i++)
        if (strcmp(p->blobs[i].name, name) == 0) {
            blob old = p->blobs[i];
            b.name = old.name;
            p->blobs[i] = b;
            if (old.map != NULL)
                mapping_release(old.map);
            else
                memory_release(p->m, (void *)(uintptr_t)old.data, old.length);
            return ECREC_OK;
        }
    if (p->blob_count == p->blob_capacity) {
        size_t capacity = p->blob_capacity == 0 ? 8 : 2 * p->blob_capacity;
        blob *grown = memory_grow(p->m, p->blobs, p->blob_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return ECREC_ERR_NOMEM;
        p->blobs = grown;
        p->blob_capacity = capacity;
    }
    if ((b.name = memory_allocate(p->m, length)) == NULL)
        return ECREC_ERR_NOMEM;
    memcpy(b.name, name, length);
    p->blobs[p->blob_count++] = b;
    return ECREC_OK;
}

int32_t parts_set_blob(parts *p, const char *name, const void *data, size_t length, int32_t raw, int32_t required)
{
    void *copy = NULL;
    if (length > 0) {
        if ((copy = memory_allocate(p->m, length)) == NULL)
            return ECREC_ERR_NOMEM;
        memcpy(copy, data, length);
    }
    int32_t status = put(p, name, (blob){ .data = copy, .length = length, .raw = raw, .required = required });
    if (status != ECREC_OK)
        memory_release(p->m, copy, length);
    return status;
}

int32_t parts_map_blob(parts *p, const char *name, const void *data, size_t length, mapping *map, int32_t raw, int32_t required)
{
    mapping_reference(map);
    int32_t status = put(p, name, (blob){ .data = data, .length = length, .map = map, .raw = raw, .required = required });
    if (status != ECREC_OK)
        mapping_release(map);
    return status;
}

int32_t parts_copy(const parts *p, parts **out)
{
    parts *copy = memory_zero(p->m, sizeof *copy);
    if (copy == NULL)
        return ECREC_ERR_NOMEM;
    copy->m = p->m;
    copy->sequence = p->sequence;
    int32_t status = properties_copy(p->settings, &copy->settings);
    if (status == ECREC_OK)
        status = tensor_set_copy(p->tensors, &copy->tensors);
    for (size_t i = 0; i < p->blob_count && status == ECREC_OK; i++) {
        const blob *b = &p->blobs[i];
        status = b->map != NULL ? parts_map_blob(copy, b->name, b->data, b->length, b->map, b->raw, b->required)
                                : parts_set_blob(copy, b->name, b->data, b->length, b->raw, b->required);
        if (status == ECREC_OK)
            copy->blobs[copy->blob_count - 1].kind = b->kind;
    }
    if (status != ECREC_OK) {
        parts_release(copy);
        return status;
    }
    *out = copy;
    return ECREC_OK;
}
