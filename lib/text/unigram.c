#include "text/models.h"
#include "text/utf8.h"

/* The most probable segmentation (Viterbi): best[i] is the best one of the first i bytes. Scores are added in the reference's
 * order, so that ties and rounding fall as there. */

static void improve(path_node *node, uint32_t begin, uint32_t id, double score)
{
    if (node->begin == UINT32_MAX || score > node->score) {
        node->score = score;
        node->begin = begin;
        node->id = id;
    }
}

/* A stretch that is one piece, or unknown: whole, or byte by byte where the vocabulary has bytes. */
static void put_unknown(const tokenizer *t, const unsigned char *word, size_t begin, size_t end, word_output *o)
{
    const image_settings *s = image_of(t);
    uint32_t id = trie_find(image_part(t, PART_TRIE), s->roots[0], word + begin, end - begin);
    int bytes = id == NO_ID && (s->flags & TOKENIZER_BYTE_FALLBACK);
    for (size_t i = begin; bytes && i < end; i++)
        bytes = s->bytes[word[i]] != NO_ID;
    if (!bytes) {
        o->spelt = 1;
        word_put(o, id != NO_ID ? id : s->unknown, begin, end - begin);
        o->spelt = 0;
        if (o->keep != NULL && (s->flags & TOKENIZER_TRIM)) /* its spelling would be lost */
            o->keep->count = 255;
        return;
    }
    if (o->keep != NULL) /* each byte has the place of all: that is more than is kept */
        o->keep->count = 255;
    cached_word *keep = o->keep;
    o->keep = NULL;
    for (size_t i = begin; i < end; i++)
        word_put(o, s->bytes[word[i]], begin, end - begin);
    o->keep = keep;
}

int unigram_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o)
{
    const image_settings *s = image_of(t);
    const trie_unit *units = image_part(t, PART_TRIE);
    const double *scores = image_part(t, PART_SCORES);
    token_work *w = o->w;
    if (length + 1 > w->node_capacity && !work_grow(w, &w->nodes, &w->node_capacity, length + 1, sizeof *w->nodes))
        return 0;
    path_node *nodes = w->nodes;
    for (size_t i = 0; i <= length; i++) {
        nodes[i].begin = UINT32_MAX;
        nodes[i].score = 0;
    }
    for (size_t at = 0; at < length;) {
        uint32_t c, unit = s->roots[0];
        const double here = nodes[at].score;
        const size_t n = utf8_next(word + at, length - at, &c);
        int single = 0;
        for (size_t i = at; i < length && (unit = trie_step(units, unit, word[i])) != NO_ID; i++) {
            const uint32_t id = units[unit].id;
            if (id == NO_ID)
                continue;
            improve(&nodes[i + 1], (uint32_t)at, id, scores[id] + here);
            single |= i + 1 - at == n;
        }
        if (!single)
            improve(&nodes[at + n], (uint32_t)at, s->unknown, s->unknown_score + here);
        at += n;
    }
    /* turn the links around: nodes[i].begin becomes where the piece that begins at i ends */
    uint32_t end = (uint32_t)length, after = (uint32_t)length, after_id = NO_ID;
    while (end > 0 && nodes[end].begin != UINT32_MAX) {
        const uint32_t begin = nodes[end].begin, id = nodes[end].id;
        nodes[end].begin = after;
        nodes[end].id = after_id;
        after = end;
        after_id = id;
        end = begin;
    }
    nodes[0].begin = after;
    nodes[0].id = after_id;
    for (uint32_t at = 0; at < length;) {
        uint32_t stop = nodes[at].begin;
        const uint32_t id = nodes[at].id;
        if (stop <= at) /* a vocabulary whose pieces end inside characters */
            break;
        if (id != s->unknown) {
            word_put(o, id, at, stop - at);
        } else {
            while (stop < length && nodes[stop].id == s->unknown && nodes[stop].begin > stop)
                stop = nodes[stop].begin;
            put_unknown(t, word, at, stop, o);
        }
        at = stop;
    }
    return 1;
}
