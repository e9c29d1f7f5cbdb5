/* Records from JSONL or TSV into batches. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

enum { COLUMN_WEIGHT = -1, COLUMN_POSITION = -2, COLUMN_PROPENSITY = -3, COLUMN_EVENT = -4, COLUMN_GROUP = -5, ROW_COLUMNS = 5 };
static const char *const row_columns[ROW_COLUMNS] = { "weight", "position", "propensity", "event", "group" };

typedef struct column {
    const char *name;
    int32_t kind; /* ECREC_FIELD_* (a user or item: CATEGORY, an image: VECTOR); 0: a label; else a COLUMN_* */
    int32_t label; /* ECREC_LABEL_* of a label; what it may hold is the batch's to check */
    uint32_t index;
    int at; /* TSV: its cell, or -1 */
    int shadowed;
    size_t *starts, *lengths; /* text, category: into bytes */
    uint8_t *valid;
    double *numbers;
    float *floats;
    uint32_t *positions;
    int64_t *times;
    const char **texts;
    size_t *first_item, *item_starts, *item_lengths, items, item_room; /* multi: of each row; of each value */
    float *item_weights;
    size_t dimension; /* vector: how many values a row must have */
} column;

struct records {
    lines input;
    column *columns;
    size_t count, most, labels_at, rows;
    uint32_t labels;
    int format; /* 0: not known yet, 1: JSONL, 2: TSV */
    int need_labels;
    char *bytes;
    size_t used, room;
    uint64_t *line_of; /* of each row: blank lines are skipped */
    int cells;         /* TSV: of the header */
    int seen;          /* JSONL: a row that names a field */
};

static int bad(const records *r, const column *c, const char *what)
{
    return failed("%s:%llu: field \"%s\": %s", r->input.name, (unsigned long long)r->input.number, c->name, what);
}

/* The schema's calls do not tell how long a vector is; the report on the model does. */
static int read_dimensions(records *r, ecrec_model *ranker)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *info = NULL;
    int32_t status = ecrec_model_info(ranker, &info, &err);
    for (size_t i = 0; status == ECREC_OK && i < r->labels_at; i++) {
        char name[64];
        double dimension = 0;
        if (r->columns[i].kind != ECREC_FIELD_VECTOR)
            continue;
        snprintf(name, sizeof name, "schema.fields.%zu.dimension", i);
        status = ecrec_report_number(info, name, &dimension, &err);
        r->columns[i].dimension = (size_t)dimension;
    }
    ecrec_report_release(info);
    return status == ECREC_OK ? 0 : failed_with(&err);
}

static int32_t form_of(int32_t kind)
{
    return kind == ECREC_FIELD_USER || kind == ECREC_FIELD_ITEM ? ECREC_FIELD_CATEGORY : kind == ECREC_FIELD_IMAGE ? ECREC_FIELD_VECTOR : kind;
}

/* Texts, and ids, which are bytes to us. */
static int is_text(const column *c)
{
    return c->kind == ECREC_FIELD_TEXT || c->kind == ECREC_FIELD_CATEGORY || c->kind == COLUMN_EVENT || c->kind == COLUMN_GROUP;
}

records *records_open(ecrec_model *ranker, const char *path, int need_labels)
{
    const ecrec_schema *schema = ecrec_model_schema(ranker);
    records *r = calloc(1, sizeof *r);
    const uint32_t fields = ecrec_schema_fields(schema);
    if (r == NULL || lines_open(&r->input, path) != 0) {
        free(r);
        return NULL;
    }
    r->labels = ecrec_schema_labels(schema);
    r->labels_at = fields;
    r->count = fields + r->labels + ROW_COLUMNS;
    r->need_labels = need_labels;
    r->columns = calloc(r->count, sizeof *r->columns);
    if (r->columns == NULL) {
        records_close(r);
        (void)failed("no memory");
        return NULL;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        column *c = &r->columns[i];
        *c = (column){ .index = i, .at = -1 };
        if (i < fields) {
            c->kind = form_of(ecrec_schema_field_kind(schema, i));
            c->name = ecrec_schema_field_name(schema, i);
        } else if (i < fields + r->labels) {
            c->kind = 0;
            c->index = i - fields;
            c->name = ecrec_schema_label_name(schema, i - fields);
            c->label = ecrec_schema_label_kind(schema, i - fields, NULL);
        } else {
            c->kind = -1 - (int32_t)(i - fields - r->labels);
            c->name = row_columns[i - fields - r->labels];
            for (uint32_t k = 0; k < fields + r->labels; k++) /* the schema's own name goes first */
                c->shadowed |= strcmp(r->columns[k].name, c->name) == 0;
        }
    }
    if (read_dimensions(r, ranker) == 0)
        return r;
    records_close(r);
    return NULL;
}

