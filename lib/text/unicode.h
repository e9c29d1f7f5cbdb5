/* What BERT's normalizer and pre-tokenizer ask about a character, answered as the reference implementation answers: its
 * categories are those of Unicode 8 while utf8proc's are newer; unicode.c lists the differences. */
#ifndef ECREC_LIB_TEXT_UNICODE_H
#define ECREC_LIB_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

int unicode_is_space(uint32_t c);       /* White_Space */
int unicode_is_control(uint32_t c);     /* Cc, Cf, Co, Cs; but not tab, line feed, carriage return */
int unicode_is_punctuation(uint32_t c); /* ASCII punctuation and symbols, P* */
int unicode_is_chinese(uint32_t c);     /* the CJK blocks that BERT sets apart */
int unicode_is_mark(uint32_t c);        /* Mn */
uint32_t unicode_class(uint32_t c);     /* canonical combining class */
/* Simple lower case; U+0130 gives two characters. Returns how many. */
int unicode_lower(uint32_t c, uint32_t out[2]);
enum { UNICODE_PARTS = 18 };
/* Full decomposition as in Unicode 9, at most UNICODE_PARTS characters; returns how many. */
int unicode_decompose(uint32_t c, uint32_t out[UNICODE_PARTS]);
int unicode_decompose_compatible(uint32_t c, uint32_t out[UNICODE_PARTS]);
int unicode_compose(uint32_t a, uint32_t b, uint32_t *together); /* canonical composition of two characters; 0: there is none */
int unicode_is_combining(uint32_t c);   /* M* as in Unicode 9 */
uint32_t unicode_category(uint32_t c);  /* utf8proc_category_t, as in Unicode 16 */
int unicode_is_number(uint32_t c);      /* N*, as in Unicode 17 */
int unicode_is_word(uint32_t c);        /* \w of UTS 18 */
/* A character between two of this kind is a grapheme cluster. */
int unicode_stands_alone(uint32_t c);
/* The end of the grapheme cluster that begins at `begin`. */
size_t unicode_cluster(const unsigned char *text, size_t begin, size_t end);

#endif
