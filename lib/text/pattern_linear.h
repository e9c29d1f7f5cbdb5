/* Does a matcher take linear time? Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_LINEAR_H
#define ECREC_LIB_TEXT_PATTERN_LINEAR_H

#include <stddef.h>
#include <stdint.h>

/* Moves, contexts and the states that begin as in image_pattern. */
typedef struct automaton { const uint16_t *moves, *between, *begins; uint32_t classes; } automaton;
/* A match may look far ahead and then fall back, and what it looked at is looked at again by the next one:
 * tried on every text of two classes of characters that repeat (aaa, abab, abbb, aabb), which is where such patterns show. */
int pattern_is_linear(const automaton *a);

#endif
