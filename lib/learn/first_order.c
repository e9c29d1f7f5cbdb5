#include "learn/first_order.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "learn/optimiser.h"

/* A unit vector of d dimensions has values of about 1 / sqrt(d): the steps of its coordinates are scaled alike, or the first
 * row would move the logit by eta * sqrt(d). */
#define VECTOR_STEP 16.0

static size_t entry_bytes(const first_order *f)
{
    return sizeof *f->slots + sizeof *f->values + 4 * sizeof *f->weights + sizeof *f->unmet;
}

/* Room for `entries`; what is there is lost. */
static int32_t make_room(first_order *f, size_t entries)
{
    if (entries <= f->capacity)
        return ECREC_OK;
    void *grown = memory_allocate(f->m, memory_product(entries, entry_bytes(f)));
    if (grown == NULL)
        return ECREC_ERR_NOMEM;
    memory_release(f->m, f->weights, f->capacity * entry_bytes(f));
    f->capacity = entries;
    f->weights = grown;
    f->sums = f->weights + entries;
    f->zs = f->sums + entries;
    f->vs = f->zs + entries;
    f->slots = (uint64_t *)(void *)(f->vs + entries);
    f->values = (float *)(void *)(f->slots + entries);
    f->unmet = (unsigned char *)(f->values + entries);
    return ECREC_OK;
}

int32_t first_order_create(first_order *f, memory *m, learn_state *state, const kernels *table, const trainer_options *options, size_t rows, ecrec_error *err)
{
    memset(f, 0, sizeof *f);
    f->m = m;
    f->state = state;
    f->table = table;
    f->options = options;
    f->rows = rows;
    f->starts = memory_allocate(m, (rows + 1) * sizeof *f->starts);
    if (f->starts == NULL || make_room(f, rows * (state->now->categories + (size_t)state->now->pair_count) + 1) != ECREC_OK)
        return error_nomem(err, "the rows' weights", rows * sizeof *f->starts);
    const uint64_t table_rows = (uint64_t)state->now->heads << state->now->hash_bits;
    tensor **const more[] = { &f->z, &f->v };
    for (int i = 0; i < (options->hashed == HASHED_ADAM ? 2 : options->hashed == HASHED_FTRL) && state->now->hashed; i++)
        if (tensor_chunked(m, TYPE_F32, table_rows, 1, HASHED_CHUNK, more[i]) != ECREC_OK)
            return error_nomem(err, "the optimiser's tables", 0);
    return ECREC_OK;
}

void first_order_destroy(first_order *f)
{
    memory_release(f->m, f->starts, (f->rows + 1) * sizeof *f->starts);
    memory_release(f->m, f->weights, f->capacity * entry_bytes(f));
    tensor_release(f->z);
    tensor_release(f->v);
}

static int resolve_one(const first_order *f, uint64_t row, float **w, float **sum, float **z, float **v)
{
    const learn_state *s = f->state;
    *z = *v = NULL;
    return (*w = tensor_row_edit(s->hashed, row)) != NULL && (*sum = tensor_row_edit(s->hashed_sums, row)) != NULL &&
           (f->z == NULL || (*z = tensor_row_edit(f->z, row)) != NULL) && (f->v == NULL || (*v = tensor_row_edit(f->v, row)) != NULL);
}

