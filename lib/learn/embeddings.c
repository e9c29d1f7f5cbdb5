#include "learn/embeddings.h"

#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "learn/optimiser.h"

#define START_SIZE 0.05f
#define START_SEED 0x656D626564u

static size_t take_all(embedding_steps *e, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const size_t pointers = e->entries * sizeof(float *);
    e->map = scratch_take(&s, e->map_size * sizeof *e->map);
    e->slots = scratch_take(&s, e->entries * sizeof *e->slots);
    e->weights = scratch_take(&s, pointers);
    e->sums = scratch_take(&s, pointers);
    e->zs = scratch_take(&s, pointers);
    e->vs = scratch_take(&s, pointers);
    e->index = scratch_take(&s, e->entries * sizeof *e->index);
    e->gradients = scratch_take(&s, memory_product(e->entries * e->state->now->net.width, sizeof(float)));
    return s.used;
}

int32_t embedding_steps_create(embedding_steps *e, memory *m, learn_state *state, const kernels *table, const trainer_options *options, size_t most, ecrec_error *err)
{
    memset(e, 0, sizeof *e);
    e->m = m;
    e->state = state;
    e->table = table;
    e->options = options;
    e->most = most;
    if (state->embeddings == NULL)
        return ECREC_OK;
    e->entries = most * state->now->categories;
    e->map_size = 16;
    while (e->map_size < 2 * e->entries)
        e->map_size *= 2;
    e->bytes = take_all(e, NULL);
    if ((e->block = memory_allocate(m, e->bytes)) == NULL)
        return error_nomem(err, "the embeddings of a mini-batch", e->bytes);
    (void)take_all(e, e->block);
    tensor **const more[] = { &e->z, &e->v };
    for (int i = 0; i < (options->hashed == HASHED_ADAM ? 2 : options->hashed == HASHED_FTRL); i++)
        if (tensor_chunked(m, TYPE_F32, state->embeddings->shape[0], state->embeddings->shape[1], EMBEDDING_CHUNK, more[i]) != ECREC_OK)
            return error_nomem(err, "the optimiser's tables", 0);
    return ECREC_OK;
}

void embedding_steps_destroy(embedding_steps *e)
{
    memory_release(e->m, e->block, e->bytes);
    tensor_release(e->z);
    tensor_release(e->v);
}

/* A row whose sums are all zeros has never been learned from. */
static void start_row(float *w, const float *sum, uint32_t width, uint64_t slot)
{
    for (uint32_t i = 0; i < width; i++)
        if (sum[i] != 0 || w[i] != 0)
            return;
    random_stream random;
    random_init(&random, START_SEED, slot);
    for (uint32_t i = 0; i < width; i++)
        w[i] = START_SIZE * random_normal(&random);
}

static int32_t look_up(embedding_steps *e, uint64_t slot, size_t u)
{
    const learn_state *s = e->state;
    e->slots[u] = slot;
    e->zs[u] = e->vs[u] = NULL;
    if ((e->weights[u] = tensor_row_edit(s->embeddings, slot)) == NULL || (e->sums[u] = tensor_row_edit(s->embedding_sums, slot)) == NULL ||
        (e->z != NULL && (e->zs[u] = tensor_row_edit(e->z, slot)) == NULL) || (e->v != NULL && (e->vs[u] = tensor_row_edit(e->v, slot)) == NULL))
        return ECREC_ERR_NOMEM;
    start_row(e->weights[u], e->sums[u], s->now->net.width, slot);
    return ECREC_OK;
}

int32_t embedding_steps_resolve(embedding_steps *e, const learn_rows *rows, const size_t *order, size_t first, size_t n, ecrec_error *err)
{
    const ranker *r = e->state->now;
    const uint64_t mask = ((uint64_t)1 << r->net.embedding_bits) - 1;
    e->count = 0;
    if (e->block == NULL)
        return ECREC_OK;
    size_t size = 16; /* of the map: no more than these rows need */
    while (size < 2 * n * r->categories)
        size *= 2;
    memset(e->map, 0, size * sizeof *e->map);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *c = rows_categories(rows, r, order != NULL ? order[first + i] : first + i);
        for (uint32_t k = 0; k < r->categories; k++) {
            const uint64_t slot = c[k] & mask;
            size_t at = (size_t)(c[k] * 0x9E3779B97F4A7C15u >> 32) & (size - 1);
            while (e->map[at] != 0 && e->slots[e->map[at] - 1] != slot)
                at = (at + 1) & (size - 1);
            if (e->map[at] == 0) {
                if (look_up(e, slot, e->count) != ECREC_OK)
                    return error_nomem(err, "the touched embeddings", EMBEDDING_CHUNK * r->net.width * sizeof(float));
                e->map[at] = (uint32_t)++e->count;
            }
            e->index[i * r->categories + k] = e->map[at] - 1;
        }
    }
    return ECREC_OK;
}

void embedding_steps_learn(embedding_steps *e, const float *dx0, size_t n, double step)
{
    const ranker *r = e->state->now;
    const trainer_options *o = e->options;
    const uint32_t width = r->net.width;
    memset(e->gradients, 0, e->count * width * sizeof *e->gradients);
    for (size_t i = 0; i < n; i++)
        for (uint32_t f = 0; f < r->fields; f++) {
            const field_plan *p = &r->plan[f];
            if (p->category == NO_INDEX || p->embedded == NO_INDEX)
                continue;
            const float *from = dx0 + i * r->net.inputs + (size_t)p->embedded * width;
            float *to = e->gradients + (size_t)e->index[i * r->categories + p->category] * width;
            for (uint32_t k = 0; k < width; k++)
                to[k] += from[k];
        }
    for (size_t u = 0; u < e->count; u++) {
        float *g = e->gradients + u * width, *w = e->weights[u], *sum = e->sums[u];
        if (o->hashed == HASHED_FTRL) {
            ftrl_step(width, w, sum, e->zs[u], g, o->embedding_rate, o->embedding_decay, 0, o->start);
        } else if (o->hashed == HASHED_ADAM) {
            for (uint32_t k = 0; k < width; k++)
                sum[k] += g[k] * g[k];
            adam_step(width, w, e->zs[u], e->vs[u], g, o->embedding_rate, o->embedding_decay, step);
        } else {
            adagrad_step(width, w, sum, g, o->embedding_rate, o->embedding_decay, o->start);
        }
    }
}
