#include "encoder/forward.h"

#include <math.h>
#include <string.h>

#include "kernels/pointwise.h"

static size_t round64(size_t n)
{
    return (n + 63) / 64 * 64;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t feed_rows(size_t tokens)
{
    return tokens < FEED_ROWS ? tokens : FEED_ROWS;
}

/* Most inputs of a matrix, and the most floats that its rows take when quantised. */
static size_t quantised_bytes(const encoder *e, size_t max_tokens)
{
    const size_t deep = larger(larger((size_t)e->largest_heads * e->head_size, e->hidden), larger(e->embedding, e->patch.w.k));
    return larger(larger(max_tokens, 1) * round64(deep), larger(feed_rows(max_tokens), 1) * round64(e->largest_feed_forward));
}

size_t pass_take(pass *p, const encoder *e, const kernels *table, size_t max_tokens, void *workspace)
{
    scratch s = { workspace, 0, SIZE_MAX };
    const size_t length = larger(e->max_length, max_tokens), width = (size_t)e->largest_heads * e->head_size;
    size_t wide = max_tokens * (e->largest_qkv + width);
    wide = larger(wide, feed_rows(max_tokens) * ((size_t)e->largest_feed_forward << e->gated));
    wide = larger(wide, max_tokens * larger(e->embedding, e->patch.w.k));
    p->e = e;
    p->table = table;
    p->wide = scratch_take(&s, wide * sizeof(float));
    p->normed = e->pre_norm ? scratch_take(&s, larger(max_tokens, 1) * e->hidden * sizeof(float)) : NULL;
    p->length = length;
    p->distances = e->relative_buckets != 0 ? scratch_take(&s, 2 * length * sizeof(float)) : NULL;
    p->buckets = e->relative_buckets != 0 ? scratch_take(&s, 2 * length * sizeof *p->buckets) : NULL;
    p->attention = scratch_take(&s, attention_scratch(length, e->head_size) * sizeof(float));
    p->q = NULL;
    p->scale = NULL;
    p->zero = NULL;
    p->observe = NULL;
    p->observe_opaque = NULL;
    if (e->quantized) {
        p->q = scratch_take(&s, quantised_bytes(e, max_tokens) * (e->brain ? sizeof(uint16_t) : 1));
        p->scale = scratch_take(&s, larger(max_tokens, 1) * sizeof(float));
        p->zero = scratch_take(&s, larger(max_tokens, 1) * sizeof(int32_t));
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
    if (p->observe != NULL && k != 0)
        p->observe(p->observe_opaque, linear, rows, k, x, x_stride);
    if (k == 0) {
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < n; j++)
                out[r * out_stride + j] = (linear->bias != NULL ? linear->bias[j] : 0) + (residual != NULL ? residual[r * out_stride + j] : 0);
    } else if (linear->w.type == WEIGHTS_S8) {
        const size_t stride = round64(k);
        p->table->quantize_rows(rows, k, x, x_stride, linear->smooth, p->q, stride, p->scale, p->zero);
        const gemm_s8_call call = { .m = rows, .q = p->q, .q_stride = stride, .scale = p->scale, .zero = p->zero, .w = &linear->w,
                                    .bias = linear->bias, .residual = residual, .residual_stride = out_stride, .out = out,
                                    .out_stride = out_stride, .epilogue = epilogue, .next = linear->next };
        p->table->gemm_s8(&call);
    } else if (linear->w.type == WEIGHTS_BF16 && p->table->gemm_bf16 != NULL) {
        const size_t stride = round64(k);
        uint16_t *rounded = (uint16_t *)(void *)p->q;
        p->table->round_rows(rows, k, x, x_stride, rounded, stride);
        const gemm_bf16_call call = { .m = rows, .x = rounded, .x_stride = stride, .w = &linear->w, .bias = linear->bias,
                                      .residual = residual, .residual_stride = out_stride, .out = out, .out_stride = out_stride,
                                      .epilogue = epilogue, .next = linear->next };
        p->table->gemm_bf16(&call);
    } else {
        const gemm_f32_call call = { .m = rows, .x = x, .x_stride = x_stride, .w = &linear->w, .bias = linear->bias,
                                     .residual = residual, .residual_stride = out_stride, .out = out, .out_stride = out_stride,
                                     .epilogue = epilogue, .next = linear->next };
        (linear->w.type == WEIGHTS_S4 ? p->table->gemm_s4 : linear->w.type == WEIGHTS_BF16 ? p->table->gemm_widened : p->table->gemm_f32)(&call);
    }
}

void pass_norm(const pass *p, const encoder_norm *norm, size_t rows, size_t n, const float *x, float *out)
{
    if (rows == 0)
        return;
    if (norm->weight == NULL) {
        if (out != x)
            memcpy(out, x, rows * n * sizeof(float));
    } else if (p->e->norm == NORM_RMS) {
        p->table->rms_norm(rows, n, x, n, norm->weight, p->e->norm_eps, out, n);
    } else {
        p->table->layer_norm(rows, n, x, n, norm->weight, norm->bias, p->e->norm_eps, out, n);
    }
}

/* ---- embeddings ---- */

/* out (rows x n) += rows `ids` of a table */
static void add_rows(const pass *pass, const tensor *t, size_t rows, const uint32_t *ids, size_t n, float *out)
{
    if (t->layout == LAYOUT_ROWS_S8) {
        const size_t stride = round64(n);
        const char *data = t->data;
        pass->table->gather_s8(rows, n, ids, (const int8_t *)data, stride, (const float *)(const void *)(data + stride * (size_t)t->shape[0]), out);
    } else if (t->type == TYPE_BF16) {
        for (size_t r = 0; r < rows; r++)
            add_brains(n, (const uint16_t *)t->data + ids[r] * n, out + r * n);
    } else {
        for (size_t r = 0; r < rows; r++)
            pass->table->axpy_f32(n, 1.0f, (const float *)t->data + ids[r] * n, out + r * n);
    }
}

static void add_row(const pass *pass, const tensor *t, size_t row, size_t n, float *out)
{
    const uint32_t id = (uint32_t)row;
    add_rows(pass, t, 1, &id, n, out);
}

/* The patches of one image, a row each: channel by channel, each line by line, as convolution weights lie. */
static void cut_patches(const encoder *e, const float *pixels, float *rows)
{
    const size_t size = e->patch_size, height = e->image_height, width = e->image_width;
    for (size_t y = 0; y + size <= height; y += size)
        for (size_t x = 0; x + size <= width; x += size)
            for (size_t c = 0; c < e->image_channels; c++)
                for (size_t line = 0; line < size; line++, rows += size)
                    memcpy(rows, pixels + (c * height + y + line) * width + x, size * sizeof(float));
}

static void embed_image(const pass *pass, const float *pixels, float *sum)
{
    const encoder *e = pass->e;
    const size_t h = e->hidden, tokens = encoder_image_tokens(e), first = e->class_token != NULL, k = e->patch.w.k;
    cut_patches(e, pixels, pass->wide);
    if (first)
        memcpy(sum, e->class_token, h * sizeof(float));
    pass_linear(pass, &e->patch, h, k, tokens - first, pass->wide, k, NULL, sum + first * h, h, EPILOGUE_NONE);
    for (size_t i = 0; i < tokens && e->position_table != NULL; i++)
        add_row(pass, e->position_table, i, h, sum + i * h);
}

void pass_embed_sum(const pass *pass, const packed *p, float *sum)
{
    const encoder *e = pass->e;
    const size_t n = e->embedding, first = p->starts[0];
    for (size_t s = 0; s < p->sequences; s++) {
        size_t counted = 0;
        if (p->pixels != NULL) {
            embed_image(pass, p->pixels + (size_t)(p->rows != NULL ? p->rows[s] : s) * encoder_image_floats(e), sum + (p->starts[s] - first) * n);
            continue;
        }
        float *rows = sum + (p->starts[s] - first) * n;
        memset(rows, 0, (p->starts[s + 1] - p->starts[s]) * n * sizeof(float));
        add_rows(pass, e->token, p->starts[s + 1] - p->starts[s], p->ids + p->starts[s], n, rows);
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++, rows += n) {
            if (e->type_table != NULL)
                add_row(pass, e->type_table, p->types != NULL ? p->types[i] : 0, n, rows);
            if (e->position_table != NULL)
                add_row(pass, e->position_table, pass_position(e, p, s, i - p->starts[s], &counted), n, rows);
        }
    }
}

