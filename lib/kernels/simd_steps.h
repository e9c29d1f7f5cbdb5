/* Rows of hashed tables: their weighted sum, and an optimiser's step on one. Each operation is rounded on its own, as in the portable
 * level, so that every level gives the same bits. */

static void sum_rows(size_t rows, size_t n, const float *const *from, const float *by, float *out)
{
    enum { SOON = 4 };
    for (size_t r = 0; r < rows; r++) {
        if (r + SOON < rows && from[r + SOON] != NULL)
            for (size_t i = 0; i < n; i += 16)
                __builtin_prefetch(from[r + SOON] + i, 0, 3);
        if (from[r] == NULL)
            continue;
        const vf factor = vf_set(by[r]);
        for (size_t i = 0; i < n; i += LANES)
            store_at(out, i, n, vf_add(load_at(out, i, n), vf_mul(factor, load_at(from[r], i, n))));
    }
}

static void step_adagrad(size_t n, float *w, float *sum, const float *g, float rate, float keep, float start)
{
    const vf eta = vf_set(rate), rest = vf_set(keep), first = vf_set(start);
    for (size_t i = 0; i < n; i += LANES) {
        const vf x = load_at(g, i, n), total = vf_add(load_at(sum, i, n), vf_mul(x, x));
        store_at(sum, i, n, total);
        store_at(w, i, n, vf_sub(vf_mul(load_at(w, i, n), rest), vf_div(vf_mul(eta, x), vf_sqrt(vf_add(first, total)))));
    }
}

static void step_adam(size_t n, float *w, float *m, float *v, const float *g, const adam_factors *f)
{
    const vf eta = vf_set(f->rate), root = vf_set(f->root), keep = vf_set(f->keep), first = vf_set(f->first), second = vf_set(f->second), least = vf_set(f->least);
    for (size_t i = 0; i < n; i += LANES) {
        const vf x = load_at(g, i, n), old_m = load_at(m, i, n), old_v = load_at(v, i, n);
        const vf a = vf_add(old_m, vf_mul(first, vf_sub(x, old_m))), b = vf_add(old_v, vf_mul(second, vf_sub(vf_mul(x, x), old_v)));
        store_at(m, i, n, a);
        store_at(v, i, n, b);
        store_at(w, i, n, vf_sub(vf_mul(load_at(w, i, n), keep), vf_div(vf_mul(eta, a), vf_add(vf_mul(vf_sqrt(b), root), least))));
    }
}
