/* What encode and score read: texts, pairs of texts, token ids, pixels. */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- NumPy's format ---- */

/* The numbers of 'shape': (a, b, ...) in a header; how many. */
static size_t npy_shape(const char *header, size_t shape[4])
{
    const char *at = strstr(header, "'shape':");
    size_t n = 0;
    if (at == NULL || (at = strchr(at, '(')) == NULL)
        return 0;
    for (at++; n < 5 && *at != 0 && *at != ')';) {
        char *end = NULL;
        const unsigned long long value = strtoull(at, &end, 10);
        if (end == at || n == 4)
            return 0;
        shape[n++] = (size_t)value;
        for (at = end; *at == ',' || *at == ' '; at++)
            ;
    }
    return n;
}

/* float32 of shape (n, channels, height, width); NULL: told. */
static float *npy_read(const char *path, size_t shape[4])
{
    unsigned char head[12] = { 0 };
    char header[65536];
    FILE *f = fopen(path, "rb");
    float *values = NULL;
    size_t length = 0, count = 1;
    if (f == NULL) {
        (void)failed("%s: it cannot be opened", path);
        return NULL;
    }
    if (fread(head, 1, 10, f) != 10 || memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3 || (head[6] > 1 && fread(head + 10, 1, 2, f) != 2)) {
        (void)failed("%s: it is no file of NumPy's (numpy.save writes one)", path);
        goto done;
    }
    length = head[8] + 256u * head[9] + (head[6] > 1 ? 65536u * head[10] : 0);
    if (length >= sizeof header || fread(header, 1, length, f) != length) {
        (void)failed("%s: its header is truncated or above %zu bytes", path, sizeof header - 1);
        goto done;
    }
    while (length > 0 && (header[length - 1] == ' ' || header[length - 1] == '\n'))
        length--;
    header[length] = 0;
    if (strstr(header, "'<f4'") == NULL || strstr(header, "'fortran_order': False") == NULL || npy_shape(header, shape) != 4) {
        (void)failed("%s: float32 of shape (images, channels, height, width) in C order is needed; its header says %s", path, header);
        goto done;
    }
    for (int i = 0; i < 4; i++)
        count = shape[i] != 0 && count > SIZE_MAX / 8 / shape[i] ? SIZE_MAX / 8 : count * shape[i];
    if (count == SIZE_MAX / 8 || (values = malloc(count * sizeof *values + 1)) == NULL) {
        (void)failed("%s: no memory for %zu values", path, count);
    } else if (fread(values, sizeof *values, count, f) != count) {
        (void)failed("%s: it is truncated: %zu values are needed", path, count);
        free(values);
        values = NULL;
    }
done:
    fclose(f);
    return values;
}

/* ---- token ids ---- */

static int grow(rows *r, size_t more)
{
    if (r->tokens + more > r->room) {
        r->room = 2 * (r->tokens + more);
        r->ids = realloc(r->ids, r->room * sizeof *r->ids);
        r->types = realloc(r->types, r->room);
    }
    if (r->count + 2 > r->starts_room) {
        r->starts_room = 2 * (r->count + 2);
        r->starts = realloc(r->starts, r->starts_room * sizeof *r->starts);
        r->numbers = realloc(r->numbers, r->starts_room * sizeof *r->numbers);
    }
    return (r->ids == NULL && r->room != 0) || (r->types == NULL && r->room != 0) || r->starts == NULL || r->numbers == NULL ? failed("no memory for %zu tokens", r->room) : 0;
}

