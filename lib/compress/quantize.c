/* Float32 weights to bfloat16, 8 or 4 bits; the definition is in doc/quantisation.md. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "compress/compress.h"
#include "compress/smooth.h"
#include "compress/variant.h"
#include "kernels/scalar.h"

/* type: TYPE_BF16, TYPE_S8 or TYPE_S4 */
static int32_t pack_matrix(memory *m, int32_t type, const smoothing *s, const char *name, const tensor *t, tensor **out, ecrec_error *err)
{
    size_t n = (size_t)t->shape[0], k = (size_t)t->shape[1];
    size_t bytes = memory_product(memory_product(n, k), sizeof(float));
    weights w;
    tensor *q = NULL;
    bytes = bytes != 0 ? bytes : 1; /* a layer may have no head or no channel left */
    float *rows = memory_allocate(m, bytes);
    if (rows == NULL || tensor_create(m, type, LAYOUT_PANELS, 2, t->shape, &q) != ECREC_OK) {
        memory_release(m, rows, bytes);
        return error_nomem(err, "a quantised matrix", bytes);
    }
    tensor_weights(t, &w);
    weights_unpack(&w, rows, k);
    if (type == TYPE_S8)
        smoothing_divide(s, name, rows, n, k);
    weights_pack(type, n, k, rows, k, tensor_edit(q));
    memory_release(m, rows, bytes);
    *out = q;
    return ECREC_OK;
}

static int32_t pack_table(memory *m, const tensor *t, tensor **out, ecrec_error *err)
{
    size_t rows = (size_t)t->shape[0], columns = (size_t)t->shape[1];
    size_t stride = (columns + 63) / 64 * 64;
    tensor *q = NULL;
    if (tensor_create(m, TYPE_S8, LAYOUT_ROWS_S8, 2, t->shape, &q) != ECREC_OK)
        return error_nomem(err, "a quantised table", rows * stride);
    int8_t *values = tensor_edit(q);
    float *scale = (float *)(void *)(values + rows * stride);
    const float *source = t->data;
    memset(values, 0, q->bytes);
    for (size_t r = 0; r < rows; r++) {
        const float *x = source + r * columns;
        const float clip = weights_clip(x, columns), inverse = clip > 0 ? 127.0f / clip : 0;
        scale[r] = clip / 127.0f;
        for (size_t c = 0; c < columns; c++)
            values[r * stride + c] = (int8_t)quantize_weight(x[c], inverse);
    }
    *out = q;
    return ECREC_OK;
}

static int32_t round_table(memory *m, const tensor *t, tensor **out, ecrec_error *err)
{
    tensor *q = NULL;
    if (tensor_create(m, TYPE_BF16, LAYOUT_ROWS, 2, t->shape, &q) != ECREC_OK)
        return error_nomem(err, "a rounded table", t->bytes / 2);
    const float *source = t->data;
    uint16_t *values = tensor_edit(q);
    for (size_t i = 0; i < q->bytes / sizeof *values; i++)
        values[i] = weight_brain(source[i]);
    *out = q;
    return ECREC_OK;
}

static int is_table(const char *name)
{
    return strcmp(name, "embeddings.token") == 0 || strcmp(name, "embeddings.position") == 0;
}

/* Every matrix and table of the encoder in `p`, in place of its float32 one. */
static int32_t quantize_tensors(ecrec_context *context, parts *p, int32_t type, const smoothing *s, const ecrec_quantize_options *options, ecrec_error *err)
{
    size_t count = tensor_set_count(p->tensors);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(p->tensors, i, &name);
        tensor *q = NULL;
        int32_t status = ECREC_OK;
        if (t->type == TYPE_F32 && t->layout == LAYOUT_PANELS && (strncmp(name, "layers.", 7) == 0 || strcmp(name, "pooler.weight") == 0))
            status = pack_matrix(&context->m, type, s, name, t, &q, err);
        else if (t->type == TYPE_F32 && t->layout == LAYOUT_ROWS && is_table(name))
            status = (type == TYPE_BF16 ? round_table : pack_table)(&context->m, t, &q, err);
        if (status == ECREC_OK && q != NULL && tensor_set_put(p->tensors, name, q) != ECREC_OK)
            status = error_nomem(err, "a quantised tensor", q->bytes);
        tensor_release(q);
        if (status != ECREC_OK)
            return status;
        if (options != NULL && options->progress != NULL && options->progress(options->progress_opaque, i + 1, count) != 0)
            return error_set(err, ECREC_ERR_CANCELLED, "quantising was cancelled");
    }
    return type == TYPE_S8 ? smoothing_put(s, &context->m, p->tensors, err) : ECREC_OK;
}

