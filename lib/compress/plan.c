#include "compress/plan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "base/sort.h"
#include "encoder/backward.h"

typedef struct unit {
    float worth; /* importance, or importance for its cost */
    uint32_t layer, index;
    double cost; /* parameters or flops that go with it */
    int is_head;
} unit;

static int by_worth(const void *a, const void *b, void *opaque)
{
    const unit *x = a, *y = b;
    (void)opaque;
    if (x->worth != y->worth)
        return x->worth < y->worth ? -1 : 1;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static uint8_t **ones(arena *a, uint32_t layers, const uint32_t *width)
{
    uint8_t **out = arena_zero(a, layers * sizeof *out);
    for (uint32_t l = 0; out != NULL && l < layers; l++) {
        if (width[l] == 0)
            continue;
        if ((out[l] = arena_allocate(a, width[l])) == NULL)
            return NULL;
        memset(out[l], 1, width[l]);
    }
    return out;
}

int32_t plan_open(plan *p, memory *m, const importance *i, ecrec_error *err)
{
    memset(p, 0, sizeof *p);
    arena_init(&p->a, m);
    p->layers = i->layers;
    p->heads = i->heads;
    p->channels = i->channels;
    p->layer = arena_allocate(&p->a, i->layers);
    p->head = ones(&p->a, i->layers, i->heads);
    p->channel = ones(&p->a, i->layers, i->channels);
    if (p->layer == NULL || p->head == NULL || p->channel == NULL)
        return error_nomem(err, "a plan", i->layers);
    memset(p->layer, 1, i->layers);
    return ECREC_OK;
}

uint32_t plan_staying(const uint8_t *keep, uint32_t width)
{
    uint32_t n = 0;
    for (uint32_t u = 0; u < width; u++)
        n += keep[u];
    return n;
}

void plan_close(plan *p)
{
    if (p->a.m != NULL)
        arena_release(&p->a);
}

/* All heads and/or channels of layers that stay, least worth first. cost_heads/cost_channels 0: leave that kind out. */
static unit *list_units(arena *a, const plan *p, const importance *i, double cost_head, double cost_channel, int per_cost,
                        size_t *count)
{
    size_t n = 0, most = 0;
    for (uint32_t l = 0; l < p->layers; l++)
        most += (size_t)p->heads[l] + p->channels[l];
    unit *units = arena_allocate(a, (most + 1) * sizeof *units);
    for (uint32_t l = 0; units != NULL && l < p->layers; l++) {
        for (uint32_t u = 0; p->layer[l] && cost_head > 0 && u < p->heads[l]; u++)
            units[n++] = (unit){ i->head[l][u], l, u, cost_head, 1 };
        for (uint32_t u = 0; p->layer[l] && cost_channel > 0 && u < p->channels[l]; u++)
            units[n++] = (unit){ i->channel[l][u], l, u, cost_channel, 0 };
    }
    for (size_t u = 0; per_cost && u < n; u++)
        units[u].worth = (float)(units[u].worth / units[u].cost);
    if (units != NULL)
        sort_items(units, n, sizeof *units, by_worth, NULL);
    *count = n;
    return units;
}

static void drop(plan *p, const unit *u)
{
    (u->is_head ? p->head : p->channel)[u->layer][u->index] = 0;
}

int32_t plan_drop_share(plan *p, const importance *i, double share, int heads, ecrec_error *err)
{
    size_t count = 0;
    unit *units = list_units(&p->a, p, i, heads, !heads, 0, &count);
    if (units == NULL)
        return error_nomem(err, "a plan", 0);
    size_t go = (size_t)floor(share * (double)count + 0.5);
    for (size_t u = 0; u < go && u < count; u++)
        drop(p, &units[u]);
    return ECREC_OK;
}

/* Remove the units that cost most for what they are worth until `excess` (parameters or flops) is gone. */
static int32_t drop_excess(plan *p, const encoder *e, const importance *i, double excess, int flops, const char *what,
                           ecrec_error *err)
{
    size_t count = 0;
    double k = e->hidden, d = e->head_size;
    double head = flops ? 2 * 4 * d * k + 4 * 64 * d : 4 * d * k + 3 * d, channel = flops ? (4 + 2 * e->gated) * k : (2 + e->gated) * k + 1 + e->gated;
    unit *units = list_units(&p->a, p, i, head, channel, 1, &count);
    if (units == NULL)
        return error_nomem(err, "a plan", 0);
    size_t u = 0;
    for (; u < count && excess > 0; u++) {
        drop(p, &units[u]);
        excess -= units[u].cost;
    }
    if (excess > 0)
        return error_set(err, ECREC_ERR_INVALID, "%s cannot be reached: %.0f more than heads and channels hold", what, excess);
    return ECREC_OK;
}

/* Parameters or flops of the layers that go as a whole. */
static double layers_cost(const encoder *e, const plan *p, int flops)
{
    double sum = 0, k = e->hidden, d = e->head_size;
    for (uint32_t l = 0; l < e->layers; l++)
        if (!p->layer[l])
            sum += flops ? e->layer[l].heads * (8 * d * k + 256 * d) + e->layer[l].feed_forward * 4 * k
                         : e->layer[l].heads * (4 * d * k + 3 * d) + e->layer[l].feed_forward * (2 * k + 1) + 6 * k;
    return sum;
}

int32_t plan_drop_to(plan *p, const encoder *e, const importance *i, double target, int flops, ecrec_error *err)
{
    const double now = flops ? encoder_flops(e, 64) : (double)encoder_parameters(e);
    return drop_excess(p, e, i, now - layers_cost(e, p, flops) - target, flops, flops ? "target_flops" : "target_parameters", err);
}

/* A model without a head or a channel would give the same vector for every order of the words. */
int32_t plan_check(const plan *p, ecrec_error *err)
{
    for (uint32_t l = 0; l < p->layers; l++)
        if (p->layer[l] && (plan_staying(p->head[l], p->heads[l]) != 0 || plan_staying(p->channel[l], p->channels[l]) != 0))
            return ECREC_OK;
    return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: no attention head and no feed-forward channel would be left: remove less");
}

void plan_tell(const plan *p, ecrec_report *r)
{
    uint32_t heads = 0, channels = 0, layers = 0;
    for (uint32_t l = 0; l < p->layers; l++) {
        uint32_t h = p->layer[l] ? plan_staying(p->head[l], p->heads[l]) : 0;
        uint32_t c = p->layer[l] ? plan_staying(p->channel[l], p->channels[l]) : 0;
        report_numberf(r, p->layer[l], "layers.%u.kept", l);
        report_numberf(r, p->heads[l], "layers.%u.heads_before", l);
        report_numberf(r, h, "layers.%u.heads", l);
        report_numberf(r, p->channels[l], "layers.%u.feed_forward_before", l);
        report_numberf(r, c, "layers.%u.feed_forward", l);
        heads += p->heads[l] - h;
        channels += p->channels[l] - c;
        layers += !p->layer[l];
    }
    report_number(r, "removed.layers", layers);
    report_number(r, "removed.heads", heads);
    report_number(r, "removed.feed_forward_channels", channels);
}