int32_t first_order_resolve(first_order *f, const learn_rows *rows, const size_t *order, size_t first, size_t n, ecrec_error *err)
{
    const ranker *r = f->state->now;
    const uint64_t mask = ((uint64_t)1 << r->hash_bits) - 1;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t row = order != NULL ? order[first + i] : first + i;
        at += r->categories + (size_t)r->pair_count + rows->extra_starts[row + 1] - rows->extra_starts[row];
    }
    if (make_room(f, at) != ECREC_OK)
        return error_nomem(err, "the rows' weights", at * entry_bytes(f));
    at = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t row = order != NULL ? order[first + i] : first + i;
        const uint64_t *c = rows_categories(rows, r, row);
        f->starts[i] = at;
        for (uint32_t k = 0; k < r->categories; k++)
            f->slots[at++] = c[k] & mask;
        for (uint32_t k = 0; k < r->pair_count; k++)
            f->slots[at++] = pair_hash(c[r->pairs[k].a], c[r->pairs[k].b]) & mask;
        for (size_t k = f->starts[i]; k < at; k++)
            f->values[k] = 1;
        for (size_t k = rows->extra_starts[row]; k < rows->extra_starts[row + 1]; k++, at++) {
            f->slots[at] = rows->extra_slots[k];
            f->values[at] = rows->extra_values[k];
        }
    }
    f->starts[n] = at;
    for (size_t k = 0; k < at && r->heads == 1; k++)
        if (!resolve_one(f, f->slots[k], &f->weights[k], &f->sums[k], &f->zs[k], &f->vs[k]))
            return error_nomem(err, "the touched weights", HASHED_CHUNK * sizeof(float));
    return ECREC_OK;
}

void first_order_count(first_order *f, const learn_rows *rows, const size_t *list, size_t n, const tensor *sums, uint64_t *bits)
{
    const ranker *r = f->state->now;
    const uint64_t mask = ((uint64_t)1 << r->hash_bits) - 1;
    uint64_t *once = bits, *twice = bits + ((size_t)1 << r->hash_bits) / 64;
    for (size_t i = 0; i < n; i++) {
        const uint64_t *c = rows_categories(rows, r, list[i]);
        for (uint32_t k = 0; k < r->categories + r->pair_count; k++) {
            const schema_pair *p = k >= r->categories ? &r->pairs[k - r->categories] : NULL;
            const uint64_t slot = (p != NULL ? pair_hash(c[p->a], c[p->b]) : c[k]) & mask, bit = (uint64_t)1 << (slot & 63);
            const float *sum = tensor_row(sums, slot);
            if ((once[slot / 64] & bit) != 0 || (sum != NULL && *sum > 0))
                twice[slot / 64] |= bit;
            once[slot / 64] |= bit;
        }
    }
    f->met_twice = twice;
}

/* The unmet weights' share of a logit; which of the row's values are unmet is noted for the step. */
static double unmet_part(first_order *f, size_t i, const float *weights)
{
    const ranker *r = f->state->now;
    const size_t first = f->starts[i];
    double sum = 0;
    for (size_t k = 0; k < r->categories + (size_t)r->pair_count; k++) {
        const uint64_t slot = f->slots[first + k];
        int unmet;
        if (f->met_twice != NULL) {
            unmet = (f->met_twice[slot / 64] >> (slot & 63) & 1) == 0;
        } else {
            const float *learned = r->heads == 1 ? f->sums[first + k] : tensor_row(f->state->hashed_sums, slot);
            unmet = learned == NULL || *learned == 0;
        }
        f->unmet[first + k] = (unsigned char)unmet;
        sum += unmet ? weights[k] : 0;
    }
    return sum;
}

double first_order_logit(first_order *f, const record *rec, size_t i, uint32_t head)
{
    const ranker *r = f->state->now;
    const float *dense = tensor_floats(f->state->dense) + (size_t)head * r->width;
    double logit = dense[r->width - 1];
    if (r->unmet != NO_INDEX)
        logit += unmet_part(f, i, dense + r->unmet);
    for (uint32_t k = 0; k < r->fields; k++)
        if (r->plan[k].category == NO_INDEX)
            logit += dense_part(r, f->table, rec, head, k);
    if (r->heads == 1) {
        for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++)
            logit += (double)*f->weights[k] * f->values[k];
        return logit;
    }
    for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++) {
        const float *w = tensor_row(f->state->hashed, ((uint64_t)head << r->hash_bits) + f->slots[k]);
        logit += w != NULL ? (double)*w * f->values[k] : 0;
    }
    return logit;
}

static void adjust(const first_order *f, float *w, float *sum, double gradient, double rate)
{
    const float g = (float)gradient;
    const double decay = f->options->hashed == HASHED_FTRL ? 0 : f->options->decay; /* FTRL's is of its own kind */
    adagrad_step(1, w, sum, &g, rate, f->options->rate * decay / rate, SUM_START);
}

