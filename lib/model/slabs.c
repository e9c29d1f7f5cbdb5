#include "model/slabs.h"

#include "kernels/prefetch.h"

/* A slab lies at a multiple of its size, so that a cell's address says where its slab begins. Cells that would leave a slab too
 * much unused are blocks of their own. */
enum { SLAB = 8192, SLAB_HEADER = 64, MOST_CELL = 2048, MOST_SLABS = 64 };
#define LEAST_IDLE ((size_t)1 << 20)

typedef struct cell { struct cell *next; } cell;

struct slab {
    slab *next, *previous; /* among the open ones */
    slab_group *group;
    cell *given;           /* back */
    uint32_t used, fresh;  /* cells in use; where those begin that never were */
};

struct slab_group {
    slab_group *next, *previous;
    size_t bytes;
    uint32_t count, used; /* slabs; cells in use */
};

void slabs_init(slabs *s, memory *m, size_t bytes)
{
    *s = (slabs){ .m = m, .cell = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT };
}

static uint32_t cells_of(const slabs *s)
{
    return (uint32_t)((SLAB - SLAB_HEADER) / s->cell);
}

static slab *slab_at(slab_group *g, uint32_t i)
{
    const uintptr_t first = ((uintptr_t)g + sizeof *g + SLAB - 1) / SLAB * SLAB;
    return (slab *)(first + (uintptr_t)i * SLAB);
}

static void open_slab(slabs *s, slab *x)
{
    x->previous = NULL;
    x->next = s->open;
    if (s->open != NULL)
        s->open->previous = x;
    s->open = x;
}

static void shut_slab(slabs *s, slab *x)
{
    if (x->previous != NULL)
        x->previous->next = x->next;
    else
        s->open = x->next;
    if (x->next != NULL)
        x->next->previous = x->previous;
}

/* A quarter more than there is, so that small tables stay small and large ones ask seldom. */
static int grow(slabs *s)
{
    size_t count = s->held / SLAB / 4;
    count = count < 1 ? 1 : count > MOST_SLABS ? MOST_SLABS : count;
    const size_t bytes = sizeof(slab_group) + (count + 1) * SLAB;
    slab_group *g = memory_allocate(s->m, bytes);
    if (g == NULL)
        return 0;
    *g = (slab_group){ .next = s->groups, .bytes = bytes, .count = (uint32_t)count };
    if (s->groups != NULL)
        s->groups->previous = g;
    s->groups = g;
    s->held += bytes;
    s->idle += bytes;
    for (uint32_t i = g->count; i-- > 0;) {
        slab *x = slab_at(g, i);
        *x = (slab){ .group = g };
        open_slab(s, x);
    }
    return 1;
}

static void drop_group(slabs *s, slab_group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        shut_slab(s, slab_at(g, i));
    if (g->previous != NULL)
        g->previous->next = g->next;
    else
        s->groups = g->next;
    if (g->next != NULL)
        g->next->previous = g->previous;
    s->held -= g->bytes;
    s->idle -= g->bytes;
    memory_release(s->m, g, g->bytes);
}

void slabs_close(slabs *s)
{
    while (s->groups != NULL) {
        slab_group *next = s->groups->next;
        memory_release(s->m, s->groups, s->groups->bytes);
        s->groups = next;
    }
    s->open = NULL;
}

void *slabs_take(slabs *s)
{
    if (s->cell > MOST_CELL)
        return memory_allocate(s->m, s->cell);
    if (s->open == NULL && !grow(s))
        return NULL;
    slab *x = s->open;
    cell *c = x->given;
    if (c != NULL)
        x->given = c->next;
    else
        c = (cell *)(void *)((unsigned char *)x + SLAB_HEADER + (size_t)x->fresh++ * s->cell);
    if (++x->used == cells_of(s))
        shut_slab(s, x);
    if (x->group->used++ == 0)
        s->idle -= x->group->bytes;
    return c;
}

void slabs_ask(const slabs *s, const void *block)
{
    if (s->cell > MOST_CELL || block == NULL)
        return;
    prefetch(block);
    prefetch((const void *)((uintptr_t)block / SLAB * SLAB));
}

void slabs_give(slabs *s, void *block)
{
    if (s->cell > MOST_CELL || block == NULL) {
        memory_release(s->m, block, s->cell);
        return;
    }
    slab *x = (slab *)((uintptr_t)block / SLAB * SLAB);
    slab_group *g = x->group;
    cell *c = block;
    c->next = x->given;
    x->given = c;
    if (x->used-- == cells_of(s))
        open_slab(s, x);
    if (--g->used != 0)
        return;
    s->idle += g->bytes;
    if (s->idle > LEAST_IDLE && s->idle > (s->held - s->idle) / 16)
        drop_group(s, g);
}
