#include "rank/experts.h"

void experts_layer(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass, uint32_t l, size_t first, size_t n)
{
    const dense_layer *layer = &p->hidden[l];
    const size_t out = layer->out / p->experts, x_stride = p->hidden[l - 1].out;
    for (uint32_t e = 0; e < p->experts; e++) {
        const weights w = expert_columns(p, &packed->hidden[l], e);
        const gemm_f32_call call = { .m = n, .x = pass->hidden[l - 1] + first * x_stride + (size_t)e * layer->in, .x_stride = x_stride, .w = &w,
                                     .bias = flat + layer->b + e * out, .out = pass->hidden[l] + first * layer->out + e * out, .out_stride = layer->out,
                                     .epilogue = EPILOGUE_RELU };
        table->gemm_f32(&call);
    }
}

void experts_heads(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass, size_t first, size_t n)
{
    const uint32_t last = p->hiddens - 1, width = p->hidden_head.in;
    const gemm_f32_call call = { .m = n, .x = pass->x0 + first * p->inputs, .x_stride = p->inputs, .w = &packed->gate, .bias = flat + p->gate.b,
                                 .out = pass->gate + first * p->gate.out, .out_stride = p->gate.out, .epilogue = EPILOGUE_NONE };
    table->gemm_f32(&call);
    for (size_t i = first; i < first + n; i++) {
        const float *h = pass->hidden[last] + i * p->hidden[last].out;
        float *share = pass->shares + (PART_HIDDEN * pass->rows + i) * p->heads;
        for (uint32_t t = 0, head = 0; t < p->tasks; t++) {
            float *gate = pass->gate + i * p->gate.out + (size_t)t * p->experts, *mix = pass->mix + (i * p->tasks + t) * width;
            (void)table->softmax(p->experts, gate, gate);
            for (uint32_t k = 0; k < width; k++)
                mix[k] = gate[0] * h[k];
            for (uint32_t e = 1; e < p->experts; e++)
                table->axpy_f32(width, gate[e], h + (size_t)e * width, mix);
            for (const uint32_t end = head + p->task_heads[t]; head < end; head++)
                share[head] = table->dot_f32(width, flat + p->hidden_head.w + (size_t)head * width, mix);
        }
    }
}
