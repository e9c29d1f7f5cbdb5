/* Inside the text room only. */
#ifndef ECREC_LIB_TEXT_NORMALIZE_SENTENCEPIECE_H
#define ECREC_LIB_TEXT_NORMALIZE_SENTENCEPIECE_H

#include "text/work.h"

/* OP_SENTENCEPIECE over w->now. 0: no memory. */
int normalize_sentencepiece(const tokenizer *t, token_work *w, const image_op *op);

#endif
