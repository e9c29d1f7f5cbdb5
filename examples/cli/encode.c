/* encode: texts, token ids or pixels to vectors */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

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

static int read_rows(const arguments *a, rows *r)
{
    rows_open(r);
    if (has(a, "ids"))
        return rows_ids(r, argument(a, "ids", NULL));
    if (has(a, "images"))
        return rows_pictures(r, argument(a, "images", NULL));
    if (has(a, "pixels"))
        return rows_pixels(r, argument(a, "pixels", NULL));
    return rows_texts(r, argument(a, "input", NULL));
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
    double length = 0, dimensions = 0, layers = 0, overlap = 0;
    int code = argument_count(a, "max-length", 0, 1, 1 << 20, &length);
    if (code != 0 || (code = argument_count(a, "dimensions", 0, 1, 65536, &dimensions)) != 0 || (code = argument_count(a, "last-layers", 0, 1, 1024, &layers)) != 0 ||
        (code = argument_count(a, "overlap", 0, 0, 1 << 20, &overlap)) != 0)
        return code;
    options->dimensions = (uint32_t)dimensions;
    options->last_layers = (uint32_t)layers;
    options->windows = has(a, "windows") || has(a, "overlap");
    options->window_overlap = (uint32_t)overlap;
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
    if (options->dimensions != 0)
        *d = out.dimension = options->dimensions;
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
    static const char *const known[] = { "input=", "ids=", "pixels=", "images=", "per-token", "dimensions=", "last-layers=", "windows", "overlap=", "output=", "format=", "prompt=", "pooling=", "no-normalize",
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
    if (has(&a, "ids") + has(&a, "pixels") + has(&a, "images") + has(&a, "input") > 1)
        return usage_error("encode", "--input, --ids, --pixels and --images do not go together");
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
            (void)failed("%s:%llu: %s", r.name, rows_line(&r, err.row), err.message);
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
