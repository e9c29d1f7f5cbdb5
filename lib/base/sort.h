/* Heapsort: in place, no allocation, O(n log n) whatever the input. Not stable: give `compare` a full order. */
#ifndef ECREC_LIB_BASE_SORT_H
#define ECREC_LIB_BASE_SORT_H

#include <stddef.h>

typedef int (*sort_compare)(const void *a, const void *b, void *opaque);
void sort_items(void *items, size_t count, size_t size, sort_compare compare, void *opaque);

#endif
