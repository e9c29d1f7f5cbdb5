#include "learn/extend.h"

#include <string.h>

#include "base/error.h"
#include "rank/bins.h"
#include "rank/features.h"
#include "rank/targets.h"
#include "rank/vocabulary.h"

/* ---- what may change ---- */

static int same_values(const vocabulary *a, const vocabulary *b)
{
    if (a == NULL || b == NULL)
        return a == NULL && b == NULL;
    return a->count <= b->count && memcmp(a->starts, b->starts, (a->count + 1) * sizeof *a->starts) == 0 && memcmp(a->text, b->text, a->starts[a->count]) == 0;
}

static int same_field(const schema_field *a, const schema_field *b)
{
    return strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->dimension == b->dimension && a->encoded == b->encoded && a->word_ngrams == b->word_ngrams &&
           a->char_ngrams == b->char_ngrams && a->compare == b->compare && a->compare_only == b->compare_only && strcmp(a->space, b->space) == 0 &&
           a->utc_offset == b->utc_offset && a->unused == b->unused && a->event_types == b->event_types && a->hash_bits == b->hash_bits && a->hash_seed == b->hash_seed && a->admit_after == b->admit_after && a->bins == b->bins &&
           same_values(a->vocabulary, b->vocabulary) && (!a->dropped || b->dropped);
}

int32_t extend_check(const ecrec_schema *from, const ecrec_schema *to, ecrec_error *err)
{
#define REFUSE(...) return error_set(err, ECREC_ERR_INVALID, __VA_ARGS__)
    if (to->field_count < from->field_count || to->label_count < from->label_count)
        REFUSE("the schema has %u fields and %u labels, the ranker's %u and %u: fields are dropped by ecrec_schema_drop_field and keep their numbers", to->field_count,
               to->label_count, from->field_count, from->label_count);
    for (uint32_t i = 0; i < from->field_count; i++)
        if (!same_field(&from->fields[i], &to->fields[i]))
            REFUSE("field %u is \"%s\" in the ranker and has changed in the schema: only values at the end of its vocabulary may be added", i, from->fields[i].name);
    for (uint32_t i = 0; i < from->label_count; i++) {
        const schema_label *a = &from->labels[i], *b = &to->labels[i];
        if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->classes != b->classes || a->loss != b->loss || a->log_q != b->log_q || a->target != b->target || (a->dropped && !b->dropped))
            REFUSE("label %u is \"%s\" in the ranker and has changed in the schema", i, a->name);
    }
    if (from->hash_bits != to->hash_bits)
        REFUSE("hash_bits is %u in the ranker and %u in the schema: a table cannot be made larger", from->hash_bits, to->hash_bits);
    if (memcmp(&from->network, &to->network, sizeof from->network) != 0)
        REFUSE("the network of the schema is another than the ranker's");
    uint32_t at = 0;
    for (uint32_t i = 0; i < from->pair_count; i++) { /* pairs of dropped fields are gone */
        while (at < to->pair_count && (to->pairs[at].a != from->pairs[i].a || to->pairs[at].b != from->pairs[i].b))
            at++;
        if (at == to->pair_count && !to->fields[from->pairs[i].a].dropped && !to->fields[from->pairs[i].b].dropped)
            REFUSE("the pair \"%s\" x \"%s\" of the ranker is not in the schema", from->fields[from->pairs[i].a].name, from->fields[from->pairs[i].b].name);
        at = at == to->pair_count ? 0 : at;
    }
#undef REFUSE
    return ECREC_OK;
}

/* Whether any head, or the embedding, has learned something where this hash leads. */
static int met(const tensor_set *tensors, const ecrec_schema *s, uint64_t hash)
{
    static const char *const tables[] = { "rank.hashed", "learn.hashed", "rank.embeddings", "learn.embeddings" };
    for (int i = 0; i < 4; i++) {
        const tensor *t = tensor_set_get(tensors, tables[i]);
        const uint64_t slot = hash & (((uint64_t)1 << (i < 2 ? s->hash_bits : s->network.embedding_bits)) - 1), stride = (uint64_t)1 << s->hash_bits;
        for (uint64_t row = slot; t != NULL && row < t->shape[0]; row += i < 2 ? stride : t->shape[0]) {
            const unsigned char *bytes = tensor_row(t, row);
            for (size_t k = 0; bytes != NULL && k < t->row_bytes; k++)
                if (bytes[k] != 0)
                    return 1;
        }
    }
    return 0;
}

