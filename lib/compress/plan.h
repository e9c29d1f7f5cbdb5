/* Which units of an encoder stay when it is pruned. */
#ifndef ECREC_COMPRESS_PLAN_H
#define ECREC_COMPRESS_PLAN_H

#include "compress/importance.h"

/* What stays. */
typedef struct plan {
    arena a;
    uint32_t layers;
    uint8_t *layer;              /* [layer] 1 = stays */
    uint8_t **head, **channel;   /* [layer] -> 1 = stays */
    const uint32_t *heads, *channels;
} plan;

int32_t plan_open(plan *p, memory *m, const importance *i, ecrec_error *err); /* all stay */
void plan_close(plan *p); /* also of a plan that is all zeros */
/* The share [0, 1) of the heads (else of the channels) of the layers that stay which is worth least goes. */
int32_t plan_drop_share(plan *p, const importance *i, double share, int heads, ecrec_error *err);
/* Units go, least worth for their cost first, until the model has at most `target` parameters (or flops at 64 tokens). */
int32_t plan_drop_to(plan *p, const encoder *e, const importance *i, double target, int flops, ecrec_error *err);
int32_t plan_check(const plan *p, ecrec_error *err); /* refuses a plan that leaves neither a head nor a channel */
uint32_t plan_staying(const uint8_t *keep, uint32_t width);
void plan_tell(const plan *p, ecrec_report *r); /* layers.N.*, removed.* */

#endif
