#include "text/check.h"

#include <string.h>

#include "base/error.h"
#include "text/charsmap.h"

enum { MOST_SLOTS = 64, MOST_ADDED = 1 << 20, MOST_WORD = 1000, MOST_OPS = 64, MOST_SEARCH = 256, MOST_FIXED = 1 << 20 };

static int32_t bad(ecrec_error *err, const char *what)
{
    return error_set(err, ECREC_ERR_FORMAT, "the tokenizer in the model is damaged: %s", what);
}

static int within(const tokenizer *t, uint32_t offset, uint32_t length)
{
    const size_t n = image_count(t, PART_DATA, 1);
    return offset <= n && length <= n - offset;
}

static int is_id(const tokenizer *t, uint32_t id)
{
    return id < image_of(t)->size || id == NO_ID;
}

static int is_character(uint32_t c)
{
    return c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
}

static int32_t check_settings(const tokenizer *t, ecrec_error *err)
{
    const image_settings *s = image_of(t);
    if (s->model < MODEL_WORDPIECE || s->model > MODEL_WORDLEVEL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the tokenizer's model is of kind %u, which is not known", s->model);
    if ((s->flags & ~(uint32_t)TOKENIZER_FLAGS) != 0 || s->normalizer > 15 || s->cut > CUT_SECOND || !is_id(t, s->unknown) ||
        (s->unknown == NO_ID && s->model != MODEL_BPE) || (s->flags & TOKENIZER_BERT && (s->model != MODEL_WORDPIECE || s->flags & TOKENIZER_TRIM)) ||
        (s->flags & TOKENIZER_RAW_BYTES && s->model != MODEL_BPE) || !within(t, s->prefix, s->prefix_length) || !within(t, s->suffix, s->suffix_length))
        return bad(err, "its settings");
    if (s->model == MODEL_WORDPIECE && (s->word_limit == 0 || (s->flags & TOKENIZER_BERT && s->word_limit > MOST_WORD)))
        return bad(err, "its longest word");
    for (size_t i = 0; i < 256; i++)
        if (!is_id(t, s->bytes[i]))
            return bad(err, "its bytes");
    return ECREC_OK;
}

static int32_t check_pieces(const tokenizer *t, ecrec_error *err)
{
    const size_t starts_count = image_count(t, PART_PIECE_STARTS, 4), bytes = image_count(t, PART_PIECES, 1);
    const uint32_t *starts = image_part(t, PART_PIECE_STARTS);
    const char *pieces = image_part(t, PART_PIECES);
    const uint32_t size = image_of(t)->size;
    if (size == 0 || starts_count != (size_t)size + 1 || starts[0] != 0 || starts[size] != bytes)
        return bad(err, "number of pieces");
    for (uint32_t i = 0; i < size; i++)
        if (starts[i + 1] < starts[i] || starts[i + 1] > bytes || (starts[i + 1] > starts[i] && pieces[starts[i + 1] - 1] != 0))
            return bad(err, "a piece lies outside");
    return ECREC_OK;
}

static int32_t check_trie(const tokenizer *t, int part, uint32_t ids, const uint32_t *roots, size_t root_count, ecrec_error *err)
{
    const size_t count = image_count(t, part, sizeof(trie_unit));
    const trie_unit *units = image_part(t, part);
    if (count % 256 != 0 || count > UINT32_MAX)
        return bad(err, "size of the trie");
    for (size_t i = 0; i < root_count; i++)
        if (roots[i] >= count)
            return bad(err, "a root of the trie");
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= (uint32_t)(units[i].base >= count) | (uint32_t)(units[i].id >= ids && units[i].id != NO_ID);
    return wrong ? bad(err, "the trie points outside") : ECREC_OK;
}

static int32_t check_added(const tokenizer *t, ecrec_error *err)
{
    const size_t n = image_count(t, PART_ADDED, sizeof(image_added));
    const image_added *list = image_part(t, PART_ADDED);
    if (n > MOST_ADDED)
        return bad(err, "number of added tokens");
    for (size_t i = 0; i < n; i++)
        if (list[i].id >= image_of(t)->size || tokenizer_piece(t, list[i].id, NULL) == NULL || (i > 0 && list[i - 1].id >= list[i].id))
            return bad(err, "an added token");
    if (image_count(t, PART_ADDED_TRIE, sizeof(trie_unit)) == 0)
        return n == 0 ? ECREC_OK : bad(err, "the added tokens' trie");
    return check_trie(t, PART_ADDED_TRIE, (uint32_t)n, image_of(t)->added_roots, 2, err);
}

static int32_t check_template(const tokenizer *t, int part, int pair, ecrec_error *err)
{
    const size_t n = image_count(t, part, sizeof(image_slot));
    const image_slot *slots = image_part(t, part);
    int first = 0, second = 0;
    if (n > MOST_SLOTS)
        return bad(err, "length of the template");
    for (size_t i = 0; i < n; i++) {
        if (slots[i].kind > SLOT_SECOND || slots[i].type > 255 || (slots[i].kind == SLOT_TOKEN && slots[i].id >= image_of(t)->size))
            return bad(err, "a slot of the template");
        first += slots[i].kind == SLOT_FIRST;
        second += slots[i].kind == SLOT_SECOND;
    }
    return first != 1 || second != pair ? bad(err, "the template does not hold its text once") : ECREC_OK;
}

static int is_op_of(int part, uint32_t kind)
{
    if (part == PART_NORMALIZER)
        return (kind >= OP_BERT && kind <= OP_BYTES) || kind == OP_SENTENCEPIECE;
    if (part == PART_PRE_TOKENIZER)
        return kind >= OP_BYTES && kind <= OP_SPLIT_PATTERN;
    return (kind >= OP_DECODE_BYTES && kind < OP_SENTENCEPIECE) || kind == OP_REPLACE || kind == OP_REPLACE_PATTERN;
}

static int op_is_good(const tokenizer *t, int part, const image_op *op)
{
    charsmap map;
    if (!is_op_of(part, op->kind) || !within(t, op->text, op->text_length) || (op->kind != OP_CHARSMAP && !within(t, op->other, op->other_length)))
        return 0;
    switch (op->kind) {
    case OP_BERT:
        return op->flags <= 15;
    case OP_CHARSMAP:
        return charsmap_open(&map, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length);
    case OP_SENTENCEPIECE:
        return op->text_length == 0 || charsmap_open(&map, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length);
    case OP_REPLACE_PATTERN: /* a match of nothing would be replaced for ever */
        return op->pattern < image_count(t, PART_PATTERNS, sizeof(image_pattern)) &&
               !(((const image_pattern *)image_part(t, PART_PATTERNS))[op->pattern].more & PATTERN_EMPTY);
    case OP_SPLIT_PATTERN:
        return op->pattern < image_count(t, PART_PATTERNS, sizeof(image_pattern)) && op->value < BEHAVIOURS;
    case OP_REPLACE:
    case OP_SPLIT:
        return op->text_length <= MOST_SEARCH && op->value < BEHAVIOURS;
    case OP_PUNCTUATION:
    case OP_DIGITS:
        return op->value < BEHAVIOURS;
    case OP_DELIMITER:
    case OP_METASPACE:
    case OP_DECODE_METASPACE:
    case OP_DECODE_STRIP:
        return is_character(op->value);
    case OP_FIXED:
        return op->value != 0 && op->value <= MOST_FIXED;
    case OP_DECODE_WORDPIECE:
    case OP_DECODE_BPE:
    case OP_DECODE_CTC:
        return op->text_length <= MOST_SEARCH && op->other_length <= MOST_SEARCH;
    default:
        return 1;
    }
}

static int32_t check_ops(const tokenizer *t, int part, ecrec_error *err)
{
    const size_t n = image_count(t, part, sizeof(image_op));
    const image_op *ops = image_part(t, part);
    if (n > MOST_OPS)
        return bad(err, "number of operations");
    for (size_t i = 0; i < n; i++)
        if (!op_is_good(t, part, &ops[i]))
            return bad(err, "an operation");
    return ECREC_OK;
}

static int fits(size_t offset, size_t count, size_t size, size_t total)
{
    return offset <= total && (size == 0 || count <= (total - offset) / size);
}

static int32_t check_patterns(const tokenizer *t, ecrec_error *err)
{
    const size_t n = image_count(t, PART_PATTERNS, sizeof(image_pattern)), total = image_count(t, PART_TABLES, 2);
    const image_pattern *patterns = image_part(t, PART_PATTERNS);
    const uint16_t *tables = image_part(t, PART_TABLES);
    if (n > MOST_OPS * 3)
        return bad(err, "number of patterns");
    for (size_t i = 0; i < n; i++) {
        const image_pattern *p = &patterns[i];
        const size_t columns = (size_t)p->classes + 1;
        if (p->states < 2 || p->states >= PATTERN_MATCH || p->classes == 0 || p->classes > 256 || !fits(p->moves, p->states, columns, total) ||
            !fits(p->index, PATTERN_INDEX, 1, total) || !fits(p->pages, p->page_count, 256, total))
            return bad(err, "a pattern lies outside");
        unsigned wrong = 0;
        for (size_t k = 0; k < p->states * columns; k++)
            wrong |= (tables[p->moves + k] & ~PATTERN_MATCH) >= p->states;
        for (size_t k = 0; k < PATTERN_INDEX; k++)
            wrong |= tables[p->index + k] >= p->page_count;
        for (size_t k = 0; k < (size_t)p->page_count * 256; k++)
            wrong |= tables[p->pages + k] >= p->classes;
        if (p->more != 0) {
            const size_t contexts = p->more & 0xFF;
            if (contexts < 2 || (p->more >> 16 & 0x7FFF) > p->classes || !fits(p->context, contexts, columns, total))
                return bad(err, "a pattern's contexts lie outside");
            for (size_t k = 0; k < contexts * p->classes; k++)
                wrong |= tables[p->context + k] >= contexts;
            for (size_t k = contexts * p->classes; k < contexts * columns; k++)
                wrong |= tables[p->context + k] >= p->states;
        }
        if (wrong)
            return bad(err, "a pattern points outside");
    }
    return ECREC_OK;
}

static int32_t check_merges(const tokenizer *t, ecrec_error *err)
{
    const size_t n = image_count(t, PART_MERGES, sizeof(image_merge));
    const image_merge *merges = image_part(t, PART_MERGES);
    const uint32_t size = image_of(t)->size;
    size_t empty = 0;
    if (n == 0 || (n & (n - 1)) != 0)
        return bad(err, "number of merges");
    for (size_t i = 0; i < n; i++) {
        empty += merges[i].left == NO_ID;
        if (merges[i].left != NO_ID && (merges[i].left >= size || merges[i].right >= size || merges[i].id >= size || merges[i].rank >= INT32_MAX))
            return bad(err, "a merge");
    }
    if (empty == 0)
        return bad(err, "the merges leave no room");
    if (!(image_of(t)->flags & TOKENIZER_RAW_BYTES))
        return ECREC_OK;
    const uint32_t *bytes = image_part(t, PART_BYTES);
    if (image_count(t, PART_BYTES, 4) != 1024)
        return bad(err, "number of bytes");
    for (size_t i = 0; i < 1024; i++)
        if (!is_id(t, bytes[i]))
            return bad(err, "a byte");
    return ECREC_OK;
}

static int32_t check_scores(const tokenizer *t, ecrec_error *err)
{
    const double *scores = image_part(t, PART_SCORES);
    const image_settings *s = image_of(t);
    if (image_count(t, PART_SCORES, 8) != s->size || !(s->unknown_score - s->unknown_score == 0))
        return bad(err, "number of scores");
    for (size_t i = 0; i < s->size; i++)
        if (!(scores[i] - scores[i] == 0))
            return bad(err, "a score is not finite");
    return ECREC_OK;
}

int32_t image_check(const tokenizer *t, ecrec_error *err)
{
    const image_settings *s = image_of(t);
    int32_t status = ECREC_OK;
    if ((status = check_settings(t, err)) != ECREC_OK || (status = check_pieces(t, err)) != ECREC_OK ||
        (status = check_trie(t, PART_TRIE, s->size, s->roots, 4, err)) != ECREC_OK || (status = check_added(t, err)) != ECREC_OK ||
        (status = check_template(t, PART_TEMPLATE_SINGLE, 0, err)) != ECREC_OK || (status = check_template(t, PART_TEMPLATE_PAIR, 1, err)) != ECREC_OK ||
        (status = check_patterns(t, err)) != ECREC_OK)
        return status;
    for (int part = PART_NORMALIZER; part <= PART_DECODER && status == ECREC_OK; part++)
        status = check_ops(t, part, err);
    if (status == ECREC_OK && s->model == MODEL_BPE)
        status = check_merges(t, err);
    if (status == ECREC_OK && s->model == MODEL_UNIGRAM)
        status = check_scores(t, err);
    return status;
}
