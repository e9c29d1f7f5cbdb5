/* What stands on the states of an encoder: projections, poolers, classifiers. */
#include "import/convert.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "import/config.h"
#include "import/pieces.h"

enum { MOST_NAMED = 4096 /* labels that get a name of ours */ };

/* Rows of a matrix whose height the configuration does not say. */
static int32_t height(const converter *c, const char *names, uint64_t *rows)
{
    char full[MOST_NAME];
    const safetensor *t = piece_look(c, names, 0, ".weight", 1, full);
    if (t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[0] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing or no matrix of 1 .. 65536 rows", c->s->files[0].name, full);
    *rows = t->shape[0];
    return ECREC_OK;
}

static int32_t dense(converter *c, const char *name, const char *from, uint64_t n, uint64_t k)
{
    const linear l = { .name = name, .pieces = { { from, n } }, .k = k, .bias = piece_there(c, from, ".bias", 1), .outside = 1 };
    return piece_matrix(c, &l);
}

int32_t convert_projection(converter *c)
{
    folder *f = c->f;
    const family *m = f->family;
    int32_t status = ECREC_OK;
    if (m->projection_norm != NULL) {
        if ((status = piece_norm(c, "projection.norm", m->projection_norm, 0, 1, 0, f->hidden)) == ECREC_OK)
            status = set_u64(f, "encoder.projection_norm", 1, c->err);
    }
    if (status != ECREC_OK || !piece_there(c, m->projection, ".weight", 1))
        return status;
    if ((status = height(c, m->projection, &f->dimension)) != ECREC_OK || (status = set_u64(f, "encoder.projection", 1, c->err)) != ECREC_OK)
        return status;
    return dense(c, "projection", m->projection, f->dimension, f->hidden);
}

static int32_t convert_pooler(converter *c, const char *from, const char *activation)
{
    int32_t status = set_u64(c->f, "encoder.pooler", 1, c->err);
    if (status == ECREC_OK)
        status = set_string(c->f, "encoder.pooler_activation", activation, c->err);
    return status == ECREC_OK ? dense(c, "pooler", from, c->f->hidden, c->f->hidden) : status;
}

/* Labels that the configuration gives no names are called as its tools call them. */
static int32_t name_labels(converter *c, uint64_t labels)
{
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < labels && labels <= MOST_NAMED && status == ECREC_OK; i++) {
        char key[32], name[32];
        format_text(key, sizeof key, "label.%llu", (unsigned long long)i);
        format_text(name, sizeof name, "LABEL_%llu", (unsigned long long)i);
        if (properties_string(c->f->settings, key, NULL) == NULL)
            status = set_string(c->f, key, name, c->err);
    }
    return status;
}

/* What stands on the pooled state: BERT's pooler, and the classifier with what it has of its own before it. */
int32_t convert_heads(converter *c)
{
    folder *f = c->f;
    const family *m = f->family;
    const char *pooling = properties_string(f->settings, "encoder.pooling", "");
    uint64_t labels = 0;
    int32_t status = ECREC_OK;
    const int classifies = f->classifies && m->classifier != NULL;
    if (classifies && m->head_dense != NULL) {
        const char *activation = m->head_activation;
        if ((status = convert_pooler(c, m->head_dense, activation)) != ECREC_OK ||
            (status = json_get_string(f->config, "config.json", "classifier_activation", activation, &activation, c->err)) != ECREC_OK ||
            (strcmp(f->model_type, "modernbert") == 0 &&
             (status = config_activation(f, "encoder.pooler_activation", "classifier_activation", activation, c->err)) != ECREC_OK))
            return status;
    } else if (piece_there(c, m->pooler, ".weight", 0) && (!classifies || (m->flags & FAMILY_IMAGE) == 0)) {
        if ((status = convert_pooler(c, m->pooler, "tanh")) != ECREC_OK)
            return status;
    } else if (strcmp(pooling, "pooler") == 0 && (status = set_string(f, "encoder.pooling", "cls", c->err)) != ECREC_OK) {
        return status;
    }
    if (!classifies)
        return ECREC_OK;
    if (m->head_norm != NULL) {
        if ((status = piece_norm(c, "pooler.norm", m->head_norm, 0, (f->biases & BIAS_NORM) != 0, 1, f->hidden)) != ECREC_OK ||
            (status = set_u64(f, "encoder.pooler_norm", 1, c->err)) != ECREC_OK)
            return status;
    }
    const char *where = m->head_pooling != NULL ? m->head_pooling : "cls";
    if (strcmp(f->model_type, "modernbert") == 0 && (status = json_get_string(f->config, "config.json", "classifier_pooling", "cls", &where, c->err)))
        return status;
    if (strcmp(where, "cls") != 0 && strcmp(where, "mean") != 0 && strcmp(where, "last") != 0)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "config.json: classifier_pooling \"%s\" is not supported (supported: cls, mean)", where);
    if ((status = height(c, m->classifier, &labels)) != ECREC_OK || (status = set_string(f, "encoder.pooler_pooling", where, c->err)) != ECREC_OK ||
        (status = set_u64(f, "encoder.labels", labels, c->err)) != ECREC_OK || (status = name_labels(c, labels)) != ECREC_OK)
        return status;
    return dense(c, "classifier", m->classifier, labels, f->hidden);
}

