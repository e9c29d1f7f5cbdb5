/* The model handle: parts that do not change, and the chain of snapshots that do.
 *
 * A reader takes no lock: its session publishes which snapshot it is about to read (a hazard pointer, Michael 2004) and
 * looks again that it is still current. A writer frees a snapshot that nobody keeps only when no session names it. */
#ifndef ECREC_LIB_MODEL_MODEL_H
#define ECREC_LIB_MODEL_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/context.h"
#include "ecrec/model.h"
#include "model/parts.h"

enum { MOST_KEPT = 64, MOST_NAMED = 32 };

typedef struct snapshot {
    uint64_t number;
    tensor_set *tensors;  /* the whole state, encoder included (shared) */
    void *encoder;        /* bound views, made before publishing and freed with the snapshot by the callbacks below; */
    void *ranker;         /* NULL where the model has none. encoder is usually shared by all snapshots (reference counted) */
    struct snapshot *next_retired;
    char name[64]; /* under the model's mutex; empty: none. Named ones stay */
    hash128 state; /* fingerprint of what was learned, when `hashed` (under the model's mutex) */
    int hashed;
} snapshot;

/* How the upper rooms bind views to a snapshot; set once when the model is made. */
typedef struct snapshot_binder {
    int32_t (*bind)(ecrec_model *model, snapshot *s, const snapshot *previous /* or NULL */, ecrec_error *err);
    void (*unbind)(ecrec_model *model, snapshot *s);
} snapshot_binder;

typedef struct hazard {
    _Atomic(snapshot *) reading;
    struct hazard *next, *previous; /* under the model's mutex */
} hazard;

struct ecrec_model {
    _Atomic uint32_t references;
    ecrec_context *context; /* referenced */
    parts *fixed;           /* settings and blobs, no tensors */
    snapshot_binder binder;
    void *tokenizer; /* text/tokenizer.h, or NULL; freed by release_views */
    void *pictures;  /* image/image.h: how pictures are prepared, or NULL */
    void *schema;    /* rank/schema.h, or NULL */
    void (*release_views)(ecrec_model *model);
    char space[40], variant[40];

    _Atomic(snapshot *) current;
    pthread_mutex_t lock;        /* sessions, kept snapshots: never held while readers read */
    atomic_flag updating;
    hazard *hazards;
    snapshot *kept[MOST_KEPT + MOST_NAMED]; /* oldest first; the last is the current one */
    uint32_t kept_count, kept_limit;        /* kept_limit: of those without a name */
    uint64_t last_number;        /* numbers are never given twice */
    snapshot *retired;
    struct journal *journal;     /* model/journal.h, or NULL; the updating thread's */
};

/* Takes over `p` (also on failure). `setup` makes tokenizer, schema and sets binder and release_views before the first
 * snapshot is bound. */
int32_t model_create(ecrec_context *context, parts *p, uint32_t snapshots, int32_t (*setup)(ecrec_model *, ecrec_error *),
                     ecrec_model **out, ecrec_error *err);
void model_reference(ecrec_model *model);
void model_release(ecrec_model *model);

void model_add_hazard(ecrec_model *model, hazard *h);
void model_remove_hazard(ecrec_model *model, hazard *h);
/* Reader: valid until snapshot_done(h). Lock-free. number 0: the current one; else a kept one (takes the mutex), or NULL. */
const snapshot *snapshot_read(ecrec_model *model, hazard *h, uint64_t number);
void snapshot_done(hazard *h);

/* Writer. begin: BUSY when another thread updates. The current snapshot stays valid until end. */
int32_t model_update_begin(ecrec_model *model, const snapshot **current, ecrec_error *err);
void model_update_end(ecrec_model *model);
/* Between begin and end: binds a new snapshot of these tensors (taken over on success only) and publishes it with one
 * atomic store. */
int32_t model_publish(ecrec_model *model, tensor_set *tensors, uint64_t *number, ecrec_error *err);
int32_t model_publish_as(ecrec_model *model, tensor_set *tensors, uint64_t least /* number, if it is not passed yet */, uint64_t *number,
                         ecrec_error *err);
/* Between begin and end: these tensors are the current snapshot again under an old number; later ones are dropped. Not journalled. */
int32_t model_restore(ecrec_model *model, tensor_set *tensors, uint64_t number, ecrec_error *err);
int32_t model_rollback(ecrec_model *model, uint64_t number, ecrec_error *err);
/* Between begin and end: all snapshots but the current one go, named ones too. */
void model_drop_older(ecrec_model *model);
/* name: empty takes it away. INVALID, NOT_FOUND, LIMIT. Any thread. */
int32_t model_name_snapshot(ecrec_model *model, uint64_t number, const char *name, ecrec_error *err);
int32_t model_find_snapshot(ecrec_model *model, const char *name, uint64_t *number, ecrec_error *err);
/* Fingerprint of what a snapshot has learned: of the bytes of its tensors "rank.*" and "learn.*". s must stay valid (a hazard, or the
 * updating thread). Looks at what changed since a kept snapshot whose fingerprint is known, or at everything once. */
hash128 model_state(ecrec_model *model, const snapshot *s);
/* What a delta or a journal must fit beside the state: schema and encoder. */
hash128 model_identity(const ecrec_model *model);
/* A consistent copy of the parts with the current snapshot's tensors, for saving and for making other models. */
int32_t model_parts(ecrec_model *model, parts **out, ecrec_error *err);

#endif
