#include "encoder/split.h"

#include <string.h>

#include "encoder/forward.h"

typedef struct split {
    const encoder *e;
    const encoder_layer *layer;
    const packed *p;
    size_t tokens;
    uint32_t threads;
    float *hidden, *context; /* context: tokens x heads * head_size, at the end of the first task's scratch */
    pass pass[SPLIT_MOST];
} split;

static size_t part(size_t n, uint32_t threads, uint32_t index)
{
    return n * index / threads;
}

/* Columns [first, first + n) of a packed matrix: whole panels. */
static encoder_linear columns(const encoder_linear *from, size_t first, size_t n)
{
    encoder_linear to = *from;
    to.w = weights_columns(&from->w, first, n);
    to.bias = from->bias != NULL ? from->bias + first : NULL;
    return to;
}

/* A task's groups of heads are a layer of their own, with fewer heads; their outputs go to their columns of the context. */
static void heads_task(void *argument, uint32_t index)
{
    split *s = argument;
    const encoder *e = s->e;
    const encoder_layer *l = s->layer;
    const pass *pass = &s->pass[index];
    const size_t each = l->heads / l->groups, size = e->head_size, first = part(l->groups, s->threads, index);
    const size_t groups = part(l->groups, s->threads, index + 1) - first, width = l->heads * size, own = groups * each * size;
    encoder_layer few = *l;
    few.heads = (uint32_t)(groups * each);
    few.groups = (uint32_t)groups;
    few.qkv = columns(&l->qkv, first * (each + 2) * size, encoder_qkv_width(e, &few));
    float *out = pass->wide + s->tokens * encoder_qkv_width(e, &few);
    pass_heads(pass, &few, s->p, s->hidden, pass->wide, out);
    for (size_t i = 0; i < s->tokens; i++)
        memcpy(s->context + i * width + first * each * size, out + i * own, own * sizeof(float));
}

static void rows_task(void *argument, uint32_t index)
{
    split *s = argument;
    const size_t first = part(s->tokens, s->threads, index), width = (size_t)s->layer->heads * s->e->head_size;
    pass rows = s->pass[index];
    rows.tokens = part(s->tokens, s->threads, index + 1) - first;
    pass_rows(&rows, s->layer, s->context + first * width, s->hidden + first * s->e->hidden);
}

/* Every task needs a group of heads whose columns begin a panel, and the first one room for all heads' outputs beside its own work. */
static int splits(const encoder *e, size_t tokens, uint32_t threads)
{
    if (tokens < SPLIT_TOKENS || threads < 2 || e->relative_buckets != 0)
        return 0;
    for (uint32_t i = 0; i < e->layers; i++) {
        const encoder_layer *l = &e->layer[i];
        if (l->groups < threads || l->qkv.w.n == 0)
            return 0;
        const size_t width = (size_t)l->heads * e->head_size, all = encoder_qkv_width(e, l), group = all / l->groups;
        const size_t groups = part(l->groups, threads, 1), rows = part(tokens, threads, 1);
        if (group % 16 != 0 || groups * (group + width / l->groups) > all ||
            (rows < FEED_ROWS ? rows : FEED_ROWS) * ((size_t)l->feed_forward << e->gated) > tokens * all)
            return 0;
    }
    return 1;
}

int encoder_forward_split(const encoder *e, const ecrec_context *context, void *const *workspaces, uint32_t threads, const packed *p,
                          float *hidden)
{
    split s = { .e = e, .p = p, .tokens = p->starts[p->sequences] - p->starts[0], .threads = threads < SPLIT_MOST ? threads : SPLIT_MOST, .hidden = hidden };
    if (!splits(e, s.tokens, s.threads))
        return 0;
    for (uint32_t t = 0; t < s.threads; t++) {
        (void)pass_take(&s.pass[t], e, context->kernels, s.tokens, workspaces[t]);
        pass_begin(&s.pass[t], p);
    }
    pass_embed(&s.pass[0], p, hidden);
    for (uint32_t i = 0; i < e->layers; i++) {
        s.layer = &e->layer[i];
        s.context = s.pass[0].wide + s.tokens * encoder_qkv_width(e, s.layer);
        context_run(context, heads_task, &s, s.threads);
        context_run(context, rows_task, &s, s.threads);
    }
    pass_norm(&s.pass[0], &e->final_norm, s.tokens, e->hidden, hidden, hidden);
    return 1;
}
