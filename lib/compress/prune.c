/* Structured pruning: which units go (importance.h, plan.h), then real smaller matrices (shrink.h). */
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "compress/compress.h"
#include "compress/shrink.h"
#include "compress/variant.h"
#include "ecrec/text.h"
#include "encoder/backward.h"

/* ---- whole layers: tried out on the texts, one at a time, the least missed goes ---- */

#define LAYER_TEXTS 64

typedef struct job {
    ecrec_context *context;
    const parts *original;
    const ecrec_prune_options *options;
    const encoder *e;
    sample s;
    importance i;
    plan plan;
    int32_t kind;
} job;

static int32_t cosine_without(job *j, const float *reference, double *out, ecrec_error *err)
{
    memory *m = &j->context->m;
    parts *p = NULL;
    encoder *e = NULL;
    float *vectors = NULL;
    agreement g;
    sample few = j->s;
    few.count = few.count < LAYER_TEXTS ? few.count : LAYER_TEXTS;
    int32_t status = parts_copy(j->original, &p) == ECREC_OK ? ECREC_OK : error_nomem(err, "a trial model", 0);
    if (status == ECREC_OK)
        status = shrink_drop_layers(p, j->e->layers, j->plan.layer, err);
    if (status == ECREC_OK)
        status = encoder_create(m, p->settings, p->tensors, &e, err);
    if (status == ECREC_OK)
        status = sample_encode(j->context, &few, e, &vectors, err);
    if (status == ECREC_OK)
        status = agreement_measure(j->context, reference, vectors, few.count, e->dimension, &g, err);
    if (status == ECREC_OK)
        *out = g.mean_cosine;
    memory_release(m, vectors, vectors != NULL ? few.count * j->e->dimension * sizeof(float) : 0);
    encoder_release(e);
    parts_release(p);
    return status;
}

static int32_t choose_layer(job *j, const float *reference, ecrec_error *err)
{
    uint32_t chosen = UINT32_MAX;
    double best = 0;
    for (uint32_t l = 0; l < j->e->layers; l++) {
        if (!j->plan.layer[l])
            continue;
        double worth = 0;
        int32_t status = ECREC_OK;
        if (reference != NULL) {
            j->plan.layer[l] = 0;
            status = cosine_without(j, reference, &worth, err);
            j->plan.layer[l] = 1;
        } else {
            worth = -(double)j->i.layer[l];
        }
        if (status != ECREC_OK)
            return status;
        if (chosen == UINT32_MAX || worth > best) { /* the first also when its worth is not a number */
            best = worth;
            chosen = l;
        }
    }
    j->plan.layer[chosen] = 0;
    return ECREC_OK;
}

static int32_t choose_layers(job *j, ecrec_error *err)
{
    float *reference = NULL;
    sample few = j->s;
    few.count = few.count < LAYER_TEXTS ? few.count : LAYER_TEXTS;
    int32_t status = ECREC_OK;
    if (few.count > 0)
        status = sample_encode(j->context, &few, j->e, &reference, err);
    for (uint32_t n = 0; status == ECREC_OK && n < j->options->layers; n++)
        status = choose_layer(j, reference, err);
    memory_release(&j->context->m, reference, reference != NULL ? few.count * j->e->dimension * sizeof(float) : 0);
    return status;
}

/* ---- the whole ---- */

static int32_t check_options(const ecrec_prune_options *o, const parts *original, ecrec_error *err)
{
    if (o == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: say what to remove: heads, feed_forward, layers or a target");
    if (!(o->heads >= 0 && o->heads < 1) || !(o->feed_forward >= 0 && o->feed_forward < 1))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: %s is %g, expected a share in [0, 1)",
                         o->heads >= 0 && o->heads < 1 ? "feed_forward" : "heads",
                         o->heads >= 0 && o->heads < 1 ? o->feed_forward : o->heads);
    if (!(o->target_parameters >= 0) || !(o->target_flops >= 0))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: a target is negative or not a number");
    int targets = (o->target_parameters > 0) + (o->target_flops > 0), shares = o->heads > 0 || o->feed_forward > 0;
    if (targets + shares > 1)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: give shares or one target, not both");
    if (targets + shares == 0 && o->layers == 0)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune: nothing to remove is given (heads, feed_forward, layers or a target)");
    if (o->importance < 0 || o->importance > ECREC_IMPORTANCE_TAYLOR)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_prune_options: importance %d is unknown", o->importance);
    if (o->importance >= ECREC_IMPORTANCE_ACTIVATION && o->count == 0)
        return error_set(err, ECREC_ERR_INVALID, "importance by %s is measured on sample texts, and none are given",
                         o->importance == ECREC_IMPORTANCE_TAYLOR ? "Taylor expansion" : "activations");
    if (properties_string(original->settings, "encoder.kind", NULL) == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the model has no encoder to prune");
    return ECREC_OK;
}

/* What cannot be pruned of this encoder, or not be measured as asked. */
static int32_t check_encoder(const encoder *e, const ecrec_prune_options *o, int32_t kind, ecrec_error *err)
{
    const int heads = o->heads > 0 || o->target_parameters > 0 || o->target_flops > 0;
    if (e->quantized)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "a quantised model cannot be pruned: prune first, then quantise");
    if (e->shared)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "layers that share their weights cannot be pruned");
    if (heads && e->relative_buckets != 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "attention heads with relative positions cannot be pruned (feed-forward channels and layers can)");
    for (uint32_t l = 0; heads && l < e->layers; l++)
        if (e->layer[l].groups != e->layer[l].heads)
            return error_set(err, ECREC_ERR_UNSUPPORTED, "attention heads that share keys and values cannot be pruned (feed-forward channels and layers can)");
    if (kind == ECREC_IMPORTANCE_MAGNITUDE)
        return ECREC_OK;
    const char *lacks = encoder_backward_lacks(e);
    if (lacks == NULL && (e->projection.w.n != 0 || e->projection_norm.weight != NULL))
        lacks = "a projection of its vectors";
    if (lacks == NULL && (e->pooling == ECREC_POOL_END || e->pooling == ECREC_POOL_POOLER))
        lacks = "its pooling";
    if (lacks != NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "importance cannot be measured on texts through %s: use magnitude", lacks);
    return ECREC_OK;
}

