#include "text/trie.h"

#include <string.h>

#include "base/sort.h"
#include "ecrec/base.h"

/* A node waiting for its children: keys[begin .. end) share the first `depth` bytes. */
typedef struct pending {
    const trie_key *keys;
    size_t begin, end;
    uint32_t depth, unit;
} pending;

typedef struct builder {
    buffer *out;
    buffer queue;
} builder;

enum { BLOCK = 256 };

static trie_unit *units_of(builder *b)
{
    return (trie_unit *)(void *)b->out->data;
}

static int32_t add_block(builder *b)
{
    const trie_unit empty = { 0, NO_ID, NO_ID };
    for (int i = 0; i < BLOCK; i++)
        if (buffer_append(b->out, &empty, sizeof empty) != ECREC_OK)
            return ECREC_ERR_NOMEM;
    return ECREC_OK;
}

static int fits(const trie_unit *units, size_t base, const unsigned char *labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (units[base ^ labels[i]].check != NO_ID)
            return 0;
    return 1;
}

/* A base that gives every label a free unit. Only the last blocks are searched: the older ones are nearly full. */
static int32_t find_base(builder *b, const unsigned char *labels, size_t count, size_t *base)
{
    enum { LOOK_BACK = 8 * BLOCK };
    for (;;) {
        const size_t total = b->out->length / sizeof(trie_unit);
        const trie_unit *units = units_of(b);
        for (size_t i = total > LOOK_BACK ? total - LOOK_BACK : 0; i < total; i++) {
            if (units[i].check != NO_ID)
                continue;
            const size_t candidate = i ^ labels[0];
            if (fits(units, candidate, labels, count)) {
                *base = candidate;
                return ECREC_OK;
            }
        }
        if (add_block(b) != ECREC_OK)
            return ECREC_ERR_NOMEM;
    }
}

static int32_t expand(builder *b, const pending *node)
{
    unsigned char labels[256];
    size_t ends[256], count = 0, i = node->begin;
    if (i < node->end && node->keys[i].length == node->depth)
        units_of(b)[node->unit].id = node->keys[i++].id;
    for (; i < node->end; i++) {
        const unsigned char c = (unsigned char)node->keys[i].text[node->depth];
        if (count == 0 || labels[count - 1] != c)
            labels[count++] = c;
        ends[count - 1] = i + 1;
    }
    if (count == 0)
        return ECREC_OK;
    size_t base = 0;
    if (find_base(b, labels, count, &base) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    size_t begin = ends[0];
    units_of(b)[node->unit].base = (uint32_t)base;
    for (size_t j = count; j-- > 0;) {
        const uint32_t child = (uint32_t)(base ^ labels[j]);
        units_of(b)[child].check = node->unit;
        begin = j > 0 ? ends[j - 1] : node->begin + (node->keys[node->begin].length == node->depth);
        const pending next = { node->keys, begin, ends[j], node->depth + 1, child };
        if (buffer_append(&b->queue, &next, sizeof next) != ECREC_OK)
            return ECREC_ERR_NOMEM;
    }
    return ECREC_OK;
}

static int by_text(const void *a, const void *b, void *opaque)
{
    const trie_key *x = a, *y = b;
    const size_t n = x->length < y->length ? x->length : y->length;
    const int order = n != 0 ? memcmp(x->text, y->text, n) : 0;
    (void)opaque;
    return order != 0 ? order : x->length < y->length ? -1 : x->length > y->length;
}

void trie_sort(trie_key *keys, size_t count)
{
    sort_items(keys, count, sizeof *keys, by_text, NULL);
}

int32_t trie_build(memory *m, const trie_group *groups, size_t group_count, buffer *out, uint32_t roots[TRIE_GROUPS])
{
    builder b = { .out = out };
    buffer_init(&b.queue, m);
    int32_t status = add_block(&b);
    if (status != ECREC_OK)
        return status;
    for (size_t g = group_count; g-- > 0 && status == ECREC_OK;) {
        /* taken, and nobody's child */
        roots[g] = (uint32_t)g;
        units_of(&b)[g].check = NO_ID - 1;
        const pending first = { groups[g].keys, 0, groups[g].count, 0, (uint32_t)g };
        status = buffer_append(&b.queue, &first, sizeof first);
    }
    while (status == ECREC_OK && b.queue.length != 0) {
        pending node;
        b.queue.length -= sizeof node;
        memcpy(&node, b.queue.data + b.queue.length, sizeof node);
        status = expand(&b, &node);
    }
    buffer_release(&b.queue);
    return status;
}
