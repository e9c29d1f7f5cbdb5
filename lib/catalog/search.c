/* Rows are read once for a group of queries: a block of them is scored while it is in the first caches, then what is good enough
 * goes to each query's heap. Rows are split among tasks with heaps of their own, merged at the end. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "catalog/index.h"
#include "catalog/nearest.h"
#include "encoder/vector.h"
#include "kernels/kernels.h"

enum {
    GROUP = 96,             /* queries that share a pass over the rows: six panels of the products */
    TOGETHER = 6,           /* 8 bits: from so many queries on, the matrix product is faster than one by one */
    ROWS = 64,              /* of a block, at most */
    FOLD = 16,
    FIRST_CACHE = 24576,    /* bytes of it that a block of rows may take */
    SMALL = 1 << 19         /* bytes of rows, times queries, below which waking threads costs more than it gains */
};

/* What one task writes to. */
typedef struct task_work {
    nearest best[GROUP];
    float *scores; /* ROWS x GROUP */
    float peaks[GROUP];
    int32_t sums[ROWS], zero[ROWS];
    float ones[ROWS];
    uint8_t *bytes; /* ROWS x padded dimension: rows as the product takes them */
} task_work;

/* What the caller's thread prepares for a group. */
typedef struct prepared {
    const ecrec_index *index;
    const kernels *table;
    const float *queries;
    size_t count, k;
    uint32_t tasks;
    float factors[GROUP];
    int8_t *whole; /* GROUP x dimension */
    void *packed;
    weights w;
    task_work *work;
} prepared;

static size_t padded(const ecrec_index *x)
{
    return (x->dimension + 63) & ~(size_t)63;
}

static size_t lay_out(const ecrec_index *x, size_t most, uint32_t tasks, void *block, prepared **out)
{
    scratch s = { block, 0, SIZE_MAX };
    prepared *p = scratch_take(&s, sizeof *p);
    task_work *work = scratch_take(&s, tasks * sizeof *work);
    int8_t *whole = x->type == VECTORS_S8 ? scratch_take(&s, GROUP * x->dimension) : NULL;
    void *packed = x->type == VECTORS_S8 ? scratch_take(&s, weights_bytes(WEIGHTS_S8, GROUP, x->dimension)) : NULL;
    for (uint32_t t = 0; t < tasks; t++) {
        float *scores = scratch_take(&s, ROWS * GROUP * sizeof *scores);
        uint8_t *bytes = x->type == VECTORS_S8 ? scratch_take(&s, ROWS * padded(x)) : NULL;
        for (size_t q = 0; q < GROUP; q++) {
            hit *hits = scratch_take(&s, memory_product(most, sizeof *hits));
            if (block != NULL)
                work[t].best[q] = (nearest){ hits, 0, most };
        }
        if (block == NULL)
            continue;
        work[t].scores = scores;
        work[t].bytes = bytes;
        for (size_t r = 0; r < ROWS; r++) {
            work[t].zero[r] = 128;
            work[t].ones[r] = 1;
        }
    }
    if (block != NULL) {
        *p = (prepared){ .index = x, .table = x->context->kernels, .tasks = tasks, .whole = whole, .packed = packed, .work = work };
        *out = p;
    }
    return s.used;
}

int32_t searcher_create(ecrec_index *index, size_t most, ecrec_searcher **out, ecrec_error *err)
{
    memory *m = &index->context->m;
    const uint32_t tasks = context_threads(index->context);
    const size_t asked = most;
    most = most < index->count ? most : index->count != 0 ? index->count : 1;
    if (most > SIZE_MAX / 4 / sizeof(hit) / GROUP / tasks)
        return error_nomem(err, "a searcher", SIZE_MAX);
    ecrec_searcher *s = memory_zero(m, sizeof *s);
    if (s == NULL)
        return error_nomem(err, "a searcher", sizeof *s);
    s->bytes = lay_out(index, most, tasks, NULL, NULL);
    s->block = memory_zero(m, s->bytes);
    if (s->block == NULL) {
        const size_t bytes = s->bytes;
        memory_release(m, s, sizeof *s);
        return error_nomem(err, "a searcher", bytes);
    }
    prepared *p;
    (void)lay_out(index, most, tasks, s->block, &p);
    s->mine = p;
    s->asked = asked;
    s->most = most;
    s->tasks = tasks;
    s->index = index;
    atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
    *out = s;
    return ECREC_OK;
}

