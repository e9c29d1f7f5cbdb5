#include "text/work.h"

#include <string.h>

#include "base/error.h"
#include "text/bounds.h"
#include "text/wordpiece.h"

enum { FIRST_BYTES = 16384, DECODED_BYTES = 4096 };

int work_grow(token_work *w, void *items, size_t *capacity, size_t need, size_t size)
{
    void *old, *grown;
    if (need <= *capacity)
        return 1;
    memcpy(&old, items, sizeof old);
    size_t more = *capacity + *capacity / 2;
    more = more > need ? more : need;
    grown = old == NULL ? memory_allocate(w->m, memory_product(more, size)) : memory_grow(w->m, old, *capacity * size, memory_product(more, size));
    if (grown == NULL) {
        w->status = ECREC_ERR_NOMEM;
        return 0;
    }
    memcpy(items, &grown, sizeof grown);
    *capacity = more;
    return 1;
}

int text_reserve(token_work *w, text_buffer *b, size_t more)
{
    const size_t need = b->length + more;
    if (need <= b->capacity && need <= b->place_capacity)
        return 1;
    if (need >= UINT32_MAX) {
        w->status = ECREC_ERR_LIMIT;
        return 0;
    }
    return work_grow(w, &b->bytes, &b->capacity, need, 1) && work_grow(w, &b->places, &b->place_capacity, need, sizeof *b->places);
}

int text_append(token_work *w, text_buffer *b, const unsigned char *bytes, size_t n, place p)
{
    if (!text_reserve(w, b, n))
        return 0;
    memcpy(b->bytes + b->length, bytes, n);
    if (w->placed)
        for (size_t i = 0; i < n; i++)
            b->places[b->length + i] = p;
    b->length += n;
    return 1;
}

int text_copy(token_work *w, size_t begin, size_t end)
{
    text_buffer *to = &w->next;
    if (!text_reserve(w, to, end - begin))
        return 0;
    memcpy(to->bytes + to->length, w->now.bytes + begin, end - begin);
    if (w->placed)
        memcpy(to->places + to->length, w->now.places + begin, (end - begin) * sizeof(place));
    to->length += end - begin;
    return 1;
}

static int remember_plain(const tokenizer *t, token_work *w)
{
    const image_op *ops = image_part(t, PART_NORMALIZER);
    for (size_t i = 0; i < image_count(t, PART_NORMALIZER, sizeof *ops); i++)
        if (ops[i].kind == OP_CHARSMAP) {
            w->plain_text = ops[i].text;
            return (w->plain = memory_zero(w->m, PLAIN_BYTES)) != NULL;
        }
    return 1;
}

/* What is held from the beginning: for any text of `length` bytes, or, where that is 0, for texts of FIRST_BYTES that become no longer;
 * BERT's pipeline, which has memory of its own, then needs the rest for decoding alone. */
static text_bounds first_sizes(const tokenizer *t, size_t length)
{
    const image_settings *s = image_of(t);
    text_bounds b = { 0 };
    if (length != 0) {
        text_bounds_of(t, length, &b);
    } else if (!(s->flags & TOKENIZER_BERT)) {
        b = (text_bounds){ FIRST_BYTES, FIRST_BYTES / 2, FIRST_BYTES / 2, FIRST_BYTES, 0, 0, 0 };
        if (s->model == MODEL_BPE)
            b.symbols = b.heap = FIRST_BYTES;
        if (s->model == MODEL_UNIGRAM)
            b.nodes = FIRST_BYTES + 1;
    }
    b.bytes = b.bytes > DECODED_BYTES ? b.bytes : DECODED_BYTES;
    b.splits = b.splits > DECODED_BYTES / 4 ? b.splits : DECODED_BYTES / 4;
    return b;
}

static int fill(token_work *w, const tokenizer *t, const text_bounds *b)
{
    const image_settings *s = image_of(t);
    if (s->flags & TOKENIZER_BERT) {
        w->word_bytes = wordpiece_scratch(s);
        if ((w->word = memory_allocate(w->m, w->word_bytes)) == NULL)
            return 0;
    } else if (s->model != MODEL_WORDLEVEL && (w->cache = memory_zero(w->m, CACHE_ENTRIES * sizeof *w->cache)) == NULL) {
        return 0;
    }
    return remember_plain(t, w) && text_reserve(w, &w->now, b->bytes) && text_reserve(w, &w->next, b->bytes) &&
           work_grow(w, &w->splits.items, &w->splits.capacity, b->splits, sizeof *w->splits.items) &&
           work_grow(w, &w->more.items, &w->more.capacity, b->splits, sizeof *w->more.items) &&
           work_grow(w, &w->matches, &w->match_capacity, b->matches, sizeof *w->matches) &&
           work_grow(w, &w->wide, &w->wide_capacity, b->wide, sizeof *w->wide) &&
           work_grow(w, &w->symbols, &w->symbol_capacity, b->symbols, sizeof *w->symbols) &&
           work_grow(w, &w->heap, &w->heap_capacity, b->heap, sizeof *w->heap) &&
           work_grow(w, &w->nodes, &w->node_capacity, b->nodes, sizeof *w->nodes);
}

int32_t token_work_create_for(memory *m, const tokenizer *t, size_t length, token_work **out, ecrec_error *err)
{
    const text_bounds b = first_sizes(t, length);
    token_work *w = memory_zero(m, sizeof *w);
    if (w == NULL)
        return error_nomem(err, "a tokenizer's scratch", sizeof *w);
    w->m = m;
    if (!fill(w, t, &b)) {
        token_work_destroy(w);
        return error_nomem(err, "a tokenizer's scratch", b.bytes);
    }
    *out = w;
    return ECREC_OK;
}

int32_t token_work_create(memory *m, const tokenizer *t, token_work **out, ecrec_error *err)
{
    return token_work_create_for(m, t, 0, out, err);
}

void token_work_destroy(token_work *w)
{
    if (w == NULL)
        return;
    memory *m = w->m;
    text_buffer *texts[2] = { &w->now, &w->next };
    for (int i = 0; i < 2; i++) {
        memory_release(m, texts[i]->bytes, texts[i]->capacity);
        memory_release(m, texts[i]->places, texts[i]->place_capacity * sizeof(place));
    }
    memory_release(m, w->splits.items, w->splits.capacity * sizeof(split));
    memory_release(m, w->more.items, w->more.capacity * sizeof(split));
    memory_release(m, w->wide, w->wide_capacity * sizeof *w->wide);
    memory_release(m, w->matches, w->match_capacity * sizeof *w->matches);
    memory_release(m, w->symbols, w->symbol_capacity * sizeof *w->symbols);
    memory_release(m, w->heap, w->heap_capacity * sizeof *w->heap);
    memory_release(m, w->nodes, w->node_capacity * sizeof *w->nodes);
    memory_release(m, w->held, w->held_capacity * sizeof *w->held);
    memory_release(m, w->cache, w->cache != NULL ? CACHE_ENTRIES * sizeof *w->cache : 0);
    memory_release(m, w->word, w->word_bytes);
    memory_release(m, w->plain, w->plain != NULL ? PLAIN_BYTES : 0);
    memory_release(m, w, sizeof *w);
}
