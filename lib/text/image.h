/* The tokenizer image: what draft.c writes and tokenizer.c reads. Little-endian, position-independent.
 *
 * "ECTK", u32 version, u32 number of parts, u32 0; then for each part u64 offset, u64 length; then the parts, each at a
 * multiple of 8 bytes. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_IMAGE_H
#define ECREC_LIB_TEXT_IMAGE_H

#include <stdint.h>

#include "text/tokenizer.h"

#define IMAGE_MAGIC 0x4B544345u /* "ECTK" */
#define IMAGE_VERSION 2u     /* what is written where no pattern has `more` and no step is SentencePiece's own; those before 3 know neither */
#define IMAGE_VERSION_MORE 3u
#define IMAGE_HEADER 16u

enum {
    PART_SETTINGS,        /* image_settings */
    PART_PIECE_STARTS,    /* u32 [size + 1] into PART_PIECES; equal neighbours: the id has no piece */
    PART_PIECES,          /* the pieces, each followed by a NUL */
    PART_TRIE,            /* trie_unit [multiple of 256]: the vocabulary as the model looks it up */
    PART_ADDED_TRIE,      /* trie_unit [multiple of 256 or 0]: indexes of PART_ADDED */
    PART_ADDED,           /* image_added [n] */
    PART_TEMPLATE_SINGLE, /* image_slot [n] */
    PART_TEMPLATE_PAIR,   /* image_slot [n] */
    PART_NORMALIZER,      /* image_op [n], in order */
    PART_PRE_TOKENIZER,   /* image_op [n], in order */
    PART_DECODER,         /* image_op [n], in order */
    PART_DATA,            /* bytes that operations point into */
    PART_PATTERNS,        /* image_pattern [n] */
    PART_TABLES,          /* u16 [n] that patterns point into */
    PART_SCORES,          /* f64 [size], Unigram */
    PART_MERGES,          /* image_merge [power of two], BPE: open addressing by merge_slot */
    PART_BYTES,           /* u32 [4 * 256], BPE over raw bytes: the symbol of a byte; + 256: first no, + 512: last yes */
    PART_COUNT
};

enum { MODEL_WORDPIECE = 1, MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDLEVEL };

enum { /* image_settings.flags */
    TOKENIZER_BERT = 1,            /* nothing but BERT's normalizer, pre-tokenizer and WordPiece: one pass, wordpiece.c */
    TOKENIZER_RAW_BYTES = 2,       /* the pre-tokenizer ends in bytes as characters: the trie is of the bytes themselves */
    TOKENIZER_BYTE_FALLBACK = 4,
    TOKENIZER_IGNORE_MERGES = 8,
    TOKENIZER_FUSE_UNKNOWN = 16,
    TOKENIZER_TRIM = 32,           /* offsets do not count blanks at a token's ends */
    TOKENIZER_TRIM_PREFIX = 64,    /* ... but the one that the pre-tokenizer put in front */
    TOKENIZER_CUT_LEFT = 128,      /* truncation removes from the front */
    TOKENIZER_DECODER = 256,       /* there is one; without, pieces are joined by blanks */
    TOKENIZER_WHOLE = 512, /* Unigram as SentencePiece's package: unigram_whole.c; added tokens of the normalised text are pieces as others, only
                                     * OP_SENTENCEPIECE asks for them */
    TOKENIZER_FLAGS = 1023
};
enum { CUT_LONGEST, CUT_FIRST, CUT_SECOND };

enum { /* image_op.flags of OP_BERT as normalizer */
    NORMALIZE_CLEAN = 1,
    NORMALIZE_CHINESE = 2,
    NORMALIZE_STRIP_ACCENTS = 4,
    NORMALIZE_LOWER = 8
};

typedef struct image_settings {
    uint32_t model, size, flags, normalizer /* of TOKENIZER_BERT */;
    uint32_t unknown;            /* id, or NO_ID */
    uint32_t word_limit;         /* WordPiece: characters */
    uint32_t roots[4];           /* of PART_TRIE: whole pieces; + 1: not first in a word; + 2: last in a word (BPE) */
    uint32_t added_roots[2];     /* of PART_ADDED_TRIE: found in the source; found in the normalised text */
    uint32_t cut;                /* CUT_* */
    uint32_t stride;             /* tokens that windows of a cut text share */
    uint32_t prefix, prefix_length, suffix, suffix_length; /* BPE: what marks the inside and the end of a word, in PART_DATA */
    double unknown_score;        /* Unigram */
    uint32_t bytes[256];         /* byte fallback: the id of each byte, or NO_ID */
} image_settings;

/* A double-array trie over bytes (Aoe 1989, with XOR as in darts-clone): the child of unit s by byte c is
 * base[s] ^ c when its check is s. id: the piece that ends here, or NO_ID. */
typedef struct trie_unit { uint32_t base, check, id; } trie_unit;
#define NO_ID UINT32_MAX

enum { ADDED_SPECIAL = 1, ADDED_LSTRIP = 2, ADDED_RSTRIP = 4, ADDED_SINGLE_WORD = 8, ADDED_NORMALIZED = 16,
       ADDED_UNSEEN = 64 /* never found in a text */,
       ADDED_SHOWN = 32 /* decoding without special tokens shows it all the same: its normalised spelling is no special token's */ };
