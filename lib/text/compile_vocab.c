/* vocab.txt, and vocab.json with merges.txt: what transformers' slow tokenizers read. */
#include <string.h>

#include "base/error.h"
#include "text/compile.h"
#include "text/draft.h"

/* A piece by its name becomes a special added token. */
static int32_t special(draft *d, const char *name, uint32_t *id, int wanted, uint32_t flags)
{
    *id = draft_find(d, name, strlen(name));
    if (*id == NO_ID)
        return wanted ? error_set(d->err, ECREC_ERR_FORMAT, "%s: the special token \"%s\" is not in it", d->name, name) : ECREC_OK;
    return draft_add(d, name, strlen(name), *id, flags);
}

static const char *or(const char *given, const char *usual)
{
    return given != NULL ? given : usual;
}

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 0;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines + (length != 0 && text[length - 1] != '\n');
}

/* The line at *at, without its end. */
static text_span next_line(const char *text, size_t length, size_t *at)
{
    const char *end = memchr(text + *at, '\n', length - *at);
    const size_t stop = end != NULL ? (size_t)(end - text) : length;
    size_t n = stop - *at;
    const text_span line = { text + *at, n != 0 && text[*at + n - 1] == '\r' ? n - 1 : n };
    *at = stop + 1;
    return line;
}

static int32_t lines_vocab(draft *d, const char *text, size_t length)
{
    const size_t lines = count_lines(text, length);
    size_t at = 0;
    const int32_t status = draft_pieces(d, lines);
    if (status != ECREC_OK)
        return status;
    for (size_t line = 0; line < lines; line++) {
        const text_span own = next_line(text, length, &at);
        d->pieces[d->piece_count++] = (piece){ own.text, (uint32_t)(own.length < UINT32_MAX ? own.length : UINT32_MAX), (uint32_t)line, 0, 0 };
    }
    int32_t indexed = draft_index(d);
    for (size_t i = 0; i < d->piece_count && indexed == ECREC_OK; i++)
        if (d->pieces[i].length != 0 && draft_find(d, d->pieces[i].text, d->pieces[i].length) != i)
            indexed = error_set(d->err, ECREC_ERR_FORMAT, "%s: the piece \"%.*s\" is there twice (lines %zu and %u)", d->name, (int)d->pieces[i].length,
                                d->pieces[i].text, i + 1, draft_find(d, d->pieces[i].text, d->pieces[i].length) + 1);
    return indexed;
}

static int32_t fill_wordpiece(draft *d, const char *text, size_t length, const wordpiece_settings *s)
{
    const int strip = s->strip_accents < 0 ? s->lower_case : s->strip_accents;
    const uint32_t flags = NORMALIZE_CLEAN | (s->chinese_characters ? NORMALIZE_CHINESE : 0u) | (strip ? NORMALIZE_STRIP_ACCENTS : 0u) |
                           (s->lower_case ? NORMALIZE_LOWER : 0u);
    uint32_t cls = 0, sep = 0, other = 0;
    d->settings.model = MODEL_WORDPIECE;
    d->settings.word_limit = 100;
    d->settings.flags = TOKENIZER_DECODER;
    d->prefix = "##";
    int32_t status = lines_vocab(d, text, length);
    if (status != ECREC_OK || (status = special(d, or(s->unknown, "[UNK]"), &d->settings.unknown, 1, ADDED_SPECIAL)) != ECREC_OK ||
        (status = special(d, or(s->cls, "[CLS]"), &cls, 1, ADDED_SPECIAL)) != ECREC_OK ||
        (status = special(d, or(s->sep, "[SEP]"), &sep, 1, ADDED_SPECIAL)) != ECREC_OK ||
        (status = special(d, or(s->pad, "[PAD]"), &other, 0, ADDED_SPECIAL)) != ECREC_OK ||
        (status = special(d, or(s->mask, "[MASK]"), &other, 0, ADDED_SPECIAL)) != ECREC_OK)
        return status;
    image_op decoder = { .kind = OP_DECODE_WORDPIECE, .flags = 1 };
    if ((status = draft_op(d, 0, (image_op){ .kind = OP_BERT, .flags = flags })) != ECREC_OK ||
        (status = draft_op(d, 1, (image_op){ .kind = OP_SPACE_SPLIT })) != ECREC_OK ||
        (status = draft_op(d, 1, (image_op){ .kind = OP_PUNCTUATION, .value = BEHAVE_ISOLATED })) != ECREC_OK ||
        (status = draft_text(d, "##", 2, &decoder.text, &decoder.text_length)) != ECREC_OK || (status = draft_op(d, 2, decoder)) != ECREC_OK)
        return status;
    return draft_bert(d, cls, sep);
}

static int32_t finish(draft *d, int32_t status, buffer *image)
{
    if (status == ECREC_OK)
        status = draft_write(d, image);
    memory *m = d->m;
    draft_close(d);
    memory_release(m, d, sizeof *d);
    return status;
}

int32_t tokenizer_compile_vocab(memory *m, const char *text, size_t length, const wordpiece_settings *settings, buffer *image,
                                ecrec_error *err)
{
    draft *d = memory_allocate(m, sizeof *d);
    if (d == NULL)
        return error_nomem(err, "a tokenizer", sizeof *d);
    draft_open(d, m, "vocab.txt", err);
    return finish(d, fill_wordpiece(d, text, length, settings), image);
}

/* ---- vocab.json and merges.txt ---- */

