#include "compress/importance.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "encoder/backward.h"

#define BATCH_TOKENS 512
#define SEQUENCES 64    /* of a packed batch at most */
#define DIRECTIONS 256  /* random directions over the whole sample at least */
#define MOST_PASSES 8

static float **table(arena *a, uint32_t layers, const uint32_t *width, size_t times)
{
    float **out = arena_zero(a, layers * sizeof *out);
    for (uint32_t l = 0; out != NULL && l < layers; l++)
        if (width[l] > 0 && (out[l] = arena_zero(a, memory_product(width[l] * sizeof(float), times))) == NULL)
            return NULL;
    return out;
}

static int32_t open(importance *i, ecrec_context *context, const encoder *e, ecrec_error *err)
{
    memset(i, 0, sizeof *i);
    i->m = &context->m;
    arena_init(&i->a, i->m);
    i->layers = e->layers;
    i->head_size = e->head_size;
    i->heads = arena_zero(&i->a, e->layers * sizeof *i->heads);
    i->channels = arena_zero(&i->a, e->layers * sizeof *i->channels);
    i->layer = arena_zero(&i->a, e->layers * sizeof *i->layer);
    if (i->heads == NULL || i->channels == NULL || i->layer == NULL)
        return error_nomem(err, "importances", e->layers * sizeof *i->heads);
    for (uint32_t l = 0; l < e->layers; l++) {
        i->heads[l] = e->layer[l].heads;
        i->channels[l] = e->layer[l].feed_forward;
    }
    i->head = table(&i->a, e->layers, i->heads, 1);
    i->channel = table(&i->a, e->layers, i->channels, 1);
    i->head_mean = table(&i->a, e->layers, i->heads, e->head_size);
    i->channel_mean = table(&i->a, e->layers, i->channels, 1);
    if (i->head == NULL || i->channel == NULL || i->head_mean == NULL || i->channel_mean == NULL)
        return error_nomem(err, "importances", 0);
    return ECREC_OK;
}

void importance_close(importance *i)
{
    if (i->m != NULL)
        arena_release(&i->a);
    i->m = NULL;
}

/* ---- weights alone ---- */

static double block_norm(const float *rows, size_t stride, size_t n, size_t k)
{
    double sum = 0;
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < k; c++)
            sum += (double)rows[r * stride + c] * rows[r * stride + c];
    return sqrt(sum);
}

/* Norm of the weights that read each unit: `width` columns of an output matrix (n = hidden rows). */
static int32_t reading_norms(memory *m, const encoder_linear *out, size_t units, size_t width, float *norms, ecrec_error *err)
{
    size_t bytes = memory_product(memory_product(out->w.n, out->w.k), sizeof(float));
    float *rows = memory_allocate(m, bytes);
    if (rows == NULL)
        return error_nomem(err, "a matrix", bytes);
    weights_unpack(&out->w, rows, out->w.k);
    for (size_t u = 0; u < units; u++)
        norms[u] = (float)block_norm(rows + u * width, out->w.k, out->w.n, width);
    memory_release(m, rows, bytes);
    return ECREC_OK;
}

/* Norm of the weights that make each unit: `height` rows of an input matrix; with a gate the second half's rows too. */
static int32_t making_norms(memory *m, const encoder_linear *in, size_t units, size_t height, int gated, float *norms, ecrec_error *err)
{
    size_t bytes = memory_product(memory_product(in->w.n, in->w.k), sizeof(float));
    float *rows = memory_allocate(m, bytes);
    if (rows == NULL)
        return error_nomem(err, "a matrix", bytes);
    weights_unpack(&in->w, rows, in->w.k);
    for (size_t u = 0; u < units; u++)
        for (size_t half = 0; half < 1 + (size_t)gated; half++)
            norms[u] *= (float)block_norm(rows + (half * units + u) * height * in->w.k, in->w.k, height, in->w.k);
    memory_release(m, rows, bytes);
    return ECREC_OK;
}

/* Divides by the mean; returns the sum. */
static float over_mean(float *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        values[i] = (float)(values[i] * (double)n / sum);
    return (float)sum;
}

