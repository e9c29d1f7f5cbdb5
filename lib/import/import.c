#include "import/import.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"
#include "base/report.h"
#include "import/folder.h"
#include "import/safetensors.h"

typedef struct converter {
    folder *f;
    parts *p;
    safetensors source;
    const char *prefix; /* of every name in the file: "" or "bert." */
    unsigned char *used; /* one a tensor of the source */
    int check_only;
    uint64_t done, total; /* bytes */
    ecrec_progress_fn progress;
    void *progress_opaque;
    ecrec_error *err;
} converter;

/* The tensor under the first of the names that the file has; its shape checked (columns 0: a vector of `rows`). */
static int32_t find(converter *c, const char *name, const char *older, uint64_t rows, uint64_t columns, const safetensor **out)
{
    char full[256];
    format_text(full, sizeof full, "%s%s", c->prefix, name);
    const safetensor *t = safetensors_find(&c->source, full);
    if (t == NULL && older != NULL) {
        format_text(full, sizeof full, "%s%s", c->prefix, older);
        t = safetensors_find(&c->source, full);
    }
    if (t == NULL)
        return error_set(c->err, ECREC_ERR_FORMAT, "model.safetensors: tensor \"%s%s\" is missing", c->prefix, name);
    const int good = columns == 0 ? t->rank == 1 && t->shape[0] == rows : t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns;
    if (!good && columns == 0)
        return error_set(c->err, ECREC_ERR_FORMAT, "model.safetensors: tensor \"%s\" must have %llu values", full, (unsigned long long)rows);
    if (!good)
        return error_set(c->err, ECREC_ERR_FORMAT, "model.safetensors: tensor \"%s\" must have shape %llu x %llu, as config.json says", full,
                         (unsigned long long)rows, (unsigned long long)columns);
    c->used[t - c->source.tensors] = 1;
    *out = t;
    return ECREC_OK;
}

static int32_t advance(converter *c, const safetensor *t)
{
    c->done += t->bytes;
    if (c->progress != NULL && c->progress(c->progress_opaque, c->done, c->total) != 0)
        return error_set(c->err, ECREC_ERR_CANCELLED, "import was cancelled");
    return ECREC_OK;
}

