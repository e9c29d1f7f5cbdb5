#include "encoder/bind.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "ecrec/text.h"

typedef struct binder {
    encoder *e;
    const properties *settings;
    const tensor_set *tensors;
    ecrec_error *err;
    char name[96];
} binder;

static int32_t setting(binder *b, const char *name, uint64_t smallest, uint64_t largest, uint64_t missing, uint32_t *out)
{
    uint64_t value = properties_u64(b->settings, name, missing);
    if (value == UINT64_MAX)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"%s\" is missing", name);
    if (value < smallest || value > largest)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"%s\" is %llu; it must be %llu..%llu", name,
                         (unsigned long long)value, (unsigned long long)smallest, (unsigned long long)largest);
    *out = (uint32_t)value;
    return ECREC_OK;
}

typedef struct choice {
    const char *name;
    uint32_t value;
} choice;

static int32_t choose(binder *b, const char *name, const char *missing, const choice *choices, const char *supported,
                      uint32_t *out)
{
    const char *value = properties_string(b->settings, name, missing);
    for (; choices->name; choices++)
        if (strcmp(choices->name, value) == 0) {
            *out = choices->value;
            return ECREC_OK;
        }
    return error_set(b->err, ECREC_ERR_UNSUPPORTED, "setting \"%s\" is \"%s\"; supported: %s", name, value, supported);
}

static const choice activations[] = {{"gelu", EPILOGUE_GELU_ERF}, {"gelu_tanh", EPILOGUE_GELU_TANH}, {"gelu_quick", EPILOGUE_GELU_QUICK},
                                     {"relu", EPILOGUE_RELU}, {"silu", EPILOGUE_SILU}, {"tanh", EPILOGUE_TANH},
                                     {"none", EPILOGUE_NONE}, {NULL, 0}};
static const choice poolings[] = {{"mean", ECREC_POOL_MEAN}, {"cls", ECREC_POOL_CLS}, {"last", ECREC_POOL_LAST},
                                  {"max", ECREC_POOL_MAX}, {"end", ECREC_POOL_END}, {"pooler", ECREC_POOL_POOLER}, {NULL, 0}};
#define ACTIVATIONS "gelu, gelu_tanh, gelu_quick, relu, silu, tanh, none"
#define POOLINGS "mean, cls, last, max, end, pooler"

/* What the layers are. */
static int32_t read_architecture(binder *b)
{
    static const choice kinds[] = {{"transformer", 0}, {"bert", 0}, {NULL, 0}};
    static const choice norms[] = {{"layer", NORM_LAYER}, {"rms", NORM_RMS}, {NULL, 0}};
    static const choice places[] = {{"post", 0}, {"pre", 1}, {NULL, 0}};
    encoder *e = b->e;
    uint32_t kind;
    int32_t status;
    if ((status = choose(b, "encoder.kind", "", kinds, "transformer", &kind)) ||
        (status = choose(b, "encoder.norm", "layer", norms, "layer, rms", &e->norm)) ||
        (status = choose(b, "encoder.norm_place", "post", places, "post, pre", &e->pre_norm)) ||
        (status = choose(b, "encoder.activation", "gelu", activations, ACTIVATIONS, &e->activation)) ||
        (status = setting(b, "encoder.hidden_size", 1, LARGEST_WIDTH, UINT64_MAX, &e->hidden)) ||
        (status = setting(b, "encoder.head_size", 1, LARGEST_WIDTH, UINT64_MAX, &e->head_size)) ||
        (status = setting(b, "encoder.causal", 0, 1, 0, &e->causal)) || (status = setting(b, "encoder.gated", 0, 1, 0, &e->gated)))
        return status;
    double eps = properties_f64(b->settings, "encoder.norm_eps", 1e-12), scale = properties_f64(b->settings, "encoder.attention_scale", 0);
    if (!(eps >= 0.0 && eps <= 1.0))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.norm_eps\" is %g; it must be 0..1", eps);
    if (!(scale >= 0.0 && scale <= 1e6))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.attention_scale\" is %g; it must be 0..1000000", scale);
    e->norm_eps = (float)eps;
    e->attention_scale = scale > 0 ? (float)scale : 1.0f / sqrtf((float)e->head_size);
    return ECREC_OK;
}

