/* Records into batches. */
#define _POSIX_C_SOURCE 200809L
#include "records.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const row_columns[ROW_COLUMNS] = { "weight", "position", "propensity", "event", "group" };

/* A reason is told at once, or kept for the row that is being read. */
static int refuse(records *r, const char *reason)
{
    if (!r->skip_bad || r->fatal)
        return failed("%s:%llu: %s", r->input.name, (unsigned long long)r->input.number, reason);
    if (r->reason_count == r->reason_room) {
        const size_t room = r->reason_room != 0 ? 2 * r->reason_room : 16;
        char *more = realloc(r->reasons, room * MOST_REASON);
        if (more != NULL)
            r->reasons = more;
        size_t *rows = more != NULL ? realloc(r->reason_rows, room * sizeof *rows) : NULL;
        if (rows == NULL) {
            r->fatal = 1;
            return failed("no memory for the rows of %s", r->input.name);
        }
        r->reason_rows = rows;
        r->reason_room = room;
    }
    snprintf(r->reasons + r->reason_count * MOST_REASON, MOST_REASON, "%s", reason);
    r->reason_rows[r->reason_count++] = r->rows;
    return EXIT_FAILED;
}

int bad(records *r, const column *c, const char *what)
{
    char text[MOST_REASON];
    snprintf(text, sizeof text, "field \"%.80s\": %s", c->name, what);
    return refuse(r, text);
}

int bad_line(records *r, const char *format, ...)
{
    char text[MOST_REASON];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return refuse(r, text);
}

int broken(records *r, const char *format, ...)
{
    char text[MOST_REASON];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->fatal = 1;
    return refuse(r, text);
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
int is_text(const column *c)
{
    return c->kind == ECREC_FIELD_TEXT || c->kind == ECREC_FIELD_CATEGORY || c->kind == COLUMN_EVENT || c->kind == COLUMN_GROUP;
}

/* --input-format, or what the file's name says; the first line says the rest. */
static int format_of(const arguments *a, const char *path, int *format)
{
    static const char *const names[] = { "auto", "jsonl", "tsv", "csv", "libsvm" };
    static const struct { const char *end; int format; } ends[] = { { ".csv", FORMAT_CSV }, { ".tsv", FORMAT_TSV }, { ".libsvm", FORMAT_LIBSVM }, { ".svm", FORMAT_LIBSVM } };
    const char *asked = argument(a, "input-format", "auto");
    *format = -1;
    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], asked) == 0)
            *format = i;
    if (*format < 0)
        return usage_error(a->command, "--input-format must be auto, jsonl, tsv, csv or libsvm");
    for (size_t i = 0; *format == FORMAT_UNKNOWN && path != NULL && i < sizeof ends / sizeof *ends; i++)
        if (strlen(path) > strlen(ends[i].end) && strcmp(path + strlen(path) - strlen(ends[i].end), ends[i].end) == 0)
            *format = ends[i].format;
    return 0;
}

records *records_open(ecrec_model *ranker, const arguments *a, int need_labels)
{
    const char *path = argument(a, "input", NULL);
    int format = 0;
    if (format_of(a, path, &format) != 0)
        return NULL;
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
    r->skip_bad = has(a, "skip-bad-rows");
    r->format = format;
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
        free(c->event_types);
        free(c->event_times);
    }
    free(r->columns);
    free(r->bytes);
    free(r->line_of);
    free(r->reasons);
    free(r->reason_rows);
    free(r->cells);
    free(r->joined);
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
            return broken(r, "no memory for the rows of %s", r->input.name);
        r->bytes = more;
        r->room = room;
    }
    memcpy(r->bytes + r->used, text, length);
    r->used += length;
    return 0;
}

int put_text(records *r, column *c, size_t row, const char *text, size_t length)
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

int put_number(records *r, column *c, size_t row, double value)
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
    c->numbers[row] = value;
    c->valid[row] = 1;
    return 0;
}

int put_vector(records *r, column *c, size_t row, const double *values, size_t n)
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

static int item_room(records *r, column *c)
{
    const size_t room = c->items < c->item_room ? c->item_room : 2 * c->items + 64;
    if (room != c->item_room && (!resize(&c->item_starts, room) || !resize(&c->item_lengths, room) || !resize_floats(&c->item_weights, room) ||
                                 !resize_positions(&c->event_types, room) || !resize_times(&c->event_times, room)))
        return broken(r, "no memory for the values");
    c->item_room = room;
    return 0;
}

int put_event(records *r, column *c, const char *text, size_t length, uint32_t type, int timed, int64_t time)
{
    const size_t start = r->used;
    int status = item_room(r, c);
    if (status != 0 || (status = keep_bytes(r, text, length)) != 0)
        return status;
    c->item_starts[c->items] = start;
    c->item_lengths[c->items] = length;
    c->event_types[c->items] = type;
    c->event_times[c->items] = time;
    c->item_weights[c->items++] = 1;
    c->timed |= timed;
    return 0;
}