void searcher_release(ecrec_searcher *s)
{
    if (s == NULL)
        return;
    ecrec_index *index = s->index;
    memory *m = &index->context->m;
    memory_release(m, s->block, s->bytes);
    memory_release(m, s, sizeof *s);
    index_release(index);
}

/* ---- scores of a block ---- */

/* scores[row * count + query]; every way gives (float)sum * (row's factor * query's factor), or the sum alone where there is no factor. */
static void score_floats(const prepared *p, task_work *w, const void *rows, size_t n)
{
    const dots_call c = { p->index->type, n, p->count, p->index->dimension, rows, p->index->stride, p->queries, p->index->dimension, w->scores, p->count };
    p->table->dots(&c);
}

static void multiply(const prepared *p, task_work *w, const float *factors, size_t n)
{
    for (size_t r = 0; r < n; r++)
        for (size_t q = 0; q < p->count; q++)
            w->scores[r * p->count + q] *= factors[r] * p->factors[q];
}

static void score_bytes_one_by_one(const prepared *p, task_work *w, const int8_t *rows, const float *factors, size_t n)
{
    for (size_t q = 0; q < p->count; q++) {
        p->table->dots_s8(n, p->index->dimension, rows, p->index->stride, p->whole + q * p->index->dimension, w->sums);
        for (size_t r = 0; r < n; r++)
            w->scores[r * p->count + q] = (float)w->sums[r];
    }
    multiply(p, w, factors, n);
}

/* s8 to u8, 128 more: the products' first factor. */
static void move_row(const int8_t *restrict from, uint8_t *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(from[i] ^ 0x80);
}

static void score_bytes_together(const prepared *p, task_work *w, const int8_t *rows, const float *factors, size_t n)
{
    const size_t stride = padded(p->index), dimension = p->index->dimension;
    for (size_t r = 0; r < n; r++)
        move_row(rows + r * p->index->stride, w->bytes + r * stride, dimension);
    const gemm_s8_call c = { .m = n, .q = w->bytes, .q_stride = stride, .scale = factors, .zero = w->zero, .w = &p->w, .out = w->scores, .out_stride = p->count };
    p->table->gemm_s8(&c);
}

static void score_block(const prepared *p, task_work *w, size_t row, size_t n)
{
    const ecrec_index *x = p->index;
    const void *rows = (const char *)x->vectors + row * x->stride * (x->type == VECTORS_F32 ? 4 : x->type == VECTORS_S8 ? 1 : 2);
    const float *factors = x->factors != NULL ? x->factors + row : w->ones;
    if (x->type != VECTORS_S8) {
        score_floats(p, w, rows, n);
        if (x->factors != NULL)
            multiply(p, w, factors, n);
    } else if (p->count >= TOGETHER) {
        score_bytes_together(p, w, rows, factors, n);
    } else {
        score_bytes_one_by_one(p, w, rows, factors, n);
    }
}

/* ---- a task ---- */

static void keep(const prepared *p, task_work *w, size_t query, size_t row, size_t n)
{
    nearest *best = &w->best[query];
    for (size_t r = 0; r < n; r++) {
        const float score = w->scores[r * p->count + query];
        if (nearest_wants(best, score))
            nearest_offer(best, (hit){ score, row + r });
    }
}

/* One query reads rows once; for several they stay in the first cache while queries pass by. */
static size_t block_rows(const prepared *p)
{
    const size_t bytes = p->index->dimension * (p->index->type == VECTORS_F32 ? 4 : p->index->type == VECTORS_S8 ? 1 : 2), fit = FIRST_CACHE / bytes & ~(size_t)7;
    return p->count == 1 || fit > ROWS ? ROWS : fit > 8 ? fit : 8;
}

