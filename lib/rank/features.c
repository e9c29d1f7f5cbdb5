#include "rank/features.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "rank/bins.h"
#include "rank/sightings.h"
#include "rank/vocabulary.h"
#include "text/words.h"

#define RARE_SEED 0x72617265u
#define MISSING_SEED 0x6D697373696E6721u

uint64_t field_seed(const schema_field *f)
{
    return hash64(f->name, strlen(f->name), (uint64_t)f->kind + f->hash_seed * 0x9E3779B97F4A7C15u);
}

uint64_t missing_hash(uint64_t seed)
{
    return hash64("", 0, seed ^ MISSING_SEED);
}

double logistic(double logit)
{
    if (logit >= 0)
        return 1 / (1 + exp(-logit));
    const double e = exp(logit);
    return e / (1 + e);
}

const float *record_vector(const ranker *r, const kernels *table, uint32_t field, const record *rec, float *inverse)
{
    const field_plan *p = &r->plan[field];
    const float *v = NULL;
    if (rec->modalities != NULL && dropout_factor(rec->modalities, rec->row, MODALITY_LAYER, field) == 0)
        return NULL;
    if (p->slot != NO_INDEX)
        v = rec->texts[p->slot];
    else if (p->kind == ECREC_FIELD_VECTOR && column_has(&rec->batch->columns[field], rec->row))
        v = (const float *)(const void *)rec->batch->columns[field].values.data + column_row(&rec->batch->columns[field], rec->row) * p->vector;
    if (v != NULL) {
        const float length = sqrtf(table->dot_f32(p->vector, v, v));
        *inverse = length > 1e-20f && isfinite(length) ? 1 / length : 0;
    }
    return v;
}

int record_cosine(const ranker *r, const kernels *table, uint32_t field, const record *rec, float *cosine)
{
    float a = 0, b = 0;
    const float *v = record_vector(r, table, field, rec, &a), *w = record_vector(r, table, r->plan[field].compare, rec, &b);
    if (v == NULL || w == NULL)
        return 0;
    *cosine = table->dot_f32(r->plan[field].vector, v, w) * a * b;
    return 1;
}

typedef struct gram_visit {
    uint64_t seed, mask, count;
    float value;
    hashed_visit visit;
    void *opaque;
} gram_visit;

static void count_gram(void *opaque, uint32_t kind, const char *bytes, size_t length)
{
    gram_visit *g = opaque;
    (void)kind;
    (void)bytes;
    (void)length;
    g->count++;
}

static void visit_gram(void *opaque, uint32_t kind, const char *bytes, size_t length)
{
    const gram_visit *g = opaque;
    g->visit(g->opaque, hash64(bytes, length, g->seed + kind) & g->mask, g->value);
}

uint64_t record_category(const ranker *r, uint32_t field, const ecrec_batch *batch, size_t row)
{
    const batch_column *c = &batch->columns[field];
    const uint64_t seed = r->plan[field].seed;
    size_t n = 0;
    if (!column_has(c, row))
        return missing_hash(seed);
    if (r->plan[field].binned != NO_INDEX)
        return bins_hash(seed, bins_find(bins_row(r->bins, r->plan[field].binned), column_number(c, row)));
    const char *text = column_text(c, column_row(c, row), &n);
    return record_value(r, field, text, n);
}

uint64_t value_hash(const field_plan *p, const char *text, size_t length)
{
    return hash64(text, length, p->seed);
}

uint64_t record_value(const ranker *r, uint32_t field, const char *text, size_t length)
{
    const field_plan *p = &r->plan[field];
    if (p->vocabulary != NULL) /* its number; NO_VALUE + 1 is 0: what no value has */
        return pair_hash((uint32_t)(vocabulary_find(p->vocabulary, text, length) + 1), p->seed);
    const uint64_t hash = value_hash(p, text, length);
    if (p->admit_after > 1 && sightings_of(r->sightings, hash) < (float)p->admit_after)
        return pair_hash(RARE_SEED, p->seed);
    return p->hash_bits == 0 ? hash : pair_hash(hash & (((uint64_t)1 << p->hash_bits) - 1), p->seed);
}

