#include "text/models.h"
#include "text/utf8.h"

/* Byte-pair encoding (Sennrich et al. 2016): of all neighbours that merge, those of the lowest rank first, from left to right. */

static const image_merge *find_merge(const tokenizer *t, uint32_t left, uint32_t right)
{
    const image_merge *merges = image_part(t, PART_MERGES);
    const size_t mask = image_count(t, PART_MERGES, sizeof *merges) - 1;
    for (size_t i = merge_slot(left, right) & mask;; i = (i + 1) & mask) {
        if (merges[i].left == left && merges[i].right == right)
            return &merges[i];
        if (merges[i].left == NO_ID)
            return NULL;
    }
}

static int add_symbol(token_work *w, size_t *count, uint32_t id, size_t length)
{
    const size_t n = *count;
    if (n == w->symbol_capacity && !work_grow(w, &w->symbols, &w->symbol_capacity, n + 1, sizeof *w->symbols))
        return 0;
    w->symbols[n] = (symbol){ id, (uint32_t)length, (int32_t)n - 1, (int32_t)n + 1 };
    (*count)++;
    return 1;
}

/* ---- the symbols that a word begins with ---- */

static int raw_symbols(const tokenizer *t, token_work *w, const unsigned char *word, size_t length, size_t *count)
{
    const image_settings *s = image_of(t);
    const uint32_t *bytes = image_part(t, PART_BYTES);
    uint32_t held = 0;
    for (size_t i = 0; i < length; i++) {
        const uint32_t id = bytes[(i > 0 ? 256u : 0u) + (i + 1 == length ? 512u : 0u) + word[i]];
        if (id != NO_ID) {
            if (held != 0 && !add_symbol(w, count, s->unknown, held))
                return 0;
            held = 0;
            if (!add_symbol(w, count, id, 1))
                return 0;
        } else if (s->unknown != NO_ID) {
            if (held != 0 && !(s->flags & TOKENIZER_FUSE_UNKNOWN)) {
                if (!add_symbol(w, count, s->unknown, held))
                    return 0;
                held = 0;
            }
            held++;
        }
    }
    return held == 0 || add_symbol(w, count, s->unknown, held);
}

/* The bytes of a character that is no piece, when all of them are pieces. 1: they were put, 0: not, -1: no memory. */
static int fall_back(const tokenizer *t, token_work *w, const unsigned char *text, size_t n, int first, int last, size_t *count)
{
    const image_settings *s = image_of(t);
    const unsigned char *data = image_part(t, PART_DATA);
    /* the marks of a word's inside and end are spelt in bytes too */
    const size_t before = first ? 0 : s->prefix_length, after = last ? s->suffix_length : 0;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < before + n + after; i++) {
            const unsigned char byte = i < before ? data[s->prefix + i] : i < before + n ? text[i - before] : data[s->suffix + i - before - n];
            if (s->bytes[byte] == NO_ID)
                return 0;
            if (round == 1 && !add_symbol(w, count, s->bytes[byte], 1))
                return -1;
        }
    return 1;
}

static int character_symbols(const tokenizer *t, token_work *w, const unsigned char *word, size_t length, size_t *count)
{
    const image_settings *s = image_of(t);
    const trie_unit *units = image_part(t, PART_TRIE);
    uint32_t held = 0;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        const size_t n = utf8_next(word + i, length - i, &c);
        const int first = i == 0, last = i + n == length;
        const uint32_t id = trie_find(units, s->roots[(first ? 0 : 1) + (last ? 2 : 0)], word + i, n);
        if (id != NO_ID) {
            if (held != 0 && !add_symbol(w, count, s->unknown, held))
                return 0;
            held = 0;
            if (!add_symbol(w, count, id, n))
                return 0;
            i += n;
            continue;
        }
        if (s->flags & TOKENIZER_BYTE_FALLBACK) {
            const int put = fall_back(t, w, word + i, n, first, last, count);
            if (put < 0)
                return 0;
            if (put) {
                i += n;
                continue;
            }
        }
        if (s->unknown != NO_ID) {
            if (held != 0 && !(s->flags & TOKENIZER_FUSE_UNKNOWN)) {
                if (!add_symbol(w, count, s->unknown, held))
                    return 0;
                held = 0;
            }
            held += (uint32_t)n;
        }
        i += n;
    }
    return held == 0 || add_symbol(w, count, s->unknown, held);
}

