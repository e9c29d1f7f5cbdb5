#include "learn/first_order.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "learn/losses.h"
#include "learn/optimiser.h"

/* A unit vector of d dimensions has values of about 1 / sqrt(d): a coordinate is learned as if it were sqrt(d) times as large, as a
 * standardised number is, and where there are more than these all of them together step as these would. */
#define VECTOR_STEP 16.0

static size_t entry_bytes(const first_order *f)
{
    return sizeof *f->slots + sizeof *f->values + sizeof *f->steps + 4 * sizeof *f->weights + sizeof *f->unmet;
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
    f->steps = f->values + entries;
    f->unmet = (unsigned char *)(f->steps + entries);
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

/* One head's: each table's rows together. */
static int32_t resolve_all(const first_order *f, size_t n)
{
    const learn_state *s = f->state;
    const struct { tensor *t; float **to; } tables[] = { { s->hashed, f->weights }, { s->hashed_sums, f->sums }, { f->z, f->zs }, { f->v, f->vs } };
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && status == ECREC_OK; i++) {
        if (tables[i].t != NULL)
            status = tensor_float_rows(tables[i].t, f->slots, n, tables[i].to);
        else
            memset(tables[i].to, 0, n * sizeof *tables[i].to);
    }
    return status;
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
    return r->heads != 1 || at == 0 || resolve_all(f, at) == ECREC_OK ? ECREC_OK : error_nomem(err, "the touched weights", HASHED_CHUNK * sizeof(float));
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

/* A row's step on a head is walked over its features: first its reach is taken, then the weights move. */
typedef struct row_step {
    double gradient; /* as met */
    double taken;    /* of the weights' move */
    double reach;    /* by how much a `taken` of 1 lowers the row's logit */
    int measure;     /* the first walk */
} row_step;

/* x: the feature's value, by which its weight is multiplied; unit: the sum is kept as if it were `unit` times as large. */
static void adjust_scaled(const first_order *f, row_step *s, float *w, float *sum, double x, double unit, double rate)
{
    if (s->measure) {
        const float g = (float)(s->gradient * x * unit);
        *sum += g * g;
        s->reach += rate * x * x * unit / sqrt((double)SUM_START + *sum);
        return;
    }
    const double decay = f->options->hashed == HASHED_FTRL ? 0 : f->options->decay; /* FTRL's is of its own kind */
    *w = *w * (float)(1 - f->options->rate * decay) - (float)(rate * s->taken * x * unit) / sqrtf(SUM_START + *sum);
}

static void adjust(const first_order *f, row_step *s, float *w, float *sum, double x)
{
    adjust_scaled(f, s, w, sum, x, 1, f->options->rate);
}

static void learn_vector(const first_order *f, uint32_t field, const record *rec, float *w, float *sum, row_step *s)
{
    const ranker *r = f->state->now;
    const field_plan *p = &r->plan[field];
    float inverse = 0, cosine = 0;
    const float *v = record_vector(r, f->table, field, rec, &inverse);
    if (v == NULL && p->missing != NO_INDEX)
        adjust(f, s, &w[p->missing], &sum[p->missing], 1);
    const double unit = sqrt((double)p->dims), rate = f->options->rate * (unit * unit < VECTOR_STEP ? unit : VECTOR_STEP / unit);
    for (uint32_t i = 0; v != NULL && i < p->dims; i++)
        adjust_scaled(f, s, &w[p->dense + i], &sum[p->dense + i], (double)v[i] * inverse, unit, rate);
    if (p->cosine == NO_INDEX)
        return;
    if (record_cosine(r, f->table, field, rec, &cosine))
        adjust(f, s, &w[p->cosine], &sum[p->cosine], cosine);
    else
        adjust(f, s, &w[p->cosine + 1], &sum[p->cosine + 1], 1);
}

static void learn_dense(const first_order *f, const record *rec, size_t i, uint32_t head, row_step *s)
{
    const ranker *r = f->state->now;
    float *w = tensor_floats(f->state->dense) + (size_t)head * r->width, *sum = tensor_floats(f->state->sums) + (size_t)head * r->width;
    for (uint32_t k = 0; k < r->fields; k++) {
        const field_plan *p = &r->plan[k];
        const batch_column *c = &rec->batch->columns[k];
        if (p->kind == ECREC_FIELD_NUMBER && !column_has(c, rec->row)) {
            adjust(f, s, &w[p->missing], &sum[p->missing], 1);
        } else if (p->kind == ECREC_FIELD_NUMBER) {
            const double *statistics = (const double *)f->state->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
            adjust(f, s, &w[p->dense], &sum[p->dense], number_standard(statistics, column_number(c, rec->row)));
            /* it says what the bias does: many numbers together must not be a bias of many times the rate */
            adjust_scaled(f, s, &w[p->dense + 1], &sum[p->dense + 1], 1, 1, f->options->implicit ? f->options->rate / (r->numbers + 1.0) : f->options->rate);
        } else if (p->vector != 0) {
            learn_vector(f, k, rec, w, sum, s);
        }
    }
    adjust(f, s, &w[r->width - 1], &sum[r->width - 1], 1);
    for (size_t k = 0; r->unmet != NO_INDEX && k < r->categories + (size_t)r->pair_count; k++)
        if (f->unmet[f->starts[i] + k])
            adjust(f, s, &w[r->unmet + k], &sum[r->unmet + k], 1);
}

/* The first walk over the hashed features; AdaGrad's alone: f->steps gets what each weight moves by for a `taken` of 1. */
static int32_t measure_hashed(first_order *f, size_t i, uint32_t head, row_step *s)
{
    const ranker *r = f->state->now;
    const float eta = (float)f->options->rate;
    for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++) {
        if (r->heads != 1 && !resolve_one(f, ((uint64_t)head << r->hash_bits) + f->slots[k], &f->weights[k], &f->sums[k], &f->zs[k], &f->vs[k]))
            return ECREC_ERR_NOMEM;
        const float g = (float)(s->gradient * f->values[k]);
        *f->sums[k] += g * g;
    }
    for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++) { /* a slot may be there twice */
        f->steps[k] = eta * f->values[k] / sqrtf(f->options->start + *f->sums[k]);
        s->reach += (double)f->steps[k] * f->values[k];
    }
    return ECREC_OK;
}

static int32_t learn_hashed(const first_order *f, size_t i, uint32_t head, double gradient)
{
    const ranker *r = f->state->now;
    const trainer_options *o = f->options;
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
            adam_step(f->table, 1, w, z, v, &g, o->rate, o->decay, f->step);
        } else {
            adagrad_one(w, sum, g, (float)o->rate, (float)(1 - o->rate * o->decay), o->start);
        }
    }
    return ECREC_OK;
}

int32_t first_order_learn(first_order *f, const record *rec, size_t i, uint32_t head, double gradient, const loss_shape *shape)
{
    const trainer_options *o = f->options;
    row_step s = { gradient, gradient, 0, 1 };
    learn_dense(f, rec, i, head, &s);
    if (o->implicit && measure_hashed(f, i, head, &s) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    if (o->implicit)
        s.taken = loss_gradient_after(shape, gradient, s.reach);
    s.measure = 0;
    learn_dense(f, rec, i, head, &s);
    if (!o->implicit)
        return learn_hashed(f, i, head, gradient);
    const float taken = (float)s.taken, keep = (float)(1 - o->rate * o->decay);
    for (size_t k = f->starts[i]; k < f->starts[i + 1]; k++)
        *f->weights[k] = *f->weights[k] * keep - taken * f->steps[k];
    return ECREC_OK;
}