uint64_t record_event(const ranker *r, uint32_t field, const batch_column *c, uint64_t event)
{
    size_t n = 0;
    const char *text = column_text(c, (size_t)event, &n);
    return record_value(r, r->plan[field].compare, text, n);
}

uint32_t record_events(const record *rec, uint32_t field, uint64_t *first)
{
    const batch_column *c = &rec->batch->columns[field];
    *first = 0;
    if (!column_has(c, rec->row))
        return 0;
    *first = column_items(c, rec->row);
    return (uint32_t)(column_items_end(c, rec->row) - *first);
}

/* The hour of the day, "h0" .. "h23", and the day of the week, "d0" (Monday) .. "d6". */
static void visit_time(int64_t microseconds, int32_t utc_offset, uint64_t seed, hashed_visit visit, void *opaque)
{
    const int64_t an_hour = 3600 * (int64_t)1000000, at = microseconds + utc_offset * (an_hour / 60);
    const int64_t hours = at / an_hour - (at % an_hour < 0), hour = (hours % 24 + 24) % 24, days = (hours - hour) / 24;
    const int64_t day = ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    char text[3] = { 'h', (char)('0' + hour % 10), 0 };
    if (hour >= 10) {
        text[1] = (char)('0' + hour / 10);
        text[2] = (char)('0' + hour % 10);
    }
    const char name[2] = { 'd', (char)('0' + day) };
    visit(opaque, hash64(text, hour >= 10 ? 3 : 2, seed), 0.70710678f);
    visit(opaque, hash64(name, 2, seed), 0.70710678f);
}

void record_multi(const ranker *r, uint32_t field, const ecrec_batch *batch, size_t row, hashed_visit visit, void *opaque)
{
    const batch_column *c = &batch->columns[field];
    const uint64_t seed = r->plan[field].seed;
    if (!column_has(c, row)) {
        visit(opaque, missing_hash(seed), 1);
        return;
    }
    if (r->plan[field].kind == ECREC_FIELD_TIME) {
        visit_time(column_time(c, row), r->plan[field].utc_offset, seed, visit, opaque);
        return;
    }
    for (uint64_t k = column_items(c, row); k < column_items_end(c, row); k++) {
        size_t n = 0;
        const char *text = column_text(c, (size_t)k, &n);
        visit(opaque, record_value(r, field, text, n), column_weight(c, k));
    }
}

typedef struct masked { uint64_t mask; hashed_visit visit; void *opaque; } masked;

static void visit_masked(void *opaque, uint64_t hash, float value)
{
    const masked *m = opaque;
    m->visit(m->opaque, hash & m->mask, value);
}

void record_hashed(const ranker *r, uint32_t field, const record *rec, hashed_visit visit, void *opaque)
{
    const field_plan *p = &r->plan[field];
    const batch_column *c = &rec->batch->columns[field];
    const uint64_t mask = ((uint64_t)1 << r->hash_bits) - 1;
    size_t n = 0;
    if (p->multi != NO_INDEX) {
        masked m = { mask, visit, opaque };
        record_multi(r, field, rec->batch, rec->row, visit_masked, &m);
        return;
    }
    if (p->category == NO_INDEX && p->word_ngrams == 0 && p->char_ngrams == 0)
        return;
    if (p->category != NO_INDEX) {
        visit(opaque, record_category(r, field, rec->batch, rec->row) & mask, 1);
        return;
    }
    if (!column_has(c, rec->row)) {
        visit(opaque, missing_hash(p->seed) & mask, 1);
        return;
    }
    const char *text = column_text(c, column_row(c, rec->row), &n);
    gram_visit g = { .seed = p->seed, .mask = mask, .visit = visit, .opaque = opaque };
    text_ngrams(text, n, p->word_ngrams, p->char_ngrams, count_gram, &g);
    if (g.count == 0)
        return;
    g.value = 1 / sqrtf((float)g.count);
    text_ngrams(text, n, p->word_ngrams, p->char_ngrams, visit_gram, &g);
}

