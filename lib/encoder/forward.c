#include "encoder/forward.h"

#include <math.h>
#include <string.h>

#include "ecrec/text.h"
#include "encoder/vector.h"

static size_t round64(size_t n)
{
    return (n + 63) / 64 * 64;
}

size_t pass_take(pass *p, const encoder *e, const kernels *table, size_t max_tokens, void *workspace)
{
    scratch s = { workspace, 0, SIZE_MAX };
    const size_t width = (size_t)e->largest_heads * e->head_size, length = e->max_length > max_tokens ? e->max_length : max_tokens;
    size_t wide = 4 * width > e->largest_feed_forward ? 4 * width : e->largest_feed_forward;
    size_t deep = width > e->largest_feed_forward ? width : e->largest_feed_forward;
    deep = deep > e->hidden ? deep : e->hidden;
    p->e = e;
    p->table = table;
    p->wide = scratch_take(&s, max_tokens * (wide != 0 ? wide : 1) * sizeof(float));
    p->attention = scratch_take(&s, attention_scratch(length, e->head_size) * sizeof(float));
    p->q = NULL;
    p->scale = NULL;
    p->zero = NULL;
    if (e->quantized) {
        p->q = scratch_take(&s, max_tokens * round64(deep));
        p->scale = scratch_take(&s, max_tokens * sizeof(float));
        p->zero = scratch_take(&s, max_tokens * sizeof(int32_t));
    }
    return s.used;
}

size_t encoder_workspace(const encoder *e, size_t max_tokens)
{
    pass p;
    return pass_take(&p, e, NULL, max_tokens, NULL);
}

void pass_linear(const pass *p, const encoder_linear *linear, size_t n, size_t k, size_t rows, const float *x,
                 size_t x_stride, const float *residual, float *out, size_t out_stride, int32_t epilogue)
{
    if (n == 0 || rows == 0)
        return;
    if (k == 0) {
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < n; j++)
                out[r * out_stride + j] = linear->bias[j] + (residual != NULL ? residual[r * out_stride + j] : 0);
    } else if (linear->w.type == WEIGHTS_S8) {
        const size_t stride = round64(k);
        p->table->quantize_rows(rows, k, x, x_stride, p->q, stride, p->scale, p->zero);
        const gemm_s8_call call = { .m = rows, .q = p->q, .q_stride = stride, .scale = p->scale, .zero = p->zero, .w = &linear->w,
                                    .bias = linear->bias, .residual = residual, .residual_stride = out_stride, .out = out,
                                    .out_stride = out_stride, .epilogue = epilogue };
        p->table->gemm_s8(&call);
    } else {
        const gemm_f32_call call = { .m = rows, .x = x, .x_stride = x_stride, .w = &linear->w, .bias = linear->bias,
                                     .residual = residual, .residual_stride = out_stride, .out = out, .out_stride = out_stride,
                                     .epilogue = epilogue };
        p->table->gemm_f32(&call);
    }
}

/* out += row of a table */
static void add_row(const tensor *t, size_t row, size_t n, float *out)
{
    if (t->layout == LAYOUT_ROWS_S8) {
        const size_t stride = round64(n);
        const int8_t *values = (const int8_t *)t->data + row * stride;
        const float scale = ((const float *)(const void *)((const char *)t->data + stride * (size_t)t->shape[0]))[row];
        for (size_t i = 0; i < n; i++)
            out[i] += (float)values[i] * scale;
    } else {
        const float *values = (const float *)t->data + row * n;
        for (size_t i = 0; i < n; i++)
            out[i] += values[i];
    }
}

void pass_embed_sum(const encoder *e, const packed *p, float *hidden)
{
    const size_t h = e->hidden, first = p->starts[0];
    for (size_t s = 0; s < p->sequences; s++)
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++) {
            float *row = hidden + (i - first) * h;
            memset(row, 0, h * sizeof(float));
            add_row(e->token, p->ids[i], h, row);
            if (e->type_table != NULL)
                add_row(e->type_table, p->types != NULL ? p->types[i] : 0, h, row);
            if (e->position_table != NULL)
                add_row(e->position_table, i - p->starts[s] + e->position_offset, h, row);
        }
}

static void embed_tokens(const encoder *e, const kernels *table, const packed *p, float *hidden)
{
    const size_t h = e->hidden, tokens = p->starts[p->sequences] - p->starts[0];
    pass_embed_sum(e, p, hidden);
    if (tokens != 0)
        table->layer_norm(tokens, h, hidden, h, e->embedding_norm.weight, e->embedding_norm.bias, e->norm_eps, hidden, h);
}