void records_close(records *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; r->columns != NULL && i < r->count; i++) {
        column *c = &r->columns[i];
        free(c->starts);
        free(c->lengths);
        free(c->valid);
        free(c->numbers);
        free(c->floats);
        free(c->positions);
        free(c->times);
        free(c->texts);
        free(c->first_item);
        free(c->item_starts);
        free(c->item_lengths);
        free(c->item_weights);
    }
    free(r->columns);
    free(r->bytes);
    free(r->line_of);
    lines_close(&r->input);
    free(r);
}

/* One function a type: *array gets room for n items; 0 when there is no memory, and *array is as it was. */
#define RESIZE(name, type) \
    static int name(type **array, size_t n) \
    { \
        type *more = realloc(*array, n * sizeof *more); \
        *array = more != NULL ? more : *array; \
        return more != NULL; \
    }
RESIZE(resize, size_t)
RESIZE(resize_bytes, uint8_t)
RESIZE(resize_doubles, double)
RESIZE(resize_floats, float)
RESIZE(resize_texts, const char *)
RESIZE(resize_positions, uint32_t)
RESIZE(resize_times, int64_t)

static int make_room(records *r, size_t most)
{
    if (most <= r->most)
        return 0;
    uint64_t *line_of = realloc(r->line_of, most * sizeof *line_of);
    if (line_of == NULL)
        return failed("no memory for %zu rows", most);
    r->line_of = line_of;
    for (size_t i = 0; i < r->count; i++) {
        column *c = &r->columns[i];
        const size_t wide = c->kind == ECREC_FIELD_VECTOR ? c->dimension : 1;
        if (!resize(&c->starts, most) || !resize(&c->lengths, most) || !resize_bytes(&c->valid, most) || !resize_doubles(&c->numbers, most) ||
            !resize_texts(&c->texts, most) || !resize_floats(&c->floats, most * wide) || !resize(&c->first_item, most + 1))
            return failed("no memory for %zu rows", most);
        if ((c->kind == COLUMN_POSITION && !resize_positions(&c->positions, most)) || (c->kind == ECREC_FIELD_TIME && !resize_times(&c->times, most)))
            return failed("no memory for %zu rows", most);
    }
    r->most = most;
    return 0;
}

/* Copies the bytes behind the others. */
static int keep_bytes(records *r, const char *text, size_t length)
{
    if (r->used + length + 1 > r->room) {
        const size_t room = 2 * (r->used + length + 1);
        char *more = realloc(r->bytes, room);
        if (more == NULL)
            return failed("no memory for the rows of %s", r->input.name);
        r->bytes = more;
        r->room = room;
    }
    memcpy(r->bytes + r->used, text, length);
    r->used += length;
    return 0;
}

static int put_text(records *r, column *c, size_t row, const char *text, size_t length)
{
    const size_t start = r->used;
    const int status = keep_bytes(r, text, length);
    if (status != 0)
        return status;
    c->starts[row] = start;
    c->lengths[row] = length;
    c->valid[row] = 1;
    return 0;
}

