/* Row by row: norms, softmax, dot products, bytes. Part of simd.h. */

/* Sums over a row keep four vectors, so that additions need not wait for each other: vector i goes to the (i mod 4)-th. */
static void layer_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias, float eps,
                       float *out, size_t out_stride)
{
    const size_t whole = n / LANES * LANES, four = n / (4 * LANES) * (4 * LANES);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        vf sum[4] = { vf_set(0), vf_set(0), vf_set(0), vf_set(0) }, squares[4] = { vf_set(0), vf_set(0), vf_set(0), vf_set(0) };
        for (size_t i = 0; i < four; i += 4 * LANES)
            UNROLL
            for (int j = 0; j < 4; j++)
                sum[j] = vf_add(sum[j], vf_load(row + i + (size_t)j * LANES));
        for (size_t i = four; i < n; i += LANES)
            sum[0] = vf_add(sum[0], load_at(row, i, n));
        const vf mean = vf_set(vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3]))) / (float)n);
        for (size_t i = 0; i < four; i += 4 * LANES)
            UNROLL
            for (int j = 0; j < 4; j++) {
                const vf d = vf_sub(vf_load(row + i + (size_t)j * LANES), mean);
                squares[j] = vf_fma(d, d, squares[j]);
            }
        for (size_t i = four; i < whole; i += LANES) {
            const vf d = vf_sub(vf_load(row + i), mean);
            squares[0] = vf_fma(d, d, squares[0]);
        }
        float rest = 0;
        const float m = vf_first(mean);
        for (size_t i = whole; i < n; i++)
            rest += (row[i] - m) * (row[i] - m);
        const float total = vf_sum(vf_add(vf_add(squares[0], squares[1]), vf_add(squares[2], squares[3]))) + rest;
        const vf inverse = vf_set(1.0f / sqrtf(total / (float)n + eps));
        float *to = out + r * out_stride;
        if (bias != NULL)
            for (size_t i = 0; i < whole; i += LANES)
                vf_store(to + i, vf_add(vf_mul(vf_mul(vf_sub(vf_load(row + i), mean), inverse), vf_load(weight + i)), vf_load(bias + i)));
        else
            for (size_t i = 0; i < whole; i += LANES)
                vf_store(to + i, vf_mul(vf_mul(vf_sub(vf_load(row + i), mean), inverse), vf_load(weight + i)));
        if (whole < n) {
            vf v = vf_mul(vf_mul(vf_sub(vf_load_some(row + whole, n - whole), mean), inverse), vf_load_some(weight + whole, n - whole));
            if (bias != NULL)
                v = vf_add(v, vf_load_some(bias + whole, n - whole));
            vf_store_some(to + whole, v, n - whole);
        }
    }
}

static void rms_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, float eps, float *out,
                     size_t out_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        vf squares = vf_set(0);
        for (size_t i = 0; i < n; i += LANES) {
            vf v = load_at(row, i, n);
            squares = vf_fma(v, v, squares);
        }
        vf inverse = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)n + eps));
        for (size_t i = 0; i < n; i += LANES)
            store_at(out + r * out_stride, i, n, vf_mul(vf_mul(load_at(row, i, n), inverse), load_at(weight, i, n)));
    }
}

static void exponential(size_t n, const float *x, float *out)
{
    for (size_t i = 0; i < n; i += LANES)
        store_at(out, i, n, vf_exp(load_at(x, i, n)));
}

static float softmax(size_t n, const float *x, float *out)
{
    size_t whole = n / LANES * LANES;
    vf most = vf_set(-INFINITY), sum = vf_set(0);
    for (size_t i = 0; i < whole; i += LANES)
        most = vf_max(vf_load(x + i), most);
    float top = vf_highest(most);
    for (size_t i = whole; i < n; i++)
        top = x[i] > top ? x[i] : top;
    if (top == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] != x[i] ? x[i] : 0;
        return -INFINITY;
    }
    vf shift = vf_set(top);
    for (size_t i = 0; i < whole; i += LANES) {
        vf e = vf_exp_down(vf_sub(vf_load(x + i), shift));
        sum = vf_add(sum, e);
        vf_store(out + i, e);
    }
    float total = vf_sum(sum);
    if (whole < n) {
        float tail[LANES];
        vf_store(tail, vf_exp_down(vf_sub(vf_load_some(x + whole, n - whole), shift)));
        for (size_t i = whole; i < n; i++)
            total += out[i] = tail[i - whole];
    }
    vf inverse = vf_set(1.0f / total);
    for (size_t i = 0; i < n; i += LANES)
        store_at(out, i, n, vf_mul(load_at(out, i, n), inverse));
    return top + logf(total);
}

