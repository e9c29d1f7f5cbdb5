#include "model/model.h"

#include <string.h>

#include "base/error.h"
#include "model/delta.h"
#include "model/journal.h"

/* ---- snapshots ---- */

static void snapshot_free(ecrec_model *model, snapshot *s)
{
    model->binder.unbind(model, s);
    tensor_set_release(s->tensors);
    memory_release(&model->context->m, s, sizeof *s);
}

/* Binds a new snapshot of `tensors`, which it takes over on success. */
static int32_t snapshot_make(ecrec_model *model, tensor_set *tensors, uint64_t number, const snapshot *previous, snapshot **out,
                             ecrec_error *err)
{
    snapshot *s = memory_zero(&model->context->m, sizeof *s);
    if (s == NULL)
        return error_nomem(err, "a snapshot", sizeof *s);
    s->number = number;
    s->tensors = tensors;
    int32_t status = model->binder.bind(model, s, previous, err);
    if (status != ECREC_OK) {
        memory_release(&model->context->m, s, sizeof *s);
        return status;
    }
    *out = s;
    return ECREC_OK;
}

/* Under the lock: free what nobody keeps and no session names. */
static void sweep(ecrec_model *model)
{
    snapshot **link = &model->retired;
    while (*link != NULL) {
        snapshot *s = *link;
        int named = 0;
        for (const hazard *h = model->hazards; h != NULL && !named; h = h->next)
            named = atomic_load(&h->reading) == s;
        if (named) {
            link = &s->next_retired;
            continue;
        }
        *link = s->next_retired;
        snapshot_free(model, s);
    }
}

static void retire(ecrec_model *model, snapshot *s)
{
    s->next_retired = model->retired;
    model->retired = s;
}

void model_add_hazard(ecrec_model *model, hazard *h)
{
    atomic_init(&h->reading, NULL);
    pthread_mutex_lock(&model->lock);
    h->previous = NULL;
    h->next = model->hazards;
    if (h->next != NULL)
        h->next->previous = h;
    model->hazards = h;
    pthread_mutex_unlock(&model->lock);
}

void model_remove_hazard(ecrec_model *model, hazard *h)
{
    pthread_mutex_lock(&model->lock);
    if (h->previous != NULL)
        h->previous->next = h->next;
    else
        model->hazards = h->next;
    if (h->next != NULL)
        h->next->previous = h->previous;
    pthread_mutex_unlock(&model->lock);
}

const snapshot *snapshot_read(ecrec_model *model, hazard *h, uint64_t number)
{
    if (number == 0) {
        snapshot *s = atomic_load(&model->current), *again;
        for (;;) {
            atomic_store(&h->reading, s);
            again = atomic_load(&model->current);
            if (again == s)
                return s; /* named before it could be retired: it stays until snapshot_done */
            s = again;
        }
    }
    snapshot *found = NULL;
    pthread_mutex_lock(&model->lock);
    for (uint32_t i = 0; i < model->kept_count; i++)
        if (model->kept[i]->number == number)
            found = model->kept[i];
    if (found != NULL)
        atomic_store(&h->reading, found);
    pthread_mutex_unlock(&model->lock);
    return found;
}

void snapshot_done(hazard *h)
{
    atomic_store_explicit(&h->reading, NULL, memory_order_release);
}

/* ---- the handle ---- */

static void model_free(ecrec_model *model)
{
    ecrec_context *context = model->context;
    journal_close(model, NULL);
    for (uint32_t i = 0; i < model->kept_count; i++)
        retire(model, model->kept[i]);
    model->kept_count = 0;
    sweep(model);
    if (model->release_views != NULL)
        model->release_views(model);
    parts_release(model->fixed);
    pthread_mutex_destroy(&model->lock);
    memory_release(&context->m, model, sizeof *model);
    context_release(context);
}

int32_t model_create(ecrec_context *context, parts *p, uint32_t snapshots, int32_t (*setup)(ecrec_model *, ecrec_error *),
                     ecrec_model **out, ecrec_error *err)
{
    ecrec_model *model = memory_zero(&context->m, sizeof *model);
    if (model == NULL) {
        parts_release(p);
        return error_nomem(err, "a model", sizeof *model);
    }
    atomic_init(&model->references, 1);
    pthread_mutex_init(&model->lock, NULL);
    atomic_flag_clear(&model->updating);
    context_reference(context);
    model->context = context;
    model->fixed = p;
    model->kept_limit = snapshots == 0 ? 1 : snapshots > MOST_KEPT ? MOST_KEPT : snapshots;
    model->last_number = p->sequence;
    snapshot *first = NULL;
    tensor_set *tensors = NULL;
    int32_t status = setup(model, err);
    /* the snapshots hold the tensors from now on: the fixed parts keep none alive */
    tensor_set *none = NULL;
    if (status == ECREC_OK && tensor_set_create(&context->m, &none) != ECREC_OK)
        status = error_nomem(err, "a snapshot", 0);
    if (status == ECREC_OK) {
        tensors = p->tensors;
        p->tensors = none;
    }
    if (status == ECREC_OK)
        status = snapshot_make(model, tensors, p->sequence, NULL, &first, err);
    if (status != ECREC_OK) {
        tensor_set_release(tensors);
        model_free(model);
        return status;
    }
    model->kept[0] = first;
    model->kept_count = 1;
    atomic_store(&model->current, first);
    *out = model;
    return ECREC_OK;
}

