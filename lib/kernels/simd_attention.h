/* Attention of one head: keys transposed a block at a time, logits of a few queries in first-level cache, and, where there
 * is more than one block, the running maximum and sum of Milakov and Gimelshein, "Online normalizer calculation for softmax"
 * (arXiv:1805.02867). Part of simd.h. */

/* `rows` x `columns` floats (each at most LANES) to columns x LANES: to[c * PANEL + r]; what is past the rows becomes 0. */
INLINE void transpose_block(const float *from, size_t stride, size_t rows, size_t columns, float *to)
{
    vf a[LANES], t[LANES];
    if (rows == LANES && columns == LANES) {
        UNROLL
        for (int r = 0; r < LANES; r++)
            a[r] = vf_load(from + (size_t)r * stride);
    } else {
        UNROLL
        for (int r = 0; r < LANES; r++)
            a[r] = (size_t)r >= rows ? vf_set(0) : columns == LANES ? vf_load(from + (size_t)r * stride) : vf_load_some(from + (size_t)r * stride, columns);
    }
    UNROLL
    for (int r = 0; r < LANES; r += 2) {
        t[r] = vf_unpack_low(a[r], a[r + 1]);
        t[r + 1] = vf_unpack_high(a[r], a[r + 1]);
    }
    UNROLL
    for (int r = 0; r < LANES; r += 4) {
        a[r] = vf_unpack_low2(t[r], t[r + 2]);
        a[r + 1] = vf_unpack_high2(t[r], t[r + 2]);
        a[r + 2] = vf_unpack_low2(t[r + 1], t[r + 3]);
        a[r + 3] = vf_unpack_high2(t[r + 1], t[r + 3]);
    }
    /* a[4g + c] holds, in its l-th quarter of four floats, column 4l + c of rows 4g .. 4g + 3 */
    columns_of(a, t);
    if (columns == LANES) {
        UNROLL
        for (int c = 0; c < LANES; c++)
            vf_store(to + c * PANEL, t[c]);
    } else {
        for (size_t c = 0; c < columns; c++)
            vf_store(to + c * PANEL, t[c]);
    }
}

/* Keys [first, first + count) as a product's weights: panels of 16 keys, head_size deep. */
static void pack_keys(const attention_call *c, size_t first, size_t count, float *to)
{
    for (size_t j = 0; j < count; j += PANEL)
        for (size_t part = 0; part < PANEL; part += LANES) {
            const size_t at = j + part, rows = at >= count ? 0 : count - at < LANES ? count - at : LANES;
            const float *from = c->k + (rows != 0 ? first + at : first) * c->stride;
            for (size_t d = 0; d < c->head_size; d += LANES)
                transpose_block(from + d, c->stride, rows, c->head_size - d < LANES ? c->head_size - d : LANES,
                                to + j * c->head_size + d * PANEL + part);
        }
}

