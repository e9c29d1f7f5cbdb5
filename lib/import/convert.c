#include "import/convert.h"

#include <string.h>

#include "base/format.h"
#include "import/config.h"
#include "import/pieces.h"

static int32_t convert_tables(converter *c)
{
    const folder *f = c->f;
    const family *m = f->family;
    const int with_norm_bias = (f->biases & BIAS_NORM) != 0 && (m->flags & FAMILY_RMS) == 0;
    int32_t status = ECREC_OK;
    if ((m->flags & FAMILY_IMAGE) != 0) {
        const linear patch = { .name = "embeddings.patch", .pieces = { { m->token, f->hidden } }, .k = f->patch * f->patch * f->channels,
                               .bias = piece_there(c, m->token, ".bias", 0), .flat = 1 };
        const safetensor *t = NULL;
        if ((status = piece_matrix(c, &patch)) == ECREC_OK && (status = piece_find(c, m->class_token, 0, ".weight", 0, f->hidden, 0, &t)) == ECREC_OK)
            status = piece_rows(c, "embeddings.class", t, f->hidden, 0);
    } else if ((m->flags & FAMILY_STATIC) == 0) {
        status = piece_table(c, "embeddings.token", m->token, f->vocabulary, f->embedding);
    }
    if (status == ECREC_OK && m->position != NULL)
        status = piece_table(c, "embeddings.position", m->position, f->rows, f->embedding);
    if (status == ECREC_OK && m->type != NULL && f->types != 0)
        status = piece_table(c, "embeddings.type", m->type, f->types, f->embedding);
    if (status == ECREC_OK && m->embedding_norm != NULL)
        status = piece_norm(c, "embeddings.norm", m->embedding_norm, 0, with_norm_bias, 0, f->embedding);
    if (status == ECREC_OK && m->embedding_projection != NULL && (f->embedding != f->hidden || piece_there(c, m->embedding_projection, ".weight", 0))) {
        const linear projection = { .name = "embeddings.projection", .pieces = { { m->embedding_projection, f->hidden } }, .k = f->embedding, .bias = 1 };
        if ((status = set_u64(c->f, "encoder.embedding_projection", 1, c->err)) == ECREC_OK)
            status = piece_matrix(c, &projection);
    }
    if (status == ECREC_OK && m->final_norm != NULL)
        status = piece_norm(c, "final_norm", m->final_norm, 0, with_norm_bias, 0, f->hidden);
    return status;
}

static int32_t convert_positions(converter *c)
{
    const folder *f = c->f;
    const safetensor *t = NULL;
    char name[32];
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < f->rotaries && status == ECREC_OK && !c->check_only; i++) {
        float *to = NULL;
        format_text(name, sizeof name, "rotary.%llu", (unsigned long long)i);
        if ((status = piece_make(c, name, LAYOUT_ROWS, f->max_length, f->rotary_size, &to)) == ECREC_OK)
            rotary_fill(&f->rotary[i], (size_t)f->max_length, (size_t)f->rotary_size, to);
    }
    if (status != ECREC_OK || f->family->relative == NULL || f->layers == 0)
        return status;
    if ((status = piece_find(c, f->family->relative, 0, ".weight", 0, f->bucket_rows, f->heads, &t)) == ECREC_OK)
        status = piece_rows(c, "relative", t, f->buckets, f->heads);
    return status;
}

static int32_t convert_layer(converter *c, uint64_t layer, uint64_t number)
{
    const folder *f = c->f;
    const family *m = f->family;
    const uint64_t width = f->heads * f->head_size, keys = f->groups * f->head_size, h = f->hidden, ff = f->feed_forward;
    const int with_norm_bias = (f->biases & BIAS_NORM) != 0 && (m->flags & FAMILY_RMS) == 0;
    char names[8][64];
    static const char *const parts[] = { "attention.qkv", "attention.output", "attention.norm", "feed_forward.in", "feed_forward.out",
                                         "feed_forward.norm", "attention.query_norm", "attention.key_norm" };
    for (size_t i = 0; i < 8; i++)
        format_text(names[i], sizeof names[i], "layers.%llu.%s", (unsigned long long)layer, parts[i]);
    linear qkv = { .name = names[0], .pieces = { { m->query, width }, { m->key, keys }, { m->value, keys } }, .k = h, .number = number,
                   .bias = (f->biases & BIAS_QKV) != 0, .groups = f->groups, .each = f->heads / f->groups, .size = f->head_size };
    if (m->fused != NULL) {
        qkv.pieces[0] = (piece){ m->fused, width + 2 * keys };
        qkv.pieces[1].from = NULL;
    }
    const linear output = { .name = names[1], .pieces = { { m->output, h } }, .k = width, .number = number, .bias = (f->biases & BIAS_OUTPUT) != 0 };
    linear in = { .name = names[3], .pieces = { { m->in, ff } }, .k = h, .number = number, .bias = (f->biases & BIAS_IN) != 0 };
    if (f->gated && m->gate != NULL) {
        in.pieces[0].from = m->gate;
        in.pieces[1] = (piece){ m->in, ff };
    } else if (f->gated) {
        in.pieces[0].rows = 2 * ff;
    }
    const linear out = { .name = names[4], .pieces = { { m->out, h } }, .k = ff, .number = number, .bias = (f->biases & BIAS_OUT) != 0 };
    const int unnormed = layer == 0 && strcmp(f->model_type, "modernbert") == 0;
    int32_t status;
    if ((status = piece_matrix(c, &qkv)) || (status = piece_matrix(c, &output)) ||
        (!unnormed && (status = piece_norm(c, names[2], m->attention_norm, number, with_norm_bias, 0, h))) || (status = piece_matrix(c, &in)) ||
        (status = piece_matrix(c, &out)) || (status = piece_norm(c, names[5], m->feed_forward_norm, number, with_norm_bias, 0, h)))
        return status;
    if (m->query_norm == NULL)
        return ECREC_OK;
    status = piece_norm(c, names[6], m->query_norm, number, 0, 0, f->head_size);
    return status != ECREC_OK ? status : piece_norm(c, names[7], m->key_norm, number, 0, 0, f->head_size);
}

int32_t convert_all(converter *c)
{
    const folder *f = c->f;
    int32_t status = (f->family->flags & FAMILY_STATIC) != 0 ? convert_static(c) : convert_tables(c);
    if (status == ECREC_OK)
        status = convert_positions(c);
    for (uint64_t i = 0, number = 0; i < f->layers && status == ECREC_OK; i++) {
        if (folder_layer_of(f, i) == i)
            status = convert_layer(c, i, f->layer_groups == UINT64_MAX ? i : number++);
    }
    if (status == ECREC_OK)
        status = convert_projection(c);
    if (status == ECREC_OK)
        status = convert_dense(c);
    return status == ECREC_OK ? convert_heads(c) : status;
}
