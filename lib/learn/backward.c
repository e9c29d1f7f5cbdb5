#include "learn/backward.h"

#include <string.h>

#include "rank/experts.h"
#include "rank/towers.h"

enum { TASK_OUT = 512 /* rows of a gradient that one task makes: each task reads all of the inputs */, PANEL = 16 };

size_t network_gradients_take(network_gradients *g, const network_plan *p, size_t rows, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const size_t wide = memory_product(rows * p->inputs, sizeof(float));
    g->x0 = scratch_take(&s, wide);
    g->wide = scratch_take(&s, wide);
    for (uint32_t l = 0; l < p->crosses; l++) {
        g->mid[l] = scratch_take(&s, wide);
        g->low[l] = p->rank != 0 ? scratch_take(&s, rows * p->rank * sizeof(float)) : NULL;
    }
    for (uint32_t l = 0; l < p->hiddens; l++)
        g->hidden[l] = scratch_take(&s, rows * p->hidden[l].out * sizeof(float));
    g->gate = scratch_take(&s, p->experts != 0 ? rows * p->gate.out * sizeof(float) : 0);
    g->heads = scratch_take(&s, rows * p->heads * sizeof(float));
    g->flat = scratch_take(&s, p->size * sizeof(float));
    return s.used;
}

/* ---- transposed matrices ---- */

static dense_layer turned(dense_layer l)
{
    return (dense_layer){ l.w, l.b, l.in, l.out };
}

static void turn_plan(const network_plan *p, network_plan *out)
{
    *out = *p;
    out->histories = 0; /* their matrices are small and used as they are */
    for (uint32_t l = 0; l < p->crosses; l++) {
        out->cross_v[l] = turned(p->cross_v[l]);
        out->cross_u[l] = turned(p->cross_u[l]);
    }
    for (uint32_t l = 0; l < p->hiddens; l++)
        out->hidden[l] = turned(p->hidden[l]);
    for (uint32_t l = 1; l < p->hiddens && p->experts != 0; l++) /* each expert's by itself, one behind the other */
        out->hidden[l] = (dense_layer){ p->hidden[l].w, p->hidden[l].b, p->hidden[l].in * p->experts, p->hidden[l].out / p->experts };
    out->gate = turned(p->gate);
}

int32_t network_transposed_create(memory *m, const network_plan *p, network_packed **out)
{
    network_plan t;
    turn_plan(p, &t);
    return network_packed_create(m, &t, out);
}

/* A panel of W^T (kernels/weights.h) holds, for each row of W, 16 neighbours of it. */
static void transpose(const weights *w, const float *matrix)
{
    float *to = (float *)(uintptr_t)w->panels;
    for (size_t c = 0; c < w->n; c += PANEL) {
        const size_t n = w->n - c < PANEL ? w->n - c : PANEL;
        for (size_t k = 0; k < w->k; k++, to += PANEL)
            memcpy(to, matrix + k * w->n + c, n * sizeof *to);
    }
}

static void transpose_experts(const network_plan *p, const weights *all, const float *matrix)
{
    for (uint32_t e = 0; e < p->experts; e++) {
        const weights w = expert_columns(p, all, e);
        transpose(&w, matrix + (size_t)e * w.n * w.k);
    }
}

void network_transpose(network_packed *t, const network_plan *p, const float *flat)
{
    for (uint32_t l = 0; l < p->crosses; l++) {
        if (p->rank != 0)
            transpose(&t->cross_v[l], flat + p->cross_v[l].w);
        transpose(&t->cross_u[l], flat + p->cross_u[l].w);
    }
    for (uint32_t l = 0; l < p->hiddens; l++)
        if (l > 0 && p->experts != 0)
            transpose_experts(p, &t->hidden[l], flat + p->hidden[l].w);
        else
            transpose(&t->hidden[l], flat + p->hidden[l].w);
    if (p->experts != 0)
        transpose(&t->gate, flat + p->gate.w);
}