void pass_embed(const pass *pass, const packed *p, float *hidden)
{
    const encoder *e = pass->e;
    float *sum = e->embedding_projection.w.n != 0 ? pass->wide : hidden;
    pass_embed_sum(pass, p, sum);
    pass_norm(pass, &e->embedding_norm, pass->tokens, e->embedding, sum, sum);
    if (sum != hidden)
        pass_linear(pass, &e->embedding_projection, e->hidden, e->embedding, pass->tokens, sum, e->embedding, NULL, hidden, e->hidden, EPILOGUE_NONE);
}

/* ---- layers ---- */

void pass_turn(const pass *pass, const encoder_layer *l, const packed *p, float *qkv)
{
    const encoder *e = pass->e;
    const size_t size = e->head_size, each = l->groups != 0 ? l->heads / l->groups : 0, stride = encoder_qkv_width(e, l), first = p->starts[0];
    const float *table = e->position == POSITION_ROTARY ? e->rotary[l->rotary] : NULL;
    if (table == NULL && l->query_norm.weight == NULL)
        return;
    for (size_t s = 0; s < p->sequences; s++)
        for (size_t i = p->starts[s]; i < p->starts[s + 1]; i++)
            for (size_t g = 0; g < l->groups; g++) {
                float *q = qkv + (i - first) * stride + g * (each + 2) * size, *k = q + each * size;
                if (l->query_norm.weight != NULL) {
                    pass->table->rms_norm(each, size, q, size, l->query_norm.weight, e->norm_eps, q, size);
                    pass->table->rms_norm(1, size, k, size, l->key_norm.weight, e->norm_eps, k, size);
                }
                if (table != NULL) /* the group's queries and its key lie side by side */
                    rotate_heads(each + 1, e->rotary_size, q, size, table + (i - p->starts[s]) * e->rotary_size);
            }
}

