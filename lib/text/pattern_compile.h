/* Regular expressions become matchers (image.h), at import. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_COMPILE_H
#define ECREC_LIB_TEXT_PATTERN_COMPILE_H

#include "base/memory.h"
#include "text/image.h"

/* `where` names the part in messages; empty 1: it may match nothing. Appends to `tables` (u16). What is not supported (would take too many
 * states, or more than linear time) is refused by UNSUPPORTED with the pattern in the message. */
int32_t pattern_compile(memory *m, const char *where, const char *text, size_t length, int empty, buffer *tables, image_pattern *out, ecrec_error *err);

#endif