/* ---- the dense layer after pooling of sentence-transformers: a folder of its own ---- */

static int32_t dense_activation(folder *f, const char *name, const char *value, ecrec_error *err)
{
    static const char *const known[][2] = { { "torch.nn.modules.linear.Identity", "none" }, { "torch.nn.modules.activation.Tanh", "tanh" },
                                            { "torch.nn.modules.activation.ReLU", "relu" }, { "torch.nn.modules.activation.GELU", "gelu" } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i][0], value) == 0)
            return set_string(f, "encoder.projection_activation", known[i][1], err);
    return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: activation_function \"%s\" is not supported (supported: Identity, Tanh, ReLU, GELU of torch.nn)", name, value);
}

int32_t convert_dense(converter *c)
{
    folder *f = c->f;
    char name[512], weights[512];
    const json *config = NULL;
    const char *activation = NULL;
    uint64_t in = 0, out = 0;
    int with_bias = 1;
    int32_t status;
    source s = { 0 };
    if (f->dense == NULL)
        return ECREC_OK;
    if (properties_u64(f->settings, "encoder.projection", 0) != 0)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "modules.json: a Dense module on a model with a projection of its own is not supported");
    format_text(name, sizeof name, "%s/config.json", f->dense);
    format_text(weights, sizeof weights, "%s/model.safetensors", f->dense);
    if ((status = folder_json(f, name, &config, c->err)) == ECREC_ERR_NOT_FOUND)
        return error_set(c->err, ECREC_ERR_IO, "%s: no such file or folder, but modules.json names it", name);
    if (status != ECREC_OK || (status = json_get_u64(config, name, "in_features", 0, &in, c->err)) || (status = json_get_u64(config, name, "out_features", 0, &out, c->err)) ||
        (status = json_get_bool(config, name, "bias", 1, &with_bias, c->err)) ||
        (status = json_get_string(config, name, "activation_function", "torch.nn.modules.activation.Tanh", &activation, c->err)) ||
        (status = dense_activation(f, name, activation, c->err)))
        return status;
    if (in != f->hidden || out == 0 || out > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: in_features is %llu, the hidden size %llu; out_features %llu must be 1 .. 65536", name, (unsigned long long)in,
                         (unsigned long long)f->hidden, (unsigned long long)out);
    f->dimension = out;
    if ((status = set_u64(f, "encoder.projection", 1, c->err)) || (status = source_open_file(f, &s, weights, c->err)))
        return status;
    s.prefix = "";
    source *whole = c->s;
    const linear l = { .name = "projection", .pieces = { { "linear", out } }, .k = in, .bias = with_bias, .outside = 1 };
    c->s = &s;
    status = piece_matrix(c, &l);
    c->s = whole;
    source_close(&s);
    return status;
}
