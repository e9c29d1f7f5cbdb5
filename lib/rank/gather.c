/* The embeddings of a record, joined. */
#include <string.h>

#include "rank/modality.h"

typedef struct multi_sum { const tensor *table; const kernels *kernels; uint64_t mask; uint32_t width; float *to; } multi_sum;

static void add_embedding(void *opaque, uint64_t hash, float value)
{
    const multi_sum *s = opaque;
    const float *from = tensor_row(s->table, hash & s->mask);
    s->kernels->sum_rows(1, s->width, &from, &value, s->to);
}

size_t attention_room_take(attention_room *room, const ranker *r, void *memory)
{
    const network_plan *n = &r->net;
    scratch s = { memory, 0, SIZE_MAX };
    size_t most = 0;
    for (uint32_t i = 0; i < n->histories; i++) {
        const attention_plan *a = &n->attention[i];
        void *user = scratch_take(&s, attention_user_take(&room->users[i], a, n->width, a->most, NULL));
        (void)attention_user_take(&room->users[i], a, n->width, a->most, user);
        most = a->most > most ? a->most : most;
    }
    void *work = scratch_take(&s, n->histories != 0 ? attention_work_take(&room->work, &n->attention[0], n->width, most, NULL) : 0);
    if (n->histories != 0)
        (void)attention_work_take(&room->work, &n->attention[0], n->width, most, work);
    return s.used;
}

/* A user's events of one history: their items' embeddings, and what attention makes of them before it knows the candidate. */
static void gather_events(const ranker *r, const kernels *table, const record *rec, uint32_t field, attention_user *user)
{
    const network_plan *n = &r->net;
    const uint32_t history = r->plan[field].history;
    const batch_column *c = &rec->batch->columns[field];
    uint64_t first = 0;
    user->events = record_events(rec, field, &first);
    for (uint32_t j = 0; j < user->events; j++) {
        const float *from = tensor_row(r->embeddings, record_event(r, field, c, first + j) & (((uint64_t)1 << n->embedding_bits) - 1));
        if (from != NULL)
            memcpy(user->e + (size_t)j * n->width, from, n->width * sizeof *from);
        else
            memset(user->e + (size_t)j * n->width, 0, n->width * sizeof *from);
    }
    attention_user_make(&n->attention[history], &r->packed->attention[history], r->network->data, table, n->width, column_types(c, first), column_ages(c, first), user);
}

static void gather_history(const ranker *r, const kernels *table, const record *rec, uint32_t field, const record_once *once, attention_room *room, float *x0)
{
    const network_plan *n = &r->net;
    const uint32_t history = r->plan[field].history;
    const attention_plan *a = &n->attention[history];
    const int known = once != NULL && once->history_known[history];
    if (!known)
        gather_events(r, table, rec, field, &room->users[history]);
    attention_forward(a, &r->packed->attention[history], r->network->data, table, n->width, known ? &once->users[history] : &room->users[history], x0 + (size_t)a->from * n->width, &room->work,
                      x0 + (size_t)a->to * n->width);
}

/* Of a field that is no history. */
static void gather_field(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, uint32_t field, float *to)
{
    const network_plan *n = &r->net;
    const field_plan *p = &r->plan[field];
    const uint64_t mask = ((uint64_t)1 << n->embedding_bits) - 1;
    if (p->multi != NO_INDEX) {
        multi_sum sum = { r->embeddings, table, mask, n->width, to };
        memset(to, 0, n->width * sizeof *to);
        record_multi(r, field, rec->batch, rec->row, add_embedding, &sum);
        return;
    }
    if (p->category == NO_INDEX) {
        embed_dense(r, table, rec, field, r->network != NULL ? r->network->data : NULL, to);
        return;
    }
    const float *from = tensor_row(r->embeddings, categories[p->category] & mask);
    if (from != NULL)
        memcpy(to, from, n->width * sizeof *to);
    else
        memset(to, 0, n->width * sizeof *to);
}

void record_present(const ranker *r, const kernels *table, const record *rec, unsigned char *present)
{
    float unused = 0;
    for (uint32_t f = 0; f < r->fields && r->net.towers != 0; f++)
        if (r->plan[f].embedded != NO_INDEX)
            present[r->plan[f].embedded] = r->plan[f].dims != 0 ? record_vector(r, table, f, rec, &unused) != NULL : column_has(&rec->batch->columns[f], rec->row) != 0;
}

