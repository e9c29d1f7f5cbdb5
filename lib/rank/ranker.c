#include "rank/ranker.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "rank/bins.h"
#include "rank/features.h"
#include "rank/targets.h"

static int32_t find(const tensor_set *set, const char *name, int32_t type, int32_t layout, uint64_t rows, uint64_t columns, tensor **out,
                    ecrec_error *err)
{
    tensor *t = tensor_set_get(set, name);
    if (t == NULL)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\" is missing", name);
    if (t->type != type || t->layout != layout || t->rank != 2 || t->shape[0] != rows || t->shape[1] != columns)
        return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\" does not have the type and shape that the schema asks for (%llu x %llu)", name,
                         (unsigned long long)rows, (unsigned long long)columns);
    *out = t;
    return ECREC_OK;
}

static int32_t check_finite(const char *name, const float *values, size_t n, int positive, ecrec_error *err)
{
    for (size_t i = 0; values != NULL && i < n; i++)
        if (!isfinite(values[i]) || (positive && values[i] < 0))
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"%s\": value %zu is not a number that it may hold", name, i);
    return ECREC_OK;
}

/* All the rows that a chunked table has. */
static int32_t check_table(const char *name, const tensor *t, int positive, ecrec_error *err)
{
    for (uint64_t row = 0; row < t->shape[0]; row += t->rows_per_chunk) {
        if (t->blocks[(row >> t->chunk_shift) / CHUNK_BLOCK] == NULL) { /* all zeros */
            row += (CHUNK_BLOCK - 1) * t->rows_per_chunk;
            continue;
        }
        const uint64_t left = t->shape[0] - row, n = left < t->rows_per_chunk ? left : t->rows_per_chunk;
        const int32_t status = check_finite(name, tensor_row(t, row), (size_t)(n * t->shape[1]), positive, err);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

static int32_t check_numbers(const tensor *t, ecrec_error *err)
{
    const double *v = t->data;
    for (uint64_t i = 0; i < t->shape[0] * NUMBER_COLUMNS; i++)
        if (!isfinite(v[i]) || (i % NUMBER_COLUMNS != NUMBER_MEAN && i % NUMBER_COLUMNS != NUMBER_FROZEN_MEAN && v[i] < 0))
            return error_set(err, ECREC_ERR_FORMAT, "tensor \"rank.numbers\": value %llu is not a number that it may hold", (unsigned long long)i);
    return ECREC_OK;
}

static int32_t bind_network(ranker *r, const tensor_set *tensors, ecrec_error *err)
{
    const network_plan *n = &r->net;
    tensor *moments = NULL, *steps = NULL, *sums = NULL;
    int32_t status = ECREC_OK;
    if (n->size != 0) {
        if ((status = find(tensors, "rank.network", TYPE_F32, LAYOUT_ROWS, 1, n->size, &r->network, err)) == ECREC_OK &&
            (status = find(tensors, "learn.network", TYPE_F32, LAYOUT_ROWS, 2, n->size, &moments, err)) == ECREC_OK &&
            (status = find(tensors, "learn.steps", TYPE_F64, LAYOUT_ROWS, 1, 1, &steps, err)) == ECREC_OK &&
            (status = check_finite("rank.network", r->network->data, n->size, 0, err)) == ECREC_OK &&
            (status = check_finite("learn.network", moments->data, n->size, 0, err)) == ECREC_OK)
            status = check_finite("learn.network", (const float *)moments->data + n->size, n->size, 1, err);
        if (status == ECREC_OK && !(*(const double *)steps->data >= 0 && *(const double *)steps->data < 0x1p53))
            status = error_set(err, ECREC_ERR_FORMAT, "tensor \"learn.steps\" is no number of steps");
        if (status == ECREC_OK && network_packed_create(r->m, n, &r->packed) != ECREC_OK)
            status = error_nomem(err, "the network's matrices", n->size * sizeof(float));
        if (status == ECREC_OK)
            network_pack(r->packed, n, r->network->data);
    }
    const uint64_t rows = (uint64_t)1 << n->embedding_bits;
    if (status == ECREC_OK && n->width != 0 && r->categories + r->multis != 0 &&
        (status = find(tensors, "rank.embeddings", TYPE_F32, LAYOUT_CHUNKS, rows, n->width, &r->embeddings, err)) == ECREC_OK)
        status = find(tensors, "learn.embeddings", TYPE_F32, LAYOUT_CHUNKS, rows, n->width, &sums, err);
    return status;
}

/* Only learning looks at them. */
static int32_t check_alive(const ranker *r, const tensor_set *tensors, ecrec_error *err)
{
    tensor *t = NULL;
    int32_t status = find(tensors, "learn.period", TYPE_F64, LAYOUT_ROWS, 1, 1, &t, err);
    if (status == ECREC_OK && !(*(const double *)t->data >= 0 && *(const double *)t->data < 0x1p23))
        status = error_set(err, ECREC_ERR_FORMAT, "tensor \"learn.period\" is no number of periods");
    if (status == ECREC_OK)
        status = find(tensors, "learn.alive.weights", TYPE_F32, LAYOUT_CHUNKS, (uint64_t)1 << r->hash_bits, 1, &t, err);
    if (status == ECREC_OK && ranker_admits(r))
        status = find(tensors, "learn.alive.sightings", TYPE_F32, LAYOUT_CHUNKS, (uint64_t)1 << r->hash_bits, 1, &t, err);
    if (status == ECREC_OK && r->net.width != 0 && r->categories + r->multis != 0)
        status = find(tensors, "learn.alive.embeddings", TYPE_F32, LAYOUT_CHUNKS, (uint64_t)1 << r->net.embedding_bits, 1, &t, err);
    return status;
}

static int32_t bind(ranker *r, const ecrec_schema *s, const tensor_set *tensors, ecrec_error *err)
{
    tensor *sums = NULL, *sum_table = NULL;
    int32_t status = find(tensors, "rank.dense", TYPE_F32, LAYOUT_ROWS, r->heads, r->width, &r->dense, err);
    if (status == ECREC_OK)
        status = find(tensors, "learn.dense", TYPE_F32, LAYOUT_ROWS, r->heads, r->width, &sums, err);
    if (status == ECREC_OK)
        status = check_finite("rank.dense", r->dense->data, (size_t)r->heads * r->width, 0, err);
    if (status == ECREC_OK)
        status = check_finite("learn.dense", sums->data, (size_t)r->heads * r->width, 1, err);
    if (status == ECREC_OK && r->numbers != 0 &&
        (status = find(tensors, "rank.numbers", TYPE_F64, LAYOUT_ROWS, r->numbers, NUMBER_COLUMNS, &r->statistics, err)) == ECREC_OK)
        status = check_numbers(r->statistics, err);
    if (status == ECREC_OK && r->binned != 0 && (status = find(tensors, "rank.bins", TYPE_F64, LAYOUT_ROWS, r->binned, BINS_COLUMNS, &r->bins, err)) == ECREC_OK)
        status = bins_check(r->bins, err);
    if (status == ECREC_OK && (r->calibration = tensor_set_get(tensors, "rank.calibration")) != NULL)
        status = calibration_check(r->calibration, s, err);
    if (status == ECREC_OK && (r->targets = tensor_set_get(tensors, "rank.targets")) != NULL)
        status = targets_check(r->targets, s, err);
    if (status == ECREC_OK)
        status = bind_network(r, tensors, err);
    if (status == ECREC_OK && ranker_admits(r))
        status = find(tensors, "rank.sightings", TYPE_F32, LAYOUT_CHUNKS, (uint64_t)1 << r->hash_bits, 1, &r->sightings, err);
    if (status == ECREC_OK && ranker_expires(r))
        status = check_alive(r, tensors, err);
    if (status != ECREC_OK || !r->hashed)
        return status;
    const uint64_t rows = (uint64_t)r->heads << r->hash_bits;
    if ((status = find(tensors, "rank.hashed", TYPE_F32, LAYOUT_CHUNKS, rows, 1, &r->table, err)) != ECREC_OK ||
        (status = find(tensors, "learn.hashed", TYPE_F32, LAYOUT_CHUNKS, rows, 1, &sum_table, err)) != ECREC_OK)
        return status;
    if (r->unmet != NO_INDEX)
        r->met = r->table_sums = sum_table;
    return ECREC_OK;
}

int32_t ranker_check_tables(const tensor_set *tensors, ecrec_error *err)
{
    static const struct { const char *name; int positive; } tables[] = {
        { "rank.hashed", 0 }, { "learn.hashed", 1 }, { "rank.embeddings", 0 }, { "learn.embeddings", 1 }, { "rank.sightings", 1 },
        { "learn.alive.weights", 1 }, { "learn.alive.embeddings", 1 }, { "learn.alive.sightings", 1 } };
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && status == ECREC_OK; i++) {
        const tensor *t = tensor_set_get(tensors, tables[i].name);
        status = t != NULL ? check_table(tables[i].name, t, tables[i].positive, err) : ECREC_OK;
    }
    return status;
}

int32_t ranker_create(memory *m, const ecrec_schema *s, uint32_t dimension, const tensor_set *tensors, ranker **out, ecrec_error *err)
{
    ranker *r = NULL;
    int32_t status = ranker_plan(m, s, dimension, &r, err);
    if (status != ECREC_OK)
        return status;
    if (r->slots != 0 && dimension == 0)
        status = error_set(err, ECREC_ERR_FORMAT, "the schema has a text to encode, but the model has no encoder");
    if (status == ECREC_OK)
        status = bind(r, s, tensors, err);
    if (status != ECREC_OK) {
        network_packed_release(r->packed);
        ranker_free(r);
        return status;
    }
    tensor *const held[] = { r->dense, r->table, r->statistics, r->embeddings, r->network, r->table_sums, r->calibration, r->sightings, r->targets, r->bins };
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        tensor_reference(held[i]);
    *out = r;
    return ECREC_OK;
}

void ranker_release(ranker *r)
{
    if (r == NULL)
        return;
    tensor *const held[] = { r->dense, r->table, r->statistics, r->embeddings, r->network, r->table_sums, r->calibration, r->sightings, r->targets, r->bins };
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        tensor_release(held[i]);
    network_packed_release(r->packed);
    ranker_free(r);
}
