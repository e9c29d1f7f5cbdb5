#include "base/json.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

#define MOST_DEPTH 64
#define HASHED_FROM 16 /* members of an object from which on duplicates are found by hashing */

typedef struct parser {
    arena *a;
    const char *name, *text;
    size_t length, at, budget; /* bytes of nodes that may still be made */
    ecrec_error *err;
} parser;

static int32_t wrong(parser *p, size_t position, const char *what)
{
    return error_at(p->err, ECREC_ERR_FORMAT, position, "%s: %s at byte %zu", p->name, what, position);
}

static void *take(parser *p, size_t size)
{
    void *block = NULL;
    size_t rounded = (size + 15) & ~(size_t)15;
    if (rounded > p->budget) {
        error_at(p->err, ECREC_ERR_LIMIT, p->at, "%s: needs more memory than a file of its size may at byte %zu", p->name, p->at);
        return NULL;
    }
    if ((block = arena_allocate(p->a, size)) == NULL)
        error_nomem(p->err, p->name, size);
    else
        p->budget -= rounded;
    return block;
}

/* NOMEM or LIMIT, whichever `take` ran into */
static int32_t refused(parser *p)
{
    return p->budget < 64 ? ECREC_ERR_LIMIT : p->err != NULL && p->err->code == ECREC_ERR_LIMIT ? ECREC_ERR_LIMIT : ECREC_ERR_NOMEM;
}

static void skip_blanks(parser *p)
{
    while (p->at < p->length && (p->text[p->at] == ' ' || p->text[p->at] == '\n' || p->text[p->at] == '\r' || p->text[p->at] == '\t'))
        p->at++;
}