static const float lane_numbers[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* The keys [*low, *high) of [first, first + count) that a query sees, counted from `first`. */
INLINE void visible(const attention_call *c, size_t query, size_t first, size_t count, size_t *low, size_t *high)
{
    size_t begin = 0, end = c->tokens;
    if (c->window > 0) {
        begin = query > c->window ? query - c->window : 0;
        end = c->tokens - query > c->window ? query + c->window + 1 : c->tokens;
    }
    if (c->causal && end > query + 1)
        end = query + 1;
    *low = begin > first ? (begin - first < count ? begin - first : count) : 0;
    *high = end > first ? (end - first < count ? end - first : count) : 0;
}

/* Keys that a query does not see get the logit of nothing; only vectors that hold some are touched. */
INLINE void hide(float *logits, size_t low, size_t high, size_t from, size_t to)
{
    const vf none = vf_set(-INFINITY), lowest = vf_set((float)low), limit = vf_set((float)high);
    for (size_t j = from; j < to; j += LANES) {
        if (j >= low && j + LANES <= high) {
            j = (high - LANES - j) / LANES * LANES + j; /* the last whole one */
            continue;
        }
        const vf number = vf_add(vf_load(lane_numbers), vf_set((float)j));
        vf_store(logits + j, vf_less(number, lowest, none, vf_less(number, limit, vf_load(logits + j), none)));
    }
}

/* logits = logits * scale + bias; -infinity stays. */
static void add_bias(const attention_call *c, size_t query, size_t first, size_t from, size_t to, float *logits)
{
    const float *bias = c->bias + (ptrdiff_t)query * c->bias_stride + first;
    for (size_t j = from; j < to; j += LANES) {
        const vf v = vf_mul(vf_load(logits + j), vf_set(c->scale));
        vf_store(logits + j, vf_add(v, j < c->tokens - first ? load_at(bias, j, c->tokens - first) : vf_set(0)));
    }
}

/* One query's logits over the vectors [from, to): scale, bias and mask, but a positive scale alone, which keeps their order, is left to
 * weigh. Returns the highest. */
INLINE float prepare_logits(const attention_call *c, const int later, size_t query, size_t first, size_t low, size_t high, size_t from, size_t to,
                            float *logits)
{
    vf most = vf_set(-INFINITY);
    if (c->bias != NULL)
        add_bias(c, query, first, from, to, logits);
    else if (!later)
        for (size_t j = from; j < to; j += LANES)
            vf_store(logits + j, vf_mul(vf_load(logits + j), vf_set(c->scale)));
    if (low > from || high < to)
        hide(logits, low, high, from, to);
    for (size_t j = from; j < to; j += LANES)
        most = vf_max(vf_load(logits + j), most);
    return vf_highest(most);
}

/* What exp gives of a query's logits, in their place; returns the sum of it. */
INLINE float weigh(size_t from, size_t to, float scale, float highest, float *logits)
{
    const vf by = vf_set(scale), shift = vf_set(highest == -INFINITY ? 0 : highest);
    vf total[PARTS];
    UNROLL
    for (int p = 0; p < PARTS; p++)
        total[p] = vf_set(0);
    for (size_t j = from; j < to; j += PANEL)
        UNROLL
        for (int p = 0; p < PARTS; p++) {
            const vf e = vf_exp_down(vf_sub(vf_mul(vf_load(logits + j + p * LANES), by), shift));
            total[p] = vf_add(total[p], e);
            vf_store(logits + j + p * LANES, e);
        }
    return panel_sum(total);
}

/* The softmax of rows of logits so far. factor: what earlier sums and outputs are to be multiplied by. First all rows' highest logits,
 * then all their exponentials: what one row waits for is hidden behind another. */
static void weigh_rows(const attention_call *c, size_t query, size_t rows, size_t first, const size_t *low, const size_t *high, size_t from, size_t to,
                       float *logits, size_t stride, float *highest, float *sum, float *factor)
{
    const int later = c->bias == NULL && c->scale > 0;
    const float scale = later ? c->scale : 1.0f;
    for (size_t r = 0; r < rows; r++) {
        const float found = prepare_logits(c, later, query + r, first, low[r], high[r], from, to, logits + r * stride) * scale;
        const float old = highest[r], now = found > old ? found : old;
        factor[r] = first == 0 || old == -INFINITY ? 0 : old == now ? 1 : scalar_exp(old - now);
        highest[r] = now;
    }
    for (size_t r = 0; r < rows; r++)
        sum[r] = sum[r] * factor[r] + weigh(from, to, scale, highest[r], logits + r * stride);
}

/* out (rows x vectors) = factor * out + weights x values, then times `inverse`; rows and vectors are constants. */
INLINE void mix(const int rows, const int vectors, size_t n, const float *p, size_t p_stride, const float *v, size_t v_stride,
                float *out, size_t out_stride, size_t width, const float *factor, const float *inverse)
{
    vf acc[TILE_ROWS][2];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int d = 0; d < vectors; d++)
            acc[r][d] = factor[r] == 0 ? vf_set(0) : vf_mul(vf_set(factor[r]), load_at(out + (size_t)r * out_stride, (size_t)d * LANES, width));
    DO_NOT_UNROLL
    for (size_t j = 0; j < n; j++) {
        vf b[2];
        UNROLL
        for (int d = 0; d < vectors; d++)
            b[d] = vectors == 2 && width >= 2 * LANES ? vf_load(v + j * v_stride + d * LANES) : load_at(v + j * v_stride, (size_t)d * LANES, width);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = vf_set(p[(size_t)r * p_stride + j]);
            UNROLL
            for (int d = 0; d < vectors; d++)
                acc[r][d] = vf_fma(a, b[d], acc[r][d]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int d = 0; d < vectors; d++)
            store_at(out + (size_t)r * out_stride, (size_t)d * LANES, width, vf_mul(acc[r][d], vf_set(inverse[r])));
}

#define MIX_CASE(rows_, vectors_) case rows_: mix(rows_, vectors_, n, p, p_stride, v, v_stride, out, out_stride, width, factor, inverse); break;
#define MIX_SWITCH(vectors_)                                                                                                   \
    static void mix_##vectors_(size_t rows, size_t n, const float *p, size_t p_stride, const float *v, size_t v_stride,        \
                               float *out, size_t out_stride, size_t width, const float *factor, const float *inverse)         \
    {                                                                                                                          \
        switch (rows) {                                                                                                        \
            EACH_ROW_COUNT(MIX_CASE, vectors_)                                                                                 \
        default: break;                                                                                                        \
        }                                                                                                                      \
    }
