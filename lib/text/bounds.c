#include "text/bounds.h"

#include "text/charsmap.h"

/* What is known of a text after some operations, at most. A byte that is not UTF-8 becomes U+FFFD, which most operations leave alone: what
 * comes of such bytes is counted apart until then, since a text is of one kind, the other, or a mixture that lies between them. */
typedef struct stage {
    uint64_t valid;    /* bytes, were all of it UTF-8 */
    uint64_t replaced; /* bytes, were none of it; 0: no longer told apart, something may stand in place of U+FFFD */
    uint64_t characters, blanks, splits, matches, wide;
} stage;

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Nothing is longer: such texts are refused. */
static uint64_t most(uint64_t n)
{
    return n < UINT32_MAX - 1 ? n : UINT32_MAX - 1;
}

static uint64_t bytes_of(const stage *s)
{
    return larger(s->valid, s->replaced);
}

static void mix(stage *s)
{
    s->valid = bytes_of(s);
    s->replaced = 0;
}

/* The expansion factors of UTF-8 (UAX 15, table of maximum expansions): 3 for the canonical forms, 11 for the others; of UTF-32 to
 * bytes of UTF-8: U+0390, 3 to 2 bytes; U+FDFA, 18 to 3 bytes. */
static void normal_form(stage *s, int compatible)
{
    s->characters = larger(s->characters, most(compatible ? 6 * s->valid : s->valid + s->valid / 2 + 1));
    if (compatible)
        s->blanks = s->valid;
    s->valid = most(s->valid * (compatible ? 11 : 3));
    s->wide = larger(s->wide, 2 * s->characters); /* ordering marks takes a copy of them */
}

/* U+023A, 2 bytes, becomes 3; U+0130, 2 bytes, becomes two characters. */
static void lower(stage *s)
{
    s->characters = larger(s->characters, s->valid);
    s->valid = most(s->valid + s->valid / 2 + 1);
}

static void bert(stage *s, uint32_t flags)
{
    if (flags & NORMALIZE_CLEAN)
        s->blanks = s->characters;
    if (flags & NORMALIZE_CHINESE) { /* a blank before and one behind a character of 3 bytes or more */
        const uint64_t more = 2 * (s->valid / 3);
        s->valid = most(s->valid + more);
        s->characters = most(s->characters + more);
        s->blanks = most(s->blanks + more);
    }
    if (flags & NORMALIZE_STRIP_ACCENTS)
        normal_form(s, 0);
    if (flags & NORMALIZE_LOWER)
        lower(s);
}

/* At so many places bytes, characters and blanks more. */
static void add(stage *s, uint64_t places, uint64_t bytes, uint64_t characters, uint64_t blanks)
{
    s->valid = most(s->valid + most(places * most(bytes)));
    s->replaced = most(s->replaced + most(places * most(bytes)));
    s->characters = most(s->characters + most(places * most(characters)));
    s->blanks = most(s->blanks + most(places * most(blanks)));
}

static uint64_t blanks_of(const tokenizer *t, const image_op *op)
{
    const unsigned char *other = (const unsigned char *)image_part(t, PART_DATA) + op->other;
    uint64_t n = 0;
    for (uint32_t i = 0; i < op->other_length; i++)
        n += other[i] == ' ';
    return n;
}

/* A match takes a character at least; where it is known to begin with a blank, one of those. */
static void replace(const tokenizer *t, stage *s, const image_op *op)
{
    const uint64_t own = op->other_length, blanks = blanks_of(t, op);
    uint64_t places = s->characters, shortest = 1;
    int of_blanks = 0;
    if (op->kind == OP_REPLACE) {
        shortest = op->text_length != 0 ? op->text_length : 1;
        places = bytes_of(s) / shortest;
    } else if (op->pattern < sizeof t->pattern_letter / sizeof *t->pattern_letter && t->pattern_letter[op->pattern] == ' ') {
        places = s->blanks;
        of_blanks = 1;
    }
    add(s, places, own > shortest ? own - shortest : 0, own > 1 ? own - 1 : 0, of_blanks && blanks != 0 ? blanks - 1 : blanks);
    mix(s);
}

