/* Families whose tensors tell their sizes. */
#include "import/convert.h"

#include <string.h>

#include "base/error.h"
#include "import/config.h"
#include "import/pieces.h"

/* The integers of a tensor of token numbers. */
static int32_t integer_at(const converter *c, const safetensor *t, size_t i, uint64_t below, uint64_t *out)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    if (strcmp(t->dtype, "I64") == 0) {
        memcpy(&wide, t->data + 8 * i, 8);
    } else if (strcmp(t->dtype, "I32") == 0) {
        memcpy(&narrow, t->data + 4 * i, 4);
        wide = narrow;
    } else {
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "tensor \"%s\": type %s is not supported (supported: I64, I32)", t->name, t->dtype);
    }
    if (wide < 0 || (uint64_t)wide >= below)
        return error_set(c->err, ECREC_ERR_FORMAT, "tensor \"%s\": value %zu is not a row of the table of %llu", t->name, i, (unsigned long long)below);
    *out = (uint64_t)wide;
    return ECREC_OK;
}

/* One row a token: the table's, where a mapping says which, times the token's weight. */
int32_t convert_static(converter *c)
{
    const folder *f = c->f;
    const safetensor *t = NULL, *mapping = source_find(c->s, "mapping", NULL), *weights = source_find(c->s, "weights", NULL);
    const size_t d = (size_t)f->hidden;
    char full[MOST_NAME];
    float *to = NULL;
    t = piece_look(c, f->family->token, 0, ".weight", 0, full);
    const uint64_t rows = t->shape[0];
    int32_t status = piece_check(c, t, full, rows, f->hidden, 0);
    if (status == ECREC_OK && mapping != NULL)
        status = piece_check(c, mapping, "mapping", f->vocabulary, 0, 0);
    if (status == ECREC_OK && weights != NULL)
        status = piece_check(c, weights, "weights", f->vocabulary, 0, 0);
    if (status != ECREC_OK || c->check_only || (status = piece_make(c, "embeddings.token", LAYOUT_ROWS, f->vocabulary, d, &to)) != ECREC_OK)
        return status;
    for (size_t i = 0; i < f->vocabulary && status == ECREC_OK; i++, to += d) {
        uint64_t row = i;
        float weight = 1;
        if (mapping != NULL && (status = integer_at(c, mapping, i, rows, &row)) != ECREC_OK)
            break;
        if (weights != NULL && (status = safetensors_floats(weights, i, 1, &weight, c->err)) != ECREC_OK)
            break;
        status = safetensors_floats(t, (size_t)row * d, d, to, c->err);
        for (size_t j = 0; j < d && weights != NULL; j++)
            to[j] *= weight;
    }
    return status == ECREC_OK ? piece_done(c, t) : status;
}

static int32_t table_shape(const converter *c, const char *names, uint64_t *rows, uint64_t *columns)
{
    char full[MOST_NAME], found[96] = "none";
    const safetensor *t = piece_look(c, names, 0, ".weight", 0, full);
    if (t != NULL)
        piece_shape(t, found);
    if (t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[1] == 0 || t->shape[0] > 1 << 26 || t->shape[1] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s; a table of at most 67108864 x 65536 is needed",
                         c->s->files[0].name, full, found);
    *rows = t->shape[0];
    *columns = t->shape[1];
    return ECREC_OK;
}

/* The id of the tokenizer's unknown token: static models leave it out. */
static int32_t unknown_token(converter *c)
{
    folder *f = c->f;
    const json *file = NULL;
    uint64_t id = 0;
    const int32_t status = folder_optional_json(f, "tokenizer.json", &file, c->err);
    const json *model = json_get(file, "model"), *name = json_get(model, "unk_token");
    if (status != ECREC_OK || !json_is(name, JSON_STRING) || !json_u64(json_get(json_get(model, "vocab"), name->text), &id) || id >= f->vocabulary)
        return status;
    return set_u64(f, "encoder.skip_token", id, c->err);
}

