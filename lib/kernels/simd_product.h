/* Products with packed weights. Part of simd.h. */

/* Where a tile goes. */
typedef struct store {
    const float *bias, *residual;
    size_t residual_stride;
    float *out;
    size_t out_stride, n;
    int32_t epilogue;
} store;

/* One vector of a row leaves: bias, and residual where no activation comes between. `whole`: no column is past the end. */
INLINE void store_vector(const store *s, const int whole, size_t row, size_t column, vf bias, vf v)
{
    float *to = s->out + row * s->out_stride + column;
    const size_t rest = s->n - column;
    v = vf_add(v, bias);
    if (s->residual != NULL && s->epilogue == EPILOGUE_NONE) {
        const float *from = s->residual + row * s->residual_stride + column;
        v = vf_add(v, whole ? vf_load(from) : vf_load_some(from, rest));
    }
    if (whole)
        vf_store(to, v);
    else
        vf_store_some(to, v, rest);
}

/* A tile's sums of `rows` rows leave, a column of vectors at a time. -0 is what may be added where there is no bias. */
INLINE void store_tile(const int rows, const int vectors, vf acc[][TILE_PANELS * PARTS], const store *s, size_t row, size_t column)
{
    UNROLL
    for (int p = 0; p < vectors; p++) {
        const size_t at = column + (size_t)p * LANES;
        if (at >= s->n)
            break;
        if (s->n - at >= LANES) {
            const vf bias = s->bias != NULL ? vf_load(s->bias + at) : vf_set(-0.0f);
            UNROLL
            for (int r = 0; r < rows; r++)
                store_vector(s, 1, row + (size_t)r, at, bias, acc[r][p]);
        } else {
            const vf bias = s->bias != NULL ? vf_load_some(s->bias + at, s->n - at) : vf_set(-0.0f);
            UNROLL
            for (int r = 0; r < rows; r++)
                store_vector(s, 0, row + (size_t)r, at, bias, acc[r][p]);
        }
    }
}

/* Activation between bias and residual works on a tile that has just been stored: a loop over first-level cache, not code in
 * every tile. The residual may be the output itself, so it is kept before the tile overwrites it. */
typedef struct kept { float residual[TILE_ROWS > 4 ? TILE_ROWS : 4][TILE_PANELS * PANEL]; } kept; /* s8 tiles have up to 4 rows */

static void keep_residual(const store *s, size_t row, size_t rows, size_t column, size_t width, kept *k)
{
    const size_t n = s->n - column < width ? s->n - column : width;
    for (size_t r = 0; r < rows && s->residual != NULL; r++)
        memcpy(k->residual[r], s->residual + (row + r) * s->residual_stride + column, n * sizeof(float));
}

/* One function a kind of activation: what it keeps in registers is loaded once a tile. */
INLINE void finish_rows(const int32_t activation, const store *s, size_t row, size_t rows, size_t column, size_t n, const kept *k)
{
    for (size_t r = 0; r < rows; r++) {
        float *out = s->out + (row + r) * s->out_stride + column;
        activate_all(n, out, activation);
        for (size_t i = 0; i < n && s->residual != NULL; i += LANES)
            store_at(out, i, n, vf_add(load_at(out, i, n), load_at(k->residual[r], i, n)));
    }
}

static void finish_tile(const store *s, size_t row, size_t rows, size_t column, size_t width, const kept *k)
{
    const size_t n = s->n - column < width ? s->n - column : width;
    switch (s->epilogue) {
    case EPILOGUE_GELU_ERF: finish_rows(EPILOGUE_GELU_ERF, s, row, rows, column, n, k); break;
    case EPILOGUE_GELU_TANH: finish_rows(EPILOGUE_GELU_TANH, s, row, rows, column, n, k); break;
    case EPILOGUE_GELU_QUICK: finish_rows(EPILOGUE_GELU_QUICK, s, row, rows, column, n, k); break;
    case EPILOGUE_RELU: finish_rows(EPILOGUE_RELU, s, row, rows, column, n, k); break;
    case EPILOGUE_SILU: finish_rows(EPILOGUE_SILU, s, row, rows, column, n, k); break;
    case EPILOGUE_TANH: finish_rows(EPILOGUE_TANH, s, row, rows, column, n, k); break;
    default: break;
    }
}

