#include "base/sort.h"

static void swap(unsigned char *a, unsigned char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

static void sift(unsigned char *items, size_t root, size_t count, size_t size, sort_compare compare, void *opaque)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && compare(items + child * size, items + (child + 1) * size, opaque) < 0)
            child++;
        if (compare(items + root * size, items + child * size, opaque) >= 0)
            return;
        swap(items + root * size, items + child * size, size);
        root = child;
    }
}

void sort_items(void *items, size_t count, size_t size, sort_compare compare, void *opaque)
{
    unsigned char *p = items;
    for (size_t i = count / 2; i-- > 0;)
        sift(p, i, count, size, compare, opaque);
    for (size_t end = count; end > 1; end--) {
        swap(p, p + (end - 1) * size, size);
        sift(p, 0, end - 1, size, compare, opaque);
    }
}