void extend_seeds(const ecrec_schema *from, const tensor_set *tensors, ecrec_schema *to)
{
    enum { MOST_TRIES = 64 };
    for (uint32_t i = from->field_count; i < to->field_count; i++) {
        schema_field *f = &to->fields[i];
        if (f->hash_seed != 0 || (field_form(f->kind) != ECREC_FIELD_CATEGORY && f->kind != ECREC_FIELD_MULTI && f->bins == 0))
            continue;
        while (f->hash_seed < MOST_TRIES && met(tensors, from, missing_hash(field_seed(f))))
            f->hash_seed++;
    }
    schema_refresh(to);
}

/* ---- where things have gone ---- */

typedef struct extension {
    memory *m;
    const ranker *from, *to;
    uint32_t *inputs; /* of the old network's joined embeddings: where each float lies in the new one; NO_INDEX: gone */
    ecrec_error *err;
} extension;

static uint32_t embedded(const extension *e, uint32_t old)
{
    return old == NO_INDEX || e->inputs[old * e->from->net.width] == NO_INDEX ? NO_INDEX : e->inputs[old * e->from->net.width] / e->from->net.width;
}

static void copy_layer(const dense_layer *a, const dense_layer *b, const uint32_t *rows, const uint32_t *columns, const float *from, float *to)
{
    for (uint32_t r = 0; r < a->out; r++) {
        const uint32_t row = rows != NULL ? rows[r] : r;
        if (row == NO_INDEX)
            continue;
        for (uint32_t c = 0; c < a->in; c++) {
            const uint32_t column = columns != NULL ? columns[c] : c;
            if (column != NO_INDEX)
                to[b->w + (size_t)row * b->in + column] = from[a->w + (size_t)r * a->in + c];
        }
        if (a->b != SIZE_MAX)
            to[b->b + row] = from[a->b + r];
    }
}

/* The number of (i, j), i < j, among the pairs of n. */
static size_t pair_of(size_t i, size_t j, size_t n)
{
    return i * (2 * n - i - 1) / 2 + (j - i - 1);
}

/* Weights of pairs of n things, for each head; places: where the old ones are now. */
static void copy_pairs(uint32_t heads, uint32_t n, const uint32_t *places, uint32_t now, const float *from, float *to)
{
    size_t at = 0;
    for (uint32_t h = 0; h < heads; h++)
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = i + 1; j < n; j++, at++)
                if (places[i] != NO_INDEX && places[j] != NO_INDEX)
                    to[h * ((size_t)now * (now - 1) / 2) + pair_of(places[i], places[j], now)] = from[at];
}

static void copy_fm(const extension *e, const float *from, float *to)
{
    const network_plan *a = &e->from->net, *b = &e->to->net;
    uint32_t places[MOST_TOWERS];
    size_t at = 0;
    for (uint32_t h = 0; a->fm == 2 && b->fm == 2 && h < a->heads; h++)
        for (uint32_t i = 0; i < a->fields; i++)
            for (uint32_t j = i + 1; j < a->fields; j++, at++)
                if (embedded(e, i) != NO_INDEX && embedded(e, j) != NO_INDEX)
                    to[b->fm_weights + h * ((size_t)b->fields * (b->fields - 1) / 2) + pair_of(embedded(e, i), embedded(e, j), b->fields)] = from[a->fm_weights + at];
    for (uint32_t i = 0; i < a->towers; i++) {
        places[i] = NO_INDEX;
        for (uint32_t k = 0; k < b->towers; k++)
            if (b->tower[k] == embedded(e, a->tower[i]))
                places[i] = k;
    }
    if (a->towers != 0 && b->towers != 0)
        copy_pairs(a->heads, a->towers, places, b->towers, from + a->tower_weights, to + b->tower_weights);
}

/* Histories in the order of their fields; those of dropped fields are left behind. */
static void copy_attention(const extension *e, const float *from, float *to)
{
    const network_plan *a = &e->from->net, *b = &e->to->net;
    for (uint32_t i = 0; i < a->histories; i++)
        for (uint32_t k = 0; k < b->histories; k++)
            if (embedded(e, a->attention[i].to) == b->attention[k].to) {
                memcpy(to + b->attention[k].events.w, from + a->attention[i].events.w, a->attention[i].size * sizeof *to);
                copy_layer(&a->attention[i].head, &b->attention[k].head, NULL, NULL, from, to);
            }
}

