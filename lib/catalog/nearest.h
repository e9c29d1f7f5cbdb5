/* The best of scored rows: a heap whose root is the worst that is kept. The order is total, so that what is kept does not depend
 * on how the rows were split. */
#ifndef ECREC_LIB_CATALOG_NEAREST_H
#define ECREC_LIB_CATALOG_NEAREST_H

#include <stddef.h>
#include <stdint.h>

typedef struct hit {
    float score; /* never NaN */
    uint64_t index;
} hit;

typedef struct nearest {
    hit *hits; /* room for `most` */
    size_t count, most;
} nearest;

/* Whether a row after those that were offered, with this score, would be kept. */
static inline int nearest_wants(const nearest *n, float score)
{
    return n->count < n->most ? score == score : score > n->hits[0].score;
}

void nearest_offer(nearest *n, hit h); /* in any order of rows */
void nearest_sort(nearest *n);         /* best first; the heap is gone */

#endif
