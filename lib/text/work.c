#include "text/work.h"

#include <string.h>

#include "base/error.h"
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

int32_t token_work_create(memory *m, const tokenizer *t, token_work **out, ecrec_error *err)
{
    const image_settings *s = image_of(t);
    token_work *w = memory_zero(m, sizeof *w);
    if (w == NULL)
        return error_nomem(err, "a tokenizer's scratch", sizeof *w);
    w->m = m;
    int good = remember_plain(t, w);
    if (s->flags & TOKENIZER_BERT) {
        w->word_bytes = wordpiece_scratch(s);
        /* the rest is for decoding */
        good = good && (w->word = memory_allocate(m, w->word_bytes)) != NULL && text_reserve(w, &w->now, DECODED_BYTES) && text_reserve(w, &w->next, DECODED_BYTES) &&
               work_grow(w, &w->splits.items, &w->splits.capacity, DECODED_BYTES / 4, sizeof *w->splits.items) &&
               work_grow(w, &w->more.items, &w->more.capacity, DECODED_BYTES / 4, sizeof *w->more.items);
    } else {
        good = good && text_reserve(w, &w->now, FIRST_BYTES) && text_reserve(w, &w->next, FIRST_BYTES) &&
               work_grow(w, &w->splits.items, &w->splits.capacity, FIRST_BYTES / 2, sizeof *w->splits.items) &&
               work_grow(w, &w->more.items, &w->more.capacity, FIRST_BYTES / 2, sizeof *w->more.items) &&
               work_grow(w, &w->matches, &w->match_capacity, FIRST_BYTES / 2, sizeof *w->matches) &&
               work_grow(w, &w->wide, &w->wide_capacity, FIRST_BYTES, sizeof *w->wide);
        if (good && s->model == MODEL_BPE)
            good = work_grow(w, &w->symbols, &w->symbol_capacity, FIRST_BYTES, sizeof *w->symbols) &&
                   work_grow(w, &w->heap, &w->heap_capacity, FIRST_BYTES, sizeof *w->heap);
        if (good && s->model == MODEL_UNIGRAM)
            good = work_grow(w, &w->nodes, &w->node_capacity, FIRST_BYTES + 1, sizeof *w->nodes);
        if (good && s->model != MODEL_WORDLEVEL)
            good = (w->cache = memory_zero(m, CACHE_ENTRIES * sizeof *w->cache)) != NULL;
    }
    if (!good) {
        token_work_destroy(w);
        return error_nomem(err, "a tokenizer's scratch", FIRST_BYTES);
    }
    *out = w;
    return ECREC_OK;
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
    memory_release(m, w->cache, w->cache != NULL ? CACHE_ENTRIES * sizeof *w->cache : 0);
    memory_release(m, w->word, w->word_bytes);
    memory_release(m, w->plain, w->plain != NULL ? PLAIN_BYTES : 0);
    memory_release(m, w, sizeof *w);
}
