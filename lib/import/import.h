/* Import: a Hugging Face folder becomes parts. Optional at build time (-Dimport=disabled); never on the load path. */
#ifndef ECREC_LIB_IMPORT_IMPORT_H
#define ECREC_LIB_IMPORT_IMPORT_H

#include "base/context.h"
#include "ecrec/model.h"
#include "model/parts.h"

/* With options->check_only *out stays NULL. `report` may be NULL. Sets every property that encoder_create reads, the
 * tokenizer image (blob "tokenizer", raw), the licence text (blob "licence"), the fingerprints ("space.fingerprint",
 * "space.variant") and provenance ("source.*"). Tensor names and properties: encoder/encoder.h. */
int32_t import_folder(ecrec_context *context, const char *folder, const ecrec_import_options *options, parts **out,
                      ecrec_report **report, ecrec_error *err);

#endif