static int32_t read_image(binder *b)
{
    encoder *e = b->e;
    int32_t status;
    if ((status = setting(b, "encoder.patch_size", 0, 4096, 0, &e->patch_size)) || e->patch_size == 0)
        return status;
    if ((status = setting(b, "encoder.image_height", 1, 16384, UINT64_MAX, &e->image_height)) ||
        (status = setting(b, "encoder.image_width", 1, 16384, UINT64_MAX, &e->image_width)) ||
        (status = setting(b, "encoder.image_channels", 1, 256, 3, &e->image_channels)))
        return status;
    if (e->image_height < e->patch_size || e->image_width < e->patch_size ||
        (uint64_t)e->patch_size * e->patch_size * e->image_channels > LARGEST_WIDTH)
        return error_set(b->err, ECREC_ERR_FORMAT, "patches of %u x %u x %u do not fit images of %u x %u, or are above %d values",
                         e->patch_size, e->patch_size, e->image_channels, e->image_height, e->image_width, LARGEST_WIDTH);
    return ECREC_OK;
}

/* What goes in: ids or patches, and where they stand. */
static int32_t read_input(binder *b)
{
    static const choice positions[] = {{"absolute", POSITION_ABSOLUTE}, {"rotary", POSITION_ROTARY}, {"none", POSITION_NONE}, {NULL, 0}};
    encoder *e = b->e;
    int32_t status;
    if ((status = read_image(b)) || (status = choose(b, "encoder.position", "absolute", positions, "absolute, rotary, none", &e->position)) ||
        (status = setting(b, "encoder.vocabulary", e->patch_size == 0, INT32_MAX, e->patch_size != 0 ? 0 : UINT64_MAX, &e->vocabulary)) ||
        (status = setting(b, "encoder.embedding_size", 1, LARGEST_WIDTH, e->hidden, &e->embedding)) ||
        (status = setting(b, "encoder.positions", 0, LARGEST_LENGTH, 0, &e->positions)) ||
        (status = setting(b, "encoder.position_offset", 0, LARGEST_LENGTH, 0, &e->position_offset)) ||
        (status = setting(b, "encoder.position_end", 0, 1, 0, &e->position_end)) ||
        (status = setting(b, "encoder.token_types", 0, 256, 0, &e->token_types)) ||
        (status = setting(b, "encoder.rotary_size", 2, LARGEST_WIDTH, e->head_size > 2 ? e->head_size : 2, &e->rotary_size)) ||
        (status = setting(b, "encoder.relative_buckets", 0, 65536, 0, &e->relative_buckets)) ||
        (status = setting(b, "encoder.relative_distance", 1, LARGEST_LENGTH, 128, &e->relative_distance)) ||
        (status = setting(b, "encoder.special_tokens", 0, 1, 1, &e->special_tokens)))
        return status;
    const uint64_t padding = properties_u64(b->settings, "encoder.position_padding", NO_TOKEN),
                   skip = properties_u64(b->settings, "encoder.skip_token", NO_TOKEN);
    e->position_padding = padding < NO_TOKEN ? (uint32_t)padding : NO_TOKEN;
    e->skip_token = skip < NO_TOKEN ? (uint32_t)skip : NO_TOKEN;
    if (e->position == POSITION_ABSOLUTE && e->positions <= e->position_offset)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.positions\" is %u; it must be above the offset %u",
                         e->positions, e->position_offset);
    if (e->position == POSITION_ROTARY && (e->positions == 0 || e->rotary_size % 2 != 0 || e->rotary_size > e->head_size))
        return error_set(b->err, ECREC_ERR_FORMAT, "rotary positions need \"encoder.positions\" (%u) and an even \"encoder.rotary_size\" (%u)",
                         e->positions, e->rotary_size);
    if (e->position_padding != NO_TOKEN && (e->position_offset == 0 || e->position_end))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.position_padding\" needs \"encoder.position_offset\" of 1 or more");
    if (e->relative_buckets != 0 && (e->relative_buckets < 4 || e->relative_buckets % 4 != 0 || e->relative_distance <= e->relative_buckets / 4))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.relative_buckets\" is %u, \"encoder.relative_distance\" %u; a multiple "
                         "of 4 and more than a quarter of it are needed", e->relative_buckets, e->relative_distance);
    if (e->patch_size != 0 && (e->position_offset != 0 || e->position_end || e->token_types != 0 || e->embedding != e->hidden ||
                               e->position_padding != NO_TOKEN))
        return error_set(b->err, ECREC_ERR_FORMAT, "an image encoder has no token types, offsets of positions or embedding size of its own");
    return ECREC_OK;
}

