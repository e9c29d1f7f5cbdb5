#include "encoder/lane.h"

#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "encoder/forward.h"
#include "encoder/split.h"
#include "encoder/vector.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t carve(embed *s, void *base, size_t head, const encoder *e, const tokenizer *t, const picture_settings *pictures, uint32_t lanes,
                    size_t max_tokens)
{
    scratch memory = { base, head, SIZE_MAX };
    const size_t row = larger(larger(e->hidden, e->dimension), e->labels) * sizeof(float);
    for (uint32_t i = 0; i < lanes; i++) {
        lane l;
        l.words = NULL;
        l.ids = scratch_take(&memory, max_tokens * sizeof *l.ids);
        l.starts = scratch_take(&memory, (max_tokens + 1) * sizeof *l.starts);
        l.types = scratch_take(&memory, max_tokens);
        l.rows = scratch_take(&memory, max_tokens * sizeof *l.rows);
        l.hidden = scratch_take(&memory, max_tokens * e->hidden * sizeof(float));
        l.pooled = scratch_take(&memory, MOST_TOGETHER * row);
        l.vector = scratch_take(&memory, row);
        l.workspace = scratch_take(&memory, encoder_workspace(e, max_tokens));
        l.pooling = scratch_take(&memory, encoder_pool_workspace(e));
        l.picture = scratch_take(&memory, pictures != NULL ? picture_scratch(pictures) : 64);
        l.planes = scratch_take(&memory, pictures != NULL ? MOST_PICTURES * encoder_image_floats(e) * sizeof(float) : 64);
        if (s != NULL)
            s->lane[i] = l;
    }
    if (t != NULL) {
        windows w = { 0 };
        windows_carve(s != NULL ? &s->windows : &w, &memory, lanes, e->max_length, row);
    }
    return memory.used;
}

/* Tokens that go through all layers together: weights are read once a pass and want as many rows as possible, the widest rows
 * want to stay near. Several times the second-level cache is best where weights are wide (measured on a core with 1 MiB: 8-bit
 * weights 256 tokens, float32 512; half of it costs 6 %, twice it 5 %). */
static size_t block_tokens(const encoder *e)
{
    const size_t width = 4 * (size_t)e->largest_heads * e->head_size, wide = width > e->largest_feed_forward ? width : e->largest_feed_forward;
    const size_t tokens = cpu_cache_sizes().l2 * (e->quantized ? 2 : 4) / ((wide + e->hidden) * sizeof(float));
    return tokens < BLOCK_LEAST ? BLOCK_LEAST : tokens > BLOCK_MOST ? BLOCK_MOST : tokens;
}

int32_t embed_create(memory *m, const encoder *e, const tokenizer *t, const picture_settings *pictures, uint32_t threads,
                     uint32_t max_tokens, size_t max_text_bytes, embed **out, ecrec_error *err)
{
    const uint32_t lanes = threads == 0 ? 1 : threads < MOST_TASKS ? threads : MOST_TASKS;
    size_t tokens = max_tokens != 0 ? max_tokens : (size_t)e->max_length + 512;
    if (tokens < e->max_length)
        tokens = e->max_length;
    const size_t head = sizeof(embed) + lanes * sizeof(lane), bytes = carve(NULL, NULL, head, e, t, pictures, lanes, tokens);
    embed *s = memory_allocate(m, bytes);
    if (s == NULL)
        return error_nomem(err, "a session's scratch", bytes);
    memset(s, 0, head);
    s->m = m;
    s->bytes = bytes;
    s->max_tokens = tokens;
    s->block = block_tokens(e);
    s->lanes = lanes;
    s->pictures = pictures;
    atomic_init(&s->next, 0);
    atomic_init(&s->failed, ECREC_OK);
    atomic_init(&s->windows.long_count, 0);
    (void)carve(s, s, head, e, t, pictures, lanes, tokens);
    for (uint32_t i = 0; i < lanes && t != NULL; i++) {
        const int32_t status = token_work_create_for(m, t, max_text_bytes, &s->lane[i].words, err);
        if (status != ECREC_OK) {
            embed_destroy(s);
            return status;
        }
    }
    *out = s;
    return ECREC_OK;
}

void embed_destroy(embed *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->lanes; i++)
        token_work_destroy(s->lane[i].words);
    memory_release(s->m, s, s->bytes);
}

