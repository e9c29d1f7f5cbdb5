#include "compress/shrink.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

static int32_t set_count(parts *p, uint32_t layer, const char *what, uint64_t value, ecrec_error *err)
{
    char name[64];
    format_text(name, sizeof name, "encoder.layers.%u.%s", layer, what);
    return properties_set_u64(p->settings, name, value) == ECREC_OK ? ECREC_OK : error_nomem(err, "a setting", sizeof name);
}

static int32_t put(parts *p, uint32_t layer, const char *what, tensor *t, ecrec_error *err)
{
    char name[96];
    format_text(name, sizeof name, "layers.%u.%s", layer, what);
    int32_t status = tensor_set_put(p->tensors, name, t);
    tensor_release(t);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a tensor", 0);
}

/* A packed matrix with only the rows (unit by unit of `height`) and columns (unit by unit of `width`) that stay; NULL keeps all. */
static int32_t select_matrix(memory *m, const weights *w, const uint8_t *rows, size_t height, const uint8_t *columns,
                             size_t width, tensor **out, ecrec_error *err)
{
    size_t bytes = memory_product(memory_product(w->n, w->k), sizeof(float));
    float *dense = memory_allocate(m, bytes);
    tensor *t = NULL;
    size_t n = 0, k = 0;
    if (dense == NULL)
        return error_nomem(err, "a matrix", bytes);
    weights_unpack(w, dense, w->k);
    for (size_t r = 0; r < w->n; r++) {
        if (rows != NULL && !rows[r / height])
            continue;
        k = 0;
        for (size_t c = 0; c < w->k; c++) /* in place: what is written lies before what is read */
            if (columns == NULL || columns[c / width])
                dense[n * w->k + k++] = dense[r * w->k + c];
        n++;
    }
    const uint64_t shape[2] = { n, k };
    int32_t status = tensor_create(m, TYPE_F32, LAYOUT_PANELS, 2, shape, &t);
    if (status == ECREC_OK)
        weights_pack(WEIGHTS_F32, n, k, dense, w->k, tensor_edit(t));
    else
        status = error_nomem(err, "a matrix", n * k * sizeof(float));
    memory_release(m, dense, bytes);
    *out = t;
    return status;
}

static int32_t select_vector(memory *m, const float *x, size_t units, size_t width, const uint8_t *keep, tensor **out,
                             ecrec_error *err)
{
    const uint64_t shape[1] = { (uint64_t)plan_staying(keep, (uint32_t)units) * width };
    if (tensor_create(m, TYPE_F32, LAYOUT_ROWS, 1, shape, out) != ECREC_OK)
        return error_nomem(err, "a vector", units * width * sizeof(float));
    float *to = tensor_edit(*out);
    for (size_t u = 0; u < units; u++)
        if (keep[u]) {
            memcpy(to, x + u * width, width * sizeof(float));
            to += width;
        }
    return ECREC_OK;
}

/* What the units that go gave on average stays, in the bias of the matrix that read them. */
static int32_t folded_bias(memory *m, const encoder_linear *out, const float *mean, size_t width, const uint8_t *keep,
                           tensor **result, ecrec_error *err)
{
    const weights *w = &out->w;
    const uint64_t shape[1] = { w->n };
    size_t bytes = memory_product(memory_product(w->n, w->k), sizeof(float));
    float *dense = memory_allocate(m, bytes);
    if (dense == NULL || tensor_create(m, TYPE_F32, LAYOUT_ROWS, 1, shape, result) != ECREC_OK) {
        memory_release(m, dense, bytes);
        return error_nomem(err, "a bias", bytes);
    }
    float *bias = tensor_edit(*result);
    weights_unpack(w, dense, w->k);
    for (size_t r = 0; r < w->n; r++) {
        double sum = out->bias != NULL ? out->bias[r] : 0;
        for (size_t c = 0; c < w->k; c++)
            if (!keep[c / width])
                sum += (double)dense[r * w->k + c] * mean[c];
        bias[r] = (float)sum;
    }
    memory_release(m, dense, bytes);
    return ECREC_OK;
}

/* One block (attention or feed-forward) of a layer: matrices in -> units -> out. */
typedef struct block {
    const encoder_linear *in, *out;
    uint32_t units;
    size_t in_width, out_width; /* rows of `in` and columns of `out` that a unit has */
    const uint8_t *keep;
    const uint8_t *in_keep; /* for the rows of `in`, where they are several times the units (gates) */
    uint32_t in_units;
    const float *mean;
    const char *in_weight, *in_bias, *out_weight, *out_bias, *count;
} block;

static int32_t shrink_block(memory *m, parts *p, uint32_t layer, const block *b, ecrec_error *err)
{
    tensor *t = NULL;
    int32_t status;
    if (b->units == 0 || plan_staying(b->keep, b->units) == b->units)
        return ECREC_OK;
    if ((status = folded_bias(m, b->out, b->mean, b->out_width, b->keep, &t, err)) != ECREC_OK ||
        (status = put(p, layer, b->out_bias, t, err)) != ECREC_OK ||
        (status = select_matrix(m, &b->in->w, b->in_keep, b->in_width, NULL, 1, &t, err)) != ECREC_OK ||
        (status = put(p, layer, b->in_weight, t, err)) != ECREC_OK ||
        (status = select_matrix(m, &b->out->w, NULL, 1, b->keep, b->out_width, &t, err)) != ECREC_OK ||
        (status = put(p, layer, b->out_weight, t, err)) != ECREC_OK)
        return status;
    if (b->in->bias != NULL && ((status = select_vector(m, b->in->bias, b->in_units, b->in_width, b->in_keep, &t, err)) != ECREC_OK ||
                                (status = put(p, layer, b->in_bias, t, err)) != ECREC_OK))
        return status;
    return set_count(p, layer, b->count, plan_staying(b->keep, b->units), err);
}