/* What comes out. */
static int32_t read_output(binder *b)
{
    encoder *e = b->e;
    int32_t status;
    const uint32_t longest = encoder_longest(e);
    if ((status = choose(b, "encoder.pooling", "mean", poolings, POOLINGS, &e->pooling)) ||
        (status = choose(b, "encoder.pooler_pooling", "cls", poolings, POOLINGS, &e->pooler_pooling)) ||
        (status = choose(b, "encoder.pooler_activation", "tanh", activations, ACTIVATIONS, &e->pooler_activation)) ||
        (status = choose(b, "encoder.projection_activation", "none", activations, ACTIVATIONS, &e->projection_activation)) ||
        (status = setting(b, "encoder.normalize", 0, 1, 0, &e->normalize)) ||
        (status = setting(b, "encoder.labels", 0, LARGEST_WIDTH, 0, &e->labels)) ||
        (status = setting(b, "encoder.dimension", 1, LARGEST_WIDTH, e->hidden, &e->dimension)) ||
        (status = setting(b, "encoder.max_length", 1, longest, longest < 512 ? longest : 512, &e->max_length)))
        return status;
    const uint64_t end = properties_u64(b->settings, "encoder.end_token", NO_TOKEN);
    e->end_token = end < NO_TOKEN ? (uint32_t)end : NO_TOKEN;
    if (e->pooler_pooling == ECREC_POOL_POOLER)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.pooler_pooling\" is \"pooler\"");
    return ECREC_OK;
}

static int32_t read_settings(binder *b)
{
    int32_t status = read_architecture(b);
    if (status == ECREC_OK)
        status = read_input(b);
    return status == ECREC_OK ? read_output(b) : status;
}

/* The tensor of that name with its type, layout and shape checked; put into the encoder's own set. rows 0: a vector. */
static int32_t bind_tensor(binder *b, const char *name, int32_t is_matrix, uint64_t rows, uint64_t columns, tensor **out)
{
    tensor *t = tensor_set_get(b->tensors, name);
    if (!t)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" is missing", name);
    int32_t rank = rows ? 2 : 1;
    int good = t->rank == rank && t->shape[rank - 1] == columns && (!rows || t->shape[0] == rows);
    if (!good && rows)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" must have shape %llu x %llu, found rank %d, %llu x %llu",
                         name, (unsigned long long)rows, (unsigned long long)columns, t->rank,
                         (unsigned long long)(t->rank > 0 ? t->shape[0] : 0),
                         (unsigned long long)(t->rank > 1 ? t->shape[1] : 0));
    if (!good)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" must have shape %llu, found rank %d, %llu", name,
                         (unsigned long long)columns, t->rank, (unsigned long long)(t->rank > 0 ? t->shape[0] : 0));
    if (is_matrix)
        good = t->layout == LAYOUT_PANELS && (t->type == TYPE_F32 || t->type == TYPE_BF16 || t->type == TYPE_S8 || t->type == TYPE_S4);
    else
        good = (t->layout == LAYOUT_ROWS && (t->type == TYPE_F32 || (rows && t->type == TYPE_BF16))) ||
               (rows && t->layout == LAYOUT_ROWS_S8 && t->type == TYPE_S8);
    if (!good)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" has a type (%s) or layout (%d) that is not one of its kind",
                         name, type_name(t->type) ? type_name(t->type) : "unknown", t->layout);
    size_t bytes = tensor_bytes(t->type, t->layout, t->rank, t->shape);
    if (!t->data || bytes == SIZE_MAX || t->bytes < bytes || ((uintptr_t)t->data & (MEMORY_ALIGNMENT - 1)) != 0)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" has %zu bytes, needs %zu, 64-byte aligned", name, t->bytes,
                         bytes);
    if (tensor_set_put(b->e->tensors, name, t) != ECREC_OK)
        return error_nomem(b->err, "the encoder's tensors", 0);
    *out = t;
    return ECREC_OK;
}