static void copy_network(const extension *e, const float *from, float *to)
{
    const network_plan *a = &e->from->net, *b = &e->to->net;
    for (uint32_t f = 0; f < e->from->fields; f++) {
        const field_plan *p = &e->from->plan[f], *q = &e->to->plan[f];
        if (p->embedded == NO_INDEX || q->embedded == NO_INDEX || p->category != NO_INDEX || p->multi != NO_INDEX || p->history != NO_INDEX)
            continue;
        size_t n = 3 * (size_t)a->width;
        if (p->kind != ECREC_FIELD_NUMBER)
            n = (size_t)a->width * (p->dims + 2) + (a->gates ? a->width + 1 : 0);
        memcpy(to + q->embed, from + p->embed, n * sizeof *to);
    }
    copy_fm(e, from, to);
    for (uint32_t l = 0; l < a->crosses; l++) {
        if (a->rank != 0)
            copy_layer(&a->cross_v[l], &b->cross_v[l], NULL, e->inputs, from, to);
        copy_layer(&a->cross_u[l], &b->cross_u[l], e->inputs, a->rank != 0 ? NULL : e->inputs, from, to);
    }
    if (a->crosses != 0 && b->crosses != 0)
        copy_layer(&a->cross_head, &b->cross_head, NULL, e->inputs, from, to);
    for (uint32_t l = 0; l < a->hiddens; l++)
        copy_layer(&a->hidden[l], &b->hidden[l], NULL, l == 0 ? e->inputs : NULL, from, to);
    if (a->hiddens != 0 && b->hiddens != 0)
        copy_layer(&a->hidden_head, &b->hidden_head, NULL, NULL, from, to);
    if (a->experts != 0 && b->experts != 0)
        copy_layer(&a->gate, &b->gate, NULL, e->inputs, from, to);
    copy_attention(e, from, to);
    if (a->positions != 0)
        memcpy(to + b->position_weights, from + a->position_weights, (size_t)a->heads * (a->positions - 1) * sizeof *to);
    memcpy(to + b->thresholds, from + a->thresholds, (a->size - a->thresholds) * sizeof *to);
}

/* A new number or vector is nothing to the network before it has learned. */
static void clear_new(const extension *e, float *flat)
{
    for (uint32_t f = e->from->fields; f < e->to->fields; f++) {
        const field_plan *p = &e->to->plan[f];
        if (p->embedded == NO_INDEX || p->category != NO_INDEX || p->multi != NO_INDEX || p->history != NO_INDEX)
            continue;
        memset(flat + p->embed, 0, (p->kind == ECREC_FIELD_NUMBER ? 3 : (size_t)p->dims + 2) * e->to->net.width * sizeof *flat);
    }
}

static uint32_t dense_weights(const field_plan *p)
{
    return p->kind == ECREC_FIELD_NUMBER ? 3 : (p->dims != 0 ? p->dims + 1 : 0) + (p->cosine != NO_INDEX ? 2 : 0);
}

/* The field that is category number k. */
static uint32_t category_field(const ranker *r, uint32_t k)
{
    uint32_t f = 0;
    while (f < r->fields && r->plan[f].category != k)
        f++;
    return f;
}

static void copy_unmet(const extension *e, const float *from, float *to)
{
    const ranker *a = e->from, *b = e->to;
    for (uint32_t k = 0; k < a->categories; k++) {
        const uint32_t now = b->plan[category_field(a, k)].category;
        if (now != NO_INDEX)
            to[b->unmet + now] = from[a->unmet + k];
    }
    for (uint32_t k = 0; k < a->pair_count; k++) {
        const uint32_t i = b->plan[category_field(a, a->pairs[k].a)].category, j = b->plan[category_field(a, a->pairs[k].b)].category;
        for (uint32_t now = 0; now < b->pair_count; now++)
            if (b->pairs[now].a == i && b->pairs[now].b == j)
                to[b->unmet + b->categories + now] = from[a->unmet + a->categories + k];
    }
}

