#include "encoder/encoder.h"

#include "base/error.h"
#include "encoder/bind.h"

static size_t encoder_size(uint32_t layers)
{
    return sizeof(encoder) + (size_t)layers * sizeof(encoder_layer);
}

int32_t encoder_create(memory *m, const properties *settings, const tensor_set *tensors, encoder **out, ecrec_error *err)
{
    const uint64_t layers = properties_u64(settings, "encoder.layers", UINT64_MAX);
    if (layers > LARGEST_LAYERS)
        return error_set(err, ECREC_ERR_FORMAT, "setting \"encoder.layers\" is missing or above %d", LARGEST_LAYERS);
    encoder *e = memory_zero(m, encoder_size((uint32_t)layers));
    if (!e)
        return error_nomem(err, "the encoder", encoder_size((uint32_t)layers));
    e->m = m;
    e->layers = (uint32_t)layers;
    atomic_init(&e->references, 1);
    int32_t status = tensor_set_create(m, &e->tensors) == ECREC_OK ? ECREC_OK : error_nomem(err, "the encoder's tensors", 0);
    if (status == ECREC_OK)
        status = encoder_bind(e, settings, tensors, err);
    if (status != ECREC_OK) {
        encoder_release(e);
        return status;
    }
    *out = e;
    return ECREC_OK;
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

uint32_t encoder_longest(const encoder *e)
{
    return e->position == POSITION_NONE ? LARGEST_LENGTH : e->positions - (e->position == POSITION_ABSOLUTE ? e->position_offset : 0);
}

size_t encoder_image_floats(const encoder *e)
{
    return (size_t)e->image_channels * e->image_height * e->image_width;
}

size_t encoder_image_tokens(const encoder *e)
{
    if (e->patch_size == 0)
        return 0;
    return (size_t)(e->image_height / e->patch_size) * (e->image_width / e->patch_size) + (e->class_token != NULL);
}

int32_t encoder_check(const encoder *e, const packed *p, ecrec_error *err)
{
    uint32_t longest = encoder_longest(e), types = e->token_types ? e->token_types : 1;
    if (e->patch_size != 0 && p->pixels == NULL)
        return error_set(err, ECREC_ERR_INVALID, "the model encodes images, not token ids");
    if (e->patch_size == 0 && p->pixels != NULL)
        return error_set(err, ECREC_ERR_INVALID, "the model encodes token ids, not images");
    for (size_t s = 0; s < p->sequences; s++) {
        if (p->starts[s + 1] < p->starts[s])
            return error_row(err, ECREC_ERR_INVALID, s, "row %zu: starts are not ascending", s);
        if (p->starts[s + 1] - p->starts[s] > longest)
            return error_row(err, ECREC_ERR_INVALID, s, "row %zu has %u tokens; the model takes at most %u", s,
                             p->starts[s + 1] - p->starts[s], longest);
        for (uint32_t i = p->starts[s]; p->pixels == NULL && i < p->starts[s + 1]; i++) {
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
    double h = e->hidden, total = 2.0 * h * (double)(e->patch.w.k + e->embedding_projection.w.k);
    for (uint32_t i = 0; i < e->layers; i++) {
        const encoder_layer *l = &e->layer[i];
        double width = (double)l->heads * e->head_size, seen = (double)length;
        if (l->window != 0 && seen > 2.0 * l->window + 1)
            seen = 2.0 * l->window + 1;
        total += 2.0 * h * (double)encoder_qkv_width(e, l) + 2.0 * h * width + 2.0 * h * (2.0 + e->gated) * l->feed_forward + 4.0 * seen * width;
    }
    return total;
}

static uint64_t linear_parameters(const encoder_linear *l, uint64_t n, uint64_t k)
{
    return n * k + (l->bias != NULL ? n : 0);
}

static uint64_t norm_parameters(const encoder_norm *norm, uint64_t n)
{
    return (norm->weight != NULL ? n : 0) + (norm->bias != NULL ? n : 0);
}

uint64_t encoder_parameters(const encoder *e)
{
    const uint64_t h = e->hidden;
    uint64_t total = (uint64_t)e->embedding * e->vocabulary + norm_parameters(&e->embedding_norm, e->embedding) + norm_parameters(&e->final_norm, h);
    const encoder_linear *linears[] = { &e->embedding_projection, &e->patch, &e->projection, &e->pooler, &e->classifier };
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        total += linear_parameters(linears[i], linears[i]->w.n, linears[i]->w.k);
    total += norm_parameters(&e->projection_norm, h) + norm_parameters(&e->pooler_norm, h) + (e->class_token != NULL ? h : 0);
    total += (e->position_table != NULL ? (uint64_t)e->embedding * e->positions : 0) + (e->type_table != NULL ? (uint64_t)e->embedding * e->token_types : 0);
    total += e->relative != NULL ? (uint64_t)e->relative_buckets * e->largest_heads : 0;
    for (uint32_t i = 0; i < e->layers; i++) {
        const encoder_layer *l = &e->layer[i];
        if (i != 0 && e->shared && l->out.w.panels == e->layer[i - 1].out.w.panels)
            continue;
        total += linear_parameters(&l->qkv, encoder_qkv_width(e, l), h) + linear_parameters(&l->output, h, (uint64_t)l->heads * e->head_size);
        total += linear_parameters(&l->in, (uint64_t)l->feed_forward << e->gated, h) + linear_parameters(&l->out, h, l->feed_forward);
        total += norm_parameters(&l->attention_norm, h) + norm_parameters(&l->feed_forward_norm, h);
        total += norm_parameters(&l->query_norm, e->head_size) + norm_parameters(&l->key_norm, e->head_size);
    }
    return total;
}
