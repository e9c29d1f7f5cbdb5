/* The memory that tokenizing works in. Made once; a text longer than any before may make it grow.
 * Inside the text room, but for creating and destroying. */
#ifndef ECREC_LIB_TEXT_WORK_H
#define ECREC_LIB_TEXT_WORK_H

#include "base/memory.h"
#include "text/image.h"

typedef struct place { uint32_t begin, end; } place; /* bytes of the source */

typedef struct text_buffer {
    unsigned char *bytes;
    place *places; /* of each byte; filled only when work->placed */
    size_t length, capacity, place_capacity;
} text_buffer;

/* A stretch of the text; token: the added token that it is, or NO_ID. */
typedef struct split { uint32_t begin, end, token; } split;
typedef struct split_list { split *items; size_t count, capacity; } split_list;

typedef struct wide_char { uint32_t c; int32_t change; uint32_t order; } wide_char;
typedef struct symbol { uint32_t id, length; int32_t previous, next; } symbol;
typedef struct merge_entry { uint32_t rank, position, id; } merge_entry;
typedef struct path_node { double score; uint32_t begin, id; } path_node;
typedef struct match { uint32_t begin, end, is; } match;

enum { PLAIN_BYTES = 0x10000 / 4 };
enum { CACHE_KEY = 22, CACHE_IDS = 8, CACHE_ENTRIES = 8192 };
/* The tokens of a word that was met before. */
typedef struct cached_word {
    uint32_t ids[CACHE_IDS];
    uint8_t key_length, count, key[CACHE_KEY], lengths[CACHE_IDS];
} cached_word;

struct token_work {
    memory *m;
    int32_t status; /* NOMEM as soon as something did not fit: what is there is not to be used */
    int placed;
    text_buffer now, next;
    split_list splits, more;
    wide_char *wide;
    size_t wide_capacity;
    match *matches;
    size_t match_count, match_capacity;
    symbol *symbols;
    size_t symbol_capacity;
    merge_entry *heap;
    size_t heap_count, heap_capacity;
    uint32_t *held; /* windows.c's */
    size_t held_capacity;
    path_node *nodes;
    size_t node_capacity;
    cached_word *cache; /* CACHE_ENTRIES, or NULL */
    unsigned char *plain; /* PLAIN_BYTES, or NULL: what precompiled.c found out about a character map's characters, 2 bits each */
    uint32_t plain_text;  /* the map: its image_op.text */
    void *word;         /* wordpiece.c's */
    size_t word_bytes;
};

/* *items is a pointer to items of `size` bytes: room for `need` of them; 0 and work->status when there is none. What was there stays. */
int work_grow(token_work *w, void *items, size_t *capacity, size_t need, size_t size);
/* Room for `more` bytes at the end. */
int text_reserve(token_work *w, text_buffer *b, size_t more);
int text_append(token_work *w, text_buffer *b, const unsigned char *bytes, size_t n, place p);
/* now[begin .. end) to the end of next. */
int text_copy(token_work *w, size_t begin, size_t end);
static inline void text_swap(token_work *w)
{
    const text_buffer b = w->now;
    w->now = w->next;
    w->next = b;
    w->next.length = 0;
}
static inline int split_add(token_work *w, split_list *l, uint32_t begin, uint32_t end, uint32_t token)
{
    if (begin == end && token == NO_ID)
        return 1;
    if (l->count == l->capacity && !work_grow(w, &l->items, &l->capacity, l->count + 1, sizeof *l->items))
        return 0;
    l->items[l->count++] = (split){ begin, end, token };
    return 1;
}
static inline void split_swap(token_work *w)
{
    const split_list l = w->splits;
    w->splits = w->more;
    w->more = l;
    w->more.count = 0;
}

#endif
