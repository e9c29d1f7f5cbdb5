/* Where each weight lies: of the first order, and of the network. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"
#include "rank/bins.h"
#include "rank/modality.h"
#include "rank/targets.h"

enum { DEFAULT_ATTENTION = 16 };
#define START_GATE -3.0f /* nearly shut */
#define START_DECAY 0.1f /* of the attention to an event, as a power of its age */

size_t ranker_bytes(const ecrec_schema *s)
{
    return sizeof(ranker) + s->field_count * sizeof(field_plan);
}

/* Where each field's weights lie. */
static void make_plan(const ecrec_schema *s, uint32_t dimension, ranker *r)
{
    uint32_t at = 0;
    r->fields = s->field_count;
    r->labels = s->label_count;
    r->heads = schema_outputs(s); /* an ordinal label has one head, a label of classes one each */
    r->dimension = dimension;
    r->hash_bits = s->hash_bits;
    for (uint32_t i = 0; i < s->field_count; i++) {
        const schema_field *f = &s->fields[i];
        field_plan *p = &r->plan[i];
        *p = (field_plan){ .kind = field_form(f->kind), .utc_offset = f->utc_offset, .dense = at, .slot = NO_INDEX, .missing = NO_INDEX, .cosine = NO_INDEX, .compare = f->compare,
                           .number = NO_INDEX, .binned = NO_INDEX, .category = NO_INDEX, .multi = NO_INDEX, .history = NO_INDEX, .embedded = NO_INDEX, .word_ngrams = f->word_ngrams, .char_ngrams = f->char_ngrams,
                           .seed = field_seed(f), .hash_bits = f->hash_bits, .admit_after = f->admit_after, .expire_after = f->expire_after,
                           .vocabulary = f->vocabulary };
        if (f->dropped) {
            p->kind = 0;
            p->compare = UINT32_MAX;
            p->word_ngrams = p->char_ngrams = p->admit_after = p->expire_after = 0;
            continue;
        }
        if (f->bins != 0) { /* numbered behind the other categories, which alone are crossed */
            p->kind = ECREC_FIELD_CATEGORY;
            p->binned = r->binned++;
            r->hashed = 1;
            continue;
        }
        if (f->kind == ECREC_FIELD_NUMBER) {
            p->number = r->numbers++;
            p->missing = at + 2;
            at += 3;
            continue;
        }
        if (f->kind == ECREC_FIELD_HISTORY) {
            p->history = r->histories++;
            continue;
        }
        r->hashed |= (uint32_t)field_hashed(f);
        if (p->kind == ECREC_FIELD_CATEGORY && !f->unused)
            p->category = r->categories++;
        if ((p->kind == ECREC_FIELD_MULTI || p->kind == ECREC_FIELD_TIME) && !f->unused)
            p->multi = r->multis++;
        if (f->encoded)
            p->slot = r->slots++;
        p->vector = f->encoded ? dimension : p->kind == ECREC_FIELD_VECTOR ? f->dimension : 0;
        if (p->vector != 0 && !f->compare_only) {
            p->dims = p->vector;
            p->missing = at + p->dims;
            at += p->dims + 1;
        }
        if (f->compare != UINT32_MAX) {
            p->cosine = at;
            at += 2;
        }
    }
    r->crossed = r->categories;
    for (uint32_t i = 0; i < s->field_count; i++)
        if (r->plan[i].binned != NO_INDEX)
            r->plan[i].category = r->categories++;
    r->unmet = at; /* plan_pairs makes room for them */
    r->width = at + 1;
}

static dense_layer layer(size_t *at, uint32_t out, uint32_t in, int bias)
{
    const dense_layer l = { *at, bias ? *at + (size_t)out * in : SIZE_MAX, out, in };
    *at += (size_t)out * in + (bias ? out : 0);
    return l;
}

