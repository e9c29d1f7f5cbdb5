#include "encoder/encoder.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "ecrec/text.h"

static uint32_t encoder_longest(const encoder *e);

/* Bounds on settings. With them no size below overflows 64 bits, and a product of u8 and s8 over 65536 inputs stays in
 * 32 bits (255 * 128 * 65536 < 2^31). */
enum { LARGEST_WIDTH = 65536, LARGEST_LAYERS = 1024, LARGEST_LENGTH = 1 << 20 };

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

static int32_t read_settings(binder *b)
{
    static const choice kinds[] = {{"bert", 0}, {NULL, 0}};
    static const choice norms[] = {{"layer", NORM_LAYER}, {NULL, 0}};
    static const choice places[] = {{"post", 0}, {NULL, 0}};
    static const choice positions[] = {{"absolute", POSITION_ABSOLUTE}, {"none", POSITION_NONE}, {NULL, 0}};
    static const choice poolings[] = {{"mean", ECREC_POOL_MEAN}, {"cls", ECREC_POOL_CLS}, {"last", ECREC_POOL_LAST},
                                      {"max", ECREC_POOL_MAX}, {NULL, 0}};
    static const choice activations[] = {{"gelu", EPILOGUE_GELU_ERF}, {"gelu_tanh", EPILOGUE_GELU_TANH},
                                         {"gelu_quick", EPILOGUE_GELU_QUICK}, {"relu", EPILOGUE_RELU},
                                         {"silu", EPILOGUE_SILU}, {NULL, 0}};
    encoder *e = b->e;
    uint32_t kind;
    int32_t status;
    if ((status = choose(b, "encoder.kind", "", kinds, "bert", &kind)) ||
        (status = choose(b, "encoder.norm", "layer", norms, "layer", &e->norm)) ||
        (status = choose(b, "encoder.norm_place", "post", places, "post", &e->pre_norm)) ||
        (status = choose(b, "encoder.position", "absolute", positions, "absolute, none", &e->position)) ||
        (status = choose(b, "encoder.pooling", "mean", poolings, "mean, cls, last, max", &e->pooling)) ||
        (status = choose(b, "encoder.activation", "gelu", activations, "gelu, gelu_tanh, gelu_quick, relu, silu",
                         &e->activation)) ||
        (status = setting(b, "encoder.hidden_size", 1, LARGEST_WIDTH, UINT64_MAX, &e->hidden)) ||
        (status = setting(b, "encoder.head_size", 1, LARGEST_WIDTH, UINT64_MAX, &e->head_size)) ||
        (status = setting(b, "encoder.vocabulary", 1, INT32_MAX, UINT64_MAX, &e->vocabulary)) ||
        (status = setting(b, "encoder.positions", 0, LARGEST_LENGTH, 0, &e->positions)) ||
        (status = setting(b, "encoder.position_offset", 0, LARGEST_LENGTH, 0, &e->position_offset)) ||
        (status = setting(b, "encoder.token_types", 0, 256, 0, &e->token_types)) ||
        (status = setting(b, "encoder.causal", 0, 1, 0, &e->causal)) ||
        (status = setting(b, "encoder.gated", 0, 1, 0, &e->gated)) ||
        (status = setting(b, "encoder.normalize", 0, 1, 0, &e->normalize)) ||
        (status = setting(b, "encoder.dimension", 1, LARGEST_WIDTH, e->hidden, &e->dimension)))
        return status;
    if (e->gated)
        return error_set(b->err, ECREC_ERR_UNSUPPORTED, "setting \"encoder.gated\" is 1; supported: 0");
    if (e->dimension != e->hidden)
        return error_set(b->err, ECREC_ERR_UNSUPPORTED, "setting \"encoder.dimension\" is %u, but the hidden size is %u",
                         e->dimension, e->hidden);
    if (e->position == POSITION_ABSOLUTE && e->positions <= e->position_offset)
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.positions\" is %u; it must be above the offset %u",
                         e->positions, e->position_offset);
    uint32_t longest = encoder_longest(e);
    if ((status = setting(b, "encoder.max_length", 1, longest, longest < 512 ? longest : 512, &e->max_length)))
        return status;
    double eps = properties_f64(b->settings, "encoder.norm_eps", 1e-12);
    if (!(eps >= 0.0 && eps <= 1.0))
        return error_set(b->err, ECREC_ERR_FORMAT, "setting \"encoder.norm_eps\" is %g; it must be 0..1", eps);
    e->norm_eps = (float)eps;
    return ECREC_OK;
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
        good = t->layout == LAYOUT_PANELS && (t->type == TYPE_F32 || t->type == TYPE_S8);
    else
        good = (t->layout == LAYOUT_ROWS && t->type == TYPE_F32) ||
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

