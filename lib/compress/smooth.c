#include "compress/smooth.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"

/* A product is measured on so many rows, and so many panels of 16 output channels spread over its matrix. */
enum { ROWS = 128, PANELS = 8, PANEL = 16, CHANNELS = PANELS * PANEL, LENGTH = 32, SEED = 8 };

static const char *const product_names[SMOOTH_PRODUCTS] = { "attention.qkv", "feed_forward.in" };

/* Inputs are divided by (largest |x| of the column)^(x/4) / (largest |w| of the column)^(w/4). */
static const struct { int x, w; } powers[] = { { 1, 0 }, { 1, 1 }, { 2, 0 }, { 2, 1 }, { 2, 2 }, { 3, 0 }, { 3, 1 }, { 3, 2 } };
enum { CANDIDATES = sizeof powers / sizeof *powers };

typedef struct measuring {
    smoothing *s;
    const encoder *e;
    const kernels *table;
    float *part, *scaled;          /* CHANNELS x hidden: channels of the matrix, and divided by a vector */
    float *inputs;                 /* ROWS x hidden */
    float *vector, *of_x, *of_w;   /* hidden */
    float *exact, *rough, *scale;  /* ROWS x CHANNELS twice; ROWS */
    int32_t *zero;                 /* ROWS */
    void *packed;
    uint8_t *q;
} measuring;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Some of the matrix's channels, row-major: panels from all over it, in qkv of queries, keys and values. */
static size_t take_channels(const weights *w, float *to)
{
    const size_t all = (w->n + PANEL - 1) / PANEL, some = smaller(all, PANELS);
    size_t n = 0;
    for (size_t i = 0; i < some; i++) {
        const size_t at = some == all ? i : (i * all / some + i) % all;
        weights one = *w;
        one.panels = (const float *)w->panels + at * w->k * PANEL;
        one.n = smaller(w->n - at * PANEL, PANEL);
        weights_unpack(&one, to + n * w->k, w->k);
        n += one.n;
    }
    return n;
}

/* The largest of each column, as a share of the largest of all; columns that are (nearly) never used count as 1/1000. False: there
 * is nothing to compare. */
static int columns_of(size_t rows, size_t k, const float *x, size_t stride, float *out)
{
    float most = 0;
    memset(out, 0, k * sizeof *out);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++) {
            const float a = fabsf(x[r * stride + i]);
            out[i] = a > out[i] ? a : out[i];
            most = a > most ? a : most;
        }
    if (!(most > 1e-30f && most < 1e30f))
        return 0;
    for (size_t i = 0; i < k; i++) {
        const float share = out[i] / most;
        out[i] = share > 1e-3f ? share : 1e-3f;
    }
    return 1;
}

/* The squared error of the 8-bit product, with inputs multiplied with `vector` (NULL: as they are). */
static double error_of(measuring *m, size_t rows, size_t n, size_t k, const float *x, size_t stride, const float *vector)
{
    const size_t q_stride = (k + 63) / 64 * 64;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++)
            m->inputs[r * k + i] = x[r * stride + i] * (vector != NULL ? vector[i] : 1);
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < k; i++)
            m->scaled[c * k + i] = m->part[c * k + i] / (vector != NULL ? vector[i] : 1);
    weights w;
    weights_pack(WEIGHTS_S8, n, k, m->scaled, k, m->packed);
    weights_view(&w, WEIGHTS_S8, n, k, m->packed);
    m->table->quantize_rows(rows, k, m->inputs, k, NULL, m->q, q_stride, m->scale, m->zero);
    const gemm_s8_call call = { .m = rows, .q = m->q, .q_stride = q_stride, .scale = m->scale, .zero = m->zero, .w = &w, .out = m->rough,
                                .out_stride = n, .epilogue = EPILOGUE_NONE };
    m->table->gemm_s8(&call);
    double sum = 0;
    for (size_t i = 0; i < rows * n; i++)
        sum += ((double)m->rough[i] - m->exact[i]) * ((double)m->rough[i] - m->exact[i]);
    return sum;
}

static void exact_product(measuring *m, size_t rows, size_t n, size_t k, const float *x, size_t stride)
{
    weights w;
    weights_pack(WEIGHTS_F32, n, k, m->part, k, m->packed);
    weights_view(&w, WEIGHTS_F32, n, k, m->packed);
    const gemm_f32_call call = { .m = rows, .x = x, .x_stride = stride, .w = &w, .out = m->exact, .out_stride = n, .epilogue = EPILOGUE_NONE };
    m->table->gemm_f32(&call);
}

/* x^(quarters/4), the same bits everywhere */
static float quarter_power(float x, int quarters)
{
    const float half = sqrtf(x), quarter = sqrtf(half);
    return quarters == 0 ? 1 : quarters == 1 ? quarter : quarters == 2 ? half : half * quarter;
}