/* Lengths were checked; what can still fail is memory for a text longer than any before. */
void lane_tokenize(embed *s, const lane *l, const tokenizer *t, const tokenize_call *call, token_output *out)
{
    const int32_t status = tokenizer_run(t, l->words, call, out, NULL);
    if (status != ECREC_OK) {
        out->count = 0;
        atomic_store_explicit(&s->failed, status, memory_order_relaxed);
    }
}

/* ---- rows in ---- */

static int by_ids(const embed_call *c)
{
    return c->starts != NULL;
}

static const char *text_of(const embed_texts *t, size_t row, size_t *length)
{
    if (t->texts != NULL) {
        *length = t->lengths[row];
        return t->texts[row];
    }
    const uint64_t from = t->offsets32 != NULL ? (uint64_t)t->offsets32[row] : (uint64_t)t->offsets64[row];
    const uint64_t to = t->offsets32 != NULL ? (uint64_t)t->offsets32[row + 1] : (uint64_t)t->offsets64[row + 1];
    *length = (size_t)(to - from);
    return t->buffer != NULL ? t->buffer + from : "";
}

/* A row's text, in whichever layout it came. */
const char *lane_text(const embed_call *c, size_t row, size_t *length)
{
    const embed_texts t = { c->texts, c->lengths, c->buffer, c->offsets32, c->offsets64 };
    const char *text = text_of(&t, row, length);
    return text != NULL ? text : "";
}

/* Of n tokens those that the encoder reads; how many. */
static size_t keep_tokens(const encoder *e, uint32_t *ids, uint8_t *types, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        ids[kept] = ids[i];
        types[kept] = types[i];
        kept += ids[i] != e->skip_token;
    }
    return kept;
}

/* How many tokens a text has with `most` of them wanted; the first `room` are written. ids NULL: they are only counted. */
static size_t text_tokens(embed *s, const lane *l, const embed_call *c, size_t row, size_t most, uint32_t *ids, uint8_t *types, size_t room)
{
    const encoder *e = c->encoder;
    size_t length = 0;
    const char *text = lane_text(c, row, &length);
    tokenize_call call = { .text = text, .length = length, .prompt = c->prompt, .prompt_length = c->prompt_length,
                           .special = (int32_t)e->special_tokens, .max_length = most };
    if (c->pairs != NULL)
        call.pair = text_of(c->pairs, row, &call.pair_length);
    if (ids == NULL && e->skip_token != NO_TOKEN) { /* what is dropped must be seen */
        ids = l->ids;
        types = l->types;
        room = s->max_tokens;
    }
    token_output out = { ids, NULL, types, room, 0 };
    lane_tokenize(s, l, c->tokenizer, &call, &out);
    if (e->skip_token == NO_TOKEN)
        return out.count;
    const size_t written = out.count < room ? out.count : room;
    return out.count - written + keep_tokens(e, ids, types, written);
}

/* How many of a row's ids are taken: all, or the newest. */
static size_t row_ids(const embed_call *c, size_t row)
{
    const uint64_t n = c->starts[row + 1] - c->starts[row];
    return c->encoder->position_end && n > c->max_length ? c->max_length : (size_t)n;
}

static picture row_picture(const embed_call *c, size_t row)
{
    const embed_pictures *p = c->pictures;
    return (picture){ p->pixels[row], p->heights[row], p->widths[row], p->strides != NULL ? p->strides[row] : (size_t)p->widths[row] * PICTURE_CHANNELS };
}

/* The tokens of one row, the sequence-th, at the end of what the lane holds; how many. More than max_length: a long text, to be read in
 * windows, of which nothing that was written counts. */
static size_t take_row(embed *s, const lane *l, size_t row, size_t sequence, size_t at)
{
    const embed_call *c = s->call;
    const size_t room = s->max_tokens - at;
    if (c->pictures != NULL) { /* whether it fits was checked */
        const picture p = row_picture(c, row);
        (void)picture_prepare(s->pictures, l->picture, &p, l->planes + sequence * encoder_image_floats(c->encoder), NULL);
    }
    if (c->pixels != NULL || c->pictures != NULL)
        return encoder_image_tokens(c->encoder);
    if (by_ids(c)) {
        const size_t n = row_ids(c, row);
        const uint64_t first = c->starts[row + 1] - n;
        if (n != 0)
            memcpy(l->ids + at, c->ids + first, n * sizeof *l->ids);
        if (n != 0 && c->types != NULL)
            memcpy(l->types + at, c->types + first, n);
        else
            memset(l->types + at, 0, n);
        return n;
    }
    return text_tokens(s, l, c, row, c->windows ? (size_t)c->max_length + 1 : c->max_length, l->ids + at, l->types + at, room);
}

