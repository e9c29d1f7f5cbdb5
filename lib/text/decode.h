/* Tokens back to text. */
#ifndef ECREC_LIB_TEXT_DECODE_H
#define ECREC_LIB_TEXT_DECODE_H

#include "text/tokenizer.h"

/* The text of ids as the reference's decode gives it; pieces of special tokens are left out when skip_special. The result lies in
 * the work (until it is used again), UTF-8. Ids without a piece are left out. NOMEM, LIMIT. */
int32_t tokenizer_decode(const tokenizer *t, token_work *w, const uint32_t *ids, size_t n, int skip_special, const char **text, size_t *length,
                         ecrec_error *err);

#endif
