#include "catalog/nearest.h"

/* a comes after b in the results: a lower score, or the same and a higher index */
static int after(hit a, hit b)
{
    return a.score < b.score || (a.score == b.score && a.index > b.index);
}

static void sink(hit *hits, size_t count, hit h)
{
    size_t at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && after(hits[child + 1], hits[child]))
            child++;
        if (!after(hits[child], h))
            break;
        hits[at] = hits[child];
        at = child;
    }
    hits[at] = h;
}

void nearest_offer(nearest *n, hit h)
{
    if (n->count == n->most) {
        if (after(n->hits[0], h))
            sink(n->hits, n->count, h);
        return;
    }
    size_t at = n->count++;
    for (; at != 0 && after(h, n->hits[(at - 1) / 2]); at = (at - 1) / 2)
        n->hits[at] = n->hits[(at - 1) / 2];
    n->hits[at] = h;
}

void nearest_sort(nearest *n)
{
    for (size_t left = n->count; left > 1; left--) {
        const hit worst = n->hits[0];
        sink(n->hits, left - 1, n->hits[left - 1]);
        n->hits[left - 1] = worst;
    }
}
