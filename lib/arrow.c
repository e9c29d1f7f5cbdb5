/* Scores as a record batch of Arrow. One allocation holds everything; each array that a consumer may move away counts for it. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/format.h"
#include "check.h"
#include "ecrec/arrow.h"
#include "rank/batch.h"

typedef struct exported {
    _Atomic uint32_t references;
    ecrec_context *context; /* referenced: the allocator must stay */
    size_t bytes;
} exported;

static void let_go(exported *e)
{
    if (atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    ecrec_context *context = e->context;
    memory_release(&context->m, e, e->bytes);
    context_release(context);
}

/* A consumer that moved a child away has marked it as released. */
static void release_array(struct ArrowArray *a)
{
    exported *e = a->private_data;
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release != NULL)
            a->children[i]->release(a->children[i]);
    a->release = NULL;
    let_go(e);
}

static void release_schema(struct ArrowSchema *s)
{
    exported *e = s->private_data;
    for (int64_t i = 0; i < s->n_children; i++)
        if (s->children[i]->release != NULL)
            s->children[i]->release(s->children[i]);
    s->release = NULL;
    let_go(e);
}

static exported *make(ecrec_context *context, size_t bytes, uint32_t references)
{
    exported *e = memory_zero(&context->m, bytes);
    if (e == NULL)
        return NULL;
    atomic_init(&e->references, references);
    context_reference(context);
    e->context = context;
    e->bytes = bytes;
    return e;
}

enum { MOST_COLUMN_NAME = 272 }; /* a label's name, a point, its class */

static int32_t make_schema(ecrec_context *context, const ecrec_schema *s, struct ArrowSchema *out, ecrec_error *err)
{
    const uint32_t n = schema_outputs(s);
    const size_t bytes = sizeof(exported) + n * (sizeof(struct ArrowSchema) + sizeof(struct ArrowSchema *) + MOST_COLUMN_NAME);
    exported *e = make(context, bytes, n + 1);
    if (e == NULL)
        return error_nomem(err, "the scores' schema", bytes);
    struct ArrowSchema *columns = (struct ArrowSchema *)(void *)(e + 1), **children = (struct ArrowSchema **)(void *)(columns + n);
    char *names = (char *)(children + n);
    uint32_t at = 0;
    for (uint32_t l = 0; l < s->label_count; l++)
        for (uint32_t k = 0; k < label_outputs(&s->labels[l]); k++, at++, names += MOST_COLUMN_NAME) {
            if (s->labels[l].kind == ECREC_LABEL_CLASSES)
                format_text(names, MOST_COLUMN_NAME, "%s.%u", s->labels[l].name, k);
            else
                memcpy(names, s->labels[l].name, strlen(s->labels[l].name) + 1);
            columns[at] = (struct ArrowSchema){ .format = "f", .name = names, .flags = ARROW_FLAG_NULLABLE, .release = release_schema, .private_data = e };
            children[at] = &columns[at];
        }
    *out = (struct ArrowSchema){ .format = "+s", .name = "", .n_children = n, .children = children, .release = release_schema, .private_data = e };
    return ECREC_OK;
}

/* Rows of scores to columns; NaN is null. */
static void turn(const float *scores, size_t rows, uint32_t n, uint32_t column, float *to, uint8_t *bits, struct ArrowArray *a)
{
    for (size_t i = 0; i < rows; i++) {
        to[i] = scores[i * n + column];
        if (isnan(to[i]))
            a->null_count++;
        else
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    a->buffers[0] = a->null_count != 0 ? bits : NULL;
    a->buffers[1] = to;
}

static int32_t make_array(ecrec_context *context, size_t rows, uint32_t n, exported **out, struct ArrowArray *array, ecrec_error *err)
{
    const size_t bits = (rows + 7) / 8;
    scratch count = { NULL, 0, SIZE_MAX };
    for (int pass = 0; pass < 2; pass++) {
        exported *e = pass != 0 ? make(context, count.used, n + 1) : NULL;
        if (pass != 0 && e == NULL)
            return error_nomem(err, "the scores", count.used);
        scratch at = { (unsigned char *)e, 0, SIZE_MAX };
        (void)scratch_take(&at, sizeof *e);
        struct ArrowArray *columns = scratch_take(&at, n * sizeof *columns), **children = scratch_take(&at, n * sizeof *children);
        const void **buffers = scratch_take(&at, (2 * (size_t)n + 1) * sizeof *buffers);
        for (uint32_t i = 0; i < n; i++) {
            void *values = scratch_take(&at, memory_product(rows + 1, sizeof(float))), *valid = scratch_take(&at, bits + 1);
            if (pass == 0)
                continue;
            buffers[2 * i] = valid;
            buffers[2 * i + 1] = values;
            columns[i] = (struct ArrowArray){ .length = (int64_t)rows, .n_buffers = 2, .buffers = &buffers[2 * i], .release = release_array, .private_data = e };
            children[i] = &columns[i];
        }
        count = at;
        if (pass != 0) {
            *array = (struct ArrowArray){ .length = (int64_t)rows, .n_buffers = 1, .n_children = n, .buffers = &buffers[2 * n], .children = children,
                                          .release = release_array, .private_data = e };
            *out = e;
        }
    }
    return ECREC_OK;
}

int32_t ecrec_score_arrow(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch, const ecrec_score_options *options,
                          struct ArrowSchema *schema, struct ArrowArray *array, ecrec_error *err)
{
    exported *e = NULL;
    struct ArrowSchema names;
    struct ArrowArray values;
    int32_t status = check_session(model, session, err);
    if (status != ECREC_OK)
        return status;
    CHECK_POINTER(batch);
    CHECK_POINTER(schema);
    CHECK_POINTER(array);
    const ecrec_schema *s = ecrec_model_schema(model);
    if (s == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model is not a ranker (see ecrec_ranker_create)");
    const size_t rows = batch->rows, bytes = memory_product(rows * schema_outputs(s) + 1, sizeof(float));
    const uint32_t n = schema_outputs(s);
    memory *m = &model->context->m;
    float *scores = memory_allocate(m, bytes);
    if (scores == NULL)
        return error_nomem(err, "the scores", bytes);
    status = ecrec_score(model, session, batch, options, scores, rows * n, err);
    if (status == ECREC_OK && (status = make_schema(model->context, s, &names, err)) == ECREC_OK &&
        (status = make_array(model->context, rows, n, &e, &values, err)) != ECREC_OK)
        names.release(&names);
    for (uint32_t i = 0; status == ECREC_OK && i < n; i++) {
        struct ArrowArray *a = values.children[i];
        turn(scores, rows, n, i, (float *)(uintptr_t)a->buffers[1], (uint8_t *)(uintptr_t)a->buffers[0], a);
    }
    memory_release(m, scores, bytes);
    if (status == ECREC_OK) {
        *schema = names;
        *array = values;
    }
    return status;
}