static void plan_attention(const ecrec_schema *s, ranker *r, size_t *at)
{
    network_plan *n = &r->net;
    for (uint32_t i = 0; i < r->fields; i++) {
        const field_plan *p = &r->plan[i];
        if (p->history == NO_INDEX || p->embedded == NO_INDEX)
            continue;
        attention_plan *a = &n->attention[n->histories++];
        a->from = r->plan[s->fields[i].compare].embedded;
        a->to = p->embedded;
        a->units = s->network.attention != 0 ? s->network.attention : DEFAULT_ATTENTION;
        a->event_types = s->fields[i].event_types;
        a->most = s->fields[i].dimension;
        const size_t first = *at;
        a->events = layer(at, a->units, n->width, 1);
        a->candidate = layer(at, a->units, n->width, 0);
        a->product = layer(at, a->units, n->width, 0);
        a->score = layer(at, 1, a->units, 0);
        a->types = *at;
        a->bias = a->types + (size_t)a->event_types * n->width;
        a->decay = a->bias + a->event_types;
        *at = a->decay + a->event_types;
        a->size = *at - first;
        a->head = layer(at, n->heads, n->width, 0);
    }
}

static void plan_network(const ecrec_schema *s, ranker *r)
{
    network_plan *n = &r->net;
    size_t at = 0;
    n->width = s->network.width;
    n->heads = r->heads;
    n->embedding_bits = s->network.embedding_bits;
    n->gates = s->network.gates;
    for (uint32_t i = 0; i < r->fields && n->width != 0; i++) {
        field_plan *p = &r->plan[i];
        const int category = p->category != NO_INDEX || p->multi != NO_INDEX, number = p->kind == ECREC_FIELD_NUMBER;
        if (!category && !number && p->dims == 0 && p->history == NO_INDEX)
            continue;
        p->embedded = n->fields++;
        p->embed = at;
        at += category || p->history != NO_INDEX ? 0 : number ? 3 * (size_t)n->width : modality_size(n->width, p->dims, n->gates);
    }
    n->inputs = n->fields * n->width;
    n->fm = n->inputs != 0 ? s->network.fm : 0;
    n->crosses = n->inputs != 0 ? s->network.cross_layers : 0;
    n->rank = s->network.cross_rank;
    n->fm_weights = at;
    at += n->fm == 2 ? (size_t)n->heads * n->fields * (n->fields - 1) / 2 : 0;
    for (uint32_t l = 0; l < n->crosses; l++) {
        if (n->rank != 0)
            n->cross_v[l] = layer(&at, n->rank, n->inputs, 0);
        n->cross_u[l] = layer(&at, n->inputs, n->rank != 0 ? n->rank : n->inputs, 1);
    }
    if (n->crosses != 0)
        n->cross_head = layer(&at, n->heads, n->inputs, 0);
    uint32_t in = n->inputs;
    n->experts = n->inputs != 0 && s->network.hidden[0] != 0 ? s->network.experts : 0;
    for (; n->hiddens < ECREC_MOST_HIDDEN && s->network.hidden[n->hiddens] != 0 && n->inputs != 0; n->hiddens++) {
        n->hidden[n->hiddens] = layer(&at, s->network.hidden[n->hiddens] * (n->experts != 0 ? n->experts : 1), in, 1);
        in = s->network.hidden[n->hiddens];
    }
    if (n->hiddens != 0)
        n->hidden_head = layer(&at, n->heads, in, 0);
    n->tasks = n->experts != 0 ? s->label_count : 0;
    for (uint32_t t = 0; t < n->tasks; t++)
        n->task_heads[t] = label_outputs(&s->labels[t]);
    if (n->experts != 0)
        n->gate = layer(&at, n->tasks * n->experts, n->inputs, 1);
    plan_attention(s, r, &at);
    for (uint32_t i = 0; i < r->fields && s->network.towers; i++)
        if (r->plan[i].embedded != NO_INDEX && (r->plan[i].dims != 0 || r->plan[i].history != NO_INDEX) && n->towers < MOST_TOWERS)
            n->tower[n->towers++] = r->plan[i].embedded;
    n->towers = n->towers > 1 ? n->towers : 0; /* nothing to be held against each other */
    n->positions = s->network.positions;
    n->position_weights = at;
    at += n->positions != 0 ? (size_t)n->heads * (n->positions - 1) : 0;
    n->tower_weights = at;
    at += n->towers != 0 ? (size_t)n->heads * n->towers * (n->towers - 1) / 2 : 0;
    n->thresholds = at;
    for (uint32_t i = 0; i < s->label_count; i++)
        at += s->labels[i].kind == ECREC_LABEL_ORDINAL ? s->labels[i].classes - 1 : 0;
    n->size = at;
}