static int find_product(const encoder *e, const encoder_linear *linear, size_t *index)
{
    for (uint32_t i = 0; i < e->layers; i++)
        if (linear == &e->layer[i].qkv || linear == &e->layer[i].in) {
            *index = i * SMOOTH_PRODUCTS + (linear == &e->layer[i].qkv ? SMOOTH_QKV : SMOOTH_IN);
            return 1;
        }
    return 0;
}

static void observe(void *opaque, const encoder_linear *linear, size_t rows, size_t k, const float *x, size_t stride)
{
    measuring *m = opaque;
    size_t index = 0;
    if (!find_product(m->e, linear, &index) || m->s->chosen[index] >= 0 || linear->w.type != WEIGHTS_F32)
        return; /* chosen already: on the rows before */
    m->s->chosen[index] = 0;
    rows = smaller(rows, ROWS);
    const size_t n = take_channels(&linear->w, m->part);
    if (!columns_of(rows, k, x, stride, m->of_x) || !columns_of(n, k, m->part, k, m->of_w))
        return;
    exact_product(m, rows, n, k, x, stride);
    double least = error_of(m, rows, n, k, x, stride, NULL);
    for (size_t c = 0; c < CANDIDATES; c++) {
        for (size_t i = 0; i < k; i++)
            m->vector[i] = quarter_power(m->of_w[i], powers[c].w) / quarter_power(m->of_x[i], powers[c].x);
        const double error = error_of(m, rows, n, k, x, stride, m->vector);
        if (!(error < least))
            continue;
        least = error;
        m->s->chosen[index] = 1;
        memcpy(m->s->vectors + index * k, m->vector, k * sizeof *m->vector);
    }
}

/* ---- the rows that it is measured on ---- */

typedef struct calibration {
    packed p;
    uint32_t *ids, *starts;
    float *pixels, *hidden;
    void *workspace;
} calibration;

/* The beginnings of texts from all over the sample. */
static int32_t read_texts(ecrec_context *context, const encoder *e, const sample *s, size_t length, calibration *c, ecrec_error *err)
{
    token_work *work = NULL;
    int32_t status = token_work_create(&context->m, &s->tokens, &work, err);
    const size_t texts = smaller(s->count, ROWS / length);
    for (size_t i = 0; i < texts && status == ECREC_OK; i++) {
        const size_t text = i * s->count / texts;
        const tokenize_call call = { .text = s->texts[text], .length = s->lengths[text], .prompt = s->prompt,
                                     .prompt_length = s->prompt != NULL ? strlen(s->prompt) : 0, .special = (int32_t)e->special_tokens,
                                     .max_length = length };
        token_output out = { .ids = c->ids + c->starts[i], .capacity = length };
        status = tokenizer_run(&s->tokens, work, &call, &out, err);
        c->starts[i + 1] = c->starts[i] + (uint32_t)(status == ECREC_OK ? smaller(out.count, length) : 0);
        c->p.sequences = i + 1;
    }
    token_work_destroy(work);
    return status == ECREC_OK ? encoder_check(e, &c->p, err) : status;
}

static void make_random(const encoder *e, size_t length, calibration *c)
{
    random_stream r;
    random_init(&r, SEED, 0);
    c->p.sequences = e->patch_size != 0 ? 1 : ROWS / length;
    for (size_t i = 0; i < encoder_image_floats(e); i++)
        c->pixels[i] = random_normal(&r);
    for (size_t i = 0; i < c->p.sequences; i++) {
        c->starts[i + 1] = (uint32_t)(e->patch_size != 0 ? encoder_image_tokens(e) : (i + 1) * length);
        for (size_t j = c->starts[i]; j < c->starts[i + 1] && e->patch_size == 0; j++)
            c->ids[j] = (uint32_t)random_below(&r, e->vocabulary);
    }
}

static int32_t calibrate(ecrec_context *context, const encoder *e, const sample *s, arena *a, calibration *c, ecrec_error *err)
{
    const size_t length = larger(smaller(smaller(encoder_longest(e), e->max_length), LENGTH), 1);
    const size_t tokens = larger(ROWS, encoder_image_tokens(e));
    c->ids = arena_zero(a, tokens * sizeof *c->ids);
    c->starts = arena_zero(a, (ROWS + 1) * sizeof *c->starts);
    c->pixels = arena_zero(a, larger(encoder_image_floats(e), 1) * sizeof *c->pixels);
    c->hidden = arena_zero(a, memory_product(tokens, (size_t)e->hidden * sizeof *c->hidden));
    c->workspace = arena_allocate(a, larger(encoder_workspace(e, tokens), 256));
    if (c->ids == NULL || c->starts == NULL || c->pixels == NULL || c->hidden == NULL || c->workspace == NULL)
        return error_nomem(err, "the rows that quantising is measured on", tokens * e->hidden);
    c->p.starts = c->starts;
    if (e->patch_size != 0)
        c->p.pixels = c->pixels;
    else
        c->p.ids = c->ids;
    if (s->count > 0 && e->patch_size == 0)
        return read_texts(context, e, s, length, c, err);
    make_random(e, length, c);
    return ECREC_OK;
}

