/* What the calls that encode have in common. */
#ifndef ECREC_LIB_ENCODE_H
#define ECREC_LIB_ENCODE_H

#include "ecrec/encode.h"
#include "encoder/embed.h"
#include "session.h"

/* What stays the same for all rows of a call: the options (or NULL) with the model's defaults put in. */
int32_t encode_resolve(const ecrec_model *model, const encoder *e, const ecrec_encode_options *given, embed_call *call, ecrec_error *err);
/* The rows, checked; after encode_resolve. `pictures` is where theirs go. */
int32_t encode_take_input(const ecrec_model *model, const ecrec_encode_input *in, embed_pictures *pictures, embed_call *call, ecrec_error *err);
/* Pictures, checked as far as that goes without the model. */
int32_t encode_take_pictures(const ecrec_encode_input *in, embed_pictures *out, ecrec_error *err);
/* Texts of any layout, checked. INVALID: they are of another kind. */
int32_t encode_take_texts(const ecrec_encode_input *in, embed_texts *out, ecrec_error *err);

#endif