/* ---- vectors out ---- */

static void put_vector(const embed_call *c, const float *v, size_t n, uint64_t at)
{
    static const size_t sizes[] = { [TYPE_F16] = 2, [TYPE_S8] = 1, [TYPE_F32] = 4, [0] = 4 };
    unsigned char *out = (unsigned char *)c->vectors + (size_t)at * c->stride * sizes[c->type];
    vector_store(c->type, v, n, out, c->scales != NULL ? c->scales + at : NULL);
}

/* A row's pooled vector, cut, to unit length, stored. `v` is changed. */
void lane_finish(const embed_call *c, float *v, size_t row)
{
    const size_t n = c->logits ? c->encoder->labels : c->dimension != 0 ? c->dimension : c->encoder->dimension;
    if (c->normalize && !c->logits)
        vector_normalize(v, n);
    put_vector(c, v, n, row);
}

typedef struct layer_sum {
    const embed_call *call;
    const packed *p;
    const lane *l;
    uint32_t from; /* layer */
    int32_t any;
} layer_sum;

static void add_layer(void *opaque, uint32_t layer, const float *states, size_t tokens)
{
    layer_sum *sum = opaque;
    const embed_call *c = sum->call;
    const size_t n = c->encoder->dimension;
    (void)tokens;
    if (layer < sum->from)
        return;
    for (size_t i = 0; i < sum->p->sequences; i++) {
        const packed one = { sum->p->ids, NULL, sum->p->starts + i, 1, sum->p->pixels, NULL };
        float *out = sum->l->pooled + i * n, *vector = sum->l->vector;
        encoder_pool(c->encoder, c->context->kernels, sum->l->pooling, &one, states + (size_t)one.starts[0] * c->encoder->hidden, c->pooling,
                     0, vector, n);
        for (size_t j = 0; j < n; j++)
            out[j] = sum->any ? out[j] + vector[j] : vector[j];
    }
    sum->any = 1;
}

/* Run what is packed; afterwards sequence i's pooled vector is pool_one(..., i). */
/* A single text and several threads: its layers are split. Only where no other task runs. */
static int run_split(const embed *s, const lane *l, const packed *p)
{
    void *workspaces[SPLIT_MOST];
    const uint32_t threads = context_threads(s->call->context), lanes = s->lanes < threads ? s->lanes : threads;
    if (!s->alone || s->call->last_layers > 1)
        return 0;
    for (uint32_t i = 0; i < lanes && i < SPLIT_MOST; i++)
        workspaces[i] = s->lane[i].workspace;
    return encoder_forward_split(s->call->encoder, s->call->context, workspaces, lanes, p, l->hidden);
}

void lane_run(const embed *s, const lane *l, const packed *p)
{
    const embed_call *c = s->call;
    const encoder *e = c->encoder;
    if (run_split(s, l, p))
        return;
    if (c->last_layers <= 1) {
        encoder_forward(e, c->context->kernels, l->workspace, p, l->hidden, NULL, NULL);
        return;
    }
    layer_sum sum = { c, p, l, e->layers + 1 - c->last_layers, 0 };
    encoder_forward(e, c->context->kernels, l->workspace, p, l->hidden, add_layer, &sum);
    const float scale = 1.0f / (float)c->last_layers;
    for (size_t i = 0; i < p->sequences * e->dimension; i++)
        l->pooled[i] *= scale;
}

void lane_pool(const embed_call *c, const lane *l, const packed *p, size_t i, float *out)
{
    const encoder *e = c->encoder;
    const packed one = { p->ids, NULL, p->starts + i, 1, p->pixels, NULL };
    if (c->logits)
        encoder_classify(e, c->context->kernels, l->pooling, &one, l->hidden + (size_t)p->starts[i] * e->hidden, out, e->labels);
    else if (c->last_layers > 1)
        memcpy(out, l->pooled + i * e->dimension, e->dimension * sizeof *out);
    else
        encoder_pool(e, c->context->kernels, l->pooling, &one, l->hidden + (size_t)p->starts[i] * e->hidden, c->pooling, 0, out, e->dimension);
}

static void put_tokens(const embed_call *c, const lane *l, const packed *p)
{
    const size_t h = c->encoder->hidden, n = c->dimension != 0 ? c->dimension : h;
    for (size_t i = 0; i < p->sequences; i++)
        for (size_t t = p->starts[i]; t < p->starts[i + 1]; t++) {
            float *state = l->hidden + t * h;
            if (c->normalize)
                vector_normalize(state, n);
            put_vector(c, state, n, c->token_rows[l->rows[i]] + (t - p->starts[i]));
        }
}