static int32_t by_magnitude(importance *i, const encoder *e, ecrec_error *err)
{
    for (uint32_t l = 0; l < e->layers; l++) {
        const encoder_layer *layer = &e->layer[l];
        int32_t status = ECREC_OK;
        if (i->heads[l] > 0) {
            status = reading_norms(i->m, &layer->output, i->heads[l], e->head_size, i->head[l], err);
            if (status == ECREC_OK)
                status = making_norms(i->m, &layer->qkv, i->heads[l], encoder_qkv_width(e, layer) / layer->heads, 0, i->head[l], err);
            i->layer[l] += over_mean(i->head[l], i->heads[l]);
        }
        if (status == ECREC_OK && i->channels[l] > 0) {
            status = reading_norms(i->m, &layer->out, i->channels[l], 1, i->channel[l], err);
            if (status == ECREC_OK)
                status = making_norms(i->m, &layer->in, i->channels[l], 1, (int)e->gated, i->channel[l], err);
            i->layer[l] += over_mean(i->channel[l], i->channels[l]);
        }
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

/* ---- on sample texts ---- */

typedef struct pass {
    const encoder *e;
    const kernels *table;
    void *workspace;
    token_work *words;
    float *hidden, *directions;
    uint32_t *ids, *starts;
    packed batch;
    encoder_gradients gradients;
    random_stream random;
    float **head_gates, **channel_gates;         /* of a batch: sequences x units */
    float **head_squares, **channel_squares;     /* sums over the sample */
    double token_count;
} pass;

/* d loss / d hidden for loss = sum over the sequences of r_i . e_i, r_i a random unit direction. */
static void direction_loss(void *opaque, const float *hidden, float *gradient, size_t tokens)
{
    pass *p = opaque;
    size_t d = p->e->dimension;
    (void)tokens;
    for (size_t s = 0; s < p->batch.sequences; s++) {
        float *r = p->directions + s * d;
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            r[j] = random_normal(&p->random);
            sum += (double)r[j] * r[j];
        }
        /* r has E[r r^T] = I: the length sqrt(d) is kept, so that squares add up to the squared change */
        float scale = sum > 0 ? (float)sqrt((double)d / sum) : 0;
        for (size_t j = 0; j < d; j++)
            r[j] *= scale;
    }
    encoder_pool_backward(p->e, &p->batch, hidden, p->e->pooling, 1, p->directions, d, gradient);
}

static int32_t pass_open(pass *p, ecrec_context *context, const encoder *e, uint64_t seed,
                         importance *i, ecrec_error *err)
{
    arena *a = &i->a;
    size_t most = BATCH_TOKENS > e->max_length ? BATCH_TOKENS : e->max_length;
    memset(p, 0, sizeof *p);
    p->e = e;
    p->table = context->kernels;
    random_init(&p->random, seed, 1);
    p->workspace = arena_allocate(a, encoder_backward_workspace(e, p->table, most));
    p->hidden = arena_allocate(a, most * e->hidden * sizeof(float));
    p->directions = arena_allocate(a, SEQUENCES * (size_t)e->dimension * sizeof(float));
    p->ids = arena_allocate(a, most * sizeof *p->ids);
    p->starts = arena_zero(a, (SEQUENCES + 1) * sizeof *p->starts);
    p->head_gates = table(a, e->layers, i->heads, SEQUENCES);
    p->channel_gates = table(a, e->layers, i->channels, SEQUENCES);
    p->head_squares = table(a, e->layers, i->heads, 1);
    p->channel_squares = table(a, e->layers, i->channels, 1);
    if (p->workspace == NULL || p->hidden == NULL || p->directions == NULL || p->ids == NULL ||
        p->starts == NULL || p->head_gates == NULL || p->channel_gates == NULL || p->head_squares == NULL ||
        p->channel_squares == NULL)
        return error_nomem(err, "the importance pass", encoder_backward_workspace(e, p->table, most));
    p->gradients.head_gates = p->head_gates;
    p->gradients.feed_forward_gates = p->channel_gates;
    p->gradients.head_activation = p->head_squares;
    p->gradients.feed_forward_activation = p->channel_squares;
    p->gradients.head_mean = i->head_mean;
    p->gradients.feed_forward_mean = i->channel_mean;
    p->batch.ids = p->ids;
    p->batch.starts = p->starts;
    return ECREC_OK;
}

static void square_gates(const importance *i, float *const *gates, const uint32_t *width, size_t sequences, float *const *sums)
{
    for (uint32_t l = 0; l < i->layers; l++)
        for (size_t s = 0; s < sequences; s++)
            for (uint32_t u = 0; u < width[l]; u++) {
                float g = gates[l][s * width[l] + u];
                sums[l][u] += g * g;
                gates[l][s * width[l] + u] = 0;
            }
}

static void run_batch(pass *p, importance *i)
{
    p->token_count += p->starts[p->batch.sequences];
    encoder_backward(p->e, p->table, p->workspace, &p->batch, p->hidden, direction_loss, p, &p->gradients);
    square_gates(i, p->head_gates, i->heads, p->batch.sequences, i->head);
    square_gates(i, p->channel_gates, i->channels, p->batch.sequences, i->channel);
    p->batch.sequences = 0;
}

static int32_t add_text(pass *p, importance *i, const sample *s, size_t index, ecrec_error *err)
{
    size_t most = BATCH_TOKENS > p->e->max_length ? BATCH_TOKENS : p->e->max_length;
    tokenize_call call = { .text = s->texts[index], .length = s->lengths[index], .special = 1, .max_length = p->e->max_length };
    for (int again = 0; again < 2; again++) {
        size_t used = p->starts[p->batch.sequences];
        token_output out = { .ids = p->ids + used, .capacity = most - used };
        int32_t status = tokenizer_run(&s->tokens, p->words, &call, &out, err);
        if (status != ECREC_OK)
            return status;
        if (out.count <= out.capacity) {
            if (out.count > 0)
                p->starts[++p->batch.sequences] = (uint32_t)(used + out.count);
            break;
        }
        run_batch(p, i); /* full: an empty batch takes any text, max_length fits */
    }
    if (p->batch.sequences == SEQUENCES)
        run_batch(p, i);
    return ECREC_OK;
}

static int32_t on_texts(ecrec_context *context, const encoder *e, const sample *s, int32_t kind, uint64_t seed,
                        ecrec_progress_fn progress, void *opaque, importance *i, ecrec_error *err)
{
    pass p;
    int32_t status = pass_open(&p, context, e, seed, i, err);
    if (status == ECREC_OK)
        status = token_work_create(i->m, &s->tokens, &p.words, err);
    size_t passes = kind == ECREC_IMPORTANCE_TAYLOR ? (DIRECTIONS + s->count - 1) / s->count : 1;
    passes = passes < MOST_PASSES ? passes : MOST_PASSES;
    for (size_t n = 0; status == ECREC_OK && n < passes * s->count; n++) {
        status = add_text(&p, i, s, n % s->count, err);
        if (status == ECREC_OK && progress != NULL && progress(opaque, n + 1, passes * s->count) != 0)
            status = error_set(err, ECREC_ERR_CANCELLED, "pruning was cancelled");
    }
    token_work_destroy(p.words);
    if (status != ECREC_OK)
        return status;
    if (p.batch.sequences > 0)
        run_batch(&p, i);
    float each = p.token_count > 0 ? (float)(1 / p.token_count) : 0;
    for (uint32_t l = 0; l < e->layers && status == ECREC_OK; l++) {
        for (size_t u = 0; u < (size_t)i->heads[l] * e->head_size; u++)
            i->head_mean[l][u] *= each;
        for (uint32_t u = 0; u < i->channels[l]; u++)
            i->channel_mean[l][u] *= each;
        if (kind != ECREC_IMPORTANCE_ACTIVATION)
            continue;
        if (i->heads[l] > 0)
            status = reading_norms(i->m, &e->layer[l].output, i->heads[l], e->head_size, i->head[l], err);
        if (status == ECREC_OK && i->channels[l] > 0)
            status = reading_norms(i->m, &e->layer[l].out, i->channels[l], 1, i->channel[l], err);
        for (uint32_t u = 0; u < i->heads[l]; u++)
            i->head[l][u] *= sqrtf(p.head_squares[l][u] * each);
        for (uint32_t u = 0; u < i->channels[l]; u++)
            i->channel[l][u] *= sqrtf(p.channel_squares[l][u] * each);
    }
    return status;
}

int32_t importance_measure(ecrec_context *context, const encoder *e, const sample *s, int32_t kind, uint64_t seed,
                           ecrec_progress_fn progress, void *progress_opaque, importance *out, ecrec_error *err)
{
    int32_t status = open(out, context, e, err);
    if (status != ECREC_OK)
        return status;
    if (kind == ECREC_IMPORTANCE_MAGNITUDE)
        return by_magnitude(out, e, err);
    return on_texts(context, e, s, kind, seed, progress, progress_opaque, out, err);
}