static int32_t make_plan(job *j, ecrec_error *err)
{
    const ecrec_prune_options *o = j->options;
    if (o->layers >= j->e->layers)
        return error_set(err, ECREC_ERR_INVALID, "%u layers are to go, the model has %u: nothing would be left", o->layers, j->e->layers);
    int32_t status = o->layers > 0 ? choose_layers(j, err) : ECREC_OK;
    if (status == ECREC_OK && o->heads > 0)
        status = plan_drop_share(&j->plan, &j->i, o->heads, 1, err);
    if (status == ECREC_OK && o->feed_forward > 0)
        status = plan_drop_share(&j->plan, &j->i, o->feed_forward, 0, err);
    if (status == ECREC_OK && o->target_parameters > 0)
        status = plan_drop_to(&j->plan, j->e, &j->i, o->target_parameters, 0, err);
    if (status == ECREC_OK && o->target_flops > 0)
        status = plan_drop_to(&j->plan, j->e, &j->i, o->target_flops, 1, err);
    return status == ECREC_OK ? plan_check(&j->plan, err) : status;
}

static int32_t agree(job *j, const encoder *after, ecrec_report *r, parts *p, ecrec_error *err)
{
    memory *m = &j->context->m;
    float *a = NULL, *b = NULL;
    size_t bytes = j->s.count * j->e->dimension * sizeof(float);
    agreement g;
    if (j->s.count == 0)
        return ECREC_OK;
    int32_t status = sample_encode(j->context, &j->s, j->e, &a, err);
    if (status == ECREC_OK)
        status = sample_encode(j->context, &j->s, after, &b, err);
    if (status == ECREC_OK)
        status = agreement_measure(j->context, a, b, j->s.count, j->e->dimension, &g, err);
    if (status == ECREC_OK)
        status = agreement_tell(&g, j->s.count, r, p->settings, err);
    memory_release(m, a, a != NULL ? bytes : 0);
    memory_release(m, b, b != NULL ? bytes : 0);
    return status;
}

static const char *const kinds[] = { "", "magnitude", "activation", "taylor" }; /* of ECREC_IMPORTANCE_* */

static int32_t build(job *j, parts *p, ecrec_report **report, ecrec_error *err)
{
    memory *m = &j->context->m;
    encoder *after = NULL;
    ecrec_report *r = NULL;
    int32_t status = shrink_layers(m, p, j->e, &j->plan, &j->i, err);
    if (status == ECREC_OK)
        status = shrink_drop_layers(p, j->e->layers, j->plan.layer, err);
    if (status == ECREC_OK)
        status = variant_mark(p, "pruned", err);
    if (status == ECREC_OK)
        status = encoder_create(m, p->settings, p->tensors, &after, err);
    if (status == ECREC_OK && report != NULL)
        status = report_create(j->context, "prune", &r, err);
    if (status == ECREC_OK && r != NULL) {
        report_string(r, "importance", kinds[j->kind], strlen(kinds[j->kind]));
        plan_tell(&j->plan, r);
        variant_sizes(r, j->e, after, j->original->tensors, p->tensors);
    }
    if (status == ECREC_OK)
        status = agree(j, after, r, p, err);
    if (status == ECREC_OK && r != NULL)
        status = report_finish(r, err);
    encoder_release(after);
    if (status != ECREC_OK)
        ecrec_report_release(r);
    else if (report != NULL)
        *report = r;
    return status;
}

int32_t prune_run(ecrec_context *context, const parts *original, const ecrec_prune_options *options, parts **out,
                  ecrec_report **report, ecrec_error *err)
{
    job j = { .context = context, .original = original, .options = options };
    parts *p = NULL;
    encoder *e = NULL;
    int32_t status = check_options(options, original, err);
    if (status == ECREC_OK)
        status = sample_open(&j.s, original, options->texts, options->lengths, options->count, err);
    if (status == ECREC_OK)
        status = encoder_create(&context->m, original->settings, original->tensors, &e, err);
    if (status != ECREC_OK)
        return status;
    j.e = e;
    j.kind = options->importance;
    if (j.kind == ECREC_IMPORTANCE_DEFAULT)
        j.kind = j.s.count > 0 ? ECREC_IMPORTANCE_TAYLOR : ECREC_IMPORTANCE_MAGNITUDE;
    status = check_encoder(e, options, j.kind, err);
    if (status == ECREC_OK)
        status = importance_measure(context, e, &j.s, j.kind, options->seed, options->progress, options->progress_opaque, &j.i, err);
    if (status == ECREC_OK)
        status = plan_open(&j.plan, &context->m, &j.i, err);
    if (status == ECREC_OK)
        status = make_plan(&j, err);
    if (status == ECREC_OK && parts_copy(original, &p) != ECREC_OK)
        status = error_nomem(err, "the pruned model", sizeof *p);
    if (status == ECREC_OK)
        status = build(&j, p, report, err);
    plan_close(&j.plan);
    importance_close(&j.i);
    encoder_release(e);
    if (status != ECREC_OK)
        parts_release(p);
    else
        *out = p;
    return status;
}
