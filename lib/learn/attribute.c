#include "learn/attribute.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "learn/backward.h"
#include "rank/targets.h"

enum { LEAST_STEPS = NETWORK_ROWS, MOST_STEPS = 8192 };
#define JUST_AFTER 1e-5 /* the beginning of the way */
#define CLOSE 2e-4 /* as near as the sum should come, times the change where that is above 1 */

typedef struct attribution {
    const ranker *r;
    const kernels *table;
    learn_rows rows;
    ecrec_batch *none;      /* one row without any field */
    uint64_t *categories;   /* of it */
    const float **texts;    /* of it: NULL each */
    network_pass pass;      /* NETWORK_ROWS points of a path */
    network_gradients gradients;
    network_packed *transposed;
    attention_room room;
    float *x, *base;        /* inputs: of the row and of the record without fields */
    unsigned char *present;
    double *sums;           /* fields */
    void *block;
    size_t bytes;
} attribution;

static size_t take_all(attribution *a, void *memory)
{
    const network_plan *p = &a->r->net;
    scratch s = { memory, 0, SIZE_MAX };
    a->categories = scratch_take(&s, (a->r->categories + 1) * sizeof *a->categories);
    a->texts = scratch_take(&s, (a->r->slots + 1) * sizeof *a->texts);
    a->sums = scratch_take(&s, a->r->fields * sizeof *a->sums);
    a->x = scratch_take(&s, p->inputs * sizeof(float));
    a->base = scratch_take(&s, p->inputs * sizeof(float));
    a->present = scratch_take(&s, p->fields + 1);
    void *pass = scratch_take(&s, network_pass_take(&a->pass, p, NETWORK_ROWS, NULL));
    void *gradients = scratch_take(&s, network_gradients_take(&a->gradients, p, NETWORK_ROWS, NULL));
    void *room = scratch_take(&s, attention_room_take(&a->room, a->r, NULL));
    if (memory != NULL) {
        (void)network_pass_take(&a->pass, p, NETWORK_ROWS, pass);
        (void)network_gradients_take(&a->gradients, p, NETWORK_ROWS, gradients);
        (void)attention_room_take(&a->room, a->r, room);
    }
    return s.used;
}

static double share_of(const attribution *a, size_t row, uint32_t head)
{
    double sum = 0;
    for (int part = 0; part < NETWORK_PARTS; part++)
        if (network_has(&a->r->net, part))
            sum += a->pass.shares[((size_t)part * a->pass.rows + row) * a->r->heads + head];
    return sum;
}

/* Points (first + i + 1/2) / steps of the way from base to x; at: instead, the one point there. */
static void walk(attribution *a, size_t first, size_t steps, size_t n, double at)
{
    const network_plan *p = &a->r->net;
    for (size_t i = 0; i < n; i++) {
        const float t = (float)(at >= 0 ? at : ((double)(first + i) + 0.5) / (double)steps);
        for (uint32_t k = 0; k < p->inputs; k++)
            a->pass.x0[i * p->inputs + k] = a->base[k] + t * (a->x[k] - a->base[k]);
        memcpy(a->pass.present + i * p->fields, a->present, p->fields);
    }
    network_forward(p, a->r->packed, a->r->network != NULL ? a->r->network->data : NULL, a->table, &a->pass, 0, n, NULL);
}

/* a->sums: each field's integral over so many steps. Returns their sum. */
static double integrate(attribution *a, uint32_t head, size_t steps)
{
    const network_plan *p = &a->r->net;
    double total = 0;
    memset(a->sums, 0, a->r->fields * sizeof *a->sums);
    for (size_t first = 0; first < steps; first += NETWORK_ROWS) {
        walk(a, first, steps, NETWORK_ROWS, -1);
        memset(a->gradients.heads, 0, NETWORK_ROWS * (size_t)p->heads * sizeof(float));
        for (size_t i = 0; i < NETWORK_ROWS; i++)
            a->gradients.heads[i * p->heads + head] = 1;
        network_backward(p, a->transposed, a->r->network != NULL ? a->r->network->data : NULL, a->table, &a->pass, &a->gradients, 0, NETWORK_ROWS, 0);
        for (uint32_t f = 0; f < a->r->fields; f++) {
            const uint32_t slot = a->r->plan[f].embedded;
            for (size_t i = 0; i < NETWORK_ROWS && slot != NO_INDEX; i++)
                for (uint32_t k = slot * p->width; k < (slot + 1) * p->width; k++)
                    a->sums[f] += (double)a->gradients.x0[i * p->inputs + k] * ((double)a->x[k] - a->base[k]) / (double)steps;
        }
    }
    for (uint32_t f = 0; f < a->r->fields; f++)
        total += a->sums[f];
    return total;
}

/* A cosine with a side of zeros (the interest of no history) is not there, and with the least of it all there: what the towers change by at
 * once is of those sides. */
static void give_jump(const attribution *a, double jump, float *out)
{
    const network_plan *p = &a->r->net;
    uint32_t count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t f = 0; f < a->r->fields && p->towers != 0; f++) {
            const uint32_t slot = a->r->plan[f].embedded;
            if (slot == NO_INDEX || a->r->plan[f].history == NO_INDEX || a->table->dot_f32(p->width, a->base + slot * p->width, a->base + slot * p->width) > 0)
                continue;
            if (pass == 0)
                count++;
            else
                out[f] += (float)(jump / count);
        }
}

