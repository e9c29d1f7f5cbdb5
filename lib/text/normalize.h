/* Normalizers: operations on the whole of a stretch of text. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_NORMALIZE_H
#define ECREC_LIB_TEXT_NORMALIZE_H

#include "text/work.h"

/* Fill w->now with source[from .. to), what is not UTF-8 as U+FFFD. Text that stands in front of it, its places
 * counting from its own beginning, is put before. 0: no memory (w->status). */
int normalize_load(token_work *w, const unsigned char *before, size_t before_length, const unsigned char *source, size_t from, size_t to);
/* All of PART_NORMALIZER on w->now. */
int normalize_run(const tokenizer *t, token_work *w);
int normalize_bytes(token_work *w, text_buffer *from, text_buffer *to, size_t begin, size_t end); /* OP_BYTES of a stretch, appended */
uint32_t byte_character(unsigned char byte); /* what OP_BYTES writes for it */
int character_byte(uint32_t c);              /* the reverse, or -1 */

#endif
