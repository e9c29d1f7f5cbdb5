/* A strict, bounded JSON reader (RFC 8259) and a writer. The reader keeps its nodes in an arena. */
#ifndef ECREC_LIB_BASE_JSON_H
#define ECREC_LIB_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "ecrec/base.h"

enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

typedef struct json json;
struct json {
    uint32_t kind;      /* JSON_* */
    uint32_t length;    /* string: bytes; array and object: members */
    size_t position;    /* byte offset of the value in the text, for messages */
    const char *text;   /* string: NUL-terminated, may hold NULs inside; number: its spelling, `length` bytes */
    double number;      /* number: correctly rounded */
    const json *first;  /* array, object: first member */
    const json *next;   /* next member of the same parent */
    const char *key;    /* member of an object */
    uint32_t key_length;
};

/* Depth at most 64; duplicate keys, trailing bytes, invalid UTF-8 or lone surrogates are errors (FORMAT with
 * the position). `name` is what messages call the text ("config.json"). Memory stays within 64 times the length
 * + 64 KiB: anything that would need more is refused (LIMIT). A leading byte order mark is skipped. */
int32_t json_parse(arena *a, const char *name, const char *text, size_t length, const json **root, ecrec_error *err);

const json *json_get(const json *object, const char *key); /* NULL: not an object or no such key; linear in members */
const json *json_at(const json *array, size_t index);
int json_is(const json *value, uint32_t kind);             /* NULL gives 0 */
int json_equal(const json *value, const char *text);       /* a string with exactly this text */
int json_true(const json *value);
int json_u64(const json *value, uint64_t *out);            /* an integer >= 0 that fits, written without fraction or exponent */
/* With a default for a missing or null member; an error (FORMAT: file, key, value found, what is expected) when it has another type. */
int32_t json_get_u64(const json *object, const char *name, const char *key, uint64_t missing, uint64_t *out, ecrec_error *err);
int32_t json_get_double(const json *object, const char *name, const char *key, double missing, double *out, ecrec_error *err);
int32_t json_get_bool(const json *object, const char *name, const char *key, int missing, int *out, ecrec_error *err);
int32_t json_get_string(const json *object, const char *name, const char *key, const char *missing, const char **out, ecrec_error *err);

/* Append a quoted, escaped JSON string; invalid UTF-8 becomes U+FFFD. ECREC_OK or ECREC_ERR_NOMEM. */
int32_t json_write_string(buffer *b, const char *text, size_t length);

#endif
