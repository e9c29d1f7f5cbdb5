/* SentencePiece's precompiled character map over a text. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PRECOMPILED_H
#define ECREC_LIB_TEXT_PRECOMPILED_H

#include "text/work.h"

/* OP_CHARSMAP over w->now. 0: no memory. */
int precompiled_run(const tokenizer *t, token_work *w, const image_op *op);

#endif