static float dot_f32(size_t n, const float *a, const float *b)
{
    vf s0 = vf_set(0), s1 = vf_set(0), s2 = vf_set(0), s3 = vf_set(0);
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 = vf_fma(vf_load(a + i), vf_load(b + i), s0);
        s1 = vf_fma(vf_load(a + i + LANES), vf_load(b + i + LANES), s1);
        s2 = vf_fma(vf_load(a + i + 2 * LANES), vf_load(b + i + 2 * LANES), s2);
        s3 = vf_fma(vf_load(a + i + 3 * LANES), vf_load(b + i + 3 * LANES), s3);
    }
    for (; i < n; i += LANES)
        s0 = vf_fma(load_at(a, i, n), load_at(b, i, n), s0);
    return vf_sum(vf_add(vf_add(s0, s1), vf_add(s2, s3)));
}

static void axpy_f32(size_t n, float a, const float *x, float *y)
{
    vf factor = vf_set(a);
    for (size_t i = 0; i < n; i += LANES)
        store_at(y, i, n, vf_fma(factor, load_at(x, i, n), load_at(y, i, n)));
}

static void gather_s8(size_t rows, size_t n, const uint32_t *ids, const int8_t *table, size_t stride, const float *scales, float *out)
{
    enum { SOON = 3 };
    const size_t whole = n / LANES * LANES;
    for (size_t r = 0; r < rows; r++) {
        const int8_t *row = table + ids[r] * stride;
        const float scale = scales[ids[r]];
        float *to = out + r * n;
        if (r + SOON < rows) {
            __builtin_prefetch(scales + ids[r + SOON], 0, 3);
            for (size_t i = 0; i < n; i += 64)
                __builtin_prefetch(table + ids[r + SOON] * stride + i, 0, 3);
        }
        for (size_t i = 0; i < whole; i += LANES)
            vf_store(to + i, vf_add(vf_load(to + i), vf_mul(vf_of_s8(row + i), vf_set(scale))));
        for (size_t i = whole; i < n; i++)
            to[i] += (float)row[i] * scale;
    }
}

/* A row's smallest and largest value, and 0: four vectors of each, as above. */
INLINE void row_range(const int times, size_t k, const float *row, const float *by, float *least, float *most)
{
    vf low[4] = { vf_set(0), vf_set(0), vf_set(0), vf_set(0) }, high[4] = { vf_set(0), vf_set(0), vf_set(0), vf_set(0) };
    size_t at = 0;
    for (; at + 4 * LANES <= k; at += 4 * LANES)
        UNROLL
        for (int j = 0; j < 4; j++) {
            vf v = vf_load(row + at + (size_t)j * LANES);
            if (times)
                v = vf_mul(v, vf_load(by + at + (size_t)j * LANES));
            low[j] = vf_min(v, low[j]); /* a NaN leaves the second operand */
            high[j] = vf_max(v, high[j]);
        }
    for (; at < k; at += LANES) {
        const vf v = times ? vf_mul(load_at(row, at, k), load_at(by, at, k)) : load_at(row, at, k);
        low[0] = vf_min(v, low[0]);
        high[0] = vf_max(v, high[0]);
    }
    const vf lowest = vf_min(vf_min(low[0], low[1]), vf_min(low[2], low[3]));
    *least = -vf_highest(vf_sub(vf_set(0), lowest));
    *most = vf_highest(vf_max(vf_max(high[0], high[1]), vf_max(high[2], high[3])));
}

/* By their making the values round to 0 .. 256, and bytes_store makes 256 a 255; a NaN becomes the second operand, 0. */
INLINE void row_bytes(const int times, size_t k, const float *row, const float *by, float inverse, float offset, uint8_t *to)
{
    const vf factor = vf_set(inverse), plus = vf_set(offset), none = vf_set(0);
    const size_t whole = k / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        const vf x = times ? vf_mul(vf_load(row + i), vf_load(by + i)) : vf_load(row + i);
        bytes_store(to + i, vf_max(vf_add(vf_round(vf_mul(x, factor)), plus), none), LANES);
    }
    if (whole < k) {
        const vf x = times ? vf_mul(vf_load_some(row + whole, k - whole), vf_load_some(by + whole, k - whole)) : vf_load_some(row + whole, k - whole);
        bytes_store(to + whole, vf_max(vf_add(vf_round(vf_mul(x, factor)), plus), none), k - whole);
    }
}

/* doc/quantisation.md; the same bits as the reference. */
static void quantize_rows(size_t m, size_t k, const float *x, size_t x_stride, const float *by, uint8_t *q, size_t q_stride, float *scale,
                          int32_t *zero)
{
    for (size_t r = 0; r < m; r++) {
        const float *row = x + r * x_stride;
        float least, most;
        if (by != NULL)
            row_range(1, k, row, by, &least, &most);
        else
            row_range(0, k, row, by, &least, &most);
        float range = most - least, inverse = range > 0 ? 255.0f / range : 0;
        if (!(inverse <= 3.4e38f))
            inverse = 0;
        const float offset = inverse > 0 ? round_even(-least * inverse) : 0;
        scale[r] = range / 255.0f;
        zero[r] = (int32_t)offset;
        if (by != NULL)
            row_bytes(1, k, row, by, inverse, offset, q + r * q_stride);
        else
            row_bytes(0, k, row, by, inverse, offset, q + r * q_stride);
        memset(q + r * q_stride + k, 0, q_stride - k);
    }
}
