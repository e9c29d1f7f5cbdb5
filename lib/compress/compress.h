/* Smaller models: parts in, new parts and a report out. The given parts are not changed. */
#ifndef ECREC_LIB_COMPRESS_COMPRESS_H
#define ECREC_LIB_COMPRESS_COMPRESS_H

#include "base/context.h"
#include "ecrec/compress.h"
#include "encoder/embed.h"
#include "model/parts.h"

int32_t prune_run(ecrec_context *context, const parts *original, const ecrec_prune_options *options, parts **out,
                  ecrec_report **report, ecrec_error *err);
int32_t quantize_run(ecrec_context *context, const parts *original, const ecrec_quantize_options *options, parts **out,
                     ecrec_report **report, ecrec_error *err);

#endif