static int32_t plan_pairs(memory *m, const ecrec_schema *s, ranker *r)
{
    const size_t most = s->network.all_pairs ? (size_t)r->crossed * (r->crossed > 0 ? r->crossed - 1 : 0) / 2 : s->pair_count;
    if (most == 0)
        return ECREC_OK;
    if (most > MOST_PAIRS || (r->pairs = memory_allocate(m, most * sizeof *r->pairs)) == NULL)
        return most > MOST_PAIRS ? ECREC_ERR_LIMIT : ECREC_ERR_NOMEM;
    r->pair_count = (uint32_t)most;
    uint32_t at = 0;
    for (uint32_t i = 0; i < r->crossed && s->network.all_pairs; i++)
        for (uint32_t j = i + 1; j < r->crossed; j++)
            r->pairs[at++] = (schema_pair){ i, j };
    for (uint32_t i = 0; i < s->pair_count && !s->network.all_pairs; i++)
        r->pairs[at++] = (schema_pair){ r->plan[s->pairs[i].a].category, r->plan[s->pairs[i].b].category };
    return ECREC_OK;
}

int32_t ranker_plan(memory *m, const ecrec_schema *s, uint32_t dimension, ranker **out, ecrec_error *err)
{
    for (uint32_t i = 0; i < s->field_count && s->network.width == 0; i++)
        if (s->fields[i].kind == ECREC_FIELD_HISTORY)
            return error_set(err, ECREC_ERR_INVALID, "field \"%s\" is a history: the schema's network needs a width, the length of its embeddings", s->fields[i].name);
    ranker *r = memory_zero(m, ranker_bytes(s));
    if (r == NULL)
        return error_nomem(err, "a ranker", ranker_bytes(s));
    r->m = m;
    make_plan(s, dimension, r);
    plan_network(s, r);
    const int32_t status = plan_pairs(m, s, r);
    if (status == ECREC_OK && s->network.unmet)
        r->width += r->categories + r->pair_count;
    else
        r->unmet = NO_INDEX;
    if (status != ECREC_OK) {
        ranker_free(r);
        return status == ECREC_ERR_LIMIT ? error_set(err, ECREC_ERR_LIMIT, "all pairs of %u category fields are more than %d", r->crossed, MOST_PAIRS)
                                         : error_nomem(err, "a ranker's pairs", 0);
    }
    *out = r;
    return ECREC_OK;
}

void ranker_free(ranker *r)
{
    memory_release(r->m, r->pairs, r->pair_count * sizeof *r->pairs);
    memory_release(r->m, r, sizeof *r + r->fields * sizeof(field_plan));
}

int ranker_admits(const ranker *r)
{
    int admits = 0;
    for (uint32_t f = 0; f < r->fields; f++)
        admits |= r->plan[f].admit_after > 1;
    return admits;
}

int ranker_expires(const ranker *r)
{
    int expires = 0;
    for (uint32_t f = 0; f < r->fields; f++)
        expires |= r->plan[f].expire_after != 0;
    return expires;
}

static int32_t put(tensor_set *set, const char *name, tensor *t)
{
    const int32_t status = t != NULL ? tensor_set_put(set, name, t) : ECREC_ERR_NOMEM;
    tensor_release(t);
    return status;
}

