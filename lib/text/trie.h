/* Building a double-array trie (image.h). Inside the text room only. */
#ifndef ECREC_LIB_TEXT_TRIE_H
#define ECREC_LIB_TEXT_TRIE_H

#include "base/memory.h"
#include "text/image.h"

typedef struct trie_key { const char *text; uint32_t length, id; } trie_key;
typedef struct trie_group { trie_key *keys; size_t count; } trie_group;
enum { TRIE_GROUPS = 4 };

void trie_sort(trie_key *keys, size_t count); /* by bytes */
/* Append the units of the keys to `out` (empty). Keys of a group must be sorted by bytes and differ; those of group g
 * begin at roots[g]. ECREC_OK or ECREC_ERR_NOMEM. */
int32_t trie_build(memory *m, const trie_group *groups, size_t group_count, buffer *out, uint32_t roots[TRIE_GROUPS]);

#endif