typedef struct image_added { uint32_t id, flags; } image_added;

enum { SLOT_TOKEN, SLOT_FIRST, SLOT_SECOND };
typedef struct image_slot { uint32_t kind, id, type, reserved; } image_slot;

enum { /* image_op.kind; text and other are stretches of PART_DATA */
    OP_BERT = 1,       /* normalizer: flags NORMALIZE_*; pre-tokenizer: none */
    OP_NFC, OP_NFD, OP_NFKC, OP_NFKD, OP_STRIP_ACCENTS, OP_LOWERCASE, OP_NMT,
    OP_STRIP,          /* flags 1: left, 2: right */
    OP_REPLACE,        /* text by other */
    OP_REPLACE_PATTERN,/* pattern by other */
    OP_PREPEND,        /* text */
    OP_CHARSMAP,       /* text: SentencePiece's precompiled map; flags, value, pattern, other: a bit for each ASCII character that it maps */
    OP_BYTES,          /* each byte becomes a character */
    OP_PREFIX_SPACE,   /* a blank in front where there is none */
    OP_SPACE_SPLIT, OP_PUNCTUATION /* value: behaviour */, OP_DIGITS /* value: behaviour */, OP_SCRIPTS,
    OP_DELIMITER,      /* value: character */
    OP_FIXED,          /* value: characters */
    OP_METASPACE,      /* value: replacement; flags METASPACE_* */
    OP_SPLIT,          /* at text; value: behaviour, flags 1: inverted */
    OP_SPLIT_PATTERN,  /* the same at a pattern */
    OP_DECODE_BYTES, OP_DECODE_WORDPIECE /* text: prefix, flags 1: clean up */, OP_DECODE_METASPACE /* value, flags 1: drop the first */,
    OP_DECODE_BPE /* text: suffix */, OP_DECODE_FALLBACK, OP_DECODE_FUSE, OP_DECODE_STRIP /* value: character, flags: left | right << 16 */,
    OP_DECODE_CTC,     /* text: padding, other: delimiter, flags 1: clean up */
    OP_SENTENCEPIECE,  /* normalizer; text: a character map, or nothing; flags SENTENCEPIECE_* */
    OP_KINDS
};
enum { SENTENCEPIECE_PREFIX = 1, SENTENCEPIECE_COLLAPSE = 2, SENTENCEPIECE_ESCAPE = 4, SENTENCEPIECE_SUFFIX = 8 /* the mark of PREFIX stands behind */ };
enum { BEHAVE_REMOVED, BEHAVE_ISOLATED, BEHAVE_MERGED_PREVIOUS, BEHAVE_MERGED_NEXT, BEHAVE_CONTIGUOUS, BEHAVIOURS };
enum { METASPACE_ALWAYS = 1, METASPACE_FIRST = 2, METASPACE_SPLIT = 4 };
typedef struct image_op { uint32_t kind, flags, value, pattern, text, text_length, other, other_length; } image_op;

/* A matcher: a deterministic automaton over classes of characters. Offsets count u16 of PART_TABLES.
 * moves [states][classes + 1]: the next state (0: none) and PATTERN_MATCH when a match ends in front of the
 * character; the last column is the end of the text. State 1 begins. index [0x1100]: the page of 256 characters,
 * pages [page_count][256]: the class of each.
 * more, where it is not 0: what stands in front of a place counts. Bits 0..7: how many contexts there are (0: at the beginning, 1: nothing
 * known), 8..15: after how many characters a context is known, 16..30: the class of a line feed that is the last character, + 1 (0: as any
 * other), PATTERN_EMPTY: it may match nothing. context [contexts][classes]: the next context; then [contexts]: the state that begins. */
#define PATTERN_MATCH 0x8000u
#define PATTERN_EMPTY 0x80000000u
enum { PATTERN_INDEX = 0x1100 };
typedef struct image_pattern { uint32_t states, classes, page_count, moves, index, pages, context, more; } image_pattern;

typedef struct image_merge { uint32_t left, right, rank, id; } image_merge; /* left NO_ID: empty */
static inline size_t merge_slot(uint32_t left, uint32_t right)
{
    return (size_t)(((uint64_t)left * 0x9E3779B97F4A7C15u + (uint64_t)right * 0xC2B2AE3D27D4EB4Fu) >> 29);
}

static inline const void *image_part(const tokenizer *t, int part)
{
    return t->image + t->parts[2 * part];
}
static inline size_t image_count(const tokenizer *t, int part, size_t size)
{
    return (size_t)t->parts[2 * part + 1] / size;
}
static inline const image_settings *image_of(const tokenizer *t)
{
    return image_part(t, PART_SETTINGS);
}

static inline uint32_t trie_step(const trie_unit *units, uint32_t unit, unsigned char c)
{
    const uint32_t child = units[unit].base ^ c;
    return units[child].check == unit ? child : NO_ID;
}
/* The id of the key text[0 .. length), or NO_ID. */
static inline uint32_t trie_find(const trie_unit *units, uint32_t root, const unsigned char *text, size_t length)
{
    uint32_t unit = root;
    for (size_t i = 0; i < length; i++)
        if ((unit = trie_step(units, unit, text[i])) == NO_ID)
            return NO_ID;
    return length != 0 ? units[unit].id : NO_ID;
}

#endif
