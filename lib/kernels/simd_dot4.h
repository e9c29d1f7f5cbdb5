/* s8 products where one instruction adds four byte products to an int32: vi_dot(sum, four unsigned bytes in every lane, four
 * weights a lane), vi_zero(). DOT_OFFSET 128: the bytes are signed, so 128 is taken off them and off the zero points. Included after simd.h. */

/* A tile's sums leave, a column of vectors at a time; `added`: a residual comes on top (where an activation is between, see finish_tile). */
INLINE void leave_whole(const int rows, const int vectors, const int added, vi acc[][TILE_PANELS * PARTS], const gemm_s8_call *c, const store *s,
                        size_t row, size_t column)
{
    UNROLL
    for (int p = 0; p < vectors; p++) {
        const size_t at = column + (size_t)p * LANES;
        const column_scale by = column_scales(c, at);
        const vf bias = s->bias != NULL ? vf_load(s->bias + at) : vf_set(-0.0f);
        UNROLL
        for (int r = 0; r < rows; r++) {
            vf v = vf_add(rescale(c, row + (size_t)r, by, acc[r][p]), bias);
            if (added)
                v = vf_add(v, vf_load(s->residual + (row + (size_t)r) * s->residual_stride + at));
            vf_store(s->out + (row + (size_t)r) * s->out_stride + at, v);
        }
    }
}

INLINE void leave_s8(const int rows, const int vectors, vi acc[][TILE_PANELS * PARTS], const gemm_s8_call *c, const store *s, size_t row, size_t column)
{
    if (s->n - column >= (size_t)vectors * LANES) {
        if (s->residual != NULL && s->epilogue == EPILOGUE_NONE)
            leave_whole(rows, vectors, 1, acc, c, s, row, column);
        else
            leave_whole(rows, vectors, 0, acc, c, s, row, column);
        return;
    }
    vi sums[TILE_ROWS * TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < vectors; p++)
            sums[r * vectors + p] = acc[r][p];
    DO_NOT_UNROLL
    for (int i = 0; i < rows * vectors; i++)
        store_sums(c, s, row + (size_t)(i / vectors), column + (size_t)(i % vectors) * LANES, sums[i]);
}

/* `rows` and `panels` are constants where this is inlined. `ahead`: panels to prefetch meanwhile. */
INLINE void tile_s8(const int rows, const int panels, const gemm_s8_call *c, const store *s, const int8_t *w, const fetch *ahead,
                    size_t k, size_t row, size_t column)
{
    const uint8_t *q = c->q + row * c->q_stride;
    vi acc[TILE_ROWS][TILE_PANELS * PARTS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            acc[r][p] = vi_zero();
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i += 4) {
        vi b[TILE_PANELS * PARTS];
        UNROLL
        for (int p = 0; p < panels; p++) {
            fetch_panel(ahead, (size_t)p, i / 4);
            UNROLL
            for (int v = 0; v < PARTS; v++)
                b[p * PARTS + v] = vi_load(w + ((size_t)p * k + i) * PANEL + v * 4 * LANES);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, q + (size_t)r * c->q_stride + i, 4);
            const vi a = vi_set(four ^ (DOT_OFFSET != 0 ? (int32_t)0x80808080 : 0));
            UNROLL
            for (int p = 0; p < panels * PARTS; p++)
                vi_dot(acc[r][p], a, b[p]);
        }
    }
    leave_s8(rows, panels * PARTS, acc, c, s, row, column);
}

#define S8_CASE(rows_, panels_) case rows_: tile_s8(rows_, panels_, c, s, w, ahead, k, row, column); break;
#define S8_SWITCH(panels_)                                                                                                     \
    static void tile_s8_##panels_(size_t rows, const gemm_s8_call *c, const store *s, const int8_t *w, const fetch *ahead,    \
                                  size_t k, size_t row, size_t column)                                                         \
    {                                                                                                                          \
        switch (rows) {                                                                                                        \
            EACH_ROW_COUNT(S8_CASE, panels_)                                                                                   \
        default: break;                                                                                                        \
        }                                                                                                                      \
    }
S8_SWITCH(1)
#if TILE_PANELS > 1
S8_SWITCH(2)
S8_SWITCH(3)
#endif

static void gemm_s8(const gemm_s8_call *c)
{
    const size_t n = c->w->n, k = weights_k_padded(WEIGHTS_S8, c->w->k), step = TILE_PANELS * PANEL;
    const size_t blocks = (c->m + TILE_ROWS - 1) / TILE_ROWS;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += step) {
        const size_t left = n - column, panels = left >= step ? TILE_PANELS : (left + PANEL - 1) / PANEL;
        const int8_t *w = (const int8_t *)c->w->panels + column * k, *next = left > step ? w + step * k : c->next != NULL ? c->next : w;
        for (size_t b = 0; b < blocks; b++) {
            const size_t row = block_begin(c->m, blocks, b), rows = block_begin(c->m, blocks, b + 1) - row;
            const fetch ahead = fetch_part(next, k * PANEL, b, blocks);
            kept before;
            if (c->epilogue != EPILOGUE_NONE)
                keep_residual(&s, row, rows, column, step, &before);
#if TILE_PANELS > 1
            if (panels == 3)
                tile_s8_3(rows, c, &s, w, &ahead, k, row, column);
            else if (panels == 2)
                tile_s8_2(rows, c, &s, w, &ahead, k, row, column);
            else
#endif
                tile_s8_1(rows, c, &s, w, &ahead, k, row, column);
            (void)panels;
            if (c->epilogue != EPILOGUE_NONE)
                finish_tile(&s, row, rows, column, step, &before);
        }
    }
}