static int32_t check_finite(binder *b, const char *name, const char *what, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\": %s %zu is not a finite number", name, what, i);
    return ECREC_OK;
}

static int32_t check_halves(binder *b, const char *name, const uint16_t *scales, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((scales[i] & 0x7C00) == 0x7C00)
            return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\": scale %zu is not a finite number", name, i);
    return ECREC_OK;
}

static int32_t bind_vector(binder *b, const char *prefix, const char *suffix, size_t n, const float **out)
{
    tensor *t = NULL;
    format_text(b->name, sizeof b->name, "%s%s", prefix, suffix);
    int32_t status = bind_tensor(b, b->name, 0, 0, n, &t);
    if (status != ECREC_OK)
        return status;
    *out = t->data;
    return check_finite(b, b->name, "value", t->data, n);
}

static int has(const binder *b, const char *prefix, const char *suffix)
{
    char name[96];
    format_text(name, sizeof name, "%s%s", prefix, suffix);
    return tensor_set_get(b->tensors, name) != NULL;
}

static int32_t bind_norm(binder *b, const char *prefix, size_t n, encoder_norm *norm)
{
    int32_t status = bind_vector(b, prefix, ".weight", n, &norm->weight);
    return status != ECREC_OK || !has(b, prefix, ".bias") ? status : bind_vector(b, prefix, ".bias", n, &norm->bias);
}

/* A norm that there is when the setting says so. */
static int32_t bind_optional_norm(binder *b, const char *wanted, uint32_t missing, const char *prefix, size_t n, encoder_norm *norm)
{
    uint32_t on = 0;
    int32_t status = setting(b, wanted, 0, 1, missing, &on);
    return status != ECREC_OK || !on ? status : bind_norm(b, prefix, n, norm);
}

/* n == 0 or k == 0: a block that was pruned away, of which the bias alone stays (n == 0: nothing). */
static int32_t bind_linear(binder *b, const char *prefix, size_t n, size_t k, encoder_linear *linear)
{
    int32_t status = ECREC_OK;
    if (n == 0)
        return ECREC_OK;
    if ((has(b, prefix, ".bias") && (status = bind_vector(b, prefix, ".bias", n, &linear->bias))) || k == 0)
        return status;
    tensor *t = NULL;
    format_text(b->name, sizeof b->name, "%s.weight", prefix);
    if ((status = bind_tensor(b, b->name, 1, n, k, &t)))
        return status;
    tensor_weights(t, &linear->w);
    if (t->type == TYPE_S8) {
        b->e->quantized = 1;
        return check_finite(b, b->name, "scale", linear->w.scale, n);
    }
    if (t->type == TYPE_BF16)
        b->e->quantized = b->e->brain = 1;
    if (t->type == TYPE_S4) {
        b->e->quantized = b->e->four = 1;
        return check_halves(b, b->name, linear->w.group_scale, (n + 15) / 16 * 16 * (weights_k_padded(WEIGHTS_S4, k) / WEIGHTS_GROUP));
    }
    return ECREC_OK;
}

