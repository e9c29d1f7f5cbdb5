/* Cells of one size, in slabs of many: what a table's chunks lie in. A cell that is given back is the next one taken, so an update finds
 * the memory of the snapshot that went before it. Not thread safe: whoever shares it locks.
 *
 * Slabs with no cell in use are kept for what comes, up to a sixteenth of what is in use (at least 1 MiB), and beyond that given back. */
#ifndef ECREC_LIB_MODEL_SLABS_H
#define ECREC_LIB_MODEL_SLABS_H

#include "base/memory.h"

typedef struct slab slab;
typedef struct slab_group slab_group;

typedef struct slabs {
    memory *m;
    size_t cell;             /* bytes, a multiple of 64 */
    slab *open;              /* those that have a free cell */
    slab_group *groups;
    size_t held, idle;       /* bytes of the groups; of those without a cell in use */
} slabs;

void slabs_init(slabs *s, memory *m, size_t cell);
void slabs_close(slabs *s); /* every cell has come back, or nobody will look at them again */
void *slabs_take(slabs *s); /* 64-byte aligned, not zeroed; NULL: no memory */
void slabs_give(slabs *s, void *cell); /* NULL is fine */
void slabs_ask(const slabs *s, const void *cell); /* memory, for what giving this cell back will look at */

#endif
