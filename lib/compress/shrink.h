/* Real smaller matrices for what a plan leaves. */
#ifndef ECREC_COMPRESS_SHRINK_H
#define ECREC_COMPRESS_SHRINK_H

#include "compress/plan.h"
#include "model/parts.h"

/* The matrices of the layers that stay lose the heads and channels that go; what these gave on average stays as a bias. */
int32_t shrink_layers(memory *m, parts *p, const encoder *e, const plan *plan, const importance *i, ecrec_error *err);
/* The layers with keep[l] == 0 go, the others close ranks. */
int32_t shrink_drop_layers(parts *p, uint32_t layers, const uint8_t *keep, ecrec_error *err);

#endif
