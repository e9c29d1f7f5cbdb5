#include "guarded.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 64 };
static struct { void *base; size_t size; } blocks[MOST];
static int count;
static uint32_t state = 1;

void *guarded(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page * page;
    unsigned char *base = mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || count == MOST || mprotect(base + pages, page, PROT_NONE) != 0)
        abort();
    memset(base, 0xFF, pages);
    blocks[count].base = base;
    blocks[count++].size = pages + page;
    return base + pages - bytes;
}

void guarded_release(void)
{
    while (count > 0) {
        count--;
        munmap(blocks[count].base, blocks[count].size);
    }
}

uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void draw_seed(uint32_t seed)
{
    state = seed != 0 ? seed : 1;
}

size_t draw_size(size_t least, size_t most)
{
    return least + draw() % (most - least + 1);
}

float draw_float(void)
{
    return (float)(int32_t)draw() * 0x1p-30f;
}

float *draw_floats(size_t n)
{
    float *p = guarded(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        p[i] = draw_float();
    return p;
}

int same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}
