/* s8 products without a four-byte dot product: weights and activations widened to 16 bits, where every product and sum of two
 * is exact (maddubs would saturate). A vector then holds half as many channels as it has lanes, two partial sums each.
 *   vi_add vi_madd      16-bit pairs multiplied and added
 *   vi_widen(p)         2 * LANES weights from p as 16-bit numbers
 *   vi_widen_bytes(q, to)   WIDENED unsigned bytes from q as 16-bit numbers
 *   vi_four(p)          four 16-bit numbers from p in every group of four
 *   vi_pairs(a, b)      the sums of neighbours of a, then of b, in the order of the channels
 *   S8_ROWS S8_VECTORS  of a tile: 4 rows; 2 or 4 vectors of weights (two for LANES channels)
 * Included after simd.h. */

enum { S8_COLUMNS = S8_VECTORS * LANES / 2, S8_DEEP = 1536 /* inner indexes of a tile that lie widened on the stack */ };

/* Rows of activations as 16-bit numbers: made once for all tiles that they meet, so that the loop has nothing to do but to load them. */
typedef struct widened { size_t row, at; int16_t q[S8_ROWS][S8_DEEP]; } widened;

static void widen_rows(const gemm_s8_call *c, size_t row, size_t rows, size_t at, size_t deep, widened *to)
{
    if (to->row == row && to->at == at)
        return;
    to->row = row;
    to->at = at;
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *q = c->q + (row + r) * c->q_stride + at;
        size_t i = 0;
        for (; i + WIDENED <= deep; i += WIDENED)
            vi_widen_bytes(q + i, to->q[r] + i);
        for (; i < deep; i++)
            to->q[r][i] = q[i];
    }
}

/* `rows` and `vectors` are constants where this is inlined. */
INLINE void tile_s8(const int rows, const int vectors, const gemm_s8_call *c, const store *s, size_t row, size_t column, widened *x)
{
    const size_t k = weights_k_padded(WEIGHTS_S8, c->w->k);
    const int8_t *w = (const int8_t *)c->w->panels + column / PANEL * PANEL * k + column % PANEL * 4;
    vi acc[S8_ROWS][S8_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < vectors; p++)
            acc[r][p] = vi_set(0);
    DO_NOT_UNROLL
    for (size_t at = 0; at < k; at += S8_DEEP) {
        const size_t deep = k - at < S8_DEEP ? k - at : S8_DEEP;
        widen_rows(c, row, (size_t)rows, at, deep, x);
        DO_NOT_UNROLL
        for (size_t i = 0; i < deep; i += 4) {
            vi a[S8_ROWS];
            UNROLL
            for (int r = 0; r < rows; r++)
                a[r] = vi_four(x->q[r] + i);
            UNROLL
            for (int p = 0; p < vectors; p++) {
                const size_t panel = (size_t)p / (2 * PARTS), part = (size_t)p % (2 * PARTS);
                const vi b = vi_widen(w + (panel * k + at + i) * PANEL + part * 2 * LANES);
                UNROLL
                for (int r = 0; r < rows; r++)
                    acc[r][p] = vi_add(acc[r][p], vi_madd(a[r], b));
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int p = 0; p < vectors / 2; p++)
            store_sums(c, s, row + (size_t)r, column + (size_t)p * LANES, vi_pairs(acc[r][2 * p], acc[r][2 * p + 1]));
}

#define S8_CASE(rows_, vectors_) case rows_: tile_s8(rows_, vectors_, c, s, row, column, x); break;
#define S8_SWITCH(name, vectors_)                                                                                               \
    static void name(size_t rows, const gemm_s8_call *c, const store *s, size_t row, size_t column, widened *x)                 \
    {                                                                                                                           \
        switch (rows) {                                                                                                         \
            S8_CASE(1, vectors_) S8_CASE(2, vectors_) S8_CASE(3, vectors_) S8_CASE(4, vectors_)                                 \
        default: break;                                                                                                         \
        }                                                                                                                       \
    }
S8_SWITCH(tile_s8_whole, S8_VECTORS)
#if S8_VECTORS > 2 * PARTS
S8_SWITCH(tile_s8_panel, 2 * PARTS)
#endif

/* A block of rows meets the columns of a group of panels, small enough for second-level cache, before the next block comes. */
static void gemm_s8(const gemm_s8_call *c)
{
    enum { GROUP = 4 * PANEL };
    const size_t n = c->w->n, blocks = (c->m + S8_ROWS - 1) / S8_ROWS;
    const store s = { c->bias, c->residual, c->residual_stride, c->out, c->out_stride, n, c->epilogue };
    for (size_t group = 0; group < n; group += GROUP)
        for (size_t b = 0; b < blocks; b++) {
            const size_t row = block_begin(c->m, blocks, b), rows = block_begin(c->m, blocks, b + 1) - row;
            const size_t end = n - group < GROUP ? n : group + GROUP;
            widened x;
            x.row = x.at = SIZE_MAX;
            for (size_t column = group; column < end; column += S8_COLUMNS) {
                kept before;
                if (c->epilogue != EPILOGUE_NONE)
                    keep_residual(&s, row, rows, column, S8_COLUMNS, &before);
#if S8_VECTORS > 2 * PARTS
                if (n - column <= S8_COLUMNS - PANEL)
                    tile_s8_panel(rows, c, &s, row, column, &x);
                else
#endif
                    tile_s8_whole(rows, c, &s, row, column, &x);
                if (c->epilogue != EPILOGUE_NONE)
                    finish_tile(&s, row, rows, column, S8_COLUMNS, &before);
            }
        }
}