static int32_t bind_norm(binder *b, const char *prefix, encoder_norm *norm)
{
    int32_t status = bind_vector(b, prefix, ".weight", b->e->hidden, &norm->weight);
    return status ? status : bind_vector(b, prefix, ".bias", b->e->hidden, &norm->bias);
}

/* n == 0 or k == 0: a block that was pruned away, of which the bias alone stays (n == 0: nothing). */
static int32_t bind_linear(binder *b, const char *prefix, size_t n, size_t k, encoder_linear *linear)
{
    int32_t status;
    if (n == 0)
        return ECREC_OK;
    if ((status = bind_vector(b, prefix, ".bias", n, &linear->bias)) || k == 0)
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
    return ECREC_OK;
}

static const float *row_scales(const tensor *t)
{
    size_t stride = ((size_t)t->shape[1] + 63) & ~(size_t)63;
    return (const float *)(const void *)((const char *)t->data + stride * (size_t)t->shape[0]);
}

static int32_t bind_table(binder *b, const char *name, size_t rows, const tensor **out)
{
    tensor *t = NULL;
    int32_t status = bind_tensor(b, name, 0, rows, b->e->hidden, &t);
    if (status)
        return status;
    *out = t;
    if (t->type == TYPE_S8) {
        b->e->quantized = 1;
        return check_finite(b, name, "scale", row_scales(t), rows);
    }
    return ECREC_OK;
}

static int32_t bind_embeddings(binder *b)
{
    encoder *e = b->e;
    int32_t status = bind_table(b, "embeddings.token", e->vocabulary, &e->token);
    if (!status && e->position == POSITION_ABSOLUTE)
        status = bind_table(b, "embeddings.position", e->positions, &e->position_table);
    if (!status && e->token_types)
        status = bind_table(b, "embeddings.type", e->token_types, &e->type_table);
    if (!status)
        status = bind_norm(b, "embeddings.norm", &e->embedding_norm);
    return status;
}

