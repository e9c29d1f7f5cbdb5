/* Parts of a tokenizer.json that become operations. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_COMPILE_PARTS_H
#define ECREC_LIB_TEXT_COMPILE_PARTS_H

#include "text/draft.h"

int32_t compile_normalizer(draft *d, const json *part);
int32_t compile_pre_tokenizer(draft *d, const json *part);
int32_t compile_post_processor(draft *d, const json *part);
int32_t compile_decoder(draft *d, const json *part);
/* "tokenizer.json: WHAT type "X" is not supported (supported: ...)" */
int32_t compile_unsupported(const draft *d, const char *what, const json *part, const char *supported);

#endif
