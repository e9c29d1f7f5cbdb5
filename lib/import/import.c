#include "import/import.h"

#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"
#include "base/report.h"
#include "import/config.h"
#include "import/convert.h"
#include "import/processor.h"

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
        properties_set_string(f->settings, "source.model_type", f->model_type, strlen(f->model_type)) != ECREC_OK ||
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
    for (size_t i = 0; i < c->s->count; i++)
        for (size_t j = 0; j < c->s->files[i].content.count; j++)
            unused += !c->s->files[i].used[j];
    const char *pooling = properties_string(f->settings, "encoder.pooling", "");
    const char *tokenizer = properties_string(f->settings, "source.tokenizer", "none (token ids only)");
    const struct { const char *name; uint64_t value; } numbers[] = {
        { "layers", f->layers }, { "hidden_size", f->hidden }, { "heads", f->layers != 0 ? f->heads : 0 }, { "key_value_heads", f->layers != 0 ? f->groups : 0 },
        { "feed_forward", f->layers != 0 ? f->feed_forward : 0 }, { "vocabulary", f->vocabulary }, { "max_length", f->max_length },
        { "dimension", f->dimension }, { "labels", properties_u64(f->settings, "encoder.labels", 0) },
        { "normalize", properties_u64(f->settings, "encoder.normalize", 0) }, { "weight_files", c->s->count },
        { "tensors_used", c->s->tensors - unused }, { "tensors_unused", unused } };
    report_string(r, "model_type", f->model_type, strlen(f->model_type));
    report_string(r, "pooling", pooling, strlen(pooling));
    report_string(r, "tokenizer", tokenizer, strlen(tokenizer));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        report_number(r, numbers[i].name, (double)numbers[i].value);
    for (size_t i = 0; i < c->s->count; i++)
        for (size_t j = 0; j < c->s->files[i].content.count && shown < 16; j++)
            if (!c->s->files[i].used[j]) {
                const char *tensor = c->s->files[i].content.tensors[j].name;
                char name[32];
                format_text(name, sizeof name, "unused.%zu", shown++);
                report_string(r, name, tensor, strlen(tensor));
            }
    status = report_finish(r, c->err);
    if (status != ECREC_OK)
        ecrec_report_release(r);
    else
        *out = r;
    return status;
}

/* What was asked for and means nothing for this folder is a mistake, not something to pass over. */
static int32_t check_wishes(const folder *f, const ecrec_import_options *options, ecrec_error *err)
{
    if (options == NULL)
        return ECREC_OK;
    if (options->tower == ECREC_TOWER_IMAGE && (f->family->flags & FAMILY_IMAGE) == 0)
        return error_set(err, ECREC_ERR_INVALID, "the image tower is asked for, and a \"%s\" has none", f->model_type);
    if (options->heads != 0 && (f->family->flags & FAMILY_ITEMS) == 0)
        return error_set(err, ECREC_ERR_INVALID, "%u attention heads are asked for, and the files of a \"%s\" say how many it has (%llu)",
                         options->heads, f->model_type, (unsigned long long)(f->layers != 0 ? f->heads : 0));
    return ECREC_OK;
}

/* Settings, tokenizer and tensors of the folder into c->p. */
static int32_t read_folder(folder *f, converter *c, const ecrec_import_options *options)
{
    ecrec_error *err = c->err;
    const int32_t configured = folder_settings(f, err);
    int32_t status;
    if (configured != ECREC_OK && configured != ECREC_ERR_NOT_FOUND)
        return configured;
    status = source_open(f, c->s, err);
    if (status == ECREC_ERR_IO && configured == ECREC_ERR_NOT_FOUND) {
        /* neither config nor weights: a tokenizer alone is a model that only tokenises */
        const int32_t alone = folder_tokenizer(f, c->p, err);
        if (alone != ECREC_OK || f->has_tokenizer) {
            f->model_type = "tokenizer";
            return alone;
        }
    }
    if (status != ECREC_OK)
        return status;
    if ((status = convert_infer(c, options != NULL ? options->heads : 0)) != ECREC_OK || (status = check_wishes(f, options, err)) != ECREC_OK ||
        (status = folder_lengths(f, options != NULL ? options->max_length : 0, err)) != ECREC_OK ||
        (status = folder_tokenizer(f, c->p, err)) != ECREC_OK || (status = convert_all(c)) != ECREC_OK)
        return status;
    if ((status = config_finish(f, err)) != ECREC_OK)
        return status;
    return processor_read(f, err);
}

/* A path of a safetensors file: its folder, and which of its files. */
static int32_t name_file(folder *f, ecrec_error *err)
{
    static const char ending[] = ".safetensors";
    const size_t n = strlen(f->path);
    if (n < sizeof ending || strcmp(f->path + n - sizeof ending + 1, ending) != 0)
        return ECREC_OK;
    char *inside = arena_zero(&f->a, n + 3);
    if (inside == NULL)
        return error_nomem(err, "a path", n);
    memcpy(inside, f->path, n);
    memcpy(inside + n, "/.", 2);
    if (access(inside, F_OK) == 0) /* a folder that is called so */
        return ECREC_OK;
    const char *slash = strrchr(f->path, '/');
    const char *folder_path = slash == NULL ? "." : arena_copy(&f->a, f->path, (size_t)(slash - f->path) + (slash == f->path));
    if (folder_path == NULL)
        return error_nomem(err, "a path", n);
    f->file = slash != NULL ? slash + 1 : f->path;
    f->path = folder_path;
    return ECREC_OK;
}

int32_t import_folder(ecrec_context *context, const char *path, const ecrec_import_options *options, parts **out,
                      ecrec_report **report, ecrec_error *err)
{
    folder f = { .context = context, .path = path, .file = NULL, .vision = options != NULL && options->tower == ECREC_TOWER_IMAGE };
    source s = { 0 };
    converter c = { .f = &f, .s = &s, .err = err };
    arena_init(&f.a, &context->m);
    int32_t status = parts_create(&context->m, &c.p);
    if (status != ECREC_OK)
        return error_nomem(err, "a model", sizeof *c.p);
    c.p->sequence = 1;
    f.settings = c.p->settings;
    status = access(path, F_OK) == 0 ? name_file(&f, err) : error_set(err, ECREC_ERR_IO, "%s: no such file or folder (a Hugging Face model folder is needed)", path);
    if (options != NULL) {
        c.check_only = options->check_only != 0;
        c.progress = options->progress;
        c.progress_opaque = options->progress_opaque;
    }
    if (status == ECREC_OK)
        status = read_folder(&f, &c, options);
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
    source_close(&s);
    arena_release(&f.a);
    parts_release(c.p);
    return status;
}