void pass_attend(const pass *pass, const encoder_layer *layer, const packed *p, const float *qkv, float *out)
{
    const size_t size = pass->e->head_size, width = layer->heads * size, first = p->starts[0];
    for (size_t s = 0; s < p->sequences; s++) {
        const size_t begin = p->starts[s] - first, tokens = p->starts[s + 1] - p->starts[s];
        if (tokens == 0)
            continue;
        for (size_t h = 0; h < layer->heads; h++) {
            const float *q = qkv + begin * 3 * width + h * 3 * size;
            const attention_call call = { .tokens = tokens, .head_size = size, .q = q, .k = q + size, .v = q + 2 * size,
                                          .stride = 3 * width, .out = out + begin * width + h * size, .out_stride = width,
                                          .scale = 1.0f / sqrtf((float)size), .causal = (int32_t)pass->e->causal,
                                          .scratch = pass->attention };
            pass->table->attention(&call);
        }
    }
}

void pass_norm(const pass *p, const encoder_norm *norm, float *hidden)
{
    const size_t h = p->e->hidden;
    if (p->tokens != 0)
        p->table->layer_norm(p->tokens, h, hidden, h, norm->weight, norm->bias, p->e->norm_eps, hidden, h);
}

static void run_layer(const pass *pass, const encoder_layer *l, const packed *p, float *hidden)
{
    const encoder *e = pass->e;
    const size_t tokens = pass->tokens, h = e->hidden, width = (size_t)l->heads * e->head_size, ff = l->feed_forward;
    float *qkv = pass->wide, *context = pass->wide + tokens * 3 * width, *middle = pass->wide;
    pass_linear(pass, &l->qkv, 3 * width, h, tokens, hidden, h, NULL, qkv, 3 * width, EPILOGUE_NONE);
    pass_attend(pass, l, p, qkv, context);
    pass_linear(pass, &l->output, h, width, tokens, context, width, hidden, hidden, h, EPILOGUE_NONE);
    pass_norm(pass, &l->attention_norm, hidden);
    pass_linear(pass, &l->in, ff, h, tokens, hidden, h, NULL, middle, ff, (int32_t)e->activation);
    pass_linear(pass, &l->out, h, ff, tokens, middle, ff, hidden, hidden, h, EPILOGUE_NONE);
    pass_norm(pass, &l->feed_forward_norm, hidden);
}

void encoder_forward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden,
                     layer_callback layer_out, void *opaque)
{
    pass pass;
    const size_t tokens = p->starts[p->sequences] - p->starts[0];
    (void)pass_take(&pass, e, table, tokens, workspace);
    pass.tokens = tokens;
    embed_tokens(e, table, p, hidden);
    if (layer_out != NULL)
        layer_out(opaque, 0, hidden, tokens);
    for (uint32_t i = 0; i < e->layers; i++) {
        run_layer(&pass, &e->layer[i], p, hidden);
        if (layer_out != NULL)
            layer_out(opaque, i + 1, hidden, tokens);
    }
}

static void pool_one(const float *hidden, size_t tokens, size_t h, uint32_t pooling, float *out)
{
    switch (pooling) {
    case ECREC_POOL_CLS:
        memcpy(out, hidden, h * sizeof(float));
        return;
    case ECREC_POOL_LAST:
        memcpy(out, hidden + (tokens - 1) * h, h * sizeof(float));
        return;
    case ECREC_POOL_MAX:
        memcpy(out, hidden, h * sizeof(float));
        for (size_t t = 1; t < tokens; t++)
            for (size_t i = 0; i < h; i++)
                out[i] = hidden[t * h + i] > out[i] ? hidden[t * h + i] : out[i];
        return;
    default: {
        const float scale = 1.0f / (float)tokens;
        memcpy(out, hidden, h * sizeof(float));
        for (size_t t = 1; t < tokens; t++)
            for (size_t i = 0; i < h; i++)
                out[i] += hidden[t * h + i];
        for (size_t i = 0; i < h; i++)
            out[i] *= scale;
    }
    }
}

void encoder_pool(const encoder *e, const kernels *table, const packed *p, const float *hidden, uint32_t pooling,
                  int32_t normalize, float *vectors, size_t stride)
{
    const size_t h = e->hidden;
    (void)table;
    for (size_t s = 0; s < p->sequences; s++) {
        float *out = vectors + s * stride;
        const size_t tokens = p->starts[s + 1] - p->starts[s];
        if (tokens == 0) {
            memset(out, 0, h * sizeof(float));
            continue;
        }
        pool_one(hidden + (p->starts[s] - p->starts[0]) * h, tokens, h, pooling, out);
        if (normalize)
            vector_normalize(out, h);
    }
}