/* A dense float32 tensor under `name`, to be filled. *out is borrowed from the parts. */
static int32_t make(converter *c, const char *name, int32_t layout, uint64_t rows, uint64_t columns, tensor **out)
{
    const uint64_t shape[2] = { rows, columns };
    int32_t status = tensor_create(c->p->m, TYPE_F32, layout, columns == 0 ? 1 : 2, shape, out);
    if (status == ECREC_OK) {
        status = tensor_set_put(c->p->tensors, name, *out);
        tensor_release(*out);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(c->err, name, (size_t)(rows * (columns != 0 ? columns : 1) * 4));
}

/* Rows as they are: embeddings, norms, biases. */
static int32_t rows_tensor(converter *c, const char *name, const char *from, const char *older, uint64_t rows, uint64_t columns)
{
    const safetensor *t = NULL;
    tensor *made = NULL;
    int32_t status = find(c, from, older, rows, columns, &t);
    if (status != ECREC_OK || c->check_only)
        return status;
    if ((status = make(c, name, LAYOUT_ROWS, rows, columns, &made)) != ECREC_OK)
        return status;
    float *out = (float *)(uintptr_t)made->data; /* not shared yet: the set alone has it */
    if ((status = safetensors_floats(t, 0, (size_t)(rows * (columns != 0 ? columns : 1)), out, c->err)) != ECREC_OK)
        return status;
    return advance(c, t);
}

static int32_t matrix(converter *c, const char *name, const char *from, uint64_t n, uint64_t k)
{
    const safetensor *t = NULL;
    tensor *made = NULL;
    int32_t status = find(c, from, NULL, n, k, &t);
    if (status != ECREC_OK || c->check_only)
        return status;
    if ((status = make(c, name, LAYOUT_PANELS, n, k, &made)) != ECREC_OK)
        return status;
    const size_t bytes = (size_t)(n * k) * sizeof(float);
    float *rows = memory_allocate(c->p->m, bytes);
    if (rows == NULL)
        return error_nomem(c->err, name, bytes);
    if ((status = safetensors_floats(t, 0, (size_t)(n * k), rows, c->err)) == ECREC_OK)
        weights_pack(WEIGHTS_F32, (size_t)n, (size_t)k, rows, (size_t)k, (void *)(uintptr_t)made->data);
    memory_release(c->p->m, rows, bytes);
    return status == ECREC_OK ? advance(c, t) : status;
}

/* Query, key and value become one matrix, head by head. columns 0: their biases. */
static int32_t fused(converter *c, const char *name, uint64_t layer, const char *what, uint64_t columns)
{
    static const char *const kinds[] = { "query", "key", "value" };
    const size_t hidden = (size_t)c->f->hidden, heads = (size_t)c->f->heads, size = hidden / heads, k = columns != 0 ? (size_t)columns : 1;
    const safetensor *t[3] = { NULL };
    tensor *made = NULL;
    int32_t status = ECREC_OK;
    for (int i = 0; i < 3 && status == ECREC_OK; i++) {
        char from[128];
        format_text(from, sizeof from, "encoder.layer.%llu.attention.self.%s.%s", (unsigned long long)layer, kinds[i], what);
        status = find(c, from, NULL, hidden, columns, &t[i]);
    }
    if (status != ECREC_OK || c->check_only)
        return status;
    if ((status = make(c, name, columns != 0 ? LAYOUT_PANELS : LAYOUT_ROWS, 3 * hidden, columns, &made)) != ECREC_OK)
        return status;
    const size_t bytes = 3 * hidden * k * sizeof(float);
    float *rows = memory_allocate(c->p->m, bytes);
    if (rows == NULL)
        return error_nomem(c->err, name, bytes);
    for (size_t h = 0; h < heads && status == ECREC_OK; h++)
        for (size_t i = 0; i < 3 && status == ECREC_OK; i++)
            status = safetensors_floats(t[i], h * size * k, size * k, rows + (3 * h + i) * size * k, c->err);
    if (status == ECREC_OK && columns != 0)
        weights_pack(WEIGHTS_F32, 3 * hidden, k, rows, k, (void *)(uintptr_t)made->data);
    else if (status == ECREC_OK)
        memcpy((void *)(uintptr_t)made->data, rows, bytes);
    memory_release(c->p->m, rows, bytes);
    for (int i = 0; i < 3 && status == ECREC_OK; i++)
        status = advance(c, t[i]);
    return status;
}

static int32_t convert_layer(converter *c, uint64_t layer)
{
    const unsigned long long l = layer;
    const uint64_t h = c->f->hidden, ff = c->f->feed_forward;
    char name[96], from[128], older[128];
    format_text(name, sizeof name, "layers.%llu.attention.qkv.weight", l);
    int32_t status = fused(c, name, layer, "weight", h);
    format_text(name, sizeof name, "layers.%llu.attention.qkv.bias", l);
    if (status == ECREC_OK)
        status = fused(c, name, layer, "bias", 0);
    static const struct { const char *own, *theirs; int wide; } linears[] = {
        { "attention.output", "attention.output.dense", 0 }, { "feed_forward.in", "intermediate.dense", 1 }, { "feed_forward.out", "output.dense", 2 },
    };
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++) {
        const uint64_t n = linears[i].wide == 1 ? ff : h, k = linears[i].wide == 2 ? ff : h;
        format_text(name, sizeof name, "layers.%llu.%s.weight", l, linears[i].own);
        format_text(from, sizeof from, "encoder.layer.%llu.%s.weight", l, linears[i].theirs);
        if ((status = matrix(c, name, from, n, k)) != ECREC_OK)
            break;
        format_text(name, sizeof name, "layers.%llu.%s.bias", l, linears[i].own);
        format_text(from, sizeof from, "encoder.layer.%llu.%s.bias", l, linears[i].theirs);
        status = rows_tensor(c, name, from, NULL, n, 0);
    }
    static const char *const norms[][2] = { { "attention.norm", "attention.output" }, { "feed_forward.norm", "output" } };
    static const char *const sides[][3] = { { "weight", "weight", "gamma" }, { "bias", "bias", "beta" } };
    for (size_t i = 0; i < 4 && status == ECREC_OK; i++) {
        format_text(name, sizeof name, "layers.%llu.%s.%s", l, norms[i / 2][0], sides[i % 2][0]);
        format_text(from, sizeof from, "encoder.layer.%llu.%s.LayerNorm.%s", l, norms[i / 2][1], sides[i % 2][1]);
        format_text(older, sizeof older, "encoder.layer.%llu.%s.LayerNorm.%s", l, norms[i / 2][1], sides[i % 2][2]);
        status = rows_tensor(c, name, from, older, h, 0);
    }
    return status;
}