/* A product that reads hidden states: they may be smoothed first. */
static int32_t bind_smoothed(binder *b, const char *prefix, size_t n, size_t k, encoder_linear *linear)
{
    int32_t status = bind_linear(b, prefix, n, k, linear);
    if (status != ECREC_OK || n == 0 || k == 0 || linear->w.type != WEIGHTS_S8 || !has(b, prefix, ".smooth"))
        return status;
    return bind_vector(b, prefix, ".smooth", k, &linear->smooth);
}

static int32_t bind_optional_linear(binder *b, const char *wanted, const char *prefix, size_t n, size_t k, encoder_linear *linear)
{
    uint32_t on = 0;
    int32_t status = setting(b, wanted, 0, 1, 0, &on);
    return status != ECREC_OK || !on ? status : bind_linear(b, prefix, n, k, linear);
}

static const float *row_scales(const tensor *t)
{
    size_t stride = ((size_t)t->shape[1] + 63) & ~(size_t)63;
    return (const float *)(const void *)((const char *)t->data + stride * (size_t)t->shape[0]);
}

static int32_t bind_table(binder *b, const char *name, size_t rows, size_t columns, const tensor **out)
{
    tensor *t = NULL;
    int32_t status = bind_tensor(b, name, 0, rows, columns, &t);
    if (status)
        return status;
    *out = t;
    if (t->type == TYPE_S8) {
        b->e->quantized = 1;
        return check_finite(b, name, "scale", row_scales(t), rows);
    }
    if (t->type == TYPE_BF16)
        b->e->quantized = 1;
    return ECREC_OK;
}

static int32_t bind_rows(binder *b, const char *name, size_t rows, size_t columns, const float **out)
{
    tensor *t = NULL;
    int32_t status = bind_tensor(b, name, 0, rows, columns, &t);
    if (status == ECREC_OK && t->type != TYPE_F32)
        return error_set(b->err, ECREC_ERR_FORMAT, "tensor \"%s\" must be float32", name);
    if (status == ECREC_OK)
        *out = t->data;
    return status;
}

static int32_t bind_patches(binder *b)
{
    encoder *e = b->e;
    uint32_t with_class = 0;
    int32_t status = setting(b, "encoder.class_token", 0, 1, 1, &with_class);
    if (status == ECREC_OK && with_class)
        status = bind_vector(b, "embeddings", ".class", e->hidden, &e->class_token);
    if (status == ECREC_OK)
        status = bind_linear(b, "embeddings.patch", e->hidden, (size_t)e->patch_size * e->patch_size * e->image_channels, &e->patch);
    if (status != ECREC_OK)
        return status;
    const size_t tokens = encoder_image_tokens(e);
    if (e->max_length < tokens || e->max_length > LARGEST_LENGTH || (e->position == POSITION_ABSOLUTE && e->positions != tokens))
        return error_set(b->err, ECREC_ERR_FORMAT, "an image has %zu tokens, but the encoder %u positions and at most %u tokens", tokens,
                         e->positions, e->max_length);
    return ECREC_OK;
}

static int32_t bind_rotary(binder *b)
{
    encoder *e = b->e;
    uint32_t tables = 0;
    int32_t status = setting(b, "encoder.rotary_tables", 1, MOST_ROTARY_TABLES, UINT64_MAX, &tables);
    for (uint32_t i = 0; i < tables && status == ECREC_OK; i++) {
        format_text(b->name, sizeof b->name, "rotary.%u", i);
        status = bind_rows(b, b->name, e->positions, e->rotary_size, &e->rotary[i]);
    }
    return status;
}

