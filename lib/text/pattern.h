/* Running matchers and finding texts. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_H
#define ECREC_LIB_TEXT_PATTERN_H

#include "text/image.h"

/* The next match at or after `from`: leftmost; of those that begin there the one that a backtracking engine would find.
 * Empty only where the pattern was compiled so. 0: there is none. Valid UTF-8. */
int pattern_find(const tokenizer *t, uint32_t pattern, const unsigned char *text, size_t length, size_t from, size_t *begin, size_t *end);
void pattern_prepare(tokenizer *t);
int text_find(const unsigned char *text, size_t length, size_t from, const unsigned char *what, size_t what_length, size_t *begin, size_t *end);

#endif
