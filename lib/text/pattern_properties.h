/* Sets of characters by name. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_PROPERTIES_H
#define ECREC_LIB_TEXT_PATTERN_PROPERTIES_H

#include <stddef.h>

#include "text/pattern_sets.h"

/* \s \d \w \h; b: \w as it is within brackets. */
void set_add_escape(set_builder *s, uint32_t set, char name, int negated);
/* [:alpha:] and its kin. 0: unknown. */
int set_add_posix(set_builder *s, uint32_t set, const char *name, size_t length, int negated);
/* \p{...}: a general category, a script, a POSIX name or one of Any, Assigned, ASCII, Alphabetic, Uppercase, Lowercase, White_Space;
 * case, blanks, '-' and '_' do not count. 0: unknown. */
int set_add_property(set_builder *s, uint32_t set, const char *name, size_t length, int negated);

#endif
