/* s8 products where one instruction adds four byte products to an int32: vi_dot(sum, four unsigned bytes in every lane, four
 * weights a lane), vi_zero(). DOT_OFFSET 128: the bytes are signed, so 128 is taken off them and off the zero points. Included after simd.h. */

enum { TILE_VECTORS = TILE_PANELS * PARTS };

/* The sums of a tile, `vectors` of each row, become its outputs. All that this writes lies in `out`, so what it reads is taken out of the
 * structures first. */
INLINE void leave_rows(const int32_t activation, const int vectors, const vi *sums, size_t rows, const gemm_s8_call *c, const store *s, size_t row,
                       size_t column)
{
    const float *scale = c->scale + row, *residual = s->residual != NULL ? s->residual + row * s->residual_stride + column : NULL;
    const int32_t *zero = c->zero + row;
    float *out = s->out + row * s->out_stride + column;
    const size_t stride = s->out_stride, residual_stride = s->residual_stride;
    column_scale by[TILE_VECTORS];
    vf bias[TILE_VECTORS];
    UNROLL
    for (int p = 0; p < vectors; p++) {
        by[p] = column_scales(c, column + (size_t)p * LANES);
        bias[p] = s->bias != NULL ? vf_load(s->bias + column + (size_t)p * LANES) : vf_set(-0.0f);
    }
    for (size_t r = 0; r < rows; r++, out += stride) {
        const vi offset = vi_set(zero[r] - DOT_OFFSET);
        const vf times = vf_set(scale[r]);
        vf v[TILE_VECTORS];
        UNROLL
        for (int p = 0; p < vectors; p++) {
            v[p] = vf_mul(vi_to_vf(vi_sub(sums[r * (size_t)vectors + (size_t)p], vi_mul(offset, by[p].sums))), vf_mul(times, by[p].scale));
            v[p] = vf_activate(vf_add(v[p], bias[p]), activation);
        }
        if (residual != NULL) {
            UNROLL
            for (int p = 0; p < vectors; p++)
                v[p] = vf_add(v[p], vf_load(residual + r * residual_stride + (size_t)p * LANES));
        }
        UNROLL
        for (int p = 0; p < vectors; p++)
            vf_store(out + (size_t)p * LANES, v[p]);
    }
}

#define LEAVE_CASE(activation_) case activation_: leave_rows(activation_, vectors, sums, rows, c, s, row, column); break;
#define LEAVE_SWITCH(panels_)                                                                                                  \
    static __attribute__((noinline)) void leave_##panels_(const vi *sums, size_t rows, const gemm_s8_call *c, const store *s, size_t row, size_t column) \
    {                                                                                                                          \
        enum { vectors = panels_ * PARTS };                                                                                    \
        switch (s->epilogue) {                                                                                                 \
            LEAVE_CASE(EPILOGUE_NONE) LEAVE_CASE(EPILOGUE_GELU_ERF) LEAVE_CASE(EPILOGUE_GELU_TANH) LEAVE_CASE(EPILOGUE_GELU_QUICK) \
            LEAVE_CASE(EPILOGUE_RELU) LEAVE_CASE(EPILOGUE_SILU) LEAVE_CASE(EPILOGUE_TANH)                                      \
        default: break;                                                                                                        \
        }                                                                                                                      \
    }
LEAVE_SWITCH(1)
#if TILE_PANELS > 1
LEAVE_SWITCH(2)
LEAVE_SWITCH(3)
#endif

/* The same where some columns are past the end: the activation then works on what was stored, as in simd_product.h. */
static void leave_some(const vi *sums, size_t rows, size_t vectors, const gemm_s8_call *c, const store *s, size_t row, size_t column)
{
    kept before;
    if (s->epilogue != EPILOGUE_NONE)
        keep_residual(s, row, rows, column, vectors * LANES, &before);
    for (size_t i = 0; i < rows * vectors; i++)
        store_sums(c, s, row + i / vectors, column + i % vectors * LANES, sums[i]);
    if (s->epilogue != EPILOGUE_NONE)
        finish_tile(s, row, rows, column, vectors * LANES, &before);
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
    vi sums[TILE_ROWS * TILE_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            sums[r * panels * PARTS + p] = acc[r][p];
    if (s->n - column < (size_t)panels * PANEL)
        leave_some(sums, (size_t)rows, (size_t)(panels * PARTS), c, s, row, column);
#if TILE_PANELS > 1
    else if (panels == 3)
        leave_3(sums, (size_t)rows, c, s, row, column);
    else if (panels == 2)
        leave_2(sums, (size_t)rows, c, s, row, column);
#endif
    else
        leave_1(sums, (size_t)rows, c, s, row, column);
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
#if TILE_PANELS > 1
            if (panels == 3)
                tile_s8_3(rows, c, &s, w, &ahead, k, row, column);
            else if (panels == 2)
                tile_s8_2(rows, c, &s, w, &ahead, k, row, column);
            else
#endif
                tile_s8_1(rows, c, &s, w, &ahead, k, row, column);
            (void)panels;
        }
    }
}
