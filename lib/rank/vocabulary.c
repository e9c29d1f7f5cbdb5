#include "rank/vocabulary.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

enum { MOST_TEXT = 1 << 28 };

uint32_t vocabulary_find(const vocabulary *v, const char *value, size_t length)
{
    for (uint64_t at = hash64(value, length, 0);; at++) {
        const uint32_t number = v->table[at & (v->table_size - 1)];
        if (number == 0)
            return NO_VALUE;
        const size_t start = v->starts[number - 1], n = v->starts[number] - start;
        if (n == length && (n == 0 || memcmp(v->text + start, value, n) == 0))
            return number - 1;
    }
}

uint64_t vocabulary_fingerprint(const vocabulary *v)
{
    return hash64(v->text, v->starts[v->count], hash64(v->starts, (v->count + 1) * sizeof *v->starts, v->count));
}

void vocabulary_release(memory *m, vocabulary *v)
{
    if (v != NULL)
        memory_release(m, v, v->bytes);
}

static int32_t check(const char *field, const char *const *values, const size_t *lengths, size_t n, size_t *bytes, ecrec_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i] == NULL && lengths[i] != 0)
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\": value %zu of its vocabulary is NULL", field, i);
        if (lengths[i] > MOST_VALUE_BYTES)
            return error_set(err, ECREC_ERR_LIMIT, "field \"%s\": value %zu of its vocabulary has %zu bytes, at most %d", field, i, lengths[i], MOST_VALUE_BYTES);
        *bytes += lengths[i];
    }
    return ECREC_OK;
}

/* A number more, with the text that lies behind the others; 0: it is there. */
static int add(vocabulary *v, size_t *starts, uint32_t *table, const char *text, size_t length)
{
    if (vocabulary_find(v, text, length) != NO_VALUE)
        return 0;
    if (length != 0)
        memcpy((char *)(uintptr_t)v->text + starts[v->count], text, length);
    starts[v->count + 1] = starts[v->count] + length;
    uint64_t at = hash64(text, length, 0);
    while (table[at & (v->table_size - 1)] != 0)
        at++;
    table[at & (v->table_size - 1)] = ++v->count;
    return 1;
}

int32_t vocabulary_extend(memory *m, const char *field, const vocabulary *before, const char *const *values, const size_t *lengths, size_t n, vocabulary **out, ecrec_error *err)
{
    const size_t old = before != NULL ? before->count : 0;
    size_t bytes = before != NULL ? before->starts[old] : 0;
    if (n > MOST_VALUES - old)
        return error_set(err, ECREC_ERR_LIMIT, "field \"%s\": a vocabulary has at most %d values", field, MOST_VALUES);
    const int32_t status = check(field, values, lengths, n, &bytes, err);
    if (status != ECREC_OK)
        return status;
    if (bytes > MOST_TEXT)
        return error_set(err, ECREC_ERR_LIMIT, "field \"%s\": the values of its vocabulary have %zu bytes together, at most %d", field, bytes, MOST_TEXT);
    uint32_t table_size = 8;
    while (table_size < 2 * (old + n))
        table_size *= 2;
    const size_t whole = sizeof(vocabulary) + (old + n + 1) * sizeof(size_t) + table_size * sizeof(uint32_t) + bytes;
    vocabulary *v = memory_zero(m, whole);
    if (v == NULL)
        return error_nomem(err, "a vocabulary", whole);
    size_t *starts = (size_t *)(void *)(v + 1);
    uint32_t *table = (uint32_t *)(void *)(starts + old + n + 1);
    *v = (vocabulary){ .bytes = whole, .table_size = table_size, .starts = starts, .table = table, .text = (const char *)(table + table_size) };
    for (size_t i = 0; i < old; i++)
        (void)add(v, starts, table, before->text + before->starts[i], before->starts[i + 1] - before->starts[i]);
    for (size_t i = 0; i < n; i++)
        if (!add(v, starts, table, values[i] != NULL ? values[i] : "", lengths[i])) {
            vocabulary_release(m, v);
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\": its vocabulary has \"%.*s\" twice", field, (int)(lengths[i] < 80 ? lengths[i] : 80), values[i] != NULL ? values[i] : "");
        }
    *out = v;
    return ECREC_OK;
}