int put_item(records *r, column *c, const char *text, size_t length, double weight)
{
    const int status = put_event(r, c, text, length, 0, 0, 0);
    if (status == 0)
        c->item_weights[c->items - 1] = (float)weight;
    return status;
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
    int32_t status;
    if (c->kind == ECREC_FIELD_HISTORY) {
        ecrec_history h = ECREC_HISTORY_INIT;
        h.events = c->first_item;
        h.items = values;
        h.lengths = c->item_lengths;
        h.types = c->event_types;
        h.times = c->timed ? c->event_times : NULL;
        h.valid = c->valid;
        status = ecrec_batch_set_history(batch, c->index, &h, err);
    } else {
        status = ecrec_batch_set_multi(batch, c->index, c->first_item, values, c->item_lengths, c->item_weights, c->valid, err);
    }
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
        if (c->kind == ECREC_FIELD_TIME && !c->valid[i])
            c->times[i] = 0;
    }
    switch (c->kind) {
    case ECREC_FIELD_TEXT: return ecrec_batch_set_text(batch, c->index, c->texts, c->lengths, err);
    case ECREC_FIELD_CATEGORY: return ecrec_batch_set_category(batch, c->index, c->texts, c->lengths, err);
    case ECREC_FIELD_NUMBER: return ecrec_batch_set_number(batch, c->index, c->numbers, c->valid, err);
    case ECREC_FIELD_VECTOR: return ecrec_batch_set_vector(batch, c->index, c->floats, c->dimension, c->valid, err);
    case ECREC_FIELD_HISTORY:
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

/* The next line that is a row. 1, 0: the end, -1: told. */
static int next_row(records *r, size_t row)
{
    for (;;) {
        const int more = lines_next(&r->input);
        if (more <= 0)
            return more;
        const int blank = strspn(r->input.line, " \t") == r->input.length;
        if (blank && ((r->format != FORMAT_TSV && r->format != FORMAT_CSV) || r->input.length == 0))
            continue;
        r->line_of[row] = r->input.number;
        if (r->format == FORMAT_UNKNOWN || ((r->format == FORMAT_TSV || r->format == FORMAT_CSV) && r->header == 0)) {
            if (row_header(r) != 0)
                return -1;
            if (r->format != FORMAT_JSONL)
                continue;
        }
        return 1;
    }
}

/* A row that cannot be read has nothing, and its reason. */
static int read_row(records *r, size_t row)
{
    r->rows = row;
    int status = row_read(r, row);
    for (size_t i = r->labels_at; status == 0 && r->need_labels && i < r->labels_at + r->labels; i++)
        if (r->labels == 1 && !r->columns[i].valid[row])
            status = bad(r, &r->columns[i], "the label is missing");
    if (status == 0 || !r->skip_bad || r->fatal)
        return status;
    for (size_t i = 0; i < r->count; i++)
        r->columns[i].valid[row] = 0;
    return 0;
}

static int32_t fill_batch(records *r, ecrec_batch *batch, ecrec_error *err)
{
    int32_t status = ecrec_batch_set_bad_rows(batch, r->skip_bad ? ECREC_BAD_ROWS_SKIP : ECREC_BAD_ROWS_REFUSE, err);
    if (status == ECREC_OK)
        status = ecrec_batch_reset(batch, r->rows, err);
    for (size_t i = 0; i < r->reason_count && status == ECREC_OK; i++) {
        const char *reason = r->reasons + i * MOST_REASON;
        status = ecrec_batch_mark_bad(batch, r->reason_rows[i], reason, strlen(reason), err);
    }
    for (size_t i = 0; i < r->count && status == ECREC_OK; i++)
        status = fill_column(r, &r->columns[i], batch, r->rows, err);
    return status;
}

/* "row 17, field ...": the line says it better. */
static const char *without_row(const char *message)
{
    if (strncmp(message, "row ", 4) != 0)
        return message;
    const size_t n = 4 + strspn(message + 4, "0123456789");
    return message + (strncmp(message + n, ": ", 2) == 0 || strncmp(message + n, ", ", 2) == 0 ? n + 2 : 0);
}

long records_next(records *r, ecrec_batch *batch, size_t most)
{
    ecrec_error err = ECREC_ERROR_INIT;
    size_t rows = 0;
    if (make_room(r, most) != 0)
        return -1;
    r->used = r->reason_count = 0;
    while (rows < most) {
        const int more = next_row(r, rows);
        if (more < 0 || (more > 0 && read_row(r, rows) != 0))
            return -1;
        if (more == 0)
            break;
        rows++;
    }
    r->rows = rows;
    if (rows == 0)
        return 0;
    const int32_t status = fill_batch(r, batch, &err);
    for (size_t i = 0; i < ecrec_batch_bad_rows(batch) && status == ECREC_OK; i++) {
        uint64_t row = 0;
        const char *why = without_row(ecrec_batch_bad_row(batch, i, &row));
        fprintf(stderr, "ecrec: %s:%llu: %s; the row is skipped\n", r->input.name, (unsigned long long)r->line_of[row], why);
        for (size_t k = 0; k < r->count; k++)
            r->columns[k].valid[row] = 0;
    }
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
    return failed("%s:%llu: %s", r->input.name, (unsigned long long)r->line_of[err->row], without_row(message));
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

const char *records_group(const records *r, size_t row, size_t *length)
{
    for (size_t i = r->labels_at; i < r->count; i++)
        if (r->columns[i].kind == COLUMN_GROUP) {
            *length = r->columns[i].lengths[row];
            return r->columns[i].texts[row];
        }
    return NULL;
}
