#include "encoder/embed.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "encoder/forward.h"

enum { MOST_TASKS = 256, ROUND_TEXTS = 64 /* texts a task between two calls of progress */ };

/* What one parallel task works with. */
typedef struct lane {
    void *tokenizer_scratch;
    uint32_t *ids, *starts;
    uint8_t *types;
    uint64_t *rows; /* which text each packed sequence is */
    float *hidden;
    void *workspace;
} lane;

struct embed {
    memory *m;
    size_t bytes, max_tokens;
    uint32_t lanes;
    const embed_call *call;
    size_t limit, together; /* texts below `limit` are to be done; at most so many sequences in a pass */
    _Atomic size_t next;
    lane lane[];
};

static size_t carve(embed *s, void *base, size_t head, const encoder *e, const tokenizer *t, uint32_t lanes, size_t max_tokens)
{
    scratch memory = { base, head, SIZE_MAX };
    for (uint32_t i = 0; i < lanes; i++) {
        lane l;
        l.tokenizer_scratch = scratch_take(&memory, t != NULL ? tokenizer_scratch(t) : 64);
        l.ids = scratch_take(&memory, max_tokens * sizeof *l.ids);
        l.starts = scratch_take(&memory, (max_tokens + 1) * sizeof *l.starts);
        l.types = scratch_take(&memory, max_tokens);
        l.rows = scratch_take(&memory, max_tokens * sizeof *l.rows);
        l.hidden = scratch_take(&memory, max_tokens * e->hidden * sizeof(float));
        l.workspace = scratch_take(&memory, encoder_workspace(e, max_tokens));
        if (s != NULL)
            s->lane[i] = l;
    }
    return memory.used;
}

int32_t embed_create(memory *m, const encoder *e, const tokenizer *t, uint32_t threads, uint32_t max_tokens, embed **out,
                     ecrec_error *err)
{
    const uint32_t lanes = threads == 0 ? 1 : threads < MOST_TASKS ? threads : MOST_TASKS;
    size_t tokens = max_tokens != 0 ? max_tokens : (size_t)e->max_length + 512;
    if (tokens < e->max_length)
        tokens = e->max_length;
    const size_t head = sizeof(embed) + lanes * sizeof(lane), bytes = carve(NULL, NULL, head, e, t, lanes, tokens);
    embed *s = memory_allocate(m, bytes);
    if (s == NULL)
        return error_nomem(err, "a session's scratch", bytes);
    memset(s, 0, head);
    s->m = m;
    s->bytes = bytes;
    s->max_tokens = tokens;
    s->lanes = lanes;
    atomic_init(&s->next, 0);
    (void)carve(s, s, head, e, t, lanes, tokens);
    *out = s;
    return ECREC_OK;
}

void embed_destroy(embed *s)
{
    if (s != NULL)
        memory_release(s->m, s, s->bytes);
}

/* The tokens of one text at the end of what the lane holds; how many. */
static size_t take_text(const embed *s, const lane *l, size_t row, size_t at)
{
    const embed_call *c = s->call;
    const size_t room = s->max_tokens - at;
    if (c->texts == NULL) {
        const size_t n = (size_t)(c->starts[row + 1] - c->starts[row]);
        memcpy(l->ids + at, c->ids + c->starts[row], n * sizeof *l->ids);
        if (c->types != NULL)
            memcpy(l->types + at, c->types + c->starts[row], n);
        else
            memset(l->types + at, 0, n);
        return n;
    }
    const tokenize_call call = { .text = c->texts[row] != NULL ? c->texts[row] : "", .length = c->lengths[row], .prompt = c->prompt,
                                 .prompt_length = c->prompt_length, .special = 1, .max_length = c->max_length };
    token_output out = { l->ids + at, NULL, l->types + at, room, 0 };
    (void)tokenizer_run(c->tokenizer, l->tokenizer_scratch, &call, &out, NULL); /* lengths were checked */
    return out.count < room ? out.count : room;
}

static void run_lane(void *argument, uint32_t index)
{
    embed *s = argument;
    const embed_call *c = s->call;
    const lane *l = &s->lane[index];
    const encoder *e = c->encoder;
    const kernels *table = c->context->kernels;
    for (;;) {
        packed p = { l->ids, e->token_types > 1 ? l->types : NULL, l->starts, 0 };
        l->starts[0] = 0;
        while (p.sequences < s->together && l->starts[p.sequences] + c->max_length <= s->max_tokens) {
            const size_t row = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (row >= s->limit)
                break;
            const size_t at = l->starts[p.sequences];
            l->rows[p.sequences] = row;
            l->starts[++p.sequences] = (uint32_t)(at + take_text(s, l, row, at));
        }
        if (p.sequences == 0)
            return;
        encoder_forward(e, table, l->workspace, &p, l->hidden, NULL, NULL);
        for (size_t i = 0; i < p.sequences; i++) {
            const packed one = { l->ids, NULL, l->starts + i, 1 };
            encoder_pool(e, table, &one, l->hidden + (size_t)l->starts[i] * e->hidden, c->pooling, c->normalize,
                         c->vectors + l->rows[i] * c->stride, c->stride);
        }
    }
}