/* One line: {"input_ids": [...], "token_type_ids": [...]}. */
static int add_ids(rows *r, const lines *l)
{
    json_error_t error;
    json_t *v = json_loadb(l->line, l->length, JSON_REJECT_DUPLICATES, &error);
    const json_t *ids = json_object_get(v, "input_ids"), *types = json_object_get(v, "token_type_ids");
    const size_t n = json_array_size(ids);
    int code = EXIT_FAILED;
    if (v == NULL)
        (void)failed("%s:%llu: %s", l->name, (unsigned long long)l->number, error.text);
    else if (!json_is_array(ids))
        (void)failed("%s:%llu: \"input_ids\" is no list of token ids", l->name, (unsigned long long)l->number);
    else if (types != NULL && !json_is_null(types) && (!json_is_array(types) || json_array_size(types) != n))
        (void)failed("%s:%llu: \"token_type_ids\" is no list of %zu token types", l->name, (unsigned long long)l->number, n);
    else
        code = grow(r, n);
    for (size_t i = 0; code == 0 && i < n; i++) {
        const json_t *id = json_array_get(ids, i), *type = json_array_get(types, i);
        const json_int_t number = json_integer_value(id), kind = json_integer_value(type);
        if (!json_is_integer(id) || number < 0 || number > UINT32_MAX || (type != NULL && (!json_is_integer(type) || kind < 0 || kind > 255)))
            code = failed("%s:%llu: token %zu: its id or type is no number that it can be", l->name, (unsigned long long)l->number, i);
        r->ids[r->tokens] = (uint32_t)number;
        r->types[r->tokens++] = (uint8_t)kind;
    }
    if (code == 0) {
        r->numbers[r->count++] = l->number;
        r->starts[r->count] = r->tokens;
    }
    json_decref(v);
    return code;
}

int rows_ids(rows *r, const char *path)
{
    lines l;
    int code = grow(r, 1), more = 0;
    r->name = path != NULL && strcmp(path, "-") != 0 ? path : "stdin";
    if (code != 0 || lines_open(&l, path) != 0)
        return EXIT_FAILED;
    r->starts[0] = 0;
    while (code == 0 && (more = lines_next(&l)) == 1)
        code = l.length != 0 ? add_ids(r, &l) : 0;
    lines_close(&l);
    r->input.kind = ECREC_INPUT_IDS;
    r->input.count = r->count;
    r->input.ids = r->ids;
    r->input.types = r->types;
    r->input.starts = r->starts;
    return code != 0 || more < 0 ? EXIT_FAILED : 0;
}

unsigned long long rows_line(const rows *r, uint64_t row)
{
    return r->numbers != NULL && row < r->count ? r->numbers[row] : (unsigned long long)row + 1;
}

/* ---- pixels ---- */

int rows_pixels(rows *r, const char *path)
{
    size_t shape[4] = { 0 };
    if ((r->pixels = npy_read(path, shape)) == NULL)
        return EXIT_FAILED;
    if (shape[1] > UINT_MAX || shape[2] > UINT_MAX || shape[3] > UINT_MAX)
        return failed("%s: images of %zu x %zu x %zu are too large", path, shape[1], shape[2], shape[3]);
    r->input.kind = ECREC_INPUT_PIXELS;
    r->input.count = shape[0];
    r->input.pixels = r->pixels;
    r->input.channels = (uint32_t)shape[1];
    r->input.height = (uint32_t)shape[2];
    r->input.width = (uint32_t)shape[3];
    return 0;
}

/* ---- texts ---- */

int rows_texts(rows *r, const char *path)
{
    r->name = path != NULL ? path : "stdin";
    if (texts_read(path, &r->text) != 0)
        return EXIT_FAILED;
    r->input.kind = ECREC_INPUT_TEXTS;
    r->input.count = r->text.count;
    r->input.texts = r->text.at;
    r->input.lengths = r->text.lengths;
    return 0;
}

