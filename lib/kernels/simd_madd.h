/* s8 products without a four-byte dot product: weights and activations widened to 16 bits, where every product and sum of two
 * is exact (maddubs would saturate). A vector then holds half as many channels as it has lanes, two partial sums each.
 *   vi_add vi_madd      16-bit pairs multiplied and added
 *   vi_widen(p)         4 * LANES / 2 weights from p as 16-bit numbers
 *   vi_four(q)          four unsigned bytes as 16-bit numbers, in every group of four
 *   vi_pairs(a, b)      the sums of neighbours of a, then of b, in the order of the channels
 *   S8_ROWS S8_PANELS   of a tile
 * Included after simd.h. */

/* `rows` and `panels` are constants where this is inlined. */
INLINE void tile_s8(const int rows, const int panels, const gemm_s8_call *c, const store *s, size_t row, size_t column)
{
    const size_t k = weights_k_padded(WEIGHTS_S8, c->w->k);
    const int8_t *w = (const int8_t *)c->w->panels + column * k;
    const uint8_t *q = c->q + row * c->q_stride;
    vi acc[S8_ROWS][S8_PANELS * PARTS * 2];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS * 2; p++)
            acc[r][p] = vi_set(0);
    DO_NOT_UNROLL
    for (size_t i = 0; i < k; i += 4) {
        vi a[S8_ROWS];
        UNROLL
        for (int r = 0; r < rows; r++)
            a[r] = vi_four(q + (size_t)r * c->q_stride + i);
        UNROLL
        for (int p = 0; p < panels * PARTS * 2; p++) {
            const int panel = p / (2 * PARTS), part = p % (2 * PARTS);
            const vi b = vi_widen(w + ((size_t)panel * k + i) * PANEL + part * 2 * LANES);
            UNROLL
            for (int r = 0; r < rows; r++)
                acc[r][p] = vi_add(acc[r][p], vi_madd(a[r], b));
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < panels * PARTS; p++)
            store_sums(c, s, row + (size_t)r, column + (size_t)p * LANES, vi_pairs(acc[r][2 * p], acc[r][2 * p + 1]));
}

static void gemm_s8(const gemm_s8_call *c)
{
    const size_t n = c->w->n;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t column = 0; column < n; column += S8_PANELS * PANEL)
        for (size_t row = 0, rows; row < c->m; row += rows) {
            const int whole = n - column > (S8_PANELS - 1) * PANEL;
            kept before;
            rows = c->m - row < S8_ROWS ? 1 : S8_ROWS;
            if (c->epilogue != EPILOGUE_NONE)
                keep_residual(&s, row, rows, column, S8_PANELS * PANEL, &before);
            if (rows == S8_ROWS)
                whole ? tile_s8(S8_ROWS, S8_PANELS, c, &s, row, column) : tile_s8(S8_ROWS, 1, c, &s, row, column);
            else
                whole ? tile_s8(1, S8_PANELS, c, &s, row, column) : tile_s8(1, 1, c, &s, row, column);
            if (c->epilogue != EPILOGUE_NONE)
                finish_tile(&s, row, rows, column, S8_PANELS * PANEL, &before);
        }
}
