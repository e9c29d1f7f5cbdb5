/* Words of a text for hashed n-grams: locale-free, allocation-free. */
#ifndef ECREC_LIB_TEXT_WORDS_H
#define ECREC_LIB_TEXT_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Calls emit for each feature of the text: word 1..word_max-grams (words joined by one blank) and character
 * 3..char_max-grams within words padded by '<' and '>'. Words are runs of letters, marks and digits, or one other
 * non-blank character each; CJK characters are words of their own; everything is simple-case-folded (utf8proc_tolower).
 * The bytes given to emit live until it returns. Invalid UTF-8 is U+FFFD. A word longer than 256 bytes is cut into
 * pieces of at most 256 at character boundaries. kind: 1 word gram, 2 character gram. */
typedef void (*ngram_emit)(void *opaque, uint32_t kind, const char *bytes, size_t length);
void text_ngrams(const char *text, size_t length, uint32_t word_max, uint32_t char_max, ngram_emit emit, void *opaque);

#endif