/* The string under a key as a copy of the row's own; 0: there, 1: not there, else told. */
static int own_string(const rows *r, const json_t *object, const char *key, size_t row, const char **text, size_t *length)
{
    const json_t *v = json_object_get(object, key);
    *text = NULL;
    *length = 0;
    if (v == NULL || json_is_null(v))
        return 1;
    if (!json_is_string(v))
        return failed("%s:%zu: \"%s\" is no text", r->name, row + 1, key) + 1;
    *length = json_string_length(v);
    char *copy = malloc(*length + 1);
    if (copy == NULL)
        return failed("no memory for the texts of %s", r->name) + 1;
    memcpy(copy, json_string_value(v), *length);
    copy[*length] = 0;
    *text = copy;
    return 0;
}

static int pair_of_json(rows *r, size_t row)
{
    json_error_t error;
    json_t *v = json_loadb(r->text.at[row], r->text.lengths[row], JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    const char *text = NULL, *pair = NULL;
    size_t length = 0, pair_length = 0;
    int code = EXIT_FAILED;
    if (!json_is_object(v))
        (void)failed("%s:%zu: %s", r->name, row + 1, v == NULL ? error.text : "it is no object");
    else if (own_string(r, v, "text", row, &text, &length) == 1)
        (void)failed("%s:%zu: there is no \"text\"", r->name, row + 1);
    else if (text != NULL && own_string(r, v, "pair", row, &pair, &pair_length) <= 1)
        code = 0;
    r->first[row] = text;
    r->first_lengths[row] = length;
    r->second[row] = pair;
    r->second_lengths[row] = pair_length;
    json_decref(v);
    return code;
}

static void pair_of_line(rows *r, size_t row)
{
    const char *line = r->text.at[row], *tab = memchr(line, '\t', r->text.lengths[row]);
    const size_t n = tab != NULL ? (size_t)(tab - line) : r->text.lengths[row];
    r->first[row] = line;
    r->first_lengths[row] = n;
    r->second[row] = tab != NULL ? tab + 1 : NULL;
    r->second_lengths[row] = tab != NULL ? r->text.lengths[row] - n - 1 : 0;
}

int rows_pairs(rows *r, const char *path)
{
    if (rows_texts(r, path) != 0)
        return EXIT_FAILED;
    const size_t n = r->text.count;
    r->first = calloc(n + 1, sizeof *r->first);
    r->second = calloc(n + 1, sizeof *r->second);
    r->first_lengths = calloc(n + 1, sizeof *r->first_lengths);
    r->second_lengths = calloc(n + 1, sizeof *r->second_lengths);
    if (r->first == NULL || r->second == NULL || r->first_lengths == NULL || r->second_lengths == NULL)
        return failed("no memory for the texts of %s", r->name);
    r->copied = n != 0 && r->text.lengths[0] != 0 && r->text.at[0][0] == '{';
    for (size_t i = 0; i < n; i++) {
        if (!r->copied)
            pair_of_line(r, i);
        else if (pair_of_json(r, i) != 0)
            return EXIT_FAILED;
        r->paired |= r->second[i] != NULL;
    }
    r->input.texts = r->first;
    r->input.lengths = r->first_lengths;
    r->pairs = r->input;
    r->pairs.texts = r->second;
    r->pairs.lengths = r->second_lengths;
    return 0;
}

void rows_open(rows *r)
{
    memset(r, 0, sizeof *r);
    ecrec_encode_input_init(&r->input);
}

void rows_free(rows *r)
{
    for (size_t i = 0; r->copied && i < r->text.count; i++) {
        free((char *)(uintptr_t)(r->first != NULL ? r->first[i] : NULL)); /* ours: copied in pair_of_json */
        free((char *)(uintptr_t)(r->second != NULL ? r->second[i] : NULL));
    }
    free(r->first);
    free(r->second);
    free(r->first_lengths);
    free(r->second_lengths);
    texts_free(&r->text);
    free(r->ids);
    free(r->types);
    free(r->starts);
    free(r->numbers);
    free(r->pixels);
    for (size_t i = 0; i < r->picture_count; i++)
        free(r->pictures[i]);
    free(r->pictures);
    free(r->heights);
    free(r->widths);
}