void network_gather(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, const record_once *once, attention_room *room, float *x0, unsigned char *present)
{
    const network_plan *n = &r->net;
    record_present(r, table, rec, present);
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        float *to = x0 + (size_t)p->embedded * n->width;
        if (p->embedded == NO_INDEX)
            continue;
        if (p->history != NO_INDEX)
            gather_history(r, table, rec, f, once, room, x0);
        else if (once != NULL && once->field_known[f])
            memcpy(to, once->x0 + (size_t)p->embedded * n->width, n->width * sizeof *to);
        else
            gather_field(r, table, rec, categories, f, to);
    }
}

void embed_dense(const ranker *r, const kernels *table, const record *rec, uint32_t field, const float *flat, float *to)
{
    const field_plan *p = &r->plan[field];
    const uint32_t k = r->net.width;
    const float *w = flat + p->embed;
    if (p->kind == ECREC_FIELD_NUMBER) {
        if (!column_has(&rec->batch->columns[field], rec->row)) {
            memcpy(to, w + 2 * (size_t)k, k * sizeof *to);
            return;
        }
        const double *statistics = (const double *)r->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
        const float z = (float)number_standard(statistics, column_number(&rec->batch->columns[field], rec->row));
        for (uint32_t i = 0; i < k; i++)
            to[i] = z * w[i] + w[k + i];
        return;
    }
    float inverse = 0;
    const float *v = record_vector(r, table, field, rec, &inverse);
    modality_forward(&r->net, p, table, flat, v, inverse, to);
}

size_t record_once_take(record_once *once, const ranker *r, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    once->field_known = scratch_take(&s, r->fields);
    once->pair_known = scratch_take(&s, r->pair_count);
    once->parts = scratch_take(&s, memory_product((size_t)r->heads * r->fields, sizeof(double)));
    once->pairs = scratch_take(&s, memory_product((size_t)r->heads * r->pair_count, sizeof(double)));
    once->categories = scratch_take(&s, (r->categories + 1) * sizeof(uint64_t));
    once->x0 = scratch_take(&s, r->net.inputs * sizeof(float));
    once->texts = scratch_take(&s, r->slots * sizeof *once->texts);
    once->vectors = scratch_take(&s, memory_product((size_t)r->slots * r->dimension, sizeof(float)));
    for (uint32_t i = 0; i < r->net.histories; i++) {
        const attention_plan *a = &r->net.attention[i];
        void *user = scratch_take(&s, attention_user_take(&once->users[i], a, r->net.width, a->most, NULL));
        (void)attention_user_take(&once->users[i], a, r->net.width, a->most, user);
    }
    return s.used;
}

/* A field that is compared with another is known where both are. */
static int known(const ranker *r, const ecrec_batch *view, uint32_t field)
{
    const field_plan *p = &r->plan[field];
    return view->columns[field].once && (p->cosine == NO_INDEX || view->columns[p->compare].once);
}

void record_once_make(record_once *once, const ranker *r, const kernels *table, const ecrec_batch *view)
{
    const record rec = { view, 0, r->slots != 0 ? once->texts : NULL, NULL };
    const network_plan *n = &r->net;
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        once->field_known[f] = (unsigned char)known(r, view, f);
        if (p->history != NO_INDEX && p->embedded != NO_INDEX) {
            once->history_known[p->history] = once->field_known[f];
            if (once->field_known[f])
                gather_events(r, table, &rec, f, &once->users[p->history]);
        }
        if (once->field_known[f] && p->category != NO_INDEX)
            once->categories[p->category] = record_category(r, f, view, 0);
        for (uint32_t h = 0; h < r->heads && once->field_known[f]; h++)
            once->parts[(size_t)h * r->fields + f] = record_field(r, table, &rec, once->categories, h, f);
    }
    for (uint32_t i = 0; i < r->pair_count; i++)
        once->pair_known[i] = 0;
    for (uint32_t f = 0; f < r->fields && r->pair_count != 0; f++)
        for (uint32_t i = 0; i < r->pair_count; i++) { /* two bits: the one field, the other */
            const uint32_t category = r->plan[f].category;
            if (once->field_known[f] && category != NO_INDEX)
                once->pair_known[i] |= (unsigned char)((r->pairs[i].a == category) | (r->pairs[i].b == category) << 1);
        }
    for (uint32_t i = 0; i < r->pair_count; i++) {
        once->pair_known[i] = once->pair_known[i] == 3;
        for (uint32_t h = 0; h < r->heads && once->pair_known[i]; h++)
            once->pairs[(size_t)h * r->pair_count + i] = record_pair(r, once->categories, h, i);
    }
    if (n->inputs != 0)
        for (uint32_t f = 0; f < r->fields; f++)
            if (r->plan[f].embedded != NO_INDEX && once->field_known[f] && r->plan[f].history == NO_INDEX)
                gather_field(r, table, &rec, once->categories, f, once->x0 + (size_t)r->plan[f].embedded * n->width);
}