static void learn_vector(const first_order *f, uint32_t field, const record *rec, float *w, float *sum, double gradient)
{
    const ranker *r = f->state->now;
    const field_plan *p = &r->plan[field];
    const double eta = f->options->rate;
    float inverse = 0, cosine = 0;
    const float *v = record_vector(r, f->table, field, rec, &inverse);
    if (v == NULL && p->missing != NO_INDEX)
        adjust(f, &w[p->missing], &sum[p->missing], gradient, eta);
    const double rate = p->dims != 0 ? eta * VECTOR_STEP / sqrt((double)p->dims) : 0, scale = p->dims != 0 ? sqrt((double)p->dims) : 0;
    for (uint32_t i = 0; v != NULL && i < p->dims; i++) /* the sum is of gradients as if the values were of size 1 */
        adjust(f, &w[p->dense + i], &sum[p->dense + i], gradient * v[i] * inverse * scale, rate);
    if (p->cosine == NO_INDEX)
        return;
    if (record_cosine(r, f->table, field, rec, &cosine))
        adjust(f, &w[p->cosine], &sum[p->cosine], gradient * cosine, eta);
    else
        adjust(f, &w[p->cosine + 1], &sum[p->cosine + 1], gradient, eta);
}

static void learn_dense(const first_order *f, const record *rec, uint32_t head, double gradient)
{
    const ranker *r = f->state->now;
    const double eta = f->options->rate;
    float *w = tensor_floats(f->state->dense) + (size_t)head * r->width, *sum = tensor_floats(f->state->sums) + (size_t)head * r->width;
    for (uint32_t k = 0; k < r->fields; k++) {
        const field_plan *p = &r->plan[k];
        const batch_column *c = &rec->batch->columns[k];
        if (p->kind == ECREC_FIELD_NUMBER && !column_has(c, rec->row)) {
            adjust(f, &w[p->missing], &sum[p->missing], gradient, eta);
        } else if (p->kind == ECREC_FIELD_NUMBER) {
            const double *statistics = (const double *)f->state->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
            adjust(f, &w[p->dense], &sum[p->dense], gradient * number_standard(statistics, column_number(c, rec->row)), eta);
            adjust(f, &w[p->dense + 1], &sum[p->dense + 1], gradient, eta);
        } else if (p->vector != 0) {
            learn_vector(f, k, rec, w, sum, gradient);
        }
    }
    adjust(f, &w[r->width - 1], &sum[r->width - 1], gradient, eta);
}

int32_t first_order_learn(first_order *f, const record *rec, size_t i, uint32_t head, double gradient)
{
    const ranker *r = f->state->now;
    const trainer_options *o = f->options;
    const float eta = (float)o->rate, keep = (float)(1 - o->rate * o->decay);
    learn_dense(f, rec, head, gradient);
    float *dense = tensor_floats(f->state->dense) + (size_t)head * r->width, *dense_sums = tensor_floats(f->state->sums) + (size_t)head * r->width;
    for (size_t k = 0; r->unmet != NO_INDEX && k < r->categories + (size_t)r->pair_count; k++)
        if (f->unmet[f->starts[i] + k])
            adjust(f, &dense[r->unmet + k], &dense_sums[r->unmet + k], gradient, o->rate);
    for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++) {
        float *w, *sum, *z, *v;
        const float g = (float)(gradient * f->values[k]);
        if (r->heads == 1) {
            w = f->weights[k];
            sum = f->sums[k];
            z = f->zs[k];
            v = f->vs[k];
        } else if (!resolve_one(f, ((uint64_t)head << r->hash_bits) + f->slots[k], &w, &sum, &z, &v)) {
            return ECREC_ERR_NOMEM;
        }
        if (o->hashed == HASHED_FTRL) {
            ftrl_step(1, w, sum, z, &g, o->rate, o->decay, o->l1, o->start);
        } else if (o->hashed == HASHED_ADAM) {
            *sum += g * g;
            adam_step(1, w, z, v, &g, o->rate, o->decay, f->step);
        } else {
            adagrad_one(w, sum, g, eta, keep, o->start);
        }
    }
    return ECREC_OK;
}
