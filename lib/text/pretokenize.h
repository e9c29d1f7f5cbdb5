/* Pre-tokenizers: the splits of a normalised text. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PRETOKENIZE_H
#define ECREC_LIB_TEXT_PRETOKENIZE_H

#include "text/work.h"

/* All of PART_PRE_TOKENIZER on w->splits over w->now. Splits that are added tokens stay. 0: no memory. */
int pretokenize_run(const tokenizer *t, token_work *w);

#endif