static int32_t bind_layer(binder *b, uint32_t index)
{
    encoder *e = b->e;
    encoder_layer *l = &e->layer[index];
    char name[64];
    int32_t status;
    format_text(name, sizeof name, "encoder.layers.%u.heads", index);
    if ((status = setting(b, name, 0, LARGEST_WIDTH / e->head_size, UINT64_MAX, &l->heads)))
        return status;
    format_text(name, sizeof name, "encoder.layers.%u.feed_forward", index);
    if ((status = setting(b, name, 0, LARGEST_WIDTH, UINT64_MAX, &l->feed_forward)))
        return status;
    size_t width = (size_t)l->heads * e->head_size;
    format_text(name, sizeof name, "layers.%u.attention.qkv", index);
    if ((status = bind_linear(b, name, 3 * width, e->hidden, &l->qkv)))
        return status;
    format_text(name, sizeof name, "layers.%u.attention.output", index);
    if ((status = bind_linear(b, name, e->hidden, width, &l->output)))
        return status;
    format_text(name, sizeof name, "layers.%u.attention.norm", index);
    if ((status = bind_norm(b, name, &l->attention_norm)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.in", index);
    if ((status = bind_linear(b, name, l->feed_forward, e->hidden, &l->in)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.out", index);
    if ((status = bind_linear(b, name, e->hidden, l->feed_forward, &l->out)))
        return status;
    format_text(name, sizeof name, "layers.%u.feed_forward.norm", index);
    if ((status = bind_norm(b, name, &l->feed_forward_norm)))
        return status;
    if (l->heads > e->largest_heads)
        e->largest_heads = l->heads;
    if (l->feed_forward > e->largest_feed_forward)
        e->largest_feed_forward = l->feed_forward;
    return ECREC_OK;
}

static size_t encoder_size(uint32_t layers)
{
    return sizeof(encoder) + (size_t)layers * sizeof(encoder_layer);
}

int32_t encoder_create(memory *m, const properties *settings, const tensor_set *tensors, encoder **out, ecrec_error *err)
{
    binder b = {NULL, settings, tensors, err, {0}};
    uint32_t layers = 0;
    int32_t status = setting(&b, "encoder.layers", 0, LARGEST_LAYERS, UINT64_MAX, &layers);
    if (status)
        return status;
    encoder *e = memory_zero(m, encoder_size(layers));
    if (!e)
        return error_nomem(err, "the encoder", encoder_size(layers));
    b.e = e;
    e->m = m;
    e->layers = layers;
    atomic_init(&e->references, 1);
    if (tensor_set_create(m, &e->tensors) != ECREC_OK) {
        status = error_nomem(err, "the encoder's tensors", 0);
        goto fail;
    }
    if ((status = read_settings(&b)) || (status = bind_embeddings(&b)))
        goto fail;
    for (uint32_t i = 0; i < layers; i++)
        if ((status = bind_layer(&b, i)))
            goto fail;
    *out = e;
    return ECREC_OK;
fail:
    encoder_release(e);
    return status;
}

encoder *encoder_reference(encoder *e)
{
    if (e)
        atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void encoder_release(encoder *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    tensor_set_release(e->tensors);
    memory_release(e->m, e, encoder_size(e->layers));
}

static uint32_t encoder_longest(const encoder *e)
{
    return e->position == POSITION_ABSOLUTE ? e->positions - e->position_offset : LARGEST_LENGTH;
}

int32_t encoder_check(const encoder *e, const packed *p, ecrec_error *err)
{
    uint32_t longest = encoder_longest(e), types = e->token_types ? e->token_types : 1;
    for (size_t s = 0; s < p->sequences; s++) {
        if (p->starts[s + 1] < p->starts[s])
            return error_row(err, ECREC_ERR_INVALID, s, "row %zu: starts are not ascending", s);
        if (p->starts[s + 1] - p->starts[s] > longest)
            return error_row(err, ECREC_ERR_INVALID, s, "row %zu has %u tokens; the model takes at most %u", s,
                             p->starts[s + 1] - p->starts[s], longest);
        for (uint32_t i = p->starts[s]; i < p->starts[s + 1]; i++) {
            if (p->ids[i] >= e->vocabulary)
                return error_row(err, ECREC_ERR_INVALID, s, "row %zu: token id %u is not below the vocabulary's %u", s,
                                 p->ids[i], e->vocabulary);
            if (p->types && p->types[i] >= types)
                return error_row(err, ECREC_ERR_INVALID, s, "row %zu: token type %u is not below %u", s,
                                 (unsigned)p->types[i], types);
        }
    }
    return ECREC_OK;
}

double encoder_flops(const encoder *e, size_t length)
{
    double h = e->hidden, total = 0.0;
    for (uint32_t i = 0; i < e->layers; i++) {
        double width = (double)e->layer[i].heads * e->head_size;
        total += 8.0 * h * width + 4.0 * h * e->layer[i].feed_forward + 4.0 * (double)length * width;
    }
    return total;
}

uint64_t encoder_parameters(const encoder *e)
{
    uint64_t h = e->hidden, total = h * e->vocabulary;
    if (e->position_table)
        total += h * e->positions;
    if (e->type_table)
        total += h * e->token_types;
    total += (e->embedding_norm.weight ? 2 * h : 0);
    for (uint32_t i = 0; i < e->layers; i++) {
        uint64_t width = (uint64_t)e->layer[i].heads * e->head_size, f = e->layer[i].feed_forward;
        total += 3 * width * (h + 1) + h * width + h; /* qkv, output */
        total += f * (h + 1) + h * f + h;             /* in, out */
        total += 4 * h;                               /* norms */
    }
    return total;
}
