/* What BERT's normalizer and pre-tokenizer ask about a character, answered as the reference implementation answers: its
 * categories are those of Unicode 8 while utf8proc's are newer; unicode.c lists the differences. */
#ifndef ECREC_LIB_TEXT_UNICODE_H
#define ECREC_LIB_TEXT_UNICODE_H

#include <stdint.h>

int unicode_is_space(uint32_t c);       /* White_Space */
int unicode_is_control(uint32_t c);     /* Cc, Cf, Co, Cs; but not tab, line feed, carriage return */
int unicode_is_punctuation(uint32_t c); /* ASCII punctuation and symbols, P* */
int unicode_is_chinese(uint32_t c);     /* the CJK blocks that BERT sets apart */
int unicode_is_mark(uint32_t c);        /* Mn */
uint32_t unicode_class(uint32_t c);     /* canonical combining class */
/* Simple lower case; U+0130 gives two characters. Returns how many. */
int unicode_lower(uint32_t c, uint32_t out[2]);
/* Full canonical decomposition, at most 4 characters; returns how many. */
int unicode_decompose(uint32_t c, uint32_t out[4]);

#endif