static void search_task(void *argument, uint32_t task)
{
    const prepared *p = argument;
    task_work *w = &p->work[task];
    const size_t count = p->index->count, first = count / p->tasks * task + (task < count % p->tasks ? task : count % p->tasks);
    const size_t last = first + count / p->tasks + (task < count % p->tasks);
    for (size_t q = 0; q < p->count; q++)
        w->best[q].count = 0, w->best[q].most = p->k;
    const size_t step = block_rows(p);
    for (size_t row = first; row < last; row += step) {
        const size_t n = last - row < step ? last - row : step;
        score_block(p, w, row, n);
        if (p->count == 1) { /* the block's scores folded: as good as a look at each */
            const size_t width = n % FOLD == 0 ? FOLD : 1;
            p->table->column_peaks(n / width, width, w->scores, width, w->peaks);
            for (size_t i = 1; i < width; i++)
                w->peaks[0] = w->peaks[i] > w->peaks[0] ? w->peaks[i] : w->peaks[0];
        } else {
            p->table->column_peaks(n, p->count, w->scores, p->count, w->peaks);
        }
        for (size_t q = 0; q < p->count; q++)
            if (nearest_wants(&w->best[q], w->peaks[q]))
                keep(p, w, q, row, n);
    }
}

/* ---- a group of queries ---- */

static float one_over_length(const float *v, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)v[i] * v[i];
    return squares > 0 ? (float)(1 / sqrt(squares)) : 0;
}

/* weights_pack quantises what it gets; these bytes are quantised already. */
static void pack_bytes(prepared *p)
{
    const size_t dimension = p->index->dimension;
    weights_view(&p->w, WEIGHTS_S8, p->count, dimension, p->packed);
    weights_pack_s8(p->count, dimension, p->whole, p->factors, p->packed);
}

static void prepare(prepared *p, int cosine)
{
    const size_t dimension = p->index->dimension;
    for (size_t q = 0; q < p->count; q++) {
        const float *query = p->queries + q * dimension;
        if (p->index->type != VECTORS_S8) {
            p->factors[q] = cosine ? one_over_length(query, dimension) : 1;
            continue;
        }
        vector_store(VECTORS_S8, query, dimension, p->whole + q * dimension, &p->factors[q]);
        if (!cosine)
            continue;
        int64_t squares = 0;
        for (size_t i = 0; i < dimension; i++)
            squares += (int32_t)p->whole[q * dimension + i] * p->whole[q * dimension + i];
        p->factors[q] = squares > 0 ? (float)(1 / sqrt((double)squares)) : 0;
    }
    if (p->index->type == VECTORS_S8 && p->count >= TOGETHER)
        pack_bytes(p);
}

static void hand_out(const prepared *p, size_t k, uint64_t *indices, float *scores)
{
    for (size_t q = 0; q < p->count; q++) {
        nearest *best = &p->work[0].best[q];
        for (uint32_t t = 1; t < p->tasks; t++)
            for (size_t i = 0; i < p->work[t].best[q].count; i++)
                nearest_offer(best, p->work[t].best[q].hits[i]);
        nearest_sort(best);
        for (size_t i = 0; i < k; i++) {
            indices[q * k + i] = i < best->count ? best->hits[i].index : UINT64_MAX;
            scores[q * k + i] = i < best->count ? best->hits[i].score : -INFINITY;
        }
    }
}

void searcher_run(ecrec_searcher *s, const float *queries, size_t n, size_t k, uint64_t *indices, float *scores)
{
    prepared *p = s->mine;
    const ecrec_index *x = s->index;
    const size_t bytes = x->count * x->dimension * (x->type == VECTORS_F32 ? 4 : x->type == VECTORS_S8 ? 1 : 2);
    for (size_t first = 0; first < n; first += GROUP) {
        p->queries = queries + first * x->dimension;
        p->count = n - first < GROUP ? n - first : GROUP;
        p->k = k < s->most ? k : s->most;
        p->tasks = bytes < SMALL / p->count ? 1 : s->tasks;
        prepare(p, x->cosine);
        context_run(x->context, search_task, p, p->tasks);
        hand_out(p, k, indices + first * k, scores + first * k);
    }
}
