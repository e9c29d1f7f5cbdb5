/* Products with bfloat16 weights. Part of a level's file. The level defines vf_brain_low(v), vf_brain_high(v): the lower and the upper
 * halves of v's lanes as floats; where it has an instruction for it, vf_dot2(sum, two inputs in every lane, two weights a lane). */

/* The sum over k has the order of gemm_f32. The weights are read once for either half: registers are for the sums. */
INLINE void wide_tile(const int rows, const int panels, size_t k, const float *x, size_t x_stride, const uint16_t *w, const fetch *ahead,
                      const store *s, size_t row, size_t column)
{
    const size_t padded = weights_k_padded(WEIGHTS_BF16, k);
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = vf_set(0);
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i += 2) {
        vf b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels; p++) {
            fetch_panel(ahead, (size_t)p, i / 2);
            UNROLL
            for (int v = 0; v < PARTS; v++)
                b[p * PARTS + v] = vf_brain_low(vi_load(w + ((size_t)p * padded + i) * PANEL + v * 2 * LANES));
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = vf_set(x[(size_t)r * x_stride + i]);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                acc[r][p] = vf_fma(a, b[p], acc[r][p]);
        }
        if (i + 1 == k)
            break;
        const uint16_t *again = w;
        __asm__("" : "+r"(again)); /* or the compiler keeps what it has read */
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            b[p] = vf_brain_high(vi_load(again + ((size_t)(p / PARTS) * padded + i) * PANEL + p % PARTS * 2 * LANES));
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = vf_set(x[(size_t)r * x_stride + i + 1]);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                acc[r][p] = vf_fma(a, b[p], acc[r][p]);
        }
    }
    store_tile(rows, panels * PARTS, acc, s, row, column);
}

#define WIDE_CASE(rows_, panels_) case rows_: wide_tile(rows_, panels_, k, x, x_stride, w, ahead, s, row, column); break;
#define WIDE_SWITCH(panels_)                                                                                                       \
    static void tile_wide_##panels_(size_t rows, size_t k, const float *x, size_t x_stride, const uint16_t *w, const fetch *ahead, \
                                    const store *s, size_t row, size_t column)                                                     \
    {                                                                                                                              \
        switch (rows) {                                                                                                            \
            EACH_ROW_COUNT(WIDE_CASE, panels_)                                                                                     \
        default: break;                                                                                                            \
        }                                                                                                                          \
    }
WIDE_SWITCH(1)
#if TILE_PANELS > 1
WIDE_SWITCH(2)
WIDE_SWITCH(3)
#endif

static void gemm_widened(const gemm_f32_call *c)
{
    const size_t n = c->w->n, k = c->w->k, padded = weights_k_padded(WEIGHTS_BF16, k), step = TILE_PANELS * PANEL;
    const size_t blocks = (c->m + TILE_ROWS - 1) / TILE_ROWS;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        const size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        const uint16_t *w = (const uint16_t *)c->w->panels + column * padded, *next = left > step ? w + step * padded : c->next != NULL ? c->next : w;
        for (size_t b = 0; b < blocks; b++) {
            const size_t row = block_begin(c->m, blocks, b), rows = block_begin(c->m, blocks, b + 1) - row;
            const float *x = c->x + row * c->x_stride;
            const fetch ahead = fetch_part(next, padded * PANEL * sizeof *w, b, blocks);
            kept before;
            if (c->epilogue != EPILOGUE_NONE)
                keep_residual(&s, row, rows, column, step, &before);
#if TILE_PANELS > 1
            if (panels == 3)
                tile_wide_3(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            else if (panels == 2)
                tile_wide_2(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            else
#endif
                tile_wide_1(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            (void)panels;
            if (c->epilogue != EPILOGUE_NONE)
                finish_tile(&s, row, rows, column, step, &before);
        }
    }
}

/* Whole numbers, so that a compiler makes it vectors and the bits are the reference's. */
static void round_rows(size_t m, size_t k, const float *x, size_t x_stride, uint16_t *to, size_t to_stride)
{
    for (size_t r = 0; r < m; r++) {
        const float *from = x + r * x_stride;
        uint16_t *row = to + r * to_stride;
        for (size_t i = 0; i < k; i++)
            row[i] = brain_of_float(from[i]);
        memset(row + k, 0, (to_stride - k) * sizeof *row);
    }
}

#ifdef vf_dot2
/* Inputs are bfloat16 too. */
INLINE void pair_tile(const int rows, const int panels, size_t k, const uint16_t *x, size_t x_stride, const uint16_t *w, const fetch *ahead,
                      const store *s, size_t row, size_t column)
{
    vf acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = vf_set(0);
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i += 2) {
        vi b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels; p++) {
            fetch_panel(ahead, (size_t)p, i / 2);
            UNROLL
            for (int v = 0; v < PARTS; v++)
                b[p * PARTS + v] = vi_load(w + ((size_t)p * k + i) * PANEL + v * 2 * LANES);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t two;
            memcpy(&two, x + (size_t)r * x_stride + i, 4);
            const vi a = vi_set(two);
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                vf_dot2(acc[r][p], a, b[p]);
        }
    }
    store_tile(rows, panels * PARTS, acc, s, row, column);
}

#define PAIR_CASE(rows_, panels_) case rows_: pair_tile(rows_, panels_, k, x, x_stride, w, ahead, s, row, column); break;
#define PAIR_SWITCH(panels_)                                                                                                          \
    static void tile_pair_##panels_(size_t rows, size_t k, const uint16_t *x, size_t x_stride, const uint16_t *w, const fetch *ahead, \
                                    const store *s, size_t row, size_t column)                                                        \
    {                                                                                                                                 \
        switch (rows) {                                                                                                               \
            EACH_ROW_COUNT(PAIR_CASE, panels_)                                                                                        \
        default: break;                                                                                                               \
        }                                                                                                                             \
    }
PAIR_SWITCH(1)
#if TILE_PANELS > 1
PAIR_SWITCH(2)
PAIR_SWITCH(3)
#endif

static void gemm_bf16(const gemm_bf16_call *c)
{
    const size_t n = c->w->n, k = weights_k_padded(WEIGHTS_BF16, c->w->k), step = TILE_PANELS * PANEL;
    const size_t blocks = (c->m + TILE_ROWS - 1) / TILE_ROWS;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        const size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        const uint16_t *w = (const uint16_t *)c->w->panels + column * k, *next = left > step ? w + step * k : c->next != NULL ? c->next : w;
        for (size_t b = 0; b < blocks; b++) {
            const size_t row = block_begin(c->m, blocks, b), rows = block_begin(c->m, blocks, b + 1) - row;
            const uint16_t *x = c->x + row * c->x_stride;
            const fetch ahead = fetch_part(next, k * PANEL * sizeof *w, b, blocks);
            kept before;
            if (c->epilogue != EPILOGUE_NONE)
                keep_residual(&s, row, rows, column, step, &before);
#if TILE_PANELS > 1
            if (panels == 3)
                tile_pair_3(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            else if (panels == 2)
                tile_pair_2(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            else
#endif
                tile_pair_1(rows, k, x, c->x_stride, w, &ahead, &s, row, column);
            (void)panels;
            if (c->epilogue != EPILOGUE_NONE)
                finish_tile(&s, row, rows, column, step, &before);
        }
    }
}
#endif