static int32_t bind_embeddings(binder *b)
{
    encoder *e = b->e;
    int32_t status = e->patch_size != 0 ? bind_patches(b) : bind_table(b, "embeddings.token", e->vocabulary, e->embedding, &e->token);
    if (!status && e->position == POSITION_ABSOLUTE)
        status = bind_table(b, "embeddings.position", e->positions, e->embedding, &e->position_table);
    if (!status && e->position == POSITION_ROTARY)
        status = bind_rotary(b);
    if (!status && e->token_types)
        status = bind_table(b, "embeddings.type", e->token_types, e->embedding, &e->type_table);
    if (!status)
        status = bind_optional_norm(b, "encoder.embedding_norm", 1, "embeddings.norm", e->embedding, &e->embedding_norm);
    if (!status)
        status = bind_optional_linear(b, "encoder.embedding_projection", "embeddings.projection", e->hidden, e->embedding,
                                      &e->embedding_projection);
    if (!status && e->embedding != e->hidden && e->embedding_projection.w.n == 0)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.embedding_size\" is %u, the hidden size %u, and there is no projection",
                         e->embedding, e->hidden);
    return status;
}

static int32_t bind_outputs(binder *b)
{
    encoder *e = b->e;
    int32_t status;
    if ((status = bind_optional_norm(b, "encoder.final_norm", 0, "final_norm", e->hidden, &e->final_norm)) ||
        (status = bind_optional_norm(b, "encoder.projection_norm", 0, "projection.norm", e->hidden, &e->projection_norm)) ||
        (status = bind_optional_linear(b, "encoder.projection", "projection", e->dimension, e->hidden, &e->projection)) ||
        (status = bind_optional_linear(b, "encoder.pooler", "pooler", e->hidden, e->hidden, &e->pooler)) ||
        (status = bind_optional_norm(b, "encoder.pooler_norm", 0, "pooler.norm", e->hidden, &e->pooler_norm)) ||
        (status = bind_linear(b, "classifier", e->labels, e->hidden, &e->classifier)))
        return status;
    if (e->dimension != e->hidden && e->projection.w.n == 0)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.dimension\" is %u, but the hidden size is %u and there is no projection",
                         e->dimension, e->hidden);
    if (e->pooling == ECREC_POOL_POOLER && e->pooler.w.n == 0)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.pooling\" is \"pooler\", but the model has no pooler");
    return ECREC_OK;
}

static int32_t layer_settings(binder *b, uint32_t index, uint32_t *tensors)
{
    encoder *e = b->e;
    encoder_layer *l = &e->layer[index];
    const struct { const char *name; uint64_t smallest, largest, missing; uint32_t *out; } list[] = {
        {"heads", 0, LARGEST_WIDTH / e->head_size, UINT64_MAX, &l->heads},
        {"feed_forward", 0, LARGEST_WIDTH, UINT64_MAX, &l->feed_forward},
        {"window", 0, LARGEST_LENGTH, 0, &l->window},
        {"rotary", 0, MOST_ROTARY_TABLES - 1, 0, &l->rotary},
        {"weights", 0, index, index, tensors}};
    char name[64];
    int32_t status;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        format_text(name, sizeof name, "encoder.layers.%u.%s", index, list[i].name);
        if ((status = setting(b, name, list[i].smallest, list[i].largest, list[i].missing, list[i].out)))
            return status;
    }
    format_text(name, sizeof name, "encoder.layers.%u.groups", index);
    if ((status = setting(b, name, 0, l->heads, l->heads, &l->groups)))
        return status;
    if (l->heads != 0 && (l->groups == 0 || l->heads % l->groups != 0))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"%s\" is %u, which does not divide the %u heads", name, l->groups, l->heads);
    if (e->position == POSITION_ROTARY && e->rotary[l->rotary] == NULL)
        return error_set(b->err, ECREC_ERR_FORMAT, "layer %u uses rotary table %u, which there is not", index, l->rotary);
    if (*tensors != index)
        e->shared = 1;
    return ECREC_OK;
}