/* The lines of memory that will be wanted soon: never read, so the address may lie past the end. */
INLINE void fetch_ahead(const void *base, size_t bytes)
{
    __builtin_prefetch((const void *)((uintptr_t)base + bytes), 0, 3);
}

/* The panels that come next are fetched while these are multiplied, each of the blocks of rows a part of every panel: memory is then
 * asked for evenly. */
typedef struct fetch { const void *from; size_t panel, step; /* bytes from panel to panel, and for each row of a panel */ } fetch;

INLINE fetch fetch_part(const void *next, size_t panel_bytes, size_t block, size_t blocks)
{
    return (fetch){ (const void *)((uintptr_t)next + panel_bytes / blocks * block), panel_bytes, (LINE_BYTES + blocks - 1) / blocks };
}

INLINE void fetch_panel(const fetch *f, size_t panel, size_t row)
{
    __builtin_prefetch((const void *)((uintptr_t)f->from + panel * f->panel + row * f->step), 0, 2);
}

/* ROWS x PANELS panels of accumulators, both constants where this is inlined. `ahead`: panels to fetch meanwhile. */
INLINE void tile(const int rows, const int panels, size_t k, const float *x, size_t x_stride, const float *w, const fetch *ahead,
                 const store *s, size_t row, size_t column)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = vf_set(0);
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i++) {
        vf b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels; p++) {
            fetch_panel(ahead, (size_t)p, i);
            UNROLL
            for (int v = 0; v < PARTS; v++)
                b[p * PARTS + v] = vf_load(w + (size_t)p * k * PANEL + i * PANEL + v * LANES);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            vf a = vf_set(x[(size_t)r * x_stride + i]);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                acc[r][p] = vf_fma(a, b[p], acc[r][p]);
        }
    }
    store_tile(rows, panels * PARTS, acc, s, row, column);
}

/* A function for each number of panels, a case for each number of rows. */
#if TILE_ROWS > 6
#define EACH_ROW_COUNT(CASE, panels_) CASE(1, panels_) CASE(2, panels_) CASE(3, panels_) CASE(4, panels_) \
    CASE(5, panels_) CASE(6, panels_) CASE(7, panels_) CASE(8, panels_)
#elif TILE_ROWS > 4
#define EACH_ROW_COUNT(CASE, panels_) CASE(1, panels_) CASE(2, panels_) CASE(3, panels_) CASE(4, panels_) CASE(5, panels_) CASE(6, panels_)
#else
#define EACH_ROW_COUNT(CASE, panels_) CASE(1, panels_) CASE(2, panels_) CASE(3, panels_)
#endif
#define TILE_CASE(rows_, panels_) case rows_: tile(rows_, panels_, k, x, x_stride, w, ahead, s, row, column); break;
#define TILE_SWITCH(panels_)                                                                                                  \
    static void tile_##panels_(size_t rows, size_t k, const float *x, size_t x_stride, const float *w, const fetch *ahead,    \
                               const store *s, size_t row, size_t column)                                                     \
    {                                                                                                                         \
        switch (rows) {                                                                                                       \
            EACH_ROW_COUNT(TILE_CASE, panels_)                                                                                \
        default: break;                                                                                                       \
        }                                                                                                                     \
    }
TILE_SWITCH(1)
#if TILE_PANELS > 1
TILE_SWITCH(2)
TILE_SWITCH(3)
#endif

INLINE void any_tile(size_t rows, size_t panels, size_t k, const float *x, size_t x_stride, const float *w, const fetch *ahead,
                     const store *s, size_t row, size_t column)
{
#if TILE_PANELS > 1
    if (panels == 3)
        tile_3(rows, k, x, x_stride, w, ahead, s, row, column);
    else if (panels == 2)
        tile_2(rows, k, x, x_stride, w, ahead, s, row, column);
    else
#endif
        tile_1(rows, k, x, x_stride, w, ahead, s, row, column);
    (void)panels;
}