static void charsmap_op(const tokenizer *t, stage *s, const image_op *op)
{
    charsmap map;
    charsmap_growth g;
    if (!charsmap_open(&map, (const unsigned char *)image_part(t, PART_DATA) + op->text, op->text_length))
        return;
    charsmap_measure(&map, &g);
    const uint64_t sources = s->replaced / 3 + 1;
    s->characters = larger(s->characters, most(larger(s->valid, sources) * g.characters / 4 + 1));
    s->blanks = larger(s->blanks, most(larger(s->valid, sources) * g.blanks / 4 + 1));
    s->replaced = larger(s->replaced, most(sources * g.bytes / 4 + 1));
    s->valid = most(s->valid * larger(g.bytes, 4) / 4 + 1);
    mix(s);
}

static uint64_t mark_bytes(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static void after(const tokenizer *t, stage *s, const image_op *op)
{
    switch (op->kind) {
    case OP_BERT:
        bert(s, op->flags);
        break;
    case OP_NFC:
    case OP_NFD:
    case OP_NFKC:
    case OP_NFKD:
        normal_form(s, op->kind == OP_NFKC || op->kind == OP_NFKD);
        break;
    case OP_LOWERCASE:
        lower(s);
        break;
    case OP_NMT:
        s->blanks = s->characters;
        break;
    case OP_REPLACE:
    case OP_REPLACE_PATTERN:
        replace(t, s, op);
        break;
    case OP_PREPEND:
        add(s, 1, op->text_length, op->text_length, op->text_length);
        break;
    case OP_CHARSMAP:
        charsmap_op(t, s, op);
        break;
    case OP_SENTENCEPIECE:
        if (op->text_length != 0)
            charsmap_op(t, s, op);
        add(s, s->characters + 1, 2, 1, 0); /* every one a blank, and the mark in front */
        break;
    case OP_BYTES:
        s->characters = bytes_of(s);
        s->valid = most(2 * s->characters);
        mix(s);
        break;
    case OP_PREFIX_SPACE:
        add(s, s->splits, 1, 1, 1);
        break;
    case OP_METASPACE:
        add(s, s->blanks, mark_bytes(op->value) - 1, 0, 0);
        add(s, s->splits, mark_bytes(op->value), 1, 0);
        if (op->flags & METASPACE_SPLIT)
            s->splits = s->characters;
        break;
    case OP_PUNCTUATION:
    case OP_DIGITS:
    case OP_DELIMITER:
    case OP_SPLIT:
    case OP_SPLIT_PATTERN: /* some match nothing: between any two characters */
        s->splits = s->characters;
        s->matches = 2 * s->characters + 2;
        break;
    case OP_SPACE_SPLIT:
    case OP_SCRIPTS:
    case OP_FIXED:
        s->splits = s->characters;
        break;
    default: /* nothing grows */
        break;
    }
}

static uint64_t after_part(const tokenizer *t, int part, stage *s)
{
    const image_op *ops = image_part(t, part);
    const size_t n = image_count(t, part, sizeof *ops);
    uint64_t longest = bytes_of(s);
    for (size_t i = 0; i < n; i++) {
        after(t, s, &ops[i]);
        longest = larger(longest, bytes_of(s));
    }
    return longest;
}

void text_bounds_of(const tokenizer *t, size_t length, text_bounds *out)
{
    const image_settings *settings = image_of(t);
    const uint64_t n = most(length);
    stage s = { n, most(3 * n), n, n, 1, 0, 0 };
    const uint64_t normalized = after_part(t, PART_NORMALIZER, &s);
    if (t->letter[1] != -1) /* added tokens are looked for in what came out */
        s.splits = s.characters;
    const uint64_t longest = larger(normalized, after_part(t, PART_PRE_TOKENIZER, &s));
    *out = (text_bounds){ .bytes = (size_t)longest, .splits = (size_t)s.characters + 1, .matches = (size_t)s.matches, .wide = (size_t)s.wide };
    if (settings->model == MODEL_BPE) {
        out->symbols = (size_t)(settings->flags & TOKENIZER_RAW_BYTES ? longest : s.characters) + 1;
        if (settings->flags & TOKENIZER_BYTE_FALLBACK)
            out->symbols = (size_t)most(longest + s.characters * settings->prefix_length + settings->suffix_length);
        out->heap = 2 * out->symbols;
    }
    if (settings->model == MODEL_UNIGRAM)
        out->nodes = (size_t)longest + 1;
}
