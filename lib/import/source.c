#include "import/source.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

enum { MOST_FILES = 1024 };
#define INDEX "model.safetensors.index.json"

static int32_t open_file(folder *f, source *s, const char *name, ecrec_error *err)
{
    source_file *file = &s->files[s->count];
    memset(file, 0, sizeof *file);
    file->name = name;
    int32_t status = folder_file(f, name, &file->map, err);
    if (status != ECREC_OK)
        return status;
    s->count++; /* from here on source_close releases it */
    if ((status = safetensors_open(&f->context->m, name, file->map->data, file->map->length, &file->content, err)) != ECREC_OK)
        return status;
    if ((file->used = arena_zero(&f->a, file->content.count + 1)) == NULL)
        return error_nomem(err, "the list of tensors", file->content.count);
    s->tensors += file->content.count;
    for (size_t i = 0; i < file->content.count; i++)
        s->bytes += file->content.tensors[i].bytes;
    return ECREC_OK;
}

static int known(const source *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].name, name) == 0)
            return 1;
    return 0;
}

/* Every name of the index must lie in the file that it says, and in no other. */
static int32_t check_index(const source *s, const json *map, ecrec_error *err)
{
    for (const json *v = map->first; v != NULL; v = v->next) {
        const source_file *file = NULL;
        size_t found = 0;
        for (size_t i = 0; i < s->count; i++)
            if (safetensors_find(&s->files[i].content, v->key) != NULL) {
                file = &s->files[i];
                found++;
            }
        if (found != 1 || strcmp(file->name, v->text) != 0)
            return error_at(err, ECREC_ERR_FORMAT, v->position, INDEX ": tensor \"%s\" is not in %s, or in several files", v->key, v->text);
    }
    return ECREC_OK;
}

static int32_t open_shards(folder *f, source *s, const json *index, ecrec_error *err)
{
    const json *map = json_get(index, "weight_map");
    if (!json_is(map, JSON_OBJECT))
        return error_set(err, ECREC_ERR_FORMAT, INDEX ": \"weight_map\" is missing");
    if ((s->files = arena_zero(&f->a, MOST_FILES * sizeof *s->files)) == NULL)
        return error_nomem(err, "the list of files", MOST_FILES * sizeof *s->files);
    for (const json *v = map->first; v != NULL; v = v->next) {
        if (!json_is(v, JSON_STRING) || v->length == 0 || strchr(v->text, '/') != NULL || strstr(v->text, "..") != NULL || strlen(v->text) != v->length)
            return error_at(err, ECREC_ERR_FORMAT, v->position, INDEX ": the file of tensor \"%s\" is no name of a file in the folder", v->key);
        if (known(s, v->text))
            continue;
        if (s->count == MOST_FILES)
            return error_set(err, ECREC_ERR_LIMIT, INDEX ": more than %d files", MOST_FILES);
        const int32_t status = open_file(f, s, v->text, err);
        if (status == ECREC_ERR_NOT_FOUND)
            return error_set(err, ECREC_ERR_IO, "%s/%s: no such file or folder, but " INDEX " names it", f->path, v->text);
        if (status != ECREC_OK)
            return status;
    }
    return check_index(s, map, err);
}

/* There are no safetensors: what is there instead? */
static int32_t refuse(folder *f, ecrec_error *err)
{
    static const char *const others[][2] = {
        { "pytorch_model.bin", "Python pickles are refused, for they run code; in Python, AutoModel.from_pretrained(folder).save_pretrained(folder, "
                               "safe_serialization=True) writes model.safetensors" },
        { "pytorch_model.bin.index.json", "Python pickles are refused, for they run code; in Python, AutoModel.from_pretrained(folder)"
                                          ".save_pretrained(folder, safe_serialization=True) writes model.safetensors" },
        { "tf_model.h5", "TensorFlow weights are not supported (supported: model.safetensors)" },
        { "flax_model.msgpack", "Flax weights are not supported (supported: model.safetensors)" },
        { "model.onnx", "ONNX graphs are not supported (supported: model.safetensors)" },
        { "onnx/model.onnx", "ONNX graphs are not supported (supported: model.safetensors)" },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        mapping *other = NULL;
        const int32_t status = folder_file(f, others[i][0], &other, err);
        mapping_release(other);
        if (status == ECREC_OK)
            return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: only %s is there: %s", f->path, others[i][0], others[i][1]);
        if (status != ECREC_ERR_NOT_FOUND)
            return status;
    }
    return error_set(err, ECREC_ERR_IO, "%s/model.safetensors: no such file or folder (a Hugging Face model folder is needed)", f->path);
}