static tensor *zeros(memory *m, int32_t type, uint64_t rows, uint64_t columns)
{
    const uint64_t shape[2] = { rows, columns };
    tensor *t = NULL;
    if (tensor_create(m, type, LAYOUT_ROWS, 2, shape, &t) != ECREC_OK)
        return NULL;
    memset(tensor_edit(t), 0, t->bytes);
    return t;
}

static int32_t put_table(memory *m, tensor_set *tensors, const char *name, uint64_t rows, uint64_t columns, uint64_t chunk)
{
    tensor *t = NULL;
    const int32_t status = tensor_chunked(m, TYPE_F32, rows, columns, chunk, &t);
    return status == ECREC_OK ? put(tensors, name, t) : status;
}

static void start_layer(float *flat, const dense_layer *l, float size, random_stream *random)
{
    for (size_t i = 0; i < (size_t)l->out * l->in; i++)
        flat[l->w + i] = size * random_normal(random);
}

/* Hidden layers as He et al. (ICCV 2015) start them; heads at zero, so that a part gives nothing before it has learned. */
static void start_network(const ranker *r, const ecrec_schema *s, float *flat)
{
    const network_plan *n = &r->net;
    random_stream random;
    random_init(&random, 0, 0);
    for (uint32_t i = 0; i < r->fields; i++) {
        const field_plan *p = &r->plan[i];
        const size_t count = p->kind == ECREC_FIELD_NUMBER ? 3 : (size_t)p->dims + 2;
        if (n->gates && p->embedded != NO_INDEX && p->dims != 0)
            flat[p->embed + count * n->width + n->width] = START_GATE;
        for (size_t k = 0; p->embedded != NO_INDEX && p->category == NO_INDEX && p->multi == NO_INDEX && p->history == NO_INDEX && k < count * n->width; k++)
            flat[p->embed + k] = 0.05f * random_normal(&random);
    }
    for (size_t i = n->fm_weights; n->fm == 2 && i < n->fm_weights + (size_t)n->heads * n->fields * (n->fields - 1) / 2; i++)
        flat[i] = 1;
    for (uint32_t l = 0; l < n->crosses; l++) {
        if (n->rank != 0)
            start_layer(flat, &n->cross_v[l], 1 / sqrtf((float)n->inputs), &random);
        start_layer(flat, &n->cross_u[l], 1 / sqrtf((float)n->cross_u[l].in), &random);
    }
    for (uint32_t l = 0; l < n->hiddens; l++)
        start_layer(flat, &n->hidden[l], sqrtf(2 / (float)n->hidden[l].in), &random);
    for (uint32_t i = 0; i < n->histories; i++) {
        const attention_plan *a = &n->attention[i];
        start_layer(flat, &a->events, sqrtf(2 / (3 * (float)n->width)), &random);
        start_layer(flat, &a->candidate, sqrtf(2 / (3 * (float)n->width)), &random);
        start_layer(flat, &a->product, sqrtf(2 / (3 * (float)n->width)), &random);
        start_layer(flat, &a->score, sqrtf(1 / (float)a->units), &random);
        for (uint32_t t = 0; t < a->event_types; t++)
            flat[a->decay + t] = START_DECAY;
    }
    float *threshold = flat + n->thresholds;
    for (uint32_t i = 0; i < s->label_count; i++)
        for (uint32_t c = 1; s->labels[i].kind == ECREC_LABEL_ORDINAL && c < s->labels[i].classes; c++)
            *threshold++ = 2 * (float)c / (float)s->labels[i].classes - 1;
}

