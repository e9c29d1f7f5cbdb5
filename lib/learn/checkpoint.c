#include "learn/checkpoint.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/error.h"
#include "model/file.h"

enum { STATE_HEAD = 4, MOST_NAME_BYTES = 96 };
static const char best_prefix[] = "fit.best.";

int32_t checkpoint_open(checkpoint *c, memory *m, uint32_t epochs, ecrec_error *err)
{
    memset(c, 0, sizeof *c);
    c->m = m;
    c->most = epochs;
    c->history = memory_zero(m, 2 * epochs * sizeof *c->history);
    return c->history != NULL ? ECREC_OK : error_nomem(err, "the losses", 2 * epochs * sizeof *c->history);
}

void checkpoint_close(checkpoint *c)
{
    memory_release(c->m, c->history, 2 * c->most * sizeof *c->history);
    tensor_set_release(c->best);
    tensor_set_release(c->last);
    parts_release(c->file);
    memset(c, 0, sizeof *c);
}

static int written_by_learning(const char *name)
{
    return strncmp(name, "rank.", 5) == 0 || strncmp(name, "learn.", 6) == 0;
}

/* A copy that later steps do not change. */
static int32_t copy(memory *m, const tensor *from, tensor **out)
{
    if (from->layout == LAYOUT_CHUNKS)
        return tensor_fork(from, out);
    const int32_t status = tensor_create(m, from->type, from->layout, from->rank, from->shape, out);
    if (status == ECREC_OK)
        memcpy(tensor_edit(*out), from->data, from->bytes);
    return status;
}

int32_t checkpoint_keep_best(checkpoint *c, const tensor_set *state, ecrec_error *err)
{
    tensor_set *best = NULL;
    int32_t status = tensor_set_copy(state, &best);
    for (size_t i = 0; status == ECREC_OK && i < tensor_set_count(state); i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(state, i, &name);
        tensor *own = NULL;
        if (!written_by_learning(name))
            continue;
        if ((status = copy(c->m, t, &own)) == ECREC_OK)
            status = tensor_set_put(best, name, own);
        tensor_release(own);
    }
    if (status != ECREC_OK) {
        tensor_set_release(best);
        return error_nomem(err, "the best epoch's weights", 0);
    }
    tensor_set_release(c->best);
    c->best = best;
    return ECREC_OK;
}

static int32_t put_state(const checkpoint *c, tensor_set *set)
{
    const uint64_t shape[2] = { 1, STATE_HEAD + 2 * (uint64_t)c->epoch };
    tensor *t = NULL;
    int32_t status = tensor_create(c->m, TYPE_F64, LAYOUT_ROWS, 2, shape, &t);
    if (status != ECREC_OK)
        return status;
    double *v = tensor_edit(t);
    v[0] = c->epoch;
    v[1] = c->best_loss;
    v[2] = c->best_epoch;
    v[3] = c->since;
    memcpy(v + STATE_HEAD, c->history, 2 * c->epoch * sizeof *v);
    status = tensor_set_put(set, "fit.state", t);
    tensor_release(t);
    return status;
}

static int32_t put_best(const checkpoint *c, tensor_set *set)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; c->best != NULL && status == ECREC_OK && i < tensor_set_count(c->best); i++) {
        char key[MOST_NAME_BYTES];
        const char *name = NULL;
        tensor *t = tensor_set_at(c->best, i, &name);
        if (!written_by_learning(name) || strlen(name) + sizeof best_prefix > sizeof key)
            continue;
        memcpy(key, best_prefix, sizeof best_prefix - 1);
        memcpy(key + sizeof best_prefix - 1, name, strlen(name) + 1);
        status = tensor_set_put(set, key, t);
    }
    return status;
}