static int32_t infer_static(converter *c)
{
    folder *f = c->f;
    int32_t status = table_shape(c, f->family->token, &f->vocabulary, &f->hidden);
    const safetensor *mapping = source_find(c->s, "mapping", NULL);
    int normalize = 0;
    if (status != ECREC_OK)
        return status;
    if (mapping != NULL && mapping->rank == 1 && mapping->shape[0] >= 1 && mapping->shape[0] <= 1 << 26)
        f->vocabulary = mapping->shape[0];
    f->embedding = f->hidden;
    f->positions = 1 << 20;
    f->head_size = f->heads = f->groups = f->feed_forward = 1; /* there are no layers */
    if (f->config != NULL && (status = json_get_bool(f->config, "config.json", "normalize", 0, &normalize, c->err)) != ECREC_OK)
        return status;
    if (normalize && (status = set_u64(f, "encoder.normalize", 1, c->err)) != ECREC_OK)
        return status;
    return f->config != NULL ? unknown_token(c) : ECREC_OK;
}

static int32_t infer_items(converter *c, uint32_t heads)
{
    folder *f = c->f;
    const family *m = f->family;
    uint64_t width = 0, given = 2;
    char full[MOST_NAME];
    double eps = m->eps;
    const char *activation = m->activation;
    int32_t status;
    if ((status = table_shape(c, m->token, &f->vocabulary, &f->hidden)) || (status = table_shape(c, m->position, &f->rows, &width)))
        return status;
    for (f->layers = 0; f->layers < 1024 && piece_look(c, m->query, f->layers, ".weight", 0, full) != NULL; f->layers++)
        ;
    const safetensor *t = piece_look(c, m->in, 0, ".weight", 0, full);
    if (f->layers == 0 || t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[0] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: the layers' tensors (\"%s\") are missing", c->s->files[0].name, full);
    if ((status = json_get_u64(f->config, "config.json", "num_attention_heads", 2, &given, c->err)) ||
        (status = json_get_string(f->config, "config.json", "hidden_act", activation, &activation, c->err)) ||
        (status = json_get_double(f->config, "config.json", "layer_norm_eps", eps, &eps, c->err)))
        return status;
    given = heads != 0 ? heads : given;
    if (given == 0 || f->hidden % given != 0)
        return error_set(c->err, ECREC_ERR_INVALID, "%llu attention heads do not divide the width of %llu", (unsigned long long)given, (unsigned long long)f->hidden);
    if (strcmp(activation, "gelu") != 0 && strcmp(activation, "relu") != 0 && strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "config.json: hidden_act \"%s\" is not supported here (supported: gelu, relu, silu, swish)", activation);
    f->feed_forward = t->shape[0];
    f->embedding = f->hidden;
    f->positions = f->rows;
    f->heads = f->groups = given;
    f->head_size = f->hidden / given;
    f->biases = m->biases;
    if (f->rows > 1 << 20 || !(eps > 0 && eps < 1))
        return error_set(c->err, ECREC_ERR_FORMAT, "%llu positions, or layer_norm_eps %g, are out of range", (unsigned long long)f->rows, eps);
    if ((status = set_string(f, "encoder.activation", strcmp(activation, "swish") == 0 ? "silu" : activation, c->err)))
        return status;
    return set_f64(f, "encoder.norm_eps", eps, c->err);
}

int32_t convert_infer(converter *c, uint32_t heads)
{
    static const char *const kinds[] = { "sasrec", "model2vec" };
    folder *f = c->f;
    int32_t status = ECREC_OK;
    c->s->prefix = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && f->family == NULL && status == ECREC_OK; i++) {
        const family *m = family_find(kinds[i]);
        if ((status = source_prefix(f, c->s, m->token, c->err)) != ECREC_OK || c->s->prefix == NULL)
            continue;
        f->family = m;
        f->model_type = kinds[i];
        f->layer_groups = UINT64_MAX;
        if (strcmp(kinds[i], "sasrec") == 0)
            status = set_string(f, "encoder.pooling", m->pooling, c->err);
    }
    if (status != ECREC_OK)
        return status;
    if (f->family == NULL && f->config != NULL)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "config.json: model_type is missing (supported: %s)", family_list());
    if (f->family == NULL)
        return error_set(c->err, ECREC_ERR_IO, "%s/config.json: no such file or folder (a Hugging Face model folder is needed)", f->path);
    if ((status = source_prefix(f, c->s, f->family->token, c->err)) != ECREC_OK)
        return status;
    if (c->s->prefix == NULL)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing, under any prefix", c->s->files[0].name, f->family->token);
    if ((f->family->flags & FAMILY_STATIC) != 0)
        status = infer_static(c);
    else if ((f->family->flags & FAMILY_ITEMS) != 0)
        status = infer_items(c, heads);
    f->dimension = f->hidden;
    return status;
}