void model_reference(ecrec_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
}

void model_release(ecrec_model *model)
{
    if (model != NULL && atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1)
        model_free(model);
}

int32_t model_update_begin(ecrec_model *model, const snapshot **current, ecrec_error *err)
{
    if (atomic_flag_test_and_set(&model->updating))
        return error_set(err, ECREC_ERR_BUSY, "another thread is updating the model");
    *current = atomic_load(&model->current);
    return ECREC_OK;
}

void model_update_end(ecrec_model *model)
{
    atomic_flag_clear(&model->updating);
}

/* Under the lock: nothing can fail from here on. */
static void make_current(ecrec_model *model, snapshot *s)
{
    model->kept[model->kept_count++] = s;
    if (s->number > model->last_number)
        model->last_number = s->number;
    atomic_store(&model->current, s);
    sweep(model);
}

static uint32_t unnamed(const ecrec_model *model)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < model->kept_count; i++)
        n += model->kept[i]->name[0] == 0;
    return n;
}

/* Under the lock: the oldest ones without a name go until one more can be kept. */
static void make_room(ecrec_model *model)
{
    for (uint32_t i = 0; i < model->kept_count && unnamed(model) >= model->kept_limit;) {
        if (model->kept[i]->name[0] != 0) {
            i++;
            continue;
        }
        retire(model, model->kept[i]);
        model->kept_count--;
        memmove(model->kept + i, model->kept + i + 1, (model->kept_count - i) * sizeof *model->kept);
    }
}

int32_t model_publish_as(ecrec_model *model, tensor_set *tensors, uint64_t least, uint64_t *number, ecrec_error *err)
{
    snapshot *s = NULL;
    const snapshot *before = atomic_load(&model->current);
    int32_t status = snapshot_make(model, tensors, least > model->last_number ? least : model->last_number + 1, before, &s, err);
    if (status != ECREC_OK)
        return status;
    /* in the journal before anybody sees it, and after everything else that can fail */
    if (model->journal != NULL && (status = journal_append(model, RECORD_UPDATE, before, s, err)) != ECREC_OK) {
        s->tensors = NULL; /* still the caller's */
        snapshot_free(model, s);
        return status;
    }
    pthread_mutex_lock(&model->lock);
    make_room(model);
    make_current(model, s);
    pthread_mutex_unlock(&model->lock);
    *number = s->number;
    return ECREC_OK;
}

int32_t model_publish(ecrec_model *model, tensor_set *tensors, uint64_t *number, ecrec_error *err)
{
    return model_publish_as(model, tensors, 0, number, err);
}

int32_t model_restore(ecrec_model *model, tensor_set *tensors, uint64_t number, ecrec_error *err)
{
    snapshot *s = NULL;
    int32_t status = snapshot_make(model, tensors, number, atomic_load(&model->current), &s, err);
    if (status != ECREC_OK)
        return status;
    pthread_mutex_lock(&model->lock);
    while (model->kept_count > 0 && model->kept[model->kept_count - 1]->number >= number)
        retire(model, model->kept[--model->kept_count]);
    make_room(model);
    make_current(model, s);
    pthread_mutex_unlock(&model->lock);
    return ECREC_OK;
}

int32_t model_rollback(ecrec_model *model, uint64_t number, ecrec_error *err)
{
    const snapshot *now = NULL;
    int32_t status = model_update_begin(model, &now, err);
    if (status != ECREC_OK)
        return status;
    pthread_mutex_lock(&model->lock);
    uint32_t at = 0;
    while (at < model->kept_count && model->kept[at]->number != number)
        at++;
    if (at == model->kept_count)
        status = error_set(err, ECREC_ERR_NOT_FOUND, "snapshot %llu is not kept: %llu to %llu are", (unsigned long long)number,
                           (unsigned long long)model->kept[0]->number,
                           (unsigned long long)model->kept[model->kept_count - 1]->number);
    pthread_mutex_unlock(&model->lock);
    /* what is kept stays as it is while this thread updates */
    if (status == ECREC_OK && model->journal != NULL && model->kept[at] != now)
        status = journal_append(model, RECORD_ROLLBACK, now, model->kept[at], err);
    if (status == ECREC_OK) {
        pthread_mutex_lock(&model->lock);
        atomic_store(&model->current, model->kept[at]);
        while (model->kept_count > at + 1)
            retire(model, model->kept[--model->kept_count]);
        sweep(model);
        pthread_mutex_unlock(&model->lock);
    }
    model_update_end(model);
    return status;
}