/* `of`: the layer whose tensors it uses. */
static int32_t bind_attention(binder *b, uint32_t index, uint32_t of)
{
    encoder *e = b->e;
    encoder_layer *l = &e->layer[index];
    char name[64], wanted[64];
    int32_t status;
    format_text(name, sizeof name, "layers.%u.attention.qkv", of);
    if ((status = bind_smoothed(b, name, encoder_qkv_width(e, l), e->hidden, &l->qkv)))
        return status;
    format_text(name, sizeof name, "layers.%u.attention.query_norm", of);
    if ((status = bind_optional_norm(b, "encoder.query_key_norm", 0, name, e->head_size, &l->query_norm)))
        return status;
    format_text(name, sizeof name, "layers.%u.attention.key_norm", of);
    if ((status = bind_optional_norm(b, "encoder.query_key_norm", 0, name, e->head_size, &l->key_norm)))
        return status;
    format_text(name, sizeof name, "layers.%u.attention.output", of);
    if ((status = bind_linear(b, name, e->hidden, (size_t)l->heads * e->head_size, &l->output)))
        return status;
    format_text(wanted, sizeof wanted, "encoder.layers.%u.attention_norm", index);
    format_text(name, sizeof name, "layers.%u.attention.norm", of);
    return bind_optional_norm(b, wanted, 1, name, e->hidden, &l->attention_norm);
}

static int32_t bind_layer(binder *b, uint32_t index)
{
    encoder *e = b->e;
    encoder_layer *l = &e->layer[index];
    char name[64];
    uint32_t of = index;
    int32_t status;
    if ((status = layer_settings(b, index, &of)) || (status = bind_attention(b, index, of)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.in", of);
    if ((status = bind_smoothed(b, name, (size_t)l->feed_forward << e->gated, e->hidden, &l->in)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.out", of);
    if ((status = bind_linear(b, name, e->hidden, l->feed_forward, &l->out)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.norm", of);
    if ((status = bind_norm(b, name, e->hidden, &l->feed_forward_norm)))
        return status;
    const uint32_t qkv = (uint32_t)encoder_qkv_width(e, l);
    e->largest_heads = l->heads > e->largest_heads ? l->heads : e->largest_heads;
    e->largest_feed_forward = l->feed_forward > e->largest_feed_forward ? l->feed_forward : e->largest_feed_forward;
    e->largest_qkv = qkv > e->largest_qkv ? qkv : e->largest_qkv;
    if (e->relative_buckets == 0 || e->relative != NULL)
        return ECREC_OK;
    return bind_rows(b, "relative", e->relative_buckets, l->heads, &e->relative);
}

/* The table of relative positions has a column a head: all layers must have as many. */
static int32_t check_relative(binder *b)
{
    const encoder *e = b->e;
    for (uint32_t i = 1; i < e->layers && e->relative_buckets != 0; i++)
        if (e->layer[i].heads != e->layer[0].heads)
            return error_set(b->err, ECREC_ERR_FORMAT, "layer %u has %u heads, but the relative positions are for %u", i, e->layer[i].heads,
                             e->layer[0].heads);
    return ECREC_OK;
}

/* Each product fetches the beginning of the next one's weights while it ends. */
static void order_products(encoder *e)
{
    for (uint32_t i = 0; i < e->layers; i++) {
        encoder_layer *l = &e->layer[i];
        l->qkv.next = l->output.w.panels;
        l->output.next = l->in.w.panels;
        l->in.next = l->out.w.panels;
        l->out.next = i + 1 < e->layers ? e->layer[i + 1].qkv.w.panels : NULL;
    }
}

int32_t encoder_bind(encoder *e, const properties *settings, const tensor_set *tensors, ecrec_error *err)
{
    binder b = {e, settings, tensors, err, {0}};
    int32_t status = read_settings(&b);
    if (status == ECREC_OK)
        status = bind_embeddings(&b);
    for (uint32_t i = 0; i < e->layers && status == ECREC_OK; i++)
        status = bind_layer(&b, i);
    if (status == ECREC_OK)
        status = bind_outputs(&b);
    if (status == ECREC_OK)
        order_products(e);
    return status == ECREC_OK ? check_relative(&b) : status;
}
