/* Structured pruning: which units go (importance.h), then real smaller matrices. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/report.h"
#include "base/sort.h"
#include "compress/compress.h"
#include "compress/importance.h"
#include "compress/variant.h"
#include "ecrec/text.h"
#include "encoder/backward.h"

/* What stays. */
typedef struct plan {
    arena a;
    uint32_t layers;
    uint8_t *layer;              /* [layer] 1 = stays */
    uint8_t **head, **channel;   /* [layer] -> 1 = stays */
    const uint32_t *heads, *channels;
} plan;

typedef struct unit {
    float worth; /* importance, or importance for its cost */
    uint32_t layer, index;
    double cost; /* parameters or flops that go with it */
    int is_head;
} unit;

static int by_worth(const void *a, const void *b, void *opaque)
{
    const unit *x = a, *y = b;
    (void)opaque;
    if (x->worth != y->worth)
        return x->worth < y->worth ? -1 : 1;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static uint8_t **ones(arena *a, uint32_t layers, const uint32_t *width)
{
    uint8_t **out = arena_zero(a, layers * sizeof *out);
    for (uint32_t l = 0; out != NULL && l < layers; l++) {
        if (width[l] == 0)
            continue;
        if ((out[l] = arena_allocate(a, width[l])) == NULL)
            return NULL;
        memset(out[l], 1, width[l]);
    }
    return out;
}

static int32_t plan_open(plan *p, memory *m, const importance *i, ecrec_error *err)
{
    memset(p, 0, sizeof *p);
    arena_init(&p->a, m);
    p->layers = i->layers;
    p->heads = i->heads;
    p->channels = i->channels;
    p->layer = arena_allocate(&p->a, i->layers);
    p->head = ones(&p->a, i->layers, i->heads);
    p->channel = ones(&p->a, i->layers, i->channels);
    if (p->layer == NULL || p->head == NULL || p->channel == NULL)
        return error_nomem(err, "a plan", i->layers);
    memset(p->layer, 1, i->layers);
    return ECREC_OK;
}

static uint32_t staying(const uint8_t *keep, uint32_t width)
{
    uint32_t n = 0;
    for (uint32_t u = 0; u < width; u++)
        n += keep[u];
    return n;
}

/* All heads and/or channels of layers that stay, least worth first. cost_heads/cost_channels 0: leave that kind out. */
static unit *list_units(arena *a, const plan *p, const importance *i, double cost_head, double cost_channel, int per_cost,
                        size_t *count)
{
    size_t n = 0, most = 0;
    for (uint32_t l = 0; l < p->layers; l++)
        most += (size_t)p->heads[l] + p->channels[l];
    unit *units = arena_allocate(a, (most + 1) * sizeof *units);
    for (uint32_t l = 0; units != NULL && l < p->layers; l++) {
        for (uint32_t u = 0; p->layer[l] && cost_head > 0 && u < p->heads[l]; u++)
            units[n++] = (unit){ i->head[l][u], l, u, cost_head, 1 };
        for (uint32_t u = 0; p->layer[l] && cost_channel > 0 && u < p->channels[l]; u++)
            units[n++] = (unit){ i->channel[l][u], l, u, cost_channel, 0 };
    }
    for (size_t u = 0; per_cost && u < n; u++)
        units[u].worth = (float)(units[u].worth / units[u].cost);
    if (units != NULL)
        sort_items(units, n, sizeof *units, by_worth, NULL);
    *count = n;
    return units;
}

static void drop(plan *p, const unit *u)
{
    (u->is_head ? p->head : p->channel)[u->layer][u->index] = 0;
}

static int32_t drop_share(plan *p, const importance *i, double share, int heads, ecrec_error *err)
{
    size_t count = 0;
    unit *units = list_units(&p->a, p, i, heads, !heads, 0, &count);
    if (units == NULL)
        return error_nomem(err, "a plan", 0);
    size_t go = (size_t)floor(share * (double)count + 0.5);
    for (size_t u = 0; u < go && u < count; u++)
        drop(p, &units[u]);
    return ECREC_OK;
}

/* Remove the units that cost most for what they are worth until `excess` (parameters or flops) is gone. */
static int32_t drop_excess(plan *p, const encoder *e, const importance *i, double excess, int flops, const char *what,
                           ecrec_error *err)
{
    size_t count = 0;
    double k = e->hidden, d = e->head_size;
    double head = flops ? 2 * 4 * d * k + 4 * 64 * d : 4 * d * k + 3 * d, channel = flops ? (4 + 2 * e->gated) * k : (2 + e->gated) * k + 1 + e->gated;
    unit *units = list_units(&p->a, p, i, head, channel, 1, &count);
    if (units == NULL)
        return error_nomem(err, "a plan", 0);
    size_t u = 0;
    for (; u < count && excess > 0; u++) {
        drop(p, &units[u]);
        excess -= units[u].cost;
    }
    if (excess > 0)
        return error_set(err, ECREC_ERR_INVALID, "%s cannot be reached: %.0f more than heads and channels hold", what, excess);
    return ECREC_OK;
}

/* ---- building the smaller parts ---- */

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
    const uint64_t shape[1] = { (uint64_t)staying(keep, (uint32_t)units) * width };
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
    if (b->units == 0 || staying(b->keep, b->units) == b->units)
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
    return set_count(p, layer, b->count, staying(b->keep, b->units), err);
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

static int32_t shrink_layers(memory *m, parts *p, const encoder *e, const plan *plan, const importance *i, ecrec_error *err)
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
static int32_t drop_layers(parts *p, uint32_t layers, const uint8_t *keep, ecrec_error *err)
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

/* ---- whole layers: tried out on the texts, one at a time, the least missed goes ---- */

#define LAYER_TEXTS 64

typedef struct job {
    ecrec_context *context;
    const parts *original;
    const ecrec_prune_options *options;
    const encoder *e;
    sample s;
    importance i;
    plan plan;
    int32_t kind;
} job;

static int32_t cosine_without(job *j, const float *reference, double *out, ecrec_error *err)
{
    memory *m = &j->context->m;
    parts *p = NULL;
    encoder *e = NULL;
    float *vectors = NULL;
    agreement g;
    sample few = j->s;
    few.count = few.count < LAYER_TEXTS ? few.count : LAYER_TEXTS;
    int32_t status = parts_copy(j->original, &p) == ECREC_OK ? ECREC_OK : error_nomem(err, "a trial model", 0);
    if (status == ECREC_OK)
        status = drop_layers(p, j->e->layers, j->plan.layer, err);
    if (status == ECREC_OK)
        status = encoder_create(m, p->settings, p->tensors, &e, err);
    if (status == ECREC_OK)
        status = sample_encode(j->context, &few, e, &vectors, err);
    if (status == ECREC_OK)
        status = agreement_measure(j->context, reference, vectors, few.count, e->dimension, &g, err);
    if (status == ECREC_OK)
        *out = g.mean_cosine;
    memory_release(m, vectors, vectors != NULL ? few.count * j->e->dimension * sizeof(float) : 0);
    encoder_release(e);
    parts_release(p);
    return status;
}

static int32_t choose_layer(job *j, const float *reference, ecrec_error *err)
{
    uint32_t chosen = UINT32_MAX;
    double best = 0;
    for (uint32_t l = 0; l < j->e->layers; l++) {
        if (!j->plan.layer[l])
            continue;
        double worth = 0;
        int32_t status = ECREC_OK;
        if (reference != NULL) {
            j->plan.layer[l] = 0;
            status = cosine_without(j, reference, &worth, err);
            j->plan.layer[l] = 1;
        } else {
            worth = -(double)j->i.layer[l];
        }
        if (status != ECREC_OK)
            return status;
        if (chosen == UINT32_MAX || worth > best) { /* the first also when its worth is not a number */
            best = worth;
            chosen = l;
        }
    }
    j->plan.layer[chosen] = 0;
    return ECREC_OK;
}

static int32_t choose_layers(job *j, ecrec_error *err)
{
    float *reference = NULL;
    sample few = j->s;
    few.count = few.count < LAYER_TEXTS ? few.count : LAYER_TEXTS;
    int32_t status = ECREC_OK;
    if (few.count > 0)
        status = sample_encode(j->context, &few, j->e, &reference, err);
    for (uint32_t n = 0; status == ECREC_OK && n < j->options->layers; n++)
        status = choose_layer(j, reference, err);
    memory_release(&j->context->m, reference, reference != NULL ? few.count * j->e->dimension * sizeof(float) : 0);
    return status;
}

/* ---- the whole ---- */

static int32_t check_options(const ecrec_prune_options *o, const parts *original, ecrec_error *err)
{
    if (o == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: say what to remove: heads, feed_forward, layers or a target");
    if (!(o->heads >= 0 && o->heads < 1) || !(o->feed_forward >= 0 && o->feed_forward < 1))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: %s is %g, expected a share in [0, 1)",
                         o->heads >= 0 && o->heads < 1 ? "feed_forward" : "heads",
                         o->heads >= 0 && o->heads < 1 ? o->feed_forward : o->heads);
    if (!(o->target_parameters >= 0) || !(o->target_flops >= 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: a target is negative or not a number");
    int targets = (o->target_parameters > 0) + (o->target_flops > 0), shares = o->heads > 0 || o->feed_forward > 0;
    if (targets + shares > 1)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: give shares or one target, not both");
    if (targets + shares == 0 && o->layers == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: nothing to remove is given (heads, feed_forward, layers or a target)");
    if (o->importance < 0 || o->importance > ECREC_IMPORTANCE_TAYLOR)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: importance %d is unknown", o->importance);
    if (o->importance >= ECREC_IMPORTANCE_ACTIVATION && o->count == 0)
        return error_set(err, ECREC_ERR_INVALID, "importance by %s is measured on sample texts, and none are given",
                         o->importance == ECREC_IMPORTANCE_TAYLOR ? "Taylor expansion" : "activations");
    if (properties_string(original->settings, "encoder.kind", NULL) == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder to prune");
    return ECREC_OK;
}

/* What cannot be pruned of this encoder, or not be measured as asked. */
static int32_t check_encoder(const encoder *e, const ecrec_prune_options *o, int32_t kind, ecrec_error *err)
{
    const int heads = o->heads > 0 || o->target_parameters > 0 || o->target_flops > 0;
    if (e->quantized)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "a quantised model cannot be pruned: prune first, then quantise");
    if (e->shared)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "layers that share their weights cannot be pruned");
    if (heads && e->relative_buckets != 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "attention heads with relative positions cannot be pruned (feed-forward channels and layers can)");
    for (uint32_t l = 0; heads && l < e->layers; l++)
        if (e->layer[l].groups != e->layer[l].heads)
            return error_set(err, ECREC_ERR_UNSUPPORTED, "attention heads that share keys and values cannot be pruned (feed-forward channels and layers can)");
    if (kind == ECREC_IMPORTANCE_MAGNITUDE)
        return ECREC_OK;
    const char *lacks = encoder_backward_lacks(e);
    if (lacks == NULL && (e->projection.w.n != 0 || e->projection_norm.weight != NULL))
        lacks = "a projection of its vectors";
    if (lacks == NULL && (e->pooling == ECREC_POOL_END || e->pooling == ECREC_POOL_POOLER))
        lacks = "its pooling";
    if (lacks != NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "importance cannot be measured on texts through %s: use magnitude", lacks);
    return ECREC_OK;
}

/* Parameters or flops of the layers that the plan keeps whole. */
static double layers_cost(const encoder *e, const plan *p, int flops)
{
    double sum = 0, k = e->hidden, d = e->head_size;
    for (uint32_t l = 0; l < e->layers; l++)
        if (!p->layer[l])
            sum += flops ? e->layer[l].heads * (8 * d * k + 256 * d) + e->layer[l].feed_forward * 4 * k
                         : e->layer[l].heads * (4 * d * k + 3 * d) + e->layer[l].feed_forward * (2 * k + 1) + 6 * k;
    return sum;
}

/* A model without a head or a channel would give the same vector for every order of the words. */
static int32_t check_plan(const plan *p, ecrec_error *err)
{
    for (uint32_t l = 0; l < p->layers; l++)
        if (p->layer[l] && (staying(p->head[l], p->heads[l]) != 0 || staying(p->channel[l], p->channels[l]) != 0))
            return ECREC_OK;
    return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: no attention head and no feed-forward channel would be left: remove less");
}

static int32_t make_plan(job *j, ecrec_error *err)
{
    const ecrec_prune_options *o = j->options;
    if (o->layers >= j->e->layers)
        return error_set(err, ECREC_ERR_INVALID, "%u layers are to go, the model has %u: nothing would be left", o->layers, j->e->layers);
    int32_t status = o->layers > 0 ? choose_layers(j, err) : ECREC_OK;
    if (status == ECREC_OK && o->heads > 0)
        status = drop_share(&j->plan, &j->i, o->heads, 1, err);
    if (status == ECREC_OK && o->feed_forward > 0)
        status = drop_share(&j->plan, &j->i, o->feed_forward, 0, err);
    if (status == ECREC_OK && o->target_parameters > 0)
        status = drop_excess(&j->plan, j->e, &j->i,
                             (double)encoder_parameters(j->e) - layers_cost(j->e, &j->plan, 0) - o->target_parameters, 0,
                             "target_parameters", err);
    if (status == ECREC_OK && o->target_flops > 0)
        status = drop_excess(&j->plan, j->e, &j->i,
                             encoder_flops(j->e, 64) - layers_cost(j->e, &j->plan, 1) - o->target_flops, 1, "target_flops", err);
    return status == ECREC_OK ? check_plan(&j->plan, err) : status;
}

static void tell_plan(ecrec_report *r, const job *j)
{
    static const char *const kinds[] = { "", "magnitude", "activation", "taylor" };
    uint32_t heads = 0, channels = 0, layers = 0;
    report_string(r, "importance", kinds[j->kind], strlen(kinds[j->kind]));
    for (uint32_t l = 0; l < j->plan.layers; l++) {
        uint32_t h = j->plan.layer[l] ? staying(j->plan.head[l], j->plan.heads[l]) : 0;
        uint32_t c = j->plan.layer[l] ? staying(j->plan.channel[l], j->plan.channels[l]) : 0;
        report_numberf(r, j->plan.layer[l], "layers.%u.kept", l);
        report_numberf(r, j->plan.heads[l], "layers.%u.heads_before", l);
        report_numberf(r, h, "layers.%u.heads", l);
        report_numberf(r, j->plan.channels[l], "layers.%u.feed_forward_before", l);
        report_numberf(r, c, "layers.%u.feed_forward", l);
        heads += j->plan.heads[l] - h;
        channels += j->plan.channels[l] - c;
        layers += !j->plan.layer[l];
    }
    report_number(r, "removed.layers", layers);
    report_number(r, "removed.heads", heads);
    report_number(r, "removed.feed_forward_channels", channels);
}

static int32_t agree(job *j, const encoder *after, ecrec_report *r, parts *p, ecrec_error *err)
{
    memory *m = &j->context->m;
    float *a = NULL, *b = NULL;
    size_t bytes = j->s.count * j->e->dimension * sizeof(float);
    agreement g;
    if (j->s.count == 0)
        return ECREC_OK;
    int32_t status = sample_encode(j->context, &j->s, j->e, &a, err);
    if (status == ECREC_OK)
        status = sample_encode(j->context, &j->s, after, &b, err);
    if (status == ECREC_OK)
        status = agreement_measure(j->context, a, b, j->s.count, j->e->dimension, &g, err);
    if (status == ECREC_OK)
        status = agreement_tell(&g, j->s.count, r, p->settings, err);
    memory_release(m, a, a != NULL ? bytes : 0);
    memory_release(m, b, b != NULL ? bytes : 0);
    return status;
}

static int32_t build(job *j, parts *p, ecrec_report **report, ecrec_error *err)
{
    memory *m = &j->context->m;
    encoder *after = NULL;
    ecrec_report *r = NULL;
    int32_t status = shrink_layers(m, p, j->e, &j->plan, &j->i, err);
    if (status == ECREC_OK)
        status = drop_layers(p, j->e->layers, j->plan.layer, err);
    if (status == ECREC_OK)
        status = variant_mark(p, "pruned", err);
    if (status == ECREC_OK)
        status = encoder_create(m, p->settings, p->tensors, &after, err);
    if (status == ECREC_OK && report != NULL)
        status = report_create(j->context, "prune", &r, err);
    if (status == ECREC_OK && r != NULL) {
        tell_plan(r, j);
        variant_sizes(r, j->e, after, j->original->tensors, p->tensors);
    }
    if (status == ECREC_OK)
        status = agree(j, after, r, p, err);
    if (status == ECREC_OK && r != NULL)
        status = report_finish(r, err);
    encoder_release(after);
    if (status != ECREC_OK)
        ecrec_report_release(r);
    else if (report != NULL)
        *report = r;
    return status;
}

int32_t prune_run(ecrec_context *context, const parts *original, const ecrec_prune_options *options, parts **out,
                  ecrec_report **report, ecrec_error *err)
{
    job j = { .context = context, .original = original, .options = options };
    parts *p = NULL;
    encoder *e = NULL;
    int32_t status = check_options(options, original, err);
    if (status == ECREC_OK)
        status = sample_open(&j.s, original, options->texts, options->lengths, options->count, err);
    if (status == ECREC_OK)
        status = encoder_create(&context->m, original->settings, original->tensors, &e, err);
    if (status != ECREC_OK)
        return status;
    j.e = e;
    j.kind = options->importance;
    if (j.kind == ECREC_IMPORTANCE_DEFAULT)
        j.kind = j.s.count > 0 ? ECREC_IMPORTANCE_TAYLOR : ECREC_IMPORTANCE_MAGNITUDE;
    status = check_encoder(e, options, j.kind, err);
    if (status == ECREC_OK)
        status = importance_measure(context, e, &j.s, j.kind, options->seed, options->progress, options->progress_opaque, &j.i, err);
    if (status == ECREC_OK)
        status = plan_open(&j.plan, &context->m, &j.i, err);
    if (status == ECREC_OK)
        status = make_plan(&j, err);
    if (status == ECREC_OK && parts_copy(original, &p) != ECREC_OK)
        status = error_nomem(err, "the pruned model", sizeof *p);
    if (status == ECREC_OK)
        status = build(&j, p, report, err);
    if (j.plan.a.m != NULL)
        arena_release(&j.plan.a);
    importance_close(&j.i);
    encoder_release(e);
    if (status != ECREC_OK)
        parts_release(p);
    else
        *out = p;
    return status;
}