/* ---- rows ---- */

static void apply(const kernels *table, const weights *w, const float *x, size_t n, float *out, const float *residual)
{
    const gemm_f32_call call = { .m = n, .x = x, .x_stride = w->k, .w = w, .residual = residual, .residual_stride = w->n, .out = out, .out_stride = w->n,
                                 .epilogue = EPILOGUE_NONE };
    table->gemm_f32(&call);
}

/* d out / d in of the heads: the sum of the heads' gradients times their weights. */
static void from_heads(const dense_layer *head, const float *flat, const kernels *table, const float *g, size_t n, float *out)
{
    memset(out, 0, n * head->in * sizeof *out);
    for (size_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < head->out; h++)
            if (g[i * head->out + h] != 0)
                table->axpy_f32(head->in, g[i * head->out + h], flat + head->w + (size_t)h * head->in, out + i * head->in);
}

static void backward_fm(const network_plan *p, const float *flat, const kernels *table, const float *e, const float *g, float *dx)
{
    if (p->fm == 1) {
        float total = 0;
        for (uint32_t h = 0; h < p->heads; h++)
            total += g[h];
        for (uint32_t k = 0; k < p->width; k++) {
            float sum = 0;
            for (uint32_t f = 0; f < p->fields; f++)
                sum += e[f * p->width + k];
            for (uint32_t f = 0; f < p->fields; f++)
                dx[f * p->width + k] += total * (sum - e[f * p->width + k]);
        }
        return;
    }
    const uint32_t pairs = p->fields * (p->fields - 1) / 2;
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->fields; i++)
        for (uint32_t j = i + 1; j < p->fields; j++, at++) {
            float r = 0;
            for (uint32_t h = 0; h < p->heads; h++)
                r += g[h] * flat[p->fm_weights + h * pairs + at];
            table->axpy_f32(p->width, r, e + j * p->width, dx + i * p->width);
            table->axpy_f32(p->width, r, e + i * p->width, dx + j * p->width);
        }
}

static void backward_cross(const network_plan *p, const network_packed *t, const float *flat, const kernels *table, const network_pass *pass,
                           network_gradients *g, size_t first, size_t n)
{
    const size_t d = p->inputs, at = first * d;
    float *dx = g->wide + at, *dx0 = g->x0 + at;
    from_heads(&p->cross_head, flat, table, g->heads + first * p->heads, n, dx);
    for (uint32_t l = p->crosses; l-- > 0;) {
        float *dmid = g->mid[l] + at;
        const float *x0 = pass->x0 + at, *mid = pass->mid[l] + at;
        for (size_t i = 0; i < n * d; i++) {
            dmid[i] = dx[i] * x0[i];
            dx0[i] += dx[i] * mid[i];
        }
        if (p->rank == 0) {
            apply(table, &t->cross_u[l], dmid, n, dx, dx);
        } else {
            float *dlow = g->low[l] + first * p->rank;
            apply(table, &t->cross_u[l], dmid, n, dlow, NULL);
            apply(table, &t->cross_v[l], dlow, n, dx, dx);
        }
    }
    for (size_t i = 0; i < n * d; i++)
        dx0[i] += dx[i];
}