static int32_t convert(converter *c)
{
    const folder *f = c->f;
    c->prefix = safetensors_find(&c->source, "bert.embeddings.word_embeddings.weight") != NULL ? "bert." : "";
    for (size_t i = 0; i < c->source.count; i++)
        c->total += c->source.tensors[i].bytes;
    int32_t status = rows_tensor(c, "embeddings.token", "embeddings.word_embeddings.weight", NULL, f->vocabulary, f->hidden);
    if (status == ECREC_OK)
        status = rows_tensor(c, "embeddings.position", "embeddings.position_embeddings.weight", NULL, f->positions, f->hidden);
    if (status == ECREC_OK && f->types != 0)
        status = rows_tensor(c, "embeddings.type", "embeddings.token_type_embeddings.weight", NULL, f->types, f->hidden);
    if (status == ECREC_OK)
        status = rows_tensor(c, "embeddings.norm.weight", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma", f->hidden, 0);
    if (status == ECREC_OK)
        status = rows_tensor(c, "embeddings.norm.bias", "embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta", f->hidden, 0);
    for (uint64_t i = 0; i < f->layers && status == ECREC_OK; i++)
        status = convert_layer(c, i);
    return status;
}

/* Name and kind of the space: everything that decides what a text's vector is. */
static int32_t fingerprint(parts *p, ecrec_error *err)
{
    buffer all;
    char text[40];
    buffer_init(&all, p->m);
    const blob *tokenizer = parts_blob(p, "tokenizer");
    int32_t status = properties_write(p->settings, &all);
    if (status == ECREC_OK && tokenizer != NULL)
        status = write_u64(&all, hash64(tokenizer->data, tokenizer->length, 0));
    for (size_t i = 0; i < tensor_set_count(p->tensors) && status == ECREC_OK; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(p->tensors, i, &name);
        const hash128 h = hash_128(t->data, t->bytes, 0);
        if ((status = write_string(&all, name, strlen(name))) == ECREC_OK && (status = write_u64(&all, h.low)) == ECREC_OK)
            status = write_u64(&all, h.high);
    }
    const hash128 h = hash_128(all.data, all.length, 0);
    const size_t n = format_text(text, sizeof text, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
    buffer_release(&all);
    if (status != ECREC_OK || properties_set_string(p->settings, "space.fingerprint", text, n) != ECREC_OK ||
        properties_set_string(p->settings, "space.variant", text, n) != ECREC_OK)
        return error_nomem(err, "the fingerprint", n);
    return ECREC_OK;
}

static int32_t provenance(folder *f, ecrec_error *err)
{
    const char *name = NULL, *last = f->path;
    size_t n = strlen(f->path);
    while (n > 1 && f->path[n - 1] == '/')
        n--;
    for (size_t i = 0; i + 1 < n; i++)
        if (f->path[i] == '/')
            last = f->path + i + 1;
    const int32_t status = json_get_string(f->config, "config.json", "_name_or_path", "", &name, err);
    if (status != ECREC_OK)
        return status;
    if (properties_set_string(f->settings, "source.folder", last, (size_t)(f->path + n - last)) != ECREC_OK ||
        properties_set_string(f->settings, "source.model_type", "bert", 4) != ECREC_OK ||
        (*name != 0 && properties_set_string(f->settings, "source.name", name, strlen(name)) != ECREC_OK))
        return error_nomem(err, "a setting", n);
    return ECREC_OK;
}

static int32_t tell(const converter *c, ecrec_report **out)
{
    ecrec_report *r = NULL;
    const folder *f = c->f;
    int32_t status = report_create(f->context, "import", &r, c->err);
    if (status != ECREC_OK)
        return status;
    size_t unused = 0, shown = 0;
    for (size_t i = 0; i < c->source.count; i++)
        unused += !c->used[i];
    report_string(r, "model_type", "bert", 4);
    report_number(r, "layers", (double)f->layers);
    report_number(r, "hidden_size", (double)f->hidden);
    report_number(r, "heads", (double)f->heads);
    report_number(r, "feed_forward", (double)f->feed_forward);
    report_number(r, "vocabulary", (double)f->vocabulary);
    report_number(r, "max_length", (double)f->max_length);
    const char *pooling = properties_string(f->settings, "encoder.pooling", "");
    const char *tokenizer = properties_string(f->settings, "source.tokenizer", "none (token ids only)");
    report_string(r, "pooling", pooling, strlen(pooling));
    report_number(r, "normalize", (double)properties_u64(f->settings, "encoder.normalize", 0));
    report_string(r, "tokenizer", tokenizer, strlen(tokenizer));
    report_number(r, "tensors_used", (double)(c->source.count - unused));
    report_number(r, "tensors_unused", (double)unused);
    for (size_t i = 0; i < c->source.count && shown < 16; i++)
        if (!c->used[i]) {
            char name[32];
            format_text(name, sizeof name, "unused.%zu", shown++);
            report_string(r, name, c->source.tensors[i].name, strlen(c->source.tensors[i].name));
        }
    status = report_finish(r, c->err);
    if (status != ECREC_OK)
        ecrec_report_release(r);
    else
        *out = r;
    return status;
}

static int32_t weights_file(folder *f, mapping **out, ecrec_error *err)
{
    mapping *other = NULL;
    static const char *const others[][2] = {
        { "model.safetensors.index.json", "the weights are split over several files, which is not supported" },
        { "pytorch_model.bin", "only pytorch_model.bin is there: Python pickles are refused (save the model with safe_serialization)" },
    };
    int32_t status = folder_file(f, "model.safetensors", out, err);
    if (status != ECREC_ERR_NOT_FOUND)
        return status;
    for (size_t i = 0; i < 2; i++) {
        status = folder_file(f, others[i][0], &other, err);
        if (status == ECREC_OK) {
            mapping_release(other);
            return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: %s", f->path, others[i][1]);
        }
        if (status != ECREC_ERR_NOT_FOUND)
            return status;
    }
    return error_set(err, ECREC_ERR_IO, "%s/model.safetensors: no such file or folder", f->path);
}

int32_t import_folder(ecrec_context *context, const char *path, const ecrec_import_options *options, parts **out,
                      ecrec_report **report, ecrec_error *err)
{
    folder f = { .context = context, .path = path };
    converter c = { .f = &f, .err = err };
    mapping *map = NULL;
    arena_init(&f.a, &context->m);
    int32_t status = parts_create(&context->m, &c.p);
    if (status != ECREC_OK)
        return error_nomem(err, "a model", sizeof *c.p);
    c.p->sequence = 1;
    f.settings = c.p->settings;
    if (options != NULL) {
        c.check_only = options->check_only != 0;
        c.progress = options->progress;
        c.progress_opaque = options->progress_opaque;
    }
    if ((status = folder_settings(&f, options != NULL ? options->max_length : 0, err)) != ECREC_OK ||
        (status = folder_tokenizer(&f, c.p, err)) != ECREC_OK || (status = weights_file(&f, &map, err)) != ECREC_OK ||
        (status = safetensors_open(&context->m, "model.safetensors", map->data, map->length, &c.source, err)) != ECREC_OK)
        goto done;
    c.used = arena_zero(&f.a, c.source.count + 1);
    status = c.used == NULL ? error_nomem(err, "the list of tensors", c.source.count) : convert(&c);
    if (status == ECREC_OK && !c.check_only)
        status = fingerprint(c.p, err);
    if (status == ECREC_OK)
        status = provenance(&f, err);
    if (status == ECREC_OK)
        status = folder_licence(&f, c.p, err);
    if (status == ECREC_OK && report != NULL)
        status = tell(&c, report);
    if (status == ECREC_OK && !c.check_only) {
        *out = c.p;
        c.p = NULL;
    }
    safetensors_close(&c.source);
done:
    mapping_release(map);
    arena_release(&f.a);
    parts_release(c.p);
    return status;
}