static void copy_dense(const extension *e, const float *from, float *to)
{
    const ranker *a = e->from, *b = e->to;
    for (uint32_t h = 0; h < a->heads; h++, from += a->width, to += b->width) {
        for (uint32_t f = 0; f < a->fields; f++)
            if (dense_weights(&a->plan[f]) == dense_weights(&b->plan[f]))
                memcpy(to + b->plan[f].dense, from + a->plan[f].dense, dense_weights(&a->plan[f]) * sizeof *to);
        if (a->unmet != NO_INDEX)
            copy_unmet(e, from, to);
        to[b->width - 1] = from[a->width - 1];
    }
}

/* ---- tensors ---- */

/* Shared when it has the same shape, else the rows that there are, in a larger one: heads lie one behind the other. */
static int32_t carry_table(const extension *e, const tensor_set *old, tensor_set *next, const char *name)
{
    tensor *from = tensor_set_get(old, name), *to = tensor_set_get(next, name);
    if (from == NULL || to == NULL)
        return ECREC_OK;
    if (from->shape[0] == to->shape[0])
        return tensor_set_put(next, name, from) == ECREC_OK ? ECREC_OK : error_nomem(e->err, name, 0);
    for (uint64_t row = 0; row < from->shape[0] && row < to->shape[0]; row += from->rows_per_chunk) {
        const void *rows = tensor_row(from, row);
        const uint64_t left = from->shape[0] - row, n = left < from->rows_per_chunk ? left : from->rows_per_chunk;
        for (uint64_t k = 0; rows != NULL && k < n; k++) {
            void *own = tensor_row_edit(to, row + k);
            if (own == NULL)
                return error_nomem(e->err, name, from->row_bytes);
            memcpy(own, tensor_row(from, row + k), (size_t)from->row_bytes);
        }
    }
    return ECREC_OK;
}