/* From the heads' gradients to those of the experts' last layers and, through the gates' softmax, of x0. */
static void backward_experts(const network_plan *p, const network_packed *t, const float *flat, const kernels *table, const network_pass *pass, network_gradients *g,
                             size_t first, size_t n)
{
    const uint32_t last = p->hiddens - 1, width = p->hidden_head.in;
    memset(g->hidden[last] + first * p->hidden[last].out, 0, n * p->hidden[last].out * sizeof(float));
    for (size_t i = first; i < first + n; i++) {
        const float *h = pass->hidden[last] + i * p->hidden[last].out;
        float *dh = g->hidden[last] + i * p->hidden[last].out;
        for (uint32_t task = 0, head = 0; task < p->tasks; task++) {
            const float *gate = pass->gate + i * p->gate.out + (size_t)task * p->experts;
            float *dgate = g->gate + i * p->gate.out + (size_t)task * p->experts, mean = 0, own[MOST_EXPERTS] = { 0 };
            for (const uint32_t end = head + p->task_heads[task]; head < end; head++) {
                const float dy = g->heads[i * p->heads + head], *w = flat + p->hidden_head.w + (size_t)head * width;
                for (uint32_t e = 0; e < p->experts && dy != 0; e++) {
                    own[e] += dy * table->dot_f32(width, w, h + (size_t)e * width);
                    table->axpy_f32(width, dy * gate[e], w, dh + (size_t)e * width);
                }
            }
            for (uint32_t e = 0; e < p->experts; e++)
                mean += gate[e] * own[e];
            for (uint32_t e = 0; e < p->experts; e++)
                dgate[e] = gate[e] * (own[e] - mean);
        }
    }
    apply(table, &t->gate, g->gate + first * p->gate.out, n, g->x0 + first * p->inputs, g->x0 + first * p->inputs);
}

static void experts_down(const network_plan *p, const network_packed *t, const kernels *table, network_gradients *g, uint32_t l, size_t first, size_t n)
{
    const size_t in = p->hidden[l].out, out = p->hidden[l - 1].out;
    for (uint32_t e = 0; e < p->experts; e++) {
        const weights w = expert_columns(p, &t->hidden[l], e);
        const gemm_f32_call call = { .m = n, .x = g->hidden[l] + first * in + e * w.k, .x_stride = in, .w = &w, .out = g->hidden[l - 1] + first * out + e * w.n,
                                     .out_stride = out, .epilogue = EPILOGUE_NONE };
        table->gemm_f32(&call);
    }
}

static void backward_hidden(const network_plan *p, const network_packed *t, const float *flat, const kernels *table, const network_pass *pass,
                            network_gradients *g, size_t first, size_t n, float dropout)
{
    const uint32_t last = p->hiddens - 1;
    const float kept = 1 / (1 - dropout);
    if (p->experts != 0)
        backward_experts(p, t, flat, table, pass, g, first, n);
    else
        from_heads(&p->hidden_head, flat, table, g->heads + first * p->heads, n, g->hidden[last] + first * p->hidden[last].out);
    for (uint32_t l = p->hiddens; l-- > 0;) {
        const size_t width = p->hidden[l].out, at = first * width;
        float *dh = g->hidden[l] + at;
        const float *h = pass->hidden[l] + at;
        for (size_t i = 0; i < n * width; i++) /* a unit that is off, by ReLU or by dropout, is 0 */
            dh[i] *= h[i] > 0 ? kept : 0.0f;
        if (l > 0 && p->experts != 0)
            experts_down(p, t, table, g, l, first, n);
        else if (l > 0)
            apply(table, &t->hidden[l], dh, n, g->hidden[l - 1] + first * p->hidden[l - 1].out, NULL);
        else
            apply(table, &t->hidden[l], dh, n, g->x0 + first * p->inputs, g->x0 + first * p->inputs);
    }
}

void network_backward(const network_plan *p, const network_packed *t, const float *flat, const kernels *table, const network_pass *pass,
                      network_gradients *g, size_t first, size_t n, float dropout)
{
    memset(g->x0 + first * p->inputs, 0, n * p->inputs * sizeof(float));
    for (size_t i = first; i < first + n && p->fm != 0; i++)
        backward_fm(p, flat, table, pass->x0 + i * p->inputs, g->heads + i * p->heads, g->x0 + i * p->inputs);
    if (p->crosses != 0)
        backward_cross(p, t, flat, table, pass, g, first, n);
    if (p->hiddens != 0)
        backward_hidden(p, t, flat, table, pass, g, first, n, dropout);
    for (size_t i = first; i < first + n && p->towers != 0; i++)
        towers_backward(p, flat, table, pass, i, g->heads + i * p->heads, g->x0 + i * p->inputs);
    for (uint32_t a = 0; a < p->histories; a++)
        for (size_t i = first; i < first + n; i++)
            for (uint32_t h = 0; h < p->heads; h++)
                table->axpy_f32(p->width, g->heads[i * p->heads + h], flat + p->attention[a].head.w + (size_t)h * p->width,
                                g->x0 + i * p->inputs + (size_t)p->attention[a].to * p->width);
}