/* Rows of block b when m rows are cut into the fewest blocks of at most `most`, all nearly equal: a tile of one row costs
 * nearly as much as one of eight. */
INLINE size_t block_begin(size_t m, size_t blocks, size_t b)
{
    return m / blocks * b + (b < m % blocks ? b : m % blocks);
}

static void gemm_f32(const gemm_f32_call *c)
{
    const size_t n = c->w->n, k = c->w->k, step = TILE_PANELS * PANEL, blocks = (c->m + TILE_ROWS - 1) / TILE_ROWS;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        const size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        const float *w = (const float *)c->w->panels + column * k, *next = left > step ? w + step * k : c->next != NULL ? c->next : w;
        for (size_t b = 0; b < blocks; b++) {
            const size_t row = block_begin(c->m, blocks, b), rows = block_begin(c->m, blocks, b + 1) - row;
            kept before;
            if (c->epilogue != EPILOGUE_NONE)
                keep_residual(&s, row, rows, column, step, &before);
            const fetch ahead = fetch_part(next, k * PANEL * sizeof(float), b, blocks);
            any_tile(rows, panels, k, c->x + row * c->x_stride, c->x_stride, w, &ahead, &s, row, column);
            if (c->epilogue != EPILOGUE_NONE)
                finish_tile(&s, row, rows, column, step, &before);
        }
    }
}

/* The inner tile of matmul.h: b is k x (TILE_PANELS * 16). */
static void tile_f32(size_t k, const float *a, size_t row, size_t step, const float *b, float *c, size_t c_stride, int32_t accumulate)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < TILE_ROWS; r++) {
        UNROLL
        for (int p = 0; p < TILE_PANELS; p++)
            __builtin_prefetch(c + (size_t)r * c_stride + p * PANEL, 1, 3);
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++)
            acc[r][p] = vf_set(0);
    }
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i++, a += step, b += TILE_PANELS * PANEL) {
        vf v[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++)
            v[p] = vf_load(b + p * LANES);
        UNROLL
        for (int r = 0; r < TILE_ROWS; r++) {
            vf x = vf_set(a[(size_t)r * row]);
            UNROLL
            for (int p = 0; p < TILE_PANELS * PARTS; p++)
                acc[r][p] = vf_fma(x, v[p], acc[r][p]);
        }
    }
    UNROLL
    for (int r = 0; r < TILE_ROWS; r++)
        UNROLL
        for (int p = 0; p < TILE_PANELS * PARTS; p++) {
            float *to = c + (size_t)r * c_stride + p * LANES;
            vf_store(to, accumulate ? vf_add(acc[r][p], vf_load(to)) : acc[r][p]);
        }
}

/* ---- s8: what the instruction sets share ---- */

#ifndef DOT_OFFSET
#define DOT_OFFSET 0 /* see simd_dot4.h */
#endif

/* Exact integer sums become floats in the operations of doc/quantisation.md (no fused multiply-add). */
typedef struct column_scale { vi sums; vf scale; } column_scale;

INLINE column_scale column_scales(const gemm_s8_call *c, size_t column)
{
    return (column_scale){ vi_load(c->w->sums + column), vf_load(c->w->scale + column) };
}

INLINE vf rescale(const gemm_s8_call *c, size_t row, column_scale s, vi sums)
{
    return vf_mul(vi_to_vf(vi_sub(sums, vi_mul(vi_set(c->zero[row] - DOT_OFFSET), s.sums))), vf_mul(vf_set(c->scale[row]), s.scale));
}

/* One vector of sums leaves, where no tile is stored as a whole. */
INLINE void store_sums(const gemm_s8_call *c, const store *s, size_t row, size_t column, vi sums)
{
    if (column >= s->n)
        return;
    const vf v = rescale(c, row, column_scales(c, column), sums);
    if (s->n - column >= LANES)
        store_vector(s, 1, row, column, s->bias != NULL ? vf_load(s->bias + column) : vf_set(-0.0f), v);
    else
        store_vector(s, 0, row, column, s->bias != NULL ? vf_load_some(s->bias + column, s->n - column) : vf_set(-0.0f), v);
}
