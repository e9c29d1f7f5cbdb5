#include "learn/attention_steps.h"

#include <string.h>

#include "base/error.h"

static size_t take_all(attention_steps *a, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const network_plan *n = &a->r->net;
    size_t most = 0;
    for (uint32_t i = 0; i < n->histories; i++)
        most = n->attention[i].most > most ? n->attention[i].most : most;
    for (uint32_t i = 0; i < a->rooms; i++) {
        void *room = scratch_take(&s, attention_room_take(&a->room[i], a->r, NULL));
        if (memory != NULL)
            (void)attention_room_take(&a->room[i], a->r, room);
        a->weights[i] = scratch_take(&s, a->size * sizeof(float));
        a->interest[i] = scratch_take(&s, n->width * sizeof(float));
        a->h[i] = scratch_take(&s, most * n->attention[0].units * sizeof(float));
    }
    return s.used;
}

int32_t attention_steps_create(attention_steps *a, memory *m, const ranker *r, const kernels *table, size_t rows, ecrec_error *err)
{
    memset(a, 0, sizeof *a);
    a->m = m;
    a->r = r;
    a->table = table;
    if (r->net.histories == 0)
        return ECREC_OK;
    const size_t tasks = (rows + NETWORK_ROWS - 1) / NETWORK_ROWS;
    a->rooms = tasks < ATTENTION_ROOMS ? (uint32_t)tasks : ATTENTION_ROOMS;
    for (uint32_t i = 0; i < r->net.histories; i++)
        a->size += r->net.attention[i].size;
    a->bytes = take_all(a, NULL);
    if ((a->block = memory_allocate(m, a->bytes)) == NULL)
        return error_nomem(err, "the histories of a mini-batch", a->bytes);
    (void)take_all(a, a->block);
    return ECREC_OK;
}

void attention_steps_destroy(attention_steps *a)
{
    memory_release(a->m, a->block, a->bytes);
}

static void make_user(attention_steps *a, const embedding_steps *e, const record *rec, size_t i, uint32_t field, attention_user *user)
{
    const ranker *r = a->r;
    const network_plan *n = &r->net;
    const uint32_t history = r->plan[field].history;
    const batch_column *c = &rec->batch->columns[field];
    uint64_t first = 0;
    user->events = record_events(rec, field, &first);
    for (uint32_t j = 0; j < user->events; j++)
        memcpy(user->e + (size_t)j * n->width, embedding_event(e, i, history, j), n->width * sizeof *user->e);
    attention_user_make(&n->attention[history], &r->packed->attention[history], r->network->data, a->table, n->width, column_types(c, first), column_ages(c, first), user);
}

void attention_steps_forward(attention_steps *a, uint32_t room, const embedding_steps *e, const record *rec, size_t i, uint32_t field, float *x0)
{
    const network_plan *n = &a->r->net;
    const uint32_t history = a->r->plan[field].history;
    const attention_plan *p = &n->attention[history];
    attention_user *user = &a->room[room].users[history];
    make_user(a, e, rec, i, field, user);
    attention_forward(p, &a->r->packed->attention[history], a->r->network->data, a->table, n->width, user, x0 + (size_t)p->from * n->width, &a->room[room].work,
                      x0 + (size_t)p->to * n->width);
}

/* Where a history's weights begin among those of all. */
static size_t weights_at(const network_plan *n, uint32_t history)
{
    size_t at = 0;
    for (uint32_t i = 0; i < history; i++)
        at += n->attention[i].size;
    return at;
}

void attention_steps_backward(attention_steps *a, uint32_t room, embedding_steps *e, const record *rec, size_t i, uint32_t field, const float *x0, float *dx0)
{
    const network_plan *n = &a->r->net;
    const uint32_t history = a->r->plan[field].history;
    const attention_plan *p = &n->attention[history];
    const batch_column *c = &rec->batch->columns[field];
    const float *candidate = x0 + (size_t)p->from * n->width;
    attention_user *user = &a->room[room].users[history];
    attention_work *work = &a->room[room].work;
    uint64_t first = 0;
    if (record_events(rec, field, &first) == 0)
        return;
    make_user(a, e, rec, i, field, user);
    attention_forward(p, &a->r->packed->attention[history], a->r->network->data, a->table, n->width, user, candidate, work, a->interest[room]);
    const attention_gradient g = { .weights = a->weights[room] + weights_at(n, history), .candidate = dx0 + (size_t)p->from * n->width,
                                   .e = embedding_event_gradients(e, i, history), .h = a->h[room] };
    attention_backward(p, a->r->network->data, a->table, n->width, user, candidate, work, column_types(c, first), column_ages(c, first),
                       dx0 + (size_t)p->to * n->width, &g);
}

void attention_steps_clear(attention_steps *a, uint32_t rooms)
{
    for (uint32_t i = 0; i < rooms; i++)
        memset(a->weights[i], 0, a->size * sizeof(float));
}

void attention_steps_collect(const attention_steps *a, uint32_t rooms, int begin, float *flat)
{
    const network_plan *n = &a->r->net;
    for (uint32_t h = 0; h < n->histories; h++) {
        const attention_plan *p = &n->attention[h];
        const size_t at = weights_at(n, h);
        float *to = flat + p->events.w;
        if (begin)
            memset(to, 0, p->size * sizeof *to);
        for (uint32_t i = 0; i < rooms; i++)
            for (size_t k = 0; k < p->size; k++)
                to[k] += a->weights[i][at + k];
    }
}