/* ---- one lane's work ---- */

static void lane_work(void *argument, uint32_t index)
{
    embed *s = argument;
    const embed_call *c = s->call;
    const lane *l = &s->lane[index];
    const encoder *e = c->encoder;
    for (;;) {
        packed p = { e->patch_size != 0 ? NULL : l->ids, e->token_types > 1 ? l->types : NULL, l->starts, 0, c->pixels, l->rows };
        if (c->pictures != NULL) {
            p.pixels = l->planes;
            p.rows = NULL;
        }
        l->starts[0] = 0;
        while (p.sequences < s->together && l->starts[p.sequences] < s->block && l->starts[p.sequences] + c->max_length <= s->max_tokens) {
            const size_t row = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (row >= s->limit)
                break;
            const size_t at = l->starts[p.sequences], n = take_row(s, l, row, p.sequences, at);
            if (n > c->max_length) {
                s->windows.long_rows[atomic_fetch_add_explicit(&s->windows.long_count, 1, memory_order_relaxed)] = row;
                continue;
            }
            l->rows[p.sequences] = row;
            l->starts[++p.sequences] = (uint32_t)(at + n);
        }
        if (p.sequences == 0)
            return;
        lane_run(s, l, &p);
        if (c->token_rows != NULL)
            put_tokens(c, l, &p);
        for (size_t i = 0; i < p.sequences && c->token_rows == NULL; i++) {
            lane_pool(c, l, &p, i, l->vector);
            lane_finish(c, l->vector, (size_t)l->rows[i]);
        }
    }
}

/* ---- checks ---- */

static int32_t check_ids(const embed *s, const embed_call *c, ecrec_error *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const size_t n = row_ids(c, i);
        const uint64_t first = c->starts[i + 1] - n;
        if (n > c->max_length || n > s->max_tokens)
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu has %zu tokens, at most %u are taken", i, n, c->max_length);
        const uint32_t starts[2] = { 0, (uint32_t)n };
        const packed one = { c->ids != NULL ? c->ids + first : NULL, c->types != NULL ? c->types + first : NULL, starts, 1, NULL, NULL };
        ecrec_error inner = ECREC_ERROR_INIT;
        if (encoder_check(c->encoder, &one, &inner) != ECREC_OK) { /* it counts rows from the one it was given */
            const char *colon = strstr(inner.message, ": ");
            return error_row(err, ECREC_ERR_INVALID, i, "row %zu: %s", i, colon != NULL ? colon + 2 : inner.message);
        }
    }
    return ECREC_OK;
}

