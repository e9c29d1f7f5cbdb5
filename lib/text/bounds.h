/* How much memory a tokenizer needs for a text, whatever the text is. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_BOUNDS_H
#define ECREC_LIB_TEXT_BOUNDS_H

#include <stddef.h>

#include "text/image.h"

/* Items of each list of token_work; 0: not used. */
typedef struct text_bounds { size_t bytes, splits, matches, wide, symbols, heap, nodes; } text_bounds;

/* For texts of `length` bytes, what stands in front of them included. */
void text_bounds_of(const tokenizer *t, size_t length, text_bounds *out);

#endif
