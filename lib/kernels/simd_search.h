

/* Similarities of stored vectors with queries. Part of a level's file, after its s8 product. The level defines
 *   vf_load_half(p) vf_load_brain(p)   LANES numbers of 16 bits as floats
 *   vi_total(v)                        the sum of the lanes
 *   SEARCH_QUERIES                     queries that the accumulators of four rows leave room for */

/* One query: memory is the limit, and what lies so many bytes ahead is asked for: one row after the other, as the processor reads best. */
enum { SEARCH_ROWS = 4, SEARCH_AHEAD = 6144 };

INLINE size_t rows_ahead(size_t row_bytes)
{
    return row_bytes < SEARCH_AHEAD ? (SEARCH_AHEAD + row_bytes - 1) / row_bytes : 1;
}

INLINE vf stored_vector(const int32_t type, const void *vector, size_t i)
{
    switch (type) {
    case VECTORS_F16: return vf_load_half((const uint16_t *)vector + i);
    case VECTORS_BF16: return vf_load_brain((const uint16_t *)vector + i);
    default: return vf_load((const float *)vector + i);
    }
}

INLINE vf stored_some(const int32_t type, const void *vector, size_t i, size_t n)
{
    uint16_t rest[LANES] = { 0 };
    if (type == VECTORS_F32)
        return vf_load_some((const float *)vector + i, n);
    memcpy(rest, (const uint16_t *)vector + i, n * sizeof *rest);
    return stored_vector(type, rest, 0);
}

/* Constants where this is inlined: type, rows, queries. Each pair has one accumulator, so its sum has one order. */
INLINE void dots_tile(const int32_t type, const int rows, const int queries, const dots_call *c, size_t row, size_t query)
{
    const size_t bytes = type == VECTORS_F32 ? 4 : 2, n = c->dimension, whole = n / LANES * LANES;
    const char *vectors = (const char *)c->vectors + row * c->stride * bytes;
    const float *from = c->query + query * c->query_stride;
    const char *ahead = query == 0 ? vectors + rows_ahead(c->stride * bytes) * c->stride * bytes : vectors; /* later queries find what the first has asked for */
    vf acc[SEARCH_ROWS][SEARCH_QUERIES];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int q = 0; q < queries; q++)
            acc[r][q] = vf_set(0);
    DO_NOT_UNROLL
    for (size_t i = 0; i < whole; i += LANES) {
        vf b[SEARCH_QUERIES];
        UNROLL
        for (int q = 0; q < queries; q++)
            b[q] = vf_load(from + (size_t)q * c->query_stride + i);
        UNROLL
        for (int r = 0; r < rows; r++) {
            if (LANES * bytes >= 64 || i * bytes % 64 == 0)
                fetch_ahead(ahead + (size_t)r * c->stride * bytes, i * bytes);
            const vf a = stored_vector(type, vectors + (size_t)r * c->stride * bytes, i);
            UNROLL
            for (int q = 0; q < queries; q++)
                acc[r][q] = vf_fma(a, b[q], acc[r][q]);
        }
    }
    if (whole < n) {
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = stored_some(type, vectors + (size_t)r * c->stride * bytes, whole, n - whole);
            UNROLL
            for (int q = 0; q < queries; q++)
                acc[r][q] = vf_fma(a, vf_load_some(from + (size_t)q * c->query_stride + whole, n - whole), acc[r][q]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int q = 0; q < queries; q++)
            c->out[(row + (size_t)r) * c->out_stride + query + (size_t)q] = vf_sum(acc[r][q]);
}

INLINE void dots_of(const int32_t type, const dots_call *c)
{
    size_t query = 0;
    for (; query + SEARCH_QUERIES <= c->queries; query += SEARCH_QUERIES) {
        size_t row = 0;
        for (; row + SEARCH_ROWS <= c->rows; row += SEARCH_ROWS)
            dots_tile(type, SEARCH_ROWS, SEARCH_QUERIES, c, row, query);
        for (; row < c->rows; row++)
            dots_tile(type, 1, SEARCH_QUERIES, c, row, query);
    }
    for (; query < c->queries; query++)
        for (size_t row = 0; row < c->rows; row++)
            dots_tile(type, 1, 1, c, row, query);
}

static void dots(const dots_call *c)
{
    switch (c->type) {
    case VECTORS_F16: dots_of(VECTORS_F16, c); break;
    case VECTORS_BF16: dots_of(VECTORS_BF16, c); break;
    default: dots_of(VECTORS_F32, c);
    }
}

/* ---- s8: exact ---- */

#ifdef vi_dot
enum { S8_STEP = 4 * LANES };
/* One operand of the instruction is unsigned: vectors move by 128 where it is the first; the query's sum, taken once, corrects. */
#define s8_load(p) vi_load(p)
#define s8_move(v) vi_xor((v), vi_set((int32_t)0x80808080))
#if DOT_OFFSET != 0 /* both are signed */
#undef s8_move
#define s8_move(v) (v)
#endif
#define s8_add(acc, v, q) vi_dot(acc, s8_move(v), q)
#else
enum { S8_STEP = 2 * LANES };
#define s8_load(p) vi_widen(p)
#define s8_add(acc, v, q) ((acc) = vi_add((acc), vi_madd((v), (q))))
#endif

INLINE int32_t dot_bytes(size_t n, const int8_t *vector, const int8_t *query, size_t ahead)
{
    const size_t whole = n / S8_STEP * S8_STEP;
    vi acc = vi_set(0);
    for (size_t i = 0; i < whole; i += S8_STEP) {
        if (i % 64 == 0)
            fetch_ahead(vector + i, ahead);
        s8_add(acc, s8_load(vector + i), s8_load(query + i));
    }
    if (whole < n) {
        int8_t rest[2][S8_STEP] = { { 0 }, { 0 } };
        memcpy(rest[0], query + whole, n - whole);
        memcpy(rest[1], vector + whole, n - whole);
        s8_add(acc, s8_load(rest[1]), s8_load(rest[0]));
    }
    return vi_total(acc);
}

static void dots_s8(size_t rows, size_t n, const int8_t *vectors, size_t stride, const int8_t *query, int32_t *out)
{
    const size_t ahead = rows_ahead(stride) * stride;
    int32_t base = 0;
#if defined(vi_dot) && DOT_OFFSET == 0 /* 128 times the query's sum */
    const vi moved = vi_set((int32_t)0x80808080);
    vi sum = vi_set(0);
    size_t i = 0;
    for (; i + S8_STEP <= n; i += S8_STEP)
        vi_dot(sum, moved, vi_load(query + i));
    base = vi_total(sum);
    for (; i < n; i++)
        base += 128 * query[i];
#endif
    for (size_t row = 0; row < rows; row++)
        out[row] = dot_bytes(n, vectors + row * stride, query, ahead) - base;
}

/* A NaN is the first operand of the maximum, and the second is what is left. */
static void column_peaks(size_t rows, size_t columns, const float *x, size_t stride, float *out)
{
    for (size_t c = 0; c < columns; c += LANES) {
        vf most = vf_set(-INFINITY);
        for (size_t r = 0; r < rows; r++)
            most = vf_max(load_at(x + r * stride, c, columns), most);
        store_at(out, c, columns, most);
    }
}