void pass_begin(pass *pass, const packed *p)
{
    const encoder *e = pass->e;
    pass->tokens = p->starts[p->sequences] - p->starts[0];
    if (e->relative_buckets == 0)
        return;
    size_t longest = 1;
    for (size_t s = 0; s < p->sequences; s++)
        longest = larger(longest, p->starts[s + 1] - p->starts[s]);
    pass->length = longest;
    for (size_t i = 0; i < 2 * longest - 1; i++)
        pass->buckets[i] = relative_bucket((int64_t)i - (int64_t)(longest - 1), e->relative_buckets, e->relative_distance);
}

/* The bias of one head by distance: the middle of 2 * tokens - 1 values. */
static const float *relative_row(const pass *pass, size_t head, size_t heads, size_t tokens)
{
    const uint32_t *bucket = pass->buckets + pass->length - tokens;
    for (size_t i = 0; i < 2 * tokens - 1; i++)
        pass->distances[i] = pass->e->relative[bucket[i] * heads + head];
    return pass->distances + tokens - 1;
}

void pass_attend(const pass *pass, const encoder_layer *l, const packed *p, const float *qkv, float *out)
{
    const encoder *e = pass->e;
    const size_t size = e->head_size, width = l->heads * size, stride = encoder_qkv_width(e, l), first = p->starts[0];
    const size_t each = l->groups != 0 ? l->heads / l->groups : 1;
    for (size_t s = 0; s < p->sequences; s++) {
        const size_t begin = p->starts[s] - first, tokens = p->starts[s + 1] - p->starts[s];
        if (tokens == 0)
            continue;
        for (size_t h = 0; h < l->heads; h++) {
            const float *group = qkv + begin * stride + h / each * (each + 2) * size;
            const float *bias = e->relative_buckets != 0 ? relative_row(pass, h, l->heads, tokens) : NULL;
            const attention_call call = { .tokens = tokens, .head_size = size, .q = group + h % each * size, .k = group + each * size,
                                          .v = group + (each + 1) * size, .stride = stride, .out = out + begin * width + h * size,
                                          .out_stride = width, .scale = e->attention_scale, .bias = bias, .bias_stride = -1,
                                          .causal = (int32_t)e->causal, .window = l->window, .scratch = pass->attention };
            pass->table->attention(&call);
        }
    }
}

