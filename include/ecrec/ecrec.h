/* ecrec/ecrec.h: everything. Semantic, personalised recommendation in your own process:
 * import a pretrained transformer, encode, fuse, score, learn online, make it small.
 *
 *   ecrec_context *ctx; ecrec_model *model; ecrec_session *session; ecrec_error err = ECREC_ERROR_INIT;
 *   ecrec_context_create(NULL, &ctx, &err);
 *   ecrec_model_load(ctx, "shop.ecrec", NULL, &model, &err);
 *   ecrec_session_create(model, NULL, &session, &err);
 *   ecrec_encode(model, session, texts, lengths, n, NULL, vectors, dimension, &err);
 *   ecrec_score(model, session, batch, NULL, scores, n, &err);
 *   ecrec_update(model, labelled, NULL, &report, &err);
 */
#ifndef ECREC_H
#define ECREC_H

#include "ecrec/arrow.h"
#include "ecrec/base.h"
#include "ecrec/batch.h"
#include "ecrec/classify.h"
#include "ecrec/compress.h"
#include "ecrec/delta.h"
#include "ecrec/encode.h"
#include "ecrec/evaluate.h"
#include "ecrec/image.h"
#include "ecrec/impressions.h"
#include "ecrec/items.h"
#include "ecrec/learn.h"
#include "ecrec/model.h"
#include "ecrec/online.h"
#include "ecrec/profiles.h"
#include "ecrec/rank.h"
#include "ecrec/search.h"
#include "ecrec/text.h"

#endif