int32_t checkpoint_write(const checkpoint *c, const parts *model, const tensor_set *state, const trainer *t, const char *path, ecrec_error *err)
{
    parts *p = NULL;
    tensor_set *set = NULL;
    int32_t status = parts_copy(model, &p);
    if (status == ECREC_OK && (status = tensor_set_copy(state, &set)) == ECREC_OK) {
        tensor_set_release(p->tensors);
        p->tensors = set;
    }
    if (status == ECREC_OK && (status = put_state(c, set)) == ECREC_OK && (status = put_best(c, set)) == ECREC_OK)
        status = trainer_export(t, set);
    if (status != ECREC_OK)
        status = error_nomem(err, "a checkpoint", 0);
    else
        status = file_save(p, path, err);
    parts_release(p);
    return status;
}

static int32_t read_state(checkpoint *c, const char *path, ecrec_error *err)
{
    const tensor *t = tensor_set_get(c->file->tensors, "fit.state");
    const double *v = t != NULL ? t->data : NULL;
    if (t == NULL || t->type != TYPE_F64 || t->layout != LAYOUT_ROWS || t->rank != 2 || t->shape[0] != 1 || t->shape[1] < STATE_HEAD || !(v[0] >= 1 && v[0] < 1e6) ||
        t->shape[1] != STATE_HEAD + 2 * (uint64_t)v[0] || !(v[2] >= 0 && v[2] <= v[0]) || !(v[3] >= 0 && v[3] <= v[0]))
        return error_set(err, ECREC_ERR_FORMAT, "checkpoint %s: it is a model, but not one that a fit left to go on from", path);
    if ((uint32_t)v[0] > c->most)
        return error_set(err, ECREC_ERR_MISMATCH, "checkpoint %s: %u epochs are done, but only %u were asked for", path, (uint32_t)v[0], c->most);
    c->epoch = (uint32_t)v[0];
    c->best_loss = v[1];
    c->best_epoch = (uint32_t)v[2];
    c->since = (uint32_t)v[3];
    memcpy(c->history, v + STATE_HEAD, 2 * c->epoch * sizeof *v);
    return ECREC_OK;
}

/* The model's tensors, with those of the file whose names begin with `prefix` and are written by learning. */
static int32_t take_tensors(const checkpoint *c, const parts *model, const char *prefix, tensor_set **out, ecrec_error *err)
{
    const size_t n = strlen(prefix);
    int32_t status = tensor_set_copy(model->tensors, out);
    for (size_t i = 0; status == ECREC_OK && i < tensor_set_count(c->file->tensors); i++) {
        const char *name = NULL;
        tensor *t = tensor_set_at(c->file->tensors, i, &name);
        if (strncmp(name, prefix, n) == 0 && written_by_learning(name + n))
            status = tensor_set_put(*out, name + n, t);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a checkpoint's weights", 0);
}

int32_t checkpoint_read(checkpoint *c, ecrec_context *context, const parts *model, const char *path, ecrec_error *err)
{
    mapping *map = NULL;
    int32_t status = mapping_open(context, path, &map, err);
    if (status != ECREC_OK)
        return status;
    ecrec_error why = ECREC_ERROR_INIT;
    status = file_read(map, NULL, &c->file, &why);
    mapping_release(map);
    if (status != ECREC_OK)
        return error_at(err, status, why.position, "checkpoint %s: %s", path, why.message);
    const blob *own = parts_blob(model, "schema"), *other = parts_blob(c->file, "schema");
    if (own == NULL || other == NULL || own->length != other->length || memcmp(own->data, other->data, own->length) != 0)
        return error_set(err, ECREC_ERR_MISMATCH, "checkpoint %s: it was made for another schema", path);
    status = read_state(c, path, err);
    if (status == ECREC_OK)
        status = take_tensors(c, model, "", &c->last, err);
    if (status == ECREC_OK && c->best_epoch != 0)
        status = take_tensors(c, model, best_prefix, &c->best, err);
    if (status == ECREC_OK && ((status = ranker_check_tables(c->last, &why)) != ECREC_OK || (c->best != NULL && (status = ranker_check_tables(c->best, &why)) != ECREC_OK)))
        return error_at(err, status, why.position, "checkpoint %s: %s", path, why.message);
    return status;
}