static int put_number(records *r, column *c, size_t row, double value)
{
    if (!isfinite(value))
        return bad(r, c, "it is not a finite number");
    if (c->kind == 0 && c->label == ECREC_LABEL_BINARY && value != 0 && value != 1)
        return bad(r, c, "a label must be 0 or 1");
    if (c->kind == COLUMN_WEIGHT && value < 0)
        return bad(r, c, "a weight must not be below 0");
    if (c->kind == COLUMN_POSITION && !(value >= 1 && value <= UINT32_MAX && value == floor(value)))
        return bad(r, c, "a position is a whole number from 1");
    if (c->kind == COLUMN_PROPENSITY && !(value > 0 && value <= 1))
        return bad(r, c, "a propensity is above 0 and at most 1");
    if (c->kind == ECREC_FIELD_TIME && !(fabs(value) < 3e17))
        return bad(r, c, "a time is microseconds since 1970");
    c->numbers[row] = value;
    c->valid[row] = 1;
    return 0;
}

static int put_vector(records *r, column *c, size_t row, const double *values, size_t n)
{
    if (n == 0)
        return bad(r, c, "the vector is empty");
    if (n != c->dimension) {
        char text[96];
        snprintf(text, sizeof text, "the vector has %zu values, the schema says %zu", n, c->dimension);
        return bad(r, c, text);
    }
    for (size_t i = 0; i < n; i++)
        c->floats[row * n + i] = (float)values[i];
    c->valid[row] = 1;
    return 0;
}

/* "1.5 2 3" or "1.5,2,3" or "[1.5, 2, 3]" */
static int parse_vector(records *r, column *c, size_t row, const char *text)
{
    double *values = NULL;
    size_t n = 0, room = 0;
    int status = 0;
    while (status == 0) {
        text += strspn(text, " ,[]");
        if (*text == 0)
            break;
        char *end = NULL;
        const double v = strtod(text, &end);
        if (end == text) {
            status = bad(r, c, "it is not a list of numbers");
            break;
        }
        if (n == room) {
            room = room != 0 ? 2 * room : 64;
            if (!resize_doubles(&values, room)) {
                status = failed("no memory for the vectors of %s", r->input.name);
                break;
            }
        }
        values[n++] = v;
        text = end;
    }
    if (status == 0)
        status = put_vector(r, c, row, values, n);
    free(values);
    return status;
}

/* One more value of a multi field. */
static int put_item(records *r, column *c, const char *text, size_t length, double weight)
{
    const size_t room = c->items < c->item_room ? c->item_room : 2 * c->items + 64;
    if (room != c->item_room && (!resize(&c->item_starts, room) || !resize(&c->item_lengths, room) || !resize_floats(&c->item_weights, room)))
        return failed("no memory for the values of %s", r->input.name);
    c->item_room = room;
    const size_t start = r->used;
    const int status = keep_bytes(r, text, length);
    if (status != 0)
        return status;
    c->item_starts[c->items] = start;
    c->item_lengths[c->items] = length;
    c->item_weights[c->items++] = (float)weight;
    return 0;
}

/* TSV: values between bars. */
static int parse_items(records *r, column *c, size_t row, char *cell)
{
    int status = 0;
    for (char *next; cell != NULL && status == 0; cell = next) {
        next = strchr(cell, '|');
        status = put_item(r, c, cell, next != NULL ? (size_t)(next++ - cell) : strlen(cell), 1);
    }
    c->valid[row] = 1;
    return status;
}

/* JSON: ["a", "b"] or {"a": 2, "b": 0.5}. */
static int put_items(records *r, column *c, size_t row, const json_t *v)
{
    int status = 0;
    if (!json_is_array(v) && !json_is_object(v))
        return bad(r, c, "several values are an array of strings, or an object of values and their weights");
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v) && status == 0; i++) {
        const json_t *one = json_array_get(v, i);
        char spelt[32];
        if (json_is_integer(one)) {
            snprintf(spelt, sizeof spelt, "%lld", (long long)json_integer_value(one));
            status = put_item(r, c, spelt, strlen(spelt), 1);
        } else {
            status = json_is_string(one) ? put_item(r, c, json_string_value(one), json_string_length(one), 1) : bad(r, c, "a value must be a string or a whole number");
        }
    }
    const char *key;
    json_t *weight;
    if (json_is_object(v))
        json_object_foreach((json_t *)(uintptr_t)v, key, weight)
            if (status == 0)
                status = json_is_number(weight) ? put_item(r, c, key, strlen(key), json_number_value(weight)) : bad(r, c, "a weight must be a number");
    c->valid[row] = 1;
    return status;
}

