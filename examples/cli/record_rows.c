/* Rows of JSONL, CSV, TSV and LIBSVM. */
#define _POSIX_C_SOURCE 200809L
#include "records.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

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
            double *more = realloc(values, room * sizeof *more);
            values = more != NULL ? more : values;
            if (more == NULL) {
                status = broken(r, "no memory for the vectors");
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

/* In a cell: values between bars. */
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

static int put_time(records *r, column *c, size_t row, const char *text)
{
    int64_t t = 0;
    char message[160];
    if (time_parse(text, &t)) {
        c->numbers[row] = 0;
        c->times[row] = t;
        c->valid[row] = 1;
        return 0;
    }
    snprintf(message, sizeof message, "\"%.60s\" is no time (2024-05-01T12:30:00Z, or microseconds since 1970)", text);
    return bad(r, c, message);
}

static int put_cell(records *r, column *c, size_t row, const cell *cut)
{
    char *end = NULL, *cell = cut->text;
    if (cut->length == 0 && !(cut->quoted && is_text(c)))
        return 0; /* missing */
    if (is_text(c))
        return put_text(r, c, row, cell, cut->length);
    if (c->kind == ECREC_FIELD_VECTOR)
        return parse_vector(r, c, row, cell);
    if (c->kind == ECREC_FIELD_MULTI || c->kind == ECREC_FIELD_HISTORY)
        return parse_items(r, c, row, cell);
    if (c->kind == ECREC_FIELD_TIME)
        return put_time(r, c, row, cell);
    const double value = strtod(cell, &end);
    if (*end != 0) {
        char text[128];
        snprintf(text, sizeof text, "\"%.80s\" is not a number", cell);
        return bad(r, c, text);
    }
    return put_number(r, c, row, value);
}

/* [item, ...] or [{"item": ..., "type": 1, "time": ...}, ...], oldest first. */
static int put_history(records *r, column *c, size_t row, const json_t *v)
{
    int status = 0, timed = 0;
    if (!json_is_array(v))
        return bad(r, c, "a history is an array of items, or of objects with \"item\", \"type\" and \"time\"");
    for (size_t i = 0; i < json_array_size(v) && status == 0; i++) {
        const json_t *one = json_array_get(v, i), *item = json_is_object(one) ? json_object_get(one, "item") : one;
        const json_t *type = json_object_get(one, "type"), *when = json_object_get(one, "time");
        char spelt[32];
        int64_t t = 0;
        const char *text = json_is_string(item) ? json_string_value(item) : spelt;
        if (json_is_integer(item))
            snprintf(spelt, sizeof spelt, "%lld", (long long)json_integer_value(item));
        else if (!json_is_string(item))
            return bad(r, c, "an event's item must be a string or a whole number");
        if (type != NULL && (!json_is_integer(type) || json_integer_value(type) < 0 || json_integer_value(type) > 255))
            return bad(r, c, "an event's type must be a whole number, 0 .. 255");
        if (when != NULL && !json_is_integer(when) && !(json_is_string(when) && time_parse(json_string_value(when), &t)))
            return bad(r, c, "an event's time must be a time, or microseconds since 1970");
        if (json_is_integer(when))
            t = json_integer_value(when);
        if (i != 0 && timed != (when != NULL))
            return bad(r, c, "either all events of a history have a time, or none");
        timed = when != NULL;
        status = put_event(r, c, text, json_is_string(item) ? json_string_length(item) : strlen(spelt), type != NULL ? (uint32_t)json_integer_value(type) : 0, timed, t);
    }
    c->valid[row] = status == 0;
    return status;
}

static int put_json(records *r, column *c, size_t row, const json_t *v)
{
    if (v == NULL || json_is_null(v))
        return 0;
    if (c->kind == ECREC_FIELD_MULTI)
        return put_items(r, c, row, v);
    if (c->kind == ECREC_FIELD_HISTORY)
        return put_history(r, c, row, v);
    if (c->kind == ECREC_FIELD_TIME && json_is_string(v))
        return put_time(r, c, row, json_string_value(v));
    if (c->kind == ECREC_FIELD_TIME && json_is_integer(v)) {
        c->times[row] = json_integer_value(v);
        c->valid[row] = 1;
        return 0;
    }
    if (c->kind == ECREC_FIELD_VECTOR) {
        if (!json_is_array(v))
            return bad(r, c, "a vector must be an array of numbers");
        const size_t n = json_array_size(v);
        double *values = malloc((n + 1) * sizeof *values);
        int status = values != NULL ? 0 : broken(r, "no memory for the vectors");
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

static const char byte_0[] = "it has a byte 0, which no text has (was the file cut by a crash?)"; /* what follows it would not be seen */

/* The line's cells, in r->cells; rows of CSV may go on in the lines that follow. */
static int cut(records *r, size_t room, size_t *count)
{
    enum { MOST_ROW = 1 << 26 };
    const char separator = r->format == FORMAT_CSV ? ',' : '\t';
    char *line = r->input.line;
    size_t length = r->input.length;
    const unsigned long long first = (unsigned long long)r->input.number;
    while (r->format == FORMAT_CSV && cells_open(line, length, separator)) {
        if (length > r->joined_room || r->joined == NULL || line != r->joined) {
            char *more = realloc(r->joined, length + 1);
            if (more == NULL)
                return broken(r, "no memory for the row");
            r->joined = more;
            r->joined_room = length;
            memcpy(r->joined, line, length + 1);
        }
        const int more = length < MOST_ROW ? lines_next(&r->input) : 0;
        if (more <= 0)
            return more < 0 ? (r->fatal = 1, EXIT_FAILED) : broken(r, "a quote is open since line %llu", first);
        char *joined = realloc(r->joined, length + r->input.length + 2);
        if (joined == NULL)
            return broken(r, "no memory for the row");
        joined[length] = '\n';
        memcpy(joined + length + 1, r->input.line, r->input.length + 1);
        length += r->input.length + 1;
        r->joined_room = length;
        line = r->joined = joined;
    }
    cell *cells = realloc(r->cells, room * sizeof *cells);
    if (cells == NULL)
        return broken(r, "no memory for the cells");
    r->cells = cells;
    if (memchr(line, 0, length) != NULL)
        return bad_line(r, "%s", byte_0);
    const char *wrong = cells_split(line, length, separator, cells, room, count);
    return wrong == NULL ? 0 : bad_line(r, "behind the closing quote of cell %zu stands \"%.20s\"", *count, wrong);
}

/* The first line says the format, when nobody did, and with it which cell is whose. */
int row_header(records *r)
{
    enum { MOST_CELLS = 65536 };
    if (r->format == FORMAT_UNKNOWN) {
        const char *line = r->input.line;
        int named = 0; /* a header of one name, which may have a comma in it */
        for (size_t i = 0; i < r->labels_at; i++)
            named |= strcmp(r->columns[i].name, line) == 0;
        r->format = line[strspn(line, " ")] == '{' ? FORMAT_JSONL : strchr(line, '\t') == NULL && strchr(line, ',') != NULL && !named ? FORMAT_CSV : FORMAT_TSV;
        if (r->format == FORMAT_JSONL)
            return 0;
    }
    const unsigned long long line = (unsigned long long)r->input.number;
    const int skip = r->skip_bad;
    r->skip_bad = 0; /* a header is no row */
    int status = cut(r, MOST_CELLS, &r->header);
    r->skip_bad = skip;
    if (status != 0)
        return status;
    size_t found = 0;
    for (size_t k = 0; k < r->header && k < MOST_CELLS; k++)
        for (size_t i = 0; i < r->count; i++) {
            column *c = &r->columns[i];
            const char *text = k == 0 && strncmp(r->cells[k].text, "\xef\xbb\xbf", 3) == 0 ? r->cells[k].text + 3 : r->cells[k].text;
            if (c->shadowed || strcmp(c->name, text) != 0)
                continue;
            if (c->at >= 0)
                return failed("%s:%llu: the header line has \"%s\" twice", r->input.name, line, c->name);
            c->at = (int)k;
            found += i < r->labels_at;
        }
    if (found == 0)
        return failed("%s:%llu: the header line names none of the schema's fields (first field: \"%s\")", r->input.name, line, r->columns[0].name);
    for (size_t i = r->labels_at; r->need_labels && i < r->labels_at + r->labels; i++)
        if (r->columns[i].at < 0)
            return failed("%s:%llu: the header line lacks the label \"%s\"", r->input.name, line, r->columns[i].name);
    return 0;
}

/* A first row without any of the schema's fields is the wrong file, or a misspelt one: scores of it would say nothing. */
static int check_names(records *r, const json_t *row)
{
    for (size_t i = 0; i < r->labels_at; i++)
        if (json_object_get(row, r->columns[i].name) != NULL)
            r->seen = 1;
    return r->seen ? 0 : broken(r, "the row names none of the schema's fields (first field: \"%s\")", r->columns[0].name);
}

static int read_json(records *r, size_t row)
{
    json_error_t error;
    json_t *v = json_loadb(r->input.line, r->input.length, JSON_REJECT_DUPLICATES, &error);
    int status = 0;
    if (!json_is_object(v)) {
        json_decref(v);
        return bad_line(r, "it is not a JSON object: %.200s", v != NULL ? "another value" : error.text);
    }
    if (!r->seen)
        status = check_names(r, v);
    for (size_t i = 0; i < r->count && status == 0; i++)
        status = r->columns[i].shadowed ? 0 : put_json(r, &r->columns[i], row, json_object_get(v, r->columns[i].name));
    json_decref(v);
    return status;
}

static int read_cells(records *r, size_t row)
{
    size_t count = 0;
    int status = cut(r, r->header, &count);
    if (status == 0 && count > r->header)
        status = bad_line(r, "the row has %zu cells, the header line has %zu", count, r->header);
    for (size_t i = 0; i < r->count && status == 0; i++)
        if (r->columns[i].at >= 0 && (size_t)r->columns[i].at < count)
            status = put_cell(r, &r->columns[i], row, &r->cells[r->columns[i].at]);
    return status;
}

/* "1 qid:3 4:0.5 17:1": the first label, its group, and the number of each index: of the number field of that name, else a value of the
 * schema's first field of several, with the number as its weight. */
static int read_libsvm(records *r, size_t row)
{
    char *at = r->input.line + strspn(r->input.line, " \t"), *index = NULL, *end = NULL;
    double value = strtod(at, &end);
    column *label = r->labels != 0 ? &r->columns[r->labels_at] : NULL, *multi = NULL;
    for (size_t i = 0; i < r->labels_at && multi == NULL; i++)
        if (r->columns[i].kind == ECREC_FIELD_MULTI)
            multi = &r->columns[i];
    if (end == at || (*end != 0 && *end != ' ' && *end != '\t'))
        return bad_line(r, "\"%.40s\" does not begin with a label", at);
    if (label != NULL && label->label == ECREC_LABEL_BINARY && value == -1)
        value = 0;
    int status = label != NULL ? put_number(r, label, row, value) : 0, more = 0;
    if (multi != NULL)
        multi->valid[row] = 1;
    for (at = end; status == 0 && (more = libsvm_next(&at, &index, &value)) > 0;) {
        column *c = NULL;
        if (strcmp(index, "qid") == 0) {
            char text[32];
            snprintf(text, sizeof text, "%.17g", value);
            status = put_text(r, &r->columns[r->count - 1], row, text, strlen(text)); /* the group */
            continue;
        }
        for (size_t i = 0; i < r->labels_at && c == NULL; i++)
            if (r->columns[i].kind == ECREC_FIELD_NUMBER && strcmp(r->columns[i].name, index) == 0)
                c = &r->columns[i];
        if (c != NULL)
            status = put_number(r, c, row, value);
        else if (multi == NULL)
            status = bad_line(r, "the schema has no number field \"%.40s\", and no field of several values", index);
        else
            status = value == value && fabs(value) < 1e15 ? put_item(r, multi, index, strlen(index), value) : bad(r, multi, "a weight must be a number that can be used");
    }
    return status == 0 && more < 0 ? bad_line(r, "\"%.40s\" is no index:number", index) : status;
}

int row_read(records *r, size_t row)
{
    for (size_t i = 0; i < r->count; i++) {
        column *c = &r->columns[i];
        c->valid[row] = 0;
        c->items = row == 0 ? 0 : c->items;
        c->timed = row == 0 ? 0 : c->timed;
        c->first_item[row] = c->items;
    }
    if (memchr(r->input.line, 0, r->input.length) != NULL)
        return bad_line(r, "%s", byte_0);
    switch (r->format) {
    case FORMAT_JSONL: return read_json(r, row);
    case FORMAT_LIBSVM: return read_libsvm(r, row);
    default: return read_cells(r, row);
    }
}