/* What stays of the channels, once for each half of a gated matrix. Released by the caller. */
static uint8_t *twice(memory *m, const uint8_t *keep, uint32_t n)
{
    uint8_t *both = memory_allocate(m, 2 * (size_t)n);
    if (both != NULL) {
        memcpy(both, keep, n);
        memcpy(both + n, keep, n);
    }
    return both;
}

static int32_t shrink_layer(memory *m, parts *p, const encoder *e, const plan *plan, const importance *i, uint32_t l, ecrec_error *err)
{
    const encoder_layer *layer = &e->layer[l];
    uint8_t *both = NULL;
    if (e->gated && layer->feed_forward != 0 && (both = twice(m, plan->channel[l], layer->feed_forward)) == NULL)
        return error_nomem(err, "a plan", 2 * (size_t)layer->feed_forward);
    const block attention = { &layer->qkv, &layer->output, layer->heads, 3 * (size_t)e->head_size, e->head_size,
                              plan->head[l], plan->head[l], layer->heads, i->head_mean[l], "attention.qkv.weight", "attention.qkv.bias",
                              "attention.output.weight", "attention.output.bias", "heads" };
    const block feed_forward = { &layer->in, &layer->out, layer->feed_forward, 1, 1, plan->channel[l],
                                 both != NULL ? both : plan->channel[l], layer->feed_forward << e->gated, i->channel_mean[l],
                                 "feed_forward.in.weight", "feed_forward.in.bias", "feed_forward.out.weight", "feed_forward.out.bias",
                                 "feed_forward" };
    int32_t status = shrink_block(m, p, l, &attention, err);
    if (status == ECREC_OK)
        status = shrink_block(m, p, l, &feed_forward, err);
    memory_release(m, both, both != NULL ? 2 * (size_t)layer->feed_forward : 0);
    return status;
}

int32_t shrink_layers(memory *m, parts *p, const encoder *e, const plan *plan, const importance *i, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint32_t l = 0; l < e->layers && status == ECREC_OK; l++)
        if (plan->layer[l])
            status = shrink_layer(m, p, e, plan, i, l, err);
    return status;
}

static const char *const layer_tensors[] = {
    "attention.qkv.weight", "attention.qkv.bias", "attention.output.weight", "attention.output.bias",
    "attention.norm.weight", "attention.norm.bias", "feed_forward.in.weight", "feed_forward.in.bias",
    "feed_forward.out.weight", "feed_forward.out.bias", "feed_forward.norm.weight", "feed_forward.norm.bias",
    "attention.query_norm.weight", "attention.key_norm.weight",
};
static const char *const layer_settings[] = { "heads", "groups", "feed_forward", "window", "rotary", "attention_norm" };
#define LAYER_SETTINGS (sizeof layer_settings / sizeof *layer_settings)
#define LAYER_TENSORS (sizeof layer_tensors / sizeof *layer_tensors)

static int32_t rename_layer(parts *p, uint32_t from, uint32_t to, ecrec_error *err)
{
    char a[96], b[96];
    for (size_t n = 0; n < LAYER_TENSORS; n++) {
        format_text(a, sizeof a, "layers.%u.%s", from, layer_tensors[n]);
        format_text(b, sizeof b, "layers.%u.%s", to, layer_tensors[n]);
        tensor *t = tensor_set_get(p->tensors, a);
        if (t == NULL)
            (void)tensor_set_remove(p->tensors, b);
        else if (tensor_set_put(p->tensors, b, t) != ECREC_OK)
            return error_nomem(err, "a layer", 0);
    }
    for (size_t n = 0; n < LAYER_SETTINGS; n++) {
        format_text(a, sizeof a, "encoder.layers.%u.%s", from, layer_settings[n]);
        format_text(b, sizeof b, "encoder.layers.%u.%s", to, layer_settings[n]);
        const uint64_t value = properties_u64(p->settings, a, UINT64_MAX);
        if (value == UINT64_MAX)
            properties_remove(p->settings, b);
        else if (properties_set_u64(p->settings, b, value) != ECREC_OK)
            return error_nomem(err, "a setting", sizeof b);
    }
    return ECREC_OK;
}

static void forget_layer(parts *p, uint32_t layer)
{
    char name[96];
    for (size_t n = 0; n < LAYER_TENSORS; n++) {
        format_text(name, sizeof name, "layers.%u.%s", layer, layer_tensors[n]);
        (void)tensor_set_remove(p->tensors, name);
    }
    for (size_t n = 0; n < LAYER_SETTINGS; n++) {
        format_text(name, sizeof name, "encoder.layers.%u.%s", layer, layer_settings[n]);
        properties_remove(p->settings, name);
    }
}

/* Close the ranks of the layers that stay. */
int32_t shrink_drop_layers(parts *p, uint32_t layers, const uint8_t *keep, ecrec_error *err)
{
    uint32_t to = 0;
    for (uint32_t from = 0; from < layers; from++) {
        if (!keep[from])
            continue;
        int32_t status = from != to ? rename_layer(p, from, to, err) : ECREC_OK;
        if (status != ECREC_OK)
            return status;
        to++;
    }
    for (uint32_t l = to; l < layers; l++)
        forget_layer(p, l);
    return properties_set_u64(p->settings, "encoder.layers", to) == ECREC_OK ? ECREC_OK : error_nomem(err, "a setting", 0);
}
