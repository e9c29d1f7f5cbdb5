/* Building a double-array trie (image.h). Inside the text room only. */
#ifndef ECREC_LIB_TEXT_TRIE_H
#define ECREC_LIB_TEXT_TRIE_H

#include "base/memory.h"
#include "text/image.h"

typedef struct trie_key { const char *text; uint32_t length, id; } trie_key;

/* Append the units of the keys to `out` (empty). Keys must be sorted by bytes and differ. Two roots: keys of `whole`
 * begin at *roots[0], keys of `rest` at *roots[1]. ECREC_OK or ECREC_ERR_NOMEM. */
int32_t trie_build(memory *m, const trie_key *whole, size_t whole_count, const trie_key *rest, size_t rest_count,
                   buffer *out, uint32_t roots[2]);

#endif