/* ---- weights ---- */

typedef struct product { dense_layer layer; const float *dy, *x; size_t dy_stride, x_stride; } product;

enum { MOST_PRODUCTS = 2 * MOST_CROSS + ECREC_MOST_HIDDEN * MOST_EXPERTS + MOST_GATED + 2 };

static product whole(const dense_layer *l, const float *dy, const float *x)
{
    return (product){ *l, dy, x, l->out, l->in };
}

static const float *at(const float *x, size_t n)
{
    return x != NULL ? x + n : NULL;
}

/* Of layers above the first each expert's by itself; heads by label, from its mixture. */
static uint32_t list_experts(const network_plan *p, const network_pass *pass, const network_gradients *g, product *out)
{
    const uint32_t width = p->hidden_head.in;
    uint32_t n = 0;
    for (uint32_t l = 1; l < p->hiddens; l++)
        for (uint32_t e = 0; e < p->experts; e++) {
            const dense_layer all = p->hidden[l];
            const uint32_t units = all.out / p->experts;
            const dense_layer own = { all.w + (size_t)e * units * all.in, all.b + (size_t)e * units, units, all.in };
            out[n++] = (product){ own, at(g->hidden[l], (size_t)e * units), at(pass->hidden[l - 1], (size_t)e * all.in), all.out, p->hidden[l - 1].out };
        }
    for (uint32_t t = 0, head = 0; t < p->tasks; head += p->task_heads[t], t++) {
        const dense_layer own = { p->hidden_head.w + (size_t)head * width, SIZE_MAX, p->task_heads[t], width };
        out[n++] = (product){ own, at(g->heads, head), at(pass->mix, (size_t)t * width), p->heads, (size_t)p->tasks * width };
    }
    out[n++] = whole(&p->gate, g->gate, pass->x0);
    return n;
}

static uint32_t list_products(const network_plan *p, const network_pass *pass, const network_gradients *g, product *out)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < p->crosses; l++) {
        const float *x = l == 0 ? pass->x0 : pass->cross[l - 1];
        if (p->rank != 0)
            out[n++] = whole(&p->cross_v[l], g->low[l], x);
        out[n++] = whole(&p->cross_u[l], g->mid[l], p->rank != 0 ? pass->low[l] : x);
    }
    if (p->crosses != 0)
        out[n++] = whole(&p->cross_head, g->heads, pass->cross[p->crosses - 1]);
    for (uint32_t l = 0; l < p->hiddens && (l == 0 || p->experts == 0); l++)
        out[n++] = whole(&p->hidden[l], g->hidden[l], l == 0 ? pass->x0 : pass->hidden[l - 1]);
    if (p->experts != 0)
        return n + list_experts(p, pass, g, out + n);
    if (p->hiddens != 0)
        out[n++] = whole(&p->hidden_head, g->heads, pass->hidden[p->hiddens - 1]);
    return n;
}

static uint32_t tasks_of(const dense_layer *l)
{
    return (l->out + TASK_OUT - 1) / TASK_OUT;
}

/* Parts of one size, in whole panels. */
static uint32_t rows_of_task(const dense_layer *l)
{
    const uint32_t tasks = tasks_of(l);
    return ((l->out + tasks - 1) / tasks + PANEL - 1) / PANEL * PANEL;
}

uint32_t network_weight_tasks(const network_plan *p)
{
    static const network_pass pass;
    static const network_gradients g;
    product list[MOST_PRODUCTS];
    const uint32_t n = list_products(p, &pass, &g, list);
    uint32_t tasks = 1; /* fm_weights, attention_heads, towers_weights */
    for (uint32_t i = 0; i < n; i++)
        tasks += tasks_of(&list[i].layer);
    return tasks;
}

