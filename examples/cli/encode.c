/* encode: texts, token ids or pixels to vectors */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- NumPy's format, version 1.0: a magic, a header of Python's literal syntax padded to 64 bytes, the values ---- */

static void npy_header(FILE *f, size_t rows, uint32_t columns)
{
    char text[118];
    const int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %u), }", rows, columns);
    memset(text + n, ' ', sizeof text - (size_t)n);
    text[sizeof text - 1] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    fwrite(text, 1, sizeof text, f);
}

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
        (void)failed("%s: it is no file of NumPy's", path);
        goto done;
    }
    length = head[8] + 256u * head[9] + (head[6] > 1 ? 65536u * head[10] : 0);
    if (length >= sizeof header || fread(header, 1, length, f) != length) {
        (void)failed("%s: its header is truncated or above %zu bytes", path, sizeof header - 1);
        goto done;
    }
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

/* ---- rows in ---- */

typedef struct rows {
    texts text;
    uint32_t *ids;
    uint8_t *types;
    uint64_t *starts;
    size_t count, room, starts_room, tokens;
    float *pixels;
    const char *name;
    ecrec_encode_input input;
} rows;

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
    }
    return (r->ids == NULL && r->room != 0) || (r->types == NULL && r->room != 0) || r->starts == NULL ? failed("no memory for %zu tokens", r->room) : 0;
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
    if (code == 0)
        r->starts[++r->count] = r->tokens;
    json_decref(v);
    return code;
}

static int read_ids(rows *r, const char *path)
{
    lines l;
    int code = grow(r, 1), more = 0;
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

static int read_pixels(rows *r, const char *path)
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

static int read_rows(const arguments *a, rows *r)
{
    memset(r, 0, sizeof *r);
    ecrec_encode_input_init(&r->input);
    r->name = has(a, "ids") ? argument(a, "ids", NULL) : has(a, "pixels") ? argument(a, "pixels", NULL) : argument(a, "input", "stdin");
    if (has(a, "ids"))
        return read_ids(r, argument(a, "ids", NULL));
    if (has(a, "pixels"))
        return read_pixels(r, argument(a, "pixels", NULL));
    if (texts_read(argument(a, "input", NULL), &r->text) != 0)
        return EXIT_FAILED;
    r->input.kind = ECREC_INPUT_TEXTS;
    r->input.count = r->text.count;
    r->input.texts = r->text.at;
    r->input.lengths = r->text.lengths;
    return 0;
}

static void rows_free(rows *r)
{
    texts_free(&r->text);
    free(r->ids);
    free(r->types);
    free(r->starts);
    free(r->pixels);
}

/* ---- vectors out ---- */

static void write_vectors(FILE *f, const char *format, const float *vectors, size_t n, uint32_t d)
{
    if (strcmp(format, "jsonl") == 0) {
        for (size_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < d; j++)
                fprintf(f, "%c%.9g", j != 0 ? ',' : '[', (double)vectors[i * d + j]);
            fputs("]\n", f);
        }
        return;
    }
    if (strcmp(format, "npy") == 0)
        npy_header(f, n, d);
    fwrite(vectors, sizeof *vectors, n * d, f);
}

static uint32_t pooling_of(const char *name)
{
    static const char *const names[] = { "default", "mean", "cls", "last", "max", "end", "pooler" };
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return UINT32_MAX;
}

static int read_options(const arguments *a, ecrec_encode_options *options, progress *p)
{
    double length = 0;
    const int code = argument_count(a, "max-length", 0, 1, 1 << 20, &length);
    if (code != 0)
        return code;
    options->pooling = pooling_of(argument(a, "pooling", "default"));
    if (options->pooling == UINT32_MAX)
        return usage_error("encode", "--pooling must be mean, cls, last, max, end or pooler");
    options->normalize = has(a, "no-normalize") ? 2 : 0;
    options->max_length = (uint32_t)length;
    options->prompt = argument(a, "prompt", NULL);
    options->progress = progress_step;
    options->progress_opaque = p;
    return 0;
}

/* All rows' vectors, malloc'ed; *count of them. With per_token one a token: first how many, then the vectors. */
static int32_t encode_rows(ecrec_model *model, ecrec_session *session, const rows *r, const ecrec_encode_options *options, int per_token,
                           float **vectors, size_t *count, uint32_t *d, ecrec_error *err)
{
    ecrec_encode_output out = ECREC_ENCODE_OUTPUT_INIT;
    uint64_t *starts = malloc((r->input.count + 1) * sizeof *starts);
    int32_t status = starts != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
    *d = out.dimension = per_token ? ecrec_model_hidden_size(model) : ecrec_model_dimension(model);
    *count = r->input.count;
    out.per_token = (uint32_t)per_token;
    out.starts = starts;
    if (status == ECREC_OK && per_token) {
        status = ecrec_encode_batch(model, session, &r->input, options, &out, err);
        *count = status == ECREC_OK ? (size_t)starts[r->input.count] : 0;
    }
    if (status == ECREC_OK) {
        *vectors = malloc((*count * *d + 1) * sizeof **vectors);
        out.vectors = *vectors;
        out.capacity = *count;
        status = *vectors == NULL ? ECREC_ERR_NOMEM : ecrec_encode_batch(model, session, &r->input, options, &out, err);
    }
    if (status == ECREC_ERR_NOMEM && err->message[0] == 0)
        snprintf(err->message, sizeof err->message, "no memory for %zu vectors", *count);
    free(starts);
    return status;
}

int command_encode(int argc, char **argv)
{
    static const char *const known[] = { "input=", "ids=", "pixels=", "per-token", "output=", "format=", "prompt=", "pooling=", "no-normalize",
                                         "max-length=", "threads=", NULL };
    arguments a;
    progress p;
    rows r;
    float *vectors = NULL;
    size_t count = 0;
    uint32_t d = 0;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_encode_options options = ECREC_ENCODE_OPTIONS_INIT;
    ecrec_session *session = NULL;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code != 0 || (code = read_options(&a, &options, &p)) != 0)
        return code;
    const char *to = argument(&a, "output", NULL), *format = argument(&a, "format", to != NULL ? "npy" : "jsonl");
    if (strcmp(format, "npy") != 0 && strcmp(format, "jsonl") != 0 && strcmp(format, "f32") != 0)
        return usage_error("encode", "--format is \"%s\"; it must be npy, jsonl or f32", format);
    if (has(&a, "ids") + has(&a, "pixels") + has(&a, "input") > 1)
        return usage_error("encode", "--input, --ids and --pixels do not go together");
    memset(&r, 0, sizeof r);
    ecrec_context *context = open_context(&a);
    ecrec_model *model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (model == NULL || read_rows(&a, &r) != 0)
        goto done;
    int32_t status = ecrec_session_create(model, NULL, &session, &err);
    progress_begin(&p, "encode", "rows", 1);
    if (status == ECREC_OK)
        status = encode_rows(model, session, &r, &options, has(&a, "per-token"), &vectors, &count, &d, &err);
    progress_end(&p);
    if (status != ECREC_OK) {
        if (err.row != UINT64_MAX && has(&a, "ids")) /* a row is a line */
            (void)failed("%s:%llu: %s", r.name, (unsigned long long)err.row + 1, err.message);
        else
            (void)failed_with(&err);
        goto done;
    }
    FILE *f = output_open(to);
    if (f != NULL) {
        write_vectors(f, format, vectors, count, d);
        code = output_close(f, to);
    }
done:
    free(vectors);
    rows_free(&r);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}