static int hex4(const parser *p, size_t at, uint32_t *out)
{
    uint32_t v = 0;
    if (at + 4 > p->length)
        return 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = p->text[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                       : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 16;
        if (digit == 16)
            return 0;
        v = v * 16 + digit;
    }
    *out = v;
    return 1;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Length of the well-formed character at s, or 0. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : s[0] >= 0xE0 && s[0] <= 0xEF ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

/* The escape behind a backslash at p->at; writes 1 .. 4 bytes. */
static int32_t unescape(parser *p, char *out, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = p->at - 1;
    uint32_t c = 0, low = 0;
    if (p->at >= p->length)
        return wrong(p, start, "an unfinished escape");
    char e = p->text[p->at++];
    const char *known = e != 0 ? strchr(from, e) : NULL;
    if (known != NULL) {
        out[0] = to[known - from];
        *written = 1;
        return ECREC_OK;
    }
    if (e != 'u' || !hex4(p, p->at, &c))
        return wrong(p, start, "an unknown escape");
    p->at += 4;
    if (c >= 0xDC00 && c < 0xE000)
        return wrong(p, start, "a lone surrogate");
    if (c >= 0xD800 && c < 0xDC00) {
        if (p->at + 6 > p->length || p->text[p->at] != '\\' || p->text[p->at + 1] != 'u' || !hex4(p, p->at + 2, &low) ||
            low < 0xDC00 || low > 0xDFFF)
            return wrong(p, start, "a lone surrogate");
        p->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    *written = put_utf8(out, c);
    return ECREC_OK;
}

/* p->at stands behind the opening quote. */
static int32_t parse_string(parser *p, const char **text, uint32_t *length)
{
    size_t start = p->at, end = start;
    while (end < p->length && p->text[end] != '"')
        end += p->text[end] == '\\' && end + 1 < p->length ? 2 : 1;
    if (end >= p->length)
        return wrong(p, start - 1, "a string without an end");
    if (end - start > UINT32_MAX - 1)
        return wrong(p, start - 1, "a string above 4 GiB");
    char *out = take(p, end - start + 1);
    size_t n = 0;
    if (out == NULL)
        return refused(p);
    while (p->at < p->length && p->text[p->at] != '"') {
        unsigned char c = (unsigned char)p->text[p->at];
        size_t step = 0;
        if (c == '\\') {
            p->at++;
            int32_t status = unescape(p, out + n, &step);
            if (status != ECREC_OK)
                return status;
            n += step;
            continue;
        }
        if (c < 0x20)
            return wrong(p, p->at, "a control character inside a string");
        if ((step = utf8_length((const unsigned char *)p->text + p->at, p->length - p->at)) == 0)
            return wrong(p, p->at, "invalid UTF-8");
        memcpy(out + n, p->text + p->at, step);
        n += step;
        p->at += step;
    }
    if (p->at >= p->length)
        return wrong(p, start - 1, "a string without an end");
    p->at++;
    out[n] = 0;
    *text = out;
    *length = (uint32_t)n;
    return ECREC_OK;
}

static int32_t parse_number(parser *p, json *value)
{
    size_t start = p->at;
    while (p->at < p->length && p->text[p->at] != 0 && strchr("+-.0123456789eE", p->text[p->at]) != NULL)
        p->at++;
    value->text = p->text + start;
    value->length = (uint32_t)(p->at - start);
    if (p->at - start > 1000000 || !parse_double(value->text, p->at - start, &value->number))
        return wrong(p, start, "a value that is not a number");
    return ECREC_OK;
}

static uint64_t key_hash(const json *m)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (uint32_t i = 0; i < m->key_length; i++)
        h = (h ^ (unsigned char)m->key[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static int same_key(const json *a, const json *b)
{
    return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

static int32_t find_duplicate(parser *p, const json *object)
{
    const json *twice = NULL;
    if (object->length < HASHED_FROM) {
        for (const json *a = object->first; a != NULL && twice == NULL; a = a->next)
            for (const json *b = object->first; b != a; b = b->next)
                if (same_key(a, b))
                    twice = a;
    } else {
        size_t slots = 32;
        while (slots < 2 * (size_t)object->length)
            slots *= 2;
        size_t bytes = slots * sizeof(json *);
        const json **table = memory_zero(p->a->m, bytes);
        if (table == NULL)
            return error_nomem(p->err, p->name, bytes);
        for (const json *a = object->first; a != NULL && twice == NULL; a = a->next) {
            size_t at = key_hash(a) & (slots - 1);
            for (; table[at] != NULL && !same_key(table[at], a); at = (at + 1) & (slots - 1))
                ;
            if (table[at] != NULL)
                twice = a;
            table[at] = a;
        }
        memory_release(p->a->m, table, bytes);
    }
    if (twice == NULL)
        return ECREC_OK;
    return error_at(p->err, ECREC_ERR_FORMAT, twice->position, "%s: \"%.*s\" stands twice in an object, at byte %zu", p->name,
                    (int)(twice->key_length < 80 ? twice->key_length : 80), twice->key, twice->position);
}

static int32_t parse_word(parser *p, json *value)
{
    static const struct { const char *word; uint32_t kind; } words[] = { { "null", JSON_NULL }, { "true", JSON_TRUE }, { "false", JSON_FALSE } };
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i].word);
        if (p->length - p->at >= n && memcmp(p->text + p->at, words[i].word, n) == 0) {
            p->at += n;
            value->kind = words[i].kind;
            return ECREC_OK;
        }
    }
    return wrong(p, p->at, p->at < p->length ? "an unexpected character" : "an unexpected end");
}

/* A scalar, or the opening of a container. */
static int32_t parse_start(parser *p, json *value)
{
    skip_blanks(p);
    value->position = p->at;
    if (p->at >= p->length)
        return wrong(p, p->at, "an unexpected end");
    char c = p->text[p->at];
    if (c == '{' || c == '[') {
        p->at++;
        value->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        return ECREC_OK;
    }
    if (c == '"') {
        p->at++;
        value->kind = JSON_STRING;
        return parse_string(p, &value->text, &value->length);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        value->kind = JSON_NUMBER;
        return parse_number(p, value);
    }
    return parse_word(p, value);
}

static int32_t parse_key(parser *p, json *member)
{
    skip_blanks(p);
    if (p->at >= p->length || p->text[p->at] != '"')
        return wrong(p, p->at, "a member without a name");
    p->at++;
    int32_t status = parse_string(p, &member->key, &member->key_length);
    if (status != ECREC_OK)
        return status;
    skip_blanks(p);
    if (p->at >= p->length || p->text[p->at] != ':')
        return wrong(p, p->at, "a missing colon");
    p->at++;
    return ECREC_OK;
}

typedef struct level {
    json *container, *last;
} level;

/* Close containers that end here; 1 when another member follows, 0 when the root is complete, -1 on an error. */
static int after_value(parser *p, level *stack, uint32_t *depth, int32_t *status)
{
    while (*depth > 0) {
        json *c = stack[*depth - 1].container;
        skip_blanks(p);
        char here = p->at < p->length ? p->text[p->at] : 0;
        if (here == ',') {
            p->at++;
            return 1;
        }
        if (here != (c->kind == JSON_OBJECT ? '}' : ']')) {
            *status = wrong(p, p->at, p->at < p->length ? "a missing comma or bracket" : "an unexpected end");
            return -1;
        }
        p->at++;
        if (c->kind == JSON_OBJECT && (*status = find_duplicate(p, c)) != ECREC_OK)
            return -1;
        (*depth)--;
    }
    return 0;
}

static int32_t parse_tree(parser *p, const json **root)
{
    level stack[MOST_DEPTH];
    uint32_t depth = 0;
    int32_t status = ECREC_OK;
    for (;;) {
        json *value = take(p, sizeof *value);
        if (value == NULL)
            return refused(p);
        memset(value, 0, sizeof *value);
        if (depth > 0) {
            level *top = &stack[depth - 1];
            if (top->container->kind == JSON_OBJECT && (status = parse_key(p, value)) != ECREC_OK)
                return status;
            if (top->container->length == UINT32_MAX)
                return wrong(p, p->at, "too many members");
            top->container->length++;
            if (top->last == NULL)
                top->container->first = value;
            else
                top->last->next = value;
            top->last = value;
        } else {
            *root = value;
        }
        if ((status = parse_start(p, value)) != ECREC_OK)
            return status;
        if (value->kind == JSON_OBJECT || value->kind == JSON_ARRAY) {
            if (depth == MOST_DEPTH)
                return error_at(p->err, ECREC_ERR_LIMIT, value->position, "%s: nested deeper than %d at byte %zu", p->name,
                                MOST_DEPTH, value->position);
            stack[depth++] = (level){ value, NULL };
            skip_blanks(p);
            if (p->at >= p->length || p->text[p->at] != (value->kind == JSON_OBJECT ? '}' : ']'))
                continue; /* its first member */
        }
        int more = after_value(p, stack, &depth, &status);
        if (more < 0)
            return status;
        if (more == 0)
            return ECREC_OK;
    }
}

int32_t json_parse(arena *a, const char *name, const char *text, size_t length, const json **root, ecrec_error *err)
{
    ecrec_error own = ECREC_ERROR_INIT;
    const json *tree = NULL;
    size_t budget = length < SIZE_MAX / 64 ? 64 * length + 65536 : SIZE_MAX;
    parser p = { a, name, text, length, 0, budget, err != NULL ? err : &own };
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        p.at = 3;
    int32_t status = parse_tree(&p, &tree);
    if (status != ECREC_OK)
        return status;
    skip_blanks(&p);
    if (p.at != length)
        return wrong(&p, p.at, "something behind the end");
    *root = tree;
    return ECREC_OK;
}

const json *json_get(const json *object, const char *key)
{
    size_t n = strlen(key);
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    for (const json *m = object->first; m != NULL; m = m->next)
        if (m->key_length == n && memcmp(m->key, key, n) == 0)
            return m;
    return NULL;
}

const json *json_at(const json *array, size_t index)
{
    if (!json_is(array, JSON_ARRAY) || index >= array->length)
        return NULL;
    const json *m = array->first;
    for (; index > 0; index--)
        m = m->next;
    return m;
}

int json_is(const json *value, uint32_t kind)
{
    return value != NULL && value->kind == kind;
}

int json_equal(const json *value, const char *text)
{
    return json_is(value, JSON_STRING) && value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}

int json_true(const json *value)
{
    return json_is(value, JSON_TRUE);
}

int json_u64(const json *value, uint64_t *out)
{
    return json_is(value, JSON_NUMBER) && parse_u64(value->text, value->length, out);
}

/* "config.json: "hidden_size" is a string, expected a number" */
static int32_t wrong_kind(const json *value, const char *name, const char *key, const char *expected, ecrec_error *err)
{
    static const char *const kinds[] = { "null", "false", "true", "a number", "a string", "an array", "an object" };
    if (value->kind == JSON_NUMBER)
        return error_at(err, ECREC_ERR_FORMAT, value->position, "%s: \"%s\" is %.*s, expected %s", name, key,
                        (int)(value->length < 40 ? value->length : 40), value->text, expected);
    return error_at(err, ECREC_ERR_FORMAT, value->position, "%s: \"%s\" is %s, expected %s", name, key, kinds[value->kind], expected);
}

int32_t json_get_u64(const json *object, const char *name, const char *key, uint64_t missing, uint64_t *out, ecrec_error *err)
{
    const json *v = json_get(object, key);
    if (v == NULL || v->kind == JSON_NULL)
        *out = missing;
    else if (!json_u64(v, out))
        return wrong_kind(v, name, key, "a whole number", err);
    return ECREC_OK;
}

int32_t json_get_double(const json *object, const char *name, const char *key, double missing, double *out, ecrec_error *err)
{
    const json *v = json_get(object, key);
    if (v == NULL || v->kind == JSON_NULL)
        *out = missing;
    else if (v->kind != JSON_NUMBER)
        return wrong_kind(v, name, key, "a number", err);
    else
        *out = v->number;
    return ECREC_OK;
}

int32_t json_get_bool(const json *object, const char *name, const char *key, int missing, int *out, ecrec_error *err)
{
    const json *v = json_get(object, key);
    if (v == NULL || v->kind == JSON_NULL)
        *out = missing;
    else if (v->kind != JSON_TRUE && v->kind != JSON_FALSE)
        return wrong_kind(v, name, key, "true or false", err);
    else
        *out = v->kind == JSON_TRUE;
    return ECREC_OK;
}

int32_t json_get_string(const json *object, const char *name, const char *key, const char *missing, const char **out, ecrec_error *err)
{
    const json *v = json_get(object, key);
    if (v == NULL || v->kind == JSON_NULL)
        *out = missing;
    else if (v->kind != JSON_STRING)
        return wrong_kind(v, name, key, "a string", err);
    else
        *out = v->text;
    return ECREC_OK;
}

int32_t json_write_string(buffer *b, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    int32_t status = buffer_append(b, "\"", 1);
    for (size_t i = 0; i < length && status == ECREC_OK;) {
        unsigned char c = (unsigned char)text[i];
        size_t step = utf8_length((const unsigned char *)text + i, length - i);
        if (c == '"' || c == '\\') {
            char escape[2] = { '\\', (char)c };
            status = buffer_append(b, escape, 2);
        } else if (c == '\n') {
            status = buffer_append(b, "\\n", 2);
        } else if (c < 0x20 || c == 0x7F) {
            char escape[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
            status = buffer_append(b, escape, 6);
        } else if (step == 0) {
            status = buffer_append(b, "\xEF\xBF\xBD", 3);
        } else {
            status = buffer_append(b, text + i, step);
        }
        i += step != 0 ? step : 1;
    }
    return status == ECREC_OK ? buffer_append(b, "\"", 1) : status;
}
