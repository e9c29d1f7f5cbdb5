/* Running matchers that have image_pattern.more. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_CONTEXT_H
#define ECREC_LIB_TEXT_PATTERN_CONTEXT_H

#include "text/image.h"

/* As pattern_find; a match may be empty where the pattern says so (then at the end of the text, too). */
int pattern_find_context(const tokenizer *t, const image_pattern *p, const unsigned char *text, size_t length, size_t from, size_t *begin, size_t *end);

#endif
