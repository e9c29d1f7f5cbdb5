/* What a pattern asks of a place between two characters. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_LOOK_H
#define ECREC_LIB_TEXT_PATTERN_LOOK_H

#include "text/pattern_parse.h"

/* pattern_parse.c's, for these */
int pattern_peek(const compiler *c, char what);
int pattern_take(compiler *c, const char *what);
int32_t pattern_add(compiler *c, uint32_t kind, uint32_t set);
fragment pattern_single(compiler *c, uint32_t kind, uint32_t set);
fragment pattern_chain(compiler *c, fragment a, fragment b);
int pattern_class(compiler *c, uint32_t *set);

/* ^ $ \A \z \Z \b \B. 0: none of them begins here. */
int pattern_anchor(compiler *c, fragment *out);
/* After "(?=" or "(?!": alternatives of one character or end each. After "(?<=" or "(?<!": alternatives of a few characters. */
fragment pattern_look_ahead(compiler *c, int negated);
fragment pattern_look_behind(compiler *c, int negated);
/* The bits in front of the next character, after one that is in the sets of `mask`. */
uint64_t context_after(const context_bits *b, uint64_t before, uint64_t mask);

#endif