void pass_activate(const pass *pass, const encoder_layer *l, size_t rows, float *inner)
{
    const encoder *e = pass->e;
    const size_t ff = l->feed_forward, stride = ff << e->gated;
    if (!e->gated) {
        if (rows * ff != 0)
            pass->table->activate(rows * ff, inner, (int32_t)e->activation);
        return;
    }
    for (size_t r = 0; r < rows && ff != 0; r++)
        pass->table->activate(ff, inner + r * stride, (int32_t)e->activation);
    multiply_rows(rows, ff, inner, inner + ff, stride);
}

void pass_heads(const pass *pass, const encoder_layer *l, const packed *p, const float *hidden, float *qkv, float *context)
{
    const encoder *e = pass->e;
    const size_t h = e->hidden, width = encoder_qkv_width(e, l);
    if (e->pre_norm)
        pass_norm(pass, &l->attention_norm, pass->tokens, h, hidden, pass->normed);
    pass_linear(pass, &l->qkv, width, h, pass->tokens, e->pre_norm ? pass->normed : hidden, h, NULL, qkv, width, EPILOGUE_NONE);
    pass_turn(pass, l, p, qkv);
    pass_attend(pass, l, p, qkv, context);
}

/* hidden += feed_forward(x) */
static void feed_forward_block(const pass *pass, const encoder_layer *l, const float *x, float *hidden)
{
    const encoder *e = pass->e;
    const size_t h = e->hidden, ff = l->feed_forward, wide = ff << e->gated;
    for (size_t at = 0; at < pass->tokens; at += FEED_ROWS) {
        const size_t rows = feed_rows(pass->tokens - at);
        pass_linear(pass, &l->in, wide, h, rows, x + at * h, h, NULL, pass->wide, wide, e->gated ? EPILOGUE_NONE : (int32_t)e->activation);
        if (e->gated)
            pass_activate(pass, l, rows, pass->wide);
        pass_linear(pass, &l->out, h, ff, rows, pass->wide, wide, hidden + at * h, hidden + at * h, h, EPILOGUE_NONE);
    }
}

void pass_rows(const pass *pass, const encoder_layer *l, const float *context, float *hidden)
{
    const encoder *e = pass->e;
    const size_t h = e->hidden, width = (size_t)l->heads * e->head_size;
    pass_linear(pass, &l->output, h, width, pass->tokens, context, width, hidden, hidden, h, EPILOGUE_NONE);
    if (e->pre_norm) {
        pass_norm(pass, &l->feed_forward_norm, pass->tokens, h, hidden, pass->normed);
        feed_forward_block(pass, l, pass->normed, hidden);
        return;
    }
    pass_norm(pass, &l->attention_norm, pass->tokens, h, hidden, hidden);
    feed_forward_block(pass, l, hidden, hidden);
    pass_norm(pass, &l->feed_forward_norm, pass->tokens, h, hidden, hidden);
}

static void forward(pass *pass, const packed *p, float *hidden, layer_callback layer_out, void *opaque)
{
    const encoder *e = pass->e;
    const size_t tokens = p->starts[p->sequences] - p->starts[0];
    pass_begin(pass, p);
    pass_embed(pass, p, hidden);
    for (uint32_t i = 0; i < e->layers; i++) {
        if (layer_out != NULL)
            layer_out(opaque, i, hidden, tokens);
        const encoder_layer *l = &e->layer[i];
        float *context = pass->wide + tokens * encoder_qkv_width(e, l);
        pass_heads(pass, l, p, hidden, pass->wide, context);
        pass_rows(pass, l, context, hidden);
    }
    pass_norm(pass, &e->final_norm, tokens, e->hidden, hidden, hidden);
    if (layer_out != NULL)
        layer_out(opaque, e->layers, hidden, tokens);
}

void encoder_forward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden,
                     layer_callback layer_out, void *opaque)
{
    pass pass;
    (void)pass_take(&pass, e, table, p->starts[p->sequences] - p->starts[0], workspace);
    forward(&pass, p, hidden, layer_out, opaque);
}

void encoder_observe(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden, linear_observer observe,
                     void *opaque)
{
    pass pass;
    (void)pass_take(&pass, e, table, p->starts[p->sequences] - p->starts[0], workspace);
    pass.observe = observe;
    pass.observe_opaque = opaque;
    forward(&pass, p, hidden, NULL, NULL);
}