MIX_SWITCH(1)
MIX_SWITCH(2)

/* Queries [query, query + rows) over one block of keys. */
static void attend_tile(const attention_call *c, size_t query, size_t rows, size_t first, size_t count, const float *keys,
                        float *logits, size_t stride, float *highest, float *sum)
{
    size_t low[TILE_ROWS], high[TILE_ROWS], begin = count, end = 0;
    float factor[TILE_ROWS], inverse[TILE_ROWS];
    for (size_t r = 0; r < rows; r++) {
        visible(c, query + r, first, count, &low[r], &high[r]);
        begin = low[r] < begin ? low[r] : begin;
        end = high[r] > end ? high[r] : end;
    }
    begin = begin / PANEL * PANEL;
    end = (end + PANEL - 1) / PANEL * PANEL;
    const int last = first + count == c->tokens;
    if (begin >= end && first != 0 && !last)
        return;
    const store s = { NULL, NULL, 0, logits, stride, end > begin ? end : 0, EPILOGUE_NONE };
    const float *q = c->q + query * c->stride;
    for (size_t j = begin; j < end; j += TILE_PANELS * PANEL) {
        const float *panel = keys + j * c->head_size;
        const fetch ahead = fetch_part(panel, 0, 0, 1);
        any_tile(rows, end - j >= TILE_PANELS * PANEL ? TILE_PANELS : (end - j) / PANEL, c->head_size, q, c->stride, panel, &ahead, &s, 0, j);
    }
    for (size_t r = 0; r < rows; r++)
        factor[r] = first == 0 ? 0 : 1;
    if (begin < end)
        weigh_rows(c, query, rows, first, low, high, begin, end, logits, stride, highest, sum, factor);
    for (size_t r = 0; r < rows; r++)
        inverse[r] = !last ? 1 : sum[r] == 0 ? 0 : 1.0f / sum[r];
    const size_t n = end <= begin ? 0 : (end < count ? end : count) - begin;
    for (size_t d = 0; d < c->head_size; d += 2 * LANES) {
        const size_t width = c->head_size - d;
        const float *v = c->v + (n != 0 ? first + begin : 0) * c->stride + d;
        float *out = c->out + query * c->out_stride + d;
        (width > LANES ? mix_2 : mix_1)(rows, n, logits + begin, stride, v, c->stride, out, c->out_stride, width, factor, inverse);
    }
}

static void attention(const attention_call *c)
{
    const size_t longest = c->tokens < ATTENTION_KEYS ? (c->tokens + PANEL - 1) / PANEL * PANEL : ATTENTION_KEYS;
    const size_t tiles = (c->tokens + TILE_ROWS - 1) / TILE_ROWS;
    float *keys = c->scratch, *logits = keys + longest * c->head_size, *highest = logits + ATTENTION_QUERIES * longest, *sum = highest + c->tokens;
    for (size_t i = 0; i < c->tokens; i++) {
        highest[i] = -INFINITY;
        sum[i] = 0;
    }
    for (size_t first = 0; first < c->tokens; first += ATTENTION_KEYS) {
        const size_t count = c->tokens - first < ATTENTION_KEYS ? c->tokens - first : ATTENTION_KEYS;
        pack_keys(c, first, count, keys);
        for (size_t t = 0; t < tiles; t++) {
            const size_t query = block_begin(c->tokens, tiles, t), rows = block_begin(c->tokens, tiles, t + 1) - query;
            attend_tile(c, query, rows, first, count, keys, logits, longest, highest + query, sum + query);
        }
    }
}
