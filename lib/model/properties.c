#include "model/properties.h"

#include <string.h>

#include "base/error.h"

#define MOST_PROPERTIES 100000
#define MOST_NAME 512

typedef struct property {
    char *name, *text; /* text: STRING, NUL-terminated */
    size_t length;
    int32_t kind;
    uint64_t u;
    double f;
} property;

struct properties {
    memory *m;
    property *items; /* sorted by name */
    size_t count, capacity;
};

int32_t properties_create(memory *m, properties **out)
{
    properties *p = memory_zero(m, sizeof *p);
    if (p == NULL)
        return ECREC_ERR_NOMEM;
    p->m = m;
    *out = p;
    return ECREC_OK;
}

static void clear(properties *p, property *q)
{
    memory_release(p->m, q->name, strlen(q->name) + 1);
    memory_release(p->m, q->text, q->length + 1);
}

void properties_release(properties *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        clear(p, &p->items[i]);
    memory_release(p->m, p->items, p->capacity * sizeof *p->items);
    memory_release(p->m, p, sizeof *p);
}

static size_t position(const properties *p, const char *name, int *found)
{
    size_t low = 0, high = p->count;
    *found = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(p->items[middle].name, name);
        if (order == 0) {
            *found = 1;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const property *find(const properties *p, const char *name, int32_t kind)
{
    int found;
    size_t at = position(p, name, &found);
    return found && p->items[at].kind == kind ? &p->items[at] : NULL;
}

/* Takes over q->text. */
static int32_t set(properties *p, const char *name, property q)
{
    int found;
    size_t at = position(p, name, &found), length = strlen(name) + 1;
    if (found) {
        memory_release(p->m, p->items[at].text, p->items[at].length + 1);
        q.name = p->items[at].name;
        p->items[at] = q;
        return ECREC_OK;
    }
    if (p->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 32 : 2 * p->capacity;
        property *grown = memory_grow(p->m, p->items, p->capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            goto fail;
        p->items = grown;
        p->capacity = capacity;
    }
    if ((q.name = memory_allocate(p->m, length)) == NULL)
        goto fail;
    memcpy(q.name, name, length);
    memmove(p->items + at + 1, p->items + at, (p->count - at) * sizeof *p->items);
    p->items[at] = q;
    p->count++;
    return ECREC_OK;
fail:
    memory_release(p->m, q.text, q.length + 1);
    return ECREC_ERR_NOMEM;
}

int32_t properties_set_u64(properties *p, const char *name, uint64_t value)
{
    return set(p, name, (property){ .kind = PROPERTY_U64, .u = value });
}

int32_t properties_set_f64(properties *p, const char *name, double value)
{
    return set(p, name, (property){ .kind = PROPERTY_F64, .f = value });
}

int32_t properties_set_string(properties *p, const char *name, const char *value, size_t length)
{
    char *copy = memory_allocate(p->m, length + 1);
    if (copy == NULL)
        return ECREC_ERR_NOMEM;
    memcpy(copy, value, length);
    copy[length] = 0;
    return set(p, name, (property){ .kind = PROPERTY_STRING, .text = copy, .length = length });
}

void properties_remove(properties *p, const char *name)
{
    int found;
    size_t at = position(p, name, &found);
    if (!found)
        return;
    clear(p, &p->items[at]);
    memmove(p->items + at, p->items + at + 1, (p->count - at - 1) * sizeof *p->items);
    p->count--;
}

int32_t properties_copy(const properties *p, properties **out)
{
    properties *copy = NULL;
    int32_t status = properties_create(p->m, &copy);
    for (size_t i = 0; status == ECREC_OK && i < p->count; i++) {
        const property *q = &p->items[i];
        status = q->kind == PROPERTY_STRING ? properties_set_string(copy, q->name, q->text, q->length) : set(copy, q->name, (property){ .kind = q->kind, .u = q->u, .f = q->f });
    }
    if (status != ECREC_OK) {
        properties_release(copy);
        return status;
    }
    *out = copy;
    return ECREC_OK;
}

uint64_t properties_u64(const properties *p, const char *name, uint64_t missing)
{
    const property *q = find(p, name, PROPERTY_U64);
    return q != NULL ? q->u : missing;
}

double properties_f64(const properties *p, const char *name, double missing)
{
    const property *q = find(p, name, PROPERTY_F64);
    return q != NULL ? q->f : missing;
}

const char *properties_string(const properties *p, const char *name, const char *missing)
{
    const property *q = find(p, name, PROPERTY_STRING);
    return q != NULL ? q->text : missing;
}

size_t properties_count(const properties *p)
{
    return p->count;
}

const char *properties_at(const properties *p, size_t index, int32_t *kind, uint64_t *u, double *f, const char **s)
{
    const property *q = &p->items[index];
    *kind = q->kind;
    *u = q->u;
    *f = q->f;
    *s = q->text;
    return q->name;
}

int32_t properties_write(const properties *p, buffer *b)
{
    int32_t status = write_u32(b, (uint32_t)p->count);
    for (size_t i = 0; i < p->count && status == ECREC_OK; i++) {
        const property *q = &p->items[i];
        status = write_string(b, q->name, strlen(q->name));
        if (status == ECREC_OK)
            status = write_u8(b, (uint8_t)q->kind);
        if (status == ECREC_OK)
            status = q->kind == PROPERTY_U64 ? write_u64(b, q->u) : q->kind == PROPERTY_F64 ? write_f64(b, q->f)
                                                                                            : write_string(b, q->text, q->length);
    }
    return status;
}

static int32_t read_one(properties *p, reader *r, ecrec_error *err)
{
    char name[MOST_NAME + 1];
    size_t length = 0, at = r->position;
    const char *text = read_string(r, MOST_NAME, &length);
    if (text == NULL || length == 0 || memchr(text, 0, length) != NULL)
        return error_at(err, ECREC_ERR_FORMAT, at, "settings: a name is damaged at byte %zu", at);
    memcpy(name, text, length);
    name[length] = 0;
    int found;
    (void)position(p, name, &found);
    if (found)
        return error_at(err, ECREC_ERR_FORMAT, at, "settings: \"%s\" stands twice", name);
    int32_t status;
    uint8_t kind = read_u8(r);
    if (kind == PROPERTY_U64) {
        status = properties_set_u64(p, name, read_u64(r));
    } else if (kind == PROPERTY_F64) {
        status = properties_set_f64(p, name, read_f64(r));
    } else if (kind == PROPERTY_STRING) {
        text = read_string(r, r->length, &length);
        if (text == NULL || (length > 0 && memchr(text, 0, length) != NULL))
            return error_at(err, ECREC_ERR_FORMAT, at, "settings: the text of \"%s\" is damaged", name);
        status = properties_set_string(p, name, text, length);
    } else {
        return error_at(err, ECREC_ERR_FORMAT, at, "settings: \"%s\" has the unknown kind %u", name, kind);
    }
    if (r->failed)
        return error_at(err, ECREC_ERR_FORMAT, at, "settings: \"%s\" is cut off", name);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "the settings", length);
}

int32_t properties_read(memory *m, const void *bytes, size_t length, properties **out, ecrec_error *err)
{
    reader r;
    properties *p = NULL;
    reader_init(&r, bytes, length);
    if (properties_create(m, &p) != ECREC_OK)
        return error_nomem(err, "the settings", sizeof *p);
    int32_t status = ECREC_OK;
    uint32_t count = read_u32(&r);
    if (r.failed || count > MOST_PROPERTIES)
        status = error_set(err, ECREC_ERR_FORMAT, "settings: the count is damaged");
    for (uint32_t i = 0; i < count && status == ECREC_OK; i++)
        status = read_one(p, &r, err);
    if (status == ECREC_OK && r.position != length)
        status = error_at(err, ECREC_ERR_FORMAT, r.position, "settings: %zu bytes behind the last one", length - r.position);
    if (status != ECREC_OK) {
        properties_release(p);
        return status;
    }
    *out = p;
    return ECREC_OK;
}