static int32_t put_network(memory *m, const ranker *r, const ecrec_schema *s, tensor_set *tensors)
{
    int32_t status = ECREC_OK;
    const network_plan *n = &r->net;
    if (n->size != 0) {
        tensor *t = zeros(m, TYPE_F32, 1, n->size);
        if (t != NULL)
            start_network(r, s, tensor_edit(t));
        status = put(tensors, "rank.network", t);
        status = status ? status : put(tensors, "learn.network", zeros(m, TYPE_F32, 2, n->size));
        status = status ? status : put(tensors, "learn.steps", zeros(m, TYPE_F64, 1, 1));
    }
    if (status == ECREC_OK && n->width != 0 && r->categories + r->multis != 0) {
        status = put_table(m, tensors, "rank.embeddings", (uint64_t)1 << n->embedding_bits, n->width, EMBEDDING_CHUNK);
        status = status ? status : put_table(m, tensors, "learn.embeddings", (uint64_t)1 << n->embedding_bits, n->width, EMBEDDING_CHUNK);
    }
    return status;
}

/* Until which period each row lives (learn/expiry.h). */
static int32_t put_alive(memory *m, const ranker *r, tensor_set *tensors)
{
    int32_t status = put(tensors, "learn.period", zeros(m, TYPE_F64, 1, 1));
    if (status == ECREC_OK)
        status = put_table(m, tensors, "learn.alive.weights", (uint64_t)1 << r->hash_bits, 1, HASHED_CHUNK);
    if (status == ECREC_OK && ranker_admits(r))
        status = put_table(m, tensors, "learn.alive.sightings", (uint64_t)1 << r->hash_bits, 1, HASHED_CHUNK);
    if (status == ECREC_OK && r->net.width != 0 && r->categories + r->multis != 0)
        status = put_table(m, tensors, "learn.alive.embeddings", (uint64_t)1 << r->net.embedding_bits, 1, HASHED_CHUNK);
    return status;
}

int32_t ranker_init_tensors(memory *m, const ecrec_schema *s, uint32_t dimension, tensor_set *tensors, ecrec_error *err)
{
    ranker *r = NULL;
    int32_t status = ranker_plan(m, s, dimension, &r, err);
    if (status != ECREC_OK)
        return status;
    status = put(tensors, "rank.dense", zeros(m, TYPE_F32, r->heads, r->width));
    if (status == ECREC_OK)
        status = put(tensors, "learn.dense", zeros(m, TYPE_F32, r->heads, r->width));
    if (status == ECREC_OK && r->numbers != 0) {
        tensor *t = zeros(m, TYPE_F64, r->numbers, NUMBER_COLUMNS);
        for (uint32_t i = 0; t != NULL && i < r->numbers; i++)
            ((double *)tensor_edit(t))[i * NUMBER_COLUMNS + NUMBER_FROZEN_SCALE] = 1;
        status = put(tensors, "rank.numbers", t);
    }
    if (status == ECREC_OK && targets_needed(s)) {
        tensor *t = zeros(m, TYPE_F64, s->label_count, NUMBER_COLUMNS);
        for (uint32_t i = 0; t != NULL && i < s->label_count; i++)
            ((double *)tensor_edit(t))[i * NUMBER_COLUMNS + NUMBER_FROZEN_SCALE] = 1;
        status = put(tensors, "rank.targets", t);
    }
    if (status == ECREC_OK && r->binned != 0)
        status = put(tensors, "rank.bins", zeros(m, TYPE_F64, r->binned, BINS_COLUMNS));
    static const char *const tables[] = { "rank.hashed", "learn.hashed" };
    for (int i = 0; i < 2 && status == ECREC_OK && r->hashed; i++)
        status = put_table(m, tensors, tables[i], (uint64_t)r->heads << r->hash_bits, 1, HASHED_CHUNK);
    if (status == ECREC_OK && ranker_admits(r))
        status = put_table(m, tensors, "rank.sightings", (uint64_t)1 << r->hash_bits, 1, HASHED_CHUNK);
    if (status == ECREC_OK)
        status = put_network(m, r, s, tensors);
    if (status == ECREC_OK && ranker_expires(r))
        status = put_alive(m, r, tensors);
    const size_t bytes = (size_t)r->heads * r->width * sizeof(float);
    ranker_free(r);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a ranker's weights", bytes);
}
