#include "rank/network.h"

#include <string.h>

#include "base/random.h"
#include "rank/experts.h"
#include "rank/towers.h"

static void each_matrix(network_packed *packed, const network_plan *p, void (*visit)(void *opaque, weights *w, const dense_layer *l), void *opaque)
{
    for (uint32_t i = 0; i < p->crosses; i++) {
        if (p->rank != 0)
            visit(opaque, &packed->cross_v[i], &p->cross_v[i]);
        visit(opaque, &packed->cross_u[i], &p->cross_u[i]);
    }
    for (uint32_t i = 0; i < p->hiddens; i++)
        visit(opaque, &packed->hidden[i], &p->hidden[i]);
    if (p->experts != 0)
        visit(opaque, &packed->gate, &p->gate);
    for (uint32_t i = 0; i < p->histories; i++) {
        visit(opaque, &packed->attention[i].events, &p->attention[i].events);
        visit(opaque, &packed->attention[i].candidate, &p->attention[i].candidate);
        visit(opaque, &packed->attention[i].product, &p->attention[i].product);
        visit(opaque, &packed->attention[i].score, &p->attention[i].score);
    }
}

typedef struct placing { scratch s; int failed; } placing;

static void place(void *opaque, weights *w, const dense_layer *l)
{
    placing *to = opaque;
    const size_t bytes = weights_bytes(WEIGHTS_F32, l->out, l->in);
    void *block = scratch_take(&to->s, bytes);
    if (block != NULL)
        weights_view(w, WEIGHTS_F32, l->out, l->in, block);
}

static void pack_one(void *opaque, weights *w, const dense_layer *l)
{
    const float *flat = opaque;
    weights_pack(WEIGHTS_F32, l->out, l->in, flat + l->w, l->in, (void *)(uintptr_t)w->panels);
}

int32_t network_packed_create(memory *m, const network_plan *p, network_packed **out)
{
    network_packed unused;
    placing count = { { NULL, 0, SIZE_MAX }, 0 };
    each_matrix(&unused, p, place, &count);
    const size_t head = (sizeof(network_packed) + 63) / 64 * 64, bytes = head + count.s.used;
    network_packed *packed = memory_zero(m, bytes);
    if (packed == NULL)
        return ECREC_ERR_NOMEM;
    packed->m = m;
    packed->bytes = bytes;
    placing take = { { (unsigned char *)packed + head, 0, count.s.used }, 0 };
    each_matrix(packed, p, place, &take);
    *out = packed;
    return ECREC_OK;
}

void network_pack(network_packed *packed, const network_plan *p, const float *flat)
{
    each_matrix(packed, p, pack_one, (void *)(uintptr_t)flat);
}

void network_packed_release(network_packed *packed)
{
    if (packed != NULL)
        memory_release(packed->m, packed, packed->bytes);
}

size_t network_pass_take(network_pass *pass, const network_plan *p, size_t rows, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const size_t wide = memory_product(rows * p->inputs, sizeof(float));
    pass->rows = rows;
    pass->x0 = scratch_take(&s, wide);
    for (uint32_t i = 0; i < p->crosses; i++) {
        pass->cross[i] = scratch_take(&s, wide);
        pass->mid[i] = scratch_take(&s, wide);
        pass->low[i] = p->rank != 0 ? scratch_take(&s, rows * p->rank * sizeof(float)) : NULL;
    }
    for (uint32_t i = 0; i < p->hiddens; i++)
        pass->hidden[i] = scratch_take(&s, rows * p->hidden[i].out * sizeof(float));
    pass->gate = scratch_take(&s, p->experts != 0 ? rows * p->gate.out * sizeof(float) : 0);
    pass->mix = scratch_take(&s, p->experts != 0 ? rows * p->tasks * p->hidden_head.in * sizeof(float) : 0);
    pass->present = scratch_take(&s, rows * p->fields + 1);
    pass->shares = scratch_take(&s, NETWORK_PARTS * rows * p->heads * sizeof(float));
    pass->scratch = scratch_take(&s, (rows + NETWORK_ROWS - 1) / NETWORK_ROWS * p->inputs * sizeof(float));
    return s.used;
}

static void apply(const kernels *table, const weights *w, const float *x, size_t x_stride, const float *bias, size_t n, float *out, int32_t epilogue)
{
    const gemm_f32_call call = { .m = n, .x = x, .x_stride = x_stride, .w = w, .bias = bias, .out = out, .out_stride = w->n, .epilogue = epilogue };
    table->gemm_f32(&call);
}

/* All pairs at once: ((sum of e)^2 - sum of e^2) / 2. */
static float fm_plain(const network_plan *p, const float *e)
{
    float total = 0;
    for (uint32_t k = 0; k < p->width; k++) {
        float sum = 0, squares = 0;
        for (uint32_t f = 0; f < p->fields; f++) {
            const float v = e[f * p->width + k];
            sum += v;
            squares += v * v;
        }
        total += 0.5f * (sum * sum - squares);
    }
    return total;
}