/* ---- merging ---- */

/* Short words: look for the best pair anew each time. */
static size_t merge_short(const tokenizer *t, symbol *symbols, size_t n)
{
    enum { NO_RANK = INT32_MAX };
    int32_t ranks[32];
    uint32_t ids[32];
    for (size_t i = 0; i + 1 < n; i++) {
        const image_merge *m = find_merge(t, symbols[i].id, symbols[i + 1].id);
        ranks[i] = m != NULL ? (int32_t)m->rank : NO_RANK;
        ids[i] = m != NULL ? m->id : 0;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == NO_RANK)
            break;
        symbols[best].id = ids[best];
        symbols[best].length += symbols[best + 1].length;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            ranks[i] = ranks[i + 1];
            ids[i] = ids[i + 1];
        }
        for (size_t i = best > 0 ? best - 1 : best; i <= best && i + 1 < n; i++) {
            const image_merge *m = find_merge(t, symbols[i].id, symbols[i + 1].id);
            ranks[i] = m != NULL ? (int32_t)m->rank : NO_RANK;
            ids[i] = m != NULL ? m->id : 0;
        }
    }
    return n;
}

static int before(const merge_entry *a, const merge_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static int heap_push(token_work *w, const image_merge *m, size_t position)
{
    if (m == NULL)
        return 1;
    if (w->heap_count == w->heap_capacity && !work_grow(w, &w->heap, &w->heap_capacity, w->heap_count + 1, sizeof *w->heap))
        return 0;
    const merge_entry own = { m->rank, (uint32_t)position, m->id };
    size_t i = w->heap_count++;
    while (i > 0 && before(&own, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = own;
    return 1;
}

static merge_entry heap_pop(token_work *w)
{
    const merge_entry top = w->heap[0], own = w->heap[--w->heap_count];
    const size_t n = w->heap_count;
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &own))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = own;
    return top;
}

/* Long words: a heap of pairs; those that are no more are told by what they would become. */
static int merge_long(const tokenizer *t, token_work *w, size_t *count)
{
    symbol *s = w->symbols;
    const size_t n = *count;
    w->heap_count = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (!heap_push(w, find_merge(t, s[i].id, s[i + 1].id), i))
            return 0;
    while (w->heap_count != 0) {
        const merge_entry top = heap_pop(w);
        symbol *own = &s[top.position];
        if (own->length == 0 || own->next >= (int32_t)n)
            continue;
        symbol *right = &s[own->next];
        const image_merge *m = find_merge(t, own->id, right->id);
        if (m == NULL || m->id != top.id)
            continue;
        own->id = top.id;
        own->length += right->length;
        own->next = right->next;
        right->length = 0;
        if (own->next < (int32_t)n) {
            s[own->next].previous = (int32_t)top.position;
            if (!heap_push(w, find_merge(t, own->id, s[own->next].id), top.position))
                return 0;
        }
        if (own->previous >= 0 && !heap_push(w, find_merge(t, s[own->previous].id, own->id), (size_t)own->previous))
            return 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i].length != 0)
            s[kept++] = s[i];
    *count = kept;
    return 1;
}

int bpe_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o)
{
    const image_settings *s = image_of(t);
    token_work *w = o->w;
    size_t n = 0, at = 0;
    if (s->flags & TOKENIZER_IGNORE_MERGES) {
        const uint32_t id = trie_find(image_part(t, PART_TRIE), s->roots[0], word, length);
        if (id != NO_ID) {
            word_put(o, id, 0, length);
            return 1;
        }
    }
    if (s->flags & TOKENIZER_RAW_BYTES ? !raw_symbols(t, w, word, length, &n) : !character_symbols(t, w, word, length, &n))
        return 0;
    if (n <= 32)
        n = merge_short(t, w->symbols, n);
    else if (!merge_long(t, w, &n))
        return 0;
    for (size_t i = 0; i < n; i++) {
        word_put(o, w->symbols[i].id, at, w->symbols[i].length);
        at += w->symbols[i].length;
    }
    return 1;
}