/* Do the call and the model go together? */
static int32_t check_kind(const embed_call *c, ecrec_error *err)
{
    const encoder *e = c->encoder;
    if ((e->patch_size != 0) != (c->pixels != NULL || c->pictures != NULL))
        return error_set(err, ECREC_ERR_UNSUPPORTED, e->patch_size != 0 ? "the model encodes images, not texts" : "the model encodes texts, not images");
    if (c->logits && e->labels == 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no classifier");
    if (c->token_rows == NULL && !c->logits && c->pooling == ECREC_POOL_POOLER && e->pooler.w.n == 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no pooler of its own (poolings: mean, cls, last, max, end)");
    if (c->windows && e->skip_token != NO_TOKEN)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "windows over long texts are not for a model that drops tokens of texts (raise max_length)");
    return ECREC_OK;
}

static int32_t check_pictures(const embed *s, const embed_call *c, ecrec_error *err)
{
    if (s->pictures == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model does not say how pictures are prepared (its folder had no preprocessor_config.json): encode pixels");
    for (size_t i = 0; i < c->n; i++) {
        ecrec_error inner = ECREC_ERROR_INIT;
        const picture p = row_picture(c, i);
        const int32_t status = picture_fits(s->pictures, &p, &inner);
        if (status != ECREC_OK)
            return error_row(err, status, i, "row %zu: %s", i, inner.message);
    }
    return ECREC_OK;
}

static int32_t check_rows(embed *s, const embed_call *c, ecrec_error *err)
{
    const int32_t status = check_kind(c, err);
    if (status != ECREC_OK || c->pixels != NULL)
        return status;
    if (c->pictures != NULL)
        return check_pictures(s, c, err);
    if (by_ids(c))
        return check_ids(s, c, err);
    for (size_t i = 0; i < c->n; i++) {
        size_t length = 0;
        (void)lane_text(c, i, &length);
        if (length >= UINT32_MAX || c->prompt_length >= UINT32_MAX)
            return error_row(err, ECREC_ERR_LIMIT, i, "row %zu: the text has more than 4 GiB", i);
    }
    frame f;
    if (c->windows && !windows_frame(s, c, (size_t)c->overlap + 1, &f))
        return error_set(err, ECREC_ERR_INVALID, "windows of %u tokens that hold %zu special tokens and tokens of the prompt have no room for an overlap of %u",
                         c->max_length, f.front + f.trail, c->overlap);
    return ECREC_OK;
}

int32_t embed_count(embed *s, const embed_call *call, uint64_t *token_rows, ecrec_error *err)
{
    const int32_t status = check_rows(s, call, err);
    if (status != ECREC_OK)
        return status;
    token_rows[0] = 0;
    for (size_t i = 0; i < call->n; i++)
        token_rows[i + 1] = token_rows[i] + (call->pixels != NULL || call->pictures != NULL ? encoder_image_tokens(call->encoder) : by_ids(call) ? row_ids(call, i) :
                                             text_tokens(s, &s->lane[0], call, i, call->max_length, NULL, NULL, 0));
    return ECREC_OK;
}

int32_t embed_run(embed *s, const embed_call *call, ecrec_error *err)
{
    const uint32_t threads = context_threads(call->context), lanes = s->lanes < threads ? s->lanes : threads;
    const int32_t status = check_rows(s, call, err);
    if (status != ECREC_OK)
        return status;
    s->call = call;
    atomic_store_explicit(&s->failed, ECREC_OK, memory_order_relaxed);
    size_t done = 0;
    while (done < call->n) {
        const size_t left = call->n - done, step = call->progress == NULL && !call->windows ? left : (size_t)lanes * ROUND_TEXTS;
        s->limit = done + (step < left ? step : left);
        s->together = (s->limit - done + lanes - 1) / lanes;
        const size_t most = call->last_layers > 1 && s->max_tokens > MOST_TOGETHER ? MOST_TOGETHER : s->max_tokens;
        if (s->together > most)
            s->together = most;
        if (call->pictures != NULL && s->together > MOST_PICTURES)
            s->together = MOST_PICTURES;
        s->alone = call->n == 1;
        atomic_store_explicit(&s->next, done, memory_order_relaxed);
        atomic_store_explicit(&s->windows.long_count, 0, memory_order_relaxed);
        context_run(call->context, lane_work, s, lanes < s->limit - done ? lanes : (uint32_t)(s->limit - done));
        if (atomic_load_explicit(&s->windows.long_count, memory_order_relaxed) != 0)
            windows_run(s, lanes);
        done = s->limit;
        if (call->progress != NULL && call->progress(call->progress_opaque, done, call->n) != 0 && done < call->n) {
            s->call = NULL;
            return error_set(err, ECREC_ERR_CANCELLED, "encoding was cancelled after %zu of %zu rows", done, call->n);
        }
    }
    s->call = NULL;
    return atomic_load_explicit(&s->failed, memory_order_relaxed) == ECREC_OK ? ECREC_OK : error_nomem(err, "a long text's tokens", 0);
}

int32_t embed_prepare(embed *s, const embed_call *call, float *planes, ecrec_error *err)
{
    const int32_t status = check_rows(s, call, err);
    for (size_t i = 0; i < call->n && status == ECREC_OK; i++) {
        const picture p = row_picture(call, i);
        (void)picture_prepare(s->pictures, s->lane[0].picture, &p, planes + i * encoder_image_floats(call->encoder), NULL);
    }
    return status;
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
    if (e->position_end && n > call->max_length)
        return error_set(err, ECREC_ERR_INVALID, "%zu tokens: it must be 1 .. %u", n, call->max_length);
    int32_t status = check_ids(s, call, err);
    if (status != ECREC_OK)
        return status;
    const uint32_t starts[2] = { 0, (uint32_t)n };
    const packed one = { call->ids + call->starts[0], call->types != NULL ? call->types + call->starts[0] : NULL, starts, 1, NULL, NULL };
    state_copy copy = { states, n * e->hidden };
    encoder_forward(e, call->context->kernels, s->lane[0].workspace, &one, s->lane[0].hidden, copy_states, &copy);
    return ECREC_OK;
}

token_work *embed_words(embed *s)
{
    return s->lane[0].words;
}