static int32_t make_room(measuring *m, arena *a, ecrec_error *err)
{
    const size_t k = m->e->hidden, q_stride = (k + 63) / 64 * 64;
    m->part = arena_zero(a, CHANNELS * k * sizeof(float));
    m->scaled = arena_zero(a, CHANNELS * k * sizeof(float));
    m->inputs = arena_zero(a, ROWS * k * sizeof(float));
    m->vector = arena_zero(a, k * sizeof(float));
    m->of_x = arena_zero(a, k * sizeof(float));
    m->of_w = arena_zero(a, k * sizeof(float));
    m->exact = arena_zero(a, ROWS * CHANNELS * sizeof(float));
    m->rough = arena_zero(a, ROWS * CHANNELS * sizeof(float));
    m->scale = arena_zero(a, ROWS * sizeof *m->scale);
    m->zero = arena_zero(a, ROWS * sizeof *m->zero);
    m->packed = arena_zero(a, larger(weights_bytes(WEIGHTS_F32, CHANNELS, k), weights_bytes(WEIGHTS_S8, CHANNELS, k)));
    m->q = arena_zero(a, ROWS * q_stride);
    if (m->part == NULL || m->scaled == NULL || m->inputs == NULL || m->vector == NULL || m->of_x == NULL || m->of_w == NULL ||
        m->exact == NULL || m->rough == NULL || m->scale == NULL || m->zero == NULL || m->packed == NULL || m->q == NULL)
        return error_nomem(err, "the measure of quantising", CHANNELS * k * sizeof(float));
    return ECREC_OK;
}

int32_t smoothing_measure(ecrec_context *context, const encoder *e, const sample *s, smoothing *out, ecrec_error *err)
{
    measuring m = { .s = out, .e = e, .table = kernels_portable() };
    calibration c = { 0 };
    arena a;
    int32_t status = ECREC_OK;
    const size_t products = larger(e->layers, 1) * SMOOTH_PRODUCTS;
    arena_init(&a, &context->m);
    arena_init(&out->a, &context->m);
    out->e = e;
    out->vectors = arena_zero(&out->a, memory_product(products, (size_t)e->hidden * sizeof *out->vectors));
    out->chosen = arena_zero(&out->a, products);
    if (out->vectors == NULL || out->chosen == NULL)
        status = error_nomem(err, "the vectors of smoothing", products * e->hidden * sizeof *out->vectors);
    if (status == ECREC_OK && !e->shared && (status = make_room(&m, &a, err)) == ECREC_OK &&
        (status = calibrate(context, e, s, &a, &c, err)) == ECREC_OK) {
        memset(out->chosen, -1, products);
        encoder_observe(e, m.table, c.workspace, &c.p, c.hidden, observe, &m);
    }
    arena_release(&a);
    return status;
}

void smoothing_close(smoothing *s)
{
    arena_release(&s->a);
}

/* ---- into the model ---- */

static const float *chosen(const smoothing *s, size_t index)
{
    return s->chosen[index] > 0 ? s->vectors + index * s->e->hidden : NULL;
}

static void name_of(size_t index, const char *suffix, char *out, size_t capacity)
{
    format_text(out, capacity, "layers.%u.%s%s", (unsigned)(index / SMOOTH_PRODUCTS), product_names[index % SMOOTH_PRODUCTS], suffix);
}

void smoothing_divide(const smoothing *s, const char *name, float *rows, size_t n, size_t k)
{
    char own[96];
    for (size_t p = 0; p < (size_t)s->e->layers * SMOOTH_PRODUCTS; p++) {
        const float *vector = chosen(s, p);
        name_of(p, ".weight", own, sizeof own);
        if (vector == NULL || strcmp(own, name) != 0)
            continue;
        for (size_t r = 0; r < n; r++)
            for (size_t i = 0; i < k; i++)
                rows[r * k + i] /= vector[i];
        return;
    }
}

int32_t smoothing_put(const smoothing *s, memory *m, tensor_set *tensors, ecrec_error *err)
{
    const uint64_t shape[1] = { s->e->hidden };
    const size_t bytes = s->e->hidden * sizeof(float);
    char name[96];
    int32_t status = ECREC_OK;
    for (size_t p = 0; p < (size_t)s->e->layers * SMOOTH_PRODUCTS && status == ECREC_OK; p++) {
        const float *vector = chosen(s, p);
        tensor *t = NULL;
        if (vector == NULL)
            continue;
        name_of(p, ".smooth", name, sizeof name);
        if ((status = tensor_create(m, TYPE_F32, LAYOUT_ROWS, 1, shape, &t)) == ECREC_OK) {
            memcpy(tensor_edit(t), vector, bytes);
            status = tensor_set_put(tensors, name, t);
        }
        tensor_release(t);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a vector of smoothing", bytes);
}