int32_t source_open_file(folder *f, source *s, const char *name, ecrec_error *err)
{
    memset(s, 0, sizeof *s);
    if ((s->files = arena_zero(&f->a, sizeof *s->files)) == NULL)
        return error_nomem(err, "the list of files", sizeof *s->files);
    const int32_t status = open_file(f, s, name, err);
    if (status == ECREC_ERR_NOT_FOUND)
        return error_set(err, ECREC_ERR_IO, "%s/%s: no such file or folder (Python pickles are not read)", f->path, name);
    if (status != ECREC_OK)
        source_close(s);
    return status;
}

int32_t source_open(folder *f, source *s, ecrec_error *err)
{
    static const char *const names[] = { "model.safetensors", "sequence-encoder.safetensors" };
    const json *index = NULL;
    memset(s, 0, sizeof *s);
    int32_t status = ECREC_ERR_NOT_FOUND;
    if (f->file != NULL)
        return source_open_file(f, s, f->file, err);
    if ((s->files = arena_zero(&f->a, sizeof *s->files)) == NULL)
        return error_nomem(err, "the list of files", sizeof *s->files);
    for (size_t i = 0; i < sizeof names / sizeof *names && status == ECREC_ERR_NOT_FOUND; i++)
        status = open_file(f, s, names[i], err);
    if (status != ECREC_ERR_NOT_FOUND)
        return status;
    if ((status = folder_json(f, INDEX, &index, err)) == ECREC_OK)
        return open_shards(f, s, index, err);
    return status == ECREC_ERR_NOT_FOUND ? refuse(f, err) : status;
}

void source_close(source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        safetensors_close(&s->files[i].content);
        mapping_release(s->files[i].map);
    }
    s->count = 0;
}

const safetensor *source_find(const source *s, const char *name, const source_file **file)
{
    for (size_t i = 0; i < s->count; i++) {
        const safetensor *t = safetensors_find(&s->files[i].content, name);
        if (t == NULL)
            continue;
        if (file != NULL)
            *file = &s->files[i];
        return t;
    }
    return NULL;
}

void source_use(source *s, const safetensor *t)
{
    for (size_t i = 0; i < s->count; i++) {
        const safetensors *c = &s->files[i].content;
        if (c->count != 0 && t >= c->tensors && t < c->tensors + c->count)
            s->files[i].used[t - c->tensors] = 1;
    }
}

int32_t source_prefix(folder *f, source *s, const char *names, ecrec_error *err)
{
    const char *best = NULL;
    size_t shortest = SIZE_MAX;
    for (const char *at = names; *at != 0;) {
        const char *end = strchr(at, '|');
        const size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
        for (size_t i = 0; i < s->count; i++)
            for (size_t j = 0; j < s->files[i].content.count; j++) {
                const char *name = s->files[i].content.tensors[j].name;
                size_t length = strlen(name);
                if (length >= 7 && strcmp(name + length - 7, ".weight") == 0)
                    length -= 7;
                const size_t front = length >= n ? length - n : SIZE_MAX;
                if (front < shortest && memcmp(name + front, at, n) == 0 && (front == 0 || name[front - 1] == '.')) {
                    best = name;
                    shortest = front;
                }
            }
        at += n + (end != NULL);
    }
    if (best == NULL)
        return ECREC_OK;
    s->prefix = arena_copy(&f->a, best, shortest);
    return s->prefix != NULL ? ECREC_OK : error_nomem(err, "a prefix", shortest);
}