static int put_cell(records *r, column *c, size_t row, char *cell)
{
    char *end = NULL;
    if (*cell == 0)
        return 0; /* missing */
    if (is_text(c))
        return put_text(r, c, row, cell, strlen(cell));
    if (c->kind == ECREC_FIELD_VECTOR)
        return parse_vector(r, c, row, cell);
    if (c->kind == ECREC_FIELD_MULTI)
        return parse_items(r, c, row, cell);
    const double value = strtod(cell, &end);
    if (*end != 0) {
        char text[128];
        snprintf(text, sizeof text, "\"%.80s\" is not a number", cell);
        return bad(r, c, text);
    }
    return put_number(r, c, row, value);
}

static int put_json(records *r, column *c, size_t row, const json_t *v)
{
    if (v == NULL || json_is_null(v))
        return 0;
    if (c->kind == ECREC_FIELD_MULTI)
        return put_items(r, c, row, v);
    if (c->kind == ECREC_FIELD_VECTOR) {
        if (!json_is_array(v))
            return bad(r, c, "a vector must be an array of numbers");
        const size_t n = json_array_size(v);
        double *values = malloc((n + 1) * sizeof *values);
        int status = values != NULL ? 0 : failed("no memory for the vectors of %s", r->input.name);
        for (size_t i = 0; i < n && status == 0; i++) {
            const json_t *one = json_array_get(v, i);
            values[i] = json_number_value(one);
            if (!json_is_number(one))
                status = bad(r, c, "a vector must be an array of numbers");
        }
        if (status == 0)
            status = put_vector(r, c, row, values, n);
        free(values);
        return status;
    }
    if (is_text(c)) {
        char spelt[64];
        if (json_is_string(v))
            return put_text(r, c, row, json_string_value(v), json_string_length(v));
        if (c->kind == ECREC_FIELD_TEXT || json_is_array(v) || json_is_object(v))
            return bad(r, c, c->kind == ECREC_FIELD_TEXT ? "it must be a string" : "a category must be a string, a number, true or false");
        if (json_is_integer(v))
            snprintf(spelt, sizeof spelt, "%lld", (long long)json_integer_value(v));
        else if (json_is_real(v))
            snprintf(spelt, sizeof spelt, "%.17g", json_real_value(v));
        else
            snprintf(spelt, sizeof spelt, "%s", json_is_true(v) ? "true" : "false");
        return put_text(r, c, row, spelt, strlen(spelt));
    }
    if (json_is_boolean(v))
        return put_number(r, c, row, json_is_true(v));
    return json_is_number(v) ? put_number(r, c, row, json_number_value(v)) : bad(r, c, "it must be a number");
}

static int read_header(records *r)
{
    int cell = 0;
    for (char *at = r->input.line, *next; at != NULL; at = next, cell++) {
        next = strchr(at, '\t');
        if (next != NULL)
            *next++ = 0;
        for (size_t i = 0; i < r->count; i++)
            if (!r->columns[i].shadowed && strcmp(r->columns[i].name, at) == 0)
                r->columns[i].at = cell;
    }
    r->cells = cell;
    size_t found = 0;
    for (size_t i = 0; i < r->labels_at; i++)
        found += r->columns[i].at >= 0;
    if (found == 0)
        return failed("%s:1: the header line names none of the schema's fields (first field: \"%s\")", r->input.name, r->columns[0].name);
    for (size_t i = r->labels_at; r->need_labels && i < r->labels_at + r->labels; i++)
        if (r->columns[i].at < 0)
            return failed("%s:1: the header line lacks the label \"%s\"", r->input.name, r->columns[i].name);
    return 0;
}