double number_standard(const double *statistics, double value)
{
    const double z = (value - statistics[NUMBER_FROZEN_MEAN]) * statistics[NUMBER_FROZEN_SCALE], far = fabs(z) - NUMBER_BEND;
    return far <= 0 ? z : copysign(NUMBER_BEND + log1p(far), z);
}

typedef struct sum_state { const tensor *table; uint64_t first; double sum; } sum_state;

static void add_weight(void *opaque, uint64_t slot, float value)
{
    sum_state *s = opaque;
    const float *w = tensor_row(s->table, s->first + slot);
    if (w != NULL)
        s->sum += (double)*w * value;
}

double dense_part(const ranker *r, const kernels *table, const record *rec, uint32_t head, uint32_t field)
{
    const field_plan *p = &r->plan[field];
    const float *w = (const float *)r->dense->data + (size_t)head * r->width;
    double sum = 0;
    if (p->kind == ECREC_FIELD_NUMBER) {
        const batch_column *c = &rec->batch->columns[field];
        if (!column_has(c, rec->row))
            return w[p->missing];
        const double *statistics = (const double *)r->statistics->data + (size_t)p->number * NUMBER_COLUMNS;
        return w[p->dense] * number_standard(statistics, column_number(c, rec->row)) + w[p->dense + 1];
    }
    if (p->vector != 0) {
        float inverse = 0, cosine = 0;
        const float *v = record_vector(r, table, field, rec, &inverse);
        if (v == NULL && p->missing != NO_INDEX)
            sum += w[p->missing];
        else if (v != NULL && p->dims != 0)
            sum += (double)table->dot_f32(p->dims, v, w + p->dense) * inverse;
        if (p->cosine != NO_INDEX)
            sum += record_cosine(r, table, field, rec, &cosine) ? (double)w[p->cosine] * cosine : (double)w[p->cosine + 1];
    }
    return sum;
}

/* The weight of a category's or pair's value, and of one that was never learned from the weight for that. */
static double value_part(const ranker *r, const tensor *table, uint64_t row, const float *unmet)
{
    const float *w = tensor_row(table, row);
    double part = w != NULL ? *w : 0;
    if (unmet != NULL && (w == NULL || *w == 0 || r->met != r->table_sums)) { /* a weight that is not 0 was learned */
        const float *sum = tensor_row(r->met, row);
        part += sum == NULL || *sum == 0 ? *unmet : 0;
    }
    return part;
}

static const float *unmet_weights(const ranker *r, uint32_t head)
{
    return r->unmet != NO_INDEX ? (const float *)r->dense->data + (size_t)head * r->width + r->unmet : NULL;
}

double record_pair(const ranker *r, const uint64_t *categories, uint32_t head, uint32_t pair)
{
    const float *unmet = unmet_weights(r, head);
    const uint64_t slot = pair_hash(categories[r->pairs[pair].a], categories[r->pairs[pair].b]) & (((uint64_t)1 << r->hash_bits) - 1);
    return value_part(r, r->table, ((uint64_t)head << r->hash_bits) + slot, unmet != NULL ? unmet + r->categories + pair : NULL);
}

/* The sum over all pairs of the record's categories. */
static double pairs_part(const ranker *r, const uint64_t *categories, uint32_t head, const record_once *once)
{
    double sum = 0;
    for (uint32_t i = 0; i < r->pair_count; i++)
        sum += once != NULL && once->pair_known[i] ? once->pairs[(size_t)head * r->pair_count + i] : record_pair(r, categories, head, i);
    return sum;
}

double record_field(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, uint32_t head, uint32_t field)
{
    const float *unmet = unmet_weights(r, head);
    const uint32_t category = r->plan[field].category;
    sum_state s = { r->table, (uint64_t)head << r->hash_bits, dense_part(r, table, rec, head, field) };
    if (categories != NULL && category != NO_INDEX)
        s.sum += value_part(r, r->table, s.first + (categories[category] & (((uint64_t)1 << r->hash_bits) - 1)), unmet != NULL ? unmet + category : NULL);
    else
        record_hashed(r, field, rec, add_weight, &s);
    return s.sum;
}

