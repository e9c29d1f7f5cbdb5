#include "learn/forget.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "stream/online.h"

typedef struct forgetting {
    const forget_call *call;
    learn_state state;
    online memory;
    uint64_t hash;
    double rows, weights, embeddings;
    int32_t status; /* of what the callback did */
    ecrec_error *err;
} forgetting;

/* 1: a row of a table was not zeros, and is now. */
static int32_t clear_row(tensor *t, uint64_t row, double *cleared)
{
    const unsigned char *old = tensor_row(t, row);
    size_t i = 0;
    while (old != NULL && i < t->row_bytes && old[i] == 0)
        i++;
    if (old == NULL || i == t->row_bytes)
        return ECREC_OK;
    void *own = tensor_row_edit(t, row);
    if (own == NULL)
        return ECREC_ERR_NOMEM;
    memset(own, 0, (size_t)t->row_bytes);
    if (cleared != NULL)
        *cleared += 1;
    return ECREC_OK;
}

/* The first order's weights of a hash, of all heads, with what the optimiser knows of them. */
static int32_t clear_slot(forgetting *f, uint64_t hash)
{
    const ranker *r = f->state.now;
    const uint64_t slot = hash & (((uint64_t)1 << r->hash_bits) - 1);
    int32_t status = ECREC_OK;
    for (uint64_t head = 0; head < r->heads && f->state.hashed != NULL && status == ECREC_OK; head++) {
        status = clear_row(f->state.hashed, (head << r->hash_bits) + slot, &f->weights);
        if (status == ECREC_OK)
            status = clear_row(f->state.hashed_sums, (head << r->hash_bits) + slot, NULL);
    }
    return status;
}

/* What the value and each of a row's other values have in common. */
static int32_t clear_pairs(forgetting *f, const ecrec_batch *batch, size_t row)
{
    const ranker *r = f->state.now;
    const uint32_t own = r->plan[f->call->field].category;
    uint64_t hashes[2];
    int32_t status = ECREC_OK;
    for (uint32_t k = 0; k < r->pair_count && own != NO_INDEX && status == ECREC_OK; k++) {
        const uint32_t two[2] = { r->pairs[k].a, r->pairs[k].b };
        if (two[0] != own && two[1] != own)
            continue;
        for (uint32_t i = 0; i < 2; i++)
            for (uint32_t field = 0; field < r->fields; field++)
                if (r->plan[field].category == two[i])
                    hashes[i] = record_category(r, field, batch, row);
        status = clear_slot(f, pair_hash(hashes[0], hashes[1]));
    }
    return status;
}

static int is_whose(void *opaque, const ecrec_batch *batch, size_t row)
{
    forgetting *f = opaque;
    const batch_column *c = &batch->columns[f->call->field];
    size_t length = 0;
    if (!column_has(c, row))
        return 0;
    const char *text = column_text(c, column_row(c, row), &length);
    if (length != f->call->length || (length != 0 && memcmp(text, f->call->value, length) != 0))
        return 0;
    if (f->status == ECREC_OK)
        f->status = clear_pairs(f, batch, row);
    return 1;
}

static int32_t clear_all(forgetting *f)
{
    const ranker *r = f->state.now;
    const field_plan *p = &r->plan[f->call->field];
    int32_t status = ECREC_OK;
    f->hash = record_value(r, f->call->field, f->call->value, f->call->length);
    if (p->category != NO_INDEX)
        status = clear_slot(f, f->hash);
    if (status == ECREC_OK && f->state.embeddings != NULL) {
        const uint64_t row = f->hash & (((uint64_t)1 << r->net.embedding_bits) - 1);
        status = clear_row(f->state.embeddings, row, &f->embeddings);
        if (status == ECREC_OK)
            status = clear_row(f->state.embedding_sums, row, NULL);
    }
    if (status == ECREC_OK && f->memory.words != NULL)
        if ((status = online_forget(&f->memory, f->call->schema, is_whose, f, &f->rows, f->err)) != ECREC_OK)
            return status;
    status = status == ECREC_OK ? f->status : status;
    return status == ECREC_OK ? ECREC_OK : error_nomem(f->err, "the touched weights", 0);
}

/* Share of a table's rows that hold something: how likely it is that another value shares the one that was cleared. */
static double load(const tensor *t)
{
    double used = 0;
    for (uint64_t b = 0; t != NULL && b < t->block_count; b++)
        for (uint64_t c = 0; t->blocks[b] != NULL && c < CHUNK_BLOCK; c++) {
            const uint64_t first = (b * CHUNK_BLOCK + c) << t->chunk_shift;
            for (uint64_t row = first; tensor_block(t, b)->at[c] != NULL && row < first + t->rows_per_chunk && row < t->shape[0]; row++) {
                const float *w = tensor_row(t, row);
                int any = 0;
                for (uint64_t i = 0; i < t->shape[1] && !any; i++)
                    any = w[i] != 0;
                used += any;
            }
        }
    return t != NULL ? used / (double)t->shape[0] : 0;
}

static void say(ecrec_report *r, uint32_t *n, const char *what)
{
    char name[32];
    format_text(name, sizeof name, "cannot_undo.%u", (*n)++);
    report_string(r, name, what, strlen(what));
}

static int32_t tell(const forgetting *f, ecrec_report **out)
{
    ecrec_report *r = NULL;
    uint32_t n = 0;
    int32_t status = report_create(f->call->context, "forget", &r, f->err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "rows", f->rows);
    report_number(r, "weights", f->weights);
    report_number(r, "embeddings", f->embeddings);
    report_number(r, "snapshots_dropped", f->call->snapshots);
    report_number(r, "shared_weight", load(f->state.hashed));
    report_number(r, "shared_embedding", load(f->state.embeddings));
    say(r, &n, "weights of other values, of numbers and vectors, and the network were learned from this one's rows too");
    if (f->state.now->pair_count != 0)
        say(r, &n, "pairs with values that no row kept has are not known, their weights stay");
    say(r, &n, "the clicks of others that name this value in a text, a history or another field stay");
    say(r, &n, "ids of events stay as numbers until newer ones push them out");
    say(r, &n, "model files, deltas and copies made before hold what they held; the journal does until ecrec_journal_compact");
    say(r, &n, "an impression log is a file of its own: ecrec_impressions_forget");
    if ((status = report_finish(r, f->err)) == ECREC_OK)
        *out = r;
    else
        ecrec_report_release(r);
    return status;
}

int32_t forget_run(const forget_call *call, tensor_set **next, ecrec_report **report, ecrec_error *err)
{
    memory *m = &call->context->m;
    forgetting f = { .call = call, .err = err };
    int32_t status = state_open(&f.state, m, call->schema, call->dimension, call->tensors, err);
    if (status == ECREC_OK)
        status = online_open(&f.memory, m, f.state.next, call->schema, err);
    if (status == ECREC_OK)
        status = clear_all(&f);
    if (status == ECREC_OK && report != NULL)
        status = tell(&f, report);
    state_close(&f.state, status == ECREC_OK ? next : NULL);
    return status;
}