/* A first row without any of the schema's fields is the wrong file, or a misspelt one: scores of it would say nothing. */
static int check_names(records *r, const json_t *row)
{
    for (size_t i = 0; i < r->labels_at; i++)
        if (json_object_get(row, r->columns[i].name) != NULL)
            r->seen = 1;
    return r->seen ? 0 : failed("%s:%llu: the row names none of the schema's fields (first field: \"%s\")", r->input.name,
                                (unsigned long long)r->input.number, r->columns[0].name);
}

static int read_row(records *r, size_t row)
{
    for (size_t i = 0; i < r->count; i++) {
        column *c = &r->columns[i];
        c->valid[row] = 0;
        c->items = row == 0 ? 0 : c->items;
        c->first_item[row] = c->items;
    }
    if (r->format == 1) {
        json_error_t error;
        json_t *v = json_loadb(r->input.line, r->input.length, JSON_REJECT_DUPLICATES, &error);
        int status = 0;
        if (!json_is_object(v)) {
            json_decref(v);
            return failed("%s:%llu: it is not a JSON object: %s", r->input.name, (unsigned long long)r->input.number, v != NULL ? "another value" : error.text);
        }
        if (!r->seen && (status = check_names(r, v)) != 0) {
            json_decref(v);
            return status;
        }
        for (size_t i = 0; i < r->count && status == 0; i++)
            status = r->columns[i].shadowed ? 0 : put_json(r, &r->columns[i], row, json_object_get(v, r->columns[i].name));
        json_decref(v);
        return status;
    }
    int cell = 0;
    for (char *at = r->input.line, *next; at != NULL; at = next, cell++) {
        next = strchr(at, '\t');
        if (next != NULL)
            *next++ = 0;
        for (size_t i = 0; i < r->count; i++)
            if (r->columns[i].at == cell && put_cell(r, &r->columns[i], row, at) != 0)
                return EXIT_FAILED;
    }
    return cell <= r->cells ? 0 : failed("%s:%llu: the row has %d cells, the header line has %d", r->input.name, (unsigned long long)r->input.number, cell, r->cells);
}

static int32_t fill_items(records *r, column *c, ecrec_batch *batch, size_t rows, ecrec_error *err)
{
    const char **values = malloc((c->items + 1) * sizeof *values);
    if (values == NULL) {
        err->message[0] = 0;
        return ECREC_ERR_NOMEM;
    }
    for (size_t i = 0; i < c->items; i++)
        values[i] = r->bytes + c->item_starts[i];
    c->first_item[rows] = c->items;
    const int32_t status = ecrec_batch_set_multi(batch, c->index, c->first_item, values, c->item_lengths, c->item_weights, c->valid, err);
    free((void *)values);
    return status;
}

static int32_t fill_column(records *r, column *c, ecrec_batch *batch, size_t rows, ecrec_error *err)
{
    for (size_t i = 0; i < rows; i++) {
        c->texts[i] = c->valid[i] && is_text(c) ? r->bytes + c->starts[i] : NULL;
        if (c->kind <= 0 && !is_text(c))
            c->floats[i] = c->valid[i] ? (float)c->numbers[i] : c->kind == 0 ? 0.0f : 1.0f;
        if (c->kind == COLUMN_POSITION)
            c->positions[i] = c->valid[i] ? (uint32_t)c->numbers[i] : 1;
        if (c->kind == ECREC_FIELD_TIME)
            c->times[i] = c->valid[i] ? (int64_t)c->numbers[i] : 0;
    }
    switch (c->kind) {
    case ECREC_FIELD_TEXT: return ecrec_batch_set_text(batch, c->index, c->texts, c->lengths, err);
    case ECREC_FIELD_CATEGORY: return ecrec_batch_set_category(batch, c->index, c->texts, c->lengths, err);
    case ECREC_FIELD_NUMBER: return ecrec_batch_set_number(batch, c->index, c->numbers, c->valid, err);
    case ECREC_FIELD_VECTOR: return ecrec_batch_set_vector(batch, c->index, c->floats, c->dimension, c->valid, err);
    case ECREC_FIELD_MULTI: return fill_items(r, c, batch, rows, err);
    case ECREC_FIELD_TIME: return ecrec_batch_set_time(batch, c->index, c->times, c->valid, err);
    case 0: return ecrec_batch_set_label(batch, c->index, c->floats, c->valid, err);
    case COLUMN_POSITION: return ecrec_batch_set_position(batch, c->positions, c->valid, err);
    case COLUMN_PROPENSITY: return ecrec_batch_set_propensity(batch, c->floats, c->valid, err);
    case COLUMN_EVENT: return ecrec_batch_set_event_bytes(batch, c->texts, c->lengths, err);
    case COLUMN_GROUP: return ecrec_batch_set_group_bytes(batch, c->texts, c->lengths, err);
    default: return ecrec_batch_set_weight(batch, c->floats, err);
    }
}

