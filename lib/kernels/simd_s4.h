/* Products with 4-bit weights: a stretch of k is dequantised to the first cache and serves up to FOUR_ROWS rows, whose sums wait
 * meanwhile. The sum over k has one order, that of gemm_f32. Part of a level's file. The level defines vi_bytes(p): LANES bytes
 * as int32, vi_and, vi_high(v): v >> 4, vf_load_half(p): LANES halves as floats. */

enum { FOUR_STEP = 128 /* of k, whole groups */, FOUR_ROWS = 128 };

/* What the lowest four bits of each lane stand for. */
INLINE vf low_four(vi v)
{
#if LANES == 16 /* where picking one of 16 floats is one instruction */
    static const float values[16] = { -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7 };
    return _mm512_permutexvar_ps(v, vf_load(values));
#else
    return vi_to_vf(vi_sub(vi_and(v, vi_set(15)), vi_set(8)));
#endif
}

/* A stretch of a panel: where its values and its scales lie. */
typedef struct stretch { const unsigned char *values; const uint16_t *scales; } stretch;

INLINE stretch stretch_at(const weights *w, size_t padded, size_t column, size_t i)
{
    return (stretch){ (const unsigned char *)w->panels + (column * padded + i * PANEL) / 2,
                      w->group_scale + column * (padded / WEIGHTS_GROUP) + i / WEIGHTS_GROUP * PANEL };
}

/* k values of a panel's 16 channels, from the beginning of a group; those that will be wanted next are fetched. */
static __attribute__((noinline)) void unpack_four(stretch at, stretch ahead, size_t k, float *to)
{
    const unsigned char *from = at.values;
    const uint16_t *scales = at.scales;
    for (size_t i = 0; i < k; i += WEIGHTS_GROUP) {
        fetch_ahead(ahead.scales, i / WEIGHTS_GROUP * PANEL * sizeof(uint16_t));
        for (size_t line = 0; line < WEIGHTS_GROUP * PANEL / 2; line += LINE_BYTES)
            fetch_ahead(ahead.values, i * PANEL / 2 + line);
        vf scale[PARTS];
        UNROLL
        for (int v = 0; v < PARTS; v++)
            scale[v] = vf_load_half(scales + i / WEIGHTS_GROUP * PANEL + v * LANES);
        for (size_t j = i; j < i + WEIGHTS_GROUP; j += 2) {
            UNROLL
            for (int v = 0; v < PARTS; v++) {
                const vi both = vi_bytes(from + j / 2 * PANEL + v * LANES);
                vf_store(to + j * PANEL + v * LANES, vf_mul(low_four(both), scale[v]));
                vf_store(to + (j + 1) * PANEL + v * LANES, vf_mul(low_four(vi_high(both)), scale[v]));
            }
        }
    }
}

/* sums: the rows' sums so far, of the whole tile's width; w: floats, FOUR_STEP x 16 a panel. */
INLINE void part_tile(const int rows, const int panels, size_t k, const float *x, size_t x_stride, const float *w, float *sums, int first)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = first ? vf_set(0) : vf_load(sums + r * TILE_PANELS * PANEL + p * LANES);
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i++) {
        vf b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            b[p] = vf_load(w + ((size_t)(p / PARTS) * FOUR_STEP + i) * PANEL + p % PARTS * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = vf_set(x[(size_t)r * x_stride + i]);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                acc[r][p] = vf_fma(a, b[p], acc[r][p]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            vf_store(sums + r * TILE_PANELS * PANEL + p * LANES, acc[r][p]);
}

#define PART_CASE(rows_, panels_) case rows_: part_tile(rows_, panels_, k, x, x_stride, w, sums, first); break;
#define PART_SWITCH(panels_)                                                                                                   \
    static void tile_part_##panels_(size_t rows, size_t k, const float *x, size_t x_stride, const float *w, float *sums, int first) \
    {                                                                                                                          \
        switch (rows) {                                                                                                        \
            EACH_ROW_COUNT(PART_CASE, panels_)                                                                                 \
        default: break;                                                                                                        \
        }                                                                                                                      \
    }
PART_SWITCH(1)
#if TILE_PANELS > 1
PART_SWITCH(2)
PART_SWITCH(3)
#endif

INLINE void any_part(size_t rows, size_t panels, size_t k, const float *x, size_t x_stride, const float *w, float *sums, int first)
{
#if TILE_PANELS > 1
    if (panels == 3)
        tile_part_3(rows, k, x, x_stride, w, sums, first);
    else if (panels == 2)
        tile_part_2(rows, k, x, x_stride, w, sums, first);
    else
#endif
        tile_part_1(rows, k, x, x_stride, w, sums, first);
    (void)panels;
}

/* Rows of sums leave as a tile of gemm_f32 does. */
static void store_part(const store *s, size_t row, size_t rows, size_t column, const float *sums)
{
    const size_t width = TILE_PANELS * PANEL, n = s->n - column < width ? s->n - column : width;
    kept before;
    if (s->epilogue != EPILOGUE_NONE)
        keep_residual(s, row, rows, column, width, &before);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i += LANES) {
            const size_t left = n - i;
            const vf bias = s->bias == NULL ? vf_set(-0.0f) : left >= LANES ? vf_load(s->bias + column + i) : vf_load_some(s->bias + column + i, left);
            store_vector(s, left >= LANES, row + r, column + i, bias, vf_load(sums + r * width + i));
        }
    if (s->epilogue != EPILOGUE_NONE)
        finish_tile(s, row, rows, column, width, &before);
}

static void gemm_s4(const gemm_s4_call *c)
{
    const size_t n = c->w->n, k = c->w->k, padded = weights_k_padded(WEIGHTS_S4, k), width = TILE_PANELS * PANEL;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    float w[TILE_PANELS * FOUR_STEP * PANEL], sums[FOUR_ROWS * TILE_PANELS * PANEL];
    for (size_t column = 0; column < n; column += width) {
        const size_t left = n - column, panels = left >= width ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        for (size_t top = 0; top < c->m; top += FOUR_ROWS) {
            const size_t m = c->m - top < FOUR_ROWS ? c->m - top : FOUR_ROWS, blocks = (m + TILE_ROWS - 1) / TILE_ROWS;
            for (size_t i = 0; i < k; i += FOUR_STEP) {
                const size_t some = k - i < FOUR_STEP ? k - i : FOUR_STEP, whole = padded - i < FOUR_STEP ? padded - i : FOUR_STEP;
                for (size_t p = 0; p < panels; p++) {
                    const size_t at = column + p * PANEL;
                    const int end = i + whole == padded; /* then come these channels again for other rows, or the next ones */
                    const stretch ahead = !end ? stretch_at(c->w, padded, at, i + whole) : stretch_at(c->w, padded, top + m < c->m || left <= width ? at : at + width, 0);
                    unpack_four(stretch_at(c->w, padded, at, i), ahead, whole, w + p * FOUR_STEP * PANEL);
                }
                for (size_t b = 0; b < blocks; b++) {
                    const size_t row = block_begin(m, blocks, b), rows = block_begin(m, blocks, b + 1) - row;
                    any_part(rows, panels, some, c->x + (top + row) * c->x_stride + i, c->x_stride, w, sums + row * width, i == 0);
                }
            }
            for (size_t b = 0; b < blocks; b++) {
                const size_t row = block_begin(m, blocks, b), rows = block_begin(m, blocks, b + 1) - row;
                store_part(&s, top + row, rows, column, sums + row * width);
            }
        }
    }
}
