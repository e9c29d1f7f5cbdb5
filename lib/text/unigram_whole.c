/* The most probable segmentation of a whole text as SentencePiece's own package finds it: scores are added up in single precision over
 * all of the text, which decides between segmentations that are as good as each other. */
#include "text/models.h"
#include "text/utf8.h"

static void improve(path_node *node, size_t begin, uint32_t id, float score)
{
    if (node->begin == UINT32_MAX || score > (float)node->score) {
        node->score = (double)score;
        node->begin = (uint32_t)begin;
        node->id = id;
    }
}

static void put(const tokenizer *t, const unsigned char *text, uint32_t id, size_t begin, size_t end, word_output *o)
{
    const image_settings *s = image_of(t);
    if (id != s->unknown || !(s->flags & TOKENIZER_BYTE_FALLBACK)) {
        word_put(o, id, begin, end - begin);
        return;
    }
    if (o->keep != NULL) /* each byte has the place of all: that is more than is kept */
        o->keep->count = 255;
    cached_word *keep = o->keep;
    o->keep = NULL;
    for (size_t i = begin; i < end; i++)
        word_put(o, s->bytes[text[i]] != NO_ID ? s->bytes[text[i]] : s->unknown, begin, end - begin);
    o->keep = keep;
}

static void find_paths(const tokenizer *t, const unsigned char *text, size_t length, path_node *nodes)
{
    const image_settings *s = image_of(t);
    const trie_unit *units = image_part(t, PART_TRIE);
    const double *scores = image_part(t, PART_SCORES);
    const float unknown = (float)s->unknown_score;
    for (size_t i = 0; i <= length; i++)
        nodes[i] = (path_node){ 0, UINT32_MAX, 0 };
    for (size_t at = 0; at < length;) {
        uint32_t c, unit = s->roots[0];
        const float here = (float)nodes[at].score;
        const size_t n = utf8_next(text + at, length - at, &c);
        int single = 0;
        for (size_t i = at; i < length && (unit = trie_step(units, unit, text[i])) != NO_ID; i++)
            if (units[unit].id != NO_ID) {
                improve(&nodes[i + 1], at, units[unit].id, (float)(scores[units[unit].id] + (double)here));
                single |= i + 1 - at == n;
            }
        if (!single)
            improve(&nodes[at + n], at, s->unknown, unknown + here);
        at += n;
    }
}

int unigram_whole(const tokenizer *t, const unsigned char *text, size_t length, word_output *o)
{
    token_work *w = o->w;
    const uint32_t unknown = image_of(t)->unknown;
    if (length + 1 > w->node_capacity && !work_grow(w, &w->nodes, &w->node_capacity, length + 1, sizeof *w->nodes))
        return 0;
    path_node *nodes = w->nodes;
    find_paths(t, text, length, nodes);
    /* turn the links around: nodes[i].begin becomes where the piece that begins at i ends, its id lies at i */
    size_t end = length;
    uint32_t after = (uint32_t)length, after_id = NO_ID;
    while (end > 0 && nodes[end].begin < end) {
        const uint32_t begin = nodes[end].begin, id = nodes[end].id;
        nodes[end] = (path_node){ 0, after, after_id };
        after = (uint32_t)end;
        after_id = id;
        end = begin;
    }
    nodes[end] = (path_node){ 0, after, after_id };
    for (size_t at = end; at < length;) {
        size_t stop = nodes[at].begin;
        const uint32_t id = nodes[at].id;
        if (stop <= at) /* a vocabulary whose pieces end inside characters */
            break;
        while (id == unknown && stop < length && nodes[stop].id == unknown && nodes[stop].begin > stop)
            stop = nodes[stop].begin;
        put(t, text, id, at, stop, o);
        at = stop;
    }
    return 1;
}