long records_next(records *r, ecrec_batch *batch, size_t most)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t rows = 0;
    if (make_room(r, most) != 0)
        return -1;
    r->used = 0;
    while (rows < most) {
        const int more = lines_next(&r->input);
        if (more < 0)
            return -1;
        if (more == 0)
            break;
        if (r->input.line[strspn(r->input.line, " \t")] == 0 && (r->format != 2 || r->input.length == 0))
            continue;
        if (r->format == 0) {
            r->format = r->input.line[strspn(r->input.line, " ")] == '{' ? 1 : 2;
            if (r->format == 2) {
                if (read_header(r) != 0)
                    return -1;
                continue;
            }
        }
        r->line_of[rows] = r->input.number;
        if (read_row(r, rows) != 0)
            return -1;
        for (size_t i = r->labels_at; r->need_labels && i < r->labels_at + r->labels; i++)
            if (r->labels == 1 && !r->columns[i].valid[rows]) {
                (void)bad(r, &r->columns[i], "the label is missing");
                return -1;
            }
        rows++;
    }
    r->rows = rows;
    if (rows == 0)
        return 0;
    int32_t status = ecrec_batch_reset(batch, rows, &err);
    for (size_t i = 0; i < r->count && status == ECREC_OK; i++)
        status = fill_column(r, &r->columns[i], batch, rows, &err);
    for (size_t i = 0; i < r->labels; i++)
        for (size_t row = 0; row < rows; row++)
            if (!r->columns[r->labels_at + i].valid[row])
                r->columns[r->labels_at + i].floats[row] = NAN;
    return status == ECREC_OK ? (long)rows : records_failed(r, &err) - 2;
}

int records_failed(const records *r, const ecrec_error *err)
{
    const char *message = err->message;
    if (err->row >= r->rows)
        return failed("%s: %s", r->input.name, message);
    if (strncmp(message, "row ", 4) == 0) { /* of the batch: the line says it better */
        const size_t n = 4 + strspn(message + 4, "0123456789");
        message += strncmp(message + n, ": ", 2) == 0 || strncmp(message + n, ", ", 2) == 0 ? n + 2 : 0;
    }
    return failed("%s:%llu: %s", r->input.name, (unsigned long long)r->line_of[err->row], message);
}

double records_share(const records *r)
{
    struct stat about;
    if (fstat(fileno(r->input.file), &about) != 0 || !S_ISREG(about.st_mode) || about.st_size <= 0)
        return -1;
    return (double)ftello(r->input.file) / (double)about.st_size;
}

const char *records_name(const records *r)
{
    return r->input.name;
}

uint64_t records_line(const records *r, size_t row)
{
    return r->line_of[row];
}

const float *records_weights(const records *r)
{
    return r->columns[r->labels_at + r->labels].floats;
}

const float *records_label(const records *r, uint32_t label)
{
    return r->columns[r->labels_at + label].floats;
}

const char *records_text(const records *r, uint32_t field, size_t row, size_t *length)
{
    *length = r->columns[field].lengths[row];
    return r->columns[field].texts[row];
}