/* The network's share of a head, given to the fields. Returns the share of the record without fields. */
static double attribute_network(attribution *a, uint32_t head, float *out, double *gap)
{
    walk(a, 0, 1, 1, 0);
    const double from = share_of(a, 0, head);
    walk(a, 0, 1, 1, JUST_AFTER);
    const double start = share_of(a, 0, head);
    walk(a, 0, 1, 1, 1);
    const double change = share_of(a, 0, head) - start;
    double off = 0;
    give_jump(a, start - from, out);
    for (size_t steps = LEAST_STEPS; steps <= MOST_STEPS; steps *= 2) {
        off = fabs(integrate(a, head, steps) - change);
        if (off <= CLOSE * fmax(1, fabs(change)))
            break;
    }
    *gap = fmax(*gap, off);
    for (uint32_t f = 0; f < a->r->fields; f++)
        out[f] += (float)a->sums[f];
    return from;
}

static void attribute_row(attribution *a, size_t row, float *out, double *gap)
{
    const ranker *r = a->r;
    const record rec = rows_record(&a->rows, r, row), none = { a->none, 0, r->slots != 0 ? a->texts : NULL, NULL };
    const uint64_t *categories = rows_categories(&a->rows, r, row);
    if (r->net.inputs != 0)
        network_gather(r, a->table, &rec, categories, NULL, &a->room, a->x, a->present);
    for (uint32_t h = 0; h < r->heads; h++, out += r->fields + 1) {
        double base = ((const float *)r->dense->data)[(size_t)h * r->width + r->width - 1];
        for (uint32_t f = 0; f < r->fields; f++) {
            const double without = record_field(r, a->table, &none, a->categories, h, f);
            out[f] = (float)(record_field(r, a->table, &rec, categories, h, f) - without);
            base += without;
        }
        for (uint32_t i = 0; i < r->pair_count; i++) { /* a half each */
            const double without = record_pair(r, a->categories, h, i), half = (record_pair(r, categories, h, i) - without) / 2;
            for (uint32_t f = 0; f < r->fields; f++)
                if (r->plan[f].category != NO_INDEX && (r->plan[f].category == r->pairs[i].a || r->plan[f].category == r->pairs[i].b))
                    out[f] += (float)half;
            base += without;
        }
        if (r->net.inputs != 0)
            base += attribute_network(a, h, out, gap);
        out[r->fields] = (float)base;
    }
}

/* Values in their own unit. */
static void unscale(const ranker *r, const ecrec_schema *s, float *out)
{
    for (uint32_t l = 0, head = 0; l < s->label_count; head += label_outputs(&s->labels[l]), l++) {
        const double *row = target_row(r->targets, s, l);
        float *own = out + (size_t)head * (r->fields + 1);
        for (uint32_t f = 0; row != NULL && f <= r->fields; f++)
            own[f] = (float)(own[f] / row[NUMBER_FROZEN_SCALE] + (f == r->fields ? row[NUMBER_FROZEN_MEAN] : 0));
    }
}

static int32_t open_all(attribution *a, const learn_source *source, const ecrec_schema *schema, const ecrec_batch *batch, ecrec_error *err)
{
    const ranker *r = a->r;
    memory *m = &source->context->m;
    int32_t status = rows_open(&a->rows, source, r, batch, err);
    if (status == ECREC_OK && (status = ecrec_batch_create(schema, &a->none, err)) == ECREC_OK)
        status = ecrec_batch_reset(a->none, 1, err);
    if (status != ECREC_OK)
        return status;
    a->bytes = take_all(a, NULL);
    if ((a->block = memory_zero(m, a->bytes)) == NULL || (r->net.inputs != 0 && network_transposed_create(m, &r->net, &a->transposed) != ECREC_OK))
        return error_nomem(err, "the attributions", a->bytes);
    (void)take_all(a, a->block);
    for (uint32_t f = 0; f < r->fields; f++)
        if (r->plan[f].category != NO_INDEX)
            a->categories[r->plan[f].category] = record_category(r, f, a->none, 0);
    const record none = { a->none, 0, r->slots != 0 ? a->texts : NULL, NULL };
    if (r->net.inputs != 0)
        network_gather(r, a->table, &none, a->categories, NULL, &a->room, a->base, a->present);
    if (r->net.inputs != 0 && r->network != NULL)
        network_transpose(a->transposed, &r->net, r->network->data);
    return ECREC_OK;
}

int32_t attribute_run(const learn_source *source, const ecrec_schema *schema, const ranker *r, const ecrec_batch *batch, float *out, double *gap,
                      ecrec_error *err)
{
    attribution a = { .r = r, .table = source->context->kernels };
    const int32_t status = open_all(&a, source, schema, batch, err);
    *gap = 0;
    for (size_t row = 0; row < batch->rows && status == ECREC_OK; row++) {
        attribute_row(&a, row, out + row * r->heads * (r->fields + 1), gap);
        unscale(r, schema, out + row * r->heads * (r->fields + 1));
    }
    network_packed_release(a.transposed);
    memory_release(&source->context->m, a.block, a.block != NULL ? a.bytes : 0);
    ecrec_batch_release(a.none);
    if (a.rows.m != NULL)
        rows_close(&a.rows);
    return status;
}