void model_drop_older(ecrec_model *model)
{
    pthread_mutex_lock(&model->lock);
    for (uint32_t i = 0; i + 1 < model->kept_count; i++)
        retire(model, model->kept[i]);
    model->kept[0] = model->kept[model->kept_count - 1];
    model->kept_count = 1;
    sweep(model);
    pthread_mutex_unlock(&model->lock);
}

static snapshot *find_name(const ecrec_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->kept_count; i++)
        if (strcmp(model->kept[i]->name, name) == 0)
            return model->kept[i];
    return NULL;
}

int32_t model_name_snapshot(ecrec_model *model, uint64_t number, const char *name, ecrec_error *err)
{
    snapshot *found = NULL;
    int32_t status = ECREC_OK;
    const size_t length = strlen(name);
    if (length >= sizeof found->name)
        return error_set(err, ECREC_ERR_INVALID, "a snapshot's name has %zu bytes, at most %zu are possible", length, sizeof found->name - 1);
    pthread_mutex_lock(&model->lock);
    for (uint32_t i = 0; i < model->kept_count; i++)
        if (model->kept[i]->number == number)
            found = model->kept[i];
    if (found == NULL)
        status = error_set(err, ECREC_ERR_NOT_FOUND, "snapshot %llu is not kept (see ecrec_model_snapshots)", (unsigned long long)number);
    else if (length != 0 && find_name(model, name) != NULL && find_name(model, name) != found)
        status = error_set(err, ECREC_ERR_INVALID, "snapshot %llu is called \"%s\" already", (unsigned long long)find_name(model, name)->number, name);
    else if (length != 0 && found->name[0] == 0 && model->kept_count - unnamed(model) == MOST_NAMED)
        status = error_set(err, ECREC_ERR_LIMIT, "%d snapshots have names already, no more can", MOST_NAMED);
    else
        memcpy(found->name, name, length + 1);
    pthread_mutex_unlock(&model->lock);
    return status;
}

int32_t model_find_snapshot(ecrec_model *model, const char *name, uint64_t *number, ecrec_error *err)
{
    pthread_mutex_lock(&model->lock);
    const snapshot *found = find_name(model, name);
    if (found != NULL)
        *number = found->number;
    pthread_mutex_unlock(&model->lock);
    return found != NULL ? ECREC_OK : error_set(err, ECREC_ERR_NOT_FOUND, "no snapshot is called \"%s\"", name);
}

hash128 model_state(ecrec_model *model, const snapshot *s)
{
    hazard h;
    hash128 state = { 0, 0 };
    const snapshot *near = NULL;
    model_add_hazard(model, &h);
    pthread_mutex_lock(&model->lock);
    const int known = s->hashed;
    if (known)
        state = s->state;
    for (uint32_t i = model->kept_count; i-- > 0 && !known && near == NULL;)
        if (model->kept[i]->hashed)
            near = model->kept[i];
    if (near != NULL) {
        state = near->state;
        atomic_store(&h.reading, (snapshot *)(uintptr_t)near);
    }
    pthread_mutex_unlock(&model->lock);
    if (!known)
        state_hash(near != NULL ? near->tensors : NULL, s->tensors, &state);
    snapshot_done(&h);
    model_remove_hazard(model, &h);
    if (!known) {
        snapshot *to = (snapshot *)(uintptr_t)s; /* the note of it is no part of what a reader sees */
        pthread_mutex_lock(&model->lock);
        to->state = state;
        to->hashed = 1;
        pthread_mutex_unlock(&model->lock);
    }
    return state;
}

hash128 model_identity(const ecrec_model *model)
{
    const blob *schema = parts_blob(model->fixed, "schema");
    const hash128 none = { 0, 0 };
    return schema != NULL ? hash_128(schema->data, schema->length, hash64(model->variant, strlen(model->variant), 0)) : none;
}

int32_t model_parts(ecrec_model *model, parts **out, ecrec_error *err)
{
    hazard h;
    parts *p = NULL;
    tensor_set *tensors = NULL;
    model_add_hazard(model, &h);
    const snapshot *now = snapshot_read(model, &h, 0);
    int32_t status = parts_copy(model->fixed, &p);
    if (status == ECREC_OK)
        status = tensor_set_copy(now->tensors, &tensors);
    if (status == ECREC_OK) {
        tensor_set_release(p->tensors);
        p->tensors = tensors;
        p->sequence = now->number;
    } else {
        parts_release(p);
        status = error_nomem(err, "the parts of the model", 0);
    }
    snapshot_done(&h);
    model_remove_hazard(model, &h);
    if (status == ECREC_OK)
        *out = p;
    return status;
}
