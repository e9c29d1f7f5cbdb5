/* Row by row: norms, softmax, dot products, bytes. Part of simd.h. */

enum { ROWS_TOGETHER = 8 /* rows whose sums are found before the first of them is written: additions of one fill the waits of another */ };

/* The sum of a row, or of the squares of what is left when `mean` is taken off. It is 64 sums, number i mod 64 of each value up to the
 * last whole 16, then those of four 16 wide vectors, then the rest: one order, whatever the width of the level's own vectors. */
INLINE float row_sum(const int squares, size_t n, const float *row, float mean)
{
    const size_t whole = n / PANEL * PANEL;
    const vf off = vf_set(mean);
    vf sum[4 * PARTS], four[PARTS];
    UNROLL
    for (int j = 0; j < 4 * PARTS; j++)
        sum[j] = vf_set(0);
    size_t at = 0;
    for (; at + 4 * PANEL <= whole; at += 4 * PANEL)
        UNROLL
        for (int j = 0; j < 4 * PARTS; j++) {
            const vf v = vf_load(row + at + (size_t)j * LANES), d = vf_sub(v, off);
            sum[j] = squares ? vf_fma(d, d, sum[j]) : vf_add(sum[j], v);
        }
    UNROLL
    for (int j = 0; j < 3 * PARTS; j++)
        if (at + (size_t)(j / PARTS + 1) * PANEL <= whole) {
            const vf v = vf_load(row + at + (size_t)j * LANES), d = vf_sub(v, off);
            sum[j] = squares ? vf_fma(d, d, sum[j]) : vf_add(sum[j], v);
        }
    UNROLL
    for (int p = 0; p < PARTS; p++)
        four[p] = vf_add(vf_add(sum[p], sum[PARTS + p]), vf_add(sum[2 * PARTS + p], sum[3 * PARTS + p]));
    float total = panel_sum(four);
    for (size_t i = whole; i < n; i++)
        total += squares ? (row[i] - mean) * (row[i] - mean) : row[i];
    return total;
}

INLINE void norm_row(const int centred, const int biased, size_t n, const float *row, float mean, float inverse, const float *weight, const float *bias,
                     float *to)
{
    const vf off = vf_set(mean), by = vf_set(inverse);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vf x = centred ? vf_sub(vf_load(row + i), off) : vf_load(row + i), v = vf_mul(vf_mul(x, by), vf_load(weight + i));
        vf_store(to + i, biased ? vf_add(v, vf_load(bias + i)) : v);
    }
    if (i < n) {
        const vf x = centred ? vf_sub(vf_load_some(row + i, n - i), off) : vf_load_some(row + i, n - i);
        const vf v = vf_mul(vf_mul(x, by), vf_load_some(weight + i, n - i));
        vf_store_some(to + i, biased ? vf_add(v, vf_load_some(bias + i, n - i)) : v, n - i);
    }
}

static void layer_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, const float *bias, float eps,
                       float *out, size_t out_stride)
{
    for (size_t first = 0; first < rows; first += ROWS_TOGETHER) {
        const size_t some = rows - first < ROWS_TOGETHER ? rows - first : ROWS_TOGETHER;
        float mean[ROWS_TOGETHER], inverse[ROWS_TOGETHER];
        for (size_t r = 0; r < some; r++)
            mean[r] = row_sum(0, n, x + (first + r) * x_stride, 0) / (float)n;
        for (size_t r = 0; r < some; r++)
            inverse[r] = 1.0f / sqrtf(row_sum(1, n, x + (first + r) * x_stride, mean[r]) / (float)n + eps);
        for (size_t r = 0; r < some; r++)
            if (bias != NULL)
                norm_row(1, 1, n, x + (first + r) * x_stride, mean[r], inverse[r], weight, bias, out + (first + r) * out_stride);
            else
                norm_row(1, 0, n, x + (first + r) * x_stride, mean[r], inverse[r], weight, bias, out + (first + r) * out_stride);
    }
}

static void rms_norm(size_t rows, size_t n, const float *x, size_t x_stride, const float *weight, float eps, float *out,
                     size_t out_stride)
{
    for (size_t first = 0; first < rows; first += ROWS_TOGETHER) {
        const size_t some = rows - first < ROWS_TOGETHER ? rows - first : ROWS_TOGETHER;
        float inverse[ROWS_TOGETHER];
        for (size_t r = 0; r < some; r++)
            inverse[r] = 1.0f / sqrtf(row_sum(1, n, x + (first + r) * x_stride, 0) / (float)n + eps);
        for (size_t r = 0; r < some; r++)
            norm_row(0, 0, n, x + (first + r) * x_stride, 0, inverse[r], weight, NULL, out + (first + r) * out_stride);
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
    size_t i = 0;
#ifdef bytes_of_four /* whole numbers of any size, saturated: a NaN is the least of them */
    const vi more = vi_set((int32_t)offset);
    for (; i + 4 * LANES <= k; i += 4 * LANES) {
        vf x[4];
        UNROLL
        for (int j = 0; j < 4; j++) {
            x[j] = vf_load(row + i + (size_t)j * LANES);
            x[j] = vf_mul(times ? vf_mul(x[j], vf_load(by + i + (size_t)j * LANES)) : x[j], factor);
        }
        bytes_of_four(to + i, x, more);
    }
#endif
    for (; i + LANES <= k; i += LANES) {
        const vf x = times ? vf_mul(vf_load(row + i), vf_load(by + i)) : vf_load(row + i);
        bytes_store(to + i, vf_max(vf_add(vf_round(vf_mul(x, factor)), plus), none), LANES);
    }
    if (i < k) {
        const vf x = times ? vf_mul(vf_load_some(row + i, k - i), vf_load_some(by + i, k - i)) : vf_load_some(row + i, k - i);
        bytes_store(to + i, vf_max(vf_add(vf_round(vf_mul(x, factor)), plus), none), k - i);
    }
}

/* doc/quantisation.md; the same bits as the reference. */
static void quantize_rows(size_t m, size_t k, const float *x, size_t x_stride, const float *by, uint8_t *q, size_t q_stride, float *scale,
                          int32_t *zero)
{
    enum { TOGETHER = 4 };
    for (size_t first = 0; first < m; first += TOGETHER) {
        const size_t end = m - first < TOGETHER ? m : first + TOGETHER;
        float inverse[TOGETHER], offset[TOGETHER];
        for (size_t r = first; r < end; r++) {
            float least, most;
            if (by != NULL)
                row_range(1, k, x + r * x_stride, by, &least, &most);
            else
                row_range(0, k, x + r * x_stride, by, &least, &most);
            const float range = most - least, by_range = range > 0 ? 255.0f / range : 0, used = by_range <= 3.4e38f ? by_range : 0;
            inverse[r - first] = used;
            offset[r - first] = used > 0 ? round_even(-least * used) : 0;
            scale[r] = range / 255.0f;
            zero[r] = (int32_t)offset[r - first];
        }
        for (size_t r = first; r < end; r++) {
            if (by != NULL)
                row_bytes(1, k, x + r * x_stride, by, inverse[r - first], offset[r - first], q + r * q_stride);
            else
                row_bytes(0, k, x + r * x_stride, by, inverse[r - first], offset[r - first], q + r * q_stride);
            memset(q + r * q_stride + k, 0, q_stride - k);
        }
    }
}