double record_logit(const ranker *r, const kernels *table, const record *rec, const uint64_t *categories, uint32_t head, const record_once *once, float *parts)
{
    const float bias = ((const float *)r->dense->data)[(size_t)head * r->width + r->width - 1];
    double logit = bias;
    for (uint32_t f = 0; f < r->fields; f++) {
        const double part = once != NULL && once->field_known[f] ? once->parts[(size_t)head * r->fields + f] : record_field(r, table, rec, categories, head, f);
        if (parts != NULL)
            parts[f] = (float)part;
        logit += part;
    }
    if (parts != NULL)
        parts[r->fields] = bias;
    if (r->pair_count != 0) {
        const double pairs = pairs_part(r, categories, head, once);
        if (parts != NULL)
            parts[r->fields + 1] = (float)pairs;
        logit += pairs;
    }
    return logit;
}

size_t text_block_take(text_block *b, const ranker *r, size_t rows, void *memory)
{
    scratch s = { memory, 0, SIZE_MAX };
    const size_t n = rows * (r->slots != 0 ? r->slots : 1);
    b->once = NULL;
    b->texts = scratch_take(&s, n * sizeof *b->texts);
    b->lengths = scratch_take(&s, n * sizeof *b->lengths);
    b->pointers = scratch_take(&s, n * sizeof *b->pointers);
    b->vectors = scratch_take(&s, memory_product(n * sizeof(float), r->slots != 0 ? r->dimension : 1));
    for (b->known_size = 1; r->slots != 0 && b->known_size < n;)
        b->known_size *= 2;
    b->known_size *= 2;
    b->known = scratch_take(&s, memory_product(b->known_size, sizeof *b->known));
    return s.used;
}

/* The number of this text among the block's n; n: it is a new one. After a few other texts of its place it is taken for new. */
static size_t find_text(text_block *b, size_t n, const char *text, size_t length)
{
    enum { MOST_PROBES = 16 };
    const uint64_t hash = hash64(text, length, 0);
    for (uint64_t i = 0; i < MOST_PROBES; i++) {
        size_t *at = &b->known[(hash + i) & (b->known_size - 1)];
        if (*at == 0) {
            *at = n + 1;
            return n;
        }
        if (b->lengths[*at - 1] == length && (length == 0 || memcmp(b->texts[*at - 1], text, length) == 0))
            return *at - 1;
    }
    return n;
}

int32_t text_block_run(text_block *b, const score_call *call, size_t n, float *vectors, ecrec_error *err)
{
    if (n == 0)
        return ECREC_OK;
    const embed_call encode = { .encoder = call->encoder, .tokenizer = call->tokenizer, .context = call->context, .texts = b->texts,
                                .lengths = b->lengths, .n = n, .prompt = call->prompt, .prompt_length = call->prompt_length,
                                .pooling = call->encoder->pooling, .max_length = call->encoder->max_length, .normalize = 1,
                                .vectors = vectors, .stride = call->encoder->dimension };
    return embed_run(call->embed, &encode, err);
}

int32_t text_block_encode(text_block *b, const ranker *r, const score_call *call, const ecrec_batch *batch, size_t first, size_t rows, ecrec_error *err)
{
    size_t n = 0;
    memset(b->known, 0, b->known_size * sizeof *b->known);
    for (size_t i = 0; i < rows; i++)
        for (uint32_t f = 0; f < r->fields; f++) {
            const uint32_t slot = r->plan[f].slot;
            const batch_column *c = &batch->columns[f];
            if (slot == NO_INDEX)
                continue;
            b->pointers[i * r->slots + slot] = b->once != NULL && c->once ? b->once[slot] : NULL;
            if (b->once != NULL && c->once)
                continue;
            if (!column_has(c, first + i))
                continue;
            size_t length = 0;
            const char *text = column_text(c, column_row(c, first + i), &length);
            const size_t number = find_text(b, n, text, length);
            if (number == n) {
                b->texts[n] = text;
                b->lengths[n++] = length;
            }
            b->pointers[i * r->slots + slot] = b->vectors + number * r->dimension;
        }
    return text_block_run(b, call, n, b->vectors, err);
}