static int is_ranker(const char *name)
{
    static const char *const names[] = { "rank.dense", "learn.dense", "rank.numbers", "rank.targets", "rank.bins", "rank.hashed", "learn.hashed", "rank.network", "learn.network", "rank.embeddings", "learn.embeddings" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

/* What is neither weight nor sum goes along; what has a row a label gets rows of zeros. */
static int32_t carry_rest(const extension *e, const ecrec_schema *to, const tensor_set *old, tensor_set *next)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < tensor_set_count(old) && status == ECREC_OK; i++) {
        const char *name = NULL;
        tensor *t = tensor_set_at(old, i, &name), *grown = NULL;
        if (is_ranker(name))
            continue;
        if ((strcmp(name, "learn.window") != 0 && strcmp(name, "learn.drift") != 0) || t->shape[0] == to->label_count) {
            status = tensor_set_put(next, name, t);
            continue;
        }
        const uint64_t shape[2] = { to->label_count, t->shape[1] };
        if ((status = tensor_create(e->m, t->type, LAYOUT_ROWS, 2, shape, &grown)) == ECREC_OK) {
            memset(tensor_edit(grown), 0, grown->bytes);
            memcpy(tensor_edit(grown), t->data, t->bytes);
            status = tensor_set_put(next, name, grown);
            tensor_release(grown);
        }
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(e->err, "the ranker's tensors", 0);
}

/* The network's weights (start: they are), or its moments. */
static void carry_network(const extension *e, const tensor_set *old, tensor_set *next)
{
    tensor *w = tensor_set_get(old, "rank.network"), *v = tensor_set_get(next, "rank.network"), *moments = tensor_set_get(old, "learn.network"), *now = tensor_set_get(next, "learn.network");
    if (v == NULL)
        return;
    clear_new(e, tensor_edit(v));
    if (w == NULL)
        return;
    copy_network(e, w->data, tensor_edit(v));
    for (size_t i = 0; i < 2; i++)
        copy_network(e, (const float *)moments->data + i * e->from->net.size, (float *)tensor_edit(now) + i * e->to->net.size);
}

static void carry_numbers(const extension *e, const tensor_set *old, tensor_set *next)
{
    const tensor *from = tensor_set_get(old, "rank.numbers");
    tensor *to = tensor_set_get(next, "rank.numbers");
    for (uint32_t f = 0; f < e->from->fields && from != NULL && to != NULL; f++) {
        const field_plan *p = &e->from->plan[f], *q = &e->to->plan[f];
        if (p->number != NO_INDEX && q->number != NO_INDEX)
            memcpy((double *)tensor_edit(to) + (size_t)q->number * NUMBER_COLUMNS, (const double *)from->data + (size_t)p->number * NUMBER_COLUMNS, NUMBER_COLUMNS * sizeof(double));
    }
}

/* Labels that were learned as they are go on so. */
static void carry_targets(const ecrec_schema *schema, const tensor_set *old, tensor_set *next)
{
    const tensor *from = tensor_set_get(old, "rank.targets");
    tensor *to = tensor_set_get(next, "rank.targets");
    for (uint32_t l = 0; to != NULL && l < schema->label_count; l++) {
        double *row = (double *)tensor_edit(to) + (size_t)l * NUMBER_COLUMNS;
        if (from != NULL && l < from->shape[0])
            memcpy(row, (const double *)from->data + (size_t)l * NUMBER_COLUMNS, NUMBER_COLUMNS * sizeof *row);
        else
            row[NUMBER_FROZEN_COUNT] = 1;
    }
}

static void carry_bins(const extension *e, const tensor_set *old, tensor_set *next)
{
    const tensor *from = tensor_set_get(old, "rank.bins");
    tensor *to = tensor_set_get(next, "rank.bins");
    for (uint32_t f = 0; f < e->from->fields && from != NULL && to != NULL; f++)
        if (e->from->plan[f].binned != NO_INDEX && e->to->plan[f].binned != NO_INDEX)
            memcpy((double *)tensor_edit(to) + (size_t)e->to->plan[f].binned * BINS_COLUMNS, bins_row(from, e->from->plan[f].binned), BINS_COLUMNS * sizeof(double));
}

static int32_t find_inputs(extension *e)
{
    const network_plan *a = &e->from->net;
    const uint32_t width = a->width;
    const size_t bytes = memory_product(a->inputs + (size_t)1, sizeof *e->inputs);
    if ((e->inputs = memory_allocate(e->m, bytes)) == NULL)
        return error_nomem(e->err, "the network's inputs", bytes);
    for (uint32_t f = 0; f < e->from->fields; f++) {
        const uint32_t old = e->from->plan[f].embedded, now = e->to->plan[f].embedded;
        for (uint32_t k = 0; old != NO_INDEX && k < width; k++)
            e->inputs[old * width + k] = now != NO_INDEX ? now * width + k : NO_INDEX;
    }
    return ECREC_OK;
}

int32_t extend_tensors(memory *m, const ecrec_schema *from, const ecrec_schema *to, uint32_t dimension, const tensor_set *tensors, tensor_set **out, ecrec_error *err)
{
    static const char *const tables[] = { "rank.hashed", "learn.hashed", "rank.embeddings", "learn.embeddings" };
    static const char *const dense[] = { "rank.dense", "learn.dense" };
    ranker *a = NULL, *b = NULL;
    tensor_set *next = NULL;
    extension e = { .m = m, .err = err };
    int32_t status = ranker_plan(m, from, dimension, &a, err);
    if (status == ECREC_OK)
        status = ranker_plan(m, to, dimension, &b, err);
    e.from = a;
    e.to = b;
    if (status == ECREC_OK)
        status = find_inputs(&e);
    if (status == ECREC_OK && tensor_set_create(m, &next) != ECREC_OK)
        status = error_nomem(err, "the ranker's tensors", 0);
    if (status == ECREC_OK)
        status = ranker_init_tensors(m, to, dimension, next, err);
    for (int i = 0; i < 2 && status == ECREC_OK; i++)
        copy_dense(&e, tensor_set_get(tensors, dense[i])->data, tensor_edit(tensor_set_get(next, dense[i])));
    if (status == ECREC_OK) {
        carry_numbers(&e, tensors, next);
        carry_targets(from, tensors, next);
        carry_bins(&e, tensors, next);
        carry_network(&e, tensors, next);
    }
    for (int i = 0; i < 4 && status == ECREC_OK; i++)
        status = carry_table(&e, tensors, next, tables[i]);
    if (status == ECREC_OK)
        status = carry_rest(&e, to, tensors, next);
    memory_release(m, e.inputs, a != NULL ? memory_product(a->net.inputs + (size_t)1, sizeof *e.inputs) : 0);
    if (a != NULL)
        ranker_free(a);
    if (b != NULL)
        ranker_free(b);
    if (status == ECREC_OK)
        *out = next;
    else
        tensor_set_release(next);
    return status;
}