static int32_t read_merges(draft *d, const char *text, size_t length)
{
    const size_t lines = count_lines(text, length);
    size_t at = 0;
    if ((d->merges = arena_allocate(&d->a, memory_product(lines + 1, sizeof *d->merges))) == NULL)
        return error_nomem(d->err, "the merges", lines * sizeof *d->merges);
    for (size_t line = 0; line < lines; line++) {
        const text_span own = next_line(text, length, &at);
        if (own.length == 0 || (own.length >= 8 && memcmp(own.text, "#version", 8) == 0))
            continue;
        const char *blank = memchr(own.text, ' ', own.length);
        if (blank == NULL || memchr(blank + 1, ' ', (size_t)(own.text + own.length - blank - 1)) != NULL)
            return error_set(d->err, ECREC_ERR_FORMAT, "merges.txt: line %zu is not two pieces", line + 1);
        d->merges[d->merge_count++] = (merge_pair){ { own.text, (size_t)(blank - own.text) }, { blank + 1, (size_t)(own.text + own.length - blank - 1) } };
    }
    return ECREC_OK;
}

static int32_t json_vocab(draft *d, const char *text, size_t length)
{
    const json *root = NULL;
    int32_t status = json_parse(&d->a, d->name, text, length, &root, d->err);
    if (status == ECREC_OK && (!json_is(root, JSON_OBJECT) || root->length == 0))
        status = error_set(d->err, ECREC_ERR_FORMAT, "%s: it is not an object with pieces", d->name);
    if (status != ECREC_OK || (status = draft_pieces(d, root->length)) != ECREC_OK)
        return status;
    for (const json *v = root->first; v != NULL; v = v->next) {
        uint64_t id = 0;
        if (!json_u64(v, &id) || id >= MOST_PIECES)
            return error_at(d->err, ECREC_ERR_FORMAT, v->position, "%s: the piece \"%s\" has no id below %d", d->name, v->key, MOST_PIECES);
        d->pieces[d->piece_count++] = (piece){ v->key, v->key_length, (uint32_t)id, 0, 0 };
    }
    return draft_index(d);
}

static int32_t clip_steps(draft *d)
{
    static const char pattern[] = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
    image_op blanks = { .kind = OP_REPLACE_PATTERN }, split = { .kind = OP_SPLIT_PATTERN, .value = BEHAVE_REMOVED, .flags = 1 };
    int32_t status = draft_op(d, 0, (image_op){ .kind = OP_NFC });
    if (status != ECREC_OK || (status = draft_pattern(d, d->name, "\\s+", 3, 0, &blanks.pattern)) != ECREC_OK ||
        (status = draft_text(d, " ", 1, &blanks.other, &blanks.other_length)) != ECREC_OK || (status = draft_op(d, 0, blanks)) != ECREC_OK ||
        (status = draft_op(d, 0, (image_op){ .kind = OP_LOWERCASE })) != ECREC_OK ||
        (status = draft_pattern(d, d->name, pattern, sizeof pattern - 1, 0, &split.pattern)) != ECREC_OK || (status = draft_op(d, 1, split)) != ECREC_OK)
        return status;
    return draft_byte_level(d, 0, 0);
}

static int32_t fill_bpe(draft *d, const char *vocab, size_t vocab_length, const char *merges, size_t merges_length, const bpe_settings *s)
{
    uint32_t cls = NO_ID, sep = NO_ID, other = NO_ID;
    d->settings.model = MODEL_BPE;
    d->settings.flags = TOKENIZER_DECODER;
    d->suffix = s->clip ? "</w>" : "";
    int32_t status = json_vocab(d, vocab, vocab_length);
    if (status == ECREC_OK)
        status = read_merges(d, merges, merges_length);
    if (status == ECREC_OK)
        status = s->clip ? clip_steps(d) : draft_byte_level(d, s->prefix_space, 1);
    if (status == ECREC_OK)
        status = draft_op(d, 2, (image_op){ .kind = OP_DECODE_BYTES });
    if (status != ECREC_OK)
        return status;
    const uint32_t plain = ADDED_SPECIAL | ADDED_NORMALIZED;
    if (s->roberta || s->clip) {
        const char *const names[] = { or(s->cls, s->clip ? "<|startoftext|>" : "<s>"), or(s->sep, s->clip ? "<|endoftext|>" : "</s>") };
        if ((status = special(d, names[0], &cls, 1, plain)) != ECREC_OK || (status = special(d, names[1], &sep, 1, s->clip ? ADDED_SPECIAL : plain)) != ECREC_OK)
            return status;
        if (s->clip) {
            d->settings.unknown = sep;
            return draft_roberta(d, cls, sep);
        }
        if ((status = special(d, or(s->pad, "<pad>"), &other, 0, plain)) != ECREC_OK || (status = special(d, or(s->unknown, "<unk>"), &other, 0, plain)) != ECREC_OK ||
            (status = special(d, or(s->mask, "<mask>"), &other, 0, plain | ADDED_LSTRIP)) != ECREC_OK)
            return status;
        d->settings.flags |= TOKENIZER_TRIM | (s->prefix_space ? TOKENIZER_TRIM_PREFIX : 0u);
        return draft_roberta(d, cls, sep);
    }
    status = special(d, or(s->unknown, "<|endoftext|>"), &other, 0, plain);
    return status == ECREC_OK ? draft_plain(d) : status;
}

int32_t tokenizer_compile_merges(memory *m, const char *vocab, size_t vocab_length, const char *merges, size_t merges_length,
                                 const bpe_settings *settings, buffer *image, ecrec_error *err)
{
    draft *d = memory_allocate(m, sizeof *d);
    if (d == NULL)
        return error_nomem(err, "a tokenizer", sizeof *d);
    draft_open(d, m, "vocab.json", err);
    return finish(d, fill_bpe(d, vocab, vocab_length, merges, merges_length, settings), image);
}