static int32_t check_ids(const embed *s, const embed_call *c, ecrec_error *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const uint64_t n = c->starts[i + 1] - c->starts[i];
        if (n > c->max_length || n > s->max_tokens)
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu has %llu tokens, at most %u are taken", i, (unsigned long long)n,
                             c->max_length);
        const uint32_t starts[2] = { 0, (uint32_t)n };
        const packed one = { c->ids + c->starts[i], c->types != NULL ? c->types + c->starts[i] : NULL, starts, 1 };
        ecrec_error inner = ECREC_ERROR_INIT;
        if (encoder_check(c->encoder, &one, &inner) != ECREC_OK) /* it counts rows from the one it was given */
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: %s", i, strstr(inner.message, ": ") != NULL ? strstr(inner.message, ": ") + 2 : inner.message);
    }
    return ECREC_OK;
}

int32_t embed_run(embed *s, const embed_call *call, ecrec_error *err)
{
    const uint32_t threads = context_threads(call->context), lanes = s->lanes < threads ? s->lanes : threads;
    if (call->texts == NULL) {
        const int32_t status = check_ids(s, call, err);
        if (status != ECREC_OK)
            return status;
    } else {
        for (size_t i = 0; i < call->n; i++)
            if (call->lengths[i] >= UINT32_MAX || call->prompt_length >= UINT32_MAX)
                return error_row(err, ECREC_ERR_LIMIT, i, "row %zu: the text has more than 4 GiB", i);
    }
    s->call = call;
    size_t done = 0;
    while (done < call->n) {
        const size_t left = call->n - done, step = call->progress == NULL ? left : (size_t)lanes * ROUND_TEXTS;
        s->limit = done + (step < left ? step : left);
        s->together = (s->limit - done + lanes - 1) / lanes;
        if (s->together > s->max_tokens)
            s->together = s->max_tokens;
        atomic_store_explicit(&s->next, done, memory_order_relaxed);
        context_run(call->context, run_lane, s, lanes < s->limit - done ? lanes : (uint32_t)(s->limit - done));
        done = s->limit;
        if (call->progress != NULL && call->progress(call->progress_opaque, done, call->n) != 0 && done < call->n) {
            s->call = NULL;
            return error_set(err, ECREC_ERR_CANCELLED, "encoding was cancelled after %zu of %zu texts", done, call->n);
        }
    }
    s->call = NULL;
    return ECREC_OK;
}

typedef struct state_copy { float *to; size_t size; } state_copy;

static void copy_states(void *opaque, uint32_t layer, const float *states, size_t tokens)
{
    const state_copy *copy = opaque;
    (void)tokens;
    memcpy(copy->to + layer * copy->size, states, copy->size * sizeof(float));
}

int32_t embed_hidden_states(embed *s, const embed_call *call, float *states, size_t capacity, ecrec_error *err)
{
    const encoder *e = call->encoder;
    const size_t n = (size_t)(call->starts[1] - call->starts[0]), need = (size_t)(e->layers + 1) * n * e->hidden;
    if (n == 0 || n > s->max_tokens)
        return error_set(err, ECREC_ERR_INVALID, "%zu tokens: it must be 1 .. %zu", n, s->max_tokens);
    if (capacity != need)
        return error_set(err, ECREC_ERR_INVALID, "the states of %zu tokens are %zu floats, the buffer takes %zu", n, need, capacity);
    int32_t status = check_ids(s, call, err);
    if (status != ECREC_OK)
        return status;
    const uint32_t starts[2] = { 0, (uint32_t)n };
    const packed one = { call->ids + call->starts[0], call->types != NULL ? call->types + call->starts[0] : NULL, starts, 1 };
    state_copy copy = { states, n * e->hidden };
    encoder_forward(e, call->context->kernels, s->lane[0].workspace, &one, s->lane[0].hidden, copy_states, &copy);
    return ECREC_OK;
}

void *embed_tokenizer_scratch(embed *s)
{
    return s->lane[0].tokenizer_scratch;
}