static void forward_fm(const network_plan *p, const float *flat, const kernels *table, network_pass *pass, size_t row)
{
    const float *e = pass->x0 + row * p->inputs;
    float *share = pass->shares + (PART_FM * pass->rows + row) * p->heads;
    const float *r = flat + p->fm_weights;
    if (p->fm == 1) {
        const float v = fm_plain(p, e);
        for (uint32_t h = 0; h < p->heads; h++)
            share[h] = v;
        return;
    }
    const uint32_t pairs = p->fields * (p->fields - 1) / 2;
    uint32_t at = 0;
    for (uint32_t h = 0; h < p->heads; h++)
        share[h] = 0;
    for (uint32_t i = 0; i < p->fields; i++)
        for (uint32_t j = i + 1; j < p->fields; j++, at++) {
            const float dot = table->dot_f32(p->width, e + i * p->width, e + j * p->width);
            for (uint32_t h = 0; h < p->heads; h++)
                share[h] += r[h * pairs + at] * dot;
        }
}

static void forward_heads(const dense_layer *head, const float *flat, const kernels *table, const float *x, size_t n, float *share)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < head->out; h++)
            share[i * head->out + h] = table->dot_f32(head->in, flat + head->w + (size_t)h * head->in, x + i * head->in);
}

static void forward_cross(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass,
                          size_t first, size_t n)
{
    const size_t d = p->inputs;
    const float *x0 = pass->x0 + first * d, *x = x0;
    for (uint32_t l = 0; l < p->crosses; l++) {
        float *mid = pass->mid[l] + first * d, *next = pass->cross[l] + first * d;
        const float *inner = x;
        if (p->rank != 0) {
            float *low = pass->low[l] + first * p->rank;
            apply(table, &packed->cross_v[l], x, d, NULL, n, low, EPILOGUE_NONE);
            inner = low;
        }
        apply(table, &packed->cross_u[l], inner, p->cross_u[l].in, flat + p->cross_u[l].b, n, mid, EPILOGUE_NONE);
        for (size_t i = 0; i < n * d; i++)
            next[i] = x0[i] * mid[i] + x[i];
        x = next;
    }
    forward_heads(&p->cross_head, flat, table, x, n, pass->shares + (PART_CROSS * pass->rows + first) * p->heads);
}

float dropout_factor(const network_dropout *d, size_t row, uint32_t layer, uint32_t unit)
{
    const uint32_t key[2] = { (uint32_t)d->seed, (uint32_t)(d->seed >> 32) };
    const uint32_t counter[4] = { unit / 4, layer, (uint32_t)row, (uint32_t)d->stream };
    uint32_t out[4];
    philox4x32(counter, key, out);
    return (float)(out[unit % 4] >> 8) * 0x1p-24f < d->rate ? 0 : 1 / (1 - d->rate);
}

static void drop_units(const network_dropout *d, size_t first, size_t n, uint32_t layer, uint32_t units, float *h)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t u = 0; u < units; u++)
            h[i * units + u] *= dropout_factor(d, first + i, layer, u);
}

static void forward_hidden(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass,
                           size_t first, size_t n, const network_dropout *dropout)
{
    const float *x = pass->x0 + first * p->inputs;
    for (uint32_t l = 0; l < p->hiddens; l++) {
        const dense_layer *layer = &p->hidden[l];
        float *h = pass->hidden[l] + first * layer->out;
        if (l > 0 && p->experts != 0)
            experts_layer(p, packed, flat, table, pass, l, first, n);
        else
            apply(table, &packed->hidden[l], x, layer->in, flat + layer->b, n, h, EPILOGUE_RELU);
        if (dropout != NULL && dropout->rate > 0)
            drop_units(dropout, first, n, l, layer->out, h);
        x = h;
    }
    if (p->experts != 0)
        experts_heads(p, packed, flat, table, pass, first, n);
    else
        forward_heads(&p->hidden_head, flat, table, x, n, pass->shares + (PART_HIDDEN * pass->rows + first) * p->heads);
}

static void forward_attention(const network_plan *p, const float *flat, const kernels *table, network_pass *pass, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        float *share = pass->shares + (PART_ATTENTION * pass->rows + i) * p->heads;
        memset(share, 0, p->heads * sizeof *share);
        for (uint32_t a = 0; a < p->histories; a++)
            for (uint32_t h = 0; h < p->heads; h++)
                share[h] += table->dot_f32(p->width, flat + p->attention[a].head.w + (size_t)h * p->width,
                                           pass->x0 + i * p->inputs + (size_t)p->attention[a].to * p->width);
    }
}

void network_forward(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass,
                     size_t first, size_t n, const network_dropout *dropout)
{
    for (size_t i = first; i < first + n && p->fm != 0; i++)
        forward_fm(p, flat, table, pass, i);
    if (p->crosses != 0)
        forward_cross(p, packed, flat, table, pass, first, n);
    if (p->hiddens != 0)
        forward_hidden(p, packed, flat, table, pass, first, n, dropout);
    if (p->histories != 0)
        forward_attention(p, flat, table, pass, first, n);
    if (p->towers != 0)
        towers_forward(p, flat, table, pass, first, n);
}