size_t network_weight_scratch(const network_plan *p, const kernels *table, size_t rows)
{
    static const network_pass pass;
    static const network_gradients g;
    product list[MOST_PRODUCTS];
    const uint32_t n = list_products(p, &pass, &g, list);
    size_t most = 64;
    for (uint32_t i = 0; i < n; i++) {
        const size_t bytes = matmul_scratch(table, list[i].layer.out < TASK_OUT ? list[i].layer.out : TASK_OUT, list[i].layer.in, rows);
        most = bytes > most ? bytes : most;
    }
    return (most + 63) / 64 * 64;
}

static void fm_weights(const network_plan *p, const kernels *table, const network_pass *pass, network_gradients *g, size_t rows)
{
    const uint32_t pairs = p->fields * (p->fields - 1) / 2;
    float *out = g->flat + p->fm_weights;
    memset(out, 0, (size_t)p->heads * pairs * sizeof *out);
    for (size_t row = 0; row < rows; row++) {
        const float *e = pass->x0 + row * p->inputs;
        uint32_t at = 0;
        for (uint32_t i = 0; i < p->fields; i++)
            for (uint32_t j = i + 1; j < p->fields; j++, at++) {
                const float dot = table->dot_f32(p->width, e + i * p->width, e + j * p->width);
                for (uint32_t h = 0; h < p->heads; h++)
                    out[h * pairs + at] += g->heads[row * p->heads + h] * dot;
            }
    }
}

static void attention_heads(const network_plan *p, const kernels *table, const network_pass *pass, network_gradients *g, size_t rows)
{
    for (uint32_t a = 0; a < p->histories; a++) {
        float *out = g->flat + p->attention[a].head.w;
        memset(out, 0, (size_t)p->heads * p->width * sizeof *out);
        for (size_t row = 0; row < rows; row++)
            for (uint32_t h = 0; h < p->heads; h++)
                table->axpy_f32(p->width, g->heads[row * p->heads + h], pass->x0 + row * p->inputs + (size_t)p->attention[a].to * p->width,
                                out + (size_t)h * p->width);
    }
}

void network_weight_gradient(const network_plan *p, const kernels *table, const network_pass *pass, network_gradients *g, size_t rows,
                             uint32_t task, void *scratch)
{
    product list[MOST_PRODUCTS];
    const uint32_t n = list_products(p, pass, g, list);
    uint32_t i = 0;
    while (i < n && task >= tasks_of(&list[i].layer))
        task -= tasks_of(&list[i++].layer);
    if (i == n) {
        if (p->fm == 2)
            fm_weights(p, table, pass, g, rows);
        attention_heads(p, table, pass, g, rows);
        if (p->towers != 0)
            towers_weights(p, table, pass, rows, g->heads, g->flat + p->tower_weights);
        return;
    }
    const dense_layer *l = &list[i].layer;
    const uint32_t size = rows_of_task(l), from = task * size, out = l->out > from ? (l->out - from < size ? l->out - from : size) : 0;
    if (out == 0)
        return;
    const matmul_call call = { .m = out, .n = l->in, .k = rows, .alpha = 1, .transpose_a = 1, .a = list[i].dy + from, .a_stride = list[i].dy_stride, .b = list[i].x,
                               .b_stride = list[i].x_stride, .c = g->flat + l->w + (size_t)from * l->in, .c_stride = l->in, .scratch = scratch };
    matmul_f32(table, &call);
    if (l->b == SIZE_MAX)
        return;
    float *bias = g->flat + l->b + from;
    memset(bias, 0, out * sizeof *bias);
    for (size_t row = 0; row < rows; row++)
        for (uint32_t o = 0; o < out; o++)
            bias[o] += list[i].dy[row * list[i].dy_stride + from + o];
}
