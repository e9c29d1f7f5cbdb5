/* What each attention head, feed-forward channel and layer is worth. */
#ifndef ECREC_LIB_COMPRESS_IMPORTANCE_H
#define ECREC_LIB_COMPRESS_IMPORTANCE_H

#include "compress/agreement.h"
#include "ecrec/compress.h"

typedef struct importance {
    memory *m;
    uint32_t layers, head_size;
    uint32_t *heads, *channels; /* [layer] */
    float **head, **channel;    /* [layer] -> importance, larger is worth more, comparable over layers */
    float *layer;               /* [layer] MAGNITUDE only: sum of the norms of its units */
    float **channel_mean;       /* [layer] -> mean activation of a channel on the sample; zeros without texts */
    float **head_mean;          /* [layer] -> heads * head_size: mean output of a head */
    arena a;
} importance;

/* How much each unit matters. Errors: NOMEM, CANCELLED. The caller closes it, also after a failure.
 *  - MAGNITUDE: product of the Frobenius norms of the unit's weights going in and out, over the layer's mean (units of
 *    different layers are not comparable otherwise).
 *  - ACTIVATION: root mean square of the unit's output on the texts times the norm of the weights that read it.
 *  - TAYLOR: expected squared change of a text's vector, to first order, when the unit is removed: sum over the vector's
 *    dimensions of (d e / d gate)^2, estimated with random directions r as E[(d (r . e) / d gate)^2] (Hutchinson 1989;
 *    the gate view is Molchanov et al. 2019 and Michel et al. 2019). */
int32_t importance_measure(ecrec_context *context, const encoder *e, const sample *s, int32_t kind, uint64_t seed,
                           ecrec_progress_fn progress, void *progress_opaque, importance *out, ecrec_error *err);
void importance_close(importance *i);

#endif