static int32_t measure(ecrec_context *context, const sample *s, const encoder *before, const encoder *after,
                       agreement *out, ecrec_error *err)
{
    float *a = NULL, *b = NULL;
    size_t bytes = s->count * before->dimension * sizeof(float);
    int32_t status = sample_encode(context, s, before, &a, err);
    if (status == ECREC_OK)
        status = sample_encode(context, s, after, &b, err);
    if (status == ECREC_OK)
        status = agreement_measure(context, a, b, s->count, before->dimension, out, err);
    memory_release(&context->m, a, a != NULL ? bytes : 0);
    memory_release(&context->m, b, b != NULL ? bytes : 0);
    return status;
}

static int32_t check(const ecrec_quantize_options *options, const parts *original, ecrec_error *err)
{
    if (options != NULL && options->type != 0 && options->type != ECREC_TYPE_S8 && options->type != ECREC_TYPE_S4 && options->type != ECREC_TYPE_BF16)
        return error_set(err, ECREC_ERR_INVALID, "weights of type %d are not supported (supported: ECREC_TYPE_BF16, ECREC_TYPE_S8, ECREC_TYPE_S4)", options->type);
    if (properties_string(original->settings, "encoder.kind", NULL) == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder to quantise");
    return ECREC_OK;
}

int32_t quantize_run(ecrec_context *context, const parts *original, const ecrec_quantize_options *options, parts **out,
                     ecrec_report **report, ecrec_error *err)
{
    memory *m = &context->m;
    encoder *before = NULL, *after = NULL;
    ecrec_report *r = NULL;
    parts *p = NULL;
    sample s;
    agreement g;
    smoothing smooth = { 0 };
    const int32_t type = options != NULL && options->type != 0 ? options->type : TYPE_S8; /* ECREC_TYPE_* have the same numbers; check() knows which */
    const char *name = type_name(type);
    int32_t status = check(options, original, err);
    if (status == ECREC_OK)
        status = sample_open(&s, original, options != NULL ? options->texts : NULL, options != NULL ? options->lengths : NULL,
                             options != NULL ? options->count : 0, err);
    if (status == ECREC_OK)
        status = encoder_create(m, original->settings, original->tensors, &before, err);
    if (status != ECREC_OK)
        return status;
    if (before->quantized) {
        status = error_set(err, ECREC_ERR_UNSUPPORTED, "the model is quantised already");
        goto done;
    }
    if (parts_copy(original, &p) != ECREC_OK) {
        status = error_nomem(err, "the quantised model", sizeof *p);
        goto done;
    }
    if ((type == TYPE_S8 && (status = smoothing_measure(context, before, &s, &smooth, err)) != ECREC_OK) ||
        (status = quantize_tensors(context, p, type, &smooth, options, err)) != ECREC_OK ||
        (status = variant_mark(p, name, err)) != ECREC_OK ||
        (status = encoder_create(m, p->settings, p->tensors, &after, err)) != ECREC_OK)
        goto done;
    if (report != NULL) {
        if ((status = report_create(context, "quantise", &r, err)) != ECREC_OK)
            goto done;
        report_string(r, "type", name, strlen(name));
        variant_sizes(r, before, after, original->tensors, p->tensors);
    }
    if (s.count > 0) {
        if ((status = measure(context, &s, before, after, &g, err)) != ECREC_OK ||
            (status = agreement_tell(&g, s.count, r, p->settings, err)) != ECREC_OK)
            goto done;
    }
    if (r != NULL)
        status = report_finish(r, err);
done:
    if (type == TYPE_S8)
        smoothing_close(&smooth);
    encoder_release(before);
    encoder_release(after);
    if (status == ECREC_OK) {
        *out = p;
        if (report != NULL)
            *report = r;
    } else {
        ecrec_report_release(r);
        parts_release(p);
    }
    return status;
}
